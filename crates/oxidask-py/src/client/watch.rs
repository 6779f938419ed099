//! A record of the tasks that ran, for Python.

use crate::executor::Executor;
use hashbrown::HashSet;
use oxidask_core::events::{Observer, TaskFinished};
use oxidask_core::executor::WatchGuard;
use parking_lot::Mutex;
use pyo3::prelude::*;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// Adds this file's class to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<TaskLog>()
}

#[derive(Default)]
struct Records {
    tasks: VecDeque<TaskFinished>,
    /// Most records that are kept; the oldest go.
    limit: usize,
    /// Nanoseconds between the epoch and the zero of the executor's clock: the
    /// smallest difference between a task's end and the news of it.
    zero: Option<u64>,
}

struct Log(Mutex<Records>);

impl Observer for Log {
    fn tasks_finished(&self, tasks: &[TaskFinished]) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64);
        let mut records = self.0.lock();
        for task in tasks {
            let zero = now.saturating_sub(task.stop_ns);
            records.zero = Some(records.zero.map_or(zero, |known| known.min(zero)));
        }
        records.tasks.extend(tasks.iter().cloned());
        let n_old = records.tasks.len().saturating_sub(records.limit);
        records.tasks.drain(..n_old);
    }
}

/// Keeps what tasks of an executor did while this is open, the newest `limit` of
/// them.
#[pyclass(frozen, module = "oxidask._oxidask")]
pub struct TaskLog {
    log: Arc<Log>,
    executor: Arc<dyn oxidask_core::Executor>,
    guard: Mutex<Option<WatchGuard>>,
}

/// Label, key in the engine, number of the worker, number of its thread, start and
/// stop in seconds since the epoch, bytes of the result, whether it succeeded.
type Row = (String, String, u32, u32, f64, f64, u64, bool);

#[pymethods]
impl TaskLog {
    #[new]
    fn new(executor: &Executor, limit: usize) -> Self {
        let log = Arc::new(Log(Mutex::new(Records { limit, ..Records::default() })));
        let executor = executor.inner().clone();
        let guard = executor.watch(log.clone());
        TaskLog { log, executor, guard: Mutex::new(Some(guard)) }
    }

    /// The records, the oldest first.
    fn rows(&self, py: Python<'_>) -> Vec<Row> {
        let mut guard = self.guard.lock();
        if guard.is_some() {
            // The end of a watch waits for what is on its way; another begins before
            // that, so that nothing is missed, and what both saw counts once.
            let old = guard.replace(self.executor.watch(self.log.clone()));
            py.detach(|| drop(old));
        }
        drop(guard);
        let mut records = self.log.0.lock();
        let mut seen = HashSet::with_capacity(records.tasks.len());
        records.tasks.retain(|task| seen.insert((task.key, task.worker, task.stop_ns)));
        let zero = records.zero.unwrap_or_default();
        let moment = |nanos: u64| (zero + nanos) as f64 / 1e9;
        let row = |task: &TaskFinished| {
            let (start, stop) = (moment(task.start_ns), moment(task.stop_ns));
            let label = task.label.to_string();
            (label, task.key.to_string(), task.worker, task.thread, start, stop, task.nbytes, task.ok)
        };
        records.tasks.iter().map(row).collect()
    }

    /// Ends the record; what is there stays.
    fn close(&self, py: Python<'_>) {
        let guard = self.guard.lock().take();
        // Ending a watch waits for the observer's last call.
        py.detach(|| drop(guard));
    }
}

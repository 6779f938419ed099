//! Progress of a run, reported to Python.

use crate::executor::Executor;
use oxidask_core::Error;
use oxidask_core::events::{GraphId, Observer, TaskFinished};
use oxidask_core::executor::WatchGuard;
use parking_lot::Mutex;
use pyo3::prelude::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Adds this file's classes and functions to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Progress>()
}

#[derive(Default)]
struct Counts {
    total: AtomicU64,
    done: AtomicU64,
}

impl Observer for Counts {
    fn graph_started(&self, _graph: GraphId, tasks: &[(Arc<str>, u64)]) {
        let total = tasks.iter().map(|(_, count)| count).sum();
        self.total.fetch_add(total, Ordering::Relaxed);
    }

    fn tasks_finished(&self, tasks: &[TaskFinished]) {
        let done = tasks.iter().filter(|task| task.ok).count();
        self.done.fetch_add(done as u64, Ordering::Relaxed);
    }

    fn graph_finished(&self, _graph: GraphId, _error: Option<&Error>) {}
}

/// Counts the tasks of an executor while it lives.
#[pyclass(frozen, module = "oxidask._oxidask")]
pub struct Progress {
    counts: Arc<Counts>,
    guard: Mutex<Option<WatchGuard>>,
}

#[pymethods]
impl Progress {
    #[new]
    fn new(executor: &Executor) -> Self {
        let counts = Arc::new(Counts::default());
        let guard = executor.inner().watch(counts.clone());
        Progress { counts, guard: Mutex::new(Some(guard)) }
    }

    /// How many tasks succeeded, and how many there are.
    fn counts(&self) -> (u64, u64) {
        let total = self.counts.total.load(Ordering::Relaxed);
        // A task that ran again after a loss was counted twice.
        (self.counts.done.load(Ordering::Relaxed).min(total), total)
    }

    /// Stops counting.
    fn close(&self, py: Python<'_>) {
        let guard = self.guard.lock().take();
        // Ending a watch waits for the observer's last call.
        py.detach(|| drop(guard));
    }
}

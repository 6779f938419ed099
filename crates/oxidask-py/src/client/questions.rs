//! What clients ask about their cluster, for Python.

use crate::error::{OrRaise, to_py};
use crate::executor::check_signals;
use crate::future::FutureHandle;
use crate::value::from_value;
use oxidask_cluster::Client;
use oxidask_cluster::protocol::{Answer, Question, WorkerInfo};
use oxidask_core::{Error, ErrorKind, Key};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::time::Duration;

/// Adds this file's class to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Questions>()
}

/// Longest wait for an answer that the scheduler has at once.
const AT_ONCE: Duration = Duration::from_secs(30);

/// Task, answer, and why there is none.
type Sampled = (Option<String>, Option<String>, Option<String>);

type Futures<'py> = Vec<Bound<'py, FutureHandle>>;

fn keys_of(futures: &Futures<'_>) -> Vec<Key> {
    futures.iter().map(|future| future.get().engine_key()).collect()
}

/// What a client may ask. Workers are named by name or address.
#[pyclass(frozen, module = "oxidask._oxidask")]
pub struct Questions(Client);

impl Questions {
    /// Those of this client.
    pub fn new(client: Client) -> Self {
        Questions(client)
    }

    /// Asks; `pick` takes what is wanted out of the answer.
    fn ask<T>(
        &self,
        py: Python<'_>,
        question: Question,
        timeout: Duration,
        pick: impl FnOnce(Answer) -> Option<T>,
    ) -> PyResult<T> {
        let answer = py.detach(|| self.0.ask(question, timeout)).or_raise()?;
        pick(answer).ok_or_else(|| to_py(py, Error::new(ErrorKind::Version, "the scheduler answered another question")))
    }
}

fn seconds(timeout: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(timeout)
        .map_err(|_| pyo3::exceptions::PyValueError::new_err(format!("{timeout} s is no length of time")))
}

#[pymethods]
impl Questions {
    /// The workers: what they said of themselves, and how they are.
    fn info<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let info = self.ask(py, Question::Info, AT_ONCE, |answer| match answer {
            Answer::Info(info) => Some(info),
            _ => None,
        })?;
        let dict = PyDict::new(py);
        dict.set_item("address", info.address)?;
        dict.set_item("pid", info.pid)?;
        dict.set_item("uptime", info.uptime_ns as f64 / 1e9)?;
        dict.set_item("n_unfinished", info.n_unfinished)?;
        dict.set_item("scheduler_busy", info.busy_ns as f64 / 1e9)?;
        let workers: Vec<Bound<'py, PyDict>> =
            info.workers.iter().map(|worker| worker_dict(py, worker)).collect::<PyResult<_>>()?;
        dict.set_item("workers", workers)?;
        Ok(dict)
    }

    /// For each future, the numbers of the workers that hold its result.
    fn who_has(&self, py: Python<'_>, futures: Futures<'_>) -> PyResult<Vec<Vec<u32>>> {
        self.ask(py, Question::WhoHas(keys_of(&futures)), AT_ONCE, |answer| match answer {
            Answer::WhoHas(who) => Some(who),
            _ => None,
        })
    }

    /// For each worker's number, the names of what it holds.
    fn has_what(&self, py: Python<'_>) -> PyResult<Vec<(u32, Vec<String>)>> {
        self.ask(py, Question::HasWhat, AT_ONCE, names_by_worker)
    }

    /// For each worker's number, the names of what it was given to run.
    fn processing(&self, py: Python<'_>) -> PyResult<Vec<(u32, Vec<String>)>> {
        self.ask(py, Question::Processing, AT_ONCE, names_by_worker)
    }

    /// Names of the results that workers hold, and their bytes.
    fn sizes(&self, py: Python<'_>) -> PyResult<Vec<(String, u64)>> {
        self.ask(py, Question::Sizes, AT_ONCE, |answer| match answer {
            Answer::Sizes(sizes) => Some(sizes),
            _ => None,
        })
    }

    /// Why a result is not there, in words.
    fn explain(&self, py: Python<'_>, future: &Bound<'_, FutureHandle>) -> PyResult<String> {
        self.ask(py, Question::Explain(future.get().engine_key()), AT_ONCE, text)
    }

    /// What the scheduler tells monitors of itself, as JSON.
    fn identity(&self, py: Python<'_>) -> PyResult<String> {
        self.ask(py, Question::Identity, AT_ONCE, text)
    }

    /// How many workers the present work is worth if it shall end within `target`
    /// seconds.
    fn desired_workers(&self, py: Python<'_>, target: f64) -> PyResult<u64> {
        let target = u64::try_from(seconds(target)?.as_nanos()).unwrap_or(u64::MAX);
        self.ask(py, Question::Desired(target), AT_ONCE, |answer| match answer {
            Answer::Desired(n_workers) => Some(n_workers),
            _ => None,
        })
    }

    /// Asks the executors of workers, named by their numbers, what
    /// `oxidask._sample.answer` answers: for each worker its number and, for each of
    /// its executors, the name of the task that runs there (none if that is not
    /// known), the answer, and why there is none if so. Of a worker that does not
    /// answer within `timeout` seconds only the last is there.
    fn samples(
        &self,
        py: Python<'_>,
        workers: Vec<u32>,
        question: &str,
        timeout: f64,
    ) -> PyResult<Vec<(u32, Vec<Sampled>)>> {
        let timeout = seconds(timeout)?;
        let answers = py.detach(|| self.0.samples(&workers, question, timeout)).or_raise()?;
        let sampled = |samples: oxidask_core::Result<Vec<oxidask_exec::Sample>>| match samples {
            Ok(samples) => samples
                .into_iter()
                .map(|sample| match sample.answer {
                    Ok(answer) => (sample.task, Some(answer), None),
                    Err(why) => (sample.task, None, Some(why)),
                })
                .collect(),
            Err(error) => vec![(None, None, Some(error.message().to_owned()))],
        };
        Ok(answers.into_iter().map(|(worker, samples)| (worker, sampled(samples))).collect())
    }

    /// Where the time of workers' threads went since they began, workers named by
    /// their numbers: for each that answers within `timeout` seconds its number and
    /// a dict of the fields of `Ledger`, in seconds and bytes. What a run cost is
    /// the difference of two. `info` has the scheduler's own time, `scheduler_busy`.
    fn ledgers<'py>(
        &self,
        py: Python<'py>,
        workers: Vec<u32>,
        timeout: f64,
    ) -> PyResult<Vec<(u32, Bound<'py, PyDict>)>> {
        let timeout = seconds(timeout)?;
        let answers = py.detach(|| self.0.ledgers(&workers, timeout)).or_raise()?;
        let known = answers.into_iter().filter_map(|(worker, ledger)| Some((worker, ledger.ok()?)));
        known.map(|(worker, ledger)| ledger_dict(py, &ledger).map(|dict| (worker, dict))).collect()
    }

    /// Gives up every copy of a result but the last.
    fn reduce_replicas(&self, py: Python<'_>) -> PyResult<()> {
        self.ask(py, Question::ReduceReplicas, AT_ONCE, ordered)
    }

    /// Whether copies stay also when memory is short; sets it first if told how.
    #[pyo3(signature = (keeps = None))]
    fn keep_replicas(&self, py: Python<'_>, keeps: Option<bool>) -> PyResult<bool> {
        self.ask(py, Question::KeepReplicas(keeps), AT_ONCE, |answer| match answer {
            Answer::Keeps(keeps) => Some(keeps),
            _ => None,
        })
    }

    /// Runs a task of the cluster on this thread; of one that failed because another
    /// did, that other.
    fn run_here(&self, py: Python<'_>, future: &Bound<'_, FutureHandle>) -> PyResult<Py<PyAny>> {
        let key = future.get().engine_key();
        let recipe = py.detach(|| self.0.recipe(key, &check_signals)).or_raise()?;
        let value = py.detach(|| recipe.run()).or_raise()?;
        from_value(py, &value)
    }

    /// Asks workers to leave; the names of those that did.
    fn retire(&self, py: Python<'_>, workers: Vec<String>, timeout: f64) -> PyResult<Vec<String>> {
        self.ask(py, Question::Retire(workers), seconds(timeout)?, names)
    }

    /// Has workers, all if none is named, begin anew; the names of those that left.
    fn restart(&self, py: Python<'_>, workers: Vec<String>, timeout: f64) -> PyResult<Vec<String>> {
        self.ask(py, Question::Restart(workers), seconds(timeout)?, names)
    }

    /// Has results on `n` of the workers, all if none is named.
    fn replicate(&self, py: Python<'_>, futures: Futures<'_>, n: u32, workers: Vec<String>) -> PyResult<()> {
        self.ask(py, Question::Replicate { keys: keys_of(&futures), n, workers }, AT_ONCE, ordered)
    }

    /// Spreads the bytes of results, all if none is named, over workers.
    fn rebalance(&self, py: Python<'_>, futures: Futures<'_>, workers: Vec<String>) -> PyResult<()> {
        self.ask(py, Question::Rebalance { keys: keys_of(&futures), workers }, AT_ONCE, ordered)
    }
}

fn names_by_worker(answer: Answer) -> Option<Vec<(u32, Vec<String>)>> {
    match answer {
        Answer::HasWhat(what) => Some(what),
        _ => None,
    }
}

fn names(answer: Answer) -> Option<Vec<String>> {
    match answer {
        Answer::Retired(names) => Some(names),
        _ => None,
    }
}

fn text(answer: Answer) -> Option<String> {
    match answer {
        Answer::Text(text) => Some(text),
        _ => None,
    }
}

fn ordered(answer: Answer) -> Option<()> {
    matches!(answer, Answer::Ordered).then_some(())
}

fn ledger_dict<'py>(py: Python<'py>, ledger: &oxidask_exec::Ledger) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    let seconds = |ns: u64| ns as f64 / 1e9;
    dict.set_item("elapsed", seconds(ledger.elapsed_ns))?;
    dict.set_item("threads", ledger.n_threads)?;
    dict.set_item("tasks", ledger.n_tasks)?;
    dict.set_item("compute", seconds(ledger.compute_ns))?;
    dict.set_item("gil", seconds(ledger.gil_ns))?;
    dict.set_item("child", seconds(ledger.child_ns))?;
    dict.set_item("input", seconds(ledger.input_ns))?;
    dict.set_item("load", seconds(ledger.load_ns))?;
    dict.set_item("idle", seconds(ledger.idle_ns))?;
    dict.set_item("spill", seconds(ledger.spill_ns))?;
    dict.set_item("fetched_bytes", ledger.fetched_bytes)?;
    Ok(dict)
}

fn worker_dict<'py>(py: Python<'py>, worker: &WorkerInfo) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    let intro = &worker.intro;
    dict.set_item("number", worker.id)?;
    dict.set_item("address", &intro.address)?;
    dict.set_item("name", &intro.name)?;
    dict.set_item("pid", intro.pid)?;
    dict.set_item("nthreads", intro.n_slots)?;
    dict.set_item("memory_limit", intro.memory_limit)?;
    dict.set_item("local_directory", &intro.local_directory)?;
    dict.set_item("resources", intro.resources.clone())?;
    dict.set_item("managed_bytes", worker.metrics.resident)?;
    dict.set_item("spilled_bytes", worker.metrics.spilled)?;
    dict.set_item("process_bytes", worker.metrics.process)?;
    dict.set_item("paused", worker.metrics.is_paused)?;
    dict.set_item("last_seen", worker.silent_ms as f64 / 1000.0)?;
    Ok(dict)
}

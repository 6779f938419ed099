//! Executors as Python objects.
//!
//! An [`Executor`] wraps any executor of the engine. Waiting releases the GIL and
//! looks for signals several times a second, so that Ctrl-C takes effect at
//! once and cancels what was running.

use crate::error::{OrRaise, from_py};
use oxidask_core::{Graph, Result, Value};
use oxidask_exec::{ChildCommand, Local, LocalKind, LocalOptions, lend_slot};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use std::sync::Arc;

/// Adds this file's classes and functions to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    oxidask_exec::set_sampler(sample);
    module.add_class::<Executor>()?;
    module.add_function(wrap_pyfunction!(local_executor, module)?)?;
    module.add_function(wrap_pyfunction!(serve_child, module)?)
}

/// Something that runs graphs.
#[pyclass(frozen, module = "oxidask._oxidask")]
pub struct Executor {
    /// There until it is dropped.
    inner: Option<Arc<dyn oxidask_core::Executor>>,
    /// The same, if it is one of this process, which can be closed.
    local: Option<Local>,
}

impl Executor {
    /// Wraps an executor of the engine.
    pub fn new(inner: Arc<dyn oxidask_core::Executor>) -> Self {
        Executor { inner: Some(inner), local: None }
    }

    /// The engine's executor.
    pub fn inner(&self) -> &Arc<dyn oxidask_core::Executor> {
        self.inner.as_ref().expect("only dropping takes it")
    }

    /// Runs a graph to the end.
    ///
    /// # Errors
    /// The error of a task, or `KeyboardInterrupt`.
    pub fn compute(&self, py: Python<'_>, graph: Graph) -> PyResult<Vec<Value>> {
        let computing = || self.inner().compute(graph, &check_signals);
        // A task that computes on its cluster lends its slot meanwhile; executors
        // of this process see to that themselves.
        py.detach(|| if self.local.is_none() { lend_slot(computing) } else { computing() }).or_raise()
    }
}

impl Drop for Executor {
    /// Ends what nobody else uses, without the GIL: its threads may want it.
    fn drop(&mut self) {
        let parts = (self.inner.take(), self.local.take());
        Python::try_attach(|py| py.detach(|| drop(parts)));
    }
}

#[pymethods]
impl Executor {
    /// The name by which users choose it.
    #[getter]
    fn name(&self) -> &str {
        self.inner().name()
    }

    /// How many tasks run at once.
    #[getter]
    fn n_slots(&self) -> usize {
        self.inner().n_slots()
    }

    /// Ends its threads and child processes; later use is an error.
    fn close(&self, py: Python<'_>) {
        if let Some(local) = &self.local {
            py.detach(|| local.close());
        }
    }

    fn __repr__(&self) -> String {
        format!("<Executor {} with {} slots>", self.inner().name(), self.inner().n_slots())
    }
}

/// The exception of a signal handler, such as `KeyboardInterrupt`, if one was
/// raised; for use as `interrupted` of [`oxidask_core::Executor::compute`].
///
/// # Errors
/// That exception.
pub fn check_signals() -> Result<()> {
    Python::attach(|py| py.check_signals().map_err(|error| from_py(py, error)))
}

/// Starts an executor of this process: `sync`, `threads` or `processes`.
#[pyfunction]
#[pyo3(signature = (kind, num_workers = None))]
fn local_executor(py: Python<'_>, kind: &str, num_workers: Option<usize>) -> PyResult<Executor> {
    let (kind, child) = match kind {
        "sync" => (LocalKind::Sync, None),
        "threads" => (LocalKind::Threads, None),
        "processes" => (LocalKind::Processes, Some(child_command(py)?)),
        other => return Err(PyValueError::new_err(format!("there is no executor '{other}'"))),
    };
    let options = LocalOptions { n_workers: num_workers, child, ..LocalOptions::new(kind) };
    let local = py.detach(|| Local::new(options)).or_raise()?;
    Ok(Executor { inner: Some(Arc::new(local.clone())), local: Some(local) })
}

/// How to start a child process: this interpreter, which imports oxidask and
/// nothing of the user's script, so that a script needs no guard against being
/// run twice.
pub fn child_command(py: Python<'_>) -> PyResult<ChildCommand> {
    let (program, args, env): (String, Vec<String>, Vec<(String, String)>) =
        py.import("oxidask._child")?.call_method0("command")?.extract()?;
    Ok(ChildCommand {
        program: program.into(),
        args: args.into_iter().map(Into::into).collect(),
        env: env.into_iter().map(|(name, value)| (name.into(), value.into())).collect(),
    })
}

/// Serves as a child process until the parent ends it.
#[pyfunction]
fn serve_child(py: Python<'_>) -> PyResult<()> {
    py.detach(oxidask_exec::serve_child).or_raise()
}

/// Answers a question about what Python does in this process; see `oxidask._sample`.
fn sample(question: &str) -> Result<String> {
    Python::attach(|py| {
        let answer = py.import("oxidask._sample").and_then(|module| module.call_method1("answer", (question,)));
        answer.and_then(|answer| answer.extract()).map_err(|error| from_py(py, error))
    })
}

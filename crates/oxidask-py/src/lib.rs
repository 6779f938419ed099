//! The Python module of oxidask: the only crate that names `pyo3` and the only
//! one that knows pickle. It parses arguments, calls the engine and wraps what
//! comes back; it decides nothing.

use pyo3::prelude::*;

/// The compiled half of the `oxidask` package.
#[pymodule]
fn _oxidask(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))
}

//! Arrays for Python: a lazy array with NumPy's memory at both ends.
//!
//! `ArrayCore` is what the Python class `oxidask.array.Array` wraps: every
//! method parses arguments, calls the engine and wraps the answer.

mod blocks;
mod core;
mod graph;
mod kernels;
mod memory;
mod parse;

use pyo3::prelude::*;

/// Adds this file's classes and functions to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<core::ArrayCore>()?;
    module.add_class::<core::RandomCore>()?;
    module.add_class::<memory::BlockMemory>()?;
    module.add_class::<graph::BlocksCore>()?;
    module.add_function(wrap_pyfunction!(graph::array_table, module)?)?;
    module.add_function(wrap_pyfunction!(graph::array_delayed, module)?)?;
    kernels::register(module)?;
    module.add_function(wrap_pyfunction!(core::array_functions, module)?)
}

//! The Python module of oxidask: the only crate that names `pyo3` and the only
//! one that knows pickle. It parses arguments, calls the engine and wraps what
//! comes back; it decides nothing.
//!
//! Read in this order: [`value`] (what crosses the border), [`template`] and
//! [`call`] (how a Python function becomes a task), [`base`] (how a collection
//! is computed), then the collections.

mod allocator;
mod array;
mod bag;
mod base;
mod call;
mod calls;
mod client;
mod cluster;
mod commands;
mod config;
mod context;
mod delayed;
mod draw;
mod error;
mod executor;
mod foreign;
mod frame;
mod future;
mod kind;
mod manipulate;
mod persist;
mod pickle;
mod progress;
mod steady;
mod template;
mod travel;
mod value;

use pyo3::prelude::*;

/// The compiled half of the `oxidask` package.
#[pymodule]
fn _oxidask(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    oxidask_exec::on_memory_pressure(allocator::keep_free_memory_unless);
    error::register(module)?;
    value::register(module)?;
    executor::register(module)?;
    base::register(module)?;
    foreign::register(module)?;
    config::register(module)?;
    progress::register(module)?;
    delayed::register(module)?;
    draw::register(module)?;
    manipulate::register(module)?;
    array::register(module)?;
    frame::register(module)?;
    bag::register(module)?;
    future::register(module)?;
    cluster::register(module)?;
    commands::register(module)?;
    client::register(module)
}

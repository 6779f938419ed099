//! The engine's settings, set from Python, and texts of sizes and times.

use crate::error::OrRaise;
use oxidask_core::KeyHasher;
use oxidask_core::config::{self, SETTINGS};
use pyo3::buffer::PyBuffer;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

/// Adds this file's classes and functions to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(settings, module)?)?;
    module.add_function(wrap_pyfunction!(set_setting, module)?)?;
    module.add_function(wrap_pyfunction!(get_setting, module)?)?;
    module.add_function(wrap_pyfunction!(hash_bytes, module)?)?;
    module.add_function(wrap_pyfunction!(parse_bytes, module)?)?;
    module.add_function(wrap_pyfunction!(parse_duration, module)?)
}

/// Name and default of each setting that the engine reads.
#[pyfunction]
fn settings() -> Vec<(&'static str, &'static str)> {
    SETTINGS.iter().map(|row| (row.name, row.default)).collect()
}

/// Sets one of them; `None` goes back to the environment or the default.
#[pyfunction]
#[pyo3(signature = (name, value))]
fn set_setting(name: &str, value: Option<&str>) -> PyResult<()> {
    config::set(name, value).or_raise()
}

/// The value of one of them as the engine sees it.
#[pyfunction]
fn get_setting(name: &str) -> PyResult<Option<String>> {
    config::get(name).or_raise()
}

/// The number of bytes that a text such as `64 MiB` says.
#[pyfunction]
fn parse_bytes(text: &str) -> PyResult<u64> {
    config::parse_bytes(text).or_raise()
}

/// The seconds that a text such as `500ms` says.
#[pyfunction]
fn parse_duration(text: &str) -> PyResult<f64> {
    config::parse_duration(text).map(|duration| duration.as_secs_f64()).or_raise()
}

/// The content hash of any contiguous memory, as 32 hexadecimal digits.
#[pyfunction]
fn hash_bytes(_py: Python<'_>, memory: PyBuffer<u8>) -> PyResult<String> {
    if !memory.is_c_contiguous() {
        return Err(PyValueError::new_err("only contiguous memory can be hashed"));
    }
    if memory.len_bytes() == 0 {
        return Ok(KeyHasher::new("bytes").bytes(&[]).finish().to_string());
    }
    // SAFETY: the buffer keeps the memory in place; its owner might write to it
    // meanwhile only from another thread, which holding the GIL prevents.
    let bytes = unsafe { std::slice::from_raw_parts(memory.buf_ptr().cast::<u8>(), memory.len_bytes()) };
    Ok(KeyHasher::new("bytes").bytes(bytes).finish().to_string())
}

//! What crosses the border between Python and the engine.
//!
//! A Python object is data of kind [`PyObjectData`] (`python.object`): a live
//! reference within this process, pickled frames after a journey. Native kinds
//! (array blocks, partitions of dataframes) add a [`Conversion`] beside their
//! own code, and [`from_value`] finds it.

use crate::error::OrError;
use crate::pickle;
use hashbrown::HashMap;
use oxidask_core::registry::DataEntry;
use oxidask_core::{Data, DataKind, Error, Frames, Result, Value};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{
    PyBool, PyByteArray, PyBytes, PyDict, PyFloat, PyFrozenSet, PyInt, PyList, PySet, PyString, PyTuple,
};
use std::sync::LazyLock;

/// Adds this file's classes and functions to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(sizeof, module)?)
}

/// How values of one kind become Python objects:
///
/// ```ignore
/// inventory::submit! { Conversion { kind: "array.block", to_python: block_to_numpy } }
/// ```
pub struct Conversion {
    /// The kind, as its [`DataKind`] names it.
    pub kind: &'static str,
    /// Makes the object; shares memory where it can.
    pub to_python: for<'py> fn(Python<'py>, &Value) -> PyResult<Py<PyAny>>,
}

inventory::collect!(Conversion);

static CONVERSIONS: LazyLock<HashMap<&'static str, &'static Conversion>> =
    LazyLock::new(|| inventory::iter::<Conversion>.into_iter().map(|entry| (entry.kind, entry)).collect());

/// A Python object as a value of the engine.
pub fn to_value(object: Bound<'_, PyAny>) -> Value {
    Value::new(PyObjectData::live(object))
}

/// A value of the engine as a Python object: itself, or what the registered
/// [`Conversion`] of its kind makes of it.
///
/// # Errors
/// If the kind has no conversion, or what the conversion raises.
pub fn from_value(py: Python<'_>, value: &Value) -> PyResult<Py<PyAny>> {
    if let Some(data) = value.get::<PyObjectData>() {
        return data.object(py);
    }
    let kind = value.data().kind();
    match CONVERSIONS.get(kind) {
        Some(conversion) => (conversion.to_python)(py, value),
        None => Err(pyo3::exceptions::PyTypeError::new_err(format!(
            "a value of kind '{kind}' ({}) cannot become a Python object",
            value.data().describe()
        ))),
    }
}

/// Any Python object: data of kind `python.object`.
pub struct PyObjectData {
    content: Content,
    nbytes: u64,
}

enum Content {
    Live(Py<PyAny>),
    Pickled(Frames),
}

impl PyObjectData {
    /// Wraps an object of this process.
    pub fn live(object: Bound<'_, PyAny>) -> Self {
        let nbytes = nbytes_of(&object);
        PyObjectData { content: Content::Live(object.unbind()), nbytes }
    }

    /// The object; each call after a journey unpickles it anew, so that no two
    /// tasks ever change one another's input.
    ///
    /// # Errors
    /// Whatever unpickling raises.
    pub fn object(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        match &self.content {
            Content::Live(object) => Ok(object.clone_ref(py)),
            Content::Pickled(frames) => Ok(pickle::loads(py, frames)?.unbind()),
        }
    }
}

impl DataKind for PyObjectData {
    fn kind(&self) -> &'static str {
        "python.object"
    }
}

impl Data for PyObjectData {
    fn nbytes(&self) -> u64 {
        self.nbytes
    }

    fn encode(&self) -> Result<Frames> {
        match &self.content {
            Content::Live(object) => Python::attach(|py| pickle::dumps(py, object.bind(py)).or_error(py)),
            Content::Pickled(frames) => Ok(frames.clone()),
        }
    }

    fn describe(&self) -> String {
        match &self.content {
            Content::Live(object) => {
                Python::attach(|py| object.bind(py).get_type().name().map(|name| name.to_string()))
                    .unwrap_or_else(|_| "a Python object".to_owned())
            }
            Content::Pickled(_) => "a pickled Python object".to_owned(),
        }
    }
}

fn decode(frames: Frames) -> Result<Value> {
    if frames.buffers.is_empty() {
        return Err(Error::new(oxidask_core::ErrorKind::Version, "a pickled object arrived without its content"));
    }
    let nbytes = frames.nbytes();
    Ok(Value::new(PyObjectData { content: Content::Pickled(frames), nbytes }))
}

inventory::submit! { DataEntry { kind: "python.object", decode } }

/// The estimated memory of an object in bytes.
#[pyfunction]
fn sizeof(object: &Bound<'_, PyAny>) -> u64 {
    nbytes_of(object)
}

/// The estimated memory of an object: exact for buffers, sampled for containers,
/// asked of `oxidask.sizeof` for all else.
pub fn nbytes_of(object: &Bound<'_, PyAny>) -> u64 {
    nbytes_within(object, 4)
}

/// How many elements of a container are looked at.
const SAMPLE: usize = 10;

fn nbytes_within(object: &Bound<'_, PyAny>, depth: u32) -> u64 {
    const WORD: u64 = 8;
    if object.is_none() || object.is_exact_instance_of::<PyInt>() || object.is_exact_instance_of::<PyFloat>() {
        return 32;
    }
    if object.is_exact_instance_of::<PyBool>() {
        return 32;
    }
    if let Ok(text) = object.cast_exact::<PyString>() {
        return 56 + text.len().unwrap_or(0) as u64;
    }
    if let Ok(bytes) = object.cast_exact::<PyBytes>() {
        return 40 + bytes.as_bytes().len() as u64;
    }
    if let Ok(bytes) = object.cast_exact::<PyByteArray>() {
        return 56 + bytes.len() as u64;
    }
    if let Ok(list) = object.cast_exact::<PyList>() {
        return 56 + WORD * list.len() as u64 + sampled(list.iter(), list.len(), depth);
    }
    if let Ok(tuple) = object.cast_exact::<PyTuple>() {
        return 40 + WORD * tuple.len() as u64 + sampled(tuple.iter(), tuple.len(), depth);
    }
    if let Ok(dict) = object.cast_exact::<PyDict>() {
        let pairs = dict.iter().take(SAMPLE).flat_map(|(key, value)| [key, value]);
        return 64 + 100 * dict.len() as u64 + sampled(pairs, 2 * dict.len(), depth);
    }
    if let Ok(set) = object.cast_exact::<PySet>() {
        return 216 + 32 * set.len() as u64 + sampled(set.iter(), set.len(), depth);
    }
    if let Ok(set) = object.cast_exact::<PyFrozenSet>() {
        return 216 + 32 * set.len() as u64 + sampled(set.iter(), set.len(), depth);
    }
    other_nbytes(object)
}

/// The size of `len` elements, from a look at the first few.
fn sampled<'py>(elements: impl Iterator<Item = Bound<'py, PyAny>>, len: usize, depth: u32) -> u64 {
    if depth == 0 {
        return 0;
    }
    let (mut count, mut bytes) = (0_u64, 0_u64);
    for element in elements.take(SAMPLE) {
        count += 1;
        bytes += nbytes_within(&element, depth - 1);
    }
    bytes.checked_div(count).unwrap_or(0) * len as u64
}

fn other_nbytes(object: &Bound<'_, PyAny>) -> u64 {
    static SIZEOF: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    const GUESS: u64 = 128;
    let py = object.py();
    SIZEOF
        .import(py, "oxidask.sizeof", "sizeof_object")
        .and_then(|sizeof| sizeof.call1((object,)))
        .and_then(|bytes| bytes.extract())
        .unwrap_or(GUESS)
}

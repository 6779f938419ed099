//! Memory shared between NumPy and blocks, without copies in either direction.

use crate::error::OrRaise;
use crate::value::Conversion;
use bytes::Bytes;
use numpy::{PyUntypedArray, PyUntypedArrayMethods};
use oxidask_array::{Block, DType};
use oxidask_core::Value;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyTuple};

/// A block as memory that NumPy can look at.
#[pyclass(frozen, module = "oxidask._oxidask")]
pub struct BlockMemory {
    block: Block,
    writable: bool,
}

#[pymethods]
impl BlockMemory {
    /// Where the elements are and how they lie, in NumPy's own terms.
    #[getter]
    fn __array_interface__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let dtype = self.block.dtype();
        let size = dtype.itemsize();
        let interface = PyDict::new(py);
        interface.set_item("version", 3)?;
        // Bytes in this machine's own order; single bytes have none.
        let order = if size == 1 {
            '|'
        } else if cfg!(target_endian = "little") {
            '<'
        } else {
            '>'
        };
        interface.set_item("typestr", format!("{order}{}", type_code(dtype)))?;
        interface.set_item("shape", PyTuple::new(py, self.block.shape())?)?;
        let strides: Vec<isize> = self.block.strides().iter().map(|stride| stride * size as isize).collect();
        interface.set_item("strides", PyTuple::new(py, strides)?)?;
        interface.set_item("data", (self.block.as_ptr() as usize, !self.writable))?;
        Ok(interface)
    }
}

/// NumPy's short name of a dtype, without byte order: `f8`, `M8[ns]`.
fn type_code(dtype: DType) -> String {
    let (name, size) = (dtype.name(), dtype.itemsize());
    if let Some(unit) = name.strip_prefix("datetime64") {
        return format!("M8{unit}");
    }
    if let Some(unit) = name.strip_prefix("timedelta64") {
        return format!("m8{unit}");
    }
    let code = match name.as_bytes().first() {
        Some(b'b') => 'b',
        Some(b'f') => 'f',
        Some(b'u') => 'u',
        Some(b'c') => 'c',
        _ => 'i',
    };
    format!("{code}{size}")
}

/// A block as a NumPy array over the same memory. The array keeps the block
/// alive; it is read-only unless the caller knows that nobody else sees the
/// memory.
///
/// # Errors
/// If NumPy refuses.
pub fn to_numpy<'py>(py: Python<'py>, block: &Block, writable: bool) -> PyResult<Bound<'py, PyAny>> {
    static ASARRAY: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    // Without elements there is no memory to share.
    let block = if block.is_empty() {
        let empty =
            py.import("numpy")?.call_method1("empty", (PyTuple::new(py, block.shape())?, block.dtype().name()))?;
        return Ok(empty);
    } else {
        block.clone()
    };
    let memory = Bound::new(py, BlockMemory { block, writable })?;
    ASARRAY.import(py, "numpy", "asarray")?.call1((memory,))
}

/// What a user gets for a computed block: writable memory of their own, without
/// a copy if nobody else holds it.
///
/// # Errors
/// If NumPy refuses.
pub fn into_numpy(py: Python<'_>, block: Block) -> PyResult<Bound<'_, PyAny>> {
    let own = if block.is_exclusive() { block } else { block.to_owned_copy() };
    to_numpy(py, &own, true)
}

fn block_to_python(py: Python<'_>, value: &Value) -> PyResult<Py<PyAny>> {
    let block = value.expect::<Block>().or_raise()?;
    Ok(to_numpy(py, block, false)?.unbind())
}

inventory::submit! { Conversion { kind: "array.block", to_python: block_to_python } }

/// NumPy's memory as the owner of a buffer.
struct NumpyMemory {
    /// Keeps the memory alive.
    _array: Py<PyAny>,
    start: usize,
    len: usize,
}

impl AsRef<[u8]> for NumpyMemory {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: `from_numpy` computed start and length from an array that is
        // kept alive; NumPy never moves the memory of an array that is
        // referred to. A user who writes to it meanwhile gets mixed results,
        // as with any lazy array over it, and plain numbers have no invalid
        // values.
        unsafe { std::slice::from_raw_parts(self.start as *const u8, self.len) }
    }
}

/// A NumPy array as a block over the same memory.
///
/// # Errors
/// If it is no array, of a dtype that arrays do not have, or not aligned;
/// Python code prepares arrays so that they are.
pub fn from_numpy(object: &Bound<'_, PyAny>) -> PyResult<Block> {
    let array = object
        .cast::<PyUntypedArray>()
        .map_err(|_| PyTypeError::new_err(format!("expected a NumPy array, got {}", object.get_type())))?;
    let name: String = array.dtype().getattr("name")?.extract()?;
    let dtype = DType::from_name(&name).or_raise()?;
    let size = dtype.itemsize();
    let shape = array.shape();
    if shape.contains(&0) {
        return Block::from_buffer(dtype, Bytes::new(), 0, shape, &vec![0; shape.len()]).or_raise();
    }
    let (mut low, mut high) = (0_isize, 0_isize);
    let mut strides = Vec::with_capacity(shape.len());
    for (&length, &stride) in shape.iter().zip(array.strides()) {
        let reach = stride * (length as isize - 1);
        low += reach.min(0);
        high += reach.max(0);
        if length > 1 && stride % size as isize != 0 {
            return Err(PyValueError::new_err("the elements of the array are not aligned"));
        }
        strides.push(stride / size as isize);
    }
    let data: usize = array.getattr("ctypes")?.getattr("data")?.extract()?;
    let memory = NumpyMemory {
        _array: object.clone().unbind(),
        start: data.wrapping_add_signed(low),
        len: (high - low) as usize + size,
    };
    Block::from_buffer(dtype, Bytes::from_owner(memory), low.unsigned_abs() / size, shape, &strides).or_raise()
}

//! Pickling: protocol 5 with large buffers beside the stream, not copied.
//!
//! The C pickler serves most objects; what it cannot pickle, or would pickle as
//! a reference to a script that other processes do not run, goes to
//! cloudpickle. Only bytes from this process or from an authenticated peer may
//! reach [`loads`].

use bytes::Bytes;
use oxidask_core::Frames;
use oxidask_exec::segment::PrivateCopy;
use pyo3::buffer::PyBuffer;
use pyo3::exceptions::{PyException, PyTypeError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyByteArray, PyBytes, PyDict, PyList, PyMemoryView};

/// Memory of a Python object that stays alive with it.
struct PyMemory {
    _owner: Py<PyAny>,
    start: *const u8,
    len: usize,
}

// SAFETY: the memory belongs to `_owner`, an exported buffer that Python keeps in
// place while the owner lives; it is only read, and dropping a `Py` is allowed
// on every thread.
unsafe impl Send for PyMemory {}
// SAFETY: as above; there is no interior mutability.
unsafe impl Sync for PyMemory {}

impl AsRef<[u8]> for PyMemory {
    fn as_ref(&self) -> &[u8] {
        if self.len == 0 {
            return &[];
        }
        // SAFETY: `start` and `len` describe the owner's memory, see above.
        unsafe { std::slice::from_raw_parts(self.start, self.len) }
    }
}

/// The content of a `bytes` object, without copying it.
pub fn share_bytes(object: Bound<'_, PyBytes>) -> Bytes {
    let (start, len) = (object.as_bytes().as_ptr(), object.as_bytes().len());
    Bytes::from_owner(PyMemory { _owner: object.into_any().unbind(), start, len })
}

/// The content of a contiguous memoryview, without copying it.
fn share_view(view: &Bound<'_, PyAny>) -> PyResult<(Bytes, bool)> {
    let buffer = PyBuffer::<u8>::get(view)?;
    let memory =
        PyMemory { _owner: view.clone().unbind(), start: buffer.buf_ptr().cast::<u8>(), len: buffer.len_bytes() };
    Ok((Bytes::from_owner(memory), !buffer.readonly()))
}

static PICKLE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
static UNPICKLE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
static CLOUDPICKLE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

/// Pickles an object. The header says of each large buffer whether it can be
/// written to; the first buffer is the stream.
///
/// # Errors
/// A `TypeError` that names the object if it cannot be pickled.
pub fn dumps(py: Python<'_>, object: &Bound<'_, PyAny>) -> PyResult<Frames> {
    let large = PyList::empty(py);
    let options = PyDict::new(py);
    options.set_item("protocol", 5)?;
    options.set_item("buffer_callback", large.getattr("append")?)?;
    let stream = match PICKLE.import(py, "pickle", "dumps")?.call((object,), Some(&options)) {
        Ok(stream) if !mentions_main(stream.cast::<PyBytes>()?.as_bytes()) => stream,
        Err(error) if !error.is_instance_of::<PyException>(py) => return Err(error),
        _ => {
            large.call_method0("clear")?;
            CLOUDPICKLE
                .import(py, "cloudpickle", "dumps")?
                .call((object,), Some(&options))
                .map_err(|cause| cannot_pickle(py, object, cause))?
        }
    };
    let mut header = Vec::with_capacity(large.len());
    let mut buffers = vec![share_bytes(stream.cast_into::<PyBytes>()?)];
    for buffer in large.iter() {
        let (bytes, writable) = share_view(&buffer.call_method0("raw")?)?;
        header.push(u8::from(writable));
        buffers.push(bytes);
    }
    Ok(Frames { header: header.into(), buffers })
}

/// Whether a stream may refer to the user's script, which other processes do
/// not import. A false alarm only costs time.
fn mentions_main(stream: &[u8]) -> bool {
    // The name is near the beginning of short streams and rare in long ones.
    stream.windows(8).any(|window| window == b"__main__")
}

fn cannot_pickle(py: Python<'_>, object: &Bound<'_, PyAny>, cause: PyErr) -> PyErr {
    let what = object.repr().map_or_else(|_| "an object".to_owned(), |text| shorten(&text.to_string()));
    let reason = cause.value(py).to_string();
    let error = PyTypeError::new_err(format!("{what} cannot be pickled: {reason}"));
    error.set_cause(py, Some(cause));
    error
}

fn shorten(text: &str) -> String {
    const LIMIT: usize = 120;
    if text.chars().count() <= LIMIT {
        return text.to_owned();
    }
    text.chars().take(LIMIT).chain("…".chars()).collect()
}

/// The inverse of [`dumps`]. Buffers that could be written to are copied, so
/// that the new object is its holder's own (large ones in shared memory page by
/// page, once they are written to); the others are shared.
///
/// # Errors
/// Whatever unpickling raises.
pub fn loads<'py>(py: Python<'py>, frames: &Frames) -> PyResult<Bound<'py, PyAny>> {
    let Some((stream, large)) = frames.buffers.split_first() else {
        return Err(PyTypeError::new_err("a pickled object arrived without its content"));
    };
    let buffers = PyList::empty(py);
    for (index, buffer) in large.iter().enumerate() {
        if frames.header.get(index) == Some(&0) {
            buffers.append(view_of(py, buffer.clone())?)?;
        } else if let Some(copy) = PrivateCopy::of(buffer) {
            let memory = Bound::new(py, PrivateBytes { copy })?;
            buffers.append(PyMemoryView::from(memory.as_any())?)?;
        } else {
            buffers.append(PyByteArray::new(py, buffer))?;
        }
    }
    let options = PyDict::new(py);
    options.set_item("buffers", buffers)?;
    UNPICKLE.import(py, "pickle", "loads")?.call((view_of(py, stream.clone())?,), Some(&options))
}

/// A read-only memoryview over shared bytes.
fn view_of(py: Python<'_>, bytes: Bytes) -> PyResult<Bound<'_, PyMemoryView>> {
    PyMemoryView::from(Bound::new(py, SharedBytes { bytes })?.as_any())
}

/// Memory of one Python object, exported to it without copying.
#[pyclass(frozen, module = "oxidask._oxidask")]
pub struct PrivateBytes {
    copy: PrivateCopy,
}

#[pymethods]
impl PrivateBytes {
    /// Exports the memory, for writing too.
    ///
    /// # Safety
    /// Called by Python's buffer protocol with a view to fill.
    unsafe fn __getbuffer__(
        slf: Bound<'_, Self>,
        view: *mut pyo3::ffi::Py_buffer,
        flags: std::ffi::c_int,
    ) -> PyResult<()> {
        let copy = &slf.get().copy;
        let len = isize::try_from(copy.len()).map_err(|_| PyTypeError::new_err("too large for a buffer"))?;
        // SAFETY: `view` is the caller's; the memory is nobody else's, may be written
        // to, and lives as long as `slf`, to which PyBuffer_FillInfo takes a reference.
        let status =
            unsafe { pyo3::ffi::PyBuffer_FillInfo(view, slf.as_ptr(), copy.as_mut_ptr().cast(), len, 0, flags) };
        if status == 0 { Ok(()) } else { Err(PyErr::fetch(slf.py())) }
    }
}

/// Bytes of the engine, exported to Python without copying.
#[pyclass(frozen, module = "oxidask._oxidask")]
pub struct SharedBytes {
    bytes: Bytes,
}

#[pymethods]
impl SharedBytes {
    /// Exports the bytes, read-only.
    ///
    /// # Safety
    /// Called by Python's buffer protocol with a view to fill.
    unsafe fn __getbuffer__(
        slf: Bound<'_, Self>,
        view: *mut pyo3::ffi::Py_buffer,
        flags: std::ffi::c_int,
    ) -> PyResult<()> {
        let bytes = &slf.get().bytes;
        let len = isize::try_from(bytes.len()).map_err(|_| PyTypeError::new_err("too large for a buffer"))?;
        // SAFETY: `view` is the caller's; the memory lives as long as `slf`, to
        // which PyBuffer_FillInfo takes a reference. It refuses writers itself.
        let status = unsafe {
            pyo3::ffi::PyBuffer_FillInfo(view, slf.as_ptr(), bytes.as_ptr().cast_mut().cast(), len, 1, flags)
        };
        if status == 0 { Ok(()) } else { Err(PyErr::fetch(slf.py())) }
    }
}

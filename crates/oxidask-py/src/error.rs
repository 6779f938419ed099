//! Errors on their way between the engine and Python.
//!
//! A kind of [`Error`] becomes the builtin exception that users already catch;
//! only what has no builtin has a class of its own, in `oxidask.errors`. An
//! exception raised by a user's function travels as itself: it is the payload of
//! the error (kind `python.exception`), live within this process, pickled with
//! the text of its traceback elsewhere. An exception that cannot be pickled
//! arrives as `oxidask.errors.TaskError` with that text; encoding never fails.

use crate::pickle;
use crate::value;
use oxidask_core::{Data, DataKind, Error, ErrorKind, Frames, Result, Value, registry::DataEntry};
use oxidask_exec::Again;
use pyo3::exceptions::{
    PyFileNotFoundError, PyIndexError, PyKeyboardInterrupt, PyMemoryError, PyNotImplementedError, PyOSError,
    PyPermissionError, PyTimeoutError, PyTypeError, PyValueError,
};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;

/// Adds this file's classes and functions to the module.
pub fn register(_module: &Bound<'_, PyModule>) -> PyResult<()> {
    Ok(())
}

/// Turns the engine's results into Python's.
pub trait OrRaise<T> {
    /// The value, or the exception that Python users expect.
    fn or_raise(self) -> PyResult<T>;
}

impl<T> OrRaise<T> for Result<T> {
    fn or_raise(self) -> PyResult<T> {
        self.map_err(|error| Python::attach(|py| to_py(py, error)))
    }
}

/// Turns Python's results into the engine's.
pub trait OrError<T> {
    /// The value, or the exception as an error that can travel.
    fn or_error(self, py: Python<'_>) -> Result<T>;
}

impl<T> OrError<T> for PyResult<T> {
    fn or_error(self, py: Python<'_>) -> Result<T> {
        self.map_err(|error| from_py(py, error))
    }
}

/// A class of `oxidask.errors`.
fn own_class<'py>(py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyType>> {
    Ok(py.import("oxidask.errors")?.getattr(name)?.cast_into::<PyType>()?)
}

fn own(py: Python<'_>, name: &str, message: String) -> PyErr {
    match own_class(py, name) {
        Ok(class) => PyErr::from_type(class, (message,)),
        Err(error) => error,
    }
}

/// The exception to raise for an error of the engine.
pub fn to_py(py: Python<'_>, error: Error) -> PyErr {
    if let Some(exception) = error.payload().and_then(|payload| payload.get::<ExceptionData>()) {
        return exception.raise(py);
    }
    let message = match error.traceback() {
        Some(traceback) => format!("{error}\n\n{traceback}"),
        None => error.to_string(),
    };
    match error.kind() {
        ErrorKind::Value => PyValueError::new_err(message),
        ErrorKind::Type => PyTypeError::new_err(message),
        ErrorKind::Index => PyIndexError::new_err(message),
        ErrorKind::Io => PyOSError::new_err(message),
        ErrorKind::NotFound => PyFileNotFoundError::new_err(message),
        ErrorKind::Denied => PyPermissionError::new_err(message),
        ErrorKind::Unsupported => PyNotImplementedError::new_err(message),
        ErrorKind::Memory => PyMemoryError::new_err(message),
        ErrorKind::Timeout => PyTimeoutError::new_err(message),
        ErrorKind::Interrupted => PyKeyboardInterrupt::new_err(message),
        ErrorKind::Missing => own(py, "MissingError", message),
        ErrorKind::Cancelled => own(py, "CancelledError", message),
        ErrorKind::Lost => own(py, "KilledWorker", message),
        ErrorKind::Closed => own(py, "ClosedError", message),
        ErrorKind::Version => own(py, "VersionMismatchError", message),
        // `ErrorKind` may grow; what we do not know yet is a failed task.
        _ => own(py, "TaskError", message),
    }
}

/// An exception as an error of the engine, with the exception itself inside.
pub fn from_py(py: Python<'_>, error: PyErr) -> Error {
    if asks_again(py, &error) {
        return Again::error(summary(error.value(py).as_any()));
    }
    let kind = if error.is_instance_of::<PyKeyboardInterrupt>(py) { ErrorKind::Interrupted } else { ErrorKind::Task };
    let message = summary(error.value(py).as_any());
    Error::new(kind, message).with_payload(Value::new(ExceptionData::Live(error)))
}

/// Whether an exception of a task asks for the task to be run once more.
fn asks_again(py: Python<'_>, error: &PyErr) -> bool {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    CLASS.import(py, "oxidask.errors", "Reschedule").is_ok_and(|class| error.is_instance(py, class))
}

/// `ValueError: the message`, whatever the exception's `__str__` does.
fn summary(exception: &Bound<'_, PyAny>) -> String {
    let name = exception.get_type().name().map_or_else(|_| "an exception".to_owned(), |name| name.to_string());
    match exception.str() {
        Ok(text) if text.is_empty().unwrap_or(false) => name,
        Ok(text) => format!("{name}: {text}"),
        Err(_) => name,
    }
}

/// An exception that a user's function raised: data of kind `python.exception`.
pub enum ExceptionData {
    /// It was raised in this process.
    Live(PyErr),
    /// It came from another: [summary, traceback, pickle, large buffers …].
    Remote(Frames),
}

impl ExceptionData {
    fn raise(&self, py: Python<'_>) -> PyErr {
        match self {
            ExceptionData::Live(error) => error.clone_ref(py),
            ExceptionData::Remote(frames) => raise_remote(py, frames).unwrap_or_else(|error| error),
        }
    }
}

/// Rebuilds an exception from another process; the traceback there becomes its
/// cause, so that Python prints it above.
fn raise_remote(py: Python<'_>, frames: &Frames) -> PyResult<PyErr> {
    let text = |index: usize| {
        frames.buffers.get(index).map_or_else(String::new, |bytes| String::from_utf8_lossy(bytes).into_owned())
    };
    let (summary, traceback) = (text(0), text(1));
    let original = match frames.buffers.get(2..) {
        Some(buffers) if !buffers.is_empty() => {
            let frames = Frames { header: frames.header.clone(), buffers: buffers.to_vec() };
            pickle::loads(py, &frames).ok()
        }
        _ => None,
    };
    // Whoever sends us something that is no exception is treated as one whose
    // exception could not be pickled.
    let error = match original {
        Some(object) if object.is_instance_of::<pyo3::exceptions::PyBaseException>() => PyErr::from_value(object),
        _ => own(py, "TaskError", summary),
    };
    if !traceback.is_empty() && error.cause(py).is_none() {
        error.set_cause(py, Some(own(py, "RemoteTraceback", traceback)));
    }
    Ok(error)
}

/// The traceback as Python would print it.
pub fn traceback_text(py: Python<'_>, error: &PyErr) -> String {
    static FORMAT: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let format = || -> PyResult<String> {
        // The exception itself may not know its traceback before Python 3.12.
        let parts = (error.get_type(py), error.value(py), error.traceback(py));
        let lines = FORMAT.import(py, "traceback", "format_exception")?.call1(parts)?;
        lines.try_iter()?.map(|line| line?.extract::<String>()).collect()
    };
    format().unwrap_or_else(|_| summary(error.value(py).as_any()))
}

impl DataKind for ExceptionData {
    fn kind(&self) -> &'static str {
        "python.exception"
    }
}

impl Data for ExceptionData {
    fn nbytes(&self) -> u64 {
        match self {
            ExceptionData::Live(_) => 1024,
            ExceptionData::Remote(frames) => frames.nbytes(),
        }
    }

    fn encode(&self) -> Result<Frames> {
        let error = match self {
            ExceptionData::Live(error) => error,
            ExceptionData::Remote(frames) => return Ok(frames.clone()),
        };
        Ok(Python::attach(|py| {
            let value = error.value(py).as_any();
            // What cannot be read back must not be sent as if it could.
            let pickled = pickle::dumps(py, value).and_then(|frames| pickle::loads(py, &frames).map(|_| frames)).ok();
            let mut frames = pickled.unwrap_or_default();
            let texts = [summary(value), traceback_text(py, error)];
            frames.buffers.splice(0..0, texts.map(bytes::Bytes::from));
            frames
        }))
    }

    fn describe(&self) -> String {
        "an exception".to_owned()
    }
}

inventory::submit! {
    DataEntry { kind: "python.exception", decode: |frames| Ok(Value::new(ExceptionData::Remote(frames))) }
}

inventory::submit! {
    value::Conversion {
        kind: "python.exception",
        to_python: |py, value| Ok(value.expect::<ExceptionData>().or_raise()?.raise(py).into_value(py).into_any()),
    }
}

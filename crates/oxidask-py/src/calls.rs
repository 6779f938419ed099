//! The op of a mapped function: many independent calls in one op.
//!
//! `Client.map` makes thousands of small calls of one function. An op each would
//! cost more to build, send and decode than the calls themselves, so a few
//! hundred share a [`Calls`], and a task's block number says which of them it
//! makes. The arguments of each call are pickled apart, so that calls share
//! nothing and only the call that runs is unpickled.

use crate::call::{Function, finished, gil_lane, received_function};
use crate::error::OrError;
use crate::pickle;
use crate::value::to_value;
use bytes::Bytes;
use oxidask_core::registry::{OpCodec, OpEntry};
use oxidask_core::{Blob, EncodedOp, Error, ErrorKind, Frames, Lane, Op, Result, Value};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyTuple};
use std::borrow::Cow;
use std::sync::Arc;

/// Calls that share an op.
pub const CALLS_PER_OP: usize = 256;
/// Pickled arguments beyond this size are no small matter: such calls have ops
/// of their own, whose large buffers are not copied.
const ARGS_BYTES_MAX: usize = 16 << 10;

/// Calls of one function that differ in their positional arguments.
pub struct Calls {
    function: Arc<Function>,
    kwargs: Option<Kwargs>,
    /// A pickled tuple for each call.
    args: Vec<Bytes>,
}

/// Keyword arguments that all calls share.
#[derive(Clone)]
pub struct Kwargs {
    dict: Arc<Py<PyDict>>,
    blob: Blob,
}

impl Kwargs {
    /// Pickles keyword arguments.
    ///
    /// # Errors
    /// If one cannot be pickled.
    pub fn new(py: Python<'_>, dict: &Bound<'_, PyDict>) -> PyResult<Self> {
        let blob = Blob::new(pickle::dumps(py, dict.as_any())?);
        Ok(Kwargs { dict: Arc::new(dict.clone().unbind()), blob })
    }
}

impl Calls {
    /// Calls of `function`.
    pub fn new(function: Arc<Function>, kwargs: Option<Kwargs>, args: Vec<Bytes>) -> Self {
        Calls { function, kwargs, args }
    }
}

/// The pickled arguments of one call, or none if they are too large or too
/// special for [`Calls`].
pub fn pickled_args(args: &Bound<'_, PyTuple>) -> Option<Bytes> {
    static DUMPS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let py = args.py();
    let stream = DUMPS.import(py, "pickle", "dumps").ok()?.call1((args, 5)).ok()?.cast_into::<PyBytes>().ok()?;
    let stream = stream.as_bytes();
    // What belongs to the user's script needs cloudpickle.
    let is_plain = stream.len() <= ARGS_BYTES_MAX && !stream.windows(8).any(|window| window == b"__main__");
    is_plain.then(|| Bytes::copy_from_slice(stream))
}

impl Op for Calls {
    fn run(&self, block: u64, _inputs: &[Value]) -> Result<Value> {
        let args = usize::try_from(block).ok().and_then(|block| self.args.get(block)).ok_or_else(|| {
            Error::index(format!("there are {} mapped calls, and number {block} was asked for", self.args.len()))
        })?;
        Python::attach(|py| {
            let call = || -> PyResult<Value> {
                let frames = Frames { header: Bytes::new(), buffers: vec![args.clone()] };
                let args = pickle::loads(py, &frames)?.cast_into::<PyTuple>()?;
                let kwargs = self.kwargs.as_ref().map(|kwargs| kwargs.dict.bind(py).copy()).transpose()?;
                Ok(to_value(finished(self.function.object(py).call(args, kwargs.as_ref())?)?))
            };
            call().or_error(py)
        })
    }

    fn label(&self) -> Cow<'_, str> {
        Cow::Borrowed(self.function.label())
    }

    fn lane(&self) -> Option<&'static dyn Lane> {
        Some(gil_lane())
    }

    fn runs_user_code(&self) -> bool {
        true
    }
}

const KIND: &str = "python.calls";

impl OpCodec for Calls {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn encode(&self) -> Result<EncodedOp> {
        let mut blobs = vec![Python::attach(|py| self.function.blob(py))?];
        blobs.extend(self.kwargs.as_ref().map(|kwargs| kwargs.blob.clone()));
        let body = postcard::to_allocvec(&(&**self.function.label(), &self.args))?;
        Ok(EncodedOp { kind: KIND.to_owned(), body: body.into(), blobs })
    }
}

fn decode(encoded: &EncodedOp) -> Result<Arc<dyn Op>> {
    let (label, args): (String, Vec<Bytes>) = postcard::from_bytes(&encoded.body)?;
    let function = encoded
        .blobs
        .first()
        .ok_or_else(|| Error::new(ErrorKind::Version, "mapped calls arrived without their function"))?;
    Python::attach(|py| {
        let function = received_function(py, function, &label)
            .or_error(py)
            .map_err(|error| error.within(format!("unpickling the function '{label}'")))?;
        let kwargs = encoded.blobs.get(1).map(|blob| -> PyResult<Kwargs> {
            let dict = pickle::loads(py, &blob.frames)?.cast_into::<PyDict>()?;
            Ok(Kwargs { dict: Arc::new(dict.unbind()), blob: blob.clone() })
        });
        let kwargs = kwargs
            .transpose()
            .or_error(py)
            .map_err(|error| error.within(format!("unpickling the keyword arguments of '{label}'")))?;
        Ok(Arc::new(Calls { function, kwargs, args }) as Arc<dyn Op>)
    })
}

inventory::submit! { OpEntry { kind: KIND, decode } }

//! The way back from pandas: objects that Python functions made become partitions.

use super::partition::PyPartition;
use crate::call::{Function, PyCall, gil_lane};
use crate::error::OrError;
use crate::template::Template;
use crate::value::from_value;
use oxidask_core::registry::{OpCodec, OpEntry, decode_op};
use oxidask_core::{EncodedOp, Lane, Op, Result, Value};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use std::borrow::Cow;
use std::sync::Arc;

/// Calls a Python function that makes a partition of a pandas object, and checks
/// that it is what the plan says.
pub struct AdoptOp {
    call: Arc<dyn Op>,
}

impl AdoptOp {
    /// A call of `function` with the pandas object; more arguments are bound already.
    pub fn new(function: &Bound<'_, PyAny>) -> Self {
        AdoptOp { call: Arc::new(PyCall::new(Function::of(function), Template::of_inputs(1))) }
    }

    fn call(&self) -> &PyCall {
        let call: &dyn std::any::Any = &*self.call;
        call.downcast_ref().expect("it is made of a call only")
    }
}

impl Op for AdoptOp {
    fn run(&self, _block: u64, inputs: &[Value]) -> Result<Value> {
        Python::attach(|py| {
            let adopt = || -> PyResult<Value> {
                let object = from_value(py, &inputs[0])?.into_bound(py);
                let made = self.call().call(py, &[object])?;
                let partition = made.cast::<PyPartition>().map_err(|_| PyTypeError::new_err("no rows were made"))?;
                Ok(Value::new(partition.get().rows().clone()))
            };
            adopt().or_error(py)
        })
    }

    fn label(&self) -> Cow<'_, str> {
        Cow::Borrowed("from_pandas")
    }

    fn lane(&self) -> Option<&'static dyn Lane> {
        Some(gil_lane())
    }
}

const KIND: &str = "python.frame_adopt";

impl OpCodec for AdoptOp {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn encode(&self) -> Result<EncodedOp> {
        let inner = self.call.encode()?;
        let body = postcard::to_allocvec(&(inner.kind, &*inner.body))?;
        Ok(EncodedOp { kind: KIND.to_owned(), body: body.into(), blobs: inner.blobs })
    }
}

fn decode(encoded: &EncodedOp) -> Result<Arc<dyn Op>> {
    let (kind, body): (String, Vec<u8>) = postcard::from_bytes(&encoded.body)?;
    let call = decode_op(&EncodedOp { kind, body: body.into(), blobs: encoded.blobs.clone() })?;
    let is_call = (&*call as &dyn std::any::Any).is::<PyCall>();
    if !is_call {
        return Err(oxidask_core::Error::new(oxidask_core::ErrorKind::Version, "what makes rows of pandas is no call"));
    }
    Ok(Arc::new(AdoptOp { call }))
}

inventory::submit! { OpEntry { kind: KIND, decode } }

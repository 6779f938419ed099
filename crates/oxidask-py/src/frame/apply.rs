//! Users' functions on partitions: pandas in, pandas out.

use super::Shape;
use super::partition::{PyPartition, from_pandas, to_pandas};
use crate::call::{Function, PyCall, gil_lane};
use crate::error::OrError;
use crate::template::Template;
use oxidask_core::registry::{OpCodec, OpEntry, decode_op};
use oxidask_core::{EncodedOp, Lane, Op, Result, Value};
use oxidask_frame::Partition;
use pyo3::prelude::*;
use std::borrow::Cow;
use std::sync::Arc;

/// How an input appears to the function.
#[derive(Clone, serde::Serialize, serde::Deserialize)]
pub struct Appearance {
    /// The name of its [`Shape`].
    pub shape: String,
    /// The names of its index's levels.
    pub index_names: Vec<Option<String>>,
}

/// Calls a function with pandas objects of the inputs; its result becomes a
/// partition whose columns must be those of `columns`.
pub struct FrameCall {
    call: Arc<dyn Op>,
    inputs: Vec<Appearance>,
    columns: Vec<String>,
}

impl FrameCall {
    /// A call of `function` with one positional argument for every input; more
    /// arguments are bound to the function already.
    pub fn new(function: &Bound<'_, PyAny>, inputs: Vec<Appearance>, columns: Vec<String>) -> Self {
        let call = PyCall::new(Function::of(function), Template::of_inputs(inputs.len()));
        FrameCall { call: Arc::new(call), inputs, columns }
    }

    fn call(&self) -> &PyCall {
        let call: &dyn std::any::Any = &*self.call;
        call.downcast_ref().expect("it is made of a call only")
    }

    fn check(&self, rows: &Partition) -> Result<()> {
        let seen: Vec<&str> = rows.frame.get_column_names().into_iter().map(|name| &**name).collect();
        let seen: Vec<&str> = seen.into_iter().filter(|name| !oxidask_frame::value::is_hidden(name)).collect();
        if seen == self.columns {
            return Ok(());
        }
        let (label, expected) = (self.call.label(), self.columns.join(", "));
        Err(oxidask_core::Error::value(format!(
            "'{label}' answered the columns [{}], where its meta has [{expected}]",
            seen.join(", ")
        ))
        .with_hint("pass meta= with the columns and types that the function answers"))
    }
}

impl Op for FrameCall {
    fn run(&self, _block: u64, inputs: &[Value]) -> Result<Value> {
        Python::attach(|py| {
            let mut objects = Vec::with_capacity(inputs.len());
            for (value, input) in inputs.iter().zip(&self.inputs) {
                let rows = PyPartition::new(value.expect::<Partition>()?.clone());
                let object = to_pandas(py, rows, &input.shape, input.index_names.clone()).or_error(py)?;
                objects.push(object.into_bound(py));
            }
            let result = self.call().call(py, &objects).or_error(py)?;
            let rows = from_pandas(&result)?;
            self.check(&rows)?;
            Ok(Value::new(rows))
        })
    }

    fn label(&self) -> Cow<'_, str> {
        self.call.label()
    }

    fn lane(&self) -> Option<&'static dyn Lane> {
        Some(gil_lane())
    }

    fn runs_user_code(&self) -> bool {
        true
    }
}

const KIND: &str = "python.frame_call";

impl OpCodec for FrameCall {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn encode(&self) -> Result<EncodedOp> {
        let inner = self.call.encode()?;
        let body = postcard::to_allocvec(&(inner.kind, &*inner.body, &self.inputs, &self.columns))?;
        Ok(EncodedOp { kind: KIND.to_owned(), body: body.into(), blobs: inner.blobs })
    }
}

fn decode(encoded: &EncodedOp) -> Result<Arc<dyn Op>> {
    let (kind, body, inputs, columns): (String, Vec<u8>, Vec<Appearance>, Vec<String>) =
        postcard::from_bytes(&encoded.body)?;
    let call = decode_op(&EncodedOp { kind, body: body.into(), blobs: encoded.blobs.clone() })?;
    let is_call = (&*call as &dyn std::any::Any).is::<PyCall>();
    if !is_call {
        return Err(oxidask_core::Error::new(oxidask_core::ErrorKind::Version, "a call on frames holds no call"));
    }
    Ok(Arc::new(FrameCall { call, inputs, columns }))
}

inventory::submit! { OpEntry { kind: KIND, decode } }

/// Checked so that a typing mistake fails at the user's line.
pub fn checked(inputs: &[Appearance]) -> PyResult<()> {
    inputs.iter().try_for_each(|input| Shape::by_name(&input.shape).map(drop))
}

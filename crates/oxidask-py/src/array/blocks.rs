//! Blocks that a Python function makes: `map_blocks` and lazily read arrays.

use super::memory::from_numpy;
use crate::call::{Function, PyCall};
use crate::error::OrError;
use crate::template::Template;
use crate::value::{from_value, to_value};
use oxidask_array::chunks::{Chunks, shape_text};
use oxidask_array::{ArrayMeta, Block, DType};
use oxidask_core::registry::{OpCodec, OpEntry, decode_op};
use oxidask_core::{EncodedOp, Error, Lane, Op, Result, Value};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::borrow::Cow;
use std::sync::Arc;

/// Calls a Python function for a block and takes its NumPy array as the result.
pub struct ArrayCall {
    inner: Arc<dyn Op>,
    dtype: DType,
    chunks: Chunks,
    /// Whether the number of the block is the last argument.
    passes_block: bool,
}

impl ArrayCall {
    /// Calls of `function` with `n_inputs` blocks, and with the block's number
    /// if it is wanted.
    pub fn new(function: &Bound<'_, PyAny>, n_inputs: usize, meta: &ArrayMeta, passes_block: bool) -> Self {
        let template = Template::of_inputs(n_inputs + usize::from(passes_block));
        let inner = Arc::new(PyCall::new(Function::of(function), template));
        ArrayCall { inner, dtype: meta.dtype, chunks: meta.chunks.clone(), passes_block }
    }

    fn expected(&self, block: u64) -> oxidask_array::block::Dims {
        self.chunks.block_shape(&self.chunks.coordinates(block as usize))
    }

    /// The result of the function as a block of the announced shape and dtype.
    fn block_of(&self, py: Python<'_>, block: u64, result: &Value) -> Result<Value> {
        let convert = || -> PyResult<Block> {
            let object = from_value(py, result)?.into_bound(py);
            let options = PyDict::new(py);
            options.set_item("dtype", self.dtype.name())?;
            let array = py.import("numpy")?.call_method("asarray", (object,), Some(&options))?;
            from_numpy(&array)
        };
        let found = convert().or_error(py)?;
        let expected = self.expected(block);
        if found.shape() == expected.as_slice() {
            return Ok(Value::new(found));
        }
        Err(Error::value(format!(
            "'{}' returned an array of shape {} for block {block}, where {} was expected",
            self.inner.label(),
            shape_text(found.shape()),
            shape_text(&expected)
        ))
        .with_hint("say the shapes of the results with chunks=, drop_axis= or new_axis="))
    }
}

impl Op for ArrayCall {
    fn run(&self, block: u64, inputs: &[Value]) -> Result<Value> {
        Python::attach(|py| {
            let result = if self.passes_block {
                let number = block.into_pyobject(py).map_err(PyErr::from).or_error(py)?;
                let mut all = inputs.to_vec();
                all.push(to_value(number.into_any()));
                self.inner.run(block, &all)?
            } else {
                self.inner.run(block, inputs)?
            };
            self.block_of(py, block, &result)
        })
    }

    fn label(&self) -> Cow<'_, str> {
        self.inner.label()
    }

    fn output_bytes(&self, block: u64, _: &[Option<u64>]) -> Option<u64> {
        Some((self.expected(block).iter().product::<usize>() * self.dtype.itemsize()) as u64)
    }

    fn lane(&self) -> Option<&'static dyn Lane> {
        self.inner.lane()
    }

    fn runs_user_code(&self) -> bool {
        true
    }
}

const KIND: &str = "python.array.call";

impl OpCodec for ArrayCall {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn encode(&self) -> Result<EncodedOp> {
        let inner = self.inner.encode()?;
        let body = postcard::to_allocvec(&(self.dtype, &self.chunks, self.passes_block, inner.kind, &*inner.body))?;
        Ok(EncodedOp { kind: KIND.to_owned(), body: body.into(), blobs: inner.blobs })
    }
}

fn decode(encoded: &EncodedOp) -> Result<Arc<dyn Op>> {
    let (dtype, chunks, passes_block, kind, body): (DType, Chunks, bool, String, Vec<u8>) =
        postcard::from_bytes(&encoded.body)?;
    let inner = decode_op(&EncodedOp { kind, body: body.into(), blobs: encoded.blobs.clone() })?;
    Ok(Arc::new(ArrayCall { inner, dtype, chunks, passes_block }))
}

inventory::submit! { OpEntry { kind: KIND, decode } }

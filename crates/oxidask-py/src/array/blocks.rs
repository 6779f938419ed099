//! The one op of arrays that calls Python: a function makes a block from others.

use super::memory::from_numpy;
use crate::call::{Function, gil_lane, received_function};
use crate::error::OrError;
use crate::foreign::unwrapped;
use crate::value::{from_value, to_value};
use oxidask_array::chunks::{Chunks, shape_text};
use oxidask_array::{ArrayMeta, Block, DType};
use oxidask_core::registry::{OpCodec, OpEntry};
use oxidask_core::{EncodedOp, Error, ErrorKind, Lane, Op, Result, Value};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use std::borrow::Cow;
use std::sync::Arc;

/// What is announced of the results that the engine is to take over.
#[derive(Clone, serde::Serialize, serde::Deserialize)]
struct Announced {
    dtype: DType,
    chunks: Chunks,
}

impl Announced {
    fn shape(&self, block: u64) -> oxidask_array::block::Dims {
        self.chunks.block_shape(&self.chunks.coordinates(block as usize))
    }
}

/// Calls a Python function with a task's inputs, however many they are. Its
/// NumPy array becomes a block of the engine if dtype and chunks were announced,
/// and stays the object that it is otherwise.
pub struct ArrayCall {
    function: Arc<Function>,
    announced: Option<Announced>,
    /// Whether the number of the block is the last argument.
    passes_block: bool,
}

impl ArrayCall {
    /// Calls of `function` with the input blocks, and with the block's number if
    /// it is wanted.
    pub fn new(function: &Bound<'_, PyAny>, meta: Option<&ArrayMeta>, passes_block: bool) -> Self {
        let announced = meta.map(|meta| Announced { dtype: meta.dtype, chunks: meta.chunks.clone() });
        ArrayCall { function: Function::of(function), announced, passes_block }
    }

    fn call<'py>(&self, py: Python<'py>, block: u64, inputs: &[Value]) -> PyResult<Bound<'py, PyAny>> {
        let mut args: Vec<Bound<'py, PyAny>> = Vec::with_capacity(inputs.len() + 1);
        for value in inputs {
            let object = from_value(py, value)?.into_bound(py);
            // What came by way of another scheduler is wrapped.
            let inner = unwrapped(object.clone());
            args.push(if inner.get::<Block>().is_some() { from_value(py, &inner)?.into_bound(py) } else { object });
        }
        if self.passes_block {
            args.push(block.into_pyobject(py)?.into_any());
        }
        self.function.object(py).call1(PyTuple::new(py, args)?)
    }

    /// The result of the function as a block of the announced shape and dtype.
    fn taken(&self, announced: &Announced, block: u64, result: &Bound<'_, PyAny>) -> Result<Value> {
        let py = result.py();
        let convert = || -> PyResult<Block> {
            let options = PyDict::new(py);
            options.set_item("dtype", announced.dtype.name())?;
            // The engine reads elements where they lie, so they must be aligned.
            options.set_item("requirements", "A")?;
            from_numpy(&py.import("numpy")?.call_method("require", (result,), Some(&options))?)
        };
        let found = convert().or_error(py)?;
        let expected = announced.shape(block);
        if found.shape() == expected.as_slice() {
            return Ok(Value::new(found));
        }
        Err(Error::value(format!(
            "'{}' returned an array of shape {} for block {block}, where {} was expected",
            self.function.label(),
            shape_text(found.shape()),
            shape_text(&expected)
        ))
        .with_hint("say the shapes of the results with chunks=, drop_axis= or new_axis="))
    }
}

impl Op for ArrayCall {
    fn run(&self, block: u64, inputs: &[Value]) -> Result<Value> {
        Python::attach(|py| {
            let result = self.call(py, block, inputs).or_error(py)?;
            match &self.announced {
                Some(announced) => self.taken(announced, block, &result),
                None => Ok(to_value(result)),
            }
        })
    }

    fn label(&self) -> Cow<'_, str> {
        Cow::Borrowed(self.function.label())
    }

    fn output_bytes(&self, block: u64, _: &[Option<u64>]) -> Option<u64> {
        let announced = self.announced.as_ref()?;
        Some((announced.shape(block).iter().product::<usize>() * announced.dtype.itemsize()) as u64)
    }

    fn lane(&self) -> Option<&'static dyn Lane> {
        Some(gil_lane())
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
        let function = Python::attach(|py| self.function.blob(py))?;
        let body = postcard::to_allocvec(&(&**self.function.label(), &self.announced, self.passes_block))?;
        Ok(EncodedOp { kind: KIND.to_owned(), body: body.into(), blobs: vec![function] })
    }
}

fn decode(encoded: &EncodedOp) -> Result<Arc<dyn Op>> {
    let (label, announced, passes_block): (String, Option<Announced>, bool) = postcard::from_bytes(&encoded.body)?;
    let function = encoded
        .blobs
        .first()
        .ok_or_else(|| Error::new(ErrorKind::Version, "a call for a block arrived without its function"))?;
    Python::attach(|py| {
        let function = received_function(py, function, &label)
            .or_error(py)
            .map_err(|error| error.within(format!("unpickling the function '{label}'")))?;
        Ok(Arc::new(ArrayCall { function, announced, passes_block }) as Arc<dyn Op>)
    })
}

inventory::submit! { OpEntry { kind: KIND, decode } }

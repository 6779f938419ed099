//! Sizes of chunks that only computing tells.

use super::wired::{Wired, Wiring};
use super::{ArrayMeta, meta_of, only};
use crate::block::{Block, Dims};
use crate::chunks::Chunks;
use crate::dtype::DType;
use oxidask_core::graph::{Blocks, Graph};
use oxidask_core::{Error, Expr, ExprRef, Inputs, Key, KeyHasher, Op, Result, Value};
use oxidask_macros::op;
use serde::{Deserialize, Serialize};
use std::any::Any;
use std::borrow::Cow;
use std::sync::Arc;

/// The same blocks with chunk sizes that are known now. It costs no task.
pub struct Sized {
    inputs: Inputs,
    key: Key,
    meta: ArrayMeta,
}

impl Sized {
    /// A node of the same blocks, in as many chunks.
    ///
    /// # Errors
    /// If the numbers of chunks differ.
    pub fn build(input: &ExprRef, chunks: Chunks) -> Result<ExprRef> {
        let meta = meta_of(input)?;
        if meta.chunks.numblocks() != chunks.numblocks() {
            return Err(Error::value("chunk sizes were given for another number of chunks"));
        }
        let key = chunks.hash(KeyHasher::new("array.sized")).key(input.key()).finish();
        let meta = ArrayMeta { chunks, dtype: meta.dtype };
        Ok(Arc::new(Sized { inputs: vec![input.clone()].into(), key, meta }))
    }
}

impl Expr for Sized {
    fn key(&self) -> Key {
        self.key
    }

    fn label(&self) -> Cow<'_, str> {
        Cow::Borrowed("sized")
    }

    fn inputs(&self) -> &[ExprRef] {
        &self.inputs
    }

    fn with_inputs(&self, inputs: Vec<ExprRef>) -> Result<ExprRef> {
        Sized::build(&only(inputs)?, self.meta.chunks.clone())
    }

    fn lower(&self, inputs: &[Blocks], _: &mut Graph) -> Result<Blocks> {
        Ok(inputs[0].clone())
    }

    fn meta(&self) -> &(dyn Any + Send + Sync) {
        &self.meta
    }
}

/// A node of the lengths of an array's chunks along an axis, one block each.
///
/// # Errors
/// If the input is no array.
pub fn lengths(input: &ExprRef, axis: usize) -> Result<ExprRef> {
    let chunks = meta_of(input)?.chunks.clone();
    let sizes = vec![1; chunks.n_along(axis)];
    let wiring: Wiring = Arc::new(move |block, read| {
        let mut coordinates = Dims::from_elem(0, chunks.ndim());
        coordinates[axis] = block;
        read(0, chunks.number(&coordinates));
    });
    let meta = ArrayMeta { chunks: Chunks::from_sizes([sizes]), dtype: DType::I64 };
    Wired::build(Arc::new(LengthOp { axis }), wiring, vec![input.clone()], meta)
}

/// The length of a block along an axis.
#[op("array.length")]
#[derive(Serialize, Deserialize)]
struct LengthOp {
    axis: usize,
}

impl Op for LengthOp {
    fn run(&self, _: u64, inputs: &[Value]) -> Result<Value> {
        let block = inputs.first().ok_or_else(|| Error::value("a length got no block"))?.expect::<Block>()?;
        let length = block.shape().get(self.axis).copied().unwrap_or(0);
        Ok(Value::new(Block::from_vec(vec![length as i64], &[1])))
    }

    fn label(&self) -> Cow<'_, str> {
        Cow::Borrowed("chunk-size")
    }

    fn output_bytes(&self, _: u64, _: &[Option<u64>]) -> Option<u64> {
        Some(8)
    }
}

//! The same elements in another shape, block by block.
//!
//! Works where every block of the input is one block of the result: the
//! builder in `array` rechunks the input so that this is so.

use super::{ArrayMeta, only};
use crate::block::{Block, Dims};
use crate::chunks::Chunks;
use oxidask_core::graph::{Blocks, Graph};
use oxidask_core::{Error, Expr, ExprRef, Inputs, Key, KeyHasher, Op, Result, Value};
use oxidask_macros::op;
use serde::{Deserialize, Serialize};
use std::any::Any;
use std::borrow::Cow;
use std::sync::Arc;

/// An array whose blocks are those of the input in another shape.
pub struct Reshape {
    inputs: Inputs,
    key: Key,
    meta: ArrayMeta,
}

/// Chunks of an input and of its reshaped form that match block by block.
pub struct Matched {
    /// What the input must be rechunked to.
    pub input: Chunks,
    /// The chunks of the result.
    pub output: Chunks,
}

/// Finds chunks for a reshape. Axes that stay as they are keep their chunks;
/// where axes are joined or cut, the first one of a group keeps its chunks if
/// they fit and the others become whole.
#[must_use]
pub fn matched(chunks: &Chunks, shape: &[usize]) -> Matched {
    let old = chunks.shape();
    let (mut input, mut output) = (Vec::new(), Vec::new());
    let (mut i, mut j) = (0, 0);
    while i < old.len() || j < shape.len() {
        let (first_i, first_j) = (i, j);
        let (mut a, mut b) = (1, 1);
        // The smallest group of axes on either side with as many elements.
        loop {
            if i < old.len() && (a <= b || j == shape.len()) {
                a *= old[i];
                i += 1;
            } else if j < shape.len() {
                b *= shape[j];
                j += 1;
            }
            let done = i == old.len() && j == shape.len();
            if done || (a == b && i > first_i && j > first_j) {
                break;
            }
        }
        group(chunks, &old, shape, (first_i..i, first_j..j), (&mut input, &mut output));
    }
    Matched { input: Chunks::from_borders(input), output: Chunks::from_borders(output) }
}

type Borders = Vec<Arc<[usize]>>;

fn group(
    chunks: &Chunks,
    old: &[usize],
    new: &[usize],
    (from, to): (std::ops::Range<usize>, std::ops::Range<usize>),
    (input, output): (&mut Borders, &mut Borders),
) {
    if from.len() == 1 && to.len() == 1 {
        input.push(chunks.borders(from.start).clone());
        output.push(chunks.borders(from.start).clone());
        return;
    }
    // Leading axes of length one carry no borders.
    let lead = |shape: &[usize], range: &std::ops::Range<usize>| range.clone().find(|&axis| shape[axis] != 1);
    let (i, j) = (lead(old, &from), lead(new, &to));
    let rest = |shape: &[usize], at: usize, end: usize| shape[at + 1..end].iter().product::<usize>();
    let fit = match (i, j) {
        (Some(i), Some(j)) => {
            let (rest_old, rest_new) = (rest(old, i, from.end), rest(new, j, to.end));
            let scaled: Option<Vec<usize>> = chunks
                .borders(i)
                .iter()
                .map(|border| {
                    let elements = border * rest_old;
                    (rest_new > 0 && elements.is_multiple_of(rest_new)).then(|| elements / rest_new)
                })
                .collect();
            scaled.map(|scaled| (i, j, scaled))
        }
        _ => None,
    };
    for axis in from {
        input.push(match &fit {
            Some((i, ..)) if *i == axis => chunks.borders(axis).clone(),
            _ => [0, old[axis]].into(),
        });
    }
    for axis in to {
        output.push(match &fit {
            Some((_, j, scaled)) if *j == axis => scaled.as_slice().into(),
            _ => [0, new[axis]].into(),
        });
    }
}

impl Reshape {
    /// A node of the input's blocks in the shapes of `chunks`.
    ///
    /// # Errors
    /// If the blocks do not match one by one.
    pub fn build(input: &ExprRef, chunks: Chunks) -> Result<ExprRef> {
        let meta = super::meta_of(input)?;
        let matches = meta.chunks.n_blocks() == chunks.n_blocks()
            && !chunks.has_unknown()
            && (0..chunks.n_blocks()).all(|block| meta.chunks.block_len(block) == chunks.block_len(block));
        if !matches {
            return Err(Error::value("the blocks of a reshape do not match one by one"));
        }
        let key = chunks.hash(KeyHasher::new("array.reshape")).key(input.key()).finish();
        let meta = ArrayMeta { chunks, dtype: meta.dtype };
        Ok(Arc::new(Reshape { inputs: vec![input.clone()].into(), key, meta }))
    }
}

impl Expr for Reshape {
    fn key(&self) -> Key {
        self.key
    }

    fn label(&self) -> Cow<'_, str> {
        Cow::Borrowed("reshape")
    }

    fn inputs(&self) -> &[ExprRef] {
        &self.inputs
    }

    fn with_inputs(&self, inputs: Vec<ExprRef>) -> Result<ExprRef> {
        Reshape::build(&only(inputs)?, self.meta.chunks.clone())
    }

    fn lower(&self, inputs: &[Blocks], graph: &mut Graph) -> Result<Blocks> {
        let op = Arc::new(ReshapeOp { chunks: self.meta.chunks.clone(), itemsize: self.meta.dtype.itemsize() });
        Ok(graph.blocks(self.key, op, self.meta.chunks.n_blocks(), |block, reads| reads.push(inputs[0][block])))
    }

    fn meta(&self) -> &(dyn Any + Send + Sync) {
        &self.meta
    }

    fn describe(&self) -> String {
        format!("reshape {:?}", self.meta.shape().as_slice())
    }
}

/// Gives one block another shape.
#[op("array.reshape")]
#[derive(Serialize, Deserialize)]
struct ReshapeOp {
    chunks: Chunks,
    itemsize: usize,
}

impl Op for ReshapeOp {
    fn run(&self, block: u64, inputs: &[Value]) -> Result<Value> {
        let shape: Dims = self.chunks.block_shape(&self.chunks.coordinates(block as usize));
        let input = inputs.first().ok_or_else(|| Error::value("a reshape got no input"))?.expect::<Block>()?;
        if input.len() != shape.iter().product::<usize>() {
            return Err(Error::value(format!("a block of shape {:?} cannot become {shape:?}", input.shape())));
        }
        Ok(Value::new(input.reshaped(&shape)))
    }

    fn label(&self) -> Cow<'_, str> {
        Cow::Borrowed("reshape")
    }

    fn output_bytes(&self, block: u64, _: &[Option<u64>]) -> Option<u64> {
        self.chunks.block_bytes(block as usize, self.itemsize)
    }
}

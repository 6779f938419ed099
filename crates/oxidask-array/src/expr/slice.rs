//! Basic slices. They move towards the sources, so that only what is needed is
//! made or read; where they cannot, every block is sliced on its own.

use super::blockwise::Blockwise;
use super::map_blocks::MapBlocks;
use super::rechunk::Rechunk;
use super::reduce::Reduce;
use super::source::Source;
use super::{ArrayMeta, meta_of, node, only};
use crate::block::{Block, Dims, Strides};
use crate::chunks::{AxisPieces, UNKNOWN};
use crate::index::{Pick, Range};
use oxidask_core::graph::{Blocks, Graph};
use oxidask_core::{Error, Expr, ExprRef, Inputs, Key, KeyHasher, Op, Result, Uses, Value};
use oxidask_macros::op;
use serde::{Deserialize, Serialize};
use std::any::Any;
use std::borrow::Cow;
use std::sync::Arc;

/// Some positions of every axis of an array.
pub struct Slice {
    picks: Vec<Pick>,
    pieces: Vec<AxisPieces>,
    inputs: Inputs,
    key: Key,
    meta: ArrayMeta,
}

impl Slice {
    /// A node of what `picks` take; the input itself if that is everything.
    ///
    /// # Errors
    /// If there is not one pick for each axis.
    pub fn build(input: &ExprRef, picks: Vec<Pick>) -> Result<ExprRef> {
        let meta = meta_of(input)?;
        if picks.len() != meta.chunks.ndim() {
            return Err(Error::value(format!("{} picks for {} axes", picks.len(), meta.chunks.ndim())));
        }
        let is_everything = picks
            .iter()
            .enumerate()
            .all(|(axis, pick)| matches!(pick, Pick::Range(range) if range.is_full(meta.chunks.length(axis))));
        let (chunks, pieces) = meta.chunks.picked(&picks);
        if is_everything && chunks == meta.chunks {
            return Ok(input.clone());
        }
        let key = KeyHasher::new("array.slice").params(&picks).key(input.key()).finish();
        let meta = ArrayMeta { chunks, dtype: meta.dtype };
        Ok(Arc::new(Slice { picks, pieces, inputs: vec![input.clone()].into(), key, meta }))
    }
}

/// The picks of a slice of a slice.
fn merged(inner: &[Pick], outer: &[Pick]) -> Vec<Pick> {
    let mut outer = outer.iter();
    inner
        .iter()
        .map(|&pick| match pick {
            Pick::At(_) => pick,
            Pick::Range(range) => match outer.next() {
                Some(&Pick::At(position)) => {
                    Pick::At(range.start.saturating_add_signed(position as isize * range.step))
                }
                Some(&Pick::Range(next)) => Pick::Range(range.then(next)),
                None => pick,
            },
        })
        .collect()
}

impl Expr for Slice {
    fn key(&self) -> Key {
        self.key
    }

    fn label(&self) -> Cow<'_, str> {
        Cow::Borrowed("getitem")
    }

    fn inputs(&self) -> &[ExprRef] {
        &self.inputs
    }

    fn with_inputs(&self, inputs: Vec<ExprRef>) -> Result<ExprRef> {
        Slice::build(&only(inputs)?, self.picks.clone())
    }

    fn rewrite(&self, uses: &Uses) -> Result<Option<ExprRef>> {
        let input = &self.inputs[0];
        if let Some(slice) = node::<Slice>(input) {
            return Slice::build(&slice.inputs[0], merged(&slice.picks, &self.picks)).map(Some);
        }
        if let Some(source) = node::<Source>(input) {
            return Ok(Some(source.picked(&self.picks)));
        }
        let is_single = uses.is_single(input);
        if let Some(blockwise) = node::<Blockwise>(input)
            && (is_single || blockwise.body.is_generated() || blockwise.body.is_view())
        {
            return blockwise.picked(&self.picks).map(Some);
        }
        if let Some(map_blocks) = node::<MapBlocks>(input)
            && is_single
        {
            return map_blocks.picked(&self.picks);
        }
        if let Some(reduce) = node::<Reduce>(input)
            && is_single
        {
            return reduce.picked(&self.picks);
        }
        if let Some(rechunk) = node::<Rechunk>(input)
            && is_single
        {
            let sliced = Slice::build(&rechunk.inputs()[0], self.picks.clone())?;
            return Ok(Some(Rechunk::build(&sliced, self.meta.chunks.clone())?));
        }
        Ok(None)
    }

    fn lower(&self, inputs: &[Blocks], graph: &mut Graph) -> Result<Blocks> {
        let chunks = &meta_of(&self.inputs[0])?.chunks;
        let op = Arc::new(SliceOp {
            picks: self.picks.clone(),
            pieces: self.pieces.clone(),
            itemsize: self.meta.dtype.itemsize(),
        });
        Ok(graph.blocks(self.key, op.clone(), self.meta.chunks.n_blocks(), |block, task_inputs| {
            let coordinates = op.coordinates(block);
            let from: Dims = coordinates.iter().zip(&self.pieces).map(|(&at, pieces)| pieces[at].0).collect();
            task_inputs.push(inputs[0][chunks.number(&from)]);
        }))
    }

    fn meta(&self) -> &(dyn Any + Send + Sync) {
        &self.meta
    }

    fn describe(&self) -> String {
        let picks: Vec<String> = self
            .picks
            .iter()
            .map(|pick| match pick {
                Pick::At(position) => position.to_string(),
                Pick::Range(Range { start, step, len }) => format!("{start}:{step}:#{len}"),
            })
            .collect();
        format!("getitem [{}]", picks.join(", "))
    }
}

/// Takes the piece of one block.
#[op("array.slice")]
#[derive(Serialize, Deserialize)]
struct SliceOp {
    picks: Vec<Pick>,
    pieces: Vec<AxisPieces>,
    itemsize: usize,
}

impl SliceOp {
    /// For each axis of the input, which of its pieces makes this block.
    fn coordinates(&self, block: usize) -> Dims {
        let mut rest = block;
        let mut coordinates = Dims::from_elem(0, self.pieces.len());
        for (at, pieces) in coordinates.iter_mut().zip(&self.pieces).rev() {
            *at = rest % pieces.len();
            rest /= pieces.len();
        }
        coordinates
    }

    fn ranges(&self, block: u64) -> Vec<Range> {
        self.coordinates(block as usize).iter().zip(&self.pieces).map(|(&at, pieces)| pieces[at].1).collect()
    }
}

impl Op for SliceOp {
    fn run(&self, block: u64, inputs: &[Value]) -> Result<Value> {
        let mut ranges = self.ranges(block);
        let input = inputs.first().ok_or_else(|| Error::value("a slice got no input"))?.expect::<Block>()?;
        for (range, &length) in ranges.iter_mut().zip(input.shape()) {
            if range.len == UNKNOWN {
                *range = Range::full(length);
            }
        }
        let inside = input.shape().len() == ranges.len()
            && ranges.iter().zip(input.shape()).all(|(range, &length)| {
                let last = range.start as i128 + range.step as i128 * (range.len as i128 - 1);
                range.len == 0 || ((range.start as i128) < length as i128 && (0..length as i128).contains(&last))
            });
        if !inside {
            return Err(Error::value(format!("a slice does not fit a block of shape {:?}", input.shape())));
        }
        let sliced = input.sliced(&ranges);
        let kept: Vec<usize> = (0..ranges.len()).filter(|&axis| matches!(self.picks[axis], Pick::Range(_))).collect();
        let shape: Dims = kept.iter().map(|&axis| sliced.shape()[axis]).collect();
        let strides: Strides = kept.iter().map(|&axis| sliced.strides()[axis]).collect();
        let view = sliced.view(0, shape, strides);
        // A small view would keep all of a large block alive.
        let keeps_much = view.len() * 2 < input.len();
        Ok(Value::new(if keeps_much { view.to_owned_copy() } else { view }))
    }

    fn label(&self) -> Cow<'_, str> {
        Cow::Borrowed("getitem")
    }

    fn output_bytes(&self, block: u64, _: &[Option<u64>]) -> Option<u64> {
        let ranges = self.ranges(block);
        let is_known = ranges.iter().all(|range| range.len != UNKNOWN);
        is_known.then(|| (ranges.iter().map(|range| range.len).product::<usize>() * self.itemsize) as u64)
    }
}

//! Other chunks for the same array: every block is split once into the parts
//! that different new blocks need, and every new block gathers its parts, so
//! that the number of tasks is that of old and new blocks together.

use super::blockwise::Blockwise;
use super::source::Source;
use super::{ArrayMeta, meta_of, node, only};
use crate::block::{Block, Dims, allocate, contiguous_strides};
use crate::chunks::Chunks;
use crate::dispatch;
use crate::dtype::DType;
use crate::evaluate::copy_into;
use crate::index::Range;
use oxidask_core::graph::{Blocks, Graph, Input};
use oxidask_core::value::Parts;
use oxidask_core::{Error, Expr, ExprRef, Inputs, Key, KeyHasher, Op, Result, Uses, Value};
use oxidask_macros::op;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use std::any::Any;
use std::borrow::Cow;
use std::sync::Arc;

/// An array with other chunks.
pub struct Rechunk {
    inputs: Inputs,
    key: Key,
    meta: ArrayMeta,
}

impl Rechunk {
    /// A node of the same array with other chunks; the input itself if they are
    /// the ones it has.
    ///
    /// # Errors
    /// If the input is no array.
    pub fn build(input: &ExprRef, chunks: Chunks) -> Result<ExprRef> {
        let meta = meta_of(input)?;
        debug_assert_eq!(meta.chunks.shape(), chunks.shape());
        if meta.chunks == chunks {
            return Ok(input.clone());
        }
        let key = chunks.hash(KeyHasher::new("array.rechunk")).key(input.key()).finish();
        let meta = ArrayMeta { chunks, dtype: meta.dtype };
        Ok(Arc::new(Rechunk { inputs: vec![input.clone()].into(), key, meta }))
    }
}

impl Expr for Rechunk {
    fn key(&self) -> Key {
        self.key
    }

    fn label(&self) -> Cow<'_, str> {
        Cow::Borrowed("rechunk")
    }

    fn inputs(&self) -> &[ExprRef] {
        &self.inputs
    }

    fn with_inputs(&self, inputs: Vec<ExprRef>) -> Result<ExprRef> {
        Rechunk::build(&only(inputs)?, self.meta.chunks.clone())
    }

    fn rewrite(&self, uses: &Uses) -> Result<Option<ExprRef>> {
        let input = &self.inputs[0];
        if let Some(rechunk) = node::<Rechunk>(input) {
            return Rechunk::build(&rechunk.inputs[0], self.meta.chunks.clone()).map(Some);
        }
        if let Some(source) = node::<Source>(input) {
            return Ok(Some(source.rechunked(&self.meta.chunks)));
        }
        let Some(blockwise) = node::<Blockwise>(input) else { return Ok(None) };
        // A long program over generators is not worth running twice.
        let is_cheap = uses.is_single(input) || blockwise.body.program.steps().is_empty();
        Ok(if is_cheap { blockwise.rechunked(&self.meta.chunks) } else { None })
    }

    fn lower(&self, inputs: &[Blocks], graph: &mut Graph) -> Result<Blocks> {
        let plan = Plan { old: meta_of(&self.inputs[0])?.chunks.clone(), new: self.meta.chunks.clone() };
        let n_old = plan.old.n_blocks();
        let overlaps = plan.overlaps();
        let split = graph.stage(Arc::new(SplitOp { plan: plan.clone(), itemsize: self.meta.dtype.itemsize() }));
        let split_key = KeyHasher::new("array.rechunk.split").key(self.key).finish();
        let split_tasks: Vec<Option<u32>> = (0..n_old)
            .map(|block| {
                (overlaps.n_parts(&plan.old.coordinates(block)) > 1)
                    .then(|| graph.task(split_key.block(block as u64), split, block as u32, &[inputs[0][block]]))
            })
            .collect();
        let gather = Arc::new(GatherOp { plan: plan.clone(), dtype: self.meta.dtype });
        let mut reads: SmallVec<[Input; 8]> = SmallVec::new();
        let stage = graph.stage(gather);
        Ok((0..plan.new.n_blocks())
            .map(|block| {
                let coordinates = plan.new.coordinates(block);
                reads.clear();
                plan.pieces_of(&coordinates, |old, _, _| {
                    let number = plan.old.number(old);
                    reads.push(match split_tasks[number] {
                        Some(task) => Input::part(task, overlaps.part(old, &coordinates)),
                        None => inputs[0][number],
                    });
                });
                Input::whole(graph.task(self.key.block(block as u64), stage, block as u32, &reads))
            })
            .collect())
    }

    fn meta(&self) -> &(dyn Any + Send + Sync) {
        &self.meta
    }

    fn describe(&self) -> String {
        format!("rechunk {:?}", self.meta.chunks.chunksize().as_slice())
    }
}

/// Old and new chunks of one array.
#[derive(Clone, Serialize, Deserialize)]
struct Plan {
    old: Chunks,
    new: Chunks,
}

/// For each axis and old chunk, the first new chunk that it overlaps and how
/// many it does.
struct Overlaps(Vec<Vec<(usize, usize)>>);

impl Overlaps {
    fn n_parts(&self, old: &[usize]) -> usize {
        old.iter().zip(&self.0).map(|(&at, axis)| axis[at].1).product()
    }

    /// Which part of an old block a new block reads.
    fn part(&self, old: &[usize], new: &[usize]) -> u32 {
        old.iter().zip(new).zip(&self.0).fold(0, |part, ((&old, &new), axis)| {
            let (first, count) = axis[old];
            part * count as u32 + (new - first) as u32
        })
    }
}

/// The chunks of `borders` that overlap the positions `from .. to`.
fn overlapping(borders: &[usize], from: usize, to: usize) -> std::ops::Range<usize> {
    if from == to {
        return 0..0;
    }
    let first = borders.partition_point(|&border| border <= from) - 1;
    let end = borders.partition_point(|&border| border < to);
    first..end
}

impl Plan {
    fn overlaps(&self) -> Overlaps {
        Overlaps(
            (0..self.old.ndim())
                .map(|axis| {
                    let new = self.new.borders(axis);
                    self.old
                        .borders(axis)
                        .windows(2)
                        .map(|pair| {
                            let range = overlapping(new, pair[0], pair[1]);
                            (range.start, range.len())
                        })
                        .collect()
                })
                .collect(),
        )
    }

    /// Calls `each` for every old block that a new block overlaps, in C order,
    /// with the old coordinates, where the piece begins in the new block, and
    /// its shape.
    fn pieces_of(&self, new: &[usize], mut each: impl FnMut(&[usize], &[usize], &[usize])) {
        pieces(&self.new, &self.old, new, &mut each);
    }
}

/// Takes a block's coordinates, where the piece begins in it, and the piece's
/// shape.
type EachPiece<'a> = &'a mut dyn FnMut(&[usize], &[usize], &[usize]);

/// Walks over the blocks of `other` that overlap block `at` of `own`.
fn pieces(own: &Chunks, other: &Chunks, at: &[usize], each: EachPiece<'_>) {
    let (start, shape) = (own.block_start(at), own.block_shape(at));
    let ranges: SmallVec<[std::ops::Range<usize>; 4]> =
        (0..own.ndim()).map(|axis| overlapping(other.borders(axis), start[axis], start[axis] + shape[axis])).collect();
    if ranges.iter().any(|range| range.is_empty()) {
        return;
    }
    let mut coordinates: Dims = ranges.iter().map(|range| range.start).collect();
    let (mut begin, mut extent) = (Dims::from_elem(0, own.ndim()), Dims::from_elem(0, own.ndim()));
    loop {
        for axis in 0..own.ndim() {
            let borders = other.borders(axis);
            let low = borders[coordinates[axis]].max(start[axis]);
            let high = borders[coordinates[axis] + 1].min(start[axis] + shape[axis]);
            begin[axis] = low - start[axis];
            extent[axis] = high - low;
        }
        // Empty chunks in between overlap nothing but lie between the borders.
        if !extent.contains(&0) {
            each(&coordinates, &begin, &extent);
        }
        let mut axis = own.ndim();
        loop {
            if axis == 0 {
                return;
            }
            axis -= 1;
            coordinates[axis] += 1;
            if coordinates[axis] < ranges[axis].end {
                break;
            }
            coordinates[axis] = ranges[axis].start;
        }
    }
}

/// Cuts an old block into the parts that new blocks need, as views.
#[op("array.split")]
#[derive(Serialize, Deserialize)]
struct SplitOp {
    plan: Plan,
    itemsize: usize,
}

impl Op for SplitOp {
    fn run(&self, block: u64, inputs: &[Value]) -> Result<Value> {
        let coordinates = self.plan.old.coordinates(block as usize);
        let input = inputs.first().ok_or_else(|| Error::value("a split got no input"))?.expect::<Block>()?;
        check_shape(input, &self.plan.old.block_shape(&coordinates))?;
        let overlaps = self.plan.overlaps();
        let mut parts = vec![None; overlaps.n_parts(&coordinates)];
        pieces(&self.plan.old, &self.plan.new, &coordinates, &mut |new, begin, extent| {
            let ranges: Vec<Range> =
                begin.iter().zip(extent).map(|(&start, &len)| Range { start, step: 1, len }).collect();
            parts[overlaps.part(&coordinates, new) as usize] = Some(Value::new(input.sliced(&ranges)));
        });
        // Parts that no new block reads belong to empty chunks.
        let empty = || Value::new(Block::from_vec(Vec::<u8>::new(), &[0]));
        Ok(Value::new(Parts(parts.into_iter().map(|part| part.unwrap_or_else(empty)).collect())))
    }

    fn label(&self) -> Cow<'_, str> {
        Cow::Borrowed("rechunk-split")
    }

    fn output_bytes(&self, block: u64, _: &[Option<u64>]) -> Option<u64> {
        Some((self.plan.old.block_len(block as usize) * self.itemsize) as u64)
    }
}

fn check_shape(block: &Block, expected: &[usize]) -> Result<()> {
    if block.shape() == expected {
        return Ok(());
    }
    Err(Error::value(format!("a block of shape {:?} arrived where {expected:?} was expected", block.shape())))
}

/// Puts a new block together from parts of old ones.
#[op("array.gather")]
#[derive(Serialize, Deserialize)]
struct GatherOp {
    plan: Plan,
    dtype: DType,
}

impl Op for GatherOp {
    fn run(&self, block: u64, inputs: &[Value]) -> Result<Value> {
        let coordinates = self.plan.new.coordinates(block as usize);
        let shape = self.plan.new.block_shape(&coordinates);
        if let [only] = inputs
            && only.expect::<Block>()?.shape() == shape.as_slice()
        {
            return Ok(only.clone());
        }
        let mut placed: Vec<(Dims, Dims)> = Vec::with_capacity(inputs.len());
        self.plan.pieces_of(&coordinates, |_, begin, extent| placed.push((begin.into(), extent.into())));
        if placed.len() != inputs.len() {
            return Err(Error::value(format!("a gather of {} pieces got {}", placed.len(), inputs.len())));
        }
        let blocks = inputs.iter().map(|value| value.expect::<Block>()).collect::<Result<Vec<&Block>>>()?;
        for (block, (_, extent)) in blocks.iter().zip(&placed) {
            check_shape(block, extent)?;
            if block.dtype() != self.dtype {
                return Err(Error::type_(format!(
                    "a block of {} arrived where {} was expected",
                    block.dtype(),
                    self.dtype
                )));
            }
        }
        let n = shape.iter().product();
        let strides = contiguous_strides(&shape);
        dispatch!(self.dtype, T => {
            let mut values: Vec<T> = allocate(n);
            for (block, (begin, _)) in blocks.iter().zip(&placed) {
                let offset: isize = begin.iter().zip(&strides).map(|(&begin, stride)| begin as isize * stride).sum();
                // SAFETY: the pieces were checked to have the shapes that tile
                // the new block, so each lands inside the vector's memory.
                unsafe { copy_into(block, values.as_mut_ptr().offset(offset).cast(), &strides) };
            }
            // SAFETY: the pieces tile the whole block.
            unsafe { values.set_len(n) };
            Ok(Value::new(Block::from_vec(values, &shape)))
        })
    }

    fn label(&self) -> Cow<'_, str> {
        Cow::Borrowed("rechunk")
    }

    fn output_bytes(&self, block: u64, _: &[Option<u64>]) -> Option<u64> {
        Some((self.plan.new.block_len(block as usize) * self.dtype.itemsize()) as u64)
    }
}

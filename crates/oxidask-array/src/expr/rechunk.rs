//! Other chunks for the same array: every block is split once into the parts
//! that different new blocks need, and every new block gathers its parts, so
//! that the number of tasks is that of old and new blocks together.

use super::blockwise::Blockwise;
use super::source::Source;
use super::{ArrayMeta, meta_of, node, only};
use crate::block::{Block, Dims, contiguous_strides};
use crate::chunks::{Chunks, UNKNOWN, shape_text};
use crate::copy::copy_into;
use crate::dtype::DType;
use crate::index::Range;
use oxidask_core::graph::{Blocks, Graph, Input};
use oxidask_core::value::Parts;
use oxidask_core::{Error, Expr, ExprRef, Inputs, Key, KeyHasher, Op, Result, Uses, Value};
use oxidask_macros::op;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use std::any::Any;
use std::borrow::Cow;
use std::collections::BTreeMap;
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
        if meta.chunks.shape() != chunks.shape() {
            return Err(Error::value(format!(
                "an array of shape {} cannot have chunks of shape {}",
                shape_text(&meta.chunks.shape()),
                shape_text(&chunks.shape())
            )));
        }
        let keeps = |axis: usize| chunks.n_along(axis) == 1 || chunks.n_along(axis) == meta.chunks.n_along(axis);
        if (0..chunks.ndim()).any(|axis| chunks.is_unknown(axis) && !keeps(axis)) {
            meta.chunks.check_known("rechunk")?;
        }
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
        if uses.is_single(input)
            && let Some(better) = blockwise.over_sources(&self.meta.chunks)
        {
            return Ok(Some(better));
        }
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
                    if self.old.is_unknown(axis) {
                        let is_joined = self.new.n_along(axis) == 1;
                        return (0..self.old.n_along(axis)).map(|at| (if is_joined { 0 } else { at }, 1)).collect();
                    }
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
    let ranges: SmallVec<[std::ops::Range<usize>; 4]> = (0..own.ndim())
        .map(|axis| match (own.is_unknown(axis), own.n_along(axis), other.n_along(axis)) {
            (false, ..) => overlapping(other.borders(axis), start[axis], start[axis] + shape[axis]),
            // Chunks of unknown sizes are all joined, or all stay.
            (true, n, m) if n == m => at[axis]..at[axis] + 1,
            (true, 1, m) => 0..m,
            (true, ..) => 0..1,
        })
        .collect();
    if ranges.iter().any(|range| range.is_empty()) {
        return;
    }
    let mut coordinates: Dims = ranges.iter().map(|range| range.start).collect();
    let (mut begin, mut extent) = (Dims::from_elem(0, own.ndim()), Dims::from_elem(0, own.ndim()));
    loop {
        for axis in 0..own.ndim() {
            if own.is_unknown(axis) {
                (begin[axis], extent[axis]) = (0, UNKNOWN);
                continue;
            }
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
        check_shape(input.shape(), &self.plan.old.block_shape(&coordinates))?;
        let overlaps = self.plan.overlaps();
        let mut parts = vec![None; overlaps.n_parts(&coordinates)];
        pieces(&self.plan.old, &self.plan.new, &coordinates, &mut |new, begin, extent| {
            let ranges: Vec<Range> = begin
                .iter()
                .zip(extent)
                .zip(input.shape())
                .map(|((&start, &len), &all)| Range { start, step: 1, len: if len == UNKNOWN { all } else { len } })
                .collect();
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
        self.plan.old.block_bytes(block as usize, self.itemsize)
    }
}

fn check_shape(shape: &[usize], expected: &[usize]) -> Result<()> {
    let fits = |(&own, &expected): (&usize, &usize)| own == expected || expected == UNKNOWN;
    if shape.len() == expected.len() && shape.iter().zip(expected).all(fits) {
        return Ok(());
    }
    Err(Error::value(format!(
        "a block of shape {} arrived where {} was expected",
        shape_text(shape),
        shape_text(expected)
    )))
}

/// A piece of a new block: the old block it comes from, where it begins in the
/// new one, and its shape.
struct Piece {
    old: Dims,
    begin: Dims,
    extent: Dims,
}

/// Fills in where pieces lie along axes of unknown sizes, one after another.
fn place_unknown(blocks: &[&Block], shape: &mut Dims, pieces: &mut [Piece]) {
    for axis in 0..shape.len() {
        if shape[axis] != UNKNOWN {
            continue;
        }
        let mut ends: BTreeMap<usize, usize> =
            pieces.iter().zip(blocks).map(|(piece, block)| (piece.old[axis], block.shape()[axis])).collect();
        let mut total = 0;
        for end in ends.values_mut() {
            total += *end;
            *end = total;
        }
        for (piece, block) in pieces.iter_mut().zip(blocks) {
            piece.extent[axis] = block.shape()[axis];
            piece.begin[axis] = ends[&piece.old[axis]].saturating_sub(piece.extent[axis]);
        }
        shape[axis] = total;
    }
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
        let mut shape = self.plan.new.block_shape(&coordinates);
        if let [only] = inputs
            && check_shape(only.expect::<Block>()?.shape(), &shape).is_ok()
        {
            return Ok(only.clone());
        }
        let mut placed: Vec<Piece> = Vec::with_capacity(inputs.len());
        self.plan.pieces_of(&coordinates, |old, begin, extent| {
            placed.push(Piece { old: old.into(), begin: begin.into(), extent: extent.into() });
        });
        if placed.len() != inputs.len() {
            return Err(Error::value(format!("a gather of {} pieces got {}", placed.len(), inputs.len())));
        }
        let blocks = inputs.iter().map(|value| value.expect::<Block>()).collect::<Result<Vec<&Block>>>()?;
        if blocks.iter().any(|block| block.shape().len() != shape.len()) {
            return Err(Error::value("a gather got pieces of another number of dimensions"));
        }
        place_unknown(&blocks, &mut shape, &mut placed);
        for (block, piece) in blocks.iter().zip(&placed) {
            check_shape(block.shape(), &piece.extent)?;
            if block.dtype() != self.dtype {
                return Err(Error::type_(format!(
                    "a block of {} arrived where {} was expected",
                    block.dtype(),
                    self.dtype
                )));
            }
        }
        // Pieces that tile the block have as many elements as it, and each lies
        // inside it.
        let inside = placed
            .iter()
            .all(|piece| (0..shape.len()).all(|axis| piece.begin[axis] + piece.extent[axis] <= shape[axis]));
        if !inside || blocks.iter().map(|block| block.len()).sum::<usize>() != shape.iter().product::<usize>() {
            return Err(Error::value("the pieces of a block do not fit together"));
        }
        let strides = contiguous_strides(&shape);
        let itemsize = self.dtype.itemsize() as isize;
        let fill = |memory: *mut u8| {
            for (block, piece) in blocks.iter().zip(&placed) {
                let offset: isize =
                    piece.begin.iter().zip(&strides).map(|(&begin, stride)| begin as isize * stride).sum();
                // SAFETY: the pieces were checked to have the shapes that tile
                // the new block, so each lands inside its memory.
                unsafe { copy_into(block, memory.offset(offset * itemsize), &strides) };
            }
            Ok(())
        };
        // SAFETY: the pieces tile the whole block.
        Ok(Value::new(unsafe { Block::filled(self.dtype, &shape, fill) }?))
    }

    fn label(&self) -> Cow<'_, str> {
        Cow::Borrowed("rechunk")
    }

    fn output_bytes(&self, block: u64, _: &[Option<u64>]) -> Option<u64> {
        self.plan.new.block_bytes(block as usize, self.dtype.itemsize())
    }
}

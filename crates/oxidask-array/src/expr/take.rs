//! Positions taken along one axis, in any order and as often as wanted.

use super::wired::{Wired, Wiring};
use super::{ArrayMeta, meta_of};
use crate::block::{Block, Dims};
use crate::chunks::Chunks;
use crate::copy::copy_into;
use crate::dtype::DType;
use oxidask_core::{Error, ExprRef, Op, Result, Value};
use oxidask_macros::op;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::sync::Arc;

/// A node of the positions `positions` of `axis`, in chunks like those of the
/// input: no block of the result is longer than the longest of the input, and
/// each reads just the blocks that it needs.
///
/// # Errors
/// If the input is no array. Positions are within bounds.
pub fn take(input: &ExprRef, axis: usize, positions: Vec<u64>) -> Result<ExprRef> {
    let longest = meta_of(input)?.chunks.sizes(axis).max().unwrap_or(1).max(1);
    let sizes: Vec<usize> = match positions.len() {
        0 => vec![0],
        n => (0..n).step_by(longest).map(|start| longest.min(n - start)).collect(),
    };
    take_in_chunks(input, axis, positions, sizes)
}

/// As [`take`], in chunks of the given sizes, which add up.
///
/// # Errors
/// If the input is no array.
pub fn take_in_chunks(input: &ExprRef, axis: usize, positions: Vec<u64>, sizes: Vec<usize>) -> Result<ExprRef> {
    let meta = meta_of(input)?;
    let along = Chunks::from_sizes([sizes]);
    let borders = (0..meta.chunks.ndim())
        .map(|other| if other == axis { along.borders(0).clone() } else { meta.chunks.borders(other).clone() });
    let chunks = Chunks::from_borders(borders);
    let op = Arc::new(TakeOp {
        axis,
        chunks: chunks.clone(),
        source: meta.chunks.borders(axis).clone(),
        positions: positions.into(),
        dtype: meta.dtype,
    });
    let (wired, source) = (op.clone(), meta.chunks.clone());
    let wiring: Wiring = Arc::new(move |block, read| {
        let mut coordinates = wired.chunks.coordinates(block);
        for chunk in wired.needed(coordinates[axis]) {
            coordinates[axis] = chunk;
            read(0, source.number(&coordinates));
        }
    });
    Wired::build(op, wiring, vec![input.clone()], ArrayMeta { chunks, dtype: meta.dtype })
}

/// Takes positions of one axis from the blocks that hold them.
#[op("array.take")]
#[derive(Serialize, Deserialize)]
struct TakeOp {
    axis: usize,
    /// The chunks of the result.
    chunks: Chunks,
    /// The borders of the input's chunks along the axis.
    source: Arc<[usize]>,
    positions: Arc<[u64]>,
    dtype: DType,
}

impl TakeOp {
    /// The positions of one chunk of the result.
    fn positions_of(&self, at: usize) -> &[u64] {
        let borders = self.chunks.borders(self.axis);
        &self.positions[borders[at]..borders[at + 1]]
    }

    fn chunk_of(&self, position: u64) -> usize {
        self.source.partition_point(|&border| border as u64 <= position).saturating_sub(1)
    }

    /// The chunks of the input that a chunk of the result reads, ascending.
    fn needed(&self, at: usize) -> Vec<usize> {
        let mut chunks: Vec<usize> = self.positions_of(at).iter().map(|&position| self.chunk_of(position)).collect();
        chunks.sort_unstable();
        chunks.dedup();
        // Also a block without elements needs one for its other lengths.
        if chunks.is_empty() { vec![0] } else { chunks }
    }
}

impl Op for TakeOp {
    fn run(&self, block: u64, inputs: &[Value]) -> Result<Value> {
        let at = self.chunks.coordinates(block as usize)[self.axis];
        let (needed, positions) = (self.needed(at), self.positions_of(at));
        let blocks = inputs.iter().map(|value| value.expect::<Block>()).collect::<Result<Vec<&Block>>>()?;
        let first = *blocks.first().ok_or_else(|| Error::value("a selection got no block"))?;
        let mut shape: Dims = first.shape().into();
        let fits = |block: &&Block| {
            block.dtype() == self.dtype
                && block.shape().len() == shape.len()
                && (0..shape.len()).all(|axis| axis == self.axis || block.shape()[axis] == shape[axis])
        };
        if needed.len() != blocks.len() || !blocks.iter().all(fits) || self.axis >= shape.len() {
            return Err(Error::value("a selection got blocks that do not lie beside each other"));
        }
        shape[self.axis] = positions.len();
        // For every position the block that has it, and where in that block.
        let places: Vec<(usize, usize)> = positions
            .iter()
            .map(|&position| {
                let chunk = self.chunk_of(position);
                let which = needed.partition_point(|&other| other < chunk);
                (which, position as usize - self.source[chunk])
            })
            .collect();
        if places.iter().any(|&(which, local)| local >= blocks[which].shape()[self.axis]) {
            return Err(Error::value("a selection got a block that is shorter than announced"));
        }
        if let [(start, _)] = runs_of(&places)[..] {
            // Neighbours of one block are a view of it.
            let (which, local) = places[start];
            let offset = if shape.contains(&0) { 0 } else { local as isize * blocks[which].strides()[self.axis] };
            return Ok(Value::new(blocks[which].view(offset, shape, blocks[which].strides().into())));
        }
        // SAFETY: all positions were checked to lie in their blocks, whose other
        // axes are those of the result; every place of it is written once.
        Ok(Value::new(unsafe {
            Block::filled(self.dtype, &shape, |out| {
                copy_places(&blocks, self.axis, &places, &shape, out);
                Ok(())
            })?
        }))
    }

    fn label(&self) -> Cow<'_, str> {
        Cow::Borrowed("take")
    }

    fn output_bytes(&self, block: u64, _: &[Option<u64>]) -> Option<u64> {
        self.chunks.block_bytes(block as usize, self.dtype.itemsize())
    }
}

/// Where runs of neighbours begin among the places, and how long they are.
fn runs_of(places: &[(usize, usize)]) -> Vec<(usize, usize)> {
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for (i, &(which, local)) in places.iter().enumerate() {
        match runs.last_mut() {
            Some((start, len)) if places[i - 1].0 == which && places[*start].1 + *len == local => *len += 1,
            _ => runs.push((i, 1)),
        }
    }
    runs
}

/// Copies one hyperplane of a block for every place.
///
/// # Safety
/// `places` lie in their blocks; `out` has room for `shape`.
unsafe fn copy_places(blocks: &[&Block], axis: usize, places: &[(usize, usize)], shape: &[usize], out: *mut u8) {
    let strides = crate::block::contiguous_strides(shape);
    let itemsize = blocks[0].dtype().itemsize();
    let runs = runs_of(places);
    if axis + 1 < shape.len() || runs.len() * 8 <= places.len() {
        for &(i, len) in &runs {
            let (which, local) = places[i];
            let mut plane: Dims = shape.into();
            plane[axis] = len;
            let offset = local as isize * blocks[which].strides()[axis];
            let view =
                blocks[which].view(if plane.contains(&0) { 0 } else { offset }, plane, blocks[which].strides().into());
            // SAFETY: the plane is one of the result's.
            unsafe { copy_into(&view, out.offset(i as isize * strides[axis] * itemsize as isize), &strides) };
        }
        return;
    }
    // Along the last axis elements are gathered row by row.
    let n_rows: usize = shape[..axis].iter().product();
    let mut index = Dims::from_elem(0, axis);
    for row in 0..n_rows {
        let bases: Vec<*const u8> = blocks
            .iter()
            .map(|block| {
                let offset: isize = index.iter().zip(block.strides()).map(|(&at, stride)| at as isize * stride).sum();
                block.as_ptr().wrapping_offset(offset * itemsize as isize)
            })
            .collect();
        for (i, &(which, local)) in places.iter().enumerate() {
            let from = bases[which].wrapping_offset(local as isize * blocks[which].strides()[axis] * itemsize as isize);
            // SAFETY: the element lies in its block, and its place in the result.
            unsafe {
                let to = out.add((row * places.len() + i) * itemsize);
                match itemsize {
                    8 => to.cast::<u64>().write_unaligned(from.cast::<u64>().read_unaligned()),
                    4 => to.cast::<u32>().write_unaligned(from.cast::<u32>().read_unaligned()),
                    _ => std::ptr::copy_nonoverlapping(from, to, itemsize),
                }
            }
        }
        for at in (0..axis).rev() {
            index[at] += 1;
            if index[at] < shape[at] {
                break;
            }
            index[at] = 0;
        }
    }
}

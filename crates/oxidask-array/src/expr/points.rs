//! Elements at a list of points, one coordinate for each axis.

use super::wired::{Wired, Wiring};
use super::{ArrayMeta, meta_of};
use crate::block::Block;
use crate::chunks::Chunks;
use crate::dtype::DType;
use oxidask_core::{Error, ExprRef, Op, Result, Value};
use oxidask_macros::op;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::sync::Arc;

/// A one-dimensional node of the elements at `points`, which has one list of
/// coordinates for each axis, in blocks of at most `longest` elements.
///
/// # Errors
/// If the input is no array. Points are within bounds.
pub fn points(input: &ExprRef, points: Vec<Vec<u64>>, longest: usize) -> Result<ExprRef> {
    let meta = meta_of(input)?;
    let n = points.first().map_or(1, Vec::len);
    let sizes: Vec<usize> = if n == 0 {
        vec![0]
    } else {
        (0..n).step_by(longest.max(1)).map(|start| longest.max(1).min(n - start)).collect()
    };
    let chunks = Chunks::from_sizes([sizes]);
    let op = Arc::new(PointsOp {
        source: meta.chunks.clone(),
        chunks: chunks.clone(),
        points: points.into(),
        dtype: meta.dtype,
    });
    let wired = op.clone();
    let wiring: Wiring =
        Arc::new(move |block, read| wired.needed(block).into_iter().for_each(|number| read(0, number)));
    Wired::build(op, wiring, vec![input.clone()], ArrayMeta { chunks, dtype: meta.dtype })
}

/// Picks single elements out of blocks.
#[op("array.points")]
#[derive(Serialize, Deserialize)]
struct PointsOp {
    source: Chunks,
    chunks: Chunks,
    points: Arc<[Vec<u64>]>,
    dtype: DType,
}

impl PointsOp {
    /// The number of the block that holds a point, and the offsets in it.
    fn locate(&self, point: usize, offsets: &mut [usize]) -> usize {
        let mut number = 0;
        for (axis, coordinates) in self.points.iter().enumerate() {
            let (borders, position) = (self.source.borders(axis), coordinates[point] as usize);
            let chunk = borders.partition_point(|&border| border <= position) - 1;
            offsets[axis] = position - borders[chunk];
            number = number * self.source.n_along(axis) + chunk;
        }
        number
    }

    fn range(&self, block: usize) -> std::ops::Range<usize> {
        let borders = self.chunks.borders(0);
        borders[block]..borders[block + 1]
    }

    fn needed(&self, block: usize) -> Vec<usize> {
        let mut offsets = vec![0; self.points.len()];
        let mut numbers: Vec<usize> = self.range(block).map(|point| self.locate(point, &mut offsets)).collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    }
}

impl Op for PointsOp {
    fn run(&self, block: u64, inputs: &[Value]) -> Result<Value> {
        let needed = self.needed(block as usize);
        let blocks = inputs.iter().map(|value| value.expect::<Block>()).collect::<Result<Vec<&Block>>>()?;
        let fits = |(block, &number): (&&Block, &usize)| {
            block.dtype() == self.dtype
                && block.shape() == self.source.block_shape(&self.source.coordinates(number)).as_slice()
        };
        if needed.len() != blocks.len() || !blocks.iter().zip(&needed).all(fits) {
            return Err(Error::value("a selection of points got other blocks than announced"));
        }
        let range = self.range(block as usize);
        let itemsize = self.dtype.itemsize();
        let fill = |out: *mut u8| {
            let mut offsets = vec![0; self.points.len()];
            for (i, point) in range.clone().enumerate() {
                let number = self.locate(point, &mut offsets);
                let found = blocks[needed.partition_point(|&other| other < number)];
                let at: isize = offsets.iter().zip(found.strides()).map(|(&at, stride)| at as isize * stride).sum();
                // SAFETY: the point lies in a block of the announced shape.
                unsafe {
                    let from = found.as_ptr().wrapping_offset(at * itemsize as isize);
                    std::ptr::copy_nonoverlapping(from, out.add(i * itemsize), itemsize);
                }
            }
            Ok(())
        };
        // SAFETY: one element is written for each point.
        Ok(Value::new(unsafe { Block::filled(self.dtype, &[range.len()], fill) }?))
    }

    fn label(&self) -> Cow<'_, str> {
        Cow::Borrowed("vindex")
    }

    fn output_bytes(&self, block: u64, _: &[Option<u64>]) -> Option<u64> {
        self.chunks.block_bytes(block as usize, self.dtype.itemsize())
    }
}

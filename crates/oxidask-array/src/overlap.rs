//! Blocks with a rim of their neighbours, for functions that look around each
//! element.

use crate::array::Array;
use crate::expr::take::take_in_chunks;
use crate::{ChunkSpec, Scalar, creation};
use oxidask_core::{Error, Result};

/// What lies beyond the ends of an axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Boundary {
    /// Nothing: the first and the last block have no rim there.
    Nothing,
    /// The other end.
    Periodic,
    /// The elements mirrored, the end element first.
    Reflect,
    /// The end element again and again.
    Nearest,
    /// A number.
    Constant(Scalar),
}

/// How far blocks look beyond their ends along one axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rim {
    /// Elements before a block.
    pub before: usize,
    /// Elements behind a block.
    pub after: usize,
    /// What lies beyond the ends of the axis.
    pub boundary: Boundary,
}

impl Array {
    /// The array with every block enlarged by elements of its neighbours; one
    /// rim for each axis. Together with [`Array::trim`] and a function of blocks
    /// in between this is Dask's `map_overlap`.
    ///
    /// # Errors
    /// If there are not as many rims as axes, a rim is longer than a chunk, or
    /// chunk sizes are not known.
    ///
    /// ```
    /// use oxidask_array::{Array, Block, ChunkSpec, overlap::{Boundary, Rim}};
    /// # fn main() -> oxidask_core::Result<()> {
    /// let x = Array::from_block(Block::from_vec((0..6).collect(), &[6]), &[ChunkSpec::Size(3)])?;
    /// let rim = Rim { before: 1, after: 1, boundary: Boundary::Reflect };
    /// assert_eq!(x.overlap(&[rim])?.shape().as_slice(), [10]);
    /// assert_eq!(x.overlap(&[rim])?.trim(&[rim])?.chunks(), x.chunks());
    /// # Ok(())
    /// # }
    /// ```
    pub fn overlap(&self, rims: &[Rim]) -> Result<Array> {
        if rims.len() != self.ndim() {
            return Err(Error::value(format!("{} rims for {} axes", rims.len(), self.ndim())));
        }
        self.chunks().check_known("overlap")?;
        (0..self.ndim()).try_fold(self.clone(), |x, axis| x.overlap_axis(axis, rims[axis]))
    }

    fn overlap_axis(&self, axis: usize, rim: Rim) -> Result<Array> {
        if rim.before == 0 && rim.after == 0 {
            return Ok(self.clone());
        }
        let (length, deepest) = (self.shape()[axis], rim.before.max(rim.after));
        let shortest = self.chunks().sizes(axis).min().unwrap_or(0);
        if deepest > shortest {
            return Err(Error::value(format!(
                "the overlap of {deepest} along axis {axis} is longer than its shortest chunk of {shortest}"
            ))
            .with_hint("rechunk the array to larger chunks first"));
        }
        // A constant is an element of its own at either end.
        let (source, shift) = match rim.boundary {
            Boundary::Constant(value) => (self.with_ends(axis, value)?, 1),
            _ => (self.clone(), 0),
        };
        let place = |position: i64| -> Option<u64> {
            let n = length as i64;
            let inside = match rim.boundary {
                _ if (0..n).contains(&position) => position,
                Boundary::Nothing => return None,
                Boundary::Periodic => position.rem_euclid(n),
                Boundary::Reflect if position < 0 => -1 - position,
                Boundary::Reflect => 2 * n - 1 - position,
                Boundary::Nearest => position.clamp(0, n - 1),
                Boundary::Constant(_) => position.clamp(-1, n),
            };
            u64::try_from(inside + shift).ok()
        };
        let mut positions = Vec::new();
        let mut sizes = Vec::new();
        for pair in self.chunks().borders(axis).windows(2) {
            let before = positions.len();
            let (start, end) = (pair[0] as i64 - rim.before as i64, pair[1] as i64 + rim.after as i64);
            positions.extend((start..end).filter_map(place));
            sizes.push(positions.len() - before);
        }
        Array::from_expr(take_in_chunks(source.expr(), axis, positions, sizes)?)
    }

    /// The array with a hyperplane of one value at either end of an axis.
    fn with_ends(&self, axis: usize, value: Scalar) -> Result<Array> {
        let mut shape = self.shape();
        shape[axis] = 1;
        let sizes = |other: usize| match other == axis {
            true => ChunkSpec::Whole,
            false => ChunkSpec::Sizes(self.chunks().sizes(other).collect()),
        };
        let specs: Vec<ChunkSpec> = (0..self.ndim()).map(sizes).collect();
        let end = creation::full(&shape, value, Some(self.dtype()), &specs)?;
        Array::concatenate(&[end.clone(), self.clone(), end], axis as i64)
    }

    /// The array without the rims that [`Array::overlap`] gave its blocks.
    ///
    /// # Errors
    /// If a block is shorter than its rims.
    pub fn trim(&self, rims: &[Rim]) -> Result<Array> {
        if rims.len() != self.ndim() {
            return Err(Error::value(format!("{} rims for {} axes", rims.len(), self.ndim())));
        }
        (0..self.ndim()).try_fold(self.clone(), |x, axis| x.trim_axis(axis, rims[axis]))
    }

    fn trim_axis(&self, axis: usize, rim: Rim) -> Result<Array> {
        let n_chunks = self.chunks().n_along(axis);
        let is_open = rim.boundary == Boundary::Nothing;
        let mut positions = Vec::new();
        let mut sizes = Vec::new();
        for (at, pair) in self.chunks().borders(axis).windows(2).enumerate() {
            let before = if is_open && at == 0 { 0 } else { rim.before };
            let after = if is_open && at + 1 == n_chunks { 0 } else { rim.after };
            if pair[1] - pair[0] < before + after {
                return Err(Error::value(format!("chunk {at} along axis {axis} is shorter than its rim")));
            }
            positions.extend((pair[0] + before..pair[1] - after).map(|position| position as u64));
            sizes.push(pair[1] - pair[0] - before - after);
        }
        if sizes.iter().sum::<usize>() == self.shape()[axis] {
            return Ok(self.clone());
        }
        Array::from_expr(take_in_chunks(self.expr(), axis, positions, sizes)?)
    }
}

//! Indexing by arrays: positions and masks.

use crate::array::Array;
use crate::chunks::{ChunkSpec, Chunks, UNKNOWN, shape_text};
use crate::dtype::DType;
use crate::expr::compress::Compress;
use crate::expr::points::points;
use crate::expr::take::{take, take_in_chunks};
use crate::index::axis_in;
use oxidask_core::{Error, Result};

impl Array {
    /// Positions in bounds, counted from the start.
    fn positions(&self, axis: usize, positions: &[i64]) -> Result<Vec<u64>> {
        let length = self.shape()[axis];
        if self.chunks().is_unknown(axis) {
            self.chunks().check_known("indexing")?;
        }
        let in_bounds = |&position: &i64| {
            let actual = if position < 0 { position + length as i64 } else { position };
            u64::try_from(actual).ok().filter(|&actual| actual < length as u64).ok_or_else(|| {
                Error::index(format!(
                    "index {position} is out of bounds for axis {axis} of length {length} (shape {})",
                    shape_text(&self.shape())
                ))
            })
        };
        positions.iter().map(in_bounds).collect()
    }

    /// The given positions of an axis, in that order and as often as given;
    /// negative ones count from the end. Chunks of the result are as long as
    /// those of the array, and each reads only the blocks that it needs.
    ///
    /// # Errors
    /// If the axis is out of range or a position out of bounds.
    ///
    /// ```
    /// use oxidask_array::{Array, Block, ChunkSpec};
    /// # fn main() -> oxidask_core::Result<()> {
    /// let x = Array::from_block(Block::from_vec((0..6).collect(), &[3, 2]), &[ChunkSpec::Size(2)])?;
    /// assert_eq!(x.take(&[2, 0, -1, 0], 0)?.shape().as_slice(), [4, 2]);
    /// assert!(x.take(&[3], 0).is_err());
    /// # Ok(())
    /// # }
    /// ```
    pub fn take(&self, positions: &[i64], axis: i64) -> Result<Array> {
        let axis = axis_in(axis, self.ndim())?;
        let positions = self.positions(axis, positions)?;
        let first = positions.first().copied().unwrap_or(0);
        if !positions.is_empty() && positions.iter().zip(first..).all(|(&own, expected)| own == expected) {
            // A run of neighbours is a slice, which moves nothing.
            let mut index = vec![crate::Index::from(..); self.ndim()];
            index[axis] = crate::Index::from(first as i64..first as i64 + positions.len() as i64);
            return self.slice(&index);
        }
        Array::from_expr(take(self.expr(), axis, positions)?)
    }

    /// As [`Array::take`], in chunks of the given sizes along the axis.
    ///
    /// # Errors
    /// If the sizes do not add up to the number of positions, the axis is out of
    /// range, or a position out of bounds.
    ///
    /// ```
    /// use oxidask_array::{Array, Block, ChunkSpec};
    /// # fn main() -> oxidask_core::Result<()> {
    /// let x = Array::from_block(Block::from_vec((0..6).collect(), &[6]), &[ChunkSpec::Size(3)])?;
    /// let shared = x.take_in_chunks(&[0, 1, 2, 3, 2, 3, 4, 5], 0, &[4, 4])?;
    /// assert_eq!(shared.chunks().numblocks().as_slice(), [2]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn take_in_chunks(&self, positions: &[i64], axis: i64, sizes: &[usize]) -> Result<Array> {
        let axis = axis_in(axis, self.ndim())?;
        if sizes.is_empty() || sizes.iter().sum::<usize>() != positions.len() {
            return Err(Error::value(format!("chunks {sizes:?} do not hold {} positions", positions.len())));
        }
        let positions = self.positions(axis, positions)?;
        Array::from_expr(take_in_chunks(self.expr(), axis, positions, sizes.to_vec())?)
    }

    /// The elements at points, given as one list of positions for each axis, in
    /// one dimension: Dask's `vindex`, and NumPy's indexing by several arrays.
    ///
    /// # Errors
    /// If there are not as many lists as axes, the lists differ in length, or a
    /// position is out of bounds.
    ///
    /// ```
    /// use oxidask_array::{Array, Block, ChunkSpec};
    /// # fn main() -> oxidask_core::Result<()> {
    /// let x = Array::from_block(Block::from_vec((0..6).collect(), &[3, 2]), &[ChunkSpec::Size(2)])?;
    /// assert_eq!(x.points(&[vec![0, 2, 1], vec![1, -1, 0]])?.shape().as_slice(), [3]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn points(&self, coordinates: &[Vec<i64>]) -> Result<Array> {
        if coordinates.len() != self.ndim() || self.ndim() == 0 {
            return Err(Error::index(format!(
                "{} lists of positions were given for an array of {} dimensions",
                coordinates.len(),
                self.ndim()
            )));
        }
        if coordinates.iter().any(|list| list.len() != coordinates[0].len()) {
            return Err(Error::index("the lists of positions are of different lengths"));
        }
        let found = coordinates
            .iter()
            .enumerate()
            .map(|(axis, list)| self.positions(axis, list))
            .collect::<Result<Vec<Vec<u64>>>>()?;
        let longest = self.chunks().chunksize().iter().product();
        Array::from_expr(points(self.expr(), found, longest)?)
    }

    /// The elements where a mask of the same shape holds, in C order and one
    /// dimension: `x[mask]`. How many there are is known when it is computed, so
    /// that the chunks are of unknown sizes. Sums, products, `any`, `all` and
    /// means of it never put the elements together.
    ///
    /// # Errors
    /// If the mask is not of truth values or of another shape.
    ///
    /// ```
    /// use oxidask_array::{Array, Block, ChunkSpec};
    /// # fn main() -> oxidask_core::Result<()> {
    /// let x = Array::from_block(Block::from_vec(vec![1.0, -2.0, 3.0], &[3]), &[ChunkSpec::Size(2)])?;
    /// let positive = x.masked(&x.gt(0.0)?)?;
    /// assert!(positive.chunks().is_unknown(0));
    /// # Ok(())
    /// # }
    /// ```
    pub fn masked(&self, mask: &Array) -> Result<Array> {
        self.check_mask(mask, &self.shape(), &mask.shape())?;
        // NumPy's order runs along whole rows.
        let rows = |array: &Array| -> Result<Array> {
            let keeps = |axis: usize| axis == 0 || array.chunks().n_along(axis) == 1;
            if (0..array.ndim()).all(keeps) {
                return Ok(array.clone());
            }
            let n_blocks = array.chunks().n_blocks().max(1) as u64;
            let mut specs = vec![ChunkSpec::Whole; array.ndim()];
            specs[0] = ChunkSpec::Bytes((array.nbytes() / n_blocks).max(1 << 20));
            array.rechunk(&specs)
        };
        let whole = rows(self)?;
        let mask = mask.rechunked_like(whole.chunks())?;
        Array::from_expr(Compress::build(whole.expr(), mask.expr(), None)?)
    }

    /// The positions of an axis where a mask of one dimension holds: `x[mask]`
    /// or `compress`. The chunks along the axis are of unknown sizes.
    ///
    /// # Errors
    /// If the mask is not of truth values or not as long as the axis.
    pub fn compress(&self, mask: &Array, axis: i64) -> Result<Array> {
        let axis = axis_in(axis, self.ndim())?;
        self.check_mask(mask, &self.shape()[axis..=axis], &mask.shape())?;
        let mask = mask.rechunked_like(&Chunks::from_borders([self.chunks().borders(axis).clone()]))?;
        Array::from_expr(Compress::build(self.expr(), mask.expr(), Some(axis))?)
    }

    fn check_mask(&self, mask: &Array, own: &[usize], other: &[usize]) -> Result<()> {
        if mask.dtype() != DType::Bool {
            return Err(Error::type_(format!("a mask has dtype bool, not {}", mask.dtype())));
        }
        if own != other || own.is_empty() {
            return Err(Error::index(format!(
                "a mask of shape {} does not fit {} (array of shape {})",
                shape_text(other),
                shape_text(own),
                shape_text(&self.shape())
            )));
        }
        Ok(())
    }

    /// The same elements in chunks of another array of the same shape.
    fn rechunked_like(&self, chunks: &Chunks) -> Result<Array> {
        Array::from_expr(crate::expr::rechunk::Rechunk::build(self.expr(), chunks.clone())?)
    }

    /// The array with the sizes that its chunks turn out to have; `sizes` has a
    /// list for each axis. Blocks are not touched.
    ///
    /// # Errors
    /// If the numbers of chunks or known sizes differ.
    pub fn with_chunk_sizes(&self, sizes: &[Vec<usize>]) -> Result<Array> {
        let fits = sizes.len() == self.ndim()
            && sizes.iter().enumerate().all(|(axis, sizes)| {
                sizes.len() == self.chunks().n_along(axis)
                    && self.chunks().sizes(axis).zip(sizes).all(|(own, &size)| own == UNKNOWN || own == size)
            });
        if !fits {
            return Err(Error::value(format!("the chunk sizes {sizes:?} are not those of the array")));
        }
        Array::from_expr(crate::expr::sized::Sized::build(self.expr(), Chunks::from_sizes(sizes))?)
    }

    /// The sizes of the chunks along an axis, computed: what
    /// [`Array::with_chunk_sizes`] wants for axes of unknown length.
    ///
    /// # Errors
    /// If the axis is out of range.
    pub fn chunk_lengths(&self, axis: i64) -> Result<Array> {
        let axis = axis_in(axis, self.ndim())?;
        Array::from_expr(crate::expr::sized::lengths(self.expr(), axis)?)
    }
}

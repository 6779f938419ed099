//! Products of arrays: `matmul`, `dot`, `tensordot`.

use crate::array::Array;
use crate::chunks::{ChunkSpec, Chunks, broadcast_shapes, common_borders, shape_text};
use crate::expr::contract::{Axes, Contract};
use crate::index::axis_in;
use oxidask_core::{Error, Result};

impl Array {
    /// Sums of products over pairs of axes; the result has the other axes of
    /// this array and then those of the other.
    ///
    /// # Errors
    /// If axes are out of range or their lengths differ.
    pub fn tensordot(&self, other: &Array, axes: &[(i64, i64)]) -> Result<Array> {
        let pairs = axes
            .iter()
            .map(|&(a, b)| Ok((axis_in(a, self.ndim())?, axis_in(b, other.ndim())?)))
            .collect::<Result<Vec<(usize, usize)>>>()?;
        self.contract(other, Vec::new(), pairs)
    }

    /// Sums of products over the axes that `summed` pairs, for every position of
    /// the axes that `batch` pairs: the result has first the latter, then the
    /// other axes of this array, then those of the other.
    ///
    /// # Errors
    /// If axes are out of range or paired twice, their lengths differ, or the
    /// elements cannot be multiplied.
    ///
    /// ```
    /// use oxidask_array::{ChunkSpec, DType, creation};
    /// # fn main() -> oxidask_core::Result<()> {
    /// let x = creation::ones(&[5, 2, 3], DType::F64, &[ChunkSpec::Size(2)])?;
    /// let y = creation::ones(&[3, 5, 4], DType::F64, &[ChunkSpec::Size(2)])?;
    /// let products = x.contract(&y, vec![(0, 1)], vec![(2, 0)])?;
    /// assert_eq!(products.shape().as_slice(), [5, 2, 4]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn contract(&self, other: &Array, batch: Vec<(usize, usize)>, summed: Vec<(usize, usize)>) -> Result<Array> {
        let (a, b) = (self.shape(), other.shape());
        let named = |of: fn(&(usize, usize)) -> usize| batch.iter().chain(&summed).map(of).collect::<Vec<usize>>();
        for (axes, ndim) in [(named(|pair| pair.0), a.len()), (named(|pair| pair.1), b.len())] {
            let is_twice = axes.iter().enumerate().any(|(at, axis)| axes[..at].contains(axis));
            if is_twice || axes.iter().any(|&axis| axis >= ndim) {
                return Err(Error::value(format!(
                    "the axes {axes:?} of an array of {ndim} dimensions cannot be paired"
                )));
            }
        }
        if let Some(&(i, j)) = summed.iter().chain(&batch).find(|&&(i, j)| a[i] != b[j]) {
            return Err(Error::value(format!(
                "arrays of shapes {} and {} cannot be multiplied: axis {i} of the first has length {}, axis {j} of the second {}",
                shape_text(&a),
                shape_text(&b),
                a[i],
                b[j]
            )));
        }
        let dtype = self.dtype().promote(other.dtype());
        if !dtype.has_arithmetic() || matches!(dtype, crate::DType::Datetime(_)) {
            return Err(Error::type_(format!("arrays of {} and {} cannot be multiplied", self.dtype(), other.dtype())));
        }
        let (mut left, mut right): (Vec<_>, Vec<_>) = (
            (0..self.ndim()).map(|axis| self.chunks().borders(axis).clone()).collect(),
            (0..other.ndim()).map(|axis| other.chunks().borders(axis).clone()).collect(),
        );
        for &(i, j) in summed.iter().chain(&batch) {
            let common = common_borders(&[self.chunks().borders(i), other.chunks().borders(j)])?;
            (left[i], right[j]) = (common.clone(), common);
        }
        let left = self.astype(dtype)?.with_chunks(&Chunks::from_borders(left));
        let right = other.astype(dtype)?.with_chunks(&Chunks::from_borders(right));
        let axes = Axes::new((self.ndim(), other.ndim()), batch, summed);
        Ok(Array::of(Contract::build(left.expr(), right.expr(), axes)?))
    }

    /// The matrix product with NumPy's meaning for one, two and more
    /// dimensions.
    ///
    /// # Errors
    /// If an array has no dimension, or the lengths do not fit.
    pub fn matmul(&self, other: &Array) -> Result<Array> {
        let (n, m) = (self.ndim(), other.ndim());
        if n == 0 || m == 0 {
            return Err(Error::value("matmul needs arrays of at least one dimension; use multiply for numbers"));
        }
        let summed = vec![(n - 1, m.saturating_sub(2))];
        if n <= 2 && m <= 2 {
            return self.contract(other, Vec::new(), summed);
        }
        // Leading axes broadcast; a missing matrix axis is added and dropped.
        let left = if n == 1 { self.expand_dims(&[0])? } else { self.clone() };
        let right = if m == 1 { other.expand_dims(&[1])? } else { other.clone() };
        let (a, b) = (left.shape(), right.shape());
        let lead = broadcast_shapes(&[&a[..a.len() - 2], &b[..b.len() - 2]])?;
        let (left, right) = (left.with_lead(&lead)?, right.with_lead(&lead)?);
        let batch = (0..lead.len()).map(|axis| (axis, axis)).collect();
        let product = left.contract(&right, batch, vec![(lead.len() + 1, lead.len())])?;
        match (n, m) {
            (1, _) => product.squeeze(Some(&[-2])),
            (_, 1) => product.squeeze(Some(&[-1])),
            _ => Ok(product),
        }
    }

    /// The stack of matrices broadcast along its leading axes.
    fn with_lead(&self, lead: &[usize]) -> Result<Array> {
        let own = self.shape();
        let mut shape = lead.to_vec();
        shape.extend_from_slice(&own[own.len() - 2..]);
        if own.as_slice() == shape {
            return Ok(self.clone());
        }
        let skipped = shape.len() - own.len();
        let chunks: Vec<ChunkSpec> = (0..shape.len())
            .map(|axis| match axis.checked_sub(skipped) {
                Some(axis) if own[axis] != 1 => ChunkSpec::Sizes(self.chunks().sizes(axis).collect()),
                _ => ChunkSpec::Whole,
            })
            .collect();
        self.broadcast_to(&shape, Some(&chunks))
    }

    /// NumPy's `dot`: the product of numbers, vectors, matrices, or the sum over
    /// the last axis of this and the second-to-last of the other array.
    ///
    /// # Errors
    /// If the lengths do not fit.
    pub fn dot(&self, other: &Array) -> Result<Array> {
        if self.ndim() == 0 || other.ndim() == 0 {
            return self.mul(other);
        }
        let summed = vec![(self.ndim() - 1, other.ndim().saturating_sub(2))];
        self.contract(other, Vec::new(), summed)
    }

    /// The product of all pairs of elements of two arrays, each in C order.
    ///
    /// # Errors
    /// If an array cannot be flattened.
    pub fn outer(&self, other: &Array) -> Result<Array> {
        let (a, b) = (self.reshape(&[-1])?, other.reshape(&[-1])?);
        a.expand_dims(&[1])?.mul(b)
    }
}

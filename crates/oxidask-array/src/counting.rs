//! Histograms, searches in sorted lists and distinct elements.

use crate::array::Array;
use crate::chunks::{ChunkSpec, shape_text};
use crate::dtype::DType;
use crate::expr::count::{distinct, histograms, searches};
use oxidask_core::{Error, Result};

impl Array {
    /// How many elements lie between neighbouring `edges`, the last edge
    /// included; with weights of the same shape, the sums of weights. Elements
    /// outside the edges, and NaN, do not count.
    ///
    /// # Errors
    /// If there are fewer than two edges or they do not ascend, the weights have
    /// another shape, or the elements are not real numbers.
    ///
    /// ```
    /// use oxidask_array::{Array, Block, ChunkSpec};
    /// # fn main() -> oxidask_core::Result<()> {
    /// let x = Array::from_block(Block::from_vec(vec![0.5, 1.5, 1.7, 9.0], &[4]), &[ChunkSpec::Size(2)])?;
    /// assert_eq!(x.histogram(&[0.0, 1.0, 2.0], None)?.shape().as_slice(), [2]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn histogram(&self, edges: &[f64], weights: Option<&Array>) -> Result<Array> {
        if edges.len() < 2 || !edges.is_sorted() || edges.iter().any(|edge| edge.is_nan()) {
            return Err(Error::value("the edges of a histogram are at least two ascending numbers"));
        }
        self.check_real("histogram")?;
        let weights = match weights {
            Some(weights) if weights.shape() != self.shape() => {
                return Err(Error::value(format!(
                    "weights of shape {} do not fit an array of shape {}",
                    shape_text(&weights.shape()),
                    shape_text(&self.shape())
                )));
            }
            Some(weights) => Some(crate::array::unify(&[self, &weights.astype(DType::F64)?])?.0),
            None => None,
        };
        let rows = match &weights {
            Some(pair) => histograms(pair[0].expr(), Some(pair[1].expr()), edges)?,
            None => histograms(self.expr(), None, edges)?,
        };
        Array::from_expr(rows)?.sum(Some(&[0]), false)
    }

    fn check_real(&self, what: &str) -> Result<()> {
        let dtype = self.dtype();
        if dtype.is_integer() || dtype.is_float() || dtype == DType::Bool {
            return Ok(());
        }
        Err(Error::type_(format!("{what} is not defined for dtype {dtype}")))
    }

    /// The positions at which `values` would be put into this sorted list to
    /// keep it sorted: before equal elements, or behind them if `from_right`.
    /// NumPy's `digitize(x, bins)` is `bins.searchsorted(x, true)`.
    ///
    /// # Errors
    /// If this is no list, or the elements have no common order.
    ///
    /// ```
    /// use oxidask_array::{Array, Block, ChunkSpec};
    /// # fn main() -> oxidask_core::Result<()> {
    /// let bins = Array::from_block(Block::from_vec(vec![1.0, 2.0], &[2]), &[ChunkSpec::Whole])?;
    /// let x = Array::from_block(Block::from_vec(vec![0, 1, 2, 3], &[2, 2]), &[ChunkSpec::Size(1)])?;
    /// assert_eq!(bins.searchsorted(&x, false)?.shape(), x.shape());
    /// # Ok(())
    /// # }
    /// ```
    pub fn searchsorted(&self, values: &Array, from_right: bool) -> Result<Array> {
        if self.ndim() != 1 {
            return Err(Error::value(format!("searchsorted needs a list, not shape {}", shape_text(&self.shape()))));
        }
        let dtype = self.dtype().promote(values.dtype());
        if !dtype.has_arithmetic() || dtype.is_complex() {
            return Err(Error::type_(format!("{} are not looked up among {}", values.dtype(), self.dtype())));
        }
        let sorted = self.astype(dtype)?.rechunk(&[ChunkSpec::Whole])?;
        Array::from_expr(searches(sorted.expr(), values.astype(dtype)?.expr(), from_right)?)
    }

    /// The distinct elements, ascending, in one dimension; how many there are is
    /// known when it is computed. NaN counts as one.
    ///
    /// # Errors
    /// If the elements have no order.
    pub fn unique(&self) -> Result<Array> {
        if !self.dtype().has_arithmetic() || self.dtype().is_complex() {
            return Err(Error::type_(format!("unique is not defined for dtype {}", self.dtype())));
        }
        let of_blocks = Array::from_expr(distinct(self.expr())?)?;
        if of_blocks.chunks().n_blocks() == 1 {
            return Ok(of_blocks);
        }
        Array::from_expr(distinct(of_blocks.whole().expr())?)
    }
}

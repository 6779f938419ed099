//! Sorting, quantiles and the largest elements.

use crate::array::Array;
use crate::chunks::{ChunkSpec, shape_text};
use crate::expr::along::{Along, along};
use crate::expr::scan::Scan;
use crate::index::axis_in;
use crate::kernel::fold::Fold;
pub use crate::kernel::order::Interpolation;
use crate::{DType, Scalar};
use oxidask_core::{Error, Result};

impl Array {
    /// A function of whole lanes along an axis, which is brought into a single
    /// chunk; the other axes are cut so that blocks stay within the configured
    /// size.
    pub(crate) fn along(&self, axis: usize, function: Along) -> Result<Array> {
        let whole = if self.chunks().n_along(axis) == 1 {
            self.clone()
        } else {
            let known = !self.chunks().has_unknown();
            let spec = |other| match (other == axis, known) {
                (true, _) => ChunkSpec::Whole,
                (false, true) => ChunkSpec::Auto,
                (false, false) => ChunkSpec::Keep,
            };
            // Several blocks are wanted even where one would be small enough.
            let limit = self.nbytes().div_ceil(self.chunks().n_blocks().clamp(1, 64) as u64).max(1 << 20);
            let specs: Vec<ChunkSpec> = (0..self.ndim())
                .map(|other| match spec(other) {
                    ChunkSpec::Auto => ChunkSpec::Bytes(limit),
                    spec => spec,
                })
                .collect();
            self.rechunk(&specs)?
        };
        Array::from_expr(along(whole.expr(), axis, function)?)
    }

    fn check_order(&self, what: &str) -> Result<()> {
        if self.dtype().has_arithmetic() && !self.dtype().is_complex() {
            return Ok(());
        }
        Err(Error::type_(format!("{what} is not defined for dtype {}", self.dtype())))
    }

    /// The elements along an axis in ascending order, NaN last.
    ///
    /// # Errors
    /// If the axis is out of range or the dtype has no order.
    ///
    /// ```
    /// use oxidask_array::{Array, Block, ChunkSpec};
    /// # fn main() -> oxidask_core::Result<()> {
    /// let x = Array::from_block(Block::from_vec(vec![3, 1, 2], &[3]), &[ChunkSpec::Size(2)])?;
    /// assert_eq!(x.sort(-1)?.chunks().n_blocks(), 1, "a lane is sorted in one block");
    /// # Ok(())
    /// # }
    /// ```
    pub fn sort(&self, axis: i64) -> Result<Array> {
        self.check_order("sort")?;
        self.along(axis_in(axis, self.ndim())?, Along::Sort)
    }

    /// The positions of the elements along an axis in ascending order of the
    /// elements; equal ones stay in order.
    ///
    /// # Errors
    /// If the axis is out of range or the dtype has no order.
    pub fn argsort(&self, axis: i64) -> Result<Array> {
        self.check_order("argsort")?;
        self.along(axis_in(axis, self.ndim())?, Along::Argsort)
    }

    /// The `k` largest elements along an axis in descending order, or for a
    /// negative `k` the smallest in ascending order, as Dask's `topk`. Every
    /// block gives at most that many, so that lanes need not be brought together.
    ///
    /// # Errors
    /// If the axis is out of range or the dtype has no order.
    pub fn topk(&self, k: i64, axis: i64) -> Result<Array> {
        self.check_order("topk")?;
        let axis = axis_in(axis, self.ndim())?;
        self.chunks().check_known("topk")?;
        let top = Along::Top { k: k.unsigned_abs() as usize, largest: k >= 0 };
        let candidates = Array::from_expr(along(self.expr(), axis, top.clone())?)?;
        if candidates.chunks().n_along(axis) == 1 {
            return Ok(candidates);
        }
        let specs: Vec<ChunkSpec> =
            (0..self.ndim()).map(|other| if other == axis { ChunkSpec::Whole } else { ChunkSpec::Keep }).collect();
        Array::from_expr(along(candidates.rechunk(&specs)?.expr(), axis, top)?)
    }

    /// The values along an axis below which the given shares (0 to 1) of the
    /// elements lie, one for each share; exact, as whole lanes are looked at.
    /// `ignores_nan` leaves NaN out, which is the answer otherwise.
    ///
    /// # Errors
    /// If a share is not from 0 to 1, the axis is out of range, or the elements
    /// are not real numbers.
    ///
    /// ```
    /// use oxidask_array::{Array, Block, ChunkSpec, order::Interpolation};
    /// # fn main() -> oxidask_core::Result<()> {
    /// let x = Array::from_block(Block::from_vec(vec![3.0, 1.0, 2.0], &[3]), &[ChunkSpec::Size(2)])?;
    /// let median = x.quantiles(&[0.5], 0, Interpolation::Linear, false)?;
    /// assert_eq!(median.shape().as_slice(), [1]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn quantiles(
        &self,
        shares: &[f64],
        axis: i64,
        interpolation: Interpolation,
        ignores_nan: bool,
    ) -> Result<Array> {
        let axis = axis_in(axis, self.ndim())?;
        if self.dtype().is_complex() || self.dtype().is_time() || !self.dtype().has_arithmetic() {
            return Err(Error::type_(format!("quantiles are not defined for dtype {}", self.dtype())));
        }
        if let Some(share) = shares.iter().find(|share| !(0.0..=1.0).contains(*share)) {
            return Err(Error::value(format!("the share {share} of a quantile is not between 0 and 1"))
                .with_hint("percentiles are shares of 100: divide them by 100"));
        }
        self.along(axis, Along::Quantile { shares: shares.to_vec(), interpolation, ignores_nan })
    }

    /// The running sum (`cumsum`), product (`cumprod`), or either without NaN
    /// (`nancumsum`, `nancumprod`) along an axis. Integers widen to 64 bits
    /// unless a dtype is given.
    ///
    /// # Errors
    /// If there is no such function, the axis is out of range, or the dtype has
    /// no sums.
    ///
    /// ```
    /// use oxidask_array::{Array, Block, ChunkSpec};
    /// # fn main() -> oxidask_core::Result<()> {
    /// let x = Array::from_block(Block::from_vec(vec![1, 2, 3], &[3]), &[ChunkSpec::Size(2)])?;
    /// assert_eq!(x.cumulative("cumsum", 0, None)?.shape(), x.shape());
    /// # Ok(())
    /// # }
    /// ```
    pub fn cumulative(&self, name: &str, axis: i64, dtype: Option<DType>) -> Result<Array> {
        let axis = axis_in(axis, self.ndim())?;
        let (fold, instead) = match name {
            "cumsum" | "nancumsum" => (Fold::Add, 0),
            "cumprod" | "nancumprod" => (Fold::Multiply, 1),
            _ => return Err(Error::unsupported(format!("the cumulative function '{name}' is not available"))),
        };
        let own = self.dtype();
        if !own.has_arithmetic() || matches!(own, DType::Datetime(_)) {
            return Err(Error::type_(format!(
                "{name} is not defined for dtype {own} (shape {})",
                shape_text(&self.shape())
            )));
        }
        let without = if name.starts_with("nan") && own.has_nan() {
            let instead = Scalar::Typed(Scalar::Int(instead).to_constant(own)?);
            Array::select(&self.isnan()?.into(), &instead.into(), &self.into())?
        } else {
            self.clone()
        };
        let wide = without.astype(dtype.unwrap_or(own.to_sum()))?;
        Array::from_expr(Scan::build(wide.expr(), axis, fold)?)
    }
}

//! Reductions as rows: a kind of state, a program before and one after.

use crate::array::Array;
use crate::chunks::shape_text;
use crate::dtype::{Constant, DType};
use crate::expr::body::{Body, Operand as BodyOperand, Reads};
use crate::expr::reduce::{Finish, Kind, Reduce, SPLIT_EVERY};
use crate::index::axes_in;
use crate::kernel::fold::Fold;
use crate::program::{Builder, Func, Program, Slot};
use crate::ufunc::{Argument, cast_program, find};
use oxidask_core::{Error, Result};

/// How to reduce, beyond which function.
#[derive(Clone, Debug, Default)]
pub struct Options<'a> {
    /// The axes to reduce; all if none.
    pub axes: Option<&'a [i64]>,
    /// Whether reduced axes stay, at length one.
    pub keepdims: bool,
    /// The dtype of the result, where the function lets it be chosen.
    pub dtype: Option<DType>,
    /// Delta degrees of freedom of `var` and `std`.
    pub ddof: f64,
    /// How many blocks' states one task combines.
    pub split_every: Option<usize>,
}

/// The dtype in which a sum or product is accumulated.
fn accumulator(dtype: DType) -> DType {
    match dtype {
        DType::C64 | DType::C128 => DType::C128,
        dtype if dtype.is_float() => DType::F64,
        dtype => dtype.to_sum(),
    }
}

impl Array {
    /// A reduction with NumPy's name: `sum`, `prod`, `mean`, `std`, `var`,
    /// `min`, `max`, `any`, `all`, `argmin`, `argmax`, `count_nonzero`, and
    /// `nansum`, `nanprod`, `nanmean`, `nanvar`, `nanstd`, `nanmin`, `nanmax`.
    ///
    /// Floats are summed in 64 bits with compensated rounding, so that the
    /// result hardly depends on the chunks.
    ///
    /// # Errors
    /// If there is no such reduction, an axis is out of range, or an extreme is
    /// asked of no elements.
    ///
    /// ```
    /// use oxidask_array::{Array, Block, ChunkSpec, DType, reduction::Options};
    /// # fn main() -> oxidask_core::Result<()> {
    /// let x = Array::from_block(Block::from_vec(vec![1_i32, 2, 3], &[3]), &[ChunkSpec::Size(2)])?;
    /// let total = x.reduce("sum", &Options::default())?;
    /// assert_eq!((total.ndim(), total.dtype()), (0, DType::I64));
    /// # Ok(())
    /// # }
    /// ```
    pub fn reduce(&self, name: &str, options: &Options) -> Result<Array> {
        let own = self.dtype();
        let is_sum = !matches!(
            name,
            "min"
                | "amin"
                | "max"
                | "amax"
                | "nanmin"
                | "nanmax"
                | "argmin"
                | "argmax"
                | "nanargmin"
                | "nanargmax"
                | "any"
                | "all"
                | "count_nonzero"
        );
        if !own.has_arithmetic() || (is_sum && matches!(own, DType::Datetime(_))) {
            return Err(Error::type_(format!("{name} is not defined for dtype {own}")));
        }
        let fold = |fold| Kind::Fold(fold);
        let sum_dtype = options.dtype.unwrap_or(own.to_sum());
        match name {
            "sum" => self.accumulated(name, fold(Fold::Add), sum_dtype, options),
            "prod" => self.accumulated(name, fold(Fold::Multiply), sum_dtype, options),
            "min" | "amin" => self.extreme("min", Fold::Minimum, options),
            "max" | "amax" => self.extreme("max", Fold::Maximum, options),
            "nanmin" => self.extreme(name, Fold::Fmin, options),
            "nanmax" => self.extreme(name, Fold::Fmax, options),
            "any" => {
                self.reduced(name, cast_program(own, DType::Bool)?, fold(Fold::Maximum), identity(DType::Bool), options)
            }
            "all" => {
                self.reduced(name, cast_program(own, DType::Bool)?, fold(Fold::Minimum), identity(DType::Bool), options)
            }
            "count_nonzero" => self.astype(DType::Bool)?.reduce("sum", options),
            "mean" => self.mean_of(options),
            "var" | "std" | "nanvar" | "nanstd" => self.spread(name, options),
            "argmin" | "argmax" => self.position(name, name == "argmax", options),
            "nansum" => self.without_nan(0.0)?.reduce("sum", options),
            "nanprod" => self.without_nan(1.0)?.reduce("prod", options),
            "nanmean" => self.nan_mean(options),
            _ => Err(Error::unsupported(format!("the reduction '{name}' is not available"))),
        }
    }

    /// How many states a task combines. Large ones are combined by fewer, since
    /// all that a task reads is in memory at once.
    fn fan_in(&self, reduced: &[usize]) -> usize {
        /// Elements of a state from which on it is large: 1 MiB of `f64`.
        const LARGE_STATE: u64 = 1 << 17;
        let coordinates = vec![0; self.ndim()];
        let shape = self.chunks().block_shape(&coordinates);
        let kept = shape.iter().enumerate().filter(|(axis, _)| !reduced.contains(axis));
        let n: u64 = kept.map(|(_, &length)| length as u64).fold(1, u64::saturating_mul);
        if n < LARGE_STATE { SPLIT_EVERY } else { SPLIT_EVERY / 4 }
    }

    fn reduced(&self, name: &str, program: Program, kind: Kind, finish: Program, options: &Options) -> Result<Array> {
        let axes = axes_in(options.axes, self.ndim())?;
        let split_every = match options.split_every {
            Some(n) if n < 2 => return Err(Error::value(format!("split_every is {n} and must be at least 2"))),
            Some(n) => n,
            None => self.fan_in(&axes),
        };
        let mut reads = Reads::default();
        let input = reads.add(self.expr(), 1);
        let axes_map = (0..self.ndim()).map(|axis| Some(axis as u8)).collect();
        let operands = vec![BodyOperand::Input { input, axes: axes_map }];
        let body = Body { program, operands, chunks: self.chunks().clone() };
        let finish = Finish { program: finish, keepdims: options.keepdims };
        Ok(Array::of(Reduce::build(name, (body, reads), kind, &axes, finish, split_every)))
    }

    fn accumulated(&self, name: &str, kind: Kind, dtype: DType, options: &Options) -> Result<Array> {
        let wide = accumulator(dtype);
        let mut builder = Builder::new();
        let input = builder.input(self.dtype());
        let narrowed = builder.cast(input, dtype);
        let output = builder.cast(narrowed, wide);
        self.reduced(name, builder.finish(output), kind, cast_program(wide, dtype)?, options)
    }

    /// How many elements fold into one of the result.
    fn n_folded(&self, options: &Options) -> Result<usize> {
        let shape = self.shape();
        let lengths = axes_in(options.axes, self.ndim())?.into_iter().map(|axis| shape[axis]);
        Ok(lengths.fold(1, |n: usize, length| n.saturating_mul(length)))
    }

    fn check_not_empty(&self, name: &str, options: &Options) -> Result<()> {
        if self.n_folded(options)? == 0 && !self.is_empty_result(options)? {
            return Err(Error::value(format!(
                "{name} of no elements is not defined (shape {})",
                shape_text(&self.shape())
            )));
        }
        Ok(())
    }

    fn is_empty_result(&self, options: &Options) -> Result<bool> {
        let (shape, axes) = (self.shape(), axes_in(options.axes, self.ndim())?);
        Ok((0..shape.len()).any(|axis| !axes.contains(&axis) && shape[axis] == 0))
    }

    fn extreme(&self, name: &str, fold: Fold, options: &Options) -> Result<Array> {
        self.check_not_empty(name, options)?;
        let dtype = self.dtype();
        self.reduced(name, Program::identity(dtype), Kind::Fold(fold), identity(dtype), options)
    }

    fn position(&self, name: &str, largest: bool, options: &Options) -> Result<Array> {
        self.check_not_empty(name, options)?;
        if options.axes.is_some_and(|axes| axes.len() != 1) && options.axes.map(<[i64]>::len) != Some(self.ndim()) {
            return Err(Error::value(format!("{name} works along one axis or all of them")));
        }
        self.reduced(name, Program::identity(self.dtype()), Kind::Arg { largest }, identity(DType::I64), options)
    }

    /// The dtype of a mean: floats keep theirs, all else becomes `float64`.
    fn mean_dtype(&self, options: &Options) -> DType {
        let own = self.dtype();
        options.dtype.unwrap_or(if own.is_integer() || own == DType::Bool { DType::F64 } else { own })
    }

    fn mean_of(&self, options: &Options) -> Result<Array> {
        let wide = if self.dtype().is_complex() { DType::C128 } else { DType::F64 };
        if self.is_count_unknown(options)? {
            return self.mean_and_count(options);
        }
        let n = self.n_folded(options)? as f64;
        let mut builder = Builder::new();
        let sum = builder.input(wide);
        let count = builder.constant(Constant::from_f64(wide, n));
        let mean = builder.step(Func::Divide, &[sum, count]);
        let output = builder.cast(mean, self.mean_dtype(options));
        let before = cast_program(self.dtype(), wide)?;
        self.reduced("mean", before, Kind::Fold(Fold::Add), builder.finish(output), options)
    }

    /// Whether only computing tells how many elements are folded.
    fn is_count_unknown(&self, options: &Options) -> Result<bool> {
        Ok(axes_in(options.axes, self.ndim())?.into_iter().any(|axis| self.chunks().is_unknown(axis)))
    }

    /// The mean of elements that are counted on the way.
    fn mean_and_count(&self, options: &Options) -> Result<Array> {
        let dtype = self.mean_dtype(options);
        let plain = Options { dtype: None, ..options.clone() };
        let sum = self.astype(accumulator(dtype))?.reduce("sum", &plain)?;
        let ones = Array::apply("equal", &[self.into(), self.into()])?;
        let ones = Array::apply("logical_or", &[ones.into(), true.into()])?;
        mean_from(&sum, &ones.reduce("sum", &plain)?)?.astype(dtype)
    }

    fn spread(&self, name: &str, options: &Options) -> Result<Array> {
        if self.dtype().is_complex() {
            if name.starts_with("nan") {
                return Err(Error::type_(format!("{name} is not defined for dtype {}", self.dtype())));
            }
            let (real, imaginary) = (Array::apply("real", &[self.into()])?, Array::apply("imag", &[self.into()])?);
            let variance = real.spread("var", options)?.add(imaginary.spread("var", options)?)?;
            return if name == "std" { variance.sqrt() } else { Ok(variance) };
        }
        let wide = DType::F64;
        let skips_nan = name.starts_with("nan") && self.dtype().has_nan();
        let mut builder = Builder::new();
        let slots: Vec<Slot> = (0..3).map(|_| builder.input(DType::F64)).collect();
        let divisor = if skips_nan || self.is_count_unknown(options)? {
            let ddof = builder.constant(Constant::from_f64(DType::F64, options.ddof));
            let zero = builder.constant(Constant::from_f64(DType::F64, 0.0));
            let rest = builder.step(Func::Subtract, &[slots[0], ddof]);
            builder.step(Func::Maximum, &[rest, zero])
        } else {
            let divisor = (self.n_folded(options)? as f64 - options.ddof).max(0.0);
            builder.constant(Constant::from_f64(DType::F64, divisor))
        };
        let mut output = builder.step(Func::Divide, &[slots[2], divisor]);
        if name.ends_with("std") {
            output = builder.step(Func::Sqrt, &[output]);
        }
        let output = builder.cast(output, self.mean_dtype(options));
        let before = cast_program(self.dtype(), wide)?;
        self.reduced(name, before, Kind::Moments { skips_nan }, builder.finish(output), options)
    }

    fn without_nan(&self, instead: f64) -> Result<Array> {
        if !self.dtype().has_nan() {
            return Ok(self.clone());
        }
        Array::select(&self.isnan()?.into(), &instead.into(), &self.into())
    }

    fn nan_mean(&self, options: &Options) -> Result<Array> {
        if !self.dtype().has_nan() {
            return self.reduce("mean", options);
        }
        let dtype = self.mean_dtype(options);
        let plain = Options { dtype: None, ..options.clone() };
        let sum = self.astype(accumulator(dtype))?.reduce("nansum", &plain)?;
        let count = Array::apply("logical_not", &[self.isnan()?.into()])?.reduce("sum", &plain)?;
        mean_from(&sum, &count)?.astype(dtype)
    }

    /// The sum along some axes; see [`Array::reduce`].
    ///
    /// # Errors
    /// If an axis is out of range.
    pub fn sum(&self, axes: Option<&[i64]>, keepdims: bool) -> Result<Array> {
        self.reduce("sum", &Options { axes, keepdims, ..Options::default() })
    }

    /// The mean along some axes; see [`Array::reduce`].
    ///
    /// # Errors
    /// If an axis is out of range.
    pub fn mean(&self, axes: Option<&[i64]>, keepdims: bool) -> Result<Array> {
        self.reduce("mean", &Options { axes, keepdims, ..Options::default() })
    }

    /// The standard deviation along some axes; see [`Array::reduce`].
    ///
    /// # Errors
    /// If an axis is out of range.
    pub fn std(&self, axes: Option<&[i64]>, keepdims: bool) -> Result<Array> {
        self.reduce("std", &Options { axes, keepdims, ..Options::default() })
    }

    /// The smallest element along some axes; see [`Array::reduce`].
    ///
    /// # Errors
    /// If an axis is out of range or there are no elements.
    pub fn min(&self, axes: Option<&[i64]>, keepdims: bool) -> Result<Array> {
        self.reduce("min", &Options { axes, keepdims, ..Options::default() })
    }

    /// The largest element along some axes; see [`Array::reduce`].
    ///
    /// # Errors
    /// If an axis is out of range or there are no elements.
    pub fn max(&self, axes: Option<&[i64]>, keepdims: bool) -> Result<Array> {
        self.reduce("max", &Options { axes, keepdims, ..Options::default() })
    }
}

/// A sum divided by the number of its elements. Nobody is told of a mean of no
/// elements, which is not a number.
fn mean_from(sum: &Array, count: &Array) -> Result<Array> {
    let divide = find("divide")?.program(&[Argument::Array(sum.dtype()), Argument::Array(count.dtype())])?;
    Array::elementwise("divide", divide.silent(), &[sum.into(), count.into()])
}

fn identity(dtype: DType) -> Program {
    Program::identity(dtype)
}

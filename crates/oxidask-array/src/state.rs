//! States of reductions: how tiles are folded into them, and how they combine.
//!
//! Each kind of reduction has a sink that the evaluator feeds and a form in
//! which its state travels: one block for a fold, a block of three planes for
//! moments, two blocks for the position of an extreme.

use crate::block::{Block, Dims, contiguous_strides};
use crate::dispatch;
use crate::dtype::{DType, Element};
use crate::evaluate::Sink;
use crate::expr::reduce::Kind;
use crate::kernel::fold::{
    Fold, Moments, add_compensated, arg_extreme, fold_into, fold_row, moments_into, row_moments,
};
use crate::kernel::number::Number;
use oxidask_core::value::Parts;
use oxidask_core::{Error, Result, Value};

/// The elements behind a pointer that the evaluator handed over.
///
/// # Safety
/// `n` elements of this type lie there.
unsafe fn elements<'a, T: Element>(pointer: *const u8, n: usize) -> &'a [T] {
    // SAFETY: passed on to the caller.
    unsafe { std::slice::from_raw_parts(pointer.cast(), n) }
}

/// Folds elements into one each.
pub struct FoldSink<T> {
    fold: Fold,
    dtype: DType,
    values: Vec<T>,
    /// What rounding has lost so far, where sums of rows of `f64` are added up.
    errors: Vec<f64>,
}

impl<T: Number> FoldSink<T> {
    /// Nothing folded yet.
    #[must_use]
    pub fn new(fold: Fold, dtype: DType, shape: &[usize]) -> Self {
        let n = shape.iter().product();
        let compensates = fold == Fold::Add && T::DTYPE == DType::F64;
        // A NaN is what these two give back only if they see nothing else.
        let start = match fold {
            Fold::Fmax | Fold::Fmin if T::DTYPE.has_nan() => {
                T::from_constant(crate::dtype::Constant::from_f64(dtype, f64::NAN))
            }
            _ => fold.neutral(),
        };
        FoldSink { fold, dtype, values: vec![start; n], errors: if compensates { vec![0.0; n] } else { Vec::new() } }
    }

    /// The state as it travels.
    #[must_use]
    pub fn into_state(mut self, shape: &[usize]) -> Value {
        if !self.errors.is_empty() {
            let floats: &mut dyn std::any::Any = &mut self.values;
            if let Some(floats) = floats.downcast_mut::<Vec<f64>>() {
                for (value, error) in floats.iter_mut().zip(&self.errors) {
                    *value += error;
                }
            }
        }
        Value::new(Block::from_vec_as(self.dtype, self.values, shape))
    }
}

impl<T: Number> Sink for FoldSink<T> {
    unsafe fn take(&mut self, at: usize, step: isize, results: [*const u8; 2], n: usize) {
        // SAFETY: the evaluator hands over results of the program's dtype.
        let row: &[T] = unsafe { elements(results[0], n) };
        if step == 1 {
            fold_into(self.fold, &mut self.values[at..at + n], row);
        } else if step == 0 {
            let folded = fold_row(self.fold, row);
            let sum: &mut dyn std::any::Any = &mut self.values[at];
            let part: &dyn std::any::Any = &folded;
            match (sum.downcast_mut::<f64>(), part.downcast_ref::<f64>(), self.errors.get_mut(at)) {
                (Some(sum), Some(part), Some(error)) => add_compensated(sum, error, *part),
                _ => self.values[at] = self.fold.apply(self.values[at], folded),
            }
        } else {
            for (i, &x) in row.iter().enumerate() {
                let at = at.wrapping_add_signed(i as isize * step);
                self.values[at] = self.fold.apply(self.values[at], x);
            }
        }
    }
}

/// Folds floats into their moments.
pub struct MomentsSink {
    skips_nan: bool,
    counts: Vec<f64>,
    means: Vec<f64>,
    squares: Vec<f64>,
}

impl MomentsSink {
    /// Nothing folded yet.
    #[must_use]
    pub fn new(shape: &[usize], skips_nan: bool) -> Self {
        let n = shape.iter().product();
        MomentsSink { skips_nan, counts: vec![0.0; n], means: vec![0.0; n], squares: vec![0.0; n] }
    }

    fn join(&mut self, at: usize, moments: Moments) {
        let own = Moments { count: self.counts[at], mean: self.means[at], squares: self.squares[at] };
        let Moments { count, mean, squares } = own.join(moments);
        (self.counts[at], self.means[at], self.squares[at]) = (count, mean, squares);
    }

    /// The state as it travels: three planes.
    #[must_use]
    pub fn into_state(self, shape: &[usize]) -> Value {
        let mut planes = self.counts;
        planes.extend(self.means);
        planes.extend(self.squares);
        let shape: Dims = std::iter::once(3).chain(shape.iter().copied()).collect();
        Value::new(Block::from_vec(planes, &shape))
    }
}

impl Sink for MomentsSink {
    unsafe fn take(&mut self, at: usize, step: isize, results: [*const u8; 2], n: usize) {
        // SAFETY: moments are taken of programs that answer `f64`.
        let row: &[f64] = unsafe { elements(results[0], n) };
        if self.skips_nan {
            if step == 0 {
                let rest: Vec<f64> = row.iter().copied().filter(|x| !x.is_nan()).collect();
                return self.join(at, row_moments(&rest));
            }
            for (i, &x) in row.iter().enumerate().filter(|(_, x)| !x.is_nan()) {
                self.join(at.wrapping_add_signed(i as isize * step), Moments { count: 1.0, mean: x, squares: 0.0 });
            }
        } else if step == 0 {
            self.join(at, row_moments(row));
        } else if step == 1 {
            // Rows arrive in the same stretches every time, so that all columns
            // of one have seen equally many elements.
            moments_into(self.counts[at], &mut self.means[at..at + n], &mut self.squares[at..at + n], row);
            self.counts[at..at + n].iter_mut().for_each(|count| *count += 1.0);
        } else {
            for (i, &x) in row.iter().enumerate() {
                // The distance from itself: NaN for what is not finite.
                let one = Moments { count: 1.0, mean: x, squares: if x.is_finite() { 0.0 } else { f64::NAN } };
                self.join(at.wrapping_add_signed(i as isize * step), one);
            }
        }
    }
}

/// Finds extremes and their positions.
pub struct ArgSink<T> {
    largest: bool,
    dtype: DType,
    values: Vec<T>,
    /// Negative where nothing was seen yet.
    positions: Vec<i64>,
}

impl<T: Number> ArgSink<T> {
    /// Nothing seen yet.
    #[must_use]
    pub fn new(largest: bool, dtype: DType, shape: &[usize]) -> Self {
        let n = shape.iter().product();
        ArgSink { largest, dtype, values: vec![T::ZERO; n], positions: vec![-1; n] }
    }

    fn offer(&mut self, at: usize, value: T, position: i64) {
        let (own, own_position) = (self.values[at], self.positions[at]);
        let wins = if position < 0 {
            false
        } else if own_position < 0 {
            true
        } else if own.is_nan() || value.is_nan() {
            value.is_nan() && (!own.is_nan() || position < own_position)
        } else if value == own {
            position < own_position
        } else {
            (value > own) == self.largest
        };
        if wins {
            (self.values[at], self.positions[at]) = (value, position);
        }
    }

    /// The state as it travels: values and positions.
    #[must_use]
    pub fn into_state(self, shape: &[usize]) -> Value {
        let values = Value::new(Block::from_vec_as(self.dtype, self.values, shape));
        Value::new(Parts(vec![values, Value::new(Block::from_vec(self.positions, shape))]))
    }
}

impl<T: Number> Sink for ArgSink<T> {
    unsafe fn take(&mut self, at: usize, step: isize, results: [*const u8; 2], n: usize) {
        // SAFETY: the evaluator hands over the program's result and, as was
        // asked for, the positions.
        let (row, positions): (&[T], &[i64]) = unsafe { (elements(results[0], n), elements(results[1], n)) };
        if step == 0 {
            if let Some(found) = arg_extreme(self.largest, row) {
                self.offer(at, row[found], positions[found]);
            }
            return;
        }
        for (i, (&value, &position)) in row.iter().zip(positions).enumerate() {
            self.offer(at.wrapping_add_signed(i as isize * step), value, position);
        }
    }
}

/// The numbers of a state, each as a block of the state's shape.
///
/// # Errors
/// If the value is no state of this kind.
pub fn planes(kind: Kind, state: &Value) -> Result<Vec<Block>> {
    match kind {
        Kind::Fold(_) => Ok(vec![state.expect::<Block>()?.clone()]),
        Kind::Moments { .. } => {
            let block = state.expect::<Block>()?.to_contiguous();
            let Some((&3, shape)) = block.shape().split_first() else {
                return Err(Error::value("a state of moments has three planes"));
            };
            let n: usize = shape.iter().product();
            let plane = |i: usize| block.view((i * n) as isize, shape.into(), contiguous_strides(shape));
            Ok((0..3).map(plane).collect())
        }
        Kind::Arg { .. } => Ok(vec![arg_parts(state)?.1.clone()]),
    }
}

fn arg_parts(state: &Value) -> Result<(&Block, &Block)> {
    match state.expect::<Parts>()?.0.as_slice() {
        [values, positions] => Ok((values.expect()?, positions.expect()?)),
        _ => Err(Error::value("a state of positions has two parts")),
    }
}

fn shape_of<'a>(first: &'a Block, others: &[&Block]) -> Result<&'a [usize]> {
    if others.iter().any(|block| block.shape() != first.shape() || block.dtype() != first.dtype()) {
        return Err(Error::value("states of different shapes cannot be combined"));
    }
    Ok(first.shape())
}

/// Several states as one.
///
/// # Errors
/// If they are no states of this kind, or of different shapes.
pub fn combine(kind: Kind, dtype: DType, states: &[Value]) -> Result<Value> {
    if let [single] = states {
        return Ok(single.clone());
    }
    match kind {
        Kind::Fold(fold) => {
            let blocks = states.iter().map(|state| state.expect::<Block>()).collect::<Result<Vec<&Block>>>()?;
            let first = blocks.first().ok_or_else(|| Error::value("there are no states to combine"))?;
            let shape = shape_of(first, &blocks)?;
            dispatch!(dtype, T => {
                let mut values: Vec<T> = first.to_vec()?;
                for block in &blocks[1..] {
                    let block = block.to_contiguous();
                    fold_into(fold, &mut values, block.as_slice().unwrap_or_default());
                }
                Ok(Value::new(Block::from_vec_as(dtype, values, shape)))
            })
        }
        Kind::Moments { skips_nan } => {
            let blocks = states.iter().map(|state| state.expect::<Block>()).collect::<Result<Vec<&Block>>>()?;
            let first = blocks.first().ok_or_else(|| Error::value("there are no states to combine"))?;
            let shape = shape_of(first, &blocks)?.get(1..).unwrap_or_default();
            let mut sink = MomentsSink::new(shape, skips_nan);
            for state in states {
                let planes: Vec<Vec<f64>> =
                    planes(kind, state)?.iter().map(Block::to_vec).collect::<Result<Vec<_>>>()?;
                let cells = planes[0].iter().zip(&planes[1]).zip(&planes[2]);
                for (at, ((&count, &mean), &squares)) in cells.enumerate() {
                    sink.join(at, Moments { count, mean, squares });
                }
            }
            Ok(sink.into_state(shape))
        }
        Kind::Arg { largest } => dispatch!(dtype, T => {
            let parts = states.iter().map(arg_parts).collect::<Result<Vec<_>>>()?;
            let first = parts.first().ok_or_else(|| Error::value("there are no states to combine"))?.0;
            let shape = shape_of(first, &parts.iter().map(|part| part.0).collect::<Vec<_>>())?;
            let mut sink = ArgSink::<T>::new(largest, dtype, shape);
            for (values, positions) in parts {
                let (values, positions): (Vec<T>, Vec<i64>) = (values.to_vec()?, positions.to_vec()?);
                for (at, (value, position)) in values.into_iter().zip(positions).enumerate() {
                    sink.offer(at, value, position);
                }
            }
            Ok(sink.into_state(shape))
        }),
    }
}

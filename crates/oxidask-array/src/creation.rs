//! Arrays made from a few numbers.

use crate::array::Array;
use crate::chunks::{ChunkSpec, normalize};
use crate::dtype::{Constant, DType, Scalar};
use crate::expr::blockwise::Blockwise;
use crate::expr::body::{Body, Operand, Reads};
use crate::generate::Generator;
use crate::program::{Builder, Func, Program, Slot};
use oxidask_core::{Error, Result};

impl From<usize> for ChunkSpec {
    fn from(size: usize) -> Self {
        ChunkSpec::Size(size)
    }
}

impl From<i32> for ChunkSpec {
    fn from(size: i32) -> Self {
        usize::try_from(size).map_or(ChunkSpec::Whole, ChunkSpec::Size)
    }
}

/// An array of one value.
///
/// # Errors
/// If the chunks do not fit the shape or the value the dtype.
pub fn full(shape: &[usize], value: impl Into<Scalar>, dtype: Option<DType>, chunks: &[ChunkSpec]) -> Result<Array> {
    let value = value.into();
    let dtype = dtype.unwrap_or(value.default_dtype());
    let chunks = normalize(chunks, shape, dtype, None)?;
    let program = Program::constant(value.to_constant(dtype)?);
    Ok(Array::of(Blockwise::build("full", Body { program, operands: Vec::new(), chunks }, Reads::default())))
}

/// An array of zeros.
///
/// # Errors
/// If the chunks do not fit the shape.
pub fn zeros(shape: &[usize], dtype: DType, chunks: &[ChunkSpec]) -> Result<Array> {
    full(shape, 0, Some(dtype), chunks)
}

/// An array of ones.
///
/// # Errors
/// If the chunks do not fit the shape.
pub fn ones(shape: &[usize], dtype: DType, chunks: &[ChunkSpec]) -> Result<Array> {
    full(shape, 1, Some(dtype), chunks)
}

/// An array computed from its elements' positions: `program` builds the value
/// from as many coordinates as `strides` has rows, each a linear function of the
/// axes.
fn positioned(
    label: &str,
    shape: &[usize],
    strides: &[&[i64]],
    chunks: &[ChunkSpec],
    dtype: DType,
    program: impl FnOnce(&mut Builder, &[Slot]) -> Slot,
) -> Result<Array> {
    let chunks = normalize(chunks, shape, dtype, None)?;
    let mut builder = Builder::new();
    let inputs: Vec<Slot> = strides.iter().map(|_| builder.input(DType::I64)).collect();
    let output = program(&mut builder, &inputs);
    let output = builder.cast(output, dtype);
    let operands = strides
        .iter()
        .map(|strides| Operand::Generate { generator: Generator::Index, start: 0, strides: (*strides).into() })
        .collect();
    let body = Body { program: builder.finish(output), operands, chunks };
    Ok(Array::of(Blockwise::build(label, body, Reads::default())))
}

/// `start, start + step, …` up to but not including `stop`.
///
/// # Errors
/// If the step is zero or the chunks do not fit.
pub fn arange(start: Scalar, stop: Scalar, step: Scalar, dtype: Option<DType>, chunks: &[ChunkSpec]) -> Result<Array> {
    let natural = [start, stop, step].iter().map(|scalar| scalar.default_dtype()).reduce(DType::promote);
    let natural = natural.unwrap_or(DType::F64);
    let dtype = dtype.unwrap_or(natural);
    let value = |scalar: Scalar| Ok::<f64, Error>(scalar.to_constant(DType::F64)?.to_f64());
    if value(step)? == 0.0 {
        return Err(Error::value("the step of arange may not be zero"));
    }
    if natural.is_float() || dtype.is_float() {
        let (first, by) = (value(start)?, value(step)?);
        let n = ((value(stop)? - first) / by).ceil().max(0.0);
        // NumPy takes the difference of the first two elements for the step.
        let by = (first + by) - first;
        return positioned("arange", &[n as usize], &[&[1]], chunks, dtype, |builder, inputs| {
            let position = builder.cast(inputs[0], DType::F64);
            let by = builder.constant(Constant::from_f64(DType::F64, by));
            let first = builder.constant(Constant::from_f64(DType::F64, first));
            let distance = builder.step(Func::Multiply, &[position, by]);
            builder.step(Func::Add, &[distance, first])
        });
    }
    let whole = |scalar: Scalar| Ok::<i128, Error>(scalar.to_constant(DType::I64)?.to_i128());
    let (first, by) = (whole(start)?, whole(step)?);
    let span = whole(stop)? - first;
    let n = if (span > 0) == (by > 0) { span.unsigned_abs().div_ceil(by.unsigned_abs()) } else { 0 };
    positioned("arange", &[n as usize], &[&[by as i64]], chunks, dtype, |builder, inputs| {
        let first = builder.constant(Constant::from_i128(DType::I64, first));
        builder.step(Func::Add, &[inputs[0], first])
    })
}

/// `num` numbers from `start` to `stop`, evenly spaced; `stop` is the last one
/// if `endpoint`.
///
/// # Errors
/// If the chunks do not fit.
pub fn linspace(
    start: f64,
    stop: f64,
    num: usize,
    endpoint: bool,
    dtype: Option<DType>,
    chunks: &[ChunkSpec],
) -> Result<Array> {
    let n_steps = if endpoint { num.saturating_sub(1) } else { num };
    let step = if n_steps > 0 { (stop - start) / n_steps as f64 } else { f64::NAN };
    let dtype = dtype.unwrap_or(DType::F64);
    positioned("linspace", &[num], &[&[1]], chunks, dtype, |builder, inputs| {
        let first = builder.constant(Constant::from_f64(DType::F64, start));
        if n_steps == 0 {
            return first;
        }
        let position = builder.cast(inputs[0], DType::F64);
        let step = builder.constant(Constant::from_f64(DType::F64, step));
        let distance = builder.step(Func::Multiply, &[position, step]);
        let value = builder.step(Func::Add, &[distance, first]);
        if !endpoint {
            return value;
        }
        // Rounding must not miss the end.
        let last = builder.constant(Constant::from_i128(DType::I64, num as i128 - 1));
        let is_last = builder.step(Func::Equal, &[inputs[0], last]);
        let stop = builder.constant(Constant::from_f64(DType::F64, stop));
        builder.step(Func::Select, &[is_last, stop, value])
    })
}

/// A matrix with ones on diagonal `k` and zeros elsewhere.
///
/// # Errors
/// If the chunks do not fit.
pub fn eye(n: usize, m: usize, k: i64, dtype: DType, chunks: &[ChunkSpec]) -> Result<Array> {
    positioned("eye", &[n, m], &[&[-1, 1]], chunks, dtype, |builder, inputs| {
        let k = builder.constant(Constant::from_i128(DType::I64, k.into()));
        builder.step(Func::Equal, &[inputs[0], k])
    })
}

/// A matrix with ones on and below diagonal `k` and zeros above.
///
/// # Errors
/// If the chunks do not fit.
pub fn tri(n: usize, m: usize, k: i64, dtype: DType, chunks: &[ChunkSpec]) -> Result<Array> {
    positioned("tri", &[n, m], &[&[-1, 1]], chunks, dtype, |builder, inputs| {
        let k = builder.constant(Constant::from_i128(DType::I64, k.into()));
        builder.step(Func::LessEqual, &[inputs[0], k])
    })
}

//! Functions of whole lanes: a block's elements along one axis, which has a
//! single chunk. Sorting, quantiles and Fourier transforms are rows of one
//! table, [`Along`].

use super::wired::Wired;
use super::{ArrayMeta, meta_of};
use crate::block::{Block, Dims, Strides};
use crate::chunks::Chunks;
use crate::dtype::DType;
use crate::kernel::order::{self, Interpolation, Sortable};
use crate::kernel::transform::{self, Transform};
use oxidask_core::{Error, ExprRef, Op, Result, Value};
use oxidask_macros::op;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::mem::MaybeUninit;
use std::sync::Arc;

/// [`crate::dispatch!`] over the dtypes that have an order.
macro_rules! dispatch_sortable {
    ($dtype:expr, $T:ident => $body:expr) => {
        match $dtype {
            dtype if dtype.is_time() => {
                type $T = $crate::dtype::Ticks;
                $body
            }
            dtype => $crate::dispatch!(@rows dtype, $T => $body;
                Bool: $crate::dtype::Bool, I8: i8, I16: i16, I32: i32, I64: i64,
                U8: u8, U16: u16, U32: u32, U64: u64, F32: f32, F64: f64, F16: half::f16),
        }
    };
}
pub(crate) use dispatch_sortable;

/// What is done with a lane.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Along {
    /// The elements in ascending order, NaN last.
    Sort,
    /// The positions of the elements in ascending order; equal ones stay in
    /// order.
    Argsort,
    /// The `k` largest elements in descending order, or smallest in ascending.
    Top {
        /// How many.
        k: usize,
        /// The largest rather than the smallest.
        largest: bool,
    },
    /// Values below which given shares of the elements lie.
    Quantile {
        /// The shares, from 0 to 1.
        shares: Vec<f64>,
        /// What lies between two elements.
        interpolation: Interpolation,
        /// Whether elements that are NaN are left out, rather than the answer.
        ignores_nan: bool,
    },
    /// A Fourier transform.
    Fourier(Transform),
}

impl Along {
    fn label(&self) -> &'static str {
        match self {
            Along::Sort => "sort",
            Along::Argsort => "argsort",
            Along::Top { .. } => "topk",
            Along::Quantile { .. } => "quantile",
            Along::Fourier(transform) => transform.label(),
        }
    }

    /// The length of a lane of the result.
    fn length(&self, n: usize) -> usize {
        match self {
            Along::Sort | Along::Argsort => n,
            Along::Top { k, .. } => n.min(*k),
            Along::Quantile { shares, .. } => shares.len(),
            Along::Fourier(transform) => transform.length(),
        }
    }

    /// The dtype of the result.
    fn dtype(&self, dtype: DType) -> DType {
        match self {
            Along::Sort | Along::Top { .. } => dtype,
            Along::Argsort => DType::I64,
            Along::Quantile { .. } => {
                if dtype.is_float() {
                    dtype
                } else {
                    DType::F64
                }
            }
            Along::Fourier(transform) => transform.dtype(dtype),
        }
    }
}

/// A node of a function of lanes, each chunk of which along `axis` is a lane of
/// its own; whoever wants whole lanes rechunks first.
///
/// # Errors
/// If the input is no array.
pub fn along(input: &ExprRef, axis: usize, function: Along) -> Result<ExprRef> {
    let meta = meta_of(input)?;
    let sizes: Vec<usize> = meta.chunks.sizes(axis).map(|n| function.length(n)).collect();
    let borders = Chunks::from_sizes([sizes]);
    let borders = (0..meta.chunks.ndim())
        .map(|other| if other == axis { borders.borders(0).clone() } else { meta.chunks.borders(other).clone() });
    let meta = ArrayMeta { chunks: Chunks::from_borders(borders), dtype: function.dtype(meta.dtype) };
    let op = AlongOp { axis, function, chunks: meta.chunks.clone(), dtype: meta.dtype };
    Wired::in_place(Arc::new(op), vec![input.clone()], meta)
}

/// Calls a function for every lane of a block.
#[op("array.along")]
#[derive(Serialize, Deserialize)]
struct AlongOp {
    axis: usize,
    function: Along,
    chunks: Chunks,
    dtype: DType,
}

impl Op for AlongOp {
    fn run(&self, _: u64, inputs: &[Value]) -> Result<Value> {
        let block =
            inputs.first().ok_or_else(|| Error::value("a function of lanes got no block"))?.expect::<Block>()?;
        if self.axis >= block.shape().len() || !block.dtype().has_arithmetic() {
            return Err(Error::value(format!("lanes of a block of shape {:?} are asked for", block.shape())));
        }
        let lanes = moved_last(block, self.axis);
        let n = lanes.shape()[lanes.shape().len() - 1];
        let m = self.function.length(n);
        let mut shape: Dims = lanes.shape().into();
        shape[lanes.shape().len() - 1] = m;
        let result = match &self.function {
            Along::Fourier(transform) => transform::run(transform, &lanes, &shape)?,
            _ if block.dtype().is_complex() => return Err(Error::type_("complex numbers are not put in order")),
            function => dispatch_sortable!(block.dtype(), T => {
                let values = lanes.as_slice::<T>().unwrap_or_default();
                ordered(function, values, n, block.dtype(), &shape)?
            }),
        };
        Ok(Value::new(moved_back(&result, self.axis)))
    }

    fn label(&self) -> Cow<'_, str> {
        Cow::Borrowed(self.function.label())
    }

    fn output_bytes(&self, block: u64, _: &[Option<u64>]) -> Option<u64> {
        self.chunks.block_bytes(block as usize, self.dtype.itemsize())
    }
}

/// The functions that compare elements, lane by lane.
fn ordered<T: Sortable>(function: &Along, values: &[T], n: usize, dtype: DType, shape: &[usize]) -> Result<Block> {
    let lanes = || values.chunks_exact(n.max(1));
    let n_lanes: usize = shape[..shape.len() - 1].iter().product();
    Ok(match function {
        Along::Sort => {
            let write = |out: &mut [MaybeUninit<T>]| {
                let sorted = out.write_copy_of_slice(values);
                sorted.chunks_exact_mut(n.max(1)).for_each(order::sort);
            };
            // SAFETY: as many elements are written as there are.
            unsafe { Block::written(dtype, shape, write)? }
        }
        Along::Argsort => {
            let mut positions = Vec::with_capacity(values.len());
            lanes().for_each(|lane| order::argsort(lane, &mut positions));
            Block::from_vec(positions, shape)
        }
        Along::Top { k, largest } => {
            let mut top = Vec::new();
            lanes().for_each(|lane| order::top(lane, *k, *largest, &mut top));
            Block::from_vec_as(dtype, top, shape)
        }
        Along::Quantile { shares, interpolation, ignores_nan } => {
            let mut quantiles: Vec<f64> = Vec::with_capacity(n_lanes * shares.len());
            let mut lane_of = Vec::with_capacity(n);
            if n == 0 {
                quantiles.resize(n_lanes * shares.len(), f64::NAN);
            }
            for lane in lanes() {
                order::floats(lane, &mut lane_of);
                order::quantiles(&mut lane_of, shares, *interpolation, *ignores_nan, &mut quantiles);
            }
            let block = Block::from_vec(quantiles, shape);
            let result = function.dtype(dtype);
            if result == DType::F64 { block } else { converted(&block, result)? }
        }
        Along::Fourier(_) => return Err(Error::value("a transform is no matter of order")),
    })
}

/// A block converted to another dtype.
fn converted(block: &Block, dtype: DType) -> Result<Block> {
    let program = crate::ufunc::cast_program(block.dtype(), dtype)?;
    let source = crate::evaluate::Source::Block { block, strides: block.strides().into() };
    crate::evaluate::evaluate_to_block(&program, &[source], block.shape())
}

/// The block with an axis moved to the end, contiguous.
fn moved_last(block: &Block, axis: usize) -> Block {
    let order = (0..block.shape().len()).filter(|&other| other != axis).chain([axis]);
    permuted(block, order).to_contiguous()
}

/// The block with its last axis moved to `axis`, as a view.
fn moved_back(block: &Block, axis: usize) -> Block {
    let last = block.shape().len() - 1;
    permuted(block, (0..axis).chain([last]).chain(axis..last))
}

fn permuted(block: &Block, order: impl Iterator<Item = usize>) -> Block {
    let (shape, strides): (Dims, Strides) = order.map(|axis| (block.shape()[axis], block.strides()[axis])).unzip();
    block.view(0, shape, strides)
}

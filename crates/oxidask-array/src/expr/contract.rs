//! Sums of products over shared axes: `matmul`, `dot`, `tensordot`.
//!
//! A block of the result is the sum of products of blocks. A task multiplies
//! and adds a run of at most `RUN` pairs; longer sums are added up by further
//! tasks, so that no task needs whole rows and columns of blocks at once.

use super::reduce::add_blocks;
use super::{ArrayMeta, meta_of};
use crate::block::{Block, Dims, Strides, contiguous_strides};
use crate::chunks::{Chunks, UNKNOWN};
use crate::dispatch;
use crate::dtype::{DType, Element};
use crate::kernel::number::Number;
use oxidask_core::graph::{Blocks, Graph, Input};
use oxidask_core::{Error, Expr, ExprRef, Inputs, Key, KeyHasher, Op, Result, Value};
use oxidask_macros::op;
use serde::{Deserialize, Serialize};
use std::any::Any;
use std::borrow::Cow;
use std::sync::Arc;

/// Pairs of blocks that one task multiplies and adds.
const RUN: usize = 8;
/// Sums that one task adds up.
const SUMS: usize = 8;

/// Which axes of two arrays belong together.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Axes {
    /// Pairs that stay, side by side.
    pub batch: Vec<(usize, usize)>,
    /// Pairs that are summed over.
    pub summed: Vec<(usize, usize)>,
    /// The other axes of the left array.
    pub left: Vec<usize>,
    /// The other axes of the right array.
    pub right: Vec<usize>,
}

impl Axes {
    /// The axes of arrays of so many dimensions; those not named are free.
    #[must_use]
    pub fn new(ndim: (usize, usize), batch: Vec<(usize, usize)>, summed: Vec<(usize, usize)>) -> Self {
        let named = |axis: usize, side: fn(&(usize, usize)) -> usize| {
            batch.iter().chain(&summed).any(|pair| side(pair) == axis)
        };
        let left = (0..ndim.0).filter(|&axis| !named(axis, |pair| pair.0)).collect();
        let right = (0..ndim.1).filter(|&axis| !named(axis, |pair| pair.1)).collect();
        Axes { batch, summed, left, right }
    }
}

/// A product of two arrays of one dtype.
pub struct Contract {
    axes: Axes,
    inputs: Inputs,
    key: Key,
    meta: ArrayMeta,
}

impl Contract {
    /// A node of the product; the chunks along paired axes agree. The result's
    /// axes are those that stay, then the left free ones, then the right ones.
    ///
    /// # Errors
    /// If the inputs are no arrays.
    pub fn build(left: &ExprRef, right: &ExprRef, axes: Axes) -> Result<ExprRef> {
        let (a, b) = (meta_of(left)?, meta_of(right)?);
        let borders = axes
            .batch
            .iter()
            .map(|&(axis, _)| a.chunks.borders(axis).clone())
            .chain(axes.left.iter().map(|&axis| a.chunks.borders(axis).clone()))
            .chain(axes.right.iter().map(|&axis| b.chunks.borders(axis).clone()));
        let meta = ArrayMeta { chunks: Chunks::from_borders(borders), dtype: a.dtype };
        let key = KeyHasher::new("array.contract").params(&axes).key(left.key()).key(right.key()).finish();
        Ok(Arc::new(Contract { axes, inputs: vec![left.clone(), right.clone()].into(), key, meta }))
    }

    /// The pairs of blocks whose products make up one block of the result.
    fn pairs(&self, coordinates: &[usize], a: &Chunks, b: &Chunks) -> Vec<(usize, usize)> {
        let (n_batch, n_left) = (self.axes.batch.len(), self.axes.left.len());
        let mut at_a = Dims::from_elem(0, a.ndim());
        let mut at_b = Dims::from_elem(0, b.ndim());
        for (&(axis_a, axis_b), &at) in self.axes.batch.iter().zip(coordinates) {
            (at_a[axis_a], at_b[axis_b]) = (at, at);
        }
        for (&axis, &at) in self.axes.left.iter().zip(&coordinates[n_batch..]) {
            at_a[axis] = at;
        }
        for (&axis, &at) in self.axes.right.iter().zip(&coordinates[n_batch + n_left..]) {
            at_b[axis] = at;
        }
        let counts: Vec<usize> = self.axes.summed.iter().map(|&(axis, _)| a.n_along(axis)).collect();
        (0..counts.iter().product())
            .map(|number: usize| {
                let mut rest = number;
                for (&(axis_a, axis_b), count) in self.axes.summed.iter().zip(&counts).rev() {
                    (at_a[axis_a], at_b[axis_b]) = (rest % count, rest % count);
                    rest /= count;
                }
                (a.number(&at_a), b.number(&at_b))
            })
            .collect()
    }
}

impl Expr for Contract {
    fn key(&self) -> Key {
        self.key
    }

    fn label(&self) -> Cow<'_, str> {
        Cow::Borrowed("matmul")
    }

    fn inputs(&self) -> &[ExprRef] {
        &self.inputs
    }

    fn with_inputs(&self, inputs: Vec<ExprRef>) -> Result<ExprRef> {
        match inputs.as_slice() {
            [left, right] => Contract::build(left, right, self.axes.clone()),
            _ => Err(Error::value(format!("a product of two arrays got {}", inputs.len()))),
        }
    }

    fn lower(&self, inputs: &[Blocks], graph: &mut Graph) -> Result<Blocks> {
        let (a, b) = (&meta_of(&self.inputs[0])?.chunks, &meta_of(&self.inputs[1])?.chunks);
        let chunks = &self.meta.chunks;
        let op = ContractOp { axes: self.axes.clone(), dtype: self.meta.dtype, chunks: chunks.clone() };
        let multiply = graph.stage(Arc::new(op));
        let mut add = None;
        let run_key = KeyHasher::new("array.contract.run").key(self.key).finish();
        let mut results = Blocks::with_capacity(chunks.n_blocks());
        for block in 0..chunks.n_blocks() {
            let pairs = self.pairs(&chunks.coordinates(block), a, b);
            let is_single = pairs.len() <= RUN;
            let key = self.key.block(block as u64);
            let mut sums: Vec<Input> = pairs
                .chunks(RUN)
                .enumerate()
                .map(|(run, pairs)| {
                    let reads: Vec<Input> =
                        pairs.iter().flat_map(|&(left, right)| [inputs[0][left], inputs[1][right]]).collect();
                    let key = if is_single { key } else { run_key.block(block as u64).block(run as u64) };
                    Input::whole(graph.task(key, multiply, block as u32, &reads))
                })
                .collect();
            let mut level = 0;
            while sums.len() > 1 {
                level += 1;
                let stage =
                    *add.get_or_insert_with(|| graph.stage(add_blocks("matmul-sum", self.meta.dtype, chunks.clone())));
                let is_last = sums.len() <= SUMS;
                sums = sums
                    .chunks(SUMS)
                    .enumerate()
                    .map(|(task, share)| {
                        let inner = Key(run_key.0 ^ level).block(block as u64).block(task as u64);
                        Input::whole(graph.task(if is_last { key } else { inner }, stage, block as u32, share))
                    })
                    .collect();
            }
            results.append(&mut sums);
        }
        Ok(results)
    }

    fn meta(&self) -> &(dyn Any + Send + Sync) {
        &self.meta
    }

    fn describe(&self) -> String {
        format!("matmul over {:?}", self.axes.summed)
    }
}

/// Multiplies pairs of blocks and adds the products.
#[op("array.contract")]
#[derive(Serialize, Deserialize)]
struct ContractOp {
    axes: Axes,
    dtype: DType,
    chunks: Chunks,
}

/// A block as a stack of matrices: its strides along the stack, the rows and
/// the columns, and how many of each there are.
struct Matrices {
    block: Block,
    shape: [usize; 3],
    strides: [isize; 3],
}

impl Matrices {
    /// Groups the axes of a block; copies only if a group cannot be walked with
    /// one stride.
    fn new(block: &Block, groups: [&[usize]; 3]) -> Result<Self> {
        let order: Vec<usize> = groups.concat();
        if order.len() != block.shape().len() || order.iter().any(|&axis| axis >= order.len()) {
            return Err(Error::value(format!("a product got a block of shape {:?}", block.shape())));
        }
        let shape: Dims = order.iter().map(|&axis| block.shape()[axis]).collect();
        let strides: Strides = order.iter().map(|&axis| block.strides()[axis]).collect();
        let mut permuted = block.view(0, shape, strides);
        if groups.iter().any(|group| group.len() > 1) {
            // Plain strides also where an axis of length one had others.
            let whole = permuted.to_contiguous();
            permuted = whole.view(0, whole.shape().into(), contiguous_strides(whole.shape()));
        }
        let (mut shape, mut strides, mut first) = ([1; 3], [0; 3], 0);
        for (i, group) in groups.iter().enumerate() {
            let axes = first..first + group.len();
            shape[i] = permuted.shape()[axes.clone()].iter().product();
            strides[i] = axes.last().map_or(0, |axis| permuted.strides()[axis]);
            first += group.len();
        }
        Ok(Matrices { block: permuted, shape, strides })
    }
}

impl Op for ContractOp {
    fn run(&self, block: u64, inputs: &[Value]) -> Result<Value> {
        let axes = &self.axes;
        let shape = self.shape_of(block, inputs)?;
        let batch: (Vec<usize>, Vec<usize>) = axes.batch.iter().copied().unzip();
        let summed: (Vec<usize>, Vec<usize>) = axes.summed.iter().copied().unzip();
        dispatch!(self.dtype, T => {
            let mut out: Vec<T> = vec![T::ZERO; shape.iter().product()];
            for pair in inputs.chunks(2) {
                let [left, right] = pair else { return Err(Error::value("a product got an odd number of blocks")) };
                let left = Matrices::new(left.expect()?, [&batch.0, &axes.left, &summed.0])?;
                let right = Matrices::new(right.expect()?, [&batch.1, &summed.1, &axes.right])?;
                check(&left, &right, self.dtype, out.len())?;
                multiply_add(&left, &right, &mut out);
            }
            Ok(Value::new(Block::from_vec_as(self.dtype, out, &shape)))
        })
    }

    fn label(&self) -> Cow<'_, str> {
        Cow::Borrowed("matmul")
    }

    fn output_bytes(&self, block: u64, _: &[Option<u64>]) -> Option<u64> {
        self.chunks.block_bytes(block as usize, self.dtype.itemsize())
    }
}

impl ContractOp {
    /// The shape of a block of the result; lengths that are not known are those
    /// of the first pair.
    fn shape_of(&self, block: u64, inputs: &[Value]) -> Result<Dims> {
        let mut shape = self.chunks.block_shape(&self.chunks.coordinates(block as usize));
        let [left, right, ..] = inputs else { return Err(Error::value("a product got no pair of blocks")) };
        let (left, right) = (left.expect::<Block>()?.shape(), right.expect::<Block>()?.shape());
        let axes = &self.axes;
        let from_left = axes.batch.iter().map(|pair| pair.0).chain(axes.left.iter().copied());
        let own = from_left.map(|axis| left.get(axis)).chain(axes.right.iter().map(|&axis| right.get(axis)));
        for (length, own) in shape.iter_mut().zip(own) {
            if *length == UNKNOWN {
                *length = own.copied().unwrap_or(UNKNOWN);
            }
        }
        Ok(shape)
    }
}

fn check(left: &Matrices, right: &Matrices, dtype: DType, n_out: usize) -> Result<()> {
    let fits = left.shape[0] == right.shape[0]
        && left.shape[2] == right.shape[1]
        && left.shape[0] * left.shape[1] * right.shape[2] == n_out
        && left.block.dtype() == dtype
        && right.block.dtype() == dtype;
    if fits {
        return Ok(());
    }
    Err(Error::value(format!("blocks of shapes {:?} and {:?} cannot be multiplied", left.shape, right.shape)))
}

/// Adds the products of two stacks of matrices to `out`, which is contiguous.
/// The shapes were checked.
fn multiply_add<T: Number>(left: &Matrices, right: &Matrices, out: &mut [T]) {
    let (n_stack, m, k, n) = (left.shape[0], left.shape[1], left.shape[2], right.shape[2]);
    if m * n * k == 0 {
        return;
    }
    for at in 0..n_stack {
        let a = left.block.as_ptr().cast::<T>().wrapping_offset(at as isize * left.strides[0]);
        let b = right.block.as_ptr().cast::<T>().wrapping_offset(at as isize * right.strides[0]);
        let c = &mut out[at * m * n..(at + 1) * m * n];
        let sides = ((a, left.strides[1], left.strides[2]), (b, right.strides[1], right.strides[2]));
        // SAFETY: the pointers and strides name the elements of two blocks of
        // shapes (m, k) and (k, n), and `c` has room for (m, n).
        unsafe {
            match T::DTYPE {
                DType::F64 => gemm_floats::<f64>((m, k, n), cast_sides(sides), c.as_mut_ptr().cast(), 1.0),
                DType::F32 => gemm_floats::<f32>((m, k, n), cast_sides(sides), c.as_mut_ptr().cast(), 1.0),
                _ => multiply_plainly((m, k, n), sides, c),
            }
        }
    }
}

type Side<T> = (*const T, isize, isize);

fn cast_sides<T, U>((a, b): (Side<T>, Side<T>)) -> (Side<U>, Side<U>) {
    ((a.0.cast(), a.1, a.2), (b.0.cast(), b.1, b.2))
}

/// `c += a · b` by the blocked kernel of the `gemm` crate, on this thread.
///
/// # Safety
/// As described in [`multiply_add`]; `T` is a float.
unsafe fn gemm_floats<T: Element>((m, k, n): (usize, usize, usize), (a, b): (Side<T>, Side<T>), c: *mut T, one: T) {
    // SAFETY: passed on to the caller.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            c,
            1,
            n as isize,
            true,
            a.0,
            a.2,
            a.1,
            b.0,
            b.2,
            b.1,
            one,
            one,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

/// `c += a · b` for integers and truth values, row by row.
///
/// # Safety
/// As described in [`multiply_add`].
unsafe fn multiply_plainly<T: Number>((m, k, n): (usize, usize, usize), (a, b): (Side<T>, Side<T>), c: &mut [T]) {
    for i in 0..m as isize {
        let row = &mut c[i as usize * n..(i as usize + 1) * n];
        for l in 0..k as isize {
            // SAFETY: passed on to the caller.
            let factor = unsafe { a.0.offset(i * a.1 + l * a.2).read() };
            for (j, sum) in row.iter_mut().enumerate() {
                // SAFETY: passed on to the caller.
                let other = unsafe { b.0.offset(l * b.1 + j as isize * b.2).read() };
                *sum = sum.add(factor.multiply(other));
            }
        }
    }
}

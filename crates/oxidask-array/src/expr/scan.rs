//! Running sums and products along an axis.
//!
//! The blocks' totals are added up into what each block starts from, so that
//! only these small sums wait for one another and the blocks themselves are
//! worked on side by side.

use super::{ArrayMeta, meta_of, only};
use crate::block::{Block, Dims};
use crate::dispatch;
use crate::dtype::DType;
use crate::kernel::fold::{Fold, fold_into, fold_row, scan_row};
use oxidask_core::graph::{Blocks, Graph, Input};
use oxidask_core::{Error, Expr, ExprRef, Inputs, Key, KeyHasher, Op, Result, Value};
use oxidask_macros::op;
use serde::{Deserialize, Serialize};
use std::any::Any;
use std::borrow::Cow;
use std::sync::Arc;

/// A running fold along one axis.
pub struct Scan {
    shared: Shared,
    inputs: Inputs,
    key: Key,
    meta: ArrayMeta,
}

/// What the tasks of a scan share.
#[derive(Clone, Serialize, Deserialize)]
struct Shared {
    axis: usize,
    fold: Fold,
    dtype: DType,
}

impl Scan {
    /// A node of the running fold of an array of numbers.
    ///
    /// # Errors
    /// If the input is no array.
    pub fn build(input: &ExprRef, axis: usize, fold: Fold) -> Result<ExprRef> {
        let meta = meta_of(input)?.clone();
        let key = KeyHasher::new("array.scan").params(&(axis, fold)).key(input.key()).finish();
        let shared = Shared { axis, fold, dtype: meta.dtype };
        Ok(Arc::new(Scan { shared, inputs: vec![input.clone()].into(), key, meta }))
    }
}

impl Expr for Scan {
    fn key(&self) -> Key {
        self.key
    }

    fn label(&self) -> Cow<'_, str> {
        Cow::Borrowed(if self.shared.fold == Fold::Add { "cumsum" } else { "cumprod" })
    }

    fn inputs(&self) -> &[ExprRef] {
        &self.inputs
    }

    fn with_inputs(&self, inputs: Vec<ExprRef>) -> Result<ExprRef> {
        Scan::build(&only(inputs)?, self.shared.axis, self.shared.fold)
    }

    fn lower(&self, inputs: &[Blocks], graph: &mut Graph) -> Result<Blocks> {
        let (chunks, axis) = (&self.meta.chunks, self.shared.axis);
        let total = graph.stage(Arc::new(TotalOp(self.shared.clone())));
        let join = graph.stage(Arc::new(JoinOp(self.shared.clone())));
        let scan = graph.stage(Arc::new(ScanOp(self.shared.clone())));
        let total_key = KeyHasher::new("array.scan.total").key(self.key).finish();
        let start_key = KeyHasher::new("array.scan.start").key(self.key).finish();
        // What the next block along the axis starts from, for every row of blocks.
        let mut starts: Vec<Option<Input>> = vec![None; chunks.n_blocks()];
        let mut results = Blocks::with_capacity(chunks.n_blocks());
        for (block, &read) in inputs[0].iter().enumerate() {
            let mut coordinates = chunks.coordinates(block);
            let (at, number) = (coordinates[axis], block as u64);
            coordinates[axis] = 0;
            let row = chunks.number(&coordinates);
            let start = starts[row];
            let reads: Vec<Input> = std::iter::once(read).chain(start).collect();
            results.push(Input::whole(graph.task(self.key.block(number), scan, block as u32, &reads)));
            if at + 1 == chunks.n_along(axis) {
                continue;
            }
            let own = Input::whole(graph.task(total_key.block(number), total, block as u32, &[read]));
            starts[row] = Some(match start {
                Some(start) => Input::whole(graph.task(start_key.block(number), join, block as u32, &[start, own])),
                None => own,
            });
        }
        Ok(results)
    }

    fn meta(&self) -> &(dyn Any + Send + Sync) {
        &self.meta
    }

    fn describe(&self) -> String {
        format!("{} axis {}", self.label(), self.shared.axis)
    }
}

/// The shape of a block as (before the axis, along it, behind it), checked.
fn sides(block: &Block, shared: &Shared) -> Result<(usize, usize, usize)> {
    let shape = block.shape();
    if block.dtype() != shared.dtype || shared.axis >= shape.len() {
        return Err(Error::value(format!(
            "a block of shape {shape:?} arrived where one of {} was expected",
            shared.dtype
        )));
    }
    let (before, rest) = shape.split_at(shared.axis);
    Ok((before.iter().product(), rest[0], rest[1..].iter().product()))
}

fn only_block(inputs: &[Value]) -> Result<&Block> {
    inputs.first().ok_or_else(|| Error::value("a running sum got no block"))?.expect::<Block>()
}

/// All elements of a block along the axis as one.
#[op("array.scan.total")]
#[derive(Serialize, Deserialize)]
struct TotalOp(Shared);

impl Op for TotalOp {
    fn run(&self, _: u64, inputs: &[Value]) -> Result<Value> {
        let block = only_block(inputs)?.to_contiguous();
        let (outer, n, inner) = sides(&block, &self.0)?;
        let mut shape: Dims = block.shape().into();
        shape[self.0.axis] = 1;
        dispatch!(self.0.dtype, T => {
            let values = block.as_slice::<T>().unwrap_or_default();
            let mut totals: Vec<T> = vec![self.0.fold.neutral(); outer * inner];
            for (at, rows) in values.chunks_exact((n * inner).max(1)).enumerate() {
                if inner == 1 {
                    totals[at] = fold_row(self.0.fold, rows);
                    continue;
                }
                for row in rows.chunks_exact(inner) {
                    fold_into(self.0.fold, &mut totals[at * inner..(at + 1) * inner], row);
                }
            }
            Ok(Value::new(Block::from_vec_as(self.0.dtype, totals, &shape)))
        })
    }

    fn label(&self) -> Cow<'_, str> {
        Cow::Borrowed("cumulative-total")
    }
}

/// Two totals as one.
#[op("array.scan.join")]
#[derive(Serialize, Deserialize)]
struct JoinOp(Shared);

impl Op for JoinOp {
    fn run(&self, _: u64, inputs: &[Value]) -> Result<Value> {
        crate::state::combine(super::reduce::Kind::Fold(self.0.fold), self.0.dtype, inputs)
    }

    fn label(&self) -> Cow<'_, str> {
        Cow::Borrowed("cumulative-start")
    }
}

/// The running fold of a block, from a start if there is one.
#[op("array.scan")]
#[derive(Serialize, Deserialize)]
struct ScanOp(Shared);

impl Op for ScanOp {
    fn run(&self, _: u64, inputs: &[Value]) -> Result<Value> {
        let block = only_block(inputs)?.to_contiguous();
        let (outer, n, inner) = sides(&block, &self.0)?;
        let fold = self.0.fold;
        let start = inputs.get(1).map(|start| start.expect::<Block>()).transpose()?;
        dispatch!(self.0.dtype, T => {
            let values = block.as_slice::<T>().unwrap_or_default();
            let mut starts: Vec<T> = match start {
                Some(start) => start.to_vec()?,
                None => vec![fold.neutral(); outer * inner],
            };
            if starts.len() != outer * inner {
                return Err(Error::value("a running sum starts from another shape"));
            }
            let fill = |out: *mut u8| {
                // SAFETY: there is room for all elements of the block, and every
                // loop below writes before it reads.
                let out = unsafe { std::slice::from_raw_parts_mut(out.cast::<std::mem::MaybeUninit<T>>(), values.len()) };
                let stack = (n * inner).max(1);
                for (at, (rows, out)) in values.chunks_exact(stack).zip(out.chunks_exact_mut(stack)).enumerate() {
                    let starts = &mut starts[at * inner..(at + 1) * inner];
                    if inner == 1 {
                        scan_row(fold, starts[0], rows, out);
                        continue;
                    }
                    for (row, out) in rows.chunks_exact(inner).zip(out.chunks_exact_mut(inner)) {
                        fold_into(fold, starts, row);
                        for (out, &value) in out.iter_mut().zip(starts.iter()) {
                            out.write(value);
                        }
                    }
                }
                Ok(())
            };
            // SAFETY: every row is written.
            Ok(Value::new(unsafe { Block::filled(self.0.dtype, block.shape(), fill) }?))
        })
    }

    fn label(&self) -> Cow<'_, str> {
        Cow::Borrowed(if self.0.fold == Fold::Add { "cumsum" } else { "cumprod" })
    }

    fn output_bytes(&self, _: u64, inputs: &[Option<u64>]) -> Option<u64> {
        inputs.first().copied().flatten()
    }
}

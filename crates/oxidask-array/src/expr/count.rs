//! Counting and searching: histograms, positions in a sorted list, distinct
//! elements.

use super::along::dispatch_sortable;
use super::wired::{Wired, Wiring};
use super::{ArrayMeta, meta_of};
use crate::block::Block;
use crate::chunks::Chunks;
use crate::dtype::DType;
use crate::kernel::order;
use oxidask_core::{Error, ExprRef, Op, Result, Value};
use oxidask_macros::op;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::sync::Arc;

/// A node with a row of counts for every block of the input: how many elements
/// lie between neighbouring edges, the last edge included. With weights, which
/// have the input's chunks and dtype `float64`, sums of weights.
///
/// # Errors
/// If the input is no array.
pub fn histograms(input: &ExprRef, weights: Option<&ExprRef>, edges: &[f64]) -> Result<ExprRef> {
    let n_blocks = meta_of(input)?.chunks.n_blocks();
    let n_bins = edges.len() - 1;
    let dtype = if weights.is_some() { DType::F64 } else { DType::I64 };
    let meta = ArrayMeta { chunks: Chunks::from_sizes([vec![1; n_blocks], vec![n_bins]]), dtype };
    let inputs = std::iter::once(input).chain(weights).cloned().collect();
    Wired::in_place(Arc::new(HistogramOp { edges: edges.into() }), inputs, meta)
}

/// Counts the elements of one block between edges.
#[op("array.histogram")]
#[derive(Serialize, Deserialize)]
struct HistogramOp {
    edges: Arc<[f64]>,
}

impl HistogramOp {
    /// Bins per unit if all are equally wide up to rounding.
    fn density(&self) -> Option<f64> {
        let (first, last, n) = (self.edges[0], self.edges[self.edges.len() - 1], self.edges.len() - 1);
        let width = (last - first) / n as f64;
        let slack = 1e-9 * width.abs();
        let is_even = self.edges.iter().enumerate().all(|(i, edge)| (edge - (first + i as f64 * width)).abs() <= slack);
        (is_even && width > 0.0).then(|| n as f64 / (last - first))
    }

    /// Calls `each` with the number of an element and that of its bin.
    fn find(&self, values: &[f64], mut each: impl FnMut(usize, usize)) {
        let n = self.edges.len() - 1;
        let (first, last) = (self.edges[0], self.edges[n]);
        let density = self.density();
        for (i, &x) in values.iter().enumerate() {
            if !(x >= first && x <= last) {
                continue;
            }
            let bin = match density {
                // The quotient may be off by one; the edges themselves decide.
                Some(density) => {
                    let guess = (((x - first) * density) as usize).min(n - 1);
                    let guess = guess - usize::from(x < self.edges[guess]);
                    guess + usize::from(guess + 1 < n && x >= self.edges[guess + 1])
                }
                None => self.edges.partition_point(|&edge| edge <= x).saturating_sub(1).min(n - 1),
            };
            each(i, bin);
        }
    }
}

impl Op for HistogramOp {
    fn run(&self, _: u64, inputs: &[Value]) -> Result<Value> {
        let block = inputs.first().ok_or_else(|| Error::value("a histogram got no block"))?.expect::<Block>()?;
        let block = block.to_contiguous();
        let n_bins = self.edges.len() - 1;
        let itemsize = block.dtype().itemsize();
        let weights: Option<Vec<f64>> = inputs.get(1).map(|weights| weights.expect::<Block>()?.to_vec()).transpose()?;
        if weights.as_ref().is_some_and(|weights| weights.len() != block.len()) {
            return Err(Error::value("a histogram needs a weight for every element"));
        }
        let (mut counts, mut sums) = (vec![0_i64; n_bins], vec![0.0_f64; n_bins]);
        let mut tile = Vec::with_capacity(crate::evaluate::TILE);
        for start in (0..block.len()).step_by(crate::evaluate::TILE) {
            let n = crate::evaluate::TILE.min(block.len() - start);
            // SAFETY: the block is contiguous and has that many elements from
            // `start` on; the tile has room for them.
            unsafe {
                let from = block.as_ptr().add(start * itemsize);
                crate::kernel::cast::cast(block.dtype(), DType::F64, from, tile.as_mut_ptr() as *mut u8, n);
                tile.set_len(n);
            }
            match &weights {
                None => self.find(&tile, |_, bin| counts[bin] += 1),
                Some(weights) => self.find(&tile, |i, bin| sums[bin] += weights[start + i]),
            }
        }
        let shape = [1, n_bins];
        Ok(Value::new(if weights.is_some() { Block::from_vec(sums, &shape) } else { Block::from_vec(counts, &shape) }))
    }

    fn label(&self) -> Cow<'_, str> {
        Cow::Borrowed("histogram")
    }

    fn output_bytes(&self, _: u64, _: &[Option<u64>]) -> Option<u64> {
        Some(8 * (self.edges.len() as u64 - 1))
    }
}

/// A node of the positions at which the elements of `values` would be put into
/// `sorted`, a list of the same dtype in one block, to keep it sorted.
///
/// # Errors
/// If the inputs are no arrays.
pub fn searches(sorted: &ExprRef, values: &ExprRef, from_right: bool) -> Result<ExprRef> {
    let chunks = meta_of(values)?.chunks.clone();
    let wiring: Wiring = Arc::new(|block, read| {
        read(0, 0);
        read(1, block);
    });
    let op = Arc::new(SearchOp { from_right });
    Wired::build(op, wiring, vec![sorted.clone(), values.clone()], ArrayMeta { chunks, dtype: DType::I64 })
}

/// Finds places in a sorted list.
#[op("array.search")]
#[derive(Serialize, Deserialize)]
struct SearchOp {
    from_right: bool,
}

impl Op for SearchOp {
    fn run(&self, _: u64, inputs: &[Value]) -> Result<Value> {
        let [sorted, values] = inputs else { return Err(Error::value("a search needs a list and values")) };
        let (sorted, values) = (sorted.expect::<Block>()?, values.expect::<Block>()?);
        if sorted.dtype() != values.dtype() || sorted.dtype().is_complex() || !sorted.dtype().has_arithmetic() {
            return Err(Error::type_(format!("{} are not looked up among {}", values.dtype(), sorted.dtype())));
        }
        let found: Vec<i64> = dispatch_sortable!(sorted.dtype(), T => {
            let keys: Vec<i64> = sorted.to_vec::<T>()?.into_iter().map(order::Sortable::to_key).collect();
            let from_right = self.from_right;
            values
                .to_vec::<T>()?
                .into_iter()
                .map(|x| {
                    let x = order::Sortable::to_key(x);
                    keys.partition_point(|&key| key < x || (from_right && key == x)) as i64
                })
                .collect()
        });
        Ok(Value::new(Block::from_vec(found, values.shape())))
    }

    fn label(&self) -> Cow<'_, str> {
        Cow::Borrowed("searchsorted")
    }
}

/// A node of the distinct elements of every block, ascending, in one dimension
/// and chunks of unknown sizes.
///
/// # Errors
/// If the input is no array.
pub fn distinct(input: &ExprRef) -> Result<ExprRef> {
    let meta = meta_of(input)?;
    let chunks = Chunks::from_borders([Chunks::unknown(meta.chunks.n_blocks())]);
    Wired::in_place(Arc::new(DistinctOp {}), vec![input.clone()], ArrayMeta { chunks, dtype: meta.dtype })
}

/// Sorts a block and keeps each of equal elements once.
#[op("array.distinct")]
#[derive(Serialize, Deserialize)]
struct DistinctOp {}

impl Op for DistinctOp {
    fn run(&self, _: u64, inputs: &[Value]) -> Result<Value> {
        let block = inputs.first().ok_or_else(|| Error::value("no block arrived"))?.expect::<Block>()?;
        dispatch_sortable!(block.dtype(), T => {
            let found = order::distinct(&block.to_vec::<T>()?);
            let n = found.len();
            Ok(Value::new(Block::from_vec_as(block.dtype(), found, &[n])))
        })
    }

    fn label(&self) -> Cow<'_, str> {
        Cow::Borrowed("unique")
    }
}

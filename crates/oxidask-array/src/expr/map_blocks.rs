//! Blocks made or changed by an operation from outside, such as a user's
//! function.

use super::body::AxisMap;
use super::slice::Slice;
use super::{ArrayMeta, meta_of};
use crate::block::Dims;
use crate::chunks::Chunks;
use crate::index::{Pick, Range};
use oxidask_core::graph::{Annotations, Blocks, Graph, Input, Stage};
use oxidask_core::{Error, Expr, ExprRef, Inputs, Key, KeyHasher, Op, Result};
use smallvec::SmallVec;
use std::any::Any;
use std::borrow::Cow;
use std::sync::Arc;

/// An operation called for every block.
pub struct MapBlocks {
    op: Arc<dyn Op>,
    op_key: Key,
    label: Arc<str>,
    annotations: Option<Arc<Annotations>>,
    axes: Vec<AxisMap>,
    /// All chunks that the op knows, of which `meta` has some.
    all: Chunks,
    /// The first chunk along every axis that `meta` has.
    first: Dims,
    inputs: Inputs,
    key: Key,
    meta: ArrayMeta,
}

impl MapBlocks {
    /// A node that calls `op` for every block of `meta`, with the blocks at the
    /// same place of each input. `axes` say for each input which axis of the
    /// result each of its axes follows; an axis with a single block, or that
    /// follows none, repeats its first block. The op answers a `Block` of the
    /// shape and dtype that `meta` announces. `op_key` stands for the op's
    /// meaning; equal keys must mean equal results.
    ///
    /// # Errors
    /// If the numbers of blocks do not match.
    pub fn build(
        op: Arc<dyn Op>,
        op_key: Key,
        inputs: Vec<ExprRef>,
        axes: Vec<AxisMap>,
        meta: ArrayMeta,
        annotations: Option<Arc<Annotations>>,
    ) -> Result<ExprRef> {
        let numblocks = meta.chunks.numblocks();
        for (input, axes) in inputs.iter().zip(&axes) {
            let own = meta_of(input)?.chunks.numblocks();
            let fits = own.len() == axes.len()
                && own.iter().zip(axes).all(|(&own, axis)| match axis {
                    Some(axis) => numblocks.get(*axis as usize).is_some_and(|&all| own == 1 || own == all),
                    None => own == 1,
                });
            if !fits {
                return Err(Error::value(format!(
                    "an array of {:?} blocks cannot be mapped to {:?} blocks",
                    own.as_slice(),
                    numblocks.as_slice()
                )));
            }
        }
        let key = meta
            .chunks
            .hash(KeyHasher::new("array.map_blocks").key(op_key).params(&(meta.dtype, &axes)))
            .keys(inputs.iter().map(|input| input.key()))
            .finish();
        let label = Arc::from(&*op.label());
        let (all, first) = (meta.chunks.clone(), Dims::from_elem(0, meta.chunks.ndim()));
        Ok(Arc::new(MapBlocks { op, op_key, label, annotations, axes, all, first, inputs: inputs.into(), key, meta }))
    }

    /// What `picks` take, from a node that makes only the blocks they need; none
    /// if they need all of them.
    ///
    /// # Errors
    /// If the picks do not fit.
    pub fn picked(&self, picks: &[Pick]) -> Result<Option<ExprRef>> {
        let (_, pieces) = self.meta.chunks.picked(picks);
        let chunks = &self.meta.chunks;
        let mut ranges = Vec::with_capacity(chunks.ndim());
        for pieces in &pieces {
            let used = pieces.iter().map(|piece| piece.0);
            let (Some(low), Some(high)) = (used.clone().min(), used.max()) else { return Ok(None) };
            ranges.push(low..high + 1);
        }
        if chunks.has_unknown() || ranges.iter().enumerate().all(|(axis, range)| range.len() == chunks.n_along(axis)) {
            return Ok(None);
        }
        let starts: Dims = ranges.iter().enumerate().map(|(axis, range)| chunks.borders(axis)[range.start]).collect();
        let sizes = ranges.iter().enumerate().map(|(axis, range)| {
            let sizes: Vec<usize> = chunks.sizes(axis).collect();
            sizes[range.clone()].to_vec()
        });
        let meta = ArrayMeta { chunks: Chunks::from_sizes(sizes.collect::<Vec<_>>()), dtype: self.meta.dtype };
        let first: Dims = self.first.iter().zip(&ranges).map(|(first, range)| first + range.start).collect();
        let part = self.part(first, self.inputs.to_vec(), meta);
        let shifted = picks
            .iter()
            .zip(&starts)
            .map(|(pick, start)| match *pick {
                Pick::At(position) => Pick::At(position - start),
                Pick::Range(range) if range.len == 0 => Pick::Range(range),
                Pick::Range(range) => Pick::Range(Range { start: range.start - start, ..range }),
            })
            .collect();
        Slice::build(&part, shifted).map(Some)
    }

    /// The node of some of the blocks, from chunk `first` on.
    fn part(&self, first: Dims, inputs: Vec<ExprRef>, meta: ArrayMeta) -> ExprRef {
        let hasher = KeyHasher::new("array.map_blocks.part").key(self.op_key).params(&(meta.dtype, &self.axes));
        let key = meta
            .chunks
            .hash(self.all.hash(hasher.params(&first.as_slice())))
            .keys(inputs.iter().map(|input| input.key()))
            .finish();
        Arc::new(MapBlocks {
            op: self.op.clone(),
            op_key: self.op_key,
            label: self.label.clone(),
            annotations: self.annotations.clone(),
            axes: self.axes.clone(),
            all: self.all.clone(),
            first,
            inputs: inputs.into(),
            key,
            meta,
        })
    }
}

impl Expr for MapBlocks {
    fn key(&self) -> Key {
        self.key
    }

    fn label(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.label)
    }

    fn inputs(&self) -> &[ExprRef] {
        &self.inputs
    }

    fn with_inputs(&self, inputs: Vec<ExprRef>) -> Result<ExprRef> {
        if self.all != self.meta.chunks {
            return Ok(self.part(self.first.clone(), inputs, self.meta.clone()));
        }
        let (op, axes) = (self.op.clone(), self.axes.clone());
        MapBlocks::build(op, self.op_key, inputs, axes, self.meta.clone(), self.annotations.clone())
    }

    fn lower(&self, inputs: &[Blocks], graph: &mut Graph) -> Result<Blocks> {
        let metas = self.inputs.iter().map(meta_of).collect::<Result<Vec<_>>>()?;
        let stage = Stage { op: self.op.clone(), label: self.label.clone(), annotations: self.annotations.clone() };
        let stage = graph.stage_with(stage);
        let chunks = &self.meta.chunks;
        let mut reads: SmallVec<[Input; 8]> = SmallVec::new();
        Ok((0..chunks.n_blocks())
            .map(|block| {
                let mut coordinates = chunks.coordinates(block);
                coordinates.iter_mut().zip(&self.first).for_each(|(at, first)| *at += first);
                let number = self.all.number(&coordinates) as u32;
                reads.clear();
                for ((blocks, meta), axes) in inputs.iter().zip(&metas).zip(&self.axes) {
                    let own: SmallVec<[usize; 4]> = axes
                        .iter()
                        .enumerate()
                        .map(|(own, axis)| match axis {
                            Some(axis) if meta.chunks.n_along(own) != 1 => coordinates[*axis as usize],
                            _ => 0,
                        })
                        .collect();
                    reads.push(blocks[meta.chunks.number(&own)]);
                }
                Input::whole(graph.task(self.key.block(block as u64), stage, number, &reads))
            })
            .collect())
    }

    fn meta(&self) -> &(dyn Any + Send + Sync) {
        &self.meta
    }

    fn describe(&self) -> String {
        format!("map_blocks {}", self.label)
    }
}

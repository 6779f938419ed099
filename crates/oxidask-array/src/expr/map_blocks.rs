//! Blocks made or changed by an operation from outside, such as a user's
//! function.

use super::{ArrayMeta, meta_of};
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
    inputs: Inputs,
    key: Key,
    meta: ArrayMeta,
}

impl MapBlocks {
    /// A node that calls `op` for every block of `meta`, with the blocks at the
    /// same place of each input; the last axes of inputs and result are matched,
    /// and an axis with a single block repeats it. The op answers a `Block` of
    /// the shape and dtype that `meta` announces. `op_key` stands for the op's
    /// meaning; equal keys must mean equal results.
    ///
    /// # Errors
    /// If the numbers of blocks do not match.
    pub fn build(
        op: Arc<dyn Op>,
        op_key: Key,
        inputs: Vec<ExprRef>,
        meta: ArrayMeta,
        annotations: Option<Arc<Annotations>>,
    ) -> Result<ExprRef> {
        let numblocks = meta.chunks.numblocks();
        for input in &inputs {
            let own = meta_of(input)?.chunks.numblocks();
            let fits = own.len() <= numblocks.len()
                && own.iter().rev().zip(numblocks.iter().rev()).all(|(&own, &all)| own == 1 || own == all);
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
            .hash(KeyHasher::new("array.map_blocks").key(op_key).params(&meta.dtype))
            .keys(inputs.iter().map(|input| input.key()))
            .finish();
        let label = Arc::from(&*op.label());
        Ok(Arc::new(MapBlocks { op, op_key, label, annotations, inputs: inputs.into(), key, meta }))
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
        MapBlocks::build(self.op.clone(), self.op_key, inputs, self.meta.clone(), self.annotations.clone())
    }

    fn lower(&self, inputs: &[Blocks], graph: &mut Graph) -> Result<Blocks> {
        let metas = self.inputs.iter().map(meta_of).collect::<Result<Vec<_>>>()?;
        let stage = Stage { op: self.op.clone(), label: self.label.clone(), annotations: self.annotations.clone() };
        let stage = graph.stage_with(stage);
        let chunks = &self.meta.chunks;
        let mut reads: SmallVec<[Input; 8]> = SmallVec::new();
        Ok((0..chunks.n_blocks())
            .map(|block| {
                let coordinates = chunks.coordinates(block);
                reads.clear();
                for (blocks, meta) in inputs.iter().zip(&metas) {
                    let skipped = coordinates.len() - meta.chunks.ndim();
                    let own: SmallVec<[usize; 4]> = coordinates[skipped..]
                        .iter()
                        .enumerate()
                        .map(|(axis, &at)| if meta.chunks.n_along(axis) == 1 { 0 } else { at })
                        .collect();
                    reads.push(blocks[meta.chunks.number(&own)]);
                }
                Input::whole(graph.task(self.key.block(block as u64), stage, block as u32, &reads))
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

//! Arrays one after another along an axis. It costs no task: the blocks of the
//! inputs are the blocks of the result.

use super::{ArrayMeta, meta_of};
use crate::chunks::Chunks;
use oxidask_core::graph::{Blocks, Graph};
use oxidask_core::{Error, Expr, ExprRef, Inputs, Key, KeyHasher, Result};
use std::any::Any;
use std::borrow::Cow;
use std::sync::Arc;

/// Several arrays joined along one axis.
pub struct Concatenate {
    axis: usize,
    inputs: Inputs,
    key: Key,
    meta: ArrayMeta,
}

impl Concatenate {
    /// A node of arrays of one dtype whose chunks along all other axes agree.
    ///
    /// # Errors
    /// If there are none, or they do not agree.
    pub fn build(inputs: Vec<ExprRef>, axis: usize) -> Result<ExprRef> {
        let metas = inputs.iter().map(meta_of).collect::<Result<Vec<_>>>()?;
        let first = metas.first().ok_or_else(|| Error::value("there are no arrays to concatenate"))?;
        let fits = metas.iter().all(|meta| {
            meta.dtype == first.dtype
                && meta.chunks.ndim() == first.chunks.ndim()
                && (0..first.chunks.ndim())
                    .all(|other| other == axis || meta.chunks.borders(other) == first.chunks.borders(other))
        });
        if !fits {
            return Err(Error::value("the arrays to concatenate have different dtypes or chunks"));
        }
        let joined: Vec<usize> = metas.iter().flat_map(|meta| meta.chunks.sizes(axis)).collect();
        let along = Chunks::from_sizes([joined]);
        let borders = (0..first.chunks.ndim())
            .map(|other| if other == axis { along.borders(0).clone() } else { first.chunks.borders(other).clone() });
        let meta = ArrayMeta { chunks: Chunks::from_borders(borders), dtype: first.dtype };
        let key =
            KeyHasher::new("array.concatenate").u64(axis as u64).keys(inputs.iter().map(|input| input.key())).finish();
        Ok(Arc::new(Concatenate { axis, inputs: inputs.into(), key, meta }))
    }
}

impl Expr for Concatenate {
    fn key(&self) -> Key {
        self.key
    }

    fn label(&self) -> Cow<'_, str> {
        Cow::Borrowed("concatenate")
    }

    fn inputs(&self) -> &[ExprRef] {
        &self.inputs
    }

    fn with_inputs(&self, inputs: Vec<ExprRef>) -> Result<ExprRef> {
        Concatenate::build(inputs, self.axis)
    }

    fn lower(&self, inputs: &[Blocks], _: &mut Graph) -> Result<Blocks> {
        // Chunk i along the axis is chunk `within` of array `which`.
        let mut origin = Vec::new();
        for (which, input) in self.inputs.iter().enumerate() {
            let chunks = &meta_of(input)?.chunks;
            origin.extend((0..chunks.n_along(self.axis)).map(|within| (which, within, chunks)));
        }
        let chunks = &self.meta.chunks;
        Ok((0..chunks.n_blocks())
            .map(|block| {
                let mut coordinates = chunks.coordinates(block);
                let (which, within, own) = origin[coordinates[self.axis]];
                coordinates[self.axis] = within;
                inputs[which][own.number(&coordinates)]
            })
            .collect())
    }

    fn meta(&self) -> &(dyn Any + Send + Sync) {
        &self.meta
    }

    fn describe(&self) -> String {
        format!("concatenate axis {}", self.axis)
    }
}

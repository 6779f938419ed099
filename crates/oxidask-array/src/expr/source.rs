//! Arrays that are in memory already.

use super::ArrayMeta;
use crate::block::Block;
use crate::chunks::Chunks;
use crate::index::{Pick, Range};
use oxidask_core::graph::{Blocks, Graph, Input};
use oxidask_core::{Data, Error, Expr, ExprRef, Key, KeyHasher, Result, Value};
use std::any::Any;
use std::borrow::Cow;
use std::sync::Arc;

/// A block in memory, cut into chunks that are views of it.
pub struct Source {
    block: Block,
    content: Key,
    key: Key,
    meta: ArrayMeta,
}

impl Source {
    /// A node of a block in memory. Its name is a hash of its content unless
    /// `name` gives one.
    ///
    /// # Errors
    /// If the content cannot be read for hashing.
    pub fn build(block: Block, chunks: Chunks, name: Option<Key>) -> Result<ExprRef> {
        let content = match name {
            Some(name) => name,
            None => {
                let frames = block.encode()?;
                let hasher = KeyHasher::new("array.content").bytes(&frames.header);
                frames.buffers.iter().fold(hasher, |hasher, buffer| hasher.bytes(buffer)).finish()
            }
        };
        Ok(Source::named(block, chunks, content))
    }

    fn named(block: Block, chunks: Chunks, content: Key) -> ExprRef {
        let key = chunks.hash(KeyHasher::new("array.source")).key(content).finish();
        let meta = ArrayMeta { chunks, dtype: block.dtype() };
        Arc::new(Source { block, content, key, meta })
    }

    /// The same array with other chunks.
    #[must_use]
    pub fn rechunked(&self, chunks: &Chunks) -> ExprRef {
        Source::named(self.block.clone(), chunks.clone(), self.content)
    }

    /// What `picks` take of it, as a view.
    #[must_use]
    pub fn picked(&self, picks: &[Pick]) -> ExprRef {
        let (chunks, _) = self.meta.chunks.picked(picks);
        let ranges: Vec<Range> = picks.iter().map(|pick| pick.range()).collect();
        let sliced = self.block.sliced(&ranges);
        let kept: Vec<usize> = (0..picks.len()).filter(|&axis| matches!(picks[axis], Pick::Range(_))).collect();
        let shape = kept.iter().map(|&axis| sliced.shape()[axis]).collect();
        let strides = kept.iter().map(|&axis| sliced.strides()[axis]).collect();
        let content = KeyHasher::new("array.part").params(&picks).key(self.content).finish();
        Source::named(sliced.view(0, shape, strides), chunks, content)
    }
}

impl Expr for Source {
    fn key(&self) -> Key {
        self.key
    }

    fn label(&self) -> Cow<'_, str> {
        Cow::Borrowed("array")
    }

    fn inputs(&self) -> &[ExprRef] {
        &[]
    }

    fn with_inputs(&self, inputs: Vec<ExprRef>) -> Result<ExprRef> {
        Err(Error::value(format!("an array in memory reads nothing and got {} inputs", inputs.len())))
    }

    fn lower(&self, _: &[Blocks], graph: &mut Graph) -> Result<Blocks> {
        let chunks = &self.meta.chunks;
        Ok((0..chunks.n_blocks())
            .map(|number| {
                let coordinates = chunks.coordinates(number);
                let ranges: Vec<Range> = chunks
                    .block_start(&coordinates)
                    .iter()
                    .zip(chunks.block_shape(&coordinates))
                    .map(|(&start, len)| Range { start, step: 1, len })
                    .collect();
                let value = Value::new(self.block.sliced(&ranges));
                Input::whole(graph.data(self.key.block(number as u64), value))
            })
            .collect())
    }

    fn meta(&self) -> &(dyn Any + Send + Sync) {
        &self.meta
    }

    fn describe(&self) -> String {
        format!("array {} {:?}", self.meta.dtype, self.meta.shape().as_slice())
    }
}

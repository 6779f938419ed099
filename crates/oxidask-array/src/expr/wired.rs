//! Blocks made by an op from whichever blocks of the inputs it needs: the
//! general form of a blocked operation, for all that is neither elementwise nor
//! a reduction. An op is one file; the node is always this one.

use super::ArrayMeta;
use oxidask_core::graph::{Blocks, Graph, Input};
use oxidask_core::{Error, Expr, ExprRef, Inputs, Key, KeyHasher, Op, Result};
use std::any::Any;
use std::borrow::Cow;
use std::sync::Arc;

/// Tells for a block of the result which blocks of which inputs it reads, in
/// order: called with the block's number and something that takes the pairs.
pub type Wiring = Arc<dyn Fn(usize, &mut dyn FnMut(usize, usize)) + Send + Sync>;

/// An op and what each of its tasks reads.
pub struct Wired {
    op: Arc<dyn Op>,
    op_key: Key,
    label: Arc<str>,
    wiring: Wiring,
    inputs: Inputs,
    key: Key,
    meta: ArrayMeta,
}

impl Wired {
    /// A node whose blocks `op` makes. The op's parameters decide the wiring, so
    /// that equal ops over equal inputs are equal nodes.
    ///
    /// # Errors
    /// If the op cannot be encoded.
    pub fn build(op: Arc<dyn Op>, wiring: Wiring, inputs: Vec<ExprRef>, meta: ArrayMeta) -> Result<ExprRef> {
        let encoded = op.encode()?;
        let op_key = KeyHasher::new(&encoded.kind).bytes(&encoded.body).finish();
        Ok(Wired::with_key(op, op_key, wiring, inputs, meta))
    }

    fn with_key(op: Arc<dyn Op>, op_key: Key, wiring: Wiring, inputs: Vec<ExprRef>, meta: ArrayMeta) -> ExprRef {
        let key = meta
            .chunks
            .hash(KeyHasher::new("array.wired").key(op_key).params(&meta.dtype))
            .keys(inputs.iter().map(|input| input.key()))
            .finish();
        let label = Arc::from(&*op.label());
        Arc::new(Wired { op, op_key, label, wiring, inputs: inputs.into(), key, meta })
    }

    /// A node whose blocks are made from the blocks at the same place of all
    /// inputs.
    ///
    /// # Errors
    /// If the op cannot be encoded.
    pub fn in_place(op: Arc<dyn Op>, inputs: Vec<ExprRef>, meta: ArrayMeta) -> Result<ExprRef> {
        let n_inputs = inputs.len();
        let wiring: Wiring = Arc::new(move |block, read| (0..n_inputs).for_each(|input| read(input, block)));
        Wired::build(op, wiring, inputs, meta)
    }
}

impl Expr for Wired {
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
        if inputs.len() != self.inputs.len() {
            return Err(Error::value(format!("'{}' got {} inputs", self.label, inputs.len())));
        }
        Ok(Wired::with_key(self.op.clone(), self.op_key, self.wiring.clone(), inputs, self.meta.clone()))
    }

    fn lower(&self, inputs: &[Blocks], graph: &mut Graph) -> Result<Blocks> {
        let mut is_sound = true;
        let blocks = graph.blocks(self.key, self.op.clone(), self.meta.chunks.n_blocks(), |block, reads| {
            (self.wiring)(block, &mut |input, number| match inputs.get(input).and_then(|blocks| blocks.get(number)) {
                Some(read) => reads.push(*read),
                None => is_sound = false,
            });
        });
        if is_sound {
            Ok(blocks)
        } else {
            Err(Error::value(format!("'{}' reads a block that is not there", self.label)))
        }
    }

    fn meta(&self) -> &(dyn Any + Send + Sync) {
        &self.meta
    }
}

/// One part of what the tasks of another node answer.
pub struct PartOf {
    index: u32,
    inputs: Inputs,
    key: Key,
    meta: ArrayMeta,
}

impl PartOf {
    /// A node of part `index` of every block of `input`.
    #[must_use]
    pub fn build(input: &ExprRef, index: u32, meta: ArrayMeta) -> ExprRef {
        let key = meta.chunks.hash(KeyHasher::new("array.part-of").u64(index.into())).key(input.key()).finish();
        Arc::new(PartOf { index, inputs: vec![input.clone()].into(), key, meta })
    }
}

impl Expr for PartOf {
    fn key(&self) -> Key {
        self.key
    }

    fn label(&self) -> Cow<'_, str> {
        Cow::Borrowed("part")
    }

    fn inputs(&self) -> &[ExprRef] {
        &self.inputs
    }

    fn with_inputs(&self, inputs: Vec<ExprRef>) -> Result<ExprRef> {
        Ok(PartOf::build(&super::only(inputs)?, self.index, self.meta.clone()))
    }

    fn lower(&self, inputs: &[Blocks], _: &mut Graph) -> Result<Blocks> {
        Ok(inputs[0].iter().map(|input| Input::part(input.task, self.index)).collect())
    }

    fn meta(&self) -> &(dyn Any + Send + Sync) {
        &self.meta
    }
}

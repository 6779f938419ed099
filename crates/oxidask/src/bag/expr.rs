//! The plan nodes of bags: one task a partition, and trees.

use crate::delayed::{Typed, unique};
use oxidask_core::{Blocks, Expr, ExprRef, FnOp, Graph, Input, Inputs, Key, KeyHasher, Op, Result, Value};
use oxidask_io::Block;
use oxidask_macros::op;
use serde::{Deserialize, Serialize};
use std::any::Any;
use std::borrow::Cow;
use std::sync::Arc;

/// How many values one task of a tree combines.
const FAN_IN: usize = 8;

/// One task a partition: reads the partition of its input, if it has one.
pub(super) struct PerPartition {
    key: Key,
    op: Arc<dyn Op>,
    inputs: Inputs,
    /// Number of partitions of a source.
    n_blocks: usize,
}

impl PerPartition {
    /// A closure of each partition.
    pub fn closure(
        label: &'static str,
        input: ExprRef,
        run: impl Fn(Value) -> Result<Value> + Send + Sync + 'static,
    ) -> Self {
        PerPartition::numbered(label, input, move |_, value| run(value))
    }

    /// A closure of each partition and its number.
    pub fn numbered(
        label: &'static str,
        input: ExprRef,
        run: impl Fn(u64, Value) -> Result<Value> + Send + Sync + 'static,
    ) -> Self {
        let op = FnOp::new(label, move |number, inputs: &[Value]| run(number, inputs[0].clone()));
        PerPartition { key: unique(), op: Arc::new(op), inputs: vec![input].into(), n_blocks: 0 }
    }

    /// A registered task of each partition.
    pub fn task(op: Arc<dyn Op>, input: ExprRef, pure: bool) -> Self {
        let key = if pure { KeyHasher::new(op.kind()).key(input.key()).finish() } else { unique() };
        PerPartition { key, op, inputs: vec![input].into(), n_blocks: 0 }
    }

    /// The lines of each block of text.
    pub fn read_text(blocks: Vec<Block>) -> Self {
        let n_blocks = blocks.len();
        // Files may change under an equal name, so each reading is its own.
        PerPartition { key: unique(), op: Arc::new(ReadText { blocks }), inputs: Inputs::default(), n_blocks }
    }

    /// A closure of each block of text.
    pub fn of_blocks(
        label: &'static str,
        blocks: Vec<Block>,
        run: impl Fn(&Block) -> Result<Value> + Send + Sync + 'static,
    ) -> Self {
        let n_blocks = blocks.len();
        let op = FnOp::new(label, move |number: u64, _: &[Value]| run(&blocks[number as usize]));
        PerPartition { key: unique(), op: Arc::new(op), inputs: Inputs::default(), n_blocks }
    }
}

impl Expr for PerPartition {
    fn key(&self) -> Key {
        self.key
    }

    fn label(&self) -> Cow<'_, str> {
        self.op.label()
    }

    fn inputs(&self) -> &[ExprRef] {
        &self.inputs
    }

    fn with_inputs(&self, inputs: Vec<ExprRef>) -> Result<ExprRef> {
        Ok(Arc::new(PerPartition {
            key: self.key,
            op: self.op.clone(),
            inputs: inputs.into(),
            n_blocks: self.n_blocks,
        }))
    }

    fn lower(&self, inputs: &[Blocks], graph: &mut Graph) -> Result<Blocks> {
        let n_blocks = inputs.first().map_or(self.n_blocks, Vec::len);
        Ok(graph.blocks(self.key, self.op.clone(), n_blocks, |block, reads| {
            reads.extend(inputs.iter().map(|input| input[block]));
        }))
    }

    fn meta(&self) -> &(dyn Any + Send + Sync) {
        &()
    }
}

#[op("bag.read_text")]
#[derive(Serialize, Deserialize)]
struct ReadText {
    blocks: Vec<Block>,
}

impl Op for ReadText {
    fn run(&self, block: u64, _inputs: &[Value]) -> Result<Value> {
        let mut lines = Vec::new();
        self.blocks[block as usize].each_line(|_, line| {
            lines.push(line.to_owned());
            Ok(())
        })?;
        Ok(Value::new(Typed::new(lines)))
    }

    fn label(&self) -> Cow<'_, str> {
        "read_text".into()
    }
}

/// All partitions combined into one value, as a tree.
pub(super) struct Reduce {
    key: Key,
    op: Arc<dyn Op>,
    inputs: Inputs,
}

impl Reduce {
    pub fn new(
        label: &'static str,
        input: ExprRef,
        combine: impl Fn(&[Value]) -> Result<Value> + Send + Sync + 'static,
    ) -> Self {
        let op = FnOp::new(label, move |_, inputs: &[Value]| combine(inputs));
        Reduce { key: unique(), op: Arc::new(op), inputs: vec![input].into() }
    }
}

impl Expr for Reduce {
    fn key(&self) -> Key {
        self.key
    }

    fn label(&self) -> Cow<'_, str> {
        self.op.label()
    }

    fn inputs(&self) -> &[ExprRef] {
        &self.inputs
    }

    fn with_inputs(&self, inputs: Vec<ExprRef>) -> Result<ExprRef> {
        Ok(Arc::new(Reduce { key: self.key, op: self.op.clone(), inputs: inputs.into() }))
    }

    fn lower(&self, inputs: &[Blocks], graph: &mut Graph) -> Result<Blocks> {
        let stage = graph.stage(self.op.clone());
        let mut blocks = inputs[0].clone();
        let mut number = 0;
        while blocks.len() > 1 {
            blocks = blocks
                .chunks(FAN_IN)
                .map(|chunk| {
                    number += 1;
                    Input::whole(graph.task(self.key.block(number), stage, 0, chunk))
                })
                .collect();
        }
        Ok(blocks)
    }

    fn meta(&self) -> &(dyn Any + Send + Sync) {
        &()
    }
}

/// The first partition alone.
pub(super) struct First(Inputs);

impl First {
    pub fn of(input: ExprRef) -> Self {
        First(vec![input].into())
    }
}

impl Expr for First {
    fn key(&self) -> Key {
        KeyHasher::new("bag.first").key(self.0[0].key()).finish()
    }

    fn label(&self) -> Cow<'_, str> {
        "first".into()
    }

    fn inputs(&self) -> &[ExprRef] {
        &self.0
    }

    fn with_inputs(&self, inputs: Vec<ExprRef>) -> Result<ExprRef> {
        Ok(Arc::new(First(inputs.into())))
    }

    fn lower(&self, inputs: &[Blocks], _graph: &mut Graph) -> Result<Blocks> {
        Ok(inputs[0][..1].to_vec())
    }

    fn meta(&self) -> &(dyn Any + Send + Sync) {
        &()
    }
}

//! Elementwise work: one node for functions of arrays, generated arrays,
//! transposes, new axes and broadcasts.

use super::body::{AxisMap, Body, Operand, Reads};
use super::source::Source;
use super::{ArrayMeta, meta_of};
use crate::block::{Block, Strides};
use crate::chunks::Chunks;
use crate::evaluate::{self, evaluate_to_block};
use crate::generate::Generator;
use crate::program::Program;
use oxidask_core::graph::{Blocks, Graph};
use oxidask_core::{Error, Expr, ExprRef, Inputs, Key, KeyHasher, Op, Result, Uses, Value};
use oxidask_macros::op;
use serde::{Deserialize, Serialize};
use std::any::Any;
use std::borrow::Cow;
use std::sync::Arc;

/// A program evaluated block by block.
pub struct Blockwise {
    /// What is computed.
    pub body: Body,
    /// What it reads.
    pub reads: Reads,
    inputs: Inputs,
    key: Key,
    label: Arc<str>,
    meta: ArrayMeta,
}

impl Blockwise {
    /// A node of a body over what it reads.
    #[must_use]
    pub fn build(label: impl Into<Arc<str>>, body: Body, reads: Reads) -> ExprRef {
        let key = body
            .chunks
            .hash(KeyHasher::new("array.blockwise").params(&(&body.program, &body.operands)))
            .keys(reads.nodes.iter().map(|node| node.key()))
            .finish();
        let meta = ArrayMeta { chunks: body.chunks.clone(), dtype: body.program.dtype() };
        let inputs = reads.nodes.clone().into();
        Arc::new(Blockwise { body, reads, inputs, key, label: label.into(), meta })
    }

    /// A program over arrays whose axes lie as `axes` say. Chunks along axes
    /// that follow an input are that input's own.
    #[must_use]
    pub fn over(label: &str, program: Program, arrays: &[(&ExprRef, AxisMap)], chunks: Chunks) -> ExprRef {
        let mut reads = Reads::default();
        // The same array read twice is one edge of the plan.
        let operands = arrays
            .iter()
            .map(|(node, axes)| {
                let known = reads.nodes.iter().any(|other| other.key() == node.key());
                Operand::Input { input: reads.add(node, u32::from(!known)), axes: axes.clone() }
            })
            .collect();
        Blockwise::build(label, Body { program, operands, chunks }, reads)
    }

    /// An array made by a generator: the position of an element is `start` and
    /// `strides` times its coordinates.
    #[must_use]
    pub fn generated(generator: Generator, start: i64, strides: &[i64], chunks: Chunks) -> ExprRef {
        let operand = Operand::Generate { generator, start, strides: strides.into() };
        let body = Body { program: Program::identity(generator.dtype()), operands: vec![operand], chunks };
        Blockwise::build(generator.name(), body, Reads::default())
    }

    /// The same generated array with other chunks; none if it reads others.
    #[must_use]
    pub fn rechunked(&self, chunks: &Chunks) -> Option<ExprRef> {
        self.body.is_generated().then(|| {
            let body = Body { chunks: chunks.clone(), ..self.body.clone() };
            Blockwise::build(self.label.clone(), body, Reads::default())
        })
    }

    /// The same elements with other chunks, if everything that is read is in
    /// memory, where cutting in another way costs nothing.
    #[must_use]
    pub fn over_sources(&self, chunks: &Chunks) -> Option<ExprRef> {
        let mut reads = Reads::default();
        let mut operands = Vec::with_capacity(self.body.operands.len());
        for operand in &self.body.operands {
            operands.push(match operand {
                Operand::Input { input, axes } => {
                    let source = super::node::<Source>(&self.reads.nodes[*input as usize])?;
                    let own = meta_of(&self.reads.nodes[*input as usize]).ok()?;
                    let mut borders: Vec<Arc<[usize]>> =
                        (0..own.chunks.ndim()).map(|axis| own.chunks.borders(axis).clone()).collect();
                    for (axis, from) in axes.iter().enumerate() {
                        if let Some(from) = from {
                            borders[*from as usize] = chunks.borders(axis).clone();
                        }
                    }
                    let recut = source.rechunked(&Chunks::from_borders(borders));
                    Operand::Input { input: reads.add(&recut, 1), axes: axes.clone() }
                }
                generate @ Operand::Generate { .. } => generate.clone(),
            });
        }
        let body = Body { program: self.body.program.clone(), operands, chunks: chunks.clone() };
        Some(Blockwise::build(self.label.clone(), body, reads))
    }

    /// What `picks` take of it, reading only what is needed.
    ///
    /// # Errors
    /// If the picks do not fit.
    pub fn picked(&self, picks: &[crate::index::Pick]) -> Result<ExprRef> {
        let (body, reads) = self.body.picked(&self.reads, picks)?;
        Ok(Blockwise::build(self.label.clone(), body, reads))
    }
}

impl Expr for Blockwise {
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
        if inputs.len() != self.reads.nodes.len() {
            return Err(Error::value(format!("'{}' got {} inputs", self.label, inputs.len())));
        }
        let reads = Reads { nodes: inputs, edges: self.reads.edges.clone() };
        Ok(Blockwise::build(self.label.clone(), self.body.clone(), reads))
    }

    fn rewrite(&self, uses: &Uses) -> Result<Option<ExprRef>> {
        if self.body.is_view() && self.is_straight_view() {
            return Ok(Some(self.reads.nodes[0].clone()));
        }
        Ok(self.body.absorb(&self.reads, uses).map(|(body, reads)| Blockwise::build(self.label.clone(), body, reads)))
    }

    fn lower(&self, inputs: &[Blocks], graph: &mut Graph) -> Result<Blocks> {
        let task_inputs = self.body.task_inputs(&self.reads, inputs)?;
        let op = Arc::new(BlockwiseOp { label: self.label.clone(), body: self.body.clone() });
        Ok(graph.blocks(self.key, op, self.body.chunks.n_blocks(), |block, inputs| task_inputs.append(block, inputs)))
    }

    fn meta(&self) -> &(dyn Any + Send + Sync) {
        &self.meta
    }

    fn describe(&self) -> String {
        format!("blockwise {}", self.body.describe(&self.reads))
    }
}

impl Blockwise {
    /// Whether it is a view that changes nothing.
    fn is_straight_view(&self) -> bool {
        let Operand::Input { axes, .. } = &self.body.operands[0] else { return false };
        axes.iter().enumerate().all(|(axis, from)| *from == Some(axis as u8))
            && meta_of(&self.reads.nodes[0]).is_ok_and(|meta| *meta == self.meta)
    }
}

/// Evaluates a body for one block.
#[op("array.blockwise")]
#[derive(Serialize, Deserialize)]
struct BlockwiseOp {
    label: Arc<str>,
    body: Body,
}

impl Op for BlockwiseOp {
    fn run(&self, block: u64, inputs: &[Value]) -> Result<Value> {
        self.body.program.check()?;
        let coordinates = self.body.chunks.coordinates(block as usize);
        let (shape, sources) = self.body.sources(&coordinates, inputs)?;
        if let ([evaluate::Source::Block { block, strides }], true) = (&sources[..], self.body.is_view()) {
            return Ok(Value::new(view(block, strides, &shape)));
        }
        Ok(Value::new(evaluate_to_block(&self.body.program, &sources, &shape)?))
    }

    fn label(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.label)
    }

    fn output_bytes(&self, block: u64, _: &[Option<u64>]) -> Option<u64> {
        self.body.chunks.block_bytes(block as usize, self.body.program.dtype().itemsize())
    }
}

fn view(block: &Block, strides: &Strides, shape: &[usize]) -> Block {
    block.view(0, shape.into(), strides.clone())
}

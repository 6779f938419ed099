//! Changes of a plan as a whole: wait for something else, run again.
//!
//! They work on lowered graphs, so that they are the same for all collections.
//! [`RemadeExpr`] holds the tasks of a collection under new keys; its tasks without
//! inputs may be made to wait for a barrier. [`WaitExpr`] hands blocks on when a
//! barrier is done, and [`CheckpointExpr`] is such a barrier.

use crate::base::{Lazy, PyExpr, graph_of};
use crate::context::{Context, lowering_in};
use crate::delayed::Delayed;
use crate::error::OrRaise;
use crate::value::to_value;
use hashbrown::HashSet;
use oxidask_core::registry::{OpCodec, OpEntry, decode_op};
use oxidask_core::{
    Blob, Blocks, EncodedOp, Expr, ExprRef, Graph, Input, Key, KeyHasher, Lane, Op, Result, Source, Stage, Value,
};
use pyo3::prelude::*;
use serde::{Deserialize, Serialize};
use std::any::Any;
use std::borrow::Cow;
use std::sync::Arc;

/// Adds this file's functions to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(checkpoint, module)?)?;
    module.add_function(wrap_pyfunction!(wait_on, module)?)?;
    module.add_function(wrap_pyfunction!(remade, module)?)
}

/// Hands on its first input, when the others are there.
struct First;

impl OpCodec for First {
    fn kind(&self) -> &'static str {
        "python.first"
    }

    fn encode(&self) -> Result<EncodedOp> {
        Ok(EncodedOp { kind: self.kind().to_owned(), body: bytes::Bytes::new(), blobs: Vec::new() })
    }
}

impl Op for First {
    fn run(&self, _block: u64, inputs: &[Value]) -> Result<Value> {
        inputs.first().cloned().ok_or_else(|| oxidask_core::Error::value("there is nothing to hand on"))
    }

    fn label(&self) -> Cow<'_, str> {
        Cow::Borrowed("wait_on")
    }

    fn output_bytes(&self, _block: u64, inputs: &[Option<u64>]) -> Option<u64> {
        inputs.first().copied().flatten()
    }
}

inventory::submit! { OpEntry { kind: "python.first", decode: |_| Ok(Arc::new(First)) } }

/// Answers `None`, when its inputs are there.
struct Done;

impl OpCodec for Done {
    fn kind(&self) -> &'static str {
        "python.done"
    }

    fn encode(&self) -> Result<EncodedOp> {
        Ok(EncodedOp { kind: self.kind().to_owned(), body: bytes::Bytes::new(), blobs: Vec::new() })
    }
}

impl Op for Done {
    fn run(&self, _block: u64, _inputs: &[Value]) -> Result<Value> {
        Ok(Python::attach(|py| to_value(py.None().into_bound(py))))
    }

    fn label(&self) -> Cow<'_, str> {
        Cow::Borrowed("checkpoint")
    }

    fn output_bytes(&self, _block: u64, _inputs: &[Option<u64>]) -> Option<u64> {
        Some(16)
    }
}

inventory::submit! { OpEntry { kind: "python.done", decode: |_| Ok(Arc::new(Done)) } }

/// Runs another op without its last input, which was only waited for.
struct WithoutLast {
    inner: Arc<dyn Op>,
}

#[derive(Serialize, Deserialize)]
struct BoundForm {
    kind: String,
    body: bytes::Bytes,
}

const BOUND: &str = "python.bound";

impl OpCodec for WithoutLast {
    fn kind(&self) -> &'static str {
        BOUND
    }

    fn encode(&self) -> Result<EncodedOp> {
        let EncodedOp { kind, body, blobs } = self.inner.encode()?;
        let body = postcard::to_allocvec(&BoundForm { kind, body })?.into();
        Ok(EncodedOp { kind: BOUND.to_owned(), body, blobs })
    }
}

impl Op for WithoutLast {
    fn run(&self, block: u64, inputs: &[Value]) -> Result<Value> {
        self.inner.run(block, without_last(inputs))
    }

    fn label(&self) -> Cow<'_, str> {
        self.inner.label()
    }

    fn output_bytes(&self, block: u64, inputs: &[Option<u64>]) -> Option<u64> {
        self.inner.output_bytes(block, without_last(inputs))
    }

    fn lane(&self) -> Option<&'static dyn Lane> {
        self.inner.lane()
    }

    fn runs_user_code(&self) -> bool {
        self.inner.runs_user_code()
    }
}

fn without_last<T>(inputs: &[T]) -> &[T] {
    inputs.split_last().map_or(inputs, |(_, others)| others)
}

fn decode_bound(encoded: &EncodedOp) -> Result<Arc<dyn Op>> {
    let BoundForm { kind, body } = postcard::from_bytes(&encoded.body)?;
    let blobs: Vec<Blob> = encoded.blobs.clone();
    Ok(Arc::new(WithoutLast { inner: decode_op(&EncodedOp { kind, body, blobs })? }))
}

inventory::submit! { OpEntry { kind: BOUND, decode: decode_bound } }

/// One block, `None`, that is there when all blocks of its inputs are.
struct CheckpointExpr {
    key: Key,
    inputs: Vec<ExprRef>,
    /// How many tasks one task waits for.
    split_every: usize,
}

impl Expr for CheckpointExpr {
    fn key(&self) -> Key {
        self.key
    }

    fn label(&self) -> Cow<'_, str> {
        Cow::Borrowed("checkpoint")
    }

    fn inputs(&self) -> &[ExprRef] {
        &self.inputs
    }

    fn with_inputs(&self, inputs: Vec<ExprRef>) -> Result<ExprRef> {
        Ok(Arc::new(CheckpointExpr { key: self.key, inputs, split_every: self.split_every }))
    }

    fn lower(&self, inputs: &[Blocks], graph: &mut Graph) -> Result<Blocks> {
        let stage = graph.stage(Arc::new(Done));
        let mut number = 0;
        let mut level: Vec<Input> = inputs.iter().flatten().copied().collect();
        loop {
            let is_last = level.len() <= self.split_every;
            let next = level.chunks(self.split_every.max(1)).map(|group| {
                number += 1;
                let key = if is_last { self.key } else { self.key.block(number) };
                Input::whole(graph.task(key, stage, 0, group))
            });
            level = next.collect();
            if level.is_empty() {
                level.push(Input::whole(graph.task(self.key, stage, 0, &[])));
            }
            if is_last {
                return Ok(level);
            }
        }
    }

    fn meta(&self) -> &(dyn Any + Send + Sync) {
        &()
    }
}

/// The blocks of the first input, each there only when the second is.
struct WaitExpr {
    key: Key,
    inputs: [ExprRef; 2],
}

impl Expr for WaitExpr {
    fn key(&self) -> Key {
        self.key
    }

    fn label(&self) -> Cow<'_, str> {
        Cow::Borrowed("wait_on")
    }

    fn inputs(&self) -> &[ExprRef] {
        &self.inputs
    }

    fn with_inputs(&self, inputs: Vec<ExprRef>) -> Result<ExprRef> {
        let inputs: [ExprRef; 2] = inputs
            .try_into()
            .map_err(|_| oxidask_core::Error::value("a collection that waits has itself and a barrier as inputs"))?;
        Ok(Arc::new(WaitExpr { key: self.key, inputs }))
    }

    fn lower(&self, inputs: &[Blocks], graph: &mut Graph) -> Result<Blocks> {
        let [blocks, barrier] = inputs else {
            return Err(oxidask_core::Error::value("a collection that waits has itself and a barrier as inputs"));
        };
        let stage = graph.stage(Arc::new(First));
        Ok((0_u32..)
            .zip(blocks)
            .map(|(block, input)| {
                let mut read = vec![*input];
                read.extend(barrier);
                Input::whole(graph.task(self.key.block(block.into()), stage, block, &read))
            })
            .collect())
    }

    fn meta(&self) -> &(dyn Any + Send + Sync) {
        self.inputs[0].meta()
    }
}

/// The tasks of another expression under other keys.
struct RemadeExpr {
    original: ExprRef,
    /// What makes the new keys: equal ones for equal tasks of several collections.
    salt: Key,
    key: Key,
    graph: Arc<Graph>,
    outputs: Blocks,
    /// Tasks that keep their keys and wait for nothing.
    kept: Arc<HashSet<Key>>,
    /// What tasks without inputs wait for; at most one.
    barrier: Vec<ExprRef>,
}

impl RemadeExpr {
    fn key_of(&self, key: Key) -> Key {
        KeyHasher::new("remade").key(self.salt).key(key).finish()
    }
}

impl Expr for RemadeExpr {
    fn key(&self) -> Key {
        self.key
    }

    fn label(&self) -> Cow<'_, str> {
        self.original.label()
    }

    fn inputs(&self) -> &[ExprRef] {
        &self.barrier
    }

    fn with_inputs(&self, inputs: Vec<ExprRef>) -> Result<ExprRef> {
        Ok(Arc::new(RemadeExpr {
            original: self.original.clone(),
            salt: self.salt,
            key: self.key,
            graph: self.graph.clone(),
            outputs: self.outputs.clone(),
            kept: self.kept.clone(),
            barrier: inputs,
        }))
    }

    fn lower(&self, inputs: &[Blocks], graph: &mut Graph) -> Result<Blocks> {
        let barrier: Vec<Input> = inputs.iter().flatten().copied().collect();
        let stages: Vec<u32> = self.graph.stages().iter().map(|stage| graph.stage_with(stage.clone())).collect();
        let bound: Vec<u32> = if barrier.is_empty() {
            Vec::new()
        } else {
            let wrap = |stage: &Stage| Stage { op: Arc::new(WithoutLast { inner: stage.op.clone() }), ..stage.clone() };
            self.graph.stages().iter().map(|stage| graph.stage_with(wrap(stage))).collect()
        };
        let first = if barrier.is_empty() { 0 } else { graph.stage(Arc::new(First)) };
        let mut placed: Vec<u32> = Vec::with_capacity(self.graph.len());
        let moved = |placed: &[u32], input: &Input| match input.part_idx() {
            Some(part) => Input::part(placed[input.task as usize], part),
            None => Input::whole(placed[input.task as usize]),
        };
        for (index, task) in self.graph.tasks().iter().enumerate() {
            let keeps = self.kept.contains(&task.key);
            let key = if keeps { task.key } else { self.key_of(task.key) };
            let waits = !keeps && !barrier.is_empty();
            let mut read: Vec<Input> =
                self.graph.inputs_of(index as u32).iter().map(|input| moved(&placed, input)).collect();
            let place = match task.source() {
                Source::Run(stage) if waits && read.is_empty() => {
                    read.extend(&barrier);
                    graph.task(key, bound[stage as usize], task.block, &read)
                }
                Source::Run(stage) => graph.task(key, stages[stage as usize], task.block, &read),
                // What is there already cannot begin later; it is handed on later.
                Source::Data(data) if waits => {
                    let value = self.graph.data_values()[data as usize].clone();
                    read.push(Input::whole(graph.data(key.block(0), value)));
                    read.extend(&barrier);
                    graph.task(key, first, 0, &read)
                }
                Source::Data(data) => graph.data(key, self.graph.data_values()[data as usize].clone()),
                Source::Held => graph.held(task.key),
            };
            placed.push(place);
        }
        Ok(self.outputs.iter().map(|input| moved(&placed, input)).collect())
    }

    fn meta(&self) -> &(dyn Any + Send + Sync) {
        self.original.meta()
    }
}

fn lazy_of(collections: &[PyRef<'_, PyExpr>]) -> Vec<Lazy> {
    collections.iter().map(|expr| expr.0.clone()).collect()
}

/// The user's object of a collection over another expression.
fn wrapped<'py>(py: Python<'py>, lazy: &Lazy, expr: ExprRef) -> PyResult<Bound<'py, PyAny>> {
    match &lazy.collection {
        Some(collection) => Ok(collection.wrap(py, expr)?.into_bound(py)),
        None => Ok(Delayed::over(py, expr)?.into_any()),
    }
}

fn checkpoint_of(lazy: &[Lazy], split_every: usize) -> ExprRef {
    let inputs: Vec<ExprRef> = lazy.iter().map(|lazy| lazy.expr.clone()).collect();
    let keys = inputs.iter().map(|input| input.key());
    let key = KeyHasher::new("checkpoint").keys(keys).u64(split_every as u64).finish();
    Arc::new(CheckpointExpr { key, inputs, split_every })
}

/// A delayed `None` that is there when all blocks of all collections are.
#[pyfunction]
fn checkpoint<'py>(
    py: Python<'py>,
    collections: Vec<PyRef<'py, PyExpr>>,
    split_every: usize,
) -> PyResult<Bound<'py, Delayed>> {
    Delayed::over(py, checkpoint_of(&lazy_of(&collections), split_every))
}

/// The same collections, of which no block is there before all are.
#[pyfunction]
fn wait_on<'py>(
    py: Python<'py>,
    collections: Vec<PyRef<'py, PyExpr>>,
    split_every: usize,
) -> PyResult<Vec<Bound<'py, PyAny>>> {
    let lazy = lazy_of(&collections);
    let barrier = checkpoint_of(&lazy, split_every);
    lazy.iter()
        .map(|lazy| {
            let key = KeyHasher::new("wait_on").key(lazy.expr.key()).key(barrier.key()).finish();
            let inputs = [lazy.expr.clone(), barrier.clone()];
            wrapped(py, lazy, Arc::new(WaitExpr { key, inputs }))
        })
        .collect()
}

/// A collection whose tasks, save those that `omit` needs, have other keys made
/// with `seed`, and begin only when `parents`, if there are any, are done.
#[pyfunction]
fn remade<'py>(
    py: Python<'py>,
    child: PyRef<'py, PyExpr>,
    omit: Vec<PyRef<'py, PyExpr>>,
    parents: Vec<PyRef<'py, PyExpr>>,
    seed: &str,
    split_every: usize,
) -> PyResult<Bound<'py, PyAny>> {
    let lazy = child.0.clone();
    let omit = lazy_of(&omit);
    let context = Context::current(py)?;
    let lower = || -> Result<(Graph, Vec<Blocks>, HashSet<Key>)> {
        let (kept, _) = graph_of(&omit, false)?;
        let kept = kept.tasks().iter().map(|task| task.key).collect();
        let (graph, blocks) = graph_of(std::slice::from_ref(&lazy), false)?;
        Ok((graph, blocks, kept))
    };
    let (graph, mut blocks, kept) = py.detach(|| lowering_in(context, lower)).or_raise()?;
    let outputs = blocks.pop().unwrap_or_default();
    let parents = lazy_of(&parents);
    let barrier = if parents.is_empty() { Vec::new() } else { vec![checkpoint_of(&parents, split_every)] };
    let keys = barrier.iter().map(|barrier| barrier.key());
    let salt = KeyHasher::new("remade").key(Key::named(seed)).keys(keys).finish();
    let original = lazy.expr.clone();
    let key = KeyHasher::new("remade").key(salt).key(original.key()).finish();
    let expr = RemadeExpr { original, salt, key, graph: Arc::new(graph), outputs, kept: Arc::new(kept), barrier };
    wrapped(py, &lazy, Arc::new(expr))
}

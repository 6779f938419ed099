//! Graphs as bytes.
//!
//! A pickled collection is its graph, lowered, with every op and value in its
//! own encoding; unpickled it is a [`GraphExpr`] that appends those tasks again.

use hashbrown::HashMap;
use oxidask_core::registry::{decode_op, decode_value};
use oxidask_core::{
    Annotations, Blob, Blocks, EncodedOp, Error, ErrorKind, Expr, ExprRef, Frames, Graph, Input, Key, KeyHasher,
    Result, Source, Stage, Value,
};
use serde::{Deserialize, Serialize};
use std::any::Any;
use std::borrow::Cow;
use std::sync::Arc;

type Bytes = bytes::Bytes;

#[derive(Serialize, Deserialize)]
struct GraphForm {
    stages: Vec<StageForm>,
    blobs: Vec<(Key, Bytes, Vec<Bytes>)>,
    data: Vec<(String, Bytes, Vec<Bytes>)>,
    tasks: Vec<TaskForm>,
    outputs: Vec<(u32, Option<u32>)>,
}

#[derive(Serialize, Deserialize)]
struct StageForm {
    label: String,
    kind: String,
    body: Bytes,
    blobs: Vec<u32>,
    annotations: Option<Annotations>,
}

#[derive(Serialize, Deserialize)]
struct TaskForm {
    key: Key,
    /// A stage, or a piece of data.
    source: Result<u32, u32>,
    block: u32,
    inputs: Vec<(u32, Option<u32>)>,
    name: Option<String>,
}

fn invalid() -> Error {
    Error::new(ErrorKind::Version, "a pickled graph does not fit this build of oxidask")
}

fn pairs(inputs: &[Input]) -> Vec<(u32, Option<u32>)> {
    inputs.iter().map(|input| (input.task, input.part_idx())).collect()
}

/// The graph as bytes.
///
/// # Errors
/// If an op or value in it cannot travel, or lives only in an executor.
pub fn encode(graph: &Graph) -> Result<Vec<u8>> {
    let mut blobs: Vec<Blob> = Vec::new();
    let mut known: HashMap<Key, u32> = HashMap::new();
    let mut stages = Vec::with_capacity(graph.stages().len());
    for stage in graph.stages() {
        let EncodedOp { kind, body, blobs: own } = stage.op.encode()?;
        let numbers = own.into_iter().map(|blob| {
            *known.entry(blob.key).or_insert_with(|| {
                blobs.push(blob);
                blobs.len() as u32 - 1
            })
        });
        stages.push(StageForm {
            label: stage.label.to_string(),
            kind,
            body,
            blobs: numbers.collect(),
            annotations: stage.annotations.as_deref().cloned(),
        });
    }
    let frames = |frames: Frames| (frames.header, frames.buffers);
    let data = graph.data_values().iter().map(|value| {
        let (header, buffers) = frames(value.data().encode()?);
        Ok((value.data().kind().to_owned(), header, buffers))
    });
    let data = data.collect::<Result<_>>()?;
    let mut tasks = Vec::with_capacity(graph.len());
    for (index, task) in graph.tasks().iter().enumerate() {
        let source = match task.source() {
            Source::Run(stage) => Ok(stage),
            Source::Data(data) => Err(data),
            Source::Held => {
                return Err(Error::unsupported("a graph whose values lie in an executor cannot be pickled"));
            }
        };
        tasks.push(TaskForm {
            key: task.key,
            source,
            block: task.block,
            inputs: pairs(graph.inputs_of(index as u32)),
            name: graph.user_name(index as u32).map(|name| name.to_string()),
        });
    }
    let blobs = blobs.into_iter().map(|blob| (blob.key, blob.frames.header, blob.frames.buffers)).collect();
    Ok(postcard::to_allocvec(&GraphForm { stages, blobs, data, tasks, outputs: pairs(&graph.outputs) })?)
}

/// The inverse of [`encode`].
///
/// # Errors
/// If the bytes are not such a graph.
pub fn decode(bytes: &[u8], label: &str) -> Result<GraphExpr> {
    let form: GraphForm = postcard::from_bytes(bytes)?;
    let blob = |number: &u32| {
        let (key, header, buffers) = form.blobs.get(*number as usize).ok_or_else(invalid)?;
        Ok(Blob { key: *key, frames: Frames { header: header.clone(), buffers: buffers.clone() } })
    };
    let mut stages = Vec::with_capacity(form.stages.len());
    for stage in &form.stages {
        let blobs = stage.blobs.iter().map(blob).collect::<Result<_>>()?;
        let op = decode_op(&EncodedOp { kind: stage.kind.clone(), body: stage.body.clone(), blobs })?;
        let annotations = stage.annotations.clone().map(Arc::new);
        stages.push(Stage { op, label: Arc::from(&*stage.label), annotations });
    }
    let data: Vec<Value> = form
        .data
        .into_iter()
        .map(|(kind, header, buffers)| decode_value(&kind, Frames { header, buffers }))
        .collect::<Result<_>>()?;
    let fits = form.tasks.iter().enumerate().all(|(index, task)| {
        let source = match task.source {
            Ok(stage) => (stage as usize) < stages.len(),
            Err(value) => (value as usize) < data.len(),
        };
        source && task.inputs.iter().all(|(input, _)| (*input as usize) < index)
    });
    if !fits || form.outputs.iter().any(|(task, _)| *task as usize >= form.tasks.len()) {
        return Err(invalid());
    }
    let key = form.tasks.iter().fold(KeyHasher::new("graph"), |hasher, task| hasher.key(task.key)).finish();
    Ok(GraphExpr { key, label: label.to_owned(), stages, data, tasks: form.tasks, outputs: form.outputs })
}

/// An expression that is a graph already.
pub struct GraphExpr {
    key: Key,
    label: String,
    stages: Vec<Stage>,
    data: Vec<Value>,
    tasks: Vec<TaskForm>,
    outputs: Vec<(u32, Option<u32>)>,
}

impl Expr for GraphExpr {
    fn key(&self) -> Key {
        self.key
    }

    fn label(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.label)
    }

    fn inputs(&self) -> &[ExprRef] {
        &[]
    }

    fn with_inputs(&self, _inputs: Vec<ExprRef>) -> Result<ExprRef> {
        Err(Error::value("a pickled graph has no inputs to replace"))
    }

    fn lower(&self, _inputs: &[Blocks], graph: &mut Graph) -> Result<Blocks> {
        let stages: Vec<u32> = self.stages.iter().map(|stage| graph.stage_with(stage.clone())).collect();
        let mut placed: Vec<u32> = Vec::with_capacity(self.tasks.len());
        let input = |placed: &[u32], (task, part): (u32, Option<u32>)| match part {
            Some(part) => Input::part(placed[task as usize], part),
            None => Input::whole(placed[task as usize]),
        };
        for task in &self.tasks {
            let inputs: Vec<Input> = task.inputs.iter().map(|pair| input(&placed, *pair)).collect();
            let index = match task.source {
                Ok(stage) => graph.task(task.key, stages[stage as usize], task.block, &inputs),
                Err(value) => graph.data(task.key, self.data[value as usize].clone()),
            };
            if let Some(name) = &task.name {
                graph.name(index, Arc::from(&**name));
            }
            placed.push(index);
        }
        Ok(self.outputs.iter().map(|pair| input(&placed, *pair)).collect())
    }

    fn meta(&self) -> &(dyn Any + Send + Sync) {
        &()
    }
}

//! Runs a graph on the calling thread, one task after another.

use oxidask_core::events::Observer;
use oxidask_core::executor::{FutureHandle, WatchGuard};
use oxidask_core::{Error, Executor, Future, Graph, Key, Result, Source, Status, Value};
use std::sync::Arc;
use std::time::Duration;

pub struct Inline;

struct Done(Key, Result<Value>);

impl FutureHandle for Done {
    fn key(&self) -> Key {
        self.0
    }
    fn status(&self) -> Status {
        if self.1.is_ok() { Status::Finished } else { Status::Failed }
    }
    fn wait(&self, _timeout: Option<Duration>) -> bool {
        true
    }
    fn result(&self) -> Result<Value> {
        self.1.clone()
    }
    fn on_done(&self, callback: Box<dyn FnOnce() + Send>) {
        callback();
    }
    fn cancel(&self) {}
}

fn run(graph: &Graph, interrupted: &dyn Fn() -> Result<()>) -> Result<Vec<Value>> {
    let mut values: Vec<Value> = Vec::with_capacity(graph.len());
    for (index, task) in graph.tasks().iter().enumerate() {
        if index % 1024 == 0 {
            interrupted()?;
        }
        let value = match task.source() {
            Source::Data(data) => graph.data_values()[data as usize].clone(),
            Source::Held => return Err(Error::missing("nothing is held here")),
            Source::Run(stage) => {
                let inputs: Vec<Value> = graph
                    .inputs_of(index as u32)
                    .iter()
                    .map(|input| values[input.task as usize].part(input.part_idx()))
                    .collect::<Result<_>>()?;
                let op = &graph.stages()[stage as usize].op;
                op.run(task.block.into(), &inputs).map_err(|error| error.in_task(graph.name_of(index as u32)))?
            }
        };
        values.push(value);
    }
    graph.outputs.iter().map(|output| values[output.task as usize].part(output.part_idx())).collect()
}

impl Executor for Inline {
    fn name(&self) -> &str {
        "sync"
    }
    fn n_slots(&self) -> usize {
        1
    }
    fn submit(&self, graph: Graph) -> Result<Vec<Future>> {
        let keys: Vec<Key> = graph.outputs.iter().map(|output| graph.tasks()[output.task as usize].key).collect();
        Ok(match run(&graph, &|| Ok(())) {
            Ok(values) => keys.into_iter().zip(values).map(|(key, value)| Future::new(Done(key, Ok(value)))).collect(),
            Err(error) => keys.into_iter().map(|key| Future::new(Done(key, Err(error.clone())))).collect(),
        })
    }
    fn compute(&self, graph: Graph, interrupted: &dyn Fn() -> Result<()>) -> Result<Vec<Value>> {
        run(&graph, interrupted)
    }
    fn watch(&self, _observer: Arc<dyn Observer>) -> WatchGuard {
        WatchGuard::new(|| ())
    }
}

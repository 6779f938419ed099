//! Graphs that a running task computes on the executor that runs it.

use super::{Local, LocalKind, LocalOptions};
use oxidask_core::graph::Source;
use oxidask_core::{Executor, Future, Graph, Input, Result, Value};

impl Local {
    /// Runs the graph on this thread, in an executor of its own.
    pub(super) fn compute_nested(&self, graph: Graph, interrupted: &dyn Fn() -> Result<()>) -> Result<Vec<Value>> {
        let graph = self.with_held_values(graph)?;
        let options = LocalOptions { memory_limit: Some(u64::MAX), ..LocalOptions::new(LocalKind::Sync) };
        Local::new(options)?.compute(graph, interrupted)
    }

    /// Runs the graph on this thread and holds the results here.
    pub(super) fn submit_nested(&self, graph: Graph) -> Result<Vec<Future>> {
        let mut results = Graph::new();
        let keys: Vec<_> = graph.outputs.iter().map(|output| graph.tasks()[output.task as usize].key).collect();
        for (key, value) in keys.into_iter().zip(self.compute_nested(graph, &|| Ok(()))?) {
            let task = results.data(key, value);
            results.outputs.push(Input::whole(task));
        }
        self.claim(results)
    }

    /// The graph with the values themselves in place of those held here.
    fn with_held_values(&self, graph: Graph) -> Result<Graph> {
        if !graph.tasks().iter().any(|task| task.source() == Source::Held) {
            return Ok(graph);
        }
        let mut filled = Graph::new();
        for stage in graph.stages() {
            filled.stage_with(stage.clone());
        }
        for (idx, task) in graph.tasks().iter().enumerate() {
            let idx = idx as u32;
            match task.source() {
                Source::Run(stage) => filled.task(task.key, stage, task.block, graph.inputs_of(idx)),
                Source::Data(data) => filled.data(task.key, graph.data_values()[data as usize].clone()),
                Source::Held => {
                    let mut request = Graph::new();
                    let held = request.held(task.key);
                    request.outputs.push(Input::whole(held));
                    let value = self.claim(request)?[0].result(None)?;
                    filled.data(task.key, value)
                }
            };
            if let Some(name) = graph.user_name(idx) {
                filled.name(idx, name.clone());
            }
        }
        filled.outputs = graph.outputs;
        Ok(filled)
    }
}

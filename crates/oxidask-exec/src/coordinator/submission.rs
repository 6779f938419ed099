//! A graph as flat tables, with handles in place of ops: what a client hands or
//! sends to a scheduler.

use oxidask_core::graph::{Annotations, Source, Stage};
use oxidask_core::{Error, ErrorKind, Graph, Key, Result};
use oxidask_sched::{Piece, UNKNOWN_BYTES};
use std::sync::Arc;

/// A stage as it is submitted.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct NewStage<H> {
    /// How the driver holds the op.
    pub handle: H,
    /// What users read.
    pub label: Arc<str>,
    /// The user's wishes.
    pub annotations: Option<Arc<Annotations>>,
}

/// Where the value of a [`TaskRow`] comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum RowSource {
    /// It runs this stage of the submission.
    Run(u32),
    /// The client brings it: number within the client's values.
    Data(u32),
    /// It is known already under its key.
    Held,
}

/// A task as it is submitted.
#[derive(Clone, Copy, Debug, serde::Serialize, serde::Deserialize)]
pub struct TaskRow {
    /// The name of the value.
    pub key: Key,
    /// Where it comes from.
    pub source: RowSource,
    /// Which block of its stage.
    pub block: u32,
    /// Where its inputs begin in [`Submission::inputs`].
    pub inputs_start: u32,
    /// How many it has.
    pub n_inputs: u32,
    /// Place in the order within the submission; smaller runs earlier.
    pub rank: u32,
    /// Estimated bytes of the result, or [`UNKNOWN_BYTES`].
    pub bytes: u64,
}

/// A graph as flat tables, with handles for ops: what is sent to a scheduler.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Submission<H> {
    /// What tasks share.
    pub stages: Vec<NewStage<H>>,
    /// The tasks, inputs before their consumers.
    pub tasks: Vec<TaskRow>,
    /// Inputs as (row of [`Submission::tasks`], part or [`Piece::WHOLE`]).
    pub inputs: Vec<(u32, u32)>,
    /// Names that users chose, by row.
    pub names: Vec<(u32, Arc<str>)>,
    /// Rows that the client wants; may repeat.
    pub outputs: Vec<u32>,
}

impl<H> Submission<H> {
    /// Flattens a graph: orders it by bytes alive, estimates sizes, and asks
    /// `handle` for the handle of each stage. Outputs are whole results; who wants
    /// one part takes it out of that.
    ///
    /// # Errors
    /// Whatever `handle` answers, such as an op that cannot travel.
    pub fn from_graph(graph: &Graph, handle: impl FnMut(&Stage) -> Result<H>) -> Result<Self> {
        let mut handle = handle;
        let stages = graph
            .stages()
            .iter()
            .map(|stage| {
                Ok(NewStage {
                    handle: handle(stage)?,
                    label: stage.label.clone(),
                    annotations: stage.annotations.clone(),
                })
            })
            .collect::<Result<Vec<_>>>()?;
        let sizes = graph.output_bytes();
        let ranks = ranks(graph, &sizes);
        let mut inputs_start = 0;
        let mut tasks = Vec::with_capacity(graph.len());
        let mut names = Vec::new();
        for (row, task) in graph.tasks().iter().enumerate() {
            // A graph holds fewer than 2^32 tasks, as its own type makes sure.
            let row = row as u32;
            let n_inputs = graph.inputs_of(row).len() as u32;
            tasks.push(TaskRow {
                key: task.key,
                source: match task.source() {
                    Source::Run(stage) => RowSource::Run(stage),
                    Source::Data(data) => RowSource::Data(data),
                    Source::Held => RowSource::Held,
                },
                block: task.block,
                inputs_start,
                n_inputs,
                rank: ranks[row as usize],
                bytes: sizes[row as usize].unwrap_or(UNKNOWN_BYTES),
            });
            inputs_start += n_inputs;
            if let Some(name) = graph.user_name(row) {
                names.push((row, name.clone()));
            }
        }
        // The graph stores inputs in task order, so one copy keeps the offsets.
        let inputs =
            graph.all_inputs().iter().map(|input| (input.task, input.part_idx().unwrap_or(Piece::WHOLE))).collect();
        let outputs = graph.outputs.iter().map(|output| output.task).collect();
        Ok(Submission { stages, tasks, inputs, names, outputs })
    }

    /// Checks that every index points into its table and inputs come first.
    pub(super) fn validate(&self) -> Result<()> {
        let bad = |what: &str| Err(Error::new(ErrorKind::Version, format!("a submitted graph is broken: {what}")));
        for (row, task) in self.tasks.iter().enumerate() {
            if matches!(task.source, RowSource::Run(stage) if stage as usize >= self.stages.len()) {
                return bad("a task names a stage that is not there");
            }
            let range = task.inputs_start as usize..task.inputs_start as usize + task.n_inputs as usize;
            let Some(inputs) = self.inputs.get(range) else { return bad("a task's inputs are not there") };
            if inputs.iter().any(|&(input, _)| input as usize >= row) {
                return bad("a task comes before its input");
            }
        }
        if self.outputs.iter().any(|&output| output as usize >= self.tasks.len()) {
            return bad("an output names a task that is not there");
        }
        if self.names.iter().any(|&(row, _)| row as usize >= self.tasks.len()) {
            return bad("a name belongs to a task that is not there");
        }
        Ok(())
    }
}

/// The order of a graph's tasks. Where nothing depends on anything, that is the
/// order in which they were made.
fn ranks(graph: &Graph, sizes: &[Option<u64>]) -> Vec<u32> {
    if graph.all_inputs().is_empty() {
        return (0..graph.len() as u32).collect();
    }
    /// What a result of unknown size is taken for.
    const GUESS: u64 = 1 << 10;
    let sizes: Vec<u64> = sizes.iter().map(|size| size.unwrap_or(GUESS)).collect();
    oxidask_core::order::order_by_bytes(graph, &sizes)
}

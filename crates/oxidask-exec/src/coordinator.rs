//! The scheduler's side: the scheduler core, and the tables that give its
//! numbers a meaning (keys, ops, names, errors).
//!
//! It does no I/O and decodes nothing. `H` is however the driver holds an op:
//! `Arc<Work>` in one process, encoded bytes in a scheduler process of its own.
//! Whoever drives it calls one of the methods that take `now`, then carries out
//! [`Coordinator::take_effects`] in order.

use oxidask_core::graph::{Annotations, Stage};
use oxidask_core::{Error, Graph, Key, Result};
use oxidask_sched::{
    ClientId, Nanos, Order, Report, ResourceId, SchedulerConfig, SchedulerEvent, TaskId, WorkerId, WorkerName,
};
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
    /// Estimated bytes of the result, or [`oxidask_sched::UNKNOWN_BYTES`].
    pub bytes: u64,
}

/// A graph as flat tables, with handles for ops: what is sent to a scheduler.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Submission<H> {
    /// What tasks share.
    pub stages: Vec<NewStage<H>>,
    /// The tasks, inputs before their consumers.
    pub tasks: Vec<TaskRow>,
    /// Inputs as (row of [`Submission::tasks`], part or [`oxidask_sched::Piece::WHOLE`]).
    pub inputs: Vec<(u32, u32)>,
    /// Names that users chose, by row.
    pub names: Vec<(u32, Arc<str>)>,
    /// Rows that the client wants; may repeat.
    pub outputs: Vec<u32>,
}

impl<H> Submission<H> {
    /// Flattens a graph: orders it by bytes alive, estimates sizes, and asks
    /// `handle` for the handle of each stage.
    ///
    /// # Errors
    /// Whatever `handle` answers, such as an op that cannot travel.
    pub fn from_graph(graph: &Graph, handle: impl FnMut(&Stage) -> Result<H>) -> Result<Self> {
        todo!()
    }
}

/// What became of a [`Submission`].
#[derive(Clone, Debug)]
pub struct Accepted {
    /// The number of this graph, for observers.
    pub graph: u64,
    /// The tasks of [`Submission::outputs`], in order.
    pub outputs: Vec<TaskId>,
    /// Values the client has to bring, as (task, number of [`RowSource::Data`]):
    /// those that were not known before. Bring them with [`Coordinator::placed`].
    pub data: Vec<(TaskId, u32)>,
}

/// What a worker must know to run a task, beside the [`Order`].
#[derive(Clone, Debug)]
pub struct Job<H> {
    /// The name of the value.
    pub key: Key,
    /// The stage's number, unique while any task of the stage lives: a driver
    /// sends the handle once per worker and then the number.
    pub stage: u32,
    /// The op.
    pub handle: H,
    /// Which block.
    pub block: u32,
    /// The graph it was first submitted with, for observers.
    pub graph: u64,
    /// The name its user chose.
    pub name: Option<Arc<str>>,
}

/// How a task ended, as its client reads it.
#[derive(Clone, Debug)]
pub enum TaskEnd {
    /// The result lies on `holder`.
    Done {
        /// Who has it.
        holder: WorkerId,
        /// Its bytes.
        bytes: u64,
    },
    /// It, or what it needs, failed or is lost; the error names the culprit.
    Failed(Error),
    /// It was cancelled.
    Cancelled,
    /// It was done, was lost, and is computed again.
    Pending,
}

/// What the driver has to carry out, in this order.
#[derive(Clone, Debug)]
pub enum Effect<H> {
    /// Send a worker an order.
    Order {
        /// The worker.
        worker: WorkerId,
        /// The order.
        order: Order,
        /// For [`Order::Compute`], what it runs.
        job: Option<Job<H>>,
    },
    /// Tell a client.
    Ended {
        /// The client.
        client: ClientId,
        /// The task.
        task: TaskId,
        /// How.
        end: TaskEnd,
    },
    /// The worker may go.
    Retired(WorkerId),
    /// No task of this stage is left: its number may be given again, so workers
    /// must forget what they were sent under it.
    StageDropped(u32),
}

/// The scheduler core with its tables. See the module's head.
pub struct Coordinator<H> {
    handles: Vec<H>,
}

impl<H: Clone> Coordinator<H> {
    /// A scheduler without workers.
    pub fn new(config: SchedulerConfig) -> Self {
        todo!()
    }

    /// Takes work. Tasks whose keys are known are not run again; rows that no
    /// output needs are left out.
    ///
    /// # Errors
    /// If the tables do not fit together (they may come from a peer), or a
    /// [`RowSource::Held`] key is unknown. Nothing is changed then.
    pub fn submit(&mut self, now: Nanos, client: ClientId, submission: Submission<H>) -> Result<Accepted> {
        todo!()
    }

    /// Claims the value of a known key for a client.
    pub fn want(&mut self, now: Nanos, client: ClientId, key: Key) -> Option<TaskId> {
        todo!()
    }

    /// Passes an event that carries neither keys nor errors straight to the core:
    /// `Release`, `Cancel`, `Retry`, `ClientGone`, `WorkerJoined`, `WorkerLost`,
    /// `Retire`, `Placed`, `Tick`.
    pub fn handle(&mut self, now: Nanos, event: SchedulerEvent) {
        todo!()
    }

    /// Takes a worker's report; `error` comes with [`Report::Failed`].
    pub fn report(&mut self, now: Nanos, worker: WorkerId, report: Report, error: Option<Error>) {
        todo!()
    }

    /// The number of a worker's name; the same name gets the same number.
    pub fn worker_name(&mut self, name: &str) -> WorkerName {
        todo!()
    }

    /// The number of an abstract resource's name.
    pub fn resource(&mut self, name: &str) -> ResourceId {
        todo!()
    }

    /// The task with this key, if it is known.
    pub fn task_of(&self, key: Key) -> Option<TaskId> {
        todo!()
    }

    /// The key of a live task.
    pub fn key_of(&self, task: TaskId) -> Key {
        todo!()
    }

    /// What users call a live task.
    pub fn name_of(&self, task: TaskId) -> String {
        todo!()
    }

    /// Why a task is not there yet, in words.
    pub fn explain(&self, task: TaskId) -> String {
        todo!()
    }

    /// What to carry out, in order. To be called after each of the methods above.
    pub fn take_effects(&mut self) -> std::vec::Drain<'_, Effect<H>> {
        todo!()
    }
}

//! Between workers and the scheduler, and between readers and holders of results.

use super::{BlobMessage, WireError, WireOp, WireValue};
use oxidask_core::{Key, Result};
use oxidask_exec::Ledger;
use oxidask_sched::{Attempt, Compute, Failure, FetchFrom, GroupId, Order, Piece, Report, TaskId, WorkerId};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What the scheduler says to a worker.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum ToWorker {
    /// A blob for what follows.
    Blob(BlobMessage),
    /// What tasks share; named by number from now on.
    Stage {
        /// The number.
        number: u32,
        /// What users read.
        label: Arc<str>,
        /// The op.
        op: WireOp,
    },
    /// The stage's number may be given again.
    DropStage(u32),
    /// Run a task.
    Compute(Box<WireCompute>),
    /// See [`Order::Retract`].
    Retract(u32, u32),
    /// See [`Order::Abandon`].
    Abandon(u32, u32),
    /// See [`Order::Free`].
    Free(u32),
    /// See [`Order::Copy`].
    Copy {
        /// The task.
        task: u32,
        /// Its key.
        key: Key,
        /// Its size.
        bytes: u64,
        /// Who has it.
        holder: u32,
    },
    /// Hold a value that a client brought.
    Put {
        /// The task that stands for it.
        task: u32,
        /// Its key.
        key: Key,
        /// The value.
        value: WireValue,
    },
    /// A value that a client brought to this worker ([`ToHolder::Keep`]) stands for
    /// a task, or for none if the cluster had one already.
    Adopt {
        /// The task.
        task: Option<u32>,
        /// The key.
        key: Key,
    },
    /// Another worker joined.
    Joined {
        /// Its number.
        id: u32,
        /// Where to read its results.
        address: String,
    },
    /// Another worker is gone.
    Left(u32),
    /// Stop and exit.
    Close,
    /// Stop, drop everything, and begin anew.
    Restart,
}

/// The order to run a task, with what it runs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WireCompute {
    /// The task's number.
    pub task: u32,
    /// The number of this order.
    pub attempt: u32,
    /// Smaller runs earlier.
    pub priority: u64,
    /// Estimated size of the result.
    pub bytes: u64,
    /// What is to be fetched: task, part, bytes, holder, key.
    pub fetch: Vec<(u32, u32, u64, u32, Key)>,
    /// All inputs: task, part.
    pub inputs: Vec<(u32, u32)>,
    /// The group, for resources.
    pub group: u32,
    /// The name of the value.
    pub key: Key,
    /// What it runs.
    pub stage: u32,
    /// Which block.
    pub block: u32,
    /// The graph, for observers.
    pub graph: u64,
    /// The name its user chose.
    pub name: Option<Arc<str>>,
    /// Whether a client wants the result, so that a small one is sent along.
    pub is_wanted: bool,
}

impl WireCompute {
    /// The order of the worker core, and the keys of what it fetches.
    #[must_use]
    pub fn into_order(self) -> (Order, Vec<Key>) {
        let fetch_keys = self.fetch.iter().map(|&(.., key)| key).collect();
        let fetch = self
            .fetch
            .into_iter()
            .map(|(task, part, bytes, holder, _)| FetchFrom {
                piece: Piece { task: TaskId(task), part },
                bytes,
                holder: WorkerId(holder),
            })
            .collect();
        let inputs = self.inputs.into_iter().map(|(task, part)| Piece { task: TaskId(task), part }).collect();
        let compute = Compute {
            task: TaskId(self.task),
            attempt: Attempt(self.attempt),
            priority: self.priority,
            bytes: self.bytes,
            fetch,
            inputs,
            group: GroupId(self.group),
        };
        (Order::Compute(compute), fetch_keys)
    }
}

/// What a worker says.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum FromWorker {
    /// See [`Report::Done`].
    Done {
        /// The task.
        task: u32,
        /// The order it answers.
        attempt: u32,
        /// Size of the result.
        bytes: u64,
        /// How long it ran.
        duration: u64,
        /// The result itself, if it is small and wanted.
        value: Option<WireValue>,
    },
    /// See [`Report::Failed`].
    Failed {
        /// The task.
        task: u32,
        /// The order it answers.
        attempt: u32,
        /// How.
        failure: WireFailure,
        /// Why, for its user.
        error: Option<WireError>,
    },
    /// See [`Report::MissingInput`].
    MissingInput {
        /// The task that needs it.
        task: u32,
        /// The order it answers.
        attempt: u32,
        /// What is missing.
        input: u32,
        /// Who was said to hold it.
        holder: u32,
    },
    /// See [`Report::Retracted`].
    Retracted(u32, u32),
    /// See [`Report::Abandoned`].
    Abandoned(u32, u32),
    /// See [`Report::Copied`].
    Copied(u32, u64),
    /// See [`Report::Dropped`].
    Dropped(u32),
    /// See [`Report::Lent`].
    Lent(u32),
    /// See [`Report::Memory`].
    Memory(u64, u64, bool),
    /// A value that a client brought is held here.
    HasPut(u32, u64),
    /// A value that a client was to have brought is not here.
    HasNot(u32),
    /// It lives; bytes of memory of its process.
    Heartbeat(u64),
    /// Its time is over: it asks to be retired.
    Leaving,
}

/// See [`Failure`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the variants are those of Failure")]
pub enum WireFailure {
    Error,
    Crash,
    Fatal,
    Again,
}

impl From<Failure> for WireFailure {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Error => WireFailure::Error,
            Failure::Crash => WireFailure::Crash,
            Failure::Fatal => WireFailure::Fatal,
            Failure::Again => WireFailure::Again,
        }
    }
}

impl From<WireFailure> for Failure {
    fn from(failure: WireFailure) -> Self {
        match failure {
            WireFailure::Error => Failure::Error,
            WireFailure::Crash => Failure::Crash,
            WireFailure::Fatal => Failure::Fatal,
            WireFailure::Again => Failure::Again,
        }
    }
}

impl FromWorker {
    /// The report of the worker core that this is, if it is one; values and
    /// errors are taken before.
    #[must_use]
    pub fn as_report(&self) -> Option<Report> {
        Some(match *self {
            FromWorker::Done { task, attempt, bytes, duration, .. } => {
                Report::Done { task: TaskId(task), attempt: Attempt(attempt), bytes, duration }
            }
            FromWorker::Failed { task, attempt, failure, .. } => {
                Report::Failed { task: TaskId(task), attempt: Attempt(attempt), failure: failure.into() }
            }
            FromWorker::MissingInput { task, attempt, input, holder } => Report::MissingInput {
                task: TaskId(task),
                attempt: Attempt(attempt),
                input: TaskId(input),
                holder: WorkerId(holder),
            },
            FromWorker::Retracted(task, attempt) => Report::Retracted { task: TaskId(task), attempt: Attempt(attempt) },
            FromWorker::Abandoned(task, attempt) => Report::Abandoned { task: TaskId(task), attempt: Attempt(attempt) },
            FromWorker::Copied(task, bytes) => Report::Copied { task: TaskId(task), bytes },
            FromWorker::Dropped(task) => Report::Dropped { task: TaskId(task) },
            FromWorker::Lent(n_lent) => Report::Lent(n_lent),
            FromWorker::Memory(resident, spilled, paused) => Report::Memory { resident, spilled, paused },
            FromWorker::HasPut(..) | FromWorker::HasNot(_) | FromWorker::Heartbeat(_) | FromWorker::Leaving => {
                return None;
            }
        })
    }
}

/// What a reader says to a worker: another worker, or a client.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum ToHolder {
    /// Asks for a result.
    Read(ReadRequest),
    /// Brings a value. The worker keeps it until the scheduler names the task that it
    /// stands for ([`ToWorker::Adopt`]), or the connection ends.
    Keep {
        /// Comes back with the answer.
        request: u32,
        /// The name of the value.
        key: Key,
        /// The value.
        value: WireValue,
    },
    /// Asks about the functions of users; see [`oxidask_exec::Sample`].
    Sample {
        /// Comes back with the answer.
        request: u32,
        /// What.
        question: String,
    },
    /// Asks where the time of its threads went.
    Ledger {
        /// Comes back with the answer.
        request: u32,
    },
}

/// Which result a reader wants.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ReadRequest {
    /// Comes back with the reply.
    pub request: u32,
    /// The task's number at the holder.
    pub task: u32,
    /// The part, or [`Piece::WHOLE`].
    pub part: u32,
    /// The key, because numbers are used again.
    pub key: Key,
}

/// What a worker answers to a [`ToHolder`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum FromHolder {
    /// To [`ToHolder::Read`].
    Read {
        /// To which request.
        request: u32,
        /// The value.
        value: Result<WireValue, WireError>,
    },
    /// To [`ToHolder::Keep`]: the worker has the value.
    Kept(u32),
    /// To [`ToHolder::Sample`].
    Sampled {
        /// To which request.
        request: u32,
        /// For each executor the task that it runs, and its answer or why there is
        /// none; see [`oxidask_exec::Sample`].
        samples: Vec<(Option<String>, Result<String, String>)>,
    },
    /// To [`ToHolder::Ledger`].
    Ledger {
        /// To which request.
        request: u32,
        /// The ledger since the worker began.
        ledger: Ledger,
    },
}

//! Between clients and the scheduler.

use super::{BlobMessage, WireError, WireOp, WireValue, WorkerIntro};
use crate::coordination::{Ask, Told, TopicEvent};
use bytes::Bytes;
use oxidask_core::Key;
use oxidask_exec::coordinator::Submission;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What a client says.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum FromClient {
    /// A blob for what follows.
    Blob(BlobMessage),
    /// Work. `seq` grows with every submission and comes back with the outcomes.
    Submit {
        /// The number.
        seq: u32,
        /// The work.
        submission: Submission<WireOp>,
    },
    /// Values to hold on workers.
    Scatter {
        /// The number, as of a submission.
        seq: u32,
        /// The values and their keys.
        values: Vec<(Key, WireValue)>,
        /// Names or addresses of workers; empty means all.
        workers: Vec<String>,
        /// Whether every one of those workers gets a copy.
        broadcast: bool,
    },
    /// Values that workers keep already, because the client brought them there.
    Brought {
        /// The number, as of a submission.
        seq: u32,
        /// The values.
        values: Vec<BroughtValue>,
    },
    /// The answer to [`ToClient::Bring`].
    Bring {
        /// Its name.
        key: Key,
        /// The value, if the client still has it.
        value: Option<WireValue>,
    },
    /// Claims on values that others made.
    Want {
        /// The number, as of a submission.
        seq: u32,
        /// The values.
        keys: Vec<Key>,
    },
    /// Gives up claims: how many for each key.
    Release(Vec<(Key, u32)>),
    /// Stops tasks that no other client wants.
    Cancel {
        /// The tasks.
        keys: Vec<Key>,
        /// Whether also those that others want are stopped.
        force: bool,
    },
    /// Runs failed tasks again.
    Retry {
        /// The number, as of a submission.
        seq: u32,
        /// The tasks.
        keys: Vec<Key>,
    },
    /// A worker that was said to hold a value has it not.
    NotThere {
        /// The value.
        key: Key,
        /// The worker.
        holder: u32,
    },
    /// Asks for something about the cluster.
    Ask {
        /// Comes back with the answer.
        request: u32,
        /// The question.
        question: Question,
    },
    /// Asks about something that clients share.
    Coordinate {
        /// Comes back with the answer.
        request: u32,
        /// The question.
        ask: Ask,
    },
    /// Waits no longer for an answer to [`FromClient::Coordinate`].
    Withdraw(u32),
    /// Has claimed the results that were named in an answer.
    Received(u32),
    /// Whether events of tasks are to be sent.
    Watch(bool),
    /// Ends the cluster.
    Shutdown,
    /// The client leaves for good: all its claims are released.
    Close,
}

/// A value that a client brought to workers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BroughtValue {
    /// Its name.
    pub key: Key,
    /// Its size.
    pub bytes: u64,
    /// The numbers of the workers that keep it.
    pub workers: Vec<u32>,
}

/// What a client may ask.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Question {
    /// Who is there, and how they are.
    Info,
    /// Which workers hold these values.
    WhoHas(Vec<Key>),
    /// Which values workers hold.
    HasWhat,
    /// Which tasks workers were given and have not finished.
    Processing,
    /// Asks workers to leave; answered once they left, or stay because nobody could
    /// take what only they hold.
    Retire(Vec<String>),
    /// Cancels everything and has workers, all if none is named, begin anew;
    /// answered once the former ones left.
    Restart(Vec<String>),
    /// Has results on `n` of the workers (all if none is named); answered when the
    /// copies are ordered.
    Replicate {
        /// The results.
        keys: Vec<Key>,
        /// How many copies, the first one included.
        n: u32,
        /// Names or addresses.
        workers: Vec<String>,
    },
    /// Spreads the bytes of results (all if none is named) evenly over workers;
    /// answered when the moves are ordered.
    Rebalance {
        /// The results.
        keys: Vec<Key>,
        /// Names or addresses.
        workers: Vec<String>,
    },
    /// The page `/json/identity.json`.
    Identity,
    /// Sizes of the results that workers hold.
    Sizes,
    /// Why a result is not there, in words.
    Explain(Key),
    /// How many workers the present work is worth if it shall end within so many
    /// nanoseconds.
    Desired(u64),
    /// What a task runs; of one that failed with another, what that one runs.
    Recipe(Key),
    /// Gives up every copy of a result but the last; answered when that is ordered.
    ReduceReplicas,
    /// Whether copies stay also when memory is short; sets it if it says how it shall
    /// be.
    KeepReplicas(Option<bool>),
}

/// The answer to a [`Question`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Answer {
    /// To [`Question::Info`].
    Info(ClusterInfo),
    /// To [`Question::WhoHas`]: worker numbers for each key.
    WhoHas(Vec<Vec<u32>>),
    /// To [`Question::HasWhat`] and [`Question::Processing`]: names of values
    /// for each worker.
    HasWhat(Vec<(u32, Vec<String>)>),
    /// To [`Question::Retire`] and [`Question::Restart`]: the names of those that
    /// left.
    Retired(Vec<String>),
    /// To [`Question::Identity`] and [`Question::Explain`].
    Text(String),
    /// To [`Question::Replicate`], [`Question::Rebalance`] and
    /// [`Question::ReduceReplicas`].
    Ordered,
    /// To [`Question::Sizes`]: names of results and their bytes.
    Sizes(Vec<(String, u64)>),
    /// To [`Question::Desired`].
    Desired(u64),
    /// To [`Question::Recipe`], or why there is none.
    Recipe(Result<WireRecipe, String>),
    /// To [`Question::KeepReplicas`].
    Keeps(bool),
}

/// What a task runs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WireRecipe {
    /// What users call the task.
    pub name: String,
    /// The registered kind of its op.
    pub kind: String,
    /// The op's parameters.
    pub body: Bytes,
    /// The op's constants: of each its header and its buffers.
    pub blobs: Vec<(Bytes, Vec<Bytes>)>,
    /// Which block.
    pub block: u32,
    /// Its inputs in order: key, part.
    pub inputs: Vec<(Key, u32)>,
}

/// Who is there, and how they are.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ClusterInfo {
    /// Where the scheduler listens.
    pub address: String,
    /// Its process.
    pub pid: u32,
    /// Nanoseconds since the scheduler began, the times before it was restarted
    /// included.
    pub uptime_ns: u64,
    /// Nanoseconds that the scheduler has spent on what members told it.
    pub busy_ns: u64,
    /// Tasks that wait for a worker or run.
    pub n_unfinished: u64,
    /// The workers, in the order in which they joined.
    pub workers: Vec<WorkerInfo>,
}

/// A worker, as the scheduler knows it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WorkerInfo {
    /// Its number.
    pub id: u32,
    /// What it said of itself.
    pub intro: WorkerIntro,
    /// Its last heartbeat.
    pub metrics: Metrics,
    /// Milliseconds since its last message.
    pub silent_ms: u64,
}

/// What a heartbeat tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metrics {
    /// Bytes of results in memory.
    pub resident: u64,
    /// Bytes of results on disk.
    pub spilled: u64,
    /// Whether it is too full to start tasks.
    pub is_paused: bool,
    /// Bytes of memory of its process.
    pub process: u64,
}

/// What the scheduler says to a client.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum ToClient {
    /// A worker joined; it may hold results from now on.
    Joined {
        /// Its number.
        id: u32,
        /// What it said of itself.
        intro: WorkerIntro,
    },
    /// A worker is gone.
    Left(u32),
    /// A task that the client wants ended, or is no longer ended.
    Ended {
        /// The newest submission that claimed it.
        seq: u32,
        /// The task.
        key: Key,
        /// How.
        end: WireEnd,
    },
    /// Every worker to which the client had brought this value is gone: the
    /// scheduler asks for it, to find it a place.
    Bring(Key),
    /// A submission was not accepted: none of its tasks will run.
    Refused {
        /// Which.
        seq: u32,
        /// Why.
        error: WireError,
    },
    /// An answer.
    Answer {
        /// To which question.
        request: u32,
        /// The answer.
        answer: Answer,
    },
    /// The answer to [`FromClient::Coordinate`].
    Told {
        /// To which question.
        request: u32,
        /// The answer.
        told: Told,
    },
    /// An event of a topic that the client subscribed to.
    Event(TopicEvent),
    /// A submission begins: how many new tasks of each label it has.
    Started {
        /// Which.
        seq: u32,
        /// The labels.
        labels: Vec<(Arc<str>, u64)>,
    },
    /// Tasks that ran, for observers.
    Finished(Vec<WireFinished>),
    /// The cluster ends; nobody needs to come back.
    Closed,
}

/// How a task ended.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum WireEnd {
    /// The result lies on a worker.
    Done {
        /// Which.
        holder: u32,
        /// The task's number there.
        task: u32,
        /// Its size.
        bytes: u64,
        /// The result itself, if it is small.
        value: Option<WireValue>,
    },
    /// It, or what it needs, failed.
    Failed(WireError),
    /// It was cancelled.
    Cancelled,
    /// It was done, was lost, and is computed again.
    Pending,
}

/// A task that ran; see [`oxidask_core::events::TaskFinished`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WireFinished {
    /// The number of the submission that brought it.
    pub seq: u32,
    /// The name of its value.
    pub key: Key,
    /// What users read.
    pub label: Arc<str>,
    /// Which worker ran it.
    pub worker: u32,
    /// When it ended, in nanoseconds of the scheduler's clock.
    pub stop_ns: u64,
    /// How long it ran.
    pub duration_ns: u64,
    /// Size of the result.
    pub nbytes: u64,
    /// Whether it succeeded.
    pub ok: bool,
}

//! What clients, the scheduler and workers say to each other.
//!
//! A packet's head is a `Vec` of one of these enums. Large memory travels beside
//! the head: a [`WireValue`] says how many of the packet's buffers are its own,
//! and the receiver takes them in the order of the messages ([`Inbox`]).
//!
//! The scheduler hands [`WireOp`]s and [`WireValue`]s on as they are. Blobs are
//! sent once per connection and named by their key afterwards; see
//! [`crate::blobs`].

use bytes::Bytes;
use oxidask_core::error::ErrorFields;
use oxidask_core::{Error, ErrorKind, Frames, Key, Result, Value};
use oxidask_exec::coordinator::Submission;
use oxidask_exec::{Encoded, decoded};
use oxidask_sched::{Attempt, Compute, Failure, FetchFrom, GroupId, Order, Piece, Report, TaskId, WorkerId};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

use crate::wire::{self, Packet};

/// Who speaks, right after the proof of membership.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Hello {
    /// What it is.
    pub role: Role,
    /// The build it runs.
    pub build: Build,
}

/// A program as far as two ends of a connection have to agree on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Build {
    /// Version of oxidask.
    pub version: String,
    /// [`oxidask_core::registry::fingerprint`].
    pub fingerprint: Key,
    /// What runs, for messages: the path of the program.
    pub program: String,
}

impl Build {
    /// The build of this process.
    #[must_use]
    pub fn current() -> Self {
        Build {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            fingerprint: oxidask_core::registry::fingerprint(),
            program: std::env::current_exe().map_or_else(|_| "?".to_owned(), |path| path.display().to_string()),
        }
    }

    fn describe(&self) -> String {
        let digits = self.fingerprint.to_string();
        format!("oxidask {} with operations {} ({})", self.version, &digits[..8], self.program)
    }

    /// Refuses a build that would not understand this one.
    ///
    /// # Errors
    /// If they differ; the message names both.
    pub fn check(&self, other: &Build, who: &str) -> Result<()> {
        if self.version == other.version && self.fingerprint == other.fingerprint {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Version, format!("{who} runs {}, the cluster {}", other.describe(), self.describe()))
            .with_hint("run the same build of oxidask, and of your program, in every process"))
    }
}

/// What a connection is for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Role {
    /// Submits work and wants results.
    Client {
        /// A name for people.
        name: String,
    },
    /// Runs tasks and holds results.
    Worker(WorkerIntro),
    /// Another worker or a client that reads results from a worker.
    Reader,
}

/// What a worker says of itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WorkerIntro {
    /// The name that outlives its incarnations.
    pub name: String,
    /// Where others read its results.
    pub address: String,
    /// Its process.
    pub pid: u32,
    /// Tasks it runs at once.
    pub n_slots: u32,
    /// Bytes of results it may hold in memory.
    pub memory_limit: u64,
    /// Folder for spilled results.
    pub local_directory: String,
    /// Its abstract resources.
    pub resources: Vec<(String, f64)>,
}

/// The answer to a [`Hello`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Welcome {
    /// It may go on; the number is that of the client or worker.
    Accepted(u32),
    /// It may not.
    Refused(ErrorFields),
}

/// A value on its way: what it is, and how many buffers of the packet it has.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WireValue {
    /// The registered kind.
    pub kind: String,
    /// Its header.
    pub header: Bytes,
    /// How many of the packet's buffers are its own.
    pub n_buffers: u32,
}

/// An error on its way, with the original error object.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WireError {
    /// The plain fields.
    pub fields: ErrorFields,
    /// The original error object.
    pub payload: Option<WireValue>,
}

/// An op on its way; its blobs are on the other side already.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WireOp {
    /// The registered kind.
    pub kind: String,
    /// Its parameters.
    pub body: Bytes,
    /// Its constants.
    pub blobs: Vec<Key>,
    /// Whether it runs a user's function.
    pub runs_user_code: bool,
}

/// A blob of a connection's cache; see [`crate::blobs`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum BlobMessage {
    /// Keep this.
    Keep {
        /// The hash of the content.
        key: Key,
        /// Its header.
        header: Bytes,
        /// How many of the packet's buffers are its own.
        n_buffers: u32,
    },
    /// Forget these; they are sent again before they are used again.
    Forget(Vec<Key>),
}

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
    /// Claims on values that others made.
    Want {
        /// The number, as of a submission.
        seq: u32,
        /// The values.
        keys: Vec<Key>,
    },
    /// Gives up claims: how many for each key.
    Release(Vec<(Key, u32)>),
    /// Stops tasks for all clients.
    Cancel(Vec<Key>),
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
    /// Whether events of tasks are to be sent.
    Watch(bool),
    /// Ends the cluster.
    Shutdown,
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
    /// Asks workers to leave; answered once they left.
    Retire(Vec<String>),
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
    /// To [`Question::Retire`].
    Retired(Vec<String>),
}

/// Who is there, and how they are.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ClusterInfo {
    /// Where the scheduler listens.
    pub address: String,
    /// Its process.
    pub pid: u32,
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
    /// A submission begins: how many new tasks of each label it has.
    Started {
        /// Which.
        seq: u32,
        /// The labels.
        labels: Vec<(Arc<str>, u64)>,
    },
    /// Tasks that ran, for observers.
    Finished(Vec<WireFinished>),
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
    /// See [`Report::Memory`].
    Memory(u64, u64, bool),
    /// A value that a client brought is held here.
    HasPut(u32, u64),
    /// It lives; bytes of memory of its process.
    Heartbeat(u64),
}

/// See [`Failure`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the variants are those of Failure")]
pub enum WireFailure {
    Error,
    Crash,
    Fatal,
}

impl From<Failure> for WireFailure {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Error => WireFailure::Error,
            Failure::Crash => WireFailure::Crash,
            Failure::Fatal => WireFailure::Fatal,
        }
    }
}

impl From<WireFailure> for Failure {
    fn from(failure: WireFailure) -> Self {
        match failure {
            WireFailure::Error => Failure::Error,
            WireFailure::Crash => Failure::Crash,
            WireFailure::Fatal => Failure::Fatal,
        }
    }
}

/// What a reader says to the worker that holds results.
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

/// What a holder answers to a [`ReadRequest`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ReadReply {
    /// To which request.
    pub request: u32,
    /// The value.
    pub value: Result<WireValue, WireError>,
}

/// A batch of messages that is being written.
#[derive(Debug)]
pub struct Outbox<M> {
    /// The messages.
    pub messages: Vec<M>,
    /// The memory beside them, in order.
    pub buffers: Vec<Bytes>,
}

impl<M> Default for Outbox<M> {
    fn default() -> Self {
        Outbox { messages: Vec::new(), buffers: Vec::new() }
    }
}

impl<M: Serialize> Outbox<M> {
    /// Whether there is nothing to send.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Adds a message.
    pub fn push(&mut self, message: M) {
        self.messages.push(message);
    }

    /// Takes a value's buffers along; the answer goes into the next message.
    pub fn frames(&mut self, kind: &str, frames: Frames) -> WireValue {
        let n_buffers = u32::try_from(frames.buffers.len()).expect("a value has fewer than 2^32 buffers");
        self.buffers.extend(frames.buffers);
        WireValue { kind: kind.to_owned(), header: frames.header, n_buffers }
    }

    /// Encodes a value; the answer goes into the next message.
    ///
    /// # Errors
    /// If the value cannot travel.
    pub fn value(&mut self, value: &Value) -> Result<WireValue> {
        Ok(self.frames(value.data().kind(), value.data().encode()?))
    }

    /// Takes an error and its payload along; the answer goes into the next
    /// message. A payload that cannot travel is left out: the message, the
    /// traceback and the key say enough.
    pub fn error(&mut self, error: &Error) -> WireError {
        let payload = error.payload().and_then(|payload| self.value(payload).ok());
        WireError { fields: error.to_fields(), payload }
    }

    /// The packet; the box is empty afterwards.
    ///
    /// # Errors
    /// If it is too large to send.
    pub fn take(&mut self) -> Result<Packet> {
        let messages = std::mem::take(&mut self.messages);
        wire::encode(&messages, std::mem::take(&mut self.buffers))
    }
}

/// The buffers of a packet that arrived; messages take theirs in order.
#[derive(Debug)]
pub struct Inbox(std::vec::IntoIter<Bytes>);

impl Inbox {
    /// The messages of a packet and its buffers.
    ///
    /// # Errors
    /// If it is not a batch of `M`.
    pub fn open<M: serde::de::DeserializeOwned>(packet: Packet) -> Result<(Vec<M>, Inbox)> {
        Ok((wire::decode(&packet.head)?, Inbox(packet.buffers.into_iter())))
    }

    /// The frames of a value whose turn it is.
    ///
    /// # Errors
    /// If the packet has not enough buffers.
    pub fn frames(&mut self, header: Bytes, n_buffers: u32) -> Result<Frames> {
        let buffers: Vec<Bytes> = self.0.by_ref().take(n_buffers as usize).collect();
        if buffers.len() != n_buffers as usize {
            return Err(Error::new(ErrorKind::Version, "a message arrived without all of its data"));
        }
        Ok(Frames { header, buffers })
    }

    /// A value whose turn it is, still encoded.
    ///
    /// # Errors
    /// If the packet has not enough buffers.
    pub fn value(&mut self, value: WireValue) -> Result<Value> {
        let frames = self.frames(value.header, value.n_buffers)?;
        Encoded::value(&value.kind, frames)
    }

    /// An error whose turn it is; its payload stays encoded.
    ///
    /// # Errors
    /// If the packet has not enough buffers.
    pub fn error(&mut self, error: WireError) -> Result<Error> {
        let payload = error.payload.map(|payload| self.value(payload)).transpose()?;
        Ok(Error::from_fields(error.fields, payload))
    }
}

/// The same error with its payload decoded, if this build knows its kind.
#[must_use]
pub fn with_decoded_payload(error: Error) -> Error {
    let payload = error.payload().cloned().and_then(|payload| decoded(payload).ok());
    Error::from_fields(error.to_fields(), payload)
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
            FromWorker::Memory(resident, spilled, paused) => Report::Memory { resident, spilled, paused },
            FromWorker::HasPut(..) | FromWorker::Heartbeat(_) => return None,
        })
    }
}

//! The whole interface of the two cores: what they are told, what they answer.
//!
//! ```text
//!                Submit, Want, Release, Cancel
//!   client ───────────────────────────────▶ ┌───────────┐
//!          ◀─────────────────────────────── │ Scheduler │
//!                Outcome, Forget            └───────────┘
//!                          ToWorker (Compute, Free, …) │ ▲ FromWorker (Done, Failed, …)
//!                                                      ▼ │
//!   pool, store, peers ◀──────────────────▶ ┌───────────┐
//!                Run, Fetch, Spill …        │  Worker   │
//!                Finished, Arrived …        └───────────┘
//! ```
//!
//! Tasks are dense numbers that the driver chooses and may reuse after
//! `Forget`. Every order to run carries an [`Attempt`]; a report about another
//! attempt is late and is dropped. A worker that dies and comes back is a new
//! [`WorkerId`], so late reports of the dead one are told apart by it. Time is
//! in nanoseconds of any steady clock.
//!
//! Equal events in equal order make equal actions: a driver that keeps what it
//! told a core (which events, in which batches, at which times) and tells it
//! again has the same core again, with the same numbers and attempts. That is
//! how a scheduler that was killed goes on.

/// Steady time in nanoseconds.
pub type Nanos = u64;

/// A task, by the driver's number for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId(pub u32);

/// One life of one worker; never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkerId(pub u32);

impl WorkerId {
    /// Stands for the reporting worker itself, which does not know its number.
    pub const SELF: WorkerId = WorkerId(u32::MAX);
}

/// Somebody who wants results.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientId(pub u32);

/// What tasks of one expression share, for estimates and restrictions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupId(pub u32);

/// Number of an order to run a task; grows each time it is ordered again, and
/// goes on growing when the task's number is reused after `Forget`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Attempt(pub u32);

/// A task's result, or one part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Piece {
    /// The task.
    pub task: TaskId,
    /// The part, or [`Piece::WHOLE`].
    pub part: u32,
}

impl Piece {
    /// Stands for all parts together.
    pub const WHOLE: u32 = u32::MAX;

    /// The whole result of `task`.
    #[must_use]
    pub fn whole(task: TaskId) -> Self {
        Piece { task, part: Self::WHOLE }
    }
}

/// Size of a result that nobody can foretell.
pub const UNKNOWN_BYTES: u64 = u64::MAX;

/// Tasks of one expression.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GroupSpec {
    /// How often to run again after the task itself failed.
    pub retries: u32,
    /// Workers that may run it; empty means all. Names are resolved by the
    /// driver when the worker joins.
    pub workers: Vec<WorkerName>,
    /// Whether others may run it while none of `workers` is there.
    pub allow_other_workers: bool,
    /// Abstract resources it occupies while it runs.
    pub resources: Vec<(ResourceId, f64)>,
}

/// A worker's name that outlives its incarnations, interned by the driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkerName(pub u32);

/// An abstract resource such as `GPU`, interned by the driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResourceId(pub u32);

/// A task of a [`Submit`].
#[derive(Clone, Copy, Debug)]
pub struct NewTask {
    /// Its number. If the scheduler knows it already, the row is ignored but
    /// for `wants`: equal numbers mean equal work.
    pub id: TaskId,
    /// Where its inputs begin in [`Submit::inputs`].
    pub inputs_start: u32,
    /// How many inputs it has; all of them known or earlier in the batch.
    pub n_inputs: u32,
    /// Smaller runs earlier. The driver puts the user's priority, the age of
    /// the submission and the order within the graph into it.
    pub priority: u64,
    /// Estimated size of the result, or [`UNKNOWN_BYTES`].
    pub bytes: u64,
    /// What it shares with its siblings.
    pub group: GroupId,
    /// False for a value that a client brings: it is never run, only placed by
    /// [`SchedulerEvent::Placed`], and lost if all copies are lost. Its number is
    /// not forgotten before that event, so it must come even if the client gives
    /// up: with a worker that is not there, such as [`WorkerId::SELF`].
    pub runnable: bool,
}

/// Work from a client.
#[derive(Clone, Debug, Default)]
pub struct Submit {
    /// Groups that the tasks name and that are not known. A group is forgotten
    /// with its last task.
    pub groups: Vec<(GroupId, GroupSpec)>,
    /// Tasks, inputs before their consumers.
    pub tasks: Vec<NewTask>,
    /// All tasks' inputs, one after another.
    pub inputs: Vec<Piece>,
    /// Tasks whose results the client holds a claim on until it releases them.
    pub wants: Vec<TaskId>,
    /// How many tasks of the same graph follow in other events: while it is not 0,
    /// what nothing needs yet is kept.
    pub n_later: usize,
}

/// Why a worker is gone; only some causes count against what it ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// It was asked to leave, or its job's time was over.
    Planned,
    /// The connection or the machine went away.
    Unreachable,
    /// It was killed for its memory.
    OutOfMemory,
    /// It crashed by itself.
    Crashed,
}

/// Why an attempt failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The function raised; counts against `retries`.
    Error,
    /// The process that ran just this task died; counts against
    /// `allowed_failures`.
    Crash,
    /// It cannot be run at all (cannot be decoded, say); never tried again.
    Fatal,
    /// The function asked to be run once more, elsewhere if possible; counts against
    /// nothing.
    Again,
}

/// What the scheduler is told.
#[derive(Clone, Debug)]
pub enum SchedulerEvent {
    /// A client brings work.
    Submit {
        /// The client.
        client: ClientId,
        /// The work.
        work: Submit,
    },
    /// A client claims more results that the scheduler already knows.
    Want {
        /// The client.
        client: ClientId,
        /// The tasks.
        tasks: Vec<TaskId>,
    },
    /// A client gives up claims, one for each mention.
    Release {
        /// The client.
        client: ClientId,
        /// The tasks.
        tasks: Vec<TaskId>,
    },
    /// Stops tasks for all clients, and everything that needs them.
    Cancel {
        /// The tasks.
        tasks: Vec<TaskId>,
    },
    /// Runs failed or lost tasks again.
    Retry {
        /// The tasks.
        tasks: Vec<TaskId>,
    },
    /// A client is gone; all its claims are released.
    ClientGone(ClientId),
    /// A worker joins.
    WorkerJoined {
        /// Its new number.
        worker: WorkerId,
        /// Its name.
        name: WorkerName,
        /// Tasks it runs at once.
        slots: u32,
        /// Bytes of results it may hold in memory.
        memory_limit: u64,
        /// Its abstract resources.
        resources: Vec<(ResourceId, f64)>,
    },
    /// A worker is gone, with all it held.
    WorkerLost {
        /// The worker.
        worker: WorkerId,
        /// Why.
        cause: Loss,
    },
    /// A worker is to leave: it gets no new work, and what only it holds is
    /// copied elsewhere first. Answered by [`SchedulerAction::Retired`].
    Retire(WorkerId),
    /// A worker that was to leave stays after all.
    Stay(WorkerId),
    /// A report of a worker.
    From {
        /// The worker.
        worker: WorkerId,
        /// The report.
        report: Report,
    },
    /// A value that a client brought lies on a worker.
    Placed {
        /// The task that stands for it.
        task: TaskId,
        /// The worker.
        worker: WorkerId,
        /// Its size.
        bytes: u64,
    },
    /// Results shall lie on several workers, each on `n`, or on as many as there
    /// are. A result that is not there (yet) is passed over.
    Replicate {
        /// The results.
        tasks: Vec<TaskId>,
        /// How many copies, the first one included.
        n: u32,
        /// Where; empty for anywhere.
        workers: Vec<WorkerId>,
    },
    /// Bytes of results shall be spread evenly over workers.
    Rebalance {
        /// The results that may be moved; empty for all.
        tasks: Vec<TaskId>,
        /// The workers between which; empty for all.
        workers: Vec<WorkerId>,
    },
    /// Every copy of a result that is not in use, but the last, is given up now.
    ReduceReplicas,
    /// Whether copies stay where they are also when memory is short.
    KeepReplicas(bool),
    /// Time passed; sent now and then so that estimates and stealing go on.
    Tick,
}

/// What a worker reports to the scheduler.
///
/// Every order to compute is answered once, by `Done`, `Failed`,
/// `MissingInput`, `Retracted` or `Abandoned`, and only when none of its
/// fetches is under way: what the worker said about the inputs has then been
/// said, so that their numbers may be reused.
#[derive(Clone, Debug, PartialEq)]
pub enum Report {
    /// The task is done and its result is held here.
    Done {
        /// The task.
        task: TaskId,
        /// The order it answers.
        attempt: Attempt,
        /// Size of the result.
        bytes: u64,
        /// How long it ran.
        duration: Nanos,
    },
    /// The attempt failed.
    Failed {
        /// The task.
        task: TaskId,
        /// The order it answers.
        attempt: Attempt,
        /// How.
        failure: Failure,
    },
    /// An input could not be had from any holder; the attempt is given up and
    /// `input` is not at `holder`.
    MissingInput {
        /// The task that needs it.
        task: TaskId,
        /// The order it answers.
        attempt: Attempt,
        /// What is missing.
        input: TaskId,
        /// Who was said to hold it; [`WorkerId::SELF`] for the reporter.
        holder: WorkerId,
    },
    /// The attempt was given back before it began, because the scheduler asked.
    Retracted {
        /// The task.
        task: TaskId,
        /// The order it answers.
        attempt: Attempt,
    },
    /// The attempt was forgotten, because the scheduler asked: its thread has
    /// returned, and nothing of it is left here.
    Abandoned {
        /// The task.
        task: TaskId,
        /// The order it answers.
        attempt: Attempt,
    },
    /// A copy of another worker's whole result is now held here too, because it
    /// was fetched for a task or because of [`Order::Copy`].
    Copied {
        /// The task.
        task: TaskId,
        /// Its size.
        bytes: u64,
    },
    /// So many of the tasks that run here wait for other tasks and have lent their
    /// slots: as many more may run. The number holds until the next report.
    Lent(u32),
    /// A result is no longer held here (spill file unreadable, say), or could
    /// not be copied here.
    Dropped {
        /// The task.
        task: TaskId,
    },
    /// The memory ledger: bytes of results in memory and on disk.
    Memory {
        /// In memory.
        resident: u64,
        /// On disk.
        spilled: u64,
        /// Whether no new task starts until memory is freed.
        paused: bool,
    },
}

/// What the scheduler wants done.
#[derive(Clone, Debug, PartialEq)]
pub enum SchedulerAction {
    /// Tell a worker.
    To {
        /// The worker.
        worker: WorkerId,
        /// The order.
        order: Order,
    },
    /// Tell a client how a task that it wants ended.
    Outcome {
        /// The client.
        client: ClientId,
        /// The task.
        task: TaskId,
        /// How.
        outcome: Outcome,
    },
    /// Nothing refers to the task any more: forget its key; its number is free.
    Forget(TaskId),
    /// The worker has left nothing behind and may go.
    Retired(WorkerId),
}

/// How a task ended, for those who want it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The result lies on `holder`.
    Done {
        /// Who has it.
        holder: WorkerId,
        /// Its size.
        bytes: u64,
    },
    /// `culprit` failed: the task itself or one it needs. The driver kept the
    /// error that came with the report.
    Failed {
        /// The task that failed first.
        culprit: TaskId,
        /// How.
        failure: Failure,
    },
    /// A value that a client brought is lost with its last copy.
    Lost {
        /// The lost value.
        culprit: TaskId,
    },
    /// It was cancelled.
    Cancelled,
    /// A result that was there is being computed again, after a loss.
    Pending,
}

/// What a worker is told to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Order {
    /// Run a task once its inputs are here.
    Compute(Compute),
    /// Give the attempt back if it has not begun, else let it run; the answer
    /// is `Retracted`, or the task's end.
    Retract {
        /// The task.
        task: TaskId,
        /// The order to give back.
        attempt: Attempt,
    },
    /// Forget the attempt whether it has begun, has ended or not, and drop its
    /// result. The thread that runs it stays busy until it returns; then the
    /// answer is `Abandoned`.
    Abandon {
        /// The task.
        task: TaskId,
        /// The order to forget.
        attempt: Attempt,
    },
    /// Drop the result.
    Free(TaskId),
    /// Get a copy of a result from `holder`; answered by `Copied`, or by
    /// `Dropped` if that fails.
    Copy {
        /// The task.
        task: TaskId,
        /// Its size.
        bytes: u64,
        /// Who has it.
        holder: WorkerId,
    },
}

/// The order to run a task.
#[derive(Clone, Debug, PartialEq)]
pub struct Compute {
    /// The task.
    pub task: TaskId,
    /// The number of this order.
    pub attempt: Attempt,
    /// Smaller runs earlier.
    pub priority: u64,
    /// Estimated size of the result, or [`UNKNOWN_BYTES`].
    pub bytes: u64,
    /// Inputs that this worker does not hold, and who does; a piece may be listed
    /// twice. Inputs that it holds are not listed.
    pub fetch: Vec<FetchFrom>,
    /// All inputs, in order, each a piece once for each mention.
    pub inputs: Vec<Piece>,
    /// What it shares with its siblings.
    pub group: GroupId,
}

/// Where to get an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FetchFrom {
    /// The input.
    pub piece: Piece,
    /// Size of the whole result of its task.
    pub bytes: u64,
    /// Who has it.
    pub holder: WorkerId,
}

/// What a worker is told.
#[derive(Clone, Debug)]
pub enum WorkerEvent {
    /// An order of the scheduler.
    Order(Order),
    /// So many more tasks may begin now. The executor counts its threads; the
    /// core emits at most that many [`WorkerAction::Run`] and remembers the
    /// rest until the next `Capacity`, which replaces it.
    Capacity(u32),
    /// A task returned. Its result is in the store; if the store had a piece of
    /// that name already, that one stays as it is.
    Finished {
        /// The task.
        task: TaskId,
        /// The order that ran.
        attempt: Attempt,
        /// How it went.
        ended: Ended,
        /// How long it ran.
        duration: Nanos,
    },
    /// A fetched piece is in the store; if the store had it already, that one
    /// stays as it is.
    Arrived {
        /// The piece.
        piece: Piece,
        /// Its size.
        bytes: u64,
    },
    /// A piece could not be fetched.
    FetchFailed {
        /// The piece.
        piece: Piece,
        /// Who was asked.
        holder: WorkerId,
    },
    /// A value that a client brought is in the store. If the store still has a
    /// piece of that name, left from an earlier use of the number, its
    /// [`WorkerAction::Drop`] comes first.
    Put {
        /// The task that stands for it.
        task: TaskId,
        /// Its size.
        bytes: u64,
    },
    /// A spilled piece, or a part of one, is in memory.
    Loaded {
        /// The piece.
        piece: Piece,
        /// Its size.
        bytes: u64,
    },
    /// A piece is on disk and no longer in memory.
    Spilled(Piece),
    /// A piece could not be spilled (disk full, say) and stays in memory; it is
    /// not tried again until memory changes.
    SpillFailed(Piece),
    /// A spilled piece cannot be read back; it is lost here.
    LoadFailed(Piece),
    /// The client or a peer reads a piece, so it must be in memory; answered by
    /// [`WorkerAction::Serve`].
    Wanted {
        /// The piece.
        piece: Piece,
        /// The driver's number for the reader.
        reader: u32,
    },
    /// The reader has its piece, or gave up.
    Served {
        /// The piece.
        piece: Piece,
        /// The reader.
        reader: u32,
    },
    /// Bytes that the process and its children use beyond the results that the
    /// core knows to be in memory, as the system counts them.
    ProcessMemory(u64),
    /// Time passed.
    Tick,
}

/// How a task returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// With a result of this size, now in the store.
    Ok {
        /// Size of the result.
        bytes: u64,
    },
    /// Without one.
    Failed(Failure),
}

/// What a worker wants done.
#[derive(Clone, Debug, PartialEq)]
pub enum WorkerAction {
    /// Run a task; its inputs are in memory and stay there until `Finished`. A
    /// part is read from its whole where that is in memory, else from the piece
    /// of its own.
    Run {
        /// The task.
        task: TaskId,
        /// The order.
        attempt: Attempt,
    },
    /// Fetch a piece from a peer into the store.
    Fetch(FetchFrom),
    /// Write a piece to disk, then drop it from memory.
    Spill(Piece),
    /// Read a piece back into memory. A part of a result that was spilled as a
    /// whole becomes a piece of its own: only it is read, the whole stays on
    /// disk.
    Load(Piece),
    /// Drop a piece from memory and disk.
    Drop(Piece),
    /// Hand a piece, now in memory, to a reader.
    Serve {
        /// The piece.
        piece: Piece,
        /// The reader.
        reader: u32,
    },
    /// The piece is not here and will not be.
    ServeFailed {
        /// The piece.
        piece: Piece,
        /// The reader.
        reader: u32,
    },
    /// Tell the scheduler.
    Report(Report),
}

/// Settings of the scheduler core.
#[derive(Clone, Debug, PartialEq)]
pub struct SchedulerConfig {
    /// Crashes of its own process that a task may cause before it is given up.
    pub allowed_failures: u32,
    /// Work to have waiting at each worker, in nanoseconds of estimated run
    /// time, so that it never idles while a message travels.
    pub prefetch_ns: Nanos,
    /// Most tasks to have at a worker, whatever their length.
    pub prefetch_tasks_max: u32,
    /// Bytes a second that a transfer between workers is assumed to move.
    pub bandwidth: u64,
    /// Seed of the random choices between equally good workers.
    pub seed: u64,
}

impl Default for SchedulerConfig {
    fn default() -> Self {
        SchedulerConfig {
            allowed_failures: 3,
            prefetch_ns: 5_000_000,
            prefetch_tasks_max: 1024,
            bandwidth: 1_000_000_000,
            seed: 0,
        }
    }
}

/// Settings of the worker core.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkerConfig {
    /// Bytes of results that may be in memory.
    pub memory_limit: u64,
    /// Fraction of the limit beyond which results in memory are spilled.
    pub target: f64,
    /// Fraction of the limit beyond which results are spilled because of all
    /// that the process uses.
    pub spill: f64,
    /// Fraction of the limit beyond which no new task begins that does not free
    /// memory.
    pub pause: f64,
    /// Whether results can be spilled at all.
    pub can_spill: bool,
    /// Most fetches under way at once.
    pub fetches_max: u32,
    /// Most spills under way at once.
    pub spills_max: u32,
}

impl Default for WorkerConfig {
    fn default() -> Self {
        WorkerConfig {
            memory_limit: u64::MAX,
            target: 0.6,
            spill: 0.7,
            pause: 0.8,
            can_spill: true,
            fetches_max: 50,
            spills_max: 2,
        }
    }
}

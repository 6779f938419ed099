//! The scheduler's record of a task, and the arenas that records point into.
//!
//! Records are dense by the driver's number. Nothing here allocates per task
//! once the arenas have grown: inputs of a task are one block of edges, which
//! are at the same time links of their inputs' lists of dependents.

use crate::event::{Failure, Piece, TaskId};
use std::ops::{Index, IndexMut};

/// No task, no worker, no edge.
pub(super) const NONE: u32 = u32::MAX;

/// How far a task is.
///
/// There is no state for "cancelled but still running": an attempt that the
/// scheduler gave up is told from the current one by its number, and
/// `Task::unsettled` counts those whose end was not reported yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskState {
    /// The number is not in use.
    Vacant,
    /// Nobody needs the result now; kept because dependents may.
    Idle,
    /// Needed, but some inputs are not there (or a client's value not yet).
    Waiting,
    /// All inputs are there; not given to a worker yet.
    Ready,
    /// Given to a worker.
    Assigned,
    /// At least one worker has the result.
    Done,
    /// It or a task that it needs failed for good.
    Failed,
    /// A client's value that it is or needs is gone.
    Lost,
    /// Somebody cancelled it or a task that it needs.
    Cancelled,
}

impl TaskState {
    /// Whether its inputs are needed on its behalf.
    #[must_use]
    pub fn is_active(self) -> bool {
        matches!(self, TaskState::Waiting | TaskState::Ready | TaskState::Assigned)
    }

    /// Whether it ended without a result.
    #[must_use]
    pub fn is_bad(self) -> bool {
        matches!(self, TaskState::Failed | TaskState::Lost | TaskState::Cancelled)
    }
}

/// Where a ready task is queued: a worker's number, or one of these.
pub(super) mod queue {
    /// Any worker may take it.
    pub const GLOBAL: u32 = u32::MAX;
    /// In the queue of its group, which only some workers may run.
    pub const GROUP: u32 = u32::MAX - 1;
    /// Became ready in the event at hand and is queued at its end.
    pub const FRESH: u32 = u32::MAX - 2;
}

/// One task.
#[derive(Clone, Copy, Debug)]
pub(super) struct Task {
    pub priority: u64,
    /// Size of the result: estimated until it is done, then exact.
    pub bytes: u64,
    /// Bytes set aside for it in its worker's ledger.
    pub reserved: u64,
    pub attempt: u32,
    pub group: u32,
    /// Where its inputs begin among the edges.
    pub inputs: u32,
    pub n_inputs: u32,
    /// The first edge of the list of those that name it as input.
    pub dependents: u32,
    /// Edges to it from active tasks.
    pub n_waiters: u32,
    /// Inputs that are not done, while it waits.
    pub n_missing: u32,
    /// The first of its claims.
    pub claims: u32,
    /// Ready: its queue. Assigned: its worker. Bad: the culprit.
    pub place: u32,
    /// Its position in its worker's list while assigned.
    pub position: u32,
    /// Who has the result.
    pub holders: u32,
    /// Estimated run time in nanoseconds, at most 4 s.
    pub estimate: u32,
    /// How often it failed by itself.
    pub errors: u32,
    /// How often its process died.
    pub crashes: u16,
    /// Orders (given up attempts, copies) whose answer is not here yet.
    pub unsettled: u16,
    pub state: TaskState,
    pub failure: Failure,
    pub runnable: bool,
    /// A client's value that was there once.
    pub was_placed: bool,
    /// It was asked back from its worker.
    pub retracting: bool,
    /// It is being copied away from a retiring worker.
    pub copying: bool,
    /// The worker that it is given to turned out to have an older copy.
    pub stray: bool,
}

const _: () = assert!(size_of::<Task>() <= 88, "a task's record stays small");

impl Task {
    const VACANT: Task = Task {
        priority: 0,
        bytes: 0,
        reserved: 0,
        attempt: 0,
        group: 0,
        inputs: 0,
        n_inputs: 0,
        dependents: NONE,
        n_waiters: 0,
        n_missing: 0,
        claims: NONE,
        place: NONE,
        position: 0,
        holders: NONE,
        estimate: 0,
        errors: 0,
        crashes: 0,
        unsettled: 0,
        state: TaskState::Vacant,
        failure: Failure::Error,
        runnable: true,
        was_placed: false,
        retracting: false,
        copying: false,
        stray: false,
    };

    /// The record of a number that is free; attempts go on counting.
    pub fn vacant(attempt: u32) -> Task {
        Task { attempt, ..Task::VACANT }
    }

    /// Whether a client or an active task needs the result. A client's value,
    /// which cannot be computed again, is kept for all that may be.
    pub fn is_needed(&self) -> bool {
        self.n_waiters > 0 || self.claims != NONE || (!self.runnable && self.dependents != NONE)
    }
}

/// All tasks by number.
#[derive(Default)]
pub(super) struct Tasks {
    pub records: Vec<Task>,
    /// The attempt that numbers begin with: beyond all that were ever made of
    /// records that are gone.
    pub first_attempt: u32,
}

/// Records that are kept for the next graph when no task is left.
const RECORDS_KEPT: usize = 1 << 20;

impl Tasks {
    /// Makes room for the number, at once for so many more that will come.
    pub fn grow_to(&mut self, task: TaskId, n_later: usize) {
        let needed = task.0 as usize + 1;
        if self.records.len() < needed {
            self.records.reserve(needed - self.records.len() + n_later);
            self.records.resize(needed, Task::vacant(self.first_attempt));
        }
    }

    /// Gives the records back if they are many; only while all are vacant.
    pub fn reset(&mut self) -> bool {
        if self.records.capacity() <= RECORDS_KEPT {
            return false;
        }
        self.first_attempt = self.last_attempt();
        self.records = Vec::new();
        true
    }

    /// The latest attempt of any number.
    pub fn last_attempt(&self) -> u32 {
        let attempts = self.records.iter().map(|record| record.attempt);
        attempts.fold(self.first_attempt, |one, other| {
            // Attempts wrap round, so that the later one is not always the larger.
            if other.wrapping_sub(one) < 1 << 31 { other } else { one }
        })
    }

    /// The record, unless the number was never seen.
    pub fn get(&self, task: TaskId) -> Option<&Task> {
        self.records.get(task.0 as usize).filter(|record| record.state != TaskState::Vacant)
    }
}

impl Index<TaskId> for Tasks {
    type Output = Task;
    fn index(&self, task: TaskId) -> &Task {
        &self.records[task.0 as usize]
    }
}

impl IndexMut<TaskId> for Tasks {
    fn index_mut(&mut self, task: TaskId) -> &mut Task {
        &mut self.records[task.0 as usize]
    }
}

/// One input of one task.
#[derive(Clone, Copy, Debug)]
pub(super) struct Edge {
    pub input: TaskId,
    pub part: u32,
    pub consumer: TaskId,
    pub next: u32,
    pub previous: u32,
}

impl Edge {
    pub fn piece(&self) -> Piece {
        Piece { task: self.input, part: self.part }
    }
}

/// Blocks of edges in sizes of powers of two, each with its free list.
#[derive(Default)]
pub(super) struct Edges {
    pub slots: Vec<Edge>,
    free: [Vec<u32>; 32],
}

impl Edges {
    fn class(n_edges: u32) -> usize {
        n_edges.next_power_of_two().trailing_zeros() as usize
    }

    /// A block for the inputs of one task.
    pub fn allocate(&mut self, n_edges: u32) -> u32 {
        if n_edges == 0 {
            return 0;
        }
        let class = Self::class(n_edges);
        if let Some(start) = self.free[class].pop() {
            return start;
        }
        let start = self.slots.len();
        let nothing = Edge { input: TaskId(NONE), part: 0, consumer: TaskId(NONE), next: NONE, previous: NONE };
        self.slots.resize(start + (1 << class), nothing);
        u32::try_from(start).expect("a scheduler holds fewer than 2^32 inputs")
    }

    /// Gives a block back.
    pub fn release(&mut self, start: u32, n_edges: u32) {
        if n_edges > 0 {
            self.free[Self::class(n_edges)].push(start);
        }
    }
}

impl Index<u32> for Edges {
    type Output = Edge;
    fn index(&self, edge: u32) -> &Edge {
        &self.slots[edge as usize]
    }
}

impl IndexMut<u32> for Edges {
    fn index_mut(&mut self, edge: u32) -> &mut Edge {
        &mut self.slots[edge as usize]
    }
}

/// One client's claims on one task.
#[derive(Clone, Copy, Debug)]
pub(super) struct Claim {
    pub client: u32,
    pub count: u32,
    pub next: u32,
}

/// Claims of all tasks, as lists.
#[derive(Default)]
pub(super) struct Claims {
    slots: Vec<Claim>,
    free: Vec<u32>,
}

impl Claims {
    /// Adds a claim in front of the list `head`.
    pub fn push(&mut self, claim: Claim) -> u32 {
        if let Some(slot) = self.free.pop() {
            self.slots[slot as usize] = claim;
            return slot;
        }
        self.slots.push(claim);
        u32::try_from(self.slots.len() - 1).expect("fewer than 2^32 claims")
    }

    /// Gives a slot back.
    pub fn release(&mut self, slot: u32) {
        self.free.push(slot);
    }

    /// How many claims there are.
    pub fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }
}

impl Index<u32> for Claims {
    type Output = Claim;
    fn index(&self, claim: u32) -> &Claim {
        &self.slots[claim as usize]
    }
}

impl IndexMut<u32> for Claims {
    fn index_mut(&mut self, claim: u32) -> &mut Claim {
        &mut self.slots[claim as usize]
    }
}

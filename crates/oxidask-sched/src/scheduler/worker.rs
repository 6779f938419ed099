//! The scheduler's record of a worker, and what it learns about groups.

use crate::event::{GroupSpec, Nanos, ResourceId, TaskId, UNKNOWN_BYTES, WorkerId, WorkerName};
use crate::queue::ReadyQueue;
use std::collections::BTreeSet;

/// A copy on its way to a worker.
#[derive(Clone, Copy, Debug)]
pub(super) struct Copying {
    pub task: TaskId,
    /// Who has the result.
    pub source: WorkerId,
    /// The source gives its own copy up when this one is there.
    pub moves: bool,
}

/// One worker.
pub(super) struct Worker {
    pub id: WorkerId,
    pub name: WorkerName,
    /// Tasks that it runs at once, those not counted that wait for others.
    pub slots: u32,
    /// How many of the slots are there because tasks wait for others.
    lent: u32,
    pub memory_limit: u64,
    /// Name, how much there is, how much is in use.
    pub resources: Vec<(ResourceId, f64, f64)>,
    /// Tasks given to it.
    pub assigned: Vec<TaskId>,
    /// Estimated run time of what was given to it.
    pub in_flight_ns: u64,
    /// Ready tasks that do best here, kept back until there is room.
    pub local: ReadyQueue,
    /// Estimated run time of those.
    pub local_ns: u64,
    /// Results held here; may name some that are gone. Used when it leaves.
    pub held: Vec<TaskId>,
    pub n_held: usize,
    /// Bytes of results in memory: as reported last, and what changed since.
    pub resident: u64,
    pub spilled: u64,
    /// Set aside for the results of tasks given to it.
    pub reserved: u64,
    /// It starts nothing that takes memory.
    pub paused: bool,
    pub retiring: bool,
    /// It was told that it may go.
    pub retired: bool,
    /// Results that only it holds, to be copied before it goes.
    pub to_copy: Vec<TaskId>,
    /// Copies from it that are under way.
    pub n_copies: u32,
    /// Copies to it that are under way, and from where.
    pub copying: Vec<Copying>,
    /// Where the search among `held` for copies to give up goes on.
    pub reduce_cursor: usize,
    /// Attempts that it was told to forget and has not answered.
    pub abandoned: BTreeSet<(TaskId, u32)>,
    /// Whether it is in the list of that name.
    pub in_idle: bool,
    /// Whether it is in the list of that name.
    pub in_backlogged: bool,
    /// While a task is placed: whether it is among the candidates, and how much
    /// of the inputs it has.
    pub is_candidate: bool,
    pub local_bytes: u64,
}

impl Worker {
    pub fn new(
        id: WorkerId,
        name: WorkerName,
        slots: u32,
        memory_limit: u64,
        resources: Vec<(ResourceId, f64)>,
    ) -> Self {
        Worker {
            id,
            name,
            slots: slots.max(1),
            lent: 0,
            memory_limit,
            resources: resources.into_iter().map(|(name, total)| (name, total, 0.0)).collect(),
            assigned: Vec::new(),
            in_flight_ns: 0,
            local: ReadyQueue::default(),
            local_ns: 0,
            held: Vec::new(),
            n_held: 0,
            resident: 0,
            spilled: 0,
            reserved: 0,
            paused: false,
            retiring: false,
            retired: false,
            to_copy: Vec::new(),
            n_copies: 0,
            copying: Vec::new(),
            reduce_cursor: 0,
            abandoned: BTreeSet::new(),
            in_idle: false,
            in_backlogged: false,
            is_candidate: false,
            local_bytes: 0,
        }
    }

    /// So many tasks wait for others, and have lent their slots.
    pub fn lend(&mut self, n_lent: u32) {
        self.slots = (self.slots - self.lent).saturating_add(n_lent);
        self.lent = n_lent;
    }

    /// Whether it has everything that the group occupies, in all.
    pub fn could_satisfy(&self, spec: &GroupSpec) -> bool {
        spec.resources.iter().all(|&(name, amount)| {
            amount <= 0.0 || self.resources.iter().any(|&(own, total, _)| own == name && amount <= total + EPSILON)
        })
    }

    /// Whether it has that free now.
    pub fn satisfies_now(&self, spec: &GroupSpec) -> bool {
        spec.resources.iter().all(|&(name, amount)| {
            amount <= 0.0
                || self.resources.iter().any(|&(own, total, used)| own == name && amount <= total - used + EPSILON)
        })
    }

    /// Occupies (sign 1) or gives back (sign -1) what the group needs.
    pub fn occupy(&mut self, spec: &GroupSpec, sign: f64) {
        for &(name, amount) in &spec.resources {
            for resource in &mut self.resources {
                if resource.0 == name {
                    resource.2 += sign * amount;
                }
            }
        }
    }

    /// Whether nothing was given to it, or is on its way to it or from it, that it
    /// has not answered.
    pub fn is_at_rest(&self) -> bool {
        self.assigned.is_empty()
            && self.local.live == 0
            && self.n_copies == 0
            && self.copying.is_empty()
            && self.abandoned.is_empty()
            && self.lent == 0
            && !self.retiring
    }

    /// Bytes that are or will be in memory as far as is known.
    pub fn committed(&self) -> u64 {
        self.resident.saturating_add(self.reserved)
    }
}

/// Slack for amounts of resources that were added and subtracted.
const EPSILON: f64 = 1e-9;

/// What the scheduler knows of a group.
#[derive(Default)]
pub(super) struct Group {
    pub spec: GroupSpec,
    /// Tasks that are in it; with the last one it is forgotten.
    pub n_tasks: usize,
    /// Running mean of run times; 0 while none has run.
    mean_ns: u64,
    /// Running mean of result sizes.
    mean_bytes: u64,
    n_done: u64,
    /// Ready tasks, where not every worker may run them.
    pub queue: ReadyQueue,
}

/// A running mean forgets with this weight.
const MEAN_WEIGHT: u64 = 16;

impl Group {
    /// Whether not every worker may run its tasks.
    pub fn is_constrained(&self) -> bool {
        !self.spec.workers.is_empty() || !self.spec.resources.is_empty()
    }

    /// Learns from a task that ran.
    pub fn ran(&mut self, duration: Nanos, bytes: u64) {
        self.n_done += 1;
        let weight = self.n_done.min(MEAN_WEIGHT);
        let blend = |mean: u64, sample: u64| mean - mean / weight + sample / weight;
        self.mean_ns = if self.n_done == 1 { duration } else { blend(self.mean_ns, duration) };
        self.mean_bytes = if self.n_done == 1 { bytes } else { blend(self.mean_bytes, bytes) };
    }

    /// Expected run time, if one has run.
    pub fn duration(&self) -> Option<Nanos> {
        (self.n_done > 0).then_some(self.mean_ns.max(1))
    }

    /// Expected size of a result whose size was not given.
    pub fn bytes(&self) -> u64 {
        if self.n_done > 0 { self.mean_bytes } else { UNKNOWN_BYTES }
    }
}

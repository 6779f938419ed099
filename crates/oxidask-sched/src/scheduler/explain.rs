//! Why a task is not done, and how many tasks are how far.

use super::task::{NONE, queue};
use super::{Scheduler, TaskState};
use crate::event::{Attempt, Failure, GroupId, GroupSpec, Piece, TaskId, WorkerId, WorkerName};
use std::fmt;

/// Why a task is where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The scheduler does not know it.
    Unknown,
    /// Nobody needs its result now.
    NotNeeded,
    /// Inputs are missing.
    WaitsForInputs {
        /// How many.
        n_missing: u32,
        /// One of them; ask about it next.
        input: TaskId,
    },
    /// The client that brings the value has not placed it yet.
    WaitsForValue,
    /// No worker is there.
    NoWorker,
    /// No worker that is there has the name or the resources that it asks for.
    NoWorkerSatisfies,
    /// Workers that could run it are busy.
    WaitsForRoom {
        /// Tasks queued with it.
        n_queued: usize,
    },
    /// Its result does not fit beside what its worker has.
    WaitsForMemory {
        /// The worker.
        worker: WorkerId,
        /// Bytes that it is expected to add.
        needed: u64,
        /// Bytes that the worker has and expects.
        committed: u64,
        /// Bytes that it may have.
        limit: u64,
    },
    /// A worker has it and runs it, or runs others first.
    AtWorker {
        /// The worker.
        worker: WorkerId,
        /// Whether it starts only what frees memory.
        paused: bool,
    },
    /// It is done.
    Done {
        /// Who has the result.
        holder: WorkerId,
    },
    /// It or a task that it needs failed.
    Failed {
        /// The task that failed first.
        culprit: TaskId,
        /// How.
        failure: Failure,
    },
    /// A client's value that it is or needs is lost.
    Lost {
        /// The value.
        culprit: TaskId,
    },
    /// It was cancelled.
    Cancelled,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Why::Unknown => write!(f, "the scheduler does not know the task"),
            Why::NotNeeded => write!(f, "nobody needs the result"),
            Why::WaitsForInputs { n_missing, input } => {
                write!(f, "waits for {n_missing} inputs, task {} among them", input.0)
            }
            Why::WaitsForValue => write!(f, "waits for its client to place the value"),
            Why::NoWorker => write!(f, "no worker is there"),
            Why::NoWorkerSatisfies => {
                write!(f, "no worker that is there has the name or the resources that it asks for")
            }
            Why::WaitsForRoom { n_queued } => write!(f, "all workers are busy; {n_queued} tasks are queued"),
            Why::WaitsForMemory { worker, needed, committed, limit } => write!(
                f,
                "adds {needed} bytes to worker {}, which has or expects {committed} bytes of at most {limit}",
                worker.0
            ),
            Why::AtWorker { worker, paused: false } => write!(f, "runs or is about to run on worker {}", worker.0),
            Why::AtWorker { worker, paused: true } => {
                write!(f, "is at worker {}, which starts only tasks that free memory", worker.0)
            }
            Why::Done { holder } => write!(f, "is done; worker {} has the result", holder.0),
            Why::Failed { culprit, failure } => write!(f, "task {} failed ({failure:?})", culprit.0),
            Why::Lost { culprit } => write!(f, "the value {} that a client brought is lost", culprit.0),
            Why::Cancelled => write!(f, "was cancelled"),
        }
    }
}

/// How many tasks are how far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// All that the scheduler knows.
    pub known: usize,
    /// Not needed now.
    pub idle: usize,
    /// With inputs missing.
    pub waiting: usize,
    /// Ready and not given to a worker.
    pub queued: usize,
    /// At a worker.
    pub assigned: usize,
    /// Done, with the result held.
    pub done: usize,
    /// Failed, lost or cancelled.
    pub bad: usize,
}

impl Scheduler {
    /// What a task asks of its worker.
    #[must_use]
    pub fn wishes(&self, task: TaskId) -> Option<&GroupSpec> {
        let record = self.tasks.get(task)?;
        Some(&self.groups.get(record.group as usize)?.as_deref()?.spec)
    }

    /// Why a task is not done; text by its `Display`.
    #[must_use]
    pub fn explain(&self, task: TaskId) -> Why {
        let Some(record) = self.tasks.get(task) else { return Why::Unknown };
        let culprit = TaskId(record.place);
        match record.state {
            TaskState::Vacant => Why::Unknown,
            TaskState::Idle => Why::NotNeeded,
            TaskState::Waiting => {
                let missing = |edge: &u32| self.tasks[self.edges[*edge].input].state != TaskState::Done;
                match self.inputs(task).find(missing) {
                    Some(edge) => Why::WaitsForInputs { n_missing: record.n_missing, input: self.edges[edge].input },
                    None => Why::WaitsForValue,
                }
            }
            TaskState::Ready => self.explain_queued(task),
            TaskState::Assigned => {
                let worker = WorkerId(record.place);
                Why::AtWorker { worker, paused: self.worker(worker).is_some_and(|record| record.paused) }
            }
            TaskState::Done => match self.holders.pick(record.holders, 0) {
                Some(holder) => Why::Done { holder },
                None => Why::Unknown,
            },
            TaskState::Failed => Why::Failed { culprit, failure: record.failure },
            TaskState::Lost => Why::Lost { culprit },
            TaskState::Cancelled => Why::Cancelled,
        }
    }

    fn explain_queued(&self, task: TaskId) -> Why {
        let record = &self.tasks[task];
        if self.alive.is_empty() {
            return Why::NoWorker;
        }
        let group = GroupId(record.group);
        let may_run = |worker: &&WorkerId| {
            self.may_run(**worker, group) && self.worker(**worker).is_some_and(|record| !record.retiring)
        };
        if !self.alive.iter().any(|worker| may_run(&worker)) {
            return Why::NoWorkerSatisfies;
        }
        let (n_queued, best) = match record.place {
            queue::GLOBAL => (self.global.live, None),
            queue::GROUP => (self.group(record.group).queue.live, None),
            worker => (self.worker(WorkerId(worker)).map_or(0, |record| record.local.live), Some(WorkerId(worker))),
        };
        // With room for a task, only memory can be what holds it back.
        let has_slot = |worker: &&WorkerId| {
            self.worker(**worker).is_some_and(|record| record.assigned.len() < record.slots as usize)
        };
        let blocked = match best {
            Some(worker) => Some(worker).filter(|worker| has_slot(&worker)),
            None => self.alive.iter().find(|worker| may_run(worker) && has_slot(worker)).copied(),
        };
        match blocked.and_then(|worker| self.worker(worker)) {
            Some(worker) if worker.memory_limit != u64::MAX => Why::WaitsForMemory {
                worker: worker.id,
                needed: self.bytes_added(task, worker.id),
                committed: worker.committed(),
                limit: worker.memory_limit,
            },
            _ => Why::WaitsForRoom { n_queued },
        }
    }

    /// What a task needs, in order.
    #[must_use]
    pub fn pieces(&self, task: TaskId) -> Vec<Piece> {
        if self.tasks.get(task).is_none() {
            return Vec::new();
        }
        self.inputs(task).map(|edge| self.edges[edge].piece()).collect()
    }

    /// Whether copies stay where they are also when memory is short.
    #[must_use]
    pub fn keeps_replicas(&self) -> bool {
        self.keeps_replicas
    }

    /// How far a task is; [`TaskState::Vacant`] if it is not known.
    #[must_use]
    pub fn state(&self, task: TaskId) -> TaskState {
        self.tasks.get(task).map_or(TaskState::Vacant, |record| record.state)
    }

    /// Who holds a task's result.
    #[must_use]
    pub fn holders(&self, task: TaskId) -> Vec<WorkerId> {
        let mut holders = Vec::new();
        self.holders.list(self.tasks.get(task).map_or(NONE, |record| record.holders), &mut holders);
        holders
    }

    /// The size of a result that is there.
    #[must_use]
    pub fn result_bytes(&self, task: TaskId) -> Option<u64> {
        self.tasks.get(task).filter(|record| record.state == TaskState::Done).map(|record| record.bytes)
    }

    /// The worker and the attempt that a task is given to now.
    #[must_use]
    pub fn assignment(&self, task: TaskId) -> Option<(WorkerId, Attempt)> {
        let record = self.tasks.get(task).filter(|record| record.state == TaskState::Assigned)?;
        Some((WorkerId(record.place), Attempt(record.attempt)))
    }

    /// How often a task failed by itself, and how often its process died.
    #[must_use]
    pub fn failures(&self, task: TaskId) -> (u32, u32) {
        self.tasks.get(task).map_or((0, 0), |record| (record.errors, u32::from(record.crashes)))
    }

    /// How many tasks the scheduler knows.
    #[must_use]
    pub fn n_tasks(&self) -> usize {
        self.n_tasks
    }

    /// Ready tasks that no worker was given yet; what adaptive scaling looks at.
    #[must_use]
    pub fn n_queued(&self) -> usize {
        let local: usize = self.workers().map(|worker| worker.local.live).sum();
        let groups: usize = self.constrained.iter().map(|group| self.group(group.0).queue.live).sum();
        self.global.live + local + groups
    }

    /// The workers that are there, in the order in which they joined.
    #[must_use]
    pub fn alive(&self) -> &[WorkerId] {
        &self.alive
    }

    /// The name that a worker joined with, while it is there.
    #[must_use]
    pub fn worker_name(&self, worker: WorkerId) -> Option<WorkerName> {
        self.worker(worker).map(|record| record.name)
    }

    /// The tasks that a worker was given and has not answered for.
    #[must_use]
    pub fn assigned(&self, worker: WorkerId) -> &[TaskId] {
        self.worker(worker).map_or(&[], |record| &record.assigned)
    }

    /// Bytes of results at a worker in memory and on disk, and set aside, as far
    /// as is known.
    #[must_use]
    pub fn ledger(&self, worker: WorkerId) -> Option<(u64, u64, u64)> {
        self.worker(worker).map(|record| (record.resident, record.spilled, record.reserved))
    }

    /// Counts tasks by state; looks at each, so not for every event.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let mut counts = Counts { known: self.n_tasks, ..Counts::default() };
        for record in &self.tasks.records {
            match record.state {
                TaskState::Vacant => {}
                TaskState::Idle => counts.idle += 1,
                TaskState::Waiting => counts.waiting += 1,
                TaskState::Ready => counts.queued += 1,
                TaskState::Assigned => counts.assigned += 1,
                TaskState::Done => counts.done += 1,
                TaskState::Failed | TaskState::Lost | TaskState::Cancelled => counts.bad += 1,
            }
        }
        counts
    }

    pub(super) fn workers(&self) -> impl Iterator<Item = &super::Worker> {
        self.alive.iter().filter_map(|&worker| self.worker(worker))
    }
}

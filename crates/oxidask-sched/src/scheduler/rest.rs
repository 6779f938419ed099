//! A scheduler at rest: nothing runs, waits, moves, or is still to be answered.
//!
//! What is left then are results that somebody holds, tasks that ended badly, and
//! what both were made from. That can be written down, and a fresh core that is
//! told it goes on as this one would: with the same numbers and attempts, but for
//! what it has learnt of run times.

use super::task::{Edge, NONE, Task};
use super::{Scheduler, TaskState};
use crate::event::{Failure, GroupId, GroupSpec, Piece, TaskId, WorkerId};

/// How a task of a scheduler at rest ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rest {
    /// Nobody needs its result, which is not there.
    Idle,
    /// These workers have it.
    Done(Vec<WorkerId>),
    /// It, or what it needs, failed.
    Failed {
        /// The task that failed.
        culprit: TaskId,
        /// Why.
        failure: Failure,
    },
    /// A client's value, itself or one that it needs, is gone.
    Lost {
        /// The value.
        culprit: TaskId,
    },
    /// Somebody cancelled it.
    Cancelled,
}

/// A task of a scheduler at rest.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are those of the scheduler's record, and of NewTask")]
pub struct RestingTask {
    pub id: TaskId,
    pub attempt: u32,
    pub priority: u64,
    pub bytes: u64,
    pub group: GroupId,
    pub runnable: bool,
    pub was_placed: bool,
    pub errors: u32,
    pub crashes: u16,
    pub rest: Rest,
    /// Clients that claim it, and how often.
    pub claims: Vec<(u32, u32)>,
    pub inputs: Vec<Piece>,
}

/// See the module's head.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Resting {
    /// What tasks of a group share.
    pub groups: Vec<(GroupId, GroupSpec)>,
    /// All tasks, by number.
    pub tasks: Vec<RestingTask>,
    /// The latest attempt at any task, also at those that are gone.
    pub last_attempt: u32,
    /// Whether copies stay where they are also when memory is short.
    pub keeps_replicas: bool,
}

impl Scheduler {
    /// All tasks, if the scheduler is at rest.
    #[must_use]
    pub fn at_rest(&self) -> Option<Resting> {
        // What is likely to be under way is looked at first: this is asked often.
        let is_quiet = self.global.live == 0
            && self.retiring.is_empty()
            && self.fresh.is_empty()
            && self.unneeded.is_empty()
            && self.kept_back.is_empty()
            && self.workers.iter().flatten().all(|worker| worker.is_at_rest());
        if !is_quiet {
            return None;
        }
        let numbers = (0..self.tasks.records.len() as u32).map(TaskId);
        let live = numbers.filter(|&task| self.tasks[task].state != TaskState::Vacant);
        let tasks = live.map(|task| self.resting(task)).collect::<Option<Vec<_>>>()?;
        let declared = self.groups.iter().enumerate();
        let groups =
            declared.filter_map(|(number, group)| Some((GroupId(number as u32), group.as_ref()?.spec.clone())));
        Some(Resting {
            groups: groups.collect(),
            tasks,
            last_attempt: self.tasks.last_attempt(),
            keeps_replicas: self.keeps_replicas,
        })
    }

    fn resting(&self, task: TaskId) -> Option<RestingTask> {
        let record = &self.tasks[task];
        if record.unsettled > 0 || record.copying || record.n_waiters > 0 {
            return None;
        }
        let culprit = TaskId(record.place);
        let rest = match record.state {
            TaskState::Idle => Rest::Idle,
            TaskState::Done => Rest::Done(self.holders(task)),
            TaskState::Failed => Rest::Failed { culprit, failure: record.failure },
            TaskState::Lost => Rest::Lost { culprit },
            TaskState::Cancelled => Rest::Cancelled,
            TaskState::Vacant | TaskState::Waiting | TaskState::Ready | TaskState::Assigned => return None,
        };
        let mut claims = Vec::new();
        let mut claim = record.claims;
        while claim != NONE {
            claims.push((self.claims[claim].client, self.claims[claim].count));
            claim = self.claims[claim].next;
        }
        Some(RestingTask {
            id: task,
            attempt: record.attempt,
            priority: record.priority,
            bytes: record.bytes,
            group: GroupId(record.group),
            runnable: record.runnable,
            was_placed: record.was_placed,
            errors: record.errors,
            crashes: record.crashes,
            rest,
            claims,
            inputs: self.inputs(task).map(|edge| self.edges[edge].piece()).collect(),
        })
    }

    /// Takes over the tasks of a scheduler that was at rest. This one must have had
    /// none so far, and must know the workers.
    ///
    /// # Panics
    /// If it has tasks, or if the tables do not fit together.
    pub fn resume(&mut self, resting: Resting) {
        assert_eq!(self.n_tasks, 0, "a scheduler with tasks cannot take over those of another");
        self.tasks.first_attempt = resting.last_attempt;
        self.keeps_replicas = resting.keeps_replicas;
        for (group, spec) in resting.groups {
            self.declare(group, spec);
        }
        if let Some(highest) = resting.tasks.iter().map(|task| task.id).max() {
            self.tasks.grow_to(highest, 0);
        }
        for task in &resting.tasks {
            self.adopt(task);
        }
        // Inputs may have larger numbers than their consumers, because numbers are
        // used again: so all records come first.
        for task in &resting.tasks {
            let start = self.edges.allocate(task.inputs.len() as u32);
            self.tasks[task.id].inputs = start;
            self.link(task.id, start, &task.inputs);
        }
    }

    fn adopt(&mut self, task: &RestingTask) {
        let (state, place, failure) = match task.rest {
            Rest::Idle => (TaskState::Idle, NONE, Failure::Error),
            Rest::Done(_) => (TaskState::Done, NONE, Failure::Error),
            Rest::Failed { culprit, failure } => (TaskState::Failed, culprit.0, failure),
            Rest::Lost { culprit } => (TaskState::Lost, culprit.0, Failure::Error),
            Rest::Cancelled => (TaskState::Cancelled, NONE, Failure::Error),
        };
        self.tasks[task.id] = Task {
            priority: task.priority,
            bytes: task.bytes,
            group: task.group.0,
            n_inputs: task.inputs.len() as u32,
            runnable: task.runnable,
            was_placed: task.was_placed,
            errors: task.errors,
            crashes: task.crashes,
            state,
            place,
            failure,
            ..Task::vacant(task.attempt)
        };
        self.n_tasks += 1;
        self.groups[task.group.0 as usize].as_deref_mut().expect("a group lives as long as its tasks").n_tasks += 1;
        // A claim is put in front of those that are there.
        for &(client, count) in task.claims.iter().rev() {
            self.claim(crate::event::ClientId(client), task.id);
            let claim = self.tasks[task.id].claims;
            self.claims[claim].count = count;
        }
        if let Rest::Done(holders) = &task.rest {
            for &worker in holders {
                self.add_holder(task.id, worker);
            }
        }
    }

    /// Enters a task's inputs, and the task among the dependents of each.
    pub(super) fn link(&mut self, task: TaskId, start: u32, inputs: &[Piece]) {
        for (edge, &piece) in (start..).zip(inputs) {
            let input = self.tasks.get(piece.task).unwrap_or_else(|| panic!("{task:?} needs an unknown task"));
            let next = input.dependents;
            if next != NONE {
                self.edges[next].previous = edge;
            }
            self.edges[edge] = Edge { input: piece.task, part: piece.part, consumer: task, next, previous: NONE };
            self.tasks[piece.task].dependents = edge;
        }
    }
}

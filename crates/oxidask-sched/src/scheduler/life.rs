//! The life of a task from being needed to its end.

use super::dispatch::is_queued;
use super::task::{NONE, queue};
use super::{Bad, Scheduler, TaskState};
use crate::event::{Attempt, Failure, Nanos, Order, Outcome, SchedulerAction, TaskId, WorkerId};

impl Scheduler {
    /// Makes an idle task, and all idle tasks that it needs, wait or be ready.
    pub(super) fn activate(&mut self, task: TaskId) {
        let mut stack = std::mem::take(&mut self.stack);
        stack.push(task);
        while let Some(task) = stack.pop() {
            let record = &self.tasks[task];
            if record.state != TaskState::Idle || !record.is_needed() {
                continue;
            }
            if !record.runnable {
                self.await_value(task);
                continue;
            }
            let mut n_missing = 0;
            let mut bad = None;
            for edge in self.inputs(task) {
                let input = &mut self.tasks[self.edges[edge].input];
                input.n_waiters += 1;
                if input.state == TaskState::Idle {
                    stack.push(self.edges[edge].input);
                } else if input.state.is_bad() {
                    bad = Some(self.edges[edge].input);
                }
                n_missing += u32::from(input.state != TaskState::Done);
            }
            self.wait_or_go(task, n_missing, bad);
        }
        self.stack = stack;
    }

    /// A task whose inputs were looked at waits for those that are missing, fails
    /// with one that went bad, or is ready.
    fn wait_or_go(&mut self, task: TaskId, n_missing: u32, bad: Option<TaskId>) {
        let record = &mut self.tasks[task];
        record.state = TaskState::Waiting;
        record.n_missing = n_missing;
        if let Some(input) = bad {
            self.fail(task, self.bad_of(input));
        } else if n_missing == 0 {
            self.make_ready(task);
        }
    }

    /// A client's value is needed: it may still come, or is gone.
    pub(super) fn await_value(&mut self, task: TaskId) {
        self.tasks[task].state = TaskState::Waiting;
        self.tasks[task].n_missing = 0;
        if self.tasks[task].was_placed {
            self.fail(task, Bad::Lost { culprit: task });
        }
    }

    /// Why a task ended badly, for those who need it.
    fn bad_of(&self, task: TaskId) -> Bad {
        let record = &self.tasks[task];
        let culprit = TaskId(record.place);
        match record.state {
            TaskState::Failed => Bad::Failed { culprit, failure: record.failure },
            TaskState::Lost => Bad::Lost { culprit },
            _ => Bad::Cancelled,
        }
    }

    /// All inputs are there; the task is queued at the end of the event.
    pub(super) fn make_ready(&mut self, task: TaskId) {
        let record = &mut self.tasks[task];
        record.state = TaskState::Ready;
        record.place = queue::FRESH;
        self.fresh.push(task);
    }

    /// An active task that has no worker any more goes back to wait or be ready.
    pub(super) fn requeue(&mut self, task: TaskId) {
        let mut n_missing = 0;
        let mut bad = None;
        for edge in self.inputs(task) {
            let input = self.edges[edge].input;
            let state = self.tasks[input].state;
            n_missing += u32::from(state != TaskState::Done);
            if state.is_bad() {
                bad = Some(input);
            }
        }
        self.wait_or_go(task, n_missing, bad);
    }

    /// The current attempt of a task is done.
    pub(super) fn done(&mut self, worker: WorkerId, task: TaskId, bytes: u64, duration: Nanos) {
        self.tasks[task].stray = false;
        self.unassign(task);
        let group = self.tasks[task].group as usize;
        self.groups[group].as_deref_mut().expect("tasks name declared groups only").ran(duration, bytes);
        self.has_result(worker, task, bytes);
        self.stop_needing_inputs(task);
    }

    /// A result is there for the first time, or again.
    pub(super) fn has_result(&mut self, worker: WorkerId, task: TaskId, bytes: u64) {
        let record = &mut self.tasks[task];
        record.state = TaskState::Done;
        record.bytes = bytes;
        record.place = NONE;
        self.add_holder(task, worker);
        let mut edge = self.tasks[task].dependents;
        while edge != NONE {
            let consumer = self.edges[edge].consumer;
            let record = &mut self.tasks[consumer];
            if record.state == TaskState::Waiting {
                record.n_missing -= 1;
                if record.n_missing == 0 {
                    self.make_ready(consumer);
                }
            }
            edge = self.edges[edge].next;
        }
        self.notify(task, Outcome::Done { holder: worker, bytes });
        if self.worker(worker).is_some_and(|worker| worker.retiring) {
            self.worker_mut(worker).to_copy.push(task);
        }
        if !self.tasks[task].is_needed() {
            self.unneeded.push(task);
        }
    }

    /// An attempt failed: another one, or the end.
    pub(super) fn attempt_failed(&mut self, task: TaskId, failure: Failure) {
        let worker = WorkerId(self.tasks[task].place);
        self.unassign(task);
        let retries = self.group(self.tasks[task].group).spec.retries;
        let record = &mut self.tasks[task];
        let again = match failure {
            Failure::Error => {
                record.errors = record.errors.saturating_add(1);
                record.errors <= retries
            }
            Failure::Crash => {
                record.crashes = record.crashes.saturating_add(1);
                u32::from(record.crashes) <= self.config.allowed_failures
            }
            Failure::Fatal => false,
            Failure::Again => true,
        };
        if again {
            self.requeue(task);
            if failure == Failure::Again {
                self.queue_elsewhere(task, worker);
            }
        } else {
            self.tasks[task].state = TaskState::Waiting;
            self.fail(task, Bad::Failed { culprit: task, failure });
        }
    }

    /// Ends a task badly, and everything active that needs it.
    ///
    /// An attempt that runs is stopped only by a cancellation: it may have all
    /// its inputs although one of them is gone since.
    pub(super) fn fail(&mut self, task: TaskId, bad: Bad) {
        let mut stack = vec![task];
        while let Some(task) = stack.pop() {
            match self.tasks[task].state {
                TaskState::Waiting => self.stop_needing_inputs(task),
                TaskState::Ready => {
                    self.leave_queue(task);
                    self.stop_needing_inputs(task);
                }
                TaskState::Assigned => {
                    self.abandon(task);
                    self.stop_needing_inputs(task);
                }
                TaskState::Done => self.free(task),
                TaskState::Vacant | TaskState::Idle | TaskState::Failed | TaskState::Lost | TaskState::Cancelled => {
                    continue;
                }
            }
            let record = &mut self.tasks[task];
            let (state, place) = match bad {
                Bad::Failed { culprit, failure } => {
                    record.failure = failure;
                    (TaskState::Failed, culprit.0)
                }
                Bad::Lost { culprit } => (TaskState::Lost, culprit.0),
                Bad::Cancelled => (TaskState::Cancelled, NONE),
            };
            record.state = state;
            record.place = place;
            if !record.is_needed() {
                self.unneeded.push(task);
            }
            if let Some(outcome) = self.outcome(task) {
                self.notify(task, outcome);
            }
            let mut edge = self.tasks[task].dependents;
            while edge != NONE {
                let consumer = self.edges[edge].consumer;
                let affected = match self.tasks[consumer].state {
                    TaskState::Waiting | TaskState::Ready => true,
                    TaskState::Assigned => bad == Bad::Cancelled,
                    _ => false,
                };
                if affected {
                    stack.push(consumer);
                }
                edge = self.edges[edge].next;
            }
        }
    }

    /// Takes a task from its worker's list; its state is the caller's to set.
    pub(super) fn unassign(&mut self, task: TaskId) {
        let record = &mut self.tasks[task];
        let (worker, position) = (WorkerId(record.place), record.position as usize);
        let (reserved, estimate, group) = (record.reserved, record.estimate, record.group);
        if std::mem::take(&mut record.stray) {
            self.out.push(SchedulerAction::To { worker, order: Order::Free(task) });
        }
        record.reserved = 0;
        record.retracting = false;
        record.place = NONE;
        let record = self.workers[worker.0 as usize].as_deref_mut().expect("a task is assigned to a live worker");
        record.assigned.swap_remove(position);
        record.in_flight_ns -= u64::from(estimate);
        record.reserved -= reserved;
        if let Some(&moved) = record.assigned.get(position) {
            self.tasks[moved].position = position as u32;
        }
        let group = self.groups[group as usize].as_deref().expect("tasks name declared groups only");
        if !group.spec.resources.is_empty() {
            record.occupy(&group.spec, -1.0);
            self.constrained_dirty = true;
        }
        self.touched.push(worker);
    }

    /// Gives the current attempt up, wherever it is.
    pub(super) fn abandon(&mut self, task: TaskId) {
        let worker = WorkerId(self.tasks[task].place);
        self.unassign(task);
        let record = &mut self.tasks[task];
        record.unsettled += 1;
        let attempt = record.attempt;
        self.worker_mut(worker).abandoned.insert((task, attempt));
        self.out.push(SchedulerAction::To { worker, order: Order::Abandon { task, attempt: Attempt(attempt) } });
    }

    /// A worker has forgotten an attempt.
    pub(super) fn abandoned(&mut self, worker: WorkerId, task: TaskId, attempt: u32) {
        if self.worker_mut(worker).abandoned.remove(&(task, attempt)) {
            self.answered(task);
        }
    }

    /// One answer less is awaited.
    pub(super) fn answered(&mut self, task: TaskId) {
        self.tasks[task].unsettled -= 1;
        self.unneeded.push(task);
    }

    /// Takes a ready task out of its queue, where its entry goes stale.
    pub(super) fn leave_queue(&mut self, task: TaskId) {
        let place = std::mem::replace(&mut self.tasks[task].place, NONE);
        let record = &self.tasks[task];
        let queue = match place {
            queue::FRESH => return,
            queue::GLOBAL => {
                self.global_ns -= u64::from(record.estimate);
                &mut self.global
            }
            queue::GROUP => {
                let group = self.groups[record.group as usize].as_deref_mut();
                &mut group.expect("tasks name declared groups only").queue
            }
            worker => {
                let worker = self.workers[worker as usize].as_deref_mut().expect("a task queues at a live worker");
                worker.local_ns -= u64::from(record.estimate);
                &mut worker.local
            }
        };
        queue.live -= 1;
        let tasks = &self.tasks;
        queue.compact(|entry| is_queued(tasks, entry, place));
    }
}

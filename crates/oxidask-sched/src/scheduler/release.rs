//! Letting go: of results nobody needs, of records nothing refers to.

use super::task::{NONE, Task};
use super::{Scheduler, TaskState};
use crate::event::{Order, SchedulerAction, TaskId, WorkerId};

impl Scheduler {
    /// A task is not active any more: its inputs have one reason less.
    pub(super) fn stop_needing_inputs(&mut self, task: TaskId) {
        for edge in self.inputs(task) {
            let input = self.edges[edge].input;
            let record = &mut self.tasks[input];
            record.n_waiters -= 1;
            if !record.is_needed() {
                self.unneeded.push(input);
            }
        }
    }

    /// Lets go of everything that the event at hand made useless.
    pub(super) fn sweep(&mut self) {
        while let Some(task) = self.unneeded.pop() {
            let record = &self.tasks[task];
            if record.state == TaskState::Vacant || record.is_needed() {
                continue;
            }
            match record.state {
                TaskState::Done => {
                    self.free(task);
                    self.tasks[task].state = TaskState::Idle;
                }
                TaskState::Waiting | TaskState::Ready | TaskState::Assigned => {
                    match record.state {
                        TaskState::Ready => self.leave_queue(task),
                        TaskState::Assigned => self.abandon(task),
                        _ => {}
                    }
                    self.tasks[task].state = TaskState::Idle;
                    self.stop_needing_inputs(task);
                }
                _ => {}
            }
            self.forget_if_unused(task);
        }
    }

    /// Forgets a task that nobody needs once nothing refers to it.
    fn forget_if_unused(&mut self, task: TaskId) {
        let record = &self.tasks[task];
        if record.dependents != NONE || record.unsettled > 0 {
            return;
        }
        for edge in self.inputs(task) {
            let edge = self.edges[edge];
            match edge.previous {
                NONE => self.tasks[edge.input].dependents = edge.next,
                previous => self.edges[previous].next = edge.next,
            }
            if edge.next != NONE {
                self.edges[edge.next].previous = edge.previous;
            }
            if self.tasks[edge.input].dependents == NONE {
                self.unneeded.push(edge.input);
            }
        }
        let record = &mut self.tasks[task];
        let (start, n_inputs, group) = (record.inputs, record.n_inputs, record.group as usize);
        *record = Task::vacant(record.attempt);
        self.edges.release(start, n_inputs);
        self.n_tasks -= 1;
        self.out.push(SchedulerAction::Forget(task));
        let record = self.groups[group].as_deref_mut().expect("a group lives as long as its tasks");
        record.n_tasks -= 1;
        if record.n_tasks == 0 {
            self.groups[group] = None;
            self.constrained.retain(|other| other.0 as usize != group);
        }
    }

    /// Drops a result everywhere.
    pub(super) fn free(&mut self, task: TaskId) {
        let record = &mut self.tasks[task];
        let (holders, bytes) = (record.holders, record.bytes);
        record.holders = NONE;
        let mut workers = std::mem::take(&mut self.worker_list);
        self.holders.take(holders, &mut workers);
        for worker in workers.drain(..) {
            self.out.push(SchedulerAction::To { worker, order: Order::Free(task) });
            self.lost_copy(worker, bytes);
        }
        self.worker_list = workers;
    }

    /// A worker has a copy.
    pub(super) fn add_holder(&mut self, task: TaskId, worker: WorkerId) {
        let record = &mut self.tasks[task];
        record.holders = self.holders.insert(record.holders, worker);
        let bytes = record.bytes;
        let record = self.workers[worker.0 as usize].as_deref_mut().expect("a holder is there");
        record.n_held += 1;
        record.resident = record.resident.saturating_add(bytes);
        record.held.push(task);
        if record.held.len() > 2 * record.n_held + 1024 {
            self.compact_held(worker);
        }
    }

    /// A worker has a copy less, as far as its counts go.
    pub(super) fn lost_copy(&mut self, worker: WorkerId, bytes: u64) {
        let record = self.worker_mut(worker);
        record.n_held -= 1;
        record.resident = record.resident.saturating_sub(bytes);
        if record.memory_limit != u64::MAX {
            self.touched.push(worker);
        }
    }

    /// Drops what the worker's list of results names in vain.
    fn compact_held(&mut self, worker: WorkerId) {
        let mut held = std::mem::take(&mut self.worker_mut(worker).held);
        held.sort_unstable();
        held.dedup();
        held.retain(|&task| self.holders.contains(self.tasks[task].holders, worker));
        self.worker_mut(worker).held = held;
    }
}

//! Workers that come and go, copies that turn up and vanish.

use super::task::{NONE, queue};
use super::worker::{Copying, Worker};
use super::{Bad, Scheduler, TaskState};
use crate::event::{Failure, Loss, Order, Outcome, SchedulerAction, TaskId, WorkerId};

impl Scheduler {
    pub(super) fn worker_joined(&mut self, worker: Worker) {
        let id = worker.id;
        let index = id.0 as usize;
        if self.workers.len() <= index {
            self.workers.resize_with(index + 1, || None);
        }
        if self.workers[index].is_some() {
            return;
        }
        self.workers[index] = Some(Box::new(worker));
        self.alive.push(id);
        self.touched.push(id);
        self.constrained_dirty = true;
    }

    /// A worker is gone with all that it held.
    ///
    /// Only the crash of the worker's own process, by itself or for its memory,
    /// counts against tasks, and only against as many as it ran at once: those
    /// with the best priorities, which workers run first. User code runs in
    /// child processes, whose end is a [`Failure::Crash`] of its task alone.
    pub(super) fn worker_lost(&mut self, worker: WorkerId, cause: Loss) {
        if self.worker(worker).is_none() {
            return;
        }
        self.alive.retain(|&other| other != worker);
        self.retiring.retain(|&other| other != worker);
        self.constrained_dirty = true;

        let mut lost = Vec::new();
        for task in std::mem::take(&mut self.worker_mut(worker).held) {
            let record = &mut self.tasks[task];
            if self.holders.contains(record.holders, worker) {
                record.holders = self.holders.remove(record.holders, worker);
                if record.holders == NONE {
                    lost.push(task);
                }
            }
        }
        for entry in self.worker_mut(worker).local.drain() {
            let record = &mut self.tasks[entry.task];
            if record.state == TaskState::Ready && record.place == worker.0 {
                record.place = queue::FRESH;
                self.fresh.push(entry.task);
            }
        }
        let mut assigned = self.worker(worker).map_or_else(Vec::new, |record| record.assigned.clone());
        assigned.sort_unstable_by_key(|&task| self.entry(task));
        let n_blamed = match cause {
            Loss::Planned | Loss::Unreachable => 0,
            Loss::OutOfMemory | Loss::Crashed => self.worker(worker).map_or(0, |record| record.slots as usize),
        };
        for &task in &assigned {
            self.tasks[task].stray = false;
            self.unassign(task);
        }
        self.forget_answers_of(worker);
        self.workers[worker.0 as usize] = None;

        for (index, &task) in assigned.iter().enumerate() {
            let record = &mut self.tasks[task];
            record.crashes += u16::from(index < n_blamed);
            if index < n_blamed && u32::from(record.crashes) > self.config.allowed_failures {
                record.state = TaskState::Waiting;
                self.fail(task, Bad::Failed { culprit: task, failure: Failure::Crash });
            } else {
                self.requeue(task);
            }
        }
        for task in lost {
            self.lost(task);
        }
    }

    /// A worker that is gone will not answer any more.
    fn forget_answers_of(&mut self, worker: WorkerId) {
        let record = self.worker_mut(worker);
        let abandoned = std::mem::take(&mut record.abandoned);
        let copying = std::mem::take(&mut record.copying);
        for (task, _) in abandoned {
            self.answered(task);
        }
        for copy in copying {
            self.copy_failed(copy);
        }
    }

    /// The last copy of a result is gone: it is computed again if it is needed.
    fn lost(&mut self, task: TaskId) {
        self.tasks[task].state = TaskState::Idle;
        let mut edge = self.tasks[task].dependents;
        while edge != NONE {
            let consumer = self.edges[edge].consumer;
            match self.tasks[consumer].state {
                TaskState::Waiting => self.tasks[consumer].n_missing += 1,
                TaskState::Ready => {
                    self.leave_queue(consumer);
                    let record = &mut self.tasks[consumer];
                    record.state = TaskState::Waiting;
                    record.n_missing = 1;
                }
                // An attempt that is under way may have the input already; if
                // not it says so.
                _ => {}
            }
            edge = self.edges[edge].next;
        }
        if !self.tasks[task].is_needed() {
            self.unneeded.push(task);
        } else if self.tasks[task].runnable {
            self.notify(task, Outcome::Pending);
            self.activate(task);
        } else {
            self.tasks[task].state = TaskState::Waiting;
            self.fail(task, Bad::Lost { culprit: task });
        }
    }

    /// A worker turns out not to have a copy.
    pub(super) fn not_held(&mut self, task: TaskId, worker: WorkerId) {
        let Some(record) = self.tasks.get(task) else { return };
        if !self.holders.contains(record.holders, worker) {
            return;
        }
        let (holders, bytes) = (record.holders, record.bytes);
        // Should it have the result after all (unreachable for a peer, say), it
        // drops it now, so that both sides think the same.
        self.out.push(SchedulerAction::To { worker, order: Order::Free(task) });
        self.tasks[task].holders = self.holders.remove(holders, worker);
        self.lost_copy(worker, bytes);
        if self.tasks[task].holders == NONE {
            self.lost(task);
        }
    }

    /// A worker has a copy of another one's result. If nobody else has it any
    /// more and the task is being computed again, the copy is stale news: it is
    /// freed, but not under the feet of an attempt on that worker, which finds
    /// it or replaces it.
    pub(super) fn copied(&mut self, worker: WorkerId, task: TaskId) {
        let record = self.tasks.get(task);
        match record.map_or(TaskState::Vacant, |record| record.state) {
            TaskState::Done => {
                if !self.holders.contains(self.tasks[task].holders, worker) {
                    self.add_holder(task, worker);
                }
            }
            TaskState::Assigned if self.tasks[task].place == worker.0 => self.tasks[task].stray = true,
            _ => self.out.push(SchedulerAction::To { worker, order: Order::Free(task) }),
        }
        if let Some(Copying { source, moves, .. }) = self.take_copy(worker, task) {
            if let Some(source) = self.workers[source.0 as usize].as_deref_mut() {
                source.n_copies -= 1;
            }
            self.tasks[task].copying = false;
            if moves && self.tasks[task].state == TaskState::Done {
                self.give_up_copy(task, source);
            }
            self.answered(task);
        }
    }

    /// A client's value lies on a worker.
    pub(super) fn placed(&mut self, task: TaskId, worker: WorkerId, bytes: u64) {
        let is_there = self.worker(worker).is_some();
        let Some(record) = self.tasks.get(task).filter(|record| !record.runnable) else {
            if is_there {
                self.out.push(SchedulerAction::To { worker, order: Order::Free(task) });
            }
            return;
        };
        let is_own_loss = record.state == TaskState::Lost && record.place == task.0;
        let (state, is_needed) = (record.state, record.is_needed());
        if !std::mem::replace(&mut self.tasks[task].was_placed, true) {
            self.answered(task);
        }
        match state {
            _ if !is_there => {
                if state == TaskState::Waiting {
                    self.fail(task, Bad::Lost { culprit: task });
                }
            }
            TaskState::Done => {
                if !self.holders.contains(self.tasks[task].holders, worker) {
                    self.add_holder(task, worker);
                }
            }
            _ if state == TaskState::Waiting || (is_own_loss && is_needed) => self.has_result(worker, task, bytes),
            _ => self.out.push(SchedulerAction::To { worker, order: Order::Free(task) }),
        }
    }
}

//! Workers that leave in good order: what only they hold is copied first.

use super::task::{NONE, queue};
use super::worker::Copying;
use super::{HolderSets, Scheduler, TaskState};
use crate::event::{Attempt, Order, SchedulerAction, TaskId, WorkerId};
use std::collections::HashSet;

/// Copies away from one worker that are under way at once.
pub(super) const COPIES_MAX: u32 = 64;

impl Scheduler {
    pub(super) fn retire(&mut self, worker: WorkerId) {
        if self.worker(worker).is_none_or(|record| record.retiring) {
            return;
        }
        self.worker_mut(worker).retiring = true;
        self.retiring.push(worker);
        for entry in self.worker_mut(worker).local.drain() {
            let record = &mut self.tasks[entry.task];
            if record.state == TaskState::Ready && record.place == worker.0 {
                record.place = queue::FRESH;
                self.fresh.push(entry.task);
            }
        }
        self.worker_mut(worker).local_ns = 0;
        let assigned = self.worker_mut(worker).assigned.clone();
        for task in assigned {
            self.retract(worker, task);
        }
        self.worker_mut(worker).to_copy = self.only_held_by(worker);
        self.constrained_dirty = true;
    }

    /// Takes back that a worker is to leave. If it may go already, it goes.
    pub(super) fn stay(&mut self, worker: WorkerId) {
        if self.worker(worker).is_none_or(|record| !record.retiring || record.retired) {
            return;
        }
        self.retiring.retain(|&other| other != worker);
        let record = self.worker_mut(worker);
        record.retiring = false;
        record.to_copy.clear();
        self.constrained_dirty = true;
        self.touched.push(worker);
    }

    /// Workers that cannot leave: only they hold some results, and nobody is there
    /// who could take them.
    #[must_use]
    pub fn stranded_retirements(&self) -> Vec<WorkerId> {
        let stays = |&worker: &WorkerId| self.worker(worker).is_some_and(|record| !record.retiring);
        if self.alive.iter().any(stays) {
            return Vec::new();
        }
        let is_stranded = |&worker: &WorkerId| {
            self.worker(worker)
                .is_some_and(|record| record.n_copies == 0 && record.assigned.is_empty() && !record.to_copy.is_empty())
        };
        self.retiring.iter().copied().filter(is_stranded).collect()
    }

    /// How many tasks a worker that is to leave still runs and how many results it
    /// still has to hand over; none if it is not to leave, or may go already.
    #[must_use]
    pub fn retirement_backlog(&self, worker: WorkerId) -> Option<usize> {
        let record = self.worker(worker).filter(|record| record.retiring && !record.retired)?;
        Some(record.assigned.len() + record.to_copy.len() + record.n_copies as usize)
    }

    /// Asks a worker for a task back, unless it was asked already.
    pub(super) fn retract(&mut self, worker: WorkerId, task: TaskId) {
        let record = &mut self.tasks[task];
        if !std::mem::replace(&mut record.retracting, true) {
            let order = Order::Retract { task, attempt: Attempt(record.attempt) };
            self.out.push(SchedulerAction::To { worker, order });
        }
    }

    /// Whether a result would be gone with this worker: it has a copy, and so do
    /// at most others that leave too.
    fn is_only_held_by(&self, task: TaskId, worker: WorkerId) -> bool {
        let record = &self.tasks[task];
        if record.state != TaskState::Done {
            return false;
        }
        if HolderSets::is_single(record.holders) {
            return record.holders == worker.0;
        }
        let holders = self.holders(task);
        let leaves = |&other: &WorkerId| other == worker || self.worker(other).is_none_or(|other| other.retiring);
        holders.contains(&worker) && holders.iter().all(leaves)
    }

    pub(super) fn only_held_by(&self, worker: WorkerId) -> Vec<TaskId> {
        let held = self.worker(worker).map_or(&[][..], |record| &record.held);
        let mut tasks: Vec<TaskId> = held.iter().copied().filter(|&task| self.is_only_held_by(task, worker)).collect();
        tasks.sort_unstable();
        tasks.dedup();
        tasks
    }

    /// Orders copies, and lets workers go that have nothing left.
    pub(super) fn advance_retirements(&mut self) {
        for index in (0..self.retiring.len()).rev() {
            let worker = self.retiring[index];
            self.order_copies(worker);
            let record = self.worker_mut(worker);
            if !record.to_copy.is_empty() || record.n_copies > 0 || !record.assigned.is_empty() {
                continue;
            }
            // Copies elsewhere may have vanished since.
            let left = self.only_held_by(worker);
            if left.is_empty() {
                self.worker_mut(worker).retired = true;
                self.retiring.swap_remove(index);
                self.out.push(SchedulerAction::Retired(worker));
            } else {
                self.worker_mut(worker).to_copy = left;
                self.order_copies(worker);
            }
        }
    }

    fn order_copies(&mut self, source: WorkerId) {
        while self.worker_mut(source).n_copies < COPIES_MAX {
            let Some(task) = self.worker_mut(source).to_copy.pop() else { return };
            if !self.is_only_held_by(task, source) || self.tasks[task].copying {
                continue;
            }
            let Some(target) = self.emptiest_worker(task) else {
                self.worker_mut(source).to_copy.push(task);
                return;
            };
            self.tasks[task].copying = true;
            self.order_copy(task, source, target, false);
        }
    }

    /// Workers that may be fetching a result for tasks given to them: their
    /// report would be taken for the answer to an order to copy it.
    pub(super) fn fetching(&self, task: TaskId) -> HashSet<u32> {
        let mut workers = HashSet::new();
        let mut edge = self.tasks[task].dependents;
        while edge != NONE {
            let consumer = &self.tasks[self.edges[edge].consumer];
            if consumer.state == TaskState::Assigned {
                workers.insert(consumer.place);
            }
            edge = self.edges[edge].next;
        }
        workers
    }

    /// The worker with the most room that stays and does not fetch the result
    /// anyway, one short of memory only if all are; they take turns where equal.
    fn emptiest_worker(&mut self, task: TaskId) -> Option<WorkerId> {
        let n_alive = self.alive.len();
        self.steal_cursor = self.steal_cursor.wrapping_add(1);
        let turn = self.steal_cursor;
        let fetching = self.fetching(task);
        let candidates = (0..n_alive).map(|index| self.alive[(index + turn) % n_alive]);
        candidates
            .filter_map(|worker| self.worker(worker))
            // An abandoned attempt may still be fetching, too.
            .filter(|record| !record.retiring && record.abandoned.is_empty() && !fetching.contains(&record.id.0))
            // Somebody may have asked for a copy there already: two orders would be answered once.
            .filter(|record| !record.copying.iter().any(|copy| copy.task == task))
            .min_by_key(|record| {
                (record.paused, u128::from(record.resident) * 1000 / u128::from(record.memory_limit.max(1)))
            })
            .map(|record| record.id)
    }

    /// A copy to `target` that is under way; it counts no more.
    pub(super) fn take_copy(&mut self, target: WorkerId, task: TaskId) -> Option<Copying> {
        let copying = &mut self.worker_mut(target).copying;
        let position = copying.iter().position(|copy| copy.task == task)?;
        Some(copying.swap_remove(position))
    }

    /// A copy to `target`, if one was under way, came to nothing.
    pub(super) fn copy_ended(&mut self, target: WorkerId, task: TaskId) {
        if let Some(copy) = self.take_copy(target, task) {
            self.copy_failed(copy);
        }
    }

    pub(super) fn copy_failed(&mut self, copy: Copying) {
        let Copying { task, source, .. } = copy;
        self.tasks[task].copying = false;
        if let Some(source) = self.workers[source.0 as usize].as_deref_mut() {
            source.n_copies -= 1;
            if source.retiring {
                source.to_copy.push(task);
            }
        }
        self.answered(task);
    }
}

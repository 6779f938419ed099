//! Copies of results: more where somebody asks for them, fewer where memory is
//! short, elsewhere where the load is uneven.
//!
//! A result may lie on several workers because tasks fetched it. That is useful
//! until memory is short; then all but one are given up. What is the last copy is
//! never given up here.

use super::retire::COPIES_MAX;
use super::task::NONE;
use super::worker::{Copying, Worker};
use super::{HolderSets, Scheduler, TaskState};
use crate::event::{Order, SchedulerAction, TaskId, WorkerId};

/// Results looked at when a worker is short of memory.
const LOOKED_AT_MAX: usize = 512;
/// Dependents looked at to find out whether a copy is in use.
const DEPENDENTS_MAX: usize = 32;
/// A worker that has less than this share more than the mean, in percent, gives
/// nothing away.
const EVEN_PERCENT: u64 = 5;

impl Scheduler {
    /// Orders copies until `n` workers have each result, of those named or of all;
    /// as many as there are workers for.
    pub(super) fn replicate(&mut self, tasks: &[TaskId], n: u32, workers: &[WorkerId]) {
        for &task in tasks {
            if self.state(task) != TaskState::Done {
                continue;
            }
            let mut holders = Vec::new();
            self.holders.list(self.tasks[task].holders, &mut holders);
            let is_named = |worker: &WorkerId| workers.is_empty() || workers.contains(worker);
            // A copy that is on its way counts.
            let is_coming = |record: &&Worker| record.copying.iter().any(|copy| copy.task == task);
            let coming = self.workers().filter(is_coming).map(|record| record.id);
            let n_there = holders.iter().copied().chain(coming).filter(is_named).count();
            let mut targets: Vec<WorkerId> = self.alive.iter().copied().filter(is_named).collect();
            targets.retain(|&target| self.may_copy_to(task, target));
            targets.sort_by_key(|&target| self.load(target));
            for (index, &target) in targets.iter().take((n as usize).saturating_sub(n_there)).enumerate() {
                self.order_copy(task, holders[index % holders.len()], target, false);
            }
        }
    }

    /// Moves results from workers that have more than their share of bytes to those
    /// that have less; only these results and workers, or all if none are named.
    pub(super) fn rebalance(&mut self, tasks: &[TaskId], workers: &[WorkerId]) {
        let is_named = |worker: &WorkerId| workers.is_empty() || workers.contains(worker);
        let named = self.alive.iter().copied().filter(is_named);
        let mut loads: Vec<(u64, WorkerId)> = named
            .filter_map(|worker| self.worker(worker).filter(|record| !record.retiring))
            .map(|record| (record.resident.saturating_add(record.spilled), record.id))
            .collect();
        if loads.len() < 2 {
            return;
        }
        let mean = loads.iter().map(|load| load.0).sum::<u64>() / loads.len() as u64;
        let mut wanted: Vec<TaskId> = tasks.to_vec();
        wanted.sort_unstable();
        loads.sort_unstable_by_key(|&(bytes, worker)| (std::cmp::Reverse(bytes), worker));
        for giver in 0..loads.len() {
            let (mut bytes, source) = loads[giver];
            let mut n_moved = 0;
            for task in self.only_held_by(source) {
                if bytes <= mean + mean * EVEN_PERCENT / 100 || n_moved == COPIES_MAX {
                    break;
                }
                let size = self.tasks[task].bytes;
                let is_wanted = wanted.is_empty() || wanted.binary_search(&task).is_ok();
                // What would only turn the difference round stays.
                if !is_wanted || size == 0 || bytes - size.min(bytes) < mean.saturating_sub(size / 2) {
                    continue;
                }
                let takers = loads.iter_mut().skip(giver + 1).rev();
                let mut takers: Vec<&mut (u64, WorkerId)> = takers.filter(|load| load.0 + size <= bytes).collect();
                takers.sort_by_key(|load| load.0);
                let taker = takers.into_iter().find(|load| self.may_copy_to(task, load.1));
                let Some(taker) = taker else { continue };
                taker.0 += size;
                bytes -= size.min(bytes);
                n_moved += 1;
                let target = taker.1;
                self.order_copy(task, source, target, true);
            }
        }
    }

    /// Whether a copy may be ordered there: a worker that may be fetching the result
    /// for a task says so in the same words as one that was told to copy it.
    fn may_copy_to(&self, task: TaskId, target: WorkerId) -> bool {
        let Some(record) = self.worker(target) else { return false };
        !record.retiring
            && !record.paused
            && record.abandoned.is_empty()
            && !self.holders.contains(self.tasks[task].holders, target)
            && !record.copying.iter().any(|copy| copy.task == task)
            && !self.fetching(task).contains(&target.0)
    }

    /// How full a worker is, in thousandths.
    fn load(&self, worker: WorkerId) -> u128 {
        let record = self.worker(worker);
        record.map_or(u128::MAX, |record| u128::from(record.resident) * 1000 / u128::from(record.memory_limit.max(1)))
    }

    /// Orders a copy; with `moves`, the source gives its own up when it is there.
    pub(super) fn order_copy(&mut self, task: TaskId, source: WorkerId, target: WorkerId, moves: bool) {
        self.worker_mut(source).n_copies += 1;
        self.worker_mut(target).copying.push(Copying { task, source, moves });
        let record = &mut self.tasks[task];
        record.unsettled += 1;
        let order = Order::Copy { task, bytes: record.bytes, holder: source };
        self.out.push(SchedulerAction::To { worker: target, order });
    }

    /// A worker is short of memory: it gives up copies that others have too and
    /// that nothing given to it reads.
    pub(super) fn reduce_replicas(&mut self, worker: WorkerId) {
        let record = self.worker_mut(worker);
        let n_held = record.held.len();
        if n_held == 0 {
            return;
        }
        let begin = record.reduce_cursor % n_held;
        let n_looked_at = n_held.min(LOOKED_AT_MAX);
        record.reduce_cursor = begin + n_looked_at;
        let mut given_up: Vec<TaskId> = (0..n_looked_at)
            .map(|step| self.worker(worker).map_or(TaskId(NONE), |record| record.held[(begin + step) % n_held]))
            .filter(|&task| self.is_spare(task, worker))
            .collect();
        given_up.sort_unstable();
        given_up.dedup();
        for task in given_up {
            self.give_up_copy(task, worker);
        }
    }

    /// Gives up every copy that is not in use, but the last; the fullest workers give
    /// up theirs first.
    pub(super) fn reduce_all_replicas(&mut self) {
        let mut workers = self.alive.clone();
        workers.sort_by_key(|&worker| (std::cmp::Reverse(self.load(worker)), worker));
        for worker in workers {
            let held = self.worker(worker).map_or_else(Vec::new, |record| record.held.clone());
            let mut given_up: Vec<TaskId> = held.into_iter().filter(|&task| self.is_spare(task, worker)).collect();
            given_up.sort_unstable();
            given_up.dedup();
            for task in given_up {
                self.give_up_copy(task, worker);
            }
        }
    }

    /// Whether a worker's copy of a result is not the only one and not in use.
    fn is_spare(&self, task: TaskId, worker: WorkerId) -> bool {
        let Some(record) = self.tasks.get(task) else { return false };
        let is_copy = record.state == TaskState::Done
            && !HolderSets::is_single(record.holders)
            && !record.copying
            && self.holders.contains(record.holders, worker);
        if !is_copy {
            return false;
        }
        let mut edge = record.dependents;
        for _ in 0..DEPENDENTS_MAX {
            if edge == NONE {
                return true;
            }
            let consumer = &self.tasks[self.edges[edge].consumer];
            if consumer.state == TaskState::Assigned && consumer.place == worker.0 {
                return false;
            }
            edge = self.edges[edge].next;
        }
        edge == NONE
    }

    /// A worker drops its copy of a result that others have too.
    pub(super) fn give_up_copy(&mut self, task: TaskId, worker: WorkerId) {
        let (holders, bytes) = (self.tasks[task].holders, self.tasks[task].bytes);
        if HolderSets::is_single(holders) || !self.holders.contains(holders, worker) {
            return;
        }
        self.tasks[task].holders = self.holders.remove(holders, worker);
        self.lost_copy(worker, bytes);
        self.out.push(SchedulerAction::To { worker, order: Order::Free(task) });
    }
}

//! Where ready tasks queue, and what they are expected to cost.

use super::task::queue;
use super::worker::Worker;
use super::{Scheduler, TaskState};
use crate::event::{Nanos, Piece, TaskId, UNKNOWN_BYTES, WorkerId};
use crate::queue::Entry;

/// Copies beyond which a result counts as being everywhere.
const HOLDERS_WEIGHED_MAX: usize = 8;
/// A part is taken for this share of its whole (as a power of two), since
/// nobody knows how many parts there are.
const PART_SHIFT: u32 = 4;

impl Scheduler {
    /// Queues what became ready in the event at hand.
    pub(super) fn queue_fresh(&mut self) {
        if self.fresh.is_empty() {
            return;
        }
        let mut fresh = std::mem::take(&mut self.fresh);
        let mut bulk: Vec<Entry> = Vec::new();
        // Where memory is short, tasks that free some are looked at beside those
        // that make more, even on a single worker.
        let is_placed = self.alive.len() > 1 || self.alive.first().is_some_and(|&worker| self.is_limited(worker));
        for task in fresh.drain(..) {
            let record = &self.tasks[task];
            if record.state != TaskState::Ready || record.place != queue::FRESH {
                continue;
            }
            let group = self.group(record.group);
            let has_inputs = record.n_inputs > 0;
            let is_constrained = group.is_constrained();
            let estimate = group.duration().unwrap_or(self.config.prefetch_ns);
            let entry = self.entry(task);
            self.tasks[task].estimate = u32::try_from(estimate).unwrap_or(u32::MAX);
            if is_constrained {
                let record = &mut self.tasks[task];
                record.place = queue::GROUP;
                let group = self.groups[record.group as usize].as_deref_mut();
                group.expect("tasks name declared groups only").queue.push(entry);
                self.constrained_dirty = true;
            } else if has_inputs
                && is_placed
                && let Some(worker) = self.best_worker(task)
            {
                self.queue_at(worker, task, entry);
            } else {
                self.tasks[task].place = queue::GLOBAL;
                self.global_ns += u64::from(self.tasks[task].estimate);
                bulk.push(entry);
            }
        }
        self.fresh = fresh;
        match bulk[..] {
            [] => {}
            [entry] => self.global.push(entry),
            _ => self.global.extend(bulk),
        }
    }

    /// Queues a task, whose estimate is known, for one worker.
    fn queue_at(&mut self, worker: WorkerId, task: TaskId, entry: Entry) {
        self.tasks[task].place = worker.0;
        let estimate = u64::from(self.tasks[task].estimate);
        let record = self.worker_mut(worker);
        record.local.push(entry);
        record.local_ns += estimate;
        self.touched.push(worker);
    }

    /// Queues a task that has just become ready for another worker than `last`, where
    /// it would begin first; left to be queued as others are if there is none, or if
    /// its wishes say where it may run.
    pub(super) fn queue_elsewhere(&mut self, task: TaskId, last: WorkerId) {
        let record = &self.tasks[task];
        let group = self.group(record.group);
        if record.state != TaskState::Ready || record.place != queue::FRESH || group.is_constrained() {
            return;
        }
        let estimate = group.duration().unwrap_or(self.config.prefetch_ns);
        let others = self.workers().filter(|worker| worker.id != last && !worker.retiring);
        let Some(other) = others.map(|worker| (wait(worker), worker.id)).min() else { return };
        self.tasks[task].estimate = u32::try_from(estimate).unwrap_or(u32::MAX);
        let entry = self.entry(task);
        self.queue_at(other.1, task, entry);
    }

    /// The worker where a task is expected to begin first, if any holds an input:
    /// what waits there already, and what must be moved there.
    fn best_worker(&mut self, task: TaskId) -> Option<WorkerId> {
        let mut candidates = std::mem::take(&mut self.candidates);
        let mut total = 0_u64;
        let mut holders = std::mem::take(&mut self.worker_list);
        for edge in self.inputs(task) {
            let piece = self.edges[edge].piece();
            let record = &self.tasks[piece.task];
            let bytes = piece_bytes(piece, record.bytes);
            holders.clear();
            self.holders.list(record.holders, &mut holders);
            if holders.len() > HOLDERS_WEIGHED_MAX {
                continue;
            }
            total += bytes;
            for &worker in &holders {
                let record = self.workers[worker.0 as usize].as_deref_mut().expect("a holder is there");
                if std::mem::replace(&mut record.is_candidate, true) {
                    record.local_bytes += bytes;
                } else {
                    record.local_bytes = bytes;
                    candidates.push(worker);
                }
            }
        }
        holders.clear();
        self.worker_list = holders;
        if let Some(&worker) = self.idle.front()
            && let Some(record) = self.workers[worker.0 as usize].as_deref_mut()
            && !std::mem::replace(&mut record.is_candidate, true)
        {
            record.local_bytes = 0;
            candidates.push(worker);
        }
        let bandwidth = self.config.bandwidth.max(1);
        let mut best: Option<(Nanos, u64, WorkerId)> = None;
        for &worker in &candidates {
            let record = self.worker_mut(worker);
            record.is_candidate = false;
            let local = record.local_bytes;
            let transfer = (u128::from(total - local) * 1_000_000_000 / u128::from(bandwidth)) as u64;
            let candidate = (wait(record).saturating_add(transfer), u64::MAX - local, worker);
            if !record.retiring && best.is_none_or(|other| candidate < other) {
                best = Some(candidate);
            }
        }
        candidates.clear();
        self.candidates = candidates;
        best.map(|(_, _, worker)| worker)
    }

    pub(super) fn is_limited(&self, worker: WorkerId) -> bool {
        self.worker(worker).is_some_and(|record| record.memory_limit != u64::MAX)
    }

    /// What running a task on a worker adds to its memory: the result, and the
    /// inputs that must be moved there.
    pub(super) fn bytes_added(&self, task: TaskId, worker: WorkerId) -> u64 {
        let record = &self.tasks[task];
        let own = match record.bytes {
            UNKNOWN_BYTES => self.group(record.group).bytes(),
            bytes => bytes,
        };
        let own = if own == UNKNOWN_BYTES { 0 } else { own };
        own.saturating_add(self.bytes_to_move(task, worker))
    }

    /// The bytes of inputs that a worker does not hold.
    pub(super) fn bytes_to_move(&self, task: TaskId, worker: WorkerId) -> u64 {
        self.inputs(task)
            .map(|edge| self.edges[edge].piece())
            .filter(|piece| !self.holders.contains(self.tasks[piece.task].holders, worker))
            .map(|piece| piece_bytes(piece, self.tasks[piece.task].bytes))
            .sum()
    }

    /// The bytes that are freed on a worker once the task is done.
    pub(super) fn bytes_freed(&self, task: TaskId, worker: WorkerId) -> u64 {
        self.inputs(task)
            .map(|edge| &self.tasks[self.edges[edge].input])
            .filter(|input| input.n_waiters == 1 && input.claims == super::NONE && input.runnable)
            .filter(|input| self.holders.contains(input.holders, worker))
            .map(|input| input.bytes)
            .sum()
    }

    /// How long a transfer of so many bytes is assumed to take.
    pub(super) fn transfer_time(&self, bytes: u64) -> Nanos {
        (u128::from(bytes) * 1_000_000_000 / u128::from(self.config.bandwidth.max(1))) as u64
    }
}

/// How long a new task would wait at a worker.
pub(super) fn wait(worker: &Worker) -> Nanos {
    if worker.assigned.len() < worker.slots as usize && worker.local.live == 0 {
        0
    } else {
        (worker.in_flight_ns + worker.local_ns) / u64::from(worker.slots)
    }
}

fn piece_bytes(piece: Piece, whole: u64) -> u64 {
    match (whole, piece.part) {
        (UNKNOWN_BYTES, _) => 0,
        (whole, Piece::WHOLE) => whole,
        (whole, _) => whole >> PART_SHIFT,
    }
}

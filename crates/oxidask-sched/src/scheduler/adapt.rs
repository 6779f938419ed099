//! How many workers the work at hand is worth; what adaptive scaling asks.

use super::Scheduler;
use super::TaskState;
use crate::event::{Nanos, TaskId, WorkerId};

/// Memory in use, in percent of the workers' limits, beyond which more workers are
/// wanted for their memory alone.
const FULL_PERCENT: u128 = 60;

impl Scheduler {
    /// How many workers it takes to end what is ready within `target`: by its
    /// estimated run time, but never more than could be busy at once; twice as many
    /// as there are if memory runs short. Zero if there is nothing to do and nothing
    /// is held.
    ///
    /// What waits for inputs counts once it is ready. The answer moves with the
    /// estimates, so whoever acts on it should wait a while before taking workers
    /// away.
    #[must_use]
    pub fn desired_workers(&self, target: Nanos) -> usize {
        let n_alive = self.alive.len();
        let slots: u64 = self.workers().map(|worker| u64::from(worker.slots)).sum();
        let slots_each = slots.checked_div(n_alive as u64).unwrap_or(1).max(1);
        let at_workers: u64 = self.workers().map(|worker| worker.in_flight_ns + worker.local_ns).sum();
        let constrained_ns: u64 = self
            .constrained
            .iter()
            .map(|group| self.group(group.0))
            .map(|group| group.queue.live as u64 * group.duration().unwrap_or(self.config.prefetch_ns))
            .sum();
        let work_ns = at_workers + constrained_ns + self.global_ns;
        let n_ready = self.n_queued() + self.workers().map(|worker| worker.assigned.len()).sum::<usize>();
        let busy_slots = work_ns.div_ceil(target.max(1)).min(n_ready as u64);
        let for_time = busy_slots.div_ceil(slots_each) as usize;

        let used: u128 = self.workers().map(|worker| u128::from(worker.resident)).sum();
        let limit: u128 = self.workers().map(|worker| u128::from(worker.memory_limit)).sum();
        let for_memory = if used * 100 > limit * FULL_PERCENT { 2 * n_alive } else { 0 };
        let for_results = usize::from(self.workers().any(|worker| worker.n_held > 0) || n_ready > 0);
        for_time.max(for_memory).max(for_results)
    }

    /// Workers that could leave at the least cost, best first: those with nothing
    /// to do, then those that hold the fewest bytes. Answers at most `n`, and none
    /// that is leaving already.
    #[must_use]
    pub fn workers_to_close(&self, n: usize) -> Vec<WorkerId> {
        let mut workers: Vec<(bool, u64, WorkerId)> = self
            .workers()
            .filter(|worker| !worker.retiring)
            .map(|worker| {
                let is_busy = !worker.assigned.is_empty() || worker.local.live > 0;
                (is_busy, worker.resident.saturating_add(worker.spilled), worker.id)
            })
            .collect();
        workers.sort_unstable();
        workers.into_iter().take(n).map(|(.., worker)| worker).collect()
    }

    /// Tasks that are ready and that no worker which is there may ever run, for
    /// want of a name or of a resource; at most `n` of them.
    #[must_use]
    pub fn unrunnable(&self, n: usize) -> Vec<TaskId> {
        let is_stuck =
            |group: u32| !self.alive.iter().any(|&worker| self.may_run(worker, crate::event::GroupId(group)));
        let groups: Vec<u32> = self.constrained.iter().map(|group| group.0).filter(|&group| is_stuck(group)).collect();
        if groups.is_empty() {
            return Vec::new();
        }
        let records = self.tasks.records.iter().enumerate();
        records
            .filter(|(_, record)| record.state == TaskState::Ready && groups.contains(&record.group))
            .map(|(number, _)| TaskId(number as u32))
            .take(n)
            .collect()
    }
}

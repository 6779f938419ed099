//! Where the time of a node's threads goes.
//!
//! A ledger only grows. What a run cost is the difference of two: divided by the
//! number of threads, it says what they did between the two moments.

use serde::{Deserialize, Serialize};
use std::ops::Sub;

/// See the module's head. Times are in nanoseconds, summed over threads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// Since the node began, by the clock.
    pub elapsed_ns: u64,
    /// Threads that run tasks.
    pub n_threads: u64,
    /// Tasks that ended.
    pub n_tasks: u64,
    /// Tasks ran.
    pub compute_ns: u64,
    /// Tasks were ready and waited for Python's lock (GIL).
    pub gil_ns: u64,
    /// Tasks travelled to child processes and their results back.
    pub child_ns: u64,
    /// Threads had nothing to run while inputs were on their way from other nodes.
    pub input_ns: u64,
    /// Threads had nothing to run while inputs were read from disk.
    pub load_ns: u64,
    /// Threads had nothing to run and nothing was on its way: the scheduler was
    /// awaited, or there was no work.
    pub idle_ns: u64,
    /// The disk was busy with spilled results; beside the threads.
    pub spill_ns: u64,
    /// Bytes that were fetched from other nodes.
    pub fetched_bytes: u64,
}

/// What a thread without a task waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// Inputs that are on their way from other nodes.
    Input,
    /// Inputs that are read from disk.
    Load,
    /// The scheduler, or work at all.
    Nothing,
}

/// How long threads have waited, those that wait still included.
#[derive(Debug, Default)]
pub(crate) struct Waits {
    /// By cause: ends minus beginnings, modulo 2^64, and waits that have not ended.
    sums: [(u64, u64); 3],
}

impl Waits {
    /// A thread begins to wait.
    pub fn begin(&mut self, cause: Cause, now: u64) {
        let (sum, n_open) = &mut self.sums[cause as usize];
        *sum = sum.wrapping_sub(now);
        *n_open += 1;
    }

    /// It ends a wait that it began for this cause.
    pub fn end(&mut self, cause: Cause, now: u64) {
        let (sum, n_open) = &mut self.sums[cause as usize];
        *sum = sum.wrapping_add(now);
        *n_open -= 1;
    }

    /// Nanoseconds until now.
    pub fn total(&self, cause: Cause, now: u64) -> u64 {
        let (sum, n_open) = self.sums[cause as usize];
        sum.wrapping_add(n_open.wrapping_mul(now))
    }
}

impl Sub for Ledger {
    type Output = Ledger;

    /// What happened since `earlier`.
    fn sub(self, earlier: Ledger) -> Ledger {
        Ledger {
            elapsed_ns: self.elapsed_ns.saturating_sub(earlier.elapsed_ns),
            n_threads: self.n_threads,
            n_tasks: self.n_tasks.saturating_sub(earlier.n_tasks),
            compute_ns: self.compute_ns.saturating_sub(earlier.compute_ns),
            gil_ns: self.gil_ns.saturating_sub(earlier.gil_ns),
            child_ns: self.child_ns.saturating_sub(earlier.child_ns),
            input_ns: self.input_ns.saturating_sub(earlier.input_ns),
            load_ns: self.load_ns.saturating_sub(earlier.load_ns),
            idle_ns: self.idle_ns.saturating_sub(earlier.idle_ns),
            spill_ns: self.spill_ns.saturating_sub(earlier.spill_ns),
            fetched_bytes: self.fetched_bytes.saturating_sub(earlier.fetched_bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_count_before_they_end() {
        let mut waits = Waits::default();
        waits.begin(Cause::Input, 10);
        waits.begin(Cause::Input, 12);
        assert_eq!(waits.total(Cause::Input, 15), 8);
        waits.end(Cause::Input, 20);
        assert_eq!(waits.total(Cause::Input, 30), 28);
        waits.end(Cause::Input, 30);
        assert_eq!(waits.total(Cause::Input, 99), 28);
        assert_eq!(waits.total(Cause::Nothing, 99), 0);
    }
}

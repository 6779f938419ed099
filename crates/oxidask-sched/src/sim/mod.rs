//! A cluster in one thread, under a seeded clock and seeded faults.
//!
//! The same two cores as everywhere run here with up to a thousand workers.
//! Messages take random time; each link keeps its order, but links overtake
//! each other. Workers die at any moment, or are declared dead and go on
//! reporting; memory and disks are small; tasks fail, are cancelled, released,
//! tried again; clients leave; workers retire. Results are hashes of what they
//! were computed from, so that a wrong or stale input shows.
//!
//! Each seed must end with every wanted task delivered, or reported as failed
//! with a cause that the scenario gave, within a bounded number of steps, and
//! with nothing left behind at the scheduler or any worker. Both cores check
//! themselves after each step (now and then where there are very many tasks).
//!
//! ```
//! let summary = oxidask_sched::sim::run(7);
//! assert!(summary.n_delivered > 0);
//! ```

mod client;
mod faults;
mod graph;
mod links;
mod node;
mod replace;
mod replay;
mod world;

pub use world::Summary;

/// Runs the scenario of a seed to its end.
///
/// # Panics
/// If anything that must hold does not; the message names the seed.
#[must_use]
pub fn run(seed: u64) -> Summary {
    world::World::new(&faults::Scenario::random(seed)).run()
}

/// Random numbers from a seed (splitmix64).
#[derive(Clone)]
pub(crate) struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Random(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// A number below `limit`.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit.max(1)
    }

    /// A number from `low` to `high`, both included.
    pub fn range(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high - low + 1)
    }

    /// True once in `n` times.
    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// One of the items.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        if items.is_empty() { None } else { items.get(self.below(items.len() as u64) as usize) }
    }
}

/// A number that depends on all bits of another.
pub(crate) fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

/// A value computed from two.
pub(crate) fn combine(left: u64, right: u64) -> u64 {
    mix(left.wrapping_mul(3) ^ right.rotate_left(17) ^ 0x5bd1_e995)
}

//! A scheduler at rest that is replaced by a fresh one which is told what is left.

use super::mix;
use super::world::World;
use crate::scheduler::Scheduler;

/// Which half of the seeds replaces schedulers.
const REPLACE_SALT: u64 = 22 << 32;

impl World {
    /// Goes on with a fresh scheduler, in half of the seeds whenever the present one
    /// is at rest and has tasks.
    pub fn replace_scheduler(&mut self) {
        if self.scheduler.n_tasks() == 0 || !mix(self.scenario.seed ^ REPLACE_SALT).is_multiple_of(2) {
            return;
        }
        self.settle_scheduler();
        let Some(resting) = self.scheduler.at_rest() else { return };
        self.trace(|| "another scheduler takes over".to_owned());
        let alive = self.scheduler.alive().to_vec();
        let mut fresh = Scheduler::new(self.config.clone());
        let mut actions = Vec::new();
        for worker in &alive {
            fresh.handle(self.now, self.told[worker.0 as usize].0.clone(), &mut actions);
        }
        assert!(actions.is_empty(), "without tasks there is nothing to do");
        fresh.resume(resting.clone());
        assert_eq!(fresh.at_rest().as_ref(), Some(&resting), "it is as the former was");
        fresh.check();
        self.scheduler = fresh;
        self.n_replaced += 1;
        // Copies may be given up where memory is short.
        for worker in alive {
            if let Some(memory) = self.told[worker.0 as usize].1.clone() {
                self.tell_scheduler(memory);
            }
        }
    }
}

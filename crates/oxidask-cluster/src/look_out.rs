//! Whether it pays to look out for something instead of sleeping until it comes.
//!
//! To wake a thread on a core that sleeps costs tens of microseconds, which is as
//! much as all the rest of a short call. Who waits for something short therefore
//! looks out for it a moment before it sleeps, as long as it has been coming that
//! fast, and lets whoever else wants the core have it meanwhile.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Nobody looks out while waits take longer than this, in microseconds.
const SHORT_US: u32 = 1_000;

/// How long the waits for something took of late.
#[derive(Debug, Default)]
pub(crate) struct LookOut {
    mean_wait_us: AtomicU32,
}

impl LookOut {
    /// Longest that anybody looks out before sleeping.
    pub const LONGEST: Duration = Duration::from_micros(500);

    /// Whether to look out this time.
    pub fn is_worth_it(&self) -> bool {
        self.mean_wait_us.load(Ordering::Relaxed) < SHORT_US
    }

    /// A wait has ended, which took so long.
    pub fn waited(&self, wait: Duration) {
        let waited = wait.as_micros().min(2 * u128::from(SHORT_US)) as u32;
        // Two who wait may overwrite each other's update, which costs one sample.
        let mean = self.mean_wait_us.load(Ordering::Relaxed);
        self.mean_wait_us.store((3 * mean + waited) / 4, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_waits_make_nobody_look_out_until_they_are_short_again() {
        let look_out = LookOut::default();
        assert!(look_out.is_worth_it());
        (0..20).for_each(|_| look_out.waited(Duration::from_secs(1)));
        assert!(!look_out.is_worth_it());
        (0..20).for_each(|_| look_out.waited(Duration::from_micros(100)));
        assert!(look_out.is_worth_it());
        // One long wait among short ones changes nothing.
        look_out.waited(Duration::from_secs(1));
        assert!(look_out.is_worth_it());
    }
}

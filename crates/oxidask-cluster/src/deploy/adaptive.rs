//! How many workers a cluster follows its load with.
//!
//! The scheduler core says how many workers the work is worth. More are started
//! at once, because tasks wait; fewer are kept only after the core asked for
//! fewer several times in a row, because starting a worker again costs more than
//! keeping it a little longer. What is kept then is the most that was asked for in
//! that time.

use oxidask_core::{Error, Result};
use std::time::Duration;

/// See the module's head.
///
/// # Examples
/// ```
/// use oxidask_cluster::deploy::Adaptive;
/// use std::time::Duration;
///
/// let mut adaptive = Adaptive::new(1, 8, 2, Duration::from_secs(5))?;
/// // Of 1 worker there should be 5.
/// assert_eq!(adaptive.decide(5, 1), Some(5));
/// // It may be a pause.
/// assert_eq!(adaptive.decide(0, 5), None);
/// assert_eq!(adaptive.decide(0, 5), Some(1));
/// # Ok::<(), oxidask_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Adaptive {
    minimum: usize,
    maximum: usize,
    /// How often fewer must be asked for in a row.
    wait_count: u32,
    target: Duration,
    /// How often they were, and the most among them.
    fewer: (u32, usize),
}

impl Adaptive {
    /// Between `minimum` and `maximum` workers, as many as end the present work
    /// within `target`; fewer after that was so `wait_count` times in a row.
    ///
    /// # Errors
    /// If there is no number of workers between the two.
    pub fn new(minimum: usize, maximum: usize, wait_count: u32, target: Duration) -> Result<Self> {
        if minimum > maximum || maximum == 0 {
            return Err(Error::value(format!("no number of workers is at least {minimum} and at most {maximum}"))
                .with_hint("minimum must not be above maximum, and maximum must not be 0"));
        }
        Ok(Adaptive { minimum, maximum, wait_count: wait_count.max(1), target, fewer: (0, 0) })
    }

    /// Within what time the present work shall end.
    #[must_use]
    pub fn target(&self) -> Duration {
        self.target
    }

    /// How many workers there should be of which `wanted` are worth their work and
    /// `n_workers` are there; none if nothing is to change.
    pub fn decide(&mut self, wanted: usize, n_workers: usize) -> Option<usize> {
        let wanted = wanted.clamp(self.minimum, self.maximum);
        if wanted >= n_workers {
            self.fewer = (0, 0);
            return (wanted > n_workers).then_some(wanted);
        }
        let (count, most) = self.fewer;
        self.fewer = (count + 1, most.max(wanted));
        if self.fewer.0 < self.wait_count {
            return None;
        }
        Some(std::mem::take(&mut self.fewer).1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_load_that_comes_and_goes_keeps_the_workers() {
        let mut adaptive = Adaptive::new(0, 10, 3, Duration::from_secs(5)).unwrap();
        assert_eq!(adaptive.decide(4, 0), Some(4));
        for _ in 0..10 {
            assert_eq!(adaptive.decide(0, 4), None);
            assert_eq!(adaptive.decide(1, 4), None);
            assert_eq!(adaptive.decide(4, 4), None, "busy again: nothing was lost");
        }
        // The most that was needed meanwhile.
        assert_eq!([0, 2, 1].map(|wanted| adaptive.decide(wanted, 4)), [None, None, Some(2)]);
        assert_eq!(adaptive.decide(100, 2), Some(10), "no more than the maximum");
        let new = |minimum, maximum| Adaptive::new(minimum, maximum, 1, Duration::ZERO);
        assert!(new(3, 2).is_err() && new(0, 0).is_err());
    }
}

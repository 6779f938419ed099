//! Waiting for what the scheduler says, without missing it and without sleeping
//! too soon.
//!
//! To wake a thread on a core that sleeps costs tens of microseconds, which is
//! as much as all the rest of a short call. Who waits for a result therefore looks
//! out for it a moment before it sleeps, as long as results have been coming that
//! fast; it lets whoever else wants the core have it meanwhile.

use parking_lot::{Condvar, MutexGuard};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Longest that a caller looks out before it sleeps.
const LOOK_OUT: Duration = Duration::from_micros(500);
/// How often it does nothing before it offers the core to others.
const GLANCES: u32 = 32;
/// Nobody looks out while waits take longer than this, in microseconds.
const SHORT_US: u32 = 1_000;

/// Tells those who wait that something has changed.
#[derive(Default)]
pub struct News {
    changed: Condvar,
    n_told: AtomicU64,
    /// Microseconds that callers waited of late.
    mean_wait_us: AtomicU32,
}

/// One caller's wait, which may be for several pieces of news.
pub struct Waiting<'a> {
    news: &'a News,
    began: Option<Instant>,
}

impl News {
    /// Wakes all who wait. What they wait for must be there already.
    pub fn tell(&self) {
        self.n_told.fetch_add(1, Ordering::Release);
        self.changed.notify_all();
    }

    /// Begins to wait.
    pub fn waiting(&self) -> Waiting<'_> {
        Waiting { news: self, began: None }
    }
}

impl Waiting<'_> {
    /// Lets the lock go until there are news, or it is `until`; whether it is.
    /// As with any condition the caller looks again then, since it may have been
    /// woken for nothing.
    pub fn wait_until<T>(&mut self, guard: &mut MutexGuard<'_, T>, until: Option<Instant>) -> bool {
        if self.began.is_none() {
            let now = Instant::now();
            self.began = Some(now);
            if self.news.mean_wait_us.load(Ordering::Relaxed) < SHORT_US {
                let seen = self.news.n_told.load(Ordering::Acquire);
                let end = until.map_or(now + LOOK_OUT, |until| until.min(now + LOOK_OUT));
                MutexGuard::unlocked(guard, || {
                    while self.news.n_told.load(Ordering::Acquire) == seen && Instant::now() < end {
                        (0..GLANCES).for_each(|_| std::hint::spin_loop());
                        std::thread::yield_now();
                    }
                });
                return until.is_some_and(|until| Instant::now() >= until);
            }
        }
        match until {
            Some(until) => self.news.changed.wait_until(guard, until).timed_out(),
            None => {
                self.news.changed.wait(guard);
                false
            }
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let Some(began) = self.began else { return };
        let waited = began.elapsed().as_micros().min(2 * u128::from(SHORT_US)) as u32;
        // Two callers may overwrite each other's update, which costs one sample.
        let mean = self.news.mean_wait_us.load(Ordering::Relaxed);
        self.news.mean_wait_us.store((3 * mean + waited) / 4, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use parking_lot::Mutex;
    use std::sync::Arc;

    #[test]
    fn who_waits_hears_of_every_change_whether_it_looks_out_or_sleeps() {
        for mean in [0, 10 * SHORT_US] {
            let shared = Arc::new((News::default(), Mutex::new(0_u32)));
            let other = shared.clone();
            const TURNS: u32 = 2_000;
            // Two threads take turns: each makes the number odd or even.
            let turn = move |shared: &(News, Mutex<u32>), own: u32| {
                for _ in 0..TURNS {
                    shared.0.mean_wait_us.store(mean, Ordering::Relaxed);
                    let mut number = shared.1.lock();
                    let mut waiting = shared.0.waiting();
                    while *number % 2 != own {
                        waiting.wait_until(&mut number, None);
                    }
                    *number += 1;
                    drop(number);
                    shared.0.tell();
                }
            };
            let thread = std::thread::spawn(move || turn(&other, 1));
            turn(&shared, 0);
            thread.join().expect("ends");
            assert_eq!(*shared.1.lock(), 2 * TURNS);
        }
    }

    #[test]
    fn a_wait_ends_in_time() {
        let (news, lock) = (News::default(), Mutex::new(()));
        for _ in 0..3 {
            let until = Instant::now() + Duration::from_micros(100);
            let mut guard = lock.lock();
            let mut waiting = news.waiting();
            while !waiting.wait_until(&mut guard, Some(until)) {}
            assert!(Instant::now() >= until);
        }
    }
}

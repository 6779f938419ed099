//! Waiting for what the scheduler says, without missing it and without sleeping
//! too soon; see [`LookOut`].

use crate::look_out::LookOut;
use parking_lot::{Condvar, MutexGuard};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// How often it does nothing before it offers the core to others.
const GLANCES: u32 = 32;

/// Tells those who wait that something has changed.
#[derive(Default)]
pub struct News {
    changed: Condvar,
    n_told: AtomicU64,
    look_out: LookOut,
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
            if self.news.look_out.is_worth_it() {
                let seen = self.news.n_told.load(Ordering::Acquire);
                let end = until.map_or(now + LookOut::LONGEST, |until| until.min(now + LookOut::LONGEST));
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
        if let Some(began) = self.began {
            self.news.look_out.waited(began.elapsed());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use parking_lot::Mutex;
    use std::sync::Arc;
    use std::time::Duration;

    #[test]
    fn who_waits_hears_of_every_change_whether_it_looks_out_or_sleeps() {
        for looks_out in [true, false] {
            let shared = Arc::new((News::default(), Mutex::new(0_u32)));
            let other = shared.clone();
            const TURNS: u32 = 2_000;
            // Two threads take turns: each makes the number odd or even.
            let turn = move |shared: &(News, Mutex<u32>), own: u32| {
                for _ in 0..TURNS {
                    if !looks_out {
                        (0..10).for_each(|_| shared.0.look_out.waited(Duration::from_secs(1)));
                    }
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

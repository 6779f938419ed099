//! Answers of several holders that are waited for together.

use parking_lot::{Condvar, Mutex};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// See the module's head.
pub struct Answers<T> {
    /// How many are still to come, and those that came.
    arrived: Mutex<(usize, Vec<T>)>,
    changed: Condvar,
}

/// The right to give one answer. Dropped without, as by a client that closes, it
/// is not waited for any more.
pub struct Ticket<T>(Arc<Answers<T>>);

impl<T> Answers<T> {
    /// Nothing to wait for yet.
    pub fn new() -> Arc<Self> {
        Arc::new(Answers { arrived: Mutex::new((0, Vec::new())), changed: Condvar::new() })
    }

    /// For one answer more.
    pub fn ticket(self: &Arc<Self>) -> Ticket<T> {
        self.arrived.lock().0 += 1;
        Ticket(self.clone())
    }

    /// Waits for all of them; answers those that came in time.
    pub fn wait(&self, timeout: Option<Duration>) -> Vec<T> {
        let deadline = timeout.map(|timeout| Instant::now() + timeout);
        let mut guard = self.arrived.lock();
        while guard.0 > 0 {
            match deadline {
                None => self.changed.wait(&mut guard),
                Some(deadline) => {
                    if self.changed.wait_until(&mut guard, deadline).timed_out() {
                        break;
                    }
                }
            }
        }
        std::mem::take(&mut guard.1)
    }
}

impl<T> Ticket<T> {
    /// Gives it.
    pub fn give(self, answer: T) {
        self.0.arrived.lock().1.push(answer);
    }
}

impl<T> Drop for Ticket<T> {
    fn drop(&mut self) {
        let mut arrived = self.0.arrived.lock();
        arrived.0 -= 1;
        if arrived.0 == 0 {
            self.0.changed.notify_all();
        }
    }
}

//! Tasks that a thread took and has not begun; others may take them from it.
//!
//! A lock that nobody else wants costs about as much as the atomic operations of a
//! queue without locks, and a batch comes and goes under one of them.

use crate::node::Runnable;
use parking_lot::{Mutex, MutexGuard};
use std::collections::VecDeque;

/// The tasks of one thread, first come first.
#[derive(Default)]
pub(super) struct Queue(Mutex<VecDeque<Runnable>>);

impl Queue {
    pub fn push(&self, runnable: Runnable) {
        self.0.lock().push_back(runnable);
    }

    pub fn pop(&self) -> Option<Runnable> {
        self.0.lock().pop_front()
    }

    pub fn is_empty(&self) -> bool {
        self.0.lock().is_empty()
    }

    /// The tasks, for a whole batch. Must not be held while another queue is used.
    pub fn lock(&self) -> MutexGuard<'_, VecDeque<Runnable>> {
        self.0.lock()
    }

    /// Takes the later half of another queue, at least one task if there is any;
    /// answers whether it got some.
    pub fn steal_from(&self, other: &Queue) -> bool {
        let mut stolen = {
            let mut theirs = other.lock();
            let n_left = theirs.len() / 2;
            theirs.split_off(n_left)
        };
        let has_some = !stolen.is_empty();
        self.lock().append(&mut stolen);
        has_some
    }
}

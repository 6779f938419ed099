//! Tasks that wait for other tasks.
//!
//! A task that asks a cluster for something and waits for the answer would keep
//! others, perhaps the very one it waits for, from running. So it lends its slot
//! while it waits: another thread, with another child process if need be, takes
//! its place, and the scheduler learns that one more task may run. Nothing here
//! does anything on threads that run no task.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// What runs tasks on a thread, and can have another take its place.
pub(crate) trait Lender {
    /// Tells pools apart; 0 in a child process.
    fn pool(&self) -> u64;
    /// Another takes the place of this thread.
    fn suspend(&self);
    /// This thread takes its place again.
    fn resume(&self);
    /// Whether the task that runs now has lent its slot until it ends.
    fn has_seceded(&self) -> &Cell<bool>;
}

thread_local! {
    /// Whose tasks this thread is running, innermost last.
    static CURRENT: RefCell<Vec<Rc<dyn Lender>>> = const { RefCell::new(Vec::new()) };
}

/// The calling thread runs tasks of `lender` from now on.
pub(crate) fn enter(lender: Rc<dyn Lender>) {
    CURRENT.with_borrow_mut(|current| current.push(lender));
}

/// It does no longer.
pub(crate) fn leave() {
    // Dropped outside: it may own a child process.
    let lender = CURRENT.with_borrow_mut(Vec::pop);
    drop(lender);
}

/// Whether the calling thread runs a task of this pool.
pub(crate) fn is_inside(pool: u64) -> bool {
    CURRENT.with_borrow(|current| current.iter().any(|lender| lender.pool() == pool))
}

/// Has another thread take the calling one's place in a pool while `wait` runs.
pub(crate) fn lend_in<R>(pool: u64, wait: impl FnOnce() -> R) -> R {
    lend(CURRENT.with_borrow(|current| current.iter().rev().find(|lender| lender.pool() == pool).cloned()), wait)
}

/// Runs `wait`, which waits for other tasks. If the calling thread runs a task,
/// another one may run meanwhile.
pub fn lend_slot<R>(wait: impl FnOnce() -> R) -> R {
    lend(innermost(), wait)
}

fn innermost() -> Option<Rc<dyn Lender>> {
    CURRENT.with_borrow(|current| current.last().cloned())
}

fn lend<R>(lender: Option<Rc<dyn Lender>>, wait: impl FnOnce() -> R) -> R {
    /// Takes the place again, also after a panic.
    struct Resume(Rc<dyn Lender>);
    impl Drop for Resume {
        fn drop(&mut self) {
            self.0.resume();
        }
    }
    let _resume = lender.filter(|lender| !lender.has_seceded().get()).map(|lender| {
        lender.suspend();
        Resume(lender)
    });
    wait()
}

/// Whether the calling thread runs a task.
#[must_use]
pub fn is_in_task() -> bool {
    innermost().is_some()
}

/// Which pool's task the calling thread runs; 0 in a child process.
#[must_use]
pub fn current_pool() -> Option<u64> {
    innermost().map(|lender| lender.pool())
}

/// Lends the slot of the task that the calling thread runs until the task ends,
/// or [`rejoin`] is called; whether it runs one.
pub fn secede() -> bool {
    let Some(lender) = innermost() else { return false };
    if !lender.has_seceded().replace(true) {
        lender.suspend();
    }
    true
}

/// Takes the slot again that [`secede`] lent; whether the calling thread runs a
/// task.
pub fn rejoin() -> bool {
    let Some(lender) = innermost() else { return false };
    task_ended(&*lender);
    true
}

/// A task has ended, and with it what it lent.
pub(crate) fn task_ended(lender: &dyn Lender) {
    if lender.has_seceded().replace(false) {
        lender.resume();
    }
}

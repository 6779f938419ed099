//! What runs graphs.
//!
//! There is one trait, and every way to run (this thread, a pool, child
//! processes, a cluster) implements it with the same scheduler behind it.
//! `compute` is submit, wait and drop; `persist` is submit and hold.

use crate::error::{Error, ErrorKind, Result};
use crate::events::Observer;
use crate::graph::Graph;
use crate::key::Key;
use crate::value::Value;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Runs graphs and holds results for as long as somebody has a [`Future`].
pub trait Executor: Send + Sync {
    /// The name by which users choose it: `threads`, `sync`.
    fn name(&self) -> &str;

    /// How many tasks run at once when there is enough work.
    fn n_slots(&self) -> usize;

    /// Bytes of results that it holds in memory before it spills, if it is of
    /// this process and has such a limit.
    fn memory_limit(&self) -> Option<u64> {
        None
    }

    /// Starts a graph; answers one future for each of its outputs, in order.
    ///
    /// # Errors
    /// If the graph cannot be accepted, for example because an op cannot
    /// travel. Errors of tasks arrive in the futures.
    fn submit(&self, graph: Graph) -> Result<Vec<Future>>;

    /// Runs a graph to the end and answers its outputs, keeping nothing.
    ///
    /// `interrupted` is asked several times a second while waiting; its error
    /// cancels the graph and is returned.
    ///
    /// # Errors
    /// The first error of a task that an output needs, or `interrupted`'s.
    fn compute(&self, graph: Graph, interrupted: &dyn Fn() -> Result<()>) -> Result<Vec<Value>> {
        let futures = self.submit(graph)?;
        futures.iter().map(|future| future.wait_interruptibly(interrupted)).collect()
    }

    /// Reports events to `observer` until the guard is dropped.
    fn watch(&self, observer: Arc<dyn Observer>) -> WatchGuard;
}

/// How far a future is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Waiting or running.
    Pending,
    /// The result is there.
    Finished,
    /// It failed; [`Future::result`] tells why.
    Failed,
    /// Somebody cancelled it.
    Cancelled,
    /// The executor that held it is gone.
    Lost,
}

/// What an executor provides for each future it hands out. Dropping it tells
/// the executor that its holder wants the result no more.
pub trait FutureHandle: Send + Sync {
    /// The name of the value.
    fn key(&self) -> Key;

    /// How far it is.
    fn status(&self) -> Status;

    /// Waits until it is no longer pending; whether it is not.
    fn wait(&self, timeout: Option<Duration>) -> bool;

    /// The result once it is no longer pending.
    ///
    /// # Errors
    /// The task's error, or that it was cancelled or lost.
    fn result(&self) -> Result<Value>;

    /// Calls `callback` once it is no longer pending, at once if it is not. The
    /// callback may run on any thread and must be short.
    fn on_done(&self, callback: Box<dyn FnOnce() + Send>);

    /// Stops it for all holders; a task that runs already is abandoned.
    fn cancel(&self);

    /// What it waits for, in words, if the executor knows. May ask a scheduler, so
    /// only for who has waited already.
    fn explain(&self) -> Option<String> {
        None
    }
}

/// A result that is being computed, or is held, by an executor.
#[derive(Clone)]
pub struct Future(Arc<dyn FutureHandle>);

/// Between two questions whether the user pressed Ctrl-C.
const INTERRUPT_POLL: Duration = Duration::from_millis(50);

impl Future {
    /// Wraps an executor's own handle.
    pub fn new(handle: impl FutureHandle + 'static) -> Self {
        Future(Arc::new(handle))
    }

    /// The executor's handle.
    #[must_use]
    pub fn handle(&self) -> &dyn FutureHandle {
        &*self.0
    }

    /// The name of the value.
    #[must_use]
    pub fn key(&self) -> Key {
        self.0.key()
    }

    /// How far it is.
    #[must_use]
    pub fn status(&self) -> Status {
        self.0.status()
    }

    /// Waits for the result.
    ///
    /// # Errors
    /// The task's error, or [`ErrorKind::Timeout`] after `timeout`.
    pub fn result(&self, timeout: Option<Duration>) -> Result<Value> {
        if self.0.wait(timeout) {
            return self.0.result();
        }
        Err(self.timed_out(timeout.unwrap_or_default()))
    }

    /// The error for a result that was not there in time, which tells what it waits
    /// for.
    #[must_use]
    pub fn timed_out(&self, waited: Duration) -> Error {
        let error = Error::new(ErrorKind::Timeout, format!("the result was not there after {waited:?}"));
        match self.0.explain() {
            Some(reason) => error.within(reason),
            None => error,
        }
    }

    /// Waits for the result, asking `interrupted` several times a second.
    ///
    /// # Errors
    /// The task's error or `interrupted`'s.
    pub fn wait_interruptibly(&self, interrupted: &dyn Fn() -> Result<()>) -> Result<Value> {
        while !self.0.wait(Some(INTERRUPT_POLL)) {
            interrupted()?;
        }
        self.0.result()
    }

    /// Calls `callback` once it is no longer pending.
    pub fn on_done(&self, callback: impl FnOnce() + Send + 'static) {
        self.0.on_done(Box::new(callback));
    }

    /// Stops it for all holders.
    pub fn cancel(&self) {
        self.0.cancel();
    }
}

impl fmt::Debug for Future {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Future({:?}, {:?})", self.key(), self.status())
    }
}

/// Ends a watch when dropped.
pub struct WatchGuard(Option<Box<dyn FnOnce() + Send>>);

impl WatchGuard {
    /// A guard that calls `end` when dropped.
    pub fn new(end: impl FnOnce() + Send + 'static) -> Self {
        WatchGuard(Some(Box::new(end)))
    }
}

impl Drop for WatchGuard {
    fn drop(&mut self) {
        if let Some(end) = self.0.take() {
            end();
        }
    }
}

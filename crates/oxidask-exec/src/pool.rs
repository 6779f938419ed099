//! Threads that run a [`Node`]'s tasks, and the one lock around it.

use crate::child::ChildCommand;
use crate::node::{Assignment, Node, Peers, Uplink};
use crate::observe::Observers;
use oxidask_core::{Key, Result, Value};
use oxidask_sched::{FetchFrom, Nanos, Piece, TaskId, WorkerConfig};
use std::path::PathBuf;
use std::sync::Arc;

/// How a pool is set up.
pub struct PoolOptions {
    /// Threads that run tasks; 0 if callers run them by [`Pool::run_until`].
    pub n_threads: usize,
    /// Settings of the worker core.
    pub worker: WorkerConfig,
    /// Folder in which a folder of spill files is made when first needed; the
    /// system's folder for temporary files if none.
    pub spill_dir: Option<PathBuf>,
    /// How to start the children that run user code; without it user code runs
    /// on the threads.
    pub child: Option<ChildCommand>,
    /// Who is told of finished tasks.
    pub observers: Arc<Observers>,
}

/// A node with its threads, its I/O thread and its children. Clones share them.
pub struct Pool<U: Uplink> {
    uplink: std::marker::PhantomData<U>,
}

impl<U: Uplink> Pool<U> {
    /// Starts the threads. Children start when the first task needs them.
    pub fn start(options: PoolOptions, uplink: U, peers: Option<Arc<dyn Peers>>) -> Result<Self> {
        todo!()
    }

    /// Steady time since the pool started.
    pub fn now(&self) -> Nanos {
        todo!()
    }

    /// Calls `act` under the lock, then carries out what follows from it. `act`
    /// must be short.
    pub fn with<R>(&self, act: impl FnOnce(Nanos, &mut Node, &mut U) -> R) -> R {
        todo!()
    }

    /// Takes orders of the scheduler.
    pub fn deliver(&self, orders: Vec<Assignment>) {
        todo!()
    }

    /// Puts a value that a client brought under a task's number.
    pub fn put(&self, task: TaskId, key: Key, value: Value) {
        todo!()
    }

    /// A fetched piece arrived, or did not.
    pub fn fetched(&self, fetch: FetchFrom, value: Result<Value>) {
        todo!()
    }

    /// Reads a piece for a client or peer; see [`Node::read`].
    pub fn read(&self, piece: Piece, key: Key, done: impl FnOnce(Result<Value>) + Send + 'static) {
        todo!()
    }

    /// Stops threads, ends children, deletes spill files. Running tasks are
    /// abandoned: their threads end when they return.
    pub fn close(&self) {
        todo!()
    }
}

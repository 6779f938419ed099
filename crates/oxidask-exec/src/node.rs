//! The worker's side: the worker core, the values it decides about, and what
//! its tasks run.
//!
//! A [`Node`] does no I/O of its own. It turns orders, results and arrivals into
//! events of the core and keeps what the core answers for the [`crate::Pool`] to
//! carry out: runnables for its threads, reads and writes for its I/O thread,
//! fetches for [`Peers`], reports for the [`Uplink`].

use crate::work::Work;
use oxidask_core::{Error, Key, Result, Value};
use oxidask_sched::{FetchFrom, Nanos, Order, Piece, Report, TaskId};
use std::sync::Arc;

/// An order and, for [`Order::Compute`], what to run.
pub struct Assignment {
    /// The order.
    pub order: Order,
    /// What it runs.
    pub job: Option<NodeJob>,
    /// For [`Order::Copy`], the key of what is copied.
    pub copy_key: Option<Key>,
}

/// What a task runs, as its worker knows it.
pub struct NodeJob {
    /// The name of the value.
    pub key: Key,
    /// The op.
    pub work: Arc<Work>,
    /// Which block.
    pub block: u32,
    /// The graph it belongs to, for observers.
    pub graph: u64,
    /// The name its user chose.
    pub name: Option<Arc<str>>,
    /// Keys of the pieces in [`oxidask_sched::Compute::fetch`], in order. A
    /// peer checks them, because task numbers are used again.
    pub fetch_keys: Vec<Key>,
}

/// What a node tells the scheduler.
#[derive(Debug)]
pub struct NodeReport {
    /// The report.
    pub report: Report,
    /// The error, for [`Report::Failed`].
    pub error: Option<Error>,
    /// The result, for [`Report::Done`]: an uplink may send a small one along,
    /// which saves its reader the way to this node.
    pub value: Option<Value>,
}

/// The way to the scheduler. It lies beside the [`Node`] under the pool's lock,
/// so it must neither block nor take locks that are held while calling the pool.
pub trait Uplink: Send + Sized + 'static {
    /// Carries `node.take_reports()` away. A scheduler in the same process gives
    /// its orders to `node` at once, until there is nothing more to say; a socket
    /// puts the reports into its queue and delivers orders later by
    /// [`crate::Pool::deliver`].
    fn exchange(&mut self, now: Nanos, node: &mut Node);
}

/// Other holders of values.
pub trait Peers: Send + Sync + 'static {
    /// Starts to fetch a piece; later calls [`crate::Pool::fetched`]. Called
    /// without the pool's lock; must not block.
    fn fetch(&self, fetch: FetchFrom, key: Key);
}

/// The worker core with values and jobs. See the module's head.
pub struct Node {
    reports: Vec<NodeReport>,
}

impl Node {
    /// Takes an order of the scheduler.
    pub fn order(&mut self, now: Nanos, assignment: Assignment) {
        todo!()
    }

    /// Puts a value that a client brought under a task's number.
    pub fn put(&mut self, now: Nanos, task: TaskId, key: Key, value: Value) {
        todo!()
    }

    /// A fetched piece arrived, or did not.
    pub fn fetched(&mut self, now: Nanos, fetch: FetchFrom, value: Result<Value>) {
        todo!()
    }

    /// Reads a piece for a client or peer, loading it from disk if need be.
    /// `done` is called once, without the pool's lock and maybe at once. `key`
    /// must be that of the task. The value may be [`crate::Encoded`].
    pub fn read(&mut self, now: Nanos, piece: Piece, key: Key, done: Box<dyn FnOnce(Result<Value>) + Send>) {
        todo!()
    }

    /// What to tell the scheduler.
    pub fn take_reports(&mut self) -> Vec<NodeReport> {
        todo!()
    }
}

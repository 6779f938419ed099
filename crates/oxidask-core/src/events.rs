//! What observers see of a run.
//!
//! Progress bars, profiles and dashboards read these events and nothing else;
//! no component keeps a private log. Events come in batches, and none are made
//! while nobody watches.

use crate::error::Error;
use crate::key::Key;
use std::sync::Arc;

/// The number of a graph within its executor.
pub type GraphId = u64;

/// A task that ran.
#[derive(Clone, Debug)]
pub struct TaskFinished {
    /// The graph it belongs to.
    pub graph: GraphId,
    /// The name of its value.
    pub key: Key,
    /// What users read: `sum`, `inc`.
    pub label: Arc<str>,
    /// Which worker ran it; 0 where there is only one.
    pub worker: u32,
    /// Which of the worker's threads.
    pub thread: u32,
    /// When it began, in nanoseconds of the executor's clock.
    pub start_ns: u64,
    /// When it ended, in nanoseconds of the executor's clock.
    pub stop_ns: u64,
    /// Size of the result.
    pub nbytes: u64,
    /// Whether it succeeded.
    pub ok: bool,
}

/// Receives the events of an executor. Calls come from the executor's threads,
/// one at a time, and hold up nothing but other observers' calls; they should
/// still be short.
pub trait Observer: Send + Sync {
    /// A graph begins: how many tasks of each label it will run.
    fn graph_started(&self, graph: GraphId, tasks: &[(Arc<str>, u64)]) {
        let _ = (graph, tasks);
    }

    /// Tasks ended.
    fn tasks_finished(&self, tasks: &[TaskFinished]) {
        let _ = tasks;
    }

    /// A graph ended: all its outputs are there, or one failed.
    fn graph_finished(&self, graph: GraphId, error: Option<&Error>) {
        let _ = (graph, error);
    }
}

//! What became of attempts that did not end well: where, when and why.
//!
//! Kept for as long as the task is, so that whoever asks about a failed or slow
//! task is told its story. Attempts that ended well are not kept.

use hashbrown::HashMap;
use oxidask_core::Error;
use oxidask_sched::{Attempt, Loss, Nanos, TaskId, WorkerId};
use std::fmt;
use std::sync::Arc;

/// Attempts kept of one task; later ones push out the first.
const KEPT: usize = 16;

/// An attempt that did not end well.
#[derive(Clone, Debug)]
pub struct AttemptEnd {
    /// The order.
    pub attempt: Attempt,
    /// The worker that had it.
    pub worker: WorkerId,
    /// What users call that worker.
    pub worker_name: Arc<str>,
    /// When it ended, by the driver's clock in nanoseconds.
    pub ended_ns: Nanos,
    /// What happened: the error, with the signal and the memory of its process
    /// where that died, or how the worker was lost.
    pub what: String,
}

impl fmt::Display for AttemptEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.ended_ns as f64 / 1e9;
        write!(f, "attempt {} on worker '{}', until {seconds:.3} s: {}", self.attempt.0, self.worker_name, self.what)
    }
}

/// The attempts of live tasks.
#[derive(Default)]
pub(super) struct Attempts(HashMap<TaskId, Vec<AttemptEnd>>);

impl Attempts {
    pub fn add(&mut self, task: TaskId, end: AttemptEnd) {
        let ends = self.0.entry(task).or_default();
        if ends.len() == KEPT {
            ends.remove(0);
        }
        ends.push(end);
    }

    pub fn of(&self, task: TaskId) -> &[AttemptEnd] {
        self.0.get(&task).map_or(&[], Vec::as_slice)
    }

    pub fn forget(&mut self, task: TaskId) {
        if !self.0.is_empty() {
            self.0.remove(&task);
        }
    }
}

/// How a worker was lost, as part of a sentence.
pub(super) fn loss_text(cause: Loss) -> &'static str {
    match cause {
        Loss::Planned => "the worker was closed",
        Loss::Unreachable => "the worker could not be reached any more",
        Loss::OutOfMemory => "the worker was killed for its memory",
        Loss::Crashed => "the worker's own process died",
    }
}

/// The first line of an error.
pub(super) fn error_text(error: Option<&Error>) -> String {
    error.map_or_else(
        || "it failed without a word".to_owned(),
        |error| error.message().lines().next().unwrap_or("").to_owned(),
    )
}

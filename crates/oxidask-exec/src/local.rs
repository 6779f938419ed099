//! The executors of one process: `sync`, `threads`, `processes`.

use crate::child::ChildCommand;
use oxidask_core::{Future, Key, Result, Value};
use std::path::PathBuf;

/// Where tasks run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LocalKind {
    /// On the thread that asks, when it asks.
    Sync,
    /// On a pool of threads.
    Threads,
    /// User code in child processes, everything else on a pool of threads.
    Processes,
}

/// How a [`Local`] is set up; `None` takes the setting or its default.
#[derive(Clone, Debug)]
pub struct LocalOptions {
    /// Where tasks run.
    pub kind: LocalKind,
    /// Tasks at once: `num-workers`, by default all cores. Always 1 for `Sync`.
    pub n_workers: Option<usize>,
    /// Bytes of results held in memory: `memory-limit`, by default 60 % of the
    /// memory of the machine or of its control group.
    pub memory_limit: Option<u64>,
    /// Folder for spilled results: `temporary-directory`.
    pub spill_dir: Option<PathBuf>,
    /// How to start a child; needed for `Processes`.
    pub child: Option<ChildCommand>,
}

/// An executor within one process. Clones share it; the last one closes it.
#[derive(Clone)]
pub struct Local {}

impl Local {
    /// Starts an executor.
    ///
    /// # Errors
    /// If a setting makes no sense, or `Processes` lacks a child command.
    pub fn new(options: LocalOptions) -> Result<Self> {
        todo!()
    }

    /// Holds values under keys made from their content's identity; answers a
    /// future for each.
    pub fn scatter(&self, values: Vec<(Key, Value)>) -> Result<Vec<Future>> {
        todo!()
    }

    /// Why the value with this key is not there yet, in words.
    pub fn explain(&self, key: Key) -> String {
        todo!()
    }

    /// Stops threads, ends children and deletes spill files; pending futures
    /// are lost. Later use answers an error.
    pub fn close(&self) {
        todo!()
    }
}

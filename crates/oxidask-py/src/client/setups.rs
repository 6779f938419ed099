//! Plugins and uploaded files, in every process that runs tasks of a worker.
//!
//! What clients register is in a file of the worker's folder that only grows, and
//! each process takes in what it has not yet seen before it runs a batch of tasks:
//! so processes that start later know it, too. Here is only the cheap part, the
//! look whether there is anything new: one question to the system a batch. What
//! is new is taken in by `oxidask.distributed._setups`.

use super::profiler;
use hashbrown::HashMap;
use oxidask_cluster::agent::Membership;
use parking_lot::Mutex;
use pyo3::intern;
use pyo3::prelude::*;
use std::cell::RefCell;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};

/// How much of the file of each worker this process has taken in.
static SEEN: LazyLock<Mutex<HashMap<PathBuf, u64>>> = LazyLock::new(Mutex::default);

thread_local! {
    /// The worker whose tasks this thread ran last, and its file.
    static LAST: RefCell<Option<(Arc<Membership>, PathBuf)>> = const { RefCell::new(None) };
}

/// Takes in what clients have registered on the worker whose task this thread is
/// about to run.
pub fn catch_up(py: Python<'_>) {
    let Some(worker) = Membership::current() else { return };
    let known = LAST.with_borrow(|last| match last {
        Some((known, path)) if Arc::ptr_eq(known, &worker) => Some(path.clone()),
        _ => None,
    });
    let path = known.unwrap_or_else(|| {
        let name = format!("setups-{}-{}", worker.name, worker.incarnation);
        let path = PathBuf::from(&worker.local_directory).join(name);
        LAST.set(Some((worker.clone(), path.clone())));
        profiler::enter(py, &worker.address);
        path
    });
    profiler::tasks_begin();
    let size = std::fs::metadata(&path).map_or(0, |data| data.len());
    let seen = SEEN.lock().get(&path).copied();
    if seen.is_some_and(|seen| size <= seen) {
        return;
    }
    // The first process of a worker makes the file from what the scheduler knows.
    // If that fails there is a cluster that ends, and tasks must not wait for it.
    let taken = py
        .import(intern!(py, "oxidask.distributed._setups"))
        .and_then(|module| module.call_method1(intern!(py, "catch_up"), (&path,)))
        .and_then(|taken| taken.extract::<u64>());
    let taken = taken.unwrap_or_else(|error| {
        error.write_unraisable(py, None);
        size
    });
    SEEN.lock().insert(path, taken);
}

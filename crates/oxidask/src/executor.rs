//! Where lazy work runs.
//!
//! Work runs on the *current* executor: the one of the innermost
//! [`with_executor`], else the one given to [`set_default`], else the threads
//! of this process, which start when first needed.
//!
//! ```
//! use oxidask::prelude::*;
//! use std::sync::Arc;
//!
//! #[oxidask::task]
//! fn inc(x: i64) -> i64 { x + 1 }
//!
//! let one_thread = Arc::new(oxidask::sync()?);
//! let two = oxidask::executor::with_executor(one_thread, || inc::delay(1).compute())?;
//! assert_eq!(two, 2);
//! # Ok::<(), oxidask::Error>(())
//! ```

use oxidask_cluster::{LocalCluster, LocalClusterOptions, ProcessCommand, this_program_as_child};
use oxidask_core::{Executor, Result};
use oxidask_exec::{Local, LocalKind, LocalOptions};
use std::cell::RefCell;
use std::sync::{Arc, Mutex, PoisonError};

/// An executor that several owners share.
pub type SharedExecutor = Arc<dyn Executor>;

static DEFAULT: Mutex<Option<SharedExecutor>> = Mutex::new(None);

thread_local! {
    static CHOSEN: RefCell<Vec<SharedExecutor>> = const { RefCell::new(Vec::new()) };
}

/// The executor on which work of this thread runs.
///
/// # Errors
/// If the default executor cannot start.
pub fn current() -> Result<SharedExecutor> {
    if let Some(executor) = CHOSEN.with_borrow(|chosen| chosen.last().cloned()) {
        return Ok(executor);
    }
    let mut default = DEFAULT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(executor) = &*default {
        return Ok(executor.clone());
    }
    let executor: SharedExecutor = Arc::new(threads()?);
    *default = Some(executor.clone());
    Ok(executor)
}

/// Chooses the executor for all threads that chose none of their own; `None`
/// goes back to the threads of this process.
pub fn set_default(executor: Option<SharedExecutor>) {
    let previous = std::mem::replace(&mut *DEFAULT.lock().unwrap_or_else(PoisonError::into_inner), executor);
    // Closing an executor may take a while, so the lock is free by then.
    drop(previous);
}

/// Runs `work` with `executor` as the current one of this thread.
pub fn with_executor<R>(executor: SharedExecutor, work: impl FnOnce() -> R) -> R {
    struct Chosen;
    impl Drop for Chosen {
        fn drop(&mut self) {
            CHOSEN.with_borrow_mut(Vec::pop);
        }
    }
    CHOSEN.with_borrow_mut(|chosen| chosen.push(executor));
    let _chosen = Chosen;
    work()
}

/// An executor that runs everything on the thread that asks, when it asks: for
/// debugging.
///
/// # Errors
/// If a setting makes no sense.
pub fn sync() -> Result<Local> {
    Local::new(LocalOptions::new(LocalKind::Sync))
}

/// An executor with a thread for each core (setting `num-workers`).
///
/// # Errors
/// If a setting makes no sense, or threads cannot be started.
pub fn threads() -> Result<Local> {
    Local::new(LocalOptions::new(LocalKind::Threads))
}

/// An executor that runs `#[task]` functions in child processes, which are this
/// program again, and everything else on threads. `main` must begin with
/// [`crate::init`].
///
/// # Errors
/// If a setting makes no sense, or the program's own path is unknown.
pub fn processes() -> Result<Local> {
    Local::new(LocalOptions { child: Some(this_program_as_child()?), ..LocalOptions::new(LocalKind::Processes) })
}

/// A cluster of `n_workers` processes on this machine, which are this program
/// again; [`LocalCluster::client`] runs work on it. `main` must begin with
/// [`crate::init`].
///
/// # Errors
/// If the processes do not start.
pub fn local_cluster(n_workers: usize) -> Result<LocalCluster> {
    LocalCluster::start(LocalClusterOptions {
        child: Some(this_program_as_child()?),
        ..LocalClusterOptions::new(n_workers, ProcessCommand::this_program()?)
    })
}

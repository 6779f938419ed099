//! A Rust program that serves as its own worker.
//!
//! Operations are registered in the program that defines them, so its workers
//! must be the same program. [`init`] at the top of `main` turns a process that
//! was started as a worker or child into one; everywhere else it does nothing.

use crate::deploy::ProcessCommand;
use crate::serve_agent;
use oxidask_core::{Error, Result};
use oxidask_exec::{ChildCommand, serve_child};
use std::ffi::OsString;

/// The variable that says what a process was started as.
const ROLE: &str = "OXIDASK_INTERNAL_ROLE";
const WORKER: &str = "worker";
const CHILD: &str = "child";

/// Serves as worker or child, and then exits, if this process was started as
/// one. To be called first in `main`, before threads are started or arguments
/// are read.
///
/// # Examples
/// ```
/// // Does nothing here, because nobody started this example as a worker.
/// oxidask_cluster::init();
/// ```
pub fn init() {
    let role = std::env::var(ROLE).unwrap_or_default();
    let served = match role.as_str() {
        WORKER => serve_agent(),
        CHILD => serve_child(),
        _ => return,
    };
    if let Err(error) = served {
        eprintln!("{error}");
        std::process::exit(1);
    }
    std::process::exit(0);
}

fn program() -> Result<OsString> {
    let program = std::env::current_exe().map_err(|cause| Error::io("finding this program's file", &cause))?;
    Ok(program.into_os_string())
}

impl ProcessCommand {
    /// This program as a worker; its `main` must begin with [`init`].
    ///
    /// # Errors
    /// If the system does not say where the program's file is.
    pub fn this_program() -> Result<Self> {
        Ok(ProcessCommand { program: program()?, args: Vec::new(), env: vec![(ROLE.into(), WORKER.into())] })
    }
}

/// This program as a child for user code; its `main` must begin with [`init`].
///
/// # Errors
/// If the system does not say where the program's file is.
pub fn this_program_as_child() -> Result<ChildCommand> {
    Ok(ChildCommand { program: program()?, args: Vec::new(), env: vec![(ROLE.into(), CHILD.into())] })
}

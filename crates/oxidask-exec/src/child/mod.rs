//! Child processes that run user code.

use oxidask_core::Result;
use std::ffi::OsString;

/// How to start a child. The program must soon call [`serve_child`].
#[derive(Clone, Debug)]
pub struct ChildCommand {
    /// The program.
    pub program: OsString,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Variables added to this process's environment.
    pub env: Vec<(OsString, OsString)>,
}

/// The main loop of a child: runs tasks that the parent sends over the socket
/// that is its standard input, until the parent closes it or dies. Standard
/// input reads as empty afterwards.
///
/// # Errors
/// If standard input is not such a socket, or the parent speaks another version.
pub fn serve_child() -> Result<()> {
    todo!()
}

#[derive(Default)]
pub(crate) struct ChildSlot {}

impl ChildSlot {
    pub(crate) fn run(
        &mut self,
        _command: &ChildCommand,
        batch: Vec<crate::node::Runnable>,
        now: &dyn Fn() -> u64,
        complete: &mut dyn FnMut(crate::node::Completion),
    ) {
        for runnable in batch {
            complete(crate::pool::batch::run(runnable, now(), now));
        }
    }
}

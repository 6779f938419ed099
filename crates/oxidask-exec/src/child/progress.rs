//! Which task a child runs, written where the parent can read it when the child
//! is dead: in a memory file that both have open. In it the parent also marks
//! tasks of the batch that nobody wants any more.
//!
//! The child writes what it runs, then looks for the mark; the parent marks, then
//! looks what runs. So one of them sees the other, and no unwanted task is run to
//! its end.

use oxidask_core::{Error, Result};
use rustix::fs::{MemfdFlags, memfd_create};
use std::fs::File;
use std::os::unix::fs::FileExt;

/// Written while no task runs.
const IDLE: u64 = u64::MAX;
/// Where the marks begin, a byte for each task of the batch.
const MARKS_AT: u64 = 8;
/// Most tasks of a batch.
pub(super) const MAX_BATCH: usize = 256;

/// The number of the task, and the marks.
pub(super) struct Progress(File);

impl Progress {
    /// A new one that says that no task runs.
    ///
    /// # Errors
    /// If the system has no memory for it.
    pub fn new() -> Result<Self> {
        let make = || -> std::io::Result<Progress> {
            let progress = Progress(File::from(memfd_create("oxidask-progress", MemfdFlags::CLOEXEC)?));
            progress.0.write_all_at(&IDLE.to_le_bytes(), 0)?;
            progress.0.write_all_at(&[0; MAX_BATCH], MARKS_AT)?;
            Ok(progress)
        };
        make().map_err(|cause| Error::io("preparing a child process", &cause))
    }

    /// The child's end, from the descriptor that the parent passed.
    pub fn from_file(file: File) -> Self {
        Progress(file)
    }

    /// The file, to pass it to the child.
    pub fn file(&self) -> &File {
        &self.0
    }

    /// The child is about to run this task of its batch.
    pub fn set_running(&self, task: usize) {
        // Without it a death of this child is blamed on nobody, which is no
        // reason to fail.
        let _ = self.0.write_all_at(&(task as u64).to_le_bytes(), 0);
    }

    /// No task runs.
    pub fn set_idle(&self) {
        let _ = self.0.write_all_at(&IDLE.to_le_bytes(), 0);
    }

    /// Nobody wants the result of this task of the batch.
    pub fn mark(&self, task: usize) {
        let _ = self.0.write_all_at(&[1], MARKS_AT + task as u64);
    }

    /// Whether nobody wants the result of this task of the batch.
    pub fn is_marked(&self, task: usize) -> bool {
        let mut mark = [0];
        self.0.read_exact_at(&mut mark, MARKS_AT + task as u64).is_ok() && mark[0] != 0
    }

    /// Another batch begins.
    pub fn unmark_all(&self) {
        let _ = self.0.write_all_at(&[0; MAX_BATCH], MARKS_AT);
    }

    /// The task of the batch that runs, or ran when the child died.
    pub fn running(&self) -> Option<usize> {
        let mut number = [0; 8];
        self.0.read_exact_at(&mut number, 0).ok()?;
        Some(u64::from_le_bytes(number)).filter(|&number| number != IDLE).map(|number| number as usize)
    }
}

//! Child processes that run user code.
//!
//! Each thread of a pool has a child of its own, started when its first task with
//! user code comes. Thread and child talk over a pair of sockets, the child's end
//! of which is its standard input; large buffers go through sealed shared memory.
//! A child that dies costs only the task that it ran: which one that was, it
//! wrote into memory that outlives it.
//!
//! Read in this order: `message`, `serve`, `process`, `segment`.

mod message;
mod process;
mod progress;
mod sample;
mod serve;

pub use sample::{Sample, Sampler, sample_here, set_sampler};
pub use serve::serve_child;

use crate::node::{Completion, Runnable, Unwanted};
use crate::pool::batch::not_run;
use oxidask_core::{Error, ErrorKind};
use oxidask_sched::{Attempt, Failure, Nanos, TaskId};
use parking_lot::Mutex;
use process::{Child, Died, Process};
use std::ffi::OsString;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

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

/// All children of a pool, to end them from another thread.
#[derive(Default)]
pub(crate) struct Children {
    running: Mutex<Vec<Arc<Process>>>,
    /// No child is started any more.
    is_closed: AtomicBool,
}

impl Children {
    /// Ends the child that runs this attempt: nobody wants its result, and the
    /// thread shall be free for others.
    pub fn abandon(&self, task: TaskId, attempt: Attempt) {
        for process in &*self.running.lock() {
            process.abandon(task, attempt);
        }
    }

    /// How much memory each child uses, in bytes.
    pub fn bytes(&self) -> Vec<(Arc<Process>, u64)> {
        let running = self.running.lock().clone();
        running.into_iter().filter_map(|process| process.bytes().map(|bytes| (process, bytes))).collect()
    }

    /// What each child answers to a question, asked one after another.
    pub fn samples(&self, question: &str, timeout: Duration) -> Vec<Sample> {
        let running = self.running.lock().clone();
        running.into_iter().map(|process| process.sample(question, timeout)).collect()
    }

    /// Ends all children, for good.
    pub fn close(&self) {
        self.is_closed.store(true, Ordering::SeqCst);
        for process in &*self.running.lock() {
            process.kill();
        }
    }
}

/// The thread that a child works for.
pub(crate) trait Host {
    /// Steady time.
    fn now(&self) -> Nanos;
    /// Takes tasks that have ended.
    fn complete(&self, completions: Vec<Completion>);
    /// Takes tasks back that have not begun, for other threads.
    fn give_back(&self, runnables: Vec<Runnable>);
    /// Whether the task that runs waits for others, and lends its slot.
    fn lend(&self, is_waiting: bool);
}

/// The child of one thread, if it has been started.
#[derive(Default)]
pub(crate) struct ChildSlot {
    child: Option<Child>,
}

impl ChildSlot {
    /// Has the child run these tasks; all of them are complete at the end.
    /// `host` gets them as they end. A child that dies is replaced, and what it had
    /// not begun goes to the next one.
    pub fn run(
        &mut self,
        command: &ChildCommand,
        children: &Children,
        batch: Vec<Runnable>,
        unwanted: &Unwanted,
        host: &dyn Host,
    ) {
        /// Deaths between two tasks, as by a user's `kill`, that are borne.
        const MAX_VAIN: usize = 3;
        let mut n_vain = 0;
        let mut pending: Vec<Option<Runnable>> = batch.into_iter().map(Some).collect();
        while pending.iter().any(Option::is_some) {
            let child = match &mut self.child {
                Some(child) => child,
                None if children.is_closed.load(Ordering::SeqCst) => {
                    let error = Error::new(ErrorKind::Lost, "the executor was closed");
                    host.complete(fail_all(&mut pending, host.now(), Failure::Fatal, &error));
                    return;
                }
                None => match Child::start(command) {
                    Ok(child) => {
                        children.running.lock().push(child.process.clone());
                        if children.is_closed.load(Ordering::SeqCst) {
                            // It came too late to be seen by `close`.
                            child.process.kill();
                        }
                        self.child.insert(child)
                    }
                    Err(error) => {
                        host.complete(fail_all(&mut pending, host.now(), Failure::Fatal, &error));
                        return;
                    }
                },
            };
            let Err(died) = child.run(&mut pending, unwanted, host) else { continue };
            self.end(children);
            match blame(&died, &mut pending, host.now()) {
                Some(completion) => host.complete(vec![completion]),
                None if died.abandoned.is_some() => {}
                None if n_vain < MAX_VAIN => n_vain += 1,
                None => {
                    host.complete(fail_all(&mut pending, host.now(), Failure::Crash, &(died.error)("for user code")))
                }
            }
            pending.retain(Option::is_some);
        }
    }

    /// Ends the child, if there is one.
    pub fn end(&mut self, children: &Children) {
        if let Some(child) = self.child.take() {
            children.running.lock().retain(|other| !Arc::ptr_eq(other, &child.process));
        }
    }
}

/// Takes the task out that a dead child ran, and says why it did not end. None
/// if that was no task's fault: the child died between two tasks, or was killed.
fn blame(died: &Died, pending: &mut [Option<Runnable>], now: Nanos) -> Option<Completion> {
    let slot = pending.get_mut(died.running?)?;
    let runnable = slot.as_ref()?;
    // A child that is killed because of one task may have begun the next.
    if died.abandoned.is_some_and(|abandoned| abandoned != (runnable.task, runnable.attempt)) {
        return None;
    }
    let runnable = slot.take()?;
    let error = (died.error)(&format!("that ran '{}'", runnable.job.display_name()));
    Some(not_run(runnable, now, Failure::Crash, error))
}

fn fail_all(pending: &mut Vec<Option<Runnable>>, now: Nanos, failure: Failure, error: &Error) -> Vec<Completion> {
    let failed = pending.drain(..).flatten();
    failed.map(|runnable| not_run(runnable, now, failure, error.clone())).collect()
}

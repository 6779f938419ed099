//! Futures of the executors of one process.

use super::Shared;
use super::link::{cancelled, closed};
use crate::encoded::decoded;
use oxidask_core::executor::FutureHandle;
use oxidask_core::{Error, ErrorKind, Key, Result, Status, Value};
use oxidask_sched::{ClientId, Piece, TaskId};
use parking_lot::{Condvar, Mutex};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

/// How far a claimed task is.
pub(super) enum End {
    Pending,
    Finished,
    Failed(Error),
    Cancelled,
    Lost,
}

/// A claim on the result of one task; dropping it releases the claim. It does
/// not keep the executor alive.
pub(super) struct Cell {
    executor: Weak<Shared>,
    client: ClientId,
    task: TaskId,
    key: Key,
    state: Mutex<CellState>,
    changed: Condvar,
}

struct CellState {
    end: End,
    callbacks: Vec<Box<dyn FnOnce() + Send>>,
}

impl Cell {
    pub fn new(executor: &Arc<Shared>, client: ClientId, task: TaskId, key: Key) -> Self {
        Cell {
            executor: Arc::downgrade(executor),
            client,
            task,
            key,
            state: Mutex::new(CellState { end: End::Pending, callbacks: Vec::new() }),
            changed: Condvar::new(),
        }
    }

    /// Takes news of the task. Must be called without the pool's lock.
    pub fn end(&self, end: End) {
        let mut state = self.state.lock();
        // Two threads may bring news in the wrong order; what is final stays.
        if matches!(state.end, End::Lost) {
            return;
        }
        state.end = end;
        if matches!(state.end, End::Pending) {
            return;
        }
        let callbacks = std::mem::take(&mut state.callbacks);
        drop(state);
        self.changed.notify_all();
        callbacks.into_iter().for_each(|callback| callback());
    }

    pub fn is_done(&self) -> bool {
        !matches!(self.state.lock().end, End::Pending)
    }

    fn wait(&self, timeout: Option<Duration>) -> bool {
        let mut state = self.state.lock();
        if timeout.is_some_and(|timeout| timeout.is_zero()) {
            return !matches!(state.end, End::Pending);
        }
        // A timeout beyond what the clock can say is none.
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        while matches!(state.end, End::Pending) {
            match deadline {
                None => self.changed.wait(&mut state),
                Some(deadline) => {
                    if self.changed.wait_until(&mut state, deadline).timed_out() {
                        return !matches!(state.end, End::Pending);
                    }
                }
            }
        }
        true
    }

    fn value(&self) -> Result<Value> {
        match &self.state.lock().end {
            End::Finished => {}
            End::Pending => return Err(Error::new(ErrorKind::Timeout, "the result is not there yet")),
            End::Failed(error) => return Err(error.clone()),
            End::Cancelled => return Err(cancelled()),
            End::Lost => return Err(closed()),
        }
        let executor = self.executor.upgrade().ok_or_else(closed)?;
        let (sender, receiver) = sync_channel(1);
        executor.pool.read(Piece::whole(self.task), self.key, move |value| {
            // Nobody listens any more if the caller was interrupted.
            let _ = sender.send(value);
        });
        let value = executor.pool.blocking(|| receiver.recv());
        decoded(value.unwrap_or_else(|_| Err(closed()))?)
    }
}

impl Drop for Cell {
    fn drop(&mut self) {
        if let Some(executor) = self.executor.upgrade() {
            executor.pool.with(|now, _, link| link.release(now, self.client, self.task));
        }
    }
}

/// What a [`oxidask_core::Future`] holds: a claim, and which part of the result
/// it stands for.
pub(super) struct Handle {
    cell: Arc<Cell>,
    part: Option<u32>,
}

impl Handle {
    pub fn new(cell: Arc<Cell>, part: Option<u32>) -> Self {
        Handle { cell, part }
    }
}

impl FutureHandle for Handle {
    fn key(&self) -> Key {
        self.cell.key
    }

    fn status(&self) -> Status {
        match self.cell.state.lock().end {
            End::Pending => Status::Pending,
            End::Finished => Status::Finished,
            End::Failed(_) => Status::Failed,
            End::Cancelled => Status::Cancelled,
            End::Lost => Status::Lost,
        }
    }

    fn wait(&self, timeout: Option<Duration>) -> bool {
        if self.cell.is_done() {
            return true;
        }
        match self.cell.executor.upgrade() {
            Some(executor) => executor.pool.blocking(|| self.cell.wait(timeout)),
            None => self.cell.wait(timeout),
        }
    }

    fn result(&self) -> Result<Value> {
        self.cell.value()?.part(self.part)
    }

    fn on_done(&self, callback: Box<dyn FnOnce() + Send>) {
        let mut state = self.cell.state.lock();
        if matches!(state.end, End::Pending) {
            state.callbacks.push(callback);
        } else {
            drop(state);
            callback();
        }
    }

    fn cancel(&self) {
        if let Some(executor) = self.cell.executor.upgrade() {
            executor.pool.with(|now, _, link| link.cancel(now, self.cell.task, self.cell.key));
        }
    }

    fn explain(&self) -> Option<String> {
        let executor = self.cell.executor.upgrade()?;
        Some(executor.pool.with(|_, _, link| link.explain(self.cell.key)))
    }
}

//! Futures of a client, and waiting for them.

use super::Inner;
use super::table::{Callback, State};
use crate::protocol::{Answer, FromClient, Question};
use oxidask_core::executor::FutureHandle;
use oxidask_core::{Error, ErrorKind, Key, Result, Status, Value};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Longest that a caller whose own time is up waits for the scheduler's reason.
const EXPLAIN_TIMEOUT: Duration = Duration::from_secs(1);

/// A result on a cluster; see [`oxidask_core::Future`].
pub struct ClientFuture {
    inner: Arc<Inner>,
    key: Key,
}

impl ClientFuture {
    /// A future for a key that was claimed for it.
    pub(super) fn new(inner: Arc<Inner>, key: Key) -> Self {
        ClientFuture { inner, key }
    }
}

impl Drop for ClientFuture {
    fn drop(&mut self) {
        let dropped = self.inner.table.lock().unclaim(self.key);
        if dropped.is_some() {
            self.inner.releasing.notify_one();
        }
        // What it held is dropped here, without the lock.
        drop(dropped);
    }
}

impl FutureHandle for ClientFuture {
    fn key(&self) -> Key {
        self.key
    }

    fn status(&self) -> Status {
        let table = self.inner.table.lock();
        match table.entries.get(&self.key) {
            Some(entry) if table.closed.is_some() && matches!(entry.state, State::Pending) => Status::Lost,
            Some(entry) => entry.status(),
            None => Status::Lost,
        }
    }

    fn wait(&self, timeout: Option<Duration>) -> bool {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut table = self.inner.table.lock();
        let mut waiting = self.inner.changed.waiting();
        let mut is_late = false;
        loop {
            let is_pending = table.entries.get(&self.key).is_some_and(|entry| matches!(entry.state, State::Pending));
            if !is_pending || table.closed.is_some() {
                return true;
            }
            if is_late {
                return false;
            }
            is_late = waiting.wait_until(&mut table, deadline);
        }
    }

    fn result(&self) -> Result<Value> {
        let mut values = self.inner.gather(&[self.key], &|| Ok(()))?;
        values.pop().ok_or_else(|| Error::new(ErrorKind::Lost, "the result is gone"))
    }

    fn on_done(&self, callback: Callback) {
        let mut table = self.inner.table.lock();
        let is_closed = table.closed.is_some();
        if let Some(entry) = table.entries.get_mut(&self.key)
            && matches!(entry.state, State::Pending)
            && !is_closed
        {
            entry.callbacks.push(callback);
            return;
        }
        drop(table);
        callback();
    }

    fn cancel(&self) {
        self.inner.cancel(&[self.key], false);
    }

    fn explain(&self) -> Option<String> {
        match self.inner.ask(Question::Explain(self.key), EXPLAIN_TIMEOUT) {
            Ok(Answer::Text(reason)) => Some(reason),
            _ => None,
        }
    }
}

impl Inner {
    /// Stops tasks that no other client wants, or with `force` also those; futures
    /// of this client are cancelled at once.
    pub(super) fn cancel(&self, keys: &[Key], force: bool) {
        let mut due = Vec::new();
        {
            let mut table = self.table.lock();
            for key in keys {
                if let Some(entry) = table.entries.get_mut(key)
                    && !matches!(entry.state, State::Failed(_))
                {
                    due.push(entry.set(State::Cancelled));
                }
            }
        }
        self.changed.tell();
        self.say(FromClient::Cancel { keys: keys.to_vec(), force });
        for (_, callbacks) in due {
            for callback in callbacks {
                callback();
            }
        }
    }

    /// Runs failed tasks again; their futures are pending at once.
    pub(super) fn retry(&self, keys: &[Key]) -> Result<()> {
        let seq = {
            let mut table = self.table.lock();
            if let Some(error) = &table.closed {
                return Err(error.clone());
            }
            table.seq += 1;
            let seq = table.seq;
            for key in keys {
                if let Some(entry) = table.entries.get_mut(key)
                    && matches!(entry.state, State::Failed(_) | State::Cancelled)
                {
                    entry.state = State::Pending;
                    // What the scheduler said before is about the failure.
                    entry.first_seq = seq;
                }
            }
            seq
        };
        self.say(FromClient::Retry { seq, keys: keys.to_vec() });
        Ok(())
    }
}

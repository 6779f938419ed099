//! Waiting for many results and reading them from their holders.

use super::table::{Place, State};
use super::{Client, INTERRUPT_POLL, Inner, distinct};
use crate::protocol::{FromClient, with_decoded_payload};
use hashbrown::HashMap;
use oxidask_core::{Error, ErrorKind, Key, Result, Value};
use oxidask_exec::decoded;
use oxidask_sched::{Piece, TaskId};
use parking_lot::{Condvar, Mutex, MutexGuard};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often a result is looked for at a holder that the scheduler insists on.
const ATTEMPTS_MAX: u32 = 20;

/// Reads that are under way.
#[derive(Default)]
struct Reads {
    state: Mutex<ReadsState>,
    changed: Condvar,
}

#[derive(Default)]
struct ReadsState {
    arrived: Vec<(Key, Result<Value>)>,
    n_pending: usize,
}

impl Client {
    /// Waits for results and reads them, in the order of `keys`, which must have
    /// futures. `interrupted` is asked several times a second.
    ///
    /// # Errors
    /// The first error of a task among them, or `interrupted`'s.
    pub fn gather(&self, keys: &[Key], interrupted: &dyn Fn() -> Result<()>) -> Result<Vec<Value>> {
        self.inner().gather(keys, interrupted)
    }

    /// The result of a key that has a future, if it is in this process already; it may
    /// be encoded still.
    #[must_use]
    pub fn peek(&self, key: Key) -> Option<Value> {
        match &self.inner().table.lock().entries.get(&key)?.state {
            State::Done(Place { value, .. }) => value.clone(),
            _ => None,
        }
    }

    /// Waits until none of `keys` is pending (or, with `first`, until one is
    /// not); whether that is so in time.
    ///
    /// # Errors
    /// `interrupted`'s.
    pub fn wait(
        &self,
        keys: &[Key],
        first: bool,
        timeout: Option<Duration>,
        interrupted: &dyn Fn() -> Result<()>,
    ) -> Result<bool> {
        let deadline = timeout.map(|timeout| Instant::now() + timeout);
        let inner = self.inner();
        let mut table = inner.table.lock();
        let is_pending = |table: &super::Table, key: &Key| {
            table.closed.is_none() && table.entries.get(key).is_some_and(|entry| matches!(entry.state, State::Pending))
        };
        let mut pending: Vec<Key> = keys.iter().copied().filter(|key| is_pending(&table, key)).collect();
        if first && pending.len() < keys.len() {
            return Ok(true);
        }
        let mut waiting = inner.changed.waiting();
        loop {
            // News come with every packet, so not all of many keys are looked at each
            // time: whoever waits for all of them waits for one after another.
            if first {
                if !pending.iter().all(|key| is_pending(&table, key)) {
                    return Ok(true);
                }
            } else {
                while pending.pop_if(|key| !is_pending(&table, key)).is_some() {}
            }
            if pending.is_empty() {
                return Ok(true);
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return Ok(false);
            }
            let poll = Instant::now() + INTERRUPT_POLL;
            let until = deadline.map_or(poll, |deadline| deadline.min(poll));
            if waiting.wait_until(&mut table, Some(until)) {
                MutexGuard::unlocked(&mut table, interrupted)?;
            }
        }
    }
}

impl Inner {
    pub(super) fn gather(&self, keys: &[Key], interrupted: &dyn Fn() -> Result<()>) -> Result<Vec<Value>> {
        let mut values: HashMap<Key, Value> = HashMap::with_capacity(keys.len());
        let mut missing: Vec<Key> = distinct(keys).into_iter().collect();
        // Reported in the order in which they were asked for.
        let first_error = |inner: &Inner| inner.first_error(keys);
        let mut attempts: HashMap<Key, u32> = HashMap::new();
        while !missing.is_empty() {
            let places = self.wait_for_places(&missing, interrupted, &first_error)?;
            let reads = Arc::new(Reads::default());
            let mut asked: HashMap<Key, Place> = HashMap::new();
            for (key, place) in places {
                match place.value {
                    Some(value) => {
                        values.insert(key, decoded(value)?);
                    }
                    None => {
                        self.read(&reads, key, &place);
                        asked.insert(key, place);
                    }
                }
            }
            missing.clear();
            for (key, value) in reads.wait(interrupted)? {
                match value {
                    Ok(value) => {
                        values.insert(key, decoded(value)?);
                    }
                    Err(error) => {
                        let attempts = attempts.entry(key).or_insert(0);
                        *attempts += 1;
                        // A value that cannot travel stays so wherever it is.
                        if *attempts > ATTEMPTS_MAX
                            || !matches!(
                                error.kind(),
                                ErrorKind::Lost
                                    | ErrorKind::Io
                                    | ErrorKind::NotFound
                                    | ErrorKind::Timeout
                                    | ErrorKind::Missing
                            )
                        {
                            return Err(with_decoded_payload(error));
                        }
                        self.not_there(key, &asked[&key]);
                        missing.push(key);
                    }
                }
            }
        }
        keys.iter()
            .map(|key| values.get(key).cloned().ok_or_else(|| Error::new(ErrorKind::Lost, "a result is gone")))
            .collect()
    }

    /// The error of the first of `keys` that has one.
    fn first_error(&self, keys: &[Key]) -> Option<Error> {
        let table = self.table.lock();
        keys.iter().find_map(|key| match table.entries.get(key).map(|entry| &entry.state) {
            Some(State::Failed(error)) => Some(error.clone()),
            Some(State::Cancelled) => Some(cancelled(*key)),
            Some(State::Pending | State::Done(_)) | None => None,
        })
    }

    /// Waits until none of `keys` is pending; answers where they are.
    fn wait_for_places(
        &self,
        keys: &[Key],
        interrupted: &dyn Fn() -> Result<()>,
        first_error: &dyn Fn(&Inner) -> Option<Error>,
    ) -> Result<Vec<(Key, Place)>> {
        let mut places = Vec::with_capacity(keys.len());
        let mut table = self.table.lock();
        let mut waiting = self.changed.waiting();
        for &key in keys {
            loop {
                let closed = table.closed.clone();
                match table.entries.get(&key).map(|entry| &entry.state) {
                    Some(State::Done(place)) if closed.is_none() || place.value.is_some() => {
                        places.push((key, place.clone()));
                        break;
                    }
                    Some(State::Failed(_) | State::Cancelled) => {
                        drop(table);
                        let error = first_error(self).unwrap_or_else(|| cancelled(key));
                        return Err(with_decoded_payload(error));
                    }
                    None => return Err(Error::new(ErrorKind::Lost, "the result was released")),
                    Some(State::Pending | State::Done(_)) => {}
                }
                if let Some(error) = closed {
                    return Err(error);
                }
                if waiting.wait_until(&mut table, Some(Instant::now() + INTERRUPT_POLL)) {
                    MutexGuard::unlocked(&mut table, interrupted)?;
                }
            }
        }
        Ok(places)
    }

    fn read(&self, reads: &Arc<Reads>, key: Key, place: &Place) {
        reads.state.lock().n_pending += 1;
        let arriving = reads.clone();
        let done = move |value: Result<Value>| {
            let mut state = arriving.state.lock();
            state.arrived.push((key, value));
            state.n_pending -= 1;
            if state.n_pending == 0 {
                arriving.changed.notify_all();
            }
        };
        match self.reader(place.holder) {
            Ok(reader) => reader.read(Piece::whole(TaskId(place.task)), key, Box::new(done)),
            Err(error) => done(Err(error)),
        }
    }

    /// Tells the scheduler that a result is not where it should be, and waits
    /// for its word unless that came already.
    fn not_there(&self, key: Key, place: &Place) {
        {
            let mut table = self.table.lock();
            let Some(entry) = table.entries.get_mut(&key) else { return };
            match &entry.state {
                State::Done(current) if current.is_same(place) => entry.state = State::Pending,
                _ => return,
            }
        }
        self.say(FromClient::NotThere { key, holder: place.holder });
    }
}

impl Reads {
    fn wait(&self, interrupted: &dyn Fn() -> Result<()>) -> Result<Vec<(Key, Result<Value>)>> {
        let mut state = self.state.lock();
        while state.n_pending > 0 {
            if self.changed.wait_for(&mut state, INTERRUPT_POLL).timed_out() {
                MutexGuard::unlocked(&mut state, interrupted)?;
            }
        }
        Ok(std::mem::take(&mut state.arrived))
    }
}

fn cancelled(key: Key) -> Error {
    Error::new(ErrorKind::Cancelled, "the task was cancelled").in_task(key.to_string())
}

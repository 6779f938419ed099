//! What a client knows of the results it wants.
//!
//! Plain data behind the client's lock. Values in it are encoded, so that
//! dropping one never runs foreign code under that lock.

use crate::protocol::WorkerIntro;
use crate::reader::Reader;
use hashbrown::HashMap;
use oxidask_core::{Error, ErrorKind, Frames, Key, Status, Value};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How far a result is, as the scheduler last said.
#[derive(Clone, Debug)]
pub enum State {
    /// Waiting or running.
    Pending,
    /// There.
    Done(Place),
    /// It, or what it needs, failed.
    Failed(Error),
    /// Somebody cancelled it.
    Cancelled,
}

/// Where a result is.
#[derive(Clone, Debug)]
pub struct Place {
    /// The worker.
    pub holder: u32,
    /// The task's number there.
    pub task: u32,
    /// The result itself, if it is small.
    pub value: Option<Value>,
}

impl Place {
    /// Whether both say that the same copy is meant.
    pub fn is_same(&self, other: &Place) -> bool {
        self.holder == other.holder && self.task == other.task
    }
}

/// Called once a result is no longer pending.
pub type Callback = Box<dyn FnOnce() + Send>;

/// A result that somebody in this process wants.
pub struct Entry {
    /// Futures that name it.
    pub n_futures: u32,
    /// Submissions that claimed it and have not been released.
    pub n_claims: u32,
    /// The first submission of this life of the entry: what the scheduler says
    /// about earlier ones is about an earlier life.
    pub first_seq: u32,
    /// The newest submission that claimed it.
    pub claimed_seq: u32,
    pub state: State,
    /// The value itself, encoded, while only this client and a worker that has not
    /// confirmed it have it.
    pub brought: Option<(&'static str, Frames)>,
    pub callbacks: Vec<Callback>,
}

impl Entry {
    pub fn new(seq: u32) -> Self {
        Entry {
            n_futures: 0,
            n_claims: 0,
            first_seq: seq,
            claimed_seq: 0,
            state: State::Pending,
            brought: None,
            callbacks: Vec::new(),
        }
    }

    pub fn status(&self) -> Status {
        match &self.state {
            State::Pending => Status::Pending,
            State::Done(_) => Status::Finished,
            State::Failed(error) if error.kind() == ErrorKind::Lost => Status::Lost,
            State::Failed(_) => Status::Failed,
            State::Cancelled => Status::Cancelled,
        }
    }

    /// Notes how far it is; answers the callbacks that are now due, and what was
    /// there before, to be dropped outside the lock.
    pub fn set(&mut self, state: State) -> (State, Vec<Callback>) {
        let is_pending = matches!(state, State::Pending);
        let old = std::mem::replace(&mut self.state, state);
        (old, if is_pending { Vec::new() } else { std::mem::take(&mut self.callbacks) })
    }
}

/// A worker that may hold results.
pub struct Holder {
    pub intro: WorkerIntro,
    pub reader: Option<Arc<Reader>>,
}

/// A graph that runs, for observers.
pub struct RunningGraph {
    /// Outputs that have not ended.
    pub n_pending: usize,
    pub error: Option<Error>,
}

/// See the module's head.
#[derive(Default)]
pub struct Table {
    pub entries: HashMap<Key, Entry>,
    pub holders: BTreeMap<u32, Holder>,
    /// The newest submission.
    pub seq: u32,
    /// Claims that no future needs any more, not yet told.
    releases: HashMap<Key, u32>,
    /// Why the connection ended.
    pub closed: Option<Error>,
}

impl Table {
    /// Counts a future and a claim of submission `seq`, which claims each key once
    /// however often it names it; whether this is the first time. A result that was
    /// cancelled is pending again.
    pub fn claim(&mut self, key: Key, seq: u32) -> bool {
        let entry = self.entries.entry(key).or_insert_with(|| Entry::new(seq));
        entry.n_futures += 1;
        if matches!(entry.state, State::Cancelled) {
            entry.state = State::Pending;
            entry.first_seq = seq;
        }
        let is_first = entry.claimed_seq != seq;
        entry.claimed_seq = seq;
        entry.n_claims += u32::from(is_first);
        is_first
    }

    /// A future is dropped. Answers the entry if it was the last, to be dropped
    /// outside the lock.
    pub fn unclaim(&mut self, key: Key) -> Option<Entry> {
        let entry = self.entries.get_mut(&key)?;
        entry.n_futures -= 1;
        if entry.n_futures > 0 {
            return None;
        }
        let entry = self.entries.remove(&key)?;
        *self.releases.entry(key).or_default() += entry.n_claims;
        Some(entry)
    }

    /// What is to be told before any of `keys` is claimed anew: otherwise a result
    /// that was given up would be the new one's, or the failure.
    pub fn releases_before(&mut self, keys: &[Key]) -> Vec<(Key, u32)> {
        let is_claimed_anew = !self.releases.is_empty() && keys.iter().any(|key| self.releases.contains_key(key));
        if is_claimed_anew { self.take_releases() } else { Vec::new() }
    }

    /// What nobody has told the scheduler yet.
    pub fn take_releases(&mut self) -> Vec<(Key, u32)> {
        std::mem::take(&mut self.releases).into_iter().collect()
    }
}

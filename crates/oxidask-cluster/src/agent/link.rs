//! The agent's ways to others: reports to the scheduler, reads from peers.

use crate::protocol::{Build, FromWorker, Outbox, WireValue};
use crate::reader::Reader;
use crate::security::Credentials;
use crate::wire::Outlet;
use hashbrown::{HashMap, HashSet};
use oxidask_core::{Error, ErrorKind, Key, Result, Value};
use oxidask_exec::node::{Node, NodeReport, Peers, Uplink};
use oxidask_exec::{Encoded, Pool};
use oxidask_sched::{FetchFrom, Nanos, Report, TaskId, WorkerId};
use parking_lot::Mutex;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;
use tokio::runtime::Handle;

/// Results up to this size that a client wants travel with the report, which
/// saves the client the way to the agent.
const INLINE_BYTES_MAX: u64 = 4 << 10;

/// The reports' way to the scheduler.
pub struct Link {
    outlet: Outlet,
    /// Tasks whose small results travel with the report.
    wanted: HashSet<TaskId>,
}

impl Link {
    pub fn new(outlet: Outlet) -> Self {
        Link { outlet, wanted: HashSet::new() }
    }

    /// Sends small results of these tasks along.
    pub fn want(&mut self, tasks: &[TaskId]) {
        self.wanted.extend(tasks);
    }

    fn inline(&mut self, task: TaskId, node: &Node, outbox: &mut Outbox<FromWorker>) -> Option<WireValue> {
        let is_wanted = !self.wanted.is_empty() && self.wanted.remove(&task);
        let value = if is_wanted { node.value(task)? } else { return None };
        // Only what is encoded already: encoding may need Python's lock, and
        // the pool's lock is held here.
        let encoded = value.get::<Encoded>()?;
        (value.nbytes() <= INLINE_BYTES_MAX).then(|| outbox.frames(value.data().kind(), encoded.frames().clone()))
    }

    fn message(&mut self, report: NodeReport, node: &Node, outbox: &mut Outbox<FromWorker>) -> FromWorker {
        let NodeReport { report, error } = report;
        match report {
            Report::Done { task, attempt, bytes, duration } => {
                let value = self.inline(task, node, outbox);
                FromWorker::Done { task: task.0, attempt: attempt.0, bytes, duration, value }
            }
            Report::Failed { task, attempt, failure } => {
                self.wanted.remove(&task);
                let error = error.map(|error| outbox.error(&error));
                FromWorker::Failed { task: task.0, attempt: attempt.0, failure: failure.into(), error }
            }
            Report::MissingInput { task, attempt, input, holder } => {
                self.wanted.remove(&task);
                FromWorker::MissingInput { task: task.0, attempt: attempt.0, input: input.0, holder: holder.0 }
            }
            Report::Retracted { task, attempt } => {
                self.wanted.remove(&task);
                FromWorker::Retracted(task.0, attempt.0)
            }
            Report::Abandoned { task, attempt } => {
                self.wanted.remove(&task);
                FromWorker::Abandoned(task.0, attempt.0)
            }
            Report::Copied { task, bytes } => FromWorker::Copied(task.0, bytes),
            Report::Dropped { task } => FromWorker::Dropped(task.0),
            Report::Lent(n_lent) => FromWorker::Lent(n_lent),
            Report::Memory { resident, spilled, paused } => FromWorker::Memory(resident, spilled, paused),
        }
    }
}

impl Uplink for Link {
    fn exchange(&mut self, _now: Nanos, node: &mut Node) {
        let mut reports = Vec::new();
        node.take_reports(&mut reports);
        if reports.is_empty() {
            return;
        }
        let mut outbox = Outbox::default();
        for report in reports {
            let message = self.message(report, node, &mut outbox);
            outbox.push(message);
        }
        match outbox.take() {
            Ok(packet) => self.outlet.send(packet),
            // Reports are small unless an error's payload is huge beyond reason;
            // without them the scheduler would wait for ever.
            Err(_) => self.outlet.close(),
        }
    }
}

/// Reads of results that other agents hold.
pub struct PeerReads {
    runtime: Handle,
    credentials: Credentials,
    timeout: Duration,
    pool: OnceLock<Weak<Pool<Link>>>,
    peers: Mutex<HashMap<WorkerId, Peer>>,
}

struct Peer {
    address: String,
    reader: Option<Arc<Reader>>,
}

impl PeerReads {
    pub fn new(runtime: Handle, credentials: Credentials, timeout: Duration) -> Self {
        PeerReads { runtime, credentials, timeout, pool: OnceLock::new(), peers: Mutex::default() }
    }

    /// Tells where arrivals go.
    pub fn attach(&self, pool: &Arc<Pool<Link>>) {
        // Called once, by the agent's start.
        let _ = self.pool.set(Arc::downgrade(pool));
    }

    pub fn joined(&self, peer: WorkerId, address: String) {
        self.peers.lock().insert(peer, Peer { address, reader: None });
    }

    pub fn left(&self, peer: WorkerId) {
        let gone = self.peers.lock().remove(&peer);
        drop(gone);
    }

    fn reader(&self, holder: WorkerId) -> Result<Arc<Reader>> {
        let mut peers = self.peers.lock();
        let peer = peers
            .get_mut(&holder)
            .ok_or_else(|| Error::new(ErrorKind::Lost, "the worker that held an input is gone"))?;
        if let Some(reader) = peer.reader.as_ref().filter(|reader| !reader.is_closed()) {
            return Ok(reader.clone());
        }
        let reader =
            Reader::open(&self.runtime, peer.address.clone(), self.credentials.clone(), Build::current(), self.timeout);
        Ok(peer.reader.insert(Arc::new(reader)).clone())
    }
}

impl Peers for PeerReads {
    fn fetch(&self, fetch: FetchFrom, key: Key) {
        let Some(pool) = self.pool.get().cloned() else { return };
        let arrived = move |value: Result<Value>| {
            if let Some(pool) = pool.upgrade() {
                pool.fetched(fetch, value);
            }
        };
        match self.reader(fetch.holder) {
            Ok(reader) => reader.read(fetch.piece, key, Box::new(arrived)),
            Err(error) => arrived(Err(error)),
        }
    }
}

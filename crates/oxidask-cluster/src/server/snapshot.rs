//! What is left to know when there is no task: all that the journal has to hold then.
//!
//! Without tasks the cores remember nothing that matters: numbers and attempts begin
//! anew, and so does the running server at the moment at which the snapshot is
//! written, so that it and the one that reads the journal are the same. What is left
//! are the members and what was sent to them, and what clients share.

use super::journal::Record;
use super::sessions::{ClientSession, WorkerSession};
use super::state::{Member, State};
use crate::blobs::{KeptBlobs, SentBlobs, WrittenBlobs};
use crate::coordination::Coordination;
use crate::protocol::{Metrics, WorkerIntro};
use crate::wire::{Outlet, WrittenSession};
use oxidask_core::Key;
use oxidask_exec::coordinator::Coordinator;
use oxidask_sched::{ClientId, Report, SchedulerEvent, WorkerId};
use serde::{Deserialize, Serialize};

/// See the module's head.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Snapshot {
    clients: Vec<WrittenClient>,
    workers: Vec<WrittenWorker>,
    /// [`Coordination`], encoded.
    coordination: Vec<u8>,
    not_kept: Vec<(Key, u32)>,
    dismissed: Vec<String>,
    next_client: u32,
    next_worker: u32,
    next_target: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct WrittenClient {
    number: u32,
    id: u128,
    session: WrittenSession,
    blobs: WrittenBlobs,
    is_watching: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct WrittenWorker {
    number: u32,
    id: u128,
    session: WrittenSession,
    intro: WorkerIntro,
    blobs: SentBlobs,
    metrics: Metrics,
}

impl Snapshot {
    fn unacknowledged_bytes(&self) -> u64 {
        let of_clients = self.clients.iter().map(|client| client.session.nbytes());
        of_clients.chain(self.workers.iter().map(|worker| worker.session.nbytes())).sum()
    }
}

impl State {
    /// Makes a journal that has become long short again, if there is no task.
    pub(super) fn compact_journal(&mut self) {
        let limit = self.journal_limit;
        if !self.journal.as_ref().is_some_and(|journal| journal.is_long(limit)) {
            return;
        }
        let Some(snapshot) = self.snapshot_of_members() else { return };
        // What members have not acknowledged they soon will have.
        if snapshot.unacknowledged_bytes() > limit / 2 {
            return;
        }
        let record = Record::Snapshot(Box::new(snapshot));
        let now = self.now();
        let Some(journal) = &mut self.journal else { return };
        if let Err(error) = journal.replace(now, &record) {
            eprintln!("{error}\nThe scheduler goes on with the long journal.");
            return;
        }
        self.begin_anew();
    }

    /// None while something is under way.
    fn snapshot_of_members(&self) -> Option<Snapshot> {
        let is_quiet = self.coordinator.n_tasks() == 0
            && self.unplaced.is_empty()
            && self.retiring.is_empty()
            && self.clients.values().all(|client| client.outbox.is_empty())
            && self.workers.values().all(|worker| worker.outbox.is_empty() && !worker.is_leaving);
        if !is_quiet {
            return None;
        }
        let client = |(id, client): (&ClientId, &ClientSession)| {
            Some(WrittenClient {
                number: id.0,
                id: client.session,
                session: client.outlet.to_written()?,
                blobs: client.blobs.to_written(),
                is_watching: client.is_watching,
            })
        };
        let worker = |(id, worker): (&WorkerId, &WorkerSession)| {
            Some(WrittenWorker {
                number: id.0,
                id: worker.session,
                session: worker.outlet.to_written()?,
                intro: worker.intro.clone(),
                blobs: worker.blobs.clone(),
                metrics: worker.metrics,
            })
        };
        let mut clients: Vec<WrittenClient> = self.clients.iter().map(client).collect::<Option<_>>()?;
        clients.sort_unstable_by_key(|client| client.number);
        let mut not_kept: Vec<(Key, u32)> = self.not_kept.iter().map(|(&key, &count)| (key, count)).collect();
        not_kept.sort_unstable();
        let mut dismissed: Vec<String> = self.dismissed.iter().cloned().collect();
        dismissed.sort_unstable();
        Some(Snapshot {
            clients,
            workers: self.workers.iter().map(worker).collect::<Option<_>>()?,
            coordination: postcard::to_allocvec(&self.coordination).ok()?,
            not_kept,
            dismissed,
            next_client: self.next_client,
            next_worker: self.next_worker,
            next_target: self.next_target as u64,
        })
    }

    /// What the cores are right after a snapshot: they know the workers only.
    fn begin_anew(&mut self) {
        self.coordinator = Coordinator::new(self.config.clone());
        for client in self.clients.values_mut() {
            client.claims.clear();
            client.graphs.clear();
        }
        for worker in self.workers.values_mut() {
            worker.begin_anew();
        }
        let workers: Vec<(WorkerId, WorkerIntro, Metrics)> =
            self.workers.iter().map(|(&id, worker)| (id, worker.intro.clone(), worker.metrics)).collect();
        let now = self.now();
        for (worker, intro, metrics) in workers {
            self.tell_of_worker(worker, &intro);
            let Metrics { resident, spilled, is_paused: paused, .. } = metrics;
            self.coordinator.report(now, worker, Report::Memory { resident, spilled, paused }, None);
        }
    }

    /// Reads a snapshot; nothing was told before.
    pub(super) fn apply(&mut self, snapshot: Snapshot) {
        for client in snapshot.clients {
            let id = ClientId(client.number);
            let n_noted = client.session.n_acknowledged;
            let mut session = ClientSession::new(client.id, Outlet::of_session(client.session));
            session.blobs = KeptBlobs::of_written(client.blobs);
            session.is_watching = client.is_watching;
            session.n_noted = n_noted;
            self.members.insert(client.id, Member::Client(id));
            self.clients.insert(id, session);
        }
        for worker in snapshot.workers {
            let id = WorkerId(worker.number);
            let n_noted = worker.session.n_acknowledged;
            let mut session = WorkerSession::new(worker.id, worker.intro, Outlet::of_session(worker.session));
            session.blobs = worker.blobs;
            session.metrics = worker.metrics;
            session.n_noted = n_noted;
            self.members.insert(worker.id, Member::Worker(id));
            self.workers.insert(id, session);
        }
        // What this very build wrote, it reads.
        self.coordination = postcard::from_bytes::<Coordination>(&snapshot.coordination).unwrap_or_default();
        self.not_kept = snapshot.not_kept.into_iter().collect();
        self.dismissed = snapshot.dismissed.into_iter().collect();
        self.next_client = snapshot.next_client;
        self.next_worker = snapshot.next_worker;
        self.next_target = snapshot.next_target as usize;
        self.begin_anew();
    }

    /// Tells the core of a worker.
    pub(super) fn tell_of_worker(&mut self, worker: WorkerId, intro: &WorkerIntro) {
        let name = self.coordinator.worker_name(&intro.name);
        for alias in super::members::aliases(&intro.address) {
            self.coordinator.also_called(name, alias);
        }
        let resources = intro.resources.iter();
        let event = SchedulerEvent::WorkerJoined {
            worker,
            name,
            slots: intro.n_slots,
            memory_limit: intro.memory_limit,
            resources: resources.map(|(name, amount)| (self.coordinator.resource(name), *amount)).collect(),
        };
        let now = self.now();
        self.coordinator.handle(now, event);
    }
}

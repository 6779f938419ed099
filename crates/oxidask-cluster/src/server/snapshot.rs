//! What is left to know when nothing runs: all that the journal has to hold then.
//!
//! At such a moment the cores are a table of results that somebody holds and what
//! they were made from; the running server then goes on with cores made from what
//! was written down, so that it and the one that reads the journal are the same.
//! Beside them are the members and what was sent to them, and what clients share.

use super::journal::Record;
use super::sessions::{Claim, ClientSession, HeldOp, WorkerSession, WrittenWork};
use super::state::{Member, State};
use crate::blobs::{Blobs, SentBlobs, WrittenBlobs};
use crate::coordination::Coordination;
use crate::protocol::{Metrics, WireOp, WorkerIntro};
use crate::wire::{Outlet, WrittenSession};
use oxidask_core::{Key, Result};
use oxidask_exec::coordinator::{Coordinator, Written};
use oxidask_sched::{ClientId, Report, SchedulerEvent, TaskId, WorkerId};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// See the module's head.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Snapshot {
    /// Constants of ops and of clients, each once.
    blobs: WrittenBlobs,
    tasks: Written<WireOp>,
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
    /// Constants that it sent, by their names.
    blobs: Vec<Key>,
    is_watching: bool,
    /// Task, key, newest submission, count.
    claims: Vec<(u32, Key, u32, u32)>,
    graphs: Vec<(u64, u32)>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct WrittenWorker {
    number: u32,
    id: u128,
    session: WrittenSession,
    intro: WorkerIntro,
    blobs: SentBlobs,
    metrics: Metrics,
    work: WrittenWork,
}

impl Snapshot {
    fn unacknowledged_bytes(&self) -> u64 {
        let of_clients = self.clients.iter().map(|client| client.session.nbytes());
        of_clients.chain(self.workers.iter().map(|worker| worker.session.nbytes())).sum()
    }
}

impl WrittenClient {
    fn of(id: ClientId, client: &ClientSession, blobs: &mut Blobs) -> Option<Self> {
        let claims = client.claims.iter().map(|(task, claim)| (task.0, claim.key, claim.seq, claim.count)).collect();
        let mut graphs: Vec<(u64, u32)> = client.graphs.iter().map(|(&graph, &seq)| (graph, seq)).collect();
        graphs.sort_unstable();
        Some(WrittenClient {
            number: id.0,
            id: client.session,
            session: client.outlet.to_written()?,
            blobs: blobs.write_kept(&client.blobs),
            is_watching: client.is_watching,
            claims,
            graphs,
        })
    }

    fn read(self, blobs: &Blobs) -> ClientSession {
        let n_noted = self.session.n_acknowledged;
        let mut session = ClientSession::new(self.id, Outlet::of_session(self.session));
        session.blobs = blobs.kept(&self.blobs);
        session.is_watching = self.is_watching;
        session.n_noted = n_noted;
        session.graphs = self.graphs.into_iter().collect();
        let claims = self.claims.into_iter().map(|(task, key, seq, count)| (TaskId(task), Claim { key, seq, count }));
        session.claims = claims.collect();
        session
    }
}

impl WrittenWorker {
    fn of(id: WorkerId, worker: &WorkerSession) -> Option<Self> {
        Some(WrittenWorker {
            number: id.0,
            id: worker.session,
            session: worker.outlet.to_written()?,
            intro: worker.intro.clone(),
            blobs: worker.blobs.clone(),
            metrics: worker.metrics,
            work: worker.to_written()?,
        })
    }

    fn read(self) -> WorkerSession {
        let n_noted = self.session.n_acknowledged;
        let mut session = WorkerSession::new(self.id, self.intro, Outlet::of_session(self.session));
        session.blobs = self.blobs;
        session.metrics = self.metrics;
        session.n_noted = n_noted;
        session.read_written(self.work);
        session
    }
}

impl State {
    /// Makes a journal that has become long short again, if nothing runs.
    pub(super) fn compact_journal(&mut self) {
        let (began, limit) = (self.now(), self.journal_limit);
        if !self.journal.as_ref().is_some_and(|journal| journal.is_long(began, limit)) {
            return;
        }
        let Some(snapshot) = self.snapshot_at_rest() else { return };
        // What members have not acknowledged they soon will have.
        let is_short = snapshot.unacknowledged_bytes() <= limit / 2;
        let now = self.now();
        let Some(journal) = &mut self.journal else { return };
        if !is_short {
            return journal.tried(began, now);
        }
        let record = Record::Snapshot(Box::new(snapshot));
        let replaced = journal.replace(now, &record);
        journal.tried(began, now);
        if let Err(error) = replaced {
            eprintln!("{error}\nThe scheduler goes on with the long journal.");
            return;
        }
        let Record::Snapshot(snapshot) = record else { return };
        let blobs = Blobs::of_written(snapshot.blobs);
        if let Err(error) = self.begin_anew(snapshot.tasks, &blobs) {
            // It was written by this very function, so that cannot be; a journal that
            // says otherwise than the server must not be kept.
            eprintln!("{error}\nThe scheduler goes on without a journal.");
            self.abandon_journal();
        }
    }

    /// None while something is under way.
    fn snapshot_at_rest(&self) -> Option<Snapshot> {
        let is_quiet = self.unplaced.is_empty()
            && self.retiring.is_empty()
            && self.clients.values().all(|client| client.outbox.is_empty())
            && self.workers.values().all(|worker| worker.outbox.is_empty() && !worker.is_leaving);
        if !is_quiet {
            return None;
        }
        let mut blobs = Blobs::default();
        let tasks = self.coordinator.at_rest(|held| WireOp {
            kind: held.op.kind.clone(),
            body: held.op.body.clone(),
            blobs: blobs.write_op(&held.op),
            runs_user_code: held.runs_user_code,
        })?;
        let mut clients: Vec<WrittenClient> = self
            .clients
            .iter()
            .map(|(&id, client)| WrittenClient::of(id, client, &mut blobs))
            .collect::<Option<_>>()?;
        clients.sort_unstable_by_key(|client| client.number);
        let mut not_kept: Vec<(Key, u32)> = self.not_kept.iter().map(|(&key, &count)| (key, count)).collect();
        not_kept.sort_unstable();
        let mut dismissed: Vec<String> = self.dismissed.iter().cloned().collect();
        dismissed.sort_unstable();
        Some(Snapshot {
            blobs: blobs.into_written(),
            tasks,
            clients,
            workers: self.workers.iter().map(|(&id, worker)| WrittenWorker::of(id, worker)).collect::<Option<_>>()?,
            coordination: postcard::to_allocvec(&self.coordination).ok()?,
            not_kept,
            dismissed,
            next_client: self.next_client,
            next_worker: self.next_worker,
            next_target: self.next_target as u64,
        })
    }

    /// Makes the cores from what was written down of them.
    fn begin_anew(&mut self, tasks: Written<WireOp>, blobs: &Blobs) -> Result<()> {
        self.coordinator = Coordinator::with_names_of(self.config.clone(), &tasks);
        let workers: Vec<(WorkerId, WorkerIntro, Metrics)> =
            self.workers.iter().map(|(&id, worker)| (id, worker.intro.clone(), worker.metrics)).collect();
        for (worker, intro, _) in &workers {
            self.tell_of_worker(*worker, intro);
        }
        self.coordinator.resume(tasks, |label, op| {
            let runs_user_code = op.runs_user_code;
            Ok(Arc::new(HeldOp { label: label.clone(), op: blobs.op(op)?, runs_user_code }))
        })?;
        let now = self.now();
        for (worker, _, metrics) in workers {
            let Metrics { resident, spilled, is_paused: paused, .. } = metrics;
            self.coordinator.report(now, worker, Report::Memory { resident, spilled, paused }, None);
        }
        Ok(())
    }

    /// Reads a snapshot; nothing was told before.
    ///
    /// # Errors
    /// If what is in it does not fit together.
    pub(super) fn apply(&mut self, snapshot: Snapshot) -> Result<()> {
        let blobs = Blobs::of_written(snapshot.blobs);
        for client in snapshot.clients {
            let id = ClientId(client.number);
            self.members.insert(client.id, Member::Client(id));
            self.clients.insert(id, client.read(&blobs));
        }
        for worker in snapshot.workers {
            let id = WorkerId(worker.number);
            self.members.insert(worker.id, Member::Worker(id));
            self.workers.insert(id, worker.read());
        }
        // What this very build wrote, it reads.
        self.coordination = postcard::from_bytes::<Coordination>(&snapshot.coordination).unwrap_or_default();
        self.not_kept = snapshot.not_kept.into_iter().collect();
        self.dismissed = snapshot.dismissed.into_iter().collect();
        self.next_client = snapshot.next_client;
        self.next_worker = snapshot.next_worker;
        self.next_target = snapshot.next_target as usize;
        self.begin_anew(snapshot.tasks, &blobs)
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

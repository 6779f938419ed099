//! The scheduler's state, and what each packet of a worker does to it; those of
//! clients are beside it, in `requests`.
//!
//! Every entry point feeds the coordinator and then carries out its effects:
//! messages collect in the outboxes of the sessions they concern and leave in
//! one packet each. No method blocks.
//!
//! With a journal, entry points write down what they were told first. What they
//! do may depend on nothing but that: not on a clock ([`State::now`] is the time
//! that is written down), not on chance, not on the order of a hash map where a
//! session's packets would show it. Otherwise a restart would make another state.

use super::http::Snapshot;
use super::journal::{Journal, Record};
use super::questions::Retiring;
use super::scatter::Unplaced;
use super::sessions::{ClientSession, HeldOp, WorkerSession};
use crate::coordination::Coordination;
use crate::protocol::{Build, ClusterInfo, FromWorker, Inbox, ToWorker};
use crate::wire::Packet;
use hashbrown::{HashMap, HashSet};
use oxidask_core::{Frames, Key, Result};
use oxidask_exec::coordinator::{Coordinator, Effect, TaskEnd};
use oxidask_sched::{ClientId, Nanos, SchedulerConfig, TaskId, WorkerId};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A worker that says nothing for this long is taken for lost.
const WORKER_TIMEOUT: Duration = Duration::from_secs(30);
/// A client that is away for this long is taken for gone.
const CLIENT_GRACE: Duration = Duration::from_secs(30);
/// Bytes of a journal beyond which it is made smaller.
const JOURNAL_LIMIT: u64 = 64 << 20;
/// A client that is away for this long loses what it has locked.
const LEASE_TIMEOUT: Duration = Duration::from_secs(5);

/// Whose session it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Member {
    /// A client's.
    Client(ClientId),
    /// A worker's.
    Worker(WorkerId),
}

/// See the module's head.
pub struct State {
    pub(super) coordinator: Coordinator<Arc<HeldOp>>,
    pub(super) clients: HashMap<ClientId, ClientSession>,
    /// In the order in which they joined.
    pub(super) workers: BTreeMap<WorkerId, WorkerSession>,
    /// Values that clients brought and no worker has confirmed yet.
    pub(super) unplaced: BTreeMap<TaskId, Unplaced>,
    /// Small results that came with the reports of this packet.
    fresh: HashMap<TaskId, (String, Frames)>,
    effects: Vec<Effect<Arc<HeldOp>>>,
    pub(super) coordination: Coordination,
    pub(super) retiring: Vec<Retiring>,
    /// Names of workers that are to leave as soon as they come.
    pub(super) dismissed: HashSet<String>,
    /// Clients and workers by the numbers of their sessions.
    pub(super) members: HashMap<u128, Member>,
    pub(super) journal: Option<Journal>,
    /// Bytes beyond which the journal is made smaller when nothing runs.
    pub(super) journal_limit: u64,
    /// For a fresh coordinator.
    pub(super) config: SchedulerConfig,
    build: Option<Build>,
    pub(super) worker_timeout: Duration,
    /// Longest absence of a client before its claims are released.
    pub(super) client_grace: Duration,
    /// Longest absence of a client before what it has locked is free again.
    pub(super) lease_timeout: Duration,
    /// How often results are to be kept that were not there when that was asked for.
    pub(super) not_kept: HashMap<Key, u32>,
    address: String,
    started: Instant,
    /// When this process started, in seconds since 1970.
    pub(super) started_at: f64,
    /// The time of the event at hand.
    pub(super) clock: Nanos,
    /// What the clock showed when this process started.
    pub(super) clock_start: Nanos,
    pub(super) next_client: u32,
    pub(super) next_worker: u32,
    /// Where the next scattered value goes.
    pub(super) next_target: usize,
    is_shut_down: bool,
    /// Nanoseconds spent on what members said; for people, nothing depends on it.
    pub(super) busy_ns: u64,
    /// When there was a task for the last time.
    pub(super) last_busy: Instant,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State")
            .field("clients", &self.clients.len())
            .field("workers", &self.workers.len())
            .finish_non_exhaustive()
    }
}

impl State {
    pub fn new(config: SchedulerConfig, build: Option<Build>, address: String) -> Self {
        State {
            coordinator: Coordinator::new(config.clone()),
            clients: HashMap::new(),
            workers: BTreeMap::new(),
            unplaced: BTreeMap::new(),
            fresh: HashMap::new(),
            effects: Vec::new(),
            coordination: Coordination::default(),
            retiring: Vec::new(),
            dismissed: HashSet::new(),
            members: HashMap::new(),
            journal: None,
            journal_limit: JOURNAL_LIMIT,
            config,
            build,
            worker_timeout: WORKER_TIMEOUT,
            client_grace: CLIENT_GRACE,
            lease_timeout: LEASE_TIMEOUT,
            not_kept: HashMap::new(),
            address,
            started: Instant::now(),
            started_at: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64()),
            clock: 0,
            clock_start: 0,
            next_client: 0,
            next_worker: 0,
            next_target: 0,
            is_shut_down: false,
            busy_ns: 0,
            last_busy: Instant::now(),
        }
    }

    /// The time of the event at hand.
    pub(super) fn now(&self) -> Nanos {
        self.clock
    }

    /// Begins an event: sets the clock and writes it down. To be called before
    /// anything is done about it.
    pub(super) fn begin(&mut self, record: impl FnOnce() -> Record, packet: Option<&Packet>) {
        let elapsed = u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.clock = self.clock_start.saturating_add(elapsed);
        let Some(journal) = &mut self.journal else { return };
        if let Err(error) = journal.append(self.clock, &record(), packet) {
            // Work goes on; only a restart would lose it.
            eprintln!("{error}\nThe scheduler goes on without a journal.");
            self.abandon_journal();
        }
    }

    /// Goes on without the journal, which is not to be read any more.
    pub(super) fn abandon_journal(&mut self) {
        if let Some(journal) = self.journal.take() {
            journal.give_up();
        }
    }

    pub fn next_client(&mut self) -> ClientId {
        self.next_client += 1;
        ClientId(self.next_client)
    }

    pub fn next_worker(&mut self) -> WorkerId {
        self.next_worker += 1;
        WorkerId(self.next_worker)
    }

    pub fn is_shut_down(&self) -> bool {
        self.is_shut_down
    }

    /// A client asked the cluster to end.
    pub(super) fn shut_down(&mut self) {
        self.is_shut_down = true;
    }

    /// Refuses a member whose build differs from the cluster's.
    pub fn check_build(&mut self, build: &Build, who: &str) -> Result<()> {
        self.build.get_or_insert_with(|| build.clone()).check(build, who)
    }

    /// How long there has been no task.
    pub fn idle_for(&self) -> Duration {
        if self.coordinator.n_tasks() > 0 { Duration::ZERO } else { self.last_busy.elapsed() }
    }

    /// Whether workers have at most one task to run.
    pub fn is_nearly_idle(&self) -> bool {
        let mut given = self.workers.values().map(|worker| worker.given.len());
        self.coordinator.core().n_queued() == 0
            && given.try_fold(0, |sum, n| Some(sum + n).filter(|&sum| sum <= 1)).is_some()
    }

    /// How many workers the present work is worth if it shall end within `target`,
    /// and how many are there and stay.
    pub(super) fn desired_workers(&self, target: Duration) -> (usize, usize) {
        let target = u64::try_from(target.as_nanos()).unwrap_or(u64::MAX);
        let n_workers = self.workers.values().filter(|worker| !worker.is_leaving).count();
        (self.coordinator.core().desired_workers(target), n_workers)
    }

    /// What monitors are shown.
    pub(super) fn snapshot(&self) -> Snapshot {
        Snapshot { info: self.info(), counts: self.coordinator.core().counts(), n_clients: self.clients.len() }
    }

    pub fn info(&self) -> ClusterInfo {
        ClusterInfo {
            address: self.address.clone(),
            pid: std::process::id(),
            uptime_ns: self.now(),
            busy_ns: self.busy_ns,
            n_unfinished: (self.coordinator.core().n_queued()
                + self.workers.values().map(|worker| worker.given.len()).sum::<usize>())
                as u64,
            workers: self.workers.iter().map(|(&id, worker)| worker.info(id)).collect(),
        }
    }

    /// Takes what a worker says.
    ///
    /// # Errors
    /// If it cannot be understood; the worker is to be disconnected.
    pub fn worker_packet(&mut self, worker: WorkerId, packet: Packet) -> Result<()> {
        self.begin(|| Record::FromWorker(worker.0), Some(&packet));
        self.take_worker_packet(worker, packet)?;
        // Moments at which nothing runs may be short.
        self.compact_journal();
        Ok(())
    }

    /// The same, without the journal.
    pub(super) fn take_worker_packet(&mut self, worker: WorkerId, packet: Packet) -> Result<()> {
        let (messages, mut inbox) = Inbox::open::<FromWorker>(packet)?;
        let now = self.now();
        for mut message in messages {
            let Some(session) = self.workers.get_mut(&worker) else { return Ok(()) };
            session.heard = Instant::now();
            let mut error = None;
            match &mut message {
                FromWorker::Done { task, value, .. } => {
                    if let Some(value) = value.take() {
                        let frames = inbox.frames(value.header, value.n_buffers)?;
                        self.fresh.insert(TaskId(*task), (value.kind, frames));
                    }
                }
                FromWorker::Failed { error: told, .. } => {
                    error = told.take().map(|told| inbox.error(told)).transpose()?;
                }
                _ => {}
            }
            let ended = session.note(&message);
            if let Some(given) = ended {
                self.observe(worker, &given, &message, now);
            }
            match message {
                FromWorker::HasNot(task) => self.not_brought(now, worker, TaskId(task)),
                FromWorker::HasPut(task, bytes) => self.placed(now, worker, TaskId(task), bytes),
                FromWorker::Leaving => self.leave(worker),
                _ => {}
            }
            if let Some(report) = message.as_report() {
                self.coordinator.take_report(now, worker, report, error);
            }
        }
        self.coordinator.settle(now);
        self.carry_out();
        self.fresh.clear();
        Ok(())
    }

    /// Carries out the coordinator's effects and sends all outboxes.
    pub(super) fn carry_out(&mut self) {
        let mut effects = std::mem::take(&mut self.effects);
        self.coordinator.take_effects(&mut effects);
        drop(self.coordinator.take_dropped());
        let mut forgotten = Vec::new();
        for effect in effects.drain(..) {
            match effect {
                Effect::Order { worker, order, job, keys } => {
                    let is_wanted = match &order {
                        oxidask_sched::Order::Compute(compute) => {
                            self.clients.values().any(|client| client.claims.contains(compute.task))
                        }
                        _ => false,
                    };
                    if let Some(session) = self.workers.get_mut(&worker) {
                        session.order(order, job, keys, is_wanted);
                    }
                }
                Effect::Ended { client, task, end } => {
                    let value = matches!(end, TaskEnd::Done { .. }).then(|| self.fresh.get(&task)).flatten();
                    if let Some(session) = self.clients.get_mut(&client) {
                        session.ended(task, end, value);
                    }
                }
                Effect::Forgotten(key) => forgotten.push(key),
                Effect::Retired(worker) => {
                    if let Some(session) = self.workers.get_mut(&worker) {
                        session.outbox.push(ToWorker::Close);
                    }
                }
                Effect::StageDropped { stage, handle: _ } => {
                    for session in self.workers.values_mut() {
                        session.stage_dropped(stage);
                    }
                }
            }
        }
        self.effects = effects;
        if !forgotten.is_empty() {
            forgotten.into_iter().for_each(|key| self.coordination.forgotten(key));
            self.coordinate();
            return self.carry_out();
        }
        // Tasks go first: whoever is told something may begin at once on this very
        // core, and what is freed can wait for what is to be computed.
        self.workers.values_mut().filter(|session| session.has_work).for_each(WorkerSession::flush);
        for session in self.workers.values_mut() {
            session.flush();
        }
        for session in self.clients.values_mut() {
            session.flush();
        }
    }
}

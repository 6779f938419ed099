//! The scheduler's state, and what each packet does to it.
//!
//! Every entry point feeds the coordinator and then carries out its effects:
//! messages collect in the outboxes of the sessions they concern and leave in
//! one packet each. No method blocks.

use super::scatter::Unplaced;
use super::sessions::{ClientSession, HeldOp, WorkerSession};
use crate::protocol::{Build, ClusterInfo, FromClient, FromWorker, Inbox, ToClient, ToWorker, WireOp, WorkerIntro};
use crate::wire::{Outlet, Packet};
use hashbrown::HashMap;
use oxidask_core::{Error, Frames, Key, Result};
use oxidask_exec::coordinator::{Coordinator, Effect, NewStage, Submission, TaskEnd};
use oxidask_sched::{ClientId, Loss, Nanos, Report, SchedulerConfig, SchedulerEvent, TaskId, WorkerId};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// See the module's head.
pub struct State {
    pub(super) coordinator: Coordinator<Arc<HeldOp>>,
    pub(super) clients: HashMap<ClientId, ClientSession>,
    /// In the order in which they joined.
    pub(super) workers: BTreeMap<WorkerId, WorkerSession>,
    /// Values that clients brought and no worker has confirmed yet.
    pub(super) unplaced: HashMap<TaskId, Unplaced>,
    /// Small results that came with the reports of this packet.
    fresh: HashMap<TaskId, (String, Frames)>,
    effects: Vec<Effect<Arc<HeldOp>>>,
    /// Clients that wait for workers to leave: request, names still there, all.
    pub(super) retiring: Vec<(ClientId, u32, Vec<String>)>,
    build: Option<Build>,
    worker_timeout: Duration,
    address: String,
    started: Instant,
    next_client: u32,
    next_worker: u32,
    /// Where the next scattered value goes.
    pub(super) next_target: usize,
    is_shut_down: bool,
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
    pub fn new(config: SchedulerConfig, build: Option<Build>, worker_timeout: Duration, address: String) -> Self {
        State {
            coordinator: Coordinator::new(config),
            clients: HashMap::new(),
            workers: BTreeMap::new(),
            unplaced: HashMap::new(),
            fresh: HashMap::new(),
            effects: Vec::new(),
            retiring: Vec::new(),
            build,
            worker_timeout,
            address,
            started: Instant::now(),
            next_client: 0,
            next_worker: 0,
            next_target: 0,
            is_shut_down: false,
        }
    }

    pub(super) fn now(&self) -> Nanos {
        u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX)
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

    /// Refuses a member whose build differs from the cluster's.
    pub fn check_build(&mut self, build: &Build, who: &str) -> Result<()> {
        self.build.get_or_insert_with(|| build.clone()).check(build, who)
    }

    pub fn info(&self) -> ClusterInfo {
        ClusterInfo {
            address: self.address.clone(),
            pid: std::process::id(),
            workers: self.workers.iter().map(|(&id, worker)| worker.info(id)).collect(),
        }
    }

    pub fn client_joined(&mut self, client: ClientId, outlet: Outlet) {
        let mut session = ClientSession::new(outlet);
        for (id, worker) in &self.workers {
            session.outbox.push(joined(*id, &worker.intro));
        }
        session.flush();
        self.clients.insert(client, session);
    }

    pub fn client_gone(&mut self, client: ClientId) {
        if self.clients.remove(&client).is_some() {
            let now = self.now();
            self.coordinator.handle(now, SchedulerEvent::ClientGone(client));
            self.carry_out();
        }
    }

    pub fn worker_joined(&mut self, worker: WorkerId, outlet: Outlet, intro: WorkerIntro) {
        for client in self.clients.values_mut() {
            client.outbox.push(joined(worker, &intro));
        }
        let mut session = WorkerSession::new(intro.clone(), outlet);
        for (id, other) in &mut self.workers {
            session.outbox.push(ToWorker::Joined { id: id.0, address: other.intro.address.clone() });
            other.outbox.push(ToWorker::Joined { id: worker.0, address: intro.address.clone() });
        }
        self.workers.insert(worker, session);
        let event = SchedulerEvent::WorkerJoined {
            worker,
            name: self.coordinator.worker_name(&intro.name),
            slots: intro.n_slots,
            memory_limit: intro.memory_limit,
            resources: intro
                .resources
                .iter()
                .map(|(name, amount)| (self.coordinator.resource(name), *amount))
                .collect(),
        };
        let now = self.now();
        self.coordinator.handle(now, event);
        self.place_stranded();
        self.carry_out();
    }

    pub fn worker_gone(&mut self, worker: WorkerId, cause: Loss) {
        let Some(session) = self.workers.remove(&worker) else { return };
        for client in self.clients.values_mut() {
            client.outbox.push(ToClient::Left(worker.0));
        }
        for other in self.workers.values_mut() {
            other.outbox.push(ToWorker::Left(worker.0));
        }
        let cause = if session.is_leaving { Loss::Planned } else { cause };
        let now = self.now();
        self.coordinator.handle(now, SchedulerEvent::WorkerLost { worker, cause });
        self.replace_unconfirmed(now, worker);
        self.answer_retired();
        self.carry_out();
    }

    /// Asks workers, by name or address, to leave.
    pub fn retire(&mut self, names: &[String]) {
        let leaving: Vec<WorkerId> = self
            .workers
            .iter_mut()
            .filter(|(_, worker)| names.contains(&worker.intro.name) || names.contains(&worker.intro.address))
            .map(|(&id, worker)| {
                worker.is_leaving = true;
                id
            })
            .collect();
        let now = self.now();
        for worker in leaving {
            self.coordinator.handle(now, SchedulerEvent::Retire(worker));
        }
        self.carry_out();
    }

    /// Looks for silent workers and tells the core the time; whether a worker
    /// was given up.
    pub fn tick(&mut self) -> bool {
        let silent: Vec<WorkerId> = self
            .workers
            .iter()
            .filter(|(_, worker)| worker.heard.elapsed() > self.worker_timeout)
            .map(|(&id, worker)| {
                worker.outlet.close();
                id
            })
            .collect();
        for &worker in &silent {
            self.worker_gone(worker, Loss::Unreachable);
        }
        let now = self.now();
        self.coordinator.handle(now, SchedulerEvent::Tick);
        self.carry_out();
        !silent.is_empty()
    }

    /// Tells every worker to stop and closes all connections.
    pub fn close_all(&mut self) {
        for worker in self.workers.values_mut() {
            worker.outbox.push(ToWorker::Close);
            worker.flush();
        }
        for client in self.clients.values() {
            client.outlet.close();
        }
    }

    /// Takes what a client says.
    ///
    /// # Errors
    /// If it cannot be understood; the client is to be disconnected.
    pub fn client_packet(&mut self, client: ClientId, packet: Packet) -> Result<()> {
        let (messages, mut inbox) = Inbox::open::<FromClient>(packet)?;
        for message in messages {
            self.client_message(client, message, &mut inbox)?;
        }
        self.carry_out();
        Ok(())
    }

    fn client_message(&mut self, client: ClientId, message: FromClient, inbox: &mut Inbox) -> Result<()> {
        let now = self.now();
        let Some(session) = self.clients.get_mut(&client) else { return Ok(()) };
        match message {
            FromClient::Blob(blob) => session.blobs.take(blob, inbox)?,
            FromClient::Submit { seq, submission } => {
                let submitted = self.submit(now, client, seq, submission);
                self.refuse_unless(client, seq, submitted);
            }
            FromClient::Scatter { seq, values, workers, broadcast } => {
                let values = values
                    .into_iter()
                    .map(|(key, value)| Ok((key, value.kind, inbox.frames(value.header, value.n_buffers)?)))
                    .collect::<Result<Vec<_>>>()?;
                let placed = self.scatter(now, client, seq, values, &workers, broadcast);
                self.refuse_unless(client, seq, placed);
            }
            FromClient::Want { seq, keys } => self.want(now, client, seq, keys),
            FromClient::Release(keys) => self.release(now, client, &keys),
            FromClient::Cancel(keys) => {
                let tasks = self.tasks_of(&keys);
                self.coordinator.handle(now, SchedulerEvent::Cancel { tasks });
            }
            FromClient::Retry { seq, keys } => {
                let tasks = self.tasks_of(&keys);
                if let Some(session) = self.clients.get_mut(&client) {
                    for task in &tasks {
                        if let Some(claim) = session.claims.get_mut(task) {
                            claim.seq = seq;
                        }
                    }
                }
                self.coordinator.handle(now, SchedulerEvent::Retry { tasks });
            }
            FromClient::NotThere { key, holder } => self.not_there(now, client, key, WorkerId(holder)),
            FromClient::Ask { request, question } => self.answer(client, request, question),
            FromClient::Watch(is_watching) => session.is_watching = is_watching,
            FromClient::Shutdown => self.is_shut_down = true,
        }
        Ok(())
    }

    fn submit(&mut self, now: Nanos, client: ClientId, seq: u32, submission: Submission<WireOp>) -> Result<()> {
        let Some(session) = self.clients.get_mut(&client) else { return Ok(()) };
        let Submission { stages, tasks, inputs, names, outputs } = submission;
        let stages = stages
            .into_iter()
            .map(|stage| {
                let runs_user_code = stage.handle.runs_user_code;
                let op = session.blobs.op(stage.handle)?;
                let held = HeldOp { label: stage.label.clone(), op, runs_user_code };
                Ok(NewStage { handle: Arc::new(held), label: stage.label, annotations: stage.annotations })
            })
            .collect::<Result<Vec<_>>>()?;
        let submission = Submission { stages, tasks, inputs, names, outputs };
        self.accept(now, client, seq, &submission).map(|_| ())
    }

    /// Hands a submission to the coordinator and counts the client's claims.
    pub(super) fn accept(
        &mut self,
        now: Nanos,
        client: ClientId,
        seq: u32,
        submission: &Submission<Arc<HeldOp>>,
    ) -> Result<Vec<(TaskId, u32)>> {
        let accepted = self.coordinator.submit(now, client, submission)?;
        let Some(session) = self.clients.get_mut(&client) else { return Ok(Vec::new()) };
        let mut wanted: Vec<(TaskId, u32)> =
            accepted.outputs.iter().copied().zip(submission.outputs.iter().copied()).collect();
        // Each submission claims a task once, however often it names it.
        wanted.sort_unstable();
        wanted.dedup_by_key(|(task, _)| *task);
        for (task, row) in wanted {
            session.claim(task, submission.tasks[row as usize].key, seq);
        }
        if session.is_watching {
            session.graphs.insert(accepted.graph, seq);
            session.outbox.push(ToClient::Started { seq, labels: accepted.labels });
        }
        Ok(accepted.data)
    }

    fn refuse_unless(&mut self, client: ClientId, seq: u32, done: Result<()>) {
        let (Err(error), Some(session)) = (done, self.clients.get_mut(&client)) else { return };
        let error = session.outbox.error(&error);
        session.outbox.push(ToClient::Refused { seq, error });
    }

    fn want(&mut self, now: Nanos, client: ClientId, seq: u32, keys: Vec<Key>) {
        for key in keys {
            let task = self.coordinator.want(now, client, key);
            let Some(session) = self.clients.get_mut(&client) else { return };
            match task {
                Some(task) => session.claim(task, key, seq),
                None => {
                    let error = Error::new(oxidask_core::ErrorKind::Lost, "no value with this key is held any more")
                        .in_task(key.to_string());
                    let end = crate::protocol::WireEnd::Failed(session.outbox.error(&error));
                    session.outbox.push(ToClient::Ended { seq, key, end });
                }
            }
        }
    }

    fn release(&mut self, now: Nanos, client: ClientId, keys: &[(Key, u32)]) {
        let Some(session) = self.clients.get_mut(&client) else { return };
        let mut tasks = Vec::with_capacity(keys.len());
        for &(key, count) in keys {
            let Some(task) = self.coordinator.task_of(key) else { continue };
            let Some(claim) = session.claims.get_mut(&task) else { continue };
            let count = count.min(claim.count);
            claim.count -= count;
            if claim.count == 0 {
                session.claims.remove(&task);
            }
            tasks.extend((0..count).map(|_| task));
        }
        self.coordinator.handle(now, SchedulerEvent::Release { client, tasks });
    }

    fn tasks_of(&self, keys: &[Key]) -> Vec<TaskId> {
        keys.iter().filter_map(|&key| self.coordinator.task_of(key)).collect()
    }

    /// A client could not read a result where it was said to be: the core is
    /// told, and the client where it is now.
    fn not_there(&mut self, now: Nanos, client: ClientId, key: Key, holder: WorkerId) {
        let Some(task) = self.coordinator.task_of(key) else { return };
        if let Some(worker) = self.workers.get_mut(&holder)
            && worker.holds.remove(&task).is_some()
        {
            // The worker may hold it after all, behind a broken connection: it
            // drops it, so that both sides agree again.
            worker.outbox.push(ToWorker::Free(task.0));
            self.coordinator.report(now, holder, Report::Dropped { task }, None);
        }
        // A new claim is answered with the present state; it is not kept.
        self.coordinator.want(now, client, key);
        self.coordinator.handle(now, SchedulerEvent::Release { client, tasks: vec![task] });
    }

    /// Takes what a worker says.
    ///
    /// # Errors
    /// If it cannot be understood; the worker is to be disconnected.
    pub fn worker_packet(&mut self, worker: WorkerId, packet: Packet) -> Result<()> {
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
            if let FromWorker::HasPut(task, bytes) = message {
                self.placed(now, worker, TaskId(task), bytes);
            }
            if let Some(report) = message.as_report() {
                self.coordinator.report(now, worker, report, error);
            }
        }
        self.carry_out();
        self.fresh.clear();
        Ok(())
    }

    /// Carries out the coordinator's effects and sends all outboxes.
    pub(super) fn carry_out(&mut self) {
        let mut effects = std::mem::take(&mut self.effects);
        self.coordinator.take_effects(&mut effects);
        for effect in effects.drain(..) {
            match effect {
                Effect::Order { worker, order, job, keys } => {
                    let is_wanted = match &order {
                        oxidask_sched::Order::Compute(compute) => {
                            self.clients.values().any(|client| client.claims.contains_key(&compute.task))
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
        for session in self.workers.values_mut() {
            session.flush();
        }
        for session in self.clients.values_mut() {
            session.flush();
        }
    }
}

fn joined(worker: WorkerId, intro: &WorkerIntro) -> ToClient {
    ToClient::Joined { id: worker.0, intro: intro.clone() }
}

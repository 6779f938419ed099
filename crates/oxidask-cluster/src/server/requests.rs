//! What each message of a client does to the state.

use super::journal::Record;
use super::sessions::HeldOp;
use super::state::State;
use crate::coordination::Asker;
use crate::protocol::{FromClient, Inbox, ToClient, ToWorker, WireEnd, WireOp, WorkerIntro};
use crate::wire::Packet;
use oxidask_core::graph::Annotations;
use oxidask_core::{Error, ErrorKind, Key, Result};
use oxidask_exec::coordinator::{NewStage, Submission};
use oxidask_sched::{ClientId, Nanos, Report, SchedulerEvent, TaskId, WorkerId};
use std::sync::Arc;

impl State {
    /// Takes what a client says.
    ///
    /// # Errors
    /// If it cannot be understood; the client is to be disconnected.
    pub fn client_packet(&mut self, client: ClientId, packet: Packet) -> Result<()> {
        self.begin(|| Record::FromClient(client.0), Some(&packet));
        self.take_client_packet(client, packet)
    }

    /// The same, without the journal.
    pub(super) fn take_client_packet(&mut self, client: ClientId, packet: Packet) -> Result<()> {
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
            FromClient::Brought { seq, values } => {
                let taken = self.brought(now, client, seq, &values);
                self.refuse_unless(client, seq, taken);
            }
            FromClient::Bring { key, value } => {
                let value = match value {
                    Some(value) => Some((value.kind, inbox.frames(value.header, value.n_buffers)?)),
                    None => None,
                };
                self.bring(key, value);
            }
            FromClient::Want { seq, keys } => self.want(now, client, seq, keys),
            FromClient::Release(keys) => self.release(now, client, &keys),
            FromClient::Cancel { keys, force } => {
                let mut tasks = self.tasks_of(&keys);
                let others = || self.clients.iter().filter(|(other, _)| **other != client);
                tasks.retain(|task| force || !others().any(|(_, other)| other.claims.contains(*task)));
                self.coordinator.handle(now, SchedulerEvent::Cancel { tasks });
            }
            FromClient::Retry { seq, keys } => {
                let tasks = self.tasks_of(&keys);
                if let Some(session) = self.clients.get_mut(&client) {
                    for task in &tasks {
                        if let Some(claim) = session.claims.get_mut(*task) {
                            claim.seq = seq;
                        }
                    }
                }
                self.coordinator.handle(now, SchedulerEvent::Retry { tasks });
            }
            FromClient::NotThere { key, holder } => self.not_there(now, client, key, WorkerId(holder)),
            FromClient::Ask { request, question } => self.answer(client, request, question),
            FromClient::Coordinate { request, ask } => {
                self.coordination.ask((Asker(client.0), request), ask, self.seconds());
                self.coordinate();
            }
            FromClient::Withdraw(request) => {
                self.coordination.withdraw((Asker(client.0), request));
                self.coordinate();
            }
            FromClient::Received(request) => {
                self.coordination.received((Asker(client.0), request));
                self.coordinate();
            }
            FromClient::Watch(is_watching) => session.is_watching = is_watching,
            FromClient::Shutdown => self.shut_down(),
            FromClient::Close => {
                session.outlet.close();
                self.remove_client(client);
            }
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
        for stage in &stages {
            self.check_wishes(&stage.label, stage.annotations.as_deref())?;
        }
        let submission = Submission { stages, tasks, inputs, names, outputs };
        self.accept(now, client, seq, &submission).map(|_| ())
    }

    /// Refuses what no worker can ever satisfy. A name or a resource that nobody has
    /// yet is waited for: a worker that has it may join.
    fn check_wishes(&self, label: &str, wishes: Option<&Annotations>) -> Result<()> {
        let Some(wishes) = wishes else { return Ok(()) };
        for (name, &amount) in &wishes.resources {
            if !amount.is_finite() || amount < 0.0 {
                return Err(Error::value(format!("'{label}' asks for {amount} of the resource '{name}'"))
                    .with_hint("an amount of a resource is a number that is not negative"));
            }
        }
        if wishes.workers.is_empty() || wishes.allow_other_workers {
            return Ok(());
        }
        let named = |name: &String| {
            self.workers.values().find(|worker| worker.intro.name == *name || worker.intro.address == *name)
        };
        let has = |intro: &WorkerIntro, wanted: &str| {
            intro.resources.iter().find(|(name, _)| name == wanted).map_or(0.0, |&(_, amount)| amount)
        };
        for (name, &amount) in &wishes.resources {
            let lacks = |worker: &String| named(worker).is_some_and(|worker| has(&worker.intro, name) < amount);
            if wishes.workers.iter().all(lacks) {
                let hint = match self.workers.values().find(|worker| has(&worker.intro, name) >= amount) {
                    Some(worker) => format!("the worker '{}' has it", worker.intro.name),
                    None => format!("start a worker with {name}={amount}"),
                };
                let workers = wishes.workers.join("', '");
                return Err(Error::missing(format!(
                    "'{label}' asks for {amount} of the resource '{name}', and for '{workers}', which has less"
                ))
                .with_hint(hint));
            }
        }
        Ok(())
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
                    let error =
                        Error::new(ErrorKind::Lost, "no value with this key is held any more").in_task(key.to_string());
                    let end = WireEnd::Failed(session.outbox.error(&error));
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
            let Some(claim) = session.claims.get_mut(task) else { continue };
            let count = count.min(claim.count);
            claim.count -= count;
            if claim.count == 0 {
                session.claims.remove(task);
            }
            tasks.extend((0..count).map(|_| task));
        }
        self.coordinator.handle(now, SchedulerEvent::Release { client, tasks });
    }

    pub(super) fn tasks_of(&self, keys: &[Key]) -> Vec<TaskId> {
        keys.iter().filter_map(|&key| self.coordinator.task_of(key)).collect()
    }

    /// A client could not read a result where it was said to be: the core is
    /// told, and the client where it is now.
    fn not_there(&mut self, now: Nanos, client: ClientId, key: Key, holder: WorkerId) {
        let Some(task) = self.coordinator.task_of(key) else { return };
        if let Some(worker) = self.workers.get_mut(&holder)
            && worker.holds.remove(task).is_some()
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
}

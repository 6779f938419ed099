//! Values that clients bring: which worker gets them, and what happens if that
//! worker dies before it has them.
//!
//! Large ones a client brings straight to workers and then says where they are, so
//! that neither the scheduler's memory nor its journal sees them. Small ones come
//! with the message, and so do those whose workers died meanwhile.

use super::sessions::HeldOp;
use super::state::State;
use crate::protocol::{BroughtValue, ToClient};
use hashbrown::HashMap;
use oxidask_core::{Error, Frames, Key, Result};
use oxidask_exec::coordinator::{RowSource, Submission, TaskRow};
use oxidask_sched::{ClientId, Nanos, SchedulerEvent, TaskId, WorkerId};
use std::sync::Arc;

/// The server's own claims, on values until workers have confirmed them: their
/// task numbers must not be given again while such a value is under way.
const SERVER: ClientId = ClientId(0);

/// A value that is on its way to workers. Its bytes are kept until one has
/// confirmed it: here, or by the client that brought it.
#[derive(Debug)]
pub struct Unplaced {
    key: Key,
    value: Held,
    /// Who it was sent to and has not confirmed.
    under_way: Vec<WorkerId>,
    is_placed: bool,
}

/// Who keeps the bytes of a value that no worker has confirmed.
#[derive(Debug)]
enum Held {
    Here(String, Frames),
    ByClient(ClientId),
    /// The client was asked for it.
    Called(ClientId),
    Nowhere,
}

impl State {
    /// Takes values from a client and sends each to one worker, or to all.
    pub(super) fn scatter(
        &mut self,
        now: Nanos,
        client: ClientId,
        seq: u32,
        values: Vec<(Key, String, Frames)>,
        workers: &[String],
        broadcast: bool,
    ) -> Result<()> {
        let targets = self.targets(workers)?;
        let sizes = values.iter().map(|(key, _, frames)| (*key, frames.nbytes()));
        for (task, number) in self.accept_values(now, client, seq, sizes)? {
            let (key, kind, frames) = values[number as usize].clone();
            let first = targets.get(self.next_target % targets.len().max(1)).copied();
            self.next_target = self.next_target.wrapping_add(1);
            let chosen = targets.iter().copied().filter(|&worker| broadcast || Some(worker) == first);
            let under_way: Vec<WorkerId> = chosen.collect();
            for worker in &under_way {
                if let Some(session) = self.workers.get_mut(worker) {
                    session.put(task, key, &kind, frames.clone());
                }
            }
            self.coordinator.want(now, SERVER, key);
            self.unplaced.insert(task, Unplaced { key, value: Held::Here(kind, frames), under_way, is_placed: false });
        }
        Ok(())
    }

    /// Takes values that a client has brought to workers.
    pub(super) fn brought(&mut self, now: Nanos, client: ClientId, seq: u32, values: &[BroughtValue]) -> Result<()> {
        let sizes = values.iter().map(|value| (value.key, value.bytes));
        let accepted = self.accept_values(now, client, seq, sizes)?;
        let tasks: HashMap<u32, TaskId> = accepted.into_iter().map(|(task, number)| (number, task)).collect();
        for (number, BroughtValue { key, workers, .. }) in (0_u32..).zip(values) {
            let task = tasks.get(&number).copied();
            let mut under_way = Vec::with_capacity(workers.len());
            for &worker in workers {
                let Some(session) = self.workers.get_mut(&WorkerId(worker)) else { continue };
                // Who leaves need not take what would only have to be moved again.
                let adopts = task.filter(|_| !session.is_leaving);
                session.adopt(adopts, *key);
                under_way.extend(adopts.map(|_| WorkerId(worker)));
            }
            if let Some(task) = task {
                self.coordinator.want(now, SERVER, *key);
                let value = Held::ByClient(client);
                self.unplaced.insert(task, Unplaced { key: *key, value, under_way, is_placed: false });
            }
        }
        self.place_stranded();
        Ok(())
    }

    /// Has the core know values by key and size; answers those that are new, with
    /// their positions.
    fn accept_values(
        &mut self,
        now: Nanos,
        client: ClientId,
        seq: u32,
        values: impl ExactSizeIterator<Item = (Key, u64)>,
    ) -> Result<Vec<(TaskId, u32)>> {
        let row = |(number, (key, bytes)): (u32, (Key, u64))| TaskRow {
            key,
            source: RowSource::Data(number),
            block: 0,
            inputs_start: 0,
            n_inputs: 0,
            rank: 0,
            bytes,
        };
        let outputs = (0..values.len() as u32).collect();
        let tasks = (0..).zip(values).map(row).collect();
        let submission: Submission<Arc<HeldOp>> =
            Submission { stages: Vec::new(), tasks, inputs: Vec::new(), names: Vec::new(), outputs };
        let accepted = self.accept(now, client, seq, &submission)?;
        // A number may have been another task's until just now: the order to free that
        // one must reach the worker before the value does.
        self.carry_out();
        Ok(accepted)
    }

    /// A value that a client was asked for; none if it has forgotten it.
    pub(super) fn bring(&mut self, key: Key, brought: Option<(String, Frames)>) {
        let task = self.coordinator.task_of(key);
        if let Some(value) = task.and_then(|task| self.unplaced.get_mut(&task))
            && matches!(value.value, Held::Called(_))
        {
            value.value = brought.map_or(Held::Nowhere, |(kind, frames)| Held::Here(kind, frames));
            self.place_stranded();
        }
    }

    /// The workers that a client named, by name or address; all for none.
    fn targets(&self, names: &[String]) -> Result<Vec<WorkerId>> {
        let targets: Vec<WorkerId> = self
            .workers
            .iter()
            .filter(|(_, worker)| {
                !worker.is_leaving
                    && (names.is_empty() || names.contains(&worker.intro.name) || names.contains(&worker.intro.address))
            })
            .map(|(&id, _)| id)
            .collect();
        if targets.is_empty() && !names.is_empty() {
            let there: Vec<&str> = self.workers.values().map(|worker| worker.intro.name.as_str()).collect();
            return Err(Error::missing(format!("no worker is called {}", names.join(", ")))
                .with_hint(format!("the workers are {}", there.join(", "))));
        }
        Ok(targets)
    }

    /// A worker holds a value that a client brought.
    pub(super) fn placed(&mut self, now: Nanos, worker: WorkerId, task: TaskId, bytes: u64) {
        self.coordinator.handle(now, SchedulerEvent::Placed { task, worker, bytes });
        if let Some(value) = self.unplaced.get_mut(&task) {
            value.is_placed = true;
            value.under_way.retain(|&other| other != worker);
        }
        self.settle(now, task);
    }

    /// Forgets a value that no worker has to confirm any more.
    fn settle(&mut self, now: Nanos, task: TaskId) {
        if self.unplaced.get(&task).is_some_and(|value| value.is_placed && value.under_way.is_empty()) {
            self.unplaced.remove(&task);
            self.coordinator.handle(now, SchedulerEvent::Release { client: SERVER, tasks: vec![task] });
        }
    }

    /// Sends values that waited for a worker to one that is there, and asks clients
    /// for those that only they have. What nobody has any more is cancelled.
    pub(super) fn place_stranded(&mut self) {
        let mut lost = Vec::new();
        for (&task, value) in
            self.unplaced.iter_mut().filter(|(_, value)| !value.is_placed && value.under_way.is_empty())
        {
            match &value.value {
                Held::Here(kind, frames) => {
                    let mut there: Vec<_> = self.workers.iter_mut().filter(|(_, worker)| !worker.is_leaving).collect();
                    let n_workers = there.len().max(1);
                    let Some((worker, session)) = there.get_mut(self.next_target % n_workers) else { continue };
                    self.next_target = self.next_target.wrapping_add(1);
                    session.put(task, value.key, kind, frames.clone());
                    value.under_way.push(**worker);
                }
                &Held::ByClient(client) | &Held::Called(client) => match self.clients.get_mut(&client) {
                    Some(session) => {
                        if matches!(value.value, Held::ByClient(_)) {
                            session.outbox.push(ToClient::Bring(value.key));
                            value.value = Held::Called(client);
                        }
                    }
                    None => lost.push(task),
                },
                Held::Nowhere => lost.push(task),
            }
        }
        if lost.is_empty() {
            return;
        }
        let now = self.now();
        lost.iter().for_each(|task| drop(self.unplaced.remove(task)));
        self.coordinator.handle(now, SchedulerEvent::Cancel { tasks: lost.clone() });
        self.coordinator.handle(now, SchedulerEvent::Release { client: SERVER, tasks: lost });
    }

    /// A worker that was to have a value has it not.
    pub(super) fn not_brought(&mut self, now: Nanos, worker: WorkerId, task: TaskId) {
        if let Some(value) = self.unplaced.get_mut(&task) {
            value.under_way.retain(|&other| other != worker);
        }
        self.settle(now, task);
        self.place_stranded();
    }

    /// A worker is gone: what it had not confirmed goes to another.
    pub(super) fn replace_unconfirmed(&mut self, now: Nanos, worker: WorkerId) {
        let mut touched = Vec::new();
        for (&task, value) in self.unplaced.iter_mut().filter(|(_, value)| value.under_way.contains(&worker)) {
            value.under_way.retain(|&other| other != worker);
            touched.push(task);
        }
        for task in touched {
            self.settle(now, task);
        }
        self.place_stranded();
    }
}

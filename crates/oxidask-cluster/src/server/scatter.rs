//! Values that clients bring: which worker gets them, and what happens if that
//! worker dies before it has them.

use super::sessions::HeldOp;
use super::state::State;
use oxidask_core::{Error, Frames, Key, Result};
use oxidask_exec::coordinator::{RowSource, Submission, TaskRow};
use oxidask_sched::{ClientId, Nanos, SchedulerEvent, TaskId, WorkerId};
use std::sync::Arc;

/// The server's own claims, on values until workers have confirmed them: their
/// task numbers must not be given again while such a value is under way.
const SERVER: ClientId = ClientId(0);

/// A value that is on its way to workers. The scheduler keeps its bytes until
/// one has confirmed it.
#[derive(Debug)]
pub struct Unplaced {
    key: Key,
    kind: String,
    frames: Frames,
    /// Who it was sent to and has not confirmed.
    under_way: Vec<WorkerId>,
    is_placed: bool,
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
        let row = |(number, (key, _, frames)): (usize, &(Key, String, Frames))| TaskRow {
            key: *key,
            source: RowSource::Data(number as u32),
            block: 0,
            inputs_start: 0,
            n_inputs: 0,
            rank: 0,
            bytes: frames.nbytes(),
        };
        let submission: Submission<Arc<HeldOp>> = Submission {
            stages: Vec::new(),
            tasks: values.iter().enumerate().map(row).collect(),
            inputs: Vec::new(),
            names: Vec::new(),
            outputs: (0..values.len() as u32).collect(),
        };
        let accepted = self.accept(now, client, seq, &submission)?;
        // A number may have been another task's until just now: the order to free that
        // one must reach the worker before the value does.
        self.carry_out();
        for (task, number) in accepted {
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
            self.unplaced.insert(task, Unplaced { key, kind, frames, under_way, is_placed: false });
        }
        Ok(())
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

    /// Sends values that waited for a worker to one that is there.
    pub(super) fn place_stranded(&mut self) {
        for (&task, value) in
            self.unplaced.iter_mut().filter(|(_, value)| !value.is_placed && value.under_way.is_empty())
        {
            let n_workers = self.workers.len().max(1);
            let Some((&worker, session)) = self.workers.iter_mut().nth(self.next_target % n_workers) else { return };
            self.next_target = self.next_target.wrapping_add(1);
            session.put(task, value.key, &value.kind, value.frames.clone());
            value.under_way.push(worker);
        }
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

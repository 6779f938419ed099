//! What the scheduler knows of each connection.

use super::paged::Paged;
use crate::blobs::{KeptBlobs, SentBlobs};
use crate::protocol::{
    FromWorker, Metrics, Outbox, ToClient, ToWorker, WireCompute, WireEnd, WireValue, WorkerInfo, WorkerIntro,
};
use crate::wire::Outlet;
use hashbrown::{HashMap, HashSet};
use oxidask_core::{EncodedOp, Frames, Key};
use oxidask_exec::coordinator::{Job, TaskEnd};
use oxidask_sched::{Compute, Order, TaskId, WorkerId};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Instant;

/// An op as the scheduler holds it: bytes to hand on.
#[derive(Debug)]
pub struct HeldOp {
    /// What users read.
    pub label: Arc<str>,
    /// The bytes.
    pub op: EncodedOp,
    /// Whether it runs a user's function.
    pub runs_user_code: bool,
}

/// A client's claim on a task.
#[derive(Debug)]
pub struct Claim {
    /// The task's key.
    pub key: Key,
    /// The newest submission that claims it.
    pub seq: u32,
    /// How many submissions claim it.
    pub count: u32,
}

/// A client, connected or away for a while.
#[derive(Debug)]
pub struct ClientSession {
    /// The number by which it comes back.
    pub session: u128,
    /// Since when it has been away, if it is.
    pub away_since: Option<Instant>,
    /// Packets whose acknowledgement the journal knows of.
    pub n_noted: u64,
    pub outlet: Outlet,
    pub outbox: Outbox<ToClient>,
    pub blobs: KeptBlobs,
    pub claims: Paged<Claim>,
    pub is_watching: bool,
    /// Submissions by graph number, while the client watches.
    pub graphs: HashMap<u64, u32>,
}

impl ClientSession {
    pub fn new(session: u128, outlet: Outlet) -> Self {
        ClientSession {
            session,
            away_since: None,
            n_noted: 0,
            outlet,
            outbox: Outbox::default(),
            blobs: KeptBlobs::default(),
            claims: Paged::default(),
            is_watching: false,
            graphs: HashMap::new(),
        }
    }

    /// Counts a claim of submission `seq`.
    pub fn claim(&mut self, task: TaskId, key: Key, seq: u32) {
        let claim = self.claims.get_or_insert_with(task, || Claim { key, seq, count: 0 });
        claim.seq = seq;
        claim.count += 1;
    }

    /// Tells how a task ended; `value` is its result if that is small and came
    /// along just now.
    pub fn ended(&mut self, task: TaskId, end: TaskEnd, value: Option<&(String, Frames)>) {
        let Some(claim) = self.claims.get(task) else { return };
        let end = match end {
            TaskEnd::Done { holder, bytes } => {
                let value = value.map(|(kind, frames)| self.outbox.frames(kind, frames.clone()));
                WireEnd::Done { holder: holder.0, task: task.0, bytes, value }
            }
            TaskEnd::Failed(error) => WireEnd::Failed(self.outbox.error(&error)),
            TaskEnd::Cancelled => WireEnd::Cancelled,
            TaskEnd::Pending => WireEnd::Pending,
        };
        self.outbox.push(ToClient::Ended { seq: claim.seq, key: claim.key, end });
    }

    /// Sends what was put into the outbox.
    pub fn flush(&mut self) {
        if self.outbox.is_empty() {
            return;
        }
        match self.outbox.take() {
            Ok(packet) => self.outlet.send(packet),
            // Beyond the limits of the wire: the peer would not take it.
            Err(_) => self.outlet.close(),
        }
    }
}

/// A task that a worker was given.
#[derive(Debug)]
pub struct Given {
    pub attempt: u32,
    pub job: Job<Arc<HeldOp>>,
}

/// What a worker without tasks to run knows of stages and results, as it is written
/// down: numbers, and tasks with their keys.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct WrittenWork {
    stages: Vec<u32>,
    expected: Vec<(u32, Key)>,
    holds: Vec<(u32, Key)>,
}

/// A worker, connected or away for a while.
#[derive(Debug)]
pub struct WorkerSession {
    /// The number by which it comes back.
    pub session: u128,
    /// Packets whose acknowledgement the journal knows of.
    pub n_noted: u64,
    pub intro: WorkerIntro,
    pub outlet: Outlet,
    pub outbox: Outbox<ToWorker>,
    /// Whether there is a task in the outbox.
    pub has_work: bool,
    pub blobs: SentBlobs,
    stages: HashSet<u32>,
    /// Tasks it was given and has not reported on.
    pub given: HashMap<TaskId, Given>,
    /// Results that are on their way to it without being computed there.
    expected: HashMap<TaskId, Key>,
    /// Results it holds, for questions; the core has its own, dense table.
    pub holds: Paged<Key>,
    pub metrics: Metrics,
    pub heard: Instant,
    pub is_leaving: bool,
}

impl WorkerSession {
    pub fn new(session: u128, intro: WorkerIntro, outlet: Outlet) -> Self {
        WorkerSession {
            session,
            n_noted: 0,
            intro,
            outlet,
            outbox: Outbox::default(),
            has_work: false,
            blobs: SentBlobs::default(),
            stages: HashSet::new(),
            given: HashMap::new(),
            expected: HashMap::new(),
            holds: Paged::default(),
            metrics: Metrics::default(),
            heard: Instant::now(),
            is_leaving: false,
        }
    }

    /// What it knows of tasks and results, to be written down; none while it has
    /// tasks to run.
    pub fn to_written(&self) -> Option<WrittenWork> {
        let mut expected: Vec<(u32, Key)> = self.expected.iter().map(|(task, &key)| (task.0, key)).collect();
        expected.sort_unstable();
        let holds = self.holds.iter().map(|(task, &key)| (task.0, key)).collect();
        let mut stages: Vec<u32> = self.stages.iter().copied().collect();
        stages.sort_unstable();
        let written = WrittenWork { stages, expected, holds };
        self.given.is_empty().then_some(written)
    }

    /// Reads what was written down.
    pub fn read_written(&mut self, written: WrittenWork) {
        let numbered = |(task, key): (u32, Key)| (TaskId(task), key);
        self.stages = written.stages.into_iter().collect();
        self.expected = written.expected.into_iter().map(numbered).collect();
        self.holds = written.holds.into_iter().map(numbered).collect();
    }

    pub fn info(&self, worker: WorkerId) -> WorkerInfo {
        WorkerInfo {
            id: worker.0,
            intro: self.intro.clone(),
            metrics: self.metrics,
            silent_ms: u64::try_from(self.heard.elapsed().as_millis()).unwrap_or(u64::MAX),
        }
    }

    /// Puts an order into the outbox, with what the worker lacks to follow it.
    pub fn order(&mut self, order: Order, job: Option<Job<Arc<HeldOp>>>, keys: Vec<Key>, is_wanted: bool) {
        let message = match order {
            Order::Compute(compute) => {
                let Some(job) = job else { return };
                self.stage(&job);
                // What is fetched for a task stays as a copy.
                self.expected.extend(compute.fetch.iter().map(|from| from.piece.task).zip(keys.iter().copied()));
                self.has_work = true;
                self.given.insert(compute.task, Given { attempt: compute.attempt.0, job: job.clone() });
                ToWorker::Compute(Box::new(wire_compute(compute, &job, &keys, is_wanted)))
            }
            Order::Retract { task, attempt } => ToWorker::Retract(task.0, attempt.0),
            Order::Abandon { task, attempt } => ToWorker::Abandon(task.0, attempt.0),
            Order::Free(task) => {
                self.holds.remove(task);
                self.expected.remove(&task);
                ToWorker::Free(task.0)
            }
            Order::Copy { task, bytes, holder } => {
                let Some(&key) = keys.first() else { return };
                self.expected.insert(task, key);
                ToWorker::Copy { task: task.0, key, bytes, holder: holder.0 }
            }
        };
        self.outbox.push(message);
    }

    fn stage(&mut self, job: &Job<Arc<HeldOp>>) {
        if !self.stages.insert(job.stage) {
            return;
        }
        let held = &job.handle;
        let op = self.blobs.op(&held.op, held.runs_user_code, &mut self.outbox, ToWorker::Blob);
        self.outbox.push(ToWorker::Stage { number: job.stage, label: held.label.clone(), op });
        self.blobs.trim(&mut self.outbox, ToWorker::Blob);
    }

    /// Tells the worker that a stage's number is free again, if it knew it.
    pub fn stage_dropped(&mut self, stage: u32) {
        if self.stages.remove(&stage) {
            self.outbox.push(ToWorker::DropStage(stage));
        }
    }

    /// Puts a value that a client brought into the outbox.
    pub fn put(&mut self, task: TaskId, key: Key, kind: &str, frames: Frames) {
        self.expected.insert(task, key);
        let value: WireValue = self.outbox.frames(kind, frames);
        self.outbox.push(ToWorker::Put { task: task.0, key, value });
    }

    /// Tells the worker which task a value stands for that a client brought to it, or
    /// that it need not keep it.
    pub fn adopt(&mut self, task: Option<TaskId>, key: Key) {
        self.expected.extend(task.map(|task| (task, key)));
        self.outbox.push(ToWorker::Adopt { task: task.map(|task| task.0), key });
    }

    /// Notes what a report says about tasks and results. Answers the task that
    /// ended with it.
    pub fn note(&mut self, message: &FromWorker) -> Option<Given> {
        match *message {
            FromWorker::Done { task, attempt, .. } => {
                let given = self.end(task, attempt)?;
                self.holds.insert(TaskId(task), given.job.key);
                Some(given)
            }
            FromWorker::Failed { task, attempt, .. } | FromWorker::MissingInput { task, attempt, .. } => {
                self.end(task, attempt)
            }
            FromWorker::Retracted(task, attempt) | FromWorker::Abandoned(task, attempt) => {
                self.end(task, attempt);
                None
            }
            FromWorker::Copied(task, _) | FromWorker::HasPut(task, _) => {
                if let Some(key) = self.expected.remove(&TaskId(task)) {
                    self.holds.insert(TaskId(task), key);
                }
                None
            }
            FromWorker::HasNot(task) => {
                self.expected.remove(&TaskId(task));
                None
            }
            FromWorker::Dropped(task) => {
                self.holds.remove(TaskId(task));
                None
            }
            FromWorker::Lent(_) => None,
            FromWorker::Memory(resident, spilled, is_paused) => {
                self.metrics = Metrics { resident, spilled, is_paused, ..self.metrics };
                None
            }
            FromWorker::Leaving => None,
            FromWorker::Heartbeat(process) => {
                self.metrics.process = process;
                None
            }
        }
    }

    fn end(&mut self, task: u32, attempt: u32) -> Option<Given> {
        let is_current = self.given.get(&TaskId(task)).is_some_and(|given| given.attempt == attempt);
        is_current.then(|| self.given.remove(&TaskId(task)))?
    }

    /// Sends what was put into the outbox.
    pub fn flush(&mut self) {
        self.has_work = false;
        if self.outbox.is_empty() {
            return;
        }
        match self.outbox.take() {
            Ok(packet) => self.outlet.send(packet),
            // Beyond the limits of the wire: the peer would not take it.
            Err(_) => self.outlet.close(),
        }
    }
}

fn wire_compute(compute: Compute, job: &Job<Arc<HeldOp>>, keys: &[Key], is_wanted: bool) -> WireCompute {
    WireCompute {
        task: compute.task.0,
        attempt: compute.attempt.0,
        priority: compute.priority,
        bytes: compute.bytes,
        fetch: compute
            .fetch
            .iter()
            .zip(keys)
            .map(|(from, &key)| (from.piece.task.0, from.piece.part, from.bytes, from.holder.0, key))
            .collect(),
        inputs: compute.inputs.iter().map(|piece| (piece.task.0, piece.part)).collect(),
        group: compute.group.0,
        key: job.key,
        stage: job.stage,
        block: job.block,
        graph: job.graph,
        name: job.name.clone(),
        is_wanted,
    }
}

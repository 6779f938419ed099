//! A coordinator at rest, as it is written down: results that somebody holds, what
//! ended badly, and what both were made from. One that is told it goes on as the
//! first would.

use super::attempts::AttemptEnd;
use super::{Coordinator, NO_STAGE, Row, StageRow, hash};
use crate::Encoded;
use bytes::Bytes;
use oxidask_core::error::ErrorFields;
use oxidask_core::{Error, Frames, Key, Result};
use oxidask_sched::{
    Attempt, Failure, GroupId, GroupSpec, Piece, ResourceId, Rest, Resting, RestingTask, SchedulerConfig, TaskId,
    WorkerId, WorkerName,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// See the module's head. `H` is how the driver writes an op down.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Written<H> {
    names: WrittenNames,
    stages: Vec<WrittenStage<H>>,
    tasks: Vec<WrittenTask>,
    errors: Vec<(u32, WrittenError)>,
    attempts: Vec<(u32, Vec<WrittenAttempt>)>,
    watched: Vec<u32>,
    n_graphs: u32,
    last_attempt: u32,
    keeps_replicas: bool,
}

impl<H> Default for Written<H> {
    fn default() -> Self {
        Written {
            names: WrittenNames::default(),
            stages: Vec::new(),
            tasks: Vec::new(),
            errors: Vec::new(),
            attempts: Vec::new(),
            watched: Vec::new(),
            n_graphs: 0,
            last_attempt: 0,
            keeps_replicas: false,
        }
    }
}

/// Numbers of names, which tasks refer to.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct WrittenNames {
    workers: Vec<(String, u32)>,
    aliases: Vec<(String, Vec<u32>)>,
    resources: Vec<(String, u32)>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct WrittenStage<H> {
    number: u32,
    /// None for the values that clients bring.
    op: Option<(H, Arc<str>)>,
    retries: u32,
    workers: Vec<u32>,
    allow_other_workers: bool,
    resources: Vec<(u32, f64)>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct WrittenTask {
    number: u32,
    key: Key,
    stage: u32,
    block: u32,
    graph: u32,
    name: Option<Arc<str>>,
    attempt: u32,
    priority: u64,
    bytes: u64,
    runnable: bool,
    was_placed: bool,
    errors: u32,
    crashes: u16,
    rest: WrittenRest,
    claims: Vec<(u32, u32)>,
    inputs: Vec<(u32, u32)>,
}

/// See [`Rest`]; a failure is its number.
#[derive(Clone, Debug, Serialize, Deserialize)]
enum WrittenRest {
    Idle,
    Done(Vec<u32>),
    Failed(u32, u8),
    Lost(u32),
    Cancelled,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct WrittenError {
    fields: ErrorFields,
    /// Kind, header and buffers.
    payload: Option<(String, Bytes, Vec<Bytes>)>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct WrittenAttempt {
    attempt: u32,
    worker: u32,
    worker_name: Arc<str>,
    ended_ns: u64,
    what: String,
}

const FAILURES: [Failure; 4] = [Failure::Error, Failure::Crash, Failure::Fatal, Failure::Again];

impl<H: Clone> Coordinator<H> {
    /// What is to be written down, if nothing runs, waits or moves; `write` writes
    /// an op.
    #[must_use]
    pub fn at_rest<W>(&self, mut write: impl FnMut(&H) -> W) -> Option<Written<W>> {
        let Resting { groups, tasks, last_attempt, keeps_replicas } = self.core.at_rest()?;
        let stages = groups.into_iter().map(|(group, spec)| {
            let row = self.stages.get(group.0 as usize).and_then(Option::as_ref);
            WrittenStage {
                number: group.0,
                op: row.map(|row| (write(&row.handle), row.label.clone())),
                retries: spec.retries,
                workers: spec.workers.iter().map(|worker| worker.0).collect(),
                allow_other_workers: spec.allow_other_workers,
                resources: spec.resources.iter().map(|&(resource, amount)| (resource.0, amount)).collect(),
            }
        });
        let stages = stages.collect();
        let mut errors: Vec<(u32, WrittenError)> =
            self.errors.iter().map(|(task, error)| (task.0, WrittenError::of(error))).collect();
        errors.sort_unstable_by_key(|&(task, _)| task);
        let mut attempts: Vec<(u32, Vec<WrittenAttempt>)> = tasks
            .iter()
            .map(|task| (task.id.0, self.attempts(task.id).iter().map(WrittenAttempt::of).collect::<Vec<_>>()))
            .filter(|(_, ends)| !ends.is_empty())
            .collect();
        attempts.sort_unstable_by_key(|&(task, _)| task);
        let mut watched: Vec<u32> = self.watched.iter().map(|task| task.0).collect();
        watched.sort_unstable();
        Some(Written {
            names: self.written_names(),
            stages,
            tasks: tasks.into_iter().map(|task| self.written(task)).collect(),
            errors,
            attempts,
            watched,
            n_graphs: self.n_graphs,
            last_attempt,
            keeps_replicas,
        })
    }

    fn written_names(&self) -> WrittenNames {
        fn sorted<T: Ord>(all: impl Iterator<Item = (String, T)>) -> Vec<(String, T)> {
            let mut all: Vec<(String, T)> = all.collect();
            all.sort_unstable();
            all
        }
        let numbers = |workers: &Vec<WorkerName>| workers.iter().map(|worker| worker.0).collect::<Vec<_>>();
        WrittenNames {
            workers: sorted(self.worker_names.iter().map(|(name, number)| (name.clone(), number.0))),
            aliases: sorted(self.aliases.iter().map(|(alias, workers)| (alias.clone(), numbers(workers)))),
            resources: sorted(self.resources.iter().map(|(name, number)| (name.clone(), number.0))),
        }
    }

    fn written(&self, task: RestingTask) -> WrittenTask {
        let row = &self.rows[task.id.0 as usize];
        WrittenTask {
            number: task.id.0,
            key: row.key,
            stage: row.stage,
            block: row.block,
            graph: row.graph,
            name: row.named.then(|| self.names[&task.id].clone()),
            attempt: task.attempt,
            priority: task.priority,
            bytes: task.bytes,
            runnable: task.runnable,
            was_placed: task.was_placed,
            errors: task.errors,
            crashes: task.crashes,
            rest: match task.rest {
                Rest::Idle => WrittenRest::Idle,
                Rest::Done(holders) => WrittenRest::Done(holders.iter().map(|worker| worker.0).collect()),
                Rest::Failed { culprit, failure } => {
                    let number = FAILURES.iter().position(|&other| other == failure).unwrap_or(0);
                    WrittenRest::Failed(culprit.0, number as u8)
                }
                Rest::Lost { culprit } => WrittenRest::Lost(culprit.0),
                Rest::Cancelled => WrittenRest::Cancelled,
            },
            claims: task.claims,
            inputs: task.inputs.iter().map(|piece| (piece.task.0, piece.part)).collect(),
        }
    }

    /// A coordinator that knows the names that another one knew; to be told of the
    /// workers, and then, with [`Coordinator::resume`], of the tasks.
    #[must_use]
    pub fn with_names_of<W>(config: SchedulerConfig, written: &Written<W>) -> Self {
        let mut coordinator = Coordinator::new(config);
        let WrittenNames { workers, aliases, resources } = &written.names;
        coordinator.worker_names = workers.iter().map(|(name, number)| (name.clone(), WorkerName(*number))).collect();
        coordinator.resources = resources.iter().map(|(name, number)| (name.clone(), ResourceId(*number))).collect();
        let numbers = |workers: &Vec<u32>| workers.iter().map(|&worker| WorkerName(worker)).collect();
        coordinator.aliases = aliases.iter().map(|(alias, workers)| (alias.clone(), numbers(workers))).collect();
        coordinator
    }

    /// Takes over the tasks of a coordinator that was at rest; `read` reads an op with
    /// what users call it.
    /// There must be no task, and the workers must be known.
    ///
    /// # Errors
    /// If `read` fails or the tables do not fit together, as those of another
    /// version may; then this coordinator must not be used any more.
    pub fn resume<W>(&mut self, written: Written<W>, mut read: impl FnMut(&Arc<str>, W) -> Result<H>) -> Result<()> {
        let mut groups = Vec::with_capacity(written.stages.len());
        for stage in written.stages {
            groups.push((GroupId(stage.number), stage.spec()));
            let index = stage.number as usize;
            if self.stages.len() <= index {
                self.stages.resize_with(index + 1, || None);
            }
            if let Some((op, label)) = stage.op {
                self.stages[index] = Some(StageRow { handle: read(&label, op)?, label, n_tasks: 0 });
            }
        }
        let free = (1..self.stages.len() as u32).rev().filter(|&stage| self.stages[stage as usize].is_none());
        self.free_stages = free.collect();
        let mut tasks = Vec::with_capacity(written.tasks.len());
        for task in written.tasks {
            tasks.push(self.take_over(task)?);
        }
        let unused = (0..self.rows.len() as u32).rev().filter(|&task| !self.rows[task as usize].is_live);
        self.free_tasks = unused.collect();
        for (task, error) in written.errors {
            self.errors.insert(TaskId(task), error.read()?);
        }
        for (task, ends) in written.attempts {
            for end in ends {
                self.attempts.add(TaskId(task), end.read());
            }
        }
        self.watched = written.watched.into_iter().map(TaskId).collect();
        self.n_graphs = written.n_graphs;
        let (last_attempt, keeps_replicas) = (written.last_attempt, written.keeps_replicas);
        self.core.resume(Resting { groups, tasks, last_attempt, keeps_replicas });
        Ok(())
    }

    fn take_over(&mut self, task: WrittenTask) -> Result<RestingTask> {
        let id = task.number;
        let nobody = Row { key: task.key, stage: NO_STAGE, block: 0, graph: 0, named: false, is_live: false };
        while self.rows.len() <= id as usize {
            self.rows.push(Row { ..nobody });
        }
        let row = Row { stage: task.stage, block: task.block, graph: task.graph, is_live: true, ..nobody };
        self.rows[id as usize] = Row { named: task.name.is_some(), ..row };
        self.names.extend(task.name.map(|name| (TaskId(id), name)));
        let rows = &self.rows;
        self.tasks.insert_unique(hash(task.key), id, |&other| hash(rows[other as usize].key));
        self.n_live += 1;
        if task.stage != NO_STAGE {
            let stage = self.stages.get_mut(task.stage as usize).and_then(Option::as_mut);
            stage.ok_or_else(|| Error::value("a task that was written down has no stage"))?.n_tasks += 1;
        }
        let workers = |holders: Vec<u32>| holders.into_iter().map(WorkerId).collect();
        Ok(RestingTask {
            id: TaskId(id),
            attempt: task.attempt,
            priority: task.priority,
            bytes: task.bytes,
            group: GroupId(task.stage),
            runnable: task.runnable,
            was_placed: task.was_placed,
            errors: task.errors,
            crashes: task.crashes,
            rest: match task.rest {
                WrittenRest::Idle => Rest::Idle,
                WrittenRest::Done(holders) => Rest::Done(workers(holders)),
                WrittenRest::Failed(culprit, failure) => {
                    let failure = FAILURES.get(usize::from(failure)).copied().unwrap_or(Failure::Error);
                    Rest::Failed { culprit: TaskId(culprit), failure }
                }
                WrittenRest::Lost(culprit) => Rest::Lost { culprit: TaskId(culprit) },
                WrittenRest::Cancelled => Rest::Cancelled,
            },
            claims: task.claims,
            inputs: task.inputs.into_iter().map(|(task, part)| Piece { task: TaskId(task), part }).collect(),
        })
    }
}

impl<H> WrittenStage<H> {
    fn spec(&self) -> GroupSpec {
        GroupSpec {
            retries: self.retries,
            workers: self.workers.iter().map(|&worker| WorkerName(worker)).collect(),
            allow_other_workers: self.allow_other_workers,
            resources: self.resources.iter().map(|&(resource, amount)| (ResourceId(resource), amount)).collect(),
        }
    }
}

impl WrittenError {
    /// A payload that cannot be encoded is left out: the fields say enough.
    fn of(error: &Error) -> Self {
        let payload = error.payload().and_then(|payload| {
            let Frames { header, buffers } = payload.data().encode().ok()?;
            Some((payload.data().kind().to_owned(), header, buffers))
        });
        WrittenError { fields: error.to_fields(), payload }
    }

    fn read(self) -> Result<Error> {
        let payload = self.payload.map(|(kind, header, buffers)| Encoded::value(&kind, Frames { header, buffers }));
        Ok(Error::from_fields(self.fields, payload.transpose()?))
    }
}

impl WrittenAttempt {
    fn of(end: &AttemptEnd) -> Self {
        let AttemptEnd { attempt, worker, worker_name, ended_ns, what } = end.clone();
        WrittenAttempt { attempt: attempt.0, worker: worker.0, worker_name, ended_ns, what }
    }

    fn read(self) -> AttemptEnd {
        let WrittenAttempt { attempt, worker, worker_name, ended_ns, what } = self;
        AttemptEnd { attempt: Attempt(attempt), worker: WorkerId(worker), worker_name, ended_ns, what }
    }
}

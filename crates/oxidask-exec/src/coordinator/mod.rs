//! The scheduler's side: the scheduler core, and the tables that give its
//! numbers a meaning (keys, ops, names, errors).
//!
//! It does no I/O and decodes nothing. `H` is however the driver holds an op:
//! `Arc<Work>` in one process, encoded bytes in a scheduler process of its own.
//! Whoever drives it calls one of the methods that take `now`, then carries out
//! the effects in order.

mod accept;
mod attempts;
mod explain;
mod rest;
mod submission;
#[cfg(test)]
mod tests;

pub use attempts::AttemptEnd;
pub use rest::Written;
pub use submission::{NewStage, RowSource, Submission, TaskRow};

use accept::PART_TASKS;
use attempts::{Attempts, error_text, loss_text};
use hashbrown::{HashMap, HashSet, HashTable};
use oxidask_core::{Error, ErrorKind, Key};
use oxidask_sched::{
    Attempt, ClientId, Failure, Nanos, Order, Outcome, Report, ResourceId, Scheduler, SchedulerAction, SchedulerConfig,
    SchedulerEvent, TaskId, WorkerId, WorkerName,
};
use std::sync::Arc;

/// What became of a [`Submission`].
#[derive(Clone, Debug)]
pub struct Accepted {
    /// The number of this graph, for observers.
    pub graph: u64,
    /// The tasks of [`Submission::outputs`], in order.
    pub outputs: Vec<TaskId>,
    /// Values the client has to bring, as (task, number of [`RowSource::Data`]):
    /// those that were not known before. Tell their arrival on a worker with
    /// [`SchedulerEvent::Placed`].
    pub data: Vec<(TaskId, u32)>,
    /// How many new tasks of each label there are.
    pub labels: Vec<(Arc<str>, u64)>,
}

/// The key of an input, and which part of it is read.
pub type KeyedPart = (Key, u32);

/// What a worker must know to run a task, beside the [`Order`].
#[derive(Clone, Debug)]
pub struct Job<H> {
    /// The name of the value.
    pub key: Key,
    /// The stage's number, unique while any task of the stage lives: a driver
    /// sends the handle once per worker and then the number.
    pub stage: u32,
    /// The op.
    pub handle: H,
    /// Which block.
    pub block: u32,
    /// The graph it was first submitted with, for observers.
    pub graph: u64,
    /// The name its user chose.
    pub name: Option<Arc<str>>,
}

/// How a task ended, as its client reads it.
#[derive(Clone, Debug)]
pub enum TaskEnd {
    /// The result lies on `holder`.
    Done {
        /// Who has it.
        holder: WorkerId,
        /// Its bytes.
        bytes: u64,
    },
    /// It, or what it needs, failed or is lost; the error names the culprit.
    Failed(Error),
    /// It was cancelled.
    Cancelled,
    /// It was done, was lost, and is computed again.
    Pending,
}

/// What the driver has to carry out, in this order.
#[derive(Clone, Debug)]
pub enum Effect<H> {
    /// Send a worker an order.
    Order {
        /// The worker.
        worker: WorkerId,
        /// The order.
        order: Order,
        /// For [`Order::Compute`], what it runs.
        job: Option<Job<H>>,
        /// Keys of what it fetches: of `Compute::fetch` in order, or the one of
        /// `Copy`. Peers check them, because task numbers are used again.
        keys: Vec<Key>,
    },
    /// Tell a client.
    Ended {
        /// The client.
        client: ClientId,
        /// The task.
        task: TaskId,
        /// How.
        end: TaskEnd,
    },
    /// The worker may go.
    Retired(WorkerId),
    /// A task that was watched is forgotten.
    Forgotten(Key),
    /// No task of this stage is left: its number may be given again, so workers
    /// must forget what they were sent under it.
    StageDropped {
        /// The stage.
        stage: u32,
        /// The op, so that the driver can drop it where that does no harm.
        handle: H,
    },
}

/// A live task. Kept small: there is one for each task of every graph.
struct Row {
    key: Key,
    stage: u32,
    block: u32,
    graph: u32,
    /// Whether [`Coordinator::names`] has a row for it.
    named: bool,
    /// False once it was forgotten.
    is_live: bool,
}

/// A stage that some live task runs.
struct StageRow<H> {
    handle: H,
    label: Arc<str>,
    n_tasks: u32,
}

/// The stage of values that clients bring.
const NO_STAGE: u32 = 0;

/// The scheduler core with its tables. See the module's head.
pub struct Coordinator<H> {
    core: Scheduler,
    actions: Vec<SchedulerAction>,
    effects: Vec<Effect<H>>,
    /// Tasks by key, among them those in `dead`. The keys themselves are in
    /// `rows`.
    tasks: HashTable<u32>,
    n_live: usize,
    /// Forgotten tasks that are still in `tasks`: taking out many at once costs
    /// much less than one by one, because a large table is not in the cache.
    dead: Vec<u32>,
    /// By task number. Free rows have a stale content and are in `free_tasks`.
    rows: Vec<Row>,
    free_tasks: Vec<u32>,
    /// By stage number; [`NO_STAGE`] and free ones are none.
    stages: Vec<Option<StageRow<H>>>,
    free_stages: Vec<u32>,
    names: HashMap<TaskId, Arc<str>>,
    /// Of tasks whose last attempt failed.
    errors: HashMap<TaskId, Error>,
    attempts: Attempts,
    /// Errors of tasks that are forgotten; see [`Coordinator::take_dropped`].
    dropped: Vec<Error>,
    /// Tasks whose end is told; see [`Coordinator::watch`].
    watched: HashSet<TaskId>,
    worker_names: HashMap<String, WorkerName>,
    /// What else workers are called: their addresses and hosts.
    aliases: HashMap<String, Vec<WorkerName>>,
    resources: HashMap<String, ResourceId>,
    n_graphs: u32,
}

impl<H: Clone> Coordinator<H> {
    /// A scheduler without workers.
    #[must_use]
    pub fn new(config: SchedulerConfig) -> Self {
        Coordinator {
            core: Scheduler::new(config),
            actions: Vec::new(),
            effects: Vec::new(),
            tasks: HashTable::new(),
            n_live: 0,
            dead: Vec::new(),
            rows: Vec::new(),
            free_tasks: Vec::new(),
            stages: vec![None],
            free_stages: Vec::new(),
            names: HashMap::new(),
            errors: HashMap::new(),
            attempts: Attempts::default(),
            dropped: Vec::new(),
            watched: HashSet::new(),
            worker_names: HashMap::new(),
            aliases: HashMap::new(),
            resources: HashMap::new(),
            n_graphs: 0,
        }
    }

    fn stage_row(&self, stage: u32) -> &StageRow<H> {
        self.stages[stage as usize].as_ref().expect("a stage lives as long as its tasks")
    }

    /// Claims the value of a known key for a client.
    pub fn want(&mut self, now: Nanos, client: ClientId, key: Key) -> Option<TaskId> {
        let task = self.task_of(key)?;
        self.handle(now, SchedulerEvent::Want { client, tasks: vec![task] });
        Some(task)
    }

    /// Has [`Effect::Forgotten`] told when nobody needs the task with this key any
    /// more; whether it is known.
    pub fn watch(&mut self, key: Key) -> bool {
        let task = self.task_of(key);
        self.watched.extend(task);
        task.is_some()
    }

    /// Passes an event that carries neither keys nor errors straight to the core:
    /// `Release`, `Cancel`, `Retry`, `ClientGone`, `WorkerJoined`, `WorkerLost`,
    /// `Retire`, `Placed`, `Tick`.
    pub fn handle(&mut self, now: Nanos, event: SchedulerEvent) {
        match event {
            // What follows from each is many times larger than it is itself.
            SchedulerEvent::Release { client, tasks } if tasks.len() > PART_TASKS => {
                for part in tasks.chunks(PART_TASKS) {
                    self.handle(now, SchedulerEvent::Release { client, tasks: part.to_vec() });
                }
            }
            event => {
                self.take(now, event);
                self.settle(now);
            }
        }
    }

    /// Takes one of several events that came together; after the last of them
    /// [`Coordinator::settle`] must follow.
    pub fn take(&mut self, now: Nanos, event: SchedulerEvent) {
        if let SchedulerEvent::WorkerLost { worker, cause } = event {
            for task in self.core.assigned(worker).to_vec() {
                if let Some((_, attempt)) = self.core.assignment(task) {
                    self.note_attempt(now, worker, task, attempt, loss_text(cause).to_owned());
                }
            }
        }
        self.core.take(now, event, &mut self.actions);
    }

    /// Acts on the events that were taken.
    pub fn settle(&mut self, now: Nanos) {
        self.core.settle(now, &mut self.actions);
        self.translate();
    }

    /// Takes one of several reports that came together, as [`Coordinator::take`].
    pub fn take_report(&mut self, now: Nanos, worker: WorkerId, report: Report, error: Option<Error>) {
        if let Report::Failed { task, attempt, .. } = report
            && self.is_live(task)
        {
            self.note_attempt(now, worker, task, attempt, error_text(error.as_ref()));
            if let Some(error) = error {
                self.errors.insert(task, error);
            }
        }
        self.take(now, SchedulerEvent::From { worker, report });
    }

    /// Takes a worker's report; `error` comes with [`Report::Failed`].
    pub fn report(&mut self, now: Nanos, worker: WorkerId, report: Report, error: Option<Error>) {
        self.take_report(now, worker, report, error);
        self.settle(now);
    }

    fn note_attempt(&mut self, now: Nanos, worker: WorkerId, task: TaskId, attempt: Attempt, what: String) {
        let number = self.core.worker_name(worker);
        let name = self.worker_names.iter().find(|(_, other)| Some(**other) == number);
        let worker_name = name.map_or_else(|| Arc::from(worker.0.to_string()), |(name, _)| Arc::from(&**name));
        self.attempts.add(task, AttemptEnd { attempt, worker, worker_name, ended_ns: now, what });
    }

    /// The attempts at a live task that did not end well, oldest first.
    #[must_use]
    pub fn attempts(&self, task: TaskId) -> &[AttemptEnd] {
        self.attempts.of(task)
    }

    /// What a live task runs, and its inputs in order; nothing if it stands for a
    /// value that a client brought.
    #[must_use]
    pub fn recipe(&self, task: TaskId) -> Option<(Job<H>, Vec<KeyedPart>)> {
        if self.rows[task.0 as usize].stage == NO_STAGE {
            return None;
        }
        let pieces = self.core.pieces(task);
        let inputs = pieces.into_iter().map(|piece| (self.key_of(piece.task), piece.part)).collect();
        Some((self.job(task), inputs))
    }

    /// The number of a worker's name; the same name gets the same number.
    pub fn worker_name(&mut self, name: &str) -> WorkerName {
        let next = WorkerName(self.worker_names.len() as u32);
        *self.worker_names.entry_ref(name).or_insert(next)
    }

    /// Lets users call a worker something else too, which several may share.
    pub fn also_called(&mut self, worker: WorkerName, alias: &str) {
        let called = self.aliases.entry_ref(alias).or_default();
        if !called.contains(&worker) {
            called.push(worker);
        }
    }

    /// The workers with this name, or those that are called so too. A name that
    /// nobody has yet may belong to a worker that is to come.
    fn workers_called(&mut self, name: &str) -> Vec<WorkerName> {
        match self.aliases.get(name) {
            Some(workers) if !self.worker_names.contains_key(name) => workers.clone(),
            _ => vec![self.worker_name(name)],
        }
    }

    /// The number of an abstract resource's name.
    pub fn resource(&mut self, name: &str) -> ResourceId {
        let next = ResourceId(self.resources.len() as u32);
        *self.resources.entry_ref(name).or_insert(next)
    }

    /// The task with this key, if it is known.
    #[must_use]
    pub fn task_of(&self, key: Key) -> Option<TaskId> {
        self.tasks.find(hash(key), |&id| self.rows[id as usize].is_same(key)).copied().map(TaskId)
    }

    /// The key of a live task.
    #[must_use]
    pub fn key_of(&self, task: TaskId) -> Key {
        self.rows[task.0 as usize].key
    }

    /// What users call a live task.
    #[must_use]
    pub fn name_of(&self, task: TaskId) -> String {
        let row = &self.rows[task.0 as usize];
        if row.named {
            return self.names[&task].to_string();
        }
        match &self.stages[row.stage as usize] {
            Some(stage) => format!("{}-{}", stage.label, row.key),
            None => format!("data-{}", row.key),
        }
    }

    /// Number of live tasks.
    #[must_use]
    pub fn n_tasks(&self) -> usize {
        self.n_live
    }

    /// The scheduler core, for questions.
    #[must_use]
    pub fn core(&self) -> &Scheduler {
        &self.core
    }

    /// Moves what is to be carried out to the end of `into`, in order. To be
    /// called after each of the methods that take `now`.
    pub fn take_effects(&mut self, into: &mut Vec<Effect<H>>) {
        if into.is_empty() {
            // Both lists keep their memory, and nothing is copied.
            std::mem::swap(into, &mut self.effects);
        } else {
            into.append(&mut self.effects);
        }
    }

    /// Errors that nobody needs any more. Their payloads may be any values, so a
    /// driver that holds a lock drops them later.
    pub fn take_dropped(&mut self) -> Vec<Error> {
        std::mem::take(&mut self.dropped)
    }

    fn is_live(&self, task: TaskId) -> bool {
        self.rows.get(task.0 as usize).is_some_and(|row| row.is_live)
    }

    /// Turns the core's actions into effects. Numbers are looked up here and
    /// not later, because a later action may forget them.
    fn translate(&mut self) {
        let mut actions = std::mem::take(&mut self.actions);
        for action in actions.drain(..) {
            let effect = self.effect(action);
            self.effects.extend(effect);
        }
        self.actions = actions;
    }

    /// Acts on the events that were taken, and leaves it to the caller to turn
    /// what the core wants into effects one by one, which saves writing each down.
    /// Nothing else may be asked of the coordinator before that.
    pub(crate) fn act(&mut self, now: Nanos, actions: &mut Vec<SchedulerAction>) {
        self.core.settle(now, &mut self.actions);
        std::mem::swap(&mut self.actions, actions);
    }

    /// What the driver has to do about an action, if anything.
    #[inline]
    pub(crate) fn effect(&mut self, action: SchedulerAction) -> Option<Effect<H>> {
        match action {
            SchedulerAction::To { worker, order } => {
                let (job, keys) = match &order {
                    Order::Compute(compute) => {
                        let keys = compute.fetch.iter().map(|from| self.key_of(from.piece.task)).collect();
                        (Some(self.job(compute.task)), keys)
                    }
                    Order::Copy { task, .. } => (None, vec![self.key_of(*task)]),
                    _ => (None, Vec::new()),
                };
                Some(Effect::Order { worker, order, job, keys })
            }
            SchedulerAction::Outcome { client, task, outcome } => {
                Some(Effect::Ended { client, task, end: self.end(outcome) })
            }
            SchedulerAction::Forget(task) => self.forget(task),
            SchedulerAction::Retired(worker) => Some(Effect::Retired(worker)),
        }
    }

    fn job(&self, task: TaskId) -> Job<H> {
        let row = &self.rows[task.0 as usize];
        Job {
            key: row.key,
            stage: row.stage,
            handle: self.stage_row(row.stage).handle.clone(),
            block: row.block,
            graph: u64::from(row.graph),
            name: row.named.then(|| self.names[&task].clone()),
        }
    }

    fn end(&self, outcome: Outcome) -> TaskEnd {
        match outcome {
            Outcome::Done { holder, bytes } => TaskEnd::Done { holder, bytes },
            Outcome::Failed { culprit, failure } => {
                let error = self.errors.get(&culprit).cloned();
                let error = error.unwrap_or_else(|| self.unexplained(culprit, failure));
                // One crash may be bad luck; that all of them went the same way is
                // what its user has to know.
                let ends = self.attempts(culprit);
                TaskEnd::Failed(if failure == Failure::Crash && ends.len() > 1 {
                    let ends: Vec<String> = ends.iter().map(ToString::to_string).collect();
                    error.within(format!("tried {} times: {}", ends.len(), ends.join("; ")))
                } else {
                    error
                })
            }
            Outcome::Lost { culprit } => TaskEnd::Failed(
                Error::new(
                    ErrorKind::Lost,
                    format!("the value '{}' was lost with the worker that held it", self.name_of(culprit)),
                )
                .with_hint("bring the value again: only its owner could make it, so it cannot be computed once more")
                .in_task(self.name_of(culprit)),
            ),
            Outcome::Cancelled => TaskEnd::Cancelled,
            Outcome::Pending => TaskEnd::Pending,
        }
    }

    fn forget(&mut self, task: TaskId) -> Option<Effect<H>> {
        let row = &mut self.rows[task.0 as usize];
        row.is_live = false;
        let (stage, key) = (row.stage, row.key);
        if std::mem::take(&mut row.named) {
            self.names.remove(&task);
        }
        self.attempts.forget(task);
        if !self.watched.is_empty() && self.watched.remove(&task) {
            self.effects.push(Effect::Forgotten(key));
        }
        if !self.errors.is_empty() {
            self.dropped.extend(self.errors.remove(&task));
        }
        self.n_live -= 1;
        self.dead.push(task.0);
        if self.n_live == 0 {
            self.bury();
        }
        if stage == NO_STAGE {
            return None;
        }
        let row = self.stages[stage as usize].as_mut().expect("a stage lives as long as its tasks");
        row.n_tasks -= 1;
        if row.n_tasks > 0 {
            return None;
        }
        self.free_stages.push(stage);
        let row = self.stages[stage as usize].take()?;
        Some(Effect::StageDropped { stage, handle: row.handle })
    }

    /// Takes the dead out of the table, so that their numbers are free.
    fn bury(&mut self) {
        let rows = &self.rows;
        if self.dead.len() < self.tasks.capacity() / 16 {
            for &id in &self.dead {
                if let Ok(entry) = self.tasks.find_entry(hash(rows[id as usize].key), |&other| other == id) {
                    entry.remove();
                }
            }
        } else if self.n_live == 0 {
            self.tasks.clear();
        } else {
            self.tasks.retain(|&mut id| rows[id as usize].is_live);
        }
        if self.n_live == 0 {
            // The next graph gets numbers in order, which memory likes best.
            if self.rows.capacity() > ROWS_KEPT {
                (self.rows, self.tasks) = Default::default();
            }
            self.rows.clear();
            (self.free_tasks, self.dead) = Default::default();
        } else {
            self.free_tasks.append(&mut self.dead);
        }
    }
}

/// Rows whose memory is kept for the next graph when no task is left.
const ROWS_KEPT: usize = 1 << 20;

/// Dead tasks, beyond as many as are alive, whose room new ones take over.
const MAX_DEAD: usize = 4096;

impl Row {
    /// Whether it is a live task with this key.
    fn is_same(&self, key: Key) -> bool {
        self.key == key && self.is_live
    }
}

/// Keys are hashes already.
fn hash(key: Key) -> u64 {
    (key.0 as u64) ^ ((key.0 >> 64) as u64)
}

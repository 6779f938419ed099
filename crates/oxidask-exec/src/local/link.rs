//! The link within one process: the scheduler's side beside the node, under the
//! same lock, and the claims of callers on results.

use super::future::{Cell, End};
use crate::coordinator::{Accepted, Coordinator, Effect, Submission, TaskEnd};
use crate::node::{Assignment, Node, NodeJob, NodeReport, Uplink};
use crate::observe::Observers;
use crate::work::Work;
use hashbrown::HashMap;
use oxidask_core::{Error, ErrorKind, Key, Result, Value};
use oxidask_sched::{ClientId, Nanos, Piece, SchedulerAction, SchedulerConfig, SchedulerEvent, TaskId, WorkerId};
use parking_lot::{Condvar, Mutex};
use std::sync::{Arc, Weak};
use std::time::Duration;

/// The only worker.
const WORKER: WorkerId = WorkerId(0);

/// Places that the scheduler may fill beyond the threads there are: tasks that
/// wait for other tasks keep theirs, while spare threads run the others. How many
/// run at once is the pool's decision in any case.
const LENT_SLOTS: u32 = 256;

/// The scheduler's side of a [`super::Local`].
pub(super) struct Link {
    coordinator: Coordinator<Arc<Work>>,
    effects: Vec<Effect<Arc<Work>>>,
    claims: HashMap<ClientId, ClaimRow>,
    actions: Vec<SchedulerAction>,
    reports: Vec<NodeReport>,
    /// Results on their way to those who wait for all of a graph.
    arrivals: Vec<Arrival>,
    /// Claims that are given up once the effects at hand are carried out.
    releases: Vec<(ClientId, TaskId)>,
    observers: Arc<Observers>,
    closed: bool,
}

/// A result on its way to who waits for it; the value is gone once it is there.
type Arrival = (ClientId, TaskId, Option<Value>);

struct ClaimRow {
    claim: Claim,
    graph: u64,
    /// Outputs without an end, for observers.
    n_open: usize,
}

/// What a caller waits for.
pub(super) enum Claim {
    /// All results of one graph at once.
    Bulk(Arc<Bulk>),
    /// Results one by one. Their futures release them.
    Futures(HashMap<TaskId, Weak<Cell>>),
}

impl Link {
    pub fn new(n_slots: usize, memory_limit: u64, allowed_failures: u32, observers: Arc<Observers>) -> Self {
        let mut coordinator = Coordinator::new(SchedulerConfig { allowed_failures, ..SchedulerConfig::default() });
        let name = coordinator.worker_name("local");
        let joined = SchedulerEvent::WorkerJoined {
            worker: WORKER,
            name,
            slots: n_slots as u32 + LENT_SLOTS,
            memory_limit,
            resources: Vec::new(),
        };
        coordinator.handle(0, joined);
        Link {
            coordinator,
            effects: Vec::new(),
            claims: HashMap::new(),
            actions: Vec::new(),
            reports: Vec::new(),
            arrivals: Vec::new(),
            releases: Vec::new(),
            observers,
            closed: false,
        }
    }

    /// Takes a graph. `values` are those that the submission names as data.
    pub fn submit(
        &mut self,
        now: Nanos,
        node: &mut Node,
        client: ClientId,
        submission: &Submission<Arc<Work>>,
        values: &mut [Option<Value>],
        claim: impl FnOnce(&Submission<Arc<Work>>, &[TaskId]) -> Claim,
    ) -> Result<Vec<TaskId>> {
        if self.closed {
            return Err(closed());
        }
        let Accepted { graph, outputs, data, labels } = self.coordinator.submit(now, client, submission)?;
        let claim = claim(submission, &outputs);
        let n_open = claim.len();
        self.observers.graph_started(graph, &labels);
        if n_open == 0 {
            self.observers.graph_finished(graph, None);
        }
        self.claims.insert(client, ClaimRow { claim, graph, n_open });
        for (task, number) in data {
            let value = values[number as usize].take().expect("a value is brought once");
            let bytes = value.nbytes();
            node.put(now, task, self.coordinator.key_of(task), value);
            self.coordinator.handle(now, SchedulerEvent::Placed { task, worker: WORKER, bytes });
        }
        Ok(outputs)
    }

    /// Gives up all claims of a caller.
    pub fn client_gone(&mut self, now: Nanos, node: &mut Node, client: ClientId) {
        let Some(row) = self.claims.remove(&client) else { return };
        if row.n_open > 0 {
            self.observers.graph_finished(row.graph, Some(&given_up()));
        }
        node.aside.calls.push(Box::new(move || drop(row)));
        self.coordinator.handle(now, SchedulerEvent::ClientGone(client));
    }

    /// Gives up a future's claim.
    pub fn release(&mut self, now: Nanos, client: ClientId, task: TaskId) {
        let Some(row) = self.claims.get_mut(&client) else { return };
        if let Claim::Futures(futures) = &mut row.claim {
            futures.remove(&task);
            if futures.is_empty() {
                if row.n_open > 0 {
                    self.observers.graph_finished(row.graph, Some(&given_up()));
                }
                self.claims.remove(&client);
                self.coordinator.handle(now, SchedulerEvent::ClientGone(client));
                return;
            }
        }
        self.coordinator.handle(now, SchedulerEvent::Release { client, tasks: vec![task] });
    }

    /// Stops a task for all who want it.
    pub fn cancel(&mut self, now: Nanos, task: TaskId, key: Key) {
        if self.coordinator.task_of(key) == Some(task) {
            self.coordinator.handle(now, SchedulerEvent::Cancel { tasks: vec![task] });
        }
    }

    pub fn explain(&self, key: Key) -> String {
        match self.coordinator.task_of(key) {
            Some(task) => self.coordinator.explain(task),
            None => format!("nothing with the key {key} was submitted, or nobody wants it any more"),
        }
    }

    pub fn n_tasks(&self) -> usize {
        self.coordinator.n_tasks()
    }

    /// Ends all claims, because the executor ends.
    pub fn close(&mut self, node: &mut Node) {
        self.closed = true;
        for (_, row) in self.claims.drain() {
            match row.claim {
                Claim::Bulk(bulk) => bulk.fail(closed()),
                Claim::Futures(cells) => {
                    for cell in cells.into_values().filter_map(|cell| cell.upgrade()) {
                        node.aside.calls.push(Box::new(move || cell.end(End::Lost)));
                    }
                }
            }
        }
    }

    /// Tells a caller how a task ended.
    fn ended(&mut self, now: Nanos, node: &mut Node, client: ClientId, task: TaskId, end: TaskEnd) {
        let Some(row) = self.claims.get_mut(&client) else { return };
        let error = match &end {
            TaskEnd::Failed(error) => Some(error.clone()),
            TaskEnd::Cancelled => Some(cancelled()),
            TaskEnd::Done { .. } | TaskEnd::Pending => None,
        };
        match &row.claim {
            Claim::Bulk(bulk) => match end {
                TaskEnd::Pending => return,
                TaskEnd::Done { .. } => match node.value(task) {
                    Some(value) => self.arrivals.push((client, task, Some(value))),
                    None => {
                        let bulk = bulk.clone();
                        let done = move |value| match value {
                            Ok(value) => bulk.put(&mut [(client, task, Some(value))]),
                            Err(error) => bulk.fail(error),
                        };
                        node.read(now, Piece::whole(task), self.coordinator.key_of(task), Box::new(done));
                    }
                },
                TaskEnd::Failed(error) => bulk.fail(error),
                TaskEnd::Cancelled => bulk.fail(cancelled()),
            },
            Claim::Futures(cells) => {
                let end = match end {
                    TaskEnd::Done { .. } => End::Finished,
                    TaskEnd::Failed(error) => End::Failed(error),
                    TaskEnd::Cancelled => End::Cancelled,
                    TaskEnd::Pending => End::Pending,
                };
                // Callbacks run, and the cell is dropped, without the lock.
                if let Some(cell) = cells.get(&task).and_then(Weak::upgrade) {
                    node.aside.calls.push(Box::new(move || cell.end(end)));
                }
            }
        }
        if row.n_open > 0 {
            row.n_open = if error.is_some() { 0 } else { row.n_open - 1 };
            if row.n_open == 0 {
                self.observers.graph_finished(row.graph, error.as_ref());
            }
        }
    }
}

impl Uplink for Link {
    fn exchange(&mut self, now: Nanos, node: &mut Node) {
        loop {
            self.carry_out(now, node);
            let mut reports = std::mem::take(&mut self.reports);
            node.take_reports(&mut reports);
            if reports.is_empty() && self.releases.is_empty() {
                self.reports = reports;
                return;
            }
            for NodeReport { report, error } in reports.drain(..) {
                self.coordinator.take_report(now, WORKER, report, error);
            }
            self.reports = reports;
            self.release_all(now);
        }
    }
}

impl Link {
    /// Carries out what the scheduler wants.
    fn carry_out(&mut self, now: Nanos, node: &mut Node) {
        let mut effects = std::mem::take(&mut self.effects);
        self.coordinator.take_effects(&mut effects);
        for effect in effects.drain(..) {
            self.carry_out_one(now, node, effect);
        }
        self.effects = effects;
        let mut actions = std::mem::take(&mut self.actions);
        self.coordinator.act(now, &mut actions);
        for action in actions.drain(..) {
            if let Some(effect) = self.coordinator.effect(action) {
                self.carry_out_one(now, node, effect);
            }
        }
        self.actions = actions;
        node.settle(now);
        self.deliver(node);
        let dropped = self.coordinator.take_dropped();
        if !dropped.is_empty() {
            node.aside.calls.push(Box::new(move || drop(dropped)));
        }
    }

    #[inline]
    fn carry_out_one(&mut self, now: Nanos, node: &mut Node, effect: Effect<Arc<Work>>) {
        match effect {
            Effect::Order { order, job, .. } => {
                let job = job.map(|job| NodeJob {
                    key: job.key,
                    work: job.handle,
                    block: job.block,
                    graph: job.graph,
                    name: job.name,
                });
                node.order(now, Assignment { order, job, keys: Vec::new() });
            }
            Effect::Ended { client, task, end } => self.ended(now, node, client, task, end),
            Effect::StageDropped { handle, .. } => node.aside.works.push(handle),
            Effect::Retired(_) | Effect::Forgotten(_) => {}
        }
    }

    /// Hands results to their callers, who hold them from then on, so that the
    /// store need not.
    fn deliver(&mut self, node: &mut Node) {
        let mut arrivals = std::mem::take(&mut self.arrivals);
        for same in arrivals.chunk_by_mut(|one, other| one.0 == other.0) {
            let client = same[0].0;
            self.releases.extend(same.iter().map(|&(client, task, _)| (client, task)));
            if let Some(ClaimRow { claim: Claim::Bulk(bulk), .. }) = self.claims.get(&client) {
                bulk.put(same);
            }
        }
        // Only what was there already is left, or what nobody waits for any more.
        node.aside.garbage.values.extend(arrivals.drain(..).filter_map(|(.., value)| value));
        self.arrivals = arrivals;
    }

    /// Gives up the claims on results that their callers have.
    fn release_all(&mut self, now: Nanos) {
        let mut releases = std::mem::take(&mut self.releases);
        for same in releases.chunk_by(|a, b| a.0 == b.0) {
            let tasks = same.iter().map(|&(_, task)| task).collect();
            self.coordinator.take(now, SchedulerEvent::Release { client: same[0].0, tasks });
        }
        releases.clear();
        self.releases = releases;
    }
}

impl Claim {
    fn len(&self) -> usize {
        match self {
            Claim::Bulk(bulk) => bulk.state.lock().n_missing,
            Claim::Futures(futures) => futures.len(),
        }
    }
}

/// The results of one graph, on their way to one caller.
#[derive(Default)]
pub(super) struct Bulk {
    state: Mutex<BulkState>,
    changed: Condvar,
}

#[derive(Default)]
struct BulkState {
    /// The least task number that is waited for.
    first: u32,
    /// By task number from there on: position in `values`, plus one. A graph's
    /// tasks have numbers close together, so this is smaller and faster than a
    /// map.
    position_of: Vec<u32>,
    values: Vec<Option<Value>>,
    n_missing: usize,
    error: Option<Error>,
}

impl BulkState {
    fn position(&self, task: TaskId) -> Option<usize> {
        let row = task.0.checked_sub(self.first)?;
        self.position_of.get(row as usize)?.checked_sub(1).map(|position| position as usize)
    }
}

impl Bulk {
    /// Says what to wait for; may name a task twice.
    pub fn expect(&self, tasks: &[TaskId]) {
        let mut guard = self.state.lock();
        let state = &mut *guard;
        let (Some(first), Some(last)) = (tasks.iter().min(), tasks.iter().max()) else { return };
        state.first = first.0;
        state.position_of = vec![0; (last.0 - first.0) as usize + 1];
        for task in tasks {
            let position = &mut state.position_of[(task.0 - first.0) as usize];
            if *position == 0 {
                state.n_missing += 1;
                *position = state.n_missing as u32;
            }
        }
        state.values.resize(state.n_missing, None);
    }

    /// Takes the values that are waited for.
    fn put(&self, arrivals: &mut [Arrival]) {
        let mut guard = self.state.lock();
        let state = &mut *guard;
        for (_, task, value) in arrivals {
            let Some(position) = state.position(*task) else { continue };
            let slot = &mut state.values[position];
            if slot.is_none() && value.is_some() {
                *slot = value.take();
                state.n_missing -= 1;
            }
        }
        if state.n_missing == 0 {
            self.changed.notify_all();
        }
    }

    fn fail(&self, error: Error) {
        self.state.lock().error.get_or_insert(error);
        self.changed.notify_all();
    }

    /// Whether all is there or something failed.
    pub fn is_done(&self) -> bool {
        let state = self.state.lock();
        state.n_missing == 0 || state.error.is_some()
    }

    /// Waits until that is so, asking `interrupted` now and then.
    pub fn wait(&self, poll: Duration, interrupted: &dyn Fn() -> Result<()>) -> Result<()> {
        let mut state = self.state.lock();
        while state.n_missing > 0 && state.error.is_none() {
            if self.changed.wait_for(&mut state, poll).timed_out() {
                parking_lot::MutexGuard::unlocked(&mut state, interrupted)?;
            }
        }
        Ok(())
    }

    /// The results of these tasks, or the first error.
    pub fn take(&self, tasks: &[TaskId]) -> Result<Vec<Value>> {
        let state = std::mem::take(&mut *self.state.lock());
        if let Some(error) = state.error {
            return Err(error);
        }
        let lost = || Error::new(ErrorKind::Lost, "a result was lost");
        // Positions are given in the order of the tasks: without repetitions they
        // are the same.
        if state.values.len() == tasks.len() {
            return state.values.into_iter().map(|value| value.ok_or_else(lost)).collect();
        }
        let value = |&task| state.position(task).and_then(|position| state.values[position].clone()).ok_or_else(lost);
        tasks.iter().map(value).collect()
    }
}

pub(super) fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the executor was closed")
}

pub(super) fn cancelled() -> Error {
    Error::new(ErrorKind::Cancelled, "the task was cancelled")
}

pub(super) fn given_up() -> Error {
    Error::new(ErrorKind::Cancelled, "nobody waits for the graph any more")
}

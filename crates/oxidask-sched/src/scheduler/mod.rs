//! The scheduler core: which task runs where, and who keeps what.
//!
//! | from | event | to |
//! |---|---|---|
//! | Vacant | submitted | Idle |
//! | Idle | somebody needs it | Waiting (inputs missing) or Ready |
//! | Waiting | last input done | Ready |
//! | Waiting (a client's value) | placed | Done |
//! | Ready | a worker has room | Assigned |
//! | Assigned | `Done` | Done |
//! | Assigned | `Failed`, tries left; `Retracted`; `MissingInput`; worker lost | Waiting or Ready |
//! | Assigned | `Failed`, no tries left | Failed |
//! | Waiting, Ready | an input failed, is lost for good | Failed, Lost |
//! | any | cancelled, or an input was | Cancelled |
//! | Done | last copy lost, needed | Waiting or Ready (lineage) |
//! | any but Idle | nobody needs it any more | Idle, its result freed |
//! | Failed, Cancelled | retried | Idle |
//! | Idle, bad | no dependents, no claims, no order unanswered | Vacant (`Forget`) |
//!
//! Dask needs the states *cancelled* and *resumed* because a worker's late
//! message names only the task. Here it names the attempt too: an attempt that
//! was given up is simply not the current one, whatever it reports, and the
//! task is in the state in which it would be had the attempt never been made.
//! The one thing remembered is that an answer is still to come
//! (`Task::unsettled`), because until then the number must not be reused.

mod adapt;
mod check;
mod dispatch;
mod explain;
mod holders;
mod life;
mod lose;
mod place;
mod release;
mod replicas;
mod rest;
mod retire;
mod submit;
mod task;
mod worker;

#[cfg(test)]
mod tests;

use crate::event::{
    ClientId, Failure, GroupId, Nanos, Outcome, Report, SchedulerAction, SchedulerConfig, SchedulerEvent, TaskId,
    WorkerId,
};
use crate::queue::{Entry, ReadyQueue};
pub use explain::{Counts, Why};
use holders::HolderSets;
pub use rest::{Rest, Resting, RestingTask};
use std::collections::{HashMap, VecDeque};
pub use task::TaskState;
use task::{Claims, Edges, NONE, Tasks};
use worker::{Group, Worker};

/// The scheduler core. See the module's head for its states.
pub struct Scheduler {
    config: SchedulerConfig,
    tasks: Tasks,
    edges: Edges,
    claims: Claims,
    holders: HolderSets,
    groups: Vec<Option<Box<Group>>>,
    /// Groups that not every worker may run.
    constrained: Vec<GroupId>,
    /// By number; numbers of the dead stay empty.
    workers: Vec<Option<Box<Worker>>>,
    /// Those that are there.
    alive: Vec<WorkerId>,
    /// What each client claims; may name a task that it released since.
    clients: HashMap<ClientId, Client>,
    /// Ready tasks that any worker may take.
    global: ReadyQueue,
    /// Estimated run time of those.
    global_ns: u64,
    /// Became ready in the event at hand.
    fresh: Vec<TaskId>,
    /// Lost their last reason to be needed in the event at hand, perhaps.
    unneeded: Vec<TaskId>,
    /// Came with an earlier part of a submission, and nothing needs it yet.
    kept_back: Vec<TaskId>,
    /// Workers that may have room or have new work of their own.
    touched: Vec<WorkerId>,
    /// Workers that had room when they were last looked at.
    idle: VecDeque<WorkerId>,
    /// Workers that had ready tasks of their own and no room.
    backlogged: Vec<WorkerId>,
    /// A group's own queue got a task in the event at hand.
    constrained_dirty: bool,
    retiring: Vec<WorkerId>,
    /// Whether copies stay where they are also when memory is short.
    keeps_replicas: bool,
    /// Where the search for a worker to take tasks back from goes on.
    steal_cursor: usize,
    random: u64,
    n_tasks: usize,
    out: Vec<SchedulerAction>,
    stack: Vec<TaskId>,
    worker_list: Vec<WorkerId>,
    candidates: Vec<WorkerId>,
}

/// What a client claims.
#[derive(Default)]
struct Client {
    tasks: Vec<TaskId>,
    n_claimed: usize,
}

impl Scheduler {
    /// A scheduler without workers and tasks.
    #[must_use]
    pub fn new(config: SchedulerConfig) -> Self {
        Scheduler {
            random: config.seed ^ 0x9e37_79b9_7f4a_7c15,
            config,
            tasks: Tasks::default(),
            edges: Edges::default(),
            claims: Claims::default(),
            holders: HolderSets::default(),
            groups: Vec::new(),
            constrained: Vec::new(),
            workers: Vec::new(),
            alive: Vec::new(),
            clients: HashMap::new(),
            global: ReadyQueue::default(),
            global_ns: 0,
            fresh: Vec::new(),
            unneeded: Vec::new(),
            kept_back: Vec::new(),
            touched: Vec::new(),
            idle: VecDeque::new(),
            backlogged: Vec::new(),
            constrained_dirty: false,
            retiring: Vec::new(),
            keeps_replicas: false,
            steal_cursor: 0,
            n_tasks: 0,
            out: Vec::new(),
            stack: Vec::new(),
            worker_list: Vec::new(),
            candidates: Vec::new(),
        }
    }

    /// Takes one event and appends what is to be done about it.
    ///
    /// Events about workers that are not there (any more), and reports about
    /// attempts that are not current, change nothing.
    ///
    /// # Panics
    /// If the driver breaks the contract of [`crate::event`]: a task with an
    /// input that was never submitted, a group that was never declared.
    pub fn handle(&mut self, now: Nanos, event: SchedulerEvent, actions: &mut Vec<SchedulerAction>) {
        self.take(now, event, actions);
        self.settle(now, actions);
    }

    /// Takes one event of several that came together, and appends what is to be
    /// done about it by itself. What becomes ready is given out, and what nobody
    /// needs is let go, by the [`Scheduler::settle`] that must follow the last of
    /// them: for a batch of reports that is many times cheaper than doing it after
    /// each. Before a [`SchedulerEvent::Submit`] the batch must have ended, so that
    /// the driver knows what was forgotten.
    ///
    /// # Panics
    /// As [`Scheduler::handle`].
    pub fn take(&mut self, now: Nanos, event: SchedulerEvent, actions: &mut Vec<SchedulerAction>) {
        let _ = now;
        std::mem::swap(&mut self.out, actions);
        match event {
            SchedulerEvent::From { worker, report } => self.report(worker, report),
            SchedulerEvent::Submit { client, work } => self.submit(client, work),
            SchedulerEvent::Want { client, tasks } => {
                for task in tasks {
                    self.want(client, task);
                }
            }
            SchedulerEvent::Release { client, tasks } => {
                for task in tasks {
                    self.unclaim(client, task, 1);
                }
            }
            SchedulerEvent::Cancel { tasks } => {
                for task in tasks {
                    self.cancel(task);
                }
            }
            SchedulerEvent::Retry { tasks } => self.retry(&tasks),
            SchedulerEvent::ClientGone(client) => self.client_gone(client),
            SchedulerEvent::WorkerJoined { worker, name, slots, memory_limit, resources } => {
                self.worker_joined(Worker::new(worker, name, slots, memory_limit, resources));
            }
            SchedulerEvent::WorkerLost { worker, cause } => self.worker_lost(worker, cause),
            SchedulerEvent::Retire(worker) => self.retire(worker),
            SchedulerEvent::Stay(worker) => self.stay(worker),
            SchedulerEvent::Placed { task, worker, bytes } => self.placed(task, worker, bytes),
            SchedulerEvent::Replicate { tasks, n, workers } => self.replicate(&tasks, n, &workers),
            SchedulerEvent::Rebalance { tasks, workers } => self.rebalance(&tasks, &workers),
            SchedulerEvent::ReduceReplicas => self.reduce_all_replicas(),
            SchedulerEvent::KeepReplicas(keeps) => self.keeps_replicas = keeps,
            SchedulerEvent::Tick => self.steal_on_tick(),
        }
        std::mem::swap(&mut self.out, actions);
    }

    /// Ends a batch of events that [`Scheduler::take`] took.
    pub fn settle(&mut self, now: Nanos, actions: &mut Vec<SchedulerAction>) {
        let _ = now;
        std::mem::swap(&mut self.out, actions);
        self.sweep();
        self.queue_fresh();
        self.dispatch();
        self.advance_retirements();
        if self.n_tasks == 0 {
            self.shrink();
        }
        std::mem::swap(&mut self.out, actions);
        #[cfg(debug_assertions)]
        if self.n_tasks < 200 {
            self.check();
        }
    }

    /// Gives back the memory of a large graph once no task is left.
    fn shrink(&mut self) {
        if !self.tasks.reset() {
            return;
        }
        self.edges = Edges::default();
        self.claims = Claims::default();
        for worker in self.workers.iter_mut().flatten() {
            worker.held = Vec::new();
            worker.local = ReadyQueue::default();
        }
        self.global = ReadyQueue::default();
        (self.fresh, self.unneeded, self.kept_back) = Default::default();
    }

    fn report(&mut self, worker: WorkerId, report: Report) {
        if self.worker(worker).is_none() {
            return;
        }
        match report {
            Report::Done { task, attempt, bytes, duration } => {
                if self.is_current(worker, task, attempt.0) {
                    self.done(worker, task, bytes, duration);
                }
            }
            Report::Failed { task, attempt, failure } => {
                if self.is_current(worker, task, attempt.0) {
                    self.attempt_failed(task, failure);
                }
            }
            Report::MissingInput { task, attempt, input, holder } => {
                if self.is_current(worker, task, attempt.0) {
                    self.unassign(task);
                    let holder = if holder == WorkerId::SELF { worker } else { holder };
                    self.requeue(task);
                    self.not_held(input, holder);
                }
            }
            Report::Retracted { task, attempt } => {
                if self.is_current(worker, task, attempt.0) {
                    self.unassign(task);
                    self.requeue(task);
                }
            }
            Report::Abandoned { task, attempt } => self.abandoned(worker, task, attempt.0),
            Report::Copied { task, .. } => self.copied(worker, task),
            Report::Dropped { task } => {
                self.copy_ended(worker, task);
                self.not_held(task, worker);
            }
            Report::Lent(n_lent) => {
                self.worker_mut(worker).lend(n_lent);
                self.touched.push(worker);
            }
            Report::Memory { resident, spilled, paused } => {
                let record = self.worker_mut(worker);
                record.resident = resident;
                record.spilled = spilled;
                record.paused = paused;
                let is_short = paused || resident > record.memory_limit / 10 * 7;
                self.touched.push(worker);
                if is_short && !self.keeps_replicas {
                    self.reduce_replicas(worker);
                }
            }
        }
    }

    /// Whether the attempt is the one that this worker is to run now.
    fn is_current(&self, worker: WorkerId, task: TaskId, attempt: u32) -> bool {
        self.tasks.get(task).is_some_and(|record| {
            record.state == TaskState::Assigned && record.attempt == attempt && record.place == worker.0
        })
    }

    fn worker(&self, worker: WorkerId) -> Option<&Worker> {
        self.workers.get(worker.0 as usize)?.as_deref()
    }

    fn worker_mut(&mut self, worker: WorkerId) -> &mut Worker {
        self.workers[worker.0 as usize].as_deref_mut().expect("only workers that are there are named")
    }

    fn group(&self, group: u32) -> &Group {
        self.groups[group as usize].as_deref().expect("tasks name declared groups only")
    }

    fn entry(&self, task: TaskId) -> Entry {
        Entry { priority: self.tasks[task].priority, task }
    }

    /// The edges to a task's inputs.
    fn inputs(&self, task: TaskId) -> std::ops::Range<u32> {
        let record = &self.tasks[task];
        record.inputs..record.inputs + record.n_inputs
    }

    /// A number that looks random, from the seed.
    fn next_random(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }

    /// Tells all who claim the task.
    fn notify(&mut self, task: TaskId, outcome: Outcome) {
        let mut claim = self.tasks[task].claims;
        while claim != NONE {
            let client = ClientId(self.claims[claim].client);
            self.out.push(SchedulerAction::Outcome { client, task, outcome });
            claim = self.claims[claim].next;
        }
    }

    /// How the task ended, if it has.
    fn outcome(&self, task: TaskId) -> Option<Outcome> {
        let record = &self.tasks[task];
        let culprit = TaskId(record.place);
        match record.state {
            TaskState::Done => {
                let holder = self.holders.pick(record.holders, 0).expect("a result has a holder");
                Some(Outcome::Done { holder, bytes: record.bytes })
            }
            TaskState::Failed => Some(Outcome::Failed { culprit, failure: record.failure }),
            TaskState::Lost => Some(Outcome::Lost { culprit }),
            TaskState::Cancelled => Some(Outcome::Cancelled),
            _ => None,
        }
    }
}

/// How a task ends badly; what [`Scheduler::fail`] hands on to dependents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bad {
    Failed { culprit: TaskId, failure: Failure },
    Lost { culprit: TaskId },
    Cancelled,
}

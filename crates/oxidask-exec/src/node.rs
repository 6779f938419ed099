//! The worker's side: the worker core, the values it decides about, and what
//! its tasks run.
//!
//! A [`Node`] does no I/O of its own. It turns orders, results and arrivals into
//! events of the core and keeps what the core answers for the [`crate::Pool`] to
//! carry out: runnables for its threads, reads and writes for its I/O thread,
//! fetches for [`Peers`], reports for the [`Uplink`].

use crate::ledger::Ledger;
use crate::slots::Slots;
use crate::store::spill::SpillFile;
use crate::store::{Garbage, Store, not_here};
use crate::work::Work;
use hashbrown::{HashMap, HashSet};
use oxidask_core::{Error, Key, Result, Value};
use oxidask_sched::{
    Attempt, Ended, Failure, FetchFrom, Nanos, Order, Piece, Report, TaskId, Worker, WorkerAction, WorkerConfig,
    WorkerEvent,
};
use parking_lot::Mutex;
use smallvec::SmallVec;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// An order and what to know about it.
#[derive(Debug)]
pub struct Assignment {
    /// The order.
    pub order: Order,
    /// What it runs, for [`Order::Compute`].
    pub job: Option<NodeJob>,
    /// Keys of what the order fetches: of the pieces in
    /// [`oxidask_sched::Compute::fetch`], in order, or of what [`Order::Copy`]
    /// copies. A peer checks them, because task numbers are used again.
    pub keys: Vec<Key>,
}

/// What a task runs, as its worker knows it.
#[derive(Clone, Debug)]
pub struct NodeJob {
    /// The name of the value.
    pub key: Key,
    /// The op.
    pub work: Arc<Work>,
    /// Which block.
    pub block: u32,
    /// The graph it belongs to, for observers.
    pub graph: u64,
    /// The name its user chose.
    pub name: Option<Arc<str>>,
}

impl NodeJob {
    /// What users call the task.
    #[must_use]
    pub fn display_name(&self) -> String {
        self.name.as_ref().map_or_else(|| format!("{}-{}", self.work.label(), self.key), ToString::to_string)
    }
}

/// What a node tells the scheduler.
#[derive(Debug)]
pub struct NodeReport {
    /// The report.
    pub report: Report,
    /// The error, for [`Report::Failed`].
    pub error: Option<Error>,
}

/// The way to the scheduler. It lies beside the [`Node`] under the pool's lock,
/// so it must neither block nor take locks that are held while calling the pool.
pub trait Uplink: Send + Sized + 'static {
    /// Carries [`Node::take_reports`] away. A scheduler in the same process gives
    /// its orders to `node` at once, until there is nothing more to say; a socket
    /// puts the reports into its queue and delivers orders later by
    /// [`crate::Pool::deliver`]. The results of [`Report::Done`] are in the node
    /// by then: an uplink may send a small one along, which saves its reader the
    /// way to this node.
    fn exchange(&mut self, now: Nanos, node: &mut Node);
}

/// Other holders of values.
pub trait Peers: Send + Sync + 'static {
    /// Starts to fetch a piece; later calls [`crate::Pool::fetched`]. Called
    /// without the pool's lock; must not block.
    fn fetch(&self, fetch: FetchFrom, key: Key);
}

/// Called with a value that was read, without the pool's lock.
pub type ReadDone = Box<dyn FnOnce(Result<Value>) + Send>;

/// A task that may run now.
#[derive(Debug)]
pub(crate) struct Runnable {
    pub task: TaskId,
    pub attempt: Attempt,
    pub job: NodeJob,
    /// In the order in which the task names them; an error if one of them is not
    /// what the task expects.
    pub inputs: Result<SmallVec<[Value; 2]>>,
}

/// How a [`Runnable`] ended.
pub(crate) struct Completion {
    pub task: TaskId,
    pub attempt: Attempt,
    pub job: NodeJob,
    /// Taken by [`Node::finished`].
    pub result: Option<Result<Value, (Failure, Error)>>,
    pub bytes: u64,
    pub start_ns: Nanos,
    pub duration_ns: Nanos,
}

/// Reading and writing of spill files.
pub(crate) enum IoRequest {
    Spill { piece: Piece, life: u64, value: Value },
    Load { piece: Piece, life: u64, file: Arc<SpillFile>, part: Option<u32> },
}

/// What the pool has to do without its lock.
#[derive(Default)]
pub(crate) struct Aside {
    pub io: Vec<IoRequest>,
    pub fetches: Vec<(FetchFrom, Key)>,
    pub replies: Vec<(ReadDone, Result<Value>)>,
    /// Anything else that must not happen under the lock.
    pub calls: Vec<Box<dyn FnOnce() + Send>>,
    /// Attempts that a child may be running in vain.
    pub abandoned: Vec<(TaskId, Attempt)>,
    pub garbage: Garbage,
    /// Ops may hold anything, even futures of this executor.
    pub works: Vec<Arc<Work>>,
}

impl Aside {
    pub fn is_empty(&self) -> bool {
        self.io.is_empty()
            && self.fetches.is_empty()
            && self.replies.is_empty()
            && self.calls.is_empty()
            && self.abandoned.is_empty()
            && self.works.is_empty()
            && self.garbage.values.is_empty()
            && self.garbage.files.is_empty()
    }
}

/// Attempts that were handed out to run and that nobody wants any more. Threads
/// look here before they begin a task.
#[derive(Default)]
pub(crate) struct Unwanted {
    attempts: Mutex<HashSet<(TaskId, Attempt)>>,
    n: AtomicUsize,
}

impl Unwanted {
    pub fn contains(&self, task: TaskId, attempt: Attempt) -> bool {
        self.n.load(Ordering::Relaxed) > 0 && self.attempts.lock().contains(&(task, attempt))
    }

    fn insert(&self, task: TaskId, attempt: Attempt) {
        let mut attempts = self.attempts.lock();
        attempts.insert((task, attempt));
        self.n.store(attempts.len(), Ordering::Relaxed);
    }

    fn remove(&self, task: TaskId, attempt: Attempt) {
        if self.n.load(Ordering::Relaxed) > 0 {
            let mut attempts = self.attempts.lock();
            attempts.remove(&(task, attempt));
            self.n.store(attempts.len(), Ordering::Relaxed);
        }
    }
}

/// A task that the scheduler ordered and that has not ended.
struct Assigned {
    attempt: Attempt,
    /// None once it runs.
    job: Option<NodeJob>,
}

/// The worker core with values and jobs. See the module's head.
pub struct Node {
    core: Worker,
    actions: Vec<WorkerAction>,
    assigned: Slots<Assigned>,
    store: Store,
    fetch_keys: HashMap<Piece, Key>,
    readers: HashMap<u32, ReadDone>,
    next_reader: u32,
    /// The error of the attempt whose end the core is being told.
    failure: Option<(TaskId, Error)>,
    reports: Vec<NodeReport>,
    pub(crate) ready: VecDeque<Runnable>,
    pub(crate) unwanted: Arc<Unwanted>,
    pub(crate) aside: Aside,
    pub(crate) ledger: Ledger,
}

impl Node {
    /// A node that holds nothing.
    #[must_use]
    pub fn new(config: WorkerConfig) -> Self {
        Node {
            core: Worker::new(config),
            actions: Vec::new(),
            assigned: Slots::default(),
            store: Store::default(),
            fetch_keys: HashMap::new(),
            readers: HashMap::new(),
            next_reader: 0,
            failure: None,
            reports: Vec::new(),
            ready: VecDeque::new(),
            unwanted: Arc::default(),
            aside: Aside::default(),
            ledger: Ledger::default(),
        }
    }

    /// Takes an order of the scheduler. After the last of those that came together
    /// [`Node::settle`] must follow.
    pub fn order(&mut self, now: Nanos, assignment: Assignment) {
        let Assignment { order, job, keys } = assignment;
        match &order {
            Order::Compute(compute) => {
                self.fetch_keys.extend(compute.fetch.iter().map(|from| from.piece).zip(keys));
                let assigned = Assigned { attempt: compute.attempt, job };
                let old = self.assigned.insert(compute.task, assigned);
                self.discard(old);
            }
            Order::Copy { task, .. } => {
                self.fetch_keys.extend(keys.into_iter().map(|key| (Piece::whole(*task), key)));
            }
            Order::Abandon { task, attempt } => {
                let handed_out = |assigned: &Assigned| assigned.attempt == *attempt && assigned.job.is_none();
                if self.assigned.get(*task).is_some_and(handed_out) {
                    self.unwanted.insert(*task, *attempt);
                    self.aside.abandoned.push((*task, *attempt));
                }
                self.end_of(*task, *attempt);
            }
            Order::Retract { .. } | Order::Free(_) => {}
        }
        self.take(now, WorkerEvent::Order(order));
    }

    /// Forgets an ordered attempt, if that is the one that is known.
    fn end_of(&mut self, task: TaskId, attempt: Attempt) {
        if self.assigned.get(task).is_some_and(|assigned| assigned.attempt == attempt) {
            let assigned = self.assigned.remove(task);
            self.discard(assigned);
        }
    }

    fn discard(&mut self, assigned: Option<Assigned>) {
        self.aside.works.extend(assigned.and_then(|assigned| assigned.job).map(|job| job.work));
    }

    /// Puts a value that a client brought under a task's number.
    pub fn put(&mut self, now: Nanos, task: TaskId, key: Key, value: Value) {
        let bytes = value.nbytes();
        self.store.insert(Piece::whole(task), key, value, &mut self.aside.garbage);
        self.tell(now, WorkerEvent::Put { task, bytes });
    }

    /// Whether inputs are on their way from other nodes.
    pub(crate) fn is_fetching(&self) -> bool {
        !self.fetch_keys.is_empty()
    }

    /// Whether tasks wait for inputs to be read from disk.
    pub(crate) fn is_loading(&self) -> bool {
        self.core.is_loading()
    }

    /// A fetched piece arrived, or did not.
    pub fn fetched(&mut self, now: Nanos, fetch: FetchFrom, value: Result<Value>) {
        let FetchFrom { piece, holder, .. } = fetch;
        match (self.fetch_keys.remove(&piece), value) {
            (Some(key), Ok(value)) => {
                let bytes = value.nbytes();
                self.ledger.fetched_bytes += bytes;
                self.store.insert(piece, key, value, &mut self.aside.garbage);
                self.tell(now, WorkerEvent::Arrived { piece, bytes });
            }
            _ => self.tell(now, WorkerEvent::FetchFailed { piece, holder }),
        }
    }

    /// Reads a piece for a client or peer, loading it from disk if need be.
    /// `done` is called once, without the pool's lock. `key` must be that of the
    /// task, else nothing is found. The value may be [`crate::Encoded`].
    pub fn read(&mut self, now: Nanos, piece: Piece, key: Key, done: ReadDone) {
        if self.store.key(piece) != Some(key) {
            self.aside.replies.push((done, Err(not_here(piece))));
            return;
        }
        // What is in memory is shared without asking the core.
        if let Some(value) = self.store.get(piece) {
            self.aside.replies.push((done, value));
            return;
        }
        let reader = self.next_reader;
        self.next_reader = self.next_reader.wrapping_add(1);
        self.readers.insert(reader, done);
        self.tell(now, WorkerEvent::Wanted { piece, reader });
    }

    /// The whole value of a task, if it is in memory.
    #[must_use]
    pub fn value(&self, task: TaskId) -> Option<Value> {
        self.store.get(Piece::whole(task)).and_then(Result::ok)
    }

    /// Number of values held, in memory or on disk.
    #[must_use]
    pub fn n_values(&self) -> usize {
        self.store.len()
    }

    /// Whether it was ordered to run something that has not ended.
    #[must_use]
    pub fn has_work(&self) -> bool {
        self.assigned.len() > 0
    }

    /// The worker core, for questions.
    #[must_use]
    pub fn core(&self) -> &Worker {
        &self.core
    }

    /// Moves what to tell the scheduler to the end of `into`.
    pub fn take_reports(&mut self, into: &mut Vec<NodeReport>) {
        if into.is_empty() {
            std::mem::swap(into, &mut self.reports);
        } else {
            into.append(&mut self.reports);
        }
    }

    /// Lets up to `n` more tasks begin; they are then in [`Node::ready`].
    pub(crate) fn capacity(&mut self, now: Nanos, n: u32) {
        self.tell(now, WorkerEvent::Capacity(n));
    }

    /// Time passed.
    pub fn tick(&mut self, now: Nanos) {
        self.tell(now, WorkerEvent::Tick);
    }

    /// Tells how much memory the process uses beyond the values held here, in
    /// bytes.
    pub fn process_memory(&mut self, now: Nanos, bytes: u64) {
        self.tell(now, WorkerEvent::ProcessMemory(bytes));
    }

    /// A runnable returned. Its result is taken out of `completion`. After the
    /// last of those that are handed in together [`Node::settle`] must follow.
    pub(crate) fn finished(&mut self, now: Nanos, completion: &mut Completion) {
        let Completion { task, attempt, bytes, duration_ns, .. } = *completion;
        self.unwanted.remove(task, attempt);
        let is_current = self.assigned.get(task).is_some_and(|assigned| assigned.attempt == attempt);
        let ended = match completion.result.take() {
            Some(Ok(value)) => {
                if is_current {
                    self.store.insert(Piece::whole(task), completion.job.key, value, &mut self.aside.garbage);
                } else {
                    self.aside.garbage.values.push(value);
                }
                Ended::Ok { bytes }
            }
            Some(Err((failure, error))) => {
                self.failure = Some((task, error));
                Ended::Failed(failure)
            }
            None => unreachable!("a completion is told once"),
        };
        self.take(now, WorkerEvent::Finished { task, attempt, ended, duration: duration_ns });
        self.failure = None;
    }

    /// The I/O thread wrote a piece.
    pub(crate) fn spilled(&mut self, now: Nanos, piece: Piece, life: u64, file: Result<SpillFile>) {
        let spilled = file.is_ok_and(|file| self.store.spilled(piece, life, Arc::new(file), &mut self.aside.garbage));
        // If the piece was dropped meanwhile, the core hears of a failure, because
        // nothing of it is on disk.
        let event = if spilled { WorkerEvent::Spilled(piece) } else { WorkerEvent::SpillFailed(piece) };
        self.tell(now, event);
    }

    /// The I/O thread read a piece.
    pub(crate) fn loaded(&mut self, now: Nanos, piece: Piece, life: u64, value: Result<Value>) {
        let garbage = &mut self.aside.garbage;
        let event = match value {
            Ok(value) => {
                let bytes = value.nbytes();
                if self.store.loaded(piece, life, value, garbage) {
                    WorkerEvent::Loaded { piece, bytes }
                } else {
                    WorkerEvent::LoadFailed(piece)
                }
            }
            Err(_) => {
                self.store.load_failed(piece, life, garbage);
                WorkerEvent::LoadFailed(piece)
            }
        };
        self.tell(now, event);
    }

    /// Forgets all values.
    pub(crate) fn clear(&mut self) {
        self.store.clear(&mut self.aside.garbage);
        let readers = self.readers.drain().map(|(_, done)| {
            (done, Err(Error::new(oxidask_core::ErrorKind::Lost, "the executor that held the value was closed")))
        });
        self.aside.replies.extend(readers);
        let ready = self.ready.drain(..).map(|runnable| runnable.job.work);
        self.aside.works.extend(ready);
    }

    fn tell(&mut self, now: Nanos, event: WorkerEvent) {
        self.take(now, event);
        self.settle(now);
    }

    fn take(&mut self, now: Nanos, event: WorkerEvent) {
        self.core.take(now, event, &mut self.actions);
        self.carry_out_all(now);
    }

    /// Begins what can begin after orders or ends of tasks.
    pub fn settle(&mut self, now: Nanos) {
        self.core.settle(now, &mut self.actions);
        self.carry_out_all(now);
    }

    fn carry_out_all(&mut self, now: Nanos) {
        while !self.actions.is_empty() {
            let mut actions = std::mem::take(&mut self.actions);
            for action in actions.drain(..) {
                self.carry_out(now, action);
            }
            // What the core answered to events made on the way comes next; the
            // emptied list keeps its memory for it.
            if self.actions.is_empty() {
                self.actions = actions;
            }
        }
    }

    fn carry_out(&mut self, now: Nanos, action: WorkerAction) {
        match action {
            WorkerAction::Run { task, attempt } => self.make_ready(task, attempt),
            WorkerAction::Fetch(fetch) => match self.fetch_keys.get(&fetch.piece) {
                Some(&key) => self.aside.fetches.push((fetch, key)),
                None => unreachable!("orders to fetch come with keys"),
            },
            WorkerAction::Spill(piece) => self.spill(now, piece),
            WorkerAction::Load(piece) => match self.store.load_from(piece) {
                Some((life, file, part)) => self.aside.io.push(IoRequest::Load { piece, life, file, part }),
                None => self.core.handle(now, WorkerEvent::LoadFailed(piece), &mut self.actions),
            },
            WorkerAction::Drop(piece) => self.store.remove(piece, &mut self.aside.garbage),
            WorkerAction::Serve { piece, reader } => {
                let value = self.store.get(piece).unwrap_or_else(|| Err(not_here(piece)));
                self.aside.replies.extend(self.readers.remove(&reader).map(|done| (done, value)));
                self.core.handle(now, WorkerEvent::Served { piece, reader }, &mut self.actions);
            }
            WorkerAction::ServeFailed { piece, reader } => {
                let done = self.readers.remove(&reader);
                self.aside.replies.extend(done.map(|done| (done, Err(not_here(piece)))));
            }
            WorkerAction::Report(report) => self.report(report),
        }
    }

    /// So many running tasks wait for others, and have lent their threads.
    pub(crate) fn lent(&mut self, n_lent: usize) {
        self.report(Report::Lent(u32::try_from(n_lent).unwrap_or(u32::MAX)));
    }

    fn report(&mut self, report: Report) {
        let mut error = None;
        match &report {
            Report::Failed { task, attempt, .. } => {
                error = self.failure.take_if(|(failed, _)| failed == task).map(|(_, error)| error);
                self.end_of(*task, *attempt);
            }
            Report::Done { task, attempt, .. }
            | Report::Retracted { task, attempt }
            | Report::Abandoned { task, attempt }
            | Report::MissingInput { task, attempt, .. } => self.end_of(*task, *attempt),
            Report::Copied { .. } | Report::Dropped { .. } | Report::Lent(_) | Report::Memory { .. } => {}
        }
        self.reports.push(NodeReport { report, error });
    }

    fn make_ready(&mut self, task: TaskId, attempt: Attempt) {
        let assigned = self.assigned.get_mut(task).expect("the core runs what was ordered");
        let job = assigned.job.take().expect("an attempt runs once");
        let store = &self.store;
        let inputs = self
            .core
            .inputs_of(task)
            .iter()
            .map(|&piece| store.get(piece).expect("inputs of a task that runs are in memory"))
            .collect();
        self.ready.push_back(Runnable { task, attempt, job, inputs });
    }

    fn spill(&mut self, now: Nanos, piece: Piece) {
        let event = match self.store.to_spill(piece) {
            Some((life, value, None)) => {
                self.aside.io.push(IoRequest::Spill { piece, life, value });
                return;
            }
            Some((life, value, Some(file))) => {
                self.aside.garbage.values.push(value);
                self.store.spilled(piece, life, file, &mut self.aside.garbage);
                WorkerEvent::Spilled(piece)
            }
            None => WorkerEvent::SpillFailed(piece),
        };
        self.core.handle(now, event, &mut self.actions);
    }
}

//! The executors of one process: `sync`, `threads`, `processes`.
//!
//! All three are one scheduler core and one worker core under one lock, with a
//! function call for a link. They differ in who runs the tasks: the caller, a
//! pool of threads, or the pool with a child process for each thread's user code.
//!
//! A task may itself call [`Local::compute`] on the executor that runs it. The
//! nested graph is then run at once, by the same thread and nobody else: all
//! threads are busy with the outer graph anyway, and a thread that waited for
//! others could wait for ever. A task that waits for a future lends its place to
//! a spare thread instead.

mod bundle;
mod fits;
mod future;
mod link;
mod machine;
mod nested;
mod windows;

use crate::child::ChildCommand;
use crate::coordinator::Submission;
use crate::encoded::decoded;
use crate::observe::Observers;
use crate::pool::{Pool, PoolOptions};
use crate::work::{Costs, Work};
use future::{Cell, Handle};
use link::{Bulk, Claim, Link};
use oxidask_core::events::Observer;
use oxidask_core::executor::WatchGuard;
use oxidask_core::{Error, Executor, Future, Graph, Key, Result, Status, Value, config};
use oxidask_sched::{ClientId, TaskId, WorkerConfig};
use parking_lot::Mutex;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Where tasks run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LocalKind {
    /// On the thread that asks, when it asks.
    Sync,
    /// On a pool of threads.
    Threads,
    /// User code in child processes, everything else on a pool of threads.
    Processes,
}

/// How a [`Local`] is set up; `None` takes the setting or its default.
#[derive(Clone, Debug)]
pub struct LocalOptions {
    /// Where tasks run.
    pub kind: LocalKind,
    /// Tasks at once: `num-workers`, by default all cores. Always 1 for `Sync`.
    pub n_workers: Option<usize>,
    /// Bytes of results held in memory: `memory-limit`, by default 60 % of the
    /// memory of the machine or of its control group.
    pub memory_limit: Option<u64>,
    /// Folder for spilled results: `temporary-directory`.
    pub spill_dir: Option<PathBuf>,
    /// How to start a child; needed for `Processes`.
    pub child: Option<ChildCommand>,
}

impl LocalOptions {
    /// The defaults for a kind.
    #[must_use]
    pub fn new(kind: LocalKind) -> Self {
        LocalOptions { kind, n_workers: None, memory_limit: None, spill_dir: None, child: None }
    }
}

/// An executor within one process. Clones share it; the last one closes it.
///
/// ```
/// use oxidask_core::{Executor, FnOp, Graph, Key, Value};
/// use oxidask_exec::{Local, LocalKind, LocalOptions};
/// use std::sync::Arc;
///
/// let executor = Local::new(LocalOptions::new(LocalKind::Threads))?;
/// let mut graph = Graph::new();
/// let stage = graph.stage(Arc::new(FnOp::new("nothing", |_, _| Ok(Value::new(oxidask_core::Parts(vec![]))))));
/// let task = graph.task(Key::named("example"), stage, 0, &[]);
/// graph.outputs.push(oxidask_core::Input::whole(task));
/// let values = executor.compute(graph, &|| Ok(()))?;
/// assert_eq!(values.len(), 1);
/// # Ok::<(), oxidask_core::Error>(())
/// ```
#[derive(Clone)]
pub struct Local {
    shared: Arc<Shared>,
}

/// What the clones of a [`Local`] and its futures share.
struct Shared {
    kind: LocalKind,
    n_slots: usize,
    memory_limit: u64,
    /// What no task may need alone: the limit if somebody set it, else all memory.
    capacity: u64,
    pool: Pool<Link>,
    observers: Arc<Observers>,
    next_client: AtomicU32,
    /// Held by the caller that runs tasks, for `Sync`: one at a time.
    turn: Mutex<()>,
}

/// Between two questions whether the user pressed Ctrl-C.
const INTERRUPT_POLL: Duration = Duration::from_millis(50);

impl Local {
    /// Starts an executor.
    ///
    /// # Errors
    /// If a setting makes no sense, the folder for spilled results cannot be
    /// written, or `Processes` lacks a child command.
    pub fn new(options: LocalOptions) -> Result<Self> {
        let LocalOptions { kind, n_workers, memory_limit, spill_dir, child } = options;
        let n_slots = if kind == LocalKind::Sync { 1 } else { n_slots(n_workers)? };
        if kind == LocalKind::Processes && child.is_none() {
            return Err(Error::value("the executor 'processes' was not told how to start a child process")
                .with_hint("call oxidask::init() first in main, or use the executor 'threads'"));
        }
        let wanted = match memory_limit {
            Some(bytes) => Some(bytes),
            None => config::get_bytes("memory-limit")?,
        };
        let memory_limit = wanted.unwrap_or_else(machine::default_memory_limit);
        let capacity = wanted.or_else(machine::memory_bytes).unwrap_or(u64::MAX);
        let spill_dir = match spill_dir {
            Some(folder) => Some(folder),
            None => config::get("temporary-directory")?.map(PathBuf::from),
        };
        let worker = WorkerConfig {
            memory_limit,
            target: config::get_fraction("distributed.worker.memory.target")?,
            spill: config::get_fraction("distributed.worker.memory.spill")?,
            pause: config::get_fraction("distributed.worker.memory.pause")?,
            ..WorkerConfig::default()
        };
        let allowed_failures = config::get_f64("distributed.scheduler.allowed-failures")?.unwrap_or(3.0) as u32;
        let observers = Arc::new(Observers::default());
        let link = Link::new(n_slots, memory_limit, allowed_failures, observers.clone());
        let pool = Pool::start(
            PoolOptions {
                n_threads: if kind == LocalKind::Sync { 0 } else { n_slots },
                worker,
                spill_dir,
                child: child.filter(|_| kind == LocalKind::Processes),
                observers: observers.clone(),
            },
            link,
            None,
        )?;
        let (next_client, turn) = (AtomicU32::new(0), Mutex::new(()));
        let shared = Shared { kind, n_slots, memory_limit, capacity, pool, observers, next_client, turn };
        Ok(Local { shared: Arc::new(shared) })
    }

    /// Holds values under keys made from their content's identity; answers a
    /// future for each, in order.
    ///
    /// # Errors
    /// If the executor was closed.
    pub fn scatter(&self, values: Vec<(Key, Value)>) -> Result<Vec<Future>> {
        let mut graph = Graph::new();
        for (key, value) in values {
            let task = graph.data(key, value);
            graph.outputs.push(oxidask_core::Input::whole(task));
        }
        self.submit(graph)
    }

    /// Why the value with this key is not there yet, in words.
    #[must_use]
    pub fn explain(&self, key: Key) -> String {
        self.shared.pool.with(|_, _, link| link.explain(key))
    }

    /// Number of tasks that the scheduler knows and of values that are held.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        self.shared.pool.with(|_, node, link| (link.n_tasks(), node.n_values()))
    }

    /// Why results cannot be spilled, if that was tried in vain.
    #[must_use]
    pub fn spill_error(&self) -> Option<Error> {
        self.shared.pool.spill_error()
    }

    /// Submits a graph and makes futures of its outputs; runs nothing.
    fn claim(&self, graph: Graph) -> Result<Vec<Future>> {
        let shared = &self.shared;
        let client = shared.new_client();
        let parts: Vec<Option<u32>> = graph.outputs.iter().map(|output| output.part_idx()).collect();
        let mut cells = hashbrown::HashMap::new();
        let tasks = shared.submit(client, graph, false, &mut Costs::default(), |submission, tasks| {
            for (&row, &task) in submission.outputs.iter().zip(tasks) {
                let key = submission.tasks[row as usize].key;
                cells.entry(task).or_insert_with(|| Arc::new(Cell::new(shared, client, task, key)));
            }
            Claim::Futures(cells.iter().map(|(&task, cell)| (task, Arc::downgrade(cell))).collect())
        })?;
        Ok(tasks.iter().zip(parts).map(|(task, part)| Future::new(Handle::new(cells[task].clone(), part))).collect())
    }

    /// Stops threads, ends children and deletes spill files; pending futures
    /// are lost. Later use answers an error.
    pub fn close(&self) {
        self.shared.close();
    }
}

impl Shared {
    fn close(&self) {
        self.pool.with(|_, node, link| link.close(node));
        self.pool.close();
    }

    fn new_client(&self) -> ClientId {
        ClientId(self.next_client.fetch_add(1, Ordering::Relaxed))
    }

    /// Submits a graph of tasks whose `costs` may be known in part; `claim` makes
    /// the claim on its distinct outputs, which are all `gathered` in memory, or may
    /// spill.
    fn submit(
        &self,
        client: ClientId,
        graph: Graph,
        gathered: bool,
        costs: &mut Costs,
        claim: impl FnOnce(&Submission<Arc<Work>>, &[TaskId]) -> Claim,
    ) -> Result<Vec<TaskId>> {
        let is_sent = |work: &Work| self.kind == LocalKind::Processes && work.runs_user_code();
        let submission = Submission::from_graph(&graph, |stage| {
            let work = Work::from_op(stage.label.clone(), stage.op.clone()).with_costs(costs);
            if is_sent(&work) {
                // A mistake shows where the graph is submitted.
                work.encoded().map_err(|error| error.within(format!("task '{}'", stage.label)))?;
            }
            Ok(Arc::new(work))
        })?;
        fits::check(&submission, self.capacity, gathered)?;
        let mut values: Vec<Option<Value>> = graph.data_values().iter().cloned().map(Some).collect();
        drop(graph);
        let accepted =
            self.pool.with(|now, node, link| link.submit(now, node, client, &submission, &mut values, claim));
        drop(submission);
        accepted
    }

    /// Has the outputs of a graph computed. With `check_result` they are refused
    /// if they do not fit together.
    fn gather(&self, graph: Graph, check_result: bool, costs: &mut Costs) -> Result<Gathering<'_>> {
        let client = self.new_client();
        let parts = graph.outputs.iter().map(|output| output.part_idx()).collect();
        let bulk = Arc::new(Bulk::default());
        let tasks = self.submit(client, graph, check_result, costs, |_, tasks| {
            bulk.expect(tasks);
            Claim::Bulk(bulk.clone())
        })?;
        Ok(Gathering { shared: self, client, bulk, tasks, parts })
    }

    /// Waits for a bulk claim, running tasks if nobody else does.
    fn wait(&self, bulk: &Bulk, interrupted: &dyn Fn() -> Result<()>) -> Result<()> {
        if self.kind != LocalKind::Sync {
            return bulk.wait(INTERRUPT_POLL, interrupted);
        }
        let _turn = self.turn.lock();
        self.run_here(|| bulk.is_done(), interrupted)
    }

    /// Runs tasks on the calling thread until `done`.
    fn run_here(&self, done: impl Fn() -> bool, interrupted: &dyn Fn() -> Result<()>) -> Result<()> {
        let mut ask_at = Instant::now() + INTERRUPT_POLL;
        self.pool.run_here(
            |_| done(),
            || {
                if Instant::now() < ask_at {
                    return Ok(());
                }
                ask_at = Instant::now() + INTERRUPT_POLL;
                interrupted()
            },
        )
    }
}

/// Outputs of a graph on their way to who called `compute`, who gives up what is
/// not there yet by dropping it.
struct Gathering<'a> {
    shared: &'a Shared,
    client: ClientId,
    bulk: Arc<Bulk>,
    tasks: Vec<TaskId>,
    /// Which part of its task's result an output is.
    parts: Vec<Option<u32>>,
}

impl Gathering<'_> {
    /// The outputs, in order.
    fn wait(self, interrupted: &dyn Fn() -> Result<()>) -> Result<Vec<Value>> {
        self.shared.wait(&self.bulk, interrupted)?;
        let values = self.bulk.take(&self.tasks)?;
        values.into_iter().zip(&self.parts).map(|(value, &part)| decoded(value)?.part(part)).collect()
    }
}

impl Drop for Gathering<'_> {
    fn drop(&mut self) {
        self.shared.pool.with(|now, node, link| link.client_gone(now, node, self.client));
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.close();
    }
}

impl Executor for Local {
    fn name(&self) -> &str {
        match self.shared.kind {
            LocalKind::Sync => "sync",
            LocalKind::Threads => "threads",
            LocalKind::Processes => "processes",
        }
    }

    fn n_slots(&self) -> usize {
        self.shared.n_slots
    }

    fn memory_limit(&self) -> Option<u64> {
        Some(self.shared.memory_limit)
    }

    fn submit(&self, graph: Graph) -> Result<Vec<Future>> {
        let shared = &self.shared;
        if shared.kind == LocalKind::Sync && shared.pool.is_inside() {
            return self.submit_nested(graph);
        }
        let futures = self.claim(graph)?;
        if shared.kind == LocalKind::Sync {
            let _turn = shared.turn.lock();
            shared.run_here(|| futures.iter().all(|future| future.status() != Status::Pending), &|| Ok(()))?;
        }
        Ok(futures)
    }

    fn compute(&self, graph: Graph, interrupted: &dyn Fn() -> Result<()>) -> Result<Vec<Value>> {
        let shared = &self.shared;
        if shared.pool.is_inside() {
            return self.compute_nested(graph, interrupted);
        }
        // Who watches sees one graph.
        if !shared.observers.any() && windows::is_divisible(&graph) {
            return shared.compute_windows(graph, interrupted);
        }
        shared.gather(graph, true, &mut Costs::default())?.wait(interrupted)
    }

    fn watch(&self, observer: Arc<dyn Observer>) -> WatchGuard {
        self.shared.observers.watch(observer)
    }
}

/// Tasks at once: as told, as set, or all cores that this process may use.
fn n_slots(told: Option<usize>) -> Result<usize> {
    let n_slots = match told {
        Some(n_slots) => n_slots,
        None => match config::get_f64("num-workers")? {
            Some(number) if number.fract() == 0.0 && number >= 0.0 => number as usize,
            Some(number) => return Err(Error::value(format!("setting 'num-workers' is {number}, not a whole number"))),
            None => std::thread::available_parallelism().map_or(1, usize::from),
        },
    };
    const MAX_SLOTS: usize = 512;
    if n_slots == 0 || n_slots > MAX_SLOTS {
        return Err(Error::value(format!("an executor has 1 to {MAX_SLOTS} workers, not {n_slots}")));
    }
    Ok(n_slots)
}

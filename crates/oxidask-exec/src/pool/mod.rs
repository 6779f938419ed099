//! Threads that run a [`Node`]'s tasks, and the one lock around it.
//!
//! A thread takes a batch of tasks under the lock, runs them without it, keeps
//! what they answered, and hands all of it in when it comes for the next batch.
//! Everything slow that follows from an event (freeing memory, files, peers,
//! callbacks) is put aside under the lock and done after it. Of the code of ops
//! and values only [`oxidask_core::Data::nbytes`] and `parts` are called under the
//! lock, and so must neither block nor take a lock such as Python's.

pub(crate) mod batch;
mod io;
pub(crate) mod memory;
mod queue;
mod thread;

use crate::child::{ChildCommand, Children, Sample, sample_here};
use crate::ledger::{Cause, Ledger, Waits};
use crate::node::{Aside, Assignment, IoRequest, Node, Peers, Unwanted, Uplink};
use crate::observe::Observers;
use crate::store::spill::SpillFolders;
use memory::Monitor;
pub use memory::on_memory_pressure;
use oxidask_core::{Error, Key, Result, Value, config};
use oxidask_sched::{FetchFrom, Nanos, Piece, TaskId, WorkerConfig};
use parking_lot::{Condvar, Mutex, MutexGuard, RwLock};
use queue::Queue;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// How a pool is set up.
pub struct PoolOptions {
    /// Threads that run tasks; 0 if callers run them by [`Pool::run_here`].
    pub n_threads: usize,
    /// Settings of the worker core.
    pub worker: WorkerConfig,
    /// Folder in which a folder of spill files is made, or several with `:`
    /// between, which take turns; the system's folder for
    /// temporary files if none.
    pub spill_dir: Option<PathBuf>,
    /// How to start the children that run user code; without it user code runs
    /// on the threads.
    pub child: Option<ChildCommand>,
    /// Who is told of finished tasks.
    pub observers: Arc<Observers>,
}

/// A node with its threads, its I/O thread and its children. Clones share them;
/// the last one closes them.
pub struct Pool<U: Uplink> {
    owner: Arc<Owner<U>>,
}

/// Closes the pool when the last [`Pool`] is dropped; threads hold only
/// [`Inner`].
struct Owner<U: Uplink>(Arc<Inner<U>>);

pub(crate) struct Inner<U> {
    /// Tells pools apart.
    id: u64,
    state: Mutex<State<U>>,
    /// Threads without work wait here.
    work: Condvar,
    /// Those who wait for threads to end wait here.
    ended: Condvar,
    started: Instant,
    /// Of all threads, by their numbers.
    queues: RwLock<Vec<(u32, Arc<Queue>)>>,
    io: OnceLock<Option<Sender<IoRequest>>>,
    /// Made when it is first needed; an error if that did not work.
    folders: OnceLock<Result<SpillFolders>>,
    spill_dirs: Vec<PathBuf>,
    /// Most bytes of spilled results.
    max_spill: u64,
    monitor: Monitor,
    /// Bytes that the process may use for its tasks and results.
    memory_limit: u64,
    /// Fraction of that beyond which the largest child is ended.
    terminate: f64,
    /// The first failure to spill that was not about one value.
    spill_error: OnceLock<Error>,
    peers: Option<Arc<dyn Peers>>,
    n_threads: usize,
    child: Option<ChildCommand>,
    children: Children,
    unwanted: Arc<Unwanted>,
    observers: Arc<Observers>,
}

struct State<U> {
    node: Node,
    uplink: U,
    /// Threads that wait for work.
    idle: usize,
    /// How long threads waited, and for what.
    waits: Waits,
    /// Threads that have not ended.
    live: usize,
    /// Threads whose task waits for other tasks, and lent its place.
    blocked: usize,
    next_thread: u32,
    last_tick: Nanos,
    closed: bool,
}

/// Between two ticks of the cores, in nanoseconds.
const TICK_NS: Nanos = 100_000_000;

impl<U: Uplink> Clone for Pool<U> {
    fn clone(&self) -> Self {
        Pool { owner: self.owner.clone() }
    }
}

impl<U: Uplink> Drop for Owner<U> {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl<U: Uplink> Pool<U> {
    /// Starts the threads. Children start when the first task needs them.
    ///
    /// # Errors
    /// If threads cannot be started, or the given folder for spill files cannot
    /// be written.
    pub fn start(options: PoolOptions, uplink: U, peers: Option<Arc<dyn Peers>>) -> Result<Self> {
        static NEXT_ID: AtomicU64 = AtomicU64::new(1);
        let folders = OnceLock::new();
        let max_spill = match config::get("distributed.worker.memory.max-spill")? {
            Some(text) if !text.eq_ignore_ascii_case("false") => config::parse_bytes(&text)?,
            _ => u64::MAX,
        };
        let mut spill_dirs = vec![std::env::temp_dir()];
        if let Some(dirs) = &options.spill_dir {
            spill_dirs = std::env::split_paths(dirs).collect();
            // A folder that somebody chose is tried at once, so that a mistake
            // shows before it costs a computation.
            let _ = folders.set(Ok(SpillFolders::new(&spill_dirs, max_spill)?));
        }
        let memory_limit = options.worker.memory_limit;
        let node = Node::new(options.worker);
        let inner = Arc::new(Inner {
            unwanted: node.unwanted.clone(),
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            state: Mutex::new(State {
                node,
                uplink,
                idle: 0,
                waits: Waits::default(),
                live: 0,
                blocked: 0,
                next_thread: 0,
                last_tick: 0,
                closed: false,
            }),
            work: Condvar::new(),
            ended: Condvar::new(),
            started: Instant::now(),
            queues: RwLock::default(),
            io: OnceLock::new(),
            folders,
            spill_dirs,
            max_spill,
            monitor: Monitor::default(),
            memory_limit,
            terminate: config::get_fraction("distributed.worker.memory.terminate")?,
            spill_error: OnceLock::new(),
            peers,
            n_threads: options.n_threads,
            child: options.child,
            children: Children::default(),
            observers: options.observers,
        });
        let pool = Pool { owner: Arc::new(Owner(inner)) };
        for _ in 0..options.n_threads {
            thread::spawn(pool.inner(), &mut pool.inner().state.lock(), false)?;
        }
        Ok(pool)
    }

    pub(crate) fn inner(&self) -> &Arc<Inner<U>> {
        &self.owner.0
    }

    /// The number of this pool in its process; see [`crate::lend::current_pool`].
    #[must_use]
    pub fn id(&self) -> u64 {
        self.inner().id
    }

    /// Steady time since the pool started.
    #[must_use]
    pub fn now(&self) -> Nanos {
        self.inner().now()
    }

    /// Calls `act` under the lock, then carries out what follows from it. `act`
    /// must be short, and drop nothing that may call back.
    pub fn with<R>(&self, act: impl FnOnce(Nanos, &mut Node, &mut U) -> R) -> R {
        self.inner().with(act)
    }

    /// Takes orders of the scheduler.
    pub fn deliver(&self, orders: Vec<Assignment>) {
        self.with(|now, node, _| {
            orders.into_iter().for_each(|order| node.order(now, order));
            node.settle(now);
        });
    }

    /// Puts a value that a client brought under a task's number.
    pub fn put(&self, task: TaskId, key: Key, value: Value) {
        self.with(|now, node, _| node.put(now, task, key, value));
    }

    /// A fetched piece arrived, or did not.
    pub fn fetched(&self, fetch: FetchFrom, value: Result<Value>) {
        self.with(|now, node, _| node.fetched(now, fetch, value));
    }

    /// Reads a piece for a client or peer; see [`Node::read`].
    pub fn read(&self, piece: Piece, key: Key, done: impl FnOnce(Result<Value>) + Send + 'static) {
        self.with(|now, node, _| node.read(now, piece, key, Box::new(done)));
    }

    /// Runs tasks on the calling thread until `done`, which is asked under the
    /// lock, or until `interrupted` answers an error.
    ///
    /// # Errors
    /// Whatever `interrupted` answers.
    pub fn run_here(&self, done: impl FnMut(&mut U) -> bool, interrupted: impl FnMut() -> Result<()>) -> Result<()> {
        thread::run_here(self.inner(), done, interrupted)
    }

    /// Runs `wait`, which waits for other tasks. If the calling thread belongs to
    /// this pool, another one takes its place meanwhile, so that the tasks it
    /// waits for can run.
    pub fn blocking<R>(&self, wait: impl FnOnce() -> R) -> R {
        crate::lend::lend_in(self.inner().id, wait)
    }

    /// Whether the calling thread runs a task of this pool.
    #[must_use]
    pub fn is_inside(&self) -> bool {
        crate::lend::is_inside(self.inner().id)
    }

    /// Where the time of its threads went.
    #[must_use]
    pub fn ledger(&self) -> Ledger {
        let inner = self.inner();
        let state = inner.state.lock();
        let now = inner.now();
        Ledger {
            elapsed_ns: now,
            n_threads: inner.n_threads as u64,
            input_ns: state.waits.total(Cause::Input, now),
            load_ns: state.waits.total(Cause::Load, now),
            idle_ns: state.waits.total(Cause::Nothing, now),
            ..state.node.ledger
        }
    }

    /// Asks about the functions of users, in the words of the
    /// [`Sampler`](crate::child::Sampler): each child, or, without children, this
    /// process. Asks one child after another, each for `timeout` at most.
    #[must_use]
    pub fn samples(&self, question: &str, timeout: Duration) -> Vec<Sample> {
        let inner = self.inner();
        if inner.child.is_some() {
            return inner.children.samples(question, timeout);
        }
        let answer = sample_here(question).map_err(|error| error.message().to_owned());
        vec![Sample { task: None, answer }]
    }

    /// Why results cannot be spilled, if that was tried in vain: the folder
    /// cannot be written, or the disk is full.
    #[must_use]
    pub fn spill_error(&self) -> Option<Error> {
        self.inner().spill_error.get().cloned()
    }

    /// Stops threads, ends children, deletes spill files. Running tasks are
    /// abandoned: their threads end when they return.
    pub fn close(&self) {
        self.inner().close();
    }
}

impl<U: Uplink> Inner<U> {
    pub fn now(&self) -> Nanos {
        u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    pub fn with<R>(self: &Arc<Self>, act: impl FnOnce(Nanos, &mut Node, &mut U) -> R) -> R {
        let mut guard = self.state.lock();
        let state = &mut *guard;
        let now = self.now();
        let answer = act(now, &mut state.node, &mut state.uplink);
        if !state.closed {
            state.uplink.exchange(now, &mut state.node);
        }
        self.settle(guard);
        answer
    }

    /// Wakes threads for what became ready, lets the lock go, and does what was
    /// put aside.
    fn settle(self: &Arc<Self>, mut state: MutexGuard<'_, State<U>>) {
        let n_wake = state.node.ready.len().min(state.idle);
        let aside = (!state.node.aside.is_empty()).then(|| std::mem::take(&mut state.node.aside));
        drop(state);
        for _ in 0..n_wake {
            self.work.notify_one();
        }
        if let Some(aside) = aside {
            self.do_aside(aside);
        }
    }

    fn do_aside(self: &Arc<Self>, aside: Aside) {
        let Aside { io, fetches, replies, calls, abandoned, garbage, works } = aside;
        for (task, attempt) in abandoned {
            self.children.abandon(task, attempt);
        }
        for request in io {
            self.request(request);
        }
        if let Some(peers) = &self.peers {
            for (fetch, key) in fetches {
                peers.fetch(fetch, key);
            }
        }
        for (done, value) in replies {
            done(value);
        }
        for call in calls {
            call();
        }
        drop((garbage, works));
    }

    fn close(self: &Arc<Self>) {
        /// Longest wait for threads that are between two tasks.
        const GRACE: Duration = Duration::from_millis(200);
        let mut state = self.state.lock();
        let was_closed = std::mem::replace(&mut state.closed, true);
        if was_closed {
            return;
        }
        state.node.clear();
        self.monitor.close();
        self.work.notify_all();
        self.children.close();
        let inside = usize::from(crate::lend::is_inside(self.id));
        let deadline = Instant::now() + GRACE;
        while state.live > inside && !self.ended.wait_until(&mut state, deadline).timed_out() {}
        self.settle(state);
        if let Some(Ok(folders)) = self.folders.get() {
            folders.delete();
        }
    }
}

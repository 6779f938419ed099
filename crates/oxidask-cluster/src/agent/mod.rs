//! A worker process: `oxidask-exec`'s pool with a socket for its uplink.
//!
//! The agent owns the results of its tasks, runs native operations on its
//! threads and user code in child processes, reads inputs directly from other
//! agents, and serves its own results to them and to clients at an address of
//! its own. It follows the scheduler's orders. When the connection drops it goes
//! on with what it has and comes back over another one; it ends once the
//! scheduler has been away for too long, sends it away, or has forgotten it.

mod kept;
mod link;
mod membership;
mod process;
mod serve;

pub use membership::{Membership, VARIABLE as MEMBERSHIP_VARIABLE};
pub use process::{AgentConfig, BEGIN_ANEW, ChildFields, serve_agent};

use crate::blobs::KeptBlobs;
use crate::connect::{Absence, Address, Connection, Introduced, Listener, dial_when_there};
use crate::protocol::{
    Build, FromWorker, Hello, Inbox, Outbox, Role, SessionHello, ToWorker, WireCompute, WorkerIntro,
};
use crate::security::Credentials;
use crate::wire::{Inlet, Outlet, Packet};
use hashbrown::HashMap;
use kept::Kept;
use link::{Link, PeerReads};
use oxidask_core::{Error, ErrorKind, Key, Result, Value};
use oxidask_exec::{Assignment, ChildCommand, Pool, PoolOptions, Work};
use oxidask_sched::{Attempt, Order, TaskId, WorkerConfig, WorkerId};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::Notify;

/// How an agent is set up.
#[derive(Clone, Debug)]
pub struct AgentOptions {
    /// The name that outlives its incarnations.
    pub name: String,
    /// Where the scheduler listens.
    pub scheduler: Address,
    /// What members know and encrypt with.
    pub credentials: Credentials,
    /// Where to serve results.
    pub listen: Address,
    /// Tasks at once.
    pub n_threads: usize,
    /// Settings of the worker core.
    pub worker: WorkerConfig,
    /// Folder for spilled results; the system's if none.
    pub spill_dir: Option<PathBuf>,
    /// How to start the children that run user code; on the threads if none.
    pub child: Option<ChildCommand>,
    /// Abstract resources.
    pub resources: Vec<(String, f64)>,
    /// Longest wait for a connection.
    pub connect_timeout: Duration,
    /// Longest absence of the scheduler.
    pub death_timeout: Duration,
    /// Asks to be retired after so long.
    pub lifetime: Option<Duration>,
}

/// Why an agent ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AgentEnd {
    /// The scheduler sent it away, or its owner closed it.
    SentAway,
    /// Its lifetime was over.
    Retired,
    /// It is to drop everything and begin anew.
    Restart,
    /// The scheduler was away for too long, or could not be understood.
    NoScheduler,
    /// The scheduler has given it up meanwhile: what it holds is of no use, and
    /// it may begin anew.
    Forgotten,
}

/// How often an agent says that it lives.
const HEARTBEAT: Duration = Duration::from_millis(500);

/// A running agent, in this process. Closed when dropped.
pub struct Agent {
    pool: Arc<Pool<Link>>,
    address: Address,
    closing: Arc<Notify>,
    thread: Option<JoinHandle<AgentEnd>>,
}

impl std::fmt::Debug for Agent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Agent({})", self.address)
    }
}

impl Agent {
    /// Listens, joins the scheduler and works.
    ///
    /// # Errors
    /// If the scheduler is not there or refuses it, or the pool cannot start.
    pub fn start(options: AgentOptions) -> Result<Self> {
        let failed = |cause: std::io::Error| Error::io("starting a worker", &cause);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let (listener, hello, connection) = runtime.block_on(async {
            let listener = Listener::bind(&options.listen, &options.credentials).await?;
            let hello = introduction(&options, listener.address())?;
            let connection =
                dial_when_there(&options.scheduler, &options.credentials, &hello, options.connect_timeout).await?;
            Ok::<_, Error>((listener, hello, connection))
        })?;
        let address = listener.address().clone();
        let peers =
            Arc::new(PeerReads::new(runtime.handle().clone(), options.credentials.clone(), options.connect_timeout));
        let membership = membership(&options, &address);
        let mut child = options.child;
        if let Some(child) = &mut child {
            child.env.push((MEMBERSHIP_VARIABLE.into(), membership.to_text()?.into()));
        }
        let pool = Arc::new(Pool::start(
            PoolOptions {
                n_threads: options.n_threads,
                worker: options.worker,
                spill_dir: options.spill_dir,
                child,
                observers: Arc::default(),
            },
            Link::new(connection.outlet.clone()),
            Some(peers.clone()),
        )?);
        peers.attach(&pool);
        membership.register(pool.id());
        let closing = Arc::new(Notify::new());
        let Connection { inlet, outlet, .. } = connection;
        let absence = Absence {
            address: options.scheduler,
            credentials: options.credentials,
            hello,
            outlet: outlet.clone(),
            patience: options.death_timeout,
        };
        let lifetime = options.lifetime;
        let member = Member {
            pool: pool.clone(),
            peers,
            outlet,
            kept: Arc::default(),
            blobs: KeptBlobs::default(),
            stages: HashMap::new(),
        };
        let until = closing.clone();
        let thread = std::thread::Builder::new()
            .name("oxidask-agent".to_owned())
            .spawn(move || {
                // As a task of the runtime's own, which a packet wakes more cheaply
                // than the future that the runtime blocks on.
                let working = async { tokio::spawn(work(member, inlet, listener, absence, lifetime, until)).await };
                // A panic was reported when it happened.
                runtime.block_on(working).unwrap_or(AgentEnd::NoScheduler)
            })
            .map_err(failed)?;
        Ok(Agent { pool, address, closing, thread: Some(thread) })
    }

    /// Where it serves results.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Whether the scheduler sent it away or is gone.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Waits until the scheduler sends it away or is gone, then ends.
    pub fn wait(mut self) -> AgentEnd {
        self.join()
    }

    fn join(&mut self) -> AgentEnd {
        Membership::unregister(self.pool.id());
        // A panic was reported when it happened.
        let end = self.thread.take().and_then(|thread| thread.join().ok());
        self.pool.close();
        end.unwrap_or(AgentEnd::NoScheduler)
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.closing.notify_one();
        self.join();
    }
}

/// What this agent's tasks know of it.
fn membership(options: &AgentOptions, address: &Address) -> Membership {
    /// Agents that this process has started.
    static N_STARTED: AtomicU64 = AtomicU64::new(0);
    let number = N_STARTED.fetch_add(1, Ordering::Relaxed);
    Membership {
        name: options.name.clone(),
        address: address.to_string(),
        scheduler: options.scheduler.to_string(),
        secret: options.credentials.secret().to_hex(),
        security: options.credentials.security().clone(),
        n_threads: options.n_threads,
        local_directory: options.spill_dir.clone().unwrap_or_else(std::env::temp_dir).display().to_string(),
        incarnation: format!("{}-{number}", std::process::id()),
    }
}

fn introduction(options: &AgentOptions, address: &Address) -> Result<Hello> {
    let intro = WorkerIntro {
        name: options.name.clone(),
        address: address.to_string(),
        pid: std::process::id(),
        n_slots: u32::try_from(options.n_threads).unwrap_or(u32::MAX),
        memory_limit: options.worker.memory_limit,
        local_directory: options.spill_dir.clone().unwrap_or_else(std::env::temp_dir).display().to_string(),
        resources: options.resources.clone(),
    };
    Ok(Hello { role: Role::Worker(intro), build: Build::current(), session: Some(SessionHello::begin()?) })
}

/// Runs until the scheduler is gone, sends us away, or `closing` is told.
async fn work(
    mut member: Member,
    mut inlet: Inlet,
    listener: Listener,
    mut absence: Absence,
    lifetime: Option<Duration>,
    closing: Arc<Notify>,
) -> AgentEnd {
    let outlet = member.outlet.clone();
    let pool = Arc::downgrade(&member.pool);
    let kept = member.kept.clone();
    let serving = listener.serve(absence.credentials.clone(), move |introduced: Introduced| {
        let (pool, kept) = (pool.clone(), kept.clone());
        async move {
            if let Some(pool) = pool.upgrade() {
                serve::serve_reader(&pool, &kept, introduced).await;
            }
        }
    });
    let beating = async {
        let mut interval = tokio::time::interval(HEARTBEAT);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            interval.tick().await;
            say(&outlet, FromWorker::Heartbeat(memory_of("self")));
            outlet.acknowledge_all();
        }
    };
    let is_leaving = AtomicBool::new(false);
    let aging = async {
        match lifetime {
            Some(lifetime) => tokio::time::sleep(lifetime).await,
            None => std::future::pending().await,
        }
        is_leaving.store(true, Ordering::Relaxed);
        say(&outlet, FromWorker::Leaving);
        std::future::pending::<()>().await;
    };
    let following = async {
        loop {
            match inlet.next().await {
                Ok(packet) => match member.take(packet) {
                    Ok(None) => {}
                    Ok(Some(AgentEnd::SentAway)) if is_leaving.load(Ordering::Relaxed) => return AgentEnd::Retired,
                    Ok(Some(end)) => return end,
                    Err(_) => return AgentEnd::NoScheduler,
                },
                Err(_) => match absence.come_back().await {
                    Ok(next) => inlet = next,
                    Err(error) if error.kind() == ErrorKind::Lost => return AgentEnd::Forgotten,
                    Err(_) => return AgentEnd::NoScheduler,
                },
            }
        }
    };
    let end = tokio::select! {
        () = serving => AgentEnd::NoScheduler,
        () = beating => AgentEnd::NoScheduler,
        () = aging => AgentEnd::NoScheduler,
        end = following => end,
        () = closing.notified() => AgentEnd::SentAway,
    };
    outlet.close();
    end
}

fn say(outlet: &Outlet, message: FromWorker) {
    let mut outbox = Outbox::default();
    outbox.push(message);
    if let Ok(packet) = outbox.take() {
        outlet.send(packet);
    }
}

/// Bytes of memory that a process uses, or 0 if the system does not say.
pub(crate) fn memory_of(pid: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = resident.and_then(|text| text.trim().trim_end_matches("kB").trim().parse::<u64>().ok());
    kib.unwrap_or(0) << 10
}

/// What the agent knows from its scheduler.
struct Member {
    pool: Arc<Pool<Link>>,
    peers: Arc<PeerReads>,
    outlet: Outlet,
    kept: Arc<Kept>,
    blobs: KeptBlobs,
    stages: HashMap<u32, Arc<Work>>,
}

impl Member {
    /// Takes what the scheduler says; answers how that ends us, if it does.
    fn take(&mut self, packet: Packet) -> Result<Option<AgentEnd>> {
        let (messages, mut inbox) = Inbox::open::<ToWorker>(packet)?;
        let mut assignments = Vec::with_capacity(messages.len());
        let mut wanted = Vec::new();
        for message in messages {
            let (order, copy_key) = match message {
                ToWorker::Compute(compute) => {
                    if compute.is_wanted {
                        wanted.push(TaskId(compute.task));
                    }
                    assignments.push(self.assignment(*compute)?);
                    continue;
                }
                ToWorker::Retract(task, attempt) => {
                    (Order::Retract { task: TaskId(task), attempt: Attempt(attempt) }, None)
                }
                ToWorker::Abandon(task, attempt) => {
                    (Order::Abandon { task: TaskId(task), attempt: Attempt(attempt) }, None)
                }
                ToWorker::Free(task) => (Order::Free(TaskId(task)), None),
                ToWorker::Copy { task, key, bytes, holder } => {
                    (Order::Copy { task: TaskId(task), bytes, holder: WorkerId(holder) }, Some(key))
                }
                other => {
                    // What follows may refer to orders before it.
                    self.deliver(&mut assignments, &mut wanted);
                    if let Some(end) = self.other(other, &mut inbox)? {
                        return Ok(Some(end));
                    }
                    continue;
                }
            };
            assignments.push(Assignment { order, job: None, keys: copy_key.into_iter().collect() });
        }
        self.deliver(&mut assignments, &mut wanted);
        Ok(None)
    }

    fn other(&mut self, message: ToWorker, inbox: &mut Inbox) -> Result<Option<AgentEnd>> {
        match message {
            ToWorker::Blob(blob) => self.blobs.take(blob, inbox)?,
            ToWorker::Stage { number, label, op } => {
                let runs_user_code = op.runs_user_code;
                let work = Work::from_encoded(label, runs_user_code, self.blobs.op(op)?);
                self.stages.insert(number, Arc::new(work));
            }
            ToWorker::DropStage(number) => {
                self.stages.remove(&number);
            }
            ToWorker::Put { task, key, value } => self.put(task, key, inbox.value(value)?),
            ToWorker::Adopt { task, key } => match (task, self.kept.take(key)) {
                (Some(task), Some(value)) => self.put(task, key, value),
                (Some(task), None) => say(&self.outlet, FromWorker::HasNot(task)),
                (None, _) => {}
            },
            ToWorker::Joined { id, address } => self.peers.joined(WorkerId(id), address),
            ToWorker::Left(id) => self.peers.left(WorkerId(id)),
            ToWorker::Close => return Ok(Some(AgentEnd::SentAway)),
            ToWorker::Restart => return Ok(Some(AgentEnd::Restart)),
            // Orders were taken before.
            ToWorker::Compute(_)
            | ToWorker::Retract(..)
            | ToWorker::Abandon(..)
            | ToWorker::Free(_)
            | ToWorker::Copy { .. } => {}
        }
        Ok(None)
    }

    /// Holds a value that a client brought.
    fn put(&self, task: u32, key: Key, value: Value) {
        let bytes = value.nbytes();
        self.pool.put(TaskId(task), key, value);
        say(&self.outlet, FromWorker::HasPut(task, bytes));
    }

    fn deliver(&self, assignments: &mut Vec<Assignment>, wanted: &mut Vec<TaskId>) {
        if !wanted.is_empty() {
            self.pool.with(|_, _, link| link.want(wanted));
            wanted.clear();
        }
        if !assignments.is_empty() {
            self.pool.deliver(std::mem::take(assignments));
        }
    }

    fn assignment(&self, compute: WireCompute) -> Result<Assignment> {
        let work = self.stages.get(&compute.stage).cloned().ok_or_else(|| {
            Error::new(ErrorKind::Version, "the scheduler ordered a task of a stage that it never sent")
        })?;
        let (key, block, graph, name) = (compute.key, compute.block, compute.graph, compute.name.clone());
        let (order, keys) = compute.into_order();
        let job = oxidask_exec::node::NodeJob { key, work, block, graph, name };
        Ok(Assignment { order, job: Some(job), keys })
    }
}

//! The scheduler process: `oxidask-exec`'s coordinator with sockets for links.
//!
//! One thread reads all connections, feeds the coordinator and writes what it
//! answers; `state` is what it does with each packet. It decodes neither ops
//! nor values.

mod coordinate;
mod http;
mod journal;
mod members;
mod paged;
mod questions;
mod recipe;
mod requests;
mod scatter;
mod sessions;
mod snapshot;
mod state;

use crate::connect::{self, Address, Introduced, Listener};
use crate::look_out::LookOut;
use crate::protocol::{Build, ClusterInfo, Role, SessionHello};
use crate::security::Credentials;
use crate::wire::Inlet;
use oxidask_core::{Error, ErrorKind, Result};
use oxidask_sched::{Loss, SchedulerConfig};
use parking_lot::{Condvar, Mutex};
use state::{Member, State};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::sync::Notify;

/// How a server is set up.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// Where to listen.
    pub address: Address,
    /// What members know and encrypt with.
    pub credentials: Credentials,
    /// Settings of the scheduler core.
    pub scheduler: SchedulerConfig,
    /// The build that members must run; if none, that of the first member.
    pub build: Option<Build>,
    /// A worker that says nothing for this long is taken for lost.
    pub worker_timeout: Duration,
    /// A client that is away for this long is taken for gone.
    pub client_grace: Duration,
    /// A client that is away for this long loses what it has locked.
    pub lease_timeout: Duration,
    /// Folder of the journal, with which the scheduler survives its process.
    pub journal: Option<PathBuf>,
    /// Bytes of the journal beyond which it is made smaller when nothing runs.
    pub journal_limit: u64,
    /// Host and port of the pages for monitors.
    pub http: Option<String>,
}

/// How often silent workers are looked for and the core is told the time.
const TICK: Duration = Duration::from_millis(200);
/// How often absent workers are looked for, and how long each time.
const PROBE: Duration = Duration::from_secs(1);

/// A running scheduler server, on a thread of its own. Closed when dropped.
#[derive(Debug)]
pub struct Server {
    shared: Arc<Shared>,
    address: Address,
    http: Option<SocketAddr>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Told when workers come or go, or the cluster is to end.
    changed: Condvar,
    closing: Notify,
    /// Packets that members sent.
    n_taken: AtomicU64,
    /// Told of each of them.
    taken: Notify,
}

impl Server {
    /// Listens and serves.
    ///
    /// # Errors
    /// If the address cannot be listened at.
    pub fn start(options: ServerOptions) -> Result<Self> {
        let failed = |cause: std::io::Error| Error::io("starting the scheduler", &cause);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let listener = runtime.block_on(Listener::bind(&options.address, &options.credentials))?;
        let address = listener.address().clone();
        let pages = options.http.as_deref().map(|http| {
            runtime.block_on(http::listen(http)).map_err(|cause| Error::io(format_args!("listening at {http}"), &cause))
        });
        let (pages, http) = pages.transpose()?.unzip();
        let mut state = State::new(options.scheduler, options.build, address.to_string());
        state.worker_timeout = options.worker_timeout;
        state.client_grace = options.client_grace;
        state.lease_timeout = options.lease_timeout;
        state.journal_limit = options.journal_limit;
        if let Some(folder) = &options.journal {
            state.restore(folder, &Build::current())?;
        }
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            changed: Condvar::new(),
            closing: Notify::new(),
            n_taken: AtomicU64::new(0),
            taken: Notify::new(),
        });
        let serving = shared.clone();
        let thread = std::thread::Builder::new()
            .name("oxidask-scheduler".to_owned())
            .spawn(move || runtime.block_on(serve(serving, listener, pages, options.credentials)))
            .map_err(failed)?;
        Ok(Server { shared, address, http, thread: Some(thread) })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Where its pages for monitors are.
    #[must_use]
    pub fn http_address(&self) -> Option<SocketAddr> {
        self.http
    }

    /// How long there has been no task.
    #[must_use]
    pub fn idle_for(&self) -> Duration {
        self.shared.state.lock().idle_for()
    }

    /// How many workers the present work is worth if it shall end within `target`,
    /// and how many are there and stay.
    #[must_use]
    pub fn desired_workers(&self, target: Duration) -> (usize, usize) {
        self.shared.state.lock().desired_workers(target)
    }

    /// Waits until a client asks the cluster to end; whether one did in time.
    #[must_use]
    pub fn wait_for_shutdown(&self, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        let mut state = self.shared.state.lock();
        while !state.is_shut_down() {
            if self.shared.changed.wait_until(&mut state, deadline).timed_out() {
                break;
            }
        }
        state.is_shut_down()
    }

    /// A worker's process is known to have died, and why.
    pub fn worker_died(&self, name: &str, cause: Loss) {
        self.shared.state.lock().died(name, cause);
        self.shared.changed.notify_all();
    }

    /// Who is there, and how they are.
    #[must_use]
    pub fn info(&self) -> ClusterInfo {
        self.shared.state.lock().info()
    }

    /// Waits until `enough` says so of who is there; whether it did in time.
    pub fn wait_until(&self, timeout: Option<Duration>, enough: impl Fn(&ClusterInfo) -> bool) -> bool {
        let deadline = timeout.map(|timeout| Instant::now() + timeout);
        let mut state = self.shared.state.lock();
        loop {
            if enough(&state.info()) {
                return true;
            }
            match deadline {
                None => self.shared.changed.wait(&mut state),
                Some(deadline) => {
                    if self.shared.changed.wait_until(&mut state, deadline).timed_out() {
                        return enough(&state.info());
                    }
                }
            }
        }
    }

    /// Asks workers, by name, to leave once what only they hold is elsewhere.
    pub fn retire(&self, names: &[String]) {
        self.shared.state.lock().retire(names);
    }

    /// Whether a client asked the cluster to end.
    #[must_use]
    pub fn is_shut_down(&self) -> bool {
        self.shared.state.lock().is_shut_down()
    }

    /// Tells workers and clients that it ends, and ends.
    pub fn close(&mut self) {
        self.shared.state.lock().close_all();
        self.shared.closing.notify_one();
        if let Some(thread) = self.thread.take() {
            // A panic of the scheduler was reported when it happened.
            let _ = thread.join();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.close();
    }
}

async fn serve(shared: Arc<Shared>, listener: Listener, pages: Option<TcpListener>, credentials: Credentials) {
    // As a task of its own, which a packet wakes more cheaply than all of this.
    tokio::spawn(look_out(shared.clone()));
    let sessions = shared.clone();
    let accepting = listener.serve(credentials, move |introduced| session(sessions.clone(), introduced));
    let ticking = async {
        let mut interval = tokio::time::interval(TICK);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        loop {
            interval.tick().await;
            if shared.state.lock().tick() {
                shared.changed.notify_all();
            }
        }
    };
    let showing = async {
        match pages {
            Some(pages) => http::serve(shared.clone(), pages).await,
            None => std::future::pending().await,
        }
    };
    let probing = async {
        loop {
            tokio::time::sleep(PROBE).await;
            let away = shared.state.lock().away_workers();
            for (worker, address) in away {
                look_for(&shared, worker, &address).await;
            }
        }
    };
    tokio::select! {
        () = accepting => {}
        () = ticking => {}
        () = probing => {}
        () = showing => {}
        () = shared.closing.notified() => {}
    }
}

/// Keeps this thread from sleeping while somebody makes one short call after the
/// other, each of which it would have to be woken for twice. While there is more
/// work than that, what members say is waiting here anyway, and their tasks need
/// the cores.
async fn look_out(shared: Arc<Shared>) {
    let look_out = LookOut::default();
    let mut n_seen = 0;
    loop {
        let began = Instant::now();
        if look_out.is_worth_it() && shared.state.lock().is_nearly_idle() {
            while shared.n_taken.load(Ordering::Relaxed) == n_seen && began.elapsed() < LookOut::LONGEST {
                tokio::task::yield_now().await;
                std::thread::yield_now();
            }
        }
        shared.taken.notified().await;
        n_seen = shared.n_taken.load(Ordering::Relaxed);
        look_out.waited(began.elapsed());
    }
}

/// Gives a worker up if nobody listens at its address any more.
async fn look_for(shared: &Shared, worker: oxidask_sched::WorkerId, address: &Address) {
    if connect::is_gone(address, PROBE).await {
        shared.state.lock().nobody_there(worker);
        shared.changed.notify_all();
    }
}

async fn session(shared: Arc<Shared>, introduced: Introduced) {
    match let_in(&shared, introduced).await {
        Ok((member, inlet)) => {
            shared.changed.notify_all();
            follow(&shared, member, inlet).await;
            shared.changed.notify_all();
        }
        Err((introduced, error)) => introduced.refuse(&error).await,
    }
}

/// Begins or resumes the session of a peer, or says why not.
async fn let_in(shared: &Shared, mut introduced: Introduced) -> Result<(Member, Inlet), (Introduced, Error)> {
    let who = match &introduced.hello.role {
        Role::Client { name } => format!("client '{name}'"),
        Role::Worker(intro) => format!("worker '{}'", intro.name),
        Role::Reader => "a reader".to_owned(),
    };
    let Some(hello) = introduced.hello.session else {
        return Err((introduced, Error::new(ErrorKind::Denied, "the scheduler holds no results; workers do")));
    };
    let mut state = shared.state.lock();
    if let Err(error) = state.check_build(&introduced.hello.build, &who) {
        return Err((introduced, error));
    }
    if let SessionHello { resumes: Some(_), .. } = hello {
        return match state.resume(hello, &mut introduced) {
            Ok(member) => Ok((member, introduced.into_inlet())),
            Err(error) => Err((introduced, error)),
        };
    }
    match introduced.hello.role.clone() {
        Role::Client { .. } => {
            let client = state.next_client();
            let (inlet, outlet) = introduced.accept(client.0);
            state.client_joined(client, hello.id, outlet);
            Ok((Member::Client(client), inlet))
        }
        Role::Worker(intro) => {
            let worker = state.next_worker();
            let (inlet, outlet) = introduced.accept(worker.0);
            state.worker_joined(worker, hello.id, outlet, intro);
            Ok((Member::Worker(worker), inlet))
        }
        Role::Reader => Err((introduced, Error::new(ErrorKind::Denied, "readers have no sessions"))),
    }
}

/// Takes what a member says until its connection ends.
async fn follow(shared: &Shared, member: Member, mut inlet: Inlet) {
    while let Ok(packet) = inlet.next().await {
        let mut state = shared.state.lock();
        let begin = Instant::now();
        let taken = match member {
            Member::Client(client) => state.client_packet(client, packet),
            Member::Worker(worker) => state.worker_packet(worker, packet),
        };
        state.busy_ns += u64::try_from(begin.elapsed().as_nanos()).unwrap_or(u64::MAX);
        if taken.is_err() {
            // What cannot be decoded leaves no way to go on with this peer.
            state.expel(member);
            break;
        }
        shared.n_taken.fetch_add(1, Ordering::Relaxed);
        shared.taken.notify_one();
        if state.is_shut_down() {
            shared.changed.notify_all();
        }
    }
    let absent = shared.state.lock().disconnected(member);
    if let Some((worker, address)) = absent
        && let Ok(address) = address.parse()
    {
        look_for(shared, worker, &address).await;
    }
}

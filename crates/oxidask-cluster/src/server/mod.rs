//! The scheduler process: `oxidask-exec`'s coordinator with sockets for links.
//!
//! One thread reads all connections, feeds the coordinator and writes what it
//! answers; `state` is what it does with each packet. It decodes neither ops
//! nor values.

mod questions;
mod scatter;
mod sessions;
mod state;

use crate::auth::Secret;
use crate::connect::{Address, Introduced, Listener};
use crate::protocol::{Build, ClusterInfo, Role};
use oxidask_core::{Error, ErrorKind, Result};
use oxidask_sched::{Loss, SchedulerConfig};
use parking_lot::{Condvar, Mutex};
use state::State;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// How a server is set up.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// Where to listen.
    pub address: Address,
    /// What members know.
    pub secret: Secret,
    /// Settings of the scheduler core.
    pub scheduler: SchedulerConfig,
    /// The build that members must run; if none, that of the first member.
    pub build: Option<Build>,
    /// A worker that says nothing for this long is taken for lost.
    pub worker_timeout: Duration,
}

/// How often silent workers are looked for and the core is told the time.
const TICK: Duration = Duration::from_millis(200);

/// A running scheduler server, on a thread of its own. Closed when dropped.
#[derive(Debug)]
pub struct Server {
    shared: Arc<Shared>,
    address: Address,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Told when workers come or go, or the cluster is to end.
    changed: Condvar,
    closing: Notify,
}

impl Server {
    /// Listens and serves.
    ///
    /// # Errors
    /// If the address cannot be listened at.
    pub fn start(options: ServerOptions) -> Result<Self> {
        let failed = |cause: std::io::Error| Error::io("starting the scheduler", &cause);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let listener = runtime.block_on(Listener::bind(&options.address))?;
        let address = listener.address().clone();
        let shared = Arc::new(Shared {
            state: Mutex::new(State::new(
                options.scheduler,
                options.build,
                options.worker_timeout,
                address.to_string(),
            )),
            changed: Condvar::new(),
            closing: Notify::new(),
        });
        let serving = shared.clone();
        let thread = std::thread::Builder::new()
            .name("oxidask-scheduler".to_owned())
            .spawn(move || runtime.block_on(serve(serving, listener, options.secret)))
            .map_err(failed)?;
        Ok(Server { shared, address, thread: Some(thread) })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.address
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

async fn serve(shared: Arc<Shared>, listener: Listener, secret: Secret) {
    let sessions = shared.clone();
    let accepting = listener.serve(secret, move |introduced| session(sessions.clone(), introduced));
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
    tokio::select! {
        () = accepting => {}
        () = ticking => {}
        () = shared.closing.notified() => {}
    }
}

async fn session(shared: Arc<Shared>, introduced: Introduced) {
    let role = introduced.hello.role.clone();
    let (who, is_reader) = match &role {
        Role::Client { name } => (format!("client '{name}'"), false),
        Role::Worker(intro) => (format!("worker '{}'", intro.name), false),
        Role::Reader => ("a reader".to_owned(), true),
    };
    let checked = if is_reader {
        Err(Error::new(ErrorKind::Denied, "the scheduler holds no results; workers do"))
    } else {
        shared.state.lock().check_build(&introduced.hello.build, &who)
    };
    if let Err(error) = checked {
        introduced.refuse(&error).await;
        return;
    }
    match role {
        Role::Client { .. } => client_session(&shared, introduced).await,
        Role::Worker(intro) => worker_session(&shared, introduced, intro).await,
        Role::Reader => {}
    }
}

async fn client_session(shared: &Shared, mut introduced: Introduced) {
    let client = {
        let mut state = shared.state.lock();
        let client = state.next_client();
        introduced.accept(client.0);
        state.client_joined(client, introduced.outlet.clone());
        client
    };
    while let Ok(packet) = introduced.inlet.next().await {
        let taken = shared.state.lock().client_packet(client, packet);
        if taken.is_err() {
            // What cannot be decoded leaves no way to go on with this peer.
            break;
        }
        if shared.state.lock().is_shut_down() {
            shared.changed.notify_all();
        }
    }
    introduced.outlet.close();
    shared.state.lock().client_gone(client);
    shared.changed.notify_all();
}

async fn worker_session(shared: &Shared, mut introduced: Introduced, intro: crate::protocol::WorkerIntro) {
    let worker = {
        let mut state = shared.state.lock();
        let worker = state.next_worker();
        introduced.accept(worker.0);
        state.worker_joined(worker, introduced.outlet.clone(), intro);
        worker
    };
    shared.changed.notify_all();
    while let Ok(packet) = introduced.inlet.next().await {
        let taken = shared.state.lock().worker_packet(worker, packet);
        if taken.is_err() {
            break;
        }
    }
    introduced.outlet.close();
    shared.state.lock().worker_gone(worker, Loss::Unreachable);
    shared.changed.notify_all();
}

//! A client of a cluster: an executor whose results lie on workers.
//!
//! Results that are small come with the news that they are there; others are
//! read directly from the worker that holds them, over a connection that the
//! client opens when it first needs it. If that worker is gone, the client waits
//! for the scheduler's word where the result is now.
//!
//! All methods block and may be called from any thread; the sockets are served
//! by one thread of the client's own.

mod answers;
mod coordinate;
mod futures;
mod gather;
mod look;
mod news;
mod receive;
mod recipe;
mod scatter;
mod submit;
mod table;

pub use coordinate::{OnEvent, OnTold};
pub use futures::ClientFuture;
pub use recipe::Recipe;

use crate::actor::{CallLine, OnReply};
use crate::auth::Secret;
use crate::blobs::SentBlobs;
use crate::connect::{Absence, Address, Connection, dial};
use crate::protocol::{Answer, Build, FromClient, Hello, Outbox, Question, Role, SessionHello};
use crate::reader::Reader;
use crate::security::{Credentials, Security};
use crate::wire::Outlet;
use hashbrown::{HashMap, HashSet};
use news::News;
use oxidask_core::events::Observer;
use oxidask_core::executor::WatchGuard;
use oxidask_core::{Error, ErrorKind, Executor, Frames, Future, Graph, Key, Result, Value};
use oxidask_exec::observe::Observers;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use table::{RunningGraph, Table};
use tokio::runtime::Handle;
use tokio::sync::Notify;

/// How a client connects.
#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// Where the scheduler listens.
    pub address: Address,
    /// What members know.
    pub secret: Secret,
    /// A name for people.
    pub name: String,
    /// Longest wait for a connection.
    pub timeout: Duration,
    /// The build that is told; that of this process but in tests.
    pub build: Build,
    /// What connections are encrypted with, if they are.
    pub security: Security,
    /// Longest absence of the scheduler before everything is lost.
    pub grace: Duration,
}

impl ClientOptions {
    /// A client of the cluster at `address`.
    #[must_use]
    pub fn new(address: Address, secret: Secret) -> Self {
        ClientOptions {
            address,
            secret,
            name: format!("client-{}", std::process::id()),
            timeout: Duration::from_secs(30),
            build: Build::current(),
            security: Security::default(),
            grace: Duration::from_secs(30),
        }
    }
}

/// See the module's head. Clones share the connection; the last one closes it.
#[derive(Clone)]
pub struct Client(Arc<Owner>);

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Client({})", self.0.inner.address)
    }
}

/// Closes the connection when the last client is dropped; futures only keep
/// [`Inner`] alive.
struct Owner {
    inner: Arc<Inner>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.inner.close(&closed_by_user());
        self.join();
    }
}

impl Owner {
    fn join(&self) {
        let Some(thread) = self.thread.lock().take() else { return };
        // The last client may be dropped by a callback on its own thread.
        if thread.thread().id() != std::thread::current().id() {
            // A panic was reported when it happened.
            let _ = thread.join();
        }
    }
}

fn closed_by_user() -> Error {
    Error::new(ErrorKind::Closed, "the client was closed").with_hint("make a new Client")
}

/// What the client's handles and its thread share.
pub(crate) struct Inner {
    address: Address,
    credentials: Credentials,
    build: Build,
    timeout: Duration,
    runtime: Handle,
    table: Mutex<Table>,
    /// Told when a result ended, an answer came, or workers changed.
    changed: News,
    /// The way to the scheduler; locked while a batch is put together, so that
    /// blobs come before what uses them.
    sending: Mutex<Sending>,
    /// Told when claims are to be released.
    releasing: Notify,
    closing: Notify,
    answers: Mutex<HashMap<u32, Option<Answer>>>,
    /// What is to be done with answers about shared objects.
    told: Mutex<HashMap<u32, OnTold>>,
    /// Connections to processes that have actors, by address.
    lines: Mutex<HashMap<String, Arc<CallLine>>>,
    /// Who is called with events of topics.
    on_event: Mutex<Option<OnEvent>>,
    observers: Arc<Observers>,
    graphs: Mutex<HashMap<u32, RunningGraph>>,
    /// Where the next scattered value goes.
    next_target: AtomicUsize,
}

struct Sending {
    outlet: Outlet,
    blobs: SentBlobs,
    next_request: u32,
    is_watching: bool,
}

impl Client {
    /// Connects to a cluster.
    ///
    /// # Errors
    /// If nobody listens there, the secret is wrong, or the builds differ.
    pub fn connect(options: ClientOptions) -> Result<Self> {
        let failed = |cause: std::io::Error| Error::io("starting a client", &cause);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let credentials = Credentials::new(options.secret, options.security);
        let session = Some(SessionHello::begin()?);
        let hello = Hello { role: Role::Client { name: options.name }, build: options.build.clone(), session };
        let Connection { inlet, outlet, .. } =
            runtime.block_on(dial(&options.address, &credentials, &hello, options.timeout))?;
        let absence = Absence {
            address: options.address.clone(),
            credentials: credentials.clone(),
            hello,
            outlet: outlet.clone(),
            patience: options.grace,
        };
        let inner = Arc::new(Inner {
            address: options.address,
            credentials,
            build: options.build,
            timeout: options.timeout,
            runtime: runtime.handle().clone(),
            table: Mutex::default(),
            changed: News::default(),
            sending: Mutex::new(Sending { outlet, blobs: SentBlobs::default(), next_request: 0, is_watching: false }),
            releasing: Notify::new(),
            closing: Notify::new(),
            answers: Mutex::default(),
            told: Mutex::default(),
            lines: Mutex::default(),
            on_event: Mutex::default(),
            observers: Arc::default(),
            graphs: Mutex::default(),
            next_target: AtomicUsize::new(0),
        });
        let served = inner.clone();
        let thread = std::thread::Builder::new()
            .name("oxidask-client".to_owned())
            .spawn(move || {
                // As a task of the runtime's own, which a packet wakes more cheaply
                // than the future that the runtime blocks on. A panic was reported
                // when it happened.
                let _ = runtime.block_on(async { tokio::spawn(receive::serve(served, inlet, absence)).await });
            })
            .map_err(failed)?;
        Ok(Client(Arc::new(Owner { inner, thread: Mutex::new(Some(thread)) })))
    }

    pub(crate) fn inner(&self) -> &Arc<Inner> {
        &self.0.inner
    }

    /// Where the scheduler listens.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.inner().address
    }

    /// Whether the connection is open.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.inner().table.lock().closed.is_none()
    }

    /// Futures for values that are held under these keys already.
    ///
    /// # Errors
    /// If the connection is closed. A key that is not held gives a future that is
    /// lost.
    pub fn want(&self, keys: &[Key]) -> Result<Vec<Future>> {
        self.inner().submit_with(keys, |seq, distinct, outbox| {
            outbox.push(FromClient::Want { seq, keys: distinct.to_vec() });
            Ok(())
        })
    }

    /// Stops tasks that no other client wants; with `force` also those that others
    /// want.
    pub fn cancel(&self, keys: &[Key], force: bool) {
        self.inner().cancel(keys, force);
    }

    /// Runs failed tasks again.
    ///
    /// # Errors
    /// If the connection is closed.
    pub fn retry(&self, keys: &[Key]) -> Result<()> {
        self.inner().retry(keys)
    }

    /// Calls an actor that lives behind a mailbox at `address`; `on_reply` gets
    /// what came of it.
    pub fn call_actor(&self, address: &str, actor: Key, body: Frames, on_reply: OnReply) {
        self.inner().line(address).call(actor, body, on_reply);
    }

    /// Asks the scheduler.
    ///
    /// # Errors
    /// If there is no answer within `timeout` or the connection is closed.
    pub fn ask(&self, question: Question, timeout: Duration) -> Result<Answer> {
        self.inner().ask(question, timeout)
    }

    /// Waits until at least `n_workers` are there; whether they are in time.
    ///
    /// # Errors
    /// If the connection is closed or `interrupted` says so.
    pub fn wait_for_workers(
        &self,
        n_workers: usize,
        timeout: Option<Duration>,
        interrupted: &dyn Fn() -> Result<()>,
    ) -> Result<bool> {
        let deadline = timeout.map(|timeout| Instant::now() + timeout);
        let mut table = self.inner().table.lock();
        let mut waiting = self.inner().changed.waiting();
        loop {
            if let Some(error) = &table.closed {
                return Err(error.clone());
            }
            if table.holders.len() >= n_workers {
                return Ok(true);
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return Ok(false);
            }
            waiting.wait_until(&mut table, Some(Instant::now() + INTERRUPT_POLL));
            parking_lot::MutexGuard::unlocked(&mut table, interrupted)?;
        }
    }

    /// Ends as a killed process does, without a word to the scheduler.
    pub fn vanish(&self) {
        let mut sending = self.inner().sending.lock();
        let outlet = std::mem::replace(&mut sending.outlet, Outlet::away());
        drop(sending);
        outlet.close();
        self.inner().close(&closed_by_user());
    }

    /// Asks the cluster to end.
    pub fn shutdown(&self) {
        self.inner().say(FromClient::Shutdown);
    }

    /// Closes the connection: pending futures are lost, and what no other client
    /// wants is dropped.
    pub fn close(&self) {
        self.inner().close(&closed_by_user());
        self.0.join();
    }
}

/// Between two questions whether the user pressed Ctrl-C.
pub(crate) const INTERRUPT_POLL: Duration = Duration::from_millis(50);

impl Executor for Client {
    fn name(&self) -> &str {
        "cluster"
    }

    fn n_slots(&self) -> usize {
        let table = self.inner().table.lock();
        table.holders.values().map(|holder| holder.intro.n_slots as usize).sum()
    }

    fn submit(&self, graph: Graph) -> Result<Vec<Future>> {
        self.inner().submit(&graph)
    }

    fn compute(&self, graph: Graph, interrupted: &dyn Fn() -> Result<()>) -> Result<Vec<Value>> {
        let futures = self.submit(graph)?;
        let keys: Vec<Key> = futures.iter().map(Future::key).collect();
        self.gather(&keys, interrupted).inspect_err(|error| {
            if error.kind() == ErrorKind::Interrupted {
                self.cancel(&keys, false);
            }
        })
    }

    fn watch(&self, observer: Arc<dyn Observer>) -> WatchGuard {
        let inner = self.inner().clone();
        let guard = inner.observers.watch(observer);
        inner.set_watching(true);
        WatchGuard::new(move || {
            drop(guard);
            if !inner.observers.any() {
                inner.set_watching(false);
            }
        })
    }
}

impl Inner {
    fn say(&self, message: FromClient) {
        let mut outbox = Outbox::default();
        outbox.push(message);
        if let Ok(packet) = outbox.take() {
            self.sending.lock().outlet.send(packet);
        }
    }

    fn set_watching(&self, is_watching: bool) {
        self.sending.lock().is_watching = is_watching;
        self.say(FromClient::Watch(is_watching));
    }

    /// Tells the scheduler which claims are no longer needed.
    fn send_releases(&self) {
        let sending = self.sending.lock();
        let releases = self.table.lock().take_releases();
        if releases.is_empty() {
            return;
        }
        let mut outbox = Outbox::default();
        outbox.push(FromClient::Release(releases));
        if let Ok(packet) = outbox.take() {
            sending.outlet.send(packet);
        }
    }

    fn ask(&self, question: Question, timeout: Duration) -> Result<Answer> {
        let request = {
            let mut sending = self.sending.lock();
            sending.next_request = sending.next_request.wrapping_add(1);
            let request = sending.next_request;
            self.answers.lock().insert(request, None);
            let mut outbox = Outbox::default();
            outbox.push(FromClient::Ask { request, question });
            sending.outlet.send(outbox.take()?);
            request
        };
        let deadline = Instant::now() + timeout;
        let mut table = self.table.lock();
        let mut waiting = self.changed.waiting();
        loop {
            let mut answers = self.answers.lock();
            if let Some(answer) = answers.get_mut(&request).and_then(Option::take) {
                answers.remove(&request);
                return Ok(answer);
            }
            if let Some(error) = &table.closed {
                answers.remove(&request);
                return Err(error.clone());
            }
            if Instant::now() >= deadline {
                answers.remove(&request);
                return Err(Error::new(ErrorKind::Timeout, format!("the scheduler did not answer within {timeout:?}")));
            }
            drop(answers);
            waiting.wait_until(&mut table, Some(deadline));
        }
    }

    /// The connection to a process that has actors, opened if need be.
    fn line(&self, address: &str) -> Arc<CallLine> {
        let mut lines = self.lines.lock();
        if let Some(line) = lines.get(address).filter(|line| !line.is_closed()) {
            return line.clone();
        }
        let (credentials, build) = (self.credentials.clone(), self.build.clone());
        let line = CallLine::open(&self.runtime, address.to_owned(), credentials, build, self.timeout);
        let line = Arc::new(line);
        lines.insert(address.to_owned(), line.clone());
        line
    }

    /// The connection to a holder of results, opened if need be.
    fn reader(&self, holder: u32) -> Result<Arc<Reader>> {
        let mut table = self.table.lock();
        let holder = table
            .holders
            .get_mut(&holder)
            .ok_or_else(|| Error::new(ErrorKind::Lost, "the worker that held the result is gone"))?;
        if let Some(reader) = holder.reader.as_ref().filter(|reader| !reader.is_closed()) {
            return Ok(reader.clone());
        }
        let reader = Reader::open(
            &self.runtime,
            holder.intro.address.clone(),
            self.credentials.clone(),
            self.build.clone(),
            self.timeout,
        );
        Ok(holder.reader.insert(Arc::new(reader)).clone())
    }

    /// Ends the connection; all that is pending is lost for the reason given.
    fn close(&self, why: &Error) {
        self.send_releases();
        {
            let mut table = self.table.lock();
            if table.closed.is_some() {
                return;
            }
            table.closed = Some(why.clone());
        }
        self.closing.notify_one();
    }
}

/// The distinct keys among `keys`.
fn distinct(keys: &[Key]) -> HashSet<Key> {
    keys.iter().copied().collect()
}

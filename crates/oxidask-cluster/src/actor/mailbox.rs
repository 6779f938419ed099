//! The side of the process that has the objects.

use super::{KIND, WireCall, WireReply};
use crate::connect::{Address, Introduced, Listener};
use crate::protocol::{Build, Inbox, Outbox, Role};
use crate::security::Credentials;
use crate::wire::Outlet;
use oxidask_core::{Error, ErrorKind, Frames, Key, Result};
use parking_lot::{Condvar, Mutex, MutexGuard};
use std::fmt;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// How often whoever waits for calls is asked whether it is interrupted.
const INTERRUPT_POLL: Duration = Duration::from_millis(200);

/// Calls that arrived; closed when dropped.
pub struct Mailbox {
    shared: Arc<Shared>,
    address: Address,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    calls: Mutex<Vec<Call>>,
    arrived: Condvar,
    closing: Notify,
}

/// A call that waits for its answer.
pub struct Call {
    /// The object.
    pub actor: Key,
    /// What is called with what.
    pub body: Frames,
    request: u32,
    outlet: Outlet,
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Call({:?})", self.actor)
    }
}

impl fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mailbox({})", self.address)
    }
}

impl Call {
    /// Answers. Whoever called may be gone; then the answer is lost.
    pub fn reply(&self, frames: Frames) {
        let mut outbox = Outbox::default();
        let body = outbox.frames(KIND, frames);
        outbox.push(WireReply { request: self.request, body });
        match outbox.take() {
            Ok(packet) => self.outlet.send(packet),
            // Beyond the limits of the wire; the caller sees the connection end.
            Err(_) => self.outlet.close(),
        }
    }
}

impl Mailbox {
    /// Listens at an address, on a thread of its own.
    ///
    /// # Errors
    /// If the address cannot be listened at.
    pub fn open(address: &Address, credentials: Credentials) -> Result<Self> {
        let failed = |cause: std::io::Error| Error::io("opening a mailbox", &cause);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let listener = runtime.block_on(Listener::bind(address, &credentials))?;
        let address = listener.address().clone();
        let shared = Arc::new(Shared::default());
        let serving = shared.clone();
        let thread = std::thread::Builder::new()
            .name("oxidask-mailbox".to_owned())
            .spawn(move || {
                let sessions = serving.clone();
                runtime.block_on(async {
                    tokio::select! {
                        () = listener.serve(credentials, move |introduced| serve(sessions.clone(), introduced)) => {}
                        () = serving.closing.notified() => {}
                    }
                });
            })
            .map_err(failed)?;
        Ok(Mailbox { shared, address, thread: Some(thread) })
    }

    /// Where it listens, with the port that the system chose.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Waits for calls; those that are there, or none after `timeout`.
    ///
    /// # Errors
    /// `interrupted`'s.
    pub fn next(&self, timeout: Option<Duration>, interrupted: &dyn Fn() -> Result<()>) -> Result<Vec<Call>> {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut calls = self.shared.calls.lock();
        loop {
            if !calls.is_empty() || deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return Ok(std::mem::take(&mut *calls));
            }
            let poll = Instant::now() + INTERRUPT_POLL;
            let until = deadline.map_or(poll, |deadline| deadline.min(poll));
            if self.shared.arrived.wait_until(&mut calls, until).timed_out() {
                MutexGuard::unlocked(&mut calls, interrupted)?;
            }
        }
    }
}

impl Drop for Mailbox {
    fn drop(&mut self) {
        self.shared.closing.notify_one();
        if let Some(thread) = self.thread.take() {
            // A panic was reported when it happened.
            let _ = thread.join();
        }
    }
}

async fn serve(shared: Arc<Shared>, introduced: Introduced) {
    let checked = match introduced.hello.role {
        Role::Reader if introduced.hello.session.is_none() => {
            Build::current().check(&introduced.hello.build, "a caller")
        }
        _ => Err(Error::new(ErrorKind::Denied, "this is a mailbox of actors; others join the scheduler")),
    };
    if let Err(error) = checked {
        introduced.refuse(&error).await;
        return;
    }
    let (mut inlet, outlet) = introduced.accept(0);
    while let Ok(packet) = inlet.next().await {
        let Ok((calls, mut inbox)) = Inbox::open::<WireCall>(packet) else { break };
        let mut arrived = Vec::with_capacity(calls.len());
        for WireCall { request, actor, body } in calls {
            let Ok(body) = inbox.frames(body.header, body.n_buffers) else { return outlet.close() };
            arrived.push(Call { actor, body, request, outlet: outlet.clone() });
        }
        shared.calls.lock().append(&mut arrived);
        shared.arrived.notify_all();
    }
    outlet.close();
}

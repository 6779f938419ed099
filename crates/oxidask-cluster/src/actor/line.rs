//! The caller's side.

use super::{KIND, WireCall, WireReply};
use crate::connect::{Address, Connection, dial};
use crate::protocol::{Build, Hello, Inbox, Outbox, Role};
use crate::security::Credentials;
use crate::wire::Inlet;
use hashbrown::HashMap;
use oxidask_core::{Error, ErrorKind, Frames, Key, Result};
use parking_lot::Mutex;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

/// Called once with an answer, on the connection's thread; must be short.
pub type OnReply = Box<dyn FnOnce(Result<Frames>) + Send>;

/// A connection to the process that has an object; opened in the background.
pub struct CallLine(mpsc::UnboundedSender<(Key, Frames, OnReply)>);

impl fmt::Debug for CallLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CallLine")
    }
}

/// Most calls that travel in one packet.
const BATCH: usize = 1024;

impl CallLine {
    /// Starts to connect. Calls fail if that does.
    #[must_use]
    pub fn open(runtime: &Handle, address: String, credentials: Credentials, build: Build, timeout: Duration) -> Self {
        let (calls, queue) = mpsc::unbounded_channel();
        runtime.spawn(async move {
            let hello = Hello { role: Role::Reader, build, session: None };
            let connected = match address.parse::<Address>() {
                Ok(address) => dial(&address, &credentials, &hello, timeout).await,
                Err(error) => Err(error),
            };
            match connected {
                Ok(connection) => run(connection, queue).await,
                Err(error) => refuse_all(queue, &error).await,
            }
        });
        CallLine(calls)
    }

    /// Calls; `on_reply` gets what came of it, or why nothing did.
    pub fn call(&self, actor: Key, body: Frames, on_reply: OnReply) {
        if let Err(mpsc::error::SendError((_, _, on_reply))) = self.0.send((actor, body, on_reply)) {
            on_reply(Err(gone()));
        }
    }

    /// Whether the connection has ended.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.0.is_closed()
    }
}

fn gone() -> Error {
    Error::new(ErrorKind::Lost, "the process that had the actor is gone, and the actor with it")
        .with_hint("make a new actor; keep what must not be lost in a file or a variable")
}

async fn refuse_all(mut queue: mpsc::UnboundedReceiver<(Key, Frames, OnReply)>, error: &Error) {
    queue.close();
    while let Some((_, _, on_reply)) = queue.recv().await {
        on_reply(Err(error.clone()));
    }
}

type Pending = Arc<Mutex<HashMap<u32, OnReply>>>;

async fn run(connection: Connection, mut queue: mpsc::UnboundedReceiver<(Key, Frames, OnReply)>) {
    let Connection { inlet, outlet, .. } = connection;
    let pending = Pending::default();
    let calling = async {
        let mut batch = Vec::new();
        let mut next = 0_u32;
        // Ends when the line is dropped.
        while queue.recv_many(&mut batch, BATCH).await > 0 {
            let mut outbox = Outbox::default();
            for (actor, body, on_reply) in batch.drain(..) {
                pending.lock().insert(next, on_reply);
                let body = outbox.frames(KIND, body);
                outbox.push(WireCall { request: next, actor, body });
                next = next.wrapping_add(1);
            }
            match outbox.take() {
                Ok(packet) => outlet.send(packet),
                // Beyond the limits of the wire.
                Err(_) => return,
            }
        }
    };
    tokio::select! {
        () = calling => {}
        () = receive(inlet, &pending) => {}
    }
    outlet.close();
    let waiting = std::mem::take(&mut *pending.lock());
    for on_reply in waiting.into_values() {
        on_reply(Err(gone()));
    }
    refuse_all(queue, &gone()).await;
}

async fn receive(mut inlet: Inlet, pending: &Pending) {
    while let Ok(packet) = inlet.next().await {
        let Ok((replies, mut inbox)) = Inbox::open::<WireReply>(packet) else { return };
        for WireReply { request, body } in replies {
            let on_reply = pending.lock().remove(&request);
            let frames = inbox.frames(body.header, body.n_buffers);
            if let Some(on_reply) = on_reply {
                on_reply(frames);
            }
        }
    }
}

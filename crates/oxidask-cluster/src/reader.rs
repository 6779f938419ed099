//! Reads results from the worker that holds them: for other workers, which need
//! them as inputs, and for clients.
//!
//! One connection carries all reads from one holder; requests that are made
//! together travel together.

use crate::connect::{Address, Connection, dial};
use crate::protocol::{Build, Hello, Inbox, ReadReply, ReadRequest, Role};
use crate::security::Credentials;
use crate::wire::{self, Inlet};
use hashbrown::HashMap;
use oxidask_core::{Error, ErrorKind, Key, Result, Value};
use oxidask_sched::Piece;
use parking_lot::Mutex;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

/// What happens with a value that was read. Called once, on the connection's
/// thread; must be short. The value may still be encoded.
pub type Done = Box<dyn FnOnce(Result<Value>) + Send>;

/// A connection to a holder of results; opened in the background.
pub struct Reader(mpsc::UnboundedSender<(ReadRequest, Done)>);

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reader")
    }
}

/// Most requests that travel in one packet.
const BATCH: usize = 4096;

impl Reader {
    /// Starts to connect. Reads fail if that does.
    #[must_use]
    pub fn open(runtime: &Handle, address: String, credentials: Credentials, build: Build, timeout: Duration) -> Self {
        let (requests, queue) = mpsc::unbounded_channel();
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
        Reader(requests)
    }

    /// Asks for a piece.
    pub fn read(&self, piece: Piece, key: Key, done: Done) {
        let request = ReadRequest { request: 0, task: piece.task.0, part: piece.part, key };
        if let Err(mpsc::error::SendError((_, done))) = self.0.send((request, done)) {
            done(Err(gone()));
        }
    }

    /// Whether the connection has ended, so that a new one must be opened.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.0.is_closed()
    }
}

fn gone() -> Error {
    Error::new(ErrorKind::Lost, "the connection to the worker that holds the result ended")
}

async fn refuse_all(mut queue: mpsc::UnboundedReceiver<(ReadRequest, Done)>, error: &Error) {
    queue.close();
    while let Some((_, done)) = queue.recv().await {
        done(Err(error.clone()));
    }
}

type Pending = Arc<Mutex<HashMap<u32, Done>>>;

async fn run(connection: Connection, mut queue: mpsc::UnboundedReceiver<(ReadRequest, Done)>) {
    let Connection { inlet, outlet, .. } = connection;
    let pending = Pending::default();
    let asking = async {
        let mut batch = Vec::new();
        let mut next = 0_u32;
        // Ends when the reader is dropped.
        while queue.recv_many(&mut batch, BATCH).await > 0 {
            let mut requests = Vec::with_capacity(batch.len());
            let mut waiting = pending.lock();
            for (mut request, done) in batch.drain(..) {
                request.request = next;
                waiting.insert(next, done);
                requests.push(request);
                next = next.wrapping_add(1);
            }
            drop(waiting);
            if let Ok(packet) = wire::encode(&requests, Vec::new()) {
                outlet.send(packet);
            }
        }
    };
    tokio::select! {
        () = asking => {}
        () = receive(inlet, &pending) => {}
    }
    outlet.close();
    let waiting = std::mem::take(&mut *pending.lock());
    for done in waiting.into_values() {
        done(Err(gone()));
    }
    refuse_all(queue, &gone()).await;
}

async fn receive(mut inlet: Inlet, pending: &Pending) {
    while let Ok(packet) = inlet.next().await {
        let Ok((replies, mut inbox)) = Inbox::open::<ReadReply>(packet) else { return };
        for reply in replies {
            let value = match reply.value {
                Ok(value) => inbox.value(value),
                Err(error) => inbox.error(error).and_then(Err),
            };
            let done = pending.lock().remove(&reply.request);
            if let Some(done) = done {
                done(value);
            }
        }
    }
}

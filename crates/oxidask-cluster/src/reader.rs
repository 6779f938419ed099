//! The way to a worker that holds results, or shall: other workers read what they
//! need as inputs, clients read results and bring values.
//!
//! One connection carries all that is asked of one holder; what is asked together
//! travels together.

use crate::connect::{Address, Connection, dial};
use crate::protocol::{Build, FromHolder, Hello, Inbox, Outbox, ReadRequest, Role, ToHolder};
use crate::security::Credentials;
use crate::wire::Inlet;
use hashbrown::HashMap;
use oxidask_core::{Error, ErrorKind, Frames, Key, Result, Value};
use oxidask_exec::{Ledger, Sample};
use oxidask_sched::Piece;
use parking_lot::Mutex;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

/// What happens with an answer. Called once, on the connection's thread; must be
/// short.
pub type Done<T> = Box<dyn FnOnce(Result<T>) + Send>;

/// A connection to a holder of results; opened in the background.
pub struct Reader(mpsc::UnboundedSender<(Asked, Answered)>);

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reader")
    }
}

/// Most requests that travel in one packet.
const BATCH: usize = 4096;

/// What is asked of a holder.
enum Asked {
    Read(Piece, Key),
    Keep(Key, &'static str, Frames),
    Sample(String),
    Ledger,
}

/// Who gets the answer.
enum Answered {
    Read(Done<Value>),
    Kept(Done<()>),
    Sampled(Done<Vec<Sample>>),
    Ledger(Done<Ledger>),
}

impl Answered {
    fn fail(self, error: Error) {
        match self {
            Answered::Read(done) => done(Err(error)),
            Answered::Kept(done) => done(Err(error)),
            Answered::Sampled(done) => done(Err(error)),
            Answered::Ledger(done) => done(Err(error)),
        }
    }
}

impl Reader {
    /// Starts to connect. What is asked fails if that does.
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

    /// Asks for a piece. The value may still be encoded.
    pub fn read(&self, piece: Piece, key: Key, done: Done<Value>) {
        self.ask(Asked::Read(piece, key), Answered::Read(done));
    }

    /// Has the holder keep a value until the scheduler names the task that it
    /// stands for, or this connection ends.
    pub fn keep(&self, key: Key, kind: &'static str, frames: Frames, done: Done<()>) {
        self.ask(Asked::Keep(key, kind, frames), Answered::Kept(done));
    }

    /// Asks about the functions of users there; see [`Sample`].
    pub fn sample(&self, question: String, done: Done<Vec<Sample>>) {
        self.ask(Asked::Sample(question), Answered::Sampled(done));
    }

    /// Asks where the time of its threads went since it began.
    pub fn ledger(&self, done: Done<Ledger>) {
        self.ask(Asked::Ledger, Answered::Ledger(done));
    }

    fn ask(&self, asked: Asked, answered: Answered) {
        if let Err(mpsc::error::SendError((_, answered))) = self.0.send((asked, answered)) {
            answered.fail(gone());
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

async fn refuse_all(mut queue: mpsc::UnboundedReceiver<(Asked, Answered)>, error: &Error) {
    queue.close();
    while let Some((_, answered)) = queue.recv().await {
        answered.fail(error.clone());
    }
}

type Pending = Arc<Mutex<HashMap<u32, Answered>>>;

async fn run(connection: Connection, mut queue: mpsc::UnboundedReceiver<(Asked, Answered)>) {
    let Connection { inlet, outlet, .. } = connection;
    let pending = Pending::default();
    let asking = async {
        let mut batch = Vec::new();
        let mut next = 0_u32;
        // Ends when the reader is dropped.
        while queue.recv_many(&mut batch, BATCH).await > 0 {
            let mut outbox = Outbox::default();
            let mut waiting = pending.lock();
            for (asked, answered) in batch.drain(..) {
                let message = message(next, asked, &mut outbox);
                outbox.push(message);
                waiting.insert(next, answered);
                next = next.wrapping_add(1);
            }
            drop(waiting);
            match outbox.take() {
                Ok(packet) => outlet.send(packet),
                // Too large for the wire: whoever asked learns that it was in vain.
                Err(_) => return,
            }
        }
    };
    tokio::select! {
        () = asking => {}
        () = receive(inlet, &pending) => {}
    }
    outlet.close();
    let waiting = std::mem::take(&mut *pending.lock());
    for answered in waiting.into_values() {
        answered.fail(gone());
    }
    refuse_all(queue, &gone()).await;
}

fn message(request: u32, asked: Asked, outbox: &mut Outbox<ToHolder>) -> ToHolder {
    match asked {
        Asked::Read(piece, key) => ToHolder::Read(ReadRequest { request, task: piece.task.0, part: piece.part, key }),
        Asked::Keep(key, kind, frames) => ToHolder::Keep { request, key, value: outbox.frames(kind, frames) },
        Asked::Sample(question) => ToHolder::Sample { request, question },
        Asked::Ledger => ToHolder::Ledger { request },
    }
}

async fn receive(mut inlet: Inlet, pending: &Pending) {
    while let Ok(packet) = inlet.next().await {
        let Ok((answers, mut inbox)) = Inbox::open::<FromHolder>(packet) else { return };
        for answer in answers {
            let take = |request| pending.lock().remove(&request);
            match answer {
                FromHolder::Read { request, value } => {
                    let value = match value {
                        Ok(value) => inbox.value(value),
                        Err(error) => inbox.error(error).and_then(Err),
                    };
                    if let Some(Answered::Read(done)) = take(request) {
                        done(value);
                    }
                }
                FromHolder::Ledger { request, ledger } => {
                    if let Some(Answered::Ledger(done)) = take(request) {
                        done(Ok(ledger));
                    }
                }
                FromHolder::Kept(request) => {
                    if let Some(Answered::Kept(done)) = take(request) {
                        done(Ok(()));
                    }
                }
                FromHolder::Sampled { request, samples } => {
                    if let Some(Answered::Sampled(done)) = take(request) {
                        done(Ok(samples.into_iter().map(|(task, answer)| Sample { task, answer }).collect()));
                    }
                }
            }
        }
    }
}

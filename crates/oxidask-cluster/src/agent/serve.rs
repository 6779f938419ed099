//! Serves this agent's results to other agents and to clients, and takes what
//! clients bring.

use super::kept::Kept;
use super::link::Link;
use crate::connect::Introduced;
use crate::protocol::{Build, FromHolder, Inbox, Outbox, ReadRequest, Role, ToHolder};
use crate::wire::Outlet;
use oxidask_core::{Error, ErrorKind, Frames, Result, Value};
use oxidask_exec::Pool;
use oxidask_sched::{Piece, TaskId};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;

/// How long an executor may take to say what it does.
const SAMPLE_TIMEOUT: Duration = Duration::from_millis(500);

/// Answers one reader's requests until it closes.
pub async fn serve_reader(pool: &Pool<Link>, kept: &Kept, introduced: Introduced) {
    let checked = match introduced.hello.role {
        _ if introduced.hello.session.is_some() => Err(Error::new(ErrorKind::Denied, "readers have no sessions")),
        Role::Reader => Build::current().check(&introduced.hello.build, "a reader"),
        Role::Client { .. } | Role::Worker(_) => {
            Err(Error::new(ErrorKind::Denied, "this is a worker; clients and workers join the scheduler"))
        }
    };
    if let Err(error) = checked {
        introduced.refuse(&error).await;
        return;
    }
    let (mut inlet, outlet) = introduced.accept(0);
    let replies = Arc::new(Replies { outlet: outlet.clone(), batch: Mutex::default() });
    let connection = kept.connection();
    while let Ok(packet) = inlet.next().await {
        let Ok((requests, mut inbox)) = Inbox::open::<ToHolder>(packet) else { break };
        replies.batch.lock().is_held = true;
        let is_understood = requests.into_iter().all(|request| match request {
            ToHolder::Read(ReadRequest { request, task, part, key }) => {
                let replies = replies.clone();
                pool.read(Piece { task: TaskId(task), part }, key, move |value| replies.read(request, value));
                true
            }
            ToHolder::Keep { request, key, value } => inbox.value(value).is_ok_and(|value| {
                kept.keep(connection, key, value);
                replies.push(FromHolder::Kept(request));
                true
            }),
            ToHolder::Ledger { request } => {
                replies.push(FromHolder::Ledger { request, ledger: pool.ledger() });
                true
            }
            ToHolder::Sample { request, question } => {
                let (pool, replies) = (pool.clone(), replies.clone());
                // Asking children blocks.
                tokio::task::spawn_blocking(move || {
                    let samples = pool.samples(&question, SAMPLE_TIMEOUT);
                    let samples = samples.into_iter().map(|sample| (sample.task, sample.answer)).collect();
                    replies.push(FromHolder::Sampled { request, samples });
                });
                true
            }
        });
        replies.release();
        if !is_understood {
            break;
        }
    }
    kept.ended(connection);
    outlet.close();
}

/// Collects the replies that are there at once into one packet.
struct Replies {
    outlet: Outlet,
    batch: Mutex<Batch>,
}

#[derive(Default)]
struct Batch {
    outbox: Outbox<FromHolder>,
    bytes: u64,
    is_held: bool,
}

/// Bytes of replies beyond which they are sent without waiting for more.
const BATCH_BYTES: u64 = 1 << 20;

impl Replies {
    fn read(&self, request: u32, value: Result<Value>) {
        // Encoding may take long and need Python's lock, so no lock is held.
        let encoded: Result<(&'static str, Frames)> =
            value.and_then(|value| Ok((value.data().kind(), value.data().encode()?)));
        let mut batch = self.batch.lock();
        let value = match encoded {
            Ok((kind, frames)) => {
                batch.bytes += frames.nbytes();
                Ok(batch.outbox.frames(kind, frames))
            }
            Err(error) => Err(batch.outbox.error(&error)),
        };
        self.push_to(&mut batch, FromHolder::Read { request, value });
    }

    fn push(&self, message: FromHolder) {
        self.push_to(&mut self.batch.lock(), message);
    }

    fn push_to(&self, batch: &mut Batch, message: FromHolder) {
        batch.outbox.push(message);
        if !batch.is_held || batch.bytes > BATCH_BYTES {
            self.send(batch);
        }
    }

    fn release(&self) {
        let mut batch = self.batch.lock();
        batch.is_held = false;
        self.send(&mut batch);
    }

    fn send(&self, batch: &mut Batch) {
        batch.bytes = 0;
        if batch.outbox.is_empty() {
            return;
        }
        match batch.outbox.take() {
            Ok(packet) => self.outlet.send(packet),
            // Too large for the wire; the reader sees the connection end.
            Err(_) => self.outlet.close(),
        }
    }
}

//! The I/O thread: writes spilled values and reads them back.

use super::Inner;
use crate::node::{IoRequest, Uplink};
use crate::store::spill::{SpillFile, SpillFolders};
use oxidask_core::{ErrorKind, Result, Value};
use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Weak};
use std::time::Duration;

/// How soon time passes for a node whose disk has nothing to do.
const TICK: Duration = Duration::from_millis(100);

impl<U: Uplink> Inner<U> {
    /// Hands a request to the I/O thread, which starts with the first one.
    pub(super) fn request(self: &Arc<Self>, request: IoRequest) {
        let sender = self.io.get_or_init(|| start(Arc::downgrade(self)));
        let unsent = match sender {
            Some(sender) => sender.send(request).err().map(|error| error.0),
            None => Some(request),
        };
        // Without a thread to do it, the work is done here.
        if let Some(request) = unsent {
            self.serve(request, self.now());
        }
    }

    fn serve(self: &Arc<Self>, request: IoRequest, number: u64) {
        if self.state.lock().closed {
            return;
        }
        let begin = self.now();
        match request {
            IoRequest::Spill { piece, life, value } => {
                let file = self.spill(number, &value);
                // The node holds the value still; ours must not be what keeps it.
                drop(value);
                self.with(|now, node, _| {
                    node.ledger.spill_ns += now.saturating_sub(begin);
                    node.spilled(now, piece, life, file);
                });
            }
            IoRequest::Load { piece, life, file, part } => {
                let value = file.read(part);
                drop(file);
                self.with(|now, node, _| {
                    node.ledger.spill_ns += now.saturating_sub(begin);
                    node.loaded(now, piece, life, value);
                });
            }
        }
    }

    fn spill(&self, number: u64, value: &Value) -> Result<SpillFile> {
        let folders = self.folders.get_or_init(|| SpillFolders::new(&self.spill_dirs, self.max_spill));
        let file = folders.as_ref().map_err(Clone::clone).and_then(|folders| folders.write(number, value));
        if let Err(error) = &file
            && matches!(error.kind(), ErrorKind::Io | ErrorKind::NotFound | ErrorKind::Denied | ErrorKind::Memory)
            && self.spill_error.set(error.clone()).is_ok()
        {
            eprintln!("oxidask: {error}; results stay in memory, beyond the limit if need be");
        }
        file
    }
}

/// Starts the thread; none if the system gives no thread.
fn start<U: Uplink>(pool: Weak<Inner<U>>) -> Option<Sender<IoRequest>> {
    let (sender, receiver) = channel();
    std::thread::Builder::new().name("oxidask-io".into()).spawn(move || serve_all(&pool, &receiver)).ok()?;
    Some(sender)
}

/// Serves requests until the pool is gone. Reads come first: tasks wait for
/// them, while writes only make room. While tasks wait and nothing happens, the
/// node is told that time passes, so that it tries again what failed.
fn serve_all<U: Uplink>(pool: &Weak<Inner<U>>, receiver: &Receiver<IoRequest>) {
    let mut reads = VecDeque::new();
    let mut writes = VecDeque::new();
    let mut number = 0;
    let mut has_work = true;
    loop {
        if reads.is_empty() && writes.is_empty() {
            let patience = if has_work { TICK } else { Duration::MAX };
            match receiver.recv_timeout(patience) {
                Ok(request) => sort_in(request, &mut reads, &mut writes),
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {
                    let Some(pool) = pool.upgrade() else { return };
                    has_work = pool.with(|now, node, _| {
                        node.tick(now);
                        node.has_work()
                    });
                    continue;
                }
            }
        }
        for request in receiver.try_iter() {
            sort_in(request, &mut reads, &mut writes);
        }
        let Some(pool) = pool.upgrade() else { return };
        if let Some(request) = reads.pop_front().or_else(|| writes.pop_front()) {
            has_work = true;
            number += 1;
            pool.serve(request, number);
        }
    }
}

fn sort_in(request: IoRequest, reads: &mut VecDeque<IoRequest>, writes: &mut VecDeque<IoRequest>) {
    match request {
        IoRequest::Load { .. } => reads.push_back(request),
        IoRequest::Spill { .. } => writes.push_back(request),
    }
}

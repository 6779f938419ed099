//! The child's side: runs what the parent sends, one task after the other.

use super::message::{
    Batch, Hello, MANY_FILES, Outbox, Results, Welcome, WireEnded, WireError, WireTask, receive, receive_with,
};
use super::progress::Progress;
use super::sample;
use crate::encoded::decoded;
use crate::lend::{self, Lender};
use crate::pool::batch::panicked;
use hashbrown::HashMap;
use oxidask_core::registry::{decode_op, fingerprint};
use oxidask_core::{Blob, EncodedOp, Error, ErrorKind, Frames, Key, Lane, Op, Result, Value};
use rustix::fd::{BorrowedFd, FromRawFd, IntoRawFd, OwnedFd};
use rustix::process::Signal;
use std::cell::{Cell, RefCell};
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Longest that a result waits to be sent.
const SEND_AFTER: Duration = Duration::from_millis(1);
/// Bytes of results beyond which they are sent at once.
const SEND_BYTES: u64 = 1 << 20;

/// The main loop of a child: runs tasks that the parent sends over the socket
/// that is its standard input, until the parent closes it or dies. Standard
/// input reads as empty afterwards.
///
/// # Errors
/// If standard input is not such a socket, or the parent speaks another version.
pub fn serve_child() -> Result<()> {
    // If the parent is killed, the child must not outlive the task that it runs.
    let _ = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
    let socket = take_stdin().map_err(|cause| {
        Error::io("serving as a child process of oxidask", &cause)
            .with_hint("this program is started by oxidask, with a socket as standard input")
    })?;
    let Some((Welcome, files)) = receive_with(&socket)? else { return Ok(()) };
    let Ok([file, samples]) = <[OwnedFd; 2]>::try_from(files) else {
        return Err(Error::new(ErrorKind::Version, "the parent process speaks another version of oxidask"));
    };
    let progress = Progress::from_file(file.into());
    sample::serve(samples);
    Outbox::default().send(&socket, &Hello { fingerprint: fingerprint() })?;
    let uplink = Rc::new(Uplink { socket, unsent: RefCell::new(Unsent::new()), has_seceded: Cell::new(false) });
    lend::enter(uplink.clone());
    let mut child = Child { uplink, progress, works: HashMap::new(), blobs: HashMap::new() };
    while let Some((batch, inbox)) = receive::<Batch>(&child.uplink.socket)? {
        let inputs = batch.values.into_iter().map(|value| inbox.value(value)).collect::<Result<Vec<_>>>()?;
        child.works.retain(|id, _| !batch.dropped_works.contains(id));
        child.blobs.retain(|key, _| !batch.dropped_blobs.contains(key));
        for (key, frames) in batch.blobs {
            child.blobs.insert(key, inbox.frames(frames)?);
        }
        for work in batch.works {
            let op = child.decode(EncodedOp { kind: work.kind, body: work.body, blobs: Vec::new() }, &work.blobs);
            child.works.insert(work.id, op);
        }
        drop(inbox);
        child.run(&batch.tasks, inputs)?;
    }
    Ok(())
}

/// Takes the socket from standard input and leaves nothing to read there.
fn take_stdin() -> std::io::Result<UnixStream> {
    // SAFETY: descriptor 0 is open, as every process is started with one.
    let stdin = unsafe { BorrowedFd::borrow_raw(0) };
    let socket = rustix::io::fcntl_dupfd_cloexec(stdin, 3)?;
    rustix::net::sockopt::socket_type(&socket)?;
    let nothing = std::fs::File::open("/dev/null")?;
    // SAFETY: descriptor 0 is replaced, not closed, and given up again below, so
    // that whoever else uses standard input finds it open at any time.
    let mut stdin = unsafe { OwnedFd::from_raw_fd(0) };
    let replaced = rustix::io::dup2(&nothing, &mut stdin);
    let _ = stdin.into_raw_fd();
    replaced?;
    Ok(UnixStream::from(socket))
}

struct Child {
    uplink: Rc<Uplink>,
    progress: Progress,
    works: HashMap<u64, Result<Arc<dyn Op>>>,
    blobs: HashMap<Key, Frames>,
}

/// The way to the parent, and what it was not told yet.
struct Uplink {
    socket: UnixStream,
    unsent: RefCell<Unsent>,
    has_seceded: Cell<bool>,
}

impl Uplink {
    fn send(&self) -> Result<()> {
        let unsent = self.unsent.replace(Unsent::new());
        if unsent.results.ended.is_empty() {
            return Ok(());
        }
        unsent.outbox.send(&self.socket, &unsent.results)
    }

    fn say(&self, is_waiting: bool) {
        // What has ended may be what the task waits for. If the parent is gone,
        // the child notices when it reads.
        let _ = self.send();
        let _ = Outbox::default().send(&self.socket, &Results { is_waiting: Some(is_waiting), ended: Vec::new() });
    }
}

impl Lender for Uplink {
    fn pool(&self) -> u64 {
        0
    }

    fn suspend(&self) {
        self.say(true);
    }

    fn resume(&self) {
        self.say(false);
    }

    fn has_seceded(&self) -> &Cell<bool> {
        &self.has_seceded
    }
}

/// Results that were not sent yet.
struct Unsent {
    results: Results,
    outbox: Outbox,
    bytes: u64,
    since: Instant,
}

impl Unsent {
    fn new() -> Self {
        Unsent { results: Results::default(), outbox: Outbox::default(), bytes: 0, since: Instant::now() }
    }
}

impl Child {
    /// An op with its constants; its own error if it is not understood.
    fn decode(&self, mut encoded: EncodedOp, blobs: &[Key]) -> Result<Arc<dyn Op>> {
        for &key in blobs {
            let frames = self.blobs.get(&key);
            let frames = frames.ok_or_else(|| Error::new(ErrorKind::Version, "an op came without its constants"))?;
            encoded.blobs.push(Blob { key, frames: frames.clone() });
        }
        catch_unwind(AssertUnwindSafe(|| decode_op(&encoded))).unwrap_or_else(|panic| Err(panicked(&*panic)))
    }

    fn run(&mut self, tasks: &[WireTask], inputs: Vec<Value>) -> Result<()> {
        // How many tasks have yet to read each input, so that memory goes early.
        let mut n_readers = vec![0_u32; inputs.len()];
        tasks.iter().flat_map(|task| &task.inputs).for_each(|&input| n_readers[input as usize] += 1);
        let mut inputs: Vec<Option<Value>> = inputs.into_iter().map(Some).collect();
        *self.uplink.unsent.borrow_mut() = Unsent::new();
        let mut next = 0;
        while next < tasks.len() {
            let lane = self.lane(&tasks[next]);
            let mut outcome = Ok(());
            let mut run_some = || {
                while outcome.is_ok() && next < tasks.len() && same(lane, self.lane(&tasks[next])) {
                    outcome = self.run_one(tasks, next, &mut inputs, &mut n_readers);
                    next += 1;
                }
            };
            match lane {
                Some(lane) => lane.enter(&mut run_some),
                None => run_some(),
            }
            outcome?;
        }
        self.progress.set_idle();
        self.uplink.send()
    }

    fn lane(&self, task: &WireTask) -> Option<&'static dyn Lane> {
        self.works.get(&task.work).and_then(|work| work.as_ref().ok()).and_then(|op| op.lane())
    }

    fn run_one(
        &self,
        tasks: &[WireTask],
        number: usize,
        inputs: &mut [Option<Value>],
        n_readers: &mut [u32],
    ) -> Result<()> {
        let task = &tasks[number];
        self.progress.set_running(number);
        let begin = Instant::now();
        let mut values = Vec::with_capacity(task.inputs.len());
        for &input in &task.inputs {
            n_readers[input as usize] -= 1;
            let slot = &mut inputs[input as usize];
            values.extend(if n_readers[input as usize] == 0 { slot.take() } else { slot.clone() });
        }
        let work = self.works.get(&task.work);
        let work = work.cloned().unwrap_or_else(|| Err(Error::new(ErrorKind::Version, "a task came without its op")));
        let is_recalled = self.progress.is_marked(number);
        let work = if is_recalled { Err(Error::new(ErrorKind::Cancelled, "the task was cancelled")) } else { work };
        let is_fatal = work.is_err();
        let result = work.and_then(|op| {
            catch_unwind(AssertUnwindSafe(|| {
                let values = values.into_iter().map(decoded).collect::<Result<Vec<_>>>()?;
                op.run(u64::from(task.block), &values)
            }))
            .unwrap_or_else(|panic| Err(panicked(&*panic)))
        });
        let duration_ns = begin.elapsed().as_nanos() as u64;
        lend::task_ended(&*self.uplink);
        let nbytes = result.as_ref().map_or(0, Value::nbytes);
        let mut guard = self.uplink.unsent.borrow_mut();
        let unsent = &mut *guard;
        let result = result.and_then(|value| unsent.outbox.value(&value));
        let result = result.map_err(|error| WireError::new(&error, is_fatal, is_recalled, &mut unsent.outbox));
        unsent.results.ended.push(WireEnded { task: number as u32, duration_ns, result });
        unsent.bytes += nbytes;
        let is_due =
            unsent.bytes > SEND_BYTES || unsent.outbox.len() >= MANY_FILES || unsent.since.elapsed() > SEND_AFTER;
        drop(guard);
        if is_due { self.uplink.send() } else { Ok(()) }
    }
}

/// Whether two lanes are one.
fn same(one: Option<&'static dyn Lane>, other: Option<&'static dyn Lane>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => std::ptr::addr_eq(one, other),
        (None, None) => true,
        _ => false,
    }
}

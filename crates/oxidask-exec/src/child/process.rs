//! The parent's side: starts a child, sends it tasks, takes their results.

use super::message::{
    Batch, Hello, MANY_FILES, Outbox, Results, Welcome, WireEnded, WireError, WireTask, WireWork, receive, send_with,
};
use super::progress::{MAX_BATCH, Progress};
use super::sample::{Sample, Watch};
use super::{ChildCommand, Host};
use crate::node::{Completion, Runnable, Unwanted};
use crate::pool::batch::not_run;
use crate::pool::memory::private_bytes;
use crate::work::Work;
use hashbrown::HashMap;
use oxidask_core::registry::fingerprint;
use oxidask_core::{Error, ErrorKind, Key, Result, Value, config};
use oxidask_sched::{Attempt, Failure, TaskId};
use parking_lot::Mutex;
use rustix::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

/// Bytes of inputs sent at once, roughly.
const MAX_BATCH_BYTES: u64 = 32 << 20;
/// Works that a child has beyond which those that are gone are looked for.
const PRUNE_WORKS: usize = 256;
/// How long a child may take to end by itself.
const GRACE: Duration = Duration::from_millis(100);

/// A started process, which any thread may kill.
pub(crate) struct Process {
    process: Mutex<std::process::Child>,
    progress: Progress,
    /// What was sent to it last, in the order of the batch.
    sent: Mutex<Vec<Sent>>,
    /// Where its threads can be looked at.
    watch: Mutex<Watch>,
    /// What it was killed for because nobody wanted it any more.
    abandoned: Mutex<Option<(TaskId, Attempt)>>,
    /// The most memory that it was seen to use, in bytes.
    peak_bytes: AtomicU64,
    /// How much memory it used, of how much, when it was ended for that.
    too_large: Mutex<Option<(u64, u64)>>,
}

/// A task of the batch that a child has.
struct Sent {
    task: TaskId,
    attempt: Attempt,
    key: Key,
    /// Not the job itself: it may hold what must not be dropped under a lock.
    name: Option<Arc<str>>,
    label: Arc<str>,
}

impl Sent {
    fn new(runnable: &Runnable) -> Self {
        let job = &runnable.job;
        Sent {
            task: runnable.task,
            attempt: runnable.attempt,
            key: job.key,
            name: job.name.clone(),
            label: job.work.label().clone(),
        }
    }

    fn display_name(&self) -> String {
        self.name.as_ref().map_or_else(|| format!("{}-{}", self.label, self.key), ToString::to_string)
    }
}

/// A child and what it knows.
pub(super) struct Child {
    pub process: Arc<Process>,
    socket: UnixStream,
    /// Works that it has.
    works: HashMap<u64, (Weak<Work>, Vec<Key>)>,
    /// Constants that it has, and how many works use each.
    blobs: HashMap<Key, u32>,
}

/// The end of a child.
pub(super) struct Died {
    /// The task of the batch that it ran.
    pub running: Option<usize>,
    /// The attempt for which it was killed, because nobody wanted it any more.
    pub abandoned: Option<(TaskId, Attempt)>,
    /// The error for a process that is described like that.
    pub error: Box<dyn Fn(&str) -> Error>,
}

impl Process {
    pub fn kill(&self) {
        // It may be dead already.
        let _ = self.process.lock().kill();
    }

    /// Bytes that it uses alone; none if it is ending.
    pub fn bytes(&self) -> Option<u64> {
        let bytes = private_bytes(self.process.try_lock()?.id())?;
        self.peak_bytes.fetch_max(bytes, Ordering::Relaxed);
        Some(bytes)
    }

    /// Ends it, because it uses so many bytes of the limit.
    pub fn end_for_memory(&self, bytes: u64, limit: u64) {
        *self.too_large.lock() = Some((bytes, limit));
        self.kill();
    }

    /// Nobody wants the result of this attempt: it is not begun, or ended with the
    /// process if it has begun.
    pub fn abandon(&self, task: TaskId, attempt: Attempt) {
        let sent = self.sent.lock();
        let Some(number) = sent.iter().position(|sent| (sent.task, sent.attempt) == (task, attempt)) else { return };
        self.progress.mark(number);
        if self.progress.running() == Some(number) {
            *self.abandoned.lock() = Some((task, attempt));
            self.kill();
        }
    }

    /// What its functions do; see [`Sample`].
    pub fn sample(&self, question: &str, timeout: Duration) -> Sample {
        let answer = self.watch.lock().sample(question, timeout);
        let sent = self.sent.lock();
        let running = self.progress.running().and_then(|number| sent.get(number));
        Sample { task: running.map(Sent::display_name), answer }
    }

    /// Waits for the end, with force if it takes long.
    fn reap(&self) -> Option<ExitStatus> {
        let deadline = Instant::now() + GRACE;
        let mut process = self.process.lock();
        loop {
            match process.try_wait() {
                Ok(Some(status)) => return Some(status),
                Ok(None) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(1)),
                _ => {
                    let _ = process.kill();
                    return process.wait().ok();
                }
            }
        }
    }
}

impl Child {
    /// Starts a process and waits until it serves.
    pub fn start(command: &ChildCommand) -> Result<Self> {
        raise_file_limit();
        let program = command.program.to_string_lossy().into_owned();
        let doing = || format!("starting the child process '{program}'");
        let (socket, theirs) = UnixStream::pair().map_err(|cause| Error::io(doing(), &cause))?;
        let process = Command::new(&command.program)
            .args(&command.args)
            .envs(command.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::from(std::os::fd::OwnedFd::from(theirs)))
            // A process group of its own keeps the terminal's Ctrl-C away.
            .process_group(0)
            .spawn()
            .map_err(|cause| Error::io(doing(), &cause))?;
        let (watch, watched) = Watch::pair().map_err(|cause| Error::io(doing(), &cause))?;
        let process = Process {
            process: Mutex::new(process),
            progress: Progress::new()?,
            sent: Mutex::new(Vec::new()),
            watch: Mutex::new(watch),
            abandoned: Mutex::new(None),
            peak_bytes: AtomicU64::new(0),
            too_large: Mutex::new(None),
        };
        let child = Child { process: Arc::new(process), socket, works: HashMap::new(), blobs: HashMap::new() };
        child.greet(&watched).map_err(|error| error.within(doing()))?;
        Ok(child)
    }

    fn greet(&self, watched: &UnixStream) -> Result<()> {
        let patience = config::get_duration("distributed.comm.timeouts.connect")?.unwrap_or(Duration::from_secs(30));
        let doing = |cause: std::io::Error| Error::io("waiting for a child process", &cause);
        self.socket.set_read_timeout(Some(patience)).map_err(doing)?;
        let hello = send_with(&self.socket, &Welcome, &[self.process.progress.file().as_fd(), watched.as_fd()])
            .and_then(|()| receive::<Hello>(&self.socket));
        let Ok(Some((hello, _))) = hello else {
            let how = self.process.reap().map_or_else(|| "did not answer".to_owned(), describe);
            return Err(Error::new(ErrorKind::Lost, format!("a child process {how} before it could run anything"))
                .with_hint("its program must call oxidask::init() first, or serve_child(); see what it printed"));
        };
        if hello.fingerprint != fingerprint() {
            return Err(Error::new(ErrorKind::Version, "a child process knows other operations than this one")
                .with_hint("let both be the same program, of the same build"));
        }
        self.socket.set_read_timeout(None).map_err(doing)
    }

    /// Runs some or all of `pending`, and takes those out that ended.
    ///
    /// # Errors
    /// If the child died on the way.
    pub fn run(&mut self, pending: &mut [Option<Runnable>], unwanted: &Unwanted, host: &dyn Host) -> Result<(), Died> {
        let mut outbox = Outbox::default();
        let (batch, numbers) = self.batch(pending, &mut outbox, host);
        if numbers.is_empty() {
            return Ok(());
        }
        // What was abandoned on the way to here can only be marked now.
        for &number in &numbers {
            let Some(runnable) = &pending[number] else { continue };
            if unwanted.contains(runnable.task, runnable.attempt) {
                self.process.abandon(runnable.task, runnable.attempt);
            }
        }
        if outbox.send(&self.socket, &batch).is_err() {
            return Err(self.died(&numbers));
        }
        drop(batch);
        let mut is_lent = false;
        let received = self.receive(pending, &numbers, unwanted, &mut is_lent, host);
        if is_lent {
            host.lend(false);
        }
        received
    }

    /// Takes the results of a batch as they come.
    fn receive(
        &mut self,
        pending: &mut [Option<Runnable>],
        numbers: &[usize],
        unwanted: &Unwanted,
        is_lent: &mut bool,
        host: &dyn Host,
    ) -> Result<(), Died> {
        let mut begin = host.now();
        let mut n_ended = 0;
        while n_ended < numbers.len() {
            let Ok(Some((results, inbox))) = receive::<Results>(&self.socket) else {
                return Err(self.died(numbers));
            };
            n_ended += results.ended.len();
            if let Some(is_waiting) = results.is_waiting
                && is_waiting != *is_lent
            {
                *is_lent = is_waiting;
                host.lend(is_waiting);
                if is_waiting {
                    host.give_back(self.recall(pending, numbers));
                }
            }
            let mut completions = Vec::with_capacity(results.ended.len());
            for ended in results.ended {
                let WireEnded { task, duration_ns, result } = ended;
                let Some(runnable) = numbers.get(task as usize).and_then(|&number| pending[number].take()) else {
                    continue;
                };
                let was_recalled = || !unwanted.contains(runnable.task, runnable.attempt);
                if result.as_ref().is_err_and(|error| error.is_recalled) && was_recalled() {
                    host.give_back(vec![runnable]);
                    continue;
                }
                let Runnable { task, attempt, job, .. } = runnable;
                let result = match result {
                    Ok(value) => inbox.value(value).map_err(|error| (Failure::Fatal, error)),
                    Err(error) => {
                        let failure = match &error {
                            WireError { is_fatal: true, .. } => Failure::Fatal,
                            WireError { is_again: true, .. } => Failure::Again,
                            _ => Failure::Error,
                        };
                        Err((failure, error.into_error(&inbox).in_task(job.display_name())))
                    }
                };
                let bytes = result.as_ref().map_or(0, Value::nbytes);
                job.work.cost().took(duration_ns, bytes);
                completions.push(Completion {
                    task,
                    attempt,
                    job,
                    result: Some(result),
                    bytes,
                    start_ns: begin,
                    duration_ns,
                });
                begin += duration_ns;
            }
            if !completions.is_empty() {
                host.complete(completions);
            }
        }
        Ok(())
    }

    /// Takes tasks back that the child has not begun: the one that it runs waits
    /// for others, perhaps for one of these.
    fn recall(&self, pending: &mut [Option<Runnable>], numbers: &[usize]) -> Vec<Runnable> {
        let progress = &self.process.progress;
        let Some(running) = progress.running() else { return Vec::new() };
        (running + 1..numbers.len()).for_each(|number| progress.mark(number));
        // What the child may have begun meanwhile answers whether it did.
        let reached = progress.running().unwrap_or(numbers.len());
        let rest = numbers.iter().skip(reached.saturating_add(1));
        rest.filter_map(|&number| pending[number].take()).collect()
    }

    /// As many of the pending tasks as go into one packet, and their positions.
    /// Those that cannot be sent fail.
    fn batch(&mut self, pending: &mut [Option<Runnable>], outbox: &mut Outbox, host: &dyn Host) -> (Batch, Vec<usize>) {
        let mut batch = Batch::default();
        let mut numbers = Vec::new();
        let mut bytes = 0;
        let mut sent = Vec::new();
        // An input that several tasks read is sent once.
        let mut known: HashMap<*const (), u32> = HashMap::new();
        self.prune(&mut batch);
        for (number, slot) in pending.iter_mut().enumerate() {
            if numbers.len() == MAX_BATCH || bytes > MAX_BATCH_BYTES || outbox.len() >= MANY_FILES {
                break;
            }
            let Some(runnable) = slot else { continue };
            match self.add(runnable, &mut batch, &mut known, outbox) {
                Ok(size) => {
                    bytes += size;
                    numbers.push(number);
                    sent.push(Sent::new(runnable));
                }
                Err(error) => {
                    let runnable = slot.take().expect("seen above");
                    host.complete(vec![not_run(runnable, host.now(), Failure::Fatal, error)]);
                }
            }
        }
        let mut guard = self.process.sent.lock();
        self.process.progress.unmark_all();
        *guard = sent;
        drop(guard);
        (batch, numbers)
    }

    /// Adds a task to a batch; answers how many bytes its inputs have.
    fn add(
        &mut self,
        runnable: &Runnable,
        batch: &mut Batch,
        known: &mut HashMap<*const (), u32>,
        outbox: &mut Outbox,
    ) -> Result<u64> {
        let inputs = runnable.inputs.as_ref().map_err(Clone::clone)?;
        let work = &runnable.job.work;
        let mut bytes = 0;
        let mut positions = Vec::with_capacity(inputs.len());
        for value in inputs {
            let identity = std::ptr::from_ref(value.data()).cast::<()>();
            let position = match known.get(&identity) {
                Some(&position) => position,
                None => {
                    bytes += value.nbytes();
                    batch.values.push(outbox.value(value)?);
                    let position = batch.values.len() as u32 - 1;
                    known.insert(identity, position);
                    position
                }
            };
            positions.push(position);
        }
        if !self.works.contains_key(&work.id()) {
            let op = work.encoded()?;
            let blobs: Vec<Key> = op.blobs.iter().map(|blob| blob.key).collect();
            for blob in &op.blobs {
                let n_users = self.blobs.entry(blob.key).or_insert(0);
                *n_users += 1;
                if *n_users == 1 {
                    bytes += blob.frames.nbytes();
                    batch.blobs.push((blob.key, outbox.frames(blob.frames.clone())?));
                }
            }
            let (kind, body) = (op.kind.clone(), op.body.clone());
            batch.works.push(WireWork { id: work.id(), kind, body, blobs: blobs.clone() });
            self.works.insert(work.id(), (Arc::downgrade(work), blobs));
        }
        batch.tasks.push(WireTask { work: work.id(), block: runnable.job.block, inputs: positions });
        Ok(bytes)
    }

    /// Has the child forget works that are gone in this process.
    fn prune(&mut self, batch: &mut Batch) {
        if self.works.len() < PRUNE_WORKS {
            return;
        }
        let blobs = &mut self.blobs;
        self.works.retain(|&id, (work, keys)| {
            let lives = work.strong_count() > 0;
            if !lives {
                batch.dropped_works.push(id);
                for key in keys {
                    let n_users = blobs.get_mut(key).expect("counted when the work was sent");
                    *n_users -= 1;
                    if *n_users == 0 {
                        blobs.remove(key);
                        batch.dropped_blobs.push(*key);
                    }
                }
            }
            lives
        });
    }

    /// Finds out how the child ended, and what it ran then.
    fn died(&self, numbers: &[usize]) -> Died {
        let mut how = self.process.reap().map_or_else(|| "vanished".to_owned(), describe);
        if let Some((bytes, limit)) = *self.process.too_large.lock() {
            let mib = |bytes: u64| bytes >> 20;
            how = format!(
                "used {} MiB and was ended, before the memory limit of {} MiB was reached",
                mib(bytes),
                mib(limit)
            );
        } else if self.process.peak_bytes.load(Ordering::Relaxed) > 0 {
            let peak = self.process.peak_bytes.load(Ordering::Relaxed) >> 20;
            how = format!("{how}, after it had used up to {peak} MiB");
        }
        let running = self.process.progress.running().and_then(|task| numbers.get(task)).copied();
        let abandoned = *self.process.abandoned.lock();
        let error = move |which: &str| Error::new(ErrorKind::Lost, format!("the process {which} {how}"));
        Died { running, abandoned, error: Box::new(error) }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // The child ends when it reads the end of the socket.
        let _ = self.socket.shutdown(std::net::Shutdown::Both);
        self.process.reap();
    }
}

/// How a process ended, to follow "the process".
fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exited with status {code}"),
        (None, Some(signal)) => format!("was killed by signal {signal} ({})", signal_name(signal)),
        (None, None) => "ended".to_owned(),
    }
}

fn signal_name(signal: i32) -> &'static str {
    match signal {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL, perhaps because memory ran out",
        11 => "SIGSEGV, a memory error in native code",
        13 => "SIGPIPE",
        15 => "SIGTERM",
        _ => "see signal(7)",
    }
}

/// Lets this process have as many descriptors as the system allows: each large
/// value in shared memory may need one.
fn raise_file_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    if limit.current < limit.maximum {
        // Less is no error, only slower.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    }
}

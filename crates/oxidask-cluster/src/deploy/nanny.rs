//! Keeps one worker process alive: starts it, waits for it, starts it again if it
//! dies unasked, and ends it if it takes too much memory.

use crate::agent::{AgentConfig, BEGIN_ANEW};
use oxidask_core::{Error, ErrorKind, Result};
use oxidask_sched::Loss;
use parking_lot::{Condvar, Mutex};
use std::ffi::OsString;
use std::io::Write as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How to start a process that calls [`crate::agent::serve_agent`].
#[derive(Clone, Debug)]
pub struct ProcessCommand {
    /// The program.
    pub program: OsString,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Variables added to this process's environment.
    pub env: Vec<(OsString, OsString)>,
}

/// A worker that dies sooner than this after its start died of its start.
const QUICK: Duration = Duration::from_secs(5);
/// How often the memory of a worker is looked at.
const MEMORY_INTERVAL: Duration = Duration::from_millis(100);
/// Bytes that a worker's program takes without any results.
const OWN_MEMORY: f64 = (256_u64 << 20) as f64;
/// Quick deaths in a row after which it is not started again.
const QUICK_DEATHS_MAX: u32 = 3;

/// See the module's head. Stopped when dropped.
#[derive(Debug)]
pub struct Nanny {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

/// Told of a worker that died, and why.
pub type OnDeath = Box<dyn Fn(&str, Loss) + Send>;

struct Shared {
    name: String,
    state: Mutex<State>,
    changed: Condvar,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Nanny({})", self.name)
    }
}

#[derive(Debug, Default)]
struct State {
    pid: Option<u32>,
    /// Held open while the worker shall live: its end tells the worker to end.
    stdin: Option<ChildStdin>,
    is_stopping: bool,
    is_over: bool,
    /// The process was ended for its memory.
    took_too_much: bool,
    /// Why it was given up.
    given_up: Option<Error>,
}

impl Nanny {
    /// Starts the process.
    ///
    /// # Errors
    /// If the program cannot be started.
    pub fn start(command: ProcessCommand, config: AgentConfig, on_death: Option<OnDeath>) -> Result<Self> {
        let shared = Arc::new(Shared { name: config.name.clone(), state: Mutex::default(), changed: Condvar::new() });
        let child = spawn(&command, &config, &shared)?;
        let failed = |cause: std::io::Error| Error::io("starting a worker", &cause);
        let mut threads = Vec::new();
        let most = config.memory_limit as f64 * config.terminate + OWN_MEMORY;
        if config.terminate > 0.0 && most < u64::MAX as f64 {
            let weighed = shared.clone();
            let weigher = std::thread::Builder::new().name("oxidask-memory".to_owned());
            threads.push(weigher.spawn(move || weighed.weigh(most as u64)).map_err(failed)?);
        }
        let watched = shared.clone();
        let watcher = std::thread::Builder::new().name("oxidask-nanny".to_owned());
        threads
            .push(watcher.spawn(move || watched.watch(child, &command, &config, on_death.as_ref())).map_err(failed)?);
        Ok(Nanny { shared, threads })
    }

    /// The worker's name.
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// The worker's process, if it lives.
    pub fn pid(&self) -> Option<u32> {
        self.shared.state.lock().pid
    }

    /// Why the worker is not started again, if that is so.
    pub fn given_up(&self) -> Option<Error> {
        self.shared.state.lock().given_up.clone()
    }

    /// From now on a death of the worker is its end.
    pub fn let_go(&self) {
        self.shared.state.lock().is_stopping = true;
    }

    /// Tells the worker to end, by the end of its standard input.
    pub fn end(&self) {
        let mut state = self.shared.state.lock();
        state.is_stopping = true;
        state.stdin = None;
    }

    /// Whether the worker is to end, or has ended, for good.
    pub fn is_let_go(&self) -> bool {
        let state = self.shared.state.lock();
        state.is_stopping || state.is_over
    }

    /// Whether the worker has ended for good.
    pub fn is_over(&self) -> bool {
        self.shared.state.lock().is_over
    }

    /// Waits until the worker ended, at most until `deadline`, then kills it.
    pub fn stop(&mut self, deadline: Instant) {
        let mut state = self.shared.state.lock();
        state.is_stopping = true;
        while !state.is_over {
            if self.shared.changed.wait_until(&mut state, deadline).timed_out() {
                break;
            }
        }
        if !state.is_over {
            // The end of its standard input, then force.
            state.stdin = None;
            kill(state.pid);
        }
        drop(state);
        for thread in self.threads.drain(..) {
            // A panic was reported when it happened.
            let _ = thread.join();
        }
    }
}

impl Drop for Nanny {
    fn drop(&mut self) {
        if !self.threads.is_empty() {
            self.stop(Instant::now());
        }
    }
}

/// The number of the signal that cannot be caught.
const SIGKILL: i32 = rustix::process::Signal::KILL.as_raw();

fn kill(pid: Option<u32>) {
    let pid = pid.and_then(|pid| i32::try_from(pid).ok()).and_then(rustix::process::Pid::from_raw);
    if let Some(pid) = pid {
        // It may have ended a moment ago; the watching thread has not reaped it
        // yet, so the number is still its own.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    }
}

fn spawn(command: &ProcessCommand, config: &AgentConfig, shared: &Shared) -> Result<Child> {
    let failed = |cause: std::io::Error| {
        Error::io(format_args!("starting the worker process {}", command.program.to_string_lossy()), &cause)
    };
    let mut child = Command::new(&command.program)
        .args(&command.args)
        .envs(command.env.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::piped())
        // A group of its own, so that Ctrl-C reaches only the user's program,
        // which then closes the cluster in order.
        .process_group(0)
        .spawn()
        .map_err(failed)?;
    let mut line = serde_json::to_vec(config)
        .map_err(|cause| Error::value(format!("a worker's configuration cannot be written down: {cause}")))?;
    line.push(b'\n');
    let mut stdin = child.stdin.take();
    if let Some(stdin) = &mut stdin {
        // If it died already, the watching thread sees that.
        let _ = stdin.write_all(&line).and_then(|()| stdin.flush());
    }
    let mut state = shared.state.lock();
    state.pid = Some(child.id());
    state.stdin = stdin;
    Ok(child)
}

impl Shared {
    /// Ends the process whenever it uses more than `most` bytes.
    fn weigh(&self, most: u64) {
        let mut state = self.state.lock();
        while !state.is_over {
            if let Some(pid) = state.pid
                && crate::agent::memory_of(&pid.to_string()) > most
            {
                state.took_too_much = true;
                kill(state.pid);
            }
            self.changed.wait_for(&mut state, MEMORY_INTERVAL);
        }
    }

    /// Waits for the process and starts it again, until it is to stop.
    fn watch(&self, mut child: Child, command: &ProcessCommand, config: &AgentConfig, on_death: Option<&OnDeath>) {
        let mut quick_deaths = 0;
        loop {
            let started = Instant::now();
            let status = child.wait();
            let code = status.as_ref().ok().and_then(ExitStatus::code);
            let cause = {
                let mut state = self.state.lock();
                state.pid = None;
                state.stdin = None;
                // A worker that ends by itself and in order was sent away.
                if state.is_stopping || code == Some(0) {
                    break;
                }
                if std::mem::take(&mut state.took_too_much) { Loss::OutOfMemory } else { Loss::Crashed }
            };
            let begins_anew = code == Some(BEGIN_ANEW);
            if let Some(on_death) = on_death {
                on_death(&self.name, if begins_anew { Loss::Planned } else { cause });
            }
            // Who kills it from outside says nothing about whether it can live.
            let is_killed = status.as_ref().is_ok_and(|status| status.signal() == Some(SIGKILL));
            let is_own_doing = !begins_anew && !is_killed && cause != Loss::OutOfMemory;
            let is_quick = started.elapsed() < QUICK && is_own_doing;
            quick_deaths = if is_quick { quick_deaths + 1 } else { 0 };
            let next = if quick_deaths >= QUICK_DEATHS_MAX {
                Err(Error::new(
                    ErrorKind::Lost,
                    format!("the worker '{}' does not stay alive: its process {}", self.name, describe(&status)),
                )
                .with_hint("its standard error says more"))
            } else {
                spawn(command, config, self)
            };
            match next {
                Ok(next) => child = next,
                Err(error) => {
                    self.state.lock().given_up = Some(error);
                    break;
                }
            }
        }
        self.state.lock().is_over = true;
        self.changed.notify_all();
    }
}

fn describe(status: &std::io::Result<ExitStatus>) -> String {
    match status {
        Ok(status) => match (status.code(), status.signal()) {
            (Some(code), _) => format!("exited with status {code}"),
            (None, Some(signal)) => format!("was ended by signal {signal}"),
            (None, None) => "ended".to_owned(),
        },
        Err(cause) => format!("could not be waited for: {cause}"),
    }
}

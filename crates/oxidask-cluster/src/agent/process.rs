//! An agent as a process of its own, started by [`crate::deploy`].
//!
//! Its configuration is the first line of its standard input, so that the
//! secret stands neither on the command line nor in the environment. The end of
//! standard input means that the parent is gone: the agent then ends too and
//! deletes the cluster's folder, whatever killed the parent.

use super::{Agent, AgentEnd, AgentOptions};
use crate::auth::Secret;
use crate::security::{Credentials, Security};
use oxidask_core::{Error, ErrorKind, Result, config};
use oxidask_exec::ChildCommand;
use oxidask_sched::WorkerConfig;
use serde::{Deserialize, Serialize};
use std::ffi::OsStr;
use std::io::{BufRead as _, Read as _};
use std::path::PathBuf;
use std::time::Duration;

/// What the parent writes to an agent's standard input.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AgentConfig {
    /// See [`AgentOptions::name`].
    pub name: String,
    /// The scheduler's address.
    pub scheduler: String,
    /// The secret in hexadecimal digits.
    pub secret: String,
    /// What to encrypt with.
    pub security: Security,
    /// Where to serve results.
    pub listen: String,
    /// Tasks at once.
    pub n_threads: usize,
    /// Bytes of results held in memory.
    pub memory_limit: u64,
    /// What the parent has set of [`oxidask_core::config::SETTINGS`], among them
    /// the marks at which results are spilled and tasks wait.
    pub settings: Vec<(String, String)>,
    /// Folder for spilled results.
    pub spill_dir: PathBuf,
    /// Program, arguments and environment of the children for user code.
    pub child: Option<ChildFields>,
    /// Abstract resources.
    pub resources: Vec<(String, f64)>,
    /// Seconds to wait for a connection.
    pub connect_timeout: f64,
    /// Seconds that the scheduler may be away.
    pub death_timeout: f64,
    /// Seconds after which it asks to be retired.
    pub lifetime: Option<f64>,
    /// Whether it begins anew then.
    pub lifetime_restart: bool,
    /// Fraction of the memory limit beyond which the nanny ends its process.
    pub terminate: f64,
    /// The cluster's folder, deleted if the parent dies; none if it is not the
    /// worker's to delete.
    pub folder: Option<PathBuf>,
}

/// Program, arguments and environment.
pub type ChildFields = (String, Vec<String>, Vec<(String, String)>);

/// The exit status that asks the nanny for a fresh process.
pub const BEGIN_ANEW: i32 = 75;
/// How long the end of standard input may come after the end of the scheduler.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// Longest configuration line.
const CONFIG_BYTES_MAX: u64 = 1 << 20;

/// The main program of an agent's process: reads its configuration from standard
/// input and works until the scheduler or the parent is gone.
///
/// # Errors
/// If standard input holds no configuration, or the agent cannot join.
pub fn serve_agent() -> Result<()> {
    let mut line = String::new();
    let mut stdin = std::io::stdin().lock();
    std::io::Read::take(&mut stdin, CONFIG_BYTES_MAX)
        .read_line(&mut line)
        .map_err(|cause| Error::io("reading the worker's configuration", &cause))?;
    drop(stdin);
    let fields: AgentConfig = serde_json::from_str(&line).map_err(|cause| {
        Error::new(ErrorKind::Version, format!("standard input holds no configuration of a worker: {cause}"))
            .with_hint("workers are started by a cluster, not by hand")
    })?;
    let folder = fields.folder.clone();
    std::thread::Builder::new()
        .name("oxidask-parent".to_owned())
        .spawn(move || watch_parent(folder.as_deref()))
        .map_err(|cause| Error::io("starting a worker", &cause))?;
    for (name, value) in &fields.settings {
        config::set(name, Some(value))?;
    }
    let folder = fields.folder.clone();
    let lifetime_restart = fields.lifetime_restart;
    let options = fields.into_options()?;
    loop {
        match Agent::start(options.clone()).map(Agent::wait) {
            Ok(AgentEnd::Restart) => std::process::exit(BEGIN_ANEW),
            Ok(AgentEnd::Retired) if lifetime_restart => std::process::exit(BEGIN_ANEW),
            Ok(AgentEnd::SentAway | AgentEnd::Retired) => return Ok(()),
            // What it held was computed again elsewhere; it is a new worker.
            Ok(AgentEnd::Forgotten) => {}
            Ok(AgentEnd::NoScheduler) => {
                // Perhaps the parent died: the other thread then deletes the
                // folder and ends this process, which must not end before.
                std::thread::sleep(LAST_WORDS);
                return Ok(());
            }
            // The cluster was closed meanwhile; there is nobody to tell.
            Err(_) if folder.as_ref().is_some_and(|folder| !folder.exists()) => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}

/// Ends this process once the parent is gone.
fn watch_parent(folder: Option<&std::path::Path>) {
    let mut rest = Vec::new();
    // Blocks until the parent closes its end; the parent writes nothing more.
    let _ = std::io::stdin().lock().read_to_end(&mut rest);
    if let Some(folder) = folder {
        // A parent that lives closes standard input last of all, and then the
        // folder is gone or empty anyway.
        let _ = std::fs::remove_dir_all(folder);
    }
    std::process::exit(0);
}

impl AgentConfig {
    /// A worker with one thread, no limit of memory and the configured settings.
    ///
    /// # Errors
    /// If a setting makes no sense.
    pub fn new(name: String, scheduler: String, secret: &Secret, listen: String) -> Result<Self> {
        let length = |name: &str, default: f64| {
            Ok::<_, Error>(config::get_duration(name)?.map_or(default, |length| length.as_secs_f64()))
        };
        Ok(AgentConfig {
            name,
            scheduler,
            secret: secret.to_hex(),
            security: Security::default(),
            listen,
            n_threads: 1,
            memory_limit: u64::MAX,
            settings: config::all_set(),
            // What JSON can write: infinity is not a number there.
            terminate: config::get_fraction("distributed.worker.memory.terminate")?.min(f64::MAX),
            spill_dir: std::env::temp_dir(),
            child: None,
            resources: Vec::new(),
            connect_timeout: length("distributed.comm.timeouts.connect", 30.0)?,
            death_timeout: length("distributed.comm.reconnect-grace", 30.0)?,
            lifetime: None,
            lifetime_restart: false,
            folder: None,
        })
    }

    /// How to start a child, as it is written down.
    ///
    /// # Errors
    /// If the command is not UTF-8.
    pub fn child_fields(child: &ChildCommand) -> Result<ChildFields> {
        let text = |text: &OsStr| {
            text.to_str()
                .map(str::to_owned)
                .ok_or_else(|| Error::value(format!("'{}' of a child's command is not UTF-8", text.to_string_lossy())))
        };
        let args = child.args.iter().map(|arg| text(arg)).collect::<Result<_>>()?;
        let env = child.env.iter().map(|(name, value)| Ok((text(name)?, text(value)?))).collect::<Result<_>>()?;
        Ok((text(&child.program)?, args, env))
    }

    /// The options that this configuration describes.
    ///
    /// # Errors
    /// If an address, the secret or a length of time makes no sense.
    pub fn into_options(self) -> Result<AgentOptions> {
        let child = self.child.map(|(program, args, env)| ChildCommand {
            program: program.into(),
            args: args.into_iter().map(Into::into).collect(),
            env: env.into_iter().map(|(name, value)| (name.into(), value.into())).collect(),
        });
        Ok(AgentOptions {
            name: self.name,
            scheduler: self.scheduler.parse()?,
            credentials: Credentials::new(Secret::from_hex(&self.secret)?, self.security),
            listen: self.listen.parse()?,
            n_threads: self.n_threads,
            worker: WorkerConfig {
                memory_limit: self.memory_limit,
                target: config::get_fraction("distributed.worker.memory.target")?,
                spill: config::get_fraction("distributed.worker.memory.spill")?,
                pause: config::get_fraction("distributed.worker.memory.pause")?,
                ..WorkerConfig::default()
            },
            spill_dir: Some(self.spill_dir),
            child,
            resources: self.resources,
            connect_timeout: seconds(self.connect_timeout)?,
            death_timeout: seconds(self.death_timeout)?,
            lifetime: self.lifetime.map(seconds).transpose()?,
        })
    }
}

fn seconds(number: f64) -> Result<Duration> {
    Duration::try_from_secs_f64(number).map_err(|_| Error::value(format!("{number} seconds are no length of time")))
}

//! Workers of a scheduler elsewhere, each kept alive by a nanny: what
//! `oxidask worker` runs.

use super::nanny::{Nanny, ProcessCommand};
use crate::agent::{Agent, AgentConfig};
use crate::auth::Secret;
use crate::connect::Address;
use crate::security::Security;
use oxidask_core::{Error, Result, config};
use oxidask_exec::ChildCommand;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How [`Workers`] are set up.
#[derive(Clone, Debug)]
pub struct WorkersOptions {
    /// Where the scheduler listens.
    pub scheduler: Address,
    /// What members know.
    pub secret: Secret,
    /// What to encrypt with.
    pub security: Security,
    /// Number of workers.
    pub n_workers: usize,
    /// Tasks that each runs at once.
    pub n_threads: usize,
    /// Bytes of results that each may hold in memory.
    pub memory_limit: u64,
    /// Name of the workers; with several a number is appended.
    pub name: Option<String>,
    /// Host at which others reach them; found out if none.
    pub host: Option<String>,
    /// Abstract resources of each.
    pub resources: Vec<(String, f64)>,
    /// Folder in which they make theirs.
    pub local_directory: Option<PathBuf>,
    /// Retire after so long.
    pub lifetime: Option<Duration>,
    /// Whether to begin anew after `lifetime`.
    pub lifetime_restart: bool,
    /// End if the scheduler has been away for so long.
    pub death_timeout: Duration,
    /// How to start a worker; they are threads of this process if none.
    pub command: Option<ProcessCommand>,
    /// How a worker starts the children that run user code.
    pub child: Option<ChildCommand>,
}

impl WorkersOptions {
    /// One worker with one thread on threads of this process.
    #[must_use]
    pub fn new(scheduler: Address, secret: Secret) -> Self {
        WorkersOptions {
            scheduler,
            secret,
            security: Security::default(),
            n_workers: 1,
            n_threads: 1,
            memory_limit: u64::MAX,
            name: None,
            host: None,
            resources: Vec::new(),
            local_directory: None,
            lifetime: None,
            lifetime_restart: false,
            death_timeout: Duration::from_secs(30),
            command: None,
            child: None,
        }
    }
}

/// Running workers. Ended when dropped.
#[derive(Debug)]
pub struct Workers {
    nannies: Vec<Nanny>,
    agents: Vec<Agent>,
    /// Deleted at the end.
    _folder: tempfile::TempDir,
}

/// How long workers get to end by themselves.
const GRACE: Duration = Duration::from_secs(3);

impl Workers {
    /// Starts them. They join the scheduler by themselves, and wait for it if it
    /// is not there yet.
    ///
    /// # Errors
    /// If the folder cannot be made or a worker cannot be started.
    pub fn start(options: &WorkersOptions) -> Result<Self> {
        let parent = match &options.local_directory {
            Some(folder) => folder.clone(),
            None => config::get("temporary-directory")?.map_or_else(std::env::temp_dir, PathBuf::from),
        };
        let failed = |cause: std::io::Error| {
            Error::io(format_args!("making the workers' folder in {}", parent.display()), &cause)
        };
        std::fs::create_dir_all(&parent).map_err(failed)?;
        let folder = tempfile::Builder::new().prefix("oxidask-worker-").tempdir_in(&parent).map_err(failed)?;
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o700)).map_err(failed)?;
        let (mut nannies, mut agents) = (Vec::new(), Vec::new());
        for number in 0..options.n_workers {
            let config = agent_config(options, number, folder.path())?;
            match &options.command {
                Some(command) => nannies.push(Nanny::start(command.clone(), config, None)?),
                None => agents.push(Agent::start(config.into_options()?)?),
            }
        }
        Ok(Workers { nannies, agents, _folder: folder })
    }

    /// Whether all have ended for good.
    ///
    /// # Errors
    /// If one does not stay alive.
    pub fn are_over(&self) -> Result<bool> {
        if let Some(error) = self.nannies.iter().find_map(Nanny::given_up) {
            return Err(error);
        }
        Ok(self.nannies.iter().all(Nanny::is_over) && self.agents.iter().all(Agent::is_over))
    }

    /// Their processes.
    #[must_use]
    pub fn pids(&self) -> Vec<u32> {
        self.nannies.iter().filter_map(Nanny::pid).collect()
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        let deadline = Instant::now() + GRACE;
        for nanny in &self.nannies {
            nanny.end();
        }
        for nanny in &mut self.nannies {
            nanny.stop(deadline);
        }
        self.agents.clear();
    }
}

fn agent_config(options: &WorkersOptions, number: usize, folder: &std::path::Path) -> Result<AgentConfig> {
    let unique = format!("{}-{}", std::process::id(), number);
    let name = match &options.name {
        Some(name) if options.n_workers == 1 => name.clone(),
        Some(name) => format!("{name}-{number}"),
        None => format!("{}-{unique}", hostname()),
    };
    let listen = match (&options.scheduler, &options.host) {
        (Address::Unix(_), None) => Address::Unix(folder.join(format!("worker-{number}"))),
        (Address::Tls(..), Some(host)) => Address::Tls(host.clone(), 0),
        (_, Some(host)) => Address::Tcp(host.clone(), 0),
        (Address::Tcp(host, _), None) => Address::Tcp(towards(host)?, 0),
        (Address::Tls(host, _), None) => Address::Tls(towards(host)?, 0),
    };
    let mut config = AgentConfig::new(name, options.scheduler.to_string(), &options.secret, listen.to_string())?;
    config.security = options.security.clone();
    config.n_threads = options.n_threads;
    config.memory_limit = options.memory_limit;
    folder.clone_into(&mut config.spill_dir);
    config.child = options.child.as_ref().map(AgentConfig::child_fields).transpose()?;
    config.resources.clone_from(&options.resources);
    config.death_timeout = options.death_timeout.as_secs_f64();
    config.lifetime = options.lifetime.map(|lifetime| lifetime.as_secs_f64());
    config.lifetime_restart = options.lifetime_restart;
    Ok(config)
}

fn hostname() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// This machine's address as `host` sees it. Nothing is sent to find out: a
/// datagram socket only looks up the way.
fn towards(host: &str) -> Result<String> {
    let failed = |cause: std::io::Error| Error::io(format_args!("finding the way to {host}"), &cause);
    let any = if host.contains(':') { "[::]:0" } else { "0.0.0.0:0" };
    let socket = std::net::UdpSocket::bind(any).map_err(failed)?;
    socket.connect((host, 9)).map_err(failed)?;
    Ok(socket.local_addr().map_err(failed)?.ip().to_string())
}

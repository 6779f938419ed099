//! A scheduler that others find through a file: what `oxidask scheduler` runs.

use crate::auth::Secret;
use crate::connect::Address;
use crate::protocol::{Build, ClusterInfo};
use crate::security::{Credentials, Security};
use crate::server::{Server, ServerOptions};
use oxidask_core::{Error, Result, config};
use oxidask_sched::SchedulerConfig;
use serde::{Deserialize, Serialize};
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How a [`SchedulerProcess`] is set up.
#[derive(Clone, Debug)]
pub struct SchedulerOptions {
    /// Where to listen.
    pub address: Address,
    /// What members know; that of the journal, or a fresh one, if none.
    pub secret: Option<Secret>,
    /// What to encrypt with.
    pub security: Security,
    /// File to write, from which others learn the address and the secret.
    pub scheduler_file: Option<PathBuf>,
    /// Folder of the journal.
    pub journal: Option<PathBuf>,
    /// Host and port of the pages for monitors.
    pub http: Option<String>,
    /// End after so long without tasks.
    pub idle_timeout: Option<Duration>,
}

impl SchedulerOptions {
    /// A scheduler at `address` with the configured settings.
    #[must_use]
    pub fn new(address: Address) -> Self {
        SchedulerOptions {
            address,
            secret: None,
            security: Security::default(),
            scheduler_file: None,
            journal: None,
            http: None,
            idle_timeout: None,
        }
    }
}

/// What a scheduler file says. It holds the secret, so only its owner may read
/// it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SchedulerFile {
    /// Always `Scheduler`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Where the scheduler listens.
    pub address: String,
    /// What members know, in hexadecimal digits.
    pub secret: String,
    /// The scheduler's process.
    pub pid: u32,
}

impl SchedulerFile {
    /// Reads a scheduler file.
    ///
    /// # Errors
    /// If it cannot be read or is none.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .map_err(|cause| Error::io(format_args!("reading the scheduler file {}", path.display()), &cause))?;
        serde_json::from_str(&text)
            .map_err(|cause| Error::value(format!("{} is no scheduler file: {cause}", path.display())))
    }

    /// Writes it in one go, readable by its owner alone.
    fn write(&self, path: &Path) -> Result<()> {
        let failed =
            |cause: std::io::Error| Error::io(format_args!("writing the scheduler file {}", path.display()), &cause);
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        // Temporary files are made with mode 600, and keep it.
        let mut file = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
        let text = serde_json::to_string_pretty(self)
            .map_err(|cause| Error::value(format!("the scheduler's address cannot be written down: {cause}")))?;
        file.write_all(text.as_bytes()).map_err(failed)?;
        file.persist(path).map_err(|error| failed(error.error))?;
        Ok(())
    }
}

/// A scheduler in this process. Ended when dropped.
#[derive(Debug)]
pub struct SchedulerProcess {
    server: Server,
    secret: Secret,
    file: Option<(PathBuf, SchedulerFile)>,
    idle_timeout: Option<Duration>,
}

impl SchedulerProcess {
    /// Listens, writes the scheduler file, and serves.
    ///
    /// # Errors
    /// If an address cannot be listened at, or a file cannot be used.
    pub fn start(options: SchedulerOptions) -> Result<Self> {
        let secret = match (options.secret, &options.journal) {
            (Some(secret), _) => secret,
            (None, Some(folder)) => secret_of(folder)?,
            (None, None) => Secret::random()?,
        };
        let mut defaults = ServerOptions::new(options.address, Credentials::new(secret.clone(), options.security))?;
        defaults.journal = options.journal;
        defaults.http = options.http;
        let server = Server::start(defaults)?;
        let file = options.scheduler_file.map(|path| {
            let content = SchedulerFile {
                kind: "Scheduler".to_owned(),
                address: server.address().to_string(),
                secret: secret.to_hex(),
                pid: std::process::id(),
            };
            (path, content)
        });
        if let Some((path, content)) = &file {
            content.write(path)?;
        }
        Ok(SchedulerProcess { server, secret, file, idle_timeout: options.idle_timeout })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> &Address {
        self.server.address()
    }

    /// Where its pages for monitors are.
    #[must_use]
    pub fn http_address(&self) -> Option<SocketAddr> {
        self.server.http_address()
    }

    /// What members know.
    #[must_use]
    pub fn secret(&self) -> &Secret {
        &self.secret
    }

    /// Who is there, and how they are.
    #[must_use]
    pub fn info(&self) -> ClusterInfo {
        self.server.info()
    }

    /// Waits at most `timeout`; whether it is to end, because a client asked for
    /// it or there was nothing to do for too long.
    #[must_use]
    pub fn wait(&self, timeout: Duration) -> bool {
        let is_idle = || self.idle_timeout.is_some_and(|limit| self.server.idle_for() > limit);
        self.server.is_shut_down() || is_idle() || self.server.wait_for_shutdown(timeout) || is_idle()
    }

    /// Ends it and deletes its file, if that is still its own.
    pub fn close(&mut self) {
        self.server.close();
        if let Some((path, content)) = self.file.take()
            && SchedulerFile::read(&path).is_ok_and(|there| there == content)
        {
            // Whoever deleted it meanwhile has spared us that.
            let _ = std::fs::remove_file(path);
        }
    }
}

impl Drop for SchedulerProcess {
    fn drop(&mut self) {
        self.close();
    }
}

/// The secret of a journal's cluster: its members come back with it.
fn secret_of(folder: &Path) -> Result<Secret> {
    let path = folder.join("secret");
    std::fs::create_dir_all(folder).map_err(|cause| Error::io(format_args!("making {}", folder.display()), &cause))?;
    if path.exists() {
        return Secret::load(&path);
    }
    let secret = Secret::random()?;
    secret.save(&path)?;
    Ok(secret)
}

impl ServerOptions {
    /// A server at `address` with the configured settings.
    ///
    /// # Errors
    /// If a setting makes no sense.
    pub fn new(address: Address, credentials: Credentials) -> Result<Self> {
        let mut scheduler = SchedulerConfig::default();
        if let Some(allowed) = config::get_f64("distributed.scheduler.allowed-failures")? {
            scheduler.allowed_failures = allowed.max(0.0) as u32;
        }
        let timeout = |name: &str| Ok::<_, Error>(config::get_duration(name)?.unwrap_or(Duration::from_secs(30)));
        Ok(ServerOptions {
            address,
            credentials,
            scheduler,
            build: Some(Build::current()),
            worker_timeout: timeout("distributed.scheduler.worker-ttl")?,
            client_grace: timeout("distributed.comm.reconnect-grace")?,
            lease_timeout: timeout("distributed.scheduler.locks.lease-timeout")?,
            journal: None,
            journal_limit: config::get_bytes("distributed.scheduler.journal-limit")?.unwrap_or(u64::MAX),
            http: None,
        })
    }
}

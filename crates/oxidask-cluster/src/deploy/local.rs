//! A cluster on this machine: a scheduler in this process, workers as processes.
//!
//! Everything of it lies in one folder that only its owner can enter: sockets,
//! the secret, spilled results. Closing the cluster ends its processes and
//! deletes the folder; so do the workers if this process dies.

use super::adaptive::Adaptive;
use super::nanny::{Nanny, ProcessCommand};
use crate::agent::{Agent, AgentConfig};
use crate::auth::Secret;
use crate::client::{Client, ClientOptions};
use crate::connect::Address;
use crate::protocol::ClusterInfo;
use crate::security::{Credentials, Security};
use crate::server::{Server, ServerOptions};
use oxidask_core::{Error, ErrorKind, Result, config};
use oxidask_exec::ChildCommand;
use oxidask_sched::Loss;
use parking_lot::Mutex;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How a [`LocalCluster`] is set up.
#[derive(Clone, Debug)]
pub struct LocalClusterOptions {
    /// Number of worker processes.
    pub n_workers: usize,
    /// Tasks that each runs at once.
    pub threads_per_worker: usize,
    /// Bytes of results that each may hold in memory.
    pub memory_limit: u64,
    /// How to start a worker.
    pub command: ProcessCommand,
    /// How a worker starts the children that run user code; it runs user code on
    /// its own threads if none.
    pub child: Option<ChildCommand>,
    /// Whether workers are threads of this process in place of processes.
    pub in_process: bool,
    /// Whether to use TCP on 127.0.0.1 in place of unix sockets.
    pub tcp: bool,
    /// Port for the scheduler with `tcp`; 0 lets the system choose.
    pub port: u16,
    /// Where the cluster's folder is made: `temporary-directory`, or the system's
    /// folder for temporary files.
    pub folder: Option<PathBuf>,
    /// Abstract resources of each worker.
    pub resources: Vec<(String, f64)>,
    /// A worker that says nothing for this long is taken for lost.
    pub worker_timeout: Duration,
    /// A client that is away for this long is taken for gone.
    pub client_grace: Duration,
    /// What connections are encrypted with, if they are.
    pub security: Security,
    /// Host and port of the scheduler's pages for monitors, if it has any.
    pub http: Option<String>,
}

impl LocalClusterOptions {
    /// `n_workers` workers with one thread each, which share 60 % of the
    /// machine's memory.
    #[must_use]
    pub fn new(n_workers: usize, command: ProcessCommand) -> Self {
        LocalClusterOptions {
            n_workers,
            threads_per_worker: 1,
            memory_limit: machine_memory() / 10 * 6 / n_workers.max(1) as u64,
            command,
            child: None,
            in_process: false,
            tcp: false,
            port: 0,
            folder: None,
            resources: Vec::new(),
            worker_timeout: Duration::from_secs(30),
            client_grace: Duration::from_secs(30),
            security: Security::default(),
            http: None,
        }
    }
}

impl LocalClusterOptions {
    /// `n_workers` workers with one thread each on threads of this process, for
    /// programs that need no protection from their own code.
    #[must_use]
    pub fn in_process(n_workers: usize) -> Self {
        let nobody = ProcessCommand { program: OsString::new(), args: Vec::new(), env: Vec::new() };
        LocalClusterOptions { in_process: true, ..LocalClusterOptions::new(n_workers, nobody) }
    }
}

/// Bytes of memory of this machine.
#[must_use]
pub fn machine_memory() -> u64 {
    let info = rustix::system::sysinfo();
    (info.totalram as u64).saturating_mul(u64::from(info.mem_unit.max(1)))
}

/// How long the end of a worker waits to be told to a scheduler that is busy
/// ending itself; the end of the connection tells it, too.
const BUSY: Duration = Duration::from_millis(100);
/// How long workers get to end by themselves.
const GRACE: Duration = Duration::from_secs(3);
/// How long the first workers get to join.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// See the module's head. Closed when dropped.
#[derive(Debug)]
pub struct LocalCluster {
    options: LocalClusterOptions,
    secret: Secret,
    server: Arc<Mutex<Server>>,
    http: Option<SocketAddr>,
    nannies: Mutex<Vec<Nanny>>,
    /// Workers in this process, by name.
    agents: Mutex<Vec<(String, Agent)>>,
    /// Names of workers in this process that were asked to leave.
    leaving: Mutex<Vec<String>>,
    folders: Mutex<Option<Folders>>,
    folder_path: PathBuf,
    /// Where results are spilled: that folder, or one where the user wants it.
    spill_dir: PathBuf,
    address: Address,
    next_name: Mutex<usize>,
}

impl LocalCluster {
    /// Starts the scheduler and the workers, and waits for these to join.
    ///
    /// # Errors
    /// If the folder cannot be made or a worker does not come up.
    pub fn start(options: LocalClusterOptions) -> Result<Self> {
        let wanted = match &options.folder {
            Some(folder) => folder.clone(),
            None => config::get("temporary-directory")?.map_or_else(std::env::temp_dir, PathBuf::from),
        };
        let (folder, spill_dir) = make_folders(&wanted)?;
        let secret = Secret::random()?;
        secret.save(&folder.path().join("secret"))?;
        let address = if options.tcp {
            Address::Tcp("127.0.0.1".to_owned(), options.port)
        } else {
            Address::Unix(folder.path().join("scheduler"))
        };
        let credentials = Credentials::new(secret.clone(), options.security.clone());
        let mut server = ServerOptions::new(address, credentials)?;
        server.worker_timeout = options.worker_timeout;
        server.client_grace = options.client_grace;
        server.http.clone_from(&options.http);
        let server = Arc::new(Mutex::new(Server::start(server)?));
        let (address, http) = {
            let server = server.lock();
            (server.address().clone(), server.http_address())
        };
        let cluster = LocalCluster {
            options,
            secret,
            server,
            http,
            nannies: Mutex::default(),
            agents: Mutex::default(),
            leaving: Mutex::default(),
            folder_path: folder.path().to_owned(),
            spill_dir: spill_dir.as_ref().unwrap_or(&folder).path().to_owned(),
            folders: Mutex::new(Some((folder, spill_dir))),
            address,
            next_name: Mutex::new(0),
        };
        cluster.scale(cluster.options.n_workers)?;
        cluster.wait_for_start()?;
        Ok(cluster)
    }

    /// Where the scheduler listens.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Where the scheduler's pages for monitors are.
    #[must_use]
    pub fn http_address(&self) -> Option<SocketAddr> {
        self.http
    }

    /// What members know.
    #[must_use]
    pub fn secret(&self) -> &Secret {
        &self.secret
    }

    /// The cluster's folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder_path
    }

    /// How it was set up.
    #[must_use]
    pub fn options(&self) -> &LocalClusterOptions {
        &self.options
    }

    /// Who is there, and how they are.
    #[must_use]
    pub fn info(&self) -> ClusterInfo {
        self.server.lock().info()
    }

    /// A new client.
    ///
    /// # Errors
    /// If the cluster was closed.
    pub fn client(&self) -> Result<Client> {
        let mut options = ClientOptions::new(self.address.clone(), self.secret.clone());
        options.security = self.options.security.clone();
        Client::connect(options)
    }

    /// Whether a client asked the cluster to end.
    #[must_use]
    pub fn is_shut_down(&self) -> bool {
        self.server.lock().is_shut_down()
    }

    /// Names and processes of the workers that live.
    #[must_use]
    pub fn worker_pids(&self) -> Vec<(String, u32)> {
        self.nannies.lock().iter().filter_map(|nanny| Some((nanny.name().to_owned(), nanny.pid()?))).collect()
    }

    /// Starts workers, or asks the newest to leave, until there are `n_workers`.
    /// What only a leaving worker holds is copied elsewhere first.
    ///
    /// # Errors
    /// If a worker cannot be started.
    pub fn scale(&self, n_workers: usize) -> Result<()> {
        let mut nannies = self.nannies.lock();
        let mut agents = self.agents.lock();
        nannies.retain(|nanny| !nanny.is_over());
        agents.retain(|(_, agent)| !agent.is_over());
        // Those that were asked to leave before do not count.
        let mut left = self.leaving.lock();
        let staying: Vec<&Nanny> = nannies.iter().filter(|nanny| !nanny.is_let_go()).collect();
        let staying_here = agents.iter().map(|(name, _)| name).filter(|name| !left.contains(name));
        let n_there = staying.len() + staying_here.clone().count();
        let mut leaving: Vec<String> = staying_here.skip(n_workers).cloned().collect();
        left.extend(leaving.iter().cloned());
        drop(left);
        for nanny in staying.into_iter().skip(n_workers) {
            nanny.let_go();
            leaving.push(nanny.name().to_owned());
        }
        for _ in n_there..n_workers {
            let number = {
                let mut next = self.next_name.lock();
                *next += 1;
                *next - 1
            };
            let config = self.agent_config(number)?;
            if self.options.in_process {
                agents.push((config.name.clone(), Agent::start(config.into_options()?)?));
            } else {
                let server = Arc::downgrade(&self.server);
                let on_death = move |name: &str, cause: Loss| {
                    if let Some(server) = server.upgrade()
                        && let Some(server) = server.try_lock_for(BUSY)
                    {
                        server.worker_died(name, cause);
                    }
                };
                nannies.push(Nanny::start(self.options.command.clone(), config, Some(Box::new(on_death)))?);
            }
        }
        drop((nannies, agents));
        if !leaving.is_empty() {
            self.server.lock().retire(&leaving);
        }
        Ok(())
    }

    /// Scales to what `adaptive` decides for the present load; the number of workers
    /// if that changes. To be called again and again.
    ///
    /// # Errors
    /// If a worker cannot be started.
    pub fn adapt(&self, adaptive: &mut Adaptive) -> Result<Option<usize>> {
        let (wanted, n_joined) = self.server.lock().desired_workers(adaptive.target());
        // Workers that were started and have not joined yet count as there.
        let decision = adaptive.decide(wanted, n_joined.max(self.n_staying()));
        if let Some(n_workers) = decision {
            self.scale(n_workers)?;
        }
        Ok(decision)
    }

    /// Workers that were started and not asked to leave.
    fn n_staying(&self) -> usize {
        let nannies = self.nannies.lock();
        let agents = self.agents.lock();
        let leaving = self.leaving.lock();
        nannies.iter().filter(|nanny| !nanny.is_let_go()).count()
            + agents.iter().filter(|(name, agent)| !agent.is_over() && !leaving.contains(name)).count()
    }

    /// Ends all processes and deletes the folder.
    pub fn close(&self) {
        for nanny in self.nannies.lock().iter() {
            nanny.let_go();
        }
        self.server.lock().close();
        drop(std::mem::take(&mut *self.agents.lock()));
        let deadline = Instant::now() + GRACE;
        for mut nanny in self.nannies.lock().drain(..) {
            nanny.stop(deadline);
        }
        // A file that cannot be deleted must not keep the rest from ending.
        drop(self.folders.lock().take());
    }

    fn wait_for_start(&self) -> Result<()> {
        let n_workers = self.options.n_workers;
        let deadline = Instant::now() + START_TIMEOUT;
        let slice = Duration::from_millis(100);
        loop {
            let is_up = self.server.lock().wait_until(Some(slice), |info| info.workers.len() >= n_workers);
            if is_up {
                return Ok(());
            }
            if let Some(error) = self.nannies.lock().iter().find_map(Nanny::given_up) {
                return Err(error);
            }
            if Instant::now() > deadline {
                return Err(Error::new(
                    ErrorKind::Timeout,
                    format!("the {n_workers} workers were not all there after {START_TIMEOUT:?}"),
                ));
            }
        }
    }

    fn agent_config(&self, number: usize) -> Result<AgentConfig> {
        let listen = if self.options.tcp {
            Address::Tcp("127.0.0.1".to_owned(), 0)
        } else {
            Address::Unix(self.folder_path.join(format!("worker-{number}")))
        };
        let name = number.to_string();
        let mut config = AgentConfig::new(name, self.address.to_string(), &self.secret, listen.to_string())?;
        config.security = self.options.security.clone();
        config.n_threads = self.options.threads_per_worker;
        config.memory_limit = self.options.memory_limit;
        config.spill_dir.clone_from(&self.spill_dir);
        config.child = self.options.child.as_ref().map(AgentConfig::child_fields).transpose()?;
        config.resources.clone_from(&self.options.resources);
        config.folder = Some(self.folder_path.clone());
        Ok(config)
    }
}

impl Drop for LocalCluster {
    fn drop(&mut self) {
        self.close();
    }
}

/// The cluster's folder, and the one for spilled results if it is another.
type Folders = (tempfile::TempDir, Option<tempfile::TempDir>);

/// Makes the cluster's folder in `parent`. The system does not take sockets whose
/// paths are long, as those of scratch folders may be: then only what is spilled
/// lies in `parent`.
fn make_folders(parent: &Path) -> Result<Folders> {
    /// Bytes that are left of a socket's path for the names of folder and socket.
    const PARENT_BYTES_MAX: usize = 64;
    let failed =
        |cause: std::io::Error| Error::io(format_args!("making a cluster's folder in {}", parent.display()), &cause);
    let make = |parent: &Path| -> std::io::Result<tempfile::TempDir> {
        std::fs::create_dir_all(parent)?;
        let folder = tempfile::Builder::new().prefix("oxidask-").tempdir_in(parent)?;
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o700))?;
        Ok(folder)
    };
    if parent.as_os_str().len() <= PARENT_BYTES_MAX {
        return Ok((make(parent).map_err(failed)?, None));
    }
    Ok((make(&std::env::temp_dir()).map_err(failed)?, Some(make(parent).map_err(failed)?)))
}

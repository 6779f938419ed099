//! Local clusters and the entry point of their workers, for Python.

use crate::error::OrRaise;
use crate::executor::child_command;
use oxidask_cluster::deploy::Adaptive;
use oxidask_cluster::deploy::local::machine_memory;
use oxidask_cluster::{LocalCluster, LocalClusterOptions, ProcessCommand};
use oxidask_exec::ChildCommand;
use parking_lot::Mutex;
use pyo3::prelude::*;
use std::path::PathBuf;
use std::time::Duration;

/// Adds this file's classes and functions to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<LocalClusterHandle>()?;
    module.add_class::<AdaptiveHandle>()?;
    module.add_function(wrap_pyfunction!(serve_agent, module)?)
}

/// Program, arguments and variables of a process to start.
pub type Program = (String, Vec<String>, Vec<(String, String)>);

/// A program to start, in the words of the engine.
pub fn process_command((program, args, env): Program) -> ProcessCommand {
    ProcessCommand {
        program: program.into(),
        args: args.into_iter().map(Into::into).collect(),
        env: env.into_iter().map(|(name, value)| (name.into(), value.into())).collect(),
    }
}

/// The main program of a worker's process.
#[pyfunction]
fn serve_agent(py: Python<'_>) -> PyResult<()> {
    py.detach(oxidask_cluster::serve_agent).or_raise()
}

/// A scheduler in this process with workers on this machine.
#[pyclass(frozen, weakref, module = "oxidask._oxidask")]
pub struct LocalClusterHandle {
    cluster: LocalCluster,
}

#[pymethods]
impl LocalClusterHandle {
    #[new]
    #[pyo3(signature = (
        command, *, n_workers, threads_per_worker, memory_limit, in_process, tcp, port, folder, resources, http=None, child=None,
    ))]
    #[allow(clippy::too_many_arguments, reason = "they are the keyword arguments of LocalCluster")]
    fn new(
        py: Python<'_>,
        command: Program,
        n_workers: usize,
        threads_per_worker: usize,
        memory_limit: Option<u64>,
        in_process: bool,
        tcp: bool,
        port: u16,
        folder: Option<PathBuf>,
        resources: Vec<(String, f64)>,
        http: Option<String>,
        child: Option<Program>,
    ) -> PyResult<Self> {
        let command = process_command(command);
        let child = match child {
            _ if in_process => None,
            Some(child) => {
                let ProcessCommand { program, args, env } = process_command(child);
                Some(ChildCommand { program, args, env })
            }
            None => Some(child_command(py)?),
        };
        let defaults = LocalClusterOptions::new(n_workers, command);
        let options = LocalClusterOptions {
            threads_per_worker,
            memory_limit: memory_limit.unwrap_or(defaults.memory_limit),
            child,
            in_process,
            tcp,
            port,
            folder,
            resources,
            http,
            ..defaults
        };
        let cluster = py.detach(|| LocalCluster::start(options)).or_raise()?;
        Ok(LocalClusterHandle { cluster })
    }

    #[getter]
    fn address(&self) -> String {
        self.cluster.address().to_string()
    }

    /// Host and port of the scheduler's pages for monitors.
    #[getter]
    fn http_address(&self) -> Option<String> {
        self.cluster.http_address().map(|address| address.to_string())
    }

    #[getter]
    fn secret(&self) -> String {
        self.cluster.secret().to_hex()
    }

    #[getter]
    fn folder(&self) -> PathBuf {
        self.cluster.folder().to_owned()
    }

    #[getter]
    fn memory_limit(&self) -> u64 {
        self.cluster.options().memory_limit
    }

    #[getter]
    fn threads_per_worker(&self) -> usize {
        self.cluster.options().threads_per_worker
    }

    /// Names of the workers and their processes.
    fn worker_pids(&self) -> Vec<(String, u32)> {
        self.cluster.worker_pids()
    }

    /// Names and addresses of the workers that are there.
    fn workers(&self) -> Vec<(String, String, u32)> {
        let workers = self.cluster.info().workers;
        workers.into_iter().map(|worker| (worker.intro.name, worker.intro.address, worker.intro.n_slots)).collect()
    }

    #[staticmethod]
    fn machine_memory() -> u64 {
        machine_memory()
    }

    fn scale(&self, py: Python<'_>, n_workers: usize) -> PyResult<()> {
        py.detach(|| self.cluster.scale(n_workers)).or_raise()
    }

    fn is_shut_down(&self) -> bool {
        self.cluster.is_shut_down()
    }

    fn close(&self, py: Python<'_>) {
        py.detach(|| self.cluster.close());
    }
}

/// How many workers a cluster follows its load with.
#[pyclass(frozen, module = "oxidask._oxidask")]
pub struct AdaptiveHandle(Mutex<Adaptive>);

#[pymethods]
impl AdaptiveHandle {
    /// Between `minimum` and `maximum` workers; fewer only after that was enough
    /// `wait_count` times in a row.
    #[new]
    fn new(minimum: usize, maximum: usize, wait_count: u32) -> PyResult<Self> {
        // Who asks knows the time within which work shall end.
        let adaptive = Adaptive::new(minimum, maximum, wait_count, Duration::ZERO).or_raise()?;
        Ok(AdaptiveHandle(Mutex::new(adaptive)))
    }

    /// How many workers there should be of which `wanted` are worth their work and
    /// `n_workers` are there; none if nothing is to change.
    fn decide(&self, wanted: usize, n_workers: usize) -> Option<usize> {
        self.0.lock().decide(wanted, n_workers)
    }
}

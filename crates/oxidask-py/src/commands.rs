//! What the commands `oxidask scheduler` and `oxidask worker` run, for Python.

use crate::cluster::{Program, process_command};
use crate::error::OrRaise;
use oxidask_cluster::deploy::{
    ProcessCommand, SchedulerFile, SchedulerOptions, SchedulerProcess, Workers, WorkersOptions,
};
use oxidask_cluster::{Secret, Security};
use oxidask_exec::ChildCommand;
use parking_lot::Mutex;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use std::path::PathBuf;
use std::time::Duration;

/// Adds this file's classes and functions to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<SchedulerHandle>()?;
    module.add_class::<WorkersHandle>()?;
    module.add_function(wrap_pyfunction!(read_scheduler_file, module)?)
}

/// What to encrypt with, from its JSON form.
fn security_of(json: Option<&str>) -> PyResult<Security> {
    json.map_or_else(|| Ok(Security::default()), Security::from_json).or_raise()
}

/// Address and secret of a scheduler file.
#[pyfunction]
fn read_scheduler_file(path: PathBuf) -> PyResult<(String, String)> {
    let file = SchedulerFile::read(&path).or_raise()?;
    Ok((file.address, file.secret))
}

fn seconds(number: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(number).map_err(|_| PyValueError::new_err(format!("{number} is no length of time")))
}

/// A scheduler in this process that others find by its file.
#[pyclass(frozen, module = "oxidask._oxidask")]
pub struct SchedulerHandle(Mutex<SchedulerProcess>);

#[pymethods]
impl SchedulerHandle {
    #[new]
    #[pyo3(signature = (address, *, secret=None, security=None, scheduler_file=None, journal=None, http=None, idle_timeout=None))]
    #[allow(clippy::too_many_arguments, reason = "they are the options of the command")]
    fn new(
        py: Python<'_>,
        address: &str,
        secret: Option<&str>,
        security: Option<&str>,
        scheduler_file: Option<PathBuf>,
        journal: Option<PathBuf>,
        http: Option<String>,
        idle_timeout: Option<f64>,
    ) -> PyResult<Self> {
        let options = SchedulerOptions {
            secret: secret.map(Secret::from_hex).transpose().or_raise()?,
            security: security_of(security)?,
            scheduler_file,
            journal,
            http,
            idle_timeout: idle_timeout.map(seconds).transpose()?,
            ..SchedulerOptions::new(address.parse().or_raise()?)
        };
        let scheduler = py.detach(|| SchedulerProcess::start(options)).or_raise()?;
        Ok(SchedulerHandle(Mutex::new(scheduler)))
    }

    #[getter]
    fn address(&self) -> String {
        self.0.lock().address().to_string()
    }

    #[getter]
    fn secret(&self) -> String {
        self.0.lock().secret().to_hex()
    }

    /// Host and port of the pages for monitors.
    #[getter]
    fn http_address(&self) -> Option<String> {
        self.0.lock().http_address().map(|address| address.to_string())
    }

    /// Waits at most so many seconds; whether it is to end.
    fn wait(&self, py: Python<'_>, timeout: f64) -> PyResult<bool> {
        let timeout = seconds(timeout)?;
        Ok(py.detach(|| self.0.lock().wait(timeout)))
    }

    fn close(&self, py: Python<'_>) {
        py.detach(|| self.0.lock().close());
    }
}

/// Workers of a scheduler elsewhere.
#[pyclass(frozen, module = "oxidask._oxidask")]
pub struct WorkersHandle(Mutex<Option<Workers>>);

#[pymethods]
impl WorkersHandle {
    #[new]
    #[pyo3(signature = (
        scheduler, secret, *, command, child, n_workers, n_threads, memory_limit, security=None, name=None, host=None,
        resources=Vec::new(), local_directory=None, lifetime=None, lifetime_restart=false, death_timeout=None,
    ))]
    #[allow(clippy::too_many_arguments, reason = "they are the options of the command")]
    fn new(
        py: Python<'_>,
        scheduler: &str,
        secret: &str,
        command: Option<Program>,
        child: Option<Program>,
        n_workers: usize,
        n_threads: usize,
        memory_limit: u64,
        security: Option<&str>,
        name: Option<String>,
        host: Option<String>,
        resources: Vec<(String, f64)>,
        local_directory: Option<PathBuf>,
        lifetime: Option<f64>,
        lifetime_restart: bool,
        death_timeout: Option<f64>,
    ) -> PyResult<Self> {
        let defaults = WorkersOptions::new(scheduler.parse().or_raise()?, Secret::from_hex(secret).or_raise()?);
        let options = WorkersOptions {
            security: security_of(security)?,
            n_workers,
            n_threads,
            memory_limit,
            name,
            host,
            resources,
            local_directory,
            lifetime: lifetime.map(seconds).transpose()?,
            lifetime_restart,
            death_timeout: death_timeout.map(seconds).transpose()?.unwrap_or(defaults.death_timeout),
            command: command.map(process_command),
            child: child.map(|program| {
                let ProcessCommand { program, args, env } = process_command(program);
                ChildCommand { program, args, env }
            }),
            ..defaults
        };
        let workers = py.detach(|| Workers::start(&options)).or_raise()?;
        Ok(WorkersHandle(Mutex::new(Some(workers))))
    }

    /// Whether all have ended for good.
    fn are_over(&self) -> PyResult<bool> {
        self.0.lock().as_ref().map_or(Ok(true), Workers::are_over).or_raise()
    }

    /// Their processes.
    fn pids(&self) -> Vec<u32> {
        self.0.lock().as_ref().map_or_else(Vec::new, Workers::pids)
    }

    fn close(&self, py: Python<'_>) {
        py.detach(|| drop(self.0.lock().take()));
    }
}

//! A cluster of separate processes, and a graph that counts how often it runs.

use super::{Count, SchedulerChild, child_command, eventually, worker_command};
use oxidask_cluster::client::ClientOptions;
use oxidask_cluster::deploy::{SchedulerFile, Workers, WorkersOptions};
use oxidask_cluster::{Client, Secret};
use oxidask_core::{Graph, Input, Key};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

pub const LONG: Option<Duration> = Some(Duration::from_secs(60));

/// Counts how often each of `width` slow tasks runs, and adds them up.
pub fn counted_graph(file: &Path, width: usize, sleep_ms: u64) -> (Graph, i64) {
    let mut graph = Graph::new();
    let key = Key::named(&file.display().to_string());
    let op = |sleep_ms| Arc::new(Count { file: file.to_owned(), sleep_ms });
    let numbers = graph.blocks(key, op(sleep_ms), width, |_, _| {});
    let stage = graph.stage(op(0));
    let total = graph.task(Key::named(&format!("total of {}", file.display())), stage, 0, &numbers);
    graph.outputs = vec![Input::whole(total)];
    (graph, (0..width as i64).sum())
}

/// A scheduler process, workers and a client that find it through its file.
pub struct Parts {
    pub folder: tempfile::TempDir,
    pub scheduler: SchedulerChild,
    pub address: String,
    pub secret: Secret,
}

impl Parts {
    pub fn start(address: &str, with_journal: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let journal = with_journal.then(|| folder.path().join("journal"));
        let file = folder.path().join("scheduler.json");
        let scheduler = SchedulerChild::start(address, &file, journal.as_deref());
        eventually("the scheduler file is there", || SchedulerFile::read(&file).is_ok());
        let told = SchedulerFile::read(&file).unwrap();
        Parts { folder, scheduler, address: told.address, secret: Secret::from_hex(&told.secret).unwrap() }
    }

    pub fn restart(&mut self) {
        let journal = self.folder.path().join("journal");
        self.scheduler.kill();
        self.scheduler =
            SchedulerChild::start(&self.address, &self.folder.path().join("scheduler.json"), Some(&journal));
    }

    pub fn workers_at(&self, address: &str, n_workers: usize) -> Workers {
        Workers::start(&WorkersOptions {
            n_workers,
            command: Some(worker_command()),
            child: Some(child_command()),
            ..WorkersOptions::new(address.parse().unwrap(), self.secret.clone())
        })
        .unwrap()
    }

    pub fn workers(&self, n_workers: usize) -> Workers {
        self.workers_at(&self.address, n_workers)
    }

    pub fn client_at(&self, address: &str) -> Client {
        Client::connect(ClientOptions::new(address.parse().unwrap(), self.secret.clone())).unwrap()
    }

    pub fn client(&self) -> Client {
        self.client_at(&self.address)
    }

    /// As [`Parts::restart`], after the scheduler was killed.
    pub fn restart_killed(&mut self) {
        let journal = self.folder.path().join("journal");
        self.scheduler =
            SchedulerChild::start(&self.address, &self.folder.path().join("scheduler.json"), Some(&journal));
    }
}

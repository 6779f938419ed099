//! What the tests of clusters share: operations, values, and the processes that
//! this very test program serves as.
#![allow(dead_code, reason = "no test program uses all of it")]

pub mod parts;

use oxidask_cluster::deploy::{SchedulerOptions, SchedulerProcess};
use oxidask_cluster::{LocalClusterOptions, ProcessCommand};
use oxidask_core::{Data, Decode, Error, Frames, Graph, Input, KeyHasher, Op, Result, Value};
use oxidask_exec::ChildCommand;
use oxidask_macros::{data, op};
use serde::{Deserialize, Serialize};
use std::io::Read as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Turns this process into what it was started as, if that is not a test.
pub fn serve() {
    let role = std::env::var("OXIDASK_TEST_ROLE").unwrap_or_default();
    let served = match role.as_str() {
        "worker" => oxidask_cluster::serve_agent(),
        "child" => oxidask_exec::serve_child(),
        "scheduler" => serve_scheduler(),
        _ => return,
    };
    if let Err(error) = served {
        eprintln!("{error}");
        std::process::exit(1);
    }
    std::process::exit(0);
}

/// The main program of schedulers: ends when standard input does.
fn serve_scheduler() -> Result<()> {
    let text = |name: &str| std::env::var(name).unwrap_or_default();
    let mut options = SchedulerOptions::new(text("OXIDASK_TEST_ADDRESS").parse()?);
    options.scheduler_file = Some(PathBuf::from(text("OXIDASK_TEST_FILE")));
    options.journal = Some(text("OXIDASK_TEST_JOURNAL")).filter(|journal| !journal.is_empty()).map(Into::into);
    let _scheduler = SchedulerProcess::start(options)?;
    let mut rest = Vec::new();
    let _ = std::io::stdin().lock().read_to_end(&mut rest);
    Ok(())
}

fn command(role: &str) -> ProcessCommand {
    ProcessCommand {
        program: std::env::current_exe().unwrap().into_os_string(),
        args: vec!["serve_as_other_process".into(), "--exact".into(), "--nocapture".into(), "-q".into()],
        env: vec![("OXIDASK_TEST_ROLE".into(), role.into())],
    }
}

pub fn worker_command() -> ProcessCommand {
    command("worker")
}

pub fn child_command() -> ChildCommand {
    let ProcessCommand { program, args, env } = command("child");
    ChildCommand { program, args, env }
}

/// A scheduler in a process of its own; killed when dropped.
pub struct SchedulerChild(Child);

impl SchedulerChild {
    pub fn start(address: &str, file: &std::path::Path, journal: Option<&std::path::Path>) -> Self {
        SchedulerChild::start_with(address, file, journal, &[])
    }

    /// The same with environment variables.
    pub fn start_with(
        address: &str,
        file: &std::path::Path,
        journal: Option<&std::path::Path>,
        variables: &[(&str, &str)],
    ) -> Self {
        let ProcessCommand { program, args, env } = command("scheduler");
        let child = Command::new(program)
            .args(args)
            .envs(env)
            .envs(variables.iter().copied())
            .env("OXIDASK_TEST_ADDRESS", address)
            .env("OXIDASK_TEST_FILE", file)
            .env("OXIDASK_TEST_JOURNAL", journal.unwrap_or(std::path::Path::new("")))
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        SchedulerChild(child)
    }

    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    pub fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for SchedulerChild {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub fn options(n_workers: usize) -> LocalClusterOptions {
    LocalClusterOptions { child: Some(child_command()), ..LocalClusterOptions::new(n_workers, worker_command()) }
}

pub fn never() -> Result<()> {
    Ok(())
}

/// Waits until `is_so`, at most ten seconds.
pub fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !is_so() {
        assert!(Instant::now() < deadline, "not within ten seconds: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[data("test.number")]
pub struct Number(pub i64);

impl Data for Number {
    fn nbytes(&self) -> u64 {
        8
    }

    fn encode(&self) -> Result<Frames> {
        Ok(Frames::inline(self.0.to_le_bytes().to_vec()))
    }
}

impl Decode for Number {
    fn decode(frames: Frames) -> Result<Self> {
        let bytes = frames.header[..].try_into().map_err(|_| Error::value("not a number"))?;
        Ok(Number(i64::from_le_bytes(bytes)))
    }
}

/// A value of some size, filled with one byte.
#[data("test.block")]
pub struct Block(pub bytes::Bytes);

impl Data for Block {
    fn nbytes(&self) -> u64 {
        self.0.len() as u64
    }

    fn encode(&self) -> Result<Frames> {
        Ok(Frames { header: bytes::Bytes::new(), buffers: vec![self.0.clone()] })
    }
}

impl Decode for Block {
    fn decode(frames: Frames) -> Result<Self> {
        frames.buffers.into_iter().next().map(Block).ok_or_else(|| Error::value("no block"))
    }
}

/// The block number plus the sum of the inputs, after a while.
#[op("test.add")]
#[derive(Serialize, Deserialize)]
pub struct Add {
    pub sleep_ms: u64,
}

impl Op for Add {
    fn run(&self, block: u64, inputs: &[Value]) -> Result<Value> {
        std::thread::sleep(Duration::from_millis(self.sleep_ms));
        let inputs = inputs.iter().map(|input| Ok(input.expect::<Number>()?.0)).sum::<Result<i64>>()?;
        Ok(Value::new(Number(block as i64 + inputs)))
    }
}

/// A block of a million bytes, each the block number.
#[op("test.fill")]
#[derive(Serialize, Deserialize)]
pub struct Fill;

impl Op for Fill {
    fn run(&self, block: u64, _inputs: &[Value]) -> Result<Value> {
        Ok(Value::new(Block(vec![block as u8; 1_000_000].into())))
    }

    fn output_bytes(&self, _block: u64, _inputs: &[Option<u64>]) -> Option<u64> {
        Some(1_000_000)
    }
}

/// What goes wrong with user code.
#[op("test.fail")]
#[derive(Serialize, Deserialize)]
pub struct Fail {
    pub exits: bool,
}

impl Op for Fail {
    fn run(&self, _block: u64, _inputs: &[Value]) -> Result<Value> {
        if self.exits {
            std::process::exit(3);
        }
        Err(Error::value("this cannot work").with_hint("try something else"))
    }

    fn runs_user_code(&self) -> bool {
        self.exits
    }
}

/// `width` numbers and their sum, which is the only output.
pub fn sum_graph(seed: u64, width: usize, sleep_ms: u64) -> (Graph, i64) {
    let mut graph = Graph::new();
    let key = KeyHasher::new("test.sum").u64(seed).u64(width as u64).finish();
    let numbers = graph.blocks(key, Arc::new(Add { sleep_ms }), width, |_, _| {});
    let sums: Vec<Input> = numbers
        .chunks(8)
        .enumerate()
        .map(|(idx, chunk)| {
            let stage = graph.stage(Arc::new(Add { sleep_ms: 0 }));
            Input::whole(graph.task(KeyHasher::new("sum").key(key).u64(idx as u64).finish(), stage, 0, chunk))
        })
        .collect();
    let stage = graph.stage(Arc::new(Add { sleep_ms: 0 }));
    let total = graph.task(KeyHasher::new("total").key(key).finish(), stage, 0, &sums);
    graph.outputs = vec![Input::whole(total)];
    (graph, (0..width as i64).sum())
}

pub fn number(value: &Value) -> i64 {
    value.expect::<Number>().unwrap().0
}

pub fn is_alive(pid: u32) -> bool {
    std::path::Path::new(&format!("/proc/{pid}")).exists()
}

pub fn kill(pid: u32) {
    let pid = rustix::process::Pid::from_raw(pid as i32).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}

pub fn signal(pid: u32, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(pid as i32).unwrap();
    rustix::process::kill_process(pid, signal).unwrap();
}

/// Adds a line to a file and answers the block number: so that tests see how often
/// it ran.
#[op("test.count")]
#[derive(Serialize, Deserialize)]
pub struct Count {
    pub file: PathBuf,
    pub sleep_ms: u64,
}

impl Op for Count {
    fn run(&self, block: u64, inputs: &[Value]) -> Result<Value> {
        use std::io::Write as _;
        let failed = |cause: std::io::Error| Error::io("counting", &cause);
        let mut file = std::fs::OpenOptions::new().append(true).create(true).open(&self.file).map_err(failed)?;
        file.write_all(format!("{block}\n").as_bytes()).map_err(failed)?;
        std::thread::sleep(Duration::from_millis(self.sleep_ms));
        let inputs = inputs.iter().map(|input| Ok(input.expect::<Number>()?.0)).sum::<Result<i64>>()?;
        Ok(Value::new(Number(block as i64 + inputs)))
    }
}

pub fn n_lines(file: &std::path::Path) -> usize {
    std::fs::read_to_string(file).unwrap_or_default().lines().count()
}

/// Takes memory until it is stopped, at most for ten seconds.
#[op("test.eat")]
#[derive(Serialize, Deserialize)]
pub struct Eat {
    pub bytes: usize,
}

impl Op for Eat {
    fn run(&self, _block: u64, _inputs: &[Value]) -> Result<Value> {
        let taken = vec![1_u8; self.bytes];
        std::thread::sleep(Duration::from_secs(10));
        Ok(Value::new(Number(i64::from(taken[taken.len() / 2]))))
    }
}

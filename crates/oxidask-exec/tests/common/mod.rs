//! Data, operations and executors that the tests share.

#![allow(dead_code, reason = "each test file uses some of it")]

use bytes::Bytes;
use oxidask_core::{Data, Decode, Error, Executor, Frames, Graph, Input, Key, Op, Parts, Result, Value};
use oxidask_exec::{ChildCommand, Local, LocalKind, LocalOptions};
use oxidask_macros::{data, op};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A small value.
#[data("test.number")]
#[derive(Debug)]
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
        let bytes = frames.header[..].try_into().map_err(|_| Error::value("a number has 8 bytes"))?;
        Ok(Number(i64::from_le_bytes(bytes)))
    }
}

/// A large value.
#[data("test.block")]
pub struct Block(pub Bytes);

impl Data for Block {
    fn nbytes(&self) -> u64 {
        self.0.len() as u64
    }

    fn encode(&self) -> Result<Frames> {
        Ok(Frames { header: Bytes::new(), buffers: vec![self.0.clone()] })
    }
}

impl Decode for Block {
    fn decode(mut frames: Frames) -> Result<Self> {
        frames.buffers.pop().map(Block).ok_or_else(|| Error::value("a block has one buffer"))
    }
}

pub fn number(value: &Value) -> i64 {
    value.get::<Number>().expect("a number").0
}

/// Adds its inputs, its block number and a constant.
#[op("test.add")]
#[derive(Serialize, Deserialize)]
pub struct Add {
    pub plus: i64,
    pub user_code: bool,
}

impl Op for Add {
    fn run(&self, block: u64, inputs: &[Value]) -> Result<Value> {
        let mut sum = self.plus + block as i64;
        for input in inputs {
            sum = sum.wrapping_mul(3).wrapping_add(input.expect::<Number>()?.0);
        }
        Ok(Value::new(Number(sum)))
    }

    fn output_bytes(&self, _: u64, _: &[Option<u64>]) -> Option<u64> {
        Some(8)
    }

    fn runs_user_code(&self) -> bool {
        self.user_code
    }
}

/// Makes a block of bytes, each the block's number.
#[op("test.make")]
#[derive(Serialize, Deserialize)]
pub struct Make {
    pub len: usize,
    pub user_code: bool,
    pub known: bool,
}

impl Op for Make {
    fn run(&self, block: u64, _: &[Value]) -> Result<Value> {
        Ok(Value::new(Block(Bytes::from(vec![block as u8; self.len]))))
    }

    fn output_bytes(&self, _: u64, _: &[Option<u64>]) -> Option<u64> {
        self.known.then_some(self.len as u64)
    }

    fn runs_user_code(&self) -> bool {
        self.user_code
    }
}

/// Adds all bytes of its inputs.
#[op("test.total")]
#[derive(Serialize, Deserialize)]
pub struct Total {
    pub user_code: bool,
}

impl Op for Total {
    fn run(&self, _: u64, inputs: &[Value]) -> Result<Value> {
        let mut total = 0;
        for input in inputs {
            total += input.expect::<Block>()?.0.iter().map(|&byte| i64::from(byte)).sum::<i64>();
        }
        Ok(Value::new(Number(total)))
    }

    fn runs_user_code(&self) -> bool {
        self.user_code
    }
}

/// Splits into as many parts as told: numbers, or blocks of a thousand bytes.
#[op("test.split")]
#[derive(Serialize, Deserialize)]
pub struct Split {
    pub n_parts: u32,
    pub part_len: usize,
    pub user_code: bool,
}

impl Op for Split {
    fn run(&self, block: u64, _: &[Value]) -> Result<Value> {
        let part = |part: u32| Value::new(Block(Bytes::from(vec![(block as u8) ^ (part as u8); self.part_len])));
        Ok(Value::new(Parts((0..self.n_parts).map(part).collect())))
    }

    fn runs_user_code(&self) -> bool {
        self.user_code
    }
}

/// What a bad task does.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Deed {
    Error,
    Panic,
    Exit(i32),
    Abort,
    Kill,
    /// Kills its process unless the file exists, which it makes first.
    KillOnce(PathBuf),
    Sleep(u64),
    /// Writes where nothing is.
    Segfault,
    /// Uses so many bytes, a few at a time, and keeps them.
    Eat(usize),
    /// Answers the number of its process.
    Tell,
}

/// Does a deed, then answers a number.
#[op("test.bad")]
#[derive(Serialize, Deserialize)]
pub struct Bad(pub Deed);

impl Op for Bad {
    fn run(&self, _: u64, _: &[Value]) -> Result<Value> {
        let kill = || {
            let me = std::process::id().to_string();
            let _ = std::process::Command::new("kill").args(["-9", &me]).status();
        };
        match &self.0 {
            Deed::Error => return Err(Error::value("a deed went wrong")),
            Deed::Panic => panic!("a deed went very wrong"),
            Deed::Exit(code) => std::process::exit(*code),
            Deed::Abort => std::process::abort(),
            Deed::Kill => kill(),
            Deed::KillOnce(file) => {
                if std::fs::File::create_new(file).is_ok() {
                    kill();
                }
            }
            Deed::Tell => return Ok(Value::new(Number(i64::from(std::process::id())))),
            Deed::Segfault => {
                let nowhere = std::hint::black_box(std::ptr::null_mut::<u64>());
                // SAFETY: there is none; the system ends this process for it, which
                // is what the test is about.
                unsafe { nowhere.write_volatile(1) };
            }
            Deed::Eat(bytes) => {
                let mut eaten: Vec<Vec<u8>> = Vec::new();
                while eaten.len() << 24 < *bytes {
                    eaten.push(std::hint::black_box(vec![1; 1 << 24]));
                    std::thread::sleep(Duration::from_millis(10));
                }
            }
            Deed::Sleep(millis) => std::thread::sleep(Duration::from_millis(*millis)),
        }
        Ok(Value::new(Number(7)))
    }

    fn runs_user_code(&self) -> bool {
        true
    }
}

/// A graph of one task.
pub fn one(op: impl Op, key: &str) -> Graph {
    let mut graph = Graph::new();
    let stage = graph.stage(Arc::new(op));
    let task = graph.task(Key::named(key), stage, 0, &[]);
    graph.outputs.push(Input::whole(task));
    graph
}

/// How to start the calling test binary as a child: it must have an ignored test
/// `child_entry` that calls `serve_child`.
pub fn child_command() -> ChildCommand {
    ChildCommand {
        program: std::env::current_exe().unwrap().into(),
        args: ["child_entry", "--exact", "--ignored", "--quiet", "--nocapture"].map(Into::into).to_vec(),
        env: Vec::new(),
    }
}

pub fn options(kind: LocalKind) -> LocalOptions {
    LocalOptions {
        n_workers: Some(2),
        child: (kind == LocalKind::Processes).then(child_command),
        ..LocalOptions::new(kind)
    }
}

pub fn local(kind: LocalKind) -> Local {
    Local::new(options(kind)).unwrap()
}

pub fn compute(executor: &Local, graph: Graph) -> Result<Vec<Value>> {
    executor.compute(graph, &|| Ok(()))
}

/// Waits until `is_so`, a minute at most.
pub fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < deadline, "not so within a minute: {what}");
        std::thread::yield_now();
        std::thread::sleep(Duration::from_millis(1));
    }
}

pub const ALL: [LocalKind; 3] = [LocalKind::Sync, LocalKind::Threads, LocalKind::Processes];

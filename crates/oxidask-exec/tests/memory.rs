//! Bounded memory: results beyond the limit go to disk and come back.

#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

mod common;

use bytes::Bytes;
use common::*;
use oxidask_core::{Data, Decode, Error, ErrorKind, Executor, Frames, Graph, Input, Key, Op, Result, Value};
use oxidask_exec::{Local, LocalKind, LocalOptions, serve_child};
use oxidask_macros::{data, op};
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// The children of these tests run this.
#[test]
#[ignore = "not a test"]
fn child_entry() {
    serve_child().unwrap();
}

static LIVE_BYTES: AtomicI64 = AtomicI64::new(0);
static PEAK_BYTES: AtomicI64 = AtomicI64::new(0);

/// Held by tests that count, one at a time.
static COUNTING: std::sync::Mutex<()> = std::sync::Mutex::new(());

/// Bytes whose presence in memory is counted.
#[data("test.counted")]
struct Counted(Bytes);

impl Counted {
    fn new(bytes: Bytes) -> Self {
        let live = LIVE_BYTES.fetch_add(bytes.len() as i64, Ordering::Relaxed) + bytes.len() as i64;
        PEAK_BYTES.fetch_max(live, Ordering::Relaxed);
        Counted(bytes)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        LIVE_BYTES.fetch_sub(self.0.len() as i64, Ordering::Relaxed);
    }
}

impl Data for Counted {
    fn nbytes(&self) -> u64 {
        self.0.len() as u64
    }

    fn encode(&self) -> Result<Frames> {
        Ok(Frames { header: Bytes::new(), buffers: vec![self.0.clone()] })
    }
}

impl Decode for Counted {
    fn decode(mut frames: Frames) -> Result<Self> {
        frames.buffers.pop().map(Counted::new).ok_or_else(|| Error::value("one buffer"))
    }
}

/// Makes a block; or adds the bytes of its first input, if it has any.
#[op("test.counted_op")]
#[derive(Serialize, Deserialize)]
struct CountedOp {
    len: usize,
    user_code: bool,
    known: bool,
}

impl Op for CountedOp {
    fn run(&self, block: u64, inputs: &[Value]) -> Result<Value> {
        match inputs.first() {
            None => Ok(Value::new(Counted::new(Bytes::from(vec![block as u8; self.len])))),
            Some(input) => {
                let total = input.expect::<Counted>()?.0.iter().map(|&byte| i64::from(byte)).sum();
                Ok(Value::new(Number(total)))
            }
        }
    }

    fn output_bytes(&self, _: u64, inputs: &[Option<u64>]) -> Option<u64> {
        self.known.then_some(if inputs.is_empty() { self.len as u64 } else { 8 })
    }

    fn runs_user_code(&self) -> bool {
        self.user_code
    }
}

const BLOCK: usize = 1 << 20;
const N_BLOCKS: u32 = 64;
const LIMIT: u64 = 16 << 20;

/// All blocks are alive at once: each is read before and after a task that needs
/// to know something of every block.
fn all_alive(user_code: bool, known: bool) -> (Graph, Vec<i64>) {
    let mut graph = Graph::new();
    let counted = graph.stage(Arc::new(CountedOp { len: BLOCK, user_code, known }));
    let add = graph.stage(Arc::new(Add { plus: 0, user_code: false }));
    let key = |what: &str, block: u32| Key::named(&format!("{user_code} {known} {what} {block}"));
    let made: Vec<u32> = (0..N_BLOCKS).map(|block| graph.task(key("make", block), counted, block, &[])).collect();
    let before: Vec<Input> = made
        .iter()
        .map(|&made| Input::whole(graph.task(key("before", made), counted, 0, &[Input::whole(made)])))
        .collect();
    let barrier = graph.task(key("barrier", 0), add, 0, &before);
    for &made in &made {
        let inputs = [Input::whole(made), Input::whole(barrier)];
        let after = graph.task(key("after", made), counted, 0, &inputs);
        graph.outputs.push(Input::whole(after));
    }
    (graph, (0..i64::from(N_BLOCKS)).map(|block| block * BLOCK as i64).collect())
}

fn n_files(folder: &Path) -> usize {
    std::fs::read_dir(folder)
        .unwrap()
        .flatten()
        .map(|entry| if entry.path().is_dir() { n_files(&entry.path()) } else { 1 })
        .sum()
}

#[test]
fn four_times_the_limit_is_computed_within_it() {
    let _counting = COUNTING.lock();
    for kind in ALL {
        for (user_code, known) in [(false, true), (false, false), (true, false)] {
            let folder = tempfile::tempdir().unwrap();
            let spill_dir = Some(folder.path().to_owned());
            let executor = Local::new(LocalOptions { memory_limit: Some(LIMIT), spill_dir, ..options(kind) }).unwrap();
            PEAK_BYTES.store(0, Ordering::Relaxed);
            let (graph, expected) = all_alive(user_code, known);
            let values = compute(&executor, graph).unwrap();
            assert_eq!(values.iter().map(number).collect::<Vec<_>>(), expected);
            let peak = PEAK_BYTES.load(Ordering::Relaxed) as u64;
            println!("{kind:?} user code {user_code} known {known}: peak {} MiB", peak >> 20);
            assert!(peak <= LIMIT + LIMIT / 4, "{kind:?} {user_code} {known}: peak {} MiB", peak >> 20);
            eventually("everything is freed", || executor.counts() == (0, 0));
            eventually("all files but the lock are deleted", || n_files(folder.path()) <= 1);
            assert_eq!(LIVE_BYTES.load(Ordering::Relaxed), 0);
            executor.close();
            assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        }
    }
}

#[test]
fn results_stay_right_if_nothing_can_be_spilled() {
    let _counting = COUNTING.lock();
    let folder = tempfile::tempdir().unwrap();
    let spill_dir = folder.path().join("within");
    let executor = Local::new(LocalOptions {
        memory_limit: Some(LIMIT),
        spill_dir: Some(spill_dir.clone()),
        ..options(LocalKind::Threads)
    })
    .unwrap();
    std::fs::remove_dir_all(spill_dir).unwrap();
    let (graph, expected) = all_alive(false, true);
    let values = compute(&executor, graph).unwrap();
    assert_eq!(values.iter().map(number).collect::<Vec<_>>(), expected);
    let error = executor.spill_error().unwrap();
    assert!(error.message().contains("spilling a result"), "{error}");
}

/// A file system of one megabyte, gone with the handle. None where this process
/// may not make one.
struct TinyDisk(tempfile::TempDir);

impl TinyDisk {
    fn new() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mount = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"])
            .arg(folder.path())
            .output();
        match mount {
            Ok(output) if output.status.success() => Some(TinyDisk(folder)),
            Ok(output) => {
                println!("skipped, no file system can be made: {}", String::from_utf8_lossy(&output.stderr));
                None
            }
            Err(cause) => {
                println!("skipped, no file system can be made: {cause}");
                None
            }
        }
    }
}

impl Drop for TinyDisk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[test]
fn a_full_disk_is_told_and_nothing_hangs() {
    let _counting = COUNTING.lock();
    let Some(disk) = TinyDisk::new() else { return };
    let roomy = tempfile::tempdir().unwrap();
    for roomy in [None, Some(roomy.path())] {
        let folders = [Some(disk.0.path()), roomy].into_iter().flatten();
        let executor = Local::new(LocalOptions {
            memory_limit: Some(LIMIT),
            spill_dir: Some(std::env::join_paths(folders).unwrap().into()),
            ..options(LocalKind::Threads)
        })
        .unwrap();
        let (graph, expected) = all_alive(false, true);
        let values = compute(&executor, graph).unwrap();
        assert_eq!(values.iter().map(number).collect::<Vec<_>>(), expected);
        match roomy {
            None => {
                let error = executor.spill_error().unwrap();
                assert!(error.message().contains("No space left"), "{error}");
                assert!(error.message().contains(disk.0.path().to_str().unwrap()), "{error}");
            }
            // The other folder takes what the full one cannot.
            Some(_) => assert!(executor.spill_error().is_none()),
        }
        eventually("everything is freed", || executor.counts() == (0, 0));
        executor.close();
        assert_eq!(std::fs::read_dir(disk.0.path()).unwrap().count(), 0);
    }
}

#[test]
fn a_folder_that_cannot_be_used_is_refused_at_once() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let spill_dir = Some(file.path().to_owned());
    let error = Local::new(LocalOptions { spill_dir, ..options(LocalKind::Threads) }).err().unwrap();
    assert!(error.to_string().contains(file.path().to_str().unwrap()), "{error}");
    assert!(error.hint().unwrap().contains("temporary-directory"));
    assert_ne!(error.kind(), ErrorKind::Lost);
}

#[test]
fn held_results_beyond_the_limit_are_read_back_and_released() {
    let folder = tempfile::tempdir().unwrap();
    let spill_dir = Some(folder.path().to_owned());
    let executor =
        Local::new(LocalOptions { memory_limit: Some(LIMIT), spill_dir, ..options(LocalKind::Threads) }).unwrap();
    let mut graph = Graph::new();
    let make = Make { len: BLOCK, user_code: false, known: true };
    graph.outputs = graph.blocks(Key::named("held"), Arc::new(make), N_BLOCKS as usize, |_, _| {});
    let futures = executor.submit(graph).unwrap();
    for future in &futures {
        future.result(None).unwrap();
    }
    eventually("some results are on disk", || n_files(folder.path()) > N_BLOCKS as usize / 2);
    for (block, future) in futures.iter().enumerate() {
        let value = future.result(None).unwrap();
        assert_eq!(value.expect::<Block>().unwrap().0[..], vec![block as u8; BLOCK][..]);
    }
    drop(futures);
    eventually("everything is freed", || executor.counts() == (0, 0));
    eventually("all files but the lock are deleted", || n_files(folder.path()) == 1);
}

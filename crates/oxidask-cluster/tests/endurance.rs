//! What lasts: exchanges whose workers die at any moment, thousands of failures,
//! many clusters one after another, locks of the dead. Nothing may be lost, changed
//! or left behind.
#![allow(clippy::unwrap_used, reason = "tests may take results apart, in their helpers too")]

mod common;

use common::{Block, Fail, Number, eventually, kill, never, number, options, sum_graph};
use oxidask_cluster::coordination::Ask;
use oxidask_cluster::{LocalCluster, LocalClusterOptions};
use oxidask_core::graph::{Annotations, Stage};
use oxidask_core::{ErrorKind, Executor, Graph, Input, Key, KeyHasher, Op, Parts, Result, Value, config};
use oxidask_macros::op;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Not a test: what other processes of the tests run.
#[test]
fn serve_as_other_process() {
    common::serve();
}

/// The bytes that block `from` of an exchange sends to block `to`.
fn piece(from: u64, to: u64, bytes: usize) -> Vec<u8> {
    let mut state = from.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ to.wrapping_mul(0xD1B5_4A32_D192_ED03) ^ 1;
    (0..bytes)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 56) as u8
        })
        .collect()
}

fn checksum(sum: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(sum, |sum, &byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte)))
}

/// Splits a block into the parts of an exchange.
#[op("test.split")]
#[derive(Serialize, Deserialize)]
struct Split {
    width: u64,
    bytes: usize,
    in_child: bool,
}

impl Op for Split {
    fn run(&self, block: u64, _inputs: &[Value]) -> Result<Value> {
        let part = |to| Value::new(Block(piece(block, to, self.bytes).into()));
        Ok(Value::new(Parts((0..self.width).map(part).collect())))
    }

    fn runs_user_code(&self) -> bool {
        self.in_child
    }
}

/// Joins the parts that one block of an exchange receives: their checksum.
#[op("test.join")]
#[derive(Serialize, Deserialize)]
struct Join {
    in_child: bool,
}

impl Op for Join {
    fn run(&self, _block: u64, inputs: &[Value]) -> Result<Value> {
        let mut sum = 0;
        for input in inputs {
            sum = checksum(sum, &input.expect::<Block>()?.0);
        }
        Ok(Value::new(Number(sum as i64)))
    }

    fn runs_user_code(&self) -> bool {
        self.in_child
    }
}

fn exchange(name: &str, width: u64, bytes: usize, in_child: bool) -> (Graph, Vec<i64>) {
    let mut graph = Graph::new();
    let key = KeyHasher::new("test.exchange").key(Key::named(name)).finish();
    let split = graph.blocks(key, Arc::new(Split { width, bytes, in_child }), width as usize, |_, _| {});
    let split: Vec<Input> = split.to_vec();
    let key = KeyHasher::new("test.joined").key(key).finish();
    graph.outputs = graph.blocks(key, Arc::new(Join { in_child }), width as usize, |to, inputs| {
        inputs.extend(split.iter().map(|from| Input::part(from.task, to as u32)));
    });
    let expected = |to| (0..width).fold(0, |sum, from| checksum(sum, &piece(from, to, bytes))) as i64;
    (graph, (0..width).map(expected).collect())
}

/// The processes whose parent is `pid`.
fn children_of(pid: u32) -> Vec<u32> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let of_threads = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok());
    let mut found: Vec<u32> = of_threads
        .chain([text])
        .flat_map(|text| text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<u32>>())
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// Runs an exchange; kills what `victims` names, once after each of `delays`.
fn exchange_under_fire(in_child: bool, delays: &[u64], victims: impl Fn(&LocalCluster) -> Vec<u32>) {
    // The results are larger than the limit, so that some lie in spill files.
    let cluster = LocalCluster::start(LocalClusterOptions { memory_limit: 16 << 20, ..options(2) }).unwrap();
    let client = cluster.client().unwrap();
    for (round, &delay) in delays.iter().enumerate() {
        let (graph, expected) = exchange(&format!("round {round}"), 24, 60_000, in_child);
        let futures = client.submit(graph).unwrap();
        std::thread::sleep(Duration::from_millis(delay));
        victims(&cluster).into_iter().for_each(kill);
        let keys: Vec<Key> = futures.iter().map(oxidask_core::Future::key).collect();
        let values = client.gather(&keys, &never).unwrap();
        assert_eq!(values.iter().map(number).collect::<Vec<_>>(), expected, "killed after {delay} ms");
        eventually("the worker is replaced", || cluster.info().workers.len() == 2);
    }
}

#[test]
fn an_exchange_survives_the_death_of_a_worker_at_any_moment() {
    exchange_under_fire(false, &[1, 15, 40, 80, 130, 200], |cluster| {
        cluster.worker_pids().first().map(|(_, pid)| *pid).into_iter().collect()
    });
}

#[test]
fn an_exchange_survives_the_death_of_its_executors_at_any_moment() {
    exchange_under_fire(true, &[30, 120, 250], |cluster| {
        cluster.worker_pids().into_iter().flat_map(|(_, pid)| children_of(pid)).take(1).collect()
    });
}

#[test]
fn an_exchange_larger_than_memory_stays_within_the_limit() {
    const LIMIT: u64 = 48 << 20;
    // Threads, stacks and what an allocator keeps.
    const SLACK: u64 = 64 << 20;
    let cluster = LocalCluster::start(LocalClusterOptions { memory_limit: LIMIT, ..options(2) }).unwrap();
    let client = cluster.client().unwrap();
    let used = || {
        cluster
            .info()
            .workers
            .iter()
            .map(|worker| (worker.metrics.resident, worker.metrics.process))
            .collect::<Vec<_>>()
    };
    eventually("workers told their size", || used().iter().all(|&(_, process)| process > 0));
    let idle: Vec<u64> = used().into_iter().map(|(_, process)| process).collect();
    // Three times the limit of both workers together.
    let width = 48;
    let (graph, expected) = exchange("large", width, (6 * LIMIT / (width * width)) as usize, false);
    let futures = client.submit(graph).unwrap();
    let keys: Vec<Key> = futures.iter().map(oxidask_core::Future::key).collect();
    let (mut resident, mut process) = (0, 0);
    while !client.wait(&keys, false, Some(Duration::from_millis(20)), &never).unwrap() {
        for ((now, total), idle) in used().into_iter().zip(&idle) {
            resident = resident.max(now);
            process = process.max(total.saturating_sub(*idle));
        }
    }
    let values = client.gather(&keys, &never).unwrap();
    assert_eq!(values.iter().map(number).collect::<Vec<_>>(), expected);
    assert!(resident <= LIMIT + LIMIT / 10, "{resident} bytes of results");
    assert!(process <= LIMIT + LIMIT / 10 + SLACK, "{process} bytes of memory");
}

#[test]
fn ten_thousand_failures_are_told_one_by_one_and_leave_nothing_behind() {
    let cluster = LocalCluster::start(options(2)).unwrap();
    let client = cluster.client().unwrap();
    let mut graph = Graph::new();
    graph.outputs = graph.blocks(Key::named("failing"), Arc::new(Fail { exits: false }), 10_000, |_, _| {});
    let futures = client.submit(graph).unwrap();
    let keys: Vec<Key> = futures.iter().map(oxidask_core::Future::key).collect();
    assert!(client.wait(&keys, false, Some(Duration::from_secs(120)), &never).unwrap());
    for future in &futures {
        let error = future.result(Some(Duration::from_secs(10))).unwrap_err();
        assert!(error.kind() == ErrorKind::Value && error.message().contains("cannot work"), "{error}");
    }
    drop(futures);
    let (graph, expected) = sum_graph(1, 64, 0);
    assert_eq!(number(&client.compute(graph, &never).unwrap()[0]), expected);
    eventually("everything is forgotten", || cluster.info().n_unfinished == 0);
}

fn n_open_files() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

fn memory_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.trim().trim_end_matches("kB").trim().parse::<u64>().unwrap() << 10
}

/// `OXIDASK_TEST_CYCLES` says how many clusters; a few by default.
#[test]
fn clusters_one_after_another_leave_nothing_behind() {
    let n_cycles: u64 = std::env::var("OXIDASK_TEST_CYCLES").ok().and_then(|text| text.parse().ok()).unwrap_or(12);
    let cycle = |number_of: u64| {
        // Every fourth has processes for workers, which takes longer.
        let options = if number_of.is_multiple_of(4) { options(1) } else { LocalClusterOptions::in_process(2) };
        let cluster = LocalCluster::start(options).unwrap();
        let client = cluster.client().unwrap();
        let (graph, expected) = sum_graph(number_of, 16, 0);
        assert_eq!(number(&client.compute(graph, &never).unwrap()[0]), expected);
        let pids = cluster.worker_pids();
        let folder = cluster.folder().to_owned();
        drop(client);
        cluster.close();
        assert!(!folder.exists());
        eventually("its processes are gone", || !pids.iter().any(|(_, pid)| common::is_alive(*pid)));
    };
    // What is made once is made by then.
    (0..4).for_each(cycle);
    let (files, memory) = (n_open_files(), memory_bytes());
    (4..4 + n_cycles).for_each(cycle);
    // Other tests of this program run beside this one.
    eventually("files are closed", || n_open_files() <= files + 64);
    let grown = memory_bytes().saturating_sub(memory);
    assert!(grown < (64 << 20) + n_cycles * 4096, "{n_cycles} clusters took {grown} bytes");
}

#[test]
fn what_a_client_locked_is_free_soon_after_it_vanished_and_its_results_stay() {
    config::set("distributed.scheduler.locks.lease-timeout", Some("300ms")).unwrap();
    let cluster = LocalCluster::start(LocalClusterOptions::in_process(1)).unwrap();
    config::set("distributed.scheduler.locks.lease-timeout", None).unwrap();
    let holder = cluster.client().unwrap();
    let other = cluster.client().unwrap();
    let lock =
        |lease: &str| Ask::Acquire { names: vec!["printer".to_owned()], n: 1, lease: Key::named(lease), is_lock: true };
    let patience = |seconds| Some(Duration::from_secs(seconds));
    assert!(holder.coordinate(lock("first"), patience(10), &never).unwrap().is_some());
    let _kept = holder.scatter(&[(Key::named("kept"), Value::new(Number(1)))], &[], false).unwrap();
    assert!(other.coordinate(lock("second"), Some(Duration::from_millis(500)), &never).unwrap().is_none());
    holder.vanish();
    assert!(other.coordinate(lock("third"), patience(10), &never).unwrap().is_some());
    let known = other.want(&[Key::named("kept")]).unwrap();
    assert_eq!(number(&known[0].result(patience(10)).unwrap()), 1);
}

#[test]
fn wishes_that_no_worker_can_meet_are_refused_at_once() {
    let resources = vec![("DISK".to_owned(), 2.0)];
    let cluster = LocalCluster::start(LocalClusterOptions { resources, ..LocalClusterOptions::in_process(1) }).unwrap();
    let client = cluster.client().unwrap();
    let submit = |name: &str, wishes: Annotations| {
        let mut graph = Graph::new();
        let op = Arc::new(common::Add { sleep_ms: 0 });
        let stage = graph.stage_with(Stage { op, label: Arc::from(name), annotations: Some(Arc::new(wishes)) });
        graph.outputs = vec![Input::whole(graph.task(Key::named(name), stage, 7, &[]))];
        client.submit(graph).unwrap().remove(0)
    };
    let wish = |workers: &[&str], resource: &str, amount: f64| Annotations {
        workers: workers.iter().map(ToString::to_string).collect(),
        resources: [(resource.to_owned(), amount)].into(),
        ..Annotations::default()
    };
    let patience = Some(Duration::from_secs(10));
    let error = submit("gpu", wish(&["0"], "GPU", 1.0)).result(patience).unwrap_err();
    assert!(error.message().contains("'GPU'") && error.message().contains("'0'"), "{error}");
    let error = submit("disk", wish(&["0"], "DISK", 3.0)).result(patience).unwrap_err();
    assert!(error.message().contains("'DISK'"), "{error}");
    let error = submit("negative", wish(&[], "DISK", -1.0)).result(patience).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Value);
    assert_eq!(number(&submit("fits", wish(&["0"], "DISK", 2.0)).result(patience).unwrap()), 7);
    // Somebody who has it may still come.
    let waiting = submit("later", wish(&[], "GPU", 1.0));
    assert_eq!(waiting.result(Some(Duration::from_millis(50))).unwrap_err().kind(), ErrorKind::Timeout);
    let question = oxidask_cluster::protocol::Question::Explain(Key::named("later"));
    let started = Instant::now();
    let Ok(oxidask_cluster::protocol::Answer::Text(why)) = client.ask(question, Duration::from_secs(10)) else {
        panic!("no answer after {:?}", started.elapsed())
    };
    assert!(why.contains("GPU"), "{why}");
}

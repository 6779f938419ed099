//! A scheduler that is killed and goes on with its journal, which stays short.
#![allow(clippy::unwrap_used, reason = "tests may take results apart, in their helpers too")]

mod common;

use common::parts::{LONG, Parts, counted_graph};
use common::{SchedulerChild, eventually, n_lines, never, number, signal, sum_graph};
use oxidask_cluster::Secret;
use oxidask_cluster::coordination::{Ask, Item, Told};
use oxidask_cluster::deploy::SchedulerFile;
use oxidask_cluster::protocol::{Answer, Question};
use oxidask_core::{Executor, Future, Graph, Key, Value};
use rustix::process::Signal;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Not a test: what other processes of the tests run.
#[test]
fn serve_as_other_process() {
    common::serve();
}

#[test]
fn a_killed_scheduler_with_a_journal_goes_on() {
    for address in ["tcp://127.0.0.1:0", "tls://[::1]:0"] {
        let mut parts = Parts::start(address, true);
        let _workers = parts.workers(2);
        let client = parts.client();
        let (early, late) = (parts.folder.path().join("early"), parts.folder.path().join("late"));
        let (graph, first) = counted_graph(&early, 10, 0);
        let done = client.submit(graph).unwrap();
        assert_eq!(number(&done[0].result(LONG).unwrap()), first);
        let scattered = client.scatter(&[(Key::named("brought"), Value::new(common::Number(5)))], &[], false).unwrap();
        let (graph, second) = counted_graph(&late, 60, 20);
        let running = client.submit(graph).unwrap();
        for n_done in [5, 30] {
            eventually("some tasks ran", || n_lines(&late) >= n_done);
            parts.restart();
        }
        // What was submitted while there was no scheduler is done by the next one.
        let (third, expected) = sum_graph(7, 50, 0);
        let more = client.submit(third).unwrap();
        assert_eq!(number(&running[0].result(LONG).unwrap()), second);
        assert_eq!(number(&more[0].result(LONG).unwrap()), expected);
        assert_eq!(number(&done[0].result(LONG).unwrap()), first);
        assert_eq!(number(&scattered[0].result(LONG).unwrap()), 5);
        assert_eq!((n_lines(&early), n_lines(&late)), (11, 61), "nothing was computed twice");
        drop((done, running, scattered, more));
        // The journal is not for others, and the secret in it neither.
        use std::os::unix::fs::PermissionsExt as _;
        for name in ["journal", "secret"] {
            let path = parts.folder.path().join("journal").join(name);
            assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }
}

#[test]
fn a_journal_stays_short_whenever_the_scheduler_is_killed() {
    let (mut parts, start) = with_short_journal("20kB");
    let journal = parts.folder.path().join("journal");
    let _workers = parts.workers(2);
    let client = parts.client();
    let size = || std::fs::metadata(journal.join("journal")).map_or(0, |metadata| metadata.len());
    let ask = |ask| client.coordinate(ask, LONG, &never).unwrap().unwrap().1;
    for round in 0..12_u64 {
        let item = |number: u64| Item { body: number.to_le_bytes().to_vec().into(), keys: Vec::new() };
        ask(Ask::Put { queue: "rounds".to_owned(), item: item(round) });
        let (graph, expected) = sum_graph(round, 3000, 0);
        assert_eq!(number(&client.compute(graph, &never).unwrap()[0]), expected);
        // Whatever it is doing then; making the journal short, now and then.
        std::thread::sleep(Duration::from_millis(60 * (round % 5)));
        if round % 3 == 2 {
            parts.scheduler.kill();
            parts.scheduler = start();
        }
        // What clients share was in the snapshot.
        assert_eq!(ask(Ask::Length("rounds".to_owned())), Told::Count(round + 1));
    }
    // One round alone took more.
    eventually("the journal is short", || size() < 21_000);
}

/// A cluster with a journal that is soon too long, and how to start its scheduler
/// again.
fn with_short_journal(limit: &'static str) -> (Parts, impl Fn() -> SchedulerChild) {
    let folder = tempfile::tempdir().unwrap();
    let (file, journal) = (folder.path().join("scheduler.json"), folder.path().join("journal"));
    let address = format!("unix://{}", folder.path().join("socket").display());
    let at = address.clone();
    let start = move || {
        let limit = [("OXIDASK_DISTRIBUTED__SCHEDULER__JOURNAL_LIMIT", limit)];
        SchedulerChild::start_with(&at, &file, Some(&journal), &limit)
    };
    let scheduler = start();
    let file = folder.path().join("scheduler.json");
    eventually("the scheduler file is there", || SchedulerFile::read(&file).is_ok());
    let secret = Secret::from_hex(&SchedulerFile::read(&file).unwrap().secret).unwrap();
    (Parts { folder, scheduler, address, secret }, start)
}

#[test]
fn a_journal_stays_short_while_results_are_held() {
    let (mut parts, start) = with_short_journal("20kB");
    let workers = parts.workers(2);
    let client = parts.client();
    let journal = parts.folder.path().join("journal").join("journal");
    let size = || std::fs::metadata(&journal).map_or(0, |metadata| metadata.len());
    // What is held: results, what one of them was made from, a value that cannot be
    // computed again, a failure.
    let file = parts.folder.path().join("count");
    let (graph, expected) = counted_graph(&file, 20, 0);
    let held = client.submit(graph).unwrap();
    assert_eq!(number(&held[0].result(LONG).unwrap()), expected);
    let scattered = client.scatter(&[(Key::named("brought"), Value::new(common::Number(5)))], &[], true).unwrap();
    assert_eq!(number(&scattered[0].result(LONG).unwrap()), 5);
    let mut graph = Graph::new();
    graph.outputs = graph.blocks(Key::named("fails"), Arc::new(common::Fail { exits: false }), 1, |_, _| {}).to_vec();
    let failed = client.submit(graph).unwrap();
    let told = failed[0].result(LONG).unwrap_err().to_string();
    for round in 0..9_u64 {
        let (graph, expected) = sum_graph(round, 3000, 0);
        assert_eq!(number(&client.compute(graph, &never).unwrap()[0]), expected);
        // The limit, and what is held with what members have not acknowledged yet.
        eventually("the journal is short", || size() < 40_000);
        if round % 3 == 2 {
            parts.scheduler.kill();
            parts.scheduler = start();
        }
        assert_eq!(number(&held[0].result(LONG).unwrap()), expected_sum(20));
    }
    assert_eq!(number(&scattered[0].result(LONG).unwrap()), 5);
    assert_eq!(failed[0].result(LONG).unwrap_err().to_string(), told);
    // The same work is known, and not done again.
    let (graph, expected) = counted_graph(&file, 20, 0);
    assert_eq!(number(&client.compute(graph, &never).unwrap()[0]), expected);
    assert_eq!(n_lines(&file), 21, "nothing was computed twice");
    // What is lost after all is made again from what was written down.
    signal(workers.pids()[0], Signal::KILL);
    signal(workers.pids()[1], Signal::KILL);
    eventually("the result was made again", || n_lines(&file) >= 42);
    assert_eq!(number(&held[0].result(LONG).unwrap()), expected);
    // Nothing is kept for those who do not hold it any more.
    drop((held, scattered, failed));
    eventually("all is forgotten", || {
        let known = client.ask(Question::Explain(Key::named("brought")), LONG.unwrap()).unwrap();
        matches!(known, Answer::Text(text) if text.contains("does not know"))
    });
}

fn expected_sum(width: i64) -> i64 {
    (0..width).sum()
}

#[test]
fn a_scheduler_killed_while_it_makes_its_journal_short_goes_on() {
    let (mut parts, start) = with_short_journal("1MB");
    let _workers = parts.workers(2);
    let client = parts.client();
    let fresh = parts.folder.path().join("journal").join("journal.new");
    // Much is held, so that writing it down takes a while.
    let mut graph = Graph::new();
    graph.outputs = graph.blocks(Key::named("much"), Arc::new(common::Add { sleep_ms: 0 }), 30_000, |_, _| {}).to_vec();
    let held = client.submit(graph).unwrap();
    let keys: Vec<Key> = held.iter().map(Future::key).collect();
    assert!(client.wait(&keys, false, LONG, &never).unwrap());
    for round in 0..6_u64 {
        let (graph, expected) = sum_graph(round, 20_000, 0);
        let running = client.submit(graph).unwrap();
        // It is caught at it, or killed at some other moment.
        let deadline = Instant::now() + Duration::from_millis(1500);
        while !fresh.exists() && Instant::now() < deadline {
            std::hint::spin_loop();
        }
        parts.scheduler.kill();
        parts.scheduler = start();
        assert_eq!(number(&running[0].result(LONG).unwrap()), expected);
    }
    for (block, future) in held.iter().enumerate().step_by(997) {
        assert_eq!(number(&future.result(LONG).unwrap()), block as i64);
    }
    let Answer::WhoHas(holders) = client.ask(Question::WhoHas(keys), LONG.unwrap()).unwrap() else { panic!() };
    assert!(holders.iter().all(|holders| holders.len() == 1));
}

#[test]
fn a_worker_that_died_with_the_scheduler_is_replaced() {
    let mut parts = Parts::start("tcp://127.0.0.1:0", true);
    let workers = parts.workers(2);
    let client = parts.client();
    let file = parts.folder.path().join("count");
    let (graph, expected) = counted_graph(&file, 40, 20);
    let futures = client.submit(graph).unwrap();
    eventually("some tasks ran", || n_lines(&file) >= 10);
    parts.scheduler.kill();
    signal(workers.pids()[0], Signal::KILL);
    parts.restart_killed();
    assert_eq!(number(&futures[0].result(LONG).unwrap()), expected);
    assert!(n_lines(&file) < 81, "what the other worker holds was not computed again");
}

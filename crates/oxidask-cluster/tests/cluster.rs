//! Clusters of real processes: this test program serves as worker and child.
#![allow(clippy::unwrap_used, reason = "tests may take results apart, in their helpers too")]

use oxidask_cluster::client::ClientOptions;
use oxidask_cluster::protocol::{Answer, Build, Question};
use oxidask_cluster::{Client, LocalCluster, LocalClusterOptions, ProcessCommand, Secret};
use oxidask_core::{ErrorKind, Executor, Graph, Input, Key, Value};
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

mod common;

use common::{Add, Block, Fail, Fill, Number, eventually, is_alive, kill, never, number, options, sum_graph};

/// Not a test: what other processes of the tests run.
#[test]
fn serve_as_other_process() {
    common::serve();
}

#[test]
fn a_graph_is_computed_and_nothing_is_left_behind() {
    for tcp in [false, true] {
        let cluster = LocalCluster::start(LocalClusterOptions { tcp, ..options(2) }).unwrap();
        let client = cluster.client().unwrap();
        let (graph, expected) = sum_graph(1, 200, 0);
        let values = client.compute(graph, &never).unwrap();
        assert_eq!(number(&values[0]), expected);
        assert_eq!(client.n_slots(), 2);
        let pids = cluster.worker_pids();
        assert_eq!(pids.len(), 2);
        let folder = cluster.folder().to_owned();
        assert!(folder.exists());
        cluster.close();
        assert!(pids.iter().all(|(_, pid)| !is_alive(*pid)), "workers live on");
        assert!(!folder.exists(), "the folder is still there");
        let error = client.submit(sum_graph(2, 8, 0).0).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Closed);
    }
}

#[test]
fn work_of_a_killed_worker_is_done_again() {
    let cluster = LocalCluster::start(options(2)).unwrap();
    let client = cluster.client().unwrap();
    let (graph, expected) = sum_graph(3, 300, 8);
    let futures = client.submit(graph).unwrap();
    eventually("both workers hold results", || {
        let Ok(Answer::HasWhat(held)) = client.ask(Question::HasWhat, Duration::from_secs(5)) else { return false };
        held.len() == 2 && held.iter().all(|(_, names)| names.len() > 1)
    });
    let (_, pid) = cluster.worker_pids()[0];
    kill(pid);
    let value = futures[0].result(Some(Duration::from_secs(30))).unwrap();
    assert_eq!(number(&value), expected);
    eventually("the worker is replaced", || cluster.info().workers.len() == 2);
    assert!(cluster.worker_pids().iter().all(|(_, other)| *other != pid));
}

#[test]
fn a_result_whose_holder_died_is_computed_again() {
    let cluster = LocalCluster::start(options(2)).unwrap();
    let client = cluster.client().unwrap();
    let mut graph = Graph::new();
    graph.outputs = graph.blocks(Key::named("held"), Arc::new(Fill), 8, |_, _| {});
    let futures = client.submit(graph).unwrap();
    for future in &futures {
        future.result(Some(Duration::from_secs(30))).unwrap();
    }
    for (_, pid) in cluster.worker_pids() {
        kill(pid);
    }
    for (idx, future) in futures.iter().enumerate() {
        let value = future.result(Some(Duration::from_secs(30))).unwrap();
        assert_eq!(value.expect::<Block>().unwrap().0[..], vec![idx as u8; 1_000_000]);
    }
}

#[test]
fn a_wrong_secret_is_refused() {
    let cluster = LocalCluster::start(options(1)).unwrap();
    let options = ClientOptions::new(cluster.address().clone(), Secret::random().unwrap());
    let error = Client::connect(options).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
    assert!(error.to_string().contains("secret"), "{error}");
}

#[test]
fn two_builds_that_differ_are_refused_by_name() {
    let cluster = LocalCluster::start(options(1)).unwrap();
    let mut options = ClientOptions::new(cluster.address().clone(), cluster.secret().clone());
    let ours = Build::current().fingerprint.to_string();
    options.build.fingerprint = Key::named("another build");
    let theirs = options.build.fingerprint.to_string();
    let error = Client::connect(options).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Version);
    assert!(error.message().contains(&ours[..8]) && error.message().contains(&theirs[..8]), "{error}");
}

#[test]
fn garbage_at_the_doors_hurts_nobody() {
    let cluster = LocalCluster::start(options(1)).unwrap();
    let client = cluster.client().unwrap();
    let doors = [cluster.folder().join("scheduler"), cluster.folder().join("worker-0")];
    let mut silent = Vec::new();
    for door in &doors {
        for garbage in
            [&b"GET / HTTP/1.1\r\nHost: x\r\nAccept: */*\r\nUser-Agent: y\r\n\r\n"[..], &[0xff; 4096], b"OXIDASK\n"]
        {
            let mut stream = UnixStream::connect(door).unwrap();
            // The other side may close before everything is written.
            let _ = stream.write_all(garbage);
            if garbage.len() > 42 {
                stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
                let mut answer = Vec::new();
                let closed = stream.read_to_end(&mut answer);
                assert!(answer.is_empty(), "garbage is not answered");
                assert!(closed.is_ok() || closed.is_err_and(|error| error.kind() != std::io::ErrorKind::WouldBlock));
            } else {
                silent.push(stream);
            }
        }
    }
    let (graph, expected) = sum_graph(4, 50, 0);
    assert_eq!(number(&client.compute(graph, &never).unwrap()[0]), expected);
    for mut stream in silent {
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
    }
}

#[test]
fn results_beyond_the_memory_limit_are_spilled() {
    let cluster = LocalCluster::start(LocalClusterOptions { memory_limit: 10_000_000, ..options(1) }).unwrap();
    let client = cluster.client().unwrap();
    let mut graph = Graph::new();
    graph.outputs = graph.blocks(Key::named("spilled"), Arc::new(Fill), 40, |_, _| {});
    let futures = client.submit(graph).unwrap();
    let keys: Vec<Key> = futures.iter().map(oxidask_core::Future::key).collect();
    assert!(client.wait(&keys, false, Some(Duration::from_secs(60)), &never).unwrap());
    eventually("the ledger says so", || {
        let metrics = cluster.info().workers[0].metrics;
        metrics.spilled > 20_000_000 && metrics.resident <= 10_000_000
    });
    for (idx, value) in client.gather(&keys, &never).unwrap().iter().enumerate() {
        assert_eq!(value.expect::<Block>().unwrap().0[..], vec![idx as u8; 1_000_000]);
    }
    drop(futures);
    eventually("all is dropped", || {
        let metrics = cluster.info().workers[0].metrics;
        metrics.spilled == 0 && metrics.resident == 0
    });
}

#[test]
fn errors_arrive_as_they_were_raised() {
    let cluster = LocalCluster::start(options(1)).unwrap();
    let client = cluster.client().unwrap();
    let mut graph = Graph::new();
    let failing = graph.blocks(Key::named("failing"), Arc::new(Fail { exits: false }), 1, |_, _| {});
    graph.outputs = graph.blocks(Key::named("after"), Arc::new(Add { sleep_ms: 0 }), 1, |_, inputs| {
        inputs.extend_from_slice(&failing);
    });
    let error = client.compute(graph, &never).unwrap_err();
    assert_eq!(
        (error.kind(), error.message(), error.hint()),
        (ErrorKind::Value, "this cannot work", Some("try something else"))
    );
}

#[test]
fn a_task_that_kills_its_process_is_given_up_and_the_worker_lives() {
    let cluster = LocalCluster::start(options(1)).unwrap();
    let client = cluster.client().unwrap();
    let pids = cluster.worker_pids();
    let mut graph = Graph::new();
    graph.outputs = graph.blocks(Key::named("exiting"), Arc::new(Fail { exits: true }), 1, |_, _| {});
    let error = client.compute(graph, &never).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Lost, "{error}");
    assert_eq!(cluster.worker_pids(), pids, "the agent itself was not harmed");
}

#[test]
fn scattered_values_serve_as_inputs() {
    let cluster = LocalCluster::start(options(2)).unwrap();
    let client = cluster.client().unwrap();
    let values: Vec<(Key, Value)> =
        (0..6_i64).map(|idx| (Key::named(&format!("scattered {idx}")), Value::new(Number(idx)))).collect();
    let spread = client.scatter(&values, &[], false).unwrap();
    let everywhere = client.scatter(&[(Key::named("everywhere"), Value::new(Number(100)))], &[], true).unwrap();
    let mut graph = Graph::new();
    let held: Vec<Input> =
        spread.iter().chain(&everywhere).map(|future| Input::whole(graph.held(future.key()))).collect();
    graph.outputs = graph.blocks(Key::named("of scattered"), Arc::new(Add { sleep_ms: 0 }), 1, |_, inputs| {
        inputs.extend_from_slice(&held);
    });
    assert_eq!(number(&client.compute(graph, &never).unwrap()[0]), 115);
    let gathered = client.gather(&values.iter().map(|(key, _)| *key).collect::<Vec<_>>(), &never).unwrap();
    assert_eq!(gathered.iter().map(number).collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5]);
    eventually("a broadcast value is on both workers", || {
        let question = Question::WhoHas(vec![Key::named("everywhere")]);
        matches!(client.ask(question, Duration::from_secs(5)), Ok(Answer::WhoHas(who)) if who[0].len() == 2)
    });
    let error = client.scatter(&values, &["nobody".to_owned()], false).unwrap()[0].result(None);
    assert!(error.is_err() || number(&error.unwrap()) == 0, "the value is held already");
    let fresh = [(Key::named("fresh"), Value::new(Number(1)))];
    let error = client.scatter(&fresh, &["nobody".to_owned()], false).unwrap()[0].result(None).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Missing);
}

#[test]
fn constants_of_a_graph_survive_a_worker() {
    let cluster = LocalCluster::start(options(2)).unwrap();
    let client = cluster.client().unwrap();
    let mut graph = Graph::new();
    let constants: Vec<Input> = (0..20_i64)
        .map(|idx| Input::whole(graph.data(Key::named(&format!("constant {idx}")), Value::new(Number(idx)))))
        .collect();
    let slow = graph.blocks(Key::named("slow"), Arc::new(Add { sleep_ms: 20 }), 20, |idx, inputs| {
        inputs.push(constants[idx]);
    });
    graph.outputs = graph.blocks(Key::named("slow total"), Arc::new(Add { sleep_ms: 0 }), 1, |_, inputs| {
        inputs.extend_from_slice(&slow);
    });
    let futures = client.submit(graph).unwrap();
    kill(cluster.worker_pids()[0].1);
    assert_eq!(number(&futures[0].result(Some(Duration::from_secs(30))).unwrap()), 2 * (0..20).sum::<i64>());
}

#[test]
fn a_leaving_worker_leaves_its_results_behind() {
    let cluster = LocalCluster::start(options(2)).unwrap();
    let client = cluster.client().unwrap();
    let values: Vec<(Key, Value)> =
        (0..10_i64).map(|idx| (Key::named(&format!("kept {idx}")), Value::new(Number(idx)))).collect();
    let futures = client.scatter(&values, &[], false).unwrap();
    let keys: Vec<Key> = futures.iter().map(oxidask_core::Future::key).collect();
    assert!(client.wait(&keys, false, Some(Duration::from_secs(10)), &never).unwrap());
    cluster.scale(1).unwrap();
    eventually("one worker is left", || cluster.info().workers.len() == 1 && cluster.worker_pids().len() == 1);
    let gathered = client.gather(&keys, &never).unwrap();
    assert_eq!(gathered.iter().map(number).sum::<i64>(), 45);
}

#[test]
fn a_worker_program_that_does_not_start_is_named() {
    let command = ProcessCommand { program: "/bin/false".into(), args: Vec::new(), env: Vec::new() };
    let error = LocalCluster::start(LocalClusterOptions::new(1, command)).unwrap_err();
    assert!(error.message().contains("status 1"), "{error}");
    let command = ProcessCommand { program: "/no/such/program".into(), args: Vec::new(), env: Vec::new() };
    let error = LocalCluster::start(LocalClusterOptions::new(1, command)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.message().contains("/no/such/program"), "{error}");
}

/// What a monitor is answered.
fn http_get(address: std::net::SocketAddr, request: &str) -> String {
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    // The other side may answer before it has read everything.
    let _ = stream.write_all(request.as_bytes());
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    answer
}

#[test]
fn monitors_are_told_and_change_nothing() {
    let cluster = LocalCluster::start(LocalClusterOptions {
        http: Some("127.0.0.1:0".to_owned()),
        resources: vec![("GPU".to_owned(), 2.0)],
        ..options(2)
    })
    .unwrap();
    let client = cluster.client().unwrap();
    let mut graph = Graph::new();
    graph.outputs = graph.blocks(Key::named("shown"), Arc::new(Fill), 5, |_, _| {});
    let futures = client.submit(graph).unwrap();
    let keys: Vec<Key> = futures.iter().map(oxidask_core::Future::key).collect();
    assert!(client.wait(&keys, false, Some(Duration::from_secs(30)), &never).unwrap());
    let address = cluster.http_address().unwrap();
    let get = |path: &str| http_get(address, &format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n"));
    assert!(get("/health").starts_with("HTTP/1.1 200 OK\r\n"));
    let metrics = get("/metrics?x=1");
    assert!(metrics.contains("oxidask_scheduler_tasks{state=\"memory\"} 5\n"), "{metrics}");
    assert!(metrics.contains("oxidask_scheduler_workers{state=\"running\"} 2\n"), "{metrics}");
    // Every line is a comment or a name, perhaps labels, and a number.
    for line in metrics.split("\r\n\r\n").nth(1).unwrap().lines().filter(|line| !line.starts_with('#')) {
        let (name, value) = line.rsplit_once(' ').unwrap();
        assert!(name.starts_with("oxidask_") && value.parse::<f64>().is_ok(), "{line}");
    }
    let json = |path: &str| -> serde_json::Value {
        let page = get(path);
        serde_json::from_str(page.split("\r\n\r\n").nth(1).unwrap()).unwrap()
    };
    assert_eq!(json("/json/counts.json")["memory"], 5);
    let identity = json("/json/identity.json");
    assert_eq!(identity["workers"].as_object().unwrap().len(), 2);
    assert!(!identity.to_string().contains(&cluster.secret().to_hex()));
    let Ok(Answer::Text(told)) = client.ask(Question::Identity, Duration::from_secs(10)) else { panic!() };
    assert_eq!(serde_json::from_str::<serde_json::Value>(&told).unwrap()["address"], identity["address"]);
    assert!(get("/nowhere").starts_with("HTTP/1.1 404 "));
    assert!(http_get(address, "POST /health HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 405 "));
    assert!(http_get(address, "nonsense\r\n\r\n").starts_with("HTTP/1.1 400 "));
    let long = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(20_000));
    assert!(!http_get(address, &long).starts_with("HTTP/1.1 200"));
}

#[test]
fn a_restart_cancels_everything_and_makes_new_workers() {
    let cluster = LocalCluster::start(options(2)).unwrap();
    let client = cluster.client().unwrap();
    let mut graph = Graph::new();
    graph.outputs = graph.blocks(Key::named("held before"), Arc::new(Fill), 3, |_, _| {});
    let futures = client.submit(graph).unwrap();
    let keys: Vec<Key> = futures.iter().map(oxidask_core::Future::key).collect();
    assert!(client.wait(&keys, false, Some(Duration::from_secs(30)), &never).unwrap());
    let Ok(Answer::Sizes(sizes)) = client.ask(Question::Sizes, Duration::from_secs(10)) else { panic!() };
    assert_eq!(sizes.iter().map(|(_, bytes)| *bytes).collect::<Vec<_>>(), [1_000_000; 3]);
    let before = cluster.worker_pids();
    let Ok(Answer::Retired(mut names)) = client.ask(Question::Restart(Vec::new()), Duration::from_secs(30)) else {
        panic!()
    };
    names.sort_unstable();
    assert_eq!(names, ["0", "1"]);
    eventually("there are new workers", || cluster.info().workers.len() == 2);
    assert!(cluster.worker_pids().iter().all(|(_, pid)| before.iter().all(|(_, old)| old != pid)));
    assert_eq!(futures[0].result(None).unwrap_err().kind(), ErrorKind::Cancelled);
    let (graph, expected) = sum_graph(31, 50, 0);
    assert_eq!(number(&client.compute(graph, &never).unwrap()[0]), expected);
}

#[test]
fn a_worker_that_takes_too_much_memory_is_replaced() {
    let cluster = LocalCluster::start(LocalClusterOptions { memory_limit: 1_000_000, ..options(1) }).unwrap();
    let client = cluster.client().unwrap();
    let pids = cluster.worker_pids();
    let mut graph = Graph::new();
    graph.outputs = graph.blocks(Key::named("eater"), Arc::new(common::Eat { bytes: 400_000_000 }), 1, |_, _| {});
    let error = client.compute(graph, &never).unwrap_err();
    // After as many attempts as are allowed.
    assert_eq!(error.kind(), ErrorKind::Lost, "{error}");
    eventually("the worker is replaced", || cluster.worker_pids().len() == 1 && cluster.worker_pids() != pids);
    let (graph, expected) = sum_graph(32, 50, 0);
    assert_eq!(number(&client.compute(graph, &never).unwrap()[0]), expected);
}

#[test]
fn an_adaptive_cluster_follows_its_load() {
    let cluster = LocalCluster::start(options(0)).unwrap();
    let client = cluster.client().unwrap();
    let mut adaptive = oxidask_cluster::deploy::Adaptive::new(0, 3, 2, Duration::from_millis(10)).unwrap();
    assert_eq!(cluster.adapt(&mut adaptive).unwrap(), None);
    let (graph, expected) = sum_graph(41, 60, 20);
    let futures = client.submit(graph).unwrap();
    eventually("tasks are queued", || cluster.adapt(&mut adaptive).unwrap() == Some(3));
    assert_eq!(number(&futures[0].result(Some(Duration::from_secs(30))).unwrap()), expected);
    drop(futures);
    eventually("the workers leave", || {
        cluster.adapt(&mut adaptive).unwrap();
        cluster.info().workers.is_empty()
    });
}

#[test]
fn results_are_copied_to_as_many_workers_as_asked_for() {
    let cluster = LocalCluster::start(options(3)).unwrap();
    let client = cluster.client().unwrap();
    let mut graph = Graph::new();
    graph.outputs = graph.blocks(Key::named("replicated"), Arc::new(Fill), 2, |_, _| {});
    let futures = client.submit(graph).unwrap();
    let keys: Vec<Key> = futures.iter().map(oxidask_core::Future::key).collect();
    assert!(client.wait(&keys, false, Some(Duration::from_secs(30)), &never).unwrap());
    let question = Question::Replicate { keys: keys.clone(), n: 3, workers: Vec::new() };
    assert!(matches!(client.ask(question, Duration::from_secs(10)), Ok(Answer::Ordered)));
    eventually("every worker has a copy", || {
        let question = Question::WhoHas(keys.clone());
        let Ok(Answer::WhoHas(who)) = client.ask(question, Duration::from_secs(10)) else { panic!() };
        who.iter().all(|holders| holders.len() == 3)
    });
    // With two of them killed nothing is lost.
    for (_, pid) in &cluster.worker_pids()[..2] {
        kill(*pid);
    }
    for (idx, value) in client.gather(&keys, &never).unwrap().iter().enumerate() {
        assert_eq!(value.expect::<Block>().unwrap().0[..], vec![idx as u8; 1_000_000]);
    }
}

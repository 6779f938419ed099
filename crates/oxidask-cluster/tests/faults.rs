//! Faults of connections and processes: what is killed, stopped or cut off while a
//! cluster computes. The results must be as if nothing had happened.
#![allow(clippy::unwrap_used, reason = "tests may take results apart, in their helpers too")]

mod common;

use common::parts::{LONG, Parts, counted_graph};
use common::{eventually, n_lines, never, number, options, signal, sum_graph, worker_command};
use oxidask_cluster::client::ClientOptions;
use oxidask_cluster::deploy::{SchedulerOptions, SchedulerProcess, Workers, WorkersOptions};
use oxidask_cluster::{Client, LocalCluster, LocalClusterOptions, Secret, Security};
use oxidask_core::{ErrorKind, Executor, Future, Key, Value};
use rustix::process::Signal;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Not a test: what other processes of the tests run.
#[test]
fn serve_as_other_process() {
    common::serve();
}

/// Passes bytes on between clients and a server, and cuts all connections when
/// told.
struct Proxy {
    port: u16,
    cut: Arc<parking_lot::Mutex<Vec<TcpStream>>>,
    is_over: Arc<AtomicBool>,
}

impl Proxy {
    fn start(target: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let cut: Arc<parking_lot::Mutex<Vec<TcpStream>>> = Arc::default();
        let is_over = Arc::new(AtomicBool::new(false));
        let (sockets, stop) = (cut.clone(), is_over.clone());
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let Ok(client) = client else { return };
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                let Ok(server) = TcpStream::connect(&target) else { continue };
                sockets.lock().extend([client.try_clone().unwrap(), server.try_clone().unwrap()]);
                for (mut from, mut to) in [(client.try_clone().unwrap(), server.try_clone().unwrap()), (server, client)]
                {
                    std::thread::spawn(move || {
                        // One end or the other is cut.
                        let _ = std::io::copy(&mut from, &mut to);
                        let _ = to.shutdown(Shutdown::Both);
                    });
                }
            }
        });
        Proxy { port, cut, is_over }
    }

    fn cut_all(&self) {
        for socket in self.cut.lock().drain(..) {
            let _ = socket.shutdown(Shutdown::Both);
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        self.cut_all();
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

#[test]
fn the_scheduler_file_holds_the_secret_and_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let parts = Parts::start("tls://127.0.0.1:0", false);
    let path = parts.folder.path().join("scheduler.json");
    assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(parts.address.starts_with("tls://127.0.0.1:"));
    let _workers = parts.workers(2);
    let client = parts.client();
    let (graph, expected) = sum_graph(1, 100, 0);
    assert_eq!(number(&client.compute(graph, &never).unwrap()[0]), expected);
}

#[test]
fn dropped_connections_cost_nothing() {
    let parts = Parts::start("tcp://127.0.0.1:0", false);
    let proxy = Proxy::start(parts.address.strip_prefix("tcp://").unwrap().to_owned());
    let through = format!("tcp://127.0.0.1:{}", proxy.port);
    let _workers = parts.workers_at(&through, 2);
    let client = parts.client_at(&through);
    let file = parts.folder.path().join("count");
    let (graph, expected) = counted_graph(&file, 60, 10);
    let futures = client.submit(graph).unwrap();
    for n_done in [5, 20, 35, 50] {
        eventually("some tasks ran", || n_lines(&file) >= n_done);
        proxy.cut_all();
    }
    assert_eq!(number(&futures[0].result(LONG).unwrap()), expected);
    assert_eq!(n_lines(&file), 61, "each task ran once");
}

#[test]
fn a_stopped_worker_that_comes_back_is_told_to_begin_anew() {
    let cluster =
        LocalCluster::start(LocalClusterOptions { worker_timeout: Duration::from_secs(2), ..options(2) }).unwrap();
    let client = cluster.client().unwrap();
    let (graph, expected) = sum_graph(11, 200, 10);
    let futures = client.submit(graph).unwrap();
    let ids: Vec<u32> = cluster.info().workers.iter().map(|worker| worker.id).collect();
    let (_, pid) = cluster.worker_pids()[0];
    signal(pid, Signal::STOP);
    eventually("the stopped worker is given up", || cluster.info().workers.len() == 1);
    assert_eq!(number(&futures[0].result(LONG).unwrap()), expected);
    signal(pid, Signal::CONT);
    eventually("it is back, as another", || {
        let workers = cluster.info().workers;
        workers.len() == 2 && workers.iter().any(|worker| !ids.contains(&worker.id))
    });
    assert!(cluster.worker_pids().iter().any(|(_, other)| *other == pid), "its process goes on");
    let (graph, expected) = sum_graph(12, 100, 0);
    assert_eq!(number(&client.compute(graph, &never).unwrap()[0]), expected);
}

#[test]
fn a_short_stop_loses_nothing() {
    let cluster = LocalCluster::start(options(2)).unwrap();
    let client = cluster.client().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("count");
    let (graph, expected) = counted_graph(&file, 40, 10);
    let futures = client.submit(graph).unwrap();
    let (_, pid) = cluster.worker_pids()[0];
    eventually("some tasks ran", || n_lines(&file) >= 5);
    signal(pid, Signal::STOP);
    eventually("the other worker goes on", || n_lines(&file) >= 15);
    signal(pid, Signal::CONT);
    assert_eq!(number(&futures[0].result(LONG).unwrap()), expected);
    assert_eq!(n_lines(&file), 41);
}

#[test]
fn a_client_that_vanishes_is_waited_for_and_then_forgotten() {
    let cluster =
        LocalCluster::start(LocalClusterOptions { client_grace: Duration::from_secs(1), ..options(1) }).unwrap();
    let watcher = cluster.client().unwrap();
    let client = cluster.client().unwrap();
    let futures = client.scatter(&[(Key::named("kept"), Value::new(common::Number(1)))], &[], false).unwrap();
    assert_eq!(number(&futures[0].result(LONG).unwrap()), 1);
    let held = || {
        let question = oxidask_cluster::protocol::Question::WhoHas(vec![Key::named("kept")]);
        match watcher.ask(question, Duration::from_secs(10)) {
            Ok(oxidask_cluster::protocol::Answer::WhoHas(holders)) => holders[0].len(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(held(), 1);
    client.vanish();
    assert_eq!(held(), 1, "it may come back");
    eventually("its claims are released", || held() == 0);
}

#[test]
fn a_worker_retires_when_its_time_is_over() {
    let parts = Parts::start("tcp://127.0.0.1:0", false);
    let staying = parts.workers(1);
    let client = parts.client();
    assert!(client.wait_for_workers(1, LONG, &never).unwrap());
    let leaving = Workers::start(&WorkersOptions {
        command: Some(worker_command()),
        name: Some("short-lived".to_owned()),
        lifetime: Some(Duration::from_millis(300)),
        ..WorkersOptions::new(parts.address.parse().unwrap(), parts.secret.clone())
    })
    .unwrap();
    assert!(client.wait_for_workers(2, LONG, &never).unwrap());
    let values: Vec<(Key, Value)> =
        (0..10).map(|idx| (Key::named(&format!("kept {idx}")), Value::new(common::Number(idx)))).collect();
    let futures = client.scatter(&values, &[], false).unwrap();
    eventually("it has left", || leaving.are_over().unwrap());
    assert!(!staying.are_over().unwrap());
    let keys: Vec<Key> = futures.iter().map(Future::key).collect();
    assert_eq!(client.gather(&keys, &never).unwrap().iter().map(number).sum::<i64>(), 45);
}

#[test]
fn a_worker_without_a_scheduler_ends() {
    let mut parts = Parts::start("tcp://127.0.0.1:0", false);
    let workers = Workers::start(&WorkersOptions {
        command: Some(worker_command()),
        death_timeout: Duration::from_millis(500),
        ..WorkersOptions::new(parts.address.parse().unwrap(), parts.secret.clone())
    })
    .unwrap();
    let client = parts.client();
    assert!(client.wait_for_workers(1, LONG, &never).unwrap());
    parts.scheduler.kill();
    eventually("the worker has ended", || workers.are_over().unwrap());
}

#[test]
fn workers_may_be_there_before_their_scheduler() {
    let folder = tempfile::tempdir().unwrap();
    let address = format!("unix://{}", folder.path().join("scheduler").display());
    let secret = Secret::random().unwrap();
    let _workers = Workers::start(&WorkersOptions {
        command: Some(worker_command()),
        ..WorkersOptions::new(address.parse().unwrap(), secret.clone())
    })
    .unwrap();
    let options = SchedulerOptions::new(address.parse().unwrap());
    let scheduler = SchedulerProcess::start(SchedulerOptions { secret: Some(secret.clone()), ..options }).unwrap();
    let client = Client::connect(ClientOptions::new(scheduler.address().clone(), secret)).unwrap();
    assert!(client.wait_for_workers(1, LONG, &never).unwrap());
    let (graph, expected) = sum_graph(51, 20, 0);
    assert_eq!(number(&client.compute(graph, &never).unwrap()[0]), expected);
    assert!(!scheduler.wait(Duration::ZERO));
    client.shutdown();
    assert!(scheduler.wait(Duration::from_secs(30)), "a client may end it");
}

#[test]
fn certificates_that_do_not_match_are_refused() {
    let security = Security::temporary().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let scheduler = SchedulerProcess::start(SchedulerOptions {
        security: security.clone(),
        scheduler_file: Some(folder.path().join("file")),
        ..SchedulerOptions::new("tls://127.0.0.1:0".parse().unwrap())
    })
    .unwrap();
    let connect = |security: Security| {
        let options = ClientOptions::new(scheduler.address().clone(), scheduler.secret().clone());
        Client::connect(ClientOptions { security, ..options })
    };
    assert!(connect(security).is_ok());
    for other in [Security::temporary().unwrap(), Security::default()] {
        let error = connect(other).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Denied | ErrorKind::Io), "{error}");
        assert!(error.to_string().contains(&scheduler.address().to_string()), "{error}");
    }
}

/// Every prefix and many mutations of what a client really says, at every door:
/// none may harm the cluster.
#[test]
fn recorded_garbled_and_cut_conversations_hurt_nobody() {
    let cluster = LocalCluster::start(LocalClusterOptions { tcp: true, ..options(1) }).unwrap();
    let doors: Vec<String> = std::iter::once(cluster.address().to_string())
        .chain(cluster.info().workers.into_iter().map(|worker| worker.intro.address))
        .map(|address| address.strip_prefix("tcp://").unwrap().to_owned())
        .collect();
    // A client that goes through a listener of ours, which keeps what it says.
    let trap = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = trap.local_addr().unwrap().port();
    let target = doors[0].clone();
    let recorder = std::thread::spawn(move || {
        let (mut from, _) = trap.accept().unwrap();
        let mut to = TcpStream::connect(target).unwrap();
        let (mut back_from, mut back_to) = (to.try_clone().unwrap(), from.try_clone().unwrap());
        std::thread::spawn(move || std::io::copy(&mut back_from, &mut back_to));
        let mut said = Vec::new();
        let mut chunk = [0; 4096];
        while let Ok(count @ 1..) = from.read(&mut chunk) {
            said.extend_from_slice(&chunk[..count]);
            if to.write_all(&chunk[..count]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Both);
        said
    });
    let through = format!("tcp://127.0.0.1:{port}").parse().unwrap();
    let recorded = Client::connect(ClientOptions::new(through, cluster.secret().clone())).unwrap();
    let (graph, expected) = sum_graph(21, 20, 0);
    assert_eq!(number(&recorded.compute(graph, &never).unwrap()[0]), expected);
    recorded.close();
    drop(recorded);
    let said = recorder.join().unwrap();
    assert!(said.len() > 500);
    let mut state = 0x9e37_79b9_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as usize
    };
    for round in 0..120 {
        let door = &doors[round % doors.len()];
        let mut bytes = said.clone();
        match round % 3 {
            // The same words again.
            0 => {}
            // Cut off anywhere.
            1 => bytes.truncate(random() % said.len()),
            // With flipped bits.
            _ => {
                for _ in 0..1 + random() % 20 {
                    let at = random() % bytes.len();
                    bytes[at] ^= 1 << (random() % 8);
                }
            }
        }
        let mut stream = TcpStream::connect(door).unwrap();
        // The other side may close before everything is written.
        let _ = stream.write_all(&bytes);
        let _ = stream.shutdown(Shutdown::Write);
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut answer = Vec::new();
        let closed = stream.read_to_end(&mut answer);
        assert!(closed.is_ok() || closed.is_err_and(|error| error.kind() != std::io::ErrorKind::WouldBlock));
        // Hello, refusal; nothing of the cluster.
        assert!(answer.len() <= 42 + 33, "{} bytes", answer.len());
    }
    let client = cluster.client().unwrap();
    let (graph, expected) = sum_graph(22, 100, 0);
    assert_eq!(number(&client.compute(graph, &never).unwrap()[0]), expected);
}

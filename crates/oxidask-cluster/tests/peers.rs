//! Peers that misbehave without breaking a rule: members that do not read, and
//! workers that cannot leave.
#![allow(clippy::unwrap_used, reason = "tests may take results apart, in their helpers too")]

use oxidask_cluster::connect::{Connection, dial};
use oxidask_cluster::protocol::{
    Answer, Build, FromClient, Hello, Question, ReadRequest, Role, SessionHello, ToHolder,
};
use oxidask_cluster::{Credentials, LocalCluster, Security, wire};
use oxidask_core::{Executor, Future, Graph, Key, Value};
use oxidask_sched::Piece;
use std::sync::Arc;
use std::time::{Duration, Instant};

mod common;

use common::{Block, Fill, Number, eventually, never, number, options, sum_graph};

/// Not a test: what other processes of the tests run.
#[test]
fn serve_as_other_process() {
    common::serve();
}

/// Opens a connection as a member of the cluster, over which nothing is read.
async fn silent(cluster: &LocalCluster, address: &str, role: Role) -> Connection {
    let credentials = Credentials::new(cluster.secret().clone(), Security::default());
    let session = matches!(role, Role::Client { .. }).then(|| SessionHello::begin().unwrap());
    let hello = Hello { role, build: Build::current(), session };
    dial(&address.parse().unwrap(), &credentials, &hello, Duration::from_secs(10)).await.unwrap()
}

#[test]
fn members_that_do_not_read_hold_nobody_up() {
    let cluster = LocalCluster::start(options(2)).unwrap();
    let client = cluster.client().unwrap();
    let mut graph = Graph::new();
    graph.outputs = graph.blocks(Key::named("wanted by a slow one"), Arc::new(Fill), 4, |_, _| {}).to_vec();
    let futures = client.submit(graph).unwrap();
    let keys: Vec<Key> = futures.iter().map(Future::key).collect();
    assert!(client.wait(&keys, false, Some(Duration::from_secs(10)), &never).unwrap());

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _silent = runtime.block_on(async {
        let mut silent_ones = Vec::new();
        // Asks each worker for far more than a socket takes, whatever the task's number is.
        for worker in cluster.info().workers {
            let reader = silent(&cluster, &worker.intro.address, Role::Reader).await;
            let requests: Vec<ToHolder> = (0..100_u32)
                .flat_map(|round| (0..16).flat_map(move |task| (0..4_usize).map(move |key| (round, task, key))))
                .map(|(request, task, key)| {
                    ToHolder::Read(ReadRequest { request, task, part: Piece::WHOLE, key: keys[key] })
                })
                .collect();
            reader.outlet.send(wire::encode(&requests, Vec::new()).unwrap());
            reader.outlet.drained().await;
            silent_ones.push(reader);
        }
        // And the scheduler more than it can say.
        let other = silent(&cluster, &cluster.address().to_string(), Role::Client { name: "slow".to_owned() }).await;
        let questions: Vec<FromClient> =
            (0..20_000).map(|request| FromClient::Ask { request, question: Question::Info }).collect();
        other.outlet.send(wire::encode(&questions, Vec::new()).unwrap());
        other.outlet.drained().await;
        silent_ones.push(other);
        silent_ones
    });

    let begin = Instant::now();
    for seed in 0..20 {
        let (graph, expected) = sum_graph(seed, 100, 0);
        assert_eq!(number(&client.compute(graph, &never).unwrap()[0]), expected);
        let blocks = client.gather(&keys, &never).unwrap();
        let bytes = |value: &Value| value.expect::<Block>().unwrap().0.len();
        assert!(blocks.iter().all(|block| bytes(block) == 1_000_000));
    }
    assert!(begin.elapsed() < Duration::from_secs(10), "held up for {:?}", begin.elapsed());
}

#[test]
fn a_worker_whose_results_nobody_can_take_stays() {
    let cluster = LocalCluster::start(options(1)).unwrap();
    let client = cluster.client().unwrap();
    let futures = client.scatter(&[(Key::named("the last copy"), Value::new(Number(7)))], &[], false).unwrap();
    let keys = [futures[0].key()];
    assert!(client.wait(&keys, false, Some(Duration::from_secs(10)), &never).unwrap());
    let name = cluster.info().workers[0].intro.name.clone();
    let answer = client.ask(Question::Retire(vec![name]), Duration::from_secs(20)).unwrap();
    assert!(matches!(&answer, Answer::Retired(left) if left.is_empty()), "{answer:?}");
    assert_eq!(number(&client.gather(&keys, &never).unwrap()[0]), 7);
    let (graph, expected) = sum_graph(1, 10, 0);
    assert_eq!(number(&client.compute(graph, &never).unwrap()[0]), expected);
    eventually("it is there still", || cluster.info().workers.len() == 1);
}

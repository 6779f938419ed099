//! What a cluster of two workers costs: no-op tasks a second, a round trip, a
//! chain's link, and bytes a second to, from and between workers, beside a plain
//! copy over a TCP connection of this machine.
//!
//! ```text
//! cargo run --release -p oxidask-cluster --example cluster_overhead [-- tcp|tls [n_tasks…]]
//! ```

use bytes::Bytes;
use oxidask_cluster::protocol::{Answer, Question};
use oxidask_cluster::{Client, LocalCluster, LocalClusterOptions, ProcessCommand};
use oxidask_core::{Data, Decode, Error, Executor, Frames, Future, Graph, Input, Key, KeyHasher, Op, Result, Value};
use oxidask_macros::{data, op};
use serde::{Deserialize, Serialize};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

#[data("example.block")]
struct Block(Bytes);

impl Data for Block {
    fn nbytes(&self) -> u64 {
        self.0.len() as u64
    }

    fn encode(&self) -> Result<Frames> {
        Ok(Frames { header: Bytes::new(), buffers: vec![self.0.clone()] })
    }
}

impl Decode for Block {
    fn decode(frames: Frames) -> Result<Self> {
        frames.buffers.into_iter().next().map(Block).ok_or_else(|| Error::value("no block"))
    }
}

/// Does nothing, or makes some bytes.
#[op("example.fill")]
#[derive(Serialize, Deserialize)]
struct Fill {
    n_bytes: usize,
}

impl Op for Fill {
    fn run(&self, block: u64, _inputs: &[Value]) -> Result<Value> {
        Ok(Value::new(Block(vec![block as u8; self.n_bytes].into())))
    }
}

fn no_op(inputs: &[Input], key: Key) -> Graph {
    let mut graph = Graph::new();
    let stage = graph.stage(Arc::new(Fill { n_bytes: 8 }));
    let task = graph.task(key, stage, 0, inputs);
    graph.outputs = vec![Input::whole(task)];
    graph
}

fn key(kind: &str, number: usize) -> Key {
    KeyHasher::new(kind).u64(number as u64).finish()
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// Tasks a second, as many futures of a client or as the inputs of one last task.
fn rate(client: &Client, n_tasks: usize, round: usize, are_joined: bool) -> Result<f64> {
    let mut graph = Graph::new();
    let kind = if are_joined { "joined" } else { "many" };
    let tasks = graph.blocks(key(kind, round), Arc::new(Fill { n_bytes: 8 }), n_tasks, |_, _| {});
    if are_joined {
        let stage = graph.stage(Arc::new(Fill { n_bytes: 8 }));
        let total = graph.task(key("total", round), stage, 0, &tasks);
        graph.outputs = vec![Input::whole(total)];
    } else {
        graph.outputs = tasks;
    }
    let begin = Instant::now();
    let futures = client.submit(graph)?;
    let keys: Vec<Key> = futures.iter().map(Future::key).collect();
    client.wait(&keys, false, None, &|| Ok(()))?;
    Ok(n_tasks as f64 / begin.elapsed().as_secs_f64())
}

const BYTES: usize = 200_000_000;

/// Prints how fast a large value goes to a worker, back, and from one to another.
fn transfers(client: &Client) -> Result<()> {
    let (mut out, mut back, mut across, mut plain) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let gigabytes = |begin: Instant| BYTES as f64 / begin.elapsed().as_secs_f64() / 1e9;
    for round in 0..5 {
        let value = Value::new(Block(vec![round as u8; BYTES].into()));
        let begin = Instant::now();
        let futures = client.scatter(&[(key("scattered", round), value)], &[], false)?;
        let keys = [futures[0].key()];
        client.wait(&keys, false, None, &|| Ok(()))?;
        out.push(gigabytes(begin));
        let begin = Instant::now();
        client.gather(&keys, &|| Ok(()))?;
        back.push(gigabytes(begin));
        let begin = Instant::now();
        client.ask(Question::Replicate { keys: keys.to_vec(), n: 2, workers: Vec::new() }, TIMEOUT)?;
        while n_holders(client, keys[0])? < 2 {
            std::thread::sleep(Duration::from_micros(200));
        }
        across.push(gigabytes(begin));
        plain.push(plain_copy().map_err(|cause| Error::io("copying over a connection", &cause))?);
    }
    let (out, back, across, plain) = (median(out), median(back), median(across), median(plain));
    println!("200 MB: {out:.2} GB/s to a worker, {back:.2} GB/s back, {across:.2} GB/s to another worker");
    println!("200 MB over a plain connection: {plain:.2} GB/s");
    Ok(())
}

const TIMEOUT: Duration = Duration::from_secs(30);

fn n_holders(client: &Client, key: Key) -> Result<usize> {
    match client.ask(Question::WhoHas(vec![key]), TIMEOUT)? {
        Answer::WhoHas(holders) => Ok(holders[0].len()),
        _ => Err(Error::value("the scheduler answered another question")),
    }
}

/// Gigabytes a second that a program gets which only writes and reads.
fn plain_copy() -> std::io::Result<f64> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let bytes = vec![1_u8; BYTES];
    let begin = Instant::now();
    let writing = std::thread::spawn(move || TcpStream::connect(address)?.write_all(&bytes));
    let mut received = Vec::with_capacity(BYTES);
    listener.accept()?.0.read_to_end(&mut received)?;
    writing.join().map_err(|_| std::io::Error::other("the writer panicked"))??;
    assert_eq!(received.len(), BYTES);
    Ok(BYTES as f64 / begin.elapsed().as_secs_f64() / 1e9)
}

fn main() -> Result<()> {
    oxidask_cluster::init();
    let tcp = std::env::args().any(|arg| arg == "tcp");
    let options = LocalClusterOptions { tcp, ..LocalClusterOptions::new(2, ProcessCommand::this_program()?) };
    let begin = Instant::now();
    let cluster = LocalCluster::start(options)?;
    let client = cluster.client()?;
    client.compute(no_op(&[], key("first", 0)), &|| Ok(()))?;
    println!("first result after {:.0} ms", begin.elapsed().as_secs_f64() * 1e3);

    let asked: Vec<usize> = std::env::args().filter_map(|arg| arg.parse().ok()).collect();
    for &n_tasks in if asked.is_empty() { &[10_000, 100_000, 1_000_000][..] } else { &asked } {
        let rates =
            |are_joined| (0..3).map(|round| rate(&client, n_tasks, n_tasks + round, are_joined)).collect::<Result<_>>();
        let (apart, joined) = (median(rates(false)?), median(rates(true)?));
        println!("{n_tasks} native no-op tasks: {apart:.0} a second, as inputs of one task {joined:.0}");
    }
    if !asked.is_empty() {
        return Ok(());
    }

    let mut times = Vec::new();
    for number in 0..2_000 {
        let begin = Instant::now();
        client.compute(no_op(&[], key("round trip", number)), &|| Ok(()))?;
        times.push(begin.elapsed().as_secs_f64() * 1e6);
    }
    println!("submit to result: {:.0} µs in the median", median(times));

    const LINKS: usize = 1_000;
    let mut graph = Graph::new();
    let mut last: Option<u32> = None;
    for number in 0..LINKS {
        let stage = graph.stage(Arc::new(Fill { n_bytes: 8 }));
        let inputs: Vec<Input> = last.map(Input::whole).into_iter().collect();
        last = Some(graph.task(key("link", number), stage, 0, &inputs));
    }
    graph.outputs = last.map(Input::whole).into_iter().collect();
    let begin = Instant::now();
    client.compute(graph, &|| Ok(()))?;
    println!("a chain's link: {:.0} µs", begin.elapsed().as_secs_f64() * 1e6 / LINKS as f64);

    transfers(&client)?;
    let begin = Instant::now();
    cluster.close();
    println!("closed after {:.0} ms", begin.elapsed().as_secs_f64() * 1e3);
    Ok(())
}

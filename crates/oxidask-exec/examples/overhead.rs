//! Measures what a task costs beyond its own work, in nanoseconds.
//!
//! `cargo run --release -p oxidask-exec --example overhead [-- NAME… N…]` prints,
//! for each executor named (all if none) and each number of tasks, the time from
//! nothing to the collected results, divided by the number of tasks; then a chain
//! and a tree, whose tasks depend on others.

use oxidask_core::{Data, Decode, Error, Executor, Frames, Graph, Input, Key, Op, Result, Value};
use oxidask_exec::{ChildCommand, Local, LocalKind, LocalOptions, serve_child};
use oxidask_macros::{data, op};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Instant;

/// A value as small as a value can be.
#[data("overhead.number")]
struct Number(u64);

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
        Ok(Number(u64::from_le_bytes(bytes)))
    }
}

/// Adds its inputs and one.
#[op("overhead.add")]
#[derive(Serialize, Deserialize)]
struct Add {
    user_code: bool,
}

impl Op for Add {
    fn run(&self, _: u64, inputs: &[Value]) -> Result<Value> {
        Ok(Value::new(Number(1 + sum(inputs)?)))
    }

    fn output_bytes(&self, _: u64, _: &[Option<u64>]) -> Option<u64> {
        Some(8)
    }

    fn runs_user_code(&self) -> bool {
        self.user_code
    }
}

fn sum(inputs: &[Value]) -> Result<u64> {
    inputs.iter().map(|value| value.expect::<Number>().map(|number| number.0)).sum()
}

fn add() -> Arc<dyn Op> {
    // In the threads' own process this makes no difference.
    Arc::new(Add { user_code: true })
}

/// `n` tasks that need nothing, all of them wanted.
fn independent(n: usize) -> Graph {
    let mut graph = Graph::new();
    graph.outputs = graph.blocks(Key::named("independent"), add(), n, |_, _| {});
    graph
}

/// Each task needs the one before; the last is wanted.
fn chain(n: usize) -> Graph {
    let mut graph = Graph::new();
    graph.blocks(Key::named("chain"), add(), n, |block, inputs| {
        if block > 0 {
            inputs.push(Input::whole(block as u32 - 1));
        }
    });
    graph.outputs.push(Input::whole(n as u32 - 1));
    graph
}

/// `n` leaves, added in pairs to one root.
fn tree(n: usize) -> Graph {
    let mut graph = Graph::new();
    let mut level = graph.blocks(Key::named("tree"), add(), n, |_, _| {});
    while level.len() > 1 {
        let pairs: Vec<Vec<Input>> = level.chunks(2).map(<[Input]>::to_vec).collect();
        let key = Key::named(&format!("tree of {}", pairs.len()));
        level = graph.blocks(key, add(), pairs.len(), |block, inputs| inputs.extend(pairs[block].iter().copied()));
    }
    graph.outputs = level;
    graph
}

fn measure(name: &str, executor: &Local, n_tasks: usize, build: impl Fn() -> Graph) -> Result<()> {
    let mut best = f64::INFINITY;
    for _ in 0..if n_tasks > 2_000_000 { 1 } else { 5 } {
        let begin = Instant::now();
        let graph = build();
        let built = begin.elapsed();
        let values = executor.compute(graph, &|| Ok(()))?;
        let collected = begin.elapsed();
        drop(values);
        let nanos = collected.as_nanos() as f64 / n_tasks as f64;
        if nanos < best {
            best = nanos;
            println!(
                "{:>8} {name:<12} {n_tasks:>9} tasks: {nanos:6.0} ns/task, of which build {:4.0}",
                executor.name(),
                built.as_nanos() as f64 / n_tasks as f64
            );
        }
    }
    assert_eq!(executor.counts(), (0, 0), "nothing is held any more");
    Ok(())
}

/// Set in children, which are this program too.
const CHILD: &str = "OXIDASK_OVERHEAD_CHILD";

fn main() -> Result<()> {
    if std::env::var_os(CHILD).is_some() {
        return serve_child();
    }
    let sizes: Vec<usize> = std::env::args().skip(1).filter_map(|text| text.parse().ok()).collect();
    let sizes = if sizes.is_empty() { vec![10_000, 100_000, 1_000_000] } else { sizes };
    let program = std::env::current_exe().map_err(|cause| Error::io("looking for this program", &cause))?;
    let child = ChildCommand { program: program.into(), args: vec![], env: vec![(CHILD.into(), "1".into())] };
    let names: Vec<String> = std::env::args().skip(1).filter(|text| text.parse::<usize>().is_err()).collect();
    let kinds = [("sync", LocalKind::Sync), ("threads", LocalKind::Threads), ("processes", LocalKind::Processes)];
    for (name, kind) in kinds {
        if !names.is_empty() && !names.iter().any(|wanted| wanted == name) {
            continue;
        }
        let executor = Local::new(LocalOptions { child: Some(child.clone()), ..LocalOptions::new(kind) })?;
        for &n_tasks in &sizes {
            measure("independent", &executor, n_tasks, || independent(n_tasks))?;
        }
        measure("chain", &executor, 20_000, || chain(20_000))?;
        measure("tree", &executor, 131_071, || tree(65_536))?;
    }
    Ok(())
}

//! A program whose workers and children are itself: what `init` is for. It has no
//! test harness, because `main` must be the program's own.

use oxidask_cluster::{LocalCluster, LocalClusterOptions, ProcessCommand, this_program_as_child};
use oxidask_core::{Executor, Graph, Key, Op, Parts, Result, Value};
use oxidask_macros::op;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// As many empty parts as the block number; fails in the process that started.
#[op("test.count")]
#[derive(Serialize, Deserialize)]
struct Count {
    parent: u32,
}

impl Op for Count {
    fn run(&self, block: u64, _inputs: &[Value]) -> Result<Value> {
        assert_ne!(std::process::id(), self.parent, "work runs in other processes");
        Ok(Value::new(Parts((0..block).map(|_| Value::new(Parts(Vec::new()))).collect())))
    }

    fn runs_user_code(&self) -> bool {
        true
    }
}

fn main() -> Result<()> {
    oxidask_cluster::init();
    let options = LocalClusterOptions {
        child: Some(this_program_as_child()?),
        ..LocalClusterOptions::new(2, ProcessCommand::this_program()?)
    };
    let cluster = LocalCluster::start(options)?;
    let client = cluster.client()?;
    let mut graph = Graph::new();
    let count = Arc::new(Count { parent: std::process::id() });
    graph.outputs = graph.blocks(Key::named("counts"), count, 20, |_, _| {});
    for (idx, value) in client.compute(graph, &|| Ok(()))?.iter().enumerate() {
        assert_eq!(value.data().parts().map(<[Value]>::len), Some(idx));
    }
    println!("20 counts by workers {:?}", cluster.worker_pids());
    Ok(())
}

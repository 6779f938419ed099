//! How long the way from an expression to an ordered graph takes:
//! `(x + x.T).mean(axis=0)` over 10,000 chunks, and a million chunks.

use oxidask_array::random::Generator;
use oxidask_core::{Result, lower, optimize, order};
use std::time::Instant;

fn main() -> Result<()> {
    for (side, chunk) in [(10_000, 100), (100_000, 100)] {
        let mut best = f64::INFINITY;
        let mut n_tasks = 0;
        for _ in 0..5 {
            let start = Instant::now();
            let x = Generator::new(1).random(&[side, side], &[chunk, chunk])?;
            let y = x.add(x.t())?.mean(Some(&[0]), false)?;
            let roots = optimize(&[y.expr().clone()])?;
            let (graph, _) = lower(&roots)?;
            let ranks = order(&graph);
            best = best.min(start.elapsed().as_secs_f64());
            n_tasks = ranks.len();
        }
        println!("{} chunks: {n_tasks} tasks in {:.2} ms", (side / chunk) * (side / chunk), best * 1e3);
    }
    Ok(())
}

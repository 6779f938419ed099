//! Runs any number of seeds of the simulation.
//!
//! `cargo run --release --example simulate -p oxidask-sched [first] [how many]`

use oxidask_sched::sim;
use std::time::Instant;

fn main() {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse::<u64>().expect("a number"));
    let first = arguments.next().unwrap_or(0);
    let count = arguments.next().unwrap_or(1_000);
    let start = Instant::now();
    let (mut n_steps, mut n_runs, mut n_losses, mut n_failed) = (0, 0, 0, 0);
    for seed in first..first + count {
        match std::panic::catch_unwind(|| sim::run(seed)) {
            Ok(summary) => {
                n_steps += summary.n_steps;
                n_runs += summary.n_runs;
                n_losses += summary.n_losses;
            }
            Err(_) => n_failed += 1,
        }
    }
    println!(
        "{count} seeds in {:.1} s: {n_steps} steps, {n_runs} tasks run, {n_losses} workers lost, {n_failed} seeds failed",
        start.elapsed().as_secs_f64()
    );
    std::process::exit(i32::from(n_failed > 0));
}

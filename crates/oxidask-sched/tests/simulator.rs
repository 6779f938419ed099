//! Thousands of clusters under faults. A failing seed prints how to replay it.

use oxidask_sched::sim;

/// Seeds that once failed, and what they found.
const KEPT: &[(u64, &str)] = &[];

/// Replays the seed named by `OXIDASK_SIM_SEED`, or the first.
#[test]
fn one_seed() {
    let seed = std::env::var("OXIDASK_SIM_SEED").map_or(0, |seed| seed.parse().expect("a seed is a number"));
    println!("{:?}", sim::run(seed));
}

#[test]
fn kept_seeds() {
    for &(seed, found) in KEPT {
        println!("seed {seed}: {found}");
        let _ = sim::run(seed);
    }
}

#[test]
fn a_thousand_seeds() {
    let summaries: Vec<sim::Summary> = (0..1_000).map(sim::run).collect();
    // The seeds are worth nothing if nothing happens in them.
    let sum = |count: fn(&sim::Summary) -> u64| summaries.iter().map(count).sum::<u64>();
    assert!(sum(|summary| summary.n_runs) > 50_000);
    assert!(sum(|summary| summary.n_delivered) > 20_000);
    assert!(sum(|summary| summary.n_losses) > 1_000);
    assert!(summaries.iter().any(|summary| summary.n_workers == 1_000));
}

#[test]
fn a_seed_is_one_run() {
    assert_eq!(sim::run(11), sim::run(11));
}

//! Thousands of clusters under faults. A failing seed prints how to replay it.

use oxidask_sched::sim;

/// Seeds that once failed, and what they found.
const KEPT: &[(u64, &str)] = &[
    (175, "an order that waits for a fetch while another of its inputs becomes unreadable"),
    (271, "a copy is ordered of a result that is then made on the same worker"),
    (793, "a stale copy is freed when an attempt on that worker has just left its result"),
    (1617, "a worker's loss reaches its own tasks through a cancelled input"),
    (4659, "a worker is lost that has a stale copy of what it was to compute"),
    (16_836, "a number is used again while its old piece is still being spilled"),
    (19_311, "the failure of a fetch wakes orders that wait for the disk"),
    (24_730, "an input is missing and then turns out to be cancelled"),
    (28_419, "a fetched piece arrives that was computed and spilled meanwhile"),
    (104_792, "a fetched copy is taken for the answer to an order to copy"),
];

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
fn thousands_of_seeds() {
    let summaries: Vec<sim::Summary> = (0..3_000).map(sim::run).collect();
    // The seeds are worth nothing if nothing happens in them.
    let sum = |count: fn(&sim::Summary) -> u64| summaries.iter().map(count).sum::<u64>();
    assert!(sum(|summary| summary.n_runs) > 50_000);
    assert!(sum(|summary| summary.n_delivered) > 20_000);
    assert!(sum(|summary| summary.n_losses) > 1_000);
    assert!(sum(|summary| summary.n_replaced) > 500);
    assert!(summaries.iter().any(|summary| summary.n_workers == 1_000));
}

#[test]
fn a_seed_is_one_run() {
    for seed in 0..100 {
        assert_eq!(sim::run(seed), sim::run(seed));
    }
}

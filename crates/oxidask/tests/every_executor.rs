//! Each collection on each executor, from a program whose workers and children
//! are itself. It has no test harness, because `main` must be the program's own.

use oxidask::array::random::Generator;
use oxidask::delayed::compute_all_on;
use oxidask::frame::{AggFunc, df};
use oxidask::prelude::*;

#[oxidask::task]
fn triple(x: i64) -> i64 {
    3 * x
}

#[oxidask::task]
fn triple_all(items: &[i64]) -> Vec<i64> {
    items.iter().map(|x| 3 * x).collect()
}

#[oxidask::task]
fn total(numbers: &[i64]) -> i64 {
    numbers.iter().sum()
}

#[oxidask::task(impure)]
fn process_id() -> u32 {
    std::process::id()
}

#[oxidask::task]
fn crash(x: i64) -> i64 {
    if x == 13 {
        std::process::abort();
    }
    x
}

#[oxidask::task]
fn refuse(x: i64) -> Result<i64> {
    Err(Error::value(format!("{x} is refused")))
}

fn collections(executor: &dyn Executor) -> Result<()> {
    let parts: Vec<Delayed<i64>> = (0..20).map(triple::delay).collect();
    assert_eq!(compute_all_on(&[total::delay(parts)], executor)?, [570]);

    let x = Generator::new(7).random(&[300, 200], &[100, 70])?;
    let mean = x.mean(None, false)?.compute(executor)?.item::<f64>()?;
    assert!((mean - 0.5).abs() < 0.01, "the mean of random numbers is {mean}");

    let rows = df!("kind" => ["a", "b", "a", "b"], "n" => [1_i64, 2, 3, 4]).expect("columns of equal length");
    let sums = Frame::from_frame(rows, 2)?.groupby(["kind"])?.agg([("n", AggFunc::Sum)])?.compute(executor)?;
    let sums: Vec<i64> =
        sums.frame.column("n").expect("it is there").i64().expect("whole numbers").into_no_null_iter().collect();
    assert_eq!(sums, [4, 6]);

    let bag = Bag::from_vec((0..10_i64).collect(), 3)?.map_task::<triple_all, i64>();
    assert_eq!(bag.collect_on(executor)?, (0..10).map(|x| 3 * x).collect::<Vec<i64>>());
    Ok(())
}

/// Errors arrive as they are, and what comes after them works.
fn errors(executor: &dyn Executor) {
    let error = compute_all_on(&[refuse::delay(4)], executor).expect_err("the task answers an error");
    assert!(error.to_string().contains("4 is refused"), "{error}");
}

/// User code runs elsewhere; a crash there is one task's error.
fn elsewhere(executor: &dyn Executor) -> Result<()> {
    let ids = compute_all_on(&[process_id::delay()], executor)?;
    assert_ne!(ids, [std::process::id()], "tasks run in other processes");
    let error = compute_all_on(&[crash::delay(13)], executor).expect_err("the process died");
    let text = error.to_string();
    assert!(text.contains("crash"), "the error names the task: {text}");
    assert_eq!(compute_all_on(&[crash::delay(1)], executor)?, [1]);
    Ok(())
}

fn main() -> Result<()> {
    oxidask::init();
    let cluster = oxidask::local_cluster(2)?;
    let (sync, threads, processes) = (oxidask::sync()?, oxidask::threads()?, oxidask::processes()?);
    let client = cluster.client()?;
    let executors: [(&str, &dyn Executor); 4] =
        [("sync", &sync), ("threads", &threads), ("processes", &processes), ("cluster", &client)];
    for (name, executor) in executors {
        collections(executor)?;
        errors(executor);
        println!("{name}: all collections");
    }
    elsewhere(&processes)?;
    elsewhere(&client)?;
    Ok(())
}

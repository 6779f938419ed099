//! The tour for Rust users, on real data: `cargo run --release --example tour`.
//!
//! Each step prints its code, its result and how long it took.

use oxidask::array::random::Generator;
use oxidask::delayed::compute_all_on;
use oxidask::draw::{DrawOptions, Drawing};
use oxidask::frame::{AggFunc, CsvOptions, read_csv};
use oxidask::prelude::*;
use std::time::{Duration, Instant};

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data");

/// Prints a block of code, runs it, and prints its result and time.
macro_rules! step {
    ($title:literal, $($code:tt)*) => {{
        println!("\n{}\n", $title);
        println!("    {}\n", stringify!($($code)*).replace('\n', "\n    "));
        let start = Instant::now();
        let result = (|| -> Result<_> { $($code)* })()?;
        println!("    {result:?}\n\n    took {:.2?}", start.elapsed());
    }};
}

#[derive(Clone, serde::Deserialize)]
struct Click {
    tz: Option<String>,
}

#[oxidask::task]
fn inc(x: i64) -> i64 {
    x + 1
}

#[oxidask::task]
fn double(x: i64) -> i64 {
    2 * x
}

#[oxidask::task]
fn add(x: i64, y: i64) -> i64 {
    x + y
}

#[oxidask::task]
fn total(numbers: &[i64]) -> i64 {
    numbers.iter().sum()
}

#[oxidask::task]
fn slow_square(x: i64) -> i64 {
    std::thread::sleep(Duration::from_millis(10));
    x * x
}

fn main() -> Result<()> {
    // The workers of the last step are this program again.
    oxidask::init();
    let threads = oxidask::threads()?;

    step!(
        "1. The mean of 100 million random numbers, in 100 chunks that are never all in memory",
        let x = Generator::new(42).random(&[10_000, 10_000], &[1_000, 1_000])?;
        x.mean(None, false)?.compute(&threads)?.item::<f64>()
    );

    step!(
        "2. Births by sex: 350,000 rows in 27 CSV files",
        let options = CsvOptions {
            header: false,
            names: Some(vec!["name".into(), "sex".into(), "births".into()]),
            ..CsvOptions::default()
        };
        let names = read_csv([format!("{DATA}/babynames/yob*.txt")], options)?;
        Ok(names.groupby(["sex"])?.agg([("births", AggFunc::Sum)])?.compute(&threads)?.frame)
    );

    step!(
        "3. Which time zones click: JSON records as a bag",
        let clicks: Bag<Click> = Bag::read_json(&[format!("{DATA}/usagov_clicks.jsonl")], Some(200_000))?;
        let zones = clicks.flat_map(|click| click.tz).filter(|zone| !zone.is_empty());
        let mut counts: Vec<(usize, String)> = zones.frequencies()?.into_iter().map(|(zone, n)| (n, zone)).collect();
        counts.sort_unstable_by(|left, right| right.cmp(left));
        Ok(counts[..5].to_vec())
    );

    let drawing = std::env::temp_dir().join("oxidask-tour.svg");
    step!(
        "4. Your own functions: a graph, drawn, then run",
        let parts: Vec<Delayed<i64>> = (0..4).map(|x| add::delay(inc::delay(x), double::delay(x))).collect();
        let sum = total::delay(parts);
        let (graph, _) = oxidask::core::lower(&[sum.expr().clone()])?;
        let svg = Drawing::of_graph(&graph, &DrawOptions::default())?.to_svg();
        std::fs::write(&drawing, svg).map_err(|cause| Error::io("writing the drawing", &cause))?;
        sum.compute()
    );

    step!(
        "5. The same on a cluster of this machine's own; one worker is killed on the way",
        let cluster = oxidask::local_cluster(2)?;
        let client = cluster.client()?;
        let squares: Vec<Delayed<i64>> = (0..200).map(slow_square::delay).collect();
        let victim = cluster.worker_pids()[0].1;
        let killer = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(300));
            std::process::Command::new("kill").args(["-9", &victim.to_string()]).status()
        });
        let results = compute_all_on(&squares, &client)?;
        let _ = killer.join();
        Ok(results.iter().sum::<i64>())
    );

    println!("\nThe graph of step 4 is drawn in {}.", drawing.display());
    Ok(())
}

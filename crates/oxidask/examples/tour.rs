//! The tour for Rust users, on real data: `cargo run --release --example tour`.
//!
//! Each step prints its code, its result and how long it took.

use oxidask::array::random::Generator;
use oxidask::core::events::{Observer, TaskFinished};
use oxidask::delayed::compute_all_on;
use oxidask::draw::{DrawOptions, Drawing};
use oxidask::frame::{AggFunc, CsvOptions, JoinHow, Keep, Merge, SortKey, expression::Text};
use oxidask::frame::{df, read_csv, read_parquet, write_parquet};
use oxidask::prelude::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A path of the project's data, wherever the checkout lies that runs this program.
fn data(name: &str) -> String {
    let package = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_else(|_| env!("CARGO_MANIFEST_DIR").to_owned());
    format!("{package}/../../tests/data/{name}")
}

/// Prints a block of code, runs it, and prints its result and time.
macro_rules! step {
    ($title:literal, $($code:tt)*) => {{
        println!("\n{}\n\n{}", $title, code_from(line!()));
        let start = Instant::now();
        let result = (|| -> Result<_> { $($code)* })()?;
        println!("    {result:?}\n\n    took {:.2?}", start.elapsed());
    }};
}

/// The code of the step that begins on this line, as it is written here.
fn code_from(line: u32) -> String {
    let lines = include_str!("tour.rs").lines().skip(line as usize + 1);
    lines.take_while(|line| *line != "    );").map(|line| line[4..].to_owned() + "\n").collect()
}

#[derive(Clone, serde::Deserialize)]
struct Click {
    tz: Option<String>,
    c: Option<String>,
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

/// Kills a worker when so many tasks are done.
struct Kill {
    victim: u32,
    after: AtomicU64,
}

impl Observer for Kill {
    fn tasks_finished(&self, tasks: &[TaskFinished]) {
        let left = self.after.load(Ordering::Relaxed);
        let left_now = left.saturating_sub(tasks.len() as u64);
        self.after.store(left_now, Ordering::Relaxed);
        if left > 0 && left_now == 0 {
            // If it cannot be killed, the computation ends all the same.
            let _ = std::process::Command::new("kill").args(["-9", &self.victim.to_string()]).status();
        }
    }
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
        "2. Names per decade: 350,000 rows in 27 CSV files, the top name of each decade and its share",
        let options = CsvOptions {
            header: false,
            names: Some(vec!["name".into(), "sex".into(), "births".into()]),
            path_column: Some("path".into()),
            ..CsvOptions::default()
        };
        let names = read_csv([data("babynames/yob*.txt")], options)?;
        let year = col("path").text(Text::Slice(Some(-8), Some(-5)));
        let names = names.with("decade", &(year + "0s"))?;
        let total = names.groupby(["decade", "sex"])?.agg_as([("all".into(), "births", AggFunc::Sum)])?;
        let each = names.groupby(["decade", "sex", "name"])?.agg([("births", AggFunc::Sum)])?;
        let first = SortKey { by: col("births"), descending: true, nulls_last: true };
        let top = each.reset_index(false)?.sort_values(vec![first])?;
        let of_each = ["decade".to_owned(), "sex".to_owned()];
        let top = top.drop_duplicates(Some(&of_each), Keep::First, 1)?;
        let same = Merge { how: JoinHow::Left, left_on: &of_each, right_on: &of_each, suffixes: ("", "_all"), indicator: None };
        let shares = top.merge(&total.reset_index(false)?, &same)?;
        let shares = shares.with("share", &(col("births") / col("all")))?.drop(["all"])?;
        let by_decade = SortKey { by: col("decade"), descending: false, nulls_last: true };
        Ok(shares.sort_values(vec![by_decade])?.reset_index(true)?.compute(&threads)?.frame)
    );

    step!(
        "3. Clicks end to end: 3,560 JSON records read, counted, written, made a frame, written and read again",
        let clicks: Bag<Click> = Bag::read_json(&[data("usagov_clicks.jsonl")], Some(200_000))?;
        let zoned = clicks.filter(|click| click.tz.as_deref().is_some_and(|zone| !zone.is_empty()));
        let zones = zoned.map(|click| click.tz.unwrap_or_default());
        let mut counts: Vec<(usize, String)> = zones.frequencies()?.into_iter().map(|(zone, n)| (n, zone)).collect();
        counts.sort_unstable_by(|left, right| right.cmp(left));
        let folder = std::env::temp_dir().join(format!("oxidask-tour-{}", std::process::id()));
        let files = zones.to_text_files(&format!("{}/zones-*.txt.gz", folder.display()))?;
        let n_again = Bag::read_text(&files, None)?.count()?;
        let frame = zoned.to_dataframe(|clicks| {
            let (zones, countries): (Vec<_>, Vec<_>) = clicks.into_iter().map(|click| (click.tz, click.c)).unzip();
            df!["zone" => zones, "country" => countries]
        })?;
        let by_country = frame.groupby(["country"])?.agg([("zone", AggFunc::Count)])?.reset_index(false)?;
        let path = folder.join("countries.parquet").display().to_string();
        write_parquet(&by_country.compute(&threads)?, &path)?;
        let most = SortKey { by: col("zone"), descending: true, nulls_last: true };
        let top = read_parquet([&path], None)?.sort_values(vec![most])?.head(3, 1)?;
        let top = top.reset_index(true)?.compute(&threads)?.frame;
        std::fs::remove_dir_all(&folder).map_err(|cause| Error::io("removing the tour's files", &cause))?;
        Ok((counts[..3].to_vec(), n_again, top))
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
        let _watch = client.watch(Arc::new(Kill { victim, after: AtomicU64::new(50) }));
        Ok(compute_all_on(&squares, &client)?.iter().sum::<i64>())
    );

    println!("\nThe graph of step 4 is drawn in {}.", drawing.display());
    Ok(())
}

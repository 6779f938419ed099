//! Bags beside plain iterators.

use super::*;
use crate::{sync, threads};
use serde::Deserialize;
use std::collections::HashMap;
use std::io::Write as _;
use std::path::PathBuf;

/// Where the test data lie. Asked when the tests run: a folder of compiled crates may serve several checkouts,
/// and the one that built this program may be gone.
fn data(name: &str) -> String {
    let package = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_else(|_| env!("CARGO_MANIFEST_DIR").to_owned());
    format!("{package}/../../tests/data/{name}")
}

#[derive(Clone, Deserialize)]
struct Click {
    tz: Option<String>,
}

#[crate::task]
fn doubled(numbers: &[i64]) -> Vec<i64> {
    numbers.iter().map(|number| 2 * number).collect()
}

fn numbers(n_partitions: usize) -> Bag<i64> {
    Bag::from_vec((0..1_000).collect(), n_partitions).unwrap()
}

#[test]
fn steps_answer_what_iterators_do() {
    for n_partitions in [1, 2, 127, 128, 129, 1_000] {
        let bag = numbers(n_partitions).map(|x| x * 3).filter(|x| x % 2 == 0).flat_map(|x| [x, x + 1]);
        let expected: Vec<i64> = (0..1_000).map(|x| x * 3).filter(|x| x % 2 == 0).flat_map(|x| [x, x + 1]).collect();
        assert_eq!(bag.collect().unwrap(), expected);
        assert_eq!(bag.count().unwrap(), expected.len());
        assert_eq!(bag.fold(0, |sum, x| sum + x, |a, b| a + b).unwrap(), expected.iter().sum::<i64>());
        assert_eq!(bag.topk(3).unwrap(), [2_995, 2_994, 2_989]);
        assert_eq!(bag.take(2).unwrap(), expected[..2]);
    }
}

#[test]
fn executors_agree() {
    let bag = numbers(10).map(|x| x + 1);
    let expected: Vec<i64> = (1..=1_000).collect();
    assert_eq!(bag.collect_on(&sync().unwrap()).unwrap(), expected);
    assert_eq!(bag.collect_on(&threads().unwrap()).unwrap(), expected);
}

#[test]
fn a_task_takes_partitions_with_and_without_steps_before_it() {
    let expected: Vec<i64> = (0..1_000).map(|x| 2 * x).collect();
    assert_eq!(numbers(4).map_task::<doubled, i64>().collect().unwrap(), expected);
    assert_eq!(numbers(4).map(|x| x).map_task::<doubled, i64>().collect().unwrap(), expected);
}

#[test]
fn an_empty_bag_has_no_items() {
    let empty = Bag::from_vec(Vec::<i64>::new(), 3).unwrap();
    assert_eq!(empty.count().unwrap(), 0);
    assert!(empty.frequencies().unwrap().is_empty());
    assert!(empty.topk(2).unwrap().is_empty());
}

#[test]
fn time_zones_of_real_clicks() {
    let paths = [data("usagov_clicks.jsonl")];
    let whole = std::fs::read_to_string(&paths[0]).unwrap();
    let mut expected: HashMap<String, usize> = HashMap::new();
    for line in whole.lines().filter(|line| !line.is_empty()) {
        if let Some(zone) = serde_json::from_str::<Click>(line).unwrap().tz {
            *expected.entry(zone).or_default() += 1;
        }
    }
    for block_bytes in [None, Some(100_000), Some(1 << 20)] {
        let clicks: Bag<Click> = Bag::read_json(&paths, block_bytes).unwrap();
        assert_eq!(clicks.flat_map(|click| click.tz).frequencies().unwrap(), expected);
    }
}

#[test]
fn a_broken_line_is_quoted() {
    let path: PathBuf = std::env::temp_dir().join(format!("oxidask-bag-{}.jsonl", std::process::id()));
    let mut file = std::fs::File::create(&path).unwrap();
    writeln!(file, "{{\"tz\": null}}\n{{\"tz\": ").unwrap();
    let error = Bag::<Click>::read_json(&[path.to_string_lossy()], None).unwrap().count().unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("{\"tz\": ") && text.contains("line 2") && text.contains(&*path.to_string_lossy()),
        "{error}"
    );
    std::fs::remove_file(path).unwrap();
}

#[test]
fn a_glob_without_files_is_named() {
    let error = Bag::read_text(&["/no/such/folder/*.txt"], None).err().unwrap();
    assert!(error.message().contains("/no/such/folder/*.txt"), "{error}");
}

#[test]
fn folds_by_key_and_distinct_items_are_those_of_maps() {
    for n_partitions in [1, 7, 200] {
        let bag = numbers(n_partitions);
        let mut expected = HashMap::new();
        (0..1_000_i64).for_each(|x| *expected.entry(x % 13).or_insert(0) += x);
        let sums = bag.fold_by(|x| x % 13, 0, |sum, x| sum + x, |a, b| a + b).unwrap();
        assert_eq!(sums, expected);
        assert_eq!(bag.map(|x| x % 13).distinct().unwrap(), (0..13).collect());
    }
}

#[test]
fn text_files_are_written_where_the_star_says() {
    let folder = std::env::temp_dir().join(format!("oxidask-bag-written-{}", std::process::id()));
    let pattern = format!("{}/part-*.txt.zst", folder.display());
    for executor in [&sync().unwrap() as &dyn Executor, &threads().unwrap()] {
        let files = numbers(11).map(|x| x * 2).to_text_files_on(executor, &pattern).unwrap();
        assert_eq!(files.len(), 11);
        assert!(files[3].ends_with("part-03.txt.zst"), "{files:?}");
        let expected: Vec<String> = (0..1_000).map(|x| (2 * x).to_string()).collect();
        assert_eq!(Bag::read_text(&files, None).unwrap().collect().unwrap(), expected);
    }
    let wrong = numbers(2).to_text_files("all.txt").unwrap_err().to_string();
    assert!(wrong.contains("'all.txt' needs one '*'"), "{wrong}");
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn dataframes_have_the_items_as_rows() {
    use crate::frame::{AggFunc, df};
    let frame = numbers(6).to_dataframe(|numbers| {
        let even: Vec<bool> = numbers.iter().map(|x| x % 2 == 0).collect();
        df!["even" => even, "x" => numbers]
    });
    let frame = frame.unwrap();
    assert_eq!(frame.n_partitions(), 6);
    let sums = frame.groupby(["even"]).unwrap().agg([("x", AggFunc::Sum)]).unwrap();
    let sums = sums.compute(&threads().unwrap()).unwrap().frame;
    let mut sums: Vec<i64> = sums.column("x").unwrap().i64().unwrap().into_no_null_iter().collect();
    sums.sort_unstable();
    assert_eq!(sums, [249_500, 250_000]);
    let odd = numbers(2).to_dataframe(|numbers| match numbers.len() {
        0 => df!["x" => numbers],
        _ => df!["y" => numbers],
    });
    let error = odd.unwrap().compute(&sync().unwrap()).unwrap_err().to_string();
    assert!(error.contains("other columns"), "{error}");
}

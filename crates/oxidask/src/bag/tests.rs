//! Bags beside plain iterators.

use super::*;
use crate::{sync, threads};
use serde::Deserialize;
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

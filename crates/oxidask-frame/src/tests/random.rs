//! Random plans: whatever the number of partitions, and as one query, the rows
//! are the same. Plans are drawn from seeds, so that one that fails comes again.

use super::exchange::maybe_one_query;
use super::result;
use crate::*;

const COUNTS: [usize; 5] = [2, 7, 127, 128, 129];
const SEEDS: u64 = 120;
const ROWS: i64 = 400;
const COLUMNS: [&str; 3] = ["k", "x", "y"];

/// Numbers that look random and follow from the seed.
struct Draw(u64);

impl Draw {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (word ^ (word >> 31)) % n
    }

    fn number(&mut self, n: u64) -> i64 {
        self.below(n) as i64
    }
}

fn table(draw: &mut Draw) -> DataFrame {
    let mut keys = Vec::new();
    let (mut x, mut y) = (Vec::new(), Vec::new());
    for _ in 0..ROWS {
        keys.push(["a", "b", "c", "dd", "a long key that is not held inline"][draw.below(5) as usize]);
        x.push(draw.number(50));
        y.push((draw.below(6) > 0).then(|| draw.number(20)));
    }
    df!("k" => keys, "x" => x, "y" => y).unwrap()
}

fn ascending(name: &str) -> SortKey {
    SortKey { by: col(name), descending: false, nulls_last: true }
}

/// One more step, on the columns `k`, `x` and `y`, whose rows do not depend on the
/// order of the rows before.
fn step(frame: &Frame, small: &Frame, draw: &mut Draw) -> Frame {
    let n_partitions = 1 + draw.below(9) as usize;
    let frame = match draw.below(10) {
        0 => frame.filter(col("x").gt(draw.number(20))).unwrap(),
        1 => frame.filter(col("y").le(5 + draw.number(15))).unwrap(),
        2 => frame.with("x", &(col("x") * 3 - draw.number(9))).unwrap(),
        3 => frame.drop_duplicates(None, Keep::First, n_partitions).unwrap(),
        4 => frame.shuffle([COLUMNS[draw.below(3) as usize]], n_partitions).unwrap(),
        5 => frame.sort_values_into(vec![ascending("y"), ascending("k")], n_partitions).unwrap(),
        6 => frame.repartition(n_partitions).unwrap(),
        7 => {
            let mut groups = frame.groupby(["k", "y"]).unwrap();
            (groups.split_out, groups.sort) = (n_partitions, draw.below(2) == 0);
            let sums = groups.agg_as([("x".to_owned(), "x", AggFunc::Sum)]).unwrap();
            sums.reset_index(false).unwrap()
        }
        8 => {
            let how = [JoinHow::Inner, JoinHow::Semi, JoinHow::Anti][draw.below(3) as usize];
            frame.merge(small, &Merge { how, ..Merge::on(&["k".to_owned()]) }).unwrap()
        }
        _ => Frame::concat(&[frame.clone(), frame.filter(col("x").lt(draw.number(30))).unwrap()]).unwrap(),
    };
    frame.select(COLUMNS).unwrap()
}

fn plan(seed: u64, n_partitions: usize) -> Frame {
    let mut draw = Draw(seed);
    let mut frame = Frame::from_frame(table(&mut draw), n_partitions).unwrap();
    let small = Frame::from_frame(df!("k" => ["a", "dd", "zz"]).unwrap(), n_partitions.min(3)).unwrap();
    for _ in 0..1 + draw.below(5) {
        frame = step(&frame, &small, &mut draw);
    }
    frame
}

/// The rows in an order of their own, as texts.
fn rows(frame: &DataFrame) -> Vec<String> {
    let columns = COLUMNS.map(|name| frame.column(name).unwrap());
    let text = |row: usize| columns.map(|column| format!("{:?}", column.get(row).unwrap())).join(" ");
    let mut rows: Vec<String> = (0..frame.height()).map(text).collect();
    rows.sort();
    rows
}

#[test]
fn random_plans_do_not_depend_on_partitions_nor_on_how_they_run() {
    for seed in 0..SEEDS {
        let expected = rows(&result(&plan(seed, 1)));
        let n = COUNTS[(seed % COUNTS.len() as u64) as usize];
        let frame = plan(seed, n);
        assert_eq!(rows(&result(&frame)), expected, "seed {seed} in {n} partitions: {}", frame.explain().unwrap());
        if let Some(query) = maybe_one_query(&frame.node().unwrap()) {
            assert_eq!(rows(&query.frame), expected, "seed {seed} as one query: {}", frame.explain().unwrap());
        }
    }
}

#[test]
fn random_plans_on_text_do_not_depend_on_blocks_nor_on_how_they_run() {
    let folder = tempfile::tempdir().unwrap();
    for seed in 0..SEEDS {
        let mut draw = Draw(seed);
        let table = table(&mut draw);
        let columns = COLUMNS.map(|name| table.column(name).unwrap());
        let mut text = "k,x,y\n".to_owned();
        for row in 0..table.height() {
            let fields = columns.map(|column| match column.get(row).unwrap() {
                polars::prelude::AnyValue::Null => String::new(),
                value => value.to_string().replace('"', ""),
            });
            text.push_str(&format!("{}\n", fields.join(",")));
        }
        let path = folder.path().join(format!("{seed}.csv"));
        std::fs::write(&path, text).unwrap();
        let small = Frame::from_frame(df!("k" => ["a", "dd", "zz"]).unwrap(), 1).unwrap();
        let n_steps = 1 + draw.below(4);
        let built = |blocksize: Option<u64>| {
            let mut draw = Draw(draw.0);
            let options = CsvOptions { blocksize, ..CsvOptions::default() };
            let mut frame = read_csv([path.to_str().unwrap()], options).unwrap();
            for _ in 0..n_steps {
                frame = step(&frame, &small, &mut draw);
            }
            frame
        };
        let expected = rows(&result(&built(None)));
        for blocksize in [None, Some(100), Some(3000)] {
            let frame = built(blocksize);
            assert_eq!(rows(&result(&frame)), expected, "seed {seed}, {blocksize:?}: {}", frame.explain().unwrap());
            if let Some(query) = maybe_one_query(&frame.node().unwrap()) {
                assert_eq!(rows(&query.frame), expected, "seed {seed}, {blocksize:?}, one query");
            }
        }
    }
}

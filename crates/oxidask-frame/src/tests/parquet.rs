//! Parquet files: what is read back, in partitions and as one query.

use super::exchange::{as_one_query, ints};
use super::{compute, data, value};
use crate::*;

#[test]
fn parquet_round_trips_with_its_index() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.parquet").to_str().unwrap().to_owned();
    let frame = Frame::from_frame(data(), 1).unwrap();
    let rows = compute(&frame.filter(col("x").lt(10)).unwrap().node().unwrap()).unwrap();
    write_parquet(&rows, &path).unwrap();
    let back = compute(&read_parquet([&path], None).unwrap().node().unwrap()).unwrap();
    assert_eq!(back.index, Index::Levels(1));
    assert!(back.frame.equals_missing(&rows.frame));
    std::fs::write(&path, "no parquet").unwrap();
    assert!(read_parquet([&path], None).err().unwrap().message().contains("x.parquet"));
}

#[test]
fn parquet_files_are_read_as_one_query_with_missing_for_nan() {
    let folder = tempfile::tempdir().unwrap();
    for part in 0..3_i64 {
        let rows = polars::prelude::df!(
            "x" => (part * 100..part * 100 + 100).collect::<Vec<i64>>(),
            "f" => (0..100).map(|i| if i % 10 == 0 { f64::NAN } else { f64::from(i) }).collect::<Vec<_>>(),
        );
        let path = folder.path().join(format!("{part}.parquet"));
        let rows = Partition { frame: rows.unwrap(), index: Index::Range(0) };
        write_parquet(&rows, path.to_str().unwrap()).unwrap();
    }
    let pattern = folder.path().join("*.parquet").to_str().unwrap().to_owned();
    let frame = read_parquet([&pattern], None).unwrap();
    let some = frame.filter(col("f").ge(50) & col("x").lt(250)).unwrap();
    let count = some.reduce(AggFunc::Count, true).unwrap();
    let parts = compute(&count.node().unwrap()).unwrap().frame;
    let query = as_one_query(&count.node().unwrap()).frame;
    // 50 to 99 without 50, 60, 70, 80, 90 of two files, and none of the third,
    // whose first 50 rows are below.
    assert_eq!(ints(&query, ""), [Some(90), Some(90)]);
    assert!(query.equals_missing(&parts));
}

/// A filter's rows in partitions and as one query, which must be the same.
fn kept(frame: &Frame, filter: ColExpr) -> Vec<Option<i64>> {
    let rows = frame.filter(filter).unwrap().select(["x"]).unwrap().node().unwrap();
    let parts = ints(&compute(&rows).unwrap().frame, "x");
    assert_eq!(ints(&as_one_query(&rows).frame, "x"), parts);
    parts
}

#[test]
fn filters_leave_out_what_is_missing_in_every_spelling() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.parquet").to_str().unwrap().to_owned();
    let nan = f64::NAN;
    let rows = df!("x" => [0i64, 1, 2, 3, 4], "f" => [Some(1.0), Some(nan), None, Some(-1.0), Some(2.0)]).unwrap();
    write_parquet(&Partition { frame: rows, index: Index::Range(0) }, &path).unwrap();
    let frame = read_parquet([&path], None).unwrap();
    let all = |numbers: &[i64]| numbers.iter().copied().map(Some).collect::<Vec<_>>();
    assert_eq!(kept(&frame, col("f").gt(0)), all(&[0, 4]), "NaN is not greater than numbers");
    assert_eq!(kept(&frame, col("f").lt(2)), all(&[0, 3]));
    assert_eq!(kept(&frame, col("f").ne(1)), all(&[1, 2, 3, 4]), "missing differs from all numbers");
    assert_eq!(
        kept(&frame, col("f").gt(0).unary(crate::expression::Unary::Not)),
        all(&[1, 2, 3]),
        "what is not greater may be missing"
    );
    assert_eq!(kept(&frame, col("f").gt(0) | col("x").lt(3)), all(&[0, 1, 2, 4]));
    assert_eq!(kept(&frame, col("f").gt(0) & col("x").lt(3)), all(&[0]));
    assert_eq!(kept(&frame, (col("f") * 2).gt(0)), all(&[0, 4]));
}

#[test]
fn times_compare_in_every_unit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.parquet").to_str().unwrap().to_owned();
    let rows = df!("x" => [0i64, 1, 2]).unwrap();
    write_parquet(&Partition { frame: rows, index: Index::Range(0) }, &path).unwrap();
    let frame = read_parquet([&path], None).unwrap();
    let times = frame.with("t", &col("x").cast(DType::Datetime(Unit::Microseconds, None))).unwrap();
    let at = |time, unit| ColExpr::Literal(Scalar::Datetime(time, unit));
    assert_eq!(kept(&times, col("t").gt(at(1000, Unit::Nanoseconds))), [Some(2)]);
    assert_eq!(kept(&times, col("t").le(at(1500, Unit::Nanoseconds))), [Some(0), Some(1)], "no whole microsecond");
    assert_eq!(kept(&times, col("t").ge(at(1, Unit::Microseconds))), [Some(1), Some(2)]);
    assert_eq!(kept(&times, col("t").lt(at(1, Unit::Milliseconds))), [Some(0), Some(1), Some(2)]);
}

#[test]
fn rows_of_files_with_an_index_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.parquet").to_str().unwrap().to_owned();
    let frame = Frame::from_frame(data(), 1).unwrap();
    let indexed = frame.set_index(&frame.column("k").unwrap(), true, false).unwrap();
    write_parquet(&compute(&indexed.node().unwrap()).unwrap(), &path).unwrap();
    let back = read_parquet([&path], None).unwrap();
    assert_eq!(back.meta().index, Index::Levels(1));
    assert_eq!(value(&back.len().unwrap()), 1000.0);
    let few = back.filter(col("x").lt(10)).unwrap().len().unwrap();
    assert_eq!(value(&few), 10.0);
    let counted = as_one_query(&few.node().unwrap()).frame;
    assert_eq!(ints(&counted, counted.get_column_names()[0]), [Some(10)]);
}

#[test]
fn plans_are_explained_in_partitions_and_as_one_query() {
    let folder = tempfile::tempdir().unwrap();
    for part in ["a", "b"] {
        let path = folder.path().join(format!("{part}.parquet"));
        let rows = Partition { frame: data(), index: Index::Range(0) };
        write_parquet(&rows, path.to_str().unwrap()).unwrap();
    }
    let frame = read_parquet([folder.path().join("*.parquet").to_str().unwrap()], None).unwrap();
    let sums = frame.filter(col("x").lt(10)).unwrap().groupby(["k"]).unwrap().agg([("x", AggFunc::Sum)]).unwrap();
    let text = sums.explain().unwrap();
    let (parts, query) = text.split_once("as one query").unwrap();
    assert!(parts.contains("2 files, 2 blocks") && parts.contains("aggregate partially"), "{text}");
    assert!(query.contains("SELECTION: col(\"x\") < 10") && query.contains("PROJECT 2/3 COLUMNS"), "{text}");
    let memory = Frame::from_frame(data(), 1).unwrap().explain().unwrap();
    assert_eq!(memory.trim(), "frame", "one table of one task gains nothing");
}

#[test]
fn a_sort_reads_keys_and_rows_apart() {
    let folder = tempfile::tempdir().unwrap();
    for part in 0..3_i64 {
        let rows = df!("x" => (0..50).map(|i| i * 7919 % 50 + part).collect::<Vec<i64>>(), "y" => vec![part; 50]);
        let path = folder.path().join(format!("{part}.parquet"));
        write_parquet(&Partition { frame: rows.unwrap(), index: Index::Range(0) }, path.to_str().unwrap()).unwrap();
    }
    let pattern = folder.path().join("*.parquet").to_str().unwrap().to_owned();
    let frame = read_parquet([&pattern], None).unwrap();
    let key = SortKey { by: col("x"), descending: false, nulls_last: true };
    let sorted = frame.filter(col("x").ge(1)).unwrap().sort_values(vec![key]).unwrap();
    let node = sorted.node().unwrap();
    let mut expected: Vec<Option<i64>> = (0..150).map(|i| Some(i % 50 + i / 50)).filter(|x| *x >= Some(1)).collect();
    expected.sort();
    assert_eq!(ints(&compute(&node).unwrap().frame, "x"), expected);
    // Six reads for three files: rows that a sample has in common with the exchange would be held, or spilled.
    let roots = oxidask_core::optimize(&[node]).unwrap();
    let (graph, _) = oxidask_core::lower(&roots).unwrap();
    let reads = graph.stages().iter().filter(|stage| stage.op.label() == "read_parquet").count();
    assert_eq!(reads, 2);
}

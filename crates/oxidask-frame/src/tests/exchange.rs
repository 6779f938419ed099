//! Exchanges, joins and windows: the answers do not depend on the number of
//! partitions, nor on whether a plan runs as one query.

use super::{N, compute, data, result};
use crate::window::{Cumulative, Rolling, Window};
use crate::*;
use oxidask_core::ExprRef;

const COUNTS: [usize; 3] = [2, 7, 128];

/// The rows of a plan as one query, run as its task would be.
pub(super) fn as_one_query(expr: &ExprRef) -> Partition {
    maybe_one_query(expr).expect("the plan can be one query")
}

/// The same, where the plan gains by being one query.
pub(super) fn maybe_one_query(expr: &ExprRef) -> Option<Partition> {
    let roots = oxidask_core::optimize(std::slice::from_ref(expr)).unwrap();
    let query = crate::plan::as_query(&roots[0], u64::MAX)?;
    Some(compute(&query).unwrap())
}

pub(super) fn ints(frame: &DataFrame, name: &str) -> Vec<Option<i64>> {
    let column = frame.column(name).unwrap().cast(&polars::prelude::DataType::Int64).unwrap();
    column.i64().unwrap().iter().collect()
}

fn scattered(n_partitions: usize) -> Frame {
    let rows = 0..N;
    let frame = polars::prelude::df!(
        "x" => rows.clone().map(|i| i * 7919 % N).collect::<Vec<_>>(),
        "y" => rows.clone().map(|i| (i % 7 != 0).then_some(i % 13)).collect::<Vec<_>>(),
        "z" => rows.map(|i| i as f64 / 4.0).collect::<Vec<_>>(),
    );
    Frame::from_frame(frame.unwrap(), n_partitions).unwrap()
}

fn key(name: &str, descending: bool) -> SortKey {
    SortKey { by: col(name), descending, nulls_last: true }
}

#[test]
fn sorted_rows_are_in_order_across_partitions() {
    let by = || vec![key("y", true), key("x", false)];
    let whole = result(&scattered(1).sort_values(by()).unwrap());
    assert_eq!(ints(&whole, "y")[0], Some(12));
    assert_eq!(ints(&whole, "y").last().unwrap(), &None);
    for n in COUNTS {
        let sorted = scattered(n).sort_values(by()).unwrap();
        assert_eq!(sorted.n_partitions(), scattered(n).n_partitions());
        assert!(result(&sorted).equals_missing(&whole), "{n} partitions");
        assert!(as_one_query(&sorted.node().unwrap()).frame.equals_missing(&whole), "{n} partitions");
    }
}

#[test]
fn the_head_of_a_sort_exchanges_nothing() {
    let by = || vec![key("y", false), key("x", true)];
    let whole = result(&scattered(1).sort_values(by()).unwrap().head(7, 1).unwrap());
    let head = scattered(9).sort_values(by()).unwrap().select(["x", "y"]).unwrap().head(7, 1).unwrap();
    let rows = result(&head);
    assert_eq!(ints(&rows, "x"), ints(&whole, "x"));
    assert_eq!(ints(&rows, "__index_level_0__"), ints(&whole, "__index_level_0__"));
    assert_eq!(ints(&as_one_query(&head.node().unwrap()).frame, "x"), ints(&whole, "x"));
    let text = head.explain().unwrap();
    assert!(!text.contains("shuffle") && !text.contains("sample"), "{text}");
}

#[test]
fn an_unsorted_column_becomes_an_index_in_order() {
    for n in COUNTS {
        let frame = scattered(n);
        let indexed = frame.set_index(&frame.column("x").unwrap(), true, false).unwrap();
        let rows = result(&indexed);
        assert_eq!(ints(&rows, "__index_level_0__"), (0..N).map(Some).collect::<Vec<_>>());
        let bounds = frame.bounds_of(&frame.column("x").unwrap(), 3).unwrap();
        let bounds = ints(&compute(&bounds.node().unwrap()).unwrap().frame, "x");
        assert_eq!((bounds.len(), bounds[0], bounds[3]), (4, Some(0), Some(N - 1)));
    }
}

#[test]
fn known_divisions_are_kept_and_used() {
    let frame = scattered(9);
    let divisions: Vec<Scalar> = [0, 100, 500, 999].map(Scalar::Int).to_vec();
    let divided = frame.set_index_divided(&frame.column("x").unwrap(), true, divisions.clone()).unwrap();
    assert_eq!(divided.meta().divisions, Some(divisions));
    let first = result(&divided.partitions(&[0]).unwrap());
    assert_eq!(ints(&first, "__index_level_0__"), (0..100).map(Some).collect::<Vec<_>>());
    let some = divided.loc(Some(Scalar::Int(120)), Some(Scalar::Int(130))).unwrap();
    assert_eq!(some.n_partitions(), 1);
    assert_eq!(ints(&result(&some), "__index_level_0__"), (120..=130).map(Some).collect::<Vec<_>>());
    let again = divided.repartition_at([0, 50, 999].map(Scalar::Int).to_vec()).unwrap();
    assert_eq!(ints(&result(&again), "__index_level_0__"), (0..N).map(Some).collect::<Vec<_>>());
    let both = Frame::align(&[divided, again]).unwrap();
    assert_eq!(both[0].meta().divisions, both[1].meta().divisions);
    assert_eq!(both[0].n_partitions(), 4);
    assert!(frame.set_index_divided(&frame.column("x").unwrap(), true, vec![Scalar::Int(3), Scalar::Int(1)]).is_err());
}

#[test]
fn groups_in_many_partitions_are_those_in_one() {
    let all = [("x", AggFunc::Sum), ("z", AggFunc::Mean), ("z", AggFunc::Std(1)), ("x", AggFunc::Count)];
    let hard = [("x", AggFunc::Nunique), ("z", AggFunc::Median)];
    let aggregate = |n: usize, split_out: usize, sort: bool, funcs: &[(&'static str, AggFunc)]| {
        let mut groups = scattered(n).groupby(["y"]).unwrap();
        (groups.split_out, groups.sort) = (split_out, sort);
        let named = funcs.iter().map(|(name, func)| (format!("{name} {func:?}"), *name, *func));
        groups.agg_as(named).unwrap()
    };
    for funcs in [&all[..], &hard[..]] {
        let whole = result(&aggregate(1, 1, true, funcs));
        assert_eq!(whole.height(), 13);
        for n in COUNTS {
            let apart = aggregate(n, 5, true, funcs);
            assert_eq!(apart.n_partitions(), 5);
            close(&result(&apart), &whole);
            close(&as_one_query(&apart.node().unwrap()).frame, &whole);
            close(&as_one_query(&aggregate(n, 1, true, funcs).node().unwrap()).frame, &whole);
            let unsorted = result(&aggregate(n, 5, false, funcs));
            close(&unsorted.sort(["__index_level_0__"], Default::default()).unwrap(), &whole);
        }
    }
}

/// Equal up to rounding.
fn close(a: &DataFrame, b: &DataFrame) {
    assert_eq!(a.schema(), b.schema());
    assert_eq!(a.height(), b.height());
    for (x, y) in a.columns().iter().zip(b.columns()) {
        if !x.dtype().is_float() {
            assert!(x.equals_missing(y), "{x:?} {y:?}");
            continue;
        }
        for (x, y) in x.f64().unwrap().iter().zip(y.f64().unwrap().iter()) {
            match (x, y) {
                (Some(x), Some(y)) => assert!((x - y).abs() <= 1e-9 * y.abs().max(1.0), "{x} {y}"),
                other => assert_eq!(other, (None, None)),
            }
        }
    }
}

#[test]
fn duplicates_go_wherever_they_are() {
    for n in COUNTS {
        for split_out in [1, 4] {
            let subset = ["y".to_owned()];
            let rows = result(&scattered(n).drop_duplicates(Some(&subset), Keep::First, split_out).unwrap());
            let mut kept = ints(&rows, "__index_level_0__");
            kept.sort();
            let firsts = (0..14).filter(|i| *i != 7).chain([20]);
            assert_eq!(kept, firsts.map(Some).collect::<Vec<_>>(), "{n} {split_out}");
        }
        let single = scattered(n).drop_duplicates(Some(&["x".to_owned()]), Keep::Neither, 1).unwrap();
        assert_eq!(result(&single).height() as i64, N);
        let none = scattered(n).drop_duplicates(Some(&["y".to_owned()]), Keep::Neither, 1).unwrap();
        assert_eq!(result(&none).height(), 0);
    }
}

/// Pairs of rows by the simplest means: every row of the left with every other.
fn pairs(how: JoinHow, left: &DataFrame, right: &DataFrame) -> Vec<(Option<i64>, Option<i64>)> {
    let (lk, rk) = (ints(left, "k"), ints(right, "k"));
    let (a, b) = (ints(left, "a"), ints(right, "b"));
    let mut all = Vec::new();
    for (i, key) in lk.iter().enumerate() {
        let matches: Vec<usize> = (0..rk.len()).filter(|j| rk[*j] == *key).collect();
        match how {
            JoinHow::Semi if !matches.is_empty() => all.push((a[i], None)),
            JoinHow::Anti if matches.is_empty() => all.push((a[i], None)),
            JoinHow::Semi | JoinHow::Anti => {}
            JoinHow::Cross => all.extend(b.iter().map(|b| (a[i], *b))),
            _ => all.extend(matches.iter().map(|j| (a[i], b[*j]))),
        }
        if matches.is_empty() && matches!(how, JoinHow::Left | JoinHow::Outer) {
            all.push((a[i], None));
        }
    }
    if matches!(how, JoinHow::Right | JoinHow::Outer) {
        let alone = (0..rk.len()).filter(|j| !lk.contains(&rk[*j]));
        all.extend(alone.map(|j| (None, b[j])));
    }
    all.sort();
    all
}

#[test]
fn joins_are_those_of_every_row_with_every_other() {
    let left = polars::prelude::df!(
        "k" => (0..60_i64).map(|i| (i % 11 != 5).then_some(i % 11)).collect::<Vec<_>>(),
        "a" => (0..60_i64).collect::<Vec<_>>(),
    )
    .unwrap();
    let right = polars::prelude::df!(
        "k" => (0..30_i64).map(|i| (i % 17 != 3).then_some(i % 17)).collect::<Vec<_>>(),
        "b" => (0..30_i64).collect::<Vec<_>>(),
    )
    .unwrap();
    let on = ["k".to_owned()];
    let all =
        [JoinHow::Inner, JoinHow::Left, JoinHow::Right, JoinHow::Outer, JoinHow::Semi, JoinHow::Anti, JoinHow::Cross];
    for how in all {
        let expected = pairs(how, &left, &right);
        for (n, m) in [(1, 1), (1, 4), (5, 1), (5, 4), (60, 30)] {
            let a = Frame::from_frame(left.clone(), n).unwrap();
            let b = Frame::from_frame(right.clone(), m).unwrap();
            let keys: &[String] = if how == JoinHow::Cross { &[] } else { &on };
            let joined = a.merge(&b, &Merge { how, ..Merge::on(keys) }).unwrap();
            let check = |rows: &DataFrame| {
                let b = if joined.column("b").is_ok() { ints(rows, "b") } else { vec![None; rows.height()] };
                let mut got: Vec<_> = ints(rows, "a").into_iter().zip(b).collect();
                got.sort();
                assert_eq!(got, expected, "{how:?} of {n} and {m} partitions");
            };
            check(&result(&joined));
            // Both sides shuffled, as where neither is small.
            if how != JoinHow::Cross && n > 1 {
                let (a, b) = (a.shuffle(["k"], 3).unwrap(), b.shuffle(["k"], 3).unwrap());
                check(&result(&a.merge(&b, &Merge { how, ..Merge::on(keys) }).unwrap()));
            }
            if n * m > 1 {
                check(&as_one_query(&joined.node().unwrap()).frame);
            }
        }
    }
}

#[test]
fn indicators_say_on_which_side_a_row_was() {
    let left = Frame::from_frame(df!("k" => [1i64, 2]).unwrap(), 2).unwrap();
    let right = Frame::from_frame(df!("k" => [2i64, 3]).unwrap(), 1).unwrap();
    let on = ["k".to_owned()];
    let how = JoinHow::Outer;
    let merged = left.merge(&right, &Merge { how, indicator: Some("_merge"), ..Merge::on(&on) }).unwrap();
    let rows = result(&merged).sort(["k"], Default::default()).unwrap();
    let sides = rows.column("_merge").unwrap().cast(&polars::prelude::DataType::String).unwrap();
    let sides: Vec<Option<&str>> = sides.str().unwrap().iter().collect();
    assert_eq!(sides, [Some("left_only"), Some("both"), Some("right_only")]);
}

#[test]
fn filters_and_columns_move_below_joins() {
    let wide = Frame::from_frame(data(), 4).unwrap().with("v", &(col("x") + 1)).unwrap();
    let other = Frame::from_frame(data(), 3).unwrap();
    let on = ["x".to_owned()];
    let joined = wide.merge(&other, &Merge::on(&on)).unwrap();
    let some = joined.filter(col("k_x").eq("a") & col("x").lt(100)).unwrap();
    let sum = some.groupby(["k_x"]).unwrap().agg([("v", AggFunc::Sum)]).unwrap();
    let text = sum.explain().unwrap();
    let merge = text.lines().position(|line| line.trim() == "merge").unwrap();
    let filter = text.lines().position(|line| line.contains("filter")).unwrap();
    assert!(filter > merge, "{text}");
    let direct = wide.filter(col("k").eq("a") & col("x").lt(100)).unwrap();
    let direct = direct.groupby(["k"]).unwrap().agg([("v", AggFunc::Sum)]).unwrap();
    assert_eq!(ints(&result(&sum), "v"), ints(&result(&direct), "v"));
}

#[test]
fn windows_reach_across_the_borders_of_partitions() {
    let all = [
        Window::Shift(1),
        Window::Shift(-3),
        Window::Diff(2),
        Window::Diff(-1),
        Window::Rolling { func: Rolling::Sum, size: 5, min_periods: 5, center: false },
        Window::Rolling { func: Rolling::Mean, size: 4, min_periods: 1, center: true },
        Window::Rolling { func: Rolling::Max, size: 3, min_periods: 2, center: true },
        Window::Cumulative(Cumulative::Sum),
        Window::Cumulative(Cumulative::Max),
        Window::ForwardFill,
        Window::BackwardFill,
    ];
    for window in all {
        let compute_with = |n: usize| {
            let frame = scattered(n);
            let column = frame.column("y").unwrap().window(window.clone()).unwrap();
            let both = frame.with_column("w", &column).unwrap().with("d", &(col("w") - col("y"))).unwrap();
            (result(&both), as_query_if_many(&both, n))
        };
        let whole = compute_with(1).0;
        for n in COUNTS {
            let (parts, query) = compute_with(n);
            close(&parts, &whole);
            if let Some(query) = query {
                close(&query, &whole);
            }
        }
    }
}

fn as_query_if_many(frame: &Frame, n: usize) -> Option<DataFrame> {
    (n > 1).then(|| as_one_query(&frame.node().unwrap()).frame)
}

#[test]
fn frames_of_other_columns_are_put_under_each_other() {
    let a = Frame::from_frame(df!("x" => [1i64, 2], "s" => ["a", "b"]).unwrap(), 2).unwrap();
    let b = Frame::from_frame(df!("y" => [true], "x" => [0.5]).unwrap(), 1).unwrap();
    let rows = result(&Frame::concat(&[a.clone(), b]).unwrap());
    assert_eq!(rows.height(), 3);
    let x = rows.column("x").unwrap().f64().unwrap().iter().collect::<Vec<_>>();
    assert_eq!(x, [Some(1.0), Some(2.0), Some(0.5)]);
    assert_eq!(rows.column("s").unwrap().null_count(), 1);
    let other = Frame::from_frame(df!("x" => ["text"]).unwrap(), 1).unwrap();
    assert!(Frame::concat(&[a, other]).err().unwrap().to_string().contains("'x'"));
}

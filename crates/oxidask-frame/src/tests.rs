//! Whole plans: built, optimised, lowered and run here one task after another,
//! with every op and every value sent through its codec on the way.

use crate::*;
use oxidask_core::registry::{decode_op, decode_value};
use oxidask_core::{ExprRef, Graph, Result, Source, Value};
use polars::prelude::{ChunkAgg, DataType, Expr, IntoLazy};

fn travelled(value: Value) -> Result<Value> {
    decode_value(value.data().kind(), value.data().encode()?)
}

fn evaluate(graph: &Graph) -> Result<Vec<Value>> {
    let mut values: Vec<Value> = Vec::new();
    for (task, row) in graph.tasks().iter().enumerate() {
        values.push(match row.source() {
            Source::Data(data) => graph.data_values()[data as usize].clone(),
            Source::Held => unreachable!("nothing is held in tests"),
            Source::Run(stage) => {
                let op = decode_op(&graph.stages()[stage as usize].op.encode()?)?;
                let inputs = graph.inputs_of(task as u32).iter();
                let inputs: Vec<Value> =
                    inputs.map(|input| values[input.task as usize].part(input.part_idx())).collect::<Result<_>>()?;
                travelled(op.run(u64::from(row.block), &inputs)?)?
            }
        });
    }
    graph.outputs.iter().map(|output| values[output.task as usize].part(output.part_idx())).collect()
}

fn compute(expr: &ExprRef) -> Result<Partition> {
    let roots = oxidask_core::optimize(std::slice::from_ref(expr))?;
    let (graph, _) = oxidask_core::lower(&roots)?;
    let values = evaluate(&graph)?;
    let partitions: Vec<&Partition> = values.iter().map(|value| value.expect::<Partition>()).collect::<Result<_>>()?;
    Partition::concat(&partitions)
}

fn result(frame: &Frame) -> DataFrame {
    compute(&frame.node().unwrap()).unwrap().frame
}

fn value(column: &Column) -> f64 {
    let rows = compute(&column.node().unwrap()).unwrap().frame;
    assert_eq!(rows.height(), 1);
    rows.columns().last().unwrap().cast(&DataType::Float64).unwrap().f64().unwrap().get(0).unwrap_or(f64::NAN)
}

mod exchange;
mod parquet;
mod random;

const N: i64 = 1000;

fn data() -> DataFrame {
    let rows = 0..N;
    df!(
        "k" => rows.clone().map(|i| ["b", "a", "d", "c"][(i * 7 % 4) as usize]).collect::<Vec<_>>(),
        "x" => rows.clone().collect::<Vec<_>>(),
        "y" => rows.clone().map(|i| (i % 10 != 3).then_some(i as f64 * 0.5 + 1e6)).collect::<Vec<_>>(),
    )
    .unwrap()
}

#[test]
fn groups_do_not_depend_on_the_number_of_partitions() {
    let all = [
        ("x", AggFunc::Sum),
        ("x", AggFunc::Mean),
        ("y", AggFunc::Count),
        ("y", AggFunc::Var(1)),
        ("y", AggFunc::Std(1)),
        ("y", AggFunc::Min),
        ("y", AggFunc::Max),
        ("y", AggFunc::First),
        ("y", AggFunc::Last),
        ("x", AggFunc::Nunique),
        ("y", AggFunc::Median),
        ("x", AggFunc::Size),
    ];
    let named = |func: &(&'static str, AggFunc)| (format!("{} {:?}", func.0, func.1), func.0, func.1);
    let aggregate = |n| {
        let frame = Frame::from_frame(data(), n).unwrap();
        result(&frame.groupby(["k"]).unwrap().agg_as(all.iter().map(named)).unwrap())
    };
    let whole = aggregate(1);
    assert_eq!(whole.height(), 4);
    let keys = whole.column("__index_level_0__").unwrap().str().unwrap();
    assert_eq!(keys.iter().flatten().collect::<Vec<_>>(), ["a", "b", "c", "d"]);
    let direct = data().lazy().filter(col_("k").eq(lit_("a")));
    let direct = direct.select([col_("y").var(1), col_("x").sum().alias("s")]).collect().unwrap();
    let first = |frame: &DataFrame, name: &str| {
        frame.column(name).unwrap().cast(&DataType::Float64).unwrap().f64().unwrap().get(0).unwrap()
    };
    assert!((first(&whole, "y Var(1)") / first(&direct, "y") - 1.0).abs() < 1e-9);
    assert_eq!(first(&whole, "x Sum"), first(&direct, "s"));
    for n in [2, 7, 127, 128, 129, 1000] {
        let parts = aggregate(n);
        assert_eq!(parts.get_column_names(), whole.get_column_names());
        for (a, b) in parts.columns().iter().zip(whole.columns()) {
            if a.dtype().is_float() {
                let pairs = a.f64().unwrap().iter().zip(b.f64().unwrap().iter());
                pairs.for_each(|(a, b)| assert!((a.unwrap() / b.unwrap() - 1.0).abs() < 1e-9, "{n}"));
            } else {
                assert!(a.equals_missing(b), "{n} partitions: {a:?} {b:?}");
            }
        }
    }
}

fn col_(name: &str) -> Expr {
    polars::lazy::dsl::col(name)
}

fn lit_(value: &str) -> Expr {
    polars::lazy::dsl::lit(value)
}

#[test]
fn columns_filters_and_reductions() {
    let frame = Frame::from_frame(data(), 7).unwrap();
    let frame = frame.with("z", &(col("x") * 2 + col("y"))).unwrap();
    let some = frame.filter(col("x").ge(500).and_(col("k").eq("a"))).unwrap();
    let rows = result(&some);
    assert_eq!(rows.height(), 125);
    assert_eq!(rows.column("__index_level_0__").unwrap().i64().unwrap().get(0), Some(503), "labels stay");
    assert_eq!(value(&frame.len().unwrap()), N as f64);
    assert_eq!(value(&frame.column("x").unwrap().reduce(AggFunc::Sum).unwrap()), (N * (N - 1) / 2) as f64);
    assert_eq!(value(&frame.column("y").unwrap().reduce(AggFunc::Count).unwrap()), 900.0);
    assert_eq!(value(&frame.column("k").unwrap().reduce(AggFunc::Nunique).unwrap()), 4.0);
    let sums = compute(&frame.reduce(AggFunc::Sum, true).unwrap().node().unwrap()).unwrap();
    assert_eq!((sums.n_rows(), sums.index), (3, Index::Levels(1)));
    let counts = compute(&frame.column("k").unwrap().value_counts(true, false, true, false).unwrap().node().unwrap());
    assert_eq!(counts.unwrap().frame.column("count").unwrap().i64().unwrap().get(3), Some(250));
}

trait And {
    fn and_(self, other: ColExpr) -> ColExpr;
}

impl And for ColExpr {
    fn and_(self, other: ColExpr) -> ColExpr {
        self & other
    }
}

#[test]
fn heads_tails_orders_and_kinds() {
    let frame = Frame::from_frame(data(), 9).unwrap();
    let xs = |frame: &Frame| result(frame).column("x").unwrap().i64().unwrap().iter().flatten().collect::<Vec<_>>();
    assert_eq!(xs(&frame.head(3, 1).unwrap()), [0, 1, 2]);
    assert_eq!(xs(&frame.tail(2).unwrap()), [998, 999]);
    let down = |name: &str| vec![SortKey { by: col(name), descending: true, nulls_last: true }];
    assert_eq!(xs(&frame.top(down("x"), 2).unwrap()), [999, 998]);
    assert_eq!(xs(&frame.sort_values(down("x")).unwrap())[..2], [999, 998]);
    assert_eq!(xs(&frame.drop_duplicates(Some(&["k".to_owned()]), Keep::First, 1).unwrap()), [0, 1, 2, 3]);
    assert_eq!(xs(&frame.drop_duplicates(Some(&["k".to_owned()]), Keep::Last, 1).unwrap()), [996, 997, 998, 999]);
    for n in [1, 4, 9, 20, 2000] {
        let other = frame.repartition(n).unwrap();
        assert_eq!(other.n_partitions(), n);
        let rows = compute(&other.node().unwrap()).unwrap();
        assert_eq!((rows.n_rows(), rows.index), (N as usize, Index::Range(0)));
    }
}

#[test]
fn merges_meet_equal_keys() {
    let left = Frame::from_frame(df!("k" => [1i64, 2, 2, 3], "v" => ["a", "b", "c", "d"]).unwrap(), 3).unwrap();
    let right = df!("k" => [2.0, 3.0, 4.0], "v" => ["x", "y", "z"]).unwrap();
    let on = ["k".to_owned()];
    for n in [1, 2, 5] {
        let right = Frame::from_frame(right.clone(), n).unwrap();
        let rows = |how| {
            let merge = Merge { how, left_on: &on, right_on: &on, suffixes: ("_x", "_y"), indicator: None };
            result(&left.merge(&right, &merge).unwrap())
        };
        assert_eq!(rows(JoinHow::Inner).height(), 3);
        assert_eq!(rows(JoinHow::Left).height(), 4);
        assert_eq!(rows(JoinHow::Right).height(), 4);
        let outer = rows(JoinHow::Outer);
        assert_eq!(outer.height(), 5);
        assert_eq!(outer.get_column_names()[outer.width() - 3..], ["k", "v_x", "v_y"]);
        assert_eq!(outer.column("k").unwrap().null_count(), 0);
    }
}

#[test]
fn only_what_is_needed_is_read() {
    let folder = tempfile::tempdir().unwrap();
    for part in 0..3 {
        let text = format!("a,b,c\n{part},x,0.5\n{part},y,1.5\n");
        std::fs::write(folder.path().join(format!("{part}.csv")), text).unwrap();
    }
    let pattern = folder.path().join("*.csv").to_str().unwrap().to_owned();
    let frame = read_csv([&pattern], CsvOptions::default()).unwrap();
    assert_eq!(frame.n_partitions(), 3);
    let sums = frame.filter(col("b").eq("y")).unwrap().groupby(["a"]).unwrap().agg([("c", AggFunc::Sum)]).unwrap();
    let plan = sums.explain().unwrap();
    let parts = plan.split("\n\n").next().unwrap();
    assert_eq!(parts.lines().count(), 2, "the filter and the first half of the sums run in the reader:\n{plan}");
    assert_eq!(result(&sums).column("c").unwrap().f64().unwrap().sum(), Some(4.5));
    assert_eq!(value(&frame.len().unwrap()), 6.0);
    // The last file is broken; a head of the first must not notice.
    std::fs::write(folder.path().join("2.csv"), "a,b,c\n1,2,3,4\n").unwrap();
    let frame = read_csv([&pattern], CsvOptions::default()).unwrap();
    assert_eq!(result(&frame.head(2, 1).unwrap()).height(), 2);
    let error = compute(&frame.node().unwrap()).unwrap_err();
    assert!(error.message().contains("2.csv, line 2: expected 3 fields, saw 4"), "{error}");
}

#[test]
fn mistakes_are_named_where_they_are_made() {
    let frame = Frame::from_frame(data(), 2).unwrap();
    let hint = |error: oxidask_core::Error| error.hint().unwrap_or_default().to_owned();
    assert!(hint(frame.filter(col("xx").gt(1)).err().unwrap()).contains("did you mean x"));
    assert!(frame.filter(col("x") + 1).err().unwrap().message().contains("a filter needs booleans"));
    assert!(
        frame
            .with("z", &(col("k") + col("x")))
            .err()
            .unwrap()
            .message()
            .contains("cannot compute 'k' of type str + 'x'")
    );
    let error = frame.groupby(["k"]).unwrap().agg([("k", AggFunc::Mean)]).err().unwrap();
    assert!(error.message().contains("mean needs numbers"), "{error}");
    assert!(frame.partitions(&[2]).is_err());
}

#[test]
fn missing_is_never_nan_and_compares_as_in_pandas() {
    let frame = df!("a" => [Some(0.0), Some(1.0), None], "i" => [0i64, 2, -3]).unwrap();
    let frame = Frame::from_frame(frame, 1).unwrap();
    let column = |expr: ColExpr| {
        let node = frame.eval(Some("r"), &expr).unwrap().node().unwrap();
        compute(&node).unwrap().frame.column("r").unwrap().clone()
    };
    assert_eq!(column(col("a") / col("a")).null_count(), 2, "0/0 is missing");
    assert_eq!(column((col("a") / col("a")).eq(1.0)).bool().unwrap().sum(), Some(1));
    assert_eq!(column(col("a").ne(1.0)).bool().unwrap().sum(), Some(2));
    assert_eq!(column(col("i") % 2).i64().unwrap().iter().collect::<Vec<_>>(), [Some(0), Some(0), Some(1)]);
    assert_eq!(column(col("i").binary(expression::Binary::FloorDivide, 2)).i64().unwrap().get(2), Some(-2));
    assert_eq!(column(col("i").is_in([2_i64, 5])).bool().unwrap().sum(), Some(1));
}

//! Whole arrays against plain loops, run by the simplest executor there can be.

mod dtypes;
mod linalg;
mod order;
mod selection;

use crate::array::{Array, assemble};
use crate::reduction::Options;
use crate::{Block, ChunkSpec, DType, Index, creation, random, s};
use oxidask_core::graph::Source;
use oxidask_core::optimize::plan_text;
use oxidask_core::registry::decode_op;
use oxidask_core::{ExprRef, Graph, Result, Value};
use proptest::prelude::*;

/// Runs all tasks in order, each op after a journey through its encoded form,
/// and checks that results have the announced sizes.
fn run(graph: &Graph) -> Result<Vec<Value>> {
    let sizes = graph.output_bytes();
    let mut values: Vec<Value> = Vec::with_capacity(graph.len());
    for (idx, task) in graph.tasks().iter().enumerate() {
        let inputs = graph
            .inputs_of(idx as u32)
            .iter()
            .map(|input| values[input.task as usize].part(input.part_idx()))
            .collect::<Result<Vec<Value>>>()?;
        values.push(match task.source() {
            Source::Run(stage) => {
                let op = decode_op(&graph.stages()[stage as usize].op.encode()?)?;
                let value = op.run(u64::from(task.block), &inputs)?;
                if let Some(size) = sizes[idx] {
                    assert_eq!(value.nbytes(), size, "size of {}", op.label());
                }
                value
            }
            Source::Data(data) => graph.data_values()[data as usize].clone(),
            Source::Held => panic!("nothing is held"),
        });
    }
    graph.outputs.iter().map(|output| values[output.task as usize].part(output.part_idx())).collect()
}

fn block_of(array: &Array, optimized: bool) -> Block {
    let mut roots: Vec<ExprRef> = vec![array.expr().clone()];
    if optimized {
        roots = oxidask_core::optimize(&roots).unwrap();
        let meta = roots[0].meta().downcast_ref::<crate::ArrayMeta>().unwrap();
        assert_eq!(meta.dtype, array.dtype());
        assert_eq!(meta.chunks, *array.chunks(), "optimising keeps the meta: {}", plan_text(&roots[0]));
    }
    let (graph, _) = oxidask_core::lower(&roots).unwrap();
    assemble(array.meta(), &run(&graph).unwrap()).unwrap()
}

/// The elements, computed with and without optimising, which must agree.
fn floats(array: &Array) -> Vec<f64> {
    let array = array.astype(DType::F64).unwrap();
    let plain = block_of(&array, false).to_vec::<f64>().unwrap();
    let optimized = block_of(&array, true).to_vec::<f64>().unwrap();
    for (a, b) in plain.iter().zip(&optimized) {
        assert!((a - b).abs() <= 1e-12 * a.abs().max(1.0) || (a.is_nan() && b.is_nan()), "{a} {b}");
    }
    optimized
}

fn counted(shape: &[usize], chunks: &[usize]) -> Array {
    let n: usize = shape.iter().product();
    let block = Block::from_vec((0..n).map(|i| i as f64).collect(), shape);
    Array::from_block(block, &chunks.iter().map(|&size| ChunkSpec::Size(size)).collect::<Vec<_>>()).unwrap()
}

fn n_tasks(array: &Array) -> usize {
    let roots = oxidask_core::optimize(&[array.expr().clone()]).unwrap();
    oxidask_core::lower(&roots).unwrap().0.len()
}

#[test]
fn elementwise_with_broadcast_and_unequal_chunks() {
    let x = counted(&[4, 6], &[3, 4]);
    let y = counted(&[6], &[5]);
    let z = x.mul(2.0).unwrap().add(&y).unwrap();
    let expected: Vec<f64> = (0..24).map(|i| f64::from(2 * i + i % 6)).collect();
    assert_eq!(floats(&z), expected);
    let error = x.add(counted(&[5], &[5])).err().unwrap();
    assert!(error.message().contains("(4, 6)") && error.message().contains("(5,)"), "{error}");
}

#[test]
fn the_slide_reads_only_what_is_needed() {
    let x = random::Generator::new(1).normal(0.0, 1.0, &[100, 100], &[10, 10]).unwrap();
    let y = x.add(x.t()).unwrap().slice(&s![(.., 2), 50..]).unwrap().mean(Some(&[1]), false).unwrap();
    let plan = y.explain().unwrap();
    assert_eq!(plan, "mean axes [1] of add(normal[200, 1], normal[2, 100])\n");
    assert_eq!(n_tasks(&y), 50 + 10, "one partial a block, one result a row of blocks");
    let whole = floats(&x);
    let expected: Vec<f64> = (0..50)
        .map(|i| (50..100).map(|j| whole[2 * i * 100 + j] + whole[j * 100 + 2 * i]).sum::<f64>() / 50.0)
        .collect();
    for (a, b) in floats(&y).iter().zip(expected) {
        assert!((a - b).abs() < 1e-12);
    }
}

#[test]
fn plans_fuse_and_shared_work_stays_shared() {
    let x = counted(&[8, 8], &[4, 4]);
    let y = Array::apply("add", &[x.sin().unwrap().pow(2).unwrap().into(), x.cos().unwrap().pow(2).unwrap().into()]);
    let total = y.unwrap().sum(None, false).unwrap();
    assert_eq!(
        total.explain().unwrap(),
        "sum axes [0, 1] of add(square(sin(x0)), square(cos(x0)))\n  array float64 [8, 8]\n"
    );
    assert!((floats(&total)[0] - 64.0).abs() < 1e-12);
    // A diamond whose sides fuse takes its root along.
    let a = x.exp().unwrap();
    let b = a.add(1.0).unwrap().mul(a.add(2.0).unwrap()).unwrap();
    assert_eq!(n_tasks(&b), 4 + 4);
    // Work that two results read is done once.
    let e = x.exp().unwrap();
    let roots = [e.sum(None, false).unwrap(), e.slice(&s![1]).unwrap()].map(|array| array.expr().clone());
    let roots = oxidask_core::optimize(&roots).unwrap();
    let text: String = roots.iter().map(plan_text).collect();
    assert_eq!(text.matches("blockwise exp(x0)").count(), 2, "{text}");
}

#[test]
fn views_cost_nothing_and_rechunks_disappear() {
    let x = counted(&[6, 4], &[3, 2]);
    assert_eq!(x.t().t().explain().unwrap(), "array float64 [6, 4]\n");
    let r = random::Generator::new(1).random(&[100], &[10]).unwrap();
    assert_eq!(n_tasks(&r.rechunk(&[ChunkSpec::Size(50)]).unwrap()), 2);
    assert_eq!(n_tasks(&x.rechunk(&[ChunkSpec::Whole]).unwrap()), 1);
    let far = x.exp().unwrap().slice(&s![(1.., 2), ..]).unwrap().slice(&s![Index::NewAxis, 0, -1]).unwrap();
    assert_eq!(far.shape().as_slice(), [1]);
    assert!((floats(&far)[0] - 7.0_f64.exp()).abs() < 1e-9);
}

#[test]
fn creation_follows_positions() {
    let x = creation::arange(10.into(), (-3).into(), (-3).into(), None, &[2.into()]).unwrap();
    assert_eq!((x.dtype(), floats(&x)), (DType::I64, vec![10.0, 7.0, 4.0, 1.0, -2.0]));
    let x = creation::arange(0.0.into(), 1.0.into(), 0.25.into(), None, &[3.into()]).unwrap();
    assert_eq!(floats(&x), [0.0, 0.25, 0.5, 0.75]);
    assert_eq!(floats(&creation::linspace(0.0, 1.0, 5, true, None, &[2.into()]).unwrap()), [0.0, 0.25, 0.5, 0.75, 1.0]);
    let eye = creation::eye(3, 4, 1, DType::I8, &[2.into()]).unwrap();
    assert_eq!(floats(&eye.slice(&s![.., (.., -1)]).unwrap()), [0., 0., 1., 0., 0., 1., 0., 0., 1., 0., 0., 0.]);
    assert_eq!(floats(&creation::ones(&[2], DType::F32, &[1.into()]).unwrap().t()), [1.0, 1.0]);
}

#[test]
fn positions_of_extremes() {
    let block = Block::from_vec(vec![3, 9, 1, 9, 0, 0], &[2, 3]);
    let x = Array::from_block(block, &[ChunkSpec::Size(1), ChunkSpec::Size(2)]).unwrap();
    let arg = |name, axes| floats(&x.reduce(name, &Options { axes, ..Options::default() }).unwrap());
    assert_eq!(arg("argmax", None), [1.0]);
    assert_eq!(arg("argmin", None), [4.0]);
    assert_eq!(arg("argmax", Some(&[0][..])), [1.0, 0.0, 0.0]);
    assert_eq!(arg("argmin", Some(&[1][..])), [2.0, 1.0]);
    let empty = creation::zeros(&[0, 3], DType::F64, &[2.into()]).unwrap();
    assert!(empty.min(None, false).is_err());
    assert_eq!(floats(&empty.sum(Some(&[0]), false).unwrap()), [0.0; 3]);
}

#[test]
fn products_of_all_kinds() {
    let (a, b) = (counted(&[5, 30], &[2, 3]), counted(&[30, 4], &[3, 3]));
    let expected = |i: usize, j: usize| (0..30).map(|k| ((i * 30 + k) * (k * 4 + j)) as f64).sum::<f64>();
    let product = floats(&a.matmul(&b).unwrap());
    assert!((0..5).all(|i| (0..4).all(|j| product[i * 4 + j] == expected(i, j))));
    let ints = a.astype(DType::I64).unwrap().matmul(&b.astype(DType::I32).unwrap()).unwrap();
    assert_eq!((ints.dtype(), floats(&ints)), (DType::I64, product.clone()));
    assert_eq!(floats(&b.t().matmul(&a.t()).unwrap().t()), product);
    let v = counted(&[30], &[7]);
    assert_eq!(floats(&v.dot(&v).unwrap()), [(0..30).map(|k| f64::from(k * k)).sum::<f64>()]);
    let stack = counted(&[2, 3, 4], &[1, 2, 2]);
    let batched = floats(&stack.matmul(&counted(&[4, 2], &[3, 1])).unwrap());
    for at in 0..2 {
        for i in 0..3 {
            for j in 0..2 {
                let sum: f64 = (0..4).map(|k| ((at * 12 + i * 4 + k) * (k * 2 + j)) as f64).sum();
                assert_eq!(batched[at * 6 + i * 2 + j], sum);
            }
        }
    }
    assert!(a.matmul(&a).is_err());
}

#[test]
fn joined_and_reshaped() {
    let (x, y) = (counted(&[2, 3], &[1, 2]), counted(&[2, 2], &[2, 2]));
    assert_eq!(floats(&Array::concatenate(&[x.clone(), y], -1).unwrap()), [0., 1., 2., 0., 1., 3., 4., 5., 2., 3.]);
    let stacked = Array::stack(&[x.clone(), x.clone()], 1).unwrap();
    assert_eq!(stacked.shape().as_slice(), [2, 2, 3]);
    assert_eq!(floats(&stacked), [0., 1., 2., 0., 1., 2., 3., 4., 5., 3., 4., 5.]);
    for shape in [vec![6], vec![3, 2], vec![1, 6, 1], vec![2, 3, 1], vec![-1, 2]] {
        assert_eq!(floats(&x.reshape(&shape).unwrap()), [0., 1., 2., 3., 4., 5.], "{shape:?}");
    }
    let big = counted(&[12, 10], &[3, 4]);
    assert_eq!(floats(&big.reshape(&[4, 3, 10]).unwrap()), floats(&big));
    assert_eq!(big.reshape(&[4, 3, 10]).unwrap().chunks().n_along(0), 4, "rows of blocks stay blocks");
    assert!(x.reshape(&[4]).is_err());
}

#[test]
fn sums_stay_accurate() {
    let n = 1_000_000;
    let tenth = creation::full(&[n], 0.1, None, &[ChunkSpec::Size(300_000)]).unwrap();
    let sum = floats(&tenth.sum(None, false).unwrap())[0];
    assert!((sum - 1e5).abs() < 1e-15 * 1e5, "{sum}");
    let singles = creation::full(&[n], 0.1, Some(DType::F32), &[ChunkSpec::Size(1000)]).unwrap();
    let mean = floats(&singles.mean(None, false).unwrap())[0];
    assert_eq!(mean, f64::from(0.1_f32));
    let offset =
        creation::arange(0.into(), 1000.into(), 1.into(), None, &[ChunkSpec::Size(77)]).unwrap().add(1e9).unwrap();
    let variance = floats(&offset.reduce("var", &Options::default()).unwrap())[0];
    assert!((variance - (1e6 - 1.0) / 12.0).abs() < 1e-3, "{variance}");
}

/// A shape of up to three axes and chunks for it.
fn shapes() -> impl Strategy<Value = (Vec<usize>, Vec<usize>)> {
    proptest::collection::vec((1_usize..9, 1_usize..5), 1..4).prop_map(|axes| axes.into_iter().unzip())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn slices_are_those_of_the_whole(
        (shape, chunks) in shapes(),
        entries in proptest::collection::vec((-9_i64..9, -9_i64..9, prop_oneof![-3_i64..0, 1_i64..4]), 3),
    ) {
        let index: Vec<Index> = entries
            .iter()
            .take(shape.len())
            .map(|&(start, stop, step)| Index::Slice { start: Some(start), stop: Some(stop), step })
            .collect();
        let x = counted(&shape, &chunks);
        let whole = x.whole().slice(&index).unwrap();
        let sliced = x.mul(2.0).unwrap().t().t().slice(&index).unwrap();
        let expected: Vec<f64> = floats(&whole).iter().map(|value| 2.0 * value).collect();
        prop_assert_eq!(floats(&sliced), expected);
    }

    #[test]
    fn reductions_are_those_of_the_whole((shape, chunks) in shapes(), mask in 0_usize..8, keepdims: bool) {
        let axes: Vec<i64> = (0..shape.len()).filter(|axis| mask >> axis & 1 == 1).map(|axis| axis as i64).collect();
        let x = counted(&shape, &chunks);
        let view = x.t();
        let view_axes: Vec<i64> = axes.iter().map(|axis| shape.len() as i64 - 1 - axis).collect();
        for name in ["sum", "max", "min", "mean", "std", "any", "all"] {
            let options = Options { axes: Some(&axes), keepdims, split_every: Some(2), ..Options::default() };
            let whole = floats(&x.whole().reduce(name, &options).unwrap());
            let blocked = floats(&x.reduce(name, &options).unwrap());
            let viewed = Options { axes: Some(&view_axes), ..options };
            let turned = floats(&view.reduce(name, &viewed).unwrap().t());
            for ((a, b), c) in whole.iter().zip(&blocked).zip(&turned) {
                prop_assert!((a - b).abs() <= 1e-12 * a.abs() && (a - c).abs() <= 1e-12 * a.abs(), "{} {} {} {}", name, a, b, c);
            }
        }
    }

    #[test]
    fn rechunking_changes_nothing((shape, chunks) in shapes(), seed in 1_usize..5) {
        let x = counted(&shape, &chunks).exp().unwrap().add(counted(&shape, &chunks)).unwrap();
        let other: Vec<ChunkSpec> = chunks.iter().map(|size| ChunkSpec::Size(1 + (size + seed) % 4)).collect();
        prop_assert_eq!(floats(&x.rechunk(&other).unwrap()), floats(&x));
    }

    #[test]
    fn random_numbers_ignore_chunks((shape, chunks) in shapes()) {
        let specs: Vec<ChunkSpec> = chunks.iter().map(|&size| ChunkSpec::Size(size)).collect();
        let blocked = random::Generator::new(3).normal(1.0, 2.0, &shape, &specs).unwrap();
        let whole = random::Generator::new(3).normal(1.0, 2.0, &shape, &[ChunkSpec::Whole]).unwrap();
        prop_assert_eq!(floats(&blocked), floats(&whole));
        prop_assert_eq!(floats(&blocked.t().rechunk(&[ChunkSpec::Size(2)]).unwrap()), floats(&whole.t()));
    }
}

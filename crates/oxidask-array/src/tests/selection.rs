//! Indexing by arrays, against plain loops.

use super::*;
use crate::chunks::UNKNOWN;

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn taken_positions_are_those_of_the_whole(
        (shape, chunks) in shapes(),
        axis in 0_usize..3,
        seeds in proptest::collection::vec(0_usize..100, 0..12),
    ) {
        let axis = axis % shape.len();
        let x = counted(&shape, &chunks);
        let positions: Vec<i64> = seeds.iter().map(|seed| (seed % shape[axis]) as i64 - (seed % 2 * shape[axis]) as i64).collect();
        let taken = x.mul(3.0).unwrap().take(&positions, axis as i64).unwrap();
        let inner: usize = shape[axis + 1..].iter().product();
        let outer: usize = shape[..axis].iter().product();
        let mut expected = Vec::new();
        for o in 0..outer {
            for &p in &positions {
                let p = if p < 0 { p + shape[axis] as i64 } else { p } as usize;
                expected.extend((0..inner).map(|i| 3.0 * ((o * shape[axis] + p) * inner + i) as f64));
            }
        }
        prop_assert_eq!(floats(&taken), expected);
    }

    #[test]
    fn masks_keep_numpys_order((shape, chunks) in shapes(), modulus in 2_i64..5) {
        let x = counted(&shape, &chunks);
        let mask = Array::apply("remainder", &[(&x).into(), modulus.into()]).unwrap().ne(0).unwrap();
        let n: usize = shape.iter().product();
        let kept: Vec<f64> = (0..n).filter(|i| *i as i64 % modulus != 0).map(|i| i as f64).collect();
        let masked = x.add(1.0).unwrap().masked(&mask).unwrap();
        let expected: Vec<f64> = kept.iter().map(|x| x + 1.0).collect();
        prop_assert_eq!(floats(&masked), expected.clone());
        let total: f64 = expected.iter().sum();
        prop_assert_eq!(floats(&masked.sum(None, false).unwrap()), vec![total]);
        prop_assert_eq!(floats(&masked.mul(2.0).unwrap().sum(None, false).unwrap()), vec![2.0 * total]);
        let mean = floats(&masked.mean(None, false).unwrap())[0];
        prop_assert!(expected.is_empty() || (mean - total / expected.len() as f64).abs() < 1e-12);
        prop_assert_eq!(floats(&masked.whole()), expected);
    }

    #[test]
    fn points_are_single_elements((shape, chunks) in shapes(), seeds in proptest::collection::vec(0_usize..1000, 0..20)) {
        let x = counted(&shape, &chunks);
        let points: Vec<Vec<i64>> = shape.iter().enumerate().map(|(axis, &length)| seeds.iter().map(|seed| ((seed * (axis + 7)) % length) as i64).collect()).collect();
        let expected: Vec<f64> = (0..seeds.len())
            .map(|i| shape.iter().zip(&points).fold(0, |at, (&length, list)| at * length + list[i] as usize) as f64)
            .collect();
        prop_assert_eq!(floats(&x.points(&points).unwrap()), expected);
    }
}

#[test]
fn axes_of_unknown_length_flow_on() {
    let x = counted(&[6, 4], &[2, 3]);
    let mask = Array::from_block(
        Block::from_vec([1, 0, 0, 0, 1, 1].map(crate::dtype::Bool).to_vec(), &[6]),
        &[ChunkSpec::Size(4)],
    )
    .unwrap();
    let kept = x.compress(&mask, 0).unwrap();
    assert_eq!(kept.shape()[0], UNKNOWN);
    let expected = [0., 1., 2., 3., 16., 17., 18., 19., 20., 21., 22., 23.];
    assert_eq!(floats(&kept), expected);
    assert_eq!(floats(&kept.add(&kept).unwrap().sum(Some(&[0]), false).unwrap()), [72., 78., 84., 90.]);
    assert_eq!(floats(&kept.mean(Some(&[0]), false).unwrap()), [12., 13., 14., 15.]);
    assert_eq!(floats(&kept.std(Some(&[1]), false).unwrap()), [1.25_f64.sqrt(); 3]);
    assert_eq!(floats(&kept.t().slice(&s![1]).unwrap()), [1., 17., 21.]);
    assert_eq!(floats(&kept.rechunk(&[ChunkSpec::Keep, ChunkSpec::Whole]).unwrap()), expected);
    assert_eq!(floats(&kept.rechunk(&[ChunkSpec::Whole, ChunkSpec::Size(3)]).unwrap()), expected);
    assert_eq!(floats(&Array::concatenate(&[kept.clone(), x.clone()], 0).unwrap())[..12], expected);
    assert_eq!(floats(&kept.matmul(&x.t()).unwrap())[..2], [14.0, 38.0]);
    let lengths = floats(&kept.chunk_lengths(0).unwrap());
    assert_eq!(lengths, [1., 0., 2.]);
    let sized = kept.with_chunk_sizes(&[vec![1, 0, 2], vec![3, 1]]).unwrap();
    assert_eq!(floats(&sized.slice(&s![(.., -1)]).unwrap())[..4], [20., 21., 22., 23.]);
    for error in [kept.slice(&s![0]).err(), kept.reshape(&[-1]).err(), kept.add(&x).err()] {
        assert!(error.unwrap().message().contains("nan"), "the shape is named");
    }
    assert!(kept.add(x.compress(&mask.rechunk(&[ChunkSpec::Size(3)]).unwrap(), 0).unwrap().t()).is_err());
}

/// Makes a block of its own number.
#[oxidask_macros::op("array.test.numbered")]
#[derive(serde::Serialize, serde::Deserialize)]
struct Numbered {}

impl oxidask_core::Op for Numbered {
    fn run(&self, block: u64, _: &[Value]) -> Result<Value> {
        Ok(Value::new(Block::from_vec(vec![block as f64; 6], &[2, 3])))
    }
}

#[test]
fn slices_of_blocks_from_outside_make_only_what_they_need() {
    let chunks = crate::Chunks::from_sizes([vec![2; 4], vec![3; 5]]);
    let meta = crate::ArrayMeta { chunks, dtype: DType::F64 };
    let key = oxidask_core::Key::named("numbered");
    let x = Array::from_op(std::sync::Arc::new(Numbered {}), key, meta).unwrap();
    let part = x.slice(&s![3..5, 4]).unwrap();
    assert_eq!(floats(&part), [6.0, 11.0]);
    assert_eq!(n_tasks(&part), 2 + 2, "two blocks are made and two sliced");
    let turned = x.slice(&s![(.., -3), (3..10, 2)]).unwrap();
    assert_eq!(floats(&turned), [16., 16., 17., 18., 11., 11., 12., 13., 1., 1., 2., 3.]);
}

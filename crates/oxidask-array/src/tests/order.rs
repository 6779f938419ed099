//! Sorting, scans and transforms, against plain loops.

use super::*;
use crate::fourier::{Kind, Norm};
use crate::order::Interpolation;

/// Calls `each` with the positions of every lane along an axis.
fn lanes(shape: &[usize], axis: usize, mut each: impl FnMut(Vec<usize>)) {
    let inner: usize = shape[axis + 1..].iter().product();
    let outer: usize = shape[..axis].iter().product();
    for o in 0..outer {
        for i in 0..inner {
            each((0..shape[axis]).map(|k| (o * shape[axis] + k) * inner + i).collect());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn functions_of_lanes((shape, chunks) in shapes(), axis in 0_usize..3, k in 1_i64..4) {
        let axis = axis % shape.len();
        let x = Array::apply("remainder", &[counted(&shape, &chunks).mul(7.0).unwrap().into(), 11.0.into()]).unwrap();
        let values = floats(&x);
        let (mut sorted, mut order, mut sums, mut medians) = (values.clone(), values.clone(), values.clone(), Vec::new());
        lanes(&shape, axis, |lane| {
            let mut ranked = lane.clone();
            ranked.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
            let mut sum = 0.0;
            for (place, &from) in lane.iter().zip(&ranked) {
                sorted[*place] = values[from];
                order[*place] = lane.iter().position(|at| at == &from).unwrap() as f64;
                sum += values[*place];
                sums[*place] = sum;
            }
            let (low, high) = (ranked[(ranked.len() - 1) / 2], ranked[ranked.len() / 2]);
            medians.push(0.5 * (values[low] + values[high]));
        });
        let signed = axis as i64;
        prop_assert_eq!(floats(&x.sort(signed).unwrap()), sorted.clone());
        prop_assert_eq!(floats(&x.argsort(signed).unwrap()), order);
        prop_assert_eq!(floats(&x.cumulative("cumsum", signed, None).unwrap()), sums);
        let median = x.quantiles(&[0.5], signed, Interpolation::Linear, false).unwrap();
        prop_assert_eq!(floats(&median.squeeze(Some(&[signed])).unwrap()), medians);
        let top = x.topk(-k, signed).unwrap();
        let mut firsts = Vec::new();
        let inner: usize = shape[axis + 1..].iter().product();
        for (at, value) in sorted.iter().enumerate() {
            if at / inner % shape[axis] < k as usize {
                firsts.push(*value);
            }
        }
        prop_assert_eq!(floats(&top), firsts);
    }

    #[test]
    fn transforms_are_sums_of_waves((shape, chunks) in shapes(), axis in 0_usize..3, extra in 0_usize..3) {
        let axis = axis % shape.len();
        let x = counted(&shape, &chunks).sin().unwrap();
        let values = floats(&x);
        let n = shape[axis] + extra;
        let spectrum = x.fourier(Kind::Fft, Some(n), axis as i64, Norm::Backward).unwrap();
        let real = floats(&Array::apply("real", &[spectrum.clone().into()]).unwrap());
        let imaginary = floats(&Array::apply("imag", &[spectrum.clone().into()]).unwrap());
        let mut long = shape.clone();
        long[axis] = n;
        let mut from = Vec::new();
        lanes(&shape, axis, |lane| from.push(lane));
        let mut at = 0;
        lanes(&long, axis, |lane| {
            for (k, &place) in lane.iter().enumerate() {
                let wave = |j: usize| -std::f64::consts::TAU * (j * k % n) as f64 / n as f64;
                let (mut re, mut im) = (0.0, 0.0);
                for (j, &own) in from[at].iter().enumerate() {
                    re += values[own] * wave(j).cos();
                    im += values[own] * wave(j).sin();
                }
                assert!((re - real[place]).abs() < 1e-9 && (im - imaginary[place]).abs() < 1e-9);
            }
            at += 1;
        });
        let back = spectrum.fourier(Kind::Ifft, None, axis as i64, Norm::Backward).unwrap();
        let back = floats(&Array::apply("real", &[back.into()]).unwrap().slice(&s![..]).unwrap());
        prop_assert!(back.len() == long.iter().product::<usize>());
        let half = x.fourier(Kind::Rfft, Some(n), axis as i64, Norm::Ortho).unwrap();
        let whole = half.fourier(Kind::Irfft, Some(n), axis as i64, Norm::Ortho).unwrap();
        let whole = floats(&whole);
        prop_assert!(back.iter().zip(&whole).all(|(a, b)| (a - b).abs() < 1e-9));
    }
}

#[test]
fn running_products_without_nan() {
    let block = Block::from_vec(vec![2.0, f64::NAN, 3.0, 4.0], &[4]);
    let x = Array::from_block(block, &[ChunkSpec::Size(2)]).unwrap();
    assert_eq!(floats(&x.cumulative("nancumprod", 0, None).unwrap()), [2.0, 2.0, 6.0, 24.0]);
    assert_eq!(floats(&x.cumulative("nancumsum", 0, None).unwrap()), [2.0, 2.0, 5.0, 9.0]);
    assert!(floats(&x.cumulative("cumsum", 0, None).unwrap())[1].is_nan());
    assert!(x.cumulative("cummax", 0, None).is_err() && x.cumulative("cumsum", 1, None).is_err());
    let many = counted(&[10_000], &[9_000]);
    let sums = floats(&many.cumulative("cumsum", 0, None).unwrap());
    assert!((0..10_000).all(|i| sums[i] == (i * (i + 1) / 2) as f64));
}

#[test]
fn counts_and_searches() {
    let x = counted(&[4, 5], &[3, 2]);
    let counts = x.histogram(&[0.0, 5.0, 10.0, 15.0], None).unwrap();
    assert_eq!((counts.dtype(), floats(&counts)), (DType::I64, vec![5.0, 5.0, 6.0]));
    assert_eq!(floats(&x.histogram(&[0.0, 1.0, 19.0], None).unwrap()), [1.0, 19.0]);
    let weighted = x.histogram(&[0.0, 10.0, 20.0], Some(&x.rechunk(&[ChunkSpec::Size(2)]).unwrap())).unwrap();
    assert_eq!(floats(&weighted), [45.0, 145.0]);
    assert!(x.histogram(&[1.0, 0.0], None).is_err() && x.histogram(&[0.0], None).is_err());
    let list = counted(&[4], &[2]);
    let wanted = Array::from_block(Block::from_vec(vec![-1, 0, 2, 9], &[4]), &[ChunkSpec::Size(3)]).unwrap();
    assert_eq!(floats(&list.searchsorted(&wanted, false).unwrap()), [0.0, 0.0, 2.0, 4.0]);
    assert_eq!(floats(&list.searchsorted(&wanted, true).unwrap()), [0.0, 1.0, 3.0, 4.0]);
    let few = Array::apply("remainder", &[(&x).into(), 3.0.into()]).unwrap();
    assert_eq!(floats(&few.unique().unwrap()), [0.0, 1.0, 2.0]);
}

#[test]
fn rims_of_neighbours() {
    use crate::overlap::{Boundary, Rim};
    let x = counted(&[6], &[3]);
    let rims = |boundary| [Rim { before: 2, after: 1, boundary }];
    let seen = |boundary| floats(&x.overlap(&rims(boundary)).unwrap());
    assert_eq!(seen(Boundary::Nothing), [0., 1., 2., 3., 1., 2., 3., 4., 5.]);
    assert_eq!(seen(Boundary::Periodic), [4., 5., 0., 1., 2., 3., 1., 2., 3., 4., 5., 0.]);
    assert_eq!(seen(Boundary::Reflect), [1., 0., 0., 1., 2., 3., 1., 2., 3., 4., 5., 5.]);
    assert_eq!(seen(Boundary::Nearest), [0., 0., 0., 1., 2., 3., 1., 2., 3., 4., 5., 5.]);
    assert_eq!(seen(Boundary::Constant(7.0.into())), [7., 7., 0., 1., 2., 3., 1., 2., 3., 4., 5., 7.]);
    for boundary in [Boundary::Nothing, Boundary::Periodic, Boundary::Constant(7.0.into())] {
        let y = counted(&[6, 8], &[3, 4]);
        let rims = [Rim { before: 1, after: 2, boundary }; 2];
        let back = y.overlap(&rims).unwrap().trim(&rims).unwrap();
        assert_eq!(back.chunks(), y.chunks());
        assert_eq!(floats(&back), floats(&y));
    }
    assert!(x.overlap(&[Rim { before: 4, after: 0, boundary: Boundary::Nothing }]).is_err());
}

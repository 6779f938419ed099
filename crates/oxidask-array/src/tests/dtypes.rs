//! Dtypes beyond plain numbers.

use super::*;
use crate::dtype::{C128, Ticks};
use num_complex::Complex;

fn complexes(values: &[(f64, f64)]) -> Array {
    let values: Vec<C128> = values.iter().map(|&(re, im)| C128(Complex::new(re, im))).collect();
    let n = values.len();
    Array::from_block(Block::from_vec(values, &[n]), &[ChunkSpec::Size(2)]).unwrap()
}

fn parts(array: &Array) -> Vec<(f64, f64)> {
    let values = block_of(&array.astype(DType::C128).unwrap(), true).to_vec::<C128>().unwrap();
    values.into_iter().map(|z| (z.0.re, z.0.im)).collect()
}

#[test]
fn complex_numbers() {
    let z = complexes(&[(1.0, 2.0), (3.0, -4.0), (0.0, 1.0)]);
    assert_eq!(parts(&z.mul(&z).unwrap()), [(-3.0, 4.0), (-7.0, -24.0), (-1.0, 0.0)]);
    assert_eq!(parts(&z.div(&z).unwrap()), [(1.0, 0.0); 3]);
    let size = z.abs().unwrap();
    assert_eq!((size.dtype(), floats(&size)[1]), (DType::F64, 5.0));
    assert_eq!(parts(&z.sum(None, false).unwrap()), [(4.0, -1.0)]);
    assert_eq!(parts(&z.mean(None, false).unwrap()), [(4.0 / 3.0, -1.0 / 3.0)]);
    let variance = z.reduce("var", &Options::default()).unwrap();
    assert!((floats(&variance)[0] - (14.0 / 9.0 + 62.0 / 9.0)).abs() < 1e-12);
    let conj = Array::apply("conj", &[(&z).into()]).unwrap();
    assert_eq!(parts(&conj)[1], (3.0, 4.0));
    let e = parts(&z.mul(0.0).unwrap().exp().unwrap());
    assert_eq!(e, [(1.0, 0.0); 3]);
    assert_eq!(z.add(1.5).unwrap().dtype(), DType::C128);
    assert!(z.floor_div(2).is_err() && Array::apply("floor", &[z.into()]).is_err());
    let products = complexes(&[(1.0, 1.0), (2.0, 0.0)]);
    assert_eq!(parts(&products.dot(&products).unwrap()), [(4.0, 2.0)]);
}

#[test]
fn half_precision() {
    let x = counted(&[5], &[2]).astype(DType::F16).unwrap();
    let y = x.mul(0.5).unwrap().add(1.0).unwrap();
    assert_eq!((y.dtype(), floats(&y)), (DType::F16, vec![1.0, 1.5, 2.0, 2.5, 3.0]));
    assert_eq!(x.astype(DType::I8).unwrap().sin().unwrap().dtype(), DType::F16);
    assert_eq!(floats(&x.mean(None, false).unwrap()), [2.0]);
}

fn times(name: &str, ticks: &[i64]) -> Array {
    let values: Vec<Ticks> = ticks.iter().map(|&ticks| Ticks(ticks)).collect();
    let block = Block::from_vec_as(DType::from_name(name).unwrap(), values, &[ticks.len()]);
    Array::from_block(block, &[ChunkSpec::Size(2)]).unwrap()
}

fn ticks(array: &Array) -> Vec<i64> {
    block_of(array, true).to_vec::<Ticks>().unwrap().into_iter().map(|ticks| ticks.0).collect()
}

#[test]
fn moments_and_spans() {
    let days = times("datetime64[D]", &[0, 31, i64::MIN]);
    let hours = times("timedelta64[h]", &[1, 2, 3]);
    let later = days.add(&hours).unwrap();
    assert_eq!((later.dtype().name(), ticks(&later)), ("datetime64[h]", vec![1, 31 * 24 + 2, i64::MIN]));
    let span = days.sub(days.slice(&s![(.., -1)]).unwrap()).unwrap();
    assert_eq!((span.dtype().name(), ticks(&span)), ("timedelta64[D]", vec![i64::MIN, 0, i64::MIN]));
    assert_eq!(floats(&hours.div(times("timedelta64[m]", &[30, 30, 45])).unwrap()), [2.0, 4.0, 4.0]);
    assert_eq!(ticks(&hours.mul(2).unwrap()), [2, 4, 6]);
    assert_eq!(ticks(&hours.sum(None, false).unwrap()), [6]);
    assert_eq!(ticks(&hours.max(None, false).unwrap()), [3]);
    assert_eq!(ticks(&days.max(None, false).unwrap()), [i64::MIN], "no time wins");
    assert_eq!(ticks(&days.reduce("nanmax", &Options::default()).unwrap()), [31]);
    let months = days.astype(DType::from_name("datetime64[M]").unwrap()).unwrap();
    assert_eq!(ticks(&months), [0, 1, i64::MIN]);
    assert_eq!(floats(&days.isnan().unwrap()), [0.0, 0.0, 1.0]);
    assert_eq!(floats(&days.lt(days.add(1).unwrap()).unwrap()), [1.0, 1.0, 0.0]);
    assert!(days.add(&days).is_err() && days.mul(2).is_err() && days.sum(None, false).is_err());
}

#[test]
fn opaque_elements_move_but_do_not_count() {
    let text = DType::from_name("<U3").unwrap();
    let bytes: Vec<u8> = (0..6 * 12).map(|i| i as u8).collect();
    let block = Block::from_buffer(text, bytes::Bytes::from(bytes.clone()), 0, &[3, 2], &[2, 1]);
    // The allocator may not have aligned the bytes for text.
    let Ok(block) = block else { return };
    let x = Array::from_block(block, &[ChunkSpec::Size(2), ChunkSpec::Size(1)]).unwrap();
    let moved =
        x.t().slice(&s![.., (.., -1)]).unwrap().rechunk(&[ChunkSpec::Size(1)]).unwrap().take(&[0, 0, 2], 1).unwrap();
    let found = block_of(&moved, true).to_contiguous();
    let (buffer, offset) = found.buffer();
    let element = |i: usize| &buffer[(offset + i) * 12..(offset + i + 1) * 12];
    for (i, from) in [4, 4, 0, 5, 5, 1].into_iter().enumerate() {
        assert_eq!(element(i), &bytes[from * 12..(from + 1) * 12]);
    }
    assert!(x.add(&x).is_err() && x.sum(None, false).is_err() && x.sort(0).is_err() && x.astype(DType::F64).is_err());
}

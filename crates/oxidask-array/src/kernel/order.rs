//! Functions of lanes that compare elements: sorting and quantiles.

use super::multiversion;
use super::number::Number;
use super::sort::sort as sort_integers;
use crate::dtype::{Bool, DType, Ticks};
use half::f16;
use oxidask_core::{Error, Result};
use serde::{Deserialize, Serialize};
use std::mem::MaybeUninit;

/// What a quantile is where it falls between two elements: NumPy's methods.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are NumPy's")]
pub enum Interpolation {
    Linear,
    Lower,
    Higher,
    Midpoint,
    Nearest,
    Weibull,
    Hazen,
    MedianUnbiased,
    NormalUnbiased,
    InterpolatedInvertedCdf,
    InvertedCdf,
    /// As linear, but between two elements always their mean: medians.
    Mean,
}

impl Interpolation {
    /// The method with NumPy's name.
    ///
    /// # Errors
    /// If there is none.
    pub fn from_name(name: &str) -> Result<Self> {
        Ok(match name {
            "linear" => Interpolation::Linear,
            "lower" => Interpolation::Lower,
            "higher" => Interpolation::Higher,
            "midpoint" => Interpolation::Midpoint,
            "nearest" => Interpolation::Nearest,
            "weibull" => Interpolation::Weibull,
            "hazen" => Interpolation::Hazen,
            "median_unbiased" => Interpolation::MedianUnbiased,
            "normal_unbiased" => Interpolation::NormalUnbiased,
            "interpolated_inverted_cdf" => Interpolation::InterpolatedInvertedCdf,
            "inverted_cdf" => Interpolation::InvertedCdf,
            "mean" => Interpolation::Mean,
            _ => return Err(Error::unsupported(format!("quantiles have no method '{name}'"))),
        })
    }

    /// Where a share of `n` elements lies, counted from 0 between them.
    fn position(self, n: usize, share: f64) -> f64 {
        let n = n as f64;
        let between = |alpha: f64, beta: f64| n * share + (alpha + share * (1.0 - alpha - beta)) - 1.0;
        let position = match self {
            Interpolation::Weibull => between(0.0, 0.0),
            Interpolation::Hazen => between(0.5, 0.5),
            Interpolation::MedianUnbiased => between(1.0 / 3.0, 1.0 / 3.0),
            Interpolation::NormalUnbiased => between(0.375, 0.375),
            Interpolation::InterpolatedInvertedCdf => between(0.0, 1.0),
            Interpolation::InvertedCdf => (n * share).ceil() - 1.0,
            _ => (n - 1.0) * share,
        };
        let position = match self {
            Interpolation::Lower => position.floor(),
            Interpolation::Higher => position.ceil(),
            Interpolation::Nearest => position.round_ties_even(),
            Interpolation::Midpoint => 0.5 * (position.floor() + position.ceil()),
            _ => position,
        };
        position.clamp(0.0, n - 1.0)
    }
}

/// A real number as an integer of the same order, so that all dtypes are sorted
/// by the same code. What is not a number is the largest.
pub trait Sortable: Number {
    /// The integer of this element.
    fn to_key(self) -> i64;
    /// The element of an integer.
    fn from_key(key: i64) -> Self;
}

macro_rules! sortable {
    ($($type:ty: |$x:ident| $to:expr, |$key:ident| $from:expr;)*) => {
        $(impl Sortable for $type {
            #[inline(always)]
            fn to_key(self) -> i64 {
                let $x = self;
                $to
            }

            #[inline(always)]
            fn from_key($key: i64) -> Self {
                $from
            }
        })*
    };
}
sortable! {
    Bool: |x| i64::from(x.get()), |key| Bool::from(key != 0);
    i8: |x| x.into(), |key| key as i8;
    i16: |x| x.into(), |key| key as i16;
    i32: |x| x.into(), |key| key as i32;
    i64: |x| x, |key| key;
    u8: |x| x.into(), |key| key as u8;
    u16: |x| x.into(), |key| key as u16;
    u32: |x| x.into(), |key| key as u32;
    u64: |x| (x ^ (1 << 63)) as i64, |key| key as u64 ^ (1 << 63);
    f16: |x| x.to_f64().to_key(), |key| f16::from_f64(f64::from_key(key));
    f32: |x| f64::from(x).to_key(), |key| f64::from_key(key) as f32;
    f64: |x| if x.is_nan() { i64::MAX } else { turned(x.to_bits() as i64) },
        |key| if key == i64::MAX { f64::NAN } else { f64::from_bits(turned(key) as u64) };
    Ticks: |x| if x.is_none() { i64::MAX } else { x.0 },
        |key| if key == i64::MAX { Ticks::NONE } else { Ticks(key) };
}

/// Turns over all bits but the sign of a negative number, which makes the bits
/// of floats ascend; its own inverse.
#[inline(always)]
fn turned(bits: i64) -> i64 {
    bits ^ (((bits >> 63) as u64) >> 1) as i64
}

multiversion! {
    fn write_keys<T: Sortable>(lane: &[T], out: &mut [MaybeUninit<i64>]) {
        for (out, &x) in out.iter_mut().zip(lane) {
            out.write(x.to_key());
        }
    }
}

multiversion! {
    fn read_keys<T: Sortable>(keys: &[i64], lane: &mut [T]) {
        for (x, &key) in lane.iter_mut().zip(keys) {
            *x = T::from_key(key);
        }
    }
}

/// The bits of an element as large as an integer, as that element and back.
#[inline(always)]
fn of_bits<T: Sortable>(bits: i64) -> T {
    debug_assert_eq!(size_of::<T>(), size_of::<i64>());
    // SAFETY: the sizes are equal, and every pattern of bits is an element.
    unsafe { std::mem::transmute_copy(&bits) }
}

#[inline(always)]
fn to_bits<T: Sortable>(x: T) -> i64 {
    debug_assert_eq!(size_of::<T>(), size_of::<i64>());
    // SAFETY: the sizes are equal, and every pattern of bits is an integer.
    unsafe { std::mem::transmute_copy(&x) }
}

multiversion! {
    fn to_keys_in_place<T: Sortable>(bits: &mut [i64]) {
        for bits in bits.iter_mut() {
            *bits = of_bits::<T>(*bits).to_key();
        }
    }
}

multiversion! {
    fn from_keys_in_place<T: Sortable>(keys: &mut [i64]) {
        for key in keys.iter_mut() {
            *key = to_bits(T::from_key(*key));
        }
    }
}

/// The integers of a lane.
fn keys_of<T: Sortable>(lane: &[T]) -> Vec<i64> {
    let mut keys = Vec::with_capacity(lane.len());
    write_keys(lane, keys.spare_capacity_mut());
    // SAFETY: there is room for one key for every element, and all were written.
    unsafe { keys.set_len(lane.len()) };
    keys
}

/// Sorts a lane in ascending order, NaN last.
pub fn sort<T: Sortable>(lane: &mut [T]) {
    if size_of::<T>() == size_of::<i64>() {
        // SAFETY: the elements are as large as their integers, aligned for them,
        // and of types for which every pattern of bits is valid.
        let keys = unsafe { std::slice::from_raw_parts_mut(lane.as_mut_ptr().cast::<i64>(), lane.len()) };
        to_keys_in_place::<T>(keys);
        sort_integers(keys);
        return from_keys_in_place::<T>(keys);
    }
    let mut keys = keys_of(lane);
    sort_integers(&mut keys);
    read_keys(&keys, lane);
}

/// Appends the positions of a lane's elements in ascending order; those of
/// equal elements stay in order.
pub fn argsort<T: Sortable>(lane: &[T], positions: &mut Vec<i64>) {
    // Both zeros are equal, though their bits are not.
    let key = |x: T| if x == T::ZERO { T::ZERO.to_key() } else { x.to_key() };
    argsort_keys(lane.iter().map(|&x| key(x)).zip(0..).collect(), positions);
}

fn argsort_keys(mut pairs: Vec<(i64, i64)>, positions: &mut Vec<i64>) {
    pairs.sort_unstable();
    positions.extend(pairs.into_iter().map(|pair| pair.1));
}

/// Appends the `k` largest (or smallest) elements of a lane, the most extreme
/// first.
pub fn top<T: Sortable>(lane: &[T], k: usize, largest: bool, out: &mut Vec<T>) {
    let mut keys = keys_of(lane);
    top_keys(&mut keys, k, largest);
    out.extend(keys.into_iter().map(T::from_key));
}

fn top_keys(keys: &mut Vec<i64>, k: usize, largest: bool) {
    let k = k.min(keys.len());
    // The complement of an integer turns the order around.
    let turn = |keys: &mut [i64]| {
        if largest {
            keys.iter_mut().for_each(|key| *key = !*key)
        }
    };
    turn(keys);
    if k > 0 && k < keys.len() {
        keys.select_nth_unstable(k - 1);
    }
    keys.truncate(k);
    keys.sort_unstable();
    turn(keys);
}

/// Sorts a lane and keeps each of equal elements once.
pub fn distinct<T: Sortable>(lane: &[T]) -> Vec<T> {
    let mut keys = keys_of(lane);
    sort_integers(&mut keys);
    keys.dedup();
    keys.into_iter().map(T::from_key).collect()
}

/// A lane of real numbers as floats.
pub fn floats<T: Number>(lane: &[T], out: &mut Vec<f64>) {
    out.clear();
    // SAFETY: both are plain memory for as many elements as the lane has.
    unsafe {
        out.reserve(lane.len());
        super::cast::cast(T::DTYPE, DType::F64, lane.as_ptr().cast(), out.as_mut_ptr().cast(), lane.len());
        out.set_len(lane.len());
    }
}

/// Appends the quantiles of a lane, whose elements are reordered.
pub fn quantiles(
    lane: &mut Vec<f64>,
    shares: &[f64],
    interpolation: Interpolation,
    ignores_nan: bool,
    out: &mut Vec<f64>,
) {
    if ignores_nan {
        lane.retain(|x| !x.is_nan());
    }
    if lane.is_empty() || lane.iter().any(|x| x.is_nan()) {
        out.extend(shares.iter().map(|_| f64::NAN));
        return;
    }
    // A few quantiles are selected; for many the lane is sorted.
    let is_sorted = shares.len() > 4;
    if is_sorted {
        sort(lane);
    }
    for &share in shares {
        let position = interpolation.position(lane.len(), share);
        let (below, weight) = (position.floor() as usize, position - position.floor());
        let (low, high) = if is_sorted {
            (lane[below], lane[(below + 1).min(lane.len() - 1)])
        } else {
            let (_, low, above) = lane.select_nth_unstable_by(below, f64::total_cmp);
            let low = *low;
            // The next one is the smallest of those above.
            let high = if weight == 0.0 { low } else { above.iter().copied().fold(f64::INFINITY, f64::min) };
            (low, high)
        };
        out.push(if weight == 0.0 {
            low
        } else if interpolation == Interpolation::Mean {
            0.5 * (low + high)
        } else if weight >= 0.5 {
            // As NumPy does, so that rounding keeps quantiles in order.
            high - (high - low) * (1.0 - weight)
        } else {
            low + (high - low) * weight
        });
    }
}

#[cfg(test)]
mod tests {
    use super::super::sort::RADIX_FROM;
    use super::*;

    #[test]
    fn lanes_sort_with_nan_last() {
        for n in [0_usize, 1, 50, RADIX_FROM, RADIX_FROM + 13] {
            let mut lane: Vec<f64> = (0..n).map(|i| ((i * 7919) % 1009) as f64 - 500.0).collect();
            let mut expected = lane.clone();
            expected.sort_by(f64::total_cmp);
            if n > 3 {
                lane[2] = f64::NAN;
                lane[3] = f64::NEG_INFINITY;
                lane[0] = -0.0;
                expected.clone_from(&lane);
                expected.sort_by(|a, b| a.partial_cmp(b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan())));
            }
            sort(&mut lane);
            assert!(lane.iter().zip(&expected).all(|(a, b)| a == b || (a.is_nan() && b.is_nan())), "{n}");
        }
        for x in [0_u64, 1, u64::MAX, 1 << 63] {
            assert_eq!(u64::from_key(x.to_key()), x);
        }
        assert!((-1.5_f32).to_key() < 0.0_f32.to_key() && f32::from_key((-1.5_f32).to_key()) == -1.5);
        assert_eq!(distinct(&[2.0, 1.0, f64::NAN, 2.0])[..2], [1.0, 2.0]);
        let mut positions = Vec::new();
        argsort(&[3, 1, 1, 2], &mut positions);
        assert_eq!(positions, [1, 2, 3, 0]);
        let mut best = Vec::new();
        top(&[3, 1, 4, 1, 5], 2, true, &mut best);
        top(&[3, 1, 4, 1, 5], 9, false, &mut best);
        assert_eq!(best, [5, 4, 1, 1, 3, 4, 5]);
    }

    #[test]
    fn quantiles_are_numpys() {
        // numpy.quantile([1, 2, 4, 8], q, method=...)
        let cases = [
            (Interpolation::Linear, 0.5, 3.0),
            (Interpolation::Linear, 0.9, 6.8),
            (Interpolation::Lower, 0.5, 2.0),
            (Interpolation::Higher, 0.5, 4.0),
            (Interpolation::Midpoint, 0.9, 6.0),
            (Interpolation::Nearest, 0.9, 8.0),
            (Interpolation::Hazen, 0.9, 8.0),
            (Interpolation::Weibull, 0.3, 1.5),
            (Interpolation::Mean, 0.5, 3.0),
        ];
        for (method, share, expected) in cases {
            for shares in [vec![share], vec![share; 6]] {
                let mut out = Vec::new();
                quantiles(&mut vec![8.0, 1.0, 4.0, 2.0], &shares, method, false, &mut out);
                assert!((out[0] - expected).abs() < 1e-12, "{method:?} {share}: {out:?}");
            }
        }
        let mut out = Vec::new();
        quantiles(&mut vec![f64::NAN, 1.0], &[0.5], Interpolation::Linear, false, &mut out);
        quantiles(&mut vec![f64::NAN, 1.0], &[0.5], Interpolation::Linear, true, &mut out);
        assert!(out[0].is_nan() && out[1] == 1.0);
    }
}

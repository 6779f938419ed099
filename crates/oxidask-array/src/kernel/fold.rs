//! Loops that fold many elements into few.
//!
//! A row is folded in `LANES` interleaved partial results, which vectorises,
//! keeps rounding errors small and gives the same result on every processor.

use super::multiversion;
use super::number::Number;
use serde::{Deserialize, Serialize};
use std::mem::MaybeUninit;

/// Partial results of a row.
const LANES: usize = 32;

/// How two elements become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are those of the functions")]
pub enum Fold {
    Add,
    Multiply,
    Maximum,
    Minimum,
    Fmax,
    Fmin,
}

impl Fold {
    /// The result for no elements at all.
    #[must_use]
    pub fn neutral<T: Number>(self) -> T {
        match self {
            Fold::Add => T::ZERO,
            Fold::Multiply => T::ONE,
            Fold::Maximum | Fold::Fmax => T::LOWEST,
            Fold::Minimum | Fold::Fmin => T::HIGHEST,
        }
    }

    /// Two elements as one.
    #[inline(always)]
    pub fn apply<T: Number>(self, a: T, b: T) -> T {
        match self {
            Fold::Add => a.add(b),
            Fold::Multiply => a.multiply(b),
            Fold::Maximum => a.maximum(b),
            Fold::Minimum => a.minimum(b),
            Fold::Fmax => a.fmax(b),
            Fold::Fmin => a.fmin(b),
        }
    }
}

/// Folds a slice with a method: lanes first, then halves onto halves.
macro_rules! fold_lanes {
    ($row:ident, $T:ident, $neutral:expr, $method:ident) => {{
        let mut lanes = [$neutral; LANES];
        let mut chunks = $row.chunks_exact(LANES);
        for chunk in &mut chunks {
            for (lane, &x) in lanes.iter_mut().zip(chunk) {
                *lane = lane.$method(x);
            }
        }
        for (lane, &x) in lanes.iter_mut().zip(chunks.remainder()) {
            *lane = lane.$method(x);
        }
        let mut width = LANES / 2;
        while width > 0 {
            for i in 0..width {
                lanes[i] = lanes[i].$method(lanes[i + width]);
            }
            width /= 2;
        }
        lanes[0]
    }};
}

/// Runs all streams of a tile one step after another.
macro_rules! scan_streams {
    ($running:ident, $tile:ident, $out:ident, $method:ident) => {
        for i in 0..STREAM {
            for (stream, running) in $running.iter_mut().enumerate() {
                *running = running.$method($tile[stream * STREAM + i]);
                $out[stream * STREAM + i].write(*running);
            }
        }
    };
}

multiversion! {
    /// All elements of a row as one.
    pub fn fold_row<T: Number>(fold: Fold, row: &[T]) -> T {
        match fold {
            Fold::Add => fold_lanes!(row, T, T::ZERO, add),
            Fold::Multiply => fold_lanes!(row, T, T::ONE, multiply),
            Fold::Maximum => fold_lanes!(row, T, T::LOWEST, maximum),
            Fold::Minimum => fold_lanes!(row, T, T::HIGHEST, minimum),
            // NaN loses against every number and is the answer only if there
            // are no others, so that it is the right start.
            Fold::Fmax => fold_lanes!(row, T, row.first().copied().unwrap_or(T::LOWEST), fmax),
            Fold::Fmin => fold_lanes!(row, T, row.first().copied().unwrap_or(T::HIGHEST), fmin),
        }
    }
}

multiversion! {
    /// Folds each element of a row into the accumulator below it.
    pub fn fold_into<T: Number>(fold: Fold, accumulators: &mut [T], row: &[T]) {
        match fold {
            Fold::Add => for (a, &x) in accumulators.iter_mut().zip(row) { *a = a.add(x); },
            Fold::Multiply => for (a, &x) in accumulators.iter_mut().zip(row) { *a = a.multiply(x); },
            Fold::Maximum => for (a, &x) in accumulators.iter_mut().zip(row) { *a = a.maximum(x); },
            Fold::Minimum => for (a, &x) in accumulators.iter_mut().zip(row) { *a = a.minimum(x); },
            Fold::Fmax => for (a, &x) in accumulators.iter_mut().zip(row) { *a = a.fmax(x); },
            Fold::Fmin => for (a, &x) in accumulators.iter_mut().zip(row) { *a = a.fmin(x); },
        }
    }
}

/// Rows of a scan that run side by side, since each waits for its own last step.
const STREAMS: usize = 8;
/// Elements of one such row.
const STREAM: usize = 512;

multiversion! {
    /// The running fold of a row, beginning with `start`. A tile is cut into
    /// streams; their totals tell what each starts from.
    pub fn scan_row<T: Number>(fold: Fold, start: T, row: &[T], out: &mut [MaybeUninit<T>]) {
        let mut last = start;
        for (tile, out) in row.chunks(STREAMS * STREAM).zip(out.chunks_mut(STREAMS * STREAM)) {
            if tile.len() < STREAMS * STREAM {
                for (out, &x) in out.iter_mut().zip(tile) {
                    last = fold.apply(last, x);
                    out.write(last);
                }
                continue;
            }
            let mut running = [last; STREAMS];
            for stream in 1..STREAMS {
                let total = fold_row(fold, &tile[(stream - 1) * STREAM..stream * STREAM]);
                running[stream] = fold.apply(running[stream - 1], total);
            }
            match fold {
                Fold::Add => scan_streams!(running, tile, out, add),
                Fold::Multiply => scan_streams!(running, tile, out, multiply),
                _ => unreachable!("there are running sums and products, not {fold:?}"),
            }
            last = running[STREAMS - 1];
        }
    }
}

/// Adds `x` to a sum that carries its rounding error along (Neumaier's form of
/// compensated summation). Infinities and NaN leave the error alone.
#[inline(always)]
pub fn add_compensated(sum: &mut f64, error: &mut f64, x: f64) {
    let total = *sum + x;
    let lost = if sum.abs() >= x.abs() { (*sum - total) + x } else { (x - total) + *sum };
    if lost.is_finite() {
        *error += lost;
    }
    *sum = total;
}

/// Mean and sum of squared distances from it, of `count` elements: what
/// variances are combined from (Chan, Golub and LeVeque).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moments {
    /// How many elements.
    pub count: f64,
    /// Their mean.
    pub mean: f64,
    /// The sum of the squared distances from the mean.
    pub squares: f64,
}

impl Moments {
    /// Of no elements.
    pub const NONE: Moments = Moments { count: 0.0, mean: 0.0, squares: 0.0 };

    /// Of both sets of elements together.
    #[must_use]
    pub fn join(self, other: Moments) -> Moments {
        if self.count == 0.0 {
            return other;
        }
        if other.count == 0.0 {
            return self;
        }
        let count = self.count + other.count;
        let distance = other.mean - self.mean;
        Moments {
            count,
            mean: self.mean + distance * (other.count / count),
            squares: self.squares + other.squares + distance * distance * (self.count * other.count / count),
        }
    }
}

multiversion! {
    fn squares_around(center: f64, row: &[f64]) -> (f64, f64) {
        let (mut squares, mut sums) = ([0.0; LANES], [0.0; LANES]);
        let mut chunks = row.chunks_exact(LANES);
        for chunk in &mut chunks {
            for ((square, sum), &x) in squares.iter_mut().zip(&mut sums).zip(chunk) {
                let distance = x - center;
                *square = distance.mul_add(distance, *square);
                *sum += distance;
            }
        }
        for ((square, sum), &x) in squares.iter_mut().zip(&mut sums).zip(chunks.remainder()) {
            let distance = x - center;
            *square = distance.mul_add(distance, *square);
            *sum += distance;
        }
        (squares.iter().sum(), sums.iter().sum())
    }
}

/// The moments of a row, in two passes over it.
#[must_use]
pub fn row_moments(row: &[f64]) -> Moments {
    if row.is_empty() {
        return Moments::NONE;
    }
    let count = row.len() as f64;
    let mean = fold_row(Fold::Add, row) / count;
    let (squares, rest) = squares_around(mean, row);
    // What the rounded mean missed. Rounding must not make it negative, and NaN
    // stays, which `max` would lose.
    let squares = squares - rest * rest / count;
    Moments { count, mean: mean + rest / count, squares: if squares < 0.0 { 0.0 } else { squares } }
}

multiversion! {
    /// Adds a row to the moments of the columns below it, which have seen
    /// `count` elements each before (Welford).
    pub fn moments_into(count: f64, means: &mut [f64], squares: &mut [f64], row: &[f64]) {
        let share = 1.0 / (count + 1.0);
        for ((mean, square), &x) in means.iter_mut().zip(squares).zip(row) {
            let distance = x - *mean;
            let new_mean = distance.mul_add(share, *mean);
            *square = distance.mul_add(x - new_mean, *square);
            *mean = new_mean;
        }
    }
}

/// The position of the largest (or smallest) element of a row; the first one
/// of several, and the first NaN if there is one.
#[must_use]
pub fn arg_extreme<T: Number>(largest: bool, row: &[T]) -> Option<usize> {
    let fold = if largest { Fold::Maximum } else { Fold::Minimum };
    let extreme = fold_row(fold, row);
    if extreme.is_nan() { row.iter().position(|x| x.is_nan()) } else { row.iter().position(|&x| x == extreme) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_fold_with_any_length() {
        for n in [0, 1, 31, 32, 33, 100] {
            let row: Vec<i64> = (0..n).map(|i| (i * 7919) % 101 - 50).collect();
            assert_eq!(fold_row(Fold::Add, &row), row.iter().sum::<i64>());
            assert_eq!(fold_row(Fold::Maximum, &row), row.iter().copied().max().unwrap_or(i64::MIN));
            assert_eq!(fold_row(Fold::Minimum, &row), row.iter().copied().min().unwrap_or(i64::MAX));
        }
    }

    #[test]
    fn scans_of_any_length() {
        for n in [0, 1, 100, STREAMS * STREAM, STREAMS * STREAM + 7, 3 * STREAMS * STREAM] {
            let row: Vec<i64> = (0..n as i64).map(|i| (i * 7919) % 101 - 50).collect();
            let mut out = vec![MaybeUninit::new(0); n];
            scan_row(Fold::Add, 5, &row, &mut out);
            let mut sum = 5;
            for (x, out) in row.iter().zip(out) {
                sum += x;
                // SAFETY: every element was written at the start.
                assert_eq!(unsafe { out.assume_init() }, sum);
            }
        }
    }

    #[test]
    fn nan_wins_or_loses() {
        let row = [1.0, f64::NAN, 3.0];
        assert!(fold_row(Fold::Maximum, &row).is_nan());
        assert_eq!(fold_row(Fold::Fmax, &row), 3.0);
        assert_eq!(fold_row(Fold::Fmin, &[f64::NAN, 2.0]), 2.0);
        assert!(fold_row(Fold::Fmin, &[f64::NAN]).is_nan());
        assert_eq!(arg_extreme(true, &row), Some(1));
        assert_eq!(arg_extreme(false, &[3, 1, 1]), Some(1));
    }

    #[test]
    fn moments_of_nan_are_nan() {
        assert!(row_moments(&[f64::NAN]).squares.is_nan());
        assert!(row_moments(&[f64::INFINITY, 1.0]).squares.is_nan());
        assert_eq!(row_moments(&[3.0; 40]).squares, 0.0);
    }

    #[test]
    fn moments_agree_however_they_are_cut() {
        let row: Vec<f64> = (0..1000).map(|i| 1e6 + f64::from(i % 17)).collect();
        let whole = row_moments(&row);
        let cut = row_moments(&row[..123]).join(row_moments(&row[123..]));
        assert!((whole.mean - cut.mean).abs() < 1e-9);
        assert!((whole.squares - cut.squares).abs() < 1e-6 * whole.squares);
        let (mut means, mut squares) = (vec![0.0], vec![0.0]);
        for (i, x) in row.iter().enumerate() {
            moments_into(i as f64, &mut means, &mut squares, &[*x]);
        }
        assert!((whole.squares - squares[0]).abs() < 1e-6 * whole.squares);
    }

    #[test]
    fn moments_keep_what_is_not_finite() {
        for odd in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            for row in [vec![odd], vec![1.0, odd], vec![odd; 40], [vec![1.0; 50], vec![odd]].concat()] {
                assert!(row_moments(&row).squares.is_nan(), "{row:?}");
                assert!(row_moments(&[1.0, 2.0]).join(row_moments(&row)).squares.is_nan(), "{row:?}");
            }
        }
    }

    #[test]
    fn compensation_keeps_small_terms() {
        let (mut sum, mut error) = (0.0, 0.0);
        for x in [1e16, 1.0, 1.0, -1e16] {
            add_compensated(&mut sum, &mut error, x);
        }
        assert_eq!(sum + error, 2.0);
    }
}

//! Exponentials and hyperbolic functions.

use super::{LN_2_REST, nearest, polynomial, power_of_two};
use std::f64::consts::{LN_2, LOG2_E};

/// `(e^r − 1 − r) / r²` for |r| ≤ ln 2 / 2.
#[inline(always)]
fn exp_tail(r: f64) -> f64 {
    polynomial!(r;
        1.0 / 6_227_020_800.0, 1.0 / 479_001_600.0, 1.0 / 39_916_800.0, 1.0 / 3_628_800.0,
        1.0 / 362_880.0, 1.0 / 40_320.0, 1.0 / 5_040.0, 1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5)
}

/// `2^n · e^r` for |r| ≤ ln 2 / 2.
#[inline(always)]
fn scaled_exp(n: i64, r: f64) -> f64 {
    let power = 1.0 + (exp_tail(r) * r).mul_add(r, r);
    // Two factors, as 2^n alone may be beyond the range of normal numbers.
    let half = n >> 1;
    power * power_of_two(half) * power_of_two(n - half)
}

/// `x` within bounds; NaN stays.
#[inline(always)]
fn bounded(x: f64, low: f64, high: f64) -> f64 {
    let x = if x > high { high } else { x };
    if x < low { low } else { x }
}

/// `(whole, n, r)` with x = n ln 2 + r.
#[inline(always)]
fn halvings(x: f64) -> (i64, f64) {
    let (whole, n) = nearest(x * LOG2_E);
    let r = whole.mul_add(-LN_2, x);
    (n, whole.mul_add(-LN_2_REST, r))
}

/// e^x.
#[inline(always)]
#[must_use]
pub fn exp(x: f64) -> f64 {
    let (n, r) = halvings(bounded(x, -800.0, 800.0));
    scaled_exp(n, r)
}

/// e^(x + rest), where `rest` is far smaller than `x`.
#[inline(always)]
pub(super) fn exp_with_rest(x: f64, rest: f64) -> f64 {
    let (n, r) = halvings(bounded(x, -800.0, 800.0));
    scaled_exp(n, r + rest)
}

/// e^x / 2, which is finite wherever the hyperbolic functions are.
#[inline(always)]
fn half_exp(x: f64) -> f64 {
    let (n, r) = halvings(bounded(x, -800.0, 800.0));
    scaled_exp(n.wrapping_sub(1), r)
}

/// 2^x.
#[inline(always)]
#[must_use]
pub fn exp2(x: f64) -> f64 {
    let x = bounded(x, -1100.0, 1100.0);
    let (whole, n) = nearest(x);
    scaled_exp(n, (x - whole) * LN_2)
}

/// e^x − 1.
#[inline(always)]
#[must_use]
pub fn expm1(x: f64) -> f64 {
    let inside = bounded(x, -60.0, 710.0);
    let (n, r) = halvings(inside);
    let part = (exp_tail(r) * r).mul_add(r, r);
    // Half of the scale, as 2^n may be just beyond the range of numbers.
    let half = power_of_two(n.wrapping_sub(1));
    let value = part.mul_add(half, half - 0.5) * 2.0;
    let value = if n == 0 { part } else { value };
    // Keeps the sign of zero.
    if x == 0.0 { x } else { value }
}

/// The hyperbolic sine.
#[inline(always)]
#[must_use]
pub fn sinh(x: f64) -> f64 {
    let size = x.abs();
    let t = expm1(if size > 2.0 { 2.0 } else { size });
    let near = 0.5 * (t + t / (t + 1.0));
    let half = half_exp(size);
    let far = half - 0.25 / half;
    (if size <= 1.0 { near } else { far }).copysign(x)
}

/// The hyperbolic cosine.
#[inline(always)]
#[must_use]
pub fn cosh(x: f64) -> f64 {
    let half = half_exp(x.abs());
    half + 0.25 / half
}

/// The hyperbolic tangent.
#[inline(always)]
#[must_use]
pub fn tanh(x: f64) -> f64 {
    let t = expm1(bounded(2.0 * x.abs(), 0.0, 50.0));
    (t / (t + 2.0)).copysign(x)
}

//! Logarithms, and what is made of them.

use super::{LN_2_REST, exp, polynomial, small_to_float};
use std::f64::consts::{LN_2, LOG2_E, LOG10_2, LOG10_E, SQRT_2};

/// log₁₀ e and log₁₀ 2 − the doubles nearest to them.
const LOG10_E_REST: f64 = 1.098_319_650_216_765e-17;
const LOG10_2_REST: f64 = -2.803_728_127_785_170_4e-18;
/// Above this, adding one changes nothing, and squares might overflow.
const LARGE: f64 = 1e150;

/// `x = 2^k (1 + f)` with √½ ≤ 1 + f < √2.
#[inline(always)]
pub(super) fn split(x: f64) -> (f64, f64) {
    let subnormal = x < f64::MIN_POSITIVE;
    let x = if subnormal { x * 18_014_398_509_481_984.0 } else { x };
    let bits = x.to_bits();
    let k = (bits.wrapping_sub((SQRT_2 / 2.0).to_bits()) as i64) >> 52;
    let mantissa = f64::from_bits(bits.wrapping_sub((k as u64) << 52));
    (small_to_float(k) - if subnormal { 54.0 } else { 0.0 }, mantissa - 1.0)
}

/// `(k, f, correction)` with x = 2^k (1 + f), √½ ≤ 1 + f < √2, and
/// ln (1 + f) = f − correction.
#[inline(always)]
fn log_parts(x: f64) -> (f64, f64, f64) {
    let (k, f) = split(x);
    let s = f / (2.0 + f);
    let z = s * s;
    let series = z * polynomial!(z;
        2.0 / 21.0, 2.0 / 19.0, 2.0 / 17.0, 2.0 / 15.0, 2.0 / 13.0,
        2.0 / 11.0, 2.0 / 9.0, 2.0 / 7.0, 2.0 / 5.0, 2.0 / 3.0);
    (k, f, s * (f - series))
}

/// The result of a logarithm, put right where it is not a number.
#[inline(always)]
fn log_special(x: f64, log: f64) -> f64 {
    let log = if x < f64::INFINITY { log } else { x };
    let log = if x < 0.0 { f64::NAN } else { log };
    if x == 0.0 { f64::NEG_INFINITY } else { log }
}

/// The natural logarithm.
#[inline(always)]
#[must_use]
pub fn log(x: f64) -> f64 {
    let (k, f, correction) = log_parts(x);
    log_special(x, k.mul_add(LN_2, f - k.mul_add(-LN_2_REST, correction)))
}

/// The logarithm to base 2, exact for powers of two.
#[inline(always)]
#[must_use]
pub fn log2(x: f64) -> f64 {
    let (k, f, correction) = log_parts(x);
    log_special(x, (f - correction).mul_add(LOG2_E, k))
}

/// The logarithm to base 10, exact for powers of ten.
#[inline(always)]
#[must_use]
pub fn log10(x: f64) -> f64 {
    let (k, f, correction) = log_parts(x);
    // The natural logarithm of the fraction in two parts, times log₁₀ e in two.
    let high = f - correction;
    let low = (f - high) - correction;
    let product = high * LOG10_E;
    let rest = high.mul_add(LOG10_E, -product) + high.mul_add(LOG10_E_REST, low * LOG10_E);
    let whole = k * LOG10_2;
    let whole_rest = k.mul_add(LOG10_2, -whole) + k * LOG10_2_REST;
    let sum = whole + product;
    // The larger part comes first unless it is zero.
    let lost = if k == 0.0 { 0.0 } else { (whole - sum) + product };
    log_special(x, sum + (lost + (rest + whole_rest)))
}

/// ln (1 + x).
#[inline(always)]
#[must_use]
pub fn log1p(x: f64) -> f64 {
    let u = 1.0 + x;
    // What rounding lost of the smaller of the two terms.
    let lost = if x.abs() < 1.0 { x - (u - 1.0) } else { 1.0 - (u - x) };
    let (k, f, correction) = log_parts(u);
    let value = k.mul_add(LN_2, f - (k.mul_add(-LN_2_REST, correction) - lost / u));
    let value = log_special(u, value);
    // Keeps the sign of zero.
    if x == 0.0 { x } else { value }
}

/// ln (e^x + e^y).
#[inline(always)]
#[must_use]
pub fn log_add_exp(x: f64, y: f64) -> f64 {
    let larger = if x > y { x } else { y };
    let distance = (x - y).abs();
    // Two equal infinities have no distance.
    let rest = if x == y { LN_2 } else { log1p(exp(-distance)) };
    let sum = larger + rest;
    if x.is_nan() { x } else { sum }
}

/// The cube root.
#[inline(always)]
#[must_use]
pub fn cbrt(x: f64) -> f64 {
    let size = x.abs();
    let guess = exp(log(size) / 3.0);
    // One step of Newton's method with the residual in twice the precision.
    let square = guess * guess;
    let square_rest = guess.mul_add(guess, -square);
    let residual = square.mul_add(guess, -size) + square_rest * guess;
    let root = guess - residual / (3.0 * square);
    let plain = size > 0.0 && size < f64::INFINITY;
    if plain { root.copysign(x) } else { x }
}

/// The inverse of the hyperbolic sine.
#[inline(always)]
#[must_use]
pub fn arcsinh(x: f64) -> f64 {
    let size = x.abs();
    let is_large = size > LARGE;
    let t = if is_large { 1.0 } else { size };
    let square = t * t;
    let near = t + square / (1.0 + (square + 1.0).sqrt());
    let value = log1p(if is_large { size } else { near });
    (if is_large { value + LN_2 } else { value }).copysign(x)
}

/// The inverse of the hyperbolic cosine.
#[inline(always)]
#[must_use]
pub fn arccosh(x: f64) -> f64 {
    let is_large = x > LARGE;
    let t = x - 1.0;
    let t_inside = if is_large { 1.0 } else { t };
    let near = t_inside + t_inside.mul_add(t_inside, 2.0 * t_inside).sqrt();
    let value = log1p(if is_large { x } else { near });
    let value = if is_large { value + LN_2 } else { value };
    if x < 1.0 { f64::NAN } else { value }
}

/// The inverse of the hyperbolic tangent.
#[inline(always)]
#[must_use]
pub fn arctanh(x: f64) -> f64 {
    let size = x.abs();
    (0.5 * log1p(2.0 * size / (1.0 - size))).copysign(x)
}

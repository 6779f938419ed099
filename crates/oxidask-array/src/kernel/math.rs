//! Elementary functions that vectorise.
//!
//! Each is branch-free straight-line code over one number, so that a loop of it
//! becomes vector code. Arguments are reduced with fused multiply-adds and the
//! rest is a polynomial with the coefficients of the Taylor series, long enough
//! that what is cut off is below half a unit in the last place. Errors stay
//! within two units in the last place.

use std::f64::consts::{FRAC_2_PI, FRAC_PI_2, LN_2, LOG2_E, SQRT_2, TAU};

/// ln 2 − the double nearest to it.
const LN_2_REST: f64 = 2.319_046_813_846_3e-17;
/// π/2 − the double nearest to it, in two parts.
const FRAC_PI_2_REST: f64 = 6.123_233_995_736_766e-17;
const FRAC_PI_2_REST2: f64 = -1.497_384_904_859_183_3e-33;
/// Adding and subtracting it rounds to a whole number and leaves that number in
/// the low bits.
const ROUNDER: f64 = 6_755_399_441_055_744.0;
/// Beyond this the reduction by multiples of π/2 would lose accuracy.
pub const TRIG_LIMIT: f64 = 1_048_576.0;

/// `(nearest whole number, the same as an integer)`.
#[inline(always)]
fn nearest(x: f64) -> (f64, i64) {
    let shifted = x + ROUNDER;
    (shifted - ROUNDER, shifted.to_bits().wrapping_sub(ROUNDER.to_bits()) as i64)
}

/// A small integer as a float, without the conversion that AVX2 lacks.
#[inline(always)]
fn small_to_float(x: i64) -> f64 {
    f64::from_bits((x as u64).wrapping_add(ROUNDER.to_bits())) - ROUNDER
}

#[inline(always)]
fn power_of_two(exponent: i64) -> f64 {
    f64::from_bits((exponent.wrapping_add(1023) as u64) << 52)
}

/// Horner's rule; coefficients from the highest power down.
macro_rules! polynomial {
    ($x:expr; $first:expr $(, $rest:expr)*) => {{
        let sum: f64 = $first;
        $(let sum = sum.mul_add($x, $rest);)*
        sum
    }};
}

/// `2^n · e^r` for |r| ≤ ln 2 / 2.
#[inline(always)]
fn scaled_exp(n: i64, r: f64) -> f64 {
    let tail = polynomial!(r;
        1.0 / 6_227_020_800.0, 1.0 / 479_001_600.0, 1.0 / 39_916_800.0, 1.0 / 3_628_800.0,
        1.0 / 362_880.0, 1.0 / 40_320.0, 1.0 / 5_040.0, 1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5);
    let power = 1.0 + (tail * r).mul_add(r, r);
    // Two factors, as 2^n alone may be beyond the range of normal numbers.
    let half = n >> 1;
    power * power_of_two(half) * power_of_two(n - half)
}

/// e^x.
#[inline(always)]
#[must_use]
pub fn exp(x: f64) -> f64 {
    let x = if x > 800.0 { 800.0 } else { x };
    let x = if x < -800.0 { -800.0 } else { x };
    let (whole, n) = nearest(x * LOG2_E);
    let r = whole.mul_add(-LN_2, x);
    scaled_exp(n, whole.mul_add(-LN_2_REST, r))
}

/// 2^x.
#[inline(always)]
#[must_use]
pub fn exp2(x: f64) -> f64 {
    let x = if x > 1100.0 { 1100.0 } else { x };
    let x = if x < -1100.0 { -1100.0 } else { x };
    let (whole, n) = nearest(x);
    scaled_exp(n, (x - whole) * LN_2)
}

/// `(k, f, correction)` with x = 2^k (1 + f), √½ ≤ 1 + f < √2, and
/// ln (1 + f) = f − correction.
#[inline(always)]
fn log_parts(x: f64) -> (f64, f64, f64) {
    let subnormal = x < f64::MIN_POSITIVE;
    let x = if subnormal { x * 18_014_398_509_481_984.0 } else { x };
    let bits = x.to_bits();
    let k = (bits.wrapping_sub((SQRT_2 / 2.0).to_bits()) as i64) >> 52;
    let mantissa = f64::from_bits(bits.wrapping_sub((k as u64) << 52));
    let k = small_to_float(k) - if subnormal { 54.0 } else { 0.0 };
    let f = mantissa - 1.0;
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

/// `sin r` for |r| ≤ π/4.
#[inline(always)]
fn sin_small(r: f64) -> f64 {
    let z = r * r;
    let tail = polynomial!(z;
        1.0 / 355_687_428_096_000.0, -1.0 / 1_307_674_368_000.0, 1.0 / 6_227_020_800.0, -1.0 / 39_916_800.0,
        1.0 / 362_880.0, -1.0 / 5_040.0, 1.0 / 120.0, -1.0 / 6.0);
    (r * z).mul_add(tail, r)
}

/// `cos r` for |r| ≤ π/4.
#[inline(always)]
fn cos_small(r: f64) -> f64 {
    let z = r * r;
    let tail = polynomial!(z;
        1.0 / 20_922_789_888_000.0, -1.0 / 87_178_291_200.0, 1.0 / 479_001_600.0, -1.0 / 3_628_800.0,
        1.0 / 40_320.0, -1.0 / 720.0, 1.0 / 24.0);
    let half = 0.5 * z;
    let head = 1.0 - half;
    head + ((1.0 - head) - half + z * z * tail)
}

/// `x` reduced to a quarter turn around zero, and the number of quarters.
#[inline(always)]
fn quarter_turns(x: f64) -> (f64, i64) {
    let (whole, n) = nearest(x * FRAC_2_PI);
    let r = whole.mul_add(-FRAC_PI_2, x);
    let r = whole.mul_add(-FRAC_PI_2_REST, r);
    (whole.mul_add(-FRAC_PI_2_REST2, r), n)
}

/// The value for a quarter: sine or cosine, with its sign.
#[inline(always)]
fn in_quarter(sin: f64, cos: f64, quarter: i64) -> f64 {
    let value = if quarter & 1 == 0 { sin } else { cos };
    f64::from_bits(value.to_bits() ^ (((quarter & 2) as u64) << 62))
}

/// The sine, for |x| ≤ [`TRIG_LIMIT`].
#[inline(always)]
#[must_use]
pub fn sin(x: f64) -> f64 {
    let (r, n) = quarter_turns(x);
    let value = in_quarter(sin_small(r), cos_small(r), n);
    // Keeps the sign of zero.
    if x == 0.0 { x } else { value }
}

/// The cosine, for |x| ≤ [`TRIG_LIMIT`].
#[inline(always)]
#[must_use]
pub fn cos(x: f64) -> f64 {
    let (r, n) = quarter_turns(x);
    in_quarter(sin_small(r), cos_small(r), n.wrapping_add(1))
}

/// Sine and cosine of an angle given in turns, 0 ≤ turns ≤ 1.
#[inline(always)]
#[must_use]
pub fn sin_cos_turns(turns: f64) -> (f64, f64) {
    let (whole, n) = nearest(4.0 * turns);
    let r = whole.mul_add(-0.25, turns) * TAU;
    let (sin, cos) = (sin_small(r), cos_small(r));
    (in_quarter(sin, cos, n), in_quarter(sin, cos, n.wrapping_add(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Distance in units in the last place.
    fn ulps(a: f64, b: f64) -> u64 {
        if a == b || (a.is_nan() && b.is_nan()) {
            return 0;
        }
        (a.to_bits() as i64).wrapping_sub(b.to_bits() as i64).unsigned_abs()
    }

    fn check(name: &str, ours: impl Fn(f64) -> f64, theirs: impl Fn(f64) -> f64, range: (f64, f64)) {
        let n = 20_000;
        for i in 0..=n {
            let x = range.0 + (range.1 - range.0) * f64::from(i) / f64::from(n);
            let (a, b) = (ours(x), theirs(x));
            assert!(ulps(a, b) <= 2, "{name}({x:?}) = {a:?}, should be {b:?}");
        }
    }

    #[test]
    fn close_to_the_systems_library() {
        check("exp", exp, f64::exp, (-750.0, 715.0));
        check("exp", exp, f64::exp, (-1.0, 1.0));
        check("exp2", exp2, f64::exp2, (-1080.0, 1030.0));
        check("log", log, f64::ln, (1e-9, 3.0));
        check("log", log, f64::ln, (0.0, 1e6));
        check("log2", log2, f64::log2, (2.0, 1e3));
        check("sin", sin, f64::sin, (-7.0, 7.0));
        check("sin", sin, f64::sin, (-1e6, 1e6));
        check("cos", cos, f64::cos, (-7.0, 7.0));
        check("cos", cos, f64::cos, (-1e6, 1e6));
    }

    #[test]
    fn corners_are_those_of_the_standard() {
        assert!(exp(f64::NAN).is_nan() && log(f64::NAN).is_nan() && sin(f64::NAN).is_nan());
        assert_eq!(exp(f64::INFINITY), f64::INFINITY);
        assert_eq!(exp(f64::NEG_INFINITY), 0.0);
        assert_eq!(exp(0.0), 1.0);
        assert_eq!(log(0.0), f64::NEG_INFINITY);
        assert_eq!(log(-0.0), f64::NEG_INFINITY);
        assert!(log(-1.0).is_nan() && log(f64::NEG_INFINITY).is_nan());
        assert_eq!(log(f64::INFINITY), f64::INFINITY);
        assert_eq!(log(1.0), 0.0);
        assert_eq!(log2(8.0), 3.0);
        assert!(ulps(log(5e-324), 5e-324_f64.ln()) <= 2);
        assert!(sin(-0.0).is_sign_negative());
        assert_eq!(sin(std::f64::consts::PI), std::f64::consts::PI.sin());
    }

    #[test]
    fn turns() {
        for i in 0..=1000 {
            let turns = f64::from(i) / 1000.0;
            let (sin, cos) = sin_cos_turns(turns);
            assert!((sin - (turns * TAU).sin()).abs() < 1e-15);
            assert!((cos - (turns * TAU).cos()).abs() < 1e-15);
        }
    }
}

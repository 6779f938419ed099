//! Powers and distances, for numbers that are not special; others go through
//! the system's library.

use super::exponential::exp_with_rest;
use super::logarithm::split;
use super::{LN_2_REST, polynomial};
use std::f64::consts::LN_2;

/// 2/3 − the double nearest to it.
const TWO_THIRDS_REST: f64 = 3.700_743_415_417_188e-17;

/// Whether [`power`] answers for this base and exponent.
#[inline(always)]
#[must_use]
pub fn is_plain_power(x: f64, y: f64) -> bool {
    x > 0.0 && x < f64::INFINITY && y.abs() < 1e15
}

/// x^y for plain numbers: e^(y ln x), with the logarithm in two parts.
#[inline(always)]
#[must_use]
pub fn power(x: f64, y: f64) -> f64 {
    let (k, f) = split(x);
    // s = f / (2 + f) and its cube in two parts each.
    let below = 2.0 + f;
    let below_rest = f - (below - 2.0);
    let s = f / below;
    let s_rest = (s.mul_add(-below, f) - s * below_rest) / below;
    let z = s * s;
    let z_rest = s.mul_add(s, -z);
    let cube = z * s;
    let cube_rest = z.mul_add(s, -cube) + z_rest * s;
    let third = cube * (2.0 / 3.0);
    let third_rest = cube.mul_add(2.0 / 3.0, -third) + cube.mul_add(TWO_THIRDS_REST, cube_rest * (2.0 / 3.0));
    let tail = cube
        * z
        * polynomial!(z;
        2.0 / 23.0, 2.0 / 21.0, 2.0 / 19.0, 2.0 / 17.0, 2.0 / 15.0, 2.0 / 13.0,
        2.0 / 11.0, 2.0 / 9.0, 2.0 / 7.0, 2.0 / 5.0);
    // The sum of k ln 2, 2 s, 2/3 s³ and the tail, largest first.
    let whole = k * LN_2;
    let whole_rest = k.mul_add(LN_2, -whole) + k * LN_2_REST;
    let twice = 2.0 * s;
    let head = twice + third;
    let head_rest = (twice - head) + third;
    let sum = whole + head;
    let sum_rest = if k == 0.0 { 0.0 } else { (whole - sum) + head };
    // s_rest also changes the cube, but by less than is kept.
    let rest = sum_rest + (head_rest + (whole_rest + (2.0 * s_rest + (third_rest + tail))));
    let product = y * sum;
    let product_rest = y.mul_add(sum, -product) + y * rest;
    exp_with_rest(product, product_rest)
}

/// Whether [`hypot`] answers for these: their squares are normal numbers.
#[inline(always)]
#[must_use]
pub fn is_plain_hypot(x: f64, y: f64) -> bool {
    let larger = if x.abs() > y.abs() { x.abs() } else { y.abs() };
    larger > 1e-140 && larger < 1e150 && !(x.is_nan() || y.is_nan())
}

/// The length of (x, y) for plain numbers.
#[inline(always)]
#[must_use]
pub fn hypot(x: f64, y: f64) -> f64 {
    x.mul_add(x, y * y).sqrt()
}

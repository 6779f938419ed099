//! The inverses of the trigonometric functions.
//!
//! All of them are `arctan` of a quotient y / x. The angle is taken relative to
//! the nearest of five directions that are an eighth of a turn apart at most,
//! so that a short series is left.

use super::polynomial;
use std::f64::consts::{FRAC_PI_2, FRAC_PI_4, PI};

/// π − the double nearest to it.
const PI_REST: f64 = 1.224_646_799_147_353_2e-16;
/// The slopes √2 ∓ 1 as doubles, and the angles of exactly these slopes in two
/// parts each.
const LOW_SLOPE: f64 = 0.414_213_562_373_095_15;
const LOW_ANGLE: (f64, f64) = (0.392_699_081_698_724_25, -1.319_870_761_759_956_2e-17);
const HIGH_SLOPE: f64 = 2.414_213_562_373_095;
const HIGH_ANGLE: (f64, f64) = (1.178_097_245_096_172_4, 2.756_399_871_865_379_2e-17);
const EIGHTH_REST: f64 = 3.061_616_997_868_383e-17;
const QUARTER_REST: f64 = 6.123_233_995_736_766e-17;

/// The angle of the direction (x, y) with x, y ≥ 0, not both zero, in two parts.
#[inline(always)]
fn angle(y: f64, x: f64) -> (f64, f64) {
    // The borders lie at the tangents of odd multiples of π/16.
    let (above1, above2) = (y > 0.198_912_367_379_658 * x, y > 0.668_178_637_919_298_9 * x);
    let (above3, above4) = (y > 1.496_605_762_665_489 * x, y > 5.027_339_492_125_846 * x);
    let slope = if above1 { LOW_SLOPE } else { 0.0 };
    let slope = if above2 { 1.0 } else { slope };
    let slope = if above3 { HIGH_SLOPE } else { slope };
    let base = if above1 { LOW_ANGLE.0 } else { 0.0 };
    let base = if above2 { FRAC_PI_4 } else { base };
    let base = if above3 { HIGH_ANGLE.0 } else { base };
    let base = if above4 { FRAC_PI_2 } else { base };
    let rest = if above1 { LOW_ANGLE.1 } else { 0.0 };
    let rest = if above2 { EIGHTH_REST } else { rest };
    let rest = if above3 { HIGH_ANGLE.1 } else { rest };
    let rest = if above4 { QUARTER_REST } else { rest };
    let upper = if above4 { -x } else { slope.mul_add(-x, y) };
    let lower = if above4 { y } else { slope.mul_add(y, x) };
    let t = upper / lower;
    let z = t * t;
    let tail = polynomial!(z;
        1.0 / 25.0, -1.0 / 23.0, 1.0 / 21.0, -1.0 / 19.0, 1.0 / 17.0, -1.0 / 15.0,
        1.0 / 13.0, -1.0 / 11.0, 1.0 / 9.0, -1.0 / 7.0, 1.0 / 5.0, -1.0 / 3.0);
    let small = (t * z).mul_add(tail, t + rest);
    // Without a base, adding the parts would lose the last bits of tiny angles.
    if above1 { (base, small) } else { (0.0, (t * z).mul_add(tail, t)) }
}

/// The angle whose tangent is `x`.
#[inline(always)]
#[must_use]
pub fn arctan(x: f64) -> f64 {
    let size = x.abs();
    let is_infinite = size == f64::INFINITY;
    let (base, small) = angle(if is_infinite { 1.0 } else { size }, if is_infinite { 0.0 } else { 1.0 });
    (base + small).copysign(x)
}

/// The angle of the direction (x, y).
#[inline(always)]
#[must_use]
pub fn arctan2(y: f64, x: f64) -> f64 {
    let (mut up, mut right) = (y.abs(), x.abs());
    let largest = if up > right { up } else { right };
    // Keeps products within the range of numbers.
    let scale = if largest > 1e290 { 1e-200 } else { 1.0 };
    let scale = if largest < 1e-250 { 1e200 } else { scale };
    let infinite = largest == f64::INFINITY;
    up = if infinite { if up == largest { 1.0 } else { 0.0 } } else { up * scale };
    right = if infinite { if right == largest { 1.0 } else { 0.0 } } else { right * scale };
    let is_origin = largest == 0.0;
    let (base, small) = angle(up, if is_origin { 1.0 } else { right });
    let forward = base + small;
    let backward = (PI - base) - (small - PI_REST);
    let value = if x.is_sign_negative() { backward } else { forward };
    let value = value.copysign(y);
    if x.is_nan() || y.is_nan() { f64::NAN } else { value }
}

/// The angle whose sine is `x`.
#[inline(always)]
#[must_use]
pub fn arcsin(x: f64) -> f64 {
    let size = x.abs();
    let (base, small) = angle(size, ((1.0 - size) * (1.0 + size)).sqrt());
    (base + small).copysign(x)
}

/// The angle whose cosine is `x`.
#[inline(always)]
#[must_use]
pub fn arccos(x: f64) -> f64 {
    let (base, small) = angle((1.0 - x).sqrt(), (1.0 + x).sqrt());
    2.0 * (base + small)
}

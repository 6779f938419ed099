//! Sine, cosine and tangent.

use super::{nearest, polynomial};
use std::f64::consts::{FRAC_1_PI, FRAC_2_PI, PI, TAU};

/// π/2 − the double nearest to it, in two parts.
const FRAC_PI_2_REST: f64 = 6.123_233_995_736_766e-17;
const FRAC_PI_2_REST2: f64 = -1.497_384_904_859_169_8e-33;
/// Beyond this the reduction by multiples of π/2 would lose accuracy.
pub const TRIG_LIMIT: f64 = 1_048_576.0;

/// `sin r` for |r| ≤ π/2.
#[inline(always)]
fn sin_half_turn(r: f64) -> f64 {
    let z = r * r;
    let tail = polynomial!(z;
        1.0 / 51_090_942_171_709_440_000.0, -1.0 / 121_645_100_408_832_000.0,
        1.0 / 355_687_428_096_000.0, -1.0 / 1_307_674_368_000.0, 1.0 / 6_227_020_800.0, -1.0 / 39_916_800.0,
        1.0 / 362_880.0, -1.0 / 5_040.0, 1.0 / 120.0, -1.0 / 6.0);
    (r * z).mul_add(tail, r)
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

/// `x − times · π`, where `2 times` is whole.
#[inline(always)]
fn without_half_turns(x: f64, times: f64) -> f64 {
    let r = times.mul_add(-PI, x);
    let r = times.mul_add(-2.0 * FRAC_PI_2_REST, r);
    times.mul_add(-2.0 * FRAC_PI_2_REST2, r)
}

/// The value with its sign turned once for every half turn.
#[inline(always)]
fn turned(value: f64, half_turns: i64) -> f64 {
    f64::from_bits(value.to_bits() ^ ((half_turns as u64) << 63))
}

/// The sine, for |x| ≤ [`TRIG_LIMIT`].
#[inline(always)]
#[must_use]
pub fn sin(x: f64) -> f64 {
    let (whole, n) = nearest(x * FRAC_1_PI);
    let value = turned(sin_half_turn(without_half_turns(x, whole)), n);
    // Keeps the sign of zero.
    if x == 0.0 { x } else { value }
}

/// The cosine, for |x| ≤ [`TRIG_LIMIT`].
#[inline(always)]
#[must_use]
pub fn cos(x: f64) -> f64 {
    // cos x = sin (x + π/2): whole turns are counted from a quarter on.
    let (whole, n) = nearest(x.mul_add(FRAC_1_PI, -0.5));
    turned(sin_half_turn(without_half_turns(x, whole + 0.5)), n.wrapping_add(1))
}

/// The tangent, for |x| ≤ [`TRIG_LIMIT`].
#[inline(always)]
#[must_use]
pub fn tan(x: f64) -> f64 {
    let (whole, n) = nearest(x * FRAC_2_PI);
    let r = without_half_turns(x, 0.5 * whole);
    let (sin, cos) = (sin_small(r), cos_small(r));
    let odd = n & 1 == 1;
    let (above, below) = (if odd { -cos } else { sin }, if odd { sin } else { cos });
    if x == 0.0 { x } else { above / below }
}

/// The value for a quarter: sine or cosine, with its sign.
#[inline(always)]
fn in_quarter(sin: f64, cos: f64, quarter: i64) -> f64 {
    let value = if quarter & 1 == 0 { sin } else { cos };
    f64::from_bits(value.to_bits() ^ (((quarter & 2) as u64) << 62))
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

//! Elementary functions that vectorise.
//!
//! Each is branch-free straight-line code over one number, so that a loop of it
//! becomes vector code. Arguments are reduced with fused multiply-adds and the
//! rest is a polynomial with the coefficients of the Taylor series, long enough
//! that what is cut off is below half a unit in the last place. The errors that
//! the tests allow are those that NumPy's own vector functions have: two units
//! in the last place, three for a few compositions.

mod arc;
mod exponential;
mod logarithm;
mod power;
mod trigonometry;

pub use arc::{arccos, arcsin, arctan, arctan2};
pub use exponential::{cosh, exp, exp2, expm1, sinh, tanh};
pub use logarithm::{arccosh, arcsinh, arctanh, cbrt, log, log_add_exp, log1p, log2, log10};
pub use power::{hypot, is_plain_hypot, is_plain_power, power};
pub use trigonometry::{TRIG_LIMIT, cos, sin, sin_cos_turns, tan};

/// ln 2 − the double nearest to it.
const LN_2_REST: f64 = 2.319_046_813_846_3e-17;
/// Adding and subtracting it rounds to a whole number and leaves that number in
/// the low bits.
const ROUNDER: f64 = 6_755_399_441_055_744.0;

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
use polynomial;

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::TAU;

    /// Distance in units in the last place.
    fn ulps(a: f64, b: f64) -> u64 {
        if a == b || (a.is_nan() && b.is_nan()) {
            return 0;
        }
        (a.to_bits() as i64).wrapping_sub(b.to_bits() as i64).unsigned_abs()
    }

    fn check(name: &str, ours: impl Fn(f64) -> f64, theirs: impl Fn(f64) -> f64, range: (f64, f64)) {
        check_within(2, name, ours, theirs, range);
    }

    fn check_within(most: u64, name: &str, ours: impl Fn(f64) -> f64, theirs: impl Fn(f64) -> f64, range: (f64, f64)) {
        let n = 20_000;
        for i in 0..=n {
            let x = range.0 + (range.1 - range.0) * f64::from(i) / f64::from(n);
            let (a, b) = (ours(x), theirs(x));
            assert!(ulps(a, b) <= most, "{name}({x:?}) = {a:?}, should be {b:?}");
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
        check_within(3, "tan", tan, f64::tan, (-7.0, 7.0));
        check_within(3, "tan", tan, f64::tan, (-1e6, 1e6));
        for range in [(-1.0, 1.0), (-1e-3, 1e-3), (-40.0, 40.0), (-750.0, 715.0)] {
            check("expm1", expm1, f64::exp_m1, range);
            check_within(3, "sinh", sinh, f64::sinh, range);
            check("cosh", cosh, f64::cosh, range);
            check_within(3, "tanh", tanh, f64::tanh, range);
            check("cbrt", cbrt, f64::cbrt, range);
            check("arctan", arctan, f64::atan, range);
            check_within(
                3,
                "arcsinh",
                arcsinh,
                |x: f64| (x.abs() + x * x / (1.0 + (x * x + 1.0).sqrt())).ln_1p().copysign(x),
                range,
            );
        }
        check("log10", log10, f64::log10, (1e-9, 3.0));
        check("log10", log10, f64::log10, (0.0, 1e6));
        check("log1p", log1p, f64::ln_1p, (-1.0, 1.0));
        check("log1p", log1p, f64::ln_1p, (-1e-4, 1e-4));
        check("log1p", log1p, f64::ln_1p, (0.0, 1e6));
        check("arcsin", arcsin, f64::asin, (-1.0, 1.0));
        check("arccos", arccos, f64::acos, (-1.0, 1.0));
        check_within(3, "arccosh", arccosh, |x| (x - 1.0 + ((x - 1.0) * (x + 1.0)).sqrt()).ln_1p(), (1.0, 50.0));
        check_within(
            3,
            "arctanh",
            arctanh,
            |x| (0.5 * (2.0 * x.abs() / (1.0 - x.abs())).ln_1p()).copysign(x),
            (-0.999, 0.999),
        );
    }

    #[test]
    fn functions_of_two_numbers() {
        let mut seed = 1_u64;
        let mut random = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 11) as f64 / 9_007_199_254_740_992.0
        };
        for _ in 0..50_000 {
            let (x, y) = (random() * 30.0 + 1e-9, random() * 60.0 - 30.0);
            assert!(ulps(power(x, y), x.powf(y)) <= 2, "{x:?} ** {y:?} = {:?}, not {:?}", power(x, y), x.powf(y));
            let (x, y) = ((random() * 600.0 - 300.0).exp(), random() * 2.2 - 1.1);
            assert!(ulps(power(x, y), x.powf(y)) <= 2, "{x:?} ** {y:?} = {:?}, not {:?}", power(x, y), x.powf(y));
            let (x, y) = (random() * 8.0 - 4.0, random() * 8.0 - 4.0);
            assert!(ulps(arctan2(y, x), y.atan2(x)) <= 2, "arctan2({y:?}, {x:?})");
            assert!(ulps(hypot(x, y), x.hypot(y)) <= 2, "hypot({x:?}, {y:?})");
        }
        let corners = [0.0, -0.0, 1.0, -1.0, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 1e300, -1e-300];
        for y in corners {
            for x in corners {
                let (a, b) = (arctan2(y, x), y.atan2(x));
                assert!(
                    ulps(a, b) <= 1 && (a.is_nan() || a.is_sign_negative() == b.is_sign_negative()),
                    "{y} {x} {a} {b}"
                );
            }
        }
        assert_eq!(power(2.0, 10.0), 1024.0);
        assert_eq!(power(10.0, 2.0), 100.0);
        assert_eq!(power(2.0, 2000.0), f64::INFINITY);
        assert_eq!(power(2.0, -2000.0), 0.0);
        assert!(ulps(power(2.0, -1070.0), 2.0_f64.powf(-1070.0)) <= 1);
        assert!(!is_plain_power(-2.0, 3.0) && !is_plain_power(0.0, 3.0) && !is_plain_power(2.0, f64::NAN));
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
        for exponent in -20..300 {
            let x = format!("1e{exponent}").parse::<f64>().unwrap();
            assert!(ulps(log10(x), f64::from(exponent)) == 0 || exponent < 0, "log10(1e{exponent}) = {:?}", log10(x));
        }
        assert_eq!((tanh(40.0), tanh(f64::NEG_INFINITY), expm1(f64::NEG_INFINITY)), (1.0, -1.0, -1.0));
        assert_eq!((expm1(f64::INFINITY), cosh(f64::NEG_INFINITY)), (f64::INFINITY, f64::INFINITY));
        assert_eq!((sinh(f64::NEG_INFINITY), log1p(-1.0)), (f64::NEG_INFINITY, f64::NEG_INFINITY));
        assert_eq!((log1p(f64::INFINITY), arctanh(1.0), cbrt(-8.0)), (f64::INFINITY, f64::INFINITY, -2.0));
        assert!(log1p(-2.0).is_nan() && arccosh(0.5).is_nan() && arcsin(1.5).is_nan() && arctanh(-2.0).is_nan());
        for function in [tanh, expm1, sinh, log1p, arcsin, arctan, arcsinh, arctanh, cbrt, tan] {
            assert!(function(-0.0).is_sign_negative() && function(-0.0) == 0.0 && function(f64::NAN).is_nan());
        }
        assert!(
            cosh(f64::NAN).is_nan()
                && arccosh(f64::NAN).is_nan()
                && arccos(f64::NAN).is_nan()
                && log10(f64::NAN).is_nan()
        );
        assert_eq!((arctan(f64::INFINITY), arccos(-1.0)), (std::f64::consts::FRAC_PI_2, std::f64::consts::PI));
        assert_eq!((cbrt(f64::NEG_INFINITY), arcsinh(f64::NEG_INFINITY)), (f64::NEG_INFINITY, f64::NEG_INFINITY));
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

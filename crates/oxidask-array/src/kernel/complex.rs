//! Elementwise loops over complex numbers.

use super::each;
use super::number::Complex;
use crate::dtype::Bool;
use crate::program::Func;
use num_complex::Complex as Parts;

/// A function of one complex number.
pub fn unary<T: Complex>(func: Func, a: &[T], out: &mut [T]) {
    let function: fn(Parts<f64>) -> Parts<f64> = match func {
        Func::Sqrt => |z| z.sqrt(),
        Func::Exp => |z| z.exp(),
        Func::Exp2 => |z| z.exp2(),
        Func::Expm1 => |z| {
            // e^z − 1 without cancellation for small z.
            let half = (0.5 * z.im).sin();
            let real = z.re.exp_m1() * z.im.cos() - 2.0 * half * half;
            Parts::new(real, z.re.exp() * z.im.sin())
        },
        Func::Log => |z| z.ln(),
        Func::Log2 => |z| z.log2(),
        Func::Log10 => |z| z.log10(),
        Func::Log1p => |z| Parts::new((z.re * (2.0 + z.re) + z.im * z.im).ln_1p() * 0.5, z.im.atan2(1.0 + z.re)),
        Func::Sin => |z| z.sin(),
        Func::Cos => |z| z.cos(),
        Func::Tan => |z| z.tan(),
        Func::Arcsin => |z| z.asin(),
        Func::Arccos => |z| z.acos(),
        Func::Arctan => |z| z.atan(),
        Func::Sinh => |z| z.sinh(),
        Func::Cosh => |z| z.cosh(),
        Func::Tanh => |z| z.tanh(),
        Func::Arcsinh => |z| z.asinh(),
        Func::Arccosh => |z| z.acosh(),
        Func::Arctanh => |z| z.atanh(),
        Func::Rint => |z| Parts::new(z.re.round_ties_even(), z.im.round_ties_even()),
        _ => unreachable!("{func:?} is not a function of complex numbers"),
    };
    each!(out, |x in a| T::narrow(function(x.widen())));
}

/// A quotient.
pub fn binary<T: Complex>(func: Func, a: &[T], b: &[T], out: &mut [T]) {
    debug_assert_eq!(func, Func::Divide);
    each!(out, |x in a, y in b| x.divide(y));
}

/// A real number made of a complex one.
pub fn part<T: Complex>(func: Func, a: &[T], out: &mut [T::Part]) {
    match func {
        Func::RealPart => each!(out, |x in a| x.real()),
        Func::ImagPart => each!(out, |x in a| x.imaginary()),
        _ => each!(out, |x in a| x.magnitude()),
    }
}

/// A question about a complex number.
pub fn predicate<T: Complex>(func: Func, a: &[T], out: &mut [Bool]) {
    let question: fn(Parts<f64>) -> bool = match func {
        Func::Isnan => |z| z.re.is_nan() || z.im.is_nan(),
        Func::Isinf => |z| z.re.is_infinite() || z.im.is_infinite(),
        _ => |z| z.re.is_finite() && z.im.is_finite(),
    };
    each!(out, |x in a| Bool::from(question(x.widen())));
}

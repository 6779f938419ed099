//! Complex numbers.

use super::Number;
use crate::dtype::{C64, C128, Element};
use num_complex::Complex as Parts;

/// What complex numbers of both sizes have in common.
pub trait Complex: Number {
    /// The type of the parts.
    type Part: Element;

    /// From parts of 64 bits.
    fn narrow(value: Parts<f64>) -> Self;
    /// With parts of 64 bits.
    fn widen(self) -> Parts<f64>;
    /// The real part.
    fn real(self) -> Self::Part;
    /// The imaginary part.
    fn imaginary(self) -> Self::Part;
    /// The distance from zero.
    fn magnitude(self) -> Self::Part;
    /// `self / other`.
    fn divide(self, other: Self) -> Self;
}

macro_rules! complex_numbers {
    ($($type:ident: $part:ident;)*) => {
        $(impl Number for $type {
            const ZERO: Self = $type(Parts { re: 0.0, im: 0.0 });
            const ONE: Self = $type(Parts { re: 1.0, im: 0.0 });
            const LOWEST: Self = $type(Parts { re: $part::NEG_INFINITY, im: $part::NEG_INFINITY });
            const HIGHEST: Self = $type(Parts { re: $part::INFINITY, im: $part::INFINITY });

            #[inline(always)]
            fn add(self, other: Self) -> Self {
                $type(self.0 + other.0)
            }

            #[inline(always)]
            fn subtract(self, other: Self) -> Self {
                $type(self.0 - other.0)
            }

            #[inline(always)]
            fn multiply(self, other: Self) -> Self {
                $type(self.0 * other.0)
            }

            #[inline(always)]
            fn floor_divide(self, other: Self) -> Self {
                let quotient = self.0 / other.0;
                $type(Parts::new(quotient.re.floor(), 0.0))
            }

            #[inline(always)]
            fn remainder(self, _: Self) -> Self {
                $type(Parts::new($part::NAN, $part::NAN))
            }

            #[inline(always)]
            fn fmod(self, other: Self) -> Self {
                self.remainder(other)
            }

            #[inline(never)]
            fn power(self, other: Self) -> Self {
                let (base, exponent) = (self.widen(), other.widen());
                // Small whole exponents are products, which are exact.
                let whole = exponent.re as i32;
                let value = if exponent.im == 0.0 && f64::from(whole) == exponent.re && whole.abs() <= 100 {
                    base.powi(whole)
                } else if base.re == 0.0 && base.im == 0.0 {
                    if exponent.re > 0.0 { Parts::new(0.0, 0.0) } else { Parts::new(f64::NAN, f64::NAN) }
                } else {
                    base.powc(exponent)
                };
                Self::narrow(value)
            }

            #[inline(always)]
            fn maximum(self, other: Self) -> Self {
                if Number::is_nan(self) || self >= other { self } else { other }
            }

            #[inline(always)]
            fn minimum(self, other: Self) -> Self {
                if Number::is_nan(self) || self <= other { self } else { other }
            }

            #[inline(always)]
            fn fmax(self, other: Self) -> Self {
                if Number::is_nan(other) || self >= other { self } else { other }
            }

            #[inline(always)]
            fn fmin(self, other: Self) -> Self {
                if Number::is_nan(other) || self <= other { self } else { other }
            }

            #[inline(always)]
            fn negative(self) -> Self {
                $type(-self.0)
            }

            #[inline(always)]
            fn absolute(self) -> Self {
                $type(Parts::new(self.0.norm(), 0.0))
            }

            #[inline(always)]
            fn sign(self) -> Self {
                let length = self.0.norm();
                if length == 0.0 { self } else { $type(self.0 / length) }
            }

            #[inline(always)]
            fn conjugate(self) -> Self {
                $type(self.0.conj())
            }

            #[inline(always)]
            fn is_below_zero(self) -> bool {
                self < Self::ZERO
            }

            #[inline(always)]
            fn is_nan(self) -> bool {
                self.0.re.is_nan() || self.0.im.is_nan()
            }
        }

        impl Complex for $type {
            type Part = $part;

            #[inline(always)]
            fn narrow(value: Parts<f64>) -> Self {
                $type(Parts::new(value.re as $part, value.im as $part))
            }

            #[inline(always)]
            fn widen(self) -> Parts<f64> {
                Parts::new(f64::from(self.0.re), f64::from(self.0.im))
            }

            #[inline(always)]
            fn real(self) -> $part {
                self.0.re
            }

            #[inline(always)]
            fn imaginary(self) -> $part {
                self.0.im
            }

            #[inline(always)]
            fn magnitude(self) -> $part {
                self.0.norm()
            }

            #[inline(always)]
            fn divide(self, other: Self) -> Self {
                // By Smith's method, which does not overflow on the way.
                let (a, b) = (self.0, other.0);
                let value = if b.re.abs() >= b.im.abs() {
                    if b.re == 0.0 && b.im == 0.0 {
                        Parts::new(a.re / b.re, a.im / b.re)
                    } else {
                        let ratio = b.im / b.re;
                        let scale = b.re + b.im * ratio;
                        Parts::new((a.re + a.im * ratio) / scale, (a.im - a.re * ratio) / scale)
                    }
                } else {
                    let ratio = b.re / b.im;
                    let scale = b.re * ratio + b.im;
                    Parts::new((a.re * ratio + a.im) / scale, (a.im * ratio - a.re) / scale)
                };
                $type(value)
            }
        })*
    };
}
complex_numbers! {
    C64: f32;
    C128: f64;
}

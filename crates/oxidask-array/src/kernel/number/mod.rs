//! What the inner loops may do with an element, with NumPy's meaning.

mod complex;
mod half;
mod ticks;

pub use complex::Complex;

use super::math;
use crate::dtype::{Bool, Element};

/// Arithmetic that every dtype has. On truth values `add` is or and `multiply`
/// is and; integers wrap.
pub trait Number: Element {
    /// Neutral for `add`.
    const ZERO: Self;
    /// Neutral for `multiply`.
    const ONE: Self;
    /// Neutral for `maximum`.
    const LOWEST: Self;
    /// Neutral for `minimum`.
    const HIGHEST: Self;
    /// `self + other`.
    fn add(self, other: Self) -> Self;
    /// `self - other`.
    fn subtract(self, other: Self) -> Self;
    /// `self * other`.
    fn multiply(self, other: Self) -> Self;
    /// `self // other`, rounded towards minus infinity; 0 for integers if
    /// `other` is 0.
    fn floor_divide(self, other: Self) -> Self;
    /// `self % other` with the sign of `other`; 0 for integers if it is 0.
    fn remainder(self, other: Self) -> Self;
    /// The remainder with the sign of `self`.
    fn fmod(self, other: Self) -> Self;
    /// `self ** other`; integer exponents are not negative.
    fn power(self, other: Self) -> Self;
    /// Whether [`Number::plain_power`] answers the power, rather than
    /// [`Number::power`] alone.
    #[inline(always)]
    fn has_plain_power(self, other: Self) -> bool {
        let _ = other;
        true
    }
    /// The power in a form that vectorises, where there is one.
    #[inline(always)]
    fn plain_power(self, other: Self) -> Self {
        self.power(other)
    }
    /// The larger, or NaN if one is.
    fn maximum(self, other: Self) -> Self;
    /// The smaller, or NaN if one is.
    fn minimum(self, other: Self) -> Self;
    /// The larger; a number rather than NaN.
    fn fmax(self, other: Self) -> Self;
    /// The smaller; a number rather than NaN.
    fn fmin(self, other: Self) -> Self;
    /// `-self`.
    fn negative(self) -> Self;
    /// `|self|`.
    fn absolute(self) -> Self;
    /// -1, 0 or 1; NaN for NaN.
    fn sign(self) -> Self;
    /// The complex conjugate.
    #[inline(always)]
    fn conjugate(self) -> Self {
        self
    }
    /// Whether it is below zero.
    fn is_below_zero(self) -> bool;
    /// Whether it is not a number.
    fn is_nan(self) -> bool;
}

macro_rules! integers {
    ($($type:ident, $bits:expr, $signed:expr;)*) => {
        $(impl Number for $type {
            const ZERO: Self = 0;
            const ONE: Self = 1;
            const LOWEST: Self = $type::MIN;
            const HIGHEST: Self = $type::MAX;

            #[inline(always)]
            fn add(self, other: Self) -> Self {
                self.wrapping_add(other)
            }

            #[inline(always)]
            fn subtract(self, other: Self) -> Self {
                self.wrapping_sub(other)
            }

            #[inline(always)]
            fn multiply(self, other: Self) -> Self {
                self.wrapping_mul(other)
            }

            #[inline(always)]
            #[allow(unused_comparisons, reason = "one text for signed and unsigned")]
            fn floor_divide(self, other: Self) -> Self {
                if other == 0 {
                    return 0;
                }
                let quotient = self.wrapping_div(other);
                let inexact = self.wrapping_rem(other) != 0;
                if inexact && ((self < 0) != (other < 0)) { quotient - 1 } else { quotient }
            }

            #[inline(always)]
            #[allow(unused_comparisons, reason = "one text for signed and unsigned")]
            fn remainder(self, other: Self) -> Self {
                if other == 0 {
                    return 0;
                }
                let rest = self.wrapping_rem(other);
                if rest != 0 && ((rest < 0) != (other < 0)) { rest + other } else { rest }
            }

            #[inline(always)]
            fn fmod(self, other: Self) -> Self {
                if other == 0 { 0 } else { self.wrapping_rem(other) }
            }

            #[inline(always)]
            fn power(self, other: Self) -> Self {
                let (mut base, mut exponent, mut result) = (self, other as u64, 1 as $type);
                while exponent > 0 {
                    if exponent & 1 == 1 {
                        result = result.wrapping_mul(base);
                    }
                    base = base.wrapping_mul(base);
                    exponent >>= 1;
                }
                result
            }

            #[inline(always)]
            fn maximum(self, other: Self) -> Self {
                if self > other { self } else { other }
            }

            #[inline(always)]
            fn minimum(self, other: Self) -> Self {
                if self < other { self } else { other }
            }

            #[inline(always)]
            fn fmax(self, other: Self) -> Self {
                self.maximum(other)
            }

            #[inline(always)]
            fn fmin(self, other: Self) -> Self {
                self.minimum(other)
            }

            #[inline(always)]
            fn negative(self) -> Self {
                self.wrapping_neg()
            }

            #[inline(always)]
            #[allow(unused_comparisons, reason = "one text for signed and unsigned")]
            fn absolute(self) -> Self {
                if self < 0 { self.wrapping_neg() } else { self }
            }

            #[inline(always)]
            #[allow(unused_comparisons, reason = "one text for signed and unsigned")]
            fn sign(self) -> Self {
                if self > 0 { 1 } else if self < 0 { (0 as $type).wrapping_sub(1) } else { 0 }
            }

            #[inline(always)]
            #[allow(unused_comparisons, reason = "one text for signed and unsigned")]
            fn is_below_zero(self) -> bool {
                self < 0
            }

            #[inline(always)]
            fn is_nan(self) -> bool {
                false
            }
        }

        impl Bits for $type {
            #[inline(always)]
            fn and(self, other: Self) -> Self {
                self & other
            }

            #[inline(always)]
            fn or(self, other: Self) -> Self {
                self | other
            }

            #[inline(always)]
            fn xor(self, other: Self) -> Self {
                self ^ other
            }

            #[inline(always)]
            fn invert(self) -> Self {
                !self
            }

            #[inline(always)]
            fn left_shift(self, other: Self) -> Self {
                if (other as u64) < $bits { self << other } else { 0 }
            }

            #[inline(always)]
            fn right_shift(self, other: Self) -> Self {
                if (other as u64) < $bits { self >> other } else if self.is_below_zero() { !0 } else { 0 }
            }
        })*
    };
}
integers! {
    i8, 8, true;
    i16, 16, true;
    i32, 32, true;
    i64, 64, true;
    u8, 8, false;
    u16, 16, false;
    u32, 32, false;
    u64, 64, false;
}

macro_rules! floats {
    ($($type:ident),*) => {
        $(impl Number for $type {
            const ZERO: Self = 0.0;
            const ONE: Self = 1.0;
            const LOWEST: Self = $type::NEG_INFINITY;
            const HIGHEST: Self = $type::INFINITY;

            #[inline(always)]
            fn add(self, other: Self) -> Self {
                self + other
            }

            #[inline(always)]
            fn subtract(self, other: Self) -> Self {
                self - other
            }

            #[inline(always)]
            fn multiply(self, other: Self) -> Self {
                self * other
            }

            #[inline(always)]
            fn floor_divide(self, other: Self) -> Self {
                if other == 0.0 {
                    return self / other;
                }
                let rest = self % other;
                let mut quotient = (self - rest) / other;
                if rest != 0.0 && ((other < 0.0) != (rest < 0.0)) {
                    quotient -= 1.0;
                }
                // The quotient is a whole number up to rounding; round it to one.
                let floor = quotient.floor();
                if quotient == 0.0 {
                    (0.0 as $type).copysign(self / other)
                } else if quotient - floor > 0.5 {
                    floor + 1.0
                } else {
                    floor
                }
            }

            #[inline(always)]
            fn remainder(self, other: Self) -> Self {
                let rest = self % other;
                if rest == 0.0 {
                    (0.0 as $type).copysign(other)
                } else if (other < 0.0) != (rest < 0.0) {
                    rest + other
                } else {
                    rest
                }
            }

            #[inline(always)]
            fn fmod(self, other: Self) -> Self {
                self % other
            }

            #[inline(always)]
            fn power(self, other: Self) -> Self {
                self.powf(other)
            }

            #[inline(always)]
            fn has_plain_power(self, other: Self) -> bool {
                math::is_plain_power(self as f64, other as f64)
            }

            #[inline(always)]
            fn plain_power(self, other: Self) -> Self {
                math::power(self as f64, other as f64) as $type
            }

            #[inline(always)]
            fn maximum(self, other: Self) -> Self {
                if self > other || self != self { self } else { other }
            }

            #[inline(always)]
            fn minimum(self, other: Self) -> Self {
                if self < other || self != self { self } else { other }
            }

            #[inline(always)]
            fn fmax(self, other: Self) -> Self {
                if self >= other || other != other { self } else { other }
            }

            #[inline(always)]
            fn fmin(self, other: Self) -> Self {
                if self <= other || other != other { self } else { other }
            }

            #[inline(always)]
            fn negative(self) -> Self {
                -self
            }

            #[inline(always)]
            fn absolute(self) -> Self {
                self.abs()
            }

            #[inline(always)]
            fn sign(self) -> Self {
                if self > 0.0 { 1.0 } else if self < 0.0 { -1.0 } else { self + 0.0 }
            }

            #[inline(always)]
            fn is_below_zero(self) -> bool {
                self < 0.0
            }

            #[inline(always)]
            fn is_nan(self) -> bool {
                self != self
            }
        })*
    };
}
floats!(f32, f64);

impl Number for Bool {
    const ZERO: Self = Bool(0);
    const ONE: Self = Bool(1);
    const LOWEST: Self = Bool(0);
    const HIGHEST: Self = Bool(1);

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self.maximum(other)
    }

    #[inline(always)]
    fn subtract(self, other: Self) -> Self {
        self.xor(other)
    }

    #[inline(always)]
    fn multiply(self, other: Self) -> Self {
        self.minimum(other)
    }

    #[inline(always)]
    fn floor_divide(self, other: Self) -> Self {
        self.and(other)
    }

    #[inline(always)]
    fn remainder(self, _: Self) -> Self {
        Bool(0)
    }

    #[inline(always)]
    fn fmod(self, _: Self) -> Self {
        Bool(0)
    }

    #[inline(always)]
    fn power(self, other: Self) -> Self {
        Bool::from(self.get() || !other.get())
    }

    #[inline(always)]
    fn maximum(self, other: Self) -> Self {
        self.or(other)
    }

    #[inline(always)]
    fn minimum(self, other: Self) -> Self {
        self.and(other)
    }

    #[inline(always)]
    fn fmax(self, other: Self) -> Self {
        self.or(other)
    }

    #[inline(always)]
    fn fmin(self, other: Self) -> Self {
        self.and(other)
    }

    #[inline(always)]
    fn negative(self) -> Self {
        self.invert()
    }

    #[inline(always)]
    fn absolute(self) -> Self {
        self
    }

    #[inline(always)]
    fn sign(self) -> Self {
        self
    }

    #[inline(always)]
    fn is_below_zero(self) -> bool {
        false
    }

    #[inline(always)]
    fn is_nan(self) -> bool {
        false
    }
}

/// Bit operations, which integers and truth values have.
pub trait Bits: Number {
    /// Bitwise and.
    fn and(self, other: Self) -> Self;
    /// Bitwise or.
    fn or(self, other: Self) -> Self;
    /// Bitwise exclusive or.
    fn xor(self, other: Self) -> Self;
    /// Bitwise not.
    fn invert(self) -> Self;
    /// Shifted left; 0 if the shift is as wide as the type.
    fn left_shift(self, other: Self) -> Self;
    /// Shifted right, keeping the sign.
    fn right_shift(self, other: Self) -> Self;
}

impl Bits for Bool {
    #[inline(always)]
    fn and(self, other: Self) -> Self {
        Bool::from(self.get() & other.get())
    }

    #[inline(always)]
    fn or(self, other: Self) -> Self {
        Bool::from(self.get() | other.get())
    }

    #[inline(always)]
    fn xor(self, other: Self) -> Self {
        Bool::from(self.get() ^ other.get())
    }

    #[inline(always)]
    fn invert(self) -> Self {
        Bool::from(!self.get())
    }

    #[inline(always)]
    fn left_shift(self, other: Self) -> Self {
        Bool::from(self.get() & !other.get())
    }

    #[inline(always)]
    fn right_shift(self, other: Self) -> Self {
        self.left_shift(other)
    }
}

/// Functions of floats. Those that the compiler cannot vectorise call the
/// system's mathematics library for each element.
pub trait Float: Number {
    /// Converted from 64 bits.
    fn narrow(value: f64) -> Self;
    /// Converted to 64 bits.
    fn widen(self) -> f64;
    /// `self / other`.
    fn divide(self, other: Self) -> Self;
    /// The square root.
    fn square_root(self) -> Self;
    /// Rounded down.
    fn round_down(self) -> Self;
    /// Rounded up.
    fn round_up(self) -> Self;
    /// Rounded towards zero.
    fn cut(self) -> Self;
    /// Rounded to the nearest whole number, halves to even.
    fn round_even(self) -> Self;
    /// With the sign of `other`.
    fn with_sign_of(self, other: Self) -> Self;
    /// Whether the sign bit is set.
    fn has_sign(self) -> bool;
    /// Whether it is neither infinite nor NaN.
    fn is_a_number(self) -> bool;
    /// Whether it is an infinity.
    fn is_an_infinity(self) -> bool;
}

macro_rules! float_functions {
    ($($type:ident),*) => {
        $(impl Float for $type {
            #[inline(always)]
            fn narrow(value: f64) -> Self {
                value as $type
            }

            #[inline(always)]
            fn widen(self) -> f64 {
                self as f64
            }

            #[inline(always)]
            fn divide(self, other: Self) -> Self {
                self / other
            }

            #[inline(always)]
            fn square_root(self) -> Self {
                self.sqrt()
            }

            #[inline(always)]
            fn round_down(self) -> Self {
                self.floor()
            }

            #[inline(always)]
            fn round_up(self) -> Self {
                self.ceil()
            }

            #[inline(always)]
            fn cut(self) -> Self {
                self.trunc()
            }

            #[inline(always)]
            fn round_even(self) -> Self {
                self.round_ties_even()
            }

            #[inline(always)]
            fn with_sign_of(self, other: Self) -> Self {
                self.copysign(other)
            }

            #[inline(always)]
            fn has_sign(self) -> bool {
                self.is_sign_negative()
            }

            #[inline(always)]
            fn is_a_number(self) -> bool {
                self.is_finite()
            }

            #[inline(always)]
            fn is_an_infinity(self) -> bool {
                self.is_infinite()
            }
        })*
    };
}
float_functions!(f32, f64);

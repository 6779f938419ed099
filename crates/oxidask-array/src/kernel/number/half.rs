//! Half precision: stored in 16 bits, computed in 32 and rounded back.

use super::{Float, Number};
use half::f16;

macro_rules! through_f32 {
    ($trait:ident, binary: $($binary:ident),*; unary: $($unary:ident),*) => {
        $(#[inline(always)]
        fn $binary(self, other: Self) -> Self {
            f16::from_f32($trait::$binary(self.to_f32(), other.to_f32()))
        })*
        $(#[inline(always)]
        fn $unary(self) -> Self {
            f16::from_f32($trait::$unary(self.to_f32()))
        })*
    };
}

impl Number for f16 {
    const ZERO: Self = f16::ZERO;
    const ONE: Self = f16::ONE;
    const LOWEST: Self = f16::NEG_INFINITY;
    const HIGHEST: Self = f16::INFINITY;

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        f16::from_f32(self.to_f32() + other.to_f32())
    }

    #[inline(always)]
    fn subtract(self, other: Self) -> Self {
        f16::from_f32(self.to_f32() - other.to_f32())
    }

    #[inline(always)]
    fn multiply(self, other: Self) -> Self {
        f16::from_f32(self.to_f32() * other.to_f32())
    }

    through_f32! {
        Number, binary: floor_divide, remainder, fmod, power, maximum, minimum, fmax, fmin;
        unary: negative, absolute, sign
    }

    #[inline(always)]
    fn is_below_zero(self) -> bool {
        self.to_f32() < 0.0
    }

    #[inline(always)]
    fn is_nan(self) -> bool {
        f16::is_nan(self)
    }
}

impl Float for f16 {
    #[inline(always)]
    fn narrow(value: f64) -> Self {
        f16::from_f64(value)
    }

    #[inline(always)]
    fn widen(self) -> f64 {
        self.to_f64()
    }

    through_f32! {
        Float, binary: divide, with_sign_of;
        unary: square_root, round_down, round_up, cut, round_even
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
}

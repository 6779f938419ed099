//! Spans of time as numbers: "no time" takes part in nothing and comes out of
//! everything it goes into.

use super::Number;
use crate::dtype::Ticks;

/// Runs an operation of integers unless one of them is no time.
macro_rules! unless_none {
    ($a:ident, $b:ident => $value:expr) => {
        if $a.is_none() || $b.is_none() { Ticks::NONE } else { Ticks($value) }
    };
}

impl Number for Ticks {
    const ZERO: Self = Ticks(0);
    const ONE: Self = Ticks(1);
    const LOWEST: Self = Ticks(i64::MIN + 1);
    const HIGHEST: Self = Ticks(i64::MAX);

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        unless_none!(self, other => self.0.wrapping_add(other.0))
    }

    #[inline(always)]
    fn subtract(self, other: Self) -> Self {
        unless_none!(self, other => self.0.wrapping_sub(other.0))
    }

    #[inline(always)]
    fn multiply(self, other: Self) -> Self {
        unless_none!(self, other => self.0.wrapping_mul(other.0))
    }

    #[inline(always)]
    fn floor_divide(self, other: Self) -> Self {
        if other.0 == 0 {
            return Ticks::NONE;
        }
        unless_none!(self, other => self.0.floor_divide(other.0))
    }

    #[inline(always)]
    fn remainder(self, other: Self) -> Self {
        if other.0 == 0 {
            return Ticks::NONE;
        }
        unless_none!(self, other => self.0.remainder(other.0))
    }

    #[inline(always)]
    fn fmod(self, other: Self) -> Self {
        if other.0 == 0 {
            return Ticks::NONE;
        }
        unless_none!(self, other => self.0.fmod(other.0))
    }

    #[inline(always)]
    fn power(self, other: Self) -> Self {
        unless_none!(self, other => self.0.power(other.0))
    }

    #[inline(always)]
    fn maximum(self, other: Self) -> Self {
        unless_none!(self, other => self.0.max(other.0))
    }

    #[inline(always)]
    fn minimum(self, other: Self) -> Self {
        // No time is the lowest count, and so wins as it should.
        Ticks(self.0.min(other.0))
    }

    #[inline(always)]
    fn fmax(self, other: Self) -> Self {
        Ticks(self.0.max(other.0))
    }

    #[inline(always)]
    fn fmin(self, other: Self) -> Self {
        if self.is_none() || (!other.is_none() && other.0 < self.0) { other } else { self }
    }

    #[inline(always)]
    fn negative(self) -> Self {
        Ticks(self.0.wrapping_neg())
    }

    #[inline(always)]
    fn absolute(self) -> Self {
        Ticks(self.0.wrapping_abs())
    }

    #[inline(always)]
    fn sign(self) -> Self {
        if self.is_none() { self } else { Ticks(self.0.signum()) }
    }

    #[inline(always)]
    fn is_below_zero(self) -> bool {
        self.0 < 0
    }

    #[inline(always)]
    fn is_nan(self) -> bool {
        self.is_none()
    }
}

//! Conversion between element types.

use super::{each, multiversion};
use crate::dispatch;
use crate::dtype::{Bool, C64, C128, DType, Element, Ticks, convert_ticks};
use half::f16;
use num_complex::Complex;

/// `self as U` with the meaning that `astype` has.
pub trait CastTo<U> {
    /// The converted element. Floats beyond an integer's range saturate; complex
    /// numbers lose their imaginary part.
    fn cast_to(self) -> U;
}

/// Conversions written as expressions of the element.
macro_rules! conversions {
    ($($from:ty => $to:ty: |$x:ident| $value:expr;)*) => {
        $(impl CastTo<$to> for $from {
            #[inline(always)]
            fn cast_to(self) -> $to {
                let $x = self;
                $value
            }
        })*
    };
}

macro_rules! casts {
    ($($from:ty),*) => {
        $(casts!(@to $from; i8, i16, i32, i64, u8, u16, u32, u64, f32, f64);
        conversions! {
            $from => Bool: |x| Bool::from(x != (0 as $from));
            Bool => $from: |x| u8::from(x.get()) as $from;
            $from => f16: |x| f16::from_f64(x as f64);
            f16 => $from: |x| x.to_f64() as $from;
            $from => C64: |x| C64(Complex::new(x as f32, 0.0));
            $from => C128: |x| C128(Complex::new(x as f64, 0.0));
            C64 => $from: |x| x.0.re as $from;
            C128 => $from: |x| x.0.re as $from;
        })*
    };
    (@to $from:ty; $($to:ty),*) => {
        $(impl CastTo<$to> for $from {
            #[inline(always)]
            fn cast_to(self) -> $to {
                self as $to
            }
        })*
    };
}
casts!(i8, i16, i32, i64, u8, u16, u32, u64, f32, f64);

/// Times convert as integers do, but no time is NaN.
macro_rules! times {
    (integers: $($integer:ty),*; floats: $($float:ty),*) => {
        conversions! {
            $($integer => Ticks: |x| Ticks(x as i64);
            Ticks => $integer: |x| x.0 as $integer;)*
            $($float => Ticks: |x| if x.is_nan() { Ticks::NONE } else { Ticks(x as i64) };
            Ticks => $float: |x| if x.is_none() { <$float>::NAN } else { x.0 as $float };)*
        }
    };
}
times!(integers: i8, i16, i32, i64, u8, u16, u32, u64; floats: f32, f64);

conversions! {
    Bool => Bool: |x| Bool::from(x.get());
    Bool => f16: |x| if x.get() { f16::ONE } else { f16::ZERO };
    Bool => C64: |x| C64(Complex::new(f32::from(x.get()), 0.0));
    Bool => C128: |x| C128(Complex::new(f64::from(x.get()), 0.0));
    Bool => Ticks: |x| Ticks(i64::from(x.get()));
    f16 => Bool: |x| Bool::from(x != f16::ZERO);
    f16 => f16: |x| x;
    f16 => C64: |x| C64(Complex::new(x.to_f32(), 0.0));
    f16 => C128: |x| C128(Complex::new(x.to_f64(), 0.0));
    f16 => Ticks: |x| if x.is_nan() { Ticks::NONE } else { Ticks(x.to_f64() as i64) };
    C64 => Bool: |x| Bool::from(x.0.re != 0.0 || x.0.im != 0.0);
    C64 => f16: |x| f16::from_f32(x.0.re);
    C64 => C64: |x| x;
    C64 => C128: |x| C128(Complex::new(f64::from(x.0.re), f64::from(x.0.im)));
    C64 => Ticks: |x| x.0.re.cast_to();
    C128 => Bool: |x| Bool::from(x.0.re != 0.0 || x.0.im != 0.0);
    C128 => f16: |x| f16::from_f64(x.0.re);
    C128 => C64: |x| C64(Complex::new(x.0.re as f32, x.0.im as f32));
    C128 => C128: |x| x;
    C128 => Ticks: |x| x.0.re.cast_to();
    Ticks => Bool: |x| Bool::from(x.0 != 0);
    Ticks => f16: |x| if x.is_none() { f16::NAN } else { f16::from_f64(x.0 as f64) };
    Ticks => C64: |x| C64(Complex::new(x.cast_to(), 0.0));
    Ticks => C128: |x| C128(Complex::new(x.cast_to(), 0.0));
    Ticks => Ticks: |x| x;
}

/// Two types of which the first converts to the second.
trait Pair {
    type From: CastTo<Self::To> + Element;
    type To: Element;
}

impl<A: CastTo<B> + Element, B: Element> Pair for (A, B) {
    type From = A;
    type To = B;
}

multiversion! {
    fn convert<P: Pair>(a: &[P::From], out: &mut [P::To]) {
        each!(out, |x in a| x.cast_to());
    }
}

/// Converts `n` elements from one dtype to another.
///
/// # Safety
/// `from` is valid for reads and `to` for writes of `n` elements of their
/// dtypes, both aligned, and they do not overlap.
pub unsafe fn cast(from_dtype: DType, to_dtype: DType, from: *const u8, to: *mut u8, n: usize) {
    if let (DType::Datetime(a), DType::Datetime(b)) | (DType::Timedelta(a), DType::Timedelta(b)) =
        (from_dtype, to_dtype)
    {
        let is_moment = matches!(to_dtype, DType::Datetime(_));
        // SAFETY: passed on to the caller; both are counts.
        let (from, to) = unsafe {
            (std::slice::from_raw_parts(from.cast::<i64>(), n), std::slice::from_raw_parts_mut(to.cast::<i64>(), n))
        };
        for (to, &ticks) in to.iter_mut().zip(from) {
            *to = convert_ticks(ticks, a, b, is_moment);
        }
        return;
    }
    dispatch!(from_dtype, A => dispatch!(to_dtype, B => {
        // SAFETY: passed on to the caller.
        let (a, b) = unsafe { (std::slice::from_raw_parts(from.cast::<A>(), n), std::slice::from_raw_parts_mut(to.cast::<B>(), n)) };
        convert::<(A, B)>(a, b);
    }));
}

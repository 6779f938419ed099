//! Conversion between element types.

use super::{each, multiversion};
use crate::dispatch;
use crate::dtype::{Bool, C64, C128, DType, Element, Ticks, convert_ticks};
use half::f16;
use num_complex::Complex;

/// `self as U` with the meaning that `astype` has.
pub trait CastTo<U> {
    /// The converted element. Complex numbers lose their imaginary part. Floats
    /// that no integer of the type equals answer what NumPy's own loops answer on
    /// x86-64, on every machine; see `Whole`.
    fn cast_to(self) -> U;
}

/// Floats as whole numbers, cut towards zero.
///
/// The processor's conversions have one answer for all that does not fit: the
/// lowest number. Unsigned numbers of 32 and 64 bits are made in two halves, of
/// which the upper is moved down first, and narrow numbers are the low bits of 32.
/// Comparing first lets the compiler take the processor's conversion as it is,
/// where Rust's own would spend more on saturating; all of it vectorises.
trait Whole: Copy {
    fn to_i32(self) -> i32;
    fn to_i64(self) -> i64;
    fn to_u32(self) -> u32;
    fn to_u64(self) -> u64;
}

macro_rules! whole {
    ($($float:ident),*) => {
        $(impl Whole for $float {
            #[inline(always)]
            fn to_i32(self) -> i32 {
                // What lies between the lowest number and one below is cut to the
                // lowest, which is the answer for all below it as well.
                if (self >= i32::MIN as $float) & (self < -(i32::MIN as $float)) {
                    // SAFETY: it is a number, and in the range of the type.
                    unsafe { self.to_int_unchecked() }
                } else {
                    i32::MIN
                }
            }

            #[inline(always)]
            fn to_i64(self) -> i64 {
                if (self >= i64::MIN as $float) & (self < -(i64::MIN as $float)) {
                    // SAFETY: it is a number, and in the range of the type.
                    unsafe { self.to_int_unchecked() }
                } else {
                    i64::MIN
                }
            }

            #[inline(always)]
            fn to_u32(self) -> u32 {
                let half = -(i32::MIN as $float);
                if self >= half { (self - half).to_i32() as u32 ^ (1 << 31) } else { self.to_i32() as u32 }
            }

            #[inline(always)]
            fn to_u64(self) -> u64 {
                let half = -(i64::MIN as $float);
                if self >= half { (self - half).to_i64() as u64 ^ (1 << 63) } else { self.to_i64() as u64 }
            }
        })*
    };
}
whole!(f32, f64);

/// Half floats convert as single ones do, but for unsigned numbers of 32 bits,
/// which NumPy takes from 64.
impl Whole for f16 {
    #[inline(always)]
    fn to_i32(self) -> i32 {
        self.to_f32().to_i32()
    }

    #[inline(always)]
    fn to_i64(self) -> i64 {
        self.to_f32().to_i64()
    }

    #[inline(always)]
    fn to_u32(self) -> u32 {
        self.to_i64() as u32
    }

    #[inline(always)]
    fn to_u64(self) -> u64 {
        self.to_f32().to_u64()
    }
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
        $(casts!(@to $from; f32, f64);
        conversions! {
            $from => Bool: |x| Bool::from(x != (0 as $from));
            Bool => $from: |x| u8::from(x.get()) as $from;
            $from => f16: |x| f16::from_f64(x as f64);
            $from => C64: |x| C64(Complex::new(x as f32, 0.0));
            $from => C128: |x| C128(Complex::new(x as f64, 0.0));
            C64 => $from: |x| x.0.re.cast_to();
            C128 => $from: |x| x.0.re.cast_to();
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

/// Integers wrap around.
macro_rules! integers {
    ($($from:ty),*) => {
        $(casts!(@to $from; i8, i16, i32, i64, u8, u16, u32, u64);)*
    };
}
integers!(i8, i16, i32, i64, u8, u16, u32, u64);

macro_rules! from_floats {
    ($($float:ty),*) => {
        conversions! {
            $($float => i8: |x| x.to_i32() as i8;
            $float => i16: |x| x.to_i32() as i16;
            $float => i32: |x| x.to_i32();
            $float => i64: |x| x.to_i64();
            $float => u8: |x| x.to_i32() as u8;
            $float => u16: |x| x.to_i32() as u16;
            $float => u32: |x| x.to_u32();
            $float => u64: |x| x.to_u64();
            $float => Ticks: |x| Ticks(x.to_i64());)*
        }
    };
}
from_floats!(f16, f32, f64);

/// Times convert as integers do, but no time is NaN. (NaN converts to the lowest
/// integer, which is no time.)
macro_rules! times {
    (integers: $($integer:ty),*; floats: $($float:ty),*) => {
        conversions! {
            $($integer => Ticks: |x| Ticks(x as i64);
            Ticks => $integer: |x| x.0 as $integer;)*
            $(Ticks => $float: |x| if x.is_none() { <$float>::NAN } else { x.0 as $float };)*
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
    f16 => f32: |x| x.to_f32();
    f16 => f64: |x| x.to_f64();
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

//! Conversion between element types.

use super::{each, multiversion};
use crate::dispatch;
use crate::dtype::{Bool, DType, Element};

/// `self as U` with the meaning that `astype` has.
pub trait CastTo<U> {
    /// The converted element. Floats beyond an integer's range saturate.
    fn cast_to(self) -> U;
}

macro_rules! casts {
    ($($from:ty),*) => {
        $(casts!(@to $from; i8, i16, i32, i64, u8, u16, u32, u64, f32, f64);

        impl CastTo<Bool> for $from {
            #[inline(always)]
            fn cast_to(self) -> Bool {
                Bool::from(self != (0 as $from))
            }
        }

        impl CastTo<$from> for Bool {
            #[inline(always)]
            fn cast_to(self) -> $from {
                u8::from(self.get()) as $from
            }
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

impl CastTo<Bool> for Bool {
    #[inline(always)]
    fn cast_to(self) -> Bool {
        Bool::from(self.get())
    }
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
    dispatch!(from_dtype, A => dispatch!(to_dtype, B => {
        // SAFETY: passed on to the caller.
        let (a, b) = unsafe { (std::slice::from_raw_parts(from.cast::<A>(), n), std::slice::from_raw_parts_mut(to.cast::<B>(), n)) };
        convert::<(A, B)>(a, b);
    }));
}

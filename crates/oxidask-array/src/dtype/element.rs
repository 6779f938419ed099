//! The Rust types behind the dtypes.

use super::{Constant, DType, TimeUnit, Unit};
use half::f16;
use num_complex::Complex;
use std::cmp::Ordering;
use std::fmt;

/// A truth value as NumPy stores it: one byte, where every byte but zero is
/// true. Rust's own `bool` may not be used on memory that Python can change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
#[repr(transparent)]
pub struct Bool(pub u8);

impl Bool {
    /// Whether it is true.
    #[must_use]
    #[inline(always)]
    pub fn get(self) -> bool {
        self.0 != 0
    }
}

impl From<bool> for Bool {
    #[inline(always)]
    fn from(value: bool) -> Self {
        Bool(u8::from(value))
    }
}

/// A count of units of time. The lowest count means "no time", which like NaN
/// is neither equal to nor ordered against anything.
#[derive(Clone, Copy, Debug, Default)]
#[repr(transparent)]
pub struct Ticks(pub i64);

impl Ticks {
    /// No time.
    pub const NONE: Ticks = Ticks(i64::MIN);

    /// Whether it is no time.
    #[must_use]
    #[inline(always)]
    pub fn is_none(self) -> bool {
        self.0 == i64::MIN
    }
}

impl PartialEq for Ticks {
    #[inline(always)]
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0 && !self.is_none()
    }
}

impl PartialOrd for Ticks {
    #[inline(always)]
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        if self.is_none() || other.is_none() { None } else { self.0.partial_cmp(&other.0) }
    }
}

macro_rules! complex_types {
    ($($name:ident: $part:ty, $doc:literal;)*) => {
        $(#[doc = $doc]
        ///
        /// Ordered by the real and then the imaginary part, as NumPy does.
        #[derive(Clone, Copy, Debug, PartialEq, Default)]
        #[repr(transparent)]
        pub struct $name(pub Complex<$part>);

        impl PartialOrd for $name {
            #[inline(always)]
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                match self.0.re.partial_cmp(&other.0.re) {
                    Some(Ordering::Equal) => self.0.im.partial_cmp(&other.0.im),
                    unequal => unequal,
                }
            }
        })*
    };
}
complex_types! {
    C64: f32, "A complex number of two `f32`.";
    C128: f64, "A complex number of two `f64`.";
}

/// A Rust type that arrays hold: any bit pattern is a valid value.
///
/// # Safety
/// Implementors are plain numbers without padding or invalid bit patterns, as
/// large as `DTYPE` says; blocks are read through them.
pub unsafe trait Element: Copy + PartialOrd + Send + Sync + fmt::Debug + 'static {
    /// The dtype that this type is; for [`Ticks`] one of those.
    const DTYPE: DType;

    /// A constant as this type.
    fn from_constant(constant: Constant) -> Self;

    /// Whether elements of `dtype` are of this type.
    #[must_use]
    fn is_of(dtype: DType) -> bool {
        dtype == Self::DTYPE
    }
}

macro_rules! elements {
    ($($type:ty: $dtype:ident),*) => {
        $(
            // SAFETY: primitive numbers have no padding and no invalid values.
            unsafe impl Element for $type {
                const DTYPE: DType = DType::$dtype;

                fn from_constant(constant: Constant) -> Self {
                    if constant.dtype().is_float() || constant.dtype().is_complex() {
                        constant.to_f64() as $type
                    } else {
                        constant.to_i128() as $type
                    }
                }
            }
        )*
    };
}
elements!(i8: I8, i16: I16, i32: I32, i64: I64, u8: U8, u16: U16, u32: U32, u64: U64, f32: F32, f64: F64);

// SAFETY: two bytes, valid for every pattern.
unsafe impl Element for f16 {
    const DTYPE: DType = DType::F16;

    fn from_constant(constant: Constant) -> Self {
        f16::from_f64(constant.to_f64())
    }
}

macro_rules! complex_elements {
    ($($type:ident: $part:ty, $dtype:ident;)*) => {
        $(
            // SAFETY: two floats without padding.
            unsafe impl Element for $type {
                const DTYPE: DType = DType::$dtype;

                fn from_constant(constant: Constant) -> Self {
                    $type(Complex::new(constant.to_f64() as $part, constant.imaginary() as $part))
                }
            }
        )*
    };
}
complex_elements! {
    C64: f32, C64;
    C128: f64, C128;
}

// SAFETY: a transparent wrapper of an integer.
unsafe impl Element for Ticks {
    const DTYPE: DType = DType::Timedelta(TimeUnit { unit: Unit::Generic, count: 1 });

    fn from_constant(constant: Constant) -> Self {
        Ticks(constant.to_i128() as i64)
    }

    fn is_of(dtype: DType) -> bool {
        dtype.is_time()
    }
}

// SAFETY: a transparent wrapper of one byte, valid for every byte.
unsafe impl Element for Bool {
    const DTYPE: DType = DType::Bool;

    fn from_constant(constant: Constant) -> Self {
        Bool::from(constant.cast(DType::Bool).to_i128() != 0)
    }
}

/// Runs a piece of code with a type name bound to the Rust type of a dtype:
/// the one place where dtypes become types. Dtypes without arithmetic are
/// refused by the builders and never come here.
#[macro_export]
macro_rules! dispatch {
    ($dtype:expr, $T:ident => $body:expr) => {
        match $dtype {
            $crate::DType::Datetime(_) | $crate::DType::Timedelta(_) => {
                type $T = $crate::dtype::Ticks;
                $body
            }
            dtype => $crate::dispatch!(@rows dtype, $T => $body;
            Bool: $crate::dtype::Bool, I8: i8, I16: i16, I32: i32, I64: i64,
            U8: u8, U16: u16, U32: u32, U64: u64, F32: f32, F64: f64,
            F16: half::f16, C64: $crate::dtype::C64, C128: $crate::dtype::C128),
        }
    };
    (@rows $dtype:expr, $T:ident => $body:expr; $($variant:ident: $type:ty),*) => {
        match $dtype {
            $($crate::DType::$variant => {
                type $T = $type;
                $body
            })*
            dtype => unreachable!("elements of dtype {dtype} have no such values"),
        }
    };
}

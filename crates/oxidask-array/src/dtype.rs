//! Element types and how they mix.
//!
//! Promotion follows NumPy 2: arrays promote among themselves by their dtypes
//! alone, and Python's own numbers are weak, so that `float32_array + 1.5`
//! stays `float32`.

use oxidask_core::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The type of an array's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names say it")]
pub enum DType {
    Bool,
    I8,
    I16,
    I32,
    I64,
    U8,
    U16,
    U32,
    U64,
    F32,
    F64,
}

/// What a dtype is, apart from its size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum DTypeKind {
    Bool,
    Signed,
    Unsigned,
    Float,
}

impl DType {
    /// Every dtype, in the order of the enum.
    pub const ALL: [DType; 11] = [
        DType::Bool,
        DType::I8,
        DType::I16,
        DType::I32,
        DType::I64,
        DType::U8,
        DType::U16,
        DType::U32,
        DType::U64,
        DType::F32,
        DType::F64,
    ];

    /// NumPy's name: `float64`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            DType::Bool => "bool",
            DType::I8 => "int8",
            DType::I16 => "int16",
            DType::I32 => "int32",
            DType::I64 => "int64",
            DType::U8 => "uint8",
            DType::U16 => "uint16",
            DType::U32 => "uint32",
            DType::U64 => "uint64",
            DType::F32 => "float32",
            DType::F64 => "float64",
        }
    }

    /// The dtype with one of NumPy's names.
    ///
    /// # Errors
    /// If there is none, naming those there are.
    pub fn from_name(name: &str) -> Result<DType> {
        DType::ALL.into_iter().find(|dtype| dtype.name() == name).ok_or_else(|| {
            let known: Vec<&str> = DType::ALL.into_iter().map(DType::name).collect();
            Error::type_(format!("arrays of dtype '{name}' are not supported"))
                .with_hint(format!("supported are {}", known.join(", ")))
        })
    }

    /// Bytes of one element.
    #[must_use]
    pub fn itemsize(self) -> usize {
        match self {
            DType::Bool | DType::I8 | DType::U8 => 1,
            DType::I16 | DType::U16 => 2,
            DType::I32 | DType::U32 | DType::F32 => 4,
            DType::I64 | DType::U64 | DType::F64 => 8,
        }
    }

    /// Bool, signed, unsigned or float.
    #[must_use]
    pub fn kind(self) -> DTypeKind {
        match self {
            DType::Bool => DTypeKind::Bool,
            DType::I8 | DType::I16 | DType::I32 | DType::I64 => DTypeKind::Signed,
            DType::U8 | DType::U16 | DType::U32 | DType::U64 => DTypeKind::Unsigned,
            DType::F32 | DType::F64 => DTypeKind::Float,
        }
    }

    /// Whether it is a float.
    #[must_use]
    pub fn is_float(self) -> bool {
        self.kind() == DTypeKind::Float
    }

    /// Whether it is a signed or unsigned integer.
    #[must_use]
    pub fn is_integer(self) -> bool {
        matches!(self.kind(), DTypeKind::Signed | DTypeKind::Unsigned)
    }

    /// The smallest dtype that both convert to, as `numpy.promote_types`.
    ///
    /// ```
    /// use oxidask_array::DType;
    /// assert_eq!(DType::U8.promote(DType::I8), DType::I16);
    /// assert_eq!(DType::U64.promote(DType::I64), DType::F64);
    /// assert_eq!(DType::I16.promote(DType::F32), DType::F32);
    /// ```
    #[must_use]
    pub fn promote(self, other: DType) -> DType {
        use DTypeKind::{Bool, Float, Signed, Unsigned};
        let (small, large) = if self.itemsize() <= other.itemsize() { (self, other) } else { (other, self) };
        match (small.kind(), large.kind()) {
            (a, b) if a == b => large,
            (Bool, _) => large,
            (_, Bool) => small,
            (Float, _) => DType::F64,
            (_, Float) if large == DType::F32 && small.itemsize() == 4 => DType::F64,
            (_, Float) => large,
            (Unsigned, Signed) if small.itemsize() < large.itemsize() => large,
            // An unsigned integer needs a signed one of twice its size.
            _ => match large.itemsize() {
                1 => DType::I16,
                2 => DType::I32,
                4 => DType::I64,
                _ => DType::F64,
            },
        }
    }

    /// The float in which a function such as `sin` answers for this dtype.
    /// NumPy answers `float16` for one-byte integers; we answer `float32`.
    #[must_use]
    pub fn to_float(self) -> DType {
        match self {
            DType::Bool | DType::I8 | DType::U8 | DType::I16 | DType::U16 | DType::F32 => DType::F32,
            DType::I32 | DType::U32 | DType::I64 | DType::U64 | DType::F64 => DType::F64,
        }
    }

    /// The dtype in which `sum` and `prod` answer: integers widen to 64 bits.
    #[must_use]
    pub fn to_sum(self) -> DType {
        match self.kind() {
            DTypeKind::Bool | DTypeKind::Signed => DType::I64,
            DTypeKind::Unsigned => DType::U64,
            DTypeKind::Float => self,
        }
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One number, with a dtype of its own or weak.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scalar {
    /// A truth value; takes part in promotion like an array of bools.
    Bool(bool),
    /// A plain integer, which adopts the dtype of the array beside it.
    Int(i128),
    /// A plain float, which adopts the dtype of a float array beside it.
    Float(f64),
    /// A number with a dtype of its own.
    Typed(Constant),
}

impl Scalar {
    /// The dtype of an array made of this number alone.
    #[must_use]
    pub fn default_dtype(self) -> DType {
        match self {
            Scalar::Bool(_) => DType::Bool,
            Scalar::Int(value) if i64::try_from(value).is_err() => DType::U64,
            Scalar::Int(_) => DType::I64,
            Scalar::Float(_) => DType::F64,
            Scalar::Typed(constant) => constant.dtype(),
        }
    }

    /// The dtype that this number and an array of `dtype` promote to.
    #[must_use]
    pub fn promote(self, dtype: DType) -> DType {
        match (self, dtype.kind()) {
            (Scalar::Typed(constant), _) => constant.dtype().promote(dtype),
            (Scalar::Bool(_), _) => dtype,
            (Scalar::Int(_), DTypeKind::Bool) => self.default_dtype(),
            (Scalar::Int(_), _) | (Scalar::Float(_), DTypeKind::Float) => dtype,
            (Scalar::Float(_), _) => DType::F64,
        }
    }

    /// The number as a constant of `dtype`.
    ///
    /// # Errors
    /// If an integer is beyond the range of an integer dtype.
    pub fn to_constant(self, dtype: DType) -> Result<Constant> {
        match self {
            Scalar::Bool(value) => Ok(Constant::from_i128(dtype, i128::from(value))),
            Scalar::Float(value) => Ok(Constant::from_f64(dtype, value)),
            Scalar::Typed(constant) => Ok(constant.cast(dtype)),
            Scalar::Int(value) => {
                let constant = Constant::from_i128(dtype, value);
                if dtype.is_integer() && constant.to_i128() != value {
                    return Err(Error::value(format!("the integer {value} is out of bounds for {dtype}"))
                        .with_hint("convert the array to a wider dtype with astype first"));
                }
                Ok(constant)
            }
        }
    }
}

macro_rules! scalar_from {
    ($($type:ty => $variant:ident),*) => {
        $(impl From<$type> for Scalar {
            fn from(value: $type) -> Self {
                Scalar::$variant(value.into())
            }
        })*
    };
}
scalar_from!(bool => Bool, i32 => Int, i64 => Int, u32 => Int, u64 => Int, f64 => Float);

/// A number of a fixed dtype, kept as the bits of its widest form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Constant {
    dtype: DType,
    /// The bits of a `f64` for floats, of an `i64` or `u64` otherwise.
    bits: u64,
}

impl Constant {
    /// The dtype.
    #[must_use]
    pub fn dtype(self) -> DType {
        self.dtype
    }

    /// A float converted to `dtype`.
    #[must_use]
    pub fn from_f64(dtype: DType, value: f64) -> Self {
        let bits = match dtype {
            DType::Bool => u64::from(value != 0.0),
            DType::F32 => f64::from(value as f32).to_bits(),
            DType::F64 => value.to_bits(),
            _ => return Constant::from_i128(dtype, value as i128),
        };
        Constant { dtype, bits }
    }

    /// An integer converted to `dtype`; it wraps where it does not fit.
    #[must_use]
    pub fn from_i128(dtype: DType, value: i128) -> Self {
        let bits = match dtype {
            DType::Bool => u64::from(value != 0),
            DType::I8 => value as i8 as u64,
            DType::I16 => value as i16 as u64,
            DType::I32 => value as i32 as u64,
            DType::I64 | DType::U64 => value as u64,
            DType::U8 => u64::from(value as u8),
            DType::U16 => u64::from(value as u16),
            DType::U32 => u64::from(value as u32),
            DType::F32 | DType::F64 => return Constant::from_f64(dtype, value as f64),
        };
        Constant { dtype, bits }
    }

    /// The number as a float.
    #[must_use]
    pub fn to_f64(self) -> f64 {
        match self.dtype.kind() {
            DTypeKind::Float => f64::from_bits(self.bits),
            DTypeKind::Signed => self.bits as i64 as f64,
            DTypeKind::Bool | DTypeKind::Unsigned => self.bits as f64,
        }
    }

    /// The number as an integer; floats are cut off.
    #[must_use]
    pub fn to_i128(self) -> i128 {
        match self.dtype.kind() {
            DTypeKind::Float => f64::from_bits(self.bits) as i128,
            DTypeKind::Signed => i128::from(self.bits as i64),
            DTypeKind::Bool | DTypeKind::Unsigned => i128::from(self.bits),
        }
    }

    /// The number converted to another dtype.
    #[must_use]
    pub fn cast(self, dtype: DType) -> Constant {
        if self.dtype.is_float() {
            Constant::from_f64(dtype, self.to_f64())
        } else {
            Constant::from_i128(dtype, self.to_i128())
        }
    }
}

impl fmt::Display for Constant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.dtype.kind() {
            DTypeKind::Bool => write!(f, "{}", self.bits != 0),
            DTypeKind::Float => write!(f, "{:?}", self.to_f64()),
            _ => write!(f, "{}", self.to_i128()),
        }
    }
}

/// A truth value as NumPy stores it: one byte, where every byte but zero is
/// true. Rust's own `bool` may not be used on memory that Python can change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
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

/// A Rust type that arrays hold: any bit pattern is a valid value.
///
/// # Safety
/// Implementors are plain numbers without padding or invalid bit patterns, as
/// large as `DTYPE` says; blocks are read through them.
pub unsafe trait Element: Copy + PartialOrd + Send + Sync + fmt::Debug + 'static {
    /// The dtype that this type is.
    const DTYPE: DType;

    /// A constant as this type.
    fn from_constant(constant: Constant) -> Self;
}

macro_rules! elements {
    ($($type:ty: $dtype:ident),*) => {
        $(
            // SAFETY: primitive numbers have no padding and no invalid values.
            unsafe impl Element for $type {
                const DTYPE: DType = DType::$dtype;

                fn from_constant(constant: Constant) -> Self {
                    if constant.dtype.is_float() { constant.to_f64() as $type } else { constant.to_i128() as $type }
                }
            }
        )*
    };
}
elements!(i8: I8, i16: I16, i32: I32, i64: I64, u8: U8, u16: U16, u32: U32, u64: U64, f32: F32, f64: F64);

// SAFETY: a transparent wrapper of one byte, valid for every byte.
unsafe impl Element for Bool {
    const DTYPE: DType = DType::Bool;

    fn from_constant(constant: Constant) -> Self {
        Bool::from(if constant.dtype.is_float() { constant.to_f64() != 0.0 } else { constant.bits != 0 })
    }
}

/// Runs a piece of code with a type name bound to the Rust type of a dtype:
/// the one place where dtypes become types.
#[macro_export]
macro_rules! dispatch {
    ($dtype:expr, $T:ident => $body:expr) => {
        $crate::dispatch!(@rows $dtype, $T => $body;
            Bool: $crate::dtype::Bool, I8: i8, I16: i16, I32: i32, I64: i64,
            U8: u8, U16: u16, U32: u32, U64: u64, F32: f32, F64: f64)
    };
    (@rows $dtype:expr, $T:ident => $body:expr; $($variant:ident: $type:ty),*) => {
        match $dtype {
            $($crate::DType::$variant => {
                type $T = $type;
                $body
            })*
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn promotion_is_symmetric_and_has_the_known_corners() {
        for a in DType::ALL {
            for b in DType::ALL {
                assert_eq!(a.promote(b), b.promote(a), "{a} {b}");
            }
            assert_eq!(a.promote(a), a);
        }
        let cases = [
            (DType::I8, DType::U8, DType::I16),
            (DType::I8, DType::U16, DType::I32),
            (DType::I32, DType::U16, DType::I32),
            (DType::I64, DType::U32, DType::I64),
            (DType::I32, DType::F32, DType::F64),
            (DType::U16, DType::F32, DType::F32),
            (DType::I64, DType::F32, DType::F64),
            (DType::Bool, DType::I8, DType::I8),
            (DType::U64, DType::I8, DType::F64),
        ];
        for (a, b, expected) in cases {
            assert_eq!(a.promote(b), expected, "{a} {b}");
        }
    }

    #[test]
    fn plain_numbers_are_weak() {
        assert_eq!(Scalar::Int(3).promote(DType::U8), DType::U8);
        assert_eq!(Scalar::Float(0.5).promote(DType::F32), DType::F32);
        assert_eq!(Scalar::Float(0.5).promote(DType::I8), DType::F64);
        assert_eq!(Scalar::Int(3).promote(DType::Bool), DType::I64);
        assert!(Scalar::Int(300).to_constant(DType::U8).is_err());
        assert_eq!(Scalar::Int(-3).to_constant(DType::I16).unwrap().to_i128(), -3);
    }
}

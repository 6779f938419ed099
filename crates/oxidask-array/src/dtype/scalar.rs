//! Single numbers.

use super::{DType, DTypeKind};
use oxidask_core::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fmt;

/// One number, with a dtype of its own or weak.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scalar {
    /// A truth value; takes part in promotion like an array of bools.
    Bool(bool),
    /// A plain integer, which adopts the dtype of the array beside it.
    Int(i128),
    /// A plain float, which adopts the dtype of a float array beside it.
    Float(f64),
    /// A plain complex number, which adopts the dtype of a complex array.
    Complex(f64, f64),
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
            Scalar::Complex(..) => DType::C128,
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
            (Scalar::Int(_), DTypeKind::Datetime | DTypeKind::Opaque) => DType::Object,
            (Scalar::Int(_), _) | (Scalar::Float(_), DTypeKind::Float | DTypeKind::Complex) => dtype,
            (Scalar::Float(_), DTypeKind::Bool | DTypeKind::Signed | DTypeKind::Unsigned) => DType::F64,
            (Scalar::Complex(..), DTypeKind::Complex) => dtype,
            (Scalar::Complex(..), DTypeKind::Float) => dtype.to_complex(),
            (Scalar::Complex(..), DTypeKind::Bool | DTypeKind::Signed | DTypeKind::Unsigned) => DType::C128,
            (Scalar::Float(_) | Scalar::Complex(..), _) => DType::Object,
        }
    }

    /// The number as a constant of `dtype`.
    ///
    /// # Errors
    /// If an integer is beyond the range of an integer dtype, or the dtype has
    /// no numbers.
    pub fn to_constant(self, dtype: DType) -> Result<Constant> {
        if !dtype.has_arithmetic() {
            return Err(Error::type_(format!("there are no numbers of dtype {dtype}")));
        }
        match self {
            Scalar::Bool(value) => Ok(Constant::from_i128(dtype, i128::from(value))),
            Scalar::Float(value) => Ok(Constant::from_f64(dtype, value)),
            Scalar::Complex(re, im) => Ok(Constant::from_parts(dtype, re, im)),
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
    /// The bits of the imaginary part.
    imaginary: u64,
}

impl Constant {
    /// The dtype.
    #[must_use]
    pub fn dtype(self) -> DType {
        self.dtype
    }

    /// A float converted to `dtype`; for times, NaN is no time.
    #[must_use]
    pub fn from_f64(dtype: DType, value: f64) -> Self {
        let bits = match dtype {
            DType::Bool => u64::from(value != 0.0),
            DType::F16 => half::f16::from_f64(value).to_f64().to_bits(),
            DType::F32 | DType::C64 => f64::from(value as f32).to_bits(),
            DType::F64 | DType::C128 => value.to_bits(),
            dtype if dtype.is_time() && value.is_nan() => i64::MIN as u64,
            _ => return Constant::from_i128(dtype, value as i128),
        };
        Constant { dtype, bits, imaginary: 0 }
    }

    /// A complex number converted to `dtype`; dtypes of real numbers take the
    /// real part.
    #[must_use]
    pub fn from_parts(dtype: DType, re: f64, im: f64) -> Self {
        let real = Constant::from_f64(dtype, re);
        if !dtype.is_complex() {
            return real;
        }
        Constant { imaginary: Constant::from_f64(dtype, im).bits, ..real }
    }

    /// An integer converted to `dtype`; it wraps where it does not fit.
    #[must_use]
    pub fn from_i128(dtype: DType, value: i128) -> Self {
        let bits = match dtype {
            DType::Bool => u64::from(value != 0),
            DType::I8 => value as i8 as u64,
            DType::I16 => value as i16 as u64,
            DType::I32 => value as i32 as u64,
            DType::U8 => u64::from(value as u8),
            DType::U16 => u64::from(value as u16),
            DType::U32 => u64::from(value as u32),
            DType::F16 | DType::F32 | DType::F64 | DType::C64 | DType::C128 => {
                return Constant::from_f64(dtype, value as f64);
            }
            _ => value as u64,
        };
        Constant { dtype, bits, imaginary: 0 }
    }

    fn has_float_bits(self) -> bool {
        self.dtype.is_float() || self.dtype.is_complex()
    }

    /// The number as a float; the real part of a complex one.
    #[must_use]
    pub fn to_f64(self) -> f64 {
        match self.dtype.kind() {
            DTypeKind::Float | DTypeKind::Complex => f64::from_bits(self.bits),
            DTypeKind::Bool | DTypeKind::Unsigned => self.bits as f64,
            _ if self.dtype.is_time() && self.bits == i64::MIN as u64 => f64::NAN,
            _ => self.bits as i64 as f64,
        }
    }

    /// The imaginary part.
    #[must_use]
    pub fn imaginary(self) -> f64 {
        f64::from_bits(self.imaginary)
    }

    /// The number as an integer; floats are cut off.
    #[must_use]
    pub fn to_i128(self) -> i128 {
        match self.dtype.kind() {
            DTypeKind::Float | DTypeKind::Complex => f64::from_bits(self.bits) as i128,
            DTypeKind::Bool | DTypeKind::Unsigned => i128::from(self.bits),
            _ => i128::from(self.bits as i64),
        }
    }

    /// The number converted to another dtype.
    #[must_use]
    pub fn cast(self, dtype: DType) -> Constant {
        match (self.dtype, dtype) {
            (DType::Datetime(from), DType::Datetime(to)) | (DType::Timedelta(from), DType::Timedelta(to)) => {
                let is_moment = matches!(dtype, DType::Datetime(_));
                let ticks = super::convert_ticks(self.bits as i64, from, to, is_moment);
                Constant::from_i128(dtype, ticks.into())
            }
            _ if self.dtype.is_complex() && dtype == DType::Bool => {
                Constant::from_i128(dtype, i128::from(self.to_f64() != 0.0 || self.imaginary() != 0.0))
            }
            _ if self.has_float_bits() => Constant::from_parts(dtype, self.to_f64(), self.imaginary()),
            _ => Constant::from_i128(dtype, self.to_i128()),
        }
    }
}

impl fmt::Display for Constant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.dtype.kind() {
            DTypeKind::Bool => write!(f, "{}", self.bits != 0),
            DTypeKind::Float => write!(f, "{:?}", self.to_f64()),
            DTypeKind::Complex => write!(f, "{:?}{:+?}j", self.to_f64(), self.imaginary()),
            _ if self.dtype.is_time() && self.bits == i64::MIN as u64 => f.write_str("NaT"),
            _ => write!(f, "{}", self.to_i128()),
        }
    }
}

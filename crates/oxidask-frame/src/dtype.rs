//! Column types and literal values, in our own plain form.
//!
//! Plans are hashed, sent and stored, so they hold these and never Polars' own
//! types, whose encoding changes with every release.

use oxidask_core::{Error, Result};
use polars::prelude::{Categories, DataType, TimeUnit, TimeZone};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Resolution of times.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Unit {
    Milliseconds,
    Microseconds,
    Nanoseconds,
}

impl Unit {
    pub(crate) fn to_polars(self) -> TimeUnit {
        match self {
            Unit::Milliseconds => TimeUnit::Milliseconds,
            Unit::Microseconds => TimeUnit::Microseconds,
            Unit::Nanoseconds => TimeUnit::Nanoseconds,
        }
    }

    fn from_polars(unit: TimeUnit) -> Self {
        match unit {
            TimeUnit::Milliseconds => Unit::Milliseconds,
            TimeUnit::Microseconds => Unit::Microseconds,
            TimeUnit::Nanoseconds => Unit::Nanoseconds,
        }
    }

    pub(crate) fn nanoseconds(self) -> i128 {
        match self {
            Unit::Milliseconds => 1_000_000,
            Unit::Microseconds => 1_000,
            Unit::Nanoseconds => 1,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Unit::Milliseconds => "ms",
            Unit::Microseconds => "us",
            Unit::Nanoseconds => "ns",
        }
    }

    fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "ms" => Unit::Milliseconds,
            "us" => Unit::Microseconds,
            "ns" => Unit::Nanoseconds,
            _ => return None,
        })
    }
}

/// The type of a column.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
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
    Str,
    Binary,
    Date,
    Time,
    Datetime(Unit, Option<String>),
    Duration(Unit),
    Categorical,
    List(Box<DType>),
    Null,
}

impl DType {
    /// The type by the name that NumPy or pandas gives it: `int64`, `float64`,
    /// `str`, `category`, `datetime64[ns]`. `object` means strings, which is
    /// what it means for columns of files.
    ///
    /// # Errors
    /// If there is no such type here.
    ///
    /// ```
    /// use oxidask_frame::DType;
    /// assert_eq!(DType::parse("int32")?, DType::I32);
    /// assert!(DType::parse("int33").is_err());
    /// # Ok::<(), oxidask_core::Error>(())
    /// ```
    pub fn parse(name: &str) -> Result<DType> {
        let dtype = match name {
            "bool" | "boolean" => DType::Bool,
            "int8" | "Int8" => DType::I8,
            "int16" | "Int16" => DType::I16,
            "int32" | "Int32" => DType::I32,
            "int64" | "Int64" | "int" => DType::I64,
            "uint8" | "UInt8" => DType::U8,
            "uint16" | "UInt16" => DType::U16,
            "uint32" | "UInt32" => DType::U32,
            "uint64" | "UInt64" => DType::U64,
            "float32" | "Float32" => DType::F32,
            "float64" | "Float64" | "float" => DType::F64,
            "str" | "string" | "object" | "string[pyarrow]" | "string[python]" => DType::Str,
            "bytes" => DType::Binary,
            "date32[day][pyarrow]" => DType::Date,
            "time64[ns][pyarrow]" => DType::Time,
            "category" => DType::Categorical,
            _ => return Self::parse_time(name).ok_or_else(|| unknown_dtype(name)),
        };
        Ok(dtype)
    }

    fn parse_time(name: &str) -> Option<DType> {
        let inner = |prefix: &str| name.strip_prefix(prefix)?.strip_suffix(']');
        if let Some(unit) = inner("timedelta64[") {
            return Unit::parse(unit).map(DType::Duration);
        }
        let (unit, zone) = match inner("datetime64[")?.split_once(',') {
            Some((unit, zone)) => (unit, Some(zone.trim().to_owned())),
            None => (inner("datetime64[")?, None),
        };
        Unit::parse(unit).map(|unit| DType::Datetime(unit, zone))
    }

    /// Whether it is a whole number.
    #[must_use]
    pub fn is_integer(&self) -> bool {
        use DType::*;
        matches!(self, I8 | I16 | I32 | I64 | U8 | U16 | U32 | U64)
    }

    /// Whether it is a floating-point number.
    #[must_use]
    pub fn is_float(&self) -> bool {
        matches!(self, DType::F32 | DType::F64)
    }

    /// Whether numbers or booleans, which reductions of whole frames take.
    #[must_use]
    pub fn is_numeric(&self) -> bool {
        self.is_integer() || self.is_float() || *self == DType::Bool
    }

    /// Whether a point or length of time.
    #[must_use]
    pub fn is_temporal(&self) -> bool {
        matches!(self, DType::Date | DType::Time | DType::Datetime(..) | DType::Duration(_))
    }

    pub(crate) fn to_polars(&self) -> Result<DataType> {
        Ok(match self {
            DType::Bool => DataType::Boolean,
            DType::I8 => DataType::Int8,
            DType::I16 => DataType::Int16,
            DType::I32 => DataType::Int32,
            DType::I64 => DataType::Int64,
            DType::U8 => DataType::UInt8,
            DType::U16 => DataType::UInt16,
            DType::U32 => DataType::UInt32,
            DType::U64 => DataType::UInt64,
            DType::F32 => DataType::Float32,
            DType::F64 => DataType::Float64,
            DType::Str => DataType::String,
            DType::Binary => DataType::Binary,
            DType::Date => DataType::Date,
            DType::Time => DataType::Time,
            DType::Datetime(unit, zone) => {
                let zone = zone.as_deref().map(zone_named).transpose()?;
                DataType::Datetime(unit.to_polars(), zone)
            }
            DType::Duration(unit) => DataType::Duration(unit.to_polars()),
            DType::Categorical => DataType::from_categories(Categories::global()),
            DType::List(inner) => DataType::List(Box::new(inner.to_polars()?)),
            DType::Null => DataType::Null,
        })
    }

    pub(crate) fn from_polars(dtype: &DataType) -> Result<DType> {
        Ok(match dtype {
            DataType::Boolean => DType::Bool,
            DataType::Int8 => DType::I8,
            DataType::Int16 => DType::I16,
            DataType::Int32 => DType::I32,
            DataType::Int64 => DType::I64,
            DataType::UInt8 => DType::U8,
            DataType::UInt16 => DType::U16,
            DataType::UInt32 => DType::U32,
            DataType::UInt64 => DType::U64,
            DataType::Float32 => DType::F32,
            DataType::Float64 => DType::F64,
            DataType::String => DType::Str,
            DataType::Binary => DType::Binary,
            DataType::Date => DType::Date,
            DataType::Time => DType::Time,
            DataType::Datetime(unit, zone) => {
                DType::Datetime(Unit::from_polars(*unit), zone.as_ref().map(ToString::to_string))
            }
            DataType::Duration(unit) => DType::Duration(Unit::from_polars(*unit)),
            DataType::Categorical(..) | DataType::Enum(..) => DType::Categorical,
            DataType::List(inner) => DType::List(Box::new(DType::from_polars(inner)?)),
            DataType::Null => DType::Null,
            other => {
                return Err(Error::unsupported(format!("columns of type {other} are not supported"))
                    .with_hint("convert them to numbers, strings or times first"));
            }
        })
    }
}

fn zone_named(zone: &str) -> Result<TimeZone> {
    TimeZone::opt_try_new(Some(zone))
        .ok()
        .flatten()
        .ok_or_else(|| Error::value(format!("there is no time zone '{zone}'")))
}

fn unknown_dtype(name: &str) -> Error {
    Error::type_(format!("there is no column type '{name}'"))
        .with_hint("use a name such as int64, float64, bool, str, category or datetime64[ns]")
}

impl fmt::Display for DType {
    /// The name that pandas gives it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
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
            DType::Str => "str",
            DType::Binary => "bytes",
            DType::Date => "date32[day][pyarrow]",
            DType::Time => "time64[ns][pyarrow]",
            DType::Categorical => "category",
            DType::Null => "object",
            DType::Datetime(unit, None) => return write!(f, "datetime64[{}]", unit.name()),
            DType::Datetime(unit, Some(zone)) => return write!(f, "datetime64[{}, {zone}]", unit.name()),
            DType::Duration(unit) => return write!(f, "timedelta64[{}]", unit.name()),
            DType::List(inner) => return write!(f, "list[{inner}]"),
        })
    }
}

/// A literal value in an expression, or a bound of a partition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Scalar {
    Null,
    Bool(bool),
    Int(i64),
    UInt(u64),
    Float(f64),
    Str(String),
    /// Since 1970-01-01 in units of `.1`.
    Datetime(i64, Unit),
    Duration(i64, Unit),
}

impl Scalar {
    /// How two values of one kind are ordered; none for values that do not
    /// compare. Missing values come last.
    #[must_use]
    pub fn order(&self, other: &Scalar) -> Option<std::cmp::Ordering> {
        use std::cmp::Ordering;
        match (self, other) {
            (Scalar::Null, Scalar::Null) => Some(Ordering::Equal),
            (Scalar::Null, _) => Some(Ordering::Greater),
            (_, Scalar::Null) => Some(Ordering::Less),
            (Scalar::Bool(a), Scalar::Bool(b)) => Some(a.cmp(b)),
            (Scalar::Int(a), Scalar::Int(b)) => Some(a.cmp(b)),
            (Scalar::UInt(a), Scalar::UInt(b)) => Some(a.cmp(b)),
            (Scalar::Str(a), Scalar::Str(b)) => Some(a.cmp(b)),
            (Scalar::Datetime(a, u), Scalar::Datetime(b, v)) | (Scalar::Duration(a, u), Scalar::Duration(b, v)) => {
                Some((i128::from(*a) * u.nanoseconds()).cmp(&(i128::from(*b) * v.nanoseconds())))
            }
            _ => self.number()?.partial_cmp(&other.number()?),
        }
    }

    fn number(&self) -> Option<f64> {
        Some(match self {
            Scalar::Int(value) => *value as f64,
            Scalar::UInt(value) => *value as f64,
            Scalar::Float(value) => *value,
            _ => return None,
        })
    }
}

macro_rules! scalar_from {
    ($($from:ty => $variant:ident as $to:ty),*) => {$(
        impl From<$from> for Scalar {
            fn from(value: $from) -> Self { Scalar::$variant(<$to>::from(value)) }
        }
    )*};
}
scalar_from!(bool => Bool as bool, i64 => Int as i64, i32 => Int as i64, u32 => Int as i64, u64 => UInt as u64,
    f64 => Float as f64, f32 => Float as f64, String => Str as String, &str => Str as String);

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scalar::Null => f.write_str("null"),
            Scalar::Bool(value) => write!(f, "{value}"),
            Scalar::Int(value) => write!(f, "{value}"),
            Scalar::UInt(value) => write!(f, "{value}"),
            Scalar::Float(value) => write!(f, "{value:?}"),
            Scalar::Str(value) => write!(f, "{value:?}"),
            Scalar::Datetime(value, unit) => write!(f, "datetime({value}{})", unit.name()),
            Scalar::Duration(value, unit) => write!(f, "duration({value}{})", unit.name()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for name in ["bool", "int8", "uint64", "float32", "str", "category", "datetime64[us]", "timedelta64[ms]"] {
            assert_eq!(DType::parse(name).unwrap().to_string(), name);
        }
        assert_eq!(
            DType::parse("datetime64[ns, UTC]").unwrap(),
            DType::Datetime(Unit::Nanoseconds, Some("UTC".to_owned()))
        );
        assert!(DType::parse("datetime64[fortnight]").is_err());
    }
}

//! Element types and how they mix.
//!
//! Promotion follows NumPy 2: arrays promote among themselves by their dtypes
//! alone, and Python's own numbers are weak, so that `float32_array + 1.5`
//! stays `float32`.
//!
//! Numbers, dates and durations have arithmetic of their own. Texts, bytes and
//! structures are memory of a known size: everything that moves elements
//! (slices, transposes, rechunking, taking, joining) works on them, functions
//! of their values do not. Python objects cannot lie in a block at all.

mod element;
mod raw;
mod scalar;
mod time;

pub use element::{Bool, C64, C128, Element, Ticks};
pub use raw::RawType;
pub use scalar::{Constant, Scalar};
pub use time::{TimeUnit, Unit, convert_ticks};

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
    F16,
    C64,
    C128,
    /// A moment, counted in units since 1970.
    Datetime(TimeUnit),
    /// A span of time, counted in units.
    Timedelta(TimeUnit),
    /// Bytes of a fixed length, padded with zeros.
    Bytes(u32),
    /// Text of a fixed number of characters of four bytes each.
    Str(u32),
    /// Structures and whatever else NumPy can lay out in memory.
    Raw(RawType),
    /// Python objects, which no block can hold.
    Object,
}

/// What a dtype is, apart from its size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum DTypeKind {
    Bool,
    Signed,
    Unsigned,
    Float,
    Complex,
    Datetime,
    Timedelta,
    /// Memory without arithmetic.
    Opaque,
}

impl DType {
    /// Every dtype of numbers, in the order of the enum.
    pub const ALL: [DType; 14] = [
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
        DType::F16,
        DType::C64,
        DType::C128,
    ];

    /// A name that NumPy understands: `float64`, `datetime64[ns]`, `<U7`.
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
            DType::F16 => "float16",
            DType::F32 => "float32",
            DType::F64 => "float64",
            DType::C64 => "complex64",
            DType::C128 => "complex128",
            DType::Datetime(unit) => raw::intern(&format!("datetime64{unit}")),
            DType::Timedelta(unit) => raw::intern(&format!("timedelta64{unit}")),
            DType::Bytes(length) => raw::intern(&format!("|S{length}")),
            DType::Str(length) => raw::intern(&format!("<U{length}")),
            DType::Raw(raw) => raw.name(),
            DType::Object => "object",
        }
    }

    /// The dtype with one of NumPy's names: `float32`, `complex128`,
    /// `timedelta64[ms]`, `<U7`, `|S3`. Structures are [`DType::raw`].
    ///
    /// # Errors
    /// If there is none, naming those there are.
    ///
    /// ```
    /// use oxidask_array::DType;
    /// # fn main() -> oxidask_core::Result<()> {
    /// assert_eq!(DType::from_name("float16")?, DType::F16);
    /// assert_eq!(DType::from_name("datetime64[ns]")?.name(), "datetime64[ns]");
    /// assert_eq!(DType::from_name("<U7")?.itemsize(), 28);
    /// assert!(DType::from_name("float8").is_err());
    /// # Ok(())
    /// # }
    /// ```
    pub fn from_name(name: &str) -> Result<DType> {
        if let Some(dtype) = DType::ALL.into_iter().find(|dtype| dtype.name() == name) {
            return Ok(dtype);
        }
        DType::from_code(name).ok_or_else(|| {
            let known: Vec<&str> = DType::ALL.into_iter().map(DType::name).collect();
            Error::type_(format!("arrays of dtype '{name}' are not supported"))
                .with_hint(format!("supported are {}, datetime64, timedelta64, strings and bytes", known.join(", ")))
        })
    }

    fn from_code(name: &str) -> Option<DType> {
        for (kind, make) in
            [("datetime64", DType::Datetime as fn(TimeUnit) -> DType), ("timedelta64", DType::Timedelta)]
        {
            if let Some(unit) = name.strip_prefix(kind) {
                return TimeUnit::parse(unit).map(make);
            }
        }
        // NumPy writes text as `<U7` and, in `dtype.name`, by its bits: `str224`.
        let bits = |prefix: &str, of: u32| name.strip_prefix(prefix)?.parse::<u32>().ok().map(|bits| bits / of);
        match name {
            "object" | "|O" | "O" => return Some(DType::Object),
            "str" => return Some(DType::Str(0)),
            "bytes" => return Some(DType::Bytes(0)),
            _ => {}
        }
        bits("str", 32)
            .map(DType::Str)
            .or_else(|| bits("bytes", 8).map(DType::Bytes))
            .or_else(|| bits("<U", 1).or_else(|| bits("U", 1)).map(DType::Str))
            .or_else(|| bits("|S", 1).or_else(|| bits("S", 1)).map(DType::Bytes))
    }

    /// A dtype that NumPy lays out in memory and of which only the size and the
    /// alignment matter here; `name` is what NumPy makes it from again.
    #[must_use]
    pub fn raw(name: &str, itemsize: usize, alignment: usize) -> DType {
        DType::Raw(RawType::new(name, itemsize, alignment))
    }

    /// Bytes of one element; at least one, so that sizes can be divided by it.
    #[must_use]
    pub fn itemsize(self) -> usize {
        match self {
            DType::Bool | DType::I8 | DType::U8 => 1,
            DType::I16 | DType::U16 | DType::F16 => 2,
            DType::I32 | DType::U32 | DType::F32 => 4,
            DType::I64 | DType::U64 | DType::F64 | DType::C64 => 8,
            DType::Datetime(_) | DType::Timedelta(_) | DType::Object => 8,
            DType::C128 => 16,
            DType::Bytes(length) => length.max(1) as usize,
            DType::Str(length) => 4 * length.max(1) as usize,
            DType::Raw(raw) => raw.itemsize().max(1),
        }
    }

    /// What the address of an element is a multiple of.
    #[must_use]
    pub fn alignment(self) -> usize {
        match self {
            DType::C64 | DType::Str(_) => 4,
            DType::C128 => 8,
            DType::Bytes(_) => 1,
            DType::Raw(raw) => raw.alignment().max(1),
            dtype => dtype.itemsize(),
        }
    }

    /// Bool, signed, unsigned, float and so on.
    #[must_use]
    pub fn kind(self) -> DTypeKind {
        match self {
            DType::Bool => DTypeKind::Bool,
            DType::I8 | DType::I16 | DType::I32 | DType::I64 => DTypeKind::Signed,
            DType::U8 | DType::U16 | DType::U32 | DType::U64 => DTypeKind::Unsigned,
            DType::F16 | DType::F32 | DType::F64 => DTypeKind::Float,
            DType::C64 | DType::C128 => DTypeKind::Complex,
            DType::Datetime(_) => DTypeKind::Datetime,
            DType::Timedelta(_) => DTypeKind::Timedelta,
            DType::Bytes(_) | DType::Str(_) | DType::Raw(_) | DType::Object => DTypeKind::Opaque,
        }
    }

    /// Whether it is a float.
    #[must_use]
    pub fn is_float(self) -> bool {
        self.kind() == DTypeKind::Float
    }

    /// Whether it is complex.
    #[must_use]
    pub fn is_complex(self) -> bool {
        self.kind() == DTypeKind::Complex
    }

    /// Whether it is a moment or a span of time.
    #[must_use]
    pub fn is_time(self) -> bool {
        matches!(self.kind(), DTypeKind::Datetime | DTypeKind::Timedelta)
    }

    /// Whether functions can work on its values.
    #[must_use]
    pub fn has_arithmetic(self) -> bool {
        self.kind() != DTypeKind::Opaque
    }

    /// Whether it has values that are not a number, or not a time.
    #[must_use]
    pub fn has_nan(self) -> bool {
        self.is_float() || self.is_complex() || self.is_time()
    }

    /// Whether it is a signed or unsigned integer.
    #[must_use]
    pub fn is_integer(self) -> bool {
        matches!(self.kind(), DTypeKind::Signed | DTypeKind::Unsigned)
    }

    /// The float of the parts of a complex dtype; a float itself.
    #[must_use]
    pub fn to_real(self) -> DType {
        match self {
            DType::C64 => DType::F32,
            DType::C128 => DType::F64,
            dtype => dtype,
        }
    }

    /// The complex dtype that holds this one.
    #[must_use]
    pub fn to_complex(self) -> DType {
        match self.to_float() {
            DType::F16 | DType::F32 | DType::C64 => DType::C64,
            _ => DType::C128,
        }
    }

    /// The smallest dtype that both convert to, as `numpy.promote_types`;
    /// [`DType::Object`] if there is none but objects.
    ///
    /// ```
    /// use oxidask_array::DType;
    /// assert_eq!(DType::U8.promote(DType::I8), DType::I16);
    /// assert_eq!(DType::U64.promote(DType::I64), DType::F64);
    /// assert_eq!(DType::I16.promote(DType::F32), DType::F32);
    /// assert_eq!(DType::I32.promote(DType::C64), DType::C128);
    /// ```
    #[must_use]
    pub fn promote(self, other: DType) -> DType {
        use DTypeKind::{Bool, Complex, Datetime, Float, Opaque, Signed, Timedelta, Unsigned};
        if self == other {
            return self;
        }
        let (small, large) = if self.itemsize() <= other.itemsize() { (self, other) } else { (other, self) };
        match (small.kind(), large.kind()) {
            (Datetime, Datetime) | (Timedelta, Timedelta) | (Opaque, Opaque) => small.promote_alike(large),
            (a, b) if a == b => large,
            (Opaque, _) | (_, Opaque) => DType::Object,
            (Datetime, Timedelta) => small.promote_alike(large),
            (Timedelta, Datetime) => large.promote_alike(small),
            (Datetime, _) | (_, Datetime) => DType::Object,
            (Timedelta, kind) | (kind, Timedelta) => match kind {
                Bool | Signed | Unsigned if small.kind() == Timedelta => small,
                Bool | Signed | Unsigned => large,
                _ => DType::Object,
            },
            (Bool, _) => large,
            (_, Bool) => small,
            (Complex, _) => small.to_real().promote(large).to_complex(),
            (_, Complex) => large.to_real().promote(small).to_complex(),
            (Float, _) => small.promote(large.to_float()),
            (_, Float) => large.promote(small.to_float()),
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

    /// Two dtypes of one family, or a moment and a span.
    fn promote_alike(self, other: DType) -> DType {
        match (self, other) {
            (DType::Datetime(a), DType::Datetime(b) | DType::Timedelta(b)) => DType::Datetime(a.finer(b)),
            (DType::Timedelta(a), DType::Timedelta(b)) => DType::Timedelta(a.finer(b)),
            (DType::Bytes(a), DType::Bytes(b)) => DType::Bytes(a.max(b)),
            (DType::Str(a), DType::Str(b) | DType::Bytes(b)) | (DType::Bytes(b), DType::Str(a)) => DType::Str(a.max(b)),
            _ => DType::Object,
        }
    }

    /// The float in which a function such as `sin` answers for this dtype.
    #[must_use]
    pub fn to_float(self) -> DType {
        match self {
            DType::Bool | DType::I8 | DType::U8 | DType::F16 => DType::F16,
            DType::I16 | DType::U16 | DType::F32 => DType::F32,
            DType::C64 | DType::C128 => self,
            _ => DType::F64,
        }
    }

    /// The dtype in which `sum` and `prod` answer: integers widen to 64 bits.
    #[must_use]
    pub fn to_sum(self) -> DType {
        match self.kind() {
            DTypeKind::Bool | DTypeKind::Signed => DType::I64,
            DTypeKind::Unsigned => DType::U64,
            _ => self,
        }
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
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
            (DType::I8, DType::F16, DType::F16),
            (DType::U16, DType::F16, DType::F32),
            (DType::F64, DType::C64, DType::C128),
            (DType::F32, DType::C64, DType::C64),
            (DType::Bytes(3), DType::Bytes(5), DType::Bytes(5)),
            (DType::Str(3), DType::I8, DType::Object),
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

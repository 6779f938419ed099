//! Builds typed columns from fields, with pandas' idea of what is missing.

use crate::dtype::{DType, Unit};
use oxidask_core::Result;
use polars::prelude::*;
use polars_arrow::array::{BooleanArray, MutableBinaryViewArray, PrimitiveArray};
use polars_arrow::bitmap::{Bitmap, MutableBitmap};
use polars_arrow::types::NativeType;

/// The texts that stand for a missing value. A table by first byte and length
/// answers for almost every field without comparing strings.
#[derive(Clone, Debug)]
pub(crate) struct Missing {
    words: Vec<String>,
    lengths: Box<[u64; 256]>,
    empty: bool,
}

/// What pandas takes as missing unless told otherwise.
pub(crate) const DEFAULT_MISSING: &[&str] = &[
    "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA",
    "NULL", "NaN", "None", "n/a", "nan", "null",
];

impl Missing {
    pub(crate) fn new<'a>(words: impl IntoIterator<Item = &'a str>) -> Self {
        let mut lengths = Box::new([0_u64; 256]);
        let mut missing = Missing { words: Vec::new(), lengths: Box::new([0; 256]), empty: false };
        for word in words {
            match word.as_bytes().first() {
                None => missing.empty = true,
                Some(first) => lengths[usize::from(*first)] |= 1 << word.len().min(63),
            }
            missing.words.push(word.to_owned());
        }
        missing.lengths = lengths;
        missing
    }

    #[inline]
    pub(crate) fn contains(&self, field: &str) -> bool {
        match field.as_bytes().first() {
            None => self.empty,
            Some(first) => {
                self.lengths[usize::from(*first)] & (1 << field.len().min(63)) != 0
                    && self.words.iter().any(|word| word == field)
            }
        }
    }
}

/// A column being read.
pub(crate) enum Builder {
    Int(Numbers<i64>),
    UInt(Numbers<u64>),
    Float(Numbers<f64>),
    Bool {
        values: MutableBitmap,
        valid: Validity,
    },
    Str(MutableBinaryViewArray<str>),
    /// Times in units of 1970-01-01.
    Time(Numbers<i64>, Unit),
}

/// Numbers and which of them are there.
pub(crate) struct Numbers<T> {
    values: Vec<T>,
    valid: Validity,
}

impl<T: NativeType> Numbers<T> {
    fn with_capacity(rows: usize) -> Self {
        Numbers { values: Vec::with_capacity(rows), valid: Validity::default() }
    }

    #[inline]
    fn push(&mut self, value: T) {
        self.valid.push(true, self.values.len());
        self.values.push(value);
    }

    fn push_missing(&mut self) {
        self.valid.push(false, self.values.len());
        self.values.push(T::default());
    }

    fn finish(self) -> (Vec<T>, Option<Bitmap>) {
        (self.values, self.valid.finish())
    }
}

/// Which values are there; costs nothing until one is not.
#[derive(Default)]
pub(crate) struct Validity(Option<MutableBitmap>);

impl Validity {
    #[inline]
    fn push(&mut self, valid: bool, n_before: usize) {
        match &mut self.0 {
            Some(bits) => bits.push(valid),
            None if valid => {}
            None => {
                let mut bits = MutableBitmap::from_len_set(n_before);
                bits.push(false);
                self.0 = Some(bits);
            }
        }
    }

    fn finish(self) -> Option<Bitmap> {
        self.0.map(Into::into)
    }
}

impl Builder {
    /// A builder for columns of this type; others are read as what they are
    /// made from and converted by [`Builder::finish`].
    pub(crate) fn new(dtype: &DType, rows: usize) -> Self {
        match dtype {
            DType::F32 | DType::F64 => Builder::Float(Numbers::with_capacity(rows)),
            DType::Bool => Builder::Bool { values: MutableBitmap::with_capacity(rows), valid: Validity::default() },
            DType::Datetime(unit, _) => Builder::Time(Numbers::with_capacity(rows), *unit),
            DType::U64 => Builder::UInt(Numbers::with_capacity(rows)),
            dtype if dtype.is_integer() => Builder::Int(Numbers::with_capacity(rows)),
            _ => Builder::Str(MutableBinaryViewArray::with_capacity(rows)),
        }
    }

    /// Whether it makes numbers.
    pub(crate) fn is_number(&self) -> bool {
        matches!(self, Builder::Int(_) | Builder::UInt(_) | Builder::Float(_))
    }

    /// Adds a field; false if it is not of the type. A whole number cannot be
    /// missing unless the column already holds such.
    #[inline]
    pub(crate) fn push(&mut self, field: &str, missing: &Missing) -> bool {
        match self {
            Builder::Int(numbers) => match parse_int(field) {
                Some(value) => numbers.push(value),
                None => return false,
            },
            Builder::UInt(numbers) => match field.trim().parse() {
                Ok(value) => numbers.push(value),
                Err(_) => return false,
            },
            Builder::Float(numbers) => {
                if missing.contains(field) {
                    numbers.push_missing();
                } else if let Some(value) = parse_float(field) {
                    if value.is_nan() { numbers.push_missing() } else { numbers.push(value) }
                } else {
                    return false;
                }
            }
            Builder::Str(strings) => {
                if missing.contains(field) {
                    strings.push_null()
                } else {
                    strings.push_value(field)
                }
            }
            Builder::Bool { values, valid } => {
                let value = match parse_bool(field) {
                    Some(value) => Some(value),
                    None if missing.contains(field) => None,
                    None => return false,
                };
                valid.push(value.is_some(), values.len());
                values.push(value.unwrap_or(false));
            }
            Builder::Time(numbers, unit) => {
                if missing.contains(field) {
                    numbers.push_missing();
                } else if let Some(micros) = parse_time(field) {
                    numbers.push(in_unit(micros, *unit));
                } else {
                    return false;
                }
            }
        }
        true
    }

    /// Adds a field that the record does not have; false if the type cannot
    /// hold it.
    pub(crate) fn push_absent(&mut self) -> bool {
        match self {
            Builder::Int(_) | Builder::UInt(_) => return false,
            Builder::Float(numbers) => numbers.push_missing(),
            Builder::Time(numbers, _) => numbers.push_missing(),
            Builder::Str(strings) => strings.push_null(),
            Builder::Bool { values, valid } => {
                valid.push(false, values.len());
                values.push(false);
            }
        }
        true
    }

    /// The column, converted to its type.
    pub(crate) fn finish(self, name: &str, dtype: &DType) -> Result<Column> {
        let name = PlSmallStr::from_str(name);
        let series = match self {
            Builder::Int(numbers) => numeric(name, numbers),
            Builder::UInt(numbers) => numeric(name, numbers),
            Builder::Float(numbers) => numeric(name, numbers),
            Builder::Time(numbers, _) => numeric(name, numbers),
            Builder::Bool { values, valid } => {
                Series::from_array(name, BooleanArray::from(Bitmap::from(values)).with_validity(valid.finish()))
            }
            Builder::Str(strings) => Series::from_array(name, strings.freeze()),
        };
        let target = dtype.to_polars()?;
        if *series.dtype() == target {
            return Ok(series.into_column());
        }
        Ok(series.strict_cast(&target).map_err(crate::error::polars_error)?.into_column())
    }
}

fn numeric<T: NativeType>(name: PlSmallStr, numbers: Numbers<T>) -> Series
where
    PrimitiveArray<T>: polars_arrow::array::ParameterFreeDtypeStaticArray,
{
    let (values, valid) = numbers.finish();
    Series::from_array(name, PrimitiveArray::from_vec(values).with_validity(valid))
}

/// A whole number as Python writes it, with blanks around it.
#[inline]
pub(crate) fn parse_int(field: &str) -> Option<i64> {
    let bytes = field.as_bytes();
    // Up to 18 digits cannot overflow.
    if !bytes.is_empty() && bytes.len() <= 18 {
        let mut value = 0_i64;
        let mut all_digits = true;
        for byte in bytes {
            let digit = byte.wrapping_sub(b'0');
            all_digits &= digit <= 9;
            value = value * 10 + i64::from(digit & 15);
        }
        if all_digits {
            return Some(value);
        }
    }
    field.trim().parse().ok()
}

/// A number as Python writes it, with blanks around it.
#[inline]
pub(crate) fn parse_float(field: &str) -> Option<f64> {
    field.trim().parse().ok()
}

pub(crate) fn parse_bool(field: &str) -> Option<bool> {
    match field {
        "True" | "TRUE" | "true" => Some(true),
        "False" | "FALSE" | "false" => Some(false),
        _ => None,
    }
}

fn in_unit(micros: i64, unit: Unit) -> i64 {
    match unit {
        Unit::Milliseconds => micros.div_euclid(1000),
        Unit::Microseconds => micros,
        Unit::Nanoseconds => micros.saturating_mul(1000),
    }
}

/// Microseconds since 1970-01-01 of a date, or a date and a time, in ISO 8601
/// or as `month/day/year`.
pub(crate) fn parse_time(field: &str) -> Option<i64> {
    let field = field.trim();
    let (date, time) = match field.find(['T', ' ']) {
        Some(at) => (&field[..at], Some(field[at + 1..].trim())),
        None => (field, None),
    };
    let (year, month, day) = parse_date(date)?;
    let days = days_since_epoch(year, month, day)?;
    let micros = match time {
        None => 0,
        Some(time) => parse_clock(time.strip_suffix('Z').unwrap_or(time))?,
    };
    days.checked_mul(86_400_000_000)?.checked_add(micros)
}

fn parse_date(date: &str) -> Option<(i64, u32, u32)> {
    let separator = date.bytes().find(|byte| !byte.is_ascii_digit())?;
    let mut parts = date.split(char::from(separator));
    let (a, b, c) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    match separator {
        b'-' | b'/' if a.len() == 4 => Some((a.parse().ok()?, b.parse().ok()?, c.parse().ok()?)),
        b'/' if c.len() == 4 => Some((c.parse().ok()?, a.parse().ok()?, b.parse().ok()?)),
        _ => None,
    }
}

fn parse_clock(time: &str) -> Option<i64> {
    let mut parts = time.splitn(3, ':');
    let hours: i64 = parts.next()?.parse().ok()?;
    let minutes: i64 = parts.next()?.parse().ok()?;
    let (seconds, fraction) = match parts.next() {
        None => (0, 0),
        Some(text) => {
            let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
            let digits = fraction.get(..fraction.len().min(6))?;
            let scale = 10_i64.pow(6 - digits.len() as u32);
            let micros = if digits.is_empty() { 0 } else { digits.parse::<i64>().ok()? * scale };
            (whole.parse().ok()?, micros)
        }
    };
    let fits = (0..24).contains(&hours) && (0..60).contains(&minutes) && (0..60).contains(&seconds);
    fits.then_some(((hours * 60 + minutes) * 60 + seconds) * 1_000_000 + fraction)
}

/// Days since 1970-01-01 of a date of the Gregorian calendar.
fn days_since_epoch(year: i64, month: u32, day: u32) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let in_month = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=in_month).contains(&day) || !(1..=9999).contains(&year) {
        return None;
    }
    // Years begin in March, so that the leap day is their last.
    let shifted = if month > 2 { year } else { year - 1 };
    let era_year = shifted.rem_euclid(400);
    let month = i64::from((month + 9) % 12);
    let day_of_year = (153 * month + 2) / 5 + i64::from(day) - 1;
    let day_of_era = era_year * 365 + era_year / 4 - era_year / 100 + day_of_year;
    Some(shifted.div_euclid(400) * 146_097 + day_of_era - 719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_words() {
        let missing = Missing::new(DEFAULT_MISSING.iter().copied());
        assert!(DEFAULT_MISSING.iter().all(|word| missing.contains(word)));
        assert!(["N", "NAN", "nil", "0", "Nan"].iter().all(|word| !missing.contains(word)));
    }

    #[test]
    fn numbers() {
        for (text, value) in [("0", 0), ("-12", -12), (" 7 ", 7), ("+3", 3), ("9223372036854775807", i64::MAX)] {
            assert_eq!(parse_int(text), Some(value), "{text}");
        }
        for text in ["", "1.5", "x", "1 2", "9223372036854775808", "1e3", "1:"] {
            assert_eq!(parse_int(text), None, "{text}");
        }
    }

    #[test]
    fn times() {
        assert_eq!(parse_time("1970-01-01"), Some(0));
        assert_eq!(parse_time("2000-02-29 01:02:03.5"), Some(951_786_123_500_000));
        assert_eq!(parse_time("2013-01-01T00:00:00Z"), Some(1_356_998_400_000_000));
        assert_eq!(parse_time("12/31/1969"), Some(-86_400_000_000));
        for text in ["2013-02-29", "2013-13-01", "2013", "yesterday", "2013-01-01 25:00", ""] {
            assert_eq!(parse_time(text), None, "{text}");
        }
    }
}

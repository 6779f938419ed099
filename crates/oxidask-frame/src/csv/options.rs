//! How CSV files are to be read.

use super::column::{DEFAULT_MISSING, Missing};
use super::fields::Dialect;
use crate::dtype::DType;
use crate::files::Storage;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// Options of [`read_csv`](crate::read_csv); the names and the defaults are
/// pandas' and Dask's.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CsvOptions {
    /// What stands between fields.
    pub separator: u8,
    /// What fields with separators or line breaks are written in; none if such
    /// characters mean nothing.
    pub quote: Option<u8>,
    /// Lines that begin with it are left out.
    pub comment: Option<u8>,
    /// Whether the first record names the columns.
    pub header: bool,
    /// Lines to leave out at the beginning of each file.
    pub skip_rows: usize,
    /// The columns' names; with `header`, instead of the file's.
    pub names: Option<Vec<String>>,
    /// The only columns to read, in the file's order.
    pub usecols: Option<Vec<String>>,
    /// Types of columns, instead of what the sample suggests.
    pub dtypes: Vec<(String, DType)>,
    /// A type for all columns that `dtypes` does not name.
    pub dtype: Option<DType>,
    /// Columns that hold times.
    pub parse_dates: Vec<String>,
    /// Further texts that stand for a missing value.
    pub na_values: Vec<String>,
    /// Whether pandas' usual texts stand for one.
    pub keep_default_na: bool,
    /// Read whole numbers as floats where the type is not given.
    pub assume_missing: bool,
    /// Bytes a partition; a whole file each if none.
    pub blocksize: Option<u64>,
    /// Bytes of the first file from which types are inferred.
    pub sample: usize,
    /// A further column of this name with the path of the file.
    pub path_column: Option<String>,
    /// Compression, encoding and storage of the files.
    pub storage: Storage,
    /// Records before the header, which are left out.
    pub header_row: usize,
    /// Leave out records with too many fields instead of raising.
    pub skip_bad_lines: bool,
    /// What stands before the decimals of numbers.
    pub decimal: u8,
    /// What groups the digits of numbers.
    pub thousands: Option<u8>,
}

impl Default for CsvOptions {
    fn default() -> Self {
        CsvOptions {
            separator: b',',
            quote: Some(b'"'),
            comment: None,
            header: true,
            skip_rows: 0,
            names: None,
            usecols: None,
            dtypes: Vec::new(),
            dtype: None,
            parse_dates: Vec::new(),
            na_values: Vec::new(),
            keep_default_na: true,
            assume_missing: false,
            blocksize: Some(64 << 20),
            sample: 256_000,
            path_column: None,
            storage: Storage::default(),
            header_row: 0,
            skip_bad_lines: false,
            decimal: b'.',
            thousands: None,
        }
    }
}

impl CsvOptions {
    pub(crate) fn dialect(&self) -> Dialect {
        Dialect { separator: self.separator, quote: self.quote, comment: self.comment }
    }

    /// Whether numbers are written otherwise than in Rust.
    pub(crate) fn has_number_format(&self) -> bool {
        self.decimal != b'.' || self.thousands.is_some()
    }

    /// A number as Rust writes it.
    pub(crate) fn plain_number<'a>(&self, field: &'a str) -> Cow<'a, str> {
        if !self.has_number_format() {
            return Cow::Borrowed(field);
        }
        let (decimal, thousands) = (char::from(self.decimal), self.thousands.map(char::from));
        let plain = field.chars().filter(|c| Some(*c) != thousands);
        Cow::Owned(plain.map(|c| if c == decimal { '.' } else { c }).collect())
    }

    pub(crate) fn missing(&self) -> Missing {
        let default = if self.keep_default_na { DEFAULT_MISSING } else { &[] };
        Missing::new(default.iter().copied().chain(self.na_values.iter().map(String::as_str)))
    }
}

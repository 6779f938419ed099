//! Names and types of columns, from the beginning of a file.

use super::column::{Missing, parse_bool, parse_float, parse_int, parse_time};
use super::fields::Fields;
use super::options::CsvOptions;
use crate::dtype::{DType, Unit};
use crate::error::unknown_column;
use oxidask_core::{Error, Result};
use std::borrow::Cow;

/// A column of the file.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub(crate) struct FileColumn {
    pub name: String,
    pub dtype: DType,
    /// Whether the type was given and not inferred.
    pub given: bool,
}

/// What the values of a column in the sample could be.
#[derive(Clone, Copy, Default)]
struct Seen {
    values: bool,
    missing: bool,
    not_int: bool,
    not_uint: bool,
    not_float: bool,
    not_bool: bool,
}

impl Seen {
    fn add(&mut self, field: &str, missing: &Missing, options: &CsvOptions) {
        if missing.contains(field) {
            self.missing = true;
            return;
        }
        let field = &*options.plain_number(field);
        self.values = true;
        self.not_int = self.not_int || parse_int(field).is_none();
        self.not_uint = self.not_uint || field.trim().parse::<u64>().is_err();
        self.not_float = self.not_float || parse_float(field).is_none();
        self.not_bool = self.not_bool || parse_bool(field).is_none();
    }

    fn dtype(self, assume_missing: bool) -> DType {
        let float_if_missing = |dtype| if self.missing || assume_missing { DType::F64 } else { dtype };
        match self {
            Seen { values: false, .. } => DType::F64,
            Seen { not_int: false, .. } => float_if_missing(DType::I64),
            Seen { not_uint: false, .. } => float_if_missing(DType::U64),
            Seen { not_float: false, .. } => DType::F64,
            Seen { not_bool: false, missing: false, .. } => DType::Bool,
            _ => DType::Str,
        }
    }
}

/// Where the records begin: after the lines to skip.
pub(crate) fn after_skipped(text: &str, skip_rows: usize) -> usize {
    let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
    match skip_rows {
        0 => 0,
        n => breaks.map(|(at, _)| at + 1).nth(n - 1).unwrap_or(text.len()),
    }
}

/// The names in a header as pandas makes them: empty ones are numbered, equal
/// ones are told apart.
pub(crate) fn header_names(record: &[Cow<'_, str>]) -> Vec<String> {
    let mut names: Vec<String> = Vec::with_capacity(record.len());
    for (position, field) in record.iter().enumerate() {
        let base = if field.is_empty() { format!("Unnamed: {position}") } else { field.to_string() };
        let mut name = base.clone();
        let mut again = 0;
        while names.contains(&name) {
            again += 1;
            name = format!("{base}.{again}");
        }
        names.push(name);
    }
    names
}

/// The columns of a file that begins with `sample`. `complete` says that the
/// sample is the whole file; otherwise its last record is not looked at.
pub(crate) fn columns(sample: &str, complete: bool, path: &str, options: &CsvOptions) -> Result<Vec<FileColumn>> {
    let mut fields = Fields::new(sample, after_skipped(sample, options.skip_rows), options.dialect());
    for _ in 0..options.header_row {
        if fields.next_record() {
            fields.skip_record();
        }
    }
    if !fields.next_record() {
        return Err(Error::value(format!("{path} is empty: there are no columns to read")));
    }
    let begin = fields.position();
    let first = fields.record();
    let names = match (&options.names, options.header) {
        (Some(names), _) => check_names(names, first.len(), path)?,
        (None, true) => header_names(&first),
        (None, false) => (0..first.len()).map(|position| position.to_string()).collect(),
    };
    if !options.header {
        fields = Fields::new(sample, begin, options.dialect());
    }
    let seen = look(&mut fields, names.len(), complete, sample.len(), options);
    check_known(&names, options)?;
    let columns = names.into_iter().zip(seen).map(|(name, seen)| {
        let given = options.dtypes.iter().find(|(column, _)| *column == name).map(|(_, dtype)| dtype);
        let given = given.or(options.dtype.as_ref()).cloned();
        let time = options.parse_dates.contains(&name).then_some(DType::Datetime(Unit::Microseconds, None));
        let is_given = given.is_some() || time.is_some();
        let dtype = given.or(time).unwrap_or_else(|| seen.dtype(options.assume_missing));
        FileColumn { name, dtype, given: is_given }
    });
    Ok(columns.collect())
}

fn check_names(names: &[String], n_fields: usize, path: &str) -> Result<Vec<String>> {
    for (position, name) in names.iter().enumerate() {
        if names[..position].contains(name) {
            return Err(Error::value(format!("names holds '{name}' twice")));
        }
    }
    if n_fields > names.len() {
        let n_names = names.len();
        return Err(Error::value(format!("{path} has {n_fields} columns, but names holds {n_names}"))
            .with_hint("name every column of the file; usecols chooses among them"));
    }
    Ok(names.to_vec())
}

fn check_known(names: &[String], options: &CsvOptions) -> Result<()> {
    let dtypes = options.dtypes.iter().map(|(name, _)| ("dtype", name));
    let dates = options.parse_dates.iter().map(|name| ("parse_dates", name));
    let used = options.usecols.iter().flatten().map(|name| ("usecols", name));
    for (argument, name) in dtypes.chain(dates).chain(used) {
        if !names.contains(name) {
            return Err(unknown_column(name, names.iter().map(String::as_str)).within(argument));
        }
    }
    Ok(())
}

fn look(fields: &mut Fields<'_>, n_columns: usize, complete: bool, length: usize, options: &CsvOptions) -> Vec<Seen> {
    let missing = options.missing();
    let mut seen = vec![Seen::default(); n_columns];
    let mut n_records = 0;
    while fields.next_record() {
        let record = fields.record();
        // A record that reaches the end of the sample may be cut off.
        if !complete && fields.position() >= length && n_records > 0 {
            break;
        }
        for (position, seen) in seen.iter_mut().enumerate() {
            seen.add(record.get(position).map_or("", |field| field), &missing, options);
        }
        n_records += 1;
    }
    seen
}

/// What a column's values suggest about the type to pass, for an error.
pub(crate) fn suggestion(column: &FileColumn, field: &str, missing: &Missing) -> String {
    let dtype = if column.dtype.is_integer() && (missing.contains(field) || parse_float(field).is_some()) {
        "float64"
    } else if parse_time(field).is_some() && column.dtype.is_temporal() {
        "datetime64[us]"
    } else {
        "str"
    };
    format!("pass dtype={{'{}': '{dtype}'}}", column.name)
}

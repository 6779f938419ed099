//! Reads one block: walks over its records and fills the wanted columns.

use super::column::{Builder, Missing};
use super::fields::{After, Fields};
use super::infer::{after_skipped, header_names, suggestion};
use super::window::{self, Window, line_of};
use super::{CsvBlock, CsvScan};
use crate::dtype::DType;
use crate::error::polars_error;
use crate::files::SourceFile;
use oxidask_core::{Error, Result};
use polars::prelude::*;

/// How far beyond the end of its block a single record may reach, as a multiple
/// of the window's slack (64 KiB): 1 GiB.
const MAX_REACH: u64 = 1 << 14;
/// The part of a block that is read first where only a few rows are wanted.
const FIRST_BYTES: u64 = 256 << 10;

impl CsvScan {
    /// The records of a block: the `wanted` columns, or all that users see, of
    /// at most `limit` rows.
    pub(crate) fn read(&self, block: usize, wanted: Option<&[String]>, limit: Option<u64>) -> Result<DataFrame> {
        let block = self.blocks[block];
        let file = &self.files[block.file as usize];
        if let Some(limit) = limit {
            let part = CsvBlock { end: block.end.min(block.start + FIRST_BYTES), ..block };
            let rows = self.read_part(file, part, wanted, limit)?;
            if rows.height() as u64 >= limit || part.end == block.end {
                return Ok(rows);
            }
        }
        self.read_part(file, block, wanted, limit.unwrap_or(u64::MAX))
    }

    fn read_part(
        &self,
        file: &SourceFile,
        block: CsvBlock,
        wanted: Option<&[String]>,
        limit: u64,
    ) -> Result<DataFrame> {
        let (quote, separator) = (self.options.quote, self.options.separator);
        let mut reach = 1;
        while reach <= MAX_REACH {
            let window = window::read(file, block.start, block.end, quote, separator, reach)?;
            if let Some(columns) = self.parse(file, block, &window, wanted, limit)? {
                return Ok(columns);
            }
            reach *= 16;
        }
        Err(Error::value(format!("{}: a record is longer than 1 GiB", file.path))
            .with_hint("a quote that is never closed may be the reason; pass quoting=3 if quotes mean nothing"))
    }

    /// The columns of the records in the window; none if the last record goes
    /// on beyond it.
    fn parse(
        &self,
        file: &SourceFile,
        block: CsvBlock,
        window: &Window,
        wanted: Option<&[String]>,
        limit: u64,
    ) -> Result<Option<DataFrame>> {
        let begin = if block.start == 0 { self.after_header(file, &window.text)? } else { 0 };
        let end = usize::try_from(block.end.saturating_sub(window.base)).unwrap_or(usize::MAX);
        let end = if file.is_whole() { usize::MAX } else { end };
        let mut reader = BlockReader {
            scan: self,
            file,
            window,
            missing: self.options.missing(),
            number_format: self.options.has_number_format(),
            builders: self.builders(wanted),
            n_rows: 0,
        };
        let mut fields = Fields::new(&window.text, begin, self.options.dialect());
        while reader.n_rows < limit && fields.position() < end && fields.next_record() {
            if fields.position() >= end {
                break;
            }
            if !reader.record(&mut fields)? {
                return Ok(None);
            }
        }
        reader.finish(wanted).map(Some)
    }

    fn builders(&self, wanted: Option<&[String]>) -> Vec<Option<Builder>> {
        let used = |name: &String| {
            wanted.is_none_or(|wanted| wanted.contains(name))
                && self.options.usecols.as_ref().is_none_or(|used| used.contains(name))
        };
        self.columns.iter().map(|column| used(&column.name).then(|| Builder::new(&column.dtype, 0))).collect()
    }

    /// Where the first record after the header begins; checks the header.
    fn after_header(&self, file: &SourceFile, text: &str) -> Result<usize> {
        let start = after_skipped(text, self.options.skip_rows);
        if !self.options.header {
            return Ok(start);
        }
        let mut fields = Fields::new(text, start, self.options.dialect());
        for _ in 0..self.options.header_row {
            if fields.next_record() {
                fields.skip_record();
            }
        }
        if !fields.next_record() {
            return Ok(text.len());
        }
        let names = header_names(&fields.record());
        let expected: Vec<&String> = self.columns.iter().map(|column| &column.name).collect();
        if self.options.names.is_none() && names.iter().collect::<Vec<_>>() != expected {
            let expected: Vec<&str> = expected.iter().map(|name| name.as_str()).collect();
            return Err(Error::value(format!(
                "{} has the columns {}, where the first file has {}",
                file.path,
                names.join(", "),
                expected.join(", "),
            ))
            .with_hint("read files with other columns apart and concat them"));
        }
        Ok(fields.position())
    }
}

struct BlockReader<'a> {
    scan: &'a CsvScan,
    file: &'a SourceFile,
    window: &'a Window,
    missing: Missing,
    number_format: bool,
    builders: Vec<Option<Builder>>,
    n_rows: u64,
}

impl BlockReader<'_> {
    /// Adds the next record; false if it goes on beyond the window.
    #[inline]
    fn record(&mut self, fields: &mut Fields<'_>) -> Result<bool> {
        if self.scan.options.skip_bad_lines {
            let mut ahead = fields.clone();
            let is_bad = ahead.skip_record() > self.builders.len();
            // A record that reaches the end of the window may be cut off.
            if is_bad && (self.window.complete || ahead.position() < self.window.text.len()) {
                *fields = ahead;
                return Ok(true);
            }
        }
        let start = fields.position();
        let mut after = After::Field;
        let mut n_fields = 0;
        while after == After::Field && n_fields < self.builders.len() {
            let field;
            (field, after) = fields.next_field();
            if matches!(after, After::End | After::Unclosed) && !self.window.complete {
                return Ok(false);
            }
            if after == After::Unclosed {
                return Err(self.unclosed(start));
            }
            if let Some(builder) = &mut self.builders[n_fields] {
                let fits = match self.number_format && builder.is_number() {
                    true => builder.push(&self.scan.options.plain_number(&field), &self.missing),
                    false => builder.push(&field, &self.missing),
                };
                if !fits {
                    return Err(self.mismatch(start, n_fields, Some(&field)));
                }
            }
            n_fields += 1;
        }
        if after == After::Field {
            let n_seen = n_fields + fields.skip_record();
            return Err(self.ragged(start, n_seen));
        }
        for column in n_fields..self.builders.len() {
            if let Some(builder) = &mut self.builders[column]
                && !builder.push_absent()
            {
                return Err(self.mismatch(start, column, None));
            }
        }
        self.n_rows += 1;
        Ok(true)
    }

    fn place(&self, at: usize) -> String {
        let line = line_of(self.file, self.window.base + at as u64);
        line.map_or_else(|_| self.file.path.clone(), |line| format!("{}, line {line}", self.file.path))
    }

    #[cold]
    fn ragged(&self, at: usize, n_seen: usize) -> Error {
        let n_columns = self.builders.len();
        Error::value(format!("{}: expected {n_columns} fields, saw {n_seen}", self.place(at)))
            .with_hint("a separator inside a field must stand in quotes")
    }

    #[cold]
    fn unclosed(&self, at: usize) -> Error {
        Error::value(format!("{}: the file ends within a quoted field of this record", self.place(at)))
            .with_hint("close the quote, or pass quoting=3 if quotes mean nothing")
    }

    #[cold]
    fn mismatch(&self, at: usize, column: usize, field: Option<&str>) -> Error {
        let column = &self.scan.columns[column];
        let what = match field {
            Some(field) if !self.missing.contains(field) => format!("'{field}' does not fit"),
            _ => "a missing value does not fit".to_owned(),
        };
        let origin = if column.given { "that was asked for" } else { "inferred from the first records" };
        let (name, dtype) = (&column.name, &column.dtype);
        Error::value(format!("{}, column '{name}': {what} the type {dtype} {origin}", self.place(at)))
            .with_hint(suggestion(column, field.unwrap_or(""), &self.missing))
    }

    fn finish(self, wanted: Option<&[String]>) -> Result<DataFrame> {
        let n_rows = self.n_rows as usize;
        let mut columns = Vec::new();
        for (column, builder) in self.scan.columns.iter().zip(self.builders) {
            if let Some(builder) = builder {
                let error = |error: Error| error.within(format!("{}, column '{}'", self.file.path, column.name));
                columns.push(builder.finish(&column.name, &column.dtype).map_err(error)?);
            }
        }
        if let Some(name) = self.scan.options.path_column.as_ref()
            && wanted.is_none_or(|wanted| wanted.contains(name))
        {
            let path = Series::new(name.into(), vec![self.file.path.as_str(); n_rows]);
            let path = path.cast(&DType::Categorical.to_polars()?).map_err(polars_error)?;
            columns.push(path.into_column());
        }
        DataFrame::new(n_rows, columns).map_err(polars_error)
    }
}

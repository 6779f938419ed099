//! Frames from files.

use super::Frame;
use crate::csv::{CsvOptions, CsvScan};
use crate::json::{JsonOptions, JsonScan};
use crate::parquet::ParquetScan;
use crate::plan::{Node, SourceKind};
use oxidask_core::Result;
use std::sync::Arc;

/// Reads CSV files: paths or patterns such as `data/*.csv`.
///
/// Only the beginning of the first file is read now, for names and types.
///
/// # Errors
/// If nothing matches, or a name in the options is no column.
pub fn read_csv<S: AsRef<str>>(patterns: impl IntoIterator<Item = S>, options: CsvOptions) -> Result<Frame> {
    let patterns: Vec<String> = patterns.into_iter().map(|pattern| pattern.as_ref().to_owned()).collect();
    let scan = CsvScan::open(&patterns, options)?;
    Ok(Frame::of(Node::read(SourceKind::Csv(Arc::new(scan)))?))
}

/// Reads Parquet files: paths or patterns; `columns` are the only ones to read.
///
/// Only the files' footers are read now.
///
/// # Errors
/// If nothing matches, a file is no Parquet file, or the files differ.
pub fn read_parquet<S: AsRef<str>>(patterns: impl IntoIterator<Item = S>, columns: Option<&[String]>) -> Result<Frame> {
    let patterns: Vec<String> = patterns.into_iter().map(|pattern| pattern.as_ref().to_owned()).collect();
    let scan = ParquetScan::open(&patterns, columns)?;
    Ok(Frame::of(Node::read(SourceKind::Parquet(Arc::new(scan)))?))
}

/// Reads files of JSON objects, one a line: paths or patterns such as
/// `data/*.jsonl`.
///
/// Only the beginning of the first file is read now, for names and types.
///
/// # Errors
/// If nothing matches, or the first file holds no such lines.
pub fn read_json<S: AsRef<str>>(patterns: impl IntoIterator<Item = S>, options: &JsonOptions) -> Result<Frame> {
    let patterns: Vec<String> = patterns.into_iter().map(|pattern| pattern.as_ref().to_owned()).collect();
    let scan = JsonScan::open(&patterns, options)?;
    Ok(Frame::of(Node::read(SourceKind::Json(Arc::new(scan)))?))
}

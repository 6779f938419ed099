//! Reading files of JSON objects, one a line: types from a sample, blocks at
//! line ends, only the columns that a plan needs.

use crate::dtype::DType;
use crate::error::polars_error;
use crate::files::{SourceFile, Storage, expand};
use oxidask_core::{Error, Result};
use polars::io::ndjson;
use polars::prelude::*;
use serde::{Deserialize, Serialize};
use std::num::NonZeroUsize;
use std::sync::Arc;

/// How far beyond the end of its block the last line is looked for at first; it
/// grows until the line ends.
const SLACK: u64 = 64 << 10;
/// A line may be no longer than this.
const LINE_BYTES_MAX: u64 = 1 << 30;
/// Lines of the sample from which types are inferred.
const SAMPLE_LINES: usize = 10_000;

/// How files of JSON lines are to be read; see [`read_json`](crate::read_json).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct JsonOptions {
    /// Bytes a partition; a whole file each if none.
    pub blocksize: Option<u64>,
    /// Bytes of the first file from which columns and types are inferred.
    pub sample: usize,
    /// Types of columns, instead of what the sample suggests.
    pub dtypes: Vec<(String, DType)>,
    /// Compression, encoding and storage of the files.
    pub storage: Storage,
}

impl Default for JsonOptions {
    fn default() -> Self {
        JsonOptions { blocksize: Some(64 << 20), sample: 1 << 20, dtypes: Vec::new(), storage: Storage::default() }
    }
}

/// Files of JSON lines that are read in blocks.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct JsonScan {
    files: Vec<SourceFile>,
    columns: Vec<(String, DType)>,
    blocks: Vec<JsonBlock>,
}

/// The lines of a file that begin in a range of bytes.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct JsonBlock {
    file: u32,
    start: u64,
    end: u64,
}

impl JsonScan {
    /// Finds the files and looks at the beginning of the first one.
    pub(crate) fn open(patterns: &[String], options: &JsonOptions) -> Result<JsonScan> {
        if options.blocksize == Some(0) {
            return Err(Error::value("blocksize is 0").with_hint("pass a size such as 64 MB, or None for whole files"));
        }
        let files = expand(patterns, options.storage.clone())?;
        let columns = infer(&files[0], options)?;
        let mut blocks = Vec::new();
        for (number, file) in files.iter().enumerate() {
            let whole = JsonBlock { file: number as u32, start: 0, end: u64::MAX };
            match options.blocksize {
                Some(blocksize) if !file.is_whole() => {
                    let n_blocks = (file.size / blocksize).max(1);
                    let border = |block: u64| (u128::from(file.size) * u128::from(block) / u128::from(n_blocks)) as u64;
                    blocks.extend((0..n_blocks).map(|n| JsonBlock { start: border(n), end: border(n + 1), ..whole }));
                }
                _ => blocks.push(whole),
            }
        }
        Ok(JsonScan { files, columns, blocks })
    }

    pub(crate) fn n_blocks(&self) -> usize {
        self.blocks.len()
    }

    pub(crate) fn n_bytes(&self) -> u64 {
        self.files.iter().map(|file| file.size).sum()
    }

    pub(crate) fn take(&self, blocks: &[u32]) -> JsonScan {
        JsonScan { blocks: blocks.iter().map(|block| self.blocks[*block as usize]).collect(), ..self.clone() }
    }

    pub(crate) fn schema(&self) -> Vec<(Arc<str>, DType)> {
        self.columns.iter().map(|(name, dtype)| (Arc::from(&**name), dtype.clone())).collect()
    }

    pub(crate) fn describe(&self) -> String {
        let first = self.files.first().map_or("", |file| &file.path);
        format!("read_json {first} ({} files, {} blocks)", self.files.len(), self.blocks.len())
    }

    /// The rows of a block: the `wanted` columns, or all.
    pub(crate) fn read(&self, block: usize, wanted: Option<&[String]>) -> Result<DataFrame> {
        let block = self.blocks[block];
        let file = &self.files[block.file as usize];
        let lines = lines_of(file, block)?;
        let mut schema = Schema::with_capacity(self.columns.len());
        for (name, dtype) in &self.columns {
            if wanted.is_none_or(|wanted| wanted.contains(name)) {
                schema.with_column(name.as_str().into(), dtype.to_polars()?);
            }
        }
        if schema.is_empty() {
            let is_row = |line: &&[u8]| !line.trim_ascii().is_empty();
            let n_rows = lines.split(|byte| *byte == b'\n').filter(is_row).count();
            return Ok(DataFrame::empty_with_height(n_rows));
        }
        ndjson::core::parse_ndjson(&lines, None, &schema, false).map_err(|cause| {
            let error = polars_error(cause);
            Error::value(format!("{} could not be read as JSON lines: {}", file.path, error.message()))
                .with_hint("pass dtype for columns whose first values are of another type than later ones")
        })
    }
}

/// Names and types of columns from the beginning of a file.
fn infer(file: &SourceFile, options: &JsonOptions) -> Result<Vec<(String, DType)>> {
    let (mut sample, complete) = file.read(0, options.sample as u64)?;
    if !complete {
        let whole = sample.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        sample.truncate(whole);
    }
    let schema = ndjson::infer_schema(&mut &*sample, NonZeroUsize::new(SAMPLE_LINES)).map_err(|cause| {
        let error = polars_error(cause);
        Error::value(format!("{} holds no JSON lines: {}", file.path, error.message()))
            .with_hint("lines=False reads a single JSON value")
    })?;
    let given = |name: &str| options.dtypes.iter().find(|(own, _)| own == name).map(|(_, dtype)| dtype.clone());
    let columns: Vec<(String, DType)> = schema
        .iter()
        .map(|(name, dtype)| {
            let dtype = match given(name) {
                Some(dtype) => dtype,
                None => DType::from_polars(dtype).map_err(|error| error.within(format!("column '{name}'")))?,
            };
            // What is missing in the whole sample is most often a number or text.
            Ok((name.to_string(), if dtype == DType::Null { DType::Str } else { dtype }))
        })
        .collect::<Result<_>>()?;
    for (name, _) in &options.dtypes {
        if !columns.iter().any(|(own, _)| own == name) {
            let known = columns.iter().map(|(name, _)| name.as_str());
            return Err(crate::error::unknown_column(name, known).within("dtype"));
        }
    }
    Ok(columns)
}

/// The lines that begin in a block.
fn lines_of(file: &SourceFile, block: JsonBlock) -> Result<Vec<u8>> {
    if block.end == u64::MAX {
        return Ok(file.read(0, u64::MAX)?.0);
    }
    // The byte before the block tells whether its first byte begins a line.
    let from = block.start.saturating_sub(1);
    let mut slack = SLACK;
    loop {
        let (mut bytes, complete) = file.read(from, (block.end - from).saturating_add(slack))?;
        let begin = match block.start {
            0 => 0,
            _ => bytes.iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |at| at + 1),
        };
        let last = (block.end - from) as usize;
        if begin >= last {
            return Ok(Vec::new());
        }
        // The line that holds the last byte of the block ends it.
        let end = bytes.get(last - 1..).and_then(|rest| rest.iter().position(|byte| *byte == b'\n'));
        if let Some(end) = end.map(|at| last + at).or(complete.then_some(bytes.len())) {
            bytes.truncate(end);
            bytes.drain(..begin);
            return Ok(bytes);
        }
        if slack > LINE_BYTES_MAX {
            return Err(Error::value(format!("{}: a line is longer than 1 GiB", file.path)));
        }
        slack *= 16;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_in_one_block_whatever_their_size() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jsonl");
        let line = |i: i64| format!("{{\"x\": {i}, \"s\": \"{}\"}}\n", "é".repeat((i % 13) as usize));
        let text: String = (0..500).map(line).collect();
        std::fs::write(&path, text.trim_end()).unwrap();
        let path = [path.to_str().unwrap().to_owned()];
        for blocksize in [1, 7, 64, 1000, 100_000] {
            let options = JsonOptions { blocksize: Some(blocksize), ..JsonOptions::default() };
            let scan = JsonScan::open(&path, &options).unwrap();
            let mut seen = Vec::new();
            for block in 0..scan.n_blocks() {
                let rows = scan.read(block, Some(&["x".to_owned()])).unwrap();
                assert_eq!(rows.height(), scan.read(block, Some(&[])).unwrap().height());
                seen.extend(rows.column("x").unwrap().i64().unwrap().iter());
            }
            assert_eq!(seen, (0..500).map(Some).collect::<Vec<_>>(), "blocks of {blocksize} bytes");
        }
    }

    #[test]
    fn what_is_no_json_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jsonl");
        std::fs::write(&path, "x,y\n1,2\n").unwrap();
        let error = JsonScan::open(&[path.to_str().unwrap().to_owned()], &JsonOptions::default()).err().unwrap();
        assert!(error.message().contains("a.jsonl"), "{error}");
    }
}

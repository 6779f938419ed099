//! Reading CSV files: types from a sample, blocks at record borders, errors
//! that name file, line and column.

mod block;
mod column;
mod fields;
mod infer;
mod options;
mod window;

pub use options::CsvOptions;

use crate::dtype::DType;
use crate::files::{SourceFile, expand};
use infer::FileColumn;
use oxidask_core::{Error, Result};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// To begin a block costs as much as to parse some ten thousand bytes.
const SHORT_BLOCK: u64 = 1 << 20;

/// CSV files that are read in blocks; what a task needs to read any of them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct CsvScan {
    options: CsvOptions,
    columns: Vec<FileColumn>,
    files: Vec<SourceFile>,
    blocks: Vec<CsvBlock>,
}

/// The records of a file that begin in a range of bytes.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct CsvBlock {
    file: u32,
    start: u64,
    end: u64,
}

impl CsvScan {
    /// Finds the files and looks at the beginning of the first one.
    pub(crate) fn open(patterns: &[String], options: CsvOptions) -> Result<CsvScan> {
        if options.blocksize == Some(0) {
            return Err(Error::value("blocksize is 0").with_hint("pass a size such as 64 MB, or None for whole files"));
        }
        let files = expand(patterns, options.storage.clone())?;
        let first = files.iter().find(|file| file.size > 0).or(files.first());
        let first = first.ok_or_else(|| Error::value("there is no file to read"))?;
        let sample = window::sample(first, options.sample)?;
        let columns = infer::columns(&sample.text, sample.complete, &first.path, &options)?;
        let blocks = files.iter().enumerate().flat_map(|(number, file)| split(number, file, options.blocksize));
        let blocks = blocks.collect();
        Ok(CsvScan { options, columns, files, blocks })
    }

    pub(crate) fn n_blocks(&self) -> usize {
        self.blocks.len()
    }

    /// Only these blocks.
    pub(crate) fn take(&self, blocks: &[u32]) -> CsvScan {
        CsvScan { blocks: blocks.iter().map(|block| self.blocks[*block as usize]).collect(), ..self.clone() }
    }

    /// The same records in about `n` blocks of equal length, or in as many as there
    /// are if these are more. None is cut that is not long.
    pub(crate) fn in_blocks(&self, n: usize) -> CsvScan {
        let bytes = |block: &CsvBlock| block.end - block.start;
        let all: u64 = self.blocks.iter().map(bytes).sum();
        let wanted = (all / n.max(1) as u64).max(SHORT_BLOCK);
        let mut blocks = Vec::with_capacity(self.blocks.len().max(n));
        for block in &self.blocks {
            let is_whole = self.files[block.file as usize].is_whole();
            let pieces = if is_whole { 1 } else { (bytes(block) / wanted).max(1) };
            let border = |piece: u64| block.start + borders(bytes(block), pieces, piece);
            blocks.extend((0..pieces).map(|piece| CsvBlock { start: border(piece), end: border(piece + 1), ..*block }));
        }
        CsvScan { blocks, ..self.clone() }
    }

    /// Names and types of the columns that users see.
    pub(crate) fn schema(&self) -> Vec<(Arc<str>, DType)> {
        let used = |name: &String| self.options.usecols.as_ref().is_none_or(|used| used.contains(name));
        let columns = self.columns.iter().filter(|column| used(&column.name));
        let mut schema: Vec<(Arc<str>, DType)> =
            columns.map(|column| (Arc::from(&*column.name), column.dtype.clone())).collect();
        if let Some(name) = &self.options.path_column {
            schema.push((Arc::from(&**name), DType::Categorical));
        }
        schema
    }

    /// The bytes of all blocks; those of compressed files are a guess.
    pub(crate) fn n_bytes(&self) -> u64 {
        let bytes = |block: &CsvBlock| {
            let factor = if self.files[block.file as usize].is_whole() { 8 } else { 1 };
            (block.end - block.start) * factor
        };
        self.blocks.iter().map(bytes).sum()
    }

    pub(crate) fn describe(&self) -> String {
        let first = self.files.first().map_or("", |file| &file.path);
        format!("read_csv {first} ({} files, {} blocks)", self.files.len(), self.blocks.len())
    }
}

/// Where the piece of this number begins, of so many pieces of `size` bytes.
fn borders(size: u64, n_pieces: u64, piece: u64) -> u64 {
    (u128::from(size) * u128::from(piece) / u128::from(n_pieces)) as u64
}

/// Blocks of at least `blocksize` bytes, all about the same.
fn split(number: usize, file: &SourceFile, blocksize: Option<u64>) -> Vec<CsvBlock> {
    let size = file.size;
    let n_blocks = match blocksize {
        Some(blocksize) if !file.is_whole() => (size / blocksize).max(1),
        _ => 1,
    };
    let border = |block: u64| borders(size, n_blocks, block);
    (0..n_blocks).map(|block| CsvBlock { file: number as u32, start: border(block), end: border(block + 1) }).collect()
}

#[cfg(test)]
mod tests;

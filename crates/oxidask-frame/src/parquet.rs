//! Reading and writing Parquet files: partitions are runs of row groups, and
//! only the columns that a plan needs are decoded.

use crate::dtype::DType;
use crate::error::polars_error;
use crate::expression::{Binary, ColExpr};
use crate::files::{SourceFile, Storage, expand};
use crate::lower::lower_filter;
use crate::pruning::{comparison, conjuncts, matching_groups};
use crate::value::{Index, Partition, is_hidden};
use oxidask_core::{Error, Result};
use polars::io::HiveOptions;
use polars::io::mmap::MmapBytesReader;
use polars::prelude::*;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::Cursor;
use std::sync::Arc;

/// Row groups of a file are put together up to about so many bytes.
const PARTITION_BYTES: usize = 128 << 20;

/// Parquet files and their runs of row groups.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ParquetScan {
    files: Vec<SourceFile>,
    columns: Vec<(String, DType)>,
    runs: Vec<RowRun>,
    /// The number of runs of all files, of which `runs` may be a part.
    n_runs: u64,
}

/// Rows of a file that make a partition.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct RowRun {
    file: u32,
    offset: u64,
    rows: u64,
    /// About the memory that they take.
    bytes: u64,
}

fn reader(file: &SourceFile) -> Result<ParquetReader<Box<dyn MmapBytesReader>>> {
    let bytes: Box<dyn MmapBytesReader> = match file.local_path() {
        Some(path) => Box::new(File::open(path).map_err(|cause| Error::io(format!("reading {}", file.path), &cause))?),
        None => Box::new(Cursor::new(file.content()?)),
    };
    Ok(ParquetReader::new(bytes))
}

fn failed(file: &SourceFile) -> impl Fn(PolarsError) -> Error {
    let path = file.path.clone();
    move |cause| {
        let error = polars_error(cause);
        Error::value(format!("{path} could not be read as Parquet: {}", error.message()))
            .with_hint("the file may be cut off or of another format")
    }
}

impl ParquetScan {
    /// Finds the files and reads their footers.
    pub(crate) fn open(patterns: &[String], columns: Option<&[String]>) -> Result<ParquetScan> {
        let files = expand(patterns, Storage { compression: None, ..Storage::default() })?;
        let mut all: Vec<(String, DType)> = Vec::new();
        let mut runs = Vec::new();
        for (number, file) in files.iter().enumerate() {
            let mut reader = reader(file)?;
            let schema = reader.schema().map_err(failed(file))?;
            let schema = Schema::from_arrow_schema(&schema);
            let own: Vec<(String, DType)> = schema
                .iter()
                .map(|(name, dtype)| Ok((name.to_string(), DType::from_polars(dtype)?)))
                .collect::<Result<_>>()
                .map_err(|error| error.within(file.path.clone()))?;
            if number == 0 {
                all = own;
            } else if own != all {
                return Err(Error::value(format!("{} has other columns than {}", file.path, files[0].path))
                    .with_hint("read files with other columns apart and concat them"));
            }
            let metadata = reader.get_metadata().map_err(failed(file))?;
            let groups = metadata.row_groups.iter().map(|group| (group.num_rows(), group.total_byte_size()));
            runs.extend(row_runs(number as u32, groups));
        }
        if let Some(wanted) = columns {
            for name in wanted {
                if !all.iter().any(|(known, _)| known == name) {
                    return Err(crate::error::unknown_column(name, all.iter().map(|(name, _)| name.as_str())));
                }
            }
            all.retain(|(name, _)| wanted.contains(name) || is_hidden(name));
        }
        Ok(ParquetScan { files, columns: all, n_runs: runs.len() as u64, runs })
    }

    pub(crate) fn n_blocks(&self) -> usize {
        self.runs.len()
    }

    pub(crate) fn take(&self, blocks: &[u32]) -> ParquetScan {
        ParquetScan { runs: blocks.iter().map(|block| self.runs[*block as usize]).collect(), ..self.clone() }
    }

    /// The levels of the index that the files hold.
    pub(crate) fn n_levels(&self) -> u32 {
        self.columns.iter().filter(|(name, _)| is_hidden(name)).count() as u32
    }

    /// Names and types, the hidden columns of an index first.
    pub(crate) fn schema(&self) -> Vec<(Arc<str>, DType)> {
        let (hidden, visible): (Vec<_>, Vec<_>) = self.columns.iter().partition(|(name, _)| is_hidden(name));
        hidden.into_iter().chain(visible).map(|(name, dtype)| (Arc::from(&**name), dtype.clone())).collect()
    }

    /// The index of the rows as they are read.
    pub(crate) fn index(&self) -> Index {
        match self.n_levels() {
            0 => Index::Range(0),
            levels => Index::Levels(levels),
        }
    }

    /// About the memory that all rows take.
    pub(crate) fn n_bytes(&self) -> u64 {
        self.runs.iter().map(|run| run.bytes).sum()
    }

    /// Whether every row of every file is read, in order.
    pub(crate) fn is_whole(&self) -> bool {
        self.n_runs == self.runs.len() as u64
            && self.files.iter().all(|file| file.local_path().is_some())
            && self.runs.is_sorted_by(|a, b| (a.file, a.offset) < (b.file, b.offset))
    }

    /// All rows as one lazy table, with NaN as the files have it.
    pub(crate) fn raw(&self) -> Result<LazyFrame> {
        let paths = self.files.iter().map(|file| PlRefPath::new(file.local_path().unwrap_or(&file.path))).collect();
        let options = ScanArgsParquet {
            glob: false,
            cache: false,
            hive_options: HiveOptions::new_disabled(),
            ..ScanArgsParquet::default()
        };
        let frame = LazyFrame::scan_parquet_files(paths, options).map_err(polars_error)?;
        Ok(frame.select(self.schema().iter().map(|(name, _)| col(&**name)).collect::<Vec<_>>()))
    }

    fn floats(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().filter(|(_, dtype)| dtype.is_float()).map(|(name, _)| &**name)
    }

    /// A filter over the rows of [`ParquetScan::raw`], in which NaN is greater than
    /// all numbers and not yet missing. Comparisons of a column with a value stay
    /// what they are: by them Polars skips row groups.
    pub(crate) fn predicate(&self, filter: &ColExpr) -> Result<Expr> {
        let mut schema = Schema::with_capacity(self.columns.len());
        for (name, dtype) in self.schema() {
            schema.with_column((&*name).into(), dtype.to_polars()?);
        }
        let is_float = |name: &str| self.floats().any(|own| own == name);
        let mut all: Option<Expr> = None;
        for part in conjuncts(filter) {
            let lowered = lower_filter(part, &schema)?;
            let raw = match comparison(part) {
                Some((name, Binary::Greater | Binary::GreaterEqual, _)) if is_float(name) => {
                    lowered.and(col(name).is_not_nan())
                }
                Some(_) => lowered,
                None => lowered.map_expr(|expr| match &expr {
                    Expr::Column(name) if is_float(name) => crate::nan::to_null(expr),
                    _ => expr,
                }),
            };
            all = Some(all.map_or_else(|| raw.clone(), |all| all.and(raw.clone())));
        }
        Ok(all.unwrap_or_else(|| lit(true)))
    }

    /// Rows of [`ParquetScan::raw`], with missing values instead of NaN.
    pub(crate) fn cleaned(&self, frame: LazyFrame) -> Result<LazyFrame> {
        let floats = crate::nan::columns_to_null(self.floats());
        Ok(if floats.is_empty() { frame } else { frame.with_columns(floats) })
    }

    pub(crate) fn describe(&self) -> String {
        let first = self.files.first().map_or("", |file| &file.path);
        format!("read_parquet {first} ({} files, {} blocks)", self.files.len(), self.runs.len())
    }

    /// A run of rows: the `wanted` columns and the index, at most `limit` rows.
    /// Row groups in which none of `filters` can hold are left out.
    pub(crate) fn read(
        &self,
        block: usize,
        wanted: Option<&[String]>,
        limit: Option<u64>,
        filters: &[ColExpr],
    ) -> Result<DataFrame> {
        let run = self.runs[block];
        let file = &self.files[run.file as usize];
        let is_wanted =
            |name: &str| is_hidden(name) || wanted.is_none_or(|wanted| wanted.iter().any(|own| own == name));
        let kept: Vec<(Arc<str>, DType)> = self.schema().into_iter().filter(|(name, _)| is_wanted(name)).collect();
        let names: Vec<String> = kept.iter().map(|(name, _)| name.to_string()).collect();
        let rows = run.rows.min(limit.unwrap_or(u64::MAX)) as usize;
        if names.is_empty() {
            return Ok(DataFrame::empty_with_height(rows));
        }
        let mut all: Option<DataFrame> = None;
        for (offset, rows) in self.stretches(file, run, rows, filters)? {
            let part = reader(file)?
                .with_columns(Some(names.clone()))
                .with_slice(Some((offset, rows)))
                .read_parallel(ParallelStrategy::None);
            let part = part.finish().map_err(failed(file))?.select(&names).map_err(polars_error)?;
            match &mut all {
                None => all = Some(part),
                Some(all) => drop(all.vstack_mut_owned(part).map_err(polars_error)?),
            }
        }
        let Some(frame) = all else {
            let types = kept.iter().map(|(name, dtype)| Ok(Field::new((&**name).into(), dtype.to_polars()?)));
            return Ok(DataFrame::empty_with_schema(&types.collect::<Result<Schema>>()?));
        };
        // Missing is null everywhere in frames, and files may hold NaN.
        let height = frame.height();
        let columns = frame.into_columns().into_iter().map(crate::nan::column_to_null).collect::<PolarsResult<_>>();
        DataFrame::new(height, columns.map_err(polars_error)?).map_err(polars_error)
    }

    /// The rows of a run to read, as offsets and lengths.
    fn stretches(
        &self,
        file: &SourceFile,
        run: RowRun,
        rows: usize,
        filters: &[ColExpr],
    ) -> Result<Vec<(usize, usize)>> {
        let (start, end) = (run.offset as usize, run.offset as usize + rows);
        if filters.is_empty() {
            return Ok(vec![(start, rows)]);
        }
        let mut reader = reader(file)?;
        let schema = reader.schema().map_err(failed(file))?;
        let metadata = reader.get_metadata().map_err(failed(file))?;
        let matching = matching_groups(metadata, &schema, filters)?;
        let mut stretches: Vec<(usize, usize)> = Vec::new();
        let mut at = 0;
        for (group, matches) in metadata.row_groups.iter().zip(matching) {
            let (first, last) = (at.max(start), (at + group.num_rows()).min(end));
            at += group.num_rows();
            if !matches || first >= last {
                continue;
            }
            match stretches.last_mut() {
                Some((offset, length)) if *offset + *length == first => *length += last - first,
                _ => stretches.push((first, last - first)),
            }
        }
        Ok(stretches)
    }
}

/// Runs of row groups of about [`PARTITION_BYTES`]; one without rows for a file
/// that has none.
fn row_runs(file: u32, groups: impl Iterator<Item = (usize, usize)>) -> Vec<RowRun> {
    let mut runs: Vec<RowRun> = Vec::new();
    let (mut bytes, mut offset) = (0, 0);
    for (rows, size) in groups {
        match runs.last_mut() {
            Some(run) if bytes + size <= PARTITION_BYTES => {
                run.rows += rows as u64;
                run.bytes += size as u64;
            }
            _ => {
                runs.push(RowRun { file, offset, rows: rows as u64, bytes: size as u64 });
                bytes = 0;
            }
        }
        bytes += size;
        offset += rows as u64;
    }
    if runs.is_empty() {
        runs.push(RowRun { file, offset: 0, rows: 0, bytes: 0 });
    }
    runs
}

/// Writes a partition to a file, in place only once it is whole. Levels of the
/// index become columns `__index_level_<n>__`.
///
/// # Errors
/// If the file cannot be written.
pub fn write_parquet(partition: &Partition, path: &str) -> Result<()> {
    let failed = |cause: std::io::Error| Error::io(format!("writing {path}"), &cause);
    let unfinished = format!("{path}.unfinished-{}", std::process::id());
    let file = File::create(&unfinished).map_err(failed)?;
    let mut frame = partition.frame.clone();
    let written = crate::threads::alone(|| ParquetWriter::new(file).set_parallel(false).finish(&mut frame));
    if let Err(cause) = written {
        let _ = std::fs::remove_file(&unfinished);
        return Err(polars_error(cause).within(format!("writing {path}")));
    }
    std::fs::rename(&unfinished, path).map_err(failed)
}

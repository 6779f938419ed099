//! Files for bags: which there are, how they are cut, read and written.

use super::collection::bag_of;
use super::plan::{Origin, Pipe, PipeExpr};
use super::text;
use crate::base::PyExpr;
use crate::delayed::current_annotations;
use crate::error::OrRaise;
use oxidask_core::{Error, KeyHasher};
use oxidask_io::{Block, BlockOptions, Compression, Location, StorageOptions};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::sync::Arc;

/// Adds this file's functions to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(bag_text, module)?)?;
    module.add_function(wrap_pyfunction!(bag_file_blocks, module)?)?;
    module.add_function(wrap_pyfunction!(bag_read_block, module)?)?;
    module.add_function(wrap_pyfunction!(bag_write_file, module)?)?;
    module.add_function(wrap_pyfunction!(bag_files_token, module)?)?;
    module.add_function(wrap_pyfunction!(bag_expand, module)?)
}

/// The files of paths and globs.
#[pyfunction]
fn bag_expand(py: Python<'_>, paths: Vec<String>, storage: Vec<(String, String)>) -> PyResult<Vec<String>> {
    let storage: StorageOptions = storage.into_iter().collect();
    py.detach(|| oxidask_io::expand(&paths, &storage)).or_raise()
}

/// How text is read: what does not depend on the files.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct TextWish {
    blocksize: Option<u64>,
    compression: Option<String>,
    delimiter: Option<String>,
    delimiter_bytes: Vec<u8>,
    encoding: (String, String, u8, bool),
    include_path: bool,
    files_per_partition: Option<usize>,
    storage: Vec<(String, String)>,
}

/// The compression that a user named; none infers it from each file's name.
fn compression_of(name: Option<&str>) -> PyResult<Option<Compression>> {
    match name {
        Some("infer") => Ok(None),
        named => Compression::named(named).or_raise().map(Some),
    }
}

/// Adds what tells versions of files apart, so that a file that changed is
/// another source.
fn identified(mut hasher: KeyHasher, files: &[String], storage: &StorageOptions) -> KeyHasher {
    for file in files {
        let identity = Location::parse(file, storage).and_then(|location| location.identity(storage)).ok();
        hasher = hasher.params(&identity);
    }
    hasher
}

/// Lines of files; answers the bag and how many partitions each file has.
#[pyfunction]
fn bag_text(py: Python<'_>, files: Vec<String>, wish: TextWish) -> PyResult<(PyExpr, Vec<usize>)> {
    let storage: StorageOptions = wish.storage.into_iter().collect();
    let (name, errors, unit, is_stateless) = wish.encoding;
    let options = BlockOptions {
        block_bytes: wish.blocksize,
        compression: compression_of(wish.compression.as_deref())?,
        delimiter: wish.delimiter_bytes.clone(),
        unit,
    };
    let blocks = py.detach(|| oxidask_io::plan(&files, &options, &storage)).or_raise()?;
    let counts = blocks.iter().map(Vec::len).collect();
    let partitions: Vec<Vec<Block>> = match wish.files_per_partition {
        Some(0) => return Err(PyValueError::new_err("files_per_partition must be at least 1")),
        Some(n) => blocks.chunks(n).map(<[Vec<Block>]>::concat).collect(),
        None => blocks.into_iter().flatten().map(|block| vec![block]).collect(),
    };
    let source = text::TextSource {
        partitions,
        delimiter_bytes: wish.delimiter_bytes,
        delimiter: wish.delimiter,
        encoding: text::Encoding { name, errors, unit, is_stateless },
        include_path: wish.include_path,
    };
    let hasher = KeyHasher::new("bag.text").params(&source);
    let hasher = py.detach(|| identified(hasher, &files, &storage));
    let pipe = PipeExpr {
        key: hasher.finish(),
        label: Arc::from("read_text"),
        n: Some(source.partitions.len()),
        from: Origin::Text(Arc::new(source)),
        steps: Vec::new(),
        inputs: Vec::new().into(),
        cut: None,
        annotations: current_annotations(py)?,
    };
    Ok((bag_of(Pipe::expr(pipe)), counts))
}

/// A block of a file, as Python passes it around.
pub type BlockForm = (String, Vec<(String, String)>, u64, Option<u64>, Option<String>);

pub fn block_of(form: BlockForm) -> PyResult<Block> {
    let (path, storage, start, end, compression) = form;
    let options = Arc::new(storage.into_iter().collect());
    let compression = match compression_of(compression.as_deref())? {
        Some(compression) => compression,
        None => Compression::inferred(&path).or_raise()?,
    };
    Ok(Block { path: path.into(), options, start, end, compression })
}

/// Where the blocks of a file begin and end.
#[pyfunction]
fn bag_file_blocks(
    py: Python<'_>,
    file: BlockForm,
    block_bytes: Option<u64>,
    delimiter: Vec<u8>,
) -> PyResult<Vec<(u64, Option<u64>)>> {
    let block = block_of(file)?;
    let options = BlockOptions { block_bytes, compression: Some(block.compression), delimiter, unit: 1 };
    let blocks = py.detach(|| oxidask_io::file_blocks(&block.path, &options, &block.options)).or_raise()?;
    Ok(blocks.into_iter().map(|block| (block.start, block.end)).collect())
}

/// The bytes of a block, decompressed, cut at delimiters.
#[pyfunction]
fn bag_read_block<'py>(py: Python<'py>, block: BlockForm, delimiter: Vec<u8>) -> PyResult<Bound<'py, PyBytes>> {
    let block = block_of(block)?;
    let chunk = py.detach(|| block.read(&delimiter, 1)).or_raise()?;
    Ok(PyBytes::new(py, &chunk.bytes))
}

/// Writes a whole file.
#[pyfunction]
fn bag_write_file(
    py: Python<'_>,
    path: &str,
    storage: Vec<(String, String)>,
    compression: Option<&str>,
    content: &[u8],
) -> PyResult<()> {
    let storage: StorageOptions = storage.into_iter().collect();
    let compression = match compression_of(compression)? {
        Some(compression) => compression,
        None => Compression::inferred(path).or_raise()?,
    };
    let location = Location::parse(path, &storage).or_raise()?;
    py.detach(|| {
        let bytes =
            compression.compress(content).map_err(|cause| Error::io(format!("compressing '{path}'"), &cause))?;
        location.write(bytes)
    })
    .or_raise()
}

/// A name for the content of files, which changes when they do.
#[pyfunction]
fn bag_files_token(py: Python<'_>, files: Vec<String>, storage: Vec<(String, String)>) -> String {
    let storage: StorageOptions = storage.into_iter().collect();
    py.detach(|| identified(KeyHasher::new("files"), &files, &storage).finish().to_string())
}

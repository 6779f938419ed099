//! Lines of text files as elements of bags.
//!
//! A partition is read in chunks of about a megabyte: [`Chunks`] is an iterator of
//! lists of lines, so that a pipe of Python functions streams through a file of
//! any size in little memory and stops reading when nobody asks for more.

use super::cells::{Failed, Objects};
use super::pipe::{Step, listed, run_calls};
use crate::error::OrRaise;
use oxidask_io::record::Program;
use oxidask_io::{Block, BlockReader, Chunk, lines, universal_newlines};
use parking_lot::Mutex;
use pyo3::exceptions::{PyUnicodeDecodeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyList, PyString};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// How bytes become text.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Encoding {
    /// Python's name for it.
    pub name: String,
    /// What to do with bytes that are no text, as for `bytes.decode`.
    pub errors: String,
    /// Bytes of its smallest unit.
    pub unit: u8,
    /// Whether lines can be decoded one by one: no state goes from one to the
    /// next, as a byte order mark does.
    pub is_stateless: bool,
}

impl Encoding {
    fn is_utf8(&self) -> bool {
        self.name == "utf-8"
    }
}

/// What is read into which partition, and how.
#[derive(Clone, Serialize, Deserialize)]
pub struct TextSource {
    /// The blocks of each partition.
    pub partitions: Vec<Vec<Block>>,
    /// What ends a line, as bytes of the file.
    pub delimiter_bytes: Vec<u8>,
    /// What ends a line, if the user said so; else any newline does, and lines
    /// end in `\n`.
    pub delimiter: Option<String>,
    /// How bytes become text.
    pub encoding: Encoding,
    /// Whether elements are pairs of a line and the path of its file.
    pub include_path: bool,
}

/// A chunk as text, or as what Python has to decode.
pub enum Decoded {
    /// UTF-8, with `\n` at the ends of lines unless another delimiter is given.
    Text(String),
    /// All else.
    Bytes(Chunk),
}

/// Reads the blocks of one partition, one after another.
pub struct PartitionReader {
    source: Arc<TextSource>,
    partition: usize,
    /// The block that is being read, and its reader.
    current: usize,
    reader: Option<BlockReader>,
}

impl PartitionReader {
    /// A reader of partition `partition`.
    pub fn new(source: Arc<TextSource>, partition: u64) -> PyResult<Self> {
        let partition = usize::try_from(partition)?;
        if partition >= source.partitions.len() {
            return Err(PyValueError::new_err(format!("there is no partition {partition}")));
        }
        Ok(PartitionReader { source, partition, current: 0, reader: None })
    }

    /// The next chunk, and the number of its block.
    ///
    /// # Errors
    /// If a file cannot be read; the message names it.
    pub fn next_chunk(&mut self) -> oxidask_core::Result<Option<(Decoded, usize)>> {
        loop {
            let Some(block) = self.source.partitions[self.partition].get(self.current) else { return Ok(None) };
            let (delimiter, encoding) = (&self.source.delimiter_bytes, &self.source.encoding);
            let chunk = if encoding.is_stateless {
                if self.reader.is_none() {
                    self.reader = Some(block.reader(delimiter, encoding.unit)?);
                }
                match &mut self.reader {
                    Some(reader) => reader.next_chunk()?,
                    None => None,
                }
            } else if self.reader.is_none() {
                // The marker that this block has been read.
                self.reader = Some(block.reader(delimiter, encoding.unit)?);
                Some(block.read(delimiter, encoding.unit)?)
            } else {
                None
            };
            let Some(chunk) = chunk else {
                self.current += 1;
                self.reader = None;
                continue;
            };
            let number = self.current;
            let decoded = if encoding.is_utf8() { decoded(chunk) } else { Decoded::Bytes(chunk) };
            return Ok(Some(match decoded {
                Decoded::Text(text) if self.source.delimiter.is_none() => {
                    (Decoded::Text(universal_newlines(text)), number)
                }
                other => (other, number),
            }));
        }
    }

    /// Takes back the memory of a text for the next one.
    pub fn recycle(&mut self, text: String) {
        if let Some(reader) = &mut self.reader {
            reader.recycle(text.into_bytes());
        }
    }
}

/// A chunk as text if it is UTF-8.
fn decoded(chunk: Chunk) -> Decoded {
    let offset = chunk.offset;
    match String::from_utf8(chunk.bytes) {
        Ok(text) => Decoded::Text(text),
        Err(error) => Decoded::Bytes(Chunk { bytes: error.into_bytes(), offset }),
    }
}

impl TextSource {
    /// The path of a block.
    pub fn path(&self, partition: u64, block: usize) -> &str {
        self.partitions.get(partition as usize).and_then(|blocks| blocks.get(block)).map_or("", |block| &block.path)
    }

    /// What ends the lines of decoded text.
    pub fn line_end(&self) -> &str {
        self.delimiter.as_deref().unwrap_or("\n")
    }

    /// The lines of a chunk that Python decodes.
    ///
    /// # Errors
    /// `UnicodeDecodeError` that names the file, the offset and what to do.
    pub fn decode<'py>(&self, py: Python<'py>, chunk: &Chunk, path: &str) -> PyResult<Bound<'py, PyList>> {
        static LINES: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let bytes = PyBytes::new(py, &chunk.bytes);
        let decode = bytes.call_method1(intern!(py, "decode"), (&self.encoding.name, &self.encoding.errors));
        let text = decode.map_err(|error| self.placed(py, error, chunk, path))?;
        let lines = LINES.import(py, "oxidask.bag._steps", "lines_of")?;
        Ok(lines.call1((text, self.delimiter.as_deref()))?.cast_into()?)
    }

    fn placed(&self, py: Python<'_>, error: PyErr, chunk: &Chunk, path: &str) -> PyErr {
        let build = || -> PyResult<PyErr> {
            let value = error.value(py);
            let start: u64 = value.getattr("start")?.extract()?;
            let reason: String = value.getattr("reason")?.extract()?;
            let reason = format!(
                "{reason}, in '{path}' at offset {}\nhint: pass the file's encoding=, or how to treat errors: \
                 errors='replace', 'ignore' or 'surrogateescape'",
                chunk.offset + start
            );
            let args = (value.getattr("encoding")?, value.getattr("object")?, start, value.getattr("end")?, reason);
            Ok(PyErr::from_value(py.get_type::<PyUnicodeDecodeError>().call1(args)?))
        };
        if error.is_instance_of::<PyUnicodeDecodeError>(py) { build().unwrap_or(error) } else { error }
    }

    /// Where in the files of a partition a line stands: path and number.
    pub fn locate(self: &Arc<Self>, partition: u64, wanted: &str) -> Option<(String, u64)> {
        let wanted = wanted.trim();
        let blocks = self.partitions.get(usize::try_from(partition).ok()?)?;
        for block in blocks {
            let mut before = 0;
            let only = TextSource { partitions: vec![vec![block.clone()]], ..(**self).clone() };
            let mut reader = PartitionReader::new(Arc::new(only), 0).ok()?;
            while let Some((Decoded::Text(text), _)) = reader.next_chunk().ok()? {
                for line in lines(&text, self.line_end()) {
                    if line.trim() == wanted {
                        let first = block.first_line(&self.delimiter_bytes, self.encoding.unit).ok()?;
                        return Some((block.path.to_string(), first + before + 1));
                    }
                    before += 1;
                }
            }
        }
        None
    }
}

/// Lists of the elements of a partition of text, a few lines at a time: few
/// enough for objects that nobody keeps to be gone before Python's collector of
/// garbage looks at them.
#[pyclass(frozen, module = "oxidask._oxidask")]
pub struct Chunks {
    /// None while a list is being made.
    state: Mutex<Option<State>>,
    partition: u64,
    /// Steps that are done on each line before Python sees it.
    native: Option<Native>,
}

/// How far reading came.
struct State {
    reader: PartitionReader,
    /// Lines of block `block`, of which those before `at` were handed out.
    text: String,
    at: usize,
    block: usize,
}

/// How many lines are handed out at once.
const LINES: usize = 64;

/// Steps that run natively, and in Python on lines that are beyond Rust.
pub struct Native {
    /// The steps.
    pub program: Program,
    /// The calls that they stand for.
    pub python: Vec<Step>,
}

impl Native {
    fn ask<'py>(&self, lines: Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        run_calls(lines, &self.python, &[]).and_then(listed)
    }

    /// Adds what becomes of some lines to `list`.
    fn add<'a>(&self, some: impl Iterator<Item = &'a str>, list: &Bound<'_, PyList>) -> PyResult<()> {
        let py = list.py();
        let (mut run, mut objects) = (self.program.start(), Objects::new(py));
        let only_loads = self.program.only_loads();
        for line in some {
            let is_done = if only_loads {
                match objects.loads(line) {
                    Ok(object) => list.append(object).map(|()| true)?,
                    Err(Failed::Beyond) => false,
                    Err(Failed::Python(error)) => return Err(error),
                }
            } else {
                let is_done = run.line(line).is_ok();
                run.cells().iter().try_for_each(|cell| list.append(objects.cell(cell)?))?;
                is_done
            };
            if !is_done {
                let one = PyList::new(py, [line])?.into_any();
                self.ask(one)?.try_iter()?.try_for_each(|object| list.append(object?))?;
            }
        }
        Ok(())
    }
}

impl Chunks {
    /// The elements of partition `partition`.
    pub fn new(source: Arc<TextSource>, partition: u64, native: Option<Native>) -> PyResult<Self> {
        let reader = PartitionReader::new(source, partition)?;
        let state = State { reader, text: String::new(), at: 0, block: 0 };
        Ok(Chunks { state: Mutex::new(Some(state)), partition, native })
    }

    fn next<'py>(&self, py: Python<'py>, state: &mut State) -> PyResult<Option<Bound<'py, PyAny>>> {
        if state.at == state.text.len() {
            let Some((chunk, block)) = py.detach(|| state.reader.next_chunk()).or_raise()? else { return Ok(None) };
            match chunk {
                Decoded::Text(text) => {
                    state.reader.recycle(std::mem::replace(&mut state.text, text));
                    (state.at, state.block) = (0, block);
                }
                Decoded::Bytes(chunk) => return self.decoded(py, &state.reader.source, &chunk, block).map(Some),
            }
        }
        let source = &state.reader.source;
        let rest = &state.text[state.at..];
        let mut n_bytes = 0;
        let some = lines(rest, source.line_end()).take(LINES).inspect(|line| n_bytes += line.len());
        let list = PyList::empty(py);
        match &self.native {
            Some(native) => native.add(some, &list)?,
            None if source.include_path => {
                let path = PyString::new(py, source.path(self.partition, state.block));
                for line in some {
                    list.append((PyString::new(py, line), &path))?;
                }
            }
            None => {
                for line in some {
                    list.append(PyString::new(py, line))?;
                }
            }
        }
        state.at += n_bytes;
        Ok(Some(list.into_any()))
    }

    /// The elements of a chunk that Python decodes.
    fn decoded<'py>(
        &self,
        py: Python<'py>,
        source: &TextSource,
        chunk: &Chunk,
        block: usize,
    ) -> PyResult<Bound<'py, PyAny>> {
        let path = source.path(self.partition, block);
        let decoded = source.decode(py, chunk, path)?.into_any();
        match &self.native {
            Some(native) => native.ask(decoded),
            None if source.include_path => {
                let path = PyString::new(py, path);
                let pairs = decoded.try_iter()?.map(|line| Ok((line?, path.clone())));
                Ok(PyList::new(py, pairs.collect::<PyResult<Vec<_>>>()?)?.into_any())
            }
            None => Ok(decoded),
        }
    }
}

#[pymethods]
impl Chunks {
    fn __iter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let state = self.state.lock().take();
        let Some(mut state) = state else {
            return Err(PyValueError::new_err("the lines of a partition are being read already"));
        };
        let next = self.next(py, &mut state);
        *self.state.lock() = Some(state);
        next
    }
}

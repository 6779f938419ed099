//! Lines of text files as partitions of bags.

use crate::error::OrRaise;
use oxidask::text::{TextBlock, universal_newlines};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyString};
use serde::{Deserialize, Serialize};

/// What is read into which partition, and how.
#[derive(Clone, Serialize, Deserialize)]
pub struct TextSource {
    /// The blocks of each partition.
    pub partitions: Vec<Vec<TextBlock>>,
    /// What ends a line, as bytes of the file.
    pub delimiter_bytes: Vec<u8>,
    /// What ends a line, if the user said so; else any newline does, and lines
    /// end in `\n`.
    pub delimiter: Option<String>,
    /// The encoding and how to treat errors in it; none is strict UTF-8.
    pub encoding: Option<(String, String)>,
    /// Whether elements are pairs of a line and the path of its file.
    pub include_path: bool,
}

impl TextSource {
    /// The lines of a partition as a list.
    ///
    /// # Errors
    /// If a file cannot be read or decoded; the message names it.
    pub fn read<'py>(&self, py: Python<'py>, partition: u64) -> PyResult<Bound<'py, PyAny>> {
        let list = PyList::empty(py);
        for block in &self.partitions[usize::try_from(partition)?] {
            let text = self.text_of(py, block)?;
            if self.include_path {
                let path = PyString::new(py, &block.path);
                self.each_line(&text, |line| list.append((PyString::new(py, line), &path)))?;
            } else {
                self.each_line(&text, |line| list.append(PyString::new(py, line)))?;
            }
        }
        Ok(list.into_any())
    }

    fn text_of(&self, py: Python<'_>, block: &TextBlock) -> PyResult<String> {
        let Some((encoding, errors)) = &self.encoding else {
            return py.detach(|| block.read_utf8(&self.delimiter_bytes)).or_raise();
        };
        let read = py.detach(|| block.read(&self.delimiter_bytes)).or_raise()?;
        let decode = || -> PyResult<String> {
            PyBytes::new(py, &read.bytes).call_method1(intern!(py, "decode"), (encoding, errors))?.extract()
        };
        decode().inspect_err(|error| {
            // The error stays the one that Python's own decoding raises.
            let note = format!("in '{}', from offset {}", block.path, read.offset);
            let _ = error.value(py).call_method1(intern!(py, "add_note"), (note,));
        })
    }

    fn each_line(&self, text: &str, mut see: impl FnMut(&str) -> PyResult<()>) -> PyResult<()> {
        match self.delimiter.as_deref() {
            None => universal_newlines(text).split_inclusive('\n').try_for_each(&mut see),
            Some(delimiter) => text.split_inclusive(delimiter).try_for_each(&mut see),
        }
    }
}

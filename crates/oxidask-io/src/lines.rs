//! Bytes as text, and text as lines.

use crate::block::{Block, Chunk};
use oxidask_core::{Error, Result};

/// A chunk of UTF-8 as text.
///
/// # Errors
/// If it is not UTF-8; the message names the file, the byte and its offset.
pub fn utf8(chunk: Chunk, path: &str) -> Result<String> {
    let offset = chunk.offset;
    String::from_utf8(chunk.bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let byte = error.as_bytes()[at];
        let place = offset + at as u64;
        Error::value(format!("'{path}' is not UTF-8: invalid byte 0x{byte:02x} at offset {place}"))
            .with_hint("name the file's encoding, or how to treat errors: errors='replace'")
    })
}

/// The text with every line end (`\r\n`, `\r`) as `\n`, as Python's text files
/// read it.
///
/// ```
/// assert_eq!(oxidask_io::universal_newlines("a\r\nb\rc".to_owned()), "a\nb\nc");
/// ```
#[must_use]
pub fn universal_newlines(text: String) -> String {
    if memchr::memchr(b'\r', text.as_bytes()).is_none() {
        return text;
    }
    text.replace("\r\n", "\n").replace('\r', "\n")
}

/// The lines of a text, each with the delimiter that ends it.
pub fn lines<'a>(text: &'a str, delimiter: &'a str) -> impl Iterator<Item = &'a str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = crate::find(rest.as_bytes(), delimiter.as_bytes(), 0).map_or(rest.len(), |at| at + delimiter.len());
        let (line, after) = rest.split_at(end);
        rest = after;
        Some(line)
    })
}

impl Block {
    /// Calls `see` with each line of UTF-8 in this block, without its end, and
    /// the number of lines before it in the block.
    ///
    /// # Errors
    /// If the file cannot be read or is not UTF-8; whatever `see` answers.
    pub fn each_line(&self, mut see: impl FnMut(u64, &str) -> Result<()>) -> Result<()> {
        let mut reader = self.reader(b"\n", 1)?;
        let mut number = 0;
        while let Some(chunk) = reader.next_chunk()? {
            let text = utf8(chunk, &self.path)?;
            for line in lines(&text, "\n") {
                let bare = line.strip_suffix('\n').map_or(line, |line| line.strip_suffix('\r').unwrap_or(line));
                see(number, bare)?;
                number += 1;
            }
        }
        Ok(())
    }

    /// How many lines the file has before this block.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn first_line(&self, delimiter: &[u8], unit: u8) -> Result<u64> {
        if self.start == 0 {
            return Ok(0);
        }
        let before = Block { start: 0, end: Some(self.start), ..self.clone() };
        let mut reader = before.reader(delimiter, unit)?;
        let mut lines = 0;
        while let Some(chunk) = reader.next_chunk()? {
            let mut at = 0;
            while let Some(found) = crate::find(&chunk.bytes, delimiter, at) {
                lines += 1;
                at = found + delimiter.len();
            }
        }
        Ok(lines)
    }
}

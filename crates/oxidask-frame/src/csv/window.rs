//! Gets the bytes of a block: from the first record border in it to a little
//! beyond its end.

use crate::files::SourceFile;
use oxidask_core::{Error, Result};

/// How far beyond a block's end we first read, for its last record.
const SLACK: u64 = 64 << 10;
/// How far we look for a quote that tells whether a block begins inside one.
const QUOTE_SEARCH: u64 = 1 << 20;

/// Text of a file from some byte on.
pub(crate) struct Window {
    pub text: String,
    /// Where in the file the text begins.
    pub base: u64,
    /// Whether the text goes to the end of the file.
    pub complete: bool,
}

/// The beginning of a file.
pub(crate) fn sample(file: &SourceFile, bytes: usize) -> Result<Window> {
    let (content, complete) = file.read(0, bytes as u64)?;
    text(file, content, 0, complete)
}

/// The text in which the records that begin in `start..end` lie. `reach` scales
/// how far beyond the end to read; `quote` tells records' borders.
pub(crate) fn read(
    file: &SourceFile,
    start: u64,
    end: u64,
    quote: Option<u8>,
    separator: u8,
    reach: u64,
) -> Result<Window> {
    if start == 0 {
        let (content, complete) = file.read(0, end.saturating_add(SLACK * reach))?;
        return text(file, content, 0, complete);
    }
    // The byte before the block tells whether its first byte begins a record.
    let from = start - 1;
    let (mut content, mut complete) = file.read(from, (end - from).saturating_add(SLACK * reach))?;
    let mut quoted = false;
    if let Some(quote) = quote {
        if !complete && !content.contains(&quote) && (content.len() as u64) < QUOTE_SEARCH {
            (content, complete) = file.read(from, QUOTE_SEARCH)?;
        }
        quoted = begins_quoted(file, from, &content, quote, separator)?;
    }
    let begin = first_break(&content, quoted, quote).map_or(content.len(), |at| at + 1);
    content.drain(..begin);
    text(file, content, from + begin as u64, complete)
}

/// The first line break outside quotes.
fn first_break(content: &[u8], mut quoted: bool, quote: Option<u8>) -> Option<usize> {
    content.iter().position(|byte| {
        quoted ^= Some(*byte) == quote;
        *byte == b'\n' && !quoted
    })
}

/// Whether the byte at `from` lies inside a quoted field. The first quote after
/// it mostly tells: an opening one follows a separator, a closing one precedes
/// one. Where it could be either, all quotes before are counted.
fn begins_quoted(file: &SourceFile, from: u64, content: &[u8], quote: u8, separator: u8) -> Result<bool> {
    let Some(at) = content.iter().position(|byte| *byte == quote) else { return Ok(false) };
    let border = |byte: Option<&u8>| byte.is_some_and(|byte| *byte == separator || matches!(byte, b'\n' | b'\r'));
    let before = at.checked_sub(1).and_then(|before| content.get(before));
    let after = content.get(at + 1);
    if before.is_some() && after.is_some() && after != Some(&quote) {
        match (border(before), border(after)) {
            (true, false) => return Ok(false),
            (false, true) => return Ok(true),
            _ => {}
        }
    }
    let (all_before, _) = file.read(0, from)?;
    Ok(all_before.iter().filter(|byte| **byte == quote).count() % 2 == 1)
}

fn text(file: &SourceFile, mut content: Vec<u8>, base: u64, complete: bool) -> Result<Window> {
    if let Err(cause) = std::str::from_utf8(&content) {
        let cut_off = cause.error_len().is_none() && !complete;
        if !cut_off {
            let at = base + cause.valid_up_to() as u64;
            let line = line_of(file, at)?;
            return Err(Error::value(format!("{}, line {line}: the file is not encoded as UTF-8", file.path))
                .with_hint("convert the file, for example with iconv"));
        }
        content.truncate(cause.valid_up_to());
    }
    let base = if base == 0 && content.starts_with(b"\xef\xbb\xbf") {
        content.drain(..3);
        3
    } else {
        base
    };
    let text = String::from_utf8(content).map_err(|_| Error::value(format!("{} is not UTF-8", file.path)))?;
    Ok(Window { text, base, complete })
}

/// The number of the line in which a byte of the file lies, from 1.
pub(crate) fn line_of(file: &SourceFile, at: u64) -> Result<usize> {
    let (before, _) = file.read(0, at)?;
    Ok(1 + before.iter().filter(|byte| **byte == b'\n').count())
}

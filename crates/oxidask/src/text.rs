//! Text files as blocks of lines, for bags.
//!
//! [`expand`] turns globs into files, [`plan`] cuts files into [`TextBlock`]s
//! without reading them, and a task reads its block. A line belongs to the block
//! in which it begins, so that every line is read exactly once wherever the
//! cuts fall.

use flate2::read::MultiGzDecoder;
use oxidask_core::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::sync::Arc;

#[cfg(test)]
mod tests;

/// How a file is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Compression {
    /// It is plain text.
    None,
    /// It is one or several gzip members.
    Gzip,
}

impl Compression {
    /// The compression with a name: none for `None`, `gzip` or `gz`.
    ///
    /// # Errors
    /// If we cannot read it; the message says what we can.
    pub fn named(name: Option<&str>) -> Result<Self> {
        match name {
            None => Ok(Compression::None),
            Some("gzip" | "gz") => Ok(Compression::Gzip),
            Some(name) => Err(Error::value(format!("text with compression '{name}' cannot be read"))
                .with_hint("use 'infer', 'gzip' or None")),
        }
    }

    /// The compression that the ending of a file's name tells.
    ///
    /// # Errors
    /// If the ending is of a compression that we cannot read.
    pub fn inferred(path: &str) -> Result<Self> {
        let ending = path.rsplit_once('.').map_or("", |(_, ending)| ending);
        match ending {
            "gz" => Ok(Compression::Gzip),
            "bz2" | "xz" | "lzma" | "zst" | "zip" | "lz4" | "snappy" => {
                Err(Error::value(format!("the ending of '{path}' tells a compression that cannot be read"))
                    .with_hint("only gzip is supported; name compression=None if the file is plain text"))
            }
            _ => Ok(Compression::None),
        }
    }
}

/// How text is cut and decompressed.
#[derive(Clone, Debug)]
pub struct TextOptions {
    /// Bytes of a block; none makes one block of each file.
    pub block_bytes: Option<u64>,
    /// The compression of all files; none infers it from each name.
    pub compression: Option<Compression>,
    /// What ends a line.
    pub delimiter: Vec<u8>,
}

impl Default for TextOptions {
    fn default() -> Self {
        TextOptions { block_bytes: None, compression: None, delimiter: b"\n".to_vec() }
    }
}

/// The lines that begin within a range of bytes of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TextBlock {
    /// The file.
    pub path: Arc<str>,
    /// Where the range begins.
    pub start: u64,
    /// Where it ends; none is the end of the file.
    pub end: Option<u64>,
    /// How the file is compressed.
    pub compression: Compression,
}

/// The files that some paths and globs stand for, in order; those of one glob
/// in natural order, so that `2.txt` comes before `10.txt`.
///
/// # Errors
/// [`ErrorKind::NotFound`] if a path does not exist or a glob matches nothing;
/// the message names it.
pub fn expand<S: AsRef<str>>(paths: &[S]) -> Result<Vec<String>> {
    let mut files = Vec::new();
    for path in paths {
        let path = local_path(path.as_ref())?;
        if path.contains(['*', '?', '[']) && !std::path::Path::new(path).exists() {
            files.extend(matches_of(path)?);
        } else {
            let metadata = std::fs::metadata(path).map_err(|cause| Error::io(format!("reading '{path}'"), &cause))?;
            if metadata.is_dir() {
                return Err(Error::value(format!("'{path}' is a directory, not a text file"))
                    .with_hint(format!("name the files in it: '{}/*'", path.trim_end_matches('/'))));
            }
            files.push(path.to_owned());
        }
    }
    Ok(files)
}

fn local_path(path: &str) -> Result<&str> {
    match path.split_once("://") {
        None => Ok(path),
        Some(("file" | "local", path)) => Ok(path),
        Some((protocol, _)) => {
            Err(Error::unsupported(format!("'{path}' cannot be read: there is no reader for '{protocol}://'"))
                .with_hint("text is read from paths of this machine's file systems"))
        }
    }
}

fn matches_of(pattern: &str) -> Result<Vec<String>> {
    let options = glob::MatchOptions { require_literal_separator: true, ..glob::MatchOptions::default() };
    let paths = glob::glob_with(pattern, options)
        .map_err(|cause| Error::value(format!("'{pattern}' is no valid glob: {}", cause.msg)))?;
    // Hidden files are matched only by names that begin with a dot, as in shells.
    let is_hidden = |name: &str| name.starts_with('.');
    let wants_hidden = is_hidden(pattern.rsplit('/').next().unwrap_or(pattern));
    let mut files = Vec::new();
    for path in paths {
        let path = path.map_err(|cause| Error::io(format!("listing '{pattern}'"), cause.error()))?;
        let hidden = path.file_name().is_some_and(|name| is_hidden(&name.to_string_lossy()));
        if path.is_file() && (wants_hidden || !hidden) {
            files.push(path.to_string_lossy().into_owned());
        }
    }
    if files.is_empty() {
        return Err(Error::new(ErrorKind::NotFound, format!("no file matches '{pattern}'")));
    }
    files.sort_by(|left, right| natural_pieces(left).cmp(natural_pieces(right)));
    Ok(files)
}

/// The pieces by which a name is compared: numbers by value, all else as text.
fn natural_pieces(name: &str) -> impl Iterator<Item = (Option<u128>, &str)> {
    let mut rest = name;
    std::iter::from_fn(move || {
        let is_digit = rest.chars().next()?.is_ascii_digit();
        let end = rest.find(|symbol: char| symbol.is_ascii_digit() != is_digit).unwrap_or(rest.len());
        let (piece, after) = rest.split_at(end);
        rest = after;
        // A number of 40 digits is a name; so it compares as text.
        Some((if is_digit { piece.parse().ok() } else { None }, piece))
    })
}

/// Cuts files into blocks; answers the blocks of each file. Only sizes are
/// looked up.
///
/// # Errors
/// If a compressed file would have to be cut, or a size cannot be read.
pub fn plan(files: &[String], options: &TextOptions) -> Result<Vec<Vec<TextBlock>>> {
    if options.delimiter.is_empty() {
        return Err(Error::value("the line delimiter is empty"));
    }
    if options.block_bytes == Some(0) {
        return Err(Error::value("blocksize must be at least one byte"));
    }
    files.iter().map(|file| blocks_of(file, options)).collect()
}

fn blocks_of(file: &str, options: &TextOptions) -> Result<Vec<TextBlock>> {
    let compression = options.compression.map_or_else(|| Compression::inferred(file), Ok)?;
    let path: Arc<str> = Arc::from(file);
    let Some(block_bytes) = options.block_bytes else {
        return Ok(vec![TextBlock { path, start: 0, end: None, compression }]);
    };
    if compression != Compression::None {
        return Err(Error::value(format!("the compressed file '{file}' cannot be read in blocks"))
            .with_hint("set blocksize=None to read each file as one partition"));
    }
    let bytes = std::fs::metadata(file).map_err(|cause| Error::io(format!("reading '{file}'"), &cause))?.len();
    let n_blocks = bytes.div_ceil(block_bytes).max(1);
    let block = |number: u64| TextBlock {
        path: path.clone(),
        start: number * block_bytes,
        // The last block takes what a growing file may have gained.
        end: (number + 1 < n_blocks).then_some((number + 1) * block_bytes),
        compression,
    };
    Ok((0..n_blocks).map(block).collect())
}

/// The bytes of a block, and where in the (decompressed) file they begin.
pub struct BlockBytes {
    /// Whole lines.
    pub bytes: Vec<u8>,
    /// The offset of the first byte.
    pub offset: u64,
}

impl TextBlock {
    /// Reads the lines that begin in this block.
    ///
    /// # Errors
    /// If the file cannot be read or decompressed; the message names it.
    pub fn read(&self, delimiter: &[u8]) -> Result<BlockBytes> {
        self.read_lines(delimiter).map_err(|cause| Error::io(format!("reading '{}'", self.path), &cause))
    }

    /// Reads the lines that begin in this block as UTF-8.
    ///
    /// # Errors
    /// As [`TextBlock::read`], and if the bytes are not UTF-8; the message names
    /// the file and the offset.
    pub fn read_utf8(&self, delimiter: &[u8]) -> Result<String> {
        let BlockBytes { bytes, offset } = self.read(delimiter)?;
        String::from_utf8(bytes).map_err(|error| {
            let at = error.utf8_error().valid_up_to();
            let byte = error.as_bytes()[at];
            let place = offset + at as u64;
            Error::value(format!("'{}' is not UTF-8: invalid byte 0x{byte:02x} at offset {place}", self.path))
                .with_hint("name the file's encoding, or how to treat errors: errors='replace'")
        })
    }

    fn read_lines(&self, delimiter: &[u8]) -> std::io::Result<BlockBytes> {
        let mut file = File::open(&*self.path)?;
        let mut bytes = Vec::new();
        if self.compression == Compression::Gzip {
            MultiGzDecoder::new(file).read_to_end(&mut bytes)?;
            return Ok(BlockBytes { bytes, offset: 0 });
        }
        // A line begins here if a delimiter ends here, so reading starts one
        // delimiter early.
        let width = delimiter.len();
        let from = self.start.saturating_sub(width as u64);
        file.seek(SeekFrom::Start(from))?;
        match self.end {
            None => file.read_to_end(&mut bytes)?,
            Some(end) => {
                bytes.reserve((end - from) as usize + LOOK_AHEAD);
                file.by_ref().take(end - from).read_to_end(&mut bytes)?
            }
        };
        let begin = if self.start == 0 { Some(0) } else { find(&bytes, delimiter, 0).map(|at| at + width) };
        let inner_end = self.end.map_or(usize::MAX, |end| (end - from) as usize);
        let Some(begin) = begin.filter(|begin| *begin < inner_end) else {
            return Ok(BlockBytes { bytes: Vec::new(), offset: self.start });
        };
        if self.end.is_some() {
            finish_line(&mut file, &mut bytes, delimiter, begin, inner_end)?;
        }
        bytes.drain(..begin);
        Ok(BlockBytes { bytes, offset: from + begin as u64 })
    }
}

/// How many bytes are read at a time to find the end of a block's last line.
const LOOK_AHEAD: usize = 1 << 12;

/// Reads on until the line that crosses `end` is complete, and cuts there.
fn finish_line(
    file: &mut File,
    bytes: &mut Vec<u8>,
    delimiter: &[u8],
    begin: usize,
    end: usize,
) -> std::io::Result<()> {
    let mut searched = end.saturating_sub(delimiter.len()).max(begin);
    let mut ahead = LOOK_AHEAD;
    loop {
        if let Some(at) = find(bytes, delimiter, searched) {
            bytes.truncate(at + delimiter.len());
            return Ok(());
        }
        // A delimiter may begin in the last bytes that were searched.
        searched = bytes.len().saturating_sub(delimiter.len() - 1).max(searched);
        if file.by_ref().take(ahead as u64).read_to_end(bytes)? == 0 {
            return Ok(());
        }
        ahead = (ahead * 2).min(1 << 20);
    }
}

/// Where `delimiter` first occurs at or after `from`.
fn find(bytes: &[u8], delimiter: &[u8], from: usize) -> Option<usize> {
    let (&first, rest) = delimiter.split_first()?;
    let mut at = from;
    loop {
        at += bytes.get(at..)?.iter().position(|byte| *byte == first)?;
        if bytes[at + 1..].starts_with(rest) {
            return Some(at);
        }
        at += 1;
    }
}

/// The lines of a text, each with the delimiter that ends it.
pub fn lines<'a>(text: &'a str, delimiter: &'a str) -> impl Iterator<Item = &'a str> {
    text.split_inclusive(delimiter)
}

/// The text with every line end (`\r\n`, `\r`) as `\n`, as Python's text files
/// read it.
#[must_use]
pub fn universal_newlines(text: &str) -> Cow<'_, str> {
    if !text.as_bytes().contains(&b'\r') {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.replace("\r\n", "\n").replace('\r', "\n"))
}

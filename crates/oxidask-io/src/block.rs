//! Files cut into blocks of whole lines, and the lines of a block as a stream.
//!
//! A block begins behind the first delimiter at or after its own start, and ends
//! where the next one begins, so that every line is read exactly once wherever
//! the cuts fall. A [`BlockReader`] hands out [`Chunk`]s of
//! about a megabyte: whoever wants a few lines reads a few, and a file of any
//! size passes through little memory.

use crate::compression::Compression;
use crate::location::Location;
use crate::options::StorageOptions;
use crate::remote::error_within;
use oxidask_core::{Error, Result};
use serde::{Deserialize, Serialize};
use std::io::Read;
use std::sync::Arc;

/// How files are cut and decompressed.
#[derive(Clone, Debug)]
pub struct BlockOptions {
    /// Bytes of a block; none makes one block of each file.
    pub block_bytes: Option<u64>,
    /// The compression of all files; none infers it from each name.
    pub compression: Option<Compression>,
    /// What ends a line; empty if blocks are cut anywhere.
    pub delimiter: Vec<u8>,
    /// Bytes of the smallest unit of text, 2 for UTF-16: delimiters begin at
    /// multiples of it.
    pub unit: u8,
}

impl Default for BlockOptions {
    fn default() -> Self {
        BlockOptions { block_bytes: None, compression: None, delimiter: b"\n".to_vec(), unit: 1 }
    }
}

/// The lines behind the first delimiter within a range of bytes of a file; a range
/// at the beginning has its first line too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// The file.
    pub path: Arc<str>,
    /// How to get at it.
    pub options: Arc<StorageOptions>,
    /// Where the range begins.
    pub start: u64,
    /// Where it ends; none is the end of the file.
    pub end: Option<u64>,
    /// How the file is compressed.
    pub compression: Compression,
}

/// Cuts files into blocks; answers the blocks of each file. Only sizes are
/// looked up.
///
/// # Errors
/// If a compressed file would have to be cut, or a size cannot be told.
///
/// ```
/// use oxidask_io::{BlockOptions, StorageOptions, plan};
///
/// let path = std::env::temp_dir().join(format!("oxidask-plan-{}", std::process::id()));
/// std::fs::write(&path, "one\ntwo\n").unwrap();
/// let options = BlockOptions { block_bytes: Some(4), ..BlockOptions::default() };
/// let files = [path.to_string_lossy().into_owned()];
/// let blocks = plan(&files, &options, &StorageOptions::default())?;
/// assert_eq!(blocks[0].len(), 2);
/// # std::fs::remove_file(&path).unwrap();
/// # Ok::<(), oxidask_core::Error>(())
/// ```
pub fn plan(files: &[String], options: &BlockOptions, storage: &StorageOptions) -> Result<Vec<Vec<Block>>> {
    if options.block_bytes == Some(0) {
        return Err(Error::value("blocksize must be at least one byte"));
    }
    let storage = Arc::new(storage.clone());
    files.iter().map(|file| file_blocks(file, options, &storage)).collect()
}

/// The blocks of one file; see [`plan`].
///
/// # Errors
/// As for [`plan`].
pub fn file_blocks(file: &str, options: &BlockOptions, storage: &Arc<StorageOptions>) -> Result<Vec<Block>> {
    let compression = options.compression.map_or_else(|| Compression::inferred(file), Ok)?;
    let path: Arc<str> = Arc::from(file);
    let cut_at = options.block_bytes.filter(|_| !overlaps_itself(&options.delimiter));
    let Some(block_bytes) = cut_at else {
        return Ok(vec![Block { path, options: storage.clone(), start: 0, end: None, compression }]);
    };
    if !compression.is_none() {
        return Err(Error::value(format!("the compressed file '{file}' cannot be read in blocks"))
            .with_hint("set blocksize=None to read each file as one partition"));
    }
    let bytes = Location::parse(file, storage)?.size(storage)?.ok_or_else(|| {
        Error::value(format!("the length of '{file}' is not known, so that it cannot be read in blocks"))
            .with_hint("set blocksize=None")
    })?;
    let block_bytes = block_bytes.next_multiple_of(u64::from(options.unit.max(1)));
    let n_blocks = bytes.div_ceil(block_bytes).max(1);
    let block = |number: u64| Block {
        path: path.clone(),
        options: storage.clone(),
        start: number * block_bytes,
        // The last block takes what a growing file may have gained.
        end: (number + 1 < n_blocks).then_some((number + 1) * block_bytes),
        compression,
    };
    Ok((0..n_blocks).map(block).collect())
}

/// Whole lines of a block.
pub struct Chunk {
    /// The lines, each with the delimiter that ends it; the last line of a file
    /// may have none.
    pub bytes: Vec<u8>,
    /// Where in the (decompressed) file they begin.
    pub offset: u64,
}

/// How many bytes a chunk has, about.
const CHUNK_BYTES: usize = 1 << 20;
/// The first chunk is small, for whoever wants a few lines only.
const FIRST_BYTES: usize = 1 << 16;

/// The lines of a block, chunk by chunk.
pub struct BlockReader {
    reader: Box<dyn Read + Send>,
    path: Arc<str>,
    delimiter: Vec<u8>,
    unit: u64,
    /// What was read and not handed out.
    pending: Vec<u8>,
    /// Memory for what is read next.
    spare: Vec<u8>,
    /// Where `pending` begins in the file.
    offset: u64,
    /// Behind the first delimiter from here on the block ends.
    end: u64,
    /// Whether the text cannot be cut into chunks.
    overlaps_itself: bool,
    /// Whether the beginning of `pending` may be the rest of a line of the block
    /// before.
    is_aligned: bool,
    is_exhausted: bool,
    is_done: bool,
    goal: usize,
}

impl Block {
    /// A reader of the lines that begin in this block; an empty `delimiter`
    /// reads exactly the bytes of the block.
    ///
    /// # Errors
    /// If the file cannot be opened; the message names it.
    pub fn reader(&self, delimiter: &[u8], unit: u8) -> Result<BlockReader> {
        let location = Location::parse(&self.path, &self.options)?;
        // Where the last line ends is found by looking for a delimiter.
        let end = if delimiter.is_empty() { self.end } else { None };
        let raw = location.reader(self.start, end, &self.options)?;
        let reader = self.compression.reader(raw).map_err(|cause| failed(&self.path, &cause))?;
        Ok(BlockReader {
            reader,
            path: self.path.clone(),
            delimiter: delimiter.to_vec(),
            unit: u64::from(unit.max(1)),
            pending: Vec::new(),
            spare: Vec::new(),
            offset: self.start,
            end: self.end.unwrap_or(u64::MAX),
            is_aligned: self.start == 0 || delimiter.is_empty(),
            overlaps_itself: overlaps_itself(delimiter),
            is_exhausted: false,
            is_done: false,
            goal: FIRST_BYTES,
        })
    }

    /// All lines of the block at once.
    ///
    /// # Errors
    /// If the file cannot be read or decompressed; the message names it.
    pub fn read(&self, delimiter: &[u8], unit: u8) -> Result<Chunk> {
        let mut reader = self.reader(delimiter, unit)?;
        let mut whole = Chunk { bytes: Vec::new(), offset: self.start };
        while let Some(chunk) = reader.next_chunk()? {
            if whole.bytes.is_empty() {
                whole = chunk;
            } else {
                whole.bytes.extend_from_slice(&chunk.bytes);
            }
        }
        Ok(whole)
    }
}

/// Whether a delimiter is like `--`: which of its places in `---` count depends on
/// all of the text before, so that the text cannot be cut.
fn overlaps_itself(delimiter: &[u8]) -> bool {
    (1..delimiter.len()).any(|shift| delimiter.starts_with(&delimiter[shift..]))
}

fn failed(path: &str, cause: &std::io::Error) -> Error {
    error_within(cause).unwrap_or_else(|| Error::io(format!("reading '{path}'"), cause))
}

impl BlockReader {
    /// The next lines, or none at the end.
    ///
    /// # Errors
    /// If the file cannot be read or decompressed; the message names it and how
    /// far reading came.
    pub fn next_chunk(&mut self) -> Result<Option<Chunk>> {
        if self.is_done || !self.align()? {
            self.is_done = true;
            return Ok(None);
        }
        let mut searched = 0;
        loop {
            self.fill(self.goal.max(searched + 1))?;
            if self.pending.is_empty() {
                self.is_done = true;
                return Ok(None);
            }
            if let Some(cut) = self.cut(searched) {
                return Ok(Some(self.hand_out(cut)));
            }
            if self.is_exhausted {
                self.is_done = true;
                let cut = self.pending.len();
                return Ok(Some(self.hand_out(cut)));
            }
            searched = self.pending.len();
            self.goal = self.goal.max(2 * searched);
        }
    }

    /// Takes back the memory of a chunk, which saves the system from clearing new
    /// memory for the next one.
    pub fn recycle(&mut self, mut bytes: Vec<u8>) {
        bytes.clear();
        self.spare = bytes;
    }

    /// Drops the rest of a line that began in the block before; answers whether
    /// a line begins in this block.
    fn align(&mut self) -> Result<bool> {
        while !self.is_aligned {
            self.fill(self.goal)?;
            match self.find(0) {
                Some(at) if self.offset + at as u64 >= self.end => return Ok(false),
                Some(at) => {
                    self.drop_front(at + self.delimiter.len());
                    self.is_aligned = true;
                }
                None if self.is_exhausted => return Ok(false),
                // A delimiter may begin in the last bytes.
                None => self.drop_front((self.pending.len() + 1).saturating_sub(self.delimiter.len())),
            }
        }
        Ok(true)
    }

    /// Where to cut what is pending: after the last line that is complete, or
    /// after the first whose delimiter is at or behind the block's end.
    fn cut(&mut self, searched: usize) -> Option<usize> {
        let width = self.delimiter.len();
        let inner_end = usize::try_from(self.end.saturating_sub(self.offset)).unwrap_or(usize::MAX);
        if width == 0 {
            self.is_done = inner_end <= self.pending.len();
            return Some(self.pending.len().min(inner_end)).filter(|cut| *cut > 0);
        }
        if inner_end <= self.pending.len() {
            let at = self.find(inner_end.max((searched + 1).saturating_sub(width)))?;
            self.is_done = true;
            return Some(at + width);
        }
        if self.overlaps_itself || (self.pending.len() < self.goal && !self.is_exhausted) {
            return None;
        }
        self.find_last().map(|at| at + width)
    }

    fn find(&self, from: usize) -> Option<usize> {
        let mut at = from;
        loop {
            at = find(&self.pending, &self.delimiter, at)?;
            if (self.offset + at as u64).is_multiple_of(self.unit) {
                return Some(at);
            }
            at += 1;
        }
    }

    fn find_last(&self) -> Option<usize> {
        let mut bytes = &self.pending[..];
        loop {
            let at = match &self.delimiter[..] {
                [byte] => bytes.iter().rposition(|b| b == byte)?,
                delimiter => bytes.windows(delimiter.len()).rposition(|window| window == delimiter)?,
            };
            if (self.offset + at as u64).is_multiple_of(self.unit) {
                return Some(at);
            }
            bytes = &bytes[..at + self.delimiter.len() - 1];
        }
    }

    /// Reads until `n` bytes are pending or the file ends.
    fn fill(&mut self, n: usize) -> Result<()> {
        let missing = n.saturating_sub(self.pending.len());
        if missing == 0 || self.is_exhausted {
            return Ok(());
        }
        self.pending.reserve(missing);
        let read = self.reader.by_ref().take(missing as u64).read_to_end(&mut self.pending);
        let read = read.map_err(|cause| {
            let at = self.offset + self.pending.len() as u64;
            failed(&self.path, &cause).within(format!("'{}' near offset {at}", self.path))
        })?;
        self.is_exhausted = read < missing;
        Ok(())
    }

    fn drop_front(&mut self, n: usize) {
        self.pending.drain(..n);
        self.offset += n as u64;
    }

    fn hand_out(&mut self, cut: usize) -> Chunk {
        let mut rest = std::mem::take(&mut self.spare);
        rest.extend_from_slice(&self.pending[cut..]);
        let mut bytes = std::mem::replace(&mut self.pending, rest);
        bytes.truncate(cut);
        let offset = self.offset;
        self.offset += cut as u64;
        self.goal = CHUNK_BYTES;
        Chunk { bytes, offset }
    }
}

/// Where `delimiter` first occurs at or after `from`.
///
/// ```
/// assert_eq!(oxidask_io::find(b"a--b--", b"--", 2), Some(4));
/// ```
#[must_use]
pub fn find(bytes: &[u8], delimiter: &[u8], from: usize) -> Option<usize> {
    let (&first, rest) = delimiter.split_first()?;
    let mut at = from;
    loop {
        at += memchr::memchr(first, bytes.get(at..)?)?;
        if bytes[at + 1..].starts_with(rest) {
            return Some(at);
        }
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocks_of(content: &[u8], options: &BlockOptions) -> Vec<Vec<u8>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file").to_string_lossy().into_owned();
        std::fs::write(&path, content).unwrap();
        let blocks = plan(&[path], options, &StorageOptions::default()).unwrap().remove(0);
        blocks.iter().map(|block| block.read(&options.delimiter, options.unit).unwrap().bytes).collect()
    }

    #[test]
    fn every_line_is_in_one_block_wherever_cuts_fall() {
        let contents: [&[u8]; 8] = [
            b"",
            b"\n",
            b"one",
            b"one\n",
            b"one\ntwo\n",
            b"\n\n\nx\n\n",
            b"aaaaaaaaaaaaaaaaa\nb\n",
            b"a\nbb\nccc\ndddd\neeeee",
        ];
        for content in contents {
            for block_bytes in 1..=content.len() as u64 + 1 {
                let options = BlockOptions { block_bytes: Some(block_bytes), ..BlockOptions::default() };
                let blocks = blocks_of(content, &options);
                assert_eq!(blocks.concat(), content, "{block_bytes}");
                let whole = |block: &[u8]| block.is_empty() || block.ends_with(b"\n") || content.ends_with(block);
                assert!(blocks.iter().all(|block| whole(block)), "{block_bytes}: {blocks:?}");
            }
        }
    }

    #[test]
    fn long_delimiters_and_delimiters_across_cuts() {
        let content = b"one--two---three--four-+-five-+-";
        for delimiter in [&b"--"[..], b"-+", b"three-"] {
            for block_bytes in 1..=content.len() as u64 {
                let delimiter = delimiter.to_vec();
                let options = BlockOptions { block_bytes: Some(block_bytes), delimiter, ..BlockOptions::default() };
                assert_eq!(blocks_of(content, &options).concat(), content, "{options:?}");
            }
        }
    }

    #[test]
    fn units_of_two_bytes_are_not_cut_apart() {
        // U+0A0A has the bytes of a newline's half twice.
        let content: Vec<u8> = "x\u{a0a}y\nz\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
        for block_bytes in 1..=content.len() as u64 {
            let options = BlockOptions {
                block_bytes: Some(block_bytes),
                delimiter: b"\n\0".to_vec(),
                unit: 2,
                ..BlockOptions::default()
            };
            let blocks = blocks_of(&content, &options);
            assert_eq!(blocks.concat(), content);
            assert!(blocks.iter().all(|block| block.is_empty() || block.ends_with(b"\n\0")), "{block_bytes}");
        }
    }

    #[test]
    fn large_files_come_in_chunks_of_whole_lines() {
        let line = |n: usize| format!("{n:0width$}\n", width = 5 + n % 90).into_bytes();
        let content: Vec<u8> = (0..60_000).flat_map(line).collect();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file.gz").to_string_lossy().into_owned();
        std::fs::write(&path, Compression::Gzip.compress(&content).unwrap()).unwrap();
        let blocks = plan(&[path], &BlockOptions::default(), &StorageOptions::default()).unwrap();
        let mut reader = blocks[0][0].reader(b"\n", 1).unwrap();
        let mut seen = Vec::new();
        let mut n_chunks = 0;
        while let Some(chunk) = reader.next_chunk().unwrap() {
            assert_eq!(chunk.offset, seen.len() as u64);
            assert!(chunk.bytes.ends_with(b"\n"));
            seen.extend(chunk.bytes);
            n_chunks += 1;
        }
        assert_eq!(seen, content);
        assert!(n_chunks > 2, "{n_chunks}");
    }

    #[test]
    fn lines_longer_than_a_chunk_are_whole() {
        let content = [vec![b'x'; 3 * CHUNK_BYTES], b"\nshort\n".to_vec()].concat();
        assert_eq!(blocks_of(&content, &BlockOptions::default()).concat(), content);
        let options = BlockOptions { block_bytes: Some(CHUNK_BYTES as u64), ..BlockOptions::default() };
        let blocks = blocks_of(&content, &options);
        assert_eq!(blocks.concat(), content);
        assert_eq!(blocks.iter().filter(|block| !block.is_empty()).count(), 2);
    }

    #[test]
    fn a_broken_gzip_names_the_file_and_the_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bad.gz").to_string_lossy().into_owned();
        let content: Vec<u8> =
            (0..400_000u32).flat_map(|n| format!("{}\n", n.wrapping_mul(2_654_435_761)).into_bytes()).collect();
        let mut packed = Compression::Gzip.compress(&content).unwrap();
        packed.truncate(packed.len() / 2);
        std::fs::write(&path, packed).unwrap();
        let block =
            &plan(std::slice::from_ref(&path), &BlockOptions::default(), &StorageOptions::default()).unwrap()[0][0];
        let error = block.read(b"\n", 1).err().unwrap().to_string();
        assert!(error.contains(&path) && error.contains("near offset"), "{error}");
    }
}

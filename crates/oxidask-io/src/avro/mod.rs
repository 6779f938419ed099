//! Avro's object container files: header, blocks, codecs, schemas and the
//! primitive encodings. Values are made by whoever reads them.
//!
//! A file is cut at its sync markers, as a text is at its newlines, so that
//! partitions of one file are read apart.

mod input;
mod schema;

use crate::block::Block;
use crate::location::Location;
use input::corrupt;
use oxidask_core::{Error, Result};
use std::io::{Read, Write};

pub use input::{Input, put_long, put_sized};
pub use schema::{Field, Logical, Schema, Type};

/// The marker between blocks.
pub type Sync = [u8; 16];

const MAGIC: &[u8; 4] = b"Obj\x01";

/// What stands at the beginning of a file.
#[derive(Clone, Debug)]
pub struct Header {
    /// The schema, as JSON.
    pub schema: String,
    /// The name of the codec of all blocks.
    pub codec: String,
    /// The marker between blocks.
    pub sync: Sync,
    /// Where the first block begins.
    pub end: u64,
}

impl Header {
    /// The header at the beginning of a file.
    ///
    /// # Errors
    /// If the file is no Avro file; the message names it.
    pub fn read(file: &Block) -> Result<Self> {
        let location = Location::parse(&file.path, &file.options)?;
        let mut n = 1 << 16;
        loop {
            let bytes = location.read(0, Some(n), &file.options)?;
            match Header::parse(&bytes) {
                Ok(header) => return Ok(header),
                // A long schema needs more of the file.
                Err(_) if bytes.len() as u64 == n && n < HEADER_BYTES_MAX => n *= 4,
                Err(error) => return Err(error.within(format!("'{}', at offset 0", file.path))),
            }
        }
    }

    fn parse(bytes: &[u8]) -> Result<Self> {
        let mut input = Input::new(bytes);
        if input.take(4)? != MAGIC {
            return Err(corrupt("the file does not begin as Avro files do"));
        }
        let (mut schema, mut codec) = (None, "null".to_owned());
        loop {
            let count = input.count()?;
            if count == 0 {
                break;
            }
            for _ in 0..count {
                let (name, value) = (input.text()?, input.sized()?);
                let text = || String::from_utf8(value.to_vec()).map_err(|_| corrupt("the header is not UTF-8"));
                match name {
                    "avro.schema" => schema = Some(text()?),
                    "avro.codec" => codec = text()?,
                    _ => {}
                }
            }
        }
        let sync = input.array()?;
        let schema = schema.ok_or_else(|| corrupt("there is no schema"))?;
        Ok(Header { schema, codec, sync, end: input.position() as u64 })
    }

    /// The header as bytes, with further entries.
    #[must_use]
    pub fn to_bytes(&self, metadata: &[(String, Vec<u8>)]) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        put_long(&mut out, 2 + metadata.len() as i64);
        let own = [("avro.schema", self.schema.as_bytes()), ("avro.codec", self.codec.as_bytes())];
        let others = metadata.iter().map(|(name, value)| (name.as_str(), &value[..]));
        for (name, value) in own.into_iter().chain(others) {
            put_sized(&mut out, name.as_bytes());
            put_sized(&mut out, value);
        }
        put_long(&mut out, 0);
        out.extend_from_slice(&self.sync);
        out
    }

    /// Calls `see` with the number of records and the bytes of each of the blocks
    /// that begin in `part`.
    ///
    /// # Errors
    /// If a block is damaged; the message names the file and the offset.
    pub fn each_block(&self, part: &Block, mut see: impl FnMut(usize, &[u8]) -> Result<()>) -> Result<()> {
        let chunk = part.read(&self.sync, 1)?;
        let skip = usize::try_from(self.end.saturating_sub(chunk.offset)).unwrap_or(0).min(chunk.bytes.len());
        let mut input = Input::new(&chunk.bytes[skip..]);
        while !input.is_empty() {
            let offset = chunk.offset + (skip + input.position()) as u64;
            let mut block = || -> Result<()> {
                let count = input.length()?;
                let packed = input.sized()?;
                if input.array::<16>()? != self.sync {
                    return Err(corrupt("a block does not end with the file's marker"));
                }
                see(count, &decompress(&self.codec, packed)?)
            };
            block().map_err(|error| error.within(format!("'{}', block at offset {offset}", part.path)))?;
        }
        Ok(())
    }

    /// Appends a block of encoded records.
    ///
    /// # Errors
    /// If there is no such codec.
    pub fn put_block(&self, out: &mut Vec<u8>, count: usize, records: &[u8]) -> Result<()> {
        put_long(out, count as i64);
        put_sized(out, &compress(&self.codec, records)?);
        out.extend_from_slice(&self.sync);
        Ok(())
    }
}

const HEADER_BYTES_MAX: u64 = 1 << 28;

fn unknown_codec(codec: &str) -> Error {
    Error::value(format!("there is no Avro codec '{codec}'"))
        .with_hint("use 'null', 'deflate', 'snappy', 'zstandard', 'bzip2' or 'xz'")
}

fn decompress(codec: &str, packed: &[u8]) -> Result<Vec<u8>> {
    let damaged = |cause: &dyn std::fmt::Display| corrupt(&format!("{codec}: {cause}"));
    let read = |mut reader: Box<dyn Read + '_>| {
        let mut out = Vec::new();
        reader.read_to_end(&mut out).map_err(|cause| damaged(&cause)).map(|_| out)
    };
    match codec {
        "null" => Ok(packed.to_vec()),
        "deflate" => read(Box::new(flate2::bufread::DeflateDecoder::new(packed))),
        "bzip2" => read(Box::new(bzip2::bufread::BzDecoder::new(packed))),
        "xz" => read(Box::new(liblzma::bufread::XzDecoder::new(packed))),
        "zstandard" | "zstd" => zstd::stream::decode_all(packed).map_err(|cause| damaged(&cause)),
        "snappy" => {
            let (packed, sum) = packed.split_last_chunk::<4>().ok_or_else(|| corrupt("a block has no checksum"))?;
            let out = snap::raw::Decoder::new().decompress_vec(packed).map_err(|cause| damaged(&cause))?;
            if crc(&out).to_be_bytes() != *sum {
                return Err(corrupt("the checksum of a block is wrong"));
            }
            Ok(out)
        }
        other => Err(unknown_codec(other)),
    }
}

fn compress(codec: &str, bytes: &[u8]) -> Result<Vec<u8>> {
    let failed = |cause: std::io::Error| Error::io(format!("compressing with {codec}"), &cause);
    match codec {
        "null" => Ok(bytes.to_vec()),
        "deflate" => {
            let mut writer = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
            writer.write_all(bytes).and_then(|()| writer.finish()).map_err(failed)
        }
        "bzip2" => crate::Compression::Bz2.compress(bytes).map_err(failed),
        "xz" => crate::Compression::Xz.compress(bytes).map_err(failed),
        "zstandard" | "zstd" => crate::Compression::Zstd.compress(bytes).map_err(failed),
        "snappy" => {
            let packed = snap::raw::Encoder::new().compress_vec(bytes);
            let mut out = packed.map_err(|cause| failed(std::io::Error::other(cause)))?;
            out.extend_from_slice(&crc(bytes).to_be_bytes());
            Ok(out)
        }
        other => Err(unknown_codec(other)),
    }
}

fn crc(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BlockOptions, StorageOptions, plan};

    fn header(codec: &str) -> Header {
        Header { schema: "\"long\"".to_owned(), codec: codec.to_owned(), sync: *b"0123456789abcdef", end: 0 }
    }

    /// A file of blocks of some numbers each, as Avro longs.
    fn file_of(codec: &str, folder: &tempfile::TempDir) -> String {
        let mut bytes = header(codec).to_bytes(&[("more".to_owned(), b"x".to_vec())]);
        for block in 0..50 {
            let mut records = Vec::new();
            (0..20).for_each(|n| put_long(&mut records, block * 20 + n));
            header(codec).put_block(&mut bytes, 20, &records).unwrap();
        }
        let path = folder.path().join(codec).to_string_lossy().into_owned();
        std::fs::write(&path, bytes).unwrap();
        path
    }

    fn numbers_of(path: &str, block_bytes: Option<u64>) -> Result<Vec<i64>> {
        let whole = &plan(&[path.to_owned()], &BlockOptions::default(), &StorageOptions::default())?[0][0];
        let header = Header::read(whole)?;
        let options = BlockOptions { block_bytes, delimiter: header.sync.to_vec(), ..BlockOptions::default() };
        let mut numbers = Vec::new();
        for part in &plan(&[path.to_owned()], &options, &StorageOptions::default())?[0] {
            header.each_block(part, |count, bytes| {
                let mut input = Input::new(bytes);
                for _ in 0..count {
                    numbers.push(input.long()?);
                }
                Ok(())
            })?;
        }
        Ok(numbers)
    }

    #[test]
    fn every_codec_and_cut_gives_all_records() {
        let folder = tempfile::tempdir().unwrap();
        for codec in ["null", "deflate", "snappy", "zstandard", "bzip2", "xz"] {
            let path = file_of(codec, &folder);
            for block_bytes in [None, Some(1), Some(100), Some(333), Some(100_000)] {
                assert_eq!(numbers_of(&path, block_bytes).unwrap(), (0..1000).collect::<Vec<i64>>(), "{codec}");
            }
        }
        assert!(header("lzw").put_block(&mut Vec::new(), 0, b"").unwrap_err().to_string().contains("lzw"));
    }

    #[test]
    fn damage_is_named_with_file_and_offset() {
        let folder = tempfile::tempdir().unwrap();
        for codec in ["deflate", "snappy"] {
            let path = file_of(codec, &folder);
            let mut bytes = std::fs::read(&path).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle..middle + 10].fill(0xff);
            std::fs::write(&path, bytes).unwrap();
            let error = numbers_of(&path, None).unwrap_err().to_string();
            assert!(error.contains(&path) && error.contains("block at offset"), "{error}");
        }
        let path = folder.path().join("text").to_string_lossy().into_owned();
        std::fs::write(&path, "no avro at all").unwrap();
        let error = numbers_of(&path, None).unwrap_err().to_string();
        assert!(error.contains(&path) && error.contains("does not begin"), "{error}");
    }
}

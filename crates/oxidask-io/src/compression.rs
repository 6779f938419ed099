//! Compressions of whole files: their names, endings, readers and writers.
//!
//! One table names everything; adding a compression is a row and two arms.

use oxidask_core::{Error, Result};
use serde::{Deserialize, Serialize};
use std::io::{self, BufReader, Read, Write};

/// How a file is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Compression {
    /// It is not.
    None,
    /// One or several gzip members.
    Gzip,
    /// One or several bzip2 streams.
    Bz2,
    /// One or several xz streams, or a legacy `.lzma` file.
    Xz,
    /// One or several Zstandard frames.
    Zstd,
    /// One or several LZ4 frames.
    Lz4,
    /// Snappy's framing format.
    Snappy,
    /// The first file of a zip archive; read only.
    Zip,
}

/// Each compression's names, the first of which is shown, and the endings of
/// its files.
const TABLE: &[(Compression, &[&str], &[&str])] = &[
    (Compression::Gzip, &["gzip", "gz"], &["gz", "gzip"]),
    (Compression::Bz2, &["bz2", "bzip2"], &["bz2"]),
    (Compression::Xz, &["xz", "lzma"], &["xz", "lzma"]),
    (Compression::Zstd, &["zstd", "zst"], &["zst", "zstd"]),
    (Compression::Lz4, &["lz4"], &["lz4"]),
    (Compression::Snappy, &["snappy"], &["snappy", "sz"]),
    (Compression::Zip, &["zip"], &["zip"]),
];

impl Compression {
    /// The compression with a name; none is no compression.
    ///
    /// # Errors
    /// If there is none of that name; the message lists all.
    ///
    /// ```
    /// use oxidask_io::Compression;
    ///
    /// assert_eq!(Compression::named(Some("zstd"))?, Compression::Zstd);
    /// assert_eq!(Compression::named(None)?, Compression::None);
    /// assert!(Compression::named(Some("rar")).is_err());
    /// # Ok::<(), oxidask_core::Error>(())
    /// ```
    pub fn named(name: Option<&str>) -> Result<Self> {
        let Some(name) = name else { return Ok(Compression::None) };
        let row = TABLE.iter().find(|(_, names, _)| names.contains(&name));
        row.map(|(compression, ..)| *compression).ok_or_else(|| {
            let known: Vec<&str> = TABLE.iter().map(|(_, names, _)| names[0]).collect();
            Error::value(format!("there is no compression '{name}'"))
                .with_hint(format!("use 'infer', None, or one of {}", known.join(", ")))
        })
    }

    /// The compression that the ending of a file's name tells.
    ///
    /// # Errors
    /// If the ending is of a compression that cannot be read.
    ///
    /// ```
    /// use oxidask_io::Compression;
    ///
    /// assert_eq!(Compression::inferred("a/log.txt.gz")?, Compression::Gzip);
    /// assert_eq!(Compression::inferred("a/log.txt")?, Compression::None);
    /// # Ok::<(), oxidask_core::Error>(())
    /// ```
    pub fn inferred(path: &str) -> Result<Self> {
        let name = path.rsplit('/').next().unwrap_or(path);
        let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending).to_ascii_lowercase();
        if matches!(ending.as_str(), "br" | "rar" | "7z" | "lzo") {
            return Err(Error::value(format!("'{path}' is an archive or a compression that cannot be read"))
                .with_hint("pass compression=None if the file is plain, or unpack it first"));
        }
        let row = TABLE.iter().find(|(.., endings)| endings.contains(&ending.as_str()));
        Ok(row.map_or(Compression::None, |(compression, ..)| *compression))
    }

    /// Whether it leaves bytes as they are.
    #[must_use]
    pub fn is_none(self) -> bool {
        self == Compression::None
    }

    /// A reader of what was compressed. Several streams, one after another, are
    /// read as one.
    ///
    /// # Errors
    /// If the decompressor cannot be set up.
    pub fn reader<'a>(self, bytes: impl Read + Send + 'a) -> io::Result<Box<dyn Read + Send + 'a>> {
        let buffered = |bytes| BufReader::with_capacity(READ_BYTES, bytes);
        Ok(match self {
            Compression::None => Box::new(bytes),
            Compression::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(buffered(bytes))),
            Compression::Bz2 => Box::new(bzip2::bufread::MultiBzDecoder::new(buffered(bytes))),
            Compression::Xz => Box::new(xz_reader(buffered(bytes))?),
            Compression::Zstd => Box::new(zstd::stream::read::Decoder::with_buffer(buffered(bytes))?),
            Compression::Lz4 => Box::new(Lz4Frames(Some(lz4_flex::frame::FrameDecoder::new(buffered(bytes))))),
            Compression::Snappy => Box::new(snap::read::FrameDecoder::new(buffered(bytes))),
            Compression::Zip => zip_reader(buffered(bytes))?,
        })
    }

    /// All of `bytes`, compressed as one stream.
    ///
    /// # Errors
    /// If the compressor fails, which it does only without memory.
    pub fn compress(self, bytes: &[u8]) -> io::Result<Vec<u8>> {
        let into = Vec::with_capacity(bytes.len() / 2);
        match self {
            Compression::None => Ok(bytes.to_vec()),
            Compression::Gzip => {
                let mut writer = flate2::write::GzEncoder::new(into, flate2::Compression::default());
                writer.write_all(bytes)?;
                writer.finish()
            }
            Compression::Bz2 => {
                let mut writer = bzip2::write::BzEncoder::new(into, bzip2::Compression::best());
                writer.write_all(bytes)?;
                writer.finish()
            }
            Compression::Xz => {
                let mut writer = liblzma::write::XzEncoder::new(into, XZ_LEVEL);
                writer.write_all(bytes)?;
                writer.finish()
            }
            Compression::Zstd => zstd::stream::encode_all(bytes, zstd::DEFAULT_COMPRESSION_LEVEL),
            Compression::Lz4 => {
                let mut writer = lz4_flex::frame::FrameEncoder::new(into);
                writer.write_all(bytes)?;
                writer.finish().map_err(io::Error::other)
            }
            Compression::Snappy => {
                let mut writer = snap::write::FrameEncoder::new(into);
                writer.write_all(bytes)?;
                writer.into_inner().map_err(|error| io::Error::other(error.to_string()))
            }
            Compression::Zip => Err(io::Error::new(io::ErrorKind::Unsupported, "zip archives are only read")),
        }
    }
}

/// How many bytes are asked of a file at a time.
const READ_BYTES: usize = 1 << 17;

/// The level that the `xz` tool takes by default.
const XZ_LEVEL: u32 = 6;

/// Reads xz and legacy lzma files, which tell themselves apart, and several xz
/// streams in one file.
fn xz_reader<R: io::BufRead>(bytes: R) -> io::Result<liblzma::bufread::XzDecoder<R>> {
    let concatenated = liblzma::stream::CONCATENATED;
    let stream = liblzma::stream::Stream::new_auto_decoder(u64::MAX, concatenated).map_err(io::Error::other)?;
    Ok(liblzma::bufread::XzDecoder::new_stream(bytes, stream))
}

/// The content of the first file of an archive.
fn zip_reader<'a>(mut bytes: impl io::BufRead + Send + 'a) -> io::Result<Box<dyn Read + Send + 'a>> {
    let invalid = |what: &str| io::Error::new(io::ErrorKind::InvalidData, format!("the zip archive {what}"));
    let mut header = [0; 30];
    bytes.read_exact(&mut header)?;
    if !header.starts_with(b"PK\x03\x04") {
        return Err(invalid("has no file in it, or is none"));
    }
    let short = |at: usize| u16::from_le_bytes([header[at], header[at + 1]]);
    let (flags, method) = (short(6), short(8));
    let packed = u32::from_le_bytes([header[18], header[19], header[20], header[21]]);
    // The name and further fields of the header tell nothing that is needed.
    io::copy(&mut bytes.by_ref().take(u64::from(short(26)) + u64::from(short(28))), &mut io::sink())?;
    match method {
        _ if flags & 1 != 0 => Err(invalid("is encrypted")),
        8 => Ok(Box::new(flate2::bufread::DeflateDecoder::new(bytes))),
        0 if flags & 8 == 0 => Ok(Box::new(bytes.take(u64::from(packed)))),
        _ => Err(invalid("is compressed in a way that cannot be read")),
    }
}

/// LZ4 frames one after another; the decoder stops after each.
struct Lz4Frames<R: io::BufRead>(Option<lz4_flex::frame::FrameDecoder<R>>);

impl<R: io::BufRead> Read for Lz4Frames<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while let Some(frame) = &mut self.0 {
            let n = frame.read(into)?;
            if n > 0 || into.is_empty() {
                return Ok(n);
            }
            let Some(frame) = self.0.take() else { break };
            let mut rest = frame.into_inner();
            if !rest.fill_buf()?.is_empty() {
                self.0 = Some(lz4_flex::frame::FrameDecoder::new(rest));
            }
        }
        Ok(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> impl Iterator<Item = Compression> {
        let written = TABLE.iter().map(|(compression, ..)| *compression).filter(|c| *c != Compression::Zip);
        written.chain([Compression::None])
    }

    fn decompressed(compression: Compression, bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        compression.reader(bytes)?.read_to_end(&mut out)?;
        Ok(out)
    }

    #[test]
    fn each_reads_what_it_wrote() {
        let text: Vec<u8> = (0..200_000u32).flat_map(|n| (n % 251).to_string().into_bytes()).collect();
        for compression in all() {
            for text in [&text[..], b"", b"a\n"] {
                let packed = compression.compress(text).unwrap();
                assert_eq!(decompressed(compression, &packed).unwrap(), text, "{compression:?}");
            }
        }
    }

    #[test]
    fn several_streams_are_one() {
        for compression in all() {
            let mut packed = compression.compress(b"one\n").unwrap();
            packed.extend(compression.compress(b"two\n").unwrap());
            assert_eq!(decompressed(compression, &packed).unwrap(), b"one\ntwo\n", "{compression:?}");
        }
    }

    #[test]
    fn a_cut_or_changed_stream_is_an_error() {
        let text: Vec<u8> = (0..100_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        for compression in all().filter(|compression| !compression.is_none()) {
            let packed = compression.compress(&text).unwrap();
            assert!(decompressed(compression, &packed[..packed.len() / 2]).is_err(), "{compression:?} cut");
            assert!(decompressed(compression, b"this is not compressed").is_err(), "{compression:?} plain");
        }
    }

    #[test]
    fn names_and_endings() {
        for (compression, names, endings) in TABLE {
            for name in *names {
                assert_eq!(Compression::named(Some(name)).unwrap(), *compression);
            }
            for ending in *endings {
                assert_eq!(Compression::inferred(&format!("x/y.{ending}")).unwrap(), *compression);
            }
        }
        assert_eq!(Compression::inferred("dir.gz/plain").unwrap(), Compression::None);
        assert!(Compression::inferred("a.rar").unwrap_err().to_string().contains("a.rar"));
    }
}

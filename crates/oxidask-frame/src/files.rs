//! Files that frames are read from: finding them, and reading ranges of bytes,
//! wherever they lie, however they are compressed and encoded.

use encoding_rs::Encoding;
use oxidask_core::{Error, ErrorKind, Result};
use oxidask_io::{Compression, Location, StorageOptions};
use serde::{Deserialize, Serialize};
use std::io::Read;
use std::sync::Arc;

/// How files are stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Storage {
    /// The name of a compression; `infer` tells it by the file's name, none is
    /// no compression.
    pub compression: Option<String>,
    /// The name of a text encoding; none is UTF-8.
    pub encoding: Option<String>,
    /// Options of the storage, as fsspec spells them.
    pub options: StorageOptions,
}

impl Default for Storage {
    fn default() -> Self {
        Storage { compression: Some("infer".to_owned()), encoding: None, options: StorageOptions::default() }
    }
}

impl Storage {
    fn compression_of(&self, path: &str) -> Result<Compression> {
        match self.compression.as_deref() {
            Some("infer") => Compression::inferred(path),
            name => Compression::named(name),
        }
    }

    /// The encoding, unless it is UTF-8.
    fn encoding(&self) -> Result<Option<&'static Encoding>> {
        let Some(name) = self.encoding.as_deref() else { return Ok(None) };
        // Python's spellings of what the standard of the web knows otherwise.
        let standard = match name.to_lowercase().replace('_', "-").as_str() {
            "utf8" | "utf-8-sig" | "utf-8" | "ascii" => "utf-8".to_owned(),
            "latin1" | "latin-1" | "iso8859-1" | "iso-8859-1" => "windows-1252".to_owned(),
            "utf16" | "utf-16-le" => "utf-16le".to_owned(),
            "utf-16-be" => "utf-16be".to_owned(),
            other => match other.strip_prefix("cp125") {
                Some(page) => format!("windows-125{page}"),
                None => other.to_owned(),
            },
        };
        let encoding = Encoding::for_label(standard.as_bytes())
            .ok_or_else(|| Error::value(format!("there is no text encoding '{name}'")))?;
        Ok(Some(encoding).filter(|encoding| *encoding != encoding_rs::UTF_8))
    }
}

/// A file and what tells whether it is still the same.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct SourceFile {
    pub path: String,
    /// Bytes where it is stored; 0 if that is not told beforehand.
    pub size: u64,
    /// When it last changed, as far as the storage tells, for the key of the
    /// plan.
    modified: Option<u128>,
    compression: Compression,
    storage: Arc<Storage>,
}

impl SourceFile {
    fn of(path: String, storage: &Arc<Storage>) -> Result<SourceFile> {
        let compression = storage.compression_of(&path)?;
        storage.encoding()?;
        let (size, modified) = Location::parse(&path, &storage.options)?.identity(&storage.options)?;
        // What does not tell its size is read as a whole, as if compressed.
        Ok(SourceFile { path, size: size.unwrap_or(0), modified, compression, storage: storage.clone() })
    }

    /// Whether it must be read as a whole: bytes of its content are not bytes of
    /// the file.
    pub(crate) fn is_whole(&self) -> bool {
        let encoded = self.storage.encoding.is_some() && !matches!(self.storage.encoding(), Ok(None));
        !self.compression.is_none() || encoded || self.size == 0
    }

    /// The path, if the file is on this machine and not compressed.
    pub(crate) fn local_path(&self) -> Option<&str> {
        let path = match self.path.split_once("://") {
            None => Some(&*self.path),
            Some(("file" | "local", path)) => Some(path),
            Some(_) => None,
        };
        path.filter(|_| self.compression.is_none())
    }

    /// All bytes as they are stored, decompressed.
    pub(crate) fn content(&self) -> Result<Vec<u8>> {
        let failed = |cause: std::io::Error| Error::io(format!("reading {}", self.path), &cause);
        let options = &self.storage.options;
        let reader = Location::parse(&self.path, options)?.reader(0, None, options)?;
        let mut content = Vec::new();
        self.compression.reader(reader).and_then(|mut reader| reader.read_to_end(&mut content)).map_err(failed)?;
        Ok(content)
    }

    /// Up to `length` bytes from `from` on, and whether they go to the end.
    /// Files that are read as a whole count in bytes of their decoded content.
    pub(crate) fn read(&self, from: u64, length: u64) -> Result<(Vec<u8>, bool)> {
        if self.is_whole() {
            let mut content = self.decoded(self.content()?)?;
            content.drain(..usize::try_from(from).map_or(content.len(), |from| from.min(content.len())));
            return Ok((content, true));
        }
        let length = length.min(self.size.saturating_sub(from));
        let options = &self.storage.options;
        let mut content = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
        let mut reader = Location::parse(&self.path, options)?.reader(from, Some(from + length), options)?;
        let read = reader.read_to_end(&mut content);
        read.map_err(|cause| Error::io(format!("reading {}", self.path), &cause))?;
        if (content.len() as u64) < length {
            return Err(Error::new(ErrorKind::Io, format!("{} became shorter while it was read", self.path)));
        }
        let complete = from + length >= self.size;
        Ok((content, complete))
    }

    /// Text as UTF-8.
    fn decoded(&self, content: Vec<u8>) -> Result<Vec<u8>> {
        let Some(encoding) = self.storage.encoding()? else { return Ok(content) };
        let (text, _, malformed) = encoding.decode(&content);
        if malformed {
            let name = self.storage.encoding.as_deref().unwrap_or_default();
            return Err(Error::value(format!("{}: the file is not encoded as {name}", self.path))
                .with_hint("pass the encoding that it was written with"));
        }
        Ok(text.into_owned().into_bytes())
    }
}

/// The files that paths and patterns name, in the order of the list, those of a
/// pattern by name.
pub(crate) fn expand(patterns: &[String], storage: Storage) -> Result<Vec<SourceFile>> {
    for pattern in patterns {
        let is_folder = !pattern.contains("://") && std::fs::metadata(pattern).is_ok_and(|found| found.is_dir());
        if is_folder {
            return Err(Error::value(format!("{pattern} is a folder"))
                .with_hint(format!("name the files in it, such as {pattern}/*.csv")));
        }
    }
    let paths = oxidask_io::expand(patterns, &storage.options)?;
    if paths.is_empty() {
        return Err(Error::value("the list of files to read is empty"));
    }
    let storage = Arc::new(storage);
    paths.into_iter().map(|path| SourceFile::of(path, &storage)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(name: &str, bytes: &[u8]) -> (tempfile::TempDir, String) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let path = path.to_str().unwrap().to_owned();
        (folder, path)
    }

    #[test]
    fn text_is_decoded_and_decompressed() {
        let (_folder, path) = written("a.txt", b"caf\xe9");
        let storage = Storage { encoding: Some("latin-1".to_owned()), ..Storage::default() };
        let file = &expand(std::slice::from_ref(&path), storage).unwrap()[0];
        assert!(file.is_whole());
        assert_eq!(file.read(0, 100).unwrap().0, "café".as_bytes());
        let unknown = Storage { encoding: Some("martian".to_owned()), ..Storage::default() };
        assert!(expand(&[path], unknown).err().unwrap().to_string().contains("martian"));

        for (name, compression) in
            [("a.bz2", Compression::Bz2), ("a.xz", Compression::Xz), ("a.zst", Compression::Zstd)]
        {
            let (_folder, path) = written(name, &compression.compress(b"x,y\n1,2\n").unwrap());
            let file = &expand(&[path], Storage::default()).unwrap()[0];
            assert_eq!(file.read(2, 100).unwrap(), (b"y\n1,2\n".to_vec(), true));
        }
    }
}

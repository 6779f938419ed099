//! Files that frames are read from: finding them, and reading ranges of bytes.

use flate2::read::MultiGzDecoder;
use oxidask_core::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

/// A file and what tells whether it is still the same.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct SourceFile {
    pub path: String,
    /// Bytes on disk.
    pub size: u64,
    /// Nanoseconds since 1970 of the last change, for the key of the plan.
    modified: u64,
}

impl SourceFile {
    fn of(path: String) -> Result<SourceFile> {
        let metadata = std::fs::metadata(&path).map_err(|cause| Error::io(format!("reading {path}"), &cause))?;
        if metadata.is_dir() {
            return Err(Error::value(format!("{path} is a folder"))
                .with_hint(format!("name the files in it, such as {path}/*.csv")));
        }
        let modified = metadata.modified().ok().and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
        let modified = modified.map_or(0, |since| since.as_nanos() as u64);
        Ok(SourceFile { path, size: metadata.len(), modified })
    }

    /// Whether it must be read as a whole.
    pub(crate) fn is_compressed(&self) -> bool {
        self.path.ends_with(".gz")
    }

    /// Up to `length` bytes from `from` on, and whether they go to the end.
    /// Compressed files count in bytes of their content.
    pub(crate) fn read(&self, from: u64, length: u64) -> Result<(Vec<u8>, bool)> {
        let failed = |cause: std::io::Error| Error::io(format!("reading {}", self.path), &cause);
        let mut file = File::open(&self.path).map_err(failed)?;
        let mut content = Vec::new();
        if self.is_compressed() {
            // The size of the content is not known before; blocks are whole files.
            MultiGzDecoder::new(file).read_to_end(&mut content).map_err(failed)?;
            content.drain(..usize::try_from(from).map_or(content.len(), |from| from.min(content.len())));
            return Ok((content, true));
        }
        file.seek(SeekFrom::Start(from)).map_err(failed)?;
        let length = length.min(self.size.saturating_sub(from));
        content.reserve_exact(usize::try_from(length).unwrap_or(0));
        file.take(length).read_to_end(&mut content).map_err(failed)?;
        if (content.len() as u64) < length {
            return Err(Error::new(ErrorKind::Io, format!("{} became shorter while it was read", self.path)));
        }
        let complete = from + length >= self.size;
        Ok((content, complete))
    }
}

/// The files that paths and patterns name, in the order of the list, those of a
/// pattern by name.
pub(crate) fn expand(patterns: &[String]) -> Result<Vec<SourceFile>> {
    let mut files = Vec::new();
    for pattern in patterns {
        let pattern = pattern.strip_prefix("file://").unwrap_or(pattern);
        if !pattern.contains(['*', '?', '[']) || std::fs::metadata(pattern).is_ok() {
            files.push(SourceFile::of(pattern.to_owned())?);
            continue;
        }
        let paths = glob::glob(pattern).map_err(|cause| Error::value(format!("'{pattern}' is no pattern: {cause}")))?;
        let before = files.len();
        for path in paths {
            let path = path.map_err(|cause| Error::io(format!("reading {pattern}"), cause.error()))?;
            files.push(SourceFile::of(path.to_string_lossy().into_owned())?);
        }
        if files.len() == before {
            return Err(Error::new(ErrorKind::NotFound, format!("no file matches '{pattern}'"))
                .with_hint("a relative path begins at the folder in which the program was started"));
        }
    }
    if files.is_empty() {
        return Err(Error::value("the list of files to read is empty"));
    }
    Ok(files)
}

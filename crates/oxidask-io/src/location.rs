//! Where a file is, and how its bytes are read.

use crate::options::StorageOptions;
use crate::remote::{self, RemoteReader};
use bytes::Bytes;
use object_store::ObjectStore;
use oxidask_core::{Error, Result};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::sync::Arc;

/// A file, wherever it is. [`Location::parse`] makes one of a path.
pub enum Location {
    /// A path of this machine's file systems.
    Local(String),
    /// An address of a web server.
    Http(String),
    /// An object of a store.
    Object(Object),
}

/// An object of an S3-compatible store.
pub struct Object {
    /// The bucket.
    pub bucket: String,
    /// The object's name in it; a glob until it was expanded.
    pub key: String,
    /// The client of the bucket.
    store: Arc<dyn ObjectStore>,
}

impl Location {
    /// The file that a path names: `file://`, `http(s)://` and `s3://`, or a path
    /// without protocol. Nothing is read.
    ///
    /// # Errors
    /// If there is no reader for the protocol, or an option makes no sense there.
    ///
    /// ```
    /// use oxidask_io::{Location, StorageOptions};
    ///
    /// let location = Location::parse("file:///tmp/a", &StorageOptions::default())?;
    /// assert!(matches!(location, Location::Local(path) if path == "/tmp/a"));
    /// # Ok::<(), oxidask_core::Error>(())
    /// ```
    pub fn parse(path: &str, options: &StorageOptions) -> Result<Self> {
        match path.split_once("://") {
            None => local(path, options),
            Some(("file" | "local", path)) => local(path, options),
            Some(("http" | "https", _)) => {
                options.check("HTTP", &["headers."])?;
                Ok(Location::Http(path.to_owned()))
            }
            Some(("s3" | "s3a", rest)) => {
                let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
                if bucket.is_empty() {
                    return Err(
                        Error::value(format!("'{path}' names no bucket")).with_hint("write s3://bucket/folder/file")
                    );
                }
                let store = remote::s3(bucket, options)?;
                Ok(Location::Object(Object { bucket: bucket.to_owned(), key: key.to_owned(), store }))
            }
            Some((protocol, _)) => {
                Err(Error::unsupported(format!("'{path}' cannot be read: there is no reader for '{protocol}://'"))
                    .with_hint("files, http://, https:// and s3:// (with endpoint_url, any S3-compatible store)"))
            }
        }
    }

    /// Its length in bytes, if that is told beforehand.
    ///
    /// # Errors
    /// If the file is not there; the message names it.
    pub fn size(&self, options: &StorageOptions) -> Result<Option<u64>> {
        match self {
            Location::Local(path) => {
                let metadata = std::fs::metadata(path).map_err(|cause| self.failed(&cause))?;
                Ok(Some(metadata.len()))
            }
            Location::Http(url) => remote::http_size(url, options),
            Location::Object(object) => {
                remote::object_size(&object.store, &object.key).map(Some).map_err(|e| e.within(self.name()))
            }
        }
    }

    /// A reader of the bytes in a range, or from its start on.
    ///
    /// # Errors
    /// If the file cannot be opened; the message names it.
    pub fn reader(&self, start: u64, end: Option<u64>, options: &StorageOptions) -> Result<Box<dyn Read + Send>> {
        match self {
            Location::Local(path) => {
                let open = || {
                    let mut file = File::open(path)?;
                    if start > 0 {
                        file.seek(SeekFrom::Start(start))?;
                    }
                    Ok(file)
                };
                let file = open().map_err(|cause| self.failed(&cause))?;
                Ok(match end {
                    None => Box::new(file),
                    Some(end) => Box::new(file.take(end.saturating_sub(start))),
                })
            }
            Location::Http(url) => {
                let (url, options) = (url.clone(), options.clone());
                let whole = self.size(&options)?;
                let fetch = move |range: Option<Range<u64>>| remote::http_get(&url, range, &options);
                Ok(Box::new(RemoteReader::new(Box::new(fetch), start, end, whole)))
            }
            Location::Object(object) => {
                let (store, key, name) = (object.store.clone(), object.key.clone(), self.name());
                let whole = self.size(options)?;
                let fetch = move |range| remote::object_get(&store, &key, range).map_err(|e| e.within(name.clone()));
                Ok(Box::new(RemoteReader::new(Box::new(fetch), start, end, whole)))
            }
        }
    }

    /// All bytes in a range.
    ///
    /// # Errors
    /// If they cannot be read; the message names the file.
    pub fn read(&self, start: u64, end: Option<u64>, options: &StorageOptions) -> Result<Bytes> {
        let mut bytes = Vec::new();
        self.reader(start, end, options)?.read_to_end(&mut bytes).map_err(|cause| self.failed(&cause))?;
        Ok(bytes.into())
    }

    /// Writes a whole file; folders on the way are made.
    ///
    /// # Errors
    /// If it cannot be written, or the storage cannot be written to.
    pub fn write(&self, bytes: Vec<u8>) -> Result<()> {
        match self {
            Location::Local(path) => {
                let write = || {
                    if let Some(folder) = std::path::Path::new(path).parent() {
                        std::fs::create_dir_all(folder)?;
                    }
                    std::fs::write(path, bytes)
                };
                write().map_err(|cause| Error::io(format!("writing '{path}'"), &cause))
            }
            Location::Http(url) => Err(Error::unsupported(format!("'{url}' cannot be written: HTTP is only read"))),
            Location::Object(object) => {
                remote::object_put(&object.store, &object.key, bytes).map_err(|error| error.within(self.name()))
            }
        }
    }

    /// What names this version of the file: it changes when the file does, as
    /// far as the storage tells.
    ///
    /// # Errors
    /// If the file is not there.
    pub fn identity(&self, options: &StorageOptions) -> Result<(Option<u64>, Option<u128>)> {
        match self {
            Location::Local(path) => {
                let metadata = std::fs::metadata(path).map_err(|cause| self.failed(&cause))?;
                let modified = metadata.modified().ok();
                let since = modified.and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
                Ok((Some(metadata.len()), since.map(|since| since.as_nanos())))
            }
            other => Ok((other.size(options)?, None)),
        }
    }

    fn name(&self) -> String {
        match self {
            Location::Local(path) | Location::Http(path) => path.clone(),
            Location::Object(object) => format!("s3://{}/{}", object.bucket, object.key),
        }
    }

    fn failed(&self, cause: &std::io::Error) -> Error {
        remote::error_within(cause).unwrap_or_else(|| Error::io(format!("reading '{}'", self.name()), cause))
    }
}

fn local(path: &str, options: &StorageOptions) -> Result<Location> {
    options.check("the file system of this machine", &["auto_mkdir"])?;
    Ok(Location::Local(path.to_owned()))
}

impl Object {
    /// All names below a folder.
    ///
    /// # Errors
    /// If the store refuses.
    pub fn list(&self, folder: &str) -> Result<Vec<String>> {
        remote::object_list(&self.store, folder).map_err(|error| error.within(format!("s3://{}/{folder}", self.bucket)))
    }
}

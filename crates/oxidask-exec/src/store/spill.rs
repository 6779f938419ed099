//! Spill files: values written to disk and read back, with a checksum.
//!
//! A file holds one value: a fixed head, a description, then its buffers as they
//! are. It is deleted when the last handle is dropped; a folder that a killed
//! process left behind is deleted by the next process that spills beside it.
//!
//! Several folders, on disks of their own as a rule, take turns; one that is full
//! is passed over. All of them together hold no more than the quota.

use crate::encoded::{Encoded, is_encoded};
use bytes::Bytes;
use oxidask_core::registry::decode_value;
use oxidask_core::{Error, ErrorKind, Frames, Parts, Result, Value};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use tempfile::TempDir;

/// First bytes of a spill file.
const MAGIC: &[u8; 8] = b"oxspill1";
/// Head: magic, checksum of the description, length of the description.
const HEAD_BYTES: usize = 8 + 32 + 8;
/// Begins the names of our folders.
const PREFIX: &str = "oxidask-spill-";
/// File in each folder that its owner holds a lock on for as long as it lives.
const LOCK_NAME: &str = "lock";

/// The folders of one node's spill files.
pub(crate) struct SpillFolders {
    folders: Vec<SpillFolder>,
    /// Whose turn it is.
    turn: AtomicUsize,
    /// Bytes of values on disk, and how many there may be.
    used: Arc<AtomicU64>,
    quota: u64,
}

impl SpillFolders {
    /// Makes a folder within each of the parents.
    ///
    /// # Errors
    /// If one of them cannot be made.
    pub fn new(parents: &[PathBuf], quota: u64) -> Result<Self> {
        let folders = parents.iter().map(|parent| SpillFolder::new(parent)).collect::<Result<_>>()?;
        Ok(SpillFolders { folders, turn: AtomicUsize::new(0), used: Arc::default(), quota })
    }

    /// Deletes the folders before their time; writing fails from then on.
    pub fn delete(&self) {
        self.folders.iter().for_each(SpillFolder::delete);
    }

    /// Writes a value into the folder whose turn it is, or else into another one.
    ///
    /// # Errors
    /// If the quota does not allow it, the value cannot be encoded, or no folder
    /// can take it.
    pub fn write(&self, number: u64, value: &Value) -> Result<SpillFile> {
        let reserved = Reserved::new(&self.used, value.nbytes());
        if self.used.load(Ordering::Relaxed) > self.quota {
            let message = format!("spilled results would take more than the {} bytes allowed", self.quota);
            return Err(Error::new(ErrorKind::Memory, message)
                .with_hint("raise the setting 'distributed.worker.memory.max-spill'"));
        }
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let mut last = None;
        for step in 0..self.folders.len() {
            match self.folders[(turn + step) % self.folders.len()].write(number, value) {
                Ok(mut file) => {
                    file._reserved = Some(reserved);
                    return Ok(file);
                }
                Err(error) if matches!(error.kind(), ErrorKind::Io | ErrorKind::NotFound | ErrorKind::Denied) => {
                    last = Some(error);
                }
                Err(error) => return Err(error),
            }
        }
        Err(last.unwrap_or_else(|| Error::value("there is no folder for spilled results")))
    }
}

/// A share of the quota, given back when it is dropped.
struct Reserved {
    used: Arc<AtomicU64>,
    bytes: u64,
}

impl Reserved {
    fn new(used: &Arc<AtomicU64>, bytes: u64) -> Self {
        used.fetch_add(bytes, Ordering::Relaxed);
        Reserved { used: used.clone(), bytes }
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// One folder of spill files, deleted with it.
pub(crate) struct SpillFolder {
    /// Deletes itself.
    dir: TempDir,
    /// Keeps others from taking the folder for a leftover.
    _lock: File,
}

impl SpillFolder {
    /// Makes a folder within `parent`, which is made if need be, and deletes
    /// folders there whose processes are gone.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn new(parent: &Path) -> Result<Self> {
        let doing = || format!("making a folder for spilled results in '{}'", parent.display());
        let hint = "choose another folder with the setting 'temporary-directory'";
        let make = || -> std::io::Result<SpillFolder> {
            std::fs::create_dir_all(parent)?;
            delete_leftovers(parent);
            let dir = tempfile::Builder::new().prefix(PREFIX).tempdir_in(parent)?;
            let lock = File::create_new(dir.path().join(LOCK_NAME))?;
            rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive)?;
            Ok(SpillFolder { dir, _lock: lock })
        };
        make().map_err(|cause| Error::io(doing(), &cause).with_hint(hint))
    }

    /// Deletes the folder before its time; writing fails from then on.
    pub fn delete(&self) {
        // What is left over is deleted by the next process that spills here.
        let _ = std::fs::remove_dir_all(self.dir.path());
    }

    /// Writes a value. `number` names the file and must not repeat.
    ///
    /// # Errors
    /// If the value cannot be encoded, or the file cannot be written (disk full,
    /// say); what was written is deleted.
    pub fn write(&self, number: u64, value: &Value) -> Result<SpillFile> {
        let (is_parts, values) = match value.data().parts() {
            Some(parts) => (true, parts),
            None => (false, std::slice::from_ref(value)),
        };
        let mut items = Vec::with_capacity(values.len());
        let mut buffers = Vec::new();
        for value in values {
            let Frames { header, buffers: own } = value.data().encode()?;
            let mut checksum = blake3::Hasher::new();
            own.iter().for_each(|buffer| {
                checksum.update(buffer);
            });
            items.push(Item {
                kind: value.data().kind().to_owned(),
                header,
                lengths: own.iter().map(|buffer| buffer.len() as u64).collect(),
                checksum: *checksum.finalize().as_bytes(),
            });
            buffers.extend(own);
        }
        let description = postcard::to_allocvec(&Description { is_parts, items })?;
        let mut head = [0; HEAD_BYTES];
        head[..8].copy_from_slice(MAGIC);
        head[8..40].copy_from_slice(blake3::hash(&description).as_bytes());
        head[40..].copy_from_slice(&(description.len() as u64).to_le_bytes());

        let path = self.dir.path().join(number.to_string());
        let file = SpillFile { path, stays_encoded: is_encoded(value), _reserved: None };
        let write = || -> std::io::Result<()> {
            let mut out = File::create_new(&file.path)?;
            out.write_all(&head)?;
            out.write_all(&description)?;
            buffers.iter().try_for_each(|buffer| out.write_all(buffer))
        };
        write().map_err(|cause| Error::io(format!("spilling a result to '{}'", file.path.display()), &cause))?;
        Ok(file)
    }
}

/// Deletes our folders in `parent` whose lock nobody holds. What cannot be
/// deleted is somebody else's and is left alone.
fn delete_leftovers(parent: &Path) {
    let Ok(entries) = std::fs::read_dir(parent) else { return };
    for entry in entries.flatten() {
        if !entry.file_name().to_string_lossy().starts_with(PREFIX) {
            continue;
        }
        // A folder without its lock file is one that is just being made.
        let Ok(lock) = File::open(entry.path().join(LOCK_NAME)) else { continue };
        if rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive).is_ok() {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// What stands before the buffers.
#[derive(serde::Serialize, serde::Deserialize)]
struct Description {
    /// Whether the items are the parts of one value; else there is one item.
    is_parts: bool,
    items: Vec<Item>,
}

/// One encoded value. Its buffers follow those of the items before it.
#[derive(serde::Serialize, serde::Deserialize)]
struct Item {
    kind: String,
    header: Bytes,
    lengths: Vec<u64>,
    /// Of the buffers.
    checksum: [u8; 32],
}

impl Item {
    fn nbytes(&self) -> u64 {
        self.lengths.iter().fold(0, |sum, &length| sum.saturating_add(length))
    }
}

/// One spilled value. Dropping it deletes the file.
pub(crate) struct SpillFile {
    path: PathBuf,
    /// Whether the value was encoded when it was written, and so stays encoded.
    stays_encoded: bool,
    /// Its share of the quota.
    _reserved: Option<Reserved>,
}

impl SpillFile {
    /// Reads the value back, or only one part of it.
    ///
    /// # Errors
    /// If the file cannot be read or is not what was written, or there is no such
    /// part.
    pub fn read(&self, part: Option<u32>) -> Result<Value> {
        let doing = || format!("reading back a spilled result from '{}'", self.path.display());
        let (is_parts, frames) = self.read_items(part).map_err(|cause| Error::io(doing(), &cause))?;
        let decode = if self.stays_encoded { Encoded::value } else { decode_value };
        let mut values = frames.into_iter().map(|(kind, frames)| decode(&kind, frames)).collect::<Result<Vec<_>>>()?;
        if is_parts && part.is_none() {
            return Ok(Value::new(Parts(values)));
        }
        values.pop().ok_or_else(|| Error::index(format!("a spilled result has no part {}", part.unwrap_or_default())))
    }

    /// Kinds and frames of all items, or of the one that is the part.
    fn read_items(&self, part: Option<u32>) -> std::io::Result<(bool, Vec<(String, Frames)>)> {
        let mut file = File::open(&self.path)?;
        let size = file.metadata()?.len();
        let mut head = [0; HEAD_BYTES];
        file.read_exact(&mut head)?;
        let mut length = [0; 8];
        length.copy_from_slice(&head[40..]);
        let length = u64::from_le_bytes(length);
        if &head[..8] != MAGIC || length > size {
            return Err(damaged());
        }
        let text = read_bytes(&mut file, length)?;
        if blake3::hash(&text).as_bytes()[..] != head[8..40] {
            return Err(damaged());
        }
        let description: Description = postcard::from_bytes(&text).map_err(|_| damaged())?;
        let mut frames = Vec::new();
        for (index, item) in description.items.into_iter().enumerate() {
            if part.is_none_or(|part| part as usize == index) {
                frames.push(read_item(&mut file, item, size)?);
            } else {
                let nbytes = i64::try_from(item.nbytes()).map_err(|_| damaged())?;
                file.seek(SeekFrom::Current(nbytes))?;
            }
        }
        Ok((description.is_parts, frames))
    }
}

fn damaged() -> std::io::Error {
    std::io::Error::new(std::io::ErrorKind::InvalidData, "the file is damaged, its checksum is wrong")
}

/// Reads the buffers of an item, at which the file stands.
fn read_item(file: &mut File, item: Item, file_bytes: u64) -> std::io::Result<(String, Frames)> {
    if item.nbytes() > file_bytes {
        return Err(damaged());
    }
    let mut checksum = blake3::Hasher::new();
    let mut buffers = Vec::with_capacity(item.lengths.len());
    for &length in &item.lengths {
        let buffer = read_bytes(file, length)?;
        checksum.update(&buffer);
        buffers.push(Bytes::from(buffer));
    }
    if checksum.finalize().as_bytes() != &item.checksum {
        return Err(damaged());
    }
    Ok((item.kind, Frames { header: item.header, buffers }))
}

/// Exactly `length` bytes of a file, without zeroing the memory first.
fn read_bytes(file: &mut File, length: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(length as usize);
    if file.take(length).read_to_end(&mut bytes)? as u64 != length {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    Ok(bytes)
}

impl Drop for SpillFile {
    fn drop(&mut self) {
        // The folder goes in the end anyway, so a failure is of no consequence.
        let _ = std::fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value() -> Value {
        let frames = Frames { header: Bytes::from_static(b"head"), buffers: vec![Bytes::from(vec![7; 100_000])] };
        let part = Encoded::value("test.kind", frames).unwrap();
        Value::new(Parts(vec![part.clone(), part]))
    }

    fn n_files(folder: &Path) -> usize {
        std::fs::read_dir(folder).unwrap().count()
    }

    #[test]
    fn written_read_and_deleted() {
        let parent = tempfile::tempdir().unwrap();
        let folder = SpillFolder::new(parent.path()).unwrap();
        let value = value();
        let file = folder.write(1, &value).unwrap();
        let back = file.read(None).unwrap();
        assert_eq!(back.data().encode().unwrap(), value.data().encode().unwrap());
        let part = file.read(Some(1)).unwrap();
        assert_eq!(part.data().encode().unwrap(), value.part(Some(1)).unwrap().data().encode().unwrap());
        assert!(file.read(Some(2)).is_err());
        assert_eq!(n_files(folder.dir.path()), 2);
        drop(file);
        assert_eq!(n_files(folder.dir.path()), 1);
        drop(folder);
        assert_eq!(n_files(parent.path()), 0);
    }

    #[test]
    fn folders_take_turns_within_the_quota() {
        let parents = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let paths: Vec<PathBuf> = parents.iter().map(|parent| parent.path().to_owned()).collect();
        let value = value();
        let folders = SpillFolders::new(&paths, 3 * value.nbytes()).unwrap();
        let files: Vec<SpillFile> = (0..3).map(|number| folders.write(number, &value).unwrap()).collect();
        let counts: Vec<usize> = folders.folders.iter().map(|folder| n_files(folder.dir.path()) - 1).collect();
        assert_eq!(counts, [2, 1]);
        let error = folders.write(3, &value).err().unwrap();
        assert!(error.kind() == ErrorKind::Memory && error.to_string().contains("max-spill"), "{error}");
        drop(files);
        assert_eq!(folders.used.load(Ordering::Relaxed), 0);
        // A folder that is gone is passed over.
        folders.folders[1].delete();
        for number in 10..14 {
            folders.write(number, &value).unwrap().read(None).unwrap();
        }
    }

    #[test]
    fn a_damaged_file_is_noticed() {
        let parent = tempfile::tempdir().unwrap();
        let folder = SpillFolder::new(parent.path()).unwrap();
        let file = folder.write(1, &value()).unwrap();
        let mut content = std::fs::read(&file.path).unwrap();
        for position in [3, 20, 45, 60, content.len() - 1] {
            content[position] ^= 1;
            std::fs::write(&file.path, &content).unwrap();
            assert!(file.read(None).is_err(), "byte {position}");
            content[position] ^= 1;
        }
        std::fs::write(&file.path, &content[..content.len() - 1]).unwrap();
        assert!(file.read(None).is_err());
        std::fs::write(&file.path, &content).unwrap();
        assert!(file.read(None).is_ok());
    }

    #[test]
    fn leftovers_of_dead_processes_are_deleted() {
        let parent = tempfile::tempdir().unwrap();
        let alive = SpillFolder::new(parent.path()).unwrap();
        let dead = parent.path().join(format!("{PREFIX}dead"));
        std::fs::create_dir(&dead).unwrap();
        std::fs::write(dead.join(LOCK_NAME), "").unwrap();
        std::fs::write(dead.join("1"), "leftover").unwrap();
        let _another = SpillFolder::new(parent.path()).unwrap();
        assert!(!dead.exists());
        assert!(alive.dir.path().exists());
    }

    #[test]
    fn an_unusable_folder_is_named() {
        let parent = tempfile::tempdir().unwrap();
        let not_a_folder = parent.path().join("file");
        std::fs::write(&not_a_folder, "").unwrap();
        let error = SpillFolder::new(&not_a_folder).err().unwrap();
        assert!(error.message().contains(not_a_folder.to_str().unwrap()), "{error}");
    }
}

//! What the scheduler was told, kept in a file, so that a scheduler that was
//! killed goes on where it was.
//!
//! The scheduler's state follows from what it was told, in which order and at
//! which time: its cores draw no other randomness and read no clock. So the file
//! holds just that, every packet of a member before it is looked at, and reading
//! it again makes the same state, with the same numbers, and the same packets to
//! members. Those then resume their sessions as after a dropped connection: each
//! end sends what the other has not taken, nothing is lost and nothing repeated.
//!
//! While nothing runs, a file that has grown beyond a limit is replaced by a short
//! one that begins with what is left to know (`snapshot`), results that somebody
//! holds among it: a program that works in bursts keeps it bounded. The new file takes the old one's place in one
//! step, so that a kill at any moment leaves one of the two.
//!
//! The file outlives the scheduler's process, not the machine: it is written
//! without waiting for the disk. It must never be read by another version, whose
//! cores may decide otherwise.

use super::snapshot::Snapshot;
use crate::protocol::{Build, WorkerIntro};
use crate::wire::Packet;
use bytes::Bytes;
use oxidask_core::{Error, ErrorKind, Result};
use oxidask_sched::{Loss, Nanos};
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, IoSlice, Read, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// First bytes of the file.
const MAGIC: &[u8; 8] = b"OXIDJRN1";
/// Longest head of an entry that is believed.
const HEAD_MAX: usize = 1 << 30;
/// Bytes of the checksum of an entry.
const CHECKSUM: usize = 8;

/// Something that the scheduler was told.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Record {
    /// A client began a session.
    ClientJoined {
        /// Its number.
        client: u32,
        /// Its session.
        session: u128,
    },
    /// A worker began a session.
    WorkerJoined {
        /// Its number.
        worker: u32,
        /// Its session.
        session: u128,
        /// What it said of itself.
        intro: WorkerIntro,
    },
    /// A client sent a packet, which follows.
    FromClient(u32),
    /// A worker sent a packet, which follows.
    FromWorker(u32),
    /// A client is gone.
    ClientGone(u32),
    /// A worker is gone.
    WorkerGone(u32, WireLoss),
    /// Workers were asked to leave.
    Retire(Vec<String>),
    /// So many packets to this session were acknowledged.
    Taken(u128, u64),
    /// Time passed.
    Tick,
    /// A client has been away for too long to keep its leases.
    Forfeit(u32),
    /// What is left to know of all that was told before; the first entry of a file
    /// that took the place of a longer one.
    Snapshot(Box<Snapshot>),
}

/// See [`Loss`].
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the variants are those of Loss")]
pub enum WireLoss {
    Planned,
    Unreachable,
    OutOfMemory,
    Crashed,
}

impl From<Loss> for WireLoss {
    fn from(loss: Loss) -> Self {
        match loss {
            Loss::Planned => WireLoss::Planned,
            Loss::Unreachable => WireLoss::Unreachable,
            Loss::OutOfMemory => WireLoss::OutOfMemory,
            Loss::Crashed => WireLoss::Crashed,
        }
    }
}

impl From<WireLoss> for Loss {
    fn from(loss: WireLoss) -> Self {
        match loss {
            WireLoss::Planned => Loss::Planned,
            WireLoss::Unreachable => Loss::Unreachable,
            WireLoss::OutOfMemory => Loss::OutOfMemory,
            WireLoss::Crashed => Loss::Crashed,
        }
    }
}

/// A record as it is read back.
#[derive(Clone, Debug)]
pub struct Entry {
    /// When the scheduler was told.
    pub now: Nanos,
    /// What.
    pub record: Record,
    /// The packet that came with it, if one did.
    pub packet: Packet,
}

/// The open file.
#[derive(Debug)]
pub struct Journal {
    file: File,
    path: PathBuf,
    header: Vec<u8>,
    bytes: u64,
    /// Bytes when it was made smaller last.
    least: u64,
    /// When it may be made smaller again.
    retry_at: Nanos,
}

/// Between two attempts to make a journal smaller: so long, or so many times what
/// the last attempt took, so that this is never much of what the scheduler does.
/// What could not be left out then, such as results that a client was about to
/// release, mostly can soon after.
const RETRY_NS: Nanos = 20_000_000;
const RETRY_SHARE: Nanos = 50;

impl Journal {
    /// Opens the journal in a folder, made if it is not there, and gives what it
    /// holds to `replay`, in order. What was half written when the scheduler was
    /// killed is cut off: whoever sent it sends it again.
    ///
    /// # Errors
    /// If the folder cannot be used, another scheduler uses it, or another
    /// version wrote it.
    pub fn open(folder: &Path, build: &Build, mut replay: impl FnMut(Entry) -> Result<()>) -> Result<Self> {
        let path = folder.join("journal");
        let failed = |cause: io::Error| Error::io(format_args!("opening the journal {}", path.display()), &cause);
        std::fs::create_dir_all(folder).map_err(failed)?;
        let file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(&path).map_err(failed)?;
        rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive).map_err(|_| {
            Error::new(ErrorKind::Io, format!("the journal {} is used by another scheduler", path.display()))
                .with_hint("give each scheduler a folder of its own")
        })?;
        // What a scheduler was making when it was killed.
        let _ = std::fs::remove_file(path.with_extension("new"));
        let mut header = MAGIC.to_vec();
        let told = postcard::to_allocvec(build)?;
        header.extend_from_slice(&(told.len() as u32).to_le_bytes());
        header.extend_from_slice(&told);
        let mut reader = BufReader::with_capacity(1 << 20, &file);
        let end = match read_header(&mut reader, &path)? {
            None => {
                file.set_len(0).map_err(failed)?;
                (&file).write_all(&header).map_err(failed)?;
                header.len() as u64
            }
            Some((written_by, header_length)) => {
                build
                    .check(&written_by, "the journal's writer")
                    .map_err(|error| error.with_hint(format!("to begin anew, delete {}", path.display())))?;
                let mut end = header_length;
                while let Some((entry, length)) = read_entry(&mut reader) {
                    replay(entry)?;
                    end += length;
                }
                end
            }
        };
        drop(reader);
        file.set_len(end).map_err(failed)?;
        Ok(Journal { file, path, header, bytes: end, least: 0, retry_at: 0 })
    }

    /// Bytes of the file.
    #[cfg(test)]
    pub fn nbytes(&self) -> u64 {
        self.bytes
    }

    /// Whether it is beyond `limit`, has grown since it was made smaller, and may be
    /// made smaller again.
    #[must_use]
    pub fn is_long(&self, now: Nanos, limit: u64) -> bool {
        self.bytes > limit && self.bytes > self.least && now >= self.retry_at
    }

    /// An attempt to make it smaller that began at `began` has ended now.
    pub fn tried(&mut self, began: Nanos, now: Nanos) {
        self.retry_at = now + RETRY_NS.max(RETRY_SHARE * now.saturating_sub(began));
    }

    /// Begins anew with one record in place of all others.
    ///
    /// # Errors
    /// If that cannot be written; then the journal is as it was.
    pub fn replace(&mut self, now: Nanos, record: &Record) -> Result<()> {
        let path = self.path.with_extension("new");
        let failed = |cause: io::Error| Error::io(format_args!("writing the journal {}", path.display()), &cause);
        // A file that is left from an attempt that failed is of no use.
        let _ = std::fs::remove_file(&path);
        let file =
            OpenOptions::new().read(true).append(true).create_new(true).mode(0o600).open(&path).map_err(failed)?;
        rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive)
            .map_err(|cause| failed(cause.into()))?;
        (&file).write_all(&self.header).map_err(failed)?;
        let bytes = self.header.len() as u64;
        let mut fresh =
            Journal { file, path: path.clone(), header: self.header.clone(), bytes, least: 0, retry_at: self.retry_at };
        fresh.append(now, record, None)?;
        std::fs::rename(&path, &self.path).map_err(failed)?;
        fresh.path = std::mem::take(&mut self.path);
        fresh.least = fresh.bytes;
        *self = fresh;
        Ok(())
    }

    /// Appends a record with the packet that belongs to it.
    ///
    /// # Errors
    /// If it cannot be written: then the file must not be used any more.
    pub fn append(&mut self, now: Nanos, record: &Record, packet: Option<&Packet>) -> Result<()> {
        let failed = |cause: io::Error| Error::io(format_args!("writing the journal {}", self.path.display()), &cause);
        let empty = Packet::default();
        let packet = packet.unwrap_or(&empty);
        let lengths: Vec<u64> = packet.buffers.iter().map(|buffer| buffer.len() as u64).collect();
        let head = postcard::to_allocvec(&(now, record, packet.head.len() as u64, lengths))?;
        if head.len() > HEAD_MAX {
            return Err(Error::value(format!("{} bytes are more than an entry of the journal takes", head.len())));
        }
        let mut prefix = Vec::with_capacity(4 + CHECKSUM + head.len());
        prefix.extend_from_slice(&(head.len() as u32).to_le_bytes());
        let parts = || std::iter::once(&packet.head).chain(&packet.buffers);
        prefix.extend_from_slice(&checksum(&head, parts()));
        prefix.extend_from_slice(&head);
        self.bytes += (prefix.len() + packet.nbytes()) as u64;
        if packet.buffers.is_empty() {
            // One write for the many small ones, so that a kill finds them whole.
            prefix.extend_from_slice(&packet.head);
            return self.file.write_all(&prefix).map_err(failed);
        }
        let mut slices: Vec<IoSlice<'_>> =
            std::iter::once(IoSlice::new(&prefix)).chain(parts().map(|part| IoSlice::new(part))).collect();
        let mut slices = &mut slices[..];
        while !slices.is_empty() {
            let most = slices.len().min(512);
            let count = self.file.write_vectored(&slices[..most]).map_err(failed)?;
            IoSlice::advance_slices(&mut slices, count);
            while slices.first().is_some_and(|slice| slice.is_empty()) {
                slices = &mut slices[1..];
            }
        }
        Ok(())
    }

    /// Deletes the file: the cluster has ended.
    pub fn delete(self) {
        // What is left of an ended cluster does no harm but to the disk.
        let _ = std::fs::remove_file(&self.path);
    }

    /// Puts the file aside because it could not be written to its end: reading it
    /// would make a state that members have left behind.
    pub fn give_up(&self) {
        // If not even that works, the disk is beyond help.
        let _ = std::fs::rename(&self.path, self.path.with_extension("broken"));
    }
}

fn checksum<'a>(head: &[u8], parts: impl Iterator<Item = &'a Bytes>) -> [u8; CHECKSUM] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(head);
    for part in parts {
        hasher.update(part);
    }
    let mut sum = [0; CHECKSUM];
    sum.copy_from_slice(&hasher.finalize().as_bytes()[..CHECKSUM]);
    sum
}

/// Who wrote the file, and where its entries begin; none if it is empty.
fn read_header(reader: &mut impl Read, path: &Path) -> Result<Option<(Build, u64)>> {
    let mut magic = [0; 8];
    if reader.read_exact(&mut magic).is_err() {
        return Ok(None);
    }
    let wrong = || Error::new(ErrorKind::Version, format!("{} is not a journal of this version", path.display()));
    if &magic != MAGIC {
        return Err(wrong());
    }
    let build = read_bytes::<4>(reader)
        .map(u32::from_le_bytes)
        .filter(|&length| length < 1 << 16)
        .and_then(|length| read_vec(reader, length as usize));
    // Killed while the file was made.
    let Some(build) = build else { return Ok(None) };
    let length = 12 + build.len() as u64;
    Ok(Some((postcard::from_bytes(&build).map_err(|_| wrong())?, length)))
}

fn read_bytes<const N: usize>(reader: &mut impl Read) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    reader.read_exact(&mut bytes).ok()?;
    Some(bytes)
}

fn read_vec(reader: &mut impl Read, length: usize) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    // Grows with what is there, so that a torn length costs nothing.
    let n_read = reader.take(length as u64).read_to_end(&mut bytes).ok()?;
    (n_read == length).then_some(bytes)
}

/// The next entry and its length; none at the end, or where it was torn.
fn read_entry(reader: &mut impl Read) -> Option<(Entry, u64)> {
    let head_length = u32::from_le_bytes(read_bytes::<4>(reader)?) as usize;
    if head_length > HEAD_MAX {
        return None;
    }
    let sum = read_bytes::<CHECKSUM>(reader)?;
    let head = read_vec(reader, head_length)?;
    let (now, record, packet_head, lengths): (Nanos, Record, u64, Vec<u64>) = postcard::from_bytes(&head).ok()?;
    let packet = Packet {
        head: read_vec(reader, usize::try_from(packet_head).ok()?)?.into(),
        buffers: lengths
            .iter()
            .map(|&length| read_vec(reader, usize::try_from(length).ok()?).map(Bytes::from))
            .collect::<Option<_>>()?,
    };
    if checksum(&head, std::iter::once(&packet.head).chain(&packet.buffers)) != sum {
        return None;
    }
    let length = (4 + CHECKSUM + head_length + packet.nbytes()) as u64;
    Some((Entry { now, record, packet }, length))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(folder: &Path, build: &Build) -> Result<Vec<Entry>> {
        let mut entries = Vec::new();
        Journal::open(folder, build, |entry| {
            entries.push(entry);
            Ok(())
        })?;
        Ok(entries)
    }

    #[test]
    fn a_journal_is_replaced_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let build = Build::current();
        let mut journal = Journal::open(folder.path(), &build, |_| Ok(())).unwrap();
        for now in 0..1000 {
            journal.append(now, &Record::Tick, None).unwrap();
        }
        let long = journal.nbytes();
        assert_eq!(std::fs::metadata(folder.path().join("journal")).unwrap().len(), long);
        let before = std::fs::read(folder.path().join("journal")).unwrap();
        journal.replace(1000, &Record::Snapshot(Box::default())).unwrap();
        assert!(journal.nbytes() < long / 10 && !journal.is_long(0, 0));
        journal.append(1001, &Record::Tick, None).unwrap();
        assert!(read(folder.path(), &build).unwrap_err().message().contains("another scheduler"));
        drop(journal);
        let entries = read(folder.path(), &build).unwrap();
        assert_eq!(entries.iter().map(|entry| entry.now).collect::<Vec<_>>(), [1000, 1001]);
        assert!(matches!(entries[0].record, Record::Snapshot(_)));
        // Killed while the new file was being written: the old one counts, whatever
        // there is of the other.
        let after = std::fs::read(folder.path().join("journal")).unwrap();
        for length in (0..after.len()).step_by(37) {
            std::fs::write(folder.path().join("journal"), &before).unwrap();
            std::fs::write(folder.path().join("journal.new"), &after[..length]).unwrap();
            assert_eq!(read(folder.path(), &build).unwrap().len(), 1000);
            assert!(!folder.path().join("journal.new").exists());
        }
    }

    #[test]
    fn a_journal_torn_anywhere_gives_what_was_whole() {
        let folder = tempfile::tempdir().unwrap();
        let build = Build::current();
        let mut journal = Journal::open(folder.path(), &build, |_| unreachable!("it is empty")).unwrap();
        let error = read(folder.path(), &build).unwrap_err();
        assert!(error.message().contains("another scheduler"), "{error}");
        let packet = Packet { head: vec![1, 2, 3].into(), buffers: vec![vec![4; 5000].into(), Bytes::new()] };
        journal.append(1, &Record::ClientJoined { client: 1, session: 7 }, None).unwrap();
        journal.append(2, &Record::FromClient(1), Some(&packet)).unwrap();
        journal.append(3, &Record::Tick, None).unwrap();
        drop(journal);
        let path = folder.path().join("journal");
        let whole = std::fs::read(&path).unwrap();
        let entries = read(folder.path(), &build).unwrap();
        assert_eq!(entries.iter().map(|entry| entry.now).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(entries[1].packet, packet);
        // Every length, and a flipped bit, give a prefix, which then goes on.
        for length in (0..whole.len()).step_by(97) {
            std::fs::write(&path, &whole[..length]).unwrap();
            let n_entries = read(folder.path(), &build).unwrap().len();
            assert!(n_entries < 3);
            let mut journal = Journal::open(folder.path(), &build, |_| Ok(())).unwrap();
            journal.append(9, &Record::Tick, None).unwrap();
            drop(journal);
            let again = read(folder.path(), &build).unwrap();
            assert_eq!((again.len(), again[n_entries].now), (n_entries + 1, 9));
        }
        let mut flipped = whole.clone();
        let middle = flipped.len() / 2;
        flipped[middle] ^= 1;
        std::fs::write(&path, &flipped).unwrap();
        assert_eq!(read(folder.path(), &build).unwrap().len(), 1);
        let other = Build { version: "0.0.0".to_owned(), ..build };
        std::fs::write(&path, &whole).unwrap();
        assert_eq!(read(folder.path(), &other).unwrap_err().kind(), ErrorKind::Version);
    }
}

//! Shared memory: sealed memory files for large buffers that go to another process
//! of this machine.
//!
//! The maker writes a file, seals it and passes its descriptor; the receiver
//! checks the seals and maps it. Nobody can change it from then on, so that both
//! sides read it as ordinary immutable bytes. It goes when the last user drops it.
//! What lies in such memory already is passed on without being copied again.

use bytes::Bytes;
use memmap2::{Mmap, MmapMut, MmapOptions};
use oxidask_core::{Error, ErrorKind, Result};
use parking_lot::Mutex;
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, fcntl_get_seals, memfd_create};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

/// Buffers from this size on travel in shared memory; copying smaller ones costs
/// less than a mapping.
pub(crate) const SHARED_MIN_BYTES: usize = 64 << 10;
/// Where buffers begin within a segment, as vector instructions like it.
const ALIGNMENT: usize = 64;
/// Segments mapped at once beyond which a value is copied instead: the system
/// allows a process about twice as many mappings.
const MAX_SEGMENTS: usize = 30_000;
/// Segments beyond which descriptors are closed once they are mapped; such a
/// segment can no longer be passed on and is copied then.
const MAX_DESCRIPTORS: usize = 256;

const SEALS: SealFlags = SealFlags::SEAL.union(SealFlags::SHRINK).union(SealFlags::GROW).union(SealFlags::WRITE);

/// A mapped segment.
#[derive(Debug)]
pub struct Segment {
    map: Mmap,
    file: Option<File>,
}

/// All segments of this process by where they lie, to find the one in which a
/// buffer lies.
static MAPPED: Mutex<BTreeMap<usize, Weak<Segment>>> = Mutex::new(BTreeMap::new());

/// A memory file with these buffers, and where in it each one lies.
fn make(buffers: &[Bytes]) -> Result<(OwnedFd, Vec<Range<u64>>)> {
    let write = || -> std::io::Result<(OwnedFd, Vec<Range<u64>>)> {
        let mut file = File::from(memfd_create("oxidask", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?);
        let mut position = 0_usize;
        let mut ranges = Vec::with_capacity(buffers.len());
        for buffer in buffers {
            let padding = position.next_multiple_of(ALIGNMENT) - position;
            file.write_all(&[0; ALIGNMENT][..padding])?;
            file.write_all(buffer)?;
            position += padding + buffer.len();
            ranges.push((position - buffer.len()) as u64..position as u64);
        }
        fcntl_add_seals(&file, SEALS)?;
        Ok((file.into(), ranges))
    };
    write().map_err(|cause| Error::io("putting a value into shared memory", &cause))
}

/// Descriptors that travel with one packet, on the sending side.
#[derive(Debug, Default)]
pub struct Files(Vec<Descriptor>);

#[derive(Debug)]
enum Descriptor {
    New(OwnedFd),
    /// A segment that is passed on; kept open until the packet is sent.
    Known(Arc<Segment>),
}

/// Where a buffer is that was to be shared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Placed {
    /// It travels in the packet itself.
    Inline(Bytes),
    /// In the file with this number, at these bytes.
    Shared(u32, Range<u64>),
}

/// Descriptors that the system passes with one packet.
pub const FILES_MAX: usize = 250;

impl Files {
    /// Number of descriptors.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Puts buffers from `least` bytes on into shared memory, unless they lie there
    /// already.
    ///
    /// # Errors
    /// If the system gives no shared memory.
    pub fn share(&mut self, buffers: Vec<Bytes>, least: usize) -> Result<Vec<Placed>> {
        let mut placed: Vec<Placed> = Vec::with_capacity(buffers.len());
        let mut to_copy = Vec::new();
        for buffer in buffers {
            let may_share = buffer.len() >= least && self.0.len() + 1 < FILES_MAX;
            if !may_share {
                placed.push(Placed::Inline(buffer));
            } else if let Some((segment, range)) = find(&buffer) {
                placed.push(Placed::Shared(self.known(segment), range));
            } else {
                // Filled in below, when all that is to be copied is known.
                to_copy.push((placed.len(), buffer));
                placed.push(Placed::Inline(Bytes::new()));
            }
        }
        if !to_copy.is_empty() {
            let (positions, contents): (Vec<usize>, Vec<Bytes>) = to_copy.into_iter().unzip();
            let (file, ranges) = make(&contents)?;
            let number = self.0.len() as u32;
            self.0.push(Descriptor::New(file));
            for (position, range) in positions.into_iter().zip(ranges) {
                placed[position] = Placed::Shared(number, range);
            }
        }
        Ok(placed)
    }

    /// The position of a segment's descriptor, which is sent once.
    fn known(&mut self, segment: Arc<Segment>) -> u32 {
        let same = |file: &Descriptor| matches!(file, Descriptor::Known(known) if Arc::ptr_eq(known, &segment));
        let position = self.0.iter().position(same).unwrap_or_else(|| {
            self.0.push(Descriptor::Known(segment.clone()));
            self.0.len() - 1
        });
        position as u32
    }

    /// The descriptors, in order.
    #[must_use]
    pub fn as_fds(&self) -> Vec<BorrowedFd<'_>> {
        self.0
            .iter()
            .map(|file| match file {
                Descriptor::New(file) => file.as_fd(),
                Descriptor::Known(segment) => segment.file.as_ref().expect("only found with its file").as_fd(),
            })
            .collect()
    }
}

/// What the receiver holds of a segment.
#[derive(Clone, Debug)]
pub enum Received {
    /// The memory itself.
    Mapped(Arc<Segment>),
    /// A copy, because a process may have so many mappings only.
    Copied(Bytes),
}

/// Maps a segment that came from another process.
///
/// # Errors
/// If it is not sealed, so that its maker could still change it, or cannot be
/// mapped.
pub fn receive(file: OwnedFd) -> Result<Received> {
    let doing = "reading a value from shared memory";
    let file = File::from(file);
    let seals = fcntl_get_seals(&file).map_err(|cause| Error::io(doing, &cause.into()))?;
    if !seals.contains(SEALS) {
        return Err(Error::new(ErrorKind::Version, format!("{doing}: it is not sealed")));
    }
    // SAFETY: the memory file is sealed against writing, growing and shrinking,
    // and against removing the seals, so that the mapping stays valid and never
    // changes.
    let map = unsafe { Mmap::map(&file) }.map_err(|cause| Error::io(doing, &cause))?;
    let mut mapped = MAPPED.lock();
    if mapped.len() >= MAX_SEGMENTS {
        return Ok(Received::Copied(Bytes::copy_from_slice(&map)));
    }
    let keeps_file = mapped.len() < MAX_DESCRIPTORS;
    let start = map.as_ptr() as usize;
    let segment = Arc::new(Segment { map, file: keeps_file.then_some(file) });
    mapped.insert(start, Arc::downgrade(&segment));
    Ok(Received::Mapped(segment))
}

impl Received {
    /// The bytes of a range, sharing the memory.
    ///
    /// # Errors
    /// If the range lies outside.
    pub fn slice(&self, range: Range<u64>) -> Result<Bytes> {
        let outside = || Error::new(ErrorKind::Version, "a value lies outside of its shared memory");
        let range =
            usize::try_from(range.start).map_err(|_| outside())?..usize::try_from(range.end).map_err(|_| outside())?;
        match self {
            Received::Copied(bytes) if bytes.get(range.clone()).is_some() => Ok(bytes.slice(range)),
            Received::Mapped(segment) if segment.map.get(range.clone()).is_some() => {
                Ok(Bytes::from_owner(Slice { segment: segment.clone(), range }))
            }
            _ => Err(outside()),
        }
    }
}

/// The segment in which a buffer lies and where in it, if its descriptor is still
/// open: it can be passed on without copying.
fn find(buffer: &Bytes) -> Option<(Arc<Segment>, Range<u64>)> {
    let start = buffer.as_ptr() as usize;
    let segment = MAPPED.lock().range(..=start).next_back()?.1.upgrade()?;
    let offset = start - segment.map.as_ptr() as usize;
    let is_inside = offset + buffer.len() <= segment.map.len();
    (is_inside && segment.file.is_some()).then(|| (segment, offset as u64..(offset + buffer.len()) as u64))
}

/// Memory of one owner, which shows what lies in a segment until it is written to:
/// the system copies a page when it is changed first.
#[derive(Debug)]
pub struct PrivateCopy {
    // Only to be unmapped in the end.
    _map: MmapMut,
    start: usize,
    length: usize,
}

/// Buffers below this size are cheaper to copy than to map.
const PRIVATE_BYTES_MIN: usize = 1 << 20;
/// Private mappings at once beyond which a caller has to copy.
const MAX_PRIVATE: usize = 10_000;

static N_PRIVATE: AtomicUsize = AtomicUsize::new(0);

impl PrivateCopy {
    /// A copy of a large buffer that lies in shared memory; none if it does not, or
    /// is better copied.
    #[must_use]
    pub fn of(buffer: &Bytes) -> Option<Self> {
        if buffer.len() < PRIVATE_BYTES_MIN {
            return None;
        }
        let (segment, range) = find(buffer)?;
        let file = segment.file.as_ref()?;
        if N_PRIVATE.fetch_add(1, Ordering::Relaxed) >= MAX_PRIVATE {
            N_PRIVATE.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        // SAFETY: the file is sealed, so that nobody changes or shortens it; what is
        // written to the mapping stays in it.
        let mapped = unsafe { MmapOptions::new().offset(range.start).len(buffer.len()).map_copy(file) };
        let Ok(mut map) = mapped else {
            N_PRIVATE.fetch_sub(1, Ordering::Relaxed);
            return None;
        };
        let start = map.as_mut_ptr() as usize;
        Some(PrivateCopy { _map: map, start, length: buffer.len() })
    }

    /// Where it begins. Valid, also for writing, as long as this value lives.
    #[must_use]
    pub fn as_mut_ptr(&self) -> *mut u8 {
        self.start as *mut u8
    }

    /// Its bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }
}

impl Drop for PrivateCopy {
    fn drop(&mut self) {
        N_PRIVATE.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        // The mapping ends after this, so that no other segment can lie here yet.
        MAPPED.lock().remove(&(self.map.as_ptr() as usize));
    }
}

/// Bytes within a segment, which they keep.
struct Slice {
    segment: Arc<Segment>,
    range: Range<usize>,
}

impl AsRef<[u8]> for Slice {
    fn as_ref(&self) -> &[u8] {
        &self.segment.map[self.range.clone()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_arrive_and_are_found_again() {
        let buffers = [Bytes::from(vec![1; 100]), Bytes::new(), Bytes::from(vec![3; 70_000])];
        let (file, ranges) = make(&buffers).unwrap();
        let received = receive(file).unwrap();
        let slices: Vec<Bytes> = ranges.iter().map(|range| received.slice(range.clone()).unwrap()).collect();
        assert_eq!(slices, buffers);
        assert_eq!(slices[2].as_ptr() as usize % ALIGNMENT, 0);
        let (segment, range) = find(&slices[2].slice(5..10)).unwrap();
        assert_eq!(range, ranges[2].start + 5..ranges[2].start + 10);
        assert!(segment.file.is_some());
        assert!(find(&Bytes::from(vec![0; 100])).is_none());
        assert!(received.slice(0..1 << 40).is_err());
    }

    #[test]
    fn a_private_copy_is_its_owners_alone() {
        let content: Vec<u8> = (0..2_000_000).map(|number| (number % 251) as u8).collect();
        let (file, ranges) = make(&[Bytes::from(vec![1; 100]), content.clone().into()]).unwrap();
        let shared = receive(file).unwrap().slice(ranges[1].clone()).unwrap();
        let slice = shared.slice(5000..1_500_000);
        let copy = PrivateCopy::of(&slice).unwrap();
        // SAFETY: the copy is this test's own, and lives until its end.
        let bytes = unsafe { std::slice::from_raw_parts_mut(copy.as_mut_ptr(), copy.len()) };
        assert_eq!(bytes, &content[5000..1_500_000]);
        bytes.fill(7);
        assert_eq!(shared, content);
        assert!(PrivateCopy::of(&shared.slice(..100)).is_none());
        assert!(PrivateCopy::of(&Bytes::from(content)).is_none());
    }

    #[test]
    fn what_is_not_sealed_is_refused() {
        let file = memfd_create("test", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).unwrap();
        assert!(receive(file).is_err());
    }
}

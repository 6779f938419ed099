//! Shared memory: one sealed memory file for the large buffers of one value.
//!
//! The maker writes the file, seals it and passes its descriptor; the receiver
//! checks the seals and maps it. Nobody can change it from then on, so that both
//! sides read it as ordinary immutable bytes. It goes when the last user drops it.

use bytes::Bytes;
use memmap2::Mmap;
use oxidask_core::{Error, ErrorKind, Result};
use parking_lot::Mutex;
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, fcntl_get_seals, memfd_create};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::ops::Range;
use std::os::fd::OwnedFd;
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
pub(crate) struct Segment {
    map: Mmap,
    file: Option<File>,
}

/// All segments of this process by where they lie, to find the one in which a
/// buffer lies.
static MAPPED: Mutex<BTreeMap<usize, Weak<Segment>>> = Mutex::new(BTreeMap::new());

/// A memory file with these buffers, and where in it each one lies.
pub(crate) fn make(buffers: &[Bytes]) -> Result<(OwnedFd, Vec<Range<u64>>)> {
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

/// What the receiver holds of a segment.
#[derive(Clone)]
pub(crate) enum Received {
    Mapped(Arc<Segment>),
    Copied(Bytes),
}

/// Maps a segment that came from another process.
pub(crate) fn receive(file: OwnedFd) -> Result<Received> {
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
pub(crate) fn find(buffer: &Bytes) -> Option<(Arc<Segment>, Range<u64>)> {
    let start = buffer.as_ptr() as usize;
    let segment = MAPPED.lock().range(..=start).next_back()?.1.upgrade()?;
    let offset = start - segment.map.as_ptr() as usize;
    let is_inside = offset + buffer.len() <= segment.map.len();
    (is_inside && segment.file.is_some()).then(|| (segment, offset as u64..(offset + buffer.len()) as u64))
}

impl Segment {
    /// The descriptor, if it is still open.
    pub fn file(&self) -> Option<&File> {
        self.file.as_ref()
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
        assert!(segment.file().is_some());
        assert!(find(&Bytes::from(vec![0; 100])).is_none());
        assert!(received.slice(0..1 << 40).is_err());
    }

    #[test]
    fn what_is_not_sealed_is_refused() {
        let file = memfd_create("test", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).unwrap();
        assert!(receive(file).is_err());
    }
}

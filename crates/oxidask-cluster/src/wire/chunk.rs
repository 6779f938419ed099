//! A packet as it lies on the wire, in pieces that are written one after another.

use super::{Packet, READ_CHUNK, SHARED};
use bytes::{Buf as _, Bytes, BytesMut};
use oxidask_exec::segment::{Files, Placed};
use std::sync::Arc;

/// Buffers from this size on are handed over as shared memory where the stream
/// passes descriptors: below it, copying costs less than mapping.
const SHARED_BYTES_MIN: usize = 256 << 10;

/// A piece of a packet, with the descriptors that go out with its first byte.
#[derive(Clone, Debug)]
pub struct Chunk {
    pub bytes: Bytes,
    pub files: Option<Arc<Files>>,
}

impl From<Bytes> for Chunk {
    fn from(bytes: Bytes) -> Self {
        Chunk { bytes, files: None }
    }
}

impl Chunk {
    /// So many of its bytes, and with the first one its descriptors, were written.
    pub fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
        self.files = None;
    }
}

/// The chunks of a packet, and the bytes beside them in shared memory if the
/// stream passes descriptors.
pub fn chunks_of(packet: Packet, passes_files: bool) -> (Vec<Chunk>, usize) {
    let Packet { head, buffers } = packet;
    let n_bytes: usize = buffers.iter().map(Bytes::len).sum();
    let mut files = Files::default();
    let may_share = passes_files && buffers.iter().any(|buffer| buffer.len() >= SHARED_BYTES_MIN);
    // Without shared memory, or descriptors, everything goes through the socket.
    let placed = match may_share.then(|| files.share(buffers.clone(), SHARED_BYTES_MIN)) {
        Some(Ok(placed)) => placed,
        _ => {
            files = Files::default();
            buffers.iter().cloned().map(Placed::Inline).collect()
        }
    };
    let with_head = head.len() <= READ_CHUNK;
    let mut prefix = BytesMut::with_capacity(8 + 8 * placed.len() + if with_head { head.len() } else { 0 });
    prefix.extend_from_slice(&u32::try_from(head.len()).unwrap_or(u32::MAX).to_le_bytes());
    prefix.extend_from_slice(&u32::try_from(placed.len()).unwrap_or(u32::MAX).to_le_bytes());
    for (placed, buffer) in placed.iter().zip(&buffers) {
        let mark = if matches!(placed, Placed::Shared(..)) { SHARED } else { 0 };
        prefix.extend_from_slice(&(buffer.len() as u64 | mark).to_le_bytes());
    }
    for placed in &placed {
        if let Placed::Shared(file, range) = placed {
            prefix.extend_from_slice(&file.to_le_bytes());
            prefix.extend_from_slice(&range.start.to_le_bytes());
        }
    }
    if with_head {
        prefix.extend_from_slice(&head);
    }
    let mut chunks = vec![Chunk { bytes: prefix.freeze(), files: (!files.is_empty()).then(|| Arc::new(files)) }];
    if !with_head {
        chunks.push(head.into());
    }
    let inline = placed.into_iter().filter_map(|placed| match placed {
        Placed::Inline(bytes) if !bytes.is_empty() => Some(Chunk::from(bytes)),
        _ => None,
    });
    chunks.extend(inline);
    let written: usize = chunks.iter().skip(if with_head { 1 } else { 2 }).map(|chunk| chunk.bytes.len()).sum();
    (chunks, n_bytes - written)
}

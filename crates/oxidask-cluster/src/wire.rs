//! Packets over a stream: how bytes lie on the wire, and nothing about what
//! they mean.
//!
//! ```text
//! u32 head length │ u32 number of buffers │ u64 length of each buffer │ places │ head │ buffers
//! ```
//!
//! All numbers are little-endian. The head is a batch of messages; large memory
//! travels beside it as buffers, written from where it lies and read into
//! memory of its own, so that neither end copies it. Every length is checked
//! against a limit before anything is allocated for it.
//!
//! Between processes of one machine, over a unix socket, large buffers do not go
//! through the socket at all: they lie in shared memory whose descriptors are
//! passed along ([`oxidask_exec::segment`]). The length of such a buffer has its
//! highest bit set, and its place is the number of the descriptor (`u32`) and where
//! it begins (`u64`). What came in shared memory is passed on as it is, through any
//! number of processes.
//!
//! A head length of 2³² − 1 marks an acknowledgement: a `u64` follows, the number
//! of packets that were taken. It is sent on connections that can be resumed
//! ([`Outlet::make_resumable`]): either end keeps what the other has not
//! acknowledged and sends it again over the next connection, so that a dropped
//! connection loses and repeats nothing.

mod chunk;
mod inlet;
mod outlet;
mod quiet;
mod session;
mod stream;

pub(crate) use chunk::chunks_of;
pub use inlet::Inlet;
pub use outlet::Outlet;
pub use session::WrittenSession;
pub use stream::{Stream, TlsEnd};

use bytes::Bytes;
use oxidask_core::{Error, ErrorKind, Result};

/// What one packet may hold at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the head.
    pub head: usize,
    /// Number of buffers.
    pub buffers: usize,
    /// Bytes of all buffers together.
    pub bytes: u64,
}

impl Limits {
    /// For a peer that proved that it belongs to the cluster.
    pub const TRUSTED: Limits = Limits { head: 1 << 30, buffers: 1 << 24, bytes: 1 << 40 };
    /// For the introduction right after the proof.
    pub const HELLO: Limits = Limits { head: 1 << 20, buffers: 0, bytes: 0 };
}

/// The head length of an acknowledgement.
const ACKNOWLEDGEMENT: u32 = u32::MAX;
/// Marks the length of a buffer that lies in shared memory.
const SHARED: u64 = 1 << 63;
/// How much is read from the socket at once; larger heads are not copied into one
/// piece with their lengths.
const READ_CHUNK: usize = 64 << 10;

/// A batch of messages and the large memory beside them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Packet {
    /// The encoded messages.
    pub head: Bytes,
    /// The large memory, in the order in which the messages refer to it.
    pub buffers: Vec<Bytes>,
}

/// Encodes a batch of messages as the head of a packet.
///
/// # Errors
/// If the batch is larger than a peer would accept.
pub fn encode<T: serde::Serialize>(messages: &T, buffers: Vec<Bytes>) -> Result<Packet> {
    let head: Bytes = postcard::to_allocvec(messages)?.into();
    let bytes: u64 = buffers.iter().map(|buffer| buffer.len() as u64).sum();
    let limits = Limits::TRUSTED;
    if head.len() > limits.head || buffers.len() > limits.buffers || bytes > limits.bytes {
        return Err(Error::new(
            ErrorKind::Memory,
            format!("a message of {} bytes with {bytes} bytes of data is too large to send", head.len()),
        )
        .with_hint("submit the work in several smaller graphs"));
    }
    Ok(Packet { head, buffers })
}

/// Decodes the head of a packet.
///
/// # Errors
/// If it is not a `T`.
pub fn decode<T: serde::de::DeserializeOwned>(head: &[u8]) -> Result<T> {
    Ok(postcard::from_bytes(head)?)
}

impl Packet {
    /// Its bytes in memory.
    #[must_use]
    pub fn nbytes(&self) -> usize {
        self.head.len() + self.buffers.iter().map(Bytes::len).sum::<usize>()
    }
}

#[cfg(test)]
mod tests;

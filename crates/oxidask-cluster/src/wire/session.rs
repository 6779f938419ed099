//! What it takes for a session to go on over another connection: the packets that
//! the peer has not acknowledged, and how many of the peer's were taken.

use super::chunk::Chunk;
use bytes::{Bytes, BytesMut};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::io;

/// What it takes to go on over another connection.
#[derive(Debug, Default)]
pub(super) struct Session {
    /// Packets that were sent and not acknowledged, in chunks.
    pub kept: VecDeque<Chunk>,
    /// How many chunks, and bytes, each of them has.
    pub sizes: VecDeque<(u32, usize)>,
    pub kept_bytes: usize,
    pub n_acknowledged: u64,
    pub n_received: u64,
    /// Packets and bytes received since the last acknowledgement.
    pub unacknowledged: (u32, usize),
}

/// A session as it is written down.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct WrittenSession {
    n_received: u64,
    /// How many packets the peer has acknowledged.
    pub n_acknowledged: u64,
    /// What it has not, each as it lies on the wire.
    packets: Vec<Bytes>,
}

impl WrittenSession {
    /// Bytes of what was not acknowledged.
    #[must_use]
    pub fn nbytes(&self) -> u64 {
        self.packets.iter().map(|packet| packet.len() as u64).sum()
    }
}

impl Session {
    /// A session as it was written down.
    pub fn of_written(written: WrittenSession) -> Self {
        let WrittenSession { n_received, n_acknowledged, packets } = written;
        let sizes = packets.iter().map(|packet| (1, packet.len())).collect();
        let kept_bytes = packets.iter().map(Bytes::len).sum();
        let kept = packets.into_iter().map(Chunk::from).collect();
        Session { kept, sizes, kept_bytes, n_acknowledged, n_received, unacknowledged: (0, 0) }
    }

    /// What is to be written down; none if something that was not acknowledged lies
    /// in memory that only this process has.
    pub fn to_written(&self) -> Option<WrittenSession> {
        let mut kept = self.kept.iter();
        let mut packets = Vec::with_capacity(self.sizes.len());
        for &(n_chunks, _) in &self.sizes {
            let mut packet = BytesMut::new();
            for chunk in kept.by_ref().take(n_chunks as usize) {
                if chunk.files.is_some() {
                    return None;
                }
                packet.extend_from_slice(&chunk.bytes);
            }
            packets.push(packet.freeze());
        }
        let (n_received, n_acknowledged) = (self.n_received, self.n_acknowledged);
        Some(WrittenSession { n_received, n_acknowledged, packets })
    }

    /// Keeps the chunks of a packet, beside which so many bytes lie in shared memory.
    pub fn keep(&mut self, chunks: &[Chunk], shared_bytes: usize) {
        let bytes = shared_bytes + chunks.iter().map(|chunk| chunk.bytes.len()).sum::<usize>();
        self.kept.extend(chunks.iter().cloned());
        self.sizes.push_back((chunks.len() as u32, bytes));
        self.kept_bytes += bytes;
    }

    /// Counts a packet of the peer.
    pub fn count_received(&mut self, bytes: usize) {
        self.n_received += 1;
        self.unacknowledged.0 += 1;
        self.unacknowledged.1 += bytes;
    }

    /// The peer took so many packets.
    ///
    /// # Errors
    /// If so many were never sent, or it took more before.
    pub fn acknowledged(&mut self, n_taken: u64) -> io::Result<()> {
        let n_sent = self.n_acknowledged + self.sizes.len() as u64;
        if n_taken < self.n_acknowledged || n_taken > n_sent {
            return Err(io::ErrorKind::InvalidData.into());
        }
        while self.n_acknowledged < n_taken {
            let Some((n_chunks, bytes)) = self.sizes.pop_front() else { break };
            self.kept.drain(..n_chunks as usize);
            self.kept_bytes -= bytes;
            self.n_acknowledged += 1;
        }
        Ok(())
    }
}

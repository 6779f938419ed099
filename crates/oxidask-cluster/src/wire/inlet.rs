//! The reading half of a connection.

use super::stream::PassedFiles;
use super::{ACKNOWLEDGEMENT, Limits, Outlet, Packet, READ_CHUNK, SHARED, Stream};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use oxidask_exec::segment::{self, FILES_MAX, Received};
use std::io;
use std::sync::Arc;

/// Buffers up to this size are read together into one piece of memory.
const SMALL_BUFFER: u64 = 4 << 10;

/// Reads packets from a stream, one after another.
#[derive(Debug)]
pub struct Inlet {
    stream: Arc<Stream>,
    pending: BytesMut,
    /// Descriptors that came along, if the stream passes them.
    files: Option<PassedFiles>,
    limits: Limits,
    /// On a connection that can be resumed: its other half, and which of its
    /// connections this is.
    session: Option<(Outlet, u64)>,
}

impl Inlet {
    /// Reads from `stream` within `limits`.
    #[must_use]
    pub fn new(stream: Arc<Stream>, limits: Limits) -> Self {
        let files = stream.passes_files().then(|| PassedFiles::new(READ_CHUNK));
        Inlet { stream, pending: BytesMut::with_capacity(READ_CHUNK), files, limits, session: None }
    }

    /// Changes what further packets may hold.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// From now on packets are counted and acknowledged over `outlet`, whose
    /// connection number `generation` this is.
    pub fn make_resumable(&mut self, outlet: Outlet, generation: u64) {
        self.session = Some((outlet, generation));
    }

    /// The next packet. On a connection that can be resumed this also says that
    /// the packet before has been dealt with.
    ///
    /// # Errors
    /// If the peer closed the stream, the socket failed, the packet is beyond
    /// the limits, or the session goes on over a newer connection.
    pub async fn next(&mut self) -> io::Result<Packet> {
        if let Some((outlet, _)) = &self.session {
            outlet.acknowledge();
        }
        let packet = match self.read().await {
            Ok(packet) => packet,
            Err(error) => {
                if let Some((outlet, generation)) = &self.session {
                    outlet.detach(*generation);
                }
                return Err(error);
            }
        };
        if let Some((outlet, generation)) = &self.session
            && !outlet.count_received(*generation, packet.nbytes())
        {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        Ok(packet)
    }

    async fn read(&mut self) -> io::Result<Packet> {
        let (head_length, n_buffers) = loop {
            self.fill(8).await?;
            let (head_length, n_buffers) = (self.pending.get_u32_le(), self.pending.get_u32_le());
            match &self.session {
                Some(_) if head_length == ACKNOWLEDGEMENT && n_buffers == 0 => {
                    self.fill(8).await?;
                    let n_taken = self.pending.get_u64_le();
                    if let Some((outlet, _)) = &self.session {
                        outlet.acknowledged(n_taken)?;
                    }
                }
                _ => break (head_length as usize, n_buffers as usize),
            }
        };
        if head_length > self.limits.head || n_buffers > self.limits.buffers {
            return Err(too_large());
        }
        self.fill(8 * n_buffers).await?;
        let mut lengths = Vec::with_capacity(n_buffers);
        let mut total = 0_u64;
        for _ in 0..n_buffers {
            let length = self.pending.get_u64_le();
            total = total.saturating_add(length & !SHARED);
            lengths.push(length);
        }
        if total > self.limits.bytes {
            return Err(too_large());
        }
        let mut shared = self.shared(&lengths).await?.into_iter();
        self.fill(head_length).await?;
        let head = self.pending.split_to(head_length).freeze();
        let mut buffers = Vec::with_capacity(n_buffers);
        for length in lengths {
            buffers.push(match length & SHARED {
                0 => self.buffer(length).await?,
                _ => shared.next().ok_or_else(without_memory)?,
            });
        }
        Ok(Packet { head, buffers })
    }

    /// The buffers that lie in shared memory, whose places come next.
    async fn shared(&mut self, lengths: &[u64]) -> io::Result<Vec<Bytes>> {
        let shared = lengths.iter().filter(|&length| length & SHARED != 0).map(|length| length & !SHARED);
        let n_shared = shared.clone().count();
        if n_shared == 0 {
            return Ok(Vec::new());
        }
        self.fill(12 * n_shared).await?;
        let places: Vec<(u32, u64, u64)> =
            shared.map(|length| (self.pending.get_u32_le(), self.pending.get_u64_le(), length)).collect();
        let n_files = 1 + places.iter().map(|&(file, ..)| file as usize).max().unwrap_or(0);
        let passed = self.files.as_mut().map(|files| &mut files.queue).ok_or_else(without_memory)?;
        if n_files > passed.len() {
            return Err(without_memory());
        }
        let mapped: Vec<Received> = passed
            .drain(..n_files)
            .map(|file| segment::receive(file).map_err(io::Error::other))
            .collect::<io::Result<_>>()?;
        places
            .into_iter()
            .map(|(file, start, length)| {
                let end = start.checked_add(length).ok_or_else(without_memory)?;
                mapped[file as usize].slice(start..end).map_err(io::Error::other)
            })
            .collect()
    }

    /// Waits until `wanted` bytes are pending.
    async fn fill(&mut self, wanted: usize) -> io::Result<()> {
        while self.pending.len() < wanted {
            // Room grows with what arrives, not with what the peer announces.
            self.pending.reserve(READ_CHUNK);
            let missing = wanted - self.pending.len();
            match &mut self.files {
                // What is read may reach into the next packet, with which descriptors
                // come that a plain read would lose.
                Some(files) if missing <= READ_CHUNK => {
                    self.stream.read_with_files(&mut self.pending, files).await?;
                    if files.queue.len() > 2 * FILES_MAX {
                        return Err(too_large());
                    }
                }
                Some(_) => {
                    self.stream.read_more(&mut BufMut::limit(&mut self.pending, READ_CHUNK)).await?;
                }
                None => {
                    self.stream.read_more(&mut self.pending).await?;
                }
            }
        }
        Ok(())
    }

    async fn buffer(&mut self, length: u64) -> io::Result<Bytes> {
        if length <= SMALL_BUFFER {
            let length = length as usize;
            self.fill(length).await?;
            return Ok(self.pending.split_to(length).freeze());
        }
        let length = usize::try_from(length).map_err(|_| too_large())?;
        let mut memory: Vec<u8> = Vec::new();
        // The system gives pages as they are written, so that a peer which
        // announces more than it sends costs address space only.
        memory.try_reserve_exact(length).map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory))?;
        let ready = self.pending.len().min(length);
        memory.extend_from_slice(&self.pending[..ready]);
        self.pending.advance(ready);
        while memory.len() < length {
            let missing = length - memory.len();
            self.stream.read_more(&mut BufMut::limit(&mut memory, missing)).await?;
        }
        Ok(memory.into())
    }
}

fn too_large() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "a packet is larger than allowed")
}

fn without_memory() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "a packet came without its shared memory")
}

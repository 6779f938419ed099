//! Packets over a stream: how bytes lie on the wire, and nothing about what
//! they mean.
//!
//! ```text
//! u32 head length │ u32 number of buffers │ u64 length of each buffer │ head │ buffers
//! ```
//!
//! All numbers are little-endian. The head is a batch of messages; large memory
//! travels beside it as buffers, written from where it lies and read into
//! memory of its own, so that neither end copies it. Every length is checked
//! against a limit before anything is allocated for it.
//!
//! [`Outlet::send`] writes from the calling thread when the socket takes it at
//! once, which saves a wake-up, and leaves the rest to a task otherwise; what
//! is sent meanwhile goes out in the same system call.

use bytes::{Buf, Bytes, BytesMut};
use oxidask_core::{Error, ErrorKind, Result};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::sync::Arc;
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::Notify;

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

/// Buffers up to this size are read together into one piece of memory.
const SMALL_BUFFER: u64 = 4 << 10;
/// How much is read from the socket at once.
const READ_CHUNK: usize = 64 << 10;
/// Most slices given to one system call.
const SLICES_MAX: usize = 256;
/// Bytes that may wait for a peer that does not read before it is given up.
const BACKLOG_MAX: usize = 8 << 30;

/// A batch of messages and the large memory beside them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Packet {
    /// The encoded messages.
    pub head: Bytes,
    /// The large memory, in the order in which the messages refer to it.
    pub buffers: Vec<Bytes>,
}

/// A connected socket of either family.
#[derive(Debug)]
pub enum Stream {
    /// Between processes of one machine.
    Unix(UnixStream),
    /// Between machines, or over loopback.
    Tcp(TcpStream),
}

impl Stream {
    /// A TCP stream that sends small packets at once.
    ///
    /// # Errors
    /// If the socket refuses the option, which means that it is gone.
    pub fn tcp(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Stream::Tcp(stream))
    }

    async fn readable(&self) -> io::Result<()> {
        match self {
            Stream::Unix(stream) => stream.readable().await,
            Stream::Tcp(stream) => stream.readable().await,
        }
    }

    async fn writable(&self) -> io::Result<()> {
        match self {
            Stream::Unix(stream) => stream.writable().await,
            Stream::Tcp(stream) => stream.writable().await,
        }
    }

    fn try_read_into(&self, buffer: &mut impl bytes::BufMut) -> io::Result<usize> {
        match self {
            Stream::Unix(stream) => stream.try_read_buf(buffer),
            Stream::Tcp(stream) => stream.try_read_buf(buffer),
        }
    }

    fn try_write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Stream::Unix(stream) => stream.try_write_vectored(slices),
            Stream::Tcp(stream) => stream.try_write_vectored(slices),
        }
    }

    /// Reads more bytes onto the end of `buffer`, which has room.
    ///
    /// # Errors
    /// If the socket fails, or the peer closed it (`UnexpectedEof`).
    pub(crate) async fn read_more(&self, buffer: &mut impl bytes::BufMut) -> io::Result<usize> {
        loop {
            match self.try_read_into(buffer) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => return Ok(count),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.readable().await?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Writes all of `bytes`; only for a stream that has no [`Outlet`] yet.
    ///
    /// # Errors
    /// If the socket fails.
    pub(crate) async fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.try_write_vectored(&[IoSlice::new(bytes)]) {
                Ok(count) => bytes = &bytes[count..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.writable().await?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Ends both directions, so that both ends notice at once.
    fn shutdown(&self) {
        // A socket that is already gone needs no shutdown.
        let _ = match self {
            Stream::Unix(stream) => rustix::net::shutdown(stream, rustix::net::Shutdown::Both),
            Stream::Tcp(stream) => rustix::net::shutdown(stream, rustix::net::Shutdown::Both),
        };
    }
}

/// Reads packets from a stream, one after another.
#[derive(Debug)]
pub struct Inlet {
    stream: Arc<Stream>,
    pending: BytesMut,
    limits: Limits,
}

impl Inlet {
    /// Reads from `stream` within `limits`.
    #[must_use]
    pub fn new(stream: Arc<Stream>, limits: Limits) -> Self {
        Inlet { stream, pending: BytesMut::with_capacity(READ_CHUNK), limits }
    }

    /// Changes what further packets may hold.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// The next packet.
    ///
    /// # Errors
    /// If the peer closed the stream, the socket failed, or the packet is
    /// beyond the limits.
    pub async fn next(&mut self) -> io::Result<Packet> {
        self.fill(8).await?;
        let head_length = self.pending.get_u32_le() as usize;
        let n_buffers = self.pending.get_u32_le() as usize;
        if head_length > self.limits.head || n_buffers > self.limits.buffers {
            return Err(too_large());
        }
        self.fill(8 * n_buffers).await?;
        let mut lengths = Vec::with_capacity(n_buffers);
        let mut total = 0_u64;
        for _ in 0..n_buffers {
            let length = self.pending.get_u64_le();
            total = total.saturating_add(length);
            lengths.push(length);
        }
        if total > self.limits.bytes {
            return Err(too_large());
        }
        self.fill(head_length).await?;
        let head = self.pending.split_to(head_length).freeze();
        let mut buffers = Vec::with_capacity(n_buffers);
        for length in lengths {
            buffers.push(self.buffer(length).await?);
        }
        Ok(Packet { head, buffers })
    }

    /// Waits until `wanted` bytes are pending.
    async fn fill(&mut self, wanted: usize) -> io::Result<()> {
        while self.pending.len() < wanted {
            // Room grows with what arrives, not with what the peer announces.
            self.pending.reserve(READ_CHUNK.min((wanted - self.pending.len()).max(READ_CHUNK)));
            self.stream.read_more(&mut self.pending).await?;
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
        memory.try_reserve_exact(length).map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory))?;
        let ready = self.pending.len().min(length);
        memory.extend_from_slice(&self.pending[..ready]);
        self.pending.advance(ready);
        while memory.len() < length {
            let missing = length - memory.len();
            self.stream.read_more(&mut (&mut memory).limit_to(missing)).await?;
        }
        Ok(memory.into())
    }
}

/// `BufMut::limit` under a name that does not clash with `Read`'s.
trait LimitTo: bytes::BufMut + Sized {
    fn limit_to(self, limit: usize) -> bytes::buf::Limit<Self> {
        self.limit(limit)
    }
}

impl LimitTo for &mut Vec<u8> {}

fn too_large() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "a packet is larger than allowed")
}

/// The sending half of a connection; clones share it.
#[derive(Clone, Debug)]
pub struct Outlet(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    stream: Arc<Stream>,
    backlog: Mutex<Backlog>,
    /// Wakes the task that writes what the socket did not take at once.
    blocked: Notify,
}

#[derive(Debug, Default)]
struct Backlog {
    chunks: VecDeque<Bytes>,
    bytes: usize,
    /// Whether the writing task waits for the socket; then senders only queue.
    is_blocked: bool,
    is_closed: bool,
}

impl Outlet {
    /// The sending half of `stream`. Must be called within a tokio runtime,
    /// which then carries the task that writes what a slow peer does not take.
    #[must_use]
    pub fn new(stream: Arc<Stream>) -> Self {
        let outlet = Outlet(Arc::new(Shared { stream, backlog: Mutex::default(), blocked: Notify::new() }));
        tokio::spawn(outlet.clone().write_when_blocked());
        outlet
    }

    /// Sends a packet, or queues it if the peer is slow. A closed connection
    /// swallows it: the reading half reports the loss.
    pub fn send(&self, packet: Packet) {
        self.queue(packet);
        self.flush();
    }

    /// Queues a packet to go out with the next [`Outlet::flush`].
    pub fn queue(&self, packet: Packet) {
        let mut prefix = BytesMut::with_capacity(8 + 8 * packet.buffers.len() + packet.head.len().min(READ_CHUNK));
        prefix.extend_from_slice(&u32::try_from(packet.head.len()).unwrap_or(u32::MAX).to_le_bytes());
        prefix.extend_from_slice(&u32::try_from(packet.buffers.len()).unwrap_or(u32::MAX).to_le_bytes());
        for buffer in &packet.buffers {
            prefix.extend_from_slice(&(buffer.len() as u64).to_le_bytes());
        }
        let head_follows = packet.head.len() > READ_CHUNK;
        if !head_follows {
            prefix.extend_from_slice(&packet.head);
        }
        let mut backlog = self.0.backlog.lock();
        if backlog.is_closed {
            return;
        }
        backlog.push(prefix.freeze());
        if head_follows {
            backlog.push(packet.head);
        }
        for buffer in packet.buffers {
            backlog.push(buffer);
        }
        if backlog.bytes > BACKLOG_MAX {
            drop(backlog);
            self.close();
        }
    }

    /// Writes what is queued as far as the socket takes it.
    pub fn flush(&self) {
        let mut backlog = self.0.backlog.lock();
        if backlog.is_blocked || backlog.is_closed {
            return;
        }
        match backlog.write(&self.0.stream) {
            Ok(true) => {}
            Ok(false) => {
                backlog.is_blocked = true;
                self.0.blocked.notify_one();
            }
            Err(_) => {
                drop(backlog);
                self.close();
            }
        }
    }

    /// Closes the connection at once; both ends' readers see its end.
    pub fn close(&self) {
        let mut backlog = self.0.backlog.lock();
        backlog.is_closed = true;
        backlog.chunks.clear();
        backlog.bytes = 0;
        drop(backlog);
        self.0.stream.shutdown();
        self.0.blocked.notify_one();
    }

    /// Waits until all that was sent is with the operating system, or the
    /// connection is closed.
    pub async fn drained(&self) {
        loop {
            {
                let backlog = self.0.backlog.lock();
                if backlog.is_closed || backlog.chunks.is_empty() {
                    return;
                }
            }
            if self.0.stream.writable().await.is_err() {
                return;
            }
            tokio::task::yield_now().await;
        }
    }

    async fn write_when_blocked(self) {
        loop {
            self.0.blocked.notified().await;
            loop {
                if self.0.backlog.lock().is_closed || self.0.stream.writable().await.is_err() {
                    return;
                }
                let mut backlog = self.0.backlog.lock();
                match backlog.write(&self.0.stream) {
                    Ok(true) => {
                        backlog.is_blocked = false;
                        break;
                    }
                    Ok(false) => {}
                    Err(_) => {
                        drop(backlog);
                        self.close();
                        return;
                    }
                }
            }
        }
    }
}

impl Backlog {
    fn push(&mut self, chunk: Bytes) {
        if !chunk.is_empty() {
            self.bytes += chunk.len();
            self.chunks.push_back(chunk);
        }
    }

    /// Writes until nothing is left (`true`) or the socket is full (`false`).
    fn write(&mut self, stream: &Stream) -> io::Result<bool> {
        while !self.chunks.is_empty() {
            let mut slices = [IoSlice::new(&[]); SLICES_MAX];
            let n_slices = self.chunks.len().min(SLICES_MAX);
            for (slice, chunk) in slices.iter_mut().zip(&self.chunks) {
                *slice = IoSlice::new(chunk);
            }
            match stream.try_write_vectored(&slices[..n_slices]) {
                Ok(count) => self.advance(count),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    fn advance(&mut self, mut count: usize) {
        self.bytes -= count;
        while count > 0 {
            let Some(first) = self.chunks.front_mut() else { return };
            if first.len() > count {
                first.advance(count);
                return;
            }
            count -= first.len();
            self.chunks.pop_front();
        }
    }
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

#[cfg(test)]
mod tests;

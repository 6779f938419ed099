//! What parent and child say to each other, and how it is sent.
//!
//! A packet is a head (length of the body, number of descriptors), the body
//! (postcard), and beside it the descriptors of shared memory that the body
//! points into.

use crate::again::Again;
use crate::encoded::Encoded;
use crate::segment::{self, FILES_MAX, Files, Placed, Received, SHARED_MIN_BYTES};
use bytes::Bytes;
use oxidask_core::error::ErrorFields;
use oxidask_core::{Error, ErrorKind, Frames, Key, Parts, Result, Value};
use oxidask_sched::Failure;
use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, sendmsg,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::io::{IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;

/// First words of the parent; the file of the child's progress comes with them, and
/// the socket for samples.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Welcome;

/// First words of a child.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Hello {
    /// [`oxidask_core::registry::fingerprint`] of the child.
    pub fingerprint: Key,
}

/// Tasks for a child, and what it must know to run them.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Batch {
    /// Works that no later task uses.
    pub dropped_works: Vec<u64>,
    /// Constants that no later work uses.
    pub dropped_blobs: Vec<Key>,
    /// Constants that the child does not have.
    pub blobs: Vec<(Key, WireFrames)>,
    /// Works that the child does not have.
    pub works: Vec<WireWork>,
    /// Inputs, each once.
    pub values: Vec<WireValue>,
    pub tasks: Vec<WireTask>,
}

/// An op under the parent's number for it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct WireWork {
    pub id: u64,
    pub kind: String,
    pub body: Bytes,
    pub blobs: Vec<Key>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct WireTask {
    pub work: u64,
    pub block: u32,
    /// Positions in [`Batch::values`].
    pub inputs: Vec<u32>,
}

/// How tasks of a batch ended.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Results {
    /// Whether the task that runs waits for others from now on.
    pub is_waiting: Option<bool>,
    pub ended: Vec<WireEnded>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct WireEnded {
    /// Position in [`Batch::tasks`].
    pub task: u32,
    pub duration_ns: u64,
    pub result: std::result::Result<WireValue, WireError>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct WireError {
    pub fields: ErrorFields,
    pub payload: Option<WireValue>,
    /// Whether the task could not be run at all.
    pub is_fatal: bool,
    /// Whether it was not begun, because the parent did not want it to be.
    pub is_recalled: bool,
    /// Whether it asks to be run once more.
    pub is_again: bool,
}

/// A value whose large buffers lie in descriptors beside the packet.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum WireValue {
    One(String, WireFrames),
    Parts(Vec<WireValue>),
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct WireFrames {
    header: Bytes,
    buffers: Vec<WireBuffer>,
}

#[derive(Debug, Serialize, Deserialize)]
enum WireBuffer {
    Inline(Bytes),
    /// Position among the packet's descriptors, and where the buffer lies in it.
    Shared(u32, u64, u64),
}

/// Descriptors of one packet, on the sending side.
#[derive(Default)]
pub(super) struct Outbox {
    files: Files,
}

/// Descriptors beyond which a sender had better send what it has.
pub(super) const MANY_FILES: usize = 64;
/// Longest body.
const MAX_BODY_BYTES: u32 = 2 << 30;
const HEAD_BYTES: usize = 8;

impl Outbox {
    /// Number of descriptors that will be sent.
    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// Encodes a value; buffers in shared memory are passed on, other large ones
    /// are copied there.
    ///
    /// # Errors
    /// If the value cannot travel.
    pub fn value(&mut self, value: &Value) -> Result<WireValue> {
        if let Some(parts) = value.data().parts() {
            return Ok(WireValue::Parts(parts.iter().map(|part| self.value(part)).collect::<Result<_>>()?));
        }
        let frames = self.frames(value.data().encode()?)?;
        Ok(WireValue::One(value.data().kind().to_owned(), frames))
    }

    pub fn frames(&mut self, frames: Frames) -> Result<WireFrames> {
        let placed = self.files.share(frames.buffers, SHARED_MIN_BYTES)?;
        let buffers = placed.into_iter().map(|placed| match placed {
            Placed::Inline(bytes) => WireBuffer::Inline(bytes),
            Placed::Shared(file, range) => WireBuffer::Shared(file, range.start, range.end),
        });
        Ok(WireFrames { header: frames.header, buffers: buffers.collect() })
    }

    /// Sends a message with the descriptors, which are then closed here.
    ///
    /// # Errors
    /// If the other side is gone, or the message is too long.
    pub fn send(self, socket: &UnixStream, message: &impl Serialize) -> Result<()> {
        send_with(socket, message, &self.files.as_fds())
    }
}

/// Sends a message with descriptors of any kind.
pub(super) fn send_with(socket: &UnixStream, message: &impl Serialize, files: &[BorrowedFd<'_>]) -> Result<()> {
    let mut packet = postcard::to_extend(message, vec![0; HEAD_BYTES])?;
    let length = u32::try_from(packet.len() - HEAD_BYTES).ok().filter(|&length| length <= MAX_BODY_BYTES);
    let Some(length) = length else {
        return Err(Error::value("the inputs or the result of a task are too large to send to another process")
            .with_hint("use more, smaller partitions or chunks"));
    };
    packet[..4].copy_from_slice(&length.to_le_bytes());
    packet[4..8].copy_from_slice(&(files.len() as u32).to_le_bytes());
    send_packet(socket, &packet, files).map_err(|cause| Error::io("writing to another process", &cause))
}

fn send_packet(mut socket: &UnixStream, packet: &[u8], files: &[BorrowedFd<'_>]) -> std::io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FILES_MAX))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !files.is_empty() && !control.push(SendAncillaryMessage::ScmRights(files)) {
        return Err(std::io::Error::other("too many descriptors in one packet"));
    }
    let sent =
        rustix::io::retry_on_intr(|| sendmsg(socket, &[IoSlice::new(packet)], &mut control, SendFlags::NOSIGNAL))?;
    socket.write_all(&packet[sent..])
}

/// Descriptors of one packet, on the receiving side.
pub(super) struct Inbox {
    files: Vec<Received>,
}

/// Receives a message; none if the other side is gone.
///
/// # Errors
/// If the connection breaks, or the packet is not understood.
pub(super) fn receive<T: DeserializeOwned>(socket: &UnixStream) -> Result<Option<(T, Inbox)>> {
    let Some((message, files)) = receive_with(socket)? else { return Ok(None) };
    let files = files.into_iter().map(segment::receive).collect::<Result<_>>()?;
    Ok(Some((message, Inbox { files })))
}

/// Waits until there may be something to read. Who waits by reading is also woken
/// whenever the other side has read something, for nothing.
fn wait_readable(socket: &UnixStream) {
    let mut wanted = libc::pollfd { fd: socket.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: the system reads and writes one pollfd, which lives on this stack
    // until the call returns. However it ends, reading waits for what is missing.
    unsafe { libc::poll(&raw mut wanted, 1, -1) };
}

/// Receives a message with descriptors of any kind.
pub(super) fn receive_with<T: DeserializeOwned>(socket: &UnixStream) -> Result<Option<(T, Vec<OwnedFd>)>> {
    let broken = |cause: &std::io::Error| Error::io("reading from another process", cause);
    let mut head = [0; HEAD_BYTES];
    let mut descriptors: Vec<OwnedFd> = Vec::new();
    let mut n_read = 0;
    wait_readable(socket);
    while n_read < HEAD_BYTES {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FILES_MAX))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let received = rustix::io::retry_on_intr(|| {
            recvmsg(socket, &mut [IoSliceMut::new(&mut head[n_read..])], &mut control, RecvFlags::CMSG_CLOEXEC)
        })
        .map_err(|cause| broken(&cause.into()))?;
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(files) = message {
                descriptors.extend(files);
            }
        }
        if received.bytes == 0 {
            return Ok(None);
        }
        n_read += received.bytes;
    }
    let word = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    let (length, n_files) = (word(0), word(4));
    if length > MAX_BODY_BYTES || n_files as usize != descriptors.len() {
        return Err(Error::new(ErrorKind::Version, "a process sent a packet that makes no sense"));
    }
    let mut body = Vec::with_capacity(length as usize);
    socket.take(u64::from(length)).read_to_end(&mut body).map_err(|cause| broken(&cause))?;
    if body.len() < length as usize {
        return Ok(None);
    }
    Ok(Some((postcard::from_bytes(&body)?, descriptors)))
}

impl Inbox {
    /// The value, still encoded.
    ///
    /// # Errors
    /// If it points outside of what came with it.
    pub fn value(&self, value: WireValue) -> Result<Value> {
        match value {
            WireValue::One(kind, frames) => Encoded::new(&kind, self.frames(frames)?).map(Value::new),
            WireValue::Parts(parts) => {
                Ok(Value::new(Parts(parts.into_iter().map(|part| self.value(part)).collect::<Result<_>>()?)))
            }
        }
    }

    pub fn frames(&self, frames: WireFrames) -> Result<Frames> {
        let buffers = frames
            .buffers
            .into_iter()
            .map(|buffer| match buffer {
                WireBuffer::Inline(bytes) => Ok(bytes),
                WireBuffer::Shared(file, start, end) => self
                    .files
                    .get(file as usize)
                    .ok_or_else(|| Error::new(ErrorKind::Version, "a value came without its shared memory"))?
                    .slice(start..end),
            })
            .collect::<Result<_>>()?;
        Ok(Frames { header: frames.header, buffers })
    }
}

impl WireError {
    /// Takes an error apart. A payload that cannot travel stays behind.
    pub fn new(error: &Error, is_fatal: bool, is_recalled: bool, outbox: &mut Outbox) -> Self {
        let payload = error.payload().and_then(|payload| outbox.value(payload).ok());
        let is_again = Again::failure_of(error) == Failure::Again;
        WireError { fields: error.to_fields(), payload, is_fatal, is_recalled, is_again }
    }

    pub fn into_error(self, inbox: &Inbox) -> Error {
        let payload = self.payload.and_then(|payload| inbox.value(payload).and_then(crate::encoded::decoded).ok());
        Error::from_fields(self.fields, payload)
    }
}

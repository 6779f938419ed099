//! Batches of messages with the memory beside them.

use super::{WireError, WireValue};
use crate::wire::{self, Packet};
use bytes::Bytes;
use oxidask_core::{Error, ErrorKind, Frames, Result, Value};
use oxidask_exec::{Encoded, decoded};
use serde::Serialize;

/// A batch of messages that is being written.
#[derive(Debug)]
pub struct Outbox<M> {
    /// The messages.
    pub messages: Vec<M>,
    /// The memory beside them, in order.
    pub buffers: Vec<Bytes>,
}

impl<M> Default for Outbox<M> {
    fn default() -> Self {
        Outbox { messages: Vec::new(), buffers: Vec::new() }
    }
}

impl<M: Serialize> Outbox<M> {
    /// Whether there is nothing to send.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Adds a message.
    pub fn push(&mut self, message: M) {
        self.messages.push(message);
    }

    /// Takes a value's buffers along; the answer goes into the next message.
    pub fn frames(&mut self, kind: &str, frames: Frames) -> WireValue {
        let n_buffers = u32::try_from(frames.buffers.len()).expect("a value has fewer than 2^32 buffers");
        self.buffers.extend(frames.buffers);
        WireValue { kind: kind.to_owned(), header: frames.header, n_buffers }
    }

    /// Encodes a value; the answer goes into the next message.
    ///
    /// # Errors
    /// If the value cannot travel.
    pub fn value(&mut self, value: &Value) -> Result<WireValue> {
        Ok(self.frames(value.data().kind(), value.data().encode()?))
    }

    /// Takes an error and its payload along; the answer goes into the next
    /// message. A payload that cannot travel is left out: the message, the
    /// traceback and the key say enough.
    pub fn error(&mut self, error: &Error) -> WireError {
        let payload = error.payload().and_then(|payload| self.value(payload).ok());
        WireError { fields: error.to_fields(), payload }
    }

    /// The packet; the box is empty afterwards.
    ///
    /// # Errors
    /// If it is too large to send.
    pub fn take(&mut self) -> Result<Packet> {
        let messages = std::mem::take(&mut self.messages);
        wire::encode(&messages, std::mem::take(&mut self.buffers))
    }
}

/// The buffers of a packet that arrived; messages take theirs in order.
#[derive(Debug)]
pub struct Inbox(std::vec::IntoIter<Bytes>);

impl Inbox {
    /// The messages of a packet and its buffers.
    ///
    /// # Errors
    /// If it is not a batch of `M`.
    pub fn open<M: serde::de::DeserializeOwned>(packet: Packet) -> Result<(Vec<M>, Inbox)> {
        Ok((wire::decode(&packet.head)?, Inbox(packet.buffers.into_iter())))
    }

    /// The frames of a value whose turn it is.
    ///
    /// # Errors
    /// If the packet has not enough buffers.
    pub fn frames(&mut self, header: Bytes, n_buffers: u32) -> Result<Frames> {
        let buffers: Vec<Bytes> = self.0.by_ref().take(n_buffers as usize).collect();
        if buffers.len() != n_buffers as usize {
            return Err(Error::new(ErrorKind::Version, "a message arrived without all of its data"));
        }
        Ok(Frames { header, buffers })
    }

    /// A value whose turn it is, still encoded.
    ///
    /// # Errors
    /// If the packet has not enough buffers.
    pub fn value(&mut self, value: WireValue) -> Result<Value> {
        let frames = self.frames(value.header, value.n_buffers)?;
        Encoded::value(&value.kind, frames)
    }

    /// An error whose turn it is; its payload stays encoded.
    ///
    /// # Errors
    /// If the packet has not enough buffers.
    pub fn error(&mut self, error: WireError) -> Result<Error> {
        let payload = error.payload.map(|payload| self.value(payload)).transpose()?;
        Ok(Error::from_fields(error.fields, payload))
    }
}

/// The same error with its payload decoded, if this build knows its kind.
#[must_use]
pub fn with_decoded_payload(error: Error) -> Error {
    let payload = error.payload().cloned().and_then(|payload| decoded(payload).ok());
    Error::from_fields(error.to_fields(), payload)
}

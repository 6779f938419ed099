//! Constants that are sent once per connection.
//!
//! The sender keeps a [`SentBlobs`], the receiver a [`KeptBlobs`]; both hold the
//! same keys, because the connection keeps the order: the sender decides what
//! the receiver forgets, oldest use first, once a connection holds more than
//! [`BYTES_MAX`]. What ops already hold is not touched by that: their memory is
//! shared, not owned, by the cache.

use crate::protocol::{BlobMessage, Inbox, WireOp};
use bytes::Bytes;
use hashbrown::HashMap;
use oxidask_core::{Blob, EncodedOp, Error, ErrorKind, Frames, Key, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use crate::protocol::Outbox;

/// Bytes of blobs that a connection keeps for later use.
pub const BYTES_MAX: u64 = 256 << 20;
/// Number of blobs that a connection keeps for later use.
const BLOBS_MAX: usize = 4096;

/// What the other side of a connection was sent and still holds.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct SentBlobs {
    sent: BTreeMap<Key, Sent>,
    bytes: u64,
    clock: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Sent {
    bytes: u64,
    used: u64,
}

impl SentBlobs {
    /// The op as it is to be sent; blobs that the other side lacks are put into
    /// `outbox` before.
    pub fn op<M: Serialize>(
        &mut self,
        op: &EncodedOp,
        runs_user_code: bool,
        outbox: &mut Outbox<M>,
        wrap: fn(BlobMessage) -> M,
    ) -> WireOp {
        for blob in &op.blobs {
            self.clock += 1;
            let used = self.clock;
            if let Some(sent) = self.sent.get_mut(&blob.key) {
                sent.used = used;
                continue;
            }
            let bytes = blob.frames.nbytes();
            self.sent.insert(blob.key, Sent { bytes, used });
            self.bytes += bytes;
            let value = outbox.frames("", blob.frames.clone());
            outbox.push(wrap(BlobMessage::Keep { key: blob.key, header: value.header, n_buffers: value.n_buffers }));
        }
        WireOp {
            kind: op.kind.clone(),
            body: op.body.clone(),
            blobs: op.blobs.iter().map(|blob| blob.key).collect(),
            runs_user_code,
        }
    }

    /// Puts what the other side is to forget into `outbox`; to be called after
    /// the messages that use the blobs.
    pub fn trim<M: Serialize>(&mut self, outbox: &mut Outbox<M>, wrap: fn(BlobMessage) -> M) {
        if self.bytes <= BYTES_MAX && self.sent.len() <= BLOBS_MAX {
            return;
        }
        let mut by_use: Vec<(u64, Key)> = self.sent.iter().map(|(&key, sent)| (sent.used, key)).collect();
        by_use.sort_unstable();
        let mut forgotten = Vec::new();
        // Half is kept, so that this is not done again for each blob.
        for (_, key) in by_use {
            if self.bytes <= BYTES_MAX / 2 && self.sent.len() <= BLOBS_MAX / 2 {
                break;
            }
            if let Some(sent) = self.sent.remove(&key) {
                self.bytes -= sent.bytes;
                forgotten.push(key);
            }
        }
        outbox.push(wrap(BlobMessage::Forget(forgotten)));
    }
}

/// What the other side of a connection sent and has not told us to forget.
#[derive(Debug, Default)]
pub struct KeptBlobs(HashMap<Key, Frames>);

/// Blobs as they are written down: key, header, buffers.
pub type WrittenBlobs = Vec<(Key, Bytes, Vec<Bytes>)>;

/// Blobs of several connections and ops while they are written down or read: each
/// once.
#[derive(Debug, Default)]
pub struct Blobs(BTreeMap<Key, Frames>);

impl Blobs {
    /// Adds those of an op; answers their keys.
    pub fn write_op(&mut self, op: &EncodedOp) -> Vec<Key> {
        let add = |blob: &Blob| {
            self.0.entry(blob.key).or_insert_with(|| blob.frames.clone());
            blob.key
        };
        op.blobs.iter().map(add).collect()
    }

    /// Adds those that a connection keeps; answers their keys, sorted.
    pub fn write_kept(&mut self, kept: &KeptBlobs) -> Vec<Key> {
        let mut keys: Vec<Key> = kept.0.keys().copied().collect();
        keys.sort_unstable();
        for key in &keys {
            self.0.entry(*key).or_insert_with(|| kept.0[key].clone());
        }
        keys
    }

    /// All of them, to be written down.
    #[must_use]
    pub fn into_written(self) -> WrittenBlobs {
        self.0.into_iter().map(|(key, Frames { header, buffers })| (key, header, buffers)).collect()
    }

    /// What was written down.
    #[must_use]
    pub fn of_written(written: WrittenBlobs) -> Self {
        Blobs(written.into_iter().map(|(key, header, buffers)| (key, Frames { header, buffers })).collect())
    }

    /// The op with its blobs.
    ///
    /// # Errors
    /// If one of them is not there.
    pub fn op(&self, op: WireOp) -> Result<EncodedOp> {
        with_blobs(op, |key| self.0.get(key))
    }

    /// Those with these keys, as a connection keeps them.
    #[must_use]
    pub fn kept(&self, keys: &[Key]) -> KeptBlobs {
        KeptBlobs(keys.iter().filter_map(|key| Some((*key, self.0.get(key)?.clone()))).collect())
    }
}

fn with_blobs<'a>(op: WireOp, find: impl Fn(&Key) -> Option<&'a Frames>) -> Result<EncodedOp> {
    let blobs = op
        .blobs
        .into_iter()
        .map(|key| {
            let frames = find(&key).cloned().ok_or_else(|| {
                Error::new(ErrorKind::Version, format!("an operation '{}' arrived without its data", op.kind))
            })?;
            Ok(Blob { key, frames })
        })
        .collect::<Result<_>>()?;
    Ok(EncodedOp { kind: op.kind, body: op.body, blobs })
}

impl KeptBlobs {
    /// Takes a message of the other side.
    ///
    /// # Errors
    /// If the packet has not enough buffers.
    pub fn take(&mut self, message: BlobMessage, inbox: &mut Inbox) -> Result<()> {
        match message {
            BlobMessage::Keep { key, header, n_buffers } => {
                let frames = inbox.frames(header, n_buffers)?;
                self.0.insert(key, frames);
            }
            BlobMessage::Forget(keys) => {
                for key in keys {
                    self.0.remove(&key);
                }
            }
        }
        Ok(())
    }

    /// The op with its blobs.
    ///
    /// # Errors
    /// If the other side did not send one of them.
    pub fn op(&self, op: WireOp) -> Result<EncodedOp> {
        with_blobs(op, |key| self.0.get(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn op(number: u64, bytes: usize) -> EncodedOp {
        let blob = Blob::new(Frames {
            header: Bytes::copy_from_slice(&number.to_le_bytes()),
            buffers: vec![vec![0; bytes].into()],
        });
        EncodedOp { kind: "test".to_owned(), body: Bytes::new(), blobs: vec![blob] }
    }

    /// Sends `op` and answers how many blobs travelled.
    fn transfer(sent: &mut SentBlobs, kept: &mut KeptBlobs, op: &EncodedOp) -> usize {
        let mut outbox: Outbox<BlobMessage> = Outbox::default();
        let wire = sent.op(op, false, &mut outbox, |message| message);
        let (messages, mut inbox) = Inbox::open::<BlobMessage>(outbox.take().unwrap()).unwrap();
        let count = messages.len();
        for message in messages {
            kept.take(message, &mut inbox).unwrap();
        }
        let arrived = kept.op(wire).unwrap();
        assert_eq!(arrived.blobs[0].frames, op.blobs[0].frames);
        sent.trim(&mut outbox, |message| message);
        let (messages, mut inbox) = Inbox::open::<BlobMessage>(outbox.take().unwrap()).unwrap();
        for message in messages {
            kept.take(message, &mut inbox).unwrap();
        }
        count
    }

    #[test]
    fn a_blob_travels_once() {
        let (mut sent, mut kept) = Default::default();
        assert_eq!(transfer(&mut sent, &mut kept, &op(1, 100)), 1);
        assert_eq!(transfer(&mut sent, &mut kept, &op(1, 100)), 0);
        assert_eq!(transfer(&mut sent, &mut kept, &op(2, 100)), 1);
    }

    #[test]
    fn both_sides_forget_the_oldest() {
        let (mut sent, mut kept) = Default::default();
        for number in 0..BLOBS_MAX as u64 + 1 {
            transfer(&mut sent, &mut kept, &op(number, 1));
        }
        assert_eq!(sent.sent.len(), kept.0.len());
        assert!(sent.sent.len() <= BLOBS_MAX / 2);
        assert_eq!(transfer(&mut sent, &mut kept, &op(BLOBS_MAX as u64, 1)), 0, "the newest is still there");
        assert_eq!(transfer(&mut sent, &mut kept, &op(0, 1)), 1, "the oldest travels again");
    }
}

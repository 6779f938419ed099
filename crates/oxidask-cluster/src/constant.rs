//! The op that stands for values within a graph.
//!
//! A graph that a client submits may hold values (a NumPy array that became an
//! array's block). They travel as blobs of this op, once to each worker that
//! needs them, so that a worker's death loses none: the op runs again elsewhere.

use oxidask_core::registry::OpEntry;
use oxidask_core::{Blob, EncodedOp, Error, ErrorKind, Frames, Op, OpCodec, Result, Value};
use oxidask_exec::Encoded;
use std::borrow::Cow;
use std::sync::Arc;

const KIND: &str = "cluster.constant";

/// Values of about this size together share an op; larger ones have their own,
/// so that a worker receives what it needs and little else.
const GROUP_BYTES: u64 = 64 << 10;

/// Answers the value with the number of the task's block. The values stay
/// encoded: whoever reads them decodes them.
pub struct Constants(Vec<Value>);

/// Number of an op, and a block of it.
pub type OpBlock = (u32, u32);

impl Constants {
    /// The encoded ops for some values, and for each value which op and which
    /// block of it answers the value.
    ///
    /// # Errors
    /// If a value cannot travel.
    pub fn encode_all(values: &[Value]) -> Result<(Vec<EncodedOp>, Vec<OpBlock>)> {
        let mut ops = Vec::new();
        let mut places = Vec::with_capacity(values.len());
        let mut group: Vec<(&'static str, Frames)> = Vec::new();
        let mut bytes = 0;
        for value in values {
            let frames = value.data().encode()?;
            if !group.is_empty() && bytes + frames.nbytes() > GROUP_BYTES {
                ops.push(encode_group(std::mem::take(&mut group))?);
                bytes = 0;
            }
            bytes += frames.nbytes();
            places.push((ops.len() as u32, group.len() as u32));
            group.push((value.data().kind(), frames));
        }
        if !group.is_empty() {
            ops.push(encode_group(group)?);
        }
        Ok((ops, places))
    }
}

fn encode_group(values: Vec<(&'static str, Frames)>) -> Result<EncodedOp> {
    let kinds: Vec<&str> = values.iter().map(|(kind, _)| *kind).collect();
    let body = postcard::to_allocvec(&kinds)?;
    let blobs = values.into_iter().map(|(_, frames)| Blob::new(frames)).collect();
    Ok(EncodedOp { kind: KIND.to_owned(), body: body.into(), blobs })
}

impl OpCodec for Constants {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn encode(&self) -> Result<EncodedOp> {
        encode_group(
            self.0.iter().map(|value| Ok((value.data().kind(), value.data().encode()?))).collect::<Result<_>>()?,
        )
    }
}

impl Op for Constants {
    fn run(&self, block: u64, _inputs: &[Value]) -> Result<Value> {
        usize::try_from(block)
            .ok()
            .and_then(|block| self.0.get(block).cloned())
            .ok_or_else(|| Error::index(format!("there is no constant number {block}")))
    }

    fn label(&self) -> Cow<'_, str> {
        Cow::Borrowed("data")
    }
}

fn decode(encoded: &EncodedOp) -> Result<Arc<dyn Op>> {
    let kinds: Vec<String> = postcard::from_bytes(&encoded.body)?;
    if kinds.len() != encoded.blobs.len() {
        return Err(Error::new(ErrorKind::Version, "constants arrived without their data"));
    }
    let values = kinds
        .iter()
        .zip(&encoded.blobs)
        .map(|(kind, blob)| Encoded::value(kind, blob.frames.clone()))
        .collect::<Result<_>>()?;
    Ok(Arc::new(Constants(values)))
}

oxidask_core::private::inventory::submit! { OpEntry { kind: KIND, decode } }

//! The two tables by which operations and values find their decoders.
//!
//! `#[op("name")]` and `#[data("kind")]` add a row beside the definition; no
//! central match has to learn about a new op. Both ends of a connection compare
//! [`fingerprint`]s, so that two differing builds say so at connect time and
//! not when a task fails to decode.

use crate::error::{Error, ErrorKind, Result};
use crate::key::{Key, KeyHasher};
use crate::op::Op;
use crate::value::{Frames, Value};
use bytes::Bytes;
use hashbrown::HashMap;
use std::sync::{Arc, LazyLock};

/// How an op names and encodes itself; derived by `#[op]`.
pub trait OpCodec {
    /// The registered name, such as `array.reduce`.
    fn kind(&self) -> &'static str;

    /// The op as bytes that [`decode_op`] turns back.
    ///
    /// # Errors
    /// If the op, or a user's function in it, cannot travel.
    fn encode(&self) -> Result<EncodedOp>;
}

/// How a kind of data names itself; derived by `#[data]`.
pub trait DataKind {
    /// The registered name, such as `array.block`.
    fn kind(&self) -> &'static str;
}

/// A constant that several ops or tasks use: a NumPy array, a closure. It is
/// named by its content and sent to each process once.
#[derive(Clone, Debug)]
pub struct Blob {
    /// The hash of the content.
    pub key: Key,
    /// The content.
    pub frames: Frames,
}

impl Blob {
    /// Names `frames` by their content.
    #[must_use]
    pub fn new(frames: Frames) -> Self {
        let hasher = KeyHasher::new("blob").bytes(&frames.header);
        let key = frames.buffers.iter().fold(hasher, |hasher, buffer| hasher.bytes(buffer)).finish();
        Blob { key, frames }
    }
}

/// An op ready to travel: its small parameters, and its constants beside them.
#[derive(Clone, Debug)]
pub struct EncodedOp {
    /// The registered name.
    pub kind: String,
    /// The parameters.
    pub body: Bytes,
    /// The constants, in the order in which the op asks for them back.
    pub blobs: Vec<Blob>,
}

/// A row of the table of operations.
pub struct OpEntry {
    /// The registered name.
    pub kind: &'static str,
    /// The decoder.
    pub decode: fn(&EncodedOp) -> Result<Arc<dyn Op>>,
}

/// A row of the table of kinds of data.
pub struct DataEntry {
    /// The registered name.
    pub kind: &'static str,
    /// The decoder.
    pub decode: fn(Frames) -> Result<Value>,
}

inventory::collect!(OpEntry);
inventory::collect!(DataEntry);

static OPS: LazyLock<HashMap<&'static str, &'static OpEntry>> =
    LazyLock::new(|| table(inventory::iter::<OpEntry>.into_iter().map(|entry| (entry.kind, entry))));

static DATA: LazyLock<HashMap<&'static str, &'static DataEntry>> =
    LazyLock::new(|| table(inventory::iter::<DataEntry>.into_iter().map(|entry| (entry.kind, entry))));

fn table<T>(rows: impl Iterator<Item = (&'static str, &'static T)>) -> HashMap<&'static str, &'static T> {
    let mut table = HashMap::new();
    for (kind, entry) in rows {
        assert!(table.insert(kind, entry).is_none(), "'{kind}' is registered twice");
    }
    table
}

fn unknown(what: &str, kind: &str) -> Error {
    Error::new(ErrorKind::Version, format!("this process knows no {what} '{kind}'"))
        .with_hint("run the same build of oxidask, and of your program, in every process")
}

/// Rebuilds an op from its encoded form.
///
/// # Errors
/// If this build does not know the op, or the bytes are not its own.
pub fn decode_op(encoded: &EncodedOp) -> Result<Arc<dyn Op>> {
    let entry = OPS.get(encoded.kind.as_str()).ok_or_else(|| unknown("operation", &encoded.kind))?;
    (entry.decode)(encoded)
}

/// Rebuilds a value from its frames.
///
/// # Errors
/// If this build does not know the kind, or the frames are not its own.
pub fn decode_value(kind: &str, frames: Frames) -> Result<Value> {
    let entry = DATA.get(kind).ok_or_else(|| unknown("kind of data", kind))?;
    (entry.decode)(frames)
}

/// All registered names, sorted: operations first, then kinds of data.
#[must_use]
pub fn registered() -> Vec<String> {
    let mut names: Vec<String> = OPS.keys().map(|kind| format!("op {kind}")).collect();
    names.extend(DATA.keys().map(|kind| format!("data {kind}")));
    names.sort_unstable();
    names
}

/// A hash of this build's version and registered names.
#[must_use]
pub fn fingerprint() -> Key {
    registered()
        .iter()
        .fold(KeyHasher::new(env!("CARGO_PKG_VERSION")), |hasher, name| hasher.bytes(name.as_bytes()))
        .finish()
}

//! Results: shared, immutable, of an open set of kinds.
//!
//! A [`Value`] is what a task makes and what its consumers read. It is never
//! changed after it was made, so sharing is a reference count. Kinds of data
//! live beside the code that makes them and register a decoder with
//! `#[data("kind")]`; this module knows none of them but [`Parts`].

use crate::error::{Error, Result};
use crate::registry::DataKind;
use bytes::Bytes;
use std::any::Any;
use std::fmt;
use std::sync::Arc;

/// A kind of value: how big it is and how it travels.
pub trait Data: DataKind + Any + Send + Sync {
    /// Bytes held in memory, for the ledger that bounds memory. An estimate is
    /// fine where the truth is not known (a Python object).
    fn nbytes(&self) -> u64;

    /// The value as a small header and large buffers. Buffers are to be shared,
    /// not copied, where the value already holds them contiguously.
    ///
    /// # Errors
    /// If the value cannot travel, such as a Python object that cannot be
    /// pickled.
    fn encode(&self) -> Result<Frames>;

    /// The separately addressable parts, for a value with several outputs.
    fn parts(&self) -> Option<&[Value]> {
        None
    }

    /// The type's name for messages.
    fn describe(&self) -> String {
        self.kind().to_owned()
    }
}

/// The inverse of [`Data::encode`].
pub trait Decode: Data + Sized {
    /// Rebuilds the value; buffers may be kept and shared.
    ///
    /// # Errors
    /// If the frames are not what [`Data::encode`] of this kind makes.
    fn decode(frames: Frames) -> Result<Self>;
}

/// An encoded value: a header of a few bytes and the large buffers beside it.
#[derive(Clone, Default, Debug, PartialEq, Eq)]
pub struct Frames {
    /// Kind-specific description, such as dtype and shape.
    pub header: Bytes,
    /// Large memory, shared with the value where possible.
    pub buffers: Vec<Bytes>,
}

impl Frames {
    /// Frames without large buffers.
    pub fn inline(header: impl Into<Bytes>) -> Self {
        Frames { header: header.into(), buffers: Vec::new() }
    }

    /// All bytes together.
    #[must_use]
    pub fn nbytes(&self) -> u64 {
        (self.header.len() + self.buffers.iter().map(Bytes::len).sum::<usize>()) as u64
    }
}

/// A shared, immutable result.
#[derive(Clone)]
pub struct Value(Arc<dyn Data>);

impl Value {
    /// Wraps a piece of data.
    pub fn new<T: Data>(data: T) -> Self {
        Value(Arc::new(data))
    }

    /// Wraps data that is already shared.
    #[must_use]
    pub fn from_arc(data: Arc<dyn Data>) -> Self {
        Value(data)
    }

    /// The data, whatever its kind.
    #[must_use]
    pub fn data(&self) -> &dyn Data {
        &*self.0
    }

    /// The data if it is a `T`.
    #[must_use]
    pub fn get<T: Data>(&self) -> Option<&T> {
        (self.data() as &dyn Any).downcast_ref()
    }

    /// The data as a `T`.
    ///
    /// # Errors
    /// If it is of another kind; the message names both.
    pub fn expect<T: Data>(&self) -> Result<&T> {
        self.get().ok_or_else(|| {
            Error::type_(format!(
                "a task got a value of kind '{}' where it needs {}",
                self.0.kind(),
                std::any::type_name::<T>().rsplit("::").next().unwrap_or("another"),
            ))
        })
    }

    /// The data as a shared `T`, to keep it without copying.
    ///
    /// # Errors
    /// Hands the value back if it is of another kind.
    pub fn downcast<T: Data>(self) -> Result<Arc<T>, Value> {
        if self.get::<T>().is_some() {
            let any: Arc<dyn Any + Send + Sync> = self.0;
            Ok(any.downcast().expect("checked above"))
        } else {
            Err(self)
        }
    }

    /// Takes the data out if nobody else holds it, so that its memory can be
    /// reused in place.
    ///
    /// # Errors
    /// Hands the value back if it is shared or of another kind.
    pub fn into_unique<T: Data>(self) -> Result<T, Value> {
        let shared = self.downcast::<T>()?;
        Arc::try_unwrap(shared).map_err(|shared| Value(shared))
    }

    /// Bytes held in memory.
    #[must_use]
    pub fn nbytes(&self) -> u64 {
        self.0.nbytes()
    }

    /// One part of a value with several outputs, or the whole.
    ///
    /// # Errors
    /// If there is no such part.
    pub fn part(&self, part: Option<u32>) -> Result<Value> {
        let Some(index) = part else { return Ok(self.clone()) };
        self.0
            .parts()
            .and_then(|parts| parts.get(index as usize).cloned())
            .ok_or_else(|| Error::index(format!("a '{}' has no part {index}", self.0.kind())))
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Value({}, {} bytes)", self.0.kind(), self.nbytes())
    }
}

/// The several outputs of one task, each of which an input may name alone, so
/// that a shuffle of n partitions is n + n tasks and not n².
pub struct Parts(pub Vec<Value>);

impl DataKind for Parts {
    fn kind(&self) -> &'static str {
        "parts"
    }
}

impl Data for Parts {
    fn nbytes(&self) -> u64 {
        self.0.iter().map(Value::nbytes).sum()
    }

    fn encode(&self) -> Result<Frames> {
        let mut header: Vec<(String, Bytes, u32)> = Vec::with_capacity(self.0.len());
        let mut buffers = Vec::new();
        for part in &self.0 {
            let frames = part.data().encode()?;
            let n_buffers = u32::try_from(frames.buffers.len())
                .map_err(|_| Error::value("a value has more than 4 billion buffers"))?;
            header.push((part.data().kind().to_owned(), frames.header, n_buffers));
            buffers.extend(frames.buffers);
        }
        Ok(Frames { header: postcard::to_allocvec(&header)?.into(), buffers })
    }

    fn parts(&self) -> Option<&[Value]> {
        Some(&self.0)
    }
}

impl Decode for Parts {
    fn decode(frames: Frames) -> Result<Self> {
        let header: Vec<(String, Bytes, u32)> = postcard::from_bytes(&frames.header)?;
        let mut buffers = frames.buffers.into_iter();
        let mut parts = Vec::with_capacity(header.len());
        for (kind, header, n_buffers) in header {
            let buffers: Vec<Bytes> = buffers.by_ref().take(n_buffers as usize).collect();
            if buffers.len() != n_buffers as usize {
                return Err(Error::new(
                    crate::error::ErrorKind::Version,
                    "a value with parts arrived without all of its buffers",
                ));
            }
            parts.push(crate::registry::decode_value(&kind, Frames { header, buffers })?);
        }
        Ok(Parts(parts))
    }
}

inventory::submit! {
    crate::registry::DataEntry {
        kind: "parts",
        decode: |frames| Parts::decode(frames).map(Value::new),
    }
}

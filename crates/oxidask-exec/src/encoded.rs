//! Values that stay encoded until somebody in this process reads them.

use bytes::Bytes;
use hashbrown::HashSet;
use oxidask_core::registry::decode_value;
use oxidask_core::{Data, DataKind, Error, ErrorKind, Frames, Parts, Result, Value};
use parking_lot::Mutex;

/// A value as another process encoded it. It passes for its own kind, so that it
/// travels on unchanged; [`decoded`] makes the real thing of it.
pub struct Encoded {
    kind: &'static str,
    frames: Frames,
}

impl Encoded {
    /// Wraps frames of a kind, which need not be known here.
    ///
    /// # Errors
    /// If more different kinds came than any program has, which is a peer gone
    /// wrong.
    pub fn new(kind: &str, frames: Frames) -> Result<Self> {
        Ok(Encoded { kind: intern(kind)?, frames })
    }

    /// The value for frames of a kind. Values with parts are taken apart, so that
    /// tasks can read one part.
    ///
    /// # Errors
    /// As [`Encoded::new`], or if the frames of parts are broken.
    pub fn value(kind: &str, frames: Frames) -> Result<Value> {
        if kind == "parts" {
            return parts(frames);
        }
        Encoded::new(kind, frames).map(Value::new)
    }

    /// The frames.
    #[must_use]
    pub fn frames(&self) -> &Frames {
        &self.frames
    }
}

/// [`Parts`] of encoded values, from what `Parts` encodes to.
fn parts(frames: Frames) -> Result<Value> {
    let header: Vec<(String, Bytes, u32)> = postcard::from_bytes(&frames.header)?;
    let mut buffers = frames.buffers.into_iter();
    let mut parts = Vec::with_capacity(header.len());
    for (kind, header, n_buffers) in header {
        let buffers: Vec<Bytes> = buffers.by_ref().take(n_buffers as usize).collect();
        if buffers.len() != n_buffers as usize {
            return Err(Error::new(ErrorKind::Version, "a value with parts arrived without all of its buffers"));
        }
        parts.push(Encoded::value(&kind, Frames { header, buffers })?);
    }
    Ok(Value::new(Parts(parts)))
}

impl DataKind for Encoded {
    fn kind(&self) -> &'static str {
        self.kind
    }
}

impl Data for Encoded {
    fn nbytes(&self) -> u64 {
        self.frames.nbytes()
    }

    fn encode(&self) -> Result<Frames> {
        Ok(self.frames.clone())
    }
}

/// Whether some of it is [`Encoded`].
#[must_use]
pub fn is_encoded(value: &Value) -> bool {
    value.get::<Encoded>().is_some() || value.data().parts().is_some_and(|parts| parts.iter().any(is_encoded))
}

/// The value itself if it was [`Encoded`], also within parts.
///
/// # Errors
/// If this build does not know its kind.
pub fn decoded(value: Value) -> Result<Value> {
    if let Some(encoded) = value.get::<Encoded>() {
        return decode_value(encoded.kind, encoded.frames.clone());
    }
    match value.data().parts() {
        Some(parts) if parts.iter().any(is_encoded) => {
            Ok(Value::new(Parts(parts.iter().cloned().map(decoded).collect::<Result<_>>()?)))
        }
        _ => Ok(value),
    }
}

/// Names of kinds that came from other processes, kept for ever. They are few:
/// the kinds that the programs define.
fn intern(kind: &str) -> Result<&'static str> {
    const MAX_KINDS: usize = 4096;
    const MAX_LENGTH: usize = 256;
    static KINDS: Mutex<Option<HashSet<&'static str>>> = Mutex::new(None);
    let mut kinds = KINDS.lock();
    let kinds = kinds.get_or_insert_default();
    if let Some(known) = kinds.get(kind) {
        return Ok(known);
    }
    if kinds.len() == MAX_KINDS || kind.len() > MAX_LENGTH {
        return Err(Error::new(ErrorKind::Version, "a process sent more kinds of data than there can be"));
    }
    let kind: &'static str = Box::leak(kind.to_owned().into_boxed_str());
    kinds.insert(kind);
    Ok(kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passes_for_its_kind_and_stays_as_it_is() {
        let frames = Frames { header: Bytes::from_static(b"h"), buffers: vec![Bytes::from_static(b"buffer")] };
        let value = Encoded::value("unheard.of", frames.clone()).unwrap();
        assert_eq!((value.data().kind(), value.nbytes()), ("unheard.of", 7));
        assert_eq!(value.data().encode().unwrap(), frames);
        let error = decoded(value).unwrap_err();
        assert!(error.message().contains("unheard.of"), "{error}");
    }

    #[test]
    fn parts_can_be_read_alone() {
        let part = |text: &'static [u8]| Encoded::value("some.kind", Frames::inline(text)).unwrap();
        let whole = Value::new(Parts(vec![part(b"a"), part(b"bc")]));
        let travelled = Encoded::value("parts", whole.data().encode().unwrap()).unwrap();
        assert!(is_encoded(&travelled));
        assert_eq!(travelled.part(Some(1)).unwrap().nbytes(), 2);
        assert!(travelled.part(Some(2)).is_err());
    }
}

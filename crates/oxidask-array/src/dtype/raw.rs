//! Dtypes of which only the size is known, and names that live for ever.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::{LazyLock, Mutex, PoisonError};

/// A text that lives as long as the program, the same one for equal texts. A
/// program meets few dtypes, so that keeping their names costs nothing.
pub(super) fn intern(text: &str) -> &'static str {
    static KNOWN: LazyLock<Mutex<HashMap<String, &'static str>>> = LazyLock::new(Mutex::default);
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(text) = known.get(text) {
        return text;
    }
    let kept: &'static str = Box::leak(text.to_owned().into_boxed_str());
    known.insert(text.to_owned(), kept);
    kept
}

/// A dtype that is memory of a known size and nothing else.
#[derive(Clone, Copy, Debug, PartialOrd, Ord)]
pub struct RawType {
    name: &'static str,
    itemsize: u32,
    alignment: u32,
}

impl RawType {
    pub(super) fn new(name: &str, itemsize: usize, alignment: usize) -> Self {
        let small = |size: usize| u32::try_from(size).unwrap_or(u32::MAX);
        RawType { name: intern(name), itemsize: small(itemsize), alignment: small(alignment) }
    }

    /// What NumPy makes the dtype from.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.name
    }

    /// Bytes of one element.
    #[must_use]
    pub fn itemsize(self) -> usize {
        self.itemsize as usize
    }

    /// What the address of an element is a multiple of.
    #[must_use]
    pub fn alignment(self) -> usize {
        self.alignment as usize
    }
}

impl PartialEq for RawType {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.itemsize == other.itemsize
    }
}

impl Eq for RawType {}

impl Hash for RawType {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
        self.itemsize.hash(state);
    }
}

impl Serialize for RawType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (self.name, self.itemsize, self.alignment).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for RawType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (name, itemsize, alignment) = <(String, u32, u32)>::deserialize(deserializer)?;
        Ok(RawType { name: intern(&name), itemsize, alignment })
    }
}

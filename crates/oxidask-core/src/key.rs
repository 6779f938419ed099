//! Content-addressed names of tasks and values.
//!
//! A [`Key`] is a 128-bit hash of what a task does: its operation, the
//! operation's parameters and the keys of its inputs. Equal keys therefore mean
//! equal values, whoever computed them and wherever. The hash is BLAKE3,
//! truncated, so that two different pieces of user data never share a key by
//! accident. A key must never be made from an address, a time or a counter
//! unless the work really is impure.

use std::fmt;

/// The name of a task and of the value it makes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct Key(pub u128);

impl Key {
    /// The key of one block of a collection whose own key is `self`.
    ///
    /// A full hash per block would dominate the building of large graphs, so
    /// the block number is mixed in with two rounds of multiply-and-fold, which
    /// is a bijection for a fixed `self`: blocks of one collection never clash.
    #[must_use]
    pub fn block(self, block: u64) -> Key {
        const ODD_A: u128 = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835;
        const ODD_B: u128 = 0xd1b5_4a32_d192_ed03_94d0_49bb_1331_11eb;
        let mut mixed = self.0 ^ (u128::from(block).wrapping_add(1)).wrapping_mul(ODD_A);
        mixed ^= mixed >> 67;
        mixed = mixed.wrapping_mul(ODD_B);
        mixed ^= mixed >> 59;
        Key(mixed)
    }

    /// The key that stands for a name which a user chose.
    #[must_use]
    pub fn named(name: &str) -> Key {
        KeyHasher::new("named").bytes(name.as_bytes()).finish()
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({:08x}…)", self.0 >> 96)
    }
}

/// Builds a [`Key`] from typed fields.
///
/// Every field is written with its length, so that `("ab", "c")` and
/// `("a", "bc")` differ.
pub struct KeyHasher(blake3::Hasher);

impl KeyHasher {
    /// Starts a key for one kind of thing; the kind keeps equal parameters of
    /// different operations apart.
    #[must_use]
    pub fn new(kind: &str) -> Self {
        KeyHasher(blake3::Hasher::new()).bytes(kind.as_bytes())
    }

    /// Adds raw bytes. Large buffers hash at several GB/s.
    #[must_use]
    pub fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.update(&(bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
        self
    }

    /// Adds a number.
    #[must_use]
    pub fn u64(mut self, number: u64) -> Self {
        self.0.update(&number.to_le_bytes());
        self
    }

    /// Adds the key of an input.
    #[must_use]
    pub fn key(mut self, key: Key) -> Self {
        self.0.update(&key.0.to_le_bytes());
        self
    }

    /// Adds the keys of all inputs, in order.
    #[must_use]
    pub fn keys(self, keys: impl IntoIterator<Item = Key>) -> Self {
        keys.into_iter().fold(self, KeyHasher::key)
    }

    /// Adds parameters of any serialisable type, by their encoded form.
    ///
    /// # Panics
    /// If the parameters cannot be encoded; parameters are plain data, so this
    /// is a programming mistake.
    #[must_use]
    pub fn params<T: serde::Serialize>(self, params: &T) -> Self {
        let encoded = postcard::to_allocvec(params).expect("parameters are plain data");
        self.bytes(&encoded)
    }

    /// The finished key.
    #[must_use]
    pub fn finish(self) -> Key {
        let mut first = [0; 16];
        first.copy_from_slice(&self.0.finalize().as_bytes()[..16]);
        Key(u128::from_le_bytes(first))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn blocks_of_one_collection_never_clash() {
        let key = KeyHasher::new("test").finish();
        let blocks: HashSet<Key> = (0..100_000).map(|block| key.block(block)).collect();
        assert_eq!(blocks.len(), 100_000);
        assert!(!blocks.contains(&key));
    }

    #[test]
    fn field_borders_count() {
        let a = KeyHasher::new("t").bytes(b"ab").bytes(b"c").finish();
        let b = KeyHasher::new("t").bytes(b"a").bytes(b"bc").finish();
        assert_ne!(a, b);
    }
}

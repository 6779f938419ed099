//! Keys and one value for each: counts and folds, in the order in which keys
//! were first seen, as in a dict.
//!
//! Keys lie one after another in one buffer, so that a million of them are a
//! handful of allocations, travel without being encoded, and are compared as
//! bytes. Only keys that are equal exactly when their bytes are may come in:
//! text, None, and numbers of one type (Python's 1, 1.0 and True are one key).

use super::cell::{Cell, Scalar};
use super::eval::{Known, eval};
use super::program::Run;
use super::rows::{decode, encode};
use super::term::{Function, Term};
use crate::json::Beyond;
use hashbrown::{DefaultHashBuilder, HashTable};
use serde::{Deserialize, Serialize};
use std::hash::BuildHasher;

/// Values by key.
#[derive(Default, Serialize, Deserialize)]
pub struct Groups {
    /// The encoded keys, one after another.
    pub(super) bytes: Vec<u8>,
    /// Where each ends.
    pub(super) ends: Vec<usize>,
    /// Which types of numbers there are among the keys.
    pub(super) numbers: u8,
    /// The value of each key.
    pub(super) values: Vec<Scalar>,
    /// Of a shard: the rank of each key's first sight among all keys.
    pub(super) ranks: Vec<u64>,
    #[serde(skip)]
    index: HashTable<Entry>,
    #[serde(skip)]
    hasher: DefaultHashBuilder,
    /// The key that is being looked up.
    #[serde(skip)]
    scratch: Vec<u8>,
}

/// A part of a key's hash, and its place: so most other keys are told apart, and
/// the table grows, without a look at the keys.
type Entry = (u32, u32);

/// The hash that the table of entries works with: its upper bits tell entries
/// of a bucket apart, its lower ones choose the bucket.
fn spread(hash: u32) -> u64 {
    u64::from(hash) << 32 | u64::from(hash)
}

const INT: u8 = 1;
const FLOAT: u8 = 2;
const BOOL: u8 = 4;

impl Groups {
    /// No keys.
    #[must_use]
    pub fn new() -> Self {
        Groups::default()
    }

    /// How many keys there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Bytes that they hold, about.
    #[must_use]
    pub fn nbytes(&self) -> u64 {
        (self.bytes.len() + self.len() * (size_of::<usize>() + size_of::<Scalar>() + 5) + 8 * self.ranks.len()) as u64
    }

    /// Sets the value of a new key.
    ///
    /// # Errors
    /// [`Beyond`] if the key is there, or cannot be told from all others by its
    /// bytes.
    pub fn insert(&mut self, key: &Cell<'_>, value: Scalar) -> Result<(), Beyond> {
        if self.place(key)? != self.values.len() {
            return Err(Beyond);
        }
        self.values.push(value);
        Ok(())
    }

    /// Adds one to the count of a key.
    ///
    /// # Errors
    /// [`Beyond`] if the key cannot be told from all others by its bytes.
    pub fn count(&mut self, key: &Cell<'_>) -> Result<(), Beyond> {
        let place = self.place(key)?;
        match self.values.get_mut(place) {
            Some(Scalar::Int(count)) => *count += 1,
            Some(_) => return Err(Beyond),
            None => self.values.push(Scalar::Int(1)),
        }
        Ok(())
    }

    /// The place of a key, whose count begins at 0 if it is new.
    pub(super) fn place_for_count(&mut self, key: &Cell<'_>) -> Result<u32, Beyond> {
        let place = self.place(key)?;
        if place == self.values.len() {
            self.values.push(Scalar::Int(0));
        }
        u32::try_from(place).map_err(|_| Beyond)
    }

    /// The value at a place.
    pub(super) fn value_mut(&mut self, place: u32) -> Option<&mut Scalar> {
        self.values.get_mut(place as usize)
    }

    /// Folds an element into the value of a key, which begins as `initial`, or
    /// as the element where there is none.
    ///
    /// # Errors
    /// [`Beyond`] if Python has to be asked.
    pub fn fold(
        &mut self,
        key: &Cell<'_>,
        element: Cell<'_>,
        binop: &Term,
        initial: Option<&Scalar>,
        run: &Run<'_>,
    ) -> Result<(), Beyond> {
        let place = self.place(key)?;
        if place == self.values.len() && initial.is_none() {
            self.values.push(element.keep()?);
            return Ok(());
        }
        let before = self.values.get(place).or(initial).ok_or(Beyond)?;
        let after = run.eval(binop, &[before.cell(), element])?.keep()?;
        match self.values.get_mut(place) {
            Some(value) => *value = after,
            None => self.values.push(after),
        }
        Ok(())
    }

    /// Folds the values of others into these: `combine(own, other)`.
    ///
    /// # Errors
    /// [`Beyond`] if Python has to be asked; the groups are useless then.
    pub fn merge(&mut self, other: &Groups, combine: &Term, initial: Option<&Scalar>) -> Result<(), Beyond> {
        self.numbers |= other.numbers;
        self.check_numbers()?;
        if self.is_empty() && initial.is_none() {
            // Nothing can be there yet; who looks a key up makes the index.
            self.bytes.clone_from(&other.bytes);
            self.ends.clone_from(&other.ends);
            self.values.clone_from(&other.values);
            self.ranks.clone_from(&other.ranks);
            return Ok(());
        }
        let mut start = 0;
        for (number, (end, value)) in other.ends.iter().zip(&other.values).enumerate() {
            let hash = self.hash_of(&other.bytes[start..*end]);
            let place = self.place_of(&other.bytes[start..*end], hash)?;
            start = *end;
            if place == self.values.len() {
                self.ranks.extend(other.ranks.get(number));
            }
            let Some(before) = self.values.get(place).or(initial) else {
                self.values.push(value.clone());
                continue;
            };
            let after = combined(combine, before, value)?;
            match self.values.get_mut(place) {
                Some(value) => *value = after,
                None => self.values.push(after),
            }
        }
        Ok(())
    }

    /// The groups without what only serves to add keys.
    #[must_use]
    pub fn sealed(mut self) -> Self {
        self.bytes.shrink_to_fit();
        self.ends.shrink_to_fit();
        self.values.shrink_to_fit();
        self.ranks.shrink_to_fit();
        self.index = HashTable::new();
        self.scratch = Vec::new();
        self
    }

    /// Sorts by value, the largest first; keys with equal values stay in order.
    ///
    /// # Errors
    /// [`Beyond`] unless all values are ints.
    pub fn sorted(&self) -> Result<Vec<u32>, Beyond> {
        let counts: Vec<i64> = self
            .values
            .iter()
            .map(|value| if let Scalar::Int(count) = value { Ok(*count) } else { Err(Beyond) })
            .collect::<Result<_, _>>()?;
        let mut order: Vec<u32> = (0..u32::try_from(counts.len()).map_err(|_| Beyond)?).collect();
        order.sort_by_key(|place| std::cmp::Reverse(counts[*place as usize]));
        Ok(order)
    }

    /// The encoded key and the value at a place.
    #[must_use]
    pub fn get(&self, place: usize) -> (Key<'_>, &Scalar) {
        (Key(key_at(&self.bytes, &self.ends, place)), &self.values[place])
    }

    #[cfg(test)]
    pub(super) fn bytes_for_tests(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// All keys and values, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (Key<'_>, &Scalar)> {
        (0..self.len()).map(|place| self.get(place))
    }

    /// Whether decoded groups are such as encoding makes: bytes from elsewhere
    /// are not trusted.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        let rising = self.ends.is_sorted() && self.ends.last().copied().unwrap_or(0) == self.bytes.len();
        let is_ranked = self.ranks.is_empty() || self.ranks.len() == self.ends.len();
        rising && is_ranked && self.ends.len() == self.values.len() && self.iter().all(|(key, _)| key.check().is_some())
    }

    /// The place of a key; a new key is added, and its value is to be pushed.
    fn place(&mut self, key: &Cell<'_>) -> Result<usize, Beyond> {
        self.scratch.clear();
        encode_key(key, &mut self.scratch, &mut self.numbers)?;
        self.check_numbers()?;
        let scratch = std::mem::take(&mut self.scratch);
        let place = self.place_of(&scratch, self.hash_of(&scratch));
        self.scratch = scratch;
        place
    }

    fn check_numbers(&self) -> Result<(), Beyond> {
        if self.numbers.count_ones() > 1 { Err(Beyond) } else { Ok(()) }
    }

    /// The place of an encoded key with its hash, as for [`Groups::place`].
    fn place_of(&mut self, key: &[u8], hash: u32) -> Result<usize, Beyond> {
        if self.index.is_empty() && !self.ends.is_empty() {
            self.rebuild()?;
        }
        let (bytes, ends) = (&self.bytes, &self.ends);
        let found = self
            .index
            .find(spread(hash), |(other, place)| *other == hash && key_at(bytes, ends, *place as usize) == key);
        if let Some((_, place)) = found {
            return Ok(*place as usize);
        }
        let place = u32::try_from(ends.len()).map_err(|_| Beyond)?;
        self.index.insert_unique(spread(hash), (hash, place), |(hash, _)| spread(*hash));
        self.bytes.extend_from_slice(key);
        self.ends.push(self.bytes.len());
        Ok(place as usize)
    }

    fn hash_of(&self, key: &[u8]) -> u32 {
        (self.hasher.hash_one(key) >> 32) as u32
    }

    /// Indexes keys that arrived without an index.
    fn rebuild(&mut self) -> Result<(), Beyond> {
        let n = u32::try_from(self.ends.len()).map_err(|_| Beyond)?;
        let mut index = std::mem::take(&mut self.index);
        index.reserve(self.ends.len(), |(hash, _)| spread(*hash));
        for place in 0..n {
            let hash = self.hash_of(key_at(&self.bytes, &self.ends, place as usize));
            index.insert_unique(spread(hash), (hash, place), |(hash, _)| spread(*hash));
        }
        self.index = index;
        Ok(())
    }
}

/// What a function makes of two kept values; sums, which are most of it, without
/// a detour.
pub(super) fn combined(combine: &Term, left: &Scalar, right: &Scalar) -> Result<Scalar, Beyond> {
    let is_sum = matches!(combine, Term::Call(Function::Add, args) if args[..] == [Term::Arg(0), Term::Arg(1)]);
    match (left, right) {
        (Scalar::Int(left), Scalar::Int(right)) if is_sum => left.checked_add(*right).map(Scalar::Int).ok_or(Beyond),
        (Scalar::Float(left), Scalar::Float(right)) if is_sum => Ok(Scalar::Float(left + right)),
        _ => eval(combine, &[left.cell(), right.cell()], Known::default())?.keep(),
    }
}

/// The encoded key at a place.
pub(super) fn key_at<'a>(bytes: &'a [u8], ends: &[usize], place: usize) -> &'a [u8] {
    let start = if place == 0 { 0 } else { ends[place - 1] };
    &bytes[start..ends[place]]
}

/// An encoded key.
#[derive(Clone, Copy)]
pub struct Key<'a>(&'a [u8]);

impl<'a> Key<'a> {
    /// The key as a value.
    #[must_use]
    pub fn cell(self) -> Cell<'a> {
        let mut rest = self.0;
        decode(&mut rest).unwrap_or(Cell::None)
    }

    fn check(self) -> Option<()> {
        super::rows::check(self.0)
    }

    /// The key as it is encoded in rows too.
    pub(super) fn bytes(self) -> &'a [u8] {
        self.0
    }
}

/// Encodes a key, if keys with other bytes are other keys.
fn encode_key(key: &Cell<'_>, out: &mut Vec<u8>, numbers: &mut u8) -> Result<(), Beyond> {
    match key {
        Cell::None | Cell::Str(_) => {}
        Cell::Int(_) => *numbers |= INT,
        Cell::Bool(_) => *numbers |= BOOL,
        // NaNs are equal to nothing, and there are two zeros.
        Cell::Float(value) if !value.is_nan() && (*value != 0.0 || value.is_sign_positive()) => *numbers |= FLOAT,
        Cell::Tuple(cells) => {
            // The tuple is encoded as a whole; its elements are only looked at.
            let mut unused = Vec::new();
            cells.iter().try_for_each(|cell| encode_key(cell, &mut unused, numbers))?;
        }
        Cell::Float(_) | Cell::Json(..) | Cell::List(_) => return Err(Beyond),
    }
    encode(key, out)
}

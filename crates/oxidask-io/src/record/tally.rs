//! Counts of elements, most of which are short texts.
//!
//! A text of up to fifteen bytes is two machine words, which are looked up
//! without another glance at memory: that is most words of most texts, and names
//! and labels of records. All keys are in [`Groups`] too, which keeps them in the
//! order in which they came and takes those that are long or too many.

use super::cell::{Cell, Scalar};
use super::groups::Groups;
use crate::json::Beyond;
use hashbrown::DefaultHashBuilder;
use std::hash::BuildHasher;

/// Counts elements; becomes [`Groups`].
pub struct Tally {
    groups: Groups,
    /// Open addressing; the length is a power of two, at most half of it is used.
    slots: Vec<Slot>,
    used: usize,
    /// Drawn anew for each tally, so that no text is made to collide.
    seeds: Short,
}

/// A text of one to fifteen bytes and its length, in the uppermost byte.
type Short = [u64; 2];

#[derive(Clone, Copy, Default)]
struct Slot {
    /// Zeros if nothing is here.
    key: Short,
    count: u64,
    /// Where the key is in the groups.
    place: u32,
}

/// Slots at first.
const SLOTS_MIN: usize = 1 << 10;
/// Slots at last: about what the nearer caches hold.
const SLOTS_MAX: usize = 1 << 16;
/// Texts below so many bytes are short.
const SHORT: usize = 16;

impl Default for Tally {
    fn default() -> Self {
        let hasher = DefaultHashBuilder::default();
        let seeds = [hasher.hash_one(0_u64), hasher.hash_one(1_u64)];
        Tally { groups: Groups::new(), slots: vec![Slot::default(); SLOTS_MIN], used: 0, seeds }
    }
}

impl Tally {
    /// Adds one to the count of an element.
    ///
    /// # Errors
    /// As for [`Groups::count`].
    pub fn count(&mut self, element: &Cell<'_>) -> Result<(), Beyond> {
        match element {
            Cell::Str(text) => self.count_range(text, 0, text.len()),
            _ => self.groups.count(element),
        }
    }

    /// Adds one to the count of each word of a text.
    ///
    /// # Errors
    /// As for [`Groups::count`].
    pub fn count_words(&mut self, text: &str) -> Result<(), Beyond> {
        let mut done = Ok(());
        super::words::each_word(text, |start, end| {
            if let Err(beyond) = self.count_range(text, start, end) {
                done = Err(beyond);
            }
        });
        done
    }

    /// The counts.
    #[must_use]
    pub fn finish(mut self) -> Groups {
        for slot in self.slots.iter().filter(|slot| slot.count > 0) {
            if let Some(Scalar::Int(count)) = self.groups.value_mut(slot.place) {
                *count += slot.count.cast_signed();
            }
        }
        self.groups
    }

    #[inline]
    fn count_range(&mut self, text: &str, start: usize, end: usize) -> Result<(), Beyond> {
        let Some(key) = short(text.as_bytes(), start, end) else {
            return self.groups.count(&Cell::Str(text[start..end].into()));
        };
        let mask = self.slots.len() - 1;
        let mut at = self.hash(key) & mask;
        loop {
            let slot = &mut self.slots[at & mask];
            if slot.key == key {
                slot.count += 1;
                return Ok(());
            }
            if slot.key == Short::default() {
                return self.admit(key, at & mask, &text[start..end]);
            }
            at += 1;
        }
    }

    #[inline]
    fn hash(&self, key: Short) -> usize {
        let product = u128::from(key[0] ^ self.seeds[0]) * u128::from(key[1] ^ self.seeds[1]);
        (product as u64 ^ (product >> 64) as u64) as usize
    }

    /// Counts a text that is in no slot and whose slot would be `at`.
    #[cold]
    fn admit(&mut self, key: Short, at: usize, text: &str) -> Result<(), Beyond> {
        if 2 * self.used >= SLOTS_MAX {
            return self.groups.count(&Cell::Str(text.into()));
        }
        let place = self.groups.place_for_count(&Cell::Str(text.into()))?;
        self.slots[at] = Slot { key, count: 1, place };
        self.used += 1;
        if 2 * self.used >= self.slots.len() && self.slots.len() < SLOTS_MAX {
            self.grow();
        }
        Ok(())
    }

    fn grow(&mut self) {
        let mask = 4 * self.slots.len() - 1;
        let old = std::mem::replace(&mut self.slots, vec![Slot::default(); mask + 1]);
        for slot in old.into_iter().filter(|slot| slot.count > 0) {
            let mut at = self.hash(slot.key) & mask;
            while self.slots[at].count > 0 {
                at = (at + 1) & mask;
            }
            self.slots[at] = slot;
        }
    }
}

/// The text `bytes[start..end]` as two machine words, if it is short.
#[inline]
fn short(bytes: &[u8], start: usize, end: usize) -> Option<Short> {
    let len = end - start;
    if len == 0 || len >= SHORT {
        return None;
    }
    // What follows the text is read along and cut off, where there is enough.
    let all = match bytes.get(start..start + SHORT).and_then(|window| window.first_chunk()) {
        Some(window) => u128::from_le_bytes(*window),
        None => {
            let mut window = [0; SHORT];
            window[..len].copy_from_slice(&bytes[start..end]);
            u128::from_le_bytes(window)
        }
    };
    let cut = all & (u128::MAX >> (8 * (SHORT - len)));
    Some([cut as u64, (cut >> 64) as u64 | (len as u64) << 56])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keys and counts, in order.
    fn pairs(groups: &Groups) -> Vec<(Scalar, Scalar)> {
        groups.iter().map(|(key, value)| (key.cell().keep().unwrap(), value.clone())).collect()
    }

    #[test]
    fn a_tally_counts_as_groups_do() {
        let mut texts: Vec<String> =
            (0..40_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) % 39_000).to_string()).collect();
        texts.extend((0..40).map(|n| "x".repeat(n % 20)));
        texts.extend(["é\0", "é", "\0", "\0\0", "", "a\0"].map(str::to_owned));
        let (mut tally, mut groups) = (Tally::default(), Groups::new());
        for text in texts.iter().chain(&texts[..500]) {
            tally.count(&Cell::Str(text.into())).unwrap();
            groups.count(&Cell::Str(text.into())).unwrap();
        }
        tally.count(&Cell::Int(3)).unwrap();
        groups.count(&Cell::Int(3)).unwrap();
        assert_eq!(tally.count(&Cell::Bool(true)), Err(Beyond));
        assert_eq!(pairs(&tally.finish()), pairs(&groups));
        let (mut tally, mut groups) = (Tally::default(), Groups::new());
        let text = texts.join(" ");
        tally.count_words(&text).unwrap();
        text.split(super::super::text::is_space)
            .filter(|word| !word.is_empty())
            .for_each(|word| groups.count(&Cell::Str(word.into())).unwrap());
        assert_eq!(pairs(&tally.finish()), pairs(&groups));
    }
}

//! Counts of elements, most of which are short texts.
//!
//! A text of up to fifteen bytes is two machine words, which are looked up
//! without another glance at memory: that is most words of most texts, and names
//! and labels of records. All keys are in [`Groups`] too, which keeps them in the
//! order in which they came and takes those that are long or too many.
//!
//! Short texts are collected and looked up many at a time, so that the processor
//! waits for memory once for all of them, and guesses no branches where, as
//! mostly, each lies where its hash says.

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
    /// Texts that are not looked up yet, and their hashes.
    waiting: [(Short, u64); BATCH],
    n_waiting: usize,
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

/// Texts that are looked up together; a bit of a word for each.
const BATCH: usize = 64;
/// Slots at first.
const SLOTS_MIN: usize = 1 << 10;
/// Slots at last: about what the nearer caches hold.
const SLOTS_MAX: usize = 1 << 16;
/// Texts below so many bytes are short.
const SHORT: usize = 16;

thread_local! {
    /// The slots of this thread's last tally, for the next one: pages that are
    /// there already need not be cleared by the system again.
    static SLOTS: std::cell::Cell<Vec<Slot>> = const { std::cell::Cell::new(Vec::new()) };
}

impl Default for Tally {
    fn default() -> Self {
        let hasher = DefaultHashBuilder::default();
        let seeds = [hasher.hash_one(0_u64), hasher.hash_one(1_u64)];
        let mut slots = SLOTS.take();
        slots.clear();
        slots.resize(SLOTS_MIN, Slot::default());
        Tally { groups: Groups::new(), slots, used: 0, seeds, waiting: [Default::default(); BATCH], n_waiting: 0 }
    }
}

impl Tally {
    /// Adds one to the count of an element.
    ///
    /// # Errors
    /// As for [`Groups::count`], of this element or one before.
    pub fn count(&mut self, element: &Cell<'_>) -> Result<(), Beyond> {
        match element {
            Cell::Str(text) => self.count_range(text, 0, text.len()),
            _ => {
                self.look_up()?;
                self.groups.count(element)
            }
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
    ///
    /// # Errors
    /// As for [`Tally::count`].
    pub fn finish(mut self) -> Result<Groups, Beyond> {
        self.look_up()?;
        for slot in self.slots.iter().filter(|slot| slot.count > 0) {
            if let Some(Scalar::Int(count)) = self.groups.value_mut(slot.place) {
                *count += slot.count.cast_signed();
            }
        }
        SLOTS.set(self.slots);
        Ok(self.groups)
    }

    #[inline]
    fn count_range(&mut self, text: &str, start: usize, end: usize) -> Result<(), Beyond> {
        let Some(key) = short(text.as_bytes(), start, end) else {
            // Keys keep the order in which they come.
            self.look_up()?;
            return self.groups.count(&Cell::Str(text[start..end].into()));
        };
        self.waiting[self.n_waiting] = (key, self.hash(key));
        self.n_waiting += 1;
        if self.n_waiting == BATCH { self.look_up() } else { Ok(()) }
    }

    #[inline]
    fn hash(&self, key: Short) -> u64 {
        let product = u128::from(key[0] ^ self.seeds[0]) * u128::from(key[1] ^ self.seeds[1]);
        product as u64 ^ (product >> 64) as u64
    }

    /// Counts the texts that wait.
    fn look_up(&mut self) -> Result<(), Beyond> {
        let n = std::mem::take(&mut self.n_waiting);
        let mask = self.slots.len() - 1;
        let mut elsewhere = 0_u64;
        for (number, (key, hash)) in self.waiting[..n].iter().enumerate() {
            let slot = &mut self.slots[*hash as usize & mask];
            let is_here = slot.key == *key;
            slot.count += u64::from(is_here);
            elsewhere |= u64::from(!is_here) << number;
        }
        while elsewhere != 0 {
            let (key, hash) = self.waiting[elsewhere.trailing_zeros() as usize];
            elsewhere &= elsewhere - 1;
            self.search(key, hash)?;
        }
        Ok(())
    }

    /// Counts a text that need not be where its hash says.
    fn search(&mut self, key: Short, hash: u64) -> Result<(), Beyond> {
        let mask = self.slots.len() - 1;
        let mut at = hash as usize & mask;
        loop {
            let slot = &mut self.slots[at];
            if slot.key == key {
                slot.count += 1;
                return Ok(());
            }
            if slot.key == Short::default() {
                return self.admit(key, at);
            }
            at = (at + 1) & mask;
        }
    }

    /// Counts a text that is in no slot and whose slot would be `at`.
    #[cold]
    fn admit(&mut self, key: Short, at: usize) -> Result<(), Beyond> {
        let bytes = (u128::from(key[1]) << 64 | u128::from(key[0])).to_le_bytes();
        let text = std::str::from_utf8(&bytes[..usize::from(bytes[SHORT - 1])]).map_err(|_| Beyond)?;
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
        let old: Vec<Slot> = self.slots.drain(..).filter(|slot| slot.count > 0).collect();
        self.slots.resize(mask + 1, Slot::default());
        for slot in old {
            let mut at = self.hash(slot.key) as usize & mask;
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
    let [low, high] = BELOW[len];
    Some([all as u64 & low, (all >> 64) as u64 & high | (len as u64) << 56])
}

/// The bits of the first bytes of two machine words, by how many bytes.
const BELOW: [Short; SHORT] = {
    let mut masks = [[0; 2]; SHORT];
    let mut len = 1;
    while len < SHORT {
        let mask = u128::MAX >> (8 * (SHORT - len));
        masks[len] = [mask as u64, (mask >> 64) as u64];
        len += 1;
    }
    masks
};

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
        assert_eq!(pairs(&tally.finish().unwrap()), pairs(&groups));
        let (mut tally, mut groups) = (Tally::default(), Groups::new());
        let text = texts.join(" ");
        tally.count_words(&text).unwrap();
        text.split(super::super::text::is_space)
            .filter(|word| !word.is_empty())
            .for_each(|word| groups.count(&Cell::Str(word.into())).unwrap());
        assert_eq!(pairs(&tally.finish().unwrap()), pairs(&groups));
    }
}

//! Which records stand for a task's number and its parts.

use super::record::Slab;
use crate::event::{Piece, TaskId};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// No record.
pub(super) const NONE: u32 = u32::MAX;

/// The records under one task's number, each or [`NONE`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Row {
    pub order: u32,
    /// The whole result.
    pub whole: u32,
}

impl Row {
    const EMPTY: Row = Row { order: NONE, whole: NONE };
}

/// Rows of tasks with neighbouring numbers.
struct Page {
    rows: [Row; PAGE],
    n_used: usize,
}

/// Rows of a page. Tasks with neighbouring numbers run together, so that few
/// pages are in use at a time.
const PAGE: usize = 256;

impl Page {
    fn empty() -> Box<Page> {
        Box::new(Page { rows: [Row::EMPTY; PAGE], n_used: 0 })
    }
}

/// Finds records by task and by piece. Orders and whole results share a row, so
/// that a task that runs and leaves its result costs few look-ups.
#[derive(Default)]
pub(super) struct Names {
    /// By number; pages without rows are not there.
    pages: Vec<Option<Box<Page>>>,
    /// An empty page for the next that is needed.
    spare: Option<Box<Page>>,
    parts: IdMap<Piece, u32>,
}

impl Names {
    pub fn row(&self, task: TaskId) -> Option<Row> {
        let page = self.pages.get(task.0 as usize / PAGE)?.as_deref()?;
        Some(page.rows[task.0 as usize % PAGE])
    }

    /// Changes a row, which is made if need be and goes when it is empty.
    fn change(&mut self, task: TaskId, change: impl FnOnce(&mut Row)) {
        let index = task.0 as usize / PAGE;
        if self.pages.len() <= index {
            self.pages.resize_with(index + 1, || None);
        }
        let page = self.pages[index].get_or_insert_with(|| self.spare.take().unwrap_or_else(Page::empty));
        let row = &mut page.rows[task.0 as usize % PAGE];
        let was_used = *row != Row::EMPTY;
        change(row);
        match (was_used, *row != Row::EMPTY) {
            (false, true) => page.n_used += 1,
            (true, false) => page.n_used -= 1,
            _ => {}
        }
        if page.n_used == 0 {
            self.spare = self.pages[index].take();
        }
    }

    pub fn order(&self, task: TaskId) -> Option<u32> {
        self.row(task).map(|row| row.order).filter(|&order| order != NONE)
    }

    pub fn piece(&self, piece: Piece) -> Option<u32> {
        if piece.part == Piece::WHOLE {
            self.row(piece.task).map(|row| row.whole).filter(|&whole| whole != NONE)
        } else {
            self.parts.get(&piece).copied()
        }
    }

    pub fn set_order(&mut self, task: TaskId, order: u32) {
        self.change(task, |row| row.order = order);
    }

    pub fn set_piece(&mut self, piece: Piece, slot: u32) {
        if piece.part == Piece::WHOLE {
            self.change(piece.task, |row| row.whole = slot);
        } else {
            self.parts.insert(piece, slot);
        }
    }

    pub fn clear_order(&mut self, task: TaskId) {
        self.change(task, |row| row.order = NONE);
    }

    pub fn clear_piece(&mut self, piece: Piece) {
        if piece.part == Piece::WHOLE {
            self.change(piece.task, |row| row.whole = NONE);
        } else {
            self.parts.remove(&piece);
        }
    }

    /// Asserts that the names stand for exactly these records.
    pub fn check<O, P>(&self, orders: &Slab<O>, pieces: &Slab<P>) {
        let rows = || self.pages.iter().flatten().flat_map(|page| &page.rows);
        let count = |slot: fn(&Row) -> u32| rows().filter(|row| slot(row) != NONE).count();
        assert_eq!(count(|row| row.order), orders.len());
        assert_eq!(count(|row| row.whole) + self.parts.len(), pieces.len());
        assert!(self.pages.iter().flatten().all(|page| {
            page.n_used > 0 && page.n_used == page.rows.iter().filter(|row| **row != Row::EMPTY).count()
        }));
    }
}

/// A map by numbers of our own making, which need no defence against chosen
/// keys.
pub(super) type IdMap<K, V> = HashMap<K, V, BuildHasherDefault<IdHasher>>;

/// Scatters blocks of numbers, and keeps the numbers within a block close to
/// each other, since tasks with neighbouring numbers run together.
#[derive(Default)]
pub(super) struct IdHasher(u64);

/// Numbers in a block, as a power of two.
const BLOCK_BITS: u32 = 7;
const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        let block = (self.0 >> BLOCK_BITS).wrapping_mul(MULTIPLIER);
        let within = (self.0 ^ block >> 45) & !(!0 << BLOCK_BITS);
        let place = (block >> 20) << BLOCK_BITS | within;
        // The table tells keys apart by the highest bits.
        let tag = self.0.wrapping_mul(MULTIPLIER);
        (tag & !0 << 57) | (place & !(!0 << 57))
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u32(u32::from(byte));
        }
    }

    fn write_u32(&mut self, number: u32) {
        self.0 = self.0.wrapping_mul(MULTIPLIER).wrapping_add(u64::from(number));
    }
}

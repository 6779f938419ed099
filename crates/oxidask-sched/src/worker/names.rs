//! Which records stand for a task's number and its parts.

use super::record::Slab;
use crate::event::{Piece, TaskId};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// No record.
pub(super) const NONE: u32 = u32::MAX;

/// The records under one task's number, each or [`NONE`].
#[derive(Clone, Copy)]
pub(super) struct Row {
    pub order: u32,
    /// The whole result.
    pub whole: u32,
}

/// Finds records by task and by piece. Orders and whole results share a row, so
/// that a task that runs and leaves its result costs few look-ups.
#[derive(Default)]
pub(super) struct Names {
    rows: IdMap<TaskId, Row>,
    parts: IdMap<Piece, u32>,
}

impl Names {
    pub fn row(&self, task: TaskId) -> Option<Row> {
        self.rows.get(&task).copied()
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
        self.rows.entry(task).or_insert(Row { order: NONE, whole: NONE }).order = order;
    }

    pub fn set_piece(&mut self, piece: Piece, slot: u32) {
        if piece.part == Piece::WHOLE {
            self.rows.entry(piece.task).or_insert(Row { order: NONE, whole: NONE }).whole = slot;
        } else {
            self.parts.insert(piece, slot);
        }
    }

    pub fn clear_order(&mut self, task: TaskId) {
        if let Some(row) = self.rows.get_mut(&task) {
            row.order = NONE;
            if row.whole == NONE {
                self.rows.remove(&task);
            }
        }
    }

    pub fn clear_piece(&mut self, piece: Piece) {
        if piece.part != Piece::WHOLE {
            self.parts.remove(&piece);
        } else if let Some(row) = self.rows.get_mut(&piece.task) {
            row.whole = NONE;
            if row.order == NONE {
                self.rows.remove(&piece.task);
            }
        }
    }

    /// Asserts that the names stand for exactly these records.
    pub fn check<O, P>(&self, orders: &Slab<O>, pieces: &Slab<P>) {
        let count = |slot: fn(&Row) -> u32| self.rows.values().filter(|row| slot(row) != NONE).count();
        assert_eq!(count(|row| row.order), orders.len());
        assert_eq!(count(|row| row.whole) + self.parts.len(), pieces.len());
        assert!(self.rows.values().all(|row| row.order != NONE || row.whole != NONE));
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

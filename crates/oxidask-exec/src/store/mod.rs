//! The values of a node: which are in memory, which lie in spill files.
//!
//! The worker core decides what is spilled, loaded and dropped; this table only
//! remembers. Reading and writing of files is `spill`, on the I/O thread.

pub(crate) mod spill;

use crate::slots::Slots;
use hashbrown::HashMap;
use oxidask_core::{Error, ErrorKind, Key, Result, Value};
use oxidask_sched::Piece;
use spill::SpillFile;
use std::sync::Arc;

/// One value, in memory or on disk or both.
struct Row {
    key: Key,
    value: Option<Value>,
    file: Option<Arc<SpillFile>>,
    /// Tells this value from an earlier one under the same task number, so that
    /// a late answer of the I/O thread is not taken for it.
    life: u64,
}

/// What must be dropped without the lock: freeing memory and deleting files
/// takes time.
#[derive(Default)]
pub(crate) struct Garbage {
    pub values: Vec<Value>,
    pub files: Vec<Arc<SpillFile>>,
}

/// The values of a node.
#[derive(Default)]
pub(crate) struct Store {
    wholes: Slots<Row>,
    /// Parts that are held without, or beside, their whole.
    parts: HashMap<Piece, Row>,
    next_life: u64,
}

impl Store {
    fn row(&self, piece: Piece) -> Option<&Row> {
        if piece.part == Piece::WHOLE { self.wholes.get(piece.task) } else { self.parts.get(&piece) }
    }

    fn row_mut(&mut self, piece: Piece) -> Option<&mut Row> {
        if piece.part == Piece::WHOLE { self.wholes.get_mut(piece.task) } else { self.parts.get_mut(&piece) }
    }

    fn insert_row(&mut self, piece: Piece, row: Row) -> Option<Row> {
        if piece.part == Piece::WHOLE { self.wholes.insert(piece.task, row) } else { self.parts.insert(piece, row) }
    }

    /// Puts a value under a piece. The same value that is there already, in
    /// memory or on disk, stays as the core knows it; another one makes way.
    pub fn insert(&mut self, piece: Piece, key: Key, value: Value, garbage: &mut Garbage) {
        if self.row(piece).is_some_and(|row| row.key == key) {
            garbage.values.push(value);
            return;
        }
        self.next_life += 1;
        let row = Row { key, value: Some(value), file: None, life: self.next_life };
        if let Some(old) = self.insert_row(piece, row) {
            old.discard(garbage);
        }
    }

    /// The value of a piece if it is in memory: as a part of its whole where that
    /// is, else stored as such.
    pub fn get(&self, piece: Piece) -> Option<Result<Value>> {
        if piece.part != Piece::WHOLE
            && let Some(whole) = self.wholes.get(piece.task).and_then(|row| row.value.as_ref())
        {
            return Some(whole.part(Some(piece.part)));
        }
        self.row(piece).and_then(|row| row.value.as_ref()).map(|value| Ok(value.clone()))
    }

    /// The key under which a piece, or the whole that it is a part of, is here.
    pub fn key(&self, piece: Piece) -> Option<Key> {
        self.row(piece).or_else(|| self.wholes.get(piece.task)).map(|row| row.key)
    }

    /// What the I/O thread needs to spill a piece: its life, its value, and the
    /// file if it was written before.
    pub fn to_spill(&self, piece: Piece) -> Option<(u64, Value, Option<Arc<SpillFile>>)> {
        let row = self.row(piece)?;
        Some((row.life, row.value.clone()?, row.file.clone()))
    }

    /// Where to read a piece back from: its life, the file, and which part of
    /// the file's value. A part of a spilled whole becomes a piece of its own.
    pub fn load_from(&mut self, piece: Piece) -> Option<(u64, Arc<SpillFile>, Option<u32>)> {
        if let Some(row) = self.row(piece) {
            return Some((row.life, row.file.clone()?, None));
        }
        let whole = self.wholes.get(piece.task)?;
        let (key, file) = (whole.key, whole.file.clone()?);
        self.next_life += 1;
        self.parts.insert(piece, Row { key, value: None, file: None, life: self.next_life });
        Some((self.next_life, file, Some(piece.part)))
    }

    /// Takes the value out of memory because it is in `file`. False if the piece
    /// is another one by now; the file is rubbish then.
    pub fn spilled(&mut self, piece: Piece, life: u64, file: Arc<SpillFile>, garbage: &mut Garbage) -> bool {
        match self.row_mut(piece) {
            Some(row) if row.life == life => {
                row.file = Some(file);
                garbage.values.extend(row.value.take());
                true
            }
            _ => {
                garbage.files.push(file);
                false
            }
        }
    }

    /// Takes a value that was read back. Its file is kept: a value never changes,
    /// so that spilling it again costs nothing.
    pub fn loaded(&mut self, piece: Piece, life: u64, value: Value, garbage: &mut Garbage) -> bool {
        match self.row_mut(piece) {
            Some(row) if row.life == life => {
                row.value = Some(value);
                true
            }
            _ => {
                garbage.values.push(value);
                false
            }
        }
    }

    /// Forgets what is left of a piece that could not be read back, unless it is
    /// another one by now.
    pub fn load_failed(&mut self, piece: Piece, life: u64, garbage: &mut Garbage) {
        if self.row(piece).is_some_and(|row| row.life == life) {
            self.remove(piece, garbage);
        }
    }

    /// Forgets a piece.
    pub fn remove(&mut self, piece: Piece, garbage: &mut Garbage) {
        let row = if piece.part == Piece::WHOLE { self.wholes.remove(piece.task) } else { self.parts.remove(&piece) };
        if let Some(row) = row {
            row.discard(garbage);
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self, garbage: &mut Garbage) {
        for row in self.wholes.drain().chain(self.parts.drain().map(|(_, row)| row)) {
            row.discard(garbage);
        }
    }

    /// Number of pieces.
    pub fn len(&self) -> usize {
        self.wholes.len() + self.parts.len()
    }
}

impl Row {
    fn discard(self, garbage: &mut Garbage) {
        garbage.values.extend(self.value);
        garbage.files.extend(self.file);
    }
}

/// What a reader gets who asks for something that is not here.
pub(crate) fn not_here(piece: Piece) -> Error {
    Error::new(ErrorKind::Lost, format!("the value of task {} is not held here", piece.task.0))
}

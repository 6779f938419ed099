//! Readers: peers and clients that want a piece from here.

use super::Worker;
use super::record::PieceState;
use crate::event::{Piece, WorkerAction};

impl Worker {
    /// Somebody reads a piece: it is pinned in memory until `served`.
    pub(super) fn wanted(&mut self, piece: Piece, reader: u32) {
        let found = self.whole_here(piece.task).or_else(|| {
            let slot = self.names.piece(piece)?;
            (self.pieces[slot].is_here() && !self.pieces[slot].is_doomed()).then_some(slot)
        });
        let Some(mut slot) = found else {
            self.out.push(WorkerAction::ServeFailed { piece, reader });
            return;
        };
        let record = &self.pieces[slot];
        if record.piece != piece && record.state == PieceState::Disk {
            slot = self.part_of(slot, piece);
        }
        self.readers.insert((piece, reader), slot);
        let record = &mut self.pieces[slot];
        record.pins += 1;
        if record.state == PieceState::Memory {
            self.out.push(WorkerAction::Serve { piece, reader });
        } else {
            record.await_by_reader(piece, reader);
            self.load(slot);
        }
    }

    /// A reader is done or gave up.
    pub(super) fn served(&mut self, piece: Piece, reader: u32) {
        let Some(slot) = self.readers.remove(&(piece, reader)) else { return };
        let record = &mut self.pieces[slot];
        record.pins -= 1;
        record.forget_reader(piece, reader);
        self.let_go(slot);
    }

    /// A piece that readers waited for is in memory.
    pub(super) fn serve_readers(&mut self, slot: u32) {
        for (piece, reader) in self.pieces[slot].take_readers() {
            self.out.push(WorkerAction::Serve { piece, reader });
        }
    }

    /// A piece that readers waited for cannot be had.
    pub(super) fn refuse_readers(&mut self, slot: u32) {
        for (piece, reader) in self.pieces[slot].take_readers() {
            self.readers.remove(&(piece, reader));
            self.pieces[slot].pins -= 1;
            self.out.push(WorkerAction::ServeFailed { piece, reader });
        }
    }
}

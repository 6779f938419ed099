//! Pieces from peers and clients.

use super::Worker;
use super::names::NONE;
use super::record::{Ending, PieceRecord, PieceState};
use crate::event::{FetchFrom, Piece, Report, TaskId, UNKNOWN_BYTES, WorkerAction, WorkerId};
use std::cmp::Reverse;

impl Worker {
    /// Makes sure that a piece is here or will be fetched.
    pub(super) fn need_from_peer(&mut self, source: FetchFrom, priority: u64) {
        let FetchFrom { piece, bytes, holder } = source;
        if let Some(slot) = self.whole_here(piece.task) {
            let record = &mut self.pieces[slot];
            // The scheduler does not know that it is here, or will learn it from
            // a report under way.
            if !std::mem::replace(&mut record.held, true) {
                let (task, bytes) = (piece.task, record.bytes);
                self.report(Report::Copied { task, bytes });
            }
            return;
        }
        // How large a part is, is known only when it is here.
        let bytes = if piece.part == Piece::WHOLE && bytes != UNKNOWN_BYTES { bytes } else { 0 };
        let slot = match self.names.piece(piece) {
            Some(slot) if self.pieces[slot].state == PieceState::Gone && !self.pieces[slot].in_fetch => {
                let record = &mut self.pieces[slot];
                record.state = PieceState::Queued;
                record.bytes = bytes;
                slot
            }
            Some(slot) if self.pieces[slot].state == PieceState::Queued => slot,
            Some(_) => return,
            None => self.insert_piece(PieceRecord::new(piece, bytes, PieceState::Queued)),
        };
        self.pieces[slot].holder = holder;
        self.to_fetch.push(Reverse((priority, slot)));
    }

    /// The scheduler wants a copy here.
    pub(super) fn copy(&mut self, task: TaskId, bytes: u64, holder: WorkerId) {
        if let Some(slot) = self.whole_here(task) {
            let record = &mut self.pieces[slot];
            record.held = true;
            let bytes = record.bytes;
            self.report(Report::Copied { task, bytes });
            return;
        }
        self.need_from_peer(FetchFrom { piece: Piece::whole(task), bytes, holder }, 0);
        if let Some(slot) = self.names.piece(Piece::whole(task)) {
            self.pieces[slot].copy = true;
        }
    }

    /// Begins fetches, as many as are allowed at once. With too much in memory
    /// only one at a time, and only while nothing else can free memory.
    pub(super) fn start_fetches(&mut self) {
        while self.n_fetching < self.config.fetches_max.max(1) {
            let Some(&Reverse((_, slot))) = self.to_fetch.peek() else { return };
            let is_queued = self.pieces.get(slot).is_some_and(|record| record.state == PieceState::Queued);
            if !is_queued {
                self.to_fetch.pop();
                continue;
            }
            let bytes = self.pieces[slot].bytes;
            let is_tight = self.paused || !self.fits(self.in_transit.saturating_add(bytes));
            let is_last_resort = self.is_quiet() && self.n_ready == 0 && self.n_fetching == 0;
            if is_tight && !is_last_resort {
                return;
            }
            self.to_fetch.pop();
            let record = &mut self.pieces[slot];
            record.state = PieceState::Fetching;
            record.in_fetch = true;
            self.n_fetching += 1;
            self.in_transit += bytes;
            let source = FetchFrom { piece: record.piece, bytes, holder: record.holder };
            self.out.push(WorkerAction::Fetch(source));
        }
    }

    /// The piece whose fetch just ended, if one was under way.
    fn fetch_ended(&mut self, piece: Piece) -> Option<u32> {
        let slot = self.names.piece(piece)?;
        let record = &mut self.pieces[slot];
        if !std::mem::replace(&mut record.in_fetch, false) {
            return None;
        }
        self.n_fetching -= 1;
        // The size that was expected still stands unless a result came between.
        self.in_transit = if self.n_fetching == 0 { 0 } else { self.in_transit.saturating_sub(record.bytes) };
        Some(slot)
    }

    pub(super) fn arrived(&mut self, piece: Piece, bytes: u64) {
        let Some(slot) = self.fetch_ended(piece) else { return };
        let record = &mut self.pieces[slot];
        if record.state == PieceState::Fetching {
            record.bytes = bytes;
            let is_wanted = record.is_wanted();
            // A copy that nobody wants any more is dropped before anybody hears
            // of it.
            if piece.part == Piece::WHOLE && is_wanted {
                record.held = true;
                record.copy = false;
                self.report(Report::Copied { task: piece.task, bytes });
            }
            self.set_state(slot, PieceState::Memory);
        }
        self.fetch_settled(slot);
        self.note_spillable_at(piece);
    }

    pub(super) fn fetch_failed(&mut self, piece: Piece, holder: WorkerId) {
        let Some(slot) = self.fetch_ended(piece) else { return };
        if self.pieces[slot].state == PieceState::Fetching {
            self.piece_gone(slot, holder);
        } else {
            self.fetch_settled(slot);
        }
    }

    /// Wakes orders after a fetch that brought the piece, and lets those end
    /// that were given up and waited for this fetch only.
    fn fetch_settled(&mut self, slot: u32) {
        // Orders may end and take the piece along; this keeps it until then.
        self.pieces[slot].needs += 1;
        if self.pieces[slot].state == PieceState::Memory {
            self.wake(slot);
        }
        self.end_given_up(slot);
        self.pieces[slot].needs -= 1;
        self.let_go(slot);
    }

    /// Given-up orders that name a piece of which no fetch is under way now.
    fn end_given_up(&mut self, slot: u32) {
        if self.n_ending == 0 {
            return;
        }
        let ending: Vec<u32> = self
            .orders
            .iter()
            .filter(|(_, order)| matches!(order.state, super::record::OrderState::Ending(_)))
            .filter(|(_, order)| order.needs.contains(&slot))
            .map(|(order, _)| order)
            .collect();
        for order in ending {
            self.end_if_quiet(order);
        }
    }

    /// A piece cannot be had: orders that wait for it are given up, and whoever
    /// counts on it is told.
    pub(super) fn piece_gone(&mut self, slot: u32, holder: WorkerId) {
        self.set_state(slot, PieceState::Gone);
        self.pieces[slot].loading_from = NONE;
        self.pieces[slot].needs += 1;
        let task = self.pieces[slot].piece.task;
        let record = &mut self.pieces[slot];
        let was_promised = std::mem::take(&mut record.held) | std::mem::take(&mut record.copy);
        if was_promised {
            self.report(Report::Dropped { task });
        }
        for order in self.pieces[slot].take_waiting() {
            if self.orders.get(order).is_some() {
                self.give_up(order, Ending::Missing { input: task, holder });
            }
        }
        self.end_given_up(slot);
        self.refuse_readers(slot);
        self.pieces[slot].needs -= 1;
        self.let_go(slot);
    }

    /// A client's value is in the store.
    pub(super) fn put(&mut self, task: TaskId, bytes: u64) {
        if let Some(slot) = self.whole_here(task) {
            self.pieces[slot].held = true;
            return;
        }
        let piece = Piece::whole(task);
        let slot = match self.names.piece(piece) {
            Some(slot) => {
                self.pieces[slot].bytes = bytes;
                self.set_state(slot, PieceState::Memory);
                self.wake(slot);
                slot
            }
            None => self.insert_piece(PieceRecord::new(piece, bytes, PieceState::Memory)),
        };
        self.pieces[slot].held = true;
        self.answer_copy(task);
        self.note_spillable(slot);
    }
}

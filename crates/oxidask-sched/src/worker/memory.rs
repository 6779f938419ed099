//! What is in memory, what goes to disk, and when nothing new may begin.

use super::Worker;
use super::names::NONE;
use super::record::{Ending, PieceRecord, PieceState};
use crate::event::{Piece, Report, TaskId, WorkerAction, WorkerId};

/// The ledger is reported when it changed by this share of the limit.
const REPORT_SHARE: u64 = 20;

impl Worker {
    fn limit_share(&self, share: f64) -> u64 {
        (self.config.memory_limit as f64 * share) as u64
    }

    fn is_limited(&self) -> bool {
        self.config.memory_limit != u64::MAX
    }

    /// Whether so much more would still be below the pause mark.
    pub(super) fn fits(&self, more: u64) -> bool {
        !self.is_limited()
            || self.resident.saturating_add(self.extra).saturating_add(more) <= self.limit_share(self.config.pause)
    }

    pub(super) fn update_pause(&mut self) {
        self.paused = !self.fits(0);
    }

    /// Drops a result as far as the scheduler is concerned.
    pub(super) fn free(&mut self, task: TaskId) {
        if let Some(slot) = self.names.piece(Piece::whole(task)) {
            self.pieces[slot].held = false;
            self.drop_if_unwanted(slot);
        }
    }

    /// Notes a piece as one that may be spilled, if it is.
    pub(super) fn note_spillable(&mut self, slot: u32) {
        if !self.is_limited() || !self.config.can_spill || !is_spillable(&self.pieces[slot]) {
            return;
        }
        if self.n_spillable > 2 * self.pieces.len() + 1024 {
            self.rebuild_spillable();
        }
        self.spillable[class_of(self.pieces[slot].bytes)].push(slot);
        self.n_spillable += 1;
    }

    /// Notes a result that was just made. It may be spilled after the next tick,
    /// or at once where memory is full.
    pub(super) fn note_fresh(&mut self, slot: u32) {
        if self.is_limited() && self.config.can_spill {
            self.fresh.push(slot);
        }
    }

    /// What was fresh may be spilled from now on.
    pub(super) fn ripen(&mut self) {
        for slot in std::mem::take(&mut self.fresh) {
            if self.pieces.get(slot).is_some() {
                self.note_spillable(slot);
            }
        }
    }

    pub(super) fn note_spillable_at(&mut self, piece: Piece) {
        if let Some(slot) = self.names.piece(piece) {
            self.note_spillable(slot);
        }
    }

    fn rebuild_spillable(&mut self) {
        self.spillable.iter_mut().for_each(Vec::clear);
        self.n_spillable = 0;
        for (slot, record) in self.pieces.iter() {
            if is_spillable(record) {
                self.spillable[class_of(record.bytes)].push(slot);
                self.n_spillable += 1;
            }
        }
    }

    /// Begins to write pieces to disk while too much is in memory.
    pub(super) fn start_spills(&mut self) {
        if !self.is_limited() || !self.config.can_spill {
            return;
        }
        if self.paused {
            self.ripen();
        }
        let (target, spill) = (self.limit_share(self.config.target), self.limit_share(self.config.spill));
        let is_too_much = |worker: &Self| {
            let managed = worker.resident - worker.spilling;
            managed > target || managed.saturating_add(worker.extra) > spill
        };
        while self.n_spilling < self.config.spills_max.max(1)
            && is_too_much(self)
            && self.has_changed_since(self.spill_blocked_at)
        {
            let Some(slot) = self.pick_unneeded().or_else(|| self.pick_needed_last()) else {
                self.scan_blocked_at = Some(self.resident);
                return;
            };
            let piece = self.pieces[slot].piece;
            self.set_state(slot, PieceState::Spilling);
            self.out.push(WorkerAction::Spill(piece));
        }
    }

    /// Whether memory changed by a noticeable share since something was in vain.
    fn has_changed_since(&self, at: Option<u64>) -> bool {
        at.is_none_or(|at| self.resident.abs_diff(at) > self.config.memory_limit / REPORT_SHARE)
    }

    /// The largest piece, roughly, that no order here needs.
    fn pick_unneeded(&mut self) -> Option<u32> {
        for class in self.spillable.iter_mut().rev() {
            while let Some(slot) = class.pop() {
                self.n_spillable -= 1;
                if self.pieces.get(slot).is_some_and(is_spillable) {
                    return Some(slot);
                }
            }
        }
        None
    }

    /// The piece that is needed last, the largest among equals. What the next
    /// order reads stays.
    fn pick_needed_last(&self) -> Option<u32> {
        if !self.has_changed_since(self.scan_blocked_at) {
            return None;
        }
        let next = self.ready.peek().map_or(0, |(priority, _)| priority);
        let is_later = |record: &PieceRecord| {
            record.state == PieceState::Memory && record.pins == 0 && record.needs > 0 && record.next_use > next
        };
        let candidates = self.pieces.iter().filter(|(_, record)| is_later(record) && record.bytes > 0);
        candidates.max_by_key(|(_, record)| (record.next_use, record.bytes)).map(|(slot, _)| slot)
    }

    pub(super) fn spilled(&mut self, piece: Piece) {
        let Some(slot) = self.piece_in(piece, PieceState::Spilling) else { return };
        self.set_state(slot, PieceState::Disk);
        if self.pieces[slot].pins > 0 {
            self.load(slot);
        } else {
            self.drop_if_unwanted(slot);
        }
    }

    pub(super) fn spill_failed(&mut self, piece: Piece) {
        let Some(slot) = self.piece_in(piece, PieceState::Spilling) else { return };
        self.spill_blocked_at = Some(self.resident);
        self.in_memory_again(slot);
    }

    fn piece_in(&self, piece: Piece, state: PieceState) -> Option<u32> {
        self.names.piece(piece).filter(|&slot| self.pieces[slot].state == state)
    }

    /// Reads a piece back, or does so as soon as it is on disk.
    pub(super) fn load(&mut self, slot: u32) {
        if self.pieces[slot].state == PieceState::Disk {
            let piece = self.pieces[slot].piece;
            self.set_state(slot, PieceState::Loading);
            self.out.push(WorkerAction::Load(piece));
        }
    }

    /// The record to read one part from of a result that is on disk as a whole:
    /// the part alone is read back, unless an older part of that name is still
    /// leaving.
    pub(super) fn part_of(&mut self, whole: u32, piece: Piece) -> u32 {
        if let Some(slot) = self.names.piece(piece) {
            if self.pieces[slot].is_doomed() {
                return whole;
            }
            match self.pieces[slot].state {
                PieceState::Gone | PieceState::Queued if !self.pieces[slot].in_fetch => {}
                _ => return slot,
            }
            self.begin_part(whole, slot);
            return slot;
        }
        let slot = self.insert_piece(PieceRecord::new(piece, 0, PieceState::Gone));
        self.begin_part(whole, slot);
        slot
    }

    fn begin_part(&mut self, whole: u32, slot: u32) {
        self.pieces[whole].part_loads += 1;
        self.pieces[slot].loading_from = whole;
        self.set_state(slot, PieceState::Loading);
        let piece = self.pieces[slot].piece;
        self.out.push(WorkerAction::Load(piece));
    }

    pub(super) fn loaded(&mut self, piece: Piece, bytes: u64) {
        let Some(slot) = self.piece_in(piece, PieceState::Loading) else { return };
        let whole = self.pieces[slot].loading_from;
        if whole != NONE {
            self.set_state(slot, PieceState::Gone);
            let record = &mut self.pieces[slot];
            record.bytes = bytes;
            record.loading_from = NONE;
            self.pieces[whole].part_loads -= 1;
            self.let_go(whole);
        }
        self.in_memory_again(slot);
    }

    fn in_memory_again(&mut self, slot: u32) {
        self.set_state(slot, PieceState::Memory);
        self.pieces[slot].needs += 1;
        self.wake(slot);
        self.serve_readers(slot);
        self.pieces[slot].needs -= 1;
        self.let_go(slot);
    }

    pub(super) fn load_failed(&mut self, piece: Piece) {
        let Some(slot) = self.piece_in(piece, PieceState::Loading) else { return };
        let whole = self.pieces[slot].loading_from;
        if whole == NONE {
            self.out.push(WorkerAction::Drop(piece));
        }
        self.give_up_readers_of(slot);
        self.piece_gone(slot, WorkerId::SELF);
        if whole == NONE {
            return;
        }
        self.pieces[whole].part_loads -= 1;
        if self.pieces[whole].state == PieceState::Disk {
            self.out.push(WorkerAction::Drop(self.pieces[whole].piece));
            self.give_up_readers_of(whole);
            self.piece_gone(whole, WorkerId::SELF);
        } else {
            self.let_go(whole);
        }
    }

    /// Orders that are not ready yet, or not loading yet, and will miss a piece.
    fn give_up_readers_of(&mut self, slot: u32) {
        let input = self.pieces[slot].piece.task;
        let doomed: Vec<u32> =
            self.orders.iter().filter(|(_, order)| order.needs.contains(&slot)).map(|(order, _)| order).collect();
        self.pieces[slot].needs += 1;
        for order in doomed {
            self.give_up(order, Ending::Missing { input, holder: WorkerId::SELF });
        }
        self.pieces[slot].needs -= 1;
    }

    pub(super) fn report_memory(&mut self) {
        let is_tick = std::mem::take(&mut self.has_ticked);
        let (resident, spilled, paused) = self.reported;
        let step = self.config.memory_limit / REPORT_SHARE;
        let has_moved = self.is_limited()
            && (self.resident.abs_diff(resident) > step
                || self.spilled.abs_diff(spilled) > step
                || paused != self.paused);
        let now = (self.resident, self.spilled, self.paused);
        if has_moved || (is_tick && now != self.reported) {
            self.reported = now;
            self.report(Report::Memory { resident: now.0, spilled: now.1, paused: now.2 });
        }
    }
}

fn is_spillable(record: &PieceRecord) -> bool {
    record.state == PieceState::Memory
        && record.pins == 0
        && record.needs == 0
        && record.part_loads == 0
        && record.held
        && record.bytes > 0
}

fn class_of(bytes: u64) -> usize {
    64 - bytes.leading_zeros() as usize
}

//! Orders: from their coming to their answer.

use super::Worker;
use super::record::{Ending, OrderRecord, OrderState, PieceRecord, PieceState};
use crate::event::{
    Attempt, Compute, Ended, Nanos, Order, Piece, Report, TaskId, UNKNOWN_BYTES, WorkerAction, WorkerId,
};

/// Orders whose inputs are being loaded at once.
const LOADING_MAX: u32 = 4;
/// Ready orders looked at for one that frees memory.
const LOOK_AHEAD: usize = 64;

impl Worker {
    pub(super) fn compute(&mut self, compute: Compute) {
        let task = compute.task;
        if let Some(slot) = self.names.order(task) {
            // Only a thread's return keeps the record of a given-up attempt.
            self.orders[slot].next = Some(Box::new(compute));
            return;
        }
        if let Some(slot) = self.whole_here(task) {
            // An earlier attempt's result is still here: equal work, equal value.
            self.hold_result(slot, compute.attempt.0);
            let bytes = self.pieces[slot].bytes;
            self.answer_copy(task);
            self.report(Report::Done { task, attempt: compute.attempt, bytes, duration: 0 });
            return;
        }
        for &source in &compute.fetch {
            self.need_from_peer(source, compute.priority);
        }
        let slot = self.orders.insert(OrderRecord {
            task,
            attempt: compute.attempt.0,
            priority: compute.priority,
            bytes: compute.bytes,
            state: OrderState::Waiting,
            n_missing: 0,
            pinned: false,
            abandoned: false,
            needs: Vec::with_capacity(compute.inputs.len()),
            inputs: compute.inputs,
            next: None,
        });
        self.names.set_order(task, slot);
        self.bind_inputs(slot);
    }

    /// Finds the piece that each input is to be read from.
    fn bind_inputs(&mut self, order: u32) {
        let priority = self.orders[order].priority;
        let mut missing = None;
        for index in 0..self.orders[order].inputs.len() {
            let piece = self.orders[order].inputs[index];
            let found = self.whole_here(piece.task).or_else(|| {
                let slot = self.names.piece(piece)?;
                let record = &self.pieces[slot];
                (record.state != PieceState::Gone && !record.is_doomed()).then_some(slot)
            });
            let Some(slot) = found else {
                missing = Some(piece.task);
                continue;
            };
            let record = &mut self.pieces[slot];
            record.needs += 1;
            record.next_use = record.next_use.min(priority);
            let is_here = record.is_here();
            if !is_here {
                record.await_by(order);
            }
            let order = &mut self.orders[order];
            order.n_missing += u32::from(!is_here);
            order.needs.push(slot);
        }
        if let Some(input) = missing {
            self.give_up(order, Ending::Missing { input, holder: WorkerId::SELF });
        } else if self.orders[order].n_missing == 0 {
            self.make_ready(order);
        }
    }

    fn make_ready(&mut self, order: u32) {
        let record = &mut self.orders[order];
        record.state = OrderState::Ready;
        self.ready.push((record.priority, order));
        self.n_ready += 1;
    }

    /// A piece that orders waited for is in memory.
    pub(super) fn wake(&mut self, piece: u32) {
        for order in self.pieces[piece].take_waiting() {
            // An order that is named twice may have ended at the first mention.
            let Some(record) = self.orders.get_mut(order) else { continue };
            record.n_missing -= 1;
            match record.state {
                OrderState::Waiting if record.n_missing == 0 => self.make_ready(order),
                OrderState::Loading if record.n_missing == 0 => {
                    self.n_loading_orders -= 1;
                    self.make_ready(order);
                }
                OrderState::Ending(_) => self.end_if_quiet(order),
                _ => {}
            }
        }
    }

    /// Begins orders while there is capacity for them.
    pub(super) fn start_orders(&mut self) {
        while self.capacity > 0 {
            let Some(order) = self.next_ready() else { return };
            if self.orders[order].pinned || self.all_in_memory(order) {
                self.run(order);
            } else if self.n_loading_orders < LOADING_MAX {
                self.load_inputs(order);
            } else {
                let record = &self.orders[order];
                self.ready.push((record.priority, order));
                return;
            }
        }
    }

    /// Takes the ready order whose turn it is off the queue.
    fn next_ready(&mut self) -> Option<u32> {
        let first = self.pop_ready()?;
        let may_start =
            |worker: &Self, order: u32| !worker.paused || worker.orders[order].pinned || worker.frees_memory(order);
        if may_start(self, first) {
            return Some(first);
        }
        let mut passed = vec![first];
        let mut chosen = None;
        while passed.len() < LOOK_AHEAD {
            let Some(order) = self.pop_ready() else { break };
            if may_start(self, order) {
                chosen = Some(order);
                break;
            }
            passed.push(order);
        }
        // Full and nothing else going on: the best order runs all the same.
        if chosen.is_none() && self.is_quiet() {
            chosen = Some(passed.swap_remove(0));
        }
        for order in passed {
            let record = &self.orders[order];
            self.ready.push((record.priority, order));
        }
        chosen
    }

    /// The best entry that still stands for a ready order.
    fn pop_ready(&mut self) -> Option<u32> {
        loop {
            let (priority, order) = self.ready.pop()?;
            let found = self.orders.get(order);
            if found.is_some_and(|record| record.state == OrderState::Ready && record.priority == priority) {
                return Some(order);
            }
        }
    }

    /// Whether nothing is under way that could change what is in memory.
    pub(super) fn is_quiet(&self) -> bool {
        self.n_running == 0 && self.n_loading_orders == 0 && self.n_spilling == 0
    }

    /// Whether the inputs that only this order needs weigh at least what its
    /// result will, so that running it is expected to free memory. A result of
    /// unknown size is taken to be no larger.
    fn frees_memory(&self, order: u32) -> bool {
        let record = &self.orders[order];
        let last_needs = record.needs.iter().map(|&slot| &self.pieces[slot]).filter(|piece| piece.needs == 1);
        let freed: u64 = last_needs.filter(|piece| piece.is_resident()).map(|piece| piece.bytes).sum();
        freed > 0 && (record.bytes == UNKNOWN_BYTES || freed >= record.bytes)
    }

    fn all_in_memory(&self, order: u32) -> bool {
        self.orders[order].needs.iter().all(|&slot| self.pieces[slot].state == PieceState::Memory)
    }

    fn run(&mut self, order: u32) {
        self.pin(order);
        let record = &mut self.orders[order];
        record.state = OrderState::Running;
        self.out.push(WorkerAction::Run { task: record.task, attempt: Attempt(record.attempt) });
        self.capacity -= 1;
        self.n_ready -= 1;
        self.n_running += 1;
    }

    fn pin(&mut self, order: u32) {
        let record = &mut self.orders[order];
        if !std::mem::replace(&mut record.pinned, true) {
            for &slot in &record.needs {
                self.pieces[slot].pins += 1;
            }
        }
    }

    /// Pins an order's inputs and has those on disk loaded; of a result that is
    /// on disk as a whole only the parts that it reads.
    fn load_inputs(&mut self, order: u32) {
        for index in 0..self.orders[order].inputs.len() {
            let (piece, slot) = (self.orders[order].inputs[index], self.orders[order].needs[index]);
            let record = &self.pieces[slot];
            if record.state == PieceState::Gone {
                return self.give_up(order, Ending::Missing { input: piece.task, holder: WorkerId::SELF });
            }
            if record.piece != piece && record.state == PieceState::Disk {
                let part = self.part_of(slot, piece);
                self.pieces[part].needs += 1;
                self.orders[order].needs[index] = part;
                self.pieces[slot].needs -= 1;
                self.drop_if_unwanted(slot);
            }
        }
        self.pin(order);
        let mut n_missing = 0;
        for index in 0..self.orders[order].needs.len() {
            let slot = self.orders[order].needs[index];
            if self.pieces[slot].state != PieceState::Memory {
                n_missing += 1;
                self.pieces[slot].await_by(order);
                self.load(slot);
            }
        }
        self.n_ready -= 1;
        let record = &mut self.orders[order];
        record.n_missing = n_missing;
        record.state = OrderState::Loading;
        self.n_loading_orders += 1;
        if n_missing == 0 {
            self.n_loading_orders -= 1;
            self.make_ready(order);
        }
    }

    /// A thread returned.
    pub(super) fn finished(&mut self, task: TaskId, attempt: u32, ended: Ended, duration: Nanos) {
        let Some(order) = self.names.order(task) else { return };
        if self.orders[order].attempt != attempt || self.orders[order].state != OrderState::Running {
            return;
        }
        self.n_running -= 1;
        let abandoned = self.orders[order].abandoned;
        let attempt = Attempt(attempt);
        self.remove_order(order);
        match ended {
            _ if abandoned => {
                self.drop_result(task, ended);
                self.report(Report::Abandoned { task, attempt });
            }
            Ended::Ok { bytes } => {
                self.keep_result(task, bytes, attempt.0);
                self.answer_copy(task);
                self.report(Report::Done { task, attempt, bytes, duration });
            }
            Ended::Failed(failure) => self.report(Report::Failed { task, attempt, failure }),
        }
    }

    /// A result that was made here while a copy of it was ordered, too. Said
    /// before `Done`, after which the scheduler may have freed the result when it
    /// hears of the copy.
    pub(super) fn answer_copy(&mut self, task: TaskId) {
        if let Some(slot) = self.whole_here(task)
            && std::mem::take(&mut self.pieces[slot].copy)
        {
            let bytes = self.pieces[slot].bytes;
            self.report(Report::Copied { task, bytes });
        }
    }

    fn keep_result(&mut self, task: TaskId, bytes: u64, attempt: u32) {
        let piece = Piece::whole(task);
        let slot = match self.names.piece(piece) {
            // A copy came meanwhile, and may be in any state.
            Some(slot) if self.pieces[slot].is_here() => slot,
            // A given-up order was fetching it.
            Some(slot) => {
                self.pieces[slot].bytes = bytes;
                self.set_state(slot, PieceState::Memory);
                self.wake(slot);
                slot
            }
            None => self.insert_piece(PieceRecord::new(piece, bytes, PieceState::Memory)),
        };
        self.hold_result(slot, attempt);
        self.note_fresh(slot);
    }

    /// Keeps a result for the scheduler, as this attempt's unless it was told
    /// already that it is here: then the result outlives the attempt.
    fn hold_result(&mut self, slot: u32, attempt: u32) {
        let record = &mut self.pieces[slot];
        if !std::mem::replace(&mut record.held, true) {
            record.made_by = attempt;
        }
    }

    /// The driver stored a result that nobody asked for any more.
    fn drop_result(&mut self, task: TaskId, ended: Ended) {
        if matches!(ended, Ended::Ok { .. }) && self.whole_here(task).is_none() {
            self.out.push(WorkerAction::Drop(Piece::whole(task)));
        }
    }

    pub(super) fn retract(&mut self, task: TaskId, attempt: u32) {
        if self.take_parked(task, attempt) {
            self.report(Report::Retracted { task, attempt: Attempt(attempt) });
            return;
        }
        let Some(order) = self.names.order(task) else { return };
        let record = &mut self.orders[order];
        if record.next.as_ref().is_some_and(|next| next.attempt.0 == attempt) {
            record.next = None;
            self.report(Report::Retracted { task, attempt: Attempt(attempt) });
            return;
        }
        let is_fetching = || self.orders[order].needs.iter().any(|&slot| self.pieces[slot].in_fetch);
        let has_not_begun = matches!(self.orders[order].state, OrderState::Waiting | OrderState::Ready);
        if self.orders[order].attempt == attempt && has_not_begun && !is_fetching() {
            self.give_up(order, Ending::Retracted);
        }
    }

    pub(super) fn abandon(&mut self, task: TaskId, attempt: u32) {
        if let Some(order) = self.names.order(task) {
            let record = &mut self.orders[order];
            if record.attempt == attempt {
                if record.state == OrderState::Running {
                    record.abandoned = true;
                } else {
                    self.give_up(order, Ending::Abandoned);
                }
                return;
            }
            if record.next.as_ref().is_some_and(|next| next.attempt.0 == attempt) {
                record.next = None;
            }
        }
        self.take_parked(task, attempt);
        if let Some(slot) = self.whole_here(task)
            && self.pieces[slot].made_by == attempt
        {
            self.pieces[slot].held = false;
            self.drop_if_unwanted(slot);
        }
        self.report(Report::Abandoned { task, attempt: Attempt(attempt) });
    }

    /// Gives an order up that no thread has; the first reason counts, unless the
    /// scheduler forgets the attempt anyway.
    pub(super) fn give_up(&mut self, order: u32, ending: Ending) {
        let record = &mut self.orders[order];
        match record.state {
            OrderState::Running => return,
            OrderState::Ending(_) if ending != Ending::Abandoned => return,
            OrderState::Ready => self.n_ready -= 1,
            OrderState::Loading => self.n_loading_orders -= 1,
            OrderState::Ending(_) => self.n_ending -= 1,
            OrderState::Waiting => {}
        }
        self.n_ending += 1;
        record.state = OrderState::Ending(ending);
        self.end_if_quiet(order);
    }

    /// Answers a given-up order once none of its fetches is under way.
    pub(super) fn end_if_quiet(&mut self, order: u32) {
        let record = &self.orders[order];
        let OrderState::Ending(ending) = record.state else { return };
        if record.needs.iter().any(|&slot| self.pieces[slot].in_fetch) {
            return;
        }
        let (task, attempt) = (record.task, Attempt(record.attempt));
        self.n_ending -= 1;
        self.remove_order(order);
        self.report(match ending {
            Ending::Missing { input, holder } => Report::MissingInput { task, attempt, input, holder },
            Ending::Retracted => Report::Retracted { task, attempt },
            Ending::Abandoned => Report::Abandoned { task, attempt },
        });
    }

    /// Removes an order and lets its inputs go.
    fn remove_order(&mut self, order: u32) {
        let record = self.orders.remove(order);
        self.names.clear_order(record.task);
        let may_wait = record.n_missing > 0;
        for &slot in &record.needs {
            let piece = &mut self.pieces[slot];
            piece.needs -= 1;
            piece.pins -= u32::from(record.pinned);
            if may_wait {
                piece.forget_order(order);
            }
            // A piece that is named twice is let go at the last mention.
            if piece.needs == 0 {
                self.let_go(slot);
            }
        }
        if let Some(next) = record.next {
            self.deferred.push(Order::Compute(*next));
        }
    }

    /// A piece is used once less: drop it, or note that it may be spilled.
    pub(super) fn let_go(&mut self, slot: u32) {
        if self.pieces[slot].is_wanted() {
            if self.pieces[slot].needs == 0 {
                self.pieces[slot].next_use = u64::MAX;
                self.note_spillable(slot);
            }
        } else {
            self.drop_if_unwanted(slot);
        }
    }
}

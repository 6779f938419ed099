//! The worker core: what to run next, what to fetch, what to keep in memory.
//!
//! An order (to run a task) is
//!
//! | from | event | to |
//! |---|---|---|
//! | – | `Compute` | Waiting (something to fetch), Ready, or answered (the result is here) |
//! | Waiting | last piece arrived | Ready |
//! | Ready | its turn, all inputs in memory | Running |
//! | Ready | its turn, inputs on disk | Loading (all inputs pinned) |
//! | Loading | last piece loaded | Ready, first in turn |
//! | Running | `Finished` | answered: `Done`, `Failed`, `Abandoned` |
//! | Waiting, Ready, Loading | `Retract`, `Abandon`, a piece cannot be had | Ending |
//! | Ending | none of its fetches under way | answered: `Retracted`, `Abandoned`, `MissingInput` |
//!
//! and a piece of a result is
//!
//! | from | event | to |
//! |---|---|---|
//! | – | a task of this worker finished, `Put` | Memory |
//! | – | an order needs it from a peer | Queued |
//! | Queued | fewer fetches than allowed, and memory | Fetching |
//! | Fetching | `Arrived` / `FetchFailed` | Memory / Gone |
//! | Memory | too much in memory, nobody uses it | Spilling |
//! | Spilling | `Spilled` / `SpillFailed` | Disk / Memory |
//! | Disk | an order's turn, a reader | Loading |
//! | Loading | `Loaded` / `LoadFailed` | Memory / Gone |
//! | any at rest | not held for the scheduler, and nobody needs it | dropped |
//!
//! A thread cannot be stopped, so an attempt that is given up while it runs
//! keeps its record until the thread returns; an order for the same task that
//! comes meanwhile waits in it. That is all there is to cancelling.

mod check;
mod fetch;
mod memory;
mod names;
mod record;
mod run;
mod serve;

#[cfg(test)]
mod tests;

use crate::event::{Nanos, Order, Piece, Report, TaskId, WorkerAction, WorkerConfig, WorkerEvent};
use crate::queue::TurnQueue;
pub use check::WorkerWhy;
use names::{IdMap, NONE, Names};
use record::{OrderRecord, PieceRecord, PieceState, Slab};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// The worker core. See the module's head for its states.
pub struct Worker {
    config: WorkerConfig,
    orders: Slab<OrderRecord>,
    pieces: Slab<PieceRecord>,
    names: Names,
    /// Readers that wait for a piece or have it, and which piece that is.
    readers: IdMap<(Piece, u32), u32>,
    /// Ready orders by priority; may name some that are not ready any more.
    ready: TurnQueue,
    /// Pieces to fetch, by the priority of an order that needs them.
    to_fetch: BinaryHeap<Reverse<(u64, u32)>>,
    /// Pieces in memory that no order here needs, by the logarithm of their
    /// size; may name some that are not such any more.
    spillable: Vec<Vec<u32>>,
    n_spillable: usize,
    /// Results made since the last tick: who needs them is mostly about to be
    /// ordered, and would have to wait for them to come back.
    fresh: Vec<u32>,
    /// How many more tasks may begin.
    capacity: u32,
    n_running: u32,
    n_loading_orders: u32,
    n_ready: u32,
    n_ending: u32,
    n_fetching: u32,
    n_spilling: u32,
    /// Bytes of pieces in memory, those that come from disk or go there
    /// included.
    resident: u64,
    /// Bytes of those that go to disk.
    spilling: u64,
    /// Bytes of pieces on disk.
    spilled: u64,
    /// Bytes of whole pieces that are being fetched.
    in_transit: u64,
    /// Bytes that the process uses beyond `resident`.
    extra: u64,
    paused: bool,
    /// Time passed since the ledger was reported.
    has_ticked: bool,
    /// A spill failed; none is tried until memory changes or time passes.
    spill_blocked_at: Option<u64>,
    /// No piece that is needed could be spilled; not looked for until then.
    scan_blocked_at: Option<u64>,
    /// What was reported last.
    reported: (u64, u64, bool),
    out: Vec<WorkerAction>,
    /// Orders that can be looked at (again) in the event at hand.
    deferred: Vec<Order>,
    /// Orders about numbers under which a piece is still leaving.
    parked: Vec<Order>,
}

impl Worker {
    /// A worker with nothing to do and no capacity yet.
    #[must_use]
    pub fn new(config: WorkerConfig) -> Self {
        Worker {
            config,
            orders: Slab::default(),
            pieces: Slab::default(),
            names: Names::default(),
            readers: IdMap::default(),
            ready: TurnQueue::default(),
            to_fetch: BinaryHeap::new(),
            spillable: vec![Vec::new(); 65],
            n_spillable: 0,
            fresh: Vec::new(),
            capacity: 0,
            n_running: 0,
            n_loading_orders: 0,
            n_ready: 0,
            n_ending: 0,
            n_fetching: 0,
            n_spilling: 0,
            resident: 0,
            spilling: 0,
            spilled: 0,
            in_transit: 0,
            extra: 0,
            paused: false,
            has_ticked: false,
            spill_blocked_at: None,
            scan_blocked_at: None,
            reported: (0, 0, false),
            out: Vec::new(),
            deferred: Vec::new(),
            parked: Vec::new(),
        }
    }

    /// Whether tasks wait for inputs to be read from disk.
    #[must_use]
    pub fn is_loading(&self) -> bool {
        self.n_loading_orders > 0
    }

    /// Takes one event and appends what is to be done about it.
    ///
    /// Events about attempts, pieces and readers that are not (any more) here
    /// change nothing.
    pub fn handle(&mut self, now: Nanos, event: WorkerEvent, actions: &mut Vec<WorkerAction>) {
        self.take(now, event, actions);
        self.settle(now, actions);
    }

    /// Takes one event of several that came together, and appends what is to be
    /// done about it by itself. What can begin then is begun by the
    /// [`Worker::settle`] that must follow the last of them.
    pub fn take(&mut self, now: Nanos, event: WorkerEvent, actions: &mut Vec<WorkerAction>) {
        let _ = now;
        std::mem::swap(&mut self.out, actions);
        match event {
            WorkerEvent::Order(order) => self.order(order),
            WorkerEvent::Capacity(capacity) => self.capacity = capacity,
            WorkerEvent::Finished { task, attempt, ended, duration } => self.finished(task, attempt.0, ended, duration),
            WorkerEvent::Arrived { piece, bytes } => self.arrived(piece, bytes),
            WorkerEvent::FetchFailed { piece, holder } => self.fetch_failed(piece, holder),
            WorkerEvent::Put { task, bytes } => self.put(task, bytes),
            WorkerEvent::Loaded { piece, bytes } => self.loaded(piece, bytes),
            WorkerEvent::Spilled(piece) => self.spilled(piece),
            WorkerEvent::SpillFailed(piece) => self.spill_failed(piece),
            WorkerEvent::LoadFailed(piece) => self.load_failed(piece),
            WorkerEvent::Wanted { piece, reader } => self.wanted(piece, reader),
            WorkerEvent::Served { piece, reader } => self.served(piece, reader),
            WorkerEvent::ProcessMemory(bytes) => self.extra = bytes,
            WorkerEvent::Tick => {
                (self.spill_blocked_at, self.scan_blocked_at) = (None, None);
                self.has_ticked = true;
                self.ripen();
            }
        }
        while let Some(order) = self.deferred.pop() {
            self.order(order);
        }
        std::mem::swap(&mut self.out, actions);
    }

    /// Ends a batch of events that [`Worker::take`] took.
    pub fn settle(&mut self, now: Nanos, actions: &mut Vec<WorkerAction>) {
        let _ = now;
        std::mem::swap(&mut self.out, actions);
        self.advance();
        while !self.deferred.is_empty() {
            while let Some(order) = self.deferred.pop() {
                self.order(order);
            }
            self.advance();
        }
        self.report_memory();
        self.orders.shrink();
        self.pieces.shrink();
        std::mem::swap(&mut self.out, actions);
        #[cfg(debug_assertions)]
        if self.pieces.len() + self.orders.len() < 200 {
            self.check();
        }
    }

    fn order(&mut self, order: Order) {
        match order {
            _ if self.is_blocked(&order) => self.parked.push(order),
            Order::Compute(compute) => self.compute(compute),
            Order::Retract { task, attempt } => self.retract(task, attempt.0),
            Order::Abandon { task, attempt } => self.abandon(task, attempt.0),
            Order::Free(task) => self.free(task),
            Order::Copy { task, bytes, holder } => self.copy(task, bytes, holder),
        }
    }

    /// Whether an order is about a number under which a piece is still leaving:
    /// the store cannot have two pieces of one name.
    fn is_blocked(&self, order: &Order) -> bool {
        let is_leaving = |piece: Piece| {
            let slot = self.names.piece(piece);
            slot.is_some_and(|slot| self.pieces[slot].is_doomed())
        };
        match order {
            Order::Compute(compute) => {
                is_leaving(Piece::whole(compute.task))
                    || compute
                        .fetch
                        .iter()
                        .any(|source| is_leaving(source.piece) || is_leaving(Piece::whole(source.piece.task)))
            }
            Order::Copy { task, .. } => is_leaving(Piece::whole(*task)),
            Order::Retract { .. } | Order::Abandon { .. } | Order::Free(_) => false,
        }
    }

    /// Takes a parked order to compute back, if there is one.
    fn take_parked(&mut self, task: TaskId, attempt: u32) -> bool {
        let is_it = |order: &Order| matches!(order, Order::Compute(compute) if compute.task == task && compute.attempt.0 == attempt);
        let position = self.parked.iter().position(is_it);
        position.is_some_and(|position| {
            self.parked.remove(position);
            true
        })
    }

    /// Begins whatever can begin now.
    fn advance(&mut self) {
        self.update_pause();
        if self.capacity > 0 && !self.ready.is_empty() {
            self.start_orders();
        }
        if !self.to_fetch.is_empty() {
            self.start_fetches();
        }
        self.start_spills();
    }

    fn report(&mut self, report: Report) {
        self.out.push(WorkerAction::Report(report));
    }

    /// The piece that holds a whole result here and may be used, if any.
    fn whole_here(&self, task: TaskId) -> Option<u32> {
        let is_usable = |&slot: &u32| self.pieces[slot].is_here() && !self.pieces[slot].is_doomed();
        self.names.piece(Piece::whole(task)).filter(is_usable)
    }

    fn insert_piece(&mut self, record: PieceRecord) -> u32 {
        let piece = record.piece;
        if record.is_resident() {
            self.resident += record.bytes;
        }
        let slot = self.pieces.insert(record);
        self.names.set_piece(piece, slot);
        slot
    }

    /// Changes where a piece is, and the counts that follow from it.
    fn set_state(&mut self, slot: u32, state: PieceState) {
        let record = &mut self.pieces[slot];
        let bytes = record.bytes;
        // What comes back from disk is in memory as soon as its load begins,
        // and on disk until it ends.
        let on_disk = |state| matches!(state, PieceState::Disk | PieceState::Loading);
        let (was_resident, was_on_disk) = (record.is_resident(), on_disk(record.state) && record.loading_from == NONE);
        let was_spilling = record.state == PieceState::Spilling;
        record.state = state;
        let (is_resident, is_on_disk) = (record.is_resident(), on_disk(state) && record.loading_from == NONE);
        if was_resident {
            self.resident -= bytes;
        }
        if is_resident {
            self.resident += bytes;
        }
        if was_on_disk {
            self.spilled -= bytes;
        }
        if is_on_disk {
            self.spilled += bytes;
        }
        if was_spilling {
            self.spilling -= bytes;
            self.n_spilling -= 1;
        }
        if state == PieceState::Spilling {
            self.spilling += bytes;
            self.n_spilling += 1;
        }
    }

    /// Drops a piece that nobody wants, now or when what is under way ends.
    fn drop_if_unwanted(&mut self, slot: u32) {
        let record = &self.pieces[slot];
        if record.is_wanted() || record.in_fetch {
            return;
        }
        match record.state {
            PieceState::Spilling | PieceState::Loading | PieceState::Fetching => return,
            PieceState::Memory | PieceState::Disk => {
                let piece = record.piece;
                self.out.push(WorkerAction::Drop(piece));
                if record.state == PieceState::Disk {
                    self.spill_blocked_at = None;
                }
                self.set_state(slot, PieceState::Gone);
            }
            PieceState::Queued | PieceState::Gone => {}
        }
        let record = self.pieces.remove(slot);
        self.names.clear_piece(record.piece);
        self.deferred.append(&mut self.parked);
    }
}

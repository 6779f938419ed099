//! Why an order waits, and the re-derivation of everything stored twice.

use super::Worker;
use super::names::NONE;
use super::record::{OrderState, PieceState};
use crate::event::{Order, Piece, TaskId, WorkerId};
use std::collections::HashMap;
use std::fmt;

/// Why an order that a worker has is not answered yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkerWhy {
    /// There is no order for the task here.
    NotHere,
    /// A piece is on its way, or its fetch waits for its turn.
    WaitsForPiece {
        /// The piece.
        piece: Piece,
        /// Who has it.
        holder: WorkerId,
        /// Whether it was asked for.
        asked: bool,
    },
    /// A piece is being read from disk, or an older one is leaving the store.
    WaitsForDisk {
        /// The piece.
        piece: Piece,
    },
    /// All inputs are here; others run first.
    Queued {
        /// Whether only what frees memory begins now.
        paused: bool,
    },
    /// A thread has it.
    Running {
        /// The scheduler gave it up; the thread cannot be stopped.
        abandoned: bool,
    },
    /// It was given up and waits for a fetch to end.
    Ending,
}

impl fmt::Display for WorkerWhy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WorkerWhy::NotHere => write!(f, "the worker has no order for the task"),
            WorkerWhy::WaitsForPiece { piece, holder, asked: true } => {
                write!(f, "waits for task {} from worker {}", piece.task.0, holder.0)
            }
            WorkerWhy::WaitsForPiece { piece, holder, asked: false } => {
                write!(f, "will ask worker {} for task {} when memory and other fetches allow", holder.0, piece.task.0)
            }
            WorkerWhy::WaitsForDisk { piece } => write!(f, "waits until task {} is read from disk", piece.task.0),
            WorkerWhy::Queued { paused: false } => write!(f, "other tasks run first"),
            WorkerWhy::Queued { paused: true } => write!(f, "memory is full; tasks that free memory run first"),
            WorkerWhy::Running { abandoned: false } => write!(f, "runs"),
            WorkerWhy::Running { abandoned: true } => write!(f, "runs on although it was given up"),
            WorkerWhy::Ending => write!(f, "was given up and waits for a fetch to end"),
        }
    }
}

impl Worker {
    /// Why the order for a task is not answered; text by its `Display`.
    #[must_use]
    pub fn explain(&self, task: TaskId) -> WorkerWhy {
        let is_it = |order: &&Order| matches!(order, Order::Compute(compute) if compute.task == task);
        if self.parked.iter().any(|order| is_it(&order)) {
            return WorkerWhy::WaitsForDisk { piece: Piece::whole(task) };
        }
        let Some(order) = self.names.order(task) else { return WorkerWhy::NotHere };
        let order = &self.orders[order];
        let needs = || order.needs.iter().map(|&slot| &self.pieces[slot]);
        match order.state {
            OrderState::Waiting => needs().find(|piece| !piece.is_here()).map_or(WorkerWhy::Ending, |piece| {
                WorkerWhy::WaitsForPiece { piece: piece.piece, holder: piece.holder, asked: piece.in_fetch }
            }),
            OrderState::Ready => WorkerWhy::Queued { paused: self.paused },
            OrderState::Loading => needs()
                .find(|piece| piece.state != PieceState::Memory)
                .map_or(WorkerWhy::Queued { paused: self.paused }, |piece| WorkerWhy::WaitsForDisk {
                    piece: piece.piece,
                }),
            OrderState::Running => WorkerWhy::Running { abandoned: order.abandoned },
            OrderState::Ending(_) => WorkerWhy::Ending,
        }
    }

    /// The inputs of a task that was ordered here, in the order in which it names
    /// them.
    #[must_use]
    pub fn inputs_of(&self, task: TaskId) -> &[Piece] {
        self.names.order(task).map_or(&[], |order| &self.orders[order].inputs)
    }

    /// Bytes of results in memory and on disk.
    #[must_use]
    pub fn memory(&self) -> (u64, u64) {
        (self.resident, self.spilled)
    }

    /// Whether only what frees memory begins now.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.paused
    }

    /// How many orders are here that are not answered.
    #[must_use]
    pub fn n_orders(&self) -> usize {
        self.orders.len() + self.parked.len()
    }

    /// How many pieces are here or on their way.
    #[must_use]
    pub fn n_pieces(&self) -> usize {
        self.pieces.len()
    }

    /// Whether a whole result is here, in memory or on disk.
    #[must_use]
    pub fn holds(&self, task: TaskId) -> bool {
        self.whole_here(task).is_some()
    }

    /// Asserts that all redundant facts agree. Looks at every record, so it is
    /// for tests and the simulator.
    ///
    /// # Panics
    /// If the core has a bug.
    pub fn check(&self) {
        assert!(self.out.is_empty() && self.deferred.is_empty());
        assert!(self.parked.iter().all(|order| self.is_blocked(order)), "an order is parked for nothing");
        self.check_orders();
        self.check_pieces();
    }

    fn check_orders(&self) {
        let mut counts = [0_u32; 4];
        for (slot, order) in self.orders.iter() {
            assert_eq!(self.names.order(order.task), Some(slot));
            let pieces = || order.needs.iter().map(|&slot| &self.pieces[slot]);
            let n_absent = pieces().filter(|piece| !piece.is_here()).count() as u32;
            match order.state {
                OrderState::Waiting => {
                    assert_eq!(order.n_missing, n_absent);
                    assert!(n_absent > 0 && !pieces().any(|piece| piece.state == PieceState::Gone));
                }
                OrderState::Ready => {
                    counts[0] += 1;
                    assert!(!order.pinned || pieces().all(|piece| piece.state == PieceState::Memory));
                }
                OrderState::Loading => {
                    counts[1] += 1;
                    assert!(order.pinned);
                    let n_loading = pieces().filter(|piece| piece.state != PieceState::Memory).count() as u32;
                    assert_eq!(order.n_missing, n_loading);
                    assert!(n_loading > 0);
                }
                OrderState::Running => {
                    counts[2] += 1;
                    assert!(
                        order.pinned && pieces().all(|piece| piece.state == PieceState::Memory),
                        "{:?}",
                        order.task
                    );
                }
                OrderState::Ending(_) => {
                    counts[3] += 1;
                    assert!(pieces().any(|piece| piece.in_fetch), "{:?} has no reason not to end", order.task);
                }
            }
        }
        assert_eq!(counts, [self.n_ready, self.n_loading_orders, self.n_running, self.n_ending]);
        self.names.check(&self.orders, &self.pieces);
    }

    fn check_pieces(&self) {
        let mut needs: HashMap<u32, u32> = HashMap::new();
        let mut pins: HashMap<u32, u32> = HashMap::new();
        let mut part_loads: HashMap<u32, u32> = HashMap::new();
        for (_, order) in self.orders.iter() {
            for &slot in &order.needs {
                *needs.entry(slot).or_default() += 1;
                *pins.entry(slot).or_default() += u32::from(order.pinned);
            }
        }
        for &slot in self.readers.values() {
            *pins.entry(slot).or_default() += 1;
        }
        for (_, piece) in self.pieces.iter() {
            if piece.loading_from != NONE {
                let whole = piece.loading_from;
                assert_eq!(piece.state, PieceState::Loading);
                *part_loads.entry(whole).or_default() += 1;
            }
        }
        let (mut resident, mut spilled, mut spilling, mut n_spilling, mut n_fetching) = (0, 0, 0, 0, 0);
        for (slot, piece) in self.pieces.iter() {
            assert_eq!(self.names.piece(piece.piece), Some(slot));
            assert_eq!(piece.needs, needs.get(&slot).copied().unwrap_or(0), "{:?}", piece.piece);
            assert_eq!(piece.pins, pins.get(&slot).copied().unwrap_or(0), "{:?}", piece.piece);
            assert_eq!(piece.part_loads, part_loads.get(&slot).copied().unwrap_or(0), "{:?}", piece.piece);
            let is_busy = piece.in_fetch || matches!(piece.state, PieceState::Spilling | PieceState::Loading);
            assert!(piece.is_wanted() || is_busy, "{:?} {:?} is kept for nobody", piece.piece, piece.state);
            assert!(piece.state != PieceState::Fetching || piece.in_fetch);
            assert!(piece.state != PieceState::Disk || piece.pins == 0, "{:?} is not loaded", piece.piece);
            resident += if piece.is_resident() { piece.bytes } else { 0 };
            let is_on_disk = matches!(piece.state, PieceState::Disk | PieceState::Loading);
            spilled += if is_on_disk && piece.loading_from == NONE { piece.bytes } else { 0 };
            spilling += if piece.state == PieceState::Spilling { piece.bytes } else { 0 };
            n_spilling += u32::from(piece.state == PieceState::Spilling);
            n_fetching += u32::from(piece.in_fetch);
        }
        assert_eq!((resident, spilled, spilling), (self.resident, self.spilled, self.spilling));
        assert_eq!((n_spilling, n_fetching), (self.n_spilling, self.n_fetching));
    }
}

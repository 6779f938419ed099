//! The worker's records: orders to run, and pieces of results.

use super::names::NONE;
use crate::event::{Compute, Piece, TaskId, WorkerId};
use std::ops::{Index, IndexMut};

/// How far an order is.
///
/// A given-up order keeps its record only until nothing of it is under way; it
/// does not come back to life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OrderState {
    /// Inputs are being fetched.
    Waiting,
    /// All inputs are here, in memory or on disk.
    Ready,
    /// Inputs are pinned, and those on disk are being loaded.
    Loading,
    /// A thread has it.
    Running,
    /// Given up; its answer waits for fetches to end.
    Ending(Ending),
}

/// Why an order is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    Missing { input: TaskId, holder: WorkerId },
    Retracted,
    Abandoned,
}

/// An order to run a task.
pub(super) struct OrderRecord {
    pub task: TaskId,
    pub attempt: u32,
    pub priority: u64,
    pub bytes: u64,
    pub state: OrderState,
    /// Inputs that are not here, or not in memory while loading.
    pub n_missing: u32,
    /// Whether its inputs are pinned.
    pub pinned: bool,
    /// Given up while a thread has it.
    pub abandoned: bool,
    pub inputs: Vec<Piece>,
    /// The piece that each input is read from.
    pub needs: Vec<u32>,
    /// The task was ordered anew while a thread still has the old attempt.
    pub next: Option<Box<Compute>>,
}

/// Where a piece is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PieceState {
    /// To be fetched.
    Queued,
    /// Asked for from its holder.
    Fetching,
    Memory,
    /// In memory until it is on disk; not to be used.
    Spilling,
    Disk,
    /// On disk until it is in memory.
    Loading,
    /// Could not be had; kept while given-up orders name it.
    Gone,
}

/// A result, or a part of one, that is here or shall be.
pub(super) struct PieceRecord {
    pub piece: Piece,
    pub bytes: u64,
    pub state: PieceState,
    /// The scheduler counts on it: keep it until it is freed.
    pub held: bool,
    /// The scheduler ordered a copy.
    pub copy: bool,
    /// A fetch is under way, whatever the state became since.
    pub in_fetch: bool,
    /// Orders and readers that use it from memory now, or wait for its load.
    pub pins: u32,
    /// Orders that name it.
    pub needs: u32,
    /// Loads of parts of it that are under way.
    pub part_loads: u32,
    /// Smallest priority of an order that needed it lately.
    pub next_use: u64,
    /// The attempt that made it here, or 0.
    pub made_by: u32,
    /// Whom to fetch it from.
    pub holder: WorkerId,
    /// The whole that this part is being loaded from, or [`NONE`].
    pub loading_from: u32,
    /// Who waits for it; mostly nobody.
    waits: Option<Box<Waits>>,
}

/// Who waits for a piece.
#[derive(Default)]
struct Waits {
    /// Orders to wake when it arrives or is loaded, once for each mention.
    orders: Vec<u32>,
    /// Readers to serve when it is loaded, and what they asked for.
    readers: Vec<(Piece, u32)>,
}

const _: () = assert!(size_of::<Option<PieceRecord>>() <= 64, "a piece's record stays small");

impl PieceRecord {
    pub fn new(piece: Piece, bytes: u64, state: PieceState) -> Self {
        PieceRecord {
            piece,
            bytes,
            state,
            held: false,
            copy: false,
            in_fetch: false,
            pins: 0,
            needs: 0,
            part_loads: 0,
            next_use: u64::MAX,
            made_by: 0,
            holder: WorkerId::SELF,
            loading_from: NONE,
            waits: None,
        }
    }

    /// Lets an order wait for it.
    pub fn await_by(&mut self, order: u32) {
        self.waits.get_or_insert_default().orders.push(order);
    }

    /// An order waits no more.
    pub fn forget_order(&mut self, order: u32) {
        if let Some(waits) = &mut self.waits {
            waits.orders.retain(|&waiting| waiting != order);
        }
    }

    /// The orders that waited for it.
    pub fn take_waiting(&mut self) -> Vec<u32> {
        self.waits.as_mut().map_or_else(Vec::new, |waits| std::mem::take(&mut waits.orders))
    }

    /// Lets a reader wait for it.
    pub fn await_by_reader(&mut self, piece: Piece, reader: u32) {
        self.waits.get_or_insert_default().readers.push((piece, reader));
    }

    /// A reader waits no more.
    pub fn forget_reader(&mut self, piece: Piece, reader: u32) {
        if let Some(waits) = &mut self.waits {
            waits.readers.retain(|&waiting| waiting != (piece, reader));
        }
    }

    /// The readers that waited for it.
    pub fn take_readers(&mut self) -> Vec<(Piece, u32)> {
        self.waits.as_mut().map_or_else(Vec::new, |waits| std::mem::take(&mut waits.readers))
    }

    /// Whether its bytes are here, in memory or on disk.
    pub fn is_here(&self) -> bool {
        !matches!(self.state, PieceState::Queued | PieceState::Fetching | PieceState::Gone)
    }

    /// Whether it counts as in memory.
    pub fn is_resident(&self) -> bool {
        matches!(self.state, PieceState::Memory | PieceState::Spilling | PieceState::Loading)
    }

    /// Whether anybody wants it kept.
    pub fn is_wanted(&self) -> bool {
        self.held || self.copy || self.needs > 0 || self.pins > 0 || self.part_loads > 0
    }

    /// Whether it is here, and everything that kept its number from being
    /// reused is over: only a disk or a reader still has it. Nothing new may
    /// rely on it, since the number may stand for another task now.
    pub fn is_doomed(&self) -> bool {
        self.is_here() && !self.held && !self.copy && self.needs == 0
    }
}

/// Records whose memory is kept when none is left.
const KEPT: usize = 1 << 16;

/// Records in reused slots.
pub(super) struct Slab<T> {
    slots: Vec<Option<T>>,
    free: Vec<u32>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Slab { slots: Vec::new(), free: Vec::new() }
    }
}

impl<T> Slab<T> {
    pub fn insert(&mut self, record: T) -> u32 {
        if let Some(slot) = self.free.pop() {
            self.slots[slot as usize] = Some(record);
            return slot;
        }
        self.slots.push(Some(record));
        u32::try_from(self.slots.len() - 1).expect("a worker holds fewer than 2^32 records")
    }

    pub fn remove(&mut self, slot: u32) -> T {
        self.free.push(slot);
        self.slots[slot as usize].take().expect("a record is removed once")
    }

    /// Gives the memory back of many records that are gone.
    pub fn shrink(&mut self) {
        if self.free.len() == self.slots.len() && self.slots.capacity() > KEPT {
            *self = Slab::default();
        }
    }

    pub fn get(&self, slot: u32) -> Option<&T> {
        self.slots.get(slot as usize)?.as_ref()
    }

    pub fn get_mut(&mut self, slot: u32) -> Option<&mut T> {
        self.slots.get_mut(slot as usize)?.as_mut()
    }

    pub fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    pub fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        self.slots.iter().enumerate().filter_map(|(slot, record)| Some((slot as u32, record.as_ref()?)))
    }
}

impl<T> Index<u32> for Slab<T> {
    type Output = T;
    fn index(&self, slot: u32) -> &T {
        self.slots[slot as usize].as_ref().expect("a slot in use")
    }
}

impl<T> IndexMut<u32> for Slab<T> {
    fn index_mut(&mut self, slot: u32) -> &mut T {
        self.slots[slot as usize].as_mut().expect("a slot in use")
    }
}

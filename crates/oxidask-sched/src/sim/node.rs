//! A worker of the simulation: the core, and the pool and store around it.

use super::graph::piece_value;
use super::world::{Happening, World};
use super::{combine, mix};
use crate::event::{
    Attempt, Compute, Ended, Failure, FetchFrom, Order, Piece, TaskId, WorkerAction, WorkerConfig, WorkerEvent,
    WorkerId,
};
use crate::worker::Worker;
use std::collections::HashMap;

/// A piece in a worker's store.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stored {
    pub value: u64,
    pub bytes: u64,
    pub in_memory: bool,
    pub on_disk: bool,
}

/// A worker's process.
pub(super) struct Node {
    pub core: Worker,
    pub id: WorkerId,
    pub slots: u32,
    /// The process runs.
    pub alive: bool,
    /// The scheduler was told that it is gone.
    pub declared_lost: bool,
    pub store: HashMap<Piece, Stored>,
    /// What the orders said: which task it is, what it reads.
    pub orders: HashMap<(TaskId, Attempt), (usize, Vec<Piece>)>,
    /// What threads run, and the values that they read.
    pub running: HashMap<(TaskId, Attempt), u64>,
}

impl Node {
    pub fn new(id: WorkerId, slots: u32, config: WorkerConfig) -> Self {
        Node {
            core: Worker::new(config),
            id,
            slots,
            alive: true,
            declared_lost: false,
            store: HashMap::new(),
            orders: HashMap::new(),
            running: HashMap::new(),
        }
    }

    fn in_memory(&self, piece: Piece) -> Option<Stored> {
        self.store.get(&piece).copied().filter(|stored| stored.in_memory)
    }

    /// The value of a piece in memory, by itself or as part of its whole.
    pub fn read(&self, piece: Piece) -> Option<(u64, u64)> {
        match self.in_memory(Piece::whole(piece.task)) {
            Some(whole) if piece.part == Piece::WHOLE => Some((whole.value, whole.bytes)),
            Some(whole) => Some((piece_value(whole.value, piece.part), part_bytes(whole.bytes))),
            None => self.in_memory(piece).map(|stored| (stored.value, stored.bytes)),
        }
    }

    fn disk_bytes(&self) -> u64 {
        self.store.values().filter(|stored| stored.on_disk).map(|stored| stored.bytes).sum()
    }
}

pub(super) fn part_bytes(whole: u64) -> u64 {
    whole / 4 + 1
}

impl World {
    /// Tells a worker's core, and carries out what it wants.
    pub fn tell_node(&mut self, node: usize, event: WorkerEvent) {
        if !self.nodes[node].alive {
            return;
        }
        self.trace(|| format!("worker {node} <- {event:?}"));
        let mut actions = Vec::new();
        if matches!(event, WorkerEvent::Order(_) | WorkerEvent::Finished { .. }) && self.waits_for_more() {
            self.nodes[node].core.take(self.now, event, &mut actions);
        } else {
            self.nodes[node].core.handle(self.now, event, &mut actions);
            if self.checks_now() {
                self.nodes[node].core.check();
            }
        }
        for action in actions {
            self.trace(|| format!("worker {node} -> {action:?}"));
            self.carry_out(node, action);
        }
    }

    fn carry_out(&mut self, node: usize, action: WorkerAction) {
        match action {
            WorkerAction::Run { task, attempt } => self.start_thread(node, task, attempt),
            WorkerAction::Fetch(source) => self.start_fetch(node, source),
            WorkerAction::Spill(piece) => {
                let stored = self.nodes[node].store.get(&piece);
                assert!(stored.is_some_and(|stored| stored.in_memory), "{piece:?} is spilled but not in memory");
                self.assert_unused(node, piece);
                self.later(1, 500_000, Happening::SpillEnds { node, piece });
            }
            WorkerAction::Load(piece) => {
                let on_disk = |piece: &Piece| self.nodes[node].store.get(piece).is_some_and(|stored| stored.on_disk);
                assert!(on_disk(&piece) || on_disk(&Piece::whole(piece.task)), "{piece:?} is loaded but not on disk");
                self.later(1, 500_000, Happening::LoadEnds { node, piece });
            }
            WorkerAction::Drop(piece) => {
                self.assert_unused(node, piece);
                self.nodes[node].store.remove(&piece);
            }
            WorkerAction::Serve { piece, reader } => {
                let value = self.nodes[node].read(piece);
                assert!(value.is_some(), "{piece:?} is served but not in memory");
                self.reply(node, reader, value);
                self.later(0, 10_000, Happening::Served { node, piece, reader });
            }
            WorkerAction::ServeFailed { reader, .. } => self.reply(node, reader, None),
            WorkerAction::Report(report) => {
                let worker = self.nodes[node].id;
                self.send_to_scheduler(node, crate::event::SchedulerEvent::From { worker, report });
            }
        }
    }

    /// No thread may lose what it reads.
    fn assert_unused(&self, node: usize, piece: Piece) {
        let node = &self.nodes[node];
        let stays = |other: Piece| other != piece && node.in_memory(other).is_some();
        for key in node.running.keys() {
            for &input in &node.orders[key].1 {
                let is_readable = stays(input) || stays(Piece::whole(input.task));
                assert!(is_readable, "{piece:?} leaves memory while {key:?} reads it");
            }
        }
    }

    fn start_thread(&mut self, node: usize, task: TaskId, attempt: Attempt) {
        let (logical, inputs) = self.nodes[node].orders[&(task, attempt)].clone();
        let mut value = self.universe.tasks[logical].key;
        for piece in inputs {
            let read = self.nodes[node].read(piece);
            let (input, _) = read.unwrap_or_else(|| panic!("{task:?} runs without {piece:?} in memory"));
            value = combine(value, input);
        }
        let previous = self.nodes[node].running.insert((task, attempt), value);
        assert!(previous.is_none(), "{task:?} runs twice");
        let is_alone = self.nodes[node].running.keys().filter(|(other, _)| *other == task).count() == 1;
        assert!(is_alone, "two attempts of {task:?} run at once");
        assert!(self.nodes[node].running.len() <= self.nodes[node].slots as usize, "more tasks than threads");
        self.n_runs += 1;
        let duration = self.universe.tasks[logical].duration;
        self.later(duration / 2, duration * 3 / 2, Happening::ThreadReturns { node, task, attempt });
    }

    pub fn thread_returns(&mut self, node: usize, task: TaskId, attempt: Attempt) {
        if !self.nodes[node].alive {
            return;
        }
        let (logical, inputs) = self.nodes[node].orders.remove(&(task, attempt)).expect("what ran was ordered");
        for piece in inputs {
            assert!(self.nodes[node].read(piece).is_some(), "{piece:?} left memory while {task:?} ran");
        }
        let value = self.nodes[node].running.remove(&(task, attempt)).expect("it ran");
        let ended = match self.planned_failure(logical) {
            Some(failure) => Ended::Failed(failure),
            None => {
                let bytes = self.universe.tasks[logical].bytes;
                let on_disk = false;
                let stored = Stored { value, bytes, in_memory: true, on_disk };
                self.nodes[node].store.entry(Piece::whole(task)).or_insert(stored);
                Ended::Ok { bytes }
            }
        };
        let duration = self.universe.tasks[logical].duration;
        self.tell_node(node, WorkerEvent::Finished { task, attempt, ended, duration });
        self.give_capacity(node);
    }

    pub fn give_capacity(&mut self, node: usize) {
        let free = self.nodes[node].slots - self.nodes[node].running.len() as u32;
        self.tell_node(node, WorkerEvent::Capacity(free));
    }

    /// How a run of the task fails, if the scenario wants it to.
    fn planned_failure(&mut self, logical: usize) -> Option<Failure> {
        use super::graph::Plan;
        let n_failed = &mut self.n_failed_runs[logical];
        let (n_planned, failure) = match self.universe.tasks[logical].plan {
            Plan::Succeed => (0, Failure::Error),
            Plan::Errors(n) => (n, Failure::Error),
            Plan::Crashes(n) => (n, Failure::Crash),
            Plan::Fatal => (u32::MAX, Failure::Fatal),
        };
        (*n_failed < n_planned).then(|| {
            *n_failed += 1;
            failure
        })
    }

    fn start_fetch(&mut self, node: usize, source: FetchFrom) {
        let FetchFrom { piece, holder, .. } = source;
        let request = self.new_request(super::world::Requester::Node { node, holder }, piece);
        self.ask(request, holder);
    }

    pub fn spill_ends(&mut self, node: usize, piece: Piece) {
        if !self.nodes[node].alive {
            return;
        }
        let bytes = self.nodes[node].store[&piece].bytes;
        let is_full = self.nodes[node].disk_bytes().saturating_add(bytes) > self.disk_limit;
        if is_full || self.disk_fault() {
            return self.tell_node(node, WorkerEvent::SpillFailed(piece));
        }
        let stored = self.nodes[node].store.get_mut(&piece).expect("it was there a line ago");
        stored.in_memory = false;
        stored.on_disk = true;
        self.tell_node(node, WorkerEvent::Spilled(piece));
    }

    pub fn load_ends(&mut self, node: usize, piece: Piece) {
        if !self.nodes[node].alive {
            return;
        }
        if self.disk_fault() {
            return self.tell_node(node, WorkerEvent::LoadFailed(piece));
        }
        let store = &mut self.nodes[node].store;
        let own = store.get(&piece).copied().filter(|stored| stored.on_disk);
        let loaded = match own {
            Some(stored) => Stored { in_memory: true, on_disk: false, ..stored },
            None => {
                // The whole may have been dropped since, being unreadable.
                let Some(whole) = store.get(&Piece::whole(piece.task)).copied() else {
                    return self.tell_node(node, WorkerEvent::LoadFailed(piece));
                };
                let value = piece_value(whole.value, piece.part);
                Stored { value, bytes: part_bytes(whole.bytes), in_memory: true, on_disk: false }
            }
        };
        store.insert(piece, loaded);
        self.tell_node(node, WorkerEvent::Loaded { piece, bytes: loaded.bytes });
    }

    /// An order arrives; the task that it means travelled with it.
    pub fn order_arrives(&mut self, node: usize, order: Order, logical: usize) {
        if let Order::Compute(Compute { task, attempt, inputs, .. }) = &order {
            self.nodes[node].orders.insert((*task, *attempt), (logical, inputs.clone()));
        }
        self.tell_node(node, WorkerEvent::Order(order));
    }

    /// A client's value arrives.
    pub fn put_arrives(&mut self, node: usize, task: TaskId, logical: usize) {
        let Logical { value, bytes } = Logical::of(self, logical);
        if self.nodes[node].alive && self.nodes[node].store.contains_key(&Piece::whole(task)) {
            return self.later(1_000, 100_000, Happening::Put { node, task, logical });
        }
        if self.nodes[node].alive {
            self.nodes[node].store.insert(Piece::whole(task), Stored { value, bytes, in_memory: true, on_disk: false });
            self.tell_node(node, WorkerEvent::Put { task, bytes });
        }
        let worker = self.nodes[node].id;
        self.send_to_scheduler(node, crate::event::SchedulerEvent::Placed { task, worker, bytes });
    }

    /// Whether the disk fails this time.
    fn disk_fault(&mut self) -> bool {
        self.disk_faults > 0 && !self.is_draining && self.random.one_in(self.disk_faults)
    }

    /// Whether the cores check themselves in this step.
    pub fn checks_now(&self) -> bool {
        self.check_every <= 1 || mix(self.n_steps).is_multiple_of(self.check_every)
    }
}

/// What a client brings.
struct Logical {
    value: u64,
    bytes: u64,
}

impl Logical {
    fn of(world: &World, logical: usize) -> Self {
        let task = &world.universe.tasks[logical];
        Logical { value: task.value, bytes: task.bytes }
    }
}

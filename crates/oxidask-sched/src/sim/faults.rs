//! What a seed makes of a scenario: how large, and what goes wrong when.

use super::graph::GraphScale;
use super::world::{Happening, World};
use super::{Random, mix};
use crate::event::{Loss, SchedulerEvent, TaskId, WorkerEvent, WorkerId};

/// Everything that a seed decides beforehand.
#[derive(Clone, Debug)]
pub(super) struct Scenario {
    pub seed: u64,
    pub n_workers: u32,
    pub n_clients: u32,
    pub slots_max: u64,
    /// Bytes that a worker may have in memory; `u64::MAX` for no limit.
    pub memory_limit: u64,
    pub can_spill: bool,
    /// Bytes that fit on a worker's disk.
    pub disk_limit: u64,
    /// One in so many spills and loads fails; 0 for none.
    pub disk_faults: u64,
    pub graph: GraphScale,
    /// Longest time that a message is under way, in nanoseconds.
    pub delay_max: u64,
    /// When the last fault happens.
    pub faults_end: u64,
    pub n_submits: u64,
    /// Faults, and when they happen.
    pub faults: Vec<(u64, Fault)>,
    /// Whether the cores are told several events before they act on them, and
    /// graphs in several parts, as drivers do.
    pub in_batches: bool,
}

/// Something that goes wrong, or that somebody does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// A worker's process ends; the scheduler hears of it later.
    Kill,
    /// The scheduler takes a worker for dead that is not.
    Isolate,
    Join,
    Retire,
    Cancel,
    Release,
    Retry,
    ClientGone,
    /// Memory that the core did not account for, and its end.
    ProcessMemory,
}

impl Scenario {
    pub fn random(seed: u64) -> Self {
        let mut random = Random::new(seed);
        // Most clusters are small, because there the same worker meets the same
        // task again; a few have a thousand workers.
        let n_workers = match random.below(200) {
            0 => 1000,
            1..10 => random.range(20, 100),
            10..100 => random.range(1, 3),
            _ => random.range(2, 8),
        } as u32;
        let n_tasks = match n_workers {
            1000 => 2000,
            20.. => random.range(50, 400),
            _ => random.range(1, 120),
        } as usize;
        let bytes_max = 1000;
        let memory_limit = match random.below(3) {
            0 => u64::MAX,
            1 => random.range(500, 3000),
            _ => random.range(2000, 20_000),
        };
        let faults_end = random.range(1_000_000, 30_000_000);
        let is_calm = random.one_in(5);
        let n_faults = if is_calm { 0 } else { random.range(1, 12) + u64::from(n_workers / 20) };
        let faults = (0..n_faults).map(|_| (random.below(faults_end), random_fault(&mut random))).collect();
        Scenario {
            seed,
            n_workers,
            n_clients: random.range(1, 3) as u32,
            slots_max: random.range(1, 4),
            memory_limit,
            can_spill: !random.one_in(4),
            disk_limit: if random.one_in(4) { random.range(0, 5000) } else { u64::MAX },
            disk_faults: if is_calm || random.one_in(2) { 0 } else { random.range(5, 40) },
            graph: GraphScale {
                n_tasks,
                bytes_max,
                duration_max: *random.pick(&[2_000, 200_000, 3_000_000]).unwrap_or(&2_000),
                failing: if is_calm || random.one_in(3) { 0 } else { random.range(5, 50) },
                n_names: n_workers.min(5),
                constrained: random.one_in(3),
                with_data: random.one_in(2),
            },
            delay_max: *random.pick(&[1_000, 50_000, 1_000_000]).unwrap_or(&1_000),
            faults_end,
            n_submits: random.range(1, 6),
            faults,
            // Seeds that found bugs before there were batches run without.
            in_batches: mix(seed ^ BATCH_SALT).is_multiple_of(3),
        }
    }
}

/// Makes batches of a third of the seeds.
const BATCH_SALT: u64 = 21 << 32;

fn random_fault(random: &mut Random) -> Fault {
    match random.below(12) {
        0..3 => Fault::Kill,
        3 => Fault::Isolate,
        4 | 5 => Fault::Join,
        6 => Fault::Retire,
        7 => Fault::Cancel,
        8 => Fault::Release,
        9 => Fault::Retry,
        10 => Fault::ClientGone,
        _ => Fault::ProcessMemory,
    }
}

impl World {
    pub fn retired(&mut self, worker: WorkerId) {
        for &task in self.id_of.iter().flatten() {
            assert_ne!(self.scheduler.holders(task), [worker], "{task:?} goes with its retired worker");
        }
        let node = worker.0 as usize;
        self.later(0, 100_000, Happening::LossKnown { node, cause: Loss::Planned });
        self.later(0, 100_000, Happening::Dies { node });
    }

    /// A worker's process ends: nobody who asked it gets an answer any more.
    pub fn dies(&mut self, node: usize) {
        if !std::mem::replace(&mut self.nodes[node].alive, false) {
            return;
        }
        self.trace(|| format!("worker {node} dies"));
        let mut unanswered: Vec<u32> = self
            .requests
            .iter()
            .filter(|(_, request)| request.asked == Some(node))
            .map(|(&number, _)| number)
            .collect();
        unanswered.sort_unstable();
        for request in unanswered {
            self.later(1, 1_000_000, Happening::Answered { request, value: None });
        }
    }

    pub fn loss_known(&mut self, node: usize, cause: Loss) {
        if std::mem::replace(&mut self.nodes[node].declared_lost, true) {
            return;
        }
        self.n_losses += 1;
        self.n_crash_losses += u32::from(matches!(cause, Loss::Crashed | Loss::OutOfMemory));
        self.tell_scheduler(SchedulerEvent::WorkerLost { worker: WorkerId(node as u32), cause });
    }

    pub fn strike(&mut self, fault: Fault) {
        let there: Vec<usize> =
            (0..self.nodes.len()).filter(|&node| self.nodes[node].alive && !self.nodes[node].declared_lost).collect();
        let node = self.random.pick(&there).copied();
        let client = self.random.below(self.clients.len() as u64) as usize;
        let wishes: Vec<usize> = self.clients[client].wishes.keys().copied().collect();
        let wish = self.random.pick(&wishes).copied();
        self.trace(|| format!("{fault:?} of worker {node:?} or client {client} and task {wish:?}"));
        match (fault, node, wish) {
            (Fault::Kill, Some(node), _) => {
                self.dies(node);
                let causes = [Loss::Unreachable, Loss::Crashed, Loss::OutOfMemory];
                let cause = *self.random.pick(&causes).unwrap_or(&Loss::Unreachable);
                self.later(0, 2_000_000, Happening::LossKnown { node, cause });
            }
            (Fault::Isolate, Some(node), _) => {
                self.loss_known(node, Loss::Unreachable);
                self.later(0, 10_000_000, Happening::Dies { node });
            }
            (Fault::Join, _, _) => {
                let name = self.random.below(u64::from(self.scenario.graph.n_names)) as u32;
                self.join(name);
            }
            (Fault::Retire, Some(node), _) if self.waits_for_more() => {
                let mut tasks: Vec<TaskId> = self.id_of.iter().flatten().copied().collect();
                tasks.retain(|_| self.random.one_in(2));
                let workers = if self.random.one_in(2) { Vec::new() } else { vec![WorkerId(node as u32)] };
                let n = self.random.range(1, 4) as u32;
                let event = match self.random.below(3) {
                    0 => SchedulerEvent::Rebalance { tasks, workers: Vec::new() },
                    1 => SchedulerEvent::Replicate { tasks, n, workers },
                    _ => SchedulerEvent::ReduceReplicas,
                };
                self.tell_scheduler(event);
            }
            (Fault::Retire, Some(node), _) => self.tell_scheduler(SchedulerEvent::Retire(WorkerId(node as u32))),
            (Fault::Cancel, _, Some(logical)) => {
                self.cancelled.push(logical);
                let tasks = self.id_of[logical].into_iter().collect();
                self.tell_scheduler(SchedulerEvent::Cancel { tasks });
            }
            (Fault::Release, _, Some(logical)) => self.client_releases(client, logical),
            (Fault::Retry, _, Some(_)) => {
                let tasks = wishes.iter().filter_map(|&logical| self.id_of[logical]).collect();
                self.tell_scheduler(SchedulerEvent::Retry { tasks });
            }
            (Fault::ClientGone, _, _) => self.client_leaves(client),
            (Fault::ProcessMemory, Some(node), _) => {
                let bytes = self.random.below(self.scenario.memory_limit);
                self.tell_node(node, WorkerEvent::ProcessMemory(bytes));
                self.later(100_000, 10_000_000, Happening::ProcessMemoryEnds { node });
            }
            _ => {}
        }
    }

    pub fn submit_something(&mut self) {
        self.n_submits_left -= 1;
        let n_tasks = self.universe.tasks.len();
        let client = self.random.below(self.clients.len() as u64) as usize;
        let mut wants: Vec<usize> = if self.random.one_in(3) {
            (0..n_tasks).collect()
        } else {
            let n_wants = self.random.range(1, n_tasks as u64);
            (0..n_wants).map(|_| self.random.below(n_tasks as u64) as usize).collect()
        };
        wants.sort_unstable();
        self.client_submits(client, &wants);
    }

    /// Faults are over: what is broken is taken away, and enough workers come
    /// that everything can end.
    pub fn drain(&mut self) {
        self.is_draining = true;
        for node in 0..self.nodes.len() {
            if self.nodes[node].declared_lost {
                self.dies(node);
            }
        }
        for name in 0..self.scenario.graph.n_names {
            self.join(name);
        }
    }
}

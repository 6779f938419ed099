//! The clock, the links and the two sides that they join.

use super::client::Client;
use super::faults::{Fault, Scenario};
use super::graph::Universe;
use super::node::Node;
use super::{Random, mix};
use crate::event::{
    Attempt, Loss, Nanos, Order, Outcome, Piece, Report, ResourceId, SchedulerAction, SchedulerConfig, SchedulerEvent,
    TaskId, WorkerConfig, WorkerEvent, WorkerId, WorkerName,
};
use crate::scheduler::Scheduler;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

/// What a seed came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Workers at the start.
    pub n_workers: u32,
    /// Events that the cores took.
    pub n_steps: u64,
    /// Threads that ran a task.
    pub n_runs: u64,
    /// Results that reached a client.
    pub n_delivered: u64,
    /// Workers that died or were declared dead.
    pub n_losses: u64,
    /// How often a fresh scheduler took over from one at rest.
    pub n_replaced: u64,
}

/// Something that is under way.
#[derive(Clone, Debug)]
pub(super) enum Happening {
    ToScheduler(SchedulerEvent),
    Order {
        node: usize,
        order: Order,
        logical: usize,
    },
    ThreadReturns {
        node: usize,
        task: TaskId,
        attempt: Attempt,
    },
    SpillEnds {
        node: usize,
        piece: Piece,
    },
    LoadEnds {
        node: usize,
        piece: Piece,
    },
    /// A request reaches the worker that was asked.
    Asked {
        node: usize,
        request: u32,
    },
    /// Its answer, or the news that there will be none, reaches who asked.
    Answered {
        request: u32,
        value: Option<(u64, u64)>,
    },
    Served {
        node: usize,
        piece: Piece,
        reader: u32,
    },
    Put {
        node: usize,
        task: TaskId,
        logical: usize,
    },
    ToClient {
        client: usize,
        logical: usize,
        outcome: Outcome,
    },
    ClientAsksAgain {
        client: usize,
        logical: usize,
    },
    ClientSubmits,
    Strikes(Fault),
    /// The scheduler learns that a worker is gone.
    LossKnown {
        node: usize,
        cause: Loss,
    },
    Dies {
        node: usize,
    },
    ProcessMemoryEnds {
        node: usize,
    },
    Drain,
    Tick,
}

/// Who wants a piece.
#[derive(Clone, Copy, Debug)]
pub(super) enum Requester {
    Node { node: usize, holder: WorkerId },
    Client { client: usize, logical: usize },
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Request {
    pub requester: Requester,
    pub piece: Piece,
    /// How often the task's number was in use before.
    pub generation: u32,
    pub asked: Option<usize>,
}

/// One end of a link.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum End {
    Scheduler,
    Node(usize),
    Client(usize),
}

pub(super) struct World {
    pub scenario: Scenario,
    pub random: Random,
    pub now: Nanos,
    pub n_steps: u64,
    pub queue: BinaryHeap<Reverse<(Nanos, u64)>>,
    pub happenings: HashMap<u64, Happening>,
    pub n_happenings: u64,
    /// When the last message of each link arrives.
    pub links: HashMap<(End, End), Nanos>,
    pub scheduler: Scheduler,
    pub config: SchedulerConfig,
    /// What the scheduler was told of each worker: that it joined, and its memory.
    pub told: Vec<(SchedulerEvent, Option<SchedulerEvent>)>,
    pub nodes: Vec<Node>,
    pub clients: Vec<Client>,
    pub universe: Universe,
    /// The scheduler's numbers.
    pub id_of: Vec<Option<TaskId>>,
    pub logical_of: Vec<Option<usize>>,
    pub generations: Vec<u32>,
    pub free_ids: Vec<TaskId>,
    pub requests: HashMap<u32, Request>,
    pub n_requests: u32,
    pub n_failed_runs: Vec<u32>,
    pub cancelled: Vec<usize>,
    pub n_crash_losses: u32,
    pub allowed_failures: u32,
    pub disk_limit: u64,
    pub disk_faults: u64,
    pub is_calm: bool,
    pub is_draining: bool,
    pub is_released: bool,
    pub check_every: u64,
    pub n_runs: u64,
    pub n_delivered: u64,
    pub n_losses: u64,
    pub n_replaced: u64,
    pub n_submits_left: u64,
    pub tracing: bool,
}

impl World {
    pub fn new(scenario: &Scenario) -> Self {
        let mut random = Random::new(mix(scenario.seed) ^ 1);
        let universe = Universe::random(&mut random, &scenario.graph);
        let n_tasks = universe.tasks.len();
        let allowed_failures = random.below(4) as u32;
        let config = SchedulerConfig {
            allowed_failures,
            prefetch_ns: random.range(1, 5_000_000),
            prefetch_tasks_max: random.range(1, 64) as u32,
            bandwidth: random.range(1_000, 1_000_000_000),
            seed: scenario.seed,
        };
        let mut world = World {
            random,
            now: 0,
            n_steps: 0,
            queue: BinaryHeap::new(),
            happenings: HashMap::new(),
            n_happenings: 0,
            links: HashMap::new(),
            scheduler: Scheduler::new(config.clone()),
            config,
            told: Vec::new(),
            nodes: Vec::new(),
            clients: (0..scenario.n_clients).map(|_| Client::default()).collect(),
            universe,
            id_of: vec![None; n_tasks],
            logical_of: Vec::new(),
            generations: Vec::new(),
            free_ids: Vec::new(),
            requests: HashMap::new(),
            n_requests: 0,
            n_failed_runs: vec![0; n_tasks],
            cancelled: Vec::new(),
            n_crash_losses: 0,
            allowed_failures,
            disk_limit: scenario.disk_limit,
            disk_faults: scenario.disk_faults,
            is_calm: scenario.faults.is_empty() && scenario.disk_faults == 0,
            is_draining: false,
            is_released: false,
            check_every: match scenario.n_workers {
                1000 => 3000,
                20.. => 50,
                _ => 1,
            },
            n_runs: 0,
            n_delivered: 0,
            n_losses: 0,
            n_replaced: 0,
            n_submits_left: scenario.n_submits,
            tracing: std::env::var_os("OXIDASK_SIM_TRACE").is_some(),
            scenario: scenario.clone(),
        };
        world.set_up();
        world
    }

    pub fn set_up(&mut self) {
        for number in 0..self.scenario.n_workers {
            self.join(number % self.scenario.graph.n_names);
        }
        self.later(0, 0, Happening::ClientSubmits);
        for _ in 1..self.scenario.n_submits {
            self.later(0, self.scenario.faults_end, Happening::ClientSubmits);
        }
        for (time, fault) in self.scenario.faults.clone() {
            self.later(time, time, Happening::Strikes(fault));
        }
        let end = self.scenario.faults_end + 1;
        self.later(end, end, Happening::Drain);
        self.later(0, 0, Happening::Tick);
    }

    pub fn trace(&self, text: impl FnOnce() -> String) {
        if self.tracing {
            eprintln!("{:>9} {}", self.now, text());
        }
    }

    /// Lets something happen after a random time.
    pub fn later(&mut self, least: Nanos, most: Nanos, happening: Happening) {
        let time = self.now + self.random.range(least, most);
        self.at(time, happening);
    }

    pub fn at(&mut self, time: Nanos, happening: Happening) {
        self.n_happenings += 1;
        self.queue.push(Reverse((time, self.n_happenings)));
        self.happenings.insert(self.n_happenings, happening);
    }

    /// Sends a message: in order on its link, in any order with those of others.
    pub fn send(&mut self, from: End, to: End, happening: Happening) {
        let time = self.now + self.random.range(1, self.scenario.delay_max);
        let last = self.links.entry((from, to)).or_insert(0);
        *last = time.max(*last + 1);
        let time = *last;
        self.at(time, happening);
    }

    pub fn send_to_scheduler(&mut self, node: usize, event: SchedulerEvent) {
        self.send(End::Node(node), End::Scheduler, Happening::ToScheduler(event));
    }

    pub fn send_to_client(&mut self, client: usize, logical: usize, outcome: Outcome) {
        self.send(End::Scheduler, End::Client(client), Happening::ToClient { client, logical, outcome });
    }

    /// Tells the scheduler's core, and carries out what it wants.
    pub fn tell_scheduler(&mut self, event: SchedulerEvent) {
        self.trace(|| format!("scheduler <- {event:?}"));
        if let SchedulerEvent::From { worker, report: Report::Memory { .. } } = &event {
            self.told[worker.0 as usize].1 = Some(event.clone());
        }
        let mut actions = Vec::new();
        if matches!(event, SchedulerEvent::From { .. } | SchedulerEvent::Release { .. }) && self.waits_for_more() {
            self.scheduler.take(self.now, event, &mut actions);
        } else {
            self.scheduler.handle(self.now, event, &mut actions);
            if self.checks_now() {
                self.scheduler.check();
            }
        }
        self.carry_out_all(actions);
    }

    /// Has the scheduler act on what it was told.
    pub fn settle_scheduler(&mut self) {
        let mut actions = Vec::new();
        self.scheduler.settle(self.now, &mut actions);
        self.carry_out_all(actions);
    }

    fn carry_out_all(&mut self, actions: Vec<SchedulerAction>) {
        for action in actions {
            self.trace(|| format!("scheduler -> {action:?}"));
            match action {
                SchedulerAction::To { worker, order } => {
                    assert!(self.scheduler.alive().contains(&worker), "an order for the dead {worker:?}");
                    let logical = match &order {
                        Order::Compute(compute) => self.logical_of(compute.task),
                        _ => usize::MAX,
                    };
                    let node = worker.0 as usize;
                    self.send(End::Scheduler, End::Node(node), Happening::Order { node, order, logical });
                }
                SchedulerAction::Outcome { client, task, outcome } => self.judge(client, task, outcome),
                SchedulerAction::Forget(task) => self.forget(task),
                SchedulerAction::Retired(worker) => self.retired(worker),
            }
        }
    }

    /// Whether a core is told an event and does not act on it before the next
    /// one, of which a tick is the last resort.
    pub fn waits_for_more(&mut self) -> bool {
        self.scenario.in_batches && self.random.one_in(2)
    }

    /// The task's number in the scheduler, a reused one if there is one.
    pub fn number_for(&mut self, logical: usize) -> TaskId {
        if let Some(id) = self.id_of[logical] {
            return id;
        }
        let id = self.free_ids.pop().unwrap_or_else(|| {
            self.logical_of.push(None);
            self.generations.push(0);
            TaskId(self.logical_of.len() as u32 - 1)
        });
        self.id_of[logical] = Some(id);
        self.logical_of[id.0 as usize] = Some(logical);
        id
    }

    pub fn logical_of(&self, task: TaskId) -> usize {
        self.logical_of[task.0 as usize].unwrap_or_else(|| panic!("{task:?} is nobody's number"))
    }

    pub fn forget(&mut self, task: TaskId) {
        let logical = self.logical_of(task);
        self.id_of[logical] = None;
        self.logical_of[task.0 as usize] = None;
        self.generations[task.0 as usize] += 1;
        self.free_ids.push(task);
    }

    pub fn join(&mut self, name: u32) {
        let id = WorkerId(self.nodes.len() as u32);
        let slots = self.random.range(1, self.scenario.slots_max) as u32;
        let config = WorkerConfig {
            memory_limit: self.scenario.memory_limit,
            can_spill: self.scenario.can_spill,
            fetches_max: self.random.range(1, 8) as u32,
            spills_max: self.random.range(1, 3) as u32,
            ..WorkerConfig::default()
        };
        self.nodes.push(Node::new(id, slots, config));
        let node = self.nodes.len() - 1;
        self.give_capacity(node);
        let joined = SchedulerEvent::WorkerJoined {
            worker: id,
            name: WorkerName(name),
            slots,
            memory_limit: self.scenario.memory_limit,
            resources: vec![(ResourceId(0), f64::from(slots) / 2.0 + 0.5)],
        };
        self.told.push((joined.clone(), None));
        self.tell_scheduler(joined);
    }

    pub fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::ToScheduler(event) => self.tell_scheduler(event),
            Happening::Order { node, order, logical } => self.order_arrives(node, order, logical),
            Happening::ThreadReturns { node, task, attempt } => self.thread_returns(node, task, attempt),
            Happening::SpillEnds { node, piece } => self.spill_ends(node, piece),
            Happening::LoadEnds { node, piece } => self.load_ends(node, piece),
            Happening::Asked { node, request } => {
                if let Some(record) = self.requests.get(&request) {
                    let piece = record.piece;
                    self.tell_node(node, WorkerEvent::Wanted { piece, reader: request });
                }
            }
            Happening::Answered { request, value } => self.answered(request, value),
            Happening::Served { node, piece, reader } => self.tell_node(node, WorkerEvent::Served { piece, reader }),
            Happening::Put { node, task, logical } => self.put_arrives(node, task, logical),
            Happening::ToClient { client, logical, outcome } => self.client_hears(client, logical, outcome),
            Happening::ClientAsksAgain { client, logical } => self.client_asks_again(client, logical),
            Happening::ClientSubmits => self.submit_something(),
            Happening::Strikes(fault) => self.strike(fault),
            Happening::LossKnown { node, cause } => self.loss_known(node, cause),
            Happening::Dies { node } => self.dies(node),
            Happening::ProcessMemoryEnds { node } => self.tell_node(node, WorkerEvent::ProcessMemory(0)),
            Happening::Drain => self.drain(),
            Happening::Tick => self.tick(),
        }
    }

    pub fn tick(&mut self) {
        self.tell_scheduler(SchedulerEvent::Tick);
        self.replace_scheduler();
        for node in 0..self.nodes.len() {
            self.tell_node(node, WorkerEvent::Tick);
        }
        let pause = 1_000_000 * (1 + u64::from(self.scenario.n_workers) / 100);
        self.later(pause, pause, Happening::Tick);
        if self.is_draining
            && !self.is_released
            && self.n_submits_left == 0
            && self.clients.iter().all(Client::is_content)
        {
            self.is_released = true;
            for client in 0..self.clients.len() {
                let wishes: Vec<usize> = self.clients[client].wishes.keys().copied().collect();
                for logical in wishes {
                    self.client_releases(client, logical);
                }
            }
        }
    }

    /// Whether nothing is left of all that was asked for.
    pub fn is_clean(&self) -> bool {
        let is_node_clean = |node: &Node| {
            let is_empty = node.store.is_empty() && node.core.n_pieces() == 0 && node.core.n_orders() == 0;
            !node.alive || node.declared_lost || is_empty
        };
        self.is_released && self.scheduler.n_tasks() == 0 && self.nodes.iter().all(is_node_clean)
    }

    pub fn run(mut self) -> Summary {
        let replay = super::replay::Replay(self.scenario.seed);
        let n_steps_max = 500_000 + 2000 * self.universe.tasks.len() as u64 + 2000 * u64::from(self.scenario.n_workers);
        loop {
            let Reverse((time, number)) = self.queue.pop().expect("there is always a next tick");
            self.now = time;
            self.n_steps += 1;
            let happening = self.happenings.remove(&number).expect("what is queued happens once");
            let is_tick = matches!(happening, Happening::Tick);
            self.happen(happening);
            if is_tick && self.is_clean() {
                break;
            }
            assert!(self.n_steps < n_steps_max, "it does not end: {}", self.explain());
        }
        self.scheduler.check();
        self.nodes.iter().filter(|node| node.alive).for_each(|node| node.core.check());
        drop(replay);
        Summary {
            n_replaced: self.n_replaced,
            n_workers: self.scenario.n_workers,
            n_steps: self.n_steps,
            n_runs: self.n_runs,
            n_delivered: self.n_delivered,
            n_losses: self.n_losses,
        }
    }
}

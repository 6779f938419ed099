//! How many nanoseconds both cores together spend on a no-op task.
//!
//! `cargo run --release --example throughput -p oxidask-sched [n_tasks] [graph] [n_workers]`
//!
//! The cores run in one thread in lock step: every order is carried out at once,
//! every fetch arrives at once, and memory is unlimited. What is measured is
//! the cores and the copying of their messages, nothing else. Times are of the
//! processor where Linux tells them, so that other programs disturb little.

use oxidask_sched::*;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Time that this process has had a processor, or else time that passed.
struct Stopwatch(Option<u64>, Instant);

impl Stopwatch {
    fn start() -> Self {
        Stopwatch(on_processor(), Instant::now())
    }

    fn elapsed(&self) -> Duration {
        match (self.0, on_processor()) {
            (Some(start), Some(now)) => Duration::from_nanos(now - start),
            _ => self.1.elapsed(),
        }
    }
}

fn on_processor() -> Option<u64> {
    std::fs::read_to_string("/proc/self/schedstat").ok()?.split(' ').next()?.parse().ok()
}

/// Bytes of memory that this process uses now.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok()).unwrap_or(0) * 1024
}

const CLIENT: ClientId = ClientId(0);
const GROUP: GroupId = GroupId(0);

struct Cluster {
    scheduler: Scheduler,
    workers: Vec<Worker>,
    orders: VecDeque<(WorkerId, Order)>,
    actions: Vec<SchedulerAction>,
    worker_actions: Vec<WorkerAction>,
    n_done: u64,
    n_forgotten: u64,
    n_fetched: u64,
}

impl Cluster {
    fn new(n_workers: u32) -> Self {
        let mut cluster = Cluster {
            scheduler: Scheduler::new(SchedulerConfig::default()),
            workers: Vec::new(),
            orders: VecDeque::new(),
            actions: Vec::new(),
            worker_actions: Vec::new(),
            n_done: 0,
            n_forgotten: 0,
            n_fetched: 0,
        };
        for number in 0..n_workers {
            cluster.workers.push(Worker::new(WorkerConfig::default()));
            cluster.workers[number as usize].handle(0, WorkerEvent::Capacity(u32::MAX), &mut cluster.worker_actions);
            cluster.tell_scheduler(SchedulerEvent::WorkerJoined {
                worker: WorkerId(number),
                name: WorkerName(number),
                slots: 2,
                memory_limit: u64::MAX,
                resources: Vec::new(),
            });
        }
        cluster
    }

    fn tell_scheduler(&mut self, event: SchedulerEvent) {
        self.scheduler.handle(0, event, &mut self.actions);
        for action in self.actions.drain(..) {
            match action {
                SchedulerAction::To { worker, order } => self.orders.push_back((worker, order)),
                SchedulerAction::Outcome { outcome: Outcome::Done { .. }, .. } => self.n_done += 1,
                SchedulerAction::Forget(_) => self.n_forgotten += 1,
                other => panic!("unexpected {other:?}"),
            }
        }
    }

    fn run(&mut self) {
        let mut actions = std::mem::take(&mut self.worker_actions);
        while let Some((worker, order)) = self.orders.pop_front() {
            let core = worker.0 as usize;
            self.workers[core].handle(0, WorkerEvent::Order(order), &mut actions);
            let mut next = 0;
            while next < actions.len() {
                let action = std::mem::replace(&mut actions[next], WorkerAction::Drop(Piece::whole(TaskId(0))));
                next += 1;
                match action {
                    WorkerAction::Run { task, attempt } => {
                        let ended = Ended::Ok { bytes: 8 };
                        let event = WorkerEvent::Finished { task, attempt, ended, duration: 1000 };
                        self.workers[core].handle(0, event, &mut actions);
                    }
                    WorkerAction::Fetch(source) => {
                        self.n_fetched += 1;
                        let event = WorkerEvent::Arrived { piece: source.piece, bytes: 8 };
                        self.workers[core].handle(0, event, &mut actions);
                    }
                    WorkerAction::Report(report) => self.tell_scheduler(SchedulerEvent::From { worker, report }),
                    WorkerAction::Drop(_) => {}
                    other => panic!("unexpected {other:?}"),
                }
            }
            actions.clear();
        }
        self.worker_actions = actions;
    }
}

/// A graph being built.
#[derive(Default)]
struct Work(Submit);

impl Work {
    fn task(&mut self, inputs: &[Piece]) -> TaskId {
        let id = TaskId(self.0.tasks.len() as u32);
        self.0.tasks.push(NewTask {
            id,
            inputs_start: self.0.inputs.len() as u32,
            n_inputs: inputs.len() as u32,
            priority: u64::from(id.0),
            bytes: 8,
            group: GROUP,
            runnable: true,
        });
        self.0.inputs.extend_from_slice(inputs);
        id
    }
}

fn independent(n_tasks: u32) -> Submit {
    let mut work = Work::default();
    let wants = (0..n_tasks).map(|_| work.task(&[])).collect();
    Submit { wants, ..work.0 }
}

fn chains(n_tasks: u32, length: u32) -> Submit {
    let mut work = Work::default();
    let mut wants = Vec::new();
    for _ in 0..n_tasks / length {
        let mut last = work.task(&[]);
        for _ in 1..length {
            last = work.task(&[Piece::whole(last)]);
        }
        wants.push(last);
    }
    Submit { wants, ..work.0 }
}

fn tree(n_tasks: u32) -> Submit {
    let mut work = Work::default();
    let mut level: Vec<TaskId> = (0..n_tasks / 2).map(|_| work.task(&[])).collect();
    while level.len() > 1 {
        let pairs = level.chunks(2);
        level = pairs.map(|pair| work.task(&pair.iter().map(|&task| Piece::whole(task)).collect::<Vec<_>>())).collect();
    }
    Submit { wants: level, ..work.0 }
}

/// `n` maps, `n` splits, `n` gathers that read one part of each split, one sum.
fn shuffle(n: u32) -> Submit {
    let mut work = Work::default();
    let maps: Vec<TaskId> = (0..n).map(|_| work.task(&[])).collect();
    let splits: Vec<TaskId> = maps.iter().map(|&map| work.task(&[Piece::whole(map)])).collect();
    let gathers: Vec<TaskId> =
        (0..n).map(|part| work.task(&splits.iter().map(|&task| Piece { task, part }).collect::<Vec<_>>())).collect();
    let sum = work.task(&gathers.iter().map(|&task| Piece::whole(task)).collect::<Vec<_>>());
    Submit { wants: vec![sum], ..work.0 }
}

fn measure(name: &str, n_workers: u32, mut work: Submit) {
    work.groups.push((GROUP, GroupSpec::default()));
    let wants = work.wants.clone();
    let (n_tasks, n_inputs) = (work.tasks.len() as f64, work.inputs.len() as f64);
    let mut cluster = Cluster::new(n_workers);
    let work_bytes = (work.tasks.capacity() * size_of::<NewTask>()
        + work.inputs.capacity() * size_of::<Piece>()
        + work.wants.capacity() * size_of::<TaskId>()) as u64;
    // The submission itself is gone when the cores are at their largest.
    let before = resident().saturating_sub(work_bytes);
    let start = Stopwatch::start();
    cluster.tell_scheduler(SchedulerEvent::Submit { client: CLIENT, work });
    let submitted = start.elapsed();
    let mut peak = resident();
    cluster.run();
    peak = peak.max(resident());
    let ran = start.elapsed();
    assert_eq!(cluster.n_done, wants.len() as u64, "not all was done");
    // Futures are dropped a few at a time.
    for tasks in wants.chunks(10_000) {
        cluster.tell_scheduler(SchedulerEvent::Release { client: CLIENT, tasks: tasks.to_vec() });
        cluster.run();
    }
    let total = start.elapsed();
    assert_eq!(cluster.scheduler.n_tasks(), 0, "tasks are left behind");
    assert!(cluster.workers.iter().all(|worker| worker.n_pieces() == 0), "results are left behind");
    // Idle, waiting, ready, assigned, done, idle again, vacant.
    const TRANSITIONS: f64 = 6.0;
    let bytes_each = (peak.saturating_sub(before)) as f64 / n_tasks;
    println!(
        "{:35} {:5.1} million transitions/s, {bytes_each:5.0} bytes/task of both cores at most, {} MiB in the end",
        "",
        TRANSITIONS * n_tasks / total.as_nanos() as f64 * 1e3,
        resident().saturating_sub(before) >> 20,
    );
    println!(
        "{name:12} {n_workers:5} workers {n_tasks:9} tasks {:7.0} ns/task {:7.1} ns/input  (submit {:4.0}, run {:4.0}, release {:4.0} ns/task; {:5.1} % fetched)",
        total.as_nanos() as f64 / n_tasks,
        total.as_nanos() as f64 / (n_tasks + n_inputs),
        submitted.as_nanos() as f64 / n_tasks,
        (ran - submitted).as_nanos() as f64 / n_tasks,
        (total - ran).as_nanos() as f64 / n_tasks,
        100.0 * cluster.n_fetched as f64 / n_inputs.max(1.0),
    );
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let n_tasks = arguments.next().map_or(1_000_000, |number| number.parse().expect("a number of tasks"));
    let graph = arguments.next();
    let workers = arguments.next().map(|number| number.parse().expect("a number of workers"));
    for n_workers in workers.map_or(vec![1, 8, 64, 1000], |number| vec![number]) {
        let run = |name: &str, work: &dyn Fn() -> Submit| {
            if graph.as_ref().is_none_or(|graph| graph == name) {
                measure(name, n_workers, work());
            }
        };
        run("independent", &|| independent(n_tasks));
        run("chains", &|| chains(n_tasks, 100));
        run("tree", &|| tree(n_tasks));
        run("shuffle", &|| shuffle(1000.min(n_tasks / 4)));
    }
}

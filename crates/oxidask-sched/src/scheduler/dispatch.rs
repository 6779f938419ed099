//! Giving ready tasks to workers, and taking them back.
//!
//! Tasks are bound late: a worker is given what it can run at once and a window
//! of a few milliseconds beyond, so that it never idles while a message travels
//! and little is left to take back when another worker runs dry. A task is given
//! only if the ledger has room for its result or if it frees more than it adds;
//! but a worker with nothing to do always gets something, so that a full
//! cluster still moves.

use super::place::wait;
use super::task::{NONE, Tasks, queue};
use super::worker::Worker;
use super::{Scheduler, TaskState};
use crate::event::{
    Attempt, Compute, FetchFrom, GroupId, Nanos, Order, SchedulerAction, SchedulerConfig, TaskId, WorkerId,
};
use crate::queue::Entry;

/// Workers looked at when one idles.
const VICTIMS_MAX: usize = 8;
/// A wait at a loaded worker that is worth taking a task back.
const STEAL_WAIT_MIN: Nanos = 2_000_000;

/// Inputs that a task has at most for all of them to be made on one worker.
const SIBLINGS_MAX: usize = 8;
/// Tasks that are left for each worker when siblings are kept together.
const SPARE_TASKS: usize = 4;

/// Where a candidate is queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Local,
    Global,
    Group(GroupId),
}

/// What there is for a worker.
enum Pick {
    Task(Source, Entry),
    Nothing,
    NoMemory,
}

/// Whether a worker may be given a task more.
fn has_room(worker: &Worker, config: &SchedulerConfig) -> bool {
    let n_assigned = worker.assigned.len() as u64;
    let slots = u64::from(worker.slots);
    if worker.retiring {
        false
    } else if n_assigned < slots {
        true
    } else if worker.paused {
        // Given only what frees memory; see `pick`.
        n_assigned < u64::from(config.prefetch_tasks_max)
    } else {
        // What waits beyond the threads is the share of the whole that has none.
        let queued_ns = worker.in_flight_ns.saturating_mul(n_assigned - slots);
        n_assigned < u64::from(config.prefetch_tasks_max)
            && queued_ns < config.prefetch_ns.saturating_mul(slots).saturating_mul(n_assigned)
    }
}

/// Whether a queue's entry still stands for its task.
pub(super) fn is_queued(tasks: &Tasks, entry: Entry, queue: u32) -> bool {
    let record = &tasks[entry.task];
    record.state == TaskState::Ready && record.place == queue && record.priority == entry.priority
}

impl Scheduler {
    /// Gives out what can be given.
    pub(super) fn dispatch(&mut self) {
        if std::mem::take(&mut self.constrained_dirty) {
            let is_waiting = |group: &GroupId| self.groups[group.0 as usize].as_ref().is_some_and(|g| g.queue.live > 0);
            if self.constrained.iter().any(is_waiting) {
                self.touched.extend(&self.alive);
            }
        }
        // Those with a free thread come before those that only run ahead.
        self.feed_idle(true);
        while let Some(worker) = self.touched.pop() {
            self.feed(worker, usize::MAX);
        }
        self.feed_idle(false);
    }

    /// Gives tasks that any worker may take to workers that had room; they take
    /// turns, so that few tasks spread over many workers.
    fn feed_idle(&mut self, needs_free_slot: bool) {
        let mut n_vain = 0;
        while self.global.live > 0 && n_vain < self.idle.len() {
            let Some(worker) = self.idle.pop_front() else { break };
            let Some(record) = self.workers[worker.0 as usize].as_deref_mut() else { continue };
            let slots = record.slots as usize;
            if needs_free_slot && record.assigned.len() >= slots {
                self.idle.push_back(worker);
                n_vain += 1;
                continue;
            }
            record.in_idle = false;
            n_vain = if self.feed(worker, slots) > 0 { 0 } else { n_vain + 1 };
        }
    }

    /// Gives a worker up to `most` tasks; answers how many.
    fn feed(&mut self, worker: WorkerId, most: usize) -> usize {
        let Some(record) = self.worker(worker) else { return 0 };
        let (n_slots, mut has_memory, mut n_sent) = (record.slots as usize, true, 0);
        while n_sent < most && self.worker(worker).is_some_and(|record| has_room(record, &self.config)) {
            match self.pick(worker) {
                Pick::Task(source, entry) => self.take_and_send(worker, source, entry),
                Pick::NoMemory => {
                    has_memory = false;
                    break;
                }
                Pick::Nothing => {
                    let is_idle = self.worker(worker).is_some_and(|record| record.assigned.len() < n_slots);
                    if !is_idle || !self.take_over(worker) {
                        break;
                    }
                }
            }
            n_sent += 1;
        }
        let config = &self.config;
        let Some(record) = self.workers[worker.0 as usize].as_deref_mut() else { return n_sent };
        if record.local.live > 0 && !std::mem::replace(&mut record.in_backlogged, true) {
            self.backlogged.push(worker);
        }
        // One without memory is looked at again when its memory changes.
        if has_memory && has_room(record, config) && !std::mem::replace(&mut record.in_idle, true) {
            self.idle.push_back(worker);
        }
        n_sent
    }

    /// The best task for a worker.
    fn pick(&mut self, worker: WorkerId) -> Pick {
        let tasks = &self.tasks;
        let record = self.workers[worker.0 as usize].as_deref_mut().expect("a worker that is fed is there");
        // A worker that has paused begins only what frees memory, and needs to be
        // given that, whatever else it has that must wait.
        let must_free = record.paused && !record.assigned.is_empty();
        let local = record.local.peek(|entry| is_queued(tasks, entry, worker.0)).map(|entry| (Source::Local, entry));
        let global =
            self.global.peek(|entry| is_queued(tasks, entry, queue::GLOBAL)).map(|entry| (Source::Global, entry));
        let group = if self.constrained.is_empty() { None } else { self.peek_groups(worker) };
        let mut candidates = [local, global, group];
        let best = candidates.into_iter().flatten().min_by_key(|&(_, entry)| entry);
        let Some((source, entry)) = best else { return Pick::Nothing };
        if !must_free && (!self.is_limited(worker) || self.fits(entry.task, worker)) {
            return Pick::Task(source, entry);
        }
        candidates.sort_by_key(|candidate| candidate.map_or((1, None), |(_, entry)| (0, Some(entry))));
        if must_free {
            let mut freeing = candidates.into_iter().flatten();
            let freeing = freeing.find(|(_, entry)| self.growth(entry.task, worker) < 0);
            return freeing.map_or(Pick::NoMemory, |(source, entry)| Pick::Task(source, entry));
        }
        let mut least: Option<(i128, Source, Entry)> = None;
        for (source, entry) in candidates.into_iter().flatten() {
            let growth = self.growth(entry.task, worker);
            if growth <= 0 || self.fits(entry.task, worker) {
                return Pick::Task(source, entry);
            }
            if least.is_none_or(|(other, _, _)| growth < other) {
                least = Some((growth, source, entry));
            }
        }
        let has_nothing = self.worker(worker).is_some_and(|record| record.assigned.is_empty());
        match least {
            Some((_, source, entry)) if has_nothing => Pick::Task(source, entry),
            _ => Pick::NoMemory,
        }
    }

    /// The best task among the groups that this worker may run now.
    fn peek_groups(&mut self, worker: WorkerId) -> Option<(Source, Entry)> {
        let mut best: Option<(Source, Entry)> = None;
        for index in 0..self.constrained.len() {
            let group = self.constrained[index];
            let record = self.groups[group.0 as usize].as_deref()?;
            if record.queue.live == 0
                || !self.may_run(worker, group)
                || !self.worker(worker).is_some_and(|worker| worker.satisfies_now(&record.spec))
            {
                continue;
            }
            let tasks = &self.tasks;
            let queue = &mut self.groups[group.0 as usize].as_deref_mut()?.queue;
            if let Some(entry) = queue.peek(|entry| is_queued(tasks, entry, queue::GROUP))
                && best.is_none_or(|(_, other)| entry < other)
            {
                best = Some((Source::Group(group), entry));
            }
        }
        best
    }

    /// Whether the group allows the worker, whatever is free there now.
    pub(super) fn may_run(&self, worker: WorkerId, group: GroupId) -> bool {
        let spec = &self.group(group.0).spec;
        let Some(record) = self.worker(worker) else { return false };
        let is_named = spec.workers.is_empty() || spec.workers.contains(&record.name);
        let is_stand_in = || {
            let is_there = |id: &WorkerId| self.worker(*id).is_some_and(|other| spec.workers.contains(&other.name));
            spec.allow_other_workers && !self.alive.iter().any(is_there)
        };
        record.could_satisfy(spec) && (is_named || is_stand_in())
    }

    /// By how much a task changes a worker's memory in the end.
    fn growth(&self, task: TaskId, worker: WorkerId) -> i128 {
        i128::from(self.bytes_added(task, worker)) - i128::from(self.bytes_freed(task, worker))
    }

    /// Whether the ledger has room for the task. The last fifth is left to
    /// what estimates miss.
    fn fits(&self, task: TaskId, worker: WorkerId) -> bool {
        let Some(record) = self.worker(worker) else { return false };
        let limit = record.memory_limit - record.memory_limit / 5;
        record.committed().saturating_add(self.bytes_added(task, worker)) <= limit
    }

    fn take_and_send(&mut self, worker: WorkerId, source: Source, entry: Entry) {
        let estimate = u64::from(self.tasks[entry.task].estimate);
        let record = self.workers[worker.0 as usize].as_deref_mut().expect("a worker that is fed is there");
        let taken = match source {
            Source::Local => {
                record.local_ns -= estimate;
                record.local.pop()
            }
            Source::Global => {
                self.global_ns -= estimate;
                self.global.pop()
            }
            Source::Group(group) => self.groups[group.0 as usize].as_deref_mut().and_then(|group| group.queue.pop()),
        };
        debug_assert_eq!(taken, Some(entry));
        self.send(worker, entry.task);
        if source == Source::Global {
            self.keep_siblings(worker, entry.task);
        }
    }

    /// Queues tasks that any worker may take beside the one just given to a
    /// worker, if the same task reads their results: then nothing has to travel.
    /// Not when that would leave others with little to do.
    fn keep_siblings(&mut self, worker: WorkerId, task: TaskId) {
        let edge = self.tasks[task].dependents;
        if edge == NONE || self.tasks[task].n_inputs > 0 {
            return;
        }
        let consumer = self.edges[edge].consumer;
        let n_siblings = self.tasks[consumer].n_inputs as usize;
        if !(2..=SIBLINGS_MAX).contains(&n_siblings) || self.global.live < n_siblings + SPARE_TASKS * self.alive.len() {
            return;
        }
        for edge in self.inputs(consumer) {
            let sibling = self.edges[edge].input;
            let record = &self.tasks[sibling];
            if record.state != TaskState::Ready || record.place != queue::GLOBAL {
                continue;
            }
            let entry = self.entry(sibling);
            self.leave_queue(sibling);
            self.tasks[sibling].place = worker.0;
            let estimate = u64::from(self.tasks[sibling].estimate);
            let record = self.worker_mut(worker);
            record.local.push(entry);
            record.local_ns += estimate;
        }
    }

    /// Orders a worker to run a task that is in no queue any more.
    fn send(&mut self, worker: WorkerId, task: TaskId) {
        let reserved = if self.is_limited(worker) { self.bytes_added(task, worker) } else { 0 };
        let estimate = match self.group(self.tasks[task].group).duration() {
            Some(duration) => u32::try_from(duration).unwrap_or(u32::MAX),
            None => self.tasks[task].estimate,
        };
        let record = self.workers[worker.0 as usize].as_deref_mut().expect("a worker that is fed is there");
        let group = self.groups[self.tasks[task].group as usize].as_deref().expect("tasks name declared groups only");
        if !group.spec.resources.is_empty() {
            record.occupy(&group.spec, 1.0);
        }
        let position = record.assigned.len() as u32;
        record.assigned.push(task);
        record.in_flight_ns += u64::from(estimate);
        record.reserved = record.reserved.saturating_add(reserved);
        let record = &mut self.tasks[task];
        record.state = TaskState::Assigned;
        record.place = worker.0;
        record.position = position;
        record.reserved = reserved;
        record.estimate = estimate;
        record.attempt = record.attempt.wrapping_add(1);
        record.retracting = false;
        let order = Order::Compute(self.compute_order(worker, task));
        self.out.push(SchedulerAction::To { worker, order });
    }

    fn compute_order(&mut self, worker: WorkerId, task: TaskId) -> Compute {
        let mut fetch: Vec<FetchFrom> = Vec::new();
        let mut inputs = Vec::with_capacity(self.tasks[task].n_inputs as usize);
        for edge in self.inputs(task) {
            let piece = self.edges[edge].piece();
            inputs.push(piece);
            let record = &self.tasks[piece.task];
            let (holders, bytes) = (record.holders, record.bytes);
            let is_listed = fetch.last().is_some_and(|last| last.piece == piece);
            if !is_listed && !self.holders.contains(holders, worker) {
                let random = self.next_random();
                let holder = self.holders.pick(holders, random).expect("a ready task's inputs are held");
                fetch.push(FetchFrom { piece, bytes, holder });
            }
        }
        let record = &self.tasks[task];
        let bytes = match record.bytes {
            crate::event::UNKNOWN_BYTES => self.group(record.group).bytes(),
            bytes => bytes,
        };
        Compute {
            task,
            attempt: Attempt(record.attempt),
            priority: record.priority,
            bytes,
            fetch,
            inputs,
            group: GroupId(record.group),
        }
    }

    /// A worker with nothing to do takes a task that is queued for another one
    /// but not given to it yet, or asks for one that was given.
    fn take_over(&mut self, thief: WorkerId) -> bool {
        if self.alive.len() < 2 {
            return false;
        }
        let mut best: Option<(Nanos, WorkerId)> = None;
        let mut index = self.backlogged.len();
        let mut n_seen = 0;
        while index > 0 && n_seen < VICTIMS_MAX {
            index -= 1;
            let victim = self.backlogged[index];
            let Some(record) = self.workers[victim.0 as usize].as_deref_mut() else {
                self.backlogged.swap_remove(index);
                continue;
            };
            if record.local.live == 0 {
                record.in_backlogged = false;
                self.backlogged.swap_remove(index);
                continue;
            }
            n_seen += 1;
            if victim != thief && best.is_none_or(|(other, _)| wait(record) > other) {
                best = Some((wait(record), victim));
            }
        }
        let Some((waiting, victim)) = best else {
            self.ask_back(thief, STEAL_WAIT_MIN);
            return false;
        };
        let tasks = &self.tasks;
        let record = self.workers[victim.0 as usize].as_deref_mut().expect("a victim is there");
        let Some(entry) = record.local.peek(|entry| is_queued(tasks, entry, victim.0)) else { return false };
        let transfer = self.transfer_time(self.bytes_to_move(entry.task, thief));
        let is_empty = self.worker(thief).is_some_and(|record| record.assigned.is_empty());
        if transfer >= waiting || !(is_empty || self.fits(entry.task, thief)) {
            return false;
        }
        self.leave_queue(entry.task);
        self.send(thief, entry.task);
        true
    }

    /// Asks loaded workers for tasks that they have not begun, because `thief`
    /// has nothing to do.
    fn ask_back(&mut self, thief: WorkerId, wait_min: Nanos) {
        let n_alive = self.alive.len();
        for _ in 0..VICTIMS_MAX.min(n_alive) {
            self.steal_cursor = (self.steal_cursor + 1) % n_alive;
            let victim = self.alive[self.steal_cursor];
            if victim != thief && self.ask_back_from(victim, wait_min) {
                return;
            }
        }
    }

    /// Asks a worker for half of what it has not begun, latest first.
    fn ask_back_from(&mut self, victim: WorkerId, wait_min: Nanos) -> bool {
        let Some(record) = self.worker(victim) else { return false };
        let n_slots = record.slots as usize;
        let n_excess = record.assigned.len().saturating_sub(n_slots);
        if n_excess == 0 || wait(record) < wait_min {
            return false;
        }
        let mut latest: Vec<Entry> = record
            .assigned
            .iter()
            .filter(|&&task| !self.tasks[task].retracting)
            .filter(|&&task| !self.group(self.tasks[task].group).is_constrained())
            .map(|&task| self.entry(task))
            .collect();
        // Those asked for already count as gone.
        let n_asked = record.assigned.len() - latest.len();
        let n_wanted = n_excess.saturating_sub(n_asked).div_ceil(2).min(latest.len());
        latest.sort_unstable();
        for entry in latest.split_off(latest.len() - n_wanted) {
            self.retract(victim, entry.task);
        }
        n_wanted > 0
    }

    /// Now and then, workers with nothing to do are given what others have not
    /// begun, however short the wait seemed: estimates may be wrong.
    pub(super) fn steal_on_tick(&mut self) {
        let is_idle = |worker: &&WorkerId| {
            self.worker(**worker)
                .is_some_and(|record| !record.retiring && record.assigned.len() < record.slots as usize)
        };
        let mut n_idle = self.alive.iter().filter(is_idle).count();
        if n_idle == 0 || self.alive.len() < 2 {
            return;
        }
        self.touched.extend(&self.alive);
        for index in 0..self.alive.len() {
            if n_idle > 0 && self.ask_back_from(self.alive[index], 0) {
                n_idle -= 1;
            }
        }
    }
}

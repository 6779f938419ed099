//! A thread of the pool: takes tasks, runs them, hands in what they answered.

use super::batch::{not_run, refill, run};
use super::queue::Queue;
use super::{Inner, State, TICK_NS};
use crate::child::{ChildSlot, Host};
use crate::ledger::Cause;
use crate::lend::{self, Lender};
use crate::node::{Completion, Runnable, Uplink};
use oxidask_core::events::TaskFinished;
use oxidask_core::{Error, ErrorKind, Lane, Result};
use oxidask_sched::{Failure, Nanos};
use parking_lot::MutexGuard;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// Longest that a finished task waits to be handed in, in nanoseconds.
const HAND_IN_NS: Nanos = 1_000_000;
/// Bytes of results beyond which they are handed in at once.
const HAND_IN_BYTES: u64 = 16 << 20;
/// Finished tasks beyond which they are handed in at once.
const HAND_IN_TASKS: usize = 512;
/// Longest that a thread stays in a lane, in nanoseconds.
const LANE_NS: Nanos = 5_000_000;
/// How soon an idle thread looks again at queues of others that were not empty.
const STEAL_WAIT: Duration = Duration::from_micros(300);
/// How often a caller that runs tasks itself asks whether it is interrupted.
const INTERRUPT_POLL: Duration = Duration::from_millis(50);
/// Threads that one pool has at most, those with blocked tasks included.
const MAX_THREADS: usize = 1024;

/// What a thread of the pool owns. It is shared only with the tasks that run on
/// the same thread, through [`CURRENT`].
struct Thread<U: Uplink> {
    inner: Arc<Inner<U>>,
    number: u32,
    /// Takes the place of blocked ones, and ends when it is one too many.
    is_spare: bool,
    queue: Arc<Queue>,
    /// Taken from the queue, but of another lane than the one that was open.
    held: Cell<Option<Runnable>>,
    done: RefCell<Vec<Completion>>,
    done_bytes: Cell<u64>,
    /// Nanoseconds of tasks, of waiting for lanes, and of travelling to the child,
    /// since they were last handed in.
    spent: Cell<Spent>,
    child: RefCell<ChildSlot>,
    has_seceded: Cell<bool>,
    /// It is not counted among the living any more.
    has_left: Cell<bool>,
}

/// See [`Thread::spent`].
#[derive(Clone, Copy, Default)]
struct Spent {
    compute: Nanos,
    lane: Nanos,
    child: Nanos,
}

/// Starts a thread.
pub(super) fn spawn<U: Uplink>(inner: &Arc<Inner<U>>, state: &mut State<U>, is_spare: bool) -> Result<()> {
    let number = state.next_thread;
    let queue = Arc::new(Queue::default());
    let own = queue.clone();
    let shared = inner.clone();
    std::thread::Builder::new()
        .name(format!("oxidask-{number}"))
        .spawn(move || {
            let thread = Rc::new(Thread::new(shared, number, is_spare, own));
            thread.work_on(|_| false, || Ok(())).unwrap_or_default();
            thread.end();
        })
        .map_err(|cause| Error::io("starting a thread", &cause))?;
    inner.queues.write().push((number, queue));
    state.next_thread += 1;
    state.live += 1;
    Ok(())
}

/// See [`super::Pool::run_here`].
pub(super) fn run_here<U: Uplink>(
    inner: &Arc<Inner<U>>,
    done: impl FnMut(&mut U) -> bool,
    interrupted: impl FnMut() -> Result<()>,
) -> Result<()> {
    let queue = Arc::new(Queue::default());
    let number = {
        let mut state = inner.state.lock();
        let number = state.next_thread;
        state.next_thread += 1;
        state.live += 1;
        inner.queues.write().push((number, queue.clone()));
        number
    };
    let thread = Rc::new(Thread::new(inner.clone(), number, false, queue));
    let result = thread.work_on(done, interrupted);
    thread.end();
    result
}

/// What a thread does next.
enum Next {
    Run,
    Steal,
    Again,
    End,
}

impl<U: Uplink> Thread<U> {
    fn new(inner: Arc<Inner<U>>, number: u32, is_spare: bool, queue: Arc<Queue>) -> Self {
        Thread {
            inner,
            number,
            is_spare,
            queue,
            held: Cell::new(None),
            done: RefCell::default(),
            done_bytes: Cell::new(0),
            spent: Cell::default(),
            child: RefCell::default(),
            has_seceded: Cell::new(false),
            has_left: Cell::new(false),
        }
    }

    /// Runs tasks until `done`, or until the pool is closed.
    fn work_on(
        self: &Rc<Self>,
        mut done: impl FnMut(&mut U) -> bool,
        mut interrupted: impl FnMut() -> Result<()>,
    ) -> Result<()> {
        lend::enter(self.clone());
        let result = loop {
            match self.next(&mut done) {
                Next::Run => self.run_queue(),
                Next::Steal if self.steal() => self.run_queue(),
                Next::Steal | Next::Again => {}
                Next::End => break Ok(()),
            }
            if let Err(error) = interrupted() {
                break Err(error);
            }
        };
        lend::leave();
        result
    }

    /// Hands in what is done and takes the next batch, waiting if there is none.
    fn next(&self, done: &mut impl FnMut(&mut U) -> bool) -> Next {
        let finished = self.announce();
        let mut guard = self.inner.state.lock();
        let state = &mut *guard;
        let now = self.inner.now();
        let finished = self.hand_in(state, now, finished);
        let next = if state.closed || done(&mut state.uplink) {
            Next::End
        } else if self.is_surplus(state) {
            // At once: who lends its place while this thread's child is ended
            // must not count on this thread.
            state.live -= 1;
            self.has_left.set(true);
            Next::End
        } else if !self.queue.is_empty() || self.take(state, now) {
            Next::Run
        } else if state.node.aside.is_empty() {
            self.wait(&mut guard)
        } else {
            Next::Again
        };
        self.inner.settle(guard);
        self.recycle(finished);
        self.inner.observers.throttle();
        next
    }

    /// Drops what was handed in, and keeps the list's memory for the next batch.
    fn recycle(&self, mut finished: Vec<Completion>) {
        finished.clear();
        let mut done = self.done.borrow_mut();
        if done.capacity() == 0 {
            *done = finished;
        }
    }

    /// Tells observers what is done; before it is handed in, so that they hear of
    /// a graph's tasks before they hear of its end.
    fn announce(&self) -> Vec<Completion> {
        self.done_bytes.set(0);
        let finished = std::mem::take(&mut *self.done.borrow_mut());
        if self.inner.observers.any() && !finished.is_empty() {
            let events = finished.iter().map(|completion| TaskFinished {
                graph: completion.job.graph,
                key: completion.job.key,
                label: completion.job.work.label().clone(),
                worker: 0,
                thread: self.number,
                start_ns: completion.start_ns,
                stop_ns: completion.start_ns + completion.duration_ns,
                nbytes: completion.bytes,
                ok: matches!(completion.result, Some(Ok(_))),
            });
            self.inner.observers.tasks_finished(events.collect());
        }
        finished
    }

    /// Tells the node what is done; answers what is to be dropped without lock.
    fn hand_in(&self, state: &mut State<U>, now: Nanos, mut finished: Vec<Completion>) -> Vec<Completion> {
        if state.closed {
            return finished;
        }
        let spent = self.spent.take();
        let ledger = &mut state.node.ledger;
        ledger.n_tasks += finished.len() as u64;
        ledger.compute_ns += spent.compute;
        ledger.gil_ns += spent.lane;
        ledger.child_ns += spent.child;
        for completion in &mut finished {
            state.node.finished(now, completion);
        }
        if !finished.is_empty() {
            state.node.settle(now);
        }
        if now.saturating_sub(state.last_tick) > TICK_NS {
            state.last_tick = now;
            state.node.tick(now);
        }
        state.uplink.exchange(now, &mut state.node);
        finished
    }

    fn take(&self, state: &mut State<U>, now: Nanos) -> bool {
        let n_taken = refill(&mut state.node, now, &self.queue, state.idle, self.inner.child.is_some());
        if n_taken > 0 {
            self.inner.monitor.wake(&self.inner);
        }
        if n_taken > 1 && state.idle > 0 {
            // If the batch turns out long, somebody shall be there to steal.
            self.inner.work.notify_one();
        }
        n_taken > 0
    }

    /// Waits until there may be work.
    fn wait(&self, guard: &mut MutexGuard<'_, State<U>>) -> Next {
        let state = &mut **guard;
        state.idle += 1;
        let idle = state.idle as u32;
        state.node.capacity(self.inner.now(), idle);
        let cause = match &state.node {
            node if node.is_fetching() => Cause::Input,
            node if node.is_loading() => Cause::Load,
            _ => Cause::Nothing,
        };
        state.waits.begin(cause, self.inner.now());
        let next = if !state.node.ready.is_empty() || !state.node.aside.is_empty() {
            Next::Again
        } else if self.others_have_work() {
            self.inner.work.wait_for(guard, STEAL_WAIT);
            Next::Steal
        } else if self.inner.n_threads == 0 {
            self.inner.work.wait_for(guard, INTERRUPT_POLL);
            Next::Again
        } else {
            self.inner.work.wait(guard);
            Next::Steal
        };
        guard.idle -= 1;
        guard.waits.end(cause, self.inner.now());
        next
    }

    fn others_have_work(&self) -> bool {
        self.inner.queues.read().iter().any(|(number, queue)| *number != self.number && !queue.is_empty())
    }

    /// Takes tasks that another thread took and did not begin.
    fn steal(&self) -> bool {
        let queues = self.inner.queues.read();
        let mut others = queues.iter().filter(|(number, _)| *number != self.number);
        others.any(|(_, other)| self.queue.steal_from(other))
    }

    fn is_surplus(&self, state: &State<U>) -> bool {
        self.is_spare && state.live - state.blocked > self.inner.n_threads && self.queue.is_empty()
    }

    fn pop(&self) -> Option<Runnable> {
        self.held.take().or_else(|| self.queue.pop())
    }

    /// Runs what is in the queue, until results should be handed in.
    fn run_queue(&self) {
        let mut clock = self.inner.now();
        let hand_in_at = clock + HAND_IN_NS;
        while let Some(runnable) = self.pop() {
            if self.inner.unwanted.contains(runnable.task, runnable.attempt) {
                let error = Error::new(ErrorKind::Cancelled, "the task was cancelled");
                self.complete(not_run(runnable, clock, Failure::Fatal, error));
            } else if self.is_sent(&runnable) {
                self.run_in_child(runnable);
                clock = self.inner.now();
            } else if let Some(lane) = self.lane_of(&runnable) {
                self.run_in_lane(lane, runnable);
                clock = self.inner.now();
            } else {
                clock = self.run_one(runnable, clock);
            }
            if self.must_hand_in(clock, hand_in_at) {
                break;
            }
        }
        // What is held must not stay behind if the thread hands in now.
        if let Some(held) = self.held.take() {
            self.queue.push(held);
        }
    }

    fn must_hand_in(&self, clock: Nanos, hand_in_at: Nanos) -> bool {
        clock > hand_in_at || self.done_bytes.get() > HAND_IN_BYTES || self.done.borrow().len() >= HAND_IN_TASKS
    }

    /// Runs one task that starts at `clock`; answers when it ended.
    fn run_one(&self, runnable: Runnable, clock: Nanos) -> Nanos {
        let completion = run(runnable, clock, || self.inner.now());
        let stop = completion.start_ns + completion.duration_ns;
        self.complete(completion);
        stop
    }

    fn complete(&self, completion: Completion) {
        lend::task_ended(self);
        self.done_bytes.set(self.done_bytes.get() + completion.bytes);
        self.spend(|spent| spent.compute += completion.duration_ns);
        self.done.borrow_mut().push(completion);
    }

    fn spend(&self, add: impl FnOnce(&mut Spent)) {
        let mut spent = self.spent.get();
        add(&mut spent);
        self.spent.set(spent);
    }

    /// Runs a task and those of the same lane that follow it in one go.
    fn run_in_lane(&self, lane: &'static dyn Lane, first: Runnable) {
        let mut next = Some(first);
        let asked = self.inner.now();
        lane.enter(&mut || {
            let mut clock = self.inner.now();
            self.spend(|spent| spent.lane += clock - asked);
            let leave_at = clock + LANE_NS;
            while let Some(runnable) = next.take() {
                clock = self.run_one(runnable, clock);
                if self.must_hand_in(clock, leave_at) {
                    break;
                }
                let candidate = self.pop();
                match candidate.as_ref().and_then(|runnable| self.lane_of(runnable)) {
                    Some(other) if std::ptr::addr_eq(other, lane) => next = candidate,
                    _ => self.held.set(candidate),
                }
            }
        });
        if let Some(runnable) = next {
            let error = Error::new(ErrorKind::Lost, "the task was not run, because its interpreter is shutting down");
            self.complete(not_run(runnable, self.inner.now(), Failure::Fatal, error));
        }
    }

    /// Whether a child process runs the task.
    fn is_sent(&self, runnable: &Runnable) -> bool {
        self.inner.child.is_some() && runnable.job.work.runs_user_code()
    }

    /// The lane in which this process runs the task.
    fn lane_of(&self, runnable: &Runnable) -> Option<&'static dyn Lane> {
        if self.is_sent(runnable) {
            return None;
        }
        runnable.job.work.op().ok()?.lane()
    }

    /// Has a child run a task and the user code that follows it.
    fn run_in_child(&self, first: Runnable) {
        let command = self.inner.child.as_ref().expect("asked by the caller");
        let mut batch = vec![first];
        while let Some(runnable) = self.pop() {
            if !self.is_sent(&runnable) {
                self.held.set(Some(runnable));
                break;
            }
            batch.push(runnable);
        }
        let inner = &self.inner;
        let begin = inner.now();
        let host = InPool { thread: self, computed: Cell::new(0) };
        self.child.borrow_mut().run(command, &inner.children, batch, &inner.unwanted, &host);
        let travelled = (inner.now() - begin).saturating_sub(host.computed.get());
        self.spend(|spent| spent.child += travelled);
    }

    /// Hands in what is done, in the middle of a batch.
    fn hand_in_now(&self) {
        let finished = self.announce();
        let mut guard = self.inner.state.lock();
        let now = self.inner.now();
        let finished = self.hand_in(&mut guard, now, finished);
        self.inner.settle(guard);
        drop(finished);
    }

    /// Leaves the pool.
    fn end(&self) {
        self.child.borrow_mut().end(&self.inner.children);
        self.inner.queues.write().retain(|(number, _)| *number != self.number);
        let finished = self.announce();
        let mut guard = self.inner.state.lock();
        let state = &mut *guard;
        let now = self.inner.now();
        let finished = self.hand_in(state, now, finished);
        // Whoever stops early leaves what it took to the others.
        while let Some(runnable) = self.pop() {
            state.node.ready.push_back(runnable);
        }
        if !self.has_left.get() {
            state.live -= 1;
        }
        self.inner.ended.notify_all();
        self.inner.settle(guard);
        drop(finished);
    }
}

/// A thread, as what its child's tasks need of it.
struct InPool<'a, U: Uplink> {
    thread: &'a Thread<U>,
    /// Nanoseconds of the tasks that ended.
    computed: Cell<Nanos>,
}

impl<U: Uplink> Host for InPool<'_, U> {
    fn now(&self) -> Nanos {
        self.thread.inner.now()
    }

    fn complete(&self, completions: Vec<Completion>) {
        let computed: Nanos = completions.iter().map(|completion| completion.duration_ns).sum();
        self.computed.set(self.computed.get() + computed);
        completions.into_iter().for_each(|completion| self.thread.complete(completion));
        // The rest of the batch may take long, and others wait for this.
        self.thread.hand_in_now();
    }

    fn give_back(&self, runnables: Vec<Runnable>) {
        // Not into this thread's own queue: it may wait for long.
        let mut guard = self.thread.inner.state.lock();
        guard.node.ready.extend(runnables);
        self.thread.inner.settle(guard);
    }

    fn lend(&self, is_waiting: bool) {
        if is_waiting {
            self.thread.suspend();
        } else {
            self.thread.resume();
        }
    }
}

impl<U: Uplink> Lender for Thread<U> {
    fn pool(&self) -> u64 {
        self.inner.id
    }

    /// Hands in what is done, offers the queue to others, and has another thread
    /// take the place of this one.
    fn suspend(&self) {
        if let Some(held) = self.held.take() {
            self.queue.push(held);
        }
        let finished = self.announce();
        let mut guard = self.inner.state.lock();
        let state = &mut *guard;
        let now = self.inner.now();
        state.blocked += 1;
        if !state.closed {
            state.node.lent(state.blocked);
        }
        let finished = self.hand_in(state, now, finished);
        let n_running = state.live - state.blocked;
        if !state.closed && n_running < self.inner.n_threads && state.live < MAX_THREADS {
            // Without another thread the others have to do.
            let _ = spawn(&self.inner, state, true);
        }
        self.inner.work.notify_all();
        self.inner.settle(guard);
        drop(finished);
    }

    fn resume(&self) {
        let mut guard = self.inner.state.lock();
        let state = &mut *guard;
        state.blocked -= 1;
        if !state.closed {
            state.node.lent(state.blocked);
            state.uplink.exchange(self.inner.now(), &mut state.node);
        }
        self.inner.settle(guard);
    }

    fn has_seceded(&self) -> &Cell<bool> {
        &self.has_seceded
    }
}

//! Hands events to observers.
//!
//! Each observer has a thread and a queue of its own, so that a slow one holds
//! up neither the executor nor the others. Nothing is made while nobody watches.

use oxidask_core::Error;
use oxidask_core::events::{GraphId, Observer, TaskFinished};
use oxidask_core::executor::WatchGuard;
use parking_lot::{Condvar, Mutex, RwLock};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Those who watch an executor.
#[derive(Default)]
pub struct Observers {
    any: AtomicBool,
    queues: RwLock<Vec<Arc<Queue>>>,
}

/// An event on its way.
#[derive(Clone)]
enum Event {
    Started(GraphId, Arc<[(Arc<str>, u64)]>),
    Tasks(Arc<[TaskFinished]>),
    Ended(GraphId, Option<Error>),
}

/// One observer's events that it has not seen yet.
#[derive(Default)]
struct Queue {
    state: Mutex<QueueState>,
    changed: Condvar,
}

#[derive(Default)]
struct QueueState {
    events: VecDeque<Event>,
    /// Finished tasks among the events.
    n_tasks: usize,
    /// The guard was dropped: nothing more comes.
    ending: bool,
    /// The observer has seen all.
    ended: bool,
}

/// Finished tasks that may wait for a slow observer before the threads that make
/// more wait for it.
const MAX_PENDING: usize = 1 << 20;
/// Longest that a thread waits for a slow observer at a time.
const THROTTLE: Duration = Duration::from_millis(100);
/// Longest that the end of a watch waits for the observer to see the rest.
const LAST_WORDS: Duration = Duration::from_millis(500);

impl Observers {
    /// Whether somebody watches.
    #[must_use]
    pub fn any(&self) -> bool {
        self.any.load(Ordering::Relaxed)
    }

    /// Reports to `observer` until the guard is dropped. Dropping it waits a
    /// moment so that the observer sees what happened before.
    pub fn watch(self: &Arc<Self>, observer: Arc<dyn Observer>) -> WatchGuard {
        let queue = Arc::new(Queue::default());
        {
            let mut queues = self.queues.write();
            queues.push(queue.clone());
            self.any.store(true, Ordering::Relaxed);
        }
        let source = queue.clone();
        let thread = std::thread::Builder::new()
            .name("oxidask-observer".into())
            .spawn(move || source.deliver(&*observer))
            .ok()
            .map(|handle| handle.thread().id());
        let observers = Arc::downgrade(self);
        WatchGuard::new(move || {
            if let Some(observers) = observers.upgrade() {
                let mut queues = observers.queues.write();
                queues.retain(|other| !Arc::ptr_eq(other, &queue));
                observers.any.store(!queues.is_empty(), Ordering::Relaxed);
            }
            let is_own_thread = thread == Some(std::thread::current().id());
            queue.end(if is_own_thread || thread.is_none() { Duration::ZERO } else { LAST_WORDS });
        })
    }

    /// A graph begins: how many tasks of each label it will run.
    pub fn graph_started(&self, graph: GraphId, tasks: &[(Arc<str>, u64)]) {
        self.push(0, || Event::Started(graph, tasks.into()));
    }

    /// Tasks ended.
    pub fn tasks_finished(&self, tasks: Vec<TaskFinished>) {
        self.push(tasks.len(), || Event::Tasks(tasks.into()));
    }

    /// A graph ended.
    pub fn graph_finished(&self, graph: GraphId, error: Option<&Error>) {
        self.push(0, || Event::Ended(graph, error.cloned()));
    }

    /// Waits a moment if an observer is far behind. Must be called without locks.
    pub(crate) fn throttle(&self) {
        if !self.any() {
            return;
        }
        let queues: Vec<Arc<Queue>> = self.queues.read().clone();
        for queue in queues {
            let mut state = queue.state.lock();
            if state.n_tasks > MAX_PENDING {
                queue.changed.wait_for(&mut state, THROTTLE);
            }
        }
    }

    fn push(&self, n_tasks: usize, event: impl FnOnce() -> Event) {
        if !self.any() {
            return;
        }
        let event = event();
        for queue in self.queues.read().iter() {
            let mut state = queue.state.lock();
            state.events.push_back(event.clone());
            state.n_tasks += n_tasks;
            queue.changed.notify_all();
        }
    }
}

impl Queue {
    /// The observer's thread.
    fn deliver(&self, observer: &dyn Observer) {
        let mut state = self.state.lock();
        loop {
            if let Some(event) = state.events.pop_front() {
                parking_lot::MutexGuard::unlocked(&mut state, || match &event {
                    Event::Started(graph, tasks) => observer.graph_started(*graph, tasks),
                    Event::Tasks(tasks) => observer.tasks_finished(tasks),
                    Event::Ended(graph, error) => observer.graph_finished(*graph, error.as_ref()),
                });
                if let Event::Tasks(tasks) = event {
                    state.n_tasks -= tasks.len();
                    self.changed.notify_all();
                }
            } else if state.ending {
                state.ended = true;
                self.changed.notify_all();
                return;
            } else {
                self.changed.wait(&mut state);
            }
        }
    }

    fn end(&self, wait: Duration) {
        let deadline = Instant::now() + wait;
        let mut state = self.state.lock();
        state.ending = true;
        self.changed.notify_all();
        while !state.ended && !self.changed.wait_until(&mut state, deadline).timed_out() {}
    }
}

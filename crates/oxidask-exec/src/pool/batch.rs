//! How many tasks a thread takes at once, and how one is run.

use super::queue::Queue;
use crate::again::Again;
use crate::encoded::{decoded, is_encoded};
use crate::node::{Completion, Node, Runnable};
use crate::work::Work;
use oxidask_core::{Error, ErrorKind, Op, Result, Value};
use oxidask_sched::{Failure, Nanos};
use smallvec::SmallVec;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Work that a thread takes at once, in nanoseconds of estimated run time: long
/// against the cost of the lock, short against what anybody notices.
const BATCH_NS: u64 = 200_000;
/// Most tasks that a thread takes at once.
const BATCH_TASKS: usize = 512;
/// A task is never thought to be shorter than this.
const TASK_NS_MIN: u64 = 100;
/// How much longer a batch may be whose tasks run one after another anyway, or in
/// another process: entering a lane or a process costs more than the lock.
const BATCH_STRETCH: u64 = 8;

/// Moves tasks that may run to the thread's queue; answers how many. A stage of
/// unknown duration ends the batch. `idle` threads wait for what becomes ready
/// later.
pub(super) fn refill(node: &mut Node, now: Nanos, queue: &Queue, idle: usize, has_children: bool) -> usize {
    let mut queue = queue.lock();
    let mut budget = BATCH_NS;
    let mut n_taken = 0;
    let mut want = 1;
    while n_taken < BATCH_TASKS && budget > 0 {
        if node.ready.is_empty() {
            node.capacity(now, want as u32);
        }
        let before = n_taken;
        let mut cost = BATCH_NS;
        while n_taken - before < want
            && budget > 0
            && let Some(runnable) = node.ready.pop_front()
        {
            cost = cost_of(&runnable.job.work, has_children);
            budget = budget.saturating_sub(cost);
            queue.push_back(runnable);
            n_taken += 1;
        }
        if n_taken == before {
            break;
        }
        want = ((budget / cost) as usize).clamp(1, (BATCH_TASKS - n_taken).max(1));
    }
    drop(queue);
    node.capacity(now, idle as u32);
    n_taken
}

fn cost_of(work: &Work, has_children: bool) -> u64 {
    let mean = work.cost().mean_ns();
    if mean == 0 {
        return BATCH_NS;
    }
    let is_sent = has_children && work.runs_user_code();
    let stretch = if is_sent || work.has_lane() { BATCH_STRETCH } else { 1 };
    (mean / stretch).max(TASK_NS_MIN)
}

/// Runs one task on this thread.
pub(crate) fn run(runnable: Runnable, start_ns: Nanos, now: impl FnOnce() -> Nanos) -> Completion {
    let Runnable { task, attempt, job, inputs } = runnable;
    let result = match (job.work.op(), inputs) {
        (Ok(op), Ok(inputs)) => call(&**op, job.block, inputs).map_err(|error| (Again::failure_of(&error), error)),
        (Err(error), _) => Err((Failure::Fatal, error)),
        (_, Err(error)) => Err((Failure::Error, error)),
    };
    let stop_ns = now();
    let duration_ns = stop_ns.saturating_sub(start_ns);
    let bytes = result.as_ref().map_or(0, Value::nbytes);
    job.work.cost().took(duration_ns, bytes);
    let result = result.map_err(|(failure, error)| (failure, error.in_task(job.display_name())));
    Completion { task, attempt, job, result: Some(result), bytes, start_ns, duration_ns }
}

/// What an op answers; a panic is an error.
pub(crate) fn call(op: &dyn Op, block: u32, inputs: SmallVec<[Value; 2]>) -> Result<Value> {
    catch_unwind(AssertUnwindSafe(|| {
        if inputs.iter().any(is_encoded) {
            let inputs = inputs.into_iter().map(decoded).collect::<Result<Vec<Value>>>()?;
            return op.run(u64::from(block), &inputs);
        }
        op.run(u64::from(block), &inputs)
    }))
    .unwrap_or_else(|panic| Err(panicked(&*panic)))
}

/// The end of a task that was not run.
pub(crate) fn not_run(runnable: Runnable, now: Nanos, failure: Failure, error: Error) -> Completion {
    let Runnable { task, attempt, job, .. } = runnable;
    let result = Some(Err((failure, error.in_task(job.display_name()))));
    Completion { task, attempt, job, result, bytes: 0, start_ns: now, duration_ns: 0 }
}

/// The error for a task whose op panicked.
pub(crate) fn panicked(panic: &(dyn Any + Send)) -> Error {
    let message = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned());
    Error::new(ErrorKind::Task, format!("the task panicked: {message}"))
}

//! Pure scheduler and worker state machines, and their simulator.
//!
//! Each core is told events and answers actions. It reads no clock (time is
//! passed in), draws no randomness that was not seeded, opens no socket, starts
//! no thread, and depends on no other crate. The same two cores run under every
//! executor, from the calling thread to a cluster; [`sim`] runs thousands of
//! them under faults.
//!
//! Read [`event`] first: it is the whole interface.

pub mod event;
mod queue;
pub mod scheduler;
pub mod sim;
pub mod worker;

pub use event::*;
pub use scheduler::{Counts, Rest, Resting, RestingTask, Scheduler, TaskState, Why};
pub use worker::{Worker, WorkerWhy};

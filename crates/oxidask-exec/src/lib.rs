//! Runs the pure cores of `oxidask-sched`: in one process here, and with a
//! socket for a link in `oxidask-cluster`.
//!
//! ```text
//!  client ── Submission ──▶ Coordinator<H> ── Order + Job ──▶ Node ── Runnable ──▶ Pool threads
//!                           scheduler core                    worker core, Store    │ children
//!                           keys, claims, errors ◀─ NodeReport ─ (Uplink)  ◀────────┘
//! ```
//!
//! [`coordinator`] and [`node`] do no I/O: they turn events of the world into
//! events of the cores and hand on what the cores answer. [`pool`] owns the one
//! lock and the threads. [`local`] puts all of it into one process behind
//! [`oxidask_core::Executor`].

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test that fails says where"))]

mod again;
pub mod child;
pub mod coordinator;
pub mod encoded;
pub mod ledger;
pub mod lend;
pub mod local;
pub mod node;
pub mod observe;
pub mod pool;
pub mod segment;
mod slots;
mod store;
pub mod work;

pub use again::Again;
pub use child::{ChildCommand, Sample, serve_child, set_sampler};
pub use coordinator::{Coordinator, Effect, Job, Submission, TaskEnd};
pub use encoded::{Encoded, decoded};
pub use ledger::Ledger;
pub use lend::{is_in_task, lend_slot, rejoin, secede};
pub use local::{Local, LocalKind, LocalOptions};
pub use node::{Assignment, Node, NodeReport, Peers, Uplink};
pub use pool::{Pool, PoolOptions, on_memory_pressure};
pub use work::Work;

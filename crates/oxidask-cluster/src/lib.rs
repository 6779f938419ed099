//! Scheduler server, worker agents and clients over sockets.
//!
//! ```text
//!  Client ──── FromClient ───▶ Server (Coordinator) ──── ToWorker ───▶ Agent (Pool)
//!     ▲ ◀────── ToClient ─────                     ◀── FromWorker ───   │ ▲
//!     └───────────────────────── ReadReply ─────────────────────────────┘ │ ReadRequest
//!                                                           other agents ◀┘
//! ```
//!
//! Read in this order: [`wire`] (packets), [`auth`] (who may speak),
//! [`protocol`] (what is said), [`server`], [`coordination`] (what clients
//! share), [`agent`], [`client`], [`deploy`]. The scheduling itself is in `oxidask-exec` and `oxidask-sched`;
//! this crate gives them sockets. Every connection is authenticated before
//! anything from it is decoded, and none leaves this machine unencrypted.
//!
//! ```
//! use oxidask_cluster::{LocalCluster, LocalClusterOptions};
//! use oxidask_core::{Executor, Graph, Input, Key, Parts, Value};
//!
//! # fn main() -> oxidask_core::Result<()> {
//! // Two workers on threads of this process; `LocalClusterOptions::new` makes
//! // them processes.
//! let cluster = LocalCluster::start(LocalClusterOptions::in_process(2))?;
//! let client = cluster.client()?;
//! let futures = client.scatter(&[(Key::named("nothing"), Value::new(Parts(Vec::new())))], &[], false)?;
//! let mut graph = Graph::new();
//! let held = graph.held(futures[0].key());
//! graph.outputs = vec![Input::whole(held)];
//! let values = client.compute(graph, &|| Ok(()))?;
//! assert_eq!(values[0].nbytes(), 0);
//! # Ok(())
//! # }
//! ```

pub mod actor;
pub mod agent;
pub mod auth;
pub mod blobs;
pub mod client;
pub mod connect;
pub mod constant;
pub mod coordination;
pub mod deploy;
mod look_out;
pub mod own_program;
pub mod protocol;
pub mod reader;
pub mod security;
pub mod server;
pub mod wire;

pub use agent::serve_agent;
pub use auth::Secret;
pub use client::{Client, ClientOptions};
pub use connect::Address;
pub use deploy::{LocalCluster, LocalClusterOptions, ProcessCommand};
pub use own_program::{init, this_program_as_child};
pub use security::{Credentials, Security};

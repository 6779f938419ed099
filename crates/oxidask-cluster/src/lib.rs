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
//! [`protocol`] (what is said), [`server`], [`agent`], [`client`],
//! [`deploy`]. The scheduling itself is in `oxidask-exec` and `oxidask-sched`;
//! this crate gives them sockets. Every connection is authenticated before
//! anything from it is decoded, and none leaves this machine.

pub mod agent;
pub mod auth;
pub mod blobs;
pub mod client;
pub mod connect;
pub mod constant;
pub mod deploy;
pub mod protocol;
pub mod reader;
pub mod server;
pub mod wire;

pub use agent::serve_agent;
pub use auth::Secret;
pub use client::{Client, ClientOptions};
pub use connect::Address;
pub use deploy::{LocalCluster, LocalClusterOptions, ProcessCommand};

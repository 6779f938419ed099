//! Scheduler server, worker agents and clients over sockets.
//!
//! Read in this order: [`wire`] (packets), [`auth`] (who may speak).

pub mod auth;
pub mod wire;

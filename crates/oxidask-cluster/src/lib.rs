//! Scheduler server, worker agents and clients over sockets.

//! Which worker a task runs on, and how the task reaches the cluster.
//!
//! A task may ask the cluster that it runs on for more. Children of an agent get
//! what they need for that in their environment, which only their user can
//! read; tasks on the agent's own threads find it by the pool they run in.

use crate::security::Security;
use oxidask_core::{Error, ErrorKind, Result};
use oxidask_exec::lend::current_pool;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::sync::{Arc, OnceLock};

/// What a task knows of the worker that runs it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Membership {
    /// The name of the worker.
    pub name: String,
    /// Where the worker serves results.
    pub address: String,
    /// Where the scheduler listens.
    pub scheduler: String,
    /// What members know, as hexadecimal digits.
    pub secret: String,
    /// What connections are encrypted with, if they are.
    pub security: Security,
    /// Tasks that the worker runs at once.
    pub n_threads: usize,
    /// The worker's folder.
    pub local_directory: String,
    /// Tells this life of the worker from others under the same name.
    pub incarnation: String,
}

/// The variable that carries a [`Membership`] to a child.
pub const VARIABLE: &str = "OXIDASK_INTERNAL_WORKER";

/// Agents of this process by their pools.
static AGENTS: Mutex<Vec<(u64, Arc<Membership>)>> = Mutex::new(Vec::new());

/// What the environment says; read once, so that the variable can be taken away
/// from the processes that a task starts.
static FROM_ENVIRONMENT: OnceLock<Option<Arc<Membership>>> = OnceLock::new();

impl Membership {
    /// The worker whose task the calling thread runs, if it runs one. In a child
    /// process that is every thread.
    #[must_use]
    pub fn current() -> Option<Arc<Membership>> {
        let in_this_process = current_pool().and_then(|pool| {
            let agents = AGENTS.lock();
            agents.iter().find(|(other, _)| *other == pool).map(|(_, membership)| membership.clone())
        });
        in_this_process.or_else(|| {
            FROM_ENVIRONMENT
                .get_or_init(|| {
                    let text = std::env::var(VARIABLE).ok()?;
                    serde_json::from_str(&text).ok().map(Arc::new)
                })
                .clone()
        })
    }

    /// The value of [`VARIABLE`] for a child.
    pub(super) fn to_text(&self) -> Result<String> {
        serde_json::to_string(self)
            .map_err(|cause| Error::new(ErrorKind::Value, format!("a worker's description cannot be written: {cause}")))
    }

    /// Tasks of this pool run on this worker.
    pub(super) fn register(self, pool: u64) {
        AGENTS.lock().push((pool, Arc::new(self)));
    }

    /// They do no longer.
    pub(super) fn unregister(pool: u64) {
        AGENTS.lock().retain(|(other, _)| *other != pool);
    }
}

//! What a task runs, for a client that runs it itself to find out what is wrong.

use super::state::State;
use crate::protocol::WireRecipe;
use oxidask_core::Key;
use oxidask_sched::Why;

/// Largest constants that are sent along.
const BYTES_MAX: u64 = 64 << 20;

impl State {
    /// What a task runs; of one that failed with another, what that one runs.
    pub(super) fn recipe(&self, key: Key) -> Result<WireRecipe, String> {
        let Some(mut task) = self.coordinator.task_of(key) else {
            return Err("the scheduler does not know this task: its result was released".to_owned());
        };
        if let Why::Failed { culprit, .. } = self.coordinator.core().explain(task) {
            task = culprit;
        }
        let name = self.coordinator.name_of(task);
        let Some((job, inputs)) = self.coordinator.recipe(task) else {
            return Err(format!("'{name}' is a value that a client brought: it runs nothing"));
        };
        let op = &job.handle.op;
        let nbytes: u64 = op.blobs.iter().map(|blob| blob.frames.nbytes()).sum();
        if nbytes > BYTES_MAX {
            return Err(format!("'{name}' has {nbytes} bytes of constants, which is more than is sent for this"));
        }
        let blobs = op.blobs.iter().map(|blob| (blob.frames.header.clone(), blob.frames.buffers.clone())).collect();
        let (kind, body) = (op.kind.clone(), op.body.clone());
        Ok(WireRecipe { name, kind, body, blobs, block: job.block, inputs })
    }
}

//! Runs a task of the cluster here, where its user can look at it.

use super::Client;
use crate::protocol::{Answer, Question};
use bytes::Bytes;
use oxidask_core::registry::decode_op;
use oxidask_core::{Blob, EncodedOp, Error, ErrorKind, Frames, Key, Op, Result, Value};
use oxidask_exec::decoded;
use oxidask_sched::Piece;
use std::sync::Arc;
use std::time::Duration;

/// Longest wait for the scheduler.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a task of the cluster runs, and on what.
pub struct Recipe {
    /// What users call the task: that which failed first, if it or one that it needs
    /// failed.
    pub name: String,
    op: Arc<dyn Op>,
    block: u64,
    inputs: Vec<Value>,
}

impl std::fmt::Debug for Recipe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Recipe({})", self.name)
    }
}

impl Recipe {
    /// Runs it on this thread.
    ///
    /// # Errors
    /// Whatever the task raises.
    pub fn run(&self) -> Result<Value> {
        self.op.run(self.block, &self.inputs)
    }
}

impl Client {
    /// What a task runs, with its inputs brought here; those that are gone are
    /// computed again. Of a task that failed because another did, it is that other.
    ///
    /// # Errors
    /// If the scheduler does not know the task, an input fails, or `interrupted` says
    /// so.
    pub fn recipe(&self, key: Key, interrupted: &dyn Fn() -> Result<()>) -> Result<Recipe> {
        let Answer::Recipe(recipe) = self.ask(Question::Recipe(key), PATIENCE)? else {
            return Err(Error::new(ErrorKind::Version, "the scheduler answered another question"));
        };
        let recipe = recipe.map_err(Error::value)?;
        let blob = |(header, buffers): (Bytes, Vec<Bytes>)| Blob::new(Frames { header, buffers });
        let blobs = recipe.blobs.into_iter().map(blob).collect();
        let op = decode_op(&EncodedOp { kind: recipe.kind, body: recipe.body, blobs })?;
        let keys: Vec<Key> = recipe.inputs.iter().map(|&(key, _)| key).collect();
        // Held until the values are here.
        let futures = self.want(&keys)?;
        let values = self.gather(&keys, interrupted)?;
        drop(futures);
        let inputs = values.into_iter().zip(&recipe.inputs).map(|(value, &(_, part))| part_of(value, part));
        Ok(Recipe { name: recipe.name, op, block: u64::from(recipe.block), inputs: inputs.collect::<Result<_>>()? })
    }
}

fn part_of(value: Value, part: u32) -> Result<Value> {
    let value = decoded(value)?;
    if part == Piece::WHOLE {
        return Ok(value);
    }
    let found = value.data().parts().and_then(|parts| parts.get(part as usize).cloned());
    found.ok_or_else(|| Error::new(ErrorKind::Version, "an input has not the part that the task needs"))
}

//! What a stage's tasks run, as a worker knows it.

use oxidask_core::{EncodedOp, Op, Result};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock};

/// The op that tasks of one stage share, decoded or encoded when first needed:
/// an agent without Python never decodes what only its children run.
pub struct Work {
    label: Arc<str>,
    runs_user_code: bool,
    op: OnceLock<Result<Arc<dyn Op>>>,
    encoded: OnceLock<Result<EncodedOp>>,
    mean_ns: AtomicU64,
}

impl Work {
    /// Work of this process.
    pub fn from_op(label: Arc<str>, op: Arc<dyn Op>) -> Self {
        todo!()
    }

    /// Work that came from another process.
    pub fn from_encoded(label: Arc<str>, runs_user_code: bool, encoded: EncodedOp) -> Self {
        todo!()
    }

    /// The op, decoded at the first call.
    pub fn op(&self) -> Result<&Arc<dyn Op>> {
        todo!()
    }

    /// The op's bytes, encoded at the first call.
    pub fn encoded(&self) -> Result<&EncodedOp> {
        todo!()
    }
}

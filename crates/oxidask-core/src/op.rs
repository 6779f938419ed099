//! What a task does.
//!
//! An [`Op`] owns its parameters and sees its block number and its inputs,
//! nothing else: no scheduler, no configuration, no other task. It is pure, or
//! idempotent where it must write, because it may run twice. All tasks of one
//! expression share one op and differ by block.

use crate::error::Result;
use crate::registry::OpCodec;
use crate::value::Value;
use std::any::Any;
use std::borrow::Cow;

/// The work of a task.
pub trait Op: OpCodec + Any + Send + Sync {
    /// Computes block number `block` from the inputs, in the order in which the
    /// task names them. Runs on one thread and must not start others.
    ///
    /// # Errors
    /// Whatever the user should read; the executor adds the task's key.
    fn run(&self, block: u64, inputs: &[Value]) -> Result<Value>;

    /// What users read in keys, progress bars and graphs: `sum`, `inc`.
    fn label(&self) -> Cow<'_, str> {
        Cow::Borrowed(self.kind())
    }

    /// Bytes of the result, known before it runs: exact for arrays, unknown for
    /// Python functions. The scheduler admits tasks by it.
    fn output_bytes(&self, block: u64, inputs: &[Option<u64>]) -> Option<u64> {
        let _ = (block, inputs);
        None
    }

    /// The process-wide lock under which this op runs, if there is one.
    fn lane(&self) -> Option<&'static dyn Lane> {
        None
    }

    /// Whether this runs a user's function, which may crash, leak or block:
    /// executors that have child processes run it there.
    fn runs_user_code(&self) -> bool {
        false
    }
}

/// A lock shared by the whole process, such as Python's GIL. The pool takes it
/// once for a batch of short tasks.
pub trait Lane: Send + Sync {
    /// Runs `batch` holding the lock.
    fn enter(&self, batch: &mut dyn FnMut());
}

/// An op made of a closure. It has no codec and so cannot leave the process.
pub struct FnOp<F> {
    label: &'static str,
    function: F,
}

impl<F> FnOp<F>
where
    F: Fn(u64, &[Value]) -> Result<Value> + Send + Sync + 'static,
{
    /// An op that calls `function` with the block number and the inputs.
    pub fn new(label: &'static str, function: F) -> Self {
        FnOp { label, function }
    }
}

impl<F: Send + Sync + 'static> OpCodec for FnOp<F> {
    fn kind(&self) -> &'static str {
        "closure"
    }

    fn encode(&self) -> Result<crate::registry::EncodedOp> {
        Err(crate::error::Error::unsupported(format!(
            "'{}' is a closure, which only this process can call",
            self.label
        ))
        .with_hint("make it a function marked #[task] to run it in other processes"))
    }
}

impl<F> Op for FnOp<F>
where
    F: Fn(u64, &[Value]) -> Result<Value> + Send + Sync + 'static,
{
    fn run(&self, block: u64, inputs: &[Value]) -> Result<Value> {
        (self.function)(block, inputs)
    }

    fn label(&self) -> Cow<'_, str> {
        Cow::Borrowed(self.label)
    }
}

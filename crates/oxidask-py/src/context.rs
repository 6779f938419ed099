//! The caller's context variables, as user functions see them on other threads.
//!
//! What a program sets with `contextvars` before `compute` holds in its tasks too,
//! whichever thread runs them. A program that sets none pays nothing.

use crate::call::PyCall;
use crate::error::OrError;
use oxidask_core::registry::OpCodec;
use oxidask_core::{EncodedOp, Lane, Op, Result, Value};
use pyo3::ffi;
use pyo3::prelude::*;
use std::borrow::Cow;
use std::cell::RefCell;
use std::sync::Arc;

thread_local! {
    /// The context for whose caller this thread is lowering, unless it is empty.
    static CALLER: RefCell<Option<Arc<Context>>> = const { RefCell::new(None) };
}

/// A `contextvars.Context` that holds at least one variable.
pub struct Context(Py<PyAny>);

impl Context {
    /// The caller's context, unless it is empty.
    pub fn current(py: Python<'_>) -> PyResult<Option<Arc<Self>>> {
        // SAFETY: the GIL is held; the answer is a new reference or null with an
        // exception set, which is what this constructor expects.
        let context = unsafe { Bound::from_owned_ptr_or_err(py, ffi::PyContext_CopyCurrent())? };
        Ok(if context.len()? == 0 { None } else { Some(Arc::new(Context(context.unbind()))) })
    }

    /// Calls `call` inside a copy, so that tasks do not see one another's changes.
    fn run(&self, py: Python<'_>, call: impl FnOnce() -> Result<Value>) -> Result<Value> {
        // SAFETY: the GIL is held and `self.0` is a context, see `current`.
        let copy = unsafe { Bound::from_owned_ptr_or_err(py, ffi::PyContext_Copy(self.0.as_ptr())) }.or_error(py)?;
        // SAFETY: the GIL is held, and nobody else knows the copy.
        if unsafe { ffi::PyContext_Enter(copy.as_ptr()) } != 0 {
            return Err(PyErr::fetch(py)).or_error(py);
        }
        let _leave = Leave(copy);
        call()
    }
}

/// Leaves a context, also after a panic.
struct Leave<'py>(Bound<'py, PyAny>);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        // SAFETY: the GIL is held, as `self.0` proves, and this thread entered the
        // context; what was entered after it was left before.
        if unsafe { ffi::PyContext_Exit(self.0.as_ptr()) } != 0 {
            PyErr::fetch(self.0.py()).write_unraisable(self.0.py(), Some(&self.0));
        }
    }
}

/// Lowers for a caller with this context.
pub fn lowering_in<R>(context: Option<Arc<Context>>, lower: impl FnOnce() -> R) -> R {
    let before = CALLER.replace(context);
    let result = lower();
    CALLER.set(before);
    result
}

/// A call as the op of a task: in the caller's context, if there is one.
pub fn in_callers_context(call: &Arc<PyCall>) -> Arc<dyn Op> {
    match CALLER.with_borrow(Clone::clone) {
        None => call.clone(),
        Some(context) => Arc::new(InContext { context, call: call.clone() }),
    }
}

/// A call that runs inside a context. It travels as the call alone.
struct InContext {
    context: Arc<Context>,
    call: Arc<PyCall>,
}

impl OpCodec for InContext {
    fn kind(&self) -> &'static str {
        self.call.kind()
    }

    fn encode(&self) -> Result<EncodedOp> {
        self.call.encode()
    }
}

impl Op for InContext {
    fn run(&self, block: u64, inputs: &[Value]) -> Result<Value> {
        Python::attach(|py| self.context.run(py, || self.call.run(block, inputs)))
    }

    fn label(&self) -> Cow<'_, str> {
        self.call.label()
    }

    fn lane(&self) -> Option<&'static dyn Lane> {
        self.call.lane()
    }

    fn runs_user_code(&self) -> bool {
        true
    }
}

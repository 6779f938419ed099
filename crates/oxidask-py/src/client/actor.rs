//! Calls of actors, for Python.

use crate::error::OrRaise;
use crate::executor::check_signals;
use crate::future::{deadline_of, deliver};
use crate::pickle;
use oxidask_cluster::actor::{Call, Mailbox};
use oxidask_cluster::security::Credentials;
use oxidask_cluster::{Client, Secret};
use oxidask_core::{Frames, Key, Result};
use oxidask_exec::lend_slot;
use parking_lot::{Condvar, Mutex};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Adds this file's classes to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<MailboxHandle>()?;
    module.add_class::<CallHandle>()?;
    module.add_class::<Reply>()
}

/// Where this process receives calls of its actors.
#[pyclass(frozen, module = "oxidask._oxidask")]
pub struct MailboxHandle(Mailbox);

/// A call that waits for its answer.
#[pyclass(frozen, module = "oxidask._oxidask")]
pub struct CallHandle(Call);

#[pymethods]
impl MailboxHandle {
    /// Opens one at `address`, for members of the cluster with this secret and
    /// these certificates (JSON).
    #[new]
    fn new(py: Python<'_>, address: &str, secret: &str, security: &str) -> PyResult<Self> {
        let security = super::security_of(Some(security))?;
        let credentials = Credentials::new(Secret::from_hex(secret).or_raise()?, security);
        let address = address.parse().or_raise()?;
        Ok(MailboxHandle(py.detach(|| Mailbox::open(&address, credentials)).or_raise()?))
    }

    #[getter]
    fn address(&self) -> String {
        self.0.address().to_string()
    }

    /// The calls that are there; waits for one.
    fn next(&self, py: Python<'_>) -> PyResult<Vec<CallHandle>> {
        let calls = py.detach(|| self.0.next(None, &check_signals)).or_raise()?;
        Ok(calls.into_iter().map(CallHandle).collect())
    }
}

#[pymethods]
impl CallHandle {
    /// The actor's key, as hexadecimal digits.
    #[getter]
    fn actor(&self) -> String {
        self.0.actor.to_string()
    }

    /// What the caller sent.
    fn body<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        pickle::loads(py, &self.0.body)
    }

    /// Answers the caller.
    fn reply(&self, py: Python<'_>, answer: &Bound<'_, PyAny>) -> PyResult<()> {
        let frames = pickle::dumps(py, answer)?;
        py.detach(|| self.0.reply(frames));
        Ok(())
    }
}

#[derive(Default)]
struct Slot {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    reply: Option<Result<Frames>>,
    callbacks: Vec<Py<PyAny>>,
}

/// What comes of a call.
#[pyclass(frozen, weakref, module = "oxidask._oxidask")]
pub struct Reply(Arc<Slot>);

impl Reply {
    /// Calls the actor that the user named so, at `address`.
    pub fn of_call(
        py: Python<'_>,
        client: &Client,
        address: &str,
        name: &str,
        body: &Bound<'_, PyAny>,
    ) -> PyResult<Self> {
        let frames = pickle::dumps(py, body)?;
        let slot = Arc::new(Slot::default());
        let answered = slot.clone();
        let on_reply = Box::new(move |reply| {
            let callbacks = {
                let mut state = answered.state.lock();
                state.reply = Some(reply);
                std::mem::take(&mut state.callbacks)
            };
            answered.changed.notify_all();
            callbacks.into_iter().for_each(call);
        });
        py.detach(|| client.call_actor(address, Key::named(name), frames, on_reply));
        Ok(Reply(slot))
    }
}

fn call(callback: Py<PyAny>) {
    deliver(Box::new(move |py| {
        if let Err(error) = callback.call0(py) {
            error.write_unraisable(py, Some(callback.bind(py)));
        }
    }));
}

#[pymethods]
impl Reply {
    fn done(&self) -> bool {
        self.0.state.lock().reply.is_some()
    }

    /// Waits; whether it is there after `timeout` seconds.
    #[pyo3(signature = (timeout = None))]
    fn wait(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<bool> {
        const POLL: Duration = Duration::from_millis(50);
        if self.done() {
            return Ok(true);
        }
        let deadline = deadline_of(timeout)?;
        let waiting = || -> Result<bool> {
            loop {
                let mut state = self.0.state.lock();
                if state.reply.is_none() {
                    let poll = Instant::now() + POLL;
                    self.0.changed.wait_until(&mut state, deadline.map_or(poll, |deadline| deadline.min(poll)));
                }
                if state.reply.is_some() {
                    return Ok(true);
                }
                drop(state);
                if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                    return Ok(false);
                }
                check_signals()?;
            }
        };
        py.detach(|| lend_slot(waiting)).or_raise()
    }

    /// What the actor's process answered; it must be there.
    fn take<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let reply = self.0.state.lock().reply.clone();
        let reply = reply.ok_or_else(|| PyRuntimeError::new_err("the answer is not there yet"))?;
        pickle::loads(py, &reply.or_raise()?)
    }

    /// Calls `callback()` on another thread once it is there.
    fn on_done(&self, callback: Py<PyAny>) {
        let mut state = self.0.state.lock();
        if state.reply.is_none() {
            state.callbacks.push(callback);
            return;
        }
        drop(state);
        call(callback);
    }
}

//! Futures for Python: results that a cluster computes or holds.
//!
//! `oxidask.distributed.Future` wraps a [`FutureHandle`] and documents it.

use crate::base::{Lazy, PyExpr};
use crate::error::{OrRaise, to_py};
use crate::executor::check_signals;
use crate::persist::is_lowering_for;
use crate::value::from_value;
use oxidask_core::{Blocks, Error, Executor, Expr, ExprRef, Future, Graph, Input, Key, Result, Status};
use oxidask_exec::lend_slot;
use parking_lot::{Condvar, Mutex};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use std::any::Any;
use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::{Arc, LazyLock, mpsc};
use std::time::{Duration, Instant};

/// Adds this file's classes and functions to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<FutureHandle>()?;
    module.add_class::<Completions>()
}

/// A result on a cluster, as an expression: an input of later work.
struct FutureExpr {
    future: Future,
    label: Arc<str>,
    executor: Arc<dyn Executor>,
}

impl Expr for FutureExpr {
    fn key(&self) -> Key {
        self.future.key()
    }

    fn label(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.label)
    }

    fn inputs(&self) -> &[ExprRef] {
        &[]
    }

    fn with_inputs(&self, _inputs: Vec<ExprRef>) -> Result<ExprRef> {
        Err(Error::value("a future has no inputs to replace"))
    }

    fn lower(&self, _inputs: &[Blocks], graph: &mut Graph) -> Result<Blocks> {
        let key = self.future.key();
        let task = if is_lowering_for(&self.executor) {
            graph.held(key)
        } else {
            // Another executor cannot reach the cluster, so it gets the value.
            graph.data(key, self.future.wait_interruptibly(&check_signals)?)
        };
        Ok(vec![Input::whole(task)])
    }

    fn meta(&self) -> &(dyn Any + Send + Sync) {
        &()
    }
}

/// A result that a cluster computes or holds.
#[pyclass(frozen, weakref, module = "oxidask._oxidask")]
pub struct FutureHandle {
    future: Future,
    label: Arc<str>,
    /// The name that the user chose.
    name: Option<Arc<str>>,
    executor: Arc<dyn Executor>,
}

impl FutureHandle {
    /// Wraps a future of `executor`.
    pub fn new(future: Future, label: Arc<str>, name: Option<Arc<str>>, executor: Arc<dyn Executor>) -> Self {
        FutureHandle { future, label, name, executor }
    }

    /// The key in the engine.
    pub fn engine_key(&self) -> Key {
        self.future.key()
    }

    /// Whether `executor` computes or holds it.
    pub fn is_of(&self, executor: &Arc<dyn Executor>) -> bool {
        Arc::ptr_eq(&self.executor, executor)
    }

    /// Whether it may still take.
    pub fn is_pending(&self) -> bool {
        self.future.status() == Status::Pending
    }

    fn wait_until(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<bool> {
        let deadline = deadline_of(timeout)?;
        if self.future.status() != Status::Pending {
            return Ok(true);
        }
        py.detach(|| lend_slot(|| wait(&self.future, deadline))).or_raise()
    }

    /// The error, once it is there.
    fn error(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<Option<PyErr>> {
        if !self.wait_until(py, timeout)? {
            return Err(timed_out(py, &self.future, timeout));
        }
        match self.future.handle().status() {
            Status::Finished | Status::Pending => Ok(None),
            Status::Failed | Status::Cancelled | Status::Lost => {
                let result = py.detach(|| self.future.handle().result());
                Ok(result.err().map(|error| to_py(py, error)))
            }
        }
    }
}

/// A timeout in seconds as a moment.
pub fn deadline_of(timeout: Option<f64>) -> PyResult<Option<Instant>> {
    timeout
        .map(|seconds| {
            Duration::try_from_secs_f64(seconds.max(0.0))
                .map(|timeout| Instant::now() + timeout)
                .map_err(|_| PyValueError::new_err(format!("a timeout of {seconds} seconds makes no sense")))
        })
        .transpose()
}

/// Waits for a future and looks for signals meanwhile; whether it is there.
fn wait(future: &Future, deadline: Option<Instant>) -> Result<bool> {
    const POLL: Duration = Duration::from_millis(50);
    loop {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        if future.handle().wait(Some(left.map_or(POLL, |left| left.min(POLL)))) {
            return Ok(true);
        }
        if left.is_some_and(|left| left <= POLL) {
            return Ok(future.handle().wait(Some(Duration::ZERO)));
        }
        check_signals()?;
    }
}

fn timed_out(py: Python<'_>, future: &Future, timeout: Option<f64>) -> PyErr {
    let waited = Duration::try_from_secs_f64(timeout.unwrap_or_default().max(0.0)).unwrap_or_default();
    let error = py.detach(|| future.timed_out(waited));
    to_py(py, error)
}

#[pymethods]
impl FutureHandle {
    #[getter]
    fn key(&self) -> String {
        match &self.name {
            Some(name) => name.to_string(),
            None => format!("{}-{}", self.label, self.future.key()),
        }
    }

    #[getter]
    fn label(&self) -> &str {
        &self.label
    }

    #[getter]
    fn status(&self) -> &'static str {
        match self.future.status() {
            Status::Pending => "pending",
            Status::Finished => "finished",
            Status::Failed => "error",
            Status::Cancelled => "cancelled",
            Status::Lost => "lost",
        }
    }

    fn done(&self) -> bool {
        self.future.status() != Status::Pending
    }

    #[pyo3(signature = (timeout = None))]
    fn wait(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<bool> {
        self.wait_until(py, timeout)
    }

    #[pyo3(signature = (timeout = None))]
    fn result(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<Py<PyAny>> {
        if !self.wait_until(py, timeout)? {
            return Err(timed_out(py, &self.future, timeout));
        }
        let value = py.detach(|| self.future.handle().result()).or_raise()?;
        from_value(py, &value)
    }

    #[pyo3(signature = (timeout = None))]
    fn exception<'py>(&self, py: Python<'py>, timeout: Option<f64>) -> PyResult<Option<Bound<'py, PyAny>>> {
        Ok(self.error(py, timeout)?.map(|error| error.into_value(py).into_bound(py).into_any()))
    }

    /// Calls `callback()` on a thread of its own once this is done.
    fn add_done_callback(&self, callback: Py<PyAny>) {
        self.future.on_done(move || CALLBACKS.call(calling(callback)));
    }

    /// Calls `callback()` once this is done, on the thread of deliveries: it must
    /// be short, as one that wakes an event loop is.
    fn on_done(&self, callback: Py<PyAny>) {
        self.future.on_done(move || deliver(calling(callback)));
    }

    /// How another process makes a future for the same result: the key in the
    /// engine, the label, and the name that the user chose.
    fn parts(&self) -> (String, String, Option<String>) {
        (self.future.key().to_string(), self.label.to_string(), self.name.as_ref().map(ToString::to_string))
    }

    /// The expression by which lazy calls take this as an argument.
    fn expr(&self) -> PyExpr {
        let expr: ExprRef = Arc::new(FutureExpr {
            future: self.future.clone(),
            label: self.label.clone(),
            executor: self.executor.clone(),
        });
        PyExpr(Lazy { expr, collection: None })
    }
}

/// Something to do with the GIL.
type Delivery = Box<dyn FnOnce(Python<'_>) + Send>;

/// A thread of its own that does one thing after the other, as long as the
/// process lives.
struct Deliveries(Mutex<mpsc::Sender<Delivery>>);

impl Deliveries {
    fn start(name: &str) -> Self {
        let (sender, receiver) = mpsc::channel::<Delivery>();
        let run = move || {
            for delivery in receiver {
                // None if the interpreter is ending.
                Python::try_attach(delivery);
            }
        };
        // Without the thread nothing is called, which the sender notices.
        let _ = std::thread::Builder::new().name(name.to_owned()).spawn(run);
        Deliveries(Mutex::new(sender))
    }

    fn call(&self, delivery: Delivery) {
        // The thread lives as long as the process.
        let _ = self.0.lock().send(delivery);
    }
}

/// Where users' callbacks run: not on the client's own thread, which must be
/// free to read the result that a callback asks for.
static CALLBACKS: LazyLock<Deliveries> = LazyLock::new(|| Deliveries::start("oxidask-callbacks"));

/// Where event loops and the like are woken, whatever users' callbacks do.
static DELIVERIES: LazyLock<Deliveries> = LazyLock::new(|| Deliveries::start("oxidask-deliveries"));

/// Does something short with the GIL, soon, on a thread of its own.
pub fn deliver(delivery: Delivery) {
    DELIVERIES.call(delivery);
}

fn calling(callback: Py<PyAny>) -> Delivery {
    Box::new(move |py| {
        if let Err(error) = callback.call0(py) {
            error.write_unraisable(py, Some(callback.bind(py)));
        }
    })
}

/// Tells which of many futures are done, in the order in which they end.
#[pyclass(frozen, module = "oxidask._oxidask")]
pub struct Completions {
    shared: Arc<(Mutex<VecDeque<usize>>, Condvar)>,
}

#[pymethods]
impl Completions {
    #[new]
    fn new() -> Self {
        Completions { shared: Arc::default() }
    }

    /// Also tells about this future, by this number.
    fn add(&self, future: &FutureHandle, number: usize) {
        let shared = self.shared.clone();
        future.future.on_done(move || {
            shared.0.lock().push_back(number);
            shared.1.notify_one();
        });
    }

    /// The number of the next future that is done; none after `timeout` seconds.
    #[pyo3(signature = (timeout = None))]
    fn next(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<Option<usize>> {
        const POLL: Duration = Duration::from_millis(50);
        let deadline = deadline_of(timeout)?;
        let (queue, changed) = &*self.shared;
        if let Some(number) = queue.lock().pop_front() {
            return Ok(Some(number));
        }
        let waiting = || -> Result<Option<usize>> {
            loop {
                {
                    let mut queue = queue.lock();
                    if queue.is_empty() {
                        let poll = Instant::now() + POLL;
                        changed.wait_until(&mut queue, deadline.map_or(poll, |deadline| deadline.min(poll)));
                    }
                    let next = queue.pop_front();
                    if next.is_some() || deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                        return Ok(next);
                    }
                }
                check_signals()?;
            }
        };
        py.detach(|| lend_slot(waiting)).or_raise()
    }

    /// All numbers that are there now.
    fn ready(&self) -> Vec<usize> {
        self.shared.0.lock().drain(..).collect()
    }
}

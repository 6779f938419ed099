//! What clients share, for Python: questions about variables, queues, locks and
//! topics, and their answers.
//!
//! Objects are pickled on their way to the scheduler, which never looks into
//! them. Futures in them are named beside the bytes, so that their results stay.

use crate::error::{OrRaise, to_py};
use crate::executor::check_signals;
use crate::future::{FutureHandle, deadline_of, deliver};
use oxidask_cluster::Client;
use oxidask_cluster::coordination::{Ask as Question, Item, Space, Told, message::unexpected};
use oxidask_core::{Key, Result};
use oxidask_exec::lend_slot;
use parking_lot::Mutex;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};
use std::sync::Arc;
use std::time::Instant;

/// Adds this file's classes to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Ask>()?;
    module.add_class::<Shared>()
}

/// A question about something that clients share. It keeps the futures that are
/// named in it: their results must be wanted until the scheduler keeps them, and
/// a coroutine may ask long after its caller has let go of them.
#[pyclass(frozen, module = "oxidask._oxidask")]
pub struct Ask {
    question: Question,
    #[allow(dead_code, reason = "held until the question is dropped")]
    futures: Vec<Py<FutureHandle>>,
    /// The answer, kept in case that nobody waits for it any more.
    told: Mutex<Option<Told>>,
}

impl From<Question> for Ask {
    fn from(question: Question) -> Self {
        Ask { question, futures: Vec::new(), told: Mutex::default() }
    }
}

impl Ask {
    fn naming(question: Question, futures: Vec<Bound<'_, FutureHandle>>) -> Self {
        let futures = futures.into_iter().map(Bound::unbind).collect();
        Ask { question, futures, told: Mutex::default() }
    }
}

impl Ask {
    /// Keeps an answer that may have to be undone.
    fn keep(&self, told: &Told) {
        if self.question.undo(told).is_some() {
            *self.told.lock() = Some(told.clone());
        }
    }
}

fn space_of(name: &str) -> PyResult<Space> {
    Ok(match name {
        "variable" => Space::Variable,
        "event" => Space::Event,
        "dataset" => Space::Dataset,
        "metadata" => Space::Metadata,
        "plugin" => Space::Plugin,
        other => return Err(PyValueError::new_err(format!("there is no kind of item '{other}'"))),
    })
}

fn item(body: &Bound<'_, PyBytes>, futures: &[Bound<'_, FutureHandle>]) -> Item {
    let keys = futures.iter().map(|future| future.get().engine_key()).collect();
    Item { body: bytes::Bytes::copy_from_slice(body.as_bytes()), keys }
}

/// A lease's name, from the text that Python made up for it.
fn lease_of(name: &str) -> Key {
    Key::named(name)
}

#[pymethods]
impl Ask {
    #[staticmethod]
    fn set(
        space: &str,
        name: String,
        body: &Bound<'_, PyBytes>,
        futures: Vec<Bound<'_, FutureHandle>>,
        replace: bool,
    ) -> PyResult<Self> {
        let question = Question::Set { space: space_of(space)?, name, item: item(body, &futures), replace };
        Ok(Ask::naming(question, futures))
    }

    #[staticmethod]
    fn get(space: &str, name: String, wait: bool) -> PyResult<Self> {
        Ok(Question::Get { space: space_of(space)?, name, wait }.into())
    }

    #[staticmethod]
    fn delete(space: &str, name: String) -> PyResult<Self> {
        Ok(Question::Delete { space: space_of(space)?, name }.into())
    }

    #[staticmethod]
    fn list(space: &str) -> PyResult<Self> {
        Ok(Question::List(space_of(space)?).into())
    }

    #[staticmethod]
    fn open_queue(name: String, limit: u64) -> Self {
        Question::OpenQueue { name, limit }.into()
    }

    #[staticmethod]
    fn put(queue: String, body: &Bound<'_, PyBytes>, futures: Vec<Bound<'_, FutureHandle>>) -> Self {
        let question = Question::Put { queue, item: item(body, &futures) };
        Ask::naming(question, futures)
    }

    #[staticmethod]
    fn take(queue: String, least: u64, most: u64) -> Self {
        Question::Take { queue, least, most }.into()
    }

    #[staticmethod]
    fn length(queue: String) -> Self {
        Question::Length(queue).into()
    }

    #[staticmethod]
    fn close_queue(queue: String) -> Self {
        Question::CloseQueue(queue).into()
    }

    #[staticmethod]
    fn open_semaphore(name: String, limit: u32) -> Self {
        Question::OpenSemaphore { name, limit }.into()
    }

    #[staticmethod]
    fn acquire(names: Vec<String>, n: u32, lease: &str, is_lock: bool) -> Self {
        Question::Acquire { names, n, lease: lease_of(lease), is_lock }.into()
    }

    #[staticmethod]
    fn release(lease: &str) -> Self {
        Question::Release(lease_of(lease)).into()
    }

    #[staticmethod]
    fn leases(name: String) -> Self {
        Question::Leases(name).into()
    }

    #[staticmethod]
    fn close_semaphore(name: String) -> Self {
        Question::CloseSemaphore(name).into()
    }

    #[staticmethod]
    fn log(topics: Vec<String>, body: &Bound<'_, PyBytes>) -> Self {
        Question::Log { topics, item: item(body, &[]) }.into()
    }

    #[staticmethod]
    #[pyo3(signature = (topic = None))]
    fn events(topic: Option<String>) -> Self {
        Question::Events(topic).into()
    }

    #[staticmethod]
    fn subscribe(topic: String, on: bool) -> Self {
        Question::Subscribe { topic, on }.into()
    }

    /// The question that undoes what the answer to this one says was done, if it
    /// takes something that would be missed.
    fn undo(&self) -> Option<Self> {
        let told = self.told.lock().take()?;
        Some(self.question.undo(&told)?.into())
    }

    /// Waits until nobody wants the result that the user named so.
    #[staticmethod]
    fn forgotten(name: &str) -> Self {
        Question::Forgotten(Key::named(name)).into()
    }
}

/// An answer as Python objects, and a receipt if results are named in it.
type Answer<'py> = (Bound<'py, PyAny>, Option<u32>);

fn answer<'py>(py: Python<'py>, request: u32, told: Told) -> PyResult<Option<Answer<'py>>> {
    let bytes = |item: &Item| PyBytes::new(py, &item.body);
    let mut has_keys = false;
    let object = match told.or_error().or_raise()? {
        Told::Done(flag) => flag.into_pyobject(py)?.to_owned().into_any(),
        Told::Count(count) => count.into_pyobject(py)?.into_any(),
        Told::Names(names) => PyList::new(py, names)?.into_any(),
        Told::Item(None) => py.None().into_bound(py),
        Told::Item(Some(item)) => {
            has_keys = !item.keys.is_empty();
            bytes(&item).into_any()
        }
        Told::Items(items) => {
            has_keys = items.iter().any(|item| !item.keys.is_empty());
            PyList::new(py, items.iter().map(bytes))?.into_any()
        }
        Told::Events(events) => {
            let events = events.iter().map(|event| (event.topic.as_str(), event.time, bytes(&event.item)));
            PyList::new(py, events.map(|event| event.into_pyobject(py)).collect::<PyResult<Vec<_>>>()?)?.into_any()
        }
        Told::Withdrawn => return Ok(None),
        Told::Refused { .. } => return Err(to_py(py, unexpected())),
    };
    Ok(Some((object, has_keys.then_some(request))))
}

/// What the clients of a cluster share.
#[pyclass(frozen, module = "oxidask._oxidask")]
pub struct Shared(Client);

impl Shared {
    /// What this client shares with others.
    pub fn new(client: Client) -> Self {
        Shared(client)
    }
}

#[pymethods]
impl Shared {
    /// Asks and waits; none if there is no answer after `timeout` seconds.
    #[pyo3(signature = (ask, timeout = None))]
    fn ask<'py>(&self, py: Python<'py>, ask: &Ask, timeout: Option<f64>) -> PyResult<Option<Answer<'py>>> {
        let timeout = deadline_of(timeout)?.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let question = ask.question.clone();
        let may_wait = matches!(
            question,
            Question::Get { wait: true, .. } | Question::Put { .. } | Question::Take { .. } | Question::Acquire { .. }
        );
        let asking = || self.0.coordinate(question, timeout, &check_signals);
        let told = py.detach(|| if may_wait { lend_slot(asking) } else { asking() }).or_raise()?;
        match told {
            None => Ok(None),
            Some((request, told)) => {
                ask.keep(&told);
                answer(py, request, told)
            }
        }
    }

    /// Asks; `callback(answer, error)` is called once, on another thread. The
    /// answer is none if the question was withdrawn. Answers the question's
    /// number.
    fn ask_later(&self, ask: Bound<'_, Ask>, callback: Py<PyAny>) -> PyResult<u32> {
        let number = Arc::new(std::sync::atomic::AtomicU32::new(0));
        let told_number = number.clone();
        let question = ask.get().question.clone();
        let asked = ask.unbind();
        let on_told = Box::new(move |told: Result<Told>| {
            deliver(Box::new(move |py| {
                let request = told_number.load(std::sync::atomic::Ordering::SeqCst);
                if let Ok(told) = &told {
                    asked.get().keep(told);
                }
                let answered = told.or_raise().and_then(|told| answer(py, request, told));
                let called = match answered {
                    Ok(answer) => callback.call1(py, (answer, py.None())),
                    Err(error) => callback.call1(py, (py.None(), error.into_value(py))),
                };
                if let Err(error) = called {
                    error.write_unraisable(py, Some(callback.bind(py)));
                }
            }));
        });
        // The callback takes the GIL, which is held here until the number is
        // known.
        let request = self.0.coordinate_later(question, on_told).or_raise()?;
        number.store(request, std::sync::atomic::Ordering::SeqCst);
        Ok(request)
    }

    /// Waits no longer for an answer.
    fn withdraw(&self, request: u32) {
        self.0.withdraw(request);
    }

    /// Says that there are futures now for the results named in an answer.
    fn received(&self, receipt: u32) {
        self.0.received(receipt);
    }

    /// Has `callback(topic, time, body)` called with each event of a topic.
    fn on_event(&self, callback: Py<PyAny>) {
        let callback = Arc::new(callback);
        self.0.on_event(Arc::new(move |event| {
            let callback = callback.clone();
            deliver(Box::new(move |py| {
                let body = PyBytes::new(py, &event.item.body);
                if let Err(error) = callback.call1(py, (event.topic, event.time, body)) {
                    error.write_unraisable(py, Some(callback.bind(py)));
                }
            }));
        }));
    }
}

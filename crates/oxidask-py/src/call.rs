//! The one op that runs Python functions.
//!
//! A [`PyCall`] is a function and a template of its arguments; the task's inputs
//! fill the holes. The function is a blob of its own, so that it travels once
//! however many calls there are.

use crate::client::setups;
use crate::error::OrError;
use crate::pickle;
use crate::steady;
use crate::template::Template;
use crate::value::{from_value, to_value};
use hashbrown::HashMap;
use oxidask_core::registry::{OpCodec, OpEntry};
use oxidask_core::{Blob, EncodedOp, Error, Frames, Lane, Op, Result, Value};
use parking_lot::Mutex;
use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;
use smallvec::SmallVec;
use std::borrow::Cow;
use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Weak};

/// A Python function that tasks call; shared by all calls of the same object.
pub struct Function {
    object: Py<PyAny>,
    label: Arc<str>,
    /// The pickled function, and in which round it was made.
    blob: Mutex<Option<(u64, Blob)>>,
}

/// Functions by the address of their object, which lives as long as they do.
static FUNCTIONS: LazyLock<Mutex<HashMap<usize, Weak<Function>>>> = LazyLock::new(Mutex::default);

/// The current round of submissions; see [`new_round`].
static ROUND: AtomicU64 = AtomicU64::new(0);

/// Begins a round of submissions. A function is pickled once a round, because
/// the variables that it refers to may change between rounds.
pub fn new_round() {
    ROUND.fetch_add(1, Ordering::Relaxed);
}

impl Function {
    /// The shared function for an object.
    pub fn of(object: &Bound<'_, PyAny>) -> Arc<Self> {
        let address = object.as_ptr() as usize;
        if let Some(function) = FUNCTIONS.lock().get(&address).and_then(Weak::upgrade) {
            return function;
        }
        let label = Arc::from(name_of(object));
        let function = Arc::new(Function { object: object.clone().unbind(), label, blob: Mutex::new(None) });
        FUNCTIONS.lock().insert(address, Arc::downgrade(&function));
        function
    }

    /// The Python object.
    pub fn object<'py>(&self, py: Python<'py>) -> &Bound<'py, PyAny> {
        self.object.bind(py)
    }

    /// What users read: `inc`.
    pub fn label(&self) -> &Arc<str> {
        &self.label
    }

    /// The pickled function; one for all calls of a round.
    ///
    /// # Errors
    /// If it cannot be pickled.
    pub fn blob(&self, py: Python<'_>) -> Result<Blob> {
        let round = ROUND.load(Ordering::Relaxed);
        if let Some((made, blob)) = &*self.blob.lock()
            && *made == round
        {
            return Ok(blob.clone());
        }
        // Pickling runs Python code, so the lock is not held meanwhile.
        let blob = match steady::form_of(self.object.bind(py)) {
            Some(blob) => blob,
            None => self.pickled(py)?,
        };
        *self.blob.lock() = Some((round, blob.clone()));
        Ok(blob)
    }

    fn pickled(&self, py: Python<'_>) -> Result<Blob> {
        let object = self.object.bind(py);
        let frames = pickle::dumps(py, object)
            .map_err(|error| cannot_travel(py, &error, &format!("the function '{}'", self.label)))?;
        let blob = Blob::new(frames);
        steady::keep(object, &blob);
        Ok(blob)
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        let address = self.object.as_ptr() as usize;
        let mut functions = FUNCTIONS.lock();
        // Another function for the same object may have taken the place.
        if functions.get(&address).is_some_and(|other| other.strong_count() == 0) {
            functions.remove(&address);
        }
    }
}

/// The name of a function, also within partials, or of its type.
#[pyfunction]
pub fn name_of(function: &Bound<'_, PyAny>) -> String {
    let py = function.py();
    let mut current = function.clone();
    // A partial of a partial of … ends somewhere; the limit guards against objects
    // that claim to be their own `func`.
    for _ in 0..10 {
        if let Ok(Some(name)) = current.getattr_opt(intern!(py, "__name__"))
            && let Ok(name) = name.extract::<String>()
        {
            return name;
        }
        match current.getattr_opt(intern!(py, "func")) {
            Ok(Some(inner)) => current = inner,
            _ => break,
        }
    }
    function.get_type().name().map_or_else(|_| "call".to_owned(), |name| name.to_string())
}

/// Python's global lock.
struct Gil;

impl Lane for Gil {
    /// Does nothing if the interpreter is shutting down.
    fn enter(&self, batch: &mut dyn FnMut()) {
        // SAFETY: asks for this thread's state and may be called at any time.
        let is_new = unsafe { ffi::PyGILState_GetThisThreadState() }.is_null();
        Python::try_attach(|py| {
            if is_new {
                keep_thread_state(py);
            }
            setups::catch_up(py);
            batch();
        });
    }
}

/// Python's state of a thread that is not Python's own.
struct ThreadState(*mut ffi::PyThreadState);

// SAFETY: only a pointer is passed on, to be freed by whoever holds the GIL.
unsafe impl Send for ThreadState {}

/// States of threads that have ended.
static ENDED: Mutex<Vec<ThreadState>> = Mutex::new(Vec::new());

thread_local! {
    /// This thread's state, if we keep it.
    static KEPT: RefCell<Option<ThreadState>> = const { RefCell::new(None) };
}

impl Drop for ThreadState {
    /// The thread ends. It must not wait for the GIL now, because whoever holds
    /// that may be waiting for this thread; so others free the state later.
    fn drop(&mut self) {
        ENDED.lock().push(ThreadState(self.0));
    }
}

/// Has Python keep this thread's state between batches. It would make and free
/// one, with a stack of its own, each time the lane is entered, which costs more
/// than a short task.
fn keep_thread_state(_py: Python<'_>) {
    // SAFETY: the GIL is held, as `_py` proves. The reference that is taken is
    // never given back; `free_ended` frees the state instead.
    let state = unsafe {
        ffi::PyGILState_Ensure();
        ffi::PyGILState_GetThisThreadState()
    };
    KEPT.set(Some(ThreadState(state)));
    free_ended();
}

/// Frees the states of threads that have ended; the GIL is held.
fn free_ended() {
    // The lock is given back first: freeing a state may run Python code.
    let states = std::mem::take(&mut *ENDED.lock());
    for ended in states {
        let ended = std::mem::ManuallyDrop::new(ended);
        // SAFETY: the GIL is held, the thread has ended, and its state was taken
        // from the list, so nobody else uses or frees it.
        unsafe {
            ffi::PyThreadState_Clear(ended.0);
            ffi::PyThreadState_Delete(ended.0);
        }
    }
}

/// Forgets what belonged to the threads of the parent: Python has freed their
/// states in a forked child.
pub fn forget_ended_threads() {
    let states = std::mem::take(&mut *ENDED.lock());
    states.into_iter().for_each(std::mem::forget);
}

static GIL: Gil = Gil;

/// The lane of everything that runs Python.
pub fn gil_lane() -> &'static dyn Lane {
    &GIL
}

/// Calls a Python function with a task's inputs.
pub struct PyCall {
    function: Arc<Function>,
    template: Template,
}

impl PyCall {
    /// A call of `function` with arguments from `template`.
    pub fn new(function: Arc<Function>, template: Template) -> Self {
        PyCall { function, template }
    }

    /// The function that is called.
    pub fn function(&self) -> &Arc<Function> {
        &self.function
    }

    /// The arguments.
    pub fn template(&self) -> &Template {
        &self.template
    }

    /// Calls the function with inputs that are Python objects already.
    ///
    /// # Errors
    /// Whatever the function raises.
    pub fn call<'py>(&self, py: Python<'py>, inputs: &[Bound<'py, PyAny>]) -> PyResult<Bound<'py, PyAny>> {
        self.template.call(self.function.object.bind(py), inputs)
    }
}

/// What a coroutine answers, which runs to its end here; other results as they are.
///
/// # Errors
/// Whatever the coroutine raises.
pub fn finished<'py>(result: Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    static COROUTINE: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    let py = result.py();
    if !result.get_type().is(COROUTINE.import(py, "types", "CoroutineType")?) {
        return Ok(result);
    }
    py.import(intern!(py, "oxidask.distributed._run"))?.call_method1(intern!(py, "finished"), (result,))
}

impl Op for PyCall {
    fn run(&self, _block: u64, inputs: &[Value]) -> Result<Value> {
        Python::attach(|py| {
            let call = || -> PyResult<Value> {
                let inputs: SmallVec<[Bound<'_, PyAny>; 8]> =
                    inputs.iter().map(|value| Ok(from_value(py, value)?.into_bound(py))).collect::<PyResult<_>>()?;
                Ok(to_value(finished(self.call(py, &inputs)?)?))
            };
            call().or_error(py)
        })
    }

    fn label(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.function.label)
    }

    fn lane(&self) -> Option<&'static dyn Lane> {
        Some(&GIL)
    }

    fn runs_user_code(&self) -> bool {
        true
    }
}

const KIND: &str = "python.call";

impl OpCodec for PyCall {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn encode(&self) -> Result<EncodedOp> {
        Python::attach(|py| {
            let function = self.function.blob(py)?;
            let (shape, objects) = self
                .template
                .encode(py)
                .map_err(|error| cannot_travel(py, &error, &format!("an argument of '{}'", self.function.label)))?;
            // A few bytes of objects travel in the body; large ones are blobs,
            // so that tasks which share them share one copy.
            let (inline, blobs) = if objects.buffers.len() == 1 && objects.buffers[0].len() < INLINE_BYTES_MAX {
                (objects.buffers[0].to_vec(), vec![function])
            } else {
                (Vec::new(), vec![function, Blob::new(objects)])
            };
            let body = postcard::to_allocvec(&(&*self.function.label, shape, inline))?;
            Ok(EncodedOp { kind: KIND.to_owned(), body: body.into(), blobs })
        })
    }
}

/// The error at submission for something that cannot be pickled.
fn cannot_travel(py: Python<'_>, cause: &PyErr, what: &str) -> Error {
    Error::type_(format!("{what} cannot be sent to another process: {}", cause.value(py)))
        .with_hint("use the scheduler 'threads', or make the object inside the function")
}

/// Pickled arguments up to this size travel within the op.
const INLINE_BYTES_MAX: usize = 1 << 16;

fn decode(encoded: &EncodedOp) -> Result<Arc<dyn Op>> {
    let (label, shape, inline): (String, Vec<u8>, Vec<u8>) = postcard::from_bytes(&encoded.body)?;
    let incomplete =
        || Error::new(oxidask_core::ErrorKind::Version, "a call arrived without its function or arguments");
    let function = encoded.blobs.first().ok_or_else(incomplete)?;
    let inline_frames = Frames { header: bytes::Bytes::new(), buffers: vec![inline.into()] };
    let objects = match encoded.blobs.get(1) {
        Some(blob) => &blob.frames,
        None => &inline_frames,
    };
    Python::attach(|py| {
        let function = received_function(py, function, &label)
            .or_error(py)
            .map_err(|error| error.within(format!("unpickling the function '{label}'")))?;
        let template = Template::decode(py, &shape, objects)
            .or_error(py)
            .map_err(|error| error.within(format!("unpickling an argument of '{label}'")))??;
        Ok(Arc::new(PyCall { function, template }) as Arc<dyn Op>)
    })
}

/// Functions that arrived, by the content of their blob, while calls use them.
static RECEIVED: LazyLock<Mutex<HashMap<oxidask_core::Key, Arc<Function>>>> = LazyLock::new(Mutex::default);

/// How many received functions are kept, so that a stream of calls unpickles
/// each function once.
const RECEIVED_MAX: usize = 512;

/// The function of a blob that arrived, unpickled at most once while it is in
/// use.
///
/// # Errors
/// Whatever unpickling raises.
pub fn received_function(py: Python<'_>, blob: &Blob, label: &str) -> PyResult<Arc<Function>> {
    // A function may be in a module that was uploaded.
    setups::catch_up(py);
    if let Some(function) = RECEIVED.lock().get(&blob.key) {
        return Ok(function.clone());
    }
    let object = pickle::loads(py, &blob.frames)?.unbind();
    let function = Arc::new(Function { object, label: Arc::from(label), blob: Mutex::new(None) });
    let mut received = RECEIVED.lock();
    if received.len() >= RECEIVED_MAX {
        let old: HashMap<_, _> = std::mem::take(&mut *received);
        // Dropping a function takes other locks.
        drop(received);
        drop(old);
        received = RECEIVED.lock();
    }
    received.insert(blob.key, function.clone());
    Ok(function)
}

inventory::submit! { OpEntry { kind: KIND, decode } }

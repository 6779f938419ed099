//! The op of bags: Python calls, one after another, on one partition.
//!
//! The calls answer iterators (`map`, `filter`, `itertools.chain` …), so that a
//! partition streams through all of them at C speed and only the end makes a
//! list.

use super::native::{self, Native, Sink, Tree, groups_of, native_head};
use super::text::{self, Chunks, TextSource};
use crate::call::{PyCall, gil_lane};
use crate::error::OrError;
use crate::value::{from_value, to_value};
use oxidask_core::registry::{OpCodec, OpEntry, decode_op};
use oxidask_core::{Blob, EncodedOp, Error, ErrorKind, Key, Lane, Op, Parts, Result, Value};
use pyo3::exceptions::PyValueError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyList};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use std::any::Any;
use std::borrow::Cow;
use std::sync::Arc;

/// Where the first call of a pipe gets its elements.
#[derive(Clone)]
pub enum Head {
    /// The only input of the group is a partition.
    Partition,
    /// The inputs of the group become a list.
    Group,
    /// There is no input: text is read.
    Text(Arc<TextSource>),
}

/// One call. The first hole of its template takes the elements, the others take
/// further inputs of the task.
#[derive(Clone)]
pub struct Step {
    /// The function and its arguments.
    pub call: Arc<PyCall>,
    /// Which of the task's further inputs the other holes take.
    pub extras: SmallVec<[u32; 2]>,
    /// Whether the function needs a list and not just something to iterate.
    pub listed: bool,
    /// What the function does, if it is well known.
    pub native: Option<Native>,
}

/// How the result of the calls becomes several values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cut {
    /// The last call answers a list of so many.
    Made(u32),
    /// It answers values by key, which are cut into so many shards.
    ByKey(u32),
}

impl Cut {
    /// How many values there are.
    pub fn n(self) -> u32 {
        match self {
            Cut::Made(n) | Cut::ByKey(n) => n,
        }
    }
}

/// Calls functions on a partition, each on the answer of the one before.
#[derive(Clone)]
pub struct PipeOp {
    /// What users read.
    pub label: Arc<str>,
    /// Where the elements come from.
    pub head: Head,
    /// The calls, in order.
    pub steps: Vec<Step>,
    /// How many inputs follow those of the group.
    pub n_extras: u32,
    /// How the result becomes several values, if it does.
    pub cut: Option<Cut>,
}

/// The object, or a list of its elements if it can be iterated only once: what
/// several tasks may read must not be used up.
pub fn listed(object: Bound<'_, PyAny>) -> PyResult<Bound<'_, PyAny>> {
    // SAFETY: the check only reads the type of a live object.
    if unsafe { ffi::PyIter_Check(object.as_ptr()) } == 0 {
        return Ok(object);
    }
    // SAFETY: PySequence_List answers a new reference, or null with an exception set.
    unsafe { Bound::from_owned_ptr_or_err(object.py(), ffi::PySequence_List(object.as_ptr())) }
}

impl PipeOp {
    /// What the first call gets, and how many calls that takes care of.
    fn elements<'py>(&self, py: Python<'py>, block: u64, group: &[Value]) -> PyResult<(Bound<'py, PyAny>, usize)> {
        match (&self.head, group) {
            (Head::Text(source), _) => self.text(py, source, block),
            (Head::Partition, [partition]) => Ok((from_value(py, partition)?.into_bound(py), 0)),
            (Head::Partition, _) => Err(PyValueError::new_err("a task of a bag reads exactly one partition")),
            (Head::Group, values) => {
                if let Some(Step { native: Some(Native::Tree(Tree::Group(key))), .. }) = self.steps.first()
                    && let Some(groups) = native::grouped(values, key)
                {
                    let groups = Value::new(native::Rows(groups));
                    return Ok((from_value(py, &groups)?.into_bound(py), 1));
                }
                let objects: Vec<_> = values.iter().map(|value| from_value(py, value)).collect::<PyResult<_>>()?;
                Ok((PyList::new(py, objects)?.into_any(), 0))
            }
        }
    }

    /// The elements of text, chunk by chunk, after the calls that run natively.
    fn text<'py>(&self, py: Python<'py>, source: &Arc<TextSource>, block: u64) -> PyResult<(Bound<'py, PyAny>, usize)> {
        static CHAIN: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let head = if source.include_path { None } else { native_head(&self.steps) };
        let n = head.as_ref().map_or(0, |(_, n)| *n);
        let native = head.map(|(program, n)| {
            let steps: Vec<Step> = self.steps[..n].to_vec();
            text::Native { program, python: steps }
        });
        let chunks = Bound::new(py, Chunks::new(source.clone(), block, native)?)?;
        let chain = CHAIN.get_or_try_init(py, || -> PyResult<Py<PyAny>> {
            Ok(py.import("itertools")?.getattr("chain")?.getattr("from_iterable")?.unbind())
        })?;
        Ok((chain.bind(py).call1((chunks,))?, n))
    }

    /// Some calls on some elements.
    pub fn calls<'py>(
        &self,
        elements: Bound<'py, PyAny>,
        steps: &[Step],
        extras: &[Bound<'py, PyAny>],
    ) -> PyResult<Bound<'py, PyAny>> {
        run_calls(elements, steps, extras).and_then(listed)
    }

    fn result(&self, py: Python<'_>, block: u64, inputs: &[Value]) -> PyResult<Value> {
        let (group, extras) = inputs.split_at(inputs.len().saturating_sub(self.n_extras as usize));
        let extras: SmallVec<[Bound<'_, PyAny>; 2]> =
            extras.iter().map(|value| Ok(from_value(py, value)?.into_bound(py))).collect::<PyResult<_>>()?;
        let (elements, n_done) = self.elements(py, block, group)?;
        let current = run_calls(elements, &self.steps[n_done..], &extras)?;
        match self.cut {
            None => {
                let result = listed(current)?;
                // What is counted travels and merges without Python.
                let is_grouped = matches!(
                    self.steps.last(),
                    Some(Step { native: Some(Native::Sink(Sink::Counts | Sink::Fold { .. })), .. })
                );
                Ok(is_grouped.then(|| groups_of(&result)).flatten().unwrap_or_else(|| to_value(result)))
            }
            Some(Cut::ByKey(n)) => Ok(Value::new(Parts(native::shards_of(current.cast::<PyDict>()?, n, block)?))),
            Some(Cut::Made(n)) => {
                let parts = current.cast_into::<PyList>()?;
                if parts.len() != n as usize {
                    return Err(PyValueError::new_err(format!("{} parts were made instead of {n}", parts.len())));
                }
                Ok(Value::new(Parts(parts.iter().map(to_value).collect())))
            }
        }
    }

    /// Says of a broken JSON line where it stands.
    fn placed(&self, py: Python<'_>, error: PyErr, block: u64) -> PyErr {
        static JSON_ERROR: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let Head::Text(source) = &self.head else { return error };
        let build = || -> PyResult<Option<PyErr>> {
            let class = JSON_ERROR.import(py, "json", "JSONDecodeError")?;
            if !error.value(py).is_exact_instance(class) {
                return Ok(None);
            }
            let value = error.value(py);
            let (doc, at): (String, usize) = (value.getattr("doc")?.extract()?, value.getattr("pos")?.extract()?);
            let Some((path, line)) = py.detach(|| source.locate(block, &doc)) else { return Ok(None) };
            let around: String = doc.trim_end().chars().skip(at.saturating_sub(40)).take(80).collect();
            let message = format!("{} in '{path}', line {line}, near {around:?}", value.getattr("msg")?);
            Ok(Some(PyErr::from_value(class.call1((message, doc, at))?)))
        };
        build().ok().flatten().unwrap_or(error)
    }
}

/// Calls, each on the answer of the one before.
///
/// # Errors
/// Whatever a function raises.
pub fn run_calls<'py>(
    elements: Bound<'py, PyAny>,
    steps: &[Step],
    extras: &[Bound<'py, PyAny>],
) -> PyResult<Bound<'py, PyAny>> {
    let py = elements.py();
    let mut current = elements;
    for step in steps {
        if step.listed {
            current = listed(current)?;
        }
        let mut holes: SmallVec<[Bound<'_, PyAny>; 4]> = SmallVec::new();
        holes.push(current);
        holes.extend(step.extras.iter().map(|extra| extras[*extra as usize].clone()));
        current = step.call.call(py, &holes)?;
    }
    Ok(current)
}

impl Op for PipeOp {
    fn run(&self, block: u64, inputs: &[Value]) -> Result<Value> {
        Python::attach(|py| self.result(py, block, inputs).map_err(|error| self.placed(py, error, block)).or_error(py))
    }

    fn label(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.label)
    }

    fn lane(&self) -> Option<&'static dyn Lane> {
        Some(gil_lane())
    }

    fn runs_user_code(&self) -> bool {
        true
    }
}

/// The registered name.
pub const KIND: &str = "bag.pipe";

#[derive(Serialize, Deserialize)]
enum HeadForm {
    Partition,
    Group,
    Text(TextSource),
}

#[derive(Serialize, Deserialize)]
struct StepForm {
    kind: String,
    body: Vec<u8>,
    blobs: Vec<u32>,
    extras: Vec<u32>,
    listed: bool,
    native: Option<Native>,
}

#[derive(Serialize, Deserialize)]
struct Form {
    label: String,
    head: HeadForm,
    steps: Vec<StepForm>,
    n_extras: u32,
    cut: Option<Cut>,
}

impl OpCodec for PipeOp {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn encode(&self) -> Result<EncodedOp> {
        let mut blobs: Vec<Blob> = Vec::new();
        let mut steps = Vec::with_capacity(self.steps.len());
        for step in &self.steps {
            let EncodedOp { kind, body, blobs: own } = step.call.encode()?;
            let numbers = own.into_iter().map(|blob| place_of(&mut blobs, blob)).collect();
            let extras = step.extras.to_vec();
            let (listed, native) = (step.listed, step.native.clone());
            steps.push(StepForm { kind, body: body.to_vec(), blobs: numbers, extras, listed, native });
        }
        let head = match &self.head {
            Head::Partition => HeadForm::Partition,
            Head::Group => HeadForm::Group,
            Head::Text(source) => HeadForm::Text((**source).clone()),
        };
        let label = self.label.to_string();
        let form = Form { label, head, steps, n_extras: self.n_extras, cut: self.cut };
        Ok(EncodedOp { kind: KIND.to_owned(), body: postcard::to_allocvec(&form)?.into(), blobs })
    }
}

fn place_of(blobs: &mut Vec<Blob>, blob: Blob) -> u32 {
    let key: Key = blob.key;
    let known = blobs.iter().position(|other| other.key == key);
    let place = known.unwrap_or_else(|| {
        blobs.push(blob);
        blobs.len() - 1
    });
    crate::template::index_of(place)
}

fn decode(encoded: &EncodedOp) -> Result<Arc<dyn Op>> {
    let invalid = || Error::new(ErrorKind::Version, "a step of a bag does not fit this build of oxidask");
    let form: Form = postcard::from_bytes(&encoded.body)?;
    let mut steps = Vec::with_capacity(form.steps.len());
    for step in form.steps {
        if step.extras.iter().any(|extra| *extra >= form.n_extras) {
            return Err(invalid());
        }
        let blobs = step.blobs.iter().map(|place| encoded.blobs.get(*place as usize).cloned().ok_or_else(invalid));
        let blobs = blobs.collect::<Result<_>>()?;
        let op = decode_op(&EncodedOp { kind: step.kind, body: step.body.into(), blobs })?;
        let any: Arc<dyn Any + Send + Sync> = op;
        let call = any.downcast::<PyCall>().map_err(|_| invalid())?;
        steps.push(Step { call, extras: step.extras.into(), listed: step.listed, native: step.native });
    }
    let head = match form.head {
        HeadForm::Partition => Head::Partition,
        HeadForm::Group => Head::Group,
        HeadForm::Text(source) => Head::Text(Arc::new(source)),
    };
    let label = Arc::from(form.label);
    Ok(Arc::new(PipeOp { label, head, steps, n_extras: form.n_extras, cut: form.cut }))
}

inventory::submit! { OpEntry { kind: KIND, decode } }

//! Our plans as dict graphs, for other tools' schedulers.
//!
//! A plan of any collection becomes a dict of tasks whose callables are ours:
//! a [`PyTask`] runs an op on native values ([`PyValue`]), and both pickle by their
//! own codecs. So Dask, Ray or a pool of processes can run our collections.

use crate::base::{Lazy, graph_of};
use crate::error::OrRaise;
use crate::value::{PyObjectData, to_value};
use oxidask_core::registry::{decode_op, decode_value};
use oxidask_core::{Blob, EncodedOp, Frames, Input, Key, Op, Source, Value};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyTuple};
use smallvec::SmallVec;
use std::sync::Arc;

/// Adds this file's classes and functions to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PyTask>()?;
    module.add_class::<PyValue>()?;
    module.add_function(wrap_pyfunction!(task_of_pickle, module)?)?;
    module.add_function(wrap_pyfunction!(value_of_pickle, module)?)?;
    module.add_function(wrap_pyfunction!(part, module)?)
}

/// The work of one task, as a callable.
#[pyclass(frozen, name = "Task", module = "oxidask._oxidask")]
pub struct PyTask {
    op: Arc<dyn Op>,
    block: u64,
}

/// A native value on its way between tasks.
#[pyclass(frozen, name = "Value", module = "oxidask._oxidask")]
pub struct PyValue(pub Value);

/// A native value as the object that other tools see.
pub fn wrapped<'py>(py: Python<'py>, value: &Value) -> PyResult<Bound<'py, PyAny>> {
    match value.get::<PyObjectData>() {
        Some(data) => Ok(data.object(py)?.into_bound(py)),
        None => Ok(Bound::new(py, PyValue(value.clone()))?.into_any()),
    }
}

/// The inverse of [`wrapped`].
pub fn unwrapped(object: Bound<'_, PyAny>) -> Value {
    match object.cast::<PyValue>() {
        Ok(value) => value.get().0.clone(),
        Err(_) => to_value(object),
    }
}

#[pymethods]
impl PyTask {
    #[pyo3(signature = (*inputs))]
    fn __call__<'py>(&self, inputs: &Bound<'py, PyTuple>) -> PyResult<Bound<'py, PyAny>> {
        let py = inputs.py();
        let inputs: SmallVec<[Value; 8]> = inputs.iter().map(unwrapped).collect();
        let value = py.detach(|| self.op.run(self.block, &inputs)).or_raise()?;
        wrapped(py, &value)
    }

    #[getter]
    fn __name__(&self) -> String {
        self.op.label().into_owned()
    }

    fn __repr__(&self) -> String {
        format!("<Task {}[{}]>", self.op.label(), self.block)
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let EncodedOp { kind, body, blobs } = self.op.encode().or_raise()?;
        let blobs: Vec<_> = blobs.iter().map(|blob| (blob.key.to_string(), frames_to_py(py, &blob.frames))).collect();
        let state = (kind, PyBytes::new(py, &body), blobs, self.block);
        (py.import("oxidask._oxidask")?.getattr("task_of_pickle")?, state).into_pyobject(py)
    }
}

#[pymethods]
impl PyValue {
    fn __repr__(&self) -> String {
        format!("<Value {}>", self.0.data().describe())
    }

    fn __sizeof__(&self) -> u64 {
        self.0.nbytes()
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let data = self.0.data();
        let (header, buffers) = frames_to_py(py, &data.encode().or_raise()?);
        (py.import("oxidask._oxidask")?.getattr("value_of_pickle")?, (data.kind(), header, buffers)).into_pyobject(py)
    }
}

type PyFrames<'py> = (Bound<'py, PyBytes>, Vec<Bound<'py, PyBytes>>);

fn frames_to_py<'py>(py: Python<'py>, frames: &Frames) -> PyFrames<'py> {
    let buffers = frames.buffers.iter().map(|buffer| PyBytes::new(py, buffer)).collect();
    (PyBytes::new(py, &frames.header), buffers)
}

fn frames_of_py((header, buffers): PyFrames<'_>) -> Frames {
    let header = crate::pickle::share_bytes(header);
    Frames { header, buffers: buffers.into_iter().map(crate::pickle::share_bytes).collect() }
}

/// Rebuilds a pickled task.
#[pyfunction]
fn task_of_pickle(
    kind: String,
    body: Bound<'_, PyBytes>,
    blobs: Vec<(String, PyFrames<'_>)>,
    block: u64,
) -> PyResult<PyTask> {
    let blobs = blobs
        .into_iter()
        .map(|(key, frames)| {
            let key = u128::from_str_radix(&key, 16)
                .map_err(|_| pyo3::exceptions::PyValueError::new_err(format!("'{key}' is no key")))?;
            Ok(Blob { key: Key(key), frames: frames_of_py(frames) })
        })
        .collect::<PyResult<_>>()?;
    let body = crate::pickle::share_bytes(body);
    let op = decode_op(&EncodedOp { kind, body, blobs }).or_raise()?;
    Ok(PyTask { op, block })
}

/// Rebuilds a pickled value.
#[pyfunction]
fn value_of_pickle(kind: &str, header: Bound<'_, PyBytes>, buffers: Vec<Bound<'_, PyBytes>>) -> PyResult<PyValue> {
    decode_value(kind, frames_of_py((header, buffers))).or_raise().map(PyValue)
}

/// One part of a value with several outputs.
#[pyfunction]
fn part<'py>(value: Bound<'py, PyAny>, index: u32) -> PyResult<Bound<'py, PyAny>> {
    let py = value.py();
    wrapped(py, &unwrapped(value).part(Some(index)).or_raise()?)
}

/// A dict graph of a plan, and the keys of its blocks.
pub type DictGraph<'py> = (Bound<'py, PyDict>, Bound<'py, PyList>);

/// Lowers a plan to a dict of tasks; `own_keys`, one for each block, become the
/// keys of the blocks.
///
/// # Errors
/// If the plan cannot be made, or the keys are not as many as the blocks.
pub fn dict_graph<'py>(
    py: Python<'py>,
    lazy: &Lazy,
    optimize_graph: bool,
    own_keys: Option<Vec<Bound<'py, PyAny>>>,
) -> PyResult<DictGraph<'py>> {
    let (graph, _) = py.detach(|| graph_of(std::slice::from_ref(lazy), optimize_graph)).or_raise()?;
    let part_of = py.import("oxidask._oxidask")?.getattr("part")?;
    let literal = py.import("oxidask._graphs")?.getattr("Literal")?;
    let mut names: Vec<Bound<'py, PyAny>> = (0..graph.len())
        .map(|task| Ok(graph.name_of(task as u32).into_pyobject(py)?.into_any()))
        .collect::<PyResult<_>>()?;
    if let Some(keys) = &own_keys {
        if keys.len() != graph.outputs.len() {
            return Err(pyo3::exceptions::PyValueError::new_err(format!(
                "{} keys were given for {} blocks",
                keys.len(),
                graph.outputs.len()
            )));
        }
        for (key, output) in keys.iter().zip(&graph.outputs) {
            if output.part_idx().is_none() {
                names[output.task as usize] = key.clone();
            }
        }
    }
    let read = |input: &Input| -> PyResult<Bound<'py, PyAny>> {
        let name = names[input.task as usize].clone();
        match input.part_idx() {
            None => Ok(name),
            Some(part) => Ok((&part_of, name, part).into_pyobject(py)?.into_any()),
        }
    };
    let dict = PyDict::new(py);
    for (index, task) in graph.tasks().iter().enumerate() {
        let mut form = Vec::new();
        match task.source() {
            Source::Run(stage) => {
                let op = graph.stages()[stage as usize].op.clone();
                form.push(Bound::new(py, PyTask { op, block: task.block.into() })?.into_any());
                for input in graph.inputs_of(index as u32) {
                    form.push(read(input)?);
                }
            }
            Source::Data(data) => {
                form.push(literal.call1((wrapped(py, &graph.data_values()[data as usize])?,))?);
            }
            Source::Held => return Err(pyo3::exceptions::PyValueError::new_err("a held value was not brought along")),
        }
        dict.set_item(&names[index], PyTuple::new(py, form)?)?;
    }
    let mut keys = Vec::new();
    for (index, output) in graph.outputs.iter().enumerate() {
        let value = read(output)?;
        let own = own_keys.as_ref().map(|keys| keys[index].clone());
        let key = match (own, output.part_idx()) {
            (Some(own), _) => own,
            (None, None) => value.clone(),
            (None, Some(part)) => format!("part-{}-{part}", names[output.task as usize]).into_pyobject(py)?.into_any(),
        };
        // A part, or a block that is another one's too, is a task of its own, so
        // that it has a key.
        if !key.eq(&names[output.task as usize])? || output.part_idx().is_some() {
            dict.set_item(&key, value)?;
        }
        keys.push(key);
    }
    Ok((dict, PyList::new(py, keys)?))
}

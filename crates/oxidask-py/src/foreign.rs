//! Our plans as dict graphs, for other tools' schedulers.
//!
//! A plan of any collection becomes a dict of tasks whose callables are ours:
//! a [`PyTask`] runs an op on native values ([`PyValue`]), and both pickle by their
//! own codecs. So Dask, Ray or a pool of processes can run our collections. Under the
//! keys that a collection gives its blocks stand the objects that users know: NumPy's
//! arrays, pandas' frames, lists.

use crate::base::{Lazy, graph_of};
use crate::error::OrRaise;
use crate::value::{PyObjectData, from_value, to_value};
use oxidask_core::registry::{decode_op, decode_value};
use oxidask_core::{Blob, EncodedOp, Frames, Graph, Input, Key, Op, Source, Value};
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
    /// Whether users read the result: no other task of ours does.
    is_last: bool,
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
        shown(py, &value, self.is_last)
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
        let state = (kind, PyBytes::new(py, &body), blobs, self.block, self.is_last);
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
    is_last: bool,
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
    Ok(PyTask { op, block, is_last })
}

/// Rebuilds a pickled value.
#[pyfunction]
fn value_of_pickle(kind: &str, header: Bound<'_, PyBytes>, buffers: Vec<Bound<'_, PyBytes>>) -> PyResult<PyValue> {
    decode_value(kind, frames_of_py((header, buffers))).or_raise().map(PyValue)
}

/// One part of a value with several outputs, or with no index the whole of it.
#[pyfunction]
#[pyo3(signature = (value, index, is_last = false))]
fn part<'py>(value: Bound<'py, PyAny>, index: Option<u32>, is_last: bool) -> PyResult<Bound<'py, PyAny>> {
    let py = value.py();
    shown(py, &unwrapped(value).part(index).or_raise()?, is_last)
}

/// A value as the next task of ours takes it, or as users read it.
fn shown<'py>(py: Python<'py>, value: &Value, is_last: bool) -> PyResult<Bound<'py, PyAny>> {
    if is_last { Ok(from_value(py, value)?.into_bound(py)) } else { wrapped(py, value) }
}

/// The layers of a plan by name, each a dict of tasks, and the keys of its blocks.
pub type Layers<'py> = (Bound<'py, PyDict>, Bound<'py, PyList>);

/// Lowers a plan to dicts of tasks, one for each stage of its graph; `own_keys`,
/// one for each block, become the keys of the blocks.
///
/// # Errors
/// If the plan cannot be made, or the keys are not as many as the blocks.
pub fn layers<'py>(
    py: Python<'py>,
    lazy: &Lazy,
    optimize_graph: bool,
    own_keys: Option<Vec<Bound<'py, PyAny>>>,
) -> PyResult<Layers<'py>> {
    let (graph, _) = py.detach(|| graph_of(std::slice::from_ref(lazy), optimize_graph)).or_raise()?;
    let n_keys = own_keys.as_ref().map_or(graph.outputs.len(), Vec::len);
    if n_keys != graph.outputs.len() {
        let n_blocks = graph.outputs.len();
        let message = format!("{n_keys} keys were given for {n_blocks} blocks");
        return Err(pyo3::exceptions::PyValueError::new_err(message));
    }
    let mut names: Vec<Bound<'py, PyAny>> = (0..graph.len())
        .map(|task| Ok(graph.name_of(task as u32).into_pyobject(py)?.into_any()))
        .collect::<PyResult<_>>()?;
    let is_last = name_last(&graph, own_keys.as_deref().unwrap_or_default(), &mut names);
    let part_of = py.import("oxidask._oxidask")?.getattr("part")?;
    let literal = py.import("oxidask._graphs")?.getattr("Literal")?;
    let read = |input: &Input| -> PyResult<Bound<'py, PyAny>> {
        let name = names[input.task as usize].clone();
        match input.part_idx() {
            None => Ok(name),
            part => Ok((&part_of, name, part).into_pyobject(py)?.into_any()),
        }
    };
    let layers = PyDict::new(py);
    // By stage; values that are brought along are the last.
    let mut layer_of: Vec<Option<Bound<'py, PyDict>>> = vec![None; graph.stages().len() + 1];
    for (index, task) in graph.tasks().iter().enumerate() {
        let is_last = is_last[index];
        let (stage, form) = match task.source() {
            Source::Run(stage) => {
                let op = graph.stages()[stage as usize].op.clone();
                let mut form = vec![Bound::new(py, PyTask { op, block: task.block.into(), is_last })?.into_any()];
                for input in graph.inputs_of(index as u32) {
                    form.push(read(input)?);
                }
                (stage as usize, form)
            }
            Source::Data(data) => {
                let value = shown(py, &graph.data_values()[data as usize], is_last)?;
                (graph.stages().len(), vec![literal.call1((value,))?])
            }
            Source::Held => return Err(pyo3::exceptions::PyValueError::new_err("a held value was not brought along")),
        };
        let layer = match &mut layer_of[stage] {
            Some(layer) => layer,
            none => none.insert(new_layer(&layers, &names[index])?),
        };
        layer.set_item(&names[index], PyTuple::new(py, form)?)?;
    }
    let mut keys = Vec::new();
    for (index, output) in graph.outputs.iter().enumerate() {
        let name = &names[output.task as usize];
        let key = match (&own_keys, output.part_idx()) {
            (Some(keys), _) => keys[index].clone(),
            (None, None) => name.clone(),
            (None, Some(part)) => format!("part-{name}-{part}").into_pyobject(py)?.into_any(),
        };
        // A part, or a block that something else reads too, is a task of its own, so
        // that it has a key.
        if !key.eq(name)? || output.part_idx().is_some() {
            let form = (&part_of, name, output.part_idx(), own_keys.is_some());
            new_layer(&layers, &key)?.set_item(&key, form)?;
        }
        keys.push(key);
    }
    Ok((layers, PyList::new(py, keys)?))
}

/// Gives the blocks that nothing else reads the names that users know, and answers
/// which these are.
fn name_last<'py>(graph: &Graph, own_keys: &[Bound<'py, PyAny>], names: &mut [Bound<'py, PyAny>]) -> Vec<bool> {
    let mut is_read = vec![false; graph.len()];
    for input in graph.all_inputs() {
        is_read[input.task as usize] = true;
    }
    let mut is_last = vec![false; graph.len()];
    for (key, output) in own_keys.iter().zip(&graph.outputs) {
        let task = output.task as usize;
        if output.part_idx().is_none() && !is_read[task] {
            names[task] = key.clone();
            is_last[task] = true;
            // A second key of the same block reads the first.
            is_read[task] = true;
        }
    }
    is_last
}

/// The layer that is named after a key of it: by the name in a tuple, or else by
/// the key itself.
fn new_layer<'py>(layers: &Bound<'py, PyDict>, key: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyDict>> {
    let name = match key.cast::<PyTuple>() {
        Ok(key) if !key.is_empty() => key.get_item(0)?,
        _ => key.clone(),
    };
    if let Some(layer) = layers.get_item(&name)? {
        return Ok(layer.cast_into()?);
    }
    let layer = PyDict::new(layers.py());
    layers.set_item(name, &layer)?;
    Ok(layer)
}

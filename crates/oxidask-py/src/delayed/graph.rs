//! Delayed values as dict graphs, and as pickles.

use super::class::Delayed;
use super::node::{DelayedNode, Name, Work};
use crate::base::{Lazy, PyExpr, graph_of};
use crate::error::OrRaise;
use crate::persist::PersistedExpr;
use crate::template::{Arg, Template};
use crate::travel;
use crate::value::from_value;
use oxidask_core::{Expr, ExprRef, Key};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};
use std::sync::Arc;

/// The graph below a node as a dict of tasks: a task is a tuple of a callable
/// and its arguments, and a key among arguments stands for that key's value.
///
/// # Errors
/// If building a tuple raises.
pub fn to_dict<'py>(py: Python<'py>, root: &Arc<DelayedNode>) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    let root: ExprRef = root.clone();
    let mut pending = vec![root];
    while let Some(expr) = pending.pop() {
        let key = key_object(py, &expr);
        if dict.contains(&key)? {
            continue;
        }
        let Some(node) = expr.get::<DelayedNode>() else {
            // Other collections' plans have no form as tuples; the task runs
            // them as a whole.
            let run = py.import("oxidask._graphs")?.getattr("run_expr")?;
            let lazy = Lazy { expr: expr.clone(), collection: None };
            dict.set_item(key, (run, PyExpr(lazy)))?;
            continue;
        };
        dict.set_item(key, task_of(py, node)?)?;
        pending.extend(node.inputs.iter().filter(|input| input.get::<PersistedExpr>().is_none()).cloned());
    }
    Ok(dict)
}

fn key_object<'py>(py: Python<'py>, expr: &ExprRef) -> Bound<'py, PyAny> {
    match expr.get::<DelayedNode>() {
        Some(node) => node.key_object(py),
        None => PyString::new(py, &format!("{}-{}", expr.label(), expr.key())).into_any(),
    }
}

fn task_of<'py>(py: Python<'py>, node: &DelayedNode) -> PyResult<Bound<'py, PyAny>> {
    let inputs: Vec<Bound<'py, PyAny>> = node.inputs.iter().map(|input| key_object(py, input)).collect();
    match &node.work {
        Work::Literal(object) => quoted(object.bind(py).clone()),
        Work::Block(block) => {
            // A graph for others holds what only our executor would know.
            if let Some(held) = node.inputs[0].get::<PersistedExpr>() {
                let value = py.detach(|| held.value(*block as usize)).or_raise()?;
                return quoted(from_value(py, &value)?.into_bound(py));
            }
            let pick = py.import("oxidask._graphs")?.getattr("block")?;
            Ok((pick, &inputs[0], *block).into_pyobject(py)?.into_any())
        }
        Work::Call(call) => {
            let form = Form { py, template: call.template(), inputs: &inputs };
            let function = call.function().object(py).clone();
            let args = form.all(&call.template().args)?;
            if call.template().kwargs.is_empty() {
                let mut task = vec![function];
                task.extend(args);
                return Ok(PyTuple::new(py, task)?.into_any());
            }
            let apply = py.import("oxidask.utils")?.getattr("apply")?;
            let mut pairs = Vec::new();
            for (name, arg) in &call.template().kwargs {
                pairs.push(PyList::new(py, [name.bind(py).clone().into_any(), form.one(arg)?])?);
            }
            let dict = py.import("builtins")?.getattr("dict")?;
            Ok((apply, function, PyList::new(py, args)?, (dict, pairs)).into_pyobject(py)?.into_any())
        }
    }
}

/// A literal as a task; plain values stand for themselves, but a text could be
/// read as a key, and a tuple as a task.
fn quoted(object: Bound<'_, PyAny>) -> PyResult<Bound<'_, PyAny>> {
    let is_plain = object.is_none() || object.is_instance_of::<PyInt>() || object.is_instance_of::<PyFloat>();
    if is_plain {
        return Ok(object);
    }
    let py = object.py();
    let literal = py.import("oxidask._graphs")?.getattr("Literal")?.call1((object,))?;
    Ok(PyTuple::new(py, [literal])?.into_any())
}

/// Writes templates as nested tasks.
struct Form<'a, 'py> {
    py: Python<'py>,
    template: &'a Template,
    inputs: &'a [Bound<'py, PyAny>],
}

impl<'py> Form<'_, 'py> {
    fn all(&self, args: &[Arg]) -> PyResult<Vec<Bound<'py, PyAny>>> {
        args.iter().map(|arg| self.one(arg)).collect()
    }

    fn one(&self, arg: &Arg) -> PyResult<Bound<'py, PyAny>> {
        let py = self.py;
        let builtin = |name: &str| py.import("builtins")?.getattr(name);
        let list = |args: &[Arg]| PyList::new(py, self.all(args)?);
        Ok(match arg {
            Arg::Literal(index) => quoted(self.template.literals[*index as usize].bind(py).clone())?,
            Arg::Input(index) => self.inputs[*index as usize].clone(),
            Arg::List(args) => list(args)?.into_any(),
            Arg::Tuple(args) => (builtin("tuple")?, list(args)?).into_pyobject(py)?.into_any(),
            Arg::Set(args) => (builtin("set")?, list(args)?).into_pyobject(py)?.into_any(),
            Arg::FrozenSet(args) => (builtin("frozenset")?, list(args)?).into_pyobject(py)?.into_any(),
            Arg::Dict(pairs) => {
                let pairs: Vec<Bound<'py, PyList>> = pairs
                    .iter()
                    .map(|(key, value)| PyList::new(py, [self.one(key)?, self.one(value)?]))
                    .collect::<PyResult<_>>()?;
                (builtin("dict")?, pairs).into_pyobject(py)?.into_any()
            }
            Arg::Call(callable, args) => {
                let mut task = vec![self.template.literals[*callable as usize].bind(py).clone()];
                task.extend(self.all(args)?);
                PyTuple::new(py, task)?.into_any()
            }
            Arg::Copy(prototype, fields) => {
                let pairs: Vec<Bound<'py, PyList>> = fields
                    .iter()
                    .map(|(name, value)| {
                        let name = (py.import("oxidask._graphs")?.getattr("Literal")?.call1((name,))?,);
                        PyList::new(py, [name.into_pyobject(py)?.into_any(), self.one(value)?])
                    })
                    .collect::<PyResult<_>>()?;
                let copy = py.import("oxidask._graphs")?.getattr("copy_with")?;
                let prototype = self.one(&Arg::Literal(*prototype))?;
                (copy, prototype, pairs).into_pyobject(py)?.into_any()
            }
        })
    }
}

/// What pickle needs to rebuild a delayed value: its plan, lowered, in which
/// everything has a codec.
///
/// # Errors
/// If a function or an object in it cannot be pickled.
pub fn reduce<'py>(py: Python<'py>, node: &Arc<DelayedNode>) -> PyResult<Bound<'py, PyTuple>> {
    let lazy = Lazy { expr: node.clone(), collection: None };
    let (graph, _) = graph_of(&[lazy], false).or_raise()?;
    let form = PyBytes::new(py, &travel::encode(&graph).or_raise()?);
    let state = (form, node.key.to_string(), &*node.label, node.name.as_ref().map(|name| name.object(py)), node.n_out);
    (py.import("oxidask._oxidask")?.getattr("delayed_of_pickle")?, state).into_pyobject(py)
}

/// The inverse of [`reduce`].
#[pyfunction]
pub fn delayed_of_pickle<'py>(
    py: Python<'py>,
    form: &[u8],
    key: &str,
    label: &str,
    name: Option<&Bound<'_, PyAny>>,
    n_out: Option<usize>,
) -> PyResult<Bound<'py, Delayed>> {
    let key = u128::from_str_radix(key, 16)
        .map(Key)
        .map_err(|_| pyo3::exceptions::PyValueError::new_err(format!("'{key}' is no key")))?;
    let graph: ExprRef = Arc::new(travel::decode(form, label).or_raise()?);
    let node = DelayedNode {
        key,
        label: Arc::from(label),
        name: name.map(|name| Name::of(name).map(Arc::new)).transpose()?,
        n_out,
        work: Work::Block(0),
        inputs: vec![graph].into(),
        annotations: None,
        is_plain: false,
    };
    debug_assert_eq!(node.key(), key);
    Delayed::make(py, Arc::new(node))
}

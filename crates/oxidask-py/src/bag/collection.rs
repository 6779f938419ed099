//! What becomes of the blocks of bags and of single values when they are computed.

use super::expr::partitions_of;
use super::own_step;
use super::plan::{Origin, Pipe, PipeExpr};
use crate::base::{Collection, PyExpr};
use crate::value::from_value;
use oxidask_core::{Error, ExprRef, KeyHasher, Result, Value};
use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyIterator, PyList, PyString};
use std::sync::Arc;

/// Adds this file's functions to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(bag_gather, module)?)
}

/// Bags: the result is the list of all elements.
struct BagCollection;

impl Collection for BagCollection {
    fn finish(&self, py: Python<'_>, _expr: &ExprRef, blocks: Vec<Value>) -> PyResult<Py<PyAny>> {
        let parts: Vec<Bound<'_, PyAny>> =
            blocks.iter().map(|value| Ok(from_value(py, value)?.into_bound(py))).collect::<PyResult<_>>()?;
        Ok(gathered(py, parts)?.unbind())
    }

    fn whole(&self, expr: &ExprRef) -> Result<ExprRef> {
        let n = partitions_of(expr).unwrap_or(1);
        Python::attach(|py| {
            let step = own_step(py, "bag_gather")?;
            let key = KeyHasher::new("bag.whole").key(expr.key()).finish();
            Ok(Pipe::expr(PipeExpr {
                key,
                label: Arc::from("gather"),
                from: Origin::Groups(vec![(0, crate::template::index_of(n))]),
                steps: vec![step],
                inputs: vec![expr.clone()].into(),
                n: None,
                cut: None,
                annotations: None,
            }))
        })
        .map_err(|error: PyErr| Error::value(error.to_string()))
    }

    fn wrap(&self, py: Python<'_>, expr: ExprRef) -> PyResult<Py<PyAny>> {
        static BAG: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let bag = BAG.import(py, "oxidask.bag.core", "Bag")?.call_method1(intern!(py, "_over"), (bag_of(expr),))?;
        Ok(bag.unbind())
    }

    fn scheduler(&self) -> &'static str {
        PROCESSES
    }
}

/// Functions of bags are their user's and hold Python's lock.
const PROCESSES: &str = "processes";

/// Single values of bags: the result is the value.
struct ItemCollection;

impl Collection for ItemCollection {
    fn finish(&self, py: Python<'_>, _expr: &ExprRef, blocks: Vec<Value>) -> PyResult<Py<PyAny>> {
        match &blocks[..] {
            [value] => from_value(py, value),
            _ => Err(PyValueError::new_err("a single value was computed in several blocks")),
        }
    }

    fn whole(&self, expr: &ExprRef) -> Result<ExprRef> {
        Ok(expr.clone())
    }

    fn wrap(&self, py: Python<'_>, expr: ExprRef) -> PyResult<Py<PyAny>> {
        static ITEM: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let item = ITEM.import(py, "oxidask.bag.core", "Item")?.call_method1(intern!(py, "_over"), (item_of(expr),))?;
        Ok(item.unbind())
    }

    fn scheduler(&self) -> &'static str {
        PROCESSES
    }
}

pub fn bag_of(expr: ExprRef) -> PyExpr {
    PyExpr::new(expr, Arc::new(BagCollection))
}

pub fn item_of(expr: ExprRef) -> PyExpr {
    PyExpr::new(expr, Arc::new(ItemCollection))
}

pub fn made(expr: ExprRef, item: bool) -> PyExpr {
    if item { item_of(expr) } else { bag_of(expr) }
}

/// All elements of all parts as one list; parts that hold no elements, such as
/// numbers that `map_partitions` made, are elements themselves.
fn gathered<'py>(py: Python<'py>, parts: Vec<Bound<'py, PyAny>>) -> PyResult<Bound<'py, PyAny>> {
    let holds_elements =
        |part: &Bound<'py, PyAny>| !part.is_instance_of::<PyString>() && PyIterator::from_object(part).is_ok();
    if !parts.first().is_some_and(holds_elements) {
        return Ok(PyList::new(py, parts)?.into_any());
    }
    let all = PyList::empty(py);
    let extend = all.getattr(intern!(py, "extend"))?;
    for part in parts {
        extend.call1((part,))?;
    }
    Ok(all.into_any())
}

/// The elements of a list of parts; see [`gathered`].
#[pyfunction]
fn bag_gather<'py>(parts: Vec<Bound<'py, PyAny>>, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
    gathered(py, parts)
}

//! From collections to results.
//!
//! A collection's Python object answers `__oxidask_expr__()` with a [`PyExpr`]: its
//! expression and, as a [`Collection`], how blocks become what the user gets.
//! [`compute`] and [`persist`] know nothing else about collections.

use crate::call;
use crate::error::OrRaise;
use crate::executor::Executor;
use crate::template::{Builder, Filling, Template};
use crate::value::from_value;
use oxidask_core::{Blocks, ExprRef, Graph, Result, Value};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple, PyType};
use std::sync::Arc;

/// Adds this file's classes and functions to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PyExpr>()?;
    module.add_function(wrap_pyfunction!(compute, module)?)
}

/// How a kind of collection appears to its user. One stateless object serves
/// all collections of the kind; what differs lies in the expression's meta.
pub trait Collection: Send + Sync {
    /// What the user gets from `compute`: one array of all blocks, one frame of
    /// all partitions. `expr` is the user's expression, before it was optimised.
    ///
    /// # Errors
    /// Whatever the user should read.
    fn finish(&self, py: Python<'_>, expr: &ExprRef, blocks: Vec<Value>) -> PyResult<Py<PyAny>>;

    /// An expression with one block that holds all of `expr`, for use as an
    /// argument of a Python function.
    ///
    /// # Errors
    /// If the collection cannot be gathered.
    fn whole(&self, expr: &ExprRef) -> Result<ExprRef>;

    /// The user's object over another expression with the same meta.
    ///
    /// # Errors
    /// Whatever its constructor raises.
    fn wrap(&self, py: Python<'_>, expr: ExprRef) -> PyResult<Py<PyAny>>;
}

/// A lazy thing that was found among arguments.
#[derive(Clone)]
pub struct Lazy {
    /// Its expression.
    pub expr: ExprRef,
    /// How it appears to users; none for a single Python object (`Delayed`).
    pub collection: Option<Arc<dyn Collection>>,
}

impl Lazy {
    /// The expression with one block, to be an input of a Python function.
    ///
    /// # Errors
    /// If the collection cannot be gathered.
    pub fn whole(&self) -> Result<ExprRef> {
        match &self.collection {
            None => Ok(self.expr.clone()),
            Some(collection) => collection.whole(&self.expr),
        }
    }

    fn finish(&self, py: Python<'_>, blocks: Vec<Value>) -> PyResult<Py<PyAny>> {
        match (&self.collection, &*blocks) {
            (Some(collection), _) => collection.finish(py, &self.expr, blocks),
            (None, [value]) => from_value(py, value),
            (None, _) => Err(pyo3::exceptions::PyValueError::new_err("a single object was computed in several blocks")),
        }
    }
}

/// A collection's expression, as its Python object hands it over.
#[pyclass(frozen, name = "Expr", module = "oxidask._oxidask")]
pub struct PyExpr(pub Lazy);

impl PyExpr {
    /// Wraps an expression of a kind of collection.
    pub fn new(expr: ExprRef, collection: Arc<dyn Collection>) -> Self {
        PyExpr(Lazy { expr, collection: Some(collection) })
    }
}

#[pymethods]
impl PyExpr {
    /// The content hash, in hexadecimal digits.
    #[getter]
    fn key(&self) -> String {
        self.0.expr.key().to_string()
    }

    /// What users read: `sum`, `read_csv`.
    #[getter]
    fn label(&self) -> String {
        self.0.expr.label().into_owned()
    }

    /// The plan as an indented text, optimised if wished.
    #[pyo3(signature = (optimize = false))]
    fn plan(&self, optimize: bool) -> PyResult<String> {
        if optimize {
            let roots = oxidask_core::optimize(std::slice::from_ref(&self.0.expr)).or_raise()?;
            return Ok(roots.iter().map(oxidask_core::optimize::plan_text).collect());
        }
        Ok(oxidask_core::optimize::plan_text(&self.0.expr))
    }
}

/// The lazy thing that an object is, if it is one.
///
/// # Errors
/// If asking it raises.
pub fn lazy_of(object: &Bound<'_, PyAny>) -> PyResult<Option<Lazy>> {
    if let Ok(expr) = object.cast_exact::<PyExpr>() {
        return Ok(Some(expr.get().0.clone()));
    }
    // Classes have the methods of their instances and are not lazy themselves.
    if object.is_instance_of::<PyType>() {
        return Ok(None);
    }
    let Some(method) = object.get_type().getattr_opt(intern!(object.py(), "__oxidask_expr__"))? else {
        return Ok(None);
    };
    Ok(Some(method.call1((object,))?.cast::<PyExpr>()?.get().0.clone()))
}

/// The graph of some lazy things, and which of its outputs are whose.
///
/// # Errors
/// If a plan cannot be made.
pub fn graph_of(lazy: &[Lazy], optimize_graph: bool) -> Result<(Graph, Vec<Blocks>)> {
    let mut roots: Vec<ExprRef> = lazy.iter().map(|lazy| lazy.expr.clone()).collect();
    if optimize_graph {
        roots = oxidask_core::optimize(&roots)?;
    }
    oxidask_core::lower(&roots)
}

/// Computes all lazy things within `args`; answers a list of the arguments with
/// results in their place.
#[pyfunction]
fn compute<'py>(
    args: &Bound<'py, PyTuple>,
    executor: &Bound<'py, Executor>,
    traverse: bool,
    optimize_graph: bool,
) -> PyResult<Bound<'py, PyList>> {
    let py = args.py();
    let mut lazy = Vec::new();
    let mut builder = Builder::new(&mut lazy, traverse);
    let template: Vec<_> = args.iter().map(|arg| builder.arg(&arg)).collect::<PyResult<_>>()?;
    let literals = std::mem::take(&mut builder.literals);
    let template = Template { args: template.into(), literals, ..Template::default() };
    let results = compute_all(py, &lazy, executor.get(), optimize_graph)?;
    let filling = Filling { literals: &template.literals, inputs: &results };
    let filled: Vec<_> = template.args.iter().map(|arg| filling.fill(py, arg)).collect::<PyResult<_>>()?;
    PyList::new(py, filled)
}

/// The results of some lazy things.
///
/// # Errors
/// The error of a task, or `KeyboardInterrupt`.
pub fn compute_all<'py>(
    py: Python<'py>,
    lazy: &[Lazy],
    executor: &Executor,
    optimize_graph: bool,
) -> PyResult<Vec<Bound<'py, PyAny>>> {
    if lazy.is_empty() {
        return Ok(Vec::new());
    }
    call::new_round();
    let (graph, blocks) = py.detach(|| graph_of(lazy, optimize_graph)).or_raise()?;
    let mut values = executor.compute(py, graph)?.into_iter();
    lazy.iter()
        .zip(blocks)
        .map(|(lazy, blocks)| {
            let values = values.by_ref().take(blocks.len()).collect();
            Ok(lazy.finish(py, values)?.into_bound(py))
        })
        .collect()
}

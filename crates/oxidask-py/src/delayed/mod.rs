//! Delayed calls of Python functions.
//!
//! `delayed(f)(x)` makes a [`node::DelayedNode`]: an expression with one block
//! whose work is a [`PyCall`]. Nothing runs before `compute`. Nodes are small and
//! their drop does not recurse, so that a million of them, or a chain of any
//! length, is fine.

mod class;
mod graph;
pub(crate) mod key;
mod lower;
pub(crate) mod node;

pub use class::Delayed;
pub use key::random_key;
pub use lower::plain_graph;

use crate::base::Lazy;
use crate::call::{Function, PyCall, name_of};
use crate::error::OrRaise;
use crate::template::{Arg, Builder, Template};
use class::DelayedLeaf;
pub use node::Name;
use node::{DelayedNode, Work, are_plain};
use oxidask_core::{Annotations, ExprRef};
use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyString, PyTuple};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Adds this file's classes and functions to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    class::register(module)?;
    module.add_function(wrap_pyfunction!(delayed, module)?)?;
    module.add_function(wrap_pyfunction!(graph::delayed_of_pickle, module)?)?;
    module.add_function(wrap_pyfunction!(crate::call::name_of, module)?)?;
    module.add_function(wrap_pyfunction!(identity, module)?)?;
    module.add_function(wrap_pyfunction!(apply, module)?)?;
    module.add_function(wrap_pyfunction!(call_method, module)?)?;
    module.add_function(wrap_pyfunction!(annotations_active, module)?)?;
    module.add_function(wrap_pyfunction!(key::set_pure_by_default, module)?)?;
    module.add_function(wrap_pyfunction!(key::reseed_keys, module)?)
}

/// Wraps a function or any object so that calls and operations on it are
/// recorded instead of run.
#[pyfunction]
#[pyo3(text_signature = "(obj, name=None, pure=None, nout=None, traverse=True)", signature = (obj = Object::Missing, name = None, pure = None, nout = None, traverse = true))]
fn delayed<'py>(
    py: Python<'py>,
    obj: Object<'py>,
    name: Option<&Bound<'py, PyAny>>,
    pure: Option<bool>,
    nout: Option<&Bound<'py, PyAny>>,
    traverse: bool,
) -> PyResult<Bound<'py, PyAny>> {
    let Object::Given(obj) = obj else {
        return decorator(py, name, pure, nout, traverse);
    };
    if obj.is_instance_of::<Delayed>() {
        return Ok(obj);
    }
    let n_out = nout.map(checked_n_out).transpose()?;
    let name = name.map(name_of_task).transpose()?;
    let mut inputs = Vec::new();
    let mut builder = Builder::new(&mut inputs, traverse);
    let arg = builder.arg(&obj)?;
    let literals = std::mem::take(&mut builder.literals);
    if inputs.is_empty() {
        return DelayedLeaf::make(obj, name, pure, n_out);
    }
    let key = match (&name, key::is_pure(pure)) {
        (Some(name), _) => name.key(),
        (None, true) => key::object_key(&obj, n_out)?,
        (None, false) => key::random_key(),
    };
    let (work, label) = match arg {
        // A collection itself becomes one object; there is nothing to build.
        Arg::Input(_) => (Work::Block(0), inputs[0].expr.label().into()),
        arg => {
            let template = Template { args: [arg].into_iter().collect(), literals, ..Template::default() };
            (Work::Call(Arc::new(PyCall::new(own_function(py, "identity")?, template))), type_name(&obj))
        }
    };
    let inputs = exprs_of(inputs)?;
    let is_plain = matches!(work, Work::Call(_)) && are_plain(&inputs);
    let annotations = current_annotations(py)?;
    let node = DelayedNode { key, label, name, n_out, work, inputs: inputs.into(), annotations, is_plain };
    Ok(Delayed::make(py, Arc::new(node))?.into_any())
}

/// An argument that may be left out, though every object makes sense for it.
enum Object<'py> {
    Missing,
    Given(Bound<'py, PyAny>),
}

impl<'a, 'py> FromPyObject<'a, 'py> for Object<'py> {
    type Error = std::convert::Infallible;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> Result<Self, Self::Error> {
        Ok(Object::Given(object.to_owned()))
    }
}

/// `delayed` with everything but the object.
fn decorator<'py>(
    py: Python<'py>,
    name: Option<&Bound<'py, PyAny>>,
    pure: Option<bool>,
    nout: Option<&Bound<'py, PyAny>>,
    traverse: bool,
) -> PyResult<Bound<'py, PyAny>> {
    let options = PyDict::new(py);
    options.set_item("name", name)?;
    options.set_item("pure", pure)?;
    options.set_item("nout", nout)?;
    options.set_item("traverse", traverse)?;
    let delayed = py.import("oxidask._oxidask")?.getattr("delayed")?;
    py.import("functools")?.getattr("partial")?.call((delayed,), Some(&options))
}

fn type_name(object: &Bound<'_, PyAny>) -> Arc<str> {
    Arc::from(object.get_type().name().map_or_else(|_| "object".to_owned(), |name| name.to_string()))
}

fn checked_n_out(nout: &Bound<'_, PyAny>) -> PyResult<usize> {
    nout.extract().map_err(|_| {
        let text = nout.repr().map_or_else(|_| "something else".to_owned(), |text| text.to_string());
        PyValueError::new_err(format!("nout must be None or a non-negative integer, got {text}"))
    })
}

fn name_of_task(name: &Bound<'_, PyAny>) -> PyResult<Arc<Name>> {
    Name::of(name).map(Arc::new)
}

fn exprs_of(lazy: Vec<Lazy>) -> PyResult<Vec<ExprRef>> {
    lazy.into_iter().map(|lazy| lazy.whole().or_raise()).collect()
}

/// A call that is not made yet.
pub struct LazyCall<'a, 'py> {
    /// What will be called.
    pub function: Arc<Function>,
    /// What users read; the function's own label if none.
    pub label: Option<Arc<str>>,
    /// Arguments that come before the user's.
    pub first: &'a [Bound<'py, PyAny>],
    /// The user's arguments.
    pub args: &'a Bound<'py, PyTuple>,
    /// The user's keyword arguments, with `dask_key_name` and `pure` among them.
    pub kwargs: Option<&'a Bound<'py, PyDict>>,
    /// Whether the call is pure, unless the user says otherwise in the call.
    pub pure: Option<bool>,
    /// How many elements the result has.
    pub n_out: Option<usize>,
}

impl<'py> LazyCall<'_, 'py> {
    /// The call as an expression.
    ///
    /// # Errors
    /// If an argument makes no sense.
    pub fn node(self, py: Python<'py>) -> PyResult<Arc<DelayedNode>> {
        let (mut name, mut pure) = (None, self.pure);
        let mut inputs = Vec::new();
        let mut template = Template::default();
        let mut builder = Builder::new(&mut inputs, true);
        for arg in self.first.iter().cloned().chain(self.args.iter()) {
            template.args.push(builder.arg(&arg)?);
        }
        let mut kwargs = None;
        if let Some(given) = self.kwargs {
            let own = given.copy()?;
            for (keyword, value) in given.iter() {
                let keyword = keyword.cast_into::<PyString>()?;
                if keyword == "dask_key_name" {
                    name = Some(value).filter(|value| !value.is_none()).as_ref().map(name_of_task).transpose()?;
                    own.del_item(keyword)?;
                } else if keyword == "pure" {
                    pure = value.extract()?;
                    own.del_item(keyword)?;
                } else {
                    let arg = builder.arg(&value)?;
                    template.kwargs.push((keyword.unbind(), arg));
                }
            }
            kwargs = Some(own);
        }
        template.literals = std::mem::take(&mut builder.literals);
        let key = match &name {
            Some(name) => name.key(),
            None if key::is_pure(pure) => {
                let mut all = self.first.to_vec();
                all.extend(key::args_of(self.args));
                key::call_key(self.function.object(py), &all, kwargs.as_ref())?
            }
            None => key::random_key(),
        };
        let inputs = exprs_of(inputs)?;
        Ok(Arc::new(DelayedNode {
            key,
            is_plain: are_plain(&inputs),
            label: self.label.unwrap_or_else(|| self.function.label().clone()),
            name,
            n_out: self.n_out,
            inputs: inputs.into(),
            work: Work::Call(Arc::new(PyCall::new(self.function, template))),
            annotations: current_annotations(py)?,
        }))
    }
}

/// A function of the compiled module, which other processes import by name.
pub fn own_function(py: Python<'_>, name: &str) -> PyResult<Arc<Function>> {
    Ok(Function::of(&py.import(intern!(py, "oxidask._oxidask"))?.getattr(name)?))
}

/// Answers its argument.
#[pyfunction]
fn identity(object: Bound<'_, PyAny>) -> Bound<'_, PyAny> {
    object
}

/// Calls a function that is itself a result.
#[pyfunction]
#[pyo3(signature = (function, *args, **kwargs))]
fn apply<'py>(
    function: &Bound<'py, PyAny>,
    args: &Bound<'py, PyTuple>,
    kwargs: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyAny>> {
    function.call(args.clone(), kwargs)
}

/// Calls the method `name` of `object`.
#[pyfunction]
#[pyo3(signature = (name, object, *args, **kwargs))]
fn call_method<'py>(
    name: &Bound<'py, PyString>,
    object: &Bound<'py, PyAny>,
    args: &Bound<'py, PyTuple>,
    kwargs: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyAny>> {
    object.getattr(name)?.call(args.clone(), kwargs)
}

/// How many `annotate` contexts are open, in all threads together.
static ANNOTATING: AtomicUsize = AtomicUsize::new(0);

/// Tells that `annotate` contexts were opened (1) or closed (-1).
#[pyfunction]
fn annotations_active(change: isize) {
    ANNOTATING.fetch_add(change.cast_unsigned(), Ordering::Relaxed);
}

/// The wishes of the `annotate` contexts around the caller.
pub fn current_annotations(py: Python<'_>) -> PyResult<Option<Arc<Annotations>>> {
    static CURRENT: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    if ANNOTATING.load(Ordering::Relaxed) == 0 {
        return Ok(None);
    }
    let current = CURRENT.import(py, "oxidask.base", "get_annotations")?.call0()?;
    let current = current.cast_into::<PyDict>()?;
    if current.is_empty() {
        return Ok(None);
    }
    annotations_of(&current).map(|annotations| Some(Arc::new(annotations)))
}

/// Annotations from the dict that the user gave; names that only other tools
/// know are left to them.
///
/// # Errors
/// If a value has the wrong type.
pub fn annotations_of(given: &Bound<'_, PyDict>) -> PyResult<Annotations> {
    let mut annotations = Annotations::default();
    if let Some(priority) = given.get_item("priority")? {
        annotations.priority = priority.extract::<f64>()? as i64;
    }
    if let Some(retries) = given.get_item("retries")? {
        annotations.retries = retries.extract()?;
    }
    if let Some(workers) = given.get_item("workers")? {
        annotations.workers = match workers.extract::<String>() {
            Ok(worker) => vec![worker],
            Err(_) => workers.extract()?,
        };
    }
    if let Some(allow) = given.get_item("allow_other_workers")? {
        annotations.allow_other_workers = allow.extract()?;
    }
    if let Some(resources) = given.get_item("resources")? {
        annotations.resources = resources.extract()?;
    }
    Ok(annotations)
}

/// What users read for a function or an object.
fn label_of(object: &Bound<'_, PyAny>) -> Arc<str> {
    if object.is_callable() { Arc::from(name_of(object)) } else { type_name(object) }
}

//! Functions whose pickled form cannot have changed since it was made.
//!
//! A function of the user's script is pickled by value, with the variables that
//! it refers to, which may change between two submissions. Pickling it again
//! costs more than the rest of a submission, so that the form is kept where
//! nothing in it can change unnoticed: the function has no closure and no
//! attributes, and refers to modules, functions of C and immutable values only.
//! Whether these are still the same objects is looked at each time.

use hashbrown::HashMap;
use oxidask_core::Blob;
use parking_lot::Mutex;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{
    PyBool, PyBytes, PyCFunction, PyComplex, PyDict, PyFloat, PyInt, PyModule, PyString, PyTuple, PyType,
};
use std::sync::{Arc, LazyLock};

/// Most forms that are kept.
const KEPT_MAX: usize = 256;
/// Largest form that is kept, in bytes.
const BYTES_MAX: usize = 64 << 10;

/// What a name among the function's globals stood for.
enum Meaning {
    /// Nothing: it is a builtin or an attribute.
    Absent,
    /// The function itself, which must not be kept alive by its own form.
    Itself,
    /// Something that cannot change.
    Value(Py<PyAny>),
}

/// A function's form, and what it was made from.
struct Kept {
    /// A weak reference, so that a form keeps no function alive.
    function: Py<PyAny>,
    code: Py<PyAny>,
    defaults: Py<PyAny>,
    globals: Vec<(Py<PyString>, Meaning)>,
    /// A module that is imported later may belong to a package that is named.
    n_modules: usize,
    blob: Blob,
}

/// By the address of the function.
static KEPT: LazyLock<Mutex<HashMap<usize, Arc<Kept>>>> = LazyLock::new(Mutex::default);

/// The form of a function, if it is kept and still right.
pub fn form_of(function: &Bound<'_, PyAny>) -> Option<Blob> {
    let kept = KEPT.lock().get(&(function.as_ptr() as usize)).cloned()?;
    // What cannot be looked at is pickled again, which tells what is wrong.
    kept.is_right(function).unwrap_or(false).then(|| kept.blob.clone())
}

/// Keeps the form of a function, if it can be told whether it is still right.
pub fn keep(function: &Bound<'_, PyAny>, blob: &Blob) {
    if blob.frames.nbytes() > BYTES_MAX as u64 {
        return;
    }
    let Ok(Some(kept)) = Kept::new(function, blob) else { return };
    let mut all = KEPT.lock();
    let gone = if all.len() < KEPT_MAX { HashMap::new() } else { std::mem::take(&mut *all) };
    let old = all.insert(function.as_ptr() as usize, Arc::new(kept));
    drop(all);
    // Python objects are let go of without the lock.
    drop((gone, old));
}

impl Kept {
    fn new(function: &Bound<'_, PyAny>, blob: &Blob) -> PyResult<Option<Self>> {
        static FUNCTION: PyOnceLock<Py<PyType>> = PyOnceLock::new();
        static WEAK: PyOnceLock<Py<PyType>> = PyOnceLock::new();
        let py = function.py();
        let is_function = function.get_type().is(FUNCTION.import(py, "types", "FunctionType")?);
        if !is_function || function.getattr(intern!(py, "__module__"))?.ne("__main__")? || !is_bare(function)? {
            return Ok(None);
        }
        let defaults = function.getattr(intern!(py, "__defaults__"))?;
        if let Ok(defaults) = defaults.cast::<PyTuple>()
            && !defaults.iter().all(|value| is_immutable(&value))
        {
            return Ok(None);
        }
        let code = function.getattr(intern!(py, "__code__"))?;
        let globals = function.getattr(intern!(py, "__globals__"))?.cast_into::<PyDict>()?;
        let mut meanings = Vec::new();
        for name in names_in(&code)? {
            let meaning = match globals.get_item(&name)? {
                None => Meaning::Absent,
                Some(value) if value.is(function) => Meaning::Itself,
                Some(value) if is_immutable(&value) => Meaning::Value(value.unbind()),
                Some(_) => return Ok(None),
            };
            meanings.push((name.unbind(), meaning));
        }
        Ok(Some(Kept {
            function: WEAK.import(py, "weakref", "ref")?.call1((function,))?.unbind(),
            code: code.unbind(),
            defaults: defaults.unbind(),
            globals: meanings,
            n_modules: n_modules(py)?,
            blob: blob.clone(),
        }))
    }

    fn is_right(&self, function: &Bound<'_, PyAny>) -> PyResult<bool> {
        let py = function.py();
        // Another object may have taken the address.
        let is_same = self.function.bind(py).call0()?.is(function);
        if !is_same
            || !function.getattr(intern!(py, "__code__"))?.is(&self.code)
            || !function.getattr(intern!(py, "__defaults__"))?.is(&self.defaults)
            || !is_bare(function)?
            || n_modules(py)? != self.n_modules
        {
            return Ok(false);
        }
        let globals = function.getattr(intern!(py, "__globals__"))?.cast_into::<PyDict>()?;
        for (name, meaning) in &self.globals {
            let is_right = match (globals.get_item(name)?, meaning) {
                (None, Meaning::Absent) => true,
                (Some(value), Meaning::Itself) => value.is(function),
                (Some(value), Meaning::Value(known)) => value.is(known),
                _ => false,
            };
            if !is_right {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Whether a function has no closure, no attributes and no defaults for keywords.
fn is_bare(function: &Bound<'_, PyAny>) -> PyResult<bool> {
    let py = function.py();
    Ok(function.getattr(intern!(py, "__closure__"))?.is_none()
        && function.getattr(intern!(py, "__kwdefaults__"))?.is_none()
        && function.getattr(intern!(py, "__dict__"))?.len()? == 0)
}

/// Whether a value is what it is for ever, and pickled the same each time.
fn is_immutable(value: &Bound<'_, PyAny>) -> bool {
    value.is_none()
        || value.is_exact_instance_of::<PyBool>()
        || value.is_exact_instance_of::<PyInt>()
        || value.is_exact_instance_of::<PyFloat>()
        || value.is_exact_instance_of::<PyComplex>()
        || value.is_exact_instance_of::<PyString>()
        || value.is_exact_instance_of::<PyBytes>()
        || value.is_exact_instance_of::<PyModule>()
        || is_function_of_c(value)
}

/// Whether it is a function of a module written in C; methods belong to objects
/// that may change.
fn is_function_of_c(value: &Bound<'_, PyAny>) -> bool {
    value.is_exact_instance_of::<PyCFunction>()
        && value
            .getattr(intern!(value.py(), "__self__"))
            .is_ok_and(|owner| owner.is_none() || owner.is_exact_instance_of::<PyModule>())
}

fn n_modules(py: Python<'_>) -> PyResult<usize> {
    static MODULES: PyOnceLock<Py<PyDict>> = PyOnceLock::new();
    Ok(MODULES.import(py, "sys", "modules")?.len())
}

/// All names that code refers to, with that of functions within it.
fn names_in<'py>(code: &Bound<'py, PyAny>) -> PyResult<Vec<Bound<'py, PyString>>> {
    let py = code.py();
    let mut names = Vec::new();
    let mut codes = vec![code.clone()];
    while let Some(current) = codes.pop() {
        for name in current.getattr(intern!(py, "co_names"))?.cast::<PyTuple>()?.iter() {
            names.push(name.cast_into::<PyString>()?);
        }
        let constants = current.getattr(intern!(py, "co_consts"))?;
        codes.extend(constants.cast::<PyTuple>()?.iter().filter(|constant| constant.get_type().is(code.get_type())));
    }
    Ok(names)
}

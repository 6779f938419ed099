//! Native cells as Python objects, and back.

use hashbrown::HashMap;
use oxidask_io::json::{Beyond, Json, Raw};
use oxidask_io::record::{Cell, Scalar, Term};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};
use std::borrow::Cow;
use std::cell::RefCell;

/// Why a cell did not become an object.
enum Failed {
    Beyond,
    Python(PyErr),
}

impl From<Beyond> for Failed {
    fn from(_: Beyond) -> Self {
        Failed::Beyond
    }
}

impl From<PyErr> for Failed {
    fn from(error: PyErr) -> Self {
        Failed::Python(error)
    }
}

impl From<Failed> for PyErr {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Beyond => PyValueError::new_err("a value has no equal in Rust"),
            Failed::Python(error) => error,
        }
    }
}

/// The objects of some cells.
///
/// # Errors
/// If JSON holds what has no equal in Rust: Python has to read the line.
pub fn to_objects<'py>(py: Python<'py>, cells: &[Cell<'_>]) -> PyResult<Vec<Bound<'py, PyAny>>> {
    cells.iter().map(|cell| to_object(py, cell)).collect()
}

/// The object of a cell.
///
/// # Errors
/// As for [`to_objects`].
pub fn to_object<'py>(py: Python<'py>, cell: &Cell<'_>) -> PyResult<Bound<'py, PyAny>> {
    Ok(object(py, cell)?)
}

fn object<'py>(py: Python<'py>, cell: &Cell<'_>) -> Result<Bound<'py, PyAny>, Failed> {
    Ok(match cell {
        Cell::None => py.None().into_bound(py),
        Cell::Bool(value) => PyBool::new(py, *value).to_owned().into_any(),
        Cell::Int(value) => value.into_pyobject(py).map_err(PyErr::from)?.into_any(),
        Cell::Float(value) => PyFloat::new(py, *value).into_any(),
        Cell::Str(text) => PyString::new(py, text).into_any(),
        Cell::Json(raw, _) => match of_raw(py, *raw) {
            // The text of what is beyond Rust is here, and Python reads it.
            Err(Failed::Beyond) => py.import("json")?.call_method1("loads", (raw.text(),))?,
            other => other?,
        },
        Cell::List(cells) => {
            let list = PyList::empty(py);
            for cell in cells {
                list.append(object(py, cell)?)?;
            }
            list.into_any()
        }
        Cell::Tuple(cells) => {
            let objects = cells.iter().map(|cell| object(py, cell)).collect::<Result<Vec<_>, _>>()?;
            PyTuple::new(py, objects)?.into_any()
        }
    })
}

fn of_raw<'py>(py: Python<'py>, raw: Raw<'_>) -> Result<Bound<'py, PyAny>, Failed> {
    // Rust's errors go out through the scanner, Python's beside it.
    let mut failed: Option<Failed> = None;
    let mut keep = |result: Result<(), Failed>| {
        result.map_err(|error| {
            failed = Some(error);
            Beyond
        })
    };
    let made = match raw.decode()? {
        Json::Object(raw) => {
            let dict = PyDict::new(py);
            let done = raw.each_member(|key, value| {
                keep((|| {
                    let value = of_raw(py, value)?;
                    Ok(key_object(py, &key, |key| dict.set_item(key, value))?)
                })())
            });
            done.map(|()| dict.into_any())
        }
        Json::Array(raw) => {
            let list = PyList::empty(py);
            let done = raw.each_element(|value| keep((|| Ok(list.append(of_raw(py, value)?)?))()));
            done.map(|()| list.into_any())
        }
        Json::Null => Ok(py.None().into_bound(py)),
        Json::Bool(value) => Ok(PyBool::new(py, value).to_owned().into_any()),
        Json::Int(value) => Ok(value.into_pyobject(py).map_err(PyErr::from)?.into_any()),
        Json::Float(value) => Ok(PyFloat::new(py, value).into_any()),
        Json::Str(text) => Ok(PyString::new(py, &text).into_any()),
    };
    made.map_err(|beyond| failed.unwrap_or(Failed::from(beyond)))
}

thread_local! {
    /// Keys that were seen lately: they repeat from record to record, and an
    /// object that is there already need not be made nor hashed.
    static KEYS: RefCell<HashMap<Box<str>, Py<PyString>>> = RefCell::default();
}

/// How many keys are remembered.
const KEYS_MAX: usize = 1024;

/// Calls `use_key` with the object of a key.
fn key_object<T>(py: Python<'_>, key: &str, use_key: impl FnOnce(&Bound<'_, PyString>) -> T) -> T {
    let known = KEYS.with_borrow(|keys| keys.get(key).map(|key| key.clone_ref(py)));
    let object = known.unwrap_or_else(|| {
        let object = PyString::new(py, key).unbind();
        let full = KEYS.with_borrow_mut(|keys| {
            let full = if keys.len() >= KEYS_MAX { std::mem::take(keys) } else { HashMap::default() };
            keys.insert(key.into(), object.clone_ref(py));
            full
        });
        // Dropped out here, because dropping objects may run other code.
        drop(full);
        object
    });
    use_key(object.bind(py))
}

/// The cell of an object of exactly one of the plain types; none if there is no
/// such.
pub fn of_object(object: &Bound<'_, PyAny>) -> Option<Cell<'static>> {
    if object.is_none() {
        return Some(Cell::None);
    }
    if let Ok(text) = object.cast_exact::<PyString>() {
        return Some(Cell::Str(Cow::Owned(text.to_str().ok()?.to_owned())));
    }
    if let Ok(value) = object.cast_exact::<PyBool>() {
        return Some(Cell::Bool(value.is_true()));
    }
    if let Ok(value) = object.cast_exact::<PyInt>() {
        return value.extract().ok().map(Cell::Int);
    }
    if let Ok(value) = object.cast_exact::<PyFloat>() {
        return Some(Cell::Float(value.value()));
    }
    if let Ok(tuple) = object.cast_exact::<PyTuple>() {
        return tuple.iter().map(|element| of_object(&element)).collect::<Option<_>>().map(Cell::Tuple);
    }
    None
}

/// The kept value of an object of exactly one of the plain types.
pub fn scalar_of(object: &Bound<'_, PyAny>) -> Option<Scalar> {
    of_object(object)?.keep().ok()
}

/// The term that Python's side spells as nested tuples.
///
/// # Errors
/// If it is not spelled as a term.
pub fn term_of(form: &Bound<'_, PyAny>) -> PyResult<Term> {
    let invalid = || PyValueError::new_err(format!("{form} spells no native function"));
    let form = form.cast::<PyTuple>()?;
    let name: String = form.get_item(0)?.extract()?;
    let rest = || form.iter().skip(1);
    match name.as_str() {
        "arg" => Ok(Term::Arg(form.get_item(1)?.extract()?)),
        "const" => scalar_of(&form.get_item(1)?).map(Term::Const).ok_or_else(invalid),
        "tuple" => Ok(Term::Tuple(rest().map(|term| term_of(&term)).collect::<PyResult<_>>()?)),
        "if" => {
            let mut terms = rest().map(|term| term_of(&term).map(Box::new));
            let mut next = || terms.next().unwrap_or_else(|| Err(invalid()));
            Ok(Term::If(next()?, next()?, next()?))
        }
        name => {
            let args = rest().map(|term| term_of(&term)).collect::<PyResult<_>>()?;
            Term::call(name, args).map_err(|error| PyValueError::new_err(error.to_string()))
        }
    }
}

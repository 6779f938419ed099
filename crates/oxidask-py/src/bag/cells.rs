//! Native cells as Python objects, and back.

use hashbrown::HashMap;
use oxidask_io::json::{self, Beyond, Build, Json};
use oxidask_io::record::{Cell, Scalar, Term};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyRange, PyString, PyTuple};
use std::borrow::Cow;

/// Why a cell did not become an object.
pub enum Failed {
    /// Python has to read the text.
    Beyond,
    /// Python raised an error.
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

/// Makes Python objects of cells and of JSON, many after another.
pub struct Objects<'py> {
    py: Python<'py>,
    keys: Keys,
}

/// Keys that were seen lately: they repeat from record to record, mostly in the
/// same order, and an object that is there already need not be made nor hashed.
#[derive(Default)]
struct Keys {
    known: Vec<(Box<str>, Py<PyString>)>,
    places: HashMap<Box<str>, usize>,
    /// The place behind the key that was asked for last.
    next: usize,
}

/// How many keys are remembered.
const KEYS_MAX: usize = 1024;

thread_local! {
    /// The keys of the last use, for the next one.
    static KEYS: std::cell::Cell<Keys> = std::cell::Cell::default();
}

impl<'py> Objects<'py> {
    /// A maker of objects.
    pub fn new(py: Python<'py>) -> Self {
        Objects { py, keys: KEYS.take() }
    }

    /// What `json.loads` makes of a text.
    ///
    /// # Errors
    /// [`Failed::Beyond`] if Python has to read it.
    pub fn loads(&mut self, text: &str) -> Result<Bound<'py, PyAny>, Failed> {
        json::build(text, self)
    }

    /// The object of a cell.
    ///
    /// # Errors
    /// Those of Python.
    pub fn cell(&mut self, cell: &Cell<'_>) -> PyResult<Bound<'py, PyAny>> {
        let py = self.py;
        Ok(match cell {
            Cell::None => py.None().into_bound(py),
            Cell::Bool(value) => PyBool::new(py, *value).to_owned().into_any(),
            Cell::Int(value) => value.into_pyobject(py)?.into_any(),
            Cell::Float(value) => PyFloat::new(py, *value).into_any(),
            Cell::Str(text) => PyString::new(py, text).into_any(),
            Cell::Json(raw, _) => match self.loads(raw.text()) {
                Ok(object) => object,
                // The text of what is beyond Rust is here, and Python reads it.
                Err(Failed::Beyond) => py.import("json")?.call_method1("loads", (raw.text(),))?,
                Err(Failed::Python(error)) => return Err(error),
            },
            Cell::List(cells) => {
                let list = PyList::empty(py);
                cells.iter().try_for_each(|cell| list.append(self.cell(cell)?))?;
                list.into_any()
            }
            Cell::Tuple(cells) => {
                let objects = cells.iter().map(|cell| self.cell(cell)).collect::<PyResult<Vec<_>>>()?;
                PyTuple::new(py, objects)?.into_any()
            }
        })
    }
}

impl Drop for Objects<'_> {
    fn drop(&mut self) {
        KEYS.set(std::mem::take(&mut self.keys));
    }
}

impl<'py> Build for Objects<'py> {
    type Value = Bound<'py, PyAny>;
    type Error = Failed;

    fn scalar(&mut self, value: Json<'_>) -> Result<Self::Value, Failed> {
        let py = self.py;
        Ok(match value {
            Json::Null => py.None().into_bound(py),
            Json::Bool(value) => PyBool::new(py, value).to_owned().into_any(),
            Json::Int(value) => value.into_pyobject(py).map_err(PyErr::from)?.into_any(),
            Json::Float(value) => PyFloat::new(py, value).into_any(),
            Json::Str(_) | Json::Array(_) | Json::Object(_) => return Err(Failed::Beyond),
        })
    }

    fn text(&mut self, text: &str) -> Result<Self::Value, Failed> {
        Ok(PyString::new(self.py, text).into_any())
    }

    fn array(&mut self) -> Result<Self::Value, Failed> {
        Ok(PyList::empty(self.py).into_any())
    }

    fn push(&mut self, array: &mut Self::Value, element: Self::Value) -> Result<(), Failed> {
        Ok(array.cast::<PyList>().map_err(PyErr::from)?.append(element)?)
    }

    fn object(&mut self) -> Result<Self::Value, Failed> {
        Ok(PyDict::new(self.py).into_any())
    }

    fn insert(&mut self, object: &mut Self::Value, key: &str, value: Self::Value) -> Result<(), Failed> {
        let key = self.keys.object(self.py, key);
        Ok(object.cast::<PyDict>().map_err(PyErr::from)?.set_item(key, value)?)
    }
}

impl Keys {
    fn object(&mut self, py: Python<'_>, key: &str) -> &Py<PyString> {
        let next = if self.next < self.known.len() { self.next } else { 0 };
        let is_next = self.known.get(next).is_some_and(|(known, _)| **known == *key);
        let place = if is_next { next } else { self.place(py, key) };
        self.next = place + 1;
        &self.known[place].1
    }

    fn place(&mut self, py: Python<'_>, key: &str) -> usize {
        if let Some(place) = self.places.get(key) {
            return *place;
        }
        if self.known.len() >= KEYS_MAX {
            self.known.clear();
            self.places.clear();
        }
        self.known.push((key.into(), PyString::new(py, key).unbind()));
        self.places.insert(key.into(), self.known.len() - 1);
        self.known.len() - 1
    }
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

/// Whether a partition is a list of nothing but plain values, or a range of them.
pub fn are_plain(partition: &Bound<'_, PyAny>) -> bool {
    match partition.cast_exact::<PyList>() {
        Ok(list) => list.iter().all(|element| is_plain(&element)),
        Err(_) => range_of(partition).is_some(),
    }
}

fn is_plain(object: &Bound<'_, PyAny>) -> bool {
    if let Ok(text) = object.cast_exact::<PyString>() {
        return text.to_str().is_ok();
    }
    if let Ok(value) = object.cast_exact::<PyInt>() {
        return value.extract::<i64>().is_ok();
    }
    if let Ok(tuple) = object.cast_exact::<PyTuple>() {
        return tuple.iter().all(|element| is_plain(&element));
    }
    object.is_none() || object.is_exact_instance_of::<PyFloat>() || object.is_exact_instance_of::<PyBool>()
}

/// The start, stop and step of a range of numbers of 64 bits.
pub fn range_of(object: &Bound<'_, PyAny>) -> Option<(i64, i64, i64)> {
    let range = object.cast_exact::<PyRange>().ok()?;
    let bound = |name| range.getattr(name).ok()?.extract().ok();
    Some((bound("start")?, bound("stop")?, bound("step")?))
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

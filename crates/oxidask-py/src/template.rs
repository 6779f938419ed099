//! Arguments with holes.
//!
//! What a user passes to a lazy call, or to `compute`, is a nest of lists,
//! tuples, sets, dicts and dataclasses with lazy things somewhere inside. A
//! [`Template`] is that nest with numbered holes where the lazy things were; it
//! is filled once their values are known. Whatever holds nothing lazy stays the
//! object that the user passed, and is not copied.

use crate::base::{Lazy, lazy_of_kind};
use crate::kind::{Kind, kind_of};
use crate::pickle;
use oxidask_core::{Frames, Result};
use pyo3::exceptions::PyRecursionError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{
    PyBool, PyBytes, PyCFunction, PyDict, PyFloat, PyFrozenSet, PyFunction, PyInt, PyList, PySet, PySlice, PyString,
    PyTuple, PyType,
};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

/// One argument.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Arg {
    /// An object, by its place in [`Template::literals`].
    Literal(u32),
    /// A hole, by the number of the input that fills it.
    Input(u32),
    /// A list.
    List(Vec<Arg>),
    /// A tuple.
    Tuple(Vec<Arg>),
    /// A set.
    Set(Vec<Arg>),
    /// A frozen set.
    FrozenSet(Vec<Arg>),
    /// A dict.
    Dict(Vec<(Arg, Arg)>),
    /// The result of calling an object with arguments: slices, named tuples,
    /// and tasks within tasks of a dict graph.
    Call(u32, Vec<Arg>),
    /// A shallow copy of an object with some fields set: dataclasses.
    Copy(u32, Vec<(String, Arg)>),
}

/// Arguments of a call with holes for its inputs.
#[derive(Default)]
pub struct Template {
    /// Positional arguments.
    pub args: SmallVec<[Arg; 2]>,
    /// Keyword arguments.
    pub kwargs: Vec<(Py<PyString>, Arg)>,
    /// The objects that the arguments name.
    pub literals: SmallVec<[Py<PyAny>; 2]>,
}

/// Takes arguments apart and collects what they need.
pub struct Builder<'a> {
    /// The objects found.
    pub literals: SmallVec<[Py<PyAny>; 2]>,
    /// The lazy things found, in the order of their numbers.
    pub inputs: &'a mut Vec<Lazy>,
    /// Whether containers are looked into.
    pub traverse: bool,
}

/// How deep containers may nest.
const DEPTH_MAX: u32 = 400;

impl<'a> Builder<'a> {
    /// A builder that appends to `inputs`.
    pub fn new(inputs: &'a mut Vec<Lazy>, traverse: bool) -> Self {
        Builder { literals: SmallVec::new(), inputs, traverse }
    }

    /// Takes an argument apart.
    ///
    /// # Errors
    /// If it nests too deeply, or reading it raises.
    pub fn arg(&mut self, object: &Bound<'_, PyAny>) -> PyResult<Arg> {
        match self.lazy_arg(object, 0)? {
            Some(arg) => Ok(arg),
            None => Ok(self.literal(object.clone())),
        }
    }

    /// Notes an object as it is.
    pub fn literal(&mut self, object: Bound<'_, PyAny>) -> Arg {
        let index = index_of(self.literals.len());
        self.literals.push(object.unbind());
        Arg::Literal(index)
    }

    fn input(&mut self, lazy: Lazy) -> Arg {
        let index = index_of(self.inputs.len());
        self.inputs.push(lazy);
        Arg::Input(index)
    }

    /// The argument if there is something lazy in it.
    fn lazy_arg(&mut self, object: &Bound<'_, PyAny>, depth: u32) -> PyResult<Option<Arg>> {
        if is_atom(object) {
            return Ok(None);
        }
        let container = is_container(object);
        let kind = if container { Kind::Plain } else { kind_of(&object.get_type())? };
        if !container && let Some(lazy) = lazy_of_kind(object, kind)? {
            return Ok(Some(self.input(lazy)));
        }
        if !self.traverse {
            return Ok(None);
        }
        if depth == DEPTH_MAX {
            return Err(PyRecursionError::new_err(format!("an argument nests more than {DEPTH_MAX} levels deep")));
        }
        let depth = depth + 1;
        if let Ok(list) = object.cast_exact::<PyList>() {
            return Ok(self.all(list.iter(), depth)?.map(Arg::List));
        }
        if let Ok(tuple) = object.cast_exact::<PyTuple>() {
            return Ok(self.all(tuple.iter(), depth)?.map(Arg::Tuple));
        }
        if let Ok(set) = object.cast_exact::<PySet>() {
            return Ok(self.all(set.iter(), depth)?.map(Arg::Set));
        }
        if let Ok(set) = object.cast_exact::<PyFrozenSet>() {
            return Ok(self.all(set.iter(), depth)?.map(Arg::FrozenSet));
        }
        if let Ok(dict) = object.cast_exact::<PyDict>() {
            let pairs = self.all(dict.iter().flat_map(|(key, value)| [key, value]), depth)?;
            return Ok(pairs.map(|pairs| Arg::Dict(in_pairs(pairs))));
        }
        if let Ok(slice) = object.cast::<PySlice>() {
            let py = slice.py();
            let bounds = [intern!(py, "start"), intern!(py, "stop"), intern!(py, "step")];
            let bounds: Vec<Bound<'_, PyAny>> =
                bounds.iter().map(|name| slice.getattr(*name)).collect::<PyResult<_>>()?;
            return self.call_of(slice.get_type(), bounds, depth);
        }
        if let Some(container) = unrolled(object)? {
            // Iterating used it up, so what was read takes its place.
            return Ok(Some(match self.lazy_arg(&container, depth)? {
                Some(arg) => arg,
                None => self.literal(container),
            }));
        }
        // Classes have the attributes of their instances.
        if object.is_instance_of::<PyType>() {
            return Ok(None);
        }
        match (kind, object.cast::<PyTuple>()) {
            (Kind::NamedTuple, Ok(tuple)) => self.named_tuple(tuple, depth),
            (Kind::Dataclass, _) => self.dataclass(object, depth),
            _ => Ok(None),
        }
    }

    /// The elements, if there is something lazy in any.
    fn all<'py>(
        &mut self,
        elements: impl Iterator<Item = Bound<'py, PyAny>>,
        depth: u32,
    ) -> PyResult<Option<Vec<Arg>>> {
        // Nothing is built before the first lazy element, so that a long list of
        // numbers costs a look at each.
        let mut before: Vec<Bound<'py, PyAny>> = Vec::new();
        let mut args: Option<Vec<Arg>> = None;
        for element in elements {
            match (self.lazy_arg(&element, depth)?, &mut args) {
                (None, None) => before.push(element),
                (None, Some(args)) => {
                    let arg = self.literal(element);
                    args.push(arg);
                }
                (Some(arg), Some(args)) => args.push(arg),
                (Some(arg), None) => {
                    let mut all: Vec<Arg> = before.drain(..).map(|element| self.literal(element)).collect();
                    all.push(arg);
                    args = Some(all);
                }
            }
        }
        Ok(args)
    }

    fn call_of(
        &mut self,
        callable: Bound<'_, PyType>,
        args: Vec<Bound<'_, PyAny>>,
        depth: u32,
    ) -> PyResult<Option<Arg>> {
        let Some(args) = self.all(args.into_iter(), depth)? else { return Ok(None) };
        let Arg::Literal(callable) = self.literal(callable.into_any()) else { return Ok(None) };
        Ok(Some(Arg::Call(callable, args)))
    }

    fn named_tuple(&mut self, tuple: &Bound<'_, PyTuple>, depth: u32) -> PyResult<Option<Arg>> {
        self.call_of(tuple.get_type(), tuple.iter().collect(), depth)
    }

    fn dataclass(&mut self, object: &Bound<'_, PyAny>, depth: u32) -> PyResult<Option<Arg>> {
        let py = object.py();
        let fields = object.get_type().getattr(intern!(py, "__dataclass_fields__"))?;
        let names: Vec<String> =
            fields.call_method0("keys")?.try_iter()?.map(|name| name?.extract()).collect::<PyResult<_>>()?;
        let mut set = Vec::new();
        for name in names {
            let Some(field) = object.getattr_opt(name.as_str())? else { continue };
            if let Some(arg) = self.lazy_arg(&field, depth)? {
                set.push((name, arg));
            }
        }
        if set.is_empty() {
            return Ok(None);
        }
        let prototype = copy_of(py, object)?;
        for (name, _) in &set {
            set_field(&prototype, name, &py.None().into_bound(py))?;
        }
        let Arg::Literal(prototype) = self.literal(prototype) else { return Ok(None) };
        Ok(Some(Arg::Copy(prototype, set)))
    }
}

/// The rest of an iterator over a list, tuple or set, as one of these.
fn unrolled<'py>(object: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = object.py();
    let elements = || object.try_iter()?.collect::<PyResult<Vec<_>>>();
    Ok(match &*object.get_type().name()?.to_cow()? {
        "list_iterator" => Some(PyList::new(py, elements()?)?.into_any()),
        "tuple_iterator" => Some(PyTuple::new(py, elements()?)?.into_any()),
        "set_iterator" => Some(PySet::new(py, elements()?)?.into_any()),
        _ => None,
    })
}

fn copy_of<'py>(py: Python<'py>, object: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    static COPY: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    COPY.import(py, "copy", "copy")?.call1((object,))
}

/// Sets a field of a dataclass, be it frozen or not.
fn set_field(object: &Bound<'_, PyAny>, name: &str, value: &Bound<'_, PyAny>) -> PyResult<()> {
    static SETATTR: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let py = object.py();
    SETATTR
        .get_or_try_init(py, || py.import("builtins")?.getattr("object")?.getattr("__setattr__").map(Bound::unbind))?
        .bind(py)
        .call1((object, name, value))?;
    Ok(())
}

fn in_pairs(args: Vec<Arg>) -> Vec<(Arg, Arg)> {
    let mut args = args.into_iter();
    std::iter::from_fn(|| Some((args.next()?, args.next()?))).collect()
}

/// Whether an object of this type never holds anything lazy.
fn is_atom(object: &Bound<'_, PyAny>) -> bool {
    object.is_none()
        || object.is_exact_instance_of::<PyInt>()
        || object.is_exact_instance_of::<PyString>()
        || object.is_exact_instance_of::<PyFloat>()
        || object.is_exact_instance_of::<PyBool>()
        || object.is_exact_instance_of::<PyBytes>()
        || object.is_exact_instance_of::<PyFunction>()
        || object.is_exact_instance_of::<PyCFunction>()
}

fn is_container(object: &Bound<'_, PyAny>) -> bool {
    object.is_exact_instance_of::<PyList>()
        || object.is_exact_instance_of::<PyTuple>()
        || object.is_exact_instance_of::<PyDict>()
        || object.is_exact_instance_of::<PySet>()
}

/// A position as a number in a template.
pub fn index_of(position: usize) -> u32 {
    u32::try_from(position).expect("arguments hold fewer than 2^32 objects")
}

/// What fills holes: the objects of a template and the values of its inputs.
pub struct Filling<'a, 'py> {
    /// See [`Template::literals`].
    pub literals: &'a [Py<PyAny>],
    /// The value of each input.
    pub inputs: &'a [Bound<'py, PyAny>],
}

impl<'py> Filling<'_, 'py> {
    /// The argument with its holes filled.
    ///
    /// # Errors
    /// If building it raises, for example an unhashable element of a set.
    pub fn fill(&self, py: Python<'py>, arg: &Arg) -> PyResult<Bound<'py, PyAny>> {
        Ok(match arg {
            Arg::Literal(index) => self.literals[*index as usize].bind(py).clone(),
            Arg::Input(index) => self.inputs[*index as usize].clone(),
            Arg::List(args) => PyList::new(py, self.fill_all(py, args)?)?.into_any(),
            Arg::Tuple(args) => PyTuple::new(py, self.fill_all(py, args)?)?.into_any(),
            Arg::Set(args) => PySet::new(py, self.fill_all(py, args)?)?.into_any(),
            Arg::FrozenSet(args) => PyFrozenSet::new(py, self.fill_all(py, args)?)?.into_any(),
            Arg::Dict(pairs) => {
                let dict = PyDict::new(py);
                for (key, value) in pairs {
                    dict.set_item(self.fill(py, key)?, self.fill(py, value)?)?;
                }
                dict.into_any()
            }
            Arg::Call(callable, args) => {
                let callable = self.literals[*callable as usize].bind(py);
                callable.call1(PyTuple::new(py, self.fill_all(py, args)?)?)?
            }
            Arg::Copy(prototype, fields) => {
                let copy = copy_of(py, self.literals[*prototype as usize].bind(py))?;
                for (name, value) in fields {
                    set_field(&copy, name, &self.fill(py, value)?)?;
                }
                copy
            }
        })
    }

    fn fill_all(&self, py: Python<'py>, args: &[Arg]) -> PyResult<Vec<Bound<'py, PyAny>>> {
        args.iter().map(|arg| self.fill(py, arg)).collect()
    }
}

/// The shape of a template, apart from its objects.
#[derive(Serialize, Deserialize)]
struct Shape {
    args: Vec<Arg>,
    kwargs: Vec<(String, Arg)>,
}

impl Template {
    /// A template that passes `n` inputs as they are.
    pub fn of_inputs(n: usize) -> Self {
        Template { args: (0..index_of(n)).map(Arg::Input).collect(), ..Template::default() }
    }

    /// Calls `function` with the holes filled.
    ///
    /// # Errors
    /// Whatever the function raises.
    pub fn call<'py>(&self, function: &Bound<'py, PyAny>, inputs: &[Bound<'py, PyAny>]) -> PyResult<Bound<'py, PyAny>> {
        let py = function.py();
        let filling = Filling { literals: &self.literals, inputs };
        if self.kwargs.is_empty() {
            // Calls with few arguments need no tuple.
            return match &*self.args {
                [] => function.call0(),
                [one] => function.call1((filling.fill(py, one)?,)),
                [one, two] => function.call1((filling.fill(py, one)?, filling.fill(py, two)?)),
                many => function.call1(PyTuple::new(py, filling.fill_all(py, many)?)?),
            };
        }
        let args = PyTuple::new(py, filling.fill_all(py, &self.args)?)?;
        let kwargs = PyDict::new(py);
        for (name, arg) in &self.kwargs {
            kwargs.set_item(name, filling.fill(py, arg)?)?;
        }
        function.call(args, Some(&kwargs))
    }

    /// The shape as bytes and the objects as frames.
    ///
    /// # Errors
    /// If an object cannot be pickled; the message names it.
    pub fn encode(&self, py: Python<'_>) -> PyResult<(Vec<u8>, Frames)> {
        let shape = Shape {
            args: self.args.to_vec(),
            kwargs: self.kwargs.iter().map(|(name, arg)| (name.to_string(), arg.clone())).collect(),
        };
        let shape = postcard::to_allocvec(&shape)
            .map_err(|error| pyo3::exceptions::PyRuntimeError::new_err(error.to_string()))?;
        let objects = PyTuple::new(py, self.literals.iter().map(|object| object.bind(py)))?;
        match pickle::dumps(py, objects.as_any()) {
            Ok(frames) => Ok((shape, frames)),
            Err(error) => Err(self.blame(py, error)),
        }
    }

    /// The error of the first object that cannot be pickled alone.
    fn blame(&self, py: Python<'_>, error: PyErr) -> PyErr {
        self.literals.iter().find_map(|object| pickle::dumps(py, object.bind(py)).err()).unwrap_or(error)
    }

    /// The inverse of [`Template::encode`].
    ///
    /// # Errors
    /// If the bytes are not such a template.
    pub fn decode(py: Python<'_>, shape: &[u8], frames: &Frames) -> PyResult<Result<Self>> {
        let shape: Shape = match postcard::from_bytes(shape) {
            Ok(shape) => shape,
            Err(error) => return Ok(Err(error.into())),
        };
        let literals = pickle::loads(py, frames)?.cast_into::<PyTuple>()?.iter().map(Bound::unbind).collect();
        let kwargs = shape.kwargs.into_iter().map(|(name, arg)| (PyString::new(py, &name).unbind(), arg)).collect();
        Ok(Ok(Template { args: shape.args.into(), kwargs, literals }))
    }
}

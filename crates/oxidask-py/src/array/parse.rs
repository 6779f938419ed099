//! Python's ways of saying chunks, indices, numbers and axes.

use super::core::ArrayCore;
use crate::error::OrRaise;
use oxidask_array::chunks::UNKNOWN;
use oxidask_array::dtype::Constant;
use oxidask_array::{ChunkSpec, DType, Index, Operand, Scalar};
use oxidask_core::config::parse_bytes;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyEllipsis, PyFloat, PyInt, PySlice, PyString, PyTuple};

/// A dtype by its name.
pub fn dtype_of(name: &str) -> PyResult<DType> {
    DType::from_name(name).or_raise()
}

/// A dtype by its name, if there is one.
pub fn optional_dtype(name: Option<&str>) -> PyResult<Option<DType>> {
    name.map(dtype_of).transpose()
}

/// A number: Python's own, which is weak, or `(dtype, number)`.
fn scalar_of(object: &Bound<'_, PyAny>) -> PyResult<Scalar> {
    if let Ok(pair) = object.cast::<PyTuple>() {
        let (name, value): (String, Bound<'_, PyAny>) = pair.extract()?;
        let dtype = dtype_of(&name)?;
        let plain = scalar_of(&value)?;
        return Ok(Scalar::Typed(match plain {
            Scalar::Float(value) => Constant::from_f64(dtype, value),
            plain => plain.to_constant(dtype).or_raise()?,
        }));
    }
    if object.is_instance_of::<PyBool>() {
        return Ok(Scalar::Bool(object.extract()?));
    }
    if object.is_instance_of::<PyInt>() {
        return Ok(Scalar::Int(object.extract()?));
    }
    if object.is_instance_of::<PyFloat>() {
        return Ok(Scalar::Float(object.extract()?));
    }
    Err(PyTypeError::new_err(format!("expected a number, got {}", object.get_type().name()?)))
}

/// A number, as an argument of a function.
pub struct Number(pub Scalar);

impl<'a, 'py> FromPyObject<'a, 'py> for Number {
    type Error = PyErr;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        scalar_of(&object).map(Number)
    }
}

/// An array or a number, as an argument of a function.
pub struct Value(pub Operand);

impl<'a, 'py> FromPyObject<'a, 'py> for Value {
    type Error = PyErr;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        if let Ok(core) = object.cast::<ArrayCore>() {
            return Ok(Value(core.get().array().into()));
        }
        scalar_of(&object).map(|scalar| Value(scalar.into()))
    }
}

fn chunk_spec(object: &Bound<'_, PyAny>) -> PyResult<ChunkSpec> {
    if object.is_none() {
        return Ok(ChunkSpec::Keep);
    }
    if let Ok(text) = object.cast::<PyString>() {
        let text = text.to_cow()?;
        return match &*text {
            "auto" => Ok(ChunkSpec::Auto),
            text => Ok(ChunkSpec::Bytes(parse_bytes(text).or_raise()?)),
        };
    }
    if let Ok(size) = object.extract::<i64>() {
        return match usize::try_from(size) {
            Ok(size) => Ok(ChunkSpec::Size(size)),
            Err(_) if size == -1 => Ok(ChunkSpec::Whole),
            Err(_) => {
                Err(PyValueError::new_err(format!("{size} is no chunk size\nhint: -1 stands for the whole axis")))
            }
        };
    }
    let one = |size: &Bound<'_, PyAny>| match size.extract::<f64>() {
        Ok(size) if size.is_nan() => Ok(UNKNOWN),
        _ => size.extract(),
    };
    let sizes = object.try_iter().and_then(|sizes| sizes.map(|size| one(&size?)).collect::<PyResult<Vec<usize>>>());
    match sizes {
        Ok(sizes) => Ok(ChunkSpec::Sizes(sizes)),
        Err(_) => Err(PyTypeError::new_err(format!(
            "{} is no chunk size\nhint: use an int, a tuple of ints, -1, None, 'auto' or a text such as '64 MiB'",
            object.repr()?
        ))),
    }
}

/// Chunks for every axis of an array of `ndim` dimensions.
pub fn chunk_specs(object: &Bound<'_, PyAny>, ndim: usize) -> PyResult<Vec<ChunkSpec>> {
    if let Ok(dict) = object.cast::<PyDict>() {
        let mut specs = vec![ChunkSpec::Keep; ndim];
        for (axis, spec) in dict.iter() {
            let axis = oxidask_array::index::axis_in(axis.extract()?, ndim).or_raise()?;
            specs[axis] = chunk_spec(&spec)?;
        }
        return Ok(specs);
    }
    if object.is_instance_of::<PyString>() || object.is_none() || object.extract::<i64>().is_ok() {
        return Ok(vec![chunk_spec(object)?; ndim]);
    }
    let entries: Vec<Bound<'_, PyAny>> = object.try_iter()?.collect::<PyResult<_>>()?;
    if ndim == 1 && entries.len() > 1 && entries.iter().all(|entry| entry.extract::<i64>().is_ok()) {
        return Ok(vec![chunk_spec(object)?]);
    }
    if entries.len() != ndim {
        return Err(PyValueError::new_err(format!(
            "chunks {} have {} entries for an array of {ndim} dimensions",
            object.repr()?,
            entries.len()
        )));
    }
    entries.iter().map(chunk_spec).collect()
}

/// A basic index: one entry or a tuple of them.
pub fn index_of(object: &Bound<'_, PyAny>) -> PyResult<Vec<Index>> {
    let one = |entry: &Bound<'_, PyAny>| -> PyResult<Index> {
        if entry.is_none() {
            return Ok(Index::NewAxis);
        }
        if entry.is_instance_of::<PyEllipsis>() {
            return Ok(Index::Ellipsis);
        }
        if let Ok(slice) = entry.cast::<PySlice>() {
            let part = |name: &str| -> PyResult<Option<i64>> {
                let part = slice.getattr(name)?;
                if part.is_none() {
                    return Ok(None);
                }
                // Bounds beyond 64 bits are beyond every array.
                let index = part.call_method0("__index__")?;
                Ok(Some(
                    index
                        .extract()
                        .or_else(|_| Ok::<i64, PyErr>(if index.lt(0)? { i64::MIN / 2 } else { i64::MAX / 2 }))?,
                ))
            };
            return Ok(Index::Slice { start: part("start")?, stop: part("stop")?, step: part("step")?.unwrap_or(1) });
        }
        Ok(Index::At(entry.call_method0("__index__")?.extract()?))
    };
    match object.cast::<PyTuple>() {
        Ok(entries) => entries.iter().map(|entry| one(&entry)).collect(),
        Err(_) => Ok(vec![one(object)?]),
    }
}

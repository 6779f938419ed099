//! Values and names of functions between Python and the engine.

use super::column::PyColumn;
use crate::error::OrRaise;
use oxidask_frame::window::{Rolling, Window};
use oxidask_frame::{AggFunc, Operand, Scalar, Unit};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyFloat, PyInt, PyString};

/// A Python scalar; times come as `("datetime" | "timedelta", number, unit)`,
/// where without a unit the number counts nanoseconds.
pub fn scalar(object: &Bound<'_, PyAny>) -> PyResult<Scalar> {
    if object.is_none() {
        return Ok(Scalar::Null);
    }
    if let Ok(value) = object.cast::<PyBool>() {
        return Ok(Scalar::Bool(value.is_true()));
    }
    if object.is_instance_of::<PyInt>() {
        if let Ok(value) = object.extract::<i64>() {
            return Ok(Scalar::Int(value));
        }
        return Ok(Scalar::UInt(object.extract()?));
    }
    if object.is_instance_of::<PyFloat>() {
        return Ok(Scalar::Float(object.extract()?));
    }
    if let Ok(text) = object.cast::<PyString>() {
        return Ok(Scalar::Str(text.to_str()?.to_owned()));
    }
    if let Some((kind, value, unit)) = time_of(object) {
        return Ok(if kind == "datetime" { Scalar::Datetime(value, unit) } else { Scalar::Duration(value, unit) });
    }
    Err(PyTypeError::new_err(format!("{} is no value that a column can hold", object.get_type().name()?)))
}

fn time_of(object: &Bound<'_, PyAny>) -> Option<(String, i64, Unit)> {
    if let Ok((kind, value)) = object.extract::<(String, i64)>() {
        return Some((kind, value, Unit::Nanoseconds));
    }
    let (kind, value, unit) = object.extract::<(String, i64, String)>().ok()?;
    let all = [Unit::Nanoseconds, Unit::Microseconds, Unit::Milliseconds];
    let unit = all.into_iter().find(|known| format!("{known:?}") == unit)?;
    Some((kind, value, unit))
}

/// Several scalars.
pub fn scalars(objects: &[Bound<'_, PyAny>]) -> PyResult<Vec<Scalar>> {
    objects.iter().map(scalar).collect()
}

/// A column, a column with one row in a tuple, or a scalar.
pub fn operand(object: &Bound<'_, PyAny>) -> PyResult<Operand> {
    if let Ok(column) = object.cast::<PyColumn>() {
        return Ok(Operand::Column(column.get().0.clone()));
    }
    if let Ok((single,)) = object.extract::<(PyRef<'_, PyColumn>,)>() {
        return Ok(Operand::Single(single.0.clone()));
    }
    scalar(object).map(Operand::Scalar)
}

/// A scalar as Python sees it; times as in [`scalar`].
pub fn scalar_object<'py>(py: Python<'py>, value: &Scalar) -> PyResult<Bound<'py, PyAny>> {
    Ok(match value {
        Scalar::Null => py.None().into_bound(py),
        Scalar::Bool(value) => PyBool::new(py, *value).to_owned().into_any(),
        Scalar::Int(value) => value.into_pyobject(py)?.into_any(),
        Scalar::UInt(value) => value.into_pyobject(py)?.into_any(),
        Scalar::Float(value) => value.into_pyobject(py)?.into_any(),
        Scalar::Str(value) => value.into_pyobject(py)?.into_any(),
        Scalar::Datetime(value, unit) => ("datetime", *value, format!("{unit:?}")).into_pyobject(py)?.into_any(),
        Scalar::Duration(value, unit) => ("timedelta", *value, format!("{unit:?}")).into_pyobject(py)?.into_any(),
    })
}

/// An aggregate by pandas' name.
pub fn function(name: &str, ddof: u8) -> PyResult<AggFunc> {
    Ok(match AggFunc::by_name(name).or_raise()? {
        AggFunc::Std(_) => AggFunc::Std(ddof),
        AggFunc::Var(_) => AggFunc::Var(ddof),
        other => other,
    })
}

/// A window function by its name and three parameters, of which each function
/// reads what it has: rows, least number of values, whether it is centred.
pub fn window(name: &str, rows: i64, min_periods: u32, center: bool, ddof: u8) -> PyResult<Window> {
    let Some(func) = name.strip_prefix("rolling_") else {
        return match name {
            "shift" => Ok(Window::Shift(rows)),
            "diff" => Ok(Window::Diff(rows)),
            _ => Window::by_name(name).or_raise(),
        };
    };
    let func = match func {
        "sum" => Rolling::Sum,
        "mean" => Rolling::Mean,
        "min" => Rolling::Min,
        "max" => Rolling::Max,
        "count" => Rolling::Count,
        "median" => Rolling::Median,
        "std" => Rolling::Std(ddof),
        "var" => Rolling::Var(ddof),
        _ => return Err(PyValueError::new_err(format!("there is no rolling aggregate '{func}'"))),
    };
    let size = u32::try_from(rows).map_err(|_| PyValueError::new_err("a window has at least no rows"))?;
    Ok(Window::Rolling { func, size, min_periods, center })
}

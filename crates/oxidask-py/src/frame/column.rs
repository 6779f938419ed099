//! Columns as Python sees them.

use super::handles::PyFrame;
use super::scalars::{function, operand, scalars, window};
use crate::error::OrRaise;
use oxidask_frame::expression::{Binary, Text, Time, Unary};
use oxidask_frame::{AggFunc, ColExpr, Column, DType};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

/// A lazy column.
#[pyclass(frozen, name = "Column", module = "oxidask._oxidask")]
pub struct PyColumn(pub Column);

#[pymethods]
impl PyColumn {
    #[getter]
    fn name(&self) -> Option<&str> {
        self.0.name.as_deref()
    }

    #[getter]
    fn dtype(&self) -> PyResult<String> {
        Ok(self.0.dtype().or_raise()?.to_string())
    }

    /// The frame of this column alone.
    fn frame(&self) -> PyFrame {
        PyFrame(self.0.to_frame())
    }

    #[pyo3(signature = (name))]
    fn rename(&self, name: Option<&str>) -> PyColumn {
        PyColumn(self.0.rename(name))
    }

    /// An operator with a column or a scalar, which comes first if `reflected`.
    fn binary(&self, op: &str, other: &Bound<'_, PyAny>, reflected: bool) -> PyResult<PyColumn> {
        let op = Binary::by_name(op).ok_or_else(|| PyValueError::new_err(format!("there is no operator '{op}'")))?;
        let apply = |a: ColExpr, b: ColExpr| if reflected { b.binary(op, a) } else { a.binary(op, b) };
        self.0.zip(&operand(other)?, apply).or_raise().map(PyColumn)
    }

    #[pyo3(signature = (op, decimals = 0))]
    fn unary(&self, op: &str, decimals: u32) -> PyResult<PyColumn> {
        let op = match op {
            "neg" => Unary::Negate,
            "not" => Unary::Not,
            "abs" => Unary::Abs,
            "isna" => Unary::IsNull,
            "notna" => Unary::NotNull,
            "sqrt" => Unary::Sqrt,
            "floor" => Unary::Floor,
            "ceil" => Unary::Ceil,
            "round" => Unary::Round(decimals),
            _ => return Err(PyValueError::new_err(format!("there is no function '{op}'"))),
        };
        self.0.map(|expr| expr.unary(op)).or_raise().map(PyColumn)
    }

    fn astype(&self, dtype: &str) -> PyResult<PyColumn> {
        let dtype = DType::parse(dtype).or_raise()?;
        self.0.map(|expr| expr.cast(dtype)).or_raise().map(PyColumn)
    }

    fn fillna(&self, value: &Bound<'_, PyAny>) -> PyResult<PyColumn> {
        let filled = self.0.zip(&operand(value)?, ColExpr::fill_null).or_raise()?;
        Ok(PyColumn(filled.rename(self.0.name.as_deref())))
    }

    fn isin(&self, values: Vec<Bound<'_, PyAny>>) -> PyResult<PyColumn> {
        let values = scalars(&values)?;
        self.0.map(|expr| expr.is_in(values)).or_raise().map(PyColumn)
    }

    /// It where `condition` holds, elsewhere `other`.
    fn when(&self, condition: &PyColumn, other: &Bound<'_, PyAny>) -> PyResult<PyColumn> {
        self.0.when(&condition.0, &operand(other)?).or_raise().map(PyColumn)
    }

    #[pyo3(signature = (name, *args))]
    fn text(&self, name: &str, args: &Bound<'_, PyTuple>) -> PyResult<PyColumn> {
        let function = text_function(name, args)?;
        self.0.map(|expr| expr.text(function)).or_raise().map(PyColumn)
    }

    #[pyo3(signature = (name, format = None))]
    fn time(&self, name: &str, format: Option<String>) -> PyResult<PyColumn> {
        let function = match name {
            "year" => Time::Year,
            "month" => Time::Month,
            "day" => Time::Day,
            "hour" => Time::Hour,
            "minute" => Time::Minute,
            "second" => Time::Second,
            "microsecond" => Time::Microsecond,
            "quarter" => Time::Quarter,
            "dayofweek" => Time::DayOfWeek,
            "dayofyear" => Time::DayOfYear,
            "days_in_month" => Time::DaysInMonth,
            "normalize" => Time::Normalize,
            "strftime" => Time::Strftime(format.unwrap_or_default()),
            "total_seconds" => Time::TotalSeconds,
            "days" => Time::Days,
            _ => return Err(PyValueError::new_err(format!("there is no function '{name}' of times"))),
        };
        self.0.map(|expr| expr.time(function)).or_raise().map(PyColumn)
    }

    fn filter(&self, condition: &PyColumn) -> PyResult<PyColumn> {
        self.0.filter_by(&condition.0).or_raise().map(PyColumn)
    }

    /// The column of a frame that was made from this one.
    fn of_frame(&self, frame: &PyFrame) -> PyResult<PyColumn> {
        self.0.of_frame(frame.0.clone()).or_raise().map(PyColumn)
    }

    fn reduce(&self, func: &str, ddof: u8) -> PyResult<PyColumn> {
        self.0.reduce(function(func, ddof)?).or_raise().map(PyColumn)
    }

    /// The value below which so much of the rows' values lie.
    fn quantile(&self, q: f64) -> PyResult<PyColumn> {
        if !(0.0..=1.0).contains(&q) {
            return Err(PyValueError::new_err(format!("a quantile lies between 0 and 1, not at {q}")));
        }
        let millionths = (q * 1e6).round() as u32;
        self.0.reduce(AggFunc::Quantile(millionths)).or_raise().map(PyColumn)
    }

    fn value_counts(&self, sort: bool, ascending: bool, dropna: bool, normalize: bool) -> PyResult<PyColumn> {
        self.0.value_counts(sort, ascending, dropna, normalize).or_raise().map(PyColumn)
    }

    /// A function of the rows around each row; see [`window`].
    #[pyo3(signature = (name, rows = 1, min_periods = 1, center = false, ddof = 1))]
    fn window(&self, name: &str, rows: i64, min_periods: u32, center: bool, ddof: u8) -> PyResult<PyColumn> {
        self.0.window(window(name, rows, min_periods, center, ddof)?).or_raise().map(PyColumn)
    }

    fn unique(&self) -> PyResult<PyColumn> {
        self.0.unique().or_raise().map(PyColumn)
    }
}

fn text_function(name: &str, args: &Bound<'_, PyTuple>) -> PyResult<Text> {
    let text = |position: usize| args.get_item(position)?.extract::<String>();
    let optional = |position: usize| args.get_item(position)?.extract::<Option<String>>();
    let flag = |position: usize| args.get_item(position)?.extract::<bool>();
    Ok(match name {
        "lower" => Text::Lower,
        "upper" => Text::Upper,
        "len" => Text::Len,
        "strip" => Text::Strip(optional(0)?),
        "lstrip" => Text::LStrip(optional(0)?),
        "rstrip" => Text::RStrip(optional(0)?),
        "startswith" => Text::StartsWith(text(0)?),
        "endswith" => Text::EndsWith(text(0)?),
        "contains" => Text::Contains { pattern: text(0)?, case: flag(1)?, regex: flag(2)? },
        "replace" => Text::Replace { pattern: text(0)?, with: text(1)?, regex: flag(2)? },
        "slice" => Text::Slice(args.get_item(0)?.extract()?, args.get_item(1)?.extract()?),
        "zfill" => Text::ZFill(args.get_item(0)?.extract()?),
        "split_get" => Text::SplitGet { separator: text(0)?, piece: args.get_item(1)?.extract()? },
        _ => return Err(PyValueError::new_err(format!("there is no function '{name}' of strings"))),
    })
}

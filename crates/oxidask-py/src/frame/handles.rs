//! Frames and columns as Python sees them: what the classes of
//! `oxidask.dataframe` hold.

use super::apply::{Appearance, FrameCall, checked};
use super::partition::PyPartition;
use super::{Shape, expression};
use crate::base::PyExpr;
use crate::error::OrRaise;
use oxidask_core::Error;
use oxidask_frame::expression::{Binary, Text, Time, Unary};
use oxidask_frame::plan::{Node, meta};
use oxidask_frame::{
    AggFunc, ColExpr, Column, CsvOptions, DType, Frame, GroupBy, JoinHow, Keep, Merge, Operand, Scalar, SortKey, Unit,
    col,
};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyString, PyTuple};
use std::sync::Arc;

/// Adds this file's classes and functions to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PyFrame>()?;
    module.add_class::<PyColumn>()?;
    module.add_function(wrap_pyfunction!(read_csv, module)?)?;
    module.add_function(wrap_pyfunction!(read_parquet, module)?)?;
    module.add_function(wrap_pyfunction!(frame_of_partition, module)?)?;
    module.add_function(wrap_pyfunction!(concat_frames, module)?)?;
    module.add_function(wrap_pyfunction!(apply_frames, module)?)
}

/// A lazy table.
#[pyclass(frozen, name = "Frame", module = "oxidask._oxidask")]
pub struct PyFrame(pub Frame);

/// A lazy column.
#[pyclass(frozen, name = "Column", module = "oxidask._oxidask")]
pub struct PyColumn(pub Column);

/// A Python scalar; times come as `("datetime" | "timedelta", nanoseconds)`.
fn scalar(object: &Bound<'_, PyAny>) -> PyResult<Scalar> {
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
    if let Ok((kind, value)) = object.extract::<(String, i64)>() {
        let unit = Unit::Nanoseconds;
        return Ok(if kind == "datetime" { Scalar::Datetime(value, unit) } else { Scalar::Duration(value, unit) });
    }
    Err(PyTypeError::new_err(format!("{} is no value that a column can hold", object.get_type().name()?)))
}

/// A column, a column with one row in a tuple, or a scalar.
fn operand(object: &Bound<'_, PyAny>) -> PyResult<Operand> {
    if let Ok(column) = object.cast::<PyColumn>() {
        return Ok(Operand::Column(column.get().0.clone()));
    }
    if let Ok((single,)) = object.extract::<(PyRef<'_, PyColumn>,)>() {
        return Ok(Operand::Single(single.0.clone()));
    }
    scalar(object).map(Operand::Scalar)
}

fn scalar_object<'py>(py: Python<'py>, value: &Scalar) -> PyResult<Bound<'py, PyAny>> {
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

fn function(name: &str, ddof: u8) -> PyResult<AggFunc> {
    Ok(match AggFunc::by_name(name).or_raise()? {
        AggFunc::Std(_) => AggFunc::Std(ddof),
        AggFunc::Var(_) => AggFunc::Var(ddof),
        other => other,
    })
}

#[pymethods]
impl PyFrame {
    /// The expression, to be computed as a collection of this kind.
    fn expr(&self, shape: &str) -> PyResult<PyExpr> {
        Ok(expression(self.0.node().or_raise()?, Shape::by_name(shape)?))
    }

    #[getter]
    fn columns(&self) -> Vec<String> {
        self.0.column_names().iter().map(|name| name.to_string()).collect()
    }

    #[getter]
    fn n_partitions(&self) -> usize {
        self.0.n_partitions()
    }

    #[getter]
    fn index_names(&self) -> Vec<Option<String>> {
        self.0.meta().index_names.iter().map(|name| name.as_deref().map(str::to_owned)).collect()
    }

    #[getter]
    fn divisions<'py>(&self, py: Python<'py>) -> PyResult<Option<Vec<Bound<'py, PyAny>>>> {
        let divisions = self.0.meta().divisions.as_ref();
        divisions.map(|all| all.iter().map(|value| scalar_object(py, value)).collect()).transpose()
    }

    /// No rows, with the columns, types and index of this frame.
    fn empty(&self) -> PyResult<PyPartition> {
        Ok(PyPartition::new(meta(&self.0.node().or_raise()?).empty()))
    }

    fn explain(&self) -> PyResult<String> {
        self.0.explain().or_raise()
    }

    fn column(&self, name: &str) -> PyResult<PyColumn> {
        self.0.column(name).or_raise().map(PyColumn)
    }

    fn select(&self, names: Vec<String>) -> PyResult<PyFrame> {
        self.0.select(names).or_raise().map(PyFrame)
    }

    fn drop(&self, names: Vec<String>) -> PyResult<PyFrame> {
        self.0.drop(names).or_raise().map(PyFrame)
    }

    fn rename(&self, names: std::collections::HashMap<String, String>) -> PyFrame {
        PyFrame(self.0.rename(|name| names.get(name).cloned()))
    }

    fn with_column(&self, name: &str, column: &PyColumn) -> PyResult<PyFrame> {
        self.0.with_column(name, &column.0).or_raise().map(PyFrame)
    }

    fn with_scalar(&self, name: &str, value: &Bound<'_, PyAny>) -> PyResult<PyFrame> {
        self.0.with(name, &ColExpr::Literal(scalar(value)?)).or_raise().map(PyFrame)
    }

    fn filter(&self, condition: &PyColumn) -> PyResult<PyFrame> {
        self.0.filter_by(&condition.0).or_raise().map(PyFrame)
    }

    fn head(&self, n: u64, n_partitions: usize) -> PyResult<PyFrame> {
        self.0.head(n, n_partitions).or_raise().map(PyFrame)
    }

    fn tail(&self, n: u64) -> PyResult<PyFrame> {
        self.0.tail(n).or_raise().map(PyFrame)
    }

    fn partitions(&self, blocks: Vec<u32>) -> PyResult<PyFrame> {
        self.0.partitions(&blocks).or_raise().map(PyFrame)
    }

    fn repartition(&self, n_partitions: usize) -> PyResult<PyFrame> {
        self.0.repartition(n_partitions).or_raise().map(PyFrame)
    }

    /// In order of the columns in `by`; `limit` keeps so many rows.
    #[pyo3(signature = (by, ascending, nulls_last, limit = None))]
    fn sort_values(
        &self,
        by: Vec<String>,
        ascending: Vec<bool>,
        nulls_last: bool,
        limit: Option<u64>,
    ) -> PyResult<PyFrame> {
        let keys = by.iter().zip(ascending);
        let keys =
            keys.map(|(name, ascending)| SortKey { by: col(name), descending: !ascending, nulls_last }).collect();
        let sorted = match limit {
            None => self.0.sort_values(keys),
            Some(n) => self.0.top(keys, n),
        };
        sorted.or_raise().map(PyFrame)
    }

    #[pyo3(signature = (subset, keep))]
    fn drop_duplicates(&self, subset: Option<Vec<String>>, keep: &str) -> PyResult<PyFrame> {
        let keep = match keep {
            "first" => Keep::First,
            "last" => Keep::Last,
            _ => return Err(PyValueError::new_err(format!("keep is 'first' or 'last', not '{keep}'"))),
        };
        self.0.drop_duplicates(subset.as_deref(), keep, 1).or_raise().map(PyFrame)
    }

    fn reset_index(&self, drop: bool) -> PyResult<PyFrame> {
        self.0.reset_index(drop).or_raise().map(PyFrame)
    }

    fn set_index(&self, column: &PyColumn, drop: bool, sorted: bool) -> PyResult<PyFrame> {
        self.0.set_index(&column.0, drop, sorted).or_raise().map(PyFrame)
    }

    fn reduce(&self, func: &str, numeric_only: bool, ddof: u8) -> PyResult<PyColumn> {
        self.0.reduce(function(func, ddof)?, numeric_only).or_raise().map(PyColumn)
    }

    fn len(&self) -> PyResult<PyColumn> {
        self.0.len().or_raise().map(PyColumn)
    }

    /// Groups by `keys`; `columns` are (name of the result, column, function).
    fn groupby_agg(
        &self,
        keys: Vec<PyRef<'_, PyColumn>>,
        columns: Vec<(String, String, String)>,
        sort: bool,
        dropna: bool,
        ddof: u8,
    ) -> PyResult<PyFrame> {
        let groups = self.groups(&keys, sort, dropna)?;
        let mut all = Vec::with_capacity(columns.len());
        for (name, column, func) in columns {
            all.push((name, column, function(&func, ddof)?));
        }
        groups.agg_as(all).or_raise().map(PyFrame)
    }

    fn groupby_size(&self, keys: Vec<PyRef<'_, PyColumn>>, sort: bool, dropna: bool) -> PyResult<PyColumn> {
        self.groups(&keys, sort, dropna)?.size().or_raise().map(PyColumn)
    }

    fn merge(
        &self,
        right: &PyFrame,
        how: &str,
        left_on: Vec<String>,
        right_on: Vec<String>,
        suffixes: (String, String),
    ) -> PyResult<PyFrame> {
        let how = JoinHow::by_name(how).or_raise()?;
        let suffixes = (suffixes.0.as_str(), suffixes.1.as_str());
        let merge = Merge { how, left_on: &left_on, right_on: &right_on, suffixes, indicator: None };
        self.0.merge(&right.0, &merge).or_raise().map(PyFrame)
    }
}

impl PyFrame {
    fn groups(&self, keys: &[PyRef<'_, PyColumn>], sort: bool, dropna: bool) -> PyResult<GroupBy> {
        let keys = keys.iter().map(|key| key.0.clone()).collect();
        let mut groups = GroupBy::new(self.0.clone(), keys).or_raise()?;
        groups.sort = sort;
        groups.dropna = dropna;
        Ok(groups)
    }
}

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
        let values = values.iter().map(scalar).collect::<PyResult<Vec<_>>>()?;
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

fn one_byte(name: &str, text: &str) -> PyResult<u8> {
    match text.as_bytes() {
        [byte] => Ok(*byte),
        _ => Err(PyValueError::new_err(format!("{name} must be one ASCII character, not {text:?}"))),
    }
}

/// Options by name; the Python half fills in pandas' and Dask's defaults.
#[pyfunction]
fn read_csv(paths: Vec<String>, options: &Bound<'_, PyDict>) -> PyResult<PyFrame> {
    let mut csv = CsvOptions::default();
    for (name, value) in options {
        let name: String = name.extract()?;
        match name.as_str() {
            "sep" => csv.separator = one_byte("sep", &value.extract::<String>()?)?,
            "quotechar" => {
                let quote: Option<String> = value.extract()?;
                csv.quote = quote.map(|quote| one_byte("quotechar", &quote)).transpose()?;
            }
            "comment" => {
                let comment: Option<String> = value.extract()?;
                csv.comment = comment.map(|comment| one_byte("comment", &comment)).transpose()?;
            }
            "header" => csv.header = value.extract()?,
            "skiprows" => csv.skip_rows = value.extract()?,
            "names" => csv.names = value.extract()?,
            "usecols" => csv.usecols = value.extract()?,
            "dtypes" => {
                let dtypes: Vec<(String, String)> = value.extract()?;
                for (column, dtype) in dtypes {
                    csv.dtypes.push((column, DType::parse(&dtype).or_raise()?));
                }
            }
            "dtype" => {
                let dtype: Option<String> = value.extract()?;
                csv.dtype = dtype.map(|dtype| DType::parse(&dtype)).transpose().or_raise()?;
            }
            "parse_dates" => csv.parse_dates = value.extract()?,
            "na_values" => csv.na_values = value.extract()?,
            "keep_default_na" => csv.keep_default_na = value.extract()?,
            "assume_missing" => csv.assume_missing = value.extract()?,
            "blocksize" => {
                csv.blocksize = match value.extract::<String>() {
                    Ok(text) => Some(oxidask_core::config::parse_bytes(&text).or_raise()?),
                    Err(_) => value.extract()?,
                }
            }
            "sample" => csv.sample = value.extract()?,
            "path_column" => csv.path_column = value.extract()?,
            _ => return Err(PyTypeError::new_err(format!("read_csv has no option '{name}'"))),
        }
    }
    let frame = options.py().detach(|| oxidask_frame::read_csv(paths, csv));
    frame.or_raise().map(PyFrame)
}

#[pyfunction]
#[pyo3(signature = (paths, columns = None))]
fn read_parquet(py: Python<'_>, paths: Vec<String>, columns: Option<Vec<String>>) -> PyResult<PyFrame> {
    py.detach(|| oxidask_frame::read_parquet(paths, columns.as_deref())).or_raise().map(PyFrame)
}

#[pyfunction]
fn frame_of_partition(
    rows: &PyPartition,
    index_names: Vec<Option<String>>,
    n_partitions: usize,
    sorted: bool,
) -> PyResult<PyFrame> {
    let names = index_names.into_iter().map(|name| name.map(Arc::from)).collect();
    Frame::from_partition(rows.rows(), names, n_partitions, sorted).or_raise().map(PyFrame)
}

#[pyfunction]
fn concat_frames(frames: Vec<PyRef<'_, PyFrame>>) -> PyResult<PyFrame> {
    let frames: Vec<Frame> = frames.iter().map(|frame| frame.0.clone()).collect();
    Frame::concat(&frames).or_raise().map(PyFrame)
}

/// A user's function on the partitions of frames that appear as `shapes`;
/// `result` holds no rows and the columns and index of what it answers.
#[pyfunction]
fn apply_frames(
    function: &Bound<'_, PyAny>,
    frames: Vec<(PyRef<'_, PyFrame>, String)>,
    result: &PyPartition,
    index_names: Vec<Option<String>>,
) -> PyResult<PyFrame> {
    let mut nodes = Vec::with_capacity(frames.len());
    let mut inputs = Vec::with_capacity(frames.len());
    let n_partitions = frames.iter().map(|(frame, _)| frame.0.n_partitions()).max().unwrap_or(1);
    for (frame, shape) in &frames {
        if ![1, n_partitions].contains(&frame.0.n_partitions()) {
            let n = frame.0.n_partitions();
            let message = format!("cannot map over frames with {n} and {n_partitions} partitions together");
            return Err(Error::value(message).with_hint("repartition one of them")).or_raise();
        }
        inputs.push(Appearance { shape: shape.clone(), index_names: frame.index_names() });
        nodes.push(frame.0.node().or_raise()?);
    }
    checked(&inputs)?;
    let names = result.rows().frame.get_column_names().into_iter();
    let columns = names.filter(|name| !oxidask_frame::value::is_hidden(name)).map(ToString::to_string).collect();
    let op = Arc::new(FrameCall::new(function, inputs, columns));
    let index_names = index_names.into_iter().map(|name| name.map(Arc::from)).collect();
    Ok(PyFrame(Frame::from_expr(Node::apply(nodes, op, result.rows(), index_names))))
}

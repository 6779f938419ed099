//! Frames as Python sees them: what the classes of `oxidask.dataframe` hold.

use super::adopt::AdoptOp;
use super::column::PyColumn;
use super::partition::PyPartition;
use super::scalars::{function, scalar, scalar_object, scalars};
use super::{Shape, expression};
use crate::base::PyExpr;
use crate::error::OrRaise;
use oxidask_frame::plan::{Node, meta};
use oxidask_frame::{ColExpr, Frame, GroupBy, JoinHow, Keep, Merge, SortKey, col};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use std::sync::Arc;

/// Adds this file's classes and functions to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PyFrame>()?;
    module.add_class::<PyColumn>()?;
    module.add_function(wrap_pyfunction!(frame_of_partition, module)?)?;
    module.add_function(wrap_pyfunction!(concat_frames, module)?)?;
    module.add_function(wrap_pyfunction!(align_frames, module)?)?;
    module.add_function(wrap_pyfunction!(adopt_frame, module)?)
}

/// A lazy table.
#[pyclass(frozen, name = "Frame", module = "oxidask._oxidask")]
pub struct PyFrame(pub Frame);

#[pymethods]
impl PyFrame {
    /// The expression, to be computed as a collection of this kind.
    fn expr(&self, shape: &str) -> PyResult<PyExpr> {
        Ok(expression(self.0.node().or_raise()?, Shape::by_name(shape)?))
    }

    /// The partitions as those of a bag, whose functions get pandas frames.
    fn blocks(&self) -> PyResult<PyExpr> {
        Ok(crate::bag::of_blocks(self.0.node().or_raise()?, self.0.n_partitions()))
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

    /// The rows in partitions with these divisions of the index.
    fn repartition_at(&self, divisions: Vec<Bound<'_, PyAny>>) -> PyResult<PyFrame> {
        self.0.repartition_at(scalars(&divisions)?).or_raise().map(PyFrame)
    }

    /// The rows with equal keys in one of `n_partitions`.
    fn shuffle(&self, keys: Vec<String>, n_partitions: usize) -> PyResult<PyFrame> {
        self.0.shuffle(keys, n_partitions).or_raise().map(PyFrame)
    }

    /// The rows whose index lies between two values, each of which may be none.
    #[pyo3(signature = (start, stop))]
    fn loc(&self, start: Option<Bound<'_, PyAny>>, stop: Option<Bound<'_, PyAny>>) -> PyResult<PyFrame> {
        let end = |value: Option<Bound<'_, PyAny>>| value.map(|value| scalar(&value)).transpose();
        self.0.loc(end(start)?, end(stop)?).or_raise().map(PyFrame)
    }

    /// In order of the columns in `by`; `limit` keeps so many rows.
    #[pyo3(signature = (by, ascending, nulls_last, limit = None, n_partitions = None))]
    fn sort_values(
        &self,
        by: Vec<String>,
        ascending: Vec<bool>,
        nulls_last: bool,
        limit: Option<u64>,
        n_partitions: Option<usize>,
    ) -> PyResult<PyFrame> {
        let keys = by.iter().zip(ascending);
        let keys =
            keys.map(|(name, ascending)| SortKey { by: col(name), descending: !ascending, nulls_last }).collect();
        let sorted = match limit {
            None => self.0.sort_values_into(keys, n_partitions.unwrap_or_else(|| self.0.n_partitions())),
            Some(n) => self.0.top(keys, n),
        };
        sorted.or_raise().map(PyFrame)
    }

    #[pyo3(signature = (subset, keep, split_out = 1))]
    fn drop_duplicates(&self, subset: Option<Vec<String>>, keep: &str, split_out: usize) -> PyResult<PyFrame> {
        let keep = match keep {
            "first" => Keep::First,
            "last" => Keep::Last,
            "neither" => Keep::Neither,
            _ => return Err(PyValueError::new_err(format!("keep is 'first', 'last' or 'neither', not '{keep}'"))),
        };
        self.0.drop_duplicates(subset.as_deref(), keep, split_out).or_raise().map(PyFrame)
    }

    fn reset_index(&self, drop: bool) -> PyResult<PyFrame> {
        self.0.reset_index(drop).or_raise().map(PyFrame)
    }

    fn set_index(&self, column: &PyColumn, drop: bool, sorted: bool) -> PyResult<PyFrame> {
        self.0.set_index(&column.0, drop, sorted).or_raise().map(PyFrame)
    }

    /// A column as index, the rows sorted into partitions with these divisions.
    fn set_index_divided(&self, column: &PyColumn, drop: bool, divisions: Vec<Bound<'_, PyAny>>) -> PyResult<PyFrame> {
        self.0.set_index_divided(&column.0, drop, scalars(&divisions)?).or_raise().map(PyFrame)
    }

    /// The values at which partitions of about equal length would begin, and the greatest.
    fn bounds_of(&self, column: &PyColumn, n_partitions: usize) -> PyResult<PyColumn> {
        self.0.bounds_of(&column.0, n_partitions).or_raise().map(PyColumn)
    }

    fn reduce(&self, func: &str, numeric_only: bool, ddof: u8) -> PyResult<PyColumn> {
        self.0.reduce(function(func, ddof)?, numeric_only).or_raise().map(PyColumn)
    }

    fn len(&self) -> PyResult<PyColumn> {
        self.0.len().or_raise().map(PyColumn)
    }

    /// Groups by `keys`; `columns` are (name of the result, column, function).
    #[pyo3(signature = (keys, columns, sort, dropna, ddof, split_out = 1))]
    fn groupby_agg(
        &self,
        keys: Vec<PyRef<'_, PyColumn>>,
        columns: Vec<(String, String, String)>,
        sort: bool,
        dropna: bool,
        ddof: u8,
        split_out: usize,
    ) -> PyResult<PyFrame> {
        let groups = self.groups(&keys, sort, dropna, split_out)?;
        let mut all = Vec::with_capacity(columns.len());
        for (name, column, func) in columns {
            all.push((name, column, function(&func, ddof)?));
        }
        groups.agg_as(all).or_raise().map(PyFrame)
    }

    #[pyo3(signature = (keys, sort, dropna, split_out = 1))]
    fn groupby_size(
        &self,
        keys: Vec<PyRef<'_, PyColumn>>,
        sort: bool,
        dropna: bool,
        split_out: usize,
    ) -> PyResult<PyColumn> {
        self.groups(&keys, sort, dropna, split_out)?.size().or_raise().map(PyColumn)
    }

    #[pyo3(signature = (right, how, left_on, right_on, suffixes, indicator = None))]
    fn merge(
        &self,
        right: &PyFrame,
        how: &str,
        left_on: Vec<String>,
        right_on: Vec<String>,
        suffixes: (String, String),
        indicator: Option<String>,
    ) -> PyResult<PyFrame> {
        let how = JoinHow::by_name(how).or_raise()?;
        let suffixes = (suffixes.0.as_str(), suffixes.1.as_str());
        let merge = Merge { how, left_on: &left_on, right_on: &right_on, suffixes, indicator: indicator.as_deref() };
        self.0.merge(&right.0, &merge).or_raise().map(PyFrame)
    }
}

impl PyFrame {
    fn groups(&self, keys: &[PyRef<'_, PyColumn>], sort: bool, dropna: bool, split_out: usize) -> PyResult<GroupBy> {
        let keys = keys.iter().map(|key| key.0.clone()).collect();
        let mut groups = GroupBy::new(self.0.clone(), keys).or_raise()?;
        groups.sort = sort;
        groups.dropna = dropna;
        groups.split_out = split_out;
        Ok(groups)
    }
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

/// Frames with known divisions in the same partitions.
#[pyfunction]
fn align_frames(frames: Vec<PyRef<'_, PyFrame>>) -> PyResult<Vec<PyFrame>> {
    let frames: Vec<Frame> = frames.iter().map(|frame| frame.0.clone()).collect();
    Ok(Frame::align(&frames).or_raise()?.into_iter().map(PyFrame).collect())
}

/// Pandas objects in the blocks of a bag as partitions of a frame: `function` makes
/// one of each; `result` holds no rows, and the columns and index of what it makes.
#[pyfunction]
fn adopt_frame(
    blocks: &PyExpr,
    function: &Bound<'_, PyAny>,
    result: &PyPartition,
    index_names: Vec<Option<String>>,
    n_partitions: usize,
    divisions: Option<Vec<Bound<'_, PyAny>>>,
) -> PyResult<PyFrame> {
    let index_names = index_names.into_iter().map(|name| name.map(Arc::from)).collect();
    let divisions = divisions.map(|all| scalars(&all)).transpose()?;
    let op = Arc::new(AdoptOp::new(function));
    let node = Node::adopt(blocks.0.expr.clone(), op, result.rows(), index_names, n_partitions, divisions);
    Ok(PyFrame(Frame::from_expr(node)))
}

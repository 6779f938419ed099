//! Dataframes for Python: handles on the engine's frames and columns, and the
//! border that partitions cross as Arrow streams.

mod adopt;
mod column;
mod handles;
mod partition;
mod readers;
mod scalars;

use crate::base::Collection;
use crate::error::OrRaise;
use oxidask_core::{ExprRef, Result, Value};
use oxidask_frame::Frame;
use oxidask_frame::plan::{Node, meta};
use partition::PyPartition;
use pyo3::prelude::*;
use std::sync::Arc;

/// Adds this file's classes and functions to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    partition::register(module)?;
    handles::register(module)?;
    readers::register(module)
}

/// What a frame's rows are to their user: one stateless object for each kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A table.
    Frame,
    /// A column with its index.
    Series,
    /// A column alone, as an index.
    Index,
    /// One value.
    Scalar,
    /// The distinct values of a column.
    Array,
}

impl Shape {
    fn name(self) -> &'static str {
        match self {
            Shape::Frame => "frame",
            Shape::Series => "series",
            Shape::Index => "index",
            Shape::Scalar => "scalar",
            Shape::Array => "array",
        }
    }

    /// The shape by the name that the Python half uses.
    pub fn by_name(name: &str) -> PyResult<Shape> {
        let all = [Shape::Frame, Shape::Series, Shape::Index, Shape::Scalar, Shape::Array];
        all.into_iter()
            .find(|shape| shape.name() == name)
            .ok_or_else(|| pyo3::exceptions::PyValueError::new_err(format!("there is no kind of collection '{name}'")))
    }
}

impl Collection for Shape {
    fn finish(&self, py: Python<'_>, expr: &ExprRef, blocks: Vec<Value>) -> PyResult<Py<PyAny>> {
        let partitions = blocks.iter().map(|block| block.expect()).collect::<Result<Vec<_>>>().or_raise()?;
        let all = py.detach(|| oxidask_frame::Partition::concat(&partitions)).or_raise()?;
        let names: Vec<Option<String>> =
            meta(expr).index_names.iter().map(|name| name.as_deref().map(str::to_owned)).collect();
        partition::to_pandas(py, PyPartition::result(all), self.name(), names)
    }

    fn whole(&self, expr: &ExprRef) -> Result<ExprRef> {
        Node::tree(expr, vec![], vec![], meta(expr).index_names.clone())
    }

    fn wrap(&self, py: Python<'_>, expr: ExprRef) -> PyResult<Py<PyAny>> {
        let frame = Frame::from_expr(expr);
        let module = py.import("oxidask.dataframe._collection")?;
        let wrap = module.getattr("wrap")?;
        Ok(wrap.call1((handles::PyFrame(frame), self.name()))?.unbind())
    }

    fn block(&self, _expr: &ExprRef, object: Bound<'_, PyAny>) -> PyResult<Value> {
        if object.is_instance_of::<crate::foreign::PyValue>() {
            return Ok(crate::foreign::unwrapped(object));
        }
        Ok(Value::new(partition::from_pandas(&object).or_raise()?))
    }
}

/// The expression of a frame as its Python object hands it over.
fn expression(expr: ExprRef, shape: Shape) -> crate::base::PyExpr {
    crate::base::PyExpr::new(expr, Arc::new(shape))
}

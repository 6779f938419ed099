//! Partitions between the engine and pandas, by way of Arrow.

use crate::error::{OrError, OrRaise};
use crate::value::Conversion;
use oxidask_core::{Result, Value};
use oxidask_frame::arrow::{ArrowArrayStream, export, import_from};
use oxidask_frame::{Index, Partition};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyCapsuleMethods};

/// Adds this file's classes and functions to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PyPartition>()
}

/// Rows of a frame, as an Arrow stream.
#[pyclass(frozen, name = "Partition", module = "oxidask._oxidask")]
pub struct PyPartition {
    rows: Partition,
    /// Whether they are a result, for whose conversion all threads may be used.
    result: bool,
}

impl PyPartition {
    /// Wraps rows.
    pub fn new(rows: Partition) -> Self {
        PyPartition { rows, result: false }
    }

    /// Wraps the rows of a result, whose conversion may use all threads.
    pub fn result(rows: Partition) -> Self {
        PyPartition { rows, result: true }
    }

    /// The rows.
    pub fn rows(&self) -> &Partition {
        &self.rows
    }
}

const STREAM: &std::ffi::CStr = c"arrow_array_stream";

#[pymethods]
impl PyPartition {
    /// Rows from any object with `__arrow_c_stream__`. The first `n_levels`
    /// columns are the index; without any, the rows are numbered from
    /// `range_start`.
    #[staticmethod]
    #[pyo3(signature = (table, n_levels = 0, range_start = 0))]
    fn from_arrow(table: &Bound<'_, PyAny>, n_levels: u32, range_start: i64) -> PyResult<Self> {
        let py = table.py();
        let stream = table.call_method0(intern!(py, "__arrow_c_stream__"))?;
        let capsule =
            stream.cast::<PyCapsule>().map_err(|_| PyTypeError::new_err("an Arrow stream must be a capsule"))?;
        let pointer = capsule.pointer_checked(Some(STREAM))?.as_ptr();
        // SAFETY: a capsule of this name holds a stream of Arrow's C interface,
        // and holds it as long as `stream` lives.
        let frame = unsafe { import_from(pointer) }.or_raise()?;
        let index = if n_levels == 0 { Index::Range(range_start) } else { Index::Levels(n_levels) };
        Ok(PyPartition::new(Partition { frame, index }))
    }

    /// The rows as an Arrow stream; hidden columns of the index come first.
    #[pyo3(signature = (requested_schema = None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        // A request is a wish, which a producer may ignore.
        drop(requested_schema);
        let stream: ArrowArrayStream = py.detach(|| export(&self.rows, self.result));
        PyCapsule::new_with_value(py, stream, STREAM)
    }

    /// The kind of index: `("none", 0)`, `("range", start)` or `("levels", n)`.
    #[getter]
    fn index(&self) -> (&'static str, i64) {
        match self.rows.index {
            Index::None => ("none", 0),
            Index::Range(start) => ("range", start),
            Index::Levels(levels) => ("levels", i64::from(levels)),
        }
    }

    /// The number of columns, the hidden ones of the index included.
    #[getter]
    fn n_columns(&self) -> usize {
        self.rows.frame.width()
    }

    #[getter]
    fn n_rows(&self) -> usize {
        self.rows.n_rows()
    }

    /// Writes the rows to a Parquet file.
    fn write_parquet(&self, py: Python<'_>, path: &str) -> PyResult<()> {
        py.detach(|| oxidask_frame::write_parquet(&self.rows, path)).or_raise()
    }
}

/// The pandas object of some rows: `kind` is what they are to their user.
pub fn to_pandas(
    py: Python<'_>,
    rows: PyPartition,
    kind: &str,
    index_names: Vec<Option<String>>,
) -> PyResult<Py<PyAny>> {
    let module = py.import(intern!(py, "oxidask.dataframe._pandas"))?;
    let object = module.getattr(intern!(py, "to_pandas"))?.call1((rows, kind, index_names))?;
    Ok(object.unbind())
}

/// The rows of what a user's function answered: a pandas object, or scalars.
pub fn from_pandas(object: &Bound<'_, PyAny>) -> Result<Partition> {
    let py = object.py();
    let convert = || -> PyResult<Partition> {
        let module = py.import(intern!(py, "oxidask.dataframe._pandas"))?;
        let converted = module.getattr(intern!(py, "partition_of"))?.call1((object,))?;
        let partition = converted.cast::<PyPartition>();
        let partition = partition.map_err(|_| PyValueError::new_err("the function did not answer rows"))?;
        Ok(partition.get().rows.clone())
    };
    convert().or_error(py)
}

fn partition_to_python(py: Python<'_>, value: &Value) -> PyResult<Py<PyAny>> {
    let rows: Partition = value.expect::<Partition>().or_raise()?.clone();
    to_pandas(py, PyPartition::new(rows), "frame", Vec::new())
}

inventory::submit! { Conversion { kind: "frame.partition", to_python: partition_to_python } }

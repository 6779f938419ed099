//! The class that Python's `Array` wraps.

use super::memory::{from_numpy, into_numpy};
use super::parse::{Number, Value, chunk_specs, dtype_of, index_of, optional_dtype};
use crate::base::{Collection, PyExpr};
use crate::error::OrRaise;
use oxidask_array::array::assemble;
use oxidask_array::chunks::{UNKNOWN, normalize};
use oxidask_array::expr::meta_of;
use oxidask_array::reduction::Options;
use oxidask_array::ufunc::UFUNCS;
use oxidask_array::{Array, Operand, creation, picture, random};
use oxidask_core::{ExprRef, Key, Result};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyTuple;
use std::sync::Arc;

/// How arrays appear to their users.
struct Arrays;

impl Collection for Arrays {
    fn finish(&self, py: Python<'_>, expr: &ExprRef, blocks: Vec<oxidask_core::Value>) -> PyResult<Py<PyAny>> {
        let meta = meta_of(expr).or_raise()?;
        let block = py.detach(|| {
            let whole = assemble(meta, &blocks);
            // The only reference to a block makes its memory the user's own.
            drop(blocks);
            whole
        });
        let array = into_numpy(py, block.or_raise()?)?;
        if meta.chunks.ndim() == 0 {
            // NumPy answers numbers, not arrays without dimensions.
            return Ok(array.get_item(PyTuple::empty(py))?.unbind());
        }
        Ok(array.unbind())
    }

    fn whole(&self, expr: &ExprRef) -> Result<ExprRef> {
        Ok(Array::from_expr(expr.clone())?.whole().expr().clone())
    }

    fn at_once(&self, root: ExprRef, executor: &dyn oxidask_core::Executor) -> ExprRef {
        oxidask_array::expr::place::in_place(root, executor)
    }

    fn wrap(&self, py: Python<'_>, expr: ExprRef) -> PyResult<Py<PyAny>> {
        static WRAP: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let core = ArrayCore(Array::from_expr(expr).or_raise()?);
        Ok(WRAP.import(py, "oxidask.array.core", "_wrap")?.call1((core,))?.unbind())
    }

    fn block(&self, _expr: &ExprRef, object: Bound<'_, PyAny>) -> PyResult<oxidask_core::Value> {
        if object.is_instance_of::<crate::foreign::PyValue>() {
            return Ok(crate::foreign::unwrapped(object));
        }
        Ok(oxidask_core::Value::new(from_numpy(&object)?))
    }
}

/// A lazy array of the engine.
#[pyclass(frozen, module = "oxidask._oxidask")]
pub struct ArrayCore(Array);

impl ArrayCore {
    /// Wraps an array of the engine.
    pub fn new(array: Array) -> Self {
        ArrayCore(array)
    }

    /// The engine's array.
    pub fn array(&self) -> &Array {
        &self.0
    }
}

/// A length as Python sees it: NumPy's one NaN where it is not known, so that
/// equal chunks compare equal.
fn length(py: Python<'_>, length: usize) -> PyResult<Bound<'_, PyAny>> {
    static NAN: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    if length == UNKNOWN {
        return Ok(NAN.import(py, "numpy", "nan")?.clone());
    }
    Ok(length.into_pyobject(py)?.into_any())
}

fn lengths(py: Python<'_>, all: impl IntoIterator<Item = usize>) -> PyResult<Bound<'_, PyTuple>> {
    PyTuple::new(py, all.into_iter().map(|one| length(py, one)).collect::<PyResult<Vec<_>>>()?)
}

/// The array of the engine as Python holds it.
pub fn wrap(array: Result<Array>) -> PyResult<ArrayCore> {
    array.map(ArrayCore).or_raise()
}

fn arrays_of(list: &[PyRef<'_, ArrayCore>]) -> Vec<Array> {
    list.iter().map(|core| core.0.clone()).collect()
}

/// The names of all elementwise functions and how many arguments they take.
#[pyfunction]
pub fn array_functions() -> Vec<(&'static str, usize)> {
    UFUNCS.iter().map(|ufunc| (ufunc.name, ufunc.arity)).collect()
}

#[pymethods]
impl ArrayCore {
    /// An array over NumPy's memory.
    #[staticmethod]
    fn from_numpy(
        py: Python<'_>,
        array: &Bound<'_, PyAny>,
        chunks: &Bound<'_, PyAny>,
        name: Option<&str>,
    ) -> PyResult<Self> {
        let block = from_numpy(array)?;
        let specs = chunk_specs(chunks, block.shape().len())?;
        let name = name.map(Key::named);
        wrap(py.detach(|| Array::from_named_block(block, &specs, name)))
    }

    /// An array of one value.
    #[staticmethod]
    fn full(shape: Vec<usize>, value: Number, dtype: Option<&str>, chunks: &Bound<'_, PyAny>) -> PyResult<Self> {
        let specs = chunk_specs(chunks, shape.len())?;
        wrap(creation::full(&shape, value.0, optional_dtype(dtype)?, &specs))
    }

    /// Evenly spaced numbers by their step.
    #[staticmethod]
    fn arange(
        start: Number,
        stop: Number,
        step: Number,
        dtype: Option<&str>,
        chunks: &Bound<'_, PyAny>,
    ) -> PyResult<Self> {
        wrap(creation::arange(start.0, stop.0, step.0, optional_dtype(dtype)?, &chunk_specs(chunks, 1)?))
    }

    /// Evenly spaced numbers by their count.
    #[staticmethod]
    fn linspace(
        start: f64,
        stop: f64,
        num: usize,
        endpoint: bool,
        dtype: Option<&str>,
        chunks: &Bound<'_, PyAny>,
    ) -> PyResult<Self> {
        wrap(creation::linspace(start, stop, num, endpoint, optional_dtype(dtype)?, &chunk_specs(chunks, 1)?))
    }

    /// Ones on a diagonal.
    #[staticmethod]
    fn eye(n: usize, m: usize, k: i64, dtype: &str, chunks: &Bound<'_, PyAny>) -> PyResult<Self> {
        wrap(creation::eye(n, m, k, dtype_of(dtype)?, &chunk_specs(chunks, 2)?))
    }

    /// Ones on and below a diagonal.
    #[staticmethod]
    fn tri(n: usize, m: usize, k: i64, dtype: &str, chunks: &Bound<'_, PyAny>) -> PyResult<Self> {
        wrap(creation::tri(n, m, k, dtype_of(dtype)?, &chunk_specs(chunks, 2)?))
    }

    /// An elementwise function by NumPy's name.
    #[staticmethod]
    fn apply(name: &str, operands: Vec<Value>) -> PyResult<Self> {
        let operands: Vec<Operand> = operands.into_iter().map(|value| value.0).collect();
        wrap(Array::apply(name, &operands))
    }

    /// Elements of one or the other.
    #[staticmethod]
    fn select(condition: Value, x: Value, y: Value) -> PyResult<Self> {
        wrap(Array::select(&condition.0, &x.0, &y.0))
    }

    /// Arrays one after another.
    #[staticmethod]
    fn concatenate(arrays: Vec<PyRef<'_, ArrayCore>>, axis: i64) -> PyResult<Self> {
        wrap(Array::concatenate(&arrays_of(&arrays), axis))
    }

    /// Arrays side by side.
    #[staticmethod]
    fn stack(arrays: Vec<PyRef<'_, ArrayCore>>, axis: i64) -> PyResult<Self> {
        wrap(Array::stack(&arrays_of(&arrays), axis))
    }

    /// The chunks that a user's wish means for a shape.
    #[staticmethod]
    fn normalize_chunks(chunks: &Bound<'_, PyAny>, shape: Vec<usize>, dtype: &str) -> PyResult<Vec<Vec<usize>>> {
        let chunks = normalize(&chunk_specs(chunks, shape.len())?, &shape, dtype_of(dtype)?, None).or_raise()?;
        Ok((0..chunks.ndim()).map(|axis| chunks.sizes(axis).collect()).collect())
    }

    /// The expression, for computing.
    fn expr(&self) -> PyExpr {
        static ARRAYS: std::sync::LazyLock<Arc<dyn Collection>> = std::sync::LazyLock::new(|| Arc::new(Arrays));
        PyExpr::new(self.0.expr().clone(), ARRAYS.clone())
    }

    /// The content hash, in hexadecimal digits.
    #[getter]
    fn key(&self) -> String {
        self.0.expr().key().to_string()
    }

    /// What users read: `sum`, `random`.
    #[getter]
    fn label(&self) -> String {
        self.0.expr().label().into_owned()
    }

    /// The length of every axis; NaN where it is not known.
    #[getter]
    fn shape<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        lengths(py, self.0.shape())
    }

    /// NumPy's name of the dtype.
    #[getter]
    fn dtype(&self) -> &'static str {
        self.0.dtype().name()
    }

    /// The sizes of the chunks along every axis; NaN where they are not known.
    #[getter]
    fn chunks<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let chunks = self.0.chunks();
        let axes: Vec<Bound<'py, PyTuple>> =
            (0..chunks.ndim()).map(|axis| lengths(py, chunks.sizes(axis))).collect::<PyResult<_>>()?;
        PyTuple::new(py, axes)
    }

    /// The largest chunk along every axis; NaN where it is not known.
    #[getter]
    fn chunksize<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let chunks = self.0.chunks();
        let largest = (0..chunks.ndim()).map(|axis| chunks.sizes(axis).max().unwrap_or(0));
        lengths(py, largest)
    }

    /// How many chunks there are along every axis.
    #[getter]
    fn numblocks<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.0.chunks().numblocks())
    }

    #[getter]
    fn npartitions(&self) -> usize {
        self.0.chunks().n_blocks()
    }

    #[getter]
    fn ndim(&self) -> usize {
        self.0.ndim()
    }

    /// How many elements there are; NaN where that is not known.
    #[getter]
    fn size<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        length(py, if self.0.chunks().has_unknown() { UNKNOWN } else { self.0.len() })
    }

    /// Bytes of all elements; NaN where that is not known.
    #[getter]
    fn nbytes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let n_bytes = usize::try_from(self.0.nbytes()).unwrap_or(UNKNOWN);
        length(py, if self.0.chunks().has_unknown() { UNKNOWN } else { n_bytes })
    }

    /// How many tasks computing it takes.
    fn n_tasks(&self, py: Python<'_>) -> PyResult<usize> {
        let count = || -> Result<usize> {
            let roots = oxidask_core::optimize(std::slice::from_ref(self.0.expr()))?;
            Ok(oxidask_core::lower(&roots)?.0.len())
        };
        py.detach(count).or_raise()
    }

    /// The plan as text, after optimising.
    fn explain(&self) -> PyResult<String> {
        self.0.explain().or_raise()
    }

    /// A picture of the chunks.
    fn svg(&self, size: f64) -> String {
        picture::svg(self.0.chunks(), size)
    }

    fn astype(&self, dtype: &str) -> PyResult<Self> {
        wrap(self.0.astype(dtype_of(dtype)?))
    }

    fn clip(&self, low: Option<Value>, high: Option<Value>) -> PyResult<Self> {
        wrap(self.0.clip(low.map(|value| value.0), high.map(|value| value.0)))
    }

    fn transpose(&self, axes: Option<Vec<i64>>) -> PyResult<Self> {
        match axes {
            Some(axes) => wrap(self.0.transpose(&axes)),
            None => Ok(ArrayCore(self.0.t())),
        }
    }

    fn expand_dims(&self, axes: Vec<i64>) -> PyResult<Self> {
        wrap(self.0.expand_dims(&axes))
    }

    fn squeeze(&self, axes: Option<Vec<i64>>) -> PyResult<Self> {
        wrap(self.0.squeeze(axes.as_deref()))
    }

    fn broadcast_to(&self, shape: Vec<usize>, chunks: Option<&Bound<'_, PyAny>>) -> PyResult<Self> {
        let specs = chunks.map(|chunks| chunk_specs(chunks, shape.len())).transpose()?;
        wrap(self.0.broadcast_to(&shape, specs.as_deref()))
    }

    fn getitem(&self, index: &Bound<'_, PyAny>) -> PyResult<Self> {
        wrap(self.0.slice(&index_of(index)?))
    }

    fn rechunk(&self, chunks: &Bound<'_, PyAny>) -> PyResult<Self> {
        wrap(self.0.rechunk(&chunk_specs(chunks, self.0.ndim())?))
    }

    fn reshape(&self, shape: Vec<i64>) -> PyResult<Self> {
        wrap(self.0.reshape(&shape))
    }

    fn matmul(&self, other: &Self) -> PyResult<Self> {
        wrap(self.0.matmul(&other.0))
    }

    fn dot(&self, other: &Self) -> PyResult<Self> {
        wrap(self.0.dot(&other.0))
    }

    fn outer(&self, other: &Self) -> PyResult<Self> {
        wrap(self.0.outer(&other.0))
    }

    fn tensordot(&self, other: &Self, axes: Vec<(i64, i64)>) -> PyResult<Self> {
        wrap(self.0.tensordot(&other.0, &axes))
    }

    fn reduce(
        &self,
        name: &str,
        axes: Option<Vec<i64>>,
        keepdims: bool,
        dtype: Option<&str>,
        ddof: f64,
        split_every: Option<usize>,
    ) -> PyResult<Self> {
        let dtype = optional_dtype(dtype)?;
        let options = Options { axes: axes.as_deref(), keepdims, dtype, ddof, split_every };
        wrap(self.0.reduce(name, &options))
    }
}

/// A source of random arrays.
#[pyclass(frozen, module = "oxidask._oxidask")]
pub struct RandomCore(random::Generator);

#[pymethods]
impl RandomCore {
    #[new]
    fn new(seed: Option<u64>) -> Self {
        RandomCore(seed.map_or_else(random::Generator::unpredictable, random::Generator::new))
    }

    /// Uniform numbers from 0 to below 1.
    fn random(&self, shape: Vec<usize>, chunks: &Bound<'_, PyAny>) -> PyResult<ArrayCore> {
        wrap(self.0.random(&shape, &chunk_specs(chunks, shape.len())?))
    }

    /// Normal numbers.
    fn normal(&self, loc: f64, scale: f64, shape: Vec<usize>, chunks: &Bound<'_, PyAny>) -> PyResult<ArrayCore> {
        wrap(self.0.normal(loc, scale, &shape, &chunk_specs(chunks, shape.len())?))
    }

    /// Uniform numbers of an interval.
    fn uniform(&self, low: f64, high: f64, shape: Vec<usize>, chunks: &Bound<'_, PyAny>) -> PyResult<ArrayCore> {
        wrap(self.0.uniform(low, high, &shape, &chunk_specs(chunks, shape.len())?))
    }

    /// Exponentially distributed numbers.
    fn exponential(&self, scale: f64, shape: Vec<usize>, chunks: &Bound<'_, PyAny>) -> PyResult<ArrayCore> {
        wrap(self.0.exponential(scale, &shape, &chunk_specs(chunks, shape.len())?))
    }

    /// Whole numbers of an interval.
    fn integers(
        &self,
        low: i128,
        high: i128,
        dtype: &str,
        shape: Vec<usize>,
        chunks: &Bound<'_, PyAny>,
    ) -> PyResult<ArrayCore> {
        wrap(self.0.integers(low, high, dtype_of(dtype)?, &shape, &chunk_specs(chunks, shape.len())?))
    }
}

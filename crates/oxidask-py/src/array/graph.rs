//! Arrays whose blocks are any Python objects, and the one node that makes
//! blocks from blocks by a table of what reads what.
//!
//! [`BlockTable`] is the general form of every blocked operation: a function,
//! inputs, and for each block of the result which blocks of which inputs it
//! reads. Python computes the table; this file only keeps it. Its result is an
//! array of the engine where dtype and chunks allow that, and else a
//! [`BlocksCore`], whose chunks, dtype and kind of block Python alone knows.

use super::blocks::ArrayCall;
use super::core::ArrayCore;
use super::parse::dtype_of;
use crate::base::{Collection, PyExpr, lazy_of};
use crate::delayed::Delayed;
use crate::error::OrRaise;
use crate::foreign::wrapped;
use crate::value::from_value;
use oxidask_array::chunks::normalize;
use oxidask_array::{Array, ArrayMeta, Block, ChunkSpec};
use oxidask_core::graph::{Blocks, Graph, Input, Stage};
use oxidask_core::{Error, Expr, ExprRef, Inputs, Key, KeyHasher, Op, Result, Value};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyList};
use smallvec::SmallVec;
use std::any::Any;
use std::borrow::Cow;
use std::sync::Arc;

/// What Python knows of an array whose blocks are Python objects.
struct Facts {
    n_blocks: usize,
    /// Chunks, dtype and an empty block; `oxidask.array` reads it.
    facts: Py<PyAny>,
}

/// Which blocks of which inputs each block reads, in order.
struct Reads {
    /// Where the reads of each block begin; the last entry is their number.
    starts: Vec<u32>,
    /// The number of an input and that of its block.
    pairs: Vec<[u32; 2]>,
}

impl Reads {
    /// From two tables of 32-bit numbers in this machine's byte order.
    fn new(starts: &[u8], pairs: &[u8]) -> PyResult<Self> {
        let numbers = |bytes: &[u8]| -> Vec<u32> {
            bytes.as_chunks::<4>().0.iter().map(|number| u32::from_ne_bytes(*number)).collect()
        };
        let starts = numbers(starts);
        let pairs: Vec<[u32; 2]> = numbers(pairs).as_chunks::<2>().0.to_vec();
        let fits = starts.first() == Some(&0)
            && starts.is_sorted()
            && starts.last().is_some_and(|&last| last as usize == pairs.len());
        if fits { Ok(Reads { starts, pairs }) } else { Err(PyValueError::new_err("the table of reads does not fit")) }
    }

    fn n_blocks(&self) -> usize {
        self.starts.len() - 1
    }

    fn of(&self, block: usize) -> &[[u32; 2]] {
        &self.pairs[self.starts[block] as usize..self.starts[block + 1] as usize]
    }

    fn key(&self, token: &str) -> Key {
        let bytes = |numbers: &[u32]| -> Vec<u8> { numbers.iter().flat_map(|number| number.to_le_bytes()).collect() };
        KeyHasher::new("array.table")
            .bytes(token.as_bytes())
            .bytes(&bytes(&self.starts))
            .bytes(&bytes(self.pairs.as_flattened()))
            .finish()
    }
}

/// Blocks made from blocks of other collections by a table.
struct BlockTable<M> {
    /// What makes a block; without it a block is the one that it reads.
    op: Option<Arc<dyn Op>>,
    label: Arc<str>,
    own_key: Key,
    reads: Arc<Reads>,
    inputs: Inputs,
    key: Key,
    meta: Arc<M>,
}

impl<M: Any + Send + Sync> BlockTable<M> {
    fn build(
        op: Option<Arc<dyn Op>>,
        label: Arc<str>,
        own_key: Key,
        reads: Arc<Reads>,
        inputs: Vec<ExprRef>,
        meta: Arc<M>,
    ) -> ExprRef {
        let key = KeyHasher::new("array.blocks").key(own_key).keys(inputs.iter().map(|input| input.key())).finish();
        Arc::new(BlockTable { op, label, own_key, reads, inputs: inputs.into(), key, meta })
    }
}

impl<M: Any + Send + Sync> Expr for BlockTable<M> {
    fn key(&self) -> Key {
        self.key
    }

    fn label(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.label)
    }

    fn inputs(&self) -> &[ExprRef] {
        &self.inputs
    }

    fn with_inputs(&self, inputs: Vec<ExprRef>) -> Result<ExprRef> {
        let (op, label, reads) = (self.op.clone(), self.label.clone(), self.reads.clone());
        Ok(BlockTable::build(op, label, self.own_key, reads, inputs, self.meta.clone()))
    }

    fn lower(&self, inputs: &[Blocks], graph: &mut Graph) -> Result<Blocks> {
        let find = |&[input, block]: &[u32; 2]| {
            let found = inputs.get(input as usize).and_then(|blocks| blocks.get(block as usize)).copied();
            found.ok_or_else(|| Error::index(format!("'{}' reads block {block} of input {input}", self.label)))
        };
        let Some(op) = &self.op else {
            return self.reads.pairs.iter().map(find).collect();
        };
        let stage = graph.stage_with(Stage { op: op.clone(), label: self.label.clone(), annotations: None });
        let mut found: SmallVec<[Input; 8]> = SmallVec::new();
        (0..self.reads.n_blocks())
            .map(|block| {
                found.clear();
                for pair in self.reads.of(block) {
                    found.push(find(pair)?);
                }
                Ok(Input::whole(graph.task(self.key.block(block as u64), stage, block as u32, &found)))
            })
            .collect()
    }

    fn meta(&self) -> &(dyn Any + Send + Sync) {
        &*self.meta
    }
}

/// How arrays of Python objects appear to their users.
struct Generic;

fn facts_of(expr: &ExprRef) -> Result<&Facts> {
    expr.meta().downcast_ref().ok_or_else(|| Error::type_(format!("'{}' is not an array of objects", expr.label())))
}

fn python<'py>(py: Python<'py>, name: &'static str) -> PyResult<Bound<'py, PyAny>> {
    py.import("oxidask.array._generic")?.getattr(name)
}

impl Collection for Generic {
    fn finish(&self, py: Python<'_>, expr: &ExprRef, blocks: Vec<Value>) -> PyResult<Py<PyAny>> {
        let facts = facts_of(expr).or_raise()?;
        let objects: Vec<Bound<'_, PyAny>> =
            blocks.iter().map(|value| object_of(py, value)).collect::<PyResult<_>>()?;
        Ok(python(py, "finish")?.call1((facts.facts.bind(py), PyList::new(py, objects)?))?.unbind())
    }

    fn whole(&self, expr: &ExprRef) -> Result<ExprRef> {
        let facts = facts_of(expr)?;
        let n_blocks = u32::try_from(facts.n_blocks).map_err(|_| Error::value("an array has too many blocks"))?;
        let reads = Reads { starts: vec![0, n_blocks], pairs: (0..n_blocks).map(|block| [0, block]).collect() };
        Python::attach(|py| {
            let make = || -> PyResult<ExprRef> {
                let function = python(py, "Gather")?.call1((facts.facts.bind(py),))?;
                let op: Arc<dyn Op> = Arc::new(ArrayCall::new(&function, None, false));
                let meta = Arc::new(Facts { n_blocks: 1, facts: facts.facts.clone_ref(py) });
                let own_key = reads.key("whole");
                Ok(BlockTable::build(Some(op), Arc::from("whole"), own_key, Arc::new(reads), vec![expr.clone()], meta))
            };
            make().map_err(|error| Error::value(error.to_string()))
        })
    }

    fn wrap(&self, py: Python<'_>, expr: ExprRef) -> PyResult<Py<PyAny>> {
        let facts = facts_of(&expr).or_raise()?.facts.clone_ref(py);
        static WRAP: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        Ok(WRAP.import(py, "oxidask.array._generic", "wrap")?.call1((BlocksCore(expr), facts))?.unbind())
    }
}

/// A block as Python sees it, wherever it was made.
fn object_of<'py>(py: Python<'py>, value: &Value) -> PyResult<Bound<'py, PyAny>> {
    if value.get::<Block>().is_some() {
        return Ok(from_value(py, value)?.into_bound(py));
    }
    let object = wrapped(py, value)?;
    let inner = crate::foreign::unwrapped(object.clone());
    if inner.get::<Block>().is_some() { Ok(from_value(py, &inner)?.into_bound(py)) } else { Ok(object) }
}

/// A lazy array whose blocks are Python objects.
#[pyclass(frozen, module = "oxidask._oxidask")]
pub struct BlocksCore(ExprRef);

#[pymethods]
impl BlocksCore {
    /// The expression, for computing.
    fn expr(&self) -> PyExpr {
        static GENERIC: std::sync::LazyLock<Arc<dyn Collection>> = std::sync::LazyLock::new(|| Arc::new(Generic));
        PyExpr::new(self.0.clone(), GENERIC.clone())
    }

    /// The content hash, in hexadecimal digits.
    #[getter]
    fn key(&self) -> String {
        self.0.key().to_string()
    }

    /// What users read: `sum`, `blockwise`.
    #[getter]
    fn label(&self) -> String {
        self.0.label().into_owned()
    }
}

/// The lazy inputs of a table: collections, expressions and delayed values.
fn inputs_of(objects: &[Bound<'_, PyAny>]) -> PyResult<Vec<ExprRef>> {
    let one = |object: &Bound<'_, PyAny>| match lazy_of(object)? {
        Some(lazy) => Ok(lazy.expr),
        None => Err(PyTypeError::new_err(format!("{} is not lazy", object.get_type()))),
    };
    objects.iter().map(one).collect()
}

/// Blocks by a table. `function` makes each block from those that it reads, or
/// is None where a block is the only one that it reads. With `native`, the name
/// of a dtype and chunks, the blocks become the engine's own; without it they
/// stay Python objects of which `facts` tells.
#[pyfunction]
#[pyo3(signature = (function, label, token, inputs, starts, pairs, passes_block, native = None, facts = None))]
#[allow(clippy::too_many_arguments, reason = "called by one function of Python, which names all of them")]
pub fn array_table<'py>(
    py: Python<'py>,
    function: Option<Bound<'py, PyAny>>,
    label: &str,
    token: &str,
    inputs: Vec<Bound<'py, PyAny>>,
    starts: &Bound<'py, PyBytes>,
    pairs: &Bound<'py, PyBytes>,
    passes_block: bool,
    native: Option<(String, Vec<Vec<usize>>)>,
    facts: Option<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let reads = Arc::new(Reads::new(starts.as_bytes(), pairs.as_bytes())?);
    let inputs = inputs_of(&inputs)?;
    let (own_key, label) = (reads.key(token), Arc::from(label));
    if let Some((dtype, chunks)) = native {
        let shape: Vec<usize> = chunks.iter().map(|sizes| sizes.iter().sum()).collect();
        let dtype = dtype_of(&dtype)?;
        let specs: Vec<ChunkSpec> = chunks.into_iter().map(ChunkSpec::Sizes).collect();
        let meta = ArrayMeta { chunks: normalize(&specs, &shape, dtype, None).or_raise()?, dtype };
        if meta.chunks.n_blocks() != reads.n_blocks() {
            return Err(PyValueError::new_err("the table of reads does not fit the chunks"));
        }
        let op = function.map(|function| Arc::new(ArrayCall::new(&function, Some(&meta), passes_block)) as Arc<dyn Op>);
        let expr = BlockTable::build(op, label, own_key, reads, inputs, Arc::new(meta));
        return Ok(Bound::new(py, ArrayCore::new(Array::from_expr(expr).or_raise()?))?.into_any());
    }
    let op = function.map(|function| Arc::new(ArrayCall::new(&function, None, passes_block)) as Arc<dyn Op>);
    let facts = facts.ok_or_else(|| PyValueError::new_err("blocks of Python objects need their facts"))?;
    let meta = Arc::new(Facts { n_blocks: reads.n_blocks(), facts: facts.unbind() });
    let expr = BlockTable::build(op, label, own_key, reads, inputs, meta);
    Ok(Bound::new(py, BlocksCore(expr))?.into_any())
}

/// Every block of a collection as a delayed value.
#[pyfunction]
pub fn array_delayed<'py>(py: Python<'py>, array: &Bound<'py, PyAny>, n_blocks: usize) -> PyResult<Bound<'py, PyList>> {
    let [expr] = <[ExprRef; 1]>::try_from(inputs_of(std::slice::from_ref(array))?)
        .map_err(|_| PyTypeError::new_err("one collection is needed"))?;
    let blocks: Vec<_> =
        (0..n_blocks).map(|block| Delayed::of_block(py, expr.clone(), block)).collect::<PyResult<_>>()?;
    PyList::new(py, blocks)
}

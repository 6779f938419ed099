//! From collections to results.
//!
//! A collection's Python object answers `__oxidask_expr__()` with a [`PyExpr`]: its
//! expression and, as a [`Collection`], how blocks become what the user gets.
//! [`compute`] and [`persist`] know nothing else about collections.

use crate::call;
use crate::context::{Context, lowering_in};
use crate::delayed::{Delayed, current_annotations, plain_graph};
use crate::error::OrRaise;
use crate::executor::Executor;
use crate::foreign;
use crate::future::FutureHandle;
use crate::kind::{Kind, kind_of};
use crate::persist::{PersistedExpr, blocks_collection, lowering_for, submit};
use crate::template::{Arg, Builder, Filling, Template};
use crate::value::{from_value, to_value};
use oxidask_core::{Blocks, ExprRef, Graph, Result, Value};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use std::sync::Arc;

/// Adds this file's classes and functions to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PyExpr>()?;
    module.add_function(wrap_pyfunction!(compute, module)?)?;
    module.add_function(wrap_pyfunction!(persist, module)?)?;
    module.add_function(wrap_pyfunction!(compute_with, module)?)?;
    module.add_function(wrap_pyfunction!(persist_with, module)?)?;
    module.add_function(wrap_pyfunction!(optimize, module)?)?;
    module.add_function(wrap_pyfunction!(default_scheduler, module)?)?;
    module.add_function(wrap_pyfunction!(is_lazy, module)?)?;
    module.add_function(wrap_pyfunction!(find_lazy, module)?)
}

/// How a kind of collection appears to its user. One stateless object serves
/// all collections of the kind; what differs lies in the expression's meta.
pub trait Collection: Send + Sync {
    /// What the user gets from `compute`: one array of all blocks, one frame of
    /// all partitions. `expr` is the user's expression, before it was optimised.
    ///
    /// # Errors
    /// Whatever the user should read.
    fn finish(&self, py: Python<'_>, expr: &ExprRef, blocks: Vec<Value>) -> PyResult<Py<PyAny>>;

    /// An expression with one block that holds all of `expr`, for use as an
    /// argument of a Python function.
    ///
    /// # Errors
    /// If the collection cannot be gathered.
    fn whole(&self, expr: &ExprRef) -> Result<ExprRef>;

    /// The user's object over another expression with the same meta.
    ///
    /// # Errors
    /// Whatever its constructor raises.
    fn wrap(&self, py: Python<'_>, expr: ExprRef) -> PyResult<Py<PyAny>>;

    /// A block of `expr` that somebody else computed, as the engine holds it:
    /// NumPy's array as a chunk, pandas' frame as a partition.
    ///
    /// # Errors
    /// If the object can be no block of this collection.
    fn block(&self, expr: &ExprRef, object: Bound<'_, PyAny>) -> PyResult<Value> {
        let _ = expr;
        Ok(foreign::unwrapped(object))
    }

    /// The optimised plan of a collection, as `executor` is to compute it at once
    /// for [`Collection::finish`].
    fn at_once(&self, root: ExprRef, executor: &dyn oxidask_core::Executor) -> ExprRef {
        let _ = executor;
        root
    }

    /// The executor for this kind of collection if its user chooses none.
    fn scheduler(&self) -> &'static str {
        THREADS
    }
}

/// The executor of most collections, and of delayed calls.
const THREADS: &str = "threads";

/// A lazy thing that was found among arguments.
#[derive(Clone)]
pub struct Lazy {
    /// Its expression.
    pub expr: ExprRef,
    /// How it appears to users; none for a single Python object (`Delayed`).
    pub collection: Option<Arc<dyn Collection>>,
}

impl Lazy {
    /// The expression with one block, to be an input of a Python function.
    ///
    /// # Errors
    /// If the collection cannot be gathered.
    pub fn whole(&self) -> Result<ExprRef> {
        match &self.collection {
            None => Ok(self.expr.clone()),
            Some(collection) => collection.whole(&self.expr),
        }
    }

    /// What the user gets.
    ///
    /// # Errors
    /// Whatever making it raises.
    pub fn finish(&self, py: Python<'_>, blocks: Vec<Value>) -> PyResult<Py<PyAny>> {
        match (&self.collection, &*blocks) {
            (Some(collection), _) => collection.finish(py, &self.expr, blocks),
            (None, [value]) => from_value(py, value),
            (None, _) => Err(pyo3::exceptions::PyValueError::new_err("a single object was computed in several blocks")),
        }
    }
}

/// A collection's expression, as its Python object hands it over.
#[pyclass(frozen, name = "Expr", module = "oxidask._oxidask")]
pub struct PyExpr(pub Lazy);

impl PyExpr {
    /// Wraps an expression of a kind of collection.
    pub fn new(expr: ExprRef, collection: Arc<dyn Collection>) -> Self {
        PyExpr(Lazy { expr, collection: Some(collection) })
    }
}

#[pymethods]
impl PyExpr {
    /// The content hash, in hexadecimal digits.
    #[getter]
    fn key(&self) -> String {
        self.0.expr.key().to_string()
    }

    /// The name in graphs: what it does, and a hash of how. A persisted
    /// collection keeps its name.
    #[getter]
    fn name(&self) -> String {
        name_of(&self.0.expr)
    }

    /// What users read: `sum`, `read_csv`.
    #[getter]
    fn label(&self) -> String {
        self.0.expr.label().into_owned()
    }

    /// The plan as dicts of tasks for any scheduler, by the name of the layer, and
    /// the keys of its blocks: `keys` if given, one for each block.
    #[pyo3(signature = (optimize = true, keys = None))]
    fn layers<'py>(
        &self,
        py: Python<'py>,
        optimize: bool,
        keys: Option<Vec<Bound<'py, PyAny>>>,
    ) -> PyResult<foreign::Layers<'py>> {
        foreign::layers(py, &self.0, optimize, keys)
    }

    /// The results held or under way that the plan reads, as futures.
    fn futures(&self) -> Vec<FutureHandle> {
        let found = PersistedExpr::futures_within(&self.0.expr);
        found.into_iter().map(|(future, label, executor)| FutureHandle::new(future, label, None, executor)).collect()
    }

    /// The collection whose blocks are `values`, computed elsewhere.
    fn with_blocks<'py>(&self, py: Python<'py>, values: Vec<Bound<'py, PyAny>>) -> PyResult<Py<PyAny>> {
        let lazy = &self.0;
        let Some(collection) = &lazy.collection else {
            return Err(pyo3::exceptions::PyTypeError::new_err("a delayed value has no blocks"));
        };
        let values = values.into_iter().map(|value| collection.block(&lazy.expr, value)).collect::<PyResult<_>>()?;
        collection.wrap(py, Arc::new(PersistedExpr::here(lazy.expr.clone(), values)))
    }

    /// The result, from the values of the keys of `layers`.
    fn finish<'py>(&self, py: Python<'py>, values: Vec<Bound<'py, PyAny>>) -> PyResult<Py<PyAny>> {
        let Lazy { expr, collection } = &self.0;
        let block = |value| match collection {
            Some(collection) => collection.block(expr, value),
            None => Ok(foreign::unwrapped(value)),
        };
        self.0.finish(py, values.into_iter().map(block).collect::<PyResult<_>>()?)
    }

    /// The plan as an indented text, optimised if wished.
    #[pyo3(signature = (optimize = false))]
    fn plan(&self, optimize: bool) -> PyResult<String> {
        if optimize {
            let roots = oxidask_core::optimize(std::slice::from_ref(&self.0.expr)).or_raise()?;
            return Ok(roots.iter().map(oxidask_core::optimize::plan_text).collect());
        }
        Ok(oxidask_core::optimize::plan_text(&self.0.expr))
    }
}

/// The name of a collection in graphs.
fn name_of(expr: &ExprRef) -> String {
    let original = PersistedExpr::original_of(expr).unwrap_or(expr);
    format!("{}-{}", original.label(), original.key())
}

/// The lazy thing that an object is, if it is one.
///
/// # Errors
/// If asking it raises.
pub fn lazy_of(object: &Bound<'_, PyAny>) -> PyResult<Option<Lazy>> {
    lazy_of_kind(object, kind_of(&object.get_type())?)
}

/// [`lazy_of`] an object whose class is of a known kind.
///
/// # Errors
/// If asking it raises.
pub fn lazy_of_kind(object: &Bound<'_, PyAny>, kind: Kind) -> PyResult<Option<Lazy>> {
    if let Ok(delayed) = object.cast::<Delayed>() {
        return Ok(Some(delayed.get().lazy()));
    }
    if let Ok(expr) = object.cast_exact::<PyExpr>() {
        return Ok(Some(expr.get().0.clone()));
    }
    match kind {
        Kind::Collection => {
            let expr = object.call_method0(intern!(object.py(), "__oxidask_expr__"))?;
            Ok(Some(expr.cast::<PyExpr>()?.get().0.clone()))
        }
        Kind::Foreign => foreign_lazy(object),
        _ => Ok(None),
    }
}

/// The lazy thing that a collection of another library is, if it follows Dask's
/// protocol.
fn foreign_lazy(object: &Bound<'_, PyAny>) -> PyResult<Option<Lazy>> {
    let py = object.py();
    let delayed = py.import("oxidask._graphs")?.getattr("delayed_of_collection")?.call1((object,))?;
    if delayed.is_none() {
        return Ok(None);
    }
    Ok(Some(delayed.cast::<Delayed>()?.get().lazy()))
}

/// The graph of some lazy things, and which of its outputs are whose.
///
/// # Errors
/// If a plan cannot be made.
pub fn graph_of(lazy: &[Lazy], optimize_graph: bool) -> Result<(Graph, Vec<Blocks>)> {
    if let Some(graph) = plain_graph(lazy)? {
        let blocks = graph.outputs.iter().map(|output| vec![*output]).collect();
        return Ok((graph, blocks));
    }
    let mut roots: Vec<ExprRef> = lazy.iter().map(|lazy| lazy.expr.clone()).collect();
    if optimize_graph {
        roots = oxidask_core::optimize(&roots)?;
    }
    oxidask_core::lower(&roots)
}

/// Has the annotations of the moment hold for a whole graph, where its tasks have
/// none of their own: what a user says when computing counts for all of it.
///
/// # Errors
/// If an annotation has the wrong type.
pub fn wish_now(py: Python<'_>, graph: &mut Graph) -> PyResult<()> {
    if let Some(wishes) = current_annotations(py)? {
        graph.wish(&wishes);
    }
    Ok(())
}

/// The graph of some lazy things that `executor` is to compute at once, and
/// which of its outputs are whose. A plan may come as fewer blocks than it has,
/// where the executor is faster so.
///
/// # Errors
/// If a plan cannot be made.
fn graph_for(
    lazy: &[Lazy],
    optimize_graph: bool,
    executor: &dyn oxidask_core::Executor,
) -> Result<(Graph, Vec<Blocks>)> {
    if !optimize_graph {
        return graph_of(lazy, false);
    }
    let roots: Vec<ExprRef> = lazy.iter().map(|lazy| lazy.expr.clone()).collect();
    let roots = oxidask_frame::plan::as_queries(oxidask_core::optimize(&roots)?, executor);
    let roots: Vec<ExprRef> = lazy
        .iter()
        .zip(roots)
        .map(|(lazy, root)| match &lazy.collection {
            Some(collection) => collection.at_once(root, executor),
            None => root,
        })
        .collect();
    oxidask_core::lower(&roots)
}

/// Arguments taken apart, and the lazy things in them.
pub struct Taken {
    template: Template,
    /// The lazy things, by the number of their hole.
    pub lazy: Vec<Lazy>,
}

impl Taken {
    /// Takes arguments apart.
    ///
    /// # Errors
    /// If one nests too deeply, or reading it raises.
    pub fn apart(args: &Bound<'_, PyTuple>, traverse: bool) -> PyResult<Self> {
        let mut lazy = Vec::new();
        let mut builder = Builder::new(&mut lazy, traverse);
        let args: Vec<Arg> = args.iter().map(|arg| builder.arg(&arg)).collect::<PyResult<_>>()?;
        let literals = std::mem::take(&mut builder.literals);
        Ok(Taken { template: Template { args: args.into(), literals, ..Template::default() }, lazy })
    }

    /// The executor for what was found, if the user chose none.
    ///
    /// # Errors
    /// `ValueError` if collections of different defaults are among them.
    fn scheduler(&self) -> PyResult<&'static str> {
        let mut kinds = self.lazy.iter().map(|lazy| lazy.collection.as_ref().map_or(THREADS, |kind| kind.scheduler()));
        let first = kinds.next().unwrap_or(THREADS);
        match kinds.find(|kind| *kind != first) {
            None => Ok(first),
            Some(other) => Err(pyo3::exceptions::PyValueError::new_err(format!(
                "collections with different default schedulers, '{first}' and '{other}', are computed together\n\
                 hint: say which one to use, for example scheduler='threads'"
            ))),
        }
    }

    /// The chosen executor, or the default one of what was found.
    fn executor<'py>(&self, chosen: &Chosen<'py>) -> PyResult<Bound<'py, Executor>> {
        match chosen {
            Chosen::Executor(executor) => Ok(executor.clone()),
            Chosen::Default(local_executor) => {
                Ok(local_executor.call1((self.scheduler()?,))?.cast_into::<Executor>()?)
            }
        }
    }

    fn filled<'py>(&self, py: Python<'py>, results: &[Bound<'py, PyAny>]) -> PyResult<Bound<'py, PyTuple>> {
        let filling = Filling { literals: &self.template.literals, inputs: results };
        let filled: Vec<_> = self.template.args.iter().map(|arg| filling.fill(py, arg)).collect::<PyResult<_>>()?;
        PyTuple::new(py, filled)
    }
}

/// What runs a computation: an executor, or a function that makes the one of a
/// given name, for the default of the collections.
#[derive(FromPyObject)]
enum Chosen<'py> {
    Executor(Bound<'py, Executor>),
    Default(Bound<'py, PyAny>),
}

/// Computes all lazy things within `args`; answers the arguments with results in
/// their place.
#[pyfunction]
fn compute<'py>(
    args: &Bound<'py, PyTuple>,
    executor: Chosen<'py>,
    traverse: bool,
    optimize_graph: bool,
) -> PyResult<Bound<'py, PyTuple>> {
    let py = args.py();
    let taken = Taken::apart(args, traverse)?;
    if taken.lazy.is_empty() {
        return taken.filled(py, &[]);
    }
    let executor = taken.executor(&executor)?;
    let results = compute_all(py, &taken.lazy, executor.get(), optimize_graph)?;
    taken.filled(py, &results)
}

/// Submits all lazy things within `args`; answers the arguments with collections
/// of held results in their place.
#[pyfunction]
fn persist<'py>(
    args: &Bound<'py, PyTuple>,
    executor: Chosen<'py>,
    traverse: bool,
    optimize_graph: bool,
) -> PyResult<Bound<'py, PyTuple>> {
    let py = args.py();
    let taken = Taken::apart(args, traverse)?;
    let executor = taken.executor(&executor)?;
    let executor = executor.get().inner();
    call::new_round();
    let context = Context::current(py)?;
    let lower = || lowering_for(executor, || graph_of(&taken.lazy, optimize_graph));
    let (mut graph, blocks) = py.detach(|| lowering_in(context, lower)).or_raise()?;
    wish_now(py, &mut graph)?;
    let mut futures = submit(py, executor, graph)?.into_iter();
    let held: Vec<_> = taken
        .lazy
        .iter()
        .zip(blocks)
        .map(|(lazy, blocks)| {
            let futures = futures.by_ref().take(blocks.len()).collect();
            let expr: ExprRef = Arc::new(PersistedExpr::by(lazy.expr.clone(), futures, executor.clone()));
            match &lazy.collection {
                Some(collection) => Ok(collection.wrap(py, expr)?.into_bound(py)),
                None => Ok(Delayed::held(py, &lazy.expr, expr)?.into_any()),
            }
        })
        .collect::<PyResult<_>>()?;
    taken.filled(py, &held)
}

/// Computes all lazy things within `args` with `run`, which gets a list of
/// `Expr` and answers their results.
#[pyfunction]
fn compute_with<'py>(
    args: &Bound<'py, PyTuple>,
    run: &Bound<'py, PyAny>,
    traverse: bool,
) -> PyResult<Bound<'py, PyTuple>> {
    let py = args.py();
    let taken = Taken::apart(args, traverse)?;
    let exprs: Vec<_> = taken.lazy.iter().map(|lazy| Bound::new(py, PyExpr(lazy.clone()))).collect::<PyResult<_>>()?;
    let results: Vec<Bound<'py, PyAny>> = run.call1((exprs,))?.extract()?;
    taken.filled(py, &results)
}

/// As [`compute_with`], but answers collections of the results.
#[pyfunction]
fn persist_with<'py>(
    args: &Bound<'py, PyTuple>,
    run: &Bound<'py, PyAny>,
    traverse: bool,
) -> PyResult<Bound<'py, PyTuple>> {
    let py = args.py();
    let taken = Taken::apart(args, traverse)?;
    let whole: Vec<_> = taken
        .lazy
        .iter()
        .map(|lazy| {
            let lazy = Lazy { collection: lazy.collection.as_ref().map(|_| blocks_collection()), ..lazy.clone() };
            Bound::new(py, PyExpr(lazy))
        })
        .collect::<PyResult<_>>()?;
    let results: Vec<Bound<'py, PyAny>> = run.call1((whole,))?.extract()?;
    let held: Vec<_> = taken
        .lazy
        .iter()
        .zip(results)
        .map(|(lazy, result)| {
            let Some(collection) = &lazy.collection else {
                let expr: ExprRef = Arc::new(PersistedExpr::here(lazy.expr.clone(), vec![to_value(result)]));
                return Ok(Delayed::held(py, &lazy.expr, expr)?.into_any());
            };
            let blocks: Vec<Bound<'py, PyAny>> = result.extract()?;
            let values =
                blocks.into_iter().map(|block| collection.block(&lazy.expr, block)).collect::<PyResult<_>>()?;
            let expr: ExprRef = Arc::new(PersistedExpr::here(lazy.expr.clone(), values));
            Ok(collection.wrap(py, expr)?.into_bound(py))
        })
        .collect::<PyResult<_>>()?;
    taken.filled(py, &held)
}

/// The rewritten plans of all lazy things within `args`, in their place.
#[pyfunction]
fn optimize<'py>(args: &Bound<'py, PyTuple>, traverse: bool) -> PyResult<Bound<'py, PyTuple>> {
    let py = args.py();
    let taken = Taken::apart(args, traverse)?;
    let roots: Vec<ExprRef> = taken.lazy.iter().map(|lazy| lazy.expr.clone()).collect();
    let roots = py.detach(|| oxidask_core::optimize(&roots)).or_raise()?;
    let better: Vec<_> = taken
        .lazy
        .iter()
        .zip(roots)
        .map(|(lazy, root)| match &lazy.collection {
            Some(collection) => Ok(collection.wrap(py, root)?.into_bound(py)),
            None => Ok(Delayed::over(py, root)?.into_any()),
        })
        .collect::<PyResult<_>>()?;
    taken.filled(py, &better)
}

/// Whether an object is a collection of oxidask.
#[pyfunction]
fn is_lazy(object: &Bound<'_, PyAny>) -> PyResult<bool> {
    Ok(lazy_of(object)?.is_some())
}

/// The name of the executor for all lazy things within `args`, if their user
/// chooses none.
#[pyfunction]
fn default_scheduler(args: &Bound<'_, PyTuple>, traverse: bool) -> PyResult<&'static str> {
    Taken::apart(args, traverse)?.scheduler()
}

/// All lazy things within `args`, each as an `Expr`.
#[pyfunction]
fn find_lazy<'py>(args: &Bound<'py, PyTuple>, traverse: bool) -> PyResult<Vec<Bound<'py, PyExpr>>> {
    let taken = Taken::apart(args, traverse)?;
    taken.lazy.into_iter().map(|lazy| Bound::new(args.py(), PyExpr(lazy))).collect()
}

/// The results of some lazy things.
///
/// # Errors
/// The error of a task, or `KeyboardInterrupt`.
pub fn compute_all<'py>(
    py: Python<'py>,
    lazy: &[Lazy],
    executor: &Executor,
    optimize_graph: bool,
) -> PyResult<Vec<Bound<'py, PyAny>>> {
    if lazy.is_empty() {
        return Ok(Vec::new());
    }
    call::new_round();
    let context = Context::current(py)?;
    if let Some(mut graph) = py.detach(|| lowering_in(context.clone(), || plain_graph(lazy))).or_raise()? {
        wish_now(py, &mut graph)?;
        let values = executor.compute(py, graph)?;
        return values.iter().map(|value| Ok(from_value(py, value)?.into_bound(py))).collect();
    }
    let lower = || lowering_for(executor.inner(), || graph_for(lazy, optimize_graph, &**executor.inner()));
    let (mut graph, blocks) = py.detach(|| lowering_in(context, lower)).or_raise()?;
    wish_now(py, &mut graph)?;
    let mut values = executor.compute(py, graph)?.into_iter();
    lazy.iter()
        .zip(blocks)
        .map(|(lazy, blocks)| {
            let values = values.by_ref().take(blocks.len()).collect();
            Ok(lazy.finish(py, values)?.into_bound(py))
        })
        .collect()
}

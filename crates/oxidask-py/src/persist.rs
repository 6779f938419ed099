//! Results that an executor holds, as expressions.

use crate::base::Collection;
use crate::error::OrRaise;
use crate::executor::check_signals;
use oxidask_core::{Blocks, Expr, ExprRef, Future, Graph, Input, Key, KeyHasher, Result, Value};
use pyo3::prelude::*;
use pyo3::types::PyList;
use std::any::Any;
use std::borrow::Cow;
use std::cell::Cell;
use std::sync::Arc;

thread_local! {
    /// The executor for which this thread is lowering, by its address.
    static TARGET: Cell<usize> = const { Cell::new(0) };
}

fn address(executor: &Arc<dyn oxidask_core::Executor>) -> usize {
    Arc::as_ptr(executor).cast::<()>() as usize
}

/// Lowers for one executor: what it holds already is referred to by name.
pub fn lowering_for<R>(executor: &Arc<dyn oxidask_core::Executor>, lower: impl FnOnce() -> R) -> R {
    let before = TARGET.replace(address(executor));
    let result = lower();
    TARGET.set(before);
    result
}

/// Whether this thread lowers for `executor`.
pub fn is_lowering_for(executor: &Arc<dyn oxidask_core::Executor>) -> bool {
    TARGET.get() == address(executor)
}

/// An expression whose blocks are there, or will be without its doing.
pub struct PersistedExpr {
    original: ExprRef,
    key: Key,
    blocks: Held,
}

/// Where the blocks are.
enum Held {
    /// This executor computes or holds them.
    By(Arc<dyn oxidask_core::Executor>, Vec<Future>),
    /// They are here: somebody else computed them.
    Here(Vec<Value>),
}

impl PersistedExpr {
    /// The blocks of `original`, held by `executor` as `futures`.
    pub fn by(original: ExprRef, futures: Vec<Future>, executor: Arc<dyn oxidask_core::Executor>) -> Self {
        let key = KeyHasher::new("persisted").key(original.key()).finish();
        PersistedExpr { original, key, blocks: Held::By(executor, futures) }
    }

    /// The blocks of `original`, which are these values.
    pub fn here(original: ExprRef, values: Vec<Value>) -> Self {
        let key = KeyHasher::new("values").key(original.key()).finish();
        PersistedExpr { original, key, blocks: Held::Here(values) }
    }

    /// What was persisted, if `expr` is such.
    pub fn original_of(expr: &ExprRef) -> Option<&ExprRef> {
        expr.get::<PersistedExpr>().map(|held| &held.original)
    }

    /// The futures of an executor that `root` reads, each once, with what users read
    /// of its expression.
    pub fn futures_within(root: &ExprRef) -> Vec<(Future, Arc<str>, Arc<dyn oxidask_core::Executor>)> {
        let mut found = Vec::new();
        let mut seen = hashbrown::HashSet::new();
        let mut pending = vec![root.clone()];
        while let Some(expr) = pending.pop() {
            if !seen.insert(expr.key()) {
                continue;
            }
            if let Some(PersistedExpr { original, blocks: Held::By(executor, futures), .. }) = expr.get() {
                let label: Arc<str> = Arc::from(&*original.label());
                found.extend(futures.iter().map(|future| (future.clone(), label.clone(), executor.clone())));
            }
            pending.extend(expr.inputs().iter().rev().cloned());
        }
        found
    }

    /// Waits for the value of one block.
    ///
    /// # Errors
    /// The error of its task, or `KeyboardInterrupt`.
    pub fn value(&self, block: usize) -> Result<Value> {
        let value = match &self.blocks {
            Held::By(_, futures) => futures.get(block).map(|future| future.wait_interruptibly(&check_signals)),
            Held::Here(values) => values.get(block).cloned().map(Ok),
        };
        value.unwrap_or_else(|| Err(oxidask_core::Error::index("there is no such block")))
    }
}

impl Expr for PersistedExpr {
    fn key(&self) -> Key {
        self.key
    }

    fn label(&self) -> Cow<'_, str> {
        self.original.label()
    }

    fn inputs(&self) -> &[ExprRef] {
        &[]
    }

    fn with_inputs(&self, _inputs: Vec<ExprRef>) -> Result<ExprRef> {
        Err(oxidask_core::Error::value("a persisted collection has no inputs to replace"))
    }

    fn lower(&self, _inputs: &[Blocks], graph: &mut Graph) -> Result<Blocks> {
        match &self.blocks {
            Held::By(executor, futures) => {
                let is_here = is_lowering_for(executor);
                let task = |future: &Future| {
                    Ok(Input::whole(if is_here {
                        graph.held(future.key())
                    } else {
                        graph.data(future.key(), future.wait_interruptibly(&check_signals)?)
                    }))
                };
                futures.iter().map(task).collect()
            }
            Held::Here(values) => {
                let blocks = values.iter().enumerate();
                let task = |(block, value): (usize, &Value)| {
                    Input::whole(graph.data(self.key.block(block as u64), value.clone()))
                };
                Ok(blocks.map(task).collect())
            }
        }
    }

    fn meta(&self) -> &(dyn Any + Send + Sync) {
        self.original.meta()
    }

    fn describe(&self) -> String {
        format!("{} (persisted)", self.original.label())
    }
}

/// Submits a graph and keeps hold of its results.
///
/// # Errors
/// If the graph cannot be accepted.
pub fn submit(py: Python<'_>, executor: &Arc<dyn oxidask_core::Executor>, graph: Graph) -> PyResult<Vec<Future>> {
    py.detach(|| executor.submit(graph)).or_raise()
}

/// Appears as a list of its blocks, each as it travels between tasks.
struct BlocksCollection;

/// The collection whose result is the list of its blocks.
pub fn blocks_collection() -> Arc<dyn Collection> {
    Arc::new(BlocksCollection)
}

impl Collection for BlocksCollection {
    fn finish(&self, py: Python<'_>, _expr: &ExprRef, blocks: Vec<Value>) -> PyResult<Py<PyAny>> {
        let blocks: Vec<_> = blocks.iter().map(|value| crate::foreign::wrapped(py, value)).collect::<PyResult<_>>()?;
        Ok(PyList::new(py, blocks)?.into_any().unbind())
    }

    fn whole(&self, expr: &ExprRef) -> Result<ExprRef> {
        Ok(expr.clone())
    }

    fn wrap(&self, py: Python<'_>, expr: ExprRef) -> PyResult<Py<PyAny>> {
        Ok(crate::delayed::Delayed::over(py, expr)?.into_any().unbind())
    }
}

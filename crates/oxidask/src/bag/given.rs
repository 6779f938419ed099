//! Partitions that are there before anything runs.

use oxidask_core::{Blocks, Error, Expr, ExprRef, Graph, Input, Key, Result, Value};
use std::any::Any;
use std::borrow::Cow;
use std::sync::Arc;

/// A plan node over values that are there already, and what its users know of
/// them.
///
/// ```
/// use oxidask::bag::Given;
/// use oxidask::core::{Expr, Key, Value};
///
/// let given = Given::new(Key(1), "numbers", Vec::<Value>::new(), ());
/// assert_eq!(given.label(), "numbers");
/// assert!(given.values().is_empty());
/// ```
pub struct Given<M = ()> {
    key: Key,
    label: Arc<str>,
    values: Vec<Value>,
    meta: M,
}

impl<M: Send + Sync + 'static> Given<M> {
    /// A node whose blocks are `values`; `key` names their content.
    #[must_use]
    pub fn new(key: Key, label: impl Into<Arc<str>>, values: Vec<Value>, meta: M) -> Self {
        Given { key, label: label.into(), values, meta }
    }

    /// The values.
    #[must_use]
    pub fn values(&self) -> &[Value] {
        &self.values
    }
}

impl<M: Send + Sync + 'static> Expr for Given<M> {
    fn key(&self) -> Key {
        self.key
    }

    fn label(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.label)
    }

    fn inputs(&self) -> &[ExprRef] {
        &[]
    }

    fn with_inputs(&self, _inputs: Vec<ExprRef>) -> Result<ExprRef> {
        Err(Error::value("values that are there already have no inputs to replace"))
    }

    fn lower(&self, _inputs: &[Blocks], graph: &mut Graph) -> Result<Blocks> {
        let values = self.values.iter().enumerate();
        Ok(values.map(|(block, value)| Input::whole(graph.data(self.key.block(block as u64), value.clone()))).collect())
    }

    fn meta(&self) -> &(dyn Any + Send + Sync) {
        &self.meta
    }
}

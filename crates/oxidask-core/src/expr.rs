//! Lazy expressions: what the user wrote, before it is a graph.
//!
//! A node names its inputs, can rewrite itself given them, and can lower itself
//! to tasks. Building a node checks shapes, dtypes and columns and computes
//! nothing: no data is touched and no file is read beyond its header.

use crate::error::Result;
use crate::graph::{Blocks, Graph};
use crate::key::Key;
use hashbrown::HashMap;
use std::any::Any;
use std::borrow::Cow;
use std::cell::RefCell;
use std::ops::Deref;
use std::sync::Arc;

/// A shared expression node.
pub type ExprRef = Arc<dyn Expr>;

/// A lazy node of a plan.
pub trait Expr: Any + Send + Sync {
    /// The content hash: kind, parameters and inputs' keys.
    fn key(&self) -> Key;

    /// What users read: `sum`, `read_csv`.
    fn label(&self) -> Cow<'_, str>;

    /// The nodes this one reads.
    fn inputs(&self) -> &[ExprRef];

    /// The same node over other inputs, which have the same meta as its own.
    ///
    /// # Errors
    /// If the inputs do not fit, which is a mistake of a rewrite rule.
    fn with_inputs(&self, inputs: Vec<ExprRef>) -> Result<ExprRef>;

    /// A better node with the same value, or none if there is nothing to do.
    /// Called with inputs that are already rewritten, again and again until it
    /// answers none; each answer must be smaller or nearer to the sources, so
    /// that it ends.
    ///
    /// # Errors
    /// If a rule builds a node that does not fit.
    fn rewrite(&self, uses: &Uses) -> Result<Option<ExprRef>> {
        let _ = uses;
        Ok(None)
    }

    /// Appends this node's tasks; `inputs` are the blocks of its inputs.
    ///
    /// # Errors
    /// If the node cannot run.
    fn lower(&self, inputs: &[Blocks], graph: &mut Graph) -> Result<Blocks>;

    /// The collection's own description of itself: shape, chunks and dtype, or
    /// schema and divisions. Collections downcast it.
    fn meta(&self) -> &(dyn Any + Send + Sync);

    /// Parameters in one line, for plans that people read.
    fn describe(&self) -> String {
        self.label().into_owned()
    }
}

impl dyn Expr {
    /// The node if it is an `T`.
    #[must_use]
    pub fn get<T: Expr>(&self) -> Option<&T> {
        (self as &dyn Any).downcast_ref()
    }
}

/// How many distinct nodes read each node, so that a rule does not absorb work
/// that others share.
pub struct Uses(pub(crate) HashMap<Key, u32>);

impl Uses {
    /// How many nodes, or wanted results, read the node with this key.
    #[must_use]
    pub fn of(&self, key: Key) -> u32 {
        self.0.get(&key).copied().unwrap_or(1)
    }

    /// Counts the readers of `original` for `rewritten`, which takes its place.
    pub(crate) fn carry(&mut self, original: Key, rewritten: Key) {
        let readers = self.of(original);
        let counted = self.0.entry(rewritten).or_insert(readers);
        *counted = readers.max(*counted);
    }

    /// Whether only one node reads it.
    #[must_use]
    pub fn is_single(&self, expr: &ExprRef) -> bool {
        self.of(expr.key()) <= 1
    }
}

/// The inputs of a node. Dropping it never recurses, so that a chain of a
/// million nodes can be dropped on any stack.
#[derive(Clone, Default)]
pub struct Inputs(Vec<ExprRef>);

thread_local! {
    /// Inputs of nodes that are being dropped; `Some` while a drop is draining.
    static DROPPING: RefCell<Option<Vec<ExprRef>>> = const { RefCell::new(None) };
}

impl From<Vec<ExprRef>> for Inputs {
    fn from(inputs: Vec<ExprRef>) -> Self {
        Inputs(inputs)
    }
}

impl Deref for Inputs {
    type Target = [ExprRef];

    fn deref(&self) -> &[ExprRef] {
        &self.0
    }
}

impl Drop for Inputs {
    fn drop(&mut self) {
        if self.0.is_empty() {
            return;
        }
        let mut mine = std::mem::take(&mut self.0);
        // During thread exit the list may be gone; then plain recursion serves.
        let _ = DROPPING.try_with(|dropping| {
            if let Some(pending) = dropping.borrow_mut().as_mut() {
                pending.append(&mut mine);
                return;
            }
            *dropping.borrow_mut() = Some(std::mem::take(&mut mine));
            loop {
                let next = dropping.borrow_mut().as_mut().and_then(Vec::pop);
                match next {
                    Some(input) => drop(input),
                    None => break,
                }
            }
            *dropping.borrow_mut() = None;
        });
    }
}

//! The nodes of a frame's plan.
//!
//! There are few kinds of node, because everything that happens within a
//! partition is a list of [`Step`]s: reading, mapping, reducing in a tree,
//! choosing and chaining partitions, shuffling and joining. `node.rs` builds
//! them and checks names and types at once; `rewrite.rs` merges and moves them;
//! `lower.rs` turns them into tasks, whose work is in `ops.rs`.

mod exchange;
mod join;
mod leaves;
mod lower;
mod node;
mod ops;
mod prune;
mod push;
mod query;
mod rewrite;
mod window;

pub use join::JoinHow;
pub use node::{Node, SourceKind};
pub use query::as_queries;
#[cfg(test)]
pub(crate) use query::as_query;
pub(crate) use query::{bytes_at_most, query_text};

use crate::dtype::{DType, Scalar};
use crate::step::Step;
use crate::value::{Index, Partition, is_hidden};
use oxidask_core::{ExprRef, Key, Op, Result, Value};
use polars::prelude::{DataFrame, SchemaRef};
use std::sync::Arc;

/// What is known of a frame before it is computed.
#[derive(Clone)]
pub struct FrameMeta {
    /// Names and types of all columns, the hidden ones of the index first.
    pub(crate) schema: SchemaRef,
    /// The kind of index; where a default one starts is known of the first
    /// partition only.
    pub index: Index,
    /// The names of the index's levels.
    pub index_names: Vec<Option<Arc<str>>>,
    /// The number of partitions.
    pub n_partitions: usize,
    /// The least index of every partition and the greatest of the last, if
    /// known.
    pub divisions: Option<Vec<Scalar>>,
    /// Frames with the same rows in the same partitions share this key.
    pub rows: Key,
}

impl FrameMeta {
    /// Of partitions that an expression of another crate makes: `empty` is one
    /// without rows, `rows` names them all.
    #[must_use]
    pub fn of_rows(empty: &Partition, n_partitions: usize, rows: Key) -> Self {
        let (schema, index) = (empty.frame.schema().clone(), empty.index);
        FrameMeta { schema, index, index_names: vec![None], n_partitions, divisions: None, rows }
    }

    /// Names and types of the columns that users see.
    ///
    /// # Errors
    /// If a column is of a type that frames do not have.
    pub fn columns(&self) -> Result<Vec<(Arc<str>, DType)>> {
        let visible = self.schema.iter().filter(|(name, _)| !is_hidden(name));
        visible.map(|(name, dtype)| Ok((Arc::from(&**name), DType::from_polars(dtype)?))).collect()
    }

    /// The types of the index's levels.
    ///
    /// # Errors
    /// If a level is of a type that frames do not have.
    pub fn index_types(&self) -> Result<Vec<DType>> {
        match self.index {
            Index::None | Index::Range(_) => Ok(vec![DType::I64]),
            Index::Levels(_) => {
                let hidden = self.schema.iter().filter(|(name, _)| is_hidden(name));
                hidden.map(|(_, dtype)| DType::from_polars(dtype)).collect()
            }
        }
    }

    /// A partition without rows, with these columns and this index.
    #[must_use]
    pub fn empty(&self) -> Partition {
        Partition { frame: DataFrame::empty_with_schema(&self.schema), index: self.index }
    }
}

/// What a node does.
#[derive(Clone)]
pub(crate) enum Kind {
    /// Partitions that are there, by the key of their content.
    Memory(Arc<[Value]>, Key),
    /// Reads a source and runs steps on each partition.
    Read(SourceKind, Arc<[Step]>),
    /// Runs steps on each partition.
    Map(Arc<[Step]>),
    /// Merges all partitions into one, a few at a time: `combine` after every
    /// merge, `finish` at the end.
    Tree { combine: Arc<[Step]>, finish: Arc<[Step]> },
    /// Only these partitions.
    Take(Arc<[u32]>),
    /// The partitions of all inputs, one after another.
    Chain,
    /// The same rows in so many partitions.
    Repartition(u32),
    /// Rows dealt out to so many partitions by their keys, then steps on each.
    Shuffle { deal: Arc<exchange::Deal>, n_partitions: u32, then: Arc<[Step]> },
    /// Each partition of the left with its fellow of the right, or with the
    /// only one.
    Join(Arc<join::Join>),
    /// The value of the second input, which has one row, beside every row of
    /// the first, under this name.
    Broadcast(Arc<str>),
    /// A function of the rows around each row, beside it.
    Window(Arc<window::WindowColumn>),
    /// One query over all rows of the inputs.
    Whole(Arc<query::Whole>),
    /// Blocks of another collection, each made a partition by an op from outside.
    Adopt(Arc<dyn Op>),
}

/// The node of an expression, if it is one of ours and not one that stands for
/// results which an executor holds.
pub(crate) fn node(expr: &ExprRef) -> Option<&Node> {
    expr.get::<Node>()
}

/// What is known of the frame of an expression.
///
/// # Panics
/// If it belongs to another kind of collection, which the constructors of
/// frames exclude.
#[must_use]
pub fn meta(expr: &ExprRef) -> &FrameMeta {
    expr.meta().downcast_ref().expect("frames hold expressions of frames only")
}

/// The op of a merge as users describe it.
///
/// # Errors
/// If there are no keys, or not as many on both sides.
pub(crate) fn join(merge: &crate::api::Merge<'_>) -> Result<join::Join> {
    let join = join::Join {
        how: merge.how,
        left_on: merge.left_on.to_vec(),
        right_on: merge.right_on.to_vec(),
        suffixes: (merge.suffixes.0.to_owned(), merge.suffixes.1.to_owned()),
        indicator: merge.indicator.map(str::to_owned),
    };
    join.check()?;
    Ok(join)
}

//! Many rows into fewer: reductions, groups, distinct rows.

use super::{Column, Frame, GroupBy};
use crate::aggregate::{AggColumn, AggFunc, Aggregation};
use crate::expression::{col, lit};
use crate::plan::{Node, meta};
use crate::step::{Keep, Step};
use oxidask_core::{ExprRef, Result};
use std::sync::Arc;

impl Frame {
    /// One row of each kind, judged by `subset` or by all columns. In one
    /// partition in the old order, unless `split_out` asks for several: then equal
    /// rows meet in one of them and the order is lost, as it is with
    /// [`Keep::Neither`].
    ///
    /// # Errors
    /// If a column of the subset is not there.
    ///
    /// ```
    /// use oxidask_frame::{Frame, Keep, df};
    /// let frame = Frame::from_frame(df!("x" => [1, 1, 2])?, 2)?;
    /// assert_eq!(frame.drop_duplicates(None, Keep::First, 1)?.n_partitions(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn drop_duplicates(&self, subset: Option<&[String]>, keep: Keep, split_out: usize) -> Result<Frame> {
        let subset: Option<Vec<Arc<str>>> = subset.map(|names| names.iter().map(|name| Arc::from(&**name)).collect());
        for name in subset.iter().flatten() {
            self.find(name)?;
        }
        let by = subset.clone().unwrap_or_else(|| self.column_names()).iter().map(col).collect();
        let distinct = Step::Distinct(subset, keep);
        if self.n_partitions() == 1 {
            return self.steps([distinct]);
        }
        if split_out <= 1 && keep != Keep::Neither {
            return self.gather(vec![distinct.clone()], vec![distinct], vec![]);
        }
        let n_partitions = if split_out <= 1 { self.n_partitions() } else { split_out } as u32;
        // What is equal within a partition need not travel.
        let fewer = if keep == Keep::Neither { self.clone() } else { self.steps([distinct.clone()])? };
        let shuffled = Frame::of(Node::shuffle(&fewer.node()?, by, n_partitions)?);
        shuffled.steps([distinct])
    }

    /// Groups of rows with equal keys.
    ///
    /// # Errors
    /// If a key is no column.
    pub fn groupby<S: AsRef<str>>(&self, keys: impl IntoIterator<Item = S>) -> Result<GroupBy> {
        let keys = keys.into_iter().map(|key| self.column(key.as_ref())).collect::<Result<_>>()?;
        GroupBy::new(self.clone(), keys)
    }

    /// One value for every column that can be reduced so: a column indexed by
    /// their names. `numeric_only` leaves out columns of other types.
    ///
    /// # Errors
    /// If a column cannot be reduced so.
    pub fn reduce(&self, func: AggFunc, numeric_only: bool) -> Result<Column> {
        let mut columns = Vec::new();
        for ((name, expr), (_, dtype)) in self.columns.iter().zip(self.dtypes()?) {
            if !numeric_only || dtype.is_numeric() {
                columns.push(AggColumn { name: name.to_string(), func, arg: expr.clone() });
            }
        }
        let node = self.aggregate_all(columns, vec![Step::Transpose(Arc::from(""))], vec![None])?;
        Ok(Column { base: node, name: None, expr: col("") })
    }

    /// The number of rows, as a column with one value.
    ///
    /// # Errors
    /// None that the frame itself did not already have.
    pub fn len(&self) -> Result<Column> {
        let size = AggColumn { name: "len".to_owned(), func: AggFunc::Size, arg: lit(1_i64) };
        let node = self.aggregate_all(vec![size], vec![], vec![None])?;
        Ok(Column { base: node, name: None, expr: col("len") })
    }

    /// Aggregates all rows; `columns` are over the node's columns.
    pub(crate) fn aggregate_all(
        &self,
        columns: Vec<AggColumn>,
        after: Vec<Step>,
        index_names: Vec<Option<Arc<str>>>,
    ) -> Result<ExprRef> {
        let aggregation = Aggregation { keys: Vec::new(), columns, dropna: false, sort: false };
        aggregated(&self.base, aggregation, after, index_names, 1)
    }
}

/// The node of an aggregation of a node's rows, in `split_out` partitions.
pub(crate) fn aggregated(
    base: &ExprRef,
    aggregation: Aggregation,
    after: Vec<Step>,
    index_names: Vec<Option<Arc<str>>>,
    split_out: usize,
) -> Result<ExprRef> {
    let aggregation = Arc::new(aggregation);
    if meta(base).n_partitions == 1 {
        let mut steps = vec![Step::Aggregate(aggregation)];
        steps.extend(after);
        return Node::map(base, steps, index_names);
    }
    if split_out > 1 && !aggregation.keys.is_empty() {
        return aggregated_apart(base, &aggregation, after, index_names, split_out as u32);
    }
    let partial = Node::map(base, vec![Step::Partial(aggregation.clone())], vec![None])?;
    let mut finish = vec![Step::Finish(aggregation.clone())];
    finish.extend(after);
    Node::tree(&partial, vec![Step::Combine(aggregation)], finish, index_names)
}

/// An aggregation whose groups are exchanged: those with keys of one range, or
/// of one hash if no order is asked for, meet in one partition.
fn aggregated_apart(
    base: &ExprRef,
    aggregation: &Arc<Aggregation>,
    after: Vec<Step>,
    index_names: Vec<Option<Arc<str>>>,
    n_partitions: u32,
) -> Result<ExprRef> {
    let small = aggregation.has_small_states();
    // Rows travel where their states would be no smaller.
    let (each, keys, mut then) = if small {
        let partial = vec![Step::Partial(aggregation.clone())];
        (
            partial,
            aggregation.key_columns(),
            vec![Step::Combine(aggregation.clone()), Step::Finish(aggregation.clone())],
        )
    } else {
        let reads = aggregation.reads();
        let only = Step::Select(reads.into_iter().map(|name| (name.clone(), col(&name))).collect());
        (vec![Step::DropIndex, only], aggregation.keys.clone(), vec![Step::Aggregate(aggregation.clone())])
    };
    then.extend(after);
    let each = Node::map(base, each, vec![None])?;
    let met = match aggregation.sort {
        true => Node::ranges(&each, crate::range::ascending(keys), n_partitions)?,
        false => Node::shuffle(&each, keys, n_partitions)?,
    };
    Node::map(&met, then, index_names)
}

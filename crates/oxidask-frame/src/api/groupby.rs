//! Groups of rows.

use super::{Column, Frame, aggregated};
use crate::aggregate::{AggColumn, AggFunc, Aggregation};
use crate::expression::{col, lit};
use oxidask_core::{Error, Result};
use std::sync::Arc;

/// Rows of a frame grouped by keys.
#[derive(Clone)]
pub struct GroupBy {
    frame: Frame,
    keys: Vec<Column>,
    /// Order the groups by their keys; else by first appearance.
    pub sort: bool,
    /// Leave out groups with a missing key.
    pub dropna: bool,
    /// In how many partitions the groups come. With several, groups are
    /// exchanged and not merged into one partition, as befits many of them.
    pub split_out: usize,
}

impl GroupBy {
    /// Rows of `frame` grouped by columns of the same rows.
    ///
    /// # Errors
    /// If there is no key, or one belongs to other rows.
    pub fn new(frame: Frame, keys: Vec<Column>) -> Result<GroupBy> {
        if keys.is_empty() {
            return Err(Error::value("there is no key to group by"));
        }
        let mut base = frame.base.clone();
        for key in &keys {
            base = key.unified(&base, "grouped by")?;
        }
        Ok(GroupBy { frame: Frame { base, columns: frame.columns }, keys, sort: true, dropna: true, split_out: 1 })
    }

    /// The columns that are no keys.
    #[must_use]
    pub fn values(&self) -> Vec<Arc<str>> {
        let is_key = |name: &Arc<str>| self.keys.iter().any(|key| key.name.as_ref() == Some(name));
        self.frame.column_names().into_iter().filter(|name| !is_key(name)).collect()
    }

    /// Aggregates columns; the results keep their names. The keys become the
    /// index.
    ///
    /// # Errors
    /// If a column is not there or cannot be aggregated so.
    pub fn agg<S: AsRef<str>>(&self, columns: impl IntoIterator<Item = (S, AggFunc)>) -> Result<Frame> {
        self.agg_as(columns.into_iter().map(|(name, func)| (name.as_ref().to_owned(), name, func)))
    }

    /// Aggregates columns under new names: (name of the result, column,
    /// function).
    ///
    /// # Errors
    /// If a column is not there or cannot be aggregated so.
    pub fn agg_as<S: AsRef<str>>(&self, columns: impl IntoIterator<Item = (String, S, AggFunc)>) -> Result<Frame> {
        let column = |(name, column, func): (String, S, AggFunc)| {
            let arg = self.frame.column(column.as_ref())?.expr;
            Ok(AggColumn { name, func, arg })
        };
        let columns: Vec<AggColumn> = columns.into_iter().map(column).collect::<Result<_>>()?;
        Ok(Frame::of(self.aggregate(columns)?))
    }

    /// The number of rows of every group.
    ///
    /// # Errors
    /// None that the frame itself did not already have.
    pub fn size(&self) -> Result<Column> {
        let size = AggColumn { name: "size".to_owned(), func: AggFunc::Size, arg: lit(1_i64) };
        Ok(Column { base: self.aggregate(vec![size])?, name: None, expr: col("size") })
    }

    fn aggregate(&self, columns: Vec<AggColumn>) -> Result<oxidask_core::ExprRef> {
        let keys = self.keys.iter().map(|key| key.expr.clone()).collect();
        let aggregation = Aggregation { keys, columns, dropna: self.dropna, sort: self.sort };
        let names = self.keys.iter().map(|key| key.name.clone()).collect();
        aggregated(&self.frame.base, aggregation, vec![], names, self.split_out)
    }
}

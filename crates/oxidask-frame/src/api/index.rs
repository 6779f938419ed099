//! What the index decides: divisions, labels, and the order of rows.

use super::{Column, Frame};
use crate::dtype::Scalar;
use crate::expression::col;
use crate::plan::Node;
use crate::step::{SortKey, Step};
use crate::value::{Index, Partition, level_name};
use oxidask_core::{Error, ExprRef, Result};
use std::sync::Arc;

impl Frame {
    /// The rows in partitions with these divisions of the index: one value more
    /// than there are partitions, in order. Rows beyond them go to the first and
    /// the last partition.
    ///
    /// # Errors
    /// If the index has several levels, or the divisions are not in order or of
    /// another type.
    ///
    /// ```
    /// use oxidask_frame::{Frame, Scalar, df};
    /// let frame = Frame::from_frame(df!("x" => [3, 1, 2, 5])?, 2)?;
    /// let divided = frame.repartition_at([0, 1, 3].map(Scalar::Int).to_vec())?;
    /// assert_eq!(divided.meta().divisions.as_ref().map(Vec::len), Some(3));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn repartition_at(&self, divisions: Vec<Scalar>) -> Result<Frame> {
        if self.meta().divisions.as_ref() == Some(&divisions) {
            return Ok(self.clone());
        }
        let base = Node::divide(&self.base, divisions)?;
        Ok(Frame { base, columns: self.columns.clone() })
    }

    /// Frames with known divisions in the same partitions: those of all together.
    /// Frames that have the same divisions already stay as they are.
    ///
    /// # Errors
    /// If the divisions of a frame are not known or do not compare with others.
    pub fn align(frames: &[Frame]) -> Result<Vec<Frame>> {
        let mut all: Vec<Scalar> = Vec::new();
        for frame in frames {
            let known = frame.meta().divisions.as_ref();
            let known = known.ok_or_else(|| {
                Error::value("frames can be aligned only where their divisions are known")
                    .with_hint("call set_index first, or from_pandas with a sorted index")
            })?;
            all.extend(known.iter().cloned());
        }
        if let Some(pair) = all.windows(2).find(|pair| pair[0].order(&pair[1]).is_none()) {
            return Err(Error::type_(format!(
                "indices with values such as {} and {} do not compare",
                pair[0], pair[1]
            )));
        }
        all.sort_by(|a, b| a.order(b).unwrap_or(std::cmp::Ordering::Equal));
        all.dedup_by(|a, b| a.order(b) == Some(std::cmp::Ordering::Equal));
        if let [one] = &*all {
            all.push(one.clone());
        }
        frames.iter().map(|frame| frame.repartition_at(all.clone())).collect()
    }

    /// The rows whose index lies between two values, both included. Reads only
    /// partitions that may hold such rows, where divisions are known.
    ///
    /// # Errors
    /// If a value does not compare with the index, or the index has several
    /// levels.
    ///
    /// ```
    /// use oxidask_frame::{Frame, Scalar, df};
    /// let frame = Frame::from_frame(df!("x" => [3, 1, 2, 5])?, 4)?;
    /// assert_eq!(frame.loc(Some(Scalar::Int(1)), Some(Scalar::Int(1)))?.n_partitions(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn loc(&self, from: Option<Scalar>, to: Option<Scalar>) -> Result<Frame> {
        if matches!(self.meta().index, Index::Levels(levels) if levels > 1) {
            return Err(Error::unsupported("loc by a range needs an index with one level"));
        }
        let mut frame = self.clone();
        if let Some(divisions) = &self.meta().divisions {
            let (first, end) = crate::range::overlapping(divisions, from.as_ref(), to.as_ref())?;
            let blocks: Vec<u32> = (first as u32..end as u32).collect();
            frame = self.partitions(&blocks)?;
        }
        let level = || col(level_name(0));
        let mut steps = Vec::new();
        steps.extend(from.map(|value| Step::Filter(level().ge(value))));
        steps.extend(to.map(|value| Step::Filter(level().le(value))));
        if steps.is_empty() {
            return Ok(frame);
        }
        steps.push(frame.show());
        Ok(Frame::of(frame.map(steps)?))
    }

    fn sort_keys(&self, keys: Vec<SortKey>) -> Result<Vec<SortKey>> {
        for key in &keys {
            self.resolve(&key.by)?;
        }
        Ok(keys)
    }

    /// The rows in order, in as many partitions: the first holds the first rows.
    ///
    /// # Errors
    /// If a key reads a column that is not there.
    ///
    /// ```
    /// use oxidask_frame::{Frame, SortKey, col, df};
    /// let frame = Frame::from_frame(df!("x" => [3, 1, 2])?, 2)?;
    /// let key = SortKey { by: col("x"), descending: false, nulls_last: true };
    /// assert_eq!(frame.sort_values(vec![key])?.n_partitions(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn sort_values(&self, keys: Vec<SortKey>) -> Result<Frame> {
        self.sort_values_into(keys, self.n_partitions())
    }

    /// The rows in order, in `n_partitions`.
    ///
    /// # Errors
    /// If a key reads a column that is not there, or there is to be no partition.
    pub fn sort_values_into(&self, keys: Vec<SortKey>, n_partitions: usize) -> Result<Frame> {
        let keys = self.sort_keys(keys)?;
        if n_partitions <= 1 {
            let sort = Step::Sort(keys);
            return self.gather(vec![], vec![], vec![sort]);
        }
        Ok(Frame::of(Node::sort(&self.node()?, keys, n_partitions as u32)?))
    }

    /// The first `n` rows of an order, in one partition.
    ///
    /// # Errors
    /// If a key reads a column that is not there.
    pub fn top(&self, keys: Vec<SortKey>, n: u64) -> Result<Frame> {
        let top = Step::Top(self.sort_keys(keys)?, n);
        self.gather(vec![top.clone()], vec![top], vec![])
    }

    /// The index as the first columns, under these names or `index`; the rows of
    /// every partition are numbered.
    ///
    /// # Errors
    /// If a name is taken.
    pub fn reset_index(&self, drop: bool) -> Result<Frame> {
        if drop {
            let steps = vec![self.show(), Step::DropIndex];
            let base = Node::map(&self.base, steps, vec![None])?;
            return Ok(Frame::of(base));
        }
        let names = &self.meta().index_names;
        let name = |(level, name): (usize, &Option<Arc<str>>)| match name {
            Some(name) => name.clone(),
            None if names.len() == 1 => Arc::from("index"),
            None => Arc::from(format!("level_{level}")),
        };
        let new: Vec<Arc<str>> = names.iter().enumerate().map(name).collect();
        if let Some(taken) = new.iter().find(|name| self.find(name).is_ok()) {
            return Err(Error::value(format!("cannot insert {taken}, which already exists"))
                .with_hint("rename the column first, or pass drop=True"));
        }
        let base = Node::map(&self.base, vec![self.show(), Step::ResetIndex(new)], vec![None])?;
        Ok(Frame::of(base))
    }

    /// A column as index. Unless `sorted` says that it is in order already, the
    /// rows are sorted by it, in as many partitions whose bounds are found while
    /// computing; see [`Frame::set_index_divided`] for known ones.
    ///
    /// # Errors
    /// If the column belongs to rows of another frame.
    pub fn set_index(&self, column: &Column, drop: bool, sorted: bool) -> Result<Frame> {
        let indexed = self.indexed(column, drop)?;
        if sorted {
            return Ok(Frame::of(indexed));
        }
        let by_index = crate::range::ascending([col(level_name(0))]);
        Ok(Frame::of(match self.n_partitions() {
            1 => Node::map(&indexed, vec![Step::Sort(by_index)], vec![column.name.clone()])?,
            n => Node::sort(&indexed, by_index, n as u32)?,
        }))
    }

    /// A column as index, the rows sorted into partitions with these divisions:
    /// one value more than there are partitions.
    ///
    /// # Errors
    /// If the column belongs to rows of another frame, or the divisions are not
    /// in order or of another type.
    pub fn set_index_divided(&self, column: &Column, drop: bool, divisions: Vec<Scalar>) -> Result<Frame> {
        Ok(Frame::of(Node::divide(&self.indexed(column, drop)?, divisions)?))
    }

    /// The least value of a column, the values at which all but the first of
    /// `n_partitions` of about equal length would begin, and the greatest: what
    /// [`Frame::set_index_divided`] takes.
    ///
    /// # Errors
    /// If the column belongs to rows of another frame.
    pub fn bounds_of(&self, column: &Column, n_partitions: usize) -> Result<Column> {
        let keys = crate::range::ascending([col(column.label())]);
        let node = Node::bounds(&column.node()?, &keys, n_partitions as u32)?;
        Ok(Column { base: node, name: column.name.clone(), expr: col("key 0") })
    }

    /// The frame with a column as index, in the old order.
    fn indexed(&self, column: &Column, drop: bool) -> Result<ExprRef> {
        let base = column.unified(&self.base, "used as index")?;
        let rest = match &column.name {
            Some(name) if drop && self.find(name).is_ok() => self.drop([name])?,
            _ => self.clone(),
        };
        // The hidden levels survive the selection of the other columns.
        let steps = vec![Step::SetIndex(vec![column.expr.clone()]), rest.show()];
        Node::map(&base, steps, vec![column.name.clone()])
    }
}

/// The bounds of partitions that begin at these rows, if the index has them.
pub(super) fn divisions_of(rows: &Partition, starts: &[usize], sorted: bool) -> Option<Vec<Scalar>> {
    let last = rows.n_rows().checked_sub(1)?;
    let bounds = starts.iter().copied().chain([last]);
    match rows.index {
        Index::None => None,
        Index::Range(first) => Some(bounds.map(|row| Scalar::Int(first + row as i64)).collect()),
        Index::Levels(1) if sorted => {
            let level = rows.frame.column(&level_name(0)).ok()?;
            bounds.map(|row| scalar_of(&level.get(row).ok()?)).collect()
        }
        Index::Levels(_) => None,
    }
}

fn scalar_of(value: &polars::prelude::AnyValue<'_>) -> Option<Scalar> {
    use polars::prelude::AnyValue;
    Some(match value {
        AnyValue::Int64(value) => Scalar::Int(*value),
        AnyValue::Int32(value) => Scalar::Int(i64::from(*value)),
        AnyValue::Float64(value) => Scalar::Float(*value),
        AnyValue::String(value) => Scalar::Str((*value).to_owned()),
        AnyValue::StringOwned(value) => Scalar::Str(value.to_string()),
        AnyValue::Datetime(value, polars::prelude::TimeUnit::Nanoseconds, None) => {
            Scalar::Datetime(*value, crate::dtype::Unit::Nanoseconds)
        }
        AnyValue::Datetime(value, polars::prelude::TimeUnit::Microseconds, None) => {
            Scalar::Datetime(*value, crate::dtype::Unit::Microseconds)
        }
        _ => return None,
    })
}

//! Frames together: side by side by equal keys, and under each other.

use super::Frame;
use crate::dtype::{DType, Scalar};
use crate::expression::{ColExpr, col};
use crate::plan::{JoinHow, Node, meta};
use oxidask_core::{Error, ExprRef, Result};
use std::sync::Arc;

/// A side of a merge of at most so many bytes goes to all partitions of the
/// other.
const BROADCAST_BYTES: u64 = 16 << 20;

/// How to merge two frames; see [`Frame::merge`].
pub struct Merge<'a> {
    /// Which rows stay.
    pub how: JoinHow,
    /// Key columns of the left.
    pub left_on: &'a [String],
    /// Key columns of the right.
    pub right_on: &'a [String],
    /// What tells other columns of the same name apart.
    pub suffixes: (&'a str, &'a str),
    /// A further column of this name that says on which side a row was:
    /// `left_only`, `right_only` or `both`.
    pub indicator: Option<&'a str>,
}

impl<'a> Merge<'a> {
    /// An inner join on columns of the same names.
    #[must_use]
    pub fn on(keys: &'a [String]) -> Merge<'a> {
        Merge { how: JoinHow::Inner, left_on: keys, right_on: keys, suffixes: ("_x", "_y"), indicator: None }
    }
}

impl Frame {
    /// The rows of both frames with equal keys, side by side, numbered anew. A
    /// side that is known to be small goes to all partitions of the other;
    /// otherwise both are shuffled.
    ///
    /// # Errors
    /// If a key is no column, or keys are of types that do not compare.
    pub fn merge(&self, right: &Frame, merge: &Merge<'_>) -> Result<Frame> {
        let join = crate::plan::join(merge)?;
        check_keys(self, merge.left_on, right, merge.right_on)?;
        let (mut left, mut other) = (self.node()?, right.node()?);
        let single = |node: &ExprRef| meta(node).n_partitions == 1;
        let small = |node: &ExprRef| crate::plan::bytes_at_most(node).is_some_and(|bytes| bytes <= BROADCAST_BYTES);
        if !single(&left) && !single(&other) {
            if merge.how.splits_left() && (merge.how == JoinHow::Cross || small(&other)) {
                other = Node::tree(&other, vec![], vec![], right.meta().index_names.clone())?;
            } else if merge.how.splits_right() && small(&left) {
                left = Node::tree(&left, vec![], vec![], self.meta().index_names.clone())?;
            }
        }
        let both = single(&left) && single(&other);
        if both || (single(&other) && merge.how.splits_left()) || (single(&left) && merge.how.splits_right()) {
            return Ok(Frame::of(Node::join(&left, &other, join)?));
        }
        let n_partitions = self.n_partitions().max(right.n_partitions()) as u32;
        let keys = |names: &[String]| names.iter().map(col).collect();
        let left = Node::shuffle(&left, keys(merge.left_on), n_partitions)?;
        let other = Node::shuffle(&other, keys(merge.right_on), n_partitions)?;
        Ok(Frame::of(Node::join(&left, &other, join)?))
    }

    /// The rows in `n_partitions`, those with equal keys in the same one.
    ///
    /// # Errors
    /// If a key is no column.
    pub fn shuffle<S: AsRef<str>>(&self, keys: impl IntoIterator<Item = S>, n_partitions: usize) -> Result<Frame> {
        let mut by = Vec::new();
        for key in keys {
            self.find(key.as_ref())?;
            by.push(col(key.as_ref()));
        }
        Ok(Frame::of(Node::shuffle(&self.node()?, by, n_partitions.max(1) as u32)?))
    }

    /// The rows of all frames, one after another. A column that a frame lacks is
    /// missing in its rows; columns of several types get the one that holds all.
    ///
    /// # Errors
    /// If columns of one name are of types that do not fit together.
    ///
    /// ```
    /// use oxidask_frame::{Frame, df};
    /// let a = Frame::from_frame(df!("x" => [1, 2])?, 1)?;
    /// let b = Frame::from_frame(df!("x" => [0.5], "y" => ["z"])?, 1)?;
    /// assert_eq!(Frame::concat(&[a, b])?.column_names().len(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn concat(frames: &[Frame]) -> Result<Frame> {
        let columns = all_columns(frames)?;
        let mut nodes = Vec::with_capacity(frames.len());
        for frame in frames {
            let own = frame.dtypes()?;
            let mut fitted = Vec::with_capacity(columns.len());
            for (name, dtype) in &columns {
                let held = own.iter().find(|(own, _)| own == name);
                let expr = match held {
                    Some((_, same)) if same == dtype => frame.find(name)?.clone(),
                    Some(_) => frame.find(name)?.clone().cast(dtype.clone()),
                    None => ColExpr::Literal(Scalar::Null).cast(dtype.clone()),
                };
                fitted.push((name.clone(), expr));
            }
            nodes.push(Frame { base: frame.base.clone(), columns: fitted.into() }.node()?);
        }
        Ok(Frame::of(Node::chain(nodes)?))
    }
}

/// Names and types of the columns of several frames under each other.
fn all_columns(frames: &[Frame]) -> Result<Vec<(Arc<str>, DType)>> {
    let mut columns: Vec<(Arc<str>, Vec<DType>)> = Vec::new();
    for frame in frames {
        for (name, dtype) in frame.dtypes()? {
            match columns.iter_mut().find(|(own, _)| *own == name) {
                Some((_, types)) => types.push(dtype),
                None => columns.push((name, vec![dtype])),
            }
        }
    }
    let fit = |(name, mut types): (Arc<str>, Vec<DType>)| {
        // A whole number cannot be missing, as in pandas.
        if types.len() < frames.len() && types.iter().all(DType::is_integer) {
            types.push(DType::F64);
        }
        let dtype = crate::step::common_type(&types).map_err(|error| error.within(format!("column '{name}'")))?;
        Ok((name, dtype))
    };
    columns.into_iter().map(fit).collect()
}

fn check_keys(left: &Frame, left_on: &[String], right: &Frame, right_on: &[String]) -> Result<()> {
    for (a, b) in left_on.iter().zip(right_on) {
        let (x, y) = (left.column(a)?.dtype()?, right.column(b)?.dtype()?);
        if x != y && !(x.is_numeric() && y.is_numeric()) {
            return Err(Error::type_(format!("cannot merge on '{a}' of type {x} and '{b}' of type {y}"))
                .with_hint("convert one of them with astype"));
        }
    }
    Ok(())
}

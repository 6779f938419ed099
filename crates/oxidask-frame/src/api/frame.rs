//! Frames.

use super::Column;
use super::index::divisions_of;
use crate::dtype::{DType, Scalar};
use crate::error::unknown_column;
use crate::expression::{ColExpr, col};
use crate::lower::type_of;
use crate::plan::{FrameMeta, Node, meta};
use crate::step::Step;
use crate::value::{Index, Partition};
use oxidask_core::{Error, Executor, ExprRef, Result};
use std::sync::Arc;

/// Columns and what they are over a node.
pub(crate) type Columns = Arc<[(Arc<str>, ColExpr)]>;

/// Expressions grow no larger than this over one node; beyond it the columns
/// become a node of their own, so that sharing is not lost.
const EXPRESSION_NODES_MAX: usize = 400;

/// A lazy table in partitions.
///
/// ```
/// use oxidask_frame::{AggFunc, Frame, col, df};
/// let frame = Frame::from_frame(df!("name" => ["a", "b", "a"], "births" => [1, 2, 3])?, 2)?;
/// let large = frame.filter(col("births").gt(1))?;
/// let totals = large.groupby(["name"])?.agg([("births", AggFunc::Sum)])?;
/// assert_eq!(totals.column_names().len(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Frame {
    pub(crate) base: ExprRef,
    pub(crate) columns: Columns,
}

impl Frame {
    /// All columns of a node.
    pub(crate) fn of(base: ExprRef) -> Frame {
        let names = meta(&base).schema.iter_names();
        let columns =
            names.filter(|name| !crate::value::is_hidden(name)).map(|name| (Arc::from(&**name), col(&**name)));
        let columns = columns.collect();
        Frame { base, columns }
    }

    /// The frame of an expression that another frame answered.
    #[must_use]
    pub fn from_expr(expr: ExprRef) -> Frame {
        Frame::of(expr)
    }

    /// A frame of rows in memory, with the default index.
    ///
    /// # Errors
    /// If a column has a type that frames do not have.
    pub fn from_frame(frame: polars::prelude::DataFrame, n_partitions: usize) -> Result<Frame> {
        Frame::from_partition(&Partition { frame, index: Index::Range(0) }, vec![None], n_partitions, false)
    }

    /// A frame of rows in memory, dealt out evenly. `sorted` says that the
    /// index is in order, so that divisions are known.
    ///
    /// # Errors
    /// If `n_partitions` is 0 or a column has a type that frames do not have.
    pub fn from_partition(
        rows: &Partition,
        index_names: Vec<Option<Arc<str>>>,
        n_partitions: usize,
        sorted: bool,
    ) -> Result<Frame> {
        if n_partitions == 0 {
            return Err(Error::value("a frame has at least one partition, and npartitions is 0"));
        }
        let n_rows = rows.n_rows();
        let per_part = n_rows.div_ceil(n_partitions).max(1);
        let starts: Vec<usize> = (0..n_rows.max(1)).step_by(per_part).collect();
        let parts: Vec<Partition> = starts.iter().map(|start| slice(rows, *start, per_part)).collect();
        let divisions = divisions_of(rows, &starts, sorted);
        Ok(Frame::of(Node::memory(parts, index_names, divisions)?))
    }

    /// What is known of the frame before it is computed.
    #[must_use]
    pub fn meta(&self) -> &FrameMeta {
        meta(&self.base)
    }

    /// The names of the columns.
    #[must_use]
    pub fn column_names(&self) -> Vec<Arc<str>> {
        self.columns.iter().map(|(name, _)| name.clone()).collect()
    }

    /// Names and types of the columns.
    ///
    /// # Errors
    /// If a type is not known, which would be a mistake of ours.
    pub fn dtypes(&self) -> Result<Vec<(Arc<str>, DType)>> {
        let schema = &self.meta().schema;
        self.columns.iter().map(|(name, expr)| Ok((name.clone(), type_of(expr, schema)?))).collect()
    }

    /// The number of partitions.
    #[must_use]
    pub fn n_partitions(&self) -> usize {
        self.meta().n_partitions
    }

    /// The expression whose blocks are this frame's partitions.
    ///
    /// # Errors
    /// If the columns cannot be computed from the node's.
    pub fn node(&self) -> Result<ExprRef> {
        let names = self.meta().schema.iter_names().filter(|name| !crate::value::is_hidden(name));
        let same = names.map(|name| &**name).eq(self.columns.iter().map(|(name, _)| &**name))
            && self.columns.iter().all(|(name, expr)| *expr == ColExpr::Column(name.clone()));
        if same { Ok(self.base.clone()) } else { self.map(vec![self.show()]) }
    }

    /// The step that makes the columns.
    pub(crate) fn show(&self) -> Step {
        Step::Select(self.columns.to_vec())
    }

    /// Steps on each partition of the node, with the index kept.
    pub(crate) fn map(&self, steps: Vec<Step>) -> Result<ExprRef> {
        Node::map(&self.base, steps, self.meta().index_names.clone())
    }

    /// Rows of the frame after steps.
    pub(super) fn steps(&self, steps: impl IntoIterator<Item = Step>) -> Result<Frame> {
        let mut all = vec![self.show()];
        all.extend(steps);
        Ok(Frame::of(self.map(all)?))
    }

    /// All rows in one partition after `each` on every partition, `combine`
    /// after every merge and `finish` at the end.
    pub(super) fn gather(&self, each: Vec<Step>, combine: Vec<Step>, finish: Vec<Step>) -> Result<Frame> {
        let mut steps = vec![self.show()];
        steps.extend(each);
        let mapped = self.map(steps)?;
        Ok(Frame::of(Node::tree(&mapped, combine, finish, self.meta().index_names.clone())?))
    }

    /// An expression over the frame's columns as one over the node's.
    pub(crate) fn resolve(&self, expr: &ColExpr) -> Result<ColExpr> {
        let mut reads = std::collections::BTreeSet::new();
        expr.columns(&mut reads);
        for name in &reads {
            self.find(name)?;
        }
        let find = |name: &Arc<str>| self.columns.iter().find(|(own, _)| own == name).map(|(_, expr)| expr.clone());
        Ok(expr.substitute(&find))
    }

    pub(super) fn find(&self, name: &str) -> Result<&ColExpr> {
        let found = self.columns.iter().find(|(own, _)| &**own == name).map(|(_, expr)| expr);
        found.ok_or_else(|| unknown_column(name, self.columns.iter().map(|(name, _)| &**name)))
    }

    /// A column.
    ///
    /// # Errors
    /// If there is none of that name.
    pub fn column(&self, name: &str) -> Result<Column> {
        Ok(Column { base: self.base.clone(), name: Some(Arc::from(name)), expr: self.find(name)?.clone() })
    }

    /// An expression over the columns, as a column.
    ///
    /// # Errors
    /// If it reads a column that is not there.
    pub fn eval(&self, name: Option<&str>, expr: &ColExpr) -> Result<Column> {
        Ok(Column { base: self.base.clone(), name: name.map(Arc::from), expr: self.resolve(expr)? })
    }

    /// Only these columns, in this order.
    ///
    /// # Errors
    /// If one is not there.
    pub fn select<S: AsRef<str>>(&self, names: impl IntoIterator<Item = S>) -> Result<Frame> {
        let pick = |name: S| Ok((Arc::from(name.as_ref()), self.find(name.as_ref())?.clone()));
        let columns = names.into_iter().map(pick).collect::<Result<_>>()?;
        Ok(Frame { base: self.base.clone(), columns })
    }

    /// All columns but these.
    ///
    /// # Errors
    /// If one is not there.
    pub fn drop<S: AsRef<str>>(&self, names: impl IntoIterator<Item = S>) -> Result<Frame> {
        let mut dropped: Vec<Arc<str>> = Vec::new();
        for name in names {
            self.find(name.as_ref())?;
            dropped.push(Arc::from(name.as_ref()));
        }
        let columns = self.columns.iter().filter(|(name, _)| !dropped.contains(name)).cloned().collect();
        Ok(Frame { base: self.base.clone(), columns })
    }

    /// The columns under other names; those not named stay as they are.
    #[must_use]
    pub fn rename(&self, new_name: impl Fn(&str) -> Option<String>) -> Frame {
        let rename =
            |(name, expr): &(Arc<str>, ColExpr)| (new_name(name).map_or_else(|| name.clone(), Arc::from), expr.clone());
        Frame { base: self.base.clone(), columns: self.columns.iter().map(rename).collect() }
    }

    /// With a column added or replaced.
    ///
    /// # Errors
    /// If the column belongs to rows of another frame.
    pub fn with_column(&self, name: &str, column: &Column) -> Result<Frame> {
        let base = column.unified(&self.base, "assigned")?;
        Frame { base, columns: self.columns.clone() }.with_expr(name, column.expr.clone())
    }

    /// With a column added or replaced, given as an expression over the columns.
    ///
    /// # Errors
    /// If it reads a column that is not there or does not fit the types.
    pub fn with(&self, name: &str, expr: &ColExpr) -> Result<Frame> {
        self.with_expr(name, self.resolve(expr)?)
    }

    fn with_expr(&self, name: &str, expr: ColExpr) -> Result<Frame> {
        // Alone in a column a whole number is as wide as pandas makes it.
        let is_whole = matches!(expr, ColExpr::Literal(Scalar::Int(_)));
        let expr = if is_whole { expr.cast(DType::I64) } else { expr };
        type_of(&expr, &self.meta().schema)?;
        let is_large = expr.size(EXPRESSION_NODES_MAX) >= EXPRESSION_NODES_MAX;
        let mut columns = self.columns.to_vec();
        match columns.iter_mut().find(|(own, _)| &**own == name) {
            Some((_, old)) => *old = expr,
            None => columns.push((Arc::from(name), expr)),
        }
        let frame = Frame { base: self.base.clone(), columns: columns.into() };
        if is_large { Ok(Frame::of(frame.node()?)) } else { Ok(frame) }
    }

    /// The rows for which `condition` holds; missing counts as false.
    ///
    /// # Errors
    /// If the condition is no boolean or reads a column that is not there.
    pub fn filter(&self, condition: impl Into<ColExpr>) -> Result<Frame> {
        let condition = self.resolve(&condition.into())?;
        Ok(Frame::of(self.map(vec![Step::Filter(condition), self.show()])?))
    }

    /// The rows for which a boolean column of the same frame holds.
    ///
    /// # Errors
    /// If the column is no boolean or belongs to rows of another frame.
    pub fn filter_by(&self, column: &Column) -> Result<Frame> {
        let base = column.unified(&self.base, "used as a filter")?;
        let frame = Frame { base, columns: self.columns.clone() };
        Ok(Frame::of(frame.map(vec![Step::Filter(column.expr.clone()), self.show()])?))
    }

    /// The first rows of the first `n_partitions` partitions. Reads no others.
    ///
    /// # Errors
    /// If there are not so many partitions.
    pub fn head(&self, n: u64, n_partitions: usize) -> Result<Frame> {
        let first: Vec<u32> = (0..n_partitions as u32).collect();
        let firsts = self.partitions(&first)?.steps([Step::Head(n)])?;
        if n_partitions == 1 { Ok(firsts) } else { firsts.gather(vec![], vec![Step::Head(n)], vec![]) }
    }

    /// The last rows of the last partition. Reads no others.
    ///
    /// # Errors
    /// None that the frame itself did not already have.
    pub fn tail(&self, n: u64) -> Result<Frame> {
        let last = self.n_partitions() as u32 - 1;
        self.partitions(&[last])?.steps([Step::Tail(n)])
    }

    /// Only these partitions.
    ///
    /// # Errors
    /// If there is no such partition.
    pub fn partitions(&self, blocks: &[u32]) -> Result<Frame> {
        let base = Node::take(&self.base, blocks)?;
        Ok(Frame { base, columns: self.columns.clone() })
    }

    /// The same rows in another number of partitions, in the same order.
    ///
    /// # Errors
    /// If the number is 0.
    pub fn repartition(&self, n_partitions: usize) -> Result<Frame> {
        let base = Node::repartition(&self.base, n_partitions)?;
        Ok(Frame { base, columns: self.columns.clone() })
    }

    /// Computes all rows.
    ///
    /// # Errors
    /// The first error of a task.
    pub fn compute(&self, executor: &dyn Executor) -> Result<Partition> {
        compute(&self.node()?, executor)
    }

    /// The plan as it will run in partitions, and the one query that runs in its
    /// place on one machine where the memory suffices.
    ///
    /// # Errors
    /// If the plan cannot be made.
    pub fn explain(&self) -> Result<String> {
        let roots = oxidask_core::optimize(&[self.node()?])?;
        let mut text = String::new();
        for root in &roots {
            text.push_str(&oxidask_core::optimize::plan_text(root));
            if let Some(query) = crate::plan::query_text(root)? {
                text.push_str("\nas one query, where the data fit into a quarter of the memory limit:\n");
                text.push_str(&query);
                text.push('\n');
            }
        }
        Ok(text)
    }
}

/// Computes the partitions of an expression and puts them under each other.
pub(crate) fn compute(expr: &ExprRef, executor: &dyn Executor) -> Result<Partition> {
    let roots = oxidask_core::optimize(std::slice::from_ref(expr))?;
    let roots = crate::plan::as_queries(roots, executor);
    let (graph, _) = oxidask_core::lower(&roots)?;
    let values = executor.compute(graph, &|| Ok(()))?;
    let partitions: Vec<&Partition> = values.iter().map(|value| value.expect::<Partition>()).collect::<Result<_>>()?;
    crate::threads::alone(|| Partition::concat(&partitions))
}

fn slice(rows: &Partition, start: usize, length: usize) -> Partition {
    let index = match rows.index {
        Index::Range(first) => Index::Range(first + start as i64),
        other => other,
    };
    Partition { frame: rows.frame.slice(start as i64, length), index }
}

//! Frames.

use super::column::Column;
use super::groupby::GroupBy;
use crate::aggregate::{AggColumn, AggFunc, Aggregation};
use crate::csv::{CsvOptions, CsvScan};
use crate::dtype::{DType, Scalar};
use crate::error::unknown_column;
use crate::expression::{ColExpr, col, lit};
use crate::lower::type_of;
use crate::parquet::ParquetScan;
use crate::plan::{FrameMeta, JoinHow, Node, SourceKind, meta};
use crate::step::{Keep, SortKey, Step};
use crate::value::{Index, Partition, level_name};
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

/// Reads CSV files: paths or patterns such as `data/*.csv`.
///
/// Only the beginning of the first file is read now, for names and types.
///
/// # Errors
/// If nothing matches, or a name in the options is no column.
pub fn read_csv<S: AsRef<str>>(patterns: impl IntoIterator<Item = S>, options: CsvOptions) -> Result<Frame> {
    let patterns: Vec<String> = patterns.into_iter().map(|pattern| pattern.as_ref().to_owned()).collect();
    let scan = CsvScan::open(&patterns, options)?;
    Ok(Frame::of(Node::read(SourceKind::Csv(Arc::new(scan)))?))
}

/// Reads Parquet files: paths or patterns; `columns` are the only ones to read.
///
/// Only the files' footers are read now.
///
/// # Errors
/// If nothing matches, a file is no Parquet file, or the files differ.
pub fn read_parquet<S: AsRef<str>>(patterns: impl IntoIterator<Item = S>, columns: Option<&[String]>) -> Result<Frame> {
    let patterns: Vec<String> = patterns.into_iter().map(|pattern| pattern.as_ref().to_owned()).collect();
    let scan = ParquetScan::open(&patterns, columns)?;
    Ok(Frame::of(Node::read(SourceKind::Parquet(Arc::new(scan)))?))
}

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
    fn steps(&self, steps: impl IntoIterator<Item = Step>) -> Result<Frame> {
        let mut all = vec![self.show()];
        all.extend(steps);
        Ok(Frame::of(self.map(all)?))
    }

    /// All rows in one partition after `each` on every partition, `combine`
    /// after every merge and `finish` at the end.
    fn gather(&self, each: Vec<Step>, combine: Vec<Step>, finish: Vec<Step>) -> Result<Frame> {
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

    fn find(&self, name: &str) -> Result<&ColExpr> {
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

    fn sort_keys(&self, keys: Vec<SortKey>) -> Result<Vec<SortKey>> {
        for key in &keys {
            self.resolve(&key.by)?;
        }
        Ok(keys)
    }

    /// The rows in order, in one partition.
    ///
    /// # Errors
    /// If a key reads a column that is not there.
    pub fn sort_values(&self, keys: Vec<SortKey>) -> Result<Frame> {
        let sort = Step::Sort(self.sort_keys(keys)?);
        self.gather(vec![sort.clone()], vec![sort], vec![])
    }

    /// The first `n` rows of an order, in one partition.
    ///
    /// # Errors
    /// If a key reads a column that is not there.
    pub fn top(&self, keys: Vec<SortKey>, n: u64) -> Result<Frame> {
        let top = Step::Top(self.sort_keys(keys)?, n);
        self.gather(vec![top.clone()], vec![top], vec![])
    }

    /// One row of each kind, judged by `subset` or by all columns, in one
    /// partition.
    ///
    /// # Errors
    /// If a column of the subset is not there.
    pub fn drop_duplicates(&self, subset: Option<&[String]>, keep: Keep) -> Result<Frame> {
        let subset: Option<Vec<Arc<str>>> = subset.map(|names| names.iter().map(|name| Arc::from(&**name)).collect());
        for name in subset.iter().flatten() {
            self.find(name)?;
        }
        let distinct = Step::Distinct(subset, keep);
        self.gather(vec![distinct.clone()], vec![distinct], vec![])
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

    /// A column as index. Unless `sorted` says that it is in order already, all
    /// rows are sorted by it into one partition.
    ///
    /// # Errors
    /// If the column belongs to rows of another frame.
    pub fn set_index(&self, column: &Column, drop: bool, sorted: bool) -> Result<Frame> {
        let base = column.unified(&self.base, "used as index")?;
        let rest = match &column.name {
            Some(name) if drop && self.find(name).is_ok() => self.drop([name])?,
            _ => self.clone(),
        };
        let names = vec![column.name.clone()];
        // The hidden levels survive the selection of the other columns.
        let steps = vec![Step::SetIndex(vec![column.expr.clone()]), rest.show()];
        let base = Node::map(&base, steps, names.clone())?;
        if sorted {
            return Ok(Frame::of(base));
        }
        let sort = Step::Sort(vec![SortKey { by: col(level_name(0)), descending: false, nulls_last: true }]);
        Ok(Frame::of(Node::tree(&base, vec![], vec![sort], names)?))
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
        aggregated(&self.base, aggregation, after, index_names)
    }

    /// The rows of both frames with equal keys, side by side, numbered anew. A
    /// right frame with one partition goes to all; otherwise both are shuffled.
    ///
    /// # Errors
    /// If a key is no column, or keys are of types that do not compare.
    pub fn merge(&self, right: &Frame, merge: &Merge<'_>) -> Result<Frame> {
        let join = crate::plan::join(merge)?;
        check_keys(self, merge.left_on, right, merge.right_on)?;
        let (left, other) = (self.node()?, right.node()?);
        let inner_or_left = matches!(merge.how, JoinHow::Inner | JoinHow::Left);
        let both_single = self.n_partitions() == 1 && right.n_partitions() == 1;
        if both_single || (right.n_partitions() == 1 && inner_or_left) {
            return Ok(Frame::of(Node::join(&left, &other, join)?));
        }
        let n_partitions = self.n_partitions().max(right.n_partitions()) as u32;
        let keys = |names: &[String]| names.iter().map(col).collect();
        let left = Node::shuffle(&left, keys(merge.left_on), n_partitions);
        let other = Node::shuffle(&other, keys(merge.right_on), n_partitions);
        Ok(Frame::of(Node::join(&left, &other, join)?))
    }

    /// The rows of all frames, one after another.
    ///
    /// # Errors
    /// If they differ in names or types of columns.
    pub fn concat(frames: &[Frame]) -> Result<Frame> {
        let nodes = frames.iter().map(Frame::node).collect::<Result<_>>()?;
        Ok(Frame::of(Node::chain(nodes)?))
    }

    /// Computes all rows.
    ///
    /// # Errors
    /// The first error of a task.
    pub fn compute(&self, executor: &dyn Executor) -> Result<Partition> {
        compute(&self.node()?, executor)
    }

    /// The plan as it will run.
    ///
    /// # Errors
    /// If the plan cannot be made.
    pub fn explain(&self) -> Result<String> {
        let roots = oxidask_core::optimize(&[self.node()?])?;
        Ok(roots.iter().map(oxidask_core::optimize::plan_text).collect())
    }
}

/// Computes the partitions of an expression and puts them under each other.
pub(crate) fn compute(expr: &ExprRef, executor: &dyn Executor) -> Result<Partition> {
    let roots = oxidask_core::optimize(std::slice::from_ref(expr))?;
    let (graph, _) = oxidask_core::lower(&roots)?;
    let values = executor.compute(graph, &|| Ok(()))?;
    let partitions: Vec<&Partition> = values.iter().map(|value| value.expect::<Partition>()).collect::<Result<_>>()?;
    crate::threads::alone(|| Partition::concat(&partitions))
}

/// The node of an aggregation of a node's rows.
pub(crate) fn aggregated(
    base: &ExprRef,
    aggregation: Aggregation,
    after: Vec<Step>,
    index_names: Vec<Option<Arc<str>>>,
) -> Result<ExprRef> {
    let aggregation = Arc::new(aggregation);
    let partial = Node::map(base, vec![Step::Partial(aggregation.clone())], vec![None])?;
    let mut finish = vec![Step::Finish(aggregation.clone())];
    finish.extend(after);
    Node::tree(&partial, vec![Step::Combine(aggregation)], finish, index_names)
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

fn slice(rows: &Partition, start: usize, length: usize) -> Partition {
    let index = match rows.index {
        Index::Range(first) => Index::Range(first + start as i64),
        other => other,
    };
    Partition { frame: rows.frame.slice(start as i64, length), index }
}

/// The bounds of partitions that begin at these rows, if the index has them.
fn divisions_of(rows: &Partition, starts: &[usize], sorted: bool) -> Option<Vec<Scalar>> {
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

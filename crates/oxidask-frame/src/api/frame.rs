//! Frames.

use super::column::Column;
use super::groupby::GroupBy;
use crate::aggregate::{AggColumn, AggFunc, Aggregation};
use crate::csv::{CsvOptions, CsvScan};
use crate::dtype::{DType, Scalar};
use crate::error::unknown_column;
use crate::expression::{ColExpr, col, lit};
use crate::json::{JsonOptions, JsonScan};
use crate::lower::type_of;
use crate::parquet::ParquetScan;
use crate::plan::{FrameMeta, JoinHow, Node, SourceKind, meta};
use crate::step::{Keep, SortKey, Step};
use crate::value::{Index, Partition, level_name};
use oxidask_core::{Error, Executor, ExprRef, Result};
use std::sync::Arc;

/// Columns and what they are over a node.
pub(crate) type Columns = Arc<[(Arc<str>, ColExpr)]>;

/// A side of a merge of at most so many bytes goes to all partitions of the
/// other.
const BROADCAST_BYTES: u64 = 16 << 20;

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

/// Reads files of JSON objects, one a line: paths or patterns such as
/// `data/*.jsonl`.
///
/// Only the beginning of the first file is read now, for names and types.
///
/// # Errors
/// If nothing matches, or the first file holds no such lines.
pub fn read_json<S: AsRef<str>>(patterns: impl IntoIterator<Item = S>, options: &JsonOptions) -> Result<Frame> {
    let patterns: Vec<String> = patterns.into_iter().map(|pattern| pattern.as_ref().to_owned()).collect();
    let scan = JsonScan::open(&patterns, options)?;
    Ok(Frame::of(Node::read(SourceKind::Json(Arc::new(scan)))?))
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

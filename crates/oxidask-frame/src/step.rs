//! Steps: what is done to the rows of one partition.
//!
//! A list of steps runs as *one* lazy Polars query, so that Polars optimises
//! within the partition what we arranged across partitions.

use crate::aggregate::{Aggregation, schema_of};
use crate::error::{polars_error, unknown_column};
use crate::expression::ColExpr;
use crate::lower::{lower, lower_filter};
use crate::threads::alone;
use crate::value::{Index, Partition, is_hidden, level_name};
use oxidask_core::{Error, Result};
use polars::lazy::dsl::{Expr, col, lit};
use polars::prelude::*;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// One step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Step {
    /// Keeps the rows where it holds.
    Filter(ColExpr),
    /// These are the columns from here on.
    Select(Vec<(Arc<str>, ColExpr)>),
    /// Forgets the names of the rows.
    DropIndex,
    /// These become the levels of the index.
    SetIndex(Vec<ColExpr>),
    /// The levels of the index become the first columns, under these names; the
    /// rows are numbered.
    ResetIndex(Vec<Arc<str>>),
    /// The first rows.
    Head(u64),
    /// The last rows.
    Tail(u64),
    /// Orders the rows, equal ones in their old order.
    Sort(Vec<SortKey>),
    /// The first so many rows of this order.
    Top(Vec<SortKey>, u64),
    /// One row of each kind, judged by these columns or by all.
    Distinct(Option<Vec<Arc<str>>>, Keep),
    /// States of an aggregation, from rows.
    Partial(Arc<Aggregation>),
    /// Results of an aggregation at once, where all rows of every group are
    /// here.
    Aggregate(Arc<Aggregation>),
    /// States of an aggregation, from states.
    Combine(Arc<Aggregation>),
    /// Results of an aggregation, from states.
    Finish(Arc<Aggregation>),
    /// Some values of these keys, for [`Step::Bounds`].
    Sample(Vec<SortKey>),
    /// From samples, where so many partitions of about equal length begin and
    /// end.
    Bounds(Vec<SortKey>, u32),
    /// The column divided by its sum.
    Share(Arc<str>),
    /// One row becomes one column of this name, with the old columns' names as
    /// index.
    Transpose(Arc<str>),
}

/// Which of several equal rows stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Keep {
    First,
    Last,
    /// None: only rows without equal stay.
    Neither,
}

/// One key of an order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SortKey {
    /// By what.
    pub by: ColExpr,
    /// Largest first.
    pub descending: bool,
    /// Missing values at the end, whatever the direction.
    pub nulls_last: bool,
}

impl Step {
    /// The step in a few words, for plans that people read.
    #[must_use]
    pub fn describe(&self) -> String {
        let names = |columns: &[(Arc<str>, ColExpr)]| -> String {
            let shown = columns.iter().take(8).map(|(name, expr)| match expr {
                ColExpr::Column(column) if column == name => name.to_string(),
                other => format!("{name}={other}"),
            });
            shown.collect::<Vec<_>>().join(", ")
        };
        match self {
            Step::Filter(expr) => format!("filter {expr}"),
            Step::Select(columns) => format!("select {}", names(columns)),
            Step::DropIndex => "drop index".to_owned(),
            Step::SetIndex(_) => "set index".to_owned(),
            Step::ResetIndex(_) => "reset index".to_owned(),
            Step::Head(n) => format!("head {n}"),
            Step::Tail(n) => format!("tail {n}"),
            Step::Sort(_) => "sort".to_owned(),
            Step::Top(_, n) => format!("top {n}"),
            Step::Distinct(..) => "distinct".to_owned(),
            Step::Partial(_) => "aggregate partially".to_owned(),
            Step::Aggregate(_) => "aggregate".to_owned(),
            Step::Combine(_) => "combine".to_owned(),
            Step::Finish(_) => "finish".to_owned(),
            Step::Sample(_) => "sample".to_owned(),
            Step::Bounds(_, n) => format!("bounds of {n} ranges"),
            Step::Share(name) => format!("share of {name}"),
            Step::Transpose(name) => format!("transpose to {name}"),
        }
    }

    /// Whether every row stays what and where it is.
    #[must_use]
    pub fn keeps_rows(&self) -> bool {
        matches!(self, Step::Select(_) | Step::DropIndex | Step::SetIndex(_))
    }
}

/// Runs all steps on one partition, on this thread.
///
/// # Errors
/// If the data do not allow it, such as a cast that does not fit.
pub(crate) fn run(partition: &Partition, steps: &[Step]) -> Result<Partition> {
    if steps.is_empty() {
        return Ok(partition.clone());
    }
    alone(|| {
        let mut rows = Rows::of(partition);
        for step in steps {
            rows = rows.apply(step)?;
        }
        rows.collect()
    })
}

/// What the steps make of an empty partition: checks them and answers names and
/// types of the result.
pub(crate) fn dry_run(empty: &Partition, steps: &[Step]) -> Result<Partition> {
    alone(|| {
        let mut rows = Rows::of(empty);
        for step in steps {
            rows.check(step)?;
            rows = rows.apply(step)?;
        }
        let schema = schema_of(&mut rows.frame)?;
        Ok(Partition { frame: DataFrame::empty_with_schema(&schema), index: rows.index })
    })
}

/// Rows on their way through the steps.
pub(crate) struct Rows {
    pub frame: LazyFrame,
    pub index: Index,
    /// Whether these are all rows of a plan, computed on all threads by Polars'
    /// streaming engine; else one thread computes them, as part of a task.
    pub whole: bool,
}

impl Rows {
    /// The rows of a partition, for steps on one thread.
    pub(crate) fn of(partition: &Partition) -> Self {
        let frame = partition.frame.clone().lazy();
        Rows { frame, index: partition.index, whole: false }
    }

    /// Computes the rows.
    pub(crate) fn collect(self) -> Result<Partition> {
        Ok(Partition { index: self.index, frame: self.values()? })
    }

    /// The streaming engine reads, groups and joins two to four times as fast as
    /// the other, keeps the orders that it is asked to keep, and uses threads of
    /// its own: no task may have it.
    fn values(self) -> Result<DataFrame> {
        let engine = if self.whole { Engine::Streaming } else { Engine::InMemory };
        Ok(self.frame.collect_with_engine(engine).map_err(polars_error)?.unwrap_single())
    }

    /// Names and types of all columns.
    pub(crate) fn schema(&mut self) -> Result<SchemaRef> {
        schema_of(&mut self.frame)
    }

    fn check(&mut self, step: &Step) -> Result<()> {
        let mut schema = self.schema()?;
        if let Index::Range(_) = self.index {
            // Steps that read the labels of rows make them.
            let mut pinned = (*schema).clone();
            pinned.with_column(level_name(0).into(), DataType::Int64);
            schema = Arc::new(pinned);
        }
        let known = |name: &str| -> Result<()> {
            let columns = || schema.iter_names().map(|name| &**name).filter(|name| !is_hidden(name));
            if schema.contains(name) { Ok(()) } else { Err(unknown_column(name, columns())) }
        };
        let mut reads = std::collections::BTreeSet::new();
        match step {
            Step::Filter(expr) => {
                expr.columns(&mut reads);
                reads.iter().try_for_each(|name| known(name))?;
                let dtype = crate::lower::type_of(expr, &schema)?;
                if dtype != crate::dtype::DType::Bool {
                    return Err(Error::type_(format!("a filter needs booleans; '{expr}' is of type {dtype}")));
                }
            }
            Step::Select(columns) => columns.iter().for_each(|(_, expr)| expr.columns(&mut reads)),
            Step::SetIndex(exprs) => exprs.iter().for_each(|expr| expr.columns(&mut reads)),
            Step::Sort(keys) | Step::Top(keys, _) | Step::Sample(keys) => {
                keys.iter().for_each(|key| key.by.columns(&mut reads));
            }
            Step::Distinct(Some(subset), _) => reads.extend(subset.iter().cloned()),
            Step::Partial(aggregation) | Step::Aggregate(aggregation) => {
                aggregation.keys.iter().for_each(|key| key.columns(&mut reads));
                for column in aggregation.columns.iter().filter(|c| c.func != crate::aggregate::AggFunc::Size) {
                    column.arg.columns(&mut reads);
                }
                reads.iter().try_for_each(|name| known(name))?;
                aggregation.check(&schema)?;
            }
            _ => {}
        }
        reads.iter().try_for_each(|name| known(name))
    }

    /// Gives the rows names that they keep wherever they go.
    fn pin_index(mut self) -> Self {
        if let Index::Range(start) = self.index {
            let level = level_name(0);
            let labels = col(level.as_str()).cast(DataType::Int64) + lit(start);
            self.frame = self.frame.with_row_index(level.as_str(), None).with_columns([labels]);
            self.index = Index::Levels(1);
        }
        self
    }

    /// Gives the rows names if one of these expressions reads them.
    fn pin_read<'a>(self, exprs: impl Iterator<Item = &'a ColExpr>) -> Self {
        let mut reads = std::collections::BTreeSet::new();
        exprs.for_each(|expr| expr.columns(&mut reads));
        if reads.iter().any(|name| is_hidden(name)) { self.pin_index() } else { self }
    }

    fn hidden(&self) -> Vec<Expr> {
        match self.index {
            Index::Levels(levels) => (0..levels as usize).map(|level| col(level_name(level))).collect(),
            Index::None | Index::Range(_) => Vec::new(),
        }
    }

    /// The rows after a step.
    pub(crate) fn apply(mut self, step: &Step) -> Result<Self> {
        match step {
            Step::Filter(expr) => {
                self = self.pin_index();
                let schema = self.schema()?;
                self.frame = self.frame.filter(lower_filter(expr, &schema)?);
            }
            Step::Select(columns) => self = self.pin_read(columns.iter().map(|(_, expr)| expr)).select(columns)?,
            Step::DropIndex => self = self.drop_index()?,
            Step::SetIndex(exprs) => self = self.pin_read(exprs.iter()).set_index(exprs)?,
            Step::ResetIndex(names) => self = self.reset_index(names)?,
            Step::Head(n) => self.frame = self.frame.limit(small(*n)),
            Step::Tail(n) => self = self.pin_index().tail(*n)?,
            Step::Sort(keys) => self = self.pin_index().sort(keys)?,
            Step::Top(keys, n) => {
                self = self.pin_index().sort(keys)?;
                self.frame = self.frame.limit(small(*n));
            }
            Step::Distinct(subset, keep) => self = self.pin_index().distinct(subset.as_deref(), *keep)?,
            Step::Partial(aggregation) => {
                let schema = self.schema()?;
                self.frame = aggregation.partial(self.frame, &schema)?;
                self.index = Index::None;
            }
            Step::Aggregate(aggregation) => {
                let schema = self.schema()?;
                self.frame = aggregation.whole(self.frame, &schema)?;
                self.index = index_of_groups(aggregation);
            }
            Step::Combine(aggregation) => self.frame = aggregation.combine(self.frame),
            Step::Finish(aggregation) => {
                self.frame = aggregation.finish(self.frame);
                self.index = index_of_groups(aggregation);
            }
            Step::Sample(keys) => {
                self = self.pin_read(keys.iter().map(|key| &key.by));
                let whole = self.whole;
                let samples = crate::range::sample(&self.values()?, keys)?;
                self = Rows { frame: samples.lazy(), index: Index::None, whole };
            }
            Step::Bounds(keys, n_parts) => {
                let whole = self.whole;
                let bounds = crate::range::bounds(&self.values()?, keys, *n_parts as usize)?;
                self = Rows { frame: bounds.lazy(), index: Index::None, whole };
            }
            Step::Share(name) => {
                let share = col(&**name).cast(DataType::Float64) / col(&**name).sum().cast(DataType::Float64);
                self.frame = self.frame.with_columns([share.alias(&**name)]);
            }
            Step::Transpose(name) => self = self.transpose(name)?,
        }
        Ok(self)
    }

    fn select(mut self, columns: &[(Arc<str>, ColExpr)]) -> Result<Self> {
        let schema = self.schema()?;
        let mut exprs = self.hidden();
        let mut has_rows = !exprs.is_empty();
        let mut literals = Vec::new();
        for (name, expr) in columns {
            let mut reads = std::collections::BTreeSet::new();
            expr.columns(&mut reads);
            has_rows |= !reads.is_empty();
            literals.push(reads.is_empty());
            exprs.push(lower(expr, &schema)?.alias(&**name));
        }
        if !has_rows {
            // Literals alone have no length; a column lends them its own.
            let n_rows = polars::lazy::dsl::len();
            let hidden = exprs.len() - columns.len();
            for (expr, _) in exprs[hidden..].iter_mut().zip(&literals) {
                *expr = polars::lazy::dsl::repeat(expr.clone(), n_rows.clone()).alias(output_name(expr));
            }
        }
        self.frame = self.frame.select(exprs);
        Ok(self)
    }

    fn drop_index(mut self) -> Result<Self> {
        if let Index::Levels(_) = self.index {
            let schema = self.schema()?;
            let kept: Vec<Expr> =
                schema.iter_names().filter(|name| !is_hidden(name)).map(|name| col(name.clone())).collect();
            // Without any column it would be forgotten how many rows there are.
            if kept.is_empty() {
                return Ok(self);
            }
            self.frame = self.frame.select(kept);
        }
        self.index = Index::None;
        Ok(self)
    }

    fn set_index(mut self, exprs: &[ColExpr]) -> Result<Self> {
        let schema = self.schema()?;
        let mut all = Vec::with_capacity(exprs.len() + schema.len());
        for (level, expr) in exprs.iter().enumerate() {
            all.push(lower(expr, &schema)?.alias(level_name(level)));
        }
        all.extend(schema.iter_names().filter(|name| !is_hidden(name)).map(|name| col(name.clone())));
        self.frame = self.frame.select(all);
        self.index = Index::Levels(exprs.len() as u32);
        Ok(self)
    }

    fn reset_index(mut self, names: &[Arc<str>]) -> Result<Self> {
        if self.index == Index::None {
            self.index = Index::Range(0);
        }
        self = self.pin_index();
        let schema = self.schema()?;
        let mut all: Vec<Expr> =
            names.iter().enumerate().map(|(level, name)| col(level_name(level)).alias(&**name)).collect();
        all.extend(schema.iter_names().filter(|name| !is_hidden(name)).map(|name| col(name.clone())));
        self.frame = self.frame.select(all);
        self.index = Index::Range(0);
        Ok(self)
    }

    fn tail(mut self, n: u64) -> Result<Self> {
        self.frame = self.frame.tail(small(n));
        Ok(self)
    }

    fn sort(mut self, keys: &[SortKey]) -> Result<Self> {
        let schema = self.schema()?;
        let by: Vec<Expr> = keys.iter().map(|key| lower(&key.by, &schema)).collect::<Result<_>>()?;
        let options = SortMultipleOptions::default()
            .with_order_descending_multi(keys.iter().map(|key| key.descending))
            .with_nulls_last_multi(keys.iter().map(|key| key.nulls_last))
            .with_maintain_order(true)
            .with_multithreaded(self.whole);
        self.frame = self.frame.sort_by_exprs(by, options);
        Ok(self)
    }

    fn distinct(mut self, subset: Option<&[Arc<str>]>, keep: Keep) -> Result<Self> {
        let schema = self.schema()?;
        let names: Vec<PlSmallStr> = match subset {
            Some(subset) => subset.iter().map(|name| PlSmallStr::from_str(name)).collect(),
            None => schema.iter_names().filter(|name| !is_hidden(name)).cloned().collect(),
        };
        let keep = match keep {
            Keep::First => UniqueKeepStrategy::First,
            Keep::Last => UniqueKeepStrategy::Last,
            Keep::Neither => UniqueKeepStrategy::None,
        };
        self.frame = self.frame.unique_stable(Some(polars::lazy::dsl::by_name(names, true, false)), keep);
        Ok(self)
    }

    fn transpose(mut self, name: &str) -> Result<Self> {
        let schema = self.schema()?;
        let types: Vec<crate::dtype::DType> =
            schema.iter_values().map(crate::dtype::DType::from_polars).collect::<Result<_>>()?;
        let target = common_type(&types)?.to_polars()?;
        let whole = self.whole;
        let row = self.values()?;
        let mut values = Series::new_empty(name.into(), &target);
        for column in row.columns() {
            let one = column.as_materialized_series().cast(&target).map_err(polars_error)?;
            values.append(&one).map_err(polars_error)?;
        }
        let labels: Vec<&str> = row.get_column_names().into_iter().map(|name| &**name).collect();
        let labels = if row.height() == 0 { Vec::new() } else { labels };
        let columns = vec![Column::new(level_name(0).into(), labels), values.into_column()];
        let frame = DataFrame::new_infer_height(columns).map_err(polars_error)?.lazy();
        Ok(Rows { frame, index: Index::Levels(1), whole })
    }
}

fn index_of_groups(aggregation: &Aggregation) -> Index {
    match aggregation.keys.len() {
        0 => Index::Range(0),
        keys => Index::Levels(keys as u32),
    }
}

fn output_name(expr: &Expr) -> PlSmallStr {
    match expr {
        Expr::Alias(_, name) => name.clone(),
        _ => PlSmallStr::from_static("literal"),
    }
}

/// The type that values of all these types have in one column.
pub(crate) fn common_type(types: &[crate::dtype::DType]) -> Result<crate::dtype::DType> {
    use crate::dtype::DType;
    let Some(first) = types.first() else { return Ok(DType::F64) };
    if types.iter().all(|dtype| dtype == first) {
        return Ok(first.clone());
    }
    if types.iter().all(|dtype| dtype.is_integer() || *dtype == DType::Bool) {
        return Ok(DType::I64);
    }
    if types.iter().all(|dtype| dtype.is_numeric() || *dtype == DType::Null) {
        return Ok(DType::F64);
    }
    let shown: Vec<String> = types.iter().map(ToString::to_string).collect();
    Err(Error::type_(format!("results of types {} do not fit into one column", shown.join(", ")))
        .with_hint("choose columns of one kind, or pass numeric_only=True"))
}

fn small(n: u64) -> IdxSize {
    IdxSize::try_from(n).unwrap_or(IdxSize::MAX)
}

//! Aggregations that are computed in pieces: partial states per partition,
//! combined in a tree, finished at the root.
//!
//! An [`AggFunc`] is defined by the states it needs (`State`) and by how they
//! become its result. States are shared: `mean` and `sum` of one column keep
//! one sum. Variances combine by the method of Chan, Golub and LeVeque, which
//! does not cancel.

use crate::dtype::DType;
use crate::error::polars_error;
use crate::expression::ColExpr;
use crate::lower::{lower, type_of};
use crate::value::level_name;
use oxidask_core::{Error, Result};
use polars::lazy::dsl::{Expr, col, len, lit, when};
use polars::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;

/// What to compute of the values of a group; missing values are left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names say it")]
pub enum AggFunc {
    Sum,
    Mean,
    Count,
    /// Rows, missing values included.
    Size,
    Min,
    Max,
    /// Standard deviation with this many degrees of freedom taken off.
    Std(u8),
    /// Variance with this many degrees of freedom taken off.
    Var(u8),
    First,
    Last,
    Nunique,
    /// Exact; keeps all values of a group until the end.
    Median,
    /// Exact, of all rows and not of groups: so many millionths of the values
    /// are below it, interpolated linearly.
    Quantile(u32),
    Prod,
    Any,
    All,
}

impl AggFunc {
    /// The function by the name that pandas gives it.
    ///
    /// # Errors
    /// If there is none of that name.
    pub fn by_name(name: &str) -> Result<AggFunc> {
        Ok(match name {
            "sum" => AggFunc::Sum,
            "mean" => AggFunc::Mean,
            "count" => AggFunc::Count,
            "size" => AggFunc::Size,
            "min" => AggFunc::Min,
            "max" => AggFunc::Max,
            "std" => AggFunc::Std(1),
            "var" => AggFunc::Var(1),
            "first" => AggFunc::First,
            "last" => AggFunc::Last,
            "nunique" => AggFunc::Nunique,
            "median" => AggFunc::Median,
            "prod" => AggFunc::Prod,
            "any" => AggFunc::Any,
            "all" => AggFunc::All,
            _ => {
                return Err(Error::unsupported(format!("there is no aggregation '{name}'")).with_hint(
                    "there are sum, mean, count, size, min, max, std, var, first, last, nunique, median, prod, any \
                     and all",
                ));
            }
        })
    }

    /// Whether values of this type can be aggregated so.
    #[must_use]
    pub fn accepts(self, dtype: &DType) -> bool {
        match self {
            AggFunc::Sum => dtype.is_numeric() || matches!(dtype, DType::Duration(_) | DType::Null),
            AggFunc::Mean
            | AggFunc::Std(_)
            | AggFunc::Var(_)
            | AggFunc::Median
            | AggFunc::Quantile(_)
            | AggFunc::Prod => dtype.is_numeric() || *dtype == DType::Null,
            AggFunc::Any | AggFunc::All => dtype.is_numeric(),
            _ => true,
        }
    }
}

/// One column of the result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AggColumn {
    /// Its name in the result.
    pub name: String,
    /// What to compute.
    pub func: AggFunc,
    /// Of what.
    pub arg: ColExpr,
}

/// A grouped aggregation, or one over all rows where there are no keys.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Aggregation {
    /// What to group by; becomes the index of the result.
    pub keys: Vec<ColExpr>,
    /// The columns of the result.
    pub columns: Vec<AggColumn>,
    /// Leave out groups with a missing key.
    pub dropna: bool,
    /// Order the groups by their keys; else by first appearance.
    pub sort: bool,
}

/// A mergeable summary of the values of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Sum,
    /// The sum as a float, which cannot overflow.
    FloatSum,
    Count,
    Rows,
    Min,
    Max,
    First,
    Last,
    /// Sum of squared deviations from the mean.
    Deviation,
    Product,
    Any,
    All,
    /// The distinct values as a list.
    Distinct,
    /// All values as a list.
    Values,
}

fn states_of(func: AggFunc) -> &'static [State] {
    match func {
        AggFunc::Sum => &[State::Sum],
        AggFunc::Mean => &[State::FloatSum, State::Count],
        AggFunc::Count => &[State::Count],
        AggFunc::Size => &[State::Rows],
        AggFunc::Min => &[State::Min],
        AggFunc::Max => &[State::Max],
        AggFunc::Std(_) | AggFunc::Var(_) => &[State::FloatSum, State::Count, State::Deviation],
        AggFunc::First => &[State::First],
        AggFunc::Last => &[State::Last],
        AggFunc::Nunique => &[State::Distinct],
        AggFunc::Median | AggFunc::Quantile(_) => &[State::Values],
        AggFunc::Prod => &[State::Product],
        AggFunc::Any => &[State::Any],
        AggFunc::All => &[State::All],
    }
}

/// The column of a state: which state of which argument.
fn state_name(state: State, arg: usize) -> String {
    format!("{state:?} {arg}")
}

fn key_name(key: usize) -> String {
    format!("key {key}")
}

const EXPLODE: ExplodeOptions = ExplodeOptions { empty_as_null: false, keep_nulls: false };

impl Aggregation {
    /// The distinct states of all columns, each with the number of its
    /// argument.
    fn states(&self) -> (Vec<&ColExpr>, Vec<(State, usize)>) {
        let mut args: Vec<&ColExpr> = Vec::new();
        let mut states: Vec<(State, usize)> = Vec::new();
        for column in &self.columns {
            let arg = self.arg_of(column, &mut args);
            for state in states_of(column.func) {
                if !states.contains(&(*state, arg)) {
                    states.push((*state, arg));
                }
            }
        }
        (args, states)
    }

    fn arg_of<'a>(&'a self, column: &'a AggColumn, args: &mut Vec<&'a ColExpr>) -> usize {
        args.iter().position(|arg| **arg == column.arg).unwrap_or_else(|| {
            args.push(&column.arg);
            args.len() - 1
        })
    }

    fn grouped(&self, frame: LazyFrame, keys: Vec<Expr>, states: Vec<Expr>) -> LazyFrame {
        if self.keys.is_empty() {
            frame.select(states)
        } else if self.sort {
            frame.group_by(keys).agg(states)
        } else {
            frame.group_by_stable(keys).agg(states)
        }
    }

    /// The states of one partition.
    pub(crate) fn partial(&self, frame: LazyFrame, schema: &Schema) -> Result<LazyFrame> {
        let (args, states) = self.states();
        let mut keys = Vec::with_capacity(self.keys.len());
        for (number, key) in self.keys.iter().enumerate() {
            keys.push(lower(key, schema)?.alias(key_name(number)));
        }
        let mut exprs = Vec::with_capacity(states.len());
        for (state, arg) in states {
            let dtype = if state == State::Rows { DType::Null } else { type_of(args[arg], schema)? };
            let value = if state == State::Rows { lit(NULL) } else { lower(args[arg], schema)? };
            exprs.push(first_state(state, value, &dtype).alias(state_name(state, arg)));
        }
        let mut partial = self.grouped(frame, keys, exprs);
        if self.dropna {
            partial = without_missing(partial, (0..self.keys.len()).map(key_name).collect());
        }
        Ok(partial)
    }

    /// The states of several partitions together, from those of each.
    pub(crate) fn combine(&self, frame: LazyFrame) -> LazyFrame {
        let keys = (0..self.keys.len()).map(|number| col(key_name(number))).collect();
        let exprs = self.states().1.into_iter();
        let exprs = exprs.map(|(state, arg)| merged_state(state, arg).alias(state_name(state, arg))).collect();
        self.grouped(frame, keys, exprs)
    }

    /// The results at once, from all rows of every group, without pieces.
    pub(crate) fn whole(&self, frame: LazyFrame, schema: &Schema) -> Result<LazyFrame> {
        let mut keys = Vec::with_capacity(self.keys.len());
        for (number, key) in self.keys.iter().enumerate() {
            keys.push(lower(key, schema)?.alias(level_name(number)));
        }
        let mut exprs = Vec::with_capacity(self.columns.len());
        for column in &self.columns {
            let rows = column.func == AggFunc::Size;
            let dtype = if rows { DType::Null } else { type_of(&column.arg, schema)? };
            let value = if rows { lit(NULL) } else { lower(&column.arg, schema)? };
            exprs.push(whole_result(column.func, value, &dtype).alias(column.name.as_str()));
        }
        let mut groups = self.grouped(frame, keys, exprs);
        if self.dropna {
            groups = without_missing(groups, (0..self.keys.len()).map(level_name).collect());
        }
        Ok(self.ordered(groups))
    }

    fn ordered(&self, groups: LazyFrame) -> LazyFrame {
        if !self.sort || self.keys.is_empty() {
            return groups;
        }
        let keys: Vec<Expr> = (0..self.keys.len()).map(|number| col(level_name(number))).collect();
        groups.sort_by_exprs(keys, SortMultipleOptions::default().with_nulls_last(true))
    }

    /// The columns of the states that hold the keys.
    pub(crate) fn key_columns(&self) -> Vec<ColExpr> {
        (0..self.keys.len()).map(|number| crate::expression::col(key_name(number))).collect()
    }

    /// The columns that it reads.
    pub(crate) fn reads(&self) -> BTreeSet<Arc<str>> {
        let mut reads = BTreeSet::new();
        self.keys.iter().for_each(|key| key.columns(&mut reads));
        for column in self.columns.iter().filter(|column| column.func != AggFunc::Size) {
            column.arg.columns(&mut reads);
        }
        reads
    }

    /// Whether states of a group stay small however many rows it has.
    pub(crate) fn has_small_states(&self) -> bool {
        let large = |func| matches!(func, AggFunc::Nunique | AggFunc::Median | AggFunc::Quantile(_));
        !self.columns.iter().any(|column| large(column.func))
    }

    /// The results, from the states of all rows. Keys become the index.
    pub(crate) fn finish(&self, frame: LazyFrame) -> LazyFrame {
        let mut args = Vec::new();
        let mut exprs: Vec<Expr> =
            (0..self.keys.len()).map(|number| col(key_name(number)).alias(level_name(number))).collect();
        for column in &self.columns {
            let arg = self.arg_of(column, &mut args);
            exprs.push(result(column.func, arg).alias(column.name.as_str()));
        }
        self.ordered(frame.select(exprs))
    }

    /// Checks that every column can be aggregated as asked.
    pub(crate) fn check(&self, schema: &Schema) -> Result<()> {
        for key in &self.keys {
            type_of(key, schema)?;
        }
        for column in &self.columns {
            if column.func == AggFunc::Size {
                continue;
            }
            if matches!(column.func, AggFunc::Quantile(_)) && !self.keys.is_empty() {
                return Err(Error::unsupported("quantiles of groups are not offered; median is"));
            }
            let dtype = type_of(&column.arg, schema)?;
            if !column.func.accepts(&dtype) {
                let name = format!("{:?}", column.func).to_lowercase();
                let name = name.split('(').next().unwrap_or(&name);
                return Err(Error::type_(format!("'{}' is of type {dtype}; {name} needs numbers", column.arg))
                    .with_hint("choose the columns to aggregate, or pass numeric_only=True"));
            }
        }
        Ok(())
    }
}

/// The groups whose keys are all there. Said as a filter, Polars would move it
/// below the grouping and look at every key of every row; of groups it is known at
/// once whether any key is missing.
fn without_missing(groups: LazyFrame, keys: Vec<String>) -> LazyFrame {
    if keys.is_empty() {
        return groups;
    }
    let keep = move |groups: DataFrame| -> PolarsResult<DataFrame> {
        let mut kept: Option<BooleanChunked> = None;
        for key in &keys {
            let key = groups.column(key)?;
            if key.null_count() > 0 {
                let there = key.is_not_null();
                kept = Some(kept.map_or_else(|| there.clone(), |kept| kept & there.clone()));
            }
        }
        kept.map_or_else(|| Ok(groups.clone()), |kept| groups.filter(&kept))
    };
    groups.map(keep, OptFlags::empty(), None, Some("leave out missing keys"))
}

fn first_state(state: State, value: Expr, dtype: &DType) -> Expr {
    let float = |value: Expr| if *dtype == DType::F64 { value } else { value.cast(DataType::Float64) };
    match state {
        State::Sum => wide(value, dtype).sum(),
        State::FloatSum => float(value).sum(),
        State::Count => value.count().cast(DataType::Int64),
        State::Rows => len().cast(DataType::Int64),
        State::Min => value.min(),
        State::Max => value.max(),
        State::First => value.first_non_null(),
        State::Last => value.last_non_null(),
        State::Deviation => {
            let value = float(value);
            (value.clone().var(0) * value.count().cast(DataType::Float64)).fill_null(lit(0.0))
        }
        State::Product => wide(value, dtype).product(),
        State::Any => value.cast(DataType::Boolean).any(true),
        State::All => value.cast(DataType::Boolean).all(true),
        State::Distinct => value.drop_nulls().unique().implode(false),
        State::Values => float(value).drop_nulls().implode(false),
    }
}

/// The result from all values of a group.
fn whole_result(func: AggFunc, value: Expr, dtype: &DType) -> Expr {
    let float = |value: Expr| if *dtype == DType::F64 { value } else { value.cast(DataType::Float64) };
    match func {
        AggFunc::Mean => float(value).mean(),
        AggFunc::Var(ddof) => float(value).var(ddof),
        AggFunc::Std(ddof) => float(value).std(ddof),
        AggFunc::Nunique => value.drop_nulls().n_unique().cast(DataType::Int64),
        AggFunc::Median => float(value).median(),
        AggFunc::Quantile(millionths) => {
            float(value).quantile(lit(f64::from(millionths) / 1e6), QuantileMethod::Linear)
        }
        other => first_state(states_of(other)[0], value, dtype),
    }
}

/// Small whole numbers are summed as large ones, as in NumPy.
fn wide(value: Expr, dtype: &DType) -> Expr {
    match dtype {
        DType::Bool | DType::I8 | DType::I16 | DType::I32 => value.cast(DataType::Int64),
        DType::U8 | DType::U16 | DType::U32 => value.cast(DataType::UInt64),
        DType::Null => value.cast(DataType::Float64),
        _ => value,
    }
}

fn merged_state(state: State, arg: usize) -> Expr {
    let column = col(state_name(state, arg));
    match state {
        State::Sum | State::FloatSum | State::Count | State::Rows => column.sum(),
        State::Min => column.min(),
        State::Max => column.max(),
        State::First => column.first_non_null(),
        State::Last => column.last_non_null(),
        State::Product => column.product(),
        State::Any => column.any(true),
        State::All => column.all(true),
        State::Distinct => column.explode(EXPLODE).drop_nulls().unique().implode(false),
        State::Values => column.explode(EXPLODE).drop_nulls().implode(false),
        State::Deviation => {
            let (sum, count) = (col(state_name(State::FloatSum, arg)), col(state_name(State::Count, arg)));
            let count = count.cast(DataType::Float64);
            let mean = sum.clone().sum() / count.clone().sum();
            let apart = (sum / count.clone()).fill_nan(lit(0.0)) - mean.fill_nan(lit(0.0));
            column.sum() + (count * apart.clone() * apart).sum()
        }
    }
}

fn result(func: AggFunc, arg: usize) -> Expr {
    let state = |state: State| col(state_name(state, arg));
    let count = || state(State::Count).cast(DataType::Float64);
    match func {
        AggFunc::Mean => (state(State::FloatSum) / count()).fill_nan(lit(NULL)),
        AggFunc::Var(ddof) => variance(state(State::Deviation), count(), ddof),
        AggFunc::Std(ddof) => variance(state(State::Deviation), count(), ddof).sqrt(),
        AggFunc::Nunique => state(State::Distinct).list().len().cast(DataType::Int64),
        AggFunc::Median => state(State::Values).list().median(),
        AggFunc::Quantile(millionths) => {
            let quantile = lit(f64::from(millionths) / 1e6);
            state(State::Values).explode(EXPLODE).quantile(quantile, QuantileMethod::Linear)
        }
        other => state(states_of(other)[0]),
    }
}

fn variance(deviation: Expr, count: Expr, ddof: u8) -> Expr {
    let freedom = count - lit(f64::from(ddof));
    when(freedom.clone().gt(lit(0.0))).then(deviation / freedom).otherwise(lit(NULL))
}

/// The schema of a lazy frame.
pub(crate) fn schema_of(frame: &mut LazyFrame) -> Result<SchemaRef> {
    frame.collect_schema().map_err(polars_error)
}

//! What tasks of frames do.

use crate::csv::CsvScan;
use crate::dtype::DType;
use crate::error::polars_error;
use crate::expression::ColExpr;
use crate::hash;
use crate::parquet::ParquetScan;
use crate::step::{Step, run};
use crate::threads::alone;
use crate::value::{Index, Partition, is_hidden};
use oxidask_core::{Error, Op, Parts, Result, Value};
use oxidask_macros::op;
use polars::prelude::*;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// Runs steps on a partition.
#[op("frame.steps")]
#[derive(Serialize, Deserialize)]
pub(crate) struct Steps {
    steps: Vec<Step>,
}

impl Steps {
    pub(crate) fn new(steps: Vec<Step>) -> Self {
        Steps { steps }
    }
}

impl Op for Steps {
    fn run(&self, _block: u64, inputs: &[Value]) -> Result<Value> {
        Ok(Value::new(run(inputs[0].expect::<Partition>()?, &self.steps)?))
    }

    fn label(&self) -> Cow<'_, str> {
        Cow::Borrowed("steps")
    }
}

/// Puts partitions under each other and runs steps on them.
#[op("frame.concat")]
#[derive(Serialize, Deserialize)]
pub(crate) struct Concat {
    pub steps: Vec<Step>,
}

impl Op for Concat {
    fn run(&self, _block: u64, inputs: &[Value]) -> Result<Value> {
        let partitions: Vec<&Partition> =
            inputs.iter().map(|value| value.expect::<Partition>()).collect::<Result<_>>()?;
        let all = alone(|| Partition::concat(&partitions))?;
        Ok(Value::new(run(&all, &self.steps)?))
    }

    fn label(&self) -> Cow<'_, str> {
        Cow::Borrowed("merge")
    }
}

/// Reads a block of CSV files and runs steps on it.
#[op("frame.read_csv")]
#[derive(Serialize, Deserialize)]
pub(crate) struct ReadCsv {
    pub scan: CsvScan,
    pub columns: Option<Vec<String>>,
    pub limit: Option<u64>,
    pub steps: Steps,
}

impl Op for ReadCsv {
    fn run(&self, block: u64, _inputs: &[Value]) -> Result<Value> {
        let frame = alone(|| self.scan.read(block as usize, self.columns.as_deref(), self.limit))?;
        let partition = Partition { frame, index: Index::Range(0) };
        Ok(Value::new(run(&partition, &self.steps.steps)?))
    }

    fn label(&self) -> Cow<'_, str> {
        Cow::Borrowed("read_csv")
    }
}

/// Reads row groups of Parquet files and runs steps on them.
#[op("frame.read_parquet")]
#[derive(Serialize, Deserialize)]
pub(crate) struct ReadParquet {
    pub scan: ParquetScan,
    pub columns: Option<Vec<String>>,
    pub limit: Option<u64>,
    pub steps: Steps,
}

impl Op for ReadParquet {
    fn run(&self, block: u64, _inputs: &[Value]) -> Result<Value> {
        let frame = alone(|| self.scan.read(block as usize, self.columns.as_deref(), self.limit))?;
        let index = match self.scan.n_levels() {
            0 => Index::Range(0),
            levels => Index::Levels(levels),
        };
        let partition = Partition { frame, index };
        Ok(Value::new(run(&partition, &self.steps.steps)?))
    }

    fn label(&self) -> Cow<'_, str> {
        Cow::Borrowed("read_parquet")
    }
}

/// Deals the rows of a partition out by the hash of their keys.
#[op("frame.split")]
#[derive(Serialize, Deserialize)]
pub(crate) struct Split {
    pub by: Vec<ColExpr>,
    pub n_parts: u32,
}

impl Op for Split {
    fn run(&self, _block: u64, inputs: &[Value]) -> Result<Value> {
        let partition = inputs[0].expect::<Partition>()?;
        let parts = alone(|| hash::split(partition, &self.by, self.n_parts as usize))?;
        Ok(Value::new(Parts(parts.into_iter().map(Value::new).collect())))
    }

    fn label(&self) -> Cow<'_, str> {
        Cow::Borrowed("split")
    }
}

/// Puts a value beside every row.
#[op("frame.broadcast")]
#[derive(Serialize, Deserialize)]
pub(crate) struct Broadcast {
    pub name: String,
}

impl Op for Broadcast {
    fn run(&self, _block: u64, inputs: &[Value]) -> Result<Value> {
        let (rows, single) = (inputs[0].expect::<Partition>()?, inputs[1].expect::<Partition>()?);
        let value = single.frame.columns().last().filter(|column| column.len() == 1);
        let value = value.ok_or_else(|| Error::value("a value to compute with must have one row"))?;
        let column = alone(|| value.new_from_index(0, rows.n_rows())).with_name(self.name.as_str().into());
        let mut frame = rows.frame.clone();
        frame.with_column(column).map_err(polars_error)?;
        Ok(Value::new(Partition { frame, index: rows.index }))
    }

    fn label(&self) -> Cow<'_, str> {
        Cow::Borrowed("broadcast")
    }
}

/// Cuts a partition into pieces of about equal length: so many for each block.
#[op("frame.cut")]
#[derive(Serialize, Deserialize)]
pub(crate) struct Cut {
    pub pieces: Vec<u32>,
}

impl Op for Cut {
    fn run(&self, block: u64, inputs: &[Value]) -> Result<Value> {
        let rows = inputs[0].expect::<Partition>()?;
        let n_pieces = self.pieces[block as usize] as usize;
        let border = |piece: usize| rows.n_rows() * piece / n_pieces;
        let piece = |piece: usize| {
            let (start, end) = (border(piece), border(piece + 1));
            let index = match rows.index {
                Index::Range(first) => Index::Range(first + start as i64),
                other => other,
            };
            Value::new(Partition { frame: rows.frame.slice(start as i64, end - start), index })
        };
        Ok(Value::new(Parts((0..n_pieces).map(piece).collect())))
    }

    fn label(&self) -> Cow<'_, str> {
        Cow::Borrowed("repartition")
    }
}

/// Which rows of a join stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names say it")]
pub enum JoinHow {
    Inner,
    Left,
    Right,
    Outer,
}

/// Joins two partitions on equal columns. The result is numbered anew.
#[op("frame.merge")]
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Join {
    pub how: JoinHow,
    pub left_on: Vec<String>,
    pub right_on: Vec<String>,
    /// What tells columns of the same name apart.
    pub suffixes: (String, String),
}

impl Join {
    pub(crate) fn run(&self, left: &Partition, right: &Partition) -> Result<Partition> {
        alone(|| self.joined(left, right))
    }

    fn joined(&self, left: &Partition, right: &Partition) -> Result<Partition> {
        let visible = |part: &Partition| -> Vec<String> {
            part.frame.get_column_names().into_iter().filter(|name| !is_hidden(name)).map(ToString::to_string).collect()
        };
        let (left_names, right_names) = (visible(left), visible(right));
        let shared_key =
            |name: &String| self.left_on.iter().zip(&self.right_on).any(|(left, right)| left == name && right == name);
        let clash = |name: &String, other: &[String]| other.contains(name) && !shared_key(name);
        let renamed = |names: &[String], other: &[String], suffix: &str| -> Vec<String> {
            let rename = |name: &String| if clash(name, other) { format!("{name}{suffix}") } else { name.clone() };
            names.iter().map(rename).collect()
        };
        let left_new = renamed(&left_names, &right_names, &self.suffixes.0);
        let right_new = renamed(&right_names, &left_names, &self.suffixes.1);
        let select = |part: &Partition, names: &[String], new: &[String], side: &str| -> Result<LazyFrame> {
            let mut exprs: Vec<Expr> = Vec::with_capacity(names.len());
            for (name, new) in names.iter().zip(new) {
                exprs.push(match self.common_type(name, left, right)? {
                    Some(dtype) if shared_key(name) => col(name.as_str()).cast(dtype),
                    None if shared_key(name) => col(name.as_str()),
                    _ => col(name.as_str()).alias(format!("{side}{new}")),
                });
            }
            Ok(part.frame.clone().lazy().select(exprs))
        };
        let on = |keys: &[String], names: &[String], new: &[String], side: &str| -> Result<Vec<Expr>> {
            keys.iter()
                .map(|key| {
                    let position = names.iter().position(|name| name == key).unwrap_or(0);
                    if shared_key(key) {
                        return Ok(col(key.as_str()));
                    }
                    let column = col(format!("{side}{}", new[position]));
                    Ok(self.common_type(key, left, right)?.map_or(column.clone(), |dtype| column.cast(dtype)))
                })
                .collect()
        };
        let how = match self.how {
            JoinHow::Inner => JoinType::Inner,
            JoinHow::Left => JoinType::Left,
            JoinHow::Right => JoinType::Right,
            JoinHow::Outer => JoinType::Full,
        };
        let order =
            if self.how == JoinHow::Right { MaintainOrderJoin::RightLeft } else { MaintainOrderJoin::LeftRight };
        let left_on = on(&self.left_on, &left_names, &left_new, "l:")?;
        let right_on = on(&self.right_on, &right_names, &right_new, "r:")?;
        let joined = select(left, &left_names, &left_new, "l:")?
            .join_builder()
            .with(select(right, &right_names, &right_new, "r:")?)
            .how(how)
            .left_on(left_on)
            .right_on(right_on)
            .join_nulls(true)
            .coalesce(JoinCoalesce::KeepColumns)
            .suffix(":right")
            .maintain_order(order)
            .allow_parallel(false)
            .finish();
        let mut result: Vec<Expr> = Vec::new();
        for (name, new) in left_names.iter().zip(&left_new) {
            result.push(match self.how {
                _ if !shared_key(name) => col(format!("l:{new}")).alias(new.as_str()),
                JoinHow::Right => col(format!("{name}:right")).alias(name.as_str()),
                JoinHow::Outer => when(col(name.as_str()).is_null())
                    .then(col(format!("{name}:right")))
                    .otherwise(col(name.as_str()))
                    .alias(name.as_str()),
                _ => col(name.as_str()),
            });
        }
        for (name, new) in right_names.iter().zip(&right_new) {
            if !shared_key(name) {
                result.push(col(format!("r:{new}")).alias(new.as_str()));
            }
        }
        let frame = joined.select(result).collect().map_err(polars_error)?;
        Ok(Partition { frame, index: Index::Range(0) })
    }

    /// The type in which a key is compared, where the sides differ.
    fn common_type(&self, key: &str, left: &Partition, right: &Partition) -> Result<Option<DataType>> {
        let pair = self.left_on.iter().zip(&self.right_on).find(|(left, right)| *left == key || *right == key);
        let Some((a, b)) = pair else { return Ok(None) };
        let dtype =
            |part: &Partition, name: &str| DType::from_polars(part.frame.column(name).map_err(polars_error)?.dtype());
        let (x, y) = (dtype(left, a)?, dtype(right, b)?);
        Ok(match x == y {
            true => None,
            false if x.is_integer() && y.is_integer() => Some(DataType::Int64),
            false => Some(DataType::Float64),
        })
    }

    pub(crate) fn check(&self) -> Result<()> {
        if self.left_on.is_empty() || self.left_on.len() != self.right_on.len() {
            let (left, right) = (self.left_on.len(), self.right_on.len());
            return Err(Error::value(format!("cannot join on {left} columns of the left and {right} of the right"))
                .with_hint("pass on, or as many columns in left_on as in right_on"));
        }
        Ok(())
    }
}

impl Op for Join {
    fn run(&self, _block: u64, inputs: &[Value]) -> Result<Value> {
        Ok(Value::new(Join::run(self, inputs[0].expect()?, inputs[1].expect()?)?))
    }

    fn label(&self) -> Cow<'_, str> {
        Cow::Borrowed("merge")
    }
}

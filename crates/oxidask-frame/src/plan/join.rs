//! Joins of two sides on equal columns, with pandas' names and missing keys
//! that match each other.
//!
//! [`Join::lazy`] says what a join is; a task runs it on two partitions, and a
//! whole plan runs it on two tables.

use crate::dtype::DType;
use crate::error::polars_error;
use crate::threads::alone;
use crate::value::{Index, Partition, is_hidden};
use oxidask_core::{Error, Op, Result, Value};
use oxidask_macros::op;
use polars::prelude::*;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// Which rows of a join stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum JoinHow {
    /// Pairs of rows with equal keys.
    Inner,
    /// All rows of the left, with what matches.
    Left,
    /// All rows of the right, with what matches.
    Right,
    /// All rows of both.
    Outer,
    /// Rows of the left that have a match, once each.
    Semi,
    /// Rows of the left that have none.
    Anti,
    /// Every row of the left beside every row of the right; has no keys.
    Cross,
}

impl JoinHow {
    /// The kind by the name that pandas and Dask give it.
    ///
    /// # Errors
    /// If there is none of that name.
    pub fn by_name(name: &str) -> Result<JoinHow> {
        Ok(match name {
            "inner" => JoinHow::Inner,
            "left" => JoinHow::Left,
            "right" => JoinHow::Right,
            "outer" => JoinHow::Outer,
            "leftsemi" | "semi" => JoinHow::Semi,
            "leftanti" | "left_anti" | "anti" => JoinHow::Anti,
            "cross" => JoinHow::Cross,
            _ => {
                return Err(Error::value(format!("there is no join '{name}'"))
                    .with_hint("how is inner, left, right, outer, leftsemi, leftanti or cross"));
            }
        })
    }

    /// Whether only columns of the left are answered.
    fn keeps_left_only(self) -> bool {
        matches!(self, JoinHow::Semi | JoinHow::Anti)
    }

    /// Whether each row of the left is judged alone, so that parts of the left
    /// may be joined apart, each with all of the right.
    #[must_use]
    pub fn splits_left(self) -> bool {
        !matches!(self, JoinHow::Right | JoinHow::Outer)
    }

    /// Whether parts of the right may be joined apart, each with all of the left.
    #[must_use]
    pub fn splits_right(self) -> bool {
        matches!(self, JoinHow::Inner | JoinHow::Right | JoinHow::Cross)
    }

    fn to_polars(self) -> JoinType {
        match self {
            JoinHow::Inner => JoinType::Inner,
            JoinHow::Left => JoinType::Left,
            JoinHow::Right => JoinType::Right,
            JoinHow::Outer => JoinType::Full,
            JoinHow::Semi => JoinType::Semi,
            JoinHow::Anti => JoinType::Anti,
            JoinHow::Cross => JoinType::Cross,
        }
    }
}

/// Joins two partitions on equal columns. The result is numbered anew.
#[op("frame.merge")]
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Join {
    pub how: JoinHow,
    pub left_on: Vec<String>,
    pub right_on: Vec<String>,
    /// What tells columns of the same name apart.
    pub suffixes: (String, String),
    /// A further column of this name that says on which side a row was.
    pub indicator: Option<String>,
}

/// Columns by their names in a result and on their own side.
pub(crate) type NamePairs = Vec<(String, String)>;

/// One side of a join: its columns that users see, and what they are called in
/// the result.
struct Side {
    prefix: &'static str,
    names: Vec<String>,
    new: Vec<String>,
}

impl Side {
    fn of(schema: &Schema, prefix: &'static str) -> Side {
        let names: Vec<String> = schema.iter_names().filter(|name| !is_hidden(name)).map(ToString::to_string).collect();
        Side { prefix, new: names.clone(), names }
    }

    /// The name that a column has between the sides and the result.
    fn inner(&self, position: usize) -> String {
        format!("{}{}", self.prefix, self.new[position])
    }

    /// Whether rows came from this side.
    fn mark(&self) -> String {
        format!("{}:there", self.prefix)
    }
}

impl Join {
    /// The join of two partitions.
    pub(crate) fn run(&self, left: &Partition, right: &Partition) -> Result<Partition> {
        alone(|| {
            let schemas = (left.frame.schema().clone(), right.frame.schema().clone());
            let sides = (left.frame.clone().lazy(), right.frame.clone().lazy());
            let joined = self.lazy((sides.0, &schemas.0), (sides.1, &schemas.1), false)?;
            Ok(Partition { frame: joined.collect().map_err(polars_error)?, index: Index::Range(0) })
        })
    }

    /// The join of two tables with these columns; `parallel` allows Polars to
    /// prepare both sides at once.
    pub(crate) fn lazy(
        &self,
        (left, left_schema): (LazyFrame, &Schema),
        (right, right_schema): (LazyFrame, &Schema),
        parallel: bool,
    ) -> Result<LazyFrame> {
        let (a, b) = self.sides(left_schema, right_schema);
        let types = |key: &str| self.common_type(key, left_schema, right_schema);
        let left = left.select(self.selected(&a, &types)?);
        let right = right.select(self.selected(&b, &types)?);
        let order =
            if self.how == JoinHow::Right { MaintainOrderJoin::RightLeft } else { MaintainOrderJoin::LeftRight };
        let joined = left
            .join_builder()
            .with(right)
            .how(self.how.to_polars())
            .left_on(self.keys(&self.left_on, &a, &types)?)
            .right_on(self.keys(&self.right_on, &b, &types)?)
            .join_nulls(true)
            .coalesce(JoinCoalesce::KeepColumns)
            .suffix(":right")
            .maintain_order(order)
            .allow_parallel(parallel)
            .finish();
        Ok(joined.select(self.result(&a, &b)))
    }

    fn is_shared(&self, name: &str) -> bool {
        self.left_on.iter().zip(&self.right_on).any(|(left, right)| left == name && right == name)
    }

    /// Both sides, with suffixes where names clash.
    fn sides(&self, left: &Schema, right: &Schema) -> (Side, Side) {
        let (mut a, mut b) = (Side::of(left, "l:"), Side::of(right, "r:"));
        if self.how.keeps_left_only() {
            return (a, b);
        }
        let renamed = |names: &[String], other: &[String], suffix: &str| -> Vec<String> {
            let clash = |name: &String| other.contains(name) && !self.is_shared(name);
            names.iter().map(|name| if clash(name) { format!("{name}{suffix}") } else { name.clone() }).collect()
        };
        a.new = renamed(&a.names, &b.names, &self.suffixes.0);
        b.new = renamed(&b.names, &a.names, &self.suffixes.1);
        (a, b)
    }

    /// Of both sides, the names of the columns in the result and their own.
    /// Keys of one name count as columns of both sides.
    pub(crate) fn names(&self, left: &Schema, right: &Schema) -> (NamePairs, NamePairs) {
        let (a, b) = self.sides(left, right);
        let pairs = |side: Side| side.new.into_iter().zip(side.names).collect();
        if self.how.keeps_left_only() { (pairs(a), Vec::new()) } else { (pairs(a), pairs(b)) }
    }

    /// The columns of a side under names that are its own, keys of one name
    /// excepted.
    fn selected(&self, side: &Side, types: &impl Fn(&str) -> Result<Option<DataType>>) -> Result<Vec<Expr>> {
        let mut exprs: Vec<Expr> = Vec::with_capacity(side.names.len() + 1);
        for (position, name) in side.names.iter().enumerate() {
            exprs.push(match types(name)? {
                Some(dtype) if self.is_shared(name) => col(name.as_str()).cast(dtype),
                None if self.is_shared(name) => col(name.as_str()),
                _ => col(name.as_str()).alias(side.inner(position)),
            });
        }
        if self.indicator.is_some() || exprs.is_empty() {
            let rows = polars::lazy::dsl::repeat(lit(true), polars::lazy::dsl::len());
            exprs.push(rows.alias(side.mark()));
        }
        Ok(exprs)
    }

    fn keys(
        &self,
        keys: &[String],
        side: &Side,
        types: &impl Fn(&str) -> Result<Option<DataType>>,
    ) -> Result<Vec<Expr>> {
        keys.iter()
            .map(|key| {
                if self.is_shared(key) {
                    return Ok(col(key.as_str()));
                }
                let position = side.names.iter().position(|name| name == key).unwrap_or(0);
                let column = col(side.inner(position));
                Ok(types(key)?.map_or(column.clone(), |dtype| column.cast(dtype)))
            })
            .collect()
    }

    /// The columns of the result, from those of the joined sides.
    fn result(&self, a: &Side, b: &Side) -> Vec<Expr> {
        let mut result: Vec<Expr> = Vec::new();
        for (position, (name, new)) in a.names.iter().zip(&a.new).enumerate() {
            result.push(match self.how {
                _ if !self.is_shared(name) => col(a.inner(position)).alias(new.as_str()),
                JoinHow::Right => col(format!("{name}:right")).alias(name.as_str()),
                JoinHow::Outer => when(col(name.as_str()).is_null())
                    .then(col(format!("{name}:right")))
                    .otherwise(col(name.as_str()))
                    .alias(name.as_str()),
                _ => col(name.as_str()),
            });
        }
        if self.how.keeps_left_only() {
            return result;
        }
        for (position, (name, new)) in b.names.iter().zip(&b.new).enumerate() {
            if !self.is_shared(name) {
                result.push(col(b.inner(position)).alias(new.as_str()));
            }
        }
        if let Some(name) = &self.indicator {
            let side = when(col(a.mark()).is_null())
                .then(lit("right_only"))
                .when(col(b.mark()).is_null())
                .then(lit("left_only"))
                .otherwise(lit("both"));
            result.push(side.cast(DataType::from_categories(Categories::global())).alias(name.as_str()));
        }
        result
    }

    /// The type in which a key is compared, where the sides differ.
    fn common_type(&self, key: &str, left: &Schema, right: &Schema) -> Result<Option<DataType>> {
        let pair = self.left_on.iter().zip(&self.right_on).find(|(left, right)| *left == key || *right == key);
        let Some((a, b)) = pair else { return Ok(None) };
        let dtype = |schema: &Schema, name: &str| DType::from_polars(schema.try_get(name).map_err(polars_error)?);
        let (x, y) = (dtype(left, a)?, dtype(right, b)?);
        Ok(match x == y {
            true => None,
            false if x.is_integer() && y.is_integer() => Some(DataType::Int64),
            false if x.is_numeric() && y.is_numeric() => Some(DataType::Float64),
            false => Some(DataType::String),
        })
    }

    pub(crate) fn check(&self) -> Result<()> {
        let (left, right) = (self.left_on.len(), self.right_on.len());
        if self.how == JoinHow::Cross {
            return if left + right == 0 {
                Ok(())
            } else {
                Err(Error::value("a cross join has no keys").with_hint("leave on, left_on and right_on away"))
            };
        }
        if left == 0 || left != right {
            return Err(Error::value(format!("cannot join on {left} columns of the left and {right} of the right"))
                .with_hint("pass on, or as many columns in left_on as in right_on"));
        }
        if self.indicator.is_some() && self.how.keeps_left_only() {
            return Err(Error::value("a semi or anti join has no indicator: all its rows are of the left"));
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

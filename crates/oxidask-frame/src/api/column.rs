//! Columns of frames: what Python users call a Series.

use super::frame::compute;
use super::{Frame, aggregated};
use crate::aggregate::{AggColumn, AggFunc, Aggregation};
use crate::dtype::{DType, Scalar};
use crate::expression::{ColExpr, col, lit};
use crate::lower::type_of;
use crate::plan::{Node, meta};
use crate::step::{Keep, SortKey, Step};
use crate::value::Partition;
use crate::window::Window;
use oxidask_core::{Error, Executor, ExprRef, Result};
use std::sync::Arc;

/// A lazy column: an expression over the rows of a node.
#[derive(Clone)]
pub struct Column {
    pub(crate) base: ExprRef,
    /// Its name, if it has one.
    pub name: Option<Arc<str>>,
    /// What it is over the node's columns.
    pub(crate) expr: ColExpr,
}

/// What a column is combined with.
pub enum Operand {
    /// A column with one row, such as a sum, as the same value in every row.
    Single(Column),
    /// A column of the same rows.
    Column(Column),
    /// The same value in every row.
    Scalar(Scalar),
}

impl Column {
    /// The type of its values.
    ///
    /// # Errors
    /// If the expression does not fit the columns.
    pub fn dtype(&self) -> Result<DType> {
        type_of(&self.expr, &meta(&self.base).schema)
    }

    /// The name in tables of our own, which know no unnamed columns.
    pub(crate) fn label(&self) -> Arc<str> {
        self.name.clone().unwrap_or_else(|| Arc::from(""))
    }

    /// The frame of this column alone.
    #[must_use]
    pub fn to_frame(&self) -> Frame {
        Frame { base: self.base.clone(), columns: Arc::from([(self.label(), self.expr.clone())]) }
    }

    /// The expression whose blocks are this column's partitions.
    ///
    /// # Errors
    /// If the expression does not fit the columns.
    pub fn node(&self) -> Result<ExprRef> {
        self.to_frame().node()
    }

    /// A node over which this column and expressions of `base` hold; `used` says
    /// for what, if they are other rows.
    pub(crate) fn unified(&self, base: &ExprRef, used: &str) -> Result<ExprRef> {
        Node::unify(base, &self.base)?.ok_or_else(|| {
            Error::unsupported(format!("a column of other rows cannot be {used} here"))
                .with_hint("take the column from the very frame that it is combined with, after the same filters")
        })
    }

    /// It under another name.
    #[must_use]
    pub fn rename(&self, name: Option<&str>) -> Column {
        Column { name: name.map(Arc::from), ..self.clone() }
    }

    /// A function of its expression; checked at once.
    ///
    /// # Errors
    /// If the function does not fit the type.
    pub fn map(&self, function: impl FnOnce(ColExpr) -> ColExpr) -> Result<Column> {
        let column = Column { expr: function(self.expr.clone()), ..self.clone() };
        column.dtype()?;
        Ok(column)
    }

    /// An expression of this column and another operand.
    ///
    /// # Errors
    /// If the other is a column of other rows, or the types do not fit.
    pub fn zip(&self, other: &Operand, function: impl FnOnce(ColExpr, ColExpr) -> ColExpr) -> Result<Column> {
        let name = match other {
            Operand::Column(column) => self.name.clone().filter(|name| column.name.as_ref() == Some(name)),
            Operand::Single(_) | Operand::Scalar(_) => self.name.clone(),
        };
        let (base, other) = self.operand(other)?;
        let column = Column { base, name, expr: function(self.expr.clone(), other) };
        column.dtype()?;
        Ok(column)
    }

    /// The operand as an expression, and the node over which it and this column
    /// hold.
    fn operand(&self, other: &Operand) -> Result<(ExprRef, ColExpr)> {
        match other {
            Operand::Column(column) => Ok((column.unified(&self.base, "combined")?, column.expr.clone())),
            Operand::Single(column) => {
                let (base, name) = Node::broadcast(&self.base, &column.node()?)?;
                Ok((base, ColExpr::Column(name)))
            }
            Operand::Scalar(value) => Ok((self.base.clone(), ColExpr::Literal(value.clone()))),
        }
    }

    /// It where `condition` holds, elsewhere `other`.
    ///
    /// # Errors
    /// If one of them belongs to other rows, or the types do not fit.
    pub fn when(&self, condition: &Column, other: &Operand) -> Result<Column> {
        let (base, other) = self.operand(other)?;
        let base = condition.unified(&base, "used as a condition")?;
        let chosen = |expr| ColExpr::When(Arc::new(condition.expr.clone()), Arc::new(expr), Arc::new(other));
        Column { base, ..self.clone() }.map(chosen)
    }

    /// One value of all rows, as a column with one row.
    ///
    /// # Errors
    /// If values of this type cannot be reduced so.
    pub fn reduce(&self, func: AggFunc) -> Result<Column> {
        let columns = vec![AggColumn { name: "value".to_owned(), func, arg: self.expr.clone() }];
        let node = self.to_frame().aggregate_all(columns, vec![], vec![None])?;
        Ok(Column { base: node, name: self.name.clone(), expr: col("value") })
    }

    /// How often each value occurs, most often first unless `sort` is off.
    ///
    /// # Errors
    /// None that the column itself did not already have.
    pub fn value_counts(&self, sort: bool, ascending: bool, dropna: bool, normalize: bool) -> Result<Column> {
        let name: Arc<str> = Arc::from(if normalize { "proportion" } else { "count" });
        let size = AggColumn { name: name.to_string(), func: AggFunc::Size, arg: lit(1_i64) };
        let keys = vec![self.expr.clone()];
        let aggregation = Aggregation { keys, columns: vec![size], dropna, sort: false };
        let mut after = Vec::new();
        if sort {
            after.push(Step::Sort(vec![SortKey { by: col(&name), descending: !ascending, nulls_last: true }]));
        }
        if normalize {
            after.push(Step::Share(name.clone()));
        }
        let node = aggregated(&self.base, aggregation, after, vec![self.name.clone()], 1)?;
        Ok(Column { base: node, expr: col(&name), name: Some(name) })
    }

    /// The distinct values in order of first appearance, in one partition.
    ///
    /// # Errors
    /// None that the column itself did not already have.
    pub fn unique(&self) -> Result<Column> {
        let distinct = Step::Distinct(None, Keep::First);
        let frame = self.to_frame();
        let mapped = Node::map(&self.base, vec![frame.show(), Step::DropIndex, distinct.clone()], vec![None])?;
        let node = Node::tree(&mapped, vec![distinct], vec![], vec![None])?;
        Ok(Column { base: node, name: self.name.clone(), expr: col(self.label()) })
    }

    /// A function of the rows around each row, such as a shift or a rolling mean,
    /// across the borders of partitions.
    ///
    /// # Errors
    /// If it does not fit the type.
    ///
    /// ```
    /// use oxidask_frame::{Frame, df, window::Window};
    /// let frame = Frame::from_frame(df!("x" => [3, 1, 2])?, 2)?;
    /// let before = frame.column("x")?.window(Window::Shift(1))?;
    /// let both = frame.with_column("before", &before)?;
    /// assert_eq!(both.column_names().len(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn window(&self, window: Window) -> Result<Column> {
        let (base, name) = Node::window(&self.base, window, self.expr.clone())?;
        Ok(Column { base, name: self.name.clone(), expr: ColExpr::Column(name) })
    }

    /// The rows of this column for which a boolean column holds.
    ///
    /// # Errors
    /// If the filter is no boolean or belongs to other rows.
    pub fn filter_by(&self, condition: &Column) -> Result<Column> {
        self.of_frame(self.to_frame().filter_by(condition)?)
    }

    /// The only column of a frame that was made from this one.
    ///
    /// # Errors
    /// If the frame has lost it, which would be a mistake of ours.
    pub fn of_frame(&self, frame: Frame) -> Result<Column> {
        let column = frame.column(&self.label())?;
        Ok(Column { name: self.name.clone(), ..column })
    }

    /// Computes all values.
    ///
    /// # Errors
    /// The first error of a task.
    pub fn compute(&self, executor: &dyn Executor) -> Result<Partition> {
        compute(&self.node()?, executor)
    }
}

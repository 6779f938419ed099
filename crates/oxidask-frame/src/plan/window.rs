//! Functions of rows around each row, across the borders of partitions.
//!
//! Every partition is summed up by a task of its own; a chain of small tasks
//! carries the summaries on, so that short and empty partitions are no special
//! case; then every partition is computed beside what was carried to it.

use super::node::Node;
use super::{FrameMeta, Kind, meta};
use crate::error::polars_error;
use crate::expression::ColExpr;
use crate::lower::{lower as lowered, type_of};
use crate::threads::alone;
use crate::value::{Index, Partition};
use crate::window::{Side, Window};
use oxidask_core::{Blocks, ExprRef, Graph, KeyHasher, Op, Result, Value};
use oxidask_macros::op;
use polars::prelude::{Column, DataFrame, Expr, IntoLazy, Schema, col, when};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::sync::Arc;

/// A window function of an expression, and the name of the column it makes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct WindowColumn {
    pub name: Arc<str>,
    pub window: Window,
    pub arg: ColExpr,
}

const VALUE: &str = "value";

impl WindowColumn {
    /// The argument's values in a partition.
    fn values(&self, rows: &Partition) -> Result<Column> {
        let schema: &Schema = rows.frame.schema();
        let arg = spread(self.window.prepared(lowered(&self.arg, schema)?, &type_of(&self.arg, schema)?)?, schema);
        let values = rows.frame.clone().lazy().select([arg.alias(VALUE)]).collect().map_err(polars_error)?;
        values.column(VALUE).cloned().map_err(polars_error)
    }

    /// The function of all rows of a table with these columns.
    pub(crate) fn expr(&self, schema: &Schema) -> Result<Expr> {
        let arg = spread(self.window.prepared(lowered(&self.arg, schema)?, &type_of(&self.arg, schema)?)?, schema);
        Ok(self.window.expr(arg).alias(&*self.name))
    }
}

/// An expression with a value for every row: Polars takes one without columns for
/// a single value, and its running total would be that of one row.
fn spread(arg: Expr, schema: &Schema) -> Expr {
    let has_columns = (&arg).into_iter().any(|part| matches!(part, Expr::Column(_)));
    match schema.iter_names().next() {
        Some(any) if !has_columns => when(col(any.clone()).is_null()).then(arg.clone()).otherwise(arg),
        _ => arg,
    }
}

fn wrapped(column: Column) -> Result<Value> {
    let frame = DataFrame::new(column.len(), vec![column]).map_err(polars_error)?;
    Ok(Value::new(Partition { frame, index: Index::None }))
}

fn only(value: &Value) -> Result<&Column> {
    value.expect::<Partition>()?.frame.column(VALUE).map_err(polars_error)
}

/// What the partitions after, or before, one need of it.
#[op("frame.window_summary")]
#[derive(Serialize, Deserialize)]
struct Summarise {
    column: WindowColumn,
    side: Side,
}

impl Op for Summarise {
    fn run(&self, _block: u64, inputs: &[Value]) -> Result<Value> {
        alone(|| {
            let values = self.column.values(inputs[0].expect::<Partition>()?)?;
            wrapped(self.column.window.summary(&values, self.side)?)
        })
    }

    fn label(&self) -> Cow<'_, str> {
        Cow::Borrowed("summarise")
    }
}

/// The summary of two stretches of rows, from theirs; in the order of the rows.
#[op("frame.window_carry")]
#[derive(Serialize, Deserialize)]
struct Carry {
    window: Window,
    side: Side,
}

impl Op for Carry {
    fn run(&self, _block: u64, inputs: &[Value]) -> Result<Value> {
        alone(|| wrapped(self.window.merged(only(&inputs[0])?, only(&inputs[1])?, self.side)?))
    }

    fn label(&self) -> Cow<'_, str> {
        Cow::Borrowed("carry")
    }
}

/// Adds the column of a window function to a partition. Its inputs are the
/// partition, then the summary before it and the summary after it, if there are.
#[op("frame.window")]
#[derive(Serialize, Deserialize)]
struct AddWindow {
    column: WindowColumn,
    n_partitions: u64,
}

impl Op for AddWindow {
    fn run(&self, block: u64, inputs: &[Value]) -> Result<Value> {
        let rows = inputs[0].expect::<Partition>()?;
        let reach = self.column.window.reach();
        let mut summaries = inputs[1..].iter();
        let has_before = reach.0 > 0 && block > 0;
        let has_after = reach.1 > 0 && block + 1 < self.n_partitions;
        let before = if has_before { summaries.next().map(only).transpose()? } else { None };
        let after = if has_after { summaries.next().map(only).transpose()? } else { None };
        let added = alone(|| self.column.window.apply(before, &self.column.values(rows)?, after))?;
        let mut frame = rows.frame.clone();
        frame.with_column(added.with_name((&*self.column.name).into())).map_err(polars_error)?;
        Ok(Value::new(Partition { frame, index: rows.index }))
    }

    fn label(&self) -> Cow<'_, str> {
        Cow::Borrowed("window")
    }
}

impl Node {
    /// Every row of `input` with a function of the rows around it beside it; and
    /// the name of the new column.
    ///
    /// # Errors
    /// If the function does not fit the type of the expression.
    pub(crate) fn window(input: &ExprRef, window: Window, arg: ColExpr) -> Result<(ExprRef, Arc<str>)> {
        let root = super::node::extended(input).0;
        let key = KeyHasher::new("frame.window").key(root.key()).params(&window).params(&arg).finish();
        let column = WindowColumn { name: Arc::from(format!("__window_{key}__")), window, arg };
        Ok((Node::add_window(input, Arc::new(column.clone()))?, column.name))
    }

    pub(crate) fn add_window(input: &ExprRef, column: Arc<WindowColumn>) -> Result<ExprRef> {
        let before = meta(input);
        let dtype = column.window.dtype(&type_of(&column.arg, &before.schema)?)?;
        let mut schema = (*before.schema).clone();
        schema.with_column((&*column.name).into(), dtype.to_polars()?);
        let meta = FrameMeta { schema: Arc::new(schema), ..before.clone() };
        Ok(Node::build(Kind::Window(column), vec![input.clone()], meta))
    }
}

/// The tasks of a window function.
pub(crate) fn lower(this: &Node, column: &WindowColumn, input: &Blocks, graph: &mut Graph) -> Blocks {
    let n = input.len();
    let reach = column.window.reach();
    let chain = |side: Side, graph: &mut Graph| -> Blocks {
        let key = KeyHasher::new("frame.summary").key(this.key).params(&side).finish();
        let op = Arc::new(Summarise { column: column.clone(), side });
        let own = graph.blocks(key, op, n, |block, reads| reads.push(input[block]));
        let key = KeyHasher::new("frame.carry").key(this.key).params(&side).finish();
        let stage = graph.stage(Arc::new(Carry { window: column.window.clone(), side }));
        let mut carried = own.clone();
        let mut link = |graph: &mut Graph, block: usize, first: usize, then: usize| {
            let inputs = [carried[first], carried[then]];
            let task = graph.task(key.block(block as u64), stage, block as u32, &inputs);
            carried[block] = oxidask_core::Input::whole(task);
        };
        match side {
            Side::Before => (1..n).for_each(|block| link(graph, block, block - 1, block)),
            Side::After => (0..n.saturating_sub(1)).rev().for_each(|block| link(graph, block, block, block + 1)),
        }
        carried
    };
    let before = if reach.0 > 0 { chain(Side::Before, graph) } else { Vec::new() };
    let after = if reach.1 > 0 { chain(Side::After, graph) } else { Vec::new() };
    let op = Arc::new(AddWindow { column: column.clone(), n_partitions: n as u64 });
    graph.blocks(this.key, op, n, |block, reads| {
        reads.push(input[block]);
        reads.extend(block.checked_sub(1).and_then(|block| before.get(block)).copied());
        reads.extend(after.get(block + 1).copied());
    })
}

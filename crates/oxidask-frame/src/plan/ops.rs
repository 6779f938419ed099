//! What tasks of frames do.

use crate::csv::CsvScan;
use crate::error::polars_error;
use crate::expression::ColExpr;
use crate::json::JsonScan;
use crate::parquet::ParquetScan;
use crate::step::{Step, run};
use crate::threads::alone;
use crate::value::{Index, Partition};
use oxidask_core::{Error, Op, Parts, Result, Value};
use oxidask_macros::op;
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
    /// Filters that the steps begin with, by which row groups are left out.
    pub filters: Vec<ColExpr>,
    pub columns: Option<Vec<String>>,
    pub limit: Option<u64>,
    pub steps: Steps,
}

impl Op for ReadParquet {
    fn run(&self, block: u64, _inputs: &[Value]) -> Result<Value> {
        let frame = alone(|| self.scan.read(block as usize, self.columns.as_deref(), self.limit, &self.filters))?;
        let partition = Partition { frame, index: self.scan.index() };
        Ok(Value::new(run(&partition, &self.steps.steps)?))
    }

    fn label(&self) -> Cow<'_, str> {
        Cow::Borrowed("read_parquet")
    }
}

/// Reads a block of files of JSON lines and runs steps on it.
#[op("frame.read_json")]
#[derive(Serialize, Deserialize)]
pub(crate) struct ReadJson {
    pub scan: JsonScan,
    pub columns: Option<Vec<String>>,
    pub steps: Steps,
}

impl Op for ReadJson {
    fn run(&self, block: u64, _inputs: &[Value]) -> Result<Value> {
        let frame = alone(|| self.scan.read(block as usize, self.columns.as_deref()))?;
        let partition = Partition { frame, index: Index::Range(0) };
        Ok(Value::new(run(&partition, &self.steps.steps)?))
    }

    fn label(&self) -> Cow<'_, str> {
        Cow::Borrowed("read_json")
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

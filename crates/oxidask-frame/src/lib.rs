//! Lazy partitioned dataframes.
pub mod aggregate;
mod api;
pub mod arrow;
mod codec;
mod csv;
pub mod dtype;
mod error;
pub mod expression;
mod files;
mod hash;
mod json;
mod lower;
mod nan;
mod parquet;
pub mod plan;
mod pruning;
mod range;
pub mod step;
mod text;
pub mod threads;
pub mod value;
pub mod window;

pub use aggregate::AggFunc;
pub use api::{Column, Frame, GroupBy, Merge, Operand, read_csv, read_json, read_parquet};
pub use csv::CsvOptions;
pub use dtype::{DType, Scalar, Unit};
pub use expression::{ColExpr, col, lit};
pub use files::Storage;
pub use json::JsonOptions;
pub use parquet::write_parquet;
pub use plan::JoinHow;
pub use polars::prelude::{DataFrame, df};
pub use step::{Keep, SortKey};
pub use value::{Index, Partition};

#[cfg(test)]
mod tests;

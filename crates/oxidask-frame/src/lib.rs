//! Lazy partitioned dataframes.
pub mod aggregate;
mod codec;
mod csv;
pub mod dtype;
mod error;
pub mod expression;
mod files;
mod lower;
pub mod step;
mod text;
pub mod threads;
pub mod value;

pub use csv::CsvOptions;
pub use dtype::{DType, Scalar, Unit};

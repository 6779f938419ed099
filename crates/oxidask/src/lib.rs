//! Lazy parallel arrays, dataframes, bags and tasks.

pub mod text;

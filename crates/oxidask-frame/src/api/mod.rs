//! What users hold: frames, their columns, groups.
//!
//! These are handles on a plan. A [`Frame`] is a node and the columns that it
//! shows of it, each an expression; selecting, renaming and assigning columns
//! only change that list. So `df.x + df.y`, built from two handles, is one
//! expression over one node.

mod aggregate;
mod column;
mod combine;
mod frame;
mod groupby;
mod index;
mod read;

pub(crate) use aggregate::aggregated;
pub use column::{Column, Operand};
pub use combine::Merge;
pub use frame::Frame;
pub use groupby::GroupBy;
pub use read::{read_csv, read_json, read_parquet};

//! What users hold: frames, their columns, groups.
//!
//! These are handles on a plan. A [`Frame`] is a node and the columns that it
//! shows of it, each an expression; selecting, renaming and assigning columns
//! only change that list. So `df.x + df.y`, built from two handles, is one
//! expression over one node.

mod column;
mod frame;
mod groupby;

pub use column::{Column, Operand};
pub use frame::{Frame, Merge, read_csv, read_json, read_parquet};
pub use groupby::GroupBy;

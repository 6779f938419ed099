//! Lines as records: the work of well-known functions, without Python objects.
//!
//! A [`Program`] is a chain of steps (`map`, `filter`, `flatten`) whose functions
//! are [`Term`]s: `json.loads`, `str.split`, `x["key"] > 3` and the like. It
//! turns each line into [`Cell`]s and hands them to a sink, such as
//! [`Groups`], which counts or folds them by key.
//!
//! What a program answers is exactly what Python would. Where Rust cannot be
//! sure (an error, a number beyond 64 bits, text whose case depends on the
//! version of Unicode), it answers [`Beyond`] for that line, and its caller asks
//! Python for the line instead.

mod cell;
mod dump;
mod eval;
mod exchange;
mod groups;
mod program;
mod reduction;
mod rows;
mod shards;
mod tally;
mod term;
mod text;
mod words;

pub use crate::json::Beyond;
pub use cell::{Cell, Scalar};
pub use exchange::{Pieces, group, hash_all, hash_number, hash_text, piece_of};
pub use groups::{Groups, Key};
pub use program::{Case, Program, Run, Step};
pub use reduction::Reduction;
pub use rows::Rows;
pub use shards::{Sharded, rank};
pub use tally::Tally;
pub use term::{Function, Term};
pub use words::count_words;

#[cfg(test)]
mod tests;

//! The nouns of oxidask: keys, values, operations, graphs, expressions.
//!
//! Read in this order: [`graph`], [`op`], [`value`], [`expr`], [`mod@optimize`],
//! [`executor`]. This crate starts no thread, reads no file, and knows no
//! kernel and no executor: those depend on it, never the other way.

pub mod config;
pub mod error;
pub mod events;
pub mod executor;
pub mod expr;
pub mod graph;
pub mod key;
pub mod op;
pub mod optimize;
pub mod order;
pub mod registry;
pub mod value;

pub use error::{Error, ErrorKind, Result};
pub use executor::{Executor, Future, Status};
pub use expr::{Expr, ExprRef, Inputs, Uses};
pub use graph::{Annotations, Blocks, Graph, Input, Source, Stage, Task, TaskIdx};
pub use key::{Key, KeyHasher};
pub use op::{FnOp, Lane, Op};
pub use optimize::{lower, optimize};
pub use order::order;
pub use registry::{Blob, DataKind, EncodedOp, OpCodec};
pub use value::{Data, Decode, Frames, Parts, Value};

/// For the code that our attributes generate.
#[doc(hidden)]
pub mod private {
    pub use bytes::Bytes;
    pub use inventory;
    pub use postcard;
}

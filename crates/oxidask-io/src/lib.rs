//! Bytes of files, wherever they lie and however they are compressed.
//!
//! [`Location`] says where a file is (this machine, HTTP, an S3-compatible
//! store) and reads it; [`expand`] turns globs into files; [`Compression`] wraps
//! readers and writers; [`plan`] cuts files into [`Block`]s, and a
//! [`BlockReader`] streams the whole lines of one. [`json`] and [`avro`] read
//! records without making more of them than is asked for. Readers of bags,
//! frames and arrays share all of it.
//!
//! This crate knows neither plans nor Python, and starts no thread except the
//! one that waits for the network.

pub mod avro;
mod block;
mod compression;
mod glob;
pub mod json;
mod lines;
mod location;
mod options;
pub mod record;
mod remote;
mod sweep;

pub use block::{Block, BlockOptions, BlockReader, Chunk, file_blocks, find, plan};
pub use compression::Compression;
pub use glob::expand;
pub use lines::{lines, universal_newlines, utf8};
pub use location::Location;
pub use options::StorageOptions;

//! Bytes of files, wherever they lie: local paths and globs, HTTP, object
//! stores; plain or compressed. Readers of bags, frames and arrays share it.

//! Lazy parallel arrays, dataframes, bags and tasks.
//!
//! You describe work; nothing runs until you ask for a result. Then the plan is
//! rewritten, becomes one graph, and runs on all cores of this machine, in other
//! processes, or on a cluster, with memory bounded and results spilled to disk
//! when they do not fit.
//!
//! # Your own functions
//!
//! ```
//! use oxidask::prelude::*;
//!
//! #[oxidask::task]
//! fn double(x: i64) -> i64 {
//!     2 * x
//! }
//!
//! #[oxidask::task]
//! fn add(x: i64, y: i64) -> i64 {
//!     x + y
//! }
//!
//! let total = add::delay(double::delay(3), double::delay(4));
//! assert_eq!(total.compute()?, 14);
//! # Ok::<(), oxidask::Error>(())
//! ```
//!
//! # Arrays larger than memory
//!
//! ```
//! use oxidask::prelude::*;
//!
//! // 80 GB of numbers that are made, summed and forgotten tile by tile: only the
//! // slice that is asked for is ever made.
//! let x = oxidask::array::random::Generator::new(7).uniform(0.0, 1.0, &[100_000, 100_000], &[1_000, 1_000])?;
//! let mean = x.slice(&s![..2_000, ..2_000])?.mean(None, false)?;
//! let mean: f64 = mean.compute(&*oxidask::executor::current()?)?.item()?;
//! assert!((mean - 0.5).abs() < 0.01);
//! # Ok::<(), oxidask::Error>(())
//! ```
//!
//! # Where it runs
//!
//! [`threads`] is the default. [`sync`] runs on the calling thread, [`processes`]
//! runs your functions in child processes, so that a crash costs one task, and
//! [`local_cluster`] starts workers as processes of their own. The last two start
//! the program itself again, so [`init`] must stand first in its `main`. See
//! [`executor`] for how to choose.
//!
//! # Read on
//!
//! [`delayed`], [`mod@array`], [`frame`], [`bag`], [`executor`], [`draw`].

// The attributes name this crate by its public name, here too.
extern crate self as oxidask;

pub mod bag;
pub mod delayed;
pub mod draw;
pub mod executor;
pub mod prelude;

pub use executor::{local_cluster, processes, sync, threads};
pub use oxidask_array as array;
pub use oxidask_cluster as cluster;
pub use oxidask_cluster::init;
pub use oxidask_core as core;
pub use oxidask_core::{Error, ErrorKind, Executor, Future, Key, Result, Status, Value};
pub use oxidask_exec as exec;
pub use oxidask_frame as frame;
pub use oxidask_io as io;
pub use oxidask_macros::task;

/// The example of the README, which the tests run.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;

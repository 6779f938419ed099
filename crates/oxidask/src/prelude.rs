//! What a program that uses oxidask usually needs: `use oxidask::prelude::*`.

pub use crate::array::{Array, s};
pub use crate::bag::Bag;
pub use crate::delayed::{Delayed, FutureOf, IntoDelayed, compute_all};
pub use crate::frame::{Frame, col, lit};
pub use crate::{Error, ErrorKind, Executor, Result};

//! Elements that are computed from their position alone.
//!
//! Random numbers, counters and everything made of them (`arange`, `eye`, …)
//! need no input: a tile of them is made in cache where it is consumed. A
//! position is a linear function of the element's coordinates, so that slices
//! and transposes of such arrays are only other coefficients.

use crate::dtype::DType;
use crate::kernel::random;
use serde::{Deserialize, Serialize};

/// A function from positions to elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Generator {
    /// The position itself.
    Index,
    /// Uniform over `[0, 1)`.
    Uniform {
        /// Which stream.
        key: u64,
    },
    /// Standard normal.
    Normal {
        /// Which stream.
        key: u64,
    },
    /// Whole numbers `low .. low + range`; 0 stands for all 2⁶⁴.
    Integers {
        /// Which stream.
        key: u64,
        /// The smallest.
        low: i64,
        /// How many different ones.
        range: u64,
    },
}

impl Generator {
    /// The dtype of the elements.
    #[must_use]
    pub fn dtype(self) -> DType {
        match self {
            Generator::Index | Generator::Integers { .. } => DType::I64,
            Generator::Uniform { .. } | Generator::Normal { .. } => DType::F64,
        }
    }

    /// What it is called in plans.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Generator::Index => "index",
            Generator::Uniform { .. } => "random",
            Generator::Normal { .. } => "normal",
            Generator::Integers { .. } => "integers",
        }
    }

    /// Writes the elements at `start, start + step, …`.
    ///
    /// # Safety
    /// `out` is valid for writes of `n` aligned elements of the dtype.
    pub unsafe fn fill(self, start: i64, step: i64, out: *mut u8, n: usize) {
        // SAFETY: the caller vouches for the memory; both types have 8 bytes.
        let (integers, floats) = unsafe {
            match self.dtype() {
                DType::I64 => (std::slice::from_raw_parts_mut(out.cast::<i64>(), n), &mut [][..]),
                _ => (&mut [][..], std::slice::from_raw_parts_mut(out.cast::<f64>(), n)),
            }
        };
        match self {
            Generator::Index => {
                let mut position = start;
                for out in integers {
                    *out = position;
                    position = position.wrapping_add(step);
                }
            }
            Generator::Uniform { key } => random::uniform(key, start as u64, step, floats),
            Generator::Normal { key } => random::normal(key, start as u64, step, floats),
            Generator::Integers { key, low, range } => {
                random::integers(key, low, range, start as u64, step, integers);
            }
        }
    }
}

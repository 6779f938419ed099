//! Lazy blocked arrays.
//!
//! An [`Array`] is an expression with a shape, a dtype and chunks. Nothing is
//! computed before [`Array::compute`]; until then plans are rewritten: chains of
//! elementwise functions become one program, slices and transposes move to the
//! sources, and reductions consume tiles of elements as they are made, in cache.
//!
//! | what | where |
//! |---|---|
//! | making arrays | [`creation`], [`random`], [`Array::from_block`], [`Array::from_op`] |
//! | elementwise functions | [`Array::apply`] over the table [`ufunc::UFUNCS`], [`Array::select`], [`Array::clip`] |
//! | indexing | [`Array::slice`]; [`selection`]: `take`, `points`, `masked`, `compress`, unknown chunk sizes |
//! | reductions | [`reduction`]: sums, means, extremes, positions, those without NaN |
//! | order | [`order`]: `sort`, `argsort`, `topk`, `quantiles`, `cumulative` |
//! | counting | [`counting`]: `histogram`, `searchsorted`, `unique` |
//! | shapes | `transpose`, `reshape`, `squeeze`, `concatenate`, `stack`, `rechunk` of [`Array`] |
//! | neighbours | [`overlap`]: blocks with a rim of their neighbours |
//! | products | [`linear`]: `matmul`, `dot`, `tensordot`, `outer` |
//! | linear algebra | [`linalg`]: `qr`, `svd`, `cholesky`, `solve`, `lstsq`, `inv`, `lu`, `det`, `eigh` |
//! | Fourier transforms | [`fourier`] |
//! | functions of blocks | [`Array::map_blocks`] |
//!
//! Read in this order: [`dtype`], [`block`], [`chunks`], [`program`],
//! [`evaluate`], [`expr`], [`mod@array`]. This crate knows no executor.
//!
//! ```
//! use oxidask_array::{random, s};
//! # fn main() -> oxidask_core::Result<()> {
//! let x = random::Generator::new(7).normal(0.0, 1.0, &[1000, 1000], &[100, 100])?;
//! let y = x.add(&x.t())?.slice(&s![(.., 2), 500..])?.mean(Some(&[1]), false)?;
//! assert_eq!(y.shape().as_slice(), [500]);
//! # Ok(())
//! # }
//! ```

pub mod array;
pub mod block;
pub mod chunks;
pub mod copy;
pub mod counting;
pub mod creation;
pub mod dtype;
pub mod evaluate;
pub mod expr;
pub mod fourier;
pub mod generate;
pub mod index;
pub mod kernel;
pub mod linalg;
pub mod linear;
pub mod memory;
pub mod order;
pub mod overlap;
pub mod picture;
pub mod program;
pub mod random;
pub mod reduction;
pub mod selection;
pub mod state;
pub mod ufunc;

pub use array::{Array, Operand};
pub use block::Block;
pub use chunks::{ChunkSpec, Chunks};
pub use dtype::{DType, Scalar};
pub use expr::ArrayMeta;
pub use index::Index;

#[cfg(test)]
mod tests;

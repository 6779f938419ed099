//! The lazy nodes of array plans and the operations they lower to.
//!
//! Start with [`blockwise`]: elementwise work, generators, transposes and
//! broadcasts are all one node. Reductions ([`reduce`]) hold the same
//! [`body::Body`] and so run elementwise work and generators in the same pass.

pub mod along;
pub mod blockwise;
pub mod body;
pub mod compress;
pub mod concatenate;
pub mod contract;
pub mod count;
pub mod map_blocks;
pub mod matrix;
pub mod place;
pub mod points;
pub mod rechunk;
pub mod reduce;
pub mod reshape;
pub mod scan;
pub mod sized;
pub mod slice;
pub mod source;
pub mod take;
pub mod wired;

use crate::block::Dims;
use crate::chunks::Chunks;
use crate::dtype::DType;
use oxidask_core::{Error, Expr, ExprRef, Result};

/// What is known of an array before it is computed.
#[derive(Clone, Debug, PartialEq)]
pub struct ArrayMeta {
    /// Shape and chunks.
    pub chunks: Chunks,
    /// The dtype.
    pub dtype: DType,
}

impl ArrayMeta {
    /// The shape.
    #[must_use]
    pub fn shape(&self) -> Dims {
        self.chunks.shape()
    }

    /// Bytes of one block, if they are known.
    #[must_use]
    pub fn block_bytes(&self, block: usize) -> Option<u64> {
        self.chunks.block_bytes(block, self.dtype.itemsize())
    }
}

/// The meta of an array's node.
///
/// # Errors
/// If the node is not one of an array.
pub fn meta_of(expr: &ExprRef) -> Result<&ArrayMeta> {
    expr.meta().downcast_ref().ok_or_else(|| Error::type_(format!("'{}' is not an array", expr.label())))
}

/// The only input of a node that is to get new ones.
fn only(inputs: Vec<ExprRef>) -> Result<ExprRef> {
    <[ExprRef; 1]>::try_from(inputs)
        .map(|[input]| input)
        .map_err(|inputs| Error::value(format!("a node of one input got {}", inputs.len())))
}

/// The input as a node of a kind, if it is one.
fn node<T: Expr>(expr: &ExprRef) -> Option<&T> {
    (**expr).get::<T>()
}

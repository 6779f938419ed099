//! Elements that a mask keeps. How many there are is known only when it has run,
//! so that the chunks of the result are of unknown sizes.

use super::{ArrayMeta, meta_of};
use crate::block::{Block, Dims, contiguous_strides};
use crate::chunks::Chunks;
use crate::copy::copy_into;
use crate::dtype::{Bool, DType};
use oxidask_core::graph::{Blocks, Graph};
use oxidask_core::{Error, Expr, ExprRef, Inputs, Key, KeyHasher, Op, Result, Value};
use oxidask_macros::op;
use serde::{Deserialize, Serialize};
use std::any::Any;
use std::borrow::Cow;
use std::sync::Arc;

/// Elements of an array where a mask of the same shape holds, in one dimension;
/// or, with an axis, the positions of that axis where a mask of one dimension
/// does.
pub struct Compress {
    axis: Option<usize>,
    inputs: Inputs,
    key: Key,
    meta: ArrayMeta,
}

impl Compress {
    /// A node of what the mask keeps. The chunks of array and mask agree; those
    /// of a mask of all axes are whole along all axes but the first, as the
    /// order of the elements is to be that of NumPy.
    ///
    /// # Errors
    /// If the inputs are no arrays, or do not agree.
    pub fn build(input: &ExprRef, mask: &ExprRef, axis: Option<usize>) -> Result<ExprRef> {
        let (own, by) = (meta_of(input)?, meta_of(mask)?);
        let fits = by.dtype == DType::Bool
            && match axis {
                None => own.chunks == by.chunks,
                Some(axis) => by.chunks.ndim() == 1 && by.chunks.borders(0) == own.chunks.borders(axis),
            };
        if !fits {
            return Err(Error::value("a mask does not lie on its array"));
        }
        let chunks = match axis {
            None => Chunks::from_borders([Chunks::unknown(own.chunks.n_blocks())]),
            Some(axis) => Chunks::from_borders((0..own.chunks.ndim()).map(|other| match other == axis {
                true => Chunks::unknown(own.chunks.n_along(axis)),
                false => own.chunks.borders(other).clone(),
            })),
        };
        let key = KeyHasher::new("array.compress").params(&axis).key(input.key()).key(mask.key()).finish();
        let meta = ArrayMeta { chunks, dtype: own.dtype };
        Ok(Arc::new(Compress { axis, inputs: vec![input.clone(), mask.clone()].into(), key, meta }))
    }

    /// Array and mask, if the mask is one of all axes.
    #[must_use]
    pub fn masked(&self) -> Option<(&ExprRef, &ExprRef)> {
        self.axis.is_none().then(|| (&self.inputs[0], &self.inputs[1]))
    }
}

impl Expr for Compress {
    fn key(&self) -> Key {
        self.key
    }

    fn label(&self) -> Cow<'_, str> {
        Cow::Borrowed("compress")
    }

    fn inputs(&self) -> &[ExprRef] {
        &self.inputs
    }

    fn with_inputs(&self, inputs: Vec<ExprRef>) -> Result<ExprRef> {
        match inputs.as_slice() {
            [input, mask] => Compress::build(input, mask, self.axis),
            _ => Err(Error::value(format!("a masked array got {} inputs", inputs.len()))),
        }
    }

    fn lower(&self, inputs: &[Blocks], graph: &mut Graph) -> Result<Blocks> {
        let own = &meta_of(&self.inputs[0])?.chunks;
        let op = Arc::new(CompressOp { axis: self.axis });
        Ok(graph.blocks(self.key, op, own.n_blocks(), |block, reads| {
            let mask = self.axis.map_or(block, |axis| own.coordinates(block)[axis]);
            reads.extend([inputs[0][block], inputs[1][mask]]);
        }))
    }

    fn meta(&self) -> &(dyn Any + Send + Sync) {
        &self.meta
    }
}

/// Keeps what a mask keeps of one block.
#[op("array.compress")]
#[derive(Serialize, Deserialize)]
struct CompressOp {
    axis: Option<usize>,
}

impl Op for CompressOp {
    fn run(&self, _: u64, inputs: &[Value]) -> Result<Value> {
        let [block, mask] = inputs else { return Err(Error::value("a masked block needs a block and a mask")) };
        let (block, mask) = (block.expect::<Block>()?, mask.expect::<Block>()?.to_contiguous());
        let Some(flags) = mask.as_slice::<Bool>() else {
            return Err(Error::type_(format!("a mask of {} arrived where bool was expected", mask.dtype())));
        };
        let fits = match self.axis {
            None => mask.shape() == block.shape(),
            Some(axis) => block.shape().get(axis) == Some(&flags.len()),
        };
        if !fits {
            return Err(Error::value(format!(
                "a mask of shape {:?} arrived for a block of shape {:?}",
                mask.shape(),
                block.shape()
            )));
        }
        let n_kept = flags.iter().map(|flag| usize::from(flag.get())).sum();
        match self.axis {
            None => elements(block, flags, n_kept),
            Some(axis) => planes(block, axis, flags, n_kept),
        }
        .map(Value::new)
    }

    fn label(&self) -> Cow<'_, str> {
        Cow::Borrowed("compress")
    }
}

/// The kept elements in C order. Every element is written and the next written
/// over it unless it is kept, which needs no branch.
fn elements(block: &Block, flags: &[Bool], n_kept: usize) -> Result<Block> {
    let block = block.to_contiguous();
    let (itemsize, from) = (block.dtype().itemsize(), block.as_ptr());
    let fill = |out: *mut u8| {
        macro_rules! keep_as {
            ($type:ty) => {{
                let (from, out) = (from.cast::<$type>(), out.cast::<$type>());
                let mut kept = 0;
                for (i, flag) in flags.iter().enumerate() {
                    if kept == n_kept {
                        break;
                    }
                    // SAFETY: there are as many elements as flags, and fewer
                    // than `n_kept` were written so far.
                    unsafe { out.add(kept).write_unaligned(from.add(i).read_unaligned()) };
                    kept += usize::from(flag.get());
                }
            }};
        }
        match itemsize {
            1 => keep_as!(u8),
            2 => keep_as!(u16),
            4 => keep_as!(u32),
            8 => keep_as!(u64),
            16 => keep_as!(u128),
            _ => {
                for (kept, (i, _)) in flags.iter().enumerate().filter(|(_, flag)| flag.get()).enumerate() {
                    // SAFETY: as above.
                    unsafe {
                        std::ptr::copy_nonoverlapping(from.add(i * itemsize), out.add(kept * itemsize), itemsize)
                    };
                }
            }
        }
        Ok(())
    };
    // SAFETY: as many elements are written as are kept.
    unsafe { Block::filled(block.dtype(), &[n_kept], fill) }
}

/// The kept hyperplanes across one axis.
fn planes(block: &Block, axis: usize, flags: &[Bool], n_kept: usize) -> Result<Block> {
    let mut shape: Dims = block.shape().into();
    shape[axis] = n_kept;
    let strides = contiguous_strides(&shape);
    let itemsize = block.dtype().itemsize() as isize;
    let fill = |out: *mut u8| {
        // Neighbours that are kept are copied together.
        let (mut start, mut done) = (0, 0);
        while start < flags.len() {
            let len = flags[start..].iter().take_while(|flag| flag.get()).count();
            if len > 0 {
                let mut piece: Dims = block.shape().into();
                piece[axis] = len;
                let view = block.view(start as isize * block.strides()[axis], piece, block.strides().into());
                // SAFETY: the planes done so far and these are at most those kept.
                unsafe { copy_into(&view, out.offset(done * strides[axis] * itemsize), &strides) };
                done += len as isize;
            }
            start += len + 1;
        }
        Ok(())
    };
    // SAFETY: all kept planes are written.
    unsafe { Block::filled(block.dtype(), &shape, fill) }
}

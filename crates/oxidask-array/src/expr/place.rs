//! Blocks written to where they belong in the whole array, in this process.
//!
//! Whoever computes an array wants it as one piece of memory. Putting it
//! together after all blocks are there would be one more pass by a single thread
//! over twice the memory. So each block has a task that copies it to its place
//! while it is still in cache; the copies run side by side, and the memory of the
//! block goes to the next one at once. Elementwise work is not even copied: it is
//! evaluated into its place.
//!
//! Which chunks the blocks have does not matter for the whole, so a last rechunk
//! is left out, and work over arrays in memory is cut into whole rows, which are
//! read and written without gaps.
//!
//! The target is memory of this process: the node must never be given to an
//! executor of others.

use super::blockwise::Blockwise;
use super::body::{Body, Operand, Reads};
use super::rechunk::Rechunk;
use super::{ArrayMeta, meta_of, node};
use crate::block::{Block, Strides, contiguous_strides};
use crate::chunks::{Chunks, shape_text};
use crate::copy::copy_into;
use crate::dtype::DType;
use crate::evaluate::evaluate_into;
use crate::memory::Memory;
use oxidask_core::graph::{Blocks, Graph};
use oxidask_core::value::Frames;
use oxidask_core::{
    Data, DataKind, EncodedOp, Error, Executor, Expr, ExprRef, Inputs, Key, KeyHasher, Op, OpCodec, Result, Value,
};
use std::any::Any;
use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Arrays below this many bytes are put together afterwards.
const LEAST_BYTES: u64 = 1 << 20;
/// Blocks below this many bytes are not worth a task of their own.
const LEAST_BLOCK_BYTES: u64 = 1 << 14;

/// The plan with its blocks written side by side into the memory of the whole
/// array, if `executor` is of this process and the array is large enough to gain
/// by it; else the plan as it is. It is for the root of an optimised plan that
/// is computed once.
#[must_use]
pub fn in_place(root: ExprRef, executor: &dyn Executor) -> ExprRef {
    if !matches!(executor.name(), "threads" | "sync") {
        return root;
    }
    let Ok(meta) = meta_of(&root) else { return root };
    if meta.chunks.has_unknown() || meta.dtype == DType::Object {
        return root;
    }
    let n_elements = meta.shape().iter().fold(1_u64, |n, &length| n.saturating_mul(length as u64));
    // What does not fit is left as it is, so that the executor refuses it.
    let limit = executor.memory_limit().unwrap_or(u64::MAX);
    let (n_bytes, n_blocks) = (n_elements.saturating_mul(meta.dtype.itemsize() as u64), meta.chunks.n_blocks() as u64);
    if n_blocks < 2
        || n_bytes < LEAST_BYTES
        || n_bytes / n_blocks < LEAST_BLOCK_BYTES
        || n_bytes > limit.min(isize::MAX as u64)
    {
        return root;
    }
    // Every computation has memory of its own, so no two share tasks.
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let key = KeyHasher::new("array.place").u64(number).key(root.key()).finish();
    let mut source = root.clone();
    while let Some(rechunk) = node::<Rechunk>(&source) {
        let below = rechunk.inputs()[0].clone();
        if meta_of(&below).is_ok_and(|meta| meta.chunks.has_unknown()) {
            break;
        }
        source = below;
    }
    let rows = node::<Blockwise>(&source).and_then(in_rows);
    let source = rows.unwrap_or(source);
    let Ok(meta) = meta_of(&source).cloned() else { return root };
    let (body, reads) = match node::<Blockwise>(&source) {
        Some(blockwise) => (Some(blockwise.body.clone()), blockwise.reads.clone()),
        None => {
            let mut reads = Reads::default();
            reads.add(&source, 1);
            (None, reads)
        }
    };
    let target = Arc::new(Target::new(meta.clone(), n_bytes as usize));
    let inputs = reads.nodes.clone().into();
    Arc::new(Place { target, body, reads, key, meta, inputs })
}

/// The same elements in blocks of whole rows, as many as there are now, if all
/// that is read lies in memory in the same order.
#[must_use]
pub fn in_rows(blockwise: &Blockwise) -> Option<ExprRef> {
    let body = &blockwise.body;
    let straight = |operand: &Operand| match operand {
        Operand::Input { axes, .. } => axes.iter().enumerate().all(|(axis, from)| *from == Some(axis as u8)),
        Operand::Generate { .. } => true,
    };
    if !body.operands.iter().all(straight) {
        return None;
    }
    blockwise.over_sources(&row_chunks(&body.chunks)?)
}

/// Chunks of whole rows, as many as there are blocks; none if they are such
/// already, or there are not as many rows.
#[must_use]
pub fn row_chunks(chunks: &Chunks) -> Option<Chunks> {
    let (ndim, n_blocks) = (chunks.ndim(), chunks.n_blocks());
    if ndim < 2 || chunks.has_unknown() || (1..ndim).all(|axis| chunks.n_along(axis) == 1) {
        return None;
    }
    let n_rows = chunks.length(0);
    if n_rows < n_blocks {
        return None;
    }
    let sizes = |axis: usize| match axis {
        0 => (0..n_blocks).map(|i| (i + 1) * n_rows / n_blocks - i * n_rows / n_blocks).collect(),
        _ => vec![chunks.length(axis)],
    };
    Some(Chunks::from_sizes((0..ndim).map(sizes)))
}

/// An array whose blocks lie in one buffer.
struct Place {
    target: Arc<Target>,
    /// What is evaluated there; without it the blocks of the only input are
    /// copied.
    body: Option<Body>,
    reads: Reads,
    key: Key,
    meta: ArrayMeta,
    inputs: Inputs,
}

impl Expr for Place {
    fn key(&self) -> Key {
        self.key
    }

    fn label(&self) -> Cow<'_, str> {
        Cow::Borrowed("place")
    }

    fn inputs(&self) -> &[ExprRef] {
        &self.inputs
    }

    fn with_inputs(&self, inputs: Vec<ExprRef>) -> Result<ExprRef> {
        Ok(Arc::new(Place {
            target: self.target.clone(),
            body: self.body.clone(),
            reads: Reads { nodes: inputs.clone(), edges: self.reads.edges.clone() },
            key: self.key,
            meta: self.meta.clone(),
            inputs: inputs.into(),
        }))
    }

    fn lower(&self, inputs: &[Blocks], graph: &mut Graph) -> Result<Blocks> {
        let op = Arc::new(PlaceOp { target: self.target.clone(), body: self.body.clone() });
        let n_blocks = self.meta.chunks.n_blocks();
        let Some(body) = &self.body else {
            return Ok(graph.blocks(self.key, op, n_blocks, |block, reads| reads.push(inputs[0][block])));
        };
        let task_inputs = body.task_inputs(&self.reads, inputs)?;
        Ok(graph.blocks(self.key, op, n_blocks, |block, reads| task_inputs.append(block, reads)))
    }

    fn meta(&self) -> &(dyn Any + Send + Sync) {
        &self.meta
    }
}

/// The memory of a whole array while blocks are written to it.
struct Target {
    meta: ArrayMeta,
    strides: Strides,
    memory: Arc<Memory>,
}

impl Target {
    fn new(meta: ArrayMeta, n_bytes: usize) -> Self {
        let strides = contiguous_strides(&meta.shape());
        Target { meta, strides, memory: Arc::new(Memory::new(n_bytes)) }
    }
}

/// Says that a block was written to its place.
struct Placed {
    target: Arc<Target>,
    block: u64,
}

impl DataKind for Placed {
    fn kind(&self) -> &'static str {
        "array.placed"
    }
}

impl Data for Placed {
    fn nbytes(&self) -> u64 {
        // The memory is the caller's, and nothing that could be spilled.
        0
    }

    fn encode(&self) -> Result<Frames> {
        Err(Error::unsupported("a block is placed in the memory of this process alone"))
    }
}

/// The array that tasks of [`in_place`] have written, if that is what `values`
/// say.
#[must_use]
pub fn whole_of(values: &[Value]) -> Option<Block> {
    let target = values.first()?.get::<Placed>()?.target.clone();
    let mut blocks = values.iter().enumerate();
    let is_written = blocks.all(|(at, value)| {
        value.get::<Placed>().is_some_and(|placed| placed.block == at as u64 && Arc::ptr_eq(&placed.target, &target))
    });
    if !is_written || values.len() != target.meta.chunks.n_blocks() {
        return None;
    }
    // SAFETY: every block of the array has been written.
    Some(unsafe { Block::of_memory(target.meta.dtype, target.memory.clone(), &target.meta.shape()) })
}

/// Writes a block to its place.
struct PlaceOp {
    target: Arc<Target>,
    body: Option<Body>,
}

impl Op for PlaceOp {
    fn run(&self, block: u64, inputs: &[Value]) -> Result<Value> {
        let Target { meta, strides, memory } = &*self.target;
        let coordinates = meta.chunks.coordinates(block as usize);
        let shape = meta.chunks.block_shape(&coordinates);
        let start = meta.chunks.block_start(&coordinates);
        let offset: usize = start.iter().zip(strides).map(|(&start, &stride)| start * stride as usize).sum();
        let place = memory.as_ptr().wrapping_add(offset * meta.dtype.itemsize());
        if let Some(body) = &self.body {
            body.program.check()?;
            let (found, sources) = body.sources(&coordinates, inputs)?;
            check(block, (&found, meta.dtype), (&shape, meta.dtype))?;
            // SAFETY: the shape is that of the place, which lies inside the memory
            // and is no other block's. Should the task run twice, it writes what
            // is there already.
            unsafe { evaluate_into(&body.program, &sources, &shape, (place, strides))? };
        } else {
            let value = inputs.first().ok_or_else(|| Error::value("there is no block to be placed"))?;
            let found = value.expect::<Block>()?;
            check(block, (found.shape(), found.dtype()), (&shape, meta.dtype))?;
            // SAFETY: as above.
            unsafe { copy_into(found, place, strides) };
        }
        Ok(Value::new(Placed { target: self.target.clone(), block }))
    }

    fn label(&self) -> Cow<'_, str> {
        Cow::Borrowed("place")
    }

    fn output_bytes(&self, _: u64, _: &[Option<u64>]) -> Option<u64> {
        Some(0)
    }
}

/// Refuses a block that does not fit its place.
fn check(block: u64, found: (&[usize], DType), expected: (&[usize], DType)) -> Result<()> {
    if found.0 != expected.0 {
        return Err(Error::value(format!(
            "block {block} has shape {}, but {} was announced",
            shape_text(found.0),
            shape_text(expected.0)
        ))
        .with_hint("a function given to map_blocks must return the announced shape"));
    }
    if found.1 != expected.1 {
        return Err(Error::type_(format!("a block of {} arrived where {} was announced", found.1, expected.1))
            .with_hint("a function given to map_blocks must return the announced dtype"));
    }
    Ok(())
}

impl OpCodec for PlaceOp {
    fn kind(&self) -> &'static str {
        "array.place"
    }

    fn encode(&self) -> Result<EncodedOp> {
        Err(Error::unsupported("a block is placed in the memory of this process alone"))
    }
}

//! Reductions: elementwise work and folding in one pass over each block, then a
//! tree that combines the blocks' states.
//!
//! A state has the shape of the result with reduced axes kept at length one, so
//! that combining is elementwise whatever the axes are.

use super::blockwise::Blockwise;
use super::body::{Body, Operand, Reads};
use super::compress::Compress;
use super::place::{in_rows, row_chunks};
use super::rechunk::Rechunk;
use super::{ArrayMeta, node};
use crate::block::{Dims, Strides, contiguous_strides};
use crate::chunks::{Chunks, UNKNOWN};
use crate::dispatch;
use crate::dtype::{Constant, DType};
use crate::evaluate::{Source, evaluate, evaluate_to_block};
use crate::generate::Generator;
use crate::index::{Pick, Range};
use crate::kernel::fold::Fold;
use crate::kernel::number::Number;
use crate::program::{Builder, Func, Program};
use crate::state::{self, ArgSink, FoldSink, MomentsSink};
use oxidask_core::graph::{Blocks, Graph, Input};
use oxidask_core::{Error, Expr, ExprRef, Inputs, Key, KeyHasher, Op, Result, Uses, Value};
use oxidask_macros::op;
use serde::{Deserialize, Serialize};
use std::any::Any;
use std::borrow::Cow;
use std::sync::Arc;

/// States that one task combines unless the user says otherwise.
pub const SPLIT_EVERY: usize = 16;

/// What a reduction keeps of the elements it has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Kind {
    /// All elements folded into one.
    Fold(Fold),
    /// Count, mean and sum of squared distances of floats.
    Moments {
        /// Whether NaN is left out.
        skips_nan: bool,
    },
    /// The extreme and its position.
    Arg {
        /// The largest rather than the smallest.
        largest: bool,
    },
}

/// How a state becomes the result.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Finish {
    /// From the numbers of the state to the result.
    pub program: Program,
    /// Whether reduced axes stay, at length one.
    pub keepdims: bool,
}

/// A reduction of a body along some axes.
pub struct Reduce {
    body: Body,
    reads: Reads,
    shared: Shared,
    finish: Finish,
    split_every: usize,
    label: Arc<str>,
    inputs: Inputs,
    key: Key,
    meta: ArrayMeta,
}

/// What the tasks of a reduction share.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Shared {
    kind: Kind,
    /// The dtype of the body's result.
    dtype: DType,
    /// The chunks of the states: reduced axes have length one.
    chunks: Chunks,
    /// For each axis whether it is reduced.
    reduced: Vec<bool>,
}

impl Reduce {
    /// A node that reduces `body` along `axes`, which are sorted.
    #[must_use]
    pub fn build(
        label: impl Into<Arc<str>>,
        (body, reads): (Body, Reads),
        kind: Kind,
        axes: &[usize],
        finish: Finish,
        split_every: usize,
    ) -> ExprRef {
        let reduced: Vec<bool> = (0..body.chunks.ndim()).map(|axis| axes.contains(&axis)).collect();
        let borders = |axis: usize| if reduced[axis] { Arc::from([0, 1]) } else { body.chunks.borders(axis).clone() };
        let chunks = Chunks::from_borders((0..reduced.len()).map(borders));
        let result = if finish.keepdims {
            chunks.clone()
        } else {
            Chunks::from_borders((0..reduced.len()).filter(|&axis| !reduced[axis]).map(borders))
        };
        let key = body
            .chunks
            .hash(KeyHasher::new("array.reduce").params(&(&body.program, &body.operands, kind, axes, &finish)))
            .u64(split_every as u64)
            .keys(reads.nodes.iter().map(|node| node.key()))
            .finish();
        let shared = Shared { kind, dtype: body.program.dtype(), chunks, reduced };
        let meta = ArrayMeta { chunks: result, dtype: finish.program.dtype() };
        let inputs = reads.nodes.clone().into();
        Arc::new(Reduce { body, reads, shared, finish, split_every, label: label.into(), inputs, key, meta })
    }

    fn axes(&self) -> Vec<usize> {
        (0..self.shared.reduced.len()).filter(|&axis| self.shared.reduced[axis]).collect()
    }

    fn over(&self, body: Body, reads: Reads) -> ExprRef {
        let (kind, axes) = (self.shared.kind, self.axes());
        Reduce::build(self.label.clone(), (body, reads), kind, &axes, self.finish.clone(), self.split_every)
    }

    /// What `picks` take of the result, by reducing only what they need; none
    /// if the result keeps its reduced axes.
    ///
    /// # Errors
    /// If the picks do not fit.
    pub fn picked(&self, picks: &[Pick]) -> Result<Option<ExprRef>> {
        if self.finish.keepdims {
            return Ok(None);
        }
        let mut picks = picks.iter();
        let inner: Vec<Pick> = (0..self.shared.reduced.len())
            .map(|axis| {
                let all = Pick::Range(Range::full(self.body.chunks.length(axis)));
                if self.shared.reduced[axis] { all } else { picks.next().copied().unwrap_or(all) }
            })
            .collect();
        let (body, reads) = self.body.picked(&self.reads, &inner)?;
        let kept = (0..inner.len()).filter(|&axis| matches!(inner[axis], Pick::Range(_)));
        let axes: Vec<usize> =
            kept.enumerate().filter(|&(_, axis)| self.shared.reduced[axis]).map(|(position, _)| position).collect();
        let finish = self.finish.clone();
        Ok(Some(Reduce::build(self.label.clone(), (body, reads), self.shared.kind, &axes, finish, self.split_every)))
    }

    /// Without the rechunk below it, if every axis is reduced: the chunks of
    /// the input serve as well.
    fn without_rechunk(&self) -> Option<ExprRef> {
        if !self.body.is_view() || !self.shared.reduced.iter().all(|&reduced| reduced) {
            return None;
        }
        let rechunk = node::<Rechunk>(&self.reads.nodes[0])?;
        let input = &rechunk.inputs()[0];
        let chunks = super::meta_of(input).ok()?.chunks.clone();
        let mut reads = Reads::default();
        reads.add(input, 1);
        Some(self.over(Body::identity(self.shared.dtype, chunks), reads))
    }
}

impl Reduce {
    /// With blocks of whole rows, if every axis is reduced and all that is read
    /// lies in memory so: there are no gaps to be read over then.
    fn in_rows(&self) -> Option<ExprRef> {
        if !self.shared.reduced.iter().all(|&reduced| reduced) {
            return None;
        }
        // The body is seen as a node of its own, which is what can be cut anew.
        row_chunks(&self.body.chunks)?;
        let blockwise = Blockwise::build(self.label.clone(), self.body.clone(), self.reads.clone());
        let rows = in_rows(node::<Blockwise>(&blockwise)?)?;
        let rows = node::<Blockwise>(&rows)?;
        Some(self.over(rows.body.clone(), rows.reads.clone()))
    }

    /// The fold of a masked array as a fold of all of it, in which elements that
    /// the mask leaves out are replaced by the neutral one.
    fn without_compress(&self) -> Result<Option<ExprRef>> {
        let (Kind::Fold(fold), [Operand::Input { input, axes }]) = (self.shared.kind, &self.body.operands[..]) else {
            return Ok(None);
        };
        let masked = node::<Compress>(&self.reads.nodes[*input as usize]).and_then(Compress::masked);
        let Some((array, mask)) = masked else { return Ok(None) };
        let dtype = self.body.program.dtype();
        // Extremes of nothing are an error, which the mask may lead to.
        let is_total = matches!(fold, Fold::Add | Fold::Multiply) || dtype == DType::Bool;
        if !is_total || self.finish.keepdims || self.shared.reduced != [true] || axes[..] != [Some(0)] {
            return Ok(None);
        }
        // The order of the elements does not matter here, so neither do the
        // chunks that were made for it.
        let (array, mask) = match (node::<Rechunk>(array), node::<Rechunk>(mask)) {
            (Some(a), Some(b)) if same_chunks(&a.inputs()[0], &b.inputs()[0])? => (&a.inputs()[0], &b.inputs()[0]),
            _ => (array, mask),
        };
        let chunks = super::meta_of(array)?.chunks.clone();
        let mut builder = Builder::new();
        let (element, keeps) = (builder.input(super::meta_of(array)?.dtype), builder.input(DType::Bool));
        // It runs on the elements that are masked away as well.
        let value = builder.append(&self.body.program.silent(), &[element]);
        let neutral = builder.constant(dispatch!(dtype, T => constant_of(dtype, fold.neutral::<T>())));
        let chosen = builder.step(Func::Select, &[keeps, value, neutral]);
        let program = builder.finish(chosen);
        let mut reads = Reads::default();
        let straight: Vec<Option<u8>> = (0..chunks.ndim()).map(|axis| Some(axis as u8)).collect();
        let operands =
            [array, mask].map(|node| Operand::Input { input: reads.add(node, 1), axes: straight.clone() }).to_vec();
        let axes: Vec<usize> = (0..chunks.ndim()).collect();
        let body = Body { program, operands, chunks };
        let (kind, finish) = (self.shared.kind, self.finish.clone());
        Ok(Some(Reduce::build(self.label.clone(), (body, reads), kind, &axes, finish, self.split_every)))
    }
}

fn same_chunks(a: &ExprRef, b: &ExprRef) -> Result<bool> {
    Ok(super::meta_of(a)?.chunks == super::meta_of(b)?.chunks)
}

/// The neutral element of a sum or a product: 0 or 1 in every dtype.
fn constant_of<T: Number>(dtype: DType, neutral: T) -> Constant {
    Constant::from_i128(dtype, i128::from(neutral == T::ONE))
}

impl Expr for Reduce {
    fn key(&self) -> Key {
        self.key
    }

    fn label(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.label)
    }

    fn inputs(&self) -> &[ExprRef] {
        &self.inputs
    }

    fn with_inputs(&self, inputs: Vec<ExprRef>) -> Result<ExprRef> {
        if inputs.len() != self.reads.nodes.len() {
            return Err(Error::value(format!("'{}' got {} inputs", self.label, inputs.len())));
        }
        Ok(self.over(self.body.clone(), Reads { nodes: inputs, edges: self.reads.edges.clone() }))
    }

    fn rewrite(&self, uses: &Uses) -> Result<Option<ExprRef>> {
        if let Some(better) = self.without_rechunk().or_else(|| self.in_rows()) {
            return Ok(Some(better));
        }
        if let Some(better) = self.without_compress()? {
            return Ok(Some(better));
        }
        Ok(self.body.absorb(&self.reads, uses).map(|(body, reads)| self.over(body, reads)))
    }

    fn lower(&self, inputs: &[Blocks], graph: &mut Graph) -> Result<Blocks> {
        let groups = self.groups();
        let is_single = groups.iter().all(|group| group.len() == 1);
        let task_inputs = self.body.task_inputs(&self.reads, inputs)?;
        let partial = PartialOp {
            label: format!("{}{}", self.label, if is_single { "" } else { "-partial" }).into(),
            body: self.body.clone(),
            shared: self.shared.clone(),
            finish: is_single.then(|| self.finish.clone()),
        };
        let n_blocks = self.body.chunks.n_blocks();
        if is_single {
            return Ok(
                graph.blocks(self.key, Arc::new(partial), n_blocks, |block, inputs| task_inputs.append(block, inputs))
            );
        }
        let level_key = |level: u64| KeyHasher::new("array.reduce.level").u64(level).key(self.key).finish();
        let states =
            graph.blocks(level_key(0), Arc::new(partial), n_blocks, |block, inputs| task_inputs.append(block, inputs));
        let combine = |finish: Option<Finish>| {
            let label = format!("{}{}", self.label, if finish.is_some() { "" } else { "-combine" }).into();
            Arc::new(CombineOp { label, shared: self.shared.clone(), finish })
        };
        let last = graph.stage(combine(Some(self.finish.clone())));
        let mut between = None;
        let mut results = Blocks::with_capacity(groups.len());
        for (result, group) in groups.into_iter().enumerate() {
            let mut states: Vec<Input> = group.into_iter().map(|block| states[block]).collect();
            let mut level = 0;
            while states.len() > self.split_every {
                level += 1;
                let stage = *between.get_or_insert_with(|| graph.stage(combine(None)));
                // Equal shares, so that no last task combines a single state.
                let n_tasks = states.len().div_ceil(self.split_every);
                let key = level_key(level).block(result as u64);
                states = (0..n_tasks)
                    .map(|task| {
                        let share = &states[task * states.len() / n_tasks..(task + 1) * states.len() / n_tasks];
                        Input::whole(graph.task(key.block(task as u64), stage, result as u32, share))
                    })
                    .collect();
            }
            results.push(Input::whole(graph.task(self.key.block(result as u64), last, result as u32, &states)));
        }
        Ok(results)
    }

    fn meta(&self) -> &(dyn Any + Send + Sync) {
        &self.meta
    }

    fn describe(&self) -> String {
        format!("{} axes {:?} of {}", self.label, self.axes(), self.body.describe(&self.reads))
    }
}

impl Reduce {
    /// For each block of the result, the blocks of the body that it folds.
    fn groups(&self) -> Vec<Vec<usize>> {
        let chunks = &self.body.chunks;
        let strides = contiguous_strides(&self.shared.chunks.numblocks());
        let per_group = (0..chunks.ndim()).filter(|&axis| self.shared.reduced[axis]).map(|axis| chunks.n_along(axis));
        let per_group = per_group.product();
        let mut groups: Vec<Vec<usize>> =
            (0..self.shared.chunks.n_blocks()).map(|_| Vec::with_capacity(per_group)).collect();
        for block in 0..chunks.n_blocks() {
            let (mut rest, mut group) = (block, 0);
            for axis in (0..chunks.ndim()).rev() {
                let count = chunks.n_along(axis);
                if !self.shared.reduced[axis] {
                    group += rest % count * strides[axis] as usize;
                }
                rest /= count;
            }
            groups[group].push(block);
        }
        groups
    }
}

impl Shared {
    /// Bytes of the state, or of the result, of one block of it.
    fn bytes(&self, coordinates: &[usize], finish: Option<&Finish>) -> Option<u64> {
        let shape = self.chunks.block_shape(coordinates);
        if shape.contains(&UNKNOWN) {
            return None;
        }
        let n: usize = shape.iter().product();
        let each = match (finish, self.kind) {
            (Some(finish), _) => finish.program.dtype().itemsize(),
            (None, Kind::Fold(_)) => self.dtype.itemsize(),
            (None, Kind::Moments { .. }) => 24,
            (None, Kind::Arg { .. }) => self.dtype.itemsize() + 8,
        };
        Some((n * each) as u64)
    }

    /// The result of a state.
    fn finish(&self, state: Value, finish: Option<&Finish>) -> Result<Value> {
        let Some(finish) = finish else { return Ok(state) };
        finish.program.check()?;
        let planes = state::planes(self.kind, &state)?;
        let shape: Dims = planes[0].shape().into();
        let sources: Vec<Source> =
            planes.iter().map(|plane| Source::Block { block: plane, strides: plane.strides().into() }).collect();
        if sources.len() != finish.program.inputs().len() {
            return Err(Error::value("a reduction's state does not fit its last step"));
        }
        let result = if finish.program.is_identity() {
            planes[0].clone()
        } else {
            evaluate_to_block(&finish.program, &sources, &shape)?
        };
        if finish.keepdims {
            return Ok(Value::new(result));
        }
        let kept: Dims = (0..shape.len()).filter(|&axis| !self.reduced[axis]).map(|axis| shape[axis]).collect();
        Ok(Value::new(result.reshaped(&kept)))
    }
}

/// Evaluates a body for one block and folds it as it goes.
#[op("array.reduce")]
#[derive(Serialize, Deserialize)]
struct PartialOp {
    label: Arc<str>,
    body: Body,
    shared: Shared,
    finish: Option<Finish>,
}

impl Op for PartialOp {
    fn run(&self, block: u64, inputs: &[Value]) -> Result<Value> {
        self.body.program.check()?;
        let coordinates = self.body.chunks.coordinates(block as usize);
        let (shape, mut sources) = self.body.sources(&coordinates, inputs)?;
        let kept: Dims = shape
            .iter()
            .zip(&self.shared.reduced)
            .map(|(&length, &reduced)| if reduced { 1 } else { length })
            .collect();
        let strides: Strides = contiguous_strides(&kept)
            .iter()
            .zip(&self.shared.reduced)
            .map(|(&stride, &reduced)| if reduced { 0 } else { stride })
            .collect();
        let program = &self.body.program;
        let state = match self.shared.kind {
            Kind::Fold(fold) => dispatch!(program.dtype(), T => {
                let mut sink = FoldSink::<T>::new(fold, program.dtype(), &kept);
                evaluate(program, &sources, &shape, None, &strides, true, &mut sink)?;
                sink.into_state(&kept)
            }),
            Kind::Moments { skips_nan } => {
                let mut sink = MomentsSink::new(&kept, skips_nan);
                evaluate(program, &sources, &shape, None, &strides, true, &mut sink)?;
                sink.into_state(&kept)
            }
            Kind::Arg { largest } => {
                let (program, slot) = program.with_input(DType::I64);
                sources.push(self.positions(&coordinates));
                dispatch!(program.dtype(), T => {
                    let mut sink = ArgSink::<T>::new(largest, program.dtype(), &kept);
                    evaluate(&program, &sources, &shape, Some(slot), &strides, false, &mut sink)?;
                    sink.into_state(&kept)
                })
            }
        };
        self.shared.finish(state, self.finish.as_ref())
    }

    fn label(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.label)
    }

    fn output_bytes(&self, block: u64, _: &[Option<u64>]) -> Option<u64> {
        let mut coordinates = self.body.chunks.coordinates(block as usize);
        for (at, &reduced) in coordinates.iter_mut().zip(&self.shared.reduced) {
            if reduced {
                *at = 0;
            }
        }
        self.shared.bytes(&coordinates, self.finish.as_ref())
    }
}

impl PartialOp {
    /// The position of every element of a block in the whole array: along the
    /// reduced axis, or in C order if all axes are reduced.
    fn positions(&self, coordinates: &[usize]) -> Source<'static> {
        let shape = self.body.chunks.shape();
        let all = self.shared.reduced.iter().all(|&reduced| reduced);
        let strides: Strides = if all {
            contiguous_strides(&shape)
        } else {
            self.shared.reduced.iter().map(|&reduced| isize::from(reduced)).collect()
        };
        let starts = self.body.chunks.block_start(coordinates);
        let start = starts.iter().zip(&strides).map(|(&start, &stride)| start as i64 * stride as i64).sum();
        Source::Generate { generator: Generator::Index, start, strides }
    }
}

/// Combines states of several blocks.
#[op("array.combine")]
#[derive(Serialize, Deserialize)]
struct CombineOp {
    label: Arc<str>,
    shared: Shared,
    finish: Option<Finish>,
}

impl Op for CombineOp {
    fn run(&self, _: u64, inputs: &[Value]) -> Result<Value> {
        let state = state::combine(self.shared.kind, self.shared.dtype, inputs)?;
        self.shared.finish(state, self.finish.as_ref())
    }

    fn label(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.label)
    }

    fn output_bytes(&self, block: u64, _: &[Option<u64>]) -> Option<u64> {
        self.shared.bytes(&self.shared.chunks.coordinates(block as usize), self.finish.as_ref())
    }
}

/// An op that adds blocks of equal shape, for products of matrices.
#[must_use]
pub fn add_blocks(label: &str, dtype: DType, chunks: Chunks) -> Arc<dyn Op> {
    let reduced = vec![false; chunks.ndim()];
    let finish = Some(Finish { program: Program::identity(dtype), keepdims: true });
    Arc::new(CombineOp {
        label: label.into(),
        shared: Shared { kind: Kind::Fold(Fold::Add), dtype, chunks, reduced },
        finish,
    })
}

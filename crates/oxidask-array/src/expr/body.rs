//! What elementwise nodes and reductions have in common: a program and where
//! its inputs come from.

use super::blockwise::Blockwise;
use super::slice::Slice;
use super::{meta_of, node};
use crate::block::{Block, Dims, Strides};
use crate::chunks::{Chunks, UNKNOWN, shape_text};
use crate::dtype::DType;
use crate::evaluate::Source;
use crate::generate::Generator;
use crate::index::{Pick, Range};
use crate::program::{Builder, MAX_STEPS, Program, Slot};
use oxidask_core::graph::{Blocks, Input};
use oxidask_core::{Error, ExprRef, Result, Uses, Value};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use std::collections::HashSet;

/// The most inputs that one program reads; more become several programs.
const MAX_OPERANDS: usize = 32;
/// A program without stored inputs and at most this long is computed again for
/// each reader rather than kept.
const CHEAP_STEPS: usize = 2;

/// Which axis of an input each axis of the result follows; none where the input
/// is repeated.
pub type AxisMap = Vec<Option<u8>>;

/// Where an input of the program comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Operand {
    /// Blocks of another node.
    Input {
        /// Which of the node's inputs.
        input: u16,
        /// How its axes lie.
        axes: AxisMap,
    },
    /// Elements made on the spot.
    Generate {
        /// What makes them.
        generator: Generator,
        /// The position of the first element.
        start: i64,
        /// How positions change along each axis of the result.
        strides: Vec<i64>,
    },
}

/// A program over the blocks of `chunks`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Body {
    /// What is computed for each element; input i of it is operand i.
    pub program: Program,
    /// Where the program's inputs come from.
    pub operands: Vec<Operand>,
    /// The shape that is computed, and its blocks.
    pub chunks: Chunks,
}

/// The nodes a body reads, and how many edges of the original plan each stands
/// for: a node whose every reader was absorbed here may be absorbed as well.
#[derive(Clone, Default)]
pub struct Reads {
    /// The nodes.
    pub nodes: Vec<ExprRef>,
    /// For each, the number of edges.
    pub edges: Vec<u32>,
}

impl Reads {
    /// Adds a node unless it is there already; answers its position.
    pub fn add(&mut self, node: &ExprRef, edges: u32) -> u16 {
        let known = self.nodes.iter().position(|other| other.key() == node.key());
        let position = known.unwrap_or_else(|| {
            self.nodes.push(node.clone());
            self.edges.push(0);
            self.nodes.len() - 1
        });
        self.edges[position] += edges;
        position as u16
    }
}

impl Body {
    /// The body that answers one input as it is.
    #[must_use]
    pub fn identity(dtype: DType, chunks: Chunks) -> Body {
        let axes = (0..chunks.ndim()).map(|axis| Some(axis as u8)).collect();
        Body { program: Program::identity(dtype), operands: vec![Operand::Input { input: 0, axes }], chunks }
    }

    /// Whether it only looks at one input in another way.
    #[must_use]
    pub fn is_view(&self) -> bool {
        self.program.is_identity() && matches!(self.operands[..], [Operand::Input { .. }])
    }

    /// Whether it reads no other node.
    #[must_use]
    pub fn is_generated(&self) -> bool {
        self.operands.iter().all(|operand| matches!(operand, Operand::Generate { .. }))
    }

    /// The body with its elementwise inputs made part of it, if there are any
    /// that should be.
    #[must_use]
    pub fn absorb(&self, reads: &Reads, uses: &Uses) -> Option<(Body, Reads)> {
        let mut n_steps = self.program.steps().len();
        let mut n_operands = self.operands.len();
        let absorbed: Vec<Option<(&Blockwise, bool)>> = self
            .operands
            .iter()
            .map(|operand| {
                let Operand::Input { input, axes } = operand else { return None };
                let expr = &reads.nodes[*input as usize];
                let child = node::<Blockwise>(expr)?;
                let is_single = uses.of(expr.key()) <= reads.edges[*input as usize];
                if !self.may_absorb(&child.body, axes, is_single) {
                    return None;
                }
                n_steps += child.body.program.steps().len();
                n_operands += child.body.operands.len();
                (n_steps <= MAX_STEPS && n_operands <= MAX_OPERANDS).then_some((child, is_single))
            })
            .collect();
        if absorbed.iter().all(Option::is_none) {
            return None;
        }
        Some(self.join(reads, &absorbed))
    }

    fn may_absorb(&self, child: &Body, axes: &AxisMap, is_single: bool) -> bool {
        if child.operands.is_empty() || child.is_view() {
            return true;
        }
        // A repeated input is computed once and stored, not again and again.
        let repeats = axes.iter().enumerate().any(|(axis, from)| from.is_none() && self.chunks.length(axis) != 1);
        let is_cheap = child.is_generated() && child.program.steps().len() <= CHEAP_STEPS;
        !repeats && (is_single || is_cheap)
    }

    fn join(&self, reads: &Reads, absorbed: &[Option<(&Blockwise, bool)>]) -> (Body, Reads) {
        let mut joined = Joined::default();
        let mut slots: Vec<Slot> = Vec::with_capacity(self.operands.len());
        for (operand, child) in self.operands.iter().zip(absorbed) {
            slots.push(match (operand, child) {
                (Operand::Input { axes, .. }, Some((child, is_single))) => {
                    let inner: Vec<Slot> = child
                        .body
                        .operands
                        .iter()
                        .map(|operand| joined.operand(&operand.seen_through(axes), &child.reads, *is_single))
                        .collect();
                    joined.builder.append(&child.body.program, &inner)
                }
                _ => joined.operand(operand, reads, true),
            });
        }
        let output = joined.builder.append(&self.program, &slots);
        let program = joined.builder.finish(output);
        (Body { program, operands: joined.operands, chunks: self.chunks.clone() }, joined.reads)
    }

    /// The part of the body that `picks` take; its inputs are sliced likewise.
    ///
    /// # Errors
    /// If a slice does not fit, which is a mistake of ours.
    pub fn picked(&self, reads: &Reads, picks: &[Pick]) -> Result<(Body, Reads)> {
        let (chunks, _) = self.chunks.picked(picks);
        let mut new_reads = Reads::default();
        let kept: Vec<usize> = (0..picks.len()).filter(|&axis| matches!(picks[axis], Pick::Range(_))).collect();
        let mut operands = Vec::with_capacity(self.operands.len());
        for operand in &self.operands {
            operands.push(match operand {
                Operand::Generate { generator, start, strides } => Operand::Generate {
                    generator: *generator,
                    start: picks
                        .iter()
                        .zip(strides)
                        .fold(*start, |start, (pick, stride)| start + stride * pick.range().start as i64),
                    strides: kept.iter().map(|&axis| strides[axis] * picks[axis].range().step as i64).collect(),
                },
                Operand::Input { input, axes } => {
                    let expr = &reads.nodes[*input as usize];
                    let mut inner: Vec<Pick> =
                        meta_of(expr)?.shape().iter().map(|&length| Pick::Range(Range::full(length))).collect();
                    for (axis, from) in axes.iter().enumerate() {
                        if let Some(from) = from {
                            inner[*from as usize] = picks[axis];
                        }
                    }
                    // Axes of the input that are dropped shift those behind.
                    let shift = |from: u8| {
                        from - inner[..from as usize].iter().filter(|pick| matches!(pick, Pick::At(_))).count() as u8
                    };
                    let axes = kept.iter().map(|&axis| axes[axis].map(shift)).collect();
                    let sliced = Slice::build(expr, inner)?;
                    Operand::Input { input: new_reads.add(&sliced, 1), axes }
                }
            });
        }
        Ok((Body { program: self.program.clone(), operands, chunks }, new_reads))
    }

    /// For every block, the blocks that its task reads.
    ///
    /// # Errors
    /// If an input is no array.
    pub fn task_inputs<'a>(&'a self, reads: &Reads, lowered: &'a [Blocks]) -> Result<TaskInputs<'a>> {
        let mut steps = Vec::new();
        for operand in &self.operands {
            let Operand::Input { input, axes } = operand else { continue };
            let numblocks = meta_of(&reads.nodes[*input as usize])?.chunks.numblocks();
            let strides = crate::block::contiguous_strides(&numblocks);
            let along = axes.iter().map(|from| from.map_or(0, |from| strides[from as usize] as usize)).collect();
            steps.push((&lowered[*input as usize], along));
        }
        Ok(TaskInputs { counts: self.chunks.numblocks(), steps })
    }

    /// The shape of one block; lengths that are not known are those of the
    /// first input that has the axis.
    fn shape_at(&self, coordinates: &[usize], inputs: &[Value]) -> Result<Dims> {
        let mut shape = self.chunks.block_shape(coordinates);
        if !shape.contains(&UNKNOWN) {
            return Ok(shape);
        }
        let axes = self.operands.iter().filter_map(|operand| match operand {
            Operand::Input { axes, .. } => Some(axes),
            Operand::Generate { .. } => None,
        });
        for (axes, value) in axes.zip(inputs) {
            let own = value.expect::<Block>()?.shape();
            for (length, from) in shape.iter_mut().zip(axes) {
                if let (UNKNOWN, Some(from)) = (*length, from) {
                    *length = own.get(*from as usize).copied().unwrap_or(UNKNOWN);
                }
            }
        }
        if shape.contains(&UNKNOWN) {
            return Err(Error::value("an array cannot be made without knowing its chunk sizes")
                .with_hint("call compute_chunk_sizes() first"));
        }
        Ok(shape)
    }

    /// The shape of one block, and the sources of the program for it; `inputs`
    /// are those of the task.
    ///
    /// # Errors
    /// If an input has another shape than was announced.
    pub fn sources<'a>(&self, coordinates: &[usize], inputs: &'a [Value]) -> Result<(Dims, Vec<Source<'a>>)> {
        let shape = self.shape_at(coordinates, inputs)?;
        let starts = self.chunks.block_start(coordinates);
        let mut inputs = inputs.iter();
        let mut sources = Vec::with_capacity(self.operands.len());
        for (operand, &dtype) in self.operands.iter().zip(self.program.inputs()) {
            sources.push(match operand {
                Operand::Generate { generator, start, strides } => Source::Generate {
                    generator: *generator,
                    start: starts.iter().zip(strides).fold(*start, |at, (&start, stride)| at + start as i64 * stride),
                    strides: strides.iter().map(|&stride| stride as isize).collect(),
                },
                Operand::Input { axes, .. } => {
                    let value = inputs.next().ok_or_else(|| Error::value("a task got too few inputs"))?;
                    let block = value.expect::<Block>()?;
                    Source::Block { block, strides: laid_over(block, dtype, axes, &shape)? }
                }
            });
        }
        Ok((shape, sources))
    }

    /// The text of the program over what it reads, for plans.
    #[must_use]
    pub fn describe(&self, reads: &Reads) -> String {
        let names: Vec<String> = self
            .operands
            .iter()
            .map(|operand| match operand {
                Operand::Generate { generator, strides, .. } => format!("{}{:?}", generator.name(), strides.as_slice()),
                Operand::Input { input, axes } => {
                    let mut name = format!("x{input}");
                    let straight = axes.iter().enumerate().all(|(axis, from)| *from == Some(axis as u8));
                    let same_rank =
                        meta_of(&reads.nodes[*input as usize]).is_ok_and(|meta| meta.chunks.ndim() == axes.len());
                    if !(straight && same_rank) {
                        let axes: Vec<String> =
                            axes.iter().map(|from| from.map_or("-".to_owned(), |from| from.to_string())).collect();
                        name = format!("{name}[{}]", axes.join(" "));
                    }
                    name
                }
            })
            .collect();
        self.program.to_text(&names)
    }
}

/// The strides of a block along the axes of a result.
fn laid_over(block: &Block, dtype: DType, axes: &AxisMap, shape: &[usize]) -> Result<Strides> {
    let fits = block.dtype() == dtype
        && axes.len() == shape.len()
        && axes.iter().zip(shape).all(|(from, &length)| {
            from.is_none_or(|from| block.shape().get(from as usize).is_some_and(|&own| own == length || length == 0))
        })
        && (!block.is_empty() || shape.contains(&0));
    if !fits {
        return Err(Error::value(format!(
            "a block of shape {} and dtype {} arrived where {dtype} of shape {} was expected",
            shape_text(block.shape()),
            block.dtype(),
            shape_text(shape)
        ))
        .with_hint("a function given to map_blocks may return other shapes than announced"));
    }
    Ok(axes.iter().map(|from| from.map_or(0, |from| block.strides()[from as usize])).collect())
}

impl Operand {
    /// This operand of a node, as seen by a reader that maps the node's axes.
    fn seen_through(&self, outer: &AxisMap) -> Operand {
        match self {
            Operand::Input { input, axes } => Operand::Input {
                input: *input,
                axes: outer.iter().map(|from| from.and_then(|from| axes[from as usize])).collect(),
            },
            Operand::Generate { generator, start, strides } => Operand::Generate {
                generator: *generator,
                start: *start,
                strides: outer.iter().map(|from| from.map_or(0, |from| strides[from as usize])).collect(),
            },
        }
    }
}

/// A body in the making.
#[derive(Default)]
struct Joined {
    builder: Builder,
    operands: Vec<Operand>,
    slots: Vec<Slot>,
    reads: Reads,
    /// Which inputs of which readers were counted as edges.
    counted: HashSet<(*const Reads, u16)>,
}

impl Joined {
    /// The program's input for an operand of the reader `from`. The edges of a
    /// reader that others read as well (`is_single` is false) do not count: it
    /// goes on reading its inputs for them.
    fn operand(&mut self, operand: &Operand, from: &Reads, is_single: bool) -> Slot {
        let (operand, dtype) = match operand {
            Operand::Input { input, axes } => {
                let expr = &from.nodes[*input as usize];
                let dtype = meta_of(expr).map_or(DType::F64, |meta| meta.dtype);
                // A node that several operands of one reader name is one edge.
                let is_new = self.counted.insert((std::ptr::from_ref(from), *input));
                let edges = if is_new && is_single { from.edges[*input as usize] } else { 0 };
                let input = self.reads.add(expr, edges);
                (Operand::Input { input, axes: axes.clone() }, dtype)
            }
            generate @ Operand::Generate { generator, .. } => (generate.clone(), generator.dtype()),
        };
        if let Some(known) = self.operands.iter().position(|known| *known == operand) {
            return self.slots[known];
        }
        let slot = self.builder.input(dtype);
        self.operands.push(operand);
        self.slots.push(slot);
        slot
    }
}

/// Which blocks each task of a body reads.
pub struct TaskInputs<'a> {
    counts: Dims,
    /// For each stored operand: its blocks, and how their numbers change along
    /// the axes of the result.
    steps: Vec<(&'a Blocks, Dims)>,
}

impl TaskInputs<'_> {
    /// Appends what the task of block number `block` reads.
    pub fn append(&self, block: usize, inputs: &mut SmallVec<[Input; 8]>) {
        for (blocks, along) in &self.steps {
            let (mut rest, mut number) = (block, 0);
            for (count, step) in self.counts.iter().zip(along).rev() {
                number += rest % count * step;
                rest /= count;
            }
            inputs.push(blocks[number]);
        }
    }
}

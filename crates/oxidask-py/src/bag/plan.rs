//! Pipes: calls on each partition of a bag, or on groups of partitions, as one
//! node of the plan. Pipes upon pipes become one.

use super::expr::{BagMeta, SINGLE, SelectExpr, is_plain, partitions_of, rewritten};
use super::native::{Native, Sink, Tree, op_of};
use super::pipe::{Cut, Head, PipeOp, Step};
use super::text::TextSource;
use crate::template::index_of;
use oxidask_core::{Annotations, Blocks, Error, Expr, ExprRef, Graph, Input, Inputs, Key, KeyHasher, Result, Stage};
use oxidask_core::{Op, Uses};
use smallvec::SmallVec;
use std::any::Any;
use std::borrow::Cow;
use std::sync::Arc;

fn uneven(label: &str, want: usize, got: usize) -> Error {
    Error::value(format!("'{label}' reads bags of {want} and {got} partitions together"))
        .with_hint("give both the same number of partitions: bag.repartition(npartitions=…)")
}

/// The block of each input that partition `number` of `n` reads: its own, or
/// the only one.
fn aligned(label: &str, blocks: &Blocks, n: usize, number: usize) -> Result<Input> {
    match blocks[..] {
        [only] => Ok(only),
        _ if blocks.len() == n => Ok(blocks[number]),
        _ => Err(uneven(label, n, blocks.len())),
    }
}

/// Which inputs the tasks of a pipe read first.
#[derive(Clone)]
pub enum Origin {
    /// The partition of the first input with the same number.
    Partition,
    /// These ranges of partitions of the first input.
    Groups(Vec<(u32, u32)>),
    /// Of the pieces into which partitions of the first input were cut, those with
    /// the same number, of several partitions.
    Pieces {
        /// Into how many each was cut.
        pieces: u32,
        /// Of how many partitions, one after another, pieces are read together.
        partitions: u32,
    },
    /// Files.
    Text(Arc<TextSource>),
}

/// Calls on each partition, or each group of partitions.
#[derive(Clone)]
pub struct PipeExpr {
    /// The name of the value.
    pub key: Key,
    /// What users read.
    pub label: Arc<str>,
    /// Where elements come from.
    pub from: Origin,
    /// The calls; their extras are numbers of the inputs after the first.
    pub steps: Vec<Step>,
    /// The bag, unless text is read, and what else the calls read.
    pub inputs: Inputs,
    /// How many tasks; none for a single value, which is no bag.
    pub n: Option<usize>,
    /// Into how many pieces each task cuts its partition, if it does: the pieces
    /// of a task are partitions one after another.
    pub cut: Option<Cut>,
    /// The user's wishes about where and how it runs.
    pub annotations: Option<Arc<Annotations>>,
}

/// A node for a pipe.
pub struct Pipe {
    pipe: PipeExpr,
    meta: BagMeta,
}

impl Pipe {
    /// A node for a pipe.
    pub fn expr(pipe: PipeExpr) -> ExprRef {
        let meta = BagMeta::of(pipe.n.unwrap_or(1) * pipe.cut.map_or(1, Cut::n) as usize);
        Arc::new(Pipe { pipe, meta })
    }

    fn n_tasks(&self) -> usize {
        self.pipe.n.unwrap_or(1)
    }

    /// Whether the results are native columns, as far as can be told: text, or
    /// other columns, on which everything done is well known.
    fn makes_columns(&self) -> bool {
        let is_column = |step: &Step| {
            matches!(
                step.native,
                Some(Native::Same | Native::Step(_) | Native::Sink(Sink::Rows | Sink::Take(_) | Sink::Scatter(..)))
                    | Some(Native::Tree(Tree::Group(_)))
            )
        };
        let from_columns = match &self.pipe.from {
            Origin::Text(source) => source.encoding.is_stateless && !source.include_path,
            Origin::Partition | Origin::Pieces { .. } => self.reads_columns(),
            Origin::Groups(_) => false,
        };
        from_columns && self.pipe.steps.iter().all(is_column)
    }

    fn reads_columns(&self) -> bool {
        let is_column = |input: &ExprRef| input.get::<Pipe>().is_some_and(Pipe::makes_columns) || is_plain(input);
        self.pipe.inputs.first().is_some_and(is_column)
    }

    fn n_first(&self) -> usize {
        usize::from(!matches!(self.pipe.from, Origin::Text(_)))
    }

    fn op(&self) -> Arc<dyn Op> {
        let head = match &self.pipe.from {
            Origin::Partition => Head::Partition,
            Origin::Groups(_) | Origin::Pieces { .. } => Head::Group,
            Origin::Text(source) => Head::Text(source.clone()),
        };
        let n_extras = index_of(self.pipe.inputs.len() - self.n_first());
        let (label, steps) = (self.pipe.label.clone(), self.pipe.steps.clone());
        op_of(PipeOp { label, head, steps, n_extras, cut: self.pipe.cut }, self.reads_columns())
    }

    /// This pipe with the calls of the one below it before its own.
    fn after(&self, below: &PipeExpr) -> ExprRef {
        let below_first = usize::from(!matches!(below.from, Origin::Text(_)));
        let n_below = index_of(below.inputs.len() - below_first);
        let mut steps = below.steps.clone();
        for step in &self.pipe.steps {
            let extras = step.extras.iter().map(|extra| extra + n_below).collect();
            steps.push(Step { extras, ..step.clone() });
        }
        let inputs: Vec<ExprRef> = below.inputs.iter().chain(&self.pipe.inputs[1..]).cloned().collect();
        let label = Arc::from(format!("{}-{}", below.label, self.pipe.label));
        let key = KeyHasher::new("bag.fused").key(self.pipe.key).key(below.key).finish();
        Pipe::expr(PipeExpr { key, from: below.from.clone(), steps, inputs: inputs.into(), label, ..self.pipe.clone() })
    }

    /// This pipe for some of its partitions only, if each is a task of its own.
    pub(super) fn only(&self, picks: &[u32]) -> Option<ExprRef> {
        if self.pipe.cut.is_some() {
            return None;
        }
        let few = |input: &ExprRef| match partitions_of(input) {
            Some(n) if n > 1 => SelectExpr::expr(vec![input.clone()], picks.iter().map(|pick| (0, *pick)).collect()),
            _ => input.clone(),
        };
        let mut inputs: Vec<ExprRef> = self.pipe.inputs.to_vec();
        let first = self.n_first();
        inputs[first..].iter_mut().for_each(|input| *input = few(input));
        let from = match &self.pipe.from {
            Origin::Partition => {
                inputs[0] = few(&inputs[0]);
                Origin::Partition
            }
            Origin::Groups(groups) => Origin::Groups(picks.iter().map(|pick| groups[*pick as usize]).collect()),
            Origin::Text(source) => {
                let partitions = picks.iter().map(|pick| source.partitions[*pick as usize].clone()).collect();
                Origin::Text(Arc::new(TextSource { partitions, ..(**source).clone() }))
            }
            Origin::Pieces { .. } => return None,
        };
        let key = KeyHasher::new("bag.only").key(self.pipe.key).params(&picks).finish();
        let pipe = PipeExpr { key, from, inputs: inputs.into(), n: Some(picks.len()), ..self.pipe.clone() };
        Some(Pipe::expr(pipe))
    }
}

impl Expr for Pipe {
    fn key(&self) -> Key {
        self.pipe.key
    }

    fn label(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.pipe.label)
    }

    fn inputs(&self) -> &[ExprRef] {
        &self.pipe.inputs
    }

    fn with_inputs(&self, inputs: Vec<ExprRef>) -> Result<ExprRef> {
        let key = rewritten(self.pipe.key, &inputs);
        Ok(Pipe::expr(PipeExpr { key, inputs: inputs.into(), ..self.pipe.clone() }))
    }

    fn rewrite(&self, uses: &Uses) -> Result<Option<ExprRef>> {
        if !matches!(self.pipe.from, Origin::Partition) {
            return Ok(None);
        }
        let Some(input) = self.pipe.inputs.first() else { return Ok(None) };
        let Some(below) = input.get::<Pipe>() else { return Ok(None) };
        // A further input that is the same node would have to be made apart.
        let alone = uses.is_single(input) && !self.pipe.inputs[1..].iter().any(|other| other.key() == input.key());
        let alike = below.meta.n == self.n_tasks()
            && below.pipe.cut.is_none()
            && below.pipe.annotations == self.pipe.annotations;
        Ok((alone && alike).then(|| self.after(&below.pipe)))
    }

    fn lower(&self, inputs: &[Blocks], graph: &mut Graph) -> Result<Blocks> {
        let (label, annotations) = (self.pipe.label.clone(), self.pipe.annotations.clone());
        let n = self.n_tasks();
        let stage = graph.stage_with(Stage { op: self.op(), label, annotations });
        let mut blocks = Vec::with_capacity(n);
        let mut read: SmallVec<[Input; 8]> = SmallVec::new();
        for number in 0..n {
            read.clear();
            match &self.pipe.from {
                Origin::Partition => read.push(aligned(&self.pipe.label, &inputs[0], n, number)?),
                Origin::Groups(groups) => {
                    let (start, end) = groups[number];
                    read.extend_from_slice(&inputs[0][start as usize..end as usize]);
                }
                Origin::Pieces { pieces, partitions } => {
                    let (pieces, partitions) = (*pieces as usize, *partitions as usize);
                    let first = number / pieces * partitions * pieces + number % pieces;
                    read.extend(inputs[0].iter().copied().skip(first).step_by(pieces).take(partitions));
                }
                Origin::Text(_) => {}
            }
            for extra in &inputs[self.n_first()..] {
                read.push(aligned(&self.pipe.label, extra, n, number)?);
            }
            let task = graph.task(self.pipe.key.block(number as u64), stage, index_of(number), &read);
            match self.pipe.cut {
                None => blocks.push(Input::whole(task)),
                Some(cut) => blocks.extend((0..cut.n()).map(|part| Input::part(task, part))),
            }
        }
        Ok(blocks)
    }

    fn meta(&self) -> &(dyn Any + Send + Sync) {
        if self.pipe.n.is_some() { &self.meta } else { &SINGLE }
    }
}

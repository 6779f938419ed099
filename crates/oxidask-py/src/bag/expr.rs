//! The lazy nodes of bags beside pipes: partitions selected, cut and gone through.

use super::pipe::{Cut, Head, PipeOp, Step};
use super::plan::Pipe;
use crate::template::index_of;
use oxidask::bag::Given;
use oxidask_core::{Blocks, Error, Expr, ExprRef, Graph, Input, Inputs, Key, KeyHasher, Result, Uses};
use smallvec::SmallVec;
use std::any::Any;
use std::borrow::Cow;
use std::sync::Arc;

/// What a bag knows of itself. Expressions without it are single values.
pub struct BagMeta {
    /// Number of partitions.
    pub n: usize,
    /// Whether they are lists or ranges of plain values, on which functions that
    /// are well known run natively.
    pub is_plain: bool,
}

impl BagMeta {
    /// Of `n` partitions of any values.
    pub fn of(n: usize) -> Self {
        BagMeta { n, is_plain: false }
    }
}

/// Whether partitions that are here already hold plain values only.
pub fn is_plain(expr: &ExprRef) -> bool {
    expr.get::<Given<BagMeta>>().is_some() && expr.meta().downcast_ref::<BagMeta>().is_some_and(|meta| meta.is_plain)
}

/// How many partitions a bag has; none if the expression is no bag.
pub fn partitions_of(expr: &ExprRef) -> Option<usize> {
    expr.meta().downcast_ref::<BagMeta>().map(|meta| meta.n)
}

/// The key of a node over rewritten inputs. It differs, because a plan takes two
/// nodes with the same key for the same node.
pub(super) fn rewritten(key: Key, inputs: &[ExprRef]) -> Key {
    KeyHasher::new("bag.rewritten").key(key).keys(inputs.iter().map(|input| input.key())).finish()
}

/// What single values answer for their meta.
pub(super) static SINGLE: () = ();

/// Some partitions of some bags, in any order.
pub struct SelectExpr {
    key: Key,
    inputs: Inputs,
    /// Which partition of which input.
    picks: Vec<(u32, u32)>,
    meta: BagMeta,
}

impl SelectExpr {
    /// The partitions `picks` of `inputs`.
    pub fn expr(inputs: Vec<ExprRef>, picks: Vec<(u32, u32)>) -> ExprRef {
        let keys = inputs.iter().map(|input| input.key());
        let key = KeyHasher::new("bag.select").keys(keys).params(&picks).finish();
        let meta = BagMeta::of(picks.len());
        Arc::new(SelectExpr { key, inputs: inputs.into(), picks, meta })
    }

    /// All partitions of `inputs`, one bag after another.
    pub fn all(inputs: Vec<ExprRef>) -> ExprRef {
        let counts: Vec<usize> = inputs.iter().map(|input| partitions_of(input).unwrap_or(1)).collect();
        let picks = counts.iter().enumerate().flat_map(|(input, n)| (0..*n).map(move |block| (input, block)));
        let picks = picks.map(|(input, block)| (index_of(input), index_of(block))).collect();
        SelectExpr::expr(inputs, picks)
    }
}

impl Expr for SelectExpr {
    fn key(&self) -> Key {
        self.key
    }

    fn label(&self) -> Cow<'_, str> {
        self.inputs.first().map_or(Cow::Borrowed("partitions"), |input| input.label())
    }

    fn inputs(&self) -> &[ExprRef] {
        &self.inputs
    }

    fn with_inputs(&self, inputs: Vec<ExprRef>) -> Result<ExprRef> {
        Ok(SelectExpr::expr(inputs, self.picks.clone()))
    }

    fn rewrite(&self, uses: &Uses) -> Result<Option<ExprRef>> {
        let [input] = &*self.inputs else { return Ok(None) };
        let picks: Vec<u32> = self.picks.iter().map(|(_, block)| *block).collect();
        let is_rising = picks.windows(2).all(|pair| pair[0] < pair[1]);
        // Partitions that are read twice must not be made twice.
        if !is_rising || !uses.is_single(input) || partitions_of(input).is_none_or(|n| n <= picks.len()) {
            return Ok(None);
        }
        if let Some(pipe) = input.get::<Pipe>() {
            return Ok(pipe.only(&picks));
        }
        if let Some(given) = input.get::<Given<BagMeta>>() {
            let values = picks.iter().map(|pick| given.values()[*pick as usize].clone()).collect();
            let meta = BagMeta { n: picks.len(), is_plain: is_plain(input) };
            return Ok(Some(Arc::new(Given::new(self.key, &*given.label(), values, meta))));
        }
        if let Some(below) = input.get::<SelectExpr>() {
            let picks = picks.iter().map(|pick| below.picks[*pick as usize]).collect();
            return Ok(Some(SelectExpr::expr(below.inputs.to_vec(), picks)));
        }
        Ok(None)
    }

    fn lower(&self, inputs: &[Blocks], _graph: &mut Graph) -> Result<Blocks> {
        let picks = self.picks.iter().map(|(input, block)| inputs[*input as usize].get(*block as usize).copied());
        picks.collect::<Option<_>>().ok_or_else(|| Error::index("a partition that does not exist was selected"))
    }

    fn meta(&self) -> &(dyn Any + Send + Sync) {
        &self.meta
    }
}

/// Each partition cut into several.
pub struct SplitExpr {
    key: Key,
    inputs: Inputs,
    /// The call that answers a list of pieces, for each partition, and how many
    /// there are; a single piece is the partition as it is.
    cuts: Vec<(Step, u32)>,
    meta: BagMeta,
}

impl SplitExpr {
    /// The pieces of the partitions of `input`.
    pub fn expr(input: ExprRef, cuts: Vec<(Step, u32)>) -> ExprRef {
        let counts: Vec<u32> = cuts.iter().map(|(_, n)| *n).collect();
        let key = KeyHasher::new("bag.split").key(input.key()).params(&counts).finish();
        let meta = BagMeta::of(counts.iter().map(|n| *n as usize).sum());
        Arc::new(SplitExpr { key, inputs: vec![input].into(), cuts, meta })
    }
}

impl Expr for SplitExpr {
    fn key(&self) -> Key {
        self.key
    }

    fn label(&self) -> Cow<'_, str> {
        Cow::Borrowed("split")
    }

    fn inputs(&self) -> &[ExprRef] {
        &self.inputs
    }

    fn with_inputs(&self, mut inputs: Vec<ExprRef>) -> Result<ExprRef> {
        let input = inputs.pop().ok_or_else(|| Error::value("a split needs a bag"))?;
        Ok(SplitExpr::expr(input, self.cuts.clone()))
    }

    fn lower(&self, inputs: &[Blocks], graph: &mut Graph) -> Result<Blocks> {
        let mut pieces = Vec::with_capacity(self.meta.n);
        for (number, (input, (step, n))) in inputs[0].iter().zip(&self.cuts).enumerate() {
            if *n == 1 {
                pieces.push(*input);
                continue;
            }
            let stage = graph.stage(Arc::new(PipeOp {
                label: Arc::from("split"),
                head: Head::Partition,
                steps: vec![step.clone()],
                n_extras: 0,
                cut: Some(Cut::Made(*n)),
            }));
            let task = graph.task(self.key.block(number as u64), stage, index_of(number), &[*input]);
            pieces.extend((0..*n).map(|part| Input::part(task, part)));
        }
        Ok(pieces)
    }

    fn meta(&self) -> &(dyn Any + Send + Sync) {
        &self.meta
    }
}

/// Partitions of which each needs what the one before left over.
pub struct ScanExpr {
    key: Key,
    label: Arc<str>,
    inputs: Inputs,
    /// Answers the new partition and the state after it, for the first.
    first: Step,
    /// As `first`, with the state before as a further input.
    next: Step,
    meta: BagMeta,
}

impl ScanExpr {
    /// A scan over the partitions of `input`; `token` names the calls.
    pub fn expr(input: ExprRef, token: Key, label: Arc<str>, first: Step, next: Step) -> ExprRef {
        let key = KeyHasher::new("bag.scan").key(input.key()).key(token).finish();
        let meta = BagMeta::of(partitions_of(&input).unwrap_or(1));
        Arc::new(ScanExpr { key, label, inputs: vec![input].into(), first, next, meta })
    }
}

impl Expr for ScanExpr {
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
        let (first, next) = (self.first.clone(), self.next.clone());
        let meta = BagMeta::of(self.meta.n);
        let key = rewritten(self.key, &inputs);
        Ok(Arc::new(ScanExpr { key, label: self.label.clone(), inputs: inputs.into(), first, next, meta }))
    }

    fn lower(&self, inputs: &[Blocks], graph: &mut Graph) -> Result<Blocks> {
        let mut stage = |step: &Step, n_extras: u32| {
            let (label, head) = (self.label.clone(), Head::Partition);
            graph.stage(Arc::new(PipeOp { label, head, steps: vec![step.clone()], n_extras, cut: Some(Cut::Made(2)) }))
        };
        let (first, next) = (stage(&self.first, 0), stage(&self.next, 1));
        let mut state: Option<Input> = None;
        let mut partitions = Vec::with_capacity(self.meta.n);
        for (number, input) in inputs[0].iter().enumerate() {
            let (stage, read): (u32, SmallVec<[Input; 2]>) = match state {
                None => (first, [*input].into_iter().collect()),
                Some(state) => (next, [*input, state].into_iter().collect()),
            };
            let task = graph.task(self.key.block(number as u64), stage, index_of(number), &read);
            partitions.push(Input::part(task, 0));
            state = Some(Input::part(task, 1));
        }
        Ok(partitions)
    }

    fn meta(&self) -> &(dyn Any + Send + Sync) {
        &self.meta
    }
}

/// The blocks of another expression, as a bag or a single value: what came out
/// of a pickle knows nothing of itself.
pub struct Carried {
    key: Key,
    inputs: Inputs,
    meta: Option<BagMeta>,
}

impl Carried {
    /// The blocks of `inner` under another key.
    pub fn expr(key: Key, inner: ExprRef, meta: Option<BagMeta>) -> ExprRef {
        Arc::new(Carried { key, inputs: vec![inner].into(), meta })
    }
}

impl Expr for Carried {
    fn key(&self) -> Key {
        self.key
    }

    fn label(&self) -> Cow<'_, str> {
        self.inputs.first().map_or(Cow::Borrowed("bag"), |input| input.label())
    }

    fn inputs(&self) -> &[ExprRef] {
        &self.inputs
    }

    fn with_inputs(&self, inputs: Vec<ExprRef>) -> Result<ExprRef> {
        let meta = self.meta.as_ref().map(|meta| BagMeta::of(meta.n));
        let key = rewritten(self.key, &inputs);
        Ok(Arc::new(Carried { key, inputs: inputs.into(), meta }))
    }

    fn lower(&self, inputs: &[Blocks], _graph: &mut Graph) -> Result<Blocks> {
        Ok(inputs[0].clone())
    }

    fn meta(&self) -> &(dyn Any + Send + Sync) {
        match &self.meta {
            Some(meta) => meta,
            None => &SINGLE,
        }
    }
}

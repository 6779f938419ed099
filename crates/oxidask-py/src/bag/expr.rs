//! The lazy nodes of bags: what is in each partition, before it is tasks.

use super::native::op_of;
use super::pipe::{Head, PipeOp, Step};
use super::text::TextSource;
use crate::template::index_of;
use oxidask_core::{Annotations, Blocks, Error, Expr, ExprRef, Graph, Input, Inputs, Key, KeyHasher, Result, Stage};
use oxidask_core::{Op, Uses, Value};
use smallvec::SmallVec;
use std::any::Any;
use std::borrow::Cow;
use std::sync::Arc;

/// What a bag knows of itself. Expressions without it are single values.
pub struct BagMeta {
    /// Number of partitions.
    pub n: usize,
}

/// How many partitions a bag has; none if the expression is no bag.
pub fn partitions_of(expr: &ExprRef) -> Option<usize> {
    expr.meta().downcast_ref::<BagMeta>().map(|meta| meta.n)
}

fn uneven(label: &str, want: usize, got: usize) -> Error {
    Error::value(format!("'{label}' reads bags of {want} and {got} partitions together"))
        .with_hint("give both the same number of partitions: bag.repartition(npartitions=…)")
}

/// The key of a node over rewritten inputs. It differs, because a plan takes two
/// nodes with the same key for the same node.
fn rewritten(key: Key, inputs: &[ExprRef]) -> Key {
    KeyHasher::new("bag.rewritten").key(key).keys(inputs.iter().map(|input| input.key())).finish()
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

/// Partitions that are here already.
pub struct SourceExpr {
    key: Key,
    label: Arc<str>,
    values: Vec<Value>,
    meta: BagMeta,
}

impl SourceExpr {
    /// The partitions `values`; `key` names their content.
    pub fn new(key: Key, label: Arc<str>, values: Vec<Value>) -> Self {
        let meta = BagMeta { n: values.len() };
        SourceExpr { key, label, values, meta }
    }
}

impl Expr for SourceExpr {
    fn key(&self) -> Key {
        self.key
    }

    fn label(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.label)
    }

    fn inputs(&self) -> &[ExprRef] {
        &[]
    }

    fn with_inputs(&self, _inputs: Vec<ExprRef>) -> Result<ExprRef> {
        Err(Error::value("partitions that are here already have no inputs to replace"))
    }

    fn lower(&self, _inputs: &[Blocks], graph: &mut Graph) -> Result<Blocks> {
        let values = self.values.iter().enumerate();
        Ok(values.map(|(block, value)| Input::whole(graph.data(self.key.block(block as u64), value.clone()))).collect())
    }

    fn meta(&self) -> &(dyn Any + Send + Sync) {
        &self.meta
    }
}

/// Which inputs the tasks of a pipe read first.
#[derive(Clone)]
pub enum Origin {
    /// The partition of the first input with the same number.
    Partition,
    /// These ranges of partitions of the first input.
    Groups(Vec<(u32, u32)>),
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
    /// How many partitions; none for a single value, which is no bag.
    pub n: Option<usize>,
    /// The user's wishes about where and how it runs.
    pub annotations: Option<Arc<Annotations>>,
}

/// What single values answer for their meta.
static SINGLE: () = ();

/// The metas of pipes, which differ in nothing but the number.
pub struct Pipe {
    pipe: PipeExpr,
    meta: BagMeta,
}

impl Pipe {
    /// A node for a pipe.
    pub fn expr(pipe: PipeExpr) -> ExprRef {
        let meta = BagMeta { n: pipe.n.unwrap_or(1) };
        Arc::new(Pipe { pipe, meta })
    }

    fn n_tasks(&self) -> usize {
        self.meta.n
    }

    fn n_first(&self) -> usize {
        usize::from(!matches!(self.pipe.from, Origin::Text(_)))
    }

    fn op(&self) -> Arc<dyn Op> {
        let head = match &self.pipe.from {
            Origin::Partition => Head::Partition,
            Origin::Groups(_) => Head::Group,
            Origin::Text(source) => Head::Text(source.clone()),
        };
        let n_extras = index_of(self.pipe.inputs.len() - self.n_first());
        let (label, steps) = (self.pipe.label.clone(), self.pipe.steps.clone());
        op_of(PipeOp { label, head, steps, n_extras, n_parts: None })
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

    /// This pipe for some of its partitions only.
    fn only(&self, picks: &[u32]) -> ExprRef {
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
        };
        let key = KeyHasher::new("bag.only").key(self.pipe.key).params(&picks).finish();
        let pipe = PipeExpr { key, from, inputs: inputs.into(), n: Some(picks.len()), ..self.pipe.clone() };
        Pipe::expr(pipe)
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
        let alike = below.n_tasks() == self.n_tasks() && below.pipe.annotations == self.pipe.annotations;
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
                Origin::Text(_) => {}
            }
            for extra in &inputs[self.n_first()..] {
                read.push(aligned(&self.pipe.label, extra, n, number)?);
            }
            let key = self.pipe.key.block(number as u64);
            blocks.push(Input::whole(graph.task(key, stage, index_of(number), &read)));
        }
        Ok(blocks)
    }

    fn meta(&self) -> &(dyn Any + Send + Sync) {
        if self.pipe.n.is_some() { &self.meta } else { &SINGLE }
    }
}

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
        let meta = BagMeta { n: picks.len() };
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
            return Ok(Some(pipe.only(&picks)));
        }
        if let Some(source) = input.get::<SourceExpr>() {
            let values = picks.iter().map(|pick| source.values[*pick as usize].clone()).collect();
            return Ok(Some(Arc::new(SourceExpr::new(self.key, source.label.clone(), values))));
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
        let meta = BagMeta { n: counts.iter().map(|n| *n as usize).sum() };
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
                n_parts: Some(*n),
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

/// Elements moved to the partition that a function of them says.
pub struct ShuffleExpr {
    key: Key,
    inputs: Inputs,
    /// Answers a list of pieces of a partition, one for each new partition.
    scatter: Step,
    /// Makes a new partition of the list of its pieces.
    gather: Step,
    meta: BagMeta,
}

impl ShuffleExpr {
    /// A shuffle to `n` partitions; `token` names the calls.
    pub fn expr(input: ExprRef, token: Key, scatter: Step, gather: Step, n: usize) -> ExprRef {
        let key = KeyHasher::new("bag.shuffle").key(input.key()).key(token).finish();
        Arc::new(ShuffleExpr { key, inputs: vec![input].into(), scatter, gather, meta: BagMeta { n } })
    }
}

impl Expr for ShuffleExpr {
    fn key(&self) -> Key {
        self.key
    }

    fn label(&self) -> Cow<'_, str> {
        Cow::Borrowed("groupby")
    }

    fn inputs(&self) -> &[ExprRef] {
        &self.inputs
    }

    fn with_inputs(&self, inputs: Vec<ExprRef>) -> Result<ExprRef> {
        let (scatter, gather) = (self.scatter.clone(), self.gather.clone());
        let meta = BagMeta { n: self.meta.n };
        let key = rewritten(self.key, &inputs);
        Ok(Arc::new(ShuffleExpr { key, inputs: inputs.into(), scatter, gather, meta }))
    }

    fn lower(&self, inputs: &[Blocks], graph: &mut Graph) -> Result<Blocks> {
        let n = self.meta.n;
        let op = |label: &str, head: Head, step: &Step, n_parts: Option<u32>| {
            Arc::new(PipeOp { label: Arc::from(label), head, steps: vec![step.clone()], n_extras: 0, n_parts })
        };
        let scatter = op("groupby-scatter", Head::Partition, &self.scatter, Some(index_of(n)));
        let key = KeyHasher::new("bag.scatter").key(self.key).finish();
        let scattered = graph.blocks(key, scatter, inputs[0].len(), |number, read| read.push(inputs[0][number]));
        let gather = op("groupby", Head::Group, &self.gather, None);
        Ok(graph.blocks(self.key, gather, n, |number, read| {
            read.extend(scattered.iter().map(|input| Input::part(input.task, index_of(number))));
        }))
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
        let meta = BagMeta { n: partitions_of(&input).unwrap_or(1) };
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
        let meta = BagMeta { n: self.meta.n };
        let key = rewritten(self.key, &inputs);
        Ok(Arc::new(ScanExpr { key, label: self.label.clone(), inputs: inputs.into(), first, next, meta }))
    }

    fn lower(&self, inputs: &[Blocks], graph: &mut Graph) -> Result<Blocks> {
        let mut stage = |step: &Step, n_extras: u32| {
            let (label, head) = (self.label.clone(), Head::Partition);
            graph.stage(Arc::new(PipeOp { label, head, steps: vec![step.clone()], n_extras, n_parts: Some(2) }))
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
        let meta = self.meta.as_ref().map(|meta| BagMeta { n: meta.n });
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

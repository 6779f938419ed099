//! A whole plan as one Polars query.
//!
//! On one machine, where the data fit, one query over whole tables beats the
//! same query over partitions: Polars reads only what it needs, and its threads
//! share one hash table. [`as_queries`] puts such a query in the place of a plan.
//! What Polars cannot say, or what our readers do better, stays a leaf below the
//! query and runs as tasks on partitions. Never used where the estimate of the
//! data comes near the memory limit: then partitions stay partitions, which can
//! spill.

use super::join::Join;
use super::leaves::divided;
use super::node::{Node, SourceKind};
use super::prune::{Needs, needs_for, without_unused_columns, without_unused_index};
use super::window::WindowColumn;
use super::{Kind, meta, node};
use crate::error::polars_error;
use crate::parquet::ParquetScan;
use crate::step::{Rows, Step};
use crate::threads::alone;
use crate::value::{Index, Partition};
use oxidask_core::{Blocks, Executor, ExprRef, Graph, Input, Key, Op, Result, Value};
use oxidask_macros::op;
use polars::lazy::dsl::{UnionArgs, concat};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::sync::Arc;

/// The part of the memory limit that the sources of a query may take: the query
/// holds them, what it makes of them, and tables of hashes.
const MEMORY_SHARE: u64 = 4;

/// What one query computes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Query {
    /// All rows of a leaf.
    Leaf(u32),
    /// All rows of Parquet files.
    Parquet(ParquetScan),
    /// Steps on all rows.
    Steps(Box<Query>, Vec<Step>),
    /// Rows of two tables with equal keys.
    Join(Box<Query>, Box<Query>, Join),
    /// The rows of one after another.
    Concat(Vec<Query>),
    /// All rows with a function of the rows around each beside it.
    Window(Box<Query>, WindowColumn),
}

/// Runs a query on its leaves' partitions.
#[op("frame.query")]
#[derive(Serialize, Deserialize)]
pub(crate) struct RunQuery {
    query: Query,
    /// Of every leaf: how many partitions it has, and whether its rows' names
    /// are wanted.
    leaves: Vec<(u32, bool)>,
}

/// A query in the place of a node, and the leaves below it.
#[derive(Clone)]
pub(crate) struct Whole {
    /// The key of the plan in whose place it is: its result is not the plan's
    /// own, for it is in one partition.
    pub(crate) plan: Key,
    query: Query,
    leaves: Vec<bool>,
}

impl Whole {
    pub(crate) fn describe(&self) -> String {
        let mut text = "one query".to_owned();
        describe(&self.query, &mut text);
        text
    }
}

fn describe(query: &Query, text: &mut String) {
    match query {
        Query::Leaf(_) => {}
        Query::Parquet(scan) => text.push_str(&format!("; {}", scan.describe())),
        Query::Steps(below, steps) => {
            describe(below, text);
            text.push_str(&format!("; {}", steps.iter().map(Step::describe).collect::<Vec<_>>().join(", ")));
        }
        Query::Join(left, right, join) => {
            describe(left, text);
            describe(right, text);
            text.push_str(&format!("; merge on {}", join.left_on.join(", ")));
        }
        Query::Concat(all) => all.iter().for_each(|one| describe(one, text)),
        Query::Window(below, column) => {
            describe(below, text);
            text.push_str(&format!("; window of {}", column.arg));
        }
    }
}

/// The plans of `roots`, each as one query where `executor` is of this process
/// and that is likely to be faster. The roots must be optimised already.
pub fn as_queries(roots: Vec<ExprRef>, executor: &dyn Executor) -> Vec<ExprRef> {
    let local = matches!(executor.name(), "threads" | "sync");
    // Several results may share work, which separate queries would do twice. A
    // query uses all of Polars' threads, so it needs an executor of that size.
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    if !local || roots.len() != 1 || executor.n_slots() < threads {
        return roots;
    }
    let budget = executor.memory_limit().unwrap_or(u64::MAX) / MEMORY_SHARE;
    roots.into_iter().map(|root| as_query(&root, budget).unwrap_or(root)).collect()
}

/// The plan as one query, if it gains by that and its sources fit into `budget`
/// bytes.
pub(crate) fn as_query(root: &ExprRef, budget: u64) -> Option<ExprRef> {
    let whole = node(root)?;
    let sources = oxidask_core::optimize::distinct(std::slice::from_ref(root));
    // What another collection makes may be of any size.
    if sources.iter().any(|expr| matches!(node(expr).map(|node| &node.kind), Some(Kind::Adopt(_)))) {
        return None;
    }
    let bytes: u64 = sources.iter().map(|expr| source_bytes(expr)).fold(0, u64::saturating_add);
    if bytes > budget {
        return None;
    }
    let mut builder = Builder::default();
    let wants_index = whole.meta.index != Index::None;
    let query = builder.query(root, wants_index);
    let gains = match &query {
        Query::Leaf(_) => false,
        // One table of one task gains nothing.
        Query::Steps(below, _) if matches!(**below, Query::Leaf(_)) => meta(&builder.leaves[0].0).n_partitions > 1,
        _ => true,
    };
    if !gains {
        return None;
    }
    let (inputs, leaves) = builder.leaves.into_iter().unzip();
    let meta = super::FrameMeta { n_partitions: 1, divisions: None, ..whole.meta.clone() };
    Some(Node::build(Kind::Whole(Arc::new(Whole { plan: root.key(), query, leaves })), inputs, meta))
}

/// The query in whose shape one machine runs a plan, as Polars has optimised it;
/// none where it runs as tasks whatever the memory.
///
/// # Errors
/// If the query cannot be planned.
pub(crate) fn query_text(root: &ExprRef) -> Result<Option<String>> {
    let Some(query) = as_query(root, u64::MAX) else { return Ok(None) };
    let Some((node, Kind::Whole(whole))) = node(&query).map(|node| (node, &node.kind)) else { return Ok(None) };
    let leaves: Vec<Partition> = node.inputs.iter().map(|leaf| meta(leaf).empty()).collect();
    let text = rows(&whole.query, &leaves)?.frame.describe_optimized_plan().map_err(polars_error)?;
    Ok(Some(text))
}

/// About the memory that the rows of a source take; 0 for what is no source.
fn source_bytes(expr: &ExprRef) -> u64 {
    match node(expr).map(|node| &node.kind) {
        Some(Kind::Memory(values, _)) => values.iter().map(Value::nbytes).sum(),
        Some(Kind::Read(SourceKind::Csv(scan), _)) => scan.n_bytes().saturating_mul(2),
        Some(Kind::Read(SourceKind::Parquet(scan), _)) => scan.n_bytes(),
        Some(Kind::Read(SourceKind::Json(scan), _)) => scan.n_bytes().saturating_mul(2),
        Some(_) => 0,
        // What other collections make may be of any size; it is there or will
        // be made whatever we do.
        None => 0,
    }
}

/// The memory that the rows of a plan take at most; none where it is not known.
/// Steps make rows fewer but may make columns more: twice the bytes allow for it.
pub(crate) fn bytes_at_most(expr: &ExprRef) -> Option<u64> {
    let this = node(expr)?;
    let inputs = || {
        let bytes = this.inputs.iter().map(bytes_at_most);
        bytes.sum::<Option<u64>>()
    };
    match &this.kind {
        Kind::Memory(..) => Some(source_bytes(expr)),
        Kind::Read(..) => Some(source_bytes(expr).saturating_mul(2)),
        Kind::Map(_) => inputs().map(|bytes| bytes.saturating_mul(2)),
        Kind::Tree { .. } | Kind::Take(_) | Kind::Chain | Kind::Repartition(_) => inputs(),
        Kind::Shuffle { .. } => bytes_at_most(&this.inputs[0]),
        Kind::Join(_) | Kind::Broadcast(_) | Kind::Window(_) | Kind::Whole(_) | Kind::Adopt(_) => None,
    }
}

/// Steps that mean the same for all rows as for those of each partition.
pub(super) fn is_rowwise(step: &Step) -> bool {
    matches!(step, Step::Filter(_) | Step::Select(_) | Step::DropIndex | Step::SetIndex(_))
}

/// Steps that may follow rows with equal keys in one partition, or in order.
fn follows_exchange(step: &Step) -> bool {
    is_rowwise(step)
        || matches!(step, Step::Sort(_) | Step::Distinct(..) | Step::Aggregate(_) | Step::Combine(_) | Step::Finish(_))
}

#[derive(Default)]
struct Builder {
    /// Leaves and whether the names of their rows are wanted.
    leaves: Vec<(ExprRef, bool)>,
}

impl Builder {
    fn leaf(&mut self, expr: &ExprRef, wants_index: bool) -> Query {
        let known = self.leaves.iter().position(|(leaf, _)| leaf.key() == expr.key());
        let number = known.unwrap_or_else(|| {
            self.leaves.push((expr.clone(), false));
            self.leaves.len() - 1
        });
        self.leaves[number].1 |= wants_index;
        Query::Leaf(number as u32)
    }

    /// The query for all rows of a node, their partitions one after another.
    fn query(&mut self, expr: &ExprRef, wants_index: bool) -> Query {
        let Some(this) = node(expr) else { return self.leaf(expr, wants_index) };
        let single = this.meta.n_partitions == 1 && this.inputs.iter().all(|input| meta(input).n_partitions == 1);
        match &this.kind {
            Kind::Read(SourceKind::Parquet(scan), steps) => self.parquet(expr, scan, steps, single, wants_index),
            Kind::Read(source, steps) => match divided(source, steps, wants_index, single) {
                Some((read, rest)) => Builder::stepped(self.leaf(&read, false), &rest, false),
                None => self.leaf(expr, wants_index),
            },
            Kind::Map(steps) if single || steps.iter().all(is_rowwise) => {
                self.steps(&this.inputs[0], steps.to_vec(), wants_index)
            }
            Kind::Tree { combine, finish } => self.tree(&this.inputs[0], combine, finish, wants_index),
            Kind::Shuffle { then, .. } if then.iter().all(follows_exchange) => {
                self.steps(&this.inputs[0], then.to_vec(), wants_index)
            }
            Kind::Join(join) => {
                let (left, right) = (self.query(&this.inputs[0], false), self.query(&this.inputs[1], false));
                Query::Join(Box::new(left), Box::new(right), (**join).clone())
            }
            Kind::Chain if !wants_index => {
                Query::Concat(this.inputs.iter().map(|one| self.query(one, false)).collect())
            }
            Kind::Repartition(_) => self.query(&this.inputs[0], wants_index),
            Kind::Window(column) => {
                let below = self.query(&this.inputs[0], wants_index);
                Query::Window(Box::new(below), (**column).clone())
            }
            _ => self.leaf(expr, wants_index),
        }
    }

    fn steps(&mut self, input: &ExprRef, steps: Vec<Step>, wants_index: bool) -> Query {
        let after = Needs { index: wants_index, ..Needs::everything() };
        let wants = needs_for(&steps, after).index;
        let below = self.query(input, wants);
        Builder::stepped(below, &steps, wants)
    }

    /// Steps on the rows of a query, whose names are forgotten first where they
    /// are not wanted: to number rows would keep filters from moving below that.
    fn stepped(below: Query, steps: &[Step], wants_index: bool) -> Query {
        if steps.is_empty() {
            return below;
        }
        let mut all = if wants_index { Vec::new() } else { vec![Step::DropIndex] };
        all.extend(without_unused_index(steps));
        all.dedup_by(|a, b| *a == Step::DropIndex && *b == Step::DropIndex);
        Query::Steps(Box::new(below), all)
    }

    fn parquet(
        &mut self,
        expr: &ExprRef,
        scan: &Arc<ParquetScan>,
        steps: &[Step],
        single: bool,
        wants_index: bool,
    ) -> Query {
        let after = Needs { index: wants_index, ..Needs::everything() };
        let wants = needs_for(steps, after).index;
        let numbers = scan.n_levels() == 0 && wants;
        let same_for_all = single || (!numbers && steps.iter().all(is_rowwise));
        if !scan.is_whole() || !same_for_all {
            return self.leaf(expr, wants_index);
        }
        Builder::stepped(Query::Parquet((**scan).clone()), steps, wants)
    }

    /// A merge of all partitions. What was done to each of them in advance is
    /// left out where the merge does it to all rows anyway.
    fn tree(&mut self, input: &ExprRef, combine: &[Step], finish: &[Step], wants_index: bool) -> Query {
        let below = node(input);
        if let Some(query) = below.and_then(|below| self.grouped_text(below, combine, finish)) {
            return query;
        }
        /// How a node of the same kind is made with other steps.
        type WithSteps = fn(Arc<[Step]>, &Node) -> Kind;
        let (each, rebuilt): (&[Step], Option<(&Node, WithSteps)>) = match below {
            Some(node) => match &node.kind {
                Kind::Map(steps) => (steps, Some((node, |steps, _| Kind::Map(steps)))),
                Kind::Read(SourceKind::Parquet(_), steps) => (
                    steps,
                    Some((node, |steps, node| match &node.kind {
                        Kind::Read(source, _) => Kind::Read(source.clone(), steps),
                        other => other.clone(),
                    })),
                ),
                _ => (&[], None),
            },
            None => (&[], None),
        };
        if let Some((node, kind)) = rebuilt {
            let before = |n_last: usize| {
                let (first, last) = each.split_at(each.len() - n_last);
                let steps: Arc<[Step]> = without_unused_columns(first, needs_for(last, Needs::everything())).into();
                steps.iter().all(is_rowwise).then(|| node.with(kind(steps, node), node.inputs.to_vec()))
            };
            if let ([Step::Combine(_)], Some(Step::Partial(aggregation)), [Step::Finish(_), rest @ ..]) =
                (combine, each.last(), finish)
                && let Some(source) = before(1)
            {
                let mut steps = vec![Step::Aggregate(aggregation.clone())];
                steps.extend_from_slice(rest);
                return self.steps(&source, steps, wants_index);
            }
            if !combine.is_empty()
                && each.ends_with(combine)
                && let Some(source) = before(combine.len())
            {
                return self.steps(&source, [combine, finish].concat(), wants_index);
            }
        }
        self.steps(input, [combine, finish].concat(), wants_index)
    }

    /// Groups of rows that tasks parse from text, of all rows at once: groups of each
    /// block would have to be grouped again. Without keys nothing is gained.
    fn grouped_text(&mut self, below: &Node, combine: &[Step], finish: &[Step]) -> Option<Query> {
        let Kind::Read(source @ (SourceKind::Csv(_) | SourceKind::Json(_)), steps) = &below.kind else { return None };
        let ([Step::Combine(_)], [first @ .., Step::Partial(aggregation)], [Step::Finish(_), after @ ..]) =
            (combine, &**steps, finish)
        else {
            return None;
        };
        if aggregation.keys.is_empty() {
            return None;
        }
        let whole = [first, &[Step::Aggregate(aggregation.clone())], after].concat();
        let (read, rest) = divided(source, &whole, false, true)?;
        Some(Builder::stepped(self.leaf(&read, false), &rest, false))
    }
}

impl Op for RunQuery {
    fn run(&self, _block: u64, inputs: &[Value]) -> Result<Value> {
        let mut values = inputs.iter();
        let mut leaves = Vec::with_capacity(self.leaves.len());
        for (n_partitions, wants_index) in &self.leaves {
            let partitions: Vec<Partition> = values
                .by_ref()
                .take(*n_partitions as usize)
                .map(|value| Ok(value.expect::<Partition>()?.clone()))
                .collect::<Result<_>>()?;
            leaves.push(together(partitions, *wants_index)?);
        }
        Ok(Value::new(rows(&self.query, &leaves)?.collect()?))
    }

    fn label(&self) -> Cow<'_, str> {
        Cow::Borrowed("query")
    }
}

/// Partitions under each other; numbers that nobody asks for are forgotten.
fn together(mut partitions: Vec<Partition>, wants_index: bool) -> Result<Partition> {
    for partition in &mut partitions {
        if !wants_index && matches!(partition.index, Index::Range(_)) {
            partition.index = Index::None;
        }
    }
    alone(|| Partition::concat(&partitions.iter().collect::<Vec<_>>()))
}

fn rows(query: &Query, leaves: &[Partition]) -> Result<Rows> {
    Ok(match query {
        Query::Leaf(number) => Rows { whole: true, ..Rows::of(&leaves[*number as usize]) },
        Query::Parquet(scan) => filtered_scan(scan, &[])?,
        Query::Steps(below, steps) => {
            if let Query::Parquet(scan) = &**below {
                return filtered_scan(scan, steps);
            }
            let mut rows = rows(below, leaves)?;
            for step in steps {
                rows = rows.apply(step)?;
            }
            rows
        }
        Query::Join(left, right, join) => {
            let (mut left, mut right) = (rows(left, leaves)?, rows(right, leaves)?);
            let (a, b) = (left.schema()?, right.schema()?);
            let frame = join.lazy((left.frame, &a), (right.frame, &b), true)?;
            Rows { frame, index: Index::Range(0), whole: true }
        }
        Query::Window(below, column) => {
            let mut rows = rows(below, leaves)?;
            let schema = rows.schema()?;
            rows.frame = rows.frame.with_columns([column.expr(&schema)?]);
            rows
        }
        Query::Concat(all) => {
            let mut frames = Vec::with_capacity(all.len());
            for one in all {
                frames.push(rows(one, leaves)?.apply(&Step::DropIndex)?.frame);
            }
            let frame = concat(frames, UnionArgs::default()).map_err(polars_error)?;
            Rows { frame, index: Index::None, whole: true }
        }
    })
}

/// Steps on Parquet files: filters that come first are said over the files' own
/// columns, where Polars can skip rows by them before it decodes the rest.
fn filtered_scan(scan: &ParquetScan, steps: &[Step]) -> Result<Rows> {
    let (mut frame, mut index) = (scan.raw()?, scan.index());
    let mut rest = steps.iter().peekable();
    while let Some(step) = rest.peek() {
        match step {
            Step::DropIndex if matches!(index, Index::Range(_)) => index = Index::None,
            // Rows that are numbered must be so before any is left out.
            Step::Filter(expr) if !matches!(index, Index::Range(_)) => {
                frame = frame.filter(scan.predicate(expr)?);
            }
            _ => break,
        }
        rest.next();
    }
    let mut rows = Rows { frame: scan.cleaned(frame)?, index, whole: true };
    for step in rest {
        rows = rows.apply(step)?;
    }
    Ok(rows)
}

/// The task of a query.
pub(crate) fn lower(this: &Node, whole: &Whole, inputs: &[Blocks], graph: &mut Graph) -> Blocks {
    let leaves = inputs.iter().zip(&whole.leaves).map(|(blocks, wants)| (blocks.len() as u32, *wants)).collect();
    let op = Arc::new(RunQuery { query: whole.query.clone(), leaves });
    graph.blocks(this.key, op, 1, |_, reads: &mut smallvec::SmallVec<[Input; 8]>| {
        reads.extend(inputs.iter().flatten().copied());
    })
}

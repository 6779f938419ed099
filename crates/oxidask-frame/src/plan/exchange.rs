//! Exchanges: rows move to the partition where their key belongs.
//!
//! Every partition is split once and every new partition is gathered once, so an
//! exchange of n partitions is n + n tasks whose parts travel and spill apart.
//! Rows are dealt out by a hash of their keys or by ranges of them; the bounds
//! of ranges are known divisions, or are chosen from a sample by tasks before.

use super::node::Node;
use super::ops::Concat;
use super::prune::without_unused_index;
use super::{FrameMeta, Kind, meta};
use crate::dtype::{DType, Scalar};
use crate::expression::{ColExpr, col};
use crate::lower::type_of;
use crate::step::{SortKey, Step};
use crate::threads::alone;
use crate::value::{Index, Partition, level_name};
use crate::{hash, range};
use oxidask_core::{Blocks, Error, ExprRef, Graph, Input, KeyHasher, Op, Parts, Result, Value};
use oxidask_macros::op;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::sync::Arc;

/// What decides where a row goes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Deal {
    /// A hash of these.
    Hash(Vec<ColExpr>),
    /// The range of these keys, between bounds that are another input.
    Range(Vec<SortKey>),
}

impl Deal {
    /// The columns that are looked at.
    pub(crate) fn columns(&self, columns: &mut std::collections::BTreeSet<Arc<str>>) {
        match self {
            Deal::Hash(by) => by.iter().for_each(|key| key.columns(columns)),
            Deal::Range(keys) => keys.iter().for_each(|key| key.by.columns(columns)),
        }
    }
}

/// Deals the rows of a partition out.
#[op("frame.split")]
#[derive(Serialize, Deserialize)]
pub(crate) struct Split {
    pub deal: Deal,
    pub n_parts: u32,
}

impl Op for Split {
    fn run(&self, _block: u64, inputs: &[Value]) -> Result<Value> {
        let partition = inputs[0].expect::<Partition>()?;
        let n_parts = self.n_parts as usize;
        let parts = alone(|| match &self.deal {
            Deal::Hash(by) => hash::split(partition, by, n_parts),
            Deal::Range(keys) => range::split(partition, keys, inputs[1].expect::<Partition>()?, n_parts),
        })?;
        Ok(Value::new(Parts(parts.into_iter().map(Value::new).collect())))
    }

    fn label(&self) -> Cow<'_, str> {
        Cow::Borrowed("split")
    }
}

/// The meta of rows that have left their places: their labels go with them.
fn moved(before: &FrameMeta, n_partitions: usize) -> Result<FrameMeta> {
    let empty = before.empty();
    let schema = empty.pinned_frame()?.schema().clone();
    let index = before.index.pinned();
    Ok(FrameMeta { schema, index, n_partitions, divisions: None, ..before.clone() })
}

fn check_keys<'a>(before: &FrameMeta, keys: impl IntoIterator<Item = &'a ColExpr>) -> Result<()> {
    let schema = moved(before, 1)?.schema;
    keys.into_iter().try_for_each(|key| type_of(key, &schema).map(drop))
}

impl Node {
    /// Rows with equal keys brought together into one of `n_partitions`.
    ///
    /// # Errors
    /// If a key does not fit the columns.
    pub fn shuffle(input: &ExprRef, by: Vec<ColExpr>, n_partitions: u32) -> Result<ExprRef> {
        let before = meta(input);
        check_keys(before, &by)?;
        let rows = KeyHasher::new("frame.rows").key(input.key()).params(&by).u64(u64::from(n_partitions)).finish();
        let meta = FrameMeta { rows, ..moved(before, n_partitions as usize)? };
        let kind = Kind::Shuffle { deal: Arc::new(Deal::Hash(by)), n_partitions, then: Arc::from([]) };
        Ok(Node::build(kind, vec![input.clone()], meta))
    }

    /// All rows in order, in `n_partitions` whose bounds are chosen from a
    /// sample of the keys.
    ///
    /// # Errors
    /// If a key does not fit the columns.
    pub fn sort(input: &ExprRef, keys: Vec<SortKey>, n_partitions: u32) -> Result<ExprRef> {
        let bounds = Node::bounds(input, &keys, n_partitions)?;
        let sort = vec![Step::Sort(keys.clone())];
        Node::range(input, &bounds, keys, n_partitions, sort)
    }

    /// Rows with keys of one range brought together into one of `n_partitions`,
    /// in any order within it.
    ///
    /// # Errors
    /// If a key does not fit the columns.
    pub(crate) fn ranges(input: &ExprRef, keys: Vec<SortKey>, n_partitions: u32) -> Result<ExprRef> {
        let bounds = Node::bounds(input, &keys, n_partitions)?;
        Node::range(input, &bounds, keys, n_partitions, Vec::new())
    }

    /// One partition with the least key, the keys at which all but the first of
    /// `n_partitions` of about equal length begin, and the greatest key.
    ///
    /// # Errors
    /// If a key does not fit the columns.
    pub fn bounds(input: &ExprRef, keys: &[SortKey], n_partitions: u32) -> Result<ExprRef> {
        check_keys(meta(input), keys.iter().map(|key| &key.by))?;
        let samples = Node::map(input, vec![Step::Sample(keys.to_vec())], vec![None])?;
        Node::tree(&samples, vec![], vec![Step::Bounds(keys.to_vec(), n_partitions)], vec![None])
    }

    fn range(
        input: &ExprRef,
        bounds: &ExprRef,
        keys: Vec<SortKey>,
        n_partitions: u32,
        then: Vec<Step>,
    ) -> Result<ExprRef> {
        let before = meta(input);
        let hasher = KeyHasher::new("frame.rows").key(input.key()).key(bounds.key()).params(&keys);
        let meta = FrameMeta { rows: hasher.finish(), ..moved(before, n_partitions as usize)? };
        let kind = Kind::Shuffle { deal: Arc::new(Deal::Range(keys)), n_partitions, then: then.into() };
        Ok(Node::build(kind, vec![input.clone(), bounds.clone()], meta))
    }

    /// The rows in partitions with these divisions of the index: one value more
    /// than there are partitions, in order.
    ///
    /// # Errors
    /// If the index has several levels, or the divisions are not in order or not
    /// of the index's type.
    pub fn divide(input: &ExprRef, divisions: Vec<Scalar>) -> Result<ExprRef> {
        let before = meta(input);
        let n_partitions = divisions.len().saturating_sub(1);
        check_divisions(before, &divisions)?;
        let dtype = before.index_types()?.pop().unwrap_or(DType::I64);
        let bounds = Node::memory(vec![range::known_bounds(&divisions, &dtype)?], vec![None], None)?;
        let keys = range::ascending([col(level_name(0))]);
        let sort = vec![Step::Sort(keys.clone())];
        let node = Node::range(input, &bounds, keys, n_partitions as u32, sort)?;
        let node = super::node(&node).expect("it was made a line before");
        let meta = FrameMeta { divisions: Some(divisions), ..node.meta.clone() };
        Ok(Node::build(node.kind.clone(), node.inputs.to_vec(), meta))
    }
}

fn check_divisions(before: &FrameMeta, divisions: &[Scalar]) -> Result<()> {
    if divisions.len() < 2 {
        return Err(Error::value("divisions are at least two values: the first and the last of the index"));
    }
    if matches!(before.index, Index::Levels(levels) if levels > 1) {
        return Err(Error::unsupported("an index with several levels has no divisions"));
    }
    for pair in divisions.windows(2) {
        match pair[0].order(&pair[1]) {
            Some(std::cmp::Ordering::Greater) => {
                return Err(Error::value(format!("divisions must be in order, and {} is before {}", pair[0], pair[1])));
            }
            None => return Err(Error::type_(format!("divisions {} and {} do not compare", pair[0], pair[1]))),
            Some(_) => {}
        }
    }
    Ok(())
}

/// Tasks that split every partition, and tasks that gather every new one.
pub(crate) fn lower(
    this: &Node,
    deal: &Deal,
    n_partitions: u32,
    then: &[Step],
    inputs: &[Blocks],
    graph: &mut Graph,
) -> Blocks {
    let op = Arc::new(Split { deal: deal.clone(), n_parts: n_partitions });
    let key = KeyHasher::new("frame.split").key(this.key).finish();
    let split = graph.blocks(key, op, inputs[0].len(), |block, reads| {
        reads.push(inputs[0][block]);
        reads.extend(inputs.get(1).and_then(|bounds| bounds.first()).copied());
    });
    let gather = Arc::new(Concat { steps: without_unused_index(then) });
    let sources = sources(this, n_partitions as usize, split.len());
    graph.blocks(this.key, gather, n_partitions as usize, |part, reads| {
        let (first, end) = sources[part];
        reads.extend(split[first..end].iter().map(|split| Input::part(split.task, part as u32)));
    })
}

/// Which partitions may hold rows of every new one: where both divisions are
/// known, only those that overlap.
fn sources(this: &Node, n_after: usize, n_before: usize) -> Vec<(usize, usize)> {
    let all = vec![(0, n_before); n_after];
    let (Some(before), Some(after)) = (&meta(&this.inputs[0]).divisions, &this.meta.divisions) else { return all };
    let overlap = |part: usize| {
        // The first and the last take what lies outside of the new divisions.
        let from = (part > 0).then(|| &after[part]);
        let to = (part + 1 < n_after).then(|| &after[part + 1]);
        range::overlapping(before, from, to)
    };
    (0..n_after).map(overlap).collect::<Result<_>>().unwrap_or(all)
}

//! Rules that make plans cheaper: steps move into the source and into each
//! other, and partitions that nobody asks for are not made.

use super::exchange::Deal;
use super::node::Node;
use super::push::{is_movable, push};
use super::query::is_rowwise;
use super::{Kind, SourceKind, node};
use crate::step::Step;
use oxidask_core::{ExprRef, Result, Uses};
use std::sync::Arc;

/// A better node, if there is one. Work that others share is left alone.
pub(crate) fn rewrite(this: &Node, uses: &Uses) -> Result<Option<ExprRef>> {
    match &this.kind {
        Kind::Map(steps) => match merge_steps(this, steps, uses) {
            Some(merged) => Ok(Some(merged)),
            None => match pushed(this, steps, uses)? {
                Some(pushed) => Ok(Some(pushed)),
                None => match top_of_sorted(this, steps, uses)? {
                    Some(top) => Ok(Some(top)),
                    None => Ok(after_shuffle(this, steps, uses)),
                },
            },
        },
        Kind::Take(blocks) => Ok(push_take(this, blocks)),
        _ => Ok(None),
    }
}

fn joined(first: &[Step], then: &[Step]) -> Arc<[Step]> {
    first.iter().chain(then).cloned().collect()
}

fn merge_steps(this: &Node, steps: &Arc<[Step]>, uses: &Uses) -> Option<ExprRef> {
    let input = &this.inputs[0];
    if steps.is_empty() {
        return Some(input.clone());
    }
    let below = node(input)?;
    if !uses.is_single(input) && !is_read_for_itself(below, steps) {
        return None;
    }
    match &below.kind {
        Kind::Map(first) => Some(this.with(Kind::Map(joined(first, steps)), below.inputs.to_vec())),
        Kind::Read(source, first) => Some(this.with(Kind::Read(source.clone(), joined(first, steps)), Vec::new())),
        Kind::Tree { combine, finish } => {
            let kind = Kind::Tree { combine: combine.clone(), finish: joined(finish, steps) };
            Some(this.with(kind, below.inputs.to_vec()))
        }
        _ => None,
    }
}

/// Whether steps read a source for themselves although others read it, too: a sample
/// of keys needs a column or two, which a columnar file has apart. To share the rows
/// would hold all of them, or spill them, until every file has been sampled.
fn is_read_for_itself(below: &Node, steps: &[Step]) -> bool {
    let is_columnar = matches!(&below.kind, Kind::Read(SourceKind::Parquet(_), first) if first.iter().all(is_rowwise));
    is_columnar && matches!(steps.last(), Some(Step::Sample(_)))
}

fn pushed(this: &Node, steps: &[Step], uses: &Uses) -> Result<Option<ExprRef>> {
    let input = &this.inputs[0];
    if !uses.is_single(input) || !is_movable(input) {
        return Ok(None);
    }
    match node(input) {
        Some(below) => push(this, steps, below),
        None => Ok(None),
    }
}

/// Steps as part of the gathering of an exchange.
fn after_shuffle(this: &Node, steps: &[Step], uses: &Uses) -> Option<ExprRef> {
    let input = &this.inputs[0];
    let below = node(input).filter(|_| uses.is_single(input))?;
    let Kind::Shuffle { deal, n_partitions, then } = &below.kind else { return None };
    let (deal, n_partitions, then) = (deal.clone(), *n_partitions, joined(then, steps));
    Some(this.with(Kind::Shuffle { deal, n_partitions, then }, below.inputs.to_vec()))
}

/// The first rows of the first partition of a sort: the first rows of the order, for
/// which nothing needs to be exchanged.
fn top_of_sorted(this: &Node, steps: &[Step], uses: &Uses) -> Result<Option<ExprRef>> {
    let picks = |step: &Step| matches!(step, Step::Select(_) | Step::DropIndex);
    let Some(Step::Head(n)) = steps.iter().find(|step| !picks(step)) else { return Ok(None) };
    let Some(taken) = node(&this.inputs[0]).filter(|_| uses.is_single(&this.inputs[0])) else { return Ok(None) };
    let Kind::Take(blocks) = &taken.kind else { return Ok(None) };
    let Some(sorted) = node(&taken.inputs[0]).filter(|_| uses.is_single(&taken.inputs[0])) else { return Ok(None) };
    let Kind::Shuffle { deal, then, .. } = &sorted.kind else { return Ok(None) };
    let (Deal::Range(keys), [Step::Sort(order), after @ ..], [0]) = (&**deal, &**then, &**blocks) else {
        return Ok(None);
    };
    if keys != order || !after.iter().all(picks) {
        return Ok(None);
    }
    let top = Step::Top(keys.clone(), *n);
    let each = Node::map(&sorted.inputs[0], vec![top.clone()], sorted.meta.index_names.clone())?;
    let kind = Kind::Tree { combine: Arc::from([top]), finish: joined(after, steps) };
    Ok(Some(this.with(kind, vec![each])))
}

fn push_take(this: &Node, blocks: &Arc<[u32]>) -> Option<ExprRef> {
    let input = &this.inputs[0];
    let below = node(input)?;
    match &below.kind {
        Kind::Read(source, steps) => Some(this.with(Kind::Read(source.take(blocks), steps.clone()), Vec::new())),
        Kind::Map(steps) => {
            let source = Node::take(&below.inputs[0], blocks).ok()?;
            Some(this.with(Kind::Map(steps.clone()), vec![source]))
        }
        Kind::Take(first) => {
            let blocks = blocks.iter().map(|block| first[*block as usize]).collect();
            Some(this.with(Kind::Take(blocks), below.inputs.to_vec()))
        }
        _ => None,
    }
}

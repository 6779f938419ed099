//! Filters and selections move below joins, exchanges and concatenations, so
//! that rows and columns that nobody wants are never made.

use super::exchange::Deal;
use super::join::Join;
use super::node::Node;
use super::prune::{Needs, needs};
use super::{Kind, meta, node};
use crate::expression::{ColExpr, col};
use crate::step::Step;
use crate::value::is_hidden;
use oxidask_core::{ExprRef, Result};
use std::collections::BTreeSet;
use std::sync::Arc;

type Names = BTreeSet<Arc<str>>;

/// Steps over a node, with what can be done below the node done there; none if
/// there is nothing.
pub(crate) fn push(this: &Node, steps: &[Step], below: &Node) -> Result<Option<ExprRef>> {
    let needs = needs(steps);
    if let [Step::Filter(filter), rest @ ..] = steps
        && let Some(filtered) = push_filter(filter, &needs, below)?
    {
        return remapped(this, rest, &filtered).map(Some);
    }
    match push_columns(&needs, below)? {
        Some(narrow) => remapped(this, steps, &narrow).map(Some),
        None => Ok(None),
    }
}

fn remapped(this: &Node, steps: &[Step], input: &ExprRef) -> Result<ExprRef> {
    Ok(this.with(Kind::Map(steps.into()), vec![input.clone()]))
}

fn reads(expr: &ColExpr) -> Names {
    let mut reads = Names::new();
    expr.columns(&mut reads);
    reads
}

fn visible(expr: &ExprRef) -> Vec<Arc<str>> {
    let names = meta(expr).schema.iter_names();
    names.filter(|name| !is_hidden(name)).map(|name| Arc::from(&**name)).collect()
}

/// A node's rows after a filter that is done below it.
fn push_filter(filter: &ColExpr, needs: &Needs, below: &Node) -> Result<Option<ExprRef>> {
    let reads = reads(filter);
    if reads.iter().any(|name| is_hidden(name)) {
        return Ok(None);
    }
    let filtered = |input: &ExprRef, filter: ColExpr| -> Result<ExprRef> {
        Node::map(input, vec![Step::Filter(filter)], meta(input).index_names.clone())
    };
    Ok(match &below.kind {
        Kind::Join(join) if !needs.index => {
            let sides = Sides::of(join, below);
            let (left, right) = (&below.inputs[0], &below.inputs[1]);
            if join.how.splits_left() && reads.iter().all(|name| sides.left.iter().any(|(new, _)| new == name)) {
                let left = filtered(left, renamed(filter, &sides.left))?;
                Some(Node::join(&left, right, (**join).clone())?)
            } else if join.how.splits_right() && reads.iter().all(|name| sides.right.iter().any(|(new, _)| new == name))
            {
                let right = filtered(right, renamed(filter, &sides.right))?;
                Some(Node::join(left, &right, (**join).clone())?)
            } else {
                None
            }
        }
        Kind::Shuffle { deal, n_partitions, then } if then.is_empty() => match &**deal {
            Deal::Hash(by) => {
                Some(Node::shuffle(&filtered(&below.inputs[0], filter.clone())?, by.clone(), *n_partitions)?)
            }
            Deal::Range(_) => None,
        },
        Kind::Chain => {
            let inputs = below.inputs.iter().map(|input| filtered(input, filter.clone())).collect::<Result<_>>()?;
            Some(Node::chain(inputs)?)
        }
        _ => None,
    })
}

/// A node with fewer columns, chosen below it; none if it has no others.
fn push_columns(needs: &Needs, below: &Node) -> Result<Option<ExprRef>> {
    let Some(wanted) = &needs.columns else { return Ok(None) };
    Ok(match &below.kind {
        Kind::Join(join) => {
            let sides = Sides::of(join, below);
            let left = narrowed(&below.inputs[0], &sides.wanted_left(join, wanted))?;
            let right = narrowed(&below.inputs[1], &sides.wanted_right(join, wanted))?;
            if left.is_none() && right.is_none() {
                return Ok(None);
            }
            let left = left.unwrap_or_else(|| below.inputs[0].clone());
            let right = right.unwrap_or_else(|| below.inputs[1].clone());
            Some(Node::join(&left, &right, (**join).clone())?)
        }
        Kind::Shuffle { deal, n_partitions, then } if then.is_empty() => {
            let Deal::Hash(by) = &**deal else { return Ok(None) };
            let mut all = wanted.clone();
            deal.columns(&mut all);
            match narrowed(&below.inputs[0], &all)? {
                Some(narrow) => Some(Node::shuffle(&narrow, by.clone(), *n_partitions)?),
                None => None,
            }
        }
        Kind::Chain => {
            let mut any = false;
            let mut inputs = Vec::with_capacity(below.inputs.len());
            for input in &*below.inputs {
                let narrow = narrowed(input, wanted)?;
                any |= narrow.is_some();
                inputs.push(narrow.unwrap_or_else(|| input.clone()));
            }
            if any { Some(Node::chain(inputs)?) } else { None }
        }
        Kind::Repartition(n) => match narrowed(&below.inputs[0], wanted)? {
            Some(narrow) => Some(Node::repartition(&narrow, *n as usize)?),
            None => None,
        },
        _ => None,
    })
}

/// Only the wanted columns of a node, if it has others. One is kept even if none
/// is wanted: rows without columns have no number.
fn narrowed(input: &ExprRef, wanted: &Names) -> Result<Option<ExprRef>> {
    let all = visible(input);
    let mut kept: Vec<&Arc<str>> = all.iter().filter(|name| wanted.contains(*name)).collect();
    if kept.is_empty() {
        kept.extend(all.first());
    }
    if kept.len() == all.len() {
        return Ok(None);
    }
    let select = Step::Select(kept.into_iter().map(|name| (name.clone(), col(name))).collect());
    Node::map(input, vec![select], meta(input).index_names.clone()).map(Some)
}

fn renamed(filter: &ColExpr, names: &[(Arc<str>, Arc<str>)]) -> ColExpr {
    let find = |name: &Arc<str>| names.iter().find(|(new, _)| new == name).map(|(_, old)| ColExpr::Column(old.clone()));
    filter.substitute(&find)
}

/// Where the columns of a join come from: (name in the result, own name).
struct Sides {
    left: Vec<(Arc<str>, Arc<str>)>,
    right: Vec<(Arc<str>, Arc<str>)>,
}

impl Sides {
    fn of(join: &Join, below: &Node) -> Sides {
        let (left, right) = join.names(&meta(&below.inputs[0]).schema, &meta(&below.inputs[1]).schema);
        let arcs =
            |names: Vec<(String, String)>| names.into_iter().map(|(a, b)| (Arc::from(a), Arc::from(b))).collect();
        Sides { left: arcs(left), right: arcs(right) }
    }

    /// Own names of the columns to keep of a side. Columns that both sides have
    /// stay, for without one of them the other would lose its suffix.
    fn wanted(own: &[(Arc<str>, Arc<str>)], other: &[(Arc<str>, Arc<str>)], keys: &[String], wanted: &Names) -> Names {
        let clashes = |name: &Arc<str>| other.iter().any(|(_, theirs)| theirs == name);
        let kept = own.iter().filter(|(new, old)| wanted.contains(new) || clashes(old));
        kept.map(|(_, old)| old.clone()).chain(keys.iter().map(|key| Arc::from(&**key))).collect()
    }

    fn wanted_left(&self, join: &Join, wanted: &Names) -> Names {
        Sides::wanted(&self.left, &self.right, &join.left_on, wanted)
    }

    fn wanted_right(&self, join: &Join, wanted: &Names) -> Names {
        Sides::wanted(&self.right, &self.left, &join.right_on, wanted)
    }
}

/// Whether steps may move below this node at all.
pub(crate) fn is_movable(expr: &ExprRef) -> bool {
    let kind = node(expr).map(|node| &node.kind);
    matches!(kind, Some(Kind::Join(_) | Kind::Shuffle { .. } | Kind::Chain | Kind::Repartition(_)))
}

//! Text files below a query: tasks parse them, only what the query needs of them, and
//! in enough blocks for all threads; what has to see all rows is left to the query.

use super::node::{Node, SourceKind};
use super::prune::{Needs, needs_for, row_limit, without_unused_columns};
use super::query::is_rowwise;
use super::{FrameMeta, Kind, meta};
use crate::expression::col;
use crate::step::Step;
use oxidask_core::{ExprRef, Result};
use std::sync::Arc;

/// Blocks for every thread, so that none waits long for the last one.
const BLOCKS_PER_THREAD: usize = 4;

/// A read of text with `steps`, as a read that does the first of them and the steps
/// that are left for all rows together. None where it is best left as it is, or where
/// tasks number the rows. `unites` says that steps of partitions may run on all rows
/// at once.
pub(super) fn divided(
    source: &SourceKind,
    steps: &[Step],
    wants_index: bool,
    unites: bool,
) -> Option<(ExprRef, Vec<Step>)> {
    let of_rows = |step: &&Step| is_rowwise(step) || matches!(step, Step::Partial(_));
    let (first, rest) = steps.split_at(steps.iter().take_while(of_rows).count());
    let needs = needs_for(rest, Needs { index: wants_index, ..Needs::everything() });
    // Where a few rows are enough, a task stops reading when it has them.
    if needs.index || (!rest.is_empty() && !unites) || row_limit(steps).is_some() {
        return None;
    }
    let n_blocks = BLOCKS_PER_THREAD * std::thread::available_parallelism().map_or(1, usize::from);
    let source = match source {
        SourceKind::Csv(scan) => SourceKind::Csv(Arc::new(scan.in_blocks(n_blocks))),
        other => other.clone(),
    };
    let mut first = without_unused_columns(first, needs.clone());
    if let Some(columns) = needs.columns {
        // Rows without columns have no number.
        if columns.is_empty() {
            return None;
        }
        first.push(Step::Select(columns.into_iter().map(|name| (name.clone(), col(&name))).collect()));
    }
    Some((read(source, first).ok()?, rest.to_vec()))
}

/// A source with steps as one node.
fn read(source: SourceKind, steps: Vec<Step>) -> Result<ExprRef> {
    let all = Node::read(source.clone())?;
    let names = meta(&all).index_names.clone();
    let after: FrameMeta = meta(&Node::map(&all, steps.clone(), names)?).clone();
    Ok(Node::build(Kind::Read(source, steps.into()), Vec::new(), after))
}

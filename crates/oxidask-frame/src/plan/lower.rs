//! From nodes to tasks.

use super::node::Node;
use super::ops::{Broadcast, Concat, Cut, ReadCsv, ReadJson, ReadParquet, Steps};
use super::prune::{needs, row_limit, without_unused_index};
use super::{Kind, SourceKind};
use crate::step::Step;
use oxidask_core::{Blocks, Graph, Input, KeyHasher, Op, Result};
use std::sync::Arc;

/// How many partitions are merged at a time.
const FAN_IN: usize = 8;

pub(crate) fn lower(this: &Node, inputs: &[Blocks], graph: &mut Graph) -> Result<Blocks> {
    Ok(match &this.kind {
        Kind::Memory(values, key) => {
            let blocks = values.iter().enumerate();
            blocks.map(|(block, value)| Input::whole(graph.data(key.block(block as u64), value.clone()))).collect()
        }
        Kind::Read(source, steps) => read(this, source, steps, graph),
        Kind::Map(steps) => {
            let op = Arc::new(Steps::new(without_unused_index(steps)));
            graph.blocks(this.key, op, inputs[0].len(), |block, reads| reads.push(inputs[0][block]))
        }
        Kind::Tree { combine, finish } => tree(this, combine, finish, &inputs[0], graph),
        Kind::Take(blocks) => blocks.iter().map(|block| inputs[0][*block as usize]).collect(),
        Kind::Chain => inputs.iter().flatten().copied().collect(),
        Kind::Repartition(n_after) => repartition(this, *n_after as usize, &inputs[0], graph),
        Kind::Shuffle { deal, n_partitions, then } => {
            super::exchange::lower(this, deal, *n_partitions, then, inputs, graph)
        }
        Kind::Join(join) => pairwise(this, Arc::new((**join).clone()), inputs, graph),
        Kind::Broadcast(name) => pairwise(this, Arc::new(Broadcast { name: name.to_string() }), inputs, graph),
        Kind::Window(column) => super::window::lower(this, column, &inputs[0], graph),
        Kind::Whole(whole) => super::query::lower(this, whole, inputs, graph),
        Kind::Adopt(op) => pairwise(this, op.clone(), inputs, graph),
    })
}

/// One task for every partition of the longest input; an input with a single
/// partition serves all.
fn pairwise(this: &Node, op: Arc<dyn Op>, inputs: &[Blocks], graph: &mut Graph) -> Blocks {
    graph.blocks(this.key, op, this.meta.n_partitions, |block, reads| {
        reads.extend(inputs.iter().map(|blocks| if blocks.len() == 1 { blocks[0] } else { blocks[block] }));
    })
}

/// Neighbours put together, or each partition cut into pieces.
fn repartition(this: &Node, n_after: usize, input: &Blocks, graph: &mut Graph) -> Blocks {
    let n_before = input.len();
    if n_after < n_before {
        let concat = Arc::new(Concat { steps: Vec::new() });
        return graph.blocks(this.key, concat, n_after, |part, reads| {
            let (start, end) = (part * n_before / n_after, (part + 1) * n_before / n_after);
            reads.extend_from_slice(&input[start..end]);
        });
    }
    let pieces_of = |block: usize| (block + 1) * n_after / n_before - block * n_after / n_before;
    let pieces = (0..n_before).map(|block| pieces_of(block) as u32).collect();
    let cut = graph.blocks(this.key, Arc::new(Cut { pieces }), n_before, |block, reads| reads.push(input[block]));
    let parts = |block: usize| (0..pieces_of(block) as u32).map(move |part| (block, part));
    (0..n_before).flat_map(parts).map(|(block, part)| Input::part(cut[block].task, part)).collect()
}

fn read(this: &Node, source: &SourceKind, steps: &[Step], graph: &mut Graph) -> Blocks {
    let columns = needs(steps).columns.map(|columns| columns.iter().map(|name| name.to_string()).collect());
    let limit = row_limit(steps);
    // Rows that are numbered must all be read before any is left out.
    let numbered = source.is_numbered() && needs(steps).index;
    let filters = steps.iter().filter(|step| **step != Step::DropIndex).map_while(|step| match step {
        Step::Filter(expr) => Some(expr.clone()),
        _ => None,
    });
    let first_filters = if numbered { Vec::new() } else { filters.collect() };
    let steps = Steps::new(without_unused_index(steps));
    let op: Arc<dyn Op> = match source {
        SourceKind::Csv(scan) => Arc::new(ReadCsv { scan: (**scan).clone(), columns, limit, steps }),
        SourceKind::Parquet(scan) => {
            let (scan, filters) = ((**scan).clone(), first_filters);
            Arc::new(ReadParquet { scan, filters, columns, limit, steps })
        }
        SourceKind::Json(scan) => Arc::new(ReadJson { scan: (**scan).clone(), columns, steps }),
    };
    graph.blocks(this.key, op, this.meta.n_partitions, |_, _| {})
}

fn tree(this: &Node, combine: &[Step], finish: &[Step], input: &Blocks, graph: &mut Graph) -> Blocks {
    let mut level: Blocks = input.clone();
    let merge: Arc<dyn Op> = Arc::new(Concat { steps: combine.to_vec() });
    let mut depth = 0_u64;
    while level.len() > FAN_IN {
        let key = KeyHasher::new("frame.merge").key(this.key).u64(depth).finish();
        level = graph.blocks(key, merge.clone(), level.len().div_ceil(FAN_IN), |block, reads| {
            reads.extend(level.iter().skip(block * FAN_IN).take(FAN_IN).copied());
        });
        depth += 1;
    }
    // What comes from one partition is merged already.
    let mut last = if level.len() > 1 { combine.to_vec() } else { Vec::new() };
    last.extend_from_slice(finish);
    graph.blocks(this.key, Arc::new(Concat { steps: last }), 1, |_, reads| reads.extend(level.iter().copied()))
}

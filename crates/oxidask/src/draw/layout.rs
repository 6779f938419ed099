//! Where the nodes of a layered drawing go.
//!
//! The method is that of Sugiyama, Tagawa and Toda (1981): give every node a
//! rank, order each rank so that few edges cross, then choose coordinates. It
//! knows sizes and edges only; what a node means is decided elsewhere. Ranks
//! grow along y, orders along x; other directions are a swap of the axes.

use oxidask_core::{Error, Result};

/// Sweeps over the ranks while crossings still become fewer.
const MAX_ORDER_SWEEPS: usize = 24;
/// Sweeps without a better order before we stop.
const MAX_IDLE_SWEEPS: usize = 4;
/// Sweeps that move nodes towards their neighbours on one side.
const ONE_SIDED_SWEEPS: usize = 24;
/// Sweeps that move nodes towards their neighbours on both sides.
const TWO_SIDED_SWEEPS: usize = 60;
/// Most places, counting those where a long edge passes a rank. It bounds time
/// and memory whatever the graph.
const MAX_PLACES: usize = 60_000;
/// Free space between neighbours of one rank.
const NODE_GAP: f64 = 16.0;
/// Free space between two ranks.
const RANK_GAP: f64 = 36.0;

/// A position in the drawing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Point {
    pub x: f64,
    pub y: f64,
}

/// Width and height of a node.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size {
    pub width: f64,
    pub height: f64,
}

/// Coordinates of everything.
#[derive(Debug)]
pub(super) struct Layout {
    /// The centre of each node.
    pub centers: Vec<Point>,
    /// For each edge the points it passes, from centre to centre.
    pub routes: Vec<Vec<Point>>,
    /// Extent of the whole drawing, which begins at (0, 0).
    pub size: Size,
}

/// Places nodes whose edges all lead from a smaller to a larger index.
///
/// # Errors
/// If so many edges skip ranks that the layout would need too much work.
pub(super) fn layout(sizes: &[Size], edges: &[(u32, u32)]) -> Result<Layout> {
    debug_assert!(edges.iter().all(|&(from, to)| from < to));
    let ranks = assign_ranks(sizes.len(), edges);
    let mut places = Places::new(sizes, edges, &ranks)?;
    places.reduce_crossings();
    places.choose_coordinates();
    Ok(places.finish(sizes.len()))
}

/// The longest path from a source, except that sources move up to just below
/// the first node that reads them.
fn assign_ranks(n_nodes: usize, edges: &[(u32, u32)]) -> Vec<u32> {
    let mut outgoing: Vec<Vec<u32>> = vec![Vec::new(); n_nodes];
    let mut has_input = vec![false; n_nodes];
    for &(from, to) in edges {
        outgoing[from as usize].push(to);
        has_input[to as usize] = true;
    }
    let mut ranks = vec![0_u32; n_nodes];
    for node in 0..n_nodes {
        for &to in &outgoing[node] {
            ranks[to as usize] = ranks[to as usize].max(ranks[node] + 1);
        }
    }
    for node in 0..n_nodes {
        if !has_input[node] {
            let nearest = outgoing[node].iter().map(|&to| ranks[to as usize]).min();
            ranks[node] = nearest.map_or(0, |rank| rank - 1);
        }
    }
    ranks
}

/// The nodes, and a place in each rank that a long edge passes.
struct Places {
    rank: Vec<u32>,
    size: Vec<Size>,
    below: Vec<Vec<u32>>,
    above: Vec<Vec<u32>>,
    /// The places of each rank, from left to right.
    order: Vec<Vec<u32>>,
    x: Vec<f64>,
    /// The places along each edge, both ends included.
    chains: Vec<Vec<u32>>,
    n_nodes: usize,
}

impl Places {
    fn new(sizes: &[Size], edges: &[(u32, u32)], ranks: &[u32]) -> Result<Self> {
        let bends: usize =
            edges.iter().map(|&(from, to)| (ranks[to as usize] - ranks[from as usize]) as usize - 1).sum();
        if sizes.len() + bends > MAX_PLACES {
            return Err(Error::value(format!(
                "the graph has {} nodes and edges that cross {bends} ranks, which is too much to draw",
                sizes.len()
            ))
            .with_hint("draw a smaller part of it, or the same work with fewer partitions"));
        }
        let n_places = sizes.len() + bends;
        let mut places = Places {
            rank: ranks.to_vec(),
            size: sizes.to_vec(),
            below: vec![Vec::new(); n_places],
            above: vec![Vec::new(); n_places],
            order: Vec::new(),
            x: vec![0.0; n_places],
            chains: Vec::with_capacity(edges.len()),
            n_nodes: sizes.len(),
        };
        for &(from, to) in edges {
            let mut chain = vec![from];
            for rank in ranks[from as usize] + 1..ranks[to as usize] {
                chain.push(places.rank.len() as u32);
                places.rank.push(rank);
                places.size.push(Size { width: 2.0, height: 0.0 });
            }
            chain.push(to);
            for pair in chain.windows(2) {
                places.above[pair[0] as usize].push(pair[1]);
                places.below[pair[1] as usize].push(pair[0]);
            }
            places.chains.push(chain);
        }
        places.first_order();
        Ok(places)
    }

    /// Orders ranks by a depth-first walk from the results, so that what
    /// belongs together starts out together and trees do not cross at all.
    fn first_order(&mut self) {
        let n_ranks = self.rank.iter().max().map_or(0, |&rank| rank as usize + 1);
        self.order = vec![Vec::new(); n_ranks];
        let mut seen = vec![false; self.rank.len()];
        let mut stack: Vec<u32> = Vec::new();
        for root in (0..self.rank.len()).filter(|&place| self.above[place].is_empty()) {
            stack.push(root as u32);
            while let Some(place) = stack.pop() {
                if std::mem::replace(&mut seen[place as usize], true) {
                    continue;
                }
                self.order[self.rank[place as usize] as usize].push(place);
                stack.extend(self.below[place as usize].iter().rev());
            }
        }
    }

    fn positions(&self) -> Vec<u32> {
        let mut positions = vec![0; self.rank.len()];
        for rank in &self.order {
            for (position, &place) in rank.iter().enumerate() {
                positions[place as usize] = position as u32;
            }
        }
        positions
    }

    fn reduce_crossings(&mut self) {
        let mut positions = self.positions();
        let mut best = (self.crossings(&positions), self.order.clone());
        let mut idle = 0;
        for sweep in 0..MAX_ORDER_SWEEPS {
            if best.0 == 0 || idle == MAX_IDLE_SWEEPS {
                break;
            }
            let upward = sweep % 2 == 0;
            let n_ranks = self.order.len();
            for step in 1..n_ranks {
                let rank = if upward { step } else { n_ranks - 1 - step };
                let neighbours = if upward { &self.below } else { &self.above };
                sort_by_barycentre(&mut self.order[rank], neighbours, &mut positions);
            }
            let crossings = self.crossings(&positions);
            idle += 1;
            if crossings < best.0 {
                best = (crossings, self.order.clone());
                idle = 0;
            }
        }
        self.order = best.1;
    }

    /// How many pairs of edges cross, over all ranks.
    fn crossings(&self, positions: &[u32]) -> u64 {
        let mut total = 0;
        for rank in self.order.iter().skip(1) {
            let n_below = rank.iter().flat_map(|&place| &self.below[place as usize]).count();
            if n_below < 2 {
                continue;
            }
            let width = rank.iter().flat_map(|&p| &self.below[p as usize]).map(|&b| positions[b as usize] + 1).max();
            let mut tree = vec![0_u32; width.unwrap_or(0) as usize + 1];
            let mut inserted = 0_u64;
            for &place in rank {
                let below = &self.below[place as usize];
                // Edges of one place meet there, so they do not cross.
                for &other in below {
                    total += inserted - prefix_sum(&tree, positions[other as usize]);
                }
                for &other in below {
                    add_one(&mut tree, positions[other as usize]);
                }
                inserted += below.len() as u64;
            }
        }
        total
    }

    fn choose_coordinates(&mut self) {
        for rank in &self.order {
            let mut edge = 0.0;
            for &place in rank {
                let half = self.size[place as usize].width / 2.0;
                self.x[place as usize] = edge + half;
                edge += 2.0 * half + NODE_GAP;
            }
        }
        let n_ranks = self.order.len();
        for sweep in 0..ONE_SIDED_SWEEPS + TWO_SIDED_SWEEPS {
            // One-sided sweeps carry a node far; two-sided ones then centre it
            // between what it reads and who reads it.
            let upward = sweep % 2 == 0;
            let (use_below, use_above) = if sweep < ONE_SIDED_SWEEPS { (upward, !upward) } else { (true, true) };
            for step in 0..n_ranks {
                let rank = if upward { step } else { n_ranks - 1 - step };
                self.settle_rank(rank, use_below, use_above);
            }
        }
        // At last whoever reads stands in the middle of what it reads.
        for rank in 1..n_ranks {
            self.settle_rank(rank, true, false);
        }
        let left = (0..self.x.len()).map(|p| self.x[p] - self.size[p].width / 2.0).fold(f64::INFINITY, f64::min);
        for x in &mut self.x {
            *x -= left;
        }
    }

    /// Moves the places of a rank as near to their neighbours as their order
    /// and widths allow, in the sense of least squares.
    fn settle_rank(&mut self, rank: usize, use_below: bool, use_above: bool) {
        let order = &self.order[rank];
        let mut blocks: Vec<Block> = Vec::with_capacity(order.len());
        let mut offset = 0.0;
        let mut offsets = Vec::with_capacity(order.len());
        for (idx, &place) in order.iter().enumerate() {
            if idx > 0 {
                let previous = self.size[order[idx - 1] as usize].width;
                offset += f64::midpoint(previous, self.size[place as usize].width) + NODE_GAP;
            }
            offsets.push(offset);
            let (wish, weight) = self.wish(place, use_below, use_above);
            blocks.push(Block { sum: (wish - offset) * weight, weight, len: 1 });
            // Neighbours that would overlap move on together.
            while blocks.len() > 1 && blocks[blocks.len() - 2].mean() > blocks[blocks.len() - 1].mean() {
                if let (Some(last), Some(before)) = (blocks.pop(), blocks.last_mut()) {
                    before.sum += last.sum;
                    before.weight += last.weight;
                    before.len += last.len;
                }
            }
        }
        let means = blocks.iter().flat_map(|block| std::iter::repeat_n(block.mean(), block.len));
        for ((&place, offset), mean) in order.iter().zip(&offsets).zip(means) {
            self.x[place as usize] = mean + offset;
        }
    }

    /// Where a place would like to be and how much it cares. Long edges care
    /// most, so that they run straight.
    fn wish(&self, place: u32, use_below: bool, use_above: bool) -> (f64, f64) {
        let empty = Vec::new();
        let below = if use_below { &self.below[place as usize] } else { &empty };
        let above = if use_above { &self.above[place as usize] } else { &empty };
        let is_bend = |place: u32| place as usize >= self.n_nodes;
        let (mut sum, mut weights) = (0.0, 0.0);
        for &other in below.iter().chain(above) {
            let weight = match (is_bend(place), is_bend(other)) {
                (true, true) => 8.0,
                (false, false) => 1.0,
                _ => 2.0,
            };
            sum += self.x[other as usize] * weight;
            weights += weight;
        }
        if weights == 0.0 { (self.x[place as usize], 0.1) } else { (sum / weights, weights) }
    }

    fn finish(self, n_nodes: usize) -> Layout {
        let mut y = 0.0;
        let mut rank_centers = Vec::with_capacity(self.order.len());
        for rank in &self.order {
            let height = rank.iter().map(|&place| self.size[place as usize].height).fold(0.0, f64::max);
            rank_centers.push(y + height / 2.0);
            y += height + RANK_GAP;
        }
        let point =
            |place: u32| Point { x: self.x[place as usize], y: rank_centers[self.rank[place as usize] as usize] };
        let right = (0..self.x.len()).map(|p| self.x[p] + self.size[p].width / 2.0).fold(0.0, f64::max);
        Layout {
            centers: (0..n_nodes as u32).map(point).collect(),
            routes: self.chains.iter().map(|chain| chain.iter().map(|&place| point(place)).collect()).collect(),
            size: Size { width: right, height: (y - RANK_GAP).max(0.0) },
        }
    }
}

/// Neighbours of one rank that touch and move together.
struct Block {
    sum: f64,
    weight: f64,
    len: usize,
}

impl Block {
    fn mean(&self) -> f64 {
        self.sum / self.weight
    }
}

fn sort_by_barycentre(rank: &mut [u32], neighbours: &[Vec<u32>], positions: &mut [u32]) {
    let mut keyed: Vec<(f64, u32)> = rank
        .iter()
        .map(|&place| {
            let near = &neighbours[place as usize];
            let sum: f64 = near.iter().map(|&other| f64::from(positions[other as usize])).sum();
            // A place without neighbours on that side stays where it is.
            let key = if near.is_empty() { f64::from(positions[place as usize]) } else { sum / near.len() as f64 };
            (key, place)
        })
        .collect();
    keyed.sort_by(|a, b| a.0.total_cmp(&b.0));
    for (position, (slot, (_, place))) in rank.iter_mut().zip(keyed).enumerate() {
        *slot = place;
        positions[place as usize] = position as u32;
    }
}

/// Sum of the first `position + 1` counts of a Fenwick tree.
fn prefix_sum(tree: &[u32], position: u32) -> u64 {
    let mut sum = 0;
    let mut idx = position as usize + 1;
    while idx > 0 {
        sum += u64::from(tree[idx]);
        idx &= idx - 1;
    }
    sum
}

/// Adds one at `position` of a Fenwick tree.
fn add_one(tree: &mut [u32], position: u32) {
    let mut idx = position as usize + 1;
    while idx < tree.len() {
        tree[idx] += 1;
        idx += idx & idx.wrapping_neg();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: Size = Size { width: 40.0, height: 40.0 };

    fn no_overlap(layout: &Layout) {
        for (idx, a) in layout.centers.iter().enumerate() {
            for b in &layout.centers[idx + 1..] {
                assert!((a.y - b.y).abs() > 39.0 || (a.x - b.x).abs() > 39.0, "{a:?} {b:?} overlap");
            }
        }
    }

    #[test]
    fn a_tree_is_drawn_without_crossings_and_near_centred() {
        // 0..8 leaves, 8..12 and 12..14 and 14 add pairs; leaves are mixed up.
        let leaves = [3, 0, 7, 4, 1, 6, 2, 5];
        let mut edges: Vec<(u32, u32)> = (0..8).map(|i| (leaves[i as usize], 8 + i / 2)).collect();
        edges.extend((0..4).map(|i| (8 + i, 12 + i / 2)));
        edges.extend([(12, 14), (13, 14)]);
        let layout = layout(&[SIZE; 15], &edges).unwrap();
        no_overlap(&layout);
        for pair in [(8, 9), (10, 11)] {
            let parent = if pair.0 == 8 { 12 } else { 13 };
            let middle = f64::midpoint(layout.centers[pair.0].x, layout.centers[pair.1].x);
            let off = (middle - layout.centers[parent].x).abs();
            assert!(off < 20.0, "{off} off the middle of its inputs: {:?}", layout.centers);
        }
        let ranks = assign_ranks(15, &edges);
        let places = Places::new(&[SIZE; 15], &edges, &ranks).unwrap();
        assert_eq!(places.crossings(&places.positions()), 0);
    }

    #[test]
    fn crossings_are_counted_and_reduced() {
        // A complete 3×3 bipartite graph has C(3,2)² = 9 crossings in any order.
        let edges: Vec<(u32, u32)> = (0..3).flat_map(|a| (3..6).map(move |b| (a, b))).collect();
        let ranks = assign_ranks(6, &edges);
        let places = Places::new(&[SIZE; 6], &edges, &ranks).unwrap();
        assert_eq!(places.crossings(&places.positions()), 9);
    }

    #[test]
    fn long_edges_pass_between_nodes() {
        let edges = [(0, 1), (1, 2), (2, 3), (0, 3)];
        let layout = layout(&[SIZE; 4], &edges).unwrap();
        no_overlap(&layout);
        assert_eq!(layout.routes[3].len(), 4, "a bend in each of two ranks");
        for (bend, node) in layout.routes[3][1..3].iter().zip([1, 2]) {
            assert!((bend.x - layout.centers[node].x).abs() > 20.0);
        }
    }

    #[test]
    fn too_many_bends_are_refused() {
        let n = 2_000_u32;
        let edges: Vec<(u32, u32)> = (0..n - 1).map(|i| (i, i + 1)).chain((0..n - 1).map(|i| (i, n - 1))).collect();
        let error = layout(&vec![SIZE; n as usize], &edges).unwrap_err();
        assert!(error.message().contains("too much to draw"), "{error}");
    }
}

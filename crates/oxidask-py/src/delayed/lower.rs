//! A short way from delayed calls to a graph.
//!
//! Delayed calls of delayed calls have no rewrite rules and one block each. So
//! they need neither the optimizer nor lists of blocks, which would cost more
//! than the calls' own tasks.

use super::node::DelayedNode;
use crate::base::Lazy;
use hashbrown::HashMap;
use oxidask_core::{Error, ExprRef, Graph, Input, Key, Result, TaskIdx};
use smallvec::SmallVec;
use std::hash::{BuildHasherDefault, Hasher};

/// Keys are hashes already.
#[derive(Default)]
struct KeyBits(u64);

impl Hasher for KeyBits {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.0 ^= u64::from_le_bytes(word);
        }
    }

    fn write_u128(&mut self, bits: u128) {
        self.0 = (bits >> 64) as u64 ^ bits as u64;
    }
}

type Placed = HashMap<Key, TaskIdx, BuildHasherDefault<KeyBits>>;

/// The graph of plain delayed values, one output for each; none if one of them
/// depends on another kind of collection.
///
/// # Errors
/// If a task needs itself.
pub fn plain_graph(lazy: &[Lazy]) -> Result<Option<Graph>> {
    let roots: Option<Vec<&DelayedNode>> = lazy.iter().map(|lazy| plain(&lazy.expr)).collect();
    let Some(roots) = roots else { return Ok(None) };
    let mut graph = Graph::new();
    let mut placed = Placed::with_capacity_and_hasher(roots.len(), BuildHasherDefault::default());
    let mut stack: Vec<(&DelayedNode, usize)> = Vec::new();
    for root in &roots {
        stack.push((root, 0));
        while let Some((node, next)) = stack.last_mut() {
            if *next == 0 && placed.contains_key(&node.key) {
                stack.pop();
                continue;
            }
            if let Some(input) = node.inputs.get(*next) {
                *next += 1;
                stack.extend(plain(input).map(|input| (input, 0)));
                continue;
            }
            let node = *node;
            stack.pop();
            // It was not there when its inputs were entered, so one of them is it.
            if placed.contains_key(&node.key) {
                return Err(needs_itself(node));
            }
            let task = place(node, &placed, &mut graph);
            placed.insert(node.key, task);
        }
    }
    graph.outputs = roots.iter().map(|root| Input::whole(placed[&root.key])).collect();
    Ok(Some(graph))
}

fn plain(expr: &ExprRef) -> Option<&DelayedNode> {
    expr.get::<DelayedNode>().filter(|node| node.is_plain)
}

fn place(node: &DelayedNode, placed: &Placed, graph: &mut Graph) -> TaskIdx {
    let read: SmallVec<[Input; 8]> = node.inputs.iter().map(|input| Input::whole(placed[&input.key()])).collect();
    node.append(&read, graph)
}

fn needs_itself(node: &DelayedNode) -> Error {
    Error::value(format!("the delayed value '{}' needs itself", node.key_text()))
        .with_hint("two different values have this dask_key_name")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::hash::BuildHasher;

    #[test]
    fn keys_keep_their_bits() {
        let hasher = BuildHasherDefault::<KeyBits>::default();
        assert_ne!(hasher.hash_one(Key(1)), hasher.hash_one(Key(2)));
        assert_ne!(hasher.hash_one(Key(1 << 64)), hasher.hash_one(Key(2 << 64)));
    }
}

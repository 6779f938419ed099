//! From expressions to one graph: rewrite to a fixed point, then lower.
//!
//! Every pass visits each *distinct* node once (memo by key), without
//! recursion, so plans that share work stay linear and deep plans need no
//! stack.

use crate::error::{Error, Result};
use crate::expr::{ExprRef, Uses};
use crate::graph::{Blocks, Graph};
use crate::key::Key;
use hashbrown::{HashMap, HashSet};
use std::sync::Arc;

/// How often one node may be rewritten before we call it a mistake of ours.
const MAX_REWRITES: usize = 1_000;

/// Rewrites the plans below `roots` until no rule applies.
///
/// # Errors
/// If a rule builds a node that does not fit, or a node needs another one with
/// its own key, as users can make by naming two different values alike.
pub fn optimize(roots: &[ExprRef]) -> Result<Vec<ExprRef>> {
    let mut uses = count_uses(roots);
    let mut done: HashMap<Key, ExprRef> = HashMap::new();
    roots.iter().map(|root| optimize_one(root, &mut uses, &mut done)).collect()
}

/// The mistake of two different nodes with one key, one of which needs the other.
fn needs_itself(node: &ExprRef) -> Error {
    Error::value(format!("'{}' needs itself: two different values have the key {}", node.describe(), node.key()))
        .with_hint("give each value a name of its own, or leave naming to the library")
}

fn optimize_one(root: &ExprRef, uses: &mut Uses, done: &mut HashMap<Key, ExprRef>) -> Result<ExprRef> {
    enum Visit {
        Enter(ExprRef),
        /// All inputs of the node are done; `original` is the key to answer for.
        Leave {
            node: ExprRef,
            original: Key,
            rewrites: usize,
        },
    }
    let mut stack = vec![Visit::Enter(root.clone())];
    // Entered and not left: a node of such a key is met only on a cycle.
    let mut open: HashSet<Key> = HashSet::new();
    while let Some(visit) = stack.pop() {
        match visit {
            Visit::Enter(node) => {
                if done.contains_key(&node.key()) {
                    continue;
                }
                let original = node.key();
                if !open.insert(original) {
                    return Err(needs_itself(&node));
                }
                let inputs = node.inputs().to_vec();
                stack.push(Visit::Leave { node, original, rewrites: 0 });
                stack.extend(inputs.into_iter().rev().map(Visit::Enter));
            }
            Visit::Leave { node, original, rewrites } => {
                if done.contains_key(&original) {
                    continue;
                }
                let node = with_done_inputs(node, done)?;
                match node.rewrite(uses)? {
                    None => {
                        // Who shared the original shares what became of it.
                        uses.carry(original, node.key());
                        open.remove(&original);
                        done.insert(node.key(), node.clone());
                        done.insert(original, node);
                    }
                    Some(better) => {
                        assert!(rewrites < MAX_REWRITES, "rewriting '{}' does not end", better.label());
                        let inputs = better.inputs().to_vec();
                        stack.push(Visit::Leave { node: better, original, rewrites: rewrites + 1 });
                        stack.extend(inputs.into_iter().rev().map(Visit::Enter));
                    }
                }
            }
        }
    }
    done.get(&root.key())
        .cloned()
        .ok_or_else(|| Error::value(format!("the plan of '{}' was not finished", root.label())))
}

fn with_done_inputs(node: ExprRef, done: &HashMap<Key, ExprRef>) -> Result<ExprRef> {
    // A node that was rewritten may have kept its key.
    let changed =
        node.inputs().iter().any(|input| done.get(&input.key()).is_some_and(|better| !Arc::ptr_eq(better, input)));
    if !changed {
        return Ok(node);
    }
    let inputs = node.inputs().iter().map(|input| done.get(&input.key()).unwrap_or(input).clone()).collect();
    node.with_inputs(inputs)
}

fn count_uses(roots: &[ExprRef]) -> Uses {
    let mut uses: HashMap<Key, u32> = HashMap::new();
    for root in roots {
        *uses.entry(root.key()).or_insert(0) += 1;
    }
    for node in distinct(roots) {
        for input in node.inputs() {
            *uses.entry(input.key()).or_insert(0) += 1;
        }
    }
    Uses(uses)
}

/// All distinct nodes below `roots`, inputs before the nodes that read them.
#[must_use]
pub fn distinct(roots: &[ExprRef]) -> Vec<&ExprRef> {
    let mut seen: HashSet<Key> = HashSet::new();
    let mut order = Vec::new();
    let mut stack: Vec<(&ExprRef, usize)> = Vec::new();
    for root in roots {
        if seen.insert(root.key()) {
            stack.push((root, 0));
        }
        while let Some((node, next)) = stack.last_mut() {
            if let Some(input) = node.inputs().get(*next) {
                *next += 1;
                if seen.insert(input.key()) {
                    stack.push((input, 0));
                }
            } else {
                order.push(*node);
                stack.pop();
            }
        }
    }
    order
}

/// Lowers the plans below `roots` to one graph whose outputs are all blocks of
/// all roots, in order; the answer's second half says which are whose.
///
/// # Errors
/// If a node cannot run, or needs another one with its own key.
pub fn lower(roots: &[ExprRef]) -> Result<(Graph, Vec<Blocks>)> {
    let mut graph = Graph::new();
    let mut lowered: HashMap<Key, Blocks> = HashMap::new();
    let mut inputs: Vec<Blocks> = Vec::new();
    for node in distinct(roots) {
        inputs.clear();
        for input in node.inputs() {
            inputs.push(lowered.get(&input.key()).ok_or_else(|| needs_itself(input))?.clone());
        }
        let blocks = node.lower(&inputs, &mut graph).map_err(|error| error.within(node.describe()))?;
        lowered.insert(node.key(), blocks);
    }
    let blocks: Vec<Blocks> = roots.iter().map(|root| lowered[&root.key()].clone()).collect();
    graph.outputs = blocks.iter().flatten().copied().collect();
    Ok((graph, blocks))
}

/// The plan below `root` as an indented text, for tests and `explain`.
#[must_use]
pub fn plan_text(root: &ExprRef) -> String {
    let mut text = String::new();
    let mut stack = vec![(root.clone(), 0)];
    while let Some((node, depth)) = stack.pop() {
        text.push_str(&"  ".repeat(depth));
        text.push_str(&node.describe());
        text.push('\n');
        stack.extend(node.inputs().iter().rev().map(|input| (input.clone(), depth + 1)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expr::{Expr, Inputs};
    use crate::graph::Input;
    use crate::key::KeyHasher;
    use crate::op::FnOp;
    use crate::value::{Parts, Value};
    use std::any::Any;
    use std::borrow::Cow;

    /// Adds numbers to its inputs; a sum over an unshared sum becomes one.
    struct Sum {
        key: Key,
        terms: Vec<u64>,
        inputs: Inputs,
    }

    fn sum(terms: &[u64], inputs: &[ExprRef]) -> ExprRef {
        let key = KeyHasher::new("sum").params(&terms).keys(inputs.iter().map(|input| input.key())).finish();
        Arc::new(Sum { key, terms: terms.to_vec(), inputs: inputs.to_vec().into() })
    }

    impl Expr for Sum {
        fn key(&self) -> Key {
            self.key
        }

        fn label(&self) -> Cow<'_, str> {
            "sum".into()
        }

        fn inputs(&self) -> &[ExprRef] {
            &self.inputs
        }

        fn with_inputs(&self, inputs: Vec<ExprRef>) -> Result<ExprRef> {
            Ok(sum(&self.terms, &inputs))
        }

        fn rewrite(&self, uses: &Uses) -> Result<Option<ExprRef>> {
            let [input] = &*self.inputs else { return Ok(None) };
            let Some(inner) = input.get::<Sum>().filter(|_| uses.is_single(input)) else { return Ok(None) };
            Ok(Some(sum(&[&inner.terms[..], &self.terms].concat(), &inner.inputs)))
        }

        fn lower(&self, inputs: &[Blocks], graph: &mut Graph) -> Result<Blocks> {
            let stage = graph.stage(Arc::new(FnOp::new("sum", |_, _| Ok(Value::new(Parts(Vec::new()))))));
            let inputs: Vec<Input> = inputs.iter().flatten().copied().collect();
            Ok(vec![Input::whole(graph.task(self.key, stage, 0, &inputs))])
        }

        fn meta(&self) -> &(dyn Any + Send + Sync) {
            &()
        }

        fn describe(&self) -> String {
            format!("sum{:?}", self.terms)
        }
    }

    #[test]
    fn unshared_work_fuses_and_shared_work_does_not() {
        let base = sum(&[1], &[]);
        let a = sum(&[2], std::slice::from_ref(&base));
        let b = sum(&[3], &[base]);
        let root = sum(&[5], &[sum(&[4], &[a, b])]);
        let plans = optimize(&[root]).unwrap();
        assert_eq!(plan_text(&plans[0]), "sum[4, 5]\n  sum[2]\n    sum[1]\n  sum[3]\n    sum[1]\n");
        let (graph, _) = lower(&plans).unwrap();
        assert_eq!(graph.to_text(), "0: sum[0]\n1: sum[0] 0\n2: sum[0] 0\n3: sum[0] 1 2\n-> 3\n");
    }

    #[test]
    fn work_stays_shared_after_it_was_rewritten() {
        // The shared node fuses with the base below it and so changes its key.
        let shared = sum(&[2], &[sum(&[1], &[])]);
        let roots = [sum(&[3], std::slice::from_ref(&shared)), sum(&[4], &[shared])];
        let plans = optimize(&roots).unwrap();
        assert_eq!(lower(&plans).unwrap().0.to_text(), "0: sum[0]\n1: sum[0] 0\n2: sum[0] 0\n-> 1 2\n");
    }

    #[test]
    fn a_wanted_result_is_not_absorbed() {
        let inner = sum(&[1], &[]);
        let outer = sum(&[2], std::slice::from_ref(&inner));
        let plans = optimize(&[outer, inner]).unwrap();
        assert_eq!(lower(&plans).unwrap().0.len(), 2);
    }

    #[test]
    fn work_shared_many_times_is_visited_once() {
        // Were each path visited, this would take 2^200 steps.
        let mut node = sum(&[0], &[]);
        for depth in 0..200 {
            node = sum(&[depth], &[node.clone(), node]);
        }
        let plans = optimize(&[node]).unwrap();
        assert_eq!(lower(&plans).unwrap().0.len(), 201);
    }

    /// A sum with a key that its user chose.
    fn named(key: Key, terms: &[u64], inputs: &[ExprRef]) -> ExprRef {
        Arc::new(Sum { key, terms: terms.to_vec(), inputs: inputs.to_vec().into() })
    }

    #[test]
    fn a_value_that_needs_its_namesake_is_an_error() {
        let key = Key::named("twice");
        let inner = named(key, &[1], &[]);
        let outer = named(key, &[2], &[sum(&[3], &[inner.clone(), inner])]);
        for result in [optimize(std::slice::from_ref(&outer)).map(drop), lower(&[outer]).map(drop)] {
            let error = result.unwrap_err();
            assert!(error.message().contains(&key.to_string()), "{error}");
        }
    }

    /// A node that keeps its key whatever becomes of its inputs.
    struct Keeps(Inputs);

    impl Expr for Keeps {
        fn key(&self) -> Key {
            Key::named("keeps")
        }

        fn label(&self) -> Cow<'_, str> {
            "keeps".into()
        }

        fn inputs(&self) -> &[ExprRef] {
            &self.0
        }

        fn with_inputs(&self, inputs: Vec<ExprRef>) -> Result<ExprRef> {
            Ok(Arc::new(Keeps(inputs.into())))
        }

        fn lower(&self, inputs: &[Blocks], _: &mut Graph) -> Result<Blocks> {
            Ok(inputs[0].clone())
        }

        fn meta(&self) -> &(dyn Any + Send + Sync) {
            &()
        }
    }

    #[test]
    fn what_a_node_with_a_key_of_its_own_reads_is_rewritten_too() {
        let keeps: ExprRef = Arc::new(Keeps(vec![sum(&[2], &[sum(&[1], &[])])].into()));
        let roots = [sum(&[3], &[keeps.clone(), keeps.clone()]), sum(&[4], &[keeps])];
        let plans = optimize(&roots).unwrap();
        assert!(plan_text(&plans[0]).contains("keeps\n    sum[1, 2]\n"), "{}", plan_text(&plans[0]));
    }

    #[test]
    fn a_deep_chain_needs_no_stack() {
        let mut node = sum(&[0], &[]);
        for depth in 0..200_000 {
            let other = sum(&[depth, 1], &[]);
            node = sum(&[depth], &[node, other]);
        }
        let plans = optimize(&[node]).unwrap();
        let (graph, _) = lower(&plans).unwrap();
        assert_eq!(graph.len(), 400_001);
        drop(plans);
    }
}

//! The order in which tasks should run when there is a choice.
//!
//! A depth-first walk from the wanted results keeps few values alive: a task's
//! inputs are made just before it. Which input first matters when inputs need
//! different amounts of memory on the way; the rule is that of Sethi and Ullman
//! (1970), generalised to sizes by Liu (1987): the input whose evaluation needs
//! most beyond what it leaves behind goes first. That is optimal for trees when
//! each subtree is evaluated in one go and a good guess for graphs that share
//! work.

use crate::graph::Graph;

/// Size assumed for a result whose size nobody knows, in bytes.
const UNKNOWN_BYTES: u64 = 1 << 10;

/// A rank for every task of the graph; smaller runs earlier. Tasks that no
/// output needs come last.
#[must_use]
pub fn order(graph: &Graph) -> Vec<u32> {
    let bytes: Vec<u64> = graph.output_bytes().into_iter().map(|size| size.unwrap_or(UNKNOWN_BYTES)).collect();
    order_by_bytes(graph, &bytes)
}

/// [`order`] with the sizes of the results in bytes given.
#[must_use]
pub fn order_by_bytes(graph: &Graph, bytes: &[u64]) -> Vec<u32> {
    let n_tasks = graph.len();
    let peaks = peaks(graph, bytes);
    // How much evaluating a task needs beyond what it leaves behind.
    let surplus = |task: u32| peaks[task as usize].saturating_sub(bytes[task as usize]);

    let mut ranks = vec![u32::MAX; n_tasks];
    let mut entered = vec![false; n_tasks];
    let mut next_rank = 0;
    let mut stack: Vec<(u32, bool)> = Vec::new();
    let mut inputs: Vec<u32> = Vec::new();
    let roots = graph.outputs.iter().map(|output| output.task).chain((0..n_tasks as u32).rev());
    for root in roots {
        stack.push((root, false));
        while let Some((task, inputs_done)) = stack.pop() {
            if inputs_done {
                ranks[task as usize] = next_rank;
                next_rank += 1;
                continue;
            }
            if std::mem::replace(&mut entered[task as usize], true) {
                continue;
            }
            stack.push((task, true));
            inputs.clear();
            inputs.extend(graph.inputs_of(task).iter().map(|input| input.task));
            // The stack turns the order round: what shall run first goes last.
            inputs.reverse();
            if inputs.len() > 1 {
                inputs.sort_by_key(|&input| surplus(input));
            }
            stack.extend(inputs.iter().filter(|&&input| !entered[input as usize]).map(|&input| (input, false)));
        }
    }
    ranks
}

/// The least memory in which each task can be evaluated alone, were the graph a
/// tree.
fn peaks(graph: &Graph, bytes: &[u64]) -> Vec<u64> {
    let mut peaks: Vec<u64> = Vec::with_capacity(graph.len());
    let mut inputs: Vec<(u64, u64)> = Vec::new();
    for (task, &own) in bytes.iter().enumerate() {
        inputs.clear();
        inputs.extend(
            graph.inputs_of(task as u32).iter().map(|input| (peaks[input.task as usize], bytes[input.task as usize])),
        );
        if inputs.len() > 1 {
            inputs.sort_by_key(|&(peak, left)| std::cmp::Reverse(peak.saturating_sub(left)));
        }
        let mut held = 0_u64;
        let mut peak = 0_u64;
        for &(input_peak, left) in &inputs {
            peak = peak.max(held.saturating_add(input_peak));
            held = held.saturating_add(left);
        }
        peaks.push(peak.max(held.saturating_add(own)));
    }
    peaks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Input;
    use crate::key::Key;
    use crate::op::FnOp;
    use crate::value::Parts;
    use crate::value::Value;
    use proptest::prelude::*;
    use std::sync::Arc;

    /// A graph in which task `i` reads the tasks `inputs[i]`, all smaller.
    fn graph(inputs: &[Vec<u32>], outputs: &[u32]) -> Graph {
        let mut graph = Graph::new();
        let stage = graph.stage(Arc::new(FnOp::new("f", |_, _| Ok(Value::new(Parts(Vec::new()))))));
        for (idx, inputs) in inputs.iter().enumerate() {
            let inputs: Vec<Input> = inputs.iter().map(|&input| Input::whole(input)).collect();
            graph.task(Key(idx as u128), stage, 0, &inputs);
        }
        graph.outputs = outputs.iter().map(|&output| Input::whole(output)).collect();
        graph
    }

    /// The most bytes alive at once when tasks run in `sequence`; outputs are
    /// kept, everything else is dropped after its last use.
    fn peak_bytes(graph: &Graph, bytes: &[u64], sequence: &[u32]) -> u64 {
        let mut uses = vec![0_u32; graph.len()];
        for input in graph.all_inputs() {
            uses[input.task as usize] += 1;
        }
        for output in &graph.outputs {
            uses[output.task as usize] += 1;
        }
        let (mut alive, mut peak) = (0, 0);
        for &task in sequence {
            alive += bytes[task as usize];
            peak = peak.max(alive);
            for input in graph.inputs_of(task) {
                uses[input.task as usize] -= 1;
                if uses[input.task as usize] == 0 {
                    alive -= bytes[input.task as usize];
                }
            }
        }
        peak
    }

    fn sequence_of(ranks: &[u32]) -> Vec<u32> {
        let mut sequence: Vec<u32> = (0..ranks.len() as u32).collect();
        sequence.sort_by_key(|&task| ranks[task as usize]);
        sequence
    }

    /// The best peak over all topological orders, by exhaustive search.
    fn best_peak(graph: &Graph, bytes: &[u64], done: &mut Vec<u32>, best: &mut u64) {
        if done.len() == graph.len() {
            *best = (*best).min(peak_bytes(graph, bytes, done));
            return;
        }
        if peak_bytes(graph, bytes, done) >= *best {
            return;
        }
        for task in 0..graph.len() as u32 {
            let ready = graph.inputs_of(task).iter().all(|input| done.contains(&input.task));
            if ready && !done.contains(&task) {
                done.push(task);
                best_peak(graph, bytes, done, best);
                done.pop();
            }
        }
    }

    #[test]
    fn a_reduction_keeps_one_branch_at_a_time() {
        // Eight loads, pairwise sums: depth first needs log₂ 8 + 1 values.
        let inputs: Vec<Vec<u32>> = (0..8)
            .map(|_| vec![])
            .chain((0..4).map(|i| vec![2 * i, 2 * i + 1]))
            .chain([vec![8, 9], vec![10, 11], vec![12, 13]])
            .collect();
        let graph = graph(&inputs, &[14]);
        let bytes = vec![1; 15];
        assert_eq!(peak_bytes(&graph, &bytes, &sequence_of(&order_by_bytes(&graph, &bytes))), 5);
    }

    #[test]
    fn the_hungrier_branch_goes_first() {
        // Task 2 needs 100 bytes on the way and leaves 1; task 0 leaves 50.
        let graph = graph(&[vec![], vec![], vec![1], vec![0, 2]], &[3]);
        let ranks = order_by_bytes(&graph, &[50, 100, 1, 1]);
        assert!(ranks[2] < ranks[0], "{ranks:?}");
    }

    #[test]
    fn a_long_chain_needs_no_stack() {
        let inputs: Vec<Vec<u32>> = (0..300_000_u32).map(|i| i.checked_sub(1).into_iter().collect()).collect();
        let graph = graph(&inputs, &[299_999]);
        assert_eq!(order_by_bytes(&graph, &vec![1; 300_000])[299_999], 299_999);
    }

    fn small_dag() -> impl Strategy<Value = (Vec<Vec<u32>>, Vec<u64>)> {
        (2_usize..8).prop_flat_map(|n| {
            let inputs: Vec<_> = (0..n as u32)
                .map(|task| proptest::collection::btree_set(0..task.max(1), 0..=2.min(task as usize)))
                .collect();
            (inputs, proptest::collection::vec(1_u64..20, n))
                .prop_map(|(inputs, bytes)| (inputs.into_iter().map(|set| set.into_iter().collect()).collect(), bytes))
        })
    }

    /// A tree: every task but the last is read exactly once, by a later one.
    fn small_tree() -> impl Strategy<Value = (Vec<Vec<u32>>, Vec<u64>)> {
        (2_usize..8).prop_flat_map(|n| {
            let readers: Vec<_> = (0..n as u32 - 1).map(|task| task + 1..n as u32).collect();
            (readers, proptest::collection::vec(1_u64..20, n)).prop_map(move |(readers, bytes)| {
                let mut inputs = vec![Vec::new(); n];
                for (task, reader) in readers.into_iter().enumerate() {
                    inputs[reader as usize].push(task as u32);
                }
                (inputs, bytes)
            })
        })
    }

    proptest! {
        #[test]
        fn inputs_rank_before_their_consumers((inputs, bytes) in small_dag()) {
            let graph = graph(&inputs, &[inputs.len() as u32 - 1]);
            let ranks = order_by_bytes(&graph, &bytes);
            for (task, inputs) in inputs.iter().enumerate() {
                for &input in inputs {
                    prop_assert!(ranks[input as usize] < ranks[task]);
                }
            }
            let mut sorted = ranks.clone();
            sorted.sort_unstable();
            prop_assert_eq!(sorted, (0..ranks.len() as u32).collect::<Vec<_>>());
        }

        /// Evaluating each subtree in one go is at most twice the optimum on
        /// trees this small, and mostly the optimum itself.
        #[test]
        fn trees_peak_near_the_optimum((inputs, bytes) in small_tree()) {
            let graph = graph(&inputs, &[inputs.len() as u32 - 1]);
            let ours = peak_bytes(&graph, &bytes, &sequence_of(&order_by_bytes(&graph, &bytes)));
            let mut best = u64::MAX;
            best_peak(&graph, &bytes, &mut Vec::new(), &mut best);
            prop_assert!(ours <= 2 * best, "ours {ours}, best {best}");
        }

        #[test]
        fn shared_work_peaks_near_the_optimum((inputs, bytes) in small_dag()) {
            // Everything that nobody reads is wanted.
            let outputs: Vec<u32> =
                (0..inputs.len() as u32).filter(|task| !inputs.iter().flatten().any(|input| input == task)).collect();
            let graph = graph(&inputs, &outputs);
            let ours = peak_bytes(&graph, &bytes, &sequence_of(&order_by_bytes(&graph, &bytes)));
            let mut best = u64::MAX;
            best_peak(&graph, &bytes, &mut Vec::new(), &mut best);
            prop_assert!(ours <= 3 * best, "ours {ours}, best {best}");
        }
    }
}

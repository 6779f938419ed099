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

//! Graphs without edges are computed in windows.
//!
//! A million calls that need nothing of one another would all be entered into the
//! scheduler's tables before the first one runs. In windows the tables stay as
//! small as the caches, memory grows by the results alone, and the next window is
//! entered while the one before runs.
//!
//! It must never show: what reads the graph as a whole (observers, priorities,
//! values that are held elsewhere) has it entered as a whole.

use super::{Shared, fits};
use oxidask_core::graph::Source;
use oxidask_core::{Graph, Input, Result, Value};
use std::collections::VecDeque;

/// Tasks a window. Two of them are enough for many threads, and their rows fit
/// into the cache that cores share.
const WINDOW: usize = 1 << 14;

/// Whether a graph may be computed window by window.
pub(super) fn is_divisible(graph: &Graph) -> bool {
    let is_run = |output: &Input| matches!(graph.tasks()[output.task as usize].source(), Source::Run(_));
    graph.outputs.len() > 2 * WINDOW
        && graph.all_inputs().is_empty()
        && graph.stages().iter().all(|stage| stage.annotations.is_none())
        // No task is wanted twice.
        && graph.outputs.is_sorted_by(|one, next| one.task < next.task)
        && graph.outputs.iter().all(is_run)
}

impl Shared {
    /// The outputs of a divisible graph, in order.
    pub(super) fn compute_windows(&self, graph: &Graph, interrupted: &dyn Fn() -> Result<()>) -> Result<Vec<Value>> {
        fits::check_result(known_bytes(graph), self.capacity)?;
        let mut values = Vec::with_capacity(graph.outputs.len());
        let mut pending = VecDeque::with_capacity(2);
        for outputs in graph.outputs.chunks(WINDOW) {
            pending.push_back(self.gather(window(graph, outputs), false)?);
            if pending.len() == pending.capacity() {
                let oldest: Option<super::Gathering<'_>> = pending.pop_front();
                values.extend(oldest.map(|oldest| oldest.wait(interrupted)).transpose()?.into_iter().flatten());
            }
        }
        for last in pending {
            values.extend(last.wait(interrupted)?);
        }
        Ok(values)
    }
}

/// Bytes of all results of a graph without edges, as far as they are known.
fn known_bytes(graph: &Graph) -> u64 {
    let bytes = |output: &Input| {
        let block = u64::from(graph.tasks()[output.task as usize].block);
        graph.stage_of(output.task)?.op.output_bytes(block, &[])
    };
    graph.outputs.iter().filter_map(bytes).fold(0, u64::saturating_add)
}

/// A graph of its own for some outputs of a graph without edges.
fn window(graph: &Graph, outputs: &[Input]) -> Graph {
    let mut part = Graph::new();
    part.outputs.reserve(outputs.len());
    // Tasks of one stage mostly follow one another.
    let mut known = hashbrown::HashMap::new();
    let mut last = None;
    for output in outputs {
        let task = &graph.tasks()[output.task as usize];
        let Source::Run(stage) = task.source() else { continue };
        let own = match last {
            Some((same, own)) if same == stage => own,
            _ => *known.entry(stage).or_insert_with(|| part.stage_with(graph.stages()[stage as usize].clone())),
        };
        last = Some((stage, own));
        let row = part.task(task.key, own, task.block, &[]);
        if let Some(name) = graph.user_name(output.task) {
            part.name(row, name.clone());
        }
        part.outputs.push(output.part_idx().map_or(Input::whole(row), |number| Input::part(row, number)));
    }
    part
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::local::{Local, LocalKind, LocalOptions};
    use oxidask_core::{Error, Executor, FnOp, Key, Parts};
    use std::sync::Arc;

    /// Two stages by turns; each task answers a tuple of as many empty tuples as
    /// its block says modulo 7, and the third part of some is wanted.
    fn graph(n: usize, fails: Option<u64>) -> Graph {
        let mut graph = Graph::new();
        let tuple = move |block: u64, _: &[Value]| match fails {
            Some(at) if at == block => Err(Error::value(format!("block {block} is bad"))),
            _ => Ok(Value::new(Parts(vec![Value::new(Parts(vec![])); (block % 7) as usize]))),
        };
        let stages = [graph.stage(Arc::new(FnOp::new("one", tuple))), graph.stage(Arc::new(FnOp::new("two", tuple)))];
        for block in 0..n as u32 {
            let key = Key::named("windows").block(u64::from(block));
            let row = graph.task(key, stages[block as usize / 3 % 2], block, &[]);
            if block % 11 == 0 {
                graph.name(row, format!("my-{block}").into());
            }
            graph.outputs.push(if block % 7 == 5 { Input::part(row, 2) } else { Input::whole(row) });
        }
        graph
    }

    fn length(value: &Value) -> usize {
        value.expect::<Parts>().expect("a tuple").0.len()
    }

    #[test]
    fn what_is_computed_in_windows_is_as_if_computed_at_once() {
        let n = 4 * WINDOW + 17;
        assert!(is_divisible(&graph(n, None)));
        for kind in [LocalKind::Sync, LocalKind::Threads] {
            let executor = Local::new(LocalOptions::new(kind)).expect("starts");
            let values = executor.compute(graph(n, None), &|| Ok(())).expect("computes");
            assert_eq!(values.len(), n);
            for (block, value) in values.iter().enumerate() {
                assert_eq!(length(value), if block % 7 == 5 { 0 } else { block % 7 });
            }
            drop(values);
            assert_eq!(executor.counts(), (0, 0));
        }
    }

    #[test]
    fn an_error_or_an_interrupt_ends_all_windows() {
        let n = 3 * WINDOW;
        let executor = Local::new(LocalOptions::new(LocalKind::Threads)).expect("starts");
        for bad in [0, WINDOW as u64, n as u64 - 1] {
            let error = executor.compute(graph(n, Some(bad)), &|| Ok(())).expect_err("one is bad");
            assert!(error.to_string().contains(&format!("block {bad} is bad")), "{error}");
        }
        let mut graph = Graph::new();
        let (sender, receiver) = std::sync::mpsc::channel::<()>();
        let receiver = parking_lot::Mutex::new(receiver);
        // Waits until the interrupted caller has gone.
        let wait = move |_: u64, _: &[Value]| {
            let _ = receiver.lock().recv();
            Ok(Value::new(Parts(vec![])))
        };
        graph.outputs = graph.blocks(Key::named("waiting"), Arc::new(FnOp::new("wait", wait)), n, |_, _| {});
        assert!(is_divisible(&graph));
        let error = executor.compute(graph, &|| Err(Error::value("Ctrl-C"))).expect_err("interrupted");
        assert!(error.to_string().contains("Ctrl-C"));
        drop(sender);
        let late = executor.compute(super::tests::graph(WINDOW, None), &|| Ok(())).expect("goes on");
        assert_eq!(late.len(), WINDOW);
    }

    #[test]
    fn what_reads_the_graph_as_a_whole_has_it_whole() {
        let n = 3 * WINDOW;
        let mut twice = graph(n, None);
        twice.outputs[1] = twice.outputs[0];
        assert!(!is_divisible(&twice));
        let mut held = graph(n, None);
        let row = held.held(Key::named("held"));
        held.outputs.push(Input::whole(row));
        assert!(!is_divisible(&held));
        let mut wished = graph(n, None);
        wished.wish(&Arc::new(oxidask_core::graph::Annotations { priority: 1, ..Default::default() }));
        assert!(!is_divisible(&wished));
        assert!(!is_divisible(&graph(2 * WINDOW, None)));
    }
}

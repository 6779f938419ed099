//! Graphs without edges are computed in windows.
//!
//! A million calls that need nothing of one another would all be entered into the
//! scheduler's tables before the first one runs. In windows the tables stay as
//! small as the caches, memory grows by the results alone, and the next window is
//! entered while the one before runs. What the first windows cost tells whether
//! the tasks of later ones are short enough to go in bundles.
//!
//! It must never show: what reads the graph as a whole (observers, priorities,
//! values that are held elsewhere) has it entered as a whole.

use super::bundle::{self, Bundle, Divided};
use super::{Gathering, LocalKind, Shared, fits};
use crate::work::Costs;
use oxidask_core::graph::{Source, Stage};
use oxidask_core::{Graph, Input, Op, Parts, Result, Value};
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Most tasks a window. Two of them are enough for many threads, and their rows
/// fit into the cache that cores share.
const WINDOW: usize = 1 << 14;
/// Tasks of the first window, which tells what tasks cost; the next ones double.
const FIRST_WINDOW: usize = 512;
/// For each thread a window has so many tasks of the scheduler or more, so that
/// all threads end it at about the same time.
const SHARE: usize = 4;

/// Whether a graph may be computed window by window.
pub(super) fn is_divisible(graph: &Graph) -> bool {
    let is_run = |output: &Input| matches!(graph.tasks()[output.task as usize].source(), Source::Run(_));
    graph.outputs.len() > 4 * FIRST_WINDOW
        && graph.all_inputs().is_empty()
        && graph.stages().iter().all(|stage| stage.annotations.is_none())
        // No task is wanted twice.
        && graph.outputs.is_sorted_by(|one, next| one.task < next.task)
        && graph.outputs.iter().all(is_run)
}

/// Has the tasks that run end early once nobody waits for them.
struct GiveUp<'a>(&'a Divided);

impl Drop for GiveUp<'_> {
    fn drop(&mut self) {
        self.0.is_given_up.store(true, Ordering::Relaxed);
    }
}

impl Shared {
    /// The outputs of a divisible graph, in order.
    pub(super) fn compute_windows(&self, graph: Graph, interrupted: &dyn Fn() -> Result<()>) -> Result<Vec<Value>> {
        let divided = Arc::new(Divided { graph, is_given_up: AtomicBool::new(false) });
        let outputs = &divided.graph.outputs;
        let known_bytes = outputs.iter().filter_map(|output| divided.bytes(output)).fold(0, u64::saturating_add);
        fits::check_result(known_bytes, self.capacity)?;
        let _give_up = GiveUp(&divided);
        let mut costs = Costs::default();
        let mut values = Vec::with_capacity(outputs.len());
        let mut pending = VecDeque::with_capacity(2);
        let mut size = FIRST_WINDOW.max(SHARE * self.n_slots);
        let mut begin = 0;
        while begin < outputs.len() {
            let end = outputs.len().min(begin + size);
            let Window { graph, bundles } = self.window(&divided, &mut costs, begin..end);
            pending.push_back((self.gather(graph, false, &mut costs)?, bundles));
            if pending.len() == 2 {
                take(pending.pop_front(), outputs, interrupted, &mut values)?;
            }
            size = WINDOW.max(size).min(2 * size);
            begin = end;
        }
        while !pending.is_empty() {
            take(pending.pop_front(), outputs, interrupted, &mut values)?;
        }
        Ok(values)
    }

    /// A graph of its own for some outputs of a graph without edges.
    fn window(&self, divided: &Arc<Divided>, costs: &mut Costs, outputs: Range<usize>) -> Window {
        let mut window = Window { graph: Graph::new(), bundles: Vec::new() };
        let all = &divided.graph.outputs;
        let most = (outputs.len() / (SHARE * self.n_slots)).max(1);
        let mut begin = outputs.start;
        while begin < outputs.end {
            let stage = divided.stage(&all[begin]);
            let is_sent = self.kind == LocalKind::Processes && stage.op.runs_user_code();
            let is_alike = |output: &Input| is_alike(stage, divided.stage(output));
            let size = if is_sent { 1 } else { bundle::size(costs.of(&stage.label)).min(most) };
            let end = all[begin..outputs.end].iter().position(|output| !is_alike(output));
            let end = end.map_or(outputs.end, |at| begin + at);
            if size == 1 {
                window.add_tasks(divided, begin..end);
            } else {
                window.add_bundles(divided, costs, begin..end, size);
            }
            begin = end;
        }
        window
    }
}

/// Whether tasks of two stages may be in one bundle.
fn is_alike(one: &Stage, other: &Stage) -> bool {
    if Arc::ptr_eq(&one.op, &other.op) {
        return true;
    }
    let same_lane = match (one.op.lane(), other.op.lane()) {
        (None, None) => true,
        (Some(one), Some(other)) => std::ptr::addr_eq(one, other),
        _ => false,
    };
    same_lane && one.label == other.label && one.op.runs_user_code() == other.op.runs_user_code()
}

/// Some outputs of a divided graph.
struct Window {
    /// Wants bundles and single tasks, in the order of the outputs.
    graph: Graph,
    /// The outputs that each of these stands for.
    bundles: Vec<Range<u32>>,
}

impl Window {
    /// Adds tasks as they are.
    fn add_tasks(&mut self, divided: &Divided, outputs: Range<usize>) {
        let graph = &divided.graph;
        let mut last: Option<(*const (), u32)> = None;
        for at in outputs {
            let output = &graph.outputs[at];
            let (task, stage) = (&graph.tasks()[output.task as usize], divided.stage(output));
            let address = Arc::as_ptr(&stage.op).cast::<()>();
            // Tasks of one stage mostly follow one another.
            let own = match last {
                Some((same, own)) if same == address => own,
                _ => self.graph.stage_with(stage.clone()),
            };
            last = Some((address, own));
            let row = self.graph.task(task.key, own, task.block, &[]);
            if let Some(name) = graph.user_name(output.task) {
                self.graph.name(row, name.clone());
            }
            self.graph.outputs.push(Input::whole(row));
            self.bundles.push(at as u32..at as u32 + 1);
        }
    }

    /// Adds tasks that are alike, as bundles of `size` or less.
    fn add_bundles(&mut self, divided: &Arc<Divided>, costs: &mut Costs, outputs: Range<usize>, size: usize) {
        let first = self.bundles.len();
        let mut begin = outputs.start;
        while begin < outputs.end {
            let end = bundle::end(divided, begin, outputs.end.min(begin + size));
            self.bundles.push(begin as u32..end as u32);
            begin = end;
        }
        let label = &divided.stage(&divided.graph.outputs[outputs.start]).label;
        let bundles = &self.bundles[first..];
        let op: Arc<dyn Op> = Arc::new(Bundle::new(divided, costs, label, bundles.to_vec()));
        // A label of its own: what bundles cost says nothing about tasks.
        let stage = self.graph.stage_with(Stage { label: format!("bundles of {label}").into(), op, annotations: None });
        for block in 0..bundles.len() as u32 {
            let row = self.graph.task(Bundle::key(), stage, block, &[]);
            self.graph.outputs.push(Input::whole(row));
        }
    }
}

/// Waits for a window and appends its values to `values`.
fn take(
    window: Option<(Gathering<'_>, Vec<Range<u32>>)>,
    outputs: &[Input],
    interrupted: &dyn Fn() -> Result<()>,
    values: &mut Vec<Value>,
) -> Result<()> {
    let Some((gathering, bundles)) = window else { return Ok(()) };
    for (value, Range { start, end }) in gathering.wait(interrupted)?.into_iter().zip(bundles) {
        let outputs = &outputs[start as usize..end as usize];
        if let [output] = outputs {
            values.push(value.part(output.part_idx())?);
            continue;
        }
        let parts = value
            .into_unique::<Parts>()
            .map(|parts| parts.0)
            .or_else(|shared| shared.expect::<Parts>().map(|parts| parts.0.clone()))?;
        for (value, output) in parts.into_iter().zip(outputs) {
            values.push(if output.part_idx().is_none() { value } else { value.part(output.part_idx())? });
        }
    }
    Ok(())
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
        assert!(!is_divisible(&graph(4 * FIRST_WINDOW, None)));
    }

    /// `n` tasks of one stage.
    fn alike(n: usize, run: impl Fn(u64) -> Result<Value> + Send + Sync + 'static) -> Graph {
        let mut graph = Graph::new();
        let op = FnOp::new("alike", move |block, _: &[Value]| run(block));
        graph.outputs = graph.blocks(Key::named("alike"), Arc::new(op), n, |_, _| {});
        graph
    }

    fn empty() -> Value {
        Value::new(Parts(vec![]))
    }

    #[test]
    fn short_tasks_go_through_the_scheduler_in_bundles_and_long_ones_alone() {
        let executor = Local::new(LocalOptions::new(LocalKind::Threads)).expect("starts");
        let divided = |n| {
            let graph = alike(n, |_| Ok(empty()));
            Arc::new(Divided { graph, is_given_up: AtomicBool::new(false) })
        };
        let rows = |nanos, bytes| {
            let (mut costs, divided) = (Costs::default(), divided(WINDOW));
            costs.of(&divided.stage(&divided.graph.outputs[0]).label).took(nanos, bytes);
            let window = executor.shared.window(&divided, &mut costs, 0..WINDOW);
            assert_eq!(window.bundles.first().map(|bundle| bundle.start), Some(0));
            assert!(window.bundles.is_sorted_by(|one, next| one.end == next.start));
            assert_eq!(window.bundles.last().map(|bundle| bundle.end as usize), Some(WINDOW));
            window.graph.len()
        };
        assert!(rows(10, 8) <= (WINDOW / 64).max(SHARE * executor.shared.n_slots));
        assert_eq!(rows(1_000_000, 8), WINDOW, "long tasks go alone");
        assert_eq!(rows(10, 1 << 20), WINDOW, "large results go alone");
    }

    #[test]
    fn a_task_of_a_bundle_fails_under_its_own_name() {
        let executor = Local::new(LocalOptions::new(LocalKind::Threads)).expect("starts");
        let (n, bad) = (3 * WINDOW, 2 * WINDOW + 77);
        let mut graph =
            alike(n, move |block| if block == bad as u64 { Err(Error::value("no such thing")) } else { Ok(empty()) });
        graph.name(bad as u32, "my-own-name".into());
        let error = executor.compute(graph, &|| Ok(())).expect_err("one is bad");
        assert_eq!(error.key(), Some("my-own-name"));
        let graph = alike(n, move |block| if block == bad as u64 { panic!("it broke") } else { Ok(empty()) });
        let name = graph.name_of(bad as u32);
        let error = executor.compute(graph, &|| Ok(())).expect_err("one panics");
        assert_eq!(error.key(), Some(&*name));
        assert!(error.to_string().contains("it broke"), "{error}");
    }

    #[test]
    fn a_bundle_that_nobody_waits_for_ends_after_the_task_at_hand() {
        use std::sync::atomic::AtomicU64;
        let executor = Local::new(LocalOptions::new(LocalKind::Threads)).expect("starts");
        let n = 4 * WINDOW;
        let (gate, ran) = (Arc::new(parking_lot::Mutex::new(())), Arc::new(AtomicU64::new(0)));
        let closed = gate.lock();
        let (waits, counts) = (gate.clone(), ran.clone());
        let graph = alike(n, move |block| {
            // The first windows show short tasks; then one waits for the test.
            if block > WINDOW as u64 {
                drop(waits.lock());
            }
            counts.fetch_add(1, Ordering::Relaxed);
            Ok(empty())
        });
        let before = ran.clone();
        let interrupt = move || {
            if before.load(Ordering::Relaxed) > WINDOW as u64 { Err(Error::value("Ctrl-C")) } else { Ok(()) }
        };
        let error = executor.compute(graph, &interrupt).expect_err("interrupted");
        assert!(error.to_string().contains("Ctrl-C"), "{error}");
        let at_end = ran.load(Ordering::Relaxed);
        drop(closed);
        drop(executor);
        let late = ran.load(Ordering::Relaxed) - at_end;
        let n_threads = std::thread::available_parallelism().map_or(1, usize::from) as u64;
        assert!(late <= n_threads, "{late} tasks ran after nobody waited for them");
    }
}

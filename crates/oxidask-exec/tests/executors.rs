//! What every executor of one process must do.

#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

mod common;

use common::*;
use oxidask_core::{Error, ErrorKind, Executor, FnOp, Graph, Input, Key, Status, Value};
use oxidask_exec::{Local, LocalKind, LocalOptions, serve_child};
use proptest::prelude::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// The children of these tests run this.
#[test]
#[ignore = "not a test"]
fn child_entry() {
    serve_child().unwrap();
}

/// A random graph: for each task its inputs, whether it is user code; and which
/// tasks are wanted.
type Plan = (Vec<(Vec<prop::sample::Index>, bool)>, Vec<prop::sample::Index>);

fn plans() -> impl Strategy<Value = Plan> {
    let task = (prop::collection::vec(any::<prop::sample::Index>(), 0..4), any::<bool>());
    (prop::collection::vec(task, 1..60), prop::collection::vec(any::<prop::sample::Index>(), 1..5))
}

/// The graph of a plan, and what its outputs are.
fn build(plan: &Plan, salt: &str) -> (Graph, Vec<i64>) {
    let mut graph = Graph::new();
    let stages = [false, true].map(|user_code| graph.stage(Arc::new(Add { plus: 5, user_code })));
    let mut values: Vec<i64> = Vec::new();
    for (idx, (inputs, user_code)) in plan.0.iter().enumerate() {
        let inputs: Vec<u32> =
            if idx == 0 { vec![] } else { inputs.iter().map(|input| input.index(idx) as u32).collect() };
        let pieces: Vec<Input> = inputs.iter().map(|&input| Input::whole(input)).collect();
        graph.task(Key::named(&format!("{salt} {idx}")), stages[usize::from(*user_code)], idx as u32, &pieces);
        let value =
            inputs.iter().fold(5 + idx as i64, |sum, &input| sum.wrapping_mul(3).wrapping_add(values[input as usize]));
        values.push(value);
    }
    graph.outputs = plan.1.iter().map(|output| Input::whole(output.index(plan.0.len()) as u32)).collect();
    let expected = graph.outputs.iter().map(|output| values[output.task as usize]).collect();
    (graph, expected)
}

#[test]
fn random_graphs_are_computed_right() {
    for kind in ALL {
        let executor = local(kind);
        let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(60));
        let salt = AtomicUsize::new(0);
        runner
            .run(&plans(), |plan| {
                let (graph, expected) = build(&plan, &format!("{kind:?} {}", salt.fetch_add(1, Ordering::Relaxed)));
                let values = compute(&executor, graph.clone()).unwrap();
                prop_assert_eq!(values.iter().map(number).collect::<Vec<_>>(), expected.clone());
                let futures = executor.submit(graph).unwrap();
                let results = futures.iter().map(|future| number(&future.result(None).unwrap())).collect::<Vec<_>>();
                prop_assert_eq!(results, expected);
                Ok(())
            })
            .unwrap();
        eventually("everything is forgotten", || executor.counts() == (0, 0));
    }
}

#[test]
fn an_error_names_its_task_and_spares_the_rest() {
    for kind in ALL {
        let executor = local(kind);
        for (deed, words, error_kind) in
            [(Deed::Error, "a deed went wrong", ErrorKind::Value), (Deed::Panic, "very wrong", ErrorKind::Task)]
        {
            let mut graph = one(Bad(deed), "bad");
            let add = graph.stage(Arc::new(Add { plus: 0, user_code: false }));
            let after = graph.task(Key::named("after"), add, 0, &[Input::whole(0)]);
            graph.outputs = vec![Input::whole(after)];
            graph.name(0, "my-task".into());
            let error = compute(&executor, graph).unwrap_err();
            assert!(error.message().contains(words), "{kind:?}: {error}");
            assert_eq!((error.kind(), error.key()), (error_kind, Some("my-task")), "{kind:?}");
        }
        let values = compute(&executor, one(Add { plus: 4, user_code: true }, "fine")).unwrap();
        assert_eq!(number(&values[0]), 4);
        eventually("everything is forgotten", || executor.counts() == (0, 0));
    }
}

#[test]
fn equal_keys_run_once_and_held_values_are_used() {
    for kind in [LocalKind::Sync, LocalKind::Threads] {
        let executor = local(kind);
        let n_runs = Arc::new(AtomicUsize::new(0));
        let graph = |key: &str| {
            let n_runs = n_runs.clone();
            one(
                FnOp::new("count", move |_, _: &[Value]| {
                    n_runs.fetch_add(1, Ordering::Relaxed);
                    Ok(Value::new(Number(3)))
                }),
                key,
            )
        };
        let held = executor.submit(graph("same")).unwrap();
        let again = executor.submit(graph("same")).unwrap();
        assert_eq!(number(&again[0].result(None).unwrap()), 3);
        assert_eq!(n_runs.load(Ordering::Relaxed), 1);

        let mut uses = Graph::new();
        let before = uses.held(Key::named("same"));
        let add = uses.stage(Arc::new(Add { plus: 1, user_code: false }));
        let task = uses.task(Key::named("uses"), add, 0, &[Input::whole(before)]);
        uses.outputs.push(Input::whole(task));
        assert_eq!(number(&compute(&executor, uses.clone()).unwrap()[0]), 6);

        drop((held, again));
        eventually("everything is forgotten", || executor.counts() == (0, 0));
        let error = compute(&executor, uses).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Lost);
        compute(&executor, graph("same")).unwrap();
        assert_eq!(n_runs.load(Ordering::Relaxed), 2);
    }
}

#[test]
fn scattered_values_and_parts_are_read() {
    for kind in ALL {
        let executor = local(kind);
        let futures = executor.scatter(vec![(Key::named("a"), Value::new(Number(10)))]).unwrap();
        assert_eq!(number(&futures[0].result(None).unwrap()), 10);

        for user_code in [false, true] {
            let mut graph = Graph::new();
            let split = graph.stage(Arc::new(Split { n_parts: 4, part_len: 100_000, user_code }));
            let total = graph.stage(Arc::new(Total { user_code }));
            let whole = graph.task(Key::named(&format!("split {user_code}")), split, 1, &[]);
            let inputs = [Input::part(whole, 2), Input::part(whole, 3)];
            let sum = graph.task(Key::named(&format!("sum {user_code}")), total, 0, &inputs);
            graph.outputs = vec![Input::whole(sum), Input::part(whole, 3)];
            let values = compute(&executor, graph).unwrap();
            assert_eq!(number(&values[0]), (3 + 2) * 100_000, "{kind:?}");
            assert_eq!(values[1].expect::<Block>().unwrap().0[..], vec![2; 100_000][..]);
        }
    }
}

#[test]
fn cancelled_and_dropped_work_stops() {
    for kind in [LocalKind::Threads, LocalKind::Processes] {
        let executor = local(kind);
        let slow = executor.submit(one(Bad(Deed::Sleep(300)), "slow")).unwrap();
        let mut graph = Graph::new();
        let held = graph.held(Key::named("slow"));
        let add = graph.stage(Arc::new(Add { plus: 0, user_code: false }));
        let after = graph.task(Key::named("after"), add, 0, &[Input::whole(held)]);
        graph.outputs.push(Input::whole(after));
        let after = executor.submit(graph).unwrap();
        assert_eq!(after[0].status(), Status::Pending);
        slow[0].cancel();
        assert_eq!(after[0].result(None).unwrap_err().kind(), ErrorKind::Cancelled);
        assert_eq!(slow[0].status(), Status::Cancelled);
        drop((slow, after));
        eventually("everything is forgotten", || executor.counts() == (0, 0));
    }
}

#[test]
fn an_interrupted_compute_returns_at_once() {
    for kind in [LocalKind::Threads, LocalKind::Processes] {
        let executor = local(kind);
        let begin = Instant::now();
        let interrupted = || Err(Error::new(ErrorKind::Interrupted, "Ctrl-C"));
        let error = executor.compute(one(Bad(Deed::Sleep(20_000)), "slow"), &interrupted).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Interrupted);
        executor.close();
        assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    }
}

#[test]
fn callbacks_are_called_once() {
    let executor = local(LocalKind::Threads);
    let n_calls = Arc::new(AtomicUsize::new(0));
    let futures = executor.submit(one(Bad(Deed::Sleep(50)), "slow")).unwrap();
    for _ in 0..2 {
        let n_calls = n_calls.clone();
        futures[0].on_done(move || {
            n_calls.fetch_add(1, Ordering::Relaxed);
        });
        futures[0].result(None).unwrap();
    }
    eventually("both were called", || n_calls.load(Ordering::Relaxed) == 2);
}

#[test]
fn a_task_may_compute_and_wait_on_its_own_executor() {
    for kind in [LocalKind::Sync, LocalKind::Threads] {
        let executor = local(kind);
        let inner = Arc::new(executor.clone());
        let weak = Arc::downgrade(&inner);
        let nested = FnOp::new("nested", move |block, _: &[Value]| {
            let executor = weak.upgrade().ok_or_else(|| Error::value("the executor is gone"))?;
            let value = executor.compute(one(Add { plus: 1, user_code: false }, &format!("in {block}")), &|| Ok(()))?;
            let futures = executor.submit(one(Add { plus: 2, user_code: false }, &format!("future {block}")))?;
            Ok(Value::new(Number(number(&value[0]) + number(&futures[0].result(None)?))))
        });
        let mut graph = Graph::new();
        graph.outputs = graph.blocks(Key::named("nested"), Arc::new(nested), 50, |_, _| {});
        let values = compute(&executor, graph).unwrap();
        assert!(values.iter().all(|value| number(value) == 3));
    }
}

#[test]
fn a_timeout_tells_what_the_result_waits_for() {
    let executor = local(LocalKind::Threads);
    let (sender, receiver) = std::sync::mpsc::channel::<()>();
    let receiver = std::sync::Mutex::new(receiver);
    let wait = move |_: u64, _: &[Value]| {
        let _ = receiver.lock().map(|receiver| receiver.recv());
        Ok(Value::new(oxidask_core::Parts(vec![])))
    };
    let mut graph = Graph::new();
    graph.outputs = graph.blocks(Key::named("late"), Arc::new(FnOp::new("late", wait)), 1, |_, _| {});
    let futures = executor.submit(graph).unwrap();
    let error = futures[0].result(Some(Duration::from_millis(20))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.to_string().contains("late-"), "{error}");
    drop(sender);
    futures[0].result(None).unwrap();
}

#[test]
fn a_closed_executor_says_so() {
    for kind in ALL {
        let executor = local(kind);
        let futures = executor.submit(one(Add { plus: 1, user_code: false }, "a")).unwrap();
        futures[0].result(None).unwrap();
        executor.close();
        assert_eq!(futures[0].result(None).unwrap_err().kind(), ErrorKind::Closed);
        assert_eq!(
            compute(&executor, one(Add { plus: 1, user_code: false }, "b")).unwrap_err().kind(),
            ErrorKind::Closed
        );
        executor.close();
    }
}

#[test]
fn bad_options_are_refused() {
    let error = Local::new(LocalOptions { n_workers: Some(0), ..options(LocalKind::Threads) }).err().unwrap();
    assert!(error.message().contains("not 0"), "{error}");
    assert!(Local::new(LocalOptions::new(LocalKind::Processes)).is_err());
}

/// Counts what an observer sees.
#[derive(Default)]
struct Seen {
    started: AtomicUsize,
    expected: AtomicUsize,
    tasks: AtomicUsize,
    failed: AtomicUsize,
    finished: AtomicUsize,
    finished_early: AtomicUsize,
}

impl oxidask_core::events::Observer for Seen {
    fn graph_started(&self, _: u64, tasks: &[(Arc<str>, u64)]) {
        self.started.fetch_add(1, Ordering::SeqCst);
        self.expected.fetch_add(tasks.iter().map(|(_, n)| *n as usize).sum(), Ordering::SeqCst);
    }

    fn tasks_finished(&self, tasks: &[oxidask_core::events::TaskFinished]) {
        self.tasks.fetch_add(tasks.len(), Ordering::SeqCst);
        self.failed.fetch_add(tasks.iter().filter(|task| !task.ok).count(), Ordering::SeqCst);
        assert!(tasks.iter().all(|task| task.start_ns <= task.stop_ns && !task.label.is_empty()));
    }

    fn graph_finished(&self, _: u64, error: Option<&Error>) {
        self.finished.fetch_add(1, Ordering::SeqCst);
        let is_early = error.is_none() && self.tasks.load(Ordering::SeqCst) < self.expected.load(Ordering::SeqCst);
        self.finished_early.fetch_add(usize::from(is_early), Ordering::SeqCst);
    }
}

#[test]
fn observers_see_every_task_and_the_end_last() {
    for kind in ALL {
        let executor = local(kind);
        let seen = Arc::new(Seen::default());
        let guard = executor.watch(seen.clone());
        let mut graph = Graph::new();
        let add = Add { plus: 0, user_code: true };
        let leaves = graph.blocks(Key::named("leaves"), Arc::new(add), 1000, |_, _| {});
        graph.outputs =
            graph.blocks(Key::named("roots"), Arc::new(Add { plus: 0, user_code: false }), 1000, |block, inputs| {
                inputs.push(leaves[block])
            });
        compute(&executor, graph).unwrap();
        compute(&executor, one(Bad(Deed::Error), "bad")).unwrap_err();
        drop(guard);
        let counts = [&seen.started, &seen.expected, &seen.tasks, &seen.failed, &seen.finished, &seen.finished_early]
            .map(|count| count.load(Ordering::SeqCst));
        assert_eq!(counts, [2, 2001, 2001, 1, 2, 0], "{kind:?}");
        compute(&executor, one(Add { plus: 0, user_code: false }, "unseen")).unwrap();
        assert_eq!(seen.tasks.load(Ordering::SeqCst), 2001);
    }
}

/// A lane that counts how often it is entered.
struct Counting {
    lock: std::sync::Mutex<()>,
    entered: AtomicUsize,
}

impl oxidask_core::Lane for Counting {
    fn enter(&self, batch: &mut dyn FnMut()) {
        let _lock = self.lock.lock();
        self.entered.fetch_add(1, Ordering::Relaxed);
        batch();
    }
}

static LANE: Counting = Counting { lock: std::sync::Mutex::new(()), entered: AtomicUsize::new(0) };

/// Runs in the lane and notices if two do.
struct InLane;

impl oxidask_core::OpCodec for InLane {
    fn kind(&self) -> &'static str {
        "in-lane"
    }

    fn encode(&self) -> oxidask_core::Result<oxidask_core::EncodedOp> {
        Err(Error::unsupported("stays here"))
    }
}

impl oxidask_core::Op for InLane {
    fn run(&self, _: u64, _: &[Value]) -> oxidask_core::Result<Value> {
        let is_alone = LANE.lock.try_lock().is_err();
        Ok(Value::new(Number(i64::from(is_alone))))
    }

    fn lane(&self) -> Option<&'static dyn oxidask_core::Lane> {
        Some(&LANE)
    }
}

#[test]
fn tasks_of_a_lane_run_within_it_many_at_a_time() {
    let executor = local(LocalKind::Threads);
    let mut graph = Graph::new();
    graph.outputs = graph.blocks(Key::named("in lane"), Arc::new(InLane), 10_000, |_, _| {});
    let values = compute(&executor, graph).unwrap();
    assert!(values.iter().all(|value| number(value) == 1));
    let entered = LANE.entered.load(Ordering::Relaxed);
    assert!(entered < 1000, "entered {entered} times");
}

#[test]
fn a_task_is_tried_again_as_often_as_told() {
    for kind in [LocalKind::Sync, LocalKind::Threads] {
        let executor = local(kind);
        for (retries, succeeds) in [(2, false), (3, true)] {
            let n_tries = Arc::new(AtomicUsize::new(0));
            let tries = n_tries.clone();
            let op = FnOp::new("flaky", move |_, _: &[Value]| {
                if tries.fetch_add(1, Ordering::Relaxed) < 3 {
                    Err(Error::value("not yet"))
                } else {
                    Ok(Value::new(Number(1)))
                }
            });
            let mut graph = Graph::new();
            let annotations = oxidask_core::Annotations { retries, ..Default::default() };
            let stage = graph.stage_with(oxidask_core::Stage {
                op: Arc::new(op),
                label: "flaky".into(),
                annotations: Some(Arc::new(annotations)),
            });
            let task = graph.task(Key::named(&format!("flaky {retries}")), stage, 0, &[]);
            graph.outputs.push(Input::whole(task));
            assert_eq!(compute(&executor, graph).is_ok(), succeeds);
            assert_eq!(n_tries.load(Ordering::Relaxed), retries as usize + 1);
        }
    }
}

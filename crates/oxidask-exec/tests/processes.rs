//! User code in child processes: crashes, shared memory, nothing left behind.

#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

mod common;

use common::*;
use oxidask_core::{ErrorKind, Executor, FnOp, Graph, Input, Key, Value};
use oxidask_exec::{ChildCommand, Local, LocalKind, LocalOptions, serve_child};
use std::sync::Arc;

/// The children of these tests run this.
#[test]
#[ignore = "not a test"]
fn child_entry() {
    serve_child().unwrap();
}

fn processes() -> Local {
    local(LocalKind::Processes)
}

/// Whether a process is there and not just a corpse.
fn is_alive(process: i64) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, fields)| !fields.trim_start().starts_with('Z'))
}

/// The process in which an executor runs user code.
fn child_of(executor: &Local, key: &str) -> i64 {
    number(&compute(executor, one(Bad(Deed::Tell), key)).unwrap()[0])
}

#[test]
fn user_code_runs_elsewhere_and_native_code_here() {
    let executor = processes();
    for user_code in [true, false] {
        let mut graph = Graph::new();
        let make = graph.stage(Arc::new(Make { len: 1 << 20, user_code, known: false }));
        let total = graph.stage(Arc::new(Total { user_code: !user_code }));
        for block in 0..20 {
            let made = graph.task(Key::named(&format!("make {user_code} {block}")), make, block, &[]);
            let inputs = [Input::whole(made), Input::whole(made)];
            let summed = graph.task(Key::named(&format!("total {user_code} {block}")), total, block, &inputs);
            graph.outputs.extend([Input::whole(made), Input::whole(summed)]);
        }
        let values = compute(&executor, graph).unwrap();
        for (block, pair) in values.chunks(2).enumerate() {
            assert_eq!(pair[0].expect::<Block>().unwrap().0[..], vec![block as u8; 1 << 20][..]);
            assert_eq!(number(&pair[1]), (block as i64) << 21);
        }
    }
}

#[test]
fn a_death_costs_one_task_and_is_explained() {
    let executor = processes();
    for (deed, words) in [
        (Deed::Exit(3), "exited with status 3"),
        (Deed::Kill, "was killed by signal 9 (SIGKILL"),
        (Deed::Abort, "was killed by signal 6 (SIGABRT)"),
        (Deed::Segfault, "was killed by signal 11 (SIGSEGV"),
    ] {
        let key = format!("{deed:?}");
        let mut graph = Graph::new();
        let add = graph.stage(Arc::new(Add { plus: 1, user_code: true }));
        let good: Vec<Input> = (0..50)
            .map(|block| Input::whole(graph.task(Key::named(&format!("{key} {block}")), add, block, &[])))
            .collect();
        graph.outputs = good;
        let bad = executor.submit(one(Bad(deed), &key)).unwrap();
        let values = compute(&executor, graph).unwrap();
        assert_eq!(values.iter().map(number).collect::<Vec<_>>(), (1..51).collect::<Vec<_>>());
        let error = bad[0].result(None).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Lost);
        assert!(error.message().contains(words), "{error}");
        assert!(error.message().contains("that ran 'test.bad-"), "{error}");
    }
}

#[test]
fn a_task_that_eats_memory_is_ended_and_told_so() {
    let executor = Local::new(LocalOptions { memory_limit: Some(192 << 20), ..options(LocalKind::Processes) }).unwrap();
    // Far more than the limit, and far less than the machine has.
    let error = compute(&executor, one(Bad(Deed::Eat(4 << 30)), "eater")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Lost);
    assert!(error.message().contains("before the memory limit of 192 MiB was reached"), "{error}");
    assert!(error.message().contains("that ran 'test.bad-"), "{error}");
    // Others go on.
    assert_eq!(number(&compute(&executor, one(Add { plus: 3, user_code: true }, "after")).unwrap()[0]), 3);
}

#[test]
fn an_interrupt_returns_soon_and_leaves_no_child() {
    let executor = Local::new(LocalOptions { n_workers: Some(1), ..options(LocalKind::Processes) }).unwrap();
    let child = child_of(&executor, "who");
    let begin = std::time::Instant::now();
    let interrupted = || Err(oxidask_core::Error::new(ErrorKind::Interrupted, "the user pressed Ctrl-C"));
    let error = executor.compute(one(Bad(Deed::Sleep(60_000)), "long"), &interrupted).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Interrupted);
    assert!(begin.elapsed() < std::time::Duration::from_secs(30), "it waited for the task");
    // The only place is free again: the task was ended if it had begun.
    let next = child_of(&executor, "next");
    executor.close();
    eventually("no child is left", || !is_alive(child) && !is_alive(next));
}

#[test]
fn a_task_that_dies_once_is_run_again() {
    let executor = processes();
    let folder = tempfile::tempdir().unwrap();
    let values = compute(&executor, one(Bad(Deed::KillOnce(folder.path().join("mark"))), "once")).unwrap();
    assert_eq!(number(&values[0]), 7);
}

#[test]
fn an_op_that_cannot_travel_is_refused_by_name() {
    struct Closure;
    impl oxidask_core::OpCodec for Closure {
        fn kind(&self) -> &'static str {
            "my-closure"
        }
        fn encode(&self) -> oxidask_core::Result<oxidask_core::EncodedOp> {
            FnOp::new("my-closure", |_, _: &[Value]| Ok(Value::new(Number(1)))).encode()
        }
    }
    use oxidask_core::Op;
    impl Op for Closure {
        fn run(&self, _: u64, _: &[Value]) -> oxidask_core::Result<Value> {
            Ok(Value::new(Number(1)))
        }
        fn runs_user_code(&self) -> bool {
            true
        }
    }
    let error = compute(&processes(), one(Closure, "closure")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("my-closure"), "{error}");
}

#[test]
fn a_child_that_does_not_serve_is_explained() {
    let command = |program: &str| ChildCommand { program: program.into(), args: vec![], env: vec![] };
    for (program, words) in [("/bin/true", "exited with status 0"), ("/no/such/program", "/no/such/program")] {
        let executor =
            Local::new(LocalOptions { child: Some(command(program)), ..options(LocalKind::Processes) }).unwrap();
        let error = compute(&executor, one(Add { plus: 0, user_code: true }, "never")).unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[test]
fn a_cancelled_task_frees_its_process_and_none_is_left() {
    let executor = processes();
    let slow = executor.submit(one(Bad(Deed::Sleep(60_000)), "slow")).unwrap();
    let child = child_of(&executor, "warm");
    assert!(is_alive(child) && child != i64::from(std::process::id()));
    slow[0].cancel();
    drop(slow);
    // Both processes are free again long before the task would have ended.
    let mut graph = Graph::new();
    graph.outputs = graph.blocks(Key::named("after"), Arc::new(Add { plus: 0, user_code: true }), 1000, |_, _| {});
    assert_eq!(compute(&executor, graph).unwrap().len(), 1000);
    eventually("the cancelled task is forgotten", || executor.counts() == (0, 0));
    executor.close();
    assert!(!is_alive(child));
}

/// Not a test: a program that is killed while its child works.
#[test]
#[ignore = "not a test"]
fn victim() {
    let executor = processes();
    println!("child {}", child_of(&executor, "who"));
    compute(&executor, one(Bad(Deed::Sleep(600_000)), "slow")).unwrap();
}

#[test]
fn children_do_not_outlive_a_parent_that_is_killed() {
    use std::io::{BufRead, BufReader};
    let mut victim = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["victim", "--exact", "--ignored", "--nocapture"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(victim.stdout.take().unwrap()).lines();
    let child: i64 = lines
        .map_while(Result::ok)
        .find_map(|line| line.split_once("child ")?.1.trim().parse().ok())
        .expect("the victim names its child");
    assert!(is_alive(child));
    victim.kill().unwrap();
    victim.wait().unwrap();
    eventually("the child is gone", || !is_alive(child));
}

#[test]
fn a_child_that_is_killed_while_idle_is_replaced() {
    let executor = Local::new(LocalOptions { n_workers: Some(1), ..options(LocalKind::Processes) }).unwrap();
    let child = child_of(&executor, "first");
    std::process::Command::new("kill").args(["-9", &child.to_string()]).status().unwrap();
    eventually("the child is gone", || !is_alive(child));
    let next = child_of(&executor, "second");
    assert!(next != child && is_alive(next));
}

#[test]
fn tasks_cancelled_before_or_while_they_run_hold_nobody_up() {
    let executor = processes();
    let begin = std::time::Instant::now();
    for round in 0..30 {
        let slow = executor.submit(one(Bad(Deed::Sleep(120_000)), &format!("slow {round}"))).unwrap();
        // Sooner or later on its way to the child and through it.
        std::thread::sleep(std::time::Duration::from_micros(300 * (round % 10)));
        slow[0].cancel();
    }
    assert_eq!(number(&compute(&executor, one(Add { plus: 3, user_code: true }, "after")).unwrap()[0]), 3);
    eventually("everything is forgotten", || executor.counts() == (0, 0));
    assert!(begin.elapsed() < std::time::Duration::from_secs(100));
}

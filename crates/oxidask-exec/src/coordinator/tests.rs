use super::accept::priority;
use super::*;
use oxidask_core::graph::Annotations;
use oxidask_sched::{Attempt, Compute, Piece, UNKNOWN_BYTES};

const CLIENT: ClientId = ClientId(0);
const WORKER: WorkerId = WorkerId(0);

fn key(number: u64) -> Key {
    Key(u128::from(number))
}

/// A submission of tasks given as (key, inputs), all of one stage; the last one
/// is wanted.
fn submission(tasks: &[(u64, &[u32])]) -> Submission<&'static str> {
    let mut inputs = Vec::new();
    let rows = tasks.iter().enumerate().map(|(row, (number, inputs_of))| {
        let inputs_start = inputs.len() as u32;
        inputs.extend(inputs_of.iter().map(|&input| (input, Piece::WHOLE)));
        TaskRow {
            key: key(*number),
            source: RowSource::Run(0),
            block: row as u32,
            inputs_start,
            n_inputs: inputs_of.len() as u32,
            rank: row as u32,
            bytes: UNKNOWN_BYTES,
        }
    });
    let tasks: Vec<TaskRow> = rows.collect();
    Submission {
        stages: vec![NewStage { handle: "op", label: "add".into(), annotations: None }],
        outputs: vec![tasks.len() as u32 - 1],
        tasks,
        inputs,
        names: Vec::new(),
    }
}

fn with_worker() -> Coordinator<&'static str> {
    let mut coordinator = Coordinator::new(SchedulerConfig::default());
    let name = coordinator.worker_name("w");
    let joined =
        SchedulerEvent::WorkerJoined { worker: WORKER, name, slots: 100, memory_limit: u64::MAX, resources: vec![] };
    coordinator.handle(0, joined);
    coordinator
}

fn effects(coordinator: &mut Coordinator<&'static str>) -> Vec<Effect<&'static str>> {
    let mut effects = Vec::new();
    coordinator.take_effects(&mut effects);
    effects
}

/// The orders to compute among the effects, with their jobs.
fn computes(effects: Vec<Effect<&'static str>>) -> Vec<(Compute, Job<&'static str>)> {
    let compute = |effect| match effect {
        Effect::Order { order: Order::Compute(compute), job: Some(job), .. } => Some((compute, job)),
        _ => None,
    };
    effects.into_iter().filter_map(compute).collect()
}

fn done(coordinator: &mut Coordinator<&'static str>, task: TaskId, attempt: Attempt) {
    coordinator.report(1, WORKER, Report::Done { task, attempt, bytes: 1, duration: 1 }, None);
}

#[test]
fn only_what_is_needed_and_unknown_is_run() {
    let mut coordinator = with_worker();
    // The third task is needed by nobody; the fourth does the work of the first.
    let first = submission(&[(1, &[]), (2, &[0]), (9, &[]), (1, &[]), (3, &[1, 3])]);
    let accepted = coordinator.submit(0, CLIENT, &first).unwrap();
    assert_eq!(accepted.labels, vec![(Arc::from("add"), 3)]);
    let started = computes(effects(&mut coordinator));
    assert_eq!(started.iter().map(|(_, job)| job.key).collect::<Vec<_>>(), vec![key(1)]);

    let again = coordinator.submit(0, ClientId(1), &submission(&[(1, &[]), (2, &[0]), (7, &[1])])).unwrap();
    assert_eq!(again.labels, vec![(Arc::from("add"), 1)]);
    assert!(computes(effects(&mut coordinator)).is_empty(), "what runs is not run again");
    assert_eq!(coordinator.n_tasks(), 4);

    done(&mut coordinator, started[0].0.task, started[0].0.attempt);
    let next = computes(effects(&mut coordinator));
    assert_eq!((next.len(), next[0].1.key, next[0].1.handle, next[0].1.block), (1, key(2), "op", 1));
}

#[test]
fn everything_is_forgotten_and_numbers_are_used_again() {
    let mut coordinator = with_worker();
    for _ in 0..3 {
        let mut named = submission(&[(1, &[]), (2, &[0])]);
        named.names = vec![(1, "mine".into())];
        let accepted = coordinator.submit(0, CLIENT, &named).unwrap();
        assert_eq!(coordinator.name_of(accepted.outputs[0]), "mine");
        let mut is_dropped = false;
        for _ in 0..2 {
            for (compute, _) in computes(effects(&mut coordinator)) {
                done(&mut coordinator, compute.task, compute.attempt);
            }
        }
        let ended = effects(&mut coordinator);
        assert!(ended.iter().any(|effect| matches!(effect, Effect::Ended { end: TaskEnd::Done { .. }, .. })));
        coordinator.handle(2, SchedulerEvent::ClientGone(CLIENT));
        for effect in effects(&mut coordinator) {
            is_dropped |= matches!(effect, Effect::StageDropped { stage: 1, handle: "op" });
        }
        assert!(is_dropped);
        assert_eq!((coordinator.n_tasks(), coordinator.names.len(), coordinator.rows.len()), (0, 0, 0));
    }
}

#[test]
fn an_error_reaches_those_who_need_the_task() {
    let mut coordinator = with_worker();
    let accepted = coordinator.submit(0, CLIENT, &submission(&[(1, &[]), (2, &[0])])).unwrap();
    let (compute, _) = computes(effects(&mut coordinator)).remove(0);
    let failed = Report::Failed { task: compute.task, attempt: compute.attempt, failure: Failure::Error };
    coordinator.report(1, WORKER, failed, Some(Error::value("went wrong")));
    let ended = effects(&mut coordinator);
    let [Effect::Ended { client: CLIENT, task, end: TaskEnd::Failed(error) }] = &ended[..] else { panic!("{ended:?}") };
    assert_eq!((*task, error.message()), (accepted.outputs[0], "went wrong"));
}

#[test]
fn broken_tables_are_refused_and_change_nothing() {
    let mut coordinator = with_worker();
    let good = || submission(&[(1, &[]), (2, &[0])]);
    let mut broken = [good(), good(), good(), good(), good(), good()];
    broken[0].tasks[1].source = RowSource::Run(1);
    broken[1].inputs[0].0 = 1;
    broken[2].tasks[1].n_inputs = 2;
    broken[3].outputs[0] = 2;
    broken[4].names.push((2, "x".into()));
    broken[5].tasks[0].source = RowSource::Held;
    for (number, submission) in broken.iter().enumerate() {
        assert!(coordinator.submit(0, CLIENT, submission).is_err(), "{number}");
        assert_eq!(coordinator.n_tasks(), 0);
    }
    assert!(coordinator.submit(0, CLIENT, &good()).is_ok());
}

#[test]
fn the_user_goes_before_age_and_that_before_order() {
    let mut ordered = [
        priority(1, 5, 9),
        priority(1, 6, 0),
        priority(0, 0, 0),
        priority(0, 0, 1 << 23),
        priority(0, 1, 0),
        priority(-1, 0, 0),
        priority(-1000, u32::MAX, u32::MAX),
    ];
    assert!(ordered.is_sorted());
    ordered.reverse();
    assert!(!ordered.is_sorted());
}

#[test]
fn an_explanation_follows_the_chain() {
    let mut coordinator = with_worker();
    let mut chain = submission(&[(1, &[]), (2, &[0]), (3, &[1])]);
    chain.names = vec![(0, "load".into()), (1, "clean".into()), (2, "sum".into())];
    let accepted = coordinator.submit(0, CLIENT, &chain).unwrap();
    let text = coordinator.explain(accepted.outputs[0]);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 3, "{text}");
    assert!(lines[0].starts_with("'sum' waits for 1 inputs"), "{text}");
    assert!(lines[1].starts_with("'clean' waits for 1 inputs"), "{text}");
    assert!(lines[2].starts_with("'load': "), "{text}");
}

#[test]
fn attempts_that_did_not_end_well_are_told() {
    let mut coordinator = with_worker();
    let task = coordinator.submit(0, CLIENT, &submission(&[(1, &[])])).unwrap().outputs[0];
    let mut last = None;
    for number in 1..=4 {
        effects(&mut coordinator);
        let attempt = coordinator.core().assignment(task).unwrap().1;
        let error = Error::new(ErrorKind::Lost, format!("killed for the {number}th time"));
        let report = Report::Failed { task, attempt, failure: Failure::Crash };
        coordinator.report(number * 1_000_000_000, WorkerId(0), report, Some(error));
        last = coordinator.attempts(task).last().cloned();
    }
    let last = last.unwrap();
    assert_eq!((coordinator.attempts(task).len(), last.worker, last.ended_ns), (4, WorkerId(0), 4_000_000_000));
    let text = coordinator.explain(task);
    assert!(text.contains("until 2.000 s: killed for the 2th time"), "{text}");
    let ended = effects(&mut coordinator).into_iter().find_map(|effect| match effect {
        Effect::Ended { end: TaskEnd::Failed(error), .. } => Some(error.to_string()),
        _ => None,
    });
    assert!(ended.unwrap().contains("tried 4 times"), "the user is told");
    // The story goes with the task.
    coordinator.handle(9, SchedulerEvent::ClientGone(CLIENT));
    effects(&mut coordinator);
    assert!(coordinator.attempts(task).is_empty());
}

#[test]
fn many_dead_tasks_are_buried_while_others_live() {
    let mut coordinator = with_worker();
    let held = coordinator.submit(0, CLIENT, &submission(&[(1, &[])])).unwrap();
    let n_tasks = 3 * MAX_DEAD as u64;
    for round in 0..3 {
        // The same keys come again while their dead are still in the table.
        let rows: Vec<(u64, &[u32])> = (0..n_tasks).map(|number| (100 + number, &[] as &[u32])).collect();
        let mut wide = submission(&rows);
        wide.outputs = (0..n_tasks as u32).collect();
        let client = ClientId(1 + round);
        let outputs = coordinator.submit(0, client, &wide).unwrap().outputs;
        assert_eq!(coordinator.n_tasks() as u64, n_tasks + 1);
        for (number, &task) in outputs.iter().enumerate() {
            assert_eq!(coordinator.task_of(key(100 + number as u64)), Some(task));
        }
        let mut orders = computes(effects(&mut coordinator));
        while let Some((compute, _)) = orders.pop() {
            done(&mut coordinator, compute.task, compute.attempt);
            orders.extend(computes(effects(&mut coordinator)));
        }
        coordinator.handle(2, SchedulerEvent::ClientGone(client));
        effects(&mut coordinator);
        assert_eq!(coordinator.n_tasks(), 1);
        assert_eq!(coordinator.task_of(key(100)), None);
        // Later rounds take the room of earlier ones over.
        assert!(coordinator.rows.len() as u64 <= n_tasks + 2);
        assert_eq!(coordinator.rows.len(), coordinator.free_tasks.len() + coordinator.dead.len() + 1);
    }
    assert_eq!(coordinator.task_of(key(1)), Some(held.outputs[0]));
}

#[test]
fn workers_are_wished_for_by_any_of_their_names() {
    for wish in ["w", "tcp://host:1", "host"] {
        let mut coordinator = with_worker();
        let name = coordinator.worker_name("w");
        coordinator.also_called(name, "tcp://host:1");
        coordinator.also_called(name, "host");
        let mut submission = submission(&[(1, &[])]);
        submission.stages[0].annotations =
            Some(Arc::new(Annotations { workers: vec![wish.into()], ..Annotations::default() }));
        coordinator.submit(0, CLIENT, &submission).unwrap();
        assert_eq!(computes(effects(&mut coordinator)).len(), 1, "{wish}");
    }
    let mut coordinator = with_worker();
    let mut submission = submission(&[(1, &[])]);
    submission.stages[0].annotations =
        Some(Arc::new(Annotations { workers: vec!["other".into()], ..Annotations::default() }));
    coordinator.submit(0, CLIENT, &submission).unwrap();
    assert!(computes(effects(&mut coordinator)).is_empty());
}

#[test]
fn what_is_written_down_at_rest_goes_on_as_before() {
    let mut first = with_worker();
    let accepted = first.submit(0, CLIENT, &submission(&[(1, &[]), (2, &[0])])).unwrap();
    let write = |first: &Coordinator<&'static str>| first.at_rest(|handle| (*handle).to_owned());
    assert!(write(&first).is_none(), "a task runs");
    while let Some((compute, _)) = computes(effects(&mut first)).pop() {
        done(&mut first, compute.task, compute.attempt);
    }
    let failing = first.submit(0, ClientId(1), &submission(&[(5, &[])])).unwrap();
    let (compute, _) = computes(effects(&mut first)).pop().unwrap();
    let report = Report::Failed { task: compute.task, attempt: compute.attempt, failure: Failure::Error };
    first.report(7, WORKER, report, Some(Error::value("it broke")));
    let written = write(&first).expect("nothing runs");
    let bytes = postcard::to_allocvec(&written).unwrap();

    let again = || {
        let written: Written<String> = postcard::from_bytes(&bytes).unwrap();
        let mut second = Coordinator::with_names_of(SchedulerConfig::default(), &written);
        let name = second.worker_name("w");
        let (slots, memory_limit) = (100, u64::MAX);
        let joined = SchedulerEvent::WorkerJoined { worker: WORKER, name, slots, memory_limit, resources: vec![] };
        second.handle(0, joined);
        second.resume(written, |_, handle| Ok(if handle == "op" { "op" } else { "another" })).unwrap();
        second
    };
    let mut second = again();
    assert_eq!(postcard::to_allocvec(&write(&second).unwrap()).unwrap(), bytes);
    assert_eq!(second.task_of(key(2)), Some(accepted.outputs[0]));
    // What failed has its error and its story still.
    second.want(8, ClientId(2), key(5));
    let ends = effects(&mut second);
    assert!(
        matches!(&ends[..], [Effect::Ended { end: TaskEnd::Failed(error), .. }] if error.message() == "it broke"),
        "{ends:?}"
    );
    assert_eq!(second.attempts(failing.outputs[0]).len(), 1);
    // A result that is lost is made again, from the start, under a newer attempt.
    second.handle(9, SchedulerEvent::WorkerLost { worker: WORKER, cause: oxidask_sched::Loss::Unreachable });
    let name = second.worker_name("w");
    let (worker, slots, memory_limit) = (WorkerId(1), 1, u64::MAX);
    second.handle(9, SchedulerEvent::WorkerJoined { worker, name, slots, memory_limit, resources: vec![] });
    let started = computes(effects(&mut second));
    assert_eq!(started.iter().map(|(_, job)| (job.key, job.handle)).collect::<Vec<_>>(), [(key(1), "op")]);
    // Nobody is left who holds anything.
    let mut third = again();
    third.handle(9, SchedulerEvent::ClientGone(CLIENT));
    third.handle(9, SchedulerEvent::ClientGone(ClientId(1)));
    assert_eq!(third.n_tasks(), 0);
}

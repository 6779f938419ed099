//! Given this cluster and these events, exactly these actions.
//!
//! Actions are compared as short texts: `w1 run 3#2 (0@w0)` orders worker 1 to
//! run attempt 2 of task 3, fetching task 0 from worker 0.

use super::*;
use crate::event::*;

const CLIENT: ClientId = ClientId(0);

/// A scheduler whose actions are looked at after each event.
struct Cluster {
    scheduler: Scheduler,
    submit: Submit,
    actions: Vec<SchedulerAction>,
}

fn piece(piece: Piece) -> String {
    if piece.part == Piece::WHOLE { piece.task.0.to_string() } else { format!("{}.{}", piece.task.0, piece.part) }
}

fn order(order: &Order) -> String {
    match order {
        Order::Compute(compute) => {
            let fetch: Vec<String> =
                compute.fetch.iter().map(|from| format!("{}@w{}", piece(from.piece), from.holder.0)).collect();
            let fetch = if fetch.is_empty() { String::new() } else { format!(" ({})", fetch.join(" ")) };
            format!("run {}#{}{fetch}", compute.task.0, compute.attempt.0)
        }
        Order::Retract { task, attempt } => format!("retract {}#{}", task.0, attempt.0),
        Order::Abandon { task, attempt } => format!("abandon {}#{}", task.0, attempt.0),
        Order::Free(task) => format!("free {}", task.0),
        Order::Copy { task, holder, .. } => format!("copy {}@w{}", task.0, holder.0),
    }
}

fn text(action: &SchedulerAction) -> String {
    match action {
        SchedulerAction::To { worker, order: given } => format!("w{} {}", worker.0, order(given)),
        SchedulerAction::Outcome { client, task, outcome } => {
            let outcome = match outcome {
                Outcome::Done { holder, .. } => format!("done@w{}", holder.0),
                Outcome::Failed { culprit, failure } => format!("{failure:?} of {}", culprit.0),
                Outcome::Lost { culprit } => format!("lost {}", culprit.0),
                Outcome::Cancelled => "cancelled".to_owned(),
                Outcome::Pending => "pending".to_owned(),
            };
            format!("c{} {} {outcome}", client.0, task.0)
        }
        SchedulerAction::Forget(task) => format!("forget {}", task.0),
        SchedulerAction::Retired(worker) => format!("retired w{}", worker.0),
    }
}

impl Cluster {
    /// Workers of so many slots each, without a limit of memory.
    fn new(slots: &[u32]) -> Self {
        Self::limited(slots, u64::MAX)
    }

    fn limited(slots: &[u32], memory_limit: u64) -> Self {
        let mut cluster = Cluster {
            scheduler: Scheduler::new(SchedulerConfig { allowed_failures: 1, ..SchedulerConfig::default() }),
            submit: Submit { groups: vec![(GroupId(0), GroupSpec::default())], ..Submit::default() },
            actions: Vec::new(),
        };
        for (number, &slots) in slots.iter().enumerate() {
            cluster.join_limited(number as u32, slots, memory_limit);
        }
        cluster
    }

    /// The worker that is told to copy a task, by what was said last.
    fn copy_target(&mut self, task: u32) -> u32 {
        let is_copy = |action: SchedulerAction| match action {
            SchedulerAction::To { worker, order: Order::Copy { task: copied, .. } } if copied.0 == task => {
                Some(worker.0)
            }
            _ => None,
        };
        std::mem::take(&mut self.actions).into_iter().find_map(is_copy).expect("a copy was ordered")
    }

    fn join(&mut self, number: u32, slots: u32) {
        self.join_limited(number, slots, u64::MAX);
    }

    fn join_limited(&mut self, number: u32, slots: u32, memory_limit: u64) {
        self.tell(SchedulerEvent::WorkerJoined {
            worker: WorkerId(number),
            name: WorkerName(number),
            slots,
            memory_limit,
            resources: vec![(ResourceId(0), 1.0)],
        });
    }

    fn group(mut self, spec: GroupSpec) -> Self {
        self.submit.groups = vec![(GroupId(0), spec)];
        self
    }

    /// Adds a task to the next submission; smaller numbers run earlier.
    fn task(self, id: u32, inputs: &[u32]) -> Self {
        self.sized(id, inputs, UNKNOWN_BYTES)
    }

    fn sized(mut self, id: u32, inputs: &[u32], bytes: u64) -> Self {
        self.submit.tasks.push(NewTask {
            id: TaskId(id),
            inputs_start: self.submit.inputs.len() as u32,
            n_inputs: inputs.len() as u32,
            priority: u64::from(id),
            bytes,
            group: GroupId(0),
            runnable: true,
        });
        self.submit.inputs.extend(inputs.iter().map(|&input| Piece::whole(TaskId(input))));
        self
    }

    fn data(mut self, id: u32) -> Self {
        self = self.sized(id, &[], 10);
        self.submit.tasks.last_mut().expect("it was just added").runnable = false;
        self
    }

    fn want(mut self, tasks: &[u32]) -> Self {
        self.submit_now(tasks);
        self
    }

    fn submit_now(&mut self, wants: &[u32]) {
        // A group is forgotten with its last task, and so is declared each time.
        let groups = self.submit.groups.clone();
        let mut work = std::mem::replace(&mut self.submit, Submit { groups, ..Submit::default() });
        work.wants = ids(wants);
        self.tell(SchedulerEvent::Submit { client: CLIENT, work });
    }

    fn tell(&mut self, event: SchedulerEvent) {
        self.scheduler.handle(0, event, &mut self.actions);
        self.scheduler.check();
    }

    fn report(&mut self, worker: u32, report: Report) {
        self.tell(SchedulerEvent::From { worker: WorkerId(worker), report });
    }

    fn done(&mut self, worker: u32, task: u32, attempt: u32, bytes: u64) {
        let (task, attempt) = (TaskId(task), Attempt(attempt));
        self.report(worker, Report::Done { task, attempt, bytes, duration: 1_000_000_000 });
    }

    fn failed(&mut self, worker: u32, task: u32, attempt: u32, failure: Failure) {
        self.report(worker, Report::Failed { task: TaskId(task), attempt: Attempt(attempt), failure });
    }

    fn release(&mut self, tasks: &[u32]) {
        self.tell(SchedulerEvent::Release { client: CLIENT, tasks: ids(tasks) });
    }

    fn lose(&mut self, worker: u32, cause: Loss) {
        self.tell(SchedulerEvent::WorkerLost { worker: WorkerId(worker), cause });
    }

    /// Exactly these actions since the last look, in any order.
    #[track_caller]
    fn expect(&mut self, expected: &[&str]) {
        let mut actions: Vec<String> = self.actions.drain(..).map(|action| text(&action)).collect();
        let mut expected: Vec<String> = expected.iter().map(|&action| action.to_owned()).collect();
        actions.sort();
        expected.sort();
        assert_eq!(actions, expected);
    }
}

fn ids(tasks: &[u32]) -> Vec<TaskId> {
    tasks.iter().map(|&task| TaskId(task)).collect()
}

#[test]
fn a_chain_runs_and_leaves_nothing() {
    let mut cluster = Cluster::new(&[1]).task(0, &[]).task(1, &[0]).want(&[1]);
    cluster.expect(&["w0 run 0#1"]);
    cluster.done(0, 0, 1, 8);
    cluster.expect(&["w0 run 1#1"]);
    cluster.done(0, 1, 1, 8);
    cluster.expect(&["c0 1 done@w0", "w0 free 0"]);
    cluster.release(&[1]);
    cluster.expect(&["w0 free 1", "forget 1", "forget 0"]);
    assert_eq!(cluster.scheduler.n_tasks(), 0);
}

#[test]
fn what_no_wanted_task_needs_is_forgotten_at_once() {
    let mut cluster = Cluster::new(&[1]).task(0, &[]).task(1, &[0]).task(2, &[]).want(&[2]);
    cluster.expect(&["w0 run 2#1", "forget 1", "forget 0"]);
}

#[test]
fn claims_count() {
    let mut cluster = Cluster::new(&[1]).task(0, &[]).want(&[0, 0]);
    cluster.expect(&["w0 run 0#1"]);
    cluster.tell(SchedulerEvent::Want { client: ClientId(1), tasks: ids(&[0]) });
    cluster.done(0, 0, 1, 8);
    cluster.expect(&["c0 0 done@w0", "c1 0 done@w0"]);
    cluster.release(&[0]);
    cluster.tell(SchedulerEvent::ClientGone(ClientId(1)));
    cluster.expect(&[]);
    cluster.release(&[0]);
    cluster.expect(&["w0 free 0", "forget 0"]);
}

#[test]
fn inputs_elsewhere_are_listed_with_their_holder() {
    let mut cluster = Cluster::new(&[1, 1]).sized(0, &[], 1000).sized(1, &[], 10).task(2, &[0, 1]).want(&[2]);
    cluster.expect(&["w0 run 0#1", "w1 run 1#1"]);
    cluster.done(0, 0, 1, 1000);
    cluster.done(1, 1, 1, 10);
    // The task goes where most of its inputs lie.
    cluster.expect(&["w0 run 2#1 (1@w1)"]);
}

#[test]
fn late_reports_change_nothing() {
    let mut cluster = Cluster::new(&[1, 1]).task(0, &[]).want(&[0]);
    cluster.expect(&["w0 run 0#1"]);
    cluster.lose(0, Loss::Unreachable);
    cluster.expect(&["w1 run 0#2"]);
    // The worker was not dead.
    cluster.done(0, 0, 1, 8);
    cluster.failed(0, 0, 1, Failure::Fatal);
    cluster.failed(1, 0, 1, Failure::Fatal);
    cluster.expect(&[]);
    cluster.done(1, 0, 2, 8);
    cluster.expect(&["c0 0 done@w1"]);
}

#[test]
fn errors_are_tried_again_as_often_as_the_group_says() {
    let spec = GroupSpec { retries: 1, ..GroupSpec::default() };
    let mut cluster = Cluster::new(&[1]).group(spec).task(0, &[]).task(1, &[0]).task(2, &[1]).want(&[0, 2]);
    cluster.expect(&["w0 run 0#1"]);
    cluster.failed(0, 0, 1, Failure::Error);
    cluster.expect(&["w0 run 0#2"]);
    cluster.failed(0, 0, 2, Failure::Error);
    cluster.expect(&["c0 0 Error of 0", "c0 2 Error of 0"]);
    assert_eq!(cluster.scheduler.explain(TaskId(1)), Why::Failed { culprit: TaskId(0), failure: Failure::Error });
    cluster.tell(SchedulerEvent::Retry { tasks: ids(&[2]) });
    cluster.expect(&["c0 0 pending", "c0 2 pending", "w0 run 0#3"]);
    cluster.release(&[0, 2]);
    cluster.expect(&["w0 abandon 0#3", "forget 1", "forget 2"]);
    cluster.report(0, Report::Abandoned { task: TaskId(0), attempt: Attempt(3) });
    cluster.expect(&["forget 0"]);
}

#[test]
fn a_task_that_asks_for_it_runs_once_more_elsewhere() {
    let mut cluster = Cluster::new(&[1, 1]).task(0, &[]).want(&[0]);
    cluster.expect(&["w0 run 0#1"]);
    for attempt in [1, 3, 5] {
        cluster.failed(0, 0, attempt, Failure::Again);
        cluster.failed(1, 0, attempt + 1, Failure::Again);
        let (there, back) = (format!("w1 run 0#{}", attempt + 1), format!("w0 run 0#{}", attempt + 2));
        cluster.expect(&[&there, &back]);
    }
    assert_eq!(cluster.scheduler.failures(TaskId(0)), (0, 0));
    cluster.lose(1, Loss::Planned);
    cluster.failed(0, 0, 7, Failure::Again);
    cluster.expect(&["w0 run 0#8"]);
}

#[test]
fn what_is_submitted_after_a_failure_fails_with_it() {
    let mut cluster = Cluster::new(&[1]).task(0, &[]).want(&[0]);
    cluster.failed(0, 0, 1, Failure::Fatal);
    cluster.expect(&["w0 run 0#1", "c0 0 Fatal of 0"]);
    cluster = cluster.task(1, &[0]).want(&[1]);
    cluster.expect(&["c0 1 Fatal of 0"]);
}

#[test]
fn crashes_are_allowed_a_few_times() {
    let mut cluster = Cluster::new(&[1]).task(0, &[]).want(&[0]);
    cluster.failed(0, 0, 1, Failure::Crash);
    cluster.expect(&["w0 run 0#1", "w0 run 0#2"]);
    cluster.failed(0, 0, 2, Failure::Crash);
    cluster.expect(&["c0 0 Crash of 0"]);
}

#[test]
fn the_loss_of_a_worker_blames_only_what_ran_when_it_crashed() {
    for (cause, n_blamed) in [(Loss::Planned, 0), (Loss::Unreachable, 0), (Loss::Crashed, 1), (Loss::OutOfMemory, 1)] {
        let mut cluster = Cluster::new(&[1]).task(0, &[]).task(1, &[]).want(&[0, 1]);
        cluster.expect(&["w0 run 0#1", "w0 run 1#1"]);
        cluster.lose(0, cause);
        assert_eq!(cluster.scheduler.failures(TaskId(0)), (0, n_blamed), "{cause:?}");
        // It waited behind the first, which had the only slot.
        assert_eq!(cluster.scheduler.failures(TaskId(1)), (0, 0));
        assert_eq!(cluster.scheduler.explain(TaskId(0)), Why::NoWorker);
    }
}

#[test]
fn lost_results_are_computed_again_with_what_they_need() {
    let mut cluster = Cluster::new(&[1]).task(0, &[]).task(1, &[0]).task(2, &[1]).want(&[1, 2]);
    cluster.done(0, 0, 1, 8);
    cluster.done(0, 1, 1, 8);
    cluster.expect(&["w0 run 0#1", "w0 run 1#1", "w0 free 0", "c0 1 done@w0", "w0 run 2#1"]);
    cluster.lose(0, Loss::Unreachable);
    cluster.expect(&["c0 1 pending"]);
    cluster.join(1, 1);
    cluster.expect(&["w1 run 0#2"]);
    cluster.done(1, 0, 2, 8);
    cluster.done(1, 1, 2, 8);
    cluster.expect(&["w1 run 1#2", "w1 free 0", "c0 1 done@w1", "w1 run 2#2"]);
}

#[test]
fn a_copy_saves_a_result_from_the_loss_of_its_worker() {
    let mut cluster = Cluster::new(&[1, 1]).task(0, &[]).want(&[0]);
    cluster.done(0, 0, 1, 8);
    cluster.report(1, Report::Copied { task: TaskId(0), bytes: 8 });
    cluster.expect(&["w0 run 0#1", "c0 0 done@w0"]);
    cluster.lose(0, Loss::Unreachable);
    cluster.expect(&[]);
    assert_eq!(cluster.scheduler.holders(TaskId(0)), [WorkerId(1)]);
}

#[test]
fn a_missing_input_is_computed_again() {
    let mut cluster = Cluster::new(&[1, 1]).sized(0, &[], 1000).sized(1, &[], 10).task(2, &[0, 1]).want(&[2]);
    cluster.done(0, 0, 1, 1000);
    cluster.done(1, 1, 1, 10);
    cluster.actions.clear();
    let (task, input, holder) = (TaskId(2), TaskId(1), WorkerId(1));
    cluster.report(0, Report::MissingInput { task, attempt: Attempt(1), input, holder });
    cluster.expect(&["w1 free 1", "w0 run 1#2"]);
    assert_eq!(cluster.scheduler.explain(task), Why::WaitsForInputs { n_missing: 1, input });
}

#[test]
fn a_cancelled_attempt_keeps_the_number_until_it_is_answered() {
    let mut cluster = Cluster::new(&[1]).task(0, &[]).task(1, &[0]).want(&[1]);
    cluster.tell(SchedulerEvent::Cancel { tasks: ids(&[0]) });
    cluster.expect(&["w0 run 0#1", "w0 abandon 0#1", "c0 1 cancelled"]);
    cluster.release(&[1]);
    cluster.expect(&["forget 1"]);
    cluster.done(0, 0, 1, 8);
    cluster.expect(&[]);
    cluster.report(0, Report::Abandoned { task: TaskId(0), attempt: Attempt(1) });
    cluster.expect(&["forget 0"]);
}

#[test]
fn a_cancelled_task_that_is_submitted_again_runs() {
    let mut cluster = Cluster::new(&[1]).task(0, &[]).want(&[0]);
    cluster.tell(SchedulerEvent::Cancel { tasks: ids(&[0]) });
    cluster.expect(&["w0 run 0#1", "w0 abandon 0#1", "c0 0 cancelled"]);
    cluster = cluster.task(0, &[]).want(&[0]);
    cluster.expect(&["c0 0 pending", "w0 run 0#2"]);
}

#[test]
fn root_tasks_are_bound_late() {
    let mut cluster = Cluster::new(&[1, 1]).group(GroupSpec::default());
    for task in 0..10 {
        cluster = cluster.task(task, &[]);
    }
    cluster.submit_now(&(0..10).collect::<Vec<_>>());
    // Of unknown duration: one that runs and one that waits at each worker.
    cluster.expect(&["w0 run 0#1", "w1 run 1#1", "w0 run 2#1", "w1 run 3#1"]);
    assert_eq!(cluster.scheduler.explain(TaskId(9)), Why::WaitsForRoom { n_queued: 6 });
    cluster.done(1, 1, 1, 8);
    cluster.expect(&["c0 1 done@w1", "w1 run 4#1"]);
}

#[test]
fn short_tasks_are_sent_ahead_by_time() {
    let mut cluster = Cluster::new(&[1]).group(GroupSpec::default());
    for task in 0..100 {
        cluster = cluster.task(task, &[]);
    }
    cluster.submit_now(&(0..100).collect::<Vec<_>>());
    for task in [TaskId(0), TaskId(1)] {
        cluster.report(0, Report::Done { task, attempt: Attempt(1), bytes: 8, duration: 100_000 });
    }
    // A window of 5 ms holds 50 tasks of 0.1 ms beside the one that runs.
    let n_assigned = cluster.scheduler.assigned(WorkerId(0)).len();
    assert!((45..=60).contains(&n_assigned), "{n_assigned}");
}

#[test]
fn an_idle_worker_is_given_what_others_have_not_begun() {
    let mut cluster = Cluster::new(&[1]).task(0, &[]).task(1, &[]).want(&[0, 1]);
    cluster.join(1, 1);
    cluster.expect(&["w0 run 0#1", "w0 run 1#1", "w0 retract 1#1"]);
    // It is asked once.
    cluster.tell(SchedulerEvent::Tick);
    cluster.expect(&[]);
    cluster.report(0, Report::Retracted { task: TaskId(1), attempt: Attempt(1) });
    cluster.expect(&["w1 run 1#2"]);
}

#[test]
fn groups_run_where_they_may() {
    let named = GroupSpec { workers: vec![WorkerName(1)], ..GroupSpec::default() };
    let mut cluster = Cluster::new(&[1]).group(named.clone()).task(0, &[]).want(&[0]);
    cluster.expect(&[]);
    assert_eq!(cluster.scheduler.explain(TaskId(0)), Why::NoWorkerSatisfies);
    cluster.join(1, 1);
    cluster.expect(&["w1 run 0#1"]);

    let allowed = GroupSpec { allow_other_workers: true, ..named };
    let mut cluster = Cluster::new(&[1]).group(allowed).task(0, &[]).want(&[0]);
    cluster.expect(&["w0 run 0#1"]);
}

#[test]
fn resources_are_occupied_while_a_task_runs() {
    let spec = GroupSpec { resources: vec![(ResourceId(0), 0.5)], ..GroupSpec::default() };
    let mut cluster = Cluster::new(&[4]).group(spec).task(0, &[]).task(1, &[]).task(2, &[]).want(&[0, 1, 2]);
    cluster.expect(&["w0 run 0#1", "w0 run 1#1"]);
    cluster.done(0, 1, 1, 8);
    cluster.expect(&["c0 1 done@w0", "w0 run 2#1"]);
    let too_much = GroupSpec { resources: vec![(ResourceId(0), 2.0)], ..GroupSpec::default() };
    let mut cluster = Cluster::new(&[4]).group(too_much).task(0, &[]).want(&[0]);
    cluster.expect(&[]);
    assert_eq!(cluster.scheduler.explain(TaskId(0)), Why::NoWorkerSatisfies);
}

#[test]
fn a_task_is_given_only_if_its_result_fits() {
    let mut cluster = Cluster::limited(&[4], 1000);
    for task in 0..4 {
        cluster = cluster.sized(task, &[], 300);
    }
    cluster.submit_now(&[0, 1, 2, 3]);
    // Two results fit into four fifths of the memory.
    cluster.expect(&["w0 run 0#1", "w0 run 1#1"]);
    let why = cluster.scheduler.explain(TaskId(2));
    assert_eq!(why, Why::WaitsForMemory { worker: WorkerId(0), needed: 300, committed: 600, limit: 1000 });
    cluster.done(0, 0, 1, 300);
    cluster.expect(&["c0 0 done@w0"]);
    // What was spilled makes room.
    cluster.report(0, Report::Memory { resident: 0, spilled: 300, paused: false });
    cluster.expect(&["w0 run 2#1"]);
}

#[test]
fn consumers_come_before_producers_when_memory_is_short() {
    let mut cluster = Cluster::limited(&[2], 1000);
    cluster = cluster.sized(0, &[], 400).sized(1, &[], 400).sized(5, &[0], 10).want(&[1, 5]);
    cluster.expect(&["w0 run 0#1", "w0 run 1#1"]);
    cluster = cluster.sized(2, &[], 400).want(&[2]);
    cluster.done(0, 0, 1, 400);
    // Task 2 has the better priority, but task 5 frees what it reads.
    cluster.expect(&["w0 run 5#1"]);
}

#[test]
fn a_full_worker_with_nothing_to_do_is_given_something() {
    let mut cluster = Cluster::limited(&[2], 1000).sized(0, &[], 5000).sized(1, &[], 2000).want(&[0, 1]);
    cluster.expect(&["w0 run 0#1"]);
    cluster.report(0, Report::Memory { resident: 0, spilled: 0, paused: true });
    cluster.done(0, 0, 1, 5000);
    cluster.expect(&["c0 0 done@w0", "w0 run 1#1"]);
}

#[test]
fn a_full_worker_is_given_what_frees_memory_whatever_else_it_has() {
    // 1 and 2 are large and read nothing; 3 reads 0 and leaves little.
    let mut cluster = Cluster::limited(&[2], 1000).sized(0, &[], 300).sized(1, &[], 300).sized(2, &[], 300);
    cluster = cluster.sized(3, &[0], 10).want(&[1, 2, 3]);
    cluster.expect(&["w0 run 0#1", "w0 run 1#1"]);
    cluster.report(0, Report::Memory { resident: 900, spilled: 0, paused: true });
    cluster.done(0, 0, 1, 300);
    cluster.expect(&["w0 run 3#1"]);
    cluster.done(0, 3, 1, 10);
    cluster.actions.clear();
    cluster.report(0, Report::Memory { resident: 10, spilled: 0, paused: false });
    cluster.expect(&["w0 run 2#1"]);
}

#[test]
fn a_retiring_worker_leaves_nothing_behind() {
    let mut cluster = Cluster::new(&[1, 1]).task(0, &[]).want(&[0]);
    cluster.done(0, 0, 1, 8);
    cluster.actions.clear();
    cluster.tell(SchedulerEvent::Retire(WorkerId(0)));
    cluster.expect(&["w1 copy 0@w0"]);
    cluster.report(1, Report::Dropped { task: TaskId(0) });
    cluster.expect(&["w1 copy 0@w0"]);
    cluster.report(1, Report::Copied { task: TaskId(0), bytes: 8 });
    cluster.expect(&["retired w0"]);
    cluster.lose(0, Loss::Planned);
    cluster.expect(&[]);
    assert_eq!(cluster.scheduler.holders(TaskId(0)), [WorkerId(1)]);
}

#[test]
fn copies_on_workers_that_leave_do_not_count() {
    let mut cluster = Cluster::new(&[1, 1, 1]).task(0, &[]).want(&[0]);
    cluster.done(0, 0, 1, 8);
    cluster.actions.clear();
    cluster.tell(SchedulerEvent::Retire(WorkerId(0)));
    let target = cluster.copy_target(0);
    cluster.report(target, Report::Copied { task: TaskId(0), bytes: 8 });
    cluster.expect(&["retired w0"]);
    // It has not gone yet when the one with the copy is to leave as well.
    cluster.tell(SchedulerEvent::Retire(WorkerId(target)));
    let last = cluster.copy_target(0);
    assert!(last != 0 && last != target);
    cluster.expect(&[]);
    cluster.report(last, Report::Copied { task: TaskId(0), bytes: 8 });
    cluster.expect(&[&format!("retired w{target}")]);
    cluster.lose(0, Loss::Planned);
    cluster.lose(target, Loss::Planned);
    assert_eq!(cluster.scheduler.holders(TaskId(0)), [WorkerId(last)]);
}

#[test]
fn a_retiring_worker_ends_what_it_runs_and_gives_back_the_rest() {
    let mut cluster = Cluster::new(&[1]).task(0, &[]).task(1, &[]).want(&[0, 1]);
    cluster.expect(&["w0 run 0#1", "w0 run 1#1"]);
    cluster.tell(SchedulerEvent::Retire(WorkerId(0)));
    cluster.expect(&["w0 retract 0#1", "w0 retract 1#1"]);
    cluster.report(0, Report::Retracted { task: TaskId(1), attempt: Attempt(1) });
    cluster.done(0, 0, 1, 8);
    // There is nowhere to go yet.
    cluster.expect(&["c0 0 done@w0"]);
    cluster.join(1, 1);
    cluster.expect(&["w1 run 1#2", "w1 copy 0@w0"]);
}

#[test]
fn a_worker_that_nobody_can_follow_stays_if_told_to() {
    let mut cluster = Cluster::new(&[1]).task(0, &[]).want(&[0]);
    cluster.done(0, 0, 1, 8);
    cluster.expect(&["w0 run 0#1", "c0 0 done@w0"]);
    assert!(cluster.scheduler.stranded_retirements().is_empty());
    cluster.tell(SchedulerEvent::Retire(WorkerId(0)));
    assert_eq!(cluster.scheduler.stranded_retirements(), [WorkerId(0)]);
    cluster.tell(SchedulerEvent::Stay(WorkerId(0)));
    assert!(cluster.scheduler.stranded_retirements().is_empty());
    // It works on, and leaves when it is asked again and somebody is there.
    let mut cluster = cluster.task(1, &[]).want(&[1]);
    cluster.expect(&["w0 run 1#1"]);
    cluster.done(0, 1, 1, 8);
    cluster.join(1, 1);
    cluster.tell(SchedulerEvent::Retire(WorkerId(0)));
    assert!(cluster.scheduler.stranded_retirements().is_empty());
    cluster.expect(&["c0 1 done@w0", "w1 copy 1@w0", "w1 copy 0@w0"]);
    cluster.report(1, Report::Copied { task: TaskId(0), bytes: 8 });
    cluster.report(1, Report::Copied { task: TaskId(1), bytes: 8 });
    cluster.expect(&["retired w0"]);
}

#[test]
fn a_clients_value_is_kept_for_all_that_may_be_computed_again() {
    let mut cluster = Cluster::new(&[1]).data(0).task(1, &[0]).want(&[1]);
    cluster.expect(&[]);
    assert_eq!(cluster.scheduler.explain(TaskId(0)), Why::WaitsForValue);
    cluster.tell(SchedulerEvent::Placed { task: TaskId(0), worker: WorkerId(0), bytes: 10 });
    cluster.done(0, 1, 1, 8);
    cluster.expect(&["w0 run 1#1", "c0 1 done@w0"]);
    cluster.release(&[1]);
    cluster.expect(&["w0 free 1", "forget 1", "w0 free 0", "forget 0"]);
}

#[test]
fn a_clients_value_that_is_lost_fails_what_needs_it() {
    let mut cluster = Cluster::new(&[1]).data(0).task(1, &[0]).want(&[0, 1]);
    cluster.tell(SchedulerEvent::Placed { task: TaskId(0), worker: WorkerId(0), bytes: 10 });
    cluster.expect(&["c0 0 done@w0", "w0 run 1#1"]);
    cluster.lose(0, Loss::Unreachable);
    cluster.expect(&["c0 0 lost 0", "c0 1 lost 0"]);
    cluster.join(1, 1);
    cluster.tell(SchedulerEvent::Placed { task: TaskId(0), worker: WorkerId(1), bytes: 10 });
    cluster.expect(&["c0 0 done@w1"]);
    cluster.release(&[1]);
    cluster.expect(&["forget 1"]);
}

#[test]
fn a_value_that_comes_too_late_keeps_its_number_until_then() {
    let mut cluster = Cluster::new(&[1]).data(0).want(&[0]);
    cluster.release(&[0]);
    cluster.expect(&[]);
    cluster.tell(SchedulerEvent::Placed { task: TaskId(0), worker: WorkerId(0), bytes: 10 });
    cluster.expect(&["w0 free 0", "forget 0"]);
}

#[test]
fn a_number_is_used_again_with_attempts_counting_on() {
    let mut cluster = Cluster::new(&[1]).task(0, &[]).want(&[0]);
    cluster.done(0, 0, 1, 8);
    cluster.release(&[0]);
    cluster.expect(&["w0 run 0#1", "c0 0 done@w0", "w0 free 0", "forget 0"]);
    cluster = cluster.task(0, &[]).want(&[0]);
    cluster.expect(&["w0 run 0#2"]);
}

#[test]
fn a_stale_copy_is_freed_when_no_attempt_is_there_to_find_it() {
    let mut cluster = Cluster::new(&[1, 1]).task(0, &[]).want(&[0]);
    cluster.done(0, 0, 1, 8);
    cluster.lose(0, Loss::Unreachable);
    cluster.expect(&["w0 run 0#1", "c0 0 done@w0", "c0 0 pending", "w1 run 0#2"]);
    // Freeing it now could hit the result of the attempt.
    cluster.report(1, Report::Copied { task: TaskId(0), bytes: 8 });
    cluster.expect(&[]);
    cluster.tell(SchedulerEvent::Cancel { tasks: ids(&[0]) });
    cluster.expect(&["w1 abandon 0#2", "w1 free 0", "c0 0 cancelled"]);
    cluster.report(1, Report::Copied { task: TaskId(0), bytes: 8 });
    cluster.expect(&["w1 free 0"]);
}

#[test]
fn failures_reach_all_dependents() {
    let mut cluster = Cluster::new(&[1]).task(0, &[]);
    for task in 1..20_000 {
        cluster = cluster.task(task, &[task - 1]);
    }
    cluster.submit_now(&[19_999]);
    cluster.expect(&["w0 run 0#1"]);
    cluster.failed(0, 0, 1, Failure::Fatal);
    cluster.expect(&["c0 19999 Fatal of 0"]);
    assert_eq!(cluster.scheduler.counts().bad, 20_000);
}

#[test]
fn what_one_task_reads_is_made_on_one_worker() {
    let mut cluster = Cluster::new(&[1, 1]);
    for root in 0..32 {
        cluster = cluster.task(root, &[]);
    }
    for pair in 0..16 {
        cluster = cluster.task(32 + pair, &[2 * pair, 2 * pair + 1]);
    }
    let mut cluster = cluster.want(&(32..48).collect::<Vec<u32>>());
    // Each has one to run and one to wait.
    cluster.expect(&["w0 run 0#1", "w0 run 1#1", "w1 run 2#1", "w1 run 3#1"]);
    cluster.done(0, 0, 1, 8);
    cluster.done(0, 1, 1, 8);
    cluster.expect(&["w0 run 4#1", "w0 run 5#1"]);
}

#[test]
fn results_are_replicated_on_request() {
    let mut cluster = Cluster::new(&[1, 1, 1]).sized(0, &[], 8).want(&[0]);
    cluster.done(0, 0, 1, 8);
    cluster.expect(&["w0 run 0#1", "c0 0 done@w0"]);
    cluster.tell(SchedulerEvent::Replicate { tasks: ids(&[0]), n: 2, workers: Vec::new() });
    cluster.expect(&["w1 copy 0@w0"]);
    // What is on its way counts for later requests.
    cluster.tell(SchedulerEvent::Replicate { tasks: ids(&[0]), n: 3, workers: Vec::new() });
    cluster.expect(&["w2 copy 0@w0"]);
    cluster.report(1, Report::Copied { task: TaskId(0), bytes: 8 });
    cluster.report(2, Report::Copied { task: TaskId(0), bytes: 8 });
    assert_eq!(cluster.scheduler.holders(TaskId(0)), [WorkerId(0), WorkerId(1), WorkerId(2)]);
    cluster.lose(0, Loss::Unreachable);
    cluster.expect(&[]);
    cluster.release(&[0]);
    cluster.expect(&["w1 free 0", "w2 free 0", "forget 0"]);
}

#[test]
fn copies_are_given_up_where_memory_is_short() {
    let mut cluster = Cluster::limited(&[1, 1], 1000).sized(0, &[], 100).want(&[0]);
    cluster.done(0, 0, 1, 100);
    cluster.tell(SchedulerEvent::Replicate { tasks: ids(&[0]), n: 2, workers: Vec::new() });
    cluster.report(1, Report::Copied { task: TaskId(0), bytes: 100 });
    cluster.expect(&["w0 run 0#1", "c0 0 done@w0", "w1 copy 0@w0"]);
    cluster.report(0, Report::Memory { resident: 900, spilled: 0, paused: true });
    cluster.expect(&["w0 free 0"]);
    // The last copy stays.
    cluster.report(1, Report::Memory { resident: 900, spilled: 0, paused: true });
    cluster.expect(&[]);
    assert_eq!(cluster.scheduler.holders(TaskId(0)), [WorkerId(1)]);
}

#[test]
fn copies_are_given_up_on_request_and_kept_on_request() {
    let mut cluster = Cluster::limited(&[1, 1, 1], 1000).sized(0, &[], 100).want(&[0]);
    cluster.done(0, 0, 1, 100);
    cluster.tell(SchedulerEvent::Replicate { tasks: ids(&[0]), n: 3, workers: Vec::new() });
    cluster.report(1, Report::Copied { task: TaskId(0), bytes: 100 });
    cluster.report(2, Report::Copied { task: TaskId(0), bytes: 100 });
    cluster.actions.clear();
    cluster.tell(SchedulerEvent::KeepReplicas(true));
    cluster.report(2, Report::Memory { resident: 900, spilled: 0, paused: true });
    cluster.expect(&[]);
    cluster.tell(SchedulerEvent::ReduceReplicas);
    // The fullest first, and never the last.
    cluster.expect(&["w2 free 0", "w0 free 0"]);
    assert_eq!(cluster.scheduler.holders(TaskId(0)), [WorkerId(1)]);
    cluster.tell(SchedulerEvent::ReduceReplicas);
    cluster.expect(&[]);
}

#[test]
fn a_worker_that_leaves_waits_for_copies_that_others_asked_for() {
    let mut cluster = Cluster::new(&[1, 1]).sized(0, &[], 8).want(&[0]);
    cluster.done(0, 0, 1, 8);
    cluster.tell(SchedulerEvent::Replicate { tasks: ids(&[0]), n: 2, workers: Vec::new() });
    cluster.expect(&["w0 run 0#1", "c0 0 done@w0", "w1 copy 0@w0"]);
    // A second order to the same worker would be answered by one report for both.
    cluster.tell(SchedulerEvent::Retire(WorkerId(0)));
    cluster.expect(&[]);
    cluster.report(1, Report::Copied { task: TaskId(0), bytes: 8 });
    cluster.expect(&["retired w0"]);
    cluster.lose(0, Loss::Planned);
    cluster.release(&[0]);
    cluster.expect(&["w1 free 0", "forget 0"]);
}

#[test]
fn results_are_spread_on_request() {
    let mut cluster = Cluster::new(&[4]);
    for task in 0..4 {
        cluster = cluster.sized(task, &[], 100);
    }
    let mut cluster = cluster.want(&[0, 1, 2, 3]);
    for task in 0..4 {
        cluster.done(0, task, 1, 100);
    }
    cluster.actions.clear();
    cluster.join(1, 4);
    cluster.tell(SchedulerEvent::Rebalance { tasks: Vec::new(), workers: Vec::new() });
    cluster.expect(&["w1 copy 0@w0", "w1 copy 1@w0"]);
    cluster.report(1, Report::Copied { task: TaskId(0), bytes: 100 });
    cluster.expect(&["w0 free 0"]);
    // One that fails stays where it is.
    cluster.report(1, Report::Dropped { task: TaskId(1) });
    cluster.expect(&[]);
    assert_eq!(cluster.scheduler.holders(TaskId(0)), [WorkerId(1)]);
    assert_eq!(cluster.scheduler.holders(TaskId(1)), [WorkerId(0)]);
    // What is even enough is left alone.
    cluster.tell(SchedulerEvent::Rebalance { tasks: ids(&[0]), workers: Vec::new() });
    cluster.expect(&[]);
}

#[test]
fn the_work_at_hand_says_how_many_workers_it_is_worth() {
    let mut cluster = Cluster::new(&[2]);
    assert_eq!(cluster.scheduler.desired_workers(1_000_000_000), 0);
    for task in 0..100 {
        cluster = cluster.task(task, &[]);
    }
    let mut cluster = cluster.want(&(0..100).collect::<Vec<u32>>());
    // Tasks of unknown length are taken for 5 ms each: two slots end 100 of them in 250 ms.
    assert_eq!(cluster.scheduler.desired_workers(250_000_000), 1);
    assert_eq!(cluster.scheduler.desired_workers(50_000_000), 5);
    // More workers than there are tasks for help nobody.
    assert_eq!(cluster.scheduler.desired_workers(1), 50);
    cluster.report(0, Report::Done { task: TaskId(0), attempt: Attempt(1), bytes: 8, duration: 1_000_000_000 });
    assert!(cluster.scheduler.desired_workers(10_000_000_000) >= 1);
    cluster.join(1, 2);
    assert_eq!(cluster.scheduler.workers_to_close(1).len(), 1);
}

#[test]
fn tasks_that_nobody_can_run_are_named() {
    let spec = GroupSpec { resources: vec![(ResourceId(7), 1.0)], ..GroupSpec::default() };
    let mut cluster = Cluster::new(&[1]).group(spec).task(0, &[]).want(&[0]);
    cluster.expect(&[]);
    assert_eq!(cluster.scheduler.unrunnable(10), ids(&[0]));
    assert_eq!(cluster.scheduler.explain(TaskId(0)), Why::NoWorkerSatisfies);
}

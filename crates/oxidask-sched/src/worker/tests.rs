//! Given this worker and these events, exactly these actions.
//!
//! Actions are compared as short texts: `run 3#1`, `fetch 0.2@w1` (part 2 of
//! task 0 from worker 1), `say done 3#1` (a report).

use super::*;
use crate::event::*;

struct Node {
    core: Worker,
    actions: Vec<WorkerAction>,
}

fn text_of(piece: Piece) -> String {
    if piece.part == Piece::WHOLE { piece.task.0.to_string() } else { format!("{}.{}", piece.task.0, piece.part) }
}

fn report(report: &Report) -> String {
    match report {
        Report::Done { task, attempt, .. } => format!("done {}#{}", task.0, attempt.0),
        Report::Failed { task, attempt, failure } => format!("{failure:?} {}#{}", task.0, attempt.0),
        Report::MissingInput { task, attempt, input, holder } => {
            let holder = if *holder == WorkerId::SELF { "self".to_owned() } else { format!("w{}", holder.0) };
            format!("{}#{} misses {}@{holder}", task.0, attempt.0, input.0)
        }
        Report::Retracted { task, attempt } => format!("retracted {}#{}", task.0, attempt.0),
        Report::Abandoned { task, attempt } => format!("abandoned {}#{}", task.0, attempt.0),
        Report::Copied { task, .. } => format!("copied {}", task.0),
        Report::Dropped { task } => format!("dropped {}", task.0),
        Report::Lent(n_lent) => format!("lent {n_lent}"),
        Report::Memory { resident, spilled, paused } => format!("memory {resident} {spilled} {paused}"),
    }
}

fn text(action: &WorkerAction) -> String {
    match action {
        WorkerAction::Run { task, attempt } => format!("run {}#{}", task.0, attempt.0),
        WorkerAction::Fetch(source) => format!("fetch {}@w{}", text_of(source.piece), source.holder.0),
        WorkerAction::Spill(piece) => format!("spill {}", text_of(*piece)),
        WorkerAction::Load(piece) => format!("load {}", text_of(*piece)),
        WorkerAction::Drop(piece) => format!("drop {}", text_of(*piece)),
        WorkerAction::Serve { piece, reader } => format!("serve {} to {reader}", text_of(*piece)),
        WorkerAction::ServeFailed { piece, reader } => format!("refuse {} to {reader}", text_of(*piece)),
        WorkerAction::Report(said) => format!("say {}", report(said)),
    }
}

fn whole(task: u32) -> Piece {
    Piece::whole(TaskId(task))
}

fn part(task: u32, part: u32) -> Piece {
    Piece { task: TaskId(task), part }
}

impl Node {
    fn new(capacity: u32) -> Self {
        Self::limited(capacity, u64::MAX)
    }

    /// Spills beyond 60 % and pauses beyond 80 % of the limit.
    fn limited(capacity: u32, memory_limit: u64) -> Self {
        let config = WorkerConfig { memory_limit, spills_max: 1, fetches_max: 2, ..WorkerConfig::default() };
        let mut node = Node { core: Worker::new(config), actions: Vec::new() };
        node.tell(WorkerEvent::Capacity(capacity));
        node
    }

    fn tell(&mut self, event: WorkerEvent) {
        self.core.handle(0, event, &mut self.actions);
        self.core.check();
    }

    fn order(&mut self, order: Order) {
        self.tell(WorkerEvent::Order(order));
    }

    /// Orders a task that reads pieces, some of them from peers.
    fn compute(&mut self, task: u32, attempt: u32, inputs: &[Piece], fetch: &[(Piece, u32)]) {
        let fetch =
            fetch.iter().map(|&(piece, holder)| FetchFrom { piece, bytes: 100, holder: WorkerId(holder) }).collect();
        self.order(Order::Compute(Compute {
            task: TaskId(task),
            attempt: Attempt(attempt),
            priority: u64::from(task),
            bytes: 100,
            fetch,
            inputs: inputs.to_vec(),
            group: GroupId(0),
        }));
    }

    fn finish(&mut self, task: u32, attempt: u32, bytes: u64) {
        let ended = Ended::Ok { bytes };
        self.tell(WorkerEvent::Finished { task: TaskId(task), attempt: Attempt(attempt), ended, duration: 1 });
    }

    /// A result that is here.
    fn hold(&mut self, task: u32, bytes: u64) {
        self.tell(WorkerEvent::Put { task: TaskId(task), bytes });
    }

    fn retract(&mut self, task: u32, attempt: u32) {
        self.order(Order::Retract { task: TaskId(task), attempt: Attempt(attempt) });
    }

    fn abandon(&mut self, task: u32, attempt: u32) {
        self.order(Order::Abandon { task: TaskId(task), attempt: Attempt(attempt) });
    }

    fn arrive(&mut self, piece: Piece) {
        self.tell(WorkerEvent::Arrived { piece, bytes: 100 });
    }

    /// Exactly these actions since the last look, in this order; what is said
    /// about memory is left out.
    #[track_caller]
    fn expect(&mut self, expected: &[&str]) {
        let actions: Vec<String> = self.actions.drain(..).map(|action| text(&action)).collect();
        let actions: Vec<&str> =
            actions.iter().map(String::as_str).filter(|action| !action.starts_with("say memory")).collect();
        assert_eq!(actions, expected);
    }
}

#[test]
fn orders_run_by_priority_as_capacity_allows() {
    let mut node = Node::new(1);
    for task in [5, 3, 4] {
        node.compute(task, 1, &[], &[]);
    }
    node.expect(&["run 5#1"]);
    node.finish(5, 1, 8);
    node.expect(&["say done 5#1"]);
    node.tell(WorkerEvent::Capacity(2));
    node.expect(&["run 3#1", "run 4#1"]);
}

#[test]
fn inputs_are_fetched_and_copies_reported() {
    let mut node = Node::new(1);
    node.hold(0, 8);
    node.compute(9, 1, &[whole(0), whole(1), part(2, 3), whole(1)], &[(whole(1), 7), (part(2, 3), 8)]);
    node.expect(&["fetch 1@w7", "fetch 2.3@w8"]);
    node.arrive(part(2, 3));
    node.expect(&[]);
    node.arrive(whole(1));
    node.expect(&["say copied 1", "run 9#1"]);
    node.finish(9, 1, 8);
    // The part was here for this task only; the copy stays until it is freed.
    node.expect(&["drop 2.3", "say done 9#1"]);
    node.order(Order::Free(TaskId(1)));
    node.order(Order::Free(TaskId(9)));
    node.expect(&["drop 1", "drop 9"]);
    assert_eq!(node.core.n_pieces(), 1);
}

#[test]
fn fetches_are_limited_and_shared() {
    let mut node = Node::new(4);
    node.compute(5, 1, &[whole(0)], &[(whole(0), 7)]);
    node.compute(6, 1, &[whole(1)], &[(whole(1), 7)]);
    node.compute(8, 1, &[whole(2)], &[(whole(2), 7)]);
    node.compute(7, 1, &[whole(0), whole(3)], &[(whole(0), 7), (whole(3), 7)]);
    node.expect(&["fetch 0@w7", "fetch 1@w7"]);
    node.arrive(whole(0));
    // Task 7 is more urgent than task 8.
    node.expect(&["say copied 0", "run 5#1", "fetch 3@w7"]);
}

#[test]
fn an_order_without_its_input_is_given_up() {
    let mut node = Node::new(1);
    node.compute(5, 1, &[whole(0), whole(1)], &[(whole(0), 7), (whole(1), 8)]);
    node.expect(&["fetch 0@w7", "fetch 1@w8"]);
    node.tell(WorkerEvent::FetchFailed { piece: whole(0), holder: WorkerId(7) });
    // The answer is the last that is heard of the attempt.
    node.expect(&[]);
    node.arrive(whole(1));
    node.expect(&["say copied 1", "say 5#1 misses 0@w7"]);
    node.compute(6, 1, &[whole(9)], &[]);
    node.expect(&["say 6#1 misses 9@self"]);
    assert_eq!(node.core.n_orders(), 0);
}

#[test]
fn only_what_has_not_begun_is_given_back() {
    let mut node = Node::new(1);
    node.compute(1, 1, &[], &[]);
    node.compute(2, 1, &[], &[]);
    node.compute(3, 1, &[whole(0)], &[(whole(0), 7)]);
    node.expect(&["run 1#1", "fetch 0@w7"]);
    for task in [1, 2, 3] {
        node.retract(task, 1);
    }
    node.expect(&["say retracted 2#1"]);
    node.retract(2, 1);
    node.expect(&[]);
}

#[test]
fn an_abandoned_thread_is_answered_for_when_it_returns() {
    let mut node = Node::new(2);
    node.compute(1, 1, &[], &[]);
    node.expect(&["run 1#1"]);
    node.abandon(1, 1);
    // A new attempt must not run beside the old one.
    node.compute(1, 2, &[], &[]);
    node.expect(&[]);
    assert_eq!(node.core.explain(TaskId(1)), WorkerWhy::Running { abandoned: true });
    node.finish(1, 1, 8);
    node.expect(&["drop 1", "say abandoned 1#1", "run 1#2"]);
    node.finish(1, 2, 8);
    node.expect(&["say done 1#2"]);
}

#[test]
fn abandoning_what_has_ended_drops_its_result() {
    let mut node = Node::new(1);
    node.compute(1, 1, &[], &[]);
    node.finish(1, 1, 8);
    node.abandon(1, 1);
    node.expect(&["run 1#1", "say done 1#1", "drop 1", "say abandoned 1#1"]);
    node.abandon(1, 1);
    node.expect(&["say abandoned 1#1"]);
}

#[test]
fn failures_are_reported() {
    let mut node = Node::new(1);
    node.compute(1, 1, &[], &[]);
    let ended = Ended::Failed(Failure::Crash);
    node.tell(WorkerEvent::Finished { task: TaskId(1), attempt: Attempt(1), ended, duration: 1 });
    node.expect(&["run 1#1", "say Crash 1#1"]);
}

#[test]
fn the_largest_piece_that_nobody_needs_is_spilled_first() {
    let mut node = Node::limited(0, 1000);
    node.hold(0, 260);
    node.hold(1, 300);
    node.compute(9, 1, &[whole(1)], &[]);
    node.expect(&[]);
    node.hold(2, 150);
    node.expect(&["spill 0"]);
    // What is needed is spilled when nothing else is left, the last needed first.
    node.hold(3, 400);
    node.tell(WorkerEvent::Spilled(whole(0)));
    node.expect(&["spill 3"]);
    assert_eq!(node.core.memory(), (850, 260));
}

#[test]
fn spilled_inputs_are_loaded_before_a_task_runs() {
    let mut node = Node::limited(1, 1000);
    node.hold(0, 700);
    node.tell(WorkerEvent::Spilled(whole(0)));
    node.expect(&["spill 0"]);
    node.compute(9, 1, &[whole(0)], &[]);
    node.expect(&["load 0"]);
    assert_eq!(node.core.explain(TaskId(9)), WorkerWhy::WaitsForDisk { piece: whole(0) });
    node.tell(WorkerEvent::Loaded { piece: whole(0), bytes: 700 });
    // It is pinned, though memory is short again.
    node.expect(&["run 9#1"]);
    node.finish(9, 1, 10);
    node.expect(&["say done 9#1", "spill 0"]);
}

#[test]
fn of_a_spilled_whole_only_the_part_is_loaded() {
    let mut node = Node::limited(1, 1000);
    node.hold(0, 700);
    node.tell(WorkerEvent::Spilled(whole(0)));
    node.compute(9, 1, &[part(0, 4)], &[]);
    node.expect(&["spill 0", "load 0.4"]);
    node.tell(WorkerEvent::Loaded { piece: part(0, 4), bytes: 50 });
    node.expect(&["run 9#1"]);
    assert_eq!(node.core.memory(), (50, 700));
    node.finish(9, 1, 10);
    node.expect(&["drop 0.4", "say done 9#1"]);
}

#[test]
fn a_full_worker_begins_only_what_frees_memory() {
    let mut node = Node::limited(0, 1000);
    node.core.config.can_spill = false;
    node.hold(0, 450);
    node.hold(1, 400);
    node.compute(2, 1, &[], &[]);
    node.compute(3, 1, &[whole(0)], &[]);
    node.tell(WorkerEvent::Capacity(2));
    assert!(node.core.is_paused());
    node.expect(&["run 3#1"]);
    node.finish(3, 1, 10);
    // Nothing frees memory now and nothing runs: it goes on all the same.
    node.expect(&["say done 3#1", "run 2#1"]);
}

#[test]
fn a_failed_spill_is_not_tried_again_at_once() {
    let mut node = Node::limited(1, 1000);
    node.hold(0, 700);
    node.tell(WorkerEvent::SpillFailed(whole(0)));
    node.hold(1, 10);
    node.expect(&["spill 0"]);
    node.tell(WorkerEvent::Tick);
    node.expect(&["spill 0"]);
}

#[test]
fn an_unreadable_piece_is_reported_and_missed() {
    let mut node = Node::limited(1, 1000);
    node.hold(0, 700);
    node.tell(WorkerEvent::Spilled(whole(0)));
    node.compute(8, 1, &[whole(0), whole(1)], &[(whole(1), 7)]);
    node.compute(9, 1, &[whole(0)], &[]);
    node.tell(WorkerEvent::Wanted { piece: whole(0), reader: 1 });
    node.expect(&["spill 0", "fetch 1@w7", "load 0"]);
    node.tell(WorkerEvent::LoadFailed(whole(0)));
    node.expect(&["drop 0", "say 9#1 misses 0@self", "say dropped 0", "refuse 0 to 1"]);
    node.arrive(whole(1));
    node.expect(&["say copied 1", "say 8#1 misses 0@self"]);
    assert_eq!(node.core.n_orders(), 0);
}

#[test]
fn readers_pin_what_they_read() {
    let mut node = Node::limited(1, 1000);
    node.hold(0, 500);
    node.tell(WorkerEvent::Wanted { piece: part(0, 2), reader: 4 });
    node.tell(WorkerEvent::Wanted { piece: whole(7), reader: 5 });
    node.expect(&["serve 0.2 to 4", "refuse 7 to 5"]);
    node.hold(1, 200);
    node.expect(&["spill 1"]);
    node.order(Order::Free(TaskId(0)));
    node.expect(&[]);
    node.tell(WorkerEvent::Served { piece: part(0, 2), reader: 4 });
    node.expect(&["drop 0"]);
}

#[test]
fn a_number_is_not_used_again_while_its_old_piece_is_leaving() {
    let mut node = Node::limited(1, 1000);
    node.hold(0, 700);
    node.order(Order::Free(TaskId(0)));
    // Task 0 is another one now, and so is the value under its number.
    node.compute(0, 5, &[], &[]);
    node.compute(1, 1, &[whole(0)], &[(whole(0), 7)]);
    node.expect(&["spill 0"]);
    node.tell(WorkerEvent::Spilled(whole(0)));
    node.expect(&["drop 0", "run 0#5", "fetch 0@w7"]);
}

#[test]
fn copies_are_ordered_and_answered() {
    let mut node = Node::new(1);
    let copy = |task| Order::Copy { task: TaskId(task), bytes: 100, holder: WorkerId(7) };
    node.order(copy(0));
    node.order(copy(1));
    node.expect(&["fetch 0@w7", "fetch 1@w7"]);
    node.arrive(whole(0));
    node.tell(WorkerEvent::FetchFailed { piece: whole(1), holder: WorkerId(7) });
    node.expect(&["say copied 0", "say dropped 1"]);
    node.order(copy(0));
    node.expect(&["say copied 0"]);
}

#[test]
fn the_ledger_is_reported_when_it_moved() {
    let mut node = Node::limited(1, 1000);
    node.hold(0, 40);
    assert_eq!(node.actions, []);
    node.tell(WorkerEvent::Tick);
    node.hold(1, 800);
    let memory = |resident, paused| WorkerAction::Report(Report::Memory { resident, spilled: 0, paused });
    let said: Vec<WorkerAction> =
        node.actions.drain(..).filter(|action| matches!(action, WorkerAction::Report(_))).collect();
    assert_eq!(said, [memory(40, false), memory(840, true)]);
}

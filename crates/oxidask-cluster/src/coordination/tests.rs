use super::{Ask, Asker, Coordination, Effect, Item, Space, Told};
use oxidask_core::Key;

/// Drives a [`Coordination`]; answers come in the order in which they are told.
#[derive(Default)]
struct Bench {
    state: Coordination,
    n_asked: u32,
}

impl Bench {
    /// Asks for client `who`; answers the question's number.
    fn ask(&mut self, who: u32, ask: Ask) -> u32 {
        self.n_asked += 1;
        self.state.ask((Asker(who), self.n_asked), ask, 1.5);
        self.n_asked
    }

    fn effects(&mut self) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.state.take_effects(&mut effects);
        effects
    }

    /// What was told since the last call: question and answer.
    fn told(&mut self) -> Vec<(u32, Told)> {
        let tell = |effect| match effect {
            Effect::Tell((_, request), told) => Some((request, told)),
            _ => None,
        };
        self.effects().into_iter().filter_map(tell).collect()
    }

    fn answer(&mut self, who: u32, ask: Ask) -> Option<Told> {
        let request = self.ask(who, ask);
        self.told().into_iter().find(|(number, _)| *number == request).map(|(_, told)| told)
    }
}

fn item(text: &'static str) -> Item {
    Item { body: text.into(), keys: Vec::new() }
}

fn lock(name: &str, lease: u128) -> Ask {
    Ask::Acquire { names: vec![name.to_owned()], n: 1, lease: Key(lease), is_lock: true }
}

const DONE: Told = Told::Done(true);

#[test]
fn a_variable_is_waited_for_and_replaced() {
    let mut bench = Bench::default();
    let get = || Ask::Get { space: Space::Variable, name: "x".to_owned(), wait: true };
    let set = |text| Ask::Set { space: Space::Variable, name: "x".to_owned(), item: item(text), replace: true };
    let first = bench.ask(1, get());
    assert_eq!(bench.told(), []);
    let second = bench.ask(2, set("one"));
    assert_eq!(bench.told(), [(second, DONE), (first, Told::Item(Some(item("one"))))]);
    assert_eq!(bench.answer(2, set("two")), Some(DONE));
    assert_eq!(bench.answer(1, get()), Some(Told::Item(Some(item("two")))));
    let keep = Ask::Set { space: Space::Variable, name: "x".to_owned(), item: item("three"), replace: false };
    assert_eq!(bench.answer(2, keep), Some(Told::Done(false)));
    assert_eq!(bench.answer(1, Ask::List(Space::Variable)), Some(Told::Names(vec!["x".to_owned()])));
    assert_eq!(bench.answer(1, Ask::List(Space::Event)), Some(Told::Names(Vec::new())));
}

#[test]
fn a_full_queue_makes_wait_and_keeps_the_order() {
    let mut bench = Bench::default();
    let put = |text| Ask::Put { queue: "q".to_owned(), item: item(text) };
    let take = |least, most| Ask::Take { queue: "q".to_owned(), least, most };
    bench.ask(1, Ask::OpenQueue { name: "q".to_owned(), limit: 1 });
    assert_eq!(bench.told().len(), 1);
    assert_eq!(bench.answer(1, put("a")), Some(DONE));
    let (b, c) = (bench.ask(1, put("b")), bench.ask(1, put("c")));
    assert_eq!(bench.told(), []);
    let taken = bench.ask(2, take(1, 1));
    assert_eq!(bench.told(), [(taken, Told::Items(vec![item("a")])), (b, DONE)]);
    // Whoever withdraws leaves nothing behind.
    bench.state.withdraw((Asker(1), c));
    assert_eq!(bench.told(), [(c, Told::Withdrawn)]);
    assert_eq!(bench.answer(2, take(0, 9)), Some(Told::Items(vec![item("b")])));
    assert_eq!(bench.answer(2, take(0, 9)), Some(Told::Items(Vec::new())));
    assert!(matches!(bench.answer(2, take(2, 2)), Some(Told::Refused { .. })));
}

#[test]
fn futures_live_while_they_are_in_a_queue_or_on_their_way() {
    let mut bench = Bench::default();
    let held = Item { body: "f".into(), keys: vec![Key(7)] };
    bench.ask(1, Ask::Put { queue: "q".to_owned(), item: held });
    assert!(bench.effects().contains(&Effect::Hold(vec![Key(7)])));
    let request = bench.ask(2, Ask::Take { queue: "q".to_owned(), least: 1, most: 1 });
    let on_the_way = bench.effects();
    assert!(!on_the_way.iter().any(|effect| matches!(effect, Effect::Drop(_))), "{on_the_way:?}");
    bench.state.received((Asker(2), request));
    assert_eq!(bench.effects(), [Effect::Drop(vec![Key(7)])]);
}

#[test]
fn what_nobody_waits_for_any_more_goes_back_to_the_front() {
    let mut bench = Bench::default();
    let queue = || "q".to_owned();
    for text in ["a", "b", "c"] {
        bench.answer(1, Ask::Put { queue: queue(), item: item(text) });
    }
    let take = |most| Ask::Take { queue: queue(), least: 1, most };
    let Some(Told::Items(items)) = bench.answer(2, take(2)) else { panic!("there were three items") };
    assert_eq!(bench.answer(2, Ask::PutBack { queue: queue(), items }), Some(DONE));
    assert_eq!(bench.answer(3, take(9)), Some(Told::Items(vec![item("a"), item("b"), item("c")])));
    // Whoever waits gets what comes back, and a closed queue stays closed.
    let waiting = bench.ask(3, take(1));
    let back = bench.ask(2, Ask::PutBack { queue: queue(), items: vec![item("a")] });
    assert_eq!(bench.told(), [(back, DONE), (waiting, Told::Items(vec![item("a")]))]);
    bench.answer(1, Ask::CloseQueue(queue()));
    let back = Ask::PutBack { queue: queue(), items: vec![item("a")] };
    assert_eq!(bench.answer(2, back), Some(Told::Done(false)));
    assert_eq!(bench.answer(2, Ask::Length(queue())), Some(Told::Count(0)));
}

#[test]
fn what_a_vanished_client_was_sent_is_let_go() {
    let mut bench = Bench::default();
    let held = Item { body: "f".into(), keys: vec![Key(7)] };
    bench.ask(1, Ask::Put { queue: "q".to_owned(), item: held });
    bench.ask(2, Ask::Take { queue: "q".to_owned(), least: 1, most: 1 });
    bench.effects();
    bench.state.client_gone(Asker(2));
    assert_eq!(bench.effects(), [Effect::Drop(vec![Key(7)])]);
}

#[test]
fn a_lock_goes_round_and_is_free_when_its_holder_dies() {
    let mut bench = Bench::default();
    assert_eq!(bench.answer(1, lock("l", 1)), Some(DONE));
    let (second, third) = (bench.ask(2, lock("l", 2)), bench.ask(3, lock("l", 3)));
    assert_eq!(bench.told(), []);
    bench.state.client_gone(Asker(1));
    assert_eq!(bench.told(), [(second, DONE)]);
    let release = bench.ask(2, Ask::Release(Key(2)));
    assert_eq!(bench.told(), [(release, DONE), (third, DONE)]);
    assert_eq!(bench.answer(2, Ask::Release(Key(2))), Some(Told::Done(false)));
    assert_eq!(bench.answer(2, Ask::Leases("l".to_owned())), Some(Told::Count(1)));
    assert_eq!(bench.answer(3, Ask::Release(Key(3))), Some(DONE));
    assert!(bench.state.leases.is_idle());
}

#[test]
fn locks_that_are_taken_together_do_not_block_each_other() {
    let mut bench = Bench::default();
    let both =
        |lease| Ask::Acquire { names: vec!["a".to_owned(), "b".to_owned()], n: 2, lease: Key(lease), is_lock: true };
    assert_eq!(bench.answer(1, lock("a", 1)), Some(DONE));
    let (first, second) = (bench.ask(2, both(2)), bench.ask(3, both(3)));
    // The oldest wish for "b" goes first, though it cannot be met yet.
    let alone = bench.ask(4, lock("b", 4));
    assert_eq!(bench.told(), []);
    bench.ask(1, Ask::Release(Key(1)));
    assert_eq!(bench.told()[1..], [(first, DONE)]);
    bench.ask(2, Ask::Release(Key(2)));
    assert_eq!(bench.told()[1..], [(second, DONE)]);
    bench.ask(3, Ask::Release(Key(3)));
    assert_eq!(bench.told()[1..], [(alone, DONE)]);
}

#[test]
fn one_of_two_locks_is_enough_if_that_was_asked() {
    let mut bench = Bench::default();
    assert_eq!(bench.answer(1, lock("a", 1)), Some(DONE));
    let either = Ask::Acquire { names: vec!["a".to_owned(), "b".to_owned()], n: 1, lease: Key(2), is_lock: true };
    assert_eq!(bench.answer(2, either), Some(DONE));
    assert!(bench.answer(3, lock("b", 3)).is_none());
    bench.ask(2, Ask::Release(Key(2)));
    assert_eq!(bench.told().len(), 2);
}

#[test]
fn a_semaphore_has_as_many_leases_as_it_was_made_with() {
    let mut bench = Bench::default();
    let acquire = |lease| Ask::Acquire { names: vec!["s".to_owned()], n: 1, lease: Key(lease), is_lock: false };
    assert!(matches!(bench.answer(1, acquire(1)), Some(Told::Refused { .. })), "it must be made first");
    let open = |limit| Ask::OpenSemaphore { name: "s".to_owned(), limit };
    assert_eq!(bench.answer(1, open(2)), Some(DONE));
    assert!(matches!(bench.answer(1, open(3)), Some(Told::Refused { .. })));
    assert_eq!(bench.answer(1, acquire(1)), Some(DONE));
    assert_eq!(bench.answer(1, acquire(2)), Some(DONE));
    let third = bench.ask(1, acquire(3));
    assert_eq!(bench.told(), []);
    let close = bench.ask(1, Ask::CloseSemaphore("s".to_owned()));
    let told = bench.told();
    assert!(
        matches!(&told[..], [(one, Told::Refused { .. }), (two, DONE)] if (*one, *two) == (third, close)),
        "{told:?}"
    );
}

#[test]
fn topics_keep_events_and_tell_subscribers() {
    let mut bench = Bench::default();
    let subscribe = |on| Ask::Subscribe { topic: "t".to_owned(), on };
    assert_eq!(bench.answer(1, subscribe(true)), Some(DONE));
    let log = Ask::Log { topics: vec!["t".to_owned(), "u".to_owned()], item: item("e") };
    bench.ask(2, log.clone());
    let events: Vec<Effect> = bench.effects();
    assert_eq!(events.iter().filter(|effect| matches!(effect, Effect::Event(Asker(1), _))).count(), 1);
    assert_eq!(bench.answer(1, subscribe(false)), Some(DONE));
    assert_eq!(bench.answer(1, subscribe(false)), Some(Told::Done(false)));
    bench.ask(2, log);
    assert!(!bench.effects().iter().any(|effect| matches!(effect, Effect::Event(..))));
    let Some(Told::Events(events)) = bench.answer(1, Ask::Events(None)) else { panic!("no events") };
    assert_eq!(events.iter().map(|event| event.topic.as_str()).collect::<Vec<_>>(), ["t", "t", "u", "u"]);
}

#[test]
fn the_end_of_a_result_is_told_and_frees_what_was_kept_with_it() {
    let mut bench = Bench::default();
    let waits = bench.ask(1, Ask::Forgotten(Key(9)));
    bench.ask(1, Ask::KeepWith { owner: Key(9), keys: vec![Key(1)] });
    bench.effects();
    bench.state.forgotten(Key(9));
    assert_eq!(bench.effects(), [Effect::Tell((Asker(1), waits), DONE), Effect::Drop(vec![Key(1)])]);
}

#[test]
fn what_was_written_down_goes_on() {
    let mut bench = Bench::default();
    bench.ask(1, lock("door", 1));
    let waiting = bench.ask(2, lock("door", 2));
    let taking = bench.ask(3, Ask::Take { queue: "letters".to_owned(), least: 1, most: 1 });
    bench.ask(1, Ask::OpenSemaphore { name: "rooms".to_owned(), limit: 3 });
    bench.ask(1, Ask::Log { topics: vec!["news".to_owned()], item: item("first") });
    bench.told();
    let written = postcard::to_allocvec(&bench.state).unwrap();
    bench.state = postcard::from_bytes(&written).unwrap();
    assert_eq!(postcard::to_allocvec(&bench.state).unwrap(), written);
    bench.ask(1, Ask::Release(Key(1)));
    assert!(bench.told().contains(&(waiting, DONE)));
    bench.ask(1, Ask::Put { queue: "letters".to_owned(), item: item("a letter") });
    assert!(bench.told().contains(&(taking, Told::Items(vec![item("a letter")]))));
    let news = bench.answer(1, Ask::Events(Some("news".to_owned())));
    assert!(matches!(news, Some(Told::Events(events)) if events.len() == 1 && events[0].item == item("first")));
}

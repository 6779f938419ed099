//! `#[task]` and `Delayed` on an executor that runs everything in order.

use super::*;
use crate::prelude::*;
use oxidask_core::registry::{decode_op, decode_value};
use oxidask_core::{Graph, Source};
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicU32, Ordering};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Person {
    name: String,
    age: u32,
}

#[crate::task]
fn inc(x: i64, by: i64) -> i64 {
    x + by
}

#[crate::task]
fn greet(person: &Person, greeting: &str) -> String {
    format!("{greeting}, {}!", person.name)
}

#[crate::task]
fn oldest(people: &[Person]) -> Result<Person, String> {
    people.iter().max_by_key(|person| person.age).cloned().ok_or_else(|| "nobody is there".to_owned())
}

#[crate::task]
fn swap(pair: (i64, String)) -> (String, i64) {
    (pair.1, pair.0)
}

static CALLS: AtomicU32 = AtomicU32::new(0);

#[crate::task(impure)]
fn count_calls() -> u32 {
    CALLS.fetch_add(1, Ordering::Relaxed)
}

/// Runs a graph as another process would: every op and every value goes through
/// its encoded form.
fn run_elsewhere(graph: &Graph) -> Result<Vec<Value>> {
    let travel = |value: &Value| decode_value(value.data().kind(), value.data().encode()?);
    let mut values: Vec<Value> = Vec::new();
    for (idx, task) in graph.tasks().iter().enumerate() {
        let value = match task.source() {
            Source::Data(data) => graph.data_values()[data as usize].clone(),
            Source::Run(stage) => {
                let op = decode_op(&graph.stages()[stage as usize].op.encode()?)?;
                let inputs: Vec<Value> =
                    graph.inputs_of(idx as u32).iter().map(|input| values[input.task as usize].clone()).collect();
                op.run(u64::from(task.block), &inputs)?
            }
            Source::Held => unreachable!("nothing is held"),
        };
        values.push(travel(&value)?);
    }
    Ok(graph.outputs.iter().map(|output| values[output.task as usize].clone()).collect())
}

/// The result here and the result elsewhere, which must be equal.
fn both<T: TaskValue + Clone + PartialEq + fmt::Debug>(value: &Delayed<T>) -> T {
    let here = value.compute().unwrap();
    let (graph, _) = lower(std::slice::from_ref(value.expr())).unwrap();
    let elsewhere: T = Typed::take(run_elsewhere(&graph).unwrap().pop().unwrap()).unwrap();
    assert_eq!(here, elsewhere);
    here
}

#[test]
fn the_function_stays_and_calls_are_lazy() {
    assert_eq!(inc(1, 2), 3);
    assert_eq!(both(&inc::delay(inc::delay(1, 2), 10)), 13);
    let ann = Person { name: "Ann".to_owned(), age: 3 };
    assert_eq!(both(&greet::delay(ann, "Hello")), "Hello, Ann!");
}

#[test]
fn vectors_and_tuples_of_lazy_values_are_arguments() {
    let people: Vec<Delayed<Person>> = ["Ann", "Bob"]
        .iter()
        .zip([3, 5])
        .map(|(name, age)| Delayed::value(Person { name: (*name).into(), age }))
        .collect();
    assert_eq!(both(&oldest::delay(people.clone())).name, "Bob");
    assert_eq!(both(&oldest::delay(&people[..1])).name, "Ann");
    assert_eq!(both(&swap::delay((inc::delay(1, 1), Delayed::value("x".to_owned())))), ("x".to_owned(), 2));
    let many: Vec<Delayed<i64>> = (0..300).map(|x| inc::delay(x, 0)).collect();
    assert_eq!(both(&many.into_delayed()), (0..300).collect::<Vec<i64>>(), "a length of two bytes");
}

#[test]
fn an_error_arrives_as_the_function_wrote_it() {
    let error = oldest::delay(Vec::<Person>::new()).compute().unwrap_err();
    assert_eq!(error.message(), "nobody is there");
    assert_eq!(error.kind(), ErrorKind::Task);
}

#[test]
fn equal_calls_are_one_task_unless_impure() {
    let shared = inc::delay(1, 1);
    let roots = [shared.expr().clone(), inc::delay(1, 1).expr().clone(), inc::delay(&shared, 1).expr().clone()];
    let (graph, _) = lower(&roots).unwrap();
    assert_eq!(graph.tasks().iter().filter(|task| matches!(task.source(), Source::Run(_))).count(), 2);
    assert_eq!(graph.stages().len(), 1, "calls of one function share their op");
    let calls = compute_all(&[count_calls::delay(), count_calls::delay()]).unwrap();
    assert_ne!(calls[0], calls[1]);
}

#[test]
fn a_value_of_another_type_is_told() {
    let wrong: Delayed<String> = Delayed::from_expr(inc::delay(1, 2).expr().clone());
    let error = wrong.compute().unwrap_err();
    assert!(error.message().contains("i64") && error.message().contains("String"), "{error}");
}

#[test]
fn memory_counts_the_heap() {
    assert_eq!(Value::new(Typed::new(1_i64)).nbytes(), 8);
    assert!(Value::new(Typed::new(vec![0.5_f64; 1_000])).nbytes() >= 8_000);
}

#[test]
fn a_long_chain_needs_no_deep_stack() {
    let mut value = Delayed::value(0);
    for _ in 0..200_000 {
        value = inc::delay(value, 1);
    }
    assert_eq!(value.compute().unwrap(), 200_000);
}

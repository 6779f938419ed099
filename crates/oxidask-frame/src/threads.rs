//! One task, one thread: how Polars is told so.
//!
//! Polars moves the parallel halves of its work onto one global pool. With many
//! tasks at once they would queue behind each other there, and one task would
//! use cores that the scheduler gave to others. Every call into Polars from a
//! task goes through [`alone`], which makes the calling thread do all of its
//! own work.

use polars_async::executor::ALLOW_RAYON_THREADS;

/// Restores the switch also when the work panics.
struct Restore(bool);

impl Drop for Restore {
    fn drop(&mut self) {
        ALLOW_RAYON_THREADS.set(self.0);
    }
}

/// Runs `work`, in which Polars uses no thread but this one.
pub fn alone<R>(work: impl FnOnce() -> R) -> R {
    let _restore = Restore(ALLOW_RAYON_THREADS.replace(false));
    work()
}

#[cfg(test)]
mod tests {
    use super::*;
    use polars::prelude::*;
    use std::collections::HashSet;
    use std::sync::{Arc, Mutex};
    use std::thread::ThreadId;

    /// A query with several expressions, which Polars evaluates on its pool
    /// when it may; answers the threads on which they ran.
    fn threads_of_a_query() -> HashSet<ThreadId> {
        let seen = Arc::new(Mutex::new(HashSet::new()));
        let spy = |name: &str| {
            let seen = seen.clone();
            col("x")
                .map(
                    move |column| {
                        seen.lock().unwrap().insert(std::thread::current().id());
                        Ok(column)
                    },
                    |_, field| Ok(field.clone()),
                )
                .alias(name)
        };
        let frame = df!("x" => (0..10_000i64).collect::<Vec<_>>()).unwrap();
        let query = frame.lazy().select((0..16).map(|i| spy(&format!("c{i}"))).collect::<Vec<_>>());
        query.collect().unwrap();
        let seen = seen.lock().unwrap();
        seen.clone()
    }

    #[test]
    fn a_task_stays_on_its_own_thread() {
        let seen = alone(threads_of_a_query);
        assert_eq!(seen, HashSet::from([std::thread::current().id()]));
        assert!(ALLOW_RAYON_THREADS.get(), "the switch is restored");
    }

    #[test]
    fn without_the_switch_the_work_moves_to_the_pool() {
        let seen = threads_of_a_query();
        assert!(!seen.contains(&std::thread::current().id()), "the switch is what keeps work here: {seen:?}");
    }

    #[test]
    fn two_tasks_run_at_the_same_time() {
        // Each query waits inside an expression for the other one to arrive
        // there: they can only end if neither queues behind the other.
        let barrier = Arc::new(std::sync::Barrier::new(2));
        let tasks: Vec<_> = (0..2)
            .map(|_| {
                let barrier = barrier.clone();
                std::thread::spawn(move || {
                    alone(|| {
                        let meet = col("x").map(
                            move |column| {
                                barrier.wait();
                                Ok(column)
                            },
                            |_, field| Ok(field.clone()),
                        );
                        df!("x" => [1i64, 2]).unwrap().lazy().select([meet]).collect().unwrap().height()
                    })
                })
            })
            .collect();
        assert_eq!(tasks.into_iter().map(|task| task.join().unwrap()).sum::<usize>(), 4);
    }
}

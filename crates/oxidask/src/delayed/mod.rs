//! Lazy calls of your own functions.
//!
//! `#[oxidask::task]` leaves a function as it is and adds `name::delay(…)`,
//! which records a call instead of making it. Its arguments are values or other
//! lazy calls, so calls form a graph; [`Delayed::compute`] runs it.
//!
//! ```
//! use oxidask::prelude::*;
//!
//! #[oxidask::task]
//! fn inc(x: i64) -> i64 {
//!     x + 1
//! }
//!
//! #[oxidask::task]
//! fn total(numbers: &[i64]) -> i64 {
//!     numbers.iter().sum()
//! }
//!
//! let parts: Vec<Delayed<i64>> = (0..10).map(inc::delay).collect();
//! assert_eq!(total::delay(parts).compute()?, 55);
//! assert_eq!(inc(1), 2, "the function itself is still there");
//! # Ok::<(), oxidask::Error>(())
//! ```
//!
//! What cannot run anywhere is refused by the compiler: a generic function,
//!
//! ```compile_fail
//! #[oxidask::task]
//! fn first<T>(items: Vec<T>) -> usize { items.len() }
//! ```
//!
//! an argument that would be changed in place,
//!
//! ```compile_fail
//! #[oxidask::task]
//! fn push(items: &mut Vec<i64>) -> usize { items.len() }
//! ```
//!
//! a method, an async function, and a call with an argument of another type:
//!
//! ```compile_fail
//! #[oxidask::task]
//! fn inc(x: i64) -> i64 { x + 1 }
//!
//! inc::delay("one");
//! ```

mod args;
mod task;
#[cfg(test)]
mod tests;
mod typed;

pub use args::IntoDelayed;
pub(crate) use task::unique;
pub use task::{TaskFn, TaskOutput};
pub use typed::{TaskValue, Typed};

#[doc(hidden)]
pub use task::{TaskOp, call, wrong_arguments};

use crate::executor;
use oxidask_core::{Executor, ExprRef, Future, Key, Result, Status, Value, lower, optimize};
use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

/// A lazy value of type `T`: a call that has not been made yet, or a constant.
///
/// Cloning it is cheap and shares the work: a value that several calls read is
/// computed once.
pub struct Delayed<T> {
    expr: ExprRef,
    value: PhantomData<fn() -> T>,
}

impl<T> Clone for Delayed<T> {
    fn clone(&self) -> Self {
        Delayed::from_expr(self.expr.clone())
    }
}

impl<T> fmt::Debug for Delayed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Delayed({}, {})", self.expr.label(), self.expr.key())
    }
}

impl<T> Delayed<T> {
    /// A lazy value that `expr` computes as its one block, a [`Typed`] value
    /// that holds a `T`.
    #[must_use]
    pub fn from_expr(expr: ExprRef) -> Self {
        Delayed { expr, value: PhantomData }
    }

    /// The expression.
    #[must_use]
    pub fn expr(&self) -> &ExprRef {
        &self.expr
    }

    /// The name of the value: equal calls of pure functions have equal keys.
    ///
    /// ```
    /// # use oxidask::prelude::*;
    /// #[oxidask::task]
    /// fn double(x: i64) -> i64 { 2 * x }
    /// #[oxidask::task(impure)]
    /// fn roll() -> i64 { 4 }
    ///
    /// assert_eq!(double::delay(1).key(), double::delay(1).key());
    /// assert_ne!(double::delay(1).key(), double::delay(2).key());
    /// assert_ne!(roll::delay().key(), roll::delay().key());
    /// ```
    #[must_use]
    pub fn key(&self) -> Key {
        self.expr.key()
    }
}

impl<T: TaskValue> Delayed<T> {
    /// A constant, for places that want a `Delayed`.
    ///
    /// ```
    /// # use oxidask::prelude::*;
    /// assert_eq!(Delayed::value(vec![1, 2]).compute()?, [1, 2]);
    /// # Ok::<(), oxidask::Error>(())
    /// ```
    pub fn value(value: T) -> Self {
        value.into_delayed()
    }

    /// Starts the work on `executor` and answers at once.
    ///
    /// # Errors
    /// If the executor does not take the work, for example because it runs in
    /// other processes and a closure cannot go there.
    pub fn submit_to(&self, executor: &dyn Executor) -> Result<FutureOf<T>> {
        let (graph, _) = lower(&optimize(std::slice::from_ref(&self.expr))?)?;
        let mut futures = executor.submit(graph)?;
        let future = futures.pop().ok_or_else(|| oxidask_core::Error::value("the executor answered no future"))?;
        Ok(FutureOf { future, value: PhantomData })
    }
}

impl<T: TaskValue + Clone> Delayed<T> {
    /// Runs the work on the current executor (see [`crate::executor`]) and
    /// answers its result.
    ///
    /// # Errors
    /// The error of the first function that failed.
    pub fn compute(&self) -> Result<T> {
        self.compute_on(&*executor::current()?)
    }

    /// Runs the work on `executor` and answers its result.
    ///
    /// ```
    /// # use oxidask::prelude::*;
    /// #[oxidask::task]
    /// fn half(x: u32) -> Result<u32, String> {
    ///     if x % 2 == 0 { Ok(x / 2) } else { Err(format!("{x} is odd")) }
    /// }
    ///
    /// let executor = oxidask::sync()?;
    /// assert_eq!(half::delay(4).compute_on(&executor)?, 2);
    /// let error = half::delay(3).compute_on(&executor).unwrap_err();
    /// assert_eq!(error.message(), "3 is odd");
    /// # Ok::<(), oxidask::Error>(())
    /// ```
    ///
    /// # Errors
    /// The error of the first function that failed.
    pub fn compute_on(&self, executor: &dyn Executor) -> Result<T> {
        let mut results = compute_all_on(std::slice::from_ref(self), executor)?;
        results.pop().ok_or_else(|| oxidask_core::Error::value("the executor answered no result"))
    }
}

/// Runs several lazy values together, so that work they share is done once.
///
/// ```
/// # use oxidask::prelude::*;
/// #[oxidask::task]
/// fn square(x: i64) -> i64 { x * x }
///
/// let squares: Vec<_> = (0..5).map(square::delay).collect();
/// assert_eq!(oxidask::delayed::compute_all(&squares)?, [0, 1, 4, 9, 16]);
/// # Ok::<(), oxidask::Error>(())
/// ```
///
/// # Errors
/// The error of the first function that failed.
pub fn compute_all<T: TaskValue + Clone>(values: &[Delayed<T>]) -> Result<Vec<T>> {
    compute_all_on(values, &*executor::current()?)
}

/// [`compute_all`] on a given executor.
///
/// # Errors
/// The error of the first function that failed.
pub fn compute_all_on<T: TaskValue + Clone>(values: &[Delayed<T>], executor: &dyn Executor) -> Result<Vec<T>> {
    let roots: Vec<ExprRef> = values.iter().map(|value| value.expr.clone()).collect();
    let (graph, _) = lower(&optimize(&roots)?)?;
    executor.compute(graph, &|| Ok(()))?.into_iter().map(Typed::take).collect()
}

/// A result of type `T` that an executor computes or holds. Dropping the last
/// one lets the executor forget it.
pub struct FutureOf<T> {
    future: Future,
    value: PhantomData<fn() -> T>,
}

impl<T: TaskValue + Clone> FutureOf<T> {
    /// Waits for the result, at most for `timeout` if there is one.
    ///
    /// # Errors
    /// The task's error, or that the time was up.
    pub fn result(&self, timeout: Option<Duration>) -> Result<T> {
        self.future.result(timeout).and_then(Typed::take)
    }

    /// How far it is.
    #[must_use]
    pub fn status(&self) -> Status {
        self.future.status()
    }

    /// The untyped future, to cancel it or to be called back.
    #[must_use]
    pub fn future(&self) -> &Future {
        &self.future
    }
}

/// The value of a constant argument; for [`IntoDelayed`].
fn constant<T: TaskValue>(value: T) -> Result<(Key, Value)> {
    let value = Value::new(Typed::new(value));
    let frames = value.data().encode()?;
    Ok((oxidask_core::Blob::new(frames).key, value))
}

//! Bags folded to one value, or to one for each key.

use super::expr::{PerPartition, Reduce};
use super::{Bag, Local, local_items, run};
use crate::executor;
use oxidask_core::{Error, Executor, ExprRef, Result, Value};
use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::sync::Arc;

impl<T: Clone + Send + Sync + 'static> Bag<T> {
    /// One value of each partition.
    fn per_partition<U: Send + Sync + 'static>(
        &self,
        label: &'static str,
        function: impl Fn(Vec<T>) -> Result<U> + Send + Sync + 'static,
    ) -> ExprRef {
        let items = self.items.clone();
        let run = move |value: Value| Ok(Value::new(Local(vec![function(items(value)?)?])));
        Arc::new(PerPartition::closure(label, self.source.clone(), run))
    }

    /// Folds each partition from `initial`, then the results with `combine`, as a
    /// tree: `combine` must be associative.
    ///
    /// ```
    /// use oxidask::prelude::*;
    ///
    /// let numbers = Bag::from_vec((1..=100).collect(), 7)?;
    /// assert_eq!(numbers.fold(0, |sum, x: i64| sum + x, |a, b| a + b)?, 5050);
    /// # Ok::<(), oxidask::Error>(())
    /// ```
    ///
    /// # Errors
    /// The first error of a step.
    pub fn fold<A: Clone + Send + Sync + 'static>(
        &self,
        initial: A,
        fold: impl Fn(A, T) -> A + Send + Sync + 'static,
        combine: impl Fn(A, A) -> A + Send + Sync + 'static,
    ) -> Result<A> {
        self.fold_on(&*executor::current()?, initial, fold, combine)
    }

    /// [`Bag::fold`] on a given executor.
    ///
    /// # Errors
    /// The first error of a step.
    pub fn fold_on<A: Clone + Send + Sync + 'static>(
        &self,
        executor: &dyn Executor,
        initial: A,
        fold: impl Fn(A, T) -> A + Send + Sync + 'static,
        combine: impl Fn(A, A) -> A + Send + Sync + 'static,
    ) -> Result<A> {
        let parts = self.per_partition(self.label, move |items| Ok(items.into_iter().fold(initial.clone(), &fold)));
        let merge = move |values: &[Value]| {
            let mut parts = values.iter().map(|value| local_items::<A>(value.clone()));
            let first = parts.next().unwrap_or_else(|| Err(Error::value("nothing to combine")))?;
            let combined = parts.try_fold(first, |left, right| {
                Ok::<_, Error>(left.into_iter().zip(right?).map(|(a, b)| combine(a, b)).collect())
            })?;
            Ok(Value::new(Local(combined)))
        };
        let root: ExprRef = Arc::new(Reduce::new("fold", parts, merge));
        let value = run(&root, executor)?.pop().ok_or_else(|| Error::value("the executor answered nothing"))?;
        local_items::<A>(value)?.pop().ok_or_else(|| Error::value("the fold answered nothing"))
    }

    /// How many items there are.
    ///
    /// # Errors
    /// The first error of a step.
    pub fn count(&self) -> Result<usize> {
        self.fold(0, |count, _| count + 1, |left, right| left + right)
    }

    /// How often each item occurs.
    ///
    /// # Errors
    /// The first error of a step.
    pub fn frequencies(&self) -> Result<HashMap<T, usize>>
    where
        T: Eq + Hash,
    {
        let count = |mut counts: HashMap<T, usize>, item: T| {
            *counts.entry(item).or_insert(0) += 1;
            counts
        };
        self.fold(HashMap::new(), count, |left, right| {
            let (mut most, least) = if left.len() < right.len() { (right, left) } else { (left, right) };
            for (item, n) in least {
                *most.entry(item).or_insert(0) += n;
            }
            most
        })
    }

    /// Each item once, in no order.
    ///
    /// ```
    /// use oxidask::prelude::*;
    ///
    /// let letters = Bag::from_vec("abracadabra".chars().collect(), 3)?;
    /// assert_eq!(letters.distinct()?.len(), 5);
    /// # Ok::<(), oxidask::Error>(())
    /// ```
    ///
    /// # Errors
    /// The first error of a step.
    pub fn distinct(&self) -> Result<HashSet<T>>
    where
        T: Eq + Hash,
    {
        let add = |mut items: HashSet<T>, item: T| {
            items.insert(item);
            items
        };
        self.fold(HashSet::new(), add, |left, right| {
            let (mut most, least) = if left.len() < right.len() { (right, left) } else { (left, right) };
            most.extend(least);
            most
        })
    }

    /// Folds the items of each key from `initial`, in each partition; results of
    /// one key are merged with `combine`, which must be associative.
    ///
    /// ```
    /// use oxidask::prelude::*;
    ///
    /// let numbers = Bag::from_vec((0..10_i64).collect(), 4)?;
    /// let sums = numbers.fold_by(|x| x % 2 == 0, 0, |sum, x| sum + x, |a, b| a + b)?;
    /// assert_eq!((sums[&true], sums[&false]), (20, 25));
    /// # Ok::<(), oxidask::Error>(())
    /// ```
    ///
    /// # Errors
    /// The first error of a step.
    pub fn fold_by<K, A>(
        &self,
        key: impl Fn(&T) -> K + Send + Sync + 'static,
        initial: A,
        fold: impl Fn(A, T) -> A + Send + Sync + 'static,
        combine: impl Fn(A, A) -> A + Send + Sync + 'static,
    ) -> Result<HashMap<K, A>>
    where
        K: Clone + Eq + Hash + Send + Sync + 'static,
        A: Clone + Send + Sync + 'static,
    {
        // A value is taken out of the map while it is folded, so that nothing is cloned.
        let add = move |mut groups: HashMap<K, Option<A>>, item: T| {
            let value = groups.entry(key(&item)).or_insert_with(|| Some(initial.clone()));
            *value = value.take().map(|before| fold(before, item));
            groups
        };
        let merge = move |mut left: HashMap<K, Option<A>>, right: HashMap<K, Option<A>>| {
            for (key, value) in right {
                let own = left.entry(key).or_default();
                *own = match (own.take(), value) {
                    (Some(before), Some(after)) => Some(combine(before, after)),
                    (before, after) => before.or(after),
                };
            }
            left
        };
        let groups = self.fold(HashMap::new(), add, merge)?;
        Ok(groups.into_iter().filter_map(|(key, value)| Some((key, value?))).collect())
    }

    /// The `k` largest items, largest first.
    ///
    /// # Errors
    /// The first error of a step.
    pub fn topk(&self, k: usize) -> Result<Vec<T>>
    where
        T: Ord,
    {
        let largest = move |mut items: Vec<T>| {
            items.sort_unstable_by(|left, right| right.cmp(left));
            items.truncate(k);
            items
        };
        // Sorting once in a while keeps a partition's share at 2 k items.
        let add = move |mut items: Vec<T>, item: T| {
            items.push(item);
            if items.len() >= (2 * k).max(1024) { largest(items) } else { items }
        };
        let all = self.fold(Vec::new(), add, move |mut left, right| {
            left.extend(right);
            largest(left)
        })?;
        Ok(largest(all))
    }
}

//! Bags: lazy sequences of any values, in partitions.
//!
//! Steps that look at one partition at a time (`map`, `filter`, `flat_map`) run
//! as one task a partition. Closures run in this process; a `#[task]` function
//! that takes and returns a vector runs everywhere, by [`Bag::map_task`].
//!
//! ```
//! use oxidask::prelude::*;
//!
//! let words: Vec<String> = "one two three".split(' ').map(String::from).collect();
//! let lengths = Bag::from_vec(words, 2)?.map(|word| word.len());
//! assert_eq!(lengths.collect()?, [3, 3, 5]);
//! assert_eq!(lengths.frequencies()?[&3], 2);
//! # Ok::<(), oxidask::Error>(())
//! ```

mod expr;
mod folds;
mod given;
mod output;
#[cfg(test)]
mod tests;

use crate::delayed::{TaskFn, unique};
use crate::executor;
use expr::PerPartition;
use oxidask_core::{Data, DataKind, Error, Executor, ExprRef, Frames, Result, Value, lower, optimize};
use oxidask_io::{Block, BlockOptions, StorageOptions, expand, plan};
use serde::de::DeserializeOwned;
use std::sync::Arc;

pub use crate::delayed::{TaskValue, Typed};
pub use given::Given;

/// Turns a partition's value into its items.
type Items<T> = Arc<dyn Fn(Value) -> Result<Vec<T>> + Send + Sync>;

/// A lazy sequence of `T`s in partitions. Cloning it is cheap.
pub struct Bag<T> {
    source: ExprRef,
    n_partitions: usize,
    /// The steps since `source`, as one function.
    items: Items<T>,
    /// Whether there are none: the blocks of `source` are the items.
    is_source: bool,
    /// What the last step is called.
    label: &'static str,
}

impl<T> Clone for Bag<T> {
    fn clone(&self) -> Self {
        Bag {
            source: self.source.clone(),
            n_partitions: self.n_partitions,
            items: self.items.clone(),
            is_source: self.is_source,
            label: self.label,
        }
    }
}

impl<T: TaskValue + Clone> Bag<T> {
    /// A bag of what `source` makes: a vector of `T`s in each block.
    fn from_source(source: ExprRef, n_partitions: usize, label: &'static str) -> Self {
        Bag { source, n_partitions, items: Arc::new(Typed::take), is_source: true, label }
    }
}

/// Items on their way between tasks of this process.
struct Local<T>(Vec<T>);

impl<T> DataKind for Local<T> {
    fn kind(&self) -> &'static str {
        "bag.local"
    }
}

impl<T: Send + Sync + 'static> Data for Local<T> {
    fn nbytes(&self) -> u64 {
        (self.0.len() * size_of::<T>()) as u64
    }

    fn encode(&self) -> Result<Frames> {
        Err(Error::unsupported("the results of closures stay in the process that made them")
            .with_hint("use `map_task` with a #[task] function to run elsewhere"))
    }
}

impl<T: TaskValue + Clone> Bag<T> {
    /// A bag of given items in at most `n_partitions` partitions of about equal
    /// length.
    ///
    /// # Errors
    /// If `n_partitions` is 0.
    pub fn from_vec(items: Vec<T>, n_partitions: usize) -> Result<Self> {
        if n_partitions == 0 {
            return Err(Error::value("a bag has at least one partition, not 0"));
        }
        let length = items.len().div_ceil(n_partitions).max(1);
        let mut partitions: Vec<Value> =
            items.chunks(length).map(|chunk| Value::new(Typed::new(chunk.to_vec()))).collect();
        if partitions.is_empty() {
            partitions.push(Value::new(Typed::new(Vec::<T>::new())));
        }
        let n_partitions = partitions.len();
        Ok(Bag::from_source(Arc::new(Given::new(unique(), "from_vec", partitions, ())), n_partitions, "from_vec"))
    }
}

impl Bag<String> {
    /// The lines of text files, without their ends, in partitions of about
    /// `block_bytes`, or one of each file. Compressed files are known by their
    /// endings, decompressed and not cut.
    ///
    /// # Errors
    /// If a path does not exist or a glob matches nothing.
    pub fn read_text<S: AsRef<str>>(paths: &[S], block_bytes: Option<u64>) -> Result<Self> {
        let options = BlockOptions { block_bytes, ..BlockOptions::default() };
        Bag::read_text_with(paths, &options, &StorageOptions::default())
    }

    /// [`Bag::read_text`] with all options: a compression by name, and what a
    /// storage other than this machine's file systems needs.
    ///
    /// ```
    /// use oxidask::io::{BlockOptions, Compression, StorageOptions};
    /// use oxidask::prelude::*;
    ///
    /// let path = std::env::temp_dir().join(format!("oxidask-lines-{}", std::process::id()));
    /// std::fs::write(&path, Compression::Zstd.compress(b"one\ntwo\n").unwrap()).unwrap();
    /// let options = BlockOptions { compression: Some(Compression::Zstd), ..BlockOptions::default() };
    /// let lines = Bag::read_text_with(&[path.to_string_lossy()], &options, &StorageOptions::default())?;
    /// assert_eq!(lines.collect()?, ["one", "two"]);
    /// # std::fs::remove_file(path).unwrap();
    /// # Ok::<(), oxidask::Error>(())
    /// ```
    ///
    /// # Errors
    /// As for [`Bag::read_text`].
    pub fn read_text_with<S: AsRef<str>>(
        paths: &[S],
        options: &BlockOptions,
        storage: &StorageOptions,
    ) -> Result<Self> {
        let blocks = blocks_of(paths, options, storage)?;
        let n_partitions = blocks.len();
        Ok(Bag::from_source(Arc::new(PerPartition::read_text(blocks)), n_partitions, "read_text"))
    }
}

fn blocks_of<S: AsRef<str>>(paths: &[S], options: &BlockOptions, storage: &StorageOptions) -> Result<Vec<Block>> {
    Ok(plan(&expand(paths, storage)?, options, storage)?.into_iter().flatten().collect())
}

impl<R: DeserializeOwned + Clone + Send + Sync + 'static> Bag<R> {
    /// The records of text files with one JSON record a line; see
    /// [`Bag::read_text`]. Empty lines are left out.
    ///
    /// ```
    /// use oxidask::prelude::*;
    ///
    /// #[derive(Clone, serde::Deserialize)]
    /// struct Click {
    ///     tz: Option<String>,
    /// }
    ///
    /// let path = std::env::temp_dir().join(format!("oxidask-clicks-{}", std::process::id()));
    /// std::fs::write(&path, "{\"tz\": \"Europe/Rome\"}\n{}\n").unwrap();
    /// let clicks: Bag<Click> = Bag::read_json(&[path.to_string_lossy()], None)?;
    /// assert_eq!(clicks.flat_map(|click| click.tz).frequencies()?["Europe/Rome"], 1);
    /// # std::fs::remove_file(path).unwrap();
    /// # Ok::<(), oxidask::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Bag::read_text`]; computing fails at a line that is no such record,
    /// names its file and number, and quotes it.
    pub fn read_json<S: AsRef<str>>(paths: &[S], block_bytes: Option<u64>) -> Result<Self> {
        let options = BlockOptions { block_bytes, ..BlockOptions::default() };
        let blocks = blocks_of(paths, &options, &StorageOptions::default())?;
        let n_partitions = blocks.len();
        let source: ExprRef = Arc::new(PerPartition::of_blocks("read_json", blocks, |block| {
            let mut records: Vec<R> = Vec::new();
            block.each_line(|number, line| {
                if !line.trim().is_empty() {
                    records.push(parse_json(line, number, block)?);
                }
                Ok(())
            })?;
            Ok(Value::new(Local(records)))
        }));
        Ok(Bag { source, n_partitions, items: Arc::new(local_items), is_source: false, label: "read_json" })
    }
}

/// Longest part of a broken line that an error quotes.
const QUOTED_CHARS: usize = 80;

fn parse_json<R: DeserializeOwned>(line: &str, number: u64, block: &Block) -> Result<R> {
    serde_json::from_str(line).map_err(|cause| {
        let first = block.first_line(b"\n", 1).unwrap_or(0);
        let at = cause.column().saturating_sub(QUOTED_CHARS / 2);
        let quoted: String = line.chars().skip(at).take(QUOTED_CHARS).collect();
        let place = format!("'{}', line {}", block.path, first + number + 1);
        Error::value(format!("{place}: not the JSON record that is expected: {cause}: {quoted}"))
    })
}

fn local_items<T: Clone + Send + Sync + 'static>(value: Value) -> Result<Vec<T>> {
    match value.into_unique::<Local<T>>() {
        Ok(Local(items)) => Ok(items),
        Err(value) => Ok(value.expect::<Local<T>>()?.0.clone()),
    }
}

impl<T: Clone + Send + Sync + 'static> Bag<T> {
    /// How many partitions there are.
    #[must_use]
    pub fn n_partitions(&self) -> usize {
        self.n_partitions
    }

    /// A bag with one more step on each partition's items.
    fn then<U: 'static>(
        &self,
        label: &'static str,
        step: impl Fn(std::vec::IntoIter<T>) -> Result<Vec<U>> + Send + Sync + 'static,
    ) -> Bag<U> {
        let items = self.items.clone();
        let items: Items<U> = Arc::new(move |value| step(items(value)?.into_iter()));
        Bag { source: self.source.clone(), n_partitions: self.n_partitions, items, is_source: false, label }
    }

    /// `function` of each item.
    #[must_use]
    pub fn map<U: 'static>(&self, function: impl Fn(T) -> U + Send + Sync + 'static) -> Bag<U> {
        self.then("map", move |items| Ok(items.map(&function).collect()))
    }

    /// `function` of each item; the first error ends the computation.
    #[must_use]
    pub fn try_map<U: 'static>(&self, function: impl Fn(T) -> Result<U> + Send + Sync + 'static) -> Bag<U> {
        self.then("map", move |items| items.map(&function).collect())
    }

    /// The items for which `keep` answers true.
    #[must_use]
    pub fn filter(&self, keep: impl Fn(&T) -> bool + Send + Sync + 'static) -> Bag<T> {
        self.then("filter", move |items| Ok(items.filter(&keep).collect()))
    }

    /// The items of what `function` answers for each item, one after another; an
    /// `Option` drops the `None`s.
    #[must_use]
    pub fn flat_map<U: 'static, I: IntoIterator<Item = U>>(
        &self,
        function: impl Fn(T) -> I + Send + Sync + 'static,
    ) -> Bag<U> {
        self.then("flat_map", move |items| Ok(items.flat_map(&function).collect()))
    }

    /// The first `n` items of the first partition.
    ///
    /// # Errors
    /// The first error of a step.
    pub fn take(&self, n: usize) -> Result<Vec<T>> {
        let first: ExprRef = Arc::new(expr::First::of(self.source.clone()));
        let head = Bag { source: first, n_partitions: 1, ..self.clone() };
        let mut items = head.collect()?;
        items.truncate(n);
        Ok(items)
    }

    /// All items, in order.
    ///
    /// # Errors
    /// The first error of a step.
    pub fn collect(&self) -> Result<Vec<T>> {
        self.collect_on(&*executor::current()?)
    }

    /// [`Bag::collect`] on a given executor.
    ///
    /// # Errors
    /// The first error of a step.
    pub fn collect_on(&self, executor: &dyn Executor) -> Result<Vec<T>> {
        if self.is_source {
            // No closure is left to run, so that any executor will do.
            let partitions = run(&self.source, executor)?.into_iter().map(|value| (self.items)(value));
            return Ok(partitions.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect());
        }
        let items = self.items.clone();
        let label = self.label;
        let root: ExprRef = Arc::new(PerPartition::closure(label, self.source.clone(), move |value| {
            Ok(Value::new(Local(items(value)?)))
        }));
        let mut all = Vec::new();
        for value in run(&root, executor)? {
            all.extend(local_items::<T>(value)?);
        }
        Ok(all)
    }
}

impl<T: TaskValue + Clone> Bag<T> {
    /// `task` of each partition: a `#[task]` function from `Vec<T>` (or `&[T]`)
    /// to `Vec<U>`. It runs on every executor, in other processes too.
    ///
    /// ```
    /// use oxidask::prelude::*;
    ///
    /// #[oxidask::task]
    /// fn lengths(words: &[String]) -> Vec<usize> {
    ///     words.iter().map(String::len).collect()
    /// }
    ///
    /// let words = Bag::from_vec(vec!["one".to_owned(), "three".to_owned()], 2)?;
    /// let lengths: Bag<usize> = words.map_task::<lengths, usize>();
    /// assert_eq!(lengths.collect()?, [3, 5]);
    /// # Ok::<(), oxidask::Error>(())
    /// ```
    #[must_use]
    pub fn map_task<F: TaskFn, U: TaskValue + Clone>(&self) -> Bag<U> {
        let input: ExprRef = if self.is_source {
            self.source.clone()
        } else {
            let items = self.items.clone();
            let run = move |value| Ok(Value::new(Typed::new(items(value)?)));
            Arc::new(PerPartition::closure(self.label, self.source.clone(), run))
        };
        let source = PerPartition::task(F::op().clone(), input, F::PURE);
        Bag::from_source(Arc::new(source), self.n_partitions, F::LABEL)
    }
}

/// Runs a plan and answers its blocks.
fn run(root: &ExprRef, executor: &dyn Executor) -> Result<Vec<Value>> {
    let (graph, _) = lower(&optimize(std::slice::from_ref(root))?)?;
    executor.compute(graph, &|| Ok(()))
}

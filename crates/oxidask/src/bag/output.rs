//! Where bags go: text files and dataframes.

use super::expr::PerPartition;
use super::{Bag, Local, run};
use crate::delayed::unique;
use crate::executor;
use crate::frame::plan::FrameMeta;
use crate::frame::{DataFrame, Frame, Index, Partition};
use oxidask_core::{Blocks, Error, Executor, Expr, ExprRef, FnOp, Graph, Inputs, Key, Op, Result, Value};
use oxidask_io::{Compression, Location, StorageOptions};
use std::any::Any;
use std::borrow::Cow;
use std::fmt::{Display, Write as _};
use std::sync::Arc;

impl<T: Clone + Send + Sync + Display + 'static> Bag<T> {
    /// Writes each partition to a text file, an item a line, and answers the
    /// files' names.
    ///
    /// `pattern` has one `*`, for which the partition's number stands. Files that
    /// end in `.gz`, `.bz2`, `.xz`, `.zst` and the like are compressed.
    ///
    /// ```
    /// use oxidask::prelude::*;
    ///
    /// let folder = std::env::temp_dir().join(format!("oxidask-squares-{}", std::process::id()));
    /// let squares = Bag::from_vec((0..4).collect(), 2)?.map(|x: i64| x * x);
    /// let files = squares.to_text_files(&format!("{}/*.txt.gz", folder.display()))?;
    /// assert_eq!(Bag::read_text(&files, None)?.collect()?, ["0", "1", "4", "9"]);
    /// # std::fs::remove_dir_all(folder).unwrap();
    /// # Ok::<(), oxidask::Error>(())
    /// ```
    ///
    /// # Errors
    /// If there is not exactly one `*`, a file cannot be written, or the first
    /// error of a step.
    pub fn to_text_files(&self, pattern: &str) -> Result<Vec<String>> {
        self.to_text_files_on(&*executor::current()?, pattern)
    }

    /// [`Bag::to_text_files`] on a given executor.
    ///
    /// # Errors
    /// As for [`Bag::to_text_files`].
    pub fn to_text_files_on(&self, executor: &dyn Executor, pattern: &str) -> Result<Vec<String>> {
        let parts: Vec<&str> = pattern.split('*').collect();
        let [before, after] = parts[..] else {
            return Err(Error::value(format!("'{pattern}' needs one '*', for the numbers of partitions")));
        };
        let width = self.n_partitions.saturating_sub(1).to_string().len();
        let files: Arc<[String]> = (0..self.n_partitions).map(|n| format!("{before}{n:0width$}{after}")).collect();
        let (items, names) = (self.items.clone(), files.clone());
        let write = move |number: u64, value: Value| {
            let mut text = String::new();
            for item in items(value)? {
                // Writing to a string cannot fail.
                let _ = writeln!(text, "{item}");
            }
            write_file(&names[number as usize], text.as_bytes())?;
            Ok(Value::new(Local(Vec::<()>::new())))
        };
        let root: ExprRef = Arc::new(PerPartition::numbered("to_text_files", self.source.clone(), write));
        run(&root, executor)?;
        Ok(files.to_vec())
    }
}

fn write_file(path: &str, content: &[u8]) -> Result<()> {
    let packed = Compression::inferred(path)?.compress(content);
    let packed = packed.map_err(|cause| Error::io(format!("compressing '{path}'"), &cause))?;
    Location::parse(path, &StorageOptions::default())?.write(packed)
}

impl<T: Clone + Send + Sync + 'static> Bag<T> {
    /// A dataframe whose rows are the items: `columns` makes those of a partition.
    ///
    /// It is called once without items, to know names and types of the columns;
    /// nothing is computed before the frame is. The index counts the rows of each
    /// partition, as in Dask.
    ///
    /// ```
    /// use oxidask::frame::df;
    /// use oxidask::prelude::*;
    ///
    /// let words = Bag::from_vec(vec!["one".to_owned(), "three".to_owned()], 2)?;
    /// let frame = words.to_dataframe(|words| {
    ///     let lengths: Vec<i64> = words.iter().map(|word| word.len() as i64).collect();
    ///     df!["word" => words, "length" => lengths]
    /// })?;
    /// let rows = frame.compute(&oxidask::threads()?)?;
    /// assert_eq!(rows.frame.height(), 2);
    /// # Ok::<(), oxidask::Error>(())
    /// ```
    ///
    /// # Errors
    /// If `columns` fails without items; computing fails where it does, or answers
    /// other columns.
    pub fn to_dataframe<E: Display>(
        &self,
        columns: impl Fn(Vec<T>) -> Result<DataFrame, E> + Send + Sync + 'static,
    ) -> Result<Frame> {
        let made = move |items| {
            let frame = columns(items).map_err(|cause| Error::value(format!("to_dataframe: {cause}")))?;
            Ok::<_, Error>(Partition { frame, index: Index::Range(0) })
        };
        let (empty, items, key) = (made(Vec::new())?, self.items.clone(), unique());
        let schema = empty.frame.schema().clone();
        let op = FnOp::new("to_dataframe", move |_, inputs: &[Value]| {
            let partition = made(items(inputs[0].clone())?)?;
            if *partition.frame.schema() != schema {
                return Err(Error::value("to_dataframe: a partition has other columns than one without items"));
            }
            Ok(Value::new(partition))
        });
        let meta = FrameMeta::of_rows(&empty, self.n_partitions, key);
        let inputs = vec![self.source.clone()].into();
        Ok(Frame::from_expr(Arc::new(ToFrame { key, op: Arc::new(op), inputs, meta })))
    }
}

/// One partition of a dataframe for each of a bag.
struct ToFrame {
    key: Key,
    op: Arc<dyn Op>,
    inputs: Inputs,
    meta: FrameMeta,
}

impl Expr for ToFrame {
    fn key(&self) -> Key {
        self.key
    }

    fn label(&self) -> Cow<'_, str> {
        self.op.label()
    }

    fn inputs(&self) -> &[ExprRef] {
        &self.inputs
    }

    fn with_inputs(&self, inputs: Vec<ExprRef>) -> Result<ExprRef> {
        let (op, meta) = (self.op.clone(), self.meta.clone());
        Ok(Arc::new(ToFrame { key: self.key, op, inputs: inputs.into(), meta }))
    }

    fn lower(&self, inputs: &[Blocks], graph: &mut Graph) -> Result<Blocks> {
        Ok(graph.blocks(self.key, self.op.clone(), inputs[0].len(), |block, reads| reads.push(inputs[0][block])))
    }

    fn meta(&self) -> &(dyn Any + Send + Sync) {
        &self.meta
    }
}

//! Building nodes: names and types are checked here, in the user's line.

use super::join::Join;
use super::{FrameMeta, Kind, meta};
use crate::csv::CsvScan;
use crate::dtype::Scalar;
use crate::json::JsonScan;
use crate::parquet::ParquetScan;
use crate::step::{Step, dry_run};
use crate::value::{Index, Partition};
use oxidask_core::{Blocks, Error, Expr, ExprRef, Graph, Inputs, Key, KeyHasher, Op, Result, Uses, Value};
use polars::prelude::Schema;
use std::any::Any;
use std::borrow::Cow;
use std::sync::Arc;

/// A node of a frame's plan.
#[derive(Clone)]
pub struct Node {
    pub(crate) kind: Kind,
    pub(crate) inputs: Inputs,
    pub(crate) meta: FrameMeta,
    pub(crate) key: Key,
}

/// Files that a plan reads.
#[derive(Clone)]
pub enum SourceKind {
    /// CSV files.
    #[allow(private_interfaces, reason = "users name the kind, not the content")]
    Csv(Arc<CsvScan>),
    /// Parquet files.
    #[allow(private_interfaces, reason = "users name the kind, not the content")]
    Parquet(Arc<ParquetScan>),
    /// Files of JSON lines.
    #[allow(private_interfaces, reason = "users name the kind, not the content")]
    Json(Arc<JsonScan>),
}

impl SourceKind {
    pub(crate) fn take(&self, blocks: &[u32]) -> SourceKind {
        match self {
            SourceKind::Csv(scan) => SourceKind::Csv(Arc::new(scan.take(blocks))),
            SourceKind::Parquet(scan) => SourceKind::Parquet(Arc::new(scan.take(blocks))),
            SourceKind::Json(scan) => SourceKind::Json(Arc::new(scan.take(blocks))),
        }
    }

    fn n_levels(&self) -> u32 {
        match self {
            SourceKind::Csv(_) | SourceKind::Json(_) => 0,
            SourceKind::Parquet(scan) => scan.n_levels(),
        }
    }

    /// Whether rows have no index but their number.
    pub(crate) fn is_numbered(&self) -> bool {
        self.n_levels() == 0
    }

    /// The index of every partition as it is read.
    fn index(&self) -> Index {
        match self.n_levels() {
            0 => Index::Range(0),
            levels => Index::Levels(levels),
        }
    }

    fn n_blocks(&self) -> usize {
        match self {
            SourceKind::Csv(scan) => scan.n_blocks(),
            SourceKind::Parquet(scan) => scan.n_blocks(),
            SourceKind::Json(scan) => scan.n_blocks(),
        }
    }

    fn key(&self) -> Key {
        match self {
            SourceKind::Csv(scan) => KeyHasher::new("frame.csv").params(scan).finish(),
            SourceKind::Parquet(scan) => KeyHasher::new("frame.parquet").params(scan).finish(),
            SourceKind::Json(scan) => KeyHasher::new("frame.json").params(scan).finish(),
        }
    }

    fn describe(&self) -> String {
        match self {
            SourceKind::Csv(scan) => scan.describe(),
            SourceKind::Parquet(scan) => scan.describe(),
            SourceKind::Json(scan) => scan.describe(),
        }
    }
}

impl Node {
    pub(crate) fn build(kind: Kind, inputs: Vec<ExprRef>, meta: FrameMeta) -> ExprRef {
        let hasher = match &kind {
            Kind::Memory(_, content) => KeyHasher::new("frame.memory").key(*content),
            Kind::Read(source, steps) => KeyHasher::new("frame.read").key(source.key()).params(steps),
            Kind::Map(steps) => KeyHasher::new("frame.map").params(steps),
            Kind::Tree { combine, finish } => KeyHasher::new("frame.tree").params(combine).params(finish),
            Kind::Take(blocks) => KeyHasher::new("frame.take").params(blocks),
            Kind::Chain => KeyHasher::new("frame.chain"),
            Kind::Repartition(n) => KeyHasher::new("frame.repartition").params(n),
            Kind::Shuffle { deal, n_partitions, then } => {
                KeyHasher::new("frame.shuffle").params(&**deal).params(n_partitions).params(then)
            }
            Kind::Join(join) => KeyHasher::new("frame.join").params(&**join),
            Kind::Broadcast(name) => KeyHasher::new("frame.broadcast").params(name),
            Kind::Window(column) => KeyHasher::new("frame.window").params(&**column),
            Kind::Whole(whole) => KeyHasher::new("frame.whole").key(whole.plan),
            Kind::Adopt(op) => KeyHasher::new("frame.adopt").key(key_of_op(&**op)),
        };
        let key = hasher.keys(inputs.iter().map(|input| input.key())).finish();
        Arc::new(Node { kind, inputs: inputs.into(), meta, key })
    }

    /// The same node with another kind and other inputs.
    pub(crate) fn with(&self, kind: Kind, inputs: Vec<ExprRef>) -> ExprRef {
        Node::build(kind, inputs, self.meta.clone())
    }

    /// A frame of partitions that are there. `divisions` has one value more
    /// than there are partitions, if it is known.
    ///
    /// # Errors
    /// If there is no partition.
    pub fn memory(
        partitions: Vec<Partition>,
        index_names: Vec<Option<Arc<str>>>,
        divisions: Option<Vec<Scalar>>,
    ) -> Result<ExprRef> {
        let first = partitions.first().ok_or_else(|| Error::value("a frame has at least one partition"))?;
        let (schema, index) = (first.frame.schema().clone(), first.index);
        let values: Vec<Value> = partitions.into_iter().map(Value::new).collect();
        let mut hasher = KeyHasher::new("frame.content");
        for value in &values {
            let frames = value.data().encode()?;
            hasher = frames.buffers.iter().fold(hasher.bytes(&frames.header), |hasher, buffer| hasher.bytes(buffer));
        }
        let key = hasher.finish();
        let meta = FrameMeta { schema, index, index_names, n_partitions: values.len(), divisions, rows: key };
        Ok(Node::build(Kind::Memory(values.into(), key), Vec::new(), meta))
    }

    /// A frame that is read from files.
    ///
    /// # Errors
    /// If a column has a type that frames do not have.
    pub fn read(source: SourceKind) -> Result<ExprRef> {
        let columns = match &source {
            SourceKind::Csv(scan) => scan.schema(),
            SourceKind::Parquet(scan) => scan.schema(),
            SourceKind::Json(scan) => scan.schema(),
        };
        let mut schema = Schema::with_capacity(columns.len());
        for (name, dtype) in columns {
            schema.with_column((&*name).into(), dtype.to_polars()?);
        }
        let meta = FrameMeta {
            schema: Arc::new(schema),
            index: source.index(),
            index_names: vec![None; source.n_levels().max(1) as usize],
            n_partitions: source.n_blocks(),
            divisions: None,
            rows: source.key(),
        };
        Ok(Node::build(Kind::Read(source, Arc::from([])), Vec::new(), meta))
    }

    /// Steps on each partition. `index_names` are those after the steps.
    ///
    /// # Errors
    /// If the steps do not fit the columns.
    pub fn map(input: &ExprRef, steps: Vec<Step>, index_names: Vec<Option<Arc<str>>>) -> Result<ExprRef> {
        let before = meta(input);
        let after = dry_run(&before.empty(), &steps)?;
        let keeps_rows = steps.iter().all(Step::keeps_rows);
        let keeps_index = steps.iter().all(|step| {
            matches!(step, Step::Select(_) | Step::Filter(_) | Step::Head(_) | Step::Tail(_) | Step::Distinct(..))
        });
        let rows = match keeps_rows {
            true => before.rows,
            false => KeyHasher::new("frame.rows").key(input.key()).params(&steps).finish(),
        };
        let meta = FrameMeta {
            schema: after.frame.schema().clone(),
            index: after.index,
            index_names,
            n_partitions: before.n_partitions,
            divisions: before.divisions.clone().filter(|_| keeps_index),
            rows,
        };
        Ok(Node::build(Kind::Map(steps.into()), vec![input.clone()], meta))
    }

    /// All partitions merged into one: `combine` after every merge, `finish` at
    /// the end.
    ///
    /// # Errors
    /// If the steps do not fit the columns.
    pub fn tree(
        input: &ExprRef,
        combine: Vec<Step>,
        finish: Vec<Step>,
        index_names: Vec<Option<Arc<str>>>,
    ) -> Result<ExprRef> {
        let before = meta(input);
        let mut all = combine.clone();
        all.extend(finish.iter().cloned());
        let after = dry_run(&before.empty(), &all)?;
        let rows = KeyHasher::new("frame.rows").key(input.key()).params(&all).finish();
        let meta = FrameMeta {
            schema: after.frame.schema().clone(),
            index: after.index,
            index_names,
            n_partitions: 1,
            divisions: None,
            rows,
        };
        Ok(Node::build(Kind::Tree { combine: combine.into(), finish: finish.into() }, vec![input.clone()], meta))
    }

    /// Only these partitions.
    ///
    /// # Errors
    /// If there is no such partition.
    pub fn take(input: &ExprRef, blocks: &[u32]) -> Result<ExprRef> {
        let before = meta(input);
        if let Some(beyond) = blocks.iter().find(|block| **block as usize >= before.n_partitions) {
            let n_partitions = before.n_partitions;
            return Err(Error::index(format!("there is no partition {beyond}; the frame has {n_partitions}")));
        }
        let divisions = before.divisions.as_ref().filter(|_| blocks.is_sorted_by(|a, b| a + 1 == *b));
        let divisions = divisions.and_then(|all| {
            let (first, last) = (*blocks.first()? as usize, *blocks.last()? as usize);
            all.get(first..=last + 1).map(<[Scalar]>::to_vec)
        });
        let rows = KeyHasher::new("frame.rows").key(before.rows).params(&blocks).finish();
        let meta = FrameMeta { n_partitions: blocks.len(), divisions, rows, ..before.clone() };
        Ok(Node::build(Kind::Take(blocks.into()), vec![input.clone()], meta))
    }

    /// The partitions of all frames one after another. Their columns must agree
    /// in names and types.
    ///
    /// # Errors
    /// If they do not.
    pub fn chain(inputs: Vec<ExprRef>) -> Result<ExprRef> {
        let first = inputs.first().ok_or_else(|| Error::value("there is no frame to concat"))?;
        let mut all = meta(first).clone();
        for input in &inputs[1..] {
            let other = meta(input);
            if other.columns()? != all.columns()? {
                return Err(Error::value("frames to concat must have the same columns of the same types")
                    .with_hint("select and convert the columns first"));
            }
            all.n_partitions += other.n_partitions;
            if other.index_types()? != all.index_types()? {
                return Err(Error::value("frames to concat must have indices of the same type"));
            }
        }
        all.divisions = None;
        all.rows = KeyHasher::new("frame.rows").keys(inputs.iter().map(|input| input.key())).finish();
        Ok(Node::build(Kind::Chain, inputs, all))
    }

    /// The same rows in another number of partitions, in the same order.
    ///
    /// # Errors
    /// If the number is 0.
    pub fn repartition(input: &ExprRef, n_partitions: usize) -> Result<ExprRef> {
        let before = meta(input);
        if n_partitions == 0 {
            return Err(Error::value("a frame has at least one partition, and npartitions is 0"));
        }
        if n_partitions == before.n_partitions {
            return Ok(input.clone());
        }
        let divisions = before.divisions.as_ref().filter(|_| n_partitions < before.n_partitions);
        let divisions = divisions.map(|all| {
            let firsts = (0..n_partitions).map(|part| all[part * before.n_partitions / n_partitions].clone());
            firsts.chain(all.last().cloned()).collect()
        });
        let rows = KeyHasher::new("frame.rows").key(before.rows).u64(n_partitions as u64).finish();
        // Pieces of a numbered partition must keep their numbers.
        let meta = FrameMeta { n_partitions, divisions, rows, ..before.clone() };
        Ok(Node::build(Kind::Repartition(n_partitions as u32), vec![input.clone()], meta))
    }

    /// Every row of `input` with the value of `single`, a frame of one column and
    /// one row, beside it; and the name of the new column.
    ///
    /// # Errors
    /// If the value's type does not fit a column.
    pub(crate) fn broadcast(input: &ExprRef, single: &ExprRef) -> Result<(ExprRef, Arc<str>)> {
        let name: Arc<str> = Arc::from(format!("__value_{}__", single.key()));
        let before = meta(input);
        let value = meta(single).columns()?.pop().ok_or_else(|| Error::value("there is no value to compute with"))?;
        let mut schema = (*before.schema).clone();
        schema.with_column((&*name).into(), value.1.to_polars()?);
        let meta = FrameMeta { schema: Arc::new(schema), ..before.clone() };
        let node = Node::build(Kind::Broadcast(name.clone()), vec![input.clone(), single.clone()], meta);
        Ok((node, name))
    }

    /// A node over which expressions of both `a` and `b` hold, if they are the
    /// same rows up to columns that were put beside them.
    pub(crate) fn unify(a: &ExprRef, b: &ExprRef) -> Result<Option<ExprRef>> {
        if a.key() == b.key() {
            return Ok(Some(a.clone()));
        }
        let (a_root, a_added) = extended(a);
        let (b_root, b_added) = extended(b);
        if a_root.key() != b_root.key() {
            return Ok(None);
        }
        let mut all = a.clone();
        for (name, added) in b_added.into_iter().rev() {
            if a_added.iter().any(|(own, _)| *own == name) {
                continue;
            }
            all = match &added.kind {
                Kind::Window(column) => Node::add_window(&all, column.clone())?,
                _ => Node::broadcast(&all, &added.inputs[1])?.0,
            };
        }
        Ok(Some(all))
    }

    /// Partitions of the left joined with those of the right.
    ///
    /// # Errors
    /// If the columns cannot be joined.
    pub(crate) fn join(left: &ExprRef, right: &ExprRef, join: Join) -> Result<ExprRef> {
        let (a, b) = (meta(left), meta(right));
        let joined = join.run(&a.empty(), &b.empty())?;
        let rows = KeyHasher::new("frame.rows").key(left.key()).key(right.key()).params(&join).finish();
        let meta = FrameMeta {
            schema: joined.frame.schema().clone(),
            index: joined.index,
            index_names: vec![None],
            n_partitions: a.n_partitions.max(b.n_partitions),
            divisions: None,
            rows,
        };
        Ok(Node::build(Kind::Join(Arc::new(join)), vec![left.clone(), right.clone()], meta))
    }

    /// Blocks of another collection as partitions: `op` makes one of each, with the
    /// columns and the index of `result`, a partition without rows.
    pub fn adopt(
        input: ExprRef,
        op: Arc<dyn Op>,
        result: &Partition,
        index_names: Vec<Option<Arc<str>>>,
        n_partitions: usize,
        divisions: Option<Vec<Scalar>>,
    ) -> ExprRef {
        let rows = KeyHasher::new("frame.rows").key(key_of_op(&*op)).key(input.key()).finish();
        let schema = result.frame.schema().clone();
        let meta = FrameMeta { schema, index: result.index, index_names, n_partitions, divisions, rows };
        Node::build(Kind::Adopt(op), vec![input], meta)
    }
}

/// The node below all that put a column beside its rows, and those nodes with
/// their columns' names, the last one first.
pub(crate) fn extended(expr: &ExprRef) -> (&ExprRef, Vec<(&Arc<str>, &Node)>) {
    let (mut root, mut added) = (expr, Vec::new());
    while let Some(node) = super::node(root) {
        match &node.kind {
            Kind::Broadcast(name) => added.push((name, node)),
            Kind::Window(column) => added.push((&column.name, node)),
            _ => break,
        }
        root = &node.inputs[0];
    }
    (root, added)
}

/// A hash of what the op does, or a unique one if it cannot travel.
fn key_of_op(op: &dyn Op) -> Key {
    use std::sync::atomic::{AtomicU64, Ordering};
    static UNIQUE: AtomicU64 = AtomicU64::new(0);
    let hasher = KeyHasher::new(op.kind());
    match op.encode() {
        Ok(encoded) => hasher.bytes(&encoded.body).keys(encoded.blobs.iter().map(|blob| blob.key)).finish(),
        Err(_) => hasher.u64(UNIQUE.fetch_add(1, Ordering::Relaxed)).finish(),
    }
}

impl Expr for Node {
    fn key(&self) -> Key {
        self.key
    }

    fn label(&self) -> Cow<'_, str> {
        Cow::Borrowed(match &self.kind {
            Kind::Memory(..) => "frame",
            Kind::Read(SourceKind::Csv(_), _) => "read_csv",
            Kind::Read(SourceKind::Parquet(_), _) => "read_parquet",
            Kind::Read(SourceKind::Json(_), _) => "read_json",
            Kind::Map(_) => "steps",
            Kind::Tree { .. } => "aggregate",
            Kind::Take(_) => "partitions",
            Kind::Chain => "concat",
            Kind::Repartition(_) => "repartition",
            Kind::Shuffle { .. } => "shuffle",
            Kind::Join(_) => "merge",
            Kind::Broadcast(_) => "broadcast",
            Kind::Window(_) => "window",
            Kind::Whole(_) => "query",
            Kind::Adopt(op) => return op.label(),
        })
    }

    fn inputs(&self) -> &[ExprRef] {
        &self.inputs
    }

    fn with_inputs(&self, inputs: Vec<ExprRef>) -> Result<ExprRef> {
        Ok(self.with(self.kind.clone(), inputs))
    }

    fn rewrite(&self, uses: &Uses) -> Result<Option<ExprRef>> {
        super::rewrite::rewrite(self, uses)
    }

    fn lower(&self, inputs: &[Blocks], graph: &mut Graph) -> Result<Blocks> {
        super::lower::lower(self, inputs, graph)
    }

    fn meta(&self) -> &(dyn Any + Send + Sync) {
        &self.meta
    }

    fn describe(&self) -> String {
        let list = |steps: &[Step]| steps.iter().map(Step::describe).collect::<Vec<_>>().join(", ");
        match &self.kind {
            Kind::Read(source, steps) if steps.is_empty() => source.describe(),
            Kind::Read(source, steps) => format!("{}: {}", source.describe(), list(steps)),
            Kind::Map(steps) => list(steps),
            Kind::Tree { finish, .. } if finish.is_empty() => "merge into one".to_owned(),
            Kind::Tree { finish, .. } => format!("merge into one: {}", list(finish)),
            Kind::Take(blocks) => format!("partitions {blocks:?}"),
            Kind::Shuffle { n_partitions, then, .. } => {
                let then = if then.is_empty() { String::new() } else { format!(": {}", list(then)) };
                format!("shuffle into {n_partitions}{then}")
            }
            Kind::Window(column) => format!("window {:?} of {}", column.window, column.arg),
            Kind::Whole(whole) => whole.describe(),
            _ => self.label().into_owned(),
        }
    }
}

//! Work on bags that needs no Python: well-known functions on lines of text and
//! on native columns.
//!
//! Every native op carries the Python calls that it stands for. Where a line is
//! beyond Rust, Python is asked for that line; where a whole partition is, or the
//! input is no native column, the calls run as they would have without this
//! file. So an answer never depends on what is recognised.

use super::cells;
use super::pipe::{Head, PipeOp, Step};
use super::text::{Decoded, PartitionReader, TextSource};
use crate::error::OrError;
use crate::value::{Conversion, to_value};
use oxidask_core::registry::{DataEntry, OpCodec, OpEntry, decode_op};
use oxidask_core::{Blob, Data, DataKind, EncodedOp, Error, ErrorKind, Frames, Op, Result, Value};
use oxidask_io::json::Beyond;
use oxidask_io::lines;
use oxidask_io::record::{Cell, Groups, Program, Scalar, Step as RecordStep, Term};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};
use serde::{Deserialize, Serialize};
use std::any::Any;
use std::borrow::Cow;
use std::sync::Arc;

/// What a call of a pipe does, if it is well known.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Native {
    /// It does this to each element.
    Step(RecordStep),
    /// It makes this of all elements, and nothing comes after it.
    Sink(Sink),
    /// It combines the results of partitions.
    Tree(Tree),
}

/// What becomes of the elements of a partition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Sink {
    /// They are a list.
    Rows,
    /// The first ones are a list.
    Take(usize),
    /// How many there are.
    Count,
    /// How often each occurs.
    Counts,
    /// A fold for each key.
    Fold {
        /// Of an element.
        key: Term,
        /// Of the result so far and an element.
        binop: Term,
        /// Where each key begins, if not with its first element.
        initial: Option<Scalar>,
    },
}

/// How results of partitions become one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Tree {
    /// Values of equal keys are combined; counts are added up without `combine`.
    Merge {
        /// Of two results.
        combine: Option<Term>,
        /// Where combining begins, if not with the first result.
        initial: Option<Scalar>,
        /// What is made of all.
        finish: Finish,
    },
    /// The first elements of lists.
    Take(usize),
}

/// What is made of merged groups.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Finish {
    /// Nothing: they are merged on.
    Nothing,
    /// Pairs of keys and values.
    Pairs,
    /// Pairs, the largest value first.
    Sorted,
}

/// What Python's side says of a call; see `oxidask.bag._native`.
pub fn native_of(form: &Bound<'_, PyAny>) -> PyResult<Native> {
    let form = form.cast::<PyTuple>()?;
    let at = |place: usize| form.get_item(place);
    let optional =
        |place: usize| -> PyResult<Option<Bound<'_, PyAny>>> { Ok(Some(at(place)?).filter(|x| !x.is_none())) };
    // A start is a tuple of one value, because the value may be None.
    let start = |place: usize| -> PyResult<Option<Scalar>> {
        let Some(start) = optional(place)? else { return Ok(None) };
        let value = start.cast::<PyTuple>()?.get_item(0)?;
        cells::scalar_of(&value).map(Some).ok_or_else(|| PyValueError::new_err("the start is no plain value"))
    };
    Ok(match at(0)?.extract::<String>()?.as_str() {
        "map" => Native::Step(RecordStep::Map(cells::term_of(&at(1)?)?)),
        "filter" => Native::Step(RecordStep::Filter(cells::term_of(&at(1)?)?)),
        "remove" => Native::Step(RecordStep::Remove(cells::term_of(&at(1)?)?)),
        "flatten" => Native::Step(RecordStep::Flatten),
        "take" => Native::Sink(Sink::Take(at(1)?.extract()?)),
        "count" => Native::Sink(Sink::Count),
        "counts" => Native::Sink(Sink::Counts),
        "fold" => Native::Sink(Sink::Fold {
            key: cells::term_of(&at(1)?)?,
            binop: cells::term_of(&at(2)?)?,
            initial: start(3)?,
        }),
        "take-of" => Native::Tree(Tree::Take(at(1)?.extract()?)),
        "merge" => Native::Tree(Tree::Merge {
            combine: optional(1)?.map(|term| cells::term_of(&term)).transpose()?,
            initial: start(2)?,
            finish: match at(3)?.extract::<String>()?.as_str() {
                "pairs" => Finish::Pairs,
                "sorted" => Finish::Sorted,
                _ => Finish::Nothing,
            },
        }),
        other => return Err(PyValueError::new_err(format!("'{other}' is no native step"))),
    })
}

/// Elements as a native column, kind `bag.rows`: encoded one after another.
pub struct Rows(oxidask_io::record::Rows);

/// Values by key, kind `bag.groups`; to Python a dict, or a list of pairs.
pub struct GroupsData {
    groups: Groups,
    finish: Finish,
}

macro_rules! data_kind {
    ($type:ty, $kind:literal, $to_python:expr) => {
        impl DataKind for $type {
            fn kind(&self) -> &'static str {
                $kind
            }
        }

        inventory::submit! { Conversion { kind: $kind, to_python: $to_python } }
    };
}

data_kind!(Rows, "bag.rows", |py, value| {
    let rows = value.expect::<Rows>().map_err(|error| crate::error::to_py(py, error))?;
    let list = PyList::empty(py);
    for cell in rows.0.iter() {
        list.append(cells::to_object(py, &cell)?)?;
    }
    Ok(list.into_any().unbind())
});

data_kind!(GroupsData, "bag.groups", |py, value| {
    let data = value.expect::<GroupsData>().map_err(|error| crate::error::to_py(py, error))?;
    let pair = |(key, value): (oxidask_io::record::Key<'_>, &Scalar)| -> PyResult<_> {
        Ok((cells::to_object(py, &key.cell())?, cells::to_object(py, &value.cell())?))
    };
    match data.finish {
        Finish::Nothing => {
            let dict = PyDict::new(py);
            for item in data.groups.iter() {
                let (key, value) = pair(item)?;
                dict.set_item(key, value)?;
            }
            Ok(dict.into_any().unbind())
        }
        Finish::Pairs => {
            let pairs = data.groups.iter().map(pair).collect::<PyResult<Vec<_>>>()?;
            Ok(PyList::new(py, pairs)?.into_any().unbind())
        }
        Finish::Sorted => {
            let order = data.groups.sorted().map_err(|_| PyValueError::new_err("only counts can be sorted"))?;
            let pairs = order.into_iter().map(|place| pair(data.groups.get(place as usize)));
            Ok(PyList::new(py, pairs.collect::<PyResult<Vec<_>>>()?)?.into_any().unbind())
        }
    }
});

impl Data for Rows {
    fn nbytes(&self) -> u64 {
        self.0.nbytes()
    }

    fn encode(&self) -> Result<Frames> {
        Ok(Frames { header: bytes::Bytes::new(), buffers: vec![postcard::to_allocvec(&self.0)?.into()] })
    }

    fn describe(&self) -> String {
        "a list".to_owned()
    }
}

impl Data for GroupsData {
    fn nbytes(&self) -> u64 {
        self.groups.nbytes()
    }

    fn encode(&self) -> Result<Frames> {
        let header = postcard::to_allocvec(&self.finish)?.into();
        Ok(Frames { header, buffers: vec![postcard::to_allocvec(&self.groups)?.into()] })
    }

    fn describe(&self) -> String {
        "values by key".to_owned()
    }
}

fn damaged() -> Error {
    Error::new(ErrorKind::Version, "elements of a bag arrived damaged")
}

inventory::submit! {
    DataEntry {
        kind: "bag.rows",
        decode: |frames| {
            let rows: oxidask_io::record::Rows = postcard::from_bytes(frames.buffers.first().ok_or_else(damaged)?)?;
            if rows.is_valid() { Ok(Value::new(Rows(rows))) } else { Err(damaged()) }
        },
    }
}

inventory::submit! {
    DataEntry {
        kind: "bag.groups",
        decode: |frames| {
            let finish = postcard::from_bytes(&frames.header)?;
            let groups: Groups = postcard::from_bytes(frames.buffers.first().ok_or_else(damaged)?)?;
            if groups.is_valid() { Ok(Value::new(GroupsData { groups, finish })) } else { Err(damaged()) }
        },
    }
}

/// A dict of plain keys and values as native groups, if it is one.
pub fn groups_of(object: &Bound<'_, PyAny>) -> Option<Value> {
    let dict = object.cast_exact::<PyDict>().ok()?;
    let mut groups = Groups::new();
    for (key, value) in dict.iter() {
        groups.insert(&cells::of_object(&key)?, cells::scalar_of(&value)?).ok()?;
    }
    Some(Value::new(GroupsData { groups, finish: Finish::Nothing }))
}

/// Well-known functions on the lines of a text, or on a native column.
pub struct NativeOp {
    program: Program,
    sink: Sink,
    /// The calls that this stands for.
    python: PipeOp,
    /// How many of them the program stands for; a sink may be one more.
    n_steps: usize,
}

/// Combines native results.
pub struct TreeOp {
    tree: Tree,
    python: PipeOp,
}

/// The best op for the calls of a pipe: native if all of them are well known.
pub fn op_of(pipe: PipeOp) -> Arc<dyn Op> {
    let natives: Option<Vec<&Native>> = pipe.steps.iter().map(|step| step.native.as_ref()).collect();
    let plain = pipe.n_extras == 0 && pipe.n_parts.is_none();
    match (&pipe.head, natives.as_deref()) {
        (Head::Group, Some([Native::Tree(tree)])) if plain => Arc::new(TreeOp { tree: tree.clone(), python: pipe }),
        (Head::Text(source), Some(natives)) if plain && !source.include_path && source.encoding.is_stateless => {
            match native_op(natives) {
                Some((program, sink, n_steps)) => Arc::new(NativeOp { program, sink, python: pipe, n_steps }),
                None => Arc::new(pipe),
            }
        }
        // On partitions that are no columns the calls themselves are as good, and
        // belong where users' objects are.
        _ => Arc::new(pipe),
    }
}

fn native_op(natives: &[&Native]) -> Option<(Program, Sink, usize)> {
    let mut steps = Vec::new();
    let mut sink = Sink::Rows;
    for (place, native) in natives.iter().enumerate() {
        match native {
            Native::Step(step) => steps.push(step.clone()),
            Native::Sink(last) if place + 1 == natives.len() => sink = last.clone(),
            _ => return None,
        }
    }
    let n_steps = steps.len();
    let program = match &sink {
        Sink::Fold { key, binop, .. } => Program::with_terms(steps, &[key, binop]),
        _ => Program::new(steps),
    };
    Some((program, sink, n_steps))
}

/// The steps at the beginning of a pipe that run natively before Python sees a
/// line; only worth it if they do more than make text.
pub fn native_head(steps: &[Step]) -> Option<(Program, usize)> {
    let natives = steps.iter().map_while(|step| match &step.native {
        Some(Native::Step(step)) => Some(step.clone()),
        _ => None,
    });
    let natives: Vec<RecordStep> = natives.collect();
    let n = natives.len();
    (n > 0).then(|| (Program::new(natives), n))
}

/// What a sink has so far.
enum State {
    Rows(oxidask_io::record::Rows),
    Count(u64),
    Groups(Groups),
}

/// Why a partition is not done natively.
enum Stop {
    /// Python has to do it as a whole.
    Python,
    Error(Error),
}

impl From<Beyond> for Stop {
    fn from(_: Beyond) -> Self {
        Stop::Python
    }
}

impl NativeOp {
    fn start(&self) -> State {
        match self.sink {
            Sink::Rows | Sink::Take(_) => State::Rows(oxidask_io::record::Rows::new()),
            Sink::Count => State::Count(0),
            Sink::Counts | Sink::Fold { .. } => State::Groups(Groups::new()),
        }
    }

    /// Whether no further elements are wanted.
    fn is_full(&self, state: &State) -> bool {
        matches!((&self.sink, state), (Sink::Take(k), State::Rows(rows)) if rows.len() >= *k)
    }

    fn push(&self, state: &mut State, cell: &Cell<'_>) -> Result<(), Beyond> {
        match (&self.sink, state) {
            (Sink::Take(k), State::Rows(rows)) if rows.len() >= *k => {}
            (_, State::Rows(rows)) => rows.push(cell)?,
            (_, State::Count(count)) => *count += 1,
            (Sink::Fold { key, binop, initial }, State::Groups(groups)) => {
                let group = self.program.eval(key, std::slice::from_ref(cell))?;
                groups.fold(&group, cell.clone(), binop, initial.as_ref(), &self.program)?;
            }
            (_, State::Groups(groups)) => groups.count(cell)?,
        }
        Ok(())
    }

    fn partition(&self, source: &Arc<TextSource>, block: u64) -> Result<State, Stop> {
        let mut state = self.start();
        let mut reader = PartitionReader::new(source.clone(), block).map_err(|_| Stop::Python)?;
        let (mut n_lines, mut n_asked) = (0_usize, 0_usize);
        while !self.is_full(&state)
            && let Some((chunk, _)) = reader.next_chunk().map_err(Stop::Error)?
        {
            let Decoded::Text(text) = chunk else { return Err(Stop::Python) };
            let mut cells = Vec::new();
            for line in lines(&text, source.line_end()) {
                if self.is_full(&state) {
                    break;
                }
                n_lines += 1;
                cells.clear();
                let done = self.program.run(line, &mut cells);
                let done = done.and_then(|()| cells.iter().try_for_each(|cell| self.check(cell)));
                if done.is_err() {
                    // Many calls for single lines cost more than one for all.
                    n_asked += 1;
                    if n_asked > ASKED_MAX + n_lines / 8 {
                        return Err(Stop::Python);
                    }
                    cells = self.ask(line)?;
                }
                for cell in &cells {
                    self.push(&mut state, cell)?;
                }
            }
        }
        Ok(state)
    }

    /// Whether the sink can take a cell without a look at the others.
    fn check(&self, cell: &Cell<'_>) -> Result<(), Beyond> {
        match &self.sink {
            Sink::Fold { key, .. } => self.program.eval(key, std::slice::from_ref(cell)).map(|_| ()),
            _ => Ok(()),
        }
    }

    /// What Python makes of a single line.
    fn ask(&self, line: &str) -> Result<Vec<Cell<'static>>, Stop> {
        Python::attach(|py| {
            let made = || -> PyResult<Option<Vec<Cell<'static>>>> {
                let one = PyList::new(py, [line])?.into_any();
                let answer = self.python.calls(one, &self.python.steps[..self.n_steps], &[])?;
                answer.try_iter()?.map(|object| Ok(cells::of_object(&object?))).collect()
            };
            // An error is raised anew by the partition as a whole, which knows
            // more of its place.
            made().ok().flatten().ok_or(Stop::Python)
        })
    }
}

/// How many lines of a partition Python is asked for in any case.
const ASKED_MAX: usize = 64;

impl Op for NativeOp {
    fn run(&self, block: u64, inputs: &[Value]) -> Result<Value> {
        let Head::Text(source) = &self.python.head else { return self.python.run(block, inputs) };
        match self.partition(source, block) {
            Ok(State::Rows(rows)) => Ok(Value::new(Rows(rows))),
            Ok(State::Groups(groups)) => Ok(Value::new(GroupsData { groups, finish: Finish::Nothing })),
            Ok(State::Count(count)) => Python::attach(|py| {
                let number = count.into_pyobject(py).map_err(PyErr::from).or_error(py)?;
                Ok(to_value(number.into_any()))
            }),
            Err(Stop::Python) => self.python.run(block, inputs),
            Err(Stop::Error(error)) => Err(error),
        }
    }

    fn label(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.python.label)
    }
}

impl TreeOp {
    fn merged(&self, inputs: &[Value]) -> Option<Value> {
        match &self.tree {
            Tree::Merge { combine, initial, finish } => {
                let mut all: Vec<&GroupsData> = inputs.iter().map(|value| value.get()).collect::<Option<_>>()?;
                if all.iter().any(|data| data.finish != Finish::Nothing) {
                    return None;
                }
                let mut groups = Groups::new();
                for data in all.drain(..) {
                    groups.merge(&data.groups, combine.as_ref(), initial.as_ref()).ok()?;
                }
                if *finish == Finish::Sorted && groups.sorted().is_err() {
                    return None;
                }
                Some(Value::new(GroupsData { groups, finish: *finish }))
            }
            Tree::Take(k) => {
                let mut rows = oxidask_io::record::Rows::new();
                for value in inputs {
                    let other: &Rows = value.get()?;
                    for cell in other.0.iter().take(k - rows.len()) {
                        rows.push(&cell).ok()?;
                    }
                }
                Some(Value::new(Rows(rows)))
            }
        }
    }
}

impl Op for TreeOp {
    fn run(&self, block: u64, inputs: &[Value]) -> Result<Value> {
        match self.merged(inputs) {
            Some(value) => Ok(value),
            None => self.python.run(block, inputs),
        }
    }

    fn label(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.python.label)
    }
}

const NATIVE: &str = "bag.native";
const TREE: &str = "bag.tree";

/// An op of this file is rebuilt from the calls that it stands for.
fn wrapped(kind: &str, python: &PipeOp) -> Result<EncodedOp> {
    let inner = python.encode()?;
    Ok(EncodedOp { kind: kind.to_owned(), ..inner })
}

impl OpCodec for NativeOp {
    fn kind(&self) -> &'static str {
        NATIVE
    }

    fn encode(&self) -> Result<EncodedOp> {
        wrapped(NATIVE, &self.python)
    }
}

impl OpCodec for TreeOp {
    fn kind(&self) -> &'static str {
        TREE
    }

    fn encode(&self) -> Result<EncodedOp> {
        wrapped(TREE, &self.python)
    }
}

fn decode(encoded: &EncodedOp) -> Result<Arc<dyn Op>> {
    let blobs: Vec<Blob> = encoded.blobs.clone();
    let inner = EncodedOp { kind: super::pipe::KIND.to_owned(), body: encoded.body.clone(), blobs };
    let any: Arc<dyn Any + Send + Sync> = decode_op(&inner)?;
    let pipe = any.downcast::<PipeOp>().map_err(|_| damaged())?;
    Ok(op_of(Arc::unwrap_or_clone(pipe)))
}

inventory::submit! { OpEntry { kind: NATIVE, decode } }
inventory::submit! { OpEntry { kind: TREE, decode } }

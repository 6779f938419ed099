//! Work on bags that needs no Python: well-known functions on lines of text and
//! on native columns.
//!
//! Every native op carries the Python calls that it stands for. Where a line is
//! beyond Rust, Python is asked for that line; where a whole partition is, or the
//! input is no native column, the calls run as they would have without this
//! module. So an answer never depends on what is recognised.

mod data;
mod lines;
mod tree;

use super::cells;
use super::pipe::{Cut, Head, PipeOp, Step};
use lines::NativeOp;
use oxidask_core::registry::{OpEntry, decode_op};
use oxidask_core::{EncodedOp, Op, Result};
use oxidask_io::record::{Program, Scalar, Step as RecordStep, Term};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use serde::{Deserialize, Serialize};
use std::any::Any;
use std::sync::Arc;
use tree::TreeOp;

pub use data::{Rows, groups_of, shards_of};
pub use lines::grouped;

/// What a call of a pipe does, if it is well known.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Native {
    /// It leaves the elements as they are.
    Same,
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
    /// They become one value, which no elements have not.
    Reduce {
        /// Of the result so far and an element.
        binop: Term,
        /// Where it begins, if not with the first element.
        initial: Option<Scalar>,
    },
    /// They are cut into so many pieces by a key.
    Scatter(Term, u32),
}

/// How results of partitions become one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Tree {
    /// Values of equal keys are combined.
    Merge {
        /// Of two results.
        combine: Term,
        /// Where combining begins, if not with the first result.
        initial: Option<Scalar>,
        /// What is made of all.
        finish: Finish,
    },
    /// Shards become whole again.
    Join(Finish),
    /// A few values become one by calls that Python makes in this process, as
    /// they are well known: another one would take longer to be reached.
    Calls,
    /// The first elements of lists.
    Take(usize),
    /// The elements of lists, grouped by a key.
    Group(Term),
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
    /// The keys alone.
    Keys,
    /// The values alone.
    Values,
}

impl Finish {
    fn of(name: &Bound<'_, PyAny>) -> PyResult<Self> {
        Ok(match name.extract::<String>()?.as_str() {
            "nothing" => Finish::Nothing,
            "pairs" => Finish::Pairs,
            "sorted" => Finish::Sorted,
            "keys" => Finish::Keys,
            "values" => Finish::Values,
            other => return Err(PyValueError::new_err(format!("'{other}' is nothing to make of groups"))),
        })
    }
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
        "same" => Native::Same,
        "flatten" => Native::Step(RecordStep::Flatten),
        "take" => Native::Sink(Sink::Take(at(1)?.extract()?)),
        "count" => Native::Sink(Sink::Count),
        "counts" => Native::Sink(Sink::Counts),
        "fold" => Native::Sink(Sink::Fold {
            key: cells::term_of(&at(1)?)?,
            binop: cells::term_of(&at(2)?)?,
            initial: start(3)?,
        }),
        "reduce" => Native::Sink(Sink::Reduce { binop: cells::term_of(&at(1)?)?, initial: start(2)? }),
        "scatter" => Native::Sink(Sink::Scatter(cells::term_of(&at(1)?)?, at(2)?.extract()?)),
        "group" => Native::Tree(Tree::Group(cells::term_of(&at(1)?)?)),
        "calls" => Native::Tree(Tree::Calls),
        "take-of" => Native::Tree(Tree::Take(at(1)?.extract()?)),
        "merge" => Native::Tree(Tree::Merge {
            combine: cells::term_of(&at(1)?)?,
            initial: start(2)?,
            finish: Finish::of(&at(3)?)?,
        }),
        "join" => Native::Tree(Tree::Join(Finish::of(&at(1)?)?)),
        other => return Err(PyValueError::new_err(format!("'{other}' is no native step"))),
    })
}

/// The best op for the calls of a pipe: native if all of them are well known, and
/// lines or (as far as is known beforehand) native columns come in.
pub fn op_of(pipe: PipeOp, reads_columns: bool) -> Arc<dyn Op> {
    let natives: Option<Vec<Native>> = pipe.steps.iter().map(|step| step.native.clone()).collect();
    let Some(natives) = natives.filter(|_| pipe.n_extras == 0) else { return Arc::new(pipe) };
    let (group, steps) = match (&pipe.head, &natives[..]) {
        (Head::Group, [Native::Tree(Tree::Group(key)), steps @ ..]) if reads_columns => (Some(key.clone()), steps),
        (Head::Group, [Native::Tree(tree)]) => return Arc::new(TreeOp { tree: tree.clone(), python: pipe }),
        (Head::Text(source), steps) if !source.include_path && source.encoding.is_stateless => (None, steps),
        // On partitions that are no columns the calls themselves are as good, and
        // belong where users' objects are.
        (Head::Partition, steps) if reads_columns => (None, steps),
        _ => return Arc::new(pipe),
    };
    let Some((program, sink)) = program_of(steps) else { return Arc::new(pipe) };
    let fits = match (&sink, pipe.cut) {
        (Sink::Scatter(_, n), Some(Cut::Made(parts))) => *n == parts,
        (Sink::Scatter(..), _) => false,
        (Sink::Counts | Sink::Fold { .. }, Some(Cut::ByKey(_))) => true,
        (_, cut) => cut.is_none(),
    };
    if !fits {
        return Arc::new(pipe);
    }
    Arc::new(NativeOp { group, program, sink, python: pipe })
}

/// What the calls do to each element, and what becomes of all of them.
fn program_of(natives: &[Native]) -> Option<(Program, Sink)> {
    let mut steps = Vec::new();
    let mut sink = Sink::Rows;
    for (place, native) in natives.iter().enumerate() {
        match native {
            Native::Same => {}
            Native::Step(step) => steps.push(step.clone()),
            Native::Sink(last) if place + 1 == natives.len() => sink = last.clone(),
            _ => return None,
        }
    }
    let program = match &sink {
        Sink::Fold { key, binop, .. } => Program::with_terms(steps, &[key, binop]),
        Sink::Reduce { binop, .. } => Program::with_terms(steps, &[binop]),
        Sink::Scatter(key, _) => Program::with_terms(steps, &[key]),
        _ => Program::new(steps),
    };
    Some((program, sink))
}

/// The steps at the beginning of a pipe that run natively before Python sees a
/// line, and how many there are; none if there are none.
pub fn native_head(steps: &[Step]) -> Option<(Program, usize)> {
    let natives = steps.iter().map_while(|step| match &step.native {
        Some(Native::Step(step)) => Some(step.clone()),
        _ => None,
    });
    let natives: Vec<RecordStep> = natives.collect();
    let n = natives.len();
    (n > 0).then(|| (Program::new(natives), n))
}

const NATIVE: &str = "bag.native";
const TREE: &str = "bag.tree";

/// An op of this module is rebuilt from the calls that it stands for.
fn wrapped(kind: &str, python: &PipeOp) -> Result<EncodedOp> {
    use oxidask_core::registry::OpCodec;
    let inner = python.encode()?;
    Ok(EncodedOp { kind: kind.to_owned(), ..inner })
}

fn decode(encoded: &EncodedOp) -> Result<Arc<dyn Op>> {
    let inner = EncodedOp { kind: super::pipe::KIND.to_owned(), ..encoded.clone() };
    let any: Arc<dyn Any + Send + Sync> = decode_op(&inner)?;
    let pipe = any.downcast::<PipeOp>().map_err(|_| data::damaged())?;
    Ok(op_of(Arc::unwrap_or_clone(pipe), true))
}

inventory::submit! { OpEntry { kind: NATIVE, decode } }
inventory::submit! { OpEntry { kind: TREE, decode } }

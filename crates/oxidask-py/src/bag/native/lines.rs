//! The op of well-known functions on the lines of a text, or on native columns.

use super::data::{GroupsData, Rows};
use super::{Finish, NATIVE, Sink, wrapped};
use crate::bag::cells;
use crate::bag::pipe::{Head, PipeOp};
use crate::bag::text::{Decoded, PartitionReader, TextSource};
use crate::error::OrError;
use crate::value::{from_value, to_value};
use oxidask_core::registry::OpCodec;
use oxidask_core::{EncodedOp, Error, Op, Parts, Result, Value};
use oxidask_io::record::{self, Beyond, Case, Cell, Groups, Pieces, Program, Reduction, Run, Sharded, Tally, Term};
use pyo3::prelude::*;
use pyo3::types::PyList;
use std::borrow::Cow;
use std::sync::Arc;

/// Well-known functions on the lines of a text, or on native columns.
pub struct NativeOp {
    /// The key by which the elements of several columns are grouped at first.
    pub group: Option<Term>,
    /// What is done to each element.
    pub program: Program,
    /// What becomes of them.
    pub sink: Sink,
    /// The calls that this stands for.
    pub python: PipeOp,
}

/// What a sink has so far.
#[allow(clippy::large_enum_variant, reason = "there is one for each partition that is under way")]
enum State {
    Rows(record::Rows),
    Count(u64),
    Tally(Tally),
    Groups(Groups),
    Sharded(Sharded),
    Pieces(Pieces),
    Reduction(Reduction),
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

/// How many lines of a partition Python is asked for in any case.
const ASKED_MAX: usize = 64;

/// Lines that were asked of Python, and lines in all.
#[derive(Default)]
struct Asked {
    asked: usize,
    lines: usize,
}

impl NativeOp {
    /// What is to be made of partition `block`.
    fn start(&self, block: u64) -> State {
        match self.sink {
            Sink::Rows | Sink::Take(_) => State::Rows(record::Rows::new()),
            Sink::Count => State::Count(0),
            Sink::Counts => State::Tally(Tally::default()),
            Sink::Fold { .. } => match self.python.cut {
                Some(cut) => State::Sharded(Sharded::new(cut.n() as usize, block)),
                None => State::Groups(Groups::new()),
            },
            Sink::Reduce { ref initial, .. } => State::Reduction(Reduction::new(initial.clone())),
            Sink::Scatter(_, n) => State::Pieces(Pieces::new(n as usize)),
        }
    }

    /// Whether no further elements are wanted.
    fn is_full(&self, state: &State) -> bool {
        matches!((&self.sink, state), (Sink::Take(k), State::Rows(rows)) if rows.len() >= *k)
    }

    fn push(&self, state: &mut State, cell: &Cell<'_>, run: &Run<'_>) -> Result<(), Beyond> {
        match (&self.sink, state) {
            (Sink::Take(k), State::Rows(rows)) if rows.len() >= *k => {}
            (_, State::Rows(rows)) => rows.push(cell)?,
            (_, State::Count(count)) => *count += 1,
            (_, State::Tally(tally)) => tally.count(cell)?,
            (Sink::Fold { key, binop, initial }, State::Groups(groups)) => {
                let group = run.eval(key, std::slice::from_ref(cell))?;
                groups.fold(&group, cell.clone(), binop, initial.as_ref(), run)?;
            }
            (Sink::Fold { key, binop, initial }, State::Sharded(sharded)) => {
                let group = run.eval(key, std::slice::from_ref(cell))?;
                sharded.fold(&group, cell.clone(), binop, initial.as_ref(), run)?;
            }
            (Sink::Reduce { binop, .. }, State::Reduction(reduction)) => reduction.push(cell, binop, run)?,
            (Sink::Scatter(key, _), State::Pieces(pieces)) => {
                pieces.push(&run.eval(key, std::slice::from_ref(cell))?, cell)?;
            }
            _ => return Err(Beyond),
        }
        Ok(())
    }

    /// The lines of a text.
    fn lines(&self, source: &Arc<TextSource>, block: u64) -> Result<State, Stop> {
        let mut state = self.start(block);
        let mut asked = Asked::default();
        let mut reader = PartitionReader::new(source.clone(), block).map_err(|_| Stop::Python)?;
        while !self.is_full(&state)
            && let Some((chunk, _)) = reader.next_chunk().map_err(Stop::Error)?
        {
            let Decoded::Text(mut text) = chunk else { return Err(Stop::Python) };
            let is_cased = match self.program.case() {
                Some(case) => put_in_case(&mut text, case),
                None => true,
            };
            if !(is_cased && source.delimiter.is_none() && self.words(&text, &mut state)?) {
                self.chunk(&text, source.line_end(), &mut state, &mut asked)?;
            }
            reader.recycle(text);
        }
        Ok(state)
    }

    /// Counts words of many lines at once, if that is what is to be done.
    fn words(&self, text: &str, state: &mut State) -> Result<bool, Stop> {
        match state {
            State::Tally(tally) if self.program.is_words() => tally.count_words(text)?,
            State::Count(count) if self.program.is_words() => *count += record::count_words(text),
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn chunk(&self, text: &str, line_end: &str, state: &mut State, asked: &mut Asked) -> Result<(), Stop> {
        let mut run = self.program.start();
        let mut rest = text;
        while !rest.is_empty() && !self.is_full(state) {
            asked.lines += 1;
            if line_end == "\n"
                && let Some(len) = run.first_record(rest)
            {
                run.cells().iter().try_for_each(|cell| self.push(state, cell, &run))?;
                rest = &rest[len..];
                continue;
            }
            let end = oxidask_io::find(rest.as_bytes(), line_end.as_bytes(), 0);
            let (line, behind) = rest.split_at(end.map_or(rest.len(), |at| at + line_end.len()));
            rest = behind;
            if run.line(line).is_ok() {
                run.cells().iter().try_for_each(|cell| self.push(state, cell, &run))?;
                continue;
            }
            // Many calls for single lines cost more than one for all.
            asked.asked += 1;
            if asked.asked > ASKED_MAX + asked.lines / 8 {
                return Err(Stop::Python);
            }
            self.ask(line)?.iter().try_for_each(|cell| self.push(state, cell, &run))?;
        }
        Ok(())
    }

    /// What Python makes of a single line.
    fn ask(&self, line: &str) -> Result<Vec<Cell<'static>>, Stop> {
        let n_steps = self.python.steps.len() - usize::from(self.sink != Sink::Rows);
        Python::attach(|py| {
            let made = || -> PyResult<Option<Vec<Cell<'static>>>> {
                let one = PyList::new(py, [line])?.into_any();
                let answer = self.python.calls(one, &self.python.steps[..n_steps], &[])?;
                answer.try_iter()?.map(|object| Ok(cells::of_object(&object?))).collect()
            };
            // An error is raised anew by the partition as a whole, which knows
            // more of its place.
            made().ok().flatten().ok_or(Stop::Python)
        })
    }

    /// The elements of a column.
    fn column(&self, rows: &record::Rows, block: u64) -> Result<State, Stop> {
        let mut state = self.start(block);
        let mut run = self.program.start();
        for cell in rows.iter() {
            if self.is_full(&state) {
                break;
            }
            run.element(cell)?;
            run.cells().iter().try_for_each(|cell| self.push(&mut state, cell, &run))?;
        }
        Ok(state)
    }

    /// The plain values of a list or a range of Python.
    fn objects(&self, partition: &Value, block: u64) -> Result<State, Stop> {
        let range = Python::attach(|py| cells::range_of(from_value(py, partition).ok()?.bind(py)));
        let Some((start, stop, step)) = range else {
            let rows = Python::attach(|py| rows_of(py, partition)).ok_or(Stop::Python)?;
            return self.column(&rows, block);
        };
        let mut state = self.start(block);
        let mut run = self.program.start();
        let mut number = Some(start);
        while let Some(own) = number.filter(|own| if step > 0 { *own < stop } else { *own > stop })
            && !self.is_full(&state)
        {
            run.element(Cell::Int(own))?;
            run.cells().iter().try_for_each(|cell| self.push(&mut state, cell, &run))?;
            number = own.checked_add(step);
        }
        Ok(state)
    }

    /// Counts as groups, or shards of these, and all else as it is.
    fn finished(&self, state: State, block: u64) -> Result<State, Stop> {
        let State::Tally(tally) = state else { return Ok(state) };
        let groups = tally.finish()?;
        Ok(match self.python.cut {
            Some(cut) => State::Sharded(Sharded::of(&groups, cut.n() as usize, block)?),
            None => State::Groups(groups),
        })
    }

    fn state(&self, block: u64, inputs: &[Value]) -> Result<State, Stop> {
        match (&self.python.head, &self.group) {
            (Head::Text(source), _) => self.lines(source, block),
            (_, Some(key)) => {
                let rows = grouped(inputs, key).ok_or(Stop::Python)?;
                // Groups are the answer where nothing more is done to them.
                if self.python.steps.len() == 1 { Ok(State::Rows(rows)) } else { self.column(&rows, block) }
            }
            _ => match inputs {
                [input] => match input.get::<Rows>() {
                    Some(rows) => self.column(&rows.0, block),
                    None => self.objects(input, block),
                },
                _ => Err(Stop::Python),
            },
        }
    }
}

/// The elements of a list; none if they are not plain.
fn rows_of(py: Python<'_>, partition: &Value) -> Option<record::Rows> {
    let object = from_value(py, partition).ok()?;
    let mut rows = record::Rows::new();
    for element in object.bind(py).cast_exact::<PyList>().ok()?.iter() {
        rows.push(&cells::of_object(&element)?).ok()?;
    }
    Some(rows)
}

/// The elements of columns, grouped; none if Python has to do it.
pub fn grouped(inputs: &[Value], key: &Term) -> Option<record::Rows> {
    let columns: Vec<&record::Rows> =
        inputs.iter().map(|value| Some(&value.get::<Rows>()?.0)).collect::<Option<_>>()?;
    record::group(columns.iter().copied(), key).ok()
}

/// Puts a text of ASCII into a case; others depend on Python's version of Unicode
/// and are left to the steps.
fn put_in_case(text: &mut str, case: Case) -> bool {
    if !text.is_ascii() {
        return false;
    }
    match case {
        Case::Lower => text.make_ascii_lowercase(),
        Case::Upper => text.make_ascii_uppercase(),
    }
    true
}

impl Op for NativeOp {
    fn run(&self, block: u64, inputs: &[Value]) -> Result<Value> {
        let groups = |groups: Groups| Value::new(GroupsData { groups: groups.sealed(), finish: Finish::Nothing });
        let shards = |shards: Vec<Groups>| Value::new(Parts(shards.into_iter().map(groups).collect()));
        match self.state(block, inputs).and_then(|state| self.finished(state, block)) {
            Ok(State::Rows(rows)) => Ok(Value::new(Rows(rows))),
            Ok(State::Groups(made)) => Ok(groups(made)),
            Ok(State::Sharded(sharded)) => Ok(shards(sharded.finish())),
            Ok(State::Pieces(pieces)) => {
                let pieces = pieces.finish().into_iter().map(|rows| Value::new(Rows(rows)));
                Ok(Value::new(Parts(pieces.collect())))
            }
            Ok(State::Count(count)) => Python::attach(|py| {
                let number = count.into_pyobject(py).map_err(PyErr::from).or_error(py)?;
                Ok(to_value(number.into_any()))
            }),
            Ok(State::Reduction(reduction)) => match reduction.finish() {
                Some(result) => {
                    Python::attach(|py| Ok(to_value(cells::Objects::new(py).cell(&result.cell()).or_error(py)?)))
                }
                None => self.python.run(block, inputs),
            },
            Ok(State::Tally(_)) | Err(Stop::Python) => self.python.run(block, inputs),
            Err(Stop::Error(error)) => Err(error),
        }
    }

    fn label(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.python.label)
    }
}

impl OpCodec for NativeOp {
    fn kind(&self) -> &'static str {
        NATIVE
    }

    fn encode(&self) -> Result<EncodedOp> {
        wrapped(NATIVE, &self.python)
    }
}

//! Programs: chains of steps on lines.

use super::cell::{Cell, Scalar};
use super::eval::{Known, eval};
use super::term::{Function, Term};
use super::text;
use super::words::each_word;
use crate::json::{Beyond, Raw, Records};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// One step on each element.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Step {
    /// What a function makes of it.
    Map(Term),
    /// It, if the term is true.
    Filter(Term),
    /// It, if the term is false.
    Remove(Term),
    /// The elements of it.
    Flatten,
}

impl Step {
    /// Whether it maps this function of one argument.
    fn maps(&self, function: Function) -> bool {
        matches!(self, Step::Map(Term::Call(own, args)) if *own == function && args[..] == [Term::Arg(0)])
    }
}

/// The case of letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Case {
    /// As `str.lower` makes it.
    Lower,
    /// As `str.upper` makes it.
    Upper,
}

/// Steps on the lines of a text.
///
/// ```
/// use oxidask_io::record::{Cell, Program, Step, Term};
///
/// let words = Term::call("str.split", vec![Term::Arg(0)])?;
/// let program = Program::new(vec![Step::Map(words), Step::Flatten]);
/// let mut run = program.start();
/// run.line("two words\n").unwrap();
/// assert!(matches!(run.cells(), [Cell::Str(a), Cell::Str(b)] if a == "two" && b == "words"));
/// # Ok::<(), oxidask_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Program {
    steps: Vec<Step>,
    /// The keys whose values are looked up while a record is checked.
    keys: Vec<String>,
}

impl Program {
    /// A program of some steps.
    #[must_use]
    pub fn new(steps: Vec<Step>) -> Self {
        Program::with_terms(steps, &[])
    }

    /// A program of some steps, whose results other terms go on to look into.
    #[must_use]
    pub fn with_terms(steps: Vec<Step>, terms: &[&Term]) -> Self {
        let mut keys = Vec::new();
        for step in &steps {
            match step {
                Step::Map(term) | Step::Filter(term) | Step::Remove(term) => term.keys(&mut keys),
                Step::Flatten => {}
            }
        }
        terms.iter().for_each(|term| term.keys(&mut keys));
        Program { steps, keys }
    }

    /// Whether each line becomes what `json.loads` makes of it, and no more.
    #[must_use]
    pub fn only_loads(&self) -> bool {
        matches!(&self.steps[..], [step] if step.maps(Function::JsonLoads))
    }

    /// The case into which all letters are put, however the text is cut
    /// afterwards: lines of ASCII may as well be put into it beforehand.
    #[must_use]
    pub fn case(&self) -> Option<Case> {
        let step = match &self.steps[..] {
            [split, Step::Flatten, step, ..] if split.maps(Function::Split) => step,
            [step, ..] => step,
            [] => return None,
        };
        let of = |function, case| step.maps(function).then_some(case);
        of(Function::Lower, Case::Lower).or_else(|| of(Function::Upper, Case::Upper))
    }

    /// Whether lines become their words and no more, once they have the
    /// [`Program::case`].
    #[must_use]
    pub fn is_words(&self) -> bool {
        let is_case = |step: &Step| step.maps(Function::Lower) || step.maps(Function::Upper);
        match &self.steps[..] {
            [split, Step::Flatten] => split.maps(Function::Split),
            [case, split, Step::Flatten] => is_case(case) && split.maps(Function::Split),
            [split, Step::Flatten, case] => is_case(case) && split.maps(Function::Split),
            _ => false,
        }
    }

    /// A run of the program over lines.
    #[must_use]
    pub fn start<'a>(&'a self) -> Run<'a> {
        let works = self.steps.iter().enumerate().map(|(place, step)| self.work(step, self.steps.get(place + 1)));
        Run {
            keys: &self.keys,
            works: works.collect(),
            records: Records::new(&self.keys),
            found: Vec::new(),
            cells: Vec::new(),
        }
    }

    fn work<'a>(&'a self, step: &'a Step, next: Option<&Step>) -> Work<'a> {
        match step {
            Step::Map(term) if step.maps(Function::Split) && next == Some(&Step::Flatten) => Work::Words(term),
            Step::Map(term) if step.maps(Function::JsonLoads) => Work::Loads(term),
            Step::Map(term) => Work::Map(term, self.field(term)),
            Step::Filter(term) => Work::Keep(term, self.field(term), true),
            Step::Remove(term) => Work::Keep(term, self.field(term), false),
            Step::Flatten => Work::Flatten,
        }
    }

    /// The place among the keys, if the term is the value of one in its argument.
    fn field(&self, term: &Term) -> Option<usize> {
        let Term::Call(Function::Item, args) = term else { return None };
        let [Term::Arg(0), Term::Const(Scalar::Str(key))] = &args[..] else { return None };
        self.keys.iter().position(|known| **known == **key)
    }
}

/// A step, looked at once for all elements.
#[derive(Clone, Copy)]
enum Work<'a> {
    /// `json.loads`
    Loads(&'a Term),
    /// `str.split`, whose words are flattened next.
    Words(&'a Term),
    /// What a term makes of it; the place of the key, if it only looks that up.
    Map(&'a Term, Option<usize>),
    /// It, if the term is true, or is not.
    Keep(&'a Term, Option<usize>, bool),
    /// The elements of it.
    Flatten,
}

/// A program at work. What a line became is there until the next one comes.
pub struct Run<'a> {
    keys: &'a [String],
    works: Vec<Work<'a>>,
    records: Records<'a>,
    /// The values of the keys of the line's records.
    found: Vec<Option<Raw<'a>>>,
    cells: Vec<Cell<'a>>,
}

impl<'a> Run<'a> {
    /// Takes the next line.
    ///
    /// # Errors
    /// [`Beyond`] if Python has to be asked for this line; there are no cells,
    /// then.
    pub fn line(&mut self, line: &'a str) -> Result<(), Beyond> {
        self.element(Cell::Str(line.into()))
    }

    /// Takes the line that a text of many begins with, if it is a JSON record
    /// like the one before, which tells where it ends without anybody looking for
    /// that; answers its length, its end (`\n`) included. None if the line has to
    /// be cut off and taken by [`Run::line`]; there are no cells, then.
    pub fn first_record(&mut self, text: &'a str) -> Option<usize> {
        self.cells.clear();
        self.found.clear();
        let Some(Work::Loads(_)) = self.works.first() else { return None };
        let (raw, len) = self.records.read_first(text, &mut self.found)?;
        let done = self.of_record(1, raw);
        if done.is_err() {
            self.cells.clear();
        }
        done.is_ok().then_some(len)
    }

    /// Does the work from place `at` on with the line's record, whose values are
    /// the first that were found. Steps that need one of them each pass no cells.
    #[inline]
    fn of_record(&mut self, mut at: usize, record: Raw<'a>) -> Result<(), Beyond> {
        loop {
            let (place, wanted) = match self.works.get(at) {
                Some(Work::Keep(_, Some(place), wanted)) => (*place, Some(*wanted)),
                Some(Work::Map(_, Some(place))) => (*place, None),
                _ => break,
            };
            let Some(raw) = self.found[place] else { break };
            match wanted {
                None if at + 1 == self.works.len() => {
                    self.cells.push(Cell::of_json(raw)?);
                    return Ok(());
                }
                None => return self.push(at + 1, Cell::of_json(raw)?),
                Some(wanted) if raw.is_true()? == wanted => at += 1,
                Some(_) => return Ok(()),
            }
        }
        self.push(at, Cell::Json(record, Some(0)))
    }

    /// Takes the next element, as [`Run::line`] takes a line.
    ///
    /// # Errors
    /// As for [`Run::line`].
    pub fn element(&mut self, cell: Cell<'a>) -> Result<(), Beyond> {
        self.cells.clear();
        self.found.clear();
        let cell = match cell {
            Cell::Json(raw, _) if raw.is_object() && !self.keys.is_empty() => self.record(raw.text())?,
            other => other,
        };
        let done = self.push(0, cell);
        if done.is_err() {
            self.cells.clear();
        }
        done
    }

    /// What became of the line.
    #[must_use]
    pub fn cells(&self) -> &[Cell<'a>] {
        &self.cells
    }

    /// What a term makes of values, some of which may be cells of the line.
    ///
    /// # Errors
    /// [`Beyond`] if Python has to be asked.
    pub fn eval<'b>(&self, term: &'b Term, args: &[Cell<'b>]) -> Result<Cell<'b>, Beyond>
    where
        'a: 'b,
    {
        eval(term, args, Known { keys: self.keys, found: &self.found })
    }

    /// The value that is at hand for a key of a record.
    fn known(&self, cell: &Cell<'a>, place: Option<usize>) -> Option<Raw<'a>> {
        match (cell, place) {
            (Cell::Json(_, Some(first)), Some(place)) => *self.found.get(*first as usize + place)?,
            _ => None,
        }
    }

    /// Does the work from place `at` on.
    fn push(&mut self, mut at: usize, mut cell: Cell<'a>) -> Result<(), Beyond> {
        while let Some(work) = self.works.get(at).copied() {
            at += 1;
            cell = match (work, cell) {
                (Work::Loads(_), Cell::Str(Cow::Borrowed(line))) => self.record(line)?,
                (Work::Words(_), Cell::Str(text)) => return self.words(at + 1, text),
                (Work::Map(term, place), cell) => match self.known(&cell, place) {
                    Some(raw) => Cell::of_json(raw)?,
                    None => self.eval(term, &[cell])?,
                },
                (Work::Loads(term) | Work::Words(term), cell) => self.eval(term, &[cell])?,
                (Work::Keep(term, place, wanted), cell) => {
                    let is_true = match self.known(&cell, place) {
                        Some(raw) => raw.is_true()?,
                        None => self.eval(term, std::slice::from_ref(&cell))?.is_true(),
                    };
                    if is_true != wanted {
                        return Ok(());
                    }
                    cell
                }
                (Work::Flatten, cell) => return self.flatten(at, cell),
            };
        }
        self.cells.push(cell);
        Ok(())
    }

    /// Does the work from place `next` on with each element of a cell.
    fn flatten(&mut self, next: usize, cell: Cell<'a>) -> Result<(), Beyond> {
        let Cell::Str(text) = cell else {
            return cell.elements()?.into_iter().try_for_each(|cell| self.push(next, cell));
        };
        let base = text.as_ptr() as usize;
        for symbol in text.split("").filter(|symbol| !symbol.is_empty()) {
            let start = symbol.as_ptr() as usize - base;
            self.push(next, Cell::Str(text::slice(&text, start, start + symbol.len())))?;
        }
        Ok(())
    }

    /// Words are passed on one by one, without a list of them.
    fn words(&mut self, next: usize, text: Cow<'a, str>) -> Result<(), Beyond> {
        let mut done = Ok(());
        each_word(&text, |start, end| {
            if done.is_ok() {
                done = self.push(next, Cell::Str(text::slice(&text, start, end)));
            }
        });
        done
    }

    fn record(&mut self, line: &'a str) -> Result<Cell<'a>, Beyond> {
        let first = u32::try_from(self.found.len()).map_err(|_| Beyond)?;
        let raw = self.records.read(line, &mut self.found)?;
        if raw.is_object() { Ok(Cell::Json(raw, Some(first))) } else { Cell::of_json(raw) }
    }
}

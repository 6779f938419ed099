//! Programs: chains of steps on lines.

use super::cell::Cell;
use super::eval::eval;
use super::term::{Function, Term};
use super::text;
use crate::json::Beyond;
use serde::{Deserialize, Serialize};

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

/// Steps on the lines of a text.
///
/// ```
/// use oxidask_io::record::{Cell, Program, Step, Term};
///
/// let words = Term::call("str.split", vec![Term::Arg(0)])?;
/// let program = Program::new(vec![Step::Map(words), Step::Flatten]);
/// let mut out = Vec::new();
/// program.run("two words\n", &mut out).unwrap();
/// assert!(matches!(&out[..], [Cell::Str(a), Cell::Str(b)] if a == "two" && b == "words"));
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

    /// Adds what becomes of a line to `out`.
    ///
    /// # Errors
    /// [`Beyond`] if Python has to be asked for this line; `out` is as it was,
    /// then.
    pub fn run<'a>(&'a self, line: &'a str, out: &mut Vec<Cell<'a>>) -> Result<(), Beyond> {
        self.run_cell(Cell::Str(line.into()), out)
    }

    /// As [`Program::run`], for any element.
    ///
    /// # Errors
    /// As for [`Program::run`].
    pub fn run_cell<'a>(&'a self, cell: Cell<'a>, out: &mut Vec<Cell<'a>>) -> Result<(), Beyond> {
        let before = out.len();
        let done = self.push(&self.steps, cell, out);
        if done.is_err() {
            out.truncate(before);
        }
        done
    }

    /// What a term makes of values that this program made.
    ///
    /// # Errors
    /// [`Beyond`] if Python has to be asked.
    pub fn eval<'a>(&self, term: &'a Term, args: &[Cell<'a>]) -> Result<Cell<'a>, Beyond> {
        eval(term, args, &self.keys)
    }

    fn push<'a>(&'a self, steps: &'a [Step], cell: Cell<'a>, out: &mut Vec<Cell<'a>>) -> Result<(), Beyond> {
        let Some((step, rest)) = steps.split_first() else {
            out.push(cell);
            return Ok(());
        };
        match step {
            Step::Map(Term::Call(Function::Split, args)) if matches!(rest.first(), Some(Step::Flatten)) => {
                // Words are passed on one by one, without a list of them.
                if let ([Term::Arg(0)], Cell::Str(line)) = (&args[..], &cell) {
                    let mut done = Ok(());
                    text::each_word(line, |word| {
                        if done.is_ok() {
                            done = self.push(&rest[1..], Cell::Str(word), out);
                        }
                    });
                    return done;
                }
                let list = self.eval(step_term(step)?, &[cell])?;
                self.push(rest, list, out)
            }
            Step::Map(term) => self.push(rest, self.eval(term, &[cell])?, out),
            Step::Filter(term) | Step::Remove(term) => {
                let wanted = matches!(step, Step::Filter(_));
                let args = [cell];
                if self.eval(term, &args)?.is_true() == wanted {
                    let [cell] = args;
                    self.push(rest, cell, out)?;
                }
                Ok(())
            }
            Step::Flatten => match cell {
                Cell::Str(text) => {
                    let base = text.as_ptr() as usize;
                    for symbol in text.split("").filter(|symbol| !symbol.is_empty()) {
                        let start = symbol.as_ptr() as usize - base;
                        self.push(rest, Cell::Str(text::slice(&text, start, start + symbol.len())), out)?;
                    }
                    Ok(())
                }
                other => other.elements()?.into_iter().try_for_each(|cell| self.push(rest, cell, out)),
            },
        }
    }
}

fn step_term(step: &Step) -> Result<&Term, Beyond> {
    match step {
        Step::Map(term) | Step::Filter(term) | Step::Remove(term) => Ok(term),
        Step::Flatten => Err(Beyond),
    }
}

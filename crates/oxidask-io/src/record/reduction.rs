//! Elements folded into one value.

use super::cell::{Cell, Scalar};
use super::groups::combined;
use super::program::Run;
use super::term::Term;
use crate::json::Beyond;

/// The result so far.
pub struct Reduction {
    result: Option<Scalar>,
    n: u64,
}

impl Reduction {
    /// Begins with a value, or with the first element.
    #[must_use]
    pub fn new(initial: Option<Scalar>) -> Self {
        Reduction { result: initial, n: 0 }
    }

    /// Folds an element in: `binop(so far, element)`.
    ///
    /// # Errors
    /// [`Beyond`] if Python has to be asked.
    pub fn push(&mut self, element: &Cell<'_>, binop: &Term, run: &Run<'_>) -> Result<(), Beyond> {
        self.n += 1;
        self.result = Some(match (&self.result, element) {
            (None, element) => element.clone().keep()?,
            (Some(before), Cell::Int(number)) => combined(binop, before, &Scalar::Int(*number))?,
            (Some(before), Cell::Float(number)) => combined(binop, before, &Scalar::Float(*number))?,
            (Some(before), element) => run.eval(binop, &[before.cell(), element.clone()])?.keep()?,
        });
        Ok(())
    }

    /// The result; none if there was no element.
    #[must_use]
    pub fn finish(self) -> Option<Scalar> {
        self.result.filter(|_| self.n > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::super::program::Program;
    use super::*;

    #[test]
    fn elements_are_folded_in_order() {
        let minus = Term::call("sub", vec![Term::Arg(0), Term::Arg(1)]).unwrap();
        let (program, mut from_ten, mut from_first) =
            (Program::new(Vec::new()), Reduction::new(Some(Scalar::Int(10))), Reduction::new(None));
        let run = program.start();
        for cell in [Cell::Int(3), Cell::Bool(true), Cell::Float(0.5)] {
            from_ten.push(&cell, &minus, &run).unwrap();
            from_first.push(&cell, &minus, &run).unwrap();
        }
        assert_eq!(from_ten.push(&Cell::Str("x".into()), &minus, &run), Err(Beyond));
        assert_eq!(from_ten.finish(), Some(Scalar::Float(5.5)));
        assert_eq!(from_first.finish(), Some(Scalar::Float(1.5)));
        assert_eq!(Reduction::new(Some(Scalar::Int(1))).finish(), None);
    }
}

//! Terms computed as Python computes them, or not at all.

use super::cell::{Cell, Number, Scalar};
use super::dump::dumps;
use super::term::{Function, Term};
use super::text;
use super::words::each_word;
use crate::json::{Beyond, Raw, parse};
use std::borrow::Cow;
use std::cmp::Ordering;

type Answer<'a> = Result<Cell<'a>, Beyond>;

/// The largest distance from zero up to which all whole numbers are floats.
const EXACT_INT_MAX: u64 = 1 << 53;

/// What is known of records before anybody looks into them.
#[derive(Clone, Copy, Default)]
pub(super) struct Known<'k, 'a> {
    /// The keys whose values were found.
    pub keys: &'k [String],
    /// The values of each record's keys, one record after another.
    pub found: &'k [Option<Raw<'a>>],
}

impl Known<'_, '_> {
    /// Where the value of a key is, of the record whose values begin at `first`.
    fn place(&self, first: u32, key: &str) -> Option<usize> {
        Some(first as usize + self.keys.iter().position(|known| known == key)?)
    }
}

/// Computes a term.
pub(super) fn eval<'a>(term: &'a Term, args: &[Cell<'a>], known: Known<'_, 'a>) -> Answer<'a> {
    match term {
        Term::Arg(number) => args.get(*number as usize).cloned().ok_or(Beyond),
        Term::Const(value) => Ok(value.cell()),
        Term::Tuple(terms) => {
            Ok(Cell::Tuple(terms.iter().map(|term| eval(term, args, known)).collect::<Result<_, _>>()?))
        }
        Term::If(condition, yes, no) => {
            let branch = if eval(condition, args, known)?.is_true() { yes } else { no };
            eval(branch, args, known)
        }
        // The values of arguments need not be cloned to be looked into.
        Term::Call(Function::Item | Function::Get | Function::Pluck, terms) => item(term, terms, args, known),
        Term::Call(function, terms) => match &terms[..] {
            [one] => unary(*function, eval(one, args, known)?),
            [one, two] => match of_whole(*function, one, two, args, known) {
                Some(value) => Ok(value),
                None => binary(*function, eval(one, args, known)?, eval(two, args, known)?),
            },
            [one, two, three] => {
                ternary(*function, eval(one, args, known)?, eval(two, args, known)?, eval(three, args, known)?)
            }
            _ => Err(Beyond),
        },
    }
}

/// A function of two whole numbers, which are most of what is computed, without
/// cells in between; none if there are others, or the result is too large.
#[inline]
fn of_whole<'a>(
    function: Function,
    one: &Term,
    two: &Term,
    args: &[Cell<'_>],
    known: Known<'_, '_>,
) -> Option<Cell<'a>> {
    let (a, b) = (whole(one, args, known)?, whole(two, args, known)?);
    Some(match function {
        Function::Eq => Cell::Bool(a == b),
        Function::Ne => Cell::Bool(a != b),
        Function::Lt => Cell::Bool(a < b),
        Function::Le => Cell::Bool(a <= b),
        Function::Gt => Cell::Bool(a > b),
        Function::Ge => Cell::Bool(a >= b),
        _ => Cell::Int(arithmetic_of_whole(function, a, b)?),
    })
}

/// The value of a term that is a whole number, if it is.
fn whole(term: &Term, args: &[Cell<'_>], known: Known<'_, '_>) -> Option<i64> {
    match term {
        Term::Arg(number) => match args.get(*number as usize)? {
            Cell::Int(value) => Some(*value),
            _ => None,
        },
        Term::Const(Scalar::Int(value)) => Some(*value),
        Term::Call(Function::Item, terms) => match &terms[..] {
            [Term::Arg(number), Term::Const(Scalar::Str(key))] => match args.get(*number as usize)? {
                Cell::Json(_, Some(first)) => (*known.found.get(known.place(*first, key)?)?)?.whole(),
                _ => None,
            },
            _ => None,
        },
        Term::Call(function, terms) => match &terms[..] {
            [one, two] => arithmetic_of_whole(*function, whole(one, args, known)?, whole(two, args, known)?),
            _ => None,
        },
        _ => None,
    }
}

#[inline]
fn arithmetic_of_whole(function: Function, a: i64, b: i64) -> Option<i64> {
    match function {
        Function::Add => a.checked_add(b),
        Function::Sub => a.checked_sub(b),
        Function::Mul => a.checked_mul(b),
        Function::FloorDiv => floor_div(a, b),
        Function::Mod => floor_div(a, b).map(|quotient| a - quotient * b),
        _ => None,
    }
}

fn item<'a>(call: &'a Term, terms: &'a [Term], args: &[Cell<'a>], known: Known<'_, 'a>) -> Answer<'a> {
    let Term::Call(function, _) = call else { return Err(Beyond) };
    let (Some(of), Some(Term::Const(key))) = (terms.first(), terms.get(1)) else { return Err(Beyond) };
    let computed;
    let container = match of {
        Term::Arg(number) => args.get(*number as usize).ok_or(Beyond)?,
        other => {
            computed = eval(other, args, known)?;
            &computed
        }
    };
    let found = match (container, key) {
        (Cell::Json(raw, record), Scalar::Str(key)) if raw.is_object() => {
            let place = record.and_then(|first| known.place(first, key));
            let found = match place.and_then(|place| known.found.get(place)) {
                Some(found) => *found,
                None => raw.get(key)?,
            };
            found.map(Cell::of_json).transpose()?
        }
        // A dict of JSON has no other keys than text.
        (Cell::Json(raw, _), _) if raw.is_object() => None,
        _ if *function == Function::Get => return Err(Beyond),
        (Cell::List(cells) | Cell::Tuple(cells), Scalar::Int(place)) => {
            place_of(*place, cells.len()).map(|place| cells[place].clone())
        }
        (Cell::Json(..), Scalar::Int(place)) => {
            let mut cells = container.clone().elements()?;
            place_of(*place, cells.len()).map(|place| cells.swap_remove(place))
        }
        (Cell::Str(text), Scalar::Int(place)) if text.is_ascii() => {
            place_of(*place, text.len()).map(|place| Cell::Str(text::slice(text, place, place + 1)))
        }
        _ => return Err(Beyond),
    };
    match (found, function) {
        (Some(found), _) => Ok(found),
        (None, Function::Item) => Err(Beyond),
        (None, _) => terms.get(2).map_or(Ok(Cell::None), |default| eval(default, args, known)),
    }
}

fn place_of(index: i64, len: usize) -> Option<usize> {
    let place = if index < 0 { index.checked_add(i64::try_from(len).ok()?)? } else { index };
    usize::try_from(place).ok().filter(|place| *place < len)
}

fn unary<'a>(function: Function, value: Cell<'a>) -> Answer<'a> {
    Ok(match (function, value) {
        (Function::JsonLoads, Cell::Str(Cow::Borrowed(line))) => Cell::of_json(parse(line)?)?,
        (Function::JsonDumps, value) => Cell::Str(Cow::Owned(dumps(&value)?)),
        (Function::Len, value) => Cell::Int(len(value)?),
        (Function::Bool, value) => Cell::Bool(value.is_true()),
        (Function::Not, value) => Cell::Bool(!value.is_true()),
        (Function::IsNone, value) => Cell::Bool(matches!(value, Cell::None)),
        (Function::Str, value) => str_of(value)?,
        (Function::Int, Cell::Str(text)) => Cell::Int(text::to_int(&text)?),
        (Function::Int, value) => match value.number().ok_or(Beyond)? {
            Number::Int(value) => Cell::Int(value),
            Number::Float(value) if value.abs() < EXACT_INT_MAX as f64 => Cell::Int(value as i64),
            Number::Float(_) => return Err(Beyond),
        },
        (Function::Float, Cell::Str(text)) => Cell::Float(text::to_float(&text)?),
        (Function::Float, value) => Cell::Float(value.number().ok_or(Beyond)?.float()),
        (Function::Neg, value) => match value.number().ok_or(Beyond)? {
            Number::Int(value) => Cell::Int(value.checked_neg().ok_or(Beyond)?),
            Number::Float(value) => Cell::Float(-value),
        },
        (Function::Abs, value) => match value.number().ok_or(Beyond)? {
            Number::Int(value) => Cell::Int(value.checked_abs().ok_or(Beyond)?),
            Number::Float(value) => Cell::Float(value.abs()),
        },
        (Function::Sum, value) => {
            let mut total = 0_i64;
            for element in value.elements()? {
                // How floats are added up depends on the version of Python.
                let Some(Number::Int(number)) = element.number() else { return Err(Beyond) };
                total = total.checked_add(number).ok_or(Beyond)?;
            }
            Cell::Int(total)
        }
        (Function::Min, value) => extreme(value, Ordering::Less)?,
        (Function::Max, value) => extreme(value, Ordering::Greater)?,
        (Function::Lower, Cell::Str(text)) => Cell::Str(text::in_case(&text, false)?),
        (Function::Upper, Cell::Str(text)) => Cell::Str(text::in_case(&text, true)?),
        (Function::Strip, Cell::Str(text)) => Cell::Str(text::strip(&text, None, true, true)),
        (Function::LeftStrip, Cell::Str(text)) => Cell::Str(text::strip(&text, None, true, false)),
        (Function::RightStrip, Cell::Str(text)) => Cell::Str(text::strip(&text, None, false, true)),
        (Function::Split, Cell::Str(text)) => {
            let mut words = Vec::new();
            each_word(&text, |start, end| words.push(Cell::Str(text::slice(&text, start, end))));
            Cell::List(words)
        }
        (Function::IsDigit, Cell::Str(text)) if text.is_ascii() => {
            Cell::Bool(!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()))
        }
        _ => return Err(Beyond),
    })
}

fn len(value: Cell<'_>) -> Result<i64, Beyond> {
    let n = match value {
        Cell::Str(text) if text.is_ascii() => text.len(),
        Cell::Str(text) => text.chars().count(),
        Cell::List(cells) | Cell::Tuple(cells) => cells.len(),
        Cell::Json(raw, _) if raw.is_object() => {
            let mut names = std::collections::HashSet::new();
            raw.each_member(|name, _| {
                names.insert(name);
                Ok(())
            })?;
            names.len()
        }
        Cell::Json(raw, _) => {
            let mut n = 0;
            raw.each_element(|_| {
                n += 1;
                Ok(())
            })?;
            n
        }
        _ => return Err(Beyond),
    };
    i64::try_from(n).map_err(|_| Beyond)
}

fn str_of(value: Cell<'_>) -> Answer<'_> {
    let text = match value {
        Cell::Str(text) => return Ok(Cell::Str(text)),
        Cell::None => "None".to_owned(),
        Cell::Bool(value) => if value { "True" } else { "False" }.to_owned(),
        Cell::Int(value) => value.to_string(),
        Cell::Float(value) => text::float_repr(value),
        Cell::Json(..) | Cell::List(_) | Cell::Tuple(_) => return Err(Beyond),
    };
    Ok(Cell::Str(Cow::Owned(text)))
}

/// `min` or `max`: the first of the elements that is not beaten by another.
fn extreme(value: Cell<'_>, wins: Ordering) -> Answer<'_> {
    let mut cells = value.elements()?.into_iter();
    let mut best = cells.next().ok_or(Beyond)?;
    for cell in cells {
        if compare(&cell, &best)? == Some(wins) {
            best = cell;
        }
    }
    Ok(best)
}

fn binary<'a>(function: Function, left: Cell<'a>, right: Cell<'a>) -> Answer<'a> {
    match function {
        Function::Add | Function::Sub | Function::Mul | Function::TrueDiv | Function::FloorDiv | Function::Mod => {
            arithmetic(function, left, right)
        }
        Function::Eq => Ok(Cell::Bool(equal(&left, &right)?)),
        Function::Ne => Ok(Cell::Bool(!equal(&left, &right)?)),
        Function::Lt => Ok(Cell::Bool(compare(&left, &right)? == Some(Ordering::Less))),
        Function::Gt => Ok(Cell::Bool(compare(&left, &right)? == Some(Ordering::Greater))),
        Function::Le => Ok(Cell::Bool(compare(&left, &right)?.is_some_and(Ordering::is_le))),
        Function::Ge => Ok(Cell::Bool(compare(&left, &right)?.is_some_and(Ordering::is_ge))),
        Function::Min => Ok(if compare(&right, &left)? == Some(Ordering::Less) { right } else { left }),
        Function::Max => Ok(if compare(&right, &left)? == Some(Ordering::Greater) { right } else { left }),
        Function::Contains => contains(left, &right).map(Cell::Bool),
        Function::Attribute => attribute(&left, &right),
        _ => match (left, right) {
            (Cell::Str(text), Cell::Str(other)) => text_with_text(function, &text, &other),
            _ => Err(Beyond),
        },
    }
}

/// What numbers answer for the attributes that are numbers themselves; those of
/// a bool are ints. All others are methods, or errors.
fn attribute<'a>(of: &Cell<'_>, name: &Cell<'_>) -> Answer<'a> {
    let Cell::Str(name) = name else { return Err(Beyond) };
    Ok(match (of.number().ok_or(Beyond)?, &**name) {
        (Number::Int(value), "real" | "numerator") => Cell::Int(value),
        (Number::Int(_), "imag") => Cell::Int(0),
        (Number::Int(_), "denominator") => Cell::Int(1),
        (Number::Float(value), "real") => Cell::Float(value),
        (Number::Float(_), "imag") => Cell::Float(0.0),
        _ => return Err(Beyond),
    })
}

fn text_with_text<'a>(function: Function, text: &Cow<'a, str>, other: &str) -> Answer<'a> {
    Ok(match function {
        Function::StartsWith => Cell::Bool(text.starts_with(other)),
        Function::EndsWith => Cell::Bool(text.ends_with(other)),
        Function::Strip => Cell::Str(text::strip(text, Some(other), true, true)),
        Function::LeftStrip => Cell::Str(text::strip(text, Some(other), true, false)),
        Function::RightStrip => Cell::Str(text::strip(text, Some(other), false, true)),
        Function::Split => Cell::List(text::split_at(text, other, None)?),
        Function::Find => {
            let place = text.find(other).map(|at| text[..at].chars().count());
            Cell::Int(place.map_or(Ok(-1), i64::try_from).map_err(|_| Beyond)?)
        }
        Function::Count if !other.is_empty() => {
            Cell::Int(i64::try_from(text.matches(other).count()).map_err(|_| Beyond)?)
        }
        _ => return Err(Beyond),
    })
}

fn ternary<'a>(function: Function, one: Cell<'a>, two: Cell<'a>, three: Cell<'a>) -> Answer<'a> {
    match (function, one, two, three) {
        (Function::Replace, Cell::Str(text), Cell::Str(old), Cell::Str(new)) if !old.is_empty() => {
            Ok(Cell::Str(if text.contains(&*old) { Cow::Owned(text.replace(&*old, &new)) } else { text }))
        }
        (Function::Split, Cell::Str(text), Cell::Str(separator), Cell::Int(limit)) => {
            Ok(Cell::List(text::split_at(&text, &separator, Some(limit))?))
        }
        _ => Err(Beyond),
    }
}

fn arithmetic<'a>(function: Function, left: Cell<'a>, right: Cell<'a>) -> Answer<'a> {
    if let (Function::Add, Cell::Str(left), Cell::Str(right)) = (function, &left, &right) {
        return Ok(Cell::Str(Cow::Owned(format!("{left}{right}"))));
    }
    let (Some(left), Some(right)) = (left.number(), right.number()) else { return Err(Beyond) };
    if let (Number::Int(a), Number::Int(b)) = (left, right) {
        return match function {
            Function::TrueDiv if b != 0 && a.unsigned_abs() <= EXACT_INT_MAX && b.unsigned_abs() <= EXACT_INT_MAX => {
                Ok(Cell::Float(a as f64 / b as f64))
            }
            _ => arithmetic_of_whole(function, a, b).map(Cell::Int).ok_or(Beyond),
        };
    }
    let (a, b) = (left.float(), right.float());
    Ok(Cell::Float(match function {
        Function::Add => a + b,
        Function::Sub => a - b,
        Function::Mul => a * b,
        Function::TrueDiv if b != 0.0 => a / b,
        _ => return Err(Beyond),
    }))
}

fn floor_div(a: i64, b: i64) -> Option<i64> {
    let quotient = a.checked_div(b)?;
    // Division rounds down in Python, towards zero in Rust.
    Some(if a % b != 0 && (a < 0) != (b < 0) { quotient - 1 } else { quotient })
}

/// How two values compare; none if a NaN is among them.
fn compare(left: &Cell<'_>, right: &Cell<'_>) -> Result<Option<Ordering>, Beyond> {
    match (left, right) {
        // The order of UTF-8 is that of code points.
        (Cell::Str(left), Cell::Str(right)) => Ok(Some(left.cmp(right))),
        _ => match (left.number().ok_or(Beyond)?, right.number().ok_or(Beyond)?) {
            (Number::Int(left), Number::Int(right)) => Ok(Some(left.cmp(&right))),
            (Number::Float(left), Number::Float(right)) => Ok(left.partial_cmp(&right)),
            // Python compares an int and a float exactly.
            (Number::Int(int), Number::Float(float)) if int.unsigned_abs() <= EXACT_INT_MAX => {
                Ok((int as f64).partial_cmp(&float))
            }
            (Number::Float(float), Number::Int(int)) if int.unsigned_abs() <= EXACT_INT_MAX => {
                Ok(float.partial_cmp(&(int as f64)))
            }
            _ => Err(Beyond),
        },
    }
}

/// Whether two values are equal, which values of different types may ask.
fn equal(left: &Cell<'_>, right: &Cell<'_>) -> Result<bool, Beyond> {
    let is_container = |cell: &Cell<'_>| matches!(cell, Cell::Json(..) | Cell::List(_) | Cell::Tuple(_));
    match (left, right) {
        (Cell::None, Cell::None) => Ok(true),
        (Cell::Str(left), Cell::Str(right)) => Ok(left == right),
        _ if is_container(left) && is_container(right) => Err(Beyond),
        _ if left.number().is_some() && right.number().is_some() => Ok(compare(left, right)? == Some(Ordering::Equal)),
        _ => Ok(false),
    }
}

fn contains(container: Cell<'_>, wanted: &Cell<'_>) -> Result<bool, Beyond> {
    match (&container, wanted) {
        (Cell::Str(text), Cell::Str(part)) => return Ok(text.contains(&**part)),
        (Cell::Json(raw, _), Cell::Str(key)) if raw.is_object() => return Ok(raw.get(key)?.is_some()),
        _ => {}
    }
    // A NaN is in a list if it is that very object.
    if matches!(wanted, Cell::Float(value) if value.is_nan()) {
        return Err(Beyond);
    }
    for element in container.elements()? {
        if equal(&element, wanted)? {
            return Ok(true);
        }
    }
    Ok(false)
}

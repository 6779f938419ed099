//! The values that programs work on.

use crate::json::{Beyond, Json, Raw};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// A value on its way through a program; borrows from its line.
#[derive(Clone, Debug)]
pub enum Cell<'a> {
    /// `None`
    None,
    /// A `bool`.
    Bool(bool),
    /// An `int` of 64 bits.
    Int(i64),
    /// A `float`.
    Float(f64),
    /// A `str` without lone surrogates.
    Str(Cow<'a, str>),
    /// A list or dict that JSON made; and, if that is a line's record, where among
    /// the values that were found the run has those of its keys.
    Json(Raw<'a>, Option<u32>),
    /// A list.
    List(Vec<Cell<'a>>),
    /// A tuple.
    Tuple(Vec<Cell<'a>>),
}

/// A value that is kept: a constant of a program, a key, the state of a fold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Scalar {
    /// `None`
    None,
    /// A `bool`.
    Bool(bool),
    /// An `int`.
    Int(i64),
    /// A `float`.
    Float(f64),
    /// A `str`.
    Str(Box<str>),
    /// A tuple.
    Tuple(Box<[Scalar]>),
}

impl Scalar {
    /// The value as a cell that borrows it.
    #[must_use]
    pub fn cell(&self) -> Cell<'_> {
        match self {
            Scalar::None => Cell::None,
            Scalar::Bool(value) => Cell::Bool(*value),
            Scalar::Int(value) => Cell::Int(*value),
            Scalar::Float(value) => Cell::Float(*value),
            Scalar::Str(text) => Cell::Str(Cow::Borrowed(text)),
            Scalar::Tuple(values) => Cell::Tuple(values.iter().map(Scalar::cell).collect()),
        }
    }

    /// Bytes that it holds.
    #[must_use]
    pub fn nbytes(&self) -> u64 {
        let inner = match self {
            Scalar::Str(text) => text.len() as u64,
            Scalar::Tuple(values) => values.iter().map(Scalar::nbytes).sum(),
            _ => 0,
        };
        size_of::<Scalar>() as u64 + inner
    }
}

impl<'a> Cell<'a> {
    /// The cell of a checked JSON value.
    ///
    /// # Errors
    /// [`Beyond`] if it has no equal in Rust.
    pub fn of_json(raw: Raw<'a>) -> Result<Self, Beyond> {
        Ok(match raw.decode()? {
            Json::Null => Cell::None,
            Json::Bool(value) => Cell::Bool(value),
            Json::Int(value) => Cell::Int(value),
            Json::Float(value) => Cell::Float(value),
            Json::Str(text) => Cell::Str(text),
            Json::Array(raw) | Json::Object(raw) => Cell::Json(raw, None),
        })
    }

    /// The value, kept.
    ///
    /// # Errors
    /// [`Beyond`] if it is a list or a dict: these can be changed.
    pub fn keep(self) -> Result<Scalar, Beyond> {
        Ok(match self {
            Cell::None => Scalar::None,
            Cell::Bool(value) => Scalar::Bool(value),
            Cell::Int(value) => Scalar::Int(value),
            Cell::Float(value) => Scalar::Float(value),
            Cell::Str(text) => Scalar::Str(text.into()),
            Cell::Tuple(cells) => Scalar::Tuple(cells.into_iter().map(Cell::keep).collect::<Result<_, _>>()?),
            Cell::Json(..) | Cell::List(_) => return Err(Beyond),
        })
    }

    /// Whether Python takes it for true.
    #[must_use]
    pub fn is_true(&self) -> bool {
        match self {
            Cell::None => false,
            Cell::Bool(value) => *value,
            Cell::Int(value) => *value != 0,
            Cell::Float(value) => *value != 0.0,
            Cell::Str(text) => !text.is_empty(),
            Cell::List(cells) | Cell::Tuple(cells) => !cells.is_empty(),
            Cell::Json(raw, _) => {
                let inner = raw.text().as_bytes();
                !inner[1..inner.len() - 1].iter().all(u8::is_ascii_whitespace)
            }
        }
    }

    /// A number as Python computes with it; bools are numbers.
    pub(super) fn number(&self) -> Option<Number> {
        match self {
            Cell::Bool(value) => Some(Number::Int(i64::from(*value))),
            Cell::Int(value) => Some(Number::Int(*value)),
            Cell::Float(value) => Some(Number::Float(*value)),
            _ => None,
        }
    }

    /// The elements of something that can be iterated and is no text or dict.
    ///
    /// # Errors
    /// [`Beyond`] if it is anything else.
    pub(super) fn elements(self) -> Result<Vec<Cell<'a>>, Beyond> {
        match self {
            Cell::List(cells) | Cell::Tuple(cells) => Ok(cells),
            Cell::Json(raw, _) if !raw.is_object() => {
                let mut cells = Vec::new();
                raw.each_element(|element| {
                    cells.push(Cell::of_json(element)?);
                    Ok(())
                })?;
                Ok(cells)
            }
            _ => Err(Beyond),
        }
    }
}

/// An int or a float.
#[derive(Clone, Copy, Debug)]
pub(super) enum Number {
    Int(i64),
    Float(f64),
}

impl Number {
    /// The nearest float, as Python converts.
    pub fn float(self) -> f64 {
        match self {
            Number::Int(value) => value as f64,
            Number::Float(value) => value,
        }
    }
}

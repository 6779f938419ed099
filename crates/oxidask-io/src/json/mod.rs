//! JSON as Python's `json.loads` reads it, without making what nobody asks for.
//!
//! A text is gone over once, all of it is checked, and only what its user takes is
//! decoded. What Python accepts is accepted (`NaN` and `Infinity` among it), with
//! one exception on purpose: where Python's answer has no equal in Rust (a lone
//! surrogate, a number beyond 64 bits, nesting near Python's limit of recursion)
//! and where Python raises an error, the answer is [`Beyond`], and Python itself
//! is to be asked.

mod record;
mod scan;
mod string;
#[cfg(test)]
mod tests;

pub use record::Records;
use scan::Scanner;
use std::borrow::Cow;
use string::Text;

/// Only Python can tell what comes out here: a value that has no equal in Rust,
/// or an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beyond;

/// A value as it stands in the text, checked and not decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Raw<'a> {
    text: &'a str,
    /// Whether it is a string that may have escapes.
    has_escapes: bool,
}

/// What a [`Raw`] is.
#[derive(Clone, Debug, PartialEq)]
pub enum Json<'a> {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number without point and exponent.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// A string, decoded.
    Str(Cow<'a, str>),
    /// `[…]`
    Array(Raw<'a>),
    /// `{…}`
    Object(Raw<'a>),
}

/// Checks a whole document and answers its only value.
///
/// # Errors
/// [`Beyond`] if Python has to be asked.
///
/// ```
/// use oxidask_io::json::{Json, parse};
///
/// assert_eq!(parse(" 12 ")?.decode()?, Json::Int(12));
/// assert!(parse("[1, 2").is_err());
/// # Ok::<(), oxidask_io::json::Beyond>(())
/// ```
pub fn parse(text: &str) -> Result<Raw<'_>, Beyond> {
    let mut scanner = Scanner::new(text);
    scanner.space();
    let value = scanner.value(0)?;
    scanner.end()?;
    Ok(value)
}

/// Makes values of a document while it is scanned, each once.
pub trait Build {
    /// What is made.
    type Value;
    /// Why it cannot be made.
    type Error: From<Beyond>;

    /// `null`, a bool or a number.
    ///
    /// # Errors
    /// If the value cannot be made; so for all methods.
    fn scalar(&mut self, value: Json<'_>) -> Result<Self::Value, Self::Error>;
    /// A string.
    ///
    /// # Errors
    /// As for [`Build::scalar`].
    fn text(&mut self, text: &str) -> Result<Self::Value, Self::Error>;
    /// An array without elements.
    ///
    /// # Errors
    /// As for [`Build::scalar`].
    fn array(&mut self) -> Result<Self::Value, Self::Error>;
    /// Adds an element to an array.
    ///
    /// # Errors
    /// As for [`Build::scalar`].
    fn push(&mut self, array: &mut Self::Value, element: Self::Value) -> Result<(), Self::Error>;
    /// An object without members.
    ///
    /// # Errors
    /// As for [`Build::scalar`].
    fn object(&mut self) -> Result<Self::Value, Self::Error>;
    /// Sets a member of an object; the same key may come again.
    ///
    /// # Errors
    /// As for [`Build::scalar`].
    fn insert(&mut self, object: &mut Self::Value, key: &str, value: Self::Value) -> Result<(), Self::Error>;
}

/// What `build` makes of a whole document.
///
/// # Errors
/// [`Beyond`] if Python has to be asked; whatever `build` answers.
pub fn build<B: Build>(text: &str, build: &mut B) -> Result<B::Value, B::Error> {
    let mut scanner = Scanner::new(text);
    scanner.space();
    let value = scanner.build(build, 0)?;
    scanner.end()?;
    Ok(value)
}

impl<'a> Raw<'a> {
    /// The object or array of a text that [`parse`] answered before. A wrong one would make
    /// errors where it is looked into, or other values, but nothing worse.
    pub(crate) fn checked(text: &'a str) -> Self {
        Raw { text, has_escapes: false }
    }

    /// The text.
    #[must_use]
    pub fn text(self) -> &'a str {
        self.text
    }

    /// Whether it is an object.
    #[must_use]
    pub fn is_object(self) -> bool {
        self.text.starts_with('{')
    }

    /// The value, decoded one level deep.
    ///
    /// # Errors
    /// [`Beyond`] if it has no equal in Rust.
    pub fn decode(self) -> Result<Json<'a>, Beyond> {
        match self.text.as_bytes().first() {
            Some(b'{') => Ok(Json::Object(self)),
            Some(b'[') => Ok(Json::Array(self)),
            Some(b'"') => Ok(Json::Str(Text::scanned(self.text, self.has_escapes).decode()?)),
            Some(b'n') => Ok(Json::Null),
            Some(b't') => Ok(Json::Bool(true)),
            Some(b'f') => Ok(Json::Bool(false)),
            Some(b'N') => Ok(Json::Float(f64::NAN)),
            Some(b'I') => Ok(Json::Float(f64::INFINITY)),
            _ => number_of(self.text),
        }
    }

    /// The value, if it is a whole number of 64 bits.
    #[must_use]
    pub fn whole(self) -> Option<i64> {
        match self.text.as_bytes().first() {
            Some(b'-' | b'0'..=b'9') => match number_of(self.text) {
                Ok(Json::Int(value)) => Some(value),
                _ => None,
            },
            _ => None,
        }
    }

    /// Whether Python takes the value for true.
    ///
    /// # Errors
    /// [`Beyond`] if it is a number that has no equal in Rust.
    pub fn is_true(self) -> Result<bool, Beyond> {
        let bytes = self.text.as_bytes();
        Ok(match bytes.first() {
            Some(b'"') => bytes.len() > 2,
            Some(b'{' | b'[') => !bytes[1..bytes.len() - 1].iter().all(u8::is_ascii_whitespace),
            Some(b'n' | b'f') => false,
            Some(b't' | b'N' | b'I') => true,
            _ => match number_of(self.text)? {
                Json::Int(value) => value != 0,
                Json::Float(value) => value != 0.0,
                _ => return Err(Beyond),
            },
        })
    }

    /// The value of a key of an object, if it has the key.
    ///
    /// # Errors
    /// [`Beyond`] if Python has to be asked.
    pub fn get(self, key: &str) -> Result<Option<Raw<'a>>, Beyond> {
        let mut found = None;
        self.each_member(|name, value| {
            if name == key {
                found = Some(value);
            }
            Ok(())
        })?;
        Ok(found)
    }

    /// Calls `see` with each member of an object, in order, repeated keys
    /// included.
    ///
    /// # Errors
    /// [`Beyond`] if Python has to be asked; whatever `see` answers.
    pub fn each_member(self, mut see: impl FnMut(Cow<'a, str>, Raw<'a>) -> Result<(), Beyond>) -> Result<(), Beyond> {
        Scanner::new(self.text).members(1, |key, scanner| {
            let key = key.decode()?;
            see(key, scanner.value(1)?)
        })
    }

    /// Calls `see` with each element of an array, in order.
    ///
    /// # Errors
    /// [`Beyond`] if Python has to be asked; whatever `see` answers.
    pub fn each_element(self, mut see: impl FnMut(Raw<'a>) -> Result<(), Beyond>) -> Result<(), Beyond> {
        Scanner::new(self.text).elements(1, |scanner| see(scanner.value(1)?))
    }
}

/// The value of a number that was scanned.
fn number_of(text: &str) -> Result<Json<'_>, Beyond> {
    let bytes = text.as_bytes();
    let (is_negative, digits) = match bytes {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    if digits.len() <= SHORT_DIGITS && digits.iter().all(u8::is_ascii_digit) {
        let value = digits.iter().fold(0, |value: i64, digit| value * 10 + i64::from(digit - b'0'));
        return Ok(Json::Int(if is_negative { -value } else { value }));
    }
    match text {
        "-Infinity" => Ok(Json::Float(f64::NEG_INFINITY)),
        _ if digits.iter().all(u8::is_ascii_digit) => text.parse().map(Json::Int).map_err(|_| Beyond),
        _ => text.parse().map(Json::Float).map_err(|_| Beyond),
    }
}

/// Numbers of so many digits fit into 64 bits.
const SHORT_DIGITS: usize = 18;

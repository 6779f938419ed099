//! Elements one after another in one buffer: a native column of mixed plain
//! values, and the encoding of keys.
//!
//! A list of a million lines is two allocations, travels as it is, and takes the
//! memory of its text. Records of JSON stay text until somebody looks into them.

use super::cell::Cell;
use super::groups::Key;
use crate::json::{Beyond, Raw, parse};
use serde::{Deserialize, Serialize};

/// Elements, encoded.
#[derive(Default, Serialize, Deserialize)]
pub struct Rows {
    bytes: Vec<u8>,
    /// Where each ends.
    ends: Vec<usize>,
}

impl Rows {
    /// No elements.
    #[must_use]
    pub fn new() -> Self {
        Rows::default()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Bytes that they hold.
    #[must_use]
    pub fn nbytes(&self) -> u64 {
        (self.bytes.len() + self.ends.len() * size_of::<usize>()) as u64
    }

    /// Adds an element.
    ///
    /// # Errors
    /// [`Beyond`] if it is too large.
    pub fn push(&mut self, cell: &Cell<'_>) -> Result<(), Beyond> {
        encode(cell, &mut self.bytes)?;
        self.ends.push(self.bytes.len());
        Ok(())
    }

    /// Adds a tuple of a key and the list of these encoded elements.
    pub(super) fn push_group(&mut self, key: Key<'_>, elements: &[&[u8]]) -> Result<(), Beyond> {
        put_sized(b'(', 2, &mut self.bytes)?;
        self.bytes.extend_from_slice(key.bytes());
        put_sized(b'[', elements.len(), &mut self.bytes)?;
        elements.iter().for_each(|element| self.bytes.extend_from_slice(element));
        self.ends.push(self.bytes.len());
        Ok(())
    }

    /// All elements, in order.
    pub fn iter(&self) -> impl Iterator<Item = Cell<'_>> {
        self.encoded().map(|mut bytes| decode(&mut bytes).unwrap_or(Cell::None))
    }

    /// All elements, encoded, in order.
    pub(super) fn encoded(&self) -> impl Iterator<Item = &[u8]> {
        let mut start = 0;
        self.ends.iter().map(move |end| {
            let bytes = &self.bytes[start..*end];
            start = *end;
            bytes
        })
    }

    /// Whether decoded rows are such as encoding makes: bytes from elsewhere are
    /// not trusted.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        let rising = self.ends.is_sorted() && self.ends.last().copied().unwrap_or(0) == self.bytes.len();
        rising && self.encoded().all(|element| check(element).is_some())
    }
}

/// Whether these are the bytes of one value.
pub(super) fn check(mut bytes: &[u8]) -> Option<()> {
    let cell = decode(&mut bytes)?;
    (bytes.is_empty() && has_json_only(&cell)).then_some(())
}

fn has_json_only(cell: &Cell<'_>) -> bool {
    match cell {
        Cell::Json(raw, _) => parse(raw.text()).is_ok_and(|whole| whole.text() == raw.text()),
        Cell::List(cells) | Cell::Tuple(cells) => cells.iter().all(has_json_only),
        _ => true,
    }
}

fn put_sized(tag: u8, n: usize, out: &mut Vec<u8>) -> Result<(), Beyond> {
    out.push(tag);
    out.extend_from_slice(&u32::try_from(n).map_err(|_| Beyond)?.to_le_bytes());
    Ok(())
}

pub(super) fn encode(cell: &Cell<'_>, out: &mut Vec<u8>) -> Result<(), Beyond> {
    match cell {
        Cell::None => out.push(b'n'),
        Cell::Bool(value) => out.push(if *value { b't' } else { b'f' }),
        Cell::Int(value) => {
            out.push(b'i');
            out.extend_from_slice(&value.to_le_bytes());
        }
        Cell::Float(value) => {
            out.push(b'd');
            out.extend_from_slice(&value.to_le_bytes());
        }
        Cell::Str(text) => {
            put_sized(b's', text.len(), out)?;
            out.extend_from_slice(text.as_bytes());
        }
        Cell::Json(raw, _) => {
            put_sized(b'j', raw.text().len(), out)?;
            out.extend_from_slice(raw.text().as_bytes());
        }
        Cell::Tuple(cells) => {
            put_sized(b'(', cells.len(), out)?;
            cells.iter().try_for_each(|cell| encode(cell, out))?;
        }
        Cell::List(cells) => {
            put_sized(b'[', cells.len(), out)?;
            cells.iter().try_for_each(|cell| encode(cell, out))?;
        }
    }
    Ok(())
}

/// The value that begins here; JSON is as it was when it was encoded, which was
/// checked where it came in.
pub(super) fn decode<'a>(bytes: &mut &'a [u8]) -> Option<Cell<'a>> {
    Some(match take(bytes, 1)?[0] {
        b'n' => Cell::None,
        b't' => Cell::Bool(true),
        b'f' => Cell::Bool(false),
        b'i' => Cell::Int(i64::from_le_bytes(take(bytes, 8)?.try_into().ok()?)),
        b'd' => Cell::Float(f64::from_le_bytes(take(bytes, 8)?.try_into().ok()?)),
        b's' => Cell::Str(text(bytes)?.into()),
        b'j' => Cell::Json(Raw::checked(text(bytes)?), None),
        b'(' => Cell::Tuple(cells(bytes)?),
        b'[' => Cell::List(cells(bytes)?),
        _ => return None,
    })
}

fn take<'a>(bytes: &mut &'a [u8], n: usize) -> Option<&'a [u8]> {
    let (head, rest) = bytes.split_at_checked(n)?;
    *bytes = rest;
    Some(head)
}

fn length(bytes: &mut &[u8]) -> Option<usize> {
    Some(u32::from_le_bytes(take(bytes, 4)?.try_into().ok()?) as usize)
}

fn text<'a>(bytes: &mut &'a [u8]) -> Option<&'a str> {
    let n = length(bytes)?;
    std::str::from_utf8(take(bytes, n)?).ok()
}

fn cells<'a>(bytes: &mut &'a [u8]) -> Option<Vec<Cell<'a>>> {
    let n = length(bytes)?;
    (0..n).map(|_| decode(bytes)).collect()
}

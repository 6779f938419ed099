//! Records: objects of which some keys are asked for.
//!
//! The records of a file mostly have one shape: the same keys in the same order,
//! with the same white space. A [`Records`] remembers what stood between the
//! values of the last record, and where the next one has the same there, only its
//! values are scanned. Whatever differs is scanned as any other document.

use super::scan::Scanner;
use super::{Beyond, Raw};

/// Reads objects and the values of some of their keys.
///
/// ```
/// use oxidask_io::json::{Json, Records};
///
/// let mut records = Records::new(vec!["b".to_owned()]);
/// let mut found = Vec::new();
/// records.read(r#"{"a": [1, {}], "b": "x"}"#, &mut found)?;
/// assert_eq!(found[0].unwrap().decode()?, Json::Str("x".into()));
/// # Ok::<(), oxidask_io::json::Beyond>(())
/// ```
#[derive(Clone, Debug)]
pub struct Records<'k> {
    keys: std::borrow::Cow<'k, [String]>,
    shape: Shape,
    /// How much more often shapes were learned than followed.
    n_misses: u32,
}

/// What stands between the values of a record.
#[derive(Clone, Debug, Default)]
struct Shape {
    /// The text before each value, and which of the keys the value has.
    members: Vec<(Literal, Option<u32>)>,
    /// The text behind the last value; empty as long as nothing was learned.
    tail: Literal,
}

/// A text that is looked for at one place.
#[derive(Clone, Debug, Default)]
struct Literal {
    bytes: Vec<u8>,
    /// The first bytes as one number, and which of its bits they are.
    first: u128,
    mask: u128,
    has_line_end: bool,
}

/// How many bytes are compared at once.
const WINDOW: usize = size_of::<u128>();

/// After so many records of ever other shapes no more are learned.
const MISSES_MAX: u32 = 64;

impl<'k> Records<'k> {
    /// A reader that looks out for `keys`.
    #[must_use]
    pub fn new(keys: impl Into<std::borrow::Cow<'k, [String]>>) -> Self {
        Records { keys: keys.into(), shape: Shape::default(), n_misses: 0 }
    }

    /// Checks a whole document and answers its only value; if that is an object,
    /// the values of the keys are added to `found` (the last one where a key is
    /// repeated, as in Python), else nothing is.
    ///
    /// # Errors
    /// [`Beyond`] if Python has to be asked.
    pub fn read<'a>(&mut self, text: &'a str, found: &mut Vec<Option<Raw<'a>>>) -> Result<Raw<'a>, Beyond> {
        let before = found.len();
        found.resize(before + self.keys.len(), None);
        let value = self.shape.follow(text, &mut found[before..]);
        if let Some(value) = value {
            self.n_misses = self.n_misses.saturating_sub(1);
            return Ok(value);
        }
        found[before..].fill(None);
        let value = self.scan(text, &mut found[before..]);
        if !value.is_ok_and(Raw::is_object) {
            found.truncate(before);
        }
        value
    }

    /// As [`Records::read`], of the line that a text of many begins with; also
    /// answers the line's length, its end (`\n`) included. None if it is no record
    /// like the one before: then the line is to be cut off and read by itself.
    pub fn read_first<'a>(&mut self, text: &'a str, found: &mut Vec<Option<Raw<'a>>>) -> Option<(Raw<'a>, usize)> {
        let before = found.len();
        found.resize(before + self.keys.len(), None);
        let read = self.shape.follow_line(text, &mut found[before..]);
        if read.is_none() {
            found.truncate(before);
        }
        read
    }

    fn scan<'a>(&mut self, text: &'a str, found: &mut [Option<Raw<'a>>]) -> Result<Raw<'a>, Beyond> {
        let mut scanner = Scanner::new(text);
        scanner.space();
        let start = scanner.at;
        if scanner.peek() != Some(b'{') {
            let value = scanner.value(0)?;
            scanner.end()?;
            return Ok(value);
        }
        let learns = self.n_misses < MISSES_MAX;
        let (keys, members) = (&self.keys, &mut self.shape.members);
        self.shape.tail = Literal::default();
        members.clear();
        let mut behind = start;
        scanner.members(1, |key, scanner| {
            let place = match key.plain() {
                Some(key) => keys.iter().position(|wanted| wanted == key),
                None => {
                    let key = key.decode()?;
                    keys.iter().position(|wanted| *wanted == key)
                }
            };
            let before_value = scanner.at;
            let value = scanner.value(1)?;
            if let Some(place) = place {
                found[place] = Some(value);
            }
            if learns {
                let place = place.and_then(|place| u32::try_from(place).ok());
                members.push((Literal::new(&text.as_bytes()[behind..before_value]), place));
                behind = scanner.at;
            }
            Ok::<(), Beyond>(())
        })?;
        if learns && !members.is_empty() {
            self.n_misses += 1;
            self.shape.tail = Literal::new(&text.as_bytes()[behind..scanner.at]);
        }
        let value = scanner.raw(start, scanner.at);
        scanner.end()?;
        Ok(value)
    }
}

impl Shape {
    /// The record, if it has this shape.
    fn follow<'a>(&self, text: &'a str, found: &mut [Option<Raw<'a>>]) -> Option<Raw<'a>> {
        let mut scanner = Scanner::new(text);
        scanner.space();
        let start = scanner.at;
        self.members::<false>(&mut scanner, found)?;
        let value = scanner.raw(start, scanner.at);
        scanner.end().ok()?;
        Some(value)
    }

    /// The record at the beginning, if it has this shape and is one line, and the
    /// length of the line.
    fn follow_line<'a>(&self, text: &'a str, found: &mut [Option<Raw<'a>>]) -> Option<(Raw<'a>, usize)> {
        let mut scanner = Scanner::new(text);
        self.members::<true>(&mut scanner, found)?;
        let value = scanner.raw(0, scanner.at);
        match scanner.peek() {
            Some(b'\n') => Some((value, scanner.at + 1)),
            Some(_) => None,
            None => Some((value, scanner.at)),
        }
    }

    /// Goes over the members of a record of this shape; if `IN_LINE`, they stand
    /// in one line.
    #[inline]
    fn members<'a, const IN_LINE: bool>(&self, scanner: &mut Scanner<'a>, found: &mut [Option<Raw<'a>>]) -> Option<()> {
        if self.tail.bytes.is_empty() {
            return None;
        }
        for (before, place) in &self.members {
            before.skip::<IN_LINE>(scanner)?;
            let start = scanner.at;
            let is_nested = matches!(scanner.peek(), Some(b'[' | b'{'));
            match place {
                Some(place) => found[*place as usize] = Some(scanner.value(1).ok()?),
                None => {
                    scanner.skip(1).ok()?;
                }
            }
            // Strings and numbers have no line ends, but lists may be spread.
            if IN_LINE && is_nested && scanner.has_line_end_since(start) {
                return None;
            }
        }
        self.tail.skip::<IN_LINE>(scanner)
    }
}

impl Literal {
    fn new(bytes: &[u8]) -> Self {
        let mut window = [0; WINDOW];
        let n = bytes.len().min(WINDOW);
        window[..n].copy_from_slice(&bytes[..n]);
        let mask = if n == 0 { 0 } else { u128::MAX >> (8 * (WINDOW - n)) };
        let has_line_end = bytes.contains(&b'\n');
        Literal { bytes: bytes.to_vec(), first: u128::from_le_bytes(window), mask, has_line_end }
    }

    /// Goes over the text, if it comes next and, if `IN_LINE`, is in one line.
    #[inline]
    fn skip<const IN_LINE: bool>(&self, scanner: &mut Scanner<'_>) -> Option<()> {
        let rest = scanner.rest();
        let is_next = match rest.first_chunk::<WINDOW>() {
            Some(window) => {
                (u128::from_le_bytes(*window) ^ self.first) & self.mask == 0
                    && (self.bytes.len() <= WINDOW || rest.starts_with(&self.bytes))
            }
            None => rest.starts_with(&self.bytes),
        };
        if !is_next || (IN_LINE && self.has_line_end) {
            return None;
        }
        scanner.at += self.bytes.len();
        Some(())
    }
}

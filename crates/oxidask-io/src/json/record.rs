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
    members: Vec<(Vec<u8>, Option<u32>)>,
    /// The text behind the last value; empty as long as nothing was learned.
    tail: Vec<u8>,
}

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
        self.shape.tail.clear();
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
                members.push((text.as_bytes()[behind..before_value].to_vec(), place));
                behind = scanner.at;
            }
            Ok::<(), Beyond>(())
        })?;
        if learns && !members.is_empty() {
            self.n_misses += 1;
            self.shape.tail = text.as_bytes()[behind..scanner.at].to_vec();
        }
        let value = scanner.raw(start, scanner.at);
        scanner.end()?;
        Ok(value)
    }
}

impl Shape {
    /// The record, if it has this shape.
    fn follow<'a>(&self, text: &'a str, found: &mut [Option<Raw<'a>>]) -> Option<Raw<'a>> {
        if self.tail.is_empty() {
            return None;
        }
        let mut scanner = Scanner::new(text);
        scanner.space();
        let start = scanner.at;
        for (before, place) in &self.members {
            if !scanner.skip_literal(before) {
                return None;
            }
            let value = scanner.value(1).ok()?;
            if let Some(place) = place {
                found[*place as usize] = Some(value);
            }
        }
        if !scanner.skip_literal(&self.tail) {
            return None;
        }
        let value = scanner.raw(start, scanner.at);
        scanner.end().ok()?;
        Some(value)
    }
}

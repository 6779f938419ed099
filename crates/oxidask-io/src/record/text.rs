//! Text as Python sees it: white space, case, numbers.

use super::cell::Cell;
use crate::json::Beyond;
use std::borrow::Cow;

/// Whether `str.isspace` says so: Unicode's white space and four separators of
/// ASCII that Rust does not count.
pub(super) fn is_space(symbol: char) -> bool {
    symbol.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&symbol)
}

/// A part of a text, borrowed where the text is.
pub(super) fn slice<'a>(text: &Cow<'a, str>, start: usize, end: usize) -> Cow<'a, str> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(&text[start..end]),
        Cow::Owned(text) => Cow::Owned(text[start..end].to_owned()),
    }
}

/// `text.split(separator, limit)` with a separator.
pub(super) fn split_at<'a>(text: &Cow<'a, str>, separator: &str, limit: Option<i64>) -> Result<Vec<Cell<'a>>, Beyond> {
    if separator.is_empty() {
        return Err(Beyond);
    }
    let mut left = limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
    let mut parts = Vec::new();
    let mut start = 0;
    while left > 0
        && let Some(found) = text[start..].find(separator)
    {
        parts.push(Cell::Str(slice(text, start, start + found)));
        start += found + separator.len();
        left -= 1;
    }
    parts.push(Cell::Str(slice(text, start, text.len())));
    Ok(parts)
}

/// `text.strip(chars)` on one side or both.
pub(super) fn strip<'a>(text: &Cow<'a, str>, chars: Option<&str>, left: bool, right: bool) -> Cow<'a, str> {
    let goes = |symbol: char| chars.map_or_else(|| is_space(symbol), |chars| chars.contains(symbol));
    let mut rest: &str = text;
    if left {
        rest = rest.trim_start_matches(goes);
    }
    let start = text.len() - rest.len();
    if right {
        rest = rest.trim_end_matches(goes);
    }
    slice(text, start, start + rest.len())
}

/// Last symbol whose case is the same in all versions of Unicode that Pythons
/// have: Basic Latin to Latin Extended-A.
const LAST_OF_SETTLED_CASE: char = '\u{17f}';

/// `text.lower()` or `text.upper()`.
pub(super) fn in_case<'a>(text: &Cow<'a, str>, upper: bool) -> Result<Cow<'a, str>, Beyond> {
    if text.is_ascii() {
        let changes = |byte: u8| if upper { byte.is_ascii_lowercase() } else { byte.is_ascii_uppercase() };
        if !text.bytes().any(changes) {
            return Ok(text.clone());
        }
        return Ok(Cow::Owned(if upper { text.to_ascii_uppercase() } else { text.to_ascii_lowercase() }));
    }
    if text.chars().any(|symbol| symbol > LAST_OF_SETTLED_CASE) {
        return Err(Beyond);
    }
    Ok(Cow::Owned(if upper { text.to_uppercase() } else { text.to_lowercase() }))
}

/// `int(text)`.
pub(super) fn to_int(text: &str) -> Result<i64, Beyond> {
    let text = text.trim_matches(is_space);
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    // Underscores, other scripts' digits and long numbers are Python's.
    if digits.is_empty() || digits.len() > 18 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Beyond);
    }
    text.parse().map_err(|_| Beyond)
}

/// `float(text)`.
pub(super) fn to_float(text: &str) -> Result<f64, Beyond> {
    let text = text.trim_matches(is_space);
    let is_plain = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E' | b'+' | b'-');
    if !text.bytes().all(is_plain) || !text.bytes().any(|byte| byte.is_ascii_digit()) {
        return Err(Beyond);
    }
    text.parse().map_err(|_| Beyond)
}

/// `repr(value)` of a float.
pub(super) fn float_repr(value: f64) -> String {
    if value.is_nan() {
        return "nan".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    // Rust and Python agree on the shortest digits; only the layout differs.
    let scientific = format!("{value:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..16).contains(&exponent) {
        let plain = format!("{value}");
        return if plain.contains('.') { plain } else { plain + ".0" };
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.abs())
}

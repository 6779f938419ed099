//! Strings as they stand in a text.

use super::Beyond;
use crate::sweep::{BLOCK, specials};
use std::borrow::Cow;

/// A string as it stands in the text, without its quotes.
#[derive(Clone, Copy)]
pub struct Text<'a> {
    pub(super) raw: &'a str,
    pub(super) has_escapes: bool,
}

impl<'a> Text<'a> {
    /// A string that was scanned before, of its text with quotes.
    pub(super) fn scanned(quoted: &'a str, has_escapes: bool) -> Self {
        Text { raw: quoted.get(1..quoted.len() - 1).unwrap_or_default(), has_escapes }
    }

    /// The string, if it stands there as it is.
    #[must_use]
    pub fn plain(self) -> Option<&'a str> {
        (!self.has_escapes).then_some(self.raw)
    }

    /// The string.
    ///
    /// # Errors
    /// [`Beyond`] at an escape that is wrong or a lone surrogate.
    pub fn decode(self) -> Result<Cow<'a, str>, Beyond> {
        if !self.has_escapes {
            return Ok(Cow::Borrowed(self.raw));
        }
        let mut out = String::with_capacity(self.raw.len());
        let mut rest = self.raw;
        while let Some(at) = rest.find('\\') {
            out.push_str(&rest[..at]);
            let escape = *rest.as_bytes().get(at + 1).ok_or(Beyond)?;
            let mut len = 2;
            out.push(match escape {
                b'"' => '"',
                b'\\' => '\\',
                b'/' => '/',
                b'b' => '\u{8}',
                b'f' => '\u{c}',
                b'n' => '\n',
                b'r' => '\r',
                b't' => '\t',
                b'u' => {
                    let first = hex(rest, at + 2)?;
                    len = 6;
                    if (0xd800..0xdc00).contains(&first) && rest.get(at + 6..at + 8) == Some("\\u") {
                        let second = hex(rest, at + 8)?;
                        let low = second.checked_sub(0xdc00).filter(|low| *low < 0x400).ok_or(Beyond)?;
                        len = 12;
                        char::from_u32(0x10000 + ((first - 0xd800) << 10) + low).ok_or(Beyond)?
                    } else {
                        char::from_u32(first).ok_or(Beyond)?
                    }
                }
                _ => return Err(Beyond),
            });
            rest = &rest[at + len..];
        }
        out.push_str(rest);
        Ok(Cow::Owned(out))
    }
}

fn hex(text: &str, at: usize) -> Result<u32, Beyond> {
    let digits = text.get(at..at + 4).ok_or(Beyond)?;
    // `from_str_radix` would take a sign.
    if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(Beyond);
    }
    u32::from_str_radix(digits, 16).map_err(|_| Beyond)
}

pub(super) fn check_escapes(raw: &str) -> Result<(), Beyond> {
    let bytes = raw.as_bytes();
    let mut at = 0;
    while let Some(found) = memchr::memchr(b'\\', &bytes[at..]) {
        let escape = at + found + 1;
        match bytes.get(escape).ok_or(Beyond)? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => at = escape + 1,
            b'u' => {
                hex(raw, escape + 1)?;
                at = escape + 5;
            }
            _ => return Err(Beyond),
        }
    }
    Ok(())
}

/// How many bytes there are before the next quote, backslash or control
/// character.
#[inline]
pub(super) fn plain_bytes(bytes: &[u8]) -> usize {
    let mut at = 0;
    while let Some(block) = bytes.get(at..at + BLOCK).and_then(|block| block.first_chunk()) {
        let special = specials(block);
        if special != 0 {
            return at + special.trailing_zeros() as usize;
        }
        at += BLOCK;
    }
    // Behind the end stands what ends a stretch.
    let rest = &bytes[at..];
    let mut last = [b'"'; BLOCK];
    last[..rest.len()].copy_from_slice(rest);
    at + rest.len().min(specials(&last).trailing_zeros() as usize)
}

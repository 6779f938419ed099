//! JSON as Python's `json.loads` reads it, without making what nobody asks for.
//!
//! A [`Scanner`] goes over a text once, checks all of it, and decodes only what
//! its user takes. It accepts exactly what Python accepts (`NaN` and
//! `Infinity` among it), with one exception on purpose: where Python's answer
//! has no equal in Rust (a lone surrogate, a number beyond 64 bits, nesting near
//! Python's limit of recursion) and where Python raises an error, it answers
//! [`Beyond`], and Python itself is to be asked.

use std::borrow::Cow;

/// Only Python can tell what comes out here: a value that has no equal in Rust,
/// or an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beyond;

/// Deepest nesting that is scanned; Python's own limit is about ten times that.
const DEPTH_MAX: u32 = 100;

/// A value as it stands in the text, checked and not decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Raw<'a>(&'a str);

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
    let value = scanner.value()?;
    scanner.end()?;
    Ok(value)
}

/// Checks a whole document; if it is an object, puts the values of `keys` into
/// `found` (the last one where a key is repeated, as in Python) and answers its
/// only value.
///
/// # Errors
/// [`Beyond`] if Python has to be asked.
///
/// ```
/// use oxidask_io::json::{Json, parse_fields};
///
/// let mut found = [None];
/// parse_fields(r#"{"a": [1, {}], "b": "x"}"#, &["b".to_owned()], &mut found)?;
/// assert_eq!(found[0].unwrap().decode()?, Json::Str("x".into()));
/// # Ok::<(), oxidask_io::json::Beyond>(())
/// ```
pub fn parse_fields<'a>(text: &'a str, keys: &[String], found: &mut [Option<Raw<'a>>]) -> Result<Raw<'a>, Beyond> {
    found.fill(None);
    let mut scanner = Scanner::new(text);
    scanner.space();
    let start = scanner.at;
    if scanner.peek() != Some(b'{') {
        let value = scanner.value()?;
        scanner.end()?;
        return Ok(value);
    }
    scanner.members(1, |key, scanner| {
        let place = match key.plain() {
            Some(key) => keys.iter().position(|wanted| wanted == key),
            None => {
                let key = key.decode()?;
                keys.iter().position(|wanted| *wanted == key)
            }
        };
        let value = scanner.nested(1)?;
        if let Some(place) = place {
            found[place] = Some(value);
        }
        Ok(())
    })?;
    let value = Raw(&text[start..scanner.at]);
    scanner.end()?;
    Ok(value)
}

impl<'a> Raw<'a> {
    /// The text.
    #[must_use]
    pub fn text(self) -> &'a str {
        self.0
    }

    /// Whether it is an object.
    #[must_use]
    pub fn is_object(self) -> bool {
        self.0.starts_with('{')
    }

    /// The value, decoded one level deep.
    ///
    /// # Errors
    /// [`Beyond`] if it has no equal in Rust.
    pub fn decode(self) -> Result<Json<'a>, Beyond> {
        match self.0.as_bytes().first() {
            Some(b'{') => Ok(Json::Object(self)),
            Some(b'[') => Ok(Json::Array(self)),
            Some(b'"') => Ok(Json::Str(Scanner::new(self.0).string()?.decode()?)),
            Some(b'n') => Ok(Json::Null),
            Some(b't') => Ok(Json::Bool(true)),
            Some(b'f') => Ok(Json::Bool(false)),
            _ => number_of(self.0),
        }
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
        Scanner::new(self.0).members(1, |key, scanner| {
            let key = key.decode()?;
            see(key, scanner.nested(1)?)
        })
    }

    /// Calls `see` with each element of an array, in order.
    ///
    /// # Errors
    /// [`Beyond`] if Python has to be asked; whatever `see` answers.
    pub fn each_element(self, mut see: impl FnMut(Raw<'a>) -> Result<(), Beyond>) -> Result<(), Beyond> {
        Scanner::new(self.0).elements(1, |scanner| see(scanner.nested(1)?))
    }
}

fn number_of(text: &str) -> Result<Json<'_>, Beyond> {
    match text {
        "NaN" => return Ok(Json::Float(f64::NAN)),
        "Infinity" => return Ok(Json::Float(f64::INFINITY)),
        "-Infinity" => return Ok(Json::Float(f64::NEG_INFINITY)),
        _ => {}
    }
    if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') {
        return text.parse().map(Json::Int).map_err(|_| Beyond);
    }
    text.parse().map(Json::Float).map_err(|_| Beyond)
}

/// A string as it stands in the text, without its quotes.
#[derive(Clone, Copy)]
pub struct Text<'a> {
    raw: &'a str,
    has_escapes: bool,
}

impl<'a> Text<'a> {
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

/// Goes over a text from left to right.
pub struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scanner<'a> {
    /// A scanner at the beginning of a text.
    #[must_use]
    pub fn new(text: &'a str) -> Self {
        Scanner { text, at: 0 }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    fn take(&mut self, byte: u8) -> Result<(), Beyond> {
        if self.peek() != Some(byte) {
            return Err(Beyond);
        }
        self.at += 1;
        Ok(())
    }

    fn word(&mut self, word: &str) -> Result<(), Beyond> {
        if !self.text.as_bytes()[self.at..].starts_with(word.as_bytes()) {
            return Err(Beyond);
        }
        self.at += word.len();
        Ok(())
    }

    /// Nothing but white space follows.
    ///
    /// # Errors
    /// [`Beyond`] if something does.
    pub fn end(&mut self) -> Result<(), Beyond> {
        self.space();
        if self.at == self.text.len() { Ok(()) } else { Err(Beyond) }
    }

    /// The next value, checked and not decoded.
    ///
    /// # Errors
    /// [`Beyond`] if Python has to be asked.
    pub fn value(&mut self) -> Result<Raw<'a>, Beyond> {
        self.space();
        self.nested(0)
    }

    fn nested(&mut self, depth: u32) -> Result<Raw<'a>, Beyond> {
        let start = self.at;
        self.skip(depth)?;
        Ok(Raw(&self.text[start..self.at]))
    }

    fn skip(&mut self, depth: u32) -> Result<(), Beyond> {
        match self.peek().ok_or(Beyond)? {
            b'"' => self.string().map(|_| ()),
            b'{' => self.members(depth + 1, |_, scanner| scanner.skip(depth + 1)),
            b'[' => self.elements(depth + 1, |scanner| scanner.skip(depth + 1)),
            b'n' => self.word("null"),
            b't' => self.word("true"),
            b'f' => self.word("false"),
            b'N' => self.word("NaN"),
            b'I' => self.word("Infinity"),
            _ => self.number(),
        }
    }

    /// The members of an object; `see` must go over the value.
    fn members(
        &mut self,
        depth: u32,
        mut see: impl FnMut(Text<'a>, &mut Self) -> Result<(), Beyond>,
    ) -> Result<(), Beyond> {
        if depth > DEPTH_MAX {
            return Err(Beyond);
        }
        self.take(b'{')?;
        self.space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(());
        }
        loop {
            let key = self.string()?;
            self.space();
            self.take(b':')?;
            self.space();
            see(key, self)?;
            self.space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return Err(Beyond),
            }
            self.space();
        }
    }

    /// The elements of an array; `see` must go over each.
    fn elements(&mut self, depth: u32, mut see: impl FnMut(&mut Self) -> Result<(), Beyond>) -> Result<(), Beyond> {
        if depth > DEPTH_MAX {
            return Err(Beyond);
        }
        self.take(b'[')?;
        self.space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(());
        }
        loop {
            see(self)?;
            self.space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return Err(Beyond),
            }
            self.space();
        }
    }

    /// A string, with its quotes.
    ///
    /// # Errors
    /// [`Beyond`] if it does not end, or has a control character.
    pub fn string(&mut self) -> Result<Text<'a>, Beyond> {
        self.take(b'"')?;
        let start = self.at;
        let mut has_escapes = false;
        loop {
            self.at += plain_bytes(&self.text.as_bytes()[self.at..]);
            match self.peek().ok_or(Beyond)? {
                b'"' => {
                    let raw = &self.text[start..self.at];
                    self.at += 1;
                    let text = Text { raw, has_escapes };
                    // Wrong escapes are errors even where nobody reads the string.
                    if has_escapes {
                        check_escapes(raw)?;
                    }
                    return Ok(text);
                }
                b'\\' => {
                    has_escapes = true;
                    // What follows a backslash ends no string.
                    self.at += 2;
                    if !self.text.is_char_boundary(self.at) {
                        return Err(Beyond);
                    }
                }
                _ => return Err(Beyond),
            }
        }
    }

    fn digits(&mut self) -> Result<(), Beyond> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at == start { Err(Beyond) } else { Ok(()) }
    }

    fn number(&mut self) -> Result<(), Beyond> {
        if self.peek() == Some(b'-') {
            self.at += 1;
            if self.peek() == Some(b'I') {
                return self.word("Infinity");
            }
        }
        let start = self.at;
        self.digits()?;
        let is_long = self.at - start > 1;
        if is_long && self.text.as_bytes()[start] == b'0' {
            return Err(Beyond);
        }
        // Python refuses to convert numbers of several thousand digits.
        if self.at - start > 4000 {
            return Err(Beyond);
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }
}

/// How many bytes there are before the next quote, backslash or control
/// character, looking at eight at a time.
fn plain_bytes(bytes: &[u8]) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    let mut at = 0;
    while let Some(eight) = bytes.get(at..at + 8) {
        let word = u64::from_le_bytes(eight.try_into().unwrap_or_default());
        let has_zero = |word: u64| word.wrapping_sub(ONES) & !word & HIGHS;
        let quote = has_zero(word ^ (ONES * b'"' as u64));
        let backslash = has_zero(word ^ (ONES * b'\\' as u64));
        let control = word.wrapping_sub(ONES * 0x20) & !word & HIGHS;
        let special = quote | backslash | control;
        if special != 0 {
            // Borrows can only mark bytes above the first that is special.
            return at + (special.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    let rest = &bytes[at..];
    at + rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20)).unwrap_or(rest.len())
}

fn check_escapes(raw: &str) -> Result<(), Beyond> {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(text: &str) -> Result<Json<'_>, Beyond> {
        parse(text)?.decode()
    }

    #[test]
    fn scalars() {
        assert_eq!(decoded("null"), Ok(Json::Null));
        assert_eq!(decoded(" -12\n"), Ok(Json::Int(-12)));
        assert_eq!(decoded("-0"), Ok(Json::Int(0)));
        assert_eq!(decoded("1e3"), Ok(Json::Float(1000.0)));
        assert_eq!(decoded("-Infinity"), Ok(Json::Float(f64::NEG_INFINITY)));
        assert_eq!(decoded("1e999"), Ok(Json::Float(f64::INFINITY)));
        assert_eq!(decoded(r#""a\u00e9\ud83d\ude00\/""#), Ok(Json::Str("aé😀/".into())));
        assert!(matches!(decoded("NaN"), Ok(Json::Float(x)) if x.is_nan()));
    }

    #[test]
    fn what_only_python_can_tell() {
        let broken = [
            "",
            " ",
            "nul",
            "01",
            "1.",
            ".5",
            "+1",
            "1e",
            "-",
            "[1,]",
            "[1 2]",
            "{",
            r#"{"a":1,}"#,
            "{'a':1}",
            "\"a",
            "\"\n\"",
            "\"\t\"",
            r#""\x""#,
            r#""\u12g4""#,
            r#""\u+123""#,
            "1 2",
            "[1]]",
            "\u{feff}1",
            "\"\\é\"",
            "nan",
        ];
        for text in broken {
            assert_eq!(parse(text).err(), Some(Beyond), "{text:?}");
        }
        for text in [r#""\ud800""#, r#""\ud800\u0041""#, "9223372036854775808", r#""\udc00""#] {
            assert_eq!(decoded(text).err(), Some(Beyond), "{text:?}");
        }
        let deep = "[".repeat(200) + &"]".repeat(200);
        assert_eq!(parse(&deep).err(), Some(Beyond));
    }

    #[test]
    fn special_bytes_are_found_wherever_they_are() {
        for len in 0..40 {
            for place in 0..len {
                for special in [b'"', b'\\', 0, 0x1f, b'\n'] {
                    for fill in [b'a', 0x80, 0xff, b'!', b'#', b' ', b'[', b']'] {
                        let mut bytes = vec![fill; len];
                        bytes[place] = special;
                        assert_eq!(plain_bytes(&bytes), place);
                        bytes[place] = fill;
                        assert_eq!(plain_bytes(&bytes), len);
                    }
                }
            }
        }
    }

    #[test]
    fn fields_and_repeated_keys() {
        let text = r#" {"a": {"a": 1}, "b\n": [1, "]"], "a": 2.5 } "#;
        let mut found = [None; 3];
        let keys = ["a".to_owned(), "b\n".to_owned(), "c".to_owned()];
        assert!(parse_fields(text, &keys, &mut found).unwrap().is_object());
        assert_eq!(found[0].unwrap().decode(), Ok(Json::Float(2.5)));
        assert_eq!(found[1].unwrap().text(), r#"[1, "]"]"#);
        assert_eq!(found[2], None);
        let value = parse(text).unwrap();
        assert_eq!(value.get("a").unwrap().unwrap().text(), "2.5");
        assert_eq!(value.get("nothing").unwrap(), None);
    }
}

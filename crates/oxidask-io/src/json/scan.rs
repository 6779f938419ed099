//! The scanner: a text from left to right, once, all of it checked.

use super::string::{Text, check_escapes, plain_bytes};
use super::{Beyond, Build, Raw, number_of};

/// Deepest nesting that is scanned; Python's own limit is about ten times that.
const DEPTH_MAX: u32 = 100;

/// Python refuses to convert numbers of several thousand digits.
const DIGITS_MAX: usize = 4000;

/// Goes over a text from left to right.
pub(super) struct Scanner<'a> {
    text: &'a str,
    pub(super) at: usize,
}

impl<'a> Scanner<'a> {
    /// A scanner at the beginning of a text.
    pub fn new(text: &'a str) -> Self {
        Scanner { text, at: 0 }
    }

    /// The object or array between two places.
    pub fn raw(&self, start: usize, end: usize) -> Raw<'a> {
        Raw { text: &self.text[start..end], has_escapes: false }
    }

    #[inline]
    pub fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// What comes next.
    #[inline]
    pub fn rest(&self) -> &'a [u8] {
        &self.text.as_bytes()[self.at..]
    }

    /// Whether a line ended between `start` and here.
    pub fn has_line_end_since(&self, start: usize) -> bool {
        self.text.as_bytes()[start..self.at].contains(&b'\n')
    }

    #[inline]
    pub fn space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    #[inline]
    fn take(&mut self, byte: u8) -> Result<(), Beyond> {
        if self.peek() != Some(byte) {
            return Err(Beyond);
        }
        self.at += 1;
        Ok(())
    }

    fn word(&mut self, word: &str) -> Result<(), Beyond> {
        if !self.rest().starts_with(word.as_bytes()) {
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

    /// The value that begins here, `depth` levels deep, checked and not decoded.
    ///
    /// # Errors
    /// [`Beyond`] if Python has to be asked.
    #[inline]
    pub fn value(&mut self, depth: u32) -> Result<Raw<'a>, Beyond> {
        let start = self.at;
        let has_escapes = self.skip(depth)?;
        Ok(Raw { text: &self.text[start..self.at], has_escapes })
    }

    /// Goes over the value that begins here; answers whether it is a string with
    /// escapes.
    ///
    /// # Errors
    /// [`Beyond`] if Python has to be asked.
    #[inline]
    pub fn skip(&mut self, depth: u32) -> Result<bool, Beyond> {
        match self.peek().ok_or(Beyond)? {
            b'"' => self.skip_string(),
            b'-' | b'0'..=b'9' => self.number().map(|()| false),
            _ => self.skip_other(depth).map(|()| false),
        }
    }

    fn skip_other(&mut self, depth: u32) -> Result<(), Beyond> {
        match self.peek().ok_or(Beyond)? {
            b'{' => self.members(depth + 1, |_, scanner| scanner.skip(depth + 1).map(drop)),
            b'[' => self.elements(depth + 1, |scanner| scanner.skip(depth + 1).map(drop)),
            _ => self.named(),
        }
    }

    /// A value that is a word.
    fn named(&mut self) -> Result<(), Beyond> {
        match self.peek().ok_or(Beyond)? {
            b'n' => self.word("null"),
            b't' => self.word("true"),
            b'f' => self.word("false"),
            b'N' => self.word("NaN"),
            b'I' => self.word("Infinity"),
            _ => Err(Beyond),
        }
    }

    /// What `build` makes of the value that begins here.
    ///
    /// # Errors
    /// [`Beyond`] if Python has to be asked; whatever `build` answers.
    pub fn build<B: Build>(&mut self, build: &mut B, depth: u32) -> Result<B::Value, B::Error> {
        let start = self.at;
        match self.peek().ok_or(Beyond)? {
            b'"' => {
                let text = self.string()?;
                build.text(&text.decode()?)
            }
            b'-' | b'0'..=b'9' => {
                self.number()?;
                build.scalar(number_of(&self.text[start..self.at])?)
            }
            b'{' => {
                let mut object = build.object()?;
                self.members(depth + 1, |key, scanner| {
                    let value = scanner.build(build, depth + 1)?;
                    build.insert(&mut object, &key.decode()?, value)
                })?;
                Ok(object)
            }
            b'[' => {
                let mut array = build.array()?;
                self.elements(depth + 1, |scanner| {
                    let value = scanner.build(build, depth + 1)?;
                    build.push(&mut array, value)
                })?;
                Ok(array)
            }
            _ => {
                self.named()?;
                build.scalar(self.raw(start, self.at).decode()?)
            }
        }
    }

    /// The members of an object; `see` must go over the value.
    pub fn members<E: From<Beyond>>(
        &mut self,
        depth: u32,
        mut see: impl FnMut(Text<'a>, &mut Self) -> Result<(), E>,
    ) -> Result<(), E> {
        self.list(depth, [b'{', b'}'], |scanner| {
            let key = scanner.string()?;
            scanner.space();
            scanner.take(b':')?;
            scanner.space();
            see(key, scanner)
        })
    }

    /// The elements of an array; `see` must go over each.
    pub fn elements<E: From<Beyond>>(
        &mut self,
        depth: u32,
        see: impl FnMut(&mut Self) -> Result<(), E>,
    ) -> Result<(), E> {
        self.list(depth, [b'[', b']'], see)
    }

    /// What stands between two brackets, with commas between.
    #[inline]
    fn list<E: From<Beyond>>(
        &mut self,
        depth: u32,
        [open, close]: [u8; 2],
        mut see: impl FnMut(&mut Self) -> Result<(), E>,
    ) -> Result<(), E> {
        if depth > DEPTH_MAX {
            return Err(Beyond.into());
        }
        self.take(open)?;
        self.space();
        if self.peek() == Some(close) {
            self.at += 1;
            return Ok(());
        }
        loop {
            see(self)?;
            self.space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(byte) if byte == close => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return Err(Beyond.into()),
            }
            self.space();
        }
    }

    /// A string, with its quotes.
    ///
    /// # Errors
    /// [`Beyond`] if it does not end, or has a control character.
    #[inline]
    pub fn string(&mut self) -> Result<Text<'a>, Beyond> {
        let start = self.at + 1;
        let has_escapes = self.skip_string()?;
        Ok(Text { raw: &self.text[start..self.at - 1], has_escapes })
    }

    /// Goes over a string; answers whether it has escapes.
    #[inline]
    fn skip_string(&mut self) -> Result<bool, Beyond> {
        self.take(b'"')?;
        let start = self.at;
        self.at += plain_bytes(self.rest());
        if self.peek() == Some(b'"') {
            self.at += 1;
            return Ok(false);
        }
        self.escaped(start).map(|()| true)
    }

    /// Goes over the rest of a string that begins at `start` and has an escape
    /// here.
    #[cold]
    fn escaped(&mut self, start: usize) -> Result<(), Beyond> {
        loop {
            match self.peek().ok_or(Beyond)? {
                b'"' => {
                    let raw = &self.text[start..self.at];
                    self.at += 1;
                    // Wrong escapes are errors even where nobody reads the string.
                    return check_escapes(raw);
                }
                b'\\' => {
                    // What follows a backslash ends no string.
                    self.at += 2;
                    if !self.text.is_char_boundary(self.at) {
                        return Err(Beyond);
                    }
                }
                _ => return Err(Beyond),
            }
            self.at += plain_bytes(self.rest());
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
        let n_digits = self.at - start;
        if (n_digits > 1 && self.text.as_bytes()[start] == b'0') || n_digits > DIGITS_MAX {
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

//! Splits text into fields and records.
//!
//! A record ends at a line break outside quotes. A field that begins with a
//! quote ends at the next single quote; a doubled one stands for itself. What
//! follows the closing quote up to the separator belongs to the field, as in
//! pandas.

use std::borrow::Cow;

/// The characters that mean something.
#[derive(Clone, Copy, Debug, serde::Serialize, serde::Deserialize)]
pub(crate) struct Dialect {
    pub separator: u8,
    pub quote: Option<u8>,
    pub comment: Option<u8>,
}

/// What follows a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum After {
    Field,
    Record,
    End,
    /// The text ends within quotes.
    Unclosed,
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// The position of the first `a` or `b` at or after `from`, eight bytes at a
/// time.
fn find_either(text: &[u8], mut from: usize, a: u8, b: u8) -> usize {
    let (a_word, b_word) = (ONES * u64::from(a), ONES * u64::from(b));
    while let Some(bytes) = text.get(from..from + 8) {
        let word = u64::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3], bytes[4], bytes[5], bytes[6], bytes[7]]);
        let (x, y) = (word ^ a_word, word ^ b_word);
        // A byte of x is zero where the bytes are equal; the lowest bit set is
        // exact, higher ones may not be.
        let hits = (x.wrapping_sub(ONES) & !x | y.wrapping_sub(ONES) & !y) & HIGHS;
        if hits != 0 {
            return from + hits.trailing_zeros() as usize / 8;
        }
        from += 8;
    }
    while from < text.len() && text[from] != a && text[from] != b {
        from += 1;
    }
    from
}

/// Walks over a text field by field.
#[derive(Clone)]
pub(crate) struct Fields<'a> {
    text: &'a str,
    position: usize,
    dialect: Dialect,
}

impl<'a> Fields<'a> {
    /// Starts at `position`, which must be the beginning of a record.
    pub(crate) fn new(text: &'a str, position: usize, dialect: Dialect) -> Self {
        Fields { text, position, dialect }
    }

    /// Where the next field begins.
    pub(crate) fn position(&self) -> usize {
        self.position
    }

    /// Goes on to the next record that is no empty line and no comment; whether
    /// there is one. To be called between records only.
    pub(crate) fn next_record(&mut self) -> bool {
        let bytes = self.text.as_bytes();
        loop {
            match bytes.get(self.position) {
                None => return false,
                Some(b'\n') => self.position += 1,
                Some(b'\r') if bytes.get(self.position + 1) == Some(&b'\n') => self.position += 2,
                Some(b'\r') if self.position + 1 == bytes.len() => self.position += 1,
                Some(first) if Some(*first) == self.dialect.comment => {
                    self.position = find_either(bytes, self.position, b'\n', b'\n');
                }
                Some(_) => return true,
            }
        }
    }

    /// The next field and what comes after it.
    #[inline]
    pub(crate) fn next_field(&mut self) -> (Cow<'a, str>, After) {
        let bytes = self.text.as_bytes();
        let start = self.position;
        if self.dialect.quote.is_some() && bytes.get(start).copied() == self.dialect.quote {
            return self.quoted();
        }
        let end = find_either(bytes, start, self.dialect.separator, b'\n');
        (Cow::Borrowed(self.until(start, end)), self.step_over(end))
    }

    /// The text between two positions, without the return of a `\r\n`.
    fn until(&self, start: usize, end: usize) -> &'a str {
        let bytes = self.text.as_bytes();
        let at_line_end = end == bytes.len() || bytes[end] == b'\n';
        let end = if at_line_end && end > start && bytes[end - 1] == b'\r' { end - 1 } else { end };
        &self.text[start..end]
    }

    fn step_over(&mut self, end: usize) -> After {
        let bytes = self.text.as_bytes();
        self.position = (end + 1).min(bytes.len());
        match bytes.get(end) {
            None => After::End,
            Some(b'\n') => After::Record,
            Some(_) => After::Field,
        }
    }

    fn quoted(&mut self) -> (Cow<'a, str>, After) {
        let bytes = self.text.as_bytes();
        let quote = self.dialect.quote.unwrap_or(b'"');
        let start = self.position + 1;
        let mut at = start;
        let mut doubled = false;
        loop {
            at = find_either(bytes, at, quote, quote);
            if bytes.get(at + 1) == Some(&quote) && at < bytes.len() {
                doubled = true;
                at += 2;
            } else {
                break;
            }
        }
        let inner = &self.text[start..at.min(bytes.len())];
        let after_quote = (at + 1).min(bytes.len());
        let end = find_either(bytes, after_quote, self.dialect.separator, b'\n');
        let rest = self.until(after_quote, end);
        let after = self.step_over(end);
        let after = if at < bytes.len() { after } else { After::Unclosed };
        if !doubled && rest.is_empty() {
            return (Cow::Borrowed(inner), after);
        }
        let quote = char::from(quote);
        let mut whole = inner.replace(&format!("{quote}{quote}"), &quote.to_string());
        whole.push_str(rest);
        (Cow::Owned(whole), after)
    }

    /// The whole next record.
    pub(crate) fn record(&mut self) -> Vec<Cow<'a, str>> {
        let mut fields = Vec::new();
        loop {
            let (field, after) = self.next_field();
            fields.push(field);
            if after != After::Field {
                return fields;
            }
        }
    }

    /// Steps over the rest of the current record; how many fields it had.
    pub(crate) fn skip_record(&mut self) -> usize {
        let mut n_fields = 1;
        while self.next_field().1 == After::Field {
            n_fields += 1;
        }
        n_fields
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIALECT: Dialect = Dialect { separator: b',', quote: Some(b'"'), comment: None };

    fn records(text: &str) -> Vec<Vec<String>> {
        let mut fields = Fields::new(text, 0, DIALECT);
        let mut all = Vec::new();
        while fields.next_record() {
            all.push(fields.record().into_iter().map(Cow::into_owned).collect());
        }
        all
    }

    #[test]
    fn fields_quotes_and_line_ends() {
        assert_eq!(records("a,b\n1,2\n"), [["a", "b"], ["1", "2"]]);
        assert_eq!(records("a,b\r\n\r\n1,\r\n,2"), [["a", "b"], ["1", ""], ["", "2"]]);
        assert_eq!(records("\"a,\n\"\"b\"\"\",\"c\"d\n"), [["a,\n\"b\"", "cd"]]);
        assert_eq!(records("\"open"), [["open"]]);
        assert_eq!(records("abcdefghijkl,mnopqrstuvwxyz\n"), [["abcdefghijkl", "mnopqrstuvwxyz"]]);
        assert!(records("").is_empty());
    }

    #[test]
    fn eight_at_a_time_finds_what_one_at_a_time_does() {
        let text: Vec<u8> = (0..2000_u32).map(|i| b"abc,\n\x80\xff\x00"[(i * i % 251 % 8) as usize]).collect();
        for from in 0..text.len() {
            let plain = (from..text.len()).find(|at| matches!(text[*at], b',' | b'\n')).unwrap_or(text.len());
            assert_eq!(find_either(&text, from, b',', b'\n'), plain);
        }
    }
}

//! The primitive encodings, read and written.

use oxidask_core::{Error, ErrorKind, Result};

/// Bytes that are read from left to right.
pub struct Input<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// The error inside a file; its reader adds which.
pub(super) fn corrupt(what: &str) -> Error {
    Error::new(ErrorKind::Io, format!("the Avro data is damaged: {what}"))
}

impl<'a> Input<'a> {
    /// An input at the beginning of `bytes`.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Input { bytes, at: 0 }
    }

    /// How many bytes were read.
    #[must_use]
    pub fn position(&self) -> usize {
        self.at
    }

    /// Whether all was read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.at == self.bytes.len()
    }

    /// The next `n` bytes.
    ///
    /// # Errors
    /// If there are fewer.
    pub fn take(&mut self, n: usize) -> Result<&'a [u8]> {
        let end = self.at.checked_add(n).filter(|end| *end <= self.bytes.len());
        let end = end.ok_or_else(|| corrupt("it ends within a value"))?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    /// A number of variable length, for `int` and `long`.
    ///
    /// # Errors
    /// If there is none.
    pub fn long(&mut self) -> Result<i64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?[0];
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok((value >> 1) as i64 ^ -((value & 1) as i64));
            }
        }
        Err(corrupt("a number is too long"))
    }

    /// A length or count.
    ///
    /// # Errors
    /// If it is negative.
    pub fn length(&mut self) -> Result<usize> {
        usize::try_from(self.long()?).map_err(|_| corrupt("a length is negative"))
    }

    /// The number of elements in the next block of an array or map; 0 at its end.
    ///
    /// # Errors
    /// If the block is damaged.
    pub fn count(&mut self) -> Result<usize> {
        let count = self.long()?;
        if count < 0 {
            // The size in bytes, for those who skip.
            self.long()?;
        }
        usize::try_from(count.unsigned_abs()).map_err(|_| corrupt("a count is too large"))
    }

    /// Bytes with their length before them.
    ///
    /// # Errors
    /// If there are fewer.
    pub fn sized(&mut self) -> Result<&'a [u8]> {
        let n = self.length()?;
        self.take(n)
    }

    /// Text with its length before it.
    ///
    /// # Errors
    /// If it is not UTF-8.
    pub fn text(&mut self) -> Result<&'a str> {
        std::str::from_utf8(self.sized()?).map_err(|_| corrupt("a string is not UTF-8"))
    }

    /// The next bytes as an array.
    ///
    /// # Errors
    /// If there are fewer.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }
}

/// Appends a number of variable length.
pub fn put_long(out: &mut Vec<u8>, value: i64) {
    let mut value = ((value << 1) ^ (value >> 63)) as u64;
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends bytes with their length before them.
pub fn put_sized(out: &mut Vec<u8>, bytes: &[u8]) {
    put_long(out, bytes.len() as i64);
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_travel() {
        for number in [0, -1, 1, 63, 64, -65, i64::MAX, i64::MIN] {
            let mut bytes = Vec::new();
            put_long(&mut bytes, number);
            assert_eq!(Input::new(&bytes).long().unwrap(), number);
        }
        assert!(Input::new(&[0xff; 11]).long().is_err());
    }
}

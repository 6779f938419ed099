//! Texts cut at white space, many bytes at a time.

use super::text::is_space;
use crate::sweep;

/// Bytes that are looked at together.
const BLOCK: usize = 64;

/// Calls `see` with the range of each word of a text, as `str.split` finds them.
#[inline]
pub(super) fn each_word(text: &str, mut see: impl FnMut(usize, usize)) {
    if text.is_ascii() {
        return each_stretch(text.as_bytes(), see);
    }
    // White space of ASCII cuts any text; what lies between may have other.
    each_stretch(text.as_bytes(), |start, end| {
        let stretch = &text[start..end];
        if stretch.is_ascii() {
            return see(start, end);
        }
        let base = stretch.as_ptr() as usize - start;
        for word in stretch.split(is_space).filter(|word| !word.is_empty()) {
            let start = word.as_ptr() as usize - base;
            see(start, start + word.len());
        }
    });
}

/// How many words a text has.
///
/// ```
/// assert_eq!(oxidask_io::record::count_words(" two words\n"), 2);
/// ```
#[must_use]
pub fn count_words(text: &str) -> u64 {
    let mut n = 0;
    each_word(text, |_, _| n += 1);
    n
}

/// Calls `see` with the range of each stretch without white space of ASCII.
#[inline]
fn each_stretch(bytes: &[u8], mut see: impl FnMut(usize, usize)) {
    let mut start = None;
    let mut visit = |base: usize, block: &[u8; BLOCK], is_inside: bool| {
        let inside = !spaces(block);
        // A bit for each byte that differs from the one before in being inside.
        let mut edges = inside ^ (inside << 1 | u64::from(is_inside));
        while edges != 0 {
            let at = base + edges.trailing_zeros() as usize;
            edges &= edges - 1;
            match start.take() {
                None => start = Some(at),
                Some(start) => see(start, at),
            }
        }
        inside >> (BLOCK - 1) == 1
    };
    let (blocks, rest) = bytes.as_chunks::<BLOCK>();
    let mut is_inside = false;
    for (number, block) in blocks.iter().enumerate() {
        is_inside = visit(number * BLOCK, block, is_inside);
    }
    // The rest is short of a block, so that white space ends the last word.
    let mut last = [b' '; BLOCK];
    last[..rest.len()].copy_from_slice(rest);
    visit(bytes.len() - rest.len(), &last, is_inside);
}

/// A bit for each byte that is white space of ASCII.
#[inline]
fn spaces(block: &[u8; BLOCK]) -> u64 {
    let (quarters, _) = block.as_chunks();
    quarters.iter().rev().fold(0, |mask, quarter| mask << sweep::BLOCK | u64::from(sweep::spaces(quarter)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<&str> {
        let mut words = Vec::new();
        each_word(text, |start, end| words.push(&text[start..end]));
        words
    }

    #[test]
    fn every_byte_is_judged_as_python_does() {
        for byte in 0..0x80_u8 {
            let text = format!("a{}b", char::from(byte));
            let want = if is_space(char::from(byte)) { 2 } else { 1 };
            assert_eq!(words(&text).len(), want, "{byte}");
        }
    }

    #[test]
    fn words_lie_anywhere_about_the_cuts_of_blocks() {
        for before in 0..70 {
            for len in 1..70 {
                for after in [0, 1, 64] {
                    let text = " ".repeat(before) + &"x".repeat(len) + &"\n".repeat(after);
                    assert_eq!(words(&text), ["x".repeat(len)]);
                    let twice = format!("{text} é{text}");
                    assert_eq!(
                        words(&twice),
                        twice.split(is_space).filter(|word| !word.is_empty()).collect::<Vec<_>>()
                    );
                }
            }
        }
        assert_eq!(words(""), Vec::<&str>::new());
        assert_eq!(words("a\u{a0}b\u{2003}\u{3000}é c"), ["a", "b", "é", "c"]);
    }
}

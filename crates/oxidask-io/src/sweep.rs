//! Kinds of bytes found many at a time: what ends a plain stretch of a JSON
//! string, and white space.
//!
//! One instruction looks at sixteen bytes where the processor has it for sure
//! (SSE2 on x86-64); elsewhere a loop says the same.

/// Bytes that are looked at together.
pub(crate) const BLOCK: usize = 16;

/// A bit for each byte that is a quote, a backslash or a control character.
#[inline]
pub(crate) fn specials(block: &[u8; BLOCK]) -> u32 {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every processor of x86-64 has SSE2.
    unsafe {
        sse2::specials(block)
    }
    #[cfg(not(target_arch = "x86_64"))]
    mask_of(block, |byte| matches!(byte, b'"' | b'\\' | 0..0x20))
}

/// A bit for each byte that is white space of ASCII to Python: 9 to 13 and 28 to
/// 32.
#[inline]
pub(crate) fn spaces(block: &[u8; BLOCK]) -> u32 {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every processor of x86-64 has SSE2.
    unsafe {
        sse2::spaces(block)
    }
    #[cfg(not(target_arch = "x86_64"))]
    mask_of(block, |byte| matches!(byte, 9..=13 | 28..=32))
}

#[cfg(any(test, not(target_arch = "x86_64")))]
fn mask_of(block: &[u8; BLOCK], is_wanted: impl Fn(u8) -> bool) -> u32 {
    block.iter().enumerate().fold(0, |mask, (place, byte)| mask | u32::from(is_wanted(*byte)) << place)
}

#[cfg(target_arch = "x86_64")]
mod sse2 {
    use super::BLOCK;
    use std::arch::x86_64::{
        __m128i, _mm_cmpeq_epi8, _mm_min_epu8, _mm_movemask_epi8, _mm_or_si128, _mm_set_epi64x, _mm_set1_epi8,
        _mm_sub_epi8,
    };

    #[inline]
    #[target_feature(enable = "sse2")]
    pub fn specials(block: &[u8; BLOCK]) -> u32 {
        let bytes = load(block);
        let quote = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(b'"'.cast_signed()));
        let backslash = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(b'\\'.cast_signed()));
        let control = at_most(bytes, 0x1f);
        _mm_movemask_epi8(_mm_or_si128(_mm_or_si128(quote, backslash), control)).cast_unsigned()
    }

    #[inline]
    #[target_feature(enable = "sse2")]
    pub fn spaces(block: &[u8; BLOCK]) -> u32 {
        let bytes = load(block);
        // What lies below the first of five wraps around to large values.
        let low = at_most(_mm_sub_epi8(bytes, _mm_set1_epi8(9)), 4);
        let high = at_most(_mm_sub_epi8(bytes, _mm_set1_epi8(28)), 4);
        _mm_movemask_epi8(_mm_or_si128(low, high)).cast_unsigned()
    }

    #[inline]
    #[target_feature(enable = "sse2")]
    fn at_most(bytes: __m128i, most: i8) -> __m128i {
        _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(most)), bytes)
    }

    #[inline]
    #[target_feature(enable = "sse2")]
    fn load(block: &[u8; BLOCK]) -> __m128i {
        let all = u128::from_le_bytes(*block);
        _mm_set_epi64x(((all >> 64) as u64).cast_signed(), (all as u64).cast_signed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_byte_is_judged_by_itself_wherever_it_is() {
        for byte in 0..=u8::MAX {
            for place in 0..BLOCK {
                for fill in [b'a', b'"', b' ', 0x80, 0xff] {
                    let mut block = [fill; BLOCK];
                    block[place] = byte;
                    assert_eq!(specials(&block), mask_of(&block, |byte| matches!(byte, b'"' | b'\\' | 0..0x20)));
                    assert_eq!(spaces(&block), mask_of(&block, |byte| matches!(byte, 9..=13 | 28..=32)));
                }
            }
        }
    }
}

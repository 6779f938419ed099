//! Sorting of 64-bit integers.
//!
//! On processors with AVX-512 it is a quicksort whose partition takes eight
//! elements at once, and a network of comparisons for what is small (as in
//! Blacher, Giesen and others, 2022); on others long lists are sorted digit by
//! digit.

/// Lists from this length on are sorted digit by digit.
pub const RADIX_FROM: usize = 1 << 12;
/// Bits of a digit: its counts fit the first-level cache.
const DIGIT: usize = 11;

/// Sorts integers in ascending order.
pub fn sort(keys: &mut [i64]) {
    #[cfg(target_arch = "x86_64")]
    if super::isa() == super::Isa::Avx512 {
        // SAFETY: `isa` answers this only if the processor has the feature.
        return unsafe { vector::sort(keys) };
    }
    if keys.len() >= RADIX_FROM { radix_sort(keys) } else { keys.sort_unstable() }
}

/// Sorts integers by their digits, lowest first; digits that are the same
/// everywhere are skipped.
fn radix_sort(keys: &mut [i64]) {
    const N_DIGITS: usize = 64_usize.div_ceil(DIGIT);
    const N_VALUES: usize = 1 << DIGIT;
    // The sign bit is turned over, so that negative numbers come first.
    let digit = |key: i64, at: usize| (((key as u64) ^ (1 << 63)) >> (at * DIGIT)) as usize & (N_VALUES - 1);
    let mut counts = vec![[0_usize; N_VALUES]; N_DIGITS];
    for &key in keys.iter() {
        for (at, counts) in counts.iter_mut().enumerate() {
            counts[digit(key, at)] += 1;
        }
    }
    let n = keys.len();
    let mut other = vec![0_i64; n];
    let (mut from, mut to) = (keys, other.as_mut_slice());
    let mut is_elsewhere = false;
    for (at, counts) in counts.iter_mut().enumerate() {
        if counts.contains(&n) {
            continue;
        }
        let mut start = 0;
        for count in counts.iter_mut() {
            start += std::mem::replace(count, start);
        }
        for &key in from.iter() {
            let place = &mut counts[digit(key, at)];
            to[*place] = key;
            *place += 1;
        }
        std::mem::swap(&mut from, &mut to);
        is_elsewhere = !is_elsewhere;
    }
    if is_elsewhere {
        to.copy_from_slice(from);
    }
}

#[cfg(target_arch = "x86_64")]
mod vector {
    use std::arch::x86_64::*;

    /// Elements of a vector.
    const WIDTH: usize = 8;
    /// What the network sorts at once.
    const SMALL: usize = 64;
    /// The registers of the network.
    type Registers = [__m512i; SMALL / WIDTH];

    #[target_feature(enable = "avx512f")]
    pub fn sort(keys: &mut [i64]) {
        if keys.len() <= SMALL {
            return small(keys);
        }
        // A full vector is stored at a time, also where less of it counts.
        let mut scratch: Vec<i64> = Vec::with_capacity(keys.len() + WIDTH);
        quicksort(keys, scratch.spare_capacity_mut(), 2 * keys.len().ilog2());
    }

    /// Sorts with partitions; after `depth` bad ones by another algorithm.
    #[target_feature(enable = "avx512f")]
    fn quicksort(mut keys: &mut [i64], scratch: &mut [std::mem::MaybeUninit<i64>], mut depth: u32) {
        while keys.len() > SMALL {
            if depth == 0 {
                return keys.sort_unstable();
            }
            depth -= 1;
            let pivot = middle_of(keys);
            let mut split = partition(keys, scratch, pivot);
            if split == 0 {
                // The pivot is the smallest: what equals it is in place.
                let Some(above) = pivot.checked_add(1) else { return };
                split = partition(keys, scratch, above);
                keys = &mut keys[split..];
                continue;
            }
            let (low, high) = keys.split_at_mut(split);
            let (shorter, longer) = if low.len() < high.len() { (low, high) } else { (high, low) };
            quicksort(shorter, scratch, depth);
            keys = longer;
        }
        small(keys);
    }

    /// An element that is likely in the middle of the order.
    #[target_feature(enable = "avx512f")]
    fn middle_of(keys: &[i64]) -> i64 {
        let median = |a: i64, b: i64, c: i64| a.max(b).min(a.min(b).max(c));
        let at = |share: usize, of: usize| keys[share * (keys.len() - 1) / of];
        if keys.len() < 1 << 11 {
            let of = |first: usize| median(at(first, 8), at(first + 3, 8), at((first + 6).min(8), 8));
            return median(of(0), of(1), of(2));
        }
        let mut sample = [0; SMALL];
        sample.iter_mut().enumerate().for_each(|(i, x)| *x = at(i, SMALL - 1));
        small(&mut sample);
        sample[SMALL / 2]
    }

    /// Moves what is less than the pivot to the front; answers how much that is.
    #[target_feature(enable = "avx512f")]
    fn partition(keys: &mut [i64], scratch: &mut [std::mem::MaybeUninit<i64>], pivot: i64) -> usize {
        let n = keys.len();
        assert!(scratch.len() >= n + WIDTH, "there is room for what is not less");
        let (from, aside) = (keys.as_mut_ptr(), scratch.as_mut_ptr().cast::<i64>());
        let pivots = _mm512_set1_epi64(pivot);
        let (mut less, mut rest) = (0, 0);
        let whole = n - n % WIDTH;
        for i in (0..whole).step_by(WIDTH) {
            // SAFETY: `i + WIDTH` is at most `n`. No more elements are less than
            // have been read, so that what is overwritten was read before; the
            // scratch has room for `n` elements and a vector.
            unsafe {
                let values = _mm512_loadu_epi64(from.add(i));
                let mask = _mm512_cmplt_epi64_mask(values, pivots);
                _mm512_storeu_epi64(from.add(less), _mm512_maskz_compress_epi64(mask, values));
                _mm512_storeu_epi64(aside.add(rest), _mm512_maskz_compress_epi64(!mask, values));
                let count = mask.count_ones() as usize;
                less += count;
                rest += WIDTH - count;
            }
        }
        for i in whole..n {
            // SAFETY: as above, element by element.
            unsafe {
                let value = *from.add(i);
                if value < pivot {
                    *from.add(less) = value;
                    less += 1;
                } else {
                    *aside.add(rest) = value;
                    rest += 1;
                }
            }
        }
        // SAFETY: `rest` elements were written, and `less + rest` is `n`.
        unsafe { std::ptr::copy_nonoverlapping(aside, from.add(less), rest) };
        less
    }

    #[target_feature(enable = "avx512f")]
    fn exchange(registers: &mut Registers, low: usize, high: usize) {
        let (a, b) = (registers[low], registers[high]);
        registers[low] = _mm512_min_epi64(a, b);
        registers[high] = _mm512_max_epi64(a, b);
    }

    /// Sorts at most [`SMALL`] elements.
    #[target_feature(enable = "avx512f")]
    fn small(keys: &mut [i64]) {
        if keys.len() < 2 {
            return;
        }
        let n = keys.len().min(SMALL);
        let mask = |i: usize| match n.saturating_sub(i * WIDTH) {
            rest if rest >= WIDTH => u8::MAX,
            rest => (1_u8 << rest) - 1,
        };
        let mut registers: Registers = [_mm512_set1_epi64(i64::MAX); SMALL / WIDTH];
        for (i, register) in registers.iter_mut().enumerate() {
            // SAFETY: only elements of the list are read.
            *register = unsafe { _mm512_mask_loadu_epi64(*register, mask(i), keys.as_ptr().wrapping_add(i * WIDTH)) };
        }
        columns(&mut registers);
        registers = transposed(&registers);
        merge(&mut registers, 2);
        merge(&mut registers, 4);
        merge(&mut registers, 8);
        for (i, register) in registers.iter().enumerate() {
            // SAFETY: only elements of the list are written.
            unsafe { _mm512_mask_storeu_epi64(keys.as_mut_ptr().wrapping_add(i * WIDTH), mask(i), *register) };
        }
    }

    /// Sorts every column of the registers (Batcher's network of 19).
    #[target_feature(enable = "avx512f")]
    fn columns(registers: &mut Registers) {
        const PAIRS: [(usize, usize); 19] = [
            (0, 1),
            (2, 3),
            (4, 5),
            (6, 7),
            (0, 2),
            (1, 3),
            (4, 6),
            (5, 7),
            (1, 2),
            (5, 6),
            (0, 4),
            (1, 5),
            (2, 6),
            (3, 7),
            (2, 4),
            (3, 5),
            (1, 2),
            (3, 4),
            (5, 6),
        ];
        for (low, high) in PAIRS {
            exchange(registers, low, high);
        }
    }

    /// Columns as rows.
    #[target_feature(enable = "avx512f")]
    fn transposed(r: &Registers) -> Registers {
        // Pairs of rows, then the quarters of four rows, then of all eight.
        let low: [__m512i; 4] = std::array::from_fn(|i| _mm512_unpacklo_epi64(r[2 * i], r[2 * i + 1]));
        let high: [__m512i; 4] = std::array::from_fn(|i| _mm512_unpackhi_epi64(r[2 * i], r[2 * i + 1]));
        let mut out = *r;
        for (first, pairs) in [(0, low), (1, high)] {
            let even = [0, 2].map(|i| _mm512_shuffle_i64x2::<0x88>(pairs[i], pairs[i + 1]));
            let odd = [0, 2].map(|i| _mm512_shuffle_i64x2::<0xdd>(pairs[i], pairs[i + 1]));
            out[first] = _mm512_shuffle_i64x2::<0x88>(even[0], even[1]);
            out[first + 4] = _mm512_shuffle_i64x2::<0xdd>(even[0], even[1]);
            out[first + 2] = _mm512_shuffle_i64x2::<0x88>(odd[0], odd[1]);
            out[first + 6] = _mm512_shuffle_i64x2::<0xdd>(odd[0], odd[1]);
        }
        out
    }

    /// Merges neighbouring sorted runs of half a group of registers each
    /// (Batcher's bitonic merge).
    #[target_feature(enable = "avx512f")]
    fn merge(registers: &mut Registers, group: usize) {
        let backwards = _mm512_set_epi64(0, 1, 2, 3, 4, 5, 6, 7);
        for start in (0..registers.len()).step_by(group) {
            let before = *registers;
            let half = group / 2;
            for i in 0..half {
                let other = _mm512_permutexvar_epi64(backwards, before[start + group - 1 - i]);
                registers[start + i] = _mm512_min_epi64(before[start + i], other);
                registers[start + half + i] = _mm512_max_epi64(before[start + i], other);
            }
        }
        let mut distance = group / 4;
        while distance > 0 {
            for i in (0..registers.len()).filter(|i| i & distance == 0) {
                exchange(registers, i, i + distance);
            }
            distance /= 2;
        }
        for register in registers {
            *register = within(*register);
        }
    }

    /// Sorts a register whose elements rise and then fall.
    #[target_feature(enable = "avx512f")]
    fn within(register: __m512i) -> __m512i {
        let step = |own: __m512i, other: __m512i, upper: __mmask8| {
            _mm512_mask_mov_epi64(_mm512_min_epi64(own, other), upper, _mm512_max_epi64(own, other))
        };
        let fours = step(register, _mm512_shuffle_i64x2::<0x4e>(register, register), 0b1111_0000);
        let twos = step(fours, _mm512_permutex_epi64::<0x4e>(fours), 0b1100_1100);
        step(twos, _mm512_permutex_epi64::<0xb1>(twos), 0b1010_1010)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_lengths_and_shapes_are_sorted() {
        let mut state = 1_u64;
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 7) as i64
        };
        for n in (0..300).chain([1 << 11, RADIX_FROM, RADIX_FROM + 13, 100_000]) {
            let shapes: [Vec<i64>; 6] = [
                (0..n).map(|_| random() - (1 << 56)).collect(),
                (0..n).map(|_| random() % 5).collect(),
                (0..n as i64).collect(),
                (0..n as i64).rev().collect(),
                vec![7; n],
                (0..n).map(|i| if i % 3 == 0 { i64::MAX } else { i64::MIN + random() % 3 }).collect(),
            ];
            for keys in shapes {
                let mut expected = keys.clone();
                expected.sort_unstable();
                for sort in [sort, radix_sort] {
                    let mut own = keys.clone();
                    sort(&mut own);
                    assert_eq!(own, expected, "{n}");
                }
            }
        }
    }
}

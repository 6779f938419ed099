//! Random numbers by position.
//!
//! The number at a position is a function of the position and a key alone
//! (Philox4x32-10; Salmon, Moraes, Dror and Shaw, 2011), so that any part of a
//! random array can be made anywhere, in any order, with the same result. Two
//! neighbouring positions share one evaluation of the function.

use super::{math, multiversion};

/// Positions that are worked on together; the vectors of AVX-512.
const LANES: usize = 8;

type Lanes = [u64; LANES];

/// Two 64-bit words for each of eight counters.
#[inline(always)]
fn philox(key: u64, counters: &Lanes) -> (Lanes, Lanes) {
    const LOW: u64 = 0xffff_ffff;
    const MULTIPLIERS: (u64, u64) = (0xD251_1F53, 0xCD9E_8D57);
    const WEYL: (u64, u64) = (0x9E37_79B9, 0xBB67_AE85);
    // Each 64-bit lane holds one 32-bit word, so that a product fits its lane.
    let (mut x0, mut x1, mut x2, mut x3) = ([0; LANES], [0; LANES], [0; LANES], [0; LANES]);
    for lane in 0..LANES {
        x0[lane] = counters[lane] & LOW;
        x1[lane] = counters[lane] >> 32;
    }
    let (mut k0, mut k1) = (key & LOW, key >> 32);
    for _ in 0..10 {
        for lane in 0..LANES {
            let p0 = (x0[lane] & LOW) * MULTIPLIERS.0;
            let p1 = (x2[lane] & LOW) * MULTIPLIERS.1;
            let (y1, y3) = (x1[lane], x3[lane]);
            x0[lane] = (p1 >> 32) ^ y1 ^ k0;
            x1[lane] = p1 & LOW;
            x2[lane] = (p0 >> 32) ^ y3 ^ k1;
            x3[lane] = p0 & LOW;
        }
        k0 = (k0 + WEYL.0) & LOW;
        k1 = (k1 + WEYL.1) & LOW;
    }
    let (mut first, mut second) = ([0; LANES], [0; LANES]);
    for lane in 0..LANES {
        first[lane] = x0[lane] | (x1[lane] << 32);
        second[lane] = x2[lane] | (x3[lane] << 32);
    }
    (first, second)
}

/// A number of `[0, 1)` with 53 random bits.
#[inline(always)]
fn unit(bits: u64) -> f64 {
    (bits >> 11) as i64 as f64 * (1.0 / 9_007_199_254_740_992.0)
}

/// Two independent standard normal numbers (Box and Muller, 1958).
#[inline(always)]
fn normal_pair(first: u64, second: u64) -> (f64, f64) {
    // One minus the unit keeps the logarithm's argument above zero.
    let radius = (-2.0 * math::log(1.0 - unit(first))).sqrt();
    let (sin, cos) = math::sin_cos_turns(unit(second));
    (radius * cos, radius * sin)
}

/// A whole number below `range`.
#[inline(always)]
fn below(bits: u64, range: u64) -> u64 {
    ((u128::from(bits) * u128::from(range)) >> 64) as u64
}

/// Fills `out` for the positions `start, start + step, …` with a pair function
/// of the two words of a counter.
macro_rules! fill {
    ($key:ident, $start:ident, $step:ident, $out:ident, |$first:ident, $second:ident| $pair:expr) => {{
        if $step == 1 {
            let mut rest = &mut $out[..];
            let mut position = $start;
            if position & 1 == 1 && !rest.is_empty() {
                let (first, second) = philox($key, &[position >> 1; LANES]);
                let ($first, $second) = (first[0], second[0]);
                rest[0] = $pair.1;
                rest = &mut rest[1..];
                position += 1;
            }
            for chunk in rest.chunks_mut(2 * LANES) {
                let mut counters = [0; LANES];
                for (lane, counter) in counters.iter_mut().enumerate() {
                    *counter = (position >> 1) + lane as u64;
                }
                let (first, second) = philox($key, &counters);
                let mut pairs = [Default::default(); 2 * LANES];
                for lane in 0..LANES {
                    let ($first, $second) = (first[lane], second[lane]);
                    let pair = $pair;
                    pairs[2 * lane] = pair.0;
                    pairs[2 * lane + 1] = pair.1;
                }
                chunk.copy_from_slice(&pairs[..chunk.len()]);
                position += 2 * LANES as u64;
            }
        } else {
            let mut position = $start as i64;
            for chunk in $out.chunks_mut(LANES) {
                let mut positions = [0; LANES];
                for (lane, at) in positions.iter_mut().enumerate() {
                    *at = position.wrapping_add($step.wrapping_mul(lane as i64)) as u64;
                }
                let mut counters = [0; LANES];
                for lane in 0..LANES {
                    counters[lane] = positions[lane] >> 1;
                }
                let (first, second) = philox($key, &counters);
                let mut values = [Default::default(); LANES];
                for lane in 0..LANES {
                    let ($first, $second) = (first[lane], second[lane]);
                    let pair = $pair;
                    values[lane] = if positions[lane] & 1 == 0 { pair.0 } else { pair.1 };
                }
                chunk.copy_from_slice(&values[..chunk.len()]);
                position = position.wrapping_add($step.wrapping_mul(LANES as i64));
            }
        }
    }};
}

multiversion! {
    /// Uniform numbers of `[0, 1)` for the positions `start, start + step, …`.
    pub fn uniform(key: u64, start: u64, step: i64, out: &mut [f64]) {
        fill!(key, start, step, out, |first, second| (unit(first), unit(second)));
    }
}

multiversion! {
    /// Standard normal numbers for the positions `start, start + step, …`.
    pub fn normal(key: u64, start: u64, step: i64, out: &mut [f64]) {
        fill!(key, start, step, out, |first, second| normal_pair(first, second));
    }
}

multiversion! {
    /// Whole numbers `low .. low + range` for the positions `start, start +
    /// step, …`; a range of 0 stands for all 2⁶⁴. Each number is as likely as
    /// any other up to one part in 2⁶⁴ / range.
    pub fn integers(key: u64, low: i64, range: u64, start: u64, step: i64, out: &mut [i64]) {
        if range == 0 {
            fill!(key, start, step, out, |first, second| (first as i64, second as i64));
        } else {
            fill!(key, start, step, out, |first, second| (
                low.wrapping_add(below(first, range) as i64),
                low.wrapping_add(below(second, range) as i64)
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_the_published_vectors() {
        // Known answers of the authors' Random123 library for philox4x32-10.
        let (first, second) = philox(0, &[0; LANES]);
        assert_eq!(first[0] as u32, 0x6627_e8d5);
        assert_eq!((first[0] >> 32) as u32, 0xe169_c58d);
        assert_eq!(second[0] as u32, 0xbc57_ac4c);
        assert_eq!((second[0] >> 32) as u32, 0x9b00_dbd8);
    }

    #[test]
    fn a_number_depends_on_its_position_alone() {
        let mut whole = vec![0.0; 100];
        uniform(7, 0, 1, &mut whole);
        let mut part = vec![0.0; 50];
        uniform(7, 33, 1, &mut part);
        assert_eq!(part, whole[33..83]);
        let mut strided = vec![0.0; 20];
        uniform(7, 90, -3, &mut strided);
        let expected: Vec<f64> = (0..20).map(|i| whole[90 - 3 * i]).collect();
        assert_eq!(strided, expected);
        let (mut normals, mut some) = (vec![0.0; 40], vec![0.0; 5]);
        normal(7, 0, 1, &mut normals);
        normal(7, 1, 8, &mut some);
        assert_eq!(some, [normals[1], normals[9], normals[17], normals[25], normals[33]]);
    }

    #[test]
    fn moments_are_those_of_the_distributions() {
        let n = 200_000;
        let mut values = vec![0.0; n];
        let moment =
            |values: &[f64], power: i32| values.iter().map(|x| x.powi(power)).sum::<f64>() / values.len() as f64;
        uniform(1, 0, 1, &mut values);
        assert!((moment(&values, 1) - 0.5).abs() < 3e-3);
        assert!((moment(&values, 2) - 1.0 / 3.0).abs() < 3e-3);
        normal(1, 0, 1, &mut values);
        assert!(moment(&values, 1).abs() < 1e-2);
        assert!((moment(&values, 2) - 1.0).abs() < 1.5e-2);
        assert!((moment(&values, 4) - 3.0).abs() < 0.12);
        let mut dice = vec![0; n];
        integers(1, 1, 6, 0, 1, &mut dice);
        for face in 1..=6 {
            let share = dice.iter().filter(|&&x| x == face).count() as f64 / n as f64;
            assert!((share - 1.0 / 6.0).abs() < 5e-3, "{face}: {share}");
        }
    }
}

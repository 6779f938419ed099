//! Elements sent where their keys say, and gathered into groups.

use super::cell::Cell;
use super::groups::Groups;
use super::program::Program;
use super::rows::Rows;
use super::term::Term;
use crate::json::Beyond;

/// Elements cut into pieces by their keys: equal keys go into the same piece.
///
/// ```
/// use oxidask_io::record::{Cell, Pieces};
///
/// let mut pieces = Pieces::new(4);
/// for number in [1, 2, 1] {
///     pieces.push(&Cell::Int(number), &Cell::Int(10 * number)).unwrap();
/// }
/// assert_eq!(pieces.finish().iter().map(|rows| rows.len()).sum::<usize>(), 3);
/// ```
pub struct Pieces(Vec<Rows>);

impl Pieces {
    /// So many pieces, all empty.
    #[must_use]
    pub fn new(n: usize) -> Self {
        Pieces((0..n).map(|_| Rows::new()).collect())
    }

    /// Adds an element to the piece of its key.
    ///
    /// # Errors
    /// [`Beyond`] if Python has to say where the key belongs.
    pub fn push(&mut self, key: &Cell<'_>, element: &Cell<'_>) -> Result<(), Beyond> {
        let piece = piece_of(hash(key)?, self.0.len());
        self.0[piece].push(element)
    }

    /// The pieces.
    #[must_use]
    pub fn finish(self) -> Vec<Rows> {
        self.0
    }
}

/// The piece, of `n`, that a hash belongs to.
#[must_use]
pub fn piece_of(hash: u64, n: usize) -> usize {
    // The upper half of a product spreads better than a remainder.
    ((u128::from(hash) * n as u128) >> 64) as usize
}

/// A hash that is the same in all processes and on all machines, and equal for
/// keys that are equal in Python.
///
/// # Errors
/// [`Beyond`] for what cannot be hashed, and for NaN, which is equal to nothing.
pub fn hash(key: &Cell<'_>) -> Result<u64, Beyond> {
    Ok(match key {
        Cell::None => 0,
        Cell::Str(text) => hash_text(text),
        Cell::Bool(value) => hash_number(i64::from(*value)),
        Cell::Int(value) => hash_number(python_hash(*value)),
        Cell::Float(value) => hash_number(python_hash_of_float(*value)?),
        Cell::Tuple(cells) => hash_all(cells.iter().map(hash))?,
        Cell::Json(..) | Cell::List(_) => return Err(Beyond),
    })
}

/// The hash of a text.
#[must_use]
pub fn hash_text(text: &str) -> u64 {
    let (words, rest) = text.as_bytes().as_chunks();
    let hash = words.iter().fold(text.len() as u64, |hash, word| mix(hash, u64::from_le_bytes(*word)));
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    mix(hash, u64::from_le_bytes(last))
}

/// The hash of a number, of which Python's own is known.
#[must_use]
pub fn hash_number(hash: i64) -> u64 {
    mix(1, hash.cast_unsigned())
}

/// The hash of values in order.
///
/// # Errors
/// That of a value.
pub fn hash_all<E>(mut hashes: impl Iterator<Item = Result<u64, E>>) -> Result<u64, E> {
    hashes.try_fold(2, |all, hash| Ok(mix(all, hash?)))
}

fn mix(hash: u64, word: u64) -> u64 {
    const ODD: [u64; 2] = [0x9e37_79b9_7f4a_7c15, 0xd6e8_feb8_6659_fd93];
    let product = u128::from(hash ^ ODD[0]) * u128::from(word ^ ODD[1]);
    // The product of small numbers has few bits, which the sum brings in again.
    ((product >> 64) as u64 ^ product as u64).wrapping_add(hash.rotate_left(32) ^ word).wrapping_mul(ODD[0])
}

/// Python's hashes of numbers are remainders by this prime.
const PRIME: i64 = (1 << 61) - 1;

/// `hash(value)` of an int in Python: the remainder by a prime, with the sign.
fn python_hash(value: i64) -> i64 {
    match value % PRIME {
        -1 => -2,
        hash => hash,
    }
}

/// `hash(value)` of a float in Python, which is that of an equal int or fraction.
fn python_hash_of_float(value: f64) -> Result<i64, Beyond> {
    if value.is_nan() {
        return Err(Beyond);
    }
    if value.is_infinite() {
        return Ok(if value > 0.0 { 314_159 } else { -314_159 });
    }
    // The value is a whole number times a power of two.
    let bits = value.to_bits();
    let (fraction, exponent) = (bits & ((1 << 52) - 1), (bits >> 52 & 0x7ff) as i64);
    let (whole, exponent) = if exponent == 0 { (fraction, -1074) } else { (fraction | 1 << 52, exponent - 1075) };
    // Two to the 61 is one more than the prime, so that powers of it are 1.
    let product = u128::from(whole) << exponent.rem_euclid(61);
    let hash = (product % PRIME.cast_unsigned() as u128) as i64;
    Ok(match if value < 0.0 { -hash } else { hash } {
        -1 => -2,
        hash => hash,
    })
}

/// Tuples of each key and the list of its elements, keys and elements in the
/// order in which they come.
///
/// # Errors
/// [`Beyond`] if Python has to be asked.
pub fn group<'a>(parts: impl Iterator<Item = &'a Rows> + Clone, key: &Term) -> Result<Rows, Beyond> {
    let program = Program::with_terms(Vec::new(), &[key]);
    let mut run = program.start();
    let mut groups = Groups::new();
    // The group of each element, and how many elements each group has.
    let mut group_of: Vec<u32> = Vec::new();
    let mut sizes: Vec<u32> = Vec::new();
    for cell in parts.clone().flat_map(Rows::iter) {
        run.element(cell)?;
        let group = groups.place_for_count(&run.eval(key, run.cells())?)?;
        sizes.resize(groups.len(), 0);
        sizes[group as usize] += 1;
        group_of.push(group);
    }
    // Elements sorted by group: where the next one of each group goes.
    let mut next: Vec<usize> = Vec::with_capacity(sizes.len());
    sizes.iter().fold(0, |start, size| {
        next.push(start);
        start + *size as usize
    });
    let mut sorted: Vec<&[u8]> = vec![&[]; group_of.len()];
    for (element, group) in parts.flat_map(Rows::encoded).zip(&group_of) {
        let place = &mut next[*group as usize];
        sorted[*place] = element;
        *place += 1;
    }
    let mut rows = Rows::new();
    let mut rest = &sorted[..];
    for ((key, _), size) in groups.iter().zip(&sizes) {
        let (elements, others) = rest.split_at(*size as usize);
        rest = others;
        rows.push_group(key, elements)?;
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::super::cell::Scalar;
    use super::*;

    #[test]
    fn groups_are_in_the_order_of_first_sight() {
        let rows = |words: &[&str]| {
            let mut rows = Rows::new();
            words.iter().for_each(|word| rows.push(&Cell::Str((*word).into())).unwrap());
            rows
        };
        let parts = [rows(&["bee", "ant", "bat"]), rows(&[]), rows(&["ape", "cat"])];
        let first = Term::call("item", vec![Term::Arg(0), Term::Const(Scalar::Int(0))]).unwrap();
        let grouped = group(parts.iter(), &first).unwrap();
        assert!(grouped.is_valid());
        let text = |text: &str| Cell::Str(text.to_owned().into());
        let list = |words: &[&str]| Cell::List(words.iter().map(|word| text(word)).collect());
        let want = [
            Cell::Tuple(vec![text("b"), list(&["bee", "bat"])]),
            Cell::Tuple(vec![text("a"), list(&["ant", "ape"])]),
            Cell::Tuple(vec![text("c"), list(&["cat"])]),
        ];
        assert_eq!(format!("{:?}", grouped.iter().collect::<Vec<_>>()), format!("{want:?}"));
        let second = Term::call("item", vec![Term::Arg(0), Term::Const(Scalar::Int(5))]).unwrap();
        assert!(group(parts.iter(), &second).is_err());
    }

    #[test]
    fn hashes_are_spread_and_equal_for_equal_numbers() {
        assert_eq!(hash(&Cell::Int(1)), hash(&Cell::Bool(true)));
        assert_eq!(python_hash(-1), -2);
        assert_eq!(python_hash(1 << 61), 1);
        let floats = [(0.5, 1 << 60), (-1.0, -2), (1e300, 1_224_995_262_755_759_164), (0.0, 0), (2.5, (1 << 60) + 2)];
        for (value, want) in floats {
            assert_eq!(python_hash_of_float(value), Ok(want), "{value}");
        }
        assert_eq!(hash(&Cell::Int(-7)), hash(&Cell::Float(-7.0)));
        let mut counts = [0; 16];
        for number in 0..16_000 {
            counts[piece_of(hash(&Cell::Int(number)).unwrap(), 16)] += 1;
            counts[piece_of(hash_text(&format!("user {number}")), 16)] += 1;
        }
        assert!(counts.iter().all(|count| (1700..2300).contains(count)), "{counts:?}");
    }
}

//! How an array is cut into blocks.
//!
//! [`Chunks`] holds, for every axis, the borders of its chunks; all positions
//! and sizes follow from them. Users' ways of asking for chunks are normalised
//! here once, at the line that asks.

use crate::block::Dims;
use crate::dtype::DType;
use crate::index::{Pick, Range};
use oxidask_core::{Error, KeyHasher, Result, config};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Stands for a length that only computing tells, such as the number of
/// elements that a mask keeps.
pub const UNKNOWN: usize = usize::MAX;

/// The borders of the chunks along every axis: the first is 0, the last the
/// length of the axis. Where sizes are not known, all borders are [`UNKNOWN`];
/// how many chunks there are is always known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunks(Vec<Arc<[usize]>>);

/// What a user wants along one axis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChunkSpec {
    /// As large as the configured block size allows.
    Auto,
    /// As large as this many bytes per block allow.
    Bytes(u64),
    /// One chunk.
    Whole,
    /// As it is now; one chunk if there is nothing yet.
    Keep,
    /// Equal chunks, the last may be smaller.
    Size(usize),
    /// Exactly these.
    Sizes(Vec<usize>),
}

/// The borders of chunks of these sizes; unknown ones if a size is.
fn borders(sizes: impl IntoIterator<Item = usize>) -> Arc<[usize]> {
    let mut is_unknown = false;
    let borders: Arc<[usize]> = std::iter::once(0)
        .chain(sizes.into_iter().scan(0_usize, |end, size| {
            is_unknown |= size == UNKNOWN;
            *end = end.saturating_add(size);
            Some(*end)
        }))
        .collect();
    if is_unknown { unknown_borders(borders.len() - 1) } else { borders }
}

/// The borders of `n` chunks of unknown sizes.
fn unknown_borders(n: usize) -> Arc<[usize]> {
    vec![UNKNOWN; n + 1].into()
}

fn equal_borders(length: usize, size: usize) -> Arc<[usize]> {
    if length == 0 {
        return [0, 0].into();
    }
    (0..length).step_by(size.max(1)).chain(std::iter::once(length)).collect()
}

impl Chunks {
    /// Chunks of the given sizes, axis by axis.
    #[must_use]
    pub fn from_sizes<A: AsRef<[usize]>>(sizes: impl IntoIterator<Item = A>) -> Self {
        Chunks(sizes.into_iter().map(|axis| borders(axis.as_ref().iter().copied())).collect())
    }

    /// One chunk for the whole shape.
    #[must_use]
    pub fn whole(shape: &[usize]) -> Self {
        let one = |&length: &usize| if length == UNKNOWN { unknown_borders(1) } else { Arc::from([0, length]) };
        Chunks(shape.iter().map(one).collect())
    }

    /// Chunks along one axis of which only the number is known.
    #[must_use]
    pub fn unknown(n: usize) -> Arc<[usize]> {
        unknown_borders(n)
    }

    /// Whether the sizes along an axis are not known.
    #[must_use]
    pub fn is_unknown(&self, axis: usize) -> bool {
        self.0[axis][0] == UNKNOWN
    }

    /// Whether some sizes are not known.
    #[must_use]
    pub fn has_unknown(&self) -> bool {
        (0..self.ndim()).any(|axis| self.is_unknown(axis))
    }

    /// Refuses what cannot be done before all sizes are known.
    ///
    /// # Errors
    /// If sizes are not known.
    pub fn check_known(&self, what: &str) -> Result<()> {
        if self.has_unknown() {
            return Err(Error::value(format!(
                "{what} needs known chunk sizes, but the shape is {}",
                shape_text(&self.shape())
            ))
            .with_hint("call compute_chunk_sizes() on the array first"));
        }
        Ok(())
    }

    /// Chunks given by the borders of every axis.
    #[must_use]
    pub fn from_borders(borders: impl IntoIterator<Item = Arc<[usize]>>) -> Self {
        Chunks(borders.into_iter().collect())
    }

    /// The borders along one axis; shared, so cheap to take over.
    #[must_use]
    pub fn borders(&self, axis: usize) -> &Arc<[usize]> {
        &self.0[axis]
    }

    /// Number of axes.
    #[must_use]
    pub fn ndim(&self) -> usize {
        self.0.len()
    }

    /// The length of an axis.
    #[must_use]
    pub fn length(&self, axis: usize) -> usize {
        *self.0[axis].last().expect("every axis has a last border")
    }

    /// The shape of the whole array.
    #[must_use]
    pub fn shape(&self) -> Dims {
        (0..self.ndim()).map(|axis| self.length(axis)).collect()
    }

    /// Number of chunks along an axis.
    #[must_use]
    pub fn n_along(&self, axis: usize) -> usize {
        self.0[axis].len() - 1
    }

    /// Number of chunks along every axis.
    #[must_use]
    pub fn numblocks(&self) -> Dims {
        (0..self.ndim()).map(|axis| self.n_along(axis)).collect()
    }

    /// Number of blocks.
    #[must_use]
    pub fn n_blocks(&self) -> usize {
        (0..self.ndim()).map(|axis| self.n_along(axis)).product()
    }

    /// The sizes of the chunks along an axis.
    pub fn sizes(&self, axis: usize) -> impl Iterator<Item = usize> + '_ {
        self.0[axis].windows(2).map(size_between)
    }

    /// The largest chunk along every axis.
    #[must_use]
    pub fn chunksize(&self) -> Dims {
        (0..self.ndim()).map(|axis| self.sizes(axis).max().unwrap_or(0)).collect()
    }

    /// The coordinates of a block, whose numbers count in C order.
    #[must_use]
    pub fn coordinates(&self, block: usize) -> Dims {
        let mut coordinates = Dims::from_elem(0, self.ndim());
        let mut rest = block;
        for axis in (0..self.ndim()).rev() {
            let count = self.n_along(axis);
            coordinates[axis] = rest % count;
            rest /= count;
        }
        coordinates
    }

    /// The number of the block with these coordinates.
    #[must_use]
    pub fn number(&self, coordinates: &[usize]) -> usize {
        coordinates.iter().enumerate().fold(0, |number, (axis, &at)| number * self.n_along(axis) + at)
    }

    /// The shape of one block.
    #[must_use]
    pub fn block_shape(&self, coordinates: &[usize]) -> Dims {
        coordinates.iter().zip(&self.0).map(|(&at, borders)| size_between(&borders[at..at + 2])).collect()
    }

    /// Where a block begins.
    #[must_use]
    pub fn block_start(&self, coordinates: &[usize]) -> Dims {
        coordinates.iter().zip(&self.0).map(|(&at, borders)| borders[at]).collect()
    }

    /// Number of elements of a block, if it is known.
    #[must_use]
    pub fn block_len(&self, block: usize) -> Option<usize> {
        let shape = self.block_shape(&self.coordinates(block));
        (!shape.contains(&UNKNOWN)).then(|| shape.iter().product())
    }

    /// Bytes of a block of elements of `itemsize`, if they are known.
    #[must_use]
    pub fn block_bytes(&self, block: usize, itemsize: usize) -> Option<u64> {
        self.block_len(block).map(|len| (len * itemsize) as u64)
    }

    /// The chunks with the sizes that computed blocks have.
    ///
    /// # Errors
    /// If blocks do not lie on a grid of these chunks.
    pub fn measured(&self, shapes: &[&[usize]]) -> Result<Chunks> {
        let mut sizes: Vec<Vec<usize>> = (0..self.ndim()).map(|axis| self.sizes(axis).collect()).collect();
        for (block, shape) in shapes.iter().enumerate() {
            let coordinates = self.coordinates(block);
            let fits = shape.len() == sizes.len()
                && shape.iter().zip(&coordinates).zip(&mut sizes).all(|((&length, &at), sizes)| {
                    if sizes[at] == UNKNOWN {
                        sizes[at] = length;
                    }
                    sizes[at] == length
                });
            if !fits {
                let expected: Dims = sizes.iter().zip(&coordinates).map(|(sizes, &at)| sizes[at]).collect();
                return Err(Error::value(format!(
                    "block {block} has shape {}, but {} was announced",
                    shape_text(shape),
                    shape_text(&expected)
                ))
                .with_hint("a function given to map_blocks must return the announced shape"));
            }
        }
        Ok(Chunks::from_sizes(sizes))
    }

    /// Adds the chunks to a key.
    #[must_use]
    pub fn hash(&self, mut hasher: KeyHasher) -> KeyHasher {
        hasher = hasher.u64(self.ndim() as u64);
        for borders in &self.0 {
            // Lengths fit 64 bits on every machine we run on.
            let bytes: Vec<u8> = borders.iter().flat_map(|&border| (border as u64).to_le_bytes()).collect();
            hasher = hasher.bytes(&bytes);
        }
        hasher
    }

    /// The chunks of what `picks` take: every block gives at most one block,
    /// and empty ones are left out. Beside them, for every axis that stays, the
    /// piece of each chunk that it takes.
    #[must_use]
    pub fn picked(&self, picks: &[Pick]) -> (Chunks, Vec<AxisPieces>) {
        let pieces: Vec<AxisPieces> = picks.iter().enumerate().map(|(axis, &pick)| self.pieces(axis, pick)).collect();
        let chunks = picks
            .iter()
            .zip(&pieces)
            .filter(|(pick, _)| matches!(pick, Pick::Range(_)))
            .map(|(_, pieces)| borders(pieces.iter().map(|(_, range)| range.len)))
            .collect();
        (Chunks(chunks), pieces)
    }

    fn pieces(&self, axis: usize, pick: Pick) -> AxisPieces {
        let borders = &self.0[axis];
        let range = pick.range();
        if self.is_unknown(axis) {
            // Only all of such an axis may be picked.
            return (0..self.n_along(axis)).map(|chunk| (chunk, Range::full(UNKNOWN))).collect();
        }
        if range.len == 0 {
            return vec![(0, Range { start: 0, step: 1, len: 0 })];
        }
        let mut pieces = Vec::new();
        let mut done = 0;
        while done < range.len {
            let position = range.start.saturating_add_signed(done as isize * range.step);
            // The last chunk that begins at or before the position and is not empty.
            let chunk = borders.partition_point(|&border| border <= position) - 1;
            let room = if range.step > 0 {
                (borders[chunk + 1] - position).div_ceil(range.step as usize)
            } else {
                (position - borders[chunk]) / range.step.unsigned_abs() + 1
            };
            let len = room.min(range.len - done);
            pieces.push((chunk, Range { start: position - borders[chunk], step: range.step, len }));
            done += len;
        }
        pieces
    }
}

/// The size of the chunk between two borders.
fn size_between(pair: &[usize]) -> usize {
    if pair[0] == UNKNOWN { UNKNOWN } else { pair[1] - pair[0] }
}

/// For every chunk of a result: which chunk it comes from and which of its
/// positions it takes.
pub type AxisPieces = Vec<(usize, Range)>;

/// The chunks of an array of `shape` as the user wants them. `current` is what
/// [`ChunkSpec::Keep`] keeps.
///
/// # Errors
/// If there are not as many specs as axes, or sizes that do not add up; the
/// message names shape and chunks.
pub fn normalize(specs: &[ChunkSpec], shape: &[usize], dtype: DType, current: Option<&Chunks>) -> Result<Chunks> {
    let repeated;
    let specs = match specs {
        [one] if shape.len() != 1 && !matches!(one, ChunkSpec::Sizes(_)) => {
            repeated = vec![one.clone(); shape.len()];
            &repeated
        }
        specs => specs,
    };
    if specs.len() != shape.len() {
        return Err(Error::value(format!(
            "{} chunk sizes were given for an array of {} dimensions: chunks {}, shape {shape:?}",
            specs.len(),
            shape.len(),
            describe(specs)
        )));
    }
    let mut found: Vec<Option<Arc<[usize]>>> = Vec::with_capacity(shape.len());
    let mut limit: Option<u64> = None;
    for (axis, (spec, &length)) in specs.iter().zip(shape).enumerate() {
        if length == UNKNOWN {
            found.push(Some(unknown_axis(spec, axis, current)?));
            continue;
        }
        found.push(match spec {
            ChunkSpec::Auto => None,
            ChunkSpec::Bytes(bytes) => {
                limit = Some(limit.map_or(*bytes, |limit| limit.min(*bytes)));
                None
            }
            ChunkSpec::Whole => Some([0, length].into()),
            ChunkSpec::Keep => Some(current.map_or_else(|| [0, length].into(), |current| current.0[axis].clone())),
            ChunkSpec::Size(0) if length > 0 => {
                return Err(Error::value(format!(
                    "a chunk size of 0 along axis {axis}: chunks {}, shape {shape:?}",
                    describe(specs)
                )));
            }
            ChunkSpec::Size(size) => Some(equal_borders(length, *size)),
            ChunkSpec::Sizes(sizes) => {
                let total: usize = sizes.iter().sum();
                if total != length || sizes.is_empty() {
                    return Err(Error::value(format!(
                        "the chunks along axis {axis} add up to {total}, not to its length {length}: chunks {}, shape {shape:?}",
                        describe(specs)
                    )));
                }
                Some(borders(sizes.iter().copied()))
            }
        });
    }
    let limit = match limit {
        Some(limit) => limit,
        None => config::get_bytes("array.chunk-size")?.unwrap_or(128 << 20),
    };
    choose_automatic(&mut found, shape, dtype, limit);
    Ok(Chunks(found.into_iter().map(|borders| borders.expect("automatic sizes were chosen")).collect()))
}

/// Chunks along an axis of unknown length: those it has, or all of them in one.
fn unknown_axis(spec: &ChunkSpec, axis: usize, current: Option<&Chunks>) -> Result<Arc<[usize]>> {
    let own = current.map(|current| current.0[axis].clone());
    match (spec, own) {
        (ChunkSpec::Whole, _) => Ok(unknown_borders(1)),
        (ChunkSpec::Keep | ChunkSpec::Auto, Some(own)) => Ok(own),
        (ChunkSpec::Sizes(sizes), own) if sizes.iter().all(|&size| size == UNKNOWN) => {
            let n = sizes.len();
            Ok(own.filter(|own| own.len() == n + 1).unwrap_or_else(|| unknown_borders(n)))
        }
        _ => Err(Error::value(format!("axis {axis} has chunks of unknown sizes, which cannot be cut in another way"))
            .with_hint("call compute_chunk_sizes() on the array first")),
    }
}

/// Fills in the axes that are still open with equal sizes such that a block
/// stays within `limit` bytes; short axes are not cut.
fn choose_automatic(found: &mut [Option<Arc<[usize]>>], shape: &[usize], dtype: DType, limit: u64) {
    let fixed: f64 = found.iter().flatten().map(|borders| largest(borders).max(1) as f64).product();
    let mut room = (limit as f64 / dtype.itemsize() as f64 / fixed).max(1.0);
    let mut open: Vec<usize> = (0..shape.len()).filter(|&axis| found[axis].is_none()).collect();
    open.sort_by_key(|&axis| shape[axis]);
    for (done, &axis) in open.iter().enumerate() {
        let side = room.powf(1.0 / (open.len() - done) as f64);
        let size = near_divisor(shape[axis], (side + 1e-9) as usize);
        found[axis] = Some(equal_borders(shape[axis], size));
        room = (room / size as f64).max(1.0);
    }
}

fn largest(borders: &[usize]) -> usize {
    if borders[0] == UNKNOWN {
        return 1;
    }
    borders.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(0)
}

/// A chunk size not above `size` that divides `length` evenly if there is one
/// in the upper half of what is allowed, so that no thin last chunk remains.
fn near_divisor(length: usize, size: usize) -> usize {
    let size = size.clamp(1, length.max(1));
    let fewest = length.max(1).div_ceil(size);
    (fewest..2 * fewest).take(1 << 12).find(|n| length.is_multiple_of(*n)).map_or(size, |n| (length / n).max(1))
}

fn describe(specs: &[ChunkSpec]) -> String {
    let parts: Vec<String> = specs
        .iter()
        .map(|spec| match spec {
            ChunkSpec::Auto => "'auto'".to_owned(),
            ChunkSpec::Bytes(bytes) => format!("{bytes} bytes"),
            ChunkSpec::Whole => "-1".to_owned(),
            ChunkSpec::Keep => "None".to_owned(),
            ChunkSpec::Size(size) => size.to_string(),
            ChunkSpec::Sizes(sizes) => format!("{sizes:?}"),
        })
        .collect();
    format!("({})", parts.join(", "))
}

/// The coarsest borders that cut wherever one of the given ones cuts.
///
/// # Errors
/// If different numbers of chunks of unknown sizes lie beside each other.
pub fn common_borders(all: &[&Arc<[usize]>]) -> Result<Arc<[usize]>> {
    if all.windows(2).all(|pair| pair[0] == pair[1]) {
        return Ok(all[0].clone());
    }
    if all.iter().any(|borders| borders[0] == UNKNOWN) {
        return Err(Error::value("arrays with different numbers of chunks of unknown sizes do not lie on one another")
            .with_hint("call compute_chunk_sizes() on them first"));
    }
    let mut union: Vec<usize> = all.iter().flat_map(|borders| borders.iter().copied()).collect();
    union.sort_unstable();
    union.dedup();
    if union.len() == 1 {
        union.push(0);
    }
    Ok(union.into())
}

/// The shape that arrays broadcast to.
///
/// # Errors
/// If they do not; the message names all shapes.
pub fn broadcast_shapes(shapes: &[&[usize]]) -> Result<Dims> {
    let ndim = shapes.iter().map(|shape| shape.len()).max().unwrap_or(0);
    let mut result = Dims::from_elem(1, ndim);
    for shape in shapes {
        for (axis, &length) in (ndim - shape.len()..).zip(shape.iter()) {
            if length != 1 && result[axis] != 1 && result[axis] != length {
                let shapes: Vec<String> = shapes.iter().map(|shape| shape_text(shape)).collect();
                return Err(Error::value(format!(
                    "arrays of shapes {} do not broadcast together",
                    shapes.join(" and ")
                )));
            }
            if length != 1 {
                result[axis] = length;
            }
        }
    }
    Ok(result)
}

/// A shape as Python writes it: `(3,)`, with `nan` for lengths not known.
#[must_use]
pub fn shape_text(shape: &[usize]) -> String {
    let text = |&length: &usize| if length == UNKNOWN { "nan".to_owned() } else { length.to_string() };
    match shape {
        [one] => format!("({},)", text(one)),
        shape => format!("({})", shape.iter().map(text).collect::<Vec<_>>().join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(chunks: &Chunks) -> Vec<Vec<usize>> {
        (0..chunks.ndim()).map(|axis| chunks.sizes(axis).collect()).collect()
    }

    #[test]
    fn specs_in_all_spellings() {
        let shape = [10, 4];
        let of = |specs: &[ChunkSpec]| sizes(&normalize(specs, &shape, DType::F64, None).unwrap());
        assert_eq!(of(&[ChunkSpec::Size(4)]), [vec![4, 4, 2], vec![4]]);
        assert_eq!(of(&[ChunkSpec::Whole, ChunkSpec::Sizes(vec![1, 3])]), [vec![10], vec![1, 3]]);
        assert_eq!(of(&[ChunkSpec::Auto, ChunkSpec::Whole]), [vec![10], vec![4]]);
        assert_eq!(of(&[ChunkSpec::Bytes(160), ChunkSpec::Whole]), [vec![5, 5], vec![4]]);
    }

    #[test]
    fn automatic_blocks_stay_within_the_limit() {
        let chunks = normalize(&[ChunkSpec::Bytes(1 << 20)], &[100_000, 37, 5000], DType::F64, None).unwrap();
        let block: usize = chunks.chunksize().iter().product();
        assert!(block * 8 <= 1 << 20, "{block}");
        assert!(block * 8 >= 1 << 18, "{block}");
        assert_eq!(chunks.n_along(1), 1);
    }

    #[test]
    fn mistakes_name_shape_and_chunks() {
        let error = normalize(&[ChunkSpec::Sizes(vec![3, 3])], &[7], DType::F64, None).unwrap_err();
        assert!(error.message().contains("[3, 3]") && error.message().contains("[7]"), "{error}");
        assert!(normalize(&[ChunkSpec::Size(1), ChunkSpec::Size(1)], &[7], DType::F64, None).is_err());
        let error = broadcast_shapes(&[&[3, 4], &[5]]).unwrap_err();
        assert!(error.message().contains("(3, 4)") && error.message().contains("(5,)"), "{error}");
    }

    #[test]
    fn picks_keep_one_block_per_block() {
        let chunks = Chunks::from_sizes([vec![4, 4, 2]]);
        let (picked, pieces) = chunks.picked(&[Pick::Range(Range { start: 9, step: -3, len: 4 })]);
        assert_eq!(sizes(&picked), [vec![1, 1, 2]]);
        assert_eq!(pieces[0][2], (0, Range { start: 3, step: -3, len: 2 }));
        let (picked, _) = chunks.picked(&[Pick::Range(Range { start: 0, step: 2, len: 5 })]);
        assert_eq!(sizes(&picked), [vec![2, 2, 1]]);
    }
}

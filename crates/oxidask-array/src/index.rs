//! Basic indices: integers, slices, new axes and the ellipsis.
//!
//! Users' indices are resolved against a shape once, at the line that indexes;
//! from then on there are only [`Pick`]s, which are always within bounds.

use crate::chunks::{UNKNOWN, shape_text};
use oxidask_core::{Error, Result};
use serde::{Deserialize, Serialize};
use std::ops;

/// One entry of an index, as the user writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Index {
    /// One position; negative counts from the end. The axis disappears.
    At(i64),
    /// `start:stop:step` with Python's meaning.
    Slice {
        /// First position.
        start: Option<i64>,
        /// End, exclusive.
        stop: Option<i64>,
        /// Step, not zero.
        step: i64,
    },
    /// A new axis of length one.
    NewAxis,
    /// As many full slices as there are axes left.
    Ellipsis,
}

impl From<i64> for Index {
    fn from(position: i64) -> Self {
        Index::At(position)
    }
}

impl From<i32> for Index {
    fn from(position: i32) -> Self {
        Index::At(position.into())
    }
}

impl From<ops::RangeFull> for Index {
    fn from(_: ops::RangeFull) -> Self {
        Index::Slice { start: None, stop: None, step: 1 }
    }
}

impl From<ops::Range<i64>> for Index {
    fn from(range: ops::Range<i64>) -> Self {
        Index::Slice { start: Some(range.start), stop: Some(range.end), step: 1 }
    }
}

impl From<ops::RangeFrom<i64>> for Index {
    fn from(range: ops::RangeFrom<i64>) -> Self {
        Index::Slice { start: Some(range.start), stop: None, step: 1 }
    }
}

impl From<ops::RangeTo<i64>> for Index {
    fn from(range: ops::RangeTo<i64>) -> Self {
        Index::Slice { start: None, stop: Some(range.end), step: 1 }
    }
}

impl<R: Into<Index>> From<(R, i64)> for Index {
    /// A range with a step: `(.., 2)` is Python's `::2`.
    fn from((range, step): (R, i64)) -> Self {
        match range.into() {
            Index::Slice { start, stop, .. } => Index::Slice { start, stop, step },
            other => other,
        }
    }
}

/// Builds a list of [`Index`] entries: positions, ranges, ranges with a step
/// as a pair, `Index::NewAxis` and `Index::Ellipsis`.
///
/// ```
/// use oxidask_array::{Index, s};
/// let index = s![(.., 2), 5..10, -1];
/// assert_eq!(index[2], Index::At(-1));
/// assert_eq!(index[0], Index::Slice { start: None, stop: None, step: 2 });
/// ```
#[macro_export]
macro_rules! s {
    ($($entry:expr),* $(,)?) => {
        [$($crate::Index::from($entry)),*]
    };
}

/// The positions `start, start + step, …`, `len` of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Range {
    /// First position.
    pub start: usize,
    /// Step, may be negative.
    pub step: isize,
    /// How many.
    pub len: usize,
}

impl Range {
    /// All positions of an axis.
    #[must_use]
    pub fn full(len: usize) -> Self {
        Range { start: 0, step: 1, len }
    }

    /// Whether it is all positions of an axis of this length, in order.
    #[must_use]
    pub fn is_full(self, len: usize) -> bool {
        self.len == len && (len == 0 || (self.start == 0 && (self.step == 1 || len == 1)))
    }

    /// The positions that `inner` picks among these.
    #[must_use]
    pub fn then(self, inner: Range) -> Range {
        Range {
            start: self.start.saturating_add_signed(inner.start as isize * self.step),
            step: self.step * inner.step,
            len: inner.len,
        }
    }
}

/// What is taken of one axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Pick {
    /// One position; the axis disappears.
    At(usize),
    /// Some positions; the axis stays.
    Range(Range),
}

impl Pick {
    /// The picked positions; a single one as a range of length one.
    #[must_use]
    pub fn range(self) -> Range {
        match self {
            Pick::At(start) => Range { start, step: 1, len: 1 },
            Pick::Range(range) => range,
        }
    }
}

/// An index fitted to a shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// One entry for every axis of the indexed array.
    pub picks: Vec<Pick>,
    /// Positions of new axes, in the result's numbering, ascending.
    pub new_axes: Vec<usize>,
}

/// Fits an index to a shape.
///
/// # Errors
/// If there are more entries than axes, more than one ellipsis, a position out
/// of bounds or a step of zero.
pub fn resolve(index: &[Index], shape: &[usize]) -> Result<Resolved> {
    let n_used = index.iter().filter(|entry| matches!(entry, Index::At(_) | Index::Slice { .. })).count();
    if n_used > shape.len() {
        return Err(Error::index(format!("{n_used} indices for an array of shape {}", shape_text(shape))));
    }
    if index.iter().filter(|entry| matches!(entry, Index::Ellipsis)).count() > 1 {
        return Err(Error::index("an index may have only one ellipsis ('...')"));
    }
    let n_rest = shape.len() - n_used;
    let mut resolved = Resolved { picks: Vec::new(), new_axes: Vec::new() };
    let mut n_out = 0;
    let fill = |resolved: &mut Resolved, n_out: &mut usize| {
        for _ in 0..n_rest {
            resolved.picks.push(Pick::Range(Range::full(shape[resolved.picks.len()])));
            *n_out += 1;
        }
    };
    let mut has_ellipsis = false;
    for entry in index {
        let axis = resolved.picks.len();
        match *entry {
            Index::NewAxis => {
                resolved.new_axes.push(n_out);
                n_out += 1;
            }
            Index::Ellipsis => {
                has_ellipsis = true;
                fill(&mut resolved, &mut n_out);
            }
            Index::Slice { start: None, stop: None, step: 1 } => {
                resolved.picks.push(Pick::Range(Range::full(shape[axis])));
                n_out += 1;
            }
            Index::At(_) | Index::Slice { .. } if shape[axis] == UNKNOWN => {
                return Err(Error::value(format!(
                    "axis {axis} has an unknown length (shape {}), so that its positions cannot be named",
                    shape_text(shape)
                ))
                .with_hint("call compute_chunk_sizes() on the array first"));
            }
            Index::At(position) => resolved.picks.push(Pick::At(position_in(position, axis, shape)?)),
            Index::Slice { start, stop, step } => {
                let range = range_in(start, stop, step, shape[axis])?;
                resolved.picks.push(Pick::Range(range));
                n_out += 1;
            }
        }
    }
    if !has_ellipsis {
        fill(&mut resolved, &mut n_out);
    }
    Ok(resolved)
}

fn position_in(position: i64, axis: usize, shape: &[usize]) -> Result<usize> {
    let length = shape[axis] as i64;
    let actual = if position < 0 { position + length } else { position };
    if (0..length).contains(&actual) {
        Ok(actual as usize)
    } else {
        Err(Error::index(format!(
            "index {position} is out of bounds for axis {axis} of length {length} (shape {})",
            shape_text(shape)
        )))
    }
}

/// Python's `slice.indices`, as a start, a step and a length.
fn range_in(start: Option<i64>, stop: Option<i64>, step: i64, length: usize) -> Result<Range> {
    if step == 0 {
        return Err(Error::value("a slice's step may not be zero"));
    }
    let length = length as i64;
    // Positions where a walk may begin or end, in the direction of the step.
    let (lowest, highest) = if step > 0 { (0, length) } else { (-1, length - 1) };
    let clamp =
        |position: i64| (if position < 0 { position.saturating_add(length) } else { position }).clamp(lowest, highest);
    let start = start.map_or(if step > 0 { lowest } else { highest }, clamp);
    let stop = stop.map_or(if step > 0 { highest } else { lowest }, clamp);
    let span = if step > 0 { stop - start } else { start - stop };
    let len = if span <= 0 { 0 } else { (span as u64).div_ceil(step.unsigned_abs()) as usize };
    let start = if len == 0 { 0 } else { start as usize };
    Ok(Range { start, step: if len <= 1 { 1 } else { step as isize }, len })
}

/// An axis given as the user writes it, negative from the end.
///
/// # Errors
/// If there is no such axis.
pub fn axis_in(axis: i64, ndim: usize) -> Result<usize> {
    let actual = if axis < 0 { axis + ndim as i64 } else { axis };
    usize::try_from(actual).ok().filter(|&axis| axis < ndim).ok_or_else(|| {
        Error::value(format!(
            "axis {axis} is out of bounds for an array of {ndim} dimension{}",
            if ndim == 1 { "" } else { "s" }
        ))
    })
}

/// Several axes given as the user writes them, sorted; none means all.
///
/// # Errors
/// If there is no such axis or one is named twice.
pub fn axes_in(axes: Option<&[i64]>, ndim: usize) -> Result<Vec<usize>> {
    let Some(axes) = axes else { return Ok((0..ndim).collect()) };
    let mut found = axes.iter().map(|&axis| axis_in(axis, ndim)).collect::<Result<Vec<usize>>>()?;
    found.sort_unstable();
    if found.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(Error::value(format!("an axis is named twice in {axes:?}")));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picked(start: Option<i64>, stop: Option<i64>, step: i64, length: usize) -> Vec<i64> {
        let range = range_in(start, stop, step, length).unwrap();
        (0..range.len as i64).map(|i| range.start as i64 + i * range.step as i64).collect()
    }

    #[test]
    fn slices_have_pythons_meaning() {
        assert_eq!(picked(None, None, 1, 3), [0, 1, 2]);
        assert_eq!(picked(None, None, -1, 3), [2, 1, 0]);
        assert_eq!(picked(Some(-2), None, 1, 5), [3, 4]);
        assert_eq!(picked(Some(10), Some(-10), -2, 5), [4, 2, 0]);
        assert_eq!(picked(Some(3), Some(1), 1, 5), [] as [i64; 0]);
        assert_eq!(picked(Some(1), Some(100), 3, 8), [1, 4, 7]);
        assert_eq!(picked(None, None, -1, 0), [] as [i64; 0]);
    }

    #[test]
    fn indices_resolve_or_say_why_not() {
        let resolved = resolve(&s![Index::NewAxis, -1, Index::Ellipsis, (.., 2)], &[3, 4, 5]).unwrap();
        assert_eq!(resolved.new_axes, [0]);
        assert_eq!(resolved.picks[0], Pick::At(2));
        assert_eq!(resolved.picks[2], Pick::Range(Range { start: 0, step: 2, len: 3 }));
        let error = resolve(&s![7], &[3]).unwrap_err();
        assert!(error.message().contains("index 7 is out of bounds for axis 0 of length 3"), "{error}");
        assert!(resolve(&s![1, 1], &[3]).is_err());
        assert!(axis_in(2, 2).is_err());
        assert_eq!(axes_in(Some(&[-1, 0]), 3).unwrap(), [0, 2]);
        assert!(axes_in(Some(&[0, -3]), 3).is_err());
    }
}

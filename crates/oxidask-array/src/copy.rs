//! Elements moved between memory of different layouts.

use crate::block::{Block, Dims, Strides};

/// A shape with several sets of strides, with axes joined wherever all of the
/// sets allow it, so that inner loops are long.
pub struct Walk {
    /// The joined axes' lengths.
    pub shape: Dims,
    /// For each set, the strides along the joined axes.
    pub strides: Vec<Strides>,
}

impl Walk {
    /// The walk over `shape` with these sets of strides; with `reorder`, axes are
    /// taken in whatever order reads memory best.
    #[must_use]
    pub fn new(shape: &[usize], sets: &[&[isize]], reorder: bool) -> Walk {
        let mut axes: Vec<usize> = (0..shape.len()).filter(|&axis| shape[axis] != 1).collect();
        if reorder {
            // Small steps innermost; equal ones keep their order.
            let step = |axis: usize| sets.iter().map(|set| set[axis].unsigned_abs() as u128).sum::<u128>();
            axes.sort_by_key(|&axis| std::cmp::Reverse(step(axis)));
        }
        let mut joined = Dims::new();
        let mut strides: Vec<Strides> = vec![Strides::new(); sets.len()];
        for axis in axes {
            let length = shape[axis];
            let joins = !joined.is_empty()
                && sets.iter().zip(&strides).all(|(set, strides)| {
                    strides.last().is_some_and(|&outer| outer == set[axis].wrapping_mul(length as isize))
                });
            if joins {
                *joined.last_mut().expect("there is an axis to join") *= length;
                for (set, strides) in sets.iter().zip(&mut strides) {
                    *strides.last_mut().expect("there is an axis to join") = set[axis];
                }
            } else {
                joined.push(length);
                for (set, strides) in sets.iter().zip(&mut strides) {
                    strides.push(set[axis]);
                }
            }
        }
        if joined.is_empty() {
            joined.push(1);
            strides.iter_mut().for_each(|strides| strides.push(0));
        }
        Walk { shape: joined, strides }
    }

    /// The length of the innermost axis.
    #[must_use]
    pub fn row(&self) -> usize {
        self.shape[self.shape.len() - 1]
    }

    /// The stride of a set along the innermost axis.
    #[must_use]
    pub fn inner(&self, set: usize) -> isize {
        self.strides[set][self.shape.len() - 1]
    }

    /// Moves from one row to the next; `offsets` has one entry for each set.
    pub fn advance(&self, index: &mut [usize], offsets: &mut [isize]) {
        for axis in (0..self.shape.len() - 1).rev() {
            index[axis] += 1;
            let wraps = index[axis] == self.shape[axis];
            let steps = if wraps { 1 - self.shape[axis] as isize } else { 1 };
            for (offset, strides) in offsets.iter_mut().zip(&self.strides) {
                *offset = offset.wrapping_add(strides[axis].wrapping_mul(steps));
            }
            if !wraps {
                return;
            }
            index[axis] = 0;
        }
    }
}

/// Copies `n` elements with a step to a register.
///
/// # Safety
/// All elements that are read lie in memory, `to` has room for `n`.
pub unsafe fn gather(itemsize: usize, from: *const u8, step: isize, to: *mut u8, n: usize) {
    macro_rules! gather_as {
        ($type:ty) => {{
            let (from, to) = (from.cast::<$type>(), to.cast::<$type>());
            for i in 0..n {
                // SAFETY: passed on to the caller.
                unsafe { to.add(i).write_unaligned(from.offset(i as isize * step).read_unaligned()) };
            }
        }};
    }
    if step == 1 {
        // SAFETY: passed on to the caller; a register overlaps no block.
        unsafe { std::ptr::copy_nonoverlapping(from, to, n * itemsize) };
        return;
    }
    match itemsize {
        1 => gather_as!(u8),
        2 => gather_as!(u16),
        4 => gather_as!(u32),
        8 => gather_as!(u64),
        16 => gather_as!(u128),
        // SAFETY: passed on to the caller.
        _ => unsafe { scatter(itemsize, (from, step), (to, 1), n) },
    }
}

/// Copies a block to memory with strides of its own.
///
/// # Safety
/// `to` has room for every element that the shape and `strides` name.
pub unsafe fn copy_into(block: &Block, to: *mut u8, strides: &[isize]) {
    // SAFETY: passed on to the caller; a block's own memory is always valid.
    unsafe { copy_strided(block.shape(), block.dtype().itemsize(), (block.as_ptr(), block.strides()), (to, strides)) };
}

/// Copies elements between two memory layouts of one shape.
///
/// # Safety
/// All elements that the shape and both strides name exist, and the memories do
/// not overlap.
pub unsafe fn copy_strided(shape: &[usize], itemsize: usize, from: (*const u8, &[isize]), to: (*mut u8, &[isize])) {
    if shape.contains(&0) {
        return;
    }
    let walk = Walk::new(shape, &[from.1, to.1], false);
    let ndim = walk.shape.len();
    let (row, from_step, to_step) = (walk.row(), walk.inner(0), walk.inner(1));
    let size = itemsize as isize;
    // A transposed copy goes square by square, so that each cache line that is
    // read is used up before it is evicted.
    let transposed = ndim >= 2 && from_step.unsigned_abs() > 8 && to_step == 1;
    let (rows_at_once, columns_at_once) = if transposed { (walk.shape[ndim - 2].min(32), 32) } else { (1, row) };
    let n_rows: usize = walk.shape[..ndim - 1].iter().product();
    let mut index = Dims::from_elem(0, ndim);
    let mut offsets = [0_isize; 2];
    let mut starts: Vec<[isize; 2]> = Vec::with_capacity(rows_at_once);
    let mut done = 0;
    while done < n_rows {
        let rows = rows_at_once.min(n_rows - done);
        starts.clear();
        for _ in 0..rows {
            starts.push(offsets);
            walk.advance(&mut index, &mut offsets);
        }
        done += rows;
        for column in (0..row).step_by(columns_at_once) {
            let n = columns_at_once.min(row - column);
            for start in &starts {
                // SAFETY: the walk stays inside the shape.
                unsafe {
                    let source = from.0.wrapping_offset((start[0] + column as isize * from_step) * size);
                    let target = to.0.wrapping_offset((start[1] + column as isize * to_step) * size);
                    if to_step == 1 {
                        gather(itemsize, source, from_step, target, n);
                    } else {
                        scatter(itemsize, (source, from_step), (target, to_step), n);
                    }
                }
            }
        }
    }
}

/// Copies `n` elements with a step on both sides.
///
/// # Safety
/// All of them exist.
pub unsafe fn scatter(itemsize: usize, from: (*const u8, isize), to: (*mut u8, isize), n: usize) {
    for i in 0..n as isize {
        let source = from.0.wrapping_offset(i * from.1 * itemsize as isize);
        let target = to.0.wrapping_offset(i * to.1 * itemsize as isize);
        // SAFETY: passed on to the caller.
        unsafe { std::ptr::copy_nonoverlapping(source, target, itemsize) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transposed_copies_are_exact() {
        let block = Block::from_vec((0..100 * 67).collect::<Vec<i32>>(), &[100, 67]);
        let transposed = block.view(0, Dims::from_slice(&[67, 100]), Strides::from_slice(&[1, 67]));
        let values = transposed.to_vec::<i32>().unwrap();
        assert!((0..67).all(|i| (0..100).all(|j| values[i * 100 + j] == (j * 67 + i) as i32)));
    }
}

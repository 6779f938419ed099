//! One chunk of an array in memory.
//!
//! A [`Block`] is a view (shape and strides) of a shared buffer. Slices and
//! transposes of blocks are new views, never copies; NumPy's memory is used in
//! place through an owner that keeps it alive. Nothing ever writes to a block
//! that exists.

use crate::dtype::{DType, Element};
use crate::memory::{Filled, Memory};
use bytes::Bytes;
use oxidask_core::{Data, Decode, Error, ErrorKind, Frames, Result};
use oxidask_macros::data;
use smallvec::SmallVec;
use std::mem::MaybeUninit;
use std::sync::Arc;

/// Lengths per axis.
pub type Dims = SmallVec<[usize; 4]>;
/// Steps per axis, in elements.
pub type Strides = SmallVec<[isize; 4]>;

/// A chunk of an array: an immutable, shared, possibly strided view of memory.
#[data("array.block")]
#[derive(Clone, Debug)]
pub struct Block {
    dtype: DType,
    buffer: Bytes,
    /// Position of the first element, in elements.
    offset: usize,
    shape: Dims,
    strides: Strides,
    /// Counts the blocks over memory of our own; none for memory of others.
    owners: Option<Arc<()>>,
}

/// A buffer that counts as an owner of its memory.
struct Counted(Bytes, #[allow(dead_code, reason = "held to be counted")] Arc<()>);

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// A vector as the owner of a buffer.
struct Owner<T>(Vec<T>);

impl<T: Element> AsRef<[u8]> for Owner<T> {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: elements are plain numbers without padding, so that their
        // memory is initialised bytes; the length is that of the vector.
        unsafe { std::slice::from_raw_parts(self.0.as_ptr().cast(), std::mem::size_of_val(self.0.as_slice())) }
    }
}

/// Strides of contiguous memory in C order.
#[must_use]
pub fn contiguous_strides(shape: &[usize]) -> Strides {
    let mut strides = Strides::from_elem(1, shape.len());
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis].max(1) as isize;
    }
    strides
}

impl Block {
    /// A block that takes over a vector in C order.
    ///
    /// # Panics
    /// If the vector's length is not that of the shape.
    #[must_use]
    pub fn from_vec<T: Element>(values: Vec<T>, shape: &[usize]) -> Self {
        assert_eq!(values.len(), shape.iter().product::<usize>(), "the values fill the shape");
        Block {
            dtype: T::DTYPE,
            buffer: if values.is_empty() { Bytes::new() } else { Bytes::from_owner(Owner(values)) },
            offset: 0,
            shape: shape.into(),
            strides: contiguous_strides(shape),
            owners: Some(Arc::new(())),
        }
    }

    /// As [`Block::from_vec`], for elements that several dtypes have, such as
    /// [`crate::dtype::Ticks`].
    ///
    /// # Panics
    /// If the elements are not those of the dtype, or do not fill the shape.
    #[must_use]
    pub fn from_vec_as<T: Element>(dtype: DType, values: Vec<T>, shape: &[usize]) -> Self {
        assert!(T::is_of(dtype), "the elements are those of the dtype");
        Block { dtype, ..Block::from_vec(values, shape) }
    }

    /// A block in C order whose memory `fill` writes.
    ///
    /// # Errors
    /// Those of `fill`.
    ///
    /// # Safety
    /// `fill` writes all elements of the shape, unless it answers an error. It
    /// is given memory for exactly these, aligned for every dtype.
    pub unsafe fn filled(dtype: DType, shape: &[usize], fill: impl FnOnce(*mut u8) -> Result<()>) -> Result<Self> {
        let n_bytes = shape.iter().product::<usize>() * dtype.itemsize();
        if n_bytes == 0 {
            return Block::from_buffer(dtype, Bytes::new(), 0, shape, &contiguous_strides(shape));
        }
        let memory = Memory::new(n_bytes);
        fill(memory.as_ptr())?;
        // SAFETY: the caller vouches that all elements were written.
        Ok(unsafe { Block::of_memory(dtype, Arc::new(memory), shape) })
    }

    /// As [`Block::filled`], with the memory as elements of the dtype's type.
    ///
    /// # Errors
    /// If the elements are not those of the dtype.
    ///
    /// # Safety
    /// `write` writes all elements.
    pub unsafe fn written<T: Element>(
        dtype: DType,
        shape: &[usize],
        write: impl FnOnce(&mut [MaybeUninit<T>]),
    ) -> Result<Self> {
        if !T::is_of(dtype) {
            return Err(Error::type_(format!("a block of {dtype} is not one of {}s", T::DTYPE)));
        }
        let n = shape.iter().product();
        let fill = |memory: *mut u8| {
            // SAFETY: the memory is for `n` elements of this size, aligned for
            // every dtype, and may hold anything yet.
            write(unsafe { std::slice::from_raw_parts_mut(memory.cast(), n) });
            Ok(())
        };
        // SAFETY: passed on to the caller.
        unsafe { Block::filled(dtype, shape, fill) }
    }

    /// The block in C order that was written to memory.
    ///
    /// # Safety
    /// The memory was asked for with room for the shape, whose elements have all
    /// been written and will not be written again.
    #[must_use]
    pub(crate) unsafe fn of_memory(dtype: DType, memory: Arc<Memory>, shape: &[usize]) -> Self {
        // SAFETY: passed on to the caller.
        let filled = unsafe { Filled::new(memory, shape.iter().product::<usize>() * dtype.itemsize()) };
        Block {
            dtype,
            buffer: Bytes::from_owner(filled),
            offset: 0,
            shape: shape.into(),
            strides: contiguous_strides(shape),
            owners: Some(Arc::new(())),
        }
    }

    /// The same memory seen as elements of another dtype of the same size.
    ///
    /// # Panics
    /// If the sizes differ.
    #[must_use]
    pub fn with_dtype(self, dtype: DType) -> Self {
        assert_eq!(self.dtype.itemsize(), dtype.itemsize(), "the dtypes have one size");
        Block { dtype, ..self }
    }

    /// A block over memory that somebody else owns, such as NumPy's: `buffer`
    /// spans all elements, `offset` and `strides` are in elements.
    ///
    /// # Errors
    /// If the memory is not aligned for the dtype or a view would leave it.
    pub fn from_buffer(dtype: DType, buffer: Bytes, offset: usize, shape: &[usize], strides: &[isize]) -> Result<Self> {
        let block = Block { dtype, buffer, offset, shape: shape.into(), strides: strides.into(), owners: None };
        block.check()?;
        Ok(block)
    }

    fn check(&self) -> Result<()> {
        if self.is_empty() {
            return Ok(());
        }
        let (mut low, mut high) = (self.offset as i128, self.offset as i128);
        for (&length, &stride) in self.shape.iter().zip(&self.strides) {
            let reach = stride as i128 * (length as i128 - 1);
            low += reach.min(0);
            high += reach.max(0);
        }
        let aligned = (self.buffer.as_ptr() as usize).is_multiple_of(self.dtype.alignment());
        let n_elements = (self.buffer.len() / self.dtype.itemsize()) as i128;
        if !aligned || low < 0 || high >= n_elements || self.shape.len() != self.strides.len() {
            return Err(Error::new(
                ErrorKind::Version,
                format!("a block of shape {:?} does not fit its buffer", self.shape.as_slice()),
            ));
        }
        Ok(())
    }

    /// The dtype.
    #[must_use]
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// The shape.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The strides, in elements.
    #[must_use]
    pub fn strides(&self) -> &[isize] {
        &self.strides
    }

    /// The shared memory and the position of the first element in it, in
    /// elements.
    #[must_use]
    pub fn buffer(&self) -> (&Bytes, usize) {
        (&self.buffer, self.offset)
    }

    /// Whether nobody else can see this block's memory, so that whoever takes the
    /// block may hand the memory on as writable.
    #[must_use]
    pub fn is_exclusive(&self) -> bool {
        self.owners.as_ref().is_some_and(|owners| Arc::strong_count(owners) == 1)
    }

    /// Number of elements.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether there is no element.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.shape.contains(&0)
    }

    /// Whether the elements lie one after another in C order.
    #[must_use]
    pub fn is_contiguous(&self) -> bool {
        let mut expected = 1;
        for (&length, &stride) in self.shape.iter().zip(&self.strides).rev() {
            if length == 0 {
                return true;
            }
            if length != 1 && stride != expected {
                return false;
            }
            expected *= length as isize;
        }
        true
    }

    /// The address of the first element. Valid for reads of every element that
    /// shape and strides name, for as long as the block lives.
    #[must_use]
    pub fn as_ptr(&self) -> *const u8 {
        self.buffer.as_ptr().wrapping_add(self.offset * self.dtype.itemsize())
    }

    /// The elements as a slice, if they are of this type and contiguous.
    #[must_use]
    pub fn as_slice<T: Element>(&self) -> Option<&[T]> {
        if !T::is_of(self.dtype) || !self.is_contiguous() {
            return None;
        }
        if self.is_empty() {
            return Some(&[]);
        }
        // SAFETY: `check` or the constructor made sure that all elements lie in
        // the buffer and are aligned; any bit pattern is a valid element.
        Some(unsafe { std::slice::from_raw_parts(self.as_ptr().cast(), self.len()) })
    }

    /// The elements in C order.
    ///
    /// # Errors
    /// If the block is of another dtype.
    pub fn to_vec<T: Element>(&self) -> Result<Vec<T>> {
        if !T::is_of(self.dtype) {
            return Err(Error::type_(format!("a block of {} was asked for its {}s", self.dtype, T::DTYPE)));
        }
        if let Some(slice) = self.as_slice() {
            return Ok(slice.to_vec());
        }
        Ok(self.to_contiguous().as_slice().map(<[T]>::to_vec).unwrap_or_default())
    }

    /// The single element of a block of one element.
    ///
    /// # Errors
    /// If it has another dtype or another number of elements.
    pub fn item<T: Element>(&self) -> Result<T> {
        match self.to_vec()?.as_slice() {
            [item] => Ok(*item),
            items => Err(Error::value(format!("a block of {} elements is not a single number", items.len()))),
        }
    }

    /// The same elements, contiguous; shares the memory if they are already.
    #[must_use]
    pub fn to_contiguous(&self) -> Block {
        if self.is_contiguous() {
            return self.clone();
        }
        self.to_owned_copy()
    }

    /// The same elements in memory of their own.
    #[must_use]
    pub fn to_owned_copy(&self) -> Block {
        let fill = |memory: *mut u8| {
            // SAFETY: the memory has room for every element of the shape.
            unsafe { crate::copy::copy_into(self, memory, &contiguous_strides(&self.shape)) };
            Ok(())
        };
        // SAFETY: the copy writes every element once.
        let copy = unsafe { Block::filled(self.dtype, &self.shape, fill) };
        copy.expect("copying does not fail")
    }

    /// A view with other shape and strides, starting `offset` elements further.
    ///
    /// # Panics
    /// If the view would leave the buffer, which is a mistake of the caller.
    #[must_use]
    pub fn view(&self, offset: isize, shape: Dims, strides: Strides) -> Block {
        let offset = self.offset.checked_add_signed(offset).expect("a view starts inside its buffer");
        let block = Block { offset, shape, strides, ..self.clone() };
        block.check().expect("a view stays inside its buffer");
        block
    }

    /// The elements `start, start + step, …` of each axis, as a view.
    #[must_use]
    pub fn sliced(&self, ranges: &[crate::index::Range]) -> Block {
        let mut offset = 0;
        let (mut shape, mut strides) = (Dims::new(), Strides::new());
        for (axis, range) in ranges.iter().enumerate() {
            offset += range.start as isize * self.strides[axis];
            shape.push(range.len);
            strides.push(range.step * self.strides[axis]);
        }
        if shape.contains(&0) {
            offset = 0;
        }
        self.view(offset, shape, strides)
    }

    /// The same elements in another shape; copies only if they must move.
    #[must_use]
    pub fn reshaped(&self, shape: &[usize]) -> Block {
        debug_assert_eq!(shape.iter().product::<usize>(), self.len());
        self.to_contiguous().view(0, shape.into(), contiguous_strides(shape))
    }
}

impl Data for Block {
    fn nbytes(&self) -> u64 {
        (self.len() * self.dtype.itemsize()) as u64
    }

    fn encode(&self) -> Result<Frames> {
        let block = self.to_contiguous();
        let header = postcard::to_allocvec(&(block.dtype, block.shape.as_slice()))?;
        let size = block.dtype.itemsize();
        let buffer = if block.is_empty() {
            Bytes::new()
        } else {
            let used = block.buffer.slice(block.offset * size..(block.offset + block.len()) * size);
            match &block.owners {
                Some(owners) => Bytes::from_owner(Counted(used, owners.clone())),
                None => used,
            }
        };
        Ok(Frames { header: header.into(), buffers: vec![buffer] })
    }

    fn describe(&self) -> String {
        format!("an array of {} and shape {:?}", self.dtype, self.shape.as_slice())
    }
}

impl Decode for Block {
    fn decode(frames: Frames) -> Result<Self> {
        let (dtype, shape): (DType, Vec<usize>) = postcard::from_bytes(&frames.header)?;
        let Ok([buffer]) = <[Bytes; 1]>::try_from(frames.buffers) else {
            return Err(Error::new(ErrorKind::Version, "a block arrived without its buffer"));
        };
        let aligned = (buffer.as_ptr() as usize).is_multiple_of(dtype.alignment());
        let buffer = if aligned { buffer } else { aligned_copy(&buffer) };
        Block::from_buffer(dtype, buffer, 0, &shape, &contiguous_strides(&shape))
    }
}

/// The same bytes at an address that suits every element type.
fn aligned_copy(bytes: &[u8]) -> Bytes {
    let words: Vec<u64> = bytes
        .chunks(8)
        .map(|chunk| {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            u64::from_ne_bytes(word)
        })
        .collect();
    Bytes::from_owner(Owner(words)).slice(..bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::Range;

    #[test]
    fn views_share_and_encode_compactly() {
        let block = Block::from_vec((0..12_i32).collect(), &[3, 4]);
        let view = block.sliced(&[Range { start: 2, step: -1, len: 2 }, Range { start: 1, step: 2, len: 2 }]);
        assert_eq!(view.to_vec::<i32>().unwrap(), [9, 11, 5, 7]);
        let back = Block::decode(view.encode().unwrap()).unwrap();
        assert_eq!(back.shape(), [2, 2]);
        assert_eq!(back.to_vec::<i32>().unwrap(), [9, 11, 5, 7]);
        let frames = block.encode().unwrap();
        assert_eq!(frames.buffers[0].as_ptr(), block.as_ptr(), "a contiguous block travels without a copy");
    }

    #[test]
    fn misaligned_memory_is_copied_and_short_memory_refused() {
        let bytes = Bytes::from(vec![0_u8; 33]);
        let shifted = bytes.slice(1..33);
        let header: Bytes = postcard::to_allocvec(&(DType::F64, [4_usize].as_slice())).unwrap().into();
        let frames = Frames { header: header.clone(), buffers: vec![shifted] };
        assert_eq!(Block::decode(frames).unwrap().to_vec::<f64>().unwrap(), [0.0; 4]);
        let short = Frames { header, buffers: vec![bytes.slice(..24)] };
        assert!(Block::decode(short).is_err());
    }

    #[test]
    fn empty_blocks_have_no_elements() {
        let block = Block::from_vec(Vec::<f32>::new(), &[0, 3]);
        assert_eq!(Block::decode(block.encode().unwrap()).unwrap().shape(), [0, 3]);
        assert_eq!(block.to_vec::<f32>().unwrap(), []);
    }
}

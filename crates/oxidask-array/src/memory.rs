//! Memory of blocks.
//!
//! Touching fresh memory page by page costs more than many computations, so
//! large blocks lie on large pages where the system has them, and memory that is
//! given back is kept for the next block of its size, within a bound.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::collections::VecDeque;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, PoisonError};

/// Blocks from this size on are put on large pages and kept for others.
const LARGE_BYTES: usize = 1 << 20;
/// The size of a large page, to which large blocks are aligned.
const LARGE_PAGE: usize = 2 << 20;
/// What suits every element type and every vector instruction.
const SMALL_ALIGNMENT: usize = 64;
/// Bytes that are kept for others at most, and which share of the memory limit if that is less.
const KEPT_BYTES: usize = 192 << 20;
const KEPT_SHARE: u64 = 16;

/// Memory of a fixed size that is not initialised.
pub struct Memory {
    start: NonNull<u8>,
    layout: Layout,
}

// SAFETY: the memory belongs to this value alone, as that of a vector does.
unsafe impl Send for Memory {}
// SAFETY: a shared reference only tells the address.
unsafe impl Sync for Memory {}

/// Memory given back, the oldest first.
static KEPT: Mutex<VecDeque<Memory>> = Mutex::new(VecDeque::new());

impl Memory {
    /// Memory for at least `n_bytes`.
    #[must_use]
    pub fn new(n_bytes: usize) -> Self {
        let is_large = n_bytes >= LARGE_BYTES;
        let (size, alignment) = if is_large {
            // Chunks of nearly one size share what is kept.
            (n_bytes.next_multiple_of(LARGE_PAGE / 8), LARGE_PAGE)
        } else {
            (n_bytes.max(1), SMALL_ALIGNMENT)
        };
        let layout = Layout::from_size_align(size, alignment).expect("a block fits the address space");
        if is_large && let Some(kept) = Memory::take_kept(layout) {
            return kept;
        }
        // SAFETY: the size is not zero.
        let Some(start) = NonNull::new(unsafe { alloc(layout) }) else { handle_alloc_error(layout) };
        let memory = Memory { start, layout };
        #[cfg(target_os = "linux")]
        if is_large {
            // SAFETY: the range lies inside memory that was just allocated, and
            // the advice changes nothing of its content. That it is not followed
            // everywhere is no error.
            let _ = unsafe { rustix::mm::madvise(start.as_ptr().cast(), size, rustix::mm::Advice::LinuxHugepage) };
        }
        memory
    }

    fn take_kept(layout: Layout) -> Option<Memory> {
        let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
        let found = kept.iter().rposition(|memory| memory.layout == layout)?;
        kept.remove(found)
    }

    /// Bytes to keep: what is kept is beyond what the executor counts, and so
    /// must stay small beside its limit.
    fn kept_bytes() -> usize {
        let limit = oxidask_core::config::get_bytes("memory-limit").ok().flatten().unwrap_or(u64::MAX);
        usize::try_from(limit / KEPT_SHARE).map_or(KEPT_BYTES, |share| share.min(KEPT_BYTES))
    }

    /// The first byte; valid for as many as were asked for.
    #[must_use]
    pub fn as_ptr(&self) -> *mut u8 {
        self.start.as_ptr()
    }

    /// Gives the memory back to the system.
    fn free(self) {
        let memory = std::mem::ManuallyDrop::new(self);
        // SAFETY: it was allocated with this layout and nobody uses it any more.
        unsafe { dealloc(memory.start.as_ptr(), memory.layout) };
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        let memory = Memory { start: self.start, layout: self.layout };
        if memory.layout.size() < LARGE_BYTES {
            return memory.free();
        }
        let bound = Memory::kept_bytes();
        if memory.layout.size() > bound / 4 {
            return memory.free();
        }
        let mut gone = Vec::new();
        {
            let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
            kept.push_back(memory);
            let mut n_bytes: usize = kept.iter().map(|memory| memory.layout.size()).sum();
            while n_bytes > bound {
                let Some(oldest) = kept.pop_front() else { break };
                n_bytes -= oldest.layout.size();
                gone.push(oldest);
            }
        }
        gone.into_iter().for_each(Memory::free);
    }
}

/// Initialised bytes of a block as the owner of a buffer.
pub struct Filled {
    memory: Arc<Memory>,
    len: usize,
}

impl Filled {
    /// The first `len` bytes of memory.
    ///
    /// # Safety
    /// So many were asked for, and all of them have been written.
    #[must_use]
    pub unsafe fn new(memory: Arc<Memory>, len: usize) -> Self {
        Filled { memory, len }
    }
}

impl AsRef<[u8]> for Filled {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: `new`'s caller vouched that these bytes are there and written.
        unsafe { std::slice::from_raw_parts(self.memory.as_ptr(), self.len) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_back_is_used_again_within_a_bound() {
        let size = (5 << 20) + 77;
        let first = Memory::new(size);
        let address = first.as_ptr() as usize;
        assert_eq!(address % LARGE_PAGE, 0);
        drop(first);
        // Other tests allocate as well, but hardly this very size.
        assert_eq!(Memory::new(size).as_ptr() as usize, address);
        let many: Vec<Memory> = (0..60).map(|_| Memory::new(8 << 20)).collect();
        drop(many);
        let kept: usize = KEPT.lock().unwrap().iter().map(|memory| memory.layout.size()).sum();
        assert!(kept <= KEPT_BYTES);
    }
}

//! Where this library has its memory from.
//!
//! Kernels take and give back large blocks all the time. The allocator of the C
//! library asks the system for each and gives each back, so that every block is
//! filled with zeros again, page by page; this one keeps them for a while. Where
//! memory is short it must not: what it keeps may be several times what is in use.

use std::ffi::{c_int, c_long};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The number of the option `mi_option_purge_delay`; a test tells it by its default.
const PURGE_DELAY: c_int = 15;
/// For how long free memory is kept unless memory is short: mimalloc's own default.
const DELAY_MS: c_long = 1000;

unsafe extern "C" {
    fn mi_option_set(option: c_int, value: c_long);
    fn mi_collect(force: bool);
}

/// Has the allocator give back what is free at once, now and while memory `is_short`.
pub fn keep_free_memory_unless(is_short: bool) {
    // SAFETY: both are functions of the allocator that this library links. The first
    // stores one aligned word, which other threads may read before or after; the second
    // touches only memory that is free, and locks for itself.
    unsafe {
        if is_short {
            // Free memory for which a time was set already would otherwise wait for it.
            mi_collect(true);
        }
        mi_option_set(PURGE_DELAY, if is_short { 0 } else { DELAY_MS });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    unsafe extern "C" {
        fn mi_option_get(option: c_int) -> c_long;
    }

    #[test]
    fn the_option_is_the_delay() {
        // SAFETY: it reads a number.
        let delay = || unsafe { mi_option_get(PURGE_DELAY) };
        assert_eq!(delay(), DELAY_MS);
        keep_free_memory_unless(true);
        assert_eq!(delay(), 0);
        keep_free_memory_unless(false);
        assert_eq!(delay(), DELAY_MS);
    }
}

//! Typed inner loops over tiles of elements.
//!
//! Everything here is a plain loop that the compiler vectorises; the loops are
//! compiled for several instruction sets and the best one that the processor
//! has is taken at run time. Results do not depend on which: multiply-adds are
//! fused everywhere. Nothing here allocates or knows what a block is.

pub mod cast;
pub mod complex;
pub mod exceptions;
pub mod fold;
pub mod map;
pub mod math;
pub mod number;
pub mod order;
pub mod random;
pub mod sort;
pub mod transform;

/// The instruction sets that loops are compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isa {
    /// What every processor of the architecture has.
    Base,
    /// AVX2 with fused multiply-add.
    Avx2,
    /// AVX-512 in the variant that servers have had since 2017.
    Avx512,
}

/// The best instruction set of this processor.
#[inline]
#[must_use]
pub fn isa() -> Isa {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl")
        {
            return Isa::Avx512;
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            return Isa::Avx2;
        }
    }
    Isa::Base
}

/// Compiles a function for every [`Isa`] and calls the best at run time. Loops
/// in it must be written out (see `each!`), as closures are not inlined
/// reliably.
macro_rules! multiversion {
    ($(#[$attribute:meta])* $vis:vis fn $name:ident $(<$($G:ident: $bound:path),+>)? ($($arg:ident: $type:ty),* $(,)?) $(-> $ret:ty)? $body:block) => {
        $(#[$attribute])*
        $vis fn $name $(<$($G: $bound),+>)? ($($arg: $type),*) $(-> $ret)? {
            #[inline(always)]
            fn body $(<$($G: $bound),+>)? ($($arg: $type),*) $(-> $ret)? $body

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma,bmi2")]
            fn avx2 $(<$($G: $bound),+>)? ($($arg: $type),*) $(-> $ret)? {
                body $(::<$($G),+>)? ($($arg),*)
            }

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,bmi2")]
            fn avx512 $(<$($G: $bound),+>)? ($($arg: $type),*) $(-> $ret)? {
                body $(::<$($G),+>)? ($($arg),*)
            }

            match $crate::kernel::isa() {
                // SAFETY: `isa` answers this only if the processor has all of
                // the features that the function was compiled for.
                #[cfg(target_arch = "x86_64")]
                $crate::kernel::Isa::Avx512 => unsafe { avx512 $(::<$($G),+>)? ($($arg),*) },
                // SAFETY: as above.
                #[cfg(target_arch = "x86_64")]
                $crate::kernel::Isa::Avx2 => unsafe { avx2 $(::<$($G),+>)? ($($arg),*) },
                _ => body $(::<$($G),+>)? ($($arg),*),
            }
        }
    };
}

/// Writes an expression of each element (or each pair) to an output: a loop
/// spelled out so that it is vectorised where it stands.
macro_rules! each {
    ($out:ident, |$x:ident in $a:ident| $value:expr) => {
        for (out, &$x) in $out.iter_mut().zip($a.iter()) {
            *out = $value;
        }
    };
    ($out:ident, |$x:ident in $a:ident, $y:ident in $b:ident| $value:expr) => {
        for ((out, &$x), &$y) in $out.iter_mut().zip($a.iter()).zip($b.iter()) {
            *out = $value;
        }
    };
}

pub(crate) use {each, multiversion};

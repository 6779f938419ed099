//! Divisions by zero, overflows and invalid operations: IEEE 754's exceptions.
//!
//! Steps of a program that the user asked for are watched while they run, in the
//! cheapest way that is true for them: sums, products, quotients and square roots
//! by the processor's own flags, other functions of floats by looking for
//! infinities and NaN among their results, integer divisions and casts by their
//! arguments. What was seen is kept, one byte a function for the whole process,
//! until [`take`] hands it over; whether it becomes a warning or an error is for
//! the caller to say. Nothing is ever noted that NumPy would not warn of; complex
//! numbers and reductions note nothing.

use super::map::Group;
use super::multiversion;
use super::number::{Float, Number};
use crate::dispatch;
use crate::dtype::DType;
use crate::program::{Func, Step};
use half::f16;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

/// A finite argument gave an exact infinity.
pub const DIVIDE: u8 = 1;
/// A result is too large for its type.
pub const OVERFLOW: u8 = 2;
/// A result is not a number, though the arguments are.
pub const INVALID: u8 = 4;

/// What happened in each function since it was last taken.
static NOTED: [AtomicU8; Func::ALL.len()] = [const { AtomicU8::new(0) }; Func::ALL.len()];

/// Whether anything was noted, so that asking costs one load.
static ANY: AtomicBool = AtomicBool::new(false);

fn note(func: Func, seen: u8) {
    let noted = &NOTED[func as usize];
    // Data full of zeros comes here with every tile: writing once is enough.
    if noted.load(Ordering::Relaxed) & seen != seen {
        noted.fetch_or(seen, Ordering::Relaxed);
        ANY.store(true, Ordering::Release);
    }
}

/// Hands over, and forgets, what happened in which functions of this process.
#[must_use]
pub fn take() -> Vec<(Func, u8)> {
    if !ANY.load(Ordering::Relaxed) || !ANY.swap(false, Ordering::Acquire) {
        return Vec::new();
    }
    let taken = Func::ALL.iter().map(|&func| (func, NOTED[func as usize].swap(0, Ordering::Relaxed)));
    taken.filter(|&(_, seen)| seen != 0).collect()
}

/// Runs an expression with `$T` as the type of floats of a dtype; 0 for others.
macro_rules! floats {
    ($dtype:expr, $T:ident => $body:expr) => {
        match $dtype {
            DType::F16 => {
                type $T = f16;
                $body
            }
            DType::F32 => {
                type $T = f32;
                $body
            }
            DType::F64 => {
                type $T = f64;
                $body
            }
            _ => 0,
        }
    };
}
/// How a step is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watch {
    /// Not at all.
    Nothing,
    /// By the flags of the processor.
    Flags,
    /// By its results.
    Results,
    /// By the divisors.
    Divisors,
    /// By the range of the integers that floats become.
    Range,
}

impl Watch {
    /// How to watch a step.
    #[must_use]
    pub fn of(step: &Step) -> Watch {
        use Func::*;
        if !step.reports {
            return Watch::Nothing;
        }
        let has_flags = cfg!(target_arch = "x86_64") && matches!(step.dtype, DType::F32 | DType::F64);
        match step.func {
            Cast if step.dtype.is_float() && step.out.is_integer() => Watch::Range,
            Cast if step.out.is_float() && !step.dtype.is_complex() && !step.dtype.is_time() => {
                let narrows = step.out.itemsize() < step.dtype.itemsize() || step.out == DType::F16;
                if narrows { Watch::Results } else { Watch::Nothing }
            }
            FloorDivide | Remainder | Fmod if step.dtype.is_integer() => Watch::Divisors,
            _ if !step.dtype.is_float() => Watch::Nothing,
            Add | Subtract | Multiply | Square | Divide | Reciprocal | Sqrt if has_flags => Watch::Flags,
            Maximum | Minimum | Fmax | Fmin | Copysign | Arctan2 | Logaddexp | Negative | Absolute | Sign
            | Conjugate | Cbrt | Arctan | Tanh | Arcsinh | Floor | Ceil | Trunc | Rint => Watch::Nothing,
            _ => match step.func.group() {
                Group::Binary | Group::BinaryFloat | Group::Unary | Group::UnaryFloat => Watch::Results,
                _ => Watch::Nothing,
            },
        }
    }

    /// Prepares for a run of the step.
    #[inline]
    pub fn begin(self) {
        if self == Watch::Flags && flags::read() != 0 {
            flags::clear();
        }
    }

    /// Notes what happened in a run of the step on `n` elements.
    ///
    /// # Safety
    /// `args` and `out` are valid for reads of `n` elements of the step's dtypes.
    #[inline]
    pub unsafe fn end(self, step: &Step, args: [*const u8; 3], out: *const u8, n: usize) {
        let seen = match self {
            Watch::Nothing => return,
            Watch::Flags => flags::read(),
            // SAFETY: passed on to the caller.
            _ => unsafe { self.look(step, args, out, n) },
        };
        if seen != 0 {
            note(step.func, seen);
        }
    }

    /// What the arguments and results say.
    ///
    /// # Safety
    /// As for [`Watch::end`].
    unsafe fn look(self, step: &Step, args: [*const u8; 3], out: *const u8, n: usize) -> u8 {
        macro_rules! view {
            ($T:ty, $pointer:expr) => {
                // SAFETY: the caller vouches for `n` elements of this type.
                unsafe { std::slice::from_raw_parts($pointer.cast::<$T>(), n) }
            };
        }
        let (func, dtype) = (step.func, step.dtype);
        match self {
            Watch::Range => floats!(dtype, T => leaves_range(view!(T, args[0]), step.out)),
            Watch::Divisors => dispatch!(dtype, T => divisors(func, view!(T, args[0]), view!(T, args[1]))),
            _ => floats!(step.out, U => {
                let results = view!(U, out);
                if all_finite(results) {
                    return 0;
                }
                match func.group() {
                    Group::Binary | Group::BinaryFloat => of_two(func, view!(U, args[0]), view!(U, args[1]), results),
                    // Integers are finite.
                    Group::Cast if !dtype.is_float() => OVERFLOW,
                    Group::Cast => floats!(dtype, T => of_one(func, view!(T, args[0]), results)),
                    _ => of_one(func, view!(U, args[0]), results),
                }
            }),
        }
    }
}

multiversion! {
    fn all_finite<T: Float>(a: &[T]) -> bool {
        a.iter().fold(true, |all, x| all & x.is_a_number())
    }
}

/// The bits of `seen` for which there is an element.
fn bits(seen: [(bool, u8); 2]) -> u8 {
    seen.iter().filter(|(any, _)| *any).fold(0, |bits, (_, bit)| bits | bit)
}

/// What happened where a function of one float has no finite result. Infinite
/// arguments are as good as any, and NaN was there before.
fn of_one<T: Float, U: Float>(func: Func, a: &[T], out: &[U]) -> u8 {
    let is_invalid = a.iter().zip(out).any(|(x, y)| y.is_nan() && !x.is_nan());
    let is_infinite = a.iter().zip(out).any(|(x, y)| y.is_an_infinity() && x.is_a_number());
    let has_pole =
        matches!(func, Func::Log | Func::Log2 | Func::Log10 | Func::Log1p | Func::Arctanh | Func::Reciprocal);
    bits([(is_invalid, INVALID), (is_infinite, if has_pole { DIVIDE } else { OVERFLOW })])
}

/// What happened where a function of two floats has no finite result.
fn of_two<T: Float>(func: Func, a: &[T], b: &[T], out: &[T]) -> u8 {
    let mut seen = 0;
    for ((x, y), z) in a.iter().zip(b).zip(out) {
        if z.is_nan() {
            seen |= if x.is_nan() || y.is_nan() { 0 } else { INVALID };
        } else if z.is_an_infinity() && x.is_a_number() && y.is_a_number() {
            let at_pole = match func {
                Func::Divide | Func::FloorDivide => *y == T::ZERO,
                Func::Power => *x == T::ZERO,
                _ => false,
            };
            seen |= if at_pole { DIVIDE } else { OVERFLOW };
        }
    }
    seen
}

/// What happens in the division of integers: by zero, and of the lowest by −1,
/// which is one more than the highest.
fn divisors<T: Number>(func: Func, a: &[T], b: &[T]) -> u8 {
    let minus_one = T::ZERO.subtract(T::ONE);
    let overflows = func == Func::FloorDivide
        && T::LOWEST.is_below_zero()
        && a.iter().zip(b).any(|(&x, &y)| x == T::LOWEST && y == minus_one);
    bits([(b.iter().fold(false, |any, &y| any | (y == T::ZERO)), DIVIDE), (overflows, OVERFLOW)])
}

/// Whether floats become integers that they do not equal, even cut.
fn leaves_range<T: Float>(a: &[T], to: DType) -> u8 {
    // The narrow integers are the low bits of 32. Between the bounds, which are
    // floats themselves, everything is cut to what fits.
    let (above, below) = match to {
        DType::I64 => (-9_223_372_036_854_777_856.0, 9_223_372_036_854_775_808.0),
        DType::U64 => (-9_223_372_036_854_777_856.0, 18_446_744_073_709_551_616.0),
        DType::U32 => (-2_147_483_649.0, 4_294_967_296.0),
        _ => (-2_147_483_649.0, 2_147_483_648.0),
    };
    if all_between(a, above, below) { 0 } else { INVALID }
}

multiversion! {
    fn all_between<T: Float>(a: &[T], above: f64, below: f64) -> bool {
        a.iter().fold(true, |all, x| all & (x.widen() > above) & (x.widen() < below))
    }
}

/// The exception flags of the processor, which every operation on floats raises
/// and none lowers.
#[cfg(target_arch = "x86_64")]
mod flags {
    use super::{DIVIDE, INVALID, OVERFLOW};
    use std::arch::asm;

    /// Where the flags are in the control and status register.
    const INVALID_FLAG: u32 = 1;
    const DIVIDE_FLAG: u32 = 1 << 2;
    const OVERFLOW_FLAG: u32 = 1 << 3;

    fn register() -> u32 {
        let mut register = 0_u32;
        // SAFETY: the instruction stores the four bytes of the register to the
        // local variable and changes nothing else. As the block may read all
        // memory, it comes after the loops that wrote the results.
        unsafe { asm!("stmxcsr [{}]", in(reg) &raw mut register, options(nostack)) };
        register
    }

    /// What happened since the flags were cleared.
    #[inline]
    pub fn read() -> u8 {
        let register = register();
        let bit = |flag: u32, bit: u8| if register & flag != 0 { bit } else { 0 };
        bit(INVALID_FLAG, INVALID) | bit(DIVIDE_FLAG, DIVIDE) | bit(OVERFLOW_FLAG, OVERFLOW)
    }

    /// Lowers the flags.
    pub fn clear() {
        let lowered = register() & !(INVALID_FLAG | DIVIDE_FLAG | OVERFLOW_FLAG);
        // SAFETY: rounding, masks and modes are loaded back as they were; only
        // flags change, which assembly that does not promise to preserve them may
        // do, and which no compiled code relies on.
        unsafe { asm!("ldmxcsr [{}]", in(reg) &raw const lowered, options(nostack)) };
    }
}

/// Other processors are watched by results alone.
#[cfg(not(target_arch = "x86_64"))]
mod flags {
    pub fn read() -> u8 {
        0
    }

    pub fn clear() {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dtype::Constant;
    use crate::program::{Builder, Program};

    /// The step of a function of floats, as a user asks for it.
    fn program(func: Func) -> Program {
        let mut builder = Builder::reporting();
        let x = builder.input(DType::F64);
        let y = builder.constant(Constant::from_f64(DType::F64, 0.0));
        let output = builder.step(func, &[x, y][..func.arity()]);
        builder.finish(output)
    }

    /// What a way of watching sees of a function of these numbers.
    fn seen(watch: Watch, func: Func, a: &[f64], b: &[f64]) -> u8 {
        let program = program(func);
        let step = program.steps()[0];
        let mut out = vec![0.0_f64; a.len()];
        let args = [a.as_ptr().cast(), b.as_ptr().cast(), std::ptr::null()];
        watch.begin();
        // SAFETY: all slices are as long as the first.
        unsafe {
            crate::kernel::map::run(func, DType::F64, DType::F64, args, out.as_mut_ptr().cast(), a.len()).unwrap();
            match watch {
                Watch::Flags => flags::read(),
                _ => watch.look(&step, args, out.as_ptr().cast(), a.len()),
            }
        }
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn flags_and_results_say_the_same() {
        let numbers = [0.0, -0.0, 1.0, -1.5, 1e300, -1e300, f64::MIN_POSITIVE, f64::INFINITY, -f64::INFINITY, f64::NAN];
        for func in
            [Func::Add, Func::Subtract, Func::Multiply, Func::Divide, Func::Square, Func::Reciprocal, Func::Sqrt]
        {
            for x in numbers {
                for y in numbers {
                    // Tails and vectors.
                    for n in [1, 3, 64, 71] {
                        let (mut a, mut b) = (vec![1.0; n], vec![1.0; n]);
                        (a[n / 2], b[n / 2]) = (x, y);
                        let flags = seen(Watch::Flags, func, &a, &b);
                        assert_eq!(flags, seen(Watch::Results, func, &a, &b), "{func:?} {x} {y}");
                    }
                }
            }
        }
        assert_eq!(seen(Watch::Flags, Func::Divide, &[1.0], &[0.0]), DIVIDE);
        assert_eq!(seen(Watch::Flags, Func::Sqrt, &[-1.0], &[0.0]), INVALID);
        assert_eq!(seen(Watch::Flags, Func::Square, &[1e200], &[0.0]), OVERFLOW);
    }

    #[test]
    fn functions_are_watched_by_their_results() {
        let of = |func, x| seen(Watch::Results, func, &[x], &[0.0]);
        assert_eq!(of(Func::Log, 0.0), DIVIDE);
        assert_eq!(of(Func::Log, -1.0), INVALID);
        assert_eq!(of(Func::Log, f64::NAN), 0);
        assert_eq!(of(Func::Log, f64::INFINITY), 0);
        assert_eq!(of(Func::Exp, 1e4), OVERFLOW);
        assert_eq!(of(Func::Exp, f64::INFINITY), 0);
        assert_eq!(of(Func::Sin, f64::INFINITY), INVALID);
        assert_eq!(seen(Watch::Results, Func::Power, &[0.0], &[-1.0]), DIVIDE);
        assert_eq!(seen(Watch::Results, Func::Power, &[-8.0], &[0.3]), INVALID);
        assert_eq!(seen(Watch::Results, Func::FloorDivide, &[1.0], &[0.0]), DIVIDE);
        assert_eq!(seen(Watch::Results, Func::Remainder, &[1.0], &[0.0]), INVALID);
    }

    #[test]
    fn integers_are_watched_by_their_arguments() {
        assert_eq!(divisors(Func::FloorDivide, &[1_i32], &[0]), DIVIDE);
        assert_eq!(divisors(Func::FloorDivide, &[i8::MIN], &[-1]), OVERFLOW);
        assert_eq!(divisors(Func::Remainder, &[i8::MIN], &[-1]), 0);
        assert_eq!(divisors(Func::FloorDivide, &[0_u8], &[255]), 0);
        assert_eq!(leaves_range(&[-1.0_f64, 300.7], DType::U8), 0);
        assert_eq!(leaves_range(&[f64::NAN], DType::I8), INVALID);
        assert_eq!(leaves_range(&[-2_147_483_648.5_f64, 2_147_483_647.5], DType::I32), 0);
        assert_eq!(leaves_range(&[i64::MIN as f64], DType::I64), 0);
        assert_eq!(leaves_range(&[9.3e18_f32], DType::I64), INVALID);
    }

    #[test]
    fn silent_steps_are_not_watched() {
        let program = program(Func::Log);
        assert_eq!(Watch::of(&program.steps()[0]), Watch::Results);
        assert_eq!(Watch::of(&program.silent().steps()[0]), Watch::Nothing);
    }
}

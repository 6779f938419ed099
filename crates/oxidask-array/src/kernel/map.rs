//! Elementwise loops: one function for each group of instructions.

use super::number::{Bits, Float, Number};
use super::{complex, each, math, multiversion};
use crate::dispatch;
use crate::dtype::{Bool, C64, C128, DType, Ticks};
use crate::program::Func;
use half::f16;
use oxidask_core::{Error, Result};

/// [`dispatch!`] over the dtypes that have bits.
macro_rules! dispatch_bits {
    ($dtype:expr, $T:ident => $body:expr) => {
        dispatch!(@rows $dtype, $T => $body;
            Bool: Bool, I8: i8, I16: i16, I32: i32, I64: i64, U8: u8, U16: u16, U32: u32, U64: u64)
    };
}

/// [`dispatch!`] over the floats.
macro_rules! dispatch_float {
    ($dtype:expr, $T:ident => $body:expr) => {
        dispatch!(@rows $dtype, $T => $body; F32: f32, F64: f64, F16: f16)
    };
}

/// [`dispatch!`] over the floats whose functions are computed as they are.
macro_rules! dispatch_single {
    ($dtype:expr, $T:ident => $body:expr) => {
        dispatch!(@rows $dtype, $T => $body; F32: f32, F64: f64)
    };
}

/// [`dispatch!`] over the complex numbers.
macro_rules! dispatch_complex {
    ($dtype:expr, $T:ident => $body:expr) => {
        dispatch!(@rows $dtype, $T => $body; C64: C64, C128: C128)
    };
}

multiversion! {
    fn binary<T: Number>(func: Func, a: &[T], b: &[T], out: &mut [T]) {
        match func {
            Func::Add => each!(out, |x in a, y in b| x.add(y)),
            Func::Subtract => each!(out, |x in a, y in b| x.subtract(y)),
            Func::Multiply => each!(out, |x in a, y in b| x.multiply(y)),
            Func::FloorDivide => each!(out, |x in a, y in b| x.floor_divide(y)),
            Func::Remainder => each!(out, |x in a, y in b| x.remainder(y)),
            Func::Fmod => each!(out, |x in a, y in b| x.fmod(y)),
            Func::Power => {
                each!(out, |x in a, y in b| x.plain_power(y));
                if !a.iter().zip(b).fold(true, |all, (&x, &y)| all & x.has_plain_power(y)) {
                    // Only the special ones are done again, as few as they are.
                    for ((out, &x), &y) in out.iter_mut().zip(a).zip(b) {
                        if !x.has_plain_power(y) {
                            *out = x.power(y);
                        }
                    }
                }
            }
            Func::Maximum => each!(out, |x in a, y in b| x.maximum(y)),
            Func::Minimum => each!(out, |x in a, y in b| x.minimum(y)),
            Func::Fmax => each!(out, |x in a, y in b| x.fmax(y)),
            Func::Fmin => each!(out, |x in a, y in b| x.fmin(y)),
            _ => unreachable!("{func:?} is not a function of two numbers"),
        }
    }
}

multiversion! {
    fn binary_float<T: Float>(func: Func, a: &[T], b: &[T], out: &mut [T]) {
        match func {
            Func::Divide => each!(out, |x in a, y in b| x.divide(y)),
            Func::Copysign => each!(out, |x in a, y in b| x.with_sign_of(y)),
            Func::Arctan2 => each!(out, |x in a, y in b| T::narrow(math::arctan2(x.widen(), y.widen()))),
            Func::Hypot => {
                each!(out, |x in a, y in b| T::narrow(math::hypot(x.widen(), y.widen())));
                let plain = |(x, y): (&T, &T)| math::is_plain_hypot(x.widen(), y.widen());
                if !a.iter().zip(b).fold(true, |all, pair| all & plain(pair)) {
                    each!(out, |x in a, y in b| T::narrow(x.widen().hypot(y.widen())));
                }
            }
            Func::Logaddexp => each!(out, |x in a, y in b| T::narrow(math::log_add_exp(x.widen(), y.widen()))),
            _ => unreachable!("{func:?} is not a function of two floats"),
        }
    }
}

multiversion! {
    fn binary_bits<T: Bits>(func: Func, a: &[T], b: &[T], out: &mut [T]) {
        match func {
            Func::BitAnd => each!(out, |x in a, y in b| x.and(y)),
            Func::BitOr => each!(out, |x in a, y in b| x.or(y)),
            Func::BitXor => each!(out, |x in a, y in b| x.xor(y)),
            Func::LeftShift => each!(out, |x in a, y in b| x.left_shift(y)),
            Func::RightShift => each!(out, |x in a, y in b| x.right_shift(y)),
            _ => unreachable!("{func:?} is not a function of bits"),
        }
    }
}

multiversion! {
    fn compare<T: Number>(func: Func, a: &[T], b: &[T], out: &mut [Bool]) {
        match func {
            Func::Equal => each!(out, |x in a, y in b| Bool::from(x == y)),
            Func::NotEqual => each!(out, |x in a, y in b| Bool::from(x != y)),
            Func::Less => each!(out, |x in a, y in b| Bool::from(x < y)),
            Func::LessEqual => each!(out, |x in a, y in b| Bool::from(x <= y)),
            _ => unreachable!("{func:?} is not a comparison"),
        }
    }
}

multiversion! {
    fn unary<T: Number>(func: Func, a: &[T], out: &mut [T]) {
        match func {
            Func::Negative => each!(out, |x in a| x.negative()),
            Func::Absolute => each!(out, |x in a| x.absolute()),
            Func::Sign => each!(out, |x in a| x.sign()),
            Func::Conjugate => each!(out, |x in a| x.conjugate()),
            Func::Square => each!(out, |x in a| x.multiply(x)),
            _ => unreachable!("{func:?} is not a function of one number"),
        }
    }
}

multiversion! {
    fn unary_bits<T: Bits>(func: Func, a: &[T], out: &mut [T]) {
        match func {
            Func::Invert => each!(out, |x in a| x.invert()),
            _ => unreachable!("{func:?} is not a function of bits"),
        }
    }
}

multiversion! {
    fn unary_float<T: Float>(func: Func, a: &[T], out: &mut [T]) {
        match func {
            Func::Sqrt => each!(out, |x in a| x.square_root()),
            Func::Reciprocal => each!(out, |x in a| T::ONE.divide(x)),
            Func::Floor => each!(out, |x in a| x.round_down()),
            Func::Ceil => each!(out, |x in a| x.round_up()),
            Func::Trunc => each!(out, |x in a| x.cut()),
            Func::Rint => each!(out, |x in a| x.round_even()),
            Func::Exp => each!(out, |x in a| T::narrow(math::exp(x.widen()))),
            Func::Exp2 => each!(out, |x in a| T::narrow(math::exp2(x.widen()))),
            Func::Log => each!(out, |x in a| T::narrow(math::log(x.widen()))),
            Func::Log2 => each!(out, |x in a| T::narrow(math::log2(x.widen()))),
            Func::Expm1 => each!(out, |x in a| T::narrow(math::expm1(x.widen()))),
            Func::Log10 => each!(out, |x in a| T::narrow(math::log10(x.widen()))),
            Func::Log1p => each!(out, |x in a| T::narrow(math::log1p(x.widen()))),
            Func::Cbrt => each!(out, |x in a| T::narrow(math::cbrt(x.widen()))),
            Func::Sinh => each!(out, |x in a| T::narrow(math::sinh(x.widen()))),
            Func::Cosh => each!(out, |x in a| T::narrow(math::cosh(x.widen()))),
            Func::Tanh => each!(out, |x in a| T::narrow(math::tanh(x.widen()))),
            Func::Arcsin => each!(out, |x in a| T::narrow(math::arcsin(x.widen()))),
            Func::Arccos => each!(out, |x in a| T::narrow(math::arccos(x.widen()))),
            Func::Arctan => each!(out, |x in a| T::narrow(math::arctan(x.widen()))),
            Func::Arcsinh => each!(out, |x in a| T::narrow(math::arcsinh(x.widen()))),
            Func::Arccosh => each!(out, |x in a| T::narrow(math::arccosh(x.widen()))),
            Func::Arctanh => each!(out, |x in a| T::narrow(math::arctanh(x.widen()))),
            Func::Sin => {
                each!(out, |x in a| T::narrow(math::sin(x.widen())));
                if !all_reducible(a) {
                    each!(out, |x in a| T::narrow(if reducible(x.widen()) { math::sin(x.widen()) } else { x.widen().sin() }));
                }
            }
            Func::Cos => {
                each!(out, |x in a| T::narrow(math::cos(x.widen())));
                if !all_reducible(a) {
                    each!(out, |x in a| T::narrow(if reducible(x.widen()) { math::cos(x.widen()) } else { x.widen().cos() }));
                }
            }
            Func::Tan => {
                each!(out, |x in a| T::narrow(math::tan(x.widen())));
                if !all_reducible(a) {
                    each!(out, |x in a| T::narrow(if reducible(x.widen()) { math::tan(x.widen()) } else { x.widen().tan() }));
                }
            }
            _ => unreachable!("{func:?} is not a function of one float"),
        }
    }
}

/// Whether our own reduction by π/2 is accurate for this angle.
#[inline(always)]
fn reducible(x: f64) -> bool {
    x.abs() <= math::TRIG_LIMIT
}

#[inline(always)]
fn all_reducible<T: Float>(a: &[T]) -> bool {
    a.iter().fold(true, |all, x| all & reducible(x.widen()))
}

multiversion! {
    fn predicate<T: Float>(func: Func, a: &[T], out: &mut [Bool]) {
        match func {
            Func::Isnan => each!(out, |x in a| Bool::from(x.is_nan())),
            Func::Isinf => each!(out, |x in a| Bool::from(x.is_an_infinity())),
            Func::Isfinite => each!(out, |x in a| Bool::from(x.is_a_number())),
            Func::Signbit => each!(out, |x in a| Bool::from(x.has_sign())),
            _ => unreachable!("{func:?} is not a question about a float"),
        }
    }
}

multiversion! {
    fn select<T: Copy>(condition: &[Bool], a: &[T], b: &[T], out: &mut [T]) {
        for (((out, &condition), &x), &y) in out.iter_mut().zip(condition).zip(a).zip(b) {
            *out = if condition.get() { x } else { y };
        }
    }
}

/// Runs one instruction on `n` elements. `dtype` is that of its arguments (of
/// the second one for a selection), `out_dtype` that of its result.
///
/// # Errors
/// If an integer is raised to a negative power.
///
/// # Safety
/// `args` are valid for reads and `out` for writes of `n` elements of their
/// dtypes, all aligned, and `out` overlaps no argument.
pub unsafe fn run(
    func: Func,
    dtype: DType,
    out_dtype: DType,
    args: [*const u8; 3],
    out: *mut u8,
    n: usize,
) -> Result<()> {
    /// The elements behind a pointer.
    ///
    /// # Safety
    /// As for [`run`].
    unsafe fn view<'a, T>(pointer: *const u8, n: usize) -> &'a [T] {
        // SAFETY: the caller vouches for `n` aligned elements.
        unsafe { std::slice::from_raw_parts(pointer.cast(), n) }
    }
    /// The elements to be written.
    ///
    /// # Safety
    /// As for [`run`].
    unsafe fn view_mut<'a, T>(pointer: *mut u8, n: usize) -> &'a mut [T] {
        // SAFETY: the caller vouches for `n` aligned elements that nobody else
        // reads or writes.
        unsafe { std::slice::from_raw_parts_mut(pointer.cast(), n) }
    }
    if dtype == DType::F16 && matches!(func.group(), Group::Binary | Group::BinaryFloat | Group::UnaryFloat) {
        // SAFETY: passed on to the caller.
        return unsafe { run_half(func, args, out, n) };
    }
    // SAFETY: in every arm the element types are those that the dtypes name.
    unsafe {
        match func.group() {
            Group::Cast => super::cast::cast(dtype, out_dtype, args[0], out, n),
            Group::Binary => dispatch!(dtype, T => {
                let exponents: &[T] = view(args[1], n);
                if func == Func::Power && dtype.is_integer() && exponents.iter().any(|x| x.is_below_zero()) {
                    return Err(Error::value("integers cannot be raised to negative integer powers")
                        .with_hint("convert the base to floats with astype first"));
                }
                binary::<T>(func, view(args[0], n), exponents, view_mut(out, n));
            }),
            Group::Compare => {
                dispatch!(dtype, T => compare::<T>(func, view(args[0], n), view(args[1], n), view_mut(out, n)))
            }
            Group::Unary => dispatch!(dtype, T => unary::<T>(func, view(args[0], n), view_mut(out, n))),
            Group::BinaryBits => {
                dispatch_bits!(dtype, T => binary_bits::<T>(func, view(args[0], n), view(args[1], n), view_mut(out, n)));
            }
            Group::UnaryBits => dispatch_bits!(dtype, T => unary_bits::<T>(func, view(args[0], n), view_mut(out, n))),
            Group::BinaryFloat if dtype.is_complex() => {
                dispatch_complex!(dtype, T => complex::binary::<T>(func, view(args[0], n), view(args[1], n), view_mut(out, n)));
            }
            Group::UnaryFloat if dtype.is_complex() => {
                dispatch_complex!(dtype, T => complex::unary::<T>(func, view(args[0], n), view_mut(out, n)));
            }
            Group::Part => {
                dispatch_complex!(dtype, T => complex::part::<T>(func, view(args[0], n), view_mut(out, n)));
            }
            Group::Predicate if dtype.is_complex() => {
                dispatch_complex!(dtype, T => complex::predicate::<T>(func, view(args[0], n), view_mut(out, n)));
            }
            Group::Predicate if dtype.is_time() => {
                let (times, out): (&[Ticks], &mut [Bool]) = (view(args[0], n), view_mut(out, n));
                each!(out, |x in times| Bool::from(x.is_none() == (func == Func::Isnan)));
            }
            Group::BinaryFloat => {
                dispatch_single!(dtype, T => binary_float::<T>(func, view(args[0], n), view(args[1], n), view_mut(out, n)));
            }
            Group::UnaryFloat => {
                dispatch_single!(dtype, T => unary_float::<T>(func, view(args[0], n), view_mut(out, n)))
            }
            Group::Predicate => dispatch_float!(dtype, T => predicate::<T>(func, view(args[0], n), view_mut(out, n))),
            Group::Select => match dtype.itemsize() {
                1 => select::<u8>(view(args[0], n), view(args[1], n), view(args[2], n), view_mut(out, n)),
                2 => select::<u16>(view(args[0], n), view(args[1], n), view(args[2], n), view_mut(out, n)),
                4 => select::<u32>(view(args[0], n), view(args[1], n), view(args[2], n), view_mut(out, n)),
                8 if dtype == DType::C64 => {
                    select::<[u32; 2]>(view(args[0], n), view(args[1], n), view(args[2], n), view_mut(out, n));
                }
                8 => select::<u64>(view(args[0], n), view(args[1], n), view(args[2], n), view_mut(out, n)),
                _ => select::<[u64; 2]>(view(args[0], n), view(args[1], n), view(args[2], n), view_mut(out, n)),
            },
        }
    }
    Ok(())
}

/// Runs an instruction on half floats in single precision, tile by tile.
///
/// # Safety
/// As for [`run`], the elements being half floats.
unsafe fn run_half(func: Func, args: [*const u8; 3], out: *mut u8, n: usize) -> Result<()> {
    const TILE: usize = 256;
    let mut tiles = [[0.0_f32; TILE]; 2];
    let mut result = [0.0_f32; TILE];
    for start in (0..n).step_by(TILE) {
        let n = TILE.min(n - start);
        for (tile, arg) in tiles.iter_mut().zip(&args[..func.arity()]) {
            // SAFETY: the arguments have `n` elements from `start` on.
            let halves = unsafe { std::slice::from_raw_parts(arg.cast::<f16>().add(start), n) };
            tile.iter_mut().zip(halves).for_each(|(x, half)| *x = half.to_f32());
        }
        let pointers = [tiles[0].as_ptr().cast(), tiles[1].as_ptr().cast(), std::ptr::null()];
        // SAFETY: the tiles hold `n` elements, and overlap neither each other
        // nor the result.
        let halves = unsafe {
            run(func, DType::F32, DType::F32, pointers, result.as_mut_ptr().cast(), n)?;
            std::slice::from_raw_parts_mut(out.cast::<f16>().add(start), n)
        };
        halves.iter_mut().zip(&result).for_each(|(half, &x)| *half = f16::from_f32(x));
    }
    Ok(())
}

/// Which loop runs an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Group {
    Binary,
    BinaryFloat,
    BinaryBits,
    Compare,
    Unary,
    UnaryFloat,
    UnaryBits,
    Predicate,
    Part,
    Select,
    Cast,
}

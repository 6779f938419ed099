//! Fourier transforms of lanes.

use crate::block::Block;
use crate::dtype::{C64, C128, DType, Element};
use crate::kernel::cast;
use num_complex::Complex;
use oxidask_core::{Error, Result};
use rustfft::{FftNum, FftPlanner};
use serde::{Deserialize, Serialize};
use std::mem::MaybeUninit;

/// Which transform, NumPy's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are NumPy's")]
pub enum Kind {
    Fft,
    Ifft,
    Rfft,
    Irfft,
    Hfft,
    Ihfft,
}

/// Which direction is divided by the length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are NumPy's")]
pub enum Norm {
    Backward,
    Ortho,
    Forward,
}

/// A transform of lanes that are first cut or padded with zeros.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transform {
    /// Which one.
    pub kind: Kind,
    /// The length of the complex transform.
    pub n: usize,
    /// How it is scaled.
    pub norm: Norm,
}

impl Transform {
    /// NumPy's name.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self.kind {
            Kind::Fft => "fft",
            Kind::Ifft => "ifft",
            Kind::Rfft => "rfft",
            Kind::Irfft => "irfft",
            Kind::Hfft => "hfft",
            Kind::Ihfft => "ihfft",
        }
    }

    /// The length of a lane of the result.
    #[must_use]
    pub fn length(&self) -> usize {
        match self.kind {
            Kind::Rfft | Kind::Ihfft => self.n / 2 + 1,
            _ => self.n,
        }
    }

    /// The dtype of the result: as precise as the input.
    #[must_use]
    pub fn dtype(&self, dtype: DType) -> DType {
        let complex = dtype.to_complex();
        if matches!(self.kind, Kind::Irfft | Kind::Hfft) { complex.to_real() } else { complex }
    }

    fn is_inverse(&self) -> bool {
        matches!(self.kind, Kind::Ifft | Kind::Irfft | Kind::Ihfft)
    }

    fn scale(&self) -> f64 {
        let n = self.n as f64;
        match (self.norm, self.is_inverse()) {
            (Norm::Ortho, _) => 1.0 / n.sqrt(),
            (Norm::Backward, true) | (Norm::Forward, false) => 1.0 / n,
            _ => 1.0,
        }
    }
}

/// A number in the precision of a transform.
fn of<F: FftNum>(x: f64) -> F {
    F::from_f64(x).unwrap_or_else(F::zero)
}

/// The transforms of all lanes of a contiguous block, in a block of `shape`.
///
/// # Errors
/// If there is nothing to transform.
pub fn run(transform: &Transform, lanes: &Block, shape: &[usize]) -> Result<Block> {
    if transform.n == 0 {
        return Err(Error::value("a Fourier transform needs at least one point"));
    }
    match lanes.dtype().to_complex() {
        DType::C64 => typed::<f32, C64>(transform, lanes, shape, C64, |z| z.0),
        _ => typed::<f64, C128>(transform, lanes, shape, C128, |z| z.0),
    }
}

fn typed<F: FftNum + Element, C: Element>(
    transform: &Transform,
    lanes: &Block,
    shape: &[usize],
    wrap: impl Fn(Complex<F>) -> C,
    unwrap: impl Fn(C) -> Complex<F>,
) -> Result<Block> {
    match transform.kind {
        Kind::Rfft | Kind::Ihfft if transform.n.is_multiple_of(2) => from_real(transform, lanes, shape, wrap),
        Kind::Irfft | Kind::Hfft if transform.n.is_multiple_of(2) => to_real(transform, lanes, shape, unwrap),
        _ => lanes_of(transform, lanes, shape, wrap, unwrap),
    }
}

/// The powers 0 to n/2 of the n-th root of unity.
fn roots<F: FftNum>(n: usize) -> Vec<Complex<F>> {
    let angle = |k: usize| -2.0 * std::f64::consts::PI * k as f64 / n as f64;
    (0..=n / 2).map(|k| Complex::new(of(angle(k).cos()), of(angle(k).sin()))).collect()
}

/// Appends lane number `at`, cut or padded with zeros to `n` elements of `T`.
fn read_lane<T: Element>(lanes: &Block, at: usize, n: usize, input: &mut Vec<T>) {
    let length = lanes.shape()[lanes.shape().len() - 1];
    input.clear();
    input.reserve(length.max(n));
    // SAFETY: the block is contiguous, and `input` has room for a lane.
    unsafe {
        let from = lanes.as_ptr().wrapping_add(at * length * lanes.dtype().itemsize());
        cast::cast(lanes.dtype(), T::DTYPE, from, input.as_mut_ptr().cast(), length);
        input.set_len(length);
    }
    // SAFETY: all bytes of a zero are zero, in every dtype of a transform.
    input.resize(n, unsafe { std::mem::zeroed() });
}

/// Transforms of real lanes of even length: neighbours are the two parts of one
/// complex number, so that the transform is half as long (Cooley, Lewis and
/// Welch, 1970).
fn from_real<F: FftNum + Element, C: Element>(
    transform: &Transform,
    lanes: &Block,
    shape: &[usize],
    wrap: impl Fn(Complex<F>) -> C,
) -> Result<Block> {
    let (n, half) = (transform.n, transform.n / 2);
    let fft = FftPlanner::<F>::new().plan_fft_forward(half);
    let roots = roots::<F>(n);
    let zero = Complex::new(of::<F>(0.0), of::<F>(0.0));
    let scale = of::<F>(0.5 * transform.scale());
    let mut scratch = vec![zero; fft.get_inplace_scratch_len()];
    let mut lane = vec![zero; half];
    let mut input: Vec<F> = Vec::new();
    let mut write = |at: usize, out: &mut [MaybeUninit<C>]| {
        read_lane(lanes, at, n, &mut input);
        for (z, pair) in lane.iter_mut().zip(input.chunks_exact(2)) {
            *z = Complex::new(pair[0], pair[1]);
        }
        fft.process_with_scratch(&mut lane, &mut scratch);
        // What comes of the even elements, and of the odd ones.
        for (k, (out, root)) in out.iter_mut().zip(&roots).enumerate() {
            let (own, mirrored) = (lane[if k == half { 0 } else { k }], lane[if k == 0 { 0 } else { half - k }].conj());
            let (even, odd) = (own + mirrored, own - mirrored);
            let turned = root * Complex::new(odd.im, -odd.re);
            let z = Complex::new((even.re + turned.re) * scale, (even.im + turned.im) * scale);
            out.write(wrap(if transform.kind == Kind::Ihfft { z.conj() } else { z }));
        }
    };
    let write = |out: &mut [MaybeUninit<C>]| {
        out.chunks_exact_mut(half + 1).enumerate().for_each(|(at, out)| write(at, out));
    };
    // SAFETY: every lane is written, to its last element.
    unsafe { Block::written(C::DTYPE, shape, write) }
}

/// The inverse of [`from_real`]: real lanes of even length from half of their
/// symmetric spectrum.
fn to_real<F: FftNum + Element, C: Element>(
    transform: &Transform,
    lanes: &Block,
    shape: &[usize],
    unwrap: impl Fn(C) -> Complex<F>,
) -> Result<Block> {
    let (n, half) = (transform.n, transform.n / 2);
    let fft = FftPlanner::<F>::new().plan_fft_inverse(half);
    let roots = roots::<F>(n);
    let zero = Complex::new(of::<F>(0.0), of::<F>(0.0));
    let scale = of::<F>(transform.scale());
    let mut scratch = vec![zero; fft.get_inplace_scratch_len()];
    let mut lane = vec![zero; half];
    let mut input: Vec<C> = Vec::new();
    // The kind that runs forward is the inverse of the conjugate spectrum.
    let sign = of::<F>(if transform.kind == Kind::Hfft { -1.0 } else { 1.0 });
    let mut write = |at: usize, out: &mut [MaybeUninit<F>]| {
        read_lane(lanes, at, half + 1, &mut input);
        let value = |k: usize| {
            let z = unwrap(input[k]);
            // The ends have no imaginary part.
            let im = if k == 0 || k == half { of::<F>(0.0) } else { z.im * sign };
            Complex::new(z.re, im)
        };
        for (k, z) in lane.iter_mut().enumerate() {
            let (own, mirrored) = (value(k), value(half - k).conj());
            let odd = (own - mirrored) * roots[k].conj();
            *z = own + mirrored + Complex::new(-odd.im, odd.re);
        }
        fft.process_with_scratch(&mut lane, &mut scratch);
        for (pair, z) in out.chunks_exact_mut(2).zip(&lane) {
            pair[0].write(z.re * scale);
            pair[1].write(z.im * scale);
        }
    };
    let write = |out: &mut [MaybeUninit<F>]| {
        out.chunks_exact_mut(n).enumerate().for_each(|(at, out)| write(at, out));
    };
    // SAFETY: every lane is written, and its length is even.
    unsafe { Block::written(F::DTYPE, shape, write) }
}

fn lanes_of<F: FftNum + Element, C: Element>(
    transform: &Transform,
    lanes: &Block,
    shape: &[usize],
    wrap: impl Fn(Complex<F>) -> C,
    unwrap: impl Fn(C) -> Complex<F>,
) -> Result<Block> {
    let (n, m) = (transform.n, transform.length());
    let length = lanes.shape()[lanes.shape().len() - 1];
    let fft = {
        let mut planner = FftPlanner::<F>::new();
        // The transforms of Hermitian input run the other way.
        let inverse = matches!(transform.kind, Kind::Ifft | Kind::Irfft);
        if inverse { planner.plan_fft_inverse(n) } else { planner.plan_fft_forward(n) }
    };
    let scale = of::<F>(transform.scale());
    let mut scratch = vec![Complex::new(of::<F>(0.0), of::<F>(0.0)); fft.get_inplace_scratch_len()];
    let mut lane = vec![Complex::new(of::<F>(0.0), of::<F>(0.0)); n];
    let answers_real = matches!(transform.kind, Kind::Irfft | Kind::Hfft);
    let mut input: Vec<C> = Vec::with_capacity(length);
    let mut run = |at: usize, lane: &mut [Complex<F>]| {
        read_lane(lanes, at, length, &mut input);
        load(transform, &input, lane, &unwrap);
        fft.process_with_scratch(lane, &mut scratch);
    };
    if answers_real {
        let write = |out: &mut [MaybeUninit<F>]| {
            for (at, out) in out.chunks_exact_mut(m).enumerate() {
                run(at, &mut lane);
                out.iter_mut().zip(&lane).for_each(|(out, z)| {
                    out.write(z.re * scale);
                });
            }
        };
        // SAFETY: every lane is written, to its last element.
        return unsafe { Block::written(F::DTYPE, shape, write) };
    }
    let write = |out: &mut [MaybeUninit<C>]| {
        for (at, out) in out.chunks_exact_mut(m).enumerate() {
            run(at, &mut lane);
            out.iter_mut().zip(&lane).for_each(|(out, z)| {
                let z = Complex::new(z.re * scale, z.im * scale);
                out.write(wrap(if transform.kind == Kind::Ihfft { z.conj() } else { z }));
            });
        }
    };
    // SAFETY: as above.
    unsafe { Block::written(C::DTYPE, shape, write) }
}

/// Puts a lane where the transform works: padded or cut, and completed where
/// only half of a symmetric spectrum is given.
fn load<F: FftNum, C: Copy>(
    transform: &Transform,
    input: &[C],
    lane: &mut [Complex<F>],
    unwrap: &impl Fn(C) -> Complex<F>,
) {
    let zero = Complex::new(of::<F>(0.0), of::<F>(0.0));
    let n = lane.len();
    let at = |i: usize| input.get(i).map_or(zero, |&z| unwrap(z));
    if !matches!(transform.kind, Kind::Irfft | Kind::Hfft) {
        lane.iter_mut().enumerate().for_each(|(i, z)| *z = at(i));
        return;
    }
    for i in 0..=n / 2 {
        // The spectrum of a real signal is the conjugate of its mirror image;
        // its ends have no imaginary part.
        let mut z = at(i);
        if i == 0 || 2 * i == n {
            z.im = of::<F>(0.0);
        }
        lane[i] = z;
        if i > 0 {
            lane[n - i] = z.conj();
        }
    }
}

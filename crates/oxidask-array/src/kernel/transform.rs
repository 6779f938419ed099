//! Fourier transforms of lanes.

use crate::block::Block;
use crate::dtype::{C64, C128, DType, Element};
use crate::kernel::cast;
use num_complex::Complex;
use oxidask_core::{Error, Result};
use rustfft::{FftNum, FftPlanner};
use serde::{Deserialize, Serialize};

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
        DType::C64 => lanes_of::<f32, C64>(transform, lanes, shape, C64, |z| z.0),
        _ => lanes_of::<f64, C128>(transform, lanes, shape, C128, |z| z.0),
    }
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
    let n_lanes: usize = shape[..shape.len() - 1].iter().product();
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
    let mut reals: Vec<F> = Vec::with_capacity(if answers_real { n_lanes * m } else { 0 });
    let mut complexes: Vec<C> = Vec::with_capacity(if answers_real { 0 } else { n_lanes * m });
    let mut input: Vec<C> = Vec::with_capacity(length);
    for at in 0..n_lanes {
        // SAFETY: the block is contiguous, and `input` has room for a lane.
        unsafe {
            let from = lanes.as_ptr().add(at * length * lanes.dtype().itemsize());
            cast::cast(lanes.dtype(), C::DTYPE, from, input.as_mut_ptr().cast(), length);
            input.set_len(length);
        }
        load(transform, &input, &mut lane, &unwrap);
        fft.process_with_scratch(&mut lane, &mut scratch);
        for z in &lane[..m] {
            if answers_real {
                reals.push(z.re * scale);
            } else {
                let z = Complex::new(z.re * scale, z.im * scale);
                complexes.push(wrap(if transform.kind == Kind::Ihfft { z.conj() } else { z }));
            }
        }
    }
    Ok(if answers_real { Block::from_vec(reals, shape) } else { Block::from_vec(complexes, shape) })
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

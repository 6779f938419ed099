//! Random arrays.
//!
//! A number depends on the seed, on which array of its generator it belongs to,
//! and on its position in that array: not on chunks, executor or order.

use crate::array::Array;
use crate::chunks::{ChunkSpec, normalize};
use crate::dtype::{DType, Scalar};
use crate::expr::blockwise::Blockwise;
use crate::generate;
use oxidask_core::{Error, KeyHasher, Result};
use std::hash::{BuildHasher, Hasher};
use std::sync::Mutex;

/// Makes random arrays, each different from the ones before.
pub struct Generator {
    seed: u64,
    made: Mutex<u64>,
}

impl Generator {
    /// A generator whose arrays follow from the seed alone.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Generator { seed, made: Mutex::new(0) }
    }

    /// A generator with a seed that nobody can foretell.
    #[must_use]
    pub fn unpredictable() -> Self {
        // The standard library seeds its hashers from the system's entropy.
        Generator::new(std::hash::RandomState::new().build_hasher().finish())
    }

    /// The stream of the next array.
    fn stream(&self) -> u64 {
        let mut made = self.made.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *made += 1;
        KeyHasher::new("array.random").u64(self.seed).u64(*made).finish().0 as u64
    }

    fn generated(&self, generator: generate::Generator, shape: &[usize], chunks: &[ChunkSpec]) -> Result<Array> {
        let strides: Vec<i64> = crate::block::contiguous_strides(shape).iter().map(|&stride| stride as i64).collect();
        let chunks = normalize(chunks, shape, generator.dtype(), None)?;
        Ok(Array::of(Blockwise::generated(generator, 0, &strides, chunks)))
    }

    /// Uniform numbers of `[0, 1)`.
    ///
    /// # Errors
    /// If the chunks do not fit the shape.
    pub fn random<C: Into<ChunkSpec> + Clone>(&self, shape: &[usize], chunks: &[C]) -> Result<Array> {
        self.generated(generate::Generator::Uniform { key: self.stream() }, shape, &specs(chunks))
    }

    /// Normal numbers with mean `loc` and standard deviation `scale`.
    ///
    /// # Errors
    /// If the scale is negative or the chunks do not fit the shape.
    pub fn normal<C: Into<ChunkSpec> + Clone>(
        &self,
        loc: f64,
        scale: f64,
        shape: &[usize],
        chunks: &[C],
    ) -> Result<Array> {
        if scale < 0.0 {
            return Err(Error::value(format!("the standard deviation {scale} is negative")));
        }
        let standard = self.generated(generate::Generator::Normal { key: self.stream() }, shape, &specs(chunks))?;
        shifted(&standard, loc, scale)
    }

    /// Uniform numbers of `[low, high)`.
    ///
    /// # Errors
    /// If the chunks do not fit the shape.
    pub fn uniform<C: Into<ChunkSpec> + Clone>(
        &self,
        low: f64,
        high: f64,
        shape: &[usize],
        chunks: &[C],
    ) -> Result<Array> {
        shifted(&self.random(shape, chunks)?, low, high - low)
    }

    /// Exponentially distributed numbers with mean `scale`.
    ///
    /// # Errors
    /// If the scale is negative or the chunks do not fit the shape.
    pub fn exponential<C: Into<ChunkSpec> + Clone>(&self, scale: f64, shape: &[usize], chunks: &[C]) -> Result<Array> {
        if scale < 0.0 {
            return Err(Error::value(format!("the scale {scale} is negative")));
        }
        let rest = Array::apply("subtract", &[Scalar::Float(1.0).into(), self.random(shape, chunks)?.into()])?;
        rest.log()?.mul(-scale)
    }

    /// Whole numbers `low .. high`, each as likely as any other.
    ///
    /// # Errors
    /// If the interval is empty or beyond 64 bits, the dtype is no integer or
    /// too small, or the chunks do not fit the shape.
    pub fn integers<C: Into<ChunkSpec> + Clone>(
        &self,
        low: i128,
        high: i128,
        dtype: DType,
        shape: &[usize],
        chunks: &[C],
    ) -> Result<Array> {
        if low >= high {
            return Err(Error::value(format!("there are no whole numbers from {low} to below {high}")));
        }
        if !dtype.is_integer() {
            return Err(Error::type_(format!("random integers cannot have dtype {dtype}")));
        }
        for bound in [low, high - 1] {
            Scalar::Int(bound).to_constant(dtype)?;
        }
        // A range of all 64 bits is said with 0; bits above 63 are the same for
        // signed and unsigned numbers.
        let generator =
            generate::Generator::Integers { key: self.stream(), low: low as i64, range: (high - low) as u64 };
        self.generated(generator, shape, &specs(chunks))?.astype(dtype)
    }
}

fn specs<C: Into<ChunkSpec> + Clone>(chunks: &[C]) -> Vec<ChunkSpec> {
    chunks.iter().cloned().map(Into::into).collect()
}

fn shifted(standard: &Array, loc: f64, scale: f64) -> Result<Array> {
    let scaled = if scale == 1.0 { standard.clone() } else { standard.mul(scale)? };
    if loc == 0.0 { Ok(scaled) } else { scaled.add(loc) }
}

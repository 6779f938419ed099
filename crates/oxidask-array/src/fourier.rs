//! Fourier transforms along axes.

use crate::array::Array;
use crate::chunks::shape_text;
use crate::expr::along::Along;
use crate::index::axis_in;
pub use crate::kernel::transform::{Kind, Norm, Transform};
use oxidask_core::{Error, Result};

impl Array {
    /// A discrete Fourier transform along one axis, which is brought into a
    /// single chunk: NumPy's `fft`, `ifft`, `rfft`, `irfft`, `hfft`, `ihfft`.
    ///
    /// `n` is the length to which lanes are cut or padded with zeros; for `irfft`
    /// and `hfft` the length of the result. Without it lanes are as long as they
    /// are. Single precision stays single, unlike in NumPy before 2.0.
    ///
    /// # Errors
    /// If the axis is out of range, there are no points, or a transform of real
    /// numbers is asked of complex ones.
    ///
    /// ```
    /// use oxidask_array::{Array, Block, ChunkSpec, DType, fourier::{Kind, Norm}};
    /// # fn main() -> oxidask_core::Result<()> {
    /// let x = Array::from_block(Block::from_vec(vec![1.0, 2.0, 3.0, 4.0], &[4]), &[ChunkSpec::Size(2)])?;
    /// let spectrum = x.fourier(Kind::Rfft, None, -1, Norm::Backward)?;
    /// assert_eq!((spectrum.shape().as_slice(), spectrum.dtype()), (&[3][..], DType::C128));
    /// # Ok(())
    /// # }
    /// ```
    pub fn fourier(&self, kind: Kind, n: Option<usize>, axis: i64, norm: Norm) -> Result<Array> {
        let axis = axis_in(axis, self.ndim())?;
        self.chunks().check_known("a Fourier transform")?;
        let dtype = self.dtype();
        if !dtype.has_arithmetic() || dtype.is_time() {
            return Err(Error::type_(format!("a Fourier transform is not defined for dtype {dtype}")));
        }
        let label = Transform { kind, n: 1, norm }.label();
        if dtype.is_complex() && matches!(kind, Kind::Rfft | Kind::Ihfft) {
            return Err(Error::type_(format!("{label} takes real numbers, not {dtype}"))
                .with_hint("use fft or ifft, or take the real part first"));
        }
        let own = self.shape()[axis];
        let n = match (n, kind) {
            (Some(n), _) => n,
            (None, Kind::Irfft | Kind::Hfft) => 2 * own.saturating_sub(1),
            (None, _) => own,
        };
        if n == 0 {
            return Err(Error::value(format!(
                "{label} along axis {axis} has no points (shape {})",
                shape_text(&self.shape())
            )));
        }
        self.along(axis, Along::Fourier(Transform { kind, n, norm }))
    }

    /// Transforms along several axes, the last one first; `lengths` has one
    /// entry for each axis. The kinds of real numbers treat the last axis only,
    /// and the others as `fft` or `ifft`.
    ///
    /// # Errors
    /// As for [`Array::fourier`], or if there are not as many lengths as axes.
    pub fn fourier_n(&self, kind: Kind, lengths: Option<&[usize]>, axes: Option<&[i64]>, norm: Norm) -> Result<Array> {
        let all: Vec<i64>;
        let axes = match (axes, lengths) {
            (Some(axes), _) => axes,
            (None, lengths) => {
                let n_axes = lengths.map_or(self.ndim(), <[usize]>::len).min(self.ndim());
                all = (-(n_axes as i64)..0).collect();
                &all
            }
        };
        if lengths.is_some_and(|lengths| lengths.len() != axes.len()) {
            return Err(Error::value("a transform needs as many lengths as axes"));
        }
        let length = |at: usize| lengths.map(|lengths| lengths[at]);
        let others = match kind {
            Kind::Fft | Kind::Rfft | Kind::Hfft => Kind::Fft,
            Kind::Ifft | Kind::Irfft | Kind::Ihfft => Kind::Ifft,
        };
        let Some(last) = axes.len().checked_sub(1) else { return Ok(self.clone()) };
        if matches!(kind, Kind::Irfft | Kind::Hfft) {
            // The half spectrum lies along the last axis and is completed last.
            let rest = (0..last).rev().try_fold(self.clone(), |x, at| x.fourier(others, length(at), axes[at], norm))?;
            return rest.fourier(kind, length(last), axes[last], norm);
        }
        let first = self.fourier(kind, length(last), axes[last], norm)?;
        (0..last).rev().try_fold(first, |x, at| x.fourier(others, length(at), axes[at], norm))
    }
}

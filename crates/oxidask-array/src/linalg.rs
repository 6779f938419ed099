//! Linear algebra: factors of matrices and what follows from them.
//!
//! Tall matrices are factored block by block: a QR factorisation of each block of
//! rows, one of the stacked triangular factors, and products (Benson, Gleich and
//! Demmel, 2013). All else brings the matrix into one block. Elements are
//! computed in `float64`; `float32` comes back as such.

use crate::array::Array;
use crate::chunks::{ChunkSpec, Chunks, shape_text};
use crate::dtype::DType;
use crate::expr::matrix::{Factor, factors};
use oxidask_core::{Error, Result};

impl Array {
    /// Rows and columns of a matrix of real numbers.
    fn matrix_shape(&self, what: &str) -> Result<(usize, usize)> {
        self.chunks().check_known(what)?;
        let dtype = self.dtype();
        if !(dtype.is_float() || dtype.is_integer() || dtype == DType::Bool) {
            return Err(Error::type_(format!("{what} is not defined for dtype {dtype}")));
        }
        match self.shape().as_slice() {
            &[m, n] if m > 0 && n > 0 => Ok((m, n)),
            shape => Err(Error::value(format!("{what} needs a matrix with elements, not shape {}", shape_text(shape)))),
        }
    }

    fn square_size(&self, what: &str) -> Result<usize> {
        let (m, n) = self.matrix_shape(what)?;
        if m == n {
            return Ok(n);
        }
        Err(Error::value(format!("{what} needs a square matrix, not shape {}", shape_text(&self.shape()))))
    }

    /// The dtype in which a factor is answered.
    fn factor_dtype(&self) -> DType {
        if self.dtype() == DType::F32 { DType::F32 } else { DType::F64 }
    }

    /// What a factor answers for this matrix (and another input), each a single
    /// block of the given shape.
    fn factored(&self, factor: Factor, other: Option<&Array>, shapes: &[&[usize]]) -> Result<Vec<Array>> {
        let mut inputs = vec![self.astype(DType::F64)?.whole().expr().clone()];
        if let Some(other) = other {
            inputs.push(other.astype(DType::F64)?.whole().expr().clone());
        }
        let chunks = shapes.iter().map(|shape| Chunks::whole(shape)).collect();
        let dtype = self.factor_dtype();
        factors(factor, inputs, chunks)?.into_iter().map(|expr| Array::from_expr(expr)?.astype(dtype)).collect()
    }

    fn factored_once(&self, factor: Factor, other: Option<&Array>, shape: &[usize]) -> Result<Array> {
        let mut parts = self.factored(factor, other, &[shape])?;
        parts.pop().ok_or_else(|| Error::value("a factor has no parts"))
    }

    /// The QR factorisation: Q with orthonormal columns, of shape (m, k), and R,
    /// upper triangular, of shape (k, n), with k the smaller of m and n. Blocks of
    /// rows of a tall matrix are factored side by side.
    ///
    /// # Errors
    /// If this is no matrix of real numbers.
    ///
    /// ```
    /// use oxidask_array::{ChunkSpec, random};
    /// # fn main() -> oxidask_core::Result<()> {
    /// let x = random::Generator::new(1).random(&[1000, 5], &[ChunkSpec::Size(100), ChunkSpec::Whole])?;
    /// let (q, r) = x.qr()?;
    /// assert_eq!((q.shape().as_slice(), r.shape().as_slice()), (&[1000, 5][..], &[5, 5][..]));
    /// # Ok(())
    /// # }
    /// ```
    pub fn qr(&self) -> Result<(Array, Array)> {
        let (m, n) = self.matrix_shape("qr")?;
        let longest = self.chunks().sizes(0).max().unwrap_or(m).max(n);
        let n_blocks = if self.chunks().n_along(0) == 1 { 1 } else { m / longest };
        if n_blocks < 2 {
            let k = m.min(n);
            let parts = self.factored(Factor::Qr, None, &[&[m, k], &[k, n]])?;
            return pair(parts);
        }
        // Blocks of nearly equal height, each at least as tall as it is wide.
        let rows: Vec<usize> = (0..n_blocks).map(|i| (i + 1) * m / n_blocks - i * m / n_blocks).collect();
        let tall = self.astype(DType::F64)?.rechunk(&[ChunkSpec::Sizes(rows.clone()), ChunkSpec::Whole])?;
        let stacked = Chunks::from_sizes([vec![n; n_blocks], vec![n]]);
        let local = factors(
            Factor::Qr,
            vec![tall.expr().clone()],
            vec![Chunks::from_sizes([rows.clone(), vec![n]]), stacked.clone()],
        )?;
        let (local_q, local_r) = pair(local)?;
        let triangles = Array::from_expr(local_r)?.whole();
        let (inner, r) = pair(triangles.factored(Factor::Qr, None, &[&[n_blocks * n, n], &[n, n]])?)?;
        let inner = inner.rechunk(&[ChunkSpec::Sizes(vec![n; n_blocks]), ChunkSpec::Whole])?;
        let chunks = Chunks::from_sizes([rows, vec![n]]);
        let q = factors(Factor::Product, vec![local_q, inner.expr().clone()], vec![chunks])?.swap_remove(0);
        let dtype = self.factor_dtype();
        Ok((Array::from_expr(q)?.astype(dtype)?, r.astype(dtype)?))
    }

    /// The singular value decomposition: U of shape (m, k), the k singular values
    /// in descending order, and the transpose of V, of shape (k, n), with k the
    /// smaller of m and n.
    ///
    /// # Errors
    /// If this is no matrix of real numbers.
    ///
    /// ```
    /// use oxidask_array::{ChunkSpec, random};
    /// # fn main() -> oxidask_core::Result<()> {
    /// let x = random::Generator::new(1).random(&[5, 400], &[ChunkSpec::Whole, ChunkSpec::Size(100)])?;
    /// let (u, s, vt) = x.svd()?;
    /// assert_eq!((u.len(), s.len(), vt.len()), (25, 5, 2000));
    /// # Ok(())
    /// # }
    /// ```
    pub fn svd(&self) -> Result<(Array, Array, Array)> {
        let (m, n) = self.matrix_shape("svd")?;
        if m < n {
            let (u, s, vt) = self.t().svd()?;
            return Ok((vt.t(), s, u.t()));
        }
        let is_split = self.chunks().n_along(0) > 1 && m >= 2 * n;
        let (q, small) = if is_split { self.qr().map(|(q, r)| (Some(q), r))? } else { (None, self.clone()) };
        let rows = if is_split { n } else { m };
        let parts = small.factored(Factor::Svd, None, &[&[rows, n], &[n], &[n, n]])?;
        let [u, s, vt] = <[Array; 3]>::try_from(parts).map_err(|_| Error::value("a decomposition has three parts"))?;
        Ok((q.map_or(Ok(u.clone()), |q| q.matmul(&u))?, s, vt))
    }

    /// The lower triangular L with L·Lᵀ this symmetric, positive definite matrix,
    /// of which only the lower triangle is read; its transpose if not `lower`.
    ///
    /// # Errors
    /// If this is no square matrix; when computed, if it is not positive definite.
    pub fn cholesky(&self, lower: bool) -> Result<Array> {
        let n = self.square_size("cholesky")?;
        let root = self.factored_once(Factor::Cholesky, None, &[n, n])?;
        Ok(if lower { root } else { root.t() })
    }

    /// The x for which this square matrix times x is `b`, a list or a matrix.
    ///
    /// # Errors
    /// If the shapes do not fit; when computed, if the matrix is singular.
    ///
    /// ```
    /// use oxidask_array::{ChunkSpec, DType, creation};
    /// # fn main() -> oxidask_core::Result<()> {
    /// let a = creation::eye(3, 3, 0, DType::F64, &[ChunkSpec::Size(2)])?;
    /// let b = creation::ones(&[3], DType::F64, &[ChunkSpec::Size(2)])?;
    /// assert_eq!(a.solve(&b)?.shape().as_slice(), [3]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn solve(&self, b: &Array) -> Result<Array> {
        let n = self.square_size("solve")?;
        self.check_right_side(b, n)?;
        self.factored_once(Factor::Solve, Some(b), &b.shape())
    }

    fn check_right_side(&self, b: &Array, n: usize) -> Result<()> {
        b.chunks().check_known("solve")?;
        if matches!(b.ndim(), 1 | 2) && b.shape()[0] == n && b.dtype().has_arithmetic() && !b.dtype().is_complex() {
            return Ok(());
        }
        Err(Error::value(format!(
            "a matrix of shape {} has no right side of shape {} and dtype {}",
            shape_text(&self.shape()),
            shape_text(&b.shape()),
            b.dtype()
        )))
    }

    /// As [`Array::solve`] for a triangular matrix, of which only the lower or
    /// the upper triangle is read.
    ///
    /// # Errors
    /// If the shapes do not fit; when computed, if the matrix is singular.
    pub fn solve_triangular(&self, b: &Array, lower: bool) -> Result<Array> {
        let n = self.square_size("solve_triangular")?;
        self.check_right_side(b, n)?;
        self.factored_once(Factor::Triangular { lower }, Some(b), &b.shape())
    }

    /// The x that brings this matrix times x nearest to `b`, for a matrix of full
    /// rank with at least as many rows as columns.
    ///
    /// # Errors
    /// If the shapes do not fit or there are too few rows.
    pub fn lstsq(&self, b: &Array) -> Result<Array> {
        let (m, n) = self.matrix_shape("lstsq")?;
        self.check_right_side(b, m)?;
        if m < n {
            return Err(Error::unsupported(format!(
                "lstsq needs at least as many rows as columns (shape {})",
                shape_text(&self.shape())
            )));
        }
        let mut shape = b.shape();
        shape[0] = n;
        if self.chunks().n_along(0) == 1 {
            return self.factored_once(Factor::LeastSquares, Some(b), &shape);
        }
        let (q, r) = self.qr()?;
        r.solve_triangular(&q.t().matmul(&b.astype(self.factor_dtype())?)?, false)
    }

    /// The inverse of a square matrix.
    ///
    /// # Errors
    /// If this is no square matrix; when computed, if it is singular.
    pub fn inv(&self) -> Result<Array> {
        let n = self.square_size("inv")?;
        self.factored_once(Factor::Inverse, None, &[n, n])
    }

    /// P, L and U with P·L·U this square matrix: a permutation, a unit lower and
    /// an upper triangular matrix.
    ///
    /// # Errors
    /// If this is no square matrix.
    pub fn lu(&self) -> Result<(Array, Array, Array)> {
        let n = self.square_size("lu")?;
        let square = &[n, n][..];
        let parts = self.factored(Factor::Lu, None, &[square; 3])?;
        let [p, l, u] = <[Array; 3]>::try_from(parts).map_err(|_| Error::value("a factorisation has three parts"))?;
        Ok((p, l, u))
    }

    /// The determinant of a square matrix, without dimensions.
    ///
    /// # Errors
    /// If this is no square matrix.
    pub fn det(&self) -> Result<Array> {
        self.square_size("det")?;
        self.factored_once(Factor::Determinant, None, &[])
    }

    /// The eigenvalues, ascending, and the eigenvectors, in columns, of a
    /// symmetric matrix, of which only the lower triangle is read.
    ///
    /// # Errors
    /// If this is no square matrix.
    pub fn eigh(&self) -> Result<(Array, Array)> {
        let n = self.square_size("eigh")?;
        pair(self.factored(Factor::Eigh, None, &[&[n], &[n, n]])?)
    }
}

fn pair<T>(parts: Vec<T>) -> Result<(T, T)> {
    match <[T; 2]>::try_from(parts) {
        Ok([a, b]) => Ok((a, b)),
        Err(parts) => Err(Error::value(format!("a factorisation of two parts has {}", parts.len()))),
    }
}

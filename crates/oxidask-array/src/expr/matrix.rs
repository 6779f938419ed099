//! Factors of matrices, one matrix a block. Which factors there are is a table,
//! [`Factor`]; how blocks of a large matrix come together is up to `linalg`.

use super::ArrayMeta;
use super::wired::{PartOf, Wired};
use crate::block::Block;
use crate::chunks::{Chunks, shape_text};
use crate::dtype::DType;
use faer::linalg::solvers::{Solve, SolveLstsq};
use faer::{Mat, MatRef, Side};
use oxidask_core::value::Parts;
use oxidask_core::{Error, ExprRef, Op, Result, Value};
use oxidask_macros::op;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::sync::Arc;

/// What is made of a matrix, or of a matrix and a right side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Factor {
    /// Q with orthonormal columns and R, upper triangular.
    Qr,
    /// U, the singular values, and the transpose of V.
    Svd,
    /// The lower triangular root of a positive definite matrix.
    Cholesky,
    /// The solution for a right side.
    Solve,
    /// The solution for a right side of a triangular matrix.
    Triangular {
        /// Whether the lower triangle counts.
        lower: bool,
    },
    /// The least squares solution for a right side.
    LeastSquares,
    /// The inverse.
    Inverse,
    /// A permutation, a unit lower and an upper triangular matrix.
    Lu,
    /// The determinant.
    Determinant,
    /// Eigenvalues, ascending, and eigenvectors of a symmetric matrix.
    Eigh,
    /// The product of two matrices.
    Product,
}

impl Factor {
    fn label(self) -> &'static str {
        match self {
            Factor::Qr => "qr",
            Factor::Svd => "svd",
            Factor::Cholesky => "cholesky",
            Factor::Solve => "solve",
            Factor::Triangular { .. } => "solve_triangular",
            Factor::LeastSquares => "lstsq",
            Factor::Inverse => "inv",
            Factor::Lu => "lu",
            Factor::Determinant => "det",
            Factor::Eigh => "eigh",
            Factor::Product => "matmul",
        }
    }
}

/// Nodes of what a factor answers for the blocks of the inputs, each with the
/// chunks given for it. All blocks are of `float64`.
///
/// # Errors
/// If an input is no array.
pub fn factors(factor: Factor, inputs: Vec<ExprRef>, chunks: Vec<Chunks>) -> Result<Vec<ExprRef>> {
    let metas: Vec<ArrayMeta> = chunks.into_iter().map(|chunks| ArrayMeta { chunks, dtype: DType::F64 }).collect();
    let first = metas.first().cloned().ok_or_else(|| Error::value("a factor of no parts"))?;
    let node = Wired::in_place(Arc::new(FactorOp { factor }), inputs, first)?;
    if metas.len() == 1 {
        return Ok(vec![node]);
    }
    Ok((0_u32..).zip(metas).map(|(part, meta)| PartOf::build(&node, part, meta)).collect())
}

/// Factors one block.
#[op("array.factor")]
#[derive(Serialize, Deserialize)]
struct FactorOp {
    factor: Factor,
}

fn matrix(value: Option<&Value>) -> Result<Mat<f64>> {
    let block = value.ok_or_else(|| Error::value("a matrix is missing"))?.expect::<Block>()?.to_contiguous();
    match (block.shape(), block.as_slice::<f64>()) {
        (&[m, n], Some(elements)) => Ok(MatRef::from_row_major_slice(elements, m, n).to_owned()),
        (&[m], Some(elements)) => Ok(MatRef::from_row_major_slice(elements, m, 1).to_owned()),
        (shape, _) => Err(Error::value(format!("a matrix of float64 was expected, not shape {}", shape_text(shape)))),
    }
}

fn block(matrix: MatRef<'_, f64>) -> Block {
    let (m, n) = matrix.shape();
    let elements = (0..m).flat_map(|i| (0..n).map(move |j| matrix[(i, j)])).collect();
    Block::from_vec(elements, &[m, n])
}

fn list(n: usize, element: impl Fn(usize) -> f64) -> Block {
    Block::from_vec((0..n).map(element).collect(), &[n])
}

fn square(matrix: &Mat<f64>, what: &str) -> Result<usize> {
    if matrix.nrows() == matrix.ncols() {
        return Ok(matrix.nrows());
    }
    Err(Error::value(format!("{what} needs a square matrix, not {} by {}", matrix.nrows(), matrix.ncols())))
}

fn check_sides(a: &Mat<f64>, b: &Mat<f64>) -> Result<()> {
    if a.nrows() == b.nrows() {
        return Ok(());
    }
    Err(Error::value(format!("a matrix of {} rows has no right side of {} rows", a.nrows(), b.nrows())))
}

fn singular() -> Error {
    Error::value("the matrix is singular").with_hint("lstsq answers for singular matrices as well")
}

/// A right side as the user gave it: a list stays a list.
fn like(solution: &Mat<f64>, right: Option<&Value>) -> Result<Block> {
    let found = block(solution.as_ref());
    let is_list = right.map(|right| Ok::<bool, Error>(right.expect::<Block>()?.shape().len() == 1)).transpose()?;
    Ok(if is_list == Some(true) { found.reshaped(&[solution.nrows()]) } else { found })
}

impl FactorOp {
    fn parts(&self, inputs: &[Value]) -> Result<Vec<Block>> {
        let a = matrix(inputs.first())?;
        let (m, n) = (a.nrows(), a.ncols());
        Ok(match self.factor {
            Factor::Qr => {
                let qr = a.qr();
                vec![block(qr.compute_thin_Q().as_ref()), block(qr.thin_R())]
            }
            Factor::Svd => {
                let svd = a.thin_svd().map_err(|_| Error::value("the singular values do not converge"))?;
                let values = svd.S().column_vector();
                vec![block(svd.U()), list(m.min(n), |i| values[i]), block(svd.V().transpose())]
            }
            Factor::Cholesky => {
                square(&a, "cholesky")?;
                let root = a.llt(Side::Lower).map_err(|_| Error::value("the matrix is not positive definite"))?;
                vec![block(root.L())]
            }
            Factor::Solve => {
                let (b, n) = (matrix(inputs.get(1))?, square(&a, "solve")?);
                check_sides(&a, &b)?;
                let lu = a.partial_piv_lu();
                if (0..n).any(|i| lu.U()[(i, i)] == 0.0) {
                    return Err(singular());
                }
                vec![like(&lu.solve(&b), inputs.get(1))?]
            }
            Factor::Triangular { lower } => {
                let (mut b, n) = (matrix(inputs.get(1))?, square(&a, "solve_triangular")?);
                check_sides(&a, &b)?;
                if (0..n).any(|i| a[(i, i)] == 0.0) {
                    return Err(singular());
                }
                if lower {
                    a.as_ref().solve_lower_triangular_in_place(&mut b);
                } else {
                    a.as_ref().solve_upper_triangular_in_place(&mut b);
                }
                vec![like(&b, inputs.get(1))?]
            }
            Factor::LeastSquares => {
                let b = matrix(inputs.get(1))?;
                check_sides(&a, &b)?;
                if m < n {
                    return Err(Error::unsupported("least squares need at least as many rows as columns"));
                }
                vec![like(&a.qr().solve_lstsq(&b), inputs.get(1))?]
            }
            Factor::Inverse => {
                let n = square(&a, "inv")?;
                let lu = a.partial_piv_lu();
                if (0..n).any(|i| lu.U()[(i, i)] == 0.0) {
                    return Err(singular());
                }
                vec![block(lu.solve(Mat::<f64>::identity(n, n)).as_ref())]
            }
            Factor::Lu => {
                square(&a, "lu")?;
                let lu = a.partial_piv_lu();
                let mut permutation = Mat::<f64>::zeros(n, n);
                for (row, &from) in lu.P().arrays().0.iter().enumerate() {
                    permutation[(from, row)] = 1.0;
                }
                vec![block(permutation.as_ref()), block(lu.L()), block(lu.U())]
            }
            Factor::Determinant => {
                let n = square(&a, "det")?;
                let lu = a.partial_piv_lu();
                let mut places = lu.P().arrays().0.to_vec();
                let mut value = 1.0;
                for i in 0..n {
                    value *= lu.U()[(i, i)];
                    // Every exchange that sorts the rows turns the sign.
                    while places[i] != i {
                        let other = places[i];
                        places.swap(i, other);
                        value = -value;
                    }
                }
                vec![Block::from_vec(vec![value], &[])]
            }
            Factor::Eigh => {
                let n = square(&a, "eigh")?;
                let found =
                    a.self_adjoint_eigen(Side::Lower).map_err(|_| Error::value("the eigenvalues do not converge"))?;
                let values = found.S().column_vector();
                vec![list(n, |i| values[i]), block(found.U())]
            }
            Factor::Product => {
                let b = matrix(inputs.get(1))?;
                if n != b.nrows() {
                    return Err(Error::value("matrices that do not fit cannot be multiplied"));
                }
                vec![block((&a * &b).as_ref())]
            }
        })
    }
}

impl Op for FactorOp {
    fn run(&self, _: u64, inputs: &[Value]) -> Result<Value> {
        let mut parts = self.parts(inputs)?;
        if parts.len() == 1
            && let Some(only) = parts.pop()
        {
            return Ok(Value::new(only));
        }
        Ok(Value::new(Parts(parts.into_iter().map(Value::new).collect())))
    }

    fn label(&self) -> Cow<'_, str> {
        Cow::Borrowed(self.factor.label())
    }
}

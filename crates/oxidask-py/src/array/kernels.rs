//! The engine's functions of arrays beyond those that every array has as
//! methods: selection, order, counting, transforms and factors. Each takes what
//! Python has prepared, calls one method of [`Array`] and wraps the answer.

use super::core::{ArrayCore, wrap};
use super::parse::optional_dtype;
use crate::error::OrRaise;
use numpy::PyReadonlyArray1;
use oxidask_array::Array;
use oxidask_array::fourier::{Kind, Norm};
use oxidask_array::kernel::exceptions;
use oxidask_array::order::Interpolation;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

/// Adds this file's functions to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(array_take, module)?)?;
    module.add_function(wrap_pyfunction!(array_points, module)?)?;
    module.add_function(wrap_pyfunction!(array_masked, module)?)?;
    module.add_function(wrap_pyfunction!(array_with_chunks, module)?)?;
    module.add_function(wrap_pyfunction!(array_cumulative, module)?)?;
    module.add_function(wrap_pyfunction!(array_sort, module)?)?;
    module.add_function(wrap_pyfunction!(array_topk, module)?)?;
    module.add_function(wrap_pyfunction!(array_quantiles, module)?)?;
    module.add_function(wrap_pyfunction!(array_histogram, module)?)?;
    module.add_function(wrap_pyfunction!(array_searchsorted, module)?)?;
    module.add_function(wrap_pyfunction!(array_unique, module)?)?;
    module.add_function(wrap_pyfunction!(array_fourier, module)?)?;
    module.add_function(wrap_pyfunction!(array_contract, module)?)?;
    module.add_function(wrap_pyfunction!(array_exceptions, module)?)?;
    module.add_function(wrap_pyfunction!(array_qr, module)?)
}

/// Positions of one axis, in chunks of the given sizes.
#[pyfunction]
fn array_take(
    array: &ArrayCore,
    positions: PyReadonlyArray1<'_, i64>,
    axis: i64,
    sizes: Vec<usize>,
) -> PyResult<ArrayCore> {
    wrap(array.array().take_in_chunks(positions.as_slice()?, axis, &sizes))
}

/// Elements at points: a list of positions for every axis.
#[pyfunction]
fn array_points(array: &ArrayCore, coordinates: Vec<PyReadonlyArray1<'_, i64>>) -> PyResult<ArrayCore> {
    let lists: Vec<Vec<i64>> = coordinates.iter().map(|list| Ok(list.as_slice()?.to_vec())).collect::<PyResult<_>>()?;
    wrap(array.array().points(&lists))
}

/// Elements where a mask holds; along one axis, or in C order without one.
#[pyfunction]
fn array_masked(array: &ArrayCore, mask: &ArrayCore, axis: Option<i64>) -> PyResult<ArrayCore> {
    wrap(match axis {
        Some(axis) => array.array().compress(mask.array(), axis),
        None => array.array().masked(mask.array()),
    })
}

/// The same blocks, which turn out to have these sizes.
#[pyfunction]
fn array_with_chunks(array: &ArrayCore, chunks: Vec<Vec<usize>>) -> PyResult<ArrayCore> {
    wrap(array.array().with_chunk_sizes(&chunks))
}

/// A running sum or product by NumPy's name.
#[pyfunction]
fn array_cumulative(array: &ArrayCore, name: &str, axis: i64, dtype: Option<&str>) -> PyResult<ArrayCore> {
    wrap(array.array().cumulative(name, axis, optional_dtype(dtype)?))
}

/// The elements in ascending order along an axis, or their positions.
#[pyfunction]
fn array_sort(array: &ArrayCore, axis: i64, positions: bool) -> PyResult<ArrayCore> {
    wrap(if positions { array.array().argsort(axis) } else { array.array().sort(axis) })
}

/// The largest elements along an axis, or the smallest for a negative number.
#[pyfunction]
fn array_topk(array: &ArrayCore, k: i64, axis: i64) -> PyResult<ArrayCore> {
    wrap(array.array().topk(k, axis))
}

/// Quantiles along an axis by NumPy's name of the method; the axis becomes one
/// of the shares.
#[pyfunction]
fn array_quantiles(
    array: &ArrayCore,
    shares: Vec<f64>,
    axis: i64,
    method: &str,
    ignores_nan: bool,
) -> PyResult<ArrayCore> {
    let interpolation = Interpolation::from_name(method).or_raise()?;
    wrap(array.array().quantiles(&shares, axis, interpolation, ignores_nan))
}

/// How many elements, or which sum of weights, lie between neighbouring edges.
#[pyfunction]
fn array_histogram(
    array: &ArrayCore,
    edges: PyReadonlyArray1<'_, f64>,
    weights: Option<&ArrayCore>,
) -> PyResult<ArrayCore> {
    wrap(array.array().histogram(edges.as_slice()?, weights.map(ArrayCore::array)))
}

/// Where values would be put into a sorted list.
#[pyfunction]
fn array_searchsorted(sorted: &ArrayCore, values: &ArrayCore, from_right: bool) -> PyResult<ArrayCore> {
    wrap(sorted.array().searchsorted(values.array(), from_right))
}

/// The distinct elements, ascending.
#[pyfunction]
fn array_unique(array: &ArrayCore) -> PyResult<ArrayCore> {
    wrap(array.array().unique())
}

/// Fourier transforms by NumPy's name of that along one axis, the last of `axes`
/// first.
#[pyfunction]
fn array_fourier(
    array: &ArrayCore,
    kind: &str,
    lengths: Option<Vec<usize>>,
    axes: Vec<i64>,
    norm: Option<&str>,
) -> PyResult<ArrayCore> {
    let kind = match kind {
        "fft" => Kind::Fft,
        "ifft" => Kind::Ifft,
        "rfft" => Kind::Rfft,
        "irfft" => Kind::Irfft,
        "hfft" => Kind::Hfft,
        "ihfft" => Kind::Ihfft,
        _ => return Err(PyValueError::new_err(format!("there is no Fourier transform '{kind}'"))),
    };
    let norm = match norm {
        None | Some("backward") => Norm::Backward,
        Some("ortho") => Norm::Ortho,
        Some("forward") => Norm::Forward,
        Some(norm) => {
            return Err(PyValueError::new_err(format!(
                "Invalid norm value {norm}; should be 'backward', 'ortho' or 'forward'"
            )));
        }
    };
    wrap(array.array().fourier_n(kind, lengths.as_deref(), Some(&axes), norm))
}

/// Sums of products: `batch` pairs axes that stay, and come first; `summed`
/// pairs axes that are summed over.
#[pyfunction]
fn array_contract(
    left: &ArrayCore,
    right: &ArrayCore,
    batch: Vec<(usize, usize)>,
    summed: Vec<(usize, usize)>,
) -> PyResult<ArrayCore> {
    wrap(left.array().contract(right.array(), batch, summed))
}

/// Q and R of a matrix.
#[pyfunction]
fn array_qr(array: &ArrayCore) -> PyResult<(ArrayCore, ArrayCore)> {
    let (q, r): (Array, Array) = array.array().qr().or_raise()?;
    Ok((ArrayCore::new(q), ArrayCore::new(r)))
}

/// What happened in elementwise functions since this was last asked: NumPy's name
/// of the kind of floating-point error, and of the function.
#[pyfunction]
fn array_exceptions() -> Vec<(&'static str, String)> {
    const KINDS: [(u8, &str); 3] =
        [(exceptions::DIVIDE, "divide"), (exceptions::OVERFLOW, "over"), (exceptions::INVALID, "invalid")];
    let taken = exceptions::take();
    let kinds = taken.iter().flat_map(|&(func, seen)| {
        KINDS.iter().filter(move |(bit, _)| seen & bit != 0).map(move |&(_, kind)| (kind, func.name()))
    });
    kinds.collect()
}

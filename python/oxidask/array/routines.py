"""Functions of whole arrays: joining, reshaping, choosing, multiplying, reducing."""

from __future__ import annotations

import builtins
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from oxidask._oxidask import ArrayCore
from oxidask.array.core import REDUCTIONS, Array, _axes, _core_of, _operand, _wrap, asarray

__all__ = [
    "allclose",
    "array_equal",
    "atleast_1d",
    "atleast_2d",
    "average",
    "broadcast_arrays",
    "broadcast_to",
    "clip",
    "concatenate",
    "dot",
    "dstack",
    "expand_dims",
    "flip",
    "fliplr",
    "flipud",
    "hstack",
    "isclose",
    "matmul",
    "moveaxis",
    "ndim",
    "outer",
    "ptp",
    "ravel",
    "rechunk",
    "reshape",
    "result_type",
    "rollaxis",
    "round",
    "shape",
    "squeeze",
    "stack",
    "swapaxes",
    "tensordot",
    "transpose",
    "vdot",
    "vstack",
    "where",
    *REDUCTIONS,
]


def concatenate(seq: Sequence[Any], axis: int | None = 0, allow_unknown_chunksizes: bool = False) -> Array:
    """Arrays one after another along an axis. No data is moved.

    Parameters
    ----------
    seq : sequence of array_like
    axis : int or None
        None joins the flattened arrays.

    Raises
    ------
    ValueError
        If the shapes differ along another axis.

    Examples
    --------
    >>> import oxidask.array as da
    >>> concatenate([da.zeros(2, chunks=1), da.ones(1)]).compute()
    array([0., 0., 1.])
    """
    del allow_unknown_chunksizes
    arrays = [asarray(x) for x in seq]
    if axis is None:
        arrays, axis = [x.ravel() for x in arrays], 0
    return _wrap(ArrayCore.concatenate([x._core for x in arrays], axis))


def stack(seq: Sequence[Any], axis: int = 0, allow_unknown_chunksizes: bool = False) -> Array:
    """Arrays of one shape side by side along a new axis.

    >>> import oxidask.array as da
    >>> stack([da.zeros(2, chunks=1), da.ones(2, chunks=1)], axis=1).compute()
    array([[0., 1.],
           [0., 1.]])
    """
    del allow_unknown_chunksizes
    return _wrap(ArrayCore.stack([_core_of(x) for x in seq], axis))


def atleast_1d(*arys: Any) -> Any:
    """The arrays with at least one axis.

    >>> atleast_1d(5).shape
    (1,)
    """
    made = [x if x.ndim else x.reshape(1) for x in map(asarray, arys)]
    return made[0] if len(made) == 1 else made


def atleast_2d(*arys: Any) -> Any:
    """The arrays with at least two axes, new ones in front.

    >>> atleast_2d([1, 2]).shape
    (1, 2)
    """
    made = [x if x.ndim >= 2 else x.reshape(1, -1) for x in map(asarray, arys)]
    return made[0] if len(made) == 1 else made


def vstack(tup: Sequence[Any], allow_unknown_chunksizes: bool = False) -> Array:
    """Rows on top of one another.

    >>> vstack([[1, 2], [3, 4]]).shape
    (2, 2)
    """
    return concatenate([atleast_2d(x) for x in tup], axis=0)


def hstack(tup: Sequence[Any], allow_unknown_chunksizes: bool = False) -> Array:
    """Columns beside one another.

    >>> hstack([[1, 2], [3]]).compute()
    array([1, 2, 3])
    """
    arrays = [atleast_1d(x) for x in tup]
    return concatenate(arrays, axis=0 if arrays and arrays[0].ndim == 1 else 1)


def dstack(tup: Sequence[Any], allow_unknown_chunksizes: bool = False) -> Array:
    """Arrays joined along a third axis.

    >>> dstack([[1, 2], [3, 4]]).shape
    (1, 2, 2)
    """
    arrays = [atleast_2d(x) for x in tup]
    return concatenate([x if x.ndim > 2 else x[:, :, None] for x in arrays], axis=2)


def where(condition: Any, x: Any = None, y: Any = None) -> Array:
    """Elements of ``x`` where the condition holds, else of ``y``.

    >>> import oxidask.array as da
    >>> a = da.arange(4, chunks=2)
    >>> where(a > 1, a, -a).compute()
    array([ 0, -1,  2,  3])
    """
    if x is None or y is None:
        raise NotImplementedError("where with one argument is not available yet\nhint: give both choices")
    return _wrap(ArrayCore.select(_operand(condition), _operand(x), _operand(y)))


def clip(a: Any, a_min: Any = None, a_max: Any = None, *, min: Any = None, max: Any = None) -> Array:
    """Elements beyond a bound replaced by it.

    >>> clip([1, 5, 9], 2, 8).compute()
    array([2, 5, 8])
    """
    return asarray(a).clip(min if a_min is None else a_min, max if a_max is None else a_max)


def transpose(a: Any, axes: Any = None) -> Array:
    """The array with its axes in another order; reversed by default.

    >>> transpose([[1, 2, 3]]).shape
    (3, 1)
    """
    return asarray(a).transpose(axes)


def swapaxes(a: Any, axis1: int, axis2: int) -> Array:
    """The array with two axes exchanged.

    >>> import oxidask.array as da
    >>> swapaxes(da.ones((2, 3), chunks=1), 0, 1).shape
    (3, 2)
    """
    return asarray(a).swapaxes(axis1, axis2)


def moveaxis(a: Any, source: Any, destination: Any) -> Array:
    """Some axes moved to other places, the others in their order.

    >>> import oxidask.array as da
    >>> moveaxis(da.ones((2, 3, 4), chunks=2), 0, -1).shape
    (3, 4, 2)
    """
    a = asarray(a)
    sources = [operator.index(s) % a.ndim for s in (source if isinstance(source, tuple | list) else [source])]
    targets = [
        operator.index(d) % a.ndim for d in (destination if isinstance(destination, tuple | list) else [destination])
    ]
    if len(sources) != len(targets):
        raise ValueError(f"{len(sources)} axes cannot move to {len(targets)} places")
    order = [axis for axis in range(a.ndim) if axis not in sources]
    for target, axis in sorted(zip(targets, sources, strict=True)):
        order.insert(target, axis)
    return a.transpose(order)


def rollaxis(a: Any, axis: int, start: int = 0) -> Array:
    """One axis moved before another.

    >>> import oxidask.array as da
    >>> rollaxis(da.ones((2, 3, 4), chunks=2), 2).shape
    (4, 2, 3)
    """
    a = asarray(a)
    axis, start = axis % a.ndim, start + a.ndim if start < 0 else start
    return moveaxis(a, axis, start - 1 if axis < start else start)


def flip(m: Any, axis: Any = None) -> Array:
    """The elements in reverse order along some axes; all by default.

    >>> flip([1, 2, 3]).compute()
    array([3, 2, 1])
    """
    m = asarray(m)
    chosen = range(m.ndim) if axis is None else [a % m.ndim for a in _axes(axis) or []]
    return m[tuple(slice(None, None, -1) if a in chosen else slice(None) for a in range(m.ndim))]


def flipud(m: Any) -> Array:
    """The rows in reverse order.

    >>> flipud([[1], [2]]).compute().tolist()
    [[2], [1]]
    """
    return flip(m, 0)


def fliplr(m: Any) -> Array:
    """The columns in reverse order.

    >>> fliplr([[1, 2]]).compute().tolist()
    [[2, 1]]
    """
    return flip(m, 1)


def reshape(x: Any, shape: Any, merge_chunks: bool = True, limit: Any = None) -> Array:
    """The same elements in C order in another shape; one length may be -1.

    >>> reshape([1, 2, 3, 4], (2, -1)).compute().tolist()
    [[1, 2], [3, 4]]
    """
    return asarray(x).reshape(shape)


def ravel(array_like: Any) -> Array:
    """All elements along one axis.

    >>> ravel([[1], [2]]).compute()
    array([1, 2])
    """
    return asarray(array_like).ravel()


def squeeze(a: Any, axis: Any = None) -> Array:
    """Without axes of length one.

    >>> squeeze([[1, 2]]).shape
    (2,)
    """
    return asarray(a).squeeze(axis)


def expand_dims(a: Any, axis: Any) -> Array:
    """With new axes of length one.

    >>> expand_dims([1, 2], axis=1).shape
    (2, 1)
    """
    return _wrap(_core_of(a).expand_dims(_axes(axis)))


def rechunk(x: Any, chunks: Any = "auto", **kwargs: Any) -> Array:
    """The same elements in other chunks; see :meth:`Array.rechunk`.

    >>> import oxidask.array as da
    >>> rechunk(da.ones(6, chunks=2), 3).chunks
    ((3, 3),)
    """
    return asarray(x).rechunk(chunks, **kwargs)


def broadcast_to(x: Any, shape: Any, chunks: Any = None, meta: Any = None) -> Array:
    """The array repeated along new and length-one axes.

    >>> broadcast_to([1, 2], (3, 2)).compute().shape
    (3, 2)
    """
    del meta
    shape = [shape] if isinstance(shape, int) else list(shape)
    return _wrap(_core_of(x).broadcast_to(shape, chunks))


def broadcast_arrays(*args: Any, subok: bool = False) -> tuple[Array, ...]:
    """The arrays repeated to their common shape.

    >>> [x.shape for x in broadcast_arrays([[1], [2]], [3, 4, 5])]
    [(2, 3), (2, 3)]
    """
    del subok
    cores, chunks = ArrayCore.unify([_core_of(x) for x in args])
    shape = [builtins.sum(sizes) for sizes in chunks]
    return tuple(_wrap(core.broadcast_to(shape, tuple(tuple(sizes) for sizes in chunks))) for core in cores)


def dot(a: Any, b: Any) -> Array:
    """The product of numbers, vectors and matrices, as :func:`numpy.dot`.

    >>> dot([1, 2], [3, 4]).compute()
    np.int64(11)
    """
    return _wrap(_core_of(a).dot(_core_of(b)))


def vdot(a: Any, b: Any) -> Array:
    """The sum of the products of all elements.

    >>> vdot([[1, 2]], [[3, 4]]).compute()
    np.int64(11)
    """
    return dot(asarray(a).ravel(), asarray(b).ravel())


def matmul(a: Any, b: Any) -> Array:
    """The matrix product; leading axes of stacks of matrices broadcast.

    >>> matmul([[1, 0], [0, 2]], [3, 4]).compute()
    array([3, 8])
    """
    return _wrap(_core_of(a).matmul(_core_of(b)))


def outer(a: Any, b: Any) -> Array:
    """The products of all pairs of elements.

    >>> outer([1, 2], [3, 4]).compute()
    array([[3, 4],
           [6, 8]])
    """
    return _wrap(_core_of(a).outer(_core_of(b)))


def tensordot(lhs: Any, rhs: Any, axes: Any = 2) -> Array:
    """Sums of products over pairs of axes.

    Parameters
    ----------
    lhs, rhs : array_like
    axes : int or pair of sequences of int
        The last ``axes`` of ``lhs`` with the first of ``rhs``, or which of either.

    Examples
    --------
    >>> import oxidask.array as da
    >>> tensordot(da.ones((2, 3, 4), chunks=2), da.ones((3, 4, 5), chunks=2)).shape
    (2, 5)
    """
    lhs, rhs = asarray(lhs), asarray(rhs)
    if isinstance(axes, int | np.integer):
        pairs = [(i - axes, i) for i in range(axes)]
    else:
        left, right = ([a] if isinstance(a, int | np.integer) else list(a) for a in axes)
        if len(left) != len(right):
            raise ValueError(f"{len(left)} axes cannot be paired with {len(right)}")
        pairs = list(zip(left, right, strict=True))
    return _wrap(lhs._core.tensordot(rhs._core, pairs))


def round(a: Any, decimals: int = 0) -> Array:
    """Rounded to some decimals, halves to even.

    >>> round([1.25, 2.75], 1).compute()
    array([1.2, 2.8])
    """
    from oxidask.array.ufunc import rint

    a = asarray(a)
    if a.dtype.kind in "iub" and decimals >= 0:
        return a
    if decimals == 0:
        return rint(a)
    factor = 10.0 ** abs(decimals)
    rounded = rint(a * factor) / factor if decimals > 0 else rint(a / factor) * factor
    return rounded.astype(a.dtype)


def isclose(a: Any, b: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Array:
    """Whether elements are equal up to tolerances.

    >>> isclose([1.0, 2.0], [1.0, 2.1]).compute()
    array([ True, False])
    """
    from oxidask.array import ufunc as u

    a, b = asarray(a), asarray(b)
    close = (u.absolute(a - b) <= atol + rtol * u.absolute(b)) & u.isfinite(b) | (a == b)
    return close | (u.isnan(a) & u.isnan(b)) if equal_nan else close


def allclose(a: Any, b: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Array:
    """Whether all elements are equal up to tolerances.

    >>> bool(allclose([1.0], [1.0 + 1e-9]))
    True
    """
    return isclose(a, b, rtol, atol, equal_nan).all()


def array_equal(a1: Any, a2: Any) -> Any:
    """Whether two arrays have the same shape and elements.

    >>> bool(array_equal([1, 2], [1, 2]))
    True
    """
    a1, a2 = asarray(a1), asarray(a2)
    return (a1 == a2).all() if a1.shape == a2.shape else False


def ptp(a: Any, axis: Any = None) -> Array:
    """The largest less the smallest element.

    >>> ptp([3, 9, 4]).compute()
    np.int64(6)
    """
    a = asarray(a)
    return a.max(axis=axis) - a.min(axis=axis)


def average(a: Any, axis: Any = None, weights: Any = None, returned: bool = False, keepdims: bool = False) -> Any:
    """The mean, weighted if wished.

    >>> average([1.0, 3.0], weights=[3, 1]).compute()
    np.float64(1.5)
    """
    a = asarray(a)
    if weights is None:
        result = a.mean(axis=axis, keepdims=keepdims)
        total = ones_count(a, axis, result)
    else:
        weights = asarray(weights)
        if weights.shape != a.shape:
            if axis is None or weights.ndim != 1:
                raise TypeError("weights of another shape need one axis")
            if weights.shape[0] != a.shape[axis]:
                raise ValueError(f"{weights.shape[0]} weights do not fit axis {axis} of shape {a.shape}")
            weights = weights[(slice(None),) + (None,) * (a.ndim - axis % a.ndim - 1)]
        total = (weights + a * 0).sum(axis=axis, keepdims=keepdims)
        result = (a * weights).sum(axis=axis, keepdims=keepdims) / total
    return (result, total) if returned else result


def ones_count(a: Array, axis: Any, like: Array) -> Array:
    """How many elements of ``a`` make one of ``like``, in its shape.

    >>> import oxidask.array as da
    >>> a = da.ones((2, 3), chunks=2)
    >>> ones_count(a, 0, a.mean(axis=0)).compute()
    array([2., 2., 2.])
    """
    from oxidask.array.creation import full_like

    return full_like(like, a.size / builtins.max(like.size, 1), dtype=float)


def result_type(*args: Any) -> np.dtype:
    """The dtype that arrays and numbers promote to.

    >>> import oxidask.array as da
    >>> result_type(da.ones(2, dtype="f4"), 1.5)
    dtype('float32')
    """
    return np.result_type(*[x.dtype if isinstance(x, Array) else x for x in args])


def shape(a: Any) -> tuple[int, ...]:
    """The length of every axis.

    >>> shape([[1, 2]])
    (1, 2)
    """
    return asarray(a).shape


def ndim(a: Any) -> int:
    """The number of axes.

    >>> ndim([[1, 2]])
    2
    """
    return asarray(a).ndim


def _reduction(name: str) -> Callable[..., Array]:
    def function(a: Any, *args: Any, **kwargs: Any) -> Array:
        return getattr(asarray(a), name)(*args, **kwargs)

    function.__name__ = function.__qualname__ = name
    what = REDUCTIONS[name][0]
    function.__doc__ = f"""{what}, along one axis, several, or all; takes the arguments of :meth:`Array.{name}`.

    >>> import numpy as np
    >>> bool({name}([[2.0, 1.0], [3.0, 4.0]]).compute() == np.{name}([[2.0, 1.0], [3.0, 4.0]]))
    True
    """
    return function


for _name in REDUCTIONS:
    globals()[_name] = _reduction(_name)

"""Functions of whole arrays: choosing, comparing, searching, averaging."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from oxidask import _oxidask
from oxidask._oxidask import ArrayCore
from oxidask.array._generic import has_unknown, is_unknown
from oxidask.array._meta import quiet
from oxidask.array.blockwise import blockwise, broadcast_shape, elemwise
from oxidask.array.convert import asanyarray, asarray
from oxidask.array.core import Array, _is_native_operand, _operand, _wrap, ordered
from oxidask.array.shaping import axes_of, axis_of, broadcast_to

__all__ = [
    "allclose",
    "apply_along_axis",
    "apply_over_axes",
    "argwhere",
    "around",
    "array_equal",
    "average",
    "choose",
    "compress",
    "digitize",
    "extract",
    "flatnonzero",
    "isclose",
    "isin",
    "isnull",
    "ndim",
    "nonzero",
    "notnull",
    "piecewise",
    "ptp",
    "ravel_multi_index",
    "result_type",
    "round",
    "searchsorted",
    "select",
    "shape",
    "size",
    "take",
    "trace",
    "unravel_index",
    "where",
]


def where(condition: Any, x: Any = None, y: Any = None) -> Any:
    """Elements of ``x`` where the condition holds, else of ``y``; with one argument, where it holds.

    >>> import oxidask.array as da
    >>> a = da.arange(4, chunks=2)
    >>> where(a > 1, a, -a).compute()
    array([ 0, -1,  2,  3])
    """
    if (x is None) != (y is None):
        raise ValueError("either both or neither of x and y should be given to where")
    if x is None:
        return nonzero(condition)
    if np.isscalar(condition):
        dtype = result_type(x, y)
        x, y = asanyarray(x), asanyarray(y)
        return broadcast_to((x if condition else y).astype(dtype), broadcast_shape(x.shape, y.shape))
    x, y = (asanyarray(v) if isinstance(v, list | tuple) else v for v in (x, y))
    condition = asanyarray(condition)
    broadcast_shape(*[getattr(v, "shape", ()) for v in (condition, x, y)])
    if all(_is_native_operand(v) for v in (condition, x, y)):
        try:
            return _wrap(ArrayCore.select(_operand(condition), _operand(x), _operand(y)))
        except TypeError:
            pass
    return elemwise(_where, condition, x, y)


def _where(condition: Any, x: Any, y: Any) -> Any:
    if any(isinstance(v, np.ma.MaskedArray) for v in (condition, x, y)):
        return np.ma.where(condition, x, y)
    return np.where(condition, x, y)


def nonzero(a: Any) -> tuple[Array, ...]:
    """Where elements are not zero, one array an axis; their lengths are unknown.

    >>> nonzero([0, 3, 0, 4])[0].compute()
    array([1, 3])
    """
    from oxidask.array.creation import indices

    a = asanyarray(a)
    if a.ndim == 0:
        raise ValueError("Calling nonzero on 0d arrays is not allowed. Use np.atleast_1d(scalar).nonzero() instead.")
    mask = _nonzero_mask(a)
    grid = indices(a.shape, dtype=np.intp, chunks=a.chunks)
    flat = mask.ravel()
    return tuple(grid[axis].ravel()[flat] for axis in range(a.ndim))


def _nonzero_mask(a: Array) -> Array:
    if a.dtype.kind == "b":
        return a
    if a.dtype.kind in "USO":
        return elemwise(_truth, a, dtype=None, meta=np.empty((0,) * a.ndim, bool))
    return a != 0


def _truth(block: Any) -> Any:
    return block.astype(bool) if block.dtype.kind == "O" else block != block.dtype.type()


def argwhere(a: Any) -> Array:
    """Where elements are not zero, one row an element.

    >>> argwhere([0, 3]).compute()
    array([[1]])
    """
    from oxidask.array.stacking import stack

    found = nonzero(asanyarray(a))
    return stack(list(found), axis=1, allow_unknown_chunksizes=True) if found else asanyarray(a)


def flatnonzero(a: Any) -> Array:
    """Where elements of the flattened array are not zero.

    >>> flatnonzero([[0, 3]]).compute()
    array([1])
    """
    return nonzero(asanyarray(a).ravel())[0]


def choose(a: Any, choices: Any) -> Array:
    """For every element, that of the choice with its number.

    >>> choose([0, 1], [[1, 2], [3, 4]]).compute()
    array([1, 4])
    """
    choices = [choices[i] for i in range(len(choices))] if isinstance(choices, Array) else list(choices)
    return elemwise(_choose, asanyarray(a), *[asanyarray(c) for c in choices])


def _choose(index: Any, *choices: Any) -> Any:
    return np.choose(index, choices)


def extract(condition: Any, arr: Any) -> Array:
    """The elements where a condition holds.

    >>> extract([True, False], [5, 6]).compute()
    array([5])
    """
    condition = asanyarray(condition).astype(bool)
    return compress(condition.ravel(), asanyarray(arr).ravel())


def compress(condition: Any, a: Any, axis: int | None = None) -> Array:
    """The positions along an axis where a condition holds.

    >>> compress([True, False], [5, 6], axis=0).compute()
    array([5])
    """
    a = asanyarray(a)
    if axis is None:
        a, axis = a.ravel(), 0
    axis = axis_of(axis, a.ndim)
    if not isinstance(condition, Array):
        condition = np.asarray(condition, dtype=bool)
    if condition.ndim != 1:
        raise ValueError("compress needs a condition of one axis")
    condition = condition.astype(bool)
    n = condition.shape[0]
    if not is_unknown(n) and not is_unknown(a.shape[axis]) and n < a.shape[axis]:
        a = a[(slice(None),) * axis + (slice(None, n),)]
    elif not is_unknown(n) and n > a.shape[axis]:
        raise IndexError(f"a condition of length {n} does not fit axis {axis} of shape {a.shape}")
    return a[(slice(None),) * axis + (condition,)]


def take(a: Any, indices: Any, axis: int | None = 0) -> Array:
    """Positions along an axis.

    >>> take([5, 6, 7], [2, 0]).compute()
    array([7, 5])
    """
    a = asanyarray(a)
    if axis is None:
        a, axis = a.ravel(), 0
    axis = axis_of(axis, a.ndim)
    if not isinstance(indices, Array) and not isinstance(indices, int | np.integer):
        indices = np.asarray(indices)
        if indices.ndim > 1:
            made = take(a, indices.ravel(), axis)
            return made.reshape((*a.shape[:axis], *indices.shape, *a.shape[axis + 1 :]))
    return a[(slice(None),) * axis + (indices,)]


def isclose(arr1: Any, arr2: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Array:
    """Whether elements are equal up to tolerances.

    >>> isclose([1.0, 2.0], [1.0, 2.1]).compute()
    array([ True, False])
    """
    a, b = (asanyarray(x) if not np.isscalar(x) else x for x in (arr1, arr2))
    return elemwise(Close(rtol, atol, equal_nan), a, b, meta=_bool_like(a, b))


def _bool_like(*arrays: Any) -> Any:
    n = max((getattr(x, "ndim", 0) for x in arrays), default=0)
    masked = any(isinstance(getattr(x, "_meta", None), np.ma.MaskedArray) for x in arrays)
    made = np.empty((0,) * n, dtype=bool)
    return np.ma.array(made) if masked else made


class Close:
    """Whether elements of blocks are equal up to tolerances."""

    __name__ = "isclose"

    def __init__(self, rtol: float, atol: float, equal_nan: bool) -> None:
        self.kwargs = {"rtol": rtol, "atol": atol, "equal_nan": equal_nan}

    def __call__(self, a: Any, b: Any) -> Any:
        return np.isclose(a, b, **self.kwargs)


def allclose(arr1: Any, arr2: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Array:
    """Whether all elements are equal up to tolerances.

    >>> bool(allclose([1.0], [1.0 + 1e-9]))
    True
    """
    return isclose(arr1, arr2, rtol=rtol, atol=atol, equal_nan=equal_nan).all()


def array_equal(a1: Any, a2: Any, equal_nan: bool = False) -> Any:
    """Whether two arrays have the same shape and elements.

    >>> bool(array_equal([1, 2], [1, 2]))
    True
    """
    a1, a2 = asanyarray(a1), asanyarray(a2)
    if a1.shape != a2.shape:
        return False
    same = a1 == a2
    if equal_nan and a1.dtype.kind in "fc" and a2.dtype.kind in "fc":
        from oxidask.array import ufunc as u

        same = same | (u.isnan(a1) & u.isnan(a2))  # type: ignore[attr-defined]
    return same.all()


def round(a: Any, decimals: int = 0) -> Array:
    """Rounded to some decimals, halves to even.

    >>> round([1.25, 2.75], 1).compute()
    array([1.2, 2.8])
    """
    from oxidask.array.ufunc import _is_rows, rint  # type: ignore[attr-defined]

    if _is_rows(a):
        return a.round(decimals)  # type: ignore[no-any-return]
    a = asanyarray(a)
    if decimals == 0 and a.dtype.kind == "f":
        return rint(a)
    return elemwise(Round(decimals), a)


def around(x: Any, decimals: int = 0) -> Array:
    """The same as :func:`round`.

    >>> around([1.26], 1).compute()
    array([1.3])
    """
    return round(x, decimals)


class Round:
    """Rounds blocks to some decimals."""

    __name__ = "round"

    def __init__(self, decimals: int) -> None:
        self.decimals = decimals

    def __call__(self, block: Any) -> Any:
        return np.round(block, self.decimals)


def ptp(a: Any, axis: Any = None) -> Array:
    """The largest less the smallest element.

    >>> ptp([3, 9, 4]).compute()
    np.int64(6)
    """
    a = asanyarray(a)
    return a.max(axis=axis) - a.min(axis=axis)


def average(a: Any, axis: Any = None, weights: Any = None, returned: bool = False, keepdims: bool = False) -> Any:
    """The mean, weighted if wished.

    >>> average([1.0, 3.0], weights=[3, 1]).compute()
    np.float64(1.5)
    """
    return _average(a, axis, weights, returned, keepdims, masked=False)


def _average(a: Any, axis: Any, weights: Any, returned: bool, keepdims: bool, *, masked: bool) -> Any:
    a = asanyarray(a)
    if weights is None:
        result = a.mean(axis=axis, keepdims=keepdims)
        if not returned:
            return result
        count = a.size / result.size
        total = broadcast_to(asarray(np.asarray(count, result.dtype)), result.shape)
        return result, total
    weights = asanyarray(weights)
    if weights.shape != a.shape:
        if axis is None:
            raise TypeError(f"weights of shape {weights.shape} for an array of shape {a.shape} need an axis")
        if weights.ndim != 1:
            raise TypeError(f"weights of shape {weights.shape} fit neither an axis nor the shape {a.shape}")
        if weights.shape[0] != a.shape[axis]:
            raise ValueError(f"weights of shape {weights.shape} do not fit axis {axis} of shape {a.shape}")
        weights = broadcast_to(weights, (a.ndim - 1) * (1,) + weights.shape).swapaxes(-1, axis)
    dtype = (
        np.result_type(a.dtype, weights.dtype, "f8")
        if a.dtype.kind in "iub"
        else np.result_type(a.dtype, weights.dtype)
    )
    if masked:
        from oxidask.array import ma

        weights = weights * (~ma.getmaskarray(a))
    weights = broadcast_to(weights, a.shape)
    total = weights.sum(axis=axis, dtype=dtype, keepdims=keepdims)
    result = (a * weights).sum(axis=axis, dtype=dtype, keepdims=keepdims) / total
    return (result, broadcast_to(total, result.shape)) if returned else result


def result_type(*arrays_and_dtypes: Any) -> np.dtype:
    """The dtype that arrays and numbers promote to.

    >>> import oxidask.array as da
    >>> result_type(da.ones(2, dtype="f4"), 1.5)
    dtype('float32')
    """
    return np.result_type(
        *[x.dtype if hasattr(x, "dtype") and not isinstance(x, type) else x for x in arrays_and_dtypes]
    )


def shape(array: Any) -> tuple[Any, ...]:
    """The length of every axis.

    >>> shape([[1, 2]])
    (1, 2)
    """
    return asanyarray(array).shape


def ndim(array: Any) -> int:
    """The number of axes.

    >>> ndim([[1, 2]])
    2
    """
    return array.ndim if hasattr(array, "ndim") else asanyarray(array).ndim  # type: ignore[no-any-return]


def size(a: Any, axis: int | None = None) -> Any:
    """The number of elements, of all or along one axis.

    >>> size([[1, 2]])
    2
    """
    a = asanyarray(a)
    return a.size if axis is None else a.shape[axis]


def isnull(values: Any) -> Array:
    """Where elements are missing: NaN, NaT, None.

    >>> isnull([1.0, float("nan")]).compute()
    array([False,  True])
    """
    x = asanyarray(values)
    return elemwise(IsNull(), x, meta=np.empty((0,) * x.ndim, bool))


class IsNull:
    """Where elements of a block are missing, as an array even for a single one."""

    __name__ = "isnull"

    def __call__(self, block: Any) -> Any:
        import pandas as pd

        return np.asarray(pd.isnull(block))


def notnull(values: Any) -> Array:
    """Where elements are not missing.

    >>> notnull([1.0, float("nan")]).compute()
    array([ True, False])
    """
    return ~isnull(values)


def isin(
    element: Any, test_elements: Any, assume_unique: bool = False, invert: bool = False, *, kind: str | None = None
) -> Array:
    """Whether elements are among others; ``kind`` is accepted for compatibility.

    >>> isin([1, 2], [2, 3]).compute()
    array([False,  True])
    """
    del kind
    element, others = asanyarray(element), asanyarray(test_elements).ravel()
    lead = tuple(range(element.ndim))
    found = blockwise(
        IsIn(assume_unique),
        (*lead, "t"),
        element,
        lead,
        others,
        ("t",),
        adjust_chunks={"t": 1},
        meta=np.empty((0,) * (element.ndim + 1), bool),
        token="isin",
    ).any(axis=element.ndim)
    return ~found if invert else found


class IsIn:
    """Whether elements of a block are among others."""

    __name__ = "isin"

    def __init__(self, assume_unique: bool) -> None:
        self.assume_unique = assume_unique

    def __call__(self, block: Any, others: Any) -> Any:
        return np.isin(block, others, assume_unique=self.assume_unique)[..., None]


def select(condlist: Sequence[Any], choicelist: Sequence[Any], default: Any = 0) -> Array:
    """Elements of the first choice whose condition holds.

    >>> import oxidask.array as da
    >>> x = da.arange(4, chunks=2)
    >>> select([x < 1, x > 2], [x, x * 10]).compute()
    array([ 0,  0,  0, 30])
    """
    if len(condlist) != len(choicelist):
        raise ValueError("select needs one choice for every condition")
    if len(condlist) == 0:
        raise ValueError("select needs a condition")
    if not all(asanyarray(c).dtype.kind == "b" for c in condlist):
        raise TypeError("invalid entries in condlist: they should be boolean arrays")
    dtype = result_type(*choicelist, default)
    made = asanyarray(np.asarray(default, dtype=dtype))
    for condition, choice in zip(condlist[::-1], choicelist[::-1], strict=True):
        made = where(asanyarray(condition), choice, made)
    return made.astype(dtype) if made.dtype != dtype else made


def piecewise(x: Any, condlist: Any, funclist: Sequence[Any], *args: Any, **kw: Any) -> Array:
    """Functions of elements, each where its condition holds.

    >>> import oxidask.array as da
    >>> x = da.arange(4, chunks=2)
    >>> piecewise(x, [x < 2, x >= 2], [0, 1]).compute()
    array([0, 0, 1, 1])
    """
    x = asanyarray(x)
    conditions = list(condlist) if isinstance(condlist, list | tuple) else [condlist]
    return elemwise(Piecewise(list(funclist), args, kw), x, *conditions, meta=x._meta)


class Piecewise:
    """Functions of elements of a block, each where its condition holds."""

    __name__ = "piecewise"

    def __init__(self, funclist: list[Any], args: Any, kwargs: Any) -> None:
        self.funclist, self.args, self.kwargs = funclist, args, kwargs

    def __call__(self, x: Any, *conditions: Any) -> Any:
        return np.piecewise(
            x, [np.broadcast_to(c, x.shape) for c in conditions], self.funclist, *self.args, **self.kwargs
        )


def digitize(a: Any, bins: Any, right: bool = False) -> Array:
    """The number of the bin of every element.

    >>> digitize([0.5, 1.5], [0, 1, 2]).compute()
    array([1, 2])
    """
    bins = np.asarray(bins)
    if bins.ndim != 1:
        raise ValueError("bins must have one axis")
    a = asanyarray(a)
    return elemwise(Digitize(bins, right), a, meta=np.empty((0,) * a.ndim, np.digitize([0], bins, right=False).dtype))


class Digitize:
    """The numbers of bins of a block's elements."""

    __name__ = "digitize"

    def __init__(self, bins: Any, right: bool) -> None:
        self.bins, self.right = bins, right

    def __call__(self, block: Any) -> Any:
        return np.digitize(block, self.bins, right=self.right)


def searchsorted(a: Any, v: Any, side: str = "left", sorter: Any = None) -> Array:
    """Where elements would have to be put into a sorted array.

    >>> import oxidask.array as da
    >>> searchsorted(da.arange(4, chunks=2), da.from_array(np.array([2, 9]), chunks=1)).compute()
    array([2, 4])
    """
    a, v = asanyarray(a), asanyarray(v)
    if a.ndim != 1:
        raise ValueError("searchsorted looks in an array of one axis")
    if sorter is not None:
        a = a[sorter]
    if ordered(a, v) and side in ("left", "right") and not has_unknown(a.chunks):
        return _wrap(_oxidask.array_searchsorted(a._core, v._core, side == "right"))
    ind = tuple(range(v.ndim))
    # The position in a sorted array is the number of elements before it, in all chunks.
    found = blockwise(
        Searchsorted(side),
        (*ind, "a"),
        v,
        ind,
        a,
        ("a",),
        adjust_chunks={"a": 1},
        meta=np.empty((0,) * (v.ndim + 1), np.intp),
        token="searchsorted",
    )
    return found.sum(axis=v.ndim)


class Searchsorted:
    """How many elements of one block lie before those of another."""

    __name__ = "searchsorted"

    def __init__(self, side: str) -> None:
        self.side = side

    def __call__(self, v: Any, a: Any) -> Any:
        return np.asarray(np.searchsorted(a, v, side=self.side))[..., None]


def ravel_multi_index(multi_index: Any, dims: Any, mode: str = "raise", order: str = "C") -> Array:
    """Positions in the flattened array of positions along axes.

    >>> ravel_multi_index([[1], [1]], (2, 3)).compute()
    array([4])
    """
    if np.isscalar(dims):
        dims = (dims,)
    parts = [asanyarray(multi_index[i]) for i in range(len(multi_index))]
    if any(part.dtype.kind not in "iu" for part in parts):
        raise TypeError(f"only int indices permitted, not {[str(part.dtype) for part in parts]}")
    if any(is_unknown(n) for n in dims):
        raise ValueError(f"some lengths of {tuple(dims)} are unknown\nhint: call compute_chunk_sizes() first")
    return elemwise(RavelIndex(tuple(dims), mode, order), *parts, meta=np.empty((0,) * parts[0].ndim, np.intp))


class RavelIndex:
    """Flat positions of a block's positions."""

    __name__ = "ravel_multi_index"

    def __init__(self, dims: Any, mode: Any, order: str) -> None:
        self.dims, self.mode, self.order = dims, mode, order

    def __call__(self, *parts: Any) -> Any:
        return np.ravel_multi_index(parts, self.dims, mode=self.mode, order=self.order)


def unravel_index(indices: Any, shape: Any, order: str = "C") -> Any:
    """Positions along axes of positions in the flattened array.

    >>> [x.compute().tolist() for x in unravel_index(np.array([4]), (2, 3))]
    [[1], [1]]
    """
    if not isinstance(indices, Array):
        indices = asanyarray(indices)
    if not shape or not indices.size:
        empty = asarray(np.empty((0,) if not indices.size else indices.shape, np.intp))
        return tuple(empty for _ in shape)
    return tuple(
        elemwise(UnravelIndex(tuple(shape), order, axis), indices, meta=np.empty((0,) * indices.ndim, np.intp))
        for axis in range(len(shape))
    )


class UnravelIndex:
    """Positions along one axis of a block's flat positions."""

    __name__ = "unravel_index"

    def __init__(self, shape: Any, order: str, axis: int) -> None:
        self.shape, self.order, self.axis = shape, order, axis

    def __call__(self, block: Any) -> Any:
        return np.unravel_index(block, self.shape, order=self.order)[self.axis]


class AlongAxis:
    """A user's function of every vector along an axis of a block."""

    def __init__(self, func: Callable[..., Any], axis: int, args: Any, kwargs: Any) -> None:
        self.func, self.axis, self.args, self.kwargs = func, axis, args, kwargs
        self.__name__ = getattr(func, "__name__", "apply_along_axis")

    def __call__(self, block: Any) -> Any:
        return np.apply_along_axis(self.func, self.axis, block, *self.args, **self.kwargs)


def apply_along_axis(
    func1d: Callable[..., Any], axis: int, arr: Any, *args: Any, dtype: Any = None, shape: Any = None, **kwargs: Any
) -> Array:
    """A function of every vector along an axis, which becomes one chunk.

    >>> apply_along_axis(np.sum, 0, [[1, 2], [3, 4]]).compute()
    array([4, 6])
    """
    arr = asanyarray(arr)
    if not -arr.ndim <= axis < arr.ndim:
        raise ValueError(f"axis {axis} is out of range for an array of shape {arr.shape}")
    axis %= arr.ndim
    if shape is None or dtype is None:
        with quiet():
            sample = np.asarray(func1d(np.ones((1,), dtype=arr.dtype), *args, **kwargs))
        shape, dtype = (sample.shape if shape is None else shape), (sample.dtype if dtype is None else dtype)
    arr = arr.rechunk({a: arr.shape[axis] if a == axis else c for a, c in enumerate(arr.chunks)})
    ind = tuple(range(arr.ndim))
    new = tuple(("new", i) for i in range(len(shape)))
    out = (*ind[:axis], *new, *ind[axis + 1 :])
    return blockwise(
        AlongAxis(func1d, axis, args, kwargs),
        out,
        arr,
        ind,
        new_axes=dict(zip(new, shape, strict=True)),
        concatenate=True,
        dtype=dtype,
        meta=np.empty((0,) * len(out), dtype=dtype),
        token="apply_along_axis",
    )


def apply_over_axes(func: Callable[..., Any], a: Any, axes: Any) -> Array:
    """A function of an array and an axis, over several axes in turn.

    >>> import oxidask.array as da
    >>> apply_over_axes(da.sum, da.ones((2, 3), chunks=2), [0, 1]).shape
    (1, 1)
    """
    a = asanyarray(a)
    result = a
    for axis in axes_of(tuple(axes) if isinstance(axes, list | tuple) else (axes,), a.ndim):
        made = func(result, axis)
        if made.ndim == result.ndim - 1:
            made = made[(slice(None),) * axis + (None,)]
        if made.ndim != result.ndim:
            raise ValueError("the function must leave as many axes as there were, or one less")
        result = made
    return result


def trace(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: Any = None) -> Array:
    """The sum along a diagonal.

    >>> trace([[1, 2], [3, 4]]).compute()
    np.int64(5)
    """
    from oxidask.array.creation import diagonal

    return diagonal(a, offset=offset, axis1=axis1, axis2=axis2).sum(-1, dtype=dtype)

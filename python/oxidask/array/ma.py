"""Masked arrays: blocks are NumPy's masked arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from oxidask.array._generic import empty_block
from oxidask.array._meta import meta_from_array
from oxidask.array.blocks import map_blocks
from oxidask.array.blockwise import elemwise
from oxidask.array.convert import asanyarray
from oxidask.array.core import Array

nomask = np.ma.nomask


def _masked_meta(a: Array, dtype: Any = None) -> Any:
    return np.ma.masked_array(np.empty((0,) * a.ndim, dtype=dtype or a.dtype))


class Call:
    """One of the functions of ``numpy.ma``."""

    def __init__(self, name: str, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None) -> None:
        self.__name__, self.args, self.kwargs = name, args, kwargs or {}

    def __call__(self, *blocks: Any) -> Any:
        return getattr(np.ma, self.__name__)(*blocks, *self.args, **self.kwargs)


def masked_array(data: Any, mask: Any = np.ma.nomask, fill_value: Any = None, **kwargs: Any) -> Array:
    """An array of which some elements are masked.

    Parameters
    ----------
    data : array_like
    mask : array_like of bool, optional
    fill_value : number, optional
        What masked elements become in :func:`filled`.
    dtype, keep_mask, hard_mask
        As for :func:`numpy.ma.masked_array`.

    Examples
    --------
    >>> masked_array([1, 2, 3], mask=[False, True, False]).sum().compute()
    np.int64(4)
    """
    data = asanyarray(data, **({"chunks": kwargs.pop("chunks")} if "chunks" in kwargs else {}))
    extra = {k: kwargs.pop(k) for k in ("dtype", "keep_mask", "hard_mask", "shrink") if k in kwargs}
    if kwargs:
        raise TypeError(f"masked_array takes no argument {next(iter(kwargs))!r}")
    dtype = extra.get("dtype") or data.dtype
    if fill_value is not None:
        if getattr(fill_value, "shape", ()):
            raise ValueError("a fill value is one value, not an array")
        extra["fill_value"] = fill_value
    meta = _masked_meta(data, np.dtype(dtype))
    if mask is np.ma.nomask or mask is False:
        return elemwise(Call("masked_array", (), extra), data, meta=meta)
    mask = asanyarray(mask)
    if mask.shape != data.shape and mask.size == data.size:
        mask = mask.reshape(data.shape)
    elif mask.shape != data.shape:
        raise np.ma.MaskError(f"Mask and data not compatible: shapes {mask.shape} and {data.shape}.")
    return elemwise(MaskedArray(extra), data, mask, meta=meta)


class MaskedArray:
    """A masked block from data and mask."""

    __name__ = "masked_array"

    def __init__(self, kwargs: dict[str, Any]) -> None:
        self.kwargs = kwargs

    def __call__(self, data: Any, mask: Any) -> Any:
        return np.ma.masked_array(data, mask=np.ma.getdata(mask), **self.kwargs)


def _compared(name: str) -> Callable[[Any, Any], Array]:
    def function(a: Any, value: Any, copy: bool = True) -> Array:
        del copy
        x = asanyarray(a)
        if getattr(value, "shape", ()):
            return elemwise(getattr(np.ma, name), x, asanyarray(value), meta=_masked_meta(x))
        return elemwise(Call(name, (value,)), x, meta=_masked_meta(x))

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"""The array with elements masked as by :func:`numpy.ma.{name}`.

    >>> import numpy as np
    >>> x = np.array([1, 2, 3])
    >>> bool((getmaskarray({name}(x, 2)).compute() == np.ma.getmaskarray(np.ma.{name}(x, 2))).all())
    True
    """
    return function


masked_equal = _compared("masked_equal")
masked_not_equal = _compared("masked_not_equal")
masked_greater = _compared("masked_greater")
masked_greater_equal = _compared("masked_greater_equal")
masked_less = _compared("masked_less")
masked_less_equal = _compared("masked_less_equal")


def masked_inside(x: Any, v1: Any, v2: Any) -> Array:
    """Masked within an interval.

    >>> getmaskarray(masked_inside([1, 2, 3], 2, 2)).compute()
    array([False,  True, False])
    """
    x = asanyarray(x)
    return elemwise(Call("masked_inside", (v1, v2)), x, meta=_masked_meta(x))


def masked_outside(x: Any, v1: Any, v2: Any) -> Array:
    """Masked outside an interval.

    >>> getmaskarray(masked_outside([1, 2, 3], 2, 2)).compute()
    array([ True, False,  True])
    """
    x = asanyarray(x)
    return elemwise(Call("masked_outside", (v1, v2)), x, meta=_masked_meta(x))


def masked_values(x: Any, value: Any, rtol: float = 1e-05, atol: float = 1e-08, shrink: bool = True) -> Array:
    """Masked where elements are nearly a value.

    >>> getmaskarray(masked_values([1.0, 2.0], 2.0)).compute()
    array([False,  True])
    """
    x = asanyarray(x)
    if getattr(value, "shape", ()):
        raise ValueError("masked_values compares with one value, not with an array")
    return elemwise(
        Call("masked_values", (value,), {"rtol": rtol, "atol": atol, "shrink": shrink}), x, meta=_masked_meta(x)
    )


def masked_invalid(a: Any) -> Array:
    """Masked where elements are NaN or infinite.

    >>> getmaskarray(masked_invalid([1.0, float("nan")])).compute()
    array([False,  True])
    """
    a = asanyarray(a)
    return elemwise(Call("masked_invalid"), a, meta=_masked_meta(a))


def masked_where(condition: Any, a: Any) -> Array:
    """Masked where a condition holds.

    >>> getmaskarray(masked_where([True, False], [1, 2])).compute()
    array([ True, False])
    """
    a, condition = asanyarray(a), asanyarray(condition)
    if condition.shape and condition.shape != a.shape:
        raise IndexError(f"a condition of shape {condition.shape} does not fit an array of shape {a.shape}")
    return elemwise(Call("masked_where"), condition, a, meta=_masked_meta(a))


def filled(a: Any, fill_value: Any = None) -> Array:
    """Masked elements replaced by a value.

    >>> filled(masked_equal([1, 2], 2), 9).compute()
    array([1, 9])
    """
    a = asanyarray(a)
    return elemwise(Call("filled", (fill_value,)), a, meta=meta_from_array(None, a.ndim, a.dtype))


def fix_invalid(a: Any, fill_value: Any = None) -> Array:
    """NaN and infinities masked, and replaced in the data.

    >>> getmaskarray(fix_invalid([1.0, float("nan")])).compute()
    array([False,  True])
    """
    a = asanyarray(a)
    return elemwise(Call("fix_invalid", (), {"fill_value": fill_value}), a, meta=_masked_meta(a))


def getdata(a: Any) -> Array:
    """The data below the mask.

    >>> getdata(masked_equal([1, 2], 2)).compute()
    array([1, 2])
    """
    a = asanyarray(a)
    return elemwise(Call("getdata"), a, meta=meta_from_array(None, a.ndim, a.dtype))


def getmaskarray(a: Any) -> Array:
    """The mask, in full.

    >>> getmaskarray(masked_equal([1, 2], 2)).compute()
    array([False,  True])
    """
    a = asanyarray(a)
    return elemwise(Call("getmaskarray"), a, meta=meta_from_array(None, a.ndim, bool))


class SetFill:
    """Sets what masked elements become."""

    __name__ = "set_fill_value"

    def __init__(self, value: Any) -> None:
        self.value = value

    def __call__(self, block: Any) -> Any:
        block = np.ma.array(block, copy=True)
        block.fill_value = self.value
        return block


def set_fill_value(a: Any, fill_value: Any) -> None:
    """Sets, in place, what masked elements of the array become.

    >>> x = masked_equal([1, 2], 2)
    >>> set_fill_value(x, 7)
    >>> filled(x).compute()
    array([1, 7])
    """
    a = asanyarray(a)
    if getattr(fill_value, "shape", ()):
        raise ValueError("a fill value is one value, not an array")
    # NumPy says what does not fit the dtype.
    np.ma.set_fill_value(np.ma.masked_array(np.empty(0, a.dtype)), fill_value)
    made = map_blocks(SetFill(fill_value), a, meta=empty_block(a._meta, a.ndim, a.dtype))
    a._core, a._given = made._core, None


def average(a: Any, axis: Any = None, weights: Any = None, returned: bool = False, keepdims: bool = False) -> Any:
    """The mean of what is not masked, weighted if wished.

    >>> average(masked_equal([1.0, 3.0, 9.0], 9)).compute()
    np.float64(2.0)
    """
    from oxidask.array.routines import _average

    return _average(a, axis, weights, returned, keepdims, masked=True)


def count(a: Any, axis: Any = None, keepdims: bool = False, split_every: Any = None) -> Array:
    """The number of elements that are not masked.

    >>> count(masked_equal([1, 2], 2)).compute()
    np.int64(1)
    """
    return (~getmaskarray(a)).sum(axis=axis, keepdims=keepdims, split_every=split_every)


def _like(name: str) -> Callable[..., Array]:
    def function(a: Any, **kwargs: Any) -> Array:
        a = asanyarray(a)
        return map_blocks(
            Call(name, (), kwargs), a, meta=_masked_meta(a, np.dtype(kwargs["dtype"]) if kwargs.get("dtype") else None)
        )

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"""A masked array like another; as :func:`numpy.ma.{name}`.

    >>> {name}(masked_equal([1, 2], 2)).shape
    (2,)
    """
    return function


ones_like, zeros_like, empty_like = _like("ones_like"), _like("zeros_like"), _like("empty_like")


def where(condition: Any, x: Any = None, y: Any = None) -> Any:
    """Elements of one or the other, masks included; as :func:`numpy.ma.where`.

    >>> where([True, False], masked_equal([1, 2], 1), [3, 4]).shape
    (2,)
    """
    if (x is None) != (y is None):
        raise ValueError("either both or neither of x and y should be given to where")
    if x is None:
        return nonzero(condition)
    condition, x, y = (asanyarray(v) for v in (condition, x, y))
    n = max(v.ndim for v in (condition, x, y))
    return elemwise(
        Call("where"), condition, x, y, meta=np.ma.masked_array(np.empty((0,) * n, np.result_type(x.dtype, y.dtype)))
    )


def nonzero(a: Any) -> tuple[Array, ...]:
    """Where elements are neither zero nor masked.

    >>> nonzero(masked_equal([0, 1, 2], 2))[0].compute()
    array([1])
    """
    from oxidask.array.routines import nonzero as plain

    return plain(getdata(a).astype(bool) & ~getmaskarray(a))


__all__ = sorted(
    name
    for name, value in list(globals().items())
    if not name.startswith("_")
    and callable(value)
    and getattr(value, "__module__", None) == __name__
    and not isinstance(value, type)
)

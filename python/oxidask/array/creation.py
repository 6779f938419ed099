"""Arrays made from a few numbers. They take no memory until they are used."""

from __future__ import annotations

from typing import Any

import numpy as np

from oxidask._oxidask import ArrayCore
from oxidask.array.core import Array, _dtype_name, _operand, _wrap, asarray

__all__ = [
    "arange",
    "empty",
    "empty_like",
    "eye",
    "full",
    "full_like",
    "identity",
    "linspace",
    "ones",
    "ones_like",
    "tri",
    "tril",
    "triu",
    "zeros",
    "zeros_like",
]


def _shape(shape: Any) -> list[int]:
    if isinstance(shape, int | np.integer):
        return [int(shape)]
    shape = [int(length) for length in shape]
    if any(length < 0 for length in shape):
        raise ValueError(f"negative lengths are not allowed: shape {tuple(shape)}")
    return shape


def full(shape: Any, fill_value: Any, dtype: Any = None, chunks: Any = "auto", **kwargs: Any) -> Array:
    """An array of one value.

    Parameters
    ----------
    shape : int or tuple of int
    fill_value : number
    dtype : dtype, optional
        That of the value by default.
    chunks : int, tuple, dict or str
        See :func:`oxidask.array.normalize_chunks`.

    Examples
    --------
    >>> full((2, 2), 7, chunks=1).compute()
    array([[7, 7],
           [7, 7]])
    """
    _no_more(kwargs, "full")
    value = _operand(fill_value)
    if isinstance(value, ArrayCore):
        raise ValueError(f"the value must be a single number, not an array of shape {value.shape}")
    return _wrap(ArrayCore.full(_shape(shape), value, _dtype_name(dtype), chunks))


def _no_more(kwargs: dict[str, Any], name: str) -> None:
    for accepted in ("order", "name", "meta", "like"):
        kwargs.pop(accepted, None)
    if kwargs:
        raise TypeError(f"{name} takes no argument {next(iter(kwargs))!r}")


def ones(shape: Any, dtype: Any = float, chunks: Any = "auto", **kwargs: Any) -> Array:
    """An array of ones; see :func:`full`.

    >>> ones(3, dtype="i1", chunks=2).compute()
    array([1, 1, 1], dtype=int8)
    """
    return full(shape, 1, dtype or float, chunks, **kwargs)


def zeros(shape: Any, dtype: Any = float, chunks: Any = "auto", **kwargs: Any) -> Array:
    """An array of zeros; see :func:`full`.

    >>> zeros((1, 2), chunks=2).compute()
    array([[0., 0.]])
    """
    return full(shape, 0, dtype or float, chunks, **kwargs)


def empty(shape: Any, dtype: Any = float, chunks: Any = "auto", **kwargs: Any) -> Array:
    """An array whose content does not matter: zeros; see :func:`full`.

    >>> empty((2, 3), chunks=2).shape
    (2, 3)
    """
    return full(shape, 0, dtype or float, chunks, **kwargs)


def _like(a: Any, value: Any, dtype: Any, chunks: Any, shape: Any, kwargs: dict[str, Any]) -> Array:
    a = asarray(a)
    kwargs.pop("order", None)
    if chunks is None:
        chunks = a.chunks if shape is None else "auto"
    return full(a.shape if shape is None else shape, value, dtype or a.dtype, chunks, **kwargs)


def ones_like(a: Any, dtype: Any = None, chunks: Any = None, shape: Any = None, **kwargs: Any) -> Array:
    """Ones in the shape, chunks and dtype of another array, where not said otherwise.

    >>> ones_like(zeros((2, 2), chunks=1)).chunks
    ((1, 1), (1, 1))
    """
    return _like(a, 1, dtype, chunks, shape, kwargs)


def zeros_like(a: Any, dtype: Any = None, chunks: Any = None, shape: Any = None, **kwargs: Any) -> Array:
    """Zeros in the shape, chunks and dtype of another array, where not said otherwise.

    >>> zeros_like(ones(3, chunks=2)).compute()
    array([0., 0., 0.])
    """
    return _like(a, 0, dtype, chunks, shape, kwargs)


def empty_like(a: Any, dtype: Any = None, chunks: Any = None, shape: Any = None, **kwargs: Any) -> Array:
    """An array like another whose content does not matter.

    >>> empty_like(ones(3, chunks=2)).shape
    (3,)
    """
    return _like(a, 0, dtype, chunks, shape, kwargs)


def full_like(
    a: Any, fill_value: Any, dtype: Any = None, chunks: Any = None, shape: Any = None, **kwargs: Any
) -> Array:
    """One value in the shape, chunks and dtype of another array, where not said otherwise.

    >>> full_like(ones(2, chunks=2), 5).compute()
    array([5., 5.])
    """
    return _like(a, fill_value, dtype, chunks, shape, kwargs)


def arange(
    start: Any = 0, stop: Any = None, step: Any = 1, *, chunks: Any = "auto", dtype: Any = None, **kwargs: Any
) -> Array:
    """Numbers ``start, start + step, …`` up to but not including ``stop``.

    Parameters
    ----------
    start, stop, step : number
        With one positional argument it is ``stop``.
    chunks : int, tuple or str
    dtype : dtype, optional

    Examples
    --------
    >>> arange(1, 10, 4, chunks=2).compute()
    array([1, 5, 9])
    """
    _no_more(kwargs, "arange")
    if stop is None:
        start, stop = 0, start
    numbers = [_operand(number) for number in (start, stop, step)]
    return _wrap(ArrayCore.arange(*numbers, _dtype_name(dtype), chunks))


def linspace(
    start: float,
    stop: float,
    num: int = 50,
    endpoint: bool = True,
    retstep: bool = False,
    chunks: Any = "auto",
    dtype: Any = None,
) -> Any:
    """Evenly spaced numbers of an interval.

    Parameters
    ----------
    start, stop : float
    num : int
        How many.
    endpoint : bool
        Whether ``stop`` is the last one.
    retstep : bool
        Whether to answer the distance as well.
    chunks : int, tuple or str
    dtype : dtype, optional

    Examples
    --------
    >>> linspace(0, 1, 5, chunks=2).compute()
    array([0.  , 0.25, 0.5 , 0.75, 1.  ])
    """
    num = int(num)
    result = _wrap(ArrayCore.linspace(float(start), float(stop), num, endpoint, _dtype_name(dtype), chunks))
    if not retstep:
        return result
    steps = num - 1 if endpoint else num
    return result, (stop - start) / steps if steps > 0 else float("nan")


def eye(N: int, chunks: Any = "auto", M: int | None = None, k: int = 0, dtype: Any = float) -> Array:
    """A matrix with ones on diagonal ``k`` and zeros elsewhere.

    >>> eye(2, chunks=1).compute()
    array([[1., 0.],
           [0., 1.]])
    """
    return _wrap(ArrayCore.eye(N, N if M is None else M, k, _dtype_name(dtype) or "float64", chunks))


def identity(n: int, dtype: Any = float, chunks: Any = "auto") -> Array:
    """A square matrix with ones on the diagonal.

    >>> identity(2, dtype=int).sum().compute()
    np.int64(2)
    """
    return eye(n, chunks=chunks, dtype=dtype)


def tri(N: int, M: int | None = None, k: int = 0, dtype: Any = float, chunks: Any = "auto") -> Array:
    """A matrix with ones on and below diagonal ``k`` and zeros above.

    >>> tri(2, chunks=1).compute()
    array([[1., 0.],
           [1., 1.]])
    """
    return _wrap(ArrayCore.tri(N, N if M is None else M, k, _dtype_name(dtype) or "float64", chunks))


def tril(m: Any, k: int = 0) -> Array:
    """A matrix with everything above diagonal ``k`` replaced by zeros.

    >>> tril(ones((2, 2), chunks=1)).compute()
    array([[1., 0.],
           [1., 1.]])
    """
    m = asarray(m)
    return _triangle(m, k, below=True)


def triu(m: Any, k: int = 0) -> Array:
    """A matrix with everything below diagonal ``k`` replaced by zeros.

    >>> triu(ones((2, 2), chunks=1), 1).compute()
    array([[0., 1.],
           [0., 0.]])
    """
    m = asarray(m)
    return _triangle(m, k - 1, below=False)


def _triangle(m: Array, k: int, *, below: bool) -> Array:
    if m.ndim < 2:
        raise ValueError(f"a triangle needs a matrix, not an array of shape {m.shape}")
    mask = _wrap(ArrayCore.tri(m.shape[-2], m.shape[-1], k, "bool", m.chunks[-2:]))._core
    zero = (m.dtype.name, 0)
    chosen = (mask, m._core, zero) if below else (mask, zero, m._core)
    return _wrap(ArrayCore.select(*chosen))

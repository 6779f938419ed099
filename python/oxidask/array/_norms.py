"""Norms of vectors and matrices, each a reduction or two."""

from __future__ import annotations

from typing import Any

import numpy as np

from oxidask.array.convert import asanyarray
from oxidask.array.core import Array
from oxidask.array.shaping import axis_of

__all__ = ["matrix_norm", "norm", "vector_norm"]

#: Norms of matrices that are sums along one axis and an extreme along the other:
#: the axis to sum, of the two, and the reduction of the sums.
_OF_SUMS = {1: (0, "max"), -1: (0, "min"), np.inf: (1, "max"), -np.inf: (1, "min")}

#: Norms of matrices that reduce the singular values.
_OF_VALUES = {2: "max", -2: "min", "nuc": "sum"}


def _sizes(x: Any) -> Array:
    x = asanyarray(x)
    return abs(x.astype(float) if x.dtype.kind in "iub" else x)


def _vector(size: Array, ord: Any, axes: tuple[int, ...], keepdims: bool) -> Array:
    """The norm over all ``axes`` together of elements whose sizes are given."""
    if ord is None or ord == 2:
        return (size**2).sum(axis=axes, keepdims=keepdims) ** 0.5
    if ord == np.inf:
        return size.max(axis=axes, keepdims=keepdims)
    if ord == -np.inf:
        return size.min(axis=axes, keepdims=keepdims)
    if ord == 0:
        return (size != 0).astype(size.dtype).sum(axis=axes, keepdims=keepdims)
    if ord == 1:
        return size.sum(axis=axes, keepdims=keepdims)
    if isinstance(ord, str):
        raise ValueError(f"vectors have no norm of order {ord!r}")
    return (size**ord).sum(axis=axes, keepdims=keepdims) ** (1.0 / ord)


def _matrix(x: Array, size: Array, ord: Any, axes: tuple[int, ...], keepdims: bool) -> Array:
    """The norm of the matrices that two axes span."""
    if ord in (None, "fro"):
        return _vector(size, None, axes, keepdims)
    if ord in _OF_SUMS:
        at, reduction = _OF_SUMS[ord]
        made = getattr(size.sum(axis=axes[at], keepdims=True), reduction)(axis=axes[1 - at], keepdims=True)
    elif ord in _OF_VALUES:
        values = _values(x.astype(float) if x.dtype.kind in "iub" else x, axes)
        made = getattr(values, _OF_VALUES[ord])(axis=-1)
        made = made[(..., *(None,) * 2)].transpose(_places(x.ndim, axes))
    else:
        raise ValueError(f"matrices have no norm of order {ord!r}")
    return made if keepdims else made[tuple(0 if a in axes else slice(None) for a in range(x.ndim))]


def _values(x: Array, axes: tuple[int, ...]) -> Array:
    """The singular values of the matrices that two axes span, along the last axis."""
    from oxidask.array.linalg import svd, svdvals

    if x.ndim == 2:
        # A matrix of many chunks has a blocked decomposition; its values do not change with its transpose.
        tall = x if x.numblocks[1] == 1 or x.numblocks[0] == 1 else x.rechunk({1: -1})
        return svd(tall)[1]
    others = [a for a in range(x.ndim) if a not in axes]
    return svdvals(x.transpose((*others, *axes)))


def _places(ndim: int, axes: tuple[int, ...]) -> list[int]:
    """Where each axis is found once ``axes`` were moved to the end."""
    moved = [a for a in range(ndim) if a not in axes] + list(axes)
    return [moved.index(a) for a in range(ndim)]


def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Array:
    """Norms of vectors and matrices, as :func:`numpy.linalg.norm`.

    Orders 2, -2 and ``"nuc"`` of a stack of matrices make each matrix one chunk.

    >>> norm([3.0, 4.0]).compute()
    np.float64(5.0)
    """
    x = asanyarray(x)
    given = range(x.ndim) if axis is None else axis if isinstance(axis, tuple | list) else (axis,)
    axes = tuple(axis_of(a, x.ndim) for a in given)
    if len(axes) > 2 and (axis is not None or ord is not None):
        raise ValueError("norm takes one axis or two")
    if len(axes) == 2 and ord is not None:
        if axes[0] == axes[1]:
            raise ValueError(f"a matrix needs two axes, and both are axis {axes[0]}")
        return _matrix(x, _sizes(x), ord, axes, keepdims)
    return _vector(_sizes(x), ord, axes, keepdims)


def vector_norm(x: Any, /, *, axis: Any = None, keepdims: bool = False, ord: Any = 2) -> Array:
    """The norm of vectors, over one axis or several together; as :func:`numpy.linalg.vector_norm`.

    >>> vector_norm([[3.0, 4.0], [6.0, 8.0]], axis=1).compute()
    array([ 5., 10.])
    """
    x = asanyarray(x)
    given = range(x.ndim) if axis is None else axis if isinstance(axis, tuple | list) else (axis,)
    return _vector(_sizes(x), ord, tuple(axis_of(a, x.ndim) for a in given), keepdims)


def matrix_norm(x: Any, /, *, keepdims: bool = False, ord: Any = "fro") -> Array:
    """The norms of stacks of matrices; as :func:`numpy.linalg.matrix_norm`.

    >>> matrix_norm([[3.0, 0.0], [0.0, 4.0]], ord="nuc").compute()
    np.float64(7.0)
    """
    x = asanyarray(x)
    if x.ndim < 2:
        raise ValueError(f"matrix_norm needs matrices, not an array of shape {x.shape}")
    return _matrix(x, _sizes(x), ord, (x.ndim - 2, x.ndim - 1), keepdims)

"""Covariances and correlations of variables."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from oxidask.array.convert import asanyarray, asarray
from oxidask.array.core import Array

__all__ = ["corrcoef", "cov"]


def cov(
    m: Any,
    y: Any = None,
    rowvar: bool = True,
    bias: bool = False,
    ddof: int | None = None,
    fweights: Any = None,
    aweights: Any = None,
    *,
    dtype: Any = None,
) -> Array:
    """The covariances of variables.

    >>> cov([[1.0, 2.0], [2.0, 4.0]]).compute()
    array([[0.5, 1. ],
           [1. , 2. ]])
    """
    from oxidask.array.products import dot
    from oxidask.array.stacking import concatenate

    if ddof is not None and ddof != int(ddof):
        raise ValueError("ddof must be integer")
    m = asanyarray(m)
    if dtype is None:
        dtype = np.result_type(m.dtype, float) if y is None else np.result_type(m.dtype, asanyarray(y).dtype, float)
    x = m[None, :] if m.ndim == 1 else m
    x = x.astype(dtype)
    if not rowvar and x.shape[0] != 1:
        x = x.T
    if y is not None:
        y = asanyarray(y).astype(dtype)
        y = y[None, :] if y.ndim == 1 else y
        if not rowvar and y.shape[0] != 1:
            y = y.T
        x = concatenate([x, y], 0)
    if ddof is None:
        ddof = 0 if bias else 1
    weights = _observation_weights(x.shape[1], fweights, aweights)
    if weights is None:
        x, norm = x - x.mean(axis=1, keepdims=True), x.shape[1] - ddof
        right = x
    else:
        total = weights.sum()
        lazy = asarray(weights, chunks=(x.chunks[1],))
        x = x - (x * lazy).sum(axis=1, keepdims=True) / total
        norm = total - ddof * (1 if aweights is None else (weights * np.asarray(aweights)).sum() / total)
        right = x * lazy
    if norm <= 0:
        # NumPy goes on with 0 as well, which makes infinities and NaN.
        warnings.warn("Degrees of freedom <= 0 for slice", RuntimeWarning, stacklevel=2)
        norm = 0.0
    right = right.T.conj() if x.dtype.kind == "c" else right.T
    made = dot(x, right) / norm
    return made.squeeze() if 1 in made.shape else made


def _observation_weights(n: Any, fweights: Any, aweights: Any) -> Any:
    """How much each observation counts; None if all count one."""
    made = None
    for name, own in (("fweights", fweights), ("aweights", aweights)):
        if own is None:
            continue
        own = np.asarray(own.compute() if isinstance(own, Array) else own, dtype=float)
        if own.ndim > 1:
            raise RuntimeError(f"cannot handle multidimensional {name}")
        if own.shape[0] != n:
            raise RuntimeError(f"{own.shape[0]} {name} do not fit {n} samples")
        if (own < 0).any():
            raise ValueError(f"{name} cannot be negative")
        made = own if made is None else made * own
    return made


def corrcoef(x: Any, y: Any = None, rowvar: bool = True) -> Array:
    """The correlation coefficients of variables.

    >>> corrcoef([[1.0, 2.0], [2.0, 4.0]]).compute().round(6)
    array([[1., 1.],
           [1., 1.]])
    """
    from oxidask.array.creation import diag
    from oxidask.array.ufunc import sqrt  # type: ignore[attr-defined]

    c = cov(x, y, rowvar)
    if c.shape == ():
        return c / c
    d = sqrt(diag(c).reshape((-1, 1)))
    return (c / d) / d.T

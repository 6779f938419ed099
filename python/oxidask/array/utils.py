"""Helpers for libraries and tests that work with lazy arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from oxidask.array._meta import compute_meta, meta_from_array
from oxidask.array.core import Array

__all__ = ["assert_eq", "compute_meta", "meta_from_array", "same_keys"]


def same_keys(a: Any, b: Any) -> bool:
    """Whether two arrays are the same plan.

    >>> import oxidask.array as da
    >>> same_keys(da.ones(2, chunks=1), da.ones(2, chunks=1))
    True
    """
    return str(a.key) == str(b.key) and a.chunks == b.chunks


def assert_eq(
    a: Any, b: Any, check_shape: bool = True, check_dtype: bool = True, equal_nan: bool = True, **kwargs: Any
) -> bool:
    """Asserts that two arrays, lazy or not, have the same dtype, shape and elements.

    >>> import oxidask.array as da
    >>> assert_eq(da.ones(2, chunks=1), np.ones(2))
    True
    """
    plain = []
    for x in (a, b):
        computed = x.compute() if isinstance(x, Array) else x
        if isinstance(x, Array):
            if check_dtype:
                assert np.asarray(computed).dtype == x.dtype, (
                    f"announced {x.dtype}, computed {np.asarray(computed).dtype}"
                )
            if check_shape:
                shown, found = x.shape, np.shape(computed)
                assert len(shown) == len(found), f"announced shape {shown}, computed {found}"
                assert all(m != m or m == n for m, n in zip(shown, found, strict=True)), (
                    f"announced shape {shown}, computed {found}"
                )
        plain.append(np.ma.filled(computed, 0) if isinstance(computed, np.ma.MaskedArray) else np.asarray(computed))
    left, right = plain
    if check_dtype:
        assert left.dtype == right.dtype or (left.dtype.kind == right.dtype.kind == "U"), (
            f"dtypes {left.dtype} and {right.dtype}"
        )
    if check_shape:
        assert left.shape == right.shape, f"shapes {left.shape} and {right.shape}"
    if left.dtype.kind in "fc" and right.dtype.kind in "fc":
        assert np.allclose(left, right, equal_nan=equal_nan, **kwargs)
    else:
        assert bool(np.all(left == right))
    return True

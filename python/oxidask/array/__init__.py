"""Lazy arrays with NumPy's interface, cut into chunks.

>>> import oxidask.array as da
>>> x = da.random.default_rng(0).random((1000, 1000), chunks=(250, 250))
>>> y = (x + x.T)[::2, 500:].mean(axis=1)
>>> y
oxidask.array<mean, shape=(500,), dtype=float64, chunksize=(125,), chunktype=numpy.ndarray>
>>> bool(abs(y.mean().compute() - 1) < 0.01)
True

Chains of elementwise functions run as one program over small tiles, and into the
reduction that follows, so that no intermediate array exists; slices and
transposes move to the sources, so that only what is needed is made or read.
"""

from __future__ import annotations

from numpy import e, euler_gamma, inf, nan, newaxis, pi

from oxidask.array import blocks, core, creation, random, routines, ufunc
from oxidask.array.blocks import *
from oxidask.array.core import *
from oxidask.array.creation import *
from oxidask.array.routines import *
from oxidask.array.ufunc import *
from oxidask.base import compute, optimize, persist, visualize

around = routines.round
permute_dims = routines.transpose
concat = routines.concatenate
pow = ufunc.power
array = asarray

__all__ = [
    "around",
    "array",
    "compute",
    "concat",
    "e",
    "euler_gamma",
    "inf",
    "nan",
    "newaxis",
    "optimize",
    "permute_dims",
    "persist",
    "pi",
    "pow",
    "random",
    "visualize",
    *blocks.__all__,
    *core.__all__,
    *creation.__all__,
    *routines.__all__,
    *ufunc.__all__,
]

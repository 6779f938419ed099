"""Lazy arrays with NumPy's interface, cut into chunks.

>>> import oxidask.array as da
>>> x = da.random.default_rng(0).random((1000, 1000), chunks=(250, 250))
>>> y = (x + x.T)[::2, 500:].mean(axis=1)
>>> y
oxidask.array<mean, shape=(500,), dtype=float64, chunksize=(125,), chunktype=numpy.ndarray>
>>> float(abs(y.mean().compute() - 1)) < 0.01
True

Chains of elementwise functions run as one program over small tiles, and into the
reduction that follows, so that no intermediate array exists; slices and
transposes move to the sources, so that only what is needed is made or read.
What the engine has no kernel for runs through NumPy, block by block.
"""

# Modules that need each other are imported in an order that serves them.
# ruff: noqa: I001

from __future__ import annotations

from numpy import (
    bool_,
    complex64,
    complex128,
    datetime64,
    dtype,
    e,
    euler_gamma,
    exceptions,
    finfo,
    float32,
    float64,
    iinfo,
    inf,
    int8,
    int16,
    int32,
    int64,
    isdtype,
    nan,
    newaxis,
    pi,
    promote_types,
    timedelta64,
    uint8,
    uint16,
    uint32,
    uint64,
)

from oxidask.array import (
    blocks,
    blockwise as _blockwise,
    convert,
    core,
    covariance,
    creation,
    cumulative,
    delayed as _delayed,
    differences,
    overlap,
    products,
    reductions,
    routines,
    shaping,
    stacking,
    ufunc,
)
from oxidask.array.blocks import *
from oxidask.array.blockwise import *
from oxidask.array.convert import *
from oxidask.array.convert import array
from oxidask.array.core import *
from oxidask.array.covariance import *
from oxidask.array.creation import *
from oxidask.array.cumulative import *
from oxidask.array.delayed import from_delayed
from oxidask.array.differences import *
from oxidask.array.overlap import map_overlap, sliding_window_view
from oxidask.array.products import *
from oxidask.array.reductions import *
from oxidask.array.routines import *
from oxidask.array.shaping import *
from oxidask.array.stacking import *
from oxidask.array.ufunc import *
from oxidask.array import _methods
from oxidask.array._extra import *
from oxidask.array import _standard
from oxidask.array._info import __array_namespace_info__
from oxidask.array._standard import *
from oxidask.array import _extra
from oxidask.base import compute, optimize, persist, visualize

permute_dims = shaping.transpose
concat = stacking.concatenate
astype = shaping.astype
bool = bool_

__all__ = [
    "__array_namespace_info__",
    "array",
    "astype",
    "compute",
    "concat",
    "e",
    "euler_gamma",
    "from_delayed",
    "inf",
    "map_overlap",
    "nan",
    "newaxis",
    "optimize",
    "permute_dims",
    "persist",
    "pi",
    "sliding_window_view",
    "visualize",
    *blocks.__all__,
    *_blockwise.__all__,
    *convert.__all__,
    *core.__all__,
    *covariance.__all__,
    *creation.__all__,
    *cumulative.__all__,
    *differences.__all__,
    *products.__all__,
    *reductions.__all__,
    *routines.__all__,
    *shaping.__all__,
    *stacking.__all__,
    *ufunc.__all__,
    *_extra.__all__,
    *_standard.__all__,
]

#: The version of the array API standard that the functions follow.
__array_api_version__ = "2024.12"

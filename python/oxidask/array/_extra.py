"""The topics beside the core: gathered here so that the package's head stays short."""

from __future__ import annotations

from typing import Any

from oxidask.array import api, counting, fft, image, io, io_zarr, lib, linalg, ma, percentiles, random, stats, utils
from oxidask.array._select import PerformanceWarning
from oxidask.array.core import CHUNK_TYPES
from oxidask.array.counting import *
from oxidask.array.gufunc import apply_gufunc, as_gufunc, gufunc
from oxidask.array.io import *
from oxidask.array.io_zarr import *
from oxidask.array.percentiles import *


def register_chunk_type(type: Any) -> None:
    """Says that a class of arrays may be that of blocks.

    A lazy array then takes the lead in operations with it.

    >>> import numpy as np
    >>> class Mine(np.ndarray):
    ...     pass
    >>> register_chunk_type(Mine)
    """
    if not hasattr(type, "__mro__"):
        raise TypeError(f"{type!r} is no class")
    CHUNK_TYPES.append(type)


__all__ = [
    "PerformanceWarning",
    "api",
    "apply_gufunc",
    "as_gufunc",
    "fft",
    "gufunc",
    "image",
    "lib",
    "linalg",
    "ma",
    "random",
    "register_chunk_type",
    "stats",
    "utils",
    *counting.__all__,
    *io.__all__,
    *io_zarr.__all__,
    *percentiles.__all__,
]

"""Selection by several arrays of indices of which some are lazy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from oxidask.array.core import Array

__all__: list[str] = []


class TakePoints:
    """NumPy's own indexing of a block by blocks of indices."""

    __name__ = "getitem"

    def __init__(self, axes: tuple[int, ...], ndim: int) -> None:
        self.axes, self.ndim = axes, ndim

    def __call__(self, block: Any, *indices: Any) -> Any:
        index: list[Any] = [slice(None)] * self.ndim
        for axis, one in zip(self.axes, indices, strict=True):
            index[axis] = one
        return block[tuple(index)]


def by_lazy_arrays(x: Array, entries: Sequence[Any]) -> Array:
    """``x[entries]`` for a complete index with several arrays, which broadcast.

    A block of the result reads ``x`` whole along the axes that arrays select
    from, since nobody knows where the indices lie before they are computed.

    Raises
    ------
    NotImplementedError
        If one of the arrays is a mask.
    IndexError
        When computed, if an index is out of bounds.
    """
    from oxidask.array.blockwise import blockwise
    from oxidask.array.convert import asanyarray
    from oxidask.array.shaping import broadcast_arrays

    x = x[tuple(e if e is None or isinstance(e, slice) else slice(None) for e in entries)]
    axes = tuple(i for i, e in enumerate(entries) if not (e is None or isinstance(e, slice)))
    arrays = [asanyarray(entries[axis]) for axis in axes]
    if any(one.dtype.kind == "b" for one in arrays):
        raise NotImplementedError(
            "a mask beside another array, of which one is lazy, is not supported\nhint: compute the mask first"
        )
    arrays = list(broadcast_arrays(*arrays))
    points = tuple(("point", i) for i in range(arrays[0].ndim))
    labels: list[Any] = [("whole", i) if i in axes else i for i in range(x.ndim)]
    rest = [i for i in range(x.ndim) if i not in axes]
    # NumPy puts the axes of the indices where these are, if they are neighbours, and else first.
    together = axes[-1] - axes[0] + 1 == len(axes)
    before = [i for i in rest if together and i < axes[0]]
    out = (*before, *points, *(i for i in rest if i not in before))
    pairs: list[Any] = []
    for one in arrays:
        pairs += [one, points]
    function = TakePoints(axes, x.ndim)
    meta = np.empty((0,) * len(out), x.dtype)
    return blockwise(function, out, x, tuple(labels), *pairs, concatenate=True, meta=meta)

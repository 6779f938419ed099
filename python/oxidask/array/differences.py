"""Differences of neighbours, gradients, and reductions of neighbouring elements."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

from oxidask.array._meta import quiet
from oxidask.array.blockwise import blockwise
from oxidask.array.convert import asanyarray
from oxidask.array.core import Array
from oxidask.array.shaping import axes_of, axis_of, broadcast_to

__all__ = ["coarsen", "diff", "ediff1d", "gradient"]


def diff(a: Any, n: int = 1, axis: int = -1, prepend: Any = None, append: Any = None) -> Array:
    """Differences of neighbours along an axis, ``n`` times.

    >>> diff([1, 4, 9]).compute()
    array([3, 5])
    """
    from oxidask.array.stacking import concatenate

    a = asanyarray(a)
    n, axis = int(n), axis_of(axis, a.ndim)
    if n < 0:
        raise ValueError(f"differences cannot be taken {n} times")
    if n == 0:
        return a
    parts = []
    for part, where_ in ((prepend, "before"), (None, "self"), (append, "after")):
        if where_ == "self":
            parts.append(a)
        elif part is not None:
            part = asanyarray(part)
            if part.ndim == 0:
                part = broadcast_to(part, tuple(1 if i == axis else s for i, s in enumerate(a.shape)))
            parts.append(part)
    a = concatenate(parts, axis) if len(parts) > 1 else a
    lead = (slice(None),) * axis
    for _ in range(n):
        high, low = a[(*lead, slice(1, None))], a[(*lead, slice(None, -1))]
        a = high != low if a.dtype.kind == "b" else high - low
    return a


def ediff1d(ary: Any, to_end: Any = None, to_begin: Any = None) -> Array:
    """Differences of neighbours of the flattened array.

    >>> ediff1d([1, 4, 9]).compute()
    array([3, 5])
    """
    from oxidask.array.stacking import concatenate

    made = [diff(asanyarray(ary).ravel())]
    if to_begin is not None:
        made.insert(0, asanyarray(to_begin).ravel())
    if to_end is not None:
        made.append(asanyarray(to_end).ravel())
    return concatenate(made) if len(made) > 1 else made[0]


class Gradient:
    """The gradient of a block along one axis; neighbours overlap by one."""

    __name__ = "gradient"

    def __init__(self, axis: int, edge_order: int, spacing: Any, borders: Any) -> None:
        self.axis, self.edge_order, self.spacing, self.borders = axis, edge_order, spacing, borders

    def __call__(self, block: Any, block_id: Any = None) -> Any:
        spacing = self.spacing
        if self.borders is not None:
            start, stop = self.borders[block_id[self.axis]]
            spacing = self.spacing[start:stop]
        return np.gradient(block, spacing, axis=self.axis, edge_order=self.edge_order)


def gradient(f: Any, *varargs: Any, axis: Any = None, edge_order: int = 1) -> Any:
    """Second-order central differences along axes.

    Parameters
    ----------
    f : array_like
    *varargs : float or 1-D array_like
        Spacing: one number for all axes, or for each a number or coordinates.
    axis : int or tuple of int, optional
        All by default.
    edge_order : {1, 2}

    Examples
    --------
    >>> gradient([1.0, 4.0, 9.0]).compute()
    array([3., 4., 5.])
    """
    from oxidask.array.overlap import map_overlap

    f = asanyarray(f)
    axes = axes_of(axis, f.ndim) if not isinstance(axis, int) else (axis_of(axis, f.ndim),)
    spacing = list(varargs)
    if len(spacing) == 0:
        spacing = [1.0] * len(axes)
    if len(spacing) == 1 and np.ndim(spacing[0]) == 0:
        spacing = spacing * len(axes)
    if len(spacing) != len(axes):
        raise TypeError("gradient takes one spacing for all axes, or one for each of them")
    if f.dtype.kind in "iub":
        f = f.astype(float)
    made = []
    for own, along in zip(spacing, axes, strict=True):
        for size in f.chunks[along]:
            if size < edge_order + 1:
                raise ValueError(
                    f"gradient needs chunks of {edge_order + 1} or more along axis {along}, not {size}\nhint: rechunk first"
                )
        borders = None
        if np.ndim(own):
            own = np.asarray(own.compute() if isinstance(own, Array) else own)
            ends = np.cumsum([0, *f.chunks[along]])
            borders = [(max(0, a - 1), min(f.shape[along], b + 1)) for a, b in itertools.pairwise(ends)]
        depth = {i: 1 if i == along else 0 for i in range(f.ndim)}
        made.append(
            map_overlap(
                Gradient(along, edge_order, own, borders),
                f,
                dtype=f.dtype,
                depth=depth,
                boundary="none",
                meta=f._meta,
            )
        )
    return made[0] if isinstance(axis, int) or len(made) == 1 else made


def coarsen(
    reduction: Callable[..., Any], x: Any, axes: dict[int, int], trim_excess: bool = False, **kwargs: Any
) -> Array:
    """A reduction of fixed-size neighbourhoods.

    >>> import oxidask.array as da
    >>> coarsen(np.sum, da.arange(6, chunks=6), {0: 2}).compute()
    array([1, 5, 9])
    """
    x = asanyarray(x)
    axes = {axis_of(a, x.ndim): int(k) for a, k in axes.items()}
    if not trim_excess and any(x.shape[a] % k for a, k in axes.items()):
        raise ValueError(f"shape {x.shape} cannot be divided by the factors {axes}")
    if reduction.__module__.startswith("oxidask."):
        reduction = getattr(np, reduction.__name__)
    wanted = {}
    for a, k in axes.items():
        sizes = x.chunks[a]
        if any(size % k for size in sizes):
            whole = max(k, (max(sizes) // k) * k)
            usable = (x.shape[a] // k) * k
            x = x[(slice(None),) * a + (slice(0, usable),)] if usable != x.shape[a] else x
            wanted[a] = whole
    x = x.rechunk(wanted) if wanted else x
    function = Coarsen(reduction, axes, kwargs)
    ind = tuple(range(x.ndim))
    return blockwise(
        function,
        ind,
        x,
        ind,
        adjust_chunks={a: (lambda n, k=k: n // k) for a, k in axes.items()},
        token="coarsen",
        dtype=_dtype_of_call(function, x, axes),
    )


def _dtype_of_call(function: Any, x: Array, axes: dict[int, int]) -> Any:
    with quiet():
        return np.asarray(function(np.ones([axes.get(a, 1) for a in range(x.ndim)], dtype=x.dtype))).dtype


class Coarsen:
    """A reduction of neighbourhoods within a block."""

    __name__ = "coarsen"

    def __init__(self, func: Callable[..., Any], axes: dict[int, int], kwargs: dict[str, Any]) -> None:
        self.func, self.axes, self.kwargs = func, axes, kwargs

    def __call__(self, block: Any) -> Any:
        cut = block[
            tuple(slice(0, (n // self.axes.get(a, 1)) * self.axes.get(a, 1)) for a, n in enumerate(block.shape))
        ]
        split = [m for a, n in enumerate(cut.shape) for m in (n // self.axes.get(a, 1), self.axes.get(a, 1))]
        return self.func(cut.reshape(split), axis=tuple(range(1, 2 * block.ndim, 2)), **self.kwargs)

"""Exact quantiles of all elements, however many blocks they are in.

Every block is sorted and tells a few of its elements with their ranks. Together
these bound the value of every wanted rank, so that each block then hands over the
few of its elements that lie within the bounds, and one task picks among them. So
two passes over the blocks are enough, and no task ever holds more than a block and
what lies within the bounds: about one in a hundred of the elements.

The method is selection by regular sampling, as in H. Shi and J. Schaeffer, "Parallel
sorting by regular sampling", Journal of Parallel and Distributed Computing 14 (1992).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from oxidask.array._generic import table
from oxidask.array.convert import asanyarray
from oxidask.array.core import Array

__all__ = ["nanpercentile", "percentile"]

#: How a value between two ranks is chosen.
METHODS = ("linear", "lower", "higher", "midpoint", "nearest")

#: Elements that a block tells at the most and at the least, and all blocks together.
_MOST, _LEAST, _TOGETHER = 1024, 64, 1 << 20


class Block(NamedTuple):
    """The elements of a block in order, and whether some were not a number."""

    values: Any
    has_nan: bool


class Sort:
    """A block in order, without what is not a number."""

    __name__ = "percentile-sort"

    def __init__(self, skips: bool) -> None:
        self.skips = skips

    def __call__(self, block: Any) -> Block:
        values = np.sort(np.asarray(block), axis=None)
        # What is no number comes last.
        n_nan = int(np.isnan(values).sum()) if values.dtype.kind in "fcmM" else 0
        return Block(values[: len(values) - n_nan], bool(n_nan) and not self.skips)


class Sample:
    """Some elements of a sorted block at regular ranks, the first and the last among them."""

    __name__ = "percentile-sample"

    def __init__(self, size: int) -> None:
        self.size = size

    def __call__(self, block: Block) -> Any:
        n = len(block.values)
        ranks = np.unique(np.linspace(0, n - 1, min(self.size, n)).astype(np.int64)) if n else np.empty(0, np.int64)
        return block.values[ranks], ranks, n, block.has_nan


class Bounds:
    """Of each wanted rank: a value below that of the rank, if there is one, and a value that is not."""

    __name__ = "percentile-bounds"

    def __init__(self, points: Any, method: str, skips: bool) -> None:
        self.points, self.method, self.skips = points, method, skips

    def __call__(self, *samples: Any) -> Any:
        n = sum(sample[2] for sample in samples)
        if any(sample[3] for sample in samples) or (n == 0 and self.skips):
            return None
        if n == 0:
            raise ValueError("there are no elements, and percentiles of nothing are not defined")
        values, surely, perhaps = (np.concatenate(rows) for rows in zip(*map(_steps, samples), strict=True))
        order = np.argsort(values, kind="stable")
        values = values[order]
        # How many elements are at most as large as each sample: at least, and at the most.
        surely, perhaps = np.cumsum(surely[order]), np.cumsum(perhaps[order])
        last = np.append(np.flatnonzero(values[1:] != values[:-1]), len(values) - 1)
        values, surely, perhaps = values[last], surely[last], perhaps[last]
        ranks = np.unique(np.concatenate(_ranks(n, self.points, self.method)[:2]))
        high = np.searchsorted(surely, ranks + 1, side="left")
        low = np.searchsorted(perhaps, ranks + 1, side="left") - 1
        return n, ranks, values[np.maximum(low, 0)], low >= 0, values[high]


def _steps(sample: Any) -> tuple[Any, Any, Any]:
    """The elements of a sample, and by how much each raises the bounds of how many elements there are up to it."""
    values, ranks, n, _ = sample
    return values, np.diff(ranks + 1, prepend=0), np.diff(np.append(ranks[1:], n), prepend=0)


class Between:
    """How many elements of a sorted block lie below the bounds, and those that lie within."""

    __name__ = "percentile-between"

    def __call__(self, block: Block, bounds: Any) -> Any:
        if bounds is None:
            return None
        _, _, low, has_low, high = bounds
        below = np.where(has_low, np.searchsorted(block.values, low, side="right"), 0)
        within = np.searchsorted(block.values, high, side="left")
        # Many may be equal, and one of them says it.
        found = [np.unique(block.values[a:b], return_counts=True) for a, b in zip(below, within, strict=True)]
        return below, found


class Pick:
    """The quantiles, of all elements within the bounds."""

    __name__ = "percentile"

    def __init__(self, points: Any, method: str, dtype: Any) -> None:
        self.points, self.method, self.dtype = points, method, dtype

    def __call__(self, bounds: Any, *cuts: Any) -> Any:
        if bounds is None:
            return np.full(len(self.points), np.nan).astype(self.dtype)
        n, ranks, _, _, high = bounds
        below = sum(cut[0] for cut in cuts)
        picked = np.empty(len(ranks), high.dtype)
        for number, rank in enumerate(ranks):
            values = np.concatenate([cut[1][number][0] for cut in cuts])
            counts = np.concatenate([cut[1][number][1] for cut in cuts])
            order = np.argsort(values, kind="stable")
            at = np.searchsorted(np.cumsum(counts[order]), rank - below[number], side="right")
            picked[number] = values[order[at]] if at < len(values) else high[number]
        lower, upper, share = _ranks(n, self.points, self.method)
        return _between(picked[np.searchsorted(ranks, lower)], picked[np.searchsorted(ranks, upper)], share, self.dtype)


def _ranks(n: int, points: Any, method: str) -> tuple[Any, Any, Any]:
    """The ranks between which each quantile lies, and how far from the lower one to the upper."""
    exact = points * (n - 1)
    lower, upper = np.floor(exact).astype(np.int64), np.ceil(exact).astype(np.int64)
    if method == "lower":
        return lower, lower, np.zeros(len(points))
    if method == "higher":
        return upper, upper, np.zeros(len(points))
    if method == "nearest":
        nearest = np.rint(exact).astype(np.int64)
        return nearest, nearest, np.zeros(len(points))
    return lower, upper, (exact - lower) if method == "linear" else np.full(len(points), 0.5)


def _between(low: Any, high: Any, share: Any, dtype: Any) -> Any:
    """Values between others, as NumPy takes them."""
    if dtype.kind in "mM":
        low, high = low.astype("i8"), high.astype("i8")
    pairs = zip(low, high, share, strict=True)
    made = [a if part == 0 or a == b else np.quantile(np.array([a, b]), part) for a, b, part in pairs]
    return np.array(made).astype("i8" if dtype.kind in "mM" else dtype).astype(dtype)


class Whole:
    """The quantiles of the only block."""

    __name__ = "percentile"

    def __init__(self, points: Any, method: str, skips: bool, dtype: Any) -> None:
        self.points, self.method, self.skips, self.dtype = points, method, skips, dtype

    def __call__(self, block: Any) -> Any:
        ordered = Sort(self.skips)(block)
        sample = Sample(len(ordered.values))(ordered)
        bounds = Bounds(self.points, self.method, self.skips)(sample)
        return Pick(self.points, self.method, self.dtype)(bounds, Between()(ordered, bounds))


def of_all(a: Any, q: Any, method: str, *, skips: bool, label: str = "percentile") -> Array:
    """Quantiles of all elements.

    Parameters
    ----------
    a : Array
        Of any number of axes.
    q : number or array of float
        From 0 to 1.
    method : str
        One of :data:`METHODS`.
    skips : bool
        Whether what is not a number does not count; otherwise it makes the answer
        NaN.

    Returns
    -------
    Array
        Of one axis, with an element for each of ``q``.

    Raises
    ------
    ValueError
        If the method or a point is none, or, when computed, if there are no elements.
    """
    if method not in METHODS:
        raise ValueError(f"there is no method {method!r}\nhint: use {', '.join(map(repr, METHODS[:-1]))} or 'nearest'")
    points = np.asarray(q, dtype=float).ravel()
    if ((points < 0) | (points > 1)).any():
        raise ValueError("Quantiles must be in the range [0, 1]")
    if a.dtype.kind not in "biufmM":
        raise TypeError(f"values of dtype {a.dtype} have no order, and so no quantiles")
    # NumPy tells one number from an array of numbers here.
    given = np.asarray(q).dtype
    half = 0.5 if np.ndim(q) == 0 else np.array([0.5], given if given.kind == "f" else float)
    dtype = a.dtype if a.dtype.kind in "mM" else np.quantile(np.ones(1, dtype=a.dtype), half, method=method).dtype
    n, token = a.npartitions, f"{points}-{method}-{skips}"
    objects, one = np.empty(0, object), ((len(points),),)
    own = np.stack([np.zeros((n, 1), int), np.arange(n)[:, None]], axis=-1)
    every = np.stack([np.zeros((1, n), int), np.arange(n)[None]], axis=-1)
    meta = np.empty(0, dtype)
    if n == 1:
        return table(Whole(points, method, skips, dtype), label, f"{label}-{token}", [a], own, one, meta)  # type: ignore[no-any-return]
    size = max(_LEAST, min(_MOST, _TOGETHER // n))
    pieces = ((1,) * n,)
    ordered = table(Sort(skips), "percentile-sort", f"percentile-sort-{skips}", [a], own, pieces, objects)
    samples = table(Sample(size), "percentile-sample", f"percentile-sample-{size}", [ordered], own, pieces, objects)
    bounds = table(
        Bounds(points, method, skips),
        "percentile-bounds",
        f"percentile-bounds-{token}",
        [samples],
        every,
        ((1,),),
        objects,
    )
    reads = np.stack([np.broadcast_to([0, 1], (n, 2)), np.stack([np.arange(n), np.zeros(n, int)], axis=1)], axis=-1)
    cuts = table(Between(), "percentile-between", "percentile-between", [ordered, bounds], reads, pieces, objects)
    last = np.concatenate([[[[0, 0]]], np.stack([np.ones((1, n), int), every[..., 1]], axis=-1)], axis=1)
    return table(Pick(points, method, dtype), label, f"{label}-{token}", [bounds, cuts], last, one, meta)  # type: ignore[no-any-return]


def percentile(
    a: Any,
    q: Any,
    axis: Any = None,
    out: Any = None,
    overwrite_input: bool = False,
    method: str = "linear",
    keepdims: bool = False,
    internal_method: str = "default",
    *,
    weights: Any = None,
    interpolation: Any = None,
) -> Array:
    """Percentiles of all elements, or along axes, each of which becomes one chunk.

    They are exact, where Dask's of one axis are approximate, and those of all
    elements need no more memory than their blocks do. Between two equal infinities
    lies the same infinity, where NumPy answers NaN.

    Parameters
    ----------
    a : array_like
    q : number or sequence of numbers
        Per cent.
    axis : int or tuple of int, optional
        All elements by default.
    method : {"linear", "lower", "higher", "midpoint", "nearest"}
        What to take between two elements.
    internal_method : {"default", "dask", "tdigest"}
        Accepted for compatibility.

    Returns
    -------
    Array
        With one element for each of ``q`` in front; of shape (1,) for a number and
        one axis, as in Dask.

    Examples
    --------
    >>> percentile([1.0, 2.0, 3.0], 50).compute()
    array([2.])
    """
    del overwrite_input
    return _percentile(a, q, axis, out, interpolation or method, keepdims, internal_method, weights, skips=False)


def nanpercentile(
    a: Any,
    q: Any,
    axis: Any = None,
    out: Any = None,
    overwrite_input: bool = False,
    method: str = "linear",
    keepdims: bool = False,
    internal_method: str = "default",
    *,
    weights: Any = None,
    interpolation: Any = None,
) -> Array:
    """Percentiles of what is not NaN; see :func:`percentile`.

    >>> nanpercentile([1.0, float("nan"), 3.0], 50).compute()
    array([2.])
    """
    del overwrite_input
    return _percentile(a, q, axis, out, interpolation or method, keepdims, internal_method, weights, skips=True)


def _percentile(
    a: Any,
    q: Any,
    axis: Any,
    out: Any,
    method: str,
    keepdims: bool,
    internal: str,
    weights: Any,
    *,
    skips: bool,
) -> Array:
    from oxidask.array.reductions import nanquantile, quantile

    a = asanyarray(a)
    if internal not in ("default", "dask", "tdigest"):
        raise ValueError(f"there is no internal_method {internal!r}\nhint: use 'default', 'dask' or 'tdigest'")
    points = np.asarray(q)
    points = points if points.dtype.kind == "f" else points.astype(float)
    if ((points < 0) | (points > 100)).any():
        raise ValueError("Percentiles must be in the range [0, 100]")
    if axis is None and a.ndim == 1 and weights is None and not keepdims and out is None:
        if isinstance(q, list | tuple) and not len(q):
            return asanyarray(np.empty(0, a.dtype))
        return of_all(a, points / 100 if points.ndim else float(points) / 100, method, skips=skips)
    return (nanquantile if skips else quantile)(
        a, points / 100, axis=axis, out=out, method=method, keepdims=keepdims, weights=weights
    )

"""Counting: bincount, histograms, unique elements."""

from __future__ import annotations

import builtins
import math
from typing import Any

import numpy as np

from oxidask import _oxidask
from oxidask.array._generic import table
from oxidask.array._meta import meta_from_array
from oxidask.array.blockwise import blockwise
from oxidask.array.convert import asanyarray
from oxidask.array.core import Array, _wrap, native, ordered
from oxidask.array.reductions import _flat, reduction

__all__ = [
    "bincount",
    "histogram",
    "histogram2d",
    "histogramdd",
    "union1d",
    "unique",
    "unique_all",
    "unique_counts",
    "unique_inverse",
    "unique_values",
]


class Bincount:
    """Counts of a block, in one row."""

    __name__ = "bincount"

    def __init__(self, minlength: int) -> None:
        self.minlength = minlength

    def __call__(self, x: Any, weights: Any = None, axis: Any = None, keepdims: bool = True) -> Any:
        return {"counts": np.bincount(x, weights=weights, minlength=self.minlength)}


def _added(parts: Any, axis: Any = None, keepdims: bool = True) -> Any:
    counts = [p["counts"] for p in _flat(parts)]
    n = max(len(c) for c in counts)
    total = np.zeros(n, dtype=np.result_type(*counts))
    for c in counts:
        total[: len(c)] += c
    return {"counts": total}


def _added_last(parts: Any, axis: Any = None, keepdims: bool = True) -> Any:
    return _added(parts)["counts"]


def bincount(x: Any, weights: Any = None, minlength: int = 0, split_every: Any = None) -> Array:
    """How often each whole number occurs, or the sums of its weights.

    >>> bincount([0, 2, 2]).compute()
    array([1, 0, 2])
    """
    x = asanyarray(x)
    if x.ndim != 1:
        raise ValueError(f"bincount counts along one axis, and the shape is {x.shape}\nhint: pass x.ravel()")
    if x.dtype.kind not in "iub":
        raise TypeError(f"Cannot cast array data from {x.dtype!r} to dtype('int64') according to the rule 'safe'")
    if minlength < 0:
        raise ValueError("'minlength' must not be negative")
    if weights is not None:
        weights = asanyarray(weights)
        if weights.shape != x.shape:
            raise ValueError(f"x and its weights differ in shape: {x.shape} and {weights.shape}")
        weights = weights.rechunk(x.chunks) if weights.chunks != x.chunks else weights
    dtype = np.dtype(np.intp) if weights is None else np.bincount([0], weights=np.ones(1, weights.dtype)).dtype
    # How long the result is depends on the largest number, unless there are no more than announced.
    return reduction(
        x,
        Bincount(minlength),
        _added_last,
        combine=_added,
        concatenate=False,
        dtype=dtype,
        weights=weights,
        keepdims=True,
        output_size=math.nan,
        split_every=split_every,
        name="bincount",
        meta=np.empty((0,), dtype),
    )


class Histogram:
    """The histogram of a block, as one row."""

    __name__ = "histogram"

    def __init__(self, kwargs: dict[str, Any]) -> None:
        self.kwargs = kwargs

    def __call__(self, x: Any, bins: Any, weights: Any = None) -> Any:
        return np.histogram(x, bins, weights=weights)[0][None]


def _edges(bins: Any, range: Any, a: Any, density: bool | None) -> Any:
    """The edges of bins: an array, lazy if its ends are."""
    if np.ndim(bins) == 0 and not isinstance(bins, Array | str):
        if not isinstance(bins, int | np.integer):
            raise TypeError("bins must be an integer, a sequence or edges")
        if range is None:
            raise ValueError(
                f"{bins} bins need a range\nhint: say it with range=(low, high), or give the edges as bins"
            )
        if bins < 1:
            raise ValueError("`bins` must be positive, when an integer")
        low, high = (range[0], range[1])
        if isinstance(low, Array) or isinstance(high, Array):
            from oxidask.array.creation import arange

            low, high = asanyarray(low), asanyarray(high)
            return low + (high - low) * (arange(int(bins) + 1, chunks=-1) / int(bins))
        if len(range) != 2:
            raise ValueError(f"range takes the lowest and the highest value, not {len(range)} items")
        if low > high:
            raise ValueError(f"range goes from the lowest value to the highest, not {range}")
        return np.histogram_bin_edges(
            np.empty(0, dtype=a.dtype if a is not None else float), bins=int(bins), range=(low, high)
        )
    if isinstance(bins, str):
        raise ValueError("bins must be an integer, a sequence or edges: rules by name need all elements at once")
    edges = bins if isinstance(bins, Array) else np.asarray(bins)
    if isinstance(bins, Array) and bins.ndim == 0:
        raise NotImplementedError("a lazy number of bins leaves the shape of the result open\nhint: compute it first")
    if edges.ndim != 1:
        raise ValueError("bins must be 1-dimensional")
    if not isinstance(edges, Array) and (np.diff(edges) < 0).any():
        raise ValueError("`bins` must increase monotonically, when an array")
    return edges


def histogram(
    a: Any, bins: Any = None, range: Any = None, normed: bool = False, weights: Any = None, density: bool | None = None
) -> tuple[Array, Any]:
    """How many elements lie in each bin, and the edges of the bins.

    Parameters
    ----------
    a : array_like
    bins : int or sequence
        Edges, or how many there are between the ends of ``range``.
    range : pair of numbers, optional
    weights : array_like, optional
    density : bool, optional
        Whether to answer the density instead of counts.

    Raises
    ------
    ValueError
        If a number of bins comes without a range.

    Examples
    --------
    >>> counts, edges = histogram([0.5, 1.5, 1.7], bins=2, range=(0, 2))
    >>> counts.compute(), edges
    (array([1, 2]), array([0., 1., 2.]))
    """
    if isinstance(bins, Array):
        scalar_bins = bins.ndim == 0
    elif bins is None:
        raise ValueError("histogram needs bins\nhint: give their edges, or their number and a range")
    else:
        scalar_bins = np.ndim(bins) == 0
    if normed:
        raise ValueError("normed is gone from NumPy\nhint: use density=True")
    if density and scalar_bins and range is None:
        raise ValueError(
            f"a density over {bins} bins needs a range\nhint: give range=(low, high), or the edges as bins"
        )
    a = asanyarray(a)
    edges = _edges(bins, range, a, density)
    lazy = isinstance(edges, Array)
    if weights is not None:
        weights = asanyarray(weights)
        if weights.chunks != a.chunks:
            if weights.shape != a.shape:
                raise ValueError(f"a and its weights differ in shape: {a.shape} and {weights.shape}")
            raise ValueError(
                f"a and its weights differ in chunks: {a.chunks} and {weights.chunks}\nhint: rechunk one of them"
            )
    counts = _native_histogram(a, edges, weights)
    if counts is not None:
        if density:
            widths = asanyarray(np.diff(edges)).rechunk(counts.chunks)
            return counts / widths / counts.sum(), edges
        return counts, edges
    x = a.ravel() if a.ndim != 1 else a
    w = None if weights is None else (weights.ravel() if weights.ndim != 1 else weights)
    n = edges.shape[0] - 1
    dtype = np.dtype(np.intp) if w is None else w.dtype
    pairs: list[Any] = [x, ("i",), edges.rechunk(-1) if lazy else edges, None]
    if w is not None:
        pairs += [w, ("i",)]
    rows = blockwise(
        Histogram({}),
        ("i", "bin"),
        *pairs,
        new_axes={"bin": n},
        adjust_chunks={"i": 1},
        meta=np.empty((0, 0), dtype),
        token="histogram",
    )
    counts = rows.sum(axis=0)
    if counts.dtype != dtype:
        counts = counts.astype(dtype)
    if density:
        widths = edges[1:] - edges[:-1] if lazy else asanyarray(np.diff(edges)).rechunk(counts.chunks)
        return counts / widths / counts.sum(), edges
    return counts, edges


def _native_histogram(a: Array, edges: Any, weights: Array | None) -> Array | None:
    """The counts by the engine; None where it counts otherwise than NumPy."""
    if isinstance(edges, Array) or edges.dtype.kind not in "iuf" or len(edges) < 2 or not native(a):
        return None
    # Whole numbers of 64 bits may lie between two floats.
    if a.dtype.kind not in "biuf" or (a.dtype.kind in "iu" and a.dtype.itemsize == 8 and edges.dtype.kind in "iu"):
        return None
    if weights is not None and not (native(weights) and weights.dtype == np.float64):
        return None
    edges = np.ascontiguousarray(edges, dtype=np.float64)
    return _wrap(_oxidask.array_histogram(a._core, edges, None if weights is None else weights._core))


def histogram2d(
    x: Any,
    y: Any,
    bins: Any = 10,
    range: Any = None,
    normed: Any = None,
    weights: Any = None,
    density: bool | None = None,
) -> tuple[Array, Any, Any]:
    """How many pairs of elements lie in each bin of a plane.

    >>> counts, _, _ = histogram2d([0.5, 1.5], [0.5, 1.5], bins=2, range=((0, 2), (0, 2)))
    >>> counts.compute()
    array([[1., 0.],
           [0., 1.]])
    """
    counts, edges = histogramdd((x, y), bins=bins, range=range, normed=normed, weights=weights, density=density)
    return counts, edges[0], edges[1]


class HistogramDD:
    """The histogram of a block of points, with one leading axis."""

    __name__ = "histogramdd"

    def __init__(self, edges: Any, n: int, weighted: bool) -> None:
        self.edges, self.n, self.weighted = edges, n, weighted

    def __call__(self, *blocks: Any) -> Any:
        weights = blocks[-1] if self.weighted else None
        columns = blocks[:-1] if self.weighted else blocks
        sample = columns[0] if len(columns) == 1 and columns[0].ndim == 2 else np.stack(columns, axis=-1)
        return np.histogramdd(sample, bins=self.edges, weights=weights)[0][None]


def histogramdd(
    sample: Any, bins: Any, range: Any = None, normed: Any = None, weights: Any = None, density: bool | None = None
) -> tuple[Array, list[Any]]:
    """How many points lie in each bin of a space.

    Parameters
    ----------
    sample : Array of shape (n, d), or sequence of d arrays
    bins : int, sequence of int, or sequence of edges
    range : sequence of pairs, optional
    weights : array_like, optional
    density : bool, optional

    Examples
    --------
    >>> import oxidask.array as da
    >>> counts, _ = histogramdd(da.ones((4, 2), chunks=2), bins=(2, 2), range=((0, 2), (0, 2)))
    >>> counts.sum().compute()
    np.float64(4.0)
    """
    if normed is not None:
        if density is not None:
            raise TypeError("normed and density mean the same\nhint: give density alone")
        density = normed
    rectangular = isinstance(sample, Array | np.ndarray)
    if rectangular:
        sample = asanyarray(sample)
        if sample.ndim != 2:
            raise ValueError(
                f"a sample in one array has a row for each point and a column for each axis, not shape {sample.shape}"
            )
        if sample.numblocks[1] > 1:
            raise ValueError(
                f"the columns of the sample are in {sample.numblocks[1]} chunks\nhint: rechunk with {{1: -1}}"
            )
        d, arrays = sample.shape[1], [sample]
    else:
        arrays = [asanyarray(x) for x in sample]
        d = len(arrays)
        for x in arrays:
            if x.ndim != 1:
                raise ValueError(f"coordinates come as arrays of one axis, not of shape {x.shape}")
            if x.chunks != arrays[0].chunks:
                raise ValueError(
                    f"coordinates differ in chunks: {arrays[0].chunks} and {x.chunks}\nhint: rechunk them alike"
                )
    if weights is not None:
        weights = asanyarray(weights)
        if weights.chunks[0] != arrays[0].chunks[0]:
            raise ValueError(
                f"the sample and its weights differ in chunks: {arrays[0].chunks[0]} and {weights.chunks[0]}"
            )
    if isinstance(bins, Array):
        raise TypeError("bins must be given, not lazy")
    if isinstance(bins, int | np.integer):
        bins = (int(bins),) * d
    elif len(bins) != d:
        raise ValueError(f"the sample has {d} axes, and bins are given for {len(bins)}")
    if range is not None:
        if len(range) != d:
            raise ValueError(f"the sample has {d} axes, and ranges are given for {len(range)}")
        if any(len(r) != 2 for r in range):
            raise ValueError(f"each range is a lowest and a highest value, unlike {range}")
    if any(np.ndim(b) == 0 for b in bins) and range is None:
        raise ValueError("numbers of bins need ranges\nhint: give one (low, high) for each axis, or edges as bins")
    edges = [_edges(b, None if range is None else range[i], arrays[0], None) for i, b in enumerate(bins)]
    lengths = [len(e) - 1 for e in edges]
    names = [("bin", i) for i in builtins.range(d)]
    pairs: list[Any] = []
    for x in arrays:
        pairs += [x, ("i", "column") if rectangular else ("i",)]
    if weights is not None:
        pairs += [weights, ("i",)]
    rows = blockwise(
        HistogramDD(edges, d, weights is not None),
        ("i", *names),
        *pairs,
        new_axes=dict(zip(names, lengths, strict=True)),
        adjust_chunks={"i": 1},
        concatenate=True,
        meta=np.empty((0,) * (d + 1), float),
        token="histogramdd",
    )
    counts = rows.sum(axis=0)
    if density:
        volume: Any = 1
        for i, e in enumerate(edges):
            volume = volume * np.diff(e).reshape([-1 if a == i else 1 for a in builtins.range(d)])
        counts = counts / asanyarray(volume).rechunk(counts.chunks) / counts.sum()
    return counts, [asanyarray(e) for e in edges]


class Unique:
    """Unique elements of a block, with what is counted of each."""

    __name__ = "unique"

    def of_block(self, block: Any, start: Any) -> Any:
        """Of a block: values, first positions, counts."""
        values, index, counts = np.unique(block, return_index=True, return_counts=True)
        return {"values": values, "index": index + (start[0] if len(start) else 0), "counts": counts}

    def combine(self, *parts: Any) -> Any:
        """Of several."""
        values = np.concatenate([p["values"] for p in parts])
        index = np.concatenate([p["index"] for p in parts])
        counts = np.concatenate([p["counts"] for p in parts])
        unique, inverse = np.unique(values, return_inverse=True)
        inverse = inverse.reshape(-1)
        first = np.full(len(unique), np.iinfo(np.intp).max, dtype=np.intp)
        np.minimum.at(first, inverse, index)
        total = np.zeros(len(unique), np.intp)
        np.add.at(total, inverse, counts)
        return {"values": unique, "index": first, "counts": total}


class Field:
    """One of the arrays of a dict."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.__name__ = name

    def __call__(self, found: Any) -> Any:
        return found[self.name]


class Inverse:
    """Where elements are among the unique ones."""

    __name__ = "inverse"

    def __call__(self, block: Any, values: Any) -> Any:
        made = np.searchsorted(values, block)
        if block.dtype.kind == "f" and len(values) and np.isnan(values[-1]):
            made = np.where(np.isnan(block), len(values) - 1, made)
        return made


def unique(
    ar: Any,
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
    axis: Any = None,
    *,
    equal_nan: bool = True,
) -> Any:
    """The different elements, in order; how many there are is not known before they are computed.

    Parameters
    ----------
    ar : array_like
    return_index, return_inverse, return_counts : bool
        Whether to answer also first positions, positions among the result, counts.

    Examples
    --------
    >>> unique([3, 1, 3]).compute()
    array([1, 3])
    """
    ar = asanyarray(ar)
    if axis is not None:
        raise NotImplementedError("unique along an axis is not offered\nhint: use map_blocks, or compute first")
    if not equal_nan:
        raise NotImplementedError("equal_nan=False is not offered")
    if ordered(ar) and not (return_index or return_inverse or return_counts) and ar.size == ar.size:
        return _wrap(_oxidask.array_unique(ar._core))
    shape = ar.shape
    flat = ar.ravel()
    step = Unique()
    numbers = np.arange(flat.npartitions)
    if any(n != n for n in flat.chunks[0]):
        starts = np.zeros(flat.npartitions, int)
        if return_index:
            raise ValueError("positions need chunks of known sizes\nhint: call compute_chunk_sizes() first")
    else:
        starts = np.cumsum([0, *flat.chunks[0]])[:-1]
    begin = asanyarray(starts).rechunk(1) if len(starts) else asanyarray(np.zeros(1, int))
    nodes = table(
        step.of_block,
        "unique-chunk",
        "unique",
        [flat, begin],
        np.stack(
            [np.stack([np.zeros_like(numbers), numbers], -1), np.stack([np.ones_like(numbers), numbers], -1)], axis=1
        ),
        ((1,) * len(numbers),),
        np.empty(0, object),
    )
    while nodes.npartitions > 1:
        n = nodes.npartitions
        rows = [np.array([[0, j] for j in builtins.range(i, min(i + 8, n))]) for i in builtins.range(0, n, 8)]
        nodes = table(step.combine, "unique", "unique", [nodes], rows, ((1,) * len(rows),), np.empty(0, object))
    one = np.array([[[0, 0]]])

    def part(name: str, dtype: Any) -> Array:
        meta = meta_from_array(None, 1, dtype)
        return table(Field(name), "unique", f"unique-{name}", [nodes], one, ((math.nan,),), meta)  # type: ignore[no-any-return]

    values = part("values", ar.dtype)
    made = [values]
    if return_index:
        made.append(part("index", np.dtype(np.intp)))
    if return_inverse:
        inverse = blockwise(Inverse(), "i", flat, "i", values, None, meta=np.empty(0, np.intp), token="unique-inverse")
        made.append(inverse if len(shape) == 1 or any(n != n for n in shape) else inverse.reshape(shape))
    if return_counts:
        made.append(part("counts", np.dtype(np.intp)))
    return made[0] if len(made) == 1 else tuple(made)


def unique_values(x: Any, /) -> Array:
    """The different elements, by the name of the array API standard.

    >>> unique_values([2, 2]).compute()
    array([2])
    """
    return unique(x)  # type: ignore[no-any-return]


def unique_counts(x: Any, /) -> Any:
    """The different elements and how often each occurs.

    >>> [y.compute().tolist() for y in unique_counts([2, 2])]
    [[2], [2]]
    """
    return unique(x, return_counts=True)


def unique_inverse(x: Any, /) -> Any:
    """The different elements, and where each element is among them.

    >>> [y.compute().tolist() for y in unique_inverse([2, 1])]
    [[1, 2], [1, 0]]
    """
    return unique(x, return_inverse=True)


def unique_all(x: Any, /) -> Any:
    """The different elements, first positions, positions among them, and counts.

    >>> [y.compute().tolist() for y in unique_all([2, 1])]
    [[1, 2], [1, 0], [1, 0], [1, 1]]
    """
    return unique(x, return_index=True, return_inverse=True, return_counts=True)


def union1d(ar1: Any, ar2: Any) -> Array:
    """The different elements of two arrays.

    >>> union1d([1, 2], [2, 3]).compute()
    array([1, 2, 3])
    """
    from oxidask.array.stacking import concatenate

    joined = concatenate([asanyarray(ar1).ravel(), asanyarray(ar2).ravel()], allow_unknown_chunksizes=True)
    return unique(joined)  # type: ignore[no-any-return]

"""Functions of blocks that see some of their neighbours."""

from __future__ import annotations

import itertools
import numbers
from collections.abc import Callable
from typing import Any

import numpy as np

from oxidask.array._generic import has_unknown
from oxidask.array._select import outer
from oxidask.array.blocks import map_blocks
from oxidask.array.convert import asanyarray
from oxidask.array.core import Array, native
from oxidask.array.shaping import axis_of

__all__ = ["map_overlap"]


def coerce_depth(ndim: int, depth: Any) -> dict[int, Any]:
    """How many elements each axis shares with its neighbours.

    >>> coerce_depth(2, 1)
    {0: 1, 1: 1}
    """
    if depth is None:
        depth = 0
    if isinstance(depth, numbers.Integral):
        depth = (depth,) * ndim
    if isinstance(depth, tuple | list):
        if len(depth) != ndim:
            raise ValueError(f"depth {depth} has {len(depth)} entries for an array of {ndim} axes")
        depth = dict(enumerate(depth))
    depth = {axis_of(a, ndim): d for a, d in depth.items()}
    made = {}
    for axis in range(ndim):
        own = depth.get(axis, 0)
        if isinstance(own, tuple | list):
            own = tuple(int(n) for n in own)
            negative = any(n < 0 for n in own)
        else:
            own = int(own)
            negative = own < 0
        if negative:
            raise ValueError(f"depth must not be negative, got {own}")
        made[axis] = own
    return made


def coerce_boundary(ndim: int, boundary: Any) -> dict[int, Any]:
    """What lies beyond the ends of each axis.

    >>> coerce_boundary(1, None)
    {0: 'none'}
    """
    default = "none"
    if boundary is None:
        boundary = default
    if not isinstance(boundary, tuple | list | dict):
        boundary = (boundary,) * ndim
    if isinstance(boundary, tuple | list):
        boundary = dict(enumerate(boundary))
    boundary = {axis_of(a, ndim): b for a, b in boundary.items()}
    return {a: default if boundary.get(a, default) is None else boundary.get(a, default) for a in range(ndim)}


def _pair(depth: Any) -> tuple[int, int]:
    return depth if isinstance(depth, tuple) else (depth, depth)


def ensure_minimum_chunksize(size: int, chunks: tuple[int, ...]) -> tuple[int, ...]:
    """Chunks joined until none is smaller than a size.

    >>> ensure_minimum_chunksize(3, (1, 1, 3, 4))
    (5, 4)
    """
    if not chunks or min(chunks) >= size:
        return tuple(chunks)
    made: list[int] = []
    current = 0
    for chunk in chunks:
        current += chunk
        if current >= size:
            made.append(current)
            current = 0
    if current:
        if made:
            made[-1] += current
        else:
            made.append(current)
    if sum(made) < size:
        raise ValueError(f"depth {size} exceeds the axis of length {sum(chunks)}")
    return tuple(made)


def boundaries(x: Array, depth: Any, kind: Any) -> Array:
    """The array with margins beyond its ends.

    >>> import oxidask.array as da
    >>> boundaries(da.arange(3, chunks=3), {0: 1}, {0: "reflect"}).compute()
    array([0, 0, 1, 2, 2])
    """
    from oxidask.array.creation import full
    from oxidask.array.stacking import concatenate

    depth, kind = coerce_depth(x.ndim, depth), coerce_boundary(x.ndim, kind)
    for axis in range(x.ndim):
        before, after = _pair(depth[axis])
        how = kind[axis]
        if how == "none" or before == after == 0:
            continue
        lead = (slice(None),) * axis
        n = x.shape[axis]
        if isinstance(how, str):
            if how == "periodic":
                left, right = x[(*lead, slice(n - before, None))], x[(*lead, slice(None, after))]
            elif how == "reflect":
                left = x[(*lead, slice(before - 1, None, -1) if before else slice(0))]
                right = x[(*lead, slice(None, n - after - 1 if n - after - 1 >= 0 else None, -1))]
            elif how == "nearest":
                left = x[(*lead, np.zeros(before, int))]
                right = x[(*lead, np.full(after, n - 1))]
            else:
                raise ValueError(
                    f"unknown boundary {how!r}\nhint: use 'periodic', 'reflect', 'nearest', 'none' or a value"
                )
            if how in ("reflect", "periodic", "nearest"):
                left, right = (p.rechunk({axis: -1}) for p in (left, right))
        else:

            def side(size: int, like: Array = x, value: Any = how, along: int = axis) -> Array:
                chunks = tuple((size,) if a == along else c for a, c in enumerate(like.chunks))
                shape = [sum(c) for c in chunks]
                value = np.asarray(value).astype(like.dtype)[()]
                return full(shape, value, like.dtype, chunks)

            left, right = side(before), side(after)
        parts = [p for p, w in ((left, before), (x, 1), (right, after)) if w]
        x = concatenate(parts, axis)
    return x


def overlap(x: Any, depth: Any, boundary: Any, *, allow_rechunk: bool = True) -> Array:
    """The array with blocks that share elements with their neighbours.

    Parameters
    ----------
    x : array_like
    depth : int, tuple or dict
        How many elements are shared along each axis; a pair for before and after.
    boundary : str, number, tuple or dict
        What lies beyond the ends: ``"periodic"``, ``"reflect"``, ``"nearest"``,
        ``"none"`` or a value.
    allow_rechunk : bool
        Whether chunks smaller than the depth may be joined.

    Raises
    ------
    ValueError
        If the depth is larger than an axis, or than a chunk that may not be joined.

    Examples
    --------
    >>> import oxidask.array as da
    >>> overlap(da.arange(4, chunks=2), 1, "none").chunks
    ((3, 3),)
    """
    x = asanyarray(x)
    depth2, boundary2 = coerce_depth(x.ndim, depth), coerce_boundary(x.ndim, boundary)
    sizes = []
    for axis in range(x.ndim):
        largest = max(_pair(depth2[axis]))
        if any(n != n for n in x.chunks[axis]):
            if largest:
                raise ValueError("overlap needs chunks of known sizes\nhint: call compute_chunk_sizes() first")
            sizes.append(x.chunks[axis])
            continue
        if largest > x.shape[axis]:
            raise ValueError(
                f"The overlapping depth {largest} is larger than the length {x.shape[axis]} of axis {axis}"
            )
        sizes.append(ensure_minimum_chunksize(largest, x.chunks[axis]) if largest else x.chunks[axis])
    if not allow_rechunk and tuple(sizes) != x.chunks:
        raise ValueError(
            f"some of the chunks {x.chunks} are shorter than the depth {depth2}"
            "\nhint: rechunk to longer chunks, or pass allow_rechunk=True"
        )
    x = x.rechunk(tuple(sizes)) if tuple(sizes) != x.chunks else x
    wide = boundaries(x, depth2, boundary2)
    plans: list[Any] = []
    for axis, own in enumerate(sizes):
        before, after = _pair(depth2[axis])
        if before == after == 0:
            plans.append(None)
            continue
        shift = 0 if boundary2[axis] == "none" else before
        n = wide.shape[axis]
        ends = np.cumsum([0, *own])
        plans.append(
            [np.arange(max(0, a + shift - before), min(n, b + shift + after)) for a, b in itertools.pairwise(ends)]
        )
    if all(plan is None for plan in plans):
        return wide
    return outer(wide, plans, "overlap")  # type: ignore[no-any-return]


class Trim:
    """Cuts shared elements off a block."""

    __name__ = "trim"

    def __init__(self, depth: dict[int, Any], boundary: dict[int, Any], numblocks: tuple[int, ...]) -> None:
        self.depth, self.boundary, self.numblocks = depth, boundary, numblocks

    def cut(self, axis: int, at: int) -> tuple[int, int]:
        """How much is cut off before and after, of the chunk at a place."""
        before, after = _pair(self.depth.get(axis, 0))
        if self.boundary.get(axis, "none") == "none":
            before = 0 if at == 0 else before
            after = 0 if at == self.numblocks[axis] - 1 else after
        return before, after

    def __call__(self, block: Any, block_id: Any = None) -> Any:
        index = []
        for axis, n in enumerate(block.shape):
            before, after = self.cut(axis, block_id[axis])
            index.append(slice(before, n - after))
        return block[tuple(index)]


def trim_overlap(x: Any, depth: Any, boundary: Any = None) -> Array:
    """Cuts off what :func:`overlap` added.

    >>> import oxidask.array as da
    >>> trim_overlap(overlap(da.arange(4, chunks=2), 1, "none"), 1, "none").compute()
    array([0, 1, 2, 3])
    """
    return trim_internal(x, coerce_depth(x.ndim, depth), coerce_boundary(x.ndim, boundary))


def trim_internal(x: Any, axes: Any, boundary: Any = None) -> Array:
    """Cuts elements off the ends of every block.

    >>> import oxidask.array as da
    >>> trim_internal(da.arange(6, chunks=3), {0: 1}, "reflect").compute()
    array([1, 4])
    """
    x = asanyarray(x)
    depth, boundary = coerce_depth(x.ndim, axes), coerce_boundary(x.ndim, boundary)
    trim = Trim(depth, boundary, x.numblocks)
    chunks = tuple(
        tuple(size - sum(trim.cut(axis, at)) for at, size in enumerate(sizes)) for axis, sizes in enumerate(x.chunks)
    )
    if native(x) and not has_unknown(x.chunks) and all(n >= 0 for sizes in chunks for n in sizes):
        plans: list[Any] = []
        for axis, sizes in enumerate(x.chunks):
            starts = np.cumsum([0, *sizes[:-1]])
            cuts = [trim.cut(axis, at) for at in range(len(sizes))]
            kept = [np.arange(s + b, s + n - e) for s, n, (b, e) in zip(starts, sizes, cuts, strict=True)]
            plans.append(kept if any(map(any, cuts)) else None)
        return x if all(plan is None for plan in plans) else outer(x, plans, "trim")  # type: ignore[no-any-return]
    return map_blocks(trim, x, chunks=chunks, dtype=x.dtype, meta=x._meta)


def map_overlap(
    func: Callable[..., Any],
    *args: Any,
    depth: Any = None,
    boundary: Any = None,
    trim: bool = True,
    align_arrays: bool = True,
    allow_rechunk: bool = True,
    **kwargs: Any,
) -> Array:
    """A function of blocks that share elements with their neighbours.

    Parameters
    ----------
    func : callable
        Gets blocks with their margins.
    *args : Array or object
    depth : int, tuple, dict, or a list of them
        See :func:`oxidask.array.overlap.overlap`; a list has one for every array.
    boundary : str, number, tuple, dict, or a list of them
        What lies beyond the ends; ``"none"`` by default.
    trim : bool
        Whether to cut the margins off the results.
    align_arrays : bool
        Whether arrays get the same chunks.
    allow_rechunk : bool
        Whether chunks smaller than the depth may be joined.
    **kwargs
        For :func:`oxidask.array.map_blocks`.

    Returns
    -------
    Array

    Examples
    --------
    >>> import oxidask.array as da
    >>> def smooth(x):
    ...     return (np.roll(x, 1) + x + np.roll(x, -1)) / 3
    >>> da.map_overlap(smooth, da.arange(4, chunks=2), depth=1, boundary="reflect").compute()
    array([0.33333333, 1.        , 2.        , 2.66666667])
    """
    from oxidask.array.blockwise import unify_chunks

    if isinstance(func, Array) and args and callable(args[0]):
        import warnings

        message = "map_overlap takes the function first and arrays after it; the other order will be an error"
        warnings.warn(message, FutureWarning, stacklevel=2)
        names = ("depth", "boundary", "trim")
        given = dict(zip(names, args[1:], strict=False))
        return map_overlap(
            args[0],
            func,
            **{
                **given,
                "align_arrays": align_arrays,
                "allow_rechunk": allow_rechunk,
                **{k: v for k, v in (("depth", depth), ("boundary", boundary)) if v is not None},
                **kwargs,
            },
        )
    if not callable(func):
        raise TypeError(
            f"map_overlap needs a function first, not a {type(func).__name__}"
            "\nhint: write map_overlap(function, array, ...)"
        )
    args = tuple(asanyarray(a) if isinstance(a, np.ndarray) and a.ndim else a for a in args)
    arrays = [a for a in args if isinstance(a, Array)]
    if not arrays:
        raise TypeError("map_overlap needs at least one array")
    depths = [coerce_depth(x.ndim, d) for x, d in zip(arrays, _each(depth, arrays), strict=True)]
    kinds = [coerce_boundary(x.ndim, b) for x, b in zip(arrays, _each(boundary, arrays), strict=True)]
    for own, kind in zip(depths, kinds, strict=True):
        for axis, d in own.items():
            if isinstance(d, tuple) and kind[axis] != "none":
                raise NotImplementedError("a depth that differs between the two sides needs the boundary 'none'")
    if align_arrays:
        n = max(x.ndim for x in arrays)
        pairs: list[Any] = []
        for x in arrays:
            pairs += [x, tuple(range(n - x.ndim, n))]
        _, arrays = unify_chunks(*pairs)
        arrays = _joined(arrays, depths, allow_rechunk)
    shared = [
        overlap(x, depth=d, boundary=b, allow_rechunk=allow_rechunk)
        for x, d, b in zip(arrays, depths, kinds, strict=True)
    ]
    stream = iter(shared)
    full = [next(stream) if isinstance(a, Array) else a for a in args]
    if "token" not in kwargs and "name" not in kwargs:
        kwargs["token"] = getattr(func, "__name__", "map_overlap").strip("<>")
    made = map_blocks(func, *full, **kwargs)
    if not trim:
        return made
    widest = max(range(len(arrays)), key=lambda i: shared[i].ndim)
    own_depth, own_kind = depths[widest], kinds[widest]
    dropped, added = kwargs.get("drop_axis"), kwargs.get("new_axis")
    if dropped is not None or added is not None:
        n = arrays[widest].ndim
        gone = (
            {a % n for a in (dropped if isinstance(dropped, list | tuple) else [dropped])}
            if dropped is not None
            else set()
        )
        kept: list[Any] = [a for a in range(n) if a not in gone]
        for a in sorted(
            a % made.ndim for a in (added if isinstance(added, list | tuple) else [added] if added is not None else [])
        ):
            kept.insert(a, None)
        own_depth = {i: own_depth[a] if a is not None else 0 for i, a in enumerate(kept)}
        own_kind = {i: own_kind[a] if a is not None else "none" for i, a in enumerate(kept)}
    return trim_internal(made, own_depth, own_kind)


def _joined(arrays: list[Array], depths: list[dict[int, Any]], allow_rechunk: bool) -> list[Array]:
    """All arrays with chunks that are as large as the largest depth along each axis."""
    if not allow_rechunk:
        return arrays
    n = max(x.ndim for x in arrays)
    least = [0] * n
    for x, depth in zip(arrays, depths, strict=True):
        for axis, d in depth.items():
            at = axis + n - x.ndim
            least[at] = max(least[at], *_pair(d))
    made = []
    for x in arrays:
        sizes = []
        for axis, own in enumerate(x.chunks):
            size = least[axis + n - x.ndim]
            sizes.append(
                ensure_minimum_chunksize(size, own) if size and x.shape[axis] > 1 and size <= x.shape[axis] else own
            )
        made.append(x.rechunk(tuple(sizes)) if tuple(sizes) != x.chunks else x)
    return made


def _each(option: Any, arrays: list[Array]) -> list[Any]:
    """An option of every array: a list has one for each."""
    if isinstance(option, list):
        if len(option) != len(arrays):
            raise ValueError(f"{len(option)} options for {len(arrays)} arrays")
        return option
    return [option] * len(arrays)


def sliding_window_view(x: Any, window_shape: Any, axis: Any = None, automatic_rechunk: bool = True) -> Array:
    """Windows that slide over the array, as new last axes.

    >>> sliding_window_view([1, 2, 3], 2).compute().tolist()
    [[1, 2], [2, 3]]
    """
    x = asanyarray(x)
    window = tuple(window_shape) if isinstance(window_shape, list | tuple) else (window_shape,)
    if any(w < 0 for w in window):
        raise ValueError(f"window lengths must not be negative, got {window}")
    if axis is None:
        axes = tuple(range(x.ndim))
        if len(window) != len(axes):
            raise ValueError(
                f"a window of {len(window)} lengths does not fit an array of {x.ndim} axes"
                "\nhint: give a length for every axis, or name the axes"
            )
    else:
        axes = tuple(axis_of(a, x.ndim) for a in (axis if isinstance(axis, tuple | list) else (axis,)))
        if len(window) != len(axes):
            raise ValueError(f"{len(window)} window lengths do not fit {len(axes)} axes")
    depths = [0] * x.ndim
    for a, w in zip(axes, window, strict=True):
        depths[a] += max(w - 1, 0)
    if any(d >= n for d, n in zip(depths, x.shape, strict=True) if d):
        raise ValueError(f"window shape {window} cannot be larger than input array shape {x.shape}")
    safe = tuple(ensure_minimum_chunksize(d + 1, c) if d else c for d, c in zip(depths, x.chunks, strict=True))
    x = x.rechunk(safe)
    wide = overlap(x, {a: (0, d) for a, d in enumerate(depths)}, "none")
    chunks = tuple(
        (*sizes[:-1], sizes[-1] - d) if d else sizes for sizes, d in zip(x.chunks, depths, strict=True)
    ) + tuple((w,) for w in window)
    del automatic_rechunk
    return map_blocks(
        Windows(window, axes),
        wide,
        chunks=chunks,
        dtype=x.dtype,
        new_axis=list(range(x.ndim, x.ndim + len(window))),
        meta=np.empty((0,) * (x.ndim + len(window)), x.dtype),
    )


class Windows:
    """Windows over a block, as a view."""

    __name__ = "sliding_window_view"

    def __init__(self, window: tuple[int, ...], axes: tuple[int, ...]) -> None:
        self.window, self.axes = window, axes

    def __call__(self, block: Any) -> Any:
        return np.lib.stride_tricks.sliding_window_view(block, self.window, axis=self.axes)

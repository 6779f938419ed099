"""A user's function on every block."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from oxidask.array._generic import position_of, table
from oxidask.array._meta import compute_meta, meta_from_array, result_of_ones
from oxidask.array.blockwise import BlockFunction, Literal, blockwise
from oxidask.array.core import Array, _axes

__all__ = ["map_blocks"]


class Place:
    """The arguments that tell a function which block it gets."""

    def __init__(self, wants: tuple[str, ...]) -> None:
        self.wants = wants
        self.chunks: Any = ()
        self.dtype: Any = None
        #: For each array: the number of the argument, its chunks, and which
        #: axis of the result each of its axes follows.
        self.arrays: list[tuple[int, Any, list[int | None]]] = []

    def __call__(self, block: int) -> dict[str, Any]:
        numblocks = [len(sizes) for sizes in self.chunks]
        position = position_of(block, numblocks)
        extra: dict[str, Any] = {}
        if "block_id" in self.wants:
            extra["block_id"] = position
        if "block_info" in self.wants:
            result = _info(self.chunks, position)
            result["chunk-shape"] = tuple(sizes[at] for sizes, at in zip(self.chunks, position, strict=True))
            result["dtype"] = self.dtype
            info: dict[Any, Any] = {None: result}
            for number, chunks, axes in self.arrays:
                own = tuple(
                    position[axis] if axis is not None and len(sizes) > 1 else 0
                    for axis, sizes in zip(axes, chunks, strict=True)
                )
                info[number] = {**_info(chunks, own)}
            extra["block_info"] = info
        return extra


def _info(chunks: Any, position: tuple[int, ...]) -> dict[str, Any]:
    location = []
    for sizes, at in zip(chunks, position, strict=True):
        start = sum(sizes[:at])
        location.append((start, start + sizes[at]))
    return {
        "shape": tuple(sum(sizes) for sizes in chunks),
        "num-chunks": tuple(len(sizes) for sizes in chunks),
        "array-location": location,
        "chunk-location": position,
    }


def takes(func: Callable[..., Any], name: str) -> bool:
    """Whether a function has an argument of this name."""
    import inspect

    try:
        return name in inspect.signature(func).parameters
    except (TypeError, ValueError):
        return False


def map_blocks(
    func: Callable[..., Any],
    *args: Any,
    name: str | None = None,
    token: str | None = None,
    dtype: Any = None,
    chunks: Any = None,
    drop_axis: Any = None,
    new_axis: Any = None,
    enforce_ndim: bool = False,
    meta: Any = None,
    **kwargs: Any,
) -> Array:
    """A function of NumPy arrays, called for every block.

    The function gets read-only views of the blocks, without copies, and answers
    an array.

    Parameters
    ----------
    func : callable
        May have the arguments ``block_id`` (the block's position) and
        ``block_info`` (positions and shapes, by number of the argument).
    *args : Array or object
        Arrays broadcast against one another by their blocks; everything else
        is passed as it is.
    name, token : str, optional
        Stands for the meaning of the function, which is otherwise hashed; or
        how the name of the result begins.
    dtype : dtype, optional
        Of the result; found by calling the function on tiny arrays otherwise.
    chunks : tuple, optional
        Of the result, if not those of the arguments: sizes for each axis, or
        one size for all blocks along it.
    drop_axis : int or sequence of int, optional
        Axes that the function removes.
    new_axis : int or sequence of int, optional
        Axes that the function adds.
    enforce_ndim : bool
        Whether to check how many axes a result has that the engine does not
        check; shapes of plain arrays always are.
    meta : array, optional
        An empty block of the result.
    **kwargs
        Passed to the function.

    Returns
    -------
    Array

    Raises
    ------
    ValueError
        When computed, if the function answers another shape than announced;
        the message names both.

    Examples
    --------
    >>> import oxidask.array as da
    >>> map_blocks(lambda x, k: x * k, da.arange(4, chunks=2), 10).compute()
    array([ 0, 10, 20, 30])
    >>> def number(block_id):
    ...     return np.full(2, block_id[0])
    >>> map_blocks(number, chunks=((2, 2),), dtype=int).compute()
    array([0, 0, 1, 1])
    """
    if not callable(func):
        raise TypeError(
            f"map_blocks needs a function before its arrays, not a value of type {type(func).__name__}\n"
            "hint: write map_blocks(function, x, y)"
        )
    wants = tuple(want for want in ("block_id", "block_info") if takes(func, want) and want not in kwargs)
    place = Place(wants) if wants else None
    args = tuple(a if isinstance(a, Array) or not _is_lazy_array(a) else _ours(a) for a in args)
    if not any(isinstance(a, Array) for a in args):
        return _from_nothing(func, args, kwargs, name, token, dtype, chunks, meta, place)
    arrays = [(i, a) for i, a in enumerate(args) if isinstance(a, Array)]
    n = max(a.ndim for _, a in arrays)
    dropped = sorted(a % n for a in (_axes(drop_axis) or [])) if n else []
    for a in _axes(drop_axis) or []:
        if not -n <= a < n:
            raise ValueError(f"drop_axis {a} is out of range for {n} axes")
    added = _axes(new_axis) or []
    kept = [axis for axis in range(n) if axis not in dropped]
    if new_axis is None and chunks is not None and dropped and isinstance(chunks, tuple) and len(chunks) > len(kept):
        added = list(range(len(chunks) - len(kept)))
    out: list[Any] = list(kept)
    n_out = len(kept) + len(added)
    new_axes: dict[Any, Any] = {}
    for axis in sorted(a % n_out for a in added):
        out.insert(axis, ("new", axis))
        new_axes["new", axis] = _new_size(chunks, axis)
    adjust = _adjust(chunks, out, new_axes)
    pairs: list[Any] = []
    for a in args:
        pairs += [a, tuple(range(n - a.ndim, n)) if isinstance(a, Array) else None]
    if place is not None:
        meta = _placed_meta(func, args, kwargs, place, dtype, meta, len(out))
    if meta is not None:
        meta = meta_from_array(meta, len(out), dtype)
    elif dtype is not None:
        found = compute_meta(func, dtype, *args, **kwargs) if place is None else None
        if found is not None and found.ndim != len(out):
            found = None
        sample = arrays[0][1]._meta
        meta = (
            found
            if found is not None and type(found) is not np.ndarray
            else meta_from_array(sample if type(sample) is not np.ndarray else None, len(out), dtype)
        )
    made = blockwise(
        func,
        tuple(out),
        *pairs,
        name=name,
        token=token,
        dtype=dtype,
        adjust_chunks=adjust or None,
        new_axes=new_axes or None,
        concatenate=True,
        meta=meta,
        align_arrays=not _on_one_another([a for _, a in arrays]),
        _place=place,
        _ndim=len(out) if enforce_ndim else None,
        **kwargs,
    )
    if place is not None:
        place.chunks, place.dtype = made.chunks, made.dtype
        for i, a in arrays:
            place.arrays.append((i, a.chunks, [out.index(x) if x in out else None for x in range(n - a.ndim, n)]))
    return made


def _on_one_another(arrays: list[Array]) -> bool:
    """Whether the blocks of arrays lie on one another, whatever their sizes."""
    n = max(a.ndim for a in arrays)
    counts = [(1,) * (n - a.ndim) + a.numblocks for a in arrays]
    return all(len({c for c in along if c != 1}) <= 1 for along in zip(*counts, strict=True)) and all(
        len({a.chunks[axis - n] for a in arrays if a.ndim >= n - axis and a.numblocks[axis - n] > 1}) <= 1
        for axis in range(n)
    )


def _is_lazy_array(a: Any) -> bool:
    return hasattr(a, "__dask_graph__") and hasattr(a, "chunks") and hasattr(a, "dtype")


def _ours(a: Any) -> Any:
    from oxidask.array.convert import asanyarray

    return asanyarray(a)


def _new_size(chunks: Any, axis: int) -> Any:
    """The size of an axis that the function adds; one where nobody says it."""
    if isinstance(chunks, tuple | list) and axis < len(chunks):
        size = chunks[axis]
        return tuple(size) if isinstance(size, tuple | list) else size
    return 1


def _adjust(chunks: Any, out: list[Any], new_axes: dict[Any, Any]) -> dict[Any, Any]:
    """What the announced chunks change of the natural ones."""
    if chunks is None:
        return {}
    if isinstance(chunks, int | float):
        chunks = (chunks,)
    if len(chunks) != len(out):
        raise ValueError(f"chunks {chunks} are for {len(chunks)} axes, and the result has {len(out)}")
    return {
        axis: tuple(size) if isinstance(size, list | tuple) else size
        for axis, size in zip(out, chunks, strict=True)
        if axis not in new_axes and size is not None
    }


def _placed_meta(func: Any, args: Any, kwargs: Any, place: Place, dtype: Any, meta: Any, ndim: int) -> Any:
    """The kind of the result of a function that wants to know its place."""
    if meta is not None:
        return meta
    first = next(a for a in args if isinstance(a, Array))
    if dtype is not None:
        return meta_from_array(None if type(first._meta) is np.ndarray else first._meta, ndim, dtype)
    place.chunks = tuple((1,) for _ in range(ndim))
    place.dtype = first.dtype
    place.arrays = [
        (i, tuple((1,) for _ in a.chunks), [None] * a.ndim) for i, a in enumerate(args) if isinstance(a, Array)
    ]
    extra = place(0)
    place.arrays = []
    found = compute_meta(func, None, *args, **kwargs, **extra)
    if found is None:
        found = np.asanyarray(result_of_ones(func, args, {**kwargs, **extra}, "map_blocks"))
    return found


def _from_nothing(
    func: Any, args: Any, kwargs: Any, name: Any, token: Any, dtype: Any, chunks: Any, meta: Any, place: Place | None
) -> Array:
    """A function that makes blocks from no arrays."""
    from oxidask.tokenize import tokenize

    if chunks is None:
        raise ValueError("a function of no arrays needs chunks\nhint: say the sizes of all blocks with chunks=")
    sizes = tuple(
        tuple(c) if isinstance(c, tuple | list) else (c,)
        for c in (chunks if isinstance(chunks, tuple | list) else (chunks,))
    )
    if meta is None and dtype is None:
        extra: dict[str, Any] = {}
        if place is not None:
            place.chunks = sizes
            extra = place(0)
        meta = np.asanyarray(result_of_ones(func, args, {**kwargs, **extra}, "map_blocks"))
    meta = meta_from_array(meta, len(sizes), dtype)
    if place is not None:
        place.chunks, place.dtype = sizes, meta.dtype
    bound = BlockFunction(func, [Literal(a) for a in args], {k: Literal(v) for k, v in kwargs.items()}, place=place)
    n_blocks = int(np.prod([len(c) for c in sizes]))
    key = name or tokenize(func, args, kwargs, sizes, meta.dtype)
    reads = np.empty((n_blocks, 0, 2), np.int64)
    label = token or getattr(func, "__name__", "map_blocks").strip("<>")
    made = table(bound, label, key, [], reads, sizes, meta, passes_block=place is not None)
    return made._named(name)  # type: ignore[no-any-return]

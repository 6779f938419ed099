"""Arrays joined and put beside one another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from oxidask._oxidask import ArrayCore
from oxidask.array._generic import block_numbers, is_native, is_unknown, table
from oxidask.array._meta import meta_from_array
from oxidask.array.blockwise import unify_chunks
from oxidask.array.convert import asanyarray
from oxidask.array.core import Array, _wrap, native
from oxidask.array.shaping import axis_of

__all__ = [
    "append",
    "atleast_1d",
    "atleast_2d",
    "atleast_3d",
    "block",
    "column_stack",
    "concatenate",
    "delete",
    "dstack",
    "hstack",
    "insert",
    "stack",
    "vstack",
]


def _promoted(arrays: list[Array]) -> tuple[list[Array], Any]:
    """The arrays in one dtype, and an empty block of what they make."""
    metas = [x._meta for x in arrays]
    masked = any(isinstance(m, np.ma.MaskedArray) for m in metas)
    sample = [m.reshape(-1)[:0] for m in metas]
    meta = np.ma.concatenate(sample) if masked else np.concatenate(sample)
    dtype = meta.dtype
    return [x.astype(dtype) if x.dtype != dtype else x for x in arrays], meta


def concatenate(seq: Sequence[Any], axis: int | None = 0, allow_unknown_chunksizes: bool = False) -> Array:
    """Arrays one after another along an axis. No data is moved.

    Parameters
    ----------
    seq : sequence of array_like
    axis : int or None
        None joins the flattened arrays.
    allow_unknown_chunksizes : bool
        Whether lengths along the other axes may be unknown.

    Raises
    ------
    ValueError
        If the shapes differ along another axis.

    Examples
    --------
    >>> import oxidask.array as da
    >>> concatenate([da.zeros(2, chunks=1), da.ones(1)]).compute()
    array([0., 0., 1.])
    """
    if not isinstance(seq, list | tuple):
        seq = list(seq)
    arrays = [
        asanyarray(x, allow_unknown_chunksizes=allow_unknown_chunksizes)
        if isinstance(x, list | tuple)
        else asanyarray(x)
        for x in seq
    ]
    if not arrays:
        raise ValueError("there are no arrays to concatenate")
    if axis is None:
        arrays, axis = [x.ravel() for x in arrays], 0
    n = arrays[0].ndim
    if any(x.ndim != n for x in arrays):
        raise ValueError(
            f"all the input array dimensions except for the concatenation axis must match: shapes {' and '.join(str(x.shape) for x in arrays)}"
        )
    if n == 0:
        raise ValueError("zero-dimensional arrays cannot be concatenated")
    axis = axis_of(axis, n)
    filled = [x for x in arrays if is_unknown(x.size) or x.size]
    if len(filled) > 1 or not filled:
        others = [tuple(s for a, s in enumerate(x.shape) if a != axis) for x in arrays]
        if not allow_unknown_chunksizes and any(p != q for o in others for p, q in zip(o, others[0], strict=True)):
            if any(is_unknown(p) for o in others for p in o):
                raise ValueError(
                    "whether arrays of unknown lengths fit together cannot be told\n"
                    "hint: call compute_chunk_sizes() first, or pass allow_unknown_chunksizes=True if they do"
                )
            shapes = " and ".join(str(x.shape) for x in arrays)
            raise ValueError(
                f"all the input array dimensions except for the concatenation axis must match: shapes {shapes}"
            )
    arrays, meta = _promoted(arrays)
    kept = [x for x in arrays if is_unknown(x.shape[axis]) or x.shape[axis]] or arrays[:1]
    if len(kept) == 1:
        return kept[0]
    arrays = kept
    if native(*arrays):
        return _wrap(ArrayCore.concatenate([x._core for x in arrays], axis))
    pairs: list[Any] = []
    for number, x in enumerate(arrays):
        pairs += [x, tuple(("own", number) if a == axis else a for a in range(n))]
    _, arrays = unify_chunks(*pairs)
    numbers = [np.stack([np.full(x.numblocks, i), block_numbers(x.numblocks)], axis=-1) for i, x in enumerate(arrays)]
    reads = np.concatenate(numbers, axis=axis).reshape(-1, 1, 2)
    chunks = tuple(sum((x.chunks[a] for x in arrays), ()) if a == axis else arrays[0].chunks[a] for a in range(n))
    return table(None, "concatenate", f"concatenate-{axis}", arrays, reads, chunks, meta_from_array(meta, n))  # type: ignore[no-any-return]


def stack(seq: Sequence[Any], axis: int = 0, allow_unknown_chunksizes: bool = False) -> Array:
    """Arrays of one shape side by side along a new axis.

    >>> import oxidask.array as da
    >>> stack([da.zeros(2, chunks=1), da.ones(2, chunks=1)], axis=1).compute()
    array([[0., 1.],
           [0., 1.]])
    """
    arrays = [
        asanyarray(x, allow_unknown_chunksizes=allow_unknown_chunksizes)
        if isinstance(x, list | tuple)
        else asanyarray(x)
        for x in seq
    ]
    if not arrays:
        raise ValueError("there are no arrays to stack")
    if not allow_unknown_chunksizes and any(x.shape != arrays[0].shape for x in arrays):
        raise ValueError(
            f"Stacked arrays must have the same shape. The first array had shape {arrays[0].shape}, while array "
            f"{next(i for i, x in enumerate(arrays) if x.shape != arrays[0].shape) + 1} has shape "
            f"{next(x.shape for x in arrays if x.shape != arrays[0].shape)}."
        )
    n = arrays[0].ndim
    if not -n - 1 <= axis <= n:
        raise ValueError(f"cannot stack along a new axis {axis}: the arrays have {n} axes")
    axis = axis_of(axis, n + 1)
    if native(*arrays):
        try:
            arrays, _ = _promoted(arrays)
            return _wrap(ArrayCore.stack([x._core for x in arrays], axis))
        except (TypeError, ValueError):
            pass
    index = (slice(None),) * axis + (None,)
    return concatenate([x[index] for x in arrays], axis, allow_unknown_chunksizes)


def atleast_1d(*arys: Any) -> Any:
    """The arrays with at least one axis.

    >>> atleast_1d(5).shape
    (1,)
    """
    made = [x if x.ndim else x[None] for x in map(asanyarray, arys)]
    return made[0] if len(made) == 1 else tuple(made)


def atleast_2d(*arys: Any) -> Any:
    """The arrays with at least two axes, new ones in front.

    >>> atleast_2d([1, 2]).shape
    (1, 2)
    """
    made = [x if x.ndim >= 2 else x[(None,) * (2 - x.ndim) + (...,)] for x in map(asanyarray, arys)]
    return made[0] if len(made) == 1 else tuple(made)


def atleast_3d(*arys: Any) -> Any:
    """The arrays with at least three axes.

    >>> atleast_3d([1, 2]).shape
    (1, 2, 1)
    """

    def deep(x: Array) -> Array:
        if x.ndim == 0:
            return x[None, None, None]
        if x.ndim == 1:
            return x[None, :, None]
        return x[:, :, None] if x.ndim == 2 else x

    made = [deep(x) for x in map(asanyarray, arys)]
    return made[0] if len(made) == 1 else tuple(made)


def _not_one(tup: Any, name: str) -> None:
    if isinstance(tup, Array):
        raise NotImplementedError(f"{name} expects a sequence of arrays as the first argument, not one array")


def vstack(tup: Sequence[Any], allow_unknown_chunksizes: bool = False) -> Array:
    """Rows on top of one another.

    >>> vstack([[1, 2], [3, 4]]).shape
    (2, 2)
    """
    _not_one(tup, "vstack")
    return concatenate([atleast_2d(x) for x in tup], 0, allow_unknown_chunksizes)


def hstack(tup: Sequence[Any], allow_unknown_chunksizes: bool = False) -> Array:
    """Columns beside one another.

    >>> hstack([[1, 2], [3]]).compute()
    array([1, 2, 3])
    """
    _not_one(tup, "hstack")
    arrays = [atleast_1d(x) for x in tup]
    return concatenate(arrays, 0 if all(x.ndim == 1 for x in arrays) else 1, allow_unknown_chunksizes)


def dstack(tup: Sequence[Any], allow_unknown_chunksizes: bool = False) -> Array:
    """Arrays joined along a third axis.

    >>> dstack([[1, 2], [3, 4]]).shape
    (1, 2, 2)
    """
    _not_one(tup, "dstack")
    return concatenate([atleast_3d(x) for x in tup], 2, allow_unknown_chunksizes)


def column_stack(tup: Sequence[Any]) -> Array:
    """Vectors as columns beside one another.

    >>> column_stack([[1, 2], [3, 4]]).compute().tolist()
    [[1, 3], [2, 4]]
    """
    arrays = [asanyarray(x) for x in tup]
    return concatenate([x[:, None] if x.ndim == 1 else x for x in arrays], 1)


def block(arrays: Any, allow_unknown_chunksizes: bool = False) -> Array:
    """An array from nested lists of blocks.

    >>> block([[[[1]], [[2]]], [[[3]], [[4]]]]).shape[-1]
    1
    """

    def depth(item: Any, path: str = "arrays") -> int:
        if isinstance(item, tuple):
            raise TypeError(
                f"{path} is a tuple, but blocks are arranged in lists\nhint: use a list, or make an array of it"
            )
        if not isinstance(item, list):
            return 0
        if not item:
            raise ValueError(f"List at {path} cannot be empty")
        found = {depth(part, f"{path}[{i}]") for i, part in enumerate(item)}
        if len(found) > 1:
            raise ValueError(f"List depths are mismatched below {path}")
        return found.pop() + 1

    levels = depth(arrays)

    def leaves(item: Any) -> list[Any]:
        return [leaf for part in item for leaf in leaves(part)] if isinstance(item, list) else [item]

    n = max(levels, *(asanyarray(leaf).ndim for leaf in leaves(arrays)), 0)

    def whole(item: Any, level: int) -> Array:
        if level == levels:
            x = asanyarray(item)
            return x[(None,) * (n - x.ndim) + (...,)] if x.ndim < n else x
        return concatenate([whole(part, level + 1) for part in item], n - levels + level, allow_unknown_chunksizes)

    return whole(arrays, 0)


def append(arr: Any, values: Any, axis: int | None = None) -> Array:
    """Values behind an array.

    >>> append([1, 2], [3]).compute()
    array([1, 2, 3])
    """
    arr, values = asanyarray(arr), asanyarray(values)
    if axis is None:
        arr, values, axis = arr.ravel(), values.ravel(), 0
    return concatenate([arr, values], axis)


def delete(arr: Any, obj: Any, axis: int | None) -> Array:
    """Without some positions along an axis.

    >>> delete([1, 2, 3], 1, axis=0).compute()
    array([1, 3])
    """
    arr = asanyarray(arr)
    if axis is None:
        arr, axis = arr.ravel(), 0
    axis = axis_of(axis, arr.ndim)
    n = arr.shape[axis]
    kept = np.ones(n, bool)
    positions = np.arange(n)[obj] if isinstance(obj, slice) else np.atleast_1d(np.asarray(obj))
    if positions.dtype.kind != "b":
        positions = positions.astype(np.intp)
        if ((positions < -n) | (positions >= n)).any():
            raise IndexError(f"index {obj} is out of bounds for axis {axis} with size {n}")
    kept[positions] = False
    from oxidask.array._select import outer

    plan, start = [], 0
    for size in arr.chunks[axis]:
        plan.append(start + np.nonzero(kept[start : start + size])[0])
        start += size
    plan = [p for p in plan if len(p)] or plan[:1]
    return outer(arr, [plan if a == axis else None for a in range(arr.ndim)], "delete")  # type: ignore[no-any-return]


def insert(arr: Any, obj: Any, values: Any, axis: int) -> Array:
    """Values put before positions along an axis.

    >>> insert([1, 2, 3], 1, 7, axis=0).compute()
    array([1, 7, 2, 3])
    """
    from oxidask.array.shaping import broadcast_to

    arr = asanyarray(arr)
    axis = axis_of(axis, arr.ndim)
    n = arr.shape[axis]
    if isinstance(obj, slice):
        obj = np.arange(*obj.indices(n))
    positions = np.asarray(obj)
    single = positions.ndim == 0
    positions = np.atleast_1d(positions).astype(np.intp)
    if ((positions < -n) | (positions > n)).any():
        raise IndexError(f"index {obj} is out of bounds for axis {axis} with size {n}")
    positions = np.where(positions < 0, positions + n, positions)
    if (np.diff(positions) < 0).any():
        raise NotImplementedError("insert needs its positions in ascending order")
    cuts = np.unique(positions)
    counts = np.bincount(positions)[cuts]
    values = asanyarray(values)
    if values.ndim == 0 or (single and values.ndim < arr.ndim):
        shape = tuple(len(positions) if a == axis else s for a, s in enumerate(arr.shape))
        if values.ndim and single:
            values = values[(slice(None),) * 0 + (...,)]
            if values.ndim == arr.ndim - 1:
                values = values[(slice(None),) * axis + (None,)]
        values = broadcast_to(values, shape)
    elif values.ndim == 1 and arr.ndim > 1:
        shape = tuple(len(positions) if a == axis else s for a, s in enumerate(arr.shape))
        values = broadcast_to(values, shape)
    elif single:
        counts = np.array([values.shape[axis]])
    lead = (slice(None),) * axis
    parts, start, taken = [], 0, 0
    for cut, count in zip(cuts.tolist(), counts.tolist(), strict=True):
        parts.append(arr[(*lead, slice(start, cut))])
        parts.append(values[(*lead, slice(taken, taken + count))].astype(arr.dtype))
        start, taken = cut, taken + count
    parts.append(arr[(*lead, slice(start, None))])
    return concatenate([p for p in parts if p.shape[axis]], axis)


_ = is_native

"""Indexing: basic, by arrays, by masks, by points, by blocks; and assignment."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from oxidask import _oxidask
from oxidask._oxidask import ArrayCore
from oxidask.array._generic import block_numbers, empty_block, has_unknown, is_unknown, joined, position_of, table
from oxidask.array._lazy_points import by_lazy_arrays
from oxidask.array._select import even_chunks, outer, split_positions
from oxidask.array.core import Array, _wrap, asarray, native
from oxidask.errors import *  # noqa: F403

__all__ = ["BlockView", "VIndex"]


def getitem(x: Array, index: Any) -> Array:
    """What an index takes of an array; see :meth:`Array.__getitem__`."""
    if isinstance(index, str) or (isinstance(index, list) and index and all(isinstance(i, str) for i in index)):
        return _fields(x, index)
    index = index if isinstance(index, tuple) else (index,)
    index = tuple(_entry(entry) for entry in index)
    lazy = [entry for entry in index if isinstance(entry, Array)]
    if lazy:
        return _by_lazy(x, index)
    if not any(isinstance(entry, np.ndarray) for entry in index):
        if isinstance(x._core, ArrayCore):
            return _wrap(x._core.getitem(index))
        return _outer_index(x, _complete(x, index))
    return _by_arrays(x, _complete(x, index))


def _entry(entry: Any) -> Any:
    """One entry of an index: an int, slice, None, Ellipsis, NumPy array or lazy array."""
    if isinstance(entry, Array):
        if entry.ndim == 0 and entry.dtype.kind in "iu":
            return entry
        if entry.dtype.kind not in "iub":
            raise IndexError(f"arrays used as indices must be of integer (or boolean) type, not {entry.dtype}")
        return entry
    if entry is None or entry is Ellipsis or isinstance(entry, slice):
        return _plain_slice(entry) if isinstance(entry, slice) else entry
    if isinstance(entry, bool | np.bool_):
        return np.asarray(entry)
    if isinstance(entry, int | np.integer):
        return int(entry)
    if hasattr(entry, "__dask_graph__") or hasattr(entry, "__oxidask_expr__"):
        return asarray(entry) if hasattr(entry, "shape") else asarray(entry.compute())
    if isinstance(entry, list | tuple | range) or hasattr(entry, "__array__"):
        array = np.asarray(entry)
        if array.ndim == 0 and array.dtype.kind in "iu":
            return int(array)
        if array.size == 0 and array.dtype.kind == "f":
            array = array.astype(np.intp)
        if array.dtype.kind not in "iub":
            raise IndexError(f"arrays used as indices must be of integer (or boolean) type, not {array.dtype}")
        return array
    try:
        return operator.index(entry)
    except TypeError:
        raise IndexError(
            "only integers, slices (`:`), ellipsis (`...`), None and integer or boolean arrays are valid indices, "
            f"not {entry!r}"
        ) from None


def _plain_slice(entry: slice) -> slice:
    parts = []
    for part in (entry.start, entry.stop, entry.step):
        if isinstance(part, Array):
            part = part.compute()
        if part is not None and not hasattr(part, "__index__"):
            raise IndexError(f"slice indices must be integers or None, not {part!r}")
        parts.append(None if part is None else operator.index(part))
    return slice(*parts)


def _complete(x: Array, index: Sequence[Any]) -> list[Any]:
    """The index with one entry for every axis, beside the Nones."""
    used = sum(entry.ndim if _is_mask(entry) else 1 for entry in index if entry is not None and entry is not Ellipsis)
    if used > x.ndim:
        raise IndexError(f"Too many indices for array: {used} indices for an array of shape {x.shape}")
    rest = [slice(None)] * (x.ndim - used)
    places = [i for i, entry in enumerate(index) if entry is Ellipsis]
    if len(places) > 1:
        raise IndexError("an index can only have a single ellipsis ('...')")
    if not places:
        return [*index, *rest]
    return [*index[: places[0]], *rest, *index[places[0] + 1 :]]


def _is_mask(entry: Any) -> bool:
    return isinstance(entry, np.ndarray | Array) and entry.dtype.kind == "b"


def _outer_index(x: Array, index: list[Any]) -> Array:
    """Slices, integers, Nones and one-dimensional arrays, each for its own axis."""
    if native(x):
        places = [i for i, entry in enumerate(index) if isinstance(entry, np.ndarray)]
        axes = [sum(entry is not None for entry in index[:place]) for place in places]
        if not any(is_unknown(n) for axis in axes for n in x.chunks[axis]):
            return _native_take(x, index, places, axes)
    plans: list[Any] = []
    last: list[Any] = []
    chunks: list[tuple[Any, ...]] = []
    axis = 0
    for entry in index:
        if entry is None:
            last.append(None)
            chunks.append((1,))
            continue
        sizes = x.chunks[axis]
        plan = _plan(entry, sizes, axis, x.shape)
        plans.append(plan)
        if isinstance(entry, int):
            last.append(0)
        else:
            last.append(slice(None))
            chunks.append(tuple(sizes) if plan is None else tuple(len(p) for p in plan))
        axis += 1
    trivial = all(isinstance(entry, slice) for entry in last)
    if trivial and all(plan is None for plan in plans):
        return x
    return outer(x, plans, last=None if trivial else tuple(last), chunks=tuple(chunks))


def _native_take(x: Array, index: list[Any], places: list[int], axes: list[int]) -> Array:
    """As :func:`_outer_index`, by the engine: first the basic index, then the positions along each axis."""
    taken = []
    for place, axis in zip(places, axes, strict=True):
        positions = checked(index[place], x.shape[axis], axis)
        taken.append(split_positions(positions, even_chunks(len(positions), x.chunks[axis])))
    basic = tuple(slice(None) if isinstance(entry, np.ndarray) else entry for entry in index)
    is_all = all(isinstance(entry, slice) and entry == slice(None) for entry in basic)
    made = x if is_all else _wrap(x._core.getitem(basic))
    plans: list[Any] = [None] * made.ndim
    for place, plan in zip(places, taken, strict=True):
        plans[sum(not isinstance(entry, int) for entry in index[:place])] = plan
    return made if all(plan is None for plan in plans) else outer(made, plans)  # type: ignore[no-any-return]


def _plan(entry: Any, sizes: Sequence[Any], axis: int, shape: Any) -> Any:
    """The positions that every chunk of the result takes along one axis."""
    if isinstance(entry, slice) and entry == slice(None):
        return None
    if any(is_unknown(n) for n in sizes):
        if isinstance(entry, slice) and entry.step in (None, 1) and entry.start in (None, 0) and entry.stop is None:
            return None
        raise ValueError(
            f"an axis of unknown length cannot be indexed: shape {shape}\nhint: call compute_chunk_sizes() first"
        )
    n = sum(sizes)
    if isinstance(entry, int):
        if not -n <= entry < n:
            raise IndexError(f"Index {entry} is out of bounds for axis {axis} with size {n} (shape {shape})")
        return [np.array([entry % n])]
    if isinstance(entry, slice):
        positions = np.arange(n)[entry]
        if (entry.step or 1) > 0 and len(positions):
            ends = np.cumsum(sizes)
            cuts = np.searchsorted(positions, ends)
            parts = [part for part in np.split(positions, cuts[:-1]) if len(part)]
            return parts or [positions]
        if not len(positions):
            return [positions]
        starts = np.cumsum([0, *sizes])[:-1][::-1]
        cuts = len(positions) - np.searchsorted(positions[::-1], starts)
        return [part for part in np.split(positions, cuts[:-1]) if len(part)]
    positions = checked(entry, n, axis)
    return split_positions(positions, even_chunks(len(positions), sizes))


def checked(index: np.ndarray, n: int, axis: int) -> np.ndarray:
    """Positions from zero, of an array of integers or a mask.

    Raises
    ------
    IndexError
        If one is out of bounds.
    """
    if index.dtype.kind == "b":
        if len(index) != n:
            raise IndexError(f"Boolean array with size {len(index)} is not long enough for axis {axis} with size {n}")
        return np.nonzero(index)[0]
    index = index.astype(np.intp)
    beyond = index[(index < -n) | (index >= n)]
    if beyond.size:
        raise IndexError(f"index {beyond.flat[0]} is out of bounds for axis {axis} with size {n}")
    return np.where(index < 0, index + n, index)


def _by_arrays(x: Array, index: list[Any]) -> Array:
    """An index with NumPy arrays in it."""
    arrays = [entry for entry in index if isinstance(entry, np.ndarray)]
    if len(arrays) == 1 and arrays[0].ndim == 1:
        result = _outer_index(x, list(index))
        # An integer beside an array is one more array to NumPy.
        moved = _array_axis(index) if any(isinstance(entry, int) for entry in index) else None
        return result if moved is None else _to_front(result, moved)
    return _pointwise(x, index)


def _array_axis(index: list[Any]) -> int | None:
    """Where the axis of the only array ends up, if NumPy moves it to the front."""
    places = [i for i, entry in enumerate(index) if isinstance(entry, int | np.ndarray)]
    if places == list(range(places[0], places[-1] + 1)):
        return None
    at = 0
    for entry in index:
        if isinstance(entry, np.ndarray):
            return at
        if not isinstance(entry, int):
            at += 1
    return None


def _to_front(x: Array, axis: int) -> Array:
    return x.transpose((axis, *(a for a in range(x.ndim) if a != axis)))


def _pointwise(x: Array, index: list[Any]) -> Array:
    """Several arrays, or one of several axes, as NumPy has it: points."""
    expanded: list[Any] = []
    axis = 0
    for entry in index:
        if _is_mask(entry) and entry.ndim != 1:
            if entry.ndim == 0:
                raise NotImplementedError("indexing by a single boolean is not supported")
            lengths = x.shape[axis : axis + entry.ndim]
            if entry.shape != lengths:
                raise IndexError(f"boolean index has shape {entry.shape}, where {lengths} is needed")
            expanded += list(np.nonzero(entry))
            axis += entry.ndim
        else:
            expanded.append(entry)
            axis += entry is not None
    arrays = [i for i, entry in enumerate(expanded) if isinstance(entry, int | np.ndarray)]
    together = arrays == list(range(arrays[0], arrays[-1] + 1))
    points, slices, front, axis = [], [], 0, 0
    basic: list[Any] = []
    for i, entry in enumerate(expanded):
        if entry is None:
            if not together or i < arrays[0]:
                front += i < arrays[0]
            slices.append(None)
            continue
        if isinstance(entry, int | np.ndarray):
            points.append(checked(np.atleast_1d(entry).ravel(), x.shape[axis], axis).reshape(np.shape(entry)))
            basic.append("point")
        else:
            front += i < arrays[0]
            slices.append(entry)
            basic.append(entry)
        axis += 1
    shape = np.broadcast_shapes(*[p.shape for p in points])
    axes = [a for a, entry in enumerate(basic) if isinstance(entry, str)]
    moved = x.transpose((*axes, *(a for a in range(x.ndim) if a not in axes)))
    rest = tuple(entry for entry in basic if not isinstance(entry, str))
    if any(entry != slice(None) for entry in rest):
        moved = moved[(*([slice(None)] * len(axes)), *rest)]
    taken = points_of(moved, [np.broadcast_to(p, shape).ravel() for p in points])
    taken = taken.reshape((*shape, *taken.shape[1:])) if len(shape) != 1 else taken
    n = len(shape)
    where: list[Any] = [slice(None)] * n + [None if entry is None else slice(None) for entry in slices]
    if any(entry is None for entry in where):
        taken = taken[tuple(where)]
    if together and front:
        order = [*range(n, n + front), *range(n), *range(n + front, taken.ndim)]
        taken = taken.transpose(order)
    return taken


class Points:
    """Takes points of blocks, each from the block that holds it."""

    __name__ = "vindex"

    def __init__(self, rows: list[list[tuple[Any, ...]]], n_axes: int) -> None:
        self.rows, self.n_axes = rows, n_axes

    def __call__(self, *args: Any) -> Any:
        *blocks, number = args
        rows = self.rows[number]
        if not rows:
            block = blocks[0]
            return block[(np.zeros(0, np.intp),) * self.n_axes]
        parts = [(where, block[tuple(local)]) for block, (where, *local) in zip(blocks, rows, strict=True)]
        n = sum(len(where) for where, _ in parts)
        result = np.empty_like(parts[0][1], shape=(n, *parts[0][1].shape[1:]))
        for where, values in parts:
            result[where] = values
        return result


def points_of(x: Array, points: Sequence[np.ndarray]) -> Array:
    """Elements, or rows of them, at points of the first axes."""
    from oxidask.tokenize import tokenize

    k, n = len(points), len(points[0])
    lead = x.chunks[:k]
    if any(is_unknown(size) for sizes in lead for size in sizes):
        raise ValueError("points need chunks of known sizes\nhint: call compute_chunk_sizes() first")
    if k == x.ndim and native(x):
        return _wrap(_oxidask.array_points(x._core, [np.ascontiguousarray(p, dtype=np.int64) for p in points]))
    size = max(1, math.prod(max(sizes, default=1) for sizes in lead))
    cuts = [size] * (n // size) + ([n % size] if n % size or not n else [])
    borders = [np.cumsum([0, *sizes]) for sizes in lead]
    owners = [np.searchsorted(b, p, side="right") - 1 for b, p in zip(borders, points, strict=True)]
    owner = np.ravel_multi_index(owners, [len(s) for s in lead]) if n else np.zeros(0, np.intp)
    local = [p - b[o] for p, b, o in zip(points, borders, owners, strict=True)]
    numbers = block_numbers(x.numblocks).reshape(math.prod(x.numblocks[:k]), -1)
    plans, start = [], 0
    for cut in cuts:
        own = owner[start : start + cut]
        rows = []
        for block in np.unique(own).tolist():
            (where,) = np.nonzero(own == block)
            rows.append((block, where, *[axis[start + where] for axis in local]))
        plans.append(rows)
        start += cut
    reads, rows_of = [], []
    for rows in plans:
        for rest in range(numbers.shape[1]):
            found = [(0, int(numbers[row[0], rest])) for row in rows] or [(0, int(numbers[0, rest]))]
            reads.append(np.array(found))
            rows_of.append([row[1:] for row in rows])
    chunks = (tuple(cuts), *x.chunks[k:])
    meta = empty_block(x._meta, len(chunks), x.dtype)
    token = tokenize("points", list(points), chunks)
    return table(Points(rows_of, k), "vindex", token, [x], reads, chunks, meta, passes_block=True)


def _by_lazy(x: Array, index: Sequence[Any]) -> Array:
    """An index with lazy arrays in it."""
    if len(index) == 1 and _is_mask(index[0]) and index[0].ndim == x.ndim:
        return masked(x, index[0])
    entries = _complete(x, index)
    plain = [slice(None) if isinstance(entry, Array) else entry for entry in entries]
    lazy = [(i, entry) for i, entry in enumerate(entries) if isinstance(entry, Array)]
    if len(lazy) > 1 or any(isinstance(e, np.ndarray) for e in entries):
        return by_lazy_arrays(x, entries)
    ((place, entry),) = lazy
    if entry.ndim > 1:
        if _is_mask(entry):
            raise NotImplementedError("a lazy mask of some axes is not supported\nhint: compute it first")
        flat = _by_lazy(x, (*index[:place], entry.ravel(), *index[place + 1 :]))
        axis = _lands(entries, place)
        return flat.reshape((*flat.shape[:axis], *entry.shape, *flat.shape[axis + 1 :]))
    axis = sum(e is not None for e in entries[:place])
    if _is_mask(entry):
        x = along_mask(x, entry, axis)
    elif entry.ndim == 0:
        x = along_lazy(x, entry.reshape(1), axis)
        plain[place] = 0
    else:
        x = along_lazy(x, entry, axis)
    rest = tuple(plain)
    if all(isinstance(e, slice) and e == slice(None) for e in rest):
        return x
    made = x[rest]
    if entry.ndim == 0:
        return made
    return made.transpose(
        _moved(made.ndim, sum(not isinstance(e, int) for e in entries[:place]), _lands(entries, place))
    )


def _lands(entries: Sequence[Any], place: int) -> int:
    """Where in the result the axis of the array at ``place`` begins, which has only numbers beside it.

    NumPy takes these for arrays: if there is a slice between them and the array, its axes come first.
    """
    chosen = [i for i, e in enumerate(entries) if i == place or isinstance(e, int)]
    if chosen[-1] - chosen[0] + 1 != len(chosen):
        return 0
    return sum(not isinstance(e, int) for e in entries[:place])


def _moved(ndim: int, source: int, destination: int) -> list[int]:
    order = [axis for axis in range(ndim) if axis != source]
    order.insert(destination, source)
    return order


def masked(x: Array, mask: Array) -> Array:
    """The elements where a mask of the same shape holds, in C order."""
    from oxidask.array.blockwise import blockwise

    if not all(is_unknown(a) or is_unknown(b) or a == b for a, b in zip(x.shape, mask.shape, strict=True)):
        raise IndexError(f"Boolean array with shape {mask.shape} does not fit an array of shape {x.shape}")
    if x.ndim == 0:
        x, mask = x.reshape(1), mask.reshape(1)
    if _on_one_another(x, mask):
        return _wrap(_oxidask.array_masked(x._core, mask._core, None))
    if x.ndim > 1:
        x, mask = x.ravel(), mask.ravel()
    return blockwise(
        _take_mask, "i", x, "i", mask, "i", dtype=x.dtype, token="getitem", adjust_chunks={"i": _unknown}, meta=x._meta
    )


def _on_one_another(x: Array, mask: Array) -> bool:
    """Whether the engine can bring a mask of the array's axes to its chunks."""
    if not native(x, mask):
        return False
    return x.chunks == mask.chunks or not (has_unknown(x.chunks) or has_unknown(mask.chunks))


def _take_mask(x: Any, mask: Any) -> Any:
    return x[mask]


def _unknown(size: Any) -> float:
    del size
    return math.nan


class AlongMask:
    """Takes what a mask holds along one axis."""

    __name__ = "getitem"

    def __init__(self, axis: int) -> None:
        self.axis = axis

    def __call__(self, x: Any, mask: Any) -> Any:
        return x[(slice(None),) * self.axis + (mask,)]


def along_mask(x: Array, mask: Array, axis: int) -> Array:
    """What a lazy mask holds along one axis; the sizes of chunks are then unknown."""
    from oxidask.array.blockwise import blockwise

    if not is_unknown(x.shape[axis]) and not is_unknown(mask.shape[0]) and x.shape[axis] != mask.shape[0]:
        raise IndexError(
            f"Boolean array with size {mask.shape[0]} is not long enough for axis {axis} with size {x.shape[axis]}"
        )
    if native(x, mask) and not has_unknown((x.chunks[axis], mask.chunks[0])):
        return _wrap(_oxidask.array_masked(x._core, mask._core, axis))
    ind = tuple(range(x.ndim))
    return blockwise(
        AlongMask(axis), ind, x, ind, mask, (axis,), token="getitem", adjust_chunks={axis: _unknown}, meta=x._meta
    )


class PickLazy:
    """Of one block, what a block of indices wants of it, and where that goes."""

    __name__ = "getitem"

    def __init__(self, axis: int, sizes: Sequence[int], numblocks: Sequence[int]) -> None:
        self.axis, self.borders, self.numblocks = axis, np.cumsum([0, *sizes]), numblocks

    def __call__(self, x: Any, index: Any, number: int) -> Any:
        n = self.borders[-1]
        beyond = index[(index < -n) | (index >= n)]
        if beyond.size:
            raise IndexError(f"index {beyond[0]} is out of bounds for axis {self.axis} with size {n}")
        at = position_of(number, self.numblocks)[-1]
        index = np.where(index < 0, index + n, index)
        (where,) = np.nonzero((index >= self.borders[at]) & (index < self.borders[at + 1]))
        values = x[(slice(None),) * self.axis + (index[where] - self.borders[at],)]
        return (len(index), where, values)


class PlacePicks:
    """Puts what blocks gave in the order of the indices."""

    __name__ = "getitem"

    def __init__(self, axis: int) -> None:
        self.axis = axis

    def __call__(self, *picks: Any) -> Any:
        n, _, values = picks[0]
        shape = (*values.shape[: self.axis], n, *values.shape[self.axis + 1 :])
        result = np.empty_like(values, shape=shape)
        for _, where, part in picks:
            result[(slice(None),) * self.axis + (where,)] = part
        return result


def along_lazy(x: Array, index: Array, axis: int) -> Array:
    """Elements at lazy positions along one axis."""
    from oxidask.tokenize import tokenize

    sizes = x.chunks[axis]
    if any(is_unknown(n) for n in sizes):
        raise NotImplementedError(
            "lazy positions along chunks of unknown lengths are not supported\nhint: call compute_chunk_sizes() first"
        )
    numbers = np.moveaxis(block_numbers(x.numblocks), axis, -1)
    others = numbers.shape[:-1]
    n_index, n_x = index.numblocks[0], len(sizes)
    # Blocks of picks: other axes, chunk of indices, chunk of the array.
    grid = (*others, n_index, n_x)
    blocks = np.broadcast_to(numbers[..., None, :], grid).ravel()
    chunk = np.broadcast_to(np.arange(n_index)[:, None], grid).ravel()
    reads = np.stack(
        [np.stack([np.zeros_like(blocks), blocks], -1), np.stack([np.ones_like(chunk), chunk], -1)], axis=1
    )
    nan = tuple((math.nan,) * n for n in grid)
    picks = table(
        PickLazy(axis, sizes, grid),
        "getitem-pick",
        tokenize("pick", axis, x.chunks),
        [x, index],
        reads,
        nan,
        np.empty((0,) * len(grid), dtype=object),
        passes_block=True,
    )
    chosen = block_numbers(grid).reshape(-1, n_x).reshape(*others, n_index, n_x)
    chosen = np.moveaxis(chosen, -2, axis).reshape(-1, n_x)
    reads = np.stack([np.zeros_like(chosen), chosen], axis=-1)
    chunks = (*x.chunks[:axis], index.chunks[0], *x.chunks[axis + 1 :])
    return table(PlacePicks(axis), "getitem", tokenize("place", axis, chunks), [picks], reads, chunks, x._meta)


def _fields(x: Array, names: Any) -> Array:
    """Fields of records."""
    from oxidask.array.blocks import map_blocks

    dtype = x.dtype[names] if isinstance(names, str) else x._meta[names].dtype
    if dtype.subdtype is not None:
        base, shape = dtype.subdtype
        new = list(range(x.ndim, x.ndim + len(shape)))
        return map_blocks(
            operator.getitem, x, names, dtype=base, chunks=x.chunks + tuple((n,) for n in shape), new_axis=new
        )
    return map_blocks(operator.getitem, x, names, dtype=dtype)


class VIndex:
    """Selection by points; see :attr:`Array.vindex`."""

    def __init__(self, array: Array) -> None:
        self._array = array

    def __getitem__(self, index: Any) -> Array:
        x = self._array
        index = index if isinstance(index, tuple) else (index,)
        if any(entry is None for entry in index):
            raise IndexError(f"vindex makes no new axes, but the index is {index}")
        index = tuple(np.asarray(e.compute()) if isinstance(e, Array) else e for e in index)
        full = _complete(x, [e if isinstance(e, slice) or e is Ellipsis else np.asarray(e) for e in index])
        if all(isinstance(entry, slice) for entry in full):
            if all(entry == slice(None) for entry in full):
                raise IndexError("vindex needs positions along some axis")
            raise IndexError(
                f"vindex needs positions along some axis, but the index has slices only: {index}"
                "\nhint: index the array itself, x[...]"
            )
        if any(isinstance(e, np.ndarray) and e.dtype.kind == "b" for e in full):
            if len(full) != x.ndim or (len(index) > 1 and any(_is_mask(e) and e.ndim != 1 for e in full)):
                raise IndexError("vindex does not support masks of several axes beside other indices")
            full = [np.nonzero(e)[0] if _is_mask(e) and e.ndim == 1 else e for e in full]
            if any(_is_mask(e) for e in full):
                return _pointwise(x, list(full))
        if any(isinstance(e, slice) and e != slice(None) for e in full):
            lead = tuple(e if isinstance(e, slice) else slice(None) for e in full)
            x = x[lead]
            full = [slice(None) if isinstance(e, slice) else e for e in full]
        axes = [a for a, e in enumerate(full) if not isinstance(e, slice)]
        try:
            points = np.broadcast_arrays(*[full[a] for a in axes])
        except ValueError as error:
            shapes = " ".join(str(full[a].shape) for a in axes)
            raise IndexError(f"the positions for vindex could not be broadcast together: shapes {shapes}") from error
        for a, p in zip(axes, points, strict=True):
            n = x.shape[a]
            if ((p < -n) | (p >= n)).any():
                raise IndexError(f"positions {p} are out of bounds for axis {a} of length {n}")
        order = (*axes, *(a for a in range(x.ndim) if a not in axes))
        moved = x.transpose(order) if order != tuple(range(x.ndim)) else x
        flat = [np.where(p < 0, p + x.shape[a], p).ravel() for a, p in zip(axes, points, strict=True)]
        taken = points_of(moved, flat)
        shape = points[0].shape
        return taken if len(shape) == 1 else taken.reshape((*shape, *taken.shape[1:]))


class BlockView:
    """An array by its blocks; see :attr:`Array.blocks`."""

    def __init__(self, array: Array) -> None:
        self._array = array

    @property
    def shape(self) -> tuple[int, ...]:
        """The number of blocks along every axis."""
        return self._array.numblocks

    @property
    def size(self) -> int:
        """The number of blocks."""
        return self._array.npartitions

    def __eq__(self, other: object) -> bool:
        return isinstance(other, BlockView) and self._array.name == other._array.name

    def __hash__(self) -> int:
        return hash(self._array)

    def __getitem__(self, index: Any) -> Array:
        index = index if isinstance(index, tuple) else (index,)
        if any(entry is None for entry in index):
            raise ValueError("Slicing with np.newaxis or None is not supported among blocks")
        if sum(isinstance(entry, np.ndarray | list) for entry in index) > 1:
            raise ValueError("Can only slice with a single list of blocks")
        x = self._array
        numbers = block_numbers(x.numblocks)
        # NumPy judges the index, so that mistakes read as usual.
        numbers[index]
        keep = tuple(_range_of(entry) for entry in index)
        chosen = numbers[keep]
        full = _complete_blocks(keep, x.ndim)
        chunks = tuple(tuple(np.array(sizes, dtype=object)[entry]) for sizes, entry in zip(x.chunks, full, strict=True))
        flat = chosen.ravel()
        reads = np.stack([np.zeros_like(flat), flat], axis=-1)[:, None, :]
        from oxidask.tokenize import tokenize

        return table(None, "blocks", tokenize("blocks", flat), [x], reads, chunks, x._meta)

    def ravel(self) -> list[Array]:
        """All blocks in C order.

        >>> import oxidask.array as da
        >>> [b.shape for b in da.ones((3, 2), chunks=2).blocks.ravel()]
        [(2, 2), (1, 2)]
        """
        return [self[position] for position in np.ndindex(*self.shape)]


def _range_of(entry: Any) -> Any:
    if isinstance(entry, int | np.integer):
        return slice(entry, entry + 1) if entry != -1 else slice(-1, None)
    return entry


def _complete_blocks(index: tuple[Any, ...], ndim: int) -> list[Any]:
    at = [i for i, entry in enumerate(index) if entry is Ellipsis]
    rest = [slice(None)] * (ndim - len(index) + len(at))
    return [*index[: at[0]], *rest, *index[at[0] + 1 :]] if at else [*index, *rest]


def setitem(x: Array, index: Any, value: Any) -> Array:
    """A copy in which an index has other values; see :meth:`Array.__setitem__`."""
    from oxidask.array.routines import broadcast_to, where

    if value is np.ma.masked or isinstance(value, np.ma.MaskedArray):
        return _setmasked(x, index, value)
    lazy = value if isinstance(value, Array) else asarray(value)
    if (
        isinstance(index, Array)
        and index.dtype.kind == "b"
        and index.ndim >= 1
        and ((index.ndim == x.ndim and lazy.size == 1) or lazy.ndim == 0)
    ):
        mask = index if index.ndim == x.ndim else index[(...,) + (None,) * (x.ndim - index.ndim)]
        return where(mask, lazy.reshape(()) if lazy.size == 1 else lazy, x).astype(x.dtype)
    index = index if isinstance(index, tuple) else (index,)
    entries = [_assigned(entry) for entry in index]
    if len(entries) == 1 and isinstance(entries[0], Array) and entries[0].ndim == x.ndim:
        return where(entries[0], broadcast_to(lazy, x.shape), x).astype(x.dtype)
    if any(entry is None for entry in entries):
        raise NotImplementedError("assignment with new axes is not supported")
    full = _complete(x, entries)
    if any(isinstance(e, Array) and e.dtype.kind == "b" for e in full):
        return _assign_masks(x, full, lazy)
    if sum(isinstance(e, np.ndarray) and e.ndim > 0 for e in full) > 1 or any(
        isinstance(e, np.ndarray) and e.ndim > 1 for e in full
    ):
        if len(full) == 1 or any(_is_mask(e) and e.ndim == x.ndim for e in full):
            return where(asarray(full[0]), lazy, x).astype(x.dtype)
        raise NotImplementedError("assignment by several arrays is not supported\nhint: use one array, or slices")
    return _assign(x, full, lazy)


def _assigned(entry: Any) -> Any:
    entry = _entry(entry)
    if isinstance(entry, Array) and entry.dtype.kind in "iu":
        return _entry(entry.compute())
    return entry


def _positions(x: Array, full: list[Any]) -> list[np.ndarray]:
    made = []
    for axis, entry in enumerate(full):
        n = x.shape[axis]
        if is_unknown(n):
            raise ValueError("assignment needs chunks of known sizes\nhint: call compute_chunk_sizes() first")
        if isinstance(entry, int):
            if not -n <= entry < n:
                raise IndexError(f"index {entry} is out of bounds for axis {axis} with size {n}")
            made.append(np.array([entry % n]))
        elif isinstance(entry, slice):
            made.append(np.arange(n)[entry])
        else:
            made.append(checked(entry, n, axis))
    return made


def _assign(x: Array, full: list[Any], value: Array) -> Array:
    """Assignment by integers, slices and one array."""
    from oxidask.array.routines import where

    positions = _positions(x, full)
    shape = [len(p) for p, entry in zip(positions, full, strict=True) if not isinstance(entry, int)]
    if value.ndim > len(shape):
        extra = value.ndim - len(shape)
        if any(n != 1 for n in value.shape[:extra]):
            raise ValueError(
                f"shape mismatch: value of shape {value.shape} does not fit indices of shape {tuple(shape)}"
            )
        value = value.reshape(value.shape[extra:])
    for n, own in zip(shape[::-1], value.shape[::-1], strict=False):
        if own not in (1, n) and not is_unknown(own):
            raise ValueError(
                f"a value of shape {value.shape} could not be broadcast to the indexed part, of shape {tuple(shape)}"
            )
    if 0 in shape:
        return x
    value = value[(None,) * (len(shape) - value.ndim) + (...,)] if value.ndim < len(shape) else value
    kept = [axis for axis, entry in enumerate(full) if not isinstance(entry, int)]
    spread: list[Any] = [0] * 0
    mask: Any = None
    takes: list[Any] = []
    for axis, own in enumerate(positions):
        n = x.shape[axis]
        hit = np.zeros(n, bool)
        hit[own] = True
        if not hit.all():
            lazy = asarray(hit, chunks=(x.chunks[axis],))
            lazy = lazy[(slice(None),) + (None,) * (x.ndim - axis - 1)]
            mask = lazy if mask is None else mask & lazy
        if axis in kept:
            place = np.zeros(n, np.intp)
            place[own] = np.arange(len(own))
            at = kept.index(axis)
            takes.append(slice(None) if value.shape[at] == 1 else place)
    for at, take in enumerate(takes):
        if isinstance(take, np.ndarray) and not (len(take) == value.shape[at] and (take == np.arange(len(take))).all()):
            value = outer(
                value, [split_positions(take, x.chunks[kept[at]]) if a == at else None for a in range(value.ndim)]
            )
    for axis in range(x.ndim):
        if axis not in kept:
            spread.append(axis)
    for axis in spread:
        value = value[(slice(None),) * axis + (None,)]
    value = value.astype(x.dtype) if value.dtype != x.dtype else value
    from oxidask.array.routines import broadcast_to

    if mask is not None:
        return where(mask, value, x).astype(x.dtype)
    value = value.rechunk(
        tuple(own if n == 1 else c for own, n, c in zip(value.chunks, value.shape, x.chunks, strict=True))
    )
    return broadcast_to(value, x.shape, chunks=x.chunks)


def _assign_masks(x: Array, full: list[Any], value: Array) -> Array:
    """Assignment of one value where lazy masks of single axes hold."""
    from oxidask.array.routines import where

    if value.size != 1:
        full = [_entry(np.asarray(e.compute())) if isinstance(e, Array) else e for e in full]
        return _assign(x, full, value)
    mask: Any = None
    for axis, entry in enumerate(full):
        if isinstance(entry, Array):
            own = entry
        else:
            hit = np.zeros(x.shape[axis], bool)
            hit[_positions(x, [slice(None)] * axis + [entry] + [slice(None)] * (x.ndim - axis - 1))[axis]] = True
            own = asarray(hit, chunks=(x.chunks[axis],))
        own = own[(slice(None),) + (None,) * (x.ndim - axis - 1)]
        mask = own if mask is None else mask & own
    return where(mask, value.reshape(()), x).astype(x.dtype)


def _setmasked(x: Array, index: Any, value: Any) -> Array:
    """Assignment of masked values: the result has a mask."""
    from oxidask.array import ma
    from oxidask.array.creation import zeros_like

    data, hidden = (0, True) if value is np.ma.masked else (np.ma.getdata(value), np.ma.getmaskarray(value))
    hit = setitem(zeros_like(x, dtype=bool), index, hidden)
    base = x if value is np.ma.masked else setitem(x, index, data)
    return ma.masked_where(hit, base)


_ = joined

"""Blocks put together from pieces of other blocks.

:func:`outer` is the general selection: along each axis, which positions every
chunk of the result takes. Rechunking, slices, integer and boolean indices,
rolls, repeats and shuffles are selections.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from oxidask.array._generic import Chunks, block_numbers, is_unknown, position_of, table

__all__: list[str] = []


class PerformanceWarning(Warning):
    """A plan that works but will be slow."""


#: Of one chunk along one axis: source chunk, positions in it, positions in the result.
Piece = tuple[int, Any, Any]


def as_slice(positions: np.ndarray) -> Any:
    """Evenly spaced positions as a slice, which takes a view; others as they are."""
    n = len(positions)
    if n == 0:
        return slice(0, 0)
    step = int(positions[1] - positions[0]) if n > 1 else 1
    if step == 0 or (n > 2 and not (np.diff(positions) == step).all()):
        return positions
    start = int(positions[0])
    stop = start + n * step
    return slice(start, stop if stop >= 0 else None, step)


def pieces_of(positions: np.ndarray, borders: np.ndarray) -> list[Piece]:
    """Where the positions of one chunk of a result lie."""
    if len(positions) == 0:
        return [(0, slice(0, 0), slice(0, 0))]
    chunks = np.searchsorted(borders, positions, side="right") - 1
    first, last = int(chunks[0]), int(chunks[-1])
    if first == last and (chunks == first).all():
        return [(first, as_slice(positions - borders[first]), slice(0, len(positions)))]
    made = []
    for chunk in np.unique(chunks).tolist():
        (where,) = np.nonzero(chunks == chunk)
        made.append((chunk, as_slice(positions[where] - borders[chunk]), as_slice(where)))
    return made


class Outer:
    """Makes a block of a selection from pieces of blocks."""

    __name__ = "getitem"

    def __init__(self, pieces: list[list[list[Piece]]], lengths: list[list[Any]], last: tuple[Any, ...] | None) -> None:
        self.pieces, self.lengths, self.last = pieces, lengths, last
        self.numblocks = [len(axis) for axis in pieces]

    def __call__(self, *args: Any) -> Any:
        *blocks, number = args
        position = position_of(number, self.numblocks)
        own = [axis[at] for axis, at in zip(self.pieces, position, strict=True)]
        if len(blocks) == 1:
            result = select(blocks[0], [pieces[0][1] for pieces in own])
        else:
            lengths = [axis[at] for axis, at in zip(self.lengths, position, strict=True)]
            # An axis of unknown length is taken whole, as every block here has it.
            shape = [own if is_unknown(n) else n for n, own in zip(lengths, blocks[0].shape, strict=True)]
            result = (
                np.empty_like(blocks[0], shape=tuple(shape)) if type(blocks[0]) is np.ndarray else _like(blocks, shape)
            )
            counts = [len(pieces) for pieces in own]
            for block, at in zip(blocks, np.ndindex(*counts), strict=True):
                chosen = [pieces[i] for pieces, i in zip(own, at, strict=True)]
                put(result, [piece[2] for piece in chosen], select(block, [piece[1] for piece in chosen]))
        return result if self.last is None else result[self.last]


def _like(blocks: Sequence[Any], shape: Sequence[int]) -> Any:
    if any(isinstance(block, np.ma.MaskedArray) for block in blocks):
        made = np.ma.empty(tuple(shape), dtype=blocks[0].dtype)
        made.mask = np.zeros(tuple(shape), bool)
        return made
    return np.empty_like(blocks[0], shape=tuple(shape))


def select(block: Any, index: Sequence[Any]) -> Any:
    """The outer selection of a block: each axis by its own index."""
    basic = tuple(entry if isinstance(entry, slice) else slice(None) for entry in index)
    block = block[basic] if basic else block
    for axis, entry in enumerate(index):
        if not isinstance(entry, slice):
            block = block[(slice(None),) * axis + (entry,)]
    return block


def put(target: Any, index: Sequence[Any], values: Any) -> None:
    """Writes an outer selection."""
    if sum(not isinstance(entry, slice) for entry in index) <= 1:
        target[tuple(index)] = values
        return
    full = [np.arange(target.shape[a])[e] if isinstance(e, slice) else e for a, e in enumerate(index)]
    target[np.ix_(*full)] = values


def outer(
    x: Any,
    plans: Sequence[Any],
    label: str = "getitem",
    last: tuple[Any, ...] | None = None,
    chunks: Chunks | None = None,
) -> Any:
    """The outer selection of an array.

    Parameters
    ----------
    x : Array
    plans : sequence
        For each axis the positions that every chunk of the result takes, as a
        list of arrays of int; or None for the axis as it is.
    last : tuple, optional
        A basic index that every block is subjected to at last, to drop axes of
        length one or to add some.
    chunks : tuple of tuple of int, optional
        The chunks of the result, where ``last`` changes them.
    """
    if _is_native_plan(x, plans):
        return _native_outer(x, plans, last)
    from oxidask.tokenize import tokenize

    pieces: list[list[list[Piece]]] = []
    lengths: list[list[Any]] = []
    for axis, plan in enumerate(plans):
        sizes = x.chunks[axis]
        if plan is None:
            pieces.append([[(at, slice(None), slice(None))] for at in range(len(sizes))])
            lengths.append(list(sizes))
            continue
        if any(is_unknown(n) for n in sizes):
            raise ValueError(
                f"positions along an axis of unknown chunk sizes: shape {x.shape}\n"
                "hint: call compute_chunk_sizes() first"
            )
        borders = np.cumsum([0, *sizes])
        # Chunks of no elements share a border with their neighbour, which takes all.
        pieces.append([pieces_of(np.asarray(positions), borders) for positions in plan])
        lengths.append([len(positions) for positions in plan])
    numbers = block_numbers(x.numblocks)
    reads = []
    for at in np.ndindex(*[len(axis) for axis in pieces]):
        own = [[piece[0] for piece in axis[i]] for axis, i in zip(pieces, at, strict=True)]
        found = numbers[np.ix_(*own)].ravel() if own else numbers.ravel()
        reads.append(np.stack([np.zeros_like(found), found], axis=-1))
    result = tuple(map(tuple, lengths)) if chunks is None else chunks
    meta = x._meta if last is None else _meta_of(x, last, len(result))
    token = tokenize("outer", [None if p is None else [np.asarray(c) for c in p] for p in plans], last, result)
    return table(Outer(pieces, lengths, last), label, token, [x], reads, result, meta, passes_block=True)


def _is_native_plan(x: Any, plans: Sequence[Any]) -> bool:
    """Whether the engine can make a selection: its own array, and positions along known chunks."""
    from oxidask._oxidask import ArrayCore

    return isinstance(x._core, ArrayCore) and all(
        plan is None or (len(plan) > 0 and not any(is_unknown(n) for n in sizes))
        for plan, sizes in zip(plans, x.chunks, strict=True)
    )


def _native_outer(x: Any, plans: Sequence[Any], last: tuple[Any, ...] | None) -> Any:
    """The selection by the engine, one axis after another, the one that leaves the least first."""
    from oxidask._oxidask import array_take
    from oxidask.array.core import _wrap

    core = x._core
    lengths = [0.0 if plan is None else sum(map(len, plan)) / max(1, n) for plan, n in zip(plans, x.shape, strict=True)]
    for axis in sorted(range(len(plans)), key=lengths.__getitem__):
        plan = plans[axis]
        if plan is not None:
            positions = np.concatenate([np.asarray(part, dtype=np.int64).ravel() for part in plan])
            core = array_take(core, positions, axis, [len(part) for part in plan])
    return _wrap(core if last is None else core.getitem(last))


def _meta_of(x: Any, last: tuple[Any, ...], ndim: int) -> Any:
    from oxidask.array._meta import meta_from_array

    return meta_from_array(x._meta, ndim=ndim)


def split_positions(positions: np.ndarray, sizes: Sequence[int]) -> list[np.ndarray]:
    """Positions cut into chunks of these sizes."""
    return np.split(positions, np.cumsum(sizes)[:-1]) if len(sizes) else [positions]


def rechunked(x: Any, chunks: Chunks) -> Any:
    """The array in other chunks, of known sizes."""
    plans = [
        None if tuple(new) == tuple(old) else split_positions(np.arange(sum(new)), new)
        for new, old in zip(chunks, x.chunks, strict=True)
    ]
    return outer(x, plans, "rechunk")


def even_chunks(n: int, sizes: Sequence[int]) -> list[int]:
    """Sizes for ``n`` positions that are no larger than the mean of ``sizes``."""
    mean = max(1, math.ceil(sum(sizes) / max(1, len(sizes))))
    made = [mean] * (n // mean) + ([n % mean] if n % mean else [])
    return made or [0]

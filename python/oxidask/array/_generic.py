"""Arrays whose blocks are Python objects, and the table that makes blocks from blocks.

:func:`table` is the one way in which Python code joins the plan: a function, its
inputs, and which blocks of them each block of the result reads. The result
belongs to the engine if it has the engine's dtypes and known chunks; otherwise
(objects, records, masked arrays, chunks of unknown size) its blocks stay Python
objects, and a :class:`GenericCore` knows their chunks and kind.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from oxidask import _oxidask
from oxidask._oxidask import ArrayCore

__all__: list[str] = []

Chunks = tuple[tuple[Any, ...], ...]


class GenericCore:
    """What an :class:`Array` of Python blocks knows of itself."""

    __slots__ = ("blocks", "chunks", "meta")

    def __init__(self, blocks: Any, chunks: Chunks, meta: Any) -> None:
        self.blocks, self.chunks, self.meta = blocks, chunks, meta

    def expr(self) -> Any:
        return self.blocks.expr()

    @property
    def key(self) -> str:
        return str(self.blocks.key)

    @property
    def label(self) -> str:
        return str(self.blocks.label)

    @property
    def dtype(self) -> np.dtype:
        return np.dtype(self.meta.dtype)

    @property
    def shape(self) -> tuple[Any, ...]:
        return tuple(length(sizes) for sizes in self.chunks)

    @property
    def chunksize(self) -> tuple[Any, ...]:
        return tuple(math.nan if any(is_unknown(n) for n in sizes) else max(sizes, default=0) for sizes in self.chunks)

    @property
    def numblocks(self) -> tuple[int, ...]:
        return tuple(len(sizes) for sizes in self.chunks)

    @property
    def npartitions(self) -> int:
        return math.prod(self.numblocks)

    @property
    def ndim(self) -> int:
        return len(self.chunks)

    @property
    def size(self) -> Any:
        return math.prod(self.shape)

    @property
    def nbytes(self) -> Any:
        return self.size * self.dtype.itemsize


def is_unknown(size: Any) -> bool:
    """Whether a length is not known before it is computed."""
    return isinstance(size, float) and math.isnan(size)


def length(sizes: Iterable[Any]) -> Any:
    """The length of an axis with chunks of these sizes; NaN if one is unknown."""
    return sum(sizes)


def has_unknown(chunks: Iterable[Iterable[Any]]) -> bool:
    """Whether a chunk's size is unknown."""
    return any(is_unknown(size) for sizes in chunks for size in sizes)


@functools.lru_cache(maxsize=256)
def is_native(dtype: np.dtype) -> bool:
    """Whether the engine computes with a dtype; others stay with NumPy."""
    if dtype.kind not in "biufcmM":
        return False
    try:
        ArrayCore.normalize_chunks((), [], dtype.name)
    except (TypeError, ValueError):
        return False
    return True


def kind_of_block(meta: Any) -> str:
    """How the class of blocks is called in descriptions."""
    kind = type(meta)
    return f"{kind.__module__.split('.')[0]}.{kind.__name__}"


def empty_block(meta: Any, ndim: int, dtype: Any = None) -> Any:
    """An empty block with this many axes, of the class and dtype of ``meta``."""
    if meta is None:
        return np.empty((0,) * ndim, dtype=dtype)
    if isinstance(meta, type):
        meta = np.empty((0,) * ndim, dtype=dtype) if meta is np.ndarray else meta((0,) * ndim, dtype=dtype)
    if not hasattr(meta, "dtype") or not hasattr(meta, "ndim"):
        meta = np.asarray(meta)
    if meta.ndim != ndim or any(meta.shape):
        meta = _emptied(meta, ndim)
    if dtype is not None and meta.dtype != dtype:
        meta = meta.astype(dtype)
    return meta


def _emptied(meta: Any, ndim: int) -> Any:
    """The block without its elements, with this many axes."""
    if ndim:
        return meta.reshape(-1)[:0].reshape((0,) * ndim)
    if isinstance(meta, np.ma.MaskedArray):
        return np.ma.masked_array(np.empty((), dtype=meta.dtype))
    if isinstance(meta, np.ndarray):
        return np.empty((), dtype=meta.dtype)
    return meta.reshape(-1)[:0].sum()


def table(
    function: Callable[..., Any] | None,
    label: str,
    token: str,
    inputs: Sequence[Any],
    reads: Any,
    chunks: Chunks,
    meta: Any,
    *,
    passes_block: bool = False,
) -> Any:
    """An array whose blocks a function makes from blocks of other collections.

    Parameters
    ----------
    function : callable or None
        Called with the blocks that a block reads, in order; with None every
        block is the only one that it reads.
    label : str
        What users read of it.
    token : str
        Stands for the function and all that it holds.
    inputs : sequence of collections or Delayed
    reads : array of int, shape (n_blocks, n_reads, 2), or list of such rows
        For every block of the result, in C order, pairs of the number of an
        input and the number of its block.
    chunks : tuple of tuple of int
        NaN stands for what is not known.
    meta : array
        An empty block of the result: its class and dtype.
    passes_block : bool
        Whether the function gets the number of the block as last argument.
    """
    from oxidask.array.core import _wrap

    # One NaN for all makes equal chunks compare equal.
    chunks = tuple(tuple(np.nan if is_unknown(n) else int(n) for n in sizes) for sizes in chunks)
    if isinstance(reads, np.ndarray):
        n_blocks, width = reads.shape[:2]
        starts = np.arange(n_blocks + 1, dtype=np.uint32) * np.uint32(width)
        pairs = np.ascontiguousarray(reads, dtype=np.uint32)
    else:
        starts = np.zeros(len(reads) + 1, dtype=np.uint32)
        np.cumsum([len(row) for row in reads], out=starts[1:])
        rows = [np.asarray(row, dtype=np.uint32).reshape(-1, 2) for row in reads]
        pairs = np.concatenate(rows) if rows else np.empty((0, 2), np.uint32)
    if type(meta) is np.ndarray and is_native(meta.dtype) and not has_unknown(chunks):
        sizes = [list(axis) for axis in chunks]
        native = (meta.dtype.name, sizes)
        if function is None and any(_is_generic(x) for x in inputs):
            function = _same
        if all(sizes):
            return _wrap(
                _oxidask.array_table(
                    function, label, token, list(inputs), starts.tobytes(), pairs.tobytes(), passes_block, native
                )
            )
    facts = (chunks, meta)
    blocks = _oxidask.array_table(
        function, label, token, list(inputs), starts.tobytes(), pairs.tobytes(), passes_block, None, facts
    )
    return _wrap(GenericCore(blocks, chunks, meta))


def _is_generic(x: Any) -> bool:
    core = getattr(x, "_core", None)
    return not isinstance(core, ArrayCore)


def _same(block: Any) -> Any:
    """A block as it is, on its way into the engine."""
    return block


def wrap(blocks: Any, facts: tuple[Chunks, Any]) -> Any:
    """The array over blocks; called by the engine."""
    from oxidask.array.core import _wrap

    return _wrap(GenericCore(blocks, *facts))


def finish(facts: tuple[Chunks, Any], blocks: list[Any]) -> Any:
    """All blocks as one; called by the engine."""
    chunks, _ = facts
    if not chunks:
        (block,) = blocks
        # NumPy answers numbers, not arrays without dimensions.
        return block[()] if type(block) in (np.ndarray, np.ma.MaskedArray) and block.ndim == 0 else block
    return joined(blocks, [len(sizes) for sizes in chunks])


class Gather:
    """Joins all blocks of an array, as a function of blocks."""

    __name__ = "whole"

    def __init__(self, facts: tuple[Chunks, Any]) -> None:
        self.facts = facts

    def __call__(self, *blocks: Any) -> Any:
        return finish(self.facts, list(blocks))


def joined(blocks: Sequence[Any], numblocks: Sequence[int]) -> Any:
    """Blocks in C order as one; one block is not copied."""
    blocks = list(blocks)
    if len(blocks) == 1:
        return blocks[0]
    for axis in reversed(range(len(numblocks))):
        count = numblocks[axis]
        if count != 1:
            blocks = [join(blocks[at : at + count], axis) for at in range(0, len(blocks), count)]
    return blocks[0]


def join(blocks: Sequence[Any], axis: int) -> Any:
    """Blocks one after another, by the function that their class has for it."""
    if any(isinstance(block, np.ma.MaskedArray) for block in blocks):
        whole = np.ma.concatenate(blocks, axis=axis)
        fills = {str(block.fill_value) for block in blocks if isinstance(block, np.ma.MaskedArray)}
        if len(fills) == 1:
            whole.fill_value = next(b.fill_value for b in blocks if isinstance(b, np.ma.MaskedArray))
        return whole
    lookup = getattr(type(blocks[0]), "__oxidask_concatenate__", None)
    if lookup is not None:
        return lookup(blocks, axis)
    module = type(blocks[0]).__module__.split(".")[0]
    if module == "scipy":
        from scipy import sparse

        return sparse.vstack(blocks) if axis == 0 else sparse.hstack(blocks)
    return np.concatenate([np.asanyarray(block) for block in blocks], axis=axis)


def block_numbers(numblocks: Sequence[int]) -> np.ndarray:
    """The number of every block, in an array of the shape ``numblocks``."""
    return np.arange(math.prod(numblocks), dtype=np.int64).reshape(tuple(numblocks))


def position_of(block: int, numblocks: Sequence[int]) -> tuple[int, ...]:
    """The coordinates of a block."""
    position = []
    for count in reversed(numblocks):
        block, at = divmod(block, count)
        position.append(at)
    return tuple(reversed(position))


def known(chunks: Chunks, what: str) -> None:
    """Refuses chunks of unknown size."""
    if has_unknown(chunks):
        raise ValueError(
            f"{what} needs chunks of known sizes, and the shape is {tuple(length(c) for c in chunks)}"
            "\nhint: call compute_chunk_sizes() first"
        )

"""Running sums and their like, and what is sorted or picked along an axis."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from oxidask import _oxidask
from oxidask.array._generic import block_numbers, has_unknown, is_native, table
from oxidask.array._meta import meta_from_array, quiet
from oxidask.array.blockwise import blockwise, elemwise
from oxidask.array.convert import asanyarray
from oxidask.array.core import Array, _into, _wrap, native, ordered
from oxidask.array.reductions import reduction
from oxidask.array.shaping import axis_of

__all__ = [
    "argsort",
    "argtopk",
    "cumprod",
    "cumreduction",
    "cumsum",
    "cumulative_prod",
    "cumulative_sum",
    "nancumprod",
    "nancumsum",
    "push",
    "sort",
    "topk",
]


class Running:
    """A running function of a block."""

    def __init__(self, func: Callable[..., Any], axis: int, dtype: Any) -> None:
        self.func, self.axis, self.dtype = func, axis, dtype
        self.__name__ = getattr(func, "__name__", "cumulative")

    def __call__(self, block: Any) -> Any:
        return (
            self.func(block, axis=self.axis, dtype=self.dtype)
            if self.dtype is not None
            else self.func(block, axis=self.axis)
        )


class Last:
    """The total of every block: what the next ones start from."""

    __name__ = "cumulative-last"

    def __init__(self, func: Callable[..., Any] | None, running: Any, axis: int, ident: Any) -> None:
        self.func, self.running, self.axis, self.ident = func, running, axis, ident

    def __call__(self, block: Any) -> Any:
        if self.func is not None:
            total = self.func(block, axis=self.axis, keepdims=True)
            return total.filled(self.ident) if isinstance(total, np.ma.MaskedArray) else total
        made = self.running(block)
        if made.shape[self.axis] == 0:
            return np.full_like(made, self.ident, shape=[1 if a == self.axis else n for a, n in enumerate(made.shape)])
        total = made[(slice(None),) * self.axis + (slice(-1, None),)]
        # Below the mask of a running function lies what it made without the masked elements:
        # a mask on a total would spread to all blocks after it.
        return total.data if isinstance(total, np.ma.MaskedArray) else total


class Carried:
    """A running function of a block, continued from the totals of those before it."""

    def __init__(self, running: Running, binop: Callable[..., Any]) -> None:
        self.running, self.binop = running, binop
        self.__name__ = running.__name__

    def __call__(self, block: Any, *totals: Any) -> Any:
        made = self.running(block)
        if not totals:
            return made
        before = totals[0]
        for total in totals[1:]:
            before = self.binop(before, total)
        return self.binop(before, made)


class Chained:
    """The total up to a block, from that before it."""

    __name__ = "cumulative-total"

    def __init__(self, binop: Callable[..., Any]) -> None:
        self.binop = binop

    def __call__(self, *totals: Any) -> Any:
        made = totals[0]
        for total in totals[1:]:
            made = self.binop(made, total)
        return made


def cumreduction(
    func: Callable[..., Any],
    binop: Callable[..., Any],
    ident: Any,
    x: Any,
    axis: int | None = None,
    dtype: Any = None,
    out: Any = None,
    method: str = "sequential",
    preop: Callable[..., Any] | None = None,
) -> Array:
    """A running function by functions of blocks.

    Parameters
    ----------
    func : callable
        The running function of a block: ``func(block, axis=…)``.
    binop : callable
        Continues it: from the total before and the block's own result.
    ident : number
        Where it begins.
    axis : int, optional
        The flattened array by default.
    method : {"sequential", "blelloch"}
        Totals are added up one after another, or in a tree of few steps.
    preop : callable, optional
        The total of a block, where that is cheaper than its running function.

    Examples
    --------
    >>> import operator
    >>> import oxidask.array as da
    >>> cumreduction(np.cumsum, operator.add, 0, da.arange(4, chunks=2), axis=0).compute()
    array([0, 1, 3, 6])
    """
    from oxidask.tokenize import tokenize

    if method not in ("sequential", "blelloch"):
        raise ValueError(f"there is no method {method!r} of cumulating\nhint: use 'sequential' or 'blelloch'")
    x = asanyarray(x)
    if axis is None:
        x, axis = x.ravel(), 0
    axis = axis_of(axis, x.ndim)
    with quiet():
        kind = (
            np.dtype(dtype)
            if dtype is not None
            else np.asarray(func(np.ones((1,) * x.ndim, dtype=x.dtype), axis=axis)).dtype
        )
    running = Running(func, axis, dtype)
    token = tokenize("cumulative", func, binop, ident, axis, dtype, method)
    numbers = block_numbers(x.numblocks)
    flat = numbers.ravel()
    own = np.stack([np.zeros_like(flat), flat], axis=-1)[:, None, :]
    meta = meta_from_array(x._meta, x.ndim, kind)
    if x.numblocks[axis] == 1:
        return _into(out, table(running, running.__name__, token, [x], own, x.chunks, meta))  # type: ignore[no-any-return]
    totals = table(
        Last(preop, running, axis, ident),
        "cumulative-last",
        token,
        [x],
        own,
        tuple((1,) * n if a == axis else x.chunks[a] for a, n in enumerate(x.numblocks)),
        meta,
    )
    before = _prefix(totals, axis, binop, token, method)
    rows = []
    along = np.moveaxis(np.arange(x.npartitions).reshape(x.numblocks), axis, 0)
    place = np.empty(x.npartitions, np.intp)
    for at in range(x.numblocks[axis]):
        place[along[at].ravel()] = at
    for number in range(x.npartitions):
        row = [(0, number)]
        if place[number]:
            previous = np.unravel_index(number, x.numblocks)
            previous = tuple(p - 1 if a == axis else p for a, p in enumerate(previous))
            row.append((1, int(numbers[previous])))
        rows.append(np.array(row))
    made = table(Carried(running, binop), running.__name__, token, [x, before], rows, x.chunks, meta)
    return _into(out, made)  # type: ignore[no-any-return]


def _prefix(totals: Array, axis: int, binop: Callable[..., Any], token: str, method: str) -> Array:
    """The running totals of blocks, in rounds of doubling distance or along a chain."""
    numbers = block_numbers(totals.numblocks)
    n = totals.numblocks[axis]
    if n == 1:
        return totals
    if method == "sequential":
        parts = [totals.blocks[(slice(None),) * axis + (slice(0, 1),)]]
        for at in range(1, n):
            own = totals.blocks[(slice(None),) * axis + (slice(at, at + 1),)]
            parts.append(_zipped([parts[-1], own], binop, token))
        return _side_by_side(parts, axis)
    current, step = totals, 1
    while step < n:
        rows = []
        for at in np.ndindex(*totals.numblocks):
            row = [(0, int(numbers[at]))]
            if at[axis] >= step:
                row.insert(0, (0, int(numbers[tuple(p - step if a == axis else p for a, p in enumerate(at))])))
            rows.append(np.array(row))
        current = table(
            Chained(binop), "cumulative-total", f"{token}-{step}", [current], rows, totals.chunks, totals._meta
        )
        step *= 2
    return current


def _zipped(arrays: list[Array], binop: Callable[..., Any], token: str) -> Array:
    flat = block_numbers(arrays[0].numblocks).ravel()
    reads = np.stack([np.stack([np.full_like(flat, i), flat], -1) for i in range(len(arrays))], axis=1)
    return table(Chained(binop), "cumulative-total", token, arrays, reads, arrays[0].chunks, arrays[0]._meta)  # type: ignore[no-any-return]


def _side_by_side(parts: list[Array], axis: int) -> Array:
    numbers = [np.stack([np.full(p.numblocks, i), block_numbers(p.numblocks)], axis=-1) for i, p in enumerate(parts)]
    reads = np.concatenate(numbers, axis=axis).reshape(-1, 1, 2)
    first = parts[0]
    chunks = tuple((1,) * len(parts) if a == axis else c for a, c in enumerate(first.chunks))
    return table(None, "cumulative-totals", "totals", parts, reads, chunks, first._meta)  # type: ignore[no-any-return]


def _cumulative(name: str, what: str, binop: Callable[..., Any], ident: int, total: str) -> Callable[..., Array]:
    def function(
        x: Any, axis: int | None = None, dtype: Any = None, out: Any = None, *, method: str = "sequential"
    ) -> Array:
        x = asanyarray(x)
        if axis is None:
            x, axis = x.ravel(), 0
        axis = axis_of(axis, x.ndim)
        if native(x) and x.dtype.kind not in "mM" and (dtype is None or is_native(np.dtype(dtype))):
            try:
                made = _oxidask.array_cumulative(x._core, name, axis, None if dtype is None else np.dtype(dtype).name)
                return _into(out, _wrap(made))  # type: ignore[no-any-return]
            except TypeError:
                pass
        preop = getattr(np, total) if method == "blelloch" and dtype is None else None
        return cumreduction(getattr(np, name), binop, ident, x, axis, dtype, out, method=method, preop=preop)

    function.__name__ = function.__qualname__ = name
    function.__module__ = __name__
    function.__doc__ = f"""The running {what} along an axis, or of the flattened array; as :func:`numpy.{name}`.

    Parameters
    ----------
    axis : int, optional
    dtype : dtype, optional
    out : Array, optional
        Takes the result.
    method : {{"sequential", "blelloch"}}
        How totals of chunks are added up.

    >>> import oxidask.array as da
    >>> da.{name}(da.arange(1, 4, chunks=2), axis=0).compute().tolist() == np.{name}([1, 2, 3]).tolist()
    True
    """
    return function


cumsum = _cumulative("cumsum", "sum", operator.add, 0, "sum")
cumprod = _cumulative("cumprod", "product", operator.mul, 1, "prod")
nancumsum = _cumulative("nancumsum", "sum of what is not NaN", operator.add, 0, "nansum")
nancumprod = _cumulative("nancumprod", "product of what is not NaN", operator.mul, 1, "nanprod")


def cumulative_sum(x: Any, /, *, axis: int | None = None, dtype: Any = None, include_initial: bool = False) -> Array:
    """The running sum, by the name of the array API standard.

    >>> cumulative_sum([1, 2], include_initial=True).compute()
    array([0, 1, 3])
    """
    return _standard(cumsum, x, axis, dtype, include_initial, 0)


def cumulative_prod(x: Any, /, *, axis: int | None = None, dtype: Any = None, include_initial: bool = False) -> Array:
    """The running product, by the name of the array API standard.

    >>> cumulative_prod([2, 3]).compute()
    array([2, 6])
    """
    return _standard(cumprod, x, axis, dtype, include_initial, 1)


def _standard(func: Any, x: Any, axis: Any, dtype: Any, include_initial: bool, ident: int) -> Array:
    from oxidask.array.creation import full
    from oxidask.array.stacking import concatenate

    x = asanyarray(x)
    if axis is None:
        if x.ndim != 1:
            raise ValueError(f"an array of shape {x.shape} needs an axis")
        axis = 0
    made = func(x, axis=axis, dtype=dtype)
    if include_initial:
        first = full([1 if a == axis % x.ndim else n for a, n in enumerate(x.shape)], ident, made.dtype)
        made = concatenate([first, made], axis)
    return made  # type: ignore[no-any-return]


class PushAlong:
    """Fills what is missing with the last value before it."""

    __name__ = "push"

    def __init__(self, axis: int, limit: int | None) -> None:
        self.axis, self.limit = axis, limit

    def __call__(self, block: Any) -> Any:
        moved = np.moveaxis(block, self.axis, -1)
        gone = np.isnan(moved) if moved.dtype.kind in "fcmM" else np.zeros(moved.shape, bool)
        at = np.arange(moved.shape[-1])
        last = np.maximum.accumulate(np.where(gone, -1, at), axis=-1)
        usable = last >= 0
        if self.limit is not None:
            usable &= at - last <= self.limit
        filled = np.take_along_axis(moved, np.maximum(last, 0), -1)
        return np.moveaxis(np.where(usable, filled, moved), -1, self.axis)


def push(array: Any, n: int | None, axis: int) -> Array:
    """What is missing filled with the last value before it along an axis.

    Parameters
    ----------
    n : int, optional
        How far a value reaches; without limit by default.
    axis : int

    Examples
    --------
    >>> push([1.0, float("nan"), 3.0], None, 0).compute()
    array([1., 1., 3.])
    """
    array = asanyarray(array)
    axis = axis_of(axis, array.ndim)
    if n is not None and 0 < n < array.shape[axis] - 1:
        from oxidask.array.overlap import map_overlap

        return map_overlap(
            PushAlong(axis, n), array, depth={axis: (n, 0)}, boundary="none", dtype=array.dtype, meta=array._meta
        )
    if array.numblocks[axis] == 1:
        ind = tuple(range(array.ndim))
        return blockwise(PushAlong(axis, None), ind, array, ind, dtype=array.dtype, meta=array._meta)
    return cumreduction(_push_block, _push_on, np.nan, array, axis, method="sequential")


def _push_block(block: Any, axis: int, dtype: Any = None) -> Any:
    return PushAlong(axis, None)(block)


def _push_on(before: Any, block: Any) -> Any:
    return np.where(np.isnan(block), before, block)


class TopK:
    """The largest elements of a block, or the smallest for a negative number."""

    __name__ = "topk"

    def __init__(self, k: int) -> None:
        self.k = k

    def pick(self, block: Any, axis: Any, keepdims: bool = True) -> Any:
        """The elements, in no order."""
        (axis,) = axis
        if abs(self.k) >= block.shape[axis]:
            return block
        part = np.partition(block, -self.k, axis=axis)
        return part[(slice(None),) * axis + (slice(-self.k, None) if self.k > 0 else slice(None, -self.k),)]

    def order(self, block: Any, axis: Any, keepdims: bool = True) -> Any:
        """The elements, the best first."""
        block = np.sort(self.pick(block, axis), axis=axis[0])
        return block if self.k < 0 else block[(slice(None),) * axis[0] + (slice(None, None, -1),)]


def topk(a: Any, k: int, axis: int = -1, split_every: Any = None) -> Array:
    """The ``k`` largest elements along an axis in falling order; the smallest, rising, for a negative ``k``.

    >>> topk([5, 1, 3, 6], 2).compute()
    array([6, 5])
    """
    a = asanyarray(a)
    axis = axis_of(axis, a.ndim)
    if ordered(a) and k and not has_unknown(a.chunks):
        return _wrap(_oxidask.array_topk(a._core, k, axis))
    best = TopK(k)
    return reduction(
        a,
        best.pick,
        best.order,
        combine=best.pick,
        axis=axis,
        keepdims=True,
        dtype=a.dtype,
        split_every=split_every,
        output_size=min(abs(k), a.shape[axis]) if a.shape[axis] == a.shape[axis] else abs(k),
        name="topk",
        meta=meta_from_array(a._meta, a.ndim),
    )


class ArgTopK:
    """The positions of the largest elements."""

    __name__ = "argtopk"

    def __init__(self, k: int) -> None:
        self.k = k

    def pick(self, pairs: Any, axis: Any, keepdims: bool = True) -> Any:
        """Elements and positions, in no order."""
        (axis,) = axis
        values, at = _joined(pairs, axis)
        if abs(self.k) >= values.shape[axis]:
            return {"values": values, "at": at}
        chosen = np.argpartition(values, -self.k, axis=axis)
        chosen = chosen[(slice(None),) * axis + (slice(-self.k, None) if self.k > 0 else slice(None, -self.k),)]
        return {"values": np.take_along_axis(values, chosen, axis), "at": np.take_along_axis(at, chosen, axis)}

    def order(self, pairs: Any, axis: Any, keepdims: bool = True) -> Any:
        """Positions, the best first."""
        best = self.pick(pairs, axis)
        order = np.argsort(best["values"], axis=axis[0])
        if self.k > 0:
            order = order[(slice(None),) * axis[0] + (slice(None, None, -1),)]
        return np.take_along_axis(best["at"], order, axis[0])

    def of_block(self, block: Any, at: Any, axis: Any, keepdims: bool = True) -> Any:
        """Elements and positions of a block."""
        return self.pick({"values": block, "at": np.broadcast_to(at, block.shape)}, axis)


def _joined(pairs: Any, axis: int) -> Any:
    from oxidask.array.reductions import _flat

    flat = _flat(pairs)
    if len(flat) == 1:
        return flat[0]["values"], flat[0]["at"]
    return np.concatenate([p["values"] for p in flat], axis), np.concatenate([p["at"] for p in flat], axis)


def argtopk(a: Any, k: int, axis: int = -1, split_every: Any = None) -> Array:
    """The positions of the ``k`` largest elements along an axis; see :func:`topk`.

    >>> argtopk([5, 1, 3, 6], 2).compute()
    array([3, 0])
    """
    from oxidask.array.creation import arange

    a = asanyarray(a)
    axis = axis_of(axis, a.ndim)
    best = ArgTopK(k)
    at = arange(a.shape[axis], chunks=(a.chunks[axis],), dtype=np.intp)
    at = at[(slice(None),) + (None,) * (a.ndim - axis - 1)]
    return reduction(
        a,
        best.of_block,
        best.order,
        combine=best.pick,
        axis=axis,
        keepdims=True,
        dtype=np.intp,
        split_every=split_every,
        output_size=min(abs(k), a.shape[axis]),
        name="argtopk",
        concatenate=False,
        weights=at,
        meta=np.empty((0,) * a.ndim, np.intp),
    )


class SortAlong:
    """Sorts a chunk that is whole along an axis."""

    def __init__(self, name: str, axis: int, descending: bool, stable: bool) -> None:
        self.__name__, self.axis, self.descending, self.stable = name, axis, descending, stable

    def __call__(self, block: Any) -> Any:
        kind = "stable" if self.stable else None
        if not self.descending:
            return getattr(np, self.__name__)(block, axis=self.axis, kind=kind)
        flipped = np.flip(block, self.axis)
        made = np.flip(getattr(np, self.__name__)(flipped, axis=self.axis, kind=kind), self.axis)
        return block.shape[self.axis] - 1 - made if self.__name__ == "argsort" else made


def _sorted(name: str, a: Any, axis: int | None, descending: bool, stable: bool, dtype: Any) -> Array:
    a = asanyarray(a)
    if axis is None:
        a, axis = a.ravel(), 0
    axis = axis_of(axis, a.ndim)
    a = a.rechunk({i: -1 if i == axis else "auto" for i in range(a.ndim)}) if a.numblocks[axis] > 1 else a
    if ordered(a) and not (descending and name == "argsort"):
        made = _wrap(_oxidask.array_sort(a._core, axis, name == "argsort"))
        return made[(slice(None),) * axis + (slice(None, None, -1),)] if descending else made
    return elemwise(SortAlong(name, axis, descending, stable), a, meta=meta_from_array(a._meta, a.ndim, dtype))


def sort(a: Any, axis: int | None = -1, *, descending: bool = False, stable: bool = True) -> Array:
    """The elements in order along an axis, which becomes one chunk; of the flattened array for None.

    >>> sort([3, 1, 2]).compute()
    array([1, 2, 3])
    """
    return _sorted("sort", a, axis, descending, stable, None)


def argsort(a: Any, axis: int | None = -1, *, descending: bool = False, stable: bool = True) -> Array:
    """The positions of the elements in order along an axis, which becomes one chunk.

    >>> argsort([3, 1, 2]).compute()
    array([1, 2, 0])
    """
    return _sorted("argsort", a, axis, descending, stable, np.dtype(np.intp))

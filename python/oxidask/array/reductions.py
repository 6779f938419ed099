"""Reductions: one tree for all, and a table of names.

The engine folds its own dtypes. For all others, and for what it lacks, a
reduction is three functions of blocks: of a block, of several partial results,
and of the last ones.
"""

from __future__ import annotations

import builtins
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from oxidask import _oxidask, config
from oxidask.array._generic import block_numbers, is_unknown, join, position_of, table
from oxidask.array._meta import compute_meta, meta_from_array, quiet
from oxidask.array.blockwise import blockwise
from oxidask.array.convert import asanyarray
from oxidask.array.core import Array, _into, _split_every, _wrap, native
from oxidask.array.percentiles import METHODS, of_all
from oxidask.array.shaping import axes_of, axis_of

#: Partial results that one task combines, where no one says otherwise.
SPLIT_EVERY = 4


class Group:
    """Joins the partial results of a group and calls a function with them."""

    def __init__(
        self, func: Callable[..., Any], numblocks: Sequence[int], groups: Sequence[int], *, concatenate: bool
    ) -> None:
        self.func, self.numblocks, self.groups, self.concatenate = func, numblocks, groups, concatenate
        self.made = [math.ceil(n / k) for n, k in zip(numblocks, groups, strict=True)]
        self.__name__ = getattr(func, "__name__", "aggregate")

    def __call__(self, *args: Any) -> Any:
        *blocks, number = args
        at = position_of(number, self.made)
        counts = [builtins.min(k, n - i * k) for i, k, n in zip(at, self.groups, self.numblocks, strict=True)]
        return self.func(self._nested(blocks, counts))

    def _nested(self, blocks: list[Any], counts: list[int]) -> Any:
        if not counts:
            return blocks[0]
        if self.concatenate:
            for axis in reversed(range(len(counts))):
                n = counts[axis]
                if n > 1:
                    blocks = [join(blocks[i : i + n], axis) for i in range(0, len(blocks), n)]
            return blocks[0]
        nested: list[Any] = blocks
        for n in reversed(counts):
            nested = [nested[i : i + n] for i in range(0, len(nested), n)]
        return nested[0]


class OfBlock:
    """Calls the first function of a reduction with a block, and its weights if there are some."""

    def __init__(self, func: Callable[..., Any], kwargs: dict[str, Any]) -> None:
        self.func, self.kwargs = func, kwargs
        self.__name__ = getattr(func, "__name__", "chunk")

    def __call__(self, block: Any, weights: Any = None) -> Any:
        if weights is None:
            return self.func(block, **self.kwargs)
        return self.func(block, weights, **self.kwargs)


def _groups(split_every: Any, axes: tuple[int, ...], ndim: int) -> list[int]:
    """How many partial results are combined along each axis."""
    if split_every is None or split_every is True:
        split_every = config.get("split_every", None) or SPLIT_EVERY
    made = [1] * ndim
    if isinstance(split_every, dict):
        for axis in axes:
            made[axis] = builtins.max(2, split_every.get(axis, 2))
    elif split_every is False:
        for axis in axes:
            made[axis] = 2**31
    elif isinstance(split_every, int | np.integer):
        each = builtins.max(int(split_every ** (1 / (len(axes) or 1))), 2)
        for axis in axes:
            made[axis] = each
    else:
        raise ValueError(f"split_every must be an integer, a dict by axis, False or None, not {split_every!r}")
    return made


def reduction(
    x: Any,
    chunk: Callable[..., Any],
    aggregate: Callable[..., Any],
    axis: Any = None,
    keepdims: bool = False,
    dtype: Any = None,
    split_every: Any = None,
    combine: Callable[..., Any] | None = None,
    name: str | None = None,
    out: Any = None,
    concatenate: bool = True,
    output_size: Any = 1,
    meta: Any = None,
    weights: Any = None,
) -> Array:
    """A reduction by functions of blocks.

    Parameters
    ----------
    x : array_like
    chunk : callable
        ``chunk(block, axis, keepdims)``, or with the block of weights second.
    aggregate : callable
        ``aggregate(partial, axis, keepdims)`` makes the result of the last
        partial results.
    axis : int or tuple of int, optional
        All by default.
    keepdims : bool
        Whether reduced axes stay, at length one.
    dtype : dtype, optional
        Of the result.
    split_every : int or dict, optional
        How many partial results one task combines, in all or by axis.
    combine : callable, optional
        Makes one partial result of several; ``aggregate`` by default.
    name : str, optional
    out : Array, optional
        Takes the result.
    concatenate : bool
        Whether partial results are joined; otherwise they come as nested lists.
    output_size : int
        The length of reduced axes that stay.
    meta : array, optional
        An empty block of the result.
    weights : array_like, optional
        Broadcast against ``x``.

    Returns
    -------
    Array

    Examples
    --------
    >>> import oxidask.array as da
    >>> reduction(da.arange(6, chunks=2), np.sum, np.sum, dtype=int).compute()
    np.int64(15)
    """
    from oxidask.array.shaping import broadcast_to
    from oxidask.tokenize import tokenize

    x = asanyarray(x)
    axes = axes_of(axis, x.ndim)
    x = _without_empty_chunks(x, axes)
    extra: dict[str, Any] = {}
    if dtype is not None and _takes(chunk, "dtype"):
        extra["dtype"] = dtype
    of_block = OfBlock(chunk, {"axis": axes, "keepdims": True, **extra})
    ind = tuple(range(x.ndim))
    args: list[Any] = [x, ind]
    if weights is not None:
        weights = broadcast_to(asanyarray(weights), x.shape)
        args += [weights if _has_nan(x) else weights.rechunk(x.chunks), ind]
    label = (name or getattr(chunk, "__name__", "reduction")).split("-")[0]
    kind = _meta_of_partial(of_block, x, weights)
    # Sizes of partial results along reduced axes are known to nobody but the functions.
    adjust = {i: _one for i in axes}
    token = tokenize(chunk, aggregate, combine, axes, keepdims, dtype, concatenate, output_size)
    first = (
        blockwise(of_block, ind, *args, adjust_chunks=adjust, meta=kind, token=f"{label}-chunk", name=None)
        if x.ndim
        else _scalar(of_block, x, kind, weights)
    )
    current = first
    groups = _groups(split_every, axes, x.ndim)
    step = OfBlock(combine or aggregate, {"axis": axes, "keepdims": True})
    while math.prod(math.ceil(n / k) for n, k in zip(current.numblocks, groups, strict=True)) > math.prod(
        n for a, n in enumerate(current.numblocks) if a not in axes
    ):
        current = _round(current, step, groups, concatenate, f"{label}-partial", token)
    last_kwargs: dict[str, Any] = {"axis": axes, "keepdims": keepdims}
    if dtype is not None and _takes(aggregate, "dtype"):
        last_kwargs["dtype"] = dtype
    last = OfBlock(aggregate, last_kwargs)
    final_groups = [n if a in axes else 1 for a, n in enumerate(current.numblocks)]
    chunks = [(output_size,) if a in axes else current.chunks[a] for a in range(x.ndim)]
    if not keepdims:
        chunks = [c for a, c in enumerate(chunks) if a not in axes]
    if meta is None:
        meta = _meta_of_result(last, kind, concatenate, x, chunk, axes, keepdims, dtype)
    meta = meta_from_array(meta, len(chunks), dtype)
    made = _round(current, last, final_groups, concatenate, label, token, tuple(chunks), meta)
    return _into(out, made)  # type: ignore[no-any-return]


def _without_empty_chunks(x: Array, axes: tuple[int, ...]) -> Array:
    """The array without chunks of length zero along these axes, of which extremes have no value."""
    chunks = tuple(
        (tuple(n for n in sizes if n != 0) or sizes[:1]) if a in axes else sizes for a, sizes in enumerate(x.chunks)
    )
    return x if [*map(len, chunks)] == [*map(len, x.chunks)] else x.rechunk(chunks)


def _has_nan(x: Array) -> bool:
    return builtins.any(is_unknown(n) for n in x.shape)


def _one(size: Any) -> int:
    del size
    return 1


def _scalar(of_block: Any, x: Array, kind: Any, weights: Any) -> Array:
    reads = np.array([[[0, 0]]])
    inputs = [x]
    if weights is not None:
        reads, inputs = np.array([[[0, 0], [1, 0]]]), [x, weights]
    return table(of_block, "chunk", "scalar-chunk", inputs, reads, (), kind)  # type: ignore[no-any-return]


def _takes(func: Callable[..., Any], name: str) -> bool:
    import inspect

    if isinstance(func, np.ufunc):
        return name == "dtype"
    try:
        return name in inspect.signature(func).parameters
    except (TypeError, ValueError):
        return False


def _meta_of_partial(of_block: OfBlock, x: Array, weights: Any) -> Any:
    """The kind of partial results: objects, unless they are plain arrays."""
    found = compute_meta(of_block, None, x, *(() if weights is None else (weights,)))
    if found is not None and found.ndim == x.ndim and isinstance(found, np.ma.MaskedArray):
        return found
    # An object array tells the engine to leave the partial results alone: they
    # may be dicts or of sizes that nobody announced.
    return np.empty((0,) * x.ndim, dtype=object)


def _meta_of_result(
    last: OfBlock, kind: Any, concatenate: bool, x: Array, chunk: Any, axes: Any, keepdims: bool, dtype: Any
) -> Any:
    if isinstance(kind, np.ma.MaskedArray):
        found = compute_meta(last, None, kind)
        if found is not None:
            return found
    with quiet():
        try:
            sample = np.ones((1,) * x.ndim, dtype=x.dtype)
            partial = chunk(sample, axis=axes, keepdims=True)
            if not concatenate:
                for _ in range(x.ndim):
                    partial = [partial]
            found = np.asanyarray(last(partial))
        except Exception:
            found = np.empty((0,), dtype=dtype or x.dtype)
    return found if dtype is None else np.empty((0,) * found.ndim, dtype=dtype)


def _round(
    x: Array,
    func: OfBlock,
    groups: Sequence[int],
    concatenate: bool,
    label: str,
    token: str,
    chunks: Any = None,
    meta: Any = None,
) -> Array:
    """Groups of partial results combined into one each."""
    groups = [builtins.min(k, n) for k, n in zip(groups, x.numblocks, strict=True)]
    numbers = block_numbers(x.numblocks)
    made = [math.ceil(n / k) for n, k in zip(x.numblocks, groups, strict=True)]
    padded = np.full([n * k for n, k in zip(made, groups, strict=True)], -1)
    padded[tuple(slice(n) for n in x.numblocks)] = numbers
    split = padded.reshape([m for pair in zip(made, groups, strict=True) for m in pair])
    n = len(groups)
    rows = split.transpose([*range(0, 2 * n, 2), *range(1, 2 * n, 2)]).reshape(math.prod(made), -1)
    reads: Any = np.stack([np.zeros_like(rows), rows], axis=-1)
    if (rows < 0).any():
        reads = [row[row[:, 1] >= 0] for row in reads]
    if chunks is None:
        chunks = tuple(x.chunks[a] if groups[a] == 1 else (1,) * made[a] for a in range(n))
        meta = x._meta
    group = Group(func, x.numblocks, groups, concatenate=concatenate)
    return table(group, label, f"{token}-{groups}", [x], reads, chunks, meta, passes_block=True)  # type: ignore[no-any-return]


# Partial results of the table: dicts are not needed, arrays with one axis more serve.


def _dtype_of(name: str, dtype: Any) -> Any:
    """The dtype that NumPy's reduction answers."""
    with quiet():
        return np.asarray(getattr(np, name)(np.ones((1,), dtype=dtype))).dtype


class Named:
    """A reduction of NumPy by its name."""

    def __init__(self, name: str, **kwargs: Any) -> None:
        self.__name__, self.kwargs = name, kwargs

    def __call__(self, block: Any, axis: Any = None, keepdims: bool = False) -> Any:
        func = getattr(
            np.ma if isinstance(block, np.ma.MaskedArray) and hasattr(np.ma, self.__name__) else np, self.__name__
        )
        if isinstance(block, np.ma.MaskedArray) and block.size == 0 and self.__name__ in ("min", "max"):
            return block.sum(axis=axis, keepdims=keepdims)
        if getattr(block, "size", 1) == 0 and self.__name__ in ("min", "max", "nanmin", "nanmax"):
            made = _nothing(block, axis)
            return made if keepdims else made.squeeze(axis=axis)
        with quiet():
            return func(block, axis=axis, keepdims=keepdims, **self.kwargs)


def _nothing(block: Any, axis: Any) -> Any:
    """What an empty block gives to an extreme: nothing, along an axis of length zero."""
    reduced = axis if isinstance(axis, tuple) else (axis,)
    if builtins.any(block.shape[a] == 0 for a in reduced):
        return block[
            tuple(
                slice(0, 0) if a == reduced[0] else slice(0, 1) if a in reduced else slice(None)
                for a in range(block.ndim)
            )
        ]
    return np.empty([1 if a in reduced else n for a, n in enumerate(block.shape)], block.dtype)


class Moments:
    """Counts, means and sums of squared differences of a block, in an array of objects' stead: a tuple."""

    def __init__(self, name: str, ddof: float, dtype: Any, order: int = 2) -> None:
        self.__name__, self.ddof, self.dtype, self.order = name, ddof, dtype, order
        self.skips = name.startswith("nan")

    def of_block(self, block: Any, axis: Any = None, keepdims: bool = True) -> Any:
        """The moments of a block."""
        kind = (
            np.dtype(self.dtype)
            if self.dtype is not None
            else np.result_type(block.dtype, np.float64 if block.dtype.kind in "biu" else block.dtype)
        )
        values = block.astype(kind)
        with quiet():
            if isinstance(values, np.ma.MaskedArray):
                count = values.count(axis=axis, keepdims=True).astype(float)
            elif self.skips:
                count = (~np.isnan(values)).sum(axis=axis, keepdims=True).astype(float)
            else:
                count = np.broadcast_to(
                    float(math.prod(block.shape[a] for a in axis)),
                    [1 if a in axis else n for a, n in enumerate(block.shape)],
                )
            total = (np.nansum if self.skips else np.sum)(values, axis=axis, keepdims=True)
            mean = total / np.where(count == 0, 1, count)
            gap = values - mean
            powers = []
            for k in range(2, self.order + 1):
                power = gap * np.conj(gap) if k == 2 and kind.kind == "c" else gap**k
                powers.append((np.nansum if self.skips else np.sum)(power, axis=axis, keepdims=True))
        return {"n": count, "mean": mean, "M": powers}

    def combine(self, parts: Any, axis: Any = None, keepdims: bool = True) -> Any:
        """One set of moments from nested lists of them."""
        flat = _flat(parts)
        n = builtins.sum(p["n"] for p in flat)
        safe = np.where(n == 0, 1, n)
        mean = builtins.sum(p["n"] * p["mean"] for p in flat) / safe
        powers = []
        for k in range(2, self.order + 1):
            total: Any = 0
            for p in flat:
                gap = p["mean"] - mean
                own = p["M"][k - 2] + p["n"] * (gap * np.conj(gap) if k == 2 and np.iscomplexobj(gap) else gap**k)
                for j in range(1, k - 1):
                    own = own + math.comb(k, j) * p["M"][k - j - 2] * gap**j
                total = total + own
            powers.append(total)
        return {"n": n, "mean": mean, "M": powers}

    def finish(self, parts: Any, axis: Any = None, keepdims: bool = False) -> Any:
        """The wanted moment."""
        whole = self.combine(parts)
        with quiet():
            n = whole["n"] - self.ddof
            if self.order == 2 and not self.__name__.endswith("moment"):
                result = np.true_divide(
                    whole["M"][0], np.where(n > 0, n, np.nan if not isinstance(whole["M"][0], np.ma.MaskedArray) else n)
                )
                result = np.where(n > 0, result, np.nan) if not isinstance(result, np.ma.MaskedArray) else result
                if np.iscomplexobj(result):
                    result = result.real
                if self.__name__.endswith("std"):
                    result = np.sqrt(result)
            else:
                result = whole["M"][self.order - 2] / n
            if self.dtype is not None:
                result = result.astype(self.dtype)
        return result if keepdims else result.squeeze(axis=axis)


def _flat(parts: Any) -> list[Any]:
    return [leaf for part in parts for leaf in _flat(part)] if isinstance(parts, list) else [parts]


class Mean:
    """Counts and sums of a block, for means."""

    def __init__(self, name: str, dtype: Any) -> None:
        self.__name__, self.dtype = name, dtype
        self.skips = name.startswith("nan")

    def of_block(self, block: Any, axis: Any = None, keepdims: bool = True) -> Any:
        """The count and sum of a block."""
        kind = self.dtype
        if kind is None and block.dtype.kind in "biu":
            kind = np.dtype(float)
        elif kind is None and block.dtype == np.float16:
            kind = np.dtype(np.float32)
        with quiet():
            if isinstance(block, np.ma.MaskedArray):
                n = block.count(axis=axis, keepdims=True)
            elif self.skips and block.dtype.kind in "fc":
                n = (~np.isnan(block)).sum(axis=axis, keepdims=True)
            else:
                n = math.prod(block.shape[a] for a in axis)
            total = (np.nansum if self.skips and block.dtype.kind in "fc" else np.sum)(
                block.view(np.int64) if block.dtype.kind in "mM" else block,
                axis=axis,
                keepdims=True,
                **({} if block.dtype.kind in "mMO" else {"dtype": kind}),
            )
        return {"n": n, "total": total, "dtype": block.dtype}

    def combine(self, parts: Any, axis: Any = None, keepdims: bool = True) -> Any:
        """One count and sum from nested lists of them."""
        flat = _flat(parts)
        total = flat[0]["total"]
        for part in flat[1:]:
            total = (
                np.ma.add(total.filled(0), part["total"].filled(0))
                if isinstance(total, np.ma.MaskedArray)
                else total + part["total"]
            )
        n = builtins.sum(p["n"] for p in flat)
        if isinstance(total, np.ma.MaskedArray):
            total = np.ma.array(total.filled(0), mask=n == 0)
        return {"n": n, "total": total, "dtype": flat[0]["dtype"]}

    def finish(self, parts: Any, axis: Any = None, keepdims: bool = False) -> Any:
        """The mean."""
        whole = self.combine(parts)
        with np.errstate(divide="ignore", invalid="ignore"):
            result = (
                np.divide(whole["total"], whole["n"])
                if whole["dtype"].kind not in "mM"
                else (whole["total"] // whole["n"]).astype(whole["dtype"])
            )
        kind = self.dtype or (np.float16 if whole["dtype"] == np.float16 else None)
        if kind is not None and result.dtype != kind:
            result = result.astype(kind)
        return result if keepdims else result.squeeze(axis=axis)


class Arg:
    """Positions of extremes, among blocks."""

    def __init__(self, name: str, axis: int | None, shape: Sequence[Any], chunks: Any) -> None:
        self.__name__, self.axis, self.shape = name, axis, shape
        # Where a single chunk begins is known even if its size is not.
        self.borders = [[0, *np.cumsum(sizes[:-1])] for sizes in chunks]
        self.numblocks = [len(sizes) for sizes in chunks]

    def of_block(self, block: Any, number: int) -> Any:
        """The extreme of a block and its position in the whole array."""
        at = position_of(number, self.numblocks)
        starts = [b[i] for b, i in zip(self.borders, at, strict=True)]
        if self.axis is not None:
            found = self._position(block, self.axis)
            found = np.expand_dims(np.asarray(found), self.axis)
            values = np.take_along_axis(np.ma.getdata(block), found, self.axis)
            hidden = (
                np.take_along_axis(np.ma.getmaskarray(block), found, self.axis)
                if isinstance(block, np.ma.MaskedArray)
                else None
            )
            return [(values, found + int(starts[self.axis]), hidden)]
        flat = int(self._position(block.ravel(), 0))
        if len(self.numblocks) == 1:
            return [(block[flat], np.asarray(flat + int(starts[0])), None)]
        local = np.unravel_index(flat, block.shape)
        whole = np.ravel_multi_index([p + int(s) for p, s in zip(local, starts, strict=True)], self.shape)
        return [(block[local], np.asarray(whole), None)]

    def _position(self, block: Any, axis: int) -> Any:
        name = self.__name__
        if block.shape[axis] == 0:
            raise ValueError(f"attempt to get {name} of an empty sequence")
        if name.startswith("nan") and block.dtype.kind in "fcO":
            # A slice of NaN alone is only an error if all blocks are so.
            gone = np.isnan(block)
            filled = np.where(gone, np.inf if name.endswith("min") else -np.inf, block)
            return getattr(np, name[3:])(filled, axis=axis)
        func = name[3:] if name.startswith("nan") else name
        return getattr(np.ma if isinstance(block, np.ma.MaskedArray) else np, func)(block, axis=axis)

    def combine(self, parts: Any, axis: Any = None, keepdims: bool = True) -> Any:
        """The extreme of several."""
        flat = [leaf for leaf in _flat(parts)]
        values, positions = np.stack([np.asarray(p[0]) for p in flat]), np.stack([np.asarray(p[1]) for p in flat])
        if builtins.any(p[2] is not None for p in flat):
            values = np.ma.array(values, mask=np.stack([p[2] for p in flat]))
        order = np.argsort(positions, axis=0, kind="stable")
        values, positions = np.take_along_axis(values, order, 0), np.take_along_axis(positions, order, 0)
        best = np.asarray(self._best(values))[None]
        pick = np.take_along_axis(np.ma.getdata(values), best, 0)[0], np.take_along_axis(positions, best, 0)[0]
        hidden = (
            np.take_along_axis(np.ma.getmaskarray(values), best, 0)[0]
            if isinstance(values, np.ma.MaskedArray)
            else None
        )
        return [(pick[0], pick[1], hidden)]

    def _best(self, values: Any) -> Any:
        name = self.__name__
        if name.startswith("nan") and values.dtype.kind in "fcO":
            gone = np.isnan(values)
            return getattr(np, name[3:])(np.where(gone, np.inf if name.endswith("min") else -np.inf, values), axis=0)
        func = name[3:] if name.startswith("nan") else name
        return getattr(np.ma if isinstance(values, np.ma.MaskedArray) else np, func)(values, axis=0)

    def finish(self, parts: Any, axis: Any = None, keepdims: bool = False) -> Any:
        """The position."""
        ((values, position, _),) = self.combine(parts)
        if self.__name__.startswith("nan") and np.asarray(values).dtype.kind == "f" and np.isnan(values).any():
            raise ValueError("All NaN slice encountered")
        if self.axis is None:
            return np.asarray(position).reshape((1,) * len(self.shape) if keepdims else ())
        return position if keepdims else position.squeeze(axis=self.axis)


def arg_reduction(
    x: Any, name: str, axis: Any = None, keepdims: bool = False, split_every: Any = None, out: Any = None
) -> Array:
    """Positions of extremes, through NumPy."""
    from oxidask.tokenize import tokenize

    x = asanyarray(x)
    axes = axes_of(axis, x.ndim)
    if axis is not None and (isinstance(axis, tuple | list) or not isinstance(axis, int | np.integer)):
        raise TypeError(f"{axis!r} is no axis here: use an integer, or None for all elements")
    if builtins.any(
        is_unknown(n) and (x.numblocks[a] > 1 or (axis is None and x.ndim > 1)) for a in axes for n in x.chunks[a]
    ):
        raise ValueError(
            f"positions cannot be told in an array with chunks of unknown lengths, shape {x.shape}"
            "\nhint: call compute_chunk_sizes() first"
        )
    x = _without_empty_chunks(x, axes)
    arg = Arg(name, None if axis is None else axes[0], x.shape, x.chunks)
    numbers = block_numbers(x.numblocks).ravel()
    reads = np.stack([np.zeros_like(numbers), numbers], axis=-1)[:, None, :]
    kind = np.empty((0,) * x.ndim, dtype=object)
    chunks = tuple((1,) * n if a in axes else x.chunks[a] for a, n in enumerate(x.numblocks))
    token = tokenize("arg", name, axis, keepdims)
    current = table(arg.of_block, f"{name}-chunk", token, [x], reads, chunks, kind, passes_block=True)
    groups = _groups(split_every, axes, x.ndim)
    step = OfBlock(arg.combine, {})
    while builtins.any(math.ceil(n / groups[a]) > 1 for a, n in enumerate(current.numblocks) if a in axes):
        current = _round(current, step, groups, False, f"{name}-partial", token)
    last = OfBlock(arg.finish, {"axis": axes, "keepdims": keepdims})
    final = [(1,) if a in axes else current.chunks[a] for a in range(x.ndim)]
    if not keepdims:
        final = [c for a, c in enumerate(final) if a not in axes]
    meta = np.empty((0,) * len(final), dtype=np.intp)
    made = _round(
        current,
        last,
        [n if a in axes else 1 for a, n in enumerate(current.numblocks)],
        False,
        name,
        token,
        tuple(final),
        meta,
    )
    return _into(out, made)  # type: ignore[no-any-return]


#: The reductions: what each answers, whether it takes a dtype, whether ddof, and
#: the reduction of partial results.
REDUCTIONS: dict[str, tuple[str, bool, bool, str]] = {
    "sum": ("The sum", True, False, "sum"),
    "prod": ("The product", True, False, "prod"),
    "mean": ("The mean", True, False, "mean"),
    "std": ("The standard deviation", True, True, "moments"),
    "var": ("The variance", True, True, "moments"),
    "min": ("The smallest element", False, False, "min"),
    "max": ("The largest element", False, False, "max"),
    "any": ("Whether any element is true", False, False, "any"),
    "all": ("Whether all elements are true", False, False, "all"),
    "argmin": ("The position of the smallest element", False, False, "arg"),
    "argmax": ("The position of the largest element", False, False, "arg"),
    "nansum": ("The sum of what is not NaN", True, False, "sum"),
    "nanprod": ("The product of what is not NaN", True, False, "prod"),
    "nanmean": ("The mean of what is not NaN", True, False, "mean"),
    "nanstd": ("The standard deviation of what is not NaN", True, True, "moments"),
    "nanvar": ("The variance of what is not NaN", True, True, "moments"),
    "nanmin": ("The smallest element that is not NaN", False, False, "nanmin"),
    "nanmax": ("The largest element that is not NaN", False, False, "nanmax"),
    "nanargmin": ("The position of the smallest element that is not NaN", False, False, "arg"),
    "nanargmax": ("The position of the largest element that is not NaN", False, False, "arg"),
    "count_nonzero": ("The number of elements that are not zero", False, False, "sum"),
}
#: Reductions of numbers, which NumPy refuses for spans of time or has other answers for.
_NOT_OF_SPANS = frozenset(["prod", "std", "var", "nansum", "nanprod", "nanmean", "nanstd", "nanvar"])
#: Reductions that no elements refuse, which chunks of unknown sizes may turn out to have.
_NOT_OF_NOTHING = frozenset(["min", "max", "nanmin", "nanmax", "argmin", "argmax"])
#: Which of them the engine has.
NATIVE = set(REDUCTIONS) - {"nanargmin", "nanargmax"}


def reduce(
    x: Any,
    name: str,
    axis: Any = None,
    keepdims: bool = False,
    dtype: Any = None,
    ddof: float = 0,
    split_every: Any = None,
    out: Any = None,
) -> Array:
    """A reduction of the table: the engine's where it can, else through NumPy."""
    x = asanyarray(x)
    if dtype is not None:
        dtype = np.dtype(dtype)
    if x.ndim == 0 and axis in (0, -1):
        raise np.exceptions.AxisError(axis, 0)
    axes = axes_of(axis, x.ndim)
    refused = (x.dtype.kind == "m" and name in _NOT_OF_SPANS) or (name in _NOT_OF_NOTHING and _has_nan(x))
    if native(x) and name in NATIVE and not refused:
        every = _split_every(split_every)
        if every is None and config.get("split_every", None):
            every = builtins.max(2, int(config.get("split_every")))
        if name not in ("argmin", "argmax") or not isinstance(axis, tuple | list):
            try:
                made = x._core.reduce(
                    name,
                    None if axis is None else list(axes),
                    bool(keepdims),
                    None if dtype is None else dtype.name,
                    float(ddof),
                    every,
                )
                return _into(out, _wrap(made))  # type: ignore[no-any-return]
            except TypeError:
                pass
    how = REDUCTIONS[name][3]
    if how == "arg":
        return arg_reduction(x, name, axis, keepdims, split_every, out)
    if name in ("min", "max", "nanmin", "nanmax") and builtins.any(x.shape[a] == 0 for a in axes):
        raise ValueError(f"{name} of no elements has no value")
    options: dict[str, Any] = {"axis": axes, "keepdims": keepdims, "split_every": split_every, "out": out, "name": name}
    if how == "moments":
        moments = Moments(name, ddof, dtype)
        with quiet():
            kind = dtype or np.asarray(getattr(np, name)(np.ones(1, dtype=x.dtype))).dtype
        return reduction(
            x,
            moments.of_block,
            moments.finish,
            combine=moments.combine,
            concatenate=False,
            meta=_result_meta(x, axes, keepdims, kind),
            **options,
        )
    if how == "mean":
        mean_of = Mean(name, dtype)
        with quiet():
            kind = (
                dtype
                or np.asarray(
                    getattr(np, name)(
                        np.ones(1, dtype=x.dtype) if x.dtype.kind != "M" else np.zeros(1, dtype="i8").view("m8[ns]")
                    )
                ).dtype
            )
        kind = x.dtype if x.dtype.kind == "M" else kind
        return reduction(
            x,
            mean_of.of_block,
            mean_of.finish,
            combine=mean_of.combine,
            concatenate=False,
            meta=_result_meta(x, axes, keepdims, kind),
            **options,
        )
    extra = {"dtype": dtype} if dtype is not None and REDUCTIONS[name][1] else {}
    if name == "count_nonzero":
        return reduction(
            x,
            CountNonzero(),
            Named("sum"),
            combine=Named("sum"),
            meta=_result_meta(x, axes, keepdims, np.dtype(np.intp)),
            **options,
        )
    with quiet():
        sample = np.ones(1, dtype=x.dtype) if x.dtype.kind not in "USO" else np.array(["1"]).astype(x.dtype)
        try:
            kind = np.asarray(getattr(np, name)(sample, **extra)).dtype
        except TypeError:
            if x.dtype.kind != "O":
                raise
            kind = x.dtype
    if x.dtype.kind == "O":
        kind = dtype or (np.dtype(object) if name not in ("any", "all") else kind)
    return reduction(
        x,
        Named(name, **extra),
        Named(how, **extra),
        combine=Named(how, **extra),
        meta=_result_meta(x, axes, keepdims, kind),
        **options,
    )


class CountNonzero:
    """Counts what is not zero, masked elements left out."""

    __name__ = "count_nonzero"

    def __call__(self, block: Any, axis: Any = None, keepdims: bool = False) -> Any:
        values = block.filled(0) if isinstance(block, np.ma.MaskedArray) else block
        return np.asarray(values.astype(bool)).sum(axis=axis, keepdims=keepdims, dtype=np.intp)


def _result_meta(x: Array, axes: tuple[int, ...], keepdims: bool, dtype: Any) -> Any:
    n = x.ndim if keepdims else x.ndim - len(axes)
    base = x._meta if isinstance(x._meta, np.ma.MaskedArray) else None
    return meta_from_array(base, n, np.dtype(dtype))


def _make(name: str) -> Callable[..., Array]:
    what, takes_dtype, takes_ddof, _ = REDUCTIONS[name]
    doc = f"""{what}, along one axis, several, or all; as :func:`numpy.{name}`.

    Parameters
    ----------
    axis : int or tuple of int, optional
        All by default.
    keepdims : bool
        Whether reduced axes stay, at length one.
    split_every : int or dict, optional
        How many blocks' partial results one task combines.
    out : Array, optional
        Takes the result.

    Returns
    -------
    Array

    Raises
    ------
    numpy.exceptions.AxisError
        If an axis is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> import oxidask.array as da
    >>> x = np.array([[1.0, 5.0], [4.0, 2.0]])
    >>> y = da.{name}(da.from_array(x, chunks=1), axis=0).compute()
    >>> bool(np.allclose(y, np.{name}(x, axis=0)))
    True
    """
    if takes_ddof:

        def function(a, axis=None, dtype=None, keepdims=False, ddof=0, split_every=None, out=None, *, correction=None):  # type: ignore[no-untyped-def]
            return reduce(a, name, axis, keepdims, dtype, ddof if correction is None else correction, split_every, out)

    elif takes_dtype:

        def function(a, axis=None, dtype=None, keepdims=False, split_every=None, out=None):  # type: ignore[no-untyped-def]
            return reduce(a, name, axis, keepdims, dtype, 0, split_every, out)

    else:

        def function(a, axis=None, keepdims=False, split_every=None, out=None):  # type: ignore[no-untyped-def]
            return reduce(a, name, axis, keepdims, None, 0, split_every, out)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    function.__module__ = __name__
    return function


for _name in REDUCTIONS:
    globals()[_name] = _make(_name)


def moment(
    a: Any,
    order: int,
    axis: Any = None,
    dtype: Any = None,
    keepdims: bool = False,
    ddof: float = 0,
    split_every: Any = None,
    out: Any = None,
) -> Array:
    """The central moment of some order.

    >>> moment([1.0, 2.0, 6.0], 2).compute().round(3)
    np.float64(4.667)
    """
    from oxidask.array.creation import ones, zeros

    a = asanyarray(a)
    if not isinstance(order, int | np.integer) or order < 0:
        raise ValueError("the order of a moment must be a whole number, 0 or more")
    axes = axes_of(axis, a.ndim)
    if order < 2:
        shape = (
            [1 if i in axes else n for i, n in enumerate(a.shape)]
            if keepdims
            else [n for i, n in enumerate(a.shape) if i not in axes]
        )
        return (ones if order == 0 else zeros)(tuple(shape), dtype=dtype or "f8")
    moments = Moments("moment", ddof, None if dtype is None else np.dtype(dtype), int(order))
    kind = dtype or np.result_type(a.dtype, np.float64 if a.dtype.kind in "biu" else a.dtype)
    return reduction(
        a,
        moments.of_block,
        moments.finish,
        combine=moments.combine,
        concatenate=False,
        axis=axes,
        keepdims=keepdims,
        split_every=split_every,
        out=out,
        name="moment",
        meta=_result_meta(a, axes, keepdims, kind),
    )


class Along:
    """A function of NumPy along one axis, of a whole chunk."""

    def __init__(self, name: str, axis: Any, **kwargs: Any) -> None:
        self.__name__, self.axis, self.kwargs = name, axis, kwargs

    def __call__(self, block: Any) -> Any:
        return getattr(np, self.__name__)(block, axis=self.axis, **self.kwargs)


def _whole_along(name: str, a: Any, axis: Any, keepdims: bool, out: Any, **kwargs: Any) -> Array:
    """A function that needs whole axes: they become one chunk each."""
    a = asanyarray(a)
    if axis is None and a.dtype.kind not in "bc":
        return _quantile(name.replace("median", "quantile"), a, 0.5, None, out, "linear", keepdims, None)
    axes = axes_of(axis, a.ndim)
    a = a.rechunk({i: -1 if i in axes else "auto" for i in range(a.ndim)})
    if len(axes) == 1 and native(a) and a.dtype.kind in "iuf":
        own = _wrap(_oxidask.array_quantiles(a._core, [0.5], axes[0], "mean", name == "nanmedian"))
        return _into(out, own if keepdims else own.squeeze(axes[0]))  # type: ignore[no-any-return]
    ind = tuple(range(a.ndim))
    made = blockwise(
        Along(name, axes, keepdims=True, **kwargs),
        ind,
        a,
        ind,
        adjust_chunks={i: 1 for i in axes},
        token=name,
        dtype=np.asarray(getattr(np, name)(np.ones(1, dtype=a.dtype), **kwargs)).dtype,
    )
    if not keepdims:
        made = made[tuple(0 if i in axes else slice(None) for i in range(a.ndim))]
    return _into(out, made)  # type: ignore[no-any-return]


def median(a: Any, axis: Any = None, keepdims: bool = False, out: Any = None) -> Array:
    """The median of all elements, or along axes, each of which becomes one chunk.

    >>> median([[1.0, 5.0, 3.0]], axis=1).compute()
    array([3.])
    """
    return _whole_along("median", a, axis, keepdims, out)


def nanmedian(a: Any, axis: Any = None, keepdims: bool = False, out: Any = None) -> Array:
    """The median of what is not NaN.

    >>> nanmedian([[1.0, float("nan"), 3.0]], axis=1).compute()
    array([2.])
    """
    return _whole_along("nanmedian", a, axis, keepdims, out)


def quantile(
    a: Any,
    q: Any,
    axis: Any = None,
    out: Any = None,
    overwrite_input: bool = False,
    method: str = "linear",
    keepdims: bool = False,
    *,
    weights: Any = None,
    interpolation: Any = None,
) -> Array:
    """Quantiles of all elements, or along axes, each of which becomes one chunk.

    Those of all elements are exact too, and need no more memory than their blocks.

    >>> quantile([[1.0, 2.0, 3.0]], 0.5, axis=1).compute()
    array([2.])
    """
    del overwrite_input
    return _quantile("quantile", a, q, axis, out, interpolation or method, keepdims, weights)


def nanquantile(
    a: Any,
    q: Any,
    axis: Any = None,
    out: Any = None,
    overwrite_input: bool = False,
    method: str = "linear",
    keepdims: bool = False,
    *,
    weights: Any = None,
    interpolation: Any = None,
) -> Array:
    """Quantiles of what is not NaN.

    >>> nanquantile([[1.0, float("nan"), 3.0]], 0.5, axis=1).compute()
    array([2.])
    """
    del overwrite_input
    return _quantile("nanquantile", a, q, axis, out, interpolation or method, keepdims, weights)


def _quantile(name: str, a: Any, q: Any, axis: Any, out: Any, method: str, keepdims: bool, weights: Any) -> Array:
    a = asanyarray(a)
    if weights is None and method in METHODS and (axis is None or a.ndim == 1):
        axes_of(axis, a.ndim)  # Says what is wrong with it.
        made = of_all(a, q, method, skips=name.startswith("nan"), label=name)
        return _into(out, made.reshape(np.shape(q) + (1,) * (keepdims * a.ndim)))  # type: ignore[no-any-return]
    axes = axes_of(axis, a.ndim)
    a = a.rechunk({i: -1 if i in axes else "auto" for i in range(a.ndim)})
    points = np.asarray(q)
    own = tuple(range(a.ndim))
    kept = tuple(i for i in own if i not in axes)
    extra = tuple(("q", i) for i in range(points.ndim))
    out_ind = (*extra, *(own if keepdims else kept))
    kwargs: dict[str, Any] = {"method": method, "keepdims": keepdims}
    if weights is not None:
        kwargs["weights"] = np.asarray(weights)
    with quiet():
        # Python's own number does not widen the result.
        given = q if isinstance(q, int | float) else points
        dtype = np.asarray(getattr(np, name)(np.ones(1, dtype=a.dtype), given, method=method)).dtype
    exact = _native_quantiles(name, a, points, axes, dtype, method) if weights is None else None
    if exact is not None:
        return _into(out, _with_points(exact, axes, points, keepdims))  # type: ignore[no-any-return]
    made = blockwise(
        Quantile(name, given, axes, kwargs),
        out_ind,
        a,
        own,
        dtype=dtype,
        concatenate=True,
        token=name,
        new_axes=dict(zip(extra, points.shape, strict=True)),
        adjust_chunks={i: 1 for i in axes} if keepdims else None,
        meta=np.empty((0,) * len(out_ind), dtype),
    )
    return _into(out, made)  # type: ignore[no-any-return]


#: Methods whose quantiles are elements.
_OF_ELEMENTS = ("lower", "higher", "nearest", "inverted_cdf")


def _native_quantiles(
    name: str, a: Array, points: np.ndarray, axes: tuple[int, ...], dtype: Any, method: str
) -> Array | None:
    """The quantiles by the engine, their axis in the place of the reduced one; None where NumPy's differ."""
    if len(axes) != 1 or not native(a) or points.ndim > 1 or not points.size or a.dtype.kind not in "iuf":
        return None
    if a.dtype.kind != "f" and (method in _OF_ELEMENTS or a.dtype.itemsize > 4):
        # Whole numbers stay whole, and may be too large for floats.
        return None
    if not ((points >= 0) & (points <= 1)).all():
        return None
    try:
        core = a._core.astype(np.dtype(dtype).name)
        made = _oxidask.array_quantiles(core, points.ravel().tolist(), axes[0], method, name == "nanquantile")
    except (NotImplementedError, TypeError):
        return None
    return _wrap(made)


def _with_points(made: Array, axes: tuple[int, ...], points: np.ndarray, keepdims: bool) -> Array:
    """Quantiles with their axis where NumPy has it: before all others, or none for a single one."""
    (axis,) = axes
    if points.ndim == 0:
        return made if keepdims else made.squeeze(axis)
    moved = made.transpose((axis, *(a for a in range(made.ndim) if a != axis)))
    return moved[(slice(None),) * (axis + 1) + (None,)] if keepdims else moved


class Quantile:
    """Quantiles of a chunk that is whole along axes."""

    def __init__(self, name: str, q: Any, axes: tuple[int, ...], kwargs: dict[str, Any]) -> None:
        self.__name__, self.q, self.axes, self.kwargs = name, q, axes, kwargs

    def __call__(self, block: Any) -> Any:
        # The axes become one, the last: NumPy takes weights of one axis only, and of
        # the last one surely.
        options = dict(self.kwargs)
        keepdims, weights = options.pop("keepdims"), options.pop("weights", None)
        n = len(self.axes)
        moved = np.moveaxis(block, self.axes, range(-n, 0))
        lead = moved.shape[: moved.ndim - n]
        flat = moved.reshape((*lead, math.prod(moved.shape[moved.ndim - n :])))
        if weights is not None:
            if weights.ndim == block.ndim:
                weights = np.moveaxis(weights, self.axes, range(-n, 0)).reshape(flat.shape)
            elif weights.ndim == 1:
                weights = np.broadcast_to(weights, flat.shape)
            options["weights"] = weights
        made = getattr(np, self.__name__)(flat, self.q, axis=-1, **options)
        if not keepdims:
            return made
        before = np.ndim(self.q)
        return np.expand_dims(made, tuple(a + before for a in self.axes))


__all__ = [*REDUCTIONS, "median", "moment", "nanmedian", "nanquantile", "quantile", "reduction"]
_ = axis_of

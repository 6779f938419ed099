"""A function of blocks, lined up by names of axes.

:func:`blockwise` is what elementwise functions, products, generalised ufuncs and
``map_blocks`` are made of where the engine has no kernel of its own.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from oxidask.array._generic import Chunks, block_numbers, empty_block, is_unknown, join, position_of, table
from oxidask.array._meta import compute_meta, result_of_ones
from oxidask.array.core import Array, asanyarray
from oxidask.base import is_dask_collection

__all__ = ["blockwise", "elemwise", "unify_chunks"]


class Literal:
    """An argument that is the same for all blocks."""

    def __init__(self, value: Any) -> None:
        self.value = value


class BlockArg:
    """An argument that is a block, or blocks nested by the axes that are summed over."""

    def __init__(self, contracted: tuple[int, ...], axes: tuple[int, ...]) -> None:
        #: How many blocks there are along each contracted axis, and which axes
        #: of the argument these are.
        self.contracted, self.axes = contracted, axes

    def __len__(self) -> int:
        return math.prod(self.contracted)

    def take(self, blocks: Any, *, concatenate: bool) -> Any:
        """The argument, from an iterator over all blocks."""
        own = [next(blocks) for _ in range(len(self))]
        if not self.contracted:
            return own[0]
        if concatenate:
            for axis, count in zip(reversed(self.axes), reversed(self.contracted), strict=True):
                own = [join(own[at : at + count], axis) if count > 1 else own[at] for at in range(0, len(own), count)]
            return own[0]
        for count in reversed(self.contracted):
            own = [own[at : at + count] for at in range(0, len(own), count)]
        return own[0]


class LazyArg:
    """A lazy argument that is whole wherever it goes."""

    def take(self, blocks: Any, *, concatenate: bool) -> Any:
        del concatenate
        return next(blocks)


class BlockFunction:
    """Calls a user's function with blocks in their places among its arguments."""

    def __init__(
        self,
        func: Callable[..., Any],
        args: list[Any],
        kwargs: dict[str, Any],
        *,
        concatenate: bool = True,
        place: Callable[[int], dict[str, Any]] | None = None,
        ndim: int | None = None,
    ) -> None:
        self.func, self.args, self.kwargs = func, args, kwargs
        self.concatenate, self.place, self.ndim = concatenate, place, ndim
        self.__name__ = getattr(func, "__name__", type(func).__name__)

    def __call__(self, *blocks: Any) -> Any:
        extra: dict[str, Any] = {}
        if self.place is not None:
            *inputs, number = blocks
            blocks, extra = tuple(inputs), self.place(number)
        stream = iter(blocks)
        args = [
            arg.value if isinstance(arg, Literal) else arg.take(stream, concatenate=self.concatenate)
            for arg in self.args
        ]
        kwargs = {
            name: arg.value if isinstance(arg, Literal) else arg.take(stream, concatenate=self.concatenate)
            for name, arg in self.kwargs.items()
        }
        result = self.func(*args, **kwargs, **extra)
        if self.ndim is not None and getattr(result, "ndim", 0) != self.ndim:
            raise ValueError(
                f"{self.func} answered an array of {getattr(result, 'ndim', 0)} axes, "
                f"where its index promises {self.ndim}"
            )
        return result


def common_chunks(sizes: Sequence[tuple[Any, ...]]) -> tuple[Any, ...]:
    """The coarsest chunks of one axis whose borders include all given ones."""
    distinct = list(dict.fromkeys(sizes))
    many = [s for s in distinct if s != (1,)] or distinct
    if len(many) == 1:
        return many[0]
    if any(is_unknown(n) for s in many for n in s):
        counts = {len(s) for s in many}
        if len(counts) > 1:
            raise ValueError(
                f"chunks of unknown sizes cannot be matched with others: {many}\nhint: call compute_chunk_sizes() first"
            )
        return next((s for s in many if not any(is_unknown(n) for n in s)), many[0])
    lengths = {sum(s) for s in many}
    if len(lengths) > 1:
        raise ValueError(f"axes that share an index differ in length: {sorted(lengths)}")
    borders = sorted({b for s in many for b in itertools.accumulate(s)})
    return tuple(b - a for a, b in zip([0, *borders[:-1]], borders, strict=True)) or (0,)


def unify_chunks(*args: Any, **kwargs: Any) -> tuple[dict[Any, tuple[Any, ...]], list[Any]]:
    """Arrays with the same chunks along axes of the same name.

    Parameters
    ----------
    *args : pairs of Array and index
        An index is a sequence of hashable names, one an axis; None for an
        argument that is no array.

    Returns
    -------
    dict, list
        The chunks of every name, and the arrays.

    Examples
    --------
    >>> import oxidask.array as da
    >>> chunks, _ = unify_chunks(da.ones(10, chunks=5), "i", da.ones(10, chunks=4), "i")
    >>> chunks
    {'i': (4, 1, 3, 2)}
    """
    del kwargs
    if not args:
        return {}, []
    pairs = [(asanyarray(a) if ind is not None else a, ind) for a, ind in _pairs(args)]
    for a, ind in pairs:
        if ind is not None and len(ind) != a.ndim:
            raise ValueError(
                f"the index {tuple(ind)} does not fit its array: it names {len(ind)} axes "
                f"and the array has shape {a.shape}"
            )
    sizes: dict[Any, list[tuple[Any, ...]]] = {}
    for a, ind in pairs:
        for name, axis in zip(ind or (), a.chunks if ind is not None else (), strict=True):
            sizes.setdefault(name, []).append(axis)
    chunks = {name: common_chunks(wanted) for name, wanted in sizes.items()}
    arrays = []
    for a, ind in pairs:
        if ind is not None:
            wanted = tuple(
                chunks[name] if not (own == (1,) and chunks[name] != (1,)) else own
                for name, own in zip(ind, a.chunks, strict=True)
            )
            if not _same_chunks(wanted, a.chunks):
                a = a.rechunk(wanted)
        arrays.append(a)
    return chunks, arrays


def _same_chunks(a: Chunks, b: Chunks) -> bool:
    return all(
        len(x) == len(y) and all(m == n or is_unknown(m) or is_unknown(n) for m, n in zip(x, y, strict=True))
        for x, y in zip(a, b, strict=True)
    )


def _pairs(args: Sequence[Any]) -> list[tuple[Any, Any]]:
    if len(args) % 2:
        raise ValueError("arguments come in pairs of an array and its index")
    return [(a, None if ind is None else tuple(ind)) for a, ind in zip(args[::2], args[1::2], strict=True)]


def _numbers_along(array: Array, ind: tuple[Any, ...], order: Sequence[Any], numblocks: dict[Any, int]) -> np.ndarray:
    """The block of the array for every position along the axes ``order``."""
    numbers = block_numbers(array.numblocks)
    present = [name for name in order if name in ind]
    first = [ind.index(name) for name in present]
    # An axis that is named twice moves along the diagonal.
    if len(set(ind)) != len(ind):
        letters = {name: i for i, name in enumerate(dict.fromkeys(ind))}
        numbers = np.einsum(numbers, [letters[n] for n in ind], [letters[n] for n in present])
    else:
        numbers = numbers.transpose(first)
    shape = iter(numbers.shape)
    numbers = numbers.reshape([next(shape) if name in ind else 1 for name in order])
    return np.broadcast_to(numbers, [numblocks[name] if name in ind else 1 for name in order])


def blockwise(
    func: Callable[..., Any],
    out_ind: Any,
    *args: Any,
    name: str | None = None,
    token: str | None = None,
    dtype: Any = None,
    adjust_chunks: dict[Any, Any] | None = None,
    new_axes: dict[Any, Any] | None = None,
    align_arrays: bool = True,
    concatenate: bool | None = None,
    meta: Any = None,
    _place: Any = None,
    _ndim: int | None = None,
    **kwargs: Any,
) -> Array:
    """A function of blocks, lined up by names of axes.

    Parameters
    ----------
    func : callable
        Gets blocks (views of them, read-only) and answers a block.
    out_ind : sequence of hashable
        The names of the result's axes.
    *args : pairs of Array and index, or of any object and None
        Names that ``out_ind`` lacks are summed over: the function gets all
        blocks along them, in nested lists, or joined with ``concatenate``.
    name, token : str, optional
        The name of the result, or how it begins.
    dtype : dtype, optional
        Of the result; found by calling the function on empty arrays otherwise.
    adjust_chunks : dict, optional
        For names of axes whose sizes the function changes: a size, sizes, or a
        function from old to new size.
    new_axes : dict, optional
        For names that no argument has: the size, or sizes of the blocks.
    align_arrays : bool
        Whether to give axes of the same name the same chunks.
    concatenate : bool, optional
        Whether blocks along names that are summed over are joined.
    meta : array, optional
        An empty block of the result.
    **kwargs
        Passed to the function; lazy ones are computed first.

    Returns
    -------
    Array

    Raises
    ------
    ValueError
        If lengths along a name differ, or an index does not fit its array.

    Examples
    --------
    >>> import operator
    >>> import oxidask.array as da
    >>> x, y = da.arange(2, chunks=1), da.arange(3, chunks=2)
    >>> blockwise(np.multiply.outer, "ij", x, "i", y, "j", dtype=int).compute()
    array([[0, 0, 0],
           [0, 1, 2]])
    """
    out = tuple(out_ind)
    new_axes = dict(new_axes or {})
    repeated = [axis for axis in set(out) if out.count(axis) > 1]
    if repeated:
        raise ValueError(f"the index of the result names axes twice: {repeated}")
    missing = set(out) - {i for _, ind in _pairs(args) if ind is not None for i in ind} - set(new_axes)
    if missing:
        raise ValueError(f"the index of the result names axes of no argument: {sorted(map(str, missing))}")
    for axis in new_axes:
        if axis not in out:
            raise ValueError(f"new axis {axis!r} is not an axis of the result")
    if align_arrays:
        chunks, arrays = unify_chunks(*args)
    else:
        arrays = [asanyarray(a) if ind is not None else a for a, ind in _pairs(args)]
        chunks = {}
        for a, (_, ind) in zip(arrays, _pairs(args), strict=True):
            for axis, sizes in zip(ind or (), a.chunks if ind is not None else (), strict=True):
                known = chunks.get(axis)
                if known is None or len(sizes) > len(known) or (len(sizes) == len(known) and sum(sizes) > sum(known)):
                    chunks[axis] = sizes
    indices = [ind for _, ind in _pairs(args)]
    for axis, sizes in new_axes.items():
        chunks[axis] = tuple(sizes) if isinstance(sizes, tuple | list) else (sizes,)
    numblocks = {axis: len(sizes) for axis, sizes in chunks.items()}
    template, inputs, columns = _laid_out(arrays, indices, out, numblocks)
    named = {}
    for key, value in kwargs.items():
        named[key] = _whole(value, inputs, columns, math.prod(numblocks[i] for i in out))
    if meta is None:
        meta = _announced(func, arrays, indices, kwargs, dtype, len(out), concatenate, _place)
    else:
        meta = empty_block(meta, len(out), dtype)
    result_chunks = _adjusted(tuple(chunks[i] for i in out), out, adjust_chunks or {})
    function = BlockFunction(func, template, named, concatenate=bool(concatenate), place=_place, ndim=_ndim)
    n_out = math.prod(numblocks[i] for i in out)
    reads = np.concatenate(columns, axis=1) if columns else np.empty((n_out, 0, 2), np.int64)
    from oxidask.tokenize import tokenize

    key = name or tokenize(func, out, [a for a in arrays if not isinstance(a, Array)], indices, kwargs, dtype, _place)
    label = token or (None if name is None else name.rsplit("-", 1)[0]) or _label(func)
    made = table(function, label, key, inputs, reads, result_chunks, meta, passes_block=_place is not None)
    return made._named(name)


def _label(func: Any) -> str:
    name = getattr(func, "__name__", None) or type(func).__name__
    return str(name).strip("_") if name != "<lambda>" else "lambda"


def _whole(value: Any, inputs: list[Any], columns: list[np.ndarray], n_out: int) -> Any:
    """A lazy object as an input that every block reads whole; others as they are."""
    lazy = value
    if not is_dask_collection(value):
        if not (type(value) in (list, tuple, dict, set) and _holds_lazy(value)):
            return Literal(value)
        from oxidask import delayed

        lazy = delayed(value)
    elif isinstance(value, Array) and value.npartitions > 1:
        from oxidask import delayed

        lazy = delayed(np.asanyarray, pure=True)(value)
    columns.append(np.broadcast_to(np.array([len(inputs), 0]), (n_out, 1, 2)))
    inputs.append(lazy)
    return LazyArg()


def _holds_lazy(value: Any) -> bool:
    items = value.values() if isinstance(value, dict) else value
    return any(is_dask_collection(x) or (type(x) in (list, tuple, dict, set) and _holds_lazy(x)) for x in items)


def _laid_out(
    arrays: Sequence[Any], indices: Sequence[Any], out: tuple[Any, ...], numblocks: dict[Any, int]
) -> tuple[list[Any], list[Any], list[np.ndarray]]:
    """The arguments, what they read, and the columns of the table of reads."""
    template: list[Any] = []
    inputs: list[Any] = []
    columns: list[np.ndarray] = []
    n_out = math.prod(numblocks[i] for i in out)
    for array, ind in zip(arrays, indices, strict=True):
        if ind is None:
            template.append(_whole(array, inputs, columns, n_out))
            continue
        contracted = tuple(dict.fromkeys(name for name in ind if name not in out))
        numbers = _numbers_along(array, ind, (*out, *contracted), numblocks)
        numbers = np.broadcast_to(numbers, [numblocks[name] for name in (*out, *contracted)])
        numbers = numbers.reshape(n_out, -1)
        columns.append(np.stack([np.full_like(numbers, len(inputs)), numbers], axis=-1))
        inputs.append(array)
        template.append(
            BlockArg(tuple(numblocks[name] for name in contracted), tuple(ind.index(name) for name in contracted))
        )
    return template, inputs, columns


def _announced(
    func: Any, arrays: Any, indices: Any, kwargs: Any, dtype: Any, ndim: int, concatenate: Any, place: Any
) -> Any:
    """An empty block of the result."""
    contracts = any(ind is not None for ind in indices)
    metas = [a._meta if isinstance(a, Array) and ind is not None else a for a, ind in zip(arrays, indices, strict=True)]
    extra = place(0) if place is not None else {}
    found = None
    if contracts or arrays or kwargs:
        found = compute_meta(func, None, *metas, **kwargs, **extra)
    if found is None and dtype is None:
        found = result_of_ones(func, arrays, {**kwargs, **extra}, "blockwise" if place is None else "map_blocks")
        found = np.asanyarray(found) if not hasattr(found, "ndim") else found
    if found is None:
        samples = [a for a, ind in zip(arrays, indices, strict=True) if ind is not None]
        found = samples[0]._meta if samples and type(samples[0]._meta) is np.ndarray else None
        if found is None and samples:
            found = samples[0]._meta
    return empty_block(found, ndim, None if dtype is None else np.dtype(dtype))


def _adjusted(chunks: Chunks, out: tuple[Any, ...], adjust: dict[Any, Any]) -> Chunks:
    """The chunks of the result, where the function changes sizes."""
    made = list(chunks)
    for at, name in enumerate(out):
        if name not in adjust:
            continue
        wish = adjust[name]
        if callable(wish):
            made[at] = tuple(wish(size) for size in made[at])
        elif isinstance(wish, int | float | np.integer):
            made[at] = (wish,) * len(made[at])
        elif isinstance(wish, tuple | list):
            if len(wish) != len(made[at]):
                raise ValueError(
                    f"adjust_chunks gives {len(wish)} sizes for axis {at}, which has {len(made[at])} blocks"
                )
            made[at] = tuple(wish)
        else:
            raise NotImplementedError(
                f"adjust_chunks takes a function, a size, or a tuple of sizes for each axis, not {wish!r}"
            )
    return tuple(made)


def elemwise(
    op: Callable[..., Any],
    *args: Any,
    out: Any = None,
    where: Any = True,
    dtype: Any = None,
    name: Any = None,
    **kwargs: Any,
) -> Array:
    """A function of elements, on blocks of arrays that broadcast.

    Parameters
    ----------
    op : callable
        A function of NumPy arrays that keeps their shape.
    *args : array_like
    out : Array, optional
        Gets the result.
    where : array_like
        Where to call it; other elements are those of ``out``.
    dtype : dtype, optional

    Examples
    --------
    >>> import oxidask.array as da
    >>> elemwise(np.add, da.ones(3, chunks=2), 1).compute()
    array([2., 2., 2.])
    """
    from oxidask.array.core import _into

    args = tuple(np.asarray(a) if isinstance(a, list | tuple | memoryview) else a for a in args)
    shapes = [tuple(getattr(a, "shape", ())) for a in args]
    shapes = [s if isinstance(s, tuple) else () for s in shapes]
    n = max(map(len, shapes), default=0)
    broadcast_shape(*shapes)
    index = tuple(range(n))[::-1]
    pairs: list[Any] = []
    for a, shape in zip(args, shapes, strict=True):
        lazy = isinstance(a, Array) or (shape and not np.isscalar(a))
        pairs += [a, index[n - len(shape) :] if lazy else None]
    if where is not True:
        return _where(op, args, out, where, dtype, kwargs)
    if dtype is not None:
        kwargs["dtype"] = dtype
    made = blockwise(op, index, *pairs, dtype=kwargs.get("dtype"), name=name, **kwargs)
    return _into(out, made)


def _where(op: Any, args: Any, out: Any, where: Any, dtype: Any, kwargs: dict[str, Any]) -> Array:
    """A function of elements where a mask is true."""
    from oxidask.array.core import _into
    from oxidask.array.routines import broadcast_to, result_type  # noqa: F401

    def masked(mask: Any, base: Any, *operands: Any) -> Any:
        shape = np.broadcast_shapes(np.shape(mask), np.shape(base), *[np.shape(x) for x in operands])
        target = np.broadcast_to(np.asarray(base), shape).copy()
        return op(*operands, out=target, where=np.asarray(mask), casting="unsafe", **kwargs)

    meta = compute_meta(op, dtype, *args, **kwargs)
    kind = np.dtype(dtype or (meta.dtype if meta is not None else float))
    target = out[0] if isinstance(out, tuple) else out
    if target is None:
        from oxidask.array.creation import empty

        target = empty((), dtype=kind)
    return _into(out, elemwise(masked, where, target, *args, dtype=None).astype(kind))


def broadcast_shape(*shapes: Sequence[Any]) -> tuple[Any, ...]:
    """The shape that shapes broadcast to; unknown lengths stay unknown.

    >>> broadcast_shape((3, 1), (4,))
    (3, 4)
    """
    made = []
    for lengths in itertools.zip_longest(*[tuple(s)[::-1] for s in shapes], fillvalue=1):
        wide = {n for n in lengths if not is_unknown(n) and n != 1}
        if len(wide) > 1:
            named = " ".join(str(tuple(s)) for s in shapes)
            raise ValueError(f"operands could not be broadcast together with shapes {named}")
        made.append(wide.pop() if wide else (math.nan if any(is_unknown(n) for n in lengths) else 1))
    return tuple(made[::-1])


__all__ += ["broadcast_shape"]
_ = position_of

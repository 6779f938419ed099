"""The same elements in other shapes, orders, chunks and dtypes."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from oxidask import config
from oxidask.array._generic import has_unknown, is_native, is_unknown
from oxidask.array._info import check_device
from oxidask.array._meta import meta_from_array
from oxidask.array._select import outer, rechunked, split_positions
from oxidask.array.blockwise import blockwise, elemwise
from oxidask.array.convert import asanyarray, normalize_chunks
from oxidask.array.core import Array, _wrap, native

__all__ = [
    "broadcast_arrays",
    "broadcast_to",
    "expand_dims",
    "flip",
    "fliplr",
    "flipud",
    "matrix_transpose",
    "moveaxis",
    "ravel",
    "rechunk",
    "repeat",
    "reshape",
    "reshape_blockwise",
    "roll",
    "rollaxis",
    "rot90",
    "shuffle",
    "squeeze",
    "swapaxes",
    "tile",
    "transpose",
]


def axis_of(axis: Any, ndim: int) -> int:
    """An axis from zero.

    Raises
    ------
    numpy.exceptions.AxisError
        If it is out of range.
    """
    if not hasattr(axis, "__index__"):
        raise TypeError(f"{axis!r} is no axis: axes are integers")
    axis = operator.index(axis)
    if not -ndim <= axis < ndim:
        raise np.exceptions.AxisError(axis, ndim)
    return axis % ndim


def axes_of(axis: Any, ndim: int) -> tuple[int, ...]:
    """Axes from zero; all for None."""
    if axis is None:
        return tuple(range(ndim))
    made = tuple(axis_of(a, ndim) for a in (axis if isinstance(axis, tuple | list) else (axis,)))
    if len(set(made)) != len(made):
        raise ValueError(f"duplicate axes: {axis}")
    return made


def astype(x: Array, dtype: Any, *, copy: bool = True, device: Any = None, **kwargs: Any) -> Array:
    """The elements converted to another dtype.

    Floats beyond the range of an integer dtype become its nearest bound and
    NaN becomes 0, where NumPy leaves the result open.

    >>> import oxidask.array as da
    >>> da.arange(3, chunks=2).astype("f4").dtype
    dtype('float32')
    """
    # Nobody can write into the blocks of an array, so that a copy makes no difference.
    del copy
    check_device(device)
    extra = set(kwargs) - {"casting", "order"}
    if extra:
        raise TypeError(f"astype has no arguments named {sorted(extra)}")
    casting = kwargs.get("casting", "unsafe")
    dtype = np.dtype(dtype)
    if dtype == x.dtype:
        return x
    if not np.can_cast(x.dtype, dtype, casting=casting):
        raise TypeError(f"Cannot cast array from {x.dtype!r} to {dtype!r} according to the rule {casting!r}")
    if native(x) and is_native(dtype) and dtype.isnative:
        return _wrap(x._core.astype(dtype.name))
    return elemwise(AsType(dtype), x, meta=x._meta.astype(dtype))


class AsType:
    """Converts blocks to a dtype."""

    __name__ = "astype"

    def __init__(self, dtype: np.dtype) -> None:
        self.dtype = dtype

    def __call__(self, block: Any) -> Any:
        return block.astype(self.dtype)


def copy(x: Array) -> Array:
    """A second array of the same content."""
    return _wrap(x._core)._named(x._given)


def view(x: Array, dtype: Any = None, order: str = "C") -> Array:
    """The memory of the elements, read as another dtype.

    >>> import oxidask.array as da
    >>> da.ones(2, chunks=1).view("i8").compute()[0] == np.ones(1).view("i8")[0]
    np.True_
    """
    from oxidask.array.blocks import map_blocks

    dtype = x.dtype if dtype is None else np.dtype(dtype)
    ratio = x.dtype.itemsize / dtype.itemsize
    axis = -1 if order == "C" else 0
    if order not in ("C", "F"):
        raise ValueError("order must be C or F")
    chunks = list(x.chunks)
    if chunks:
        sizes = [size * ratio for size in chunks[axis]]
        if any(not is_unknown(s) and s != int(s) for s in sizes):
            raise ValueError(f"chunks {chunks[axis]} of {x.dtype} cannot be viewed as {dtype}")
        chunks[axis] = tuple(s if is_unknown(s) else int(s) for s in sizes)
    return map_blocks(
        View(dtype, order), x, dtype=dtype, chunks=tuple(chunks), meta=meta_from_array(x._meta, x.ndim, dtype)
    )


class View:
    """Reads the memory of blocks as another dtype."""

    __name__ = "view"

    def __init__(self, dtype: np.dtype, order: str) -> None:
        self.dtype, self.order = dtype, order

    def __call__(self, block: Any) -> Any:
        if self.order == "F":
            return np.asfortranarray(block).T.view(self.dtype).T
        return np.ascontiguousarray(block).view(self.dtype).reshape(self._shape(block))

    def _shape(self, block: Any) -> Any:
        if not block.ndim:
            return ()
        return (*block.shape[:-1], block.shape[-1] * block.dtype.itemsize // self.dtype.itemsize)


class Permute:
    """Puts the axes of blocks in another order."""

    __name__ = "transpose"

    def __init__(self, axes: Sequence[int]) -> None:
        self.axes = tuple(axes)

    def __call__(self, block: Any) -> Any:
        return block.transpose(self.axes)


def transpose(a: Any, axes: Any = None, *more: int) -> Array:
    """The array with its axes in another order; reversed by default.

    >>> transpose([[1, 2, 3]]).shape
    (3, 1)
    """
    a = asanyarray(a)
    if more or isinstance(axes, int | np.integer):
        axes = (axes, *more)
    if axes is None:
        order = tuple(range(a.ndim))[::-1]
    else:
        if len(axes) != a.ndim:
            raise ValueError(f"axes don't match array: {tuple(axes)} for shape {a.shape}")
        order = tuple(axis_of(axis, a.ndim) for axis in axes)
        if len(set(order)) != a.ndim:
            raise ValueError(f"repeated axis in transpose: {tuple(axes)}")
    if order == tuple(range(a.ndim)):
        return a
    if native(a):
        return _wrap(a._core.transpose(list(order)))
    return blockwise(Permute(order), order, a, tuple(range(a.ndim)), meta=a._meta.transpose(order), token="transpose")


def swapaxes(a: Any, axis1: int, axis2: int) -> Array:
    """The array with two axes exchanged.

    >>> import oxidask.array as da
    >>> swapaxes(da.ones((2, 3), chunks=1), 0, 1).shape
    (3, 2)
    """
    a = asanyarray(a)
    axis1, axis2 = axis_of(axis1, a.ndim), axis_of(axis2, a.ndim)
    axes = list(range(a.ndim))
    axes[axis1], axes[axis2] = axes[axis2], axes[axis1]
    return transpose(a, axes)


def matrix_transpose(x: Any) -> Array:
    """The array with its last two axes exchanged.

    >>> import oxidask.array as da
    >>> da.matrix_transpose([[1, 2, 3]]).shape
    (3, 1)
    """
    return swapaxes(x, -1, -2)


def moveaxis(a: Any, source: Any, destination: Any) -> Array:
    """Some axes moved to other places, the others in their order.

    >>> import oxidask.array as da
    >>> moveaxis(da.ones((2, 3, 4), chunks=2), 0, -1).shape
    (3, 4, 2)
    """
    a = asanyarray(a)
    sources, targets = axes_of(source, a.ndim), axes_of(destination, a.ndim)
    if len(sources) != len(targets):
        raise ValueError("moveaxis needs one destination for every source")
    order = [axis for axis in range(a.ndim) if axis not in sources]
    for target, axis in sorted(zip(targets, sources, strict=True)):
        order.insert(target, axis)
    return transpose(a, order)


def rollaxis(a: Any, axis: int, start: int = 0) -> Array:
    """One axis moved before another.

    >>> import oxidask.array as da
    >>> rollaxis(da.ones((2, 3, 4), chunks=2), 2).shape
    (4, 2, 3)
    """
    a = asanyarray(a)
    axis, start = axis_of(axis, a.ndim), start + a.ndim if start < 0 else start
    if not 0 <= start <= a.ndim:
        raise ValueError(f"start must be between 0 and {a.ndim}")
    return moveaxis(a, axis, start - 1 if axis < start else start)


def flip(m: Any, axis: Any = None) -> Array:
    """The elements in reverse order along some axes; all by default.

    >>> flip([1, 2, 3]).compute()
    array([3, 2, 1])
    """
    m = asanyarray(m)
    try:
        chosen = axes_of(axis, m.ndim)
    except np.exceptions.AxisError as error:
        raise ValueError(f"`axis` of {axis} invalid for {m.ndim}-D array") from error
    return m[tuple(slice(None, None, -1) if a in chosen else slice(None) for a in range(m.ndim))]


def flipud(m: Any) -> Array:
    """The rows in reverse order.

    >>> flipud([[1], [2]]).compute().tolist()
    [[2], [1]]
    """
    return flip(m, 0)


def fliplr(m: Any) -> Array:
    """The columns in reverse order.

    >>> fliplr([[1, 2]]).compute().tolist()
    [[2, 1]]
    """
    return flip(m, 1)


def rot90(m: Any, k: int = 1, axes: Any = (0, 1)) -> Array:
    """Turned by right angles in the plane of two axes.

    >>> rot90([[1, 2], [3, 4]]).compute().tolist()
    [[2, 4], [1, 3]]
    """
    m = asanyarray(m)
    axes = tuple(axes)
    if len(axes) != 2:
        raise ValueError("len(axes) must be 2.")
    if axes[0] == axes[1] or abs(axes[0] - axes[1]) == m.ndim:
        raise ValueError("Axes must be different.")
    if any(not -m.ndim <= a < m.ndim for a in axes):
        raise ValueError(f"axes {axes} do not exist in an array of {m.ndim} axes")
    k %= 4
    if k == 0:
        return m
    if k == 2:
        return flip(flip(m, axes[0]), axes[1])
    if k == 1:
        return swapaxes(flip(m, axes[1]), *axes)
    return flip(swapaxes(m, *axes), axes[1])


def squeeze(a: Any, axis: Any = None) -> Array:
    """Without axes of length one.

    >>> squeeze([[1, 2]]).shape
    (2,)
    """
    a = asanyarray(a)
    chosen = tuple(i for i, n in enumerate(a.shape) if n == 1) if axis is None else axes_of(axis, a.ndim)
    if any(a.shape[i] != 1 for i in chosen):
        raise ValueError("only axes of length 1 can be squeezed away")
    if not chosen:
        return a
    if native(a):
        return _wrap(a._core.squeeze(list(chosen)))
    return a[tuple(0 if i in chosen else slice(None) for i in range(a.ndim))]


def expand_dims(a: Any, axis: Any) -> Array:
    """With new axes of length one.

    >>> expand_dims([1, 2], axis=1).shape
    (2, 1)
    """
    a = asanyarray(a)
    axes = axis if isinstance(axis, tuple | list) else (axis,)
    places = axes_of(tuple(axes), a.ndim + len(axes))
    return a[tuple(None if i in places else slice(None) for i in range(a.ndim + len(axes)))]


def rechunk(
    x: Any,
    chunks: Any = "auto",
    threshold: int | None = None,
    block_size_limit: int | None = None,
    balance: bool = False,
    method: str | None = None,
) -> Array:
    """The same elements in other chunks.

    Every old block is split once and every new block gathered once.

    Parameters
    ----------
    chunks : int, tuple, dict or str
        See :func:`oxidask.array.normalize_chunks`; axes that a dict leaves out,
        and None, keep their chunks.
    threshold : int, optional
        Accepted for compatibility: there are no intermediate chunks that it could bound.
    block_size_limit : int, optional
        Bytes of a block where ``chunks`` says ``"auto"``.
    balance : bool
        Whether to even out sizes, so that no last chunk is much smaller.
    method : {"tasks", "p2p"}, optional
        Accepted for compatibility: blocks are always split and gathered.

    Raises
    ------
    ValueError
        If sizes do not fit the shape, or an unknown length would be cut.

    Examples
    --------
    >>> import oxidask.array as da
    >>> rechunk(da.ones(6, chunks=2), 3).chunks
    ((3, 3),)
    """
    del threshold
    x = asanyarray(x)
    if method not in (None, "tasks", "p2p"):
        raise NotImplementedError(f"there is no way of rechunking named {method!r}")
    if x.ndim > 0 and all(n == 0 for n in x.shape):
        return x
    wish = _rechunk_wish(x, chunks)
    new = normalize_chunks(wish, x.shape, limit=block_size_limit, dtype=x.dtype, previous_chunks=x.chunks)
    if balance and not has_unknown(new):
        new = tuple(_balanced(sizes) for sizes in new)
    if len(new) != x.ndim:
        raise ValueError(f"chunks {chunks} do not add up to the shape {x.shape}")
    for axis, (sizes, old) in enumerate(zip(new, x.chunks, strict=True)):
        if (has_unknown([sizes]) or has_unknown([old])) and len(sizes) != len(old):
            raise ValueError(
                f"the chunks of axis {axis} have unknown lengths, so they cannot be changed"
                "\nhint: call compute_chunk_sizes() first"
            )
        if not has_unknown([sizes]) and not has_unknown([old]) and sum(sizes) != sum(old):
            raise ValueError(f"chunks {sizes} of axis {axis} do not add up to its length, {sum(old)}")
    same = all(a == b or has_unknown([b]) for a, b in zip(new, x.chunks, strict=True))
    if same:
        return x
    if native(x):
        return _wrap(x._core.rechunk(new))
    return rechunked(x, tuple(old if has_unknown([old]) else sizes for sizes, old in zip(new, x.chunks, strict=True)))


def _rechunk_wish(x: Array, chunks: Any) -> Any:
    if isinstance(chunks, dict):
        given = {axis_of(axis, x.ndim): c for axis, c in chunks.items()}
        return tuple(
            x.chunks[a] if given.get(a) is None and (a not in given or given[a] is None) else given[a]
            for a in range(x.ndim)
        )
    if isinstance(chunks, tuple | list) and len(chunks) == x.ndim and not (x.ndim == 1 and isinstance(chunks[0], int)):
        return tuple(x.chunks[a] if c is None else c for a, c in enumerate(chunks))
    return chunks


def _balanced(sizes: tuple[int, ...]) -> tuple[int, ...]:
    """As many chunks as a target size wants, of nearly equal sizes."""
    if len(set(sizes)) <= 1:
        return sizes
    n, largest = sum(sizes), max(sizes)
    size = math.ceil(n / max(1, round(n / largest)))
    return tuple([size] * (n // size) + ([n % size] if n % size else []))


class Fold:
    """The elements of a block in another shape."""

    __name__ = "reshape"

    def __init__(self, chunks: Any) -> None:
        self.chunks = chunks
        self.numblocks = [len(sizes) for sizes in chunks]

    def __call__(self, block: Any, number: int) -> Any:
        from oxidask.array._generic import position_of

        at = position_of(number, self.numblocks)
        shape = tuple(sizes[i] for sizes, i in zip(self.chunks, at, strict=True))
        if any(is_unknown(n) for n in shape):
            shape = tuple(-1 if is_unknown(n) else n for n in shape)
        return block.reshape(shape)


def reshape(
    x: Any,
    shape: Any,
    merge_chunks: bool = True,
    limit: Any = None,
    *more: int,
    order: str = "C",
    copy: bool | None = None,
) -> Array:
    """The same elements in C order in another shape; one length may be -1.

    Parameters
    ----------
    shape : int or tuple of int
    merge_chunks, limit
        Accepted for compatibility: chunks of the result are no larger than the
        largest one of the array.

    Raises
    ------
    ValueError
        If the sizes differ; both shapes are named.

    Examples
    --------
    >>> reshape([1, 2, 3, 4], (2, -1)).compute().tolist()
    [[1, 2], [3, 4]]
    """
    del merge_chunks, limit, copy
    x = asanyarray(x)
    if order != "C":
        raise NotImplementedError("elements are in C order only")
    shape = (shape,) if isinstance(shape, int | float | np.integer) else tuple(shape)
    shape = (*shape, *more)
    shape = tuple(n if is_unknown(n) else operator.index(n) for n in shape)
    if sum(n == -1 for n in shape if not is_unknown(n)) > 1:
        raise ValueError("at most one length of the new shape may be -1")
    if has_unknown(x.chunks):
        return _reshape_unknown(x, shape)
    if -1 in shape:
        rest = math.prod(n for n in shape if n != -1)
        shape = tuple((x.size // rest if rest else 0) if n == -1 else n for n in shape)
    if math.prod(shape) != x.size:
        raise ValueError(
            f"total size of new array must be unchanged: {x.size} elements of shape {x.shape} do not fit {shape}"
        )
    if shape == x.shape:
        return x
    if native(x):
        return _wrap(x._core.reshape(list(shape)))
    if x.npartitions == 1:
        return _folded(x, tuple((n,) for n in shape))
    whole = rechunked(x, tuple((n,) for n in x.shape)) if x.ndim != 1 else x
    if x.ndim == 1 or not shape:
        whole = rechunked(x, tuple((n,) for n in x.shape))
    made = _folded(whole, tuple((n,) for n in shape))
    wanted = normalize_chunks(_chunks_of_size(shape, max(1, math.prod(max(s, default=1) for s in x.chunks))), shape)
    return rechunk(made, wanted)


def _chunks_of_size(shape: tuple[int, ...], size: int) -> tuple[int, ...]:
    """The lengths of blocks in C order with at most ``size`` elements."""
    made: list[int] = []
    for n in reversed(shape):
        own = max(1, min(n, size))
        made.append(own)
        size = max(1, size // own) if own == n else 1
    return tuple(reversed(made))


def _folded(x: Array, chunks: Any) -> Array:
    from oxidask.array._generic import block_numbers, table
    from oxidask.tokenize import tokenize

    numbers = block_numbers(x.numblocks).ravel()
    reads = np.stack([np.zeros_like(numbers), numbers], axis=-1)[:, None, :]
    meta = meta_from_array(x._meta, len(chunks))
    return table(Fold(chunks), "reshape", tokenize("fold", chunks), [x], reads, chunks, meta, passes_block=True)  # type: ignore[no-any-return]


def _reshape_unknown(x: Array, shape: tuple[Any, ...]) -> Array:
    """Reshaping without knowing the lengths: only what keeps blocks apart."""
    if shape in ((-1,), x.shape) and x.ndim == 1:
        return x
    if shape == (-1,) and all(n == 1 for n in x.numblocks[1:]):
        return _folded(
            x,
            (
                tuple(
                    math.nan if any(map(is_unknown, (s, *x.shape[1:]))) else s * math.prod(x.shape[1:])
                    for s in x.chunks[0]
                ),
            ),
        )
    lead = [n for n in shape if n == -1 or is_unknown(n)]
    if (
        x.ndim
        and len(lead) == 1
        and (shape[0] == -1 or is_unknown(shape[0]))
        and math.prod(shape[1:]) == math.prod(x.shape[1:])
        and all(n == 1 for n in x.numblocks[1:])
    ):
        return _folded(x, (x.chunks[0], *((n,) for n in shape[1:])))
    if x.npartitions == 1:
        return _folded(x, tuple((math.nan if n == -1 else n,) for n in shape))
    raise ValueError(
        f"an array with unknown lengths, {x.shape}, cannot be reshaped to {shape}\nhint: call compute_chunk_sizes() first"
    )


def reshape_blockwise(x: Any, shape: Any, chunks: Any = None) -> Array:
    """Every block reshaped by itself; the order of elements is that of the blocks.

    Parameters
    ----------
    shape : tuple of int
        Of the result; axes are joined or split.
    chunks : tuple of tuple of int, optional
        Of the result; needed where axes are split.

    Examples
    --------
    >>> import oxidask.array as da
    >>> reshape_blockwise(da.arange(8, chunks=4).reshape(2, 4), 8).compute()
    array([0, 1, 2, 3, 4, 5, 6, 7])
    """
    x = asanyarray(x)
    shape = (shape,) if isinstance(shape, int | np.integer) else tuple(shape)
    if has_unknown(x.chunks):
        raise ValueError(
            "Array chunk size or shape is unknown, and reshape_blockwise needs it\nhint: call compute_chunk_sizes() first"
        )
    if math.prod(shape) != x.size:
        raise ValueError(f"total size of new array must be unchanged: cannot reshape {x.shape} to {shape}")
    if chunks is not None and len(shape) >= x.ndim:
        return _folded(x, tuple(map(tuple, chunks)))
    if len(shape) > x.ndim:
        raise TypeError("chunks must be given where an axis is split")
    if len(shape) == x.ndim:
        if shape == x.shape:
            return x
        raise ValueError(f"cannot tell how the axes of {x.shape} become those of {shape}\nhint: give chunks")
    groups, at = [], 0
    for n in shape:
        group = []
        while math.prod(x.shape[a] for a in group) != n or not group:
            if at == x.ndim:
                raise NotImplementedError(f"the axes of {x.shape} cannot be joined to {shape}")
            group.append(at)
            at += 1
        groups.append(group)
    if groups and at < x.ndim:
        groups[-1].extend(range(at, x.ndim))
    import itertools

    made = tuple(tuple(math.prod(c) for c in itertools.product(*[x.chunks[a] for a in group])) for group in groups)
    return _folded(x, made)


def ravel(array_like: Any) -> Array:
    """All elements along one axis.

    >>> ravel([[1], [2]]).compute()
    array([1, 2])
    """
    return reshape(array_like, (-1,))


def broadcast_to(x: Any, shape: Any, chunks: Any = None, meta: Any = None) -> Array:
    """The array repeated along new and length-one axes.

    >>> broadcast_to([1, 2], (3, 2)).compute().shape
    (3, 2)
    """
    x = asanyarray(x)
    shape = (shape,) if isinstance(shape, int | np.integer) else tuple(shape)
    if x.shape == shape and (chunks is None or normalize_chunks(chunks, shape, dtype=x.dtype) == x.chunks):
        return x
    lead = len(shape) - x.ndim
    if lead < 0 or any(
        old not in (1, new) for new, old in zip(shape[lead:], x.shape, strict=True) if not is_unknown(old)
    ):
        raise ValueError(f"cannot broadcast shape {x.shape} to shape {shape}")
    if chunks is None:
        own = tuple(old if n == new else (new,) for old, n, new in zip(x.chunks, x.shape, shape[lead:], strict=True))
        chunks = (*((n,) for n in shape[:lead]), *own)
    else:
        chunks = normalize_chunks(chunks, shape, dtype=x.dtype)
        for old, new, n in zip(x.chunks, chunks[lead:], x.shape, strict=True):
            if n != 1 and old != new:
                raise ValueError(
                    f"cannot broadcast chunks {x.chunks} to chunks {chunks}: only new axes and axes of length 1 can be given other chunks"
                )
    if native(x) and meta is None:
        return _wrap(x._core.broadcast_to(list(shape), chunks))
    x = x[(None,) * lead + (...,)] if lead else x
    plans = [
        None if old == new else [np.zeros(size, np.intp) for size in new]
        for old, new in zip(x.chunks, chunks, strict=True)
    ]
    return outer(x, plans, "broadcast_to")  # type: ignore[no-any-return]


def broadcast_arrays(*args: Any, subok: bool = False) -> tuple[Array, ...]:
    """The arrays repeated to their common shape.

    >>> [x.shape for x in broadcast_arrays([[1], [2]], [3, 4, 5])]
    [(2, 3), (2, 3)]
    """
    from oxidask.array.blockwise import broadcast_shape, unify_chunks

    arrays = [asanyarray(x) for x in args]
    shape = broadcast_shape(*[x.shape for x in arrays])
    n = len(shape)
    pairs: list[Any] = []
    for x in arrays:
        pairs += [x, tuple(range(n - x.ndim, n))]
    chunks, unified = unify_chunks(*pairs)
    wanted = tuple(chunks.get(i, (shape[i],)) for i in range(n))
    return tuple(broadcast_to(x, shape, chunks=wanted) for x in unified)


def repeat(a: Any, repeats: Any, axis: int | None = None) -> Array:
    """Every element several times.

    Parameters
    ----------
    repeats : int or sequence of int
        How often, for all elements or for each along the axis. A lazy array
        says the length of the result, and so is computed at once.
    axis : int, optional
        The array is flattened without one.

    Examples
    --------
    >>> repeat([1, 2], 2).compute()
    array([1, 1, 2, 2])
    >>> repeat([1, 2], [3, 1]).compute()
    array([1, 1, 1, 2])
    """
    a = asanyarray(a)
    if axis is None:
        a, axis = ravel(a), 0
    axis = axis_of(axis, a.ndim)
    counts = np.asarray(repeats)
    if counts.dtype.kind not in "iu":
        raise TypeError(f"repeats are integers, not {counts.dtype}")
    if np.any(counts < 0):
        raise ValueError("repeats may not contain negative values")
    if counts.ndim == 0 and counts == 1:
        return a
    if counts.ndim > 1 or (counts.ndim == 1 and len(counts) not in (1, a.shape[axis])):
        raise ValueError(f"{a.shape[axis]} elements along axis {axis} need as many repeats, not {counts.shape}")
    positions = np.repeat(np.arange(a.shape[axis]), counts)
    if not len(positions):
        return a[(slice(None),) * axis + (slice(0),)]
    largest = max(a.chunks[axis])
    # With one count for all, blocks of the result come from one block each.
    wholes = [len(positions)] if counts.ndim else [size * int(counts) for size in a.chunks[axis]]
    sizes = [n for whole in wholes for n in [largest] * (whole // largest) + [whole % largest] * (whole % largest > 0)]
    plan = split_positions(positions, sizes)
    return outer(a, [plan if i == axis else None for i in range(a.ndim)], "repeat")  # type: ignore[no-any-return]


def tile(A: Any, reps: Any) -> Array:
    """The array laid out several times.

    >>> tile([1, 2], 2).compute()
    array([1, 2, 1, 2])
    """
    from oxidask.array.stacking import concatenate

    a = asanyarray(A)
    reps = (reps,) if isinstance(reps, int | np.integer) else tuple(reps)
    if any(r < 0 for r in reps):
        raise ValueError("reps must not be negative")
    n = max(a.ndim, len(reps))
    reps = (1,) * (n - len(reps)) + reps
    a = a[(None,) * (n - a.ndim) + (...,)] if n > a.ndim else a
    for axis, count in enumerate(reps):
        if count == 0:
            a = a[(slice(None),) * axis + (slice(0),)]
        elif count > 1:
            a = concatenate([a] * count, axis=axis)
    return a


def roll(array: Any, shift: Any, axis: Any = None) -> Array:
    """The elements moved along axes, those beyond the end to the beginning.

    >>> roll([1, 2, 3], 1).compute()
    array([3, 1, 2])
    """
    from oxidask.array.stacking import concatenate

    a = asanyarray(array)
    if axis is None:
        if not isinstance(shift, int | np.integer):
            raise TypeError("without an axis, shift must be one integer")
        return reshape(roll(ravel(a), shift, 0), a.shape)
    shifts = shift if isinstance(shift, tuple | list) else (shift,)
    axes = axis if isinstance(axis, tuple | list) else (axis,)
    if len(shifts) != len(axes):
        raise ValueError("roll needs one shift for every axis")
    result = a
    for own, along in zip(shifts, axes, strict=True):
        n = a.shape[axis_of(along, a.ndim)]
        own = own % n if n else 0
        if own:
            lead = (slice(None),) * axis_of(along, a.ndim)
            result = concatenate(
                [result[(*lead, slice(n - own, None))], result[(*lead, slice(None, n - own))]], axis=along
            )
    return result.rechunk(a.chunks) if result is not a else a


def shuffle(x: Any, indexer: Sequence[Sequence[int]], axis: int, chunks: Any = "auto") -> Array:
    """Positions along an axis in another order, groups of them kept together.

    Parameters
    ----------
    indexer : sequence of sequences of int
        Groups of positions; no group is cut by the chunks of the result.
    axis : int
    chunks : "auto"
        Chunks of the result are about as large as those of the array.

    Examples
    --------
    >>> import oxidask.array as da
    >>> shuffle(da.arange(4, chunks=2), [[3, 0], [1, 2]], axis=0).compute()
    array([3, 0, 1, 2])
    """
    from oxidask.array.slicing import checked

    x = asanyarray(x)
    axis = axis_of(axis, x.ndim)
    if has_unknown([x.chunks[axis]]):
        raise ValueError("shuffle needs chunks of known lengths\nhint: call compute_chunk_sizes() first")
    if chunks != "auto":
        raise NotImplementedError("chunks are 'auto'")
    if not isinstance(indexer, list) or not all(isinstance(group, list | np.ndarray) for group in indexer):
        raise ValueError("indexer must be a list of lists of positions")
    sizes = x.chunks[axis]
    limit = max(1, round(config.get("array.chunk-size-tolerance", 1.25) * sum(sizes) / max(1, len(sizes))))
    plan: list[np.ndarray] = []
    current: list[np.ndarray] = []
    for group in indexer:
        positions = np.asarray(group, dtype=np.intp)
        if len(positions) and (positions.max() >= x.shape[axis] or positions.min() < -x.shape[axis]):
            raise IndexError(f"Indexer contains out of bounds index: axis {axis} has {x.shape[axis]} elements")
        positions = checked(positions, x.shape[axis], axis)
        if current and sum(map(len, current)) + len(positions) > limit:
            plan.append(np.concatenate(current))
            current = []
        current.append(positions)
    plan.append(np.concatenate(current) if current else np.zeros(0, np.intp))
    return outer(x, [plan if a == axis else None for a in range(x.ndim)], "shuffle")  # type: ignore[no-any-return]

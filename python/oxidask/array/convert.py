"""Lazy arrays from what exists: memory, files with slices, lists, other libraries' arrays."""

from __future__ import annotations

import math
import threading
import uuid
from collections.abc import Callable
from typing import Any

import numpy as np

from oxidask._oxidask import ArrayCore
from oxidask.array._generic import empty_block, is_native, position_of, table
from oxidask.array._info import check_device
from oxidask.array.core import Array, _is_array_like, _wrap

__all__ = ["asanyarray", "asarray", "from_array", "normalize_chunks"]


def normalize_chunks(
    chunks: Any, shape: Any = None, limit: Any = None, dtype: Any = None, previous_chunks: Any = None
) -> tuple[tuple[Any, ...], ...]:
    """The sizes of all chunks that a wish for chunks means.

    Parameters
    ----------
    chunks : int, tuple, dict, str or None
        A size for all axes or one entry for each: an int, a tuple of sizes, -1
        or None for a whole axis, ``"auto"``, or a text such as ``"64 MiB"``.
    shape : tuple of int
    limit : int or str, optional
        Bytes of a block where the wish says ``"auto"``.
    dtype : dtype, optional
        Needed for sizes that depend on bytes; ``float64`` by default.
    previous_chunks : tuple of tuple of int, optional
        Chunks of which ``"auto"`` takes whole multiples.

    Returns
    -------
    tuple of tuple of int

    Raises
    ------
    ValueError
        If the sizes do not fit the shape; both are named.

    Examples
    --------
    >>> normalize_chunks((4, -1), shape=(10, 3))
    ((4, 4, 2), (3,))
    """
    dtype = None if dtype is None else np.dtype(dtype)
    if chunks is None:
        raise ValueError("chunks are missing\nhint: give a size, sizes, or 'auto'")
    if isinstance(chunks, list):
        chunks = tuple(chunks)
    if isinstance(chunks, np.ndarray):
        chunks = tuple(chunks.tolist())
    if shape is None:
        if not isinstance(chunks, tuple) or not all(isinstance(c, tuple | list) for c in chunks):
            raise ValueError(f"chunks {chunks!r} need a shape")
        return tuple(tuple(int(n) if not _nan(n) else np.nan for n in c) for c in chunks)
    shape = (shape,) if isinstance(shape, int | np.integer) else tuple(shape)
    if chunks == () and shape and not any(shape):
        return ((0,),) * len(shape)
    if any(_nan(n) for n in shape) or _mentions_nan(chunks):
        return _unknown_chunks(chunks, shape)
    shape = tuple(int(n) for n in shape)
    if (
        isinstance(chunks, tuple)
        and len(shape) == 1
        and len(chunks) > 1
        and all(isinstance(c, int | str) for c in chunks)
    ):
        chunks = (chunks,)
    if isinstance(chunks, tuple):
        if shape and len(chunks) != len(shape):
            raise ValueError(f"chunks {chunks} are for {len(chunks)} axes, and shape {shape} has {len(shape)}")
        chunks = tuple(_plain_entry(c, n) for c, n in zip(chunks, shape, strict=False))
        if not shape:
            chunks = ()
    elif isinstance(chunks, dict):
        chunks = {axis: _plain_entry(c, shape[axis]) for axis, c in chunks.items()}
    elif isinstance(chunks, float | np.integer):
        chunks = int(chunks)
    if _mentions_auto(chunks):
        if dtype is None:
            dtype = np.dtype(float)
        if dtype.hasobject:
            raise NotImplementedError(
                "chunks='auto' goes by bytes, and how many an element of dtype object takes is not known\n"
                "hint: give the sizes of chunks"
            )
        return _automatic(chunks, shape, limit, dtype, previous_chunks)
    if not all(shape) and not isinstance(chunks, tuple):
        return tuple(
            (0,) if n == 0 else sizes for n, sizes in zip(shape, _sizes(chunks, shape, "float64"), strict=True)
        )
    return _sizes(chunks, shape, "float64")


def _sizes(chunks: Any, shape: tuple[int, ...], dtype: str) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(axis) for axis in ArrayCore.normalize_chunks(chunks, list(shape), dtype))


def _nan(n: Any) -> bool:
    return isinstance(n, float | np.floating) and math.isnan(n)


def _mentions_nan(chunks: Any) -> bool:
    entries = chunks.values() if isinstance(chunks, dict) else chunks if isinstance(chunks, tuple) else (chunks,)
    return any(_nan(c) or (isinstance(c, tuple | list) and any(map(_nan, c))) for c in entries)


def _mentions_auto(chunks: Any) -> bool:
    entries = chunks.values() if isinstance(chunks, dict) else chunks if isinstance(chunks, tuple) else (chunks,)
    return any(isinstance(c, str) for c in entries)


def _plain_entry(entry: Any, n: int) -> Any:
    """One axis' wish, in the engine's terms."""
    if isinstance(entry, np.ndarray):
        entry = tuple(entry.tolist())
    if isinstance(entry, tuple | list):
        sizes = tuple(int(size) for size in entry)
        if sum(sizes) != n:
            raise ValueError(f"chunks {sizes} make {sum(sizes)} elements, on an axis of length {n}")
        return sizes
    if isinstance(entry, float | np.integer):
        return int(entry)
    return entry


def _unknown_chunks(chunks: Any, shape: tuple[Any, ...]) -> tuple[tuple[Any, ...], ...]:
    """Chunks of axes of which some lengths are not known."""
    if isinstance(chunks, dict):
        chunks = tuple(chunks.get(a, chunks.get(a - len(shape))) for a in range(len(shape)))
    if not isinstance(chunks, tuple):
        chunks = (chunks,) * len(shape)
    made = []
    for entry, n in zip(chunks, shape, strict=True):
        if isinstance(entry, tuple | list):
            made.append(tuple(np.nan if _nan(size) else int(size) for size in entry))
        elif _nan(n) or _nan(entry):
            if entry not in (None, -1) and not _nan(entry) and not isinstance(entry, str):
                raise ValueError(
                    f"an axis of unknown length cannot be cut to chunks of {entry}\n"
                    "hint: call compute_chunk_sizes() first"
                )
            made.append((np.nan,))
        else:
            made.append(normalize_chunks((entry,), (n,))[0])
    return tuple(made)


def _automatic(
    chunks: Any, shape: tuple[int, ...], limit: Any, dtype: np.dtype, previous: Any
) -> tuple[tuple[int, ...], ...]:
    """Chunks of axes of which some are to be as large as bytes allow."""
    from oxidask import config
    from oxidask.utils import parse_bytes

    if isinstance(chunks, dict):
        chunks = tuple(chunks.get(a, chunks.get(a - len(shape), -1)) for a in range(len(shape)))
    if not isinstance(chunks, tuple):
        chunks = (chunks,) * len(shape)
    texts = {c for c in chunks if isinstance(c, str) and c != "auto"}
    for text in texts:
        size = parse_bytes(text)
        if limit is not None and limit != size:
            raise ValueError(f"two sizes of chunks are asked for, {size} and {limit} bytes\nhint: give one")
        limit = size
    if limit is None:
        limit = config.get("array.chunk-size", "128MiB")
    if isinstance(limit, str):
        limit = parse_bytes(limit)
    auto = [a for a, c in enumerate(chunks) if isinstance(c, str)]
    fixed = {a: normalize_chunks((c,), (shape[a],))[0] for a, c in enumerate(chunks) if a not in auto}
    budget = max(1, int(limit) // max(1, dtype.itemsize))
    for sizes in fixed.values():
        budget = max(1, budget // max(1, max(sizes, default=1)))
    picked: dict[int, int] = {}
    rest = sorted(auto, key=lambda a: shape[a])
    while rest:
        side = max(1, int(budget ** (1 / len(rest)) + 1e-9))
        axis = rest.pop(0)
        size = min(shape[axis], side) if shape[axis] else 0
        if previous is not None and size and size < shape[axis]:
            base = max(previous[axis], default=1) or 1
            size = max(base * max(1, size // base), 1) if size >= base else size
        picked[axis] = size
        budget = max(1, budget // max(1, size))
    made = []
    for axis, n in enumerate(shape):
        if axis in fixed:
            made.append(fixed[axis])
        elif n == 0:
            made.append((0,))
        else:
            size = picked[axis]
            made.append((size,) * (n // size) + ((n % size,) if n % size else ()))
    return tuple(made)


class Reader:
    """Reads one block of something that can be sliced."""

    __name__ = "array"

    def __init__(self, source: Any, chunks: Any, lock: Any, asarray: bool, getitem: Any) -> None:
        self.source, self.lock, self.asarray, self.getitem = source, lock, asarray, getitem
        self.borders = [[0, *np.cumsum(axis).tolist()] for axis in chunks]

    def __call__(self, block: int) -> Any:
        at = position_of(block, [len(borders) - 1 for borders in self.borders])
        index = tuple(slice(b[i], b[i + 1]) for b, i in zip(self.borders, at, strict=True))
        if self.getitem is not None:
            return self.getitem(self.source, index, asarray=self.asarray, lock=self.lock)
        if not self.lock:
            return self._read(index)
        # Some locks have these two methods and are no context managers.
        self.lock.acquire()
        try:
            return self._read(index)
        finally:
            self.lock.release()

    def _read(self, index: tuple[slice, ...]) -> Any:
        found = self.source[index] if index else self.source[()]
        if not self.asarray and hasattr(found, "shape"):
            return found
        return np.asarray(found)


def from_array(
    x: Any,
    chunks: Any = "auto",
    name: str | bool | None = None,
    lock: Any = False,
    asarray: bool | None = None,
    fancy: bool = True,
    getitem: Callable[..., Any] | None = None,
    meta: Any = None,
    inline_array: bool = False,
) -> Array:
    """A lazy array over anything that has a shape, a dtype and slices.

    NumPy's memory is used in place, without a copy: do not change it before
    the results are computed. Anything else (an HDF5 or Zarr array, a memory map
    of another library) is read block by block, when it is needed.

    Parameters
    ----------
    x : array_like
    chunks : int, tuple, dict or str
        How to cut it; see :func:`normalize_chunks`. ``"auto"`` follows the
        chunks that ``x`` has, if it has some.
    name : str or False, optional
        Stands for the content, which is then not hashed. ``False`` gives a
        name that is used once.
    lock : bool or lock
        Held while reading; ``True`` makes a new one.
    asarray : bool, optional
        Whether blocks become NumPy arrays; by default unless ``x`` is of
        another array class that answers NumPy's functions.
    fancy, inline_array : bool
        Accepted for compatibility: sources are only asked for slices, and live
        beside the graph.
    getitem : callable, optional
        Reads in place of ``x[...]``.
    meta : array, optional
        An empty block, where blocks are of another class.

    Returns
    -------
    Array

    Raises
    ------
    ValueError
        If the chunks do not fit the shape; both are named.
    TypeError
        If ``x`` cannot be sliced.

    Examples
    --------
    >>> import numpy as np
    >>> from_array(np.arange(6), chunks=2).chunks
    ((2, 2, 2),)
    """
    del fancy, inline_array
    if isinstance(x, Array):
        raise ValueError("the array is lazy already\nhint: use asarray to pass it on, or rechunk for other chunks")
    if hasattr(x, "__dask_graph__") and hasattr(x, "dask") and not hasattr(x, "_meta_nonempty"):
        raise ValueError("the array is lazy already\nhint: use asarray, or compute it first")
    if isinstance(x, list | tuple | memoryview | bool | int | float | complex | np.generic):
        x = np.array(x)
    if not _is_array_like(x):
        raise TypeError(f"cannot make an array of {type(x).__name__}: it has no shape, dtype and slices")
    given = name if isinstance(name, str) else None
    own = getattr(x, "chunks", None)
    if chunks == "auto" and own is not None and not isinstance(x, np.ndarray):
        sizes = normalize_chunks(_multiples(own, x.shape, x.dtype), x.shape, dtype=x.dtype)
    else:
        sizes = normalize_chunks(
            "auto" if chunks == "auto" and not x.dtype.hasobject else -1 if chunks == "auto" else chunks,
            x.shape,
            dtype=x.dtype,
        )
    token = uuid.uuid4().hex if name is False else given
    plain = type(x) in (np.ndarray, np.memmap)
    if plain and not lock and getitem is None and is_native(x.dtype):
        return _wrap(ArrayCore.from_numpy(_native(x.view(np.ndarray)), sizes, token))._named(given)
    if token is None:
        from oxidask.tokenize import tokenize

        token = tokenize(x, sizes, x.dtype, getitem)
    if lock is True:
        lock = threading.Lock()
    if asarray is None:
        asarray = not hasattr(x, "__array_function__")
    if meta is None and not asarray and hasattr(x, "__array_function__") and isinstance(x, np.ndarray | np.generic):
        meta = x[tuple(slice(0, 0) for _ in x.shape)]
    if meta is None and not asarray and not isinstance(x, np.ndarray):
        try:
            meta = x[tuple(slice(0, 0) for _ in x.shape)]
        except Exception:
            meta = None
    meta = empty_block(np.empty((0,) * len(x.shape), dtype=x.dtype) if meta is None else meta, len(x.shape), x.dtype)
    n_blocks = math.prod(len(axis) for axis in sizes)
    reads = np.empty((n_blocks, 0, 2), np.int64)
    reader = Reader(x, sizes, lock, asarray, getitem)
    return table(reader, "array", f"from_array-{token}", [], reads, sizes, meta, passes_block=True)._named(given)  # type: ignore[no-any-return]


def _multiples(own: Any, shape: Any, dtype: Any) -> Any:
    """Chunks of a stored array, joined until they are as large as blocks should be."""
    from oxidask import config
    from oxidask.utils import parse_bytes

    if any(isinstance(c, tuple | list) for c in own):
        return own
    limit = config.get("array.chunk-size", "128MiB")
    limit = (parse_bytes(limit) if isinstance(limit, str) else limit) // max(1, np.dtype(dtype).itemsize)
    sizes = [min(int(c), int(n)) or 1 for c, n in zip(own, shape, strict=True)]
    while math.prod(sizes) * 2 <= limit and any(size < n for size, n in zip(sizes, shape, strict=True)):
        axis = max((a for a in range(len(sizes)) if sizes[a] < shape[a]), key=lambda a: shape[a] / sizes[a])
        sizes[axis] *= 2
    return tuple(min(s, n) if n else 0 for s, n in zip(sizes, shape, strict=True))


def _native(array: np.ndarray) -> np.ndarray:
    """The array in memory that the engine can look at: native byte order, elements aligned."""
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    itemsize = array.dtype.itemsize
    if not array.flags.aligned or any(stride % itemsize for stride in array.strides):
        array = array.copy()
    return array


def asarray(
    a: Any,
    allow_unknown_chunksizes: bool = False,
    dtype: Any = None,
    order: Any = None,
    *,
    like: Any = None,
    device: Any = None,
    copy: bool | None = None,
    **kwargs: Any,
) -> Array:
    """The argument as a lazy array; itself if it is one.

    Parameters
    ----------
    a : array_like
        Also (nested) lists of numbers or of lazy arrays, frames and delayed
        values of other libraries.
    dtype : dtype, optional
    allow_unknown_chunksizes : bool
        Whether arrays in a list may have unknown chunks.
    order, like
        Accepted for compatibility: blocks are NumPy arrays in C order.
    device : ``"cpu"``, optional
    copy : bool, optional
        Whether memory that the user holds is copied; it is shared by default.

    Returns
    -------
    Array

    Raises
    ------
    ValueError
        If ``copy`` is False and the argument is no array.

    Examples
    --------
    >>> asarray([1, 2, 3]).sum().compute()
    np.int64(6)
    """
    del order
    check_device(device)
    if copy is False and not _is_array_like(a):
        raise ValueError(f"an array of a {type(a).__name__} is always a copy\nhint: leave copy=False out")
    if copy and isinstance(a, np.ndarray):
        a = a.copy()
    if not isinstance(a, Array):
        if hasattr(a, "to_dask_array"):
            a = a.to_dask_array()
        elif type(a).__module__.split(".")[0] == "xarray" and hasattr(a, "data"):
            return asarray(a.data, dtype=dtype, **kwargs)
        elif hasattr(a, "__dask_graph__") and hasattr(a, "chunks"):
            from oxidask.array.delayed import from_foreign

            a = from_foreign(a)
        elif isinstance(a, list | tuple) and _holds_lazy(a):
            from oxidask.array.stacking import stack

            a = stack([asarray(x) for x in a], allow_unknown_chunksizes=allow_unknown_chunksizes)
        else:
            if not _is_array_like(a) or isinstance(a, np.generic):
                a = np.asarray(a)
            a = from_array(
                a, chunks=kwargs.pop("chunks", "auto"), **({"asarray": True} if like is None else {}), **kwargs
            )
    return a if dtype is None else a.astype(dtype)


def _holds_lazy(a: Any) -> bool:
    return any(isinstance(x, Array) or (isinstance(x, list | tuple) and _holds_lazy(x)) for x in a)


def array(x: Any, dtype: Any = None, ndmin: int | None = None, *, like: Any = None, **kwargs: Any) -> Array:
    """The argument as a lazy array with at least ``ndmin`` axes; see :func:`asarray`.

    >>> array([1, 2], ndmin=2).shape
    (1, 2)
    """
    made = asarray(x, dtype=dtype, like=like, **kwargs)
    missing = (ndmin or 0) - made.ndim
    return made[(None,) * missing] if missing > 0 else made


def asanyarray(
    a: Any, dtype: Any = None, order: Any = None, *, like: Any = None, inline_array: bool = False, **kwargs: Any
) -> Array:
    """The argument as a lazy array, whose blocks keep their class; see :func:`asarray`.

    Examples
    --------
    >>> asanyarray([[1, 2]]).shape
    (1, 2)
    """
    del inline_array, order, like
    if isinstance(a, np.ndarray) and type(a) is not np.ndarray:
        made = from_array(a, chunks=kwargs.pop("chunks", "auto"), asarray=False, **kwargs)
        return made if dtype is None else made.astype(dtype)
    return asarray(a, dtype=dtype, **kwargs)

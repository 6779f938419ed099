"""Arrays made from a few numbers. They take no memory until they are used."""

from __future__ import annotations

from typing import Any

import numpy as np

from oxidask._oxidask import ArrayCore
from oxidask.array._generic import has_unknown, is_native, is_unknown
from oxidask.array._info import check_device
from oxidask.array._meta import meta_from_array
from oxidask.array.blocks import map_blocks
from oxidask.array.blockwise import blockwise
from oxidask.array.convert import asanyarray, asarray, normalize_chunks
from oxidask.array.core import Array, _operand, _wrap

__all__ = [
    "arange",
    "diag",
    "diagonal",
    "empty",
    "empty_like",
    "eye",
    "fromfunction",
    "full",
    "full_like",
    "identity",
    "indices",
    "linspace",
    "meshgrid",
    "ones",
    "ones_like",
    "pad",
    "tri",
    "tril",
    "tril_indices",
    "tril_indices_from",
    "triu",
    "triu_indices",
    "triu_indices_from",
    "zeros",
    "zeros_like",
]


#: The largest integer up to which floats hold every one.
EXACT = 1 << 53


def _shape(shape: Any) -> list[int]:
    if isinstance(shape, int | float | np.integer):
        shape = [shape]
    shape = [length if is_unknown(length) else int(length) for length in shape]
    if any(length < 0 for length in shape):
        raise ValueError(f"negative lengths are not allowed: shape {tuple(shape)}")
    return shape


def full(
    shape: Any, fill_value: Any, dtype: Any = None, chunks: Any = "auto", *, device: Any = None, **kwargs: Any
) -> Array:
    """An array of one value.

    Parameters
    ----------
    shape : int or tuple of int
    fill_value : number
    dtype : dtype, optional
        That of the value by default.
    chunks : int, tuple, dict or str
        See :func:`oxidask.array.normalize_chunks`.
    device : ``"cpu"``, optional

    Examples
    --------
    >>> full((2, 2), 7, chunks=1).compute()
    array([[7, 7],
           [7, 7]])
    """
    name = kwargs.get("name")
    check_device(device)
    _no_more(kwargs, "full")
    if np.ndim(fill_value) != 0:
        raise ValueError(
            f"fill_value must be scalar, not a {type(fill_value).__name__} of shape {np.shape(fill_value)}"
        )
    shape = _shape(shape)
    kind = np.dtype(dtype) if dtype is not None else np.asarray(fill_value).dtype
    if (
        is_native(kind)
        and kind.isnative
        and not any(is_unknown(n) for n in shape)
        and not isinstance(fill_value, complex | np.complexfloating | str | bytes | np.datetime64 | np.timedelta64)
    ):
        sizes = normalize_chunks(chunks, tuple(shape), dtype=kind)
        return _wrap(ArrayCore.full(shape, _operand(fill_value), kind.name, sizes))._named(name)
    sizes = normalize_chunks(chunks, tuple(shape), dtype=kind)
    return _filled(sizes, kind, fill_value)._named(name)


class Filled:
    """Makes blocks of one value."""

    __name__ = "full"

    def __init__(self, chunks: Any, dtype: Any, value: Any) -> None:
        self.chunks, self.dtype, self.value = chunks, dtype, value

    def __call__(self, number: int) -> np.ndarray:
        from oxidask.array._generic import position_of

        at = position_of(number, [len(c) for c in self.chunks])
        return np.full([sizes[i] for sizes, i in zip(self.chunks, at, strict=True)], self.value, dtype=self.dtype)


def _filled(chunks: Any, dtype: np.dtype, value: Any) -> Array:
    import math

    from oxidask.array._generic import table
    from oxidask.tokenize import tokenize

    n = math.prod(len(c) for c in chunks)
    reads = np.empty((n, 0, 2), np.int64)
    meta = np.empty((0,) * len(chunks), dtype)
    return table(
        Filled(chunks, dtype, value),
        "full",
        tokenize(chunks, str(dtype), value),
        [],
        reads,
        chunks,
        meta,
        passes_block=True,
    )  # type: ignore[no-any-return]


def _no_more(kwargs: dict[str, Any], name: str) -> None:
    for accepted in ("order", "name", "meta", "like"):
        kwargs.pop(accepted, None)
    if kwargs:
        raise TypeError(f"{name} takes no argument {next(iter(kwargs))!r}")


def ones(shape: Any, dtype: Any = float, chunks: Any = "auto", *, device: Any = None, **kwargs: Any) -> Array:
    """An array of ones; see :func:`full`.

    >>> ones(3, dtype="i1", chunks=2).compute()
    array([1, 1, 1], dtype=int8)
    """
    return full(shape, 1, dtype or float, chunks, device=device, **kwargs)


def zeros(shape: Any, dtype: Any = float, chunks: Any = "auto", *, device: Any = None, **kwargs: Any) -> Array:
    """An array of zeros; see :func:`full`.

    >>> zeros((1, 2), chunks=2).compute()
    array([[0., 0.]])
    """
    return full(shape, 0, dtype or float, chunks, device=device, **kwargs)


def empty(shape: Any, dtype: Any = float, chunks: Any = "auto", *, device: Any = None, **kwargs: Any) -> Array:
    """An array whose content does not matter: zeros; see :func:`full`.

    >>> empty((2, 3), chunks=2).shape
    (2, 3)
    """
    return full(shape, 0, dtype or float, chunks, device=device, **kwargs)


def _like(a: Any, value: Any, dtype: Any, chunks: Any, shape: Any, kwargs: dict[str, Any]) -> Array:
    a = asanyarray(a)
    order, name = kwargs.pop("order", None), kwargs.pop("name", None)
    del order
    dtype = a.dtype if dtype is None else np.dtype(dtype)
    if shape is None and (has_unknown(a.chunks) or type(a._meta) is not np.ndarray):
        function = FullLike(value, dtype)
        return map_blocks(function, a, dtype=dtype, meta=meta_from_array(a._meta, a.ndim, dtype))._named(name)
    if chunks is None:
        chunks = a.chunks if shape is None else "auto"
    return full(a.shape if shape is None else shape, value, dtype, chunks, name=name, **kwargs)


class FullLike:
    """Blocks of one value in the shapes of others."""

    __name__ = "full_like"

    def __init__(self, value: Any, dtype: Any) -> None:
        self.value, self.dtype = value, dtype

    def __call__(self, block: Any) -> Any:
        return np.full_like(block, self.value, dtype=self.dtype)


def ones_like(
    a: Any, dtype: Any = None, chunks: Any = None, shape: Any = None, *, device: Any = None, **kwargs: Any
) -> Array:
    """Ones in the shape, chunks and dtype of another array, where not said otherwise.

    >>> ones_like(zeros((2, 2), chunks=1)).chunks
    ((1, 1), (1, 1))
    """
    check_device(device)
    return _like(a, 1, dtype, chunks, shape, kwargs)


def zeros_like(
    a: Any, dtype: Any = None, chunks: Any = None, shape: Any = None, *, device: Any = None, **kwargs: Any
) -> Array:
    """Zeros in the shape, chunks and dtype of another array, where not said otherwise.

    >>> zeros_like(ones(3, chunks=2)).compute()
    array([0., 0., 0.])
    """
    check_device(device)
    return _like(a, 0, dtype, chunks, shape, kwargs)


def empty_like(
    a: Any, dtype: Any = None, chunks: Any = None, shape: Any = None, *, device: Any = None, **kwargs: Any
) -> Array:
    """An array like another whose content does not matter.

    >>> empty_like(ones(3, chunks=2)).shape
    (3,)
    """
    check_device(device)
    return _like(a, 0, dtype, chunks, shape, kwargs)


def full_like(
    a: Any,
    fill_value: Any,
    dtype: Any = None,
    chunks: Any = None,
    shape: Any = None,
    *,
    device: Any = None,
    **kwargs: Any,
) -> Array:
    """One value in the shape, chunks and dtype of another array, where not said otherwise.

    >>> full_like(ones(2, chunks=2), 5).compute()
    array([5., 5.])
    """
    check_device(device)
    return _like(a, fill_value, dtype, chunks, shape, kwargs)


def arange(
    start: Any = 0,
    stop: Any = None,
    step: Any = 1,
    *,
    chunks: Any = "auto",
    dtype: Any = None,
    device: Any = None,
    **kwargs: Any,
) -> Array:
    """Numbers ``start, start + step, …`` up to but not including ``stop``.

    Parameters
    ----------
    start, stop, step : number
        With one positional argument it is ``stop``.
    chunks : int, tuple or str
    dtype : dtype, optional

    Examples
    --------
    >>> arange(1, 10, 4, chunks=2).compute()
    array([1, 5, 9])
    """
    name = kwargs.get("name")
    check_device(device)
    _no_more(kwargs, "arange")
    if stop is None:
        start, stop = 0, start
    if step == 0:
        raise ValueError("Maximum allowed size exceeded: a step of zero never ends")
    try:
        kind = np.arange(start, start, step).dtype if dtype is None else np.dtype(dtype)
    except TypeError:
        kind = np.arange(start, stop, step, dtype=dtype).dtype
    plain = all(isinstance(n, int | float | np.integer | np.floating) for n in (start, stop, step))
    if kind.kind == "f" and any(isinstance(n, int) and abs(n) > EXACT for n in (start, stop)):
        # As floats they would not be these numbers, and their distance another one.
        plain = False
    if plain and is_native(kind) and kind.isnative and kind.kind in "iuf" and kind.itemsize > 2:
        numbers = [_operand(number) for number in (start, stop, step)]
        return _wrap(ArrayCore.arange(*numbers, kind.name, chunks))._named(name)
    whole = np.arange(start, stop, step, dtype=dtype)
    return asarray(whole, chunks=chunks)._named(name)


def linspace(
    start: float,
    stop: float,
    num: int = 50,
    endpoint: bool = True,
    retstep: bool = False,
    chunks: Any = "auto",
    dtype: Any = None,
    *,
    device: Any = None,
) -> Any:
    """Evenly spaced numbers of an interval.

    Parameters
    ----------
    start, stop : float
    num : int
        How many.
    endpoint : bool
        Whether ``stop`` is the last one.
    retstep : bool
        Whether to answer the distance as well.
    chunks : int, tuple or str
    dtype : dtype, optional

    Examples
    --------
    >>> linspace(0, 1, 5, chunks=2).compute()
    array([0.  , 0.25, 0.5 , 0.75, 1.  ])
    """
    check_device(device)
    num = int(num)
    if isinstance(start, complex) or isinstance(stop, complex):
        whole, distance = np.linspace(start, stop, num, endpoint=endpoint, retstep=True, dtype=dtype)
        lazy = asarray(whole, chunks=chunks)
        return (lazy, distance) if retstep else lazy
    if chunks == "auto":
        chunks = normalize_chunks(chunks, (num,), dtype=dtype)
    kind = None if dtype is None else np.dtype(dtype).name
    result = _wrap(ArrayCore.linspace(float(start), float(stop), num, endpoint, kind, chunks))
    if not retstep:
        return result
    steps = num - 1 if endpoint else num
    return result, (stop - start) / steps if steps > 0 else float("nan")


def eye(
    N: int, chunks: Any = "auto", M: int | None = None, k: int = 0, dtype: Any = float, *, device: Any = None
) -> Array:
    """A matrix with ones on diagonal ``k`` and zeros elsewhere.

    >>> eye(2, chunks=1).compute()
    array([[1., 0.],
           [0., 1.]])
    """
    check_device(device)
    kind = np.dtype(dtype or float)
    M = N if M is None else M
    if not isinstance(chunks, int | str):
        raise ValueError(f"eye takes one size of chunks, or 'auto', not {chunks!r}")
    sizes = normalize_chunks(chunks, (N, M), dtype=kind)
    if is_native(kind) and kind.kind in "biuf":
        return _wrap(ArrayCore.eye(N, M, k, kind.name, sizes))
    return _wrap(ArrayCore.eye(N, M, k, "bool", sizes)).astype(kind)


def identity(n: int, dtype: Any = float, chunks: Any = "auto") -> Array:
    """A square matrix with ones on the diagonal.

    >>> identity(2, dtype=int).sum().compute()
    np.int64(2)
    """
    return eye(n, chunks=chunks, dtype=dtype)


def tri(
    N: int, M: int | None = None, k: int = 0, dtype: Any = float, chunks: Any = "auto", *, like: Any = None
) -> Array:
    """A matrix with ones on and below diagonal ``k`` and zeros above.

    >>> tri(2, chunks=1).compute()
    array([[1., 0.],
           [1., 1.]])
    """
    del like
    kind = np.dtype(dtype)
    if is_native(kind) and kind.kind in "biuf":
        return _wrap(ArrayCore.tri(N, N if M is None else M, k, kind.name, chunks))
    return _wrap(ArrayCore.tri(N, N if M is None else M, k, "bool", chunks)).astype(kind)


def tril(m: Any, k: int = 0) -> Array:
    """A matrix with everything above diagonal ``k`` replaced by zeros.

    >>> tril(ones((2, 2), chunks=1)).compute()
    array([[1., 0.],
           [1., 1.]])
    """
    m = asarray(m)
    return _triangle(m, k, below=True)


def triu(m: Any, k: int = 0) -> Array:
    """A matrix with everything below diagonal ``k`` replaced by zeros.

    >>> triu(ones((2, 2), chunks=1), 1).compute()
    array([[0., 1.],
           [0., 0.]])
    """
    m = asarray(m)
    return _triangle(m, k - 1, below=False)


def _triangle(m: Array, k: int, *, below: bool) -> Array:
    if m.ndim < 2:
        raise ValueError(f"a triangle needs a matrix, not an array of shape {m.shape}")
    from oxidask.array.routines import where

    mask = _wrap(ArrayCore.tri(m.shape[-2], m.shape[-1], k, "bool", m.chunks[-2:]))
    zero = np.zeros((), m.dtype)[()]
    return where(mask, m, zero) if below else where(mask, zero, m)


def diag(v: Any, k: int = 0) -> Array:
    """A diagonal of a matrix, or a matrix with a diagonal.

    >>> diag([1, 2]).compute()
    array([[1, 0],
           [0, 2]])
    """
    from oxidask.array.routines import where
    from oxidask.array.shaping import broadcast_to

    v = asanyarray(v)
    if v.ndim not in (1, 2):
        raise ValueError(f"Array must be 1d or 2d only, and diag got one of shape {v.shape}")
    if v.ndim == 2:
        return diagonal(v, k)
    n = v.shape[0]
    sizes = v.chunks[0]
    on = eye(n, chunks=max(sizes, default=1) or 1, dtype=bool) if n else zeros((0, 0), dtype=bool)
    on = on.rechunk((sizes, sizes))
    made = where(on, broadcast_to(v, (n, n), chunks=(sizes, sizes)), np.zeros((), v.dtype)[()])
    return made if k == 0 else pad(made, ((0, k), (k, 0)) if k > 0 else ((-k, 0), (0, -k)), mode="constant")


def diagonal(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Array:
    """A diagonal of two axes, which becomes the last axis.

    >>> diagonal([[1, 2], [3, 4]]).compute()
    array([1, 4])
    """
    from oxidask.array.shaping import axis_of
    from oxidask.array.slicing import points_of

    a = asanyarray(a)
    if a.ndim < 2:
        # NumPy says what is wrong.
        np.diagonal(np.empty((0,) * a.ndim), offset, axis1, axis2)
    first, second = axis_of(axis1, a.ndim), axis_of(axis2, a.ndim)
    if first == second:
        raise ValueError(f"a diagonal needs two axes, and axis1 and axis2 both name axis {first}")
    rows, columns = a.shape[first], a.shape[second]
    n = max(0, min(rows, columns - offset) if offset >= 0 else min(rows + offset, columns))
    at = np.arange(n)
    order = (first, second, *(i for i in range(a.ndim) if i not in (first, second)))
    moved = points_of(a.transpose(order), [at + max(0, -offset), at + max(0, offset)])
    return moved.transpose((*range(1, moved.ndim), 0))


def indices(dimensions: Any, dtype: Any = int, chunks: Any = "auto") -> Array:
    """The positions of all elements of a grid, one leading row an axis.

    >>> indices((2, 2)).compute().tolist()
    [[[0, 0], [1, 1]], [[0, 1], [0, 1]]]
    """
    from oxidask.array.shaping import broadcast_to
    from oxidask.array.stacking import stack

    dimensions = tuple(dimensions)
    chunks = normalize_chunks(chunks, dimensions, dtype=dtype) if not _explicit(chunks) else chunks
    if len(dimensions) != len(chunks):
        raise ValueError(f"chunks {chunks} are for {len(chunks)} axes, and {len(dimensions)} lengths are given")
    made = []
    for axis, n in enumerate(dimensions):
        if any(is_unknown(c) for c in chunks[axis]):
            raise ValueError("positions need chunks of known sizes\nhint: call compute_chunk_sizes() first")
        along = arange(n, dtype=dtype, chunks=(chunks[axis],))
        shaped = along[(None,) * axis + (slice(None),) + (None,) * (len(dimensions) - axis - 1)]
        # Slices leave empty chunks out, and these are wanted.
        made.append(broadcast_to(shaped.rechunk({axis: chunks[axis]}), dimensions, chunks=chunks))
    return stack(made) if made else empty((0,), dtype=dtype)


def _explicit(chunks: Any) -> bool:
    return isinstance(chunks, tuple) and bool(chunks) and all(isinstance(c, tuple) for c in chunks)


def meshgrid(*xi: Any, sparse: bool = False, indexing: str = "xy", **kwargs: Any) -> list[Array]:
    """Grids of coordinates from vectors.

    >>> [x.compute().tolist() for x in meshgrid([1, 2], [3])]
    [[[1, 2]], [[3, 3]]]
    """
    from oxidask.array.shaping import broadcast_arrays

    if kwargs:
        raise TypeError(f"unsupported keyword argument(s) provided: {sorted(kwargs)}")
    if indexing not in ("ij", "xy"):
        raise ValueError(f"there is no indexing {indexing!r}\nhint: use 'ij' or 'xy'")
    vectors = [asanyarray(x).ravel() for x in xi]
    n = len(vectors)
    made = [x[(None,) * i + (slice(None),) + (None,) * (n - i - 1)] for i, x in enumerate(vectors)]
    if indexing == "xy" and n > 1:
        made = [x.swapaxes(0, 1) for x in made]
    if not sparse and made:
        made = list(broadcast_arrays(*made))
    return made


def fromfunction(function: Any, shape: Any = None, chunks: Any = "auto", dtype: Any = None, **kwargs: Any) -> Array:
    """A function of positions, called with arrays of them.

    >>> fromfunction(lambda i, j: i + j, shape=(2, 2), dtype=int).compute().tolist()
    [[0, 1], [1, 2]]
    """
    shape = (shape,) if isinstance(shape, int) else tuple(shape)
    dtype = np.dtype(dtype or float)
    chunks = normalize_chunks(chunks, shape, dtype=dtype)
    from oxidask.array.blockwise import elemwise
    from oxidask.array.shaping import broadcast_to

    along = [
        arange(n, dtype=dtype, chunks=(c,))[(None,) * i + (slice(None),) + (None,) * (len(shape) - i - 1)]
        for i, (n, c) in enumerate(zip(shape, chunks, strict=True))
    ]
    grids = [broadcast_to(x, shape, chunks=chunks) for x in along]
    return elemwise(FromFunction(function, kwargs), *grids)


class FromFunction:
    """A user's function of blocks of positions."""

    def __init__(self, function: Any, kwargs: Any) -> None:
        self.function, self.kwargs = function, kwargs
        self.__name__ = getattr(function, "__name__", "fromfunction")

    def __call__(self, *grids: Any) -> Any:
        made = self.function(*grids, **self.kwargs)
        return np.broadcast_to(made, grids[0].shape) if np.shape(made) != grids[0].shape else made


def tril_indices(n: int, k: int = 0, m: int | None = None, chunks: Any = "auto") -> tuple[Array, ...]:
    """The positions on and below a diagonal.

    >>> [x.compute().tolist() for x in tril_indices(2)]
    [[0, 1, 1], [0, 0, 1]]
    """
    from oxidask.array.routines import nonzero

    return nonzero(tri(n, m, k=k, dtype=bool, chunks=chunks))


def triu_indices(n: int, k: int = 0, m: int | None = None, chunks: Any = "auto") -> tuple[Array, ...]:
    """The positions on and above a diagonal.

    >>> [x.compute().tolist() for x in triu_indices(2)]
    [[0, 0, 1], [0, 1, 1]]
    """
    from oxidask.array.routines import nonzero

    return nonzero(~tri(n, m, k=k - 1, dtype=bool, chunks=chunks))


def tril_indices_from(arr: Any, k: int = 0) -> tuple[Array, ...]:
    """The positions on and below a diagonal of a matrix; see :func:`tril_indices`.

    >>> len(tril_indices_from(ones((2, 2), chunks=1)))
    2
    """
    if arr.ndim != 2:
        raise ValueError("input array must be 2-d")
    return tril_indices(arr.shape[-2], k=k, m=arr.shape[-1], chunks=arr.chunks)


def triu_indices_from(arr: Any, k: int = 0) -> tuple[Array, ...]:
    """The positions on and above a diagonal of a matrix; see :func:`triu_indices`.

    >>> len(triu_indices_from(ones((2, 2), chunks=1)))
    2
    """
    if arr.ndim != 2:
        raise ValueError("input array must be 2-d")
    return triu_indices(arr.shape[-2], k=k, m=arr.shape[-1], chunks=arr.chunks)


def _pad_widths(array: Array, pad_width: Any) -> list[tuple[int, int]]:
    if isinstance(pad_width, dict):
        pad_width = [pad_width.get(a, pad_width.get(a - array.ndim, 0)) for a in range(array.ndim)]
        pad_width = [(w, w) if isinstance(w, int) else tuple(w) for w in pad_width]
    widths = np.broadcast_to(np.asarray(pad_width), (array.ndim, 2))
    if (widths < 0).any():
        raise ValueError("index can't contain negative values")
    return [(int(a), int(b)) for a, b in widths]


def pad(array: Any, pad_width: Any, mode: Any = "constant", **kwargs: Any) -> Array:
    """The array with margins.

    Parameters
    ----------
    array : array_like
    pad_width : int, pair, or pairs for every axis
    mode : str or callable
        As for :func:`numpy.pad`.
    **kwargs
        ``constant_values``, ``end_values``, ``stat_length``, ``reflect_type``.

    Raises
    ------
    ValueError
        If the mode is unknown or takes no such argument.

    Examples
    --------
    >>> pad([1, 2], 1).compute()
    array([0, 1, 2, 0])
    """
    array = asanyarray(array)
    widths = _pad_widths(array, pad_width)
    # NumPy judges mode and arguments on a small sample.
    np.pad(np.ones((1,) * array.ndim, dtype=array.dtype), [(0, 0)] * array.ndim, mode=mode, **kwargs)
    if mode == "empty":
        mode, kwargs = "constant", {}
    if callable(mode):
        whole = array.rechunk({a: -1 for a in range(array.ndim)})
        wide = pad(whole, widths, "constant").rechunk({a: -1 for a in range(array.ndim)})
        return map_blocks(PadWith(mode, widths, kwargs), wide, dtype=array.dtype, meta=array._meta)
    result = array
    for axis, (before, after) in enumerate(widths):
        if before or after:
            own = {
                k: _of_axis(v, axis, array.ndim) if k in ("constant_values", "end_values", "stat_length") else v
                for k, v in kwargs.items()
            }
            result = _pad_axis(result, axis, before, after, mode, own)
    return result


class PadWith:
    """A user's function that fills margins, axis by axis."""

    __name__ = "pad"

    def __init__(self, func: Any, widths: Any, kwargs: Any) -> None:
        self.func, self.widths, self.kwargs = func, widths, kwargs

    def __call__(self, block: Any) -> Any:
        block = block.copy()
        for axis, width in enumerate(self.widths):
            np.apply_along_axis(self._vector, axis, block, width, axis)
            view = np.moveaxis(block, axis, -1)
            for at in np.ndindex(view.shape[:-1]):
                self.func(view[at], width, axis, self.kwargs)
        return block

    @staticmethod
    def _vector(vector: Any, width: Any, axis: int) -> Any:
        return vector


def _of_axis(value: Any, axis: int, ndim: int) -> Any:
    if value is None:
        return None
    if isinstance(value, Array):
        value = value.compute()
    return tuple(np.broadcast_to(np.asarray(value), (ndim, 2))[axis].tolist())


class PadAlong:
    """Margins of a chunk that is whole along an axis."""

    __name__ = "pad"

    def __init__(self, axis: int, width: tuple[int, int], mode: str, kwargs: Any) -> None:
        self.axis, self.width, self.mode, self.kwargs = axis, width, mode, kwargs

    def __call__(self, block: Any) -> Any:
        widths = [(0, 0)] * block.ndim
        widths[self.axis] = self.width
        return np.pad(block, widths, mode=self.mode, **self.kwargs)


def _pad_axis(x: Array, axis: int, before: int, after: int, mode: str, kwargs: dict[str, Any]) -> Array:
    """Margins along one axis: blocks of their own where their values are known, else of one chunk."""
    from oxidask.array.stacking import concatenate

    lead = (slice(None),) * axis
    n = x.shape[axis]
    if mode in ("constant", "edge", "wrap", "reflect", "symmetric") and kwargs.get("reflect_type", "even") == "even":
        parts = [x]
        if mode == "constant":
            low, high = kwargs.get("constant_values", (0, 0))
            sides = [
                full(
                    [w if a == axis else s for a, s in enumerate(x.shape)],
                    np.asarray(value).astype(x.dtype)[()],
                    x.dtype,
                    tuple((w,) if a == axis else c for a, c in enumerate(x.chunks)),
                )
                for w, value in ((before, low), (after, high))
            ]
        else:
            at = np.pad(np.arange(n), (before, after), mode=mode)
            sides = [x[(*lead, at[:before])], x[(*lead, at[before + n :])]]
        parts = [sides[0]] * bool(before) + parts + [sides[1]] * bool(after)
        return concatenate(parts, axis)
    sizes = x.chunks
    whole = x.rechunk({axis: -1})
    ind = tuple(range(x.ndim))
    made = blockwise(
        PadAlong(axis, (before, after), mode, kwargs),
        ind,
        whole,
        ind,
        adjust_chunks={axis: n + before + after},
        dtype=x.dtype,
        meta=x._meta,
        token="pad",
    )
    wanted = [*sizes[axis]]
    wanted = [before] * bool(before) + wanted + [after] * bool(after)
    return made.rechunk({axis: tuple(wanted)})

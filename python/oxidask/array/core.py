"""The lazy array and what makes one from existing data.

:class:`Array` answers NumPy's protocols; everything it does is a plan until
``compute``. This module parses arguments and calls the engine: it holds no
chunk arithmetic and builds no graph.
"""

from __future__ import annotations

import math
import operator
import uuid
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from oxidask._oxidask import ArrayCore
from oxidask.base import DaskMethodsMixin

__all__ = ["Array", "asanyarray", "asarray", "from_array", "normalize_chunks"]

#: Functions of NumPy that reduce, by the ufunc whose ``reduce`` they are.
_REDUCTIONS = {
    "add": "sum",
    "multiply": "prod",
    "maximum": "max",
    "minimum": "min",
    "logical_and": "all",
    "logical_or": "any",
    "fmax": "nanmax",
    "fmin": "nanmin",
}


def _wrap(core: ArrayCore) -> Array:
    """The array over a core of the engine."""
    array = object.__new__(Array)
    array._core = core
    return array


def _native(array: np.ndarray) -> np.ndarray:
    """The array in memory that the engine can look at: native byte order, elements aligned."""
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    itemsize = array.dtype.itemsize
    if not array.flags.aligned or any(stride % itemsize for stride in array.strides):
        array = array.copy()
    return array


def _is_array_like(x: Any) -> bool:
    return hasattr(x, "shape") and hasattr(x, "dtype") and hasattr(x, "__getitem__")


def _operand(x: Any) -> Any:
    """An argument of a function of arrays, as the engine takes it."""
    if isinstance(x, Array):
        return x._core
    if isinstance(x, np.generic):
        return (x.dtype.name, x.item())
    if isinstance(x, bool | int | float):
        return x
    return asarray(x)._core


def _core_of(x: Any) -> ArrayCore:
    core = _operand(x)
    return core if isinstance(core, ArrayCore) else asarray(x)._core


def _dtype_name(dtype: Any) -> str | None:
    return None if dtype is None else np.dtype(dtype).name


def _axes(axis: Any) -> list[int] | None:
    if axis is None:
        return None
    if isinstance(axis, tuple | list):
        return [operator.index(a) for a in axis]
    return [operator.index(axis)]


def _split_every(split_every: Any) -> int | None:
    if isinstance(split_every, dict):
        return max(2, math.prod(split_every.values()))
    if split_every is None or split_every is True:
        return None
    if split_every is False:
        return 2**31
    return max(2, operator.index(split_every))


def normalize_chunks(chunks: Any, shape: Any = None, dtype: Any = None, **kwargs: Any) -> tuple[tuple[int, ...], ...]:
    """The sizes of all chunks that a wish for chunks means.

    Parameters
    ----------
    chunks : int, tuple, dict, str or None
        A size for all axes or one entry for each: an int, a tuple of sizes, -1
        or None for a whole axis, ``"auto"``, or a text such as ``"64 MiB"``.
    shape : tuple of int
    dtype : dtype, optional
        Needed for sizes that depend on bytes; ``float64`` by default.

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
    del kwargs
    if shape is None:
        if not isinstance(chunks, tuple | list) or not all(isinstance(c, tuple | list) for c in chunks):
            raise ValueError(f"chunks {chunks!r} need a shape")
        shape = tuple(sum(sizes) for sizes in chunks)
    shape = (shape,) if isinstance(shape, int) else tuple(shape)
    sizes = ArrayCore.normalize_chunks(chunks, list(shape), _dtype_name(dtype) or "float64")
    return tuple(tuple(axis) for axis in sizes)


class _Reader:
    """Reads one block of something that can be sliced."""

    def __init__(self, source: Any, borders: Sequence[Sequence[int]], lock: Any) -> None:
        self.source, self.borders, self.lock = source, borders, lock

    def __call__(self, block: int) -> np.ndarray:
        index = []
        for borders in reversed(self.borders):
            block, at = divmod(block, len(borders) - 1)
            index.append(slice(borders[at], borders[at + 1]))
        if self.lock:
            with self.lock:
                return np.asarray(self.source[tuple(reversed(index))])
        return np.asarray(self.source[tuple(reversed(index))])

    __name__ = "from_array"


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
    asarray, fancy, getitem, meta, inline_array
        Accepted for compatibility.

    Returns
    -------
    Array

    Raises
    ------
    ValueError
        If the chunks do not fit the shape; both are named.
    TypeError
        If the dtype is not supported.

    Examples
    --------
    >>> import numpy as np
    >>> from_array(np.arange(6), chunks=2).chunks
    ((2, 2, 2),)
    """
    del asarray, fancy, getitem, meta, inline_array
    if isinstance(x, Array):
        raise ValueError("the array is lazy already\nhint: use asarray or rechunk")
    if isinstance(x, list | tuple | memoryview | bool | int | float | np.generic):
        x = np.array(x)
    if name is False:
        name = uuid.uuid4().hex
    elif name is True:
        name = None
    if isinstance(x, np.ndarray) and type(x) in (np.ndarray, np.memmap):
        return _wrap(ArrayCore.from_numpy(_native(x.view(np.ndarray)), chunks, name))
    if not _is_array_like(x):
        raise TypeError(f"cannot make an array of {type(x).__name__}: it has no shape, dtype and slices")
    own = getattr(x, "chunks", None)
    if chunks == "auto" and own is not None:
        chunks = own
    sizes = normalize_chunks(chunks, x.shape, x.dtype)
    if lock is True:
        import threading

        lock = threading.Lock()
    borders = [[0, *np.cumsum(axis).tolist()] for axis in sizes]
    if name is None:
        from oxidask.tokenize import tokenize

        name = tokenize(x, sizes, x.dtype)
    reader = _Reader(x, borders, lock)
    core = ArrayCore.map_blocks(reader, f"from_array-{name}", [], [], sizes, np.dtype(x.dtype).name, True)
    return _wrap(core)


def asarray(a: Any, allow_unknown_chunksizes: bool = False, dtype: Any = None, **kwargs: Any) -> Array:
    """The argument as a lazy array; itself if it is one.

    Parameters
    ----------
    a : array_like
        Also a (nested) list of numbers.
    dtype : dtype, optional

    Returns
    -------
    Array

    Examples
    --------
    >>> asarray([1, 2, 3]).sum().compute()
    np.int64(6)
    """
    del allow_unknown_chunksizes
    if not isinstance(a, Array):
        if isinstance(a, list | tuple) and any(isinstance(x, Array) for x in a):
            from oxidask.array.routines import stack

            a = stack([asarray(x) for x in a])
        else:
            a = from_array(a if _is_array_like(a) else np.asarray(a), chunks=kwargs.pop("chunks", "auto"))
    return a if dtype is None else a.astype(dtype)


def asanyarray(a: Any, dtype: Any = None, **kwargs: Any) -> Array:
    """The argument as a lazy array; see :func:`asarray`.

    Examples
    --------
    >>> asanyarray([[1, 2]]).shape
    (1, 2)
    """
    return asarray(a, dtype=dtype, **kwargs)


def _apply(name: str, *args: Any, dtype: Any = None, out: Any = None) -> Array:
    """An elementwise function of the engine."""
    operands = [_operand(x) for x in args]
    if dtype is not None:
        wanted = np.dtype(dtype).name
        operands = [x.astype(wanted) if isinstance(x, ArrayCore) else x for x in operands]
    result = _wrap(ArrayCore.apply(name, operands))
    if dtype is not None:
        result = result.astype(dtype)
    return _into(out, result)


def _into(out: Any, result: Array) -> Array:
    """Puts a result into the array that the user gave for it."""
    if isinstance(out, tuple):
        (out,) = out
    if out is None:
        return result
    if not isinstance(out, Array):
        raise TypeError(f"out must be a lazy array, not {type(out).__name__}")
    if out.shape != result.shape:
        raise ValueError(f"out has shape {out.shape}, the result {result.shape}")
    out._core = result.astype(out.dtype)._core
    return out


def _binary(name: str, *, reflected: bool = False) -> Callable[[Array, Any], Any]:
    def method(self: Array, other: Any) -> Any:
        if not (
            isinstance(other, Array | np.ndarray | np.generic | bool | int | float | list) or _is_array_like(other)
        ):
            return NotImplemented
        return _apply(name, other, self) if reflected else _apply(name, self, other)

    return method


def _unary(name: str) -> Callable[[Array], Array]:
    return lambda self: _apply(name, self)


class Array(DaskMethodsMixin):
    """A lazy array, cut into chunks.

    Make one with :func:`from_array`, :func:`oxidask.array.ones` and its kin, or
    :mod:`oxidask.array.random`. Operators, functions and slices answer new lazy
    arrays; ``compute()`` answers a NumPy array.

    Examples
    --------
    >>> import numpy as np
    >>> import oxidask.array as da
    >>> x = da.arange(10, chunks=5)
    >>> ((x + 1)[::2] ** 2).sum().compute()
    np.int64(165)
    >>> np.sin(x).max().compute() == np.sin(np.arange(10)).max()
    np.True_
    """

    __slots__ = ("_core",)
    _core: ArrayCore

    #: NumPy asks arrays with a higher priority first.
    __array_priority__ = 11

    def __oxidask_expr__(self) -> Any:
        return self._core.expr()

    def __dask_tokenize__(self) -> str:
        return self._core.key

    # What it is.

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of every axis."""
        return self._core.shape

    @property
    def dtype(self) -> np.dtype:
        """The dtype."""
        return np.dtype(self._core.dtype)

    @property
    def chunks(self) -> tuple[tuple[int, ...], ...]:
        """The sizes of the chunks along every axis."""
        return self._core.chunks

    @property
    def chunksize(self) -> tuple[int, ...]:
        """The largest chunk along every axis."""
        return self._core.chunksize

    @property
    def numblocks(self) -> tuple[int, ...]:
        """The number of chunks along every axis."""
        return self._core.numblocks

    @property
    def npartitions(self) -> int:
        """The number of chunks."""
        return self._core.npartitions

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self._core.ndim

    @property
    def size(self) -> int:
        """The number of elements."""
        return self._core.size

    @property
    def nbytes(self) -> int:
        """Bytes of all elements, were they computed."""
        return self._core.nbytes

    @property
    def itemsize(self) -> int:
        """Bytes of one element."""
        return self.dtype.itemsize

    @property
    def name(self) -> str:
        """A name that depends on the content."""
        return f"{self._core.label}-{self._core.key}"

    @property
    def key(self) -> str:
        """The content hash."""
        return self._core.key

    @property
    def T(self) -> Array:
        """The array with its axes reversed."""
        return _wrap(self._core.transpose(None))

    @property
    def real(self) -> Array:
        """The real part: the array itself, as there are no complex dtypes."""
        return self

    @property
    def blocks(self) -> BlockView:
        """The array by its blocks: ``x.blocks[0, 1]`` is a lazy array of one.

        >>> import oxidask.array as da
        >>> da.arange(10, chunks=4).blocks[-1].compute()
        array([8, 9])
        """
        return BlockView(self)

    partitions = blocks

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of an array without dimensions")
        return self.shape[0]

    def __iter__(self) -> Iterator[Array]:
        for position in range(len(self)):
            yield self[position]

    def __repr__(self) -> str:
        return (
            f"oxidask.array<{self._core.label}, shape={self.shape}, dtype={self.dtype}, "
            f"chunksize={self.chunksize}, chunktype=numpy.ndarray>"
        )

    def _repr_html_(self) -> str:
        from oxidask.array._html import to_html

        return to_html(self)

    def to_svg(self, size: float = 200) -> str:
        """A picture of the chunks as SVG text.

        >>> import oxidask.array as da
        >>> da.ones((4, 4), chunks=2).to_svg().startswith("<svg")
        True
        """
        return self._core.svg(float(size))

    def explain(self) -> str:
        """The plan as text, after optimising.

        >>> import oxidask.array as da
        >>> print((da.ones(4, chunks=2) + 1).sum().explain().strip())
        sum axes [0] of add(1.0, 1.0)
        """
        return self._core.explain()

    # NumPy's protocols.

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        del copy
        return np.asarray(self.compute(), dtype=dtype)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        from oxidask.array import ufunc as ours

        if any(
            not isinstance(x, Array | np.ndarray | np.generic | bool | int | float | list) and not _is_array_like(x)
            for x in inputs
        ):
            return NotImplemented
        if method == "reduce" and ufunc.__name__ in _REDUCTIONS:
            axis = kwargs.pop("axis", 0)
            kwargs = {k: v for k, v in kwargs.items() if v is not None}
            return getattr(asarray(inputs[0]), _REDUCTIONS[ufunc.__name__])(axis=axis, **kwargs)
        if method == "outer" and ufunc.__name__ == "multiply":
            from oxidask.array.routines import outer

            return outer(*inputs)
        if method != "__call__":
            return NotImplemented
        if ufunc.__name__ in ours.NAMES:
            return _apply(ufunc.__name__, *inputs, dtype=kwargs.get("dtype"), out=kwargs.get("out"))
        if ufunc is np.matmul:
            return asarray(inputs[0]) @ asarray(inputs[1])
        if ufunc is np.divmod:
            return divmod(asarray(inputs[0]), inputs[1])
        if ufunc.signature is None and ufunc.nout == 1:
            from oxidask.array.blocks import map_blocks

            return map_blocks(ufunc, *inputs, **kwargs)
        return NotImplemented

    def __array_function__(self, func: Callable[..., Any], types: Any, args: Any, kwargs: Any) -> Any:
        import oxidask.array as module

        for part in func.__module__.split(".")[1:]:
            module = getattr(module, part, None)
            if module is None:
                return NotImplemented
        ours = getattr(module, func.__name__, None)
        if ours is None or ours is func or not all(issubclass(t, Array | np.ndarray) for t in types):
            return NotImplemented
        return ours(*args, **kwargs)

    def _scalar(self) -> Any:
        if self.size != 1:
            raise TypeError(f"only an array of one element is a single number, not one of shape {self.shape}")
        return self.reshape(()).compute()

    def __bool__(self) -> bool:
        if self.size > 1:
            raise ValueError(
                f"the truth value of an array of {self.size} elements is ambiguous\nhint: use any() or all()"
            )
        return bool(self.compute())

    def __int__(self) -> int:
        return int(self._scalar())

    def __float__(self) -> float:
        return float(self._scalar())

    def __complex__(self) -> complex:
        return complex(self._scalar())

    def __index__(self) -> int:
        return operator.index(self._scalar())

    def item(self) -> Any:
        """The only element, computed."""
        return self._scalar().item()

    def __getitem__(self, index: Any) -> Array:
        entries = index if isinstance(index, tuple) else (index,)
        for entry in entries:
            if isinstance(entry, list | np.ndarray | Array) and not (isinstance(entry, np.ndarray) and entry.ndim == 0):
                raise NotImplementedError(
                    "indexing with arrays and lists is not available yet\nhint: use slices and integers"
                )
        return _wrap(self._core.getitem(index))

    __add__ = _binary("add")
    __radd__ = _binary("add", reflected=True)
    __sub__ = _binary("subtract")
    __rsub__ = _binary("subtract", reflected=True)
    __mul__ = _binary("multiply")
    __rmul__ = _binary("multiply", reflected=True)
    __truediv__ = _binary("divide")
    __rtruediv__ = _binary("divide", reflected=True)
    __floordiv__ = _binary("floor_divide")
    __rfloordiv__ = _binary("floor_divide", reflected=True)
    __mod__ = _binary("remainder")
    __rmod__ = _binary("remainder", reflected=True)
    __pow__ = _binary("power")
    __rpow__ = _binary("power", reflected=True)
    __and__ = _binary("bitwise_and")
    __rand__ = _binary("bitwise_and", reflected=True)
    __or__ = _binary("bitwise_or")
    __ror__ = _binary("bitwise_or", reflected=True)
    __xor__ = _binary("bitwise_xor")
    __rxor__ = _binary("bitwise_xor", reflected=True)
    __lshift__ = _binary("left_shift")
    __rlshift__ = _binary("left_shift", reflected=True)
    __rshift__ = _binary("right_shift")
    __rrshift__ = _binary("right_shift", reflected=True)
    __eq__ = _binary("equal")  # type: ignore[assignment]
    __ne__ = _binary("not_equal")  # type: ignore[assignment]
    __lt__ = _binary("less")
    __le__ = _binary("less_equal")
    __gt__ = _binary("greater")
    __ge__ = _binary("greater_equal")
    __neg__ = _unary("negative")
    __pos__ = _unary("positive")
    __abs__ = _unary("absolute")
    __invert__ = _unary("invert")

    def __hash__(self) -> int:
        return hash(self._core.key)

    def __divmod__(self, other: Any) -> tuple[Array, Array]:
        return self // other, self % other

    def __rdivmod__(self, other: Any) -> tuple[Array, Array]:
        return other // self, other % self

    def __matmul__(self, other: Any) -> Array:
        return _wrap(self._core.matmul(_core_of(other)))

    def __rmatmul__(self, other: Any) -> Array:
        return _wrap(_core_of(other).matmul(self._core))

    # Other shapes, chunks and dtypes.

    def astype(self, dtype: Any, **kwargs: Any) -> Array:
        """The elements converted to another dtype.

        Floats beyond the range of an integer dtype become its nearest bound and
        NaN becomes 0, where NumPy leaves the result open.

        >>> import oxidask.array as da
        >>> da.arange(3, chunks=2).astype("f4").dtype
        dtype('float32')
        """
        casting = kwargs.pop("casting", "unsafe")
        kwargs.pop("copy", None)
        if kwargs:
            raise TypeError(f"astype takes no argument {next(iter(kwargs))!r}")
        if not np.can_cast(self.dtype, dtype, casting=casting):
            raise TypeError(f"cannot cast {self.dtype} to {np.dtype(dtype)} by the rule {casting!r}")
        return _wrap(self._core.astype(np.dtype(dtype).name))

    def rechunk(
        self,
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
            See :func:`normalize_chunks`; axes that a dict leaves out, and None,
            keep their chunks.
        block_size_limit : int, optional
            Bytes of a block where ``chunks`` says ``"auto"``.
        threshold, balance, method
            Accepted for compatibility.

        Examples
        --------
        >>> import oxidask.array as da
        >>> da.ones((4, 6), chunks=2).rechunk({1: -1}).chunks
        ((2, 2), (6,))
        """
        del threshold, balance, method
        if block_size_limit is not None and chunks == "auto":
            chunks = f"{block_size_limit} B"
        return _wrap(self._core.rechunk(chunks))

    def reshape(self, *shape: Any, merge_chunks: bool = True, limit: Any = None) -> Array:
        """The same elements in C order in another shape; one length may be -1.

        >>> import oxidask.array as da
        >>> da.arange(6, chunks=3).reshape(2, -1).compute()
        array([[0, 1, 2],
               [3, 4, 5]])
        """
        del merge_chunks, limit
        if len(shape) == 1 and isinstance(shape[0], tuple | list):
            (shape,) = shape
        return _wrap(self._core.reshape([operator.index(n) for n in shape]))

    def ravel(self) -> Array:
        """All elements along one axis.

        >>> import oxidask.array as da
        >>> da.ones((2, 3), chunks=2).ravel().shape
        (6,)
        """
        return self.reshape(-1)

    flatten = ravel

    def transpose(self, *axes: Any) -> Array:
        """The array with its axes in another order; reversed without arguments.

        >>> import oxidask.array as da
        >>> da.ones((2, 3, 4), chunks=2).transpose(1, 2, 0).shape
        (3, 4, 2)
        """
        if len(axes) == 1 and (axes[0] is None or isinstance(axes[0], tuple | list)):
            (axes,) = axes
        return _wrap(self._core.transpose(_axes(axes) or None))

    def swapaxes(self, axis1: int, axis2: int) -> Array:
        """The array with two axes exchanged.

        >>> import oxidask.array as da
        >>> da.ones((2, 3, 4), chunks=2).swapaxes(0, -1).shape
        (4, 3, 2)
        """
        axes = list(range(self.ndim))
        axes[axis1], axes[axis2] = axes[axis2], axes[axis1]
        return self.transpose(axes)

    def squeeze(self, axis: Any = None) -> Array:
        """Without axes of length one.

        >>> import oxidask.array as da
        >>> da.ones((1, 3, 1), chunks=2).squeeze(axis=0).shape
        (3, 1)
        """
        return _wrap(self._core.squeeze(_axes(axis)))

    def clip(self, min: Any = None, max: Any = None) -> Array:
        """Elements beyond a bound replaced by it.

        >>> import oxidask.array as da
        >>> da.arange(5, chunks=2).clip(1, 3).compute()
        array([1, 1, 2, 3, 3])
        """
        bounds = [None if bound is None else _operand(bound) for bound in (min, max)]
        return _wrap(self._core.clip(*bounds))

    def copy(self) -> Array:
        """A second array of the same content."""
        return _wrap(self._core)

    def dot(self, other: Any) -> Array:
        """The product with another array; see :func:`oxidask.array.dot`."""
        return _wrap(self._core.dot(_core_of(other)))

    def map_blocks(self, func: Callable[..., Any], *args: Any, **kwargs: Any) -> Array:
        """A function of NumPy arrays on every block; see :func:`oxidask.array.map_blocks`."""
        from oxidask.array.blocks import map_blocks

        return map_blocks(func, self, *args, **kwargs)

    def to_delayed(self, optimize_graph: bool = True) -> np.ndarray:
        """A NumPy array of objects, one ``Delayed`` for each block.

        >>> import oxidask.array as da
        >>> da.arange(4, chunks=2).to_delayed()[1].compute()
        array([2, 3])
        """
        del optimize_graph
        from oxidask import delayed

        take = delayed(np.asarray, pure=True)
        blocks = np.empty(self.numblocks, dtype=object)
        for position in np.ndindex(*self.numblocks):
            blocks[position] = take(self.blocks[position])
        return blocks

    def to_dask_array(self) -> Array:
        """The array itself."""
        return self

    # Reductions.

    def _reduce(
        self,
        name: str,
        axis: Any = None,
        keepdims: bool = False,
        dtype: Any = None,
        ddof: float = 0,
        split_every: Any = None,
        out: Any = None,
    ) -> Array:
        core = self._core.reduce(
            name, _axes(axis), bool(keepdims), _dtype_name(dtype), float(ddof), _split_every(split_every)
        )
        return _into(out, _wrap(core))


_DDOF_DOC = """\
        ddof : float
            Taken off the number of elements that is divided by.
"""


def _reduction(name: str, what: str, *, dtype: bool = False, ddof: bool = False) -> Callable[..., Array]:
    """A method of arrays that reduces."""
    doc = f"""{what}, along one axis, several, or all.

        Parameters
        ----------
        axis : int or tuple of int, optional
            All axes by default.
{"        dtype : dtype, optional" + chr(10) if dtype else ""}\
{_DDOF_DOC if ddof else ""}\
        keepdims : bool
            Whether reduced axes stay, at length one.
        split_every : int, optional
            How many blocks' partial results one task combines.

        Returns
        -------
        Array

        Examples
        --------
        >>> import numpy as np
        >>> import oxidask.array as da
        >>> x = np.array([[1.0, 5.0], [4.0, 2.0]])
        >>> y = da.from_array(x, chunks=1).{name}(axis=0).compute()
        >>> bool(np.allclose(y, np.{name}(x, axis=0)))
        True
        """
    if dtype and ddof:

        def method(self, axis=None, dtype=None, keepdims=False, ddof=0, split_every=None, out=None):  # type: ignore[no-untyped-def]
            return self._reduce(name, axis, keepdims, dtype, ddof, split_every, out)

    elif dtype:

        def method(self, axis=None, dtype=None, keepdims=False, split_every=None, out=None):  # type: ignore[no-untyped-def]
            return self._reduce(name, axis, keepdims, dtype, 0, split_every, out)

    else:

        def method(self, axis=None, keepdims=False, split_every=None, out=None):  # type: ignore[no-untyped-def]
            return self._reduce(name, axis, keepdims, None, 0, split_every, out)

    method.__name__ = name
    method.__qualname__ = f"Array.{name}"
    method.__doc__ = doc
    return method


#: The reductions: a name, what it answers, whether it takes a dtype or ddof.
REDUCTIONS = {
    "sum": ("The sum", True, False),
    "prod": ("The product", True, False),
    "mean": ("The mean", True, False),
    "std": ("The standard deviation", True, True),
    "var": ("The variance", True, True),
    "min": ("The smallest element", False, False),
    "max": ("The largest element", False, False),
    "any": ("Whether any element is true", False, False),
    "all": ("Whether all elements are true", False, False),
    "argmin": ("The position of the smallest element", False, False),
    "argmax": ("The position of the largest element", False, False),
    "nansum": ("The sum of what is not NaN", True, False),
    "nanprod": ("The product of what is not NaN", True, False),
    "nanmean": ("The mean of what is not NaN", True, False),
    "nanmin": ("The smallest element that is not NaN", False, False),
    "nanmax": ("The largest element that is not NaN", False, False),
    "count_nonzero": ("The number of elements that are not zero", False, False),
}

for _name, (_what, _has_dtype, _has_ddof) in REDUCTIONS.items():
    setattr(Array, _name, _reduction(_name, _what, dtype=_has_dtype, ddof=_has_ddof))


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

    def __getitem__(self, index: Any) -> Array:
        index = index if isinstance(index, tuple) else (index,)
        if any(entry is None for entry in index):
            raise ValueError("new axes are not possible among blocks")
        positions = np.arange(self.size).reshape(self.shape)
        # NumPy judges the index, so that mistakes read as usual.
        positions[tuple(slice(i, i + 1) if isinstance(i, int | np.integer) and i != -1 else i for i in index)]
        result = self._array
        entries = list(index)
        if Ellipsis in entries:
            at = entries.index(Ellipsis)
            entries[at : at + 1] = [slice(None)] * (result.ndim - len(entries) + 1)
        for axis, entry in enumerate(entries):
            result = _take_chunks(result, axis, entry)
        return result

    def ravel(self) -> list[Array]:
        """All blocks in C order.

        >>> import oxidask.array as da
        >>> [b.shape for b in da.ones((3, 2), chunks=2).blocks.ravel()]
        [(2, 2), (1, 2)]
        """
        return [self[position] for position in np.ndindex(*self.shape)]


def _take_chunks(array: Array, axis: int, entry: Any) -> Array:
    """Some chunks of one axis."""
    sizes = array.chunks[axis]
    borders = [0, *np.cumsum(sizes).tolist()]
    if isinstance(entry, slice):
        chosen = list(range(len(sizes)))[entry]
    else:
        chosen = np.atleast_1d(np.arange(len(sizes))[entry]).tolist()
    lead = (slice(None),) * axis
    if chosen and chosen == list(range(chosen[0], chosen[-1] + 1)):
        return array[(*lead, slice(borders[chosen[0]], borders[chosen[-1] + 1]))]
    from oxidask.array.routines import concatenate

    return concatenate([array[(*lead, slice(borders[i], borders[i + 1]))] for i in chosen], axis=axis)

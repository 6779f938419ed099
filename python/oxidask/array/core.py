"""The lazy array and what makes one from existing data.

:class:`Array` answers NumPy's protocols; everything it does is a plan until
``compute``. This module parses arguments and calls the engine: it holds no
chunk arithmetic and builds no graph.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from oxidask import _oxidask
from oxidask._oxidask import ArrayCore
from oxidask.array._generic import block_numbers, has_unknown, is_native, is_unknown, kind_of_block, table
from oxidask.array._meta import quiet
from oxidask.base import LazyCollection

__all__ = ["Array"]

#: The names of the engine's elementwise functions, without those that NumPy refuses for some dtypes.
NATIVE = frozenset(name for name, _ in _oxidask.array_functions()) - {"isnat", "conj", "conjugate"}

#: Of these, those that NumPy refuses for a kind of dtype, or where it has an answer of its own for what is
#: infinite, not a number, or divided by zero.
_LEFT_TO_NUMPY = {
    "c": frozenset(
        [
            "sign",
            "sqrt",
            "expm1",
            "log1p",
            "sinh",
            "cosh",
            "tanh",
            "arcsin",
            "arccos",
            "arctan",
            "arcsinh",
            "arccosh",
            "arctanh",
            "deg2rad",
            "rad2deg",
            "radians",
            "degrees",
        ]
    ),
    "m": frozenset(["floor_divide", "fmod", "sign"]),
}

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
    array._core, array._given = core, None
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


#: Classes of arrays that users said may be blocks.
CHUNK_TYPES: list[type] = []


def is_chunk(x: Any) -> bool:
    """Whether an array may be a block, so that a lazy array beside it takes the lead."""
    if isinstance(x, np.ndarray | np.generic | memoryview):
        return True
    module = type(x).__module__.split(".")[0]
    return module in ("sparse", "cupy", "scipy", "dask") or any(isinstance(x, kind) for kind in CHUNK_TYPES)


def _operand(x: Any) -> Any:
    """An argument of a function of arrays, as the engine takes it."""
    if isinstance(x, Array):
        return x._core
    if isinstance(x, np.generic):
        return (x.dtype.name, x.item())
    if isinstance(x, bool | int | float):
        return x
    return asarray(x)._core


def _is_native_operand(x: Any) -> bool:
    """Whether the engine takes an argument: its own arrays, numbers, and what becomes such an array."""
    if isinstance(x, Array):
        return isinstance(x._core, ArrayCore)
    if isinstance(x, np.generic):
        return is_native(x.dtype) and isinstance(x.item(), bool | int | float)
    if isinstance(x, np.ndarray):
        return type(x) is np.ndarray and is_native(x.dtype)
    return isinstance(x, bool | int | float | list)


def native(*arrays: Any) -> bool:
    """Whether all arrays belong to the engine."""
    return all(isinstance(x._core, ArrayCore) for x in arrays)


def ordered(*arrays: Any) -> bool:
    """Whether all arrays belong to the engine, and it can put their elements in order."""
    return native(*arrays) and all(x.dtype.kind != "c" for x in arrays)


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


def _apply(name: str, *args: Any, dtype: Any = None, out: Any = None, where: Any = True, **kwargs: Any) -> Any:
    """An elementwise function by NumPy's name: the engine's if it has it for the arguments, else NumPy's on blocks."""
    from oxidask.array.blockwise import broadcast_shape, elemwise

    kwargs = {key: value for key, value in kwargs.items() if value is not None}
    func = getattr(np, name)
    # NumPy has second names for some: acos, pow.
    name = func.__name__ if func.__name__ in NATIVE else name
    refused = any(name in _LEFT_TO_NUMPY.get(x.dtype.kind, ()) for x in args if hasattr(x, "dtype"))
    if where is True and not kwargs and name in NATIVE and not refused and all(map(_is_native_operand, args)):
        try:
            operands = [_operand(x) for x in args]
            if dtype is not None:
                wanted = np.dtype(dtype).name
                operands = [x.astype(wanted) if isinstance(x, ArrayCore) else x for x in operands]
            result = _wrap(ArrayCore.apply(name, operands))
        except (TypeError, OverflowError, NotImplementedError):
            pass
        except ValueError as error:
            # NumPy has another error for a number that does not fit a dtype.
            if "out of bounds" not in str(error):
                raise
        else:
            return _into(out, result if dtype is None else result.astype(dtype))
    args = tuple(asanyarray(x) if isinstance(x, list | tuple) else x for x in args)
    broadcast_shape(*[getattr(x, "shape", ()) for x in args])
    if where is not True:
        return elemwise(func, *args, out=out, where=where, dtype=dtype, **kwargs)
    if dtype is not None:
        kwargs["dtype"] = dtype
    metas = [_emptied(x) for x in args]
    with quiet():
        # NumPy says what is wrong with a dtype.
        meta = func(*metas, **kwargs)
    made = elemwise(func, *args, meta=np.asarray(meta) if np.isscalar(meta) else meta, **kwargs)
    return _into(out, made)


def _emptied(x: Any) -> Any:
    """An argument without its elements, where it has several."""
    if isinstance(x, Array):
        return x._meta
    return x[(slice(0),) * x.ndim] if getattr(x, "ndim", 0) and hasattr(x, "shape") else x


def _into(out: Any, result: Any) -> Any:
    """Puts a result into the array that the user gave for it."""
    if isinstance(out, tuple):
        if len(out) > 1:
            raise NotImplementedError("several arrays as out are not supported")
        (out,) = out
    if out is None:
        return result
    if isinstance(out, np.ndarray):
        out[...] = result.compute()
        return out
    if not isinstance(out, Array):
        raise TypeError(f"out must be a lazy array, not {type(out).__name__}")
    if out.shape != result.shape:
        raise ValueError(f"out has shape {out.shape}, and the result has {result.shape}")
    out._core, out._given = result.astype(out.dtype)._core, None
    return out


def _binary(name: str, *, reflected: bool = False) -> Callable[[Array, Any], Any]:
    def method(self: Array, other: Any) -> Any:
        if not (
            isinstance(other, Array | bool | int | float | complex | list | tuple | str | bytes) or is_chunk(other)
        ):
            return NotImplemented
        return _apply(name, other, self) if reflected else _apply(name, self, other)

    return method


def _unary(name: str) -> Callable[[Array], Array]:
    return lambda self: _apply(name, self)


class Array(LazyCollection):
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

    __slots__ = ("_core", "_given")
    #: What the engine, or a table of Python blocks, knows of the array.
    _core: Any
    #: The name that the user gave.
    _given: str | None

    #: NumPy asks arrays with a higher priority first.
    __array_priority__ = 11

    def __new__(
        cls, dask: Any, name: str, chunks: Any, dtype: Any = None, meta: Any = None, shape: Any = None
    ) -> Array:
        """An array over a dict graph with the keys ``(name, 0, 0)``, ``(name, 0, 1)``, …."""
        from oxidask.array.delayed import from_graph

        return from_graph(dask, name, chunks, dtype=dtype, meta=meta, shape=shape)

    def __oxidask_expr__(self) -> Any:
        return self._core.expr()

    def __dask_tokenize__(self) -> Any:
        return self._core.key

    def _named(self, name: Any) -> Array:
        """The array itself, which gets a name of the user's choice."""
        self._given = name if isinstance(name, str) else None
        return self

    # What it is.

    @property
    def shape(self) -> tuple[Any, ...]:
        """The length of every axis; NaN where it is not known."""
        return self._core.shape  # type: ignore[no-any-return]

    @property
    def dtype(self) -> np.dtype:
        """The dtype."""
        return np.dtype(self._core.dtype)

    @property
    def _meta(self) -> Any:
        """An empty block: the class and dtype of all blocks."""
        if isinstance(self._core, ArrayCore):
            return np.empty((0,) * self.ndim, dtype=self.dtype)
        return self._core.meta

    @property
    def chunks(self) -> tuple[tuple[Any, ...], ...]:
        """The sizes of the chunks along every axis; NaN where they are not known."""
        return self._core.chunks  # type: ignore[no-any-return]

    @chunks.setter
    def chunks(self, chunks: Any) -> None:
        raise TypeError(f"chunks are not for assigning\nhint: take the array that x.rechunk({chunks}) answers")

    @property
    def _chunks(self) -> tuple[tuple[Any, ...], ...]:
        return self.chunks

    @_chunks.setter
    def _chunks(self, chunks: Any) -> None:
        self._core = _with_chunks(self, chunks)._core

    @property
    def chunksize(self) -> tuple[Any, ...]:
        """The largest chunk along every axis."""
        return tuple(self._core.chunksize)

    @property
    def numblocks(self) -> tuple[int, ...]:
        """The number of chunks along every axis."""
        return tuple(self._core.numblocks)

    @property
    def npartitions(self) -> int:
        """The number of chunks."""
        return self._core.npartitions  # type: ignore[no-any-return]

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self._core.ndim  # type: ignore[no-any-return]

    @property
    def size(self) -> Any:
        """The number of elements."""
        return self._core.size

    @property
    def nbytes(self) -> Any:
        """Bytes of all elements, were they computed."""
        return self._core.nbytes

    @property
    def itemsize(self) -> int:
        """Bytes of one element."""
        return self.dtype.itemsize

    @property
    def name(self) -> str:
        """A name that depends on the content, or the one that the user gave."""
        return self._given or self._core.expr().name

    @property
    def key(self) -> str:
        """The content hash."""
        return self._core.key  # type: ignore[no-any-return]

    @property
    def T(self) -> Array:
        """The array with its axes reversed."""
        return self.transpose()

    @property
    def A(self) -> Array:
        """The array itself."""
        return self

    @property
    def real(self) -> Array:
        """The real part."""
        from oxidask.array.ufunc import real

        return real(self)

    @property
    def imag(self) -> Array:
        """The imaginary part."""
        from oxidask.array.ufunc import imag

        return imag(self)

    @property
    def blocks(self) -> Any:
        """The array by its blocks: ``x.blocks[0, 1]`` is a lazy array of one.

        >>> import oxidask.array as da
        >>> da.arange(10, chunks=4).blocks[-1].compute()
        array([8, 9])
        """
        from oxidask.array.slicing import BlockView

        return BlockView(self)

    @property
    def partitions(self) -> Any:
        """The same as :attr:`blocks`."""
        return self.blocks

    @property
    def vindex(self) -> Any:
        """Selection by points: arrays among the indices broadcast, and their axes come first.

        >>> import oxidask.array as da
        >>> x = da.arange(9, chunks=4).reshape(3, 3)
        >>> x.vindex[[0, 1, 2], [2, 1, 0]].compute()
        array([2, 4, 6])
        """
        from oxidask.array.slicing import VIndex

        return VIndex(self)

    def __len__(self) -> int:
        if not self.chunks:
            raise TypeError("len() of unsized object")
        if is_unknown(self.shape[0]):
            raise ValueError(
                f"len() is called on object with unknown chunk size: shape {self.shape}\nhint: call compute_chunk_sizes() first"
            )
        return int(self.shape[0])

    def __iter__(self) -> Iterator[Array]:
        for position in range(len(self)):
            yield self[position]

    def __repr__(self) -> str:
        return (
            f"oxidask.array<{self._core.label}, shape={self.shape}, dtype={self.dtype}, "
            f"chunksize={self.chunksize}, chunktype={kind_of_block(self._meta)}>"
        )

    def _repr_html_(self) -> str:
        from oxidask.array._html import to_html

        return to_html(self)

    def __copy__(self) -> Array:
        return self.copy()

    def __deepcopy__(self, memo: Any) -> Array:
        copied = self.copy()
        memo[id(self)] = copied
        return copied

    def __reduce__(self) -> tuple[Any, ...]:
        from oxidask.array.delayed import from_pickle
        from oxidask.highlevelgraph import HighLevelGraph

        layers, keys = self._core.expr().layers()
        return (
            from_pickle,
            (
                HighLevelGraph(layers).to_dict(),
                keys,
                self.chunks,
                self._meta,
                self._core.label,
                self._core.key,
                self._given,
            ),
        )

    # Dask's protocol of collections, for other libraries' schedulers.

    def __dask_keys__(self) -> list[Any]:
        def nested(prefix: tuple[Any, ...], counts: tuple[int, ...]) -> Any:
            if not counts:
                return prefix
            return [nested((*prefix, at), counts[1:]) for at in range(counts[0])]

        made = nested((self.name,), self.numblocks)
        return made if isinstance(made, list) else [made]

    def __dask_layers__(self) -> tuple[str, ...]:
        return (self.name,)

    # NumPy's protocols.

    def __array__(self, dtype: Any = None, copy: bool | None = None, **kwargs: Any) -> np.ndarray:
        import warnings

        if kwargs:
            message = f"arguments {sorted(kwargs)} of __array__ are ignored now, and will be an error"
            warnings.warn(message, FutureWarning, stacklevel=2)
        if copy is False:
            message = "Can't acquire a memory view of a lazy array: copy=False copies nonetheless, and will be an error"
            warnings.warn(message, FutureWarning, stacklevel=2)
        computed = self.compute()
        if not isinstance(computed, np.ndarray):
            computed = np.asarray(computed)
        return computed if dtype is None else computed.astype(dtype, copy=False)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        from oxidask.array.ufunc import call_ufunc

        return call_ufunc(ufunc, method, inputs, kwargs)

    def __array_function__(self, func: Callable[..., Any], types: Any, args: Any, kwargs: Any) -> Any:
        from oxidask.array._protocols import call_function

        return call_function(func, types, args, kwargs)

    def __array_namespace__(self, *, api_version: str | None = None) -> Any:
        from oxidask.array._protocols import namespace

        return namespace(api_version)

    def __dlpack__(
        self,
        *,
        stream: Any = None,
        max_version: tuple[int, int] | None = None,
        dl_device: tuple[int, int] | None = None,
        copy: bool | None = None,
    ) -> Any:
        """The computed array for another library, which owns the memory from then on."""
        options: dict[str, Any] = {"max_version": max_version, "dl_device": dl_device, "copy": copy}
        return np.asarray(self.compute()).__dlpack__(stream=stream, **options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return (1, 0)

    @property
    def device(self) -> str:
        """Where blocks are: in the memory of processes."""
        return "cpu"

    def to_device(self, device: str, /, *, stream: Any = None) -> Array:
        """The array itself; the only device is ``"cpu"``."""
        if device != "cpu" or stream is not None:
            raise ValueError(f"there is no device {device!r}\nhint: the only one is 'cpu'")
        return self

    def _scalar(self) -> Any:
        if self.size > 1 or self.size == 0:
            raise TypeError(f"only an array of one element makes a scalar, not one of shape {self.shape}")
        value = self.compute()
        return value if not isinstance(value, np.ndarray) else value.reshape(-1)[0]

    def __bool__(self) -> bool:
        if self.size > 1:
            raise ValueError(
                f"The truth value of a {type(self).__name__} is ambiguous. Use a.any() or a.all(): "
                f"it has {self.size} elements"
            )
        return bool(self.compute())

    def __int__(self) -> int:
        return int(self._scalar())

    def __float__(self) -> float:
        return float(self._scalar())

    def __complex__(self) -> complex:
        return complex(self._scalar())

    def __index__(self) -> int:
        if self.dtype.kind not in "iu":
            raise TypeError(f"only integer arrays can be an index, not {self.dtype}")
        return operator.index(self._scalar())

    def item(self) -> Any:
        """The only element, computed."""
        return np.asarray(self._scalar()).item()

    def tolist(self) -> Any:
        """The computed elements as nested lists.

        >>> import oxidask.array as da
        >>> da.arange(3, chunks=2).tolist()
        [0, 1, 2]
        """
        return np.asarray(self.compute()).tolist()

    def __getitem__(self, index: Any) -> Array:
        """What an index takes: integers, slices, None, arrays, masks, lazy ones, fields.

        Several arrays select points, as in NumPy. A lazy mask leaves sizes of
        chunks unknown.

        Raises
        ------
        IndexError
            If there are too many indices, or one is out of bounds.
        """
        from oxidask.array.slicing import getitem

        return getitem(self, index)

    def __setitem__(self, index: Any, value: Any) -> None:
        """Other values where an index points; the array is from then on a new plan.

        Raises
        ------
        ValueError
            If the value does not broadcast to what the index selects.
        """
        from oxidask.array.slicing import setitem

        made = setitem(self, index, value)
        self._core, self._given = made._core, None

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

    def __divmod__(self, other: Any) -> tuple[Array, Array]:
        return self // other, self % other

    def __rdivmod__(self, other: Any) -> tuple[Array, Array]:
        return other // self, other % self

    def __matmul__(self, other: Any) -> Array:
        from oxidask.array.products import matmul

        return matmul(self, other)

    def __rmatmul__(self, other: Any) -> Array:
        from oxidask.array.products import matmul

        return matmul(other, self)

    def __hash__(self) -> int:
        return hash(self._core.key)

    def compute_chunk_sizes(self) -> Array:
        """Computes the sizes of all chunks and notes them, in place.

        Returns
        -------
        Array
            The array itself.

        Examples
        --------
        >>> import oxidask.array as da
        >>> x = da.arange(6, chunks=3)
        >>> y = x[x > 3]
        >>> y.compute_chunk_sizes().chunks
        ((0, 2),)
        """
        if has_unknown(self.chunks):
            self._core = _with_chunks(self, computed_chunks(self))._core
        return self


class Lengths:
    """The shape of a block."""

    __name__ = "chunk-sizes"

    def __call__(self, block: Any) -> Any:
        return np.array(block.shape, dtype=np.int64).reshape((1,) * block.ndim + (block.ndim,))


def computed_chunks(x: Array) -> tuple[tuple[int, ...], ...]:
    """The sizes of all chunks, computed."""
    numbers = block_numbers(x.numblocks).ravel()
    reads = np.stack([np.zeros_like(numbers), numbers], axis=-1)[:, None, :]
    chunks = (*[(1,) * n for n in x.numblocks], (x.ndim,))
    meta = np.empty((0,) * (x.ndim + 1), np.int64)
    shapes = np.asarray(table(Lengths(), "chunk-sizes", "chunk-sizes", [x], reads, chunks, meta).compute())
    made = []
    for axis in range(x.ndim):
        along = np.moveaxis(shapes[..., axis], axis, 0).reshape(x.numblocks[axis], -1)
        made.append(tuple(int(n) for n in along[:, 0]))
    return tuple(made)


def _with_chunks(x: Array, chunks: Any) -> Array:
    """The same blocks, said to be of other sizes."""
    if native(x) and not has_unknown(chunks):
        return _wrap(_oxidask.array_with_chunks(x._core, [list(sizes) for sizes in chunks]))
    numbers = block_numbers(x.numblocks).ravel()
    reads = np.stack([np.zeros_like(numbers), numbers], axis=-1)[:, None, :]
    return table(None, x._core.label, "chunks", [x], reads, tuple(map(tuple, chunks)), x._meta)  # type: ignore[no-any-return]


from oxidask.array.convert import asanyarray, asarray, from_array, normalize_chunks  # noqa: E402, F401

"""A user's function on every block."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from oxidask._oxidask import ArrayCore
from oxidask.array.core import Array, _axes, _wrap

__all__ = ["map_blocks"]


class _BlockFunction:
    """Calls a user's function with blocks in their places among its arguments."""

    def __init__(
        self, func: Callable[..., Any], args: list[Any], kwargs: dict[str, Any], where: dict[str, Any] | None
    ) -> None:
        self.func, self.args, self.kwargs, self.where = func, args, kwargs, where
        self.__name__ = getattr(func, "__name__", type(func).__name__)

    def __call__(self, *inputs: Any) -> Any:
        kwargs = self.kwargs
        if self.where is not None:
            *inputs, block = inputs
            kwargs = {**kwargs, **_place(self.where, block, self.kwargs)}
        blocks = iter(inputs)
        args = [next(blocks) if arg is _HOLE else arg.value for arg in self.args]
        return self.func(*args, **kwargs)


class _Hole:
    """Where a block goes among the arguments."""

    def __reduce__(self) -> str:
        return "_HOLE"


_HOLE = _Hole()


class _Literal:
    """An argument that is the same for all blocks."""

    def __init__(self, value: Any) -> None:
        self.value = value


def _place(where: dict[str, Any], block: int, kwargs: dict[str, Any]) -> dict[str, Any]:
    """The arguments that tell a function which block it gets."""
    numblocks = [len(sizes) for sizes in where["chunks"]]
    position = tuple(int(i) for i in np.unravel_index(block, numblocks)) if numblocks else ()
    extra: dict[str, Any] = {}
    if where["id"]:
        extra["block_id"] = position
    if where["info"]:
        result = _info(where["chunks"], position)
        result["chunk-shape"] = tuple(sizes[at] for sizes, at in zip(where["chunks"], position, strict=True))
        result["dtype"] = where["dtype"]
        info: dict[Any, Any] = {None: result}
        for number, chunks, axes in where["arrays"]:
            own = tuple(
                position[axis] if axis is not None and len(sizes) > 1 else 0
                for axis, sizes in zip(axes, chunks, strict=True)
            )
            info[number] = _info(chunks, own)
        extra["block_info"] = info
    return extra


def _info(chunks: Any, position: tuple[int, ...]) -> dict[str, Any]:
    location = []
    for sizes, at in zip(chunks, position, strict=True):
        start = sum(sizes[:at])
        location.append((start, start + sizes[at]))
    return {
        "shape": tuple(sum(sizes) for sizes in chunks),
        "num-chunks": tuple(len(sizes) for sizes in chunks),
        "array-location": location,
        "chunk-location": position,
    }


def _takes(func: Callable[..., Any], name: str) -> bool:
    import inspect

    try:
        return name in inspect.signature(func).parameters
    except (TypeError, ValueError):
        return False


def _infer(function: _BlockFunction, arrays: list[Array], passes_block: bool) -> np.ndarray:
    """What the function answers for blocks of one element each."""
    samples: list[Any] = [np.ones((1,) * x.ndim, dtype=x.dtype) for x in arrays]
    if passes_block:
        samples.append(0)
    try:
        with np.errstate(all="ignore"):
            return np.asarray(function(*samples))
    except Exception as error:
        raise ValueError(
            f"the dtype of what {function.__name__!r} answers could not be found out by calling it with arrays of "
            f"one element: {type(error).__name__}: {error}\nhint: say it with dtype="
        ) from error


def map_blocks(
    func: Callable[..., Any],
    *args: Any,
    name: str | None = None,
    token: str | None = None,
    dtype: Any = None,
    chunks: Any = None,
    drop_axis: Any = None,
    new_axis: Any = None,
    enforce_ndim: bool = False,
    meta: Any = None,
    **kwargs: Any,
) -> Array:
    """A function of NumPy arrays, called for every block.

    The function gets read-only views of the blocks, without copies, and answers
    an array.

    Parameters
    ----------
    func : callable
        May have the arguments ``block_id`` (the block's position) and
        ``block_info`` (positions and shapes, by number of the argument).
    *args : Array or object
        Arrays broadcast against one another by their blocks; everything else
        is passed as it is.
    name, token : str, optional
        Stands for the meaning of the function, which is otherwise hashed.
    dtype : dtype, optional
        Of the result; found by calling the function on tiny arrays otherwise.
    chunks : tuple, optional
        Of the result, if not those of the arguments: sizes for each axis, or
        one size for all blocks along it.
    drop_axis : int or sequence of int, optional
        Axes that the function removes.
    new_axis : int or sequence of int, optional
        Axes that the function adds.
    enforce_ndim, meta
        Accepted for compatibility; shapes are always checked.
    **kwargs
        Passed to the function.

    Returns
    -------
    Array

    Raises
    ------
    ValueError
        When computed, if the function answers another shape than announced;
        the message names both.

    Examples
    --------
    >>> import oxidask.array as da
    >>> map_blocks(lambda x, k: x * k, da.arange(4, chunks=2), 10).compute()
    array([ 0, 10, 20, 30])
    >>> def number(block_id):
    ...     return np.full(2, block_id[0])
    >>> map_blocks(number, chunks=((2, 2),), dtype=int).compute()
    array([0, 0, 1, 1])
    """
    del enforce_ndim
    if not callable(func):
        raise TypeError(f"map_blocks needs a function first, not {type(func).__name__}")
    places = [i for i, arg in enumerate(args) if isinstance(arg, Array)]
    arrays = [args[i] for i in places]
    template = [_HOLE if isinstance(arg, Array) else _Literal(arg) for arg in args]
    dropped = _axes(drop_axis) or []
    added = _axes(new_axis) or []

    own_chunks: list[Any] = []
    if arrays:
        cores, sizes = ArrayCore.unify([x._core for x in arrays])
        arrays = [_wrap(core) for core in cores]
        own_chunks = [tuple(axis) for axis in sizes]
    ndim = len(own_chunks)
    dropped = sorted(axis % ndim for axis in dropped)
    if dropped:
        # A dropped axis must be whole where the function sees it.
        arrays = [x.rechunk({a - ndim + x.ndim: -1 for a in dropped if a >= ndim - x.ndim}) for x in arrays]
    kept = [axis for axis in range(ndim) if axis not in dropped]
    order: list[int | None] = list(kept)
    for axis in sorted(axis % (len(kept) + len(added)) for axis in added):
        order.insert(axis, None)
    result_chunks = _result_chunks(chunks, [own_chunks[a] if a is not None else (1,) for a in order])
    axes = [
        [order.index(a + ndim - x.ndim) if (a + ndim - x.ndim) in order else None for a in range(x.ndim)]
        for x in arrays
    ]

    wants = {"id": _takes(func, "block_id"), "info": _takes(func, "block_info")}
    passes_block = any(wants.values()) and not set(wants) & set(kwargs)
    where = None
    if passes_block:
        inputs = [(i, x.chunks, own) for i, x, own in zip(places, arrays, axes, strict=True)]
        where = {**wants, "chunks": result_chunks, "arrays": inputs, "dtype": None}
    function = _BlockFunction(func, template, kwargs, where)
    if dtype is None and meta is not None:
        dtype = getattr(meta, "dtype", None)
    if dtype is None:
        dtype = _infer(function, arrays, passes_block).dtype
    dtype = np.dtype(dtype)
    if where is not None:
        where["dtype"] = dtype
    if token is None:
        from oxidask.tokenize import tokenize

        token = name or tokenize(func, args, kwargs, result_chunks, dtype)
    core = ArrayCore.map_blocks(
        function, f"map_blocks-{token}", [x._core for x in arrays], axes, result_chunks, dtype.name, passes_block
    )
    return _wrap(core)


def _result_chunks(chunks: Any, natural: list[Any]) -> list[list[int]]:
    """The chunks of a result: what the user says, by number of blocks."""
    if chunks is None:
        return [list(sizes) for sizes in natural]
    chunks = (chunks,) if isinstance(chunks, int) else tuple(chunks)
    if not natural:
        return [[sizes] if isinstance(sizes, int) else list(sizes) for sizes in chunks]
    if len(chunks) != len(natural):
        raise ValueError(f"chunks {chunks} have {len(chunks)} axes and the result {len(natural)}")
    made = []
    for sizes, own in zip(chunks, natural, strict=True):
        made.append([sizes] * len(own) if isinstance(sizes, int) else list(sizes))
        if len(made[-1]) != len(own) and len(own) != 1:
            raise ValueError(f"chunks {sizes} do not have one size for each of {len(own)} blocks")
    return made

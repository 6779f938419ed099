"""Arrays from delayed values and dict graphs, and back."""

from __future__ import annotations

from typing import Any

import numpy as np

from oxidask import _oxidask
from oxidask.array._generic import table
from oxidask.array._meta import meta_from_array
from oxidask.array.convert import normalize_chunks
from oxidask.array.core import Array

__all__ = ["from_delayed", "to_delayed"]


def _over(values: list[Any], chunks: Any, meta: Any, label: str, token: str) -> Array:
    """An array whose blocks are the values of delayed objects, in C order."""
    numbers = np.arange(len(values))
    reads = np.stack([numbers, np.zeros_like(numbers)], axis=-1)[:, None, :]
    return table(AsBlock(len(chunks)), label, token, values, reads, chunks, meta)  # type: ignore[no-any-return]


class AsBlock:
    """A user's object as a block: what is no array becomes one."""

    __name__ = "from-value"

    def __init__(self, ndim: int) -> None:
        self.ndim = ndim

    def __call__(self, value: Any) -> Any:
        if isinstance(value, list | tuple) or np.isscalar(value):
            return np.asarray(value)
        return value


def from_delayed(value: Any, shape: Any, dtype: Any = None, meta: Any = None, name: str | None = None) -> Array:
    """An array of one chunk, whose content a delayed value will be.

    Parameters
    ----------
    value : Delayed
    shape : tuple of int
        NaN stands for what is not known.
    dtype : dtype, optional
    meta : array, optional
        An empty array like the value; needed for classes other than NumPy's.
    name : str, optional
        A name of the array.

    Raises
    ------
    ValueError
        When computed, if the value is of another shape.

    Examples
    --------
    >>> from oxidask import delayed
    >>> from_delayed(delayed(np.ones)(3), (3,), dtype=float).sum().compute()
    np.float64(3.0)
    """
    from oxidask import delayed

    if not isinstance(value, _oxidask.Delayed):
        value = delayed(value)
    shape = (shape,) if isinstance(shape, int | float) else tuple(shape)
    chunks = tuple((n,) for n in shape)
    if meta is None and dtype is None:
        meta, dtype = np.empty((0,) * len(shape), dtype=object), None
        meta = meta_from_array(np.empty((0,) * len(shape)))
    made = _over([value], chunks, meta_from_array(meta, len(shape), dtype), "from-value", "from-delayed")
    return made._named(name)


def to_delayed(x: Array, optimize_graph: bool = True) -> np.ndarray:
    """A NumPy array of objects, one ``Delayed`` for each block.

    Examples
    --------
    >>> import oxidask.array as da
    >>> da.arange(4, chunks=2).to_delayed()[1].compute()
    array([2, 3])
    """
    del optimize_graph
    blocks = np.empty(x.npartitions, dtype=object)
    for at, block in enumerate(_oxidask.array_delayed(x, x.npartitions)):
        blocks[at] = block
    return blocks.reshape(x.numblocks)


def from_graph(dsk: Any, name: str, chunks: Any, dtype: Any = None, meta: Any = None, shape: Any = None) -> Array:
    """An array over a dict graph with the keys ``(name, 0, 0)``, ``(name, 0, 1)``, …."""
    from oxidask import delayed
    from oxidask._graphs import nodes_of_graph

    if shape is not None or not _explicit(chunks):
        chunks = normalize_chunks(chunks, shape, dtype=dtype)
    chunks = tuple(map(tuple, chunks))
    if meta is None and dtype is None:
        raise ValueError("an array over a graph needs its dtype\nhint: say it with dtype= or meta=")
    keys = [(name, *at) for at in np.ndindex(*[len(sizes) for sizes in chunks])]
    nodes = nodes_of_graph(dict(dsk), keys)
    values = [n if isinstance(n, _oxidask.Delayed) else delayed(n, traverse=False) for n in (nodes[k] for k in keys)]
    meta = meta_from_array(meta, len(chunks), dtype)
    return _over(values, chunks, meta, name, f"graph-{name}")._named(name)


def _explicit(chunks: Any) -> bool:
    return isinstance(chunks, tuple | list) and all(isinstance(c, tuple | list) for c in chunks)


def from_pickle(graph: Any, keys: Any, chunks: Any, meta: Any, label: str, key: str, given: str | None) -> Array:
    """The array that was pickled."""
    from oxidask import delayed
    from oxidask._graphs import nodes_of_graph

    nodes = nodes_of_graph(graph, keys)
    values = [n if isinstance(n, _oxidask.Delayed) else delayed(n, traverse=False) for n in (nodes[k] for k in keys)]
    return _over(values, chunks, meta, label, f"pickled-{key}")._named(given)


def from_foreign(x: Any) -> Array:
    """A lazy array of another library that follows Dask's protocol."""
    dsk = dict(x.__dask_graph__())
    optimize = getattr(x, "__dask_optimize__", None)
    if optimize is not None:
        dsk = dict(optimize(x.__dask_graph__(), x.__dask_keys__()))
    return from_graph(dsk, x.name, x.chunks, meta=x._meta)

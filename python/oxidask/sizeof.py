"""How much memory an object takes, for the ledger that bounds memory.

>>> from oxidask.sizeof import sizeof
>>> sizeof(b"x" * 1000) >= 1000
True
"""

from __future__ import annotations

import sys
from typing import Any

from oxidask import _oxidask
from oxidask.utils import Dispatch

__all__ = ["sizeof"]


class SizeOf(Dispatch):
    """Estimates the memory of an object in bytes.

    ``sizeof.register(MyClass, function)`` teaches it a class.
    """

    def __call__(self, arg: Any, *args: Any, **kwargs: Any) -> int:
        return _oxidask.sizeof(arg)


sizeof = SizeOf(name="sizeof")


def sizeof_object(obj: Any) -> int:
    """The size of an object that is no builtin; the engine asks this."""
    return int(sizeof.dispatch(type(obj))(obj))


@sizeof.register(object)
def _sizeof_any(obj: Any) -> int:
    nbytes = getattr(obj, "nbytes", None)
    if isinstance(nbytes, int):
        return nbytes + 100
    try:
        return sys.getsizeof(obj)
    except Exception:
        return 100


@sizeof.register_lazy("numpy")
def _register_numpy() -> None:
    import numpy as np

    @sizeof.register(np.ndarray)
    def _sizeof_array(array: Any) -> int:
        # A broadcast axis repeats the same memory.
        size = array.dtype.itemsize
        for length, stride in zip(array.shape, array.strides, strict=True):
            size *= length if stride else 1
        if array.dtype.hasobject:
            sample = array.ravel()[:20]
            known = sum(_oxidask.sizeof(item) for item in sample)
            size += known * array.size // max(len(sample), 1)
        return int(size) + 100


@sizeof.register_lazy("pandas")
def _register_pandas() -> None:
    import numpy as np
    import pandas as pd

    def _sizeof_rows(rows: Any) -> int:
        # Shuffles make many small frames, and `memory_usage` would build a column
        # and a sum for each of their columns.
        blocks = getattr(getattr(rows, "_mgr", None), "blocks", None)
        if blocks is None:
            usage = rows.memory_usage(deep=True)
            return int(usage.sum() if hasattr(usage, "sum") else usage) + 1000
        return sum(_sizeof_values(block.values) for block in blocks) + _sizeof_index(rows.index)

    def _sizeof_index(index: Any) -> int:
        # These have no one array, or would make one to be asked about.
        if isinstance(index, (pd.MultiIndex, pd.RangeIndex)):
            return int(index.memory_usage(deep=False)) + 1000
        return _sizeof_values(index.array) + 1000

    def _sizeof_values(values: Any) -> int:
        """The bytes of some columns; of many objects a sample says enough."""
        size = int(getattr(values, "nbytes", 0))
        objects = getattr(values, "_ndarray", values)
        if not isinstance(objects, np.ndarray) or objects.dtype.kind != "O" or not objects.size:
            return size
        sample = objects[..., :100].ravel()[:100]
        return size + sum(map(sys.getsizeof, sample)) * objects.size // len(sample)

    sizeof.register((pd.DataFrame, pd.Series), _sizeof_rows)
    sizeof.register(pd.Index, _sizeof_index)


@sizeof.register_lazy("pyarrow")
def _register_pyarrow() -> None:
    import pyarrow as pa

    def _sizeof_arrow(table: Any) -> int:
        return int(table.nbytes) + 1000

    sizeof.register((pa.Table, pa.RecordBatch, pa.Array, pa.ChunkedArray), _sizeof_arrow)

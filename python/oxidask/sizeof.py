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
    import pandas as pd

    def _sizeof_frame(frame: Any) -> int:
        # Looking into each text of an object column would cost more than it is
        # worth; a sample says enough.
        if len(frame) <= 100:
            return int(_total(frame.memory_usage(deep=True))) + 1000
        shallow = _total(frame.memory_usage(deep=False))
        sample = frame.iloc[:100]
        extra = _total(sample.memory_usage(deep=True)) - _total(sample.memory_usage(deep=False))
        return int(shallow + extra * len(frame) / 100) + 1000

    def _sizeof_index(index: Any) -> int:
        return int(index.memory_usage(deep=len(index) <= 100)) + 1000

    sizeof.register((pd.DataFrame, pd.Series), _sizeof_frame)
    sizeof.register(pd.Index, _sizeof_index)


def _total(usage: Any) -> int:
    return int(usage.sum()) if hasattr(usage, "sum") else int(usage)


@sizeof.register_lazy("pyarrow")
def _register_pyarrow() -> None:
    import pyarrow as pa

    def _sizeof_arrow(table: Any) -> int:
        return int(table.nbytes) + 1000

    sizeof.register((pa.Table, pa.RecordBatch, pa.Array, pa.ChunkedArray), _sizeof_arrow)

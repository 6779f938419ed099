"""Arrays to and from dataframes."""

from __future__ import annotations

from typing import Any

import numpy as np

from oxidask.array.core import Array


class AsFrame:
    """Rows of a block as a pandas object."""

    __name__ = "to_dataframe"

    def __init__(self, columns: Any, ends: list[int] | None) -> None:
        self.columns, self.ends = columns, ends

    def __call__(self, block: Any, number: int, index: Any = None) -> Any:
        """The frame of a block."""
        import pandas as pd

        if index is None and self.ends is not None:
            index = pd.RangeIndex(self.ends[number], self.ends[number + 1])
        if block.dtype.names is not None:
            return pd.DataFrame(block, columns=self.columns, index=index)
        if block.ndim == 1:
            name = self.columns[0] if isinstance(self.columns, list | tuple) else self.columns
            return pd.Series(block, index=index, name=name)
        return pd.DataFrame(block, columns=self.columns, index=index)


def to_dataframe(x: Array, columns: Any = None, index: Any = None, meta: Any = None) -> Any:
    """A frame of the rows of an array, one partition a chunk of rows.

    Parameters
    ----------
    x : Array of one axis, or two with one chunk of columns
    columns : str or sequence of str, optional
    index : Array, optional
        Not offered yet: rows are numbered.
    meta : optional
        Accepted for compatibility.
    """
    import oxidask.dataframe as dd
    from oxidask import delayed

    del meta
    if x.ndim > 2:
        raise ValueError(f"a frame is made of an array of one or two axes, not of shape {x.shape}")
    if index is not None:
        raise NotImplementedError("an index is not offered yet\nhint: use set_index on the frame")
    if x.ndim == 2 and x.numblocks[1] > 1:
        x = x.rechunk({1: -1})
    if x.ndim == 2 and columns is None:
        columns = list(range(x.shape[1]))
    known = all(n == n for n in x.chunks[0])
    ends = [0, *np.cumsum(x.chunks[0]).tolist()] if known else None
    make = delayed(AsFrame(columns, ends), pure=True)
    parts = [make(block, number) for number, block in enumerate(x.to_delayed().ravel())]
    sample = AsFrame(columns, [0, 0])(np.empty((0, *x.shape[1:]), dtype=x.dtype), 0)
    from_delayed = getattr(dd, "from_delayed", None)
    if from_delayed is None:
        raise NotImplementedError("frames from delayed parts are not offered yet")
    divisions = (*ends[:-1], ends[-1] - 1) if ends else None
    return from_delayed(parts, meta=sample, divisions=divisions)

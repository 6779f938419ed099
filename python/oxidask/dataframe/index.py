"""The lazy labels of rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from oxidask.dataframe import _rows
from oxidask.dataframe._collection import new
from oxidask.dataframe._meta import emulate, make_meta
from oxidask.dataframe._methods import EACH_INDEX, add_elementwise
from oxidask.dataframe._reductions import add_reductions
from oxidask.dataframe.core import elemwise, own_meta, warn_guessed
from oxidask.dataframe.series import Series

__all__ = ["Index"]


def _part_of(rows: Any, name: str) -> Any:
    return getattr(rows, name)


def _count_index(rows: Any) -> int:
    return int(rows.notna().sum())


class Index(Series):
    """The lazy labels of rows; what needs labels of its own is not offered.

    Examples
    --------
    >>> import oxidask.dataframe as dd
    >>> dd.from_dict({"x": [1, 2, 3]}, npartitions=2).index.max().compute().item()
    2
    """

    _kind = "index"

    @property
    def index(self) -> Any:
        """Not offered: labels have no labels."""
        raise AttributeError("an Index has no index of its own")

    @property
    def values(self) -> Any:
        """The labels as a lazy array; chunks have unknown lengths."""
        from oxidask.dataframe._arrays import to_dask_array

        return to_dask_array(self)

    @property
    def levels(self) -> Any:
        """Not offered."""
        raise AttributeError("'Index' object has no attribute 'levels'")

    def __len__(self) -> int:
        if self._native is not None:
            return len(self._native)
        return Series.__len__(self)

    def to_series(self, index: Any = None, name: Any = None) -> Any:
        """The labels as a column with themselves as labels."""
        if index is not None:
            raise NotImplementedError("to_series(index=…) is not offered")
        return elemwise(_rows.call, self, "to_series", name=name)

    def to_frame(self, index: bool = True, name: Any = None) -> Any:
        """The labels as a frame of one column."""
        kwargs: dict[str, Any] = {"index": index}
        if name is not None:
            kwargs["name"] = name
        made = elemwise(_rows.call, self, "to_frame", **kwargs)
        return made if index else made.clear_divisions()

    def rename(self, index: Any, sorted_index: bool = False) -> Any:
        """Under another name."""
        del sorted_index
        return elemwise(_rows.call, self, "rename", index)

    def map(self, arg: Any, na_action: Any = None, meta: Any = None, is_monotonic: bool = False) -> Any:
        """Labels replaced by a function or mapping.

        ``is_monotonic`` says that their order stays, so that divisions stay known.
        """
        if meta is None:
            warn_guessed("map")
            meta = own_meta(_rows.call, "map", (self, "map", arg), {"na_action": na_action})
        else:
            meta = make_meta(meta)
            meta = meta if isinstance(meta, pd.Index) else pd.Index([], dtype=meta.dtype, name=meta.name)
        made = elemwise(_rows.call, self, "map", arg, na_action=na_action, _meta=meta)
        if is_monotonic and self.known_divisions:
            return new(made._plan, made._meta, tuple(pd.Index(list(self.divisions)).map(arg)))
        return made.clear_divisions()

    def shift(self, periods: int = 1, freq: Any = None) -> Any:
        """Labels moved by a frequency."""
        if isinstance(self._meta, pd.PeriodIndex):
            if freq is not None:
                raise ValueError("PeriodIndex doesn't accept `freq` argument")
            return elemwise(_rows.call, self, "shift", periods)
        made = elemwise(_rows.call, self, "shift", periods, freq=freq)
        if self.known_divisions and freq is not None:
            moved = pd.Index(list(self.divisions)).shift(periods, freq=freq)
            return new(made._plan, made._meta, tuple(moved))
        return made.clear_divisions()

    def memory_usage(self, deep: bool = False) -> Any:
        """Bytes that the labels take."""
        from oxidask.dataframe._statistics import memory_usage

        return memory_usage(self, False, deep)

    def count(self, split_every: Any = False) -> Any:
        """How many labels are there."""
        return self._tree("count", _count_index, sum, meta=0, split_every=split_every)

    def head(self, n: int = 5, npartitions: int = 1, compute: bool = True) -> Any:
        """The first labels; see :meth:`DataFrame.head`."""
        return Series.head(self, n, npartitions, compute)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        if isinstance(self._meta, pd.CategoricalIndex) and hasattr(pd.CategoricalIndex, name):
            from oxidask.dataframe.categorical import CategoricalAccessor

            return getattr(CategoricalAccessor(self), name)
        if not hasattr(type(self._meta), name):
            raise AttributeError(f"'{type(self).__name__}' object has no attribute {name!r}")
        found = getattr(type(self._meta), name)
        if callable(found) and not isinstance(found, property):
            return lambda *args, **kwargs: elemwise(_rows.call, self, name, *args, **kwargs)
        meta = emulate(_part_of, self, name)
        if not isinstance(meta, (pd.Index, np.ndarray)):
            return meta
        return elemwise(_part_of, self, name, _label=name, _meta=meta)

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        # Pandas' own values may be read-only; who asks for a copy wants to write to it.
        return np.array(self.compute(), dtype=dtype, copy=True if copy else None)

    def __repr__(self) -> Any:
        from oxidask.dataframe._formatting import bounds_of, title

        cells = bounds_of(self).to_series().reset_index(drop=True).astype(object)
        return (
            f"oxidask Index Structure:\nnpartitions={self.npartitions}\n{cells.to_string(index=False)}\n"
            f"dtype: {self._meta.dtype}\nDask Name: {title(self)}"
        )


add_elementwise(Index, pd.Index, EACH_INDEX)
_count = Index.count
add_reductions(Index, "index")
Index.count = _count  # type: ignore[method-assign]

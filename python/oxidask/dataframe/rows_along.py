"""Methods of frames and columns that go along rows: neighbours, order, windows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from oxidask.dataframe import _rows
from oxidask.dataframe._collection import new
from oxidask.dataframe.core import NOT_NATIVE, Collection, elemwise, native_form

__all__ = ["RowsAlong"]


def _shifted(rows: Any, periods: int, freq: Any) -> Any:
    return rows.shift(periods, freq=freq)


def _shifted_divisions(self: Any, periods: int, freq: Any) -> Any:
    """Divisions moved by a frequency of equal steps; others may bring several labels to one."""
    labels = pd.Index(list(self.divisions)) if self.known_divisions else None
    step = pd.tseries.frequencies.to_offset(freq)
    if isinstance(labels, pd.PeriodIndex):
        return tuple(labels.shift(periods)) if step == labels.freq else None
    equal = isinstance(step, (pd.offsets.Tick, pd.offsets.Day))
    return tuple(labels.shift(periods, freq=step)) if labels is not None and equal else None


class RowsAlong(Collection):
    """What depends on the order of rows."""

    def shift(self, periods: int = 1, freq: Any = None, axis: Any = 0) -> Any:
        """Values moved by so many rows, across partitions, or labels by a frequency."""
        from oxidask.dataframe._overlap import map_overlap

        if not isinstance(periods, (int, np.integer)):
            raise TypeError("periods must be an integer")
        if axis in (1, "columns"):
            return self._each("shift", periods, freq=freq, axis=1)
        if freq is not None:
            made = elemwise(_rows.call, self, "shift", periods, freq=freq)
            return new(made._plan, made._meta, _shifted_divisions(self, periods, freq))
        answer = native_form(self, "shift", (int(periods),), {})
        if answer is not NOT_NATIVE:
            return answer
        before, after = (periods, 0) if periods > 0 else (0, -periods)
        return map_overlap(_shifted, self, before, after, periods, None)

    def to_timestamp(self, freq: Any = None, how: str = "start", axis: Any = 0) -> Any:
        """Labels of spans of time as the times at which they begin, or end."""
        if axis not in (0, "index"):
            raise NotImplementedError("labels of rows are converted: axis=0")
        made = elemwise(_rows.call, self, "to_timestamp", freq=freq, how=how)
        if not self.known_divisions:
            return made
        moved = pd.PeriodIndex(list(self.divisions)).to_timestamp(freq=freq, how=how)
        return new(made._plan, made._meta, tuple(moved))

    def diff(self, periods: int = 1, axis: Any = 0) -> Any:
        """Differences to the value so many rows before."""
        from oxidask.dataframe._overlap import map_overlap

        if not isinstance(periods, (int, np.integer)):
            raise TypeError("periods must be an integer")
        if axis in (1, "columns"):
            return self._each("diff", periods, axis=1)
        answer = native_form(self, "diff", (int(periods),), {})
        if answer is not NOT_NATIVE:
            return answer
        before, after = (periods, 0) if periods > 0 else (0, -periods)
        return map_overlap(_rows.call, self, before, after, "diff", periods)

    def rank(
        self,
        axis: Any = 0,
        method: str = "average",
        numeric_only: bool = False,
        na_option: str = "keep",
        ascending: bool = True,
        pct: bool = False,
    ) -> Any:
        """The place of every value among those of its column, as in pandas; all rows meet in one task.

        Examples
        --------
        >>> import oxidask.dataframe as dd
        >>> dd.from_dict({"x": [30, 10, 20]}, npartitions=3).x.rank().compute().tolist()
        [3.0, 1.0, 2.0]
        """
        from oxidask.dataframe._rank import rank

        kwargs = {
            "method": method, "numeric_only": numeric_only, "na_option": na_option, "ascending": ascending, "pct": pct,
        }  # fmt: skip
        if axis in (1, "columns"):
            return self._each("rank", axis=1, **kwargs)
        return rank(self, kwargs)

    def pct_change(self, periods: int = 1) -> Any:
        """The change from the value so many rows before, as a part of that."""
        return self / self.shift(periods) - 1

    def duplicated(self, subset: Any = None, keep: Any = "first") -> Any:
        """Whether each row was there before; see :meth:`drop_duplicates`.

        Examples
        --------
        >>> import oxidask.dataframe as dd
        >>> dd.from_dict({"x": [1, 2, 1]}, npartitions=3).duplicated().compute().tolist()
        [False, False, True]
        """
        from oxidask.dataframe._group_rows import duplicated

        return duplicated(self, subset, keep)

    def sort_index(self, ascending: bool = True, npartitions: int | None = None) -> Any:
        """In order of the labels of rows, with known divisions if it goes up.

        Examples
        --------
        >>> import oxidask.dataframe as dd
        >>> df = dd.from_dict({"k": [3, 1, 2]}, npartitions=2)
        >>> df.set_index("k", sort=False).sort_index().index.compute().tolist()
        [1, 2, 3]
        """
        from oxidask.dataframe._set_index import sort_index

        return sort_index(self, ascending, npartitions)

    def ffill(self, axis: Any = 0, limit: int | None = None) -> Any:
        """Missing values replaced by the last one that was there, across partitions."""
        from oxidask.dataframe._overlap import fill_along

        return fill_along(self, "ffill", axis, limit)

    def bfill(self, axis: Any = 0, limit: int | None = None) -> Any:
        """Missing values replaced by the next one that is there, across partitions."""
        from oxidask.dataframe._overlap import fill_along

        return fill_along(self, "bfill", axis, limit)

    def rolling(self, window: Any, **kwargs: Any) -> Any:
        """Windows over neighbouring rows.

        Parameters
        ----------
        window : int or time
            So many rows, or rows of so long a time.
        min_periods, center, win_type, axis
            As in pandas.

        Examples
        --------
        >>> import oxidask.dataframe as dd
        >>> dd.from_dict({"x": [1, 2, 3, 4]}, npartitions=2).x.rolling(2).sum().compute().tolist()
        [nan, 3.0, 5.0, 7.0]
        """
        from oxidask.dataframe.rolling import Rolling

        return Rolling(self, window, **kwargs)

    def resample(self, rule: Any, closed: str | None = None, label: str | None = None) -> Any:
        """Groups of rows by spans of time.

        Parameters
        ----------
        rule : str or offset
            Such as ``"1D"``.
        closed, label : {"left", "right"}
            As in pandas.

        Raises
        ------
        ValueError
            If divisions are not known.
        TypeError
            If labels are no times.
        """
        from oxidask.dataframe.resample import Resampler

        return Resampler(self, rule, closed=closed, label=label)

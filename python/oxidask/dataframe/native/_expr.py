"""What all collections of rows share: a handle of the engine and its kind."""

from __future__ import annotations

import datetime
from typing import Any

import numpy as np
import pandas as pd

from oxidask import base
from oxidask._oxidask import Column, Frame
from oxidask.dataframe import _labels, _pandas


def scalar(value: Any) -> Any:
    """A value as the engine takes it: plain Python, times as nanoseconds."""
    if value is pd.NaT or value is pd.NA:
        return None
    if isinstance(value, (datetime.date, np.datetime64)):
        return ("datetime", pd.Timestamp(value).as_unit("ns").value)
    if isinstance(value, (pd.Timedelta, datetime.timedelta, np.timedelta64)):
        return ("timedelta", pd.Timedelta(value).as_unit("ns").value)
    if isinstance(value, np.generic):
        return value.item()
    return value


_UNITS = {"Nanoseconds": "ns", "Microseconds": "us", "Milliseconds": "ms"}


def bound(value: Any) -> Any:
    """A bound of a partition as users see it."""
    if isinstance(value, tuple):
        kind, number, unit = value
        cls = pd.Timestamp if kind == "datetime" else pd.Timedelta
        return cls(number, unit=_UNITS[unit])
    return value


class Collection(base.DaskMethodsMixin):
    """A lazy collection of rows in partitions."""

    _kind = "frame"
    _frame: Frame

    def __oxidask_expr__(self) -> Any:
        return self._frame.expr(self._kind)

    @property
    def npartitions(self) -> int:
        """The number of partitions."""
        return self._frame.n_partitions

    @property
    def divisions(self) -> tuple[Any, ...]:
        """The least index of each partition and the greatest of the last.

        All are ``None`` where they are not known, as after ``read_csv``.
        """
        divisions = self._frame.divisions
        if divisions is None:
            return (None,) * (self.npartitions + 1)
        return tuple(bound(value) for value in divisions)

    @property
    def known_divisions(self) -> bool:
        """Whether divisions are known."""
        return self._frame.divisions is not None

    @property
    def _meta(self) -> Any:
        kind = "series" if self._kind in ("scalar", "array") else self._kind
        return _pandas.to_pandas(self._frame.empty(), kind, self._frame.index_names)

    def explain(self) -> None:
        """Prints the plan as it will run.

        Examples
        --------
        >>> import oxidask.dataframe as dd
        >>> dd.from_dict({"x": [1, 2]}, npartitions=1).x.sum().explain()
        aggregate, select x=value
          frame
        """
        print(self._frame.explain(), end="")


def wrap(frame: Frame, kind: str) -> Any:
    """The user's object of a frame of the engine."""
    from oxidask.dataframe.native._collection import wrap as wrap_collection

    return wrap_collection(frame, kind)


def column_of(frame: Frame) -> Column:
    """The only column of a frame."""
    return frame.column(frame.columns[0])


def named(label: Any) -> str:
    """The engine's name of a column's label, ``""`` for none."""
    return "" if label is None else _labels.encode(label)


def n_rows(frame: Frame) -> Column:
    """The number of rows, for which Parquet's footers suffice."""
    return frame.len()

"""Windows over neighbouring rows."""

from __future__ import annotations

import datetime
from typing import Any

import numpy as np
import pandas as pd

from oxidask.dataframe._methods import finished, signature_of
from oxidask.dataframe.core import NOT_NATIVE, native_form

__all__ = ["GroupRolling", "Rolling"]

AGGREGATIONS = [
    "count",
    "sum",
    "mean",
    "median",
    "min",
    "max",
    "std",
    "var",
    "skew",
    "kurt",
    "quantile",
    "apply",
    "cov",
    "agg",
]


def _rolled(rows: Any, window: dict[str, Any], columns: Any, name: str, args: Any, kwargs: Any) -> Any:
    made = rows.rolling(**window)
    made = made if columns is None else made[columns]
    return getattr(made, name)(*args, **kwargs)


class Rolling:
    """Windows over the rows of a frame or column; each aggregation is that of pandas.

    Examples
    --------
    >>> import oxidask.dataframe as dd
    >>> x = dd.from_dict({"x": [1, 2, 3, 4]}, npartitions=3).x
    >>> x.rolling(3, min_periods=1).mean().compute().tolist()
    [1.0, 1.5, 2.0, 3.0]
    """

    def __init__(
        self, obj: Any, window: Any, min_periods: int | None = None, center: bool = False, win_type: Any = None,
        axis: Any = 0, columns: Any = None,
    ) -> None:  # fmt: skip
        if axis not in (0, "index", None):
            raise NotImplementedError("windows go along rows")
        if isinstance(window, (int, np.integer)) and not isinstance(window, bool):
            if window < 0:
                raise ValueError("window must be at least 0")
        elif isinstance(window, (float, list)):
            raise ValueError("window must be an integer, or a time")
        if min_periods is not None:
            if not isinstance(min_periods, (int, np.integer)):
                raise ValueError("min_periods is a whole number")
            if min_periods < 0:
                raise ValueError("min_periods must be at least 0")
        self.obj, self.window, self.min_periods, self.center = obj, window, min_periods, center
        self.win_type, self._columns = win_type, columns
        # Pandas checks the rest.
        obj._meta_nonempty.rolling(**self._arguments())

    def _arguments(self) -> dict[str, Any]:
        kwargs = {"window": self.window, "min_periods": self.min_periods, "center": self.center}
        return kwargs if self.win_type is None else {**kwargs, "win_type": self.win_type}

    def __getitem__(self, key: Any) -> Rolling:
        self.obj._meta[key]
        return Rolling(self.obj, **self._arguments(), columns=key)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or self.obj._kind != "frame" or name not in self.obj._meta.columns:
            raise AttributeError(f"windows have no {name!r}, nor is there such a column")
        return self[name]

    def _reach(self) -> tuple[Any, Any]:
        """How far windows reach back and ahead."""
        if isinstance(self.window, (int, np.integer)):
            if self.center:
                before = self.window // 2
                return int(before), int(max(self.window - before - 1, 0))
            return int(max(self.window - 1, 0)), 0
        length = self.window
        if not isinstance(length, (datetime.timedelta, np.timedelta64)):
            length = pd.Timedelta(pd.tseries.frequencies.to_offset(length))
        length = pd.Timedelta(length)
        return (length, length) if self.center else (length, 0)

    def _call(self, name: str, args: Any, kwargs: Any) -> Any:
        from oxidask.dataframe._overlap import map_overlap

        answer = self._native(name, args, kwargs)
        if answer is not NOT_NATIVE:
            return answer
        before, after = self._reach()
        return map_overlap(_rolled, self.obj, before, after, self._arguments(), self._columns, name, args, kwargs)

    def _native(self, name: str, args: Any, kwargs: Any) -> Any:
        """The engine's answer for windows of so many rows."""
        counted = isinstance(self.window, (int, np.integer)) and self.win_type is None
        if not counted or args or not set(kwargs) <= {"ddof"}:
            return NOT_NATIVE
        rows = self.obj if self._columns is None else self.obj[self._columns]
        return native_form(rows, "rolling_aggregate", (name, self.window, self.min_periods, self.center), kwargs)

    def aggregate(self, func: Any, *args: Any, **kwargs: Any) -> Any:
        """One or several aggregations of every window."""
        return self._call("agg", (func, *args), kwargs)


def _method(name: str) -> Any:
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        return self._call(name, args, kwargs)

    return method


class GroupRolling:
    """Windows over the rows of every group."""

    def __init__(self, groups: Any, window: Any, **kwargs: Any) -> None:
        self._groups, self._window = groups, {"window": window, **{k: v for k, v in kwargs.items() if v is not None}}

    def __getitem__(self, key: Any) -> GroupRolling:
        return GroupRolling(self._groups[key], **self._window)

    def _call(self, name: str, args: Any, kwargs: Any) -> Any:
        groups = self._groups
        call = _OnGroups(groups._flags, groups._slice, self._window, name, args, kwargs)
        meta = groups._emulated(call)
        return groups._on_groups(call, meta, f"rolling-{name}")

    def aggregate(self, func: Any, *args: Any, **kwargs: Any) -> Any:
        """One or several aggregations of every window."""
        return self._call("agg", (func, *args), kwargs)


class _OnGroups:
    def __init__(self, flags: Any, slice: Any, window: Any, name: str, args: Any, kwargs: Any) -> None:
        self.flags, self.slice, self.window, self.name, self.args, self.kwargs = (
            flags,
            slice,
            window,
            name,
            args,
            kwargs,
        )

    def __dask_tokenize__(self) -> Any:
        return (_OnGroups, tuple(vars(self).items()))

    def __call__(self, rows: Any, by: list[Any]) -> Any:
        from oxidask.dataframe._group_steps import _group

        grouped = _group(rows, by, self.flags, self.slice).rolling(**self.window)
        return getattr(grouped, self.name)(*self.args, **self.kwargs)


for _name in AGGREGATIONS:
    for _owner in (Rolling, GroupRolling):
        _doc = f"``Rolling.{_name}`` of pandas, across partitions.\n"
        finished(_method(_name), _owner, _name, _doc, signature_of(pd.core.window.rolling.Rolling, _name))

"""Functions that need rows of neighbouring partitions: windows, shifts, running totals.

What a partition needs of those before it is collected from small pieces, so that
it may lie in several partitions, and empty ones do no harm.
"""

from __future__ import annotations

import datetime
from typing import Any

import numpy as np
import pandas as pd

from oxidask.dataframe import _rows
from oxidask.dataframe._collection import new
from oxidask.dataframe._meta import emulate, make_meta
from oxidask.dataframe.core import NOT_NATIVE, Collection, _plan_of, native_form, own_meta

__all__ = ["cumulative", "fill_along", "map_overlap"]

TIMES = (datetime.timedelta, np.timedelta64, pd.Timedelta)


def _edge(rows: Any, reach: Any, last: bool) -> Any:
    """The rows at an end: so many, or so long a time."""
    if isinstance(reach, TIMES):
        if not len(rows):
            return rows
        index = rows.index
        return rows[index >= index.max() - reach] if last else rows[index <= index.min() + reach]
    if reach == 0:
        return rows.iloc[:0]
    return rows.iloc[-reach:] if last else rows.iloc[:reach]


class _Context:
    """A step through edges in order: what precedes a partition, and what precedes the next."""

    def __init__(self, reach: Any, last: bool) -> None:
        self.reach, self.last = reach, last

    def __dask_tokenize__(self) -> Any:
        return (_Context, self.reach, self.last)

    def __call__(self, edge: Any, state: Any) -> Any:
        if state is None:
            return edge.iloc[:0], edge
        order = [state, edge] if self.last else [edge, state]
        return state, _edge(_rows.concat_rows(order), self.reach, self.last)


def _call_between(rows: Any, before: Any, after: Any, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """``func`` of the rows with their neighbours; the neighbours' answers are left out."""
    whole = _rows.concat_rows([part for part in (before, rows, after) if part is not None])
    answer = func(whole, *args, **kwargs)
    if not isinstance(answer, (pd.DataFrame, pd.Series, np.ndarray)):
        return answer
    # Covariances have as many rows for each label as there are columns.
    paired = isinstance(getattr(answer, "index", None), pd.MultiIndex) and whole.index.nlevels == 1
    per_row = len(answer) // len(whole) if paired and len(whole) else 1
    if len(answer) != len(whole) * per_row:
        return answer
    skip = 0 if before is None else len(before) * per_row
    stop = skip + len(rows) * per_row
    return answer.iloc[skip:stop] if hasattr(answer, "iloc") else answer[skip:stop]


def _reach(value: Any, rows: Any) -> Any:
    if isinstance(value, str):
        value = pd.to_timedelta(value)
    if isinstance(value, TIMES):
        if not isinstance(rows._meta.index, (pd.DatetimeIndex, pd.TimedeltaIndex)):
            raise TypeError(f"before and after can be spans of time, as {value}, only where the index holds times")
        return pd.Timedelta(value)
    if value is None:
        return 0
    if not isinstance(value, (int, np.integer)) or value < 0:
        raise ValueError(f"before and after are numbers of rows, or spans of time, not {value!r}")
    return int(value)


def map_overlap(
    func: Any,
    df: Any,
    before: Any,
    after: Any,
    *args: Any,
    meta: Any = None,
    enforce_metadata: bool = True,
    transform_divisions: bool = True,
    align_dataframes: bool = True,
    **kwargs: Any,
) -> Any:
    """Calls a function with the rows of every partition and some of its neighbours.

    Parameters
    ----------
    func : callable
        Gets a pandas object and answers one with as many rows; the answers for
        neighbouring rows are left out.
    df : DataFrame or Series
    before, after : int or timedelta
        How many rows, or rows of how long a time, come with those of the
        partition. They may lie in several partitions.
    meta : optional
        What the function answers, if a call with made-up rows does not show it.
    enforce_metadata, transform_divisions, align_dataframes : bool
        As for ``map_partitions``.

    Returns
    -------
    DataFrame or Series

    Raises
    ------
    ValueError, TypeError
        If ``before`` or ``after`` is negative, or a time where labels are none.

    Examples
    --------
    >>> import oxidask.dataframe as dd
    >>> df = dd.from_dict({"x": [1, 2, 4, 8]}, npartitions=2)
    >>> dd.map_overlap(lambda rows: rows.diff(), df, 1, 0).x.compute().tolist()
    [nan, 1.0, 2.0, 4.0]
    """
    del transform_divisions
    if not isinstance(df, Collection):
        from oxidask.dataframe.creation import from_pandas

        df = from_pandas(df, npartitions=1)
    before, after = _reach(before, df), _reach(after, df)
    if align_dataframes:
        from oxidask.dataframe._align import aligned

        (df, *args), kwargs = aligned((df, *args), kwargs)  # type: ignore[assignment]
    name = getattr(func, "__name__", type(func).__name__)
    given = meta is not None
    meta = make_meta(meta, index=df._meta.index) if given else own_meta(func, name, (df, *args), kwargs)
    call = _rows.Enforced(func, meta) if given and enforce_metadata else func
    lead = _context(df, before, True) if before else None
    tail = _context(df, after, False) if after else None
    plan = df._plan.map(
        f"overlap-{name}",
        _call_between,
        lead,
        tail,
        call,
        tuple(_plan_of(arg) for arg in args),
        {key: _plan_of(value) for key, value in kwargs.items()},
    )
    return new(plan, meta, df.divisions)


def _context(df: Any, reach: Any, last: bool) -> Any:
    """For every partition, the rows that precede (or follow) it."""
    edges = df._plan.map("edge", _edge, reach, last)
    if last:
        return edges.scan("context", _Context(reach, True), None)
    turned = list(range(edges.n))[::-1]
    return edges.select(turned).scan("context", _Context(reach, False), None).select(turned)


# -- running totals ------------------------------------------------------------------

_TOTALS = {"cumsum": "sum", "cumprod": "prod", "cummax": "max", "cummin": "min"}


def _columns(rows: Any) -> list[pd.Series]:
    return [rows.iloc[:, i] for i in range(rows.shape[1])] if isinstance(rows, pd.DataFrame) else [rows]


def _total(rows: Any, name: str, skipna: bool) -> Any:
    """The total of every column of a partition, each of its own type."""
    if not len(rows):
        return None
    return [getattr(column, _TOTALS[name])(skipna=skipna) for column in _columns(rows)]


def _joined_total(name: str, a: Any, b: Any, skipna: bool) -> Any:
    if a is None or b is None:
        return b if a is None else a
    return [_joined_one(name, one, other, skipna) for one, other in zip(a, b, strict=True)]


def _joined_one(name: str, a: Any, b: Any, skipna: bool) -> Any:
    if pd.isna(a) or pd.isna(b):
        return (b if pd.isna(a) else a) if skipna else (a if pd.isna(a) else b)
    if name == "cumsum":
        return a + b
    if name == "cumprod":
        return a * b
    return max(a, b) if name == "cummax" else min(a, b)


class _RunningTotal:
    def __init__(self, name: str, skipna: bool) -> None:
        self.name, self.skipna = name, skipna

    def __dask_tokenize__(self) -> Any:
        return (_RunningTotal, self.name, self.skipna)

    def __call__(self, total: Any, state: Any) -> Any:
        return state, _joined_total(self.name, state, total, self.skipna)


def _continued(rows: Any, state: Any, name: str, skipna: bool) -> Any:
    own = getattr(rows, name)(skipna=skipna)
    if state is None or not len(rows):
        return own
    if not isinstance(own, pd.DataFrame):
        return _continued_one(own, state[0], name, skipna)
    made = own.copy(deep=False)
    for i, before in enumerate(state):
        made.isetitem(i, _continued_one(own.iloc[:, i], before, name, skipna))
    return made


def _continued_one(own: pd.Series, before: Any, name: str, skipna: bool) -> pd.Series:
    if name in ("cummax", "cummin"):
        return _bounded(own, before, name, skipna)
    if pd.isna(before):
        return own if skipna else own.where(pd.Series(False, index=own.index))
    return own + before if name == "cumsum" else own * before


def _bounded(own: pd.Series, state: Any, name: str, skipna: bool) -> pd.Series:
    if pd.isna(state):
        return own if skipna else own.where(pd.Series(False, index=own.index))
    better = own < state if name == "cummax" else own > state
    # A missing value is not better: it stays, and is no reason to put another in its place.
    better = better.fillna(False).astype(bool)
    return own.mask(better, state).astype(own.dtype) if bool(better.any()) else own


def cumulative(self: Any, name: str, axis: Any, skipna: bool) -> Any:
    """A running total through all partitions, in order."""
    if axis in (1, "columns"):
        return self._each(name, axis=1, skipna=skipna)
    meta = emulate(_rows.call, self, name, skipna=skipna)
    totals = self._plan.map(f"{name}-total", _total, name, skipna)
    before = totals.scan(f"{name}-before", _RunningTotal(name, skipna), None)
    return new(self._plan.map(name, _continued, before, name, skipna), meta, self.divisions)


# -- filling along rows ----------------------------------------------------------------


def _last_valid(rows: Any, name: str) -> Any:
    filled = getattr(rows, name)()
    return filled.iloc[-1:] if name == "ffill" else filled.iloc[:1]


class _Carried:
    def __init__(self, name: str) -> None:
        self.name = name

    def __dask_tokenize__(self) -> Any:
        return (_Carried, self.name)

    def __call__(self, edge: Any, state: Any) -> Any:
        if state is None or not len(state):
            return edge.iloc[:0], edge
        order = [state, edge] if self.name == "ffill" else [edge, state]
        return state, _last_valid(_rows.concat_rows(order), self.name)


def _filled_from(rows: Any, carried: Any, name: str) -> Any:
    whole = _rows.concat_rows([carried, rows] if name == "ffill" else [rows, carried])
    filled = getattr(whole, name)()
    n = len(carried)
    answer = filled.iloc[n:] if name == "ffill" else filled.iloc[: len(filled) - n]
    return answer


def fill_along(self: Any, name: str, axis: Any, limit: Any) -> Any:
    """``ffill`` or ``bfill`` across partitions."""
    if axis in (1, "columns"):
        return self._each(name, axis=1, limit=limit)
    if limit is None:
        answer = native_form(self, name, (), {})
        if answer is not NOT_NATIVE:
            return answer
    if limit is not None:
        reach = (limit, 0) if name == "ffill" else (0, limit)
        return map_overlap(_rows.call, self, *reach, name, limit=limit)
    edges = self._plan.map("edge", _last_valid, name)
    turned = list(range(edges.n)) if name == "ffill" else list(range(edges.n))[::-1]
    carried = edges.select(turned).scan("carried", _Carried(name), None).select(turned)
    return new(self._plan.map(name, _filled_from, carried, name), self._meta, self.divisions)

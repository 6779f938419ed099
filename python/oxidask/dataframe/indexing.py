"""Rows by label and columns by position."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import Any

import numpy as np
import pandas as pd

from oxidask.dataframe._collection import new
from oxidask.dataframe.core import NOT_NATIVE, Collection, elemwise, native_form

__all__ = ["ILoc", "Loc"]


def _loc(rows: Any, key: Any, columns: Any) -> Any:
    return rows.loc[key] if columns is None else rows.loc[key, columns]


def _loc_list(rows: Any, keys: Any, columns: Any) -> Any:
    taken = rows.loc[list(keys)] if len(keys) else rows.iloc[:0]
    return taken if columns is None else taken.loc[:, columns]


def _loc_label(rows: Any, key: Any, columns: Any) -> Any:
    """The rows with a label, always as rows."""
    found = rows.loc[key:key] if rows.index.is_monotonic_increasing else rows[rows.index == key]
    if not len(found):
        raise KeyError(key)
    return found if columns is None else found.loc[:, columns]


def _loc_label_or_none(rows: Any, key: Any, columns: Any) -> Any:
    found = rows[rows.index == key]
    return found if columns is None else found.loc[:, columns]


def _loc_slice(rows: Any, low: Any, high: Any, columns: Any) -> Any:
    if rows.index.is_monotonic_increasing or not len(rows):
        taken = rows.loc[low:high]
    else:
        keep = np.ones(len(rows), dtype=bool)
        if low is not None:
            keep &= np.asarray(rows.index >= low)
        if high is not None:
            keep &= np.asarray(rows.index <= high)
        taken = rows[keep]
    return taken if columns is None else taken.loc[:, columns]


def _position(divisions: Any, label: Any) -> int:
    """The partition that a label lies in."""
    n = len(divisions) - 1
    return min(n - 1, max(0, bisect_right(divisions, label) - 1))


class Loc:
    """``df.loc[rows]`` and ``df.loc[rows, columns]``."""

    def __init__(self, rows: Any) -> None:
        self._of = rows

    def __getitem__(self, key: Any) -> Any:
        columns = None
        if isinstance(key, tuple):
            if len(key) > self._of.ndim:
                raise pd.errors.IndexingError("Too many indexers")
            key, columns = key[0], key[1] if len(key) > 1 else None
        if isinstance(key, (pd.Series, pd.Index)) and key.dtype == bool:
            raise NotImplementedError("rows are chosen by a lazy Series of booleans")
        if callable(key) and not isinstance(key, Collection):
            return self[(key(self._of), columns) if columns is not None else key(self._of)]
        rows = self._of
        if columns is not None and not (isinstance(columns, slice) and columns == slice(None)):
            self._check_columns(columns)
        else:
            columns = None
        if isinstance(key, slice) and key == slice(None):
            return rows if columns is None else elemwise(_loc, rows, slice(None), columns, _label="loc")
        if isinstance(key, Collection) or hasattr(key, "chunks"):
            return self._boolean(key, columns)
        if isinstance(key, slice):
            return self._slice(key, columns)
        if isinstance(key, (list, np.ndarray, pd.Index, pd.Series)):
            return self._list(list(key), columns)
        return self._label(key, columns)

    def _check_columns(self, columns: Any) -> None:
        from oxidask.dataframe.frame import no_column

        known = self._of._meta.columns
        if isinstance(columns, (list, pd.Index)):
            for label in columns:
                if not isinstance(label, (bool, np.bool_)) and label not in known:
                    raise no_column(label, known)
        elif not isinstance(columns, (slice, np.ndarray)) and not callable(columns) and columns not in known:
            raise no_column(columns, known)

    def _boolean(self, key: Any, columns: Any) -> Any:
        if not isinstance(key, Collection):
            from oxidask.dataframe._arrays import from_dask_array

            key = from_dask_array(key, index=self._of.index)
        if key._meta.dtype != bool and str(key._meta.dtype) not in ("boolean", "bool[pyarrow]"):
            raise KeyError(
                f"loc chooses rows by lazy booleans, and the key holds {key._meta.dtype}\n"
                "hint: labels are passed computed: loc[key.compute()]"
            )
        if key._kind == "index":
            key = key.to_series()
        plain = columns is None or isinstance(columns, str) or (isinstance(columns, list) and columns)
        if plain and self._of._native is not None and key._native is not None:
            answer = native_form(self._of, "__getitem__", (key,), {})
            if answer is not NOT_NATIVE:
                return answer if columns is None else answer[columns]
        return elemwise(_loc, self._of, key, columns, _label="loc")

    def _label(self, key: Any, columns: Any) -> Any:
        rows = self._of
        index = rows._meta.index
        if isinstance(index, pd.DatetimeIndex) and isinstance(key, str):
            return self._slice(slice(key, key), columns)
        if isinstance(index, pd.PeriodIndex) and isinstance(key, str):
            return self._slice(slice(key, key), columns)
        meta = rows._meta if columns is None else rows._meta.loc[:, columns]
        if not rows.known_divisions:
            return new(rows._plan.map("loc", _loc_label_or_none, key, columns), meta, None)
        divisions = rows.divisions
        try:
            outside = key < divisions[0] or key > divisions[-1]
        except TypeError:
            outside = True
        if outside:
            raise KeyError(f"the label [{key}] is not in the index")
        part = rows.partitions[_position(divisions, key)]
        return new(part._plan.map("loc", _loc_label, key, columns), meta, (key, key))

    def _list(self, keys: list[Any], columns: Any) -> Any:
        rows = self._of
        meta = rows._meta if columns is None else rows._meta.loc[:, columns]
        if keys and all(isinstance(key, (bool, np.bool_)) for key in keys):
            raise NotImplementedError("rows are chosen by a lazy Series of booleans")
        if not rows.known_divisions:
            return self._list_unknown(keys, columns, meta)
        parts: dict[int, list[Any]] = {}
        for key in sorted(keys):
            if key < rows.divisions[0] or key > rows.divisions[-1]:
                raise KeyError(f"the label [{key}] is not in the index")
            parts.setdefault(_position(rows.divisions, key), []).append(key)
        from oxidask.dataframe._plan import Plan

        if not parts:
            return new(rows.partitions[:1]._plan.map("loc", _loc_list, [], columns), meta, None)
        numbers = sorted(parts)
        plan = rows._plan.select(numbers).map(
            "loc", _loc_list, Plan.source([parts[n] for n in numbers], "labels"), columns
        )
        divisions = [min(parts[n]) for n in numbers] + [max(parts[numbers[-1]])]
        return new(plan, meta, tuple(divisions))

    def _list_unknown(self, keys: list[Any], columns: Any, meta: Any) -> Any:
        return new(self._of._plan.map("loc", _loc_any, keys, columns), meta, None)

    def _slice(self, key: slice, columns: Any) -> Any:
        rows = self._of
        if key.step is not None:
            raise NotImplementedError("slices of labels have no step")
        low, high = key.start, key.stop
        meta = rows._meta if columns is None else rows._meta.loc[:, columns]
        if not rows.known_divisions:
            return new(rows._plan.map("loc", _loc_slice, low, high, columns), meta, None)
        low_label = _bound_of(rows._meta.index, low, "left") if low is not None else None
        high_label = _bound_of(rows._meta.index, high, "right") if high is not None else None
        divisions = rows.divisions
        first = _position(divisions, low_label) if low is not None else 0
        last = _position(divisions, high_label) if high is not None else rows.npartitions - 1
        # Labels equal to a bound may also end the partition before.
        if low is not None and first > 0 and bisect_left(divisions, low_label) == first == rows.npartitions - 1:
            first = min(first, bisect_left(divisions, low_label))
        if last < first:
            last = first
        part = rows.partitions[first : last + 1]
        made = self._native_slice(part, low_label, high_label, columns)
        bounds = list(divisions[first : last + 2])
        if low_label is not None:
            bounds[0] = max(bounds[0], low_label) if low_label <= bounds[-1] else bounds[0]
        if high_label is not None:
            bounds[-1] = min(bounds[-1], high_label) if high_label >= bounds[0] else bounds[0]
        if bounds != sorted(bounds):
            bounds = [None] * len(bounds)
        if made is not NOT_NATIVE:
            object.__setattr__(made, "_own_divisions", tuple(bounds))
            return made
        return new(part._plan.map("loc", _loc_slice, low, high, columns), meta, tuple(bounds))

    def _native_slice(self, part: Any, low: Any, high: Any, columns: Any) -> Any:
        """The engine's form of a slice of labels, of some columns."""
        from oxidask.dataframe._set_index import _is_exact

        if part._kind not in ("frame", "series") or not _is_exact(part._meta.index.dtype):
            return NOT_NATIVE
        if columns is not None:
            if not isinstance(columns, (str, list)) or any(isinstance(one, (bool, np.bool_)) for one in columns):
                return NOT_NATIVE
            part = part[columns]
        try:
            return native_form(part, "loc_between", (low, high), {})
        except ValueError:
            return NOT_NATIVE


def _loc_any(rows: Any, keys: list[Any], columns: Any) -> Any:
    taken = rows[rows.index.isin(keys)]
    return taken if columns is None else taken.loc[:, columns]


def _bound_of(index: pd.Index, label: Any, side: str) -> Any:
    """What a label means: a text among times stands for a span."""
    if isinstance(index, pd.DatetimeIndex) and isinstance(label, str):
        sample = index if len(index) else pd.DatetimeIndex(["2000-01-01"], tz=index.tz)
        return sample._maybe_cast_slice_bound(label, side)
    if isinstance(index, pd.PeriodIndex) and isinstance(label, str):
        return pd.Period(label, freq=index.freq)
    if isinstance(index, pd.DatetimeIndex):
        return pd.Timestamp(label)
    return label


def check_slice(key: slice) -> None:
    """Refuses slices that pandas takes for positions: those of whole numbers.

    Raises
    ------
    NotImplementedError
        If it is one.
    """
    if any(isinstance(end, (int, np.integer)) for end in (key.start, key.stop)):
        raise NotImplementedError(
            f"rows [{key.start}:{key.stop}] would be chosen by position, which is not known before computing\n"
            "hint: loc[start:stop] chooses by label (the last one included), head(n) the first rows"
        )


class ILoc:
    """``df.iloc[:, columns]``."""

    def __init__(self, rows: Any) -> None:
        self._of = rows

    def __getitem__(self, key: Any) -> Any:
        message = "iloc chooses columns by position, not rows\nhint: write df.iloc[:, columns]"
        if not isinstance(key, tuple):
            raise NotImplementedError(message)
        if len(key) > 2:
            raise ValueError("Too many indexers")
        which, columns = key
        if which != slice(None):
            raise NotImplementedError(message)
        rows = self._of
        if not rows.columns.is_unique:
            return elemwise(_iloc, rows, columns, _label="iloc")
        names = rows.columns[columns]
        return rows[list(names) if isinstance(names, pd.Index) else names]


def _iloc(rows: Any, columns: Any) -> Any:
    return rows.iloc[:, columns]

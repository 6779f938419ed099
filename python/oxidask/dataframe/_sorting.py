"""Rows in order: they go to ranges of a key, whose bounds a sample shows."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pandas as pd

from oxidask.dataframe import _rows
from oxidask.dataframe._collection import new
from oxidask.dataframe._meta import emulate
from oxidask.dataframe._shuffle import cut, gather

__all__ = ["find_divisions", "places_of", "sort_frame"]


#: Values that a partition shows of a column, to find bounds of even size.
SAMPLES = 512


def _sample(column: Any) -> Any:
    """Evenly spaced values in order, how many rows there are, and the extremes."""
    if isinstance(column, pd.Index):
        column = column.to_series()
    values = column.dropna()
    is_missing = len(values) < len(column)
    if isinstance(values.dtype, pd.CategoricalDtype):
        values = values.cat.as_ordered() if not values.cat.ordered else values
    values = values.sort_values()
    n = len(values)
    if not n:
        return ([], 0, None, None, is_missing)
    picks = np.unique(np.linspace(0, n - 1, min(SAMPLES, n)).astype("int64"))
    return (values.iloc[picks], n, values.iloc[0], values.iloc[-1], is_missing)


def _bounds(samples: list[Any], n: int) -> Any:
    """Bounds of ``n`` parts of even size, and whether partitions are in order already."""
    there = [sample for sample in samples if sample[1]]
    if not there:
        return None, False
    in_order = len(there) == len(samples) and not any(sample[4] for sample in samples)
    in_order = in_order and all(_precedes(a, b) for a, b in itertools.pairwise(there))
    if in_order and len(there) == n:
        return [*(sample[2] for sample in there), there[-1][3]], True
    values = _rows.concat_rows([sample[0] for sample in there])
    weights = np.concatenate([np.full(len(sample[0]), sample[1] / len(sample[0])) for sample in there])
    order = np.argsort(values.cat.codes.to_numpy() if isinstance(values.dtype, pd.CategoricalDtype) else values.array,
                       kind="stable")  # fmt: skip
    reached = np.cumsum(weights[order])
    targets = np.linspace(0, reached[-1], n + 1)[1:-1]
    picks = np.searchsorted(reached, targets, side="left")
    inner = [values.iloc[order[pick]] for pick in picks]
    low, high = values.iloc[order[0]], values.iloc[order[-1]]
    bounds = [low]
    for bound in inner:
        if (
            bound > bounds[-1]
            if not isinstance(values.dtype, pd.CategoricalDtype)
            else _after(values, bound, bounds[-1])
        ):
            bounds.append(bound)
    return [*bounds, high], False


def _precedes(a: Any, b: Any) -> bool:
    """Whether all values of one sample come before those of another; categories have an order of their own."""
    one, other = a[0].dtype, b[0].dtype
    if not isinstance(one, pd.CategoricalDtype):
        return bool(a[3] < b[2])
    if not one.categories.equals(other.categories):
        return False
    return bool(one.categories.get_loc(a[3]) < one.categories.get_loc(b[2]))


def _after(values: pd.Series, a: Any, b: Any) -> bool:
    categories = values.cat.categories
    return bool(categories.get_loc(a) > categories.get_loc(b))


def find_divisions(column: Any, n: int) -> Any:
    """Bounds of ``n`` parts of even size; computes a sample of the column at once."""
    samples = column._plan.map("sample", _sample)
    from oxidask import base

    return _bounds(list(base.compute(*samples.delayed())), n)


class _ByRange:
    """Cuts rows by the range that a key lies in; missing keys go to one end."""

    def __init__(self, bounds: list[Any], key: Any, descending: bool, na_first: bool) -> None:
        self.bounds, self.key, self.descending, self.na_first = bounds, key, descending, na_first

    def __dask_tokenize__(self) -> Any:
        return (_ByRange, self.bounds, self.key, self.descending, self.na_first)

    def __call__(self, rows: Any, n: int) -> list[Any]:
        rows, keys = rows if isinstance(rows, tuple) else (rows, self._key(rows))
        places = places_of(keys, self.bounds)
        last = len(self.bounds) - 2
        places = np.clip(places, 0, last)
        if self.descending:
            places = last - places
        missing = pd.isna(keys).to_numpy() if isinstance(keys, pd.Series) else pd.isna(keys)
        places = np.where(missing, 0 if self.na_first else last, places)
        return cut(rows, places, n)

    def _key(self, rows: Any) -> Any:
        if isinstance(rows, pd.Series):
            return rows
        return rows[self.key] if self.key in rows.columns else rows.index.get_level_values(self.key).to_series()


def places_of(keys: Any, bounds: list[Any]) -> np.ndarray:
    """The number of the range that each key lies in."""
    inner = bounds[1:-1]
    if isinstance(keys.dtype, pd.CategoricalDtype):
        categories = keys.cat.categories
        codes = categories.get_indexer(inner)
        return np.searchsorted(codes, keys.cat.codes.to_numpy(), side="right")
    if not inner:
        return np.zeros(len(keys), dtype="int64")
    values = keys.where(keys.notna(), bounds[0]) if keys.isna().any() else keys
    if isinstance(values.dtype, pd.StringDtype):
        # Texts are compared one by one, and keys repeat.
        codes, texts = pd.factorize(values)
        return np.searchsorted(np.array(inner, dtype=object), texts.to_numpy(dtype=object), side="right")[codes]
    marks = pd.Series(inner, dtype=values.dtype) if not isinstance(values.dtype, np.dtype) else pd.Series(inner)
    return np.asarray(marks.searchsorted(values.array if values.dtype == object else values, side="right"))


def _sorted_frame(rows: Any, by: Any, ascending: Any, na_position: str, kwargs: dict[str, Any]) -> Any:
    if isinstance(rows, pd.Series):
        return rows.sort_values(ascending=ascending, na_position=na_position, kind="stable", **kwargs)
    return rows.sort_values(by, ascending=ascending, na_position=na_position, kind="stable", **kwargs)


class _Sort:
    def __init__(self, by: Any, ascending: Any, na_position: str, kwargs: dict[str, Any], custom: Any = None) -> None:
        self.by, self.ascending, self.na_position, self.kwargs, self.custom = by, ascending, na_position, kwargs, custom

    def __dask_tokenize__(self) -> Any:
        return (_Sort, self.by, self.ascending, self.na_position, self.kwargs, self.custom)

    def __call__(self, rows: Any) -> Any:
        if self.custom is not None:
            return self.custom(rows)
        return _sorted_frame(rows, self.by, self.ascending, self.na_position, self.kwargs)


def sort_frame(
    self: Any,
    by: Any,
    npartitions: int | None,
    ascending: Any,
    na_position: str,
    sort_function: Any,
    sort_function_kwargs: Any,
    ignore_index: bool,
) -> Any:
    """``sort_values``: rows go to ranges of the first key, and are sorted there by all."""
    n = self.npartitions if npartitions in (None, "auto") else int(npartitions)
    first = ascending[0] if isinstance(ascending, list) else ascending
    kwargs = {"ignore_index": True} if ignore_index else {}
    call: Any = _Sort(by, ascending, na_position, kwargs)
    if sort_function is not None:
        from functools import partial

        more = {"by": by, "ascending": ascending, "na_position": na_position, **(sort_function_kwargs or {})}
        call = partial(sort_function, **more)
    if n == 1 and self.npartitions == 1:
        return self._gathered("sort_values", call)
    key = by[0] if isinstance(by, list) else by

    def plan() -> Any:
        return _sorted_plan(self, key, call, n, not first, na_position == "first")

    def top(count: int) -> Any:
        step = _Top(call, count)
        return self._tree("sort_values-head", step.chunk, step.join)

    if sort_function is not None:
        return new(plan(), emulate(call, self), None)
    return type(self)._later(plan, emulate(call, self), top)


class _Top:
    """The first rows in order, of a partition and of several: those of all are among them."""

    def __init__(self, sort: Any, n: int) -> None:
        self.sort, self.n = sort, n

    def __dask_tokenize__(self) -> Any:
        return (_Top, self.sort, self.n)

    def chunk(self, rows: Any) -> Any:
        few = self._selected(rows)
        return self.sort(rows).iloc[: self.n] if few is None else few

    def _selected(self, rows: Any) -> Any:
        """The rows without a sort of all, by one column of plain numbers with enough values."""
        by, rising = self.sort.by, self.sort.ascending
        by = by[0] if isinstance(by, list) and len(by) == 1 else by
        rising = rising[0] if isinstance(rising, list) and len(rising) == 1 else rising
        if not isinstance(rows, pd.DataFrame) or not isinstance(by, str) or by not in rows.columns or self.sort.kwargs:
            return None
        column = rows[by]
        plain = isinstance(column, pd.Series) and isinstance(column.dtype, np.dtype) and column.dtype.kind in "iuf"
        if not plain or not isinstance(rising, bool) or self.sort.na_position != "last" or column.count() < self.n:
            return None
        labels = column.reset_index(drop=True)
        picked = labels.nsmallest(self.n) if rising else labels.nlargest(self.n)
        return rows.iloc[picked.index]

    def join(self, parts: list[Any]) -> Any:
        return self.chunk(_rows.concat_rows(parts))


def _sorted_plan(self: Any, key: Any, call: Any, n: int, descending: bool, na_first: bool) -> Any:
    """Rows in ranges of a key, each sorted; computes a sample of the key."""
    column = self if self._kind == "series" else (self[key] if key in list(self._meta.columns) else self.index)
    bounds, _ = find_divisions(column, n)
    if bounds is None or len(bounds) < 2:
        return self._gathered("sort_values", call)._plan
    scatter = _ByRange(bounds, key, descending, na_first)
    return self._plan.shuffle(scatter, gather, len(bounds) - 1).map("sort_values", call)

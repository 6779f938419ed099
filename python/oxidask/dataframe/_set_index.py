"""Columns as index, and rows in order of it, with divisions."""

from __future__ import annotations

import itertools
from typing import Any

import pandas as pd

from oxidask.dataframe._collection import new
from oxidask.dataframe._meta import emulate
from oxidask.dataframe._shuffle import gather
from oxidask.dataframe._sorting import _ByRange, find_divisions, sort_frame
from oxidask.dataframe.core import NOT_NATIVE, Collection, native_form

__all__ = ["set_index", "set_sorted_index", "sort_index", "sorted_divisions", "with_known_divisions"]


def _with_index(rows: pd.DataFrame, key: Any, drop: bool, append: bool = False) -> pd.DataFrame:
    return rows.set_index(key, drop=drop, append=append)


def _with_index_sorted(rows: pd.DataFrame, key: Any, drop: bool) -> pd.DataFrame:
    return rows.set_index(key, drop=drop).sort_index(kind="stable")


def _pair_of(rows: Any, column: Any) -> tuple[Any, Any]:
    return rows, column


def _set_pair(rows: Any, column: Any) -> Any:
    return rows.set_index(column)


class _RangePairs(_ByRange):
    """As :class:`_ByRange`, of rows whose key is a column apart, which becomes their index."""

    def __call__(self, rows: Any, n: int) -> list[Any]:
        frame, column = rows
        return _ByRange.__call__(self, (frame.set_index(column), column), n)


def _sort_rows(rows: Any) -> Any:
    return rows.sort_index(kind="stable")


def set_index(self: Any, other: Any, drop: bool, npartitions: Any, divisions: Any, sort: bool, append: bool) -> Any:
    """A column as index; rows go to ranges of it unless ``sort`` is false."""
    lazy = isinstance(other, Collection)
    column = other if lazy else self[other]
    if append or not sort:
        func = _set_pair if lazy else _with_index
        args = (column._plan,) if lazy else (other, drop, append)
        meta = emulate(func, self, *((column,) if lazy else args))
        return new(self._plan.map("set_index", func, *args), meta, None)
    n = self.npartitions if npartitions in (None, "auto") else int(npartitions)
    in_order = False
    bounds: Any
    if divisions is not None:
        bounds = list(divisions)
    else:
        bounds, in_order = find_divisions(column, n)
    if bounds is not None and len(bounds) > 1 and _is_exact(column._meta.dtype):
        answer = native_form(self, "set_index_divided", (column if lazy else other, drop, bounds), {})
        if answer is not NOT_NATIVE:
            return answer
    meta = emulate(_set_pair, self, column) if lazy else emulate(_with_index, self, other, drop)
    if bounds is None:
        func, args = (_set_pair, (column._plan,)) if lazy else (_with_index, (other, drop))
        return new(self._plan.map("set_index", func, *args), meta, None)
    if in_order:
        if lazy:
            plan = self._plan.map("set_index", _set_pair, column._plan).map("sort_index", _sort_rows)
        else:
            plan = self._plan.map("set_index", _with_index_sorted, other, drop)
        return new(plan, meta, tuple(bounds))
    if lazy:
        pairs = self._plan.map("pair", _pair_of, column._plan)
        plan = pairs.shuffle(_RangePairs(bounds, None, False, False), gather, len(bounds) - 1)
        plan = plan.map("sort_index", _sort_rows)
    else:
        scatter = _ByRange(bounds, other, False, False)
        plan = self._plan.shuffle(scatter, gather, len(bounds) - 1).map("set_index", _with_index_sorted, other, drop)
    return new(plan, meta, tuple(bounds))


def _is_exact(dtype: Any) -> bool:
    """Whether divisions of the type mean to the engine what they mean to pandas: numbers, text, times without zones."""
    return getattr(dtype, "kind", "") in "iufM" or isinstance(dtype, pd.StringDtype)


def _ends(rows: Any) -> Any:
    index = rows if isinstance(rows, pd.Index) else rows.index
    if not len(index):
        return None
    return index[0], index[-1], bool(index.is_monotonic_increasing)


def sorted_divisions(plan: Any) -> tuple[Any, ...] | None:
    """The divisions of rows that are in order of their index; computes the ends of partitions.

    Raises
    ------
    ValueError
        If they are not in order.
    """
    from oxidask import base

    ends = list(base.compute(*plan.map("ends", _ends).delayed()))
    there = [(number, end) for number, end in enumerate(ends) if end is not None]
    if not there:
        return None
    for number, (_, _, rising) in there:
        if not rising:
            raise ValueError(
                f"sorted=True was said, but partition {number} is not sorted by its index\nhint: leave out sorted=True"
            )
    for (a, first), (b, second) in itertools.pairwise(there):
        if first[1] > second[0]:
            raise ValueError(
                "sorted=True was said, but partitions overlap: "
                f"partition {a} ends at {first[1]!r}, and partition {b} begins at {second[0]!r}\n"
                "hint: leave out sorted=True"
            )
    return ends  # type: ignore[return-value]


def set_sorted_index(self: Any, other: Any, drop: bool, divisions: Any) -> Any:
    """A column that is in order as index; divisions are found by looking at the ends of partitions."""
    if isinstance(other, Collection):
        plan = self._plan.map("set_index", _set_pair, other._plan)
        meta = emulate(_set_pair, self, other)
    else:
        plan = self._plan.map("set_index", _with_index, other, drop)
        meta = emulate(_with_index, self, other, drop)
    if divisions is not None:
        if len(divisions) != plan.n + 1:
            raise ValueError(
                f"divisions has {len(divisions)} values for {plan.n} partitions\n"
                "hint: with sorted=True they must be the same length as the partitions, and one more: "
                "the least label of each, and the greatest of the last"
            )
        return new(plan, meta, tuple(divisions))
    return with_known_divisions(plan, meta)


def with_known_divisions(plan: Any, meta: Any) -> Any:
    """The collection of rows that are in order of their index, with divisions found out.

    A label at the border of two partitions moves into the second.
    """
    ends = sorted_divisions(plan)
    if ends is None:
        return new(plan, meta, None)
    kept = [number for number, end in enumerate(ends) if end is not None]
    plan = plan.select(kept) if len(kept) < plan.n else plan
    there = [ends[number] for number in kept]
    overlap = any(a[1] == b[0] for a, b in itertools.pairwise(there))
    if not overlap:
        return new(plan, meta, (*(end[0] for end in there), there[-1][1]))
    bounds = []
    for first, _, _ in there:
        if not bounds or bounds[-1] != first:
            bounds.append(first)
    bounds = (*bounds, there[-1][1])
    return _resolved(plan, meta, there, bounds)


def _resolved(plan: Any, meta: Any, there: list[Any], bounds: tuple[Any, ...]) -> Any:
    from oxidask.dataframe._align import _cut
    from oxidask.dataframe._plan import Plan

    ranges, cuts = [], []
    n = len(bounds) - 1
    for number in range(n):
        low, high, last = bounds[number], bounds[number + 1], number == n - 1
        touching = [i for i, end in enumerate(there) if end[1] >= low and (end[0] <= high if last else end[0] < high)]
        ranges.append((touching[0], touching[-1] + 1))
        cuts.append((low, high, last))
    made = plan.groups("resolve", _cut, ranges, Plan.source(cuts, "bounds"))
    return new(made, meta, bounds)


_LABEL = "__label__"


def _labelled(rows: Any) -> pd.DataFrame:
    """The rows with their labels as a column too."""
    frame = rows.to_frame("__values__") if isinstance(rows, pd.Series) else rows
    return frame.assign(**{_LABEL: frame.index})


def _unlabelled(frame: pd.DataFrame, series: bool, name: Any) -> Any:
    rows = frame.drop(columns=[_LABEL])
    return rows["__values__"].rename(name) if series else rows


def sort_index(self: Any, ascending: bool, npartitions: int | None) -> Any:
    """``sort_index``: rows go to ranges of their labels, and are sorted there."""
    if ascending and self.known_divisions and npartitions is None:
        return new(self._plan.map("sort_index", _sort_rows), self._meta, self.divisions)
    labelled = new(self._plan.map("labels", _labelled), emulate(_labelled, self), None)
    made = sort_frame(labelled, [_LABEL], npartitions, ascending, "last", None, None, False)
    plan = made._plan.map("sort_index", _unlabelled, self._kind == "series", getattr(self._meta, "name", None))
    return with_known_divisions(plan, self._meta) if ascending else new(plan, self._meta, None)

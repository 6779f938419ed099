"""The same rows in other partitions."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pandas as pd

from oxidask.dataframe import _rows
from oxidask.dataframe._align import repartition_divisions
from oxidask.dataframe._collection import new
from oxidask.dataframe._plan import Plan
from oxidask.dataframe.core import NOT_NATIVE, native_form

__all__ = ["repartition"]


def repartition(self: Any, divisions: Any, npartitions: Any, partition_size: Any, freq: Any, force: bool) -> Any:
    """``repartition`` of frames and columns."""
    given = [one is not None for one in (divisions, npartitions, partition_size, freq)]
    if sum(given) != 1:
        raise ValueError(
            "repartition takes one of npartitions, divisions, freq and partition_size, no more and no fewer"
        )
    if isinstance(divisions, int) and not isinstance(divisions, bool):
        npartitions, divisions = divisions, None
    if divisions is not None:
        return repartition_divisions(self, list(divisions), force)
    if npartitions is not None:
        if not isinstance(npartitions, (int, np.integer)):
            if callable(npartitions):
                npartitions = npartitions(self.npartitions)
            else:
                raise TypeError(f"npartitions must be a whole number, got {npartitions!r}")
        if npartitions < 1:
            raise ValueError(f"npartitions must be at least 1, got {npartitions}")
        return _by_count(self, int(npartitions))
    if freq is not None:
        return _by_frequency(self, freq)
    return _by_size(self, partition_size)


def _joined(parts: list[Any]) -> Any:
    return _rows.concat_rows(parts)


def _split(parts: list[Any], piece: tuple[int, int]) -> Any:
    """One of the even pieces of a partition."""
    (rows,) = parts
    number, n = piece
    ends = np.linspace(0, len(rows), n + 1).astype("int64")
    return (
        rows[ends[number] : ends[number + 1]]
        if isinstance(rows, pd.Index)
        else rows.iloc[ends[number] : ends[number + 1]]
    )


def _by_count(self: Any, n: int) -> Any:
    old = self.npartitions
    if n == old:
        return self
    if n < old:
        ends = [round(i * old / n) for i in range(n + 1)]
        ranges = list(itertools.pairwise(ends))
        plan = self._plan.groups("repartition", _joined, ranges)
        divisions = tuple(self.divisions[end] for end in ends) if self.known_divisions else None
        if self._native is not None:
            answer = native_form(self, "repartition", (n,), {})
            if answer is not NOT_NATIVE:
                if divisions is not None and not answer.known_divisions:
                    return new(plan, self._meta, divisions)
                return answer
        return new(plan, self._meta, divisions)
    if self.known_divisions and _is_measured(self.divisions):
        made = _interpolated(self.divisions, n)
        if made is not None:
            return repartition_divisions(self, made)
    if self._native is not None and not self.known_divisions:
        answer = native_form(self, "repartition", (n,), {})
        if answer is not NOT_NATIVE:
            return answer
    counts = np.diff(np.linspace(0, n, old + 1).astype("int64"))
    ranges = [(number, number + 1) for number, count in enumerate(counts) for _ in range(count)]
    pieces = [(i, int(count)) for count in counts for i in range(count)]
    return new(self._plan.groups("repartition", _split, ranges, Plan.source(pieces, "pieces")), self._meta, None)


def _is_measured(divisions: Any) -> bool:
    return all(
        isinstance(bound, (int, float, np.number, pd.Timestamp, np.datetime64)) for bound in divisions
    ) and not any(isinstance(bound, bool) for bound in divisions)


def _interpolated(divisions: Any, n: int) -> Any:
    """``n`` partitions between known divisions, spread evenly among the old ones."""
    index = pd.Index(list(divisions))
    times = isinstance(index, pd.DatetimeIndex)
    values = index.as_unit("ns").tz_localize(None).asi8.astype("float64") if times else index.to_numpy(dtype="float64")
    made = np.interp(np.linspace(0, len(values) - 1, n + 1), np.arange(len(values)), values)
    if times:
        whole = pd.DatetimeIndex(made.astype("int64").astype("M8[ns]")).as_unit(index.unit)
        whole = whole.tz_localize(index.tz)
        bounds: list[Any] = list(whole)
    elif index.dtype.kind in "iu":
        bounds = [int(value) for value in np.round(made).astype("int64")]
    else:
        bounds = list(made)
    bounds[0], bounds[-1] = divisions[0], divisions[-1]
    unique = list(dict.fromkeys(bounds))
    if len(unique) < 2 or len(unique) != len(bounds):
        return None
    return unique


def _by_frequency(self: Any, freq: Any) -> Any:
    if not self.known_divisions or not isinstance(self.divisions[0], pd.Timestamp):
        raise TypeError(
            f"freq={freq!r} is only for timeseries: known divisions that are times\nhint: use set_index with a column of times"
        )
    offset = pd.tseries.frequencies.to_offset(pd.Timedelta(freq) if not isinstance(freq, str) else freq)
    start, end = self.divisions[0], self.divisions[-1]
    try:
        first = start.ceil(offset)
    except ValueError:
        first = start
    inner = [t for t in pd.date_range(first, end, freq=offset) if start < t <= end]
    # Rows at the very end may have a span, and a partition, of their own: only the last two bounds may be equal.
    return repartition_divisions(self, [start, *inner, end])


def _bytes(rows: Any) -> int:
    usage = rows.memory_usage(deep=True)
    return int(usage.sum()) if isinstance(usage, pd.Series) else int(usage)


def _by_size(self: Any, size: Any) -> Any:
    from oxidask import base
    from oxidask.utils import parse_bytes

    wanted = parse_bytes(size) if isinstance(size, str) else int(size)
    if wanted < 1:
        raise ValueError(f"partition_size must be at least 1 byte, got {size!r}")
    usage = list(base.compute(*self._plan.map("size", _bytes).delayed()))
    pieces, sizes, ranges = [], [], []
    for number, own in enumerate(usage):
        count = max(1, -(-own // wanted))
        for i in range(count):
            ranges.append((number, number + 1))
            pieces.append((i, count))
            sizes.append(own / count)
    split = (
        self._plan
        if len(ranges) == self.npartitions
        else self._plan.groups("repartition", _split, ranges, Plan.source(pieces, "pieces"))
    )
    groups: list[tuple[int, int]] = []
    start, total = 0, 0.0
    for number, own in enumerate(sizes):
        if total + own > wanted and number > start:
            groups.append((start, number))
            start, total = number, 0.0
        total += own
    groups.append((start, len(sizes)))
    divisions = None
    if self.known_divisions and len(ranges) == self.npartitions:
        divisions = (*(self.divisions[a] for a, _ in groups), self.divisions[-1])
    return new(split.groups("repartition", _joined, groups), self._meta, divisions)

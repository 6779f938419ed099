"""Aggregations of groups as partial results that join: one table of parts.

An aggregation needs some *parts* of a column (its sum, its count …), each made in
a partition and joined by key; its end makes the answer of them. What has no parts
needs whole groups and is not here.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from oxidask.dataframe import _rows
from oxidask.dataframe._reductions import masked_like

__all__ = ["Aggregation", "TreeAggregation", "name_of", "parts_of"]


class Aggregation:
    """An aggregation of your own, in steps that run in parallel.

    Parameters
    ----------
    name : str
    chunk : callable
        Gets the grouped column of a partition; answers a Series, or a tuple of them.
    agg : callable
        Gets each of them for several partitions, grouped by key, and joins them.
    finalize : callable, optional
        Makes the answer of the joined Series.

    Examples
    --------
    >>> import oxidask.dataframe as dd
    >>> total = dd.Aggregation("total", lambda g: g.sum(), lambda g: g.sum())
    >>> df = dd.from_dict({"k": [1, 1, 2], "x": [1, 2, 3]}, npartitions=2)
    >>> df.groupby("k").agg({"x": total}).compute().x.tolist()
    [3, 3]
    """

    def __init__(self, name: str, chunk: Any, agg: Any, finalize: Any = None) -> None:
        self.chunk, self.agg, self.finalize = chunk, agg, finalize
        self.__name__ = name

    def __dask_tokenize__(self) -> Any:
        return (Aggregation, self.__name__, self.chunk, self.agg, self.finalize)


#: The parts that an aggregation needs.
PARTS: dict[str, list[str]] = {
    **{name: [name] for name in ("sum", "prod", "min", "max", "first", "last", "any", "all", "count", "size")},
    "mean": ["sum", "count"],
    "var": ["moments"],
    "std": ["moments"],
    "sem": ["moments"],
    "list": ["list"],
}

#: How a part joins, if not by its own name.
JOINS = {"count": "sum", "size": "sum"}

_KNOWN: dict[Any, str] = {
    sum: "sum", min: "min", max: "max", list: "list", np.sum: "sum", np.min: "min", np.max: "max", np.mean: "mean",
    np.std: "std", np.var: "var", np.prod: "prod", np.median: "median", any: "any", all: "all",
}  # fmt: skip


def name_of(func: Any) -> Any:
    """The name of an aggregation if it has one, else the function itself."""
    if isinstance(func, str):
        return {"nunique_approx": "nunique"}.get(func, func)
    try:
        return _KNOWN.get(func, func)
    except TypeError:
        return func


def parts_of(func: Any) -> list[Any] | None:
    """The parts of an aggregation; none if it needs whole groups."""
    if isinstance(func, Aggregation):
        return [func]
    return PARTS.get(func) if isinstance(func, str) else None


class TreeAggregation:
    """Groups a partition, and joins grouped partitions.

    ``specs`` are (column, function) in the order of the answer's columns; ``group``
    groups the rows of a partition.
    """

    def __init__(self, specs: list[tuple[Any, Any]], flags: dict[str, Any], kwargs: dict[str, Any], shape: Any) -> None:
        self.specs, self.flags, self.kwargs, self.shape = specs, flags, kwargs, shape
        self.needs: list[tuple[Any, Any]] = []
        for column, func in specs:
            for part in parts_of(func) or ():
                if not any(c == column and _same(p, part) for c, p in self.needs):
                    self.needs.append((column, part))

    def __dask_tokenize__(self) -> Any:
        return (TreeAggregation, self.specs, self.flags, self.kwargs, self.shape)

    def _flags(self, **more: Any) -> dict[str, Any]:
        return {key: value for key, value in {**self.flags, **more}.items() if value is not None}

    # -- a partition --------------------------------------------------------------------
    def chunk(self, rows: Any, by: list[Any]) -> Any:
        """The parts of a partition, by key; a dict of number of the need to Series."""
        grouped = rows.groupby(by if len(by) > 1 else by[0], **self._flags(observed=True, sort=False))
        return {number: self._part(grouped, column, part) for number, (column, part) in enumerate(self.needs)}

    def _part(self, grouped: Any, column: Any, part: Any) -> Any:
        one = grouped if column is None else grouped[column]
        if isinstance(part, Aggregation):
            return part.chunk(one)
        if part == "moments":
            mean, n = one.mean(), one.count()
            m2 = one.var(ddof=0) * n
            return pd.DataFrame({"n": n.astype("float64"), "mean": mean.astype("float64"), "m2": m2.astype("float64")})
        if part == "size":
            return one.size()
        if part == "list":
            return one.apply(list)
        if part in ("sum", "prod"):
            return getattr(one, part)(**self._numeric(), min_count=0)
        return getattr(one, part)(**self._numeric())

    def _numeric(self) -> dict[str, Any]:
        return {}

    # -- several ------------------------------------------------------------------------
    def combine(self, parts: list[Any]) -> Any:
        """The joined parts of several partitions."""
        return {
            n: self._joined([part[n] for part in parts], self.needs[n][1], True, None) for n in range(len(self.needs))
        }

    def _regroup(self, whole: Any, observed: Any, sort: Any) -> Any:
        levels = list(range(whole.index.nlevels))
        flags = self._flags(observed=observed, sort=sort)
        return whole.groupby(level=levels if len(levels) > 1 else 0, **flags)

    def _joined(self, parts: list[Any], part: Any, observed: Any, sort: Any) -> Any:
        sort = False if sort is None else sort
        if isinstance(part, Aggregation):
            if isinstance(parts[0], tuple):
                columns = list(zip(*parts, strict=True))
                return tuple(part.agg(self._regroup(_rows.concat_rows(list(c)), observed, sort)) for c in columns) \
                    if len(columns) > 1 else (part.agg(self._regroup(_rows.concat_rows(list(columns[0])), observed, sort)),)  # fmt: skip
            return part.agg(self._regroup(_rows.concat_rows(parts), observed, sort))
        whole = _rows.concat_rows(parts)
        if part == "moments":
            return self._moments(whole, observed, sort)
        grouped = self._regroup(whole, observed, sort)
        if part == "list":
            return grouped.agg(_chained)
        if part in ("first", "last"):
            return getattr(grouped, part)()
        answer = getattr(grouped, JOINS.get(part, part))()
        if part in ("count", "size") and isinstance(answer.dtype, np.dtype) and answer.dtype.kind in "iuf":
            answer = answer.astype("int64")
        return answer

    def _moments(self, whole: pd.DataFrame, observed: Any, sort: Any) -> pd.DataFrame:
        whole = whole.assign(s=(whole["mean"].fillna(0) * whole["n"]))
        totals = self._regroup(whole[["n", "s"]], observed, sort).sum()
        mean = totals["s"] / totals["n"].where(totals["n"] > 0)
        levels = list(range(whole.index.nlevels))
        grouped = whole.groupby(level=levels if len(levels) > 1 else 0, **self._flags(observed=True, sort=False))
        sums = grouped[["n", "s"]].transform("sum")
        away = whole["mean"] - sums["s"] / sums["n"].where(sums["n"] > 0)
        spread = (whole["m2"].fillna(0) + whole["n"] * away.fillna(0) ** 2).to_frame("m2")
        m2 = self._regroup(spread, observed, sort).sum()["m2"]
        return pd.DataFrame({"n": totals["n"], "mean": mean, "m2": m2})

    # -- the end ----------------------------------------------------------------------------
    def finish(self, parts: list[Any]) -> Any:
        """The answer, as pandas gives it for all rows."""
        observed, sort = self.flags.get("observed"), self.flags.get("sort")
        sort = True if sort is None else sort
        joined = {
            n: self._joined([part[n] for part in parts], self.needs[n][1], observed, sort)
            for n in range(len(self.needs))
        }
        columns = [self._end(joined, column, func) for column, func in self.specs]
        if isinstance(self.shape, pd.Series):
            return masked_like(columns[0], self.shape.dtype).rename(self.shape.name)
        columns = [masked_like(column, dtype) for column, dtype in zip(columns, self.shape.dtypes, strict=True)]
        if not columns:
            return self.shape
        frame = pd.concat(dict(enumerate(columns)), axis=1)
        frame.columns = self.shape.columns
        return frame

    def _find(self, joined: dict[int, Any], column: Any, part: Any) -> Any:
        for number, (own, need) in enumerate(self.needs):
            if own == column and _same(need, part):
                return joined[number]
        raise KeyError(column)

    def _end(self, joined: dict[int, Any], column: Any, func: Any) -> Any:
        if isinstance(func, Aggregation):
            value = self._find(joined, column, func)
            if func.finalize is None:
                return value[0] if isinstance(value, tuple) else value
            return func.finalize(*value) if isinstance(value, tuple) else func.finalize(value)
        if func == "mean":
            total, count = self._find(joined, column, PARTS[func][0]), self._find(joined, column, PARTS[func][1])
            return total / count.where(count > 0)
        if func in ("var", "std", "sem"):
            m = self._find(joined, column, PARTS[func][0])
            ddof = self.kwargs.get("ddof", 1)
            free = m["n"] - ddof
            var = m["m2"] / free.where(free > 0)
            return var if func == "var" else np.sqrt(var) if func == "std" else np.sqrt(var / m["n"])
        value = self._find(joined, column, PARTS[func][0])
        least = self.kwargs.get("min_count", 0)
        if func in ("sum", "prod") and least and least > 0:
            count = self._find(joined, column, "count")
            value = value.where(count >= least)
        return value


def _same(a: Any, b: Any) -> bool:
    """Whether two parts are one: by name, or the same aggregation, also after it travelled."""
    if isinstance(a, Aggregation) and isinstance(b, Aggregation):
        return a is b or (a.__name__ == b.__name__ and type(a) is type(b))
    return isinstance(a, str) and a == b


def _chained(lists: Any) -> list[Any]:
    return [element for one in lists for element in one]

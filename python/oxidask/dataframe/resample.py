"""Groups of rows by spans of time."""

from __future__ import annotations

import itertools
from typing import Any

import pandas as pd

from oxidask.dataframe._align import repartition_divisions
from oxidask.dataframe._collection import new
from oxidask.dataframe._meta import emulate
from oxidask.dataframe._methods import finished, signature_of
from oxidask.dataframe._plan import Plan

__all__ = ["Resampler"]

AGGREGATIONS = [
    "count",
    "first",
    "last",
    "max",
    "mean",
    "median",
    "min",
    "nunique",
    "ohlc",
    "prod",
    "quantile",
    "sem",
    "size",
    "std",
    "sum",
    "var",
]


def _bins(divisions: Any, rule: Any, closed: Any, label: Any) -> tuple[list[Any], list[Any]]:
    """Where partitions must end so that no span is cut, and the divisions of the answer."""
    rule = pd.tseries.frequencies.to_offset(rule)
    ends = pd.DatetimeIndex(divisions)
    counts = pd.Series(range(len(ends)), index=ends)
    grouped = counts.resample(rule, closed=closed, label="left").count()
    starts = grouped.index
    after = pd.Series(range(len(ends)), index=ends).resample(rule, closed=closed, label=label).count().index
    inner = []
    for bound in divisions[1:-1]:
        position = starts.searchsorted(bound, side="right" if closed != "right" else "left") - 1
        inner.append(position)
    kept = sorted({p for p in inner if 0 < p < len(starts)})
    right = _closes_right(rule, closed)
    # A span of days that is closed on the right ends with its last day, others with their last instant.
    step = pd.Timedelta(1, unit=ends.unit if isinstance(rule, (pd.offsets.Tick, pd.offsets.Day)) else "D")
    cuts = [divisions[0], *[starts[p] + step if right else starts[p] for p in kept], divisions[-1]]
    out = [after[0], *[after[p] for p in kept], after[-1]]
    return cuts, out


def _closes_right(rule: Any, closed: Any) -> bool:
    if closed is not None:
        return bool(closed == "right")
    name = rule.rule_code.split("-")[0]
    return name in ("ME", "YE", "QE", "BME", "BA", "BQE", "W", "BYE", "M", "A", "Q")


def _resampled(
    rows: Any, span: Any, rule: Any, closed: Any, label: Any, columns: Any, name: str, args: Any, kwargs: Any, fill: Any
) -> Any:
    """The spans of one partition, also those without rows up to the next partition."""
    # Spans are counted from the first day of all rows, not of those of a partition.
    equal = isinstance(pd.tseries.frequencies.to_offset(rule), (pd.offsets.Tick, pd.offsets.Day))
    origin = {"origin": span[3]} if span is not None and equal else {}
    grouped = rows.resample(rule, closed=closed, label=label, **origin)
    grouped = grouped if columns is None else grouped[columns]
    made = getattr(grouped, name)(*args, **kwargs)
    if span is None:
        return made
    low, high, last, _ = span
    wanted = pd.date_range(low, high, freq=rule, tz=getattr(low, "tz", None), inclusive="both" if last else "left",
                           unit=getattr(rows.index, "unit", "ns"), name=rows.index.name)  # fmt: skip
    missing = wanted.difference(made.index)
    if not len(missing):
        return made
    return (
        made.reindex(wanted.union(made.index), fill_value=fill)
        if fill is not None
        else made.reindex(wanted.union(made.index))
    )


class Resampler:
    """Rows grouped by spans of time; each aggregation is that of pandas.

    Examples
    --------
    >>> import pandas as pd, oxidask.dataframe as dd
    >>> times = pd.date_range("2000-01-01", periods=4, freq="12h")
    >>> df = dd.from_pandas(pd.DataFrame({"x": [1, 2, 3, 4]}, index=times), npartitions=2)
    >>> df.resample("1D").x.sum().compute().tolist()
    [3, 7]
    """

    def __init__(self, obj: Any, rule: Any, closed: Any = None, label: Any = None, columns: Any = None) -> None:
        if not obj.known_divisions:
            raise ValueError("groups by time need known divisions\nhint: use set_index with a column of times")
        if not isinstance(obj._meta.index, pd.DatetimeIndex):
            raise TypeError("groups by time need an index of times\nhint: use set_index with a column of times")
        self.obj, self.rule, self.closed, self.label, self._columns = obj, rule, closed, label, columns

    def __getitem__(self, key: Any) -> Resampler:
        self.obj._meta[key]
        return Resampler(self.obj, self.rule, self.closed, self.label, key)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or self.obj._kind != "frame" or name not in self.obj._meta.columns:
            raise AttributeError(f"groups by time have no {name!r}, nor is there such a column")
        return self[name]

    def _call(self, name: str, args: Any, kwargs: Any) -> Any:
        obj = self.obj
        meta = emulate(
            _resampled, obj, None, self.rule, self.closed, self.label, self._columns, name, args, kwargs, None
        )
        cuts, out = _bins(obj.divisions, self.rule, self.closed, self.label)
        step = pd.tseries.frequencies.to_offset(self.rule)
        counted = not isinstance(step, pd.offsets.Tick) and step.n != 1
        # Several days or months are counted from the first row that pandas sees.
        if counted or any(b <= a for a, b in itertools.pairwise(cuts)):
            cuts, out = [cuts[0], cuts[-1]], [out[0], out[-1]]
        whole = repartition_divisions(obj, cuts, force=True)
        n = whole.npartitions
        origin = pd.Timestamp(obj.divisions[0]).normalize()
        spans = [(out[i], out[i + 1], i == n - 1, origin) for i in range(n)]
        fill = 0 if name in ("count", "size", "nunique", "sum") else 1 if name == "prod" else None
        plan = whole._plan.map(
            f"resample-{name}", _resampled, Plan.source(spans, "spans"), self.rule, self.closed, self.label,
            self._columns, name, args, kwargs, fill,
        )  # fmt: skip
        return new(plan, meta, tuple(out))

    def agg(self, func: Any, *args: Any, **kwargs: Any) -> Any:
        """One or several aggregations of every span."""
        return self._call("agg", (func, *args), kwargs)

    aggregate = agg


def _method(name: str) -> Any:
    def method(self: Resampler, *args: Any, **kwargs: Any) -> Any:
        return self._call(name, args, kwargs)

    return method


for _name in AGGREGATIONS:
    _doc = f"``Resampler.{_name}`` of pandas, for spans across partitions.\n"
    finished(_method(_name), Resampler, _name, _doc, signature_of(pd.core.resample.Resampler, _name))

"""What tasks do with groups of rows, and how aggregations are spelt."""

from __future__ import annotations

from typing import Any

import pandas as pd

from oxidask.dataframe._aggregate import Aggregation

_KEY = "__group_key_{}__"


def _group(rows: Any, by: list[Any], flags: dict[str, Any], slice: Any) -> Any:
    grouped = rows.groupby(by if len(by) > 1 else by[0], **flags)
    return grouped if slice is None else grouped[slice]


def _call(rows: Any, by: list[Any], flags: dict[str, Any], slice: Any, name: str, args: Any, kwargs: Any) -> Any:
    return getattr(_group(rows, by, flags, slice), name)(*args, **kwargs)


def _with_keys(rows: Any, by: list[Any]) -> Any:
    """The rows with keys that are no columns as further columns."""
    frame = rows.to_frame("__values__") if isinstance(rows, pd.Series) else rows.copy(deep=False)
    for number, key in enumerate(by):
        if isinstance(key, (pd.Series, pd.Index)):
            frame[_KEY.format(number)] = key
        elif callable(key):
            frame[_KEY.format(number)] = frame.index.map(key)
    return frame


class _OnGroups:
    """Runs a function on rows of whole groups, whose further keys come as hidden columns."""

    def __init__(self, by: list[Any], hidden: dict[int, Any], series: Any, call: Any, meta: Any) -> None:
        self.by, self.hidden, self.series, self.call, self.meta = by, hidden, series, call, meta

    def __dask_tokenize__(self) -> Any:
        return (_OnGroups, self.by, self.hidden, self.series, self.call)

    def __call__(self, frame: pd.DataFrame) -> Any:
        if not len(frame):
            return self.meta
        keys = [
            frame[_KEY.format(n)].rename(self.hidden[n]) if n in self.hidden else key for n, key in enumerate(self.by)
        ]
        rows: Any = frame.drop(columns=[_KEY.format(n) for n in self.hidden])
        if self.series is not None:
            rows = rows["__values__"].rename(self.series[0])
        return self.call(rows, keys)


class _Method:
    def __init__(self, flags: dict[str, Any], slice: Any, name: str, args: Any, kwargs: Any) -> None:
        self.flags, self.slice, self.name, self.args, self.kwargs = flags, slice, name, args, kwargs

    def __dask_tokenize__(self) -> Any:
        return (_Method, tuple(vars(self).items()))

    def __call__(self, rows: Any, by: list[Any]) -> Any:
        return _call(rows, by, self.flags, self.slice, self.name, self.args, self.kwargs)


def _ordered(rows: Any, keys: int) -> Any:
    """Rows in order of the first levels of their index; those of a group stay as they are."""
    if rows.index.nlevels == 1:
        return rows.sort_index(kind="stable")
    return rows.sort_index(level=list(range(keys)), sort_remaining=False, kind="stable") if keys else rows


def _get_group(rows: Any, by: list[Any], flags: dict[str, Any], slice: Any, key: Any, meta: Any) -> Any:
    grouped = _group(rows, by, flags, slice)
    for wanted in (key, (key,)):
        try:
            return grouped.get_group(wanted)
        except (KeyError, ValueError):
            continue
    return meta


class _CutGroups:
    """Cuts partial aggregations by their keys."""

    def __dask_tokenize__(self) -> Any:
        return (_CutGroups,)

    def __call__(self, parts: dict[int, Any], n: int) -> list[Any]:
        from oxidask.dataframe._shuffle import cut, hashes

        def one(rows: Any) -> list[Any]:
            if isinstance(rows, tuple):
                return list(zip(*[one(item) for item in rows], strict=True))
            return cut(rows, hashes(rows.index.to_frame(index=False)) % n, n)

        pieces = {number: one(rows) for number, rows in parts.items()}
        return [{number: pieces[number][i] for number in parts} for i in range(n)]


def _gather_groups(pieces: list[Any]) -> Any:
    return pieces


def _pair_of(value: Any) -> tuple[Any, Any]:
    """(column, function) of a pair, or of pandas' own class for one."""
    if isinstance(value, tuple):
        return value[0], value[1]
    return value.column, value.aggfunc


def _listed(funcs: Any) -> list[Any]:
    return list(funcs) if isinstance(funcs, (list, tuple)) else [funcs]


def _split_out(split_out: Any) -> int:
    """How many partitions an answer has; ``True`` asks for as many as there were."""
    if split_out is True:
        return 2
    return int(split_out) if isinstance(split_out, int) else 1


def _has_own(arg: Any, kwargs: dict[str, Any]) -> bool:
    values = list(arg.values()) if isinstance(arg, dict) else [arg]
    flat = [func for value in (*values, *kwargs.values()) for func in _listed(value)]
    return any(isinstance(func, Aggregation) for func in flat)


def _stand_in(values: Any) -> Any:
    return values.iloc[0] if len(values) else None


def _shown(arg: Any) -> Any:
    """What pandas aggregates made-up rows with in place of aggregations of ours."""
    if isinstance(arg, Aggregation):
        made = lambda values: _stand_in(values)  # noqa: E731
        made.__name__ = arg.__name__
        return made
    if isinstance(arg, list):
        return [_shown(one) for one in arg]
    if isinstance(arg, tuple) and len(arg) == 2:
        return tuple(_shown(one) if position else one for position, one in enumerate(arg))
    if isinstance(arg, dict):
        return {name: _shown(value) for name, value in arg.items()}
    return arg

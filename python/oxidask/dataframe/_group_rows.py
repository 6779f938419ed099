"""Functions of groups that answer a value for every row, which stays where it was.

Rows go to the partition of their group and their answers back to where the rows
came from: two shuffles of n + n tasks, whatever the function. Order, labels and
divisions are those of the rows.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pandas as pd

from oxidask.dataframe import _rows
from oxidask.dataframe._collection import new
from oxidask.dataframe._plan import Plan
from oxidask.dataframe._shuffle import _ByHash, gather

__all__ = ["in_place"]

_PLACE, _POSITION = "__place__", "__position__"


def _placed(frame: pd.DataFrame, place: int) -> pd.DataFrame:
    """The rows with the numbers of their partition and of their place in it."""
    return frame.assign(**{_PLACE: np.int32(place), _POSITION: np.arange(len(frame))})


class _Answered:
    """Runs a function on whole groups; its answers know where their rows came from."""

    def __init__(self, call: Any) -> None:
        self.call = call

    def __dask_tokenize__(self) -> Any:
        return (_Answered, self.call)

    def __call__(self, frame: pd.DataFrame) -> tuple[Any, np.ndarray, np.ndarray]:
        places, positions = frame[_PLACE].to_numpy(), frame[_POSITION].to_numpy()
        answer = self.call(frame.drop(columns=[_PLACE, _POSITION]))
        if len(answer) != len(frame):
            raise ValueError(
                f"a function of groups answered {len(answer)} rows for {len(frame)}\nhint: apply takes such functions"
            )
        return answer, places, positions


class _CutByPlace:
    """Cuts answers by the partition that their rows came from."""

    def __dask_tokenize__(self) -> Any:
        return (_CutByPlace,)

    def __call__(self, answered: tuple[Any, np.ndarray, np.ndarray], n: int) -> list[Any]:
        answer, places, positions = answered
        order = np.argsort(places, kind="stable")
        ends = np.searchsorted(places[order], np.arange(n + 1))
        pieces = [order[a:b] for a, b in itertools.pairwise(ends)]
        return [(answer.iloc[rows], positions[rows]) for rows in pieces]


def _in_order(pieces: list[Any]) -> Any:
    positions = np.concatenate([positions for _, positions in pieces])
    return _rows.concat_rows([answer for answer, _ in pieces]).iloc[np.argsort(positions)]


def in_place(rows: Any, labels: list[Any], call: Any, meta: Any, label: str) -> Any:
    """``call(frame)`` for whole groups by ``labels``; the answers in the order and partitions of ``rows``."""
    n = rows.npartitions
    marked = rows._plan.map("place", _placed, Plan.source(range(n)))
    done = marked.shuffle(_ByHash(labels), gather, n).map(label, _Answered(call))
    return new(done.shuffle(_CutByPlace(), _in_order, n), meta, rows.divisions)


class _Duplicated:
    def __init__(self, keys: list[Any], keep: Any, name: Any) -> None:
        self.keys, self.keep, self.name = keys, keep, name

    def __dask_tokenize__(self) -> Any:
        return (_Duplicated, self.keys, self.keep, self.name)

    def __call__(self, frame: pd.DataFrame) -> pd.Series:
        return frame.duplicated(self.keys, keep=self.keep).rename(self.name)


def duplicated(rows: Any, subset: Any, keep: Any) -> Any:
    """``duplicated``: equal rows meet in one partition, and their answers go back."""
    frame = rows.to_frame("__values__") if rows._kind == "series" else rows
    names = list(frame._meta.columns)
    keys = names if subset is None else list(subset) if isinstance(subset, (list, tuple, pd.Index)) else [subset]
    for key in keys:
        if key not in names:
            from oxidask.dataframe.frame import no_column

            raise no_column(key, frame._meta.columns)
    meta = (rows._meta if rows._kind == "series" else frame._meta).duplicated()
    return in_place(frame[keys], keys, _Duplicated(keys, keep, meta.name), meta, "duplicated")


# -- running totals ----------------------------------------------------------------------

#: How the totals of a partition are made, and where a group begins that was not there before.
_TOTALS: dict[str, tuple[str, Any]] = {
    "cumsum": ("sum", 0),
    "cumcount": ("size", 0),
    "cumprod": ("prod", 1),
    "cummax": ("max", None),
    "cummin": ("min", None),
}


class _Running:
    """Running totals within groups: the totals of all partitions before are carried along."""

    def __init__(self, name: str, key: Any, flags: dict[str, Any], columns: Any) -> None:
        self.name, self.key, self.flags, self.columns = name, key, flags, columns

    def __dask_tokenize__(self) -> Any:
        return (_Running, self.name, self.key, self.flags, self.columns)

    def _grouped(self, rows: pd.DataFrame) -> Any:
        grouped = rows.groupby(self.key, **self.flags)
        return grouped if self.columns is None else grouped[self.columns]

    def total(self, rows: pd.DataFrame) -> Any:
        """The totals of a partition, by key."""
        return getattr(self._grouped(rows), _TOTALS[self.name][0])()

    def carry(self, total: Any, before: Any) -> tuple[Any, Any]:
        """The totals before a partition, and those before the next."""
        if before is None:
            return before, total
        grouped = pd.concat([before, total]).groupby(level=0, sort=False)
        return before, getattr(grouped, {"size": "sum"}.get(_TOTALS[self.name][0], _TOTALS[self.name][0]))()

    def answer(self, rows: pd.DataFrame, before: Any) -> Any:
        """The running totals of a partition, which go on from those before it."""
        own = getattr(self._grouped(rows), self.name)()
        if before is None or not len(rows):
            return own
        places = before.index.get_indexer(rows[self.key])
        if isinstance(own, pd.Series):
            return self._continued(own, before, places)
        return pd.DataFrame({name: self._continued(own[name], before[name], places) for name in own.columns})

    def _continued(self, own: pd.Series, before: pd.Series, places: np.ndarray) -> pd.Series:
        values, carried = own.to_numpy(), before.to_numpy()[places]
        join, start = (
            {"cumprod": np.multiply, "cummax": np.maximum, "cummin": np.minimum}.get(self.name, np.add),
            _TOTALS[self.name][1],
        )
        # A group that begins here, or had missing values alone, has nothing to go on from.
        fresh = (places < 0) | pd.isna(carried)
        made = join(values, np.where(fresh, values if start is None else np.asarray(start, carried.dtype), carried))
        return pd.Series(made, index=own.index, name=own.name)


def running(groups: Any, name: str, meta: Any) -> Any:
    """Running totals by one column of plain numbers, in a pass along the partitions; none for others."""
    rows, flags = groups.obj, groups._flags
    if name not in _TOTALS or rows._kind != "frame" or len(groups.by) != 1 or flags.get("dropna") is False:
        return None
    key = groups.by[0]
    if not isinstance(key, str) or key not in rows._meta.columns or not rows._meta.columns.is_unique:
        return None
    dtypes = [*(meta.dtypes if isinstance(meta, pd.DataFrame) else [meta.dtype])]
    if not all(isinstance(dtype, np.dtype) and dtype.kind in "iuf" for dtype in dtypes):
        return None
    if isinstance(rows._meta[key].dtype, pd.CategoricalDtype):
        return None
    kept = {name: flag for name, flag in flags.items() if name != "group_keys"}
    wanted = groups._slice if groups._slice is not None else None if name == "cumcount" else list(meta.columns)
    step = _Running(name, key, {**kept, "sort": False}, wanted)
    totals = rows._plan.map(f"{name}-total", step.total)
    before = totals.scan(f"{name}-before", step.carry, None)
    return new(rows._plan.map(name, step.answer, before), meta, rows.divisions)

"""What tasks do for statistics: a step for each partition, joins, and an end."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from oxidask.dataframe import _rows

__all__ = []


class _Where:
    """The extreme of every column with its label, of a partition or of several."""

    def __init__(self, name: str, skipna: bool, numeric_only: bool, shape: str) -> None:
        self.name, self.skipna, self.numeric_only, self.shape = name, skipna, numeric_only, shape

    def __dask_tokenize__(self) -> Any:
        return (_Where, tuple(vars(self).items()))

    def chunk(self, rows: Any) -> Any:
        frame = rows if isinstance(rows, pd.DataFrame) else rows.to_frame()
        if self.numeric_only:
            frame = _rows.numeric(frame)
        return frame.columns, [self.pick([frame.iloc[:, i]]) for i in range(frame.shape[1])]

    def pick(self, columns: list[pd.Series]) -> pd.Series:
        there = [column for column in columns if len(column)]
        if not there:
            return columns[0]
        column = _rows.concat_rows(there)
        values = column.reset_index(drop=True)
        if values.isna().all():
            return column.iloc[:1]
        if not self.skipna and values.isna().any():
            return column.iloc[[int(values.isna().to_numpy().argmax())]]
        return column.iloc[[int(getattr(values, self.name)())]]

    def join(self, parts: list[Any]) -> Any:
        columns = parts[0][0]
        return columns, [self.pick([part[1][i] for part in parts]) for i in range(len(columns))]

    def last(self, parts: list[Any]) -> Any:
        columns, picked = self.join(parts)
        if self.shape == "series":
            return getattr(picked[0], self.name)(skipna=self.skipna)
        labels = [getattr(column, self.name)(skipna=self.skipna) for column in picked]
        return pd.Series(labels, index=columns)


class Counts:
    """How often values occur, of a partition or of several."""

    def __init__(self, dropna: bool, kwargs: dict[str, Any]) -> None:
        self.dropna, self.kwargs = dropna, kwargs

    def __dask_tokenize__(self) -> Any:
        return (Counts, self.dropna, self.kwargs)

    def chunk(self, rows: Any) -> Any:
        return rows.value_counts(sort=False, dropna=self.dropna)

    def join(self, parts: list[Any]) -> Any:
        whole = _rows.concat_rows(parts)
        levels = list(range(whole.index.nlevels))
        level = 0 if len(levels) == 1 else levels
        counts = whole.groupby(level=level, sort=False, dropna=False, observed=False).sum()
        counts.index.names = parts[0].index.names
        return counts.astype(parts[0].dtype) if counts.dtype != parts[0].dtype else counts

    def last(self, parts: list[Any]) -> Any:
        counts = self.join(parts)
        if self.kwargs.get("normalize"):
            counts = (counts / counts.sum()).rename("proportion")
        if self.kwargs.get("sort", True):
            return counts.sort_values(ascending=self.kwargs.get("ascending", False), kind="stable")
        return counts


def _distinct(rows: Any) -> Any:
    return rows.drop_duplicates() if isinstance(rows, pd.Series) else rows.unique()


def _join_distinct(parts: list[Any]) -> Any:
    return _distinct(_rows.concat_rows(parts))


def _distinct_values(parts: list[Any]) -> Any:
    values = _join_distinct(parts)
    if isinstance(values, pd.Index):
        return values
    unique = values.unique()
    return pd.Series(unique, name=values.name)


def _distinct_columns(rows: pd.DataFrame) -> Any:
    return rows.columns, [rows.iloc[:, i].drop_duplicates() for i in range(rows.shape[1])]


def _join_columns(parts: list[Any]) -> Any:
    n = len(parts[0][1])
    return parts[0][0], [_join_distinct([part[1][i] for part in parts]) for i in range(n)]


class _CountDistinct:
    def __init__(self, dropna: bool) -> None:
        self.dropna = dropna

    def __dask_tokenize__(self) -> Any:
        return (_CountDistinct, self.dropna)

    def of_columns(self, parts: list[Any]) -> Any:
        columns, values = _join_columns(parts)
        return pd.Series([one.nunique(dropna=self.dropna) for one in values], index=columns)

    def of_values(self, parts: list[Any]) -> int:
        return int(_join_distinct(parts).nunique(dropna=self.dropna))


def _hashed(rows: Any) -> Any:
    return np.unique(pd.util.hash_pandas_object(rows, index=False).to_numpy())


def _join_hashed(parts: list[Any]) -> Any:
    return np.unique(np.concatenate(parts))


def _count_hashed(parts: list[Any]) -> float:
    return float(len(_join_hashed(parts)))


def _frame_mode(rows: pd.DataFrame, dropna: bool) -> Any:
    return rows.columns, [rows.iloc[:, i].value_counts(sort=False, dropna=dropna) for i in range(rows.shape[1])]


class _Mode:
    def __init__(self, dropna: bool, numeric_only: bool) -> None:
        self.dropna, self.numeric_only = dropna, numeric_only

    def __dask_tokenize__(self) -> Any:
        return (_Mode, self.dropna, self.numeric_only)

    def chunk(self, rows: Any) -> Any:
        frame = rows if isinstance(rows, pd.DataFrame) else rows.to_frame()
        return _frame_mode(_rows.numeric(frame) if self.numeric_only else frame, self.dropna)

    def join(self, parts: list[Any]) -> Any:
        counts = Counts(self.dropna, {})
        return parts[0][0], [counts.join([part[1][i] for part in parts]) for i in range(len(parts[0][1]))]

    def last(self, parts: list[Any]) -> Any:
        columns, counts = self.join(parts)
        modes = {i: _most(one) for i, one in enumerate(counts)}
        frame = pd.concat(modes, axis=1) if modes else pd.DataFrame()
        return frame.set_axis(columns, axis=1)

    def last_series(self, parts: list[Any]) -> Any:
        columns, counts = self.join(parts)
        return _most(counts[0]).rename(columns[0])


def _most(counts: pd.Series) -> pd.Series:
    most = counts[counts == counts.max()].index
    values = pd.Series(most.array if not isinstance(most, pd.RangeIndex) else most.to_numpy())
    try:
        return values.sort_values(ignore_index=True)
    except TypeError:
        return values

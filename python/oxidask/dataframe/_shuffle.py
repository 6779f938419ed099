"""Rows moved to other partitions by a hash of their keys."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from oxidask.dataframe import _rows
from oxidask.dataframe._collection import new
from oxidask.dataframe.core import NOT_NATIVE, Collection, native_form

__all__ = ["by_hash", "cut", "gather", "hashes", "shuffle_frame"]

#: What all missing values are taken for.
_MISSING = "\0missing"


class _ByHash:
    """Cuts rows by a hash of keys; equal keys go to one place whatever their type or order."""

    def __init__(self, keys: Any) -> None:
        self.keys = keys

    def __dask_tokenize__(self) -> Any:
        return (_ByHash, self.keys)

    def __call__(self, rows: Any, n: int) -> list[Any]:
        rows, keys = rows if isinstance(rows, tuple) else (rows, _keys_of(rows, self.keys))
        return cut(rows, hashes(keys) % n, n)


def _keys_of(rows: Any, keys: Any) -> pd.DataFrame:
    if keys is None:
        index = rows if isinstance(rows, pd.Index) else rows.index
        return index.to_frame(index=False)
    if isinstance(rows, pd.Series):
        return rows.to_frame()
    levels = set(rows.index.names)
    made = {i: (rows[key] if key in rows.columns else rows.index.get_level_values(key) if key in levels else rows[key]).array
            for i, key in enumerate(keys)}  # fmt: skip
    return pd.DataFrame(made)


def hashes(keys: pd.DataFrame) -> np.ndarray:
    """A hash of every row; 1, 1.0 and True are alike, and so are all missing values."""
    total = np.zeros(len(keys), dtype="uint64")
    for position in range(keys.shape[1]):
        total = total * np.uint64(1_000_003) + _hashes_of(keys.iloc[:, position])
    return total ^ (total >> np.uint64(33))


def _hashes_of(column: pd.Series) -> np.ndarray:
    if isinstance(column.dtype, pd.StringDtype):
        # Keys repeat: each is looked at once.
        codes, texts = pd.factorize(column)
        distinct = np.append(texts.to_numpy(dtype=object), _MISSING)
        return pd.util.hash_array(distinct, categorize=False)[codes]
    return pd.util.hash_array(_comparable(column), categorize=False)


def _comparable(column: pd.Series) -> Any:
    dtype = column.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        column = column.astype(dtype.categories.dtype) if len(dtype.categories) else column.astype(object)
        return _comparable(column)
    if pd.api.types.is_numeric_dtype(dtype) and not pd.api.types.is_complex_dtype(dtype):
        return column.to_numpy(dtype="float64", na_value=np.nan) + 0.0
    if isinstance(dtype, (pd.DatetimeTZDtype,)) or getattr(dtype, "kind", "") in "mM":
        return (
            column.astype("int64").to_numpy()
            if column.dt.unit == "ns"
            else column.dt.as_unit("ns").astype("int64").to_numpy()
        )
    values = column.to_numpy(dtype=object, na_value=None)
    return np.array([_MISSING if _is_missing(value) else str(value) for value in values], dtype=object)


def _is_missing(value: Any) -> bool:
    return value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and value != value)


def cut(rows: Any, places: np.ndarray, n: int) -> list[Any]:
    """The rows of each of ``n`` places, in their order."""
    # NumPy sorts numbers of two bytes by counting, many times faster than longer ones.
    places = np.asarray(places).astype("int16" if n < 2**15 else "int64")
    order = np.argsort(places, kind="stable")
    ends = np.searchsorted(places[order], np.arange(n + 1))
    taken = rows.take(order)
    if isinstance(rows, pd.Index):
        return [taken[ends[i] : ends[i + 1]] for i in range(n)]
    return [taken.iloc[ends[i] : ends[i + 1]] for i in range(n)]


def gather(pieces: list[Any]) -> Any:
    """The pieces of a partition, in the order of where they come from."""
    return _rows.concat_rows(pieces)


def _pair(rows: Any, keys: Any) -> tuple[Any, pd.DataFrame]:
    frame = keys.to_frame() if isinstance(keys, pd.Series) else keys
    return rows, pd.DataFrame({i: frame.iloc[:, i].array for i in range(frame.shape[1])})


def by_hash(self: Any, keys: Any, n: int) -> Any:
    """The plan of the rows with those of equal keys in one partition.

    ``keys`` are labels, ``None`` for the index, or a frame or column of the same rows.
    """
    if isinstance(keys, Collection):
        plan = self._plan.map("keys", _pair, keys._plan)
        return plan.shuffle(_ByHash(None), gather, n)
    return self._plan.shuffle(_ByHash(keys), gather, n)


def shuffle_frame(self: Any, on: Any, npartitions: int | None, ignore_index: bool) -> Any:
    """``shuffle`` for frames and columns."""
    n = npartitions or self.npartitions
    if callable(on) and not isinstance(on, Collection):
        on = self.map_partitions(on)
    if isinstance(on, Collection) or on is None:
        keys = on
        if isinstance(on, Collection) and on._kind == "index":
            keys = None
    else:
        keys = [on] if not isinstance(on, list) else on
        missing = [key for key in keys if key not in list(self._meta.columns) and key not in self._meta.index.names]
        if missing:
            raise KeyError(f"Cannot shuffle on {missing[0]!r}: there is no such column")
        if not ignore_index and self._kind == "frame" and all(key in self._meta.columns for key in keys):
            answer = native_form(self, "shuffle", (keys, n), {})
            if answer is not NOT_NATIVE:
                return answer
    plan = by_hash(self, keys, n)
    if ignore_index:
        plan = plan.map("reset_index", _rows.call, "reset_index", drop=True)
        return new(plan, self._meta.reset_index(drop=True), None)
    return new(plan, self._meta, None)

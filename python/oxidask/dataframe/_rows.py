"""Functions of pandas objects that tasks call: on one partition, or to join several."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from oxidask.dataframe._meta import PANDAS, empty

__all__ = ["Enforced", "Joined", "as_shape", "call", "concat_rows", "finish", "first", "get"]


def call(rows: Any, method: str, /, *args: Any, **kwargs: Any) -> Any:
    """A method of a pandas object."""
    return getattr(rows, method)(*args, **kwargs)


def accessor_call(rows: Any, accessor: str, name: str, /, *args: Any, **kwargs: Any) -> Any:
    """A method of an accessor such as ``str``."""
    return getattr(getattr(rows, accessor), name)(*args, **kwargs)


def accessor_get(rows: Any, accessor: str, name: str) -> Any:
    """An attribute of an accessor such as ``dt``, with the rows' index."""
    answer = getattr(getattr(rows, accessor), name)
    if isinstance(answer, np.ndarray):
        return pd.Index(answer) if isinstance(rows, pd.Index) else pd.Series(answer, index=rows.index, name=rows.name)
    return answer


def get(rows: Any, name: str) -> Any:
    """An attribute of a pandas object."""
    return getattr(rows, name)


def item(rows: Any, key: Any) -> Any:
    """``rows[key]``."""
    return rows[key]


def numeric(frame: pd.DataFrame) -> pd.DataFrame:
    """The columns that ``numeric_only`` keeps; spans of time are none, though NumPy takes them for numbers."""
    return frame.select_dtypes(["number", "bool"], exclude=["timedelta"])


def first(parts: Sequence[Any]) -> Any:
    """The only one of several."""
    return parts[0]


def as_shape(rows: pd.DataFrame, kind: str, names: list[Any]) -> Any:
    """A frame that came from the engine as what it is to its user."""
    if names and rows.index.nlevels == len(names):
        rows.index.names = names
    if kind == "frame":
        return rows
    series = rows.iloc[:, 0]
    if kind == "series":
        return series.rename(None if series.name == "" else series.name)
    if kind == "index":
        return pd.Index(series.array, name=None if series.name == "" else series.name)
    return series.iloc[0] if kind == "scalar" else series.array


def concat_rows(parts: Sequence[Any], ignore_index: bool = False, join: str = "outer") -> Any:
    """Pandas objects one after another; empty ones do not change types.

    Categories that differ are united.
    """
    parts = list(parts)
    if len(parts) == 1 and not ignore_index:
        return parts[0]
    if not parts:
        return parts
    kind = parts[0]
    if isinstance(kind, pd.Index):
        kept = [part for part in parts if len(part)] or parts[:1]
        return _concat_index(kept)
    if not isinstance(kind, PANDAS):
        return _concat_others(parts)
    kept = [part for part in parts if len(part)]
    if not kept:
        return parts[0]
    if len(kept) == 1 and not ignore_index:
        return _with_all_columns(kept[0], parts)
    kept = _united(kept)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return pd.concat(kept, ignore_index=ignore_index, join=join)


def _with_all_columns(rows: Any, parts: Sequence[Any]) -> Any:
    if isinstance(rows, pd.DataFrame) and any(list(part.columns) != list(rows.columns) for part in parts):
        return pd.concat([part for part in parts if isinstance(part, pd.DataFrame)])
    return rows


def _concat_index(parts: list[pd.Index]) -> pd.Index:
    if any(isinstance(part.dtype, pd.CategoricalDtype) for part in parts):
        united = pd.api.types.union_categoricals([pd.Categorical(part) for part in parts], ignore_order=True)
        return pd.CategoricalIndex(united, name=parts[0].name, ordered=parts[0].ordered)
    return parts[0].append(parts[1:]) if len(parts) > 1 else parts[0]


def _concat_others(parts: Sequence[Any]) -> Any:
    if isinstance(parts[0], np.ndarray):
        return np.concatenate(parts) if parts[0].ndim else np.array(parts)
    if isinstance(parts[0], pd.api.extensions.ExtensionArray):
        return type(parts[0])._concat_same_type(list(parts))
    if hasattr(parts[0], "toarray") and hasattr(parts[0], "shape"):
        from scipy import sparse

        return sparse.vstack(parts)
    if pd.api.types.is_scalar(parts[0]):
        return pd.Series(list(parts))
    return [element for part in parts for element in part] if isinstance(parts[0], list) else list(parts)


def _united(parts: list[Any]) -> list[Any]:
    """The same rows with categories that all parts share."""
    if any(isinstance(part.index, pd.CategoricalIndex) for part in parts):
        parts = _united_index(parts)
    if isinstance(parts[0], pd.Series):
        if not any(isinstance(part.dtype, pd.CategoricalDtype) for part in parts):
            return parts
        return _united_columns(parts)
    if not all(isinstance(part, pd.DataFrame) for part in parts):
        return parts
    columns = parts[0].columns
    if not columns.is_unique or not all(columns.equals(part.columns) for part in parts[1:]):
        return parts
    for name in columns:
        column = [part[name] for part in parts]
        kinds = [one.dtype for one in column]
        if any(isinstance(kind, pd.CategoricalDtype) for kind in kinds) and any(kind != kinds[0] for kind in kinds):
            whole = _united_columns(column)
            parts = [part.assign(**{name: one}) if isinstance(name, str) else _set(part, name, one)
                     for part, one in zip(parts, whole, strict=True)]  # fmt: skip
    return parts


def _set(rows: pd.DataFrame, name: Any, column: pd.Series) -> pd.DataFrame:
    rows = rows.copy(deep=False)
    rows[name] = column
    return rows


def _union_dtype(dtypes: list[Any]) -> pd.CategoricalDtype | None:
    known = [dtype for dtype in dtypes if isinstance(dtype, pd.CategoricalDtype)]
    if len(known) != len(dtypes):
        return None
    categories = known[0].categories
    for dtype in known[1:]:
        if not categories.equals(dtype.categories):
            fresh = dtype.categories[~dtype.categories.isin(categories)]
            categories = categories.append(fresh)
    return pd.CategoricalDtype(categories, ordered=all(dtype.ordered for dtype in known))


def _united_columns(parts: list[pd.Series]) -> list[pd.Series]:
    dtype = _union_dtype([part.dtype for part in parts])
    return parts if dtype is None else [part.astype(dtype) for part in parts]


def _united_index(parts: list[Any]) -> list[Any]:
    dtype = _union_dtype([part.index.dtype for part in parts])
    return parts if dtype is None else [part.set_axis(part.index.astype(dtype), axis=0) for part in parts]


def finish(parts: list[Any]) -> Any:
    """What ``compute`` answers, of the values of all partitions."""
    return concat_rows(parts)


class Joined:
    """A function of the rows of several partitions, put after each other."""

    def __init__(self, func: Callable[..., Any], kwargs: dict[str, Any] | None = None) -> None:
        self.func, self.kwargs = func, kwargs or {}

    def __call__(self, parts: list[Any]) -> Any:
        return self.func(_joined(parts), **self.kwargs)

    def __dask_tokenize__(self) -> Any:
        return (Joined, self.func, self.kwargs)


def _joined(parts: list[Any]) -> Any:
    if isinstance(parts[0], PANDAS):
        return concat_rows(parts)
    if isinstance(parts[0], (tuple, list)):
        return parts
    return pd.Series(parts)


class Enforced:
    """A user's function, whose answers must be what its meta promised."""

    def __init__(self, func: Callable[..., Any], meta: Any) -> None:
        self.func, self.meta = func, meta
        self.__name__ = getattr(func, "__name__", type(func).__name__)

    def __dask_tokenize__(self) -> Any:
        return (Enforced, self.func, self.meta)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return enforce(self.func(*args, **kwargs), self.meta, self.__name__)


def enforce(rows: Any, meta: Any, label: str) -> Any:
    """``rows`` if they have the columns of ``meta``; else an error that says how they differ.

    Raises
    ------
    ValueError
        If the columns differ.
    """
    if isinstance(meta, pd.DataFrame):
        if not isinstance(rows, pd.DataFrame):
            if not hasattr(rows, "shape") or getattr(rows, "ndim", 0) != 2:
                raise ValueError(
                    f"{label!r} answered a {type(rows).__name__}, where its meta is a DataFrame\n"
                    "hint: pass meta= that describes what the function answers"
                )
            return rows
        if not len(rows) and not len(rows.columns):
            return meta
        seen, wanted = list(rows.columns), list(meta.columns)
        if seen != wanted:
            if sorted(map(str, seen)) == sorted(map(str, wanted)):
                order = [str(name) for name in seen] != [str(name) for name in wanted]
                if order:
                    raise ValueError(_differ(label, seen, wanted) + "\nthe order of the columns differs")
            raise ValueError(_differ(label, seen, wanted))
        return rows
    if isinstance(meta, pd.Series) and isinstance(rows, pd.Series):
        same = rows.name == meta.name or (pd.isna(rows.name) if pd.api.types.is_scalar(rows.name) else False)
        return rows if same and rows.name == meta.name else rows.rename(meta.name)
    if isinstance(meta, pd.Index) and isinstance(rows, pd.Index) and rows.names != meta.names:
        return rows.set_names(meta.names)
    return rows


def _differ(label: str, seen: list[Any], wanted: list[Any]) -> str:
    def text(names: list[Any]) -> str:
        return ", ".join(map(str, names))

    extra = [name for name in seen if name not in wanted]
    missing = [name for name in wanted if name not in seen]
    return (
        f"{label!r} answered the columns [{text(seen)}], where its meta has [{text(wanted)}]\n"
        f"extra [{text(extra)}], missing [{text(missing)}]\n"
        "hint: pass meta= with the columns and types that the function answers"
    )


def empty_like(meta: Any) -> Any:
    """No rows, as a partition."""
    return empty(meta)


def as_shape_of(rows: Any, kind: str, names: list[Any]) -> Any:
    """:func:`as_shape`, also of a value that is its own shape already."""
    return as_shape(rows, kind, names) if isinstance(rows, pd.DataFrame) else rows

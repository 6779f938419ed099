"""Frames one after another, or side by side."""

from __future__ import annotations

import itertools
from typing import Any

import pandas as pd

from oxidask.dataframe import _rows
from oxidask.dataframe._align import align_all
from oxidask.dataframe._collection import new
from oxidask.dataframe._meta import nonempty
from oxidask.dataframe._plan import concat as concat_plans
from oxidask.dataframe.merging import _lazy

__all__ = ["concat"]


def _concat_side(*parts: Any, join: str) -> Any:
    return pd.concat(list(parts), axis=1, join=join)


class _Shaped:
    """A partition of one of several frames with the columns of all."""

    def __init__(self, meta: Any, join: str) -> None:
        self.meta, self.join = meta, join

    def __dask_tokenize__(self) -> Any:
        return (_Shaped, self.meta, self.join)

    def __call__(self, rows: Any) -> Any:
        if isinstance(self.meta, pd.DataFrame):
            frame = rows.to_frame() if isinstance(rows, pd.Series) else rows
            if list(frame.columns) == list(self.meta.columns):
                return _categories_of(frame, self.meta)
            return _categories_of(frame.reindex(columns=self.meta.columns), self.meta)
        if isinstance(self.meta, pd.Series) and isinstance(rows, pd.Series) and rows.name != self.meta.name:
            return rows.rename(self.meta.name)
        return rows


def _categories_of(frame: pd.DataFrame, meta: pd.DataFrame) -> pd.DataFrame:
    """Categories as the whole has them, or none where others hold plain values."""
    from oxidask.dataframe.categorical import is_known

    changes = {}
    for name in frame.columns:
        dtype, wanted = frame[name].dtype, meta[name].dtype
        if (isinstance(wanted, pd.CategoricalDtype) and is_known(wanted) and dtype != wanted) or (
            isinstance(dtype, pd.CategoricalDtype) and not isinstance(wanted, pd.CategoricalDtype)
        ):
            changes[name] = wanted
    return frame.astype(changes) if changes else frame


def concat(
    dfs: Any,
    axis: Any = 0,
    join: str = "outer",
    ignore_unknown_divisions: bool = False,
    ignore_order: bool = False,
    interleave_partitions: bool = False,
    **kwargs: Any,
) -> Any:
    """Frames one after another, or side by side.

    Parameters
    ----------
    dfs : list of DataFrame, Series or pandas objects
    axis : {0, 1}
    join : {"outer", "inner"}
        Whether columns that not all have stay.
    ignore_unknown_divisions : bool
        Whether to put frames of unknown divisions side by side without a warning.
    ignore_order : bool
        Whether the order of categories may be lost.
    interleave_partitions : bool
        Whether partitions are brought in order of the index where divisions overlap.

    Returns
    -------
    DataFrame or Series

    Raises
    ------
    ValueError
        If there is nothing to put together, or divisions do not allow it.

    Examples
    --------
    >>> import oxidask.dataframe as dd
    >>> a = dd.from_dict({"x": [1, 2]}, npartitions=1)
    >>> dd.concat([a, a]).compute().x.tolist()
    [1, 2, 1, 2]
    """
    del ignore_order, kwargs
    if not isinstance(dfs, list):
        raise TypeError(f"dfs must be a list of frames and columns, not a {type(dfs).__name__}")
    if len(dfs) == 0:
        raise ValueError("No objects to concatenate")
    if len(dfs) == 1:
        only = _lazy(dfs[0], "an object")
        return only.to_frame() if axis in (1, "columns") and only._kind == "series" else only
    if join not in ("inner", "outer"):
        raise ValueError(f"'join' must be 'inner' or 'outer', not {join!r}")
    axis = {"index": 0, "columns": 1}.get(axis, axis)
    lazy = [_lazy(one, "an object") for one in dfs]
    if axis == 1:
        return _side_by_side(lazy, join, ignore_unknown_divisions)
    return _one_after_another(lazy, join, interleave_partitions)


def _side_by_side(lazy: list[Any], join: str, ignore: bool) -> Any:
    import warnings

    metas = [nonempty(one._meta) for one in lazy]
    meta = pd.concat(metas, axis=1, join=join).iloc[:0]
    if all(one.known_divisions for one in lazy):
        lazy = align_all(lazy)
        divisions = lazy[0].divisions
    else:
        if len({one.npartitions for one in lazy}) > 1:
            raise ValueError(
                "concat(axis=1) needs known divisions, or the same number of partitions in all\nhint: set_index makes divisions known"
            )
        if not ignore:
            warnings.warn(
                "concat(axis=1) puts partitions side by side as they come, for their divisions are not known; rows are "
                "right only if every partition has the same index\nhint: set_index makes divisions known",
                UserWarning,
                stacklevel=3,
            )
        divisions = None
    plan = lazy[0]._plan.call("concat", _concat_side, [one._plan for one in lazy], {"join": join})
    return new(plan, meta, divisions)


def _one_after_another(lazy: list[Any], join: str, interleave: bool) -> Any:
    lazy = [one for one in lazy if not (one._kind == "frame" and not len(one._meta.columns))] or lazy
    if all(one._native is not None and one._kind == "frame" for one in lazy) and not interleave:
        same = all(one._meta.dtypes.equals(lazy[0]._meta.dtypes) for one in lazy)
        ordered = all(one.known_divisions for one in lazy)
        rising = ordered and all(a.divisions[-1] < b.divisions[0] for a, b in itertools.pairwise(lazy))
        if same:
            made = _native_concat(lazy)
            if rising:
                divisions = (*(bound for one in lazy[:-1] for bound in one.divisions[:-1]), *lazy[-1].divisions)
                object.__setattr__(made, "_own_divisions", divisions)
            return made
    meta = _concat_meta(lazy, join)
    shape = _Shaped(meta, join)
    divisions: Any = None
    if all(one.known_divisions for one in lazy):
        if all(a.divisions[-1] < b.divisions[0] for a, b in itertools.pairwise(lazy)):
            divisions = [bound for one in lazy[:-1] for bound in one.divisions[:-1]] + list(lazy[-1].divisions)
        elif interleave:
            brought = align_all(lazy)
            plans = [one._plan.map("shape", shape) for one in brought]
            plan = plans[0].call("concat", _interleaved, plans, {"join": join})
            return new(plan, meta, brought[0].divisions)
    plans = [one._plan if _same_meta(one._meta, meta) else one._plan.map("shape", shape) for one in lazy]
    return new(concat_plans(plans), meta, divisions)


def _same_meta(own: Any, meta: Any) -> bool:
    if isinstance(own, pd.DataFrame) and isinstance(meta, pd.DataFrame):
        return list(own.columns) == list(meta.columns) and own.dtypes.equals(meta.dtypes)
    return (
        isinstance(own, pd.Series) and isinstance(meta, pd.Series) and own.name == meta.name and own.dtype == meta.dtype
    )


def _native_concat(lazy: list[Any]) -> Any:
    from oxidask.dataframe._collection import wrap_native
    from oxidask.dataframe.native.frame import concat as native

    return wrap_native(native([one._native for one in lazy]))


def _interleaved(*parts: Any, join: str) -> Any:
    there = [part for part in parts if len(part)]
    if not there:
        return parts[0]
    return _rows.concat_rows(there, join=join).sort_index(kind="stable") if len(there) > 1 else there[0]


def _concat_meta(lazy: list[Any], join: str) -> Any:
    from oxidask.dataframe.categorical import clear_known, is_known

    metas = [nonempty(one._meta) for one in lazy]
    whole = pd.concat(_rows._united(metas), join=join)
    empty = whole.iloc[:0]
    if isinstance(empty, pd.DataFrame):
        unknown = [
            name
            for name in empty.columns
            if any(
                isinstance(one._meta, pd.DataFrame)
                and name in one._meta.columns
                and isinstance(one._meta[name].dtype, pd.CategoricalDtype)
                and not is_known(one._meta[name].dtype)
                for one in lazy
            )
        ]
        return clear_known(empty, unknown) if unknown else empty
    return empty

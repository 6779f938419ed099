"""The way back from pandas to the engine.

Rows that pandas made (a method which Polars cannot say, a function with a ``meta``)
are *adopted* by the engine for what gains most by it: sorting, joining, grouping,
exchanging. The types of a native frame are fixed before anything runs, so only plans
that are sure of theirs are adopted, and each partition is checked: what is not of
its type, and cannot be without loss, is an error that names the column. What is of a
type that the engine does not give back as it was, stays in pandas' hands.
"""

from __future__ import annotations

import operator
from functools import partial
from typing import Any

import pandas as pd
import pyarrow as pa

from oxidask import _oxidask
from oxidask.dataframe import _labels, _pandas, _rows

__all__ = ["METHODS", "adopt", "argument", "is_sure", "native_of"]

#: Methods for which pandas' rows go back to the engine.
METHODS = frozenset(
    {
        "drop_duplicates",
        "merge",
        "nlargest",
        "nsmallest",
        "set_index_divided",
        "shuffle",
        "sort_values",
        "value_counts",
    }
)

#: Methods of pandas whose answers have the types that made-up rows show.
_SURE_METHODS = frozenset(
    {"abs", "assign", "astype", "between", "drop", "dropna", "isin", "isna", "isnull", "notna", "notnull", "query"}
    | {"add", "sub", "mul", "truediv", "radd", "rsub", "rmul", "rtruediv", "rename", "round", "rename_axis", "to_frame"}
)
_SURE_FUNCTIONS = frozenset(
    {operator.add, operator.sub, operator.mul, operator.truediv, operator.and_, operator.or_, operator.xor}
    | {operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge, operator.invert, operator.neg}
    | {_rows.item, _rows.accessor_call, _rows.accessor_get}
)


def is_sure(func: Any, args: Any, kwargs: Any) -> bool:
    """Whether a function's answers have the types of their meta, if its arguments have."""
    from oxidask.dataframe.core import Collection
    from oxidask.dataframe.frame import _assign

    plans = [arg._plan for arg in (*args, *kwargs.values()) if isinstance(arg, Collection)]
    if not all(plan.sure for plan in plans):
        return False
    if func is _rows.call:
        return args[1] in _SURE_METHODS
    return func is _assign or func in _SURE_FUNCTIONS


def _fits(rows: Any) -> bool:
    from oxidask.dataframe.creation import fits_engine

    meta, plan = rows._meta, rows._plan
    if not plan.sure or rows._kind not in ("frame", "series") or meta.index.nlevels != 1:
        return False
    dtypes = list(meta.dtypes) if isinstance(meta, pd.DataFrame) else [meta.dtype]
    if not all(fits_engine(dtype) for dtype in [*dtypes, meta.index.dtype]) or meta.attrs:
        return False
    columns = meta.columns if isinstance(meta, pd.DataFrame) else pd.Index([meta.name or ""])
    if not len(columns) or columns.nlevels > 1 or columns.name is not None or not columns.is_unique:
        return False
    plain = all(type(name) is str for name in [*columns, meta.index.name or ""])
    return plain and meta.index.name not in columns


def native_of(rows: Any) -> Any:
    """The native collection of some rows, whoever made them; none if the engine does not take them."""
    if rows._native is not None or rows._adopted is not None:
        return rows._native if rows._adopted is None else rows._adopted
    if not _fits(rows):
        return None
    from oxidask.dataframe.native import _collection

    empty = rows._meta.set_axis(pd.Index([], dtype=rows._meta.index.dtype, name=rows._meta.index.name), axis=0)
    shown = _pandas.partition_of(empty)
    call = partial(adopt, meta=empty, schema=pa.RecordBatchReader.from_stream(shown).schema)
    names = _pandas.index_names_of(empty.index)
    frame = _oxidask.adopt_frame(rows._plan.expr, call, shown, names, rows._plan.n, None)
    native = _collection.wrap(frame, rows._kind)
    object.__setattr__(rows, "_adopted", native)
    return native


def argument(arg: Any) -> Any:
    """An argument of a method of adopted rows: another frame is adopted too, or is native."""
    from oxidask.dataframe._collection import wrap_native
    from oxidask.dataframe.core import Collection

    if not isinstance(arg, Collection) or arg._native is not None:
        return arg
    native = native_of(arg) if arg._kind == "frame" else None
    return arg if native is None else wrap_native(native)


def adopt(rows: Any, meta: Any, schema: Any) -> Any:
    """A pandas object as a partition with the columns and types of a meta.

    Raises
    ------
    ValueError
        If columns differ, or hold what is not of their type.
    """
    frame, wanted = _pandas.frame_of(rows), _pandas.frame_of(meta)
    if isinstance(meta, pd.DataFrame) and list(frame.columns) != list(wanted.columns):
        raise ValueError(
            f"a partition has the columns {list(frame.columns)}, where its meta has {list(wanted.columns)}\n"
            "hint: pass meta= with the columns and types that the function answers"
        )
    columns = [frame.index, *(frame.iloc[:, i] for i in range(frame.shape[1]))]
    arrays = [
        _column(values, field, dtype)
        for values, field, dtype in zip(columns, schema, [meta.index.dtype, *wanted.dtypes], strict=True)
    ]
    return _oxidask.Partition.from_arrow(pa.table(arrays, schema=schema), 1, 0)


def _column(values: Any, field: Any, dtype: Any) -> Any:
    try:
        array = pa.array(values, from_pandas=True)
        array = array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
        return array if array.type == field.type else array.cast(field.type)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
        what = "the index" if field.name.startswith("__index_level_") else f"column {_labels.decode(field.name)!r}"
        raise ValueError(
            f"{what} of a partition is {values.dtype}, where its meta has {dtype}: {error}\n"
            "hint: pass meta= with the columns and types that the function answers"
        ) from error

"""Functions of whole frames and columns: conversions, reshaping."""

from __future__ import annotations

from typing import Any

import pandas as pd

from oxidask.dataframe import _rows
from oxidask.dataframe._aggregate import parts_of
from oxidask.dataframe._meta import emulate
from oxidask.dataframe.categorical import is_known
from oxidask.dataframe.core import Collection, elemwise

__all__ = ["get_dummies", "isna", "melt", "pivot", "pivot_table", "to_datetime", "to_numeric", "to_timedelta"]


def _convert(values: Any, name: str, kwargs: dict[str, Any]) -> Any:
    return getattr(pd, name)(values, **kwargs)


def to_numeric(arg: Any, errors: str = "raise", downcast: Any = None, meta: Any = None) -> Any:
    """``pandas.to_numeric`` of a column, partition by partition.

    Examples
    --------
    >>> import oxidask.dataframe as dd
    >>> dd.to_numeric(dd.from_dict({"x": ["1", "2"]}, npartitions=1).x).compute().tolist()
    [1, 2]
    """
    if errors not in ("raise", "coerce"):
        raise ValueError(f"errors is 'raise' or 'coerce', not {errors!r}")
    kwargs = {"errors": errors, **({"downcast": downcast} if downcast else {})}
    if pd.api.types.is_scalar(arg):
        from oxidask import delayed

        return delayed(pd.to_numeric, pure=True)(arg, **kwargs)
    if not isinstance(arg, Collection) and not hasattr(arg, "chunks"):
        raise TypeError("arg must be a scalar, a lazy array or a lazy Series")
    if hasattr(arg, "chunks"):
        return arg.map_blocks(_convert, "to_numeric", kwargs, dtype="int64" if meta is None else meta.dtype)
    if meta is None:
        # What text holds is not known; pandas answers integers for the empty meta.
        sample = arg._meta if not pd.api.types.is_numeric_dtype(arg._meta.dtype) else arg._meta_nonempty
        meta = pd.to_numeric(sample.iloc[:0] if sample.dtype == object else pd.Series([1], name=arg.name).iloc[:0], **kwargs) \
            if not pd.api.types.is_numeric_dtype(arg._meta.dtype) else pd.to_numeric(sample, **kwargs).iloc[:0]  # fmt: skip
        meta = meta.astype("int64") if meta.dtype == object else meta
    return elemwise(_convert, arg, "to_numeric", kwargs, _label="to_numeric", _meta=meta)


def to_datetime(arg: Any, meta: Any = None, **kwargs: Any) -> Any:
    """``pandas.to_datetime`` of a column, an index, or a frame of parts, partition by partition.

    Examples
    --------
    >>> import oxidask.dataframe as dd
    >>> dd.to_datetime(dd.from_dict({"x": ["2000-01-02"]}, npartitions=1).x).dt.day.compute().tolist()
    [2]
    """
    if isinstance(arg, (tuple, list)):
        raise NotImplementedError("a list has no partitions; convert it with pandas")
    if not isinstance(arg, Collection):
        return pd.to_datetime(arg, **kwargs)
    tz_aware = {"utc"} & set(kwargs)
    if meta is None:
        sample: Any
        if arg._kind == "index":
            sample = pd.DatetimeIndex([], name=arg.name)
        else:
            name = None if arg._kind == "frame" else arg.name
            sample = pd.Series([pd.Timestamp("2000")], index=arg._meta_nonempty.index[:1], name=name).iloc[:0]
        meta = pd.to_datetime(sample, utc=True) if tz_aware and kwargs["utc"] else sample
        if kwargs.get("infer_datetime_format"):
            kwargs.pop("infer_datetime_format")
    return elemwise(_convert, arg, "to_datetime", kwargs, _label="to_datetime", _meta=meta)


def to_timedelta(arg: Any, unit: Any = None, errors: str = "raise") -> Any:
    """``pandas.to_timedelta`` of a column, partition by partition.

    Examples
    --------
    >>> import oxidask.dataframe as dd
    >>> dd.to_timedelta(dd.from_dict({"x": [1]}, npartitions=1).x, unit="h").dt.seconds.compute().tolist()
    [3600]
    """
    if not isinstance(arg, Collection):
        raise TypeError("arg must be a lazy Series")
    if unit is None and pd.api.types.is_numeric_dtype(arg._meta.dtype):
        unit = "ns"
    kwargs = {"errors": errors, **({"unit": unit} if unit is not None else {})}
    sample = pd.Series([pd.Timedelta(1)], index=arg._meta_nonempty.index[:1], name=arg.name).iloc[:0]
    return elemwise(_convert, arg, "to_timedelta", kwargs, _label="to_timedelta", _meta=sample)


def isna(arg: Any) -> Any:
    """Whether each value is missing."""
    return arg.isna() if isinstance(arg, Collection) else pd.isna(arg)


def _melt(frame: Any, kwargs: dict[str, Any]) -> Any:
    return pd.melt(frame, **kwargs)


def melt(
    frame: Any, id_vars: Any = None, value_vars: Any = None, var_name: Any = None, value_name: Any = "value",
    col_level: Any = None,
) -> Any:  # fmt: skip
    """Columns as rows, as in ``pandas.melt``, partition by partition.

    Examples
    --------
    >>> import oxidask.dataframe as dd
    >>> dd.melt(dd.from_dict({"a": [1], "b": [2]}, npartitions=1)).compute().value.tolist()
    [1, 2]
    """
    kwargs = {
        "id_vars": id_vars, "value_vars": value_vars, "var_name": var_name, "value_name": value_name, "col_level": col_level,
    }  # fmt: skip
    return elemwise(_melt, frame, kwargs).clear_divisions()


def _dummies(rows: Any, kwargs: dict[str, Any]) -> Any:
    return pd.get_dummies(rows, **kwargs)


def get_dummies(
    data: Any, prefix: Any = None, prefix_sep: Any = "_", dummy_na: bool = False, columns: Any = None, sparse: bool = False,
    drop_first: bool = False, dtype: Any = bool, **kwargs: Any,
) -> Any:  # fmt: skip
    """A column for every category, as in ``pandas.get_dummies``.

    Categories must be known: use ``categorize`` first.

    Raises
    ------
    NotImplementedError
        If they are not, or a column to convert has none.

    Examples
    --------
    >>> import oxidask.dataframe as dd
    >>> x = dd.from_dict({"x": ["a", "b"]}, npartitions=2).x.astype("category").cat.as_known()
    >>> dd.get_dummies(x).compute().a.tolist()
    [True, False]
    """
    kwargs = {
        "prefix": prefix, "prefix_sep": prefix_sep, "dummy_na": dummy_na, "columns": columns, "sparse": sparse,
        "drop_first": drop_first, "dtype": dtype, **kwargs,
    }  # fmt: skip
    if isinstance(data, (pd.Series, pd.DataFrame)):
        return pd.get_dummies(data, **kwargs)
    if not isinstance(data, Collection):
        raise TypeError(f"get_dummies takes a frame or a column, not a {type(data).__name__}")
    plain = (
        "get_dummies makes a column of every category, and text has no categories\n"
        "hint: DataFrame.categorize() finds them"
    )
    unknown = (
        "get_dummies makes a column of every category, and the categories are not known before computing\n"
        "hint: cat.as_known() or DataFrame.categorize() finds them"
    )
    if data._kind == "series":
        _check_categories([data._meta.dtype], plain, unknown)
    else:
        meta = data._meta
        if columns is None:
            text = [
                dtype
                for dtype in meta.dtypes
                if pd.api.types.is_object_dtype(dtype) or isinstance(dtype, pd.StringDtype)
            ]
            if text:
                raise NotImplementedError(plain)
            names = [name for name in meta.columns if isinstance(meta[name].dtype, pd.CategoricalDtype)]
        else:
            names = list(columns)
        _check_categories([meta[name].dtype for name in names], plain, unknown)
    return elemwise(_dummies, data, kwargs, _label="get_dummies")


def _check_categories(dtypes: list[Any], plain: str, unknown: str) -> None:
    if not all(isinstance(dtype, pd.CategoricalDtype) for dtype in dtypes):
        raise NotImplementedError(plain)
    if not all(is_known(dtype) for dtype in dtypes):
        raise NotImplementedError(unknown)


def _widened(grouped: Any, columns: Any, values: Any, meta: Any) -> Any:
    """Grouped values as a table, a column for every category."""
    table = grouped.unstack(columns)
    if not isinstance(values, list):
        table.columns = pd.CategoricalIndex(table.columns, dtype=meta.columns.dtype, name=columns)
    table = table.reindex(columns=meta.columns)
    table.columns = meta.columns
    return table.dropna(how="all").sort_index()


def pivot_table(df: Any, index: Any = None, columns: Any = None, values: Any = None, aggfunc: Any = "mean") -> Any:
    """A table with a row for every value of ``index`` and a column for every category of ``columns``.

    Parameters
    ----------
    df : DataFrame
    index, columns : label
        ``columns`` names a column of known categories.
    values : label or list
    aggfunc : {"mean", "sum", "count", "first", "last", "min", "max", "list", …}
        An aggregation that joins across partitions.

    Raises
    ------
    ValueError
        If a label is none, or categories are not known.

    Examples
    --------
    >>> import oxidask.dataframe as dd
    >>> df = dd.from_dict({"k": [1, 1], "c": ["a", "b"], "x": [2, 3]}, npartitions=2)
    >>> df = df.categorize("c")
    >>> dd.pivot_table(df, index="k", columns="c", values="x", aggfunc="sum").compute().values.tolist()
    [[2, 3]]
    """
    names = df._meta.columns
    if not pd.api.types.is_scalar(index) or index is None or index not in names:
        raise ValueError(f"'index' must be the name of an existing column, not {index!r}")
    if not pd.api.types.is_scalar(columns) or columns is None or columns not in names:
        raise ValueError(f"'columns' must be the name of an existing column, not {columns!r}")
    _check_wide(df._meta, columns)
    listed = list(values) if isinstance(values, (list, tuple)) else None
    for value in listed if listed is not None else [values]:
        if not pd.api.types.is_scalar(value) or value is None or value not in names:
            raise ValueError(f"values={values!r} names what is no column of the frame")
    if not isinstance(aggfunc, str) or parts_of(aggfunc) is None:
        raise ValueError(f"aggfunc={aggfunc!r} is none of 'mean', 'sum', 'count', 'first', 'last' and others that join")
    # Pandas says what the table of the kept types looks like.
    meta = emulate(_table, df, index, columns, listed or values, aggfunc)
    grouped = df.groupby([index, columns], observed=True)[listed or values]
    return getattr(grouped, aggfunc)()._map("pivot_table", _widened, columns, listed or values, meta, meta=meta)


def _pivoted(rows: Any, kwargs: dict[str, Any], meta: Any) -> Any:
    if not len(rows):
        return meta
    return rows.pivot(**kwargs).reindex(columns=meta.columns)


def pivot(df: Any, columns: Any, index: Any, values: Any) -> Any:
    """A table with a row for every value of ``index`` and a column for every category of ``columns``.

    Unlike :func:`pivot_table` it aggregates nothing: a cell has at most one value.

    Parameters
    ----------
    df : DataFrame
    columns : label
        A column of known categories.
    index, values : label

    Raises
    ------
    ValueError
        If a label is none, categories are not known, or (when computed) a cell has two values.

    Examples
    --------
    >>> import oxidask.dataframe as dd
    >>> df = dd.from_dict({"k": [1, 1], "c": ["a", "b"], "x": [2, 3]}, npartitions=2)
    >>> dd.pivot(df.categorize("c"), columns="c", index="k", values="x").compute().values.tolist()
    [[2, 3]]
    """
    from oxidask.dataframe._collection import new
    from oxidask.dataframe._shuffle import by_hash

    for what, label in (("index", index), ("columns", columns), ("values", values)):
        if not pd.api.types.is_scalar(label) or label not in df._meta.columns:
            raise ValueError(f"'{what}' must be the name of an existing column, not {label!r}")
    _check_wide(df._meta, columns)
    kwargs = {"index": index, "columns": columns, "values": values}
    categories = df._meta[columns].dtype.categories
    value = df._meta_nonempty[values].iloc[:1]
    sample = pd.DataFrame(
        {index: df._meta_nonempty[index].iloc[:1], columns: df._meta_nonempty[columns].iloc[:1], values: value}
    )
    made = sample.pivot(**kwargs).reindex(
        columns=pd.CategoricalIndex(categories, dtype=df._meta[columns].dtype, name=columns)
    )
    meta = made.iloc[:0]
    plan = by_hash(df[[index, columns, values]], [index], df.npartitions).map("pivot", _pivoted, kwargs, meta)
    return new(plan.groups("pivot", _rows.Joined(_by_label), [(0, plan.n)]), meta, None)


def _by_label(rows: Any) -> Any:
    return rows.sort_index()


def _check_wide(meta: Any, columns: Any) -> None:
    """Raises ``ValueError`` unless a column has categories that are known."""
    if not isinstance(meta[columns].dtype, pd.CategoricalDtype):
        raise ValueError(
            f"columns={columns!r} is {meta[columns].dtype}, not a category\nhint: use DataFrame.categorize() first"
        )
    if not is_known(meta[columns].dtype):
        raise ValueError(
            f"the categories of columns={columns!r} are not known before computing\n"
            "hint: cat.as_known() or DataFrame.categorize() finds them"
        )


def _table(rows: Any, index: Any, columns: Any, values: Any, aggfunc: str) -> Any:
    return pd.pivot_table(
        rows, index=index, columns=columns, values=values, aggfunc=aggfunc, dropna=False, observed=False
    )

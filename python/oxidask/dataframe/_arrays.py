"""Frames as arrays, bags and records, and arrays as frames."""

from __future__ import annotations

import itertools
import warnings
from typing import Any

import numpy as np
import pandas as pd

from oxidask.dataframe._collection import new
from oxidask.dataframe._meta import empty
from oxidask.dataframe._plan import Plan

__all__ = ["array_of", "from_array", "from_dask_array", "to_bag", "to_dask_array", "to_records"]


def _values(rows: Any) -> Any:
    return np.asarray(rows.values if not isinstance(rows, pd.Index) else rows.to_numpy())


def array_of(plan: Plan, meta: Any, lengths: Any = None) -> Any:
    """A lazy array whose blocks are the partitions of a plan."""
    import oxidask.array as da

    if not hasattr(da, "from_delayed"):
        raise NotImplementedError("arrays cannot be made of delayed values yet")
    lengths = [np.nan] * plan.n if lengths is None else lengths
    rest = meta.shape[1:]
    blocks = [
        da.from_delayed(part, shape=(length, *rest), dtype=meta.dtype)
        for part, length in zip(plan.delayed(), lengths, strict=True)
    ]
    return da.concatenate(blocks, axis=0) if len(blocks) > 1 else blocks[0]


def _lengths(rows: Any, lengths: Any) -> Any:
    if lengths is True:
        from oxidask import base

        return list(base.compute(*rows._plan.map("len", len).delayed()))
    if lengths is None or lengths is False:
        return None
    if not isinstance(lengths, (list, tuple)):
        raise ValueError(f"lengths is True, a list or a tuple, not {lengths!r}")
    if len(lengths) != rows.npartitions:
        raise ValueError(
            f"lengths has {len(lengths)} values for {rows.npartitions} partitions\nhint: lengths=True counts the rows"
        )
    return list(lengths)


def to_dask_array(rows: Any, lengths: Any = None) -> Any:
    """The values of a frame, column or index as a lazy array."""
    kinds = rows._meta.dtypes if isinstance(rows._meta, pd.DataFrame) else [rows._meta.dtype]
    if any(isinstance(kind, pd.api.extensions.ExtensionDtype) for kind in kinds):
        warnings.warn(
            "values of extension dtypes, such as text, become an array of object dtype\n"
            "hint: convert them with astype first, or leave them out",
            UserWarning,
            stacklevel=3,
        )
    meta = empty(_values(rows._meta_nonempty))
    return array_of(rows._plan.map("values", _values), meta, _lengths(rows, lengths))


def _records(rows: Any, index: bool) -> Any:
    return rows.to_records(index=index)


def to_records(df: Any, index: bool = True, lengths: Any = None) -> Any:
    """The rows as a lazy array of records.

    Parameters
    ----------
    df : DataFrame
    index : bool
        Whether labels are a field.
    lengths : bool or list of int
        The lengths of partitions; ``True`` computes them.
    """
    meta = empty(np.asarray(_records(df._meta_nonempty, index)))
    return array_of(df._plan.map("to_records", _records, index), meta, _lengths(df, lengths))


def _elements(rows: Any, index: bool, format: str) -> list[Any]:
    if isinstance(rows, pd.DataFrame):
        if format == "tuple":
            return list(map(tuple, rows.itertuples(index))) if index else list(map(tuple, rows.itertuples(index=False)))
        if format == "dict":
            rows = rows.reset_index() if index else rows
            return [dict(zip(rows.columns, row, strict=True)) for row in rows.itertuples(index=False, name=None)]
        raise ValueError(f"format must be 'tuple' or 'dict', got {format!r}")
    if isinstance(rows, pd.Series):
        return list(rows.items()) if index else list(rows)
    return list(rows)


def to_bag(df: Any, index: bool = False, format: str = "tuple") -> Any:
    """A bag with an element for every row: a tuple, a dict, or a value.

    Parameters
    ----------
    df : DataFrame, Series or Index
    index : bool
        Whether labels come with the values.
    format : {"tuple", "dict", "frame"}
        ``"frame"`` keeps a pandas object for every partition.

    Examples
    --------
    >>> import oxidask.dataframe as dd
    >>> dd.to_bag(dd.from_dict({"x": [1, 2]}, npartitions=2)).compute(scheduler="sync")
    [(1,), (2,)]
    """
    from oxidask.bag.core import Bag

    if format == "frame":
        return Bag._over(df._plan.expr)
    _elements(df._meta_nonempty, index, format)
    return Bag._over(df._plan.map("to_bag", _elements, index, format).expr)


def _frame_of(values: Any, columns: Any, index: Any) -> Any:
    if values.dtype.names is not None:
        return pd.DataFrame({name: values[name] for name in values.dtype.names}, index=index)
    if values.ndim == 1 and isinstance(columns, list):
        return pd.DataFrame({columns[0]: values}, index=index)
    if values.ndim == 1:
        return pd.Series(values, name=columns if pd.api.types.is_scalar(columns) else columns[0], index=index)
    return pd.DataFrame(values, columns=columns, index=index)


def _meta_of(dtype: Any, ndim: int, width: int, columns: Any) -> Any:
    sample: Any = np.empty((0, width) if ndim == 2 else 0, dtype=dtype)
    if ndim > 2:
        raise ValueError(f"from_array takes arrays of one or two dimensions, and this one has {ndim}")
    if dtype.names is not None:
        if columns is not None and sorted(columns) != sorted(dtype.names):
            raise ValueError(f"columns={columns} are not the fields of the array, {dtype.names}")
        return _frame_of(sample, None, None)[list(columns or dtype.names)]
    if ndim == 1:
        if columns is not None and not pd.api.types.is_scalar(columns) and len(columns) != 1:
            raise ValueError(f"an array of one dimension makes one column, and columns={columns} names more")
        if columns is None or pd.api.types.is_scalar(columns):
            return pd.Series(sample, name=columns)
        return pd.DataFrame({columns[0]: sample})
    if columns is not None and len(columns) != width:
        raise ValueError(f"names must match width: columns has {len(columns)} names, and the array {width} columns")
    return pd.DataFrame(sample, columns=list(columns) if columns is not None else list(range(width)))


def from_array(arr: Any, chunksize: int = 50_000, columns: Any = None, meta: Any = None) -> Any:
    """A lazy frame of a NumPy array (a column if it has one dimension), or of a lazy one.

    Parameters
    ----------
    arr : array of one or two dimensions, or of records
    chunksize : int
        Rows for each partition.
    columns : list or str
        The names of the columns.
    meta : ignored

    Examples
    --------
    >>> import numpy as np, oxidask.dataframe as dd
    >>> dd.from_array(np.array([[1, 2], [3, 4]]), chunksize=1, columns=["a", "b"]).a.sum().compute().item()
    4
    """
    if hasattr(arr, "chunks") and hasattr(arr, "compute"):
        return from_dask_array(arr, columns=columns, meta=meta)
    if isinstance(arr, (list, tuple)):
        arr = np.array(arr)
    n = arr.shape[0]
    meta = _meta_of(np.dtype(arr.dtype), arr.ndim, arr.shape[1] if arr.ndim == 2 else 0, columns)
    names = list(meta.columns) if isinstance(meta, pd.DataFrame) else meta.name
    pieces = []
    starts = list(range(0, n, chunksize)) or [0]
    for start in starts:
        values = np.asarray(arr[start : start + chunksize])
        piece = _frame_of(values, names, pd.RangeIndex(start, start + len(values)))
        pieces.append(piece[names] if values.dtype.names is not None else piece)
    divisions = (*starts, max(n - 1, 0))
    return new(Plan.source(pieces, "from_array"), pieces[0].iloc[:0], divisions if n else None)


def _block_frame(values: Any, start: Any, columns: Any) -> Any:
    values = np.asarray(values)
    index = pd.RangeIndex(start, start + len(values)) if start is not None else None
    made = _frame_of(values, columns, index)
    return made[columns] if values.dtype.names is not None else made


def _indexed_frame(values: Any, index: Any, columns: Any) -> Any:
    return _frame_of(np.asarray(values), columns, index)


def from_dask_array(x: Any, columns: Any = None, index: Any = None, meta: Any = None) -> Any:
    """A lazy frame of a lazy array, a partition for every row of blocks.

    Parameters
    ----------
    x : oxidask.array.Array of one or two dimensions
    columns : list or str
        The names of the columns.
    index : Index or Series, optional
        Labels, in as many partitions; rows are numbered without it.
    meta : ignored

    Examples
    --------
    >>> import oxidask.array as da, oxidask.dataframe as dd
    >>> dd.from_dask_array(da.arange(4, chunks=2), columns="x").sum().compute().item()
    6
    """
    del meta
    if x.ndim > 2:
        raise ValueError(f"from_array takes arrays of one or two dimensions, and this one has the shape {x.shape}")
    made = _meta_of(np.dtype(x.dtype), x.ndim, int(x.shape[1]) if x.ndim == 2 else 0, columns)
    names = list(made.columns) if isinstance(made, pd.DataFrame) else made.name
    if x.ndim == 2 and len(x.chunks[1]) > 1:
        x = x.rechunk({1: x.shape[1]})
    parts = [x.blocks[i] for i in range(len(x.chunks[0]))] if hasattr(x, "blocks") else _blocks(x)
    from oxidask import delayed

    plan = Plan.of_delayed([delayed(part, traverse=False) for part in parts])
    if index is not None:
        if index.npartitions != plan.n:
            raise ValueError(f"the index has {index.npartitions} partitions, and the array {plan.n} blocks of rows")
        labels = index
        meta_index = labels._meta if labels._kind == "index" else pd.Index(labels._meta)
        made = made.set_axis(meta_index, axis=0)
        return new(plan.map("from_array", _indexed_frame, labels._plan, names), made, index.divisions)
    lengths = list(x.chunks[0])
    known = not any(isinstance(n, float) and np.isnan(n) for n in lengths)
    if not known:
        return new(plan.map("from_array", _block_frame, None, names), made, None)
    total = int(sum(lengths))
    starts = [int(sum(lengths[:i])) for i in range(len(lengths))]
    # Empty blocks at the end begin where the last label is.
    divisions = (*[min(start, max(total - 1, 0)) for start in starts], max(total - 1, 0))
    return new(plan.map("from_array", _block_frame, Plan.source(starts, "starts"), names), made, divisions)


def _blocks(x: Any) -> list[Any]:
    ends = np.cumsum([0, *x.chunks[0]])
    return [x[int(a) : int(b)] for a, b in itertools.pairwise(ends)]

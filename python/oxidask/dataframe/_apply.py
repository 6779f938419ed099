"""Users' functions on partitions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from oxidask.dataframe import _rows
from oxidask.dataframe._align import aligned
from oxidask.dataframe._collection import new
from oxidask.dataframe._meta import make_meta
from oxidask.dataframe._plan import Plan
from oxidask.dataframe.core import Collection, _lead, _plan_of, moved_divisions, own_meta

__all__ = ["map_partitions"]

#: Tells "not given" from ``None``.
NOTHING: Any = type("no_default", (), {"__repr__": lambda self: "<no_default>"})()


def _takes(func: Any, name: str) -> bool:
    import inspect

    try:
        return name in inspect.signature(func).parameters
    except (TypeError, ValueError):
        return False


class _WithInfo:
    """A function that is told which partition it gets."""

    def __init__(self, func: Any) -> None:
        self.func = func
        self.__name__ = getattr(func, "__name__", type(func).__name__)

    def __dask_tokenize__(self) -> Any:
        return (_WithInfo, self.func)

    def __call__(self, info: Any, *args: Any, **kwargs: Any) -> Any:
        return self.func(*args, partition_info=info, **kwargs)


class _OneRow:
    """A function that answers single values, as a column of one row for each partition."""

    def __init__(self, func: Any) -> None:
        self.func = func
        self.__name__ = getattr(func, "__name__", type(func).__name__)

    def __dask_tokenize__(self) -> Any:
        return (_OneRow, self.func)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        answer = self.func(*args, **kwargs)
        return answer if isinstance(answer, (pd.Series, pd.DataFrame)) else pd.Series([answer])


def map_partitions(
    func: Any,
    *args: Any,
    meta: Any = NOTHING,
    enforce_metadata: bool = True,
    transform_divisions: bool = True,
    clear_divisions: bool = False,
    align_dataframes: bool = True,
    parent_meta: Any = None,
    required_columns: Any = None,
    **kwargs: Any,
) -> Any:
    """Calls a function with the pandas object of every partition.

    Parameters
    ----------
    func : callable
        Gets a pandas object for every lazy argument and answers one, or a value. If
        it has a parameter ``partition_info``, that is a dict with ``number`` and
        ``division`` of the partition.
    *args, **kwargs
        Frames and columns, aligned by their divisions; anything else is passed as it is.
    meta : pandas object, mapping of name to type, (name, type), or list of them
        What the function answers; else it is called once with two made-up rows.
    enforce_metadata : bool
        Whether columns that differ from ``meta`` are an error when computed.
    transform_divisions : bool
        Whether the function of an index also makes the new divisions.
    clear_divisions : bool
        Whether divisions are unknown afterwards.
    align_dataframes : bool
        Whether frames with other divisions are aligned; else they need as many
        partitions, or one.

    Returns
    -------
    DataFrame, Series, Index or Scalar

    Raises
    ------
    ValueError
        If what the function answers cannot be found out.

    Examples
    --------
    >>> import oxidask.dataframe as dd
    >>> df = dd.from_dict({"x": [1, 2, 3]}, npartitions=2)
    >>> df.map_partitions(lambda rows, by: rows * by, 10).compute().x.tolist()
    [10, 20, 30]
    """
    del parent_meta, required_columns
    name = kwargs.pop("token", None) or getattr(func, "__name__", type(func).__name__)
    if not callable(func):
        raise TypeError("`func` must be callable")
    if align_dataframes:
        args, kwargs = aligned(args, kwargs)
    else:
        _same_counts(args)
    if not any(isinstance(arg, Collection) for arg in (*args, *kwargs.values())):
        raise TypeError("map_partitions needs a frame or a column among its arguments")
    lead = _lead(args, kwargs)
    given = meta is not NOTHING and meta is not None
    if given:
        meta = make_meta(meta, index=getattr(lead._meta, "index", None))
    elif _takes(func, "partition_info"):
        meta = own_meta(func, name, args, {**kwargs, "partition_info": {"number": 0, "division": None}})
    else:
        meta = own_meta(func, name, args, kwargs)
    call: Any
    if isinstance(meta, (np.generic, type)) or (pd.api.types.is_scalar(meta) and meta is not None):
        meta = pd.Series([meta]).iloc[:0]
        call = _OneRow(func)
    else:
        call = _rows.Enforced(func, meta) if enforce_metadata else func
    opened = [_plan_of(arg) for arg in args]
    if _takes(func, "partition_info"):
        bounds = lead.divisions
        info = [{"number": i, "division": bounds[i]} for i in range(lead.npartitions)]
        opened = [Plan.source(info, "partition_info"), *opened]
        call = _rows.Enforced(_WithInfo(func), meta) if enforce_metadata else _WithInfo(func)
    plan = lead._plan.call(name, call, opened, {key: _plan_of(value) for key, value in kwargs.items()})
    # What a meta of the user's promises is enforced.
    plan.sure = given and enforce_metadata
    divisions = None if clear_divisions or plan.n != lead.npartitions else lead.divisions
    if transform_divisions and isinstance(lead._meta, pd.Index) and isinstance(meta, pd.Index):
        divisions = moved_divisions(func, lead, args, kwargs) if divisions is not None else None
    return new(plan, meta, divisions)


def _same_counts(args: Any) -> None:
    counts = {arg.npartitions for arg in args if isinstance(arg, Collection)} - {1}
    if len(counts) > 1:
        raise ValueError(
            "map_partitions with `align_dataframes=False` needs frames with the same number of partitions, or one; "
            f"these have {sorted(counts)}"
        )

"""Users' functions on partitions, through pandas."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd

from oxidask import _oxidask
from oxidask.dataframe import _pandas
from oxidask.dataframe._collection import wrap
from oxidask.dataframe._expr import Collection


class _Bound:
    """A function with its other arguments; the frames come at ``places``."""

    def __init__(self, func: Callable[..., Any], args: tuple[Any, ...], places: list[int], kwargs: dict[str, Any]):
        self.func, self.args, self.places, self.kwargs = func, args, places, kwargs
        self.__name__ = getattr(func, "__name__", type(func).__name__)

    def __call__(self, *frames: Any) -> Any:
        args = list(self.args)
        for place, frame in zip(self.places, frames, strict=True):
            args[place] = frame
        return self.func(*args, **self.kwargs)


def example(meta: Any) -> Any:
    """A small pandas object like an empty one, with plausible values."""
    if isinstance(meta, pd.Series):
        return example(meta.to_frame("x" if meta.name is None else meta.name)).iloc[:, 0].rename(meta.name)
    columns = {position: _values(meta.iloc[:, position].dtype) for position in range(meta.shape[1])}
    frame = pd.DataFrame(columns)
    frame.columns = meta.columns
    if not isinstance(meta.index, pd.RangeIndex) and meta.index.nlevels == 1:
        frame.index = pd.Index(_values(meta.index.dtype), name=meta.index.name)
    return frame


def _values(dtype: Any) -> Any:
    if isinstance(dtype, pd.CategoricalDtype):
        return pd.Categorical(["a", "b"])
    if pd.api.types.is_bool_dtype(dtype):
        return pd.array([True, False], dtype=dtype)
    if pd.api.types.is_numeric_dtype(dtype):
        return pd.array([1, 2], dtype=dtype)
    if pd.api.types.is_datetime64_any_dtype(dtype):
        return pd.to_datetime(["2000-01-01", "2000-01-02"]).astype(dtype)
    if pd.api.types.is_timedelta64_dtype(dtype):
        return pd.to_timedelta([1, 2], unit="D").astype(dtype)
    return pd.array(["a", "b"], dtype=dtype)


def _meta_of(meta: Any, call: Callable[..., Any], inputs: list[Collection]) -> Any:
    """What the function answers: as told, or from a call with two made-up rows."""
    if meta is None:
        try:
            return call(*[example(collection._meta) for collection in inputs])
        except Exception as error:
            raise ValueError(
                f"what {call.__name__!r} answers could not be found out by calling it with made-up rows: "
                f"{type(error).__name__}: {error}\nhint: pass meta=, an empty pandas object with the columns and types"
            ) from error
    if isinstance(meta, dict):
        return pd.DataFrame({name: pd.Series(dtype=dtype) for name, dtype in meta.items()})
    if isinstance(meta, tuple) and len(meta) == 2:
        return pd.Series(dtype=meta[1], name=meta[0])
    return meta


def map_partitions(func: Callable[..., Any], *args: Any, meta: Any = None, **kwargs: Any) -> Any:
    """Calls a function with the pandas object of every partition.

    Parameters
    ----------
    func : callable
        Gets a ``pandas.DataFrame`` or ``Series`` for every lazy argument and
        answers one, or a value.
    *args, **kwargs
        Frames and columns with as many partitions each, or one; anything else is
        passed as it is.
    meta : pandas object, dict of name to type, or (name, type), optional
        What the function answers; else it is called once with two made-up rows.

    Returns
    -------
    DataFrame or Series

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
    places = [place for place, arg in enumerate(args) if isinstance(arg, Collection)]
    inputs = [args[place] for place in places]
    if not inputs:
        raise TypeError("map_partitions needs a frame or a column among its arguments")
    rest = tuple(None if place in places else arg for place, arg in enumerate(args))
    call = _Bound(func, rest, places, kwargs)
    answer = _meta_of(meta, call, inputs)
    if isinstance(answer, pd.DataFrame):
        kind = "frame"
    else:
        kind = "series"
        answer = answer if isinstance(answer, pd.Series) else pd.Series([answer])
    rows = _pandas.partition_of(answer.iloc[:0] if len(answer) else answer)
    names = _pandas.index_names_of(answer.index)
    frames = [(collection._frame, collection._kind) for collection in inputs]
    return wrap(_oxidask.apply_frames(call, frames, rows, names), kind)


def apply_rows(frame: pd.DataFrame, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """``DataFrame.apply`` along rows, for one partition."""
    return frame.apply(func, axis=1, args=args, **kwargs)


__all__ = ["apply_rows", "example", "map_partitions"]

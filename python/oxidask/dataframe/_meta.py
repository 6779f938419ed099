"""What is known of rows before they are computed: empty pandas objects.

A *meta* is an empty pandas object with the columns, types and index of what a
partition will hold. It is found by running the function itself on two made-up
rows, so that pandas decides what the answer looks like and which error a mistake
gives.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

__all__ = ["empty", "emulate", "make_meta", "nonempty"]

PANDAS = (pd.DataFrame, pd.Series, pd.Index)


def empty(value: Any) -> Any:
    """``value`` without its rows; what is no pandas object stays."""
    if isinstance(value, (pd.DataFrame, pd.Series)):
        return value.iloc[:0]
    if isinstance(value, pd.Index):
        return value[:0]
    if isinstance(value, np.ndarray):
        return value[:0] if value.ndim else value
    return value


def _series(name: Any, dtype: Any, index: Any = None) -> pd.Series:
    return pd.Series([], dtype=dtype, name=name, index=index if index is None else index[:0])


def make_meta(x: Any, index: Any = None, parent_meta: Any = None) -> Any:
    """The empty pandas object that a user describes.

    Parameters
    ----------
    x : pandas object, lazy collection, mapping, (name, dtype), list of them, dtype or scalar
    index : pandas.Index, optional
        The index of what is described by names and types.
    parent_meta : ignored

    Raises
    ------
    TypeError
        If ``x`` describes nothing.

    Examples
    --------
    >>> make_meta({"a": "int64"}).dtypes.astype(str).to_dict()
    {'a': 'int64'}
    >>> make_meta(("b", "float64")).name
    'b'
    """
    del parent_meta
    if hasattr(x, "_meta"):
        return x._meta
    if isinstance(x, (*PANDAS, np.ndarray)):
        return empty(x)
    index = None if index is None else make_meta(index)
    if isinstance(x, Mapping):
        return pd.DataFrame({name: _series(name, dtype, index) for name, dtype in x.items()}, index=index)
    if isinstance(x, tuple) and len(x) == 2:
        return _series(x[0], x[1], index)
    if isinstance(x, (list, tuple)):
        if not all(isinstance(pair, tuple) and len(pair) == 2 for pair in x):
            raise ValueError(f"meta is a list of pairs (name, dtype), not {x!r}")
        columns = [_series(name, dtype, index) for name, dtype in x]
        names = [name for name, _ in x]
        frame = pd.concat(columns, axis=1) if columns else pd.DataFrame(index=index)
        return frame.set_axis(names, axis=1)
    if not hasattr(x, "dtype") and x is not None:
        try:
            return _scalar(np.dtype(x))
        except TypeError:
            pass
    if pd.api.types.is_scalar(x) or isinstance(x, np.generic):
        return x
    raise TypeError(f"{x!r} does not describe columns and their types")


def _scalar(dtype: np.dtype) -> Any:
    if dtype.kind in "mM":
        return (pd.Timestamp if dtype.kind == "M" else pd.Timedelta)(1)
    if dtype.kind in "OUS":
        return "foo"
    return dtype.type(1)


def nonempty(meta: Any) -> Any:
    """A pandas object of two rows like an empty one, with plausible values."""
    if isinstance(meta, pd.DataFrame):
        columns = {i: _values_of(dtype) for i, dtype in enumerate(meta.dtypes)}
        frame = pd.DataFrame(columns, index=nonempty(meta.index))
        frame.columns = meta.columns
        frame.attrs = meta.attrs
        return frame
    if isinstance(meta, pd.Series):
        series = pd.Series(_values_of(meta.dtype), index=nonempty(meta.index), name=meta.name, copy=True)
        series.attrs = meta.attrs
        return series
    if isinstance(meta, pd.Index):
        return _index(meta)
    if isinstance(meta, np.ndarray) and meta.ndim:
        return np.ones((2, *meta.shape[1:]), dtype=meta.dtype)
    return meta


def _index(meta: pd.Index) -> pd.Index:
    name = meta.name
    if isinstance(meta, pd.RangeIndex):
        return pd.RangeIndex(2, name=name)
    if isinstance(meta, pd.MultiIndex):
        levels = [nonempty(level).unique() for level in meta.levels]
        codes = [[0] * len(level[:1]) + [1 if len(level) > 1 else 0] for level in levels]
        return pd.MultiIndex(levels=levels, codes=codes, names=meta.names)
    if isinstance(meta, pd.DatetimeIndex):
        freq = meta.freq
        if freq is not None:
            return pd.date_range("1970-01-01", periods=2, freq=freq, tz=meta.tz, name=name)
        times = pd.DatetimeIndex(["1970-01-01", "1970-01-02"], tz=meta.tz, name=name)
        return times.as_unit(meta.unit)
    if isinstance(meta, pd.PeriodIndex):
        return pd.period_range("1970-01-01", periods=2, freq=meta.freq, name=name)
    if isinstance(meta, pd.TimedeltaIndex):
        return pd.TimedeltaIndex([np.timedelta64(1, "D"), np.timedelta64(2, "D")], name=name).as_unit(meta.unit)
    if isinstance(meta.dtype, np.dtype) and meta.dtype.kind in "iu":
        # As a range would have it, so that rows with the one index meet those with the other.
        return pd.Index(np.arange(2, dtype=meta.dtype), name=name)
    return pd.Index(_values_of(meta.dtype), name=name, copy=True)


def _categorical(dtype: pd.CategoricalDtype) -> pd.Categorical:
    categories = dtype.categories
    if len(categories) == 0:
        made = list(_values_of(categories.dtype))[:1]
        return pd.Categorical(made * 2, ordered=dtype.ordered)
    codes = [0, 1 if len(categories) > 1 else 0]
    return pd.Categorical.from_codes(codes, dtype=dtype)


def _values_of(dtype: Any) -> Any:
    """Two values of a type; whoever takes them copies them, for they are shared."""
    # Types whose categories are in another order are equal.
    if isinstance(dtype, pd.CategoricalDtype):
        return _categorical(dtype)
    return _made_values(dtype)


@functools.lru_cache(maxsize=256)
def _made_values(dtype: Any) -> Any:
    if isinstance(dtype, pd.DatetimeTZDtype):
        times = pd.DatetimeIndex(["1970-01-01", "1970-01-02"], tz=dtype.tz)
        return times.astype(dtype)
    if isinstance(dtype, pd.PeriodDtype):
        return pd.period_range("1970-01-01", periods=2, freq=dtype.freq).array
    if isinstance(dtype, pd.IntervalDtype):
        return pd.arrays.IntervalArray.from_breaks([0, 1, 2], closed=dtype.closed or "right")
    if isinstance(dtype, pd.SparseDtype):
        return pd.arrays.SparseArray([1, 1], dtype=dtype)
    if isinstance(dtype, np.dtype):
        if dtype.kind == "M":
            return np.array(["1970-01-01", "1970-01-02"], dtype=dtype)
        if dtype.kind == "m":
            return np.array([1, 2], dtype="timedelta64[D]").astype(dtype)
        if dtype.kind == "b":
            return np.array([True, False])
        if dtype.kind in "iufc":
            return np.array([1, 1], dtype=dtype)
        return np.array(["foo", "foo"], dtype=object)
    return _extension(dtype)


def _extension(dtype: Any) -> Any:
    times = pd.DatetimeIndex(np.array(["1970-01-01", "1970-01-02"], dtype="datetime64[ns]"))
    for sample in (["foo", "foo"], [1, 1], [True, False], [b"a", b"a"], times):
        is_text = sample[0] == "foo"
        if is_text != pd.api.types.is_string_dtype(dtype) and is_text:
            continue
        try:
            return pd.array(sample, dtype=dtype)
        except (TypeError, ValueError, NotImplementedError):
            continue
        except Exception:  # pyarrow's errors, which must not be named here
            continue
    return pd.array([None, None], dtype=dtype)


def emulate(func: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """The empty answer of ``func``, run on made-up rows in place of lazy arguments."""
    args = tuple(_made_up(arg) for arg in args)
    with np.errstate(all="ignore"):
        return empty(func(*args, **{name: _made_up(value) for name, value in kwargs.items()}))


def _made_up(arg: Any) -> Any:
    if hasattr(arg, "_meta"):
        made = nonempty(arg._meta)
        labels = getattr(arg, "_broadcast", ())
        # A row for every column of a frame meets the columns of that frame by their names.
        return made.iloc[[0] * len(labels)].set_axis(pd.Index(list(labels))) if labels else made
    if isinstance(arg, list) and any(hasattr(item, "_meta") for item in arg):
        return [_made_up(item) for item in arg]
    if isinstance(arg, dict) and any(hasattr(item, "_meta") for item in arg.values()):
        return {name: _made_up(item) for name, item in arg.items()}
    return arg

"""Frames from pandas, from delayed values, from functions, from arrays, from Arrow."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from oxidask.dataframe import _rows
from oxidask.dataframe._collection import new, wrap_native
from oxidask.dataframe._meta import PANDAS, empty, make_meta
from oxidask.dataframe._plan import Plan

__all__ = ["from_delayed", "from_dict", "from_map", "from_pandas", "repartition"]


def fits_engine(dtype: Any) -> bool:
    """Whether the engine holds values of this type exactly as pandas does."""
    if isinstance(dtype, np.dtype):
        return (dtype.kind in "iufb" and dtype.itemsize in (1, 2, 4, 8) and dtype != np.float16) or dtype == "M8[us]"
    return isinstance(dtype, pd.StringDtype) and dtype.na_value is not pd.NA


def _is_native(data: Any) -> bool:
    frame = data if isinstance(data, pd.DataFrame) else data.to_frame("x" if data.name is None else data.name)
    columns, index = frame.columns, frame.index
    if not columns.is_unique or columns.nlevels > 1 or not all(type(label) is str for label in columns):
        return False
    if columns.name is not None or data.attrs or not len(data) or not frame.shape[1]:
        return False
    plain_index = isinstance(index, pd.RangeIndex) and index.step == 1 and index.name is None
    if not plain_index:
        if index.nlevels > 1 or not fits_engine(index.dtype) or index.hasnans:
            return False
        if index.name is not None and (type(index.name) is not str or index.name in columns):
            return False
        if isinstance(index, pd.DatetimeIndex):
            return False
    return all(fits_engine(dtype) for dtype in frame.dtypes)


def repartition(df: Any, divisions: Any = None, force: bool = False) -> Any:
    """A pandas object or a lazy frame in partitions with these divisions.

    Examples
    --------
    >>> import pandas as pd, oxidask.dataframe as dd
    >>> dd.repartition(pd.DataFrame({"x": [1, 2, 3]}), (0, 2, 2)).npartitions
    2
    """
    if isinstance(df, (pd.DataFrame, pd.Series)):
        df = from_pandas(df, npartitions=1)
        return df.repartition(divisions=divisions, force=True)
    return df.repartition(divisions=divisions, force=force)


def _starts_of(n_rows: int, npartitions: int) -> list[int]:
    chunk = -(-n_rows // npartitions)
    return list(range(0, n_rows, max(chunk, 1)))


def _sorted_starts(index: pd.Index, npartitions: int) -> tuple[list[Any], list[int]]:
    """Divisions and where partitions begin, so that equal labels stay together."""
    n = len(index)
    if n == 0:
        return [None, None], [0, 0]
    chunk = -(-n // npartitions)
    distinct = index.unique()
    if npartitions > 1 and len(distinct) <= npartitions:
        # Every label is a partition; the last bound stands twice then.
        return [*distinct, distinct[-1]], [*(int(index.searchsorted(one)) for one in distinct), n]
    divisions, starts = [index[0]], [0]
    for wanted in range(chunk, n, chunk):
        label = index[wanted]
        first = index.searchsorted(label, side="left") if not isinstance(index, pd.MultiIndex) else wanted
        if first <= starts[-1]:
            first = index.searchsorted(label, side="right")
            if first >= n:
                break
            label = index[first]
        if first > starts[-1]:
            divisions.append(label)
            starts.append(int(first))
    return [*divisions, index[-1]], [*starts, n]


def from_pandas(data: Any, npartitions: int | None = None, sort: bool = True, chunksize: int | None = None) -> Any:
    """A lazy frame, column or index of a pandas one.

    Parameters
    ----------
    data : pandas.DataFrame, pandas.Series or pandas.Index
    npartitions : int
        At most so many partitions; 1 by default.
    sort : bool
        Order by the index, so that divisions are known.
    chunksize : int
        Rows for each partition, instead of ``npartitions``.

    Returns
    -------
    DataFrame, Series or Index

    Raises
    ------
    TypeError
        If ``data`` is none of these.
    ValueError
        If both numbers are given.

    Examples
    --------
    >>> import pandas as pd, oxidask.dataframe as dd
    >>> df = dd.from_pandas(pd.DataFrame({"x": [1, 2, 3]}), npartitions=2)
    >>> df.divisions, df.x.sum().compute().item()
    ((0, 2, 2), 6)
    """
    if isinstance(data, pd.Index):
        return from_pandas(
            data.to_frame(name="x" if data.name is None else data.name), npartitions, sort, chunksize
        ).index
    if not isinstance(data, (pd.DataFrame, pd.Series)):
        raise TypeError(f"data must be a pandas DataFrame or Series, not a {type(data).__name__}")
    if isinstance(data.index, pd.MultiIndex):
        raise NotImplementedError("rows with an index of several levels are not offered\nhint: use reset_index first")
    if npartitions is not None and chunksize is not None:
        raise ValueError(f"npartitions={npartitions} and chunksize={chunksize} were both given\nhint: leave one out")
    for what, number in (("npartitions", npartitions), ("chunksize", chunksize)):
        if number is not None and not isinstance(number, (int, np.integer)):
            raise TypeError(f"{what} must be a whole number, got {number!r}")
    if chunksize is not None:
        if chunksize < 1:
            raise ValueError(f"chunksize must be at least 1, got {chunksize}")
        npartitions = max(1, -(-len(data) // int(chunksize)))
    npartitions = max(int(npartitions or 1), 1)
    if data.index.hasnans and (sort or not pd.api.types.is_numeric_dtype(data.index.dtype)):
        raise NotImplementedError(
            f"the index, of type {data.index.dtype}, has missing labels, which have no place in divisions\n"
            "hint: leave those rows out: data[data.index.notna()]"
        )
    if sort and not data.index.is_monotonic_increasing:
        data = data.sort_index(kind="stable")
    if _is_native(data) and (sort is False or data.index.is_unique):
        from oxidask.dataframe.native.io import from_pandas as native

        # The engine reads the memory of its columns, which their owner may write to later.
        return wrap_native(native(data.copy(), npartitions=npartitions, sort=sort))
    return _of_pieces(data, npartitions, sort)


def _of_pieces(data: Any, npartitions: int, sort: bool) -> Any:
    data = data.copy(deep=False)
    if sort and len(data):
        divisions, ends = _sorted_starts(data.index, npartitions)
    else:
        starts = _starts_of(len(data), npartitions) or [0]
        ends = [*starts, len(data)]
        divisions = [None] * len(ends)
    pieces = [data.iloc[a:b] for a, b in itertools.pairwise(ends)]
    return new(Plan.source(pieces, "from_pandas").made_sure(), data.iloc[:0], tuple(divisions))


def from_dict(
    data: Any, npartitions: int = 1, orient: str = "columns", dtype: Any = None, columns: Any = None,
    constructor: Any = pd.DataFrame,
) -> Any:  # fmt: skip
    """A lazy frame of columns (or, by ``orient="index"``, rows) given by name.

    Parameters
    ----------
    data : mapping
        Values may not be lazy.
    npartitions : int
    orient : {"columns", "index", "tight"}
    dtype, columns
        As for ``pandas.DataFrame.from_dict``.
    constructor : type
        What makes the frame.

    Examples
    --------
    >>> import oxidask.dataframe as dd
    >>> dd.from_dict({"x": [1, 2]}, npartitions=2).npartitions
    2
    """
    from oxidask import base

    if isinstance(data, Mapping) and any(base.is_dask_collection(value) for value in data.values()):
        raise NotImplementedError(
            "from_dict takes values in memory, such as lists and arrays, and got a lazy collection\n"
            "hint: compute() it first"
        )
    return from_pandas(
        constructor.from_dict(data, orient=orient, dtype=dtype, columns=columns), npartitions=npartitions
    )


def _checked(rows: Any, meta: Any) -> Any:
    """The rows, if they are what ``meta`` says; else an error that shows where they differ."""
    if type(rows) is not type(meta) and not isinstance(rows, type(meta)):
        raise ValueError(f"a partition of from_delayed is a {_type(rows)}, where its meta is a {_type(meta)}")
    if isinstance(meta, pd.DataFrame):
        wrong = []
        for name in list(dict.fromkeys([*rows.columns, *meta.columns])):
            seen = str(rows.dtypes[name]) if name in rows.columns else "-"
            wanted = str(meta.dtypes[name]) if name in meta.columns else "-"
            if not _alike(rows.dtypes.get(name), meta.dtypes.get(name)):
                wrong.append((repr(name), seen, wanted))
        if wrong:
            table = pd.DataFrame(wrong, columns=["Column", "Found", "Expected"]).to_string(index=False)
            raise ValueError("a partition of from_delayed has other columns or types than its meta:\n" + table)
        if list(rows.columns) != list(meta.columns):
            raise ValueError(
                "a partition of from_delayed has the columns of its meta in another order: "
                f"{list(rows.columns)}, where meta has {list(meta.columns)}"
            )
    elif isinstance(meta, pd.Series) and not _alike(rows.dtype, meta.dtype):
        raise ValueError(f"a partition of from_delayed holds {rows.dtype}, where its meta holds {meta.dtype}")
    return rows


def _type(x: Any) -> str:
    return f"{type(x).__module__.split('.')[0]}.{type(x).__name__}"


def _alike(seen: Any, wanted: Any) -> bool:
    if seen is None or wanted is None:
        return False
    if seen == wanted or str(seen) == str(wanted):
        return True
    if isinstance(seen, pd.CategoricalDtype) and isinstance(wanted, pd.CategoricalDtype):
        return True
    numbers = {"i": "number", "u": "number", "f": "number"}
    a, b = getattr(seen, "kind", "?"), getattr(wanted, "kind", "?")
    text = {a, b} <= {"O"}
    return (a in numbers and b in numbers) or (a == b and a in "mM") or text


def from_delayed(
    dfs: Any, meta: Any = None, divisions: Any = None, prefix: str = "from-delayed", verify_meta: bool = True
) -> Any:
    """A lazy frame of delayed pandas objects, one partition for each.

    Parameters
    ----------
    dfs : Delayed or list of Delayed
        Each answers a pandas DataFrame, Series or Index.
    meta : pandas object, mapping, or list of (name, dtype), optional
        What they answer; else the first is computed now.
    divisions : sequence, optional
        The least index of each and the greatest of the last. ``"sorted"`` finds them out.
    prefix : str
        What the step is called in graphs.
    verify_meta : bool
        Whether what is computed must have the columns and types of ``meta``.

    Returns
    -------
    DataFrame, Series or Index

    Raises
    ------
    TypeError
        If an element is not delayed.
    ValueError
        If there is none, or divisions do not fit; when computed, if a partition is
        not what ``meta`` says.

    Examples
    --------
    >>> import pandas as pd, oxidask, oxidask.dataframe as dd
    >>> load = oxidask.delayed(lambda i: pd.DataFrame({"x": [i]}))
    >>> dd.from_delayed([load(1), load(2)], meta={"x": "int64"}).x.sum().compute().item()
    3
    """
    from oxidask._oxidask import Delayed

    if isinstance(dfs, Delayed) or hasattr(dfs, "key"):
        dfs = [dfs]
    dfs = list(dfs)
    if not dfs:
        raise TypeError("from_delayed got no delayed values, and needs one or more")
    for one in dfs:
        if not isinstance(one, Delayed) and not (hasattr(one, "__dask_graph__") and hasattr(one, "key")):
            if type(one).__name__ == "Future":
                continue
            raise TypeError(f"from_delayed takes delayed values, not a {type(one).__name__}")
    plan = Plan.of_delayed([_as_delayed(one) for one in dfs])
    meta = empty(_as_delayed(dfs[0]).compute()) if meta is None else make_meta(meta)
    if divisions is not None and not isinstance(divisions, str) and len(divisions) != len(dfs) + 1:
        raise ValueError(f"divisions of {len(dfs)} partitions are {len(dfs) + 1} values, not {len(divisions)}")
    if verify_meta and isinstance(meta, PANDAS):
        plan = plan.map(prefix, _checked, meta)
    if isinstance(divisions, str):
        if divisions != "sorted":
            raise ValueError(f"divisions={divisions!r}: only 'sorted' is known")
        from oxidask.dataframe._set_index import with_known_divisions

        return with_known_divisions(plan, meta)
    return new(plan, meta, None if divisions is None else tuple(divisions))


def _as_delayed(one: Any) -> Any:
    from oxidask import delayed
    from oxidask._oxidask import Delayed

    return one if isinstance(one, Delayed) else delayed(one)


class _Mapped:
    """A function of the arguments of one partition."""

    def __init__(self, func: Any, args: list[Any], kwargs: dict[str, Any], columns: Any = None) -> None:
        self.func, self.args, self.kwargs, self.columns = func, args, kwargs, columns
        self.__name__ = getattr(func, "__name__", type(func).__name__)

    def __dask_tokenize__(self) -> Any:
        return (_Mapped, self.func, self.args, self.kwargs, self.columns)

    def __call__(self, values: tuple[Any, ...]) -> Any:
        return self.func(*values, *self.args, **self.kwargs)


def from_map(
    func: Any,
    *iterables: Iterable[Any],
    args: Any = None,
    meta: Any = None,
    divisions: Any = None,
    label: str | None = None,
    enforce_metadata: bool = False,
    **kwargs: Any,
) -> Any:
    """A lazy frame with a partition ``func(*values, *args, **kwargs)`` for the values of each position.

    Parameters
    ----------
    func : callable
        Answers a pandas object.
    *iterables
        Of equal length, at least one.
    args : list
        Further positional arguments.
    meta : optional
        What it answers; else the first partition is made now.
    divisions : sequence, optional
        The least index of each partition and the greatest of the last.
    label : str
        What the step is called in graphs.
    enforce_metadata : bool
        Whether columns that differ from ``meta`` are an error when computed.

    Returns
    -------
    DataFrame, Series or Index

    Raises
    ------
    ValueError
        If iterables are of different lengths, or there is none.

    Examples
    --------
    >>> import pandas as pd, oxidask.dataframe as dd
    >>> dd.from_map(lambda i, by: pd.DataFrame({"x": [i * by]}), [1, 2], by=10).compute().x.tolist()
    [10, 20]
    """
    if not callable(func):
        raise ValueError(f"from_map calls a function, and {func!r} is none")
    if not iterables:
        raise ValueError("from_map got nothing to map\nhint: pass a list, with a value for each partition")
    lists = []
    for position, values in enumerate(iterables):
        if not isinstance(values, Iterable):
            raise ValueError(f"from_map goes through lists and the like, not a {type(values).__name__}")
        values = list(values)
        if not values:
            raise ValueError(f"iterable {position} of from_map is empty; there are no values to map")
        lists.append(values)
    if len({len(values) for values in lists}) > 1:
        raise ValueError(f"from_map takes iterables of the same length; these have {[len(values) for values in lists]}")
    inputs = list(zip(*lists, strict=True))
    call = _Mapped(func, list(args or []), kwargs)
    meta = empty(call(inputs[0])) if meta is None else make_meta(meta)
    if divisions is not None and len(divisions) != len(inputs) + 1:
        raise ValueError(f"divisions of {len(inputs)} partitions are {len(inputs) + 1} values")
    run: Any = _rows.Enforced(call, meta) if enforce_metadata else call
    plan = Plan.source(inputs, "values").map(label or call.__name__, run)
    return new(plan, meta, None if divisions is None else tuple(divisions))

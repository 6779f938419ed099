"""Random frames for examples, tests and benchmarks.

Equal seeds and arguments give equal frames, whatever the executor: each partition
draws from a stream of its own.

>>> frame = make_timeseries("2000-01-01", "2000-01-03", {"x": float}, freq="6h", partition_freq="1D", seed=1)
>>> frame.npartitions, len(frame.compute())
(2, 8)
"""

from __future__ import annotations

import itertools
import re
import string
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

__all__ = [
    "ColumnSpec",
    "DatasetSpec",
    "DatetimeIndexSpec",
    "RangeIndexSpec",
    "make_timeseries",
    "names",
    "with_spec",
]

#: First names that columns of texts are drawn from. They are those of Dask's data sets, because scripts ask for
#: ``df[df.name == "Alice"]``.
names = [
    *("Alice", "Bob", "Charlie", "Dan", "Edith", "Frank", "George", "Hannah", "Ingrid", "Jerry", "Kevin", "Laura"),
    *("Michael", "Norbert", "Oliver", "Patricia", "Quinn", "Ray", "Sarah", "Tim", "Ursula", "Victor", "Wendy"),
    *("Xavier", "Yvonne", "Zelda"),
]

DEFAULT_LAM = 1000


@dataclass
class ColumnSpec:
    """Random columns of one kind.

    Attributes
    ----------
    prefix : str, optional
        What their names begin with; the dtype's name by default.
    dtype : str or type
    number : int
        How many columns.
    nunique : int, optional
        How many different values.
    choices : list
        The values to draw from.
    low, high : int, optional
        Bounds of numbers, both included for integers.
    length : int, optional
        Characters of a text.
    random : bool
        Numbers drawn evenly from all in the bounds, texts of random letters.
    method : str, optional
        A distribution of NumPy's generators, such as ``"poisson"``.
    args, kwargs
        The arguments of the distribution.
    """

    prefix: str | None = None
    dtype: str | type | None = None
    number: int = 1
    nunique: int | None = None
    choices: list[Any] = field(default_factory=list)
    low: int | None = None
    high: int | None = None
    length: int | None = None
    random: bool = False
    method: str | None = None
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)


@dataclass
class RangeIndexSpec:
    """An index of numbers from 0 in equal steps."""

    dtype: str | type = int
    step: int = 1


@dataclass
class DatetimeIndexSpec:
    """An index of times in equal steps; ``partition_freq`` cuts the partitions."""

    dtype: str | type = int
    start: str | None = None
    freq: str = "1h"
    partition_freq: str | None = None


def _default_columns() -> list[ColumnSpec]:
    return [
        ColumnSpec("i", "int64", high=9_999, random=True),
        ColumnSpec("f", "float64", random=True),
        ColumnSpec("c", "category", choices=["red", "green", "blue"]),
        ColumnSpec("s", str),
    ]


@dataclass
class DatasetSpec:
    """A random frame: how long, how it is cut, its index and columns.

    Attributes
    ----------
    npartitions : int
        How many partitions.
    nrecords : int
        Rows of the whole frame.
    index_spec : RangeIndexSpec or DatetimeIndexSpec
    column_specs : list of ColumnSpec
        Numbers, floats, categories and texts by default.
    """

    npartitions: int = 1
    nrecords: int = 1000
    index_spec: RangeIndexSpec | DatetimeIndexSpec = field(default_factory=RangeIndexSpec)
    column_specs: list[ColumnSpec] = field(default_factory=_default_columns)


def make_timeseries(
    start: str = "2000-01-01",
    end: str = "2000-12-31",
    dtypes: Mapping[str, Any] | None = None,
    freq: str = "10s",
    partition_freq: str = "1ME",
    seed: int | None = None,
    **kwargs: Any,
) -> Any:
    """A random frame over time.

    Parameters
    ----------
    start, end : str
        The times it covers; the end is not included.
    dtypes : mapping of names to types
        ``int`` draws from a Poisson distribution, ``float`` evenly from -1 to 1,
        ``str`` and ``"category"`` from :data:`names`. By default ``name``, ``id``,
        ``x`` and ``y``.
    freq : str
        The time between rows.
    partition_freq : str
        The time that a partition covers.
    seed : int, optional
        Where random numbers begin.
    **kwargs
        ``{column}_{argument}``: arguments of a column's distribution, such as
        ``id_lam=10``. ``types`` is an older name of ``dtypes``.

    Returns
    -------
    DataFrame
        With known divisions, and an index called ``timestamp``.

    Examples
    --------
    >>> make_timeseries("2000", "2001", {"a": int}, "1D", "3ME", seed=1, a_lam=5).columns.tolist()
    ['a']
    """
    from oxidask.dataframe import from_map

    older = kwargs.pop("types", None)
    dtypes = older if dtypes is None else dtypes
    dtypes = {"name": str, "id": int, "x": float, "y": float} if dtypes is None else dict(dtypes)
    borders = list(pd.date_range(start=start, end=end, freq=partition_freq))
    if len(borders) < 2:
        raise ValueError(f"from {start!r} to {end!r} there is no whole partition of {partition_freq!r}")
    arguments = _arguments_of(list(dtypes), kwargs)
    specs = [(name, _spec_of(dtype, arguments[name])) for name, dtype in dtypes.items()]
    seeds = _seeds(seed, len(borders) - 1)
    return from_map(
        _timeseries_part,
        borders[:-1],
        borders[1:],
        seeds,
        args=[freq, specs],
        meta=_timeseries_part(borders[0], borders[1], seeds[0], freq, specs).iloc[:0],
        divisions=borders,
        label="make-timeseries",
    )


def with_spec(spec: DatasetSpec, seed: int | None = None) -> Any:
    """The random frame that a specification describes.

    Parameters
    ----------
    spec : DatasetSpec
    seed : int, optional
        Where random numbers begin. The values are not those that Dask draws.

    Returns
    -------
    DataFrame
        With known divisions.

    Raises
    ------
    ValueError
        If there are fewer rows than partitions, or an index of times has no start.

    Examples
    --------
    >>> with_spec(DatasetSpec(nrecords=10, npartitions=2), seed=1).compute().shape
    (10, 4)
    """
    from oxidask.dataframe import from_map

    if spec.nrecords < spec.npartitions:
        raise ValueError(f"{spec.nrecords} rows do not fill {spec.npartitions} partitions")
    columns = _named(spec.column_specs)
    cuts = [spec.nrecords * part // spec.npartitions for part in range(spec.npartitions + 1)]
    index, divisions = _index_of(spec, cuts)
    if isinstance(spec.index_spec, DatetimeIndexSpec) and spec.index_spec.partition_freq:
        cuts = [int(index.searchsorted(border)) for border in divisions[:-1]] + [len(index)]
    parts = [index[low:high] for low, high in itertools.pairwise(cuts)]
    seeds = _seeds(seed, len(parts))
    meta = _part(parts[0][:1], seeds[0], columns).iloc[:0]
    return from_map(_part, parts, seeds, args=[columns], meta=meta, divisions=divisions, label="with-spec")


def _index_of(spec: DatasetSpec, cuts: list[int]) -> tuple[Any, list[Any]]:
    rows = spec.index_spec
    if isinstance(rows, RangeIndexSpec):
        index = pd.RangeIndex(0, spec.nrecords * rows.step, rows.step)
        index = index if rows.dtype is int else index.astype(rows.dtype)
        return index, [*(index[cut] for cut in cuts[:-1]), index[-1]]
    if rows.start is None:
        raise ValueError("an index of times needs a start, for example start='2000-01-01'")
    index = pd.date_range(rows.start, periods=spec.nrecords, freq=rows.freq, name="timestamp")
    if rows.partition_freq is None:
        return index, [*(index[cut] for cut in cuts[:-1]), index[-1]]
    borders = pd.date_range(index[0], index[-1], freq=rows.partition_freq)
    return index, [*borders, index[-1]] if borders[-1] < index[-1] else list(borders)


def _named(specs: list[ColumnSpec]) -> list[tuple[str, ColumnSpec]]:
    """The columns' names: a prefix, and a number counted for each prefix."""
    counts: dict[str, int] = {}
    columns = []
    for spec in specs:
        dtype = spec.dtype.__name__ if isinstance(spec.dtype, type) else str(spec.dtype)
        prefix = spec.prefix or re.sub(r"[^a-zA-Z0-9]", "_", dtype).rstrip("_")
        for _ in range(spec.number):
            counts[prefix] = counts.get(prefix, 0) + 1
            columns.append((f"{prefix}{counts[prefix]}", spec))
    return columns


def _arguments_of(columns: list[str], kwargs: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """``{column}_{argument}`` by column; the longest column that fits is meant."""
    found: dict[str, dict[str, Any]] = {column: {} for column in columns}
    for text, value in kwargs.items():
        fitting = [column for column in columns if text.startswith(f"{column}_")]
        if not fitting:
            raise ValueError(f"{text!r} belongs to no column\nhint: the columns are {columns}")
        column = max(fitting, key=len)
        found[column][text[len(column) + 1 :]] = value
    return found


def _spec_of(dtype: Any, arguments: dict[str, Any]) -> ColumnSpec:
    if isinstance(dtype, type) and issubclass(dtype, (int, np.integer)):
        return ColumnSpec(dtype=dtype, method="poisson", kwargs={"lam": DEFAULT_LAM, **arguments})
    return ColumnSpec(dtype=dtype, kwargs=arguments)


def _seeds(seed: int | None, count: int) -> list[Any]:
    return list(np.random.SeedSequence(seed).spawn(count))


def _timeseries_part(
    begin: pd.Timestamp, end: pd.Timestamp, seed: Any, freq: str, columns: list[tuple[str, ColumnSpec]]
) -> pd.DataFrame:
    index = pd.date_range(begin, end, freq=freq, name="timestamp")
    if len(index) and index[-1] == end:
        index = index[:-1]
    return _part(index, seed, columns)


def _part(index: pd.Index, seed: Any, columns: list[tuple[str, ColumnSpec]]) -> pd.DataFrame:
    # Every column draws from its own stream, so that leaving one out changes
    # nothing in the others.
    streams = np.random.SeedSequence(seed.entropy, spawn_key=seed.spawn_key).spawn(len(columns))
    data = {
        name: _column(np.random.default_rng(stream), len(index), spec)
        for (name, spec), stream in zip(columns, streams, strict=True)
    }
    return pd.DataFrame(data, index=index)


def _column(rng: np.random.Generator, n: int, spec: ColumnSpec) -> Any:
    if spec.dtype == "category" or spec.choices:
        choices = spec.choices or ([f"{i + 1:0{len(str(spec.nunique))}}" for i in range(spec.nunique or 0)] or names)
        drawn = rng.integers(0, len(choices), n)
        if spec.dtype == "category":
            return pd.Categorical.from_codes(drawn, categories=choices)
        return pd.Series(np.asarray(choices)[drawn]).astype(_pandas_dtype(spec.dtype)).array
    dtype = _pandas_dtype(spec.dtype)
    kind = np.dtype(dtype).kind if not isinstance(dtype, pd.api.extensions.ExtensionDtype) else "O"
    if kind in "iu":
        return _integers(rng, n, spec).astype(dtype)
    if kind == "f":
        return _floats(rng, n, spec).astype(dtype)
    if kind == "b":
        return rng.integers(0, 2, n).astype(bool)
    return pd.Series(_texts(rng, n, spec), dtype=dtype).array


def _pandas_dtype(dtype: Any) -> Any:
    if dtype in (str, object, "str", "object"):
        return pd.Series(["a"]).dtype
    return pd.api.types.pandas_dtype(dtype)


def _integers(rng: np.random.Generator, n: int, spec: ColumnSpec) -> Any:
    if spec.method is not None:
        defaults: dict[str, tuple[Any, ...]] = {"poisson": (DEFAULT_LAM,), "uniform": (0, 1000), "normal": (0, 1000)}
        return _drawn(rng, n, spec, () if spec.kwargs else defaults.get(spec.method, ()))
    if spec.random or spec.low is not None or spec.high is not None:
        return rng.integers(spec.low or 0, spec.high if spec.high is not None else 1000, n, endpoint=True)
    if spec.nunique is not None:
        return rng.integers(0, spec.nunique, n)
    return rng.poisson(DEFAULT_LAM, n)


def _floats(rng: np.random.Generator, n: int, spec: ColumnSpec) -> Any:
    if spec.method is not None:
        return _drawn(rng, n, spec, ())
    if spec.low is not None or spec.high is not None:
        return rng.uniform(spec.low or 0, spec.high if spec.high is not None else 1, n)
    return rng.random(n) if spec.random else rng.uniform(-1, 1, n)


def _drawn(rng: np.random.Generator, n: int, spec: ColumnSpec, defaults: tuple[Any, ...]) -> Any:
    distribution = getattr(rng, str(spec.method), None)
    if distribution is None:
        raise ValueError(f"{spec.method!r} is no distribution of numpy.random.Generator")
    return distribution(*(spec.args or defaults), size=n, **spec.kwargs)


def _texts(rng: np.random.Generator, n: int, spec: ColumnSpec) -> list[str]:
    if not spec.random and spec.length is None and spec.nunique is None:
        return [names[i] for i in rng.integers(0, len(names), n)]
    letters = np.array(list(string.ascii_letters + string.digits))

    def texts(count: int) -> list[str]:
        return ["".join(row) for row in letters[rng.integers(0, len(letters), (count, spec.length or 25))]]

    if spec.nunique is None:
        return texts(n)
    choices = texts(spec.nunique)
    return [choices[i] for i in rng.integers(0, spec.nunique, n)]

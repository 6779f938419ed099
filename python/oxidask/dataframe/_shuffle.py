"""Rows moved to other partitions: by hash, by range, in order."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pandas as pd

from oxidask.dataframe import _rows
from oxidask.dataframe._collection import new
from oxidask.dataframe._meta import emulate
from oxidask.dataframe.core import NOT_NATIVE, Collection, native_form

__all__ = ["by_hash", "set_index", "set_sorted_index", "shuffle_frame", "sort_frame"]

#: What all missing values are taken for.
_MISSING = "\0missing"

#: Values that a partition shows of a column, to find bounds of even size.
SAMPLES = 512


class _ByHash:
    """Cuts rows by a hash of keys; equal keys go to one place whatever their type or order."""

    def __init__(self, keys: Any) -> None:
        self.keys = keys

    def __dask_tokenize__(self) -> Any:
        return (_ByHash, self.keys)

    def __call__(self, rows: Any, n: int) -> list[Any]:
        rows, keys = rows if isinstance(rows, tuple) else (rows, _keys_of(rows, self.keys))
        return cut(rows, hashes(keys) % n, n)


def _keys_of(rows: Any, keys: Any) -> pd.DataFrame:
    if keys is None:
        index = rows if isinstance(rows, pd.Index) else rows.index
        return index.to_frame(index=False)
    if isinstance(rows, pd.Series):
        return rows.to_frame()
    levels = set(rows.index.names)
    made = {i: (rows[key] if key in rows.columns else rows.index.get_level_values(key) if key in levels else rows[key]).array
            for i, key in enumerate(keys)}  # fmt: skip
    return pd.DataFrame(made)


def hashes(keys: pd.DataFrame) -> np.ndarray:
    """A hash of every row; 1, 1.0 and True are alike, and so are all missing values."""
    total = np.zeros(len(keys), dtype="uint64")
    for position in range(keys.shape[1]):
        total = total * np.uint64(1_000_003) + _hashes_of(keys.iloc[:, position])
    return total ^ (total >> np.uint64(33))


def _hashes_of(column: pd.Series) -> np.ndarray:
    if isinstance(column.dtype, pd.StringDtype):
        # Keys repeat: each is looked at once.
        codes, texts = pd.factorize(column)
        distinct = np.append(texts.to_numpy(dtype=object), _MISSING)
        return pd.util.hash_array(distinct, categorize=False)[codes]
    return pd.util.hash_array(_comparable(column), categorize=False)


def _comparable(column: pd.Series) -> Any:
    dtype = column.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        column = column.astype(dtype.categories.dtype) if len(dtype.categories) else column.astype(object)
        return _comparable(column)
    if pd.api.types.is_numeric_dtype(dtype) and not pd.api.types.is_complex_dtype(dtype):
        return column.to_numpy(dtype="float64", na_value=np.nan) + 0.0
    if isinstance(dtype, (pd.DatetimeTZDtype,)) or getattr(dtype, "kind", "") in "mM":
        return (
            column.astype("int64").to_numpy()
            if column.dt.unit == "ns"
            else column.dt.as_unit("ns").astype("int64").to_numpy()
        )
    values = column.to_numpy(dtype=object, na_value=None)
    return np.array([_MISSING if _is_missing(value) else str(value) for value in values], dtype=object)


def _is_missing(value: Any) -> bool:
    return value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and value != value)


def cut(rows: Any, places: np.ndarray, n: int) -> list[Any]:
    """The rows of each of ``n`` places, in their order."""
    # NumPy sorts numbers of two bytes by counting, many times faster than longer ones.
    places = np.asarray(places).astype("int16" if n < 2**15 else "int64")
    order = np.argsort(places, kind="stable")
    ends = np.searchsorted(places[order], np.arange(n + 1))
    taken = rows.take(order)
    if isinstance(rows, pd.Index):
        return [taken[ends[i] : ends[i + 1]] for i in range(n)]
    return [taken.iloc[ends[i] : ends[i + 1]] for i in range(n)]


def gather(pieces: list[Any]) -> Any:
    """The pieces of a partition, in the order of where they come from."""
    return _rows.concat_rows(pieces)


def _pair(rows: Any, keys: Any) -> tuple[Any, pd.DataFrame]:
    frame = keys.to_frame() if isinstance(keys, pd.Series) else keys
    return rows, pd.DataFrame({i: frame.iloc[:, i].array for i in range(frame.shape[1])})


def by_hash(self: Any, keys: Any, n: int) -> Any:
    """The plan of the rows with those of equal keys in one partition.

    ``keys`` are labels, ``None`` for the index, or a frame or column of the same rows.
    """
    if isinstance(keys, Collection):
        plan = self._plan.map("keys", _pair, keys._plan)
        return plan.shuffle(_ByHash(None), gather, n)
    return self._plan.shuffle(_ByHash(keys), gather, n)


def shuffle_frame(self: Any, on: Any, npartitions: int | None, ignore_index: bool) -> Any:
    """``shuffle`` for frames and columns."""
    n = npartitions or self.npartitions
    if callable(on) and not isinstance(on, Collection):
        on = self.map_partitions(on)
    if isinstance(on, Collection) or on is None:
        keys = on
        if isinstance(on, Collection) and on._kind == "index":
            keys = None
    else:
        keys = [on] if not isinstance(on, list) else on
        missing = [key for key in keys if key not in list(self._meta.columns) and key not in self._meta.index.names]
        if missing:
            raise KeyError(f"Cannot shuffle on {missing[0]!r}: there is no such column")
        if not ignore_index and self._kind == "frame" and all(key in self._meta.columns for key in keys):
            answer = native_form(self, "shuffle", (keys, n), {})
            if answer is not NOT_NATIVE:
                return answer
    plan = by_hash(self, keys, n)
    if ignore_index:
        plan = plan.map("reset_index", _rows.call, "reset_index", drop=True)
        return new(plan, self._meta.reset_index(drop=True), None)
    return new(plan, self._meta, None)


# -- ranges ----------------------------------------------------------------------------


def _sample(column: Any) -> Any:
    """Evenly spaced values in order, how many rows there are, and the extremes."""
    if isinstance(column, pd.Index):
        column = column.to_series()
    values = column.dropna()
    is_missing = len(values) < len(column)
    if isinstance(values.dtype, pd.CategoricalDtype):
        values = values.cat.as_ordered() if not values.cat.ordered else values
    values = values.sort_values()
    n = len(values)
    if not n:
        return ([], 0, None, None, is_missing)
    picks = np.unique(np.linspace(0, n - 1, min(SAMPLES, n)).astype("int64"))
    return (values.iloc[picks], n, values.iloc[0], values.iloc[-1], is_missing)


def _bounds(samples: list[Any], n: int) -> Any:
    """Bounds of ``n`` parts of even size, and whether partitions are in order already."""
    there = [sample for sample in samples if sample[1]]
    if not there:
        return None, False
    in_order = len(there) == len(samples) and not any(sample[4] for sample in samples)
    in_order = in_order and all(_precedes(a, b) for a, b in itertools.pairwise(there))
    if in_order and len(there) == n:
        return [*(sample[2] for sample in there), there[-1][3]], True
    values = _rows.concat_rows([sample[0] for sample in there])
    weights = np.concatenate([np.full(len(sample[0]), sample[1] / len(sample[0])) for sample in there])
    order = np.argsort(values.cat.codes.to_numpy() if isinstance(values.dtype, pd.CategoricalDtype) else values.array,
                       kind="stable")  # fmt: skip
    reached = np.cumsum(weights[order])
    targets = np.linspace(0, reached[-1], n + 1)[1:-1]
    picks = np.searchsorted(reached, targets, side="left")
    inner = [values.iloc[order[pick]] for pick in picks]
    low, high = values.iloc[order[0]], values.iloc[order[-1]]
    bounds = [low]
    for bound in inner:
        if (
            bound > bounds[-1]
            if not isinstance(values.dtype, pd.CategoricalDtype)
            else _after(values, bound, bounds[-1])
        ):
            bounds.append(bound)
    return [*bounds, high], False


def _precedes(a: Any, b: Any) -> bool:
    """Whether all values of one sample come before those of another; categories have an order of their own."""
    one, other = a[0].dtype, b[0].dtype
    if not isinstance(one, pd.CategoricalDtype):
        return bool(a[3] < b[2])
    if not one.categories.equals(other.categories):
        return False
    return bool(one.categories.get_loc(a[3]) < one.categories.get_loc(b[2]))


def _after(values: pd.Series, a: Any, b: Any) -> bool:
    categories = values.cat.categories
    return bool(categories.get_loc(a) > categories.get_loc(b))


def find_divisions(column: Any, n: int) -> Any:
    """Bounds of ``n`` parts of even size; computes a sample of the column at once."""
    samples = column._plan.map("sample", _sample)
    from oxidask import base

    return _bounds(list(base.compute(*samples.delayed())), n)


class _ByRange:
    """Cuts rows by the range that a key lies in; missing keys go to one end."""

    def __init__(self, bounds: list[Any], key: Any, descending: bool, na_first: bool) -> None:
        self.bounds, self.key, self.descending, self.na_first = bounds, key, descending, na_first

    def __dask_tokenize__(self) -> Any:
        return (_ByRange, self.bounds, self.key, self.descending, self.na_first)

    def __call__(self, rows: Any, n: int) -> list[Any]:
        rows, keys = rows if isinstance(rows, tuple) else (rows, self._key(rows))
        places = places_of(keys, self.bounds)
        last = len(self.bounds) - 2
        places = np.clip(places, 0, last)
        if self.descending:
            places = last - places
        missing = pd.isna(keys).to_numpy() if isinstance(keys, pd.Series) else pd.isna(keys)
        places = np.where(missing, 0 if self.na_first else last, places)
        return cut(rows, places, n)

    def _key(self, rows: Any) -> Any:
        if isinstance(rows, pd.Series):
            return rows
        return rows[self.key] if self.key in rows.columns else rows.index.get_level_values(self.key).to_series()


def places_of(keys: Any, bounds: list[Any]) -> np.ndarray:
    """The number of the range that each key lies in."""
    inner = bounds[1:-1]
    if isinstance(keys.dtype, pd.CategoricalDtype):
        categories = keys.cat.categories
        codes = categories.get_indexer(inner)
        return np.searchsorted(codes, keys.cat.codes.to_numpy(), side="right")
    if not inner:
        return np.zeros(len(keys), dtype="int64")
    values = keys.where(keys.notna(), bounds[0]) if keys.isna().any() else keys
    if isinstance(values.dtype, pd.StringDtype):
        # Texts are compared one by one, and keys repeat.
        codes, texts = pd.factorize(values)
        return np.searchsorted(np.array(inner, dtype=object), texts.to_numpy(dtype=object), side="right")[codes]
    marks = pd.Series(inner, dtype=values.dtype) if not isinstance(values.dtype, np.dtype) else pd.Series(inner)
    return np.asarray(marks.searchsorted(values.array if values.dtype == object else values, side="right"))


def _sorted_frame(rows: Any, by: Any, ascending: Any, na_position: str, kwargs: dict[str, Any]) -> Any:
    if isinstance(rows, pd.Series):
        return rows.sort_values(ascending=ascending, na_position=na_position, kind="stable", **kwargs)
    return rows.sort_values(by, ascending=ascending, na_position=na_position, kind="stable", **kwargs)


class _Sort:
    def __init__(self, by: Any, ascending: Any, na_position: str, kwargs: dict[str, Any], custom: Any = None) -> None:
        self.by, self.ascending, self.na_position, self.kwargs, self.custom = by, ascending, na_position, kwargs, custom

    def __dask_tokenize__(self) -> Any:
        return (_Sort, self.by, self.ascending, self.na_position, self.kwargs, self.custom)

    def __call__(self, rows: Any) -> Any:
        if self.custom is not None:
            return self.custom(rows)
        return _sorted_frame(rows, self.by, self.ascending, self.na_position, self.kwargs)


def sort_frame(
    self: Any,
    by: Any,
    npartitions: int | None,
    ascending: Any,
    na_position: str,
    sort_function: Any,
    sort_function_kwargs: Any,
    ignore_index: bool,
) -> Any:
    """``sort_values``: rows go to ranges of the first key, and are sorted there by all."""
    n = self.npartitions if npartitions in (None, "auto") else int(npartitions)
    first = ascending[0] if isinstance(ascending, list) else ascending
    kwargs = {"ignore_index": True} if ignore_index else {}
    call: Any = _Sort(by, ascending, na_position, kwargs)
    if sort_function is not None:
        from functools import partial

        more = {"by": by, "ascending": ascending, "na_position": na_position, **(sort_function_kwargs or {})}
        call = partial(sort_function, **more)
    if n == 1 and self.npartitions == 1:
        return self._gathered("sort_values", call)
    key = by[0] if isinstance(by, list) else by

    def plan() -> Any:
        return _sorted_plan(self, key, call, n, not first, na_position == "first")

    def top(count: int) -> Any:
        step = _Top(call, count)
        return self._tree("sort_values-head", step.chunk, step.join)

    if sort_function is not None:
        return new(plan(), emulate(call, self), None)
    return type(self)._later(plan, emulate(call, self), top)


class _Top:
    """The first rows in order, of a partition and of several: those of all are among them."""

    def __init__(self, sort: Any, n: int) -> None:
        self.sort, self.n = sort, n

    def __dask_tokenize__(self) -> Any:
        return (_Top, self.sort, self.n)

    def chunk(self, rows: Any) -> Any:
        return self.sort(rows).iloc[: self.n]

    def join(self, parts: list[Any]) -> Any:
        return self.chunk(_rows.concat_rows(parts))


def _sorted_plan(self: Any, key: Any, call: Any, n: int, descending: bool, na_first: bool) -> Any:
    """Rows in ranges of a key, each sorted; computes a sample of the key."""
    column = self if self._kind == "series" else (self[key] if key in list(self._meta.columns) else self.index)
    bounds, _ = find_divisions(column, n)
    if bounds is None or len(bounds) < 2:
        return self._gathered("sort_values", call)._plan
    scatter = _ByRange(bounds, key, descending, na_first)
    return self._plan.shuffle(scatter, gather, len(bounds) - 1).map("sort_values", call)


# -- set_index -----------------------------------------------------------------------------


def _with_index(rows: pd.DataFrame, key: Any, drop: bool, append: bool = False) -> pd.DataFrame:
    return rows.set_index(key, drop=drop, append=append)


def _with_index_sorted(rows: pd.DataFrame, key: Any, drop: bool) -> pd.DataFrame:
    return rows.set_index(key, drop=drop).sort_index(kind="stable")


def _pair_of(rows: Any, column: Any) -> tuple[Any, Any]:
    return rows, column


def _set_pair(rows: Any, column: Any) -> Any:
    return rows.set_index(column)


class _RangePairs(_ByRange):
    """As :class:`_ByRange`, of rows whose key is a column apart, which becomes their index."""

    def __call__(self, rows: Any, n: int) -> list[Any]:
        frame, column = rows
        return _ByRange.__call__(self, (frame.set_index(column), column), n)


def _sort_rows(rows: Any) -> Any:
    return rows.sort_index(kind="stable")


def set_index(self: Any, other: Any, drop: bool, npartitions: Any, divisions: Any, sort: bool, append: bool) -> Any:
    """A column as index; rows go to ranges of it unless ``sort`` is false."""
    lazy = isinstance(other, Collection)
    column = other if lazy else self[other]
    if append or not sort:
        func = _set_pair if lazy else _with_index
        args = (column._plan,) if lazy else (other, drop, append)
        meta = emulate(func, self, *((column,) if lazy else args))
        return new(self._plan.map("set_index", func, *args), meta, None)
    n = self.npartitions if npartitions in (None, "auto") else int(npartitions)
    in_order = False
    bounds: Any
    if divisions is not None:
        bounds = list(divisions)
    else:
        bounds, in_order = find_divisions(column, n)
    if bounds is not None and len(bounds) > 1 and _is_exact(column._meta.dtype):
        answer = native_form(self, "set_index_divided", (column if lazy else other, drop, bounds), {})
        if answer is not NOT_NATIVE:
            return answer
    meta = emulate(_set_pair, self, column) if lazy else emulate(_with_index, self, other, drop)
    if bounds is None:
        func, args = (_set_pair, (column._plan,)) if lazy else (_with_index, (other, drop))
        return new(self._plan.map("set_index", func, *args), meta, None)
    if in_order:
        if lazy:
            plan = self._plan.map("set_index", _set_pair, column._plan).map("sort_index", _sort_rows)
        else:
            plan = self._plan.map("set_index", _with_index_sorted, other, drop)
        return new(plan, meta, tuple(bounds))
    if lazy:
        pairs = self._plan.map("pair", _pair_of, column._plan)
        plan = pairs.shuffle(_RangePairs(bounds, None, False, False), gather, len(bounds) - 1)
        plan = plan.map("sort_index", _sort_rows)
    else:
        scatter = _ByRange(bounds, other, False, False)
        plan = self._plan.shuffle(scatter, gather, len(bounds) - 1).map("set_index", _with_index_sorted, other, drop)
    return new(plan, meta, tuple(bounds))


def _is_exact(dtype: Any) -> bool:
    """Whether divisions of the type mean to the engine what they mean to pandas: numbers, text, times without zones."""
    return getattr(dtype, "kind", "") in "iufM" or isinstance(dtype, pd.StringDtype)


def _ends(rows: Any) -> Any:
    index = rows if isinstance(rows, pd.Index) else rows.index
    if not len(index):
        return None
    return index[0], index[-1], bool(index.is_monotonic_increasing)


def sorted_divisions(plan: Any) -> tuple[Any, ...] | None:
    """The divisions of rows that are in order of their index; computes the ends of partitions.

    Raises
    ------
    ValueError
        If they are not in order.
    """
    from oxidask import base

    ends = list(base.compute(*plan.map("ends", _ends).delayed()))
    there = [(number, end) for number, end in enumerate(ends) if end is not None]
    if not there:
        return None
    for number, (_, _, rising) in there:
        if not rising:
            raise ValueError(
                f"sorted=True was said, but partition {number} is not sorted by its index\nhint: leave out sorted=True"
            )
    for (a, first), (b, second) in itertools.pairwise(there):
        if first[1] > second[0]:
            raise ValueError(
                "sorted=True was said, but partitions overlap: "
                f"partition {a} ends at {first[1]!r}, and partition {b} begins at {second[0]!r}\n"
                "hint: leave out sorted=True"
            )
    return ends  # type: ignore[return-value]


def set_sorted_index(self: Any, other: Any, drop: bool, divisions: Any) -> Any:
    """A column that is in order as index; divisions are found by looking at the ends of partitions."""
    if isinstance(other, Collection):
        plan = self._plan.map("set_index", _set_pair, other._plan)
        meta = emulate(_set_pair, self, other)
    else:
        plan = self._plan.map("set_index", _with_index, other, drop)
        meta = emulate(_with_index, self, other, drop)
    if divisions is not None:
        if len(divisions) != plan.n + 1:
            raise ValueError(
                f"divisions has {len(divisions)} values for {plan.n} partitions\n"
                "hint: with sorted=True they must be the same length as the partitions, and one more: "
                "the least label of each, and the greatest of the last"
            )
        return new(plan, meta, tuple(divisions))
    return with_known_divisions(plan, meta)


def with_known_divisions(plan: Any, meta: Any) -> Any:
    """The collection of rows that are in order of their index, with divisions found out.

    A label at the border of two partitions moves into the second.
    """
    ends = sorted_divisions(plan)
    if ends is None:
        return new(plan, meta, None)
    kept = [number for number, end in enumerate(ends) if end is not None]
    plan = plan.select(kept) if len(kept) < plan.n else plan
    there = [ends[number] for number in kept]
    overlap = any(a[1] == b[0] for a, b in itertools.pairwise(there))
    if not overlap:
        return new(plan, meta, (*(end[0] for end in there), there[-1][1]))
    bounds = []
    for first, _, _ in there:
        if not bounds or bounds[-1] != first:
            bounds.append(first)
    bounds = (*bounds, there[-1][1])
    return _resolved(plan, meta, there, bounds)


def _resolved(plan: Any, meta: Any, there: list[Any], bounds: tuple[Any, ...]) -> Any:
    from oxidask.dataframe._align import _cut
    from oxidask.dataframe._plan import Plan

    ranges, cuts = [], []
    n = len(bounds) - 1
    for number in range(n):
        low, high, last = bounds[number], bounds[number + 1], number == n - 1
        touching = [i for i, end in enumerate(there) if end[1] >= low and (end[0] <= high if last else end[0] < high)]
        ranges.append((touching[0], touching[-1] + 1))
        cuts.append((low, high, last))
    made = plan.groups("resolve", _cut, ranges, Plan.source(cuts, "bounds"))
    return new(made, meta, bounds)


_LABEL = "__label__"


def _labelled(rows: Any) -> pd.DataFrame:
    """The rows with their labels as a column too."""
    frame = rows.to_frame("__values__") if isinstance(rows, pd.Series) else rows
    return frame.assign(**{_LABEL: frame.index})


def _unlabelled(frame: pd.DataFrame, series: bool, name: Any) -> Any:
    rows = frame.drop(columns=[_LABEL])
    return rows["__values__"].rename(name) if series else rows


def sort_index(self: Any, ascending: bool, npartitions: int | None) -> Any:
    """``sort_index``: rows go to ranges of their labels, and are sorted there."""
    if ascending and self.known_divisions and npartitions is None:
        return new(self._plan.map("sort_index", _sort_rows), self._meta, self.divisions)
    labelled = new(self._plan.map("labels", _labelled), emulate(_labelled, self), None)
    made = sort_frame(labelled, [_LABEL], npartitions, ascending, "last", None, None, False)
    plan = made._plan.map("sort_index", _unlabelled, self._kind == "series", getattr(self._meta, "name", None))
    return with_known_divisions(plan, self._meta) if ascending else new(plan, self._meta, None)

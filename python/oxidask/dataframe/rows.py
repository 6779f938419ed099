"""Methods that frames and columns share."""

from __future__ import annotations

import itertools
import warnings
from typing import Any

import numpy as np
import pandas as pd

from oxidask.dataframe import _rows
from oxidask.dataframe._collection import new
from oxidask.dataframe._meta import emulate
from oxidask.dataframe._reductions import Whole
from oxidask.dataframe.core import NOT_NATIVE, Collection, elemwise, native_form, split_every_of

__all__ = ["Rows"]


def _head(rows: Any, n: int) -> Any:
    return rows[:n] if isinstance(rows, pd.Index) else rows.head(n)


def _tail(rows: Any, n: int) -> Any:
    return rows[-n:] if isinstance(rows, pd.Index) else rows.tail(n)


def _first_of(parts: list[Any], n: int, warn: bool) -> Any:
    rows = _head(_rows.concat_rows(parts), n)
    if warn and len(rows) < n:
        warnings.warn(
            f"head found {len(rows)} of {n} rows in the partitions that it looked at\n"
            "hint: npartitions says how many are looked at; -1 is all",
            UserWarning,
            stacklevel=2,
        )
    return rows


def _sampled(rows: Any, state: Any, frac: float, replace: bool) -> Any:
    return rows.sample(random_state=np.random.RandomState(state), frac=frac, replace=replace) if len(rows) else rows


def _random_piece(rows: Any, state: Any, frac: list[float], number: int, shuffle: bool) -> Any:
    random = np.random.RandomState(state)
    piece = random.choice(len(frac), size=len(rows), p=frac)
    taken = rows[piece == number]
    return taken.sample(frac=1.0, random_state=random) if shuffle else taken


def _memory(rows: Any, index: bool, deep: bool) -> Any:
    if isinstance(rows, pd.Index):
        return rows.memory_usage(deep=deep)
    return rows.memory_usage(index=index, deep=deep)


def _memory_total(rows: Any, index: bool, deep: bool) -> Any:
    total = _memory(rows, index, deep)
    return pd.Series([int(total.sum()) if isinstance(total, pd.Series) else int(total)])


def _sum_up(parts: list[Any]) -> Any:
    return sum(parts[1:], start=parts[0])


def _count(rows: Any) -> int:
    return len(rows)


def _size(rows: Any) -> int:
    return int(rows.size)


def _shifted(rows: Any, periods: int, freq: Any) -> Any:
    return rows.shift(periods, freq=freq)


class Stacked:
    """A function of results put after each other: values as a Series, Series as rows of a frame."""

    def __init__(self, func: Any, kwargs: dict[str, Any]) -> None:
        self.func, self.kwargs = func, kwargs

    def __dask_tokenize__(self) -> Any:
        return (Stacked, self.func, self.kwargs)

    def __call__(self, parts: list[Any]) -> Any:
        kind = parts[0]
        if isinstance(kind, pd.Series):
            frame = pd.concat([part.to_frame().T for part in parts], ignore_index=True)
            return self.func(frame.infer_objects(), **self.kwargs)
        if isinstance(kind, (pd.DataFrame, pd.Index)):
            return self.func(_rows.concat_rows(parts), **self.kwargs)
        return self.func(pd.Series(parts), **self.kwargs)


def _reduced_once(rows: Any, first: Any, last: Any) -> Any:
    return last([first(rows)])


class Duplicates:
    """Rows without those that were there before; also as a tree."""

    def __init__(self, kwargs: dict[str, Any]) -> None:
        self.kwargs = kwargs

    def __dask_tokenize__(self) -> Any:
        return (Duplicates, self.kwargs)

    def chunk(self, rows: Any) -> Any:
        """The rows of one partition."""
        return rows.drop_duplicates(**self.kwargs)

    def join(self, parts: list[Any]) -> Any:
        """The rows of several."""
        return _rows.concat_rows(parts).drop_duplicates(**self.kwargs)

    def last(self, parts: list[Any]) -> Any:
        """The rows of all, numbered anew."""
        return self.join(parts).reset_index(drop=True)


class Rows(Collection):
    """What :class:`DataFrame` and :class:`Series` share."""

    # -- how many ------------------------------------------------------------------
    def __len__(self) -> int:
        if self._native is not None:
            return len(self._native)
        return int(self._tree("len", _count, _sum_up, meta=0).compute())

    @property
    def size(self) -> Any:
        """How many values there are, lazily."""
        if self._native is not None:
            from oxidask.dataframe._collection import wrap_native

            return wrap_native(self._native.size)
        return self._tree("size", _size, _sum_up, meta=0)

    def _length(self) -> Any:
        if self._native is not None:
            from oxidask.dataframe._collection import wrap_native
            from oxidask.dataframe.native._expr import n_rows
            from oxidask.dataframe.native.series import Scalar

            return wrap_native(Scalar(n_rows(self._native._frame)))
        return self._tree("len", _count, _sum_up, meta=0)

    @property
    def empty(self) -> bool:
        """Whether there are no rows; computes their number."""
        return len(self) == 0

    @property
    def index(self) -> Any:
        """The labels of the rows."""
        native = self._native is not None and self._kind == "frame" and self._meta.index.nlevels == 1
        if native and not isinstance(self._meta.index, pd.RangeIndex):
            from oxidask.dataframe._collection import wrap_native

            made = wrap_native(self._native.index)
            object.__setattr__(made, "_own_divisions", self.divisions)
            return made
        return new(self._plan.map("index", _rows.get, "index"), self._meta.index, self.divisions)

    @index.setter
    def index(self, value: Any) -> None:
        if not isinstance(value, Collection):
            return self._become(elemwise(_set_axis, self, value))
        if value.npartitions != self.npartitions:
            raise ValueError(f"an index of {value.npartitions} partitions for rows of {self.npartitions}")
        plan = self._plan.map("set_axis", _set_axis, value._plan)
        self._become(new(plan, emulate(_set_axis, self, value), value.divisions))

    @property
    def values(self) -> Any:
        """The values as a lazy array; chunks have unknown lengths."""
        from oxidask.dataframe._arrays import to_dask_array

        return to_dask_array(self)

    def to_dask_array(self, lengths: Any = None, meta: Any = None) -> Any:
        """The values as a lazy array.

        Parameters
        ----------
        lengths : bool or list of int
            The lengths of partitions; ``True`` computes them. Chunks have
            unknown lengths without it.
        meta : ignored
        """
        from oxidask.dataframe._arrays import to_dask_array

        del meta
        return to_dask_array(self, lengths)

    def to_bag(self, index: bool = False, format: str = "tuple") -> Any:
        """A bag with an element for every row; see ``oxidask.dataframe.to_bag``."""
        from oxidask.dataframe._arrays import to_bag

        return to_bag(self, index, format)

    # -- some rows -----------------------------------------------------------------
    def head(self, n: int = 5, npartitions: int = 1, compute: bool = True) -> Any:
        """The first rows of the first partitions; reads no others.

        Parameters
        ----------
        n : int
        npartitions : int
            How many partitions to look at; ``-1`` for all. A warning says when these
            hold less than ``n`` rows.
        compute : bool
            Whether to compute at once.

        Raises
        ------
        ValueError
            If there are not so many partitions.
        """
        if self._top is not None and npartitions in (1, -1) and n >= 0:
            return self._top(n).compute() if compute else self._top(n)
        count = self.npartitions if npartitions == -1 else npartitions
        if count > self.npartitions:
            raise ValueError(f"head cannot look at {npartitions} partitions; there are {self.npartitions}")
        few = self.partitions[:count]
        if n >= 0 and self._native is not None and not compute and npartitions != -1:
            return native_form(self, "head", (n, count, False), {})
        if n < 0 or self._native is None or not compute:
            ends = few._plan.map("head", _head, n) if n >= 0 else few._plan
            plan = ends.groups("head", _first_of, [(0, count)], n, npartitions != -1 and n > 0)
            divisions = (self.divisions[0], self.divisions[count]) if self.known_divisions else None
            made = new(plan, self._meta, divisions)
            return made.compute() if compute else made
        rows = self._native.head(n, count)
        if len(rows) < n and npartitions != -1:
            warnings.warn(
                f"head found {len(rows)} of {n} rows in the partitions that it looked at\n"
                "hint: npartitions says how many are looked at; -1 is all",
                UserWarning,
                stacklevel=2,
            )
        return rows

    def tail(self, n: int = 5, compute: bool = True) -> Any:
        """The last rows of the last partition; reads no other."""
        if self._native is not None and n >= 0:
            return self._native.tail(n) if compute else native_form(self, "tail", (n, False), {})
        last = self.partitions[-1]
        made = new(last._plan.map("tail", _tail, n), self._meta, last.divisions if last.known_divisions else None)
        return made.compute() if compute else made

    def sample(self, n: Any = None, frac: Any = None, replace: bool = False, random_state: Any = None) -> Any:
        """A random share of the rows of every partition.

        Parameters
        ----------
        n : None
            Not offered; ``frac`` is.
        frac : float
            Which share.
        replace : bool
            Whether a row may come twice.
        random_state : int or numpy.random.RandomState
        """
        if n is not None:
            raise ValueError(
                f"sample(n={n!r}) is not offered: every partition is sampled by itself\nhint: pass frac, a part of all rows"
            )
        if frac is None:
            raise ValueError("sample needs frac, the part of the rows to take")
        states = _plan_source(_states(self.npartitions, random_state))
        return new(self._plan.map("sample", _sampled, states, frac, replace), self._meta, self.divisions)

    def random_split(self, frac: Any, random_state: Any = None, shuffle: bool = False) -> list[Any]:
        """Several collections of which each row is in one, by chance.

        Examples
        --------
        >>> import oxidask.dataframe as dd
        >>> a, b = dd.from_dict({"x": range(9)}, npartitions=2).random_split([0.5, 0.5], random_state=1)
        >>> len(a) + len(b)
        9
        """
        if not np.allclose(sum(frac), 1):
            raise ValueError(f"the parts in frac make {sum(frac)} together, not 1")
        states = _plan_source(_states(self.npartitions, random_state))
        return [
            new(self._plan.map("split", _random_piece, states, list(frac), i, shuffle), self._meta, self.divisions)
            for i in range(len(frac))
        ]

    def nlargest(self, n: int = 5, *columns: Any, split_every: Any = None, **kwargs: Any) -> Any:
        """The rows with the largest values, largest first."""
        return self._extreme("nlargest", n, columns, split_every, kwargs)

    def nsmallest(self, n: int = 5, *columns: Any, split_every: Any = None, **kwargs: Any) -> Any:
        """The rows with the smallest values, smallest first."""
        return self._extreme("nsmallest", n, columns, split_every, kwargs)

    def _extreme(self, name: str, n: int, columns: Any, split_every: Any, kwargs: dict[str, Any]) -> Any:
        if "columns" in kwargs:
            columns = (kwargs.pop("columns"), *columns)
        answer = native_form(self, name, (n, *columns), kwargs) if split_every is None else NOT_NATIVE
        if answer is not NOT_NATIVE:
            return answer
        call = Whole(name, kwargs, (n, *columns))
        return self._tree(name, call, _rows.Joined(call), split_every=split_every)

    def reduction(
        self,
        chunk: Any,
        aggregate: Any = None,
        combine: Any = None,
        meta: Any = None,
        token: str | None = None,
        split_every: Any = None,
        chunk_kwargs: Any = None,
        aggregate_kwargs: Any = None,
        combine_kwargs: Any = None,
        **kwargs: Any,
    ) -> Any:
        """A tree of your own functions.

        Parameters
        ----------
        chunk : callable
            Gets the pandas object of a partition.
        aggregate : callable
            Gets the results of ``chunk`` put after each other: a Series of values, a
            frame of Series, or frames one after another.
        combine : callable
            Joins some of them in between; ``aggregate`` without its arguments by default.
        meta : optional
            What ``aggregate`` answers, if a call with made-up rows does not show it.
        token : str
            What the step is called.
        split_every : int
            How many results a task of the tree takes; ``False`` for all.
        chunk_kwargs, aggregate_kwargs, combine_kwargs, **kwargs
            Further arguments; ``kwargs`` go to all three.

        Examples
        --------
        >>> import oxidask.dataframe as dd
        >>> x = dd.from_dict({"x": [1, 2, 3]}, npartitions=2).x
        >>> x.reduction(lambda rows: rows.max(), aggregate=lambda maxima: maxima.max()).compute().item()
        3
        """
        from functools import partial

        from oxidask.dataframe._meta import make_meta
        from oxidask.dataframe.core import own_meta

        label = token or getattr(chunk, "__name__", "reduction")
        first = partial(chunk, **{**kwargs, **(chunk_kwargs or {})})
        if aggregate is None:
            aggregate = chunk
            aggregate_kwargs = chunk_kwargs if aggregate_kwargs is None else aggregate_kwargs
        if combine is None:
            combine = aggregate
            combine_kwargs = aggregate_kwargs if combine_kwargs is None else combine_kwargs
        last = Stacked(aggregate, {**kwargs, **(aggregate_kwargs or {})})
        middle = Stacked(combine, {**kwargs, **(combine_kwargs or {})})
        meta = own_meta(_reduced_once, label, (self, first, last), {}) if meta is None else make_meta(meta)
        made = self._tree(label, first, last, combine=middle, meta=meta, split_every=split_every)
        if isinstance(meta, pd.Series) and self._kind == "frame":
            object.__setattr__(made, "_broadcast", True)
        return made

    # -- order along rows ------------------------------------------------------------
    def shift(self, periods: int = 1, freq: Any = None, axis: Any = 0) -> Any:
        """Values moved by so many rows, across partitions, or labels by a frequency."""
        from oxidask.dataframe._overlap import map_overlap

        if not isinstance(periods, (int, np.integer)):
            raise TypeError("periods must be an integer")
        if axis in (1, "columns"):
            return self._each("shift", periods, freq=freq, axis=1)
        if freq is not None:
            made = elemwise(_rows.call, self, "shift", periods, freq=freq)
            return new(made._plan, made._meta, _shifted_divisions(self, periods, freq))
        answer = native_form(self, "shift", (int(periods),), {})
        if answer is not NOT_NATIVE:
            return answer
        before, after = (periods, 0) if periods > 0 else (0, -periods)
        return map_overlap(_shifted, self, before, after, periods, None)

    def to_timestamp(self, freq: Any = None, how: str = "start", axis: Any = 0) -> Any:
        """Labels of spans of time as the times at which they begin, or end."""
        if axis not in (0, "index"):
            raise NotImplementedError("labels of rows are converted: axis=0")
        made = elemwise(_rows.call, self, "to_timestamp", freq=freq, how=how)
        if not self.known_divisions:
            return made
        moved = pd.PeriodIndex(list(self.divisions)).to_timestamp(freq=freq, how=how)
        return new(made._plan, made._meta, tuple(moved))

    def diff(self, periods: int = 1, axis: Any = 0) -> Any:
        """Differences to the value so many rows before."""
        from oxidask.dataframe._overlap import map_overlap

        if not isinstance(periods, (int, np.integer)):
            raise TypeError("periods must be an integer")
        if axis in (1, "columns"):
            return self._each("diff", periods, axis=1)
        answer = native_form(self, "diff", (int(periods),), {})
        if answer is not NOT_NATIVE:
            return answer
        before, after = (periods, 0) if periods > 0 else (0, -periods)
        return map_overlap(_rows.call, self, before, after, "diff", periods)

    def rank(
        self,
        axis: Any = 0,
        method: str = "average",
        numeric_only: bool = False,
        na_option: str = "keep",
        ascending: bool = True,
        pct: bool = False,
    ) -> Any:
        """The place of every value among those of its column, as in pandas; all rows meet in one task.

        Examples
        --------
        >>> import oxidask.dataframe as dd
        >>> dd.from_dict({"x": [30, 10, 20]}, npartitions=3).x.rank().compute().tolist()
        [3.0, 1.0, 2.0]
        """
        from oxidask.dataframe._rank import rank

        kwargs = {
            "method": method, "numeric_only": numeric_only, "na_option": na_option, "ascending": ascending, "pct": pct,
        }  # fmt: skip
        if axis in (1, "columns"):
            return self._each("rank", axis=1, **kwargs)
        return rank(self, kwargs)

    def pct_change(self, periods: int = 1) -> Any:
        """The change from the value so many rows before, as a part of that."""
        return self / self.shift(periods) - 1

    def duplicated(self, subset: Any = None, keep: Any = "first") -> Any:
        """Whether each row was there before; see :meth:`drop_duplicates`.

        Examples
        --------
        >>> import oxidask.dataframe as dd
        >>> dd.from_dict({"x": [1, 2, 1]}, npartitions=3).duplicated().compute().tolist()
        [False, False, True]
        """
        from oxidask.dataframe._group_rows import duplicated

        return duplicated(self, subset, keep)

    def sort_index(self, ascending: bool = True, npartitions: int | None = None) -> Any:
        """In order of the labels of rows, with known divisions if it goes up.

        Examples
        --------
        >>> import oxidask.dataframe as dd
        >>> df = dd.from_dict({"k": [3, 1, 2]}, npartitions=2)
        >>> df.set_index("k", sort=False).sort_index().index.compute().tolist()
        [1, 2, 3]
        """
        from oxidask.dataframe._set_index import sort_index

        return sort_index(self, ascending, npartitions)

    def ffill(self, axis: Any = 0, limit: int | None = None) -> Any:
        """Missing values replaced by the last one that was there, across partitions."""
        from oxidask.dataframe._overlap import fill_along

        return fill_along(self, "ffill", axis, limit)

    def bfill(self, axis: Any = 0, limit: int | None = None) -> Any:
        """Missing values replaced by the next one that is there, across partitions."""
        from oxidask.dataframe._overlap import fill_along

        return fill_along(self, "bfill", axis, limit)

    def rolling(self, window: Any, **kwargs: Any) -> Any:
        """Windows over neighbouring rows.

        Parameters
        ----------
        window : int or time
            So many rows, or rows of so long a time.
        min_periods, center, win_type, axis
            As in pandas.

        Examples
        --------
        >>> import oxidask.dataframe as dd
        >>> dd.from_dict({"x": [1, 2, 3, 4]}, npartitions=2).x.rolling(2).sum().compute().tolist()
        [nan, 3.0, 5.0, 7.0]
        """
        from oxidask.dataframe.rolling import Rolling

        return Rolling(self, window, **kwargs)

    def resample(self, rule: Any, closed: str | None = None, label: str | None = None) -> Any:
        """Groups of rows by spans of time.

        Parameters
        ----------
        rule : str or offset
            Such as ``"1D"``.
        closed, label : {"left", "right"}
            As in pandas.

        Raises
        ------
        ValueError
            If divisions are not known.
        TypeError
            If labels are no times.
        """
        from oxidask.dataframe.resample import Resampler

        return Resampler(self, rule, closed=closed, label=label)

    # -- partitions ---------------------------------------------------------------------
    def repartition(
        self,
        divisions: Any = None,
        npartitions: Any = None,
        partition_size: Any = None,
        freq: Any = None,
        force: bool = False,
    ) -> Any:
        """The same rows in other partitions, in the same order.

        Parameters
        ----------
        divisions : sequence
            New divisions; old ones must be known.
        npartitions : int
            How many.
        partition_size : int or str
            About so many bytes each, such as ``"100MB"``; computes the sizes at once.
        freq : str or timedelta
            A partition for every so long a time.
        force : bool
            Whether new divisions may reach further than the old ones.

        Raises
        ------
        ValueError
            Unless exactly one of the first four is given.
        """
        from oxidask.dataframe._partitioning import repartition

        return repartition(self, divisions, npartitions, partition_size, freq, force)

    def shuffle(
        self,
        on: Any = None,
        ignore_index: bool = False,
        npartitions: int | None = None,
        shuffle_method: str | None = None,
        on_index: bool = False,
        force: bool = False,
        **options: Any,
    ) -> Any:
        """Rows with equal values of ``on`` brought into one partition, in n + n tasks.

        Parameters
        ----------
        on : label, list of them, Series or callable
        ignore_index : bool
            Number the rows of every partition anew.
        npartitions : int
            How many partitions afterwards; as many as before by default.
        on_index : bool
            By the index.
        shuffle_method, force
            Taken for compatibility; there is one way.
        """
        from oxidask.dataframe._shuffle import shuffle_frame

        del shuffle_method, force, options
        if on is None and not on_index:
            raise TypeError("Must shuffle on either columns, as on=, or the index, by on_index=True")
        if isinstance(on, pd.Series):
            on = on.tolist()
        if on is not None and on_index:
            raise TypeError("shuffle takes on= or on_index=True, not both")
        return shuffle_frame(self, None if on_index else on, npartitions, ignore_index)

    @property
    def loc(self) -> Any:
        """Rows by label; only the partitions that may hold them are read.

        Examples
        --------
        >>> import oxidask.dataframe as dd
        >>> df = dd.from_dict({"x": [1, 2, 3]}, npartitions=3)
        >>> df.loc[1:].x.compute().tolist()
        [2, 3]
        """
        from oxidask.dataframe.indexing import Loc

        return Loc(self)

    def align(self, other: Any, join: str = "outer", axis: Any = None, fill_value: Any = None) -> tuple[Any, Any]:
        """Both with the same labels, as in pandas."""
        kwargs = {"join": join, "axis": axis, "fill_value": fill_value}
        return tuple(elemwise(_aligned_part, self, other, number, kwargs) for number in (0, 1))  # type: ignore[return-value]

    # -- distinct ----------------------------------------------------------------------------
    def drop_duplicates(
        self,
        subset: Any = None,
        split_every: Any = None,
        split_out: Any = True,
        shuffle_method: str | None = None,
        ignore_index: bool = False,
        keep: Any = "first",
    ) -> Any:
        """One row of each kind.

        Parameters
        ----------
        subset : label or list
            The columns that count; all by default.
        split_every : int
            How many results a task of the tree takes.
        split_out : int or bool
            More than one gives so many partitions, by hash of the rows.
        ignore_index : bool
            Number rows anew.
        keep : {"first", "last", False}
            Which of them stays.
        """
        from oxidask.dataframe._shuffle import by_hash

        del shuffle_method
        if self._kind == "series" and isinstance(subset, str) and subset in ("first", "last"):
            subset, keep = None, subset
        kwargs: dict[str, Any] = {"keep": keep}
        if self._kind == "frame":
            subset = [subset] if subset is not None and not isinstance(subset, (list, tuple, pd.Index)) else subset
            kwargs["subset"] = subset
            for label in subset or ():
                if label not in self._meta.columns:
                    raise KeyError(pd.Index([label]))
        n = split_out if isinstance(split_out, int) and not isinstance(split_out, bool) else 1
        split_every_of(split_every, self.npartitions)
        if keep not in ("first", "last", False):
            raise ValueError('keep must be either "first", "last" or False')
        if n >= 1 and split_every is None and not ignore_index:
            more = {key: value for key, value in kwargs.items() if value is not None}
            answer = native_form(self, "drop_duplicates", (), {**more, "split_out": n})
            if answer is not NOT_NATIVE:
                return answer
        step = Duplicates(kwargs)
        if keep is False or n > 1:
            keys = (list(subset) if subset else list(self._meta.columns)) if self._kind == "frame" else []
            made = new(by_hash(self, keys, n), self._meta, None)
            plan = made._plan.map("drop_duplicates", step.chunk)
            if ignore_index:
                plan = plan.map("reset_index", _rows.call, "reset_index", drop=True)
            return new(plan, emulate(step.chunk, self), None)
        return self._tree(
            "drop_duplicates", step.chunk, step.last if ignore_index else step.join, combine=step.join,
            split_every=split_every,
        )  # fmt: skip

    # -- size in memory ---------------------------------------------------------------------
    def memory_usage_per_partition(self, index: bool = True, deep: bool = False) -> Any:
        """Bytes of every partition."""
        plan = self._plan.map("memory_usage", _memory_total, index, deep)
        return new(plan.groups("memory_usage", _renumbered, [(0, plan.n)]), pd.Series([1]).iloc[:0], None)

    # -- files and text ------------------------------------------------------------------------
    def to_string(self, max_rows: int = 5) -> str:
        """The structure as text."""
        del max_rows
        return repr(self)

    def to_hdf(self, path_or_buf: Any, key: str, mode: str = "a", append: bool = False, **kwargs: Any) -> Any:
        """Writes HDF5 files; see ``oxidask.dataframe.to_hdf``."""
        from oxidask.dataframe.io.hdf import to_hdf

        return to_hdf(self, path_or_buf, key, mode, append, **kwargs)

    def to_csv(self, filename: Any, **kwargs: Any) -> Any:
        """Writes CSV files; see ``oxidask.dataframe.to_csv``."""
        from oxidask.dataframe.io.csv_writer import to_csv

        return to_csv(self, filename, **kwargs)

    def to_json(self, filename: Any, *args: Any, **kwargs: Any) -> Any:
        """Writes JSON files; see ``oxidask.dataframe.to_json``."""
        from oxidask.dataframe.io.json import to_json

        return to_json(self, filename, *args, **kwargs)

    def to_sql(self, name: str, uri: str, schema: Any = None, if_exists: str = "fail", **kwargs: Any) -> Any:
        """Writes a table of a database; see ``oxidask.dataframe.to_sql``."""
        from oxidask.dataframe.io.sql import to_sql

        return to_sql(self, name, uri, schema=schema, if_exists=if_exists, **kwargs)

    def compute_current_divisions(self, col: Any = None, set_divisions: bool = False) -> Any:
        """The least value of every partition and the greatest of the last; computes them at once.

        Parameters
        ----------
        col : label
            Of this column; of the index by default.
        set_divisions : bool
            Whether to answer the rows with these as divisions (of the index only).

        Returns
        -------
        tuple, or the same rows with known divisions
            Partitions without rows have none. A warning says if partitions overlap.

        Examples
        --------
        >>> import oxidask.dataframe as dd
        >>> [int(one) for one in dd.from_dict({"x": [1, 4, 6]}, npartitions=2).compute_current_divisions("x")]
        [1, 6, 6]
        """
        from oxidask import base

        if col is not None and set_divisions:
            raise NotImplementedError("set_divisions goes with the index\nhint: set_index(col, sorted=True)")
        ends = base.compute(*self._plan.map("ends", _least_and_greatest, col).delayed())
        there = [(number, end) for number, end in enumerate(ends) if end is not None]
        divisions = (*(end[0] for _, end in there), there[-1][1][1]) if there else (None, None)
        if any(a[1][1] >= b[1][0] for a, b in itertools.pairwise(there)):
            warnings.warn(
                "Partitions have overlapping values, so divisions alone do not say where a value lies\n"
                "hint: set_index without sorted=True brings them in order",
                UserWarning,
                stacklevel=2,
            )
        if not set_divisions:
            return divisions
        return new(self._plan.select([number for number, _ in there]), self._meta, divisions)

    def enforce_runtime_divisions(self) -> Any:
        """The same rows; computing them raises if they lie outside of the divisions.

        Raises
        ------
        ValueError
            If divisions are not known.
        """
        if not self.known_divisions:
            raise ValueError("there are no known divisions to check the rows against")
        n = self.npartitions
        bounds = [(self.divisions[i], self.divisions[i + 1], i == n - 1) for i in range(n)]
        return new(self._plan.map("check", _within, _plan_source(bounds)), self._meta, self.divisions)


def _least_and_greatest(rows: Any, col: Any) -> Any:
    values = rows.index if col is None else rows[col]
    return (values.min(), values.max()) if len(values) else None


def _within(rows: Any, bounds: Any) -> Any:
    low, high, last = bounds
    index = rows if isinstance(rows, pd.Index) else rows.index
    if len(index):
        below, above = index.min(), index.max()
        if below < low or above > high or (above == high and not last):
            raise RuntimeError(
                f"a partition breaks its divisions: rows from {below!r} to {above!r} lie outside of {low!r} to {high!r}"
            )
    return rows


def _renumbered(parts: list[Any]) -> Any:
    return _rows.concat_rows(parts, ignore_index=True)


def _aligned_part(left: Any, right: Any, number: int, kwargs: dict[str, Any]) -> Any:
    return left.align(right, **kwargs)[number]


def _shifted_divisions(self: Any, periods: int, freq: Any) -> Any:
    """Divisions moved by a frequency of equal steps; others may bring several labels to one."""
    labels = pd.Index(list(self.divisions)) if self.known_divisions else None
    step = pd.tseries.frequencies.to_offset(freq)
    if isinstance(labels, pd.PeriodIndex):
        return tuple(labels.shift(periods)) if step == labels.freq else None
    equal = isinstance(step, (pd.offsets.Tick, pd.offsets.Day))
    return tuple(labels.shift(periods, freq=step)) if labels is not None and equal else None


def _set_axis(rows: Any, index: Any) -> Any:
    return rows.set_axis(index, axis=0)


def _plan_source(values: list[Any]) -> Any:
    from oxidask.dataframe._plan import Plan

    return Plan.source(values)


def _states(n: int, random_state: Any) -> list[Any]:
    """A seed for every partition."""
    if not isinstance(random_state, np.random.RandomState):
        random_state = np.random.RandomState(random_state)
    return [int(seed) for seed in random_state.randint(0, 2**31 - 1, size=n)]


for _name in ("cumsum", "cumprod", "cummax", "cummin"):

    def _running(
        self: Any, axis: Any = 0, skipna: bool = True, *, dtype: None = None, out: None = None, _name: str = _name
    ) -> Any:
        # NumPy's functions of the same name pass these two along.
        del dtype, out
        from oxidask.dataframe._overlap import cumulative

        if skipna and axis in (0, "index", None):
            answer = native_form(self, _name, (), {})
            if answer is not NOT_NATIVE:
                return answer
        return cumulative(self, _name, axis, skipna)

    _running.__name__ = _name
    _running.__doc__ = f"``{_name}`` of pandas through all partitions, in order."
    setattr(Rows, _name, _running)

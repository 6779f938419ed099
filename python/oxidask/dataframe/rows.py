"""Methods that frames and columns share."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd

from oxidask.dataframe import _rows
from oxidask.dataframe._collection import new
from oxidask.dataframe._meta import emulate
from oxidask.dataframe._reductions import Whole
from oxidask.dataframe.core import NOT_NATIVE, Collection, elemwise, labelled, native_form
from oxidask.dataframe.rows_along import RowsAlong
from oxidask.dataframe.rows_moved import RowsMoved

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


class Rows(RowsAlong, RowsMoved):
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
            labelled(made, self._meta.columns)
        return made

    # -- partitions ---------------------------------------------------------------------

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


def _renumbered(parts: list[Any]) -> Any:
    return _rows.concat_rows(parts, ignore_index=True)


def _aligned_part(left: Any, right: Any, number: int, kwargs: dict[str, Any]) -> Any:
    return left.align(right, **kwargs)[number]


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

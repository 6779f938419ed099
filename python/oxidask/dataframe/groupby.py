"""Groups of rows.

An aggregation whose parts join runs as a tree; everything else brings the rows of
a group into one partition by a shuffle, and runs pandas there.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from oxidask.dataframe import _adopt, _group_rows, _rows
from oxidask.dataframe._aggregate import Aggregation, TreeAggregation, name_of, parts_of
from oxidask.dataframe._collection import new, wrap_native
from oxidask.dataframe._group_steps import (
    _KEY,
    _CutGroups,
    _gather_groups,
    _get_group,
    _group,
    _has_own,
    _listed,
    _Method,
    _OnGroups,
    _ordered,
    _pair_of,
    _shown,
    _split_out,
    _with_keys,
)
from oxidask.dataframe._meta import emulate, make_meta
from oxidask.dataframe._methods import finished, signature_of
from oxidask.dataframe.core import Collection, _native_arg, _NoForm, elemwise, own_meta, split_every_of, warn_guessed

__all__ = ["Aggregation", "DataFrameGroupBy", "NamedAgg", "SeriesGroupBy"]


class NamedAgg(tuple):  # type: ignore[type-arg]
    """A column and what to compute of it, for ``agg`` with keywords.

    Examples
    --------
    >>> import oxidask.dataframe as dd
    >>> df = dd.from_dict({"k": [1, 1], "x": [2, 3]}, npartitions=1)
    >>> df.groupby("k").agg(top=dd.NamedAgg("x", "max")).compute().top.tolist()
    [3]
    """

    def __new__(cls, column: Any, aggfunc: Any) -> NamedAgg:
        """Makes the pair."""
        return super().__new__(cls, (column, aggfunc))

    @property
    def column(self) -> Any:
        """The column."""
        return self[0]

    @property
    def aggfunc(self) -> Any:
        """What to compute."""
        return self[1]


class _GroupBy:
    """What groups of frames and of columns share."""

    _is_series = False

    def __init__(
        self, obj: Any, by: Any, *, slice: Any = None, group_keys: bool = True, sort: Any = None, observed: Any = None,
        dropna: Any = None,
    ) -> None:  # fmt: skip
        self.obj, self._slice = obj, slice
        self.by = self._keys(by)
        if any(isinstance(key, pd.Grouper) and key.freq is not None for key in self.by) and obj.npartitions > 1:
            # Spans of time begin at the first of all rows, and those without rows are part of the answer.
            self.obj = obj = obj.repartition(npartitions=1)
        self.group_keys, self.sort, self.observed, self.dropna = group_keys, sort, observed, dropna
        # Pandas checks keys and the selection on made-up rows.
        self._meta = _group(
            obj._meta, [key._meta if isinstance(key, Collection) else key for key in self.by], self._flags, slice
        )

    def _keys(self, by: Any) -> list[Any]:
        keys = list(by) if isinstance(by, list) else [by]
        if not keys:
            raise ValueError("No group keys passed!")
        columns = self.obj._meta.columns if self.obj._kind == "frame" else []
        keys = [self._label_of(key, columns) for key in keys]
        for key in keys:
            if isinstance(key, Collection):
                if key._kind == "frame":
                    raise ValueError("groups are by a Series, not by a DataFrame")
                if key.npartitions != self.obj.npartitions and not (key.known_divisions and self.obj.known_divisions):
                    raise NotImplementedError("rows and the Series that they are grouped by have different divisions")
                continue
            if isinstance(key, (pd.Series, pd.DataFrame)):
                raise TypeError("a key is a label, a function or a lazy Series, not a pandas object")
            hashable = not isinstance(key, (list, dict))
            if hashable and (key in columns or key in self.obj._meta.index.names) and key is not None:
                continue
            if callable(key) or isinstance(key, pd.Grouper):
                continue
            from oxidask.dataframe.frame import no_column

            raise no_column(key, columns) if self.obj._kind == "frame" else KeyError(key)
        return keys

    def _label_of(self, key: Any, columns: Any) -> Any:
        """The label of a key that is a column of the frame itself."""
        if not isinstance(key, Collection) or key._kind != "series" or key.name is None or key.name not in columns:
            return key
        own = self.obj[key.name]
        return key.name if own.__dask_tokenize__() == key.__dask_tokenize__() else key

    @property
    def _flags(self) -> dict[str, Any]:
        flags = {"group_keys": self.group_keys, "sort": self.sort, "observed": self.observed, "dropna": self.dropna}
        return {name: value for name, value in flags.items() if value is not None}

    def _of(self, meta: Any) -> list[Any]:
        return [meta(key) if isinstance(key, Collection) else key for key in self.by]

    # -- native ---------------------------------------------------------------------------
    def _native(self, name: str, args: Any = (), kwargs: Any = None, meta: Any = None, split_out: Any = None) -> Any:
        """The engine's answer, or none; one that does not look like ``meta`` is none."""
        n = self.obj.npartitions if split_out is True else _split_out(split_out)
        answer = self._native_answer(name, args, kwargs, max(n, 1))
        if answer is None or meta is None:
            return answer
        if isinstance(meta, pd.DataFrame):
            alike = answer._kind == "frame" and list(answer._meta.columns) == list(meta.columns)
        else:
            alike = answer._kind == "series" and answer.name == meta.name
        return answer if alike else None

    def _native_answer(self, name: str, args: Any, kwargs: Any, split_out: int) -> Any:
        # Only categories tell observed groups from others, and the engine does not group by them.
        if not self.group_keys or not self._engine_keys():
            return None
        native = self.obj._native
        if native is None and not any(isinstance(key, Collection) for key in self.by):
            native = _adopt.native_of(self.obj)
        if native is None:
            return None
        try:
            keys = [_native_arg(key) for key in self.by]
            grouped = native.groupby(keys, sort=self.sort, dropna=self.dropna is not False)
            if self._slice is not None:
                grouped = grouped[self._slice]
            grouped.split_out = split_out
            return wrap_native(getattr(grouped, name)(*args, **(kwargs or {})))
        except (_NoForm, NotImplementedError, TypeError, AttributeError, ValueError):
            return None
        except KeyError:
            # A key may be a level of the index, which the engine does not group by.
            return None

    def _engine_keys(self) -> bool:
        """Whether keys and values are of types that the engine aggregates as pandas does."""
        meta = self.obj._meta
        kinds = list(meta.dtypes) if isinstance(meta, pd.DataFrame) else [meta.dtype]
        kinds += [key._meta.dtype for key in self.by if isinstance(key, Collection)]
        return not any(isinstance(kind, pd.CategoricalDtype) for kind in kinds) and not any(
            callable(key) and not isinstance(key, Collection) for key in self.by
        )

    # -- pandas ---------------------------------------------------------------------------
    def _emulated(self, call: Any) -> Any:
        return emulate(call, self.obj, self._of(lambda key: key))

    def _tree(self, specs: list[tuple[Any, Any]], meta: Any, kwargs: Any, split_every: Any, split_out: Any) -> Any:
        from oxidask.dataframe._align import aligned

        flags = {key: value for key, value in self._flags.items() if key != "group_keys"}
        step = TreeAggregation(specs, flags, kwargs, meta)
        (obj, by), _ = aligned((self.obj, self.by), {})
        plan = obj._plan.map(
            "groupby-chunk", step.chunk, [key._plan if isinstance(key, Collection) else key for key in by]
        )
        n = obj.npartitions if split_out is True else _split_out(split_out)
        if n > 1:
            whole = plan.shuffle(_CutGroups(), _gather_groups, n).map("groupby", step.finish)
            return new(whole, meta, None)
        every = split_every_of(split_every or None, obj.npartitions) if split_every is not False else 8
        return new(plan.reduce("groupby", step.combine, step.finish, every), meta, None)

    def _on_groups(self, call: Any, meta: Any, label: str, in_place: bool = False) -> Any:
        """``call(rows, keys)`` for partitions that hold whole groups; the answers stay there, or go back."""
        if self.obj.npartitions == 1:
            made = elemwise(call, self.obj, self._of(lambda key: key), _label=label, _meta=meta)
            return made if in_place else made.clear_divisions()
        hidden = {
            number: (key.name if isinstance(key, Collection) else None)
            for number, key in enumerate(self.by)
            if isinstance(key, Collection) or callable(key)
        }
        series = (self.obj.name,) if self.obj._kind == "series" else None
        from oxidask.dataframe._shuffle import by_hash

        rows = elemwise(_with_keys, self.obj, self._of(lambda key: key), _label="keys")
        labels = [_KEY.format(i) if i in hidden else key for i, key in enumerate(self.by)]
        by = [None if number in hidden else key for number, key in enumerate(self.by)]
        step = _OnGroups(by, hidden, series, call, meta)
        if in_place:
            return _group_rows.in_place(rows, labels, step, meta, label)
        return new(by_hash(rows, labels, self.obj.npartitions).map(label, step), meta, None)

    def _each_row(self, name: str, args: Any = (), kwargs: Any = None) -> Any:
        """A method of pandas' groups that answers a value for every row, in the order of the rows."""
        call = _Method(self._flags, self._slice, name, args, kwargs or {})
        meta = self._emulated(call)
        made = _group_rows.running(self, name, meta) if not args and not kwargs else None
        return made if made is not None else self._on_groups(call, meta, name, in_place=True)

    def _whole(self, name: str, args: Any = (), kwargs: Any = None, reduces: bool = True, split_out: Any = None) -> Any:
        """A method of pandas' groups, on whole groups."""
        call = _Method(self._flags, self._slice, name, args, kwargs or {})
        meta = self._emulated(call)
        made = self._on_groups(call, meta, name)
        if not reduces or made.npartitions == 1 or _split_out(split_out) > 1:
            return made
        plan = made._plan.groups(
            "concat",
            _rows.Joined(_ordered, {"keys": len(self.by)} if self.sort is not False else {"keys": 0}),
            [(0, made.npartitions)],
        )
        return new(plan, meta, None)

    def _one(self, name: str, kwargs: dict[str, Any], split_every: Any, split_out: Any) -> Any:
        """An aggregation with a name, of all columns."""
        call = _Method(self._flags, self._slice, name, (), kwargs)
        meta = self._emulated(call)
        # No degrees of freedom are an argument like any other.
        plain = {key: value for key, value in kwargs.items() if value is not None and value is not False}
        if set(plain) <= {"ddof", "numeric_only"} and split_every in (None, False):
            answer = self._native(name, (), plain, meta, split_out)
            if answer is not None:
                return answer
        columns = list(meta.columns) if isinstance(meta, pd.DataFrame) else [self._value_column(meta)]
        if name not in ("size",) and not self._plain_columns(columns, name):
            return self._whole(name, (), kwargs, split_out=split_out)
        specs = [(column, name) for column in columns]
        if kwargs.get("min_count", 0) and kwargs["min_count"] > 0:
            # The count is a further need; its column is not part of the answer.
            made = self._whole(name, (), kwargs, split_out=split_out)
            return made
        return self._tree(specs, meta, kwargs, split_every, split_out)

    def _value_column(self, meta: Any) -> Any:
        if self.obj._kind == "series" or self._slice is None:
            return None
        return self._slice

    def _plain_columns(self, columns: list[Any], name: str) -> bool:
        """Whether parts of these columns can be made."""
        frame = self.obj._meta
        if isinstance(frame, pd.DataFrame) and not frame.columns.is_unique:
            return False
        if name in ("mean", "var", "std", "sem"):
            dtypes = [frame.dtype if column is None else frame[column].dtype for column in columns]
            return all(getattr(dtype, "kind", "O") in "iufb" for dtype in dtypes)
        return True

    # -- methods -----------------------------------------------------------------------------
    def size(self, split_every: Any = None, split_out: Any = None, shuffle_method: Any = None, **kwargs: Any) -> Any:
        """How many rows each group has."""
        del shuffle_method
        meta = self._emulated(_Method(self._flags, self._slice, "size", (), {}))
        if split_every is None:
            answer = self._native("size", (), None, meta, split_out)
            if answer is not None:
                return answer
        return self._tree([(None, "size")], meta, kwargs, split_every, split_out)

    def agg(
        self, arg: Any = None, split_every: Any = None, split_out: Any = None, shuffle_method: Any = None, **kwargs: Any
    ) -> Any:
        """Aggregations of columns: a name, a list, a mapping, or named with keywords.

        Parameters
        ----------
        arg : str, callable, Aggregation, list of them, or mapping of column to them
        split_every : int
            How many results a task of the tree takes.
        split_out : int
            More than one gives so many partitions, by hash of the keys.
        shuffle_method : ignored
        **kwargs : (column, function)
            Columns of the answer by name.

        Examples
        --------
        >>> import oxidask.dataframe as dd
        >>> df = dd.from_dict({"k": ["a", "b", "a"], "x": [1, 2, 3]}, npartitions=2)
        >>> df.groupby("k").agg({"x": ["min", "sum"]}).compute().loc["a"].tolist()
        [1, 4]
        """
        del shuffle_method
        if arg is None and not kwargs:
            raise TypeError("Must provide 'func' or tuples of 'column, aggfunc'.")
        if isinstance(arg, str) and arg == "size" and not kwargs:
            return self.size(split_every=split_every, split_out=split_out)
        if arg is not None and kwargs:
            # Beside a function, keywords are arguments of that function.
            if isinstance(arg, str) and hasattr(type(self), arg):
                return getattr(self, arg)(split_every=split_every, split_out=split_out, **kwargs)
            return self._whole("agg", (arg,), kwargs, split_out=split_out)
        self._check_columns(arg, kwargs)
        shown_arg, shown_kwargs = _shown(arg), {key: _shown(value) for key, value in kwargs.items()}
        call = _Method(self._flags, self._slice, "agg", () if arg is None else (shown_arg,), shown_kwargs)
        meta = self._emulated(call)
        if split_every in (None, False) and not _has_own(arg, kwargs):
            answer = self._native("agg", () if arg is None else (arg,), kwargs, meta, split_out)
            if answer is not None:
                return answer
        specs = self._specs(arg, kwargs, meta)
        if specs is None or any(parts_of(func) is None for _, func in specs):
            if _has_own(arg, kwargs):
                raise NotImplementedError("an Aggregation goes with aggregations by name, not with other functions")
            return self._whole("agg", () if arg is None else (arg,), kwargs, split_out=split_out)
        for column, func in specs:
            if isinstance(func, str) and func != "size" and not self._plain_columns([column], func):
                return self._whole("agg", () if arg is None else (arg,), kwargs, split_out=split_out)
        return self._tree(specs, meta, {}, split_every, split_out)

    aggregate = agg

    def _check_columns(self, arg: Any, kwargs: dict[str, Any]) -> None:
        """Raises ``KeyError`` with near matches if a column to aggregate is none."""
        from oxidask.dataframe.frame import no_column

        if self._is_series or self.obj._kind != "frame":
            return
        named = arg if isinstance(arg, dict) else [_pair_of(value)[0] for value in kwargs.values()]
        for label in named:
            if label not in self.obj._meta.columns:
                raise no_column(label, self.obj._meta.columns)

    def _specs(self, arg: Any, kwargs: dict[str, Any], meta: Any) -> list[tuple[Any, Any]] | None:
        """(column, function) for every column of the answer, in its order."""
        if arg is None:
            if self._is_series:
                return [(self._value_column(None), name_of(func)) for func in kwargs.values()]
            return [(value[0], name_of(value[1])) for value in map(_pair_of, kwargs.values())]
        if isinstance(arg, dict):
            if self._is_series:
                return None
            return [(column, name_of(func)) for column, funcs in arg.items() for func in _listed(funcs)]
        funcs = [name_of(func) for func in _listed(arg)]
        if self._is_series:
            return [(self._value_column(None), func) for func in funcs]
        if not isinstance(meta, pd.DataFrame):
            return None
        level = meta.columns.get_level_values(0) if isinstance(arg, list) else meta.columns
        columns = list(dict.fromkeys(level))
        return [(column, func) for column in columns for func in funcs]

    def apply(
        self,
        func: Any,
        *args: Any,
        meta: Any = None,
        include_groups: bool = False,
        shuffle_method: Any = None,
        **kwargs: Any,
    ) -> Any:
        """A Python function of every group, through pandas.

        Parameters
        ----------
        func : callable
        *args, **kwargs
            Further arguments of it; lazy ones are computed.
        meta : optional
            What it answers, if a call with made-up rows does not show it.
        """
        del include_groups, shuffle_method
        return self._user("apply", func, args, meta, kwargs)

    def transform(self, func: Any, meta: Any = None, shuffle_method: Any = None, *args: Any, **kwargs: Any) -> Any:
        """A function of every group that answers as many rows, through pandas."""
        del shuffle_method
        return self._user("transform", func, args, meta, kwargs)

    def _user(self, name: str, func: Any, args: Any, meta: Any, kwargs: dict[str, Any]) -> Any:
        if any(isinstance(value, Collection) for value in (*args, *kwargs.values())):
            args = tuple(value.compute() if isinstance(value, Collection) else value for value in args)
            kwargs = {key: value.compute() if isinstance(value, Collection) else value for key, value in kwargs.items()}
        call = _Method(self._flags, self._slice, name, (func, *args), kwargs)
        if meta is None:
            warn_guessed(f"groupby.{name}", stacklevel=4)
            meta = own_meta(
                call, f"groupby.{name}({getattr(func, '__name__', func)})", (self.obj, self._of(lambda k: k)), {}
            )
        else:
            meta = make_meta(meta, index=self.obj._meta.index)
            call = _rows.Enforced(call, meta)
        return self._on_groups(call, meta, name, in_place=name == "transform")

    def nunique(self, split_every: Any = None, split_out: Any = None, shuffle_method: Any = None) -> Any:
        """How many distinct values each group has."""
        del shuffle_method, split_every
        answer = self._native("nunique", split_out=split_out)
        return answer if answer is not None else self._whole("nunique", split_out=split_out)

    def get_group(self, key: Any) -> Any:
        """The rows of one group."""
        meta = self.obj._meta if self._slice is None else self.obj._meta[self._slice]
        return elemwise(_get_group, self.obj, self._of(lambda k: k), self._flags, self._slice, key, meta, _meta=meta)

    def head(self, n: int = 5, split_every: Any = None, split_out: Any = 1) -> Any:
        """The first rows of every group."""
        del split_every, split_out
        return self._ends("head", n)

    def tail(self, n: int = 5, split_every: Any = None, split_out: Any = 1) -> Any:
        """The last rows of every group."""
        del split_every, split_out
        return self._ends("tail", n)

    def _ends(self, name: str, n: int) -> Any:
        """The first or last rows of every group, in the order of all rows."""
        rows = self.obj if self._slice is None else self.obj[self._slice]
        labels = all(not callable(key) and key in getattr(self.obj._meta, "columns", ()) for key in self.by)
        if n < 0 or not labels:
            return self._whole(name, (n,), {}, reduces=False)
        wanted = self._each_row("cumcount", (), {"ascending": name == "head"}) < n
        if self.dropna is not False:
            for key in self.by:
                wanted = wanted & self.obj[key].notna()
        return rows[wanted]

    def quantile(self, q: Any = 0.5, interpolation: str = "linear", numeric_only: bool = False) -> Any:
        """The exact quantiles of every group."""
        return self._whole("quantile", (q,), {"interpolation": interpolation, "numeric_only": numeric_only})

    def shift(
        self,
        periods: int = 1,
        freq: Any = None,
        axis: Any = None,
        fill_value: Any = None,
        meta: Any = None,
        shuffle_method: Any = None,
    ) -> Any:
        """Values moved by so many rows within their group."""
        del axis, shuffle_method, meta
        kwargs = {"periods": periods, "freq": freq, "fill_value": fill_value}
        return self._each_row("shift", (), {k: v for k, v in kwargs.items() if v is not None})

    def rolling(
        self, window: Any, min_periods: Any = None, center: bool = False, win_type: Any = None, axis: Any = 0
    ) -> Any:
        """Windows over the rows of every group."""
        from oxidask.dataframe.rolling import GroupRolling

        del axis
        return GroupRolling(self, window, min_periods=min_periods, center=center, win_type=win_type)

    def compute(self, **kwargs: Any) -> Any:
        """Not offered: aggregate first.

        Raises
        ------
        NotImplementedError
            Always.
        """
        raise NotImplementedError(
            "groups by themselves have nothing to compute\n"
            "hint: aggregate them, as by mean(), or take one with get_group, and compute that"
        )

    def __iter__(self) -> Iterator[Any]:
        raise NotImplementedError(
            "groups are not iterated over: that would compute all of them\n"
            "hint: apply calls a function on each group, get_group takes one, and unique() of the key lists them"
        )


class DataFrameGroupBy(_GroupBy):
    """Rows of a frame grouped by keys.

    Examples
    --------
    >>> import oxidask.dataframe as dd
    >>> df = dd.from_dict({"k": ["a", "b", "a"], "x": [1, 2, 3]}, npartitions=2)
    >>> df.groupby("k").x.sum().compute().to_dict()
    {'a': 4, 'b': 2}
    >>> df.groupby("k").agg(low=("x", "min"), high=("x", "max")).compute().loc["a"].tolist()
    [1, 3]
    """

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, tuple) and key not in self.obj._meta.columns:
            key = list(key)
        kwargs = {"group_keys": self.group_keys, "sort": self.sort, "observed": self.observed, "dropna": self.dropna}
        cls = DataFrameGroupBy if isinstance(key, (list, pd.Index)) else SeriesGroupBy
        return cls(self.obj, self.by, slice=list(key) if isinstance(key, pd.Index) else key, **kwargs)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name not in self.obj._meta.columns:
            raise AttributeError(f"groups have no {name!r}, nor is there such a column")
        return self[name]

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *[name for name in self.obj._meta.columns if isinstance(name, str)]})

    def corr(
        self, split_every: Any = None, split_out: Any = None, numeric_only: bool = False, shuffle_method: Any = None
    ) -> Any:
        """Correlations of columns within every group."""
        del split_every, shuffle_method
        return self._whole("corr", (), {"numeric_only": bool(numeric_only)}, split_out=split_out)

    def cov(
        self,
        ddof: int = 1,
        split_every: Any = None,
        split_out: Any = None,
        numeric_only: bool = False,
        shuffle_method: Any = None,
    ) -> Any:
        """Covariances of columns within every group."""
        del split_every, shuffle_method
        return self._whole("cov", (), {"ddof": ddof, "numeric_only": numeric_only}, split_out=split_out)


class SeriesGroupBy(_GroupBy):
    """Values of a column grouped by keys."""

    _is_series = True

    @classmethod
    def of_series(cls, series: Any, by: Any, **kwargs: Any) -> SeriesGroupBy:
        """Groups of a column that is not part of a grouped frame."""
        return cls(series, by, **kwargs)

    def unique(self, split_every: Any = None, split_out: Any = None, shuffle_method: Any = None) -> Any:
        """The distinct values of every group."""
        del split_every, shuffle_method
        return self._whole("unique", split_out=split_out)

    def value_counts(self, split_every: Any = None, split_out: Any = None, shuffle_method: Any = None) -> Any:
        """How often each value occurs in every group."""
        del split_every, shuffle_method
        return self._whole("value_counts", split_out=split_out)


_DOCS = {
    "sum": "The sum in each group.",
    "prod": "The product in each group.",
    "mean": "The mean in each group.",
    "count": "How many values are there in each group.",
    "min": "The smallest in each group.",
    "max": "The largest in each group.",
    "first": "The first that is there in each group.",
    "last": "The last that is there in each group.",
    "var": "The variance in each group.",
    "std": "The standard deviation in each group.",
    "sem": "The standard error of the mean in each group.",
    "any": "Whether any holds in each group.",
    "all": "Whether all hold in each group.",
    "median": "The exact median in each group.",
    "idxmin": "The label of the smallest in each group.",
    "idxmax": "The label of the largest in each group.",
    "skew": "The skewness in each group.",
}
_OWN: dict[str, list[str]] = {"sum": ["min_count"], "prod": ["min_count"], "var": ["ddof"], "std": ["ddof"],
        "first": ["sort"], "last": ["sort"], "idxmin": ["skipna"], "idxmax": ["skipna"]}  # fmt: skip


def _reduction(name: str) -> Any:
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        bound = signature.bind(self, *args, **kwargs).arguments
        given = {
            k: v
            for k, v in bound.items()
            if k not in ("self", "split_every", "split_out", "shuffle_method", "sort", "axis")
        }
        given = {key: value for key, value in given.items() if value is not None}
        if self._is_series and name in ("count", "any", "all"):
            given.pop("numeric_only", None)
        if name in ("count", "any", "all", "idxmin", "idxmax"):
            given.pop("numeric_only", None) if not given.get("numeric_only") or name in (
                "count",
                "any",
                "all",
            ) else None
        if name in ("median", "idxmin", "idxmax", "skew"):
            answer = self._native(name) if name == "median" and not given else None
            return answer if answer is not None else self._whole(name, (), given, split_out=bound.get("split_out"))
        return self._one(name, given, bound.get("split_every"), bound.get("split_out"))

    import inspect

    kinds = inspect.Parameter.POSITIONAL_OR_KEYWORD
    names = ["numeric_only", "split_every", "split_out", "shuffle_method", *_OWN.get(name, [])]
    if name in ("var", "std"):
        names = ["ddof", *[one for one in names if one != "ddof"]]
    if name == "count" or name in ("first", "last"):
        names = [one for one in names]
    if name in ("idxmin", "idxmax"):
        names = ["split_every", "split_out", "shuffle_method", "axis", "skipna", "numeric_only"]
    parameters = [inspect.Parameter("self", kinds), *[inspect.Parameter(one, kinds, default=None) for one in names]]
    signature = inspect.Signature(parameters)
    return method, signature


for _name, _doc in _DOCS.items():
    _made, _signature = _reduction(_name)
    finished(
        _made, _GroupBy, _name, f"{_doc}\n\nArguments are those of pandas, and those of :meth:`agg`.\n", _signature
    )


def _row_method(name: str) -> Any:
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        kwargs = {key: value for key, value in kwargs.items() if key not in ("shuffle_method",) and value is not None}
        return self._each_row(name, args, kwargs)

    return method


for _name in ("cumsum", "cumprod", "cummax", "cummin", "cumcount", "ffill", "bfill", "diff", "pct_change", "rank"):
    _doc = f"``{_name}`` of pandas within every group, in the order of the rows.\n"
    finished(
        _row_method(_name),
        _GroupBy,
        _name,
        _doc,
        signature_of(pd.core.groupby.DataFrameGroupBy, _name, ["shuffle_method"]),
    )

"""Lazy tables."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from oxidask.dataframe import _rows
from oxidask.dataframe._collection import new
from oxidask.dataframe._meta import emulate, make_meta
from oxidask.dataframe._methods import EACH_FRAME, add_elementwise, add_operators
from oxidask.dataframe._reductions import add_reductions
from oxidask.dataframe._statistics import FrameStatistics
from oxidask.dataframe.core import NOT_NATIVE, Collection, elemwise, native_form, own_meta, warn_guessed
from oxidask.dataframe.frame_joined import FrameJoined
from oxidask.dataframe.frame_out import FrameOut

__all__ = ["DataFrame"]


def _assign(rows: pd.DataFrame, label: Any, value: Any) -> pd.DataFrame:
    rows = rows.copy(deep=False)
    rows[label] = value
    return rows


def _set_columns(rows: pd.DataFrame, columns: Any) -> pd.DataFrame:
    rows = rows.copy(deep=False)
    rows.columns = columns
    return rows


def _reset_index(rows: Any, kwargs: dict[str, Any]) -> Any:
    return rows.reset_index(**kwargs)


def no_column(label: Any, columns: pd.Index) -> KeyError:
    """The error for a column that is not there; it names near matches."""
    near = difflib.get_close_matches(str(label), [str(name) for name in columns], n=3)
    known = ", ".join(repr(name) for name in list(columns)[:20])
    hint = f"did you mean {', '.join(map(repr, near))}?" if near else f"the columns are {known}"
    return KeyError(f"there is no column {label!r}\nhint: {hint}")


class DataFrame(FrameStatistics, FrameJoined, FrameOut):
    """A lazy table in partitions, with pandas' names and answers.

    Operations build a plan; ``compute()`` runs it and answers a pandas frame.

    Examples
    --------
    >>> import oxidask.dataframe as dd
    >>> df = dd.from_dict({"name": ["a", "b", "a"], "births": [1, 2, 3]}, npartitions=2)
    >>> df["twice"] = df.births * 2
    >>> df[df.births > 1].compute()
      name  births  twice
    1    b       2      4
    2    a       3      6
    """

    _kind = "frame"

    # -- what is known ---------------------------------------------------------------
    @property
    def columns(self) -> pd.Index:
        """The labels of the columns."""
        return self._meta.columns

    @columns.setter
    def columns(self, labels: Any) -> None:
        # The meta of pandas raises if the lengths differ.
        meta = _set_columns(self._meta, labels)
        names = list(meta.columns)
        if self._native is not None and len(set(names)) == len(names) and not isinstance(meta.columns, pd.MultiIndex):
            mapping = dict(zip(self._meta.columns, names, strict=True))
            answer = native_form(self, "rename", (mapping,), {})
            if answer is not NOT_NATIVE:
                return self._become(answer)
        self._become(elemwise(_set_columns, self, meta.columns))

    @property
    def dtypes(self) -> pd.Series:
        """The types of the columns, as pandas has them."""
        return self._meta.dtypes

    @property
    def ndim(self) -> int:
        """Always 2."""
        return 2

    @property
    def shape(self) -> tuple[Any, int]:
        """The number of rows, lazily, and of columns."""
        return (self._length(), len(self._meta.columns))

    @property
    def axes(self) -> list[Any]:
        """The index and the columns."""
        return [self.index, self.columns]

    @property
    def iloc(self) -> Any:
        """Columns by position: ``df.iloc[:, key]``; rows are not selected by position.

        Examples
        --------
        >>> import oxidask.dataframe as dd
        >>> list(dd.from_dict({"x": [1], "y": [2]}, npartitions=1).iloc[:, [1]].columns)
        ['y']
        """
        from oxidask.dataframe.indexing import ILoc

        return ILoc(self)

    # -- columns ------------------------------------------------------------------------
    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, Collection):
            return self._filtered(key)
        if isinstance(key, slice):
            from oxidask.dataframe.indexing import Loc, check_slice

            check_slice(key)
            return Loc(self)[key]
        if isinstance(key, pd.Series) and key.dtype != bool:
            key = key.tolist()
        if isinstance(key, (pd.Series, pd.DataFrame)) or (isinstance(key, np.ndarray) and key.dtype == bool):
            raise NotImplementedError("rows are chosen by a lazy Series of booleans\nhint: make it with from_pandas")
        if isinstance(key, (list, pd.Index, np.ndarray)):
            key = list(key)
            for label in key:
                if label not in self._meta.columns:
                    raise self._missing(label, key)
        else:
            self._check_label(key)
        names = self._meta.columns
        # A plan of the engine without columns would forget how many rows there are.
        some = not isinstance(key, list) or len(key) > 0
        if some and names.is_unique and not isinstance(names, pd.MultiIndex):
            answer = native_form(self, "__getitem__", (key,), {})
            if answer is not NOT_NATIVE:
                return answer
        return elemwise(_rows.item, self, key, _label="getitem", _meta=self._meta[key])

    def _check_label(self, key: Any) -> None:
        try:
            there = key in self._meta.columns
        except TypeError:
            raise NotImplementedError(f"{key!r} does not say which rows or columns") from None
        if not there:
            raise no_column(key, self._meta.columns)

    def _missing(self, label: Any, key: list[Any]) -> KeyError:
        del key
        return KeyError(no_column(label, self._meta.columns).args[0] + f"; {[label]} not in index")

    def _filtered(self, key: Any) -> Any:
        meta = key._meta
        if key._kind == "series" and meta.dtype.kind not in "b" and str(meta.dtype) not in ("boolean", "bool[pyarrow]"):
            if meta.dtype != object:
                raise TypeError(f"a filter needs booleans, and {key.name!r} is {meta.dtype}\nhint: compare it first")
        answer = native_form(self, "__getitem__", (key,), {})
        return answer if answer is not NOT_NATIVE else elemwise(_rows.item, self, key, _label="filter")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") and name not in self.__dict__.get("_labels", ()):
            raise AttributeError(name)
        meta = self._meta
        if name in meta.columns:
            return self[name]
        near = difflib.get_close_matches(name, [str(one) for one in meta.columns], n=3)
        hint = f"\nhint: did you mean {', '.join(map(repr, near))}?" if near else ""
        raise AttributeError(f"'DataFrame' object has no attribute {name!r}, nor is there such a column{hint}")

    def __dir__(self) -> list[str]:
        names = [name for name in self._meta.columns if isinstance(name, str) and name.isidentifier()]
        return sorted({*super().__dir__(), *names})

    def __setitem__(self, key: Any, value: Any) -> None:
        if isinstance(key, Collection):
            return self._become(self.mask(key, value) if key._kind == "frame" else self.where(~key, value))
        if isinstance(key, (tuple, list)) and not (isinstance(key, tuple) and self._meta.columns.nlevels > 1):
            if isinstance(value, DataFrame):
                value = [value[name] for name in value.columns]
            elif not isinstance(value, (list, tuple)):
                value = [value] * len(key)
            made = self
            for label, one in zip(key, value, strict=True):
                made = made._with(label, one)
            return self._become(made)
        if isinstance(value, DataFrame):
            if len(value.columns) != 1:
                raise ValueError(f"a frame of several columns cannot be put in the one column {key}")
            value = value[value.columns[0]]
        self._become(self._with(key, value))

    def __delitem__(self, key: Any) -> None:
        self._become(self.drop(columns=[key]))

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "columns" or name in type(self).__dict__ or any(name in cls.__dict__ for cls in type(self).__mro__):
            object.__setattr__(self, name, value)
        elif not name.startswith("_") and name in self._meta.columns:
            self[name] = value
        else:
            object.__setattr__(self, name, value)

    def __contains__(self, label: Any) -> bool:
        return label in self._meta.columns

    def __iter__(self) -> Iterator[Any]:
        return iter(self._meta)

    def keys(self) -> pd.Index:
        """The labels of the columns."""
        return self.columns

    def items(self) -> Iterator[tuple[Any, Any]]:
        """Labels and columns."""
        for position, label in enumerate(self.columns):
            yield label, (self[label] if self.columns.is_unique else self.iloc[:, position])

    def iterrows(self) -> Iterator[Any]:
        """Labels and rows, a partition at a time."""
        for part in self.partitions:
            yield from part.compute().iterrows()

    def itertuples(self, index: bool = True, name: str = "Pandas") -> Iterator[Any]:
        """Rows as named tuples, a partition at a time."""
        for part in self.partitions:
            yield from part.compute().itertuples(index=index, name=name)

    def _with(self, label: Any, value: Any) -> DataFrame:
        if isinstance(value, np.ndarray) or (isinstance(value, (list, pd.Index)) and not isinstance(value, str)):
            if self.npartitions > 1:
                raise TypeError(
                    f"a {type(value).__module__}.{type(value).__name__} cannot be put in a column of several partitions\n"
                    "hint: make it a lazy Series first"
                )
        if _is_lazy_array(value):
            if value.ndim > 1:
                raise ValueError(f"only 1-D arrays can be assigned to a column, not one of {value.ndim} dimensions")
            from oxidask.dataframe._arrays import from_dask_array

            value = from_dask_array(value, index=self.index, meta=self._meta)
        if isinstance(label, str):
            answer = native_form(self, "assign", (), {label: value}) if not callable(value) else NOT_NATIVE
            if answer is not NOT_NATIVE:
                return answer  # type: ignore[no-any-return]
        if isinstance(value, Collection) and value._kind == "index":
            # Labels have no labels of their own: they come in the order of the rows, as in pandas.
            if value.npartitions != self.npartitions:
                raise ValueError(f"an index of {value.npartitions} partitions for rows of {self.npartitions}")
            plan = self._plan.map("assign", _assign, label, value._plan)
            return new(plan, emulate(_assign, self, label, value), self.divisions)  # type: ignore[no-any-return]
        if isinstance(value, Collection) and value._kind == "frame":
            raise TypeError("a column is assigned a Series, not a DataFrame")
        return elemwise(_assign, self, label, value, _label="assign")  # type: ignore[no-any-return]

    def assign(self, **columns: Any) -> DataFrame:
        """With columns added or replaced.

        Parameters
        ----------
        **columns : Series, array, scalar or callable
            By name; a callable gets the frame so far.

        Examples
        --------
        >>> import oxidask.dataframe as dd
        >>> df = dd.from_dict({"x": [1, 2]}, npartitions=1)
        >>> df.assign(y=df.x + 1, z=lambda d: d.y * 2).compute().z.tolist()
        [4, 6]
        """
        made = self
        for label, value in columns.items():
            if callable(value) and not isinstance(value, Collection):
                value = value(made)
            if not (
                isinstance(value, Collection)
                or pd.api.types.is_scalar(value)
                or isinstance(value, (pd.Series, np.ndarray, list, pd.Index))
                or _is_lazy_array(value)
            ):
                raise TypeError(f"a {type(value).__module__}.{type(value).__name__} cannot be put in a column")
            made = made._with(label, value)
        return made if columns else self.copy()

    def rename(self, index: Any = None, columns: Any = None) -> DataFrame:
        """With columns under other names, by mapping or function."""
        if index is not None:
            raise ValueError("rename gives columns other names, not the rows\nhint: use reset_index and set_index")
        if self._meta.columns.is_unique:
            answer = native_form(self, "rename", (columns,), {})
            if answer is not NOT_NATIVE and list(answer.columns) == list(self._meta.rename(columns=columns).columns):
                return answer  # type: ignore[no-any-return]
        return self._each("rename", columns=columns)  # type: ignore[no-any-return]

    def drop(self, labels: Any = None, axis: Any = 0, columns: Any = None, errors: str = "raise") -> DataFrame:
        """Without some columns."""
        if columns is None and axis in (1, "columns"):
            columns = labels
        elif columns is None:
            raise NotImplementedError(
                "drop leaves out columns (axis=1, or columns=), not rows by their labels\nhint: rows are dropped by a filter: df[condition]"
            )
        answer = native_form(self, "drop", (), {"columns": columns, "errors": errors})
        if answer is not NOT_NATIVE and len(answer.columns):
            return answer  # type: ignore[no-any-return]
        return self._each("drop", columns=columns, errors=errors)  # type: ignore[no-any-return]

    def query(self, expr: str, **kwargs: Any) -> DataFrame:
        """The rows for which a condition, written as text, holds.

        Parameters
        ----------
        expr : str
            Such as ``"x > 0 and y in [1, 2]"``, as pandas reads it. Columns, literals,
            comparisons, arithmetic and membership run natively, all else through pandas.
        **kwargs
            As for ``pandas.DataFrame.query``; ``inplace`` is not offered.

        Examples
        --------
        >>> import oxidask.dataframe as dd
        >>> df = dd.from_dict({"x": [1, 2, 3], "y": [5, 0, 7]}, npartitions=2)
        >>> df.query("x > 1 & y != 0").compute().x.tolist()
        [3]
        """
        from oxidask.dataframe._query import condition

        if kwargs.pop("inplace", False):
            raise NotImplementedError("query(inplace=True) is not offered\nhint: assign the answer")
        wanted = condition(self, expr) if self._native is not None and not kwargs else None
        if wanted is not None and wanted._native is not None:
            answer = native_form(self, "__getitem__", (wanted,), {})
            if answer is not NOT_NATIVE:
                return answer  # type: ignore[no-any-return]
        return self._each("query", expr, **kwargs)  # type: ignore[no-any-return]

    def pop(self, item: Any) -> Any:
        """A column, which the frame then has no more."""
        column = self[item]
        del self[item]
        return column

    def squeeze(self, axis: Any = None) -> Any:
        """The only column as a Series."""
        if axis in (0, "index"):
            raise NotImplementedError(
                f"squeeze(axis={axis!r}) is not offered: the number of rows is not known\nhint: compute() first"
            )
        if axis not in (None, 1, "columns"):
            raise ValueError(f"No axis named {axis} for object type DataFrame")
        return self[self.columns[0]] if len(self.columns) == 1 else self

    def astype(self, dtypes: Any) -> DataFrame:
        """With all columns, or those of a mapping, converted to other types.

        Categories that are not given are not known afterwards; see ``cat.as_known``.
        """
        from oxidask.dataframe.categorical import converted_meta

        wanted = list(dtypes.values()) if isinstance(dtypes, Mapping) else [dtypes]
        if not any(is_pandas_own(dtype) for dtype in wanted):
            answer = native_form(self, "astype", (dtypes,), {})
            if answer is not NOT_NATIVE:
                return answer  # type: ignore[no-any-return]
        return elemwise(_rows.call, self, "astype", dtypes, _meta=converted_meta(self._meta, dtypes))  # type: ignore[no-any-return]

    # -- the index -----------------------------------------------------------------------
    def reset_index(self, drop: bool = False, **kwargs: Any) -> DataFrame:
        """With numbered rows in every partition; the index becomes a column unless ``drop``."""
        if not kwargs and self._meta.index.nlevels == 1:
            answer = native_form(self, "reset_index", (drop,), {})
            if answer is not NOT_NATIVE:
                return answer  # type: ignore[no-any-return]
        call = {"drop": drop, **kwargs}
        return new(self._plan.map("reset_index", _reset_index, call), emulate(_reset_index, self, call), None)  # type: ignore[no-any-return]

    def set_index(
        self,
        other: Any,
        drop: bool = True,
        sorted: bool = False,
        npartitions: Any = None,
        divisions: Any = None,
        sort: bool = True,
        shuffle_method: str | None = None,
        upsample: float = 1.0,
        partition_size: float = 128e6,
        append: bool = False,
        **options: Any,
    ) -> DataFrame:
        """A column as index; rows are brought in order of it, with known divisions.

        Parameters
        ----------
        other : label or Series
        drop : bool
            Whether it is no column any more.
        sorted : bool
            It is in order already; only the ends of partitions are looked at.
        npartitions : int
            How many partitions afterwards.
        divisions : sequence
            Divisions to use; otherwise a sample of the column is computed at once.
        sort : bool
            Whether rows are brought in order; if not, divisions are unknown.
        append : bool
            Whether to add a level to the index (with ``sort=False``).
        shuffle_method, upsample, partition_size
            Taken for compatibility.

        Raises
        ------
        ValueError
            If ``sorted`` and it is not in order, or divisions are not.
        KeyError
            If there is no such column.

        Examples
        --------
        >>> import oxidask.dataframe as dd
        >>> df = dd.from_dict({"k": [3, 1, 2], "x": [30, 10, 20]}, npartitions=2)
        >>> df.set_index("k").x.compute().to_dict()
        {1: 10, 2: 20, 3: 30}
        """
        from oxidask.dataframe import _align, _set_index

        del shuffle_method, upsample, partition_size, options
        if isinstance(other, list) and len(other) == 1:
            other = other[0]
        if isinstance(other, (list, DataFrame)):
            raise NotImplementedError(
                f"set_index takes one column, and got {other}\nhint: an index of several levels is not offered"
            )
        if isinstance(other, pd.Series):
            raise TypeError("the index is given as a label or as a lazy Series")
        if not isinstance(other, Collection):
            if other == self._meta.index.name and other not in self._meta.columns:
                return self
            self._check_label(other)
        if npartitions is not None and npartitions != "auto" and not isinstance(npartitions, int):
            raise TypeError(f"npartitions={npartitions!r} is no whole number")
        if divisions is not None:
            _align.check_divisions(divisions)
        if append and (sorted or sort):
            raise NotImplementedError("set_index(append=True) goes with sort=False only")
        if sorted:
            return _set_index.set_sorted_index(self, other, drop, divisions)  # type: ignore[no-any-return]
        return _set_index.set_index(self, other, drop, npartitions, divisions, sort, append)  # type: ignore[no-any-return]

    def sort_values(
        self,
        by: Any,
        npartitions: Any = None,
        ascending: Any = True,
        na_position: str = "last",
        partition_size: float = 128e6,
        sort_function: Any = None,
        sort_function_kwargs: Any = None,
        upsample: float = 1.0,
        ignore_index: bool = False,
        shuffle_method: str | None = None,
        **options: Any,
    ) -> DataFrame:
        """In order of columns.

        Parameters
        ----------
        by : label or list
        npartitions : int
            How many partitions afterwards.
        ascending : bool or list of bool
        na_position : {"first", "last"}
        sort_function : callable
            Sorts a partition; ``DataFrame.sort_values`` by default.
        sort_function_kwargs : dict
        ignore_index : bool
            Number the rows of every partition anew.
        partition_size, upsample, shuffle_method
            Taken for compatibility.
        """
        from oxidask.dataframe._sorting import sort_frame

        del partition_size, upsample, shuffle_method, options
        if na_position not in ("first", "last"):
            raise ValueError(f"na_position must be either 'first' or 'last', not {na_position!r}")
        keys = [by] if not isinstance(by, list) else by
        for label in keys:
            if not isinstance(label, str) and label not in self._meta.columns:
                raise NotImplementedError(f"sorting by named columns only, and by={by!r} names none")
            if label not in self._meta.index.names:
                self._check_label(label)
        if isinstance(ascending, list) and len(ascending) != len(keys):
            raise ValueError(f"ascending has {len(ascending)} values for {len(keys)} columns")
        if isinstance(ascending, list) and not all(isinstance(one, (bool, np.bool_)) for one in ascending):
            raise NotImplementedError(f"ascending holds True or False for each column, and got {ascending}")
        counted = npartitions is None or isinstance(npartitions, int)
        if counted and sort_function is None and not ignore_index:
            answer = native_form(self, "sort_values", (keys, ascending, na_position, npartitions), {})
            if answer is not NOT_NATIVE:
                return answer  # type: ignore[no-any-return]
        return sort_frame(  # type: ignore[no-any-return]
            self, keys, npartitions, ascending, na_position, sort_function, sort_function_kwargs, ignore_index
        )

    # -- functions of pandas objects ---------------------------------------------------------

    def map(self, func: Any, na_action: Any = None, meta: Any = None) -> DataFrame:
        """A Python function on every value, through pandas.

        ``meta`` says what it answers, if a call with made-up values does not show it.
        """
        if meta is None:
            warn_guessed("map")
            meta = own_meta(_rows.call, "map", (self, "map", func), {"na_action": na_action})
        else:
            meta = make_meta(meta, index=self._meta.index)
        return elemwise(_rows.call, self, "map", func, na_action=na_action, _meta=meta)  # type: ignore[no-any-return]

    applymap = map

    def melt(
        self,
        id_vars: Any = None,
        value_vars: Any = None,
        var_name: Any = None,
        value_name: Any = "value",
        col_level: Any = None,
    ) -> DataFrame:
        """Columns as rows; see ``oxidask.dataframe.melt``."""
        from oxidask.dataframe.functions import melt

        return melt(self, id_vars, value_vars, var_name, value_name, col_level)  # type: ignore[no-any-return]

    def explode(self, column: Any) -> DataFrame:
        """A row for every element of lists in a column."""
        return self._each("explode", column)  # type: ignore[no-any-return]

    # -- out -------------------------------------------------------------------------------------

    @staticmethod
    def from_dict(
        data: Any, npartitions: int = 1, orient: str = "columns", dtype: Any = None, columns: Any = None, **kwargs: Any
    ) -> Any:
        """A lazy frame of columns given by name; see ``oxidask.dataframe.from_dict``."""
        from oxidask.dataframe.creation import from_dict

        return from_dict(data, npartitions=npartitions, orient=orient, dtype=dtype, columns=columns, **kwargs)


def _is_lazy_array(value: Any) -> bool:
    import sys

    module = sys.modules.get("oxidask.array")
    return module is not None and isinstance(value, module.Array)


def is_pandas_own(dtype: Any) -> bool:
    """Whether only pandas has the type: categories, and numbers beside a mask of which are missing."""
    try:
        dtype = pd.api.types.pandas_dtype(dtype)
    except TypeError:
        return False
    others = (pd.DatetimeTZDtype, pd.StringDtype, pd.ArrowDtype)
    return isinstance(dtype, pd.api.extensions.ExtensionDtype) and not isinstance(dtype, others)


add_elementwise(DataFrame, pd.DataFrame, EACH_FRAME)
add_operators(DataFrame, "frame")
add_reductions(DataFrame, "frame")

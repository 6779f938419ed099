"""Lazy columns."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pandas as pd

from oxidask.dataframe import _rows
from oxidask.dataframe._collection import new
from oxidask.dataframe._meta import emulate, make_meta
from oxidask.dataframe._methods import EACH_SERIES, _lazy_of_pandas, add_elementwise, add_operators
from oxidask.dataframe._reductions import add_reductions
from oxidask.dataframe._statistics import SeriesStatistics
from oxidask.dataframe.core import NOT_NATIVE, Collection, elemwise, native_form, own_meta, warn_guessed
from oxidask.dataframe.rows import Rows

__all__ = ["Series"]


def _reset_index(rows: Any, kwargs: dict[str, Any]) -> Any:
    return rows.reset_index(**kwargs)


def _to_frame(rows: Any, kwargs: dict[str, Any]) -> Any:
    return rows.to_frame(**kwargs)


def _apply(rows: Any, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return rows.apply(func, args=args, **kwargs)


class Series(SeriesStatistics, Rows):
    """A lazy column with its index.

    Examples
    --------
    >>> import oxidask.dataframe as dd
    >>> x = dd.from_dict({"x": [1, 2, 3]}, npartitions=2).x
    >>> (x + 1).compute().tolist()
    [2, 3, 4]
    """

    _kind = "series"

    # -- what is known ------------------------------------------------------------
    @property
    def name(self) -> Any:
        """The name, or ``None``."""
        return self._meta.name

    @name.setter
    def name(self, name: Any) -> None:
        self._become(self.rename(name))

    @property
    def dtype(self) -> Any:
        """The type of the values."""
        return self._meta.dtype

    @property
    def dtypes(self) -> Any:
        """The type of the values."""
        return self._meta.dtype

    @property
    def ndim(self) -> int:
        """Always 1."""
        return 1

    @property
    def shape(self) -> tuple[Any]:
        """The number of rows, lazily, in a tuple."""
        return (self._length(),)

    @property
    def axes(self) -> list[Any]:
        """The index, in a list."""
        return [self.index]

    @property
    def nbytes(self) -> Any:
        """Bytes of the values, lazily."""
        return self._tree("nbytes", _nbytes, _total, meta=0)

    @property
    def is_monotonic_increasing(self) -> Any:
        """Whether values never become smaller, lazily."""
        return self._tree("monotonic", _ends_up, _joins_up, combine=_chains_up, meta=True)

    @property
    def is_monotonic_decreasing(self) -> Any:
        """Whether values never become larger, lazily."""
        return self._tree("monotonic", _ends_down, _joins_down, combine=_chains_down, meta=True)

    @property
    def str(self) -> Any:
        """Functions of strings."""
        from oxidask.dataframe.accessors import StringAccessor

        return StringAccessor(self)

    @property
    def dt(self) -> Any:
        """Functions of times."""
        from oxidask.dataframe.accessors import DatetimeAccessor

        return DatetimeAccessor(self)

    @property
    def cat(self) -> Any:
        """Functions of categories."""
        from oxidask.dataframe.categorical import CategoricalAccessor

        return CategoricalAccessor(self)

    # -- rows ------------------------------------------------------------------------
    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, Collection):
            answer = native_form(self, "__getitem__", (key,), {})
            return answer if answer is not NOT_NATIVE else elemwise(_rows.item, self, key, _label="filter")
        if isinstance(key, slice):
            from oxidask.dataframe.indexing import check_slice

            check_slice(key)
            return self.loc[key]
        if isinstance(key, (list, np.ndarray, pd.Index)):
            return self.loc[list(key)]
        raise NotImplementedError(
            f"a Series is indexed by a lazy Series of booleans, or a slice of labels, not by {key!r}\n"
            "hint: loc chooses by label"
        )

    def __iter__(self) -> Any:
        for part in self.partitions:
            yield from part.compute()

    def items(self) -> Any:
        """Labels and values, a partition at a time."""
        for part in self.partitions:
            yield from part.compute().items()

    def to_frame(self, name: Any = None) -> Any:
        """The frame of this column alone."""
        answer = native_form(self, "to_frame", (name,), {}) if name is not None or self.name is not None else NOT_NATIVE
        if answer is not NOT_NATIVE:
            return answer
        return elemwise(_to_frame, self, {} if name is None else {"name": name})

    def rename(self, index: Any, sorted_index: bool = False) -> Any:
        """Under another name; a function or mapping changes the labels of rows.

        ``sorted_index`` says that changed labels are still in order, so that the
        divisions stay known.
        """
        if pd.api.types.is_scalar(index) or isinstance(index, tuple):
            answer = native_form(self, "rename", (index,), {})
            if answer is not NOT_NATIVE and answer.name == index:
                return answer
            return elemwise(_rows.call, self, "rename", index)
        made = elemwise(_rows.call, self, "rename", index)
        if not sorted_index or not self.known_divisions:
            return made.clear_divisions()
        moved = pd.Series(1, index=list(self.divisions)).rename(index).index.tolist()
        if moved != sorted(moved):
            raise ValueError("the renamed labels are non-monotonic, although sorted_index=True was said")
        return new(made._plan, made._meta, tuple(moved))

    def reset_index(self, drop: bool = False, **kwargs: Any) -> Any:
        """With numbered rows in every partition; the old index becomes a column unless ``drop``."""
        if not kwargs and self._meta.index.nlevels == 1 and self.name is not None:
            answer = native_form(self, "reset_index", (drop,), {})
            if answer is not NOT_NATIVE:
                return answer
        call = {"drop": drop, **kwargs}
        return new(self._plan.map("reset_index", _reset_index, call), emulate(_reset_index, self, call), None)

    def astype(self, dtypes: Any) -> Any:
        """Converted to another type.

        Parameters
        ----------
        dtypes : str or type
            Such as ``"float64"``, ``int``, ``"str"``, ``"category"``. Categories that
            are not given are not known afterwards.

        Raises
        ------
        ValueError
            When it is computed, if a missing value would have to become a whole number,
            or a fraction one that its type does not have (where NumPy's answer depends
            on the machine).

        Examples
        --------
        >>> import oxidask.dataframe as dd
        >>> dd.from_dict({"x": [1, 2]}, npartitions=1).x.astype(float).compute().tolist()
        [1.0, 2.0]
        """
        from oxidask.dataframe.categorical import converted_meta
        from oxidask.dataframe.frame import is_pandas_own

        if not is_pandas_own(dtypes):
            answer = native_form(self, "astype", (dtypes,), {})
            if answer is not NOT_NATIVE:
                return answer
        return elemwise(_rows.call, self, "astype", dtypes, _meta=converted_meta(self._meta, dtypes))

    def sort_values(
        self,
        npartitions: Any = None,
        ascending: bool = True,
        na_position: Any = "last",
        partition_size: float = 128e6,
        sort_function: Any = None,
        sort_function_kwargs: Any = None,
        upsample: float = 1.0,
        ignore_index: bool = False,
        shuffle_method: Any = None,
        **options: Any,
    ) -> Any:
        """In order; see :meth:`DataFrame.sort_values`."""
        from oxidask.dataframe._sorting import sort_frame

        del partition_size, upsample, shuffle_method, options
        if na_position not in ("first", "last"):
            raise ValueError(f"na_position must be either 'first' or 'last', not {na_position!r}")
        if (npartitions is None or isinstance(npartitions, int)) and sort_function is None and not ignore_index:
            answer = native_form(self, "sort_values", (ascending, na_position, npartitions), {})
            if answer is not NOT_NATIVE:
                return answer
        return sort_frame(
            self, None, npartitions, ascending, na_position, sort_function, sort_function_kwargs, ignore_index
        )

    # -- functions ---------------------------------------------------------------------
    def map(self, arg: Any, na_action: Any = None, meta: Any = None) -> Any:
        """Values replaced by a function, a mapping or a column, through pandas.

        ``meta`` says what it answers, if a call with made-up values does not show it.
        """
        if isinstance(arg, Collection):
            if arg.npartitions != 1:
                arg = arg.repartition(npartitions=1)
            if meta is None:
                warn_guessed("map")
                meta = emulate(_rows.call, self, "map", arg._meta_nonempty, na_action=na_action)
            plan = self._plan.map("map", _rows.call, "map", arg._plan, na_action=na_action)
            return new(plan, meta, self.divisions)
        if meta is None:
            warn_guessed("map")
            meta = own_meta(_rows.call, "map", (self, "map", arg), {"na_action": na_action})
            call: Any = _rows.call
        else:
            meta = make_meta(meta, index=self._meta.index)
            call = _rows.Enforced(_rows.call, meta)
        return elemwise(call, self, "map", arg, na_action=na_action, _label="map", _meta=meta)

    def apply(self, function: Any, args: tuple[Any, ...] = (), meta: Any = None, axis: Any = 0, **kwargs: Any) -> Any:
        """A Python function on every value, through pandas.

        ``meta`` says what it answers, if a call with made-up values does not show it.
        """
        self._validate_axis(axis)
        if meta is None:
            warn_guessed("apply")
            meta = own_meta(_apply, "apply", (self, function, args, kwargs), {})
            call: Any = _apply
        else:
            meta = make_meta(meta, index=self._meta.index)
            call = _rows.Enforced(_apply, meta)
        label = getattr(function, "__name__", "apply")
        return elemwise(call, self, function, args, kwargs, _label=label, _meta=meta)

    @staticmethod
    def _validate_axis(axis: Any) -> None:
        if axis not in (0, "index", None):
            raise ValueError(f"No axis named {axis} for object type Series")

    def case_when(self, caselist: Any) -> Any:
        """The value of the first pair whose condition holds, and else that of this column.

        Parameters
        ----------
        caselist : list of (condition, value)
            Conditions are columns of booleans, values scalars or columns.

        Examples
        --------
        >>> import oxidask.dataframe as dd
        >>> x = dd.from_dict({"x": [1, 2, 3]}, npartitions=2).x
        >>> x.case_when([(x < 2, 0), (x < 3, 9)]).compute().tolist()
        [0, 9, 3]
        """
        flat = [one for pair in caselist for one in pair]
        return elemwise(_case_when, self, *flat)

    def combine(self, other: Any, func: Any, fill_value: Any = None) -> Any:
        """Values of two columns joined by a function, as in pandas."""
        return elemwise(_rows.call, self, "combine", other, func, fill_value=fill_value)

    def dot(self, other: Any, meta: Any = None) -> Any:
        """The sum of products with another column, or with every column of a frame."""
        if not isinstance(other, Collection) or other._kind not in ("series", "frame"):
            raise TypeError(f"dot takes a lazy Series or DataFrame, not a {type(other).__name__}")
        if other._kind != "frame":
            return (self * other).sum(skipna=False)
        made = other.mul(self, axis=0).sum(skipna=False)
        return made if meta is None else made.rename(make_meta(meta).name)

    def squeeze(self) -> Any:
        """The same column."""
        return self

    def groupby(self, by: Any, **kwargs: Any) -> Any:
        """Groups of values; see :meth:`DataFrame.groupby`."""
        from oxidask.dataframe.groupby import SeriesGroupBy

        return SeriesGroupBy.of_series(self, by, **kwargs)

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        # Pandas' own values may be read-only; who asks for a copy wants to write to it.
        return np.array(self.compute(), dtype=dtype, copy=True if copy else None)

    def __array_ufunc__(self, ufunc: Any, method: Any, *inputs: Any, **kwargs: Any) -> Any:
        if kwargs.get("out"):
            return _into(kwargs.pop("out"), self.__array_ufunc__(ufunc, method, *inputs, **kwargs))
        if method != "__call__":
            return NotImplemented
        # A pandas object among them is aligned like any other column.
        return elemwise(ufunc, *[_lazy_of_pandas(self, one) for one in inputs], **kwargs)

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        from oxidask.dataframe import _pandas

        return _pandas.partition_of(self.compute()).__arrow_c_stream__(requested_schema)

    def __repr__(self) -> Any:
        from oxidask.dataframe._formatting import structure, title

        cells = structure(self.to_frame("x")).iloc[:, 0]
        footer = f"Name: {self.name}, dtype: {self.dtype}" if self.name is not None else f"dtype: {self.dtype}"
        return (
            f"oxidask Series Structure:\nnpartitions={self.npartitions}\n{cells.rename_axis(None).to_string()}\n"
            f"{footer}\nDask Name: {title(self)}"
        )


def _into(out: Any, made: Any) -> Any:
    """The target of a NumPy function, which takes the place of its answer: of the same kind, with the same columns.

    Raises
    ------
    TypeError, ValueError
        If it is of another kind, or has other columns.
    """
    (target,) = out
    if type(target) is not type(made):
        raise TypeError(f"out is a {type(target).__name__}, and the answer a {type(made).__name__}")
    if made._kind == "frame" and len(target.columns) != len(made.columns):
        raise ValueError(f"out has {len(target.columns)} columns, and the answer {len(made.columns)}")
    target._become(made)
    return target


def _case_when(rows: Any, *flat: Any) -> Any:
    return rows.case_when(list(zip(flat[::2], flat[1::2], strict=True)))


def _nbytes(rows: Any) -> int:
    return int(rows.nbytes)


def _total(parts: list[Any]) -> Any:
    return sum(parts)


def _ends(rows: Any, rising: bool) -> Any:
    if not len(rows):
        return None
    in_order = rows.is_monotonic_increasing if rising else rows.is_monotonic_decreasing
    return (bool(in_order), *((rows[0], rows[-1]) if isinstance(rows, pd.Index) else (rows.iloc[0], rows.iloc[-1])))


def _ends_up(rows: Any) -> Any:
    return _ends(rows, True)


def _ends_down(rows: Any) -> Any:
    return _ends(rows, False)


def _chain(parts: list[Any], rising: bool) -> Any:
    there = [part for part in parts if part is not None]
    if not there:
        return None
    fine = all(part[0] for part in there)
    for a, b in itertools.pairwise(there):
        fine = fine and (a[2] <= b[1] if rising else a[2] >= b[1])
    return (bool(fine), there[0][1], there[-1][2])


def _chains_up(parts: list[Any]) -> Any:
    return _chain(parts, True)


def _chains_down(parts: list[Any]) -> Any:
    return _chain(parts, False)


def _joins_up(parts: list[Any]) -> bool:
    whole = _chain(parts, True)
    return True if whole is None else whole[0]


def _joins_down(parts: list[Any]) -> bool:
    whole = _chain(parts, False)
    return True if whole is None else whole[0]


add_elementwise(Series, pd.Series, EACH_SERIES)
add_operators(Series, "series")
add_reductions(Series, "series")

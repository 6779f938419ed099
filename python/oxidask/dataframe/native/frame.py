"""Lazy tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pandas as pd

from oxidask._oxidask import Column, Frame, concat_frames
from oxidask.dataframe import _labels
from oxidask.dataframe.native._expr import Collection, n_rows, scalar
from oxidask.dataframe.native._windows import Windows
from oxidask.dataframe.native.groupby import DataFrameGroupBy, keys_of
from oxidask.dataframe.native.series import REDUCTIONS, Index, Scalar, Series, dtype_name

__all__ = ["DataFrame", "concat", "merge"]


def _label_list(labels: Any) -> list[Any]:
    return list(labels) if isinstance(labels, (list, tuple, pd.Index, set)) else [labels]


class _Partitions:
    """``df.partitions[i]`` and ``df.partitions[i:j]``."""

    def __init__(self, frame: DataFrame) -> None:
        self._of = frame

    def __len__(self) -> int:
        return self._of.npartitions

    def __iter__(self) -> Iterator[DataFrame]:
        return (self[number] for number in range(len(self)))

    def __getitem__(self, key: Any) -> DataFrame:
        n = self._of.npartitions
        if isinstance(key, slice):
            blocks = list(range(n))[key]
        elif isinstance(key, list):
            blocks = [number + n if number < 0 else number for number in key]
        else:
            blocks = [key + n if key < 0 else key]
        if not all(0 <= number < n for number in blocks):
            raise IndexError(f"there is no partition {key}; the frame has {n}")
        return DataFrame(self._of._frame.partitions(blocks))


class DataFrame(Collection, Windows):
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

    def __init__(self, frame: Frame) -> None:
        object.__setattr__(self, "_frame", frame)

    # -- what is known -------------------------------------------------------
    @property
    def columns(self) -> pd.Index:
        """The labels of the columns."""
        return _labels.columns_index(self._frame.columns)

    @columns.setter
    def columns(self, labels: Any) -> None:
        old = self._frame.columns
        labels = list(labels)
        if len(labels) != len(old):
            raise ValueError(f"the frame has {len(old)} columns, and {len(labels)} names were given")
        renamed = self._frame.rename(dict(zip(old, map(_labels.encode, labels), strict=True)))
        object.__setattr__(self, "_frame", renamed)

    @property
    def dtypes(self) -> pd.Series:
        """The types of the columns, as pandas has them."""
        return self._meta.dtypes

    @property
    def ndim(self) -> int:
        """Always 2."""
        return 2

    @property
    def shape(self) -> tuple[Scalar, int]:
        """The number of rows, lazily, and of columns."""
        return (Scalar(n_rows(self._frame)), len(self._frame.columns))

    @property
    def size(self) -> Scalar:
        """Rows times columns, lazily."""
        return Scalar(n_rows(self._frame)) * len(self._frame.columns)  # type: ignore[no-any-return]

    def __len__(self) -> int:
        return int(Scalar(n_rows(self._frame)).compute())

    @property
    def empty(self) -> bool:
        """Whether there are no rows; computes their number."""
        return len(self) == 0

    @property
    def index(self) -> Index:
        """The labels of the rows."""
        frame = self._frame.select([]).reset_index(False)
        name = self._frame.index_names[0]
        return Index(frame.column(frame.columns[0]).rename(name))

    @property
    def partitions(self) -> _Partitions:
        """The partitions, by number or slice."""
        return _Partitions(self)

    def get_partition(self, n: int) -> DataFrame:
        """The partition with this number."""
        return self.partitions[n]

    def _is_numeric(self, name: str) -> bool:
        dtype = self._frame.column(name).dtype
        return dtype.startswith(("int", "uint", "float", "bool"))

    # -- columns -------------------------------------------------------------
    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, Series):
            return DataFrame(self._frame.filter(key._column))
        if isinstance(key, (list, pd.Index)):
            return DataFrame(self._frame.select([_labels.encode(label) for label in key]))
        return Series(self._frame.column(_labels.encode(key)))

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("_") and name in self._frame.columns:
            return self[name]
        raise AttributeError(f"DataFrame has no attribute or column {name!r}")

    def __dir__(self) -> list[str]:
        names = [name for name in self._frame.columns if name.isidentifier()]
        return sorted({*super().__dir__(), *names})

    def __setitem__(self, key: Any, value: Any) -> None:
        object.__setattr__(self, "_frame", self.assign(**{"": value}, _label=key)._frame)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self._frame.columns:
            self[name] = value
        else:
            object.__setattr__(self, name, value)

    def __contains__(self, label: Any) -> bool:
        return _labels.encode(label) in self._frame.columns

    def __iter__(self) -> Iterator[Any]:
        return iter(self.columns)

    def assign(self, _label: Any = None, **columns: Any) -> DataFrame:
        """With columns added or replaced.

        Parameters
        ----------
        **columns : Series, scalar or callable
            By name; a callable gets the frame so far.

        Raises
        ------
        NotImplementedError
            If a Series has other rows than the frame.

        Examples
        --------
        >>> import oxidask.dataframe as dd
        >>> df = dd.from_dict({"x": [1, 2]}, npartitions=1)
        >>> df.assign(y=df.x + 1, z=lambda d: d.y * 2).compute().z.tolist()
        [4, 6]
        """
        frame = self._frame
        for label, value in columns.items():
            name = _labels.encode(label if _label is None else _label)
            if callable(value):
                value = value(DataFrame(frame))
            if isinstance(value, Series):
                frame = frame.with_column(name, value._column)
            elif isinstance(value, Scalar):
                raise NotImplementedError("assign a Series; a lazy value can be added to one")
            else:
                frame = frame.with_scalar(name, scalar(value))
        return DataFrame(frame)

    def rename(self, columns: Mapping[Any, Any] | Callable[[Any], Any]) -> DataFrame:
        """With columns under other names."""
        new: dict[str, str] = {}
        for name in self._frame.columns:
            label = _labels.decode(name)
            if callable(columns):
                new[name] = _labels.encode(columns(label))
            elif label in columns:
                new[name] = _labels.encode(columns[label])
        return DataFrame(self._frame.rename(new))

    def drop(self, labels: Any = None, axis: Any = 1, columns: Any = None, errors: str = "raise") -> DataFrame:
        """Without some columns."""
        if columns is None:
            if axis not in (1, "columns"):
                raise NotImplementedError("rows are dropped by a filter: df[condition]")
            columns = labels
        names = [_labels.encode(label) for label in _label_list(columns)]
        if errors == "ignore":
            names = [name for name in names if name in self._frame.columns]
        return DataFrame(self._frame.drop(names))

    def _each(self, change: Callable[[Series, Any], Series], names: list[str] | None = None) -> DataFrame:
        frame = self._frame
        for name in self._frame.columns if names is None else names:
            changed = change(Series(self._frame.column(name)), _labels.decode(name))
            frame = frame.with_column(name, changed._column)
        return DataFrame(frame)

    def _each_column(self, change: Callable[[Column], Column]) -> DataFrame:
        return self._each(lambda series, _: Series(change(series._column)))

    def astype(self, dtype: Any) -> DataFrame:
        """With all columns, or those of a mapping, converted to other types."""
        if isinstance(dtype, Mapping):
            wanted = {_labels.encode(label): dtype_name(own) for label, own in dtype.items()}
            return self._each(lambda series, _: series.astype(wanted[series._column.name]), list(wanted))
        return self._each(lambda series, _: series.astype(dtype))

    def fillna(self, value: Any) -> DataFrame:
        """With missing values replaced by a value, or by one for every column."""
        if isinstance(value, Mapping):
            names = [_labels.encode(label) for label in value]
            return self._each(lambda series, label: series.fillna(value[label]), names)
        return self._each(lambda series, _: series.fillna(value))

    def isna(self) -> DataFrame:
        """Whether each value is missing."""
        return self._each(lambda series, _: series.isna())

    def notna(self) -> DataFrame:
        """Whether each value is there."""
        return self._each(lambda series, _: series.notna())

    isnull, notnull = isna, notna

    def round(self, decimals: int = 0) -> DataFrame:
        """With numbers rounded, halves to even."""
        names = [name for name in self._frame.columns if self._is_numeric(name)]
        return self._each(lambda series, _: series.round(decimals), names)

    def dropna(self, how: str = "any", subset: Any = None) -> DataFrame:
        """Without rows in which any, or all, values are missing."""
        labels = list(self.columns) if subset is None else _label_list(subset)
        conditions = [self[label].notna() for label in labels]
        condition = conditions[0]
        for other in conditions[1:]:
            condition = condition & other if how == "any" else condition | other
        return self[condition]  # type: ignore[no-any-return]

    # -- rows ------------------------------------------------------------------
    def head(self, n: int = 5, npartitions: int = 1, compute: bool = True) -> Any:
        """The first rows of the first partitions; reads no others.

        Parameters
        ----------
        n : int
        npartitions : int
            How many partitions to look at; ``-1`` for all.
        compute : bool
            Whether to compute at once.
        """
        count = self.npartitions if npartitions == -1 else npartitions
        result = DataFrame(self._frame.head(n, count))
        return result.compute() if compute else result

    def tail(self, n: int = 5, compute: bool = True) -> Any:
        """The last rows of the last partition; reads no other."""
        result = DataFrame(self._frame.tail(n))
        return result.compute() if compute else result

    def _sort_names(self, by: Any) -> list[str]:
        return [_labels.encode(label) for label in _label_list(by)]

    def sort_values(
        self, by: Any, ascending: Any = True, na_position: str = "last", npartitions: int | None = None
    ) -> DataFrame:
        """In order of columns, in as many partitions."""
        names = self._sort_names(by)
        directions = list(ascending) if isinstance(ascending, (list, tuple)) else [ascending] * len(names)
        if len(directions) != len(names):
            raise ValueError(f"ascending has {len(directions)} values for {len(names)} columns")
        return DataFrame(self._frame.sort_values(names, directions, na_position == "last", None, npartitions))

    def nlargest(self, n: int, columns: Any) -> DataFrame:
        """The ``n`` rows with the largest values, largest first."""
        names = self._sort_names(columns)
        return DataFrame(self._frame.sort_values(names, [False] * len(names), True, n))

    def nsmallest(self, n: int, columns: Any) -> DataFrame:
        """The ``n`` rows with the smallest values, smallest first."""
        names = self._sort_names(columns)
        return DataFrame(self._frame.sort_values(names, [True] * len(names), True, n))

    def drop_duplicates(self, subset: Any = None, keep: Any = "first", split_out: int = 1) -> DataFrame:
        """One row of each kind, in one partition unless ``split_out`` asks for more."""
        names = None if subset is None else self._sort_names(subset)
        return DataFrame(self._frame.drop_duplicates(names, keep or "neither", split_out))

    def reset_index(self, drop: bool = False) -> DataFrame:
        """With numbered rows in every partition; the index becomes a column unless ``drop``."""
        return DataFrame(self._frame.reset_index(drop))

    def set_index(self, other: Any, drop: bool = True, sorted: bool = False) -> DataFrame:
        """A column as index.

        Parameters
        ----------
        other : label or Series
        drop : bool
            Whether it is no column any more.
        sorted : bool
            It is in order already. Otherwise rows are sorted, into one partition.
        """
        column = other._column if isinstance(other, Series) else self._frame.column(_labels.encode(other))
        return DataFrame(self._frame.set_index(column, drop, sorted))

    def set_index_divided(self, other: Any, drop: bool, divisions: Any) -> DataFrame:
        """A column as index, the rows sorted into partitions with these divisions."""
        column = other._column if isinstance(other, Series) else self._frame.column(_labels.encode(other))
        return DataFrame(self._frame.set_index_divided(column, drop, [scalar(bound) for bound in divisions]))

    def repartition_at(self, divisions: Any) -> DataFrame:
        """The same rows in partitions with these divisions."""
        return DataFrame(self._frame.repartition_at([scalar(bound) for bound in divisions]))

    def loc_between(self, start: Any, stop: Any) -> DataFrame:
        """The rows whose labels lie between two, both included."""
        return DataFrame(self._frame.loc(scalar(start), scalar(stop)))

    def shuffle(self, on: list[Any], npartitions: int) -> DataFrame:
        """The rows with equal keys brought into one of so many partitions."""
        return DataFrame(self._frame.shuffle([_labels.encode(label) for label in on], npartitions))

    def repartition(self, npartitions: int) -> DataFrame:
        """The same rows in another number of partitions, in the same order."""
        return DataFrame(self._frame.repartition(npartitions))

    def merge(
        self,
        right: Any,
        how: str = "inner",
        on: Any = None,
        left_on: Any = None,
        right_on: Any = None,
        suffixes: tuple[str, str] = ("_x", "_y"),
        indicator: bool | str = False,
    ) -> DataFrame:
        """Rows of both frames with equal keys, side by side, numbered anew.

        Parameters
        ----------
        right : DataFrame or pandas.DataFrame
        how : {"inner", "left", "right", "outer"}
        on, left_on, right_on : label or list
            The key columns; those that both have, if none are given.
        suffixes : (str, str)
            What tells other columns of the same name apart.
        indicator : bool or str
            Whether a column, ``_merge`` or of that name, says where a row comes from.

        Raises
        ------
        KeyError
            If a key is no column.
        TypeError
            If keys are of types that do not compare.

        Examples
        --------
        >>> import oxidask.dataframe as dd
        >>> a = dd.from_dict({"k": [1, 2], "x": [3, 4]}, npartitions=2)
        >>> b = dd.from_dict({"k": [2, 5], "y": [6, 7]}, npartitions=1)
        >>> a.merge(b, on="k").compute().values.tolist()
        [[2, 4, 6]]
        """
        if isinstance(right, pd.DataFrame):
            from oxidask.dataframe.native.io import from_pandas

            right = from_pandas(right, npartitions=1)
        if on is None and left_on is None and right_on is None:
            on = [label for label in self.columns if label in right]
        left_names = self._sort_names(on if left_on is None else left_on)
        right_names = self._sort_names(on if right_on is None else right_on)
        side = "_merge" if indicator is True else indicator or None
        return DataFrame(self._frame.merge(right._frame, how, left_names, right_names, tuple(suffixes), side))

    def groupby(self, by: Any, sort: bool | None = None, dropna: bool = True) -> DataFrameGroupBy:
        """Groups of rows with equal keys.

        Parameters
        ----------
        by : label, Series of the same rows, or a list of them
        sort : bool
            Order groups by their keys (the default), else by first appearance.
        dropna : bool
            Leave out groups with a missing key.
        """
        return DataFrameGroupBy(self._frame, keys_of(self._frame, by), sort is not False, dropna)

    # -- reductions --------------------------------------------------------------
    def _reduce(self, func: str, numeric_only: bool = False, ddof: int = 1) -> Series:
        return Series(self._frame.reduce(func, numeric_only, ddof))


#: Reductions of frames that leave out other columns on request.
_NUMERIC = ("sum", "mean", "min", "max", "count", "prod", "median")


def _reduction(name: str, doc: str) -> Any:
    def spread(self: DataFrame, ddof: int = 1, numeric_only: bool = False) -> Series:
        return self._reduce(name, numeric_only, ddof)

    def plain(self: DataFrame, numeric_only: bool = False) -> Series:
        return self._reduce(name, numeric_only)

    method = spread if name in ("std", "var") else plain
    method.__name__, method.__doc__ = name, f"{doc} For every column."
    return method


for _name in (*_NUMERIC, "std", "var", "nunique"):
    setattr(DataFrame, _name, _reduction(_name, REDUCTIONS[_name]))


def _operator(name: str, reflected: bool) -> Any:
    def apply(self: DataFrame, other: Any) -> DataFrame:
        """With a number, or with the same columns of the same rows, of numbers alone."""
        frame = self._frame
        numbers = ("int", "uint", "float")
        alike = isinstance(other, DataFrame) and other._frame.columns == frame.columns
        number = isinstance(other, (int, float)) and not isinstance(other, bool)
        if not (alike or number) or not all(frame.column(name).dtype.startswith(numbers) for name in frame.columns):
            raise NotImplementedError("frames of numbers are combined with numbers, or with the same columns")
        made = frame
        for column in frame.columns:
            operand = other._frame.column(column) if alike else scalar(other)
            made = made.with_column(column, frame.column(column).binary(name, operand, reflected))
        return DataFrame(made)

    return apply


for _name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "eq", "ne", "lt", "le", "gt", "ge"):
    setattr(DataFrame, f"__{_name}__", _operator(_name, False))
    if _name not in ("eq", "ne", "lt", "le", "gt", "ge"):
        setattr(DataFrame, f"__r{_name}__", _operator(_name, True))


def concat(dfs: list[DataFrame]) -> DataFrame:
    """The rows of frames with the same columns, one frame after another.

    Examples
    --------
    >>> import oxidask.dataframe as dd
    >>> a = dd.from_dict({"x": [1, 2]}, npartitions=1)
    >>> dd.concat([a, a]).compute().x.tolist()
    [1, 2, 1, 2]
    """
    return DataFrame(concat_frames([frame._frame for frame in dfs]))


def merge(left: DataFrame, right: Any, **kwargs: Any) -> DataFrame:
    """``left.merge(right, **kwargs)``."""
    return left.merge(right, **kwargs)

"""Groups of rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from oxidask._oxidask import Column, Frame
from oxidask.dataframe import _labels
from oxidask.dataframe.native.series import Series

if TYPE_CHECKING:
    from oxidask.dataframe.native.frame import DataFrame

__all__ = ["DataFrameGroupBy", "NamedAgg", "SeriesGroupBy"]

#: (name of the result, column, function), in the engine's names.
Aggregations = list[tuple[str, str, str]]


class NamedAgg(tuple):  # type: ignore[type-arg]
    """A column and what to compute of it, for ``agg`` with keywords."""

    def __new__(cls, column: Any, aggfunc: Any) -> NamedAgg:
        """Makes the pair."""
        return super().__new__(cls, (column, aggfunc))


def keys_of(frame: Frame | None, by: Any) -> list[Column]:
    """The columns that a user's ``by`` names."""
    keys = by if isinstance(by, (list, tuple)) and not (frame and _is_label(frame, by)) else [by]
    columns = []
    for key in keys:
        if isinstance(key, Series):
            columns.append(key._column)
        elif callable(key) or frame is None:
            raise NotImplementedError("group by columns, or by Series of the same rows")
        else:
            columns.append(frame.column(_labels.encode(key)))
    return columns


def _is_label(frame: Frame, by: Any) -> bool:
    return isinstance(by, tuple) and _labels.encode(by) in frame.columns


def _function(func: Any) -> str:
    """The name of an aggregation: text, or a function that goes by one."""
    name = func if isinstance(func, str) else getattr(func, "__name__", None)
    name = {"amax": "max", "amin": "min"}.get(name or "", name)
    if name is None or name.startswith("<"):
        raise NotImplementedError("aggregate by names such as 'sum'; a function of your own goes through apply")
    return name


class _GroupBy:
    #: In how many partitions the groups come.
    split_out = 1

    def __init__(self, frame: Frame, keys: list[Column], sort: bool, dropna: bool) -> None:
        self._frame, self._keys, self._sort, self._dropna = frame, keys, sort, dropna

    def _agg(self, columns: Aggregations, ddof: int = 1) -> Frame:
        return self._frame.groupby_agg(self._keys, columns, self._sort, self._dropna, ddof, self.split_out)

    def _values(self) -> list[str]:
        keys = {key.name for key in self._keys}
        return [name for name in self._frame.columns if name not in keys]

    def size(self) -> Series:
        """How many rows each group has."""
        return Series(self._frame.groupby_size(self._keys, self._sort, self._dropna, self.split_out))


def _each(name: str, doc: str, ddof: bool = False) -> Any:
    if ddof:

        def spread(self: Any, ddof: int = 1, numeric_only: bool = False) -> Any:
            return self._one(name, ddof, numeric_only)

        method: Any = spread
    else:

        def plain(self: Any, numeric_only: bool = False) -> Any:
            return self._one(name, 1, numeric_only)

        method = plain
    method.__name__, method.__doc__ = name, doc
    return method


_ALL = {
    "sum": "The sum in each group.",
    "mean": "The mean in each group.",
    "count": "How many values are there in each group.",
    "min": "The smallest in each group.",
    "max": "The largest in each group.",
    "first": "The first that is there in each group.",
    "last": "The last that is there in each group.",
    "nunique": "How many distinct values each group has.",
    "median": "The exact median in each group.",
    "prod": "The product in each group.",
    "any": "Whether any holds in each group.",
    "all": "Whether all hold in each group.",
}


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
        if isinstance(key, list):
            names = [_labels.encode(label) for label in key]
            keys = [key.name for key in self._keys if key.name in self._frame.columns and key.name not in names]
            frame = self._frame.select([*keys, *names])
            return DataFrameGroupBy(frame, self._keys, self._sort, self._dropna)
        name = _labels.encode(key)
        self._frame.column(name)
        return SeriesGroupBy(self._frame, self._keys, self._sort, self._dropna, name)

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("_") and _labels.encode(name) in self._frame.columns:
            return self[name]
        raise AttributeError(f"{type(self).__name__} has no attribute or column {name!r}")

    def _one(self, func: str, ddof: int, numeric_only: bool) -> DataFrame:
        from oxidask.dataframe.native.frame import DataFrame

        names = self._values()
        if numeric_only:
            names = [name for name in names if DataFrame(self._frame)._is_numeric(name)]
        return DataFrame(self._agg([(name, name, func) for name in names], ddof))

    def agg(self, arg: Any = None, **kwargs: Any) -> DataFrame:
        """Several aggregations at once.

        Parameters
        ----------
        arg : str, list, or dict of column to str or list
            What to compute; a list makes columns of two levels.
        **kwargs : (column, function)
            Columns of the result by name.

        Raises
        ------
        KeyError
            If a column is not there.
        NotImplementedError
            If there is no such aggregation.

        Examples
        --------
        >>> import oxidask.dataframe as dd
        >>> df = dd.from_dict({"k": ["a", "b", "a"], "x": [1, 2, 3]}, npartitions=2)
        >>> df.groupby("k").agg({"x": ["sum", "mean"]}).compute().columns.tolist()
        [('x', 'sum'), ('x', 'mean')]
        """
        from oxidask.dataframe.native.frame import DataFrame

        return DataFrame(self._agg(self._aggregations(arg, kwargs)))

    aggregate = agg

    def _aggregations(self, arg: Any, kwargs: Mapping[str, Any]) -> Aggregations:
        if arg is None:
            if not kwargs:
                raise TypeError("agg needs something to compute")
            return [
                (_labels.encode(name), _labels.encode(column), _function(func))
                for name, (column, func) in kwargs.items()
            ]
        if not isinstance(arg, Mapping):
            arg = {_labels.decode(name): arg for name in self._values()}
        two_levels = any(isinstance(funcs, (list, tuple)) for funcs in arg.values())
        columns: Aggregations = []
        for label, funcs in arg.items():
            for func in funcs if isinstance(funcs, (list, tuple)) else [funcs]:
                name = _labels.encode((label, _function(func)) if two_levels else label)
                columns.append((name, _labels.encode(label), _function(func)))
        return columns


class SeriesGroupBy(_GroupBy):
    """A column grouped by keys."""

    def __init__(self, frame: Frame, keys: list[Column], sort: bool, dropna: bool, name: str) -> None:
        super().__init__(frame, keys, sort, dropna)
        self._name = name

    def _one(self, func: str, ddof: int, numeric_only: bool) -> Series:
        frame = self._agg([(self._name, self._name, func)], ddof)
        return Series(_named_column(frame, self._name))

    def agg(self, arg: Any, **kwargs: Any) -> Any:
        """One aggregation by name, or a frame of several."""
        from oxidask.dataframe.native.frame import DataFrame

        if isinstance(arg, (str,)) or callable(arg):
            return self._one(_function(arg), 1, False)
        if not isinstance(arg, Iterable) or isinstance(arg, Mapping):
            raise NotImplementedError("a grouped column is aggregated by a name or a list of names")
        return DataFrame(self._agg([(_function(func), self._name, _function(func)) for func in arg]))

    aggregate = agg

    def value_counts(self) -> Series:
        """How often each value occurs in each group."""
        keys = [*self._keys, self._frame.column(self._name)]
        return Series(self._frame.groupby_size(keys, self._sort, self._dropna).rename("count"))


def _named_column(frame: Frame, name: str) -> Column:
    column = frame.column(name)
    return column.rename(None) if name == "" else column


for _name, _doc in _ALL.items():
    for _class in (DataFrameGroupBy, SeriesGroupBy):
        setattr(_class, _name, _each(_name, _doc))
for _name, _doc in {"std": "The standard deviation in each group.", "var": "The variance in each group."}.items():
    for _class in (DataFrameGroupBy, SeriesGroupBy):
        setattr(_class, _name, _each(_name, _doc, ddof=True))

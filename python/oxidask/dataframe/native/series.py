"""Lazy columns: ``Series``, ``Index`` and single values."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import pandas as pd

from oxidask._oxidask import Column, Frame
from oxidask.dataframe import _labels
from oxidask.dataframe.native._expr import Collection, n_rows, scalar
from oxidask.dataframe.native._windows import Windows

if TYPE_CHECKING:
    from oxidask.dataframe.native.accessors import DatetimeAccessor, StringAccessor
    from oxidask.dataframe.native.frame import DataFrame

__all__ = ["Array", "Index", "Scalar", "Series"]


def _operand(other: Any) -> Any:
    """What the engine combines a column with: a column, ``(column,)`` for a single value, or a scalar."""
    if isinstance(other, Scalar):
        return (other._column,)
    return other._column if isinstance(other, _Columnar) else scalar(other)


def _operator(name: str, symbol: str, reflected: bool = False) -> Callable[[Any, Any], Any]:
    def apply(self: Any, other: Any) -> Any:
        if isinstance(self, Scalar) and isinstance(other, Series):
            return NotImplemented
        try:
            operand = _operand(other)
            return type(self)(self._column.binary(name, operand, reflected))
        except TypeError as error:
            if isinstance(other, (_Columnar, str, int, float, bool)):
                raise
            raise TypeError(f"cannot compute {symbol} with a {type(other).__name__}") from error

    apply.__doc__ = f"``{symbol}`` with a value or a column of the same rows, elementwise."
    return apply


class _Columnar(Collection):
    """What all single columns share."""

    _column: Column

    def __init__(self, column: Column) -> None:
        self._column = column

    @property
    def _frame(self) -> Frame:  # type: ignore[override]
        return self._column.frame()

    @property
    def name(self) -> Any:
        """The name, or ``None``."""
        name = self._column.name
        return None if name is None or name == "" else _labels.decode(name)

    @property
    def dtype(self) -> Any:
        """The type of the values, as pandas has it."""
        return self._meta.dtype

    __hash__ = None  # type: ignore[assignment]

    __add__ = _operator("add", "+")
    __radd__ = _operator("add", "+", True)
    __sub__ = _operator("sub", "-")
    __rsub__ = _operator("sub", "-", True)
    __mul__ = _operator("mul", "*")
    __rmul__ = _operator("mul", "*", True)
    __truediv__ = _operator("truediv", "/")
    __rtruediv__ = _operator("truediv", "/", True)
    __floordiv__ = _operator("floordiv", "//")
    __rfloordiv__ = _operator("floordiv", "//", True)
    __mod__ = _operator("mod", "%")
    __rmod__ = _operator("mod", "%", True)
    __pow__ = _operator("pow", "**")
    __rpow__ = _operator("pow", "**", True)
    __eq__ = _operator("eq", "==")  # type: ignore[assignment]
    __ne__ = _operator("ne", "!=")  # type: ignore[assignment]
    __lt__ = _operator("lt", "<")
    __le__ = _operator("le", "<=")
    __gt__ = _operator("gt", ">")
    __ge__ = _operator("ge", ">=")
    __and__ = _operator("and", "&")
    __rand__ = _operator("and", "&", True)
    __or__ = _operator("or", "|")
    __ror__ = _operator("or", "|", True)
    __xor__ = _operator("xor", "^")
    __rxor__ = _operator("xor", "^", True)
    add, sub, mul, truediv, div = __add__, __sub__, __mul__, __truediv__, __truediv__
    floordiv, mod, pow = __floordiv__, __mod__, __pow__
    eq, ne, lt, le, gt, ge = __eq__, __ne__, __lt__, __le__, __gt__, __ge__

    def __neg__(self) -> Any:
        return type(self)(self._column.unary("neg"))

    def __invert__(self) -> Any:
        return type(self)(self._column.unary("not"))

    def __abs__(self) -> Any:
        if self._column.dtype.startswith(("str", "cat", "datetime")):
            raise NotImplementedError(f"there is no absolute value of {self._column.dtype}")
        return type(self)(self._column.unary("abs"))

    def __bool__(self) -> bool:
        raise TypeError(
            f"the truth of a lazy {type(self).__name__} is not known\nhint: compute() it first, or use & | ~"
        )


class Scalar(_Columnar):
    """One lazy value, such as a sum.

    Examples
    --------
    >>> import oxidask.dataframe as dd
    >>> total = dd.from_dict({"x": [1, 2, 3]}, npartitions=2).x.sum()
    >>> int((total * 2).compute())
    12
    """

    _kind = "scalar"

    def __repr__(self) -> str:
        return f"<oxidask Scalar {self._column.name or ''}: {self._column.dtype}>"

    def __int__(self) -> int:
        return int(self.compute())

    def __float__(self) -> float:
        return float(self.compute())


class Array(_Columnar):
    """Lazy distinct values, which compute to an array of pandas."""

    _kind = "array"

    def __repr__(self) -> str:
        return f"<oxidask Array {self._column.name or ''}: {self._column.dtype}>"


class Series(_Columnar, Windows):
    """A lazy column with its index.

    Examples
    --------
    >>> import oxidask.dataframe as dd
    >>> x = dd.from_dict({"x": [1, 2, 3]}, npartitions=2).x
    >>> (x + 1).compute().tolist()
    [2, 3, 4]
    """

    _kind = "series"

    # -- shape -------------------------------------------------------------
    def __len__(self) -> int:
        return int(Scalar(n_rows(self._frame)).compute())

    @property
    def size(self) -> Scalar:
        """The number of rows, lazily."""
        return Scalar(n_rows(self._frame))

    @property
    def shape(self) -> tuple[Scalar]:
        """The number of rows, lazily, in a tuple."""
        return (self.size,)

    @property
    def ndim(self) -> int:
        """Always 1."""
        return 1

    @property
    def index(self) -> Index:
        """The labels of the rows."""
        return self.to_frame().index

    def _each_column(self, change: Callable[[Column], Column]) -> Series:
        return Series(change(self._column))

    # -- elementwise -------------------------------------------------------
    def abs(self) -> Series:
        """Absolute values."""
        return abs(self)

    def round(self, decimals: int = 0) -> Series:
        """Rounded to so many decimals, halves to even."""
        return Series(self._column.unary("round", decimals))

    def isna(self) -> Series:
        """Whether each value is missing."""
        return Series(self._column.unary("isna"))

    def notna(self) -> Series:
        """Whether each value is there."""
        return Series(self._column.unary("notna"))

    isnull, notnull = isna, notna

    def astype(self, dtype: Any) -> Series:
        """Converted to another type.

        Parameters
        ----------
        dtype : str or type
            Such as ``"float64"``, ``int``, ``"str"``, ``"category"``.

        Raises
        ------
        TypeError
            If there is no such type. A value that does not fit is an error of the
            task that converts it.

        Examples
        --------
        >>> import oxidask.dataframe as dd
        >>> dd.from_dict({"x": [1, 2]}, npartitions=1).x.astype(float).compute().tolist()
        [1.0, 2.0]
        """
        return Series(self._column.astype(dtype_name(dtype)))

    def fillna(self, value: Any) -> Series:
        """With missing values replaced by a value or by those of a column.

        Raises
        ------
        NotImplementedError
            If the value is of another type, which pandas would change the column to.

        Examples
        --------
        >>> import oxidask.dataframe as dd
        >>> dd.from_dict({"x": [1.5, None]}, npartitions=1).x.fillna(0).compute().tolist()
        [1.5, 0.0]
        """
        try:
            return Series(self._column.fillna(_operand(value)))
        except ValueError as error:
            raise NotImplementedError(f"{value!r} does not fit a column of {self._column.dtype}") from error

    def dropna(self) -> Series:
        """Without missing values."""
        return self[self.notna()]

    def isin(self, values: Iterable[Any]) -> Series:
        """Whether each value is one of ``values``, which share one type.

        Examples
        --------
        >>> import oxidask.dataframe as dd
        >>> dd.from_dict({"x": ["a", "b"]}, npartitions=1).x.isin(["b"]).compute().tolist()
        [False, True]
        """
        return Series(self._column.isin([scalar(value) for value in values]))

    def between(self, left: Any, right: Any, inclusive: str = "both") -> Series:
        """Whether each value lies between two others.

        Parameters
        ----------
        left, right : scalar or Series
        inclusive : {"both", "neither", "left", "right"}

        Examples
        --------
        >>> import oxidask.dataframe as dd
        >>> dd.from_dict({"x": [1, 2, 3]}, npartitions=1).x.between(2, 3).compute().tolist()
        [False, True, True]
        """
        if inclusive not in ("both", "neither", "left", "right"):
            raise ValueError(f"inclusive is 'both', 'neither', 'left' or 'right', not {inclusive!r}")
        low = self >= left if inclusive in ("both", "left") else self > left
        high = self <= right if inclusive in ("both", "right") else self < right
        return low & high  # type: ignore[no-any-return]

    def where(self, cond: Series, other: Any = None) -> Series:
        """The values where ``cond`` holds, elsewhere ``other`` (missing by default)."""
        if not isinstance(cond, Series):
            raise NotImplementedError("the engine chooses by a column of booleans of the same rows")
        return Series(self._column.when(cond._column, _operand(other)))

    def mask(self, cond: Series, other: Any = None) -> Series:
        """The values where ``cond`` does not hold, elsewhere ``other``."""
        if not isinstance(cond, Series):
            raise NotImplementedError("the engine chooses by a column of booleans of the same rows")
        return self.where(~cond, other)

    def clip(self, lower: Any = None, upper: Any = None) -> Series:
        """Values no smaller than ``lower`` and no larger than ``upper``."""
        result = self
        if lower is not None:
            result = result.mask(result < lower, lower)
        if upper is not None:
            result = result.mask(result > upper, upper)
        return result

    def rename(self, index: Any) -> Series:
        """Under another name."""
        return Series(self._column.rename(_labels.encode(index) if index is not None else None))

    @property
    def str(self) -> StringAccessor:
        """Functions of strings."""
        from oxidask.dataframe.native.accessors import StringAccessor

        return StringAccessor(self)

    @property
    def dt(self) -> DatetimeAccessor:
        """Functions of times."""
        from oxidask.dataframe.native.accessors import DatetimeAccessor

        return DatetimeAccessor(self)

    # -- rows --------------------------------------------------------------
    def __getitem__(self, key: Any) -> Series:
        if isinstance(key, Series):
            return Series(self._column.filter(key._column))
        raise NotImplementedError("a Series is indexed by a boolean Series of the same rows")

    def _on_frame(self, change: Callable[[Frame], Frame]) -> Series:
        return Series(self._column.of_frame(change(self._frame)))

    def head(self, n: int = 5, npartitions: int = 1, compute: bool = True) -> Any:
        """The first rows of the first partitions.

        Parameters
        ----------
        n : int
        npartitions : int
            How many partitions to look at; ``-1`` for all.
        compute : bool
            Whether to compute at once.
        """
        count = self.npartitions if npartitions == -1 else npartitions
        result = self._on_frame(lambda frame: frame.head(n, count))
        return result.compute() if compute else result

    def tail(self, n: int = 5, compute: bool = True) -> Any:
        """The last rows of the last partition."""
        result = self._on_frame(lambda frame: frame.tail(n))
        return result.compute() if compute else result

    def nlargest(self, n: int = 5) -> Series:
        """The ``n`` largest values, largest first."""
        return self._on_frame(lambda frame: frame.sort_values(frame.columns, [False], True, n))

    def nsmallest(self, n: int = 5) -> Series:
        """The ``n`` smallest values, smallest first."""
        return self._on_frame(lambda frame: frame.sort_values(frame.columns, [True], True, n))

    def sort_values(self, ascending: bool = True, na_position: str = "last", npartitions: int | None = None) -> Series:
        """In order, in as many partitions."""
        last = na_position == "last"
        return self._on_frame(lambda frame: frame.sort_values(frame.columns, [ascending], last, None, npartitions))

    def drop_duplicates(self, keep: Any = "first", split_out: int = 1) -> Series:
        """One row of each value, in one partition unless ``split_out`` asks for more."""
        return self._on_frame(lambda frame: frame.drop_duplicates(None, keep or "neither", split_out))

    def to_frame(self, name: Any = None) -> DataFrame:
        """The frame of this column alone."""
        from oxidask.dataframe.native.frame import DataFrame

        column = self._column if name is None else self._column.rename(_labels.encode(name))
        return DataFrame(column.frame())

    def reset_index(self, drop: bool = False) -> Any:
        """With numbered rows in every partition; the old index becomes a column unless ``drop``."""
        frame = self.to_frame().reset_index(drop=drop)
        return frame[self.name if self.name is not None else ""] if drop else frame

    def repartition(self, npartitions: int) -> Series:
        """The same rows in another number of partitions."""
        return self._on_frame(lambda frame: frame.repartition(npartitions))

    def repartition_at(self, divisions: Iterable[Any]) -> Series:
        """The same rows in partitions with these divisions."""
        bounds = [scalar(bound) for bound in divisions]
        return self._on_frame(lambda frame: frame.repartition_at(bounds))

    def loc_between(self, start: Any, stop: Any) -> Series:
        """The rows whose labels lie between two, both included."""
        return self._on_frame(lambda frame: frame.loc(scalar(start), scalar(stop)))

    # -- reductions --------------------------------------------------------
    def _reduce(self, func: str_, ddof: int = 1) -> Scalar:
        return Scalar(self._column.reduce(func, ddof))

    def quantile(self, q: float = 0.5) -> Scalar:
        """The value below which this share of the values lies, exact and interpolated linearly.

        All values come together in one task; Dask answers an approximation.
        """
        return Scalar(self._column.quantile(q))

    def unique(self) -> Array:
        """The distinct values in order of first appearance.

        Examples
        --------
        >>> import oxidask.dataframe as dd
        >>> list(dd.from_dict({"x": ["b", "a", "b"]}, npartitions=2).x.unique().compute())
        ['b', 'a']
        """
        return Array(self._column.unique())

    def value_counts(
        self, sort: bool = True, ascending: bool = False, dropna: bool = True, normalize: bool = False
    ) -> Series:
        """How often each value occurs.

        Parameters
        ----------
        sort : bool
            Order by how often, values of equal counts by first appearance.
        ascending : bool
        dropna : bool
            Leave out missing values.
        normalize : bool
            Answer shares of the total instead of counts.

        Examples
        --------
        >>> import oxidask.dataframe as dd
        >>> dd.from_dict({"x": ["b", "a", "b"]}, npartitions=2).x.value_counts().compute().to_dict()
        {'b': 2, 'a': 1}
        """
        return Series(self._column.value_counts(sort, ascending, dropna, normalize))

    def groupby(self, by: Any, sort: bool | None = None, dropna: bool = True) -> Any:
        """Groups of values by columns of the same rows."""
        from oxidask.dataframe.native.groupby import SeriesGroupBy, keys_of

        keys = keys_of(None, by)
        return SeriesGroupBy(self._column.frame(), keys, sort is not False, dropna, self._column.frame().columns[0])

    def __repr__(self) -> str:
        meta = self._meta
        return f"oxidask Series Structure:\nnpartitions={self.npartitions}\nName: {self.name}, dtype: {meta.dtype}"


class Index(_Columnar):
    """The lazy labels of rows."""

    _kind = "index"

    def __len__(self) -> int:
        return int(Scalar(n_rows(self._frame)).compute())

    def __repr__(self) -> str:
        return f"oxidask Index Structure:\nnpartitions={self.npartitions}\ndtype: {self._column.dtype}"


#: Reductions to one value, and what they answer.
REDUCTIONS = {
    "sum": "The sum of the values that are there.",
    "mean": "Their mean.",
    "min": "The smallest.",
    "max": "The largest.",
    "count": "How many values are there.",
    "std": "The standard deviation.",
    "var": "The variance.",
    "prod": "The product.",
    "any": "Whether any holds.",
    "all": "Whether all hold.",
    "median": "The median, exact: all values come together in one task.",
    "nunique": "How many distinct values there are.",
}


def _reduction(name: str, doc: str) -> Any:
    def spread(self: _Columnar, ddof: int = 1) -> Scalar:
        return Scalar(self._column.reduce(name, ddof))

    def plain(self: _Columnar) -> Scalar:
        return Scalar(self._column.reduce(name, 1))

    method = spread if name in ("std", "var") else plain
    method.__name__, method.__doc__ = name, doc
    return method


for _name, _doc in REDUCTIONS.items():
    setattr(Series, _name, _reduction(_name, _doc))
for _name in ("min", "max", "nunique"):
    setattr(Index, _name, _reduction(_name, REDUCTIONS[_name]))

#: ``str`` is an attribute of Series within its class.
str_ = str


def dtype_name(dtype: Any) -> str_:
    """The name of a type as the engine knows it."""
    if dtype is str:
        return "str"
    if isinstance(dtype, str_):
        return dtype
    if dtype is object:
        return "object"
    return str_(pd.api.types.pandas_dtype(dtype))

"""``Series.str`` and ``Series.dt``, and accessors of other libraries."""

from __future__ import annotations

from typing import Any

import pandas as pd

from oxidask.dataframe import _rows
from oxidask.dataframe._meta import emulate
from oxidask.dataframe._methods import finished, signature_of
from oxidask.dataframe.core import NOT_NATIVE, elemwise

__all__ = ["DatetimeAccessor", "StringAccessor"]

STRINGS = [
    "capitalize",
    "casefold",
    "center",
    "contains",
    "count",
    "decode",
    "encode",
    "endswith",
    "extract",
    "extractall",
    "find",
    "findall",
    "fullmatch",
    "get",
    "index",
    "isalnum",
    "isalpha",
    "isascii",
    "isdecimal",
    "isdigit",
    "islower",
    "isnumeric",
    "isspace",
    "istitle",
    "isupper",
    "join",
    "len",
    "ljust",
    "lower",
    "lstrip",
    "match",
    "normalize",
    "pad",
    "partition",
    "removeprefix",
    "removesuffix",
    "repeat",
    "replace",
    "rfind",
    "rindex",
    "rjust",
    "rpartition",
    "rsplit",
    "rstrip",
    "slice",
    "slice_replace",
    "split",
    "startswith",
    "strip",
    "swapcase",
    "title",
    "translate",
    "upper",
    "wrap",
    "zfill",
]

#: Parts of times, which are attributes.
TIME_PARTS = [
    "components",
    "date",
    "day",
    "day_of_week",
    "day_of_year",
    "dayofweek",
    "dayofyear",
    "days",
    "days_in_month",
    "daysinmonth",
    "freq",
    "hour",
    "is_leap_year",
    "is_month_end",
    "is_month_start",
    "is_quarter_end",
    "is_quarter_start",
    "is_year_end",
    "is_year_start",
    "microsecond",
    "microseconds",
    "minute",
    "month",
    "nanosecond",
    "nanoseconds",
    "qyear",
    "quarter",
    "second",
    "seconds",
    "time",
    "timetz",
    "tz",
    "unit",
    "weekday",
    "year",
]
TIMES = [
    "ceil",
    "day_name",
    "floor",
    "isocalendar",
    "month_name",
    "normalize",
    "round",
    "strftime",
    "to_period",
    "to_timestamp",
    "to_pytimedelta",
    "total_seconds",
    "tz_convert",
    "tz_localize",
    "as_unit",
    "to_pydatetime",
]

#: What regular expressions mean differs between the engine and Python.
NOT_ALIKE = {"contains", "replace"}


class _Accessor:
    _name = ""

    def __init__(self, series: Any) -> None:
        # Pandas raises if the type has no such accessor.
        getattr(series._meta, self._name)
        self._series = series

    def _native(self, name: str, args: Any, kwargs: Any, call: bool = True) -> Any:
        native = self._series._native
        if native is None or self._series._kind != "series":
            return NOT_NATIVE
        from oxidask.dataframe._collection import wrap_native

        try:
            accessor = getattr(native, self._name)
            found = getattr(accessor, name)
            made = wrap_native(found(*args, **kwargs) if call else found)
        except (NotImplementedError, TypeError, AttributeError, ValueError):
            return NOT_NATIVE
        wanted = (
            emulate(_rows.accessor_call, self._series, self._name, name, *args, **kwargs)
            if call
            else emulate(_rows.accessor_get, self._series, self._name, name)
        )
        return made if made._meta.dtype == wanted.dtype else NOT_NATIVE


def _is_plain(text: Any) -> bool:
    """Whether a pattern means the same as a regular expression as it does as a text."""
    return isinstance(text, str) and not set(text) & set("\\^$.|?*+()[]{}")


class StringAccessor(_Accessor):
    """Functions of strings, each elementwise; missing values stay missing.

    Examples
    --------
    >>> import oxidask.dataframe as dd
    >>> names = dd.from_dict({"x": ["Ann", "bob"]}, npartitions=1).x
    >>> names.str.lower().str.startswith("b").compute().tolist()
    [False, True]
    """

    _name = "str"

    def _call(self, name: str, args: Any, kwargs: Any) -> Any:
        if name not in NOT_ALIKE or (args and all(_is_plain(arg) or not isinstance(arg, str) for arg in args)):
            answer = self._native(name, args, kwargs)
            if answer is not NOT_NATIVE:
                return answer
        return elemwise(_rows.accessor_call, self._series, "str", name, *args, _label=name, **kwargs)

    def __getitem__(self, key: Any) -> Any:
        return elemwise(_string_item, self._series, key, _label="get")

    def split(self, pat: Any = None, n: int = -1, expand: bool = False, regex: Any = None) -> Any:
        """``str.split`` of pandas; ``expand`` needs ``n``, so that the number of columns is known."""
        return self._split("split", pat, n, expand, {} if regex is None else {"regex": regex})

    def rsplit(self, pat: Any = None, n: int = -1, expand: bool = False) -> Any:
        """``str.rsplit`` of pandas; ``expand`` needs ``n``, so that the number of columns is known."""
        return self._split("rsplit", pat, n, expand, {})

    def _split(self, name: str, pat: Any, n: int, expand: bool, more: dict[str, Any]) -> Any:
        if not expand:
            return elemwise(_rows.accessor_call, self._series, "str", name, pat=pat, n=n, _label=name, **more)
        if n is None or n <= 0:
            raise NotImplementedError(
                f"{name}(expand=True) must know how many columns it makes, and n={n!r} does not say so\n"
                "hint: n=2 makes three columns"
            )
        return elemwise(_split_columns, self._series, name, pat, n, more, _label=name)

    def cat(self, others: Any = None, sep: Any = None, na_rep: Any = None) -> Any:
        """``str.cat`` of pandas with a column, or a list of columns."""
        from oxidask.dataframe.core import is_lazy

        if others is None:
            return self._series._gathered("cat", _CatAll(sep, na_rep), meta="")
        columns = others if isinstance(others, (list, tuple)) else [others]
        if not all(is_lazy(one) or isinstance(one, (pd.Series, pd.Index, str)) for one in columns):
            raise TypeError("others is a lazy column, or a list of them")
        return elemwise(_cat, self._series, list(columns), sep, na_rep, _label="cat")


def _cat(rows: Any, others: list[Any], sep: Any, na_rep: Any) -> Any:
    return rows.str.cat(others if len(others) > 1 else others[0], sep=sep, na_rep=na_rep)


class _CatAll:
    """All values of a column as one text."""

    def __init__(self, sep: Any, na_rep: Any) -> None:
        self.sep, self.na_rep = sep, na_rep

    def __dask_tokenize__(self) -> Any:
        return (_CatAll, self.sep, self.na_rep)

    def __call__(self, rows: Any) -> Any:
        return rows.str.cat(sep=self.sep, na_rep=self.na_rep)


def _string_item(rows: Any, key: Any) -> Any:
    return rows.str[key]


def _split_columns(rows: Any, name: str, pat: Any, n: int, more: dict[str, Any]) -> Any:
    made = getattr(rows.str, name)(pat=pat, n=n, expand=True, **more)
    dtype = made.dtypes.iloc[0] if made.shape[1] else rows.dtype
    return made.reindex(columns=range(n + 1)).astype(dtype)


class DatetimeAccessor(_Accessor):
    """Parts and functions of times.

    Examples
    --------
    >>> import pandas as pd, oxidask.dataframe as dd
    >>> times = pd.Series(pd.to_datetime(["2013-01-31"]), name="t")
    >>> dd.from_pandas(times, npartitions=1).dt.month.compute().tolist()
    [1]
    """

    _name = "dt"

    def __init__(self, series: Any) -> None:
        if not hasattr(series._meta, "dt"):
            raise AttributeError("Can only use .dt accessor with datetimelike values")
        super().__init__(series)

    def _call(self, name: str, args: Any, kwargs: Any) -> Any:
        answer = self._native(name, args, kwargs)
        if answer is not NOT_NATIVE:
            return answer
        return elemwise(_rows.accessor_call, self._series, "dt", name, *args, _label=name, **kwargs)

    def _part(self, name: str) -> Any:
        if name in ("tz", "freq", "unit"):
            return getattr(self._series._meta.dt, name)
        answer = self._native(name, (), {}, call=False)
        return (
            answer if answer is not NOT_NATIVE else elemwise(_rows.accessor_get, self._series, "dt", name, _label=name)
        )

    @property
    def week(self) -> Any:
        """The week of the year, as ISO counts them."""
        return elemwise(_week, self._series)

    @property
    def weekofyear(self) -> Any:
        """The same as ``week``."""
        return self.week


def _week(rows: Any) -> Any:
    return rows.dt.isocalendar().week


def _method(name: str) -> Any:
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        return self._call(name, args, kwargs)

    return method


def _property(name: str) -> Any:
    return property(lambda self: self._part(name), doc=f"``dt.{name}`` of pandas, of every value.")


for _name in STRINGS:
    if _name not in vars(StringAccessor):
        _doc = f"``str.{_name}`` of pandas, of every value.\n"
        finished(_method(_name), StringAccessor, _name, _doc, signature_of(pd.Series.str, _name))
for _name in TIME_PARTS:
    setattr(DatetimeAccessor, _name, _property(_name))
for _name in TIMES:
    _doc = f"``dt.{_name}`` of pandas, of every value.\n"
    finished(_method(_name), DatetimeAccessor, _name, _doc, signature_of(pd.DatetimeIndex, _name))


# -- accessors of other libraries ---------------------------------------------------------


class CachedAccessor:
    """An accessor made when first asked for."""

    def __init__(self, name: str, accessor: Any) -> None:
        self._name, self._accessor = name, accessor

    def __get__(self, obj: Any, cls: Any) -> Any:
        if obj is None:
            return self._accessor
        made = self._accessor(obj)
        object.__setattr__(obj, self._name, made)
        return made


def _register(name: str, cls: Any) -> Any:
    import warnings

    def decorator(accessor: Any) -> Any:
        if hasattr(cls, name):
            warnings.warn(
                f"{cls.__name__} already has the attribute {name!r}; the accessor {accessor!r} takes its place",
                UserWarning,
                stacklevel=2,
            )
        setattr(cls, name, CachedAccessor(name, accessor))
        return accessor

    return decorator


def register_dataframe_accessor(name: str) -> Any:
    """A decorator that makes a class an accessor of DataFrames, as pandas' of the same name."""
    from oxidask.dataframe.frame import DataFrame

    return _register(name, DataFrame)


def register_series_accessor(name: str) -> Any:
    """A decorator that makes a class an accessor of Series, as pandas' of the same name."""
    from oxidask.dataframe.series import Series

    return _register(name, Series)


def register_index_accessor(name: str) -> Any:
    """A decorator that makes a class an accessor of Indexes, as pandas' of the same name."""
    from oxidask.dataframe.index import Index

    return _register(name, Index)

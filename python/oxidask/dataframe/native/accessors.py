"""``Series.str`` and ``Series.dt``."""

from __future__ import annotations

from typing import Any

from oxidask.dataframe.native.series import Series

__all__ = ["DatetimeAccessor", "StringAccessor"]


class StringAccessor:
    """Functions of strings, each elementwise; missing values stay missing.

    Examples
    --------
    >>> import oxidask.dataframe as dd
    >>> names = dd.from_dict({"x": ["Ann", "bob"]}, npartitions=1).x
    >>> names.str.lower().str.startswith("b").compute().tolist()
    [False, True]
    """

    def __init__(self, series: Series) -> None:
        self._series = series

    def _apply(self, name: str, *args: Any) -> Series:
        return Series(self._series._column.text(name, *args))

    def lower(self) -> Series:
        """In small letters."""
        return self._apply("lower")

    def upper(self) -> Series:
        """In capital letters."""
        return self._apply("upper")

    def len(self) -> Series:
        """Lengths in characters."""
        return self._apply("len")

    def strip(self, to_strip: str | None = None) -> Series:
        """Without these characters, or white space, at both ends."""
        return self._apply("strip", to_strip)

    def lstrip(self, to_strip: str | None = None) -> Series:
        """Without them at the beginning."""
        return self._apply("lstrip", to_strip)

    def rstrip(self, to_strip: str | None = None) -> Series:
        """Without them at the end."""
        return self._apply("rstrip", to_strip)

    def startswith(self, pat: str) -> Series:
        """Whether it begins so."""
        return self._apply("startswith", pat)

    def endswith(self, pat: str) -> Series:
        """Whether it ends so."""
        return self._apply("endswith", pat)

    def contains(self, pat: str, case: bool = True, regex: bool = True) -> Series:
        """Whether a regular expression (Rust's dialect), or a text, is found in it."""
        return self._apply("contains", pat, case, regex)

    def replace(self, pat: str, repl: str, regex: bool = False) -> Series:
        """With every match replaced."""
        return self._apply("replace", pat, repl, regex)

    def slice(self, start: int | None = None, stop: int | None = None) -> Series:
        """The characters from ``start`` to before ``stop``."""
        return self._apply("slice", start, stop)

    def __getitem__(self, key: Any) -> Series:
        if isinstance(key, slice) and key.step in (None, 1):
            return self.slice(key.start, key.stop)
        if isinstance(key, int):
            return self.slice(key, key + 1 if key != -1 else None)
        raise NotImplementedError("strings are indexed by a position or a slice without a step")

    def zfill(self, width: int) -> Series:
        """Filled with zeros from the left."""
        return self._apply("zfill", width)


class DatetimeAccessor:
    """Parts and functions of times.

    Examples
    --------
    >>> import pandas as pd, oxidask.dataframe as dd
    >>> times = pd.Series(pd.to_datetime(["2013-01-31"]), name="t")
    >>> dd.from_pandas(times, npartitions=1).dt.month.compute().tolist()
    [1]
    """

    def __init__(self, series: Series) -> None:
        self._series = series

    def _apply(self, name: str, format: str | None = None) -> Series:
        return Series(self._series._column.time(name, format))

    def normalize(self) -> Series:
        """Midnight of each day."""
        return self._apply("normalize")

    def strftime(self, date_format: str) -> Series:
        """As text."""
        return self._apply("strftime", date_format)

    def total_seconds(self) -> Series:
        """Lengths of time in seconds."""
        return self._apply("total_seconds")


def _part(name: str, doc: str, alias: str | None = None) -> property:
    return property(lambda self: self._apply(alias or name), doc=doc)


for _name, _doc in {
    "year": "The year.",
    "month": "The month, January is 1.",
    "day": "The day of the month.",
    "hour": "The hour.",
    "minute": "The minute.",
    "second": "The second.",
    "microsecond": "The microsecond within the second.",
    "quarter": "The quarter, from 1.",
    "dayofweek": "The day of the week, Monday is 0.",
    "dayofyear": "The day of the year, from 1.",
    "days_in_month": "How many days the month has.",
    "days": "Whole days of lengths of time.",
}.items():
    setattr(DatetimeAccessor, _name, _part(_name, _doc))
for _name, _alias in {
    "weekday": "dayofweek",
    "day_of_week": "dayofweek",
    "day_of_year": "dayofyear",
    "daysinmonth": "days_in_month",
}.items():
    setattr(DatetimeAccessor, _name, _part(_name, f"The same as ``{_alias}``.", _alias))

"""Functions of neighbouring rows and of all rows so far, for columns and frames alike.

The engine passes missing values over as pandas does. Types for which pandas'
answer has another form are refused, and go through pandas.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from oxidask._oxidask import Column

__all__ = ["Windows"]

#: Types whose differences, and aggregates of windows, pandas answers in 64 bits.
NUMBERS = ("int32", "int64", "uint32", "uint64", "float64")
#: Types whose running totals keep their type.
TOTALS = ("int64", "uint64", "float64")
ROLLING = ("sum", "mean", "min", "max", "median", "std", "var")


def _only(column: Column, types: tuple[str, ...], name: str) -> None:
    if not column.dtype.startswith(types):
        raise NotImplementedError(f"the engine has no {name} of {column.dtype}")


class Windows:
    """Methods whose value in a row depends on other rows."""

    def _each_column(self, change: Callable[[Column], Column]) -> Any:
        """The same collection with every column changed."""
        raise NotImplementedError

    def shift(self, periods: int = 1) -> Any:
        """Values moved down by so many rows; up, if negative."""
        if periods == 0:
            raise NotImplementedError("values that do not move keep their type")

        def change(column: Column) -> Column:
            if column.dtype == "bool":
                raise NotImplementedError("pandas turns moved booleans into objects")
            return column.window("shift", periods)

        return self._each_column(change)

    def diff(self, periods: int = 1) -> Any:
        """Differences to the value so many rows before."""

        def change(column: Column) -> Column:
            _only(column, (*NUMBERS, "datetime64"), "diff")
            return column.window("diff", periods)

        return self._each_column(change)

    def ffill(self) -> Any:
        """Missing values replaced by the last one that was there."""
        return self._each_column(lambda column: column.window("ffill"))

    def bfill(self) -> Any:
        """Missing values replaced by the next one that is there."""
        return self._each_column(lambda column: column.window("bfill"))

    def rolling_aggregate(
        self, name: str, window: int, min_periods: int | None = None, center: bool = False, ddof: int = 1
    ) -> Any:
        """An aggregate of the last ``window`` rows; see ``rolling``."""
        least = window if min_periods is None else min_periods
        if name not in ROLLING or window < 1 or least < 1:
            raise NotImplementedError(f"the engine has no rolling {name} of {window} rows, {least} of them there")

        def change(column: Column) -> Column:
            _only(column, NUMBERS, "rolling aggregate")
            return column.window(f"rolling_{name}", int(window), int(least), bool(center), ddof)

        return self._each_column(change)


def _running(name: str) -> Any:
    def method(self: Windows) -> Any:
        def change(column: Column) -> Column:
            _only(column, TOTALS, name)
            return column.window(name)

        return self._each_column(change)

    method.__name__ = name
    method.__doc__ = f"``{name}`` through all partitions, in order."
    return method


for _name in ("cumsum", "cumprod", "cummin", "cummax"):
    setattr(Windows, _name, _running(_name))

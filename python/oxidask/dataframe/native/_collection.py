"""From the engine's frames to the classes that users see."""

from __future__ import annotations

from typing import Any

from oxidask._oxidask import Column, Frame


def wrap(frame: Frame, kind: str) -> Any:
    """The user's object of a frame: ``kind`` is frame, series, index, scalar or array."""
    from oxidask.dataframe.native.frame import DataFrame
    from oxidask.dataframe.native.series import Array, Index, Scalar, Series

    if kind == "frame":
        return DataFrame(frame)
    cls = {"series": Series, "index": Index, "scalar": Scalar, "array": Array}[kind]
    return cls(column_with_name(frame))


def column_with_name(frame: Frame) -> Column:
    """The only column of a frame; one without a name is named ``""``."""
    name = frame.columns[0]
    column = frame.column(name)
    return column.rename(None) if name == "" else column

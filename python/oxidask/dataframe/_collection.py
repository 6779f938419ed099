"""From plans and metas to the classes that users see."""

from __future__ import annotations

from typing import Any

import pandas as pd

__all__ = ["new", "wrap", "wrap_native"]


def new(plan: Any, meta: Any, divisions: tuple[Any, ...] | None = None) -> Any:
    """The lazy object of a plan: its meta says which class it is of."""
    from oxidask.dataframe.frame import DataFrame
    from oxidask.dataframe.index import Index
    from oxidask.dataframe.scalar import Scalar
    from oxidask.dataframe.series import Series

    if divisions is None:
        divisions = (None,) * (plan.n + 1)
    if isinstance(meta, pd.DataFrame):
        return DataFrame._over(plan, meta, divisions)
    if isinstance(meta, pd.Series):
        return Series._over(plan, meta, divisions)
    if isinstance(meta, pd.Index):
        return Index._over(plan, meta, divisions)
    if _is_array(meta):
        from oxidask.dataframe._arrays import array_of

        return array_of(plan, meta)
    return Scalar._over(plan, meta, divisions)


def _is_array(meta: Any) -> bool:
    return getattr(meta, "ndim", 0) > 0 and hasattr(meta, "dtype")


def wrap_native(native: Any) -> Any:
    """The user's object of one of the engine's; other values stay as they are."""
    from oxidask.dataframe.frame import DataFrame
    from oxidask.dataframe.index import Index
    from oxidask.dataframe.native import frame, series
    from oxidask.dataframe.scalar import Scalar
    from oxidask.dataframe.series import Series

    pairs = {
        frame.DataFrame: DataFrame,
        series.Series: Series,
        series.Index: Index,
        series.Scalar: Scalar,
    }
    cls = pairs.get(type(native))
    return native if cls is None else cls._of_native(native)


def wrap(frame: Any, kind: str) -> Any:
    """The user's object of a frame of the engine: ``kind`` is frame, series, index, scalar or array."""
    from oxidask.dataframe.native import _collection

    return wrap_native(_collection.wrap(frame, kind))

"""How frames and columns show themselves before they are computed."""

from __future__ import annotations

from typing import Any

import pandas as pd

__all__ = ["bounds_of", "structure", "title"]


def bounds_of(rows: Any) -> pd.Index:
    """The divisions as labels, empty where they are not known; many are shortened."""
    if rows.known_divisions:
        name = f"npartitions={rows.npartitions}"
        return pd.Index([str(bound) for bound in rows.divisions], name=name)
    return pd.Index([""] * (rows.npartitions + 1), name=f"npartitions={rows.npartitions}")


def _dtype(dtype: Any) -> str:
    if isinstance(dtype, pd.CategoricalDtype):
        from oxidask.dataframe.categorical import is_known

        return "category[known]" if is_known(dtype) else "category[unknown]"
    return str(dtype)


def structure(rows: Any) -> pd.DataFrame:
    """Types in a first row, and a row of dots for every further bound."""
    index = bounds_of(rows)
    shown = list(index) if len(index) <= 9 else [*index[:4], "...", *index[-4:]]
    types = [_dtype(dtype) for dtype in rows._meta.dtypes]
    cells = [types, *(["..."] * len(types) for _ in shown[1:])]
    return pd.DataFrame(cells, index=pd.Index(shown, name=index.name), columns=rows.columns, dtype=object)


def title(rows: Any) -> str:
    """What made the rows: the name of the last step."""
    if rows._native is not None:
        expr = rows._native.__oxidask_expr__()
        return str(expr.label)
    return str(rows._plan.expr.label)

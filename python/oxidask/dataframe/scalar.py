"""Single lazy values."""

from __future__ import annotations

from typing import Any

import numpy as np

from oxidask.dataframe._methods import add_operators
from oxidask.dataframe.core import Collection

__all__ = ["Scalar"]


class Scalar(Collection):
    """One lazy value, such as a sum.

    Examples
    --------
    >>> import oxidask.dataframe as dd
    >>> total = dd.from_dict({"x": [1, 2, 3]}, npartitions=2).x.sum()
    >>> int((total * 2).compute())
    12
    """

    _kind = "scalar"

    @property
    def dtype(self) -> Any:
        """The type of the value."""
        meta = self._meta
        return meta.dtype if hasattr(meta, "dtype") else np.asarray(meta).dtype

    @property
    def _meta(self) -> Any:
        meta = Collection._meta.fget(self)  # type: ignore[attr-defined]
        if self._native is not None and hasattr(meta, "dtype") and getattr(meta, "ndim", 0):
            from oxidask.dataframe._meta import nonempty

            return nonempty(meta).iloc[0] if hasattr(meta, "iloc") else nonempty(meta)[0]
        return meta

    @property
    def ndim(self) -> int:
        """Always 0."""
        return 0

    @property
    def shape(self) -> tuple[()]:
        """Always empty."""
        return ()

    def to_series(self, index: Any = 0) -> Any:
        """The value as a column of one row, whose label is ``index``."""
        import pandas as pd

        meta = pd.Series([self._meta], index=[index]).iloc[:0]
        return self._map("to_series", _to_series, index, meta=meta, divisions=(index, index))

    def to_delayed(self, optimize_graph: bool = True) -> Any:
        """The value as a delayed one."""
        return self._plan.delayed(optimize_graph)[0]

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        # Pandas' own values may be read-only; who asks for a copy wants to write to it.
        return np.array(self.compute(), dtype=dtype, copy=True if copy else None)

    def __repr__(self) -> str:
        return f"<oxidask Scalar: type={type(self._meta).__name__}, dtype={self.dtype}>"

    def __int__(self) -> int:
        return int(self.compute())

    def __float__(self) -> float:
        return float(self.compute())


def _to_series(value: Any, index: Any) -> Any:
    import pandas as pd

    return pd.Series([value], index=[index])


add_operators(Scalar, "scalar")

"""How frames leave: files, records, arrays, text."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from oxidask.dataframe._methods import _lazy_of_pandas
from oxidask.dataframe.core import elemwise
from oxidask.dataframe.rows import Rows
from oxidask.dataframe.series import _into

__all__ = ["FrameOut"]


class FrameOut(Rows):
    """What becomes of a frame elsewhere."""

    def analyze(self, filename: Any = None, format: Any = None) -> None:
        """Prints the plan; see :meth:`explain`."""
        del filename, format
        self.explain()

    def to_parquet(self, path: Any, **kwargs: Any) -> Any:
        """Writes Parquet files; see ``oxidask.dataframe.to_parquet``."""
        from oxidask.dataframe.io.parquet_writer import to_parquet

        return to_parquet(self, path, **kwargs)

    def to_orc(self, path: Any, *args: Any, **kwargs: Any) -> Any:
        """Writes ORC files; see ``oxidask.dataframe.to_orc``."""
        from oxidask.dataframe.io.orc import to_orc

        return to_orc(self, path, *args, **kwargs)

    def to_records(self, index: bool = False, lengths: Any = None) -> Any:
        """Rows as records; see ``oxidask.dataframe.to_records``."""
        from oxidask.dataframe._arrays import to_records

        return to_records(self, index, lengths)

    def to_html(self, max_rows: int = 5) -> str:
        """The structure as HTML."""
        del max_rows
        return self._repr_html_()

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        from oxidask.dataframe import _pandas

        return _pandas.partition_of(self.compute()).__arrow_c_stream__(requested_schema)

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        # Pandas' own values may be read-only; who asks for a copy wants to write to it.
        return np.array(self.compute(), dtype=dtype, copy=True if copy else None)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if kwargs.get("out"):
            return _into(kwargs.pop("out"), self.__array_ufunc__(ufunc, method, *inputs, **kwargs))
        if method != "__call__":
            return NotImplemented
        # A pandas object among them is aligned like any other column.
        return elemwise(ufunc, *[_lazy_of_pandas(self, one) for one in inputs], **kwargs)

    def __repr__(self) -> str:
        return (
            f"oxidask DataFrame Structure:\n{self._structure().to_string(max_rows=5)}\n"
            f"npartitions={self.npartitions}\nDask Name: {self._title()}"
        )

    def _title(self) -> str:
        from oxidask.dataframe._formatting import title

        return title(self)

    def _repr_html_(self) -> str:
        table = self._structure().to_html(max_rows=5, show_dimensions=False, notebook=True)
        return (
            f"<div><strong>oxidask DataFrame Structure:</strong></div>{table}<div>{self.npartitions} partitions</div>"
        )

    def _structure(self) -> pd.DataFrame:
        from oxidask.dataframe._formatting import structure

        return structure(self)

"""Classes that other functions answer, under the names that Dask's documentation has."""

from __future__ import annotations

from oxidask.dataframe.groupby import DataFrameGroupBy, SeriesGroupBy
from oxidask.dataframe.groupby import DataFrameGroupBy as GroupBy
from oxidask.dataframe.rolling import Rolling

__all__ = ["DataFrameGroupBy", "GroupBy", "Rolling", "SeriesGroupBy"]

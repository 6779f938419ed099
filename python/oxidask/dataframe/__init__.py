"""Lazy dataframes with Dask's names and pandas' answers.

>>> import oxidask.dataframe as dd
>>> df = dd.from_dict({"name": ["a", "b", "a"], "births": [1, 2, 3]}, npartitions=2)
>>> df.groupby("name").births.sum().compute().to_dict()
{'a': 4, 'b': 2}

Steps within a partition run natively; functions of your own get pandas objects.
"""

from __future__ import annotations

from oxidask.base import compute, persist
from oxidask.dataframe._apply import map_partitions
from oxidask.dataframe.frame import DataFrame, concat, merge
from oxidask.dataframe.groupby import NamedAgg
from oxidask.dataframe.io import from_dict, from_pandas, read_csv, read_parquet, read_table
from oxidask.dataframe.series import Index, Scalar, Series

__all__ = [
    "DataFrame",
    "Index",
    "NamedAgg",
    "Scalar",
    "Series",
    "compute",
    "concat",
    "from_dict",
    "from_pandas",
    "map_partitions",
    "merge",
    "persist",
    "read_csv",
    "read_parquet",
    "read_table",
]

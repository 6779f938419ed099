"""Lazy dataframes with Dask's names and pandas' answers.

>>> import oxidask.dataframe as dd
>>> df = dd.from_dict({"name": ["a", "b", "a"], "births": [1, 2, 3]}, npartitions=2)
>>> df.groupby("name").births.sum().compute().to_dict()
{'a': 4, 'b': 2}

Steps within a partition run natively where the engine has them, and through
pandas where it has not; functions of your own get pandas objects.
"""

from __future__ import annotations

from oxidask.base import compute, persist
from oxidask.dataframe import extensions, utils
from oxidask.dataframe._aggregate import Aggregation
from oxidask.dataframe._apply import map_partitions
from oxidask.dataframe._arrays import from_array, from_dask_array, to_bag, to_records
from oxidask.dataframe._meta import make_meta
from oxidask.dataframe._overlap import map_overlap
from oxidask.dataframe.concatenation import concat
from oxidask.dataframe.creation import from_delayed, from_dict, from_map, from_pandas, repartition
from oxidask.dataframe.frame import DataFrame
from oxidask.dataframe.functions import (
    get_dummies,
    isna,
    melt,
    pivot,
    pivot_table,
    to_datetime,
    to_numeric,
    to_timedelta,
)
from oxidask.dataframe.groupby import NamedAgg
from oxidask.dataframe.index import Index
from oxidask.dataframe.io import demo
from oxidask.dataframe.io.csv import read_csv, read_fwf, read_table
from oxidask.dataframe.io.csv_writer import to_csv
from oxidask.dataframe.io.hdf import read_hdf, to_hdf
from oxidask.dataframe.io.json import read_json, to_json
from oxidask.dataframe.io.orc import read_orc, to_orc
from oxidask.dataframe.io.parquet import read_parquet
from oxidask.dataframe.io.parquet_writer import to_parquet
from oxidask.dataframe.io.sql import read_sql, read_sql_query, read_sql_table, to_sql
from oxidask.dataframe.merging import merge, merge_asof
from oxidask.dataframe.scalar import Scalar
from oxidask.dataframe.series import Series

__all__ = [
    "Aggregation",
    "DataFrame",
    "Index",
    "NamedAgg",
    "Scalar",
    "Series",
    "compute",
    "concat",
    "demo",
    "extensions",
    "from_array",
    "from_dask_array",
    "from_delayed",
    "from_dict",
    "from_map",
    "from_pandas",
    "get_dummies",
    "isna",
    "make_meta",
    "map_overlap",
    "map_partitions",
    "melt",
    "merge",
    "merge_asof",
    "persist",
    "pivot",
    "pivot_table",
    "read_csv",
    "read_fwf",
    "read_hdf",
    "read_json",
    "read_orc",
    "read_parquet",
    "read_sql",
    "read_sql_query",
    "read_sql_table",
    "read_table",
    "repartition",
    "to_bag",
    "to_csv",
    "to_datetime",
    "to_hdf",
    "to_json",
    "to_numeric",
    "to_orc",
    "to_parquet",
    "to_records",
    "to_sql",
    "to_timedelta",
    "utils",
]

"""Rows between the engine and pandas, by way of Arrow.

Missing values are null in the engine. Here they become what pandas makes of
them: NaN in numbers (whole numbers become floats), ``None`` among booleans,
NaT in times.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from oxidask._oxidask import Partition
from oxidask.dataframe import _labels


def _level(number: int) -> str:
    return f"__index_level_{number}__"


def _index(table: Any, kind: str, number: int, names: list[str | None]) -> Any:
    """The index of rows whose first columns are its levels."""
    labels = [None if name is None else _labels.decode(name) for name in names]
    if kind != "levels":
        name = labels[0] if len(labels) == 1 else None
        return pd.RangeIndex(number, number + table.num_rows, name=name)
    labels = labels if len(labels) == number else [None] * number
    if number == 1:
        return pd.Index(table.select([0]).to_pandas().iloc[:, 0].array, name=labels[0])
    if any(pa.types.is_dictionary(kind) for kind in table.schema.types[:number]):
        return pd.MultiIndex.from_frame(table.select(range(number)).to_pandas(), names=labels)
    levels, codes = zip(*[_level_and_codes(table.column(level)) for level in range(number)], strict=True)
    return pd.MultiIndex(levels=levels, codes=codes, names=labels, verify_integrity=False)


def _level_and_codes(column: pa.ChunkedArray) -> tuple[pd.Index, np.ndarray]:
    """The sorted distinct values of a level and, for each row, which of them it has; -1 for none.

    The same as pandas finds, which compares every value where Arrow hashes it once.
    """
    encoded = column.dictionary_encode().combine_chunks()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.chunk(0)
    level = pd.Index(pa.chunked_array([encoded.dictionary]).to_pandas().array)
    numbers = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    if level.is_monotonic_increasing:
        return level, numbers
    order = level.argsort()
    # The place behind the last is that of -1, which stays.
    places = np.full(len(level) + 1, -1, dtype=np.intp)
    places[order] = np.arange(len(level))
    return level[order], places[numbers]


@functools.lru_cache(maxsize=256)
def _no_values(kind: pa.DataType) -> Any:
    """No values of an Arrow type, as pandas has them."""
    return pa.chunked_array([], kind).to_pandas().array


def _empty(partition: Partition, kind: str, names: list[str | None]) -> Any:
    """What :func:`to_pandas` answers for no rows, which every method asks for that looks at columns and types."""
    schema = pa.RecordBatchReader.from_stream(partition).schema
    index_kind, number = partition.index
    first = number if index_kind == "levels" else 0
    labels = [None if name is None else _labels.decode(name) for name in names]
    if index_kind != "levels":
        index: Any = pd.RangeIndex(number, number, name=labels[0] if len(labels) == 1 else None)
    else:
        labels = labels if len(labels) == number else [None] * number
        levels = [pd.Index(_no_values(kind), name=label) for kind, label in zip(schema.types, labels, strict=False)]
        index = levels[0] if number == 1 else pd.MultiIndex.from_arrays(levels, names=labels)
    fields = schema.names[first:]
    if kind == "frame":
        frame = pd.DataFrame({i: _no_values(one) for i, one in enumerate(schema.types[first:])}, index=index)
        frame.columns = _labels.columns_index(fields)
        return frame
    values = _no_values(schema.types[first])
    name = None if fields[0] == "" else _labels.decode(fields[0])
    if kind == "series":
        return pd.Series(values, index=index, name=name)
    return pd.Index(values, name=name) if kind == "index" else values


def to_pandas(partition: Partition, kind: str = "frame", index_names: list[str | None] | None = None) -> Any:
    """The pandas object of some rows.

    Parameters
    ----------
    partition : Partition
    kind : {"frame", "series", "index", "scalar", "array"}
        What the rows are to their user.
    index_names : list of str or None
        The names of the index's levels.

    Returns
    -------
    pandas.DataFrame, pandas.Series, pandas.Index, a scalar or an array
    """
    if not partition.n_columns:
        return pd.DataFrame(index=pd.RangeIndex(partition.n_rows))
    if not partition.n_rows and kind != "scalar":
        return _empty(partition, kind, index_names or [None])
    table = pa.RecordBatchReader.from_stream(partition).read_all()
    index_kind, number = partition.index
    index = _index(table, index_kind, number, index_names or [None])
    first = number if index_kind == "levels" else 0
    frame = table.select(range(first, table.num_columns)).to_pandas(split_blocks=True)
    names = list(frame.columns)
    frame.index = index
    frame.columns = _labels.columns_index(names)
    if kind == "frame":
        return frame
    series = frame.iloc[:, 0]
    if kind == "scalar":
        return series.iloc[0]
    series.name = None if names[0] == "" else _labels.decode(names[0])
    if kind == "series":
        return series
    return pd.Index(series.array, name=series.name) if kind == "index" else series.array


def frame_of(data: Any) -> pd.DataFrame:
    """Anything that holds rows, as a pandas frame: scalars become one row."""
    if isinstance(data, pd.DataFrame):
        return data
    if isinstance(data, pd.Series):
        return data.to_frame("" if data.name is None else data.name)
    if isinstance(data, pd.Index):
        return data.to_frame(name="" if data.name is None else data.name, index=False)
    return pd.DataFrame({"": [data]})


def index_names_of(index: pd.Index) -> list[str | None]:
    """The engine's names of an index's levels."""
    return [None if name is None else _labels.encode(name) for name in index.names]


def partition_of(data: Any) -> Partition:
    """The rows of a pandas object, for the engine.

    Raises
    ------
    TypeError
        If a column holds objects of mixed types, or is named by no text.
    """
    frame = frame_of(data)
    columns = [_labels.encode(label) for label in frame.columns]
    index = frame.index
    plain = isinstance(index, pd.RangeIndex) and index.step == 1
    arrays = []
    names = []
    if not plain:
        for number in range(index.nlevels):
            names.append(_level(number))
            arrays.append(_array(index.get_level_values(number), "the index"))
    for position, name in enumerate(columns):
        names.append(name)
        arrays.append(_array(frame.iloc[:, position], f"column {frame.columns[position]!r}"))
    if len(set(names)) != len(names):
        raise ValueError("the columns' names are not unique\nhint: rename the columns first")
    if not names:
        # Arrow counts rows by columns only; the index lends them its own.
        names, arrays = [_level(0)], [_array(index, "the index")]
        plain = False
    table = pa.table(arrays, names=names)
    n_levels = 0 if plain else index.nlevels
    return Partition.from_arrow(table, n_levels, index.start if plain else 0)


def _array(values: Any, what: str) -> Any:
    try:
        array = pa.array(values, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
        raise TypeError(
            f"{what} holds values that do not share one type: {error}\nhint: convert it with astype first"
        ) from error
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    return array

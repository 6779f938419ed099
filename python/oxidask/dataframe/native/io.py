"""Reading and writing frames."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from oxidask import _oxidask
from oxidask.bytes import storage_pairs
from oxidask.dataframe import _labels, _pandas
from oxidask.dataframe.native._collection import wrap
from oxidask.dataframe.native.series import dtype_name

__all__ = ["from_pandas", "read_csv", "read_json", "read_parquet"]


def _paths(urlpath: Any) -> list[str]:
    if isinstance(urlpath, (str, os.PathLike)):
        return [os.fspath(urlpath)]
    return [os.fspath(path) for path in urlpath]


def _text_list(labels: Any) -> list[str]:
    return [labels] if isinstance(labels, str) else [str(label) for label in labels]


def read_csv(
    urlpath: Any,
    blocksize: Any = "64MiB",
    *,
    sep: str = ",",
    delimiter: str | None = None,
    header: int | str | None = "infer",
    names: Iterable[str] | None = None,
    usecols: Iterable[str] | None = None,
    dtype: Any = None,
    na_values: Any = None,
    keep_default_na: bool = True,
    parse_dates: Any = None,
    skiprows: int = 0,
    comment: str | None = None,
    quotechar: str | None = '"',
    quoting: int = 0,
    assume_missing: bool = False,
    include_path_column: bool | str = False,
    sample: int = 256000,
    compression: str | None = "infer",
    encoding: str | None = None,
    storage_options: dict[str, Any] | None = None,
) -> Any:
    r"""Reads CSV files into a frame: a partition for every ``blocksize`` bytes.

    Only the beginning of the first file is read now, for names and types. Blocks
    end at ends of records, also where quoted fields hold line breaks.

    Parameters
    ----------
    urlpath : str, path, or list of them
        Files or patterns such as ``"data/*.csv"``; ``.gz`` files are one partition each.
    blocksize : int, str or None
        Bytes for each partition; ``None`` for whole files.
    sep, delimiter : str
        One character between fields.
    header : 0, None or "infer"
        Whether the first record names the columns; without ``names`` it does.
    names : list of str
        The columns' names.
    usecols : list of str
        The only columns to read.
    dtype : str, type, or mapping of column to either
        Types, instead of what the sample suggests.
    na_values : str or list of str
        Further texts that stand for a missing value.
    keep_default_na : bool
        Whether pandas' usual texts, such as ``NA``, stand for one.
    parse_dates : list of str
        Columns that hold times.
    skiprows : int
        Lines to leave out at the beginning of each file.
    comment : str
        A character that begins lines to leave out.
    quotechar : str
    quoting : int
        3 (``csv.QUOTE_NONE``) if quotes mean nothing.
    assume_missing : bool
        Read whole numbers as floats where ``dtype`` does not name the column.
    include_path_column : bool or str
        A further column, ``path`` or of that name, with the path of the file.
    sample : int
        Bytes from which types are inferred.
    compression : "infer", None, "gzip", "bz2", "xz" or "zstd"
        By the file's name, or the same for all.
    encoding : str
        UTF-8 by default. Files in another one are a partition each.
    storage_options : dict
        Arguments of the file system, as fsspec spells them.

    Returns
    -------
    DataFrame
        Every partition is numbered from 0, as in Dask.

    Raises
    ------
    FileNotFoundError
        If nothing matches.
    ValueError
        When computed: a record with too many fields, or a value that does not fit
        its column; file, line and column are named.

    Examples
    --------
    >>> import tempfile, pathlib, oxidask.dataframe as dd
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> _ = (folder / "a.csv").write_text("x,y\n1,a\n2,NA\n")
    >>> dd.read_csv(folder / "*.csv").compute().isna().sum().tolist()
    [0, 1]
    """
    if header not in (0, None, "infer"):
        raise NotImplementedError(f"header={header!r}: the header is the first record, or None\nhint: use skiprows")
    if compression not in (None, "infer", "gzip", "bz2", "xz", "zstd"):
        raise NotImplementedError(f"the engine does not decompress {compression!r}")
    names = None if names is None else _text_list(names)
    has_header = header == 0 or (header == "infer" and names is None)
    options: dict[str, Any] = {
        "sep": delimiter or sep,
        "quotechar": None if quoting == 3 else quotechar,
        "comment": comment,
        "header": has_header,
        "skiprows": skiprows,
        "names": names,
        "usecols": None if usecols is None else _text_list(usecols),
        "na_values": [] if na_values is None else _text_list(na_values),
        "keep_default_na": keep_default_na,
        "parse_dates": _dates(parse_dates),
        "assume_missing": assume_missing,
        "sample": int(sample) if sample else 256000,
        "path_column": "path" if include_path_column is True else include_path_column or None,
        "blocksize": blocksize if blocksize != "default" else "64MiB",
        "compression": compression,
        "encoding": encoding,
        "storage_options": storage_pairs(storage_options),
    }
    if isinstance(dtype, Mapping):
        options["dtypes"] = [(str(name), dtype_name(own)) for name, own in dtype.items()]
    elif dtype is not None:
        options["dtype"] = dtype_name(dtype)
    frame = _oxidask.read_csv(_paths(urlpath), options)
    if not has_header and names is None:
        # pandas numbers the columns of a file without names.
        frame = frame.rename({name: _labels.encode(int(name)) for name in frame.columns if name.isdigit()})
    return wrap(frame, "frame")


def read_json(
    urlpath: Any, blocksize: Any = None, *, sample: int = 1 << 20, compression: str | None = "infer",
    encoding: str | None = None, storage_options: dict[str, Any] | None = None,
) -> Any:  # fmt: skip
    r"""Reads files of JSON objects, one a line, into a frame.

    Only the beginning of the first file is read now, for columns and types.

    Parameters
    ----------
    urlpath : str, path, or list of them
    blocksize : int or str
        Bytes for each partition; whole files by default.
    sample : int
        Bytes from which types are inferred.
    compression, encoding, storage_options
        As for ``read_csv``.
    """
    options = {
        "blocksize": blocksize,
        "sample": int(sample),
        "compression": compression,
        "encoding": encoding,
        "storage_options": storage_pairs(storage_options),
    }
    return wrap(_oxidask.read_json(_paths(urlpath), options), "frame")


def _dates(parse_dates: Any) -> list[str]:
    if parse_dates is None or parse_dates is False:
        return []
    if parse_dates is True or isinstance(parse_dates, Mapping):
        raise NotImplementedError("parse_dates takes a list of columns")
    return _text_list(parse_dates)


def read_parquet(path: Any, columns: Any = None) -> Any:
    """Reads Parquet files into a frame; only their footers are read now.

    Parameters
    ----------
    path : str, path, or list of them
        Files, patterns, or a folder of ``*.parquet`` files.
    columns : list of str, or str for a Series
        The only columns to read.

    Returns
    -------
    DataFrame or Series
        With the index that ``to_parquet`` wrote, else every partition is numbered
        from 0.

    Raises
    ------
    FileNotFoundError
        If nothing matches.
    ValueError
        If a file is no Parquet file, or the files have different columns.

    Examples
    --------
    >>> import tempfile, oxidask.dataframe as dd
    >>> folder = tempfile.mkdtemp()
    >>> _ = dd.from_dict({"x": [1, 2], "y": [3, 4]}, npartitions=2).to_parquet(folder)
    >>> dd.read_parquet(folder, columns="y").sum().compute().item()
    7
    """
    paths = [f"{one}/*.parquet" if os.path.isdir(one) else one for one in _paths(path)]
    if isinstance(columns, str):
        frame = _oxidask.read_parquet(paths, [columns])
        return wrap(frame, "frame")[columns]
    return wrap(_oxidask.read_parquet(paths, None if columns is None else _text_list(columns)), "frame")


def from_pandas(data: Any, npartitions: int | None = None, chunksize: int | None = None, sort: bool = True) -> Any:
    """A lazy frame, or column, of a pandas one.

    Parameters
    ----------
    data : pandas.DataFrame or pandas.Series
    npartitions : int
        At most so many partitions; 1 by default.
    chunksize : int
        Rows for each partition, instead.
    sort : bool
        Order by the index, so that divisions are known.

    Returns
    -------
    DataFrame or Series

    Raises
    ------
    TypeError
        If ``data`` is neither, or a column holds values of mixed types.

    Examples
    --------
    >>> import pandas as pd, oxidask.dataframe as dd
    >>> df = dd.from_pandas(pd.DataFrame({"x": [1, 2, 3]}), npartitions=2)
    >>> df.divisions, df.x.sum().compute().item()
    ((0, 2, 2), 6)
    """
    if not isinstance(data, (pd.DataFrame, pd.Series)):
        raise TypeError(f"data must be a pandas DataFrame or Series, not a {type(data).__name__}")
    if npartitions is not None and chunksize is not None:
        raise ValueError("pass npartitions or chunksize, not both")
    if chunksize is not None:
        if chunksize < 1:
            raise ValueError(f"chunksize must be at least 1, got {chunksize}")
        npartitions = max(1, -(-len(data) // chunksize))
    if sort and not data.index.is_monotonic_increasing:
        data = data.sort_index(kind="stable")
    rows = _pandas.partition_of(data)
    names = _pandas.index_names_of(data.index)
    frame = _oxidask.frame_of_partition(rows, names, 1 if npartitions is None else int(npartitions), sort)
    return wrap(frame, "series" if isinstance(data, pd.Series) else "frame")

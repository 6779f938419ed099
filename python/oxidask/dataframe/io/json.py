"""JSON: a record for every line, or a document for every file."""

from __future__ import annotations

import io
import os
from typing import Any

import pandas as pd

from oxidask.dataframe._collection import new
from oxidask.dataframe._plan import Plan
from oxidask.dataframe.io.csv import COMPRESSIONS, file_size, read_lines
from oxidask.dataframe.io.files import expand, numbered, opened, written

__all__ = ["read_json", "to_json"]


def _kind(path: str, compression: Any) -> Any:
    return COMPRESSIONS.get(os.path.splitext(path)[1]) if compression == "infer" else compression


class _Reader:
    """Reads a block of lines, or a whole file."""

    def __init__(self, meta: Any, path_column: Any, paths: list[str], convert: Any, options: Any, engine: Any, errors: str,
                 encoding: str, kwargs: dict[str, Any]) -> None:  # fmt: skip
        self.meta, self.path_column, self.paths, self.convert = meta, path_column, paths, convert
        self.options, self.engine, self.errors, self.encoding, self.kwargs = options, engine, errors, encoding, kwargs

    def __dask_tokenize__(self) -> Any:
        return (_Reader, tuple(vars(self).items()))

    def __call__(self, block: tuple[str, int, int | None, Any]) -> Any:
        path, start, length, compression = block
        data = read_lines(path, start, length, compression, self.options, b"\n")
        engine = self.engine if callable(self.engine) else pd.read_json
        text = io.StringIO(data.decode(self.encoding, self.errors))
        frame = engine(text, **self.kwargs)
        if self.meta is not None and not len(frame):
            return self.meta
        if self.path_column:
            shown = [self.convert(one) if self.convert else one for one in self.paths]
            own = self.convert(path) if self.convert else path
            frame[self.path_column] = pd.Categorical([own] * len(frame), categories=list(dict.fromkeys(shown)))
        return frame if self.meta is None or isinstance(frame, pd.Series) else frame[list(self.meta.columns)]


def read_json(
    url_path: Any, orient: str = "records", lines: Any = None, storage_options: Any = None, blocksize: Any = None,
    sample: int = 2**20, encoding: str = "utf-8", errors: str = "strict", compression: Any = "infer", meta: Any = None,
    engine: Any = None, include_path_column: Any = False, path_converter: Any = None, **kwargs: Any,
) -> Any:  # fmt: skip
    r"""Reads JSON files into a frame.

    Parameters
    ----------
    url_path : str, path, or list of them
    orient, lines, **kwargs
        As for ``pandas.read_json``; ``lines`` is true by default for records.
    storage_options : dict
        Arguments of the file system.
    blocksize : int or str
        Bytes for each partition, of records in lines; a partition for each file without it.
    sample : int
        Bytes from which columns and types are inferred, if blocks are read.
    encoding, errors, compression
        How text is read.
    meta : optional
        Columns and types.
    engine : callable, optional
        Reads text instead of ``pandas.read_json``.
    include_path_column : bool or str
        A further column with the path of the file.
    path_converter : callable
        Changes the paths for it.

    Examples
    --------
    >>> import tempfile, pathlib, oxidask.dataframe as dd
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "a.json"
    >>> _ = path.write_text('{"x": 1}\n{"x": 2}\n')
    >>> dd.read_json(path).x.sum().compute().item()
    3
    """
    if lines is None:
        lines = orient == "records"
    if orient != "records" and lines:
        raise ValueError(f"Line-delimited JSON is of orient='records', not {orient!r}")
    if blocksize and (orient != "records" or not lines):
        raise ValueError("blocksize divides files at line ends, so it needs orient='records' and lines=True")
    if isinstance(blocksize, str):
        from oxidask.utils import parse_bytes

        blocksize = parse_bytes(blocksize)
    plain = lines and orient == "records" and errors == "strict" and not (kwargs or include_path_column)
    if plain and meta is None and engine is None:
        made = _native(url_path, blocksize, sample, compression, encoding, storage_options)
        if made is not None:
            return made
    paths = expand(url_path, storage_options)
    if include_path_column is True:
        include_path_column = "path"
    if path_converter is None and include_path_column:
        path_converter = None
    call_kwargs = {"orient": orient, "lines": lines, **kwargs}
    engine = None if isinstance(engine, str) else engine
    blocks = []
    for path in paths:
        kind = _kind(path, compression)
        if blocksize and kind is None:
            size = file_size(path, storage_options)
            blocks.extend((path, start, min(blocksize, size - start), None) for start in range(0, size, blocksize))
        else:
            blocks.append((path, 0, None, kind))
    reader = _Reader(
        None, include_path_column, paths, path_converter, storage_options, engine, errors, encoding, call_kwargs
    )
    if meta is None:
        first = (
            paths[0],
            0,
            int(sample) if blocksize and _kind(paths[0], compression) is None else None,
            _kind(paths[0], compression),
        )
        frame = reader(first)
        if include_path_column and include_path_column not in frame:
            raise ValueError(include_path_column)
        meta = frame.iloc[:0]
    else:
        from oxidask.dataframe._meta import make_meta

        meta = make_meta(meta)
    reader.meta = meta
    return new(Plan.source(blocks, "blocks").map("read-json", reader), meta, None)


#: Names by which pandas takes numbers and texts for times.
_TIMES = ("_at", "_time", "timestamp", "modified", "date")


def _native(urlpath: Any, blocksize: Any, sample: int, compression: Any, encoding: str, storage_options: Any) -> Any:
    """The engine's reader of lines, if columns are plain and none would become times."""
    from oxidask.dataframe._collection import wrap_native
    from oxidask.dataframe.io.csv import REMOTE
    from oxidask.dataframe.io.files import is_local
    from oxidask.dataframe.native import io as native

    paths = [urlpath] if isinstance(urlpath, (str, os.PathLike)) else list(urlpath)
    paths = [os.fspath(path) for path in paths]
    if not all(is_local(path) or path.startswith(REMOTE) for path in paths):
        return None
    try:
        made = native.read_json(
            paths, blocksize, sample=sample, compression=compression, encoding=encoding, storage_options=storage_options
        )
        meta = made._meta
    except (NotImplementedError, TypeError, ValueError):
        # Nested records, and texts that are no JSON: pandas reads them, or says what is wrong.
        return None
    plain = all(dtype.kind in "iufb" or isinstance(dtype, pd.StringDtype) for dtype in meta.dtypes)
    times = any(str(name).lower().endswith(_TIMES) for name in meta.columns)
    return wrap_native(made) if plain and not times and len(meta.columns) else None


def _write(
    rows: Any, path: str, options: Any, encoding: str, errors: str, compression: Any, kwargs: dict[str, Any]
) -> str:
    kind = _kind(path, compression)
    with (
        written(path, options) as target,
        opened(target, "wt", options, compression=kind, encoding=encoding, errors=errors) as file,
    ):
        rows.to_json(file, **kwargs)
    return path


def to_json(
    df: Any, url_path: Any, orient: str = "records", lines: Any = None, storage_options: Any = None, compute: bool = True,
    encoding: str = "utf-8", errors: str = "strict", compression: Any = None, compute_kwargs: Any = None,
    name_function: Any = None, **kwargs: Any,
) -> Any:  # fmt: skip
    """Writes a JSON file for every partition, each whole or not at all.

    Parameters
    ----------
    df : DataFrame or Series
    url_path : str, path or list of them
        A pattern whose ``*`` becomes a number, a folder, or a path for every partition.
    orient, lines, **kwargs
        As for ``pandas.DataFrame.to_json``; ``lines`` is true by default for records.
    storage_options, encoding, errors, compression
        How files are opened.
    compute : bool
        Whether to write at once; else delayed values are answered that write.
    name_function : callable
        Makes the text for ``*`` of a number.

    Returns
    -------
    list of str
        The paths, or delayed values.
    """
    from oxidask import base

    if lines is None:
        lines = orient == "records"
    if orient != "records" and lines:
        raise ValueError(f"Line-delimited JSON is of orient='records', not {orient!r}")
    paths = numbered(url_path, df.npartitions, name_function, "part")
    call = {"orient": orient, "lines": lines, **kwargs}
    plan = df._plan.map(
        "to-json", _write, Plan.source(paths), storage_options, encoding, errors, compression or "infer", call
    )
    writes = plan.delayed()
    return list(base.compute(*writes, **(compute_kwargs or {}))) if compute else writes

"""ORC, by pyarrow."""

from __future__ import annotations

import os
from typing import Any

import pandas as pd

from oxidask.dataframe._collection import new
from oxidask.dataframe._plan import Plan
from oxidask.dataframe.io.files import expand, is_local, opened, written

__all__ = ["read_orc", "to_orc"]


def _read(piece: Any, columns: Any, index: Any, options: Any) -> pd.DataFrame:
    import pyarrow as pa
    import pyarrow.orc as orc

    tables = []
    for path, stripe in piece:
        with opened(path, "rb", options) as file:
            source = orc.ORCFile(file)
            wanted = None if columns is None else [*columns, *([index] if index and index not in columns else [])]
            part = (
                source.read(columns=wanted)
                if stripe is None
                else pa.Table.from_batches([source.read_stripe(stripe, columns=wanted)])
            )
            tables.append(part)
    frame = pa.concat_tables(tables).to_pandas()
    if index:
        frame = frame.set_index(index)
    return frame if columns is None else frame[[name for name in columns if name != index]]


def read_orc(
    path: Any, engine: Any = "pyarrow", columns: Any = None, index: Any = None, split_stripes: Any = 1,
    aggregate_files: Any = None, storage_options: Any = None,
) -> Any:  # fmt: skip
    """Reads ORC files into a frame, some stripes for each partition.

    Parameters
    ----------
    path : str, path, or list of them
    columns : list of str
        The only columns to read.
    index : str
        The column that is the index.
    split_stripes : int or False
        Stripes for each partition; whole files if false.
    aggregate_files : bool
        Whether stripes of several files may share a partition.
    storage_options : dict
        Arguments of the file system.
    engine : ignored

    Examples
    --------
    >>> import tempfile, oxidask.dataframe as dd
    >>> folder = tempfile.mkdtemp()
    >>> dd.from_dict({"x": [1, 2]}, npartitions=2).to_orc(folder, write_index=False)
    >>> dd.read_orc(folder).x.sum().compute().item()
    3
    """
    import pyarrow.orc as orc

    del engine
    paths = expand(path, storage_options, (".orc",))
    with opened(paths[0], "rb", storage_options) as file:
        schema = orc.ORCFile(file).schema
    meta = schema.empty_table().to_pandas()
    if columns is not None:
        missing = set(columns) - set(meta.columns)
        if missing:
            raise ValueError(f"the files lack the columns {list(missing)}\nhint: they have {list(meta.columns)}")
    meta = meta.set_index(index) if index else meta
    meta = meta if columns is None else meta[[name for name in columns if name != index]]
    stripes: list[tuple[str, Any]] = []
    pieces: list[list[tuple[str, Any]]] = []
    for one in paths:
        if not split_stripes:
            pieces.append([(one, None)])
            continue
        with opened(one, "rb", storage_options) as file:
            count = orc.ORCFile(file).nstripes
        own = [(one, number) for number in range(count)]
        if aggregate_files:
            stripes += own
        else:
            pieces += [own[i : i + int(split_stripes)] for i in range(0, len(own), int(split_stripes))]
    step = int(split_stripes or 1)
    pieces += [stripes[i : i + step] for i in range(0, len(stripes), step)]
    return new(
        Plan.source(pieces, "stripes").map("read-orc", _read, columns, index, storage_options), meta.iloc[:0], None
    )


def _write(rows: pd.DataFrame, path: str, options: Any, index: bool) -> str:
    import pyarrow as pa
    import pyarrow.orc as orc

    rows = rows.reset_index() if index else rows
    table = pa.Table.from_pandas(rows, preserve_index=False).replace_schema_metadata(None)
    with written(path, options) as target, opened(target, "wb", options) as file:
        orc.write_table(table, file)
    return path


def to_orc(
    df: Any, path: Any, engine: Any = "pyarrow", write_index: bool = True, storage_options: Any = None, compute: bool = True,
    compute_kwargs: Any = None,
) -> Any:  # fmt: skip
    """Writes an ORC file for every partition into a folder, each whole or not at all.

    Parameters
    ----------
    df : DataFrame
    path : str or path
    write_index : bool
        Whether labels become a column.
    storage_options : dict
        Arguments of the file system.
    compute : bool
        Whether to write at once; else delayed values are answered that write.
    engine : ignored
    """
    from oxidask import base

    del engine
    path = os.fspath(path)
    if is_local(path):
        os.makedirs(path.removeprefix("file://"), exist_ok=True)
    width = len(str(max(df.npartitions - 1, 0)))
    paths = [f"{path}/part.{str(i).zfill(width)}.orc" for i in range(df.npartitions)]
    writes = df._plan.map("to-orc", _write, Plan.source(paths), storage_options, bool(write_index)).delayed()
    if not compute:
        return writes
    base.compute(*writes, **(compute_kwargs or {}))
    return None

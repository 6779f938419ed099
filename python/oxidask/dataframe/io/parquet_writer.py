"""Writing Parquet: a file for every partition, by pyarrow."""

from __future__ import annotations

import os
import shutil
from typing import Any

import pandas as pd

from oxidask.dataframe._collection import new
from oxidask.dataframe._plan import Plan
from oxidask.dataframe.io.files import _natural, is_local
from oxidask.dataframe.io.parquet import SUFFIXES, index_columns, read_parquet

__all__ = ["to_parquet"]


def _write_file(rows: pd.DataFrame, target: str, options: Any, schema: Any, index: bool, kwargs: dict[str, Any]) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = _table(rows, schema, index)
    if not is_local(target):
        import fsspec

        with fsspec.open(target, "wb", **(options or {})) as file:
            pq.write_table(table, file, **kwargs)
        return target
    unfinished = f"{target}.unfinished-{os.getpid()}"
    try:
        pq.write_table(table, unfinished, **kwargs)
        os.replace(unfinished, target)
    except BaseException:
        if os.path.exists(unfinished):
            os.unlink(unfinished)
        raise
    del pa
    return target


def _table(rows: pd.DataFrame, schema: Any, index: bool) -> Any:
    import pyarrow as pa

    if schema is None or schema == "infer":
        return pa.Table.from_pandas(rows, preserve_index=index)
    if isinstance(schema, dict):
        inferred = pa.Schema.from_pandas(rows, preserve_index=index)
        for name, kind in schema.items():
            inferred = inferred.set(inferred.get_field_index(name), pa.field(name, kind))
        schema = inferred
    return pa.Table.from_pandas(rows, schema=schema, preserve_index=index)


def _write_partition(
    rows: pd.DataFrame, folder: str, name: str, options: Any, partition_on: list[str], schema: Any, index: bool,
    kwargs: dict[str, Any],
) -> Any:  # fmt: skip
    if not partition_on:
        return [_write_file(rows, f"{folder}/{name}", options, schema, index, kwargs)]
    written = []
    keys = partition_on if len(partition_on) > 1 else partition_on[0]
    for values, part in rows.groupby(keys, dropna=False, observed=True):
        values = values if isinstance(values, tuple) else (values,)
        inner = "/".join(f"{key}={_folder(value)}" for key, value in zip(partition_on, values, strict=True))
        target = f"{folder}/{inner}"
        if is_local(target):
            os.makedirs(target, exist_ok=True)
        part = part.drop(columns=partition_on)
        written.append(
            _write_file(part, f"{target}/{name}", options, None if schema == "infer" else schema, index, kwargs)
        )
    return written


def _folder(value: Any) -> str:
    return "__HIVE_DEFAULT_PARTITION__" if pd.isna(value) else str(value)


def _file_name(name_function: Any, number: int, offset: int, width: int) -> str:
    if name_function is not None:
        return str(name_function(number + offset))
    del width
    return f"part.{number + offset}.parquet"


def to_parquet(
    df: Any,
    path: Any,
    compression: Any = "snappy",
    write_index: bool = True,
    append: bool = False,
    overwrite: bool = False,
    ignore_divisions: bool = False,
    partition_on: Any = None,
    storage_options: Any = None,
    custom_metadata: Any = None,
    write_metadata_file: Any = None,
    compute: bool = True,
    compute_kwargs: Any = None,
    schema: Any = "infer",
    name_function: Any = None,
    filesystem: Any = None,
    engine: Any = None,
    **kwargs: Any,
) -> Any:
    """Writes a Parquet file for every partition into a folder; each is there whole or not at all.

    Parameters
    ----------
    df : DataFrame
    path : str or path
        The folder.
    compression : str
        Such as ``"snappy"``, ``"gzip"``, ``"zstd"``.
    write_index : bool
    append, overwrite : bool
        Whether to add to files that are there, or remove them first.
    ignore_divisions : bool
        Whether what is appended may overlap with what is there.
    partition_on : str or list of str
        Columns whose values become folders ``name=value``.
    storage_options : dict
        Arguments of the file system.
    custom_metadata : dict
        Further entries of the files' metadata.
    write_metadata_file : bool
        Whether to write ``_metadata`` with the footers of all files.
    compute : bool
        Whether to write at once; else a lazy value is answered that writes.
    schema : pyarrow.Schema, dict or "infer"
        Types of the files.
    name_function : callable
        Makes a file's name of a number.
    engine, filesystem
        Taken for compatibility.

    Raises
    ------
    ValueError
        If what is appended does not fit, or column names are no text.

    Examples
    --------
    >>> import tempfile, oxidask.dataframe as dd
    >>> folder = tempfile.mkdtemp()
    >>> dd.from_dict({"x": [1, 2]}, npartitions=2).to_parquet(folder)
    >>> len(dd.read_parquet(folder))
    2
    """
    from oxidask import base

    del filesystem
    if engine not in (None, "auto", "pyarrow", "fastparquet"):
        raise ValueError(f"Unsupported engine: \"{engine}\": 'pyarrow' is the engine")
    path = os.fspath(path).rstrip("/") or "/"
    partition_on = [partition_on] if isinstance(partition_on, str) else list(partition_on or [])
    if not all(isinstance(name, str) for name in df._meta.columns):
        raise ValueError(
            "Parquet names columns by texts, and a name of this frame is none\nhint: rename the columns first"
        )
    missing = set(partition_on) - set(df._meta.columns)
    if missing:
        raise ValueError(
            f"partition_on={partition_on} names what is no column\nhint: the columns are {list(df.columns)}"
        )
    if name_function is not None:
        if not callable(name_function):
            raise ValueError(f"name_function is {name_function!r}; it must be a function of the partition's number")
        names = [name_function(i) for i in range(df.npartitions)]
        if len(set(names)) < len(names):
            raise ValueError("name_function gives several partitions the same file name")
    if append and overwrite:
        raise ValueError("append=True and overwrite=True contradict each other\nhint: pass one of them")
    if overwrite:
        _clear(path, df, storage_options)
    offset = 0
    if append:
        offset = _fits(df, path, storage_options, write_index, ignore_divisions)
    if is_local(path):
        os.makedirs(path.removeprefix("file://"), exist_ok=True)
        path = path.removeprefix("file://")
    if custom_metadata is not None and b"pandas" in {k.encode() if isinstance(k, str) else k for k in custom_metadata}:
        raise ValueError("custom_metadata has the key b'pandas', which pandas' own description of the frame takes")
    kwargs = {"compression": compression, **kwargs}
    if schema == "infer" and not partition_on:
        schema = _schema(df, write_index)
    if custom_metadata:
        schema = _with_metadata(df, schema, write_index, custom_metadata)
    files = [_file_name(name_function, i, offset, 0) for i in range(df.npartitions)]
    plan = df._plan.map(
        "to-parquet", _write_partition, path, Plan.source(files), storage_options, partition_on, schema, bool(write_index), kwargs,
    )  # fmt: skip
    finish = plan.groups("finish", _finish, [(0, plan.n)], path, bool(write_metadata_file), append, storage_options)
    result = new(finish, None, None)
    if not compute:
        return result
    base.compute(result, **(compute_kwargs or {}))
    return None


def _schema(df: Any, index: bool) -> Any:
    """The types of the files, so that a column without values in one partition has them too."""
    import pyarrow as pa

    meta = df._meta
    for dtype in meta.dtypes:
        if dtype == "object" or isinstance(dtype, pd.CategoricalDtype):
            return None
    try:
        schema = pa.Schema.from_pandas(meta, preserve_index=index)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return None
    return None if any(pa.types.is_null(field.type) for field in schema) else schema.remove_metadata()


def _with_metadata(df: Any, schema: Any, index: bool, custom: dict[Any, Any]) -> Any:
    import pyarrow as pa

    base = schema if isinstance(schema, pa.Schema) else pa.Schema.from_pandas(df._meta_nonempty, preserve_index=index)
    entries = {
        k.encode() if isinstance(k, str) else k: v.encode() if isinstance(v, str) else v for k, v in custom.items()
    }
    return base.with_metadata({**(base.metadata or {}), **entries})


def _clear(path: str, df: Any, options: Any) -> None:
    if is_local(path):
        local = os.path.abspath(path.removeprefix("file://"))
        if local == os.path.abspath(os.getcwd()):
            raise ValueError(f"overwrite=True would empty the folder {local!r} that this process works in")
        for source in _sources(df):
            if os.path.abspath(source).startswith(local):
                raise ValueError(
                    f"Cannot overwrite: that would remove {source!r}, which this frame still reads\n"
                    "hint: write to another folder"
                )
        if os.path.isdir(local):
            shutil.rmtree(local)
        return
    import fsspec

    fs, inner = fsspec.core.url_to_fs(path, **(options or {}))
    if fs.isdir(inner):
        fs.rm(inner, recursive=True)


def _sources(df: Any) -> list[str]:
    """The files that a frame reads."""
    import re

    origins = df._plan.origins if df._native is None else (df._native._frame,)
    files = [one.removeprefix("file://") for one in origins if isinstance(one, str)]
    plans = [one.explain() for one in origins if not isinstance(one, str)]
    return files + [path for text in plans for path in re.findall(r"(/[^\s'\",\]]+)", text)]


def _fits(df: Any, path: str, options: Any, index: bool, ignore: bool) -> int:
    """How many files are there already, if what is appended fits."""
    del options
    import re

    import pyarrow.dataset as ds

    local = path.removeprefix("file://")
    if not os.path.isdir(local) or not any(name.endswith(SUFFIXES) for _, _, names in os.walk(local) for name in names):
        return 0
    dataset = ds.dataset(local, format="parquet", partitioning="hive")
    there = [name for name in dataset.schema.names if name not in index_columns(dataset.schema)]
    if set(there) != set(map(str, df._meta.columns)):
        raise ValueError(
            f"Appended columns must be those of the files, {there}; the appended frame has {list(df._meta.columns)}"
        )
    stored = dataset.schema.empty_table().to_pandas()
    for name in df._meta.columns:
        a, b = stored[name].dtype if name in stored.columns else None, df._meta[name].dtype
        if a is not None and a != b and "O" not in (getattr(a, "kind", "O"), getattr(b, "kind", "O")):
            raise ValueError(f"the column {name!r} is {a} in the files and {b} in the appended frame")
    if index and not ignore and df.known_divisions:
        old = read_parquet(local, calculate_divisions=True)
        if old.known_divisions and old.divisions[-1] >= df.divisions[0]:
            raise ValueError(
                f"the appended rows begin at {df.divisions[0]!r}, and overlap with previously written divisions, "
                f"which reach up to {old.divisions[-1]!r}\n"
                "hint: ignore_divisions=True appends all the same"
            )
    numbers = [
        int(m.group(1)) for _, _, names in os.walk(local) for n in names if (m := re.match(r"part\.(\d+)\.parquet$", n))
    ]
    return max(numbers, default=-1) + 1


def _finish(written: list[Any], path: str, metadata_file: bool, append: bool, options: Any) -> None:
    """Writes ``_metadata`` of all files, if it is wanted."""
    del options
    appended = append and is_local(path) and os.path.exists(os.path.join(path, "_metadata"))
    if not metadata_file and not appended:
        return None
    import pyarrow.parquet as pq

    files = [file for part in written for file in part]
    if appended:
        # What describes the folder describes the files that were there as well.
        inside = [os.path.join(folder, name) for folder, _, names in os.walk(path) for name in names]
        files = _natural(list({*files, *(one for one in inside if one.endswith(SUFFIXES))}))
    collected = []
    for file in files:
        metadata = pq.read_metadata(file)
        metadata.set_file_path(os.path.relpath(file, path))
        collected.append(metadata)
    schema = pq.read_schema(files[0])
    pq.write_metadata(schema, os.path.join(path, "_common_metadata"))
    pq.write_metadata(schema, os.path.join(path, "_metadata"), metadata_collector=collected)
    return None

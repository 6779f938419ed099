"""Parquet: the engine's reader, or pyarrow's, fragment by fragment."""

from __future__ import annotations

import contextlib
import os
import shutil
from typing import Any

import numpy as np
import pandas as pd

from oxidask.dataframe._collection import new, wrap_native
from oxidask.dataframe._plan import Plan
from oxidask.dataframe.io.files import expand, is_local

__all__ = ["read_parquet", "to_parquet"]

SUFFIXES = (".parq", ".parquet", ".pq")


def _dataset(path: Any, options: Any, filesystem: Any = None) -> Any:
    import pyarrow.dataset as ds

    fs = None if filesystem in ("fsspec", "arrow", "auto", None) else filesystem
    if isinstance(path, (list, tuple)):
        paths = [os.fspath(one) for one in path]
        if any(not is_local(one) for one in paths):
            import fsspec

            fs, _ = fsspec.core.url_to_fs(paths[0], **(options or {}))
            paths = [fs._strip_protocol(one) for one in paths]
        root = os.path.commonpath(paths) if len(paths) > 1 else None
        return ds.dataset(paths, format="parquet", filesystem=fs, partitioning="hive", partition_base_dir=root)
    path = os.fspath(path)
    if fs is None and not is_local(path):
        import fsspec

        fs, path = fsspec.core.url_to_fs(path, **(options or {}))
    return ds.dataset(path.removeprefix("file://"), format="parquet", filesystem=fs, partitioning="hive",
                      exclude_invalid_files=False)  # fmt: skip


def _expression(filters: Any) -> Any:
    """pyarrow's expression of filters in the form of lists."""
    import pyarrow.dataset as ds
    import pyarrow.parquet as pq

    if filters is None or isinstance(filters, ds.Expression):
        return filters
    if not isinstance(filters, (list, tuple)) or not filters:
        raise TypeError(f"filters is a list of (column, operator, value), or a list of such lists; got {filters!r}")
    return pq.filters_to_expression(_lists(filters))


def _lists(filters: Any) -> Any:
    first = filters[0]
    if isinstance(first, tuple) and len(first) and isinstance(first[0], str):
        return list(filters)
    return [list(group) for group in filters]


class _Fragments:
    """Reads row groups of files with pyarrow."""

    def __init__(
        self, columns: Any, index: Any, filters: Any, categories: Any, dtype_backend: Any, options: Any, kwargs: dict[str, Any],
        partition_dtypes: Any, meta: Any,
    ) -> None:  # fmt: skip
        self.columns, self.index, self.filters, self.categories = columns, index, filters, categories
        self.dtype_backend, self.options, self.kwargs = dtype_backend, options, kwargs
        self.partition_dtypes, self.meta = partition_dtypes, meta

    def __dask_tokenize__(self) -> Any:
        return (_Fragments, self.columns, self.index, str(self.filters), self.categories, self.dtype_backend, self.meta)

    def __call__(self, pieces: list[tuple[Any, Any, Any, Any]]) -> pd.DataFrame:
        import pyarrow as pa

        tables = [self._table(*piece) for piece in pieces]
        table = pa.concat_tables(tables, promote_options="permissive") if len(tables) > 1 else tables[0]
        return self.frame(table)

    def _table(self, path: str, groups: Any, keys: dict[str, Any], stamp: Any) -> Any:
        import pyarrow as pa
        import pyarrow.dataset as ds
        import pyarrow.fs

        del stamp
        fs: Any = pa.fs.LocalFileSystem()
        if not is_local(path):
            import fsspec

            fs, path = fsspec.core.url_to_fs(path, **(self.options or {}))
        format = ds.ParquetFileFormat()
        partition = None
        for name, value in keys.items():
            one = ds.field(name) == value if value is not None else ds.field(name).is_null()
            partition = one if partition is None else partition & one
        fragment = format.make_fragment(path, fs, row_groups=groups, **({} if partition is None else {"partition_expression": partition}))
        schema = fragment.physical_schema
        wanted = self.columns
        names = None
        if wanted is not None:
            extra = [name for name in self._index_names(schema) if name not in wanted]
            names = [name for name in [*wanted, *extra] if name in schema.names]
        expression = _expression(self.filters)
        if expression is not None and keys:
            full = pa.schema([*schema, *[pa.field(k, pa.scalar(v).type) for k, v in keys.items()]])
            table = fragment.to_table(schema=full.with_metadata(schema.metadata), columns=names, filter=expression)
        else:
            table = fragment.to_table(columns=names, filter=expression)
        for name, value in keys.items():
            if wanted is None or name in wanted:
                if name not in table.column_names:
                    table = table.append_column(name, pa.array([value] * table.num_rows, type=pa.scalar(value).type))
        return table

    def _index_names(self, schema: Any) -> list[str]:
        if self.index is False:
            return []
        if self.index is not None:
            return list(self.index)
        return [name for name in index_columns(schema) if isinstance(name, str)]

    def frame(self, table: Any) -> pd.DataFrame:
        """The pandas frame of a table, in the order and with the index of the meta."""
        made = table_frame(table, self.index, self.categories, self.dtype_backend, self.kwargs)
        for name, dtype in (self.partition_dtypes or {}).items():
            if name in made.columns:
                made[name] = made[name].astype(dtype)
        if self.meta is not None:
            made = made.reindex(columns=self.meta.columns) if list(made.columns) != list(self.meta.columns) else made
            changes = {
                name: dtype for name, dtype in self.meta.dtypes.items()
                if made.columns.is_unique and made[name].dtype != dtype and _should_convert(made[name], dtype)
            }  # fmt: skip
            made = made.astype(changes) if changes else made
        return made


def _should_convert(column: pd.Series, dtype: Any) -> bool:
    if isinstance(dtype, pd.CategoricalDtype):
        return False
    kind, seen = getattr(dtype, "kind", "O"), getattr(column.dtype, "kind", "O")
    if kind in "iu" and seen == "f":
        return not column.isna().any()
    return kind in "iufbM" and seen in "iufbMO" and not (kind != seen and seen == "M")


def index_columns(schema: Any) -> list[Any]:
    """The columns that pandas wrote as index; a dict stands for numbered rows."""
    meta = schema.pandas_metadata
    return list(meta["index_columns"]) if meta else []


def table_frame(table: Any, index: Any, categories: Any, dtype_backend: Any, kwargs: dict[str, Any]) -> pd.DataFrame:
    """A pandas frame of an Arrow table."""
    options: dict[str, Any] = dict(kwargs)
    if categories:
        options["categories"] = [name for name in categories if name in table.column_names]
    if dtype_backend == "pyarrow":
        options["types_mapper"] = pd.ArrowDtype
    elif dtype_backend == "numpy_nullable":
        options["types_mapper"] = _nullable
    if index is not None:
        options["ignore_metadata"] = False
        frame = table.to_pandas(**options)
        if index is False or frame.index.names != list(index):
            if any(name is not None for name in frame.index.names) or not isinstance(frame.index, pd.RangeIndex):
                named = all(name is not None for name in frame.index.names)
                frame = frame.reset_index() if named else frame.reset_index(names=_stored_names(table)) if index is False else frame.reset_index()
            else:
                frame = frame.reset_index(drop=True)
        if index is not False and index and list(frame.index.names) != list(index):
            frame = frame.set_index(list(index) if len(index) > 1 else index[0])
        return frame
    return table.to_pandas(**options)


def _stored_names(table: Any) -> list[str]:
    return [name for name in index_columns(table.schema) if isinstance(name, str)]


def _nullable(arrow_type: Any) -> Any:
    import pyarrow as pa

    pairs = {
        pa.int8(): pd.Int8Dtype(), pa.int16(): pd.Int16Dtype(), pa.int32(): pd.Int32Dtype(), pa.int64(): pd.Int64Dtype(),
        pa.uint8(): pd.UInt8Dtype(), pa.uint16(): pd.UInt16Dtype(), pa.uint32(): pd.UInt32Dtype(),
        pa.uint64(): pd.UInt64Dtype(), pa.bool_(): pd.BooleanDtype(), pa.float32(): pd.Float32Dtype(),
        pa.float64(): pd.Float64Dtype(), pa.string(): pd.StringDtype(), pa.large_string(): pd.StringDtype(),
    }  # fmt: skip
    return pairs.get(arrow_type)


def read_parquet(
    path: Any = None,
    columns: Any = None,
    filters: Any = None,
    categories: Any = None,
    index: Any = None,
    storage_options: Any = None,
    dtype_backend: Any = None,
    calculate_divisions: bool = False,
    ignore_metadata_file: bool = False,
    metadata_task_size: Any = None,
    split_row_groups: Any = "infer",
    blocksize: Any = "default",
    aggregate_files: Any = None,
    parquet_file_extension: Any = SUFFIXES,
    filesystem: Any = "fsspec",
    engine: Any = None,
    arrow_to_pandas: Any = None,
    **kwargs: Any,
) -> Any:
    """Reads Parquet files into a frame; only footers are read now.

    Parameters
    ----------
    path : str, path, or list of them
        Files, patterns, or a folder, also in folders ``name=value`` whose values become columns.
    columns : list of str, or str for a Series
        The only columns to read.
    filters : list of (column, operator, value), or list of such lists
        Rows to read; files and row groups that cannot hold any are not opened.
    categories : list or mapping
        Columns to read as categories.
    index : str, list or False
        The column that is the index; ``False`` for none; else that which was written.
    storage_options : dict
        Arguments of the file system.
    dtype_backend : {"numpy_nullable", "pyarrow"}
        Types of pandas to use.
    calculate_divisions : bool
        Whether divisions are taken from statistics.
    split_row_groups : bool, int, "infer" or "adaptive"
        Row groups for each partition.
    blocksize : int or str
        About so many bytes for each partition, if row groups are split or files joined.
    aggregate_files : bool or str
        Whether small files may share a partition.
    parquet_file_extension : str or tuple
        What names of files in folders end with.
    arrow_to_pandas : dict
        Arguments of ``pyarrow.Table.to_pandas``.
    ignore_metadata_file, metadata_task_size, filesystem, engine
        Taken for compatibility.

    Returns
    -------
    DataFrame or Series

    Raises
    ------
    FileNotFoundError
        If nothing matches.
    ValueError
        If a file is no Parquet file, or a column is not there.

    Examples
    --------
    >>> import tempfile, oxidask.dataframe as dd
    >>> folder = tempfile.mkdtemp()
    >>> _ = dd.from_dict({"x": [1, 2], "y": [3, 4]}, npartitions=2).to_parquet(folder)
    >>> dd.read_parquet(folder, columns="y").sum().compute().item()
    7
    """
    del ignore_metadata_file, metadata_task_size
    if engine not in (None, "auto", "pyarrow", "fastparquet"):
        raise ValueError(f"engine={engine!r}: 'pyarrow' is the engine")
    if "partitioning" in kwargs or (isinstance(kwargs.get("dataset"), dict) and "partitioning" in kwargs["dataset"]):
        kwargs.pop("dataset", None)
    if isinstance(path, (list, tuple)) and not path:
        raise ValueError("read_parquet was given an empty list of paths")
    plain = all(one is None for one in (filters, categories, index, storage_options, dtype_backend, arrow_to_pandas))
    if plain and not calculate_divisions and split_row_groups in ("infer", False) and not aggregate_files and not kwargs:
        made = _native(path, columns)
        if made is not None:
            return made
    if index is not None and index is not False:
        index = [index] if isinstance(index, str) else list(index)
    wanted = [columns] if isinstance(columns, str) else None if columns is None else list(columns)
    plan, meta, divisions = _planned(
        path, wanted, filters, categories, index, storage_options, dtype_backend, calculate_divisions, split_row_groups,
        blocksize, aggregate_files, parquet_file_extension, filesystem, arrow_to_pandas or {},
    )  # fmt: skip
    made = new(plan, meta, divisions)
    return made[columns] if isinstance(columns, str) else made


def _native(path: Any, columns: Any) -> Any:
    """The engine's reader, for files of this machine without partitions in their path."""
    from oxidask.dataframe.native import io as native

    given = [path] if isinstance(path, (str, os.PathLike)) else list(path)
    given = [os.fspath(one) for one in given]
    if not all(is_local(one) for one in given) or any("=" in one for one in given):
        return None
    for one in given:
        if os.path.isdir(one):
            names = os.listdir(one)
            if any(os.path.isdir(os.path.join(one, name)) for name in names) or not any(
                name.endswith(".parquet") for name in names
            ):
                return None
            if any(name.endswith((".parq", ".pq")) for name in names):
                return None
    if columns is not None and not isinstance(columns, str) and not len(columns):
        return None
    try:
        made = wrap_native(native.read_parquet(path, columns))
        schema = _first_schema(given)
    except (NotImplementedError, TypeError, ValueError, KeyError):
        return None
    return made if _is_alike(schema, made) else None


def _first_schema(paths: list[str]) -> Any:
    import pyarrow.parquet as pq

    return pq.read_schema(expand(paths, None, SUFFIXES)[0])


def _is_alike(schema: Any, made: Any) -> bool:
    """Whether the engine has the types that pandas would have."""
    import pyarrow as pa

    for field in schema:
        kind = field.type
        fine = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)
        fine = fine or pa.types.is_string(kind) or pa.types.is_large_string(kind)
        fine = fine or (pa.types.is_timestamp(kind) and kind.tz is None and kind.unit == "us")
        if not fine:
            return False
    wanted = schema.empty_table().to_pandas()
    frame = made._meta if isinstance(made._meta, pd.DataFrame) else made._meta.to_frame()
    if wanted.columns.name is not None or wanted.index.nlevels > 1 or wanted.index.names != frame.index.names:
        return False
    if wanted.index.dtype != frame.index.dtype:
        return False
    return all(name in wanted.columns and dtype == wanted[name].dtype for name, dtype in frame.dtypes.items())


def _pieces_of(dataset: Any, protocol: str, expression: Any) -> list[Any]:
    """(path, number of row groups, keys of folders, fragment) of every file."""
    import pyarrow.dataset as ds

    from oxidask.dataframe.io.files import _natural

    fragments = {fragment.path: fragment for fragment in dataset.get_fragments(filter=expression)}
    pieces = []
    for path in _natural(list(fragments)):
        fragment = fragments[path]
        pieces.append((protocol + path, fragment, ds.get_partition_keys(fragment.partition_expression)))
    return pieces


def _planned(
    path: Any, columns: Any, filters: Any, categories: Any, index: Any, options: Any, dtype_backend: Any, divisions: bool,
    split: Any, blocksize: Any, aggregate: Any, suffixes: Any, filesystem: Any, kwargs: dict[str, Any],
) -> Any:  # fmt: skip
    paths = path if isinstance(path, (list, tuple)) else [path]
    protocol = "" if is_local(os.fspath(paths[0])) else os.fspath(paths[0]).split("://", 1)[0] + "://"
    if not isinstance(path, (list, tuple)) and is_local(os.fspath(path)):
        local = os.fspath(path).removeprefix("file://")
        if any(mark in local for mark in "*?"):
            path = expand(local, options)
            if not path:
                raise FileNotFoundError(f"no file matches {local!r}")
        elif not os.path.exists(local):
            raise FileNotFoundError(f"there is no file {local!r}")
        elif os.path.isdir(local):
            suffixes = (suffixes,) if isinstance(suffixes, str) else suffixes
            inside = [os.path.join(r, n) for r, _, names in os.walk(local) for n in names if not n.startswith((".", "_"))]
            kept = inside if suffixes is None else [one for one in inside if one.endswith(tuple(suffixes))]
            if not kept:
                raise ValueError("No files satisfy the `parquet_file_extension` criteria (files must end with " + f"{suffixes}).")
            path = local if len(kept) == len(inside) and not any(n.startswith("_") for n in os.listdir(local)) else local
    elif isinstance(path, (list, tuple)):
        expanded: list[str] = []
        for one in map(os.fspath, path):
            expanded += expand(one, options, SUFFIXES) if is_local(one) else [one]
        path = expanded
    import pyarrow as pa

    try:
        dataset = _dataset(path, options, filesystem)
    except (pa.ArrowInvalid, OSError) as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise ValueError(f"{path!r} cannot be read as Parquet: {error}") from error
    expression = _expression(filters)
    schema = dataset.schema
    pieces = _pieces_of(dataset, protocol, expression)
    all_keys: dict[str, list[Any]] = {}
    for _, _, keys in _pieces_of(dataset, protocol, None) if pieces or expression is not None else []:
        for name, value in keys.items():
            values = all_keys.setdefault(name, [])
            if value not in values:
                values.append(value)
    with contextlib.suppress(TypeError):
        all_keys = {name: sorted(values) for name, values in all_keys.items()}
    partition_dtypes = {name: pd.CategoricalDtype(values) for name, values in all_keys.items()}
    meta = _meta(schema, columns, index, categories, dtype_backend, kwargs, partition_dtypes)
    call = _Fragments(columns, index, filters, categories, dtype_backend, options, kwargs, partition_dtypes, meta)
    groups = _grouped(pieces, split, blocksize, aggregate, expression)
    if not groups:
        return Plan.source([meta], "read-parquet"), meta, None
    bounds = _divisions(groups, schema, index, meta) if divisions else None
    if bounds is not None:
        order, bounds = bounds
        groups = [groups[i] for i in order]
    values = [[(p, g, k, _stamp(p)) for p, g, k, _ in group] for group in groups]
    return Plan.source(values, "row-groups").map("read-parquet", call), meta, bounds


def _stamp(path: str) -> Any:
    if not is_local(path):
        return None
    state = os.stat(path)
    return (state.st_mtime_ns, state.st_size)


def _meta(
    schema: Any, columns: Any, index: Any, categories: Any, dtype_backend: Any, kwargs: dict[str, Any], keys: Any
) -> pd.DataFrame:
    table = schema.empty_table()
    names = [name for name in schema.names]
    stored = [name for name in index_columns(schema) if isinstance(name, str)] if index is None else (index or [])
    if columns is not None:
        missing = [name for name in columns if name not in names]
        if missing:
            from oxidask.dataframe.frame import no_column

            error = no_column(missing[0], pd.Index(names))
            raise KeyError(f"The following columns were not found in the dataset {set(missing)}\n{error.args[0]}")
        table = table.select([*columns, *[name for name in stored if name not in columns and name in names]])
    for name in index or []:
        if name not in names:
            raise ValueError(f"the index {name!r} is no column of the files\nhint: the columns are {', '.join(names)}")
    frame = table_frame(table, index, categories, dtype_backend, kwargs)
    for name, dtype in keys.items():
        if name in frame.columns:
            frame[name] = frame[name].astype(dtype)
    if columns is not None:
        frame = frame[[name for name in columns if name in frame.columns]]
    if categories:
        from oxidask.dataframe.categorical import clear_known

        frame = clear_known(frame, [name for name in categories if name in frame.columns])
    for name in frame.columns:
        dtype = frame[name].dtype
        if isinstance(dtype, pd.CategoricalDtype) and name not in keys and not len(dtype.categories):
            from oxidask.dataframe.categorical import clear_known

            frame = clear_known(frame, [name])
    return frame.iloc[:0]


def _grouped(pieces: list[Any], split: Any, blocksize: Any, aggregate: Any, expression: Any) -> list[Any]:
    """The (path, row groups, keys, fragment) of every partition."""
    if blocksize == "default" or blocksize is None:
        blocksize = 256 << 20
    elif isinstance(blocksize, str):
        from oxidask.utils import parse_bytes

        blocksize = parse_bytes(blocksize)
    if split == "infer":
        sizes = [sum(_group_size(fragment, g) for g in range(fragment.metadata.num_row_groups)) for _, fragment, _ in pieces[:3]]
        split = "adaptive" if sizes and max(sizes) > blocksize else False
        if not split and aggregate:
            split = "adaptive"
    if split not in (True, False, "adaptive") and not isinstance(split, (int, np.integer)):
        raise ValueError("split_row_groups must be a bool, an integer, 'infer' or 'adaptive'")
    if split is False:
        made = []
        for path, fragment, keys in pieces:
            kept = None
            if expression is not None:
                kept = _surviving(fragment, expression)
                if not kept:
                    continue
            made.append([(path, kept, keys, fragment)])
        return made
    groups: list[Any] = []
    for path, fragment, keys in pieces:
        numbers = _surviving(fragment, expression)
        step = 1 if split is True else split
        if split == "adaptive":
            current: list[int] = []
            total = 0
            last_is_open = groups and aggregate and groups[-1] and groups[-1][0][2] == keys and groups[-1][-1][0] != path
            if last_is_open:
                total_before = sum(_group_size(f, g) for _, gs, _, f in groups[-1] for g in (gs or range(f.metadata.num_row_groups)))
                own = sum(_group_size(fragment, g) for g in numbers)
                if total_before + own <= blocksize:
                    groups[-1].append((path, numbers, keys, fragment))
                    continue
            for number in numbers:
                size = _group_size(fragment, number)
                if current and total + size > blocksize:
                    groups.append([(path, current, keys, fragment)])
                    current, total = [], 0
                current.append(number)
                total += size
            if current:
                groups.append([(path, current, keys, fragment)])
            continue
        if aggregate and step is not True and groups and isinstance(split, (int, np.integer)) and split is not True:
            last = groups[-1]
            held = sum(len(g) for _, g, _, _ in last)
            if last[0][2] == keys or aggregate is True:
                take = numbers[: max(0, int(step) - held)]
                if take:
                    last.append((path, take, keys, fragment))
                    numbers = numbers[len(take) :]
        for start in range(0, len(numbers), int(step)):
            groups.append([(path, numbers[start : start + int(step)], keys, fragment)])
    return groups


def _surviving(fragment: Any, expression: Any) -> list[int]:
    if expression is None:
        return list(range(fragment.metadata.num_row_groups))
    kept = fragment.subset(filter=expression)
    return [group.id for group in kept.row_groups]


def _group_size(fragment: Any, number: int) -> int:
    return int(fragment.metadata.row_group(number).total_byte_size)


def _divisions(groups: list[Any], schema: Any, index: Any, meta: pd.DataFrame) -> Any:
    """The order of partitions and their divisions, from statistics of the index; none if they do not tell."""
    names = [name for name in index_columns(schema) if isinstance(name, str)] if index is None else list(index or [])
    if len(names) != 1:
        ranges = index_columns(schema) if index is None else []
        del ranges
        return None
    name = names[0]
    ends = []
    for group in groups:
        lows, highs = [], []
        for _, numbers, _, fragment in group:
            metadata = fragment.metadata
            position = metadata.schema.names.index(name) if name in metadata.schema.names else None
            if position is None:
                return None
            for number in numbers if numbers is not None else range(metadata.num_row_groups):
                statistics = metadata.row_group(number).column(position).statistics
                if statistics is None or not statistics.has_min_max or statistics.null_count:
                    return None
                lows.append(statistics.min)
                highs.append(statistics.max)
        if not lows:
            return None
        ends.append((min(lows), max(highs)))
    order = sorted(range(len(ends)), key=lambda i: ends[i][0])
    ends = [ends[i] for i in order]
    if any(a[1] >= b[0] for a, b in zip(ends, ends[1:], strict=False)):
        return None
    labels = pd.Index([*(end[0] for end in ends), ends[-1][1]])
    if isinstance(meta.index, pd.DatetimeIndex):
        labels = pd.DatetimeIndex(labels).as_unit(meta.index.unit)
        labels = labels.tz_convert(meta.index.tz) if labels.tz is not None else labels.tz_localize(meta.index.tz) if meta.index.tz else labels
    return order, tuple(labels)


# -- writing ------------------------------------------------------------------------------


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
        written.append(_write_file(part, f"{target}/{name}", options, None if schema == "infer" else schema, index, kwargs))
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
        raise ValueError(f"engine={engine!r}: 'pyarrow' is the engine")
    path = os.fspath(path).rstrip("/") or "/"
    partition_on = [partition_on] if isinstance(partition_on, str) else list(partition_on or [])
    if not all(isinstance(name, str) for name in df._meta.columns):
        raise ValueError("parquet must have string column names")
    missing = set(partition_on) - set(df._meta.columns)
    if missing:
        raise ValueError(f"Partitioning on non-existent column. partition_on={partition_on} columns={list(df.columns)}")
    if name_function is not None:
        if not callable(name_function):
            raise ValueError("``name_function`` must be a callable with one argument.")
        names = [name_function(i) for i in range(df.npartitions)]
        if len(set(names)) < len(names):
            raise ValueError("``name_function`` must produce unique filenames.")
    if append and overwrite:
        raise ValueError("Cannot use both `overwrite=True` and `append=True`!")
    if overwrite:
        _clear(path, df, storage_options)
    offset = 0
    if append:
        offset = _fits(df, path, storage_options, write_index, ignore_divisions)
    if is_local(path):
        os.makedirs(path.removeprefix("file://"), exist_ok=True)
        path = path.removeprefix("file://")
    if custom_metadata is not None and b"pandas" in {k.encode() if isinstance(k, str) else k for k in custom_metadata}:
        raise ValueError("User-defined key/value metadata (custom_metadata) can not contain a b'pandas' key.")
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
        if dtype == object or isinstance(dtype, pd.CategoricalDtype):
            return None
    try:
        schema = pa.Schema.from_pandas(meta, preserve_index=index)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return None
    return None if any(pa.types.is_null(field.type) for field in schema) else schema.remove_metadata()


def _with_metadata(df: Any, schema: Any, index: bool, custom: dict[Any, Any]) -> Any:
    import pyarrow as pa

    base = schema if isinstance(schema, pa.Schema) else pa.Schema.from_pandas(df._meta_nonempty, preserve_index=index)
    entries = {k.encode() if isinstance(k, str) else k: v.encode() if isinstance(v, str) else v for k, v in custom.items()}
    return base.with_metadata({**(base.metadata or {}), **entries})


def _clear(path: str, df: Any, options: Any) -> None:
    if is_local(path):
        local = os.path.abspath(path.removeprefix("file://"))
        if local == os.path.abspath(os.getcwd()):
            raise ValueError("Cannot clear the contents of the current working directory!")
        for source in _sources(df):
            if os.path.abspath(source).startswith(local):
                raise ValueError(
                    "Cannot overwrite a path that you are reading from in the same task graph.\n"
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
    """The files that a frame reads, as its plan names them."""
    import re

    text = df._native._frame.explain() if df._native is not None else df._plan.expr.plan(False)
    return re.findall(r"(/[^\s'\",\]]+)", text)


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
        raise ValueError(f"Appended columns not the same.\nPrevious: {there} | New: {list(df._meta.columns)}")
    stored = dataset.schema.empty_table().to_pandas()
    for name in df._meta.columns:
        a, b = stored[name].dtype if name in stored.columns else None, df._meta[name].dtype
        if a is not None and a != b and "O" not in (getattr(a, "kind", "O"), getattr(b, "kind", "O")):
            raise ValueError(f"Appended dtypes differ.\n{{{name!r}: ({a}, {b})}}")
    if index and not ignore and df.known_divisions:
        old = read_parquet(local, calculate_divisions=True)
        if old.known_divisions and old.divisions[-1] >= df.divisions[0]:
            raise ValueError(
                "The divisions of the appended dataframe overlap with previously written divisions. If this is desired, "
                "set ``ignore_divisions=True`` to append anyway.\n"
                f"- End of last partition: {old.divisions[-1]}\n- Beginning of first new partition: {df.divisions[0]}"
            )
    numbers = [int(m.group(1)) for _, _, names in os.walk(local) for n in names if (m := re.match(r"part\.(\d+)\.parquet$", n))]
    return max(numbers, default=-1) + 1


def _finish(written: list[Any], path: str, metadata_file: bool, append: bool, options: Any) -> None:
    """Writes ``_metadata`` of all files, if it is wanted."""
    del append, options
    if not metadata_file:
        return None
    import pyarrow.parquet as pq

    files = [file for part in written for file in part]
    collected = []
    for file in files:
        metadata = pq.read_metadata(file)
        metadata.set_file_path(os.path.relpath(file, path))
        collected.append(metadata)
    schema = pq.read_schema(files[0])
    pq.write_metadata(schema, os.path.join(path, "_common_metadata"))
    pq.write_metadata(schema, os.path.join(path, "_metadata"), metadata_collector=collected)
    return None

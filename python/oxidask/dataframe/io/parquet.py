"""Reading Parquet: the engine's reader, or pyarrow's, fragment by fragment."""

from __future__ import annotations

import contextlib
import functools
import itertools
import operator
import os
from typing import Any

import numpy as np
import pandas as pd

from oxidask.dataframe._collection import new, wrap_native
from oxidask.dataframe._plan import Plan
from oxidask.dataframe.io.files import expand, is_local

__all__ = ["read_parquet"]

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
    """Pyarrow's expression of filters in the form of lists."""
    import pyarrow.dataset as ds
    import pyarrow.parquet as pq

    if filters is None or isinstance(filters, ds.Expression):
        return filters
    if not isinstance(filters, (list, tuple)) or not filters:
        raise TypeError(f"filters is a list of (column, operator, value), or a list of such lists; got {filters!r}")
    lists = _lists(filters)
    flat = lists if isinstance(lists[0], tuple) else [one for group in lists for one in group]
    for column, op, value in flat:
        if op in ("in", "not in") and (isinstance(value, (str, bytes)) or not hasattr(value, "__iter__")):
            raise TypeError(f"Value of 'in' filter for {column!r} is a list, a set or a tuple, not {value!r}")
    if not any(op in ("is", "is not") for _, op, _ in flat):
        return pq.filters_to_expression(lists)
    alternatives = [lists] if isinstance(lists[0], tuple) else lists
    either = [functools.reduce(operator.and_, map(_predicate, group)) for group in alternatives]
    return functools.reduce(operator.or_, either)


def _predicate(one: tuple[str, str, Any]) -> Any:
    """Pyarrow's expression of one filter; ``is`` and ``is not`` ask for what is missing."""
    import pyarrow.dataset as ds
    import pyarrow.parquet as pq

    column, op, value = one
    if op not in ("is", "is not"):
        return pq.filters_to_expression([one])
    missing = ds.field(column).is_null() if value is None else ds.field(column) == value
    return missing if op == "is" else ~missing


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
        fragment = format.make_fragment(
            path, fs, row_groups=groups, **({} if partition is None else {"partition_expression": partition})
        )
        schema = fragment.physical_schema
        self._check_types(path, schema)
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
            if (wanted is None or name in wanted) and name not in table.column_names:
                table = table.append_column(name, pa.array([value] * table.num_rows, type=pa.scalar(value).type))
        return table

    def _check_types(self, path: str, schema: Any) -> None:
        """Raises ``ValueError`` if a file has text where the first had numbers or times, or the other way round."""
        import pyarrow as pa

        if not isinstance(self.meta, pd.DataFrame) or not self.meta.columns.is_unique:
            return
        for name, dtype in self.meta.dtypes.items():
            number = schema.get_field_index(str(name))
            if number < 0 or not isinstance(dtype, np.dtype) or dtype.kind not in "iufbM":
                continue
            kind = schema.field(number).type
            if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_binary(kind):
                raise ValueError(
                    f"{path}: column {name!r} is {kind}, where the first file has {dtype}\n"
                    "hint: read the files by themselves and convert the column with astype"
                )

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
                frame = (
                    frame.reset_index()
                    if named
                    else frame.reset_index(names=_stored_names(table))
                    if index is False
                    else frame.reset_index()
                )
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
        raise ValueError(f"Unsupported engine: \"{engine}\": 'pyarrow' is the engine")
    if "partitioning" in kwargs or (isinstance(kwargs.get("dataset"), dict) and "partitioning" in kwargs["dataset"]):
        kwargs.pop("dataset", None)
    if isinstance(path, (list, tuple)) and not path:
        raise ValueError("read_parquet was given an empty list of paths")
    plain = all(one is None for one in (filters, categories, index, storage_options, dtype_backend, arrow_to_pandas))
    if (
        plain
        and not calculate_divisions
        and split_row_groups in ("infer", False)
        and not aggregate_files
        and not kwargs
    ):
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


def _is_plain(schema: Any) -> bool:
    """Whether pandas wrote no more about the columns than Arrow tells: no index, no types of its own."""
    import pyarrow as pa

    known = schema.pandas_metadata
    if known is None:
        return True
    if any(not isinstance(one, dict) or one.get("name") is not None for one in known["index_columns"]):
        return False
    if any(one["name"] is not None for one in known.get("column_indexes", [])):
        return False
    for column in known["columns"]:
        name, noted = column["field_name"], column["numpy_type"]
        kind = schema.field(name).type if name in schema.names else None
        if kind is None:
            return False
        if pa.types.is_string(kind) or pa.types.is_large_string(kind):
            plain = noted in ("object", "str")
        else:
            plain = noted == (
                "datetime64[us]" if pa.types.is_timestamp(kind) else np.dtype(kind.to_pandas_dtype()).name
            )
        if not plain:
            return False
    return True


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
    if _is_plain(schema):
        return True
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
            inside = [
                os.path.join(r, n) for r, _, names in os.walk(local) for n in names if not n.startswith((".", "_"))
            ]
            kept = inside if suffixes is None else [one for one in inside if one.endswith(tuple(suffixes))]
            if not kept:
                raise ValueError(f"no file of {local!r} ends with {suffixes}\nhint: pass parquet_file_extension=")
            path = local
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
    partition_dtypes = {
        name: pd.CategoricalDtype([value for value in values if value is not None]) for name, values in all_keys.items()
    }
    for name in categories or ():
        if name not in schema.names and name not in all_keys:
            raise ValueError(f"categories names {name!r}, and the files have the columns {schema.names}")
    meta = _meta(schema, columns, index, categories, dtype_backend, kwargs, partition_dtypes)
    call = _Fragments(columns, index, filters, categories, dtype_backend, options, kwargs, partition_dtypes, meta)
    groups = _grouped(pieces, split, blocksize, aggregate, expression, schema)
    if not groups:
        return Plan.source([meta], "read-parquet"), meta, None
    bounds = _divisions(groups, schema, index, meta) if divisions else None
    if bounds is not None:
        order, bounds = bounds
        groups = [groups[i] for i in order]
    values = [[(p, g, k, _stamp(p)) for p, g, k, _ in group] for group in groups]
    plan = Plan.source(values, "row-groups").map("read-parquet", call)
    return Plan(plan.expr, plan.n, tuple(piece[0] for piece in pieces), True), meta, bounds


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
            raise KeyError(f"the files lack {missing}\n{error.args[0]}")
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


def _grouped(pieces: list[Any], split: Any, blocksize: Any, aggregate: Any, expression: Any, schema: Any) -> list[Any]:
    """The (path, row groups, keys, fragment) of every partition."""
    if blocksize == "default" or blocksize is None:
        blocksize = 256 << 20
    elif isinstance(blocksize, str):
        from oxidask.utils import parse_bytes

        blocksize = parse_bytes(blocksize)
    if split == "infer":
        sizes = [
            sum(_group_size(fragment, g) for g in range(fragment.metadata.num_row_groups))
            for _, fragment, _ in pieces[:3]
        ]
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
                kept = _surviving(fragment, expression, schema)
                if not kept:
                    continue
            made.append([(path, kept, keys, fragment)])
        return made
    groups: list[Any] = []
    for path, fragment, keys in pieces:
        numbers = _surviving(fragment, expression, schema)
        step = 1 if split is True else split
        if split == "adaptive":
            current: list[int] = []
            total = 0
            last_is_open = (
                groups and aggregate and groups[-1] and groups[-1][0][2] == keys and groups[-1][-1][0] != path
            )
            if last_is_open:
                total_before = sum(
                    _group_size(f, g) for _, gs, _, f in groups[-1] for g in (gs or range(f.metadata.num_row_groups))
                )
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


def _surviving(fragment: Any, expression: Any, schema: Any) -> list[int]:
    if expression is None:
        return list(range(fragment.metadata.num_row_groups))
    kept = fragment.subset(filter=expression, schema=schema)
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
    if any(a[1] >= b[0] for a, b in itertools.pairwise(ends)):
        return None
    labels = pd.Index([*(end[0] for end in ends), ends[-1][1]])
    if isinstance(meta.index, pd.DatetimeIndex):
        labels = pd.DatetimeIndex(labels).as_unit(meta.index.unit)
        labels = (
            labels.tz_convert(meta.index.tz)
            if labels.tz is not None
            else labels.tz_localize(meta.index.tz)
            if meta.index.tz
            else labels
        )
    return order, tuple(labels)

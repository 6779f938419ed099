"""CSV and other text of rows: the engine's reader, or pandas on blocks of lines."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from oxidask.dataframe._collection import new, wrap_native
from oxidask.dataframe._plan import Plan
from oxidask.dataframe.io.files import expand, is_local, opened

__all__ = ["read_csv", "read_fwf", "read_table"]

#: Arguments that the engine's reader takes.
NATIVE = {
    "sep", "delimiter", "header", "names", "usecols", "dtype", "na_values", "keep_default_na", "parse_dates", "skiprows",
    "comment", "quotechar", "quoting", "compression", "encoding", "storage_options",
}  # fmt: skip

#: Addresses that the engine reads by itself; other file systems are fsspec's.
REMOTE = ("s3://", "http://", "https://")

COMPRESSIONS = {".gz": "gzip", ".bz2": "bz2", ".xz": "xz", ".zip": "zip", ".zst": "zstd"}

REFUSED = ("index_col", "iterator", "chunksize", "nrows")


def _compression(path: str, compression: Any) -> str | None:
    if compression == "infer":
        return COMPRESSIONS.get(os.path.splitext(path)[1])
    return compression  # type: ignore[no-any-return]


class _Reader:
    """Reads a block of lines with pandas."""

    def __init__(
        self, name: str, header: bytes, kwargs: dict[str, Any], first: dict[str, Any], dtypes: dict[str, Any], columns: Any,
        path_column: Any, paths: list[str], options: Any, terminator: bytes, enforce: bool,
    ) -> None:  # fmt: skip
        self.name, self.header, self.kwargs, self.first, self.dtypes = name, header, kwargs, first, dtypes
        self.columns, self.path_column, self.paths, self.options = columns, path_column, paths, options
        self.terminator, self.enforce = terminator, enforce

    def __dask_tokenize__(self) -> Any:
        return (_Reader, tuple((key, value) for key, value in vars(self).items()))

    def __call__(self, block: tuple[str, int, int | None, Any, Any]) -> pd.DataFrame:
        path, start, length, compression, _ = block
        data = read_lines(path, start, length, compression, self.options, self.terminator)
        kwargs = self.first if start == 0 else self.kwargs
        prefix = b"" if start == 0 or not self.header or data.startswith(self.header) else self.header
        frame: pd.DataFrame = getattr(pd, self.name)(io.BytesIO(prefix + data), **kwargs)
        frame = self._typed(frame, path)
        if self.path_column:
            frame = frame.assign(**{self.path_column: pd.Categorical.from_codes(
                np.full(len(frame), self.paths.index(path)), categories=self.paths)})  # fmt: skip
        return frame

    def _typed(self, frame: pd.DataFrame, path: str) -> pd.DataFrame:
        columns = list(self.columns)
        if self.enforce and list(frame.columns) != columns:
            raise ValueError(f"{path} has the columns {list(frame.columns)}, the first file has {columns}")
        if set(frame.columns) - set(columns) or set(columns) - set(frame.columns):
            if len(frame.columns) != len(columns):
                raise ValueError(
                    f"{path} has {len(frame.columns)} columns ({', '.join(map(str, frame.columns))}), "
                    f"the first file has {len(columns)} ({', '.join(map(str, columns))})"
                )
        frame.columns = columns
        errors, bad = [], []
        for name, wanted in self.dtypes.items():
            seen = frame[name].dtype
            if seen == wanted:
                continue
            if isinstance(wanted, np.dtype) and wanted.kind in "iu" and seen.kind == "f":
                bad.append((name, seen, wanted))
                continue
            try:
                frame[name] = frame[name].astype(wanted)
            except (TypeError, ValueError) as error:
                bad.append((name, seen, wanted))
                errors.append((name, error))
        if bad:
            raise ValueError(_mismatch(path, bad, errors))
        return frame


def _mismatch(path: str, bad: list[Any], errors: list[Any]) -> str:
    table = pd.DataFrame([(n, str(a), str(b)) for n, a, b in bad], columns=["Column", "Found", "Expected"])
    table = table.sort_values("Column").to_string(index=False)
    text = f"{path} has values of other types than the sample let expect:\n\n{table}\n"
    if errors:
        text += "\nno conversion helped with these columns:\n\n"
        text += "\n\n".join(f"- {name}\n  {error!r}" for name, error in sorted(errors)) + "\n"
    dates = [name for name, _, wanted in bad if getattr(wanted, "kind", "") == "M"]
    wanted = {name: ("float64" if getattr(kind, "kind", "") in "iuf" and getattr(seen, "kind", "") == "f" else str(seen))
              for name, seen, kind in bad if name not in dates}  # fmt: skip
    if wanted:
        body = ",\n       ".join(f"{name!r}: {kind!r}" for name, kind in sorted(wanted.items()))
        text += (
            "\nhint: types are inferred from the first rows only; name them in the call that reads, perhaps\n\n"
            f"dtype={{{body}}}\n"
        )
        if any(getattr(kind, "kind", "") in "iu" for _, _, kind in bad):
            text += "\nhint: assume_missing=True reads whole numbers as floats wherever dtype= is silent"
    return text


def read_lines(path: str, start: int, length: int | None, compression: Any, options: Any, terminator: bytes) -> bytes:
    """The whole lines that begin within a block."""
    with opened(path, "rb", options, compression=compression) as file:
        if length is None:
            data: bytes = file.read()
            return data[start:]
        # A terminator that ends where the block begins lies before it.
        before = max(start - len(terminator), 0)
        file.seek(before)
        begin = before + len(_rest_of_line(file, terminator)) if start else 0
        stop = start + length
        if begin >= stop:
            return b""
        file.seek(begin)
        body: bytes = file.read(max(stop - len(terminator) - begin, 0))
        return body + _rest_of_line(file, terminator)


def _rest_of_line(file: Any, terminator: bytes) -> bytes:
    """What follows in a file up to the end of the next terminator."""
    read = bytearray()
    while piece := file.read(1 << 16):
        searched = max(len(read) - len(terminator) + 1, 0)
        read += piece
        place = read.find(terminator, searched)
        if place >= 0:
            return bytes(read[: place + len(terminator)])
    return bytes(read)


def _blocks_of(paths: list[str], blocksize: Any, compression: Any, options: Any) -> list[tuple[Any, ...]]:
    blocks: list[tuple[Any, ...]] = []
    for path in paths:
        kind = _compression(path, compression)
        size = None if kind or blocksize is None else file_size(path, options)
        if size is None:
            blocks.append((path, 0, None, kind))
            continue
        count = max(1, -(-size // blocksize)) if size % blocksize or size < blocksize else size // blocksize
        step = size / count if size and size % blocksize and size / blocksize > 1.5 else blocksize
        starts = [int(i * step) for i in range(count)] if size else [0]
        ends = [*starts[1:], size]
        blocks.extend((path, a, b - a, None) for a, b in zip(starts, ends, strict=True))
    return blocks


def file_size(path: str, options: Any) -> int:
    """The length of a file in bytes."""
    if is_local(path):
        return os.path.getsize(path.removeprefix("file://"))
    import fsspec

    fs, inner = fsspec.core.url_to_fs(path, **(options or {}))
    return int(fs.size(inner))


def _native(name: str, urlpath: Any, blocksize: Any, kwargs: dict[str, Any], more: dict[str, Any]) -> Any:
    """The engine's reader, if it takes these arguments."""
    given = {key: value for key, value in kwargs.items() if value is not None or key == "header"}
    if name == "read_fwf" or not set(given) <= NATIVE:
        return None
    paths = [urlpath] if isinstance(urlpath, (str, os.PathLike)) else list(urlpath)
    paths = [os.fspath(path) for path in paths]
    if not all(is_local(path) or path.startswith(REMOTE) for path in paths) or given.get("quoting", 0) not in (0, 3):
        return None
    separator = given.get("sep", given.get("delimiter", ","))
    if not isinstance(separator, str) or (len(separator) != 1 and not separator):
        return None
    if len(separator) > 1 and any(mark in separator for mark in "\\+*[("):
        return None
    if not isinstance(given.get("skiprows", 0), int) or not isinstance(given.get("names", []), (list, tuple)):
        return None
    usecols, dates = given.get("usecols", []), given.get("parse_dates", [])
    if not isinstance(usecols, (list, tuple)) or not all(isinstance(one, str) for one in usecols):
        return None
    if not isinstance(dates, (list, tuple)) or not all(isinstance(one, str) for one in dates):
        return None
    if isinstance(given.get("na_values"), Mapping) or not _plain_dtypes(given.get("dtype")):
        return None
    if any(isinstance(one, int) for one in given.get("names", [])) or more["include_path_column"]:
        return None
    from oxidask.dataframe.native import io as native

    try:
        sep = {"sep": "\t"} if name == "read_table" and "sep" not in given and "delimiter" not in given else {}
        sample = more["sample"]
        return wrap_native(native.read_csv(paths, blocksize, assume_missing=more["assume_missing"], sample=sample,
                                           include_path_column=more["include_path_column"], **sep, **given))  # fmt: skip
    except NotImplementedError:
        return None


def _plain_dtypes(dtype: Any) -> bool:
    kinds = dtype.values() if isinstance(dtype, Mapping) else [dtype]
    for kind in kinds:
        if kind is None or kind is str:
            continue
        try:
            kind = pd.api.types.pandas_dtype(kind)
        except TypeError:
            # The engine says what is wrong with it.
            continue
        if not isinstance(kind, np.dtype) or kind.kind not in "iuf":
            if not (isinstance(kind, pd.StringDtype) and kind.na_value is not pd.NA):
                return False
    return True


def _read(
    name: str, urlpath: Any, blocksize: Any, lineterminator: Any, sample: Any, sample_rows: int, enforce: bool,
    assume_missing: bool, storage_options: Any, include_path_column: Any, kwargs: dict[str, Any],
) -> Any:  # fmt: skip
    for refused in REFUSED:
        if kwargs.get(refused) not in (None, False):
            if refused == "index_col":
                raise ValueError(
                    f"{name} makes no index of a column: index_col can only be False\n"
                    f"hint: oxidask.dataframe.{name}(...).set_index('the column')"
                )
            raise ValueError(f"{name} does not take {refused}" + ("\nhint: use head()" if refused == "nrows" else ""))
    if "index" in kwargs:
        raise ValueError(f"{name} does not take index\nhint: call set_index on the frame")
    if isinstance(kwargs.get("header"), (list, tuple)):
        raise TypeError(f"header={kwargs['header']!r}: {name} takes the names from one row only")
    if isinstance(sample, str):
        from oxidask.utils import parse_bytes

        sample = parse_bytes(sample)
    blocksize = _bytes(blocksize)
    if str(kwargs.get("encoding") or "").lower().replace("_", "-").startswith(("utf-16", "utf-32", "utf16", "utf32")):
        # A byte that ends lines may be half of a character there.
        blocksize = None
    more = {"assume_missing": assume_missing, "include_path_column": include_path_column, "sample": sample}
    if lineterminator in (None, "\n") and not enforce:
        made = _native(name, urlpath, blocksize, {**kwargs, "storage_options": storage_options}, more)
        if made is not None:
            return made
    return _through_pandas(
        name, urlpath, blocksize, lineterminator, sample, sample_rows, enforce, assume_missing, storage_options,
        include_path_column, kwargs,
    )  # fmt: skip


def _bytes(blocksize: Any) -> Any:
    if blocksize == "default":
        return 64 << 20
    if isinstance(blocksize, str):
        from oxidask.utils import parse_bytes

        return parse_bytes(blocksize)
    return blocksize


def _through_pandas(
    name: str, urlpath: Any, blocksize: Any, lineterminator: Any, sample: Any, sample_rows: int, enforce: bool,
    assume_missing: bool, storage_options: Any, include_path_column: Any, kwargs: dict[str, Any],
) -> Any:  # fmt: skip
    import warnings

    paths = expand(urlpath, storage_options)
    compression = kwargs.pop("compression", "infer")
    if blocksize is not None and any(_compression(path, compression) for path in paths):
        warnings.warn(
            f"files compressed with {_compression(paths[0], compression)} are not read in blocks: every file is one "
            "partition, and has to fit into memory\nhint: blocksize=None says so and silences this",
            UserWarning,
            stacklevel=4,
        )
        blocksize = None
    terminator = (lineterminator or "\n").encode()
    if lineterminator is not None and len(lineterminator) == 1:
        kwargs["lineterminator"] = lineterminator
    kind = _compression(paths[0], compression)
    wanted = sample if sample and (blocksize is not None or sample) else 256_000
    head = read_lines(paths[0], 0, None if kind else max(int(wanted), 1), kind, storage_options, terminator)
    reader = getattr(pd, name)
    skip, lines = _first_rows(kwargs)
    header = _header(head, kwargs, terminator, skip, lines)
    first = dict(kwargs)
    needed = 1 if kwargs.get("header", "infer") is None else 2
    if len([line for line in head.split(terminator) if line.strip()]) < needed and blocksize is not None and sample:
        if file_size(paths[0], storage_options) > len(head):
            raise ValueError(
                f"the first {len(head)} bytes of {paths[0]} hold no row of data\nhint: pass a larger sample= to {name}"
            )
    try:
        frame = reader(io.BytesIO(head), **kwargs)
    except pd.errors.ParserError as error:
        if "EOF" in str(error):
            raise ValueError(
                f"the header of {paths[0]} does not end within the first {len(head)} bytes (EOF)\n"
                f"hint: pass a larger sample= to {name}"
            ) from error
        raise
    if include_path_column is True:
        include_path_column = "path"
    if include_path_column and include_path_column in frame.columns:
        raise ValueError(
            f"the column of paths would be called {include_path_column!r}, as a column of the files is\n"
            "hint: pass another name as include_path_column="
        )
    given = kwargs.get("dtype")
    specified = set(given) if isinstance(given, Mapping) else (set(frame.columns) if given is not None else set())
    if assume_missing:
        for column in frame.columns:
            if column not in specified and frame[column].dtype.kind in "iu":
                frame[column] = frame[column].astype("float64")
    from oxidask.dataframe.categorical import clear_known

    meta = frame.iloc[:0].reset_index(drop=True)
    meta = clear_known(meta, _unknown_categories(given, meta))
    dtypes = {
        column: meta[column].dtype for column in meta.columns if not isinstance(meta[column].dtype, pd.CategoricalDtype)
    }
    dates = _date_columns(kwargs.get("parse_dates"), frame)
    dtypes = {column: dtype for column, dtype in dtypes.items() if column not in dates or dtype.kind == "M"}
    following = dict(kwargs)
    following.pop("skiprows", None)
    if not header and kwargs.get("header", "infer") not in (None, "infer"):
        following["header"] = None if kwargs.get("names") is not None else 0
    if header:
        following["header"] = 0
    elif kwargs.get("names") is not None:
        following["header"] = None
    blocks = _blocks_of(paths, blocksize, compression, storage_options)
    if include_path_column:
        meta = meta.assign(**{include_path_column: pd.Categorical([], categories=paths)})
    call = _Reader(
        name, header, following, first, dtypes, frame.columns, include_path_column, paths, storage_options, terminator, enforce
    )  # fmt: skip
    # The stamp makes a file that changed another source.
    blocks = [(*block, _stamp(block[0])) for block in blocks]
    return new(Plan.source(blocks, "blocks").map(name.replace("_", "-"), call).made_sure(), meta, None)


def _stamp(path: str) -> Any:
    """What changes when a file changes."""
    if not is_local(path):
        return None
    state = os.stat(path.removeprefix("file://"))
    return (state.st_mtime_ns, state.st_size)


def _unknown_categories(given: Any, meta: pd.DataFrame) -> list[Any]:
    def is_open(kind: Any) -> bool:
        return (isinstance(kind, str) and kind == "category") or (
            isinstance(kind, pd.CategoricalDtype) and kind.categories is None
        )

    if isinstance(given, Mapping):
        return [name for name, kind in given.items() if is_open(kind) and name in meta.columns]
    return list(meta.columns) if is_open(given) else []


def _date_columns(dates: Any, frame: pd.DataFrame) -> set[Any]:
    if not isinstance(dates, (list, tuple)):
        return set()
    return {frame.columns[one] if isinstance(one, int) and one not in frame.columns else one for one in dates}


def _first_rows(kwargs: dict[str, Any]) -> tuple[int, set[int]]:
    rows = kwargs.get("skiprows") or 0
    if isinstance(rows, int):
        return rows, set()
    if callable(rows):
        raise TypeError("skiprows as a function would need whole files: blocksize=None")
    return max(rows) + 1 if rows else 0, set(rows)


def _header(head: bytes, kwargs: dict[str, Any], terminator: bytes, skip: int, lines: set[int]) -> bytes:
    """The line that names the columns, which later blocks need too."""
    header = kwargs.get("header", "infer" if kwargs.get("names") is None else None)
    if header is None:
        return b""
    number = 0 if header == "infer" else int(header)
    comment = kwargs.get("comment")
    mark = comment.encode() if comment else None
    seen = 0
    parts = head.split(terminator)
    for position, line in enumerate(parts):
        if (position < skip and not lines) or position in lines:
            continue
        if not line.strip() or (mark and line.lstrip().startswith(mark)):
            continue
        if seen == number:
            return line + terminator
        seen += 1
    return b""


_DOC = """{summary}

    Parameters
    ----------
    urlpath : str, path, or list of them
        Files or patterns such as ``"data/*.csv"``, also of stores that fsspec knows.
    blocksize : int, str or None
        Bytes for each partition, ``"64MiB"`` by default; ``None`` for whole files.
    lineterminator : str
        What ends lines.
    sample : int or str
        Bytes from which types are inferred.
    sample_rows : int
        Taken for compatibility.
    enforce : bool
        Whether all files must have the same header.
    assume_missing : bool
        Read whole numbers as floats where ``dtype`` does not name the column.
    storage_options : dict
        Arguments of the file system.
    include_path_column : bool or str
        A further column, ``path`` or of that name, with the path of the file.
    **kwargs
        Arguments of ``pandas.{name}``. The engine reads by itself where it knows all of
        them; otherwise pandas reads every block.

    Returns
    -------
    DataFrame
        Every partition is numbered from 0.

    Raises
    ------
    FileNotFoundError
        If nothing matches.
    ValueError
        When computed: a record with too many fields, or a value that does not fit
        its column, with the file named.
{example}"""


def read_csv(
    urlpath: Any, blocksize: Any = "default", lineterminator: Any = None, sample: Any = 256_000, sample_rows: int = 10,
    enforce: bool = False, assume_missing: bool = False, storage_options: Any = None, include_path_column: Any = False,
    **kwargs: Any,
) -> Any:  # fmt: skip
    """Reads CSV files into a frame, in blocks of lines."""
    return _read(
        "read_csv", urlpath, blocksize, lineterminator, sample, sample_rows, enforce, assume_missing, storage_options,
        include_path_column, kwargs,
    )  # fmt: skip


def read_table(
    urlpath: Any, blocksize: Any = "default", lineterminator: Any = None, sample: Any = 256_000, sample_rows: int = 10,
    enforce: bool = False, assume_missing: bool = False, storage_options: Any = None, include_path_column: Any = False,
    **kwargs: Any,
) -> Any:  # fmt: skip
    """``read_csv`` with tabs between fields."""
    return _read(
        "read_table", urlpath, blocksize, lineterminator, sample, sample_rows, enforce, assume_missing, storage_options,
        include_path_column, kwargs,
    )  # fmt: skip


def read_fwf(
    urlpath: Any, blocksize: Any = "default", lineterminator: Any = None, sample: Any = 256_000, sample_rows: int = 10,
    enforce: bool = False, assume_missing: bool = False, storage_options: Any = None, include_path_column: Any = False,
    **kwargs: Any,
) -> Any:  # fmt: skip
    """Reads files of columns of fixed width."""
    return _read(
        "read_fwf", urlpath, blocksize, lineterminator, sample, sample_rows, enforce, assume_missing, storage_options,
        include_path_column, kwargs,
    )  # fmt: skip


_EXAMPLE = """
    Examples
    --------
    >>> import tempfile, pathlib, oxidask.dataframe as dd
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> _ = (folder / "a.csv").write_text("x,y\\n1,a\\n2,NA\\n")
    >>> dd.read_csv(folder / "*.csv").compute().isna().sum().tolist()
    [0, 1]
    """
read_csv.__doc__ = _DOC.format(
    summary="Reads CSV files into a frame, in blocks of lines.", name="read_csv", example=_EXAMPLE
)
read_table.__doc__ = _DOC.format(summary="``read_csv`` with tabs between fields.", name="read_table", example="")
read_fwf.__doc__ = _DOC.format(summary="Reads files of columns of fixed width.", name="read_fwf", example="")

"""Writing CSV: a file for every partition, or one for all."""

from __future__ import annotations

import os
from typing import Any

from oxidask.dataframe._plan import Plan
from oxidask.dataframe.io.files import is_local, numbered, opened

__all__ = ["to_csv"]


def _write_part(
    rows: Any, path: str, options: Any, mode: str, encoding: Any, compression: Any, newline: Any, kwargs: dict[str, Any]
) -> str:
    target = path.removeprefix("file://")
    if is_local(path) and mode in ("w", "wt", "wb", "x", "xt"):
        if mode.startswith("x") and os.path.exists(target):
            raise FileExistsError(f"File exists: {target!r}")
        unfinished = f"{target}.unfinished-{os.getpid()}"
        try:
            with opened(unfinished, "wt", options, compression=compression, encoding=encoding, newline=newline) as file:
                rows.to_csv(file, **kwargs)
            os.replace(unfinished, target)
        except BaseException:
            if os.path.exists(unfinished):
                os.unlink(unfinished)
            raise
        return path
    text_mode = mode if "t" in mode or "b" in mode else mode + "t"
    with opened(path, text_mode, options, compression=compression, encoding=encoding, newline=newline) as file:
        rows.to_csv(file, **kwargs)
    return path


def _write_single(parts: list[Any], path: str, options: Any, mode: str, encoding: Any, compression: Any) -> str:
    """Writes texts of partitions, which come in order, into one file."""
    text = "".join(parts)
    target = path.removeprefix("file://")
    append = "a" in mode
    if is_local(path) and not append:
        unfinished = f"{target}.unfinished-{os.getpid()}"
        try:
            with opened(unfinished, "wt", options, compression=compression, encoding=encoding, newline="") as file:
                file.write(text)
            os.replace(unfinished, target)
        except BaseException:
            if os.path.exists(unfinished):
                os.unlink(unfinished)
            raise
        return path
    with opened(
        path, "at" if append else "wt", options, compression=compression, encoding=encoding, newline=""
    ) as file:
        file.write(text)
    return path


def _text(rows: Any, number: int, kwargs: dict[str, Any], first_only: bool) -> str:
    if number and first_only:
        kwargs = {**kwargs, "header": False}
    return str(rows.to_csv(None, **kwargs))


def to_csv(
    df: Any,
    filename: Any,
    single_file: bool = False,
    encoding: str = "utf-8",
    mode: str = "wt",
    name_function: Any = None,
    compression: Any = None,
    compute: bool = True,
    scheduler: Any = None,
    storage_options: Any = None,
    header_first_partition_only: Any = None,
    compute_kwargs: Any = None,
    **kwargs: Any,
) -> Any:
    """Writes CSV files, one for every partition or a single one; each whole or not at all.

    Parameters
    ----------
    df : DataFrame or Series
    filename : str, path or list of them
        A pattern whose ``*`` becomes a number, a folder, a path for every partition,
        or the path of the single file.
    single_file : bool
    encoding, mode, compression : str
        How files are opened.
    name_function : callable
        Makes the text for ``*`` of a number.
    compute : bool
        Whether to write at once; else delayed values are answered that write.
    storage_options : dict
        Arguments of the file system.
    header_first_partition_only : bool
        Whether only the first file has a header; so it is for a single file.
    compute_kwargs : dict
        Arguments of ``compute``.
    **kwargs
        Arguments of ``pandas.DataFrame.to_csv``.

    Returns
    -------
    list of str
        The paths, or delayed values.
    """
    from oxidask import base

    if header_first_partition_only is None:
        header_first_partition_only = single_file
    if single_file and not header_first_partition_only:
        raise ValueError("a single file has one header: header_first_partition_only cannot be False")
    if single_file and name_function is not None:
        raise ValueError("name_function is not supported under the single file mode: there is one name, the path")
    if single_file:
        first = os.fspath(filename)
        if mode.startswith("x") and is_local(first) and os.path.exists(first.removeprefix("file://")):
            raise FileExistsError(f"File exists: {first!r}")
        parts = df._plan.map("text", _text, Plan.source(range(df.npartitions)), kwargs, True)
        plan = parts.groups(
            "to-csv", _write_single, [(0, parts.n)], first, storage_options, mode, encoding, compression
        )
        paths = [first]
    else:
        paths = numbered(filename, df.npartitions, name_function, "part")
        arguments = [
            {**kwargs, "header": False} if i and header_first_partition_only else kwargs for i in range(df.npartitions)
        ]
        if mode.startswith("x"):
            for path in paths:
                if is_local(path) and os.path.exists(path):
                    raise FileExistsError(f"File exists: {path!r}")
        plan = df._plan.map(
            "to-csv",
            _write_part,
            Plan.source(paths),
            storage_options,
            mode,
            encoding,
            compression,
            "",
            Plan.source(arguments),
        )
    writes = plan.delayed()
    if not compute:
        return writes
    base.compute(*writes, **({"scheduler": scheduler} if scheduler else {}), **(compute_kwargs or {}))
    return paths

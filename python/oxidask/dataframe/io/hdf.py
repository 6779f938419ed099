"""HDF5 in pandas' layouts, by PyTables. One task at a time touches HDF5."""

from __future__ import annotations

import glob
import os
import threading
from fnmatch import fnmatch
from typing import Any

import pandas as pd

from oxidask.dataframe._collection import new
from oxidask.dataframe._plan import Plan

__all__ = ["read_hdf", "to_hdf"]

#: PyTables is not safe for several threads.
_LOCK = threading.RLock()


def _keys(path: str, pattern: str) -> list[str]:
    with _LOCK, pd.HDFStore(path, mode="r") as store:
        keys = [key for key in store if fnmatch(key, pattern if pattern.startswith("/") else f"/{pattern}")]
    return sorted(keys)


def _size(path: str, key: str) -> tuple[int, str]:
    with _LOCK, pd.HDFStore(path, mode="r") as store:
        storer = store.get_storer(key)
        kind = storer.format_type
        rows = storer.nrows if kind == "table" else storer.shape[0] if storer.shape else 0
        return int(rows or 0), kind


def _read(piece: tuple[str, str, Any, Any], columns: Any, mode: str) -> Any:
    path, key, start, stop = piece
    with _LOCK:
        return pd.read_hdf(path, key, mode=mode, start=start, stop=stop, columns=columns)


def _empty(path: str, key: str, columns: Any, mode: str) -> Any:
    with _LOCK:
        try:
            return pd.read_hdf(path, key, mode=mode, stop=0, columns=columns)
        except (TypeError, ValueError):
            return pd.read_hdf(path, key, mode=mode).iloc[:0]


def read_hdf(
    pattern: Any, key: str, start: int = 0, stop: int | None = None, columns: Any = None, chunksize: int = 1_000_000,
    sorted_index: bool = False, lock: bool = True, mode: str = "r",
) -> Any:  # fmt: skip
    """Reads tables of HDF5 files that pandas wrote.

    Parameters
    ----------
    pattern : str, path, or list of them
        Files or patterns.
    key : str
        The name of a table in them, or a pattern of names.
    start, stop : int
        The first row, and the row after the last.
    columns : list of str
        The only columns to read, of the layout ``table``.
    chunksize : int
        Rows for each partition, of the layout ``table``.
    sorted_index : bool
        Whether labels are in order, so that divisions are found out.
    lock : ignored
    mode : str
        How files are opened.

    Raises
    ------
    OSError
        If a file or key is not there.
    """
    del lock
    given = [pattern] if isinstance(pattern, (str, os.PathLike)) else list(pattern)
    paths = [path for one in map(os.fspath, given) for path in (sorted(glob.glob(one)) or [one])]
    if not paths or (len(given) > 1 and not paths):
        raise OSError(f"File(s) not found: {pattern}")
    for path in paths:
        if not os.path.exists(path):
            raise OSError(f"File(s) not found: {pattern}")
    if chunksize <= 0:
        raise ValueError("Chunksize must be a positive integer")
    if start is not None and stop is not None and start >= stop:
        raise ValueError(f"Start row number ({start}) is above or equal to stop row number ({stop})")
    pieces: list[tuple[str, str, Any, Any]] = []
    for path in paths:
        for name in _keys(path, key):
            rows, kind = _size(path, name)
            if kind != "table":
                if start or stop is not None or columns is not None:
                    if (stop is not None and stop != rows) or start:
                        raise TypeError(
                            "This HDFStore is not partitionable and can only be use monolithically with pandas. In the "
                            "future when creating HDFStores use the ``format='table'`` option to ensure that your dataset "
                            "can be parallelized"
                        )
                pieces.append((path, name, None, None))
                continue
            last = rows if stop is None else stop
            if start > rows or last > rows:
                raise ValueError(f"Start row number ({start}) is above or equal to stop row number ({rows})")
            pieces += [(path, name, a, min(a + chunksize, last)) for a in range(start, max(last, start + 1), chunksize)]
    if not pieces:
        raise OSError(f"there is no table {key!r} in {', '.join(paths)}")
    meta = _empty(pieces[0][0], pieces[0][1], columns, mode)
    plan = Plan.source(pieces, "tables").map("read-hdf", _read, columns, mode)
    if sorted_index:
        from oxidask.dataframe._shuffle import with_known_divisions

        return with_known_divisions(plan, meta.iloc[:0])
    return new(plan, meta.iloc[:0], None)


def _write(
    parts: list[Any], targets: list[tuple[str, str]], kwargs: dict[str, Any], append: bool, mode: str
) -> list[str]:
    """Writes partitions one after another, each to its file and key."""
    seen: set[tuple[str, str]] = set()
    opened: set[str] = set()
    with _LOCK:
        for rows, (path, key) in zip(parts, targets, strict=True):
            own_mode = mode if path not in opened else "a"
            opened.add(path)
            again = append or (path, key) in seen
            seen.add((path, key))
            rows.to_hdf(path, key=key, mode=own_mode, append=again, format="table", **kwargs)
    return list(dict.fromkeys(path for path, _ in targets))


def to_hdf(
    df: Any, path: Any, key: str, mode: str = "a", append: bool = False, scheduler: Any = None, name_function: Any = None,
    compute: bool = True, lock: Any = None, dask_kwargs: Any = None, **kwargs: Any,
) -> Any:  # fmt: skip
    """Writes tables of HDF5 files in pandas' layout ``table``.

    Parameters
    ----------
    df : DataFrame or Series
    path : str or path
        A file, or a pattern whose ``*`` becomes a number.
    key : str
        The name of the table, or a pattern.
    mode, append
        As for ``pandas.DataFrame.to_hdf``.
    name_function : callable
        Makes the text for ``*`` of a number.
    compute : bool
        Whether to write at once; else a delayed value is answered that writes.
    lock : ignored
    **kwargs
        As for ``pandas.DataFrame.to_hdf``; the layout ``fixed`` is not offered.

    Returns
    -------
    list of str
        The paths, or a delayed value.
    """
    from oxidask import base

    del lock
    path = os.fspath(path)
    if kwargs.pop("format", "table") not in ("table", "t"):
        raise ValueError("Dask only support 'table' format in hdf files.")
    if ("*" in key and path.count("*") + key.count("*") > 1) or path.count("*") > 1:
        raise ValueError("A maximum of one asterisk is accepted in file path and dataset key")
    if mode not in ("a", "w", "r+"):
        raise ValueError("Mode must be one of 'a', 'w' or 'r+'")
    if name_function is not None:
        names = [str(name_function(i)) for i in range(df.npartitions)]
        if names != sorted(names):
            import warnings

            warnings.warn(
                "To preserve order between partitions name_function must preserve the order of its input",
                UserWarning,
                stacklevel=3,
            )
    else:
        width = len(str(max(df.npartitions - 1, 0)))
        names = [str(i).zfill(width) for i in range(df.npartitions)]
    targets = [(path.replace("*", name), key.replace("*", name)) for name in names]
    plan = df._plan.groups("to-hdf", _write, [(0, df.npartitions)], targets, kwargs, append, mode)
    write = plan.delayed()[0]
    if not compute:
        return write
    (paths,) = base.compute(write, **({"scheduler": scheduler} if scheduler else {}), **(dask_kwargs or {}))
    return paths

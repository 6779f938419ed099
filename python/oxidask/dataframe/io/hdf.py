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
        raise OSError(f"there is no file {pattern!r}")
    for path in paths:
        if not os.path.exists(path):
            raise OSError(f"there is no file {pattern!r}")
    if chunksize <= 0:
        raise ValueError(f"chunksize is {chunksize}; it must be at least 1")
    if start is not None and stop is not None and start >= stop:
        raise ValueError(f"start={start} leaves no row before stop={stop}")
    pieces: list[tuple[str, str, Any, Any]] = []
    for path in paths:
        for name in _keys(path, key):
            rows, kind = _size(path, name)
            if kind != "table":
                if start or stop is not None or columns is not None:
                    if (stop is not None and stop != rows) or start:
                        raise TypeError(
                            f"{name!r} in {path} has the layout 'fixed', which is read as a whole or not at all\n"
                            "hint: write it with format='table'"
                        )
                pieces.append((path, name, None, None))
                continue
            last = rows if stop is None else stop
            if start > rows or last > rows:
                raise ValueError(f"start={start} and stop={stop} go beyond the {rows} rows of {name!r} in {path}")
            pieces += [(path, name, a, min(a + chunksize, last)) for a in range(start, max(last, start + 1), chunksize)]
    if not pieces:
        raise OSError(f"there is no table {key!r} in {', '.join(paths)}")
    meta = _empty(pieces[0][0], pieces[0][1], columns, mode)
    plan = Plan.source(pieces, "tables").map("read-hdf", _read, columns, mode)
    if sorted_index:
        from oxidask.dataframe._set_index import with_known_divisions

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
        raise ValueError("to_hdf writes the layout format='table' only")
    if ("*" in key and path.count("*") + key.count("*") > 1) or path.count("*") > 1:
        raise ValueError(f"path={path!r} and key={key!r} may have one '*' between them")
    if mode not in ("a", "w", "r+"):
        raise ValueError(f"mode is {mode!r}; it must be 'a', 'w' or 'r+'")
    if name_function is not None:
        names = [str(name_function(i)) for i in range(df.npartitions)]
        if names != sorted(names):
            import warnings

            warnings.warn(
                "the names that name_function makes do not sort like the partitions, so reading them changes the order",
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

"""Text files as bags of lines, and bags as text files."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from oxidask import _oxidask
from oxidask.bag import _steps
from oxidask.bag.core import Bag

__all__ = ["read_text", "to_textfiles"]


def read_text(
    urlpath: Any,
    blocksize: int | str | None = None,
    compression: str | None = "infer",
    encoding: str = "utf-8",
    errors: str = "strict",
    linedelimiter: str | None = None,
    collection: bool = True,
    storage_options: dict[str, Any] | None = None,
    files_per_partition: int | None = None,
    include_path: bool = False,
) -> Any:
    r"""The lines of text files.

    Parameters
    ----------
    urlpath : str, path or list of these
        Files and globs of this machine's file systems.
    blocksize : int or str, optional
        About how many bytes a partition reads, as ``"64MiB"``; one partition for
        each file by default.
    compression : {"infer", "gzip", None}
        ``"infer"`` looks at the endings of names.
    encoding : str
        Any encoding that Python knows.
    errors : str
        What to do with bytes that cannot be decoded, as for ``bytes.decode``.
    linedelimiter : str, optional
        What ends a line. By default any newline does, and lines end in ``"\n"``.
    collection : bool
        Whether to answer a bag; else a list of delayed values.
    storage_options : dict, optional
        Must be empty: local files have no options.
    files_per_partition : int, optional
        How many files to read into each partition; excludes ``blocksize``.
    include_path : bool
        Whether elements are pairs of a line and the path of its file.

    Returns
    -------
    Bag or list of Delayed
        Lines with their ends.

    Raises
    ------
    FileNotFoundError
        If a file does not exist or a glob matches nothing. (Dask raises a
        ``ValueError`` or ``OSError``.)
    ValueError
        If a compression is not supported, or a compressed file would have to be
        read in blocks; when computed, if a file is not in the encoding.

    Examples
    --------
    >>> import os, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "a.txt")
    ...     _ = open(path, "w").write("one\ntwo\n")
    ...     read_text(path).map(str.strip).compute()
    ['one', 'two']
    """
    if blocksize is not None and files_per_partition is not None:
        raise ValueError("only one of blocksize and files_per_partition can be given")
    if storage_options:
        raise ValueError(f"files of this machine have no storage options, got {sorted(storage_options)}")
    if isinstance(blocksize, str):
        from oxidask.utils import parse_bytes

        blocksize = parse_bytes(blocksize)
    files = _oxidask.bag_expand(_paths(urlpath))
    if not files:
        raise FileNotFoundError("read_text: the list of files is empty")
    is_newline = linedelimiter in (None, "", "\n")
    delimiter = "\n" if is_newline else linedelimiter
    native = encoding.lower().replace("_", "-") in ("utf-8", "utf8") and errors == "strict"
    # Twice the delimiter, so that a byte order mark at the beginning is left out.
    once, twice = str(delimiter).encode(encoding), (str(delimiter) * 2).encode(encoding)
    expr, counts = _oxidask.bag_text(
        files,
        {
            "blocksize": None if blocksize is None else int(blocksize),
            "compression": compression,
            "delimiter": None if is_newline else linedelimiter,
            "delimiter_bytes": list(twice[len(once) :]),
            "encoding": None if native else (encoding, errors),
            "include_path": include_path,
            "files_per_partition": files_per_partition,
        },
    )
    del counts
    bag = Bag._over(expr)
    return bag if collection else bag.to_delayed()


def _paths(urlpath: Any) -> list[str]:
    if isinstance(urlpath, (str, os.PathLike)):
        return [_absolute(urlpath)]
    try:
        return [_absolute(path) for path in urlpath]
    except TypeError:
        raise TypeError(f"a path or a list of paths is needed, got {urlpath!r}") from None


def _absolute(path: Any) -> str:
    # Other processes may work in another folder.
    path = os.fspath(path)
    return path if "://" in path else os.path.abspath(path)


def to_textfiles(
    b: Bag,
    path: Any,
    name_function: Callable[[int], str] | None = None,
    compression: str | None = "infer",
    encoding: str = "utf-8",
    compute: bool = True,
    storage_options: dict[str, Any] | None = None,
    last_endline: bool = False,
    **kwargs: Any,
) -> Any:
    """Writes each partition to a text file, an element a line.

    Parameters
    ----------
    b : Bag
        Elements that are not text are written as ``str`` makes them.
    path : str or list of str
        A folder; or a name with one ``*``, for which the partition's number, or
        what ``name_function`` makes of it, is put; or a name for each partition.
    name_function : callable, optional
        Makes names of numbers, in the numbers' order.
    compression : {"infer", "gzip", "bz2", "xz", None}
    encoding : str
    compute : bool
        Whether to write now; else a list of delayed values is answered.
    last_endline : bool
        Whether the last line ends in a newline.
    **kwargs
        Passed to :func:`oxidask.compute`.

    Returns
    -------
    list
        The paths, or delayed values.

    Examples
    --------
    >>> import oxidask.bag as db, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     paths = db.from_sequence(["a", "b"], npartitions=2).to_textfiles(folder)
    ...     db.read_text(paths).compute()
    ['a', 'b']
    """
    if storage_options:
        raise ValueError(f"files of this machine have no storage options, got {sorted(storage_options)}")
    paths = [_absolute(name) for name in _output_paths(path, b.npartitions, name_function)]
    wishes = [(encoding, _compression_of(name, compression), last_endline) for name in paths]
    names = Bag._over(_oxidask.bag_source([[pair] for pair in zip(paths, wishes, strict=True)], "to_textfiles"))
    written = b._pipe("to_textfiles", _write, b, names, listed=True)
    return written.compute(**kwargs) if compute else written.to_delayed()


def _write(partition: Any, targets: list[tuple[str, Any]]) -> str:
    ((path, wish),) = targets
    return _steps.write_lines(partition, path, wish)


def _output_paths(path: Any, n: int, name_function: Callable[[int], str] | None) -> list[str]:
    if isinstance(path, (str, os.PathLike)):
        pattern = os.fspath(path).removeprefix("file://")
        if "*" not in pattern:
            pattern = os.path.join(pattern, "*.part")
        if pattern.count("*") > 1:
            raise ValueError(f"a name for partitions has one '*', got {pattern!r}")
        width = len(str(n - 1))
        names = [str(name_function(i)) if name_function else str(i).zfill(width) for i in range(n)]
        return [pattern.replace("*", name) for name in names]
    if not isinstance(path, (list, tuple, set)):
        raise TypeError(f"a path or a list of paths is needed, got {path!r}")
    paths = [os.fspath(name) for name in path]
    if len(paths) != n:
        raise ValueError(f"{n} partitions need {n} paths, got {len(paths)}")
    return paths


def _compression_of(path: str, compression: str | None) -> str | None:
    if compression == "infer":
        ending = path.rpartition(".")[2]
        return {"gz": "gzip", "bz2": "bz2", "xz": "xz"}.get(ending)
    if compression not in (None, "gzip", "gz", "bz2", "xz"):
        raise ValueError(f"compression {compression!r} cannot be written\nhint: use 'gzip', 'bz2', 'xz' or None")
    return compression

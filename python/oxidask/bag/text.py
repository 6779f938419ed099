"""Text files as bags of lines, and bags as text files."""

from __future__ import annotations

import codecs
import os
from collections.abc import Callable
from typing import Any

from oxidask import _oxidask
from oxidask.bag import _steps
from oxidask.bag.core import Bag
from oxidask.bytes import absolute, parsed_size, paths_of, storage_pairs

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
        Files and globs of this machine's file systems; addresses of web servers
        (``http://``, ``https://``); objects and globs of S3-compatible stores
        (``s3://bucket/folder/*.txt``).
    blocksize : int or str, optional
        About how many bytes a partition reads, as ``"64MiB"``; one partition for
        each file by default.
    compression : {"infer", "gzip", "bz2", "xz", "zstd", "lz4", "snappy", "zip", None}
        ``"infer"`` looks at the endings of names. Of a zip archive the first file
        is read.
    encoding : str
        Any encoding that Python knows.
    errors : str
        What to do with bytes that cannot be decoded, as for ``bytes.decode``.
    linedelimiter : str, optional
        What ends a line. By default any newline does, and lines end in ``"\n"``.
    collection : bool
        Whether to answer a bag; else a list of delayed values.
    storage_options : dict, optional
        What a storage needs, as fsspec spells it. S3: ``key``, ``secret``,
        ``token``, ``anon``, ``endpoint_url``, ``client_kwargs`` with
        ``endpoint_url``, ``region_name`` and ``verify``; what is left out comes
        from the environment. HTTP: ``headers``.
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
        If a file does not exist or a glob matches nothing (then also a
        ``ValueError``).
    ValueError
        If there is no such compression, or a compressed file would have to be
        read in blocks.
    UnicodeDecodeError
        When computed, if a file is not in the encoding; the file, the offset and
        what to pass are named.
    OSError
        When computed, if a file cannot be read or decompressed.

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
    storage = storage_pairs(storage_options)
    try:
        files = _oxidask.bag_expand(paths_of(urlpath), storage)
    except FileNotFoundError as error:
        raise NoFilesError(str(error)) from None
    is_newline = linedelimiter in (None, "", "\n")
    delimiter = "\n" if is_newline else linedelimiter
    # Twice the delimiter, so that a byte order mark at the beginning is left out.
    once, twice = str(delimiter).encode(encoding), (str(delimiter) * 2).encode(encoding)
    expr, _ = _oxidask.bag_text(
        files,
        {
            "blocksize": parsed_size(blocksize),
            "compression": compression,
            "delimiter": None if is_newline else linedelimiter,
            "delimiter_bytes": list(twice[len(once) :]),
            "encoding": _encoding(encoding, errors),
            "include_path": include_path,
            "files_per_partition": files_per_partition,
            "storage": storage,
        },
    )
    bag = Bag._over(expr)
    return bag if collection else bag.to_delayed()


class NoFilesError(FileNotFoundError, ValueError):
    """There is no such file; a ``ValueError`` because Dask raises that for globs."""


#: Encodings in which each line stands for itself: no byte order mark and no
#: shift at one place changes what another means.
_STATELESS = ("utf-8", "ascii", "latin", "iso8859", "cp", "koi8", "mac", "gb", "big5", "shift_jis", "euc")


def _encoding(name: str, errors: str) -> tuple[str, str, int, bool]:
    """An encoding as the engine takes it."""
    codecs.lookup_error(errors)
    name = codecs.lookup(name).name
    unit = 2 if name.startswith("utf-16") else 4 if name.startswith("utf-32") else 1
    is_stateless = (name.startswith(_STATELESS) and name != "utf-8-sig") or name.endswith(("-le", "-be"))
    return name, errors, unit, is_stateless


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
    compression : {"infer", "gzip", "bz2", "xz", "zstd", "lz4", "snappy", None}
    encoding : str
    storage_options : dict, optional
        As for :func:`read_text`.
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
    storage = storage_pairs(storage_options)
    paths = output_paths(path, b.npartitions, name_function, ".part")
    wishes = [(name, storage, encoding, _checked(compression), last_endline) for name in paths]
    return written(b, "to_textfiles", _write, wishes, compute, kwargs)


def written(b: Bag, label: str, write: Any, wishes: list[Any], compute: bool, kwargs: dict[str, Any]) -> Any:
    """Calls ``write`` with each partition and a list of its wish; the results, or delayed values."""
    targets = Bag._over(_oxidask.bag_source([[wish] for wish in wishes], label))
    results = b._pipe(label, write, b, targets, listed=True)
    return results.compute(**kwargs) if compute else results.to_delayed()


def _write(partition: Any, targets: list[Any]) -> str:
    return _steps.write_lines(partition, *targets[0])


def output_paths(path: Any, n: int, name_function: Callable[[int], str] | None, ending: str) -> list[str]:
    """A path for each of ``n`` partitions: a folder's, a pattern's, or those given."""
    if isinstance(path, (str, os.PathLike)):
        pattern = os.fspath(path).removeprefix("file://")
        if "*" not in pattern:
            pattern = os.path.join(pattern, "*" + ending)
        if pattern.count("*") > 1:
            raise ValueError(f"a name for partitions has one '*', got {pattern!r}")
        width = len(str(n - 1))
        names = [str(name_function(i)) if name_function else str(i).zfill(width) for i in range(n)]
        return [absolute(pattern.replace("*", name)) for name in names]
    if not isinstance(path, (list, tuple, set)):
        raise TypeError(f"a path or a list of paths is needed, got {path!r}")
    paths = [absolute(name) for name in path]
    if len(paths) != n:
        raise ValueError(f"{n} partitions need {n} paths, got {len(paths)}")
    return paths


_WRITTEN = ("gzip", "gz", "bz2", "bzip2", "xz", "zstd", "zst", "lz4", "snappy")


def _checked(compression: str | None) -> str | None:
    if compression not in (None, "infer", *_WRITTEN):
        raise ValueError(
            f"compression {compression!r} cannot be written\nhint: use None, 'infer', 'gzip', 'bz2', 'xz', 'zstd', "
            "'lz4' or 'snappy'"
        )
    return compression

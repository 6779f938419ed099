"""Paths, patterns and file systems, as all readers and writers see them."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["expand", "is_local", "numbered", "opened", "written"]


def is_local(path: str) -> bool:
    """Whether a path is a file of this machine."""
    return "://" not in path or path.startswith("file://")


def _local(path: str) -> str:
    return path[len("file://") :] if path.startswith("file://") else path


def _filesystem(path: str, options: dict[str, Any] | None) -> tuple[Any, str]:
    try:
        import fsspec
    except ImportError as error:
        raise ImportError(f"reading {path!r} needs fsspec\nhint: pip install fsspec") from error
    return fsspec.core.url_to_fs(path, **(options or {}))  # type: ignore[no-any-return]


def expand(paths: Any, options: dict[str, Any] | None = None, suffixes: tuple[str, ...] = ()) -> list[str]:
    """The files of paths, patterns and folders, in natural order.

    Raises
    ------
    FileNotFoundError
        If nothing matches.
    """
    given = [paths] if isinstance(paths, (str, os.PathLike)) else list(paths)
    found: list[str] = []
    for one in map(os.fspath, given):
        found.extend(_matches(one, options, suffixes))
    if not found:
        raise FileNotFoundError(f"{given!r} resolved to no files: no file matches")
    return found


def _matches(path: str, options: Any, suffixes: tuple[str, ...]) -> list[str]:
    import glob

    if not is_local(path):
        fs, inner = _filesystem(path, options)
        protocol = path.split("://", 1)[0]
        if "*" in inner:
            return [f"{protocol}://{one}" for one in _natural(fs.glob(inner))]
        if suffixes and fs.isdir(inner):
            return [f"{protocol}://{one}" for one in _natural(fs.find(inner)) if one.endswith(suffixes)]
        return [path]
    path = os.path.expanduser(_local(path))
    if any(mark in path for mark in "*?["):
        matches = _natural(glob.glob(path))
        if not matches:
            raise FileNotFoundError(f"no file matches {path!r}; it resolved to no files")
        return matches
    if suffixes and os.path.isdir(path):
        inside = [os.path.join(root, name) for root, _, names in os.walk(path) for name in names]
        return _natural(
            [one for one in inside if one.endswith(suffixes) and not os.path.basename(one).startswith((".", "_"))]
        )
    if not os.path.exists(path):
        raise FileNotFoundError(f"there is no file {path!r}")
    return [path]


def _natural(paths: list[str]) -> list[str]:
    import re

    return sorted(paths, key=lambda path: [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", path)])


@contextmanager
def opened(path: str, mode: str, options: dict[str, Any] | None = None, **kwargs: Any) -> Iterator[Any]:
    """A file, of this machine or of a store; compression as in fsspec."""
    compression = kwargs.pop("compression", None)
    if is_local(path) and compression is None:
        with open(_local(path), mode, **kwargs) as file:
            yield file
        return
    import fsspec

    with fsspec.open(path, mode, compression=compression, **kwargs, **(options or {})) as file:
        yield file


@contextmanager
def written(path: str, options: dict[str, Any] | None = None) -> Iterator[str]:
    """A path to write to; what is written there is at ``path`` as a whole or not at all.

    A store's files are whole by themselves.
    """
    if not is_local(path):
        yield path
        return
    path = _local(path)
    del options
    unfinished = f"{path}.unfinished-{os.getpid()}-{uuid.uuid4().hex[:8]}"
    try:
        yield unfinished
        os.replace(unfinished, path)
    except BaseException:
        if os.path.exists(unfinished):
            os.unlink(unfinished)
        raise


def numbered(pattern: Any, n: int, name_function: Any = None, suffix: str = "part") -> list[str]:
    """A path for every partition: ``*`` in a pattern becomes a number; a folder gets files.

    Raises
    ------
    ValueError
        If there are several ``*``, a list of another length, or names out of order.
    """
    if not isinstance(pattern, (str, os.PathLike)):
        paths = [os.fspath(path) for path in pattern]
        if len(paths) != n:
            raise ValueError(f"{n} partitions need {n} paths, got {len(paths)}")
        return paths
    pattern = os.fspath(pattern)
    if pattern.count("*") > 1:
        raise ValueError(f"{pattern!r} has more than one '*'")
    if "*" not in pattern:
        pattern = os.path.join(pattern, f"*.{suffix}") if is_local(pattern) else f"{pattern.rstrip('/')}/*.{suffix}"
    width = len(str(max(n - 1, 0)))
    names = [str(name_function(i)) if name_function else str(i).zfill(width) for i in range(n)]
    if names != sorted(names):
        import warnings

        warnings.warn(
            "the names that name_function makes do not sort like the partitions, so reading them changes the order",
            UserWarning,
            stacklevel=3,
        )
    if is_local(pattern):
        os.makedirs(os.path.dirname(_local(pattern)) or ".", exist_ok=True)
    return [pattern.replace("*", name) for name in names]

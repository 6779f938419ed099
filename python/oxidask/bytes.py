r"""Bytes of files as delayed blocks, for readers of other formats.

>>> import tempfile, os
>>> with tempfile.TemporaryDirectory() as folder:
...     path = os.path.join(folder, "a.csv")
...     _ = open(path, "w").write("x\n1\n2\n")
...     sample, blocks = read_bytes(path, delimiter=b"\n", blocksize=4)
...     sample, [block.compute() for block in blocks[0]]
(b'x\n1\n2\n', [b'x\n1\n2\n', b''])
"""

from __future__ import annotations

import os
from typing import Any

from oxidask import _oxidask

__all__ = ["read_bytes"]


def read_bytes(
    urlpath: Any,
    delimiter: bytes | None = None,
    not_zero: bool = False,
    blocksize: int | str | None = "128 MiB",
    sample: int | str | bool = "10 kiB",
    compression: str | None = None,
    include_path: bool = False,
    **kwargs: Any,
) -> Any:
    """Files as delayed values, each the bytes of a block.

    Parameters
    ----------
    urlpath : str, path or list of these
        Files and globs; see :func:`oxidask.bag.read_text`.
    delimiter : bytes, optional
        Blocks begin behind a delimiter and end with one.
    not_zero : bool
        Whether to leave out the first byte of each file.
    blocksize : int or str, optional
        About how many bytes a block has; whole files if None.
    sample : int, str or bool
        How many bytes to read at once from the first file, up to a delimiter;
        none if False.
    compression : str, optional
        ``"infer"`` looks at the endings of names; compressed files are not cut.
    include_path : bool
        Whether to answer the paths, too.
    **kwargs
        Storage options; see :func:`oxidask.bag.read_text`.

    Returns
    -------
    sample : bytes or bool
    blocks : list of lists of Delayed
        The blocks of each file.
    paths : list of str
        Only if ``include_path``.

    Raises
    ------
    FileNotFoundError
        If a file does not exist or a glob matches nothing.
    ValueError
        If a compressed file would have to be cut.
    """
    from oxidask.delayed import delayed

    if delimiter is not None and not isinstance(delimiter, (bytes, bytearray)):
        raise TypeError(f"read_bytes: the delimiter must be bytes, got {delimiter!r}")
    storage = storage_pairs(kwargs)
    files = _oxidask.bag_expand(paths_of(urlpath), storage)
    block_bytes, end_of_line = parsed_size(blocksize), list(delimiter or b"")
    read = delayed(_read_block, pure=True)
    token = _oxidask.bag_files_token(files, storage)
    blocks = []
    for file in files:
        whole = block_form(file, storage, compression=compression)
        parts = []
        for start, end in _oxidask.bag_file_blocks(whole, block_bytes, end_of_line):
            block = block_form(file, storage, start, end, compression)
            parts.append(read(block, end_of_line, int(not_zero and start == 0), token))
        blocks.append(parts)
    first: bytes | bool = False
    if sample:
        n = parsed_size("10 kiB" if sample is True else sample) or 0
        head = block_form(files[0], storage, 0, n if compression is None else None, compression)
        first = _oxidask.bag_read_block(head, end_of_line)
        if compression is not None and len(first) > n:
            cut = first.find(delimiter, n) if delimiter else -1
            first = first[: cut + len(delimiter or b"") if cut >= 0 else n]
    return (first, blocks, files) if include_path else (first, blocks)


def _read_block(block: Any, delimiter: list[int], skip: int, token: str) -> bytes:
    """The bytes of a block; the token tells versions of the file apart."""
    del token
    return _oxidask.bag_read_block(block, delimiter)[skip:]


def block_form(
    path: str, storage: list[tuple[str, str]], start: int = 0, end: int | None = None, compression: str | None = None
) -> tuple[Any, ...]:
    """A block of a file as the engine takes it."""
    return (path, storage, start, end, compression)


def parsed_size(size: int | str | None) -> int | None:
    """A number of bytes from a number or a text like ``"64MiB"``."""
    if size is None:
        return None
    if isinstance(size, str):
        from oxidask.utils import parse_bytes

        return parse_bytes(size)
    return int(size)


def storage_pairs(options: dict[str, Any] | None) -> list[tuple[str, str]]:
    """Storage options as pairs of texts; options within options get dots.

    >>> storage_pairs({"anon": True, "client_kwargs": {"endpoint_url": "http://127.0.0.1"}})
    [('anon', 'true'), ('client_kwargs.endpoint_url', 'http://127.0.0.1')]
    """
    pairs = []
    for name, value in (options or {}).items():
        if isinstance(value, dict):
            pairs.extend((f"{name}.{inner}", text) for inner, text in storage_pairs(value))
        elif isinstance(value, bool):
            pairs.append((name, "true" if value else "false"))
        elif value is not None:
            pairs.append((name, str(value)))
    return pairs


def paths_of(urlpath: Any) -> list[str]:
    """Absolute paths, because other processes may work in another folder; addresses as they are."""
    if isinstance(urlpath, (str, os.PathLike)):
        return [absolute(urlpath)]
    try:
        paths = [absolute(path) for path in urlpath]
    except TypeError:
        raise TypeError(f"a path or a list of paths is needed, got {urlpath!r}") from None
    if not paths:
        raise FileNotFoundError("the list of files is empty")
    return paths


def absolute(path: Any) -> str:
    """A path from the root, or an address as it is."""
    path = os.fspath(path)
    return path if "://" in path else os.path.abspath(path)

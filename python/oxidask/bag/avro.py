"""Avro files as bags of records, and bags of records as Avro files."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

from oxidask import _oxidask
from oxidask.bag.core import Bag
from oxidask.bytes import block_form, parsed_size, paths_of, storage_pairs

__all__ = ["read_avro", "to_avro"]


class AvroSchemaError(ValueError, AssertionError):
    """A schema is not valid; an ``AssertionError`` because Dask raises that."""


def read_avro(
    urlpath: Any,
    blocksize: int | str | None = 100_000_000,
    storage_options: dict[str, Any] | None = None,
    compression: str | None = None,
) -> Bag:
    """The records of Avro files, each a dict.

    Parameters
    ----------
    urlpath : str, path or list of these
        Files and globs; see :func:`oxidask.bag.read_text`.
    blocksize : int or str, optional
        About how many bytes a partition reads; files are cut between Avro's own
        blocks. One partition for each file if None.
    storage_options : dict, optional
        See :func:`oxidask.bag.read_text`.
    compression : str, optional
        Of the files as a whole; such files cannot be cut. What is compressed by
        Avro's own codec (deflate, snappy, zstandard, bzip2, xz) is no concern.

    Raises
    ------
    OSError
        If a file is no Avro file, or, when computed, if a block is damaged; the
        file and the offset are named.

    Examples
    --------
    >>> import oxidask.bag as db, tempfile
    >>> schema = {"name": "Point", "type": "record", "fields": [{"name": "x", "type": "int"}]}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     paths = db.from_sequence([{"x": 1}, {"x": 2}]).to_avro(f"{folder}/*.avro", schema)
    ...     db.read_avro(paths).compute()
    [{'x': 1}, {'x': 2}]
    """
    storage = storage_pairs(storage_options)
    files = _oxidask.bag_expand(paths_of(urlpath), storage)
    block_bytes = parsed_size(blocksize)
    if compression is not None:
        raise ValueError("read_avro: Avro files are compressed block by block; unpack the file as a whole first")
    token = _oxidask.bag_files_token(files, storage)
    parts = []
    for file in files:
        whole = block_form(file, storage)
        header = _oxidask.avro_header(whole)
        for start, end in _oxidask.bag_file_blocks(whole, block_bytes, list(header[2])):
            parts.append([(block_form(file, storage, start, end), header, token)])
    source = Bag._over(_oxidask.bag_source(parts, "read_avro"))
    return source._pipe("read_avro", _read, source, listed=True)


def _read(parts: list[Any]) -> list[Any]:
    ((block, header, _),) = parts
    return _oxidask.avro_read(block, header)


def to_avro(
    b: Bag,
    filename: Any,
    schema: dict[str, Any],
    name_function: Callable[[int], str] | None = None,
    storage_options: dict[str, Any] | None = None,
    codec: str = "null",
    sync_interval: int = 16_000,
    metadata: dict[str, Any] | None = None,
    compute: bool = True,
    **kwargs: Any,
) -> Any:
    """Writes each partition to an Avro file.

    Parameters
    ----------
    b : Bag
        Of dicts.
    filename : str or list of str
        As for :func:`oxidask.bag.to_textfiles`.
    schema : dict
        An Avro schema of a record.
    name_function : callable, optional
        Makes names of numbers, in the numbers' order.
    storage_options : dict, optional
        See :func:`oxidask.bag.read_text`.
    codec : {"null", "deflate", "snappy", "zstandard", "bzip2", "xz"}
    sync_interval : int
        About how many bytes a block of records takes before it is compressed.
    metadata : dict, optional
        Further entries of the header, of text or bytes.
    compute : bool
        Whether to write now; else a list of delayed values is answered.
    **kwargs
        Passed to :func:`oxidask.compute`.

    Returns
    -------
    list
        The paths, or delayed values.

    Raises
    ------
    ValueError
        If the schema or the codec is not valid.
    TypeError
        When computed, if a record does not fit the schema; the record and the
        field are named.

    Examples
    --------
    >>> import oxidask.bag as db, os, tempfile
    >>> schema = {"name": "Point", "type": "record", "fields": [{"name": "x", "type": "int"}]}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     paths = to_avro(db.from_sequence([{"x": 1}]), f"{folder}/*.avro", schema, codec="deflate")
    ...     [os.path.basename(path) for path in paths]
    ['0.avro']
    """
    from oxidask.bag.text import output_paths, written

    is_record = isinstance(schema, dict) and schema.get("type") == "record"
    if not is_record or not all(isinstance(schema.get(part), kind) for part, kind in (("name", str), ("fields", list))):
        raise AvroSchemaError(
            f"to_avro: the schema is no record: {schema!r}\n"
            "hint: {'name': …, 'type': 'record', 'fields': [{'name': …, 'type': …}, …]}"
        )
    text = json.dumps(schema)
    try:
        _oxidask.avro_check(text)
    except ValueError as error:
        raise AvroSchemaError(f"to_avro: {error}") from None
    if codec not in ("null", "deflate", "snappy", "zstandard", "zstd", "bzip2", "xz"):
        raise ValueError(f"to_avro: there is no codec {codec!r}\nhint: 'null', 'deflate', 'snappy' or 'zstandard'")
    wish = {
        "storage": storage_pairs(storage_options),
        "schema": text,
        "codec": "zstandard" if codec == "zstd" else codec,
        "sync_interval": int(sync_interval),
        "metadata": [
            (name, list(value.encode() if isinstance(value, str) else value))
            for name, value in (metadata or {}).items()
        ],
    }
    paths = output_paths(filename, b.npartitions, name_function, ".avro")
    # A marker of its own for each file, which the records will hardly contain.
    wishes = [{**wish, "path": path, "sync": list(os.urandom(16))} for path in paths]
    return written(b, "to_avro", _write, wishes, compute, kwargs)


def _write(partition: Any, wish: list[Any]) -> str:
    return _oxidask.avro_write(partition, wish[0])

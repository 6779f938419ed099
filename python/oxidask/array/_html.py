"""Arrays in notebooks: a table of figures beside a picture of the chunks."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from oxidask.array._generic import kind_of_block
from oxidask.utils import format_bytes

if TYPE_CHECKING:
    from oxidask.array.core import Array

#: Beyond this many blocks tasks are not counted for a picture.
BLOCKS_MAX = 100_000


def to_html(array: Array) -> str:
    """The table and the picture of an array.

    >>> import oxidask.array as da
    >>> "8.00 MiB" in to_html(da.ones((1024, 1024), chunks=512))
    True
    """
    chunk_bytes = math.prod(array.chunksize) * array.itemsize
    n_chunks = f"{array.npartitions} chunk{'s' if array.npartitions != 1 else ''}"
    if array.npartitions <= BLOCKS_MAX and hasattr(array._core, "n_tasks"):
        n_tasks = array._core.n_tasks()
        tasks = f"{n_tasks} task{'s' if n_tasks != 1 else ''}"
    else:
        tasks = ""
    rows = [
        ("Bytes", format_bytes(array.nbytes), format_bytes(chunk_bytes)),
        ("Shape", str(array.shape), str(array.chunksize)),
        ("Count", tasks, n_chunks),
        ("Type", str(array.dtype), kind_of_block(array._meta)),
    ]
    body = "".join(f"<tr><th>{name}</th><td>{whole}</td><td>{chunk}</td></tr>" for name, whole, chunk in rows)
    table = f"<table><thead><tr><td></td><th>Array</th><th>Chunk</th></tr></thead><tbody>{body}</tbody></table>"
    try:
        picture = array.to_svg(170)
    except NotImplementedError:
        # Without axes, elements or known sizes there is nothing to draw.
        picture = ""
    return f"<table><tr><td>{table}</td><td>{picture}</td></tr></table>"

"""What libraries build on: chunks and their normal form."""

from __future__ import annotations

from typing import Any

from oxidask.array.convert import normalize_chunks

__all__ = ["normalize_chunks", "normalize_chunks_cached"]


def normalize_chunks_cached(
    chunks: Any, shape: Any = None, limit: Any = None, dtype: Any = None, previous_chunks: Any = None
) -> tuple[tuple[Any, ...], ...]:
    """The same as :func:`oxidask.array.normalize_chunks`, which needs no cache.

    >>> normalize_chunks_cached(2, (4,))
    ((2, 2),)
    """
    return normalize_chunks(chunks, shape, limit=limit, dtype=dtype, previous_chunks=previous_chunks)

"""Names of columns: the engine knows text only, pandas any hashable.

Whole numbers and tuples are written with separators that no name of a file
holds; everything else must be text.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Any

_NUMBER = "\x1e"
_LEVEL = "\x1f"


def encode(label: Hashable) -> str:
    """The engine's name of a column.

    >>> encode("x"), decode(encode(3)), decode(encode(("x", "sum")))
    ('x', 3, ('x', 'sum'))
    """
    if isinstance(label, str):
        return label
    if isinstance(label, tuple):
        return _LEVEL.join(encode(part) for part in label) + _LEVEL
    if isinstance(label, bool) or not hasattr(label, "__index__"):
        raise TypeError(f"a column cannot be named {label!r}\nhint: name columns by text or whole numbers")
    return f"{_NUMBER}{label.__index__()}"


def decode(name: str) -> Any:
    """The inverse of :func:`encode`."""
    if name.endswith(_LEVEL):
        return tuple(decode(part) for part in name[:-1].split(_LEVEL))
    if name.startswith(_NUMBER):
        return int(name[1:])
    return name


def columns_index(names: Iterable[str]) -> Any:
    """Pandas' index of columns with these names of the engine.

    >>> list(columns_index(["a", "b"]))
    ['a', 'b']
    """
    import pandas as pd

    labels = [decode(name) for name in names]
    if labels and all(isinstance(label, tuple) for label in labels):
        return pd.MultiIndex.from_tuples(labels)
    if not labels:
        return pd.Index([], dtype="str")
    return pd.Index(labels)

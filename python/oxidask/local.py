"""The scheduler of the calling thread as a function on dict graphs.

>>> from oxidask.local import get_sync
>>> get_sync({"x": 1, "y": (abs, "x")}, "y")
1
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from oxidask._schedulers import run_graph

__all__ = ["get_sync"]


def get_sync(dsk: Mapping[Any, Any], keys: Any, **kwargs: Any) -> Any:
    """Runs a dict graph on the calling thread, for debugging.

    Parameters
    ----------
    dsk : mapping of keys to tasks
    keys : a key, or nested lists of keys

    Returns
    -------
    The value of the key, or nested tuples of values.

    Examples
    --------
    >>> get_sync({"x": 1, "y": (abs, "x")}, [["x"], "y"])
    ((1,), 1)
    """
    return run_graph(dsk, keys, scheduler="sync", **kwargs)

"""The threads scheduler as a function on dict graphs.

>>> from oxidask.threaded import get
>>> get({"x": 1, "y": (abs, "x")}, ["x", "y"])
(1, 1)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from oxidask._schedulers import run_graph

__all__ = ["get"]


def get(dsk: Mapping[Any, Any], keys: Any, **kwargs: Any) -> Any:
    """Runs a dict graph on a pool of threads.

    Parameters
    ----------
    dsk : mapping of keys to tasks
    keys : a key, or nested lists of keys
    num_workers : int, optional
        How many threads; all cores by default.
    pool : executor, optional
        A ``concurrent.futures.Executor`` or ``multiprocessing.pool.ThreadPool``
        to run on instead.

    Returns
    -------
    The value of the key, or nested tuples of values.

    Examples
    --------
    >>> get({"x": 1, "y": (abs, "x")}, "y", num_workers=2)
    1
    """
    return run_graph(dsk, keys, scheduler="threads", **kwargs)

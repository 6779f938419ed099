"""A cache of intermediate results across runs, for interactive work.

It needs the package ``cachey``, which decides what is worth keeping: what was
costly to compute, is small, and was asked for often.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from timeit import default_timer
from typing import Any

from oxidask.callbacks import Callback

__all__ = ["Cache"]


class Cache(Callback):
    """Keeps results of tasks for later runs on local schedulers.

    Parameters
    ----------
    cache : cachey.Cache or int
        A cache, or how many bytes to keep.
    *args, **kwargs
        Passed to ``cachey.Cache`` with a number of bytes.

    Raises
    ------
    ImportError
        If ``cachey`` is not installed.

    Notes
    -----
    Results are found again by key, so that only what is pure and has equal keys is
    reused. A result is always a copy-free reference: do not change it in place.
    """

    def __init__(self, cache: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__()
        if isinstance(cache, (int, float)):
            try:
                import cachey
            except ImportError as error:
                raise ImportError("a cache needs the package cachey\nhint: pip install cachey") from error
            cache = cachey.Cache(cache, *args, **kwargs)
        self.cache = cache
        self.starttimes: dict[Any, float] = {}
        self.durations: dict[Any, float] = {}

    def _start(self, dsk: dict[Any, Any]) -> None:
        # A key that is known already becomes its value.
        known: Mapping[Any, Any] = self.cache.data
        for key in dsk.keys() & known.keys():
            dsk[key] = (_Known(self.cache.get(key)),)

    def _pretask(self, key: Any, dsk: Any, state: Any) -> None:
        self.starttimes[key] = default_timer()

    def _posttask(self, key: Any, value: Any, dsk: Any, state: Any, worker_id: Any) -> None:
        duration = default_timer() - self.starttimes.pop(key)
        # What a result costs is its own work and that of what it was made from.
        inputs = state["dependencies"][key]
        duration += max((self.durations.get(one, 0.0) for one in inputs), default=0.0)
        self.durations[key] = duration
        if not isinstance(dsk[key], tuple) or not isinstance(dsk[key][0], _Known):
            size = _nbytes(value)
            self.cache.put(key, value, cost=duration / max(size, 1) / 1e9, nbytes=size)

    def _finish(self, dsk: Any, state: Any, errored: bool) -> None:
        self.starttimes.clear()
        self.durations.clear()


class _Known:
    """A task that answers a value that was kept."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __call__(self) -> Any:
        return self.value


def _nbytes(value: Any) -> int:
    from oxidask.sizeof import sizeof

    try:
        return int(sizeof(value))
    except Exception:
        return sys.getsizeof(value)

"""Profiles of local runs: which task ran when, what the process used, what was kept.

A :class:`Profiler` or :class:`CacheProfiler` is a callback: while one is active,
local schedulers run graphs task by task in Python. :class:`ResourceProfiler` only
looks at the process from time to time and costs next to nothing.
"""

from __future__ import annotations

import os
import resource
import threading
from collections.abc import Callable
from timeit import default_timer
from typing import Any, NamedTuple

from oxidask.callbacks import Callback

__all__ = ["CacheData", "CacheProfiler", "Profiler", "ResourceData", "ResourceProfiler", "TaskData"]


class TaskData(NamedTuple):
    """One task that ran; times in seconds of ``timeit.default_timer``."""

    key: Any
    task: Any
    start_time: float
    end_time: float
    worker_id: Any


class CacheData(NamedTuple):
    """One result, from when it was made to when nobody needed it any more."""

    key: Any
    task: Any
    metric: Any
    cache_time: float
    free_time: float


class ResourceData(NamedTuple):
    """What the process and its children used: memory in MB, processor in percent."""

    time: float
    mem: float
    cpu: float


class _Recorder(Callback):
    """Times of entering and leaving, and a picture, for every profiler."""

    #: What was recorded, in order.
    results: list[Any]
    start_time: float
    end_time: float

    def __enter__(self) -> Any:
        self.clear()
        self.start_time = default_timer()
        return super().__enter__()

    def __exit__(self, *exc: Any) -> None:
        self.end_time = default_timer()
        super().__exit__(*exc)

    def clear(self) -> None:
        """Forgets what was recorded."""
        self.results = []

    def visualize(self, **kwargs: Any) -> str:
        """Draws the profile; takes the arguments of :func:`oxidask.diagnostics.visualize`."""
        from oxidask.diagnostics.profile_visualize import visualize

        return visualize([self], **kwargs)


class Profiler(_Recorder):
    """Records when each task ran, and on which thread.

    ``results`` holds a :class:`TaskData` for every task that succeeded.

    Examples
    --------
    >>> from oxidask import delayed
    >>> with Profiler() as profile:
    ...     delayed(abs)(-1, dask_key_name="one").compute()
    1
    >>> [(task.key, task.end_time >= task.start_time) for task in profile.results]
    [('one', True)]
    """

    def __init__(self) -> None:
        super().__init__()
        self._started: dict[Any, tuple[Any, float]] = {}
        self.clear()

    def _pretask(self, key: Any, dsk: Any, state: Any) -> None:
        self._started[key] = (dsk[key], default_timer())

    def _posttask(self, key: Any, value: Any, dsk: Any, state: Any, worker_id: Any) -> None:
        task, start = self._started.pop(key)
        self.results.append(TaskData(key, task, start, default_timer(), worker_id))

    def _finish(self, dsk: Any, state: Any, errored: bool) -> None:
        self._started.clear()


class CacheProfiler(_Recorder):
    """Records how long each result was kept, and how large it was.

    Parameters
    ----------
    metric : callable(value) -> number, optional
        What to record of a result, for example its size in bytes; 1 by default,
        which counts results.
    metric_name : str, optional
        What the picture calls it.

    Examples
    --------
    >>> from oxidask import delayed
    >>> with CacheProfiler(metric=len, metric_name="characters") as profile:
    ...     delayed(str.upper)("abc").compute()
    'ABC'
    >>> [kept.metric for kept in profile.results]
    [3]
    """

    def __init__(self, metric: Callable[[Any], Any] | None = None, metric_name: str | None = None) -> None:
        super().__init__()
        self._metric = metric if metric is not None else lambda value: 1
        self._metric_name = metric_name or getattr(metric, "__name__", "count")
        self._kept: dict[Any, tuple[Any, float, Any]] = {}
        self.clear()

    def _posttask(self, key: Any, value: Any, dsk: Any, state: Any, worker_id: Any) -> None:
        now = default_timer()
        self._kept[key] = (self._metric(value), now, dsk[key])
        for gone in state["released"].intersection(self._kept):
            self._record(gone, now)

    def _finish(self, dsk: Any, state: Any, errored: bool) -> None:
        now = default_timer()
        for key in list(self._kept):
            self._record(key, now)

    def _record(self, key: Any, now: float) -> None:
        metric, since, task = self._kept.pop(key)
        self.results.append(CacheData(key, task, metric, since, now))


class ResourceProfiler(_Recorder):
    """Records the memory and processor time of this process and its children.

    Parameters
    ----------
    dt : float
        Seconds between two looks.

    Examples
    --------
    >>> with ResourceProfiler(dt=0.01) as profile:
    ...     total = sum(range(1000))
    >>> profile.results[0].mem > 1
    True
    """

    def __init__(self, dt: float = 1) -> None:
        super().__init__()
        self._dt = dt
        self._stop: threading.Event | None = None
        self._thread: threading.Thread | None = None
        self.clear()

    # Nothing is asked of the schedulers, so that graphs run as always.

    def __enter__(self) -> ResourceProfiler:
        self.clear()
        self.start_time = default_timer()
        self.register()
        return self

    def __exit__(self, *exc: Any) -> None:
        self.unregister()
        self.end_time = default_timer()

    def register(self) -> None:
        """Begins to record."""
        if self._thread is not None:
            return
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, args=(self._stop,), name="oxidask-resources", daemon=True)
        self._thread.start()

    def unregister(self) -> None:
        """Ends recording, after a last look."""
        if self._thread is not None and self._stop is not None:
            self._stop.set()
            self._thread.join()
        self._thread = self._stop = None

    close = unregister

    def _is_running(self) -> bool:
        return self._thread is not None

    def _look(self, stop: threading.Event) -> None:
        before, cpu_before = default_timer(), _cpu_seconds()
        while True:
            stopped = stop.wait(self._dt)
            now, cpu = default_timer(), _cpu_seconds()
            used = 100 * (cpu - cpu_before) / max(now - before, 1e-9)
            self.results.append(ResourceData(now, _memory_mb(), max(used, 0.0)))
            before, cpu_before = now, cpu
            if stopped:
                return


def _cpu_seconds() -> float:
    """Processor time of this process and of its children that ended or still run."""
    own = resource.getrusage(resource.RUSAGE_SELF)
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    running = sum(_child_cpu_seconds(child) for child in _children(os.getpid()))
    return own.ru_utime + own.ru_stime + ended.ru_utime + ended.ru_stime + running


def _memory_mb() -> float:
    """Resident memory of this process and of its children."""
    return sum(_resident_bytes(pid) for pid in (os.getpid(), *_children(os.getpid()))) / 1e6


def _children(pid: int) -> list[int]:
    found: list[int] = []
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return found
    for thread in threads:
        try:
            with open(f"/proc/{pid}/task/{thread}/children") as file:
                found += [int(child) for child in file.read().split()]
        except OSError:
            # The thread ended since it was listed.
            continue
    return found


def _resident_bytes(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/statm") as file:
            return int(file.read().split()[1]) * resource.getpagesize()
    except OSError:
        return 0


def _child_cpu_seconds(pid: int) -> float:
    try:
        with open(f"/proc/{pid}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

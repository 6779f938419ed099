"""``concurrent.futures`` over every scheduler.

>>> from oxidask.executors import Executor
>>> with Executor("threads") as executor:
...     list(executor.map(abs, [-1, 2]))
[1, 2]
"""

from __future__ import annotations

import concurrent.futures
import threading
from collections.abc import Callable
from typing import Any

__all__ = ["Executor"]


class Executor(concurrent.futures.Executor):
    """Runs calls on one of oxidask's schedulers.

    Parameters
    ----------
    scheduler : str, Client or callable, optional
        ``"threads"``, ``"processes"``, ``"sync"``, a client of a cluster, or what
        else :func:`oxidask.compute` takes; what is set or active by default.
    max_workers : int, optional
        How many calls run at once; as many as the scheduler runs by default.

    Notes
    -----
    The scheduler itself is shared with all other work of the process; shutting
    the executor down ends only its own calls. As with other executors, a call
    that has begun cannot be cancelled.

    Examples
    --------
    >>> with Executor("processes", max_workers=2) as executor:
    ...     future = executor.submit(pow, 2, 10)
    ...     future.result()
    1024
    """

    def __init__(self, scheduler: Any = None, max_workers: int | None = None) -> None:
        if max_workers is not None and max_workers < 1:
            raise ValueError(f"max_workers must be at least 1, got {max_workers}")
        self._scheduler = scheduler
        self._max_workers = max_workers or _workers_of(scheduler)
        # A thread waits for each call that is running; those of `sync` run in it.
        self._waiting = concurrent.futures.ThreadPoolExecutor(self._max_workers, thread_name_prefix="oxidask-executor")
        self._lock = threading.Lock() if scheduler in ("sync", "synchronous", "single-threaded") else None

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> concurrent.futures.Future[Any]:
        """Runs ``fn(*args, **kwargs)``; answers a future.

        Raises ``RuntimeError`` after :meth:`shutdown`.
        """
        return self._waiting.submit(self._run, fn, args, kwargs)

    def _run(self, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        from oxidask import delayed

        # Arguments are taken as they are: collections in them are not computed.
        call = delayed(_Call(fn, args, kwargs), pure=False, traverse=False)()
        options = {} if self._scheduler is None else {"scheduler": self._scheduler}
        if self._lock is None:
            return call.compute(**options)
        with self._lock:
            return call.compute(**options)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Takes no further calls; see :meth:`concurrent.futures.Executor.shutdown`."""
        self._waiting.shutdown(wait=wait, cancel_futures=cancel_futures)


class _Call:
    """A call as a function without arguments."""

    def __init__(self, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.fn, self.args, self.kwargs = fn, args, kwargs
        self.__name__ = getattr(fn, "__name__", type(fn).__name__)

    def __call__(self) -> Any:
        return self.fn(*self.args, **self.kwargs)


def _workers_of(scheduler: Any) -> int:
    """How many calls a scheduler runs at once."""
    from oxidask import config
    from oxidask.utils import cpu_count

    if isinstance(scheduler, str) and scheduler in ("sync", "synchronous", "single-threaded"):
        return 1
    nthreads = getattr(scheduler, "nthreads", None)
    if callable(nthreads):
        return sum(nthreads().values()) or 1
    return int(config.get("num_workers", None) or cpu_count())

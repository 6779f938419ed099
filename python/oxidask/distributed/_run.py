"""Functions that run on workers beside the graph."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

__all__ = ["OnWorker", "finished"]


def finished(value: Any) -> Any:
    """What a coroutine answers, which runs to its end; other values as they are."""
    if not inspect.iscoroutine(value):
        return value
    import asyncio

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(value)
    # An event loop runs on this thread and waits for us, so the coroutine needs another.
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, value).result()


class OnWorker:
    """A function with ``dask_worker`` filled in, and run to its end."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.__name__ = getattr(function, "__name__", type(function).__name__)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        from oxidask.distributed._context import get_worker

        try:
            parameters = inspect.signature(self.function).parameters
        except (TypeError, ValueError):
            parameters = {}  # type: ignore[assignment]
        if "dask_worker" in parameters and "dask_worker" not in kwargs:
            kwargs["dask_worker"] = get_worker()
        return finished(self.function(*args, **kwargs))

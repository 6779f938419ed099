"""Functions that run on workers beside the graph."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

__all__ = ["OnWorker", "finished"]


def finished(value: Any) -> Any:
    """What a coroutine answers; other values as they are."""
    if inspect.iscoroutine(value):
        import asyncio

        return asyncio.run(value)
    return value


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

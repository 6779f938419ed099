"""Which scheduler runs a graph, and the local executors that are kept for it.

The choice is made, in this order, by arguments, the configuration and an active
client; where nobody chose, each kind of collection has a default.
"""

from __future__ import annotations

import atexit
import functools
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from oxidask import _oxidask
from oxidask._oxidask import Executor

#: The names of schedulers, and the kind of executor that each stands for.
NAMES = {
    "threads": "threads",
    "threading": "threads",
    "threaded": "threads",
    "sync": "sync",
    "synchronous": "sync",
    "single-threaded": "sync",
    "processes": "processes",
    "multiprocessing": "processes",
    "distributed": "distributed",
    "dask.distributed": "distributed",
}

_executors: dict[tuple[Any, ...], Executor] = {}
_executors_lock = threading.Lock()
_abandoned: list[Any] = []


def _after_fork() -> None:
    # The threads of a parent's executors do not exist in its forked child, and
    # closing an executor would wait for them.
    _abandoned.append(dict(_executors))
    _executors.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def local_executor(kind: str, num_workers: int | None = None) -> Executor:
    """The executor of a kind, started when first asked for and then kept."""
    from oxidask import config

    if num_workers is None:
        num_workers = config.get("num-workers", None) or config.get("num_workers", None)
    if num_workers is not None:
        num_workers = int(num_workers)
        if num_workers < 1:
            raise ValueError(f"num_workers must be at least 1, got {num_workers}")
    # An executor keeps the limit that it was started with.
    limit = config.get("memory-limit", None)
    start = _start_of_children() if kind == "processes" else None
    key = (kind, None if kind == "sync" else num_workers, start, limit)
    with _executors_lock:
        executor = _executors.get(key)
        if executor is None:
            executor = _executors[key] = _oxidask.local_executor(key[0], key[1])
        return executor


def _start_of_children() -> Any:
    """What children do first; those that did something else are no use."""
    from oxidask import config

    return config.get("multiprocessing.initializer", None)


def sync_executor() -> Executor:
    """The executor of the calling thread."""
    return local_executor("sync")


def close_executors() -> None:
    """Ends the threads and child processes of all local executors.

    Python calls it at exit. The next computation starts new ones.
    """
    with _executors_lock:
        executors = list(_executors.values())
        _executors.clear()
    for executor in executors:
        executor.close()


atexit.register(close_executors)


def client_executor(*, required: bool) -> Executor | None:
    """The executor of the active client, if there is one."""
    module = sys.modules.get("oxidask.distributed")
    executor = None if module is None else module.current_executor()
    if executor is None and required:
        raise ValueError("scheduler 'distributed' needs a client\nhint: create one first: oxidask.distributed.Client()")
    return executor


def _unknown_scheduler(scheduler: Any) -> ValueError:
    names = ", ".join(repr(name) for name in NAMES)
    return ValueError(
        f"{scheduler!r} is no scheduler\nhint: use one of {names}, "
        "a function get(dsk, keys), a concurrent.futures.Executor or a Client"
    )


def _pool_get(pool: Any) -> Callable[..., Any]:
    from oxidask import _pools

    return functools.partial(_pools.get, pool=pool)


def chosen_scheduler(
    scheduler: Any = None, *, get: Callable[..., Any] | None = None, pool: Any = None, num_workers: int | None = None
) -> Executor | Callable[..., Any] | None:
    """What the caller, the configuration or an active client chose to run graphs.

    An executor of ours, or a function on dict graphs; none if nobody chose.
    """
    if get is not None and scheduler is None:
        scheduler = get
    if scheduler is None and pool is None:
        from oxidask import config

        scheduler = config.get("scheduler", None)
        if scheduler is None:
            pool = config.get("pool", None)
        if scheduler is None and pool is None:
            return client_executor(required=False)
    if scheduler is None or (pool is not None and isinstance(scheduler, str)):
        return _pool_get(pool)
    if isinstance(scheduler, str):
        kind = NAMES.get(scheduler.lower())
        if kind is None:
            raise _unknown_scheduler(scheduler)
        if kind == "distributed":
            client = client_executor(required=True)
            assert client is not None
            return client
        return local_executor(kind, num_workers)
    return _scheduler_object(scheduler)


def _scheduler_object(scheduler: Any) -> Executor | Callable[..., Any]:
    if isinstance(scheduler, Executor):
        return scheduler
    executor = getattr(type(scheduler), "__oxidask_executor__", None)
    if executor is not None:
        return executor(scheduler)  # type: ignore[no-any-return]
    function = getattr(scheduler, "get", None)
    if callable(scheduler):
        name = getattr(scheduler, "__module__", "")
        own = {"oxidask.threaded": "threads", "oxidask.local": "sync", "oxidask.multiprocessing": "processes"}
        if name in own and isinstance(scheduler, type(_unknown_scheduler)):
            return local_executor(own[name])
        return scheduler  # type: ignore[no-any-return]
    if hasattr(scheduler, "submit") or hasattr(scheduler, "apply_async"):
        return _pool_get(scheduler)
    if callable(function):
        return function  # type: ignore[no-any-return]
    raise _unknown_scheduler(scheduler)


def callbacks_active() -> bool:
    module = sys.modules.get("oxidask.callbacks")
    return module is not None and bool(module.active_task_callbacks())


def bars_active() -> bool:
    module = sys.modules.get("oxidask.diagnostics.progress")
    return module is not None and bool(module.active_bars())


def with_bars(executor: Executor, run: Callable[[], Any]) -> Any:
    """Calls ``run`` while the active progress bars show what ``executor`` does."""
    module = sys.modules.get("oxidask.diagnostics.progress")
    for bar in module.active_bars() if module is not None else ():
        run = functools.partial(bar.run, executor, run)
    return run()


def run_graph(dsk: Mapping[Any, Any], keys: Any, *, scheduler: str, **kwargs: Any) -> Any:
    """Runs a dict graph on a local scheduler, as the ``get`` functions do."""
    from oxidask import _graphs, _pools

    pool = kwargs.pop("pool", None)
    num_workers = kwargs.pop("num_workers", None)
    if pool is None and scheduler == "threads":
        from oxidask import config

        pool = config.get("pool", None)
    if pool is not None:
        return _pools.get(dsk, keys, pool=pool)
    if kwargs.get("callbacks") or callbacks_active():
        workers = 1 if scheduler == "sync" else num_workers
        return _pools.get(dsk, keys, pool=None, num_workers=workers, callbacks=kwargs.get("callbacks"))
    executor = local_executor(scheduler, num_workers)
    return with_bars(executor, functools.partial(_graphs.get, dsk, keys, executor))


def get_scheduler(
    get: Callable[..., Any] | None = None,
    scheduler: Any = None,
    collections: Any = None,
    cls: Any = None,
) -> Callable[..., Any]:
    """The function ``get(dsk, keys)`` of a scheduler.

    Parameters
    ----------
    get, scheduler
        As for :func:`oxidask.compute`.
    collections : sequence of collections, optional
        Whose default is taken if nothing was chosen.
    cls : type, optional
        A class of collections, likewise.

    Raises
    ------
    ValueError
        If there is no such scheduler, or the collections have different defaults.

    Examples
    --------
    >>> get_scheduler(scheduler="sync")({"x": (abs, -1)}, "x")
    1
    """
    target = chosen_scheduler(scheduler, get=get)
    if target is None and cls is not None and hasattr(cls, "__dask_scheduler__"):
        return cls.__dask_scheduler__  # type: ignore[no-any-return]
    if target is None:
        target = local_executor(_oxidask.default_scheduler(tuple(collections or ()), True))
    if isinstance(target, Executor):
        from oxidask import _graphs

        return functools.partial(_graphs.get, executor=target)
    return target


class _NamedSchedulers(dict[str, Callable[..., Any]]):
    """The ``get`` functions by name, imported when asked for."""

    def __missing__(self, name: str) -> Callable[..., Any]:
        if NAMES.get(name) is None:
            raise KeyError(name)
        return get_scheduler(scheduler=name)

    def __contains__(self, name: object) -> bool:
        return name in NAMES

    def __iter__(self) -> Iterator[str]:
        return iter(NAMES)


named_schedulers: Mapping[str, Callable[..., Any]] = _NamedSchedulers()


def compute_as_if_collection(
    cls: Any, dsk: Mapping[Any, Any], keys: Any, scheduler: Any = None, get: Any = None, **kwargs: Any
) -> Any:
    """Runs a dict graph with the scheduler that collections would use.

    Examples
    --------
    >>> compute_as_if_collection(None, {"x": (abs, -1)}, "x")
    1
    """
    return get_scheduler(get=get, scheduler=scheduler, cls=cls)(dict(dsk), keys, **kwargs)

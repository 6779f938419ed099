"""Which client is meant, and tasks that use the cluster that runs them."""

from __future__ import annotations

import json
import os
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from oxidask import _oxidask
from oxidask.distributed._future import Future

if TYPE_CHECKING:
    from oxidask.distributed._client import Client

__all__ = [
    "current_executor",
    "default_client",
    "futures_of",
    "get_client",
    "get_worker",
    "membership",
    "rejoin",
    "secede",
    "worker_client",
]

#: Open clients that may serve as default, the newest last.
_defaults: list[weakref.ref[Client]] = []
_defaults_lock = threading.Lock()
current: ContextVar[Client | None] = ContextVar("current_client", default=None)

#: Clients of tasks of this process, by the address of their scheduler. They live
#: as long as the process: the tasks that follow use them, too.
_of_tasks: dict[str, Client] = {}
_of_tasks_lock = threading.Lock()

_abandoned: list[object] = []


def _after_fork() -> None:
    # The threads that serve clients do not exist in a forked child.
    global _of_tasks_lock, _defaults_lock
    for reference in _defaults:
        client = reference()
        if client is not None:
            _abandoned.append(client.__dict__.get("_handle"))
    _abandoned.extend(_of_tasks.values())
    _defaults.clear()
    _open.clear()
    _of_tasks.clear()
    _of_tasks_lock, _defaults_lock = threading.Lock(), threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


#: Clients that are connected, default or not.
_open: weakref.WeakSet[Client] = weakref.WeakSet()


def add_open(client: Client) -> None:
    """The client is connected."""
    _open.add(client)


def remove_open(client: Client) -> None:
    """The client is connected no more."""
    _open.discard(client)


def add_default(client: Client) -> None:
    """The client is the default one from now on, while it is open."""
    with _defaults_lock:
        _defaults.append(weakref.ref(client))


def remove_default(client: Client) -> None:
    """The client is no longer a default one."""
    with _defaults_lock:
        _defaults[:] = [other for other in _defaults if other() not in (None, client)]


def open_default() -> Client | None:
    """The active client, if there is one."""
    active = current.get()
    if active is not None and active.status == "running":
        return active
    with _defaults_lock:
        while _defaults:
            client = _defaults[-1]()
            if client is not None and client.status == "running":
                return client
            _defaults.pop()
    return None


_local = threading.local()


def run_as_member(worker: dict[str, Any] | None) -> None:
    """What this thread does from now on is done on a worker, though not by a task."""
    _local.worker = worker


def membership() -> dict[str, Any] | None:
    """What a task knows of the worker that runs it; ``None`` outside tasks."""
    text = _oxidask.membership()
    return getattr(_local, "worker", None) if text is None else json.loads(text)


def _client_of_task() -> Client | None:
    """A client of the cluster whose task runs on this thread, if one does."""
    worker = membership()
    if worker is None:
        return None
    scheduler = worker["scheduler"]
    active = open_default()
    if active is not None and active._address == scheduler and not active.asynchronous:
        return active
    with _of_tasks_lock:
        client = _of_tasks.get(scheduler)
        if client is None or client.status != "running":
            from oxidask.distributed._client import Client

            client = Client(scheduler, name=f"worker-{worker['name']}-{os.getpid()}", set_as_default=False)
            _of_tasks[scheduler] = client
        return client


def current_executor() -> _oxidask.Executor | None:
    """What runs collections on the cluster of the active client, if there is one."""
    client = open_default()
    if client is None and membership() is not None:
        client = _client_of_task()
    return None if client is None else client._handle.executor


def default_client(c: Client | None = None) -> Client:
    """The active client.

    Raises
    ------
    ValueError
        If there is none.

    Examples
    --------
    >>> from oxidask.distributed import Client
    >>> with Client(n_workers=1, processes=False) as client:
    ...     default_client() is client
    True
    """
    client = c or open_default()
    if client is None:
        raise ValueError("there is no client\nhint: create one first: oxidask.distributed.Client()")
    return client


def get_client(address: str | None = None, timeout: Any = None, resolve_address: bool = True) -> Client:
    """The client of the task that calls this, or the active one.

    Within a task it is a client of the cluster that runs the task, so tasks can
    submit tasks. While one waits for a result it lends its thread to others, so
    they never wait for each other in vain.

    Parameters
    ----------
    address : str, optional
        A client of that cluster instead.
    timeout : number of seconds or str
        Longest wait for a connection.

    Raises
    ------
    ValueError
        If there is none.

    Examples
    --------
    >>> from oxidask.distributed import Client
    >>> def fibonacci(n):
    ...     if n < 2:
    ...         return n
    ...     client = get_client()
    ...     return sum(client.gather(client.map(fibonacci, [n - 1, n - 2])))
    >>> with Client(n_workers=1, threads_per_worker=1, processes=False) as client:
    ...     client.submit(fibonacci, 6).result()
    8
    """
    del resolve_address
    if address is not None:
        from oxidask.distributed._client import Client

        active = open_default()
        if active is not None and active._address == address:
            return active
        return Client(address, timeout=timeout if timeout is not None else "30s", set_as_default=False)
    active = current.get()
    if active is not None and active.status == "running" and not active.asynchronous:
        return active
    client = _client_of_task() or open_default()
    if client is None:
        raise ValueError(
            "No global client found and no address provided\nhint: create one first: oxidask.distributed.Client()"
        )
    return client


def secede() -> None:
    """Gives the slot of the running task to other tasks, until it ends.

    A task that waits for other tasks lends its slot of its own accord; this is
    for tasks that wait for something else.

    Raises
    ------
    ValueError
        Outside tasks.

    Examples
    --------
    >>> from oxidask.distributed import Client
    >>> def task():
    ...     secede()
    ...     return "ran"
    >>> with Client(n_workers=1, threads_per_worker=1, processes=False) as client:
    ...     client.submit(task).result()
    'ran'
    """
    if not _oxidask.secede():
        raise ValueError("secede was called outside a task, so there is no slot to give")


def rejoin() -> None:
    """Takes the slot again that :func:`secede` gave away.

    Raises
    ------
    ValueError
        Outside tasks.
    """
    if not _oxidask.rejoin():
        raise ValueError("rejoin was called outside a task")


@contextmanager
def worker_client(timeout: Any = None, separate_thread: bool = True) -> Iterator[Client]:
    """A client for a task, which gives its slot to others meanwhile.

    Parameters
    ----------
    timeout : number of seconds or str
        Longest wait for a connection.
    separate_thread : bool
        Whether to give the slot away.

    Examples
    --------
    >>> from oxidask.distributed import Client
    >>> def task(n):
    ...     with worker_client() as client:
    ...         return sum(client.gather(client.map(abs, range(n))))
    >>> with Client(n_workers=1, threads_per_worker=1, processes=False) as client:
    ...     client.submit(task, 4).result()
    6
    """
    del timeout
    get_worker()
    client = get_client()
    if separate_thread:
        secede()
    try:
        with client.as_current():
            yield client
    finally:
        if separate_thread:
            rejoin()


_workers: dict[str, Any] = {}


def get_worker() -> Any:
    """The worker that runs the calling task.

    Returns
    -------
    Worker
        With ``address``, ``name``, ``nthreads``, ``local_directory``, ``client`` … It
        is one object for each worker and process, so attributes that are set on
        it are there for the next task of that process.

    Raises
    ------
    ValueError
        Outside tasks.

    Examples
    --------
    >>> from oxidask.distributed import Client
    >>> with Client(n_workers=1, processes=False) as client:
    ...     client.submit(lambda: get_worker().name).result()
    '0'
    """
    from oxidask.distributed._worker import Worker

    described = membership()
    if described is None:
        raise ValueError("No worker found: this is not called from a task")
    worker = _workers.get(described["address"])
    if worker is None:
        worker = _workers[described["address"]] = Worker._of(described)
    return worker


def futures_of(o: Any, client: Client | None = None) -> list[Future]:
    """All futures within nested lists, tuples, sets and dicts, and those of persisted collections.

    Raises
    ------
    CancelledError
        If one of them was cancelled.

    Examples
    --------
    >>> from oxidask.distributed import Client
    >>> with Client(n_workers=1, processes=False) as client:
    ...     one = client.scatter(1)
    ...     futures_of([{"a": one}, 2]) == [one]
    True
    """
    found = all_futures(o)
    if client is not None:
        from oxidask.distributed._future import cancelled_error

        bad = [future for future in found if future.cancelled()]
        if bad:
            raise cancelled_error(", ".join(repr(future) for future in bad))
    return found


def all_futures(o: Any) -> list[Future]:
    """The futures in nested containers, those among them that were cancelled."""
    found: list[Future] = []
    stack = [o]
    while stack:
        item = stack.pop()
        if isinstance(item, Future):
            found.append(item)
        elif isinstance(item, dict):
            stack.extend(reversed(list(item.values())))
        elif isinstance(item, (list, tuple, set, frozenset)):
            stack.extend(reversed(list(item)))
        elif hasattr(type(item), "__dask_graph__"):
            found.extend(_futures_of_collection(item))
    return found


def _futures_of_collection(collection: Any) -> Iterator[Future]:
    """The results of a collection's plan that a cluster holds or computes."""
    for expr in _oxidask.find_lazy((collection,), False):
        for handle in expr.futures():
            owner = next((client for client in list(_open) if client._handle.owns(handle)), None)
            if owner is not None:
                yield Future._of(handle, owner)

"""The client of a cluster: work and results."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from oxidask import _oxidask, config
from oxidask.distributed import _context
from oxidask.distributed._amm import ActiveMemoryManager
from oxidask.distributed._async import in_thread, sync_or_async
from oxidask.distributed._calls import Calls
from oxidask.distributed._cluster import LocalCluster
from oxidask.distributed._compute import Computations
from oxidask.distributed._connect import Target, find_cluster
from oxidask.distributed._datasets import Publishing
from oxidask.distributed._future import seconds_of
from oxidask.distributed._local import Local
from oxidask.distributed._look import Look
from oxidask.distributed._members import Members
from oxidask.distributed._notes import Notes
from oxidask.distributed._preload import Preloaded
from oxidask.distributed._questions import Questions
from oxidask.distributed._results import Results
from oxidask.distributed._watch import Watch
from oxidask.errors import ClosedError

__all__ = ["Client"]

#: Arguments of Dask's Client that have no effect here: serialisation, heartbeats
#: and the event loop are the engine's own.
_WITHOUT_EFFECT = frozenset(
    {
        "loop",
        "heartbeat_interval",
        "serializers",
        "deserializers",
        "extensions",
        "direct_to_workers",
        "connection_limit",
    }
)


class Client(Calls, Results, Computations, Questions, Members, Look, Local, Watch, Publishing, Notes):
    """Connects to a cluster, and runs functions and collections on it.

    Parameters
    ----------
    address : str, LocalCluster or None
        A cluster or the address of its scheduler; ``None`` starts a
        :class:`LocalCluster` that is closed with the client.
    timeout : number of seconds or str
        Longest wait for the connection.
    set_as_default : bool
        Whether ``compute`` and ``persist`` of all collections use this client while
        it is open.
    asynchronous : bool
        Whether the client is used by coroutines.
    security : Security, optional
        Certificates, if the cluster was given some.
    scheduler_file : str, optional
        A file that a scheduler wrote, in place of the address.
    name : str, optional
        A name for people.
    secret_file : str, optional
        The file with the cluster's secret, if it is not a cluster of this process
        or behind a socket file.
    **kwargs
        Arguments of :class:`LocalCluster`: ``n_workers``, ``threads_per_worker``,
        ``processes``, ``memory_limit`` …

    Raises
    ------
    OSError, TimeoutError
        If nobody listens there.
    PermissionError
        If the secret is wrong.
    VersionMismatchError
        If the cluster runs another build.

    Notes
    -----
    With ``asynchronous=True`` the client is for coroutines: ``await Client(…)`` or
    ``async with Client(…)`` connects it, and what would wait answers an
    awaitable instead. Functions are pickled by reference where that is
    possible, and by value, with cloudpickle, otherwise.

    Examples
    --------
    >>> from oxidask.distributed import Client
    >>> with Client(n_workers=2, threads_per_worker=1, processes=False) as client:
    ...     squares = client.map(lambda x: x**2, range(4))
    ...     client.gather(squares)
    [0, 1, 4, 9]
    """

    def __init__(
        self,
        address: Any = None,
        timeout: Any = None,
        set_as_default: bool = True,
        asynchronous: bool = False,
        name: str | None = None,
        secret_file: str | None = None,
        security: Any = None,
        scheduler_file: str | None = None,
        **kwargs: Any,
    ) -> None:
        kwargs = {key: value for key, value in kwargs.items() if key not in _WITHOUT_EFFECT}
        cluster = kwargs.pop("cluster", None)
        if timeout is None:
            timeout = config.get("distributed.comm.timeouts.connect", "30s")
        self._timeout = seconds_of(timeout)
        self._asynchronous = bool(asynchronous)
        self._set_as_default = set_as_default
        self.name = name or f"client-{os.getpid()}"
        self.id = self.name
        self._owned: LocalCluster | None = None
        self.cluster: Any = None
        self._state = "connecting"
        self._connecting = threading.RLock()
        self._handlers: dict[str, Any] = {}
        self._preloaded: Preloaded | None = None
        where = cluster if address is None else address
        self._target = find_cluster(where, scheduler_file, secret_file, security)
        if self._target is None and where is None and asynchronous:
            kwargs["asynchronous"] = True
        self._cluster_arguments = kwargs
        if self._target is not None:
            self.cluster = self._target.cluster
            if kwargs:
                names = ", ".join(map(repr, sorted(kwargs)))
                raise TypeError(f"{names}: arguments of a new cluster make no sense with an address")
        if not asynchronous:
            self._connect()

    def _connect(self) -> None:
        """Starts the cluster if there is none yet, and connects."""
        with self._connecting:
            if self._state == "connecting":
                self._connect_now()

    def _connect_now(self) -> None:
        target = self._target
        if target is None:
            self._owned = self.cluster = LocalCluster(**self._cluster_arguments)
            self._owned._start()
            target = Target.of(self._owned)
        try:
            self.__dict__["_handle"] = target.connect(self.name, self._timeout)
        except BaseException:
            self._state = "closed"
            if self._owned is not None:
                self._owned._close()
            raise
        self.__dict__["_shared"] = self._handle.shared
        self.__dict__["_questions"] = self._handle.questions
        self._address = target.address
        self._state = "running"
        _context.add_open(self)
        if self._set_as_default:
            _context.add_default(self)
        self._listen()
        self._preloaded = Preloaded("distributed.client", self)

    def __getattr__(self, name: str) -> Any:
        if name in ("_handle", "_shared", "_questions", "_address"):
            if self.__dict__.get("_state") == "connecting":
                # A coroutine may use a client that it did not await.
                self._connect()
                return getattr(self, name)
            raise ClosedError("this client was closed\nhint: make a new Client")
        raise AttributeError(f"Client has no attribute {name!r}")

    def __await__(self) -> Any:
        return self._started().__await__()

    async def _started(self) -> Client:
        if self._state == "connecting":
            await in_thread(self._connect)
        return self

    def start(self, **kwargs: Any) -> Any:
        """Connects, if that was not done yet; for an asynchronous client an awaitable.

        Examples
        --------
        >>> with Client(n_workers=1, processes=False) as client:
        ...     client.start() is client
        True
        """
        del kwargs
        if self._asynchronous:
            return self._started()
        self._connect()
        return self

    # -- state -------------------------------------------------------------

    @property
    def status(self) -> str:
        """``"connecting"``, ``"running"`` or ``"closed"``."""
        if self._state != "running":
            return self._state
        return "running" if self._handle.is_open else "closed"

    @property
    def asynchronous(self) -> bool:
        """Whether the client is used by coroutines."""
        return self._asynchronous

    @property
    def dashboard_link(self) -> str:
        """Where the scheduler serves its state; empty if it does not."""
        return getattr(self.cluster, "dashboard_link", "") or ""

    @property
    def amm(self) -> ActiveMemoryManager:
        """Who gives up copies of results; see :class:`ActiveMemoryManager`."""
        return ActiveMemoryManager(self)

    @property
    def scheduler(self) -> Target | None:
        """The scheduler: its ``address``."""
        return self._target if self._target is not None else Target.of(self.cluster)

    def _is_async(self, asynchronous: Any) -> bool:
        return self._asynchronous if asynchronous is None else bool(asynchronous)

    def sync(self, func: Callable[..., Any], *args: Any, asynchronous: bool | None = None, **kwargs: Any) -> Any:
        """Calls a coroutine function; waits for it unless the client is asynchronous.

        Examples
        --------
        >>> async def answer():
        ...     return 42
        >>> with Client(n_workers=1, processes=False) as client:
        ...     client.sync(answer)
        42
        """
        import asyncio

        awaitable = func(*args, **kwargs)
        if self._is_async(asynchronous):
            return awaitable

        async def wait() -> Any:
            return await awaitable

        return asyncio.run(wait())

    @classmethod
    def current(cls, allow_global: bool = True) -> Client:
        """The client of the innermost :meth:`as_current`, or the default one.

        Examples
        --------
        >>> with Client(n_workers=1, processes=False) as client:
        ...     Client.current() is client
        True
        """
        client = _context.current.get()
        if client is None and allow_global:
            return _context.default_client()
        if client is None:
            raise ValueError("there is no current client")
        return client

    @contextmanager
    def as_current(self) -> Iterator[Client]:
        """Makes this the client of the code within, on this thread."""
        token = _context.current.set(self)
        try:
            yield self
        finally:
            _context.current.reset(token)

    def __oxidask_executor__(self) -> _oxidask.Executor:
        return self._handle.executor

    def _named(self, key: str) -> Any:
        """The handle of a result that was named so, here or by another client."""
        (handle,) = self._handle.want_named([key])
        return handle

    # -- life ----------------------------------------------------------------

    def shutdown(self) -> Any:
        """Ends the cluster, workers and all."""
        return sync_or_async(self._asynchronous, self._shutdown)

    def _shutdown(self) -> None:
        if self._state == "running":
            self._handle.shutdown()
        if self.cluster is not None:
            self.cluster._close()
        self._close()

    def close(self, timeout: Any = None) -> Any:
        """Closes the connection; a cluster that the client started ends with it."""
        del timeout
        return sync_or_async(self._asynchronous, self._close)

    def _close(self) -> None:
        preloaded, self._preloaded = self._preloaded, None
        if preloaded is not None:
            preloaded.tear_down(self)
        _context.remove_default(self)
        _context.remove_open(self)
        self._end_task_log()
        state, self._state = self._state, "closed"
        if state == "running":
            self._handle.close()
        owned, self._owned = self._owned, None
        if owned is not None:
            owned._close()

    def __enter__(self) -> Client:
        if self._asynchronous:
            raise TypeError("an asynchronous client is used with 'async with', not 'with'")
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    async def __aenter__(self) -> Client:
        return await self

    async def __aexit__(self, *_: object) -> None:
        await in_thread(self._close)

    def __reduce__(self) -> Any:
        return _context.get_client, (self._address,)

    def __repr__(self) -> str:
        if self.status != "running":
            return f"<Client: No scheduler connected, {self.status}>"
        workers = self._questions.info()["workers"]
        threads = sum(worker["nthreads"] for worker in workers)
        return f"<Client: {self._address!r} processes={len(workers)} threads={threads}{_memory_of(workers)}>"

    def _repr_html_(self) -> str:
        import html

        if self.status != "running":
            return f"<b>Client</b> No scheduler connected, {self.status}"
        workers = self._questions.info()["workers"]
        link = self.dashboard_link
        rows = [
            ("Scheduler", f"<code>{html.escape(self._address)}</code>"),
            ("Pages", f"<a href='{html.escape(link)}'>{html.escape(link)}</a>" if link else "none"),
            ("Workers", str(len(workers))),
            ("Total threads", str(sum(worker["nthreads"] for worker in workers))),
            ("Total memory", _memory_of(workers).removeprefix(", memory=") or "unlimited"),
        ]
        table = "".join(f"<tr><td><strong>{name}: </strong>{value}</td></tr>" for name, value in rows)
        return f"<b>Client</b> {html.escape(self.id)}<table>{table}</table>"


def _memory_of(workers: list[dict[str, Any]]) -> str:
    """The memory that workers may fill, as a part of a client's description."""
    from oxidask.utils import format_bytes

    limit = sum(worker["memory_limit"] for worker in workers)
    # Beyond that, no limit was set.
    return f", memory={format_bytes(limit)}" if 0 < limit < 1 << 60 else ""

"""A cluster on this machine."""

from __future__ import annotations

import os
import sys
import weakref
from typing import Any

from oxidask import _child, _oxidask
from oxidask.distributed._async import in_thread, sync_or_async

__all__ = ["LocalCluster"]

#: Clusters of this process by the address of their scheduler.
_clusters: weakref.WeakValueDictionary[str, LocalCluster] = weakref.WeakValueDictionary()

#: Arguments of Dask's LocalCluster that have no effect here, because there is no
#: dashboard, no event loop of the user's and no log yet.
_WITHOUT_EFFECT = frozenset(
    {
        "dashboard",
        "dashboard_address",
        "death_timeout",
        "diagnostics_port",
        "host",
        "interface",
        "ip",
        "loop",
        "scheduler_kwargs",
        "services",
        "silence_logs",
        "worker_class",
        "worker_dashboard_address",
        "worker_services",
    }
)


def known_cluster(address: str) -> LocalCluster | None:
    """The cluster of this process whose scheduler listens at an address."""
    cluster = _clusters.get(address)
    return None if cluster is None or cluster.status == "closed" else cluster


def _cpu_count() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _defaults(n_workers: int | None, threads: int | None, processes: bool) -> tuple[int, int]:
    """How many workers, and how many threads each, for all cores."""
    cores = _cpu_count()
    if n_workers is None and threads is None:
        if not processes:
            return 1, cores
        if cores <= 4:
            return cores, 1
        n_workers = next(n for n in range(int(cores**0.5) or 1, cores + 1) if cores % n == 0)
        return n_workers, cores // n_workers
    if n_workers is None:
        assert threads is not None
        return max(1, cores // max(1, threads)), threads
    if threads is None:
        return n_workers, max(1, cores // max(1, n_workers))
    return n_workers, threads


def _limit_of(memory_limit: Any) -> int | None:
    """Bytes of results that each worker may hold; none for the default."""
    if memory_limit in ("auto", None):
        return None
    if memory_limit == 0:
        return 1 << 62
    machine = _oxidask.LocalClusterHandle.machine_memory()
    if isinstance(memory_limit, float) and memory_limit <= 1:
        return int(memory_limit * machine)
    if isinstance(memory_limit, str):
        from oxidask.utils import parse_bytes

        memory_limit = parse_bytes(memory_limit)
    if memory_limit < 0:
        raise ValueError(f"memory_limit is {memory_limit}; it must not be negative")
    return int(memory_limit)


def _agent_command() -> tuple[str, list[str], list[tuple[str, str]]]:
    """Program, arguments and variables that start a worker like this process."""
    program, args, env = _child.command()
    code = (
        f"import os, sys; sys.path[:] = os.environ.pop({_child._PATH_VARIABLE!r}).split(os.pathsep); "
        "from oxidask._oxidask import serve_agent; serve_agent()"
    )
    # The last argument is the child's own program.
    return program, [*args[:-1], code], env


class LocalCluster:
    """A scheduler in this process, with workers on this machine.

    Parameters
    ----------
    n_workers : int, optional
        Number of workers. By default workers and threads together use all cores.
    threads_per_worker : int, optional
        Tasks that each worker runs at once. Python functions run in one child
        process per thread, so they never wait for one another's GIL.
    processes : bool
        Whether workers are processes, or threads of this one. With threads, tasks
        see and share this process's objects.
    memory_limit : int, float, str or None
        Memory for results of each worker before it spills to disk: bytes, a
        fraction of the machine's memory, or a text such as ``"2 GiB"``. ``0`` means
        no limit, ``"auto"`` an equal share of 60 % of the memory.
    scheduler_port : int
        Port of the scheduler on 127.0.0.1. Without a port, or with ``protocol=
        "unix"``, sockets are files, which is faster.
    protocol : {"unix", "tcp"}, optional
    local_directory : str, optional
        Where the cluster's folder is made: sockets, secret, spilled results.
    resources : dict, optional
        Abstract resources of each worker, such as ``{"GPU": 1}``.
    asynchronous : bool
        Whether coroutines use the cluster: ``async with LocalCluster(…)``.
    security : Security or bool, optional
        Certificates; ``True`` makes some. Connections within this machine are not
        encrypted.
    name : str, optional

    Notes
    -----
    Every connection is authenticated with a secret that only this user can read,
    and nothing listens outside this machine. A worker that dies is replaced. The
    end of this process, however it comes, ends the workers and deletes the folder.

    Examples
    --------
    >>> from oxidask.distributed import Client, LocalCluster
    >>> with LocalCluster(n_workers=1, processes=False) as cluster:
    ...     with Client(cluster) as client:
    ...         client.submit(sum, [1, 2]).result()
    3
    """

    def __init__(
        self,
        n_workers: int | None = None,
        threads_per_worker: int | None = None,
        processes: bool | None = None,
        memory_limit: Any = "auto",
        scheduler_port: int = 0,
        protocol: str | None = None,
        local_directory: str | None = None,
        resources: dict[str, float] | None = None,
        asynchronous: bool = False,
        security: Any = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        threads_per_worker = kwargs.pop("nthreads", threads_per_worker)
        unknown = sorted(set(kwargs) - _WITHOUT_EFFECT)
        if unknown:
            raise TypeError(f"LocalCluster has no argument {', '.join(map(repr, unknown))}")
        if protocol not in (None, "unix", "unix://", "tcp", "tcp://", "tls", "tls://", "inproc", "inproc://"):
            raise ValueError(f"protocol {protocol!r} is not supported\nhint: use 'unix' or 'tcp'")
        if processes is None:
            processes = protocol not in ("inproc", "inproc://")
        for argument, value in (("n_workers", n_workers), ("threads_per_worker", threads_per_worker)):
            least = 0 if argument == "n_workers" else 1
            if value is not None and value < least:
                raise ValueError(f"{argument} is {value}; it must be at least {least}")
        n_workers, threads_per_worker = _defaults(n_workers, threads_per_worker, processes)
        self.processes = processes
        self.security = _security_of(security)
        self._n_workers = n_workers
        self._name = name
        self._asynchronous = bool(asynchronous)
        self._adaptive: Any = None
        self._handle: _oxidask.LocalClusterHandle | None = None
        self._is_closed = False
        self._arguments = {
            "n_workers": n_workers,
            "threads_per_worker": threads_per_worker,
            "memory_limit": _limit_of(memory_limit),
            "in_process": not processes,
            "tcp": bool(scheduler_port) or protocol in ("tcp", "tcp://", "tls", "tls://"),
            "port": scheduler_port,
            "folder": local_directory,
            "resources": sorted((resources or {}).items()),
        }
        if not asynchronous:
            self._start()

    def _start(self) -> None:
        if self._handle is not None or self._is_closed:
            return
        self._handle = _oxidask.LocalClusterHandle(_agent_command(), **self._arguments)
        self.scheduler_address: str = self._handle.address
        self._secret: str = self._handle.secret
        # Ends the workers when the cluster is collected or Python exits.
        self._finalizer = weakref.finalize(self, _close, self._handle, os.getpid())
        _clusters[self.scheduler_address] = self

    def __await__(self) -> Any:
        return self._started().__await__()

    async def _started(self) -> LocalCluster:
        await in_thread(self._start)
        return self

    @property
    def _live(self) -> _oxidask.LocalClusterHandle:
        if self._handle is None:
            raise RuntimeError(f"this cluster is {self.status}")
        return self._handle

    @property
    def asynchronous(self) -> bool:
        """Whether the cluster is used by coroutines."""
        return self._asynchronous

    @property
    def status(self) -> str:
        """``"created"``, ``"running"`` or ``"closed"``."""
        if self._is_closed:
            return "closed"
        return "created" if self._handle is None else "running"

    @property
    def name(self) -> str:
        """The name given, or that of the cluster's folder."""
        return self._name or os.path.basename(str(self._live.folder))

    @property
    def scheduler_info(self) -> dict[str, Any]:
        """What the scheduler knows of itself and its workers; see :meth:`Client.scheduler_info`."""
        with self._client() as client:
            return client.scheduler_info()  # type: ignore[no-any-return]

    @property
    def scheduler(self) -> Any:
        """The scheduler: its ``address``."""
        from oxidask.distributed._connect import Target

        return Target.of(self)

    @property
    def dashboard_link(self) -> str:
        """Empty: there is no dashboard yet."""
        return ""

    @property
    def worker_pids(self) -> dict[str, int]:
        """The processes of the workers by name; empty if they are threads."""
        return dict(self._live.worker_pids())

    @property
    def workers(self) -> dict[str, str]:
        """The addresses of the workers by name."""
        return {name: address for name, address, _ in self._live.workers()}

    def scale(self, n: int = 0, memory: Any = None, cores: int | None = None) -> None:
        """Starts workers, or lets the newest leave, until there are ``n``.

        What only a leaving worker holds is copied to others first.

        Parameters
        ----------
        n : int
            Number of workers.
        memory : int or str, optional
            Memory of all workers together, in place of ``n``.
        cores : int, optional
            Threads of all workers together, in place of ``n``.

        Examples
        --------
        >>> with LocalCluster(n_workers=1, processes=False) as cluster:
        ...     cluster.scale(2)
        ...     with cluster.get_client() as client:
        ...         client.wait_for_workers(2)
        """
        if cores is not None:
            n = max(n, -(-cores // self._live.threads_per_worker))
        if memory is not None:
            from oxidask.utils import parse_bytes

            n = max(n, -(-int(parse_bytes(memory)) // self._live.memory_limit))
        if n < 0:
            raise ValueError(f"a cluster cannot have {n} workers")
        return sync_or_async(self._asynchronous, self._scale, n)

    def _scale(self, n: int) -> None:
        self._live.scale(n)
        self._n_workers = n

    def scale_up(self, n: int = 1) -> Any:
        """Starts workers until there are ``n``."""
        return self.scale(max(n, len(self.workers)))

    def adapt(self, minimum: Any = None, maximum: Any = None, **kwargs: Any) -> Any:
        """Keeps the number of workers between two bounds, as there is work.

        Parameters
        ----------
        minimum, maximum : int
        **kwargs
            See :class:`Adaptive`.

        Returns
        -------
        Adaptive
        """
        from oxidask.distributed._adaptive import Adaptive

        if self._adaptive is not None:
            self._adaptive.stop()
        self._adaptive = Adaptive(self, minimum=minimum, maximum=maximum, **kwargs)
        return self._adaptive

    def _client(self) -> Any:
        from oxidask.distributed._client import Client

        return Client(self, set_as_default=False)

    def get_client(self) -> Any:
        """A new client of this cluster."""
        from oxidask.distributed._client import Client

        return Client(self, asynchronous=self._asynchronous)

    def wait_for_workers(self, n_workers: int, timeout: Any = None) -> Any:
        """Waits until at least ``n_workers`` are there."""
        return sync_or_async(self._asynchronous, self._wait_for_workers, n_workers, timeout)

    def _wait_for_workers(self, n_workers: int, timeout: Any) -> None:
        with self._client() as client:
            client.wait_for_workers(n_workers, timeout)

    def close(self, timeout: Any = None) -> Any:
        """Ends the workers and the scheduler, and deletes the cluster's folder."""
        del timeout
        return sync_or_async(self._asynchronous, self._close)

    def _close(self) -> None:
        self._is_closed = True
        adaptive, self._adaptive = self._adaptive, None
        if adaptive is not None:
            adaptive.stop()
        handle, self._handle = self._handle, None
        if handle is not None:
            self._finalizer.detach()
            handle.close()

    def __enter__(self) -> LocalCluster:
        if self._asynchronous:
            raise TypeError("an asynchronous cluster is used with 'async with', not 'with'")
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    async def __aenter__(self) -> LocalCluster:
        return await self

    async def __aexit__(self, *_: object) -> None:
        await in_thread(self._close)

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)

    def __repr__(self) -> str:
        if self._handle is None:
            return f"LocalCluster({self.status})"
        workers = self._handle.workers()
        threads = sum(n_threads for _, _, n_threads in workers)
        return f"LocalCluster({self.scheduler_address!r}, workers={len(workers)}, threads={threads})"

    def _repr_html_(self) -> str:
        import html

        return f"<b>LocalCluster</b> <code>{html.escape(repr(self))}</code>"


def _security_of(security: Any) -> Any:
    if security is True:
        from oxidask.distributed._security import Security

        return Security.temporary()
    return security or None


def _close(handle: _oxidask.LocalClusterHandle, owner: int) -> None:
    # A forked child has a copy of the object and not its threads, and the
    # workers are its parent's.
    if os.getpid() == owner and not sys.is_finalizing():
        handle.close()


_abandoned: list[object] = []


def _after_fork() -> None:
    # Dropping the handles would end the parent's workers.
    for cluster in list(_clusters.values()):
        _abandoned.append(cluster._handle)
        cluster._handle = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)

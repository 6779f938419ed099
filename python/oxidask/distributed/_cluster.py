"""A cluster on this machine."""

from __future__ import annotations

import os
import sys
import weakref
from typing import Any

from oxidask import _child, _oxidask

__all__ = ["LocalCluster"]

#: Clusters of this process by the address of their scheduler.
_clusters: weakref.WeakValueDictionary[str, LocalCluster] = weakref.WeakValueDictionary()

#: Arguments of Dask's LocalCluster that have no effect here, because there is no
#: dashboard, no event loop of the user's and no log yet.
_WITHOUT_EFFECT = frozenset(
    {"dashboard_address", "silence_logs", "loop", "host", "ip", "name", "worker_dashboard_address"}
)


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
        **kwargs: Any,
    ) -> None:
        unknown = sorted(set(kwargs) - _WITHOUT_EFFECT)
        if unknown:
            raise TypeError(f"LocalCluster has no argument {', '.join(map(repr, unknown))}")
        if protocol not in (None, "unix", "unix://", "tcp", "tcp://", "inproc", "inproc://"):
            raise ValueError(f"protocol {protocol!r} is not supported\nhint: use 'unix' or 'tcp'")
        if processes is None:
            processes = protocol not in ("inproc", "inproc://")
        for name, value in (("n_workers", n_workers), ("threads_per_worker", threads_per_worker)):
            least = 0 if name == "n_workers" else 1
            if value is not None and value < least:
                raise ValueError(f"{name} is {value}; it must be at least {least}")
        n_workers, threads_per_worker = _defaults(n_workers, threads_per_worker, processes)
        self.processes = processes
        self._n_workers = n_workers
        self._handle: _oxidask.LocalClusterHandle | None = _oxidask.LocalClusterHandle(
            _agent_command(),
            n_workers=n_workers,
            threads_per_worker=threads_per_worker,
            memory_limit=_limit_of(memory_limit),
            in_process=not processes,
            tcp=bool(scheduler_port) or protocol in ("tcp", "tcp://"),
            port=scheduler_port,
            folder=local_directory,
            resources=sorted((resources or {}).items()),
        )
        self.scheduler_address: str = self._handle.address
        self._secret: str = self._handle.secret
        # Ends the workers when the cluster is collected or Python exits.
        self._finalizer = weakref.finalize(self, _close, self._handle, os.getpid())
        _clusters[self.scheduler_address] = self

    @property
    def _live(self) -> _oxidask.LocalClusterHandle:
        if self._handle is None:
            raise RuntimeError("this cluster was closed")
        return self._handle

    @property
    def status(self) -> str:
        """``"running"`` or ``"closed"``."""
        return "closed" if self._handle is None else "running"

    @property
    def name(self) -> str:
        """The name of the cluster's folder."""
        return os.path.basename(str(self._live.folder))

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
        self._live.scale(n)
        self._n_workers = n

    def get_client(self) -> Any:
        """A new client of this cluster."""
        from oxidask.distributed._client import Client

        return Client(self)

    def wait_for_workers(self, n_workers: int, timeout: Any = None) -> None:
        """Waits until at least ``n_workers`` are there."""
        with self.get_client() as client:
            client.wait_for_workers(n_workers, timeout)

    def close(self, timeout: Any = None) -> None:
        """Ends the workers and the scheduler, and deletes the cluster's folder."""
        del timeout
        handle, self._handle = self._handle, None
        if handle is not None:
            self._finalizer.detach()
            handle.close()

    def __enter__(self) -> LocalCluster:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        if self._handle is None:
            return "LocalCluster(closed)"
        workers = self._handle.workers()
        threads = sum(n_threads for _, _, n_threads in workers)
        return f"LocalCluster({self.scheduler_address!r}, workers={len(workers)}, threads={threads})"

    def _repr_html_(self) -> str:
        import html

        return f"<b>LocalCluster</b> <code>{html.escape(repr(self))}</code>"


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

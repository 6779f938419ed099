"""A cluster on this machine."""

from __future__ import annotations

import json
import os
import sys
import warnings
import weakref
from typing import Any

from oxidask import _child, _oxidask, config
from oxidask.distributed._cluster_base import Cluster

__all__ = ["LocalCluster"]

#: Clusters of this process by the address of their scheduler.
_clusters: weakref.WeakValueDictionary[str, LocalCluster] = weakref.WeakValueDictionary()

#: Arguments of Dask's LocalCluster that have no effect here: event loops, logs and
#: pages of workers are not what this cluster is made of.
_WITHOUT_EFFECT = frozenset(
    {
        "blocked_handlers",
        "dashboard",
        "death_timeout",
        "loop",
        "scheduler_kwargs",
        "scheduler_sync_interval",
        "service_kwargs",
        "services",
        "silence_logs",
        "start",
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
    return program, [*args[:-1], code], [*env, *inherited_config()]


def inherited_config() -> list[tuple[str, str]]:
    """The variable by which workers have the settings of this process."""
    plain = {}
    for name, value in config.config.items():
        try:
            json.dumps(value)
        except (TypeError, ValueError):
            # Functions and the like: what needs them is passed on otherwise.
            continue
        plain[name] = value
    return [("OXIDASK_INTERNAL_INHERIT_CONFIG", config.serialize(plain))]


def child_program(preload: Any, arguments: Any = ()) -> tuple[str, list[str], list[tuple[str, str]]] | None:
    """What starts a child that first imports modules; none if there is nothing to import."""
    names = (
        [preload] if isinstance(preload, str) else list(preload or config.get("distributed.worker.preload", None) or ())
    )
    if not names:
        return None
    program, args, env = _child.command()
    arguments = list(arguments or config.get("distributed.worker.preload-argv", None) or ())
    return program, args, [*env, ("OXIDASK_INTERNAL_PRELOAD", json.dumps([names, arguments]))]


def pages_address(dashboard_address: Any) -> str | None:
    """Where pages for monitors are to be served: a host and a port, or nowhere."""
    if dashboard_address in (None, False, ""):
        return None
    host, _, port = str(dashboard_address).rpartition(":")
    if not port.isdigit():
        raise ValueError(f"dashboard_address is {dashboard_address!r}\nhint: give a port, ':8787' or '127.0.0.1:8787'")
    return f"{host or '127.0.0.1'}:{port}"


def with_free_port(start: Any, pages: str | None) -> Any:
    """What ``start`` answers for the address of the pages, or for another port if that is taken."""
    try:
        return start(pages)
    except OSError as error:
        if pages is None or pages not in str(error):
            raise
        warnings.warn(f"the port of {pages} is taken, so the pages for monitors have another", stacklevel=4)
        return start(f"{pages.rpartition(':')[0]}:0")


class LocalCluster(Cluster):
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
    dashboard_address : str or int, optional
        Port, or host and port, of the scheduler's pages for monitors: ``":8787"``.
        Without, there are none.
    host, interface : str, optional
        An address of this machine, which is the only one that is listened to: for
        workers on other machines there is the command ``oxidask scheduler``.
    preload : str or list of str, optional
        Modules or files that the processes of Python functions import first.
    **kwargs
        Other arguments of Dask's that have no effect here.

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
        dashboard_address: Any = None,
        host: str | None = None,
        interface: str | None = None,
        preload: Any = None,
        **kwargs: Any,
    ) -> None:
        threads_per_worker = kwargs.pop("nthreads", threads_per_worker)
        dashboard_address = kwargs.pop("diagnostics_port", dashboard_address)
        host = kwargs.pop("ip", host)
        preload_argv = kwargs.pop("preload_argv", ())
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
        _check_host(host, interface)
        n_workers, threads_per_worker = _defaults(n_workers, threads_per_worker, processes)
        super().__init__(asynchronous, name)
        self.processes = processes
        self.security = _security_of(security)
        self._n_workers = n_workers
        self._handle: _oxidask.LocalClusterHandle | None = None
        self._pages = pages_address(dashboard_address)
        self._arguments = {
            "n_workers": n_workers,
            "threads_per_worker": threads_per_worker,
            "memory_limit": _limit_of(memory_limit),
            "in_process": not processes,
            "tcp": bool(scheduler_port) or bool(host) or protocol in ("tcp", "tcp://", "tls", "tls://"),
            "port": scheduler_port,
            "folder": local_directory,
            "resources": sorted((resources or {}).items()),
            "child": child_program(preload, preload_argv),
        }
        if not asynchronous:
            self._start()

    def _start(self) -> None:
        if self._handle is not None or self._is_closed:
            return
        command = _agent_command()
        self._handle = with_free_port(
            lambda pages: _oxidask.LocalClusterHandle(command, http=pages, **self._arguments), self._pages
        )
        self._is_running = True
        self.scheduler_address = self._handle.address
        self._secret = self._handle.secret
        # Ends the workers when the cluster is collected or Python exits.
        self._finalizer = weakref.finalize(self, _close, self._handle, os.getpid())
        _clusters[self.scheduler_address] = self

    def _end(self) -> None:
        handle, self._handle = self._handle, None
        if handle is not None:
            self._finalizer.detach()
            handle.close()

    @property
    def _live(self) -> _oxidask.LocalClusterHandle:
        if self._handle is None:
            raise RuntimeError(f"this cluster is {self.status}")
        return self._handle

    @property
    def name(self) -> str:
        """The name given, or that of the cluster's folder."""
        return self._name or os.path.basename(str(self._live.folder))

    @property
    def dashboard_link(self) -> str:
        """Where the scheduler's pages for monitors are; empty without ``dashboard_address``."""
        address = None if self._handle is None else self._handle.http_address
        return f"http://{address}/" if address else ""

    @property
    def worker_pids(self) -> dict[str, int]:
        """The processes of the workers by name; empty if they are threads."""
        return dict(self._live.worker_pids())

    @property
    def workers(self) -> dict[Any, Any]:
        """The workers by their number: each has ``address``, ``name`` and ``nthreads``."""
        from oxidask.distributed._worker import Worker

        return {int(name): Worker._seen(name, address, n) for name, address, n in self._live.workers()}

    def _worker_size(self) -> tuple[int, int]:
        return self._live.threads_per_worker, self._live.memory_limit

    def _scale(self, n: int) -> None:
        self._live.scale(n)
        self._n_workers = n

    def _threads(self) -> list[int]:
        return [n_threads for _, _, n_threads in self._live.workers()]


def _check_host(host: str | None, interface: str | None) -> None:
    """A local cluster is for this machine alone."""
    from oxidask.cli._common import host_of, is_loopback

    found = host_of(host, interface)
    if found and not is_loopback(found.rpartition("://")[2]):
        raise ValueError(
            f"a LocalCluster listens on this machine alone, not at {found}\n"
            "hint: start 'oxidask scheduler --host …' and 'oxidask worker' for a cluster of several machines"
        )


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
        cluster._handle, cluster._is_running = None, False


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)

"""Clusters whose workers are described one by one: what launchers build on."""

from __future__ import annotations

import copy
import json
import os
import sys
import threading
import weakref
from collections.abc import Callable
from typing import Any

from oxidask import _child, _oxidask
from oxidask.distributed._cluster import _agent_command, _limit_of, _security_of, child_program, with_free_port
from oxidask.distributed._cluster import pages_address as _pages_address
from oxidask.distributed._cluster_base import Cluster
from oxidask.distributed._run import finished
from oxidask.distributed._worker import Nanny, Scheduler, Worker

__all__ = ["ProcessInterface", "SpecCluster"]


class ProcessInterface:
    """A base for what starts a worker, or the scheduler, somewhere.

    A launcher of workers overrides ``start`` and ``close``, which may be coroutine
    functions. Before ``start`` is called, ``cluster`` is the cluster; a worker
    finds the scheduler at ``self.scheduler`` (its address) and, on machines that
    share the folder, all that it must know in ``self.scheduler_file``: that is
    what the command ``oxidask worker --scheduler-file`` takes.

    Parameters
    ----------
    scheduler : str, optional
        The address of the scheduler.
    name : object, optional
        The name of the worker in its cluster.

    Examples
    --------
    >>> class Nothing(ProcessInterface):
    ...     pass
    >>> Nothing(name="a").status
    'created'
    """

    cluster: Any = None

    def __init__(self, scheduler: str | None = None, name: Any = None, **kwargs: Any) -> None:
        del kwargs
        self.scheduler, self.name = scheduler, name
        self.status = "created"
        self.address: str | None = getattr(self, "address", None)

    @property
    def scheduler_file(self) -> str:
        """The file that describes the scheduler, which only its owner may read."""
        return str(self.cluster._scheduler_file)

    def start(self) -> Any:
        """Starts the process."""
        self.status = "running"

    def close(self) -> Any:
        """Ends the process."""
        self.status = "closed"

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}: {self.status}>"


class _OwnScheduler(ProcessInterface):
    """A scheduler in this process."""

    def __init__(self, cluster: SpecCluster, options: dict[str, Any]) -> None:
        super().__init__()
        from oxidask.cli._common import host_of, listen_address

        options = dict(options)
        host = host_of(options.pop("host", None), options.pop("interface", None))
        address = listen_address(host, options.pop("port", None) or 0, options.pop("protocol", None))
        self._pages = _pages_address(options.pop("dashboard_address", None))
        idle = options.pop("idle_timeout", None)
        if idle is not None:
            from oxidask.utils import parse_timedelta

            idle = float(parse_timedelta(idle))
        self._arguments = {
            "address": address,
            "scheduler_file": cluster._scheduler_file,
            "security": None if cluster.security is None else cluster.security._to_json(),
            "journal": options.pop("journal", None),
            "idle_timeout": idle,
        }
        if options:
            raise TypeError(f"a scheduler has no option {', '.join(map(repr, sorted(options)))}")

    def start(self) -> None:
        """Listens."""
        self._handle = with_free_port(
            lambda pages: _oxidask.SchedulerHandle(http=pages, **self._arguments), self._pages
        )
        self.address, self.secret = self._handle.address, self._handle.secret
        self.pages = self._handle.http_address
        self.status = "running"

    def close(self) -> None:
        """Ends it."""
        if self.status == "running":
            self._handle.close()
        self.status = "closed"


class _OwnWorker(ProcessInterface):
    """A worker on this machine: a process, or threads of this one."""

    def __init__(self, cluster: SpecCluster, name: Any, is_process: bool, options: dict[str, Any]) -> None:
        super().__init__(cluster.scheduler_address, name)
        options = dict(options)
        n_threads = options.pop("nthreads", None) or os.cpu_count() or 1
        limit = _limit_of(options.pop("memory_limit", "auto"))
        preload = child_program(options.pop("preload", None), options.pop("preload_argv", ()))
        lifetime, death = options.pop("lifetime", None), options.pop("death_timeout", None)
        self._arguments = {
            "command": _agent_command() if is_process else None,
            "child": (preload or _child.command()) if is_process else None,
            "n_workers": 1,
            "n_threads": n_threads,
            "memory_limit": _oxidask.LocalClusterHandle.machine_memory() * 6 // 10 if limit is None else limit,
            "security": None if cluster.security is None else cluster.security._to_json(),
            "name": str(options.pop("name", name)),
            "host": options.pop("host", None),
            "resources": sorted((options.pop("resources", None) or {}).items()),
            "local_directory": options.pop("local_directory", None),
            "lifetime": _seconds(lifetime),
            "lifetime_restart": bool(options.pop("lifetime_restart", False)),
            "death_timeout": _seconds(death),
        }
        for ignored in ("silence_logs", "loop", "dashboard", "dashboard_address", "protocol"):
            options.pop(ignored, None)
        if options:
            raise TypeError(f"a worker has no option {', '.join(map(repr, sorted(options)))}")
        self._secret = cluster._secret

    def start(self) -> None:
        """Starts it; it joins the scheduler by itself."""
        self._handle = _oxidask.WorkersHandle(self.scheduler, self._secret, **self._arguments)
        self.status = "running"

    def close(self) -> None:
        """Ends it."""
        if self.status == "running":
            self._handle.close()
        self.status = "closed"


def _seconds(value: Any) -> float | None:
    if value is None:
        return None
    from oxidask.utils import parse_timedelta

    return float(parse_timedelta(value))


class SpecCluster(Cluster):
    """A cluster of a scheduler and workers that are described one by one.

    Launchers derive from it: they say how a worker is started, by a class with
    the methods of :class:`ProcessInterface`, and the rest (scaling, adapting,
    retiring in order, closing) is here.

    Parameters
    ----------
    workers : dict, optional
        The first workers by name: ``{"cls": class, "options": {…}}``. The class is
        :class:`Worker` (on threads of this process), :class:`Nanny` (a process that is
        started anew when it dies) or a launcher's, called as
        ``cls(scheduler_address, name=name, **options)``.
    scheduler : dict, optional
        The scheduler, in the same form; :class:`Scheduler` by default, in this process,
        with options ``host``, ``interface``, ``port``, ``protocol``, ``dashboard_address``,
        ``idle_timeout`` and ``journal``. A launcher's class must have ``address`` and
        ``secret`` once it is started.
    worker : dict, optional
        How further workers are made when the cluster grows.
    asynchronous : bool
        Whether coroutines use the cluster.
    loop
        Without effect.
    security : Security or bool, optional
        Certificates; ``True`` makes some. Connections that leave the machine are
        encrypted in any case.
    silence_logs
        Without effect.
    name : str, optional
    shutdown_on_close : bool
        Whether closing the cluster ends its workers and scheduler.
    scheduler_sync_interval
        Without effect.
    shutdown_scheduler : bool
        Whether the scheduler ends with the cluster; one in this process does in any
        case end with the process.

    Raises
    ------
    ValueError
        If the cluster is to grow and ``worker`` was not given.

    Examples
    --------
    >>> from oxidask.distributed import Client, SpecCluster, Worker
    >>> worker = {"cls": Worker, "options": {"nthreads": 1}}
    >>> with SpecCluster({"first": worker}, worker=worker) as cluster, Client(cluster) as client:
    ...     client.wait_for_workers(1, timeout=30)
    ...     cluster.scale(2)
    ...     client.wait_for_workers(2, timeout=30)
    ...     sorted(cluster.workers, key=str), client.submit(abs, -1).result()
    ([0, 'first'], 1)
    """

    def __init__(
        self,
        workers: dict[Any, Any] | None = None,
        scheduler: dict[str, Any] | None = None,
        worker: dict[str, Any] | None = None,
        asynchronous: bool = False,
        loop: Any = None,
        security: Any = None,
        silence_logs: Any = False,
        name: str | None = None,
        shutdown_on_close: bool = True,
        scheduler_sync_interval: Any = 1,
        shutdown_scheduler: bool = True,
    ) -> None:
        del loop, silence_logs, scheduler_sync_interval
        super().__init__(asynchronous, name)
        self.security = _security_of(security)
        self.worker_spec: dict[Any, Any] = copy.copy(workers) or {}
        self.scheduler_spec = scheduler or {"cls": Scheduler, "options": {}}
        self.new_spec = copy.copy(worker)
        self.shutdown_on_close, self.shutdown_scheduler = shutdown_on_close, shutdown_scheduler
        self._workers: dict[Any, Any] = {}
        self._scheduler: Any = None
        self._scheduler_file: str | None = None
        self._number = 0
        self._changing = threading.RLock()
        if not asynchronous:
            self._start()

    @classmethod
    def from_name(cls, name: str) -> Any:
        """A cluster that runs already; for launchers that can find theirs.

        Raises
        ------
        NotImplementedError
            Unless a launcher overrides it.
        """
        raise NotImplementedError(f"{cls.__name__} cannot find a cluster that runs already, such as {name!r}")

    # -- life --------------------------------------------------------------------

    def _start(self) -> None:
        with self._changing:
            if self._is_running or self._is_closed:
                return
            import tempfile

            self._folder = tempfile.TemporaryDirectory(prefix="oxidask-spec-")
            self._scheduler_file = os.path.join(self._folder.name, "scheduler.json")
            try:
                self._start_scheduler()
                self._correct()
            except BaseException:
                self._end()
                raise
            self._is_running = True
            # Ends the workers when the cluster is collected or Python exits.
            self._finalizer = weakref.finalize(self, _end_all, self._workers, self._scheduler, os.getpid())

    def _start_scheduler(self) -> None:
        cls, options = self.scheduler_spec["cls"], self.scheduler_spec.get("options", {})
        if cls is Scheduler:
            self._scheduler = _OwnScheduler(self, options)
        else:
            self._scheduler = cls(**options)
        _begin(self._scheduler, self)
        self.scheduler_address = self._scheduler.address
        self._secret = getattr(self._scheduler, "secret", None)
        if cls is not Scheduler:
            with os.fdopen(os.open(str(self._scheduler_file), os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
                json.dump({"address": self.scheduler_address, "secret": self._secret}, file)

    def _end(self) -> None:
        finalizer = getattr(self, "_finalizer", None)
        if finalizer is not None:
            finalizer.detach()
        if self.shutdown_on_close:
            _end_all(self._workers, self._scheduler if self.shutdown_scheduler else None, os.getpid())
        self._folder.cleanup()

    # -- size --------------------------------------------------------------------

    @property
    def workers(self) -> dict[Any, Any]:
        """The workers by name, as the objects that started them."""
        return dict(self._workers)

    @property
    def plan(self) -> set[Any]:
        """The names of the workers that there shall be."""
        return set(self.worker_spec)

    @property
    def requested(self) -> set[Any]:
        """The names of the workers that were started."""
        return set(self._workers)

    @property
    def dashboard_link(self) -> str:
        """Where the scheduler's pages for monitors are; empty without ``dashboard_address``."""
        address = getattr(self._scheduler, "pages", None)
        return f"http://{address}/" if address else ""

    def new_worker_spec(self) -> dict[Any, Any]:
        """The next worker: its name and its description.

        Launchers may override it to start several at once.
        """
        if self.new_spec is None:
            raise ValueError("this cluster cannot grow\nhint: pass worker={'cls': …, 'options': …}")
        while self._number in self.worker_spec:
            self._number += 1
        return {self._number: self.new_spec}

    def _worker_size(self) -> tuple[int, int]:
        options = (self.new_spec or {}).get("options", {})
        limit = _limit_of(options.get("memory_limit", "auto"))
        return options.get("nthreads") or os.cpu_count() or 1, limit or _oxidask.LocalClusterHandle.machine_memory()

    @property
    def _n_workers(self) -> int:  # type: ignore[override]
        return len(self.worker_spec)

    def _scale(self, n: int) -> None:
        with self._changing:
            names = list(self.worker_spec)
            for name in names[n:]:
                del self.worker_spec[name]
            while len(self.worker_spec) < n:
                self.worker_spec.update(self.new_worker_spec())
            self._correct()

    def _scale_down(self, names: list[str]) -> None:
        with self._changing:
            self.worker_spec = {name: spec for name, spec in self.worker_spec.items() if str(name) not in names}
            self._correct()

    def _correct(self) -> None:
        """Starts and ends workers until those are there that there shall be."""
        leaving = [name for name in self._workers if name not in self.worker_spec]
        if leaving:
            self._retire(leaving)
        for name in leaving:
            finished(self._workers.pop(name).close())
        for name, spec in self.worker_spec.items():
            if name not in self._workers:
                worker = self._worker(name, spec["cls"], spec.get("options", {}))
                _begin(worker, self)
                self._workers[name] = worker

    def _retire(self, names: list[Any]) -> None:
        """Has what only these workers hold copied to others, as far as they have joined."""
        with self._client() as client:
            there = client._known_workers()
            joined = [str(name) for name in names if str(name) in there]
            client._retire_workers(joined)

    def _worker(self, name: Any, cls: Callable[..., Any], options: dict[str, Any]) -> Any:
        if cls is Worker or cls is Nanny:
            return _OwnWorker(self, name, cls is Nanny, options)
        return cls(self.scheduler_address, name=name, **options)


def _begin(process: Any, cluster: SpecCluster) -> None:
    process.cluster = weakref.proxy(cluster)
    finished(process.start())


def _end_all(workers: dict[Any, Any], scheduler: Any, owner: int) -> None:
    # A forked child has copies of the objects, and the workers are its parent's.
    if os.getpid() != owner or sys.is_finalizing():
        return
    for name in list(workers):
        finished(workers.pop(name).close())
    if scheduler is not None:
        finished(scheduler.close())

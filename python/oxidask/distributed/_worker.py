"""Workers, as tasks and launchers see them."""

from __future__ import annotations

import os
from typing import Any

__all__ = ["Nanny", "Scheduler", "Worker"]


class Worker:
    """A worker of a cluster.

    Within a task :func:`get_worker` answers the one that runs it. As the
    ``cls`` of a :class:`SpecCluster` it says that a worker is wanted.

    Attributes
    ----------
    address, name, local_directory : str
    nthreads : int
        Tasks that it runs at once.
    scheduler_address : str
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        del args, kwargs
        raise RuntimeError(
            "workers are started by a cluster or by the command 'oxidask worker'\n"
            "hint: use LocalCluster or SpecCluster, or get_worker() within a task"
        )

    address: str
    name: str
    nthreads: int
    local_directory: str
    scheduler_address: str

    @classmethod
    def _of(cls, described: dict[str, Any]) -> Worker:
        worker = cls.__new__(cls)
        worker.address = worker.id = worker.worker_address = described["address"]  # type: ignore[attr-defined]
        worker.name = described["name"]
        worker.nthreads = described["n_threads"]
        worker.local_directory = described["local_directory"]
        worker.scheduler_address = described["scheduler"]
        folder, name = described["local_directory"], described["name"]
        # Where the engine looks for it, too.
        worker._setups = os.path.join(folder, f"setups-{name}-{described['incarnation']}")  # type: ignore[attr-defined]
        return worker

    @classmethod
    def _seen(cls, name: str, address: str, nthreads: int) -> Worker:
        """A worker as its cluster sees it."""
        worker = cls.__new__(cls)
        worker.name, worker.nthreads = name, nthreads
        worker.address = worker.id = worker.worker_address = address  # type: ignore[attr-defined]
        return worker

    @property
    def client(self) -> Any:
        """A client of the cluster, for use within tasks."""
        from oxidask.distributed._context import get_client

        return get_client()

    def log_event(self, topic: Any, msg: Any) -> None:
        """Logs an event; see :meth:`Client.log_event`."""
        self.client.log_event(topic, msg)

    def __repr__(self) -> str:
        return f"<Worker {self.address!r}, name: {self.name}, threads: {self.nthreads}>"


class Nanny(Worker):
    """A worker that is started anew when it dies, as the ``cls`` of a :class:`SpecCluster`."""


class Scheduler(Worker):
    """A scheduler, as the ``cls`` of a :class:`SpecCluster`."""

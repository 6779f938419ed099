"""Futures on a cluster: ``Client``, ``LocalCluster``, ``Future``, and what tasks share.

>>> from oxidask.distributed import Client
>>> with Client(n_workers=1, threads_per_worker=1, processes=False) as client:
...     futures = client.map(abs, [-1, -2, -3])
...     total = client.submit(sum, futures)
...     total.result()
6

While a client is open, it runs all collections: ``compute`` and ``persist`` go to
its cluster unless a ``scheduler=`` says otherwise.
"""

from __future__ import annotations

from oxidask.distributed._actor import Actor, ActorFuture, BaseActorFuture
from oxidask.distributed._adaptive import Adaptive
from oxidask.distributed._client import Client
from oxidask.distributed._cluster import LocalCluster
from oxidask.distributed._cluster_base import Cluster
from oxidask.distributed._completed import as_completed, wait
from oxidask.distributed._context import (
    current_executor,
    default_client,
    futures_of,
    get_client,
    get_worker,
    rejoin,
    secede,
    worker_client,
)
from oxidask.distributed._executor import ClientExecutor
from oxidask.distributed._future import Future, fire_and_forget
from oxidask.distributed._lock import Event, Lock, MultiLock, Semaphore
from oxidask.distributed._metadata import get_task_metadata
from oxidask.distributed._output import print, warn
from oxidask.distributed._plugins import (
    CondaInstall,
    Environ,
    InstallPlugin,
    NannyPlugin,
    PipInstall,
    SchedulerPlugin,
    UploadDirectory,
    WorkerPlugin,
)
from oxidask.distributed._queue import Queue, Variable
from oxidask.distributed._report import performance_report
from oxidask.distributed._security import Security
from oxidask.distributed._spec import ProcessInterface, SpecCluster
from oxidask.distributed._ssh import SSHCluster
from oxidask.distributed._upload import UploadFile
from oxidask.distributed._watch import MemorySampler, get_task_stream, progress, span
from oxidask.distributed._worker import Nanny, Scheduler, Worker
from oxidask.errors import CancelledError, ClosedError, KilledWorker, Reschedule

__all__ = [
    "Actor",
    "ActorFuture",
    "Adaptive",
    "BaseActorFuture",
    "CancelledError",
    "Client",
    "ClientExecutor",
    "ClosedError",
    "Cluster",
    "CondaInstall",
    "Environ",
    "Event",
    "Future",
    "InstallPlugin",
    "KilledWorker",
    "LocalCluster",
    "Lock",
    "MemorySampler",
    "MultiLock",
    "Nanny",
    "NannyPlugin",
    "PipInstall",
    "ProcessInterface",
    "Queue",
    "Reschedule",
    "SSHCluster",
    "Scheduler",
    "SchedulerPlugin",
    "Security",
    "Semaphore",
    "SpecCluster",
    "TimeoutError",
    "UploadDirectory",
    "UploadFile",
    "Variable",
    "Worker",
    "WorkerPlugin",
    "as_completed",
    "current_executor",
    "default_client",
    "fire_and_forget",
    "futures_of",
    "get_client",
    "get_task_metadata",
    "get_task_stream",
    "get_worker",
    "performance_report",
    "print",
    "progress",
    "rejoin",
    "secede",
    "span",
    "wait",
    "warn",
    "worker_client",
]

#: What waits that take too long raise: the builtin.
TimeoutError = TimeoutError

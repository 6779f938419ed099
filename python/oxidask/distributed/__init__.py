"""Futures on a cluster: ``Client``, ``LocalCluster``, ``Future``.

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

from oxidask.distributed._client import (
    Client,
    current_executor,
    default_client,
    futures_of,
    get_client,
)
from oxidask.distributed._cluster import LocalCluster
from oxidask.distributed._future import Future, as_completed, fire_and_forget, wait
from oxidask.errors import CancelledError, KilledWorker

__all__ = [
    "CancelledError",
    "Client",
    "Future",
    "KilledWorker",
    "LocalCluster",
    "TimeoutError",
    "as_completed",
    "current_executor",
    "default_client",
    "fire_and_forget",
    "futures_of",
    "get_client",
    "wait",
]

#: What waits that take too long raise: the builtin.
TimeoutError = TimeoutError

"""As many workers as there is work for."""

from __future__ import annotations

import math
import threading
import weakref
from typing import Any

from oxidask.distributed._future import seconds_of

__all__ = ["Adaptive"]


class Adaptive:
    """Starts and ends workers of a cluster as there is work.

    Made by :meth:`LocalCluster.adapt`.

    Parameters
    ----------
    cluster : LocalCluster
    minimum, maximum : int
        Bounds of the number of workers.
    interval : number of seconds or str
        How often to look.
    wait_count : int
        How often in a row fewer workers must have been enough before some leave,
        so that the number does not swing.
    target_duration : number of seconds or str
        Without effect: so many workers are wanted as there are tasks for their
        threads.

    Examples
    --------
    >>> from oxidask.distributed import LocalCluster
    >>> with LocalCluster(n_workers=0, threads_per_worker=1, processes=False) as cluster:
    ...     adaptive = cluster.adapt(minimum=1, maximum=2, interval="10ms")
    ...     with cluster.get_client() as client:
    ...         client.wait_for_workers(1, timeout=30)
    ...         sum(client.gather(client.map(abs, range(4))))
    6
    """

    def __init__(
        self,
        cluster: Any,
        interval: Any = "1s",
        minimum: int = 0,
        maximum: float = math.inf,
        wait_count: int = 3,
        target_duration: Any = "5s",
        **kwargs: Any,
    ) -> None:
        del target_duration, kwargs
        if minimum < 0 or maximum < minimum:
            raise ValueError(f"minimum is {minimum} and maximum {maximum}; it must hold that 0 <= minimum <= maximum")
        self._cluster = weakref.ref(cluster)
        self.minimum, self.maximum, self.wait_count = minimum, maximum, wait_count
        self.interval = seconds_of(interval) or 1.0
        self._n_quiet = 0
        self._is_over = threading.Event()
        self._client: Any = None
        self._thread = threading.Thread(target=self._run, name="oxidask-adaptive", daemon=True)
        self._thread.start()

    def target(self) -> int:
        """How many workers are wanted now."""
        cluster = self._cluster()
        if cluster is None or self._client is None:
            return int(self.minimum)
        n_tasks = self._client._handle.n_unfinished()
        wanted = math.ceil(n_tasks / max(1, cluster._live.threads_per_worker))
        return int(min(max(wanted, self.minimum), self.maximum))

    def _run(self) -> None:
        try:
            while not self._is_over.is_set():
                cluster = self._cluster()
                if cluster is None or cluster.status != "running":
                    return
                if self._client is None:
                    self._client = cluster._client()
                self._adapt(cluster)
                del cluster
                self._is_over.wait(self.interval)
        except Exception:
            # The cluster was closed meanwhile.
            if not self._is_over.is_set() and self._cluster() is not None:
                raise
        finally:
            if self._client is not None:
                self._client._close()

    def _adapt(self, cluster: Any) -> None:
        wanted, there = self.target(), cluster._n_workers
        if wanted > there:
            self._n_quiet = 0
            cluster._scale(wanted)
        elif wanted < there:
            self._n_quiet += 1
            if self._n_quiet >= self.wait_count:
                self._n_quiet = 0
                cluster._scale(wanted)
        else:
            self._n_quiet = 0

    def stop(self) -> None:
        """Ends it; workers stay as they are."""
        self._is_over.set()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def __repr__(self) -> str:
        return f"Adaptive(minimum={self.minimum}, maximum={self.maximum})"

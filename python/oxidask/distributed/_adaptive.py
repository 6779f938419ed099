"""As many workers as the work is worth.

The scheduler says how many workers the present work is worth, and the engine
when to follow; here is only the thread that asks again and again.
"""

from __future__ import annotations

import math
import threading
import weakref
from typing import Any

from oxidask import _oxidask, config
from oxidask.distributed._future import seconds_of
from oxidask.distributed._members import bounded

__all__ = ["Adaptive"]

_UNSET: Any = object()


def _setting(value: Any, name: str, default: Any) -> Any:
    return config.get(f"distributed.adaptive.{name}", default) if value is _UNSET or value is None else value


class Adaptive:
    """Starts and ends workers of a cluster as there is work.

    Made by the ``adapt`` of a cluster.

    Parameters
    ----------
    cluster : LocalCluster or SpecCluster
    minimum, maximum : int
        Bounds of the number of workers.
    interval : number of seconds or str
        How often to look.
    wait_count : int
        How often in a row fewer workers must have been enough before some leave,
        so that the number does not swing.
    target_duration : number of seconds or str
        Within what time the present work shall end: more of it is worth more
        workers.
    worker_key
        Without effect: the newest workers leave first.

    Raises
    ------
    ValueError
        If there is no number of workers between the bounds.

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
        interval: Any = _UNSET,
        minimum: Any = _UNSET,
        maximum: Any = _UNSET,
        wait_count: Any = _UNSET,
        target_duration: Any = _UNSET,
        worker_key: Any = None,
        **kwargs: Any,
    ) -> None:
        del worker_key, kwargs
        self.minimum: int = _setting(minimum, "minimum", 0)
        self.maximum: float = _setting(maximum, "maximum", math.inf)
        self.wait_count: int = _setting(wait_count, "wait-count", 3)
        self.interval: float = seconds_of(_setting(interval, "interval", "1s")) or 1.0
        self.target_duration: float = seconds_of(_setting(target_duration, "target-duration", "5s")) or 0.0
        if self.minimum < 0 or not float(self.minimum).is_integer():
            raise ValueError(f"minimum is {self.minimum}; it must be a whole number, 0 or more")
        if self.maximum < self.minimum:
            raise ValueError(
                f"minimum is {self.minimum} and maximum {self.maximum}; it must hold that 0 <= minimum <= maximum"
            )
        self._policy = _oxidask.AdaptiveHandle(int(self.minimum), bounded(self.maximum), self.wait_count)
        self._cluster = weakref.ref(cluster)
        self._is_over = threading.Event()
        self._client: Any = None
        self._thread = threading.Thread(target=self._run, name="oxidask-adaptive", daemon=True)
        self._thread.start()

    @property
    def cluster(self) -> Any:
        """The cluster, while it is there."""
        return self._cluster()

    def target(self) -> int:
        """How many workers the present work is worth, within the bounds."""
        wanted = 0 if self._client is None else self._client._questions.desired_workers(self.target_duration)
        return int(min(max(wanted, self.minimum), self.maximum))

    def workers_to_close(self, target: int) -> list[str]:
        """The names of those that leave if ``target`` workers stay: the newest."""
        cluster = self._cluster()
        return [] if cluster is None else [str(name) for name in cluster.workers][max(0, int(target)) :]

    def _run(self) -> None:
        try:
            while not self._is_over.is_set():
                cluster = self._cluster()
                if cluster is None or cluster.status != "running":
                    return
                if self._client is None:
                    self._client = cluster._client()
                wanted = self._policy.decide(
                    int(self._client._questions.desired_workers(self.target_duration)), cluster._n_workers
                )
                if wanted is not None:
                    cluster._scale(wanted)
                del cluster
                self._is_over.wait(self.interval)
        except Exception:
            # The cluster was closed meanwhile.
            cluster = self._cluster()
            if not self._is_over.is_set() and cluster is not None and cluster.status == "running":
                raise
        finally:
            if self._client is not None:
                self._client._close()

    def stop(self) -> None:
        """Ends it; workers stay as they are."""
        self._is_over.set()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def __repr__(self) -> str:
        return f"Adaptive(minimum={self.minimum}, maximum={self.maximum})"

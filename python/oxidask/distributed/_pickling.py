"""Objects on their way through the scheduler, with the futures in them.

A pickled :class:`Future` is the name of its result. Whoever unpickles it claims
the result anew through a client of its own. In between somebody has to keep the
result: the scheduler for what is left there (:func:`dumps` names the futures
beside the bytes), the submitted task for its arguments, and otherwise the
client that pickled it, for a while.
"""

from __future__ import annotations

import heapq
import pickle
import threading
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from oxidask.distributed._future import Future

__all__ = ["collecting", "dumps", "loads", "note_pickled"]

#: Seconds for which a client keeps what it pickled without saying for whom.
GRACE = 60.0

_local = threading.local()


class collecting:
    """Collects the futures that are pickled on this thread meanwhile."""

    # Entered for every call that is submitted: a generator would cost it microseconds.
    __slots__ = ("_before",)

    def __enter__(self) -> list[Future]:
        found: list[Future] = []
        self._before = getattr(_local, "found", None)
        _local.found = found
        return found

    def __exit__(self, *_: object) -> None:
        _local.found = self._before


def note_pickled(future: Future) -> None:
    """A future is being pickled: its result must outlive the journey."""
    found = getattr(_local, "found", None)
    if found is not None:
        found.append(future)
    else:
        _keep_for_a_while(future._handle)


_kept: list[tuple[float, int, Any]] = []
_kept_lock = threading.Lock()


def _keep_for_a_while(handle: Any) -> None:
    now = time.monotonic()
    gone = []
    with _kept_lock:
        heapq.heappush(_kept, (now + GRACE, id(handle), handle))
        while _kept and _kept[0][0] < now:
            gone.append(heapq.heappop(_kept))
    # Dropped without the lock: it may call back.
    del gone


def dumps(value: Any) -> tuple[bytes, list[Any]]:
    """An object as bytes, and the handles of the futures in it."""
    import cloudpickle

    with collecting() as found:
        data = cloudpickle.dumps(value)
    return data, [future._handle for future in found]


def loads(data: bytes, client: Any) -> Any:
    """The inverse of :func:`dumps`; futures in it are those of ``client``."""
    with client.as_current():
        return pickle.loads(data)

"""Holds the thread pools of NumPy's and SciPy's BLAS to one thread while tasks run.

Every task has a thread already. A BLAS that starts its own beside them makes more
threads than cores, which wait for one another by spinning: on busy machines a QR
of small blocks has been seen to take twenty times as long. What users call
outside of tasks keeps all threads.
"""

from __future__ import annotations

import contextlib
import ctypes
import sys
import threading
from collections.abc import Callable, Iterator

#: Names of the functions, as the wheels of NumPy and SciPy and the systems' packages have them.
_NAMES = [
    prefix + "openblas_{}_num_threads" + suffix for prefix in ("scipy_", "") for suffix in ("64_", "_64", "64", "", "_")
]

_lock = threading.Lock()
_known: dict[tuple[bool, ...], list[tuple[Callable[[], int], Callable[[int], None]]]] = {}
#: How many computations run, and what the pools had before the first of them.
_running = 0
_before: list[tuple[Callable[[int], None], int]] = []


def _pools() -> list[tuple[Callable[[], int], Callable[[int], None]]]:
    """The functions that get and set how many threads each loaded BLAS uses."""
    loaded = tuple(name in sys.modules for name in ("numpy.linalg", "scipy.linalg"))
    if loaded not in _known:
        _known[loaded] = list(_find())
    return _known[loaded]


def _find() -> Iterator[tuple[Callable[[], int], Callable[[int], None]]]:
    try:
        with open("/proc/self/maps") as file:
            paths = {line.split(maxsplit=5)[5].strip() for line in file if "openblas" in line and ".so" in line}
    except OSError:
        # Only Linux tells so; elsewhere pools stay as they are.
        return
    for path in sorted(paths):
        try:
            library = ctypes.CDLL(path, mode=getattr(ctypes, "RTLD_LOCAL", 0))
        except OSError:
            continue
        for name in _NAMES:
            get, put = (getattr(library, name.format(verb), None) for verb in ("get", "set"))
            if get is not None and put is not None:
                get.restype, put.argtypes, put.restype = ctypes.c_int, [ctypes.c_int], None
                yield get, put
                break


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Holds the pools to one thread until the last computation inside has ended.

    >>> with one_thread():
    ...     2 + 2
    4
    """
    global _running
    with _lock:
        _running += 1
        if _running == 1:
            _before[:] = [(put, get()) for get, put in _pools()]
            for put, _ in _before:
                put(1)
    try:
        yield
    finally:
        with _lock:
            _running -= 1
            if _running == 0:
                for put, count in _before:
                    put(count)

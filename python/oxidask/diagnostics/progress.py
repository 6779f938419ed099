"""A progress bar for terminals and notebooks, fed by the engine's events."""

from __future__ import annotations

import sys
import threading
import time
from typing import Any

from oxidask import _oxidask
from oxidask.callbacks import Callback
from oxidask.utils import format_time

__all__ = ["ProgressBar"]

_bars: list[ProgressBar] = []


def active_bars() -> list[ProgressBar]:
    """The bars that show runs, the first shown first."""
    return list(_bars)


class ProgressBar(Callback):
    """Shows how much of a computation is done.

    Parameters
    ----------
    minimum : float
        Seconds that a run must last before it is shown.
    width : int
        Characters of the bar.
    dt : float
        Seconds between two looks.
    out : file, optional
        Where to write; standard output by default.

    Examples
    --------
    >>> import io
    >>> from oxidask import compute, delayed
    >>> out = io.StringIO()
    >>> with ProgressBar(width=10, out=out) as bar:
    ...     compute(delayed(abs)(-1))
    (1,)
    >>> print(out.getvalue().split("|")[1].split("s")[0].split("]")[0])
     100% Completed
    >>> bar.last_duration < 60
    True
    """

    def __init__(self, minimum: float = 0, width: int = 40, dt: float = 0.1, out: Any = None) -> None:
        super().__init__()
        self._minimum = minimum
        self._width = width
        self._dt = dt
        self._out = out
        #: Seconds that the last run took.
        self.last_duration: float = 0
        self._lock = threading.Lock()
        self._stop: threading.Event | None = None
        self._thread: threading.Thread | None = None
        self._counts: Any = None
        self._watches: dict[int, Any] = {}
        self._began = 0.0

    # The engine's runs.

    def __enter__(self) -> ProgressBar:
        self.register()
        return self

    def __exit__(self, *exc: Any) -> None:
        self.unregister()

    def register(self) -> None:
        """Shows every run from now on."""
        if self not in _bars:
            _bars.append(self)

    def unregister(self) -> None:
        """Ends what :meth:`register` began."""
        if self in _bars:
            _bars.remove(self)
        self._end(False)
        self._watches.clear()

    def run(self, executor: Any, call: Any) -> Any:
        """Shows what ``executor`` does during ``call()``."""
        counts = _oxidask.Progress(executor)
        self._begin(counts.counts)
        errored = True
        try:
            result = call()
            errored = False
            return result
        finally:
            counts.close()
            self._end(errored)

    # Runs in Python, which call callbacks.

    def _start(self, dsk: Any) -> None:
        self._state: Any = None
        self._begin(self._count_state)

    def _start_state(self, dsk: Any, state: Any) -> None:
        self._state = state

    def _finish(self, dsk: Any, state: Any, errored: bool) -> None:
        self._end(errored)

    def _count_state(self) -> tuple[int, int]:
        state = self._state
        if not state:
            return 0, 0
        done = len(state["finished"])
        return done, done + sum(len(state[name]) for name in ("ready", "waiting", "running"))

    # Drawing.

    def _begin(self, counts: Any) -> None:
        with self._lock:
            if self._thread is not None:
                return
            self._counts = counts
            self._began = time.perf_counter()
            self._stop = threading.Event()
            self._thread = threading.Thread(target=self._loop, args=(self._stop,), name="oxidask-progress", daemon=True)
            self._thread.start()

    def _loop(self, stop: threading.Event) -> None:
        while not stop.wait(self._dt):
            if time.perf_counter() - self._began > self._minimum:
                self._draw(*self._counts(), "")

    def _end(self, errored: bool) -> None:
        with self._lock:
            thread, self._thread = self._thread, None
            if thread is None:
                return
            assert self._stop is not None
            self._stop.set()
        thread.join()
        self.last_duration = time.perf_counter() - self._began
        if self.last_duration >= self._minimum:
            done, total = self._counts()
            # A run without tasks is done as well.
            self._draw(done if errored else max(total, 1), max(total, 1), "\n")

    def _draw(self, done: int, total: int, end: str) -> None:
        out = sys.stdout if self._out is None else self._out
        share = done / total if total else 0
        bar = "#" * int(self._width * share)
        elapsed = format_time(time.perf_counter() - self._began)
        percent = int(100 * share)
        try:
            out.write(f"\r[{bar:<{self._width}}] | {percent}% Completed | {elapsed}{end}")
            out.flush()
        except ValueError:
            # The file was closed while the run went on; a bar is not worth an
            # error.
            pass

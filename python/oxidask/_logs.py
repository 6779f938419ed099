"""The newest lines that were logged in this process, for whoever asks its worker."""

from __future__ import annotations

import collections
import logging
import threading

__all__: list[str] = []

#: Loggers whose lines are kept: those under which members of a cluster, and tasks on behalf of them, log.
_LOGGERS = ("distributed", "oxidask")

_lock = threading.Lock()
_kept: collections.deque[tuple[float, str, str]] | None = None


class _Keeping(logging.Handler):
    """Keeps what is logged; the oldest lines go."""

    def __init__(self, kept: collections.deque[tuple[float, str, str]]) -> None:
        super().__init__()
        self._lines = kept
        self.setFormatter(logging.Formatter("%(asctime)s - %(name)s - %(levelname)s - %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        """Keeps a line."""
        try:
            self._lines.append((record.created, record.levelname, self.format(record)))
        except Exception:
            self.handleError(record)


def keep() -> None:
    """Begins to keep lines, once."""
    global _kept
    with _lock:
        if _kept is not None:
            return
        from oxidask import config

        _kept = collections.deque(maxlen=int(config.get("distributed.admin.log-length")))
        handler = _Keeping(_kept)
        for name in _LOGGERS:
            logger = logging.getLogger(name)
            logger.addHandler(handler)
            if logger.level == logging.NOTSET:
                logger.setLevel(logging.INFO)


def lines(worker: str) -> list[tuple[float, str, str]]:
    """Moment, level and text of the lines that are kept, the oldest first.

    Workers on threads of one process log together, so ``worker`` makes no difference.
    """
    del worker
    return list(_kept or ())

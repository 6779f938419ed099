"""Printing and warning from tasks, so that the user reads it."""

from __future__ import annotations

import builtins
import sys
import warnings
from typing import Any

from oxidask.distributed._context import membership

__all__ = ["print", "warn"]


def _client() -> Any:
    """The client of the task that calls; ``None`` where tasks run in this process."""
    from oxidask.distributed._context import get_client, open_default

    worker = membership()
    if worker is None:
        return None
    active = open_default()
    # What runs in the user's own process is read there anyway.
    return None if active is not None and active._address == worker["scheduler"] else get_client()


def print(*args: Any, sep: str | None = " ", end: str | None = "\n", file: Any = None, flush: bool = False) -> None:
    """Prints where the task runs, and on all clients of the cluster.

    Parameters
    ----------
    args, sep, end, file, flush
        As for the builtin. Only what goes to standard output or standard error
        reaches clients; objects that cannot be pickled reach them as text.

    Examples
    --------
    >>> print("a", "b", sep="-")
    a-b
    """
    for name, value in (("sep", sep), ("end", end)):
        if value is not None and not isinstance(value, str):
            raise TypeError(f"{name} must be None or a string, not {type(value).__name__}")
    if file in (None, sys.stdout, sys.stderr):
        client = _client()
        if client is not None:
            message = {"args": tuple(_plain(arg) for arg in args), "sep": sep, "end": end}
            client.log_event("print", message)
    builtins.print(*args, sep=sep, end=end, file=file, flush=flush)


def _plain(value: Any) -> Any:
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)


def warn(message: Any, category: type[Warning] | None = UserWarning, stacklevel: int = 1, source: Any = None) -> None:
    """Warns where the task runs, and on all clients of the cluster.

    Parameters
    ----------
    message, category, stacklevel, source
        As for :func:`warnings.warn`.
    """
    client = _client()
    if client is not None:
        kind = type(message) if isinstance(message, Warning) else category
        client.log_event("warn", {"message": str(message), "category": kind})
    warnings.warn(message, category, stacklevel + 1, source)

"""Exceptions that have no builtin of their own.

Everything else that oxidask raises is the builtin that NumPy, pandas and Dask
users already catch: ``ValueError`` for a bad argument, ``FileNotFoundError`` for
a glob that matches nothing, and so on. An exception of a user's function is
raised again as itself.
"""

from __future__ import annotations

from concurrent.futures import CancelledError

__all__ = [
    "CancelledError",
    "ClosedError",
    "KilledWorker",
    "MissingError",
    "RemoteTraceback",
    "Reschedule",
    "TaskError",
    "VersionMismatchError",
]


class TaskError(RuntimeError):
    """A task failed with an exception that could not travel here.

    The message holds the original type and text; the remote traceback is the
    cause.
    """


class ClosedError(RuntimeError):
    """The client, cluster or executor that was asked is closed."""


class KilledWorker(RuntimeError):
    """The process that ran a task, or held its result, died too often."""


class Reschedule(Exception):
    """Raised by a task: it is run once more, by another worker if there is one.

    This is no failure, and counts against nothing; a task that always raises it
    never ends.

    Examples
    --------
    >>> from oxidask.distributed import Client, Reschedule, get_worker
    >>> def only_there(name):
    ...     if get_worker().name != name:
    ...         raise Reschedule
    ...     return name
    >>> with Client(n_workers=2, threads_per_worker=1, processes=False) as client:
    ...     client.submit(only_there, "1").result()
    '1'
    """


class VersionMismatchError(RuntimeError):
    """Two builds of oxidask that do not fit talked to each other."""


class MissingError(KeyError):
    """A name, column or key does not exist."""

    def __str__(self) -> str:
        # KeyError shows the repr of its argument, which hides line ends.
        return str(self.args[0]) if self.args else ""


class RemoteTraceback(Exception):
    """The traceback of the process in which a task failed, as text.

    It is the ``__cause__`` of the exception that the task raised, so that
    Python prints it above the local traceback.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    def __str__(self) -> str:
        return "\n" + self.text

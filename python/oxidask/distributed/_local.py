"""Tasks of the cluster, run in this process by whoever wants to look into them; and their tracebacks."""

from __future__ import annotations

import re
from types import TracebackType
from typing import Any

from oxidask.distributed import _context
from oxidask.distributed._async import sync_or_async
from oxidask.distributed._future import Future

__all__ = ["Local"]


class Local:
    """The part of :class:`Client` that runs tasks in this process."""

    _handle: Any
    _questions: Any
    _asynchronous: bool

    def recreate_task_locally(self, future: Any) -> Any:
        """Runs a task here that ran on the cluster, on the same inputs, which are brought here.

        Parameters
        ----------
        future : Future or persisted collection
            Of several the first.

        Returns
        -------
        object
            The result of this run.

        Raises
        ------
        ValueError
            If it is a value that a client brought, or its result was released.
        Exception
            Whatever the task raises, with its own frames, for debuggers to look at.

        Examples
        --------
        >>> from oxidask.distributed import Client
        >>> with Client(n_workers=1, processes=False) as client:
        ...     four = client.submit(pow, 2, 2)
        ...     client.recreate_task_locally(client.submit(pow, four, 2))
        16
        """
        return sync_or_async(self._asynchronous, self._run_here, future)

    def recreate_error_locally(self, future: Any) -> Any:
        """Runs a task here that failed on the cluster, so that it fails here.

        If it failed because a task that it needs did, that one is run.

        Parameters
        ----------
        future : Future or persisted collection
            Of several the first that failed.

        Raises
        ------
        ValueError
            If none failed.
        Exception
            What the task raises, with its own frames, for debuggers to look at.

        Examples
        --------
        >>> from oxidask.distributed import Client
        >>> with Client(n_workers=1, processes=False) as client:
        ...     ratio = client.submit(divmod, 1, 0)
        ...     client.recreate_error_locally(client.submit(sum, ratio))
        Traceback (most recent call last):
        ...
        ZeroDivisionError: integer division or modulo by zero
        """
        return sync_or_async(self._asynchronous, self._fail_here, future)

    def _fail_here(self, futures: Any) -> Any:
        found = _context.all_futures(futures)
        self._handle.wait([future._live for future in found], False, None)
        failed = [future for future in found if future.status == "error"]
        if not failed:
            raise ValueError("No errored futures passed: nothing failed that could fail here")
        return self._questions.run_here(failed[0]._live)

    def _run_here(self, futures: Any) -> Any:
        found: list[Future] = _context.all_futures(futures)
        if not found:
            raise ValueError("there is no future in what was passed")
        return self._questions.run_here(found[0]._live)


#: A frame in the text of a traceback.
_FRAME = re.compile(r'^  File "(?P<file>.*)", line (?P<line>\d+), in (?P<name>.*)$', re.MULTILINE)


def rebuilt_traceback(text: str) -> TracebackType | None:
    r"""A traceback that tells what a text tells: files, lines and functions, but no variables.

    Examples
    --------
    >>> import traceback
    >>> from oxidask.distributed._local import rebuilt_traceback
    >>> [(frame.name, frame.lineno) for frame in traceback.extract_tb(
    ...     rebuilt_traceback('  File "there.py", line 3, in f\n    g()\n  File "there.py", line 7, in g\n')
    ... )]
    [('f', 3), ('g', 7)]
    """
    # What the text tells of causes comes before the exception's own frames.
    own = text.rpartition("Traceback (most recent call last):")[2]
    rebuilt: TracebackType | None = None
    for match in reversed(list(_FRAME.finditer(own))):
        line = int(match["line"])
        there = _failure_at(match["file"], line, match["name"])
        if there is not None:
            rebuilt = TracebackType(rebuilt, there.tb_frame, there.tb_lasti, line)
    return rebuilt


def _failure_at(file: str, line: int, name: str) -> TracebackType | None:
    """The traceback of a function of this name in this line of this file, which does nothing but fail."""
    code = compile("raise Exception", file, "exec").replace(co_name=name, co_firstlineno=line)
    try:
        exec(code, {"__name__": name, "__file__": file})
    except Exception as error:
        # The first frame is this one.
        return error.__traceback__.tb_next if error.__traceback__ is not None else None
    return None

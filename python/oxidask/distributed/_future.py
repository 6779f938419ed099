"""Futures and waiting for them."""

from __future__ import annotations

import html
import itertools
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from oxidask import _oxidask

if TYPE_CHECKING:
    from types import TracebackType

    from oxidask.distributed._client import Client

__all__ = ["DoneAndNotDone", "Future", "as_completed", "fire_and_forget", "seconds_of", "wait"]


def seconds_of(timeout: Any) -> float | None:
    """A timeout as seconds: a number, a text such as ``"500ms"``, or ``None``."""
    if timeout is None:
        return None
    if isinstance(timeout, str):
        from oxidask.utils import parse_timedelta

        return float(parse_timedelta(timeout))
    if hasattr(timeout, "total_seconds"):
        return float(timeout.total_seconds())
    return float(timeout)


class Future:
    """A result that a cluster computes or holds.

    Futures come from :meth:`Client.submit` and its like. They may stand among
    the arguments of further calls, also within lists, tuples, sets, dicts and
    dataclasses. The cluster keeps a result as long as a future or a task needs
    it.

    Examples
    --------
    >>> from oxidask.distributed import Client
    >>> with Client(n_workers=1, processes=False) as client:
    ...     future = client.submit(pow, 2, 10)
    ...     future.result(), future.status, future.done()
    (1024, 'finished', True)
    """

    __slots__ = ("__weakref__", "_collection", "_handle", "client")

    def __init__(self, handle: _oxidask.FutureHandle, client: Client, collection: Any = None) -> None:
        self._handle: _oxidask.FutureHandle | None = handle
        self.client = client
        # The held collection whose result this is: it knows what its parts
        # together look like to its user.
        self._collection = collection

    @property
    def _live(self) -> _oxidask.FutureHandle:
        if self._handle is None:
            raise _oxidask_cancelled("this future was released")
        return self._handle

    @property
    def key(self) -> str:
        """The name of the result: the function's name and a hash, or the user's."""
        return self._live.key

    @property
    def status(self) -> str:
        """``"pending"``, ``"finished"``, ``"error"``, ``"cancelled"`` or ``"lost"``."""
        return "cancelled" if self._handle is None else self._handle.status

    def done(self) -> bool:
        """Whether it is no longer pending.

        Examples
        --------
        >>> from oxidask.distributed import Client
        >>> with Client(n_workers=1, processes=False) as client:
        ...     client.scatter(1).done() in (True, False)
        True
        """
        return self._handle is None or self._handle.done()

    def cancelled(self) -> bool:
        """Whether somebody cancelled it."""
        return self.status == "cancelled"

    def result(self, timeout: Any = None) -> Any:
        """Waits for the result.

        Parameters
        ----------
        timeout : number of seconds, text such as ``"10s"``, or None
            Longest wait; for ever by default.

        Returns
        -------
        What the function answered.

        Raises
        ------
        TimeoutError
            If it is not there in time.
        CancelledError
            If it was cancelled.
        KilledWorker
            If the processes that ran it died too often.
        Exception
            Whatever the function raised, as itself; the remote traceback is its
            cause.

        Examples
        --------
        >>> from oxidask.distributed import Client
        >>> with Client(n_workers=1, processes=False) as client:
        ...     client.submit(divmod, 7, 2).result(timeout="10s")
        (3, 1)
        """
        if self._collection is None:
            return self._live.result(seconds_of(timeout))
        if not self._live.wait(seconds_of(timeout)):
            raise TimeoutError(f"the result was not there after {timeout} s")
        return self._collection.compute(scheduler=self.client)

    def exception(self, timeout: Any = None) -> BaseException | None:
        """Waits, and answers the exception that the task raised, if any.

        Parameters
        ----------
        timeout : as for :meth:`result`

        Examples
        --------
        >>> from oxidask.distributed import Client
        >>> with Client(n_workers=1, processes=False) as client:
        ...     client.submit(divmod, 1, 0).exception()
        ZeroDivisionError(...)
        """
        return self._live.exception(seconds_of(timeout))  # type: ignore[no-any-return]

    def traceback(self, timeout: Any = None) -> TracebackType | None:
        """Waits, and answers the traceback of the exception, if any.

        It is the traceback of the process that ran the task only where tasks
        run in this one; otherwise the text of the remote traceback is the
        exception's cause.
        """
        exception = self.exception(timeout)
        return None if exception is None else exception.__traceback__

    def cancel(self, *_: Any, **__: Any) -> None:
        """Stops it for all who want it; see :meth:`Client.cancel`."""
        self.client.cancel([self])

    def retry(self) -> None:
        """Runs it again if it failed."""
        self.client.retry([self])

    def add_done_callback(self, fn: Callable[[Future], Any]) -> None:
        """Calls ``fn(future)`` on another thread once it is done.

        Examples
        --------
        >>> import queue
        >>> from oxidask.distributed import Client
        >>> done = queue.Queue()
        >>> with Client(n_workers=1, processes=False) as client:
        ...     client.submit(abs, -3).add_done_callback(done.put)
        ...     done.get(timeout=10).result()
        3
        """
        self._live.add_done_callback(lambda: fn(self))

    def release(self) -> None:
        """Gives up the result now rather than when the future is collected."""
        self._handle = None
        self._collection = None

    def __oxidask_expr__(self) -> Any:
        return self._live.expr()

    def __dask_tokenize__(self) -> Any:
        return ("oxidask.Future", self.key)

    def __reduce__(self) -> Any:
        raise TypeError(
            "a Future cannot be pickled\nhint: pass it as an argument of the call, "
            "where its result takes its place, instead of using it inside the function"
        )

    def __repr__(self) -> str:
        if self._handle is None:
            return "<Future: released>"
        return f"<Future: {self.status}, key: {self.key}>"

    def _repr_html_(self) -> str:
        colour = {"finished": "green", "error": "red", "pending": "gray"}.get(self.status, "black")
        key = "released" if self._handle is None else self.key
        return (
            f"<b>Future</b> <span style='color:{colour}'>{html.escape(self.status)}</span>, "
            f"<code>{html.escape(key)}</code>"
        )


def _oxidask_cancelled(message: str) -> BaseException:
    from oxidask.errors import CancelledError

    return CancelledError(message)


class DoneAndNotDone(NamedTuple):
    """What :func:`wait` answers."""

    done: set[Future]
    not_done: set[Future]


def wait(fs: Any, timeout: Any = None, return_when: str = "ALL_COMPLETED") -> DoneAndNotDone:
    """Waits until futures are done.

    Parameters
    ----------
    fs : a future or an iterable of futures, or a collection that was persisted
    timeout : number of seconds, text, or None
        Longest wait.
    return_when : {"ALL_COMPLETED", "FIRST_COMPLETED"}
        Whether all must be done or one.

    Returns
    -------
    DoneAndNotDone
        Two sets of futures: ``done`` and ``not_done``.

    Raises
    ------
    TimeoutError
        If not enough are done in time.
    ValueError
        If ``return_when`` is something else.

    Examples
    --------
    >>> from oxidask.distributed import Client, wait
    >>> with Client(n_workers=1, processes=False) as client:
    ...     len(wait(client.map(abs, range(5))).done)
    5
    """
    if return_when not in ("ALL_COMPLETED", "FIRST_COMPLETED"):
        raise ValueError(f"return_when is {return_when!r}; it must be 'ALL_COMPLETED' or 'FIRST_COMPLETED'")
    futures = [fs] if isinstance(fs, Future) else list(fs)
    if futures:
        client = futures[0].client
        handles = [future._live for future in futures]
        if not client._handle.wait(handles, return_when == "FIRST_COMPLETED", seconds_of(timeout)):
            raise TimeoutError(f"not all {len(futures)} futures were done after {timeout} s")
    done = {future for future in futures if future.done()}
    return DoneAndNotDone(done, set(futures) - done)


class as_completed:
    """Iterates over futures in the order in which they are done.

    Parameters
    ----------
    futures : iterable of futures, optional
    with_results : bool
        Whether to answer ``(future, result)`` pairs.
    raise_errors : bool
        With results: whether a failed task raises; otherwise the pair holds
        ``(type, exception, traceback)`` in place of the result.
    timeout : number of seconds, text, or None
        Longest time between the start and the last future.

    Examples
    --------
    >>> from oxidask.distributed import Client, as_completed
    >>> with Client(n_workers=1, processes=False) as client:
    ...     sorted(future.result() for future in as_completed(client.map(abs, [-1, 2])))
    [1, 2]
    """

    def __init__(
        self,
        futures: Iterable[Future] | None = None,
        loop: Any = None,
        with_results: bool = False,
        raise_errors: bool = True,
        *,
        timeout: Any = None,
    ) -> None:
        import time

        del loop
        self.with_results = with_results
        self.raise_errors = raise_errors
        self._completions = _oxidask.Completions()
        self._futures: dict[int, Future] = {}
        self._numbers = itertools.count()
        seconds = seconds_of(timeout)
        self._deadline = None if seconds is None else time.monotonic() + seconds
        self.update(futures or ())

    def add(self, future: Future) -> None:
        """Also waits for this future; may be called while iterating."""
        number = next(self._numbers)
        self._futures[number] = future
        self._completions.add(future._live, number)

    def update(self, futures: Iterable[Future]) -> None:
        """Also waits for these futures; may be called while iterating."""
        for future in futures:
            self.add(future)

    def count(self) -> int:
        """How many futures have not been answered yet."""
        return len(self._futures)

    def is_empty(self) -> bool:
        """Whether all futures have been answered."""
        return not self._futures

    def has_ready(self) -> bool:
        """Whether a future is done that has not been answered yet."""
        return any(future.done() for future in self._futures.values())

    def clear(self) -> None:
        """Forgets all futures."""
        self._completions = _oxidask.Completions()
        self._futures.clear()

    def batches(self) -> Iterator[list[Any]]:
        """Iterates over lists of all that are done at a time."""
        while self._futures:
            numbers = [self._next_number(), *self._completions.ready()]
            yield [self._answer(self._futures.pop(number)) for number in numbers]

    def next_batch(self, block: bool = True) -> list[Any]:
        """All that are done now; with ``block`` at least one."""
        if block:
            return next(self.batches())
        return [self._answer(self._futures.pop(number)) for number in self._completions.ready()]

    def _next_number(self) -> int:
        import time

        left = None if self._deadline is None else max(0.0, self._deadline - time.monotonic())
        number = self._completions.next(left)
        if number is None:
            raise TimeoutError(f"{len(self._futures)} futures were not done in time")
        return number

    def _answer(self, future: Future) -> Any:
        if not self.with_results:
            return future
        try:
            return future, future.result()
        except Exception as error:
            if self.raise_errors:
                raise
            return future, (type(error), error, error.__traceback__)

    def __iter__(self) -> as_completed:
        return self

    def __next__(self) -> Any:
        if not self._futures:
            raise StopIteration
        return self._answer(self._futures.pop(self._next_number()))

    next = __next__


_forgotten: set[Future] = set()
_forgotten_lock = threading.Lock()


def fire_and_forget(obj: Any) -> None:
    """Lets tasks run to their end although nobody keeps their futures.

    Parameters
    ----------
    obj : a future, or nested containers of futures

    Examples
    --------
    >>> from oxidask.distributed import Client, fire_and_forget
    >>> with Client(n_workers=1, processes=False) as client:
    ...     fire_and_forget(client.submit(print))
    """
    from oxidask.distributed._client import futures_of

    for future in futures_of(obj):
        with _forgotten_lock:
            _forgotten.add(future)
        future.add_done_callback(_remember_no_more)


def _remember_no_more(future: Future) -> None:
    with _forgotten_lock:
        _forgotten.discard(future)

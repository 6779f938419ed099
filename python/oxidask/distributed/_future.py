"""Futures."""

from __future__ import annotations

import builtins
import html
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from oxidask import _oxidask
from oxidask.distributed._pickling import note_pickled
from oxidask.errors import CancelledError

if TYPE_CHECKING:
    from types import TracebackType

    from oxidask.distributed._client import Client

__all__ = ["Future", "fire_and_forget", "seconds_of"]


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
    dataclasses, where their results take their places. Within other objects
    they travel as futures, and the task asks for the result itself. The cluster
    keeps a result as long as a future or a task needs it.

    Parameters
    ----------
    key : str or Future
        The name of a result that is there or under way, as
        :meth:`Client.submit` was given it.
    client : Client, optional
        The current one by default.
    state
        Without effect.

    Examples
    --------
    >>> from oxidask.distributed import Client
    >>> with Client(n_workers=1, processes=False) as client:
    ...     future = client.submit(pow, 2, 10)
    ...     future.result(), future.status, future.done()
    (1024, 'finished', True)
    """

    __slots__ = ("__weakref__", "_collection", "_handle", "_reason", "_type", "client")

    def __init__(self, key: Any, client: Client | None = None, state: Any = None) -> None:
        del state
        if client is None:
            from oxidask.distributed._context import get_client

            client = get_client()
        if isinstance(key, Future):
            key = key.key
        self._begin(client._named(key) if isinstance(key, str) else client._named(str(key)), client)

    def _begin(self, handle: _oxidask.FutureHandle | None, client: Any, collection: Any = None) -> None:
        self._handle = handle
        self.client = client
        # The held collection whose result this is: it knows what its parts
        # together look like to its user.
        self._collection = collection
        # The type of what was scattered: it is known before the result is back.
        self._type: builtins.type | None = None
        # Why it was cancelled.
        self._reason: str | None = None

    @classmethod
    def _of(cls, handle: _oxidask.FutureHandle, client: Any, collection: Any = None) -> Future:
        """A future for a handle of the engine."""
        future = cls.__new__(cls)
        future._begin(handle, client, collection)
        return future

    @property
    def _live(self) -> _oxidask.FutureHandle:
        if self._handle is None:
            raise cancelled_error("this future was released")
        return self._handle

    @property
    def key(self) -> str:
        """The name of the result: the function's name and a hash, or the user's."""
        return self._live.key

    @property
    def status(self) -> str:
        """``"pending"``, ``"finished"``, ``"error"``, ``"cancelled"`` or ``"lost"``."""
        return "cancelled" if self._handle is None else self._handle.status

    @property
    def executor(self) -> Client:
        """The client."""
        return self.client

    @property
    def type(self) -> builtins.type | None:
        """The type of the result, if it is in this process already."""
        if self._type is not None or self.status != "finished":
            return self._type
        return None if self.client.asynchronous else builtins.type(self.result())

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
        What the function answered; for an asynchronous client an awaitable of it.

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
        if self.client.asynchronous:
            return self._after_async(timeout, self._result)
        return self._result(timeout)

    def _result(self, timeout: Any = None) -> Any:
        self._check_cancelled()
        if self._collection is None:
            try:
                value = self._live.result(seconds_of(timeout))
            except CancelledError:
                # While it was waited for.
                self._check_cancelled()
                raise
            from oxidask.distributed._actor import Actor

            self._type = type(value)
            # An actor lives as long as its future. The value itself may be shared
            # with the worker, which would then keep it for ever.
            return value._of_future(self) if isinstance(value, Actor) else value
        if not self._live.wait(seconds_of(timeout)):
            raise TimeoutError(f"the result was not there after {timeout} s")
        return self._collection.compute(scheduler=self.client)

    def _check_cancelled(self) -> None:
        if self._handle is not None and self.cancelled():
            raise cancelled_error(": ".join(filter(None, [self.key, self._reason])))

    async def _after_async(self, timeout: Any, call: Callable[[], Any]) -> Any:
        """Waits without a thread, then calls."""
        from oxidask.distributed._async import in_thread, until_done

        if not await until_done([self._live], seconds_of(timeout)):
            raise TimeoutError(f"the result was not there after {timeout} s")
        return await in_thread(call)

    def __await__(self) -> Any:
        return self._after_async(None, self._result).__await__()

    def exception(self, timeout: Any = None, **kwargs: Any) -> Any:
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
        del kwargs
        if self.client.asynchronous:
            return self._after_async(timeout, self._exception)
        return self._exception(timeout)

    def _exception(self, timeout: Any = None) -> BaseException | None:
        self._check_cancelled()
        return self._live.exception(seconds_of(timeout))  # type: ignore[no-any-return]

    def traceback(self, timeout: Any = None, **kwargs: Any) -> Any:
        """Waits, and answers the traceback of the exception, if any.

        Of a task that another process ran it tells files, lines and functions, but
        has no variables.

        Examples
        --------
        >>> import traceback
        >>> from oxidask.distributed import Client
        >>> def ratio(x, y):
        ...     return x / y
        >>> with Client(n_workers=1, processes=False) as client:
        ...     traceback.extract_tb(client.submit(ratio, 1, 0).traceback())[-1].name
        'ratio'
        """
        del kwargs
        if self.client.asynchronous:
            return self._after_async(timeout, self._traceback)
        return self._traceback(timeout)

    def _traceback(self, timeout: Any = None) -> TracebackType | None:
        exception = self._exception(timeout)
        if exception is None:
            return None
        if exception.__traceback__ is None:
            from oxidask.distributed._local import rebuilt_traceback

            # The frames stayed in the other process; what is known of them is their text.
            return rebuilt_traceback(str(exception.__cause__ or ""))
        return exception.__traceback__

    def cancel(self, reason: str | None = None, msg: str | None = None, **kwargs: Any) -> Any:
        """Stops it for all who want it; see :meth:`Client.cancel`."""
        return self.client.cancel([self], reason=reason, msg=msg, **kwargs)

    def retry(self, **kwargs: Any) -> Any:
        """Runs it again if it failed."""
        return self.client.retry([self], **kwargs)

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

    def bind_client(self, client: Client) -> None:
        """Makes this a future of another client of the same cluster."""
        (self._handle,) = client._handle.want([self._live.parts()])
        self.client = client

    def __oxidask_expr__(self) -> Any:
        return self._live.expr()

    def __dask_tokenize__(self) -> Any:
        return ("oxidask.Future", self.key)

    def __reduce__(self) -> Any:
        note_pickled(self)
        return _unpickled, (self._live.parts(), self._collection)

    def __repr__(self) -> str:
        if self._handle is None:
            return "<Future: released>"
        return f"<Future: {self.status}{self._type_text()}, key: {self.key}>"

    def _type_text(self) -> str:
        """The type of a result that is in this process, as a part of the description."""
        kind = self._type
        if kind is None and self._collection is None and self.status == "finished":
            try:
                kind = self._type = self.client._handle.type_of(self._live)
            except Exception:
                # What cannot be unpickled here has a type all the same; only its result tells why.
                return ""
        return "" if kind is None else f", type: {type_name(kind)}"

    def _repr_html_(self) -> str:
        colour = {"finished": "green", "error": "red", "pending": "gray"}.get(self.status, "black")
        key = "released" if self._handle is None else self.key
        return (
            f"<b>Future</b> <span style='color:{colour}'>{html.escape(self.status)}</span>, "
            f"<code>{html.escape(key)}</code>"
        )


def type_name(kind: builtins.type) -> str:
    """A type's name with its module, unless it is a builtin."""
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _unpickled(parts: tuple[str, str, str | None], collection: Any) -> Future:
    from oxidask.distributed._context import get_client

    client = get_client()
    (handle,) = client._handle.want([parts])
    return Future._of(handle, client, collection)


def cancelled_error(message: str) -> BaseException:
    return CancelledError(message)


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
    from oxidask.distributed._context import futures_of

    for future in futures_of(obj):
        with _forgotten_lock:
            _forgotten.add(future)
        future.add_done_callback(_remember_no_more)


def _remember_no_more(future: Future) -> None:
    with _forgotten_lock:
        _forgotten.discard(future)

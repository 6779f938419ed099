"""The executor interface of the standard library over a client."""

from __future__ import annotations

import concurrent.futures
import weakref
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from oxidask.distributed._future import Future, seconds_of

__all__ = ["ClientExecutor"]

_OPTIONS = frozenset(
    {"workers", "resources", "retries", "priority", "fifo_timeout", "allow_other_workers", "pure", "key"}
)


class ClientExecutor(concurrent.futures.Executor):
    """A :class:`concurrent.futures.Executor` whose calls run on a cluster.

    Made by :meth:`Client.get_executor`. Its futures are the standard library's.
    """

    def __init__(self, client: Any, **kwargs: Any) -> None:
        unknown = sorted(set(kwargs) - _OPTIONS)
        if unknown:
            raise TypeError(f"unsupported arguments to ClientExecutor: {unknown}")
        self._client = client
        self._options = kwargs
        self._futures: weakref.WeakSet[Future] = weakref.WeakSet()
        self._is_shut_down = False

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> concurrent.futures.Future[Any]:
        """See :meth:`concurrent.futures.Executor.submit`."""
        if self._is_shut_down:
            raise RuntimeError("this executor takes no more calls after its shutdown")
        future = self._client.submit(fn, *args, **{**kwargs, **self._options})
        self._futures.add(future)
        return _standard(future)

    def map(
        self, fn: Callable[..., Any], *iterables: Iterable[Any], timeout: Any = None, chunksize: int = 1, **kwargs: Any
    ) -> Iterator[Any]:
        """See :meth:`concurrent.futures.Executor.map`."""
        import time

        del chunksize
        if kwargs:
            raise TypeError(f"unexpected arguments to map(): {sorted(kwargs)}")
        if self._is_shut_down:
            raise RuntimeError("this executor takes no more calls after its shutdown")
        seconds = seconds_of(timeout)
        deadline = None if seconds is None else time.monotonic() + seconds
        futures = self._client.map(fn, *iterables, **self._options)
        self._futures.update(futures)

        def results() -> Iterator[Any]:
            try:
                while futures:
                    future = futures.pop(0)
                    left = None if deadline is None else max(0.0, deadline - time.monotonic())
                    try:
                        yield future._result(left)
                    except TimeoutError:
                        raise concurrent.futures.TimeoutError from None
            finally:
                if futures:
                    self._client._handle.cancel([future._live for future in futures], False)

        return results()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """See :meth:`concurrent.futures.Executor.shutdown`.

        Without ``wait``, and with ``cancel_futures``, what is not done is cancelled.
        """
        if self._is_shut_down:
            return
        self._is_shut_down = True
        futures = [future for future in self._futures if future._handle is not None]
        if cancel_futures or not wait:
            self._client._handle.cancel([future._live for future in futures if not future.done()], False)
        elif futures:
            self._client._handle.wait([future._live for future in futures], False, None)


def _standard(future: Future) -> concurrent.futures.Future[Any]:
    """A future of the standard library that ends as ours does."""

    class Standard(concurrent.futures.Future[Any]):
        def cancel(self) -> bool:
            if self.done() and not self.cancelled():
                return False
            future.client._handle.cancel([future._live], False)
            return super().cancel()

    answer = Standard()

    def end(ended: Future) -> None:
        if ended.cancelled():
            if not answer.cancelled():
                concurrent.futures.Future.cancel(answer)
            answer.set_running_or_notify_cancel()
            return
        if not answer.set_running_or_notify_cancel():
            return
        try:
            answer.set_result(ended._result())
        except BaseException as error:
            answer.set_exception(error)

    future.add_done_callback(end)
    return answer

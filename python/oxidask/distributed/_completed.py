"""Waiting for many futures."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from oxidask import _oxidask
from oxidask.distributed._future import Future, cancelled_error, seconds_of
from oxidask.errors import CancelledError

__all__ = ["DoneAndNotDoneFutures", "as_completed", "wait"]


class DoneAndNotDoneFutures(NamedTuple):
    """What :func:`wait` answers."""

    done: set[Future]
    not_done: set[Future]


def wait(fs: Any, timeout: Any = None, return_when: str = "ALL_COMPLETED") -> DoneAndNotDoneFutures:
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
    DoneAndNotDoneFutures
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
    futures = [fs] if isinstance(fs, Future) else _futures_in(fs)
    if not futures:
        return DoneAndNotDoneFutures(set(), set())
    first, seconds = return_when == "FIRST_COMPLETED", seconds_of(timeout)
    client = futures[0].client
    handles = [future._live for future in futures]
    if client.asynchronous:
        return _wait_async(futures, handles, first, seconds)  # type: ignore[return-value]
    return _waited(futures, client._handle.wait(handles, first, seconds), seconds)


def _futures_in(fs: Any) -> list[Future]:
    from oxidask.distributed._context import futures_of

    if isinstance(fs, (list, tuple, set, frozenset, dict)) or hasattr(type(fs), "__dask_graph__"):
        return futures_of(fs)
    return list(fs)


async def _wait_async(
    futures: list[Future], handles: list[Any], first: bool, seconds: float | None
) -> DoneAndNotDoneFutures:
    from oxidask.distributed._async import until_done

    return _waited(futures, await until_done(handles, seconds, first), seconds)


def _waited(futures: list[Future], is_enough: bool, seconds: float | None) -> DoneAndNotDoneFutures:
    if not is_enough:
        raise TimeoutError(f"not enough of {len(futures)} futures were done after {seconds} s")
    done = {future for future in futures if future.done()}
    cancelled = [future for future in done if future.cancelled()]
    if cancelled:
        for future in cancelled:
            future._check_cancelled()
        raise cancelled_error(f"cancelled: {', '.join(_key_of(future) for future in cancelled[:10])}")
    return DoneAndNotDoneFutures(done, set(futures) - done)


def _key_of(future: Future) -> str:
    return "released" if future._handle is None else future.key


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

    Futures of an asynchronous client are iterated over with ``async for``.

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
        # Done, taken from the engine, and not answered yet.
        self._ready: list[int] = []
        self._lock = threading.Lock()
        self._wake: Callable[[], None] | None = None
        seconds = seconds_of(timeout)
        self._deadline = None if seconds is None else time.monotonic() + seconds
        self.update(futures or ())

    def add(self, future: Future) -> None:
        """Also waits for this future; may be called while iterating."""
        if not isinstance(future, Future):
            raise TypeError(f"what is waited for must be a future, got {type(future).__name__}")
        number = next(self._numbers)
        self._futures[number] = future
        self._completions.add(future._live, number)
        if future.client.asynchronous:
            # After the other, so that whoever wakes finds the number.
            future._live.on_done(self._note)

    def _note(self) -> None:
        with self._lock:
            wake, self._wake = self._wake, None
        if wake is not None:
            wake()

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
        return bool(self._ready) or any(future.done() for future in self._futures.values())

    def clear(self) -> None:
        """Forgets all futures."""
        self._completions = _oxidask.Completions()
        self._futures.clear()
        self._ready.clear()

    def batches(self) -> _Batches:
        """Iterates over lists of all that are done at a time."""
        return _Batches(self)

    def next_batch(self, block: bool = True) -> list[Any]:
        """All that are done now; with ``block`` at least one."""
        if block:
            return next(self.batches())
        return [self._answer(self._futures.pop(number)) for number in self._take_ready()]

    def _take_ready(self) -> list[int]:
        ready, self._ready = [*self._ready, *self._completions.ready()], []
        return [number for number in ready if number in self._futures]

    def _left(self) -> float | None:
        import time

        return None if self._deadline is None else max(0.0, self._deadline - time.monotonic())

    def _next_number(self) -> int:
        while True:
            number = self._ready.pop(0) if self._ready else self._completions.next(self._left())
            if number is None:
                raise TimeoutError(f"{len(self._futures)} futures were not done in time")
            if number in self._futures:
                return number

    async def _next_number_async(self) -> int:
        from oxidask.distributed._async import until

        def register(callback: Callable[[], None]) -> None:
            with self._lock:
                self._wake = callback
            self._ready.extend(self._completions.ready())
            if self._ready:
                callback()

        while True:
            ready = self._take_ready()
            if ready:
                self._ready = ready[1:]
                return ready[0]
            try:
                await until(register, self._left())
            except TimeoutError:
                raise TimeoutError(f"{len(self._futures)} futures were not done in time") from None

    def _answer(self, future: Future) -> Any:
        if not self.with_results:
            return future
        try:
            return future, future._result()
        except CancelledError as error:
            # Who cancelled it knows; the others go on.
            return future, error
        except Exception as error:
            if self.raise_errors:
                raise
            return future, (type(error), error, error.__traceback__)

    async def _answer_async(self, future: Future) -> Any:
        from oxidask.distributed._async import in_thread

        return await in_thread(self._answer, future) if self.with_results else future

    def __iter__(self) -> as_completed:
        return self

    def __next__(self) -> Any:
        if not self._futures:
            raise StopIteration
        return self._answer(self._futures.pop(self._next_number()))

    next = __next__

    def __aiter__(self) -> as_completed:
        return self

    async def __anext__(self) -> Any:
        if not self._futures:
            raise StopAsyncIteration
        return await self._answer_async(self._futures.pop(await self._next_number_async()))


class _Batches:
    """Iterates over the batches of an :class:`as_completed`."""

    def __init__(self, completed: as_completed) -> None:
        self._completed = completed

    def __iter__(self) -> _Batches:
        return self

    def __next__(self) -> list[Any]:
        of = self._completed
        if not of._futures:
            raise StopIteration
        numbers = [of._next_number(), *of._take_ready()]
        return [of._answer(of._futures.pop(number)) for number in numbers]

    def __aiter__(self) -> _Batches:
        return self

    async def __anext__(self) -> list[Any]:
        of = self._completed
        if not of._futures:
            raise StopAsyncIteration
        numbers = [await of._next_number_async(), *of._take_ready()]
        return [await of._answer_async(of._futures.pop(number)) for number in numbers]

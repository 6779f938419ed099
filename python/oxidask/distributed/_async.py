"""One implementation for callers that wait and for coroutines.

What blocks is written once, as a plain function. For a client of an event loop
it runs on a thread of this module, and what may take long (results, locks,
queues) is waited for without a thread: the engine calls back.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import os
import threading
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

__all__ = ["in_thread", "sync_or_async", "told_to", "until", "until_done"]

#: Threads for calls that block shortly; made when first needed.
_threads: ThreadPoolExecutor | None = None
_lock = threading.Lock()
_N_THREADS = 64


def _forget_threads() -> None:
    # A forked child has none of its parent's threads.
    global _threads, _lock
    _threads = None
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_threads)


def _pool() -> ThreadPoolExecutor:
    global _threads
    with _lock:
        if _threads is None:
            _threads = ThreadPoolExecutor(_N_THREADS, thread_name_prefix="oxidask-async")
        return _threads


async def in_thread(call: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """Calls a function that blocks on a thread, in the caller's context."""
    context = contextvars.copy_context()
    run = functools.partial(context.run, _outcome, call, *args, **kwargs)
    value, error = await asyncio.get_running_loop().run_in_executor(_pool(), run)
    if error is not None:
        raise _without_own_frames(error)
    return value


def _without_own_frames(error: BaseException) -> BaseException:
    """The error, whose traceback begins where the user's code does."""
    frames = error.__traceback__
    while frames is not None and str(frames.tb_frame.f_globals.get("__name__")).startswith("oxidask."):
        frames = frames.tb_next
    return error.with_traceback(frames)


def _outcome(call: Callable[..., Any], /, *args: Any, **kwargs: Any) -> tuple[Any, BaseException | None]:
    # An event loop would take the CancelledError of a future for its own.
    try:
        return call(*args, **kwargs), None
    except Exception as error:
        return None, error


def sync_or_async(is_async: bool, call: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """What the call answers, or with ``is_async`` an awaitable of it."""
    return in_thread(call, *args, **kwargs) if is_async else call(*args, **kwargs)


def told_to(called: asyncio.Future[tuple[Any, ...]], late: Callable[..., None] | None = None) -> Callable[..., None]:
    """A callback for any thread that gives its arguments to an asyncio future.

    ``late`` gets them if nobody waits for the future any more.
    """
    loop = called.get_loop()

    def note(*args: Any) -> None:
        if not called.done():
            called.set_result(args)
        elif late is not None:
            late(*args)

    def callback(*args: Any) -> None:
        try:
            loop.call_soon_threadsafe(note, *args)
        except RuntimeError:
            # The loop was closed, and with it whoever waited.
            return

    return callback


async def until(register: Callable[[Callable[..., None]], Any], timeout: float | None = None) -> tuple[Any, ...]:
    """Waits until a callback is called from any thread; answers its arguments.

    ``register`` gets the callback.

    Raises
    ------
    TimeoutError
        If it is not called in time.
    """
    called: asyncio.Future[tuple[Any, ...]] = asyncio.get_running_loop().create_future()
    register(told_to(called))
    if timeout is None:
        return await called
    try:
        return await asyncio.wait_for(called, max(timeout, 0.0))
    except TimeoutError:
        raise TimeoutError from None


async def until_done(handles: Sequence[Any], timeout: float | None = None, first: bool = False) -> bool:
    """Waits until all futures are done, or with ``first`` one; whether in time."""
    pending = [handle for handle in handles if not handle.done()]
    if not pending or (first and len(pending) < len(handles)):
        return True
    n_left = 1 if first else len(pending)
    lock = threading.Lock()

    def register(callback: Callable[[], None]) -> None:
        def one_done() -> None:
            nonlocal n_left
            with lock:
                n_left -= 1
                is_due = n_left == 0
            if is_due:
                callback()

        for handle in pending:
            handle.on_done(one_done)

    try:
        await until(register, timeout)
    except TimeoutError:
        return False
    return True


class MaybeAwaited:
    """An answer that is there already and may be awaited all the same.

    For methods that do not block, which asynchronous programs await by habit.
    """

    __slots__ = ("_value",)

    def __init__(self, value: Any) -> None:
        self._value = value

    def __await__(self) -> Any:
        return _answer(self._value).__await__()


async def _answer(value: Any) -> Any:
    return value


def awaited(value: Any) -> Awaitable[Any]:
    """An awaitable of a value that is there."""
    return MaybeAwaited(value)

"""What the objects of this package that clients share have in common.

The objects themselves live in the scheduler, natively: it hands bytes on and
knows who holds what. Here are only their faces.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from oxidask.distributed._async import in_thread, told_to
from oxidask.distributed._future import seconds_of

__all__ = ["SharedObject", "ask", "unique_name"]


def unique_name(kind: str) -> str:
    """A name that nobody else has."""
    import uuid

    return f"{kind}-{uuid.uuid4().hex}"


def ask(client: Any, question: Any, timeout: Any = None, then: Callable[[Any], Any] | None = None) -> Any:
    """Asks the scheduler; the answer, passed through ``then``.

    For an asynchronous client it is a coroutine. ``then`` gets ``None`` if
    there was no answer in time, and otherwise the answer.
    """
    seconds = seconds_of(timeout)
    if client.asynchronous:
        return _ask_async(client, question, seconds, then)
    answer = client._shared.ask(question, seconds)
    try:
        return _finish(client, answer, then)
    except KeyboardInterrupt:
        _take_back(client._shared, question, answer)
        raise


def _finish(client: Any, answer: Any, then: Callable[[Any], Any] | None) -> Any:
    if answer is None:
        return then(None) if then is not None else None
    value, receipt = answer
    is_interrupted = False
    try:
        return then(value) if then is not None else value
    except KeyboardInterrupt:
        # What is named in the answer is needed until it is undone.
        is_interrupted = True
        raise
    finally:
        if receipt is not None and not is_interrupted:
            # Whatever is named in the answer has been claimed by now.
            client._shared.received(receipt)


async def _ask_async(client: Any, question: Any, seconds: float | None, then: Callable[[Any], Any] | None) -> Any:
    shared = client._shared
    # The question is kept until it is answered, and with it the futures in it.
    answered: asyncio.Future[tuple[Any, Any]] = asyncio.get_running_loop().create_future()

    def take_back(answer: Any, _: Any = None) -> None:
        _take_back(shared, question, answer)

    number = shared.ask_later(question, told_to(answered, take_back))
    try:
        if not (await asyncio.wait([answered], timeout=seconds))[0]:
            # An answer may be on its way; whichever comes first counts.
            shared.withdraw(number)
        answer, error = await answered
    except asyncio.CancelledError:
        shared.withdraw(number)
        if not answered.cancel() and not answered.cancelled():
            take_back(*answered.result())
        raise
    if error is not None:
        raise error
    finishing = asyncio.ensure_future(in_thread(_finish, client, answer, then))
    try:
        return await asyncio.shield(finishing)
    except asyncio.CancelledError:
        # The thread goes on; the futures that it makes live until all is undone.
        finishing.add_done_callback(lambda done: done.exception() is None and take_back((answer[0], None)))
        raise


def _take_back(shared: Any, question: Any, answer: Any) -> None:
    """Undoes what a question did that nobody waits for any more."""
    if answer is None:
        return
    undo = question.undo()
    if undo is not None:
        shared.ask_later(undo, lambda *_: None)
    _, receipt = answer
    if receipt is not None:
        # After what undoes it: the scheduler keeps the results meanwhile.
        shared.received(receipt)


class SharedObject:
    """A named object of a cluster."""

    _kind = "object"

    def __init__(self, name: str | None = None, client: Any = None) -> None:
        self.name = name or unique_name(self._kind)
        self._client = client

    @property
    def client(self) -> Any:
        """The client through which this object is reached."""
        from oxidask.distributed._context import get_client, membership

        client = self._client
        # A process keeps the functions that it received, and with them this object:
        # a later task may belong to another cluster.
        worker = membership()
        is_stranger = worker is not None and client is not None and client._address != worker["scheduler"]
        if client is None or client.status == "closed" or is_stranger:
            client = self._client = get_client()
        return client

    def _ask(self, question: Any, timeout: Any = None, then: Callable[[Any], Any] | None = None) -> Any:
        return ask(self.client, question, timeout, then)

    def __reduce__(self) -> Any:
        return type(self), (self.name,)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.name}>"

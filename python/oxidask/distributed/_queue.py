"""Queues and variables."""

from __future__ import annotations

from typing import Any

from oxidask._oxidask import Ask
from oxidask.distributed._pickling import dumps, loads
from oxidask.distributed._shared import SharedObject

__all__ = ["Queue", "Variable"]


class Queue(SharedObject):
    """A first-in, first-out queue that clients and tasks share.

    Elements are futures, or small objects that can be pickled. The result of a
    future stays on the cluster while the future is in the queue.

    Parameters
    ----------
    name : str, optional
        Queues of one name are one queue; unique by default.
    client : Client, optional
        The current one by default.
    maxsize : int
        Most elements; ``put`` waits for room. 0 means no limit. What the first
        of that name says counts.

    Examples
    --------
    >>> from oxidask.distributed import Client, Queue
    >>> with Client(n_workers=1, processes=False) as client:
    ...     queue = Queue("numbers")
    ...     queue.put(1)
    ...     queue.put(client.submit(abs, -2))
    ...     queue.get(), queue.get().result()
    (1, 2)
    """

    _kind = "queue"

    def __init__(self, name: str | None = None, client: Any = None, maxsize: int = 0) -> None:
        super().__init__(name, client)
        self.maxsize = maxsize
        if self._client is not None or maxsize:
            self.client._shared.ask_later(Ask.open_queue(self.name, maxsize), _ignore)

    def __await__(self) -> Any:
        return _themselves(self).__await__()

    def put(self, value: Any, timeout: Any = None) -> Any:
        """Appends an element.

        Parameters
        ----------
        value : a future or an object that can be pickled
        timeout : number of seconds, text such as ``"10s"``, or None
            Longest wait for room.

        Raises
        ------
        TimeoutError
            If there is no room in time.
        """
        body, futures = dumps(value)

        def check(answer: Any) -> None:
            if answer is None:
                raise TimeoutError(f"the queue {self.name!r} had no room within {timeout}")

        return self._ask(Ask.put(self.name, body, futures), timeout, check)

    def get(self, timeout: Any = None, batch: bool | int = False) -> Any:
        """Takes the first element.

        Parameters
        ----------
        timeout : number of seconds, text, or None
            Longest wait for an element.
        batch : bool or int
            ``True`` takes all that are there, without waiting; a number waits
            for so many. Both answer a list.

        Raises
        ------
        TimeoutError
            If there is nothing in time.
        """
        if batch is True:
            least, most = 0, 1 << 40
        elif batch is False:
            least = most = 1
        else:
            if batch < 0:
                raise ValueError(f"batch is {batch}; it must not be negative")
            least = most = int(batch)

        def unpack(bodies: Any) -> Any:
            if bodies is None:
                raise TimeoutError(f"the queue {self.name!r} had nothing within {timeout}")
            values = [loads(body, self.client) for body in bodies]
            return values[0] if batch is False else values

        return self._ask(Ask.take(self.name, least, most), timeout, unpack)

    def qsize(self) -> Any:
        """The number of elements."""
        return self._ask(Ask.length(self.name))

    def close(self) -> None:
        """Forgets the queue and what is in it, for all."""
        self.client._shared.ask_later(Ask.close_queue(self.name), _ignore)

    def __reduce__(self) -> Any:
        return Queue, (self.name, None, self.maxsize)


class Variable(SharedObject):
    """A value that clients and tasks share.

    It is a future, or a small object that can be pickled. The result of a
    future stays on the cluster while the variable names it.

    Parameters
    ----------
    name : str, optional
        Variables of one name are one variable; unique by default.
    client : Client, optional

    Examples
    --------
    >>> from oxidask.distributed import Client, Variable
    >>> with Client(n_workers=1, processes=False) as client:
    ...     best = Variable("best")
    ...     best.set(0.5)
    ...     best.get()
    0.5
    """

    _kind = "variable"

    def set(self, value: Any, timeout: Any = "30 s") -> Any:
        """Sets the value."""
        body, futures = dumps(value)
        return self._ask(Ask.set("variable", self.name, body, futures, True), timeout, _none)

    def get(self, timeout: Any = None) -> Any:
        """The value; waits until it is set.

        Raises
        ------
        TimeoutError
            If it is not set in time.
        """

        def unpack(body: Any) -> Any:
            if body is None:
                raise TimeoutError(f"the variable {self.name!r} was not set within {timeout}")
            return loads(body, self.client)

        return self._ask(Ask.get("variable", self.name, True), timeout, unpack)

    def delete(self) -> None:
        """Forgets the value, for all."""
        self.client._shared.ask_later(Ask.delete("variable", self.name), _ignore)


def _ignore(answer: Any, error: Any) -> None:
    # Nobody waits; who uses the object next hears of what is wrong.
    del answer, error


def _none(answer: Any) -> None:
    del answer


async def _themselves(value: Any) -> Any:
    return value

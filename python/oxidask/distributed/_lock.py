"""Locks, semaphores and events."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Any

from oxidask._oxidask import Ask
from oxidask.distributed._shared import SharedObject

__all__ = ["Event", "Lock", "MultiLock", "Semaphore"]

#: Locks and semaphores share one table in the scheduler.
_LOCK, _SEMAPHORE = "lock/", "semaphore/"


class _Lease(SharedObject):
    """What Lock, MultiLock and Semaphore have in common.

    Leases are those of the client: should its process die, they are free again.
    """

    def __init__(self, name: str | None = None, client: Any = None) -> None:
        super().__init__(name, client)
        self._leases: list[str] = []

    def _question(self, lease: str) -> Any:
        raise NotImplementedError

    def _acquire(self, timeout: Any) -> Any:
        lease = uuid.uuid4().hex

        def note(answer: Any) -> bool:
            if answer is None:
                return False
            self._leases.append(lease)
            return True

        return self._ask(self._question(lease), timeout, note)

    def _release(self, missing: str) -> Any:
        if not self._leases:
            raise RuntimeError(missing)
        return self._ask(Ask.release(self._leases.pop()))

    def __enter__(self) -> Any:
        self.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    async def __aenter__(self) -> Any:
        await self.acquire()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.release()

    def acquire(self, timeout: Any = None) -> Any:
        """See the subclasses."""
        return self._acquire(timeout)

    def release(self) -> Any:
        """See the subclasses."""
        return self._release(f"{self!r} is not held")


class Lock(_Lease):
    """A lock of the whole cluster.

    Parameters
    ----------
    name : str, optional
        Locks of one name are one lock; unique by default.
    client : Client, optional
        The current one by default.

    Notes
    -----
    The lock is free again when the process dies that holds it.

    Examples
    --------
    >>> from oxidask.distributed import Client, Lock
    >>> with Client(n_workers=1, processes=False) as client:
    ...     lock = Lock("printer")
    ...     with lock:
    ...         lock.locked()
    True
    """

    _kind = "lock"

    def __init__(
        self, name: str | None = None, client: Any = None, scheduler_rpc: Any = None, loop: Any = None
    ) -> None:
        del scheduler_rpc, loop
        super().__init__(name, client)

    def _question(self, lease: str) -> Any:
        return Ask.acquire([_LOCK + str(self.name)], 1, lease, True)

    def acquire(self, blocking: bool = True, timeout: Any = None) -> Any:
        """Takes the lock.

        Parameters
        ----------
        blocking : bool
            Whether to wait for it.
        timeout : number of seconds, text such as ``"1s"``, or None
            Longest wait.

        Returns
        -------
        bool
            Whether it was taken in time.
        """
        if not blocking:
            if timeout is not None:
                raise ValueError("a timeout makes no sense without blocking")
            timeout = 0
        return self._acquire(timeout)

    def release(self) -> Any:
        """Gives the lock back."""
        return self._release(f"the lock {self.name!r} is not held")

    def locked(self) -> Any:
        """Whether somebody holds it."""
        return self._ask(Ask.leases(_LOCK + str(self.name)), None, bool)


class MultiLock(_Lease):
    """Several locks that are taken together.

    Parameters
    ----------
    names : list of str
        The locks. A :class:`Lock` of the same name is another lock.
    client : Client, optional

    Notes
    -----
    All are taken at one moment, so two who want the same locks in different
    orders never block each other.

    Examples
    --------
    >>> from oxidask.distributed import Client, MultiLock
    >>> with Client(n_workers=1, processes=False) as client:
    ...     with MultiLock(["a", "b"]):
    ...         MultiLock(["b", "c"]).acquire(timeout=0.01)
    False
    """

    _kind = "multilock"

    def __init__(self, names: Iterable[str] = (), client: Any = None) -> None:
        self.names = [str(name) for name in names]
        super().__init__(",".join(self.names) or None, client)
        self._n: int | None = None

    def _question(self, lease: str) -> Any:
        n = len(self.names) if self._n is None else self._n
        return Ask.acquire([f"multilock/{name}" for name in self.names], n, lease, True)

    def acquire(self, blocking: bool = True, timeout: Any = None, num_locks: int | None = None) -> Any:
        """Takes the locks.

        Parameters
        ----------
        blocking, timeout
            As for :meth:`Lock.acquire`.
        num_locks : int, optional
            How many of them suffice; all by default.

        Returns
        -------
        bool
            Whether they were taken in time.
        """
        if num_locks is not None and not 1 <= num_locks <= len(self.names):
            raise ValueError(f"{num_locks} of {len(self.names)} locks cannot be taken")
        if not blocking:
            if timeout is not None:
                raise ValueError("a timeout makes no sense without blocking")
            timeout = 0
        self._n = num_locks
        return self._acquire(timeout)

    def __reduce__(self) -> Any:
        return MultiLock, (self.names,)


class Semaphore(_Lease):
    """A limit on how many may do something at once, for the whole cluster.

    Parameters
    ----------
    max_leases : int
        How many.
    name : str, optional
        Semaphores of one name are one semaphore; unique by default.
    client : Client, optional
        The current one by default.

    Notes
    -----
    A lease is free again when the process dies that holds it; unlike in Dask
    it does not expire while that process lives, so nothing has to refresh it.

    Examples
    --------
    >>> from oxidask.distributed import Client, Semaphore
    >>> with Client(n_workers=1, processes=False) as client:
    ...     connections = Semaphore(max_leases=2, name="database")
    ...     with connections:
    ...         connections.get_value()
    1
    """

    _kind = "semaphore"

    def __init__(
        self,
        max_leases: int = 1,
        name: str | None = None,
        scheduler_rpc: Any = None,
        loop: Any = None,
        client: Any = None,
    ) -> None:
        del scheduler_rpc, loop
        if max_leases < 1:
            raise ValueError(f"max_leases is {max_leases}; it must be at least 1")
        super().__init__(name, client)
        self.max_leases = max_leases
        self._is_open = False
        if not self.client.asynchronous:
            self._open()

    def _open(self) -> None:
        self.client._shared.ask(Ask.open_semaphore(_SEMAPHORE + self.name, self.max_leases))
        self._is_open = True

    def __await__(self) -> Any:
        return self._opened().__await__()

    async def _opened(self) -> Semaphore:
        from oxidask.distributed._async import in_thread

        if not self._is_open:
            await in_thread(self._open)
        return self

    def _question(self, lease: str) -> Any:
        return Ask.acquire([_SEMAPHORE + self.name], 1, lease, False)

    def acquire(self, timeout: Any = None) -> Any:
        """Takes a lease.

        Parameters
        ----------
        timeout : number of seconds, text, or None
            Longest wait.

        Returns
        -------
        bool
            Whether one was free in time.
        """
        if self.client.asynchronous and not self._is_open:
            return self._acquire_opened(timeout)
        return self._acquire(timeout)

    async def _acquire_opened(self, timeout: Any) -> Any:
        await self._opened()
        return await self._acquire(timeout)

    def release(self) -> Any:
        """Gives the lease back that was taken last.

        Raises
        ------
        RuntimeError
            If this object has none.
        """
        return self._release("Released too often")

    def get_value(self) -> Any:
        """How many leases are out, of all clients."""
        return self._ask(Ask.leases(_SEMAPHORE + self.name))

    def close(self) -> Any:
        """Forgets the semaphore; whoever waits for it gets an error."""
        return self._ask(Ask.close_semaphore(_SEMAPHORE + self.name), None, lambda _: None)

    def __reduce__(self) -> Any:
        return Semaphore, (self.max_leases, self.name)


class Event(SharedObject):
    """A flag that clients and tasks set, clear and wait for.

    Parameters
    ----------
    name : str, optional
        Events of one name are one event; unique by default.
    client : Client, optional

    Examples
    --------
    >>> from oxidask.distributed import Client, Event
    >>> with Client(n_workers=1, processes=False) as client:
    ...     ready = Event("ready")
    ...     ready.wait(timeout=0.01)
    ...     ready.set()
    ...     ready.wait()
    False
    True
    """

    _kind = "event"

    def wait(self, timeout: Any = None) -> Any:
        """Waits until the flag is set; whether it is in time."""
        return self._ask(Ask.get("event", self.name, True), timeout, lambda body: body is not None)

    def set(self) -> Any:
        """Sets the flag; all who wait go on."""
        return self._ask(Ask.set("event", self.name, b"", [], True), None, lambda _: None)

    def clear(self) -> Any:
        """Clears the flag."""
        return self._ask(Ask.delete("event", self.name), None, lambda _: None)

    def is_set(self) -> Any:
        """Whether the flag is set."""
        return self._ask(Ask.get("event", self.name, False), None, lambda body: body is not None)

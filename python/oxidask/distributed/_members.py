"""What a client does with the members of its cluster and with copies of results."""

from __future__ import annotations

import math
import os
import time
from typing import Any

from oxidask.distributed import _context
from oxidask.distributed._async import sync_or_async
from oxidask.distributed._future import Future, seconds_of

__all__ = ["Members", "names_of"]

#: Longest wait for what has no timeout of its own.
_LONG = 600.0


def _why_they_stay(workers: list[dict[str, Any]], held: dict[str, tuple[str, ...]]) -> str:
    names = ", ".join(repr(worker["name"]) for worker in workers)
    keys = [key for results in held.values() for key in results]
    some = ", ".join(keys[:3]) + (" …" if len(keys) > 3 else "")
    return (
        f"the workers {names} stay: they hold {len(keys)} results ({some}), and for some seconds no other worker was there "
        "to take those that only they hold\nhint: release futures that are not needed, or start a worker, and ask again"
    )


def names_of(workers: Any) -> list[str]:
    """Names or addresses of workers as a list of texts; empty if none is meant."""
    if workers is None:
        return []
    if isinstance(workers, (str, int)) or not hasattr(workers, "__iter__"):
        workers = [workers]
    return [str(getattr(worker, "address", worker)) for worker in workers]


class Members:
    """The part of :class:`Client` that moves workers and results."""

    _handle: Any
    _questions: Any
    _asynchronous: bool

    def wait_for_workers(self, n_workers: int, timeout: Any = None) -> Any:
        """Waits until at least ``n_workers`` are there.

        Raises
        ------
        TimeoutError
            If they are not there in time.

        Examples
        --------
        >>> from oxidask.distributed import Client
        >>> with Client(n_workers=1, processes=False) as client:
        ...     client.wait_for_workers(1, timeout="10s")
        """
        if not isinstance(n_workers, int) or n_workers < 1:
            raise ValueError(f"`n_workers` must be a whole number above 0, instead got {n_workers!r}")
        return sync_or_async(self._asynchronous, self._wait_for_workers, n_workers, seconds_of(timeout))

    def _wait_for_workers(self, n_workers: int, timeout: float | None) -> None:
        if not self._handle.wait_for_workers(n_workers, timeout):
            n_there = len(self._questions.info()["workers"])
            raise TimeoutError(f"Only {n_there}/{n_workers} workers arrived after {timeout} s")

    def _known_workers(self) -> dict[str, dict[str, Any]]:
        """The workers by their names and by their addresses."""
        workers = self._questions.info()["workers"]
        return {text: worker for worker in workers for text in (worker["name"], worker["address"])}

    def _check_known(self, names: list[str]) -> dict[str, dict[str, Any]]:
        """The workers that are meant, by the name that was given.

        Raises
        ------
        ValueError
            If one is not there.
        """
        known = self._known_workers()
        unknown = [name for name in names if name not in known]
        if unknown:
            raise ValueError(f"there is no worker {', '.join(map(repr, unknown))}\nhint: there are {sorted(known)}")
        return {name: known[name] for name in names}

    def retire_workers(self, workers: Any = None, close_workers: bool = True, **kwargs: Any) -> Any:
        """Lets workers leave, once what only they hold is copied to others.

        Parameters
        ----------
        workers : list of str
            Names or addresses; without, nobody leaves.
        close_workers : bool
            Without effect: who has nothing to do any more ends.

        Returns
        -------
        dict
            What was known of those that left, by address.

        Raises
        ------
        ValueError
            If a worker is not there.
        TimeoutError
            If only one of them holds some results, and for five seconds no other
            worker was there to take them. It stays and works on.

        Examples
        --------
        >>> from oxidask.distributed import Client
        >>> with Client(n_workers=2, processes=False) as client:
        ...     left = client.retire_workers(["1"])
        ...     len(left), len(client.nthreads())
        (1, 1)
        """
        del close_workers, kwargs
        return sync_or_async(self._asynchronous, self._retire_workers, names_of(workers))

    def _retire_workers(self, names: list[str]) -> dict[str, Any]:
        if not names:
            return {}
        leaving = self._check_known(names)
        # However much there is to copy: the scheduler answers when it gets on no more.
        left = set(self._questions.retire(names, 86_400.0))
        stayed = [worker for worker in leaving.values() if worker["name"] not in left]
        if stayed:
            held = self._has_what([worker["address"] for worker in stayed])  # type: ignore[attr-defined]
            raise TimeoutError(_why_they_stay(stayed, held))
        return {worker["address"]: worker for worker in leaving.values()}

    def restart(self, timeout: Any = None, wait_for_workers: bool = True) -> Any:
        """Forgets all work and results, and has all workers begin anew.

        All futures of all clients are cancelled, but those that failed. A worker on threads of this
        process stays; it has nothing left of before either.

        Parameters
        ----------
        timeout : number of seconds or str, optional
            Longest wait for the workers.
        wait_for_workers : bool
            Whether to wait until as many are there as before.

        Raises
        ------
        TimeoutError
            If they are not there in time.

        Examples
        --------
        >>> from oxidask.distributed import Client
        >>> with Client(n_workers=1, processes=False) as client:
        ...     future = client.submit(abs, -1)
        ...     client.restart()
        ...     future.status
        'cancelled'
        """
        return sync_or_async(self._asynchronous, self._restart, seconds_of(timeout), wait_for_workers)

    def _restart(self, timeout: float | None, wait_for_workers: bool) -> None:
        limit = 4 * (seconds_of(self._timeout) or 30.0) if timeout is None else timeout  # type: ignore[attr-defined]
        deadline = time.monotonic() + limit
        n_workers = len(self._questions.info()["workers"])
        self._questions.restart([], limit)
        if wait_for_workers and n_workers:
            left = max(0.0, deadline - time.monotonic())
            if not self._handle.wait_for_workers(n_workers, left):
                raise TimeoutError(f"the {n_workers} workers were not there again after {limit} s")

    def restart_workers(self, workers: Any, timeout: Any = "60s", raise_for_error: bool = True, **kwargs: Any) -> Any:
        """Has some workers begin anew; what only they hold is computed again.

        Parameters
        ----------
        workers : list of str
            Names or addresses.
        timeout : number of seconds or str
            Longest wait for the new ones.
        raise_for_error : bool
            Whether it is an error if they are not there in time.

        Returns
        -------
        dict
            By worker as given: ``"OK"`` or ``"timed out"``.

        Raises
        ------
        ValueError
            If a worker is unknown, or is a thread of this process.
        TimeoutError
            With ``raise_for_error``, if one is not there in time.
        """
        del kwargs
        seconds = _LONG if timeout is None else seconds_of(timeout)
        return sync_or_async(self._asynchronous, self._restart_workers, names_of(workers), seconds, raise_for_error)

    def _restart_workers(self, names: list[str], timeout: float, raise_for_error: bool) -> dict[str, str]:
        before = self._check_known(names)
        here = [name for name, worker in before.items() if worker["pid"] == os.getpid()]
        if here:
            raise ValueError(
                f"Restarting workers requires a nanny to be used. Worker {here[0]!r} is a thread of this process"
            )
        deadline = time.monotonic() + timeout
        n_workers = len(self._questions.info()["workers"])
        self._questions.restart(names, timeout)
        self._handle.wait_for_workers(n_workers, max(0.0, deadline - time.monotonic()))
        numbers = {worker["name"]: worker["number"] for worker in self._questions.info()["workers"]}
        answer = {
            name: "OK" if numbers.get(worker["name"], worker["number"]) != worker["number"] else "timed out"
            for name, worker in before.items()
        }
        late = [name for name, how in answer.items() if how != "OK"]
        if late and raise_for_error:
            raise TimeoutError(f"the workers {late} were not there again after {timeout} s")
        return answer

    # -- copies of results -------------------------------------------------------

    def _settled(self, futures: Any) -> list[Future]:
        """The futures, once they are done, and without those that failed."""
        found = _context.all_futures(futures)
        self._handle.wait([future._live for future in found], False, None)
        return [future for future in found if future.status == "finished"]

    def replicate(
        self,
        futures: Any,
        n: int | None = None,
        workers: Any = None,
        branching_factor: int = 2,
        asynchronous: Any = None,
    ) -> Any:
        """Copies results to more workers, and waits until they are there.

        Parameters
        ----------
        futures : futures in nested containers
        n : int, optional
            How many workers shall have each; all by default.
        workers : list of str, optional
            Workers that may get them.
        branching_factor : int
            Without effect: the scheduler spreads the copying itself.

        Raises
        ------
        ValueError
            If there are fewer than ``n`` workers.

        Examples
        --------
        >>> from oxidask.distributed import Client
        >>> with Client(n_workers=2, processes=False) as client:
        ...     future = client.scatter([1, 2, 3], hash=False)[0]
        ...     client.replicate(future)
        ...     [len(holders) for holders in client.who_has(future).values()]
        [2]
        """
        del branching_factor
        is_async = self._asynchronous if asynchronous is None else bool(asynchronous)
        return sync_or_async(is_async, self._replicate, futures, n, names_of(workers))

    def _replicate(self, futures: Any, n: int | None, names: list[str]) -> None:
        chosen = self._check_known(names) if names else self._known_workers()
        numbers = {worker["number"] for worker in chosen.values()}
        wanted = len(numbers) if n is None else n
        if not 1 <= wanted <= len(numbers):
            raise ValueError(f"{wanted} workers were asked for, and there are {len(numbers)}")
        handles = [future._live for future in self._settled(futures)]
        self._questions.replicate(handles, wanted, names)
        self._wait_until(lambda: all(len(numbers & set(who)) >= wanted for who in self._questions.who_has(handles)))

    def rebalance(self, futures: Any = None, workers: Any = None, **kwargs: Any) -> Any:
        """Spreads the bytes of results evenly over workers.

        Parameters
        ----------
        futures : futures in nested containers, optional
            Which results may move; all by default.
        workers : list of str, optional
            Between which workers; all by default.

        Raises
        ------
        ValueError
            If a worker is not there.

        Examples
        --------
        >>> from oxidask.distributed import Client
        >>> with Client(n_workers=2, processes=False) as client:
        ...     futures = client.scatter(list(range(10)), workers=["0"])
        ...     client.rebalance(futures)
        """
        is_async = kwargs.pop("asynchronous", None)
        is_async = self._asynchronous if is_async is None else bool(is_async)
        return sync_or_async(is_async, self._rebalance, futures, names_of(workers))

    def _rebalance(self, futures: Any, names: list[str]) -> None:
        if names:
            self._check_known(names)
        found = [] if futures is None else self._settled(futures)
        if futures is not None and not found:
            return
        self._questions.rebalance([future._live for future in found], names)

    def _wait_until(self, condition: Any, timeout: float = _LONG) -> None:
        """Looks again and again, ever less often, until something the scheduler ordered is so."""
        deadline, pause = time.monotonic() + timeout, 0.001
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError(f"the copies were not there after {timeout} s")
            time.sleep(pause)
            pause = min(0.05, pause * 1.5)


def bounded(number: float) -> int:
    """A bound of a number of workers, of which infinity is one."""
    return (1 << 31) if math.isinf(number) else int(number)

"""Results: those that a client gathers, and values that it sends to workers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from oxidask.distributed import _context
from oxidask.distributed._async import in_thread, sync_or_async, until_done
from oxidask.distributed._future import Future, seconds_of
from oxidask.distributed._members import names_of
from oxidask.errors import CancelledError

__all__ = ["Results"]

#: Longest wait for workers to send values to, in seconds, of a client that waits for ever.
_PATIENCE = 600.0


class Results:
    """The part of :class:`Client` that gathers and scatters."""

    _handle: Any
    _questions: Any
    _address: str
    _timeout: float | None
    _is_async: Callable[[Any], bool]
    _known_workers: Callable[[], dict[str, dict[str, Any]]]
    _wait_until: Callable[..., None]

    def gather(self, futures: Any, errors: str = "raise", direct: Any = None, asynchronous: Any = None) -> Any:
        """Waits for futures and replaces them by their results.

        Parameters
        ----------
        futures : a future, or nested lists, tuples, sets and dicts of futures
        errors : {"raise", "skip"}
            Whether the first failed task raises, or failed ones are left out of
            the lists they are in.

        Returns
        -------
        The same structure with results.

        Examples
        --------
        >>> from oxidask.distributed import Client
        >>> with Client(n_workers=1, processes=False) as client:
        ...     client.gather({"a": client.submit(abs, -1), "b": [client.scatter(2)]})
        {'a': 1, 'b': [2]}
        """
        del direct
        if errors not in ("raise", "skip"):
            raise ValueError(f"errors is {errors!r}; it must be 'raise' or 'skip'")
        if isinstance(futures, Iterable) and not isinstance(
            futures, (list, tuple, set, frozenset, dict, str, bytes, Future)
        ):
            futures = list(futures)
        if self._is_async(asynchronous):
            return self._gather_async(futures, errors)
        return self._gather(futures, errors)

    async def _gather_async(self, futures: Any, errors: str) -> Any:
        await until_done([future._live for future in _context.all_futures(futures)])
        return await in_thread(self._gather, futures, errors)

    def _gather(self, futures: Any, errors: str) -> Any:
        found = _context.all_futures(futures)
        for future in found:
            if future.client is not self and future.client._address != self._address:
                raise ValueError(f"Futures created by another client: {future!r} belongs to another cluster")
        if errors == "skip" and found:
            self._handle.wait([future._live for future in found], False, None)
            found = [future for future in found if future.status == "finished"]
        if any(future._collection is not None or future._reason is not None for future in found):
            results = [future._result() for future in found]
        else:
            try:
                results = self._handle.gather([self._own(future) for future in found])
            except CancelledError:
                for future in found:
                    future._check_cancelled()
                raise
        if type(futures) is list and len(found) == len(futures) == len(results):
            return results
        by_id = {id(future): result for future, result in zip(found, results, strict=True)}
        return _filled(futures, by_id)

    def _own(self, future: Future) -> Any:
        """A future's handle; one of another client of this cluster is claimed by this one, too."""
        if future.client is self:
            return future._live
        (handle,) = self._handle.want([future._live.parts()])
        return handle

    def scatter(
        self,
        data: Any,
        workers: Any = None,
        broadcast: bool = False,
        direct: Any = None,
        hash: bool = True,
        timeout: Any = None,
        asynchronous: Any = None,
    ) -> Any:
        """Sends objects to the workers.

        Parameters
        ----------
        data : list, tuple, set, dict, or any other object
            The elements of containers are sent apart and spread over the workers.
        workers : str or list of str, optional
            Names or addresses of workers that may get them.
        broadcast : bool
            Whether every worker gets a copy.
        hash : bool
            Whether equal objects have equal keys and are sent once.

        Returns
        -------
        Futures in the same container, or one future.

        Examples
        --------
        >>> from oxidask.distributed import Client
        >>> with Client(n_workers=1, processes=False) as client:
        ...     table = client.scatter({"a": 1, "b": 2})
        ...     client.submit(lambda t: t["a"] + t["b"], table).result()
        3
        """
        del direct
        return sync_or_async(
            self._is_async(asynchronous), self._scatter, data, workers, bool(broadcast), hash, seconds_of(timeout)
        )

    def _scatter(self, data: Any, workers: Any, broadcast: bool, hash: bool, timeout: float | None) -> Any:
        names = names_of(workers)
        patience = (self._timeout or _PATIENCE) if timeout is None else timeout
        if not self._handle.wait_for_workers(1, patience):
            raise TimeoutError(f"no worker came to send data to within {patience} s")
        if names:
            known = set(self._known_workers())
            if not known.intersection(names):
                raise ValueError(f"none of the workers {names} is there\nhint: there are {sorted(known)}")

        def send(objects: Iterable[Any]) -> list[Future]:
            sent = list(objects)
            futures = [Future._of(handle, self) for handle in self._handle.scatter(sent, names, broadcast, hash)]
            for future, value in zip(futures, sent, strict=True):
                future._type = type(value)
            self._await_scattered([future._live for future in futures], names, broadcast, patience)
            return futures

        if isinstance(data, dict):
            return dict(zip(data, send(data.values()), strict=True))
        if isinstance(data, (list, tuple, set, frozenset)):
            return type(data)(send(data))
        if isinstance(data, Iterator):
            return iter(send(data))
        if isinstance(data, range):
            return send(data)
        return send([data])[0]

    def _await_scattered(self, handles: list[Any], names: list[str], broadcast: bool, patience: float) -> None:
        """Waits until workers have what was sent to them."""
        self._handle.wait(handles, False, patience)
        if not broadcast:
            return

        def is_everywhere() -> bool:
            # Workers may come and go meanwhile.
            there = {
                worker["number"]
                for worker in self._known_workers().values()
                if not names or worker["name"] in names or worker["address"] in names
            }
            return all(there <= set(who) for who in self._questions.who_has(handles))

        self._wait_until(is_everywhere, patience)


def _filled(item: Any, results: dict[int, Any]) -> Any:
    """The item with results in place of futures.

    Those without a result are left out of containers.
    """
    if isinstance(item, Future):
        return results.get(id(item))
    if isinstance(item, dict):
        return {key: _filled(value, results) for key, value in item.items() if _is_kept(value, results)}
    if isinstance(item, (list, tuple, set, frozenset)):
        kept = [_filled(value, results) for value in item if _is_kept(value, results)]
        return type(item)(*kept) if hasattr(item, "_fields") else type(item)(kept)
    return item


def _is_kept(item: Any, results: dict[int, Any]) -> bool:
    return not isinstance(item, Future) or id(item) in results

"""The client of a cluster."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any

from oxidask import _oxidask
from oxidask.distributed._cluster import LocalCluster, _clusters
from oxidask.distributed._future import Future, seconds_of

__all__ = ["Client", "current_executor", "default_client", "futures_of", "get_client"]

#: Open clients that may serve as default, the newest last.
_defaults: list[weakref.ref[Client]] = []
_defaults_lock = threading.Lock()
_current: ContextVar[Client | None] = ContextVar("current_client", default=None)

#: Arguments of Dask's Client that have no effect here: serialisation, heartbeats
#: and the event loop are the engine's own.
_WITHOUT_EFFECT = frozenset(
    {
        "loop",
        "heartbeat_interval",
        "serializers",
        "deserializers",
        "extensions",
        "direct_to_workers",
        "connection_limit",
    }
)


_abandoned: list[object] = []


def _after_fork() -> None:
    # The thread that serves a client does not exist in a forked child.
    for reference in _defaults:
        client = reference()
        if client is not None:
            _abandoned.append(client._handle)
    _defaults.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _open_default() -> Client | None:
    current = _current.get()
    if current is not None and current.status == "running":
        return current
    with _defaults_lock:
        while _defaults:
            client = _defaults[-1]()
            if client is not None and client.status == "running":
                return client
            _defaults.pop()
    return None


def current_executor() -> _oxidask.Executor | None:
    """What runs collections on the cluster of the active client, if there is one."""
    client = _open_default()
    return None if client is None else client._handle.executor


def default_client(c: Client | None = None) -> Client:
    """The active client.

    Raises
    ------
    ValueError
        If there is none.

    Examples
    --------
    >>> with Client(n_workers=1, processes=False) as client:
    ...     default_client() is client
    True
    """
    client = c or _open_default()
    if client is None:
        raise ValueError("there is no client\nhint: create one first: oxidask.distributed.Client()")
    return client


def get_client(address: str | None = None, timeout: Any = None, resolve_address: bool = True) -> Client:
    """The active client, or with ``address`` a client of that cluster."""
    del resolve_address
    if address is None:
        return default_client()
    return Client(address, timeout=timeout if timeout is not None else "30s", set_as_default=False)


def futures_of(o: Any, client: Client | None = None) -> list[Future]:
    """All futures within nested lists, tuples, sets and dicts.

    Examples
    --------
    >>> with Client(n_workers=1, processes=False) as client:
    ...     one = client.scatter(1)
    ...     futures_of([{"a": one}, 2]) == [one]
    True
    """
    del client
    found: list[Future] = []
    stack = [o]
    while stack:
        item = stack.pop()
        if isinstance(item, Future):
            found.append(item)
        elif isinstance(item, dict):
            stack.extend(reversed(list(item.values())))
        elif isinstance(item, (list, tuple, set, frozenset)):
            stack.extend(reversed(list(item)))
    return found


def _secret_of(address: str, secret_file: str | None) -> str:
    """The secret of the cluster at an address."""
    if secret_file is None:
        cluster = _clusters.get(address)
        if cluster is not None:
            return cluster._secret
        if address.startswith("unix://"):
            secret_file = os.path.join(os.path.dirname(address.removeprefix("unix://")), "secret")
        else:
            secret_file = os.environ.get("OXIDASK_SECRET_FILE")
    if secret_file is None:
        raise ValueError(
            f"the secret of the cluster at {address} is not known\n"
            "hint: pass secret_file=, or set OXIDASK_SECRET_FILE: the file 'secret' in the cluster's folder"
        )
    with open(secret_file, encoding="ascii") as file:
        return file.read()


class Client:
    """Connects to a cluster, and runs functions and collections on it.

    Parameters
    ----------
    address : str, LocalCluster or None
        A cluster or the address of its scheduler; ``None`` starts a
        :class:`LocalCluster` that is closed with the client.
    timeout : number of seconds or str
        Longest wait for the connection.
    set_as_default : bool
        Whether ``compute`` and ``persist`` of all collections use this client while
        it is open.
    name : str, optional
        A name for people.
    secret_file : str, optional
        The file with the cluster's secret, if it is not a cluster of this process
        or behind a socket file.
    **kwargs
        Arguments of :class:`LocalCluster`: ``n_workers``, ``threads_per_worker``,
        ``processes``, ``memory_limit`` …

    Raises
    ------
    OSError, TimeoutError
        If nobody listens there.
    PermissionError
        If the secret is wrong.
    VersionMismatchError
        If the cluster runs another build.

    Notes
    -----
    ``asynchronous=True`` is not supported: all methods wait. Dask's client pickles
    functions by reference where it can; so does this one, and cloudpickle does
    the rest.

    Examples
    --------
    >>> from oxidask.distributed import Client
    >>> with Client(n_workers=2, threads_per_worker=1, processes=False) as client:
    ...     squares = client.map(lambda x: x**2, range(4))
    ...     client.gather(squares)
    [0, 1, 4, 9]
    """

    def __init__(
        self,
        address: Any = None,
        timeout: Any = "30s",
        set_as_default: bool = True,
        asynchronous: bool = False,
        name: str | None = None,
        secret_file: str | None = None,
        security: Any = None,
        scheduler_file: str | None = None,
        **kwargs: Any,
    ) -> None:
        if asynchronous:
            raise NotImplementedError("Client(asynchronous=True) is not supported\nhint: call the client from a thread")
        if security is not None or scheduler_file is not None:
            raise NotImplementedError("security= and scheduler_file= are not supported\nhint: pass secret_file=")
        kwargs = {key: value for key, value in kwargs.items() if key not in _WITHOUT_EFFECT}
        cluster = kwargs.pop("cluster", None)
        if cluster is not None and address is None:
            address = cluster
        self._owned: LocalCluster | None = None
        self.cluster: LocalCluster | None = None
        if address is None:
            self._owned = self.cluster = LocalCluster(**kwargs)
        elif kwargs:
            names = ", ".join(map(repr, sorted(kwargs)))
            raise TypeError(f"{names}: arguments of a new cluster make no sense with an address")
        elif isinstance(address, str):
            self.cluster = _clusters.get(address)
        elif hasattr(address, "scheduler_address"):
            self.cluster = address
        else:
            raise TypeError(f"address must be a text or a cluster, got {type(address).__name__}")
        where: str = address if isinstance(address, str) else self.cluster.scheduler_address  # type: ignore[union-attr]
        self.name = name or f"client-{os.getpid()}"
        try:
            secret = self.cluster._secret if self.cluster is not None else _secret_of(where, secret_file)
            self._handle = _oxidask.ClientHandle(where, secret, self.name, seconds_of(timeout) or 30.0)
        except BaseException:
            if self._owned is not None:
                self._owned.close()
            raise
        self._address = where
        if set_as_default:
            with _defaults_lock:
                _defaults.append(weakref.ref(self))

    # -- state -------------------------------------------------------------

    @property
    def status(self) -> str:
        """``"running"`` or ``"closed"``."""
        return "running" if self._handle.is_open else "closed"

    @property
    def asynchronous(self) -> bool:
        """Always false: all methods wait."""
        return False

    @property
    def dashboard_link(self) -> str:
        """Empty: there is no dashboard yet."""
        return ""

    @classmethod
    def current(cls, allow_global: bool = True) -> Client:
        """The client of the innermost :meth:`as_current`, or the default one.

        Examples
        --------
        >>> with Client(n_workers=1, processes=False) as client:
        ...     Client.current() is client
        True
        """
        client = _current.get()
        if client is None and allow_global:
            return default_client()
        if client is None:
            raise ValueError("there is no current client")
        return client

    @contextmanager
    def as_current(self) -> Iterator[Client]:
        """Makes this the client of the code within, on this thread."""
        token = _current.set(self)
        try:
            yield self
        finally:
            _current.reset(token)

    def __oxidask_executor__(self) -> _oxidask.Executor:
        return self._handle.executor

    # -- work --------------------------------------------------------------

    def submit(
        self,
        func: Callable[..., Any],
        *args: Any,
        key: str | None = None,
        workers: Any = None,
        resources: dict[str, float] | None = None,
        retries: int | None = None,
        priority: int = 0,
        fifo_timeout: Any = None,
        allow_other_workers: bool = False,
        actor: bool = False,
        actors: bool = False,
        pure: bool = True,
        **kwargs: Any,
    ) -> Future:
        """Runs ``func(*args, **kwargs)`` on the cluster.

        Parameters
        ----------
        func : callable
        args, kwargs
            Arguments; futures and lazy collections among them, also within
            containers, are replaced by their results.
        key : str, optional
            A name for the result; equal names mean equal results.
        workers : str or list of str, optional
            Names or addresses of the workers that may run it.
        resources : dict, optional
            Abstract resources that it occupies.
        retries : int, optional
            How often to run again after it raised.
        priority : int
            Larger runs earlier.
        allow_other_workers : bool
            Whether others may run it while none of ``workers`` is there.
        pure : bool
            Whether equal calls have equal results, so that they run once.

        Returns
        -------
        Future

        Raises
        ------
        TypeError
            If the function or an argument cannot be pickled; the error names it.

        Examples
        --------
        >>> with Client(n_workers=1, processes=False) as client:
        ...     three = client.submit(len, "abc")
        ...     client.submit(pow, three, 2).result()
        9
        """
        del fifo_timeout
        if actor or actors:
            raise NotImplementedError("actors are not supported yet")
        if not callable(func):
            raise TypeError(f"submit needs a function first, got {type(func).__name__}")
        with self._wishes(workers, resources, retries, priority, allow_other_workers):
            return Future(self._handle.submit(func, args, kwargs or None, pure, key), self)

    def map(
        self,
        func: Callable[..., Any],
        *iterables: Collection[Any],
        key: str | list[str] | None = None,
        workers: Any = None,
        retries: int | None = None,
        resources: dict[str, float] | None = None,
        priority: int = 0,
        allow_other_workers: bool = False,
        fifo_timeout: Any = None,
        actor: bool = False,
        actors: bool = False,
        pure: bool = True,
        batch_size: int | None = None,
        **kwargs: Any,
    ) -> list[Future]:
        """Runs ``func`` on the elements of iterables, as the builtin ``map`` does.

        Parameters
        ----------
        func : callable
        iterables : iterables
            Their elements are the positional arguments; the shortest says how
            many calls there are.
        key : str or list of str, optional
            A name for each result, or the beginning of the names.
        kwargs
            Keyword arguments that all calls share.
        workers, retries, resources, priority, allow_other_workers, pure
            As for :meth:`submit`.

        Returns
        -------
        list of Future

        Examples
        --------
        >>> with Client(n_workers=1, processes=False) as client:
        ...     client.gather(client.map(pow, [2, 3], [3, 2]))
        [8, 9]
        """
        del fifo_timeout, batch_size
        if actor or actors:
            raise NotImplementedError("actors are not supported yet")
        if not callable(func):
            raise TypeError(f"map needs a function first, got {type(func).__name__}")
        if not iterables:
            raise ValueError("map needs an iterable beside the function")
        calls = list(zip(*iterables, strict=False))
        if isinstance(key, str):
            key = [f"{key}-{number}" for number in range(len(calls))]
        if key is not None and len(key) != len(calls):
            raise ValueError(f"there are {len(key)} keys for {len(calls)} calls")
        with self._wishes(workers, resources, retries, priority, allow_other_workers):
            handles = self._handle.map(func, calls, kwargs or None, pure, key)
        return [Future(handle, self) for handle in handles]

    @staticmethod
    def _wishes(workers: Any, resources: Any, retries: int | None, priority: int, allow_other_workers: bool) -> Any:
        wishes: dict[str, Any] = {}
        if workers is not None:
            wishes["workers"] = [workers] if isinstance(workers, str) else [str(worker) for worker in workers]
            wishes["allow_other_workers"] = allow_other_workers
        if resources:
            wishes["resources"] = resources
        if retries:
            wishes["retries"] = retries
        if priority:
            wishes["priority"] = priority
        if not wishes:
            return nullcontext()
        from oxidask.base import annotate

        return annotate(**wishes)

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
        >>> with Client(n_workers=1, processes=False) as client:
        ...     client.gather({"a": client.submit(abs, -1), "b": [client.scatter(2)]})
        {'a': 1, 'b': [2]}
        """
        del direct, asynchronous
        if errors not in ("raise", "skip"):
            raise ValueError(f"errors is {errors!r}; it must be 'raise' or 'skip'")
        if isinstance(futures, Iterable) and not isinstance(futures, (list, tuple, set, frozenset, dict, str, bytes)):
            futures = list(futures)
        found = futures_of(futures)
        if errors == "skip" and found:
            self._handle.wait([future._live for future in found], False, None)
            found = [future for future in found if future.status == "finished"]
        if any(future._collection is not None for future in found):
            results = [future.result() for future in found]
        else:
            results = self._handle.gather([future._live for future in found])
        if type(futures) is list and len(found) == len(futures) == len(results):
            return results
        by_id = {id(future): result for future, result in zip(found, results, strict=True)}
        return _filled(futures, by_id)

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
        >>> with Client(n_workers=1, processes=False) as client:
        ...     table = client.scatter({"a": 1, "b": 2})
        ...     client.submit(lambda t: t["a"] + t["b"], table).result()
        3
        """
        del direct, asynchronous, timeout
        names = [] if workers is None else [workers] if isinstance(workers, str) else [str(name) for name in workers]

        def send(objects: Iterable[Any]) -> list[Future]:
            handles = self._handle.scatter(list(objects), names, bool(broadcast), hash)
            return [Future(handle, self) for handle in handles]

        if isinstance(data, dict):
            return dict(zip(data, send(data.values()), strict=True))
        if isinstance(data, (list, tuple, set, frozenset)):
            return type(data)(send(data))
        if isinstance(data, Iterator):
            return iter(send(data))
        if isinstance(data, range):
            return send(data)
        return send([data])[0]

    def compute(
        self,
        collections: Any,
        sync: bool = False,
        optimize_graph: bool = True,
        workers: Any = None,
        allow_other_workers: bool = False,
        resources: dict[str, float] | None = None,
        retries: int = 0,
        priority: int = 0,
        fifo_timeout: Any = None,
        actors: Any = None,
        traverse: bool = True,
        **kwargs: Any,
    ) -> Any:
        """Starts to compute collections.

        Parameters
        ----------
        collections : a collection, or a list or tuple of collections and others
        sync : bool
            Whether to wait for the results.
        optimize_graph : bool
            Whether to rewrite the plan before it runs.
        workers, allow_other_workers, resources, retries, priority
            As for :meth:`submit`; they hold for tasks made while this is called.

        Returns
        -------
        A future for each collection, or with ``sync`` the results.

        Examples
        --------
        >>> from oxidask import delayed
        >>> with Client(n_workers=1, processes=False) as client:
        ...     client.compute(delayed(abs)(-1)).result()
        1
        """
        del fifo_timeout, actors, traverse, kwargs
        single = not isinstance(collections, (list, tuple))
        items = [collections] if single else list(collections)
        lazy = [_oxidask.is_lazy(item) for item in items]
        wishes = self._wishes(workers, resources, retries, priority, allow_other_workers)
        with wishes:
            # A collection of several parts stays in parts on the workers.
            held = [
                self._persist_parts(item, optimize_graph) if is_lazy else None
                for item, is_lazy in zip(items, lazy, strict=True)
            ]
            exprs = _oxidask.find_lazy(
                tuple(
                    item if parts is None else parts
                    for item, parts, is_lazy in zip(items, held, lazy, strict=True)
                    if is_lazy
                ),
                False,
            )
            handles = iter(self._handle.compute(exprs, optimize_graph))
        answers = [
            Future(next(handles), self, parts) if is_lazy else item
            for item, parts, is_lazy in zip(items, held, lazy, strict=True)
        ]
        if sync:
            answers = self.gather(answers)
        return answers[0] if single else answers

    def _persist_parts(self, collection: Any, optimize_graph: bool) -> Any:
        """The collection held in parts; nothing if it is a single value."""
        if isinstance(collection, (_oxidask.Delayed, Future)):
            return None
        from oxidask.base import persist

        return persist(collection, optimize_graph=optimize_graph, scheduler=self)[0]

    def persist(
        self,
        collections: Any,
        optimize_graph: bool = True,
        workers: Any = None,
        allow_other_workers: bool = False,
        resources: dict[str, float] | None = None,
        retries: int | None = None,
        priority: int = 0,
        fifo_timeout: Any = None,
        actors: Any = None,
        **kwargs: Any,
    ) -> Any:
        """Starts to compute collections and keeps their parts on the workers.

        Parameters
        ----------
        collections : a collection, or a list or tuple of collections
        optimize_graph, workers, allow_other_workers, resources, retries, priority
            As for :meth:`compute`.

        Returns
        -------
        The collections over the held results.

        Examples
        --------
        >>> from oxidask import delayed
        >>> with Client(n_workers=1, processes=False) as client:
        ...     held = client.persist(delayed(abs)(-1))
        ...     (held + 1).compute()
        2
        """
        del fifo_timeout, actors, kwargs
        from oxidask.base import persist

        single = not isinstance(collections, (list, tuple))
        items = [collections] if single else list(collections)
        with self._wishes(workers, resources, retries, priority, allow_other_workers):
            held = persist(*items, optimize_graph=optimize_graph, scheduler=self)
        return held[0] if single else list(held)

    def cancel(
        self, futures: Any, asynchronous: Any = None, force: bool = False, reason: Any = None, msg: Any = None
    ) -> None:
        """Stops futures for all clients. A task that runs already is abandoned.

        Examples
        --------
        >>> with Client(n_workers=1, processes=False) as client:
        ...     future = client.submit(abs, -1)
        ...     client.cancel(future)
        ...     future.cancelled()
        True
        """
        del asynchronous, force, reason, msg
        self._handle.cancel([future._live for future in futures_of(futures)])

    def retry(self, futures: Any, asynchronous: Any = None) -> None:
        """Runs failed futures again."""
        del asynchronous
        self._handle.retry([future._live for future in futures_of(futures)])

    def run(
        self,
        function: Callable[..., Any],
        *args: Any,
        workers: Any = None,
        wait: bool = True,
        on_error: str = "raise",
        **kwargs: Any,
    ) -> Any:
        """Calls a function once on each worker, where its tasks run.

        Parameters
        ----------
        function : callable
        workers : list of str, optional
            Names or addresses; all workers by default.
        wait : bool
            Whether to wait for the results.
        on_error : {"raise", "return", "ignore"}

        Returns
        -------
        dict
            The results by the address of the worker.

        Examples
        --------
        >>> with Client(n_workers=2, processes=False) as client:
        ...     sorted(client.run(lambda: 7).values())
        [7, 7]
        """
        if on_error not in ("raise", "return", "ignore"):
            raise ValueError(f"on_error is {on_error!r}; it must be 'raise', 'return' or 'ignore'")
        chosen = None if workers is None else {workers} if isinstance(workers, str) else set(workers)
        futures = {
            worker["address"]: self.submit(function, *args, workers=[worker["name"]], pure=False, **kwargs)
            for worker in self._handle.info()["workers"]
            if chosen is None or worker["name"] in chosen or worker["address"] in chosen
        }
        if not wait:
            from oxidask.distributed._future import fire_and_forget

            return fire_and_forget(list(futures.values()))
        results = {}
        for address, future in futures.items():
            try:
                results[address] = future.result()
            except Exception as error:
                if on_error == "raise":
                    raise
                if on_error == "return":
                    results[address] = error
        return results

    # -- questions -----------------------------------------------------------

    def scheduler_info(self, n_workers: int = -1, **kwargs: Any) -> dict[str, Any]:
        """What the scheduler knows of itself and its workers.

        Returns
        -------
        dict
            ``"type"``, ``"address"``, ``"pid"`` and ``"workers"``: by address, a dict with
            ``"name"``, ``"pid"``, ``"nthreads"``, ``"memory_limit"`` (bytes), ``"metrics"`` …
        """
        del kwargs
        info = self._handle.info()
        workers = info["workers"] if n_workers < 0 else info["workers"][:n_workers]
        metrics = ("managed_bytes", "spilled_bytes", "process_bytes", "paused")
        return {
            "type": "Scheduler",
            "id": self._address,
            "address": info["address"],
            "pid": info["pid"],
            "n_workers": len(info["workers"]),
            "total_threads": sum(worker["nthreads"] for worker in info["workers"]),
            "workers": {
                worker["address"]: {
                    "type": "Worker",
                    "id": worker["name"],
                    **{name: value for name, value in worker.items() if name not in metrics},
                    "resources": dict(worker["resources"]),
                    "metrics": {name: worker[name] for name in metrics},
                }
                for worker in workers
            },
        }

    def nthreads(self, workers: Any = None) -> dict[str, int]:
        """The number of threads of each worker, by address.

        Examples
        --------
        >>> with Client(n_workers=1, threads_per_worker=3, processes=False) as client:
        ...     list(client.nthreads().values())
        [3]
        """
        return {
            worker["address"]: worker["nthreads"]
            for worker in self._handle.info()["workers"]
            if workers is None or worker["address"] in workers or worker["name"] in workers
        }

    ncores = nthreads

    def _addresses(self) -> dict[int, str]:
        return {worker["number"]: worker["address"] for worker in self._handle.info()["workers"]}

    def who_has(self, futures: Any = None) -> dict[str, tuple[str, ...]]:
        """The addresses of the workers that hold each future's result, by key."""
        found = futures_of(futures) if futures is not None else []
        addresses = self._addresses()
        if futures is None:
            held: dict[str, tuple[str, ...]] = {}
            for address, keys in self.has_what().items():
                for key in keys:
                    held[key] = (*held.get(key, ()), address)
            return held
        who = self._handle.who_has([future._live for future in found])
        return {
            future.key: tuple(addresses[number] for number in numbers if number in addresses)
            for future, numbers in zip(found, who, strict=True)
        }

    def has_what(self, workers: Any = None) -> dict[str, tuple[str, ...]]:
        """The keys of the results that each worker holds, by address."""
        return self._by_address(self._handle.has_what(), workers)

    def processing(self, workers: Any = None) -> dict[str, tuple[str, ...]]:
        """The keys of the tasks that each worker has to run, by address."""
        return self._by_address(self._handle.processing(), workers)

    def _by_address(self, rows: list[tuple[int, list[str]]], workers: Any) -> dict[str, tuple[str, ...]]:
        addresses = self._addresses()
        return {
            addresses[number]: tuple(keys)
            for number, keys in rows
            if number in addresses and (workers is None or addresses[number] in workers)
        }

    def futures_of(self, futures: Any) -> list[Future]:
        """See :func:`futures_of`."""
        return futures_of(futures)

    # -- life ----------------------------------------------------------------

    def wait_for_workers(self, n_workers: int, timeout: Any = None) -> None:
        """Waits until at least ``n_workers`` are there.

        Raises
        ------
        TimeoutError
            If they are not there in time.
        """
        if n_workers < 0:
            raise ValueError(f"n_workers is {n_workers}; it must not be negative")
        if not self._handle.wait_for_workers(n_workers, seconds_of(timeout)):
            n_there = len(self._handle.info()["workers"])
            raise TimeoutError(f"{n_there} of {n_workers} workers were there after {timeout} s")

    def retire_workers(self, workers: Any = None, close_workers: bool = True, **kwargs: Any) -> dict[str, Any]:
        """Lets workers leave, once what only they hold is copied to others.

        Parameters
        ----------
        workers : list of str
            Names or addresses.
        """
        del close_workers, kwargs
        names = [workers] if isinstance(workers, str) else [str(worker) for worker in workers or ()]
        return {name: {} for name in self._handle.retire(names)}

    def shutdown(self) -> None:
        """Ends the cluster, workers and all."""
        self._handle.shutdown()
        if self.cluster is not None:
            self.cluster.close()
        self.close()

    def close(self, timeout: Any = None) -> None:
        """Closes the connection; a cluster that the client started ends with it."""
        del timeout
        with _defaults_lock:
            _defaults[:] = [client for client in _defaults if client() not in (None, self)]
        self._handle.close()
        owned, self._owned = self._owned, None
        if owned is not None:
            owned.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        if self.status == "closed":
            return "<Client: closed>"
        threads = list(self.nthreads().values())
        return f"<Client: {self._address!r} workers={len(threads)} threads={sum(threads)}>"

    def _repr_html_(self) -> str:
        import html

        return f"<b>Client</b> <code>{html.escape(repr(self))}</code>"


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

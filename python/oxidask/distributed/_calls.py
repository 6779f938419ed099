"""What a client has done: calls."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from contextlib import nullcontext
from typing import Any

from oxidask.distributed import _context
from oxidask.distributed._async import awaited, sync_or_async
from oxidask.distributed._future import Future
from oxidask.distributed._members import names_of
from oxidask.distributed._pickling import collecting

__all__ = ["Calls"]

_NO_WISHES: nullcontext[None] = nullcontext()


class Calls:
    """The part of :class:`Client` that calls functions on the cluster."""

    _handle: Any
    _questions: Any
    _asynchronous: bool
    _is_async: Callable[[Any], bool]
    _note_names: Callable[[Iterable[str]], None]

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
        >>> from oxidask.distributed import Client
        >>> with Client(n_workers=1, processes=False) as client:
        ...     three = client.submit(len, "abc")
        ...     client.submit(pow, three, 2).result()
        9
        """
        del fifo_timeout
        if not callable(func):
            raise TypeError(f"submit calls a function, got {type(func).__name__}")
        if actor or actors:
            from oxidask.distributed._actor import hosted

            func, args, kwargs, key, pure = hosted(func, args, kwargs, key)
        key = _name_of(key)
        if key is not None:
            self._note_names([key])
        _warn_if_large(args, kwargs)
        with self._wishes(workers, resources, retries, priority, allow_other_workers), collecting() as inside:
            future = Future._of(self._handle.submit(func, args, kwargs or None, pure, key), self)
        _keep_until_done(inside, future)
        return future

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
        >>> from oxidask.distributed import Client
        >>> with Client(n_workers=1, processes=False) as client:
        ...     client.gather(client.map(pow, [2, 3], [3, 2]))
        [8, 9]
        """
        if not callable(func):
            raise TypeError(f"map calls a function, got {type(func).__name__}")
        if not iterables:
            raise ValueError("map needs an iterable beside the function")
        if batch_size is not None and batch_size < 1:
            raise ValueError(f"batch_size is {batch_size}; it must be at least 1")
        calls = list(zip(*iterables, strict=False))
        if isinstance(key, str):
            key = _named_calls(key, func, calls, kwargs, pure)
        if key is not None and len(key) != len(calls):
            raise ValueError(f"there are {len(key)} keys for {len(calls)} calls")
        if actor or actors:
            return [
                self.submit(
                    func,
                    *args,
                    actor=True,
                    workers=workers,
                    resources=resources,
                    retries=retries,
                    priority=priority,
                    allow_other_workers=allow_other_workers,
                    **kwargs,
                )
                for args in calls
            ]
        _warn_if_large((), kwargs)
        names = None if key is None else [_name_of(one) for one in key]
        if names is not None:
            self._note_names(names)
        futures: list[Future] = []
        step = batch_size or max(1, len(calls))
        for first in range(0, len(calls), step):
            part = calls[first : first + step]
            part_names = None if names is None else names[first : first + step]
            with self._wishes(workers, resources, retries, priority, allow_other_workers), collecting() as inside:
                handles = self._handle.map(func, part, kwargs or None, pure, part_names)
            futures += [Future._of(handle, self) for handle in handles]
            if inside and handles:
                _keep_until_done(inside, *futures[first:])
        return futures

    @staticmethod
    def _wishes(workers: Any, resources: Any, retries: int | None, priority: int, allow_other_workers: bool) -> Any:
        if workers is None and not (resources or retries or priority):
            return _NO_WISHES
        wishes: dict[str, Any] = {}
        if workers is not None:
            wishes["workers"] = names_of(workers)
            wishes["allow_other_workers"] = allow_other_workers
        if resources:
            wishes["resources"] = resources
        if retries:
            wishes["retries"] = retries
        if priority:
            wishes["priority"] = priority
        from oxidask.base import annotate

        return annotate(**wishes)

    def cancel(
        self, futures: Any, asynchronous: Any = None, force: bool = False, reason: Any = None, msg: Any = None
    ) -> Any:
        """Stops futures. A task that runs already is abandoned.

        Parameters
        ----------
        futures : futures in nested containers
        force : bool
            Whether also tasks are stopped that other clients want.
        reason, msg : str, optional
            What the error of those who ask for the result says.

        Examples
        --------
        >>> from oxidask.distributed import Client
        >>> with Client(n_workers=1, processes=False) as client:
        ...     future = client.submit(abs, -1)
        ...     client.cancel(future)
        ...     future.cancelled()
        True
        """
        found = [future for future in _context.all_futures(futures) if future._handle is not None]
        why = ": ".join(text for text in (reason, msg) if text)
        for future in found:
            future._reason = why or None
        self._handle.cancel([future._live for future in found], bool(force))
        return awaited(None) if self._is_async(asynchronous) else None

    def retry(self, futures: Any, asynchronous: Any = None) -> Any:
        """Runs failed futures again.

        Examples
        --------
        >>> from oxidask.distributed import Client
        >>> with Client(n_workers=1, processes=False) as client:
        ...     future = client.submit(divmod, 1, 0)
        ...     future.exception(), client.retry(future)
        (ZeroDivisionError(...), None)
        """
        found = _context.all_futures(futures)
        for future in found:
            future._reason = None
        self._handle.retry([future._live for future in found])
        return awaited(None) if self._is_async(asynchronous) else None

    def get_executor(self, **kwargs: Any) -> Any:
        """A :class:`concurrent.futures.Executor` over this client.

        Parameters
        ----------
        **kwargs
            Arguments of :meth:`submit` for all its calls: ``workers``, ``retries``,
            ``pure`` …

        Examples
        --------
        >>> from oxidask.distributed import Client
        >>> with Client(n_workers=1, processes=False) as client:
        ...     with client.get_executor() as executor:
        ...         list(executor.map(abs, [-1, -2]))
        [1, 2]
        """
        from oxidask.distributed._executor import ClientExecutor

        return ClientExecutor(self, **kwargs)

    def run(
        self,
        function: Callable[..., Any],
        *args: Any,
        workers: Any = None,
        wait: bool = True,
        nanny: bool = False,
        on_error: str = "raise",
        asynchronous: Any = None,
        **kwargs: Any,
    ) -> Any:
        """Calls a function once on each worker, where its tasks run.

        The function may be a coroutine function. An argument named
        ``dask_worker`` gets the :class:`Worker`.

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
        >>> from oxidask.distributed import Client
        >>> with Client(n_workers=2, processes=False) as client:
        ...     sorted(client.run(lambda: 7).values())
        [7, 7]
        """
        if on_error not in ("raise", "return", "ignore"):
            raise ValueError(f"on_error must be 'raise', 'return' or 'ignore', got {on_error!r}")
        del nanny
        return sync_or_async(self._is_async(asynchronous), self._run, function, args, kwargs, workers, wait, on_error)

    def _run(
        self, function: Any, args: Any, kwargs: Any, workers: Any, wait: bool, on_error: str
    ) -> dict[str, Any] | None:
        from oxidask.distributed._run import OnWorker

        chosen = None if workers is None else set(names_of(workers))
        call = OnWorker(function)
        futures = {
            worker["address"]: self.submit(call, *args, workers=[worker["name"]], pure=False, **kwargs)
            for worker in self._questions.info()["workers"]
            if chosen is None or worker["name"] in chosen or worker["address"] in chosen
        }
        if not wait:
            from oxidask.distributed._future import fire_and_forget

            fire_and_forget(list(futures.values()))
            return None
        results = {}
        for address, future in futures.items():
            try:
                results[address] = future._result()
            except Exception as error:
                if on_error == "raise":
                    raise
                if on_error == "return":
                    results[address] = error
        return results

    #: Coroutine functions run to their end on each worker, as others do.
    run_coroutine = run


def _name_of(key: Any) -> str | None:
    """A user's key as a name; tuples are keys, too."""
    if key is None or isinstance(key, str):
        return key
    if isinstance(key, (tuple, int, float, bytes)):
        return repr(key)
    raise TypeError(f"a key must be a text, a number or a tuple of those, got {type(key).__name__}")


def _named_calls(prefix: str, func: Any, calls: list[Any], kwargs: Any, pure: bool) -> list[str]:
    """Names that begin alike: equal for equal calls if they are pure, otherwise unlike any other."""
    if not pure:
        import uuid

        run = uuid.uuid4().hex
        return [f"{prefix}-{run}-{number}" for number in range(len(calls))]
    from oxidask.tokenize import tokenize

    common = tokenize(func, kwargs)
    return [f"{prefix}-{tokenize(common, args)}" for args in calls]


def _warn_if_large(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Warns of arguments that would better have been scattered."""
    size = 0
    for arg in args:
        size += _size(arg)
    for arg in kwargs.values():
        size += _size(arg)
    if size < _SMALL:
        return
    import warnings

    from oxidask import config
    from oxidask.utils import format_bytes, parse_bytes

    threshold = config.get("distributed.admin.large-graph-warning-threshold", "10MB")
    if size < parse_bytes(threshold):
        return
    warnings.warn(
        f"Sending large graph of size {format_bytes(size)}: arguments travel with each call\n"
        "hint: send them once with client.scatter, and pass the future",
        stacklevel=4,
    )


#: Arguments below this many bytes are nothing to look at.
_SMALL = 1_000_000


#: Arguments of these types are small.
_PLAIN = frozenset({int, float, bool, complex, type(None)})


def _size(value: Any) -> int:
    kind = type(value)
    if kind in _PLAIN:
        return 0
    if kind is bytes or kind is str or kind is bytearray:
        return len(value)
    if kind.__module__.startswith(("numpy", "pandas")):
        size = getattr(value, "nbytes", 0)
        return size if isinstance(size, int) else 0
    return 0


def _keep_until_done(inside: list[Future], *futures: Future) -> None:
    """Keeps what was pickled within arguments until the calls have ended."""
    if not inside:
        return
    handles = [future._handle for future in inside]
    for future in futures:
        # The callback holds them; the engine drops it once it was called.
        future._live.on_done(lambda kept=handles: None)
